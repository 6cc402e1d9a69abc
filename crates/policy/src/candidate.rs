//! Policies that are tried and not in force: a folder of their own, which may be wrong.

use std::{
    path::{Path, PathBuf},
    sync::{Arc, Mutex, OnceLock, PoisonError},
};

use arc_swap::{ArcSwapOption, Guard};
use jeton_oauth::clock::Clock;

use super::{ContentHash, Findings, LivePolicies, Rejection, Reload, Snapshot, Surroundings};

/// The policies of `policies.candidate`. Unlike [`LivePolicies`] there may be none yet: they are taken as soon as
/// the folder is sound, and until then nothing is compared.
pub struct CandidatePolicies {
    dir: PathBuf,
    surroundings: Surroundings,
    clock: Arc<dyn Clock>,
    live: OnceLock<LivePolicies>,
    /// What was wrong for as long as there are none.
    rejected: ArcSwapOption<Rejection>,
    /// Held while the first of them are loaded.
    loading: Mutex<()>,
}

/// What a reading of the candidate came to.
pub enum CandidateReload {
    /// The first that could be taken.
    Loaded(ContentHash),
    /// As with policies in force. A rejection may also mean that there are none yet.
    Read(Reload),
}

impl CandidatePolicies {
    /// A folder, not yet read.
    pub fn new(dir: &Path, surroundings: Surroundings, clock: Arc<dyn Clock>) -> Self {
        Self {
            dir: dir.to_owned(),
            surroundings,
            clock,
            live: OnceLock::new(),
            rejected: ArcSwapOption::empty(),
            loading: Mutex::new(()),
        }
    }

    /// The last good ones, if there were any.
    pub fn current(&self) -> Option<Guard<Arc<Snapshot>>> {
        self.live.get().map(LivePolicies::current)
    }

    /// The last reading that could not be taken, if none has been since.
    pub fn last_rejection(&self) -> Option<Arc<Rejection>> {
        match self.live.get() {
            Some(live) => live.last_rejection(),
            None => self.rejected.load_full(),
        }
    }

    /// Reads the folder again. Blocks on the disk.
    pub fn reload(&self) -> CandidateReload {
        self.read(LivePolicies::reload)
    }

    /// As [`Self::reload`], but in the place of sound ones only what two polls in a row saw.
    pub fn poll(&self) -> CandidateReload {
        self.read(LivePolicies::poll)
    }

    /// Notes that a reading did not come to its end.
    pub fn reload_failed(&self) {
        match self.live.get() {
            Some(live) => live.reload_failed(),
            None => drop(self.reject(Findings::about(
                "the candidate's folder",
                "reading it failed within jeton: please report this",
            ))),
        }
    }

    fn read(&self, again: fn(&LivePolicies) -> Reload) -> CandidateReload {
        if let Some(live) = self.live.get() {
            return CandidateReload::Read(again(live));
        }
        let _one_at_a_time = self.loading.lock().unwrap_or_else(PoisonError::into_inner);
        if self.live.get().is_some() {
            return CandidateReload::Read(Reload::Unchanged);
        }
        match LivePolicies::load(&self.dir, self.surroundings.clone(), Arc::clone(&self.clock)) {
            Ok(live) => {
                let hash = live.current().policies.hash().clone();
                // nobody else sets it: the lock is held
                let _ = self.live.set(live);
                self.rejected.store(None);
                CandidateReload::Loaded(hash)
            }
            Err(findings) => CandidateReload::Read(self.reject(findings)),
        }
    }

    fn reject(&self, findings: Findings) -> Reload {
        if let Some(last) = self.rejected.load_full().filter(|last| last.findings == findings) {
            return Reload::StillRejected(last);
        }
        let rejection = Arc::new(Rejection { at: self.clock.now(), findings });
        self.rejected.store(Some(Arc::clone(&rejection)));
        Reload::Rejected(rejection)
    }
}
