//! The real program, serving in a folder of its own.
use std::{
    ffi::{OsStr, OsString},
    fs,
    mem::MaybeUninit,
    os::unix::fs::PermissionsExt,
    path::Path,
    process::Stdio,
    time::Duration,
};

use rustix::fs::inotify;
use serde_json::Value;
use tempfile::TempDir;
use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader, Lines},
    net::TcpStream,
    process::{Child, ChildStderr, Command},
    time,
};

use super::{http_client, install_key, install_policies};

/// How long a test waits for what must come, before it fails.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

/// `unshare MOUNTED.. MODE FOLDER PROGRAM..`: a program for which the `*.pem` of a folder have this mode on a read-only
/// mount, and who owns them is root, and so is the program.
pub(crate) const MOUNTED: [&str; 6] = [
    "--map-root-user",
    "--mount",
    "sh",
    "-c",
    r#"chmod "$1" "$2"/*.pem && mount --bind "$2" "$2" && mount -o remount,bind,ro "$2" && shift 2 && exec "$@""#,
    "sh",
];

/// Whether this system lets a test mount something.
pub(crate) fn can_mount() -> bool {
    let tried = std::process::Command::new("unshare").args(["--map-root-user", "--mount", "true"]).output();
    tried.expect("`unshare` is there").status.success()
}

/// Settings with which the policies are polled as often as they can be.
pub(crate) const POLLING: &str = "[policies]\npoll = \"1s\"\n";

/// The real binary, on a free port.
pub(crate) struct Binary {
    pub(crate) child: Child,
    pub(crate) address: String,
    /// Where its admin listener is, if the settings have one.
    pub(crate) admin: String,
    /// Where it runs.
    pub(crate) dir: TempDir,
    log: Lines<BufReader<ChildStderr>>,
    /// The log as far as it was read.
    read: Vec<Value>,
    /// The same, byte by byte.
    text: String,
}

impl Binary {
    /// With the sample policies.
    pub(crate) async fn serve() -> Self {
        let dir = TempDir::new().unwrap();
        install_policies(&dir.path().join("policies"));
        Self::serve_in(dir, "").await
    }

    /// With the sample policies, and these variables.
    pub(crate) async fn serve_with(variables: &[(&str, &str)]) -> Self {
        let dir = TempDir::new().unwrap();
        install_policies(&dir.path().join("policies"));
        Self::serve_in_with(dir, variables).await
    }

    /// In a folder with policies, and with these variables.
    pub(crate) async fn serve_in_with(dir: TempDir, variables: &[(&str, &str)]) -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_jeton"));
        command.envs(variables.iter().copied());
        Self::serve_by(command, dir, "").await
    }

    /// In a folder with policies, and with these settings more.
    pub(crate) async fn serve_in(dir: TempDir, settings: &str) -> Self {
        Self::serve_by(Command::new(env!("CARGO_BIN_EXE_jeton")), dir, settings).await
    }

    /// With the sample policies, these settings more, and so many open files at most.
    pub(crate) async fn serve_with_open_files(limit: u32, settings: &str) -> Self {
        let dir = TempDir::new().unwrap();
        install_policies(&dir.path().join("policies"));
        let mut command = Command::new("sh");
        let script = format!("ulimit -n {limit}; exec \"$0\" \"$@\"");
        command.args(["-c", &script, env!("CARGO_BIN_EXE_jeton")]);
        Self::serve_by(command, dir, settings).await
    }

    /// As another user, which root alone can do.
    pub(crate) async fn serve_as(uid: u32, dir: TempDir, settings: &str) -> Self {
        fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o755)).unwrap();
        let mut command = Command::new("setpriv");
        let uid = uid.to_string();
        command.args(["--reuid", &uid, "--regid", &uid, "--clear-groups", env!("CARGO_BIN_EXE_jeton")]);
        Self::serve_by(command, dir, settings).await
    }

    /// As root, with the sample policies, and keys that its group can read on a read-only mount.
    pub(crate) async fn serve_mounted() -> Self {
        let dir = TempDir::new().unwrap();
        install_policies(&dir.path().join("policies"));
        let mut command = Command::new("unshare");
        command.args(MOUNTED).args(["440", "keys", env!("CARGO_BIN_EXE_jeton")]);
        Self::serve_by(command, dir, "").await
    }

    /// By this command, to which `serve` is added.
    pub(crate) async fn serve_by(mut command: Command, dir: TempDir, settings: &str) -> Self {
        install_key("test-only-signing.pem", &dir.path().join("keys"));
        let settings = format!(
            "issuer = \"http://127.0.0.1:8080\"\n[server]\nlisten = \"127.0.0.1:0\"\n[log]\nformat = \"json\"\n{settings}"
        );
        fs::write(dir.path().join("jeton.toml"), settings).unwrap();
        let is_set = |name: &OsStr| command.as_std().get_envs().any(|(set, _)| set == name);
        let of_ours =
            |name: &OsString| ["JETON", "OTEL"].iter().any(|ours| name.to_string_lossy().starts_with(ours));
        let others: Vec<_> =
            std::env::vars_os().map(|(name, _)| name).filter(|name| of_ours(name) && !is_set(name)).collect();
        for name in others {
            command.env_remove(name);
        }
        command.arg("serve").current_dir(dir.path()).stderr(Stdio::piped()).kill_on_drop(true);
        let mut child = command.spawn().unwrap();
        let log = BufReader::new(child.stderr.take().unwrap()).lines();
        let (read, text) = (Vec::new(), String::new());
        let (address, admin) = (String::new(), String::new());
        let mut binary = Self { child, address, admin, dir, log, read, text };
        let serving = binary.logged("serving").await;
        binary.address.push_str(serving["address"].as_str().unwrap());
        binary.admin.push_str(serving["admin"].as_str().unwrap_or_default());
        binary
    }

    /// Reads the log up to this event.
    pub(crate) async fn logged(&mut self, event: &str) -> Value {
        let line = async {
            while let Some(text) = self.log.next_line().await.unwrap() {
                let line = Self::note(&mut self.read, &mut self.text, &text);
                if is_event(&line, event) {
                    return line;
                }
            }
            panic!("the log ends without `{event}`");
        };
        time::timeout(PATIENCE, line).await.unwrap_or_else(|_| panic!("no `{event}` in {:#?}", self.read))
    }

    /// Reads the log for as long as the program runs: a pipe that is full would stop it.
    pub(crate) async fn drain(&mut self) {
        while self.log.next_line().await.unwrap().is_some() {}
    }

    /// Ends the program, and reads its log to the end.
    pub(crate) async fn stop(&mut self) {
        self.signal("TERM").await;
        let lines = async {
            while let Some(text) = self.log.next_line().await.unwrap() {
                Self::note(&mut self.read, &mut self.text, &text);
            }
        };
        time::timeout(PATIENCE, lines).await.expect("it stops");
    }

    fn note(read: &mut Vec<Value>, text: &mut String, line: &str) -> Value {
        text.push_str(line);
        text.push('\n');
        let line: Value = serde_json::from_str(line).unwrap();
        read.push(line.clone());
        line
    }

    /// The log, as far as it was read.
    pub(crate) fn log_text(&self) -> &str {
        &self.text
    }

    /// The lines of this event, as far as the log was read.
    pub(crate) fn lines_of(&self, event: &str) -> Vec<&Value> {
        self.read.iter().filter(|line| is_event(line, event)).collect()
    }

    /// The program, where it listens and where it runs. Nobody reads its log from now on: the pipe is closed.
    pub(crate) fn unread(self) -> (Child, String, TempDir) {
        (self.child, self.address, self.dir)
    }

    /// Sends bytes that are no request, perhaps, and reads what comes until the connection ends.
    pub(crate) async fn raw(&self, bytes: &[u8]) -> String {
        let mut stream = self.connect().await;
        stream.write_all(bytes).await.unwrap();
        let mut answer = String::new();
        time::timeout(PATIENCE, stream.read_to_string(&mut answer)).await.unwrap().unwrap();
        answer
    }

    pub(crate) async fn connect(&self) -> TcpStream {
        TcpStream::connect(&self.address).await.unwrap()
    }

    /// What `/readyz` tells of the policies.
    pub(crate) async fn readyz(&self) -> Value {
        let answer = http_client().get(format!("http://{}/readyz", self.address)).send().await.unwrap();
        assert_eq!(answer.status(), 200, "the last good state is good enough");
        answer.json::<Value>().await.unwrap()["policies"].take()
    }

    /// Waits until the program has polled its policies so many times, by a file of theirs.
    pub(crate) async fn polls(&self, file: &Path, times: usize) {
        let watch = inotify::init(inotify::CreateFlags::NONBLOCK | inotify::CreateFlags::CLOEXEC).unwrap();
        inotify::add_watch(&watch, file, inotify::WatchFlags::OPEN).unwrap();
        let polling = async {
            let mut looks = time::interval(Duration::from_millis(20));
            let mut buffer = [MaybeUninit::uninit(); 4096];
            let mut events = inotify::Reader::new(&watch, &mut buffer);
            let mut opened = 0;
            // a poll opens it twice at most: to compare, and to read
            while opened < 2 * times {
                looks.tick().await;
                while events.next().is_ok() {
                    opened += 1;
                }
            }
        };
        time::timeout(PATIENCE, polling).await.expect("the folder is polled");
    }

    /// Sends a signal by its name.
    pub(crate) async fn signal(&self, name: &str) {
        let pid = self.child.id().unwrap().to_string();
        assert!(Command::new("kill").args(["-s", name, &pid]).status().await.unwrap().success());
    }
}

/// Whether a line of the log is about this event.
fn is_event(line: &Value, event: &str) -> bool {
    line["event"] == event
}
