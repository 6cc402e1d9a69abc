//! The memory of every command is for nobody else: no core dump, and no other process of the same user.

use std::{
    fs::{self, File},
    os::unix::{
        fs::{MetadataExt, chown},
        process::{CommandExt, ExitStatusExt},
    },
    path::Path,
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use tempfile::TempDir;

use crate::{
    binary::Workplace,
    support::{install_policies, program::Binary},
};

/// How long a program may take to begin.
const PATIENCE: Duration = Duration::from_secs(20);

/// Waits until a program has no room for a core dump.
#[track_caller]
fn has_no_room(pid: u32) {
    let started = Instant::now();
    loop {
        let limits = fs::read_to_string(format!("/proc/{pid}/limits")).unwrap_or_default();
        let line = limits.lines().find_map(|line| line.strip_prefix("Max core file size"));
        let numbers: Vec<_> = line.unwrap_or_default().split_whitespace().take(2).collect();
        if numbers == ["0", "0"] {
            return;
        }
        assert!(started.elapsed() < PATIENCE, "its limits are\n{limits}");
        std::thread::yield_now();
    }
}

/// Holds that a signal which dumps core leaves none, wherever the system would put it.
#[track_caller]
fn leaves_no_core(mut child: Child, dir: &Path, signal: &str) {
    has_no_room(child.id());
    let started = Instant::now();
    // one that came from outside ends no Rust program when it comes first: the fault that it tells of would come again
    let status = loop {
        let sent = Command::new("kill").args(["-s", signal, &child.id().to_string()]).status().unwrap();
        assert!(sent.success());
        match child.try_wait().unwrap() {
            Some(status) => break status,
            None => assert!(started.elapsed() < PATIENCE, "{signal} does not end it"),
        }
    };
    assert!(status.signal().is_some() && !status.core_dumped(), "{signal}: {status}");
    for entry in fs::read_dir(dir).unwrap() {
        let name = entry.unwrap().file_name();
        assert!(!name.to_string_lossy().starts_with("core"), "{signal}: {}", name.display());
    }
}

/// `jeton` where core dumps are wanted.
fn start(workplace: &Workplace, arguments: &[&str]) -> Child {
    let mut command = Command::new("sh");
    command.args(["-c", "ulimit -c \"$(ulimit -H -c)\"; exec \"$@\"", "sh", env!("CARGO_BIN_EXE_jeton")]);
    command.args(arguments).current_dir(workplace.path("")).process_group(0);
    command.env("JETON__SERVER__LISTEN", "127.0.0.1:0");
    command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap()
}

/// Commands that wait for something, so that there is time to look at them.
#[test]
fn no_command_leaves_a_core_dump() {
    // a lock that is waited for is given up where a signal is caught, as Rust catches SEGV
    let (all, uncaught) = (&["SEGV", "ABRT", "FPE"][..], &["ABRT", "FPE"][..]);
    for (arguments, signals) in [
        (&["serve"][..], all),
        (&["token", "inspect"], all),
        (&["policies", "replay", "-", "--against", "policies"], all),
        (&["clients", "rotate", "acme-sync"], uncaught),
        (&["clients", "add", "new"], uncaught),
    ] {
        for signal in signals {
            let workplace = Workplace::sample();
            // whoever changes the policies waits for whoever does
            let lock = File::open(workplace.path("policies")).unwrap();
            lock.lock().unwrap();
            leaves_no_core(start(&workplace, arguments), &workplace.path(""), signal);
        }
    }
}

/// As the user `nobody`, if this is root.
async fn serve() -> Binary {
    let dir = TempDir::new().unwrap();
    install_policies(&dir.path().join("policies"));
    if !rustix::process::geteuid().is_root() {
        return Binary::serve_in(dir, "").await;
    }
    let keys = dir.path().join("own");
    fs::create_dir(&keys).unwrap();
    chown(&keys, Some(NOBODY), Some(NOBODY)).unwrap();
    Binary::serve_as(NOBODY, dir, "[keys]\ndir = \"own\"\n").await
}

const NOBODY: u32 = 65_534;

/// What stands in the environment and in the memory of a server is root's alone; what metrics and probes read is
/// everybody's as before.
#[actix_web::test]
async fn the_memory_of_a_server_is_closed_to_its_own_user() {
    let binary = serve().await;
    let pid = binary.child.id().unwrap();
    has_no_room(pid);
    for name in ["environ", "mem", "maps", "fd", "io"] {
        let path = format!("/proc/{pid}/{name}");
        assert_eq!(fs::metadata(&path).unwrap().uid(), 0, "{path}");
        let mut cat = if rustix::process::geteuid().is_root() {
            let mut cat = Command::new("setpriv");
            cat.args(["--reuid", &NOBODY.to_string(), "--clear-groups", "head", "-c1"]);
            cat
        } else {
            let mut cat = Command::new("head");
            cat.arg("-c1");
            cat
        };
        let read = cat.arg(&path).output().unwrap();
        assert!(String::from_utf8_lossy(&read.stderr).contains("Permission denied"), "{path}: {read:?}");
    }
    for name in ["stat", "statm", "status", "limits", "cmdline"] {
        assert!(fs::read(format!("/proc/{pid}/{name}")).is_ok_and(|text| !text.is_empty()), "{name}");
    }
}
