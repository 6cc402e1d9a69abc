//! `jeton policies matrix`.

mod page;

use std::path::{Path, PathBuf};

use anyhow::ensure;
use clap::{Args, ValueEnum};
use jeton_oauth::{ClientId, text::printable};
use jeton_policy::{AccessMatrix, CompactMatrix, MatrixAccess};

use super::{
    super::{Outcome, progress::Progress},
    PolicyReading, emit_file, emit_json, emit_styled,
    table::{self, Columns},
};

#[derive(Args)]
pub(in crate::cli) struct Matrix {
    /// The policies folder. Default: `policies.dir` of the settings.
    dir: Option<PathBuf>,
    /// Only this API.
    #[arg(long)]
    api: Option<String>,
    /// Only these clients.
    #[arg(long = "client", value_name = "CLIENT")]
    clients: Vec<String>,
    /// The output format.
    #[arg(long, value_enum, default_value_t = MatrixFormat::Table)]
    format: MatrixFormat,
}

#[derive(Clone, Copy, ValueEnum)]
enum MatrixFormat {
    /// A table for a terminal of 80 columns.
    Table,
    /// A spreadsheet with a line for each client and route.
    Csv,
    /// JSON for programs.
    Json,
    /// A page for a browser, with filters.
    Html,
}

impl Matrix {
    pub(super) fn run(self, config: Option<&Path>) -> anyhow::Result<Outcome> {
        let reading = PolicyReading::new(self.dir.clone(), config)?;
        let draft = reading.usable_draft()?;
        let policies = draft.policies();
        if let Some(api) = &self.api {
            ensure!(policies.api(api).is_some(), "there is no API `{api}` in the policies");
        }
        for client in &self.clients {
            ensure!(
                policies.clients().find(client).is_some(),
                "there is no client `{client}` in the policies"
            );
        }
        let chosen = policies.apis().values().filter(|api| match &self.api {
            Some(name) => name == api.name().as_str(),
            None => policies.is_mentioned(api),
        });
        let is_wanted = |id: &ClientId| {
            self.clients.is_empty() || self.clients.iter().any(|client| client == id.as_str())
        };
        let progress = Progress::start("asking for every client and route");
        let matrices: Vec<_> = chosen.map(|api| policies.compact_matrix_of(api, is_wanted)).collect();
        drop(progress);
        match self.format {
            MatrixFormat::Table => {
                let columns = if self.clients.is_empty() { Columns::Granted } else { Columns::All };
                emit_styled(&table::of(&shown(matrices, printable), columns))?;
            }
            MatrixFormat::Csv => emit_file(&csv(&shown(matrices, as_cell))?)?,
            MatrixFormat::Json => emit_json(&shown(matrices, str::to_owned))?,
            MatrixFormat::Html => emit_file(&page::of(&matrices, policies.hash(), &reading.dir)?)?,
        }
        Ok(Outcome::Done)
    }
}

/// The matrices with each text as people will see it.
fn shown(matrices: Vec<CompactMatrix>, form: fn(&str) -> String) -> Vec<AccessMatrix> {
    let mut matrices: Vec<AccessMatrix> = matrices.into_iter().map(Into::into).collect();
    let show = |text: &mut String| *text = form(text);
    for matrix in &mut matrices {
        show(&mut matrix.api);
        for client in &mut matrix.clients {
            show(&mut client.id);
            client.credentials.iter_mut().for_each(show);
        }
        for route in &mut matrix.routes {
            show(&mut route.route);
            show(&mut route.rule);
            for access in &mut route.access {
                if let MatrixAccess::When(condition) = access {
                    show(condition);
                }
            }
        }
    }
    matrices
}

fn csv(matrices: &[AccessMatrix]) -> anyhow::Result<String> {
    let mut writer = csv::Writer::from_writer(Vec::new());
    writer.write_record(["api", "client", "route", "rule", "access", "condition", "credentials"])?;
    for matrix in matrices {
        for route in &matrix.routes {
            for (client, access) in matrix.clients.iter().zip(&route.access) {
                let (access, condition) = match access {
                    MatrixAccess::Always => ("always", ""),
                    MatrixAccess::When(condition) => ("when", condition.as_str()),
                    MatrixAccess::Never => ("never", ""),
                };
                let bound =
                    if matrix.bound_tokens || client.bound_tokens { "; bound tokens only" } else { "" };
                writer.write_record([
                    &matrix.api,
                    &client.id,
                    &route.route,
                    &route.rule,
                    access,
                    condition,
                    &format!("{}{bound}", client.credentials.join(" or ")),
                ])?;
            }
        }
    }
    Ok(String::from_utf8(writer.into_inner()?)?)
}

/// On one line, and a text where a spreadsheet would take it for a formula.
fn as_cell(text: &str) -> String {
    let is_formula = text.starts_with(['=', '+', '-', '@', '\t', '\r']);
    let guard = if is_formula { "'" } else { "" };
    format!("{guard}{}", printable(text))
}
