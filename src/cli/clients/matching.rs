//! `jeton clients match`: which client a token of another issuer stands for, or what differs.

use std::{fmt::Write, path::Path, sync::Arc};

use anyhow::Context;
use clap::Args;
use jeton_oauth::{
    clock::{Clock, SystemClock},
    text::printable,
};
use jeton_policy::{
    DemoSecrets, PolicySet, PolicySources,
    clients::{Client, ClientState},
    did_you_mean,
    federation::{ComparedClient, FederatedMatch, Issuers, TrustedIssuer},
};
use jeton_verify::{BearerToken, InsecureParts, insecure_parts};
use serde_json::{Map, Value};

use super::super::{
    Outcome, emit, settings, surroundings,
    token::{pasted, token_text},
};
use crate::{
    config::{NeededFolders, Settings},
    federation::{FederationError, FederationRefused, FollowedIssuers, ForeignVerifier, KeyFetchOptions},
    store::{MemoryStore, Store},
};

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
    let settings = settings(NeededFolders::Policies, config)?;
    let policies = PolicySources::read(&settings.policies.dir).and_then(|sources| {
        PolicySet::compile(&sources, &surroundings(&settings, DemoSecrets::Allowed), SystemClock.now())
    });
    let policies =
        policies.map_err(|findings| anyhow::Error::new(findings).context("the policies do not load"))?;
    let text = token_text(command.jwt)?;
    let token = pasted(&text);
    let parts = insecure_parts(&BearerToken::new(token)).context("this is no token")?;
    let InsecureParts { claims, .. } = parts;
    if command.unverified {
        emit("not verified: neither the signature nor the time was looked at\n")?;
    }
    let iss = claims.get("iss").and_then(Value::as_str).unwrap_or_default();
    let Some(issuer) = policies.issuers().by_issuer(iss) else {
        emit(&unknown_issuer(&policies, iss))?;
        return Ok(Outcome::No);
    };
    let mut text = format!("issuer: {} ({iss})\n", issuer.name);
    let mut is_taken = true;
    let mut refuse = |text: &mut String, why: Vec<String>| {
        is_taken &= why.is_empty();
        for why in why {
            let _ = writeln!(text, "refused: {}", printable(&why));
        }
    };
    let why = if command.unverified {
        refused(issuer, &claims)
    } else {
        verification(&settings, &policies, issuer, token, &claims)?
    };
    refuse(&mut text, why);
    let found = policies.federation().client_of(&issuer.name, &claims).ok();
    match &found {
        Some(found) => stands_for(&mut text, found),
        None => differing(&mut text, &policies.federation().compare(&issuer.name, &claims)),
    }
    if let Some(found) = found.as_ref().filter(|_| command.unverified) {
        refuse(&mut text, client_refused(found.client, &claims));
    }
    emit(&text)?;
    Ok(if is_taken && found.is_some() { Outcome::Done } else { Outcome::No })
}

/// Why the service would refuse the token, by keys that are fetched now; but for what differs for each client.
fn verification(
    settings: &Settings,
    policies: &PolicySet,
    issuer: &TrustedIssuer,
    token: &str,
    claims: &Map<String, Value>,
) -> anyhow::Result<Vec<String>> {
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let fetch = KeyFetchOptions {
        proxy: settings.fetch.proxy.clone(),
        token_dirs: settings.federation.token_dirs.clone(),
    };
    let only: Issuers = [issuer.clone()].into_iter().collect();
    let followed = Arc::new(FollowedIssuers::new(fetch, Arc::new(()), Arc::clone(&clock)));
    // a token that is looked at is not used up
    let store = Arc::new(Store::Memory(MemoryStore::new(Arc::clone(&clock))));
    let verifier = ForeignVerifier::new(Arc::clone(&followed), store, settings.tokens.leeway);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let outcome = runtime.block_on(async {
        followed.follow(&only);
        verifier.verify(policies, token, None, clock.now()).await
    });
    let Err(FederationRefused { error, .. }) = outcome else { return Ok(Vec::new()) };
    // with both values, where it is one of these
    let refused = refused(issuer, claims);
    Ok(match error {
        // whoever signed it, what it says counts for nothing
        FederationError::Jws(_) => [error.to_string()].into_iter().chain(refused).collect(),
        _ if !refused.is_empty() => refused,
        FederationError::NoMatch(_) => refused,
        FederationError::NoKeys => {
            let failure = followed.states(&only).into_iter().find_map(|state| state.failure);
            let why = failure.map_or_else(|| error.to_string(), |failure| failure.error);
            vec![format!(
                "the keys of the issuer cannot be had here: {why}; look at the token with `--unverified`"
            )]
        }
        FederationError::Expired { .. } => vec![format!("{error}; look at it with `--unverified`")],
        error => vec![error.to_string()],
    })
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

fn stands_for(text: &mut String, found: &FederatedMatch<'_>) {
    let _ = writeln!(text, "client: {}", found.client.id);
    for (name, value) in &found.claims {
        let _ = writeln!(text, "takes over: {} = {}", printable(name), printable(&value.to_string()));
    }
}

/// Why the client gets no token all the same.
fn client_refused(client: &Client, claims: &Map<String, Value>) -> Vec<String> {
    let iat = claims.get("iat").and_then(Value::as_i64);
    let is_revoked = client.revoked_before.zip(iat).is_some_and(|(before, iat)| iat < before);
    let refused = [
        (client.state == ClientState::Disabled, "the client is disabled"),
        (is_revoked, "the token was issued before the client's `revoked_before`"),
    ];
    refused.into_iter().filter(|(is_so, _)| *is_so).map(|(_, why)| why.to_owned()).collect()
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
