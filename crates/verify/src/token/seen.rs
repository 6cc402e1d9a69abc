//! Tokens that verified a moment ago, so that the next request with one costs no signature.

use aws_lc_rs::digest;
use quick_cache::{
    Weighter,
    sync::{Cache, DefaultLifecycle},
};
use rustc_hash::FxBuildHasher;

/// Up to this length, in bytes, a token counts as one; a longer one has more claims to be kept.
const USUAL_LENGTH: usize = 1_024;

/// What stands for a token in memory: its SHA-256, from which nobody gets it back.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct TokenHash([u8; 32]);

impl TokenHash {
    /// Of a token as it was sent, signature included: another bit anywhere is another token.
    pub(super) fn of(token: &str) -> Self {
        let mut hash = [0; 32];
        hash.copy_from_slice(digest::digest(&digest::SHA256, token.as_bytes()).as_ref());
        Self(hash)
    }
}

/// What tokens came to, by their hash. Bounded, in shards of which each has its own lock.
///
/// What comes again stays: a token that came once goes before one that came twice, so a flood of tokens that
/// come once goes past the others.
pub(super) struct SeenTokens<C>(Cache<TokenHash, SeenToken<C>, BySize, FxBuildHasher>);

#[derive(Clone)]
struct SeenToken<C> {
    claims: C,
    /// In tokens of the usual length.
    size: u64,
}

#[derive(Clone)]
struct BySize;

impl<C> Weighter<TokenHash, SeenToken<C>> for BySize {
    fn weight(&self, _: &TokenHash, seen: &SeenToken<C>) -> u64 {
        seen.size
    }
}

impl<C: Clone> SeenTokens<C> {
    /// Room for so many tokens of the usual length.
    pub(super) fn new(tokens: usize) -> Self {
        let room = u64::try_from(tokens).unwrap_or(u64::MAX);
        Self(Cache::with(tokens, room, BySize, FxBuildHasher, DefaultLifecycle::default()))
    }

    /// What a token came to, if it is remembered.
    pub(super) fn find(&self, hash: &TokenHash) -> Option<C> {
        self.0.get(hash).map(|seen| seen.claims)
    }

    /// Remembers what a token of `length` bytes came to; another one may have to go.
    pub(super) fn keep(&self, hash: TokenHash, length: usize, claims: C) {
        let size = u64::try_from(length.div_ceil(USUAL_LENGTH)).unwrap_or(u64::MAX).max(1);
        self.0.insert(hash, SeenToken { claims, size });
    }

    /// Forgets a token that will never be good again.
    pub(super) fn forget(&self, hash: &TokenHash) {
        self.0.remove(hash);
    }
}

#[cfg(test)]
mod tests {
    use std::{
        sync::atomic::{AtomicUsize, Ordering},
        thread,
    };

    use super::{SeenTokens, TokenHash};

    const ENTRIES: usize = 4_096;

    fn hash(kind: &str, number: usize) -> TokenHash {
        TokenHash::of(&format!("{kind}.{number}"))
    }

    /// How many of `ENTRIES` may be there too many: each shard rounds up.
    const ROUNDED_UP: usize = 256;

    #[test]
    fn what_comes_again_survives_a_flood_and_the_bound_holds() {
        let seen = SeenTokens::new(ENTRIES);
        let (mut asked, mut hits) = (0, 0);
        for flood in 0..100_000 {
            seen.keep(hash("once", flood), 700, flood);
            // each of the hundred once in a thousand others
            if flood % 10 == 0 {
                let hot = hash("hot", flood / 10 % 100);
                asked += 1;
                match seen.find(&hot) {
                    Some(_) => hits += 1,
                    None => seen.keep(hot, 700, 0),
                }
            }
        }
        assert!(hits * 100 >= asked * 95, "{hits} of {asked}");
        assert!(seen.0.len() <= ENTRIES + ROUNDED_UP, "{}", seen.0.len());
        assert!(
            seen.0.len() > ENTRIES / 2,
            "{}: the flood was kept too, as far as there is room",
            seen.0.len()
        );
    }

    /// Hot ones that come first when the cache is full of tokens that came once.
    #[test]
    fn who_comes_late_is_kept_too() {
        let seen = SeenTokens::new(ENTRIES);
        (0..20_000).for_each(|flood| seen.keep(hash("before", flood), 700, flood));
        let mut hits = 0;
        for round in 0..100 {
            for hot in 0..100 {
                match seen.find(&hash("hot", hot)) {
                    Some(_) => hits += 1,
                    None => seen.keep(hash("hot", hot), 700, hot),
                }
            }
            (0..500).for_each(|flood| seen.keep(hash("once", round * 500 + flood), 700, flood));
        }
        assert!(hits > 9_000, "{hits} of 10,000");
    }

    #[test]
    fn long_tokens_take_the_place_of_several() {
        let seen = SeenTokens::new(ENTRIES);
        (0..20_000).for_each(|number| seen.keep(hash("long", number), 8_192, number));
        assert!(seen.0.len() <= (ENTRIES + ROUNDED_UP) / 8, "{}", seen.0.len());
        assert!(seen.0.len() > ENTRIES / 16, "{}", seen.0.len());
    }

    #[test]
    fn what_is_forgotten_is_gone_and_room_for_none_holds_none() {
        let seen = SeenTokens::new(ENTRIES);
        seen.keep(hash("a", 1), 700, 1);
        assert_eq!((seen.find(&hash("a", 1)), seen.find(&hash("a", 2))), (Some(1), None));
        seen.forget(&hash("a", 1));
        assert_eq!(seen.find(&hash("a", 1)), None);
        let none = SeenTokens::new(0);
        none.keep(hash("a", 1), 700, 1);
        assert_eq!(none.find(&hash("a", 1)), None);
    }

    /// Under threads that keep, find and forget, nobody finds what belongs to another token.
    #[test]
    fn threads_find_their_own() {
        let seen = SeenTokens::new(256);
        let found = AtomicUsize::new(0);
        thread::scope(|scope| {
            for thread in 0..8 {
                let (seen, found) = (&seen, &found);
                scope.spawn(move || {
                    for round in 0..20_000 {
                        let number = (round * 7 + thread) % 400;
                        let hash = hash("shared", number);
                        match seen.find(&hash) {
                            Some(claims) => {
                                assert_eq!(claims, number);
                                found.fetch_add(1, Ordering::Relaxed);
                            }
                            None => seen.keep(hash, 700, number),
                        }
                        if round % 50 == 0 {
                            seen.forget(&hash);
                        }
                    }
                });
            }
        });
        assert!(found.load(Ordering::Relaxed) > 10_000);
        assert!(seen.0.len() <= 256 + 32, "{}", seen.0.len());
    }
}
