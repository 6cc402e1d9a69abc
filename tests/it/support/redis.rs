//! A real server of the shared store, on a port of its own.
use std::{
    net::TcpListener,
    path::PathBuf,
    process::{Child, Command, Stdio},
    sync::atomic::{AtomicU16, Ordering},
    thread,
    time::{Duration, Instant},
};

use tempfile::TempDir;

use super::{program::PATIENCE, root};

/// A `redis-server` that keeps nothing on disk. It ends when this is dropped.
pub(crate) struct RedisServer {
    port: u16,
    protection: Protection,
    /// The port of the cluster, if it is in cluster mode.
    cluster_port: Option<u16>,
    child: Option<Child>,
    dir: TempDir,
}

/// What a client must bring.
#[derive(Clone, Copy, PartialEq)]
enum Protection {
    Nothing,
    Password(&'static str),
    Tls,
}

impl RedisServer {
    pub(crate) fn start() -> Self {
        Self::with(Protection::Nothing)
    }

    pub(crate) fn with_password(password: &'static str) -> Self {
        Self::with(Protection::Password(password))
    }

    /// With the certificate of the fixtures, and without a port for plain text.
    pub(crate) fn with_tls() -> Self {
        Self::with(Protection::Tls)
    }

    /// A cluster of this one alone. It refuses what touches keys of several slots.
    pub(crate) fn in_cluster_mode() -> Self {
        let mut server = Self::away();
        server.cluster_port = Some(free_port());
        server.start_again();
        server.ask::<()>("CLUSTER ADDSLOTSRANGE 0 16383");
        let began = Instant::now();
        while !server.ask::<String>("CLUSTER INFO").contains("cluster_state:ok") {
            assert!(began.elapsed() < PATIENCE, "{}", server.log());
            thread::sleep(Duration::from_millis(10));
        }
        server
    }

    /// One that is not there until it is started.
    pub(crate) fn away() -> Self {
        Self {
            port: free_port(),
            protection: Protection::Nothing,
            cluster_port: None,
            child: None,
            dir: TempDir::new().unwrap(),
        }
    }

    fn with(protection: Protection) -> Self {
        let mut server = Self::away();
        server.protection = protection;
        server.start_again();
        server
    }

    /// The URL, without the password.
    pub(crate) fn url(&self) -> String {
        let scheme = if self.protection == Protection::Tls { "rediss" } else { "redis" };
        format!("{scheme}://127.0.0.1:{}", self.port)
    }

    /// As the URL of a server without TLS.
    pub(crate) fn plain_url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port)
    }

    /// The authority that signed the certificate of the fixtures.
    pub(crate) fn authority() -> PathBuf {
        root().join("tests/fixtures/tls/ca.pem")
    }

    /// Starts it on the same port, empty.
    pub(crate) fn start_again(&mut self) {
        let port = self.port.to_string();
        let mut command = Command::new("redis-server");
        command.args(["--save", "", "--appendonly", "no", "--loglevel", "warning"]);
        command.args(["--bind", "127.0.0.1", "127.0.0.2"]);
        command.arg("--dir").arg(self.dir.path()).args(["--logfile", "log"]);
        match self.protection {
            Protection::Nothing => command.args(["--port", &port]),
            Protection::Password(password) => command.args(["--port", &port, "--requirepass", password]),
            Protection::Tls => {
                let tls = root().join("tests/fixtures/tls");
                command.args(["--port", "0", "--tls-port", &port, "--tls-auth-clients", "no"]);
                command.arg("--tls-cert-file").arg(tls.join("server.pem"));
                command.arg("--tls-key-file").arg(tls.join("test-only-key.pem"));
                command.arg("--tls-ca-cert-file").arg(Self::authority())
            }
        };
        if let Some(cluster_port) = self.cluster_port {
            command.args(["--cluster-enabled", "yes", "--cluster-port", &cluster_port.to_string()]);
        }
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        let child = command.spawn();
        self.child = Some(child.expect("`redis-server` cannot be run: `apt-get install redis-server`"));
        let began = Instant::now();
        while !self.accepts() {
            let ended = self.child.as_mut().unwrap().try_wait().unwrap();
            assert!(ended.is_none() && began.elapsed() < PATIENCE, "{ended:?}: {}", self.log());
            thread::sleep(Duration::from_millis(10));
        }
    }

    /// Ends it at once, as a crash would.
    pub(crate) fn stop(&mut self) {
        if let Some(mut child) = self.child.take() {
            child.kill().unwrap();
            child.wait().unwrap();
        }
    }

    /// Stops it without closing its connections: it answers nothing until [`Self::thaw`].
    pub(crate) fn freeze(&self) {
        self.signal("-STOP");
    }

    pub(crate) fn thaw(&self) {
        self.signal("-CONT");
    }

    /// Asks it something, as nobody who needs a password.
    #[track_caller]
    pub(crate) fn ask<T: redis::FromRedisValue>(&self, command: &str) -> T {
        let mut connection = redis::Client::open(self.plain_url()).unwrap().get_connection().unwrap();
        let mut words = command.split(' ');
        let mut command = redis::cmd(words.next().unwrap());
        words.for_each(|word| {
            command.arg(word);
        });
        command.query(&mut connection).unwrap()
    }

    /// Whether it listens; what it says then is the store's to find out.
    fn accepts(&self) -> bool {
        std::net::TcpStream::connect(("127.0.0.1", self.port)).is_ok()
    }

    fn log(&self) -> String {
        std::fs::read_to_string(self.dir.path().join("log")).unwrap_or_default()
    }

    fn signal(&self, signal: &str) {
        let id = self.child.as_ref().unwrap().id().to_string();
        assert!(Command::new("kill").args([signal, &id]).status().unwrap().success());
    }
}

impl Drop for RedisServer {
    fn drop(&mut self) {
        self.stop();
    }
}

/// A port that the system gives to no connection that goes out, so that it is free still when the server
/// comes back to it.
pub(crate) fn free_port() -> u16 {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    let own = u16::try_from(std::process::id() % 100).unwrap() * 100;
    loop {
        let port = 20_000 + (own + NEXT.fetch_add(1, Ordering::Relaxed)) % 12_000;
        if TcpListener::bind(("127.0.0.1", port)).is_ok() {
            return port;
        }
    }
}
