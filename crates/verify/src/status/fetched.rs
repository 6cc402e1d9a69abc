//! The lists of an issuer as a service elsewhere keeps them: fetched beside the requests, asked in memory.

use std::{
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
    time::Duration,
};

use arc_swap::{ArcSwap, ArcSwapOption};
use futures_util::{StreamExt, stream};
use jeton_jose::JwsError;
use jeton_oauth::{Issuer, ShownUrl, clock::Clock};
use rustc_hash::FxHashMap;
use tokio::{
    sync::{Mutex, Notify},
    time,
};
use tracing::field::display;

use super::{InvalidListToken, StatusListTerms, StatusListToken, StatusReference};
use crate::{
    event,
    fetch::{Etag, FetchSchedule, FetchedDocument, Fetcher, HttpError, Transport},
    keep::KeepFolder,
    keys::TrustedKeys,
};

/// How many lists are kept.
const MOST_LISTS: usize = 10_000;
/// How many lists are fetched at the same time.
const AT_ONCE: usize = 8;
/// The shortest time until a list is fetched again that a cache holds for too long, in seconds, unless its `ttl` is
/// shorter.
const SHORTEST_PAUSE: i64 = 5;
/// The longest time for which nobody looks whether a list is due, in seconds.
const LONGEST_PAUSE: i64 = 60;
/// A list of which no token was seen for so many seconds is let go.
const IDLE: i64 = 24 * 60 * 60;

/// Where lists are, below the issuer.
const STATUS_PATH: &str = "/status/";
/// What lists are called where they are kept: this, their last part of the address, and an ending.
const KEPT_PREFIX: &str = "status-";
const KEPT_SUFFIX: &str = ".json";

/// How lists are fetched, and what holds without one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StatusFetchOptions {
    /// Refuses tokens when their list was signed longer ago than this; `None`: not before the list's own end.
    /// Less than twice the issuer's `ttl` would refuse good tokens now and then.
    pub refuse_after: Option<Duration>,
    /// What becomes of tokens of which no list is in memory yet.
    pub on_unknown: UnknownList,
    /// How far clocks may be off (cut to whole seconds).
    pub leeway: Duration,
    /// How long one list may take.
    pub timeout: Duration,
}

/// What becomes of a token of which no list is in memory yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum UnknownList {
    /// It is refused.
    Refuse,
    /// It passes.
    Accept,
}

impl Default for StatusFetchOptions {
    /// Refuses without a list, takes each list until its end.
    fn default() -> Self {
        Self {
            refuse_after: None,
            on_unknown: UnknownList::Refuse,
            leeway: Duration::from_mins(1),
            timeout: Duration::from_secs(5),
        }
    }
}

/// Why a token is refused for its status.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum StatusError {
    /// Its list says anything but VALID.
    #[error("the token is revoked")]
    Revoked,
    /// No list is in memory yet. It is fetched next, and may be fetched at once ([`FetchedLists::fetch`]).
    #[error("the status list `{0}` was not fetched yet")]
    Unknown(Arc<str>),
    /// The list in memory is too old.
    #[error("the status list in memory is too old")]
    Stale,
    /// The list has no such place.
    #[error("the status list is shorter than the token's `idx`")]
    OutOfBounds,
    /// The list is not the issuer's. It is never fetched.
    #[error("the status list `{}` is not a list of the issuer", ShownUrl(.0))]
    ForeignList(Arc<str>),
}

/// Why a list was not fetched: for the log.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StatusFetchError {
    /// The lists would come over an unprotected network.
    #[error("the issuer `{0}` must be `https` to fetch its status lists")]
    Insecure(Issuer),
    /// Nothing came that could be a list.
    #[error(transparent)]
    Http(#[from] HttpError),
    /// It is not a good list of the issuer.
    #[error(transparent)]
    Invalid(#[from] InvalidListToken),
    /// The one in memory was signed later.
    #[error("it is older than the one in memory")]
    Older,
}

/// The status lists of one issuer.
///
/// [`Self::check`] asks memory alone. [`Self::run`] keeps the lists up to date beside the requests; while the
/// issuer is away or answers anything but a good list, the last good one counts.
pub struct FetchedLists {
    issuer: Issuer,
    keys: TrustedKeys,
    on_unknown: UnknownList,
    /// In seconds.
    refuse_after: Option<i64>,
    leeway: i64,
    clock: Arc<dyn Clock>,
    fetcher: Arc<Fetcher>,
    keep: Option<KeepFolder>,
    slots: ArcSwap<FxHashMap<Arc<str>, Arc<Slot>>>,
    wanted: Notify,
}

/// The place of one list, which may not be there yet.
struct Slot {
    uri: Arc<str>,
    held: ArcSwapOption<HeldList>,
    schedule: FetchSchedule,
    /// When a token of it was seen last.
    asked_at: AtomicI64,
    /// Held by who fetches it.
    flight: Mutex<()>,
}

/// A list that counts, as it came.
struct HeldList {
    token: StatusListToken,
    etag: Option<Etag>,
}

impl FetchedLists {
    /// The lists of `issuer`, signed with one of `keys`. Fetches nothing yet.
    ///
    /// # Errors
    /// [`StatusFetchError`] if lists cannot be fetched from there by HTTPS; an issuer on this machine may do without.
    pub fn new(
        issuer: Issuer,
        keys: impl Into<TrustedKeys>,
        options: &StatusFetchOptions,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, StatusFetchError> {
        let Some(transport) = Transport::of(&issuer) else { return Err(StatusFetchError::Insecure(issuer)) };
        let fetcher = Arc::new(Fetcher::new(transport, options.timeout)?);
        Ok(Self::reaching(issuer, keys.into(), options, fetcher, clock))
    }

    pub(crate) fn reaching(
        issuer: Issuer,
        keys: TrustedKeys,
        options: &StatusFetchOptions,
        fetcher: Arc<Fetcher>,
        clock: Arc<dyn Clock>,
    ) -> Self {
        let seconds = |duration: Duration| i64::try_from(duration.as_secs()).unwrap_or(i64::MAX);
        Self {
            issuer,
            keys,
            on_unknown: options.on_unknown,
            refuse_after: options.refuse_after.map(seconds),
            leeway: seconds(options.leeway),
            clock,
            fetcher,
            keep: None,
            slots: ArcSwap::default(),
            wanted: Notify::new(),
        }
    }

    /// Keeps lists in a folder from now on, and starts with those that are still good.
    pub(crate) fn keeping(self, keep: KeepFolder) -> Self {
        let now = self.clock.numeric_date();
        let mut slots = FxHashMap::default();
        for name in keep.names(KEPT_PREFIX) {
            let handle = name.strip_prefix(KEPT_PREFIX).and_then(|name| name.strip_suffix(KEPT_SUFFIX));
            let Some(uri) = handle.map(|handle| self.issuer.endpoint(&format!("{STATUS_PATH}{handle}")))
            else {
                continue;
            };
            let Some(document) = keep.read(&name) else { continue };
            match self.open(&uri, &document) {
                Ok(token) => {
                    let slot = Slot::wanted(&uri, now);
                    slot.held.store(Some(Arc::new(HeldList { token, etag: None })));
                    slots.insert(Arc::clone(&slot.uri), Arc::new(slot));
                }
                Err(error) => keep.pass_over(&name, &error.to_string()),
            }
        }
        Self { keep: Some(keep), slots: ArcSwap::from_pointee(slots), ..self }
    }

    /// Whether a token with this status may pass, as far as is known in memory.
    ///
    /// # Errors
    /// [`StatusError`], why it may not.
    pub fn check(&self, reference: &StatusReference) -> Result<(), StatusError> {
        let now = self.clock.numeric_date();
        let slots = self.slots.load();
        let Some(slot) = slots.get(&*reference.uri) else {
            return if self.want(&reference.uri) {
                self.unknown(reference)
            } else {
                Err(StatusError::ForeignList(Arc::clone(&reference.uri)))
            };
        };
        slot.note_asked(now);
        let held = slot.held.load();
        let Some(held) = &*held else { return self.unknown(reference) };
        let age = now.saturating_sub(held.token.issued_at);
        if self.has_ended(held, now) || self.refuse_after.is_some_and(|longest| age > longest) {
            return Err(StatusError::Stale);
        }
        match held.token.list.status(reference.index) {
            Some(0) => Ok(()),
            Some(_) => Err(StatusError::Revoked),
            None => Err(StatusError::OutOfBounds),
        }
    }

    /// Fetches a list unless it is there, or was tried a moment ago: for the first token that points to it.
    /// Whoever asks for the same list meanwhile waits for the same answer.
    pub async fn fetch(&self, uri: &str) {
        if self.want(uri)
            && let Some(slot) = self.slots.load_full().get(uri)
        {
            self.fetch_due(slot).await;
        }
    }

    /// Fetches what is due, and lets go of what is needed no more.
    pub async fn refresh(&self) {
        let now = self.clock.numeric_date();
        let slots = self.slots.load_full();
        if slots.values().any(|slot| slot.is_idle(now)) {
            self.slots.rcu(|slots| {
                let mut fewer = FxHashMap::clone(slots);
                fewer.retain(|_, slot| !slot.is_idle(now));
                fewer
            });
        }
        let due = slots.values().filter(|slot| slot.schedule.is_due(now) && !slot.is_idle(now));
        stream::iter(due).for_each_concurrent(AT_ONCE, |slot| self.fetch_due(slot)).await;
    }

    /// Refreshes the lists for ever: at their times, and as soon as a token points to one that is not there.
    pub async fn run(self: Arc<Self>) {
        loop {
            self.refresh().await;
            let now = self.clock.numeric_date();
            let next = self.slots.load().values().map(|slot| slot.schedule.due_in(now)).min();
            let pause = next.unwrap_or(LONGEST_PAUSE).clamp(1, LONGEST_PAUSE).unsigned_abs();
            let _ = time::timeout(Duration::from_secs(pause), self.wanted.notified()).await;
        }
    }

    fn unknown(&self, reference: &StatusReference) -> Result<(), StatusError> {
        match self.on_unknown {
            UnknownList::Accept => Ok(()),
            UnknownList::Refuse => Err(StatusError::Unknown(Arc::clone(&reference.uri))),
        }
    }

    /// Makes a place for a list, while there are not too many; `false` where it is not the issuer's.
    fn want(&self, uri: &str) -> bool {
        if self.handle(uri).is_none() {
            return false;
        }
        let has_room = |slots: &FxHashMap<_, _>| !slots.contains_key(uri) && slots.len() < MOST_LISTS;
        if !has_room(&self.slots.load()) {
            return true;
        }
        let slot = Arc::new(Slot::wanted(uri, self.clock.numeric_date()));
        self.slots.rcu(|slots| {
            let mut more = FxHashMap::clone(slots);
            if has_room(&more) {
                more.insert(Arc::clone(&slot.uri), Arc::clone(&slot));
            }
            more
        });
        self.wanted.notify_one();
        true
    }

    /// The last part of the address of a list of the issuer.
    fn handle<'u>(&self, uri: &'u str) -> Option<&'u str> {
        let handle = uri.strip_prefix(self.issuer.as_str())?.strip_prefix(STATUS_PATH)?;
        let is_name = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
        ((1..=64).contains(&handle.len()) && handle.bytes().all(is_name)).then_some(handle)
    }

    fn has_ended(&self, held: &HeldList, now: i64) -> bool {
        held.token.has_ended(now, self.leeway)
    }

    async fn fetch_due(&self, slot: &Slot) {
        let _flight = slot.flight.lock().await;
        let started = self.clock.numeric_date();
        if !slot.schedule.is_due(started) {
            // somebody else was faster
            return;
        }
        let outcome = self.download(slot).await;
        let now = self.clock.numeric_date();
        match outcome {
            Ok((held, age)) => {
                // a cache on the way kept the list for a part of that time
                let ttl = held.token.ttl.saturating_sub(age).max(SHORTEST_PAUSE.min(held.token.ttl));
                let pause = ttl.min(held.token.expires_at.saturating_sub(now)).max(1);
                slot.held.store(Some(held));
                slot.schedule.note_success(now, pause);
            }
            Err(error) => {
                let told = event::StatusListNotFetched { uri: &slot.uri, error: display(&error) };
                if slot.schedule.note_failure(now) == 0 {
                    told.warn();
                } else {
                    told.debug();
                }
            }
        }
    }

    /// The list of the issuer, or the one in memory if the issuer has no newer one; and how many seconds ago the issuer
    /// said so.
    async fn download(&self, slot: &Slot) -> Result<(Arc<HeldList>, i64), StatusFetchError> {
        let held = slot.held.load_full();
        // a list that has ended cannot be `not modified`
        let known = held.clone().filter(|held| !self.has_ended(held, self.clock.numeric_date()));
        let etag = known.as_ref().and_then(|held| held.etag.as_ref());
        match (self.fetcher.get(&slot.uri, "application/statuslist+jwt", etag).await?, known) {
            (FetchedDocument::NotModified { age, .. }, Some(known)) => Ok((known, age)),
            (FetchedDocument::NotModified { .. }, None) => Err(HttpError::Answer(304).into()),
            (FetchedDocument::New { body, etag, age, .. }, _) => {
                let mut opened = self.open(&slot.uri, &body);
                if let Err(InvalidListToken::Jws(JwsError::UnknownKey)) = opened {
                    // the issuer may sign with a key that is newer than those that are known
                    self.keys.fetch_unknown().await;
                    opened = self.open(&slot.uri, &body);
                }
                let token = opened?;
                if held.is_some_and(|held| token.issued_at < held.token.issued_at) {
                    return Err(StatusFetchError::Older);
                }
                if let (Some(keep), Some(handle)) = (&self.keep, self.handle(&slot.uri)) {
                    keep.write(format!("{KEPT_PREFIX}{handle}{KEPT_SUFFIX}"), body).await;
                }
                Ok((Arc::new(HeldList { token, etag }), age))
            }
        }
    }

    fn open(&self, uri: &str, body: &[u8]) -> Result<StatusListToken, InvalidListToken> {
        let terms = StatusListTerms { uri, now: self.clock.numeric_date(), leeway: self.leeway };
        StatusListToken::open(body, &self.keys.current(), &terms)
    }
}

impl Slot {
    fn wanted(uri: &str, now: i64) -> Self {
        Self {
            uri: uri.into(),
            held: ArcSwapOption::empty(),
            schedule: FetchSchedule::due(now),
            asked_at: AtomicI64::new(now),
            flight: Mutex::new(()),
        }
    }

    fn is_idle(&self, now: i64) -> bool {
        now.saturating_sub(self.asked_at.load(Ordering::Relaxed)) > IDLE
    }

    /// Notes it about once a minute: many threads look at the same place.
    fn note_asked(&self, now: i64) {
        if now.abs_diff(self.asked_at.load(Ordering::Relaxed)) >= 60 {
            self.asked_at.store(now, Ordering::Relaxed);
        }
    }
}
