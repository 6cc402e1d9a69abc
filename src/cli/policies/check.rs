//! `jeton policies check`.

use std::path::{Path, PathBuf};

use clap::{Args, ValueEnum};
use jeton_policy::Severity;

use super::{
    super::{Outcome, output},
    PolicyReading, colour, emit_json, emit_styled, say,
};

#[derive(Args)]
pub(in crate::cli) struct Check {
    /// The policies folder. Default: `policies.dir` of the settings.
    dir: Option<PathBuf>,
    /// The output format.
    #[arg(long, value_enum, default_value_t = CheckFormat::Text)]
    format: CheckFormat,
}

#[derive(Clone, Copy, ValueEnum)]
enum CheckFormat {
    /// Text for people, with source lines and fixes.
    Text,
    /// A list of objects for programs.
    Json,
}

impl Check {
    pub(super) fn run(self, config: Option<&Path>) -> anyhow::Result<Outcome> {
        let findings = match PolicyReading::new(self.dir, config)?.draft() {
            Ok(draft) => {
                let (findings, set, defined) = (draft.findings(), draft.policies(), draft.defined());
                if matches!(self.format, CheckFormat::Text) && !findings.has_errors() {
                    let counts = [
                        (set.files().len(), "file"),
                        (defined.apis, "API"),
                        (defined.rules, "rule"),
                        (defined.scopes, "scope"),
                        (defined.roles, "role"),
                        (set.clients().len(), "client"),
                        (draft.outcomes().len(), "test"),
                    ];
                    say!("ok: {}", counts.map(counted).join(", "));
                }
                findings
            }
            Err(findings) => findings,
        };
        match self.format {
            CheckFormat::Text => emit_styled(&colour::findings(&findings))?,
            CheckFormat::Json => emit_json(&findings.0)?,
        }
        output::say_places(&findings);
        if !findings.0.is_empty() {
            let errors = findings.0.iter().filter(|finding| finding.severity == Severity::Error).count();
            let warnings = findings.0.len() - errors;
            let [all, errors, warnings] =
                [(findings.0.len(), "finding"), (errors, "error"), (warnings, "warning")].map(counted);
            say!("{all}: {errors}, {warnings}");
        }
        Ok(if findings.has_errors() { Outcome::Failed } else { Outcome::Done })
    }
}

fn counted((number, what): (usize, &str)) -> String {
    match number {
        0 => format!("no {what}s"),
        1 => format!("1 {what}"),
        more => format!("{more} {what}s"),
    }
}
