//! `jeton clients match`: which client a token of another issuer stands for, or what differs.

use std::{path::Path, sync::Arc};

use clap::Args;
use jeton_oauth::{
    Confirmation,
    clock::{Clock, SystemClock},
    text::{printable, shortened},
};
use jeton_policy::{
    DemoSecrets, PolicySet, PolicySources, did_you_mean,
    federation::{ComparedClient, FederatedMatch, Issuers},
};
use jiff::Timestamp;
use serde_json::Value;

use super::super::{Outcome, emit, settings, surroundings, token::token_text};
use crate::{
    binding::ProvenBinding,
    config::{NeededFolders, Settings},
    federation::{
        FederationError, FederationRefused, FollowedIssuers, ForeignVerifier, KeyFetchOptions, ShownAt,
        UnreadToken, UnverifiedToken,
    },
    inspect::pasted,
    store::{MemoryStore, Store},
};

#[derive(Args)]
pub(in crate::cli) struct Match {
    /// The token. Default: standard input.
    jwt: Option<String>,
    /// Believe the token without its signature, and although it has expired.
    #[arg(long)]
    unverified: bool,
    /// Show what differs for every client, also where that is more than a screen.
    #[arg(long)]
    all: bool,
}

/// The screen of somebody who asks, in lines and characters.
const SCREEN: (usize, usize) = (24, 100);
/// How many issuers are named where a token is of none of them.
const MOST_ISSUERS: usize = 8;
/// How many characters of a value are shown.
const LONGEST_SHOWN: usize = 200;

/// An answer that fits on a screen.
struct Screen {
    text: String,
    /// The rows that are left.
    left: usize,
}

impl Screen {
    fn new(all: bool) -> Self {
        Self { text: String::new(), left: if all { usize::MAX } else { SCREEN.0 } }
    }

    /// Adds a line, whatever is left.
    fn add(&mut self, line: &str) {
        self.left = self.left.saturating_sub(rows(line));
        self.text.extend([line, "\n"]);
    }

    /// Adds lines, if so many rows are left after them.
    fn adds(&mut self, lines: &[String], left_after: usize) -> bool {
        let needed: usize = lines.iter().map(|line| rows(line)).sum();
        let fit = needed.saturating_add(left_after) <= self.left;
        if fit {
            for line in lines {
                self.add(line);
            }
        }
        fit
    }

    /// Adds as many of these lines as fit, and says how many others there are.
    fn add_some(&mut self, lines: &[String], left_after: usize, others: &str) {
        let mut lines = lines.iter().peekable();
        while let Some(line) = lines.next_if(|line| self.left > rows(line) + left_after) {
            self.add(line);
        }
        match lines.count() {
            0 => {}
            more => self.add(&format!("{others}{more} more")),
        }
    }
}

/// How many rows a line takes.
fn rows(line: &str) -> usize {
    line.chars().count().div_ceil(SCREEN.1).max(1)
}

pub(super) fn run(command: Match, config: Option<&Path>) -> anyhow::Result<Outcome> {
    let settings = settings(NeededFolders::Policies, config)?;
    let policies = PolicySources::read(&settings.policies.dir).and_then(|sources| {
        PolicySet::compile(&sources, &surroundings(&settings, DemoSecrets::Allowed), SystemClock.now())
    });
    let policies =
        policies.map_err(|findings| anyhow::Error::new(findings).context("the policies do not load"))?;
    let sent = token_text(command.jwt)?;
    anyhow::ensure!(!sent.trim().is_empty(), "there is no token: standard input is empty");
    let sent = pasted(&sent);
    let mut screen = Screen::new(command.all);
    if command.unverified {
        screen.add("not verified: neither the signature nor `exp` was looked at");
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
            screen.add(&format!("no client: {why}"));
            emit(&screen.text)?;
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
    let other =
        if command.unverified { None } else { verification(&settings, &policies, (&token, sent), now)? };
    let other = other.filter(|why| !known.contains(why));
    screen.add(&format!("issuer: {name} ({})", short(iss.as_str())));
    let mut is_taken = true;
    let mut refuse = |screen: &mut Screen, why: &str| {
        is_taken = false;
        screen.add(&format!("refused: {}", printable(why)));
    };
    if let Some(why) = &other {
        refuse(&mut screen, why);
    }
    for fault in &faults {
        let hint = match fault {
            FederationError::Expired { .. } => "; look at it with `--unverified`",
            _ => "",
        };
        refuse(&mut screen, &format!("{fault}{hint}"));
    }
    if let Ok(Some(bound_to)) = token.confirmation() {
        screen.add(&format!("bound: it counts only with {}", needed_beside(bound_to)));
    }
    match &found {
        Some(found) => {
            screen.add(&format!("client: {}", found.client.id));
            if let Some(fault) = &of_client {
                refuse(&mut screen, &fault.to_string());
            }
            taken_over(&mut screen, found);
        }
        None => differing(&mut screen, &policies.federation().compare(name, &token.claims)),
    }
    emit(&screen.text)?;
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
        // by itself, a token comes with nothing to which it may be bound
        verifier.verify(policies, sent, None, &ProvenBinding::of_connection(None), now).await
    });
    let Err(FederationRefused { error, .. }) = outcome else { return Ok(None) };
    Ok(match error {
        FederationError::NoMatch(_) | FederationError::NotHeld(_) => None,
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

/// What a request with a bound token must have too.
fn needed_beside(bound_to: Confirmation) -> String {
    let key = bound_to.jkt().map(|key| format!("a DPoP proof by the key `{key}`"));
    let certificate = bound_to.x5t_s256();
    let certificate = certificate.map(|hash| format!("the client certificate with the SHA-256 `{hash}`"));
    key.into_iter().chain(certificate).collect::<Vec<_>>().join(", and ")
}

fn unknown_issuer(policies: &PolicySet, iss: &str) -> String {
    let known = || policies.issuers().iter().map(|issuer| issuer.issuer.as_str());
    let hint = did_you_mean(iss, known()).unwrap_or_else(|| {
        let mut named: Vec<_> = known().take(MOST_ISSUERS).map(|known| format!("`{known}`")).collect();
        let more = known().count().saturating_sub(named.len());
        if named.is_empty() {
            return "the policies name none".to_owned();
        }
        if more > 0 {
            named.push(format!("and {more} more"));
        }
        format!("the policies name {}", named.join(", "))
    });
    format!("{} is no issuer of the policies: {hint}", short(&format!("`{iss}`")))
}

/// What the client's tokens take over.
fn taken_over(screen: &mut Screen, found: &FederatedMatch<'_>) {
    let line = |(name, value): (&String, &Value)| {
        format!("takes over: {} = {}", printable(name), short(&value.to_string()))
    };
    let lines: Vec<_> = found.claims.iter().map(line).collect();
    screen.add_some(&lines, 0, "takes over: ");
}

/// What differs for each client, the nearest first.
fn differing(screen: &mut Screen, compared: &[ComparedClient<'_>]) {
    if compared.is_empty() {
        screen.add("no client: none has this issuer under `federated`");
        return;
    }
    screen.add("no client: the nearest first, with what differs");
    for (position, ComparedClient { client, differing, .. }) in compared.iter().enumerate() {
        let lines: Vec<_> = differing.iter().map(|claim| format!("  {claim}")).collect();
        let others = compared.len().saturating_sub(position + 1);
        let whole = [&[client.id.to_string()], lines.as_slice()].concat();
        if screen.adds(&whole, others.min(1)) {
            continue;
        }
        let mut more = others;
        if position == 0 {
            // the nearest at least, as far as it goes
            screen.add(client.id.as_str());
            screen.add_some(&lines, others.min(1), "  and ");
        } else {
            more += 1;
        }
        if more > 0 {
            let clients = if more == 1 { "client" } else { "clients" };
            screen.add(&format!("and {more} more {clients} of this issuer: `--all` shows them"));
        }
        return;
    }
}

/// A value that others may have written, safe to print, and of two or three rows.
fn short(value: &str) -> String {
    shortened(&printable(value), LONGEST_SHOWN).into_owned()
}
