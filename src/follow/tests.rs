//! Readings that panic, and the poll behind them.

use std::{
    fs,
    io::{self, Write},
    path::Path,
    sync::{
        Mutex,
        atomic::{AtomicBool, Ordering},
    },
};

use jeton_oauth::{
    Audience, Issuer, SignatureAlgorithm,
    clock::{Clock, ManualClock},
};
use jeton_policy::{CandidatePolicies, DemoSecrets, LivePolicies, Surroundings};
use jiff::{SignedDuration, Timestamp};
use serde_json::Value;
use tempfile::TempDir;
use tokio::sync::mpsc::{self, UnboundedSender};
use tracing::subscriber::DefaultGuard;

use super::*;
use crate::{
    bundles::PolicyBundles,
    federation::{FollowedIssuers, KeyFetchOptions},
    keys::{KeyFolder, KeyKeeper, KeyTerms, LiveKeys},
    store::{MemoryStore, Store},
    telemetry::{
        Telemetry,
        metrics::{Metrics, ObservedState},
    },
    tls::{Certificates, ClientCertificates, LiveCertificate},
};

/// A clock that panics once when it is told to.
struct BrokenOnce {
    clock: ManualClock,
    is_broken: AtomicBool,
}

impl Clock for BrokenOnce {
    fn now(&self) -> Timestamp {
        assert!(!self.is_broken.swap(false, Ordering::SeqCst), "the clock is broken");
        self.clock.now()
    }
}

/// What this thread logs.
#[derive(Clone, Default)]
struct Captured(Arc<Mutex<Vec<u8>>>);

impl Write for Captured {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Captured {
    fn start() -> (Self, DefaultGuard) {
        let captured = Self::default();
        let writer = captured.clone();
        let subscriber =
            tracing_subscriber::fmt().json().flatten_event(true).with_writer(move || writer.clone()).finish();
        (captured, tracing::subscriber::set_default(subscriber))
    }

    /// The events since the last time.
    fn events(&self) -> Vec<String> {
        let text = String::from_utf8(std::mem::take(&mut *self.0.lock().unwrap())).unwrap();
        let lines = text.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
        lines.map(|line| line["message"].as_str().unwrap().split(':').next().unwrap().to_owned()).collect()
    }

    /// The one line since the last time: its message and its trigger.
    #[track_caller]
    fn line(&self) -> (String, String) {
        let text = String::from_utf8(std::mem::take(&mut *self.0.lock().unwrap())).unwrap();
        let line: Value = serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error}: {text}"));
        let member = |name: &str| line[name].as_str().unwrap().to_owned();
        (member("message"), member("trigger"))
    }
}

const SOUND: &str = "version: 1\n";

fn write_policies(dir: &Path, text: &str) {
    fs::create_dir_all(dir).unwrap();
    fs::write(dir.join("a.yaml"), text).unwrap();
}

fn in_words<T, F>(outcome: Option<&Reload<T, F>>) -> &'static str {
    match outcome {
        None => "panicked",
        Some(Reload::Rejected(_)) => "rejected",
        Some(Reload::Restored) => "restored",
        Some(_) => "something else",
    }
}

#[tokio::test]
async fn a_reading_that_panics_is_told_and_the_last_good_stays() {
    let (log, _guard) = Captured::start();
    let root = TempDir::new().unwrap();
    let [key_dir, policy_dir, candidate_dir] =
        ["keys", "policies", "candidate"].map(|name| root.path().join(name));
    let start = "2026-11-24T12:00:00Z".parse().unwrap();
    let broken = Arc::new(BrokenOnce { clock: ManualClock::at(start), is_broken: AtomicBool::new(false) });
    let clock = || Arc::clone(&broken) as Arc<dyn Clock>;
    let is_about_to_break = || broken.is_broken.store(true, Ordering::SeqCst);

    let terms = KeyTerms { algorithm: SignatureAlgorithm::Es256, ..KeyTerms::default() };
    fs::create_dir(&key_dir).unwrap();
    KeyKeeper::new(KeyFolder::new(&key_dir), terms, clock()).ensure_first_key(None).unwrap();
    let keys = Arc::new(LiveKeys::load(KeyFolder::new(&key_dir), terms, clock()).unwrap());
    let surroundings = Surroundings {
        issuer: Audience::parse("https://issuer.example").unwrap(),
        max_ttl: None,
        demo_secrets: DemoSecrets::Refused,
        needed_apis: Vec::new(),
    };
    write_policies(&policy_dir, SOUND);
    write_policies(&candidate_dir, SOUND);
    let policies = Arc::new(LivePolicies::load(&policy_dir, surroundings.clone(), clock()).unwrap());
    let candidate = Arc::new(CandidatePolicies::new(&candidate_dir, surroundings, clock()));
    candidate.reload();
    let kid = keys.ring().signing().kid().clone();
    let hash = policies.snapshot().policies.hash().clone();

    let teller = Teller::start();
    let followed_keys = Arc::new(FollowedKeys(Arc::clone(&keys)));
    let issuers = Arc::new(FollowedIssuers::new(KeyFetchOptions::default(), Arc::new(()), clock()));
    let issuer = Issuer::parse("https://tokens.example.com").unwrap();
    let bundles = PolicyBundles::new(issuer, Arc::clone(&keys), Arc::clone(&policies), clock());
    let state = ObservedState {
        policies: Arc::clone(&policies),
        bundles: Arc::new(bundles),
        keys: Arc::clone(&keys),
        certificates: Certificates::default(),
        store: Arc::new(Store::Memory(MemoryStore::new(clock()))),
        decisions: None,
        secret_uses: Arc::default(),
        issuers: Arc::clone(&issuers),
    };
    let telemetry = Arc::new(Telemetry::new(Arc::new(Metrics::new([]).unwrap()), state).unwrap());
    let followed_policies =
        Arc::new(FollowedPolicies::new(Arc::clone(&policies), telemetry, issuers, teller.clone()));
    let followed_candidate = Arc::new(FollowedCandidate { candidate: Arc::clone(&candidate), teller });
    let ring = fs::read_to_string(key_dir.join("keyring.yaml")).unwrap();
    // what is wrong is noted with the time
    fs::write(key_dir.join("keyring.yaml"), "keys: wrong\n").unwrap();
    write_policies(&policy_dir, "version: wrong\n");
    write_policies(&candidate_dir, "version: wrong\n");

    is_about_to_break();
    assert_eq!(in_words(read_again(&followed_keys, Trigger::Signal).await.as_ref()), "panicked");
    let told = |text: &str, trigger: &str| (text.to_owned(), trigger.to_owned());
    assert_eq!(log.line(), told("keys.rejected: the last good ones stay in force", "SIGHUP"));
    is_about_to_break();
    assert_eq!(in_words(read_again(&followed_policies, Trigger::Operator).await.as_ref()), "panicked");
    assert_eq!(log.line(), told("policies.rejected: the last good ones stay in force", "POST /ops/reload"));
    is_about_to_break();
    assert_eq!(in_words(read_again(&followed_candidate, Trigger::Signal).await.as_ref()), "panicked");
    let text = "candidate.rejected: the last good candidate stays in use, if there is one";
    assert_eq!(log.line(), told(text, "SIGHUP"));

    let fault = "reading it failed within jeton: please report this";
    for noted in [
        keys.last_rejection().unwrap().faults.to_string(),
        policies.last_rejection().unwrap().faults.to_string(),
        candidate.last_rejection().unwrap().faults.to_string(),
    ] {
        assert!(noted.contains(fault), "{noted}");
    }
    assert_eq!(*keys.ring().signing().kid(), kid);
    assert_eq!(*policies.snapshot().policies.hash(), hash);
    assert_eq!(*candidate.snapshot().unwrap().policies.hash(), hash);

    // and the next reading is one like any other
    assert_eq!(in_words(read_again(&followed_keys, Trigger::Signal).await.as_ref()), "rejected");
    assert_eq!(in_words(read_again(&followed_policies, Trigger::Signal).await.as_ref()), "rejected");
    assert_eq!(in_words(read_again(&followed_candidate, Trigger::Signal).await.as_ref()), "rejected");
    fs::write(key_dir.join("keyring.yaml"), ring).unwrap();
    write_policies(&policy_dir, SOUND);
    write_policies(&candidate_dir, SOUND);
    assert_eq!(in_words(read_again(&followed_keys, Trigger::Signal).await.as_ref()), "restored");
    assert_eq!(in_words(read_again(&followed_policies, Trigger::Signal).await.as_ref()), "restored");
    assert_eq!(in_words(read_again(&followed_candidate, Trigger::Signal).await.as_ref()), "restored");
}

/// Something that panics at its first poll, and does not hold still at its second.
struct Restless {
    polls: Mutex<usize>,
    events: UnboundedSender<(&'static str, time::Instant)>,
}

impl Restless {
    fn note(&self, event: &'static str) {
        self.events.send((event, time::Instant::now())).unwrap();
    }
}

impl Follow for Restless {
    type New = ();
    type Faults = ();

    fn poll(&self) -> Reload<(), ()> {
        let number = {
            let mut polls = self.polls.lock().unwrap();
            *polls += 1;
            *polls
        };
        match number {
            1 => panic!("a fault of ours"),
            2 => Reload::Unsettled,
            _ => Reload::Reloaded(()),
        }
    }

    fn reload(&self) -> Reload<(), ()> {
        panic!("nobody asked");
    }

    fn tell(&self, _: Trigger, outcome: &Reload<(), ()>) {
        self.note(if matches!(outcome, Reload::Unsettled) { "unsettled" } else { "reloaded" });
    }

    fn failed(&self, trigger: Trigger, error: &JoinError) {
        assert!(trigger == Trigger::Poll && error.is_panic());
        self.note("failed");
    }
}

#[tokio::test(start_paused = true)]
async fn a_poll_that_panics_is_not_the_last() {
    let (events, mut seen) = mpsc::unbounded_channel();
    let start = time::Instant::now();
    let every = Duration::from_mins(1);
    tokio::spawn(poll(Arc::new(Restless { polls: Mutex::new(0), events }), every));
    for (expected, at) in [
        ("failed", every),
        ("unsettled", 2 * every),
        ("reloaded", 2 * every + SETTLING),
        ("reloaded", 3 * every),
    ] {
        let (event, when) = seen.recv().await.unwrap();
        // a timer of tokio is up to a millisecond late
        let late = (when - start).checked_sub(at).unwrap();
        assert!(event == expected && late < Duration::from_millis(5), "{event} after {:?}", when - start);
    }
}

#[test]
fn a_certificate_that_ends_is_told_once_a_day() {
    let (log, _guard) = Captured::start();
    let fixtures = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/tls");
    let start: Timestamp = "2026-12-01T00:00:00Z".parse().unwrap();
    let clock = Arc::new(ManualClock::at(start));
    let (cert_file, key_file) = (fixtures.join("server.pem"), fixtures.join("test-only-key.pem"));
    let read_by = Arc::clone(&clock) as Arc<dyn Clock>;
    let certificate =
        LiveCertificate::load(ListenerName::Admin, cert_file, key_file, ClientCertificates::Off, read_by)
            .unwrap();
    let expires = certificate.expires();
    let followed = FollowedCertificate::new(Arc::new(certificate));
    let mut told = Vec::new();
    for hours in [-15 * 24, -14 * 24, -14 * 24 + 1, -13 * 24 - 1, -13 * 24, -12 * 24, -1, 1, 2, 26] {
        clock.advance((expires + SignedDuration::from_hours(hours)).as_second() - clock.now().as_second());
        followed.remind();
        told.extend(log.events().into_iter().map(|event| (hours, event)));
    }
    let soon = |hours: i64| (hours, "tls.expires_soon".to_owned());
    assert_eq!(told, [-14 * 24, -13 * 24, -12 * 24, -1, 26].map(soon));
    followed.tell_new(&followed.certificate().pair());
    // whether the key is told of as well is by the mode that Git gave it
    assert!(log.events().contains(&soon(0).1), "a new pair is told of at once");
}
