//! Which proofs were used: each is good once (RFC 9449 section 11.1).

use std::{
    collections::{HashMap, hash_map::Entry},
    hash::{BuildHasher, RandomState},
    sync::{
        Mutex, PoisonError,
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
    /// Nobody who does not know it can choose where a proof is kept.
    salt: [u8; 16],
    count: AtomicUsize,
    /// How many proofs the keys have, each counted at a place that follows from it. Two keys at one place share its room.
    of_keys: Box<[AtomicU32]>,
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
            salt,
            count: AtomicUsize::new(0),
            of_keys: (0..PLACES).map(|_| AtomicU32::new(0)).collect(),
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
        // nothing panics with the lock
        let mut shard = shard.lock().unwrap_or_else(PoisonError::into_inner);
        if shard.swept_at < now {
            self.sweep(&mut shard, now);
        }
        // what had ended by a clock that was ahead then is forgotten, and may have been used
        if good_until < shard.swept_at {
            return Err(NotNoted::Seen);
        }
        let Entry::Vacant(vacant) = shard.proofs.entry(name) else { return Err(NotNoted::Seen) };
        if self.count.fetch_add(1, Ordering::Relaxed) >= self.most {
            self.count.fetch_sub(1, Ordering::Relaxed);
            return Err(NotNoted::Full);
        }
        if let Some(of_key) = self.of_keys.get(usize::from(place))
            && of_key.fetch_add(1, Ordering::Relaxed) >= self.most_of_a_key
        {
            of_key.fetch_sub(1, Ordering::Relaxed);
            self.count.fetch_sub(1, Ordering::Relaxed);
            return Err(NotNoted::KeyFull);
        }
        vacant.insert(NotedProof { good_until, place });
        Ok(())
    }

    /// Drops what ended before now.
    fn sweep(&self, shard: &mut Shard, now: u32) {
        let before = shard.proofs.len();
        shard.proofs.retain(|_, noted| {
            let stays = noted.good_until >= now;
            if !stays && let Some(of_key) = self.of_keys.get(usize::from(noted.place)) {
                of_key.fetch_sub(1, Ordering::Relaxed);
            }
            stays
        });
        self.count.fetch_sub(before - shard.proofs.len(), Ordering::Relaxed);
        shard.swept_at = now;
    }

    /// By what a proof is known, and where its key is counted.
    fn name(&self, proof: &UsedProof<'_>) -> (ProofName, u16) {
        let of_key = self.hash(&[proof.key.as_bytes()]);
        let length = u64::try_from(proof.namespace.len()).unwrap_or(u64::MAX).to_le_bytes();
        let whole =
            self.hash(&[&length, proof.namespace.as_bytes(), proof.key.as_bytes(), proof.jti.as_bytes()]);
        let [a, b, c, d, ..] = whole;
        let [place, ..] = of_key;
        (ProofName([a, b, c, d]), u16::try_from(place >> 16).unwrap_or_default())
    }

    fn hash(&self, parts: &[&[u8]]) -> [u32; 8] {
        let mut context = Context::new(&digest::SHA256);
        context.update(&self.salt);
        parts.iter().for_each(|part| context.update(part));
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

/// A time within the years that fit: a proof of another one is not good anyway.
fn seconds(time: i64) -> u32 {
    u32::try_from(time.max(0)).unwrap_or(u32::MAX)
}
