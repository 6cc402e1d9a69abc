//! How much of a rate each client or address has used up, in memory that never grows.
//!
//! A rate of N is a bucket of N that refills evenly. All that has to be known of one is when it will be full again (the
//! *generic cell rate algorithm*): a count takes 16 bytes.
//!
//! # What is forgotten
//!
//! There may be more addresses than there is room for: whoever attacks can have many. So a count lives in one of
//! [`SETS`] sets, and a set that is full forgets the count that is the nearest to being full again. That way
//!
//! - nobody is locked out: a newcomer always gets a place, with nothing used up;
//! - what was used up is forgotten last. To have a count of his own forgotten, an attacker must use up as much on behalf
//!   of 16 others in the same set. Which ones these are he cannot know, because the hash has a key of this process. So
//!   he needs about as many addresses as there are places, and with as many addresses he has more guesses by not doing
//!   it: forgetting gives one address its N back, and costs N at each of the others.
//!
//! The crate `governor` would leave this store to us, has one rate for all keys of a limiter, and locks out whoever asked
//! while the clock was ahead.

use std::{
    hash::{BuildHasher, Hash, RandomState},
    sync::{Mutex, PoisonError},
};

use jeton_oauth::Rate;
use jiff::Timestamp;

/// How many sets there are.
const SETS: usize = 4096;
/// How many counts there are in each: 65,536 in all, which take 1.1 MB.
const WAYS: usize = 16;

/// In nanoseconds, the longest time in which a rate is full again.
const LONGEST: u64 = 3600 * 1_000_000_000;

/// How much of a rate each key has used up.
pub(super) struct Counts {
    /// With a key of this process: nobody can choose the set that a name falls into.
    hasher: RandomState,
    /// A lock each, held for some nanoseconds.
    sets: Box<[Mutex<[Count; WAYS]>]>,
}

#[derive(Clone, Copy, Default)]
struct Count {
    /// Of key and rate. Two of 64 bits are hardly ever the same, and then they share a count.
    hash: u64,
    /// In nanoseconds since 1970, when all of the rate is there again.
    full_at: u64,
}

impl Count {
    /// In how many nanoseconds all is there again. More than any rate takes was counted by a clock that has been set back
    /// since: that is not held against anybody.
    fn missing(&self, now: u64) -> u64 {
        let missing = self.full_at.saturating_sub(now);
        if missing > LONGEST { 0 } else { missing }
    }
}

impl Default for Counts {
    fn default() -> Self {
        let sets = (0..SETS).map(|_| Mutex::default()).collect();
        Self { hasher: RandomState::new(), sets }
    }
}

impl Counts {
    /// Takes one of what a key has by its rate. Another rate of the same key is another count.
    ///
    /// # Errors
    /// In how many nanoseconds there will be one, if there is none.
    pub(super) fn take(&self, key: &impl Hash, rate: Rate, now: Timestamp) -> Result<(), u64> {
        let now = u64::try_from(now.as_nanosecond()).unwrap_or_default();
        let period = u64::try_from(rate.period().as_nanos()).unwrap_or(LONGEST);
        // cut, so that all of them are there again after the period, and not some nanoseconds later
        let interval = period / u64::from(rate.times().get());
        let all = interval * u64::from(rate.times().get());
        let hash = self.hasher.hash_one((key, rate));
        let set = usize::try_from(hash % SETS as u64).ok().and_then(|at| self.sets.get(at));
        let Some(set) = set else { return Ok(()) };
        let mut set = set.lock().unwrap_or_else(PoisonError::into_inner);
        let missing = match set.iter().find(|count| count.hash == hash) {
            // after the clock was set back a little, too, one waits no longer than for all of them
            Some(count) => count.missing(now).min(all),
            None => 0,
        };
        let is_there = missing + interval <= all;
        let still_missing = if is_there { missing + interval } else { missing };
        let place = |count: &&mut Count| (count.hash != hash, count.missing(now));
        if let Some(count) = set.iter_mut().min_by_key(place) {
            *count = Count { hash, full_at: now.saturating_add(still_missing) };
        }
        if is_there { Ok(()) } else { Err(missing + interval - all) }
    }

    /// How many counts are kept that are not full again.
    #[cfg(test)]
    fn used(&self, now: Timestamp) -> usize {
        let now = u64::try_from(now.as_nanosecond()).unwrap();
        let used = |set: &Mutex<[Count; WAYS]>| {
            set.lock().unwrap().iter().filter(|count| count.missing(now) > 0).count()
        };
        self.sets.iter().map(used).sum()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use jeton_oauth::RateLimit;
    use jiff::SignedDuration;
    use proptest::{collection::vec, prelude::*, sample::select};

    use super::*;

    fn rate(text: &str) -> Rate {
        RateLimit::parse(text).unwrap().rate().unwrap()
    }

    /// A time some milliseconds after another.
    fn at(millis: i64) -> Timestamp {
        let start: Timestamp = "2026-11-23T12:00:00Z".parse().unwrap();
        start + SignedDuration::from_millis(millis)
    }

    /// How many of `asked` are let through at a time.
    #[track_caller]
    fn lets(counts: &Counts, key: &str, rate_text: &str, millis: i64, asked: usize, expected: usize) {
        let rate = rate(rate_text);
        let let_through = (0..asked).filter(|_| counts.take(&key, rate, at(millis)).is_ok()).count();
        assert_eq!(let_through, expected, "{asked} of {key} at {rate_text} after {millis} ms");
    }

    #[test]
    fn as_many_as_the_rate_says_are_let_through_at_once_and_refill_evenly() {
        let counts = Counts::default();
        lets(&counts, "a", "3/m", 0, 10, 3);
        lets(&counts, "a", "3/m", 19_999, 10, 0);
        lets(&counts, "a", "3/m", 20_000, 10, 1);
        lets(&counts, "a", "3/m", 60_000, 10, 2);
        lets(&counts, "a", "3/m", 119_999, 10, 2);
        // full again, and no fuller
        lets(&counts, "a", "3/m", 10 * 60_000, 10, 3);
        lets(&counts, "b", "3/m", 10 * 60_000, 10, 3);
    }

    /// A number that does not divide the time.
    #[test]
    fn all_of_a_rate_is_there_again_after_its_time() {
        let counts = Counts::default();
        for number in [1, 7, 30, 997, 9973] {
            for (unit, millis) in [("s", 1000), ("m", 60_000), ("h", 3_600_000)] {
                let text = format!("{number}/{unit}");
                lets(&counts, "a", &text, 0, number + 1, number);
                lets(&counts, "a", &text, millis, number + 1, number);
            }
        }
    }

    #[test]
    fn another_rate_is_another_count() {
        let counts = Counts::default();
        lets(&counts, "a", "2/m", 0, 5, 2);
        lets(&counts, "a", "3/m", 0, 5, 3);
        lets(&counts, "a", "2/h", 0, 5, 2);
        lets(&counts, "a", "2/m", 0, 5, 0);
    }

    #[test]
    fn the_wait_is_the_time_until_one_more_is_let_through() {
        let counts = Counts::default();
        lets(&counts, "a", "30/m", 0, 30, 30);
        for (millis, wait) in [(0, 2_000), (500, 1_500), (1_999, 1)] {
            assert_eq!(counts.take(&"a", rate("30/m"), at(millis)), Err(wait * 1_000_000), "{millis}");
        }
        assert_eq!(counts.take(&"a", rate("30/m"), at(2_000)), Ok(()));
    }

    /// Nobody waits because of an hour in which the clock was wrong.
    #[test]
    fn a_clock_that_is_set_back_locks_nobody_out() {
        let counts = Counts::default();
        let year = 365 * 24 * 3_600_000;
        lets(&counts, "ahead", "3/m", year, 5, 3);
        lets(&counts, "ahead", "3/m", 0, 5, 3);
        lets(&counts, "a little", "3/m", 90_000, 5, 3);
        lets(&counts, "a little", "3/m", 0, 5, 0);
        lets(&counts, "a little", "3/m", 20_000, 5, 1);
    }

    /// A set of its own size, and more names than places.
    #[test]
    fn memory_is_bounded_and_a_newcomer_always_gets_a_place() {
        let counts = Counts::default();
        let rate = rate("30/m");
        for number in 0..200_000 {
            assert_eq!(counts.take(&number, rate, at(0)), Ok(()), "{number}");
        }
        let used = counts.used(at(0));
        assert!((SETS * WAYS * 9 / 10..=SETS * WAYS).contains(&used), "{used}");
        assert!(SETS * size_of::<Mutex<[Count; WAYS]>>() < 2 * 1024 * 1024);
        assert_eq!(counts.used(at(2_000)), 0);
    }

    /// Whoever has used up all does not get it back by the failures of 200,000 others.
    #[test]
    fn what_was_used_up_is_forgotten_last() {
        let counts = Counts::default();
        let rate = rate("30/m");
        while counts.take(&"guessing", rate, at(0)).is_ok() {}
        for number in 0..200_000 {
            counts.take(&number, rate, at(0)).unwrap();
        }
        assert!(counts.take(&"guessing", rate, at(0)).is_err());
    }

    /// What a clock ahead of its time has left there takes no places.
    #[test]
    fn counts_of_a_clock_that_was_ahead_go_first() {
        let counts = Counts::default();
        let rate = rate("30/m");
        let year = 365 * 24 * 3_600_000;
        for number in 0..200_000 {
            counts.take(&number, rate, at(year)).unwrap();
        }
        assert_eq!(counts.used(at(0)), 0);
        for number in 0..SETS {
            counts.take(&number, rate, at(0)).unwrap();
        }
        assert!(counts.used(at(0)) > SETS * 9 / 10);
    }

    proptest! {
        /// A bucket for each, which is filled by the millisecond.
        #[test]
        fn counts_are_those_of_a_bucket_that_is_filled_evenly(
            rates in vec(select(vec!["1/s", "5/s", "60/m", "3/m", "1/m", "60/h"]), 3),
            asked in vec((0..3_usize, prop_oneof![Just(0_i64), 1..50_i64, 1..30_000_i64]), 1..200),
        ) {
            let counts = Counts::default();
            let mut buckets: HashMap<usize, (u128, i64)> = HashMap::new();
            let mut now = 0;
            for (who, passed) in asked {
                now += passed;
                let rate = rate(rates[who]);
                let (times, period) = (u128::from(rate.times().get()), rate.period().as_millis());
                // in parts, of which a token has as many as the period has milliseconds
                let (parts, since) = buckets.entry(who).or_insert((times * period, now));
                *parts = (*parts + u128::try_from(now - *since).unwrap() * times).min(times * period);
                *since = now;
                let is_let = *parts >= period;
                if is_let {
                    *parts -= period;
                }
                prop_assert_eq!(counts.take(&who, rate, at(now)).is_ok(), is_let, "{} at {}", who, now);
            }
        }
    }
}
