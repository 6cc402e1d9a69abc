//! The public keys of an issuer as a service elsewhere keeps them: fetched beside the requests, asked in memory.

use std::{
    future::Future,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use arc_swap::{ArcSwap, ArcSwapOption};
use jeton_jose::{InvalidJwks, PassedOver, PublicKeys};
use jeton_oauth::{ShownUrl, clock::Clock, is_loopback};
use jiff::Timestamp;
use tokio::{
    sync::{Mutex, Notify, OwnedMutexGuard},
    time,
};
use tracing::field::display;
use url::Url;

use super::KeySource;
use crate::{
    event,
    fetch::{Etag, FetchSchedule, FetchedDocument, Fetcher, HttpError, Transport},
};

/// What a key set is, and what many servers call it.
const MEDIA_TYPES: &str = "application/jwk-set+json, application/json";
/// The longest time for which nobody looks whether the set is due, in seconds.
const LONGEST_PAUSE: i64 = 60;

/// How often a key set is fetched. Durations are cut to whole seconds, and none is shorter than one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JwksOptions {
    /// The longest time between two fetches, and so the longest for which a key counts that left the set. An
    /// issuer can only shorten it: what it answers with `Cache-Control: max-age` (RFC 9111 section 5.2.2.1) is
    /// fetched again after four fifths of that. `max-age=0`, `no-store` and `no-cache` count as one second.
    pub refresh: Duration,
    /// The shortest time between two fetches that tokens of unknown keys cause: anybody can invent a `kid`.
    pub cooldown: Duration,
    /// How long one fetch may take. A request whose token's key is unknown waits for so long at most.
    pub timeout: Duration,
}

impl Default for JwksOptions {
    /// Five minutes, thirty seconds and five seconds.
    fn default() -> Self {
        Self {
            refresh: Duration::from_mins(5),
            cooldown: Duration::from_secs(30),
            timeout: Duration::from_secs(5),
        }
    }
}

/// Why there can be no such source.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum JwksSourceError {
    /// It is no address of a document.
    #[error(
        "the address of a key set must be an absolute URL such as `https://tokens.example.com/.well-known/jwks.json`, without a user name and a password"
    )]
    Address,
    /// The keys would come over an unprotected network, where anybody could put theirs in their place.
    #[error("the address `{0}` must be `https` to fetch a key set; `http` is allowed only for this machine")]
    Insecure(String),
    /// There is no TLS.
    #[error(transparent)]
    Http(#[from] HttpError),
}

/// The state of fetching, for health pages and metrics.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JwksState {
    /// How many keys are in memory.
    pub keys: usize,
    /// When the issuer last answered with this set, or that it is the same still; `None` before the first time.
    pub fetched_at: Option<Timestamp>,
    /// The last attempt, if it failed.
    pub failure: Option<FailedFetch>,
}

/// An attempt that brought no key set.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FailedFetch {
    /// When it ended.
    pub at: Timestamp,
    /// Why: for the log and for operators. It does not hold the address.
    pub error: String,
}

/// The public keys of an issuer, fetched from its key set URL (RFC 7517 section 5).
///
/// [`Self::current`] only reads memory. [`Self::run`] keeps the set up to date beside the requests, and
/// [`Self::fetch`] looks once more where a token names a key that is not there.
///
/// # When the issuer does not answer
///
/// The last good set stays in use without a time limit. Services keep accepting tokens while the issuer is
/// down. An answer that is not a good set (no 200, a redirect, more than 1 MiB, a private key, no key that could
/// verify a token) changes nothing. A good one takes the place of the old at once and as a whole, so that a key that left
/// the set is refused from then on. Who can keep a service from reaching its issuer can therefore keep
/// such a key alive there; [`Self::state`] tells how old the set is.
///
/// # Examples
///
/// Made without asking anybody; the first fetch is that of `run`.
///
/// ```
/// use std::{sync::Arc, time::Duration};
///
/// use jeton_oauth::{Issuer, clock::SystemClock};
/// use jeton_verify::{JwksOptions, JwksSource, Verifier};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let clock = Arc::new(SystemClock);
/// let url = "https://tokens.example.com/.well-known/jwks.json";
/// let options = JwksOptions { refresh: Duration::from_secs(60), ..JwksOptions::default() };
/// let keys = Arc::new(JwksSource::new(url, &options, clock.clone())?);
/// assert_eq!(keys.state().fetched_at, None);
/// // in a runtime: `tokio::spawn(Arc::clone(&keys).run())`
///
/// let issuer = Issuer::parse("https://tokens.example.com")?;
/// let verifier = Verifier::new(issuer, keys, Duration::from_secs(30), clock.clone());
/// assert!(verifier.can_fetch_keys());
///
/// // keys over an unprotected network could be anybody's
/// assert!(JwksSource::new("http://tokens.example.com/jwks.json", &options, clock).is_err());
/// # Ok(())
/// # }
/// ```
pub struct JwksSource(Arc<SharedJwks>);

/// What a fetch needs to continue after its last caller stopped waiting.
struct SharedJwks {
    url: Url,
    /// The longest time between two fetches, in seconds.
    refresh: i64,
    /// The shortest time between two fetches on demand, in seconds.
    cooldown: i64,
    clock: Arc<dyn Clock>,
    fetcher: Fetcher,
    held: ArcSwap<HeldKeys>,
    failure: ArcSwapOption<FailedFetch>,
    /// When the set is fetched next, whatever tokens ask for.
    schedule: FetchSchedule,
    /// When tokens may cause a fetch again.
    demand: FetchSchedule,
    /// How many fetches have ended.
    ended: AtomicU64,
    /// Wakes [`JwksSource::run`] where a fetch on demand changed the schedule.
    rescheduled: Notify,
    /// Held by who fetches.
    flight: Arc<Mutex<()>>,
}

/// The last good set.
#[derive(Default)]
struct HeldKeys {
    keys: Arc<PublicKeys>,
    etag: Option<Etag>,
    /// What the issuer said of it, in seconds.
    max_age: Option<i64>,
    fetched_at: Option<Timestamp>,
}

/// Why a set was not taken.
#[derive(Debug, thiserror::Error)]
enum NotFetched {
    #[error(transparent)]
    Http(#[from] HttpError),
    #[error(transparent)]
    Jwks(#[from] InvalidJwks),
}

impl JwksSource {
    /// The key set at `url`. Fetches nothing yet.
    ///
    /// # Errors
    /// [`JwksSourceError`] if it is no address, or not one of HTTPS; a host that is this machine itself
    /// (`localhost`, `127.0.0.0/8`, `::1`) may do without.
    pub fn new(url: &str, options: &JwksOptions, clock: Arc<dyn Clock>) -> Result<Self, JwksSourceError> {
        let url = Url::parse(url).map_err(|_| JwksSourceError::Address)?;
        let is_bare = url.username().is_empty() && url.password().is_none();
        let transport = match url.scheme() {
            _ if !is_bare => return Err(JwksSourceError::Address),
            "https" => Transport::Https,
            "http" if is_loopback(&url) => Transport::Http,
            "http" => return Err(JwksSourceError::Insecure(ShownUrl(url.as_str()).to_string())),
            _ => return Err(JwksSourceError::Address),
        };
        let seconds = |duration: Duration| i64::try_from(duration.as_secs()).unwrap_or(i64::MAX).max(1);
        let now = clock.numeric_date();
        Ok(Self(Arc::new(SharedJwks {
            url,
            refresh: seconds(options.refresh),
            cooldown: seconds(options.cooldown),
            clock,
            fetcher: Fetcher::new(transport, options.timeout)?,
            held: ArcSwap::default(),
            failure: ArcSwapOption::empty(),
            schedule: FetchSchedule::due(now),
            demand: FetchSchedule::due(now),
            ended: AtomicU64::new(0),
            rescheduled: Notify::new(),
            flight: Arc::default(),
        })))
    }

    /// The last good set; no key before the first fetch.
    pub fn current(&self) -> Arc<PublicKeys> {
        Arc::clone(&self.0.held.load().keys)
    }

    /// Fetches the set for a token that names a key that is not in it, unless that was done within the
    /// [`cooldown`](JwksOptions::cooldown), whatever came of it. Whoever asks while it is being fetched waits for the
    /// same answer; the fetch goes on when nobody waits any more.
    pub async fn fetch(&self) {
        let ended = self.0.ended.load(Ordering::Acquire);
        let flight = Arc::clone(&self.0.flight).lock_owned().await;
        if self.0.ended.load(Ordering::Acquire) != ended {
            // what was waited for is newer than the question
            return;
        }
        let now = self.0.clock.numeric_date();
        if self.0.demand.is_due(now) {
            self.0.demand.note_success(now, self.0.cooldown);
            self.fly(flight).await;
        }
    }

    /// Fetches the set if it is due: the first time, then after [`JwksOptions::refresh`] or what the issuer
    /// says; after an attempt that failed, in five seconds, and after each further one in twice as many, up to a minute.
    pub async fn refresh(&self) {
        if !self.0.is_due() {
            return;
        }
        let flight = Arc::clone(&self.0.flight).lock_owned().await;
        if self.0.is_due() {
            self.fly(flight).await;
        }
    }

    /// Keeps the set up to date for ever.
    pub async fn run(self: Arc<Self>) {
        loop {
            self.refresh().await;
            // a minute at most: the clock may be set meanwhile
            let pause = self.0.schedule.due_in(self.0.clock.numeric_date()).clamp(1, LONGEST_PAUSE);
            let pause = Duration::from_secs(pause.unsigned_abs());
            let _ = time::timeout(pause, self.0.rescheduled.notified()).await;
        }
    }

    /// The state of fetching.
    pub fn state(&self) -> JwksState {
        let held = self.0.held.load();
        JwksState {
            keys: held.keys.len(),
            fetched_at: held.fetched_at,
            failure: self.0.failure.load().as_deref().cloned(),
        }
    }

    /// Fetches in a task of its own. Whoever asked may hang up: a fetch that ended with that would have used
    /// the cooldown up for nothing.
    async fn fly(&self, flight: OwnedMutexGuard<()>) {
        let shared = Arc::clone(&self.0);
        let task = tokio::spawn(async move {
            shared.fetch().await;
            drop(flight);
        });
        let _ = task.await;
    }
}

impl KeySource for JwksSource {
    fn current(&self) -> Arc<PublicKeys> {
        Self::current(self)
    }

    fn can_fetch(&self) -> bool {
        true
    }

    fn fetch_unknown(&self) -> Pin<Box<dyn Future<Output = ()> + Send + '_>> {
        Box::pin(self.fetch())
    }
}

impl SharedJwks {
    fn is_due(&self) -> bool {
        self.schedule.is_due(self.clock.numeric_date())
    }

    async fn fetch(&self) {
        let outcome = self.download().await;
        let now = self.clock.now();
        match outcome {
            Ok(held) => {
                let keys = held.keys.len();
                let passed_over = held.keys.passed_over();
                if !passed_over.is_empty() && passed_over != self.held.load().keys.passed_over() {
                    let keys = PassedOver::list(passed_over);
                    event::JwksPassedOver { url: display(&self.shown_url()), keys: &keys }.warn();
                }
                let pause = self.pause(held.max_age);
                self.held.store(Arc::new(HeldKeys { fetched_at: Some(now), ..held }));
                self.failure.store(None);
                if self.schedule.note_success(now.as_second(), pause) > 0 {
                    event::JwksFetched { url: display(&self.shown_url()), keys }.info();
                }
            }
            Err(error) => {
                let error = error.to_string();
                let url = self.shown_url();
                let told = event::JwksNotFetched { url: display(&url), error: &error };
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

    /// What the issuer has, or what is in memory where that is the same.
    async fn download(&self) -> Result<HeldKeys, NotFetched> {
        let known = self.held.load_full();
        match self.fetcher.get(self.url.as_str(), MEDIA_TYPES, known.etag.as_ref()).await? {
            FetchedDocument::NotModified { max_age } => Ok(HeldKeys {
                keys: Arc::clone(&known.keys),
                etag: known.etag.clone(),
                // what it does not say is as it was (RFC 9111 section 4.3.4)
                max_age: max_age.or(known.max_age),
                fetched_at: None,
            }),
            FetchedDocument::New { body, etag, max_age } => Ok(HeldKeys {
                keys: Arc::new(PublicKeys::from_jwks(&body)?),
                etag,
                max_age,
                fetched_at: None,
            }),
        }
    }

    /// The seconds until a set is fetched again.
    fn pause(&self, max_age: Option<i64>) -> i64 {
        let lifetime = max_age.unwrap_or(i64::MAX);
        // before its end: four fifths of it
        (lifetime - lifetime / 5).clamp(1, self.refresh)
    }

    fn shown_url(&self) -> ShownUrl<'_> {
        ShownUrl(self.url.as_str())
    }
}
