//! `keys/keyring.yaml`: when each key begins to sign and when it stopped, and what follows from that at any time.

use jeton_oauth::{KeyId, SignatureAlgorithm, text::printable};
use jiff::{SignedDuration, Timestamp};

use super::KeyTerms;

/// The times of one key: an entry of `keyring.yaml`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyEntry {
    /// Its thumbprint, and its name in token headers.
    pub kid: KeyId,
    /// The one algorithm that it signs by.
    pub algorithm: SignatureAlgorithm,
    /// When it was made, and so published.
    pub created: Timestamp,
    /// When it begins to sign.
    pub activates: Timestamp,
    /// When its successor began to sign or will begin; `None` while none is known.
    pub retires: Option<Timestamp>,
}

/// What a key does at some time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyState {
    /// It is published, and will sign.
    Next {
        /// From then on.
        from: Timestamp,
    },
    /// It signs.
    Active {
        /// Until its successor does, if there is one.
        until: Option<Timestamp>,
    },
    /// It signs no more, and is published as long as tokens by it may live.
    Retired {
        /// Since then.
        since: Timestamp,
        /// When it leaves the published set.
        until: Timestamp,
    },
    /// It is published no more: `jeton keys prune` deletes it.
    Expired {
        /// Since then.
        since: Timestamp,
    },
}

/// A key that a server is to make.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PlannedKey {
    /// From then on it is due: the time that was asked for, if that has come.
    pub made: Timestamp,
    /// When it begins to sign, if it is made then.
    pub activates: Timestamp,
}

impl KeyState {
    /// The name of every state.
    pub const NAMES: [&str; 4] = ["next", "active", "retired", "expired"];

    /// Its name, one of [`Self::NAMES`].
    pub fn name(self) -> &'static str {
        match self {
            Self::Next { .. } => "next",
            Self::Active { .. } => "active",
            Self::Retired { .. } => "retired",
            Self::Expired { .. } => "expired",
        }
    }

    /// Whether the key stands in the published set.
    pub fn is_published(self) -> bool {
        !matches!(self, Self::Expired { .. })
    }
}

/// What is wrong with a text that should be a key ring.
#[derive(Debug, thiserror::Error)]
pub enum InvalidKeyring {
    /// Not the YAML that it should be, or a value that its field does not take.
    #[error("{line}:{column}: error: {}", printable(message))]
    Fault {
        /// From 1.
        line: u64,
        /// From 1.
        column: u64,
        /// What is wrong, and the fix.
        message: String,
    },
    /// There is no entry.
    #[error("it names no key")]
    Empty,
    /// Nobody would sign.
    #[error(
        "`{0}` retires and no key follows it: remove its `retires`, or add a successor with `jeton keys rotate`"
    )]
    NoSuccessor(KeyId),
}

/// The entries of `keyring.yaml`, of which there is at least one, in the order in which they sign.
///
/// Which key does what follows from these and the time alone, so replicas that see the same file agree without
/// talking.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Keyring(Vec<KeyEntry>);

impl Keyring {
    /// A ring of these keys.
    ///
    /// # Errors
    /// [`InvalidKeyring::Empty`], and [`InvalidKeyring::NoSuccessor`].
    pub fn new(mut entries: Vec<KeyEntry>) -> Result<Self, InvalidKeyring> {
        // of two that activate in one second the one that retires came first
        let order = |entry: &KeyEntry| {
            let retires = entry.retires.unwrap_or(Timestamp::MAX);
            (entry.activates, retires, entry.created, entry.kid.clone())
        };
        entries.sort_by_cached_key(order);
        match entries.last() {
            None => Err(InvalidKeyring::Empty),
            Some(last) if last.retires.is_some() => Err(InvalidKeyring::NoSuccessor(last.kid.clone())),
            Some(_) => Ok(Self(entries)),
        }
    }

    /// The entries, in the order in which they sign.
    pub fn entries(&self) -> &[KeyEntry] {
        &self.0
    }

    /// What each key does at `now`, if keys stay published for `retention` after they retired.
    ///
    /// The newest key whose activation has come signs; while there is none, the one that activates first, so
    /// that a clock that is behind does not leave a replica without one.
    pub fn at(&self, now: Timestamp, retention: SignedDuration) -> Vec<(&KeyEntry, KeyState)> {
        let signs = self.signing_at(now);
        let successors = self.0.iter().skip(1).map(Some).chain([None]);
        let each = self.0.iter().zip(successors).enumerate();
        each.map(|(place, (entry, successor))| {
            let state = match entry.handover(successor) {
                until if place == signs => KeyState::Active { until },
                Some(since) if entry.activates <= now => {
                    let until = since.checked_add(retention).unwrap_or(Timestamp::MAX);
                    if now < until {
                        KeyState::Retired { since, until }
                    } else {
                        KeyState::Expired { since: until }
                    }
                }
                _ => KeyState::Next { from: entry.activates },
            };
            (entry, state)
        })
        .collect()
    }

    /// The entries but for these keys. What the others did stays as it was: a key that retired did so when its
    /// successor began, whether that one stays or not; one that is still to retire does not, if its successor goes.
    pub(super) fn without(&self, kids: &[KeyId], now: Timestamp, retention: SignedDuration) -> Vec<KeyEntry> {
        let successors = self.0.iter().skip(1).map(Some).chain([None]);
        let each = self.at(now, retention).into_iter().zip(successors);
        each.filter(|((entry, _), _)| !kids.contains(&entry.kid))
            .map(|((entry, state), successor)| {
                let retires = match state {
                    KeyState::Retired { .. } | KeyState::Expired { .. } => entry.handover(successor),
                    KeyState::Next { .. } | KeyState::Active { .. } => {
                        entry.retires.filter(|_| successor.is_some_and(|next| !kids.contains(&next.kid)))
                    }
                };
                KeyEntry { retires, ..entry.clone() }
            })
            .collect()
    }

    /// The place of the key that signs.
    fn signing_at(&self, now: Timestamp) -> usize {
        let has_come = |entry: &KeyEntry| entry.activates <= now;
        let is_over = |entry: &KeyEntry| entry.retires.is_some_and(|retires| retires <= now);
        let newest = self.0.iter().rposition(|entry| has_come(entry) && !is_over(entry));
        // the first that lies ahead; the last entry never retires, so there is one or the other
        newest.or_else(|| self.0.iter().position(|entry| !has_come(entry))).unwrap_or(self.0.len() - 1)
    }

    /// When the next key is to be made so that one follows the other `every` so often, seen from `now`; `None` while
    /// it is there.
    pub fn planned(&self, now: Timestamp, every: SignedDuration, terms: &KeyTerms) -> Option<PlannedKey> {
        let made = self.due(now, every, terms)?.max(now);
        Some(PlannedKey { made, activates: made.saturating_add(terms.publish_ahead).ok()? })
    }

    /// As [`Self::planned`], when the next key is due; that may have passed.
    pub fn due(&self, now: Timestamp, every: SignedDuration, terms: &KeyTerms) -> Option<Timestamp> {
        let signs = self.signing_at(now);
        // whatever stands behind it is next
        let active = self.0.get(signs).filter(|_| signs + 1 == self.0.len())?;
        active.activates.saturating_add(every).ok()?.saturating_sub(terms.publish_ahead).ok()
    }

    /// The first moment after `now` at which a key does something else.
    pub fn next_change(&self, now: Timestamp, retention: SignedDuration) -> Option<Timestamp> {
        let successors = self.0.iter().skip(1).map(Some).chain([None]);
        let handovers = self.0.iter().zip(successors).filter_map(|(entry, next)| entry.handover(next));
        let ends = handovers.clone().filter_map(|time| time.checked_add(retention).ok());
        let begins = self.0.iter().map(|entry| entry.activates);
        begins.chain(handovers).chain(ends).filter(|time| *time > now).min()
    }
}

impl KeyEntry {
    /// When it gives way to its successor, as far as one is known.
    fn handover(&self, successor: Option<&Self>) -> Option<Timestamp> {
        self.retires.or(successor.map(|successor| successor.activates))
    }
}
