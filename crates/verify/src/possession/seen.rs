//! Which proofs were used: each is good once (RFC 9449 section 11.1).

use std::{
    collections::{HashMap, hash_map::Entry},
    hash::{BuildHasher, RandomState},
    sync::{
        Mutex, MutexGuard, OnceLock, PoisonError,
        atomic::{AtomicU32, AtomicUsize, Ordering},
    },
};

use aws_lc_rs::digest::{self, Context};
use jeton_oauth::Thumbprint;
use rustc_hash::FxBuildHasher;

/// Why a proof is not good for the first time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NotNoted {
    /// It was used before, or its time had ended for this memory.
    Seen,
    /// The memory is full.
    Full,
    /// The memory has no more room for this key.
    KeyFull,
}

/// A proof that is being used.
#[derive(Clone, Copy, Debug)]
pub struct UsedProof<'p> {
    /// Where it is used: the audience of a service, or the name of a gateway.
    pub namespace: &'p str,
    /// The key that signed it.
    pub key: Thumbprint,
    /// Its `jti`.
    pub jti: &'p str,
    /// The last second in which it is good, since 1970.
    pub good_until: i64,
}

/// The proofs that were used and are still good: the memory of one process, bounded. What it cannot remember is refused.
///
/// A proof is 24 bytes in it: its place, key and `jti` as a hash, and its end. A million of them take less than 64 MiB.
pub struct SeenProofs {
    most: usize,
    most_of_a_key: u32,
    /// Nobody who does not know it can choose where a proof is kept, or where its key is counted.
    random: RandomState,
    salt: [u8; 16],
    count: AtomicUsize,
    /// When all shards were last looked through, in seconds since 1970.
    swept_at: AtomicU32,
    /// How many proofs the keys have, each counted at a place that follows from it. Two keys at one place share its room.
    /// Made when the first proof comes.
    of_keys: OnceLock<Box<[AtomicU32]>>,
    shards: [Mutex<Shard>; SHARDS],
}

/// So many locks.
const SHARDS: usize = 64;
/// So many places for counts of keys.
const PLACES: usize = 1 << 16;
/// No key has more than this part of the room.
const PART_OF_A_KEY: usize = 64;

#[derive(Default)]
struct Shard {
    proofs: HashMap<ProofName, NotedProof, FxBuildHasher>,
    /// When what had ended was last dropped, in seconds since 1970.
    swept_at: u32,
    /// The latest end of a proof that was dropped. It lies ahead where the clock was ahead then.
    forgotten_until: u32,
}

/// What stands for a proof: a part of a SHA-256. Whoever finds two proofs with one can use the second one of them not at
/// all.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
struct ProofName([u32; 4]);

#[derive(Clone, Copy)]
struct NotedProof {
    good_until: u32,
    /// Among the counts of keys.
    place: u16,
}

impl SeenProofs {
    /// How many proofs a server may well remember: 64 MiB, when they are all there.
    pub const USUAL: usize = 1_000_000;

    /// Room for so many proofs. Memory is taken as they come.
    pub fn new(most: usize) -> Self {
        let random = RandomState::new();
        let [a, b] = [0, 1].map(|half| random.hash_one(half).to_le_bytes());
        let mut salt = [0; 16];
        salt.iter_mut().zip(a.into_iter().chain(b)).for_each(|(to, from)| *to = from);
        Self {
            most,
            most_of_a_key: u32::try_from(most.div_ceil(PART_OF_A_KEY)).unwrap_or(u32::MAX),
            random,
            salt,
            count: AtomicUsize::new(0),
            swept_at: AtomicU32::new(0),
            of_keys: OnceLock::new(),
            shards: std::array::from_fn(|_| Mutex::default()),
        }
    }

    /// Remembers a proof that is good, and is used now. Of two threads with the same one exactly one may.
    ///
    /// # Errors
    /// [`NotNoted`] where the proof must be refused.
    pub fn note(&self, proof: &UsedProof<'_>, now: i64) -> Result<(), NotNoted> {
        let (now, good_until) = (seconds(now), seconds(proof.good_until));
        let (name, place) = self.name(proof);
        let Some(shard) = self.shards.get(usize::from(name.shard())) else { return Err(NotNoted::Full) };
        let noted = NotedProof { good_until, place };
        match self.note_in(shard, name, noted, now) {
            // what ended lies in the other shards too; once a second they are looked through for it
            Err(NotNoted::Full | NotNoted::KeyFull) if self.swept_at.swap(now, Ordering::Relaxed) != now => {
                self.shards.iter().for_each(|shard| self.sweep(&mut locked(shard), now));
                self.note_in(shard, name, noted, now)
            }
            answer => answer,
        }
    }

    fn note_in(
        &self,
        shard: &Mutex<Shard>,
        name: ProofName,
        noted: NotedProof,
        now: u32,
    ) -> Result<(), NotNoted> {
        let mut shard = locked(shard);
        self.sweep(&mut shard, now);
        // what had ended by a clock that was ahead then may have been used
        if noted.good_until < now || noted.good_until <= shard.forgotten_until {
            return Err(NotNoted::Seen);
        }
        let Entry::Vacant(vacant) = shard.proofs.entry(name) else { return Err(NotNoted::Seen) };
        if self.count.fetch_add(1, Ordering::Relaxed) >= self.most {
            self.count.fetch_sub(1, Ordering::Relaxed);
            return Err(NotNoted::Full);
        }
        if let Some(of_key) = self.of_key(noted.place)
            && of_key.fetch_add(1, Ordering::Relaxed) >= self.most_of_a_key
        {
            of_key.fetch_sub(1, Ordering::Relaxed);
            self.count.fetch_sub(1, Ordering::Relaxed);
            return Err(NotNoted::KeyFull);
        }
        vacant.insert(noted);
        Ok(())
    }

    /// The count at a place.
    fn of_key(&self, place: u16) -> Option<&AtomicU32> {
        let of_keys = self.of_keys.get_or_init(|| (0..PLACES).map(|_| AtomicU32::new(0)).collect());
        of_keys.get(usize::from(place))
    }

    /// Drops what ended before now, once a second.
    fn sweep(&self, shard: &mut Shard, now: u32) {
        // another thread may have read the clock a moment later; a clock that was ahead is set back by more
        if (now..=now.saturating_add(1)).contains(&shard.swept_at) {
            return;
        }
        let before = shard.proofs.len();
        let forgotten_until = &mut shard.forgotten_until;
        shard.proofs.retain(|_, noted| {
            if noted.good_until >= now {
                return true;
            }
            *forgotten_until = noted.good_until.max(*forgotten_until);
            if let Some(of_key) = self.of_key(noted.place) {
                of_key.fetch_sub(1, Ordering::Relaxed);
            }
            false
        });
        self.count.fetch_sub(before - shard.proofs.len(), Ordering::Relaxed);
        shard.swept_at = now;
    }

    /// By what a proof is known, and where its key is counted.
    fn name(&self, proof: &UsedProof<'_>) -> (ProofName, u16) {
        let [.., high, low] = self.random.hash_one(proof.key).to_be_bytes();
        let length = u64::try_from(proof.namespace.len()).unwrap_or(u64::MAX).to_le_bytes();
        let whole =
            self.hash(&[&length, proof.namespace.as_bytes(), proof.key.as_bytes(), proof.jti.as_bytes()]);
        let [a, b, c, d, ..] = whole;
        (ProofName([a, b, c, d]), u16::from_be_bytes([high, low]))
    }

    fn hash(&self, parts: &[&[u8]]) -> [u32; 8] {
        let mut context = Context::new(&digest::SHA256);
        context.update(&self.salt);
        for part in parts {
            context.update(part);
        }
        let digest = context.finish();
        let mut words = [0; 8];
        for (word, bytes) in words.iter_mut().zip(digest.as_ref().as_chunks().0) {
            *word = u32::from_le_bytes(*bytes);
        }
        words
    }
}

impl ProofName {
    fn shard(self) -> u8 {
        let Self([_, _, _, last]) = self;
        u8::try_from(last >> 26).unwrap_or_default()
    }
}

/// Nothing panics with the lock.
fn locked(shard: &Mutex<Shard>) -> MutexGuard<'_, Shard> {
    shard.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A time within the years that fit: a proof of another one is not good anyway.
fn seconds(time: i64) -> u32 {
    u32::try_from(time.max(0)).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use std::{
        sync::atomic::{AtomicUsize, Ordering},
        thread,
    };

    use jeton_oauth::Thumbprint;

    use super::{NotNoted, PART_OF_A_KEY, SeenProofs, UsedProof};

    const NOW: i64 = 1_800_000_000;

    fn key(number: u64) -> Thumbprint {
        let mut bytes = [0; 32];
        bytes[..8].copy_from_slice(&number.to_le_bytes());
        Thumbprint::new(bytes)
    }

    fn note(
        seen: &SeenProofs,
        key: Thumbprint,
        jti: &str,
        good_until: i64,
        now: i64,
    ) -> Result<(), NotNoted> {
        seen.note(&UsedProof { namespace: "orders", key, jti, good_until }, now)
    }

    #[test]
    fn rfc_9449_11_1_a_proof_is_good_once_by_place_key_and_jti() {
        let seen = SeenProofs::new(1_000);
        let used = UsedProof { namespace: "orders", key: key(1), jti: "a", good_until: NOW + 60 };
        assert_eq!(seen.note(&used, NOW), Ok(()));
        assert_eq!(seen.note(&used, NOW), Err(NotNoted::Seen));
        assert_eq!(seen.note(&UsedProof { good_until: NOW + 61, ..used }, NOW), Err(NotNoted::Seen));
        for other in [
            UsedProof { jti: "b", ..used },
            UsedProof { key: key(2), ..used },
            UsedProof { namespace: "edge", ..used },
            // where one ends and the other begins counts
            UsedProof { namespace: "order", ..used },
            UsedProof { jti: "", ..used },
        ] {
            assert_eq!(seen.note(&other, NOW), Ok(()), "{other:?}");
            assert_eq!(seen.note(&other, NOW), Err(NotNoted::Seen), "{other:?}");
        }
    }

    #[test]
    fn what_ended_makes_room_and_comes_back_by_no_clock() {
        let seen = SeenProofs::new(PART_OF_A_KEY);
        assert_eq!(note(&seen, key(1), "a", NOW + 60, NOW), Ok(()));
        assert_eq!(note(&seen, key(1), "a", NOW + 60, NOW + 60), Err(NotNoted::Seen), "its last second");
        assert_eq!(note(&seen, key(1), "b", NOW + 60, NOW + 60), Err(NotNoted::KeyFull));
        let of_another = note(&seen, key(2), "b", NOW + 60, NOW + 60);
        assert_eq!(of_another, Ok(()), "the room of one key is not that of another");
        // a proof that ended cannot be told from one that was never used
        assert_eq!(note(&seen, key(1), "a", NOW + 60, NOW + 61), Err(NotNoted::Seen));
        assert_eq!(note(&seen, key(1), "a", NOW + 60, NOW), Err(NotNoted::Seen), "the clock was set back");
        assert_eq!(note(&seen, key(1), "a", NOW + 121, NOW + 61), Ok(()), "made anew with the same name");
    }

    #[test]
    fn a_clock_that_was_ahead_for_a_while_lets_new_proofs_in() {
        let (seen, ahead) = (SeenProofs::new(100_000), NOW + 3_600);
        let old: Vec<_> = (0..200).map(|number| number.to_string()).collect();
        for jti in &old {
            assert_eq!(note(&seen, key(1), jti, NOW + 60, NOW), Ok(()));
        }
        // in each shard
        for jti in &old {
            assert_eq!(note(&seen, key(2), jti, ahead + 60, ahead), Ok(()));
        }
        for (number, jti) in old.iter().enumerate() {
            let now = NOW + 1;
            assert_eq!(note(&seen, key(1), jti, NOW + 60, now), Err(NotNoted::Seen), "{jti} was used");
            assert_eq!(note(&seen, key(2), jti, ahead + 60, now), Err(NotNoted::Seen), "{jti} is known");
            assert_eq!(
                note(&seen, key(3), jti, NOW + 61, now),
                Ok(()),
                "{number}: made after it was set back"
            );
        }
    }

    #[test]
    fn no_key_has_more_than_its_part_and_full_means_refused() {
        let most = 64 * PART_OF_A_KEY;
        let seen = SeenProofs::new(most);
        let (mut noted, mut tried) = (0, 0);
        for number in 0..200 {
            for jti in 0..100 {
                tried += 1;
                let answer = note(&seen, key(number), &jti.to_string(), NOW + 60, NOW);
                noted += usize::from(answer.is_ok());
                let expected = match (noted, jti) {
                    (_, 64..) => Err(NotNoted::KeyFull),
                    _ if number >= 64 => Err(NotNoted::Full),
                    _ => Ok(()),
                };
                // a memory that is full says so whichever key asks
                let is_full = noted == most && answer == Err(NotNoted::Full);
                assert!(answer == expected || is_full, "{number} {jti} {answer:?}");
            }
        }
        assert_eq!((noted, tried), (most, 20_000));
        assert_eq!(seen.count.load(Ordering::Relaxed), most);
        // what was refused took nothing, and the rest goes with its time
        for number in 0..most as u64 {
            let answer = note(&seen, key(1_000_000 + number), "later", NOW + 200, NOW + 61);
            assert_eq!(answer, Ok(()), "{number}: all places are free again");
        }
        assert_eq!(note(&seen, key(1), "later", NOW + 200, NOW + 61), Err(NotNoted::Full));
    }

    #[test]
    fn times_that_are_none_are_no_way_in() {
        let seen = SeenProofs::new(1_000);
        assert_eq!(note(&seen, key(1), "a", i64::MAX, NOW), Ok(()));
        assert_eq!(note(&seen, key(1), "a", i64::MAX, i64::MAX), Err(NotNoted::Seen));
        assert_eq!(note(&seen, key(1), "b", i64::MIN, NOW), Err(NotNoted::Seen));
    }

    #[test]
    fn of_two_threads_with_one_proof_exactly_one_may() {
        let (seen, passed) = (SeenProofs::new(1_000_000), AtomicUsize::new(0));
        thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| {
                    for jti in 0..2_000 {
                        let answer = note(&seen, key(jti / 100), &jti.to_string(), NOW + 60, NOW);
                        passed.fetch_add(usize::from(answer.is_ok()), Ordering::Relaxed);
                    }
                });
            }
        });
        assert_eq!(passed.load(Ordering::Relaxed), 2_000);
        assert_eq!(seen.count.load(Ordering::Relaxed), 2_000);
    }
}
