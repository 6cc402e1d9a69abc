//! `jeton policies matrix`.

use std::path::{Path, PathBuf};

use anyhow::ensure;
use clap::{Args, ValueEnum};

use super::{
    super::Outcome,
    Reading, emit_file, emit_json, emit_styled,
    table::{self, Columns},
};
use crate::policy::{self, MatrixAccess, printable};

#[derive(Args)]
pub(in crate::cli) struct Matrix {
    /// The policies folder; without it, `policies.dir` of the settings.
    dir: Option<PathBuf>,
    /// Only this API.
    #[arg(long)]
    api: Option<String>,
    /// Only these clients.
    #[arg(long = "client", value_name = "CLIENT")]
    clients: Vec<String>,
    /// How to show it.
    #[arg(long, value_enum, default_value_t = Format::Table)]
    format: Format,
}

#[derive(Clone, Copy, ValueEnum)]
enum Format {
    /// For a terminal of 80 columns.
    Table,
    /// For spreadsheets: one line for each client and route.
    Csv,
    /// For programs.
    Json,
    /// A page for a browser, with a filter.
    Html,
}

/// The page, and where its data goes.
const PAGE: &str = include_str!("matrix.html");
const DATA: &str = "/*DATA*/";

impl Matrix {
    pub(super) fn run(self, config: Option<&Path>) -> anyhow::Result<Outcome> {
        let draft = Reading::new(self.dir.clone(), config)?.usable_draft()?;
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
        let chosen = policies
            .apis()
            .values()
            .filter(|api| self.api.as_deref().is_none_or(|name| name == api.name().as_str()));
        let mut matrices: Vec<policy::Matrix> = chosen.map(|api| policies.matrix(api)).collect();
        if !self.clients.is_empty() {
            for matrix in &mut matrices {
                matrix.keep(|client| self.clients.contains(&client.id));
            }
        }
        if !matches!(self.format, Format::Json) {
            matrices.iter_mut().for_each(show);
        }
        match self.format {
            Format::Table => {
                let columns = if self.clients.is_empty() { Columns::Granted } else { Columns::All };
                emit_styled(&table::of(&matrices, columns))?;
            }
            Format::Csv => emit_file(&csv(&matrices)?)?,
            Format::Json => emit_json(&matrices)?,
            // within a script element, only `<` could end it
            Format::Html => {
                let data = serde_json::to_string(&matrices)?.replace('<', "\\u003c");
                emit_file(&PAGE.replacen(DATA, &data, 1))?;
            }
        }
        Ok(Outcome::Done)
    }
}

/// Escapes what people will see of a matrix.
fn show(matrix: &mut policy::Matrix) {
    let show = |text: &mut String| *text = printable(text);
    show(&mut matrix.api);
    matrix.clients.iter_mut().for_each(|client| show(&mut client.id));
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

fn csv(matrices: &[policy::Matrix]) -> anyhow::Result<String> {
    let mut writer = csv::Writer::from_writer(Vec::new());
    writer.write_record(["api", "client", "route", "rule", "access", "condition"])?;
    for matrix in matrices {
        for route in &matrix.routes {
            for (client, access) in matrix.clients.iter().zip(&route.access) {
                let (access, condition) = match access {
                    MatrixAccess::Always => ("always", ""),
                    MatrixAccess::When(condition) => ("when", condition.as_str()),
                    MatrixAccess::Never => ("never", ""),
                };
                writer.write_record([
                    &matrix.api,
                    &client.id,
                    &route.route,
                    &route.rule,
                    access,
                    condition,
                ])?;
            }
        }
    }
    Ok(String::from_utf8(writer.into_inner()?)?)
}
