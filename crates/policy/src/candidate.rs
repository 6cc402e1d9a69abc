//! Policies that are tried and not in force: a folder of their own, which may be wrong.

use std::{path::Path, sync::Arc};

use arc_swap::Guard;
use jeton_oauth::clock::Clock;

use super::{Findings, PolicySnapshot, PolicySources, Surroundings, live::PolicyFolder, source::FolderLook};
use crate::files::{Latest, Rejection, Reload, Swapped, WatchedSource};

/// The policies of `policies.candidate`. Unlike [`LivePolicies`](super::LivePolicies) there may be none yet: they are
/// taken as soon as the folder is sound, and until then nothing is compared.
pub struct CandidatePolicies(Latest<CandidateFolder>);

/// The outcome of reading the candidate. A rejection may also mean that there is no candidate yet.
pub type CandidateReload = Reload<Arc<Swapped<Option<Arc<PolicySnapshot>>>>, Findings>;

struct CandidateFolder(PolicyFolder);

impl CandidatePolicies {
    /// A folder, not yet read.
    pub fn new(dir: &Path, surroundings: Surroundings, clock: Arc<dyn Clock>) -> Self {
        let folder = PolicyFolder { dir: dir.to_owned(), surroundings, clock: Arc::clone(&clock) };
        Self(Latest::new(CandidateFolder(folder), None, clock))
    }

    /// The last good ones, if there were any.
    pub fn current(&self) -> Guard<Arc<Option<Arc<PolicySnapshot>>>> {
        self.0.current()
    }

    /// As [`Self::current`], to be held.
    pub fn snapshot(&self) -> Option<Arc<PolicySnapshot>> {
        Option::clone(&self.0.current())
    }

    /// The last rejected reading, if no later one was accepted.
    pub fn last_rejection(&self) -> Option<Arc<Rejection<Findings>>> {
        self.0.last_rejection()
    }

    /// Reads the folder again. Blocks on the disk.
    pub fn reload(&self) -> CandidateReload {
        self.0.reload().map(Arc::new)
    }

    /// As [`Self::reload`], but only what two polls in a row saw.
    pub fn poll(&self) -> CandidateReload {
        self.0.poll().map(Arc::new)
    }

    /// Notes that a reading did not come to its end.
    pub fn reload_failed(&self) {
        let message = "reading it failed within jeton: please report this";
        self.0.failed(Findings::about("the candidate's folder", message));
    }
}

impl WatchedSource for CandidateFolder {
    type Look = FolderLook;
    type Content = PolicySources;
    type Value = Option<Arc<PolicySnapshot>>;
    type Faults = Findings;

    fn look(&self) -> Result<FolderLook, Findings> {
        self.0.look()
    }

    fn read(&self) -> Result<PolicySources, Findings> {
        self.0.read()
    }

    fn look_of(sources: &PolicySources) -> FolderLook {
        PolicyFolder::look_of(sources)
    }

    fn understand(&self, sources: PolicySources) -> Result<Option<Arc<PolicySnapshot>>, Findings> {
        self.0.understand(sources).map(|snapshot| Some(Arc::new(snapshot)))
    }

    fn is_same_fault(one: &Findings, other: &Findings) -> bool {
        PolicyFolder::is_same_fault(one, other)
    }

    fn is_of(snapshot: &Option<Arc<PolicySnapshot>>, look: &FolderLook) -> bool {
        snapshot.as_ref().is_some_and(|snapshot| PolicyFolder::is_of(snapshot, look))
    }
}
