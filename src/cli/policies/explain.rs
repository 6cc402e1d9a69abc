//! `jeton policies explain`.

use std::{
    borrow::Borrow,
    path::{Path, PathBuf},
};

use anyhow::{Context, ensure};
use clap::{Args, ValueEnum};
use jeton_oauth::{Role, Scope};
use jeton_policy::{Explanation, Permissions, PolicySet, did_you_mean};
use jeton_verify::{ExplainedAsker, ExplainedRequest, NotInForce, Standing};
use serde_json::{Map, Value};

use super::{
    super::{Outcome, clients::claim, say, token},
    PolicyReading, colour, emit_json, emit_styled,
};
use crate::inspect;

#[derive(Args)]
pub(in crate::cli) struct Explain {
    /// The API of the request.
    #[arg(long)]
    api: String,
    /// Ask as this client, with everything that it is granted at the API. `--claim` gives a claim that it takes over from
    /// another issuer's token.
    #[arg(long = "as", value_name = "CLIENT", conflicts_with_all = ["token", "scopes", "roles"])]
    client: Option<String>,
    /// Ask with this token, which must verify.
    #[arg(long, value_name = "JWT", conflicts_with_all = ["scopes", "roles", "claims"])]
    token: Option<String>,
    /// Ask with this scope. Repeat for more.
    #[arg(long = "scope", value_name = "SCOPE")]
    scopes: Vec<String>,
    /// Ask with this role and its scopes. Repeat for more.
    #[arg(long = "role", value_name = "ROLE")]
    roles: Vec<String>,
    /// Ask with this claim. `tenant=acme` is text, `level:=3` is JSON. Repeat for more.
    #[arg(long = "claim", value_name = "NAME=TEXT | NAME:=JSON", value_parser = claim)]
    claims: Vec<(String, Value)>,
    /// The policies folder. Default: `policies.dir` of the settings.
    #[arg(long)]
    dir: Option<PathBuf>,
    /// The output format.
    #[arg(long, value_enum, default_value_t = ExplainFormat::Text)]
    format: ExplainFormat,
    /// The request method.
    method: String,
    /// The request path.
    path: String,
}

#[derive(Clone, Copy, ValueEnum)]
enum ExplainFormat {
    /// Text for people.
    Text,
    /// JSON for programs, as `POST /ops/explain` returns it.
    Json,
}

impl Explain {
    pub(super) fn run(self, config: Option<&Path>) -> anyhow::Result<Outcome> {
        let draft = PolicyReading::new(self.dir.clone(), config)?.usable_draft()?;
        let explanation = self.explain(draft.policies(), config)?;
        match self.format {
            ExplainFormat::Text => emit_styled(&colour::explanation(&explanation))?,
            ExplainFormat::Json => emit_json(&explanation)?,
        }
        Ok(if explanation.allowed { Outcome::Done } else { Outcome::No })
    }

    fn explain(&self, policies: &PolicySet, config: Option<&Path>) -> anyhow::Result<Explanation> {
        let Self { api, method, path, .. } = self;
        let in_capitals = method.to_ascii_uppercase();
        if *method != in_capitals {
            say!("note: methods are told apart by case, and `{method}` is not `{in_capitals}`");
        }
        policies.api(api).with_context(|| unknown("API", api, policies.apis().keys()))?;
        let question = ExplainedRequest { api, method, target: path, asker: self.asker(policies)? };
        question.explain_by(policies, |token, audience| {
            let verifier = token::verifier(config, None)?;
            let claims = Standing::by_files().verify(&verifier, policies, token, audience);
            Ok(claims.map_err(|error| match error {
                NotInForce::Ended(error) => inspect::with_values(&error, token, verifier.issuer(), audience),
                NotInForce::Unknown(unknown) => unknown.to_string(),
            }))
        })
    }

    fn asker(&self, policies: &PolicySet) -> anyhow::Result<ExplainedAsker<'_>> {
        if let Some(client) = &self.client {
            let ids = policies.clients().iter().map(|client| &client.id);
            policies.clients().find(client).with_context(|| unknown("client", client, ids))?;
            return Ok(ExplainedAsker::ClientWith(client, self.given_claims()?));
        }
        Ok(match &self.token {
            Some(token) => ExplainedAsker::Token(inspect::pasted_token(token)),
            None if self.scopes.is_empty() && self.roles.is_empty() && self.claims.is_empty() => {
                ExplainedAsker::Nobody
            }
            None => ExplainedAsker::Bearer(self.bearer(policies)?),
        })
    }

    /// A bearer of the scopes, roles and claims that were given.
    fn bearer(&self, policies: &PolicySet) -> anyhow::Result<Permissions> {
        let mut bearer = Permissions::default();
        for name in &self.scopes {
            let scope = Scope::parse(name)?;
            let is_known = policies.scopes().contains_key(&scope);
            ensure!(is_known, unknown("scope", name, policies.scopes().keys()));
            bearer.scopes.extend(&[scope].into_iter().collect());
        }
        for name in &self.roles {
            let role = Role::parse(name)?;
            ensure!(policies.roles().contains_key(&role), unknown("role", name, policies.roles().keys()));
            bearer.roles.push(role);
        }
        bearer.claims = self.given_claims()?;
        Ok(bearer.with_sub_of_claims()?)
    }

    fn given_claims(&self) -> anyhow::Result<Map<String, Value>> {
        let mut claims = Map::new();
        for (name, value) in &self.claims {
            let before = claims.insert(name.clone(), value.clone());
            ensure!(before.is_none(), "claim `{name}` is given twice");
        }
        Ok(claims)
    }
}

/// What is not in the policies, and what may have been meant.
fn unknown<'k, K: Borrow<str> + 'k>(
    what: &str,
    name: &str,
    known: impl IntoIterator<Item = &'k K>,
) -> String {
    let hint = did_you_mean(name, known.into_iter().map(Borrow::borrow));
    let hint = hint.map(|hint| format!(": {hint}")).unwrap_or_default();
    format!("there is no {what} `{name}` in the policies{hint}")
}
