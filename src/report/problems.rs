//! What an operator should mend, as far as a replica sees it: the worst first.

use jeton_policy::{
    Finding, PolicySnapshot, Severity,
    clients::{Client, ClientState, DEMO_SECRETS, StoredSecret},
};
use jiff::{SignedDuration, Timestamp};
use serde::Serialize;

use super::{Overview, key_errors};
use crate::{
    federation::{IssuerStanding, IssuerState},
    store::StoreState,
    tls::{TlsErrors, Validity},
};

/// How long before its end a secret is to be replaced, as a certificate is.
const SOON: SignedDuration = SignedDuration::from_hours(14 * 24);
/// For how long a key signs without anybody who thinks of the next one, at most.
const LONG: SignedDuration = SignedDuration::from_hours(365 * 24);
/// How many problems of one kind are listed, at most.
const MOST_OF_A_KIND: usize = 20;

/// The views of the console where a problem is seen.
const CLIENTS: &str = "#/clients";
const DIFF: &str = "#/diff";
const KEYS: &str = "#/keys";
const TRY: &str = "#/try";

/// Something to be mended.
#[derive(Debug, Serialize)]
pub(super) struct Problem {
    severity: Severity,
    /// What is wrong.
    what: String,
    /// What to do.
    fix: Option<String>,
    /// Where more of it is seen.
    view: Option<&'static str>,
}

impl Problem {
    fn error(what: impl Into<String>) -> Self {
        Self { severity: Severity::Error, what: what.into(), fix: None, view: None }
    }

    fn warning(what: impl Into<String>) -> Self {
        Self { severity: Severity::Warning, ..Self::error(what) }
    }

    fn fix(self, fix: impl Into<String>) -> Self {
        Self { fix: Some(fix.into()), ..self }
    }

    fn seen_at(self, view: &'static str) -> Self {
        Self { view: Some(view), ..self }
    }
}

/// Everything that is wrong now.
pub(super) fn of(
    overview: &Overview,
    snapshot: &PolicySnapshot,
    warnings: &[Finding],
    issuers: &[IssuerState],
    is_draining: bool,
) -> Vec<Problem> {
    let now = overview.clock.now();
    let mut problems = Vec::new();
    if is_draining {
        let what = "the server ends: probes are told to send no more requests";
        problems.push(Problem::error(what).fix("start another replica, unless this is meant"));
    }
    problems.extend(of_store(overview.store.state()));
    problems.extend(of_policies(overview));
    problems.extend(of_keys(overview, now));
    problems.extend(of_tls(overview));
    problems.extend(issuers.iter().filter_map(of_issuer));
    let secrets = clients_of(snapshot).into_iter().filter_map(|client| of_secrets(client, now));
    problems.extend(few(secrets, "secrets like these"));
    problems.extend(of_candidate(overview));
    problems.extend(of_decision_log(overview));
    problems.extend(of_demo_secrets(snapshot));
    problems.extend(few(warnings.iter().map(of_warning), "warnings of the policies"));
    // this keeps the order among equals
    problems.sort_by_key(|problem| problem.severity);
    problems
}

/// The worst of them, and how many more there are of what they are.
fn few(problems: impl Iterator<Item = Problem>, of_what: &str) -> Vec<Problem> {
    let mut problems: Vec<_> = problems.collect();
    problems.sort_by_key(|problem| problem.severity);
    let more = problems.len().saturating_sub(MOST_OF_A_KIND);
    problems.truncate(MOST_OF_A_KIND);
    if let Some(Problem { view, .. }) = problems.last()
        && more > 0
    {
        let view = *view;
        problems.push(Problem { view, ..Problem::warning(format!("there are {more} more {of_what}")) });
    }
    problems
}

fn of_store(state: StoreState) -> Option<Problem> {
    let what = match state {
        StoreState::Memory | StoreState::Ready => return None,
        StoreState::NotYetRead => {
            "the shared store was not read yet: no token can be judged, and this replica is not ready"
        }
        StoreState::Unreachable => {
            "the shared store does not answer: refresh tokens, client assertions and revocations fail"
        }
    };
    Some(Problem::error(what).fix("start the server of `store.url`, or let this replica reach it"))
}

fn of_policies(overview: &Overview) -> Option<Problem> {
    let rejection = overview.policies.last_rejection()?;
    let what =
        format!("the policies were not reloaded at {:.0}: {}", rejection.at, first(&rejection.faults.0));
    let fix = format!(
        "correct the files: `jeton policies check {}` shows everything that is wrong; until then the last good policies \
         stay in force",
        overview.dir.display()
    );
    Some(Problem::error(what).fix(fix))
}

fn of_candidate(overview: &Overview) -> Option<Problem> {
    let rejection = overview.audit.shadow()?.candidate().last_rejection()?;
    let what = format!(
        "the candidate policies were not loaded at {:.0}: {}",
        rejection.at,
        first(&rejection.faults.0)
    );
    Some(Problem::warning(what).fix("correct the files of `policies.candidate`").seen_at(DIFF))
}

/// The first finding that is an error, and how many more there are.
fn first(findings: &[Finding]) -> String {
    let mut errors = findings.iter().filter(|finding| finding.severity == Severity::Error);
    match (errors.next(), errors.count()) {
        (None, _) => "without a finding".to_owned(),
        (Some(first), 0) => format!("{}: {}", first.place(), first.message),
        (Some(first), more) => format!("{}: {} (and {more} more)", first.place(), first.message),
    }
}

fn of_keys(overview: &Overview, now: Timestamp) -> Vec<Problem> {
    let keys = &overview.keys;
    let rejection = keys.last_rejection().map(|rejection| {
        let errors = key_errors(&rejection.faults);
        let what = format!("the keys were not reloaded at {:.0}: {}", rejection.at, list(&errors));
        Problem::error(what)
            .fix("correct the folder `keys.dir`; until then the last good keys stay in force")
            .seen_at(KEYS)
    });
    let successor = no_successor(overview, now).map(|problem| problem.seen_at(KEYS));
    rejection.into_iter().chain(successor).collect()
}

/// What is wrong where no key follows the one that signs.
fn no_successor(overview: &Overview, now: Timestamp) -> Option<Problem> {
    let (keys, ring) = (&overview.keys, overview.keys.ring());
    let signing = ring.keys().iter().find(|key| key.kid == *ring.signing().kid())?;
    let has_next = ring.keys().iter().any(|key| key.activates > now);
    if has_next {
        return None;
    }
    let (kid, since) = (&signing.kid, signing.activates);
    let by_hand = "run `jeton keys rotate`";
    let Some(every) = keys.terms().rotate_every else {
        return (now.duration_since(since) > LONG).then(|| {
            Problem::warning(format!("key `{kid}` signs since {since}, and no key is next"))
                .fix(format!("{by_hand}, or set `keys.rotate_every`"))
        });
    };
    if now.duration_since(since) >= every {
        let what = format!(
            "key `{kid}` signs since {since}, longer than `keys.rotate_every` allows, and no key is next"
        );
        return Some(
            Problem::error(what).fix(format!("{by_hand}, or let the servers write the folder `keys.dir`")),
        );
    }
    keys.is_rotation_due().then(|| {
        Problem::warning(format!("no key is next, and it is time for one: key `{kid}` signs since {since}"))
            .fix(format!("{by_hand}, or let the servers write the folder `keys.dir`"))
    })
}

fn of_tls(overview: &Overview) -> Vec<Problem> {
    let mut problems = Vec::new();
    for certificate in overview.certificates.iter() {
        let listener = certificate.listener().as_str();
        if let Some(rejection) = certificate.last_rejection() {
            let errors = errors_of(&rejection.faults);
            let what =
                format!("the certificate of `{listener}` was not reloaded at {:.0}: {errors}", rejection.at);
            problems
                .push(Problem::error(what).fix("correct the files; until then the last good pair is served"));
        }
        let fix = format!("replace the files of `{listener}.tls`: they are read again by themselves");
        let ends = match certificate.validity() {
            Validity::Good => None,
            Validity::EndsSoon(at) => {
                Some(Problem::warning(format!("the certificate of `{listener}` ends at {at}")))
            }
            Validity::NotYet(at) => Some(Problem::error(format!(
                "the certificate of `{listener}` begins at {at} only: clients do not take it before"
            ))),
            Validity::Ended(at) => Some(Problem::error(format!(
                "the certificate of `{listener}` ended at {at}: clients do not take it"
            ))),
        };
        problems.extend(ends.map(|problem| problem.fix(fix)));
    }
    if let Some(rejection) =
        overview.authorities.as_ref().and_then(|authorities| authorities.last_rejection())
    {
        let errors = errors_of(&rejection.faults);
        let what = format!("the authorities of clients were not reloaded at {:.0}: {errors}", rejection.at);
        let fix = "correct the file of `server.client_ca_file`; until then the last good one counts";
        problems.push(Problem::error(what).fix(fix));
    }
    problems
}

fn errors_of(errors: &TlsErrors) -> String {
    list(&errors.0.iter().map(ToString::to_string).collect::<Vec<_>>())
}

/// The first of them, and how many more there are.
fn list(errors: &[String]) -> String {
    match errors {
        [] => "without a reason".to_owned(),
        [only] => only.clone(),
        [first, more @ ..] => format!("{first} (and {} more)", more.len()),
    }
}

fn of_issuer(state: &IssuerState) -> Option<Problem> {
    let (name, failure) = (&state.issuer.name, state.failure.as_ref());
    let why = failure.map(|failure| format!(": {}", failure.error)).unwrap_or_default();
    let problem = match state.standing {
        IssuerStanding::Ready | IssuerStanding::Disabled => return None,
        IssuerStanding::Failing => {
            Problem::warning(format!("the keys of issuer `{name}` could not be fetched anew{why}"))
        }
        IssuerStanding::Expired => Problem::error(format!(
            "the keys of issuer `{name}` do not count any more, for they were not fetched for a day{why}"
        )),
        IssuerStanding::NoKeys => {
            Problem::error(format!("there are no keys of issuer `{name}`: its clients get no token{why}"))
        }
    };
    Some(problem.fix("let this replica reach the issuer, or correct its entry in the policies"))
}

/// The clients in the order of their ids.
fn clients_of(snapshot: &PolicySnapshot) -> Vec<&Client> {
    let mut clients: Vec<&Client> = snapshot.policies.clients().iter().map(|client| &**client).collect();
    clients.sort_by_key(|client| &client.id);
    clients
}

/// Of a client whose last secret expires soon or has expired.
fn of_secrets(client: &Client, now: Timestamp) -> Option<Problem> {
    if client.state != ClientState::Enabled {
        return None;
    }
    // one without an end comes last
    let end = |secret: &StoredSecret| secret.expires.unwrap_or(Timestamp::MAX);
    let last = client.secrets.iter().max_by_key(|secret| end(secret))?;
    let expires = last.expires.filter(|expires| expires.duration_since(now) <= SOON)?;
    let (id, secret) = (&client.id, last.sha256.beginning());
    let problem = if expires > now {
        Problem::warning(format!("the last secret of client `{id}` ({secret}) expires at {expires}"))
    } else {
        Problem::error(format!("the last secret of client `{id}` ({secret}) expired at {expires}"))
    };
    let fix =
        "give it another one by `jeton clients rotate`, or remove the secrets that it does not use any more";
    Some(problem.fix(fix).seen_at(CLIENTS))
}

fn of_decision_log(overview: &Overview) -> Option<Problem> {
    let lost = overview.audit.log().map_or(0, |log| log.lost());
    (lost > 0).then(|| {
        Problem::warning(format!("the decision log lacks {lost} decisions since the start of this replica"))
            .fix("look at the disk of `log.decisions`: it is full or slow")
    })
}

fn of_demo_secrets(snapshot: &PolicySnapshot) -> Option<Problem> {
    let is_public = |secret: &StoredSecret| DEMO_SECRETS.contains(&secret.sha256.to_string().as_str());
    let clients = clients_of(snapshot);
    let mut known = clients.into_iter().filter(|client| client.secrets.iter().any(is_public));
    let (first, more) = (known.next()?, known.count());
    let whose = match more {
        0 => format!("client `{}`", first.id),
        more => format!("`{}` and {more} more clients", first.id),
    };
    let what = format!("everybody knows a secret of {whose} from the documentation");
    let fix = "replace them by `jeton clients rotate` before others can reach the server";
    Some(Problem::warning(what).fix(fix).seen_at(CLIENTS))
}

fn of_warning(finding: &Finding) -> Problem {
    let what = format!("{}: {} [{}]", finding.place(), finding.message, finding.code);
    Problem { fix: finding.hint.clone(), ..Problem::warning(what) }.seen_at(TRY)
}
