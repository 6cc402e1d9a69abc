//! `jeton policies`: what the files say, what they do, and what an edit of them changes.

mod check;
mod colour;
mod diff;
mod explain;
mod import;
mod matrix;
mod replay;
mod table;
mod test;

use std::path::{Path, PathBuf};

use clap::Subcommand;
use jeton_oauth::clock::{Clock, SystemClock};
use jeton_policy::{Findings, PolicyDraft, PolicySources, Surroundings};

use super::{Outcome, emit, emit_file, emit_json, emit_styled, progress::Progress, say};
use crate::{
    app,
    config::{NeededFolders, Settings},
};

#[derive(Subcommand)]
pub(super) enum PolicyCommand {
    /// Report everything that is wrong with the policy files.
    Check(check::Check),
    /// Run the tests of the policy files.
    Test(test::Test),
    /// Say whether a request is allowed, and why.
    Explain(explain::Explain),
    /// Show which client may use which route.
    Matrix(matrix::Matrix),
    /// Show who gains and who loses access by an edit.
    Diff(diff::Diff),
    /// Judge a decision log by other policies, and show which decisions change.
    Replay(replay::ReplayLog),
    /// Print the JSON Schema of a policy file, for editors.
    Schema,
    /// Print a first policy file for an OpenAPI 3 document.
    Import(import::Import),
}

pub(super) fn run(command: PolicyCommand, config: Option<&Path>) -> anyhow::Result<Outcome> {
    match command {
        PolicyCommand::Check(check) => check.run(config),
        PolicyCommand::Test(test) => test.run(config),
        PolicyCommand::Explain(explain) => explain.run(config),
        PolicyCommand::Matrix(matrix) => matrix.run(config),
        PolicyCommand::Diff(diff) => diff.run(config),
        PolicyCommand::Replay(replay) => replay.run(config),
        PolicyCommand::Schema => {
            emit_json(&jeton_policy::schema())?;
            Ok(Outcome::Done)
        }
        PolicyCommand::Import(import) => import.run(),
    }
}

/// What policies are read with: the folder, and what they must fit.
struct PolicyReading {
    dir: PathBuf,
    surroundings: Surroundings,
}

impl PolicyReading {
    /// By the settings, of this folder or of `policies.dir`.
    fn new(dir: Option<PathBuf>, config: Option<&Path>) -> anyhow::Result<Self> {
        let needs = if dir.is_some() { NeededFolders::Nothing } else { NeededFolders::Policies };
        let settings: Settings = super::settings(needs, config)?;
        let dir = dir.unwrap_or_else(|| settings.policies.dir.clone());
        // what a server with these settings would refuse
        Ok(Self { dir, surroundings: app::surroundings(&settings) })
    }

    fn draft(&self) -> Result<PolicyDraft, Findings> {
        let _progress = Progress::start("reading policies");
        PolicySources::read(&self.dir).and_then(|sources| self.compile(&sources))
    }

    fn compile(&self, sources: &PolicySources) -> Result<PolicyDraft, Findings> {
        PolicyDraft::compile(sources, &self.surroundings, SystemClock.now())
    }

    /// The policies for a command that is not about what is wrong with them.
    fn usable_draft(&self) -> anyhow::Result<PolicyDraft> {
        let draft = self
            .draft()
            .map_err(|findings| anyhow::Error::new(findings).context("the policies do not load"))?;
        warn_of_faults(&draft, &self.dir);
        Ok(draft)
    }
}

/// Says on standard error that a server would not take these policies.
fn warn_of_faults(draft: &PolicyDraft, name: &Path) -> bool {
    let is_refused = !draft.faults().is_empty();
    if is_refused {
        let name = name.display();
        say!("note: a server would refuse these policies; see `jeton policies check {name}`");
    }
    is_refused
}
