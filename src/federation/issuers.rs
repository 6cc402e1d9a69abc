//! The issuers of the policies, each followed by itself.

use std::sync::{Arc, Mutex, PoisonError};

use arc_swap::ArcSwap;
use jeton_oauth::{IssuerName, clock::Clock};
use jeton_policy::federation::{Issuers, TrustedIssuer};
use rustc_hash::FxHashMap;
use tokio::{runtime::Handle, sync::Semaphore};

use super::{
    fetch::{FetchListener, KeyFetchOptions, KeyFetcher},
    followed::{FollowedIssuer, IssuerStanding, IssuerState},
};

/// How many issuers are fetched on schedule at once: one that is slow holds up none of the others, and a start with
/// thousands of them opens no thousands of connections.
const MOST_AT_ONCE: usize = 64;

/// The keys of the issuers that the policies trust.
pub struct FollowedIssuers {
    fetcher: Arc<KeyFetcher>,
    clock: Arc<dyn Clock>,
    permits: Arc<Semaphore>,
    followed: ArcSwap<ByName>,
    /// Held by who changes which issuers are followed.
    changing: Mutex<()>,
}

type ByName = FxHashMap<IssuerName, Arc<FollowedIssuer>>;

impl FollowedIssuers {
    /// Follows none yet.
    pub fn new(options: KeyFetchOptions, listener: Arc<dyn FetchListener>, clock: Arc<dyn Clock>) -> Self {
        Self {
            fetcher: Arc::new(KeyFetcher::new(options, listener)),
            clock,
            permits: Arc::new(Semaphore::new(MOST_AT_ONCE)),
            followed: ArcSwap::default(),
            changing: Mutex::default(),
        }
    }

    /// Follows these and no others. Whoever stays the same keeps its keys. Must be called within a runtime; outside of
    /// one it changes nothing.
    pub fn follow(&self, issuers: &Issuers) {
        if Handle::try_current().is_err() {
            return;
        }
        let _changing = self.changing.lock().unwrap_or_else(PoisonError::into_inner);
        let before = self.followed.load_full();
        let enabled = issuers.iter().filter(|issuer| issuer.enabled);
        let each = enabled.map(|issuer| {
            let same = before.get(&issuer.name).filter(|followed| followed.has_keys_of(issuer));
            let followed = same.map_or_else(|| Arc::new(self.start(issuer)), Arc::clone);
            (issuer.name.clone(), followed)
        });
        self.followed.store(Arc::new(each.collect()));
    }

    /// The keys of an issuer, unless it has others by now.
    pub(super) fn of(&self, issuer: &TrustedIssuer) -> Option<Arc<FollowedIssuer>> {
        let followed = self.followed.load();
        followed.get(&issuer.name).filter(|followed| followed.has_keys_of(issuer)).cloned()
    }

    /// How each of these issuers stands, in the order of their names.
    pub fn states(&self, issuers: &Issuers) -> Vec<IssuerState> {
        let state = |issuer: &Arc<TrustedIssuer>| match self.of(issuer) {
            Some(followed) => IssuerState { issuer: Arc::clone(issuer), ..followed.state() },
            None => IssuerState {
                issuer: Arc::clone(issuer),
                standing: if issuer.enabled { IssuerStanding::NoKeys } else { IssuerStanding::Disabled },
                kids: Vec::new(),
                keys: 0,
                fetched_at: None,
                failure: None,
            },
        };
        issuers.iter().map(state).collect()
    }

    /// The seconds since the keys of each of these issuers were fetched, by its name; without those that never were.
    pub fn ages(&self, issuers: &Issuers) -> Vec<(String, i64)> {
        let now = self.clock.numeric_date();
        let age = |state: IssuerState| {
            let age = now.saturating_sub(state.fetched_at?.as_second()).max(0);
            Some((state.issuer.name.to_string(), age))
        };
        self.states(issuers).into_iter().filter_map(age).collect()
    }

    fn start(&self, issuer: &Arc<TrustedIssuer>) -> FollowedIssuer {
        let (fetcher, clock) = (Arc::clone(&self.fetcher), Arc::clone(&self.clock));
        FollowedIssuer::start(Arc::clone(issuer), fetcher, clock, Arc::clone(&self.permits))
    }
}
