//! `jeton policies replay`.

use std::{
    io::{self, IsTerminal, Write},
    path::{Path, PathBuf},
};

use clap::{Args, ValueEnum};
use jeton_oauth::text::printable;
use jeton_policy::PolicySet;
use jeton_verify::audit::{Replay, Replayed};

use super::{
    super::{
        Outcome,
        log_lines::{LogLine, LogLines},
    },
    PolicyReading, emit, emit_json, say, warn_of_faults,
};

#[derive(Args)]
pub(in crate::cli) struct ReplayLog {
    /// The decision log (`log.decisions`). `-` is standard input.
    log: PathBuf,
    /// The policies folder to judge the decisions by.
    #[arg(long, value_name = "DIR")]
    against: PathBuf,
    /// The output format.
    #[arg(long, value_enum, default_value_t = ReplayFormat::Text)]
    format: ReplayFormat,
}

#[derive(Clone, Copy, ValueEnum)]
enum ReplayFormat {
    /// Text for people.
    Text,
    /// JSON for programs.
    Json,
}

/// From how many bytes on progress is shown, and how often, in bytes.
const LARGE: u64 = 64 * 1024 * 1024;
const STEP: u64 = 16 * 1024 * 1024;

impl ReplayLog {
    pub(super) fn run(self, config: Option<&Path>) -> anyhow::Result<Outcome> {
        let draft = PolicyReading::new(Some(self.against.clone()), config)?.draft();
        let draft =
            draft.map_err(|findings| anyhow::Error::new(findings).context("the policies do not load"))?;
        let replayed = self.replay(draft.policies())?;
        match self.format {
            ReplayFormat::Text => emit(&replayed.to_string())?,
            ReplayFormat::Json => emit_json(&replayed)?,
        }
        let is_refused = warn_of_faults(&draft, &self.against);
        Ok(if replayed.differences.is_empty() {
            if is_refused { Outcome::Failed } else { Outcome::Done }
        } else {
            Outcome::No
        })
    }

    /// Takes one line after the other.
    fn replay(&self, policies: &PolicySet) -> anyhow::Result<Replayed> {
        let mut lines = LogLines::open(&self.log)?;
        let mut replay = Replay::new(policies);
        let mut progress = Progress::new(lines.size);
        loop {
            let (taken, length) = match lines.next()? {
                None => break,
                Some(LogLine::Text(line)) => {
                    (replay.take(line).map_err(|error| printable(&error.to_string())), line.len())
                }
                Some(LogLine::TooLong) => (Err("the line is longer than 1 MiB".to_owned()), 0),
            };
            if let Err(error) = taken {
                let (name, number) = (lines.name.clone(), lines.number);
                let is_unfinished = lines.is_at_the_end() && !lines.is_whole();
                anyhow::ensure!(is_unfinished, "{name}:{number}: {error}");
                say!("note: {name}:{number}: the last line is passed over: it was being written");
                break;
            }
            progress.advance(length, lines.number);
        }
        progress.end();
        Ok(replay.finish())
    }
}

/// How far it is, on one line of a terminal.
struct Progress {
    size: u64,
    done: u64,
    shown: u64,
    is_shown: bool,
}

impl Progress {
    fn new(size: u64) -> Self {
        Self { size, done: 0, shown: 0, is_shown: size >= LARGE && io::stderr().is_terminal() }
    }

    fn advance(&mut self, bytes: usize, lines: u64) {
        self.done += u64::try_from(bytes).unwrap_or(0);
        if self.is_shown && self.done - self.shown >= STEP {
            self.shown = self.done;
            let percent = (self.done.saturating_mul(100) / self.size).min(100);
            let mut stderr = io::stderr();
            let _ = write!(stderr, "\r{lines} lines, {percent}%").and_then(|()| stderr.flush());
        }
    }

    fn end(&self) {
        if self.shown > 0 {
            // the line is empty again
            let _ = write!(io::stderr(), "\r\x1b[K");
        }
    }
}
