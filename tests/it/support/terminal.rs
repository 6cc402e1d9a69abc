//! The real program on a terminal, by `script` of util-linux: standard input, output and error are one.
use std::{
    io::{BufRead, BufReader, Read, Write},
    path::Path,
    process::{Child, ChildStdout, Command, Stdio},
};

/// A run on a terminal. One that goes on is interrupted when this is dropped.
pub(crate) struct OnTerminal {
    child: Child,
    screen: BufReader<ChildStdout>,
}

/// A run that ended: its exit code, and all that could be seen.
#[derive(Debug)]
pub(crate) struct Seen {
    pub(crate) code: Option<i32>,
    pub(crate) text: String,
}

impl OnTerminal {
    /// `jeton` with these arguments in this folder, without settings from the environment.
    pub(crate) fn start(dir: &Path, arguments: &[&str]) -> Self {
        Self::start_with(dir, arguments, &[])
    }

    /// The same with these variables.
    pub(crate) fn start_with(dir: &Path, arguments: &[&str], variables: &[(&str, &str)]) -> Self {
        let quoted = |word: &&str| format!("'{}'", word.replace('\'', r"'\''"));
        let words: Vec<_> = [env!("CARGO_BIN_EXE_jeton")].iter().chain(arguments).map(quoted).collect();
        let mut command = Command::new("timeout");
        command.args(["30", "script", "--quiet", "--return", "--command", &words.join(" "), "/dev/null"]);
        for (name, _) in std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("JETON")) {
            command.env_remove(name);
        }
        command.current_dir(dir).env("SHELL", "/bin/sh").env("TERM", "xterm");
        for name in ["NO_COLOR", "CLICOLOR", "CLICOLOR_FORCE", "CI"] {
            command.env_remove(name);
        }
        command.envs(variables.iter().copied());
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut child = command.spawn().unwrap();
        let screen = BufReader::new(child.stdout.take().unwrap());
        Self { child, screen }
    }

    /// Types something.
    pub(crate) fn types(&mut self, text: &str) {
        self.child.stdin.as_mut().unwrap().write_all(text.as_bytes()).unwrap();
    }

    /// What can be seen up to a line that holds this.
    pub(crate) fn seen_up_to(&mut self, last: &str) -> String {
        let mut seen = String::new();
        loop {
            let mut line = String::new();
            let length = self.screen.read_line(&mut line).unwrap();
            assert!(length > 0, "it ends without `{last}`: {seen}");
            seen.push_str(&line.replace("\r\n", "\n"));
            if line.contains(last) {
                return seen;
            }
        }
    }

    /// What can be seen up to this text, which may stand in a line that goes on.
    pub(crate) fn seen_up_to_text(&mut self, text: &str) -> String {
        let mut seen = Vec::new();
        while !String::from_utf8_lossy(&seen).contains(text) {
            let mut byte = [0];
            self.screen.read_exact(&mut byte).unwrap_or_else(|_| panic!("it ends without `{text}`"));
            seen.extend(byte);
        }
        String::from_utf8(seen).unwrap()
    }

    /// What can be seen to the end.
    pub(crate) fn end(mut self) -> Seen {
        let mut text = String::new();
        self.screen.read_to_string(&mut text).unwrap();
        Seen { code: self.child.wait().unwrap().code(), text: text.replace("\r\n", "\n") }
    }
}

impl Drop for OnTerminal {
    fn drop(&mut self) {
        // Ctrl-C, as a person would; `script` itself must not be killed, for the program would go on
        if self.child.try_wait().is_ok_and(|ended| ended.is_none()) {
            let _ = self.child.stdin.as_mut().map(|stdin| stdin.write_all(b"\x03"));
            let _ = self.screen.read_to_end(&mut Vec::new());
            let _ = self.child.wait();
        }
    }
}

/// Runs `jeton` to its end, with this typed.
pub(crate) fn run(dir: &Path, arguments: &[&str], typed: &str) -> Seen {
    let mut program = OnTerminal::start(dir, arguments);
    program.types(typed);
    program.end()
}
