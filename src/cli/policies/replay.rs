//! `jeton policies replay`.

use std::path::{Path, PathBuf};

use clap::{Args, ValueEnum};
use jeton_oauth::text::printable;
use jeton_policy::PolicySet;
use jeton_verify::audit::{Replay, Replayed};

use super::{
    super::{
        Outcome,
        log_lines::{LogLine, LogLines},
        progress::Progress,
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
        let progress = Progress::start("judging decisions");
        let mut done = 0;
        loop {
            let (taken, length, is_ended) = match lines.next()? {
                None => break,
                Some(LogLine::Ended(line)) => (take(&mut replay, line), line.len(), true),
                Some(LogLine::Unended(line)) => (take(&mut replay, line), line.len(), false),
                Some(LogLine::TooLong) => (Err("the line is longer than 1 MiB".to_owned()), 0, true),
            };
            if let Err(error) = taken {
                let LogLines { name, number, .. } = &lines;
                anyhow::ensure!(!is_ended, "{name}:{number}: {error}");
                drop(progress);
                say!("note: {name}:{number}: the last line is passed over: it was being written");
                break;
            }
            done += u64::try_from(length).unwrap_or(0);
            progress.at(done, lines.size);
        }
        Ok(replay.finish())
    }
}

fn take(replay: &mut Replay<'_>, line: &[u8]) -> Result<(), String> {
    replay.take(line).map_err(|error| printable(&error.to_string()))
}
