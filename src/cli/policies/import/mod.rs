//! `jeton policies import`: a policy file from an OpenAPI 3 document, for a person to edit.
//!
//! [`read`] -> [`Document`](document::OpenApiDocument) -> [`Operations`] (each as a route) -> [`ImportPlan`] (scopes and rules) ->
//! [`PolicyFile`]. What cannot be said is denied, and told: as a comment and on standard error. Nothing becomes
//! public unless the document says in so many words that it is.

mod deciders;
mod document;
mod names;
mod need;
mod operations;
mod pattern;
mod plan;
mod read;
mod write;

use std::path::PathBuf;

use clap::Args;
use jeton_oauth::{ApiName, Audience};

use self::{
    operations::Operations,
    plan::{ImportPlan, ScopeFrom},
    write::PolicyFile,
};
use super::{super::Outcome, emit_file, say};

#[derive(Args)]
pub(in crate::cli) struct Import {
    /// The OpenAPI 3 document, as JSON or YAML.
    file: PathBuf,
    /// The name of the API in the policies.
    #[arg(long, value_parser = api_name, value_name = "NAME")]
    api: ApiName,
    /// The audience of the API: the `aud` of its tokens.
    #[arg(long, value_parser = audience, value_name = "AUD")]
    audience: Audience,
    /// What becomes one scope and one rule.
    #[arg(long, value_enum, default_value_t = ScopeFrom::Tag)]
    scope_from: ScopeFrom,
}

/// The longest name of an API that leaves room for scopes which begin with it, in bytes.
const LONGEST_NAME: usize = 256;

fn api_name(text: &str) -> Result<ApiName, String> {
    let name = ApiName::parse(text).map_err(|error| error.to_string())?;
    match text {
        "jeton" => Err("`jeton` is jeton's own API: choose another name".to_owned()),
        _ if text.len() > LONGEST_NAME => Err(format!("choose a name of at most {LONGEST_NAME} characters")),
        _ => Ok(name),
    }
}

fn audience(text: &str) -> Result<Audience, String> {
    Audience::parse(text).map_err(|error| error.to_string())
}

impl Import {
    pub(super) fn run(&self) -> anyhow::Result<Outcome> {
        let document = read::read(&self.file)?;
        let operations = Operations::of(&document);
        let Operations { routes, left_out, covered, warnings, remarks } = &operations;
        let plan = ImportPlan::new(&self.api, &document, &operations, self.scope_from);
        let source = self.file.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let Self { api, audience, .. } = self;
        let file =
            PolicyFile { source, api, audience, document: &document, operations: &operations, plan: &plan };
        emit_file(&file.to_string())?;
        for warning in warnings {
            say!("error: {warning}");
        }
        for remark in remarks.iter().chain(&plan.remarks) {
            say!("note: {remark}");
        }
        for it in covered {
            say!("covered by another: {}: {}", it.title, it.why);
        }
        for it in left_out {
            say!("not covered: {}: {}", it.title, it.why);
        }
        say!(
            "operations: {} as routes, {} covered by others, {} not covered; rules: {}, scopes: {}",
            routes.len(),
            covered.len(),
            left_out.len(),
            plan.rules.len(),
            plan.scopes.len(),
        );
        Ok(Outcome::Done)
    }
}
