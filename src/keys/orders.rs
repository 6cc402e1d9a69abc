//! What can be ordered of a key folder: a first key, the next one, the end of one. Each order is refused that
//! would leave a live token without a published key, or sign with a key that verifiers may not have fetched.

mod ready;

use std::{cell::Cell, fs, io, os::unix::fs::MetadataExt, path::PathBuf, slice, sync::Arc};

use jeton_oauth::{KeyId, clock::Clock};
use jiff::{SignedDuration, Timestamp};
use zeroize::Zeroizing;

pub use self::ready::{FirstKey, ReadyKey};
use super::{
    KeyEntry, KeyError, KeyErrors, KeyFolder, KeySet, KeyState, KeyTerms, Keyring,
    keyring_file::KEYRING,
    local::PrivateKey,
    owner, pem_file,
    steps::{self, KeyStep},
};
use crate::made::MadePaths;

/// Why an order was not carried out.
#[derive(Debug, thiserror::Error)]
pub enum OrderError {
    /// The folder is not as it must be, or cannot be written.
    #[error(transparent)]
    Keys(#[from] KeyErrors),
    /// `generate` makes the first key only.
    #[error("{}: there is a key already (`{kid}`): `jeton keys generate` makes the first one only, `jeton keys rotate` the next", dir.display())]
    Exists {
        /// The folder.
        dir: PathBuf,
        /// The key that signs.
        kid: KeyId,
    },
    /// A next key waits already.
    #[error(
        "`{kid}` is the next key already, and signs from {from}: wait until then, or, if a key has leaked, run `jeton keys rotate --now`"
    )]
    NextExists {
        /// The next key.
        kid: KeyId,
        /// When it signs.
        from: Timestamp,
    },
    /// Nobody knows this key.
    #[error("there is no key `{0}`: `jeton keys list` shows them")]
    Unknown(String),
    /// The key signs, and no other could.
    #[error(
        "`{kid}` signs, and no key follows it: run `jeton keys rotate`, and it retires by itself at {safe_from}; if it has leaked, `jeton keys rotate --now`"
    )]
    SignsAlone {
        /// The key.
        kid: KeyId,
        /// When a key made now could sign.
        safe_from: Timestamp,
    },
    /// The key signs, and its successor was not published for long enough.
    #[error(
        "`{kid}` signs, and verifiers may not have fetched `{next}` yet: it is safe from {safe_from}; if the key has leaked, run `jeton keys rotate --now`"
    )]
    NextNotReady {
        /// The key.
        kid: KeyId,
        /// Its successor.
        next: KeyId,
        /// When the successor was published for long enough.
        safe_from: Timestamp,
    },
    /// Tokens by the key may live.
    #[error(
        "tokens that `{kid}` signed may still be valid: it is safe from {safe_from}; if the key has leaked, run `jeton keys retire {kid} --now`"
    )]
    StillNeeded {
        /// The key.
        kid: KeyId,
        /// When the last of them has ended.
        safe_from: Timestamp,
    },
    /// The next key signs in a moment; a replica may not hear of the order before.
    #[error("`{kid}` signs from {from}, in a moment: retire it when its successor signs")]
    AboutToSign {
        /// The key.
        kid: KeyId,
        /// When.
        from: Timestamp,
    },
}

impl From<KeyError> for OrderError {
    fn from(error: KeyError) -> Self {
        Self::Keys(error.into())
    }
}

/// A key that was made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewKey {
    /// Its name.
    pub kid: KeyId,
    /// When it signs.
    pub activates: Timestamp,
}

impl From<KeyEntry> for NewKey {
    fn from(entry: KeyEntry) -> Self {
        Self { kid: entry.kid, activates: entry.activates }
    }
}

/// What `rotate --now` did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReplacedKeys {
    /// The key that signs from now on.
    pub new: NewKey,
    /// The keys that left the published set: the one that signed, and the next.
    pub dropped: Vec<KeyId>,
    /// The retired keys that stay published, and until when.
    pub still_published: Vec<(KeyId, Timestamp)>,
}

/// What `retire` did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RetiredKey {
    /// The key that signed handed over.
    HandedOver {
        /// To this one.
        to: KeyId,
        /// Until when it stays published.
        published_until: Timestamp,
    },
    /// It left the ring, and its file is deleted.
    Dropped,
}

/// How the creation time stands in a file name.
const TIME_FORMAT: &str = "%Y%m%dT%H%M%SZ";
/// How close to its activation the next key is not withdrawn any more: clocks differ, and replicas read the
/// folder every few seconds.
pub(super) const TOO_CLOSE: SignedDuration = SignedDuration::from_mins(1);

/// Carries out orders on one folder, one after the other: a file lock keeps others from it meanwhile.
#[derive(Clone)]
pub struct KeyKeeper {
    folder: KeyFolder,
    terms: KeyTerms,
    clock: Arc<dyn Clock>,
}

/// The folder while nobody else changes it.
struct Locked<'k> {
    keeper: &'k KeyKeeper,
    now: Timestamp,
    /// Who gets the files that are written, if it is not us.
    owner: Option<u32>,
    /// The folder and the lock file, where they were made for this order: they go with one that is not carried out.
    made: Cell<Option<MadePaths>>,
    /// The lock; the system lets go of it with the file.
    _lock: fs::File,
}

/// The lock file, not yet locked.
struct LockFile {
    file: fs::File,
    path: PathBuf,
    owner: Option<u32>,
    made: MadePaths,
}

impl KeyKeeper {
    /// A keeper of `folder`, by these rules.
    pub fn new(folder: KeyFolder, terms: KeyTerms, clock: Arc<dyn Clock>) -> Self {
        Self { folder, terms, clock }
    }

    /// The folder.
    pub fn folder(&self) -> &KeyFolder {
        &self.folder
    }

    /// The rules.
    pub fn terms(&self) -> &KeyTerms {
        &self.terms
    }

    /// Writes the first key if there is none: the one that is ready, or one that is made now. Of several processes that
    /// start at once on one folder, one writes it.
    ///
    /// # Errors
    /// What is wrong with the folder, or stands in the way of writing.
    pub fn ensure_first_key(&self, ready: Option<ReadyKey>) -> Result<FirstKey, OrderError> {
        let Err(errors) = self.folder.load() else { return Ok(FirstKey::Found) };
        // somebody else may be about to make the first key, or was stopped while doing so
        let locked = match self.lock() {
            Ok(locked) => locked,
            Err(_) if !errors.is_missing() => return Err(errors.into()),
            Err(error) => return Err(error.into()),
        };
        match self.folder.load() {
            Err(errors) if errors.is_missing() => locked.generate(ready).map(FirstKey::Made),
            loaded => loaded.map(|_| FirstKey::Found).map_err(OrderError::from),
        }
    }

    /// Makes the first key, which signs at once.
    ///
    /// # Errors
    /// [`OrderError::Exists`] when there is one.
    pub fn generate(&self) -> Result<NewKey, OrderError> {
        let locked = self.lock()?;
        match self.folder.load() {
            Ok(keys) => {
                let kid = keys.at(locked.now, &self.terms).signing().kid().clone();
                Err(OrderError::Exists { dir: self.folder.path().to_owned(), kid })
            }
            Err(errors) if errors.is_missing() => locked.generate(None),
            Err(errors) => Err(errors.into()),
        }
    }

    /// Makes the next key, which is published now and signs after `publish_ahead`.
    ///
    /// # Errors
    /// [`OrderError::NextExists`] while there is one.
    pub fn rotate(&self) -> Result<NewKey, OrderError> {
        let locked = self.lock()?;
        let keys = self.folder.load()?;
        locked.add_next(&keys, locked.now + self.terms.publish_ahead)
    }

    /// Makes the next key if it is time for it, and nobody else is about to.
    ///
    /// # Errors
    /// What stands in the way; the next attempt may do better.
    pub fn rotate_if_due(&self) -> Result<Option<NewKey>, OrderError> {
        let due = |keys: &KeySet, now| {
            let planned = keys.planned(now, &self.terms).filter(|planned| planned.made <= now);
            planned.map(|planned| planned.activates)
        };
        if due(&self.folder.load()?, self.clock.now()).is_none() {
            return Ok(None);
        }
        let Some(locked) = self.try_lock()? else { return Ok(None) };
        // another replica may have been faster
        let keys = self.folder.load()?;
        due(&keys, locked.now).map(|activates| locked.add_next(&keys, activates)).transpose()
    }

    /// Lets a new key sign at once, and drops the one that signs and the next: for a key that has leaked.
    ///
    /// # Errors
    /// What stands in the way of writing.
    pub fn rotate_now(&self) -> Result<ReplacedKeys, OrderError> {
        let locked = self.lock()?;
        let (replaced, steps) = locked.replacement(&self.folder.load()?)?;
        locked.take(&steps)?;
        Ok(replaced)
    }

    /// The key that [`Self::rotate_now`] would replace, if it could now.
    ///
    /// # Errors
    /// As [`Self::rotate_now`].
    pub fn replaced_by_rotation(&self) -> Result<KeyId, OrderError> {
        // what was stopped is finished under the lock
        let locked = self.lock()?;
        Ok(self.folder.load()?.at(locked.now, &self.terms).signing().kid().clone())
    }

    /// Ends a key: one that signs hands over to a next key that was published for long enough; a next key is
    /// withdrawn; a retired one leaves the set, once no token by it can live.
    ///
    /// # Errors
    /// [`OrderError`], with the time from which on it is safe.
    pub fn retire(&self, kid: &str) -> Result<RetiredKey, OrderError> {
        let locked = self.lock()?;
        let keys = self.folder.load()?;
        let now = locked.now;
        let states = keys.keyring.at(now, self.terms.retention);
        let (entry, state) = *find(&states, kid)?;
        let kid = entry.kid.clone();
        match state {
            KeyState::Active { .. } => {
                let next = states.iter().find(|(_, state)| matches!(state, KeyState::Next { .. }));
                let Some((next, _)) = next else {
                    return Err(OrderError::SignsAlone { kid, safe_from: now + self.terms.publish_ahead });
                };
                let safe_from = next.created + self.terms.publish_ahead;
                if now < safe_from {
                    return Err(OrderError::NextNotReady { kid, next: next.kid.clone(), safe_from });
                }
                let to = next.kid.clone();
                locked.take(&locked.handover(&keys, &kid, &to))?;
                Ok(RetiredKey::HandedOver { to, published_until: now + self.terms.retention })
            }
            KeyState::Next { from } if from <= now + TOO_CLOSE => Err(OrderError::AboutToSign { kid, from }),
            KeyState::Retired { until, .. } => Err(OrderError::StillNeeded { kid, safe_from: until }),
            KeyState::Next { .. } | KeyState::Expired { .. } => {
                locked.take(&locked.removal(&keys, &[kid]))?;
                Ok(RetiredKey::Dropped)
            }
        }
    }

    /// Drops a retired key from the published set, whatever tokens by it live: for one that has leaked.
    ///
    /// # Errors
    /// [`OrderError`] as [`Self::retire`] for a key that is not retired.
    pub fn retire_now(&self, kid: &str) -> Result<RetiredKey, OrderError> {
        let locked = self.lock()?;
        let keys = self.folder.load()?;
        let kid = locked.dropped_at_once(&keys, kid)?;
        locked.take(&locked.removal(&keys, &[kid]))?;
        Ok(RetiredKey::Dropped)
    }

    /// The key that [`Self::retire_now`] would drop, if it could now.
    ///
    /// # Errors
    /// As [`Self::retire_now`].
    pub fn may_retire_now(&self, kid: &str) -> Result<KeyId, OrderError> {
        let locked = self.lock()?;
        locked.dropped_at_once(&self.folder.load()?, kid)
    }

    /// Deletes what counts for nothing: keys that are published no more, files without an entry, and what an
    /// order left that was stopped. The names of the keys.
    ///
    /// # Errors
    /// What stands in the way of writing.
    pub fn prune(&self) -> Result<Vec<KeyId>, OrderError> {
        let locked = self.lock()?;
        let keys = self.folder.load()?;
        let (pruned, steps) = locked.pruning(&keys);
        locked.take(&steps)?;
        Ok(pruned)
    }

    fn lock(&self) -> Result<Locked<'_>, KeyError> {
        loop {
            let lock = self.lock_file()?;
            lock.file.lock().map_err(|source| self.folder.io("cannot be locked", source))?;
            if lock.is_there() {
                return self.locked(lock);
            }
            // who had the lock before took its file away, and there may be another, which is not ours to take away
            lock.made.keep();
        }
    }

    /// The lock, unless somebody else has it.
    fn try_lock(&self) -> Result<Option<Locked<'_>>, KeyError> {
        let lock = self.lock_file()?;
        match lock.file.try_lock() {
            Ok(()) if lock.is_there() => self.locked(lock).map(Some),
            // somebody else has it, or had it
            Ok(()) | Err(fs::TryLockError::WouldBlock) => {
                lock.made.keep();
                Ok(None)
            }
            Err(fs::TryLockError::Error(source)) => Err(self.folder.io("cannot be locked", source)),
        }
    }

    /// The file with the lock, in a folder that is there then.
    fn lock_file(&self) -> Result<LockFile, KeyError> {
        let dir = self.folder.path();
        let mut made = MadePaths::default();
        self.folder.make(&mut made).map_err(|source| self.folder.io("cannot be made", source))?;
        let owner = owner::of_new_files(dir)?;
        let path = dir.join(".lock");
        made.expect(&path);
        match steps::create(&path, owner) {
            Ok(file) => Ok(LockFile { file, path, owner, made }),
            Err(source) => Err(KeyError::Io { path, doing: "cannot be written", source }),
        }
    }

    fn locked(&self, lock: LockFile) -> Result<Locked<'_>, KeyError> {
        let LockFile { file, owner, made, .. } = lock;
        let made = Cell::new(Some(made));
        let locked = Locked { keeper: self, now: self.now(), owner, made, _lock: file };
        locked.finish_stopped_order().map_err(|source| self.folder.io("cannot be written", source))?;
        Ok(locked)
    }

    /// The time, in whole seconds, as it stands in files.
    fn now(&self) -> Timestamp {
        let now = self.clock.now();
        Timestamp::from_second(now.as_second()).unwrap_or(now)
    }
}

impl LockFile {
    /// Whether the file still has its name: otherwise somebody else may hold the lock of another one.
    fn is_there(&self) -> bool {
        let named = fs::metadata(&self.path).map(|named| (named.dev(), named.ino()));
        let own = self.file.metadata().map(|own| (own.dev(), own.ino()));
        named.is_ok_and(|named| own.is_ok_and(|own| own == named))
    }
}

fn find<'s, 'k>(
    states: &'s [(&'k KeyEntry, KeyState)],
    kid: &str,
) -> Result<&'s (&'k KeyEntry, KeyState), OrderError> {
    let found = states.iter().find(|(entry, _)| entry.kid.as_str() == kid);
    found.ok_or_else(|| OrderError::Unknown(kid.chars().take(100).collect()))
}

/// The files of these keys.
fn paths(keys: &KeySet, kids: &[KeyId]) -> impl Iterator<Item = PathBuf> {
    kids.iter().filter_map(|kid| keys.keys.get(kid)).map(|(path, _)| path.clone())
}

impl Locked<'_> {
    /// A key that may leave the published set whatever tokens by it live: one that does not sign.
    fn dropped_at_once(&self, keys: &KeySet, kid: &str) -> Result<KeyId, OrderError> {
        let KeyTerms { retention, publish_ahead, .. } = self.keeper.terms;
        let states = keys.keyring.at(self.now, retention);
        let (entry, state) = *find(&states, kid)?;
        let kid = entry.kid.clone();
        match state {
            KeyState::Active { .. } => {
                Err(OrderError::SignsAlone { kid, safe_from: self.now + publish_ahead })
            }
            KeyState::Next { .. } | KeyState::Retired { .. } | KeyState::Expired { .. } => Ok(kid),
        }
    }

    /// The first key. The ring is written before the key gets its name: keys without a ring are an error, and
    /// a ring without its key is made whole by [`Self::finish_stopped_order`].
    fn generate(&self, ready: Option<ReadyKey>) -> Result<NewKey, OrderError> {
        let (new, steps) = self.first_key(ready)?;
        self.take(&steps)?;
        Ok(new.into())
    }

    fn first_key(&self, ready: Option<ReadyKey>) -> Result<(KeyEntry, Vec<KeyStep>), OrderError> {
        let (new, key) = match ready {
            Some(ReadyKey(key)) => (self.entry_of(&key, self.now, self.now)?, key),
            None => self.new_key(self.now)?,
        };
        let mut steps = self.write_key(&new, &key)?;
        let naming: Vec<_> = steps.drain(1..).collect();
        steps.extend(self.write_ring(slice::from_ref(&new)));
        steps.extend(naming);
        Ok((new, steps))
    }

    fn add_next(&self, keys: &KeySet, activates: Timestamp) -> Result<NewKey, OrderError> {
        let (new, steps) = self.next_key(keys, activates)?;
        self.take(&steps)?;
        Ok(new.into())
    }

    fn next_key(&self, keys: &KeySet, activates: Timestamp) -> Result<(KeyEntry, Vec<KeyStep>), OrderError> {
        let states = keys.keyring.at(self.now, self.keeper.terms.retention);
        for (entry, state) in states {
            if let KeyState::Next { from } = state {
                return Err(OrderError::NextExists { kid: entry.kid.clone(), from });
            }
        }
        let mut entries = keys.keyring.entries().to_vec();
        // no next key: the last one is the one that signs, early if this clock is behind
        let signs = entries.last().map_or(activates, |active| active.activates);
        let (new, key) = self.new_key(activates.max(signs))?;
        if let Some(active) = entries.last_mut() {
            active.retires = Some(new.activates);
        }
        entries.push(new.clone());
        let mut steps = self.write_key(&new, &key)?;
        steps.extend(self.write_ring(&entries));
        Ok((new, steps))
    }

    /// A key that signs at once, in the place of those that sign or will.
    fn replacement(&self, keys: &KeySet) -> Result<(ReplacedKeys, Vec<KeyStep>), OrderError> {
        let retention = self.keeper.terms.retention;
        let (mut dropped, mut still_published) = (Vec::new(), Vec::new());
        for (entry, state) in keys.keyring.at(self.now, retention) {
            match state {
                KeyState::Retired { until, .. } => still_published.push((entry.kid.clone(), until)),
                KeyState::Active { .. } | KeyState::Next { .. } => dropped.push(entry.kid.clone()),
                KeyState::Expired { .. } => {}
            }
        }
        let mut kept = keys.keyring.without(&dropped, self.now, retention);
        let (new, key) = self.new_key(self.now)?;
        kept.push(new.clone());
        let mut steps = self.write_key(&new, &key)?;
        steps.extend(self.write_ring(&kept));
        steps.extend(self.deletion(paths(keys, &dropped)));
        Ok((ReplacedKeys { new: new.into(), dropped, still_published }, steps))
    }

    /// A key that signs at this time, or later by as long as it took to make: nobody could fetch it meanwhile, and an RSA
    /// key may take seconds.
    fn new_key(&self, activates: Timestamp) -> Result<(KeyEntry, PrivateKey), KeyError> {
        let KeyTerms { algorithm, rsa_bits, .. } = self.keeper.terms;
        let key = PrivateKey::generate(algorithm, rsa_bits).map_err(KeyError::Generate)?;
        let created = self.keeper.now().max(self.now);
        let activates = activates + created.duration_since(self.now);
        Ok((self.entry_of(&key, created, activates)?, key))
    }

    fn entry_of(
        &self,
        key: &PrivateKey,
        created: Timestamp,
        activates: Timestamp,
    ) -> Result<KeyEntry, KeyError> {
        let kid = key.kid().map_err(KeyError::Generate)?;
        let algorithm = self.keeper.terms.algorithm;
        Ok(KeyEntry { kid, algorithm, created, activates, retires: None })
    }

    fn write_key(&self, entry: &KeyEntry, key: &PrivateKey) -> Result<Vec<KeyStep>, KeyError> {
        let folder = &self.keeper.folder;
        let text = pem_file::write(key, folder.passphrase()).map_err(KeyError::Generate)?;
        let name = format!("{}-{}.pem", entry.created.strftime(TIME_FORMAT), entry.kid);
        Ok(self.write(folder.path().join(name), text))
    }

    fn write_ring(&self, entries: &[KeyEntry]) -> Vec<KeyStep> {
        let text = Keyring::render(entries).into();
        self.write(self.keeper.folder.path().join(KEYRING), text)
    }

    fn write(&self, path: PathBuf, text: Zeroizing<String>) -> Vec<KeyStep> {
        let dir = self.keeper.folder.path().to_owned();
        vec![
            KeyStep::Write { path: path.clone(), text, owner: self.owner },
            KeyStep::Name { path },
            KeyStep::Sync { dir },
        ]
    }

    /// Lets a key that was published for long enough sign now, in the place of the one that does.
    fn handover(&self, keys: &KeySet, from: &KeyId, to: &KeyId) -> Vec<KeyStep> {
        let changed = keys.keyring.entries().iter().map(|entry| {
            let retires = if entry.kid == *from { Some(self.now) } else { entry.retires };
            let activates = if entry.kid == *to { self.now } else { entry.activates };
            KeyEntry { activates, retires, ..entry.clone() }
        });
        self.write_ring(&changed.collect::<Vec<_>>())
    }

    /// Deletes the keys that are published no more, and those that the ring does not name.
    fn pruning(&self, keys: &KeySet) -> (Vec<KeyId>, Vec<KeyStep>) {
        let states = keys.keyring.at(self.now, self.keeper.terms.retention);
        let expired = states.iter().filter(|(_, state)| !state.is_published());
        let mut pruned: Vec<_> = expired.map(|(entry, _)| entry.kid.clone()).collect();
        let mut steps = if pruned.is_empty() { Vec::new() } else { self.removal(keys, &pruned) };
        steps.extend(self.deletion(keys.unlisted.iter().map(|key| key.path.clone())));
        pruned.extend(keys.unlisted.iter().map(|key| key.kid.clone()));
        (pruned, steps)
    }

    /// Deletes files, until they are gone from the disk too.
    fn deletion(&self, paths: impl Iterator<Item = PathBuf>) -> Vec<KeyStep> {
        let mut steps: Vec<_> = paths.map(|path| KeyStep::Delete { path }).collect();
        if !steps.is_empty() {
            steps.push(KeyStep::Sync { dir: self.keeper.folder.path().to_owned() });
        }
        steps
    }

    /// Takes keys that do not sign out of the ring, and deletes their files.
    fn removal(&self, keys: &KeySet, kids: &[KeyId]) -> Vec<KeyStep> {
        let kept = keys.keyring.without(kids, self.now, self.keeper.terms.retention);
        let mut steps = self.write_ring(&kept);
        steps.extend(self.deletion(paths(keys, kids)));
        steps
    }

    fn take(&self, steps: &[KeyStep]) -> Result<(), KeyError> {
        if let Err(source) = steps.iter().try_for_each(KeyStep::take) {
            // back to the beginning, where the disk lets us
            let _ = self.finish_stopped_order();
            return Err(self.keeper.folder.io("cannot be written", source));
        }
        if let Some(made) = self.made.take() {
            made.keep();
        }
        Ok(())
    }

    /// Goes to the end of an order that was stopped between two steps, or back to its beginning: a key that the
    /// ring names gets its name, everything else that has none is deleted.
    fn finish_stopped_order(&self) -> io::Result<()> {
        let dir = self.keeper.folder.path();
        let ring = fs::read_to_string(dir.join(KEYRING)).ok().and_then(|text| Keyring::parse(&text).ok());
        for path in steps::unnamed(dir)? {
            let named = ring.iter().flat_map(Keyring::entries).any(|entry| {
                let end = format!("-{}.pem", entry.kid);
                path.file_name().is_some_and(|name| name.to_string_lossy().ends_with(&end))
            });
            if named && !path.exists() {
                KeyStep::Name { path }.take()?;
            } else {
                KeyStep::Delete { path: steps::partial(&path) }.take()?;
            }
        }
        KeyStep::Sync { dir: dir.to_owned() }.take()
    }
}

#[cfg(test)]
mod tests;
