//! The policies in force, and how others take their place.

use std::{
    path::{Path, PathBuf},
    sync::{Arc, OnceLock},
};

use arc_swap::{ArcSwap, Guard};
use jeton_oauth::clock::Clock;
use jiff::Timestamp;

use super::{
    DiffEffort, Finding, Findings, PolicyDiff, PolicySet, PolicySources, Surroundings, source::FolderLook,
};
use crate::files::{Latest, Rejection, Reload, Swapped, WatchedSource};

/// The policies in force. Readers take a snapshot and are never kept waiting; a reload replaces all or
/// nothing.
pub struct LivePolicies(Latest<PolicyFolder>);

/// The outcome of a reading of the policies folder.
pub type PolicyReload = Reload<Arc<ReplacedPolicies>, Findings>;

/// A policies folder, and what its policies must fit.
pub(super) struct PolicyFolder {
    pub(super) dir: PathBuf,
    pub(super) surroundings: Surroundings,
    pub(super) clock: Arc<dyn Clock>,
}

/// Policies and when they came into force.
pub struct PolicySnapshot {
    /// The policies.
    pub policies: PolicySet,
    /// Since when they are in force.
    pub loaded_at: Timestamp,
    sources: PolicySources,
    passed_over: ArcSwap<Vec<Finding>>,
}

impl PolicySnapshot {
    fn new(policies: PolicySet, sources: PolicySources, loaded_at: Timestamp) -> Self {
        let passed_over = ArcSwap::from_pointee(sources.warnings().to_vec());
        Self { policies, loaded_at, sources, passed_over }
    }

    /// Policies that come into force nowhere, as they would be in force.
    ///
    /// # Errors
    /// Everything that is wrong with them.
    pub fn compile(
        sources: PolicySources,
        surroundings: &Surroundings,
        now: Timestamp,
    ) -> Result<Self, Findings> {
        Ok(Self::new(PolicySet::compile(&sources, surroundings, now)?, sources, now))
    }

    /// The files from which they were compiled, with the hashes of secrets. Show
    /// [`Self::shown_texts`] to others.
    pub fn sources(&self) -> &PolicySources {
        &self.sources
    }

    /// The warnings of what looks like a policy file and is passed over, as of the last look at the folder.
    ///
    /// It is another list only where these differ. The [warnings of the policies](PolicySet::warnings) have those of
    /// the time of loading.
    pub fn passed_over(&self) -> Arc<Vec<Finding>> {
        self.passed_over.load_full()
    }

    fn passes_over(&self, found: &[Finding]) -> bool {
        **self.passed_over.load() == found
    }

    /// Notes what is passed over by now.
    fn pass_over(&self, found: &[Finding]) {
        if !self.passes_over(found) {
            self.passed_over.store(Arc::new(found.to_vec()));
        }
    }
}

/// Policies that replaced others. Their difference is computed when somebody asks for it, so no reload waits for it.
pub struct ReplacedPolicies {
    before: Arc<PolicySnapshot>,
    after: Arc<PolicySnapshot>,
    difference: OnceLock<Option<PolicyDiff>>,
}

impl ReplacedPolicies {
    fn by(swapped: Swapped<PolicySnapshot>) -> Arc<Self> {
        let Swapped { before, after } = swapped;
        Arc::new(Self { before, after, difference: OnceLock::new() })
    }

    /// Those before.
    pub fn before(&self) -> &Arc<PolicySnapshot> {
        &self.before
    }

    /// Those that came into force. Their [warnings](PolicySet::warnings) were not looked for yet.
    pub fn after(&self) -> &Arc<PolicySnapshot> {
        &self.after
    }

    /// What differs, where that can be told with bounded work.
    pub fn difference(&self) -> Option<&PolicyDiff> {
        let compare = || self.before.policies.difference(&self.after.policies, DiffEffort::Bounded);
        self.difference.get_or_init(compare).as_ref()
    }
}

impl LivePolicies {
    /// Loads the folder for the first time.
    ///
    /// # Errors
    /// Everything that is wrong with it.
    pub fn load(dir: &Path, surroundings: Surroundings, clock: Arc<dyn Clock>) -> Result<Self, Findings> {
        let folder = PolicyFolder { dir: dir.to_owned(), surroundings, clock: Arc::clone(&clock) };
        Latest::load(folder, clock).map(Self)
    }

    /// What is in force now. A request takes it once, and so never sees a mixture.
    pub fn current(&self) -> Guard<Arc<PolicySnapshot>> {
        self.0.current()
    }

    /// As [`Self::current`], to be held while a request waits for something.
    pub fn snapshot(&self) -> Arc<PolicySnapshot> {
        self.0.snapshot()
    }

    /// The last reading that could not take over, if none has since.
    pub fn last_rejection(&self) -> Option<Arc<Rejection<Findings>>> {
        self.0.last_rejection()
    }

    /// How many reloads took over since the start.
    pub fn reloads(&self) -> u64 {
        self.0.reloads()
    }

    /// How many readings could not take over since the start.
    pub fn rejections(&self) -> u64 {
        self.0.rejections()
    }

    /// Reads the folder again, and lets it take over if it holds something else and nothing is wrong.
    pub fn reload(&self) -> PolicyReload {
        self.0.reload().map(ReplacedPolicies::by)
    }

    /// As [`Self::reload`], but only what two polls in a row saw: half of a file that is being written, or
    /// of several that a checkout writes, could say something that nobody wrote.
    pub fn poll(&self) -> PolicyReload {
        self.0.poll().map(ReplacedPolicies::by)
    }

    /// Notes that a reload did not come to its end; what was in force stays.
    pub fn reload_failed(&self) {
        let message = "reading it failed within jeton: please report this";
        self.0.failed(Findings::about("the policies folder", message));
    }
}

impl WatchedSource for PolicyFolder {
    type Look = FolderLook;
    type Content = PolicySources;
    type Value = PolicySnapshot;
    type Faults = Findings;

    fn look(&self) -> Result<FolderLook, Findings> {
        PolicySources::look(&self.dir)
    }

    fn read(&self) -> Result<PolicySources, Findings> {
        PolicySources::read(&self.dir)
    }

    fn look_of(sources: &PolicySources) -> FolderLook {
        sources.as_look()
    }

    fn understand(&self, sources: PolicySources) -> Result<PolicySnapshot, Findings> {
        let policies = PolicySet::compile(&sources, &self.surroundings, self.clock.now())?;
        Ok(PolicySnapshot::new(policies, sources, self.clock.now()))
    }

    fn is_same_fault(one: &Findings, other: &Findings) -> bool {
        one == other
    }

    fn is_of(snapshot: &PolicySnapshot, look: &FolderLook) -> bool {
        look.hash == *snapshot.policies.hash()
    }

    fn is_noted(snapshot: &PolicySnapshot, look: &FolderLook) -> bool {
        snapshot.passes_over(&look.warnings)
    }

    fn note(snapshot: &PolicySnapshot, look: &FolderLook) {
        snapshot.pass_over(&look.warnings);
    }
}
