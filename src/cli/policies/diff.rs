//! `jeton policies diff`.

use std::path::{Path, PathBuf};

use clap::{Args, ValueEnum};
use jeton_policy::{ChangeEffect, Findings, PolicyDraft};

use super::{
    super::{Outcome, progress::Progress},
    PolicyReading, emit, emit_json, warn_of_faults,
};
use crate::git::{self, GitReach};

#[derive(Args)]
#[command(
    override_usage = "jeton policies diff [OPTIONS] <OLD> <NEW>\n       jeton policies diff [OPTIONS] --git <REV> [DIR]"
)]
pub(in crate::cli) struct Diff {
    /// The folder before.
    #[arg(required_unless_present = "git")]
    old: Option<PathBuf>,
    /// The folder after.
    #[arg(required_unless_present = "git")]
    new: Option<PathBuf>,
    /// The Git revision to compare DIR with. Default of DIR: `policies.dir` of the settings.
    #[arg(long, value_name = "REV", conflicts_with = "new")]
    git: Option<String>,
    /// The output format.
    #[arg(long, value_enum, default_value_t = DiffFormat::Text)]
    format: DiffFormat,
}

#[derive(Clone, Copy, ValueEnum)]
enum DiffFormat {
    /// Text for people.
    Text,
    /// JSON for programs.
    Json,
    /// A comment for a pull request.
    Markdown,
}

impl Diff {
    pub(super) fn run(self, config: Option<&Path>) -> anyhow::Result<Outcome> {
        let (old, new, new_name) = if let Some(revision) = &self.git {
            let reading = PolicyReading::new(self.old, config)?;
            let sources = git::sources(&reading.dir, revision, GitReach::Remotes)?;
            (
                read(&format!("the folder as of {revision}"), reading.compile(&sources))?,
                reading.draft(),
                reading.dir,
            )
        } else {
            let (old, new) = (PolicyReading::new(self.old, config)?, PolicyReading::new(self.new, config)?);
            (read(&old.dir.display().to_string(), old.draft())?, new.draft(), new.dir)
        };
        let new = read(&new_name.display().to_string(), new)?;
        let progress = Progress::start("comparing policies");
        let difference = old.difference(&new);
        drop(progress);
        match self.format {
            DiffFormat::Text => emit(&difference.to_string())?,
            DiffFormat::Json => emit_json(&difference)?,
            DiffFormat::Markdown => emit(&difference.to_markdown())?,
        }
        // a gain is the answer that was asked for, also where a server would not take the new policies
        let is_refused = warn_of_faults(&new, &new_name);
        Ok(if difference.changes.iter().any(|change| change.effect == ChangeEffect::Gains) {
            Outcome::No
        } else if is_refused {
            Outcome::Failed
        } else {
            Outcome::Done
        })
    }
}

fn read(name: &str, draft: Result<PolicyDraft, Findings>) -> anyhow::Result<PolicyDraft> {
    draft.map_err(|findings| anyhow::Error::new(findings).context(format!("{name} cannot be compared")))
}
