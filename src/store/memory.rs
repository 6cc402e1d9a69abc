//! The store of a single process.

use std::sync::{Arc, Mutex, PoisonError};

use jeton_oauth::clock::Clock;

use super::{NameUse, OnceName, StoreError, expiring::Expiring};

/// How many names are kept at most.
const ROOM: usize = 1_000_000;

/// How many names that have passed a use drops: more than it adds, so that none stays.
const DROPS: usize = 64;

/// Single uses in the memory of this process.
pub struct MemoryStore {
    clock: Arc<dyn Clock>,
    room: usize,
    used: Mutex<UsedNames>,
}

struct UsedNames {
    names: Expiring<OnceName>,
    /// The latest end of a name that was dropped. It lies ahead where the clock was ahead then.
    forgotten_until: i64,
}

impl MemoryStore {
    /// An empty store.
    pub fn new(clock: Arc<dyn Clock>) -> Self {
        Self::with_room(clock, ROOM)
    }

    fn with_room(clock: Arc<dyn Clock>, room: usize) -> Self {
        Self {
            clock,
            room,
            used: Mutex::new(UsedNames { names: Expiring::new(), forgotten_until: i64::MIN }),
        }
    }

    /// As [`Store::use_once`](super::Store::use_once).
    pub(super) fn use_once(&self, name: OnceName, until: i64) -> Result<NameUse, StoreError> {
        let now = self.clock.numeric_date();
        let mut used = self.used.lock().unwrap_or_else(PoisonError::into_inner);
        let UsedNames { names, forgotten_until } = &mut *used;
        for (_, until) in names.drop_passed(now, DROPS) {
            *forgotten_until = until.max(*forgotten_until);
        }
        // what had ended by a clock that was ahead then may have been used
        if until <= *forgotten_until || names.until(&name).is_some_and(|until| now <= until) {
            return Ok(NameUse::Again);
        }
        if names.len() >= self.room {
            return Err(StoreError::Full);
        }
        names.keep(name, until);
        Ok(NameUse::First)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use jeton_oauth::clock::ManualClock;
    use jiff::Timestamp;

    use super::{DROPS, MemoryStore};
    use crate::store::{NameUse, OnceName, StoreError};

    const NOW: i64 = 1_800_000_000;

    fn store(room: usize) -> (MemoryStore, Arc<ManualClock>) {
        let clock = Arc::new(ManualClock::at(Timestamp::from_second(NOW).unwrap()));
        (MemoryStore::with_room(clock.clone(), room), clock)
    }

    fn name(number: usize) -> OnceName {
        OnceName::of(&[&number.to_be_bytes()])
    }

    #[track_caller]
    fn uses(store: &MemoryStore, number: usize, until: i64, expected: NameUse) {
        assert_eq!(store.use_once(name(number), until).unwrap(), expected, "{number}");
    }

    #[track_caller]
    fn is_full(store: &MemoryStore, number: usize) {
        assert!(matches!(store.use_once(name(number), NOW + 1000), Err(StoreError::Full)));
    }

    #[test]
    fn a_name_is_used_once() {
        let (store, _) = store(10);
        uses(&store, 1, NOW + 60, NameUse::First);
        uses(&store, 1, NOW + 60, NameUse::Again);
        uses(&store, 2, NOW + 60, NameUse::First);
        uses(&store, 1, NOW + 60, NameUse::Again);
    }

    #[test]
    fn a_name_is_kept_until_its_time_and_no_longer() {
        let (store, clock) = store(10);
        uses(&store, 1, NOW + 60, NameUse::First);
        clock.advance(60);
        uses(&store, 1, NOW + 600, NameUse::Again);
        clock.advance(1);
        uses(&store, 1, NOW + 120, NameUse::First);
        clock.advance(59);
        uses(&store, 1, NOW + 120, NameUse::Again);
    }

    #[test]
    fn a_clock_that_was_ahead_for_a_while_makes_no_name_good_again() {
        let (store, clock) = store(10);
        uses(&store, 1, NOW + 60, NameUse::First);
        clock.advance(3_600);
        uses(&store, 2, NOW + 3_660, NameUse::First);
        clock.advance(-3_600);
        uses(&store, 1, NOW + 60, NameUse::Again);
        uses(&store, 2, NOW + 3_660, NameUse::Again);
        uses(&store, 3, NOW + 61, NameUse::First);
    }

    #[test]
    fn a_full_store_refuses_and_forgets_nothing() {
        let (store, clock) = store(3);
        for number in 0..3 {
            uses(&store, number, NOW + 60, NameUse::First);
        }
        is_full(&store, 3);
        for number in 0..3 {
            uses(&store, number, NOW + 60, NameUse::Again);
        }
        clock.advance(61);
        uses(&store, 3, NOW + 120, NameUse::First);
    }

    /// Nobody asks for a name again, and it goes all the same; and not all in one call.
    #[test]
    fn what_has_passed_is_dropped_by_other_uses() {
        let many = 10 * DROPS;
        let (store, clock) = store(many);
        for number in 0..many {
            uses(&store, number, NOW + 60, NameUse::First);
        }
        is_full(&store, many);
        clock.advance(61);
        uses(&store, many, NOW + 120, NameUse::First);
        assert_eq!(store.used.lock().unwrap().names.len(), many - DROPS + 1);
        for number in many..many + 10 {
            store.use_once(name(number), NOW + 120).unwrap();
        }
        assert_eq!(store.used.lock().unwrap().names.len(), 10);
    }

    /// One that has passed and was not dropped yet counts as none.
    #[test]
    fn a_name_can_be_used_anew_while_its_old_use_waits_to_be_dropped() {
        let many = 3 * DROPS;
        let (store, clock) = store(2 * many);
        for number in 0..many {
            uses(&store, number, NOW + 60, NameUse::First);
        }
        clock.advance(61);
        for number in (0..many).rev() {
            uses(&store, number, NOW + 600, NameUse::First);
        }
        clock.advance(60);
        for number in 0..many {
            uses(&store, number, NOW + 600, NameUse::Again);
        }
    }
}
