//! `jeton policies check`.

use std::path::{Path, PathBuf};

use clap::{Args, ValueEnum};

use super::{super::Outcome, Reading};

#[derive(Args)]
pub(in crate::cli) struct Check {
    /// The policies folder; without it, `policies.dir` of the settings.
    dir: Option<PathBuf>,
    /// How to say it.
    #[arg(long, value_enum, default_value_t = Format::Text)]
    format: Format,
}

#[derive(Clone, Copy, ValueEnum)]
enum Format {
    /// For people: the place, the line, the fix.
    Text,
    /// For programs: a list of objects.
    Json,
}

impl Check {
    pub(super) fn run(self, config: Option<&Path>) -> anyhow::Result<Outcome> {
        let findings = match Reading::new(self.dir, config)?.draft() {
            Ok(draft) => {
                let (findings, set) = (draft.findings(), draft.policies());
                if matches!(self.format, Format::Text) && !findings.has_errors() {
                    eprintln!(
                        "ok: {} files, {} APIs, {} rules, {} scopes, {} roles, {} clients, {} tests",
                        set.files().len(),
                        set.apis().len(),
                        set.rule_count(),
                        set.scopes().len(),
                        set.roles().len(),
                        set.clients().len(),
                        draft.outcomes().len(),
                    );
                }
                findings
            }
            Err(findings) => findings,
        };
        match self.format {
            Format::Text => print!("{findings}"),
            Format::Json => println!("{}", serde_json::to_string_pretty(&findings.0)?),
        }
        if !findings.0.is_empty() {
            let count = findings.0.len();
            eprintln!("{count} {}", if count == 1 { "finding" } else { "findings" });
        }
        Ok(if findings.has_errors() { Outcome::Failed } else { Outcome::Done })
    }
}
