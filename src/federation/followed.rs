//! The keys of one issuer, kept up to date beside the requests.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use arc_swap::{ArcSwap, ArcSwapOption};
use jeton_jose::{IssuerKeySet, PassedOver};
use jeton_oauth::clock::Clock;
use jeton_policy::federation::{IssuerKeySource, TrustedIssuer};
use jeton_verify::{FailedFetch, fetch::FetchSchedule};
use jiff::Timestamp;
use tokio::{
    sync::{Mutex, Notify, OwnedMutexGuard, Semaphore},
    task::AbortHandle,
    time,
};

use super::fetch::KeyFetcher;
use crate::event;

/// The time between two fetches, in seconds.
const REFRESH: i64 = 300;
/// The shortest time between two fetches that tokens cause, in seconds: anybody can invent a `kid`.
const COOLDOWN: i64 = 30;
/// For how long keys count without a fetch that succeeded, in seconds.
const LONGEST_AGE: i64 = 24 * 60 * 60;
/// The longest time for which nobody looks whether a fetch is due, in seconds: the clock may be set meanwhile.
const LONGEST_PAUSE: i64 = 60;
/// How long a request waits for a fetch that its token causes.
const PATIENCE: Duration = Duration::from_secs(6);
/// How many requests may wait for the keys of one issuer. Whoever comes then is refused at once.
const MOST_WAITING: usize = 64;

/// An issuer with its keys.
pub(super) struct FollowedIssuer {
    shared: Arc<SharedIssuer>,
    waiting: Semaphore,
    /// Ends with this.
    task: Option<AbortHandle>,
}

/// What a fetch needs to continue after its last caller stopped waiting.
struct SharedIssuer {
    issuer: Arc<TrustedIssuer>,
    fetcher: Arc<KeyFetcher>,
    clock: Arc<dyn Clock>,
    held: ArcSwap<HeldKeys>,
    failure: ArcSwapOption<FailedFetch>,
    /// When the keys are fetched next, whatever tokens ask for.
    schedule: FetchSchedule,
    /// When tokens may cause a fetch again.
    demand: FetchSchedule,
    /// How many fetches have ended.
    ended: AtomicU64,
    /// Wakes the task where a fetch on demand changed the schedule.
    rescheduled: Notify,
    /// Held by who fetches.
    flight: Arc<Mutex<()>>,
}

/// The last good keys.
#[derive(Default)]
struct HeldKeys {
    keys: Arc<IssuerKeySet>,
    fetched_at: Option<Timestamp>,
}

/// How an issuer stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IssuerStanding {
    /// Its keys are as they should be.
    Ready,
    /// Its keys count, and the last fetch failed.
    Failing,
    /// Its keys do not count any more: no fetch succeeded for 24 hours.
    Expired,
    /// There are no keys yet.
    NoKeys,
    /// `enabled: false`: nothing is fetched, and no token is taken.
    Disabled,
}

/// An issuer of the policies, and how it stands: for operators and metrics.
#[derive(Clone, Debug)]
pub struct IssuerState {
    /// The issuer.
    pub issuer: Arc<TrustedIssuer>,
    /// How it stands.
    pub standing: IssuerStanding,
    /// The names of its keys, as far as they have one.
    pub kids: Vec<String>,
    /// How many keys there are.
    pub keys: usize,
    /// When they were fetched last; `None` before the first time, and for keys of a file.
    pub fetched_at: Option<Timestamp>,
    /// The last fetch, if it failed.
    pub failure: Option<FailedFetch>,
}

impl IssuerStanding {
    /// In a word.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Ready => "ready",
            Self::Failing => "failing",
            Self::Expired => "expired",
            Self::NoKeys => "no_keys",
            Self::Disabled => "disabled",
        }
    }
}

impl FollowedIssuer {
    /// Follows the keys of an issuer from now on, in a task of this runtime; at most as many at once as there are
    /// `permits` are fetched on schedule. Keys of a file are read here, and stay.
    pub(super) fn start(
        issuer: Arc<TrustedIssuer>,
        fetcher: Arc<KeyFetcher>,
        clock: Arc<dyn Clock>,
        permits: Arc<Semaphore>,
    ) -> Self {
        let now = clock.numeric_date();
        let shared = Arc::new(SharedIssuer {
            issuer,
            fetcher,
            clock,
            held: ArcSwap::default(),
            failure: ArcSwapOption::empty(),
            schedule: FetchSchedule::due(now),
            demand: FetchSchedule::due(now),
            ended: AtomicU64::new(0),
            rescheduled: Notify::new(),
            flight: Arc::default(),
        });
        let task = match &shared.issuer.keys.source {
            IssuerKeySource::File(file) => {
                shared.read(&file.content);
                None
            }
            _ => Some(tokio::spawn(Arc::clone(&shared).run(permits)).abort_handle()),
        };
        Self { shared, waiting: Semaphore::new(MOST_WAITING), task }
    }

    /// Whether its keys are those of `issuer`, as the policies say now.
    pub(super) fn has_keys_of(&self, issuer: &TrustedIssuer) -> bool {
        let own = &*self.shared.issuer;
        std::ptr::eq(own, issuer)
            || (own.issuer == issuer.issuer
                && own.algorithms == issuer.algorithms
                && own.enabled == issuer.enabled
                && own.keys == issuer.keys)
    }

    /// The keys, as long as they count.
    pub(super) fn keys(&self) -> Option<Arc<IssuerKeySet>> {
        let held = self.shared.held.load();
        let is_old = self.shared.is_old(&held);
        (!is_old && !held.keys.is_empty()).then(|| Arc::clone(&held.keys))
    }

    /// Whether there were keys, and they are too old.
    pub(super) fn is_expired(&self) -> bool {
        self.shared.is_old(&self.shared.held.load())
    }

    /// Fetches the keys for a token that names one that is not there, unless that was done within the cooldown,
    /// whatever came of it. Whoever asks while they are fetched waits for the same answer, for some seconds; the fetch
    /// goes on when nobody waits any more.
    pub(super) async fn fetch_unknown(&self) {
        // of a file, which is read with the policies
        if self.task.is_none() {
            return;
        }
        let Ok(_waiting) = self.waiting.try_acquire() else { return };
        let _ = time::timeout(PATIENCE, self.fetch_on_demand()).await;
    }

    async fn fetch_on_demand(&self) {
        let shared = &self.shared;
        let ended = shared.ended.load(Ordering::Acquire);
        let flight = Arc::clone(&shared.flight).lock_owned().await;
        if shared.ended.load(Ordering::Acquire) != ended {
            // what was waited for is newer than the question
            return;
        }
        let now = shared.clock.numeric_date();
        if shared.demand.is_due(now) {
            shared.demand.note_success(now, COOLDOWN);
            SharedIssuer::fly(shared, flight).await;
        }
    }

    /// How it stands.
    pub(super) fn state(&self) -> IssuerState {
        let shared = &self.shared;
        let held = shared.held.load();
        let failure = shared.failure.load().as_deref().cloned();
        let standing = match &failure {
            _ if shared.is_old(&held) => IssuerStanding::Expired,
            _ if held.keys.is_empty() => IssuerStanding::NoKeys,
            Some(_) => IssuerStanding::Failing,
            None => IssuerStanding::Ready,
        };
        IssuerState {
            issuer: Arc::clone(&shared.issuer),
            standing,
            kids: held.keys.kids().map(str::to_owned).collect(),
            keys: held.keys.len(),
            fetched_at: held.fetched_at,
            failure,
        }
    }
}

impl Drop for FollowedIssuer {
    fn drop(&mut self) {
        if let Some(task) = &self.task {
            task.abort();
        }
    }
}

impl SharedIssuer {
    /// Keeps the keys up to date for as long as the task is let run.
    async fn run(self: Arc<Self>, permits: Arc<Semaphore>) {
        loop {
            self.refresh(&permits).await;
            let pause = self.schedule.due_in(self.clock.numeric_date()).clamp(1, LONGEST_PAUSE);
            let pause = Duration::from_secs(pause.unsigned_abs());
            let _ = time::timeout(pause, self.rescheduled.notified()).await;
        }
    }

    /// Fetches the keys if they are due.
    async fn refresh(self: &Arc<Self>, permits: &Semaphore) {
        if !self.is_due() {
            return;
        }
        // first: a fetch that a token causes waits for nobody's permit
        let Ok(_permit) = permits.acquire().await else { return };
        let flight = Arc::clone(&self.flight).lock_owned().await;
        if self.is_due() {
            Self::fly(self, flight).await;
        }
    }

    fn is_due(&self) -> bool {
        self.schedule.is_due(self.clock.numeric_date())
    }

    /// Fetches in a task of its own. Whoever asked may hang up: a fetch that ended with that would have used the cooldown
    /// up for nothing.
    async fn fly(shared: &Arc<Self>, flight: OwnedMutexGuard<()>) {
        let shared = Arc::clone(shared);
        let task = tokio::spawn(async move {
            shared.fetch().await;
            drop(flight);
        });
        let _ = task.await;
    }

    async fn fetch(&self) {
        let fetched = self.fetcher.fetch(&self.issuer).await;
        let now = self.clock.now();
        match fetched {
            Ok(keys) => {
                self.tell_passed_over(&keys);
                let count = keys.len();
                let is_first = self.held.load().fetched_at.is_none();
                self.held.store(Arc::new(HeldKeys { keys: Arc::new(keys), fetched_at: Some(now) }));
                self.failure.store(None);
                let failed = self.schedule.note_success(now.as_second(), REFRESH);
                if is_first || failed > 0 {
                    event::IssuerKeysFetched { issuer: self.issuer.name.as_str(), keys: count }.info();
                }
            }
            Err(error) => {
                let error = error.to_string();
                let told = event::IssuerKeysNotFetched { issuer: self.issuer.name.as_str(), error: &error };
                if self.schedule.note_failure(now.as_second()) == 0 {
                    told.warn();
                } else {
                    told.debug();
                }
                self.failure.store(Some(Arc::new(FailedFetch { at: now, error })));
            }
        }
        self.ended.fetch_add(1, Ordering::Release);
        self.rescheduled.notify_one();
    }

    /// Takes the keys of a file.
    fn read(&self, content: &[u8]) {
        match IssuerKeySet::from_file(content, &self.issuer.algorithms) {
            Ok(keys) => {
                self.tell_passed_over(&keys);
                self.held.store(Arc::new(HeldKeys { keys: Arc::new(keys), fetched_at: None }));
            }
            Err(error) => {
                let error = error.to_string();
                event::IssuerKeysNotFetched { issuer: self.issuer.name.as_str(), error: &error }.warn();
                self.failure.store(Some(Arc::new(FailedFetch { at: self.clock.now(), error })));
            }
        }
    }

    fn tell_passed_over(&self, keys: &IssuerKeySet) {
        let passed_over = keys.passed_over();
        if !passed_over.is_empty() && passed_over != self.held.load().keys.passed_over() {
            let keys = PassedOver::list(passed_over);
            event::IssuerKeysPassedOver { issuer: self.issuer.name.as_str(), keys: &keys }.warn();
        }
    }

    /// Whether these keys were fetched so long ago that they do not count.
    fn is_old(&self, held: &HeldKeys) -> bool {
        let now = self.clock.numeric_date();
        held.fetched_at.is_some_and(|at| now.saturating_sub(at.as_second()) >= LONGEST_AGE)
    }
}
