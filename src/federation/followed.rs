//! The keys of one issuer, kept up to date beside the requests.

use std::{sync::Arc, time::Duration};

use jeton_jose::{IssuerKeySet, PassedOver};
use jeton_oauth::clock::Clock;
use jeton_policy::federation::{IssuerKeySource, TrustedIssuer};
use jeton_verify::{
    FailedFetch,
    fetch::{FetchedValue, FollowTask, FollowTerms, Followed, FollowedSource, HeldDocument},
};
use jiff::Timestamp;
use tokio::{sync::Semaphore, time};

use super::fetch::{KeyFetcher, KeysNotFetched};
use crate::event;

/// The time between two fetches, in seconds.
const REFRESH: i64 = 300;
/// The shortest time between two fetches that tokens cause, in seconds: anybody can invent a `kid`.
const COOLDOWN: i64 = 30;
/// For how long keys count without a fetch that succeeded, in seconds.
const LONGEST_AGE: i64 = 24 * 60 * 60;
/// How long a request waits for a fetch that its token causes.
const PATIENCE: Duration = Duration::from_secs(6);
/// How many requests may wait for the keys of one issuer. Whoever comes then is refused at once.
const MOST_WAITING: usize = 64;

/// An issuer with its keys.
pub(super) struct FollowedIssuer {
    followed: Followed<IssuerKeys>,
    clock: Arc<dyn Clock>,
    waiting: Semaphore,
    /// Keys of a file have none.
    task: Option<FollowTask>,
}

/// Where the keys come from.
struct IssuerKeys {
    issuer: Arc<TrustedIssuer>,
    fetcher: Arc<KeyFetcher>,
}

/// The last good keys.
type HeldKeys = Arc<IssuerKeySet>;

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
        let terms = FollowTerms { cooldown: COOLDOWN, permits: Some(permits) };
        let followed = Followed::new(IssuerKeys { issuer, fetcher }, terms, Arc::clone(&clock));
        let task = match &followed.source().issuer.keys.source {
            IssuerKeySource::File(file) => {
                read(&followed, &file.content);
                None
            }
            _ => Some(followed.spawn()),
        };
        Self { followed, clock, waiting: Semaphore::new(MOST_WAITING), task }
    }

    /// Whether its keys are those of `issuer`, as the policies say now.
    pub(super) fn has_keys_of(&self, issuer: &TrustedIssuer) -> bool {
        let own = &*self.followed.source().issuer;
        std::ptr::eq(own, issuer)
            || (own.issuer == issuer.issuer
                && own.algorithms == issuer.algorithms
                && own.enabled == issuer.enabled
                && own.keys == issuer.keys)
    }

    /// The keys, as long as they count.
    pub(super) fn keys(&self) -> Option<Arc<IssuerKeySet>> {
        let held = self.followed.held();
        (!self.is_old(&held) && !held.value.is_empty()).then(|| Arc::clone(&held.value))
    }

    /// Whether there were keys, and they are too old.
    pub(super) fn is_expired(&self) -> bool {
        self.is_old(&self.followed.held())
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
        let _ = time::timeout(PATIENCE, self.followed.fetch()).await;
    }

    /// How it stands.
    pub(super) fn state(&self) -> IssuerState {
        let held = self.followed.held();
        let failure = self.followed.failure();
        let standing = match &failure {
            _ if self.is_old(&held) => IssuerStanding::Expired,
            _ if held.value.is_empty() => IssuerStanding::NoKeys,
            Some(_) => IssuerStanding::Failing,
            None => IssuerStanding::Ready,
        };
        IssuerState {
            issuer: Arc::clone(&self.followed.source().issuer),
            standing,
            kids: held.value.kids().map(str::to_owned).collect(),
            keys: held.value.len(),
            fetched_at: held.fetched_at,
            failure,
        }
    }

    /// Whether these keys were fetched so long ago that they do not count.
    fn is_old(&self, held: &HeldDocument<HeldKeys>) -> bool {
        let now = self.clock.numeric_date();
        held.fetched_at.is_some_and(|at| now.saturating_sub(at.as_second()) >= LONGEST_AGE)
    }
}

/// Takes the keys of a file.
fn read(followed: &Followed<IssuerKeys>, content: &[u8]) {
    let issuer = &followed.source().issuer;
    match IssuerKeySet::from_file(content, &issuer.algorithms) {
        Ok(keys) => {
            followed.source().tell_passed_over(&followed.held().value, &keys);
            followed.hold(Arc::new(keys));
        }
        Err(error) => {
            let error = error.to_string();
            event::IssuerKeysNotFetched { issuer: issuer.name.as_str(), error: &error }.warn();
            followed.fail(error);
        }
    }
}

impl FollowedSource for IssuerKeys {
    type Value = HeldKeys;
    type Error = KeysNotFetched;

    async fn fetch(&self, _: Arc<HeldDocument<HeldKeys>>) -> Result<FetchedValue<HeldKeys>, KeysNotFetched> {
        let keys = self.fetcher.fetch(&self.issuer).await?;
        Ok(FetchedValue { value: Arc::new(keys), pause: REFRESH })
    }

    fn tell_taken(&self, before: &HeldDocument<HeldKeys>, now: &HeldKeys, failures: u32) {
        self.tell_passed_over(&before.value, now);
        if before.fetched_at.is_none() || failures > 0 {
            event::IssuerKeysFetched { issuer: self.issuer.name.as_str(), keys: now.len() }.info();
        }
    }

    fn tell_failed(&self, error: &str, failures: u32) {
        let told = event::IssuerKeysNotFetched { issuer: self.issuer.name.as_str(), error };
        if failures == 0 {
            told.warn();
        } else {
            told.debug();
        }
    }
}

impl IssuerKeys {
    fn tell_passed_over(&self, before: &IssuerKeySet, now: &IssuerKeySet) {
        let passed_over = now.passed_over();
        if !passed_over.is_empty() && passed_over != before.passed_over() {
            let keys = PassedOver::list(passed_over);
            event::IssuerKeysPassedOver { issuer: self.issuer.name.as_str(), keys: &keys }.warn();
        }
    }
}
