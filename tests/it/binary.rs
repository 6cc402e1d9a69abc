//! The real binary, in a folder of its own.
use std::{
    ffi::OsString,
    fs,
    io::{self, Write},
    path::{Path, PathBuf},
    process::{Child, Command, Output, Stdio},
};

use tempfile::TempDir;

use crate::support::{install_key, install_policies, program::MOUNTED};

/// A folder in which the binary runs, without settings from the environment.
pub(crate) struct Workplace {
    dir: TempDir,
    variables: Vec<(String, String)>,
}

/// How a run of the binary ended.
#[derive(Debug)]
pub(crate) struct Run {
    pub(crate) code: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Workplace {
    /// An empty folder.
    pub(crate) fn empty() -> Self {
        Self { dir: TempDir::new().unwrap(), variables: Vec::new() }
    }

    /// A folder with an empty `policies` folder.
    pub(crate) fn new() -> Self {
        let workplace = Self::empty();
        fs::create_dir(workplace.path("policies")).unwrap();
        workplace
    }

    /// A folder with the sample policies and a key.
    pub(crate) fn sample() -> Self {
        let workplace = Self::empty();
        install_policies(&workplace.path("policies"));
        install_key("test-only-signing.pem", &workplace.path("keys"));
        workplace
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// Writes a file, with the folders above it.
    pub(crate) fn write(&self, name: &str, text: &str) -> &Self {
        let path = self.path(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
        self
    }

    #[track_caller]
    pub(crate) fn read(&self, name: &str) -> String {
        fs::read_to_string(self.path(name)).unwrap()
    }

    /// Sets an environment variable of every run.
    pub(crate) fn set(&mut self, variable: &str, value: &str) -> &mut Self {
        self.variables.push((variable.to_owned(), value.to_owned()));
        self
    }

    /// Starts `jeton` with these arguments, to be killed.
    pub(crate) fn start(&self, arguments: &[&str]) -> Child {
        let mut command = self.prepared(Command::new(env!("CARGO_BIN_EXE_jeton")), arguments);
        command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap()
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new("timeout");
        // a server that must not start, and does, ends all the same
        command.arg("20").arg(Path::new(env!("CARGO_BIN_EXE_jeton")));
        self.prepared(command, arguments)
    }

    /// Runs `jeton` with these arguments as another user, which root alone can do.
    pub(crate) fn run_as(&self, uid: u32, arguments: &[&str]) -> Run {
        let mut command = Command::new("setpriv");
        let uid = uid.to_string();
        command.args(["--reuid", &uid, "--regid", &uid, "--clear-groups", env!("CARGO_BIN_EXE_jeton")]);
        self.prepared(command, arguments).stdin(Stdio::null()).output().unwrap().into()
    }

    /// Runs `jeton` with these arguments as root, with its key files of this mode on a read-only mount.
    pub(crate) fn run_mounted(&self, mode: &str, arguments: &[&str]) -> Run {
        let mut command = Command::new("unshare");
        command.args(MOUNTED).args([mode, "keys", env!("CARGO_BIN_EXE_jeton")]);
        self.prepared(command, arguments).stdin(Stdio::null()).output().unwrap().into()
    }

    fn prepared(&self, mut command: Command, arguments: &[&str]) -> Command {
        command.args(arguments).current_dir(self.dir.path());
        let of_ours =
            |name: &OsString| ["JETON", "OTEL"].iter().any(|ours| name.to_string_lossy().starts_with(ours));
        for name in std::env::vars_os().map(|(name, _)| name).filter(of_ours) {
            command.env_remove(name);
        }
        command.envs(self.variables.iter().cloned());
        command
    }

    /// Runs `jeton` with these arguments.
    pub(crate) fn run(&self, arguments: &[&str]) -> Run {
        self.command(arguments).stdin(Stdio::null()).output().unwrap().into()
    }

    /// Runs `jeton` with these arguments in 700 MiB, its own code and the stacks of its threads included.
    pub(crate) fn run_in_little_memory(&self, arguments: &[&str]) -> Run {
        let mut command = Command::new("timeout");
        command.args(["20", "sh", "-c", "ulimit -v 716800; exec \"$@\"", "sh", env!("CARGO_BIN_EXE_jeton")]);
        self.prepared(command, arguments).stdin(Stdio::null()).output().unwrap().into()
    }

    /// Runs `jeton` with these arguments where nobody reads what it prints.
    pub(crate) fn run_unread(&self, arguments: &[&str]) -> Run {
        let (reader, writer) = io::pipe().unwrap();
        drop(reader);
        let mut command = self.command(arguments);
        command.stdin(Stdio::null()).stdout(writer).stderr(Stdio::piped());
        command.spawn().unwrap().wait_with_output().unwrap().into()
    }

    /// Runs `jeton` with these arguments where nobody can be told that something is wrong; its exit code.
    pub(crate) fn run_unheard(&self, arguments: &[&str], stderr: impl Into<Stdio>) -> Option<i32> {
        let mut command = self.command(arguments);
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(stderr);
        command.status().unwrap().code()
    }

    /// Runs `jeton` with these arguments and this on standard input.
    pub(crate) fn run_with_input(&self, arguments: &[&str], input: &str) -> Run {
        let mut command = self.command(arguments);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
        child.wait_with_output().unwrap().into()
    }
}

impl From<Output> for Run {
    fn from(output: Output) -> Self {
        Self {
            code: output.status.code(),
            stdout: String::from_utf8(output.stdout).unwrap(),
            stderr: String::from_utf8(output.stderr).unwrap(),
        }
    }
}

impl Run {
    /// Holds the exit code.
    #[track_caller]
    pub(crate) fn exits(self, code: i32) -> Self {
        assert_eq!(self.code, Some(code), "{self:#?}");
        self
    }

    /// Holds that standard error says each of these.
    #[track_caller]
    pub(crate) fn says(self, texts: &[&str]) -> Self {
        for text in texts {
            assert!(self.stderr.contains(text), "{text:?} is missing\n{self:#?}");
        }
        self
    }

    /// Holds that standard output shows each of these.
    #[track_caller]
    pub(crate) fn shows(self, texts: &[&str]) -> Self {
        for text in texts {
            assert!(self.stdout.contains(text), "{text:?} is missing\n{self:#?}");
        }
        self
    }
}
