//! The keys of this issuer at a time: one signs, all that tokens may need are published.

use std::{collections::BTreeMap, path::PathBuf, sync::Arc};

use jeton_jose::PublicKeys;
use jeton_oauth::{KeyId, RsaBits, SignatureAlgorithm};
use jiff::{SignedDuration, Timestamp};

use super::{JwksDocument, KeyState, Keyring, PlannedKey, SigningKey};

/// By what rules keys follow each other: the settings.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KeyTerms {
    /// The algorithm of new keys.
    pub algorithm: SignatureAlgorithm,
    /// The length of new RSA keys.
    pub rsa_bits: RsaBits,
    /// For how long a new key is published before it signs.
    pub publish_ahead: SignedDuration,
    /// After what time a server lets a new key follow; `None` for never.
    pub rotate_every: Option<SignedDuration>,
    /// For how long a key stays published after it retired: as long as a token that it signed may live.
    pub retention: SignedDuration,
}

/// As `jeton.toml` has them where nothing is set.
impl Default for KeyTerms {
    fn default() -> Self {
        Self {
            algorithm: SignatureAlgorithm::Rs256,
            rsa_bits: RsaBits::B2048,
            publish_ahead: SignedDuration::from_hours(1),
            rotate_every: None,
            retention: SignedDuration::from_secs(30 * 24 * 60 * 60 + 30),
        }
    }
}

/// The longest time for which verifiers may keep the key set, in seconds.
pub const LONGEST_MAX_AGE: u32 = 300;

impl KeyTerms {
    /// For how long a key stays published at least that may have signed bundles: as long as one lives, and clocks differ.
    pub const BUNDLE_RETENTION: SignedDuration = SignedDuration::from_mins(25 * 60 + 5);

    /// As they are while the policies have a bundle.
    #[must_use]
    pub fn with_bundles(self) -> Self {
        Self { retention: self.retention.max(Self::BUNDLE_RETENTION), ..self }
    }

    /// For how long verifiers may keep the key set, in seconds: half of the time for which a key is published
    /// ahead, and five minutes at most.
    pub fn max_age(&self) -> u32 {
        let half = self.publish_ahead.as_secs() / 2;
        u32::try_from(half).map_or(LONGEST_MAX_AGE, |half| half.min(LONGEST_MAX_AGE))
    }
}

/// What a key folder holds, whatever the time is.
pub struct KeySet {
    pub(super) keyring: Keyring,
    /// A key for each entry of the ring.
    pub(super) keys: BTreeMap<KeyId, (PathBuf, Arc<SigningKey>)>,
    /// The files of keys without an entry.
    pub(super) unlisted: Vec<UnlistedKey>,
    /// The files that a group can read too, on a mount where nobody can change that.
    pub(super) exposed: Vec<PathBuf>,
}

/// A key file of which `keyring.yaml` says nothing: it never signs and is not published.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnlistedKey {
    /// The file.
    pub path: PathBuf,
    /// The key in it.
    pub kid: KeyId,
}

/// One key of the ring, as `keys list` and `/ops/keys` show it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RingKey {
    /// Its name in token headers.
    pub kid: KeyId,
    /// The algorithm that it signs by.
    pub algorithm: SignatureAlgorithm,
    /// Its length in bits.
    pub bits: usize,
    /// When it was made.
    pub created: Timestamp,
    /// When it begins to sign.
    pub activates: Timestamp,
    /// What it does.
    pub state: KeyState,
}

/// All keys of the issuer as they are for a while: until the time of the next change, or the next reading of the folder.
pub struct KeyRing {
    signing: Arc<SigningKey>,
    published: Vec<Arc<SigningKey>>,
    public: Arc<PublicKeys>,
    jwks: JwksDocument,
    keys: Vec<RingKey>,
    unlisted: Vec<UnlistedKey>,
    exposed: Vec<PathBuf>,
    /// The time for which it was made.
    made_at: Timestamp,
    next_change: Option<Timestamp>,
    /// The rule for retired keys by which it was made.
    retention: SignedDuration,
}

impl KeySet {
    /// What the keys do at `now`.
    pub fn at(&self, now: Timestamp, terms: &KeyTerms) -> KeyRing {
        let states = self.keyring.at(now, terms.retention);
        let key = |kid: &KeyId| self.keys.get(kid).map(|(_, key)| key);
        let published = states.iter().filter(|(_, state)| state.is_published());
        let published: Vec<_> = published.filter_map(|(entry, _)| key(&entry.kid)).cloned().collect();
        let public: PublicKeys = published.iter().map(|key| Arc::clone(key.public())).collect();
        let signs = states.iter().find(|(_, state)| matches!(state, KeyState::Active { .. }));
        let signs =
            signs.and_then(|(entry, _)| key(&entry.kid)).or(self.keys.values().next().map(|(_, key)| key));
        #[expect(
            clippy::expect_used,
            clippy::missing_panics_doc,
            reason = "a ring has an entry at least, and each entry a key"
        )]
        let signing = Arc::clone(signs.expect("a ring has a key"));
        let keys = states.iter().map(|(entry, state)| RingKey {
            kid: entry.kid.clone(),
            algorithm: entry.algorithm,
            bits: key(&entry.kid).map_or(0, |key| key.public().bits()),
            created: entry.created,
            activates: entry.activates,
            state: *state,
        });
        KeyRing {
            signing,
            published,
            jwks: JwksDocument::render(&public, terms.max_age()),
            public: Arc::new(public),
            keys: keys.collect(),
            unlisted: self.unlisted.clone(),
            exposed: self.exposed.clone(),
            made_at: now,
            next_change: self.keyring.next_change(now, terms.retention),
            retention: terms.retention,
        }
    }

    /// When the next key is to be made by these rules, seen from `now`; `None` where servers make none, or while there
    /// is one.
    pub fn planned(&self, now: Timestamp, terms: &KeyTerms) -> Option<PlannedKey> {
        self.keyring.planned(now, terms.rotate_every?, terms)
    }

    /// When the next key is due by these rules, seen from `now`; that may have passed. `None` as for [`Self::planned`].
    pub fn due(&self, now: Timestamp, terms: &KeyTerms) -> Option<Timestamp> {
        self.keyring.due(now, terms.rotate_every?, terms)
    }

    /// Its times.
    pub fn keyring(&self) -> &Keyring {
        &self.keyring
    }
}

impl KeyRing {
    /// The key that signs.
    pub fn signing(&self) -> &Arc<SigningKey> {
        &self.signing
    }

    /// Every published key, with its private half.
    pub(crate) fn published(&self) -> &[Arc<SigningKey>] {
        &self.published
    }

    /// The public half of every published key.
    pub fn public(&self) -> &Arc<PublicKeys> {
        &self.public
    }

    /// The published set as it goes over the wire.
    pub fn jwks(&self) -> &JwksDocument {
        &self.jwks
    }

    /// Every key, in the order in which they sign.
    pub fn keys(&self) -> &[RingKey] {
        &self.keys
    }

    /// The key files that count for nothing.
    pub fn unlisted(&self) -> &[UnlistedKey] {
        &self.unlisted
    }

    /// The files of private keys that a group can read too, on a mount where nobody can change that.
    pub fn exposed(&self) -> &[PathBuf] {
        &self.exposed
    }

    /// For how long a key stays published after it retired.
    pub fn retention(&self) -> SignedDuration {
        self.retention
    }

    /// When a key does something else next.
    pub fn next_change(&self) -> Option<Timestamp> {
        self.next_change
    }

    /// Whether it is as it is at `now` by these rules too. It is not asked for times before it was made, but by a clock that
    /// was set back.
    pub(super) fn holds_at(&self, now: Timestamp, terms: &KeyTerms) -> bool {
        self.retention == terms.retention
            && self.made_at <= now
            && self.next_change.is_none_or(|change| now < change)
    }
}
