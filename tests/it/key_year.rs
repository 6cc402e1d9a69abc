//! A year of rotations: three replicas on one folder, clocks that differ, verifiers with caches of any age.
use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
    sync::Arc,
};

use jeton::keys::{KeyFolder, KeyKeeper, KeyReload, KeyTerms, LiveKeys};
use jeton_oauth::{
    SignatureAlgorithm,
    clock::{Clock, ManualClock},
};
use jiff::{SignedDuration, Timestamp};
use tempfile::TempDir;

const HOUR: i64 = 60 * 60;
const DAY: i64 = 24 * HOUR;
/// How much the clocks of the replicas are behind or ahead of the true time, in seconds.
const OFFSETS: [i64; 3] = [-10, 0, 10];
/// How far two of them are apart, at most.
const SPREAD: i64 = 20;
/// What tokens live: short ones, the longest, refresh tokens.
const LIFETIMES: [i64; 4] = [15 * 60, HOUR, DAY, 30 * DAY];
/// How close to a change time goes in small steps, in seconds: longer than caches live.
const CLOSE: i64 = 420;

/// Numbers that look random and are the same in every run (Numerical Recipes' generator).
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: i64) -> i64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        i64::try_from((self.0 >> 33) % sides.unsigned_abs()).unwrap()
    }

    fn one_of<T: Copy>(&mut self, options: &[T]) -> T {
        options[usize::try_from(self.roll(i64::try_from(options.len()).unwrap())).unwrap()]
    }
}

struct Replica {
    clock: Arc<ManualClock>,
    keeper: KeyKeeper,
    keys: LiveKeys,
}

fn terms(algorithm: SignatureAlgorithm) -> KeyTerms {
    KeyTerms {
        algorithm,
        publish_ahead: SignedDuration::from_secs(HOUR),
        rotate_every: Some(SignedDuration::from_secs(30 * DAY)),
        retention: SignedDuration::from_secs(30 * DAY + 30),
        ..KeyTerms::default()
    }
}

impl Replica {
    fn start(dir: &Path, clock: Arc<ManualClock>, terms: KeyTerms) -> Self {
        let shared = Arc::clone(&clock) as Arc<dyn Clock>;
        let keeper = KeyKeeper::new(KeyFolder::new(dir), terms, Arc::clone(&shared));
        keeper.ensure_first_key(None).unwrap();
        let keys = LiveKeys::load(keeper.folder().clone(), terms, shared).unwrap();
        Self { clock, keeper, keys }
    }

    /// What a server does every two seconds.
    fn tick(&self) -> bool {
        let poll = || while let KeyReload::Unsettled = self.keys.poll() {};
        poll();
        let made = self.keys.is_rotation_due() && self.keeper.rotate_if_due().unwrap().is_some();
        if made {
            poll();
        }
        made
    }

    fn published(&self) -> BTreeSet<String> {
        let ring = self.keys.ring();
        let set: serde_json::Value = serde_json::from_str(ring.jwks().body()).unwrap();
        set["keys"].as_array().unwrap().iter().map(|key| key["kid"].as_str().unwrap().to_owned()).collect()
    }
}

/// Someone who keeps the key set as long as he may, and never asks for a key that he does not know.
struct Verifier {
    /// How far his clock is off.
    offset: i64,
    fetched_at: i64,
    keys: BTreeSet<String>,
}

/// Of a key: how far the clock is off by which it was made, and what that clock showed.
struct Maker {
    offset: i64,
    created: i64,
}

impl Maker {
    /// Holds that a key signs no sooner than it may, and for how long it was published by the true time: an hour, less
    /// what the clock of who signs is ahead of the maker's. By its own clock it is an hour since the key was made.
    #[track_caller]
    fn signs_at(&self, now: i64, offset: i64, published: i64) -> i64 {
        let Self { offset: off, created } = self;
        assert!(now + offset - created >= HOUR, "at {now}: it was made at {created}");
        let (ahead, least) = (now - published, HOUR - (offset - off));
        assert!(ahead >= least, "at {now}: published for {ahead} s, not for {least}");
        ahead
    }
}

struct Token {
    kid: String,
    expires_at: i64,
}

#[test]
fn no_token_fails_in_a_year_of_rotations() {
    let dir = TempDir::new().unwrap();
    let start: Timestamp = "2026-01-01T00:00:00Z".parse().unwrap();
    let mut now = start.as_second();
    let mut dice = Dice(1);
    let first = terms(SignatureAlgorithm::Es256);
    let mut replicas: Vec<_> = OFFSETS
        .iter()
        .map(|offset| {
            let clock = ManualClock::at(Timestamp::from_second(now + offset).unwrap());
            Replica::start(dir.path(), Arc::new(clock), first)
        })
        .collect();
    let max_age = i64::from(first.max_age());
    let mut verifiers: Vec<_> = (0..8)
        .map(|number| Verifier {
            offset: number % 3 * 10 - 10,
            fetched_at: i64::MIN / 2,
            keys: BTreeSet::new(),
        })
        .collect();
    let mut first_published: BTreeMap<String, i64> = BTreeMap::new();
    let mut made_by: BTreeMap<String, Maker> = BTreeMap::new();
    let (mut tokens, mut rotations, mut judged): (Vec<Token>, usize, u64) = (Vec::new(), 0, 0);
    let (mut signed_by, mut soonest) = (BTreeSet::new(), i64::MAX);
    let mut set_of_first_key = None;

    while now < start.as_second() + 365 * DAY {
        let change = replicas[1].keys.ring().next_change().map_or(i64::MAX, Timestamp::as_second);
        let last = replicas[1].keys.ring().keys().iter().map(|key| key.activates.as_second()).max().unwrap();
        // a rotation is due an hour before thirty days are over
        let due = last + 30 * DAY - HOUR;
        let near = [change, due, last].iter().any(|time| time.abs_diff(now) < CLOSE.unsigned_abs());
        let step = if near {
            1 + dice.roll(7)
        } else {
            let far = [change, due].iter().map(|time| time - now - CLOSE / 2).filter(|far| *far > 0).min();
            (600 + dice.roll(5 * HOUR)).min(far.unwrap_or(i64::MAX))
        };
        now += step;
        for replica in &replicas {
            replica.clock.advance(step);
        }
        // not all of them look at the folder in the same second
        for (replica, offset) in replicas.iter().zip(OFFSETS) {
            if (!near || dice.roll(2) == 0) && replica.tick() {
                rotations += 1;
                let ring = replica.keys.ring();
                let new = ring.keys().last().unwrap();
                made_by.insert(new.kid.to_string(), Maker { offset, created: new.created.as_second() });
            }
        }
        // now and then one is started anew, and after half a year with another algorithm
        if !near && dice.roll(50) == 0 {
            let place = usize::try_from(dice.roll(3)).unwrap();
            let half = now > start.as_second() + 180 * DAY;
            let algorithm = if half { SignatureAlgorithm::EdDsa } else { SignatureAlgorithm::Es256 };
            let clock = Arc::clone(&replicas[place].clock);
            replicas[place] = Replica::start(dir.path(), clock, terms(algorithm));
            if dice.roll(4) == 0 {
                replicas[place].keeper.prune().unwrap();
            }
        }

        for replica in &replicas {
            for kid in replica.published() {
                first_published.entry(kid).or_insert(now);
            }
        }
        for verifier in &mut verifiers {
            // some fetch early, some as late as they may
            if now - verifier.fetched_at >= max_age || dice.roll(100) == 0 {
                let replica = dice.one_of(&[0, 1, 2]);
                verifier.keys = replicas[replica].published();
                verifier.fetched_at = now;
            }
        }
        for (replica, offset) in replicas.iter().zip(OFFSETS) {
            let kid = replica.keys.ring().signing().kid().to_string();
            if set_of_first_key.as_ref().is_some_and(|first| *first != kid) {
                let ahead = made_by[&kid].signs_at(now, offset, first_published[&kid]);
                soonest = soonest.min(ahead);
            }
            set_of_first_key.get_or_insert_with(|| kid.clone());
            signed_by.insert(kid.clone());
            tokens.push(Token { kid, expires_at: now + offset + dice.one_of(&LIFETIMES) });
        }
        tokens.retain(|token| token.expires_at > now - 10);
        // the youngest, which new keys sign, and some of any age
        let sample: Vec<_> = (0..40)
            .map(|_| usize::try_from(dice.roll(i64::try_from(tokens.len()).unwrap())).unwrap())
            .collect();
        for verifier in &verifiers {
            let youngest = tokens.len().saturating_sub(6)..tokens.len();
            for token in sample.iter().copied().chain(youngest).map(|place| &tokens[place]) {
                if token.expires_at > now + verifier.offset {
                    judged += 1;
                    assert!(verifier.keys.contains(&token.kid), "at {now}: `{}` is not known", token.kid);
                }
            }
        }
    }
    assert!((11..=13).contains(&rotations), "{rotations} rotations");
    assert_eq!(signed_by.len(), rotations + 1, "each rotation made one key, and it signed");
    assert!(judged > 1_000_000, "{judged}");
    assert!((HOUR - SPREAD..HOUR).contains(&soonest), "clocks that are apart were not at work: {soonest}");
    let published = replicas[0].published();
    assert!(published.len() <= 3, "{published:?}");
}
