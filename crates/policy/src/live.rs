//! The policies in force, and how others take their place.

use std::{
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex, MutexGuard, OnceLock, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};

use arc_swap::{ArcSwap, ArcSwapOption, Guard};
use jeton_oauth::clock::Clock;
use jiff::Timestamp;

use super::{Difference, Effort, Finding, Findings, PolicySet, Sources, Surroundings, source::Look};

/// How often a folder is read again that does not hold still, where nobody waits for the next poll.
const MOST_READINGS: u32 = 10;

/// The policies in force. Readers take a snapshot and are never kept waiting; a reload replaces all or
/// nothing.
pub struct LivePolicies {
    dir: PathBuf,
    surroundings: Surroundings,
    clock: Arc<dyn Clock>,
    current: ArcSwap<Snapshot>,
    rejected: ArcSwapOption<Rejection>,
    reloads: AtomicU64,
    rejections: AtomicU64,
    /// What the last poll saw and did not take yet. Held while a reload runs, so that two do not overtake
    /// each other; no request takes it.
    seen: Mutex<Seen>,
}

/// The last look of a poll.
#[derive(Default)]
struct Seen {
    /// What was there, or what was wrong with it.
    reading: Option<Result<Look, Findings>>,
    /// Whether it could not take over. It is not compiled again then: the next edit would have to wait for that.
    is_rejected: bool,
}

/// Policies and when they came into force.
pub struct Snapshot {
    /// The policies.
    pub policies: PolicySet,
    /// Since when they are in force.
    pub loaded_at: Timestamp,
    passed_over: ArcSwap<Vec<Finding>>,
}

impl Snapshot {
    fn new(policies: PolicySet, sources: &Sources, loaded_at: Timestamp) -> Self {
        Self { policies, loaded_at, passed_over: ArcSwap::from_pointee(sources.warnings().to_vec()) }
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

/// A reading of the folder that could not take over.
#[derive(Debug)]
pub struct Rejection {
    /// When it was read.
    pub at: Timestamp,
    /// What is wrong.
    pub findings: Findings,
}

/// What a reload came to.
#[derive(Clone)]
pub enum Reload {
    /// The files hold what is in force already. Others may be passed over than before.
    Unchanged,
    /// As [`Self::Unchanged`], after a reading that could not take over.
    Restored,
    /// A poll saw something else than before, be it what is passed over, and nothing is done until the next one sees
    /// the same.
    Unsettled,
    /// Other policies are in force now.
    Reloaded(Arc<Replaced>),
    /// What was in force stays.
    Rejected(Arc<Rejection>),
    /// What was in force stays, for the reason that was told last time.
    StillRejected(Arc<Rejection>),
}

/// Policies that took the place of others. What is told of them is worked out when somebody asks: nothing that
/// takes over waits for it.
pub struct Replaced {
    before: Arc<Snapshot>,
    after: Arc<Snapshot>,
    difference: OnceLock<Option<Difference>>,
}

impl Replaced {
    /// Those before.
    pub fn before(&self) -> &Arc<Snapshot> {
        &self.before
    }

    /// Those that came into force. Their [warnings](PolicySet::warnings) were not looked for yet.
    pub fn after(&self) -> &Arc<Snapshot> {
        &self.after
    }

    /// What differs, where that can be told with bounded work.
    pub fn difference(&self) -> Option<&Difference> {
        let compare = || self.before.policies.difference(&self.after.policies, Effort::Bounded);
        self.difference.get_or_init(compare).as_ref()
    }
}

impl LivePolicies {
    /// Loads the folder for the first time.
    ///
    /// # Errors
    /// Everything that is wrong with it.
    pub fn load(dir: &Path, surroundings: Surroundings, clock: Arc<dyn Clock>) -> Result<Self, Findings> {
        let sources = read_whole(dir)?;
        let policies = PolicySet::compile(&sources, &surroundings, clock.now())?;
        let snapshot = Snapshot::new(policies, &sources, clock.now());
        Ok(Self {
            dir: dir.to_owned(),
            surroundings,
            clock,
            current: ArcSwap::from_pointee(snapshot),
            rejected: ArcSwapOption::empty(),
            reloads: AtomicU64::new(0),
            rejections: AtomicU64::new(0),
            seen: Mutex::default(),
        })
    }

    /// What is in force now. A request takes it once, and so never sees a mixture.
    pub fn current(&self) -> Guard<Arc<Snapshot>> {
        self.current.load()
    }

    /// As [`Self::current`], to be held while a request waits for something.
    pub fn snapshot(&self) -> Arc<Snapshot> {
        self.current.load_full()
    }

    /// The last reading that could not take over, if none has since.
    pub fn last_rejection(&self) -> Option<Arc<Rejection>> {
        self.rejected.load_full()
    }

    /// How many reloads took over since the start.
    pub fn reloads(&self) -> u64 {
        self.reloads.load(Ordering::Relaxed)
    }

    /// How many readings could not take over since the start.
    pub fn rejections(&self) -> u64 {
        self.rejections.load(Ordering::Relaxed)
    }

    /// Reads the folder again, and lets it take over if it holds something else and nothing is wrong.
    pub fn reload(&self) -> Reload {
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        *seen = Seen::default();
        self.take_over(read_whole(&self.dir), seen)
    }

    /// As [`Self::reload`], but only what two polls in a row saw: half of a file that is being written, or
    /// of several that a checkout writes, could say something that nobody wrote.
    pub fn poll(&self) -> Reload {
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        let now = Sources::look(&self.dir);
        let current = self.current.load();
        let holds_still = seen.reading.as_ref() == Some(&now);
        if let Ok(look) = &now
            && look.hash == *current.policies.hash()
        {
            let is_settled = holds_still || current.passes_over(&look.warnings);
            if is_settled {
                current.pass_over(&look.warnings);
            }
            *seen = Seen { reading: Some(now), is_rejected: false };
            return match self.unchanged() {
                Reload::Unchanged if !is_settled => Reload::Unsettled,
                outcome => outcome,
            };
        }
        if !holds_still {
            *seen = Seen { reading: Some(now), is_rejected: false };
            return Reload::Unsettled;
        }
        if let Some(last) = self.last_rejection().filter(|_| seen.is_rejected) {
            return Reload::StillRejected(last);
        }
        let sources = Sources::read(&self.dir);
        let read = sources.as_ref().map(Sources::as_look);
        if let Ok(read) = read
            && Ok(&read) != now.as_ref()
        {
            *seen = Seen { reading: Some(Ok(read)), is_rejected: false };
            return Reload::Unsettled;
        }
        self.take_over(sources, seen)
    }

    /// Notes that a reload did not come to its end; what was in force stays.
    pub fn reload_failed(&self) {
        let findings =
            Findings::about("the policies folder", "reading it failed within jeton: please report this");
        self.reject(findings);
    }

    fn take_over(&self, sources: Result<Sources, Findings>, mut seen: MutexGuard<'_, Seen>) -> Reload {
        let before = self.current.load_full();
        let compiled = match sources {
            Ok(sources) if sources.hash() == before.policies.hash() => {
                before.pass_over(sources.warnings());
                return self.unchanged();
            }
            Ok(sources) => PolicySet::compile(&sources, &self.surroundings, self.clock.now())
                .map(|policies| Snapshot::new(policies, &sources, self.clock.now())),
            Err(findings) => Err(findings),
        };
        match compiled {
            Ok(after) => {
                let after = Arc::new(after);
                self.current.store(Arc::clone(&after));
                self.rejected.store(None);
                self.reloads.fetch_add(1, Ordering::Relaxed);
                Reload::Reloaded(Arc::new(Replaced { before, after, difference: OnceLock::new() }))
            }
            Err(findings) => {
                seen.is_rejected = true;
                self.reject(findings)
            }
        }
    }

    fn unchanged(&self) -> Reload {
        if self.rejected.swap(None).is_some() { Reload::Restored } else { Reload::Unchanged }
    }

    fn reject(&self, findings: Findings) -> Reload {
        if let Some(last) = self.rejected.load_full().filter(|last| last.findings == findings) {
            return Reload::StillRejected(last);
        }
        let rejection = Arc::new(Rejection { at: self.clock.now(), findings });
        self.rejected.store(Some(Arc::clone(&rejection)));
        self.rejections.fetch_add(1, Ordering::Relaxed);
        Reload::Rejected(rejection)
    }
}

/// Reads a folder until two readings agree: one alone may begin before a mounted volume is swapped and end
/// after that, and hold some files of either. A folder that never holds still is taken as it is last. One reading at
/// a time is in memory.
fn read_whole(dir: &Path) -> Result<Sources, Findings> {
    let mut before = Sources::look(dir);
    for _ in 0..MOST_READINGS {
        let sources = Sources::read(dir);
        let now = sources.as_ref().map(Sources::as_look).map_err(Clone::clone);
        if before == now {
            return sources;
        }
        before = now;
    }
    Sources::read(dir)
}
