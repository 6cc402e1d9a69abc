//! `jeton clients match`: which client a token of another issuer stands for, or what differs.

use std::{fmt::Write, path::Path};

use anyhow::{Context, ensure};
use clap::Args;
use jeton_oauth::{
    clock::{Clock, SystemClock},
    text::printable,
};
use jeton_policy::{
    DemoSecrets, PolicySet, PolicySources,
    clients::ClientState,
    did_you_mean,
    federation::{ComparedClient, FederatedMatch, TrustedIssuer},
};
use jeton_verify::{InsecureParts, insecure_parts};
use serde_json::{Map, Value};

use super::super::{
    Outcome, emit, settings, surroundings,
    token::{pasted_token, token_text},
};
use crate::config::NeededFolders;

#[derive(Args)]
pub(in crate::cli) struct Match {
    /// The token. Default: standard input.
    jwt: Option<String>,
    /// Believe the token without its signature, and although it has expired.
    #[arg(long)]
    unverified: bool,
}

/// How many clients are told of that a token does not stand for.
const MOST_CLIENTS: usize = 10;

pub(super) fn run(command: Match, config: Option<&Path>) -> anyhow::Result<Outcome> {
    ensure!(
        command.unverified,
        "the keys of other issuers are followed by a running service only: look at the token with `--unverified`"
    );
    let settings = settings(NeededFolders::Policies, config)?;
    let policies = PolicySources::read(&settings.policies.dir).and_then(|sources| {
        PolicySet::compile(&sources, &surroundings(&settings, DemoSecrets::Allowed), SystemClock.now())
    });
    let policies =
        policies.map_err(|findings| anyhow::Error::new(findings).context("the policies do not load"))?;
    let token = pasted_token(&token_text(command.jwt)?);
    let InsecureParts { claims, .. } = insecure_parts(&token).context("this is no token")?;
    let (text, outcome) = told(&policies, &claims);
    emit("not verified: neither the signature nor the time was looked at\n")?;
    emit(&text)?;
    Ok(outcome)
}

/// What there is to say of a token with these claims.
fn told(policies: &PolicySet, claims: &Map<String, Value>) -> (String, Outcome) {
    let mut text = String::new();
    let iss = claims.get("iss").and_then(Value::as_str).unwrap_or_default();
    let Some(issuer) = policies.issuers().by_issuer(iss) else {
        text.push_str(&unknown_issuer(policies, iss));
        return (text, Outcome::No);
    };
    let _ = writeln!(text, "issuer: {} ({iss})", issuer.name);
    let refused = refused(issuer, claims);
    for why in &refused {
        let _ = writeln!(text, "refused: {}", printable(why));
    }
    let is_taken = refused.is_empty();
    match policies.federation().client_of(&issuer.name, claims) {
        Ok(found) => {
            let is_good = stands_for(&mut text, &found, claims);
            (text, if is_taken && is_good { Outcome::Done } else { Outcome::No })
        }
        Err(_) => {
            differing(&mut text, &policies.federation().compare(&issuer.name, claims));
            (text, Outcome::No)
        }
    }
}

fn unknown_issuer(policies: &PolicySet, iss: &str) -> String {
    let known = || policies.issuers().iter().map(|issuer| issuer.issuer.as_str());
    if iss.is_empty() {
        return "no client: the token has no `iss`\n".to_owned();
    }
    let hint = did_you_mean(iss, known()).unwrap_or_else(|| {
        let known: Vec<_> = known().map(|known| format!("`{known}`")).collect();
        if known.is_empty() {
            "the policies name none".to_owned()
        } else {
            format!("the policies name {}", known.join(", "))
        }
    });
    format!("no client: {} is no issuer of the policies: {hint}\n", printable(&format!("`{iss}`")))
}

/// Tells of the client; `false` where it gets no token all the same.
fn stands_for(text: &mut String, found: &FederatedMatch<'_>, claims: &Map<String, Value>) -> bool {
    let client = found.client;
    let _ = writeln!(text, "client: {}", client.id);
    for (name, value) in &found.claims {
        let _ = writeln!(text, "takes over: {} = {}", printable(name), printable(&value.to_string()));
    }
    let is_enabled = client.state == ClientState::Enabled;
    if !is_enabled {
        text.push_str("refused: the client is disabled\n");
    }
    let iat = claims.get("iat").and_then(Value::as_f64);
    let is_revoked = client.revoked_before.zip(iat).is_some_and(|(before, iat)| iat < before as f64);
    if is_revoked {
        text.push_str("refused: the token was issued before the client's `revoked_before`\n");
    }
    is_enabled && !is_revoked
}

/// Why no token with these claims is taken, whoever it would stand for.
fn refused(issuer: &TrustedIssuer, claims: &Map<String, Value>) -> Vec<String> {
    let mut refused = Vec::new();
    if !issuer.enabled {
        refused.push(format!("the issuer `{}` is disabled in the policies", issuer.name));
    }
    let audience = issuer.audience.as_str();
    let is_ours = match claims.get("aud") {
        Some(Value::String(aud)) => aud == audience,
        Some(Value::Array(several)) => matches!(several.as_slice(), [Value::String(aud)] if aud == audience),
        _ => false,
    };
    if !is_ours {
        let aud = claims.get("aud").map_or_else(|| "not there".to_owned(), Value::to_string);
        refused.push(format!("`aud` is {aud}, and the policies want `{audience}` alone"));
    }
    let [iat, exp] = ["iat", "exp"].map(|name| claims.get(name).and_then(Value::as_f64));
    match iat.zip(exp) {
        None => refused.push("`iat` and `exp` are not both there".to_owned()),
        Some((iat, exp)) if exp - iat > issuer.max_lifetime.as_secs_f64() => refused.push(format!(
            "its lifetime is {} s, and `max_lifetime` is {} s",
            exp - iat,
            issuer.max_lifetime.as_secs()
        )),
        Some(_) => {}
    }
    if issuer.single_use && !claims.get("jti").is_some_and(Value::is_string) {
        refused.push("it has no `jti`, and the policies say `single_use`".to_owned());
    }
    refused
}

/// What differs for each client, the nearest first.
fn differing(text: &mut String, compared: &[ComparedClient<'_>]) {
    if compared.is_empty() {
        text.push_str("no client: none has this issuer under `federated`\n");
        return;
    }
    text.push_str("no client: the nearest first, with what differs\n");
    for ComparedClient { client, differing, .. } in compared.iter().take(MOST_CLIENTS) {
        let _ = writeln!(text, "{}", client.id);
        for claim in differing {
            let _ = writeln!(text, "  {claim}");
        }
    }
    if let Some(more) = compared.len().checked_sub(MOST_CLIENTS).filter(|more| *more > 0) {
        let _ = writeln!(text, "and {more} more");
    }
}
