//! How the keys in force follow their folder, without a server.
use std::{
    collections::BTreeSet,
    fs::{self, File},
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::{Duration, SystemTime},
};

use jeton::keys::{KeyFolder, KeyKeeper, KeyReload, KeyTerms, LiveKeys};
use jeton_oauth::{
    SignatureAlgorithm,
    clock::{Clock, ManualClock},
};
use jiff::SignedDuration;
use serde_json::Value;
use tempfile::TempDir;

use crate::support::{install_key, live_keys};

const START: &str = "2026-11-24T12:00:00Z";
const HOUR: i64 = 60 * 60;

fn clock() -> Arc<ManualClock> {
    Arc::new(ManualClock::at(START.parse().unwrap()))
}

fn keeper(dir: &Path, clock: &Arc<ManualClock>) -> KeyKeeper {
    let terms = KeyTerms { algorithm: SignatureAlgorithm::Es256, ..KeyTerms::default() };
    KeyKeeper::new(KeyFolder::new(dir), terms, Arc::clone(clock) as Arc<dyn Clock>)
}

/// The word for what a reading came to.
fn outcome(reload: &KeyReload) -> &'static str {
    match reload {
        KeyReload::Unchanged => "unchanged",
        KeyReload::Restored => "restored",
        KeyReload::Unsettled => "unsettled",
        KeyReload::Reloaded { .. } => "reloaded",
        KeyReload::Rejected(_) => "rejected",
        KeyReload::StillRejected(_) => "still rejected",
    }
}

/// Half of a ring may say what nobody wrote: that one key is there, say, where there are two.
#[test]
fn what_is_being_written_is_not_taken_by_a_poll() {
    let dir = TempDir::new().unwrap();
    install_key("test-only-signing.pem", dir.path());
    let keys = live_keys(dir.path(), &clock());
    let before = keys.ring().signing().kid().clone();
    let poll = || outcome(&keys.poll());
    assert_eq!(poll(), "unchanged");
    // the key is there, then the ring grows: not at all, by half, as a whole
    install_key("test-only-other.pem", dir.path());
    let ring = dir.path().join("keyring.yaml");
    let text = fs::read_to_string(&ring).unwrap();
    let second = text.rfind("  - kid").unwrap();
    for length in [0, second + 20, text.len()] {
        fs::write(&ring, &text[..length]).unwrap();
        assert_eq!(poll(), "unsettled", "{length} bytes");
        assert_eq!(*keys.ring().signing().kid(), before);
    }
    assert_eq!(poll(), "reloaded");
    assert_ne!(*keys.ring().signing().kid(), before);
    // also what is wrong must hold still before it is told
    fs::remove_file(&ring).unwrap();
    assert_eq!([poll(), poll(), poll()], ["unsettled", "rejected", "still rejected"]);
    fs::write(&ring, text).unwrap();
    assert_eq!([poll(), poll()], ["restored", "unchanged"]);
}

/// The lines that would mend a folder without a ring have the times of its files. They alone are no news: what was
/// rejected is not looked at again, which for encrypted keys would take long at every poll.
#[test]
fn what_was_rejected_is_not_understood_again() {
    let dir = TempDir::new().unwrap();
    let pem = install_key("test-only-signing.pem", dir.path());
    let keys = live_keys(dir.path(), &clock());
    let ring = dir.path().join("keyring.yaml");
    let text = fs::read_to_string(&ring).unwrap();
    fs::remove_file(&ring).unwrap();
    assert_eq!(outcome(&keys.reload()), "rejected");
    let long_ago = SystemTime::UNIX_EPOCH + Duration::from_hours(24 * 365);
    File::options().append(true).open(&pem).unwrap().set_modified(long_ago).unwrap();
    assert_eq!(outcome(&keys.reload()), "still rejected");
    // something else that is wrong is told, and so is the first again after it
    fs::write(&ring, text.replace("activates", "activated")).unwrap();
    assert_eq!(outcome(&keys.reload()), "rejected");
    fs::remove_file(&ring).unwrap();
    assert_eq!(outcome(&keys.reload()), "rejected");
    fs::write(&ring, &text).unwrap();
    assert_eq!(outcome(&keys.reload()), "restored");
}

/// A reading that begins before an order and ends after it would hold some files of either.
#[test]
fn an_order_halfway_is_never_read() {
    let dir = TempDir::new().unwrap();
    let keeper = keeper(dir.path(), &clock());
    keeper.generate().unwrap();
    let has_ended = Arc::new(AtomicBool::new(false));
    let writer = {
        let (keeper, has_ended) = (keeper.clone(), Arc::clone(&has_ended));
        thread::spawn(move || {
            for _ in 0..100 {
                keeper.rotate_now().unwrap();
            }
            has_ended.store(true, Ordering::Release);
        })
    };
    let mut seen = BTreeSet::new();
    while !has_ended.load(Ordering::Acquire) {
        let keys =
            keeper.folder().load().unwrap_or_else(|errors| panic!("after {} keys: {errors}", seen.len()));
        seen.extend(keys.keyring().entries().iter().map(|entry| entry.kid.clone()));
    }
    writer.join().unwrap();
    assert!(seen.len() > 1, "nothing was read meanwhile");
}

/// Verifiers and caches between see another document only where another key is in it.
#[test]
fn the_key_set_does_not_change_with_what_keys_do() {
    let dir = TempDir::new().unwrap();
    let clock = clock();
    let keeper = keeper(dir.path(), &clock);
    keeper.generate().unwrap();
    for _ in 0..5 {
        clock.advance(2 * HOUR);
        keeper.rotate().unwrap();
    }
    let start = || {
        let shared = Arc::clone(&clock) as Arc<dyn Clock>;
        LiveKeys::load(keeper.folder().clone(), *keeper.terms(), shared).unwrap()
    };
    let document = |keys: &LiveKeys| keys.ring().jwks().clone();
    let states =
        |keys: &LiveKeys| -> Vec<_> { keys.ring().keys().iter().map(|key| key.state.name()).collect() };
    let keys = start();
    let before = document(&keys);
    let set: Value = serde_json::from_str(before.body()).unwrap();
    let kids: Vec<_> =
        set["keys"].as_array().unwrap().iter().map(|key| key["kid"].as_str().unwrap()).collect();
    assert!(kids.len() == 6 && kids.is_sorted(), "{set}");
    assert_eq!(states(&keys)[4..], ["active", "next"]);
    // the next signs, and the other retires
    clock.advance(HOUR);
    assert_eq!(states(&keys)[4..], ["retired", "active"]);
    assert_eq!(document(&keys), before);
    assert_eq!(document(&start()), before, "a replica that starts later");
    // the first leaves the set
    let retention = keeper.terms().retention - SignedDuration::from_hours(8);
    clock.advance(retention.as_secs());
    assert_eq!(states(&keys)[..2], ["expired", "retired"]);
    assert_ne!(document(&keys).etag(), before.etag());
}

/// A server is due from the time on that operators are shown.
#[test]
fn a_rotation_is_due_when_it_was_planned() {
    let dir = TempDir::new().unwrap();
    let clock = clock();
    keeper(dir.path(), &clock).generate().unwrap();
    let shared = Arc::clone(&clock) as Arc<dyn Clock>;
    let every = SignedDuration::from_hours(24);
    let terms = KeyTerms { rotate_every: Some(every), ..KeyTerms::default() };
    let keys = LiveKeys::load(KeyFolder::new(dir.path()), terms, shared).unwrap();
    let start = clock.now();
    let planned = keys.planned().unwrap();
    assert_eq!(planned.activates, start + every);
    assert_eq!(planned.made, planned.activates - terms.publish_ahead);
    clock.advance(23 * HOUR - 1);
    assert!(!keys.is_rotation_due());
    assert_eq!(keys.planned(), Some(planned));
    clock.advance(1);
    assert!(keys.is_rotation_due());
    // late: from then on it is published for as long all the same
    clock.advance(5 * HOUR);
    let late = keys.planned().unwrap();
    assert_eq!((late.made, late.activates), (clock.now(), clock.now() + terms.publish_ahead));
}
