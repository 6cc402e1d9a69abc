//! `jeton policies`.

use std::path::{Path, PathBuf};

use anyhow::Context;
use clap::{Args, Subcommand, ValueEnum};

use super::{Outcome, clients::claim, token};
use crate::{
    config::Needs,
    oauth::{Role, Scope},
    policy::{self, DemoSecrets, Findings, Permissions, PolicySet, Sources},
    principal::Principal,
    token::BearerToken,
};

#[derive(Subcommand)]
pub(super) enum Command {
    /// Say everything that is wrong with the policy files.
    Check {
        /// The policies folder; without it, `policies.dir` of the settings.
        dir: Option<PathBuf>,
        /// How to say it.
        #[arg(long, value_enum, default_value_t = Format::Text)]
        format: Format,
    },
    /// Say whether a request is allowed, and why.
    Explain(Explain),
    /// Print the JSON Schema of a policy file, for editors.
    Schema,
}

#[derive(Clone, Copy, ValueEnum)]
pub(super) enum Format {
    /// For people: the place, the line, the fix.
    Text,
    /// For programs: a list of objects.
    Json,
}

#[derive(Args)]
pub(super) struct Explain {
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
    /// A role that the bearer holds.
    #[arg(long = "role", value_name = "ROLE")]
    roles: Vec<String>,
    /// A claim that the bearer's token carries.
    #[arg(long = "claim", value_name = "NAME=VALUE", value_parser = claim)]
    claims: Vec<(String, String)>,
    /// The policies folder; without it, `policies.dir` of the settings.
    #[arg(long)]
    dir: Option<PathBuf>,
    /// The request method.
    method: String,
    /// The request path.
    path: String,
}

pub(super) fn run(command: Command, config: Option<&Path>) -> anyhow::Result<Outcome> {
    match command {
        Command::Check { dir, format } => check(dir, format, config),
        Command::Explain(explain) => run_explain(explain, config),
        Command::Schema => {
            println!("{}", serde_json::to_string_pretty(&policy::schema())?);
            Ok(Outcome::Done)
        }
    }
}

fn check(dir: Option<PathBuf>, format: Format, config: Option<&Path>) -> anyhow::Result<Outcome> {
    let findings = match load(dir, config)? {
        Ok(set) => {
            if matches!(format, Format::Text) {
                eprintln!(
                    "ok: {} files, {} APIs, {} rules, {} scopes, {} roles, {} clients",
                    set.files().len(),
                    set.apis().len(),
                    set.rule_count(),
                    set.scopes().len(),
                    set.roles().len(),
                    set.clients().len()
                );
            }
            set.warnings().clone()
        }
        Err(findings) => findings,
    };
    match format {
        Format::Text => print!("{findings}"),
        Format::Json => println!("{}", serde_json::to_string_pretty(&findings.0)?),
    }
    if !findings.0.is_empty() {
        let count = findings.0.len();
        eprintln!("{count} {}", if count == 1 { "finding" } else { "findings" });
    }
    Ok(if findings.has_errors() { Outcome::Failed } else { Outcome::Done })
}

fn run_explain(explain: Explain, config: Option<&Path>) -> anyhow::Result<Outcome> {
    let Explain { api, client, token, scopes, roles, claims, dir, method, path } = explain;
    let set =
        load(dir, config)?.map_err(|findings| anyhow::anyhow!("the policies do not load:\n{findings}"))?;
    anyhow::ensure!(set.api(&api).is_some(), "there is no API `{api}` in the policies");
    let permissions = match (client, token) {
        (Some(client), _) => Some(
            set.permissions_of(&client, &api)
                .with_context(|| format!("client `{client}` has no grant for API `{api}`"))?,
        ),
        (None, Some(token)) => {
            let audience = set.api(&api).with_context(|| format!("there is no API `{api}`"))?.audience();
            match token::verifier(config, None)?.verify(&BearerToken::new(token), audience) {
                Ok(claims) => Some(Principal::from(claims).permissions()),
                Err(error) => {
                    println!("DENIED {method} {path} at {api}: the token does not verify: {error}");
                    return Ok(Outcome::No);
                }
            }
        }
        (None, None) if scopes.is_empty() && roles.is_empty() && claims.is_empty() => None,
        (None, None) => Some(Permissions {
            client: None,
            scopes: scopes.iter().map(|scope| Scope::parse(scope)).collect::<Result<_, _>>()?,
            roles: roles.iter().map(|role| Role::parse(role)).collect::<Result<_, _>>()?,
            claims: claims.into_iter().map(|(name, value)| (name, value.into())).collect(),
        }),
    };
    let subject = permissions.as_ref().map(Permissions::subject);
    let explanation = set.explain(&api, &method, &path, subject.as_ref());
    print!("{explanation}");
    Ok(if explanation.allowed { Outcome::Done } else { Outcome::No })
}

fn load(dir: Option<PathBuf>, config: Option<&Path>) -> anyhow::Result<Result<PolicySet, Findings>> {
    let needs = if dir.is_some() { Needs::Nothing } else { Needs::Policies };
    let settings = super::settings(needs, config)?;
    let dir = dir.unwrap_or_else(|| settings.policies.dir.clone());
    // what a server with these settings would refuse
    let demo = if settings.is_loopback() { DemoSecrets::Allowed } else { DemoSecrets::Refused };
    let surroundings = super::surroundings(&settings, demo);
    Ok(Sources::read(&dir).and_then(|sources| PolicySet::compile(&sources, &surroundings)))
}
