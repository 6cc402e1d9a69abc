//! The last good content of a folder or file: compared, taken when it holds still, all of it or nothing.

use std::sync::{
    Arc, Mutex, MutexGuard, PoisonError,
    atomic::{AtomicU64, Ordering},
};

use arc_swap::{ArcSwap, ArcSwapOption, Guard};
use jeton_oauth::clock::Clock;
use jiff::Timestamp;

/// How often something is read again that does not hold still, where nobody waits for the next poll.
const MOST_READINGS: u32 = 10;

/// A folder or file, and what becomes of its content.
pub trait WatchedSource {
    /// What tells one content from another: a hash, say.
    type Look: PartialEq;
    /// What was read, and not understood yet.
    type Content;
    /// What a content is understood as.
    type Value;
    /// Everything that is wrong.
    type Faults;

    /// Looks at the content. Nothing of it needs to stay in memory.
    fn look(&self) -> Result<Self::Look, Self::Faults>;

    /// Reads the content once.
    fn read(&self) -> Result<Self::Content, Self::Faults>;

    /// What [`Self::look`] would have seen.
    fn look_of(content: &Self::Content) -> Self::Look;

    /// Understands a content. What is wrong must follow from the content alone: the same one is not asked for again.
    fn understand(&self, content: Self::Content) -> Result<Self::Value, Self::Faults>;

    /// Whether two readings found the same wrong.
    fn is_same_fault(one: &Self::Faults, other: &Self::Faults) -> bool;

    /// Whether the value was made of the content that was seen.
    fn is_of(value: &Self::Value, look: &Self::Look) -> bool;

    /// Reads the content until two readings agree: one alone may begin before somebody writes, or a mounted volume is
    /// swapped, and end after that, and hold some files of either. What never holds still is taken as it is last. One
    /// content at a time is in memory.
    fn read_whole(&self) -> Result<Self::Content, Self::Faults> {
        let mut before = self.look();
        for _ in 0..MOST_READINGS {
            let content = self.read();
            let agrees = match (&before, &content) {
                (Ok(before), Ok(content)) => *before == Self::look_of(content),
                (Err(before), Err(faults)) => Self::is_same_fault(before, faults),
                _ => false,
            };
            if agrees {
                return content;
            }
            before = content.map(|content| Self::look_of(&content));
        }
        self.read()
    }

    /// Whether what was seen beside the content, and is not part of the value, is known.
    fn is_noted(_: &Self::Value, _: &Self::Look) -> bool {
        true
    }

    /// Notes what was seen beside the content.
    fn note(_: &Self::Value, _: &Self::Look) {}
}

/// What a look saw, or what was wrong with it.
type LookOutcome<S> = Result<<S as WatchedSource>::Look, <S as WatchedSource>::Faults>;

/// The value in force. Readers are never kept waiting; another value replaces it as a whole.
pub struct Latest<S: WatchedSource> {
    source: S,
    clock: Arc<dyn Clock>,
    current: ArcSwap<S::Value>,
    rejected: ArcSwapOption<Rejected<S>>,
    reloads: AtomicU64,
    rejections: AtomicU64,
    /// What the last poll saw. Held while a reading runs, so that two do not overtake each other; no request takes it.
    seen: Mutex<Option<Arc<LookOutcome<S>>>>,
}

/// The last rejection.
struct Rejected<S: WatchedSource> {
    rejection: Arc<Rejection<S::Faults>>,
    /// What was seen then. It is not read and understood again as long as it is there.
    seen: Option<Arc<LookOutcome<S>>>,
}

/// A reading that could not take over.
#[derive(Debug)]
pub struct Rejection<F> {
    /// When it was read.
    pub at: Timestamp,
    /// What is wrong.
    pub faults: F,
}

/// A value that took the place of another.
#[derive(Debug)]
pub struct Swapped<V> {
    /// The value before.
    pub before: Arc<V>,
    /// The value in force now.
    pub after: Arc<V>,
}

/// The outcome of a reading.
#[derive(Debug)]
pub enum Reload<T, F> {
    /// The files are as in force already. The ignored files may have changed.
    Unchanged,
    /// As [`Self::Unchanged`], after a reading that could not take over.
    Restored,
    /// A poll saw something else than before, be it what is passed over, and nothing is done until the next one sees
    /// the same.
    Unsettled,
    /// Something else is in force now.
    Reloaded(T),
    /// What was in force stays.
    Rejected(Arc<Rejection<F>>),
    /// The files are still rejected, for the reason that was told last time.
    StillRejected(Arc<Rejection<F>>),
}

impl<T: Clone, F> Clone for Reload<T, F> {
    fn clone(&self) -> Self {
        match self {
            Self::Unchanged => Self::Unchanged,
            Self::Restored => Self::Restored,
            Self::Unsettled => Self::Unsettled,
            Self::Reloaded(new) => Self::Reloaded(new.clone()),
            Self::Rejected(rejection) => Self::Rejected(Arc::clone(rejection)),
            Self::StillRejected(rejection) => Self::StillRejected(Arc::clone(rejection)),
        }
    }
}

impl<T, F> Reload<T, F> {
    /// Why what was in force stays, where the files hold something else that cannot take over.
    pub fn rejection(&self) -> Option<&Arc<Rejection<F>>> {
        match self {
            Self::Rejected(rejection) | Self::StillRejected(rejection) => Some(rejection),
            Self::Unchanged | Self::Restored | Self::Unsettled | Self::Reloaded(_) => None,
        }
    }

    /// The same outcome, with something else made of what took over.
    pub fn map<U>(self, make: impl FnOnce(T) -> U) -> Reload<U, F> {
        match self {
            Self::Unchanged => Reload::Unchanged,
            Self::Restored => Reload::Restored,
            Self::Unsettled => Reload::Unsettled,
            Self::Reloaded(new) => Reload::Reloaded(make(new)),
            Self::Rejected(rejection) => Reload::Rejected(rejection),
            Self::StillRejected(rejection) => Reload::StillRejected(rejection),
        }
    }
}

impl<S: WatchedSource> Latest<S> {
    /// Reads a source for the first time.
    ///
    /// # Errors
    /// Everything that is wrong with it.
    pub fn load(source: S, clock: Arc<dyn Clock>) -> Result<Self, S::Faults> {
        let value = source.understand(source.read_whole()?)?;
        Ok(Self::new(source, value, clock))
    }

    /// A source that was not read yet, and what is in force until it was.
    pub fn new(source: S, value: S::Value, clock: Arc<dyn Clock>) -> Self {
        Self {
            source,
            clock,
            current: ArcSwap::from_pointee(value),
            rejected: ArcSwapOption::empty(),
            reloads: AtomicU64::new(0),
            rejections: AtomicU64::new(0),
            seen: Mutex::default(),
        }
    }

    /// The value in force now.
    pub fn current(&self) -> Guard<Arc<S::Value>> {
        self.current.load()
    }

    /// As [`Self::current`], to be held while somebody waits for something.
    pub fn snapshot(&self) -> Arc<S::Value> {
        self.current.load_full()
    }

    /// The last reading that could not take over, if none has since.
    pub fn last_rejection(&self) -> Option<Arc<Rejection<S::Faults>>> {
        self.rejected.load().as_ref().map(|last| Arc::clone(&last.rejection))
    }

    /// How many readings took over since the start.
    pub fn reloads(&self) -> u64 {
        self.reloads.load(Ordering::Relaxed)
    }

    /// How many readings could not take over since the start.
    pub fn rejections(&self) -> u64 {
        self.rejections.load(Ordering::Relaxed)
    }

    /// Reads the source again, and lets it take over if it holds something else and nothing is wrong.
    pub fn reload(&self) -> Reload<Swapped<S::Value>, S::Faults> {
        let mut seen = self.lock();
        *seen = None;
        let content = self.source.read_whole();
        let look = content.as_ref().ok().map(|content| Arc::new(Ok(S::look_of(content))));
        self.take_over(content, look, &seen)
    }

    /// As [`Self::reload`], but only what two polls in a row saw: half of a file that is being written, or
    /// of several that a checkout writes, could say something that nobody wrote.
    pub fn poll(&self) -> Reload<Swapped<S::Value>, S::Faults> {
        let mut seen = self.lock();
        let now = Arc::new(self.source.look());
        let holds_still = seen.as_ref().is_some_and(|last| agree::<S>(last, &now));
        *seen = Some(Arc::clone(&now));
        let current = self.current.load();
        if let Ok(look) = &*now
            && S::is_of(&current, look)
        {
            let is_settled = holds_still || S::is_noted(&current, look);
            if is_settled {
                S::note(&current, look);
            }
            return match self.unchanged() {
                Reload::Unchanged if !is_settled => Reload::Unsettled,
                outcome => outcome,
            };
        }
        if !holds_still {
            return Reload::Unsettled;
        }
        if let Some(last) = self.rejection_of(&now) {
            return Reload::StillRejected(last);
        }
        let content = self.source.read();
        if let Ok(content) = &content {
            let read = S::look_of(content);
            if now.as_ref().as_ref().ok() != Some(&read) {
                *seen = Some(Arc::new(Ok(read)));
                return Reload::Unsettled;
            }
        }
        self.take_over(content, Some(now), &seen)
    }

    /// Notes that a reading did not come to its end; what was in force stays.
    pub fn failed(&self, faults: S::Faults) {
        self.reject(faults, None);
    }

    fn take_over(
        &self,
        content: Result<S::Content, S::Faults>,
        seen: Option<Arc<LookOutcome<S>>>,
        _: &MutexGuard<'_, Option<Arc<LookOutcome<S>>>>,
    ) -> Reload<Swapped<S::Value>, S::Faults> {
        let before = self.current.load_full();
        if let Some(Ok(look)) = seen.as_deref()
            && S::is_of(&before, look)
        {
            S::note(&before, look);
            return self.unchanged();
        }
        if let Some(last) = seen.as_ref().and_then(|seen| self.rejection_of(seen)) {
            return Reload::StillRejected(last);
        }
        match content.and_then(|content| self.source.understand(content)) {
            Ok(after) => {
                let after = Arc::new(after);
                self.current.store(Arc::clone(&after));
                self.rejected.store(None);
                self.reloads.fetch_add(1, Ordering::Relaxed);
                Reload::Reloaded(Swapped { before, after })
            }
            Err(faults) => self.reject(faults, seen),
        }
    }

    fn unchanged(&self) -> Reload<Swapped<S::Value>, S::Faults> {
        if self.rejected.swap(None).is_some() { Reload::Restored } else { Reload::Unchanged }
    }

    /// The last rejection, if it was that of what is seen now.
    fn rejection_of(&self, now: &LookOutcome<S>) -> Option<Arc<Rejection<S::Faults>>> {
        let last = self.rejected.load();
        let last = last.as_ref().filter(|last| last.seen.as_ref().is_some_and(|seen| agree::<S>(seen, now)));
        last.map(|last| Arc::clone(&last.rejection))
    }

    fn reject(
        &self,
        faults: S::Faults,
        seen: Option<Arc<LookOutcome<S>>>,
    ) -> Reload<Swapped<S::Value>, S::Faults> {
        let is_told = |last: &Arc<Rejection<_>>| S::is_same_fault(&last.faults, &faults);
        if let Some(rejection) = self.last_rejection().filter(is_told) {
            self.rejected.store(Some(Arc::new(Rejected { rejection: Arc::clone(&rejection), seen })));
            return Reload::StillRejected(rejection);
        }
        let rejection = Arc::new(Rejection { at: self.clock.now(), faults });
        self.rejected.store(Some(Arc::new(Rejected { rejection: Arc::clone(&rejection), seen })));
        self.rejections.fetch_add(1, Ordering::Relaxed);
        Reload::Rejected(rejection)
    }

    fn lock(&self) -> MutexGuard<'_, Option<Arc<LookOutcome<S>>>> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whether two looks saw the same.
fn agree<S: WatchedSource>(one: &LookOutcome<S>, other: &LookOutcome<S>) -> bool {
    match (one, other) {
        (Ok(one), Ok(other)) => one == other,
        (Err(one), Err(other)) => S::is_same_fault(one, other),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    };

    use jeton_oauth::clock::ManualClock;

    use super::{Latest, Reload, WatchedSource};

    /// A file in memory. Content that starts with `!` has a fault, which its first word names.
    #[derive(Default)]
    struct Scrap {
        content: Mutex<&'static str>,
        /// What somebody writes behind the next look.
        next: Mutex<Option<&'static str>>,
        understood: AtomicUsize,
    }

    impl WatchedSource for Arc<Scrap> {
        type Look = &'static str;
        type Content = &'static str;
        type Value = &'static str;
        type Faults = String;

        fn look(&self) -> Result<&'static str, String> {
            let mut content = self.content.lock().unwrap();
            let seen = *content;
            *content = self.next.lock().unwrap().take().unwrap_or(seen);
            if seen == "gone" { Err(seen.to_owned()) } else { Ok(seen) }
        }

        fn read(&self) -> Result<&'static str, String> {
            self.look()
        }

        fn look_of(content: &&'static str) -> &'static str {
            content
        }

        fn understand(&self, content: &'static str) -> Result<&'static str, String> {
            self.understood.fetch_add(1, Ordering::Relaxed);
            let first = content.split(' ').next().unwrap();
            if first.starts_with('!') { Err(first.to_owned()) } else { Ok(content) }
        }

        fn is_same_fault(one: &String, other: &String) -> bool {
            one == other
        }

        fn is_of(value: &&'static str, look: &&'static str) -> bool {
            value == look
        }
    }

    struct Scene {
        scrap: Arc<Scrap>,
        latest: Latest<Arc<Scrap>>,
    }

    impl Scene {
        fn of(content: &'static str) -> Self {
            let scrap = Arc::new(Scrap { content: Mutex::new(content), ..Scrap::default() });
            let clock = Arc::new(ManualClock::at("2026-11-24T12:00:00Z".parse().unwrap()));
            let latest = Latest::load(Arc::clone(&scrap), clock).unwrap();
            Self { scrap, latest }
        }

        fn write(&self, content: &'static str) {
            *self.scrap.content.lock().unwrap() = content;
        }

        fn poll(&self) -> &'static str {
            word(&self.latest.poll())
        }

        fn reload(&self) -> &'static str {
            word(&self.latest.reload())
        }

        /// What is in force, and how often something was understood.
        fn state(&self) -> (&'static str, usize) {
            (**self.latest.current(), self.scrap.understood.load(Ordering::Relaxed))
        }
    }

    fn word<T, F>(outcome: &Reload<T, F>) -> &'static str {
        match outcome {
            Reload::Unchanged => "unchanged",
            Reload::Restored => "restored",
            Reload::Unsettled => "unsettled",
            Reload::Reloaded(_) => "reloaded",
            Reload::Rejected(_) => "rejected",
            Reload::StillRejected(_) => "still rejected",
        }
    }

    #[test]
    fn only_what_two_polls_saw_is_taken() {
        let scene = Scene::of("a");
        for half in ["b", "b c"] {
            scene.write(half);
            assert_eq!(scene.poll(), "unsettled");
        }
        // it changes between the look and the reading
        *scene.scrap.next.lock().unwrap() = Some("b c d");
        assert_eq!([scene.poll(), scene.poll(), scene.poll()], ["unsettled", "reloaded", "unchanged"]);
        assert_eq!(scene.state(), ("b c d", 2));
    }

    /// Opening an encrypted key takes long, and so does compiling a large folder.
    #[test]
    fn what_was_rejected_is_not_understood_again() {
        let scene = Scene::of("a");
        scene.write("! one");
        assert_eq!([scene.poll(), scene.poll(), scene.poll()], ["unsettled", "rejected", "still rejected"]);
        assert_eq!([scene.reload(), scene.reload()], ["still rejected"; 2]);
        assert_eq!(scene.state(), ("a", 2));
        // another content with the same wrong
        scene.write("! two");
        assert_eq!(
            [scene.poll(), scene.poll(), scene.poll()],
            ["unsettled", "still rejected", "still rejected"]
        );
        assert_eq!(scene.state(), ("a", 3));
        scene.write("a");
        assert_eq!([scene.poll(), scene.poll()], ["restored", "unchanged"]);
        assert_eq!((scene.state(), scene.latest.rejections(), scene.latest.reloads()), (("a", 3), 1, 0));
    }

    #[test]
    fn a_content_that_cannot_be_read_is_told_once() {
        let scene = Scene::of("a");
        scene.write("gone");
        assert_eq!([scene.poll(), scene.poll(), scene.poll()], ["unsettled", "rejected", "still rejected"]);
        assert_eq!(scene.reload(), "still rejected");
        scene.write("b");
        assert_eq!(scene.reload(), "reloaded");
        assert_eq!(scene.state(), ("b", 2));
        assert!(scene.latest.last_rejection().is_none());
    }

    /// Nobody knows what was read.
    #[test]
    fn what_a_reading_failed_at_is_read_again() {
        let scene = Scene::of("a");
        scene.write("b");
        scene.latest.failed("! a fault of ours".to_owned());
        assert_eq!(scene.latest.last_rejection().unwrap().faults, "! a fault of ours");
        assert_eq!(scene.state().0, "a");
        assert_eq!([scene.poll(), scene.poll()], ["unsettled", "reloaded"]);
        assert!(scene.latest.last_rejection().is_none());
    }
}
