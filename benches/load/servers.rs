//! The servers under load, each a process on the same core.

use std::{
    cell::Cell,
    fs,
    net::{TcpListener, TcpStream},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use crate::{assertion, core, process, reference};

/// The issuer of the jeton with TLS, which is also the audience of its own API.
const HTTPS_ISSUER: &str = "https://127.0.0.1:8080";

pub(crate) struct Servers {
    pub(crate) jeton: Server,
    /// The same with `tokens.reuse`.
    pub(crate) reuse: Server,
    /// The same with `[server.tls]`.
    pub(crate) tls: Server,
    pub(crate) bare: Server,
    pub(crate) peer: Server,
    /// Another peer, which decides and issues nothing.
    pub(crate) cerbos: Server,
}

impl Servers {
    /// Starts all of them.
    pub(crate) fn start(dir: &Path) -> Result<Self, String> {
        Ok(Self {
            jeton: jeton(dir, "jeton", &[])?,
            reuse: jeton(dir, "reuse", &[("JETON__TOKENS__REUSE", "5m")])?,
            tls: jeton_with_tls(dir)?,
            bare: Server::start(dir, "bare", reference::bare_command)?,
            peer: peer(dir)?,
            cerbos: cerbos(dir)?,
        })
    }
}

/// jeton with the sample's policies, one more client that has a key, and the settings as they are by default.
fn jeton(dir: &Path, name: &str, settings: &[(&str, &str)]) -> Result<Server, String> {
    let home = dir.join(format!("{name}-home"));
    let policies = home.join("policies");
    fs::create_dir_all(&policies).unwrap();
    for entry in fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("policies")).unwrap() {
        let entry = entry.unwrap();
        fs::copy(entry.path(), policies.join(entry.file_name())).unwrap();
    }
    let client = reference::key(&reference::fixture("test-only-other.pem"));
    fs::write(policies.join("assertion.yaml"), assertion::policies(&client)).unwrap();
    Server::start(dir, name, |port| {
        let mut command = core::pinned(core::CORE, env!("CARGO_BIN_EXE_jeton"));
        command
            .arg("serve")
            .current_dir(&home)
            .env("JETON__SERVER__LISTEN", format!("127.0.0.1:{port}"))
            .env("JETON__KEYS__GENERATE_IF_MISSING", "true")
            .env("JETON__GATEWAYS__EDGE__KIND", "nginx")
            .env("JETON__GATEWAYS__EDGE__API", "orders")
            .env("JETON__GATEWAYS__EDGE__TRUSTED_PEERS", "127.0.0.1")
            .envs(settings.iter().copied());
        command
    })
}

/// jeton with a certificate of its own, by a key on P-256.
fn jeton_with_tls(dir: &Path) -> Result<Server, String> {
    let [cert, key] = ["cert.pem", "key.pem"].map(|name| dir.join(name));
    let made = Command::new("openssl")
        .args([
            "req",
            "-x509",
            "-newkey",
            "ec",
            "-pkeyopt",
            "ec_paramgen_curve:P-256",
            "-nodes",
            "-days",
            "2",
        ])
        .args(["-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1", "-keyout"])
        .arg(&key)
        .arg("-out")
        .arg(&cert)
        .output();
    if !made.is_ok_and(|made| made.status.success()) {
        return Err("`openssl req` made no certificate; install it: apt-get install openssl".to_owned());
    }
    let settings = [
        ("JETON__ISSUER", HTTPS_ISSUER),
        ("JETON__SERVER__TLS__CERT_FILE", cert.to_str().unwrap()),
        ("JETON__SERVER__TLS__KEY_FILE", key.to_str().unwrap()),
    ];
    Ok(Server { scheme: "https", ..jeton(dir, "tls", &settings)? })
}

/// The folder of a peer, with its packages as its lock file says.
fn installed(name: &str) -> Result<PathBuf, String> {
    let home = Path::new(env!("CARGO_MANIFEST_DIR")).join("benches/load").join(name);
    if !home.join("node_modules").exists() {
        let npm = Command::new("npm")
            .args(["ci", "--no-audit", "--no-fund", "--ignore-scripts", "--prefix"])
            .arg(&home)
            .stdout(Stdio::null())
            .status();
        if !npm.is_ok_and(|status| status.success()) {
            return Err(format!(
                "`npm ci` in benches/load/{name} failed; Node 20 or newer and npm are needed"
            ));
        }
    }
    Ok(home)
}

/// Cerbos with a policy like the sample's, without telemetry and logs of decisions.
fn cerbos(dir: &Path) -> Result<Server, String> {
    let home = installed("cerbos")?;
    Server::start(dir, "cerbos", |port| {
        let mut command =
            core::pinned(core::CORE, home.join("node_modules/@cerbos/cerbos-linux-x64/cerbos-linux-x64"));
        command.args(["server", "--log-level=error"]);
        for setting in [
            format!("server.httpListenAddr=127.0.0.1:{port}"),
            format!("server.grpcListenAddr=127.0.0.1:{}", free_port()),
            "storage.driver=disk".to_owned(),
            format!("storage.disk.directory={}", home.join("policies").display()),
            "telemetry.disabled=true".to_owned(),
        ] {
            command.arg("--set").arg(setting);
        }
        command
    })
}

/// oidc-provider.
fn peer(dir: &Path) -> Result<Server, String> {
    let home = installed("peer")?;
    let node = node()?;
    Server::start(dir, "peer", |port| {
        let mut command = core::pinned(core::CORE, &node);
        command
            .arg(home.join("server.mjs"))
            .arg(port.to_string())
            .arg(reference::signing_key())
            .env("NODE_ENV", "production");
        command
    })
}

/// The program itself, for `node` may be a script that starts it; tells its version.
fn node() -> Result<String, String> {
    let script =
        "console.log(process.execPath); console.error('oidc-provider runs on Node', process.version)";
    let output = Command::new("node").args(["-e", script]).stderr(Stdio::inherit()).output();
    let output = output.map_err(|error| format!("node: {error}"))?;
    Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

/// A process, until this is dropped.
struct Running(Child);

/// A process that listens.
pub(crate) struct Server {
    child: Running,
    scheme: &'static str,
    port: u16,
    answered: Cell<u64>,
}

impl Server {
    /// Starts a command that gets a port, with its output in a file; what it said if it ends instead.
    fn start(dir: &Path, name: &str, command: impl FnOnce(u16) -> Command) -> Result<Self, String> {
        let port = free_port();
        let log: PathBuf = dir.join(format!("{name}.log"));
        let file = fs::File::create(&log).unwrap();
        let child = command(port).stdout(file.try_clone().unwrap()).stderr(file).spawn().unwrap();
        let mut server = Self { child: Running(child), scheme: "http", port, answered: Cell::new(0) };
        let start = Instant::now();
        while TcpStream::connect(("127.0.0.1", port)).is_err() {
            let ended = server.child.0.try_wait().unwrap().is_some();
            if ended || start.elapsed() > Duration::from_secs(20) {
                let log = fs::read_to_string(&log).unwrap();
                return Err(format!("{name} does not start: {log}"));
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        Ok(server)
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("{}://127.0.0.1:{}{path}", self.scheme, self.port)
    }

    pub(crate) fn cpu_nanos(&self) -> f64 {
        process::cpu_nanos(&self.child.0.id().to_string())
    }

    pub(crate) fn resident_mib(&self) -> f64 {
        resident_mib(&self.child.0.id().to_string())
    }

    /// How many requests it answered so far, as those who sent them say.
    pub(crate) fn answered(&self) -> u64 {
        self.answered.get()
    }

    pub(crate) fn count(&self, requests: u64) {
        self.answered.set(self.answered.get() + requests);
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

/// What a process has in memory now, in MiB.
fn resident_mib(pid: &str) -> f64 {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.trim().trim_end_matches(" kB").parse::<f64>().unwrap() / 1024.0
}
