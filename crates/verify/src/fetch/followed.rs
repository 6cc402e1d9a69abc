//! A document that is kept up to date beside the requests: fetched on schedule, and once more where a request needs it.

use std::{
    fmt::Display,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use arc_swap::{ArcSwap, ArcSwapOption, Guard};
use jeton_oauth::clock::Clock;
use jiff::Timestamp;
use tokio::{
    sync::{Mutex, Notify, OwnedMutexGuard, Semaphore},
    task::AbortHandle,
    time,
};

use super::FetchSchedule;

/// The longest time for which nobody looks whether a fetch is due, in seconds: the clock may be set meanwhile.
const LONGEST_PAUSE: i64 = 60;

/// What is followed: where it comes from, and what the log says of it.
pub trait FollowedSource: Send + Sync + 'static {
    /// What is in memory; the default is there before the first fetch.
    type Value: Default + Send + Sync + 'static;
    /// Why it did not come, or is not good: for the log. It must not hold the address.
    type Error: Display + Send;

    /// What there is now. `held` is the last that was good.
    fn fetch(
        &self,
        held: Arc<HeldDocument<Self::Value>>,
    ) -> impl Future<Output = Result<FetchedValue<Self::Value>, Self::Error>> + Send;

    /// Tells that `now` took the place of `before`, after so many attempts that failed.
    fn tell_taken(&self, before: &HeldDocument<Self::Value>, now: &Self::Value, failures: u32);

    /// Tells that nothing came, after so many attempts that failed before this one.
    fn tell_failed(&self, error: &str, failures: u32);
}

/// What a fetch brought.
pub struct FetchedValue<T> {
    /// What is held from now on.
    pub value: T,
    /// The seconds until it is fetched again.
    pub pause: i64,
}

/// The last that was good.
#[derive(Default)]
pub struct HeldDocument<T> {
    /// As it is.
    pub value: T,
    /// When it came, or was told to be the same still; `None` before the first time.
    pub fetched_at: Option<Timestamp>,
}

/// An attempt that brought nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FailedFetch {
    /// When it ended.
    pub at: Timestamp,
    /// Why: for the log and for operators. It does not hold the address.
    pub error: String,
}

/// When requests may cause a fetch, and how many documents are fetched at once.
#[derive(Clone, Debug)]
pub struct FollowTerms {
    /// The shortest time between two fetches that requests cause, in seconds: what they name anybody can invent.
    pub cooldown: i64,
    /// As many fetches on schedule run at once as there are permits; without it they wait for nobody. A fetch that a
    /// request causes never waits for one.
    pub permits: Option<Arc<Semaphore>>,
}

/// A document that is fetched again and again. The last good one stays until a new good one comes.
pub struct Followed<S: FollowedSource>(Arc<SharedDocument<S>>);

/// What a fetch needs to continue after its last caller stopped waiting.
struct SharedDocument<S: FollowedSource> {
    source: S,
    terms: FollowTerms,
    clock: Arc<dyn Clock>,
    held: ArcSwap<HeldDocument<S::Value>>,
    failure: ArcSwapOption<FailedFetch>,
    /// When it is fetched next, whatever requests ask for.
    schedule: FetchSchedule,
    /// When requests may cause a fetch again.
    demand: FetchSchedule,
    /// How many fetches have ended.
    ended: AtomicU64,
    /// Wakes [`Followed::run`] where a fetch on demand changed the schedule.
    rescheduled: Notify,
    /// Held by who fetches.
    flight: Arc<Mutex<()>>,
}

/// A task that follows something. It ends when this is dropped.
pub struct FollowTask(AbortHandle);

impl FollowTask {
    /// Runs this in a task of the runtime.
    pub fn spawn(follow: impl Future<Output = ()> + Send + 'static) -> Self {
        Self(tokio::spawn(follow).abort_handle())
    }
}

impl Drop for FollowTask {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl<S: FollowedSource> Followed<S> {
    /// Follows what `source` has. Fetches nothing yet.
    pub fn new(source: S, terms: FollowTerms, clock: Arc<dyn Clock>) -> Self {
        let now = clock.numeric_date();
        Self(Arc::new(SharedDocument {
            source,
            terms,
            clock,
            held: ArcSwap::default(),
            failure: ArcSwapOption::empty(),
            schedule: FetchSchedule::due(now),
            demand: FetchSchedule::due(now),
            ended: AtomicU64::new(0),
            rescheduled: Notify::new(),
            flight: Arc::default(),
        }))
    }

    /// What is followed.
    pub fn source(&self) -> &S {
        &self.0.source
    }

    /// What is in memory.
    pub fn held(&self) -> Guard<Arc<HeldDocument<S::Value>>> {
        self.0.held.load()
    }

    /// The last attempt, if it failed.
    pub fn failure(&self) -> Option<FailedFetch> {
        self.0.failure.load().as_deref().cloned()
    }

    /// Holds what came in another way.
    pub fn hold(&self, value: S::Value) {
        self.0.held.store(Arc::new(HeldDocument { value, fetched_at: None }));
    }

    /// Notes that what came in another way is not good.
    pub fn fail(&self, error: String) {
        self.0.failure.store(Some(Arc::new(FailedFetch { at: self.0.clock.now(), error })));
    }

    /// Fetches for a request that needs what is not there, unless that was done within the
    /// [`cooldown`](FollowTerms::cooldown), whatever came of it. Whoever asks during a fetch waits for the same answer;
    /// the fetch goes on when nobody waits any more.
    pub async fn fetch(&self) {
        let ended = self.0.ended.load(Ordering::Acquire);
        let flight = Arc::clone(&self.0.flight).lock_owned().await;
        if self.0.ended.load(Ordering::Acquire) != ended {
            // what was waited for is newer than the question
            return;
        }
        let now = self.0.clock.numeric_date();
        if self.0.demand.is_due(now) {
            self.0.demand.note_success(now, self.0.terms.cooldown);
            self.fly(flight).await;
        }
    }

    /// Fetches if that is due: the first time, then after [`FetchedValue::pause`]; after an attempt that failed, in five
    /// seconds, and after each further one in twice as many, up to a minute.
    pub async fn refresh(&self) {
        if !self.0.is_due() {
            return;
        }
        // first: a fetch that a request causes waits for nobody's permit
        let _permit = match &self.0.terms.permits {
            Some(permits) => permits.acquire().await.ok(),
            None => None,
        };
        let flight = Arc::clone(&self.0.flight).lock_owned().await;
        if self.0.is_due() {
            self.fly(flight).await;
        }
    }

    /// Keeps it up to date for ever.
    pub async fn run(&self) {
        loop {
            self.refresh().await;
            let pause = self.0.schedule.due_in(self.0.clock.numeric_date()).clamp(1, LONGEST_PAUSE);
            let pause = Duration::from_secs(pause.unsigned_abs());
            let _ = time::timeout(pause, self.0.rescheduled.notified()).await;
        }
    }

    /// Keeps it up to date in a task of this runtime.
    pub fn spawn(&self) -> FollowTask {
        let followed = Self(Arc::clone(&self.0));
        FollowTask::spawn(async move { followed.run().await })
    }

    /// Fetches in a task of its own. Whoever asked may hang up: a fetch that ended with that would have used the cooldown
    /// up for nothing.
    async fn fly(&self, flight: OwnedMutexGuard<()>) {
        let shared = Arc::clone(&self.0);
        let task = tokio::spawn(async move {
            shared.fetch().await;
            drop(flight);
        });
        let _ = task.await;
    }
}

impl<S: FollowedSource> SharedDocument<S> {
    fn is_due(&self) -> bool {
        self.schedule.is_due(self.clock.numeric_date())
    }

    async fn fetch(&self) {
        let before = self.held.load_full();
        let outcome = self.source.fetch(Arc::clone(&before)).await;
        let now = self.clock.now();
        match outcome {
            Ok(FetchedValue { value, pause }) => {
                let held = Arc::new(HeldDocument { value, fetched_at: Some(now) });
                self.held.store(Arc::clone(&held));
                self.failure.store(None);
                let failures = self.schedule.note_success(now.as_second(), pause);
                self.source.tell_taken(&before, &held.value, failures);
            }
            Err(error) => {
                let error = error.to_string();
                let failures = self.schedule.note_failure(now.as_second());
                self.source.tell_failed(&error, failures);
                self.failure.store(Some(Arc::new(FailedFetch { at: now, error })));
            }
        }
        self.ended.fetch_add(1, Ordering::Release);
        self.rescheduled.notify_one();
    }
}
