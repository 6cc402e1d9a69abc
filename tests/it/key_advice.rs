//! What is advised about keys is what the orders let through, from the moment that is told on.
use std::sync::Arc;

use jeton::keys::{KeyAdvice, KeyFolder, KeyKeeper, KeyTerms, LiveKeys, OrderError};
use jeton_oauth::{
    SignatureAlgorithm,
    clock::{Clock, ManualClock},
};
use jiff::SignedDuration;
use tempfile::TempDir;

use crate::support::NOW;

struct Keys {
    dir: TempDir,
    clock: Arc<ManualClock>,
    terms: KeyTerms,
}

impl Keys {
    fn new(rotate_every: Option<SignedDuration>) -> Self {
        let terms = KeyTerms { algorithm: SignatureAlgorithm::Es256, rotate_every, ..KeyTerms::default() };
        let keys = Self {
            dir: TempDir::new().unwrap(),
            clock: Arc::new(ManualClock::at(NOW.parse().unwrap())),
            terms,
        };
        keys.keeper().generate().unwrap();
        keys
    }

    fn folder(&self) -> KeyFolder {
        KeyFolder::new(self.dir.path())
    }

    fn keeper(&self) -> KeyKeeper {
        KeyKeeper::new(self.folder(), self.terms, Arc::clone(&self.clock) as Arc<dyn Clock>)
    }

    fn advice(&self) -> Vec<KeyAdvice> {
        let clock = Arc::clone(&self.clock) as Arc<dyn Clock>;
        LiveKeys::load(self.folder(), self.terms, clock).unwrap().advice()
    }

    /// Each as its command, and in how many seconds it is safe.
    fn told(&self) -> Vec<(String, i64)> {
        let now = self.clock.now();
        let told = |advice: KeyAdvice| {
            let kid = advice.kid.as_str().to_owned();
            let command = advice.command.map_or_else(|| "-".to_owned(), |it| it.replace(&kid, "KID"));
            (command, advice.from.map_or(0, |from| from.duration_since(now).as_secs()))
        };
        self.advice().into_iter().map(told).collect()
    }

    fn pass(&self, seconds: i64) {
        self.clock.advance(seconds);
    }
}

const HOUR: i64 = 3_600;
const RETENTION: i64 = 30 * 24 * HOUR + 30;

#[track_caller]
fn check(keys: &Keys, expected: &[(&str, i64)]) {
    let told = keys.told();
    let told: Vec<_> = told.iter().map(|(command, from)| (command.as_str(), *from)).collect();
    assert_eq!(told, expected);
}

#[test]
fn what_is_safe_follows_the_life_of_the_keys() {
    let keys = Keys::new(None);
    check(&keys, &[("jeton keys rotate", 0), ("jeton keys rotate --now", 0)]);
    keys.keeper().rotate().unwrap();
    check(&keys, &[("-", HOUR), ("jeton keys retire KID", 0), ("jeton keys rotate --now", 0)]);
    keys.pass(HOUR - 60);
    // too close to its first signature to be withdrawn
    check(&keys, &[("-", 60), ("jeton keys rotate --now", 0)]);
    keys.pass(60);
    check(
        &keys,
        &[
            ("jeton keys rotate", 0),
            ("jeton keys prune", RETENTION),
            ("jeton keys retire KID --now", 0),
            ("jeton keys rotate --now", 0),
        ],
    );
    keys.pass(RETENTION);
    check(&keys, &[("jeton keys rotate", 0), ("jeton keys prune", 0), ("jeton keys rotate --now", 0)]);
    keys.keeper().prune().unwrap();
    check(&keys, &[("jeton keys rotate", 0), ("jeton keys rotate --now", 0)]);
}

#[test]
fn with_a_planned_rotation_the_next_key_comes_by_itself() {
    let keys = Keys::new(Some(SignedDuration::from_hours(48)));
    check(&keys, &[("-", 47 * HOUR), ("jeton keys rotate", 0), ("jeton keys rotate --now", 0)]);
    keys.pass(47 * HOUR);
    check(&keys, &[("jeton keys rotate", 0), ("jeton keys rotate --now", 0)]);
    let advice = keys.advice();
    assert!(advice[0].what.contains("is due (`keys.rotate_every`)"), "{advice:?}");
    keys.keeper().rotate_if_due().unwrap().unwrap();
    check(&keys, &[("-", HOUR), ("jeton keys retire KID", 0), ("jeton keys rotate --now", 0)]);
}

/// Each order is refused until the moment that is told, and carried out from then on.
#[test]
fn an_order_is_carried_out_from_the_moment_that_is_told() {
    let mut keys = Keys::new(None);
    let signing = keys.advice()[0].kid.clone();
    // published for longer than it must be from now on
    keys.terms.publish_ahead = SignedDuration::from_hours(4);
    let next = keys.keeper().rotate().unwrap().kid;
    keys.terms.publish_ahead = SignedDuration::from_hours(1);
    let early = |keys: &Keys| keys.advice().into_iter().find(|it| it.kid == signing).unwrap();
    let told = early(&keys);
    assert_eq!(told.command, Some(format!("jeton keys retire {signing}")));
    let safe_from = told.from.unwrap();
    keys.pass(safe_from.duration_since(keys.clock.now()).as_secs() - 1);
    let refused = keys.keeper().retire(signing.as_str());
    assert!(matches!(refused, Err(OrderError::NextNotReady { safe_from: at, .. }) if at == safe_from));
    keys.pass(1);
    assert_eq!(early(&keys).from, None);
    keys.keeper().retire(signing.as_str()).unwrap();
    // it retired, and the other signs
    let told = early(&keys);
    let until = told.from.unwrap();
    assert_eq!(told.command.as_deref(), Some("jeton keys prune"));
    keys.pass(until.duration_since(keys.clock.now()).as_secs() - 1);
    assert_eq!(keys.keeper().prune().unwrap(), []);
    keys.pass(1);
    assert_eq!(keys.keeper().prune().unwrap(), [signing]);
    // a next key is withdrawn while that is told
    let next_but_one = keys.keeper().rotate().unwrap().kid;
    let withdrawn = |keys: &Keys| {
        let command = Some(format!("jeton keys retire {next_but_one}"));
        keys.advice().iter().any(|it| it.command == command)
    };
    keys.pass(HOUR - 60);
    assert!(!withdrawn(&keys));
    assert!(matches!(keys.keeper().retire(next_but_one.as_str()), Err(OrderError::AboutToSign { .. })));
    keys.pass(-1);
    assert!(withdrawn(&keys));
    keys.keeper().retire(next_but_one.as_str()).unwrap();
    assert!(keys.advice().iter().all(|it| it.kid == next));
}

#[test]
fn a_file_without_an_entry_is_to_be_deleted() {
    let keys = Keys::new(None);
    crate::support::copy_key("test-only-signing.pem", keys.dir.path());
    check(&keys, &[("jeton keys rotate", 0), ("jeton keys prune", 0), ("jeton keys rotate --now", 0)]);
    keys.keeper().prune().unwrap();
    check(&keys, &[("jeton keys rotate", 0), ("jeton keys rotate --now", 0)]);
}
