//! The public keys of an issuer as a service elsewhere keeps them: fetched beside the requests, asked in memory.

use std::{borrow::Cow, future::Future, pin::Pin, sync::Arc, time::Duration};

use jeton_jose::{InvalidJwks, PassedOver, PublicKeys};
use jeton_oauth::{ShownUrl, clock::Clock, is_loopback};
use jiff::Timestamp;
use tracing::field::display;
use url::Url;

use super::KeySource;
use crate::{
    event,
    fetch::{
        Discovery, DiscoveryError, Etag, FailedFetch, FetchedDocument, FetchedValue, Fetcher, FollowTerms,
        Followed, FollowedSource, HeldDocument, HttpError, Transport,
    },
    keep::KeepFolder,
};

/// What a key set is, and what many servers call it.
const MEDIA_TYPES: &str = "application/jwk-set+json, application/json";

/// What the set is called where it is kept.
const KEPT: &str = "jwks.json";

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
pub struct JwksSource(Followed<RemoteKeys>);

/// Where the set comes from.
struct RemoteKeys {
    place: KeyPlace,
    /// The longest time between two fetches, in seconds.
    refresh: i64,
    fetcher: Arc<Fetcher>,
    keep: Option<KeepFolder>,
}

/// Where a set is.
enum KeyPlace {
    Url(Url),
    /// Where the issuer's metadata say.
    Discovered(Arc<Discovery>),
}

/// The last good set.
#[derive(Default)]
struct HeldKeys {
    keys: Arc<PublicKeys>,
    etag: Option<Etag>,
    /// What the issuer said of it, in seconds.
    max_age: Option<i64>,
}

/// Why a set was not taken.
#[derive(Debug, thiserror::Error)]
enum NotFetched {
    #[error(transparent)]
    Discovery(#[from] DiscoveryError),
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
        let fetcher = Arc::new(Fetcher::new(transport, options.timeout)?);
        Ok(Self::at(KeyPlace::Url(url), options, fetcher, None, clock))
    }

    /// The key set that the issuer's metadata name.
    pub(crate) fn discovered(
        discovery: Arc<Discovery>,
        fetcher: Arc<Fetcher>,
        keep: Option<KeepFolder>,
        clock: Arc<dyn Clock>,
    ) -> Self {
        Self::at(KeyPlace::Discovered(discovery), &JwksOptions::default(), fetcher, keep, clock)
    }

    fn at(
        place: KeyPlace,
        options: &JwksOptions,
        fetcher: Arc<Fetcher>,
        keep: Option<KeepFolder>,
        clock: Arc<dyn Clock>,
    ) -> Self {
        let seconds = |duration: Duration| i64::try_from(duration.as_secs()).unwrap_or(i64::MAX).max(1);
        let keys = RemoteKeys { place, refresh: seconds(options.refresh), fetcher, keep };
        let terms = FollowTerms { cooldown: seconds(options.cooldown), permits: None };
        Self(Followed::new(keys, terms, clock))
    }

    /// Starts with the set that was kept, if there is one.
    pub(crate) fn take_kept(&self) {
        let Some(keep) = &self.0.source().keep else { return };
        let Some(document) = keep.read(KEPT) else { return };
        match PublicKeys::from_jwks(&document) {
            Ok(keys) => self.0.hold(HeldKeys { keys: Arc::new(keys), etag: None, max_age: None }),
            Err(error) => keep.pass_over(KEPT, &error.to_string()),
        }
    }

    /// The last good set; no key before the first fetch.
    pub fn current(&self) -> Arc<PublicKeys> {
        Arc::clone(&self.0.held().value.keys)
    }

    /// Fetches the set for a token that names a key that is not in it, unless that was done within the
    /// [`cooldown`](JwksOptions::cooldown), whatever came of it. Whoever asks while it is being fetched waits for the
    /// same answer; the fetch goes on when nobody waits any more.
    pub async fn fetch(&self) {
        self.0.fetch().await;
    }

    /// Fetches the set if it is due: the first time, then after [`JwksOptions::refresh`] or what the issuer
    /// says; after an attempt that failed, in five seconds, and after each further one in twice as many, up to a minute.
    pub async fn refresh(&self) {
        self.0.refresh().await;
    }

    /// Keeps the set up to date for ever.
    pub async fn run(self: Arc<Self>) {
        self.0.run().await;
    }

    /// The state of fetching.
    pub fn state(&self) -> JwksState {
        let held = self.0.held();
        JwksState { keys: held.value.keys.len(), fetched_at: held.fetched_at, failure: self.0.failure() }
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

impl FollowedSource for RemoteKeys {
    type Value = HeldKeys;
    type Error = NotFetched;

    /// The keys of the issuer. If they did not change, those in memory.
    async fn fetch(&self, held: Arc<HeldDocument<HeldKeys>>) -> Result<FetchedValue<HeldKeys>, NotFetched> {
        let known = &held.value;
        let url = match &self.place {
            KeyPlace::Url(url) => Cow::Borrowed(url),
            KeyPlace::Discovered(discovery) => Cow::Owned(discovery.metadata().await?.jwks_uri.clone()),
        };
        let value = match self.fetcher.get(url.as_str(), MEDIA_TYPES, known.etag.as_ref()).await? {
            FetchedDocument::NotModified { max_age, .. } => HeldKeys {
                keys: Arc::clone(&known.keys),
                etag: known.etag.clone(),
                // what it does not say is as it was (RFC 9111 section 4.3.4)
                max_age: max_age.or(known.max_age),
            },
            FetchedDocument::New { body, etag, max_age, .. } => {
                let keys = Arc::new(PublicKeys::from_jwks(&body)?);
                if let Some(keep) = &self.keep {
                    keep.write(KEPT.to_owned(), body).await;
                }
                HeldKeys { keys, etag, max_age }
            }
        };
        Ok(FetchedValue { pause: self.pause(value.max_age), value })
    }

    fn tell_taken(&self, before: &HeldDocument<HeldKeys>, now: &HeldKeys, failures: u32) {
        let passed_over = now.keys.passed_over();
        if !passed_over.is_empty() && passed_over != before.value.keys.passed_over() {
            let keys = PassedOver::list(passed_over);
            event::JwksPassedOver { url: display(&ShownUrl(&self.url())), keys: &keys }.warn();
        }
        if failures > 0 {
            event::JwksFetched { url: display(&ShownUrl(&self.url())), keys: now.keys.len() }.info();
        }
    }

    fn tell_failed(&self, error: &str, failures: u32) {
        let url = self.url();
        let url = ShownUrl(&url);
        let told = event::JwksNotFetched { url: display(&url), error };
        if failures == 0 {
            told.warn();
        } else {
            told.debug();
        }
    }
}

impl RemoteKeys {
    /// The seconds until a set is fetched again.
    fn pause(&self, max_age: Option<i64>) -> i64 {
        let lifetime = max_age.unwrap_or(i64::MAX);
        // before its end: four fifths of it
        (lifetime - lifetime / 5).clamp(1, self.refresh)
    }

    /// Where the set is, or what would say it.
    fn url(&self) -> String {
        match &self.place {
            KeyPlace::Url(url) => url.to_string(),
            KeyPlace::Discovered(discovery) => {
                let known = discovery.known();
                known.map_or_else(|| discovery.url().to_string(), |metadata| metadata.jwks_uri.to_string())
            }
        }
    }
}
