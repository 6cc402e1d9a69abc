//! `jeton clients match`: which client a token of another issuer stands for, or what differs.

use std::{fmt::Write, path::Path, sync::Arc};

use clap::Args;
use jeton_oauth::{
    clock::{Clock, SystemClock},
    text::printable,
};
use jeton_policy::{
    DemoSecrets, PolicySet, PolicySources, did_you_mean,
    federation::{ComparedClient, FederatedMatch, Issuers},
};
use jiff::Timestamp;

use super::super::{
    Outcome, emit, settings, surroundings,
    token::{pasted, token_text},
};
use crate::{
    config::{NeededFolders, Settings},
    federation::{
        FederationError, FederationRefused, FollowedIssuers, ForeignVerifier, KeyFetchOptions, ShownAt,
        UnreadToken, UnverifiedToken,
    },
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
    let sent = token_text(command.jwt)?;
    let sent = pasted(&sent);
    let mut text = String::new();
    if command.unverified {
        text.push_str("not verified: neither the signature nor `exp` was looked at\n");
    }
    let token = match UnverifiedToken::read(policies.issuers(), sent) {
        Ok(token) => token,
        Err(UnreadToken { error: error @ FederationError::Jws(_), .. }) => {
            return Err(anyhow::Error::new(error).context("this is no token"));
        }
        Err(UnreadToken { error, .. }) => {
            let why = match error {
                FederationError::UnknownIssuer { iss } => unknown_issuer(&policies, &iss),
                error => error.to_string(),
            };
            emit(&format!("{text}no client: {why}\n"))?;
            return Ok(Outcome::No);
        }
    };
    let (name, iss) = (&token.issuer.name, &token.issuer.issuer);
    let now = SystemClock.now();
    let at = ShownAt::new(now, settings.tokens.leeway);
    let mut faults = token.faults(at);
    if command.unverified {
        faults.retain(|fault| !matches!(fault, FederationError::Expired { .. }));
    }
    let found = policies.federation().client_of(name, &token.claims).ok();
    let of_client = found.as_ref().and_then(|found| token.check_client(found.client, at).err());
    let known: Vec<_> = faults.iter().chain(&of_client).map(FederationError::to_string).collect();
    let other = match command.unverified {
        true => None,
        false => verification(&settings, &policies, (&token, sent), now)?,
    };
    let other = other.filter(|why| !known.contains(why));
    let _ = writeln!(text, "issuer: {name} ({iss})");
    let mut is_taken = true;
    let mut refuse = |text: &mut String, why: &str| {
        is_taken = false;
        let _ = writeln!(text, "refused: {}", printable(why));
    };
    other.iter().for_each(|why| refuse(&mut text, why));
    for fault in &faults {
        let hint = match fault {
            FederationError::Expired { .. } => "; look at it with `--unverified`",
            _ => "",
        };
        refuse(&mut text, &format!("{fault}{hint}"));
    }
    match &found {
        Some(found) => stands_for(&mut text, found),
        None => differing(&mut text, &policies.federation().compare(name, &token.claims)),
    }
    of_client.iter().for_each(|fault| refuse(&mut text, &fault.to_string()));
    emit(&text)?;
    Ok(if is_taken && found.is_some() { Outcome::Done } else { Outcome::No })
}

/// Why the service would refuse the token, by keys that are fetched now; but for what differs for each client.
fn verification(
    settings: &Settings,
    policies: &PolicySet,
    (token, sent): (&UnverifiedToken<'_>, &str),
    now: Timestamp,
) -> anyhow::Result<Option<String>> {
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let fetch = KeyFetchOptions {
        proxy: settings.fetch.proxy.clone(),
        token_dirs: settings.federation.token_dirs.clone(),
    };
    let only: Issuers = [token.issuer.as_ref().clone()].into_iter().collect();
    let followed = Arc::new(FollowedIssuers::new(fetch, Arc::new(()), Arc::clone(&clock)));
    // a token that is looked at is not used up
    let store = Arc::new(Store::Memory(MemoryStore::new(clock)));
    let verifier = ForeignVerifier::new(Arc::clone(&followed), store, settings.tokens.leeway);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let outcome = runtime.block_on(async {
        followed.follow(&only);
        verifier.verify(policies, sent, None, now).await
    });
    let Err(FederationRefused { error, .. }) = outcome else { return Ok(None) };
    Ok(match error {
        FederationError::NoMatch(_) => None,
        FederationError::NoKeys => {
            let failure = followed.states(&only).into_iter().find_map(|state| state.failure);
            let why = failure.map_or_else(|| error.to_string(), |failure| failure.error);
            Some(format!(
                "the keys of the issuer cannot be had here: {why}; look at the token with `--unverified`"
            ))
        }
        error => Some(error.to_string()),
    })
}

fn unknown_issuer(policies: &PolicySet, iss: &str) -> String {
    let known = || policies.issuers().iter().map(|issuer| issuer.issuer.as_str());
    let hint = did_you_mean(iss, known()).unwrap_or_else(|| {
        let known: Vec<_> = known().map(|known| format!("`{known}`")).collect();
        if known.is_empty() {
            "the policies name none".to_owned()
        } else {
            format!("the policies name {}", known.join(", "))
        }
    });
    format!("{} is no issuer of the policies: {hint}", printable(&format!("`{iss}`")))
}

fn stands_for(text: &mut String, found: &FederatedMatch<'_>) {
    let _ = writeln!(text, "client: {}", found.client.id);
    for (name, value) in &found.claims {
        let _ = writeln!(text, "takes over: {} = {}", printable(name), printable(&value.to_string()));
    }
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
