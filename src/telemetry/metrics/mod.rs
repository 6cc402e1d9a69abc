//! What is counted and measured, for Prometheus.
//!
//! Each server has its own [`Metrics`]. What follows from the state of the server, as which keys there are, is read when
//! somebody scrapes, and so cannot be out of date ([`ObservedState`]). What happens is counted where it is told to the log
//! too ([`Telemetry`](super::Telemetry)).

mod counters;
mod declared;
mod labels;
mod state;
mod totals;

use std::{
    collections::HashSet,
    fmt,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use jeton_oauth::{ApiName, ErrorCode, GrantType};
use jeton_policy::{PolicyRule, PolicySet};
use jeton_verify::audit::{AuditedRequest, DecisionListener, DecisionOutcome, TakenDecision};
use prometheus::{HistogramOpts, HistogramVec, Registry, TextEncoder, process_collector::ProcessCollector};

use self::{
    counters::Counters,
    labels::{NO_RULE, OTHER, UNKNOWN},
    state::StateCollector,
};
use crate::{
    federation::{FetchListener, FetchedDocumentKind},
    gateway::GatewayName,
    limits::LimitName,
};

pub(super) use self::labels::grant_label;
pub(crate) use self::totals::CounterTotals;
pub use self::{
    declared::{DECLARED, DeclaredMetric, MetricKind},
    labels::{ClientLabel, Endpoint, FetchKind, FetchOutcome, MethodLabel},
    state::ObservedState,
};

/// The upper bounds of the buckets of durations, in seconds.
const BUCKETS: [f64; 14] =
    [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0];

/// The metrics of a server.
pub struct Metrics {
    registry: Registry,
    tokens_issued: Counters<3>,
    tokens_reused: Counters<2>,
    token_requests_refused: Counters<3>,
    decisions: Counters<3>,
    gateway_questions: Counters<2>,
    introspections: Counters<2>,
    rate_limited: Counters<2>,
    fetches: Counters<2>,
    requests: HistogramVec,
    /// What was counted with labels that are forgotten.
    forgotten: Mutex<CounterTotals>,
}

/// The metrics cannot be what they are declared as, or be written down: a fault in jeton.
#[derive(Debug, thiserror::Error)]
#[error("the metrics failed within jeton: {0}: please report this")]
pub struct MetricsError(#[from] prometheus::Error);

impl Metrics {
    /// Nothing was counted yet. What has no labels, or labels of which every value is known, is shown as 0.
    ///
    /// # Errors
    /// [`MetricsError`].
    pub fn new<'g>(gateways: impl IntoIterator<Item = &'g GatewayName>) -> Result<Self, MetricsError> {
        let registry = Registry::new();
        registry.register(Box::new(ProcessCollector::for_self()))?;
        let DeclaredMetric { name, labels, meaning, .. } = declared::HTTP_REQUESTS;
        let durations = HistogramOpts::new(name, meaning).buckets(BUCKETS.to_vec());
        let metrics = Self {
            tokens_issued: counters(&registry, &declared::TOKENS_ISSUED)?,
            tokens_reused: counters(&registry, &declared::TOKENS_REUSED)?,
            token_requests_refused: counters(&registry, &declared::TOKEN_REQUESTS_REFUSED)?,
            decisions: counters(&registry, &declared::DECISIONS)?,
            gateway_questions: counters(&registry, &declared::GATEWAY_QUESTIONS)?,
            introspections: counters(&registry, &declared::INTROSPECTIONS)?,
            rate_limited: counters(&registry, &declared::RATE_LIMITED)?,
            fetches: counters(&registry, &declared::FETCHES)?,
            requests: HistogramVec::new(durations, labels)?,
            forgotten: Mutex::default(),
            registry,
        };
        metrics.registry.register(Box::new(metrics.requests.clone()))?;
        for gateway in gateways.into_iter().map(GatewayName::as_str).chain([UNKNOWN]) {
            for outcome in DecisionOutcome::ALL {
                metrics.gateway_questions.show([gateway, outcome.as_str()]);
            }
        }
        for (kind, outcome) in FetchKind::ALL.iter().flat_map(|kind| FetchOutcome::ALL.map(|it| (kind, it))) {
            metrics.fetches.show([kind.as_str(), outcome.as_str()]);
        }
        Ok(metrics)
    }

    /// Shows what follows from this state, too.
    ///
    /// # Errors
    /// [`MetricsError`].
    pub(super) fn observe(&self, state: Arc<ObservedState>) -> Result<(), MetricsError> {
        Ok(self.registry.register(Box::new(StateCollector::new(state)?))?)
    }

    /// The media type of [`Self::text`].
    pub const TEXT_FORMAT: &'static str = prometheus::TEXT_FORMAT;

    /// Everything in the text format of Prometheus, as it is now.
    ///
    /// # Errors
    /// [`MetricsError`].
    pub fn text(&self) -> Result<String, MetricsError> {
        Ok(TextEncoder::new().encode_to_string(&self.registry.gather())?)
    }

    /// A token was signed and handed out.
    pub(super) fn token_issued(&self, grant: GrantType, client: ClientLabel<'_>, api: &ApiName) {
        self.tokens_issued.add_one([grant_label(Some(grant)), client.as_str(), api.as_str()]);
    }

    /// A token was handed out again.
    pub(super) fn token_reused(&self, client: ClientLabel<'_>, api: &ApiName) {
        self.tokens_reused.add_one([client.as_str(), api.as_str()]);
    }

    /// A request for a token got an error.
    pub(super) fn token_request_refused(
        &self,
        grant: Option<GrantType>,
        error: ErrorCode,
        client: ClientLabel<'_>,
    ) {
        self.token_requests_refused.add_one([grant_label(grant), error.as_str(), client.as_str()]);
    }

    /// A gateway of the settings, or one that they do not know, got an answer.
    pub(super) fn gateway_answered(&self, gateway: Option<&GatewayName>, outcome: DecisionOutcome) {
        self.gateway_questions.add_one([gateway.map_or(UNKNOWN, GatewayName::as_str), outcome.as_str()]);
    }

    /// A client was told whether a token is in force.
    pub(super) fn introspected(&self, client: ClientLabel<'_>, is_active: bool) {
        self.introspections.add_one([client.as_str(), if is_active { "true" } else { "false" }]);
    }

    /// A request was answered 429.
    pub fn rate_limited(&self, client: ClientLabel<'_>, limit: LimitName) {
        self.rate_limited.add_one([client.as_str(), limit.as_str()]);
    }

    /// This server fetched a document.
    pub fn fetched(&self, kind: FetchKind, outcome: FetchOutcome) {
        self.fetches.add_one([kind.as_str(), outcome.as_str()]);
    }

    /// A request was answered with a status of three digits, after so long; at none of our endpoints, maybe.
    pub fn answered(&self, endpoint: Option<&Endpoint>, method: MethodLabel, status: &str, after: Duration) {
        // put together these are never the same text: methods are in capitals, and a status ends it
        let labels = [endpoint.map_or(OTHER, Endpoint::as_str), method.as_str(), status];
        if let Ok(durations) = self.requests.get_metric_with_label_values(&labels) {
            durations.observe(after.as_secs_f64());
        }
    }

    /// What was counted in all, also with labels that are forgotten.
    pub(crate) fn totals(&self) -> CounterTotals {
        self.forgotten.lock().unwrap_or_else(PoisonError::into_inner).and(&self.shown_totals())
    }

    /// What was counted in all with the labels that are shown.
    fn shown_totals(&self) -> CounterTotals {
        let decisions = |outcome: DecisionOutcome| self.decisions.total(|[_, _, it]| it == outcome.as_str());
        CounterTotals {
            tokens_issued: self.tokens_issued.total(|_| true),
            tokens_reused: self.tokens_reused.total(|_| true),
            token_requests_refused: self.token_requests_refused.total(|_| true),
            decisions_allowed: decisions(DecisionOutcome::Allowed),
            decisions_denied: decisions(DecisionOutcome::Denied),
            decisions_unauthenticated: decisions(DecisionOutcome::Unauthenticated),
            gateway_questions: self.gateway_questions.total(|_| true),
            introspections: self.introspections.total(|_| true),
            rate_limited: self.rate_limited.total(|_| true),
        }
    }

    /// Forgets the counters of clients, APIs and rules that none of these policies has: in a folder that is edited for
    /// years there would be more and more of them.
    pub(super) fn keep_names_of(&self, policies: &[&PolicySet]) {
        let apis = policies.iter().flat_map(|policies| policies.apis().values());
        let rules: HashSet<_> = apis
            .flat_map(|api| {
                let names = api.rules().iter().map(PolicyRule::name).chain([NO_RULE]);
                names.map(|rule| (api.name().as_str(), rule))
            })
            .collect();
        let has_rule = |api: &str, rule: &str| rules.contains(&(api, rule));
        let has_api = |api: &str| has_rule(api, NO_RULE);
        let has_client =
            |id: &str| id == UNKNOWN || policies.iter().any(|policies| policies.clients().find(id).is_some());
        let mut forgotten = self.forgotten.lock().unwrap_or_else(PoisonError::into_inner);
        let before = self.shown_totals();
        self.tokens_issued.retain(|[_, client, api]| has_client(client) && has_api(api));
        self.tokens_reused.retain(|[client, api]| has_client(client) && has_api(api));
        self.token_requests_refused.retain(|[_, _, client]| has_client(client));
        self.decisions.retain(|[api, rule, _]| has_rule(api, rule));
        self.introspections.retain(|[client, _]| has_client(client));
        self.rate_limited.retain(|[client, _]| has_client(client));
        // of what is counted meanwhile some may be missed, and nothing is counted twice
        *forgotten = forgotten.and(&before.since(&self.shown_totals()));
    }
}

/// Counters that are shown.
fn counters<const N: usize>(
    registry: &Registry,
    declared: &'static DeclaredMetric,
) -> Result<Counters<N>, prometheus::Error> {
    let counters = Counters::new(declared)?;
    registry.register(Box::new(counters.clone()))?;
    Ok(counters)
}

impl FetchListener for Metrics {
    fn fetched(&self, kind: FetchedDocumentKind, is_good: bool) {
        let kind = match kind {
            FetchedDocumentKind::Metadata => FetchKind::Discovery,
            FetchedDocumentKind::KeySet => FetchKind::Jwks,
        };
        Self::fetched(self, kind, if is_good { FetchOutcome::Fetched } else { FetchOutcome::Failed });
    }
}

impl DecisionListener for Metrics {
    fn decided(&self, asked: &AuditedRequest<'_>, taken: &TakenDecision<'_>, _: Option<&dyn fmt::Display>) {
        self.decisions.add_one([asked.api, taken.rule.unwrap_or(NO_RULE), taken.outcome.as_str()]);
    }
}
