//! What follows from the state of the server, read when somebody scrapes.

use std::{collections::BTreeMap, sync::Arc};

use jeton_policy::LivePolicies;
use jeton_verify::audit::DecisionLog;
use jiff::{SignedDuration, Timestamp};
use prometheus::{
    Error,
    core::{Collector, Desc},
    proto::MetricFamily,
};

use super::declared::{
    BUILD_INFO, BUNDLES_FETCHED, DECISIONS_DROPPED, DeclaredMetric, ISSUER_KEYS_AGE, KEY_NEXT_CHANGE, KEYS,
    KEYS_REJECTED, POLICIES_INFO, POLICIES_LOADED, POLICIES_REJECTED, SECRET_LAST_USED, STORE_UP, TLS_EXPIRY,
    TLS_REJECTED, number,
};
use crate::{
    authenticate::SecretUses,
    bundles::PolicyBundles,
    federation::FollowedIssuers,
    keys::{KeyState, LiveKeys},
    store::{Store, StoreState},
    tls::{Certificates, LiveCertificate},
};

/// The parts of the server of which metrics tell how they are.
pub struct ObservedState {
    /// The policies in force.
    pub policies: Arc<LivePolicies>,
    /// Their bundles.
    pub bundles: Arc<PolicyBundles>,
    /// The keys in force.
    pub keys: Arc<LiveKeys>,
    /// The certificates of the listeners that have TLS.
    pub certificates: Certificates,
    /// The shared store, if there is one.
    pub store: Arc<Store>,
    /// The decision log, if there is one.
    pub decisions: Option<Arc<DecisionLog>>,
    /// When each secret was used.
    pub secret_uses: Arc<SecretUses>,
    /// The issuers that the policies trust.
    pub issuers: Arc<FollowedIssuers>,
}

/// What [`StateCollector`] shows.
const SHOWN: [&DeclaredMetric; 14] = [
    &BUILD_INFO,
    &POLICIES_INFO,
    &POLICIES_LOADED,
    &POLICIES_REJECTED,
    &BUNDLES_FETCHED,
    &KEYS_REJECTED,
    &KEYS,
    &KEY_NEXT_CHANGE,
    &TLS_EXPIRY,
    &TLS_REJECTED,
    &STORE_UP,
    &DECISIONS_DROPPED,
    &SECRET_LAST_USED,
    &ISSUER_KEYS_AGE,
];

/// Reads the state for the library.
pub(super) struct StateCollector {
    state: Arc<ObservedState>,
    descs: Vec<Desc>,
}

impl StateCollector {
    pub(super) fn new(state: Arc<ObservedState>) -> Result<Self, Error> {
        let descs = SHOWN.into_iter().map(DeclaredMetric::desc).collect::<Result<_, _>>()?;
        Ok(Self { state, descs })
    }
}

impl Collector for StateCollector {
    fn desc(&self) -> Vec<&Desc> {
        self.descs.iter().collect()
    }

    fn collect(&self) -> Vec<MetricFamily> {
        self.state.families()
    }
}

impl ObservedState {
    fn families(&self) -> Vec<MetricFamily> {
        let snapshot = self.policies.current();
        let is_up = match self.store.state() {
            StoreState::Memory | StoreState::Ready => true,
            StoreState::NotYetRead | StoreState::Unreachable => false,
        };
        vec![
            BUILD_INFO.family([([env!("CARGO_PKG_VERSION")], 1.0)]),
            POLICIES_INFO.family([([snapshot.policies.hash().to_string()], 1.0)]),
            POLICIES_LOADED.value(seconds(snapshot.loaded_at)),
            POLICIES_REJECTED.value(self.policies.last_rejection().is_some().into()),
            BUNDLES_FETCHED.family(self.bundles.fetches().into_iter().map(|fetches| {
                ([fetches.api.to_string(), fetches.hash.to_string()], number(fetches.fetched))
            })),
            KEYS_REJECTED.value(self.keys.last_rejection().is_some().into()),
            self.key_states(),
            KEY_NEXT_CHANGE.family(self.keys.next_change().map(|at| ([""; 0], seconds(at)))),
            self.listeners(&TLS_EXPIRY, |certificate| seconds(certificate.expires())),
            self.listeners(&TLS_REJECTED, |certificate| certificate.last_rejection().is_some().into()),
            STORE_UP.value(is_up.into()),
            DECISIONS_DROPPED.value(self.decisions.as_ref().map_or(0.0, |log| number(log.lost()))),
            self.secrets(),
            ISSUER_KEYS_AGE.family(
                self.issuers
                    .ages(snapshot.policies.issuers())
                    .into_iter()
                    .map(|(issuer, age)| ([issuer], SignedDuration::from_secs(age).as_secs_f64())),
            ),
        ]
    }

    /// How many keys of each algorithm are in each state, also where there are none.
    fn key_states(&self) -> MetricFamily {
        let ring = self.keys.ring();
        let mut counts = BTreeMap::new();
        for key in ring.keys() {
            for state in KeyState::NAMES {
                let count = counts.entry((state, key.algorithm.name())).or_insert(0);
                *count += u64::from(state == key.state.name());
            }
        }
        KEYS.family(counts.into_iter().map(|((state, algorithm), count)| ([state, algorithm], number(count))))
    }

    /// A value for each listener that has TLS.
    fn listeners(&self, declared: &DeclaredMetric, value: fn(&LiveCertificate) -> f64) -> MetricFamily {
        declared.family(
            self.certificates
                .iter()
                .map(|certificate| ([certificate.listener().as_str()], value(certificate))),
        )
    }

    fn secrets(&self) -> MetricFamily {
        let mut last = BTreeMap::new();
        for (client, secret, at) in self.secret_uses.all() {
            // two secrets of one client may begin alike
            let of_label = last.entry((client, secret.beginning())).or_insert(at);
            *of_label = at.max(*of_label);
        }
        SECRET_LAST_USED.family(last.into_iter().map(|((client, secret), at)| {
            ([client.as_str().to_owned(), secret], SignedDuration::from_secs(at).as_secs_f64())
        }))
    }
}

/// In seconds since 1970.
fn seconds(at: Timestamp) -> f64 {
    SignedDuration::from_secs(at.as_second()).as_secs_f64()
}
