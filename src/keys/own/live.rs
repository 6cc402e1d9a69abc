//! The keys in force, and how others take their place: as time passes, and as the folder changes.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use arc_swap::{ArcSwap, ArcSwapOption};
use jiff::Timestamp;

use super::{
    KeyErrors, KeyFolder, KeyRing, KeySet, KeyTerms, PlannedKey, PublicKeys,
    folder::{self, FolderHash, Seen, Sources},
};
use crate::{clock::Clock, keys::KeySource};

/// The keys in force. Readers are never kept waiting; what a key does changes on the second.
pub struct LiveKeys {
    folder: KeyFolder,
    terms: KeyTerms,
    clock: Arc<dyn Clock>,
    current: ArcSwap<Held>,
    rejected: ArcSwapOption<RejectedKeys>,
    /// What the last poll saw. Held while the current keys are replaced; no request waits for the disk.
    seen: Mutex<LastLook>,
}

/// What the folder held, and what follows from it for a while.
struct Held {
    keys: Arc<KeySet>,
    hash: FolderHash,
    ring: Arc<KeyRing>,
}

/// What the last poll saw.
type LastLook = Option<Seen>;

/// A reading of the folder that could not take over.
#[derive(Debug)]
pub struct RejectedKeys {
    /// What was read, if it was: the same again is not looked at again, for opening an encrypted key takes long.
    hash: Option<FolderHash>,
    /// When it was read.
    pub at: Timestamp,
    /// What is wrong, a line for each fault.
    pub errors: String,
}

/// What a reading of the folder came to.
pub enum KeyReload {
    /// The files hold what is in force already.
    Unchanged,
    /// As [`Self::Unchanged`], after a reading that could not take over.
    Restored,
    /// A poll saw something else than before, and nothing is done until the next one sees the same.
    Unsettled,
    /// Other keys are in force now.
    Reloaded {
        /// The keys before.
        old: Arc<KeyRing>,
        /// The keys now.
        new: Arc<KeyRing>,
    },
    /// What was in force stays.
    Rejected(Arc<RejectedKeys>),
    /// What was in force stays, for the reason that was told last time.
    StillRejected(Arc<RejectedKeys>),
}

impl KeySource for LiveKeys {
    fn current(&self) -> Arc<PublicKeys> {
        Arc::clone(self.ring().public())
    }
}

impl LiveKeys {
    /// The keys of `folder`, by these rules.
    ///
    /// # Errors
    /// Everything that is wrong with it.
    pub fn load(folder: KeyFolder, terms: KeyTerms, clock: Arc<dyn Clock>) -> Result<Self, KeyErrors> {
        let sources = folder.read_whole()?;
        let hash = sources.hash();
        let keys = Arc::new(folder.understand(sources)?);
        let ring = Arc::new(keys.at(clock.now(), &terms));
        let current = ArcSwap::from_pointee(Held { keys, hash, ring });
        Ok(Self { folder, terms, clock, current, rejected: ArcSwapOption::empty(), seen: Mutex::new(None) })
    }

    /// The keys as they are now.
    pub fn ring(&self) -> Arc<KeyRing> {
        let now = self.clock.now();
        let held = self.current.load();
        if held.ring.holds_at(now) { Arc::clone(&held.ring) } else { self.turn(now) }
    }

    /// Whether it is time for a next key, as far as is known in memory.
    pub fn is_rotation_due(&self) -> bool {
        self.planned().is_some_and(|planned| planned.made <= self.clock.now())
    }

    /// When the next key is to be made, as far as is known in memory.
    pub fn planned(&self) -> Option<PlannedKey> {
        self.current.load().keys.planned(self.clock.now(), &self.terms)
    }

    /// The rules by which keys follow each other.
    pub fn terms(&self) -> &KeyTerms {
        &self.terms
    }

    /// The last reading that could not take over, if none has since.
    pub fn last_rejection(&self) -> Option<Arc<RejectedKeys>> {
        self.rejected.load_full()
    }

    /// Reads the folder again, and lets it take over if it holds something else and nothing is wrong.
    pub fn reload(&self) -> KeyReload {
        let mut seen = self.lock();
        *seen = None;
        self.take_over(self.folder.read_whole(), &seen)
    }

    /// As [`Self::reload`], but only what two polls in a row saw: half of a file that is being written could say
    /// something that nobody wrote.
    pub fn poll(&self) -> KeyReload {
        let mut seen = self.lock();
        let sources = self.folder.read();
        let now = folder::seen(&sources);
        let in_force = now.as_ref().is_ok_and(|hash| *hash == self.current.load().hash);
        let holds_still = seen.as_ref() == Some(&now);
        *seen = Some(now);
        if in_force || holds_still { self.take_over(sources, &seen) } else { KeyReload::Unsettled }
    }

    /// The keys at a time at which one does something else than before. Memory alone is needed for that.
    fn turn(&self, now: Timestamp) -> Arc<KeyRing> {
        loop {
            let held = self.current.load_full();
            let ring = Arc::new(held.keys.at(now, &self.terms));
            let turned =
                Held { keys: Arc::clone(&held.keys), hash: held.hash.clone(), ring: Arc::clone(&ring) };
            // another reading may have taken over meanwhile
            let before = self.current.compare_and_swap(&held, Arc::new(turned));
            if Arc::ptr_eq(&before, &held) {
                return ring;
            }
            if before.ring.holds_at(now) {
                return Arc::clone(&before.ring);
            }
        }
    }

    fn take_over(&self, sources: Result<Sources, KeyErrors>, _: &MutexGuard<'_, LastLook>) -> KeyReload {
        let sources = match sources {
            Ok(sources) => sources,
            Err(errors) => return self.reject(None, errors.to_string()),
        };
        let hash = sources.hash();
        if hash == self.current.load().hash {
            let was_rejected = self.rejected.swap(None).is_some();
            return if was_rejected { KeyReload::Restored } else { KeyReload::Unchanged };
        }
        if let Some(last) = self.last_rejection().filter(|last| last.hash.as_ref() == Some(&hash)) {
            return KeyReload::StillRejected(last);
        }
        let old = self.ring();
        match self.folder.understand(sources) {
            Ok(keys) => {
                let new = Arc::new(keys.at(self.clock.now(), &self.terms));
                self.current.store(Arc::new(Held { keys: Arc::new(keys), hash, ring: Arc::clone(&new) }));
                self.rejected.store(None);
                KeyReload::Reloaded { old, new }
            }
            Err(errors) => self.reject(Some(hash), errors.to_string()),
        }
    }

    fn reject(&self, hash: Option<FolderHash>, errors: String) -> KeyReload {
        if let Some(last) = self.rejected.load_full().filter(|last| last.errors == errors) {
            return KeyReload::StillRejected(last);
        }
        let rejection = Arc::new(RejectedKeys { hash, at: self.clock.now(), errors });
        self.rejected.store(Some(Arc::clone(&rejection)));
        KeyReload::Rejected(rejection)
    }

    fn lock(&self) -> MutexGuard<'_, LastLook> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
