//! Orders that are stopped between any two steps, and orders that meet.

use std::{
    collections::BTreeSet,
    path::Path,
    sync::{Arc, Barrier},
    thread,
};

use jeton_oauth::{SignatureAlgorithm, clock::ManualClock};
use tempfile::TempDir;

use super::*;
use crate::keys::KeyRing;

const START: &str = "2026-11-24T12:00:00Z";
const HOUR: i64 = 60 * 60;

/// A folder with a clock of its own.
struct TestFolder {
    dir: TempDir,
    clock: Arc<ManualClock>,
    keeper: KeyKeeper,
}

fn keeper(dir: &Path, clock: &Arc<ManualClock>) -> KeyKeeper {
    let terms = KeyTerms {
        algorithm: SignatureAlgorithm::Es256,
        rotate_every: Some(SignedDuration::from_hours(24)),
        ..KeyTerms::default()
    };
    KeyKeeper::new(KeyFolder::new(dir), terms, Arc::clone(clock) as Arc<dyn Clock>)
}

impl TestFolder {
    fn empty() -> Self {
        let dir = TempDir::new().unwrap();
        let clock = Arc::new(ManualClock::at(START.parse().unwrap()));
        let keeper = keeper(dir.path(), &clock);
        Self { dir, clock, keeper }
    }

    /// With a retired key, the one that signs, and the next.
    fn with_three_keys() -> Self {
        let place = Self::empty();
        place.keeper.generate().unwrap();
        for _ in 0..2 {
            place.clock.advance(24 * HOUR);
            place.keeper.rotate().unwrap();
        }
        let states: Vec<_> = place.ring().keys().iter().map(|key| key.state.name()).collect();
        assert_eq!(states, ["retired", "active", "next"]);
        place
    }

    fn ring(&self) -> KeyRing {
        self.keeper.folder.load().unwrap().at(self.clock.now(), &self.keeper.terms)
    }

    fn published(&self) -> BTreeSet<KeyId> {
        let ring = self.ring();
        ring.keys().iter().filter(|key| key.state.is_published()).map(|key| key.kid.clone()).collect()
    }

    fn kid_that_is(&self, state: &str) -> KeyId {
        self.ring().keys().iter().find(|key| key.state.name() == state).unwrap().kid.clone()
    }

    fn hidden_files(&self) -> Vec<PathBuf> {
        steps::unnamed(self.dir.path()).unwrap()
    }
}

/// The steps of an order that is about to be given.
type PlannedSteps = fn(&Locked<'_>, &KeySet) -> Vec<KeyStep>;

/// Takes so many steps as if the process were killed behind them; half of the next one too, if it writes.
#[expect(clippy::string_slice, reason = "the test says where it cuts")]
fn take_some(steps: &[KeyStep], taken: usize, half: bool) {
    steps[..taken].iter().for_each(|step| step.take().unwrap());
    if half && let Some(KeyStep::Write { path, text, .. }) = steps.get(taken) {
        fs::write(steps::partial(path), &text[..text.len() / 2]).unwrap();
    }
}

#[track_caller]
fn stop_anywhere(name: &str, start: fn() -> TestFolder, plan: PlannedSteps, may_drop: &[&str]) {
    let length = {
        let place = start();
        let locked = place.keeper.lock().unwrap();
        plan(&locked, &place.keeper.folder.load().unwrap()).len()
    };
    for (taken, half) in (0..=length).flat_map(|taken| [(taken, false), (taken, true)]) {
        let place = start();
        let before = place.published();
        let may_go: Vec<_> = may_drop.iter().map(|state| place.kid_that_is(state)).collect();
        {
            let locked = place.keeper.lock().unwrap();
            let steps = plan(&locked, &place.keeper.folder.load().unwrap());
            take_some(&steps, taken, half);
        }
        let at = format!("{name}, stopped behind step {taken}{}", if half { " and a half" } else { "" });
        // others read the folder as it is
        let ring = place.ring();
        let signs = ring.keys().iter().filter(|key| key.state.name() == "active").count();
        assert_eq!(signs, 1, "{at}");
        let after = place.published();
        let lost: Vec<_> = before.difference(&after).filter(|kid| !may_go.contains(kid)).collect();
        assert!(lost.is_empty(), "{at}: {lost:?}");
        // the next start, and the next order, tidy up
        assert_eq!(place.keeper.ensure_first_key(None).unwrap(), FirstKey::Found, "{at}");
        place.keeper.prune().unwrap();
        assert_eq!(place.published(), after, "{at}");
        assert!(place.hidden_files().is_empty() && place.ring().unlisted().is_empty(), "{at}");
        place.keeper.rotate_now().unwrap();
    }
}

#[test]
fn a_rotation_can_stop_anywhere() {
    let start = || {
        let place = TestFolder::empty();
        place.keeper.generate().unwrap();
        place
    };
    stop_anywhere("rotate", start, |locked, keys| locked.next_key(keys, locked.now).unwrap().1, &[]);
}

#[test]
fn a_replacement_can_stop_anywhere() {
    let plan: PlannedSteps = |locked, keys| locked.replacement(keys).unwrap().1;
    stop_anywhere("rotate --now", TestFolder::with_three_keys, plan, &["active", "next"]);
}

#[test]
fn a_removal_can_stop_anywhere() {
    let plan: PlannedSteps = |locked, keys| {
        let next = keys.keyring.entries().last().unwrap().kid.clone();
        locked.removal(keys, &[next])
    };
    stop_anywhere("retire", TestFolder::with_three_keys, plan, &["next"]);
}

#[test]
fn a_handover_can_stop_anywhere() {
    let start = || {
        let place = TestFolder::with_three_keys();
        place.clock.advance(HOUR - 30);
        place
    };
    let plan: PlannedSteps = |locked, keys| {
        let [.., active, next] = keys.keyring.entries() else { panic!("a key signs, and one is next") };
        locked.handover(keys, &active.kid, &next.kid)
    };
    stop_anywhere("retire, to the next key", start, plan, &[]);
}

#[test]
fn a_pruning_can_stop_anywhere() {
    let start = || {
        let place = TestFolder::with_three_keys();
        place.clock.advance(place.keeper.terms.retention.as_secs());
        assert!(place.ring().keys().iter().any(|key| key.state.name() == "expired"));
        for _ in 0..2 {
            let other = TestFolder::empty();
            other.keeper.generate().unwrap();
            let keys = other.keeper.folder.load().unwrap();
            let (path, _) = keys.keys.values().next().unwrap();
            let to = place.dir.path().join(path.file_name().unwrap());
            fs::copy(path, &to).unwrap();
        }
        assert_eq!(place.ring().unlisted().len(), 2);
        place
    };
    stop_anywhere("prune", start, |locked, keys| locked.pruning(keys).1, &[]);
}

/// Until the ring is written there is nothing; from then on the next start makes it whole.
#[test]
fn the_making_of_the_first_key_can_stop_anywhere() {
    let length = {
        let place = TestFolder::empty();
        place.keeper.lock().unwrap().first_key(None).unwrap().1.len()
    };
    for (taken, half) in (0..=length).flat_map(|taken| [(taken, false), (taken, true)]) {
        let place = TestFolder::empty();
        let (first, steps) = place.keeper.lock().unwrap().first_key(None).unwrap();
        take_some(&steps, taken, half);
        let named = fs::read_to_string(place.dir.path().join(KEYRING)).is_ok();
        place.keeper.ensure_first_key(None).unwrap();
        let ring = place.ring();
        assert_eq!(ring.keys().len(), 1, "{taken} {half}");
        assert_eq!(*ring.signing().kid() == first.kid, named, "{taken} {half}");
        assert!(place.hidden_files().is_empty(), "{taken} {half}");
    }
}

#[test]
fn of_many_replicas_one_makes_the_key() {
    let place = TestFolder::empty();
    let at_once = |order: fn(&KeyKeeper) -> bool| {
        let barrier = Arc::new(Barrier::new(8));
        let threads: Vec<_> = (0..8)
            .map(|_| {
                let (barrier, keeper) = (Arc::clone(&barrier), keeper(place.dir.path(), &place.clock));
                thread::spawn(move || {
                    barrier.wait();
                    order(&keeper)
                })
            })
            .collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).filter(|made| *made).count()
    };
    let first = |keeper: &KeyKeeper| matches!(keeper.ensure_first_key(None).unwrap(), FirstKey::Made(_));
    assert_eq!(at_once(first), 1);
    let next = |keeper: &KeyKeeper| keeper.rotate_if_due().unwrap().is_some();
    assert_eq!(at_once(next), 0, "it is not time yet");
    for day in 1..=3 {
        place.clock.advance(24 * HOUR);
        assert_eq!(at_once(next), 1, "day {day}");
        assert_eq!(at_once(next), 0, "day {day}");
        assert_eq!(place.ring().keys().len(), day + 1);
    }
}

#[test]
fn a_next_key_that_is_withdrawn_leaves_the_other_signing() {
    let place = TestFolder::with_three_keys();
    let (active, next) = (place.kid_that_is("active"), place.kid_that_is("next"));
    assert_eq!(place.keeper.retire(next.as_str()).unwrap(), RetiredKey::Dropped);
    place.clock.advance(48 * HOUR);
    assert_eq!(*place.ring().signing().kid(), active);
    assert!(!place.published().contains(&next));
}

#[test]
fn what_is_not_safe_is_refused_and_says_from_when_it_is() {
    let place = TestFolder::with_three_keys();
    let kid = |state: &str| place.kid_that_is(state);
    let (retired, active, next) = (kid("retired"), kid("active"), kid("next"));
    let now = place.clock.now();
    let safe_from = |outcome: Result<RetiredKey, OrderError>| match outcome {
        Err(
            OrderError::NextNotReady { safe_from, .. }
            | OrderError::StillNeeded { safe_from, .. }
            | OrderError::SignsAlone { safe_from, .. },
        ) => safe_from,
        Err(other) => panic!("{other}"),
        Ok(done) => panic!("{done:?}"),
    };
    assert_eq!(safe_from(place.keeper.retire(active.as_str())), now + SignedDuration::from_hours(1));
    // it retired an hour after the day on which its successor was made
    let until = now - SignedDuration::from_hours(23) + place.keeper.terms.retention;
    assert_eq!(safe_from(place.keeper.retire(retired.as_str())), until);
    assert!(matches!(place.keeper.rotate(), Err(OrderError::NextExists { .. })));
    assert!(matches!(place.keeper.generate(), Err(OrderError::Exists { .. })));
    assert!(matches!(place.keeper.retire("unknown"), Err(OrderError::Unknown(_))));
    assert!(matches!(place.keeper.retire_now(active.as_str()), Err(OrderError::SignsAlone { .. })));
    // in a moment it signs, and replicas may not hear of an order in time
    place.clock.advance(HOUR - 30);
    assert!(matches!(place.keeper.retire(next.as_str()), Err(OrderError::AboutToSign { .. })));
    place.clock.advance(30);
    assert_eq!(kid("active"), next);
    assert_eq!(place.keeper.retire_now(retired.as_str()).unwrap(), RetiredKey::Dropped);
    assert!(!place.published().contains(&retired));
    // the one that it followed is needed for as long as its tokens live, and no longer
    let until = place.clock.now() + place.keeper.terms.retention;
    assert_eq!(safe_from(place.keeper.retire(active.as_str())), until);
    place.clock.advance(until.as_second() - place.clock.now().as_second());
    assert_eq!(place.keeper.retire(active.as_str()).unwrap(), RetiredKey::Dropped);
    assert_eq!(place.published(), BTreeSet::from([next]));
}

/// An order to hand over early is carried out where verifiers have had the time.
#[test]
fn a_key_hands_over_to_one_that_was_published_for_long_enough() {
    let place = TestFolder::empty();
    place.keeper.generate().unwrap();
    let first = place.kid_that_is("active");
    let locked = place.keeper.lock().unwrap();
    let tomorrow = locked.now + SignedDuration::from_hours(24);
    locked.add_next(&place.keeper.folder.load().unwrap(), tomorrow).unwrap();
    drop(locked);
    place.clock.advance(HOUR - 1);
    assert!(matches!(place.keeper.retire(first.as_str()), Err(OrderError::NextNotReady { .. })));
    place.clock.advance(1);
    let next = place.kid_that_is("next");
    let published_until = place.clock.now() + place.keeper.terms.retention;
    let expected = RetiredKey::HandedOver { to: next.clone(), published_until };
    assert_eq!(place.keeper.retire(first.as_str()).unwrap(), expected);
    assert_eq!(*place.ring().signing().kid(), next);
    assert!(place.published().contains(&first));
}

#[test]
fn a_replaced_key_is_published_no_more() {
    let place = TestFolder::with_three_keys();
    let (retired, active, next) =
        (place.kid_that_is("retired"), place.kid_that_is("active"), place.kid_that_is("next"));
    let ReplacedKeys { new, dropped, still_published } = place.keeper.rotate_now().unwrap();
    assert_eq!(dropped, [active, next]);
    assert_eq!(still_published.iter().map(|(kid, _)| kid).collect::<Vec<_>>(), [&retired]);
    assert_eq!(place.published(), BTreeSet::from([retired.clone(), new.kid.clone()]));
    // a replica whose clock is behind signs with it all the same
    place.clock.advance(-20);
    assert_eq!(*place.ring().signing().kid(), new.kid);
    place.clock.advance(20);
    // the retired one ends when it would have ended
    let (_, until) = still_published[0];
    place.clock.advance(until.as_second() - place.clock.now().as_second());
    assert_eq!(place.published(), BTreeSet::from([new.kid]));
}

/// A key that left the set for good does not come back: neither by an order that deletes others nor by one that
/// drops the key that followed it.
#[test]
fn an_expired_key_is_never_published_again() {
    let place = TestFolder::with_three_keys();
    let retired = place.kid_that_is("retired");
    let to_the_end = |place: &TestFolder| {
        let retention = place.keeper.terms.retention.as_secs();
        place.clock.advance(retention);
    };
    // the next key waits while the oldest is deleted
    to_the_end(&place);
    place.keeper.rotate().unwrap();
    let active = place.kid_that_is("active");
    let entry = |kid: &KeyId| {
        let keys = place.keeper.folder.load().unwrap();
        keys.keyring.entries().iter().find(|entry| entry.kid == *kid).unwrap().clone()
    };
    let before = entry(&active);
    assert!(before.retires.is_some_and(|retires| retires > place.clock.now()), "{before:?}");
    assert!(place.keeper.prune().unwrap().contains(&retired));
    assert_eq!(entry(&active), before, "its successor is still to come");
    // the key that signed then has left the set, and the one behind it is dropped
    to_the_end(&place);
    place.clock.advance(HOUR);
    assert!(!place.published().contains(&active));
    let ReplacedKeys { new, .. } = place.keeper.rotate_now().unwrap();
    assert_eq!(place.published(), BTreeSet::from([new.kid]));
}

/// As above, for a ring in which nobody wrote when a key retired: it follows from the next entry, which goes.
#[test]
fn a_key_retired_when_its_successor_began_whoever_stays() {
    let place = TestFolder::with_three_keys();
    let ring = place.dir.path().join(KEYRING);
    let text = fs::read_to_string(&ring).unwrap();
    let lines = text.split_inclusive('\n').filter(|line| !line.trim_start().starts_with("retires:"));
    fs::write(&ring, lines.collect::<String>()).unwrap();
    let states =
        || -> Vec<_> { place.ring().keys().iter().map(|key| (key.kid.clone(), key.state)).collect() };
    // all three have come, and the second is taken out between them
    place.clock.advance(2 * HOUR);
    let before = states();
    assert!(matches!(before[1].1, KeyState::Retired { .. }), "{before:?}");
    place.keeper.retire_now(before[1].0.as_str()).unwrap();
    assert_eq!(states(), [before[0].clone(), before[2].clone()]);
    // long after the first has left the set, the one that signs is replaced
    place.clock.advance(place.keeper.terms.retention.as_secs());
    let ReplacedKeys { new, .. } = place.keeper.rotate_now().unwrap();
    assert_eq!(place.published(), BTreeSet::from([new.kid]));
}

/// A clock for which each look takes time, as making a key does.
struct SlowClock(ManualClock);

impl Clock for SlowClock {
    fn now(&self) -> Timestamp {
        self.0.advance(7);
        self.0.now()
    }
}

#[test]
fn a_key_that_took_long_to_make_is_published_as_long_as_any_other() {
    let place = TestFolder::empty();
    place.keeper.generate().unwrap();
    let terms = *place.keeper.terms();
    let clock = Arc::new(SlowClock(ManualClock::at(place.clock.now())));
    let keeper =
        KeyKeeper::new(KeyFolder::new(place.dir.path()), terms, Arc::clone(&clock) as Arc<dyn Clock>);
    keeper.rotate().unwrap();
    let keys = keeper.folder.load().unwrap();
    let next = keys.keyring.entries().last().unwrap();
    assert_eq!(next.created, clock.0.now(), "nothing looked at the clock since");
    assert_eq!(next.activates, next.created + keeper.terms.publish_ahead);
}
