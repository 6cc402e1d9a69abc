//! `jeton policies explain`.

use std::path::{Path, PathBuf};

use anyhow::Context;
use clap::{Args, ValueEnum};

use super::{
    super::{Outcome, clients::claim, token},
    Reading,
};
use crate::{
    oauth::{Role, Scope},
    policy::{Permissions, PolicySet},
    principal::Principal,
    token::BearerToken,
};

#[derive(Args)]
pub(in crate::cli) struct Explain {
    /// The API that is asked.
    #[arg(long)]
    api: String,
    /// A client, with all it is granted at the API.
    #[arg(long = "as", value_name = "CLIENT", conflicts_with_all = ["token", "scopes", "roles", "claims"])]
    client: Option<String>,
    /// A token, which is verified first.
    #[arg(long, value_name = "JWT", conflicts_with_all = ["scopes", "roles", "claims"])]
    token: Option<String>,
    /// A scope that the bearer holds.
    #[arg(long = "scope", value_name = "SCOPE")]
    scopes: Vec<String>,
    /// A role that the bearer holds, and with it the role's scopes.
    #[arg(long = "role", value_name = "ROLE")]
    roles: Vec<String>,
    /// A claim that the bearer's token carries.
    #[arg(long = "claim", value_name = "NAME=VALUE", value_parser = claim)]
    claims: Vec<(String, String)>,
    /// The policies folder; without it, `policies.dir` of the settings.
    #[arg(long)]
    dir: Option<PathBuf>,
    /// How to say it.
    #[arg(long, value_enum, default_value_t = Format::Text)]
    format: Format,
    /// The request method.
    method: String,
    /// The request path.
    path: String,
}

#[derive(Clone, Copy, ValueEnum)]
enum Format {
    /// For people.
    Text,
    /// For programs: the answer of `POST /ops/explain`.
    Json,
}

/// Who asks.
enum Asker {
    NoToken,
    Bearer(Permissions),
    /// A token that is good for nothing, and why.
    BadToken(String),
}

impl Explain {
    pub(super) fn run(self, config: Option<&Path>) -> anyhow::Result<Outcome> {
        let draft = Reading::new(self.dir.clone(), config)?.usable_draft()?;
        let policies = draft.policies();
        anyhow::ensure!(policies.api(&self.api).is_some(), "there is no API `{}` in the policies", self.api);
        let explanation = match self.asker(policies, config)? {
            Asker::NoToken => policies.explain(&self.api, &self.method, &self.path, None),
            Asker::Bearer(bearer) => {
                policies.explain(&self.api, &self.method, &self.path, Some(&bearer.subject()))
            }
            Asker::BadToken(why) => policies.explain_bad_token(&self.api, &self.method, &self.path, &why),
        };
        match self.format {
            Format::Text => print!("{explanation}"),
            Format::Json => println!("{}", serde_json::to_string_pretty(&explanation)?),
        }
        Ok(if explanation.allowed { Outcome::Done } else { Outcome::No })
    }

    fn asker(&self, policies: &PolicySet, config: Option<&Path>) -> anyhow::Result<Asker> {
        if let Some(client) = &self.client {
            let granted = policies.permissions_of(client, &self.api);
            let lacks = || format!("client `{client}` has no grant for API `{}`", self.api);
            return Ok(Asker::Bearer(granted.with_context(lacks)?));
        }
        if let Some(token) = &self.token {
            let audience = policies.api(&self.api).context("the API is there")?.audience();
            let verified = token::verifier(config, None)?.verify(&BearerToken::new(token.as_str()), audience);
            return Ok(match verified {
                Ok(claims) => Asker::Bearer(Principal::from(claims).permissions()),
                Err(error) => Asker::BadToken(error.to_string()),
            });
        }
        if self.scopes.is_empty() && self.roles.is_empty() && self.claims.is_empty() {
            return Ok(Asker::NoToken);
        }
        let bearer = Permissions {
            client: None,
            scopes: self.scopes.iter().map(|scope| Scope::parse(scope)).collect::<Result<_, _>>()?,
            roles: self.roles.iter().map(|role| Role::parse(role)).collect::<Result<_, _>>()?,
            claims: self.claims.iter().map(|(name, value)| (name.clone(), value.as_str().into())).collect(),
        };
        Ok(Asker::Bearer(bearer.with_scopes_of_roles(policies.roles())))
    }
}
