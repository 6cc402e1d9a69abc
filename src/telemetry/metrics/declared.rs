//! Every metric, declared once. `docs/reference/metrics.md` is checked against this.

use prometheus::{
    Error,
    core::Desc,
    proto::{Counter, Gauge, LabelPair, Metric, MetricFamily, MetricType},
};

/// A metric, as it was declared.
#[derive(Clone, Copy, Debug)]
pub struct DeclaredMetric {
    /// Its name.
    pub name: &'static str,
    /// What it is.
    pub kind: MetricKind,
    /// The names of its labels.
    pub labels: &'static [&'static str],
    /// What it means, in a sentence or two.
    pub meaning: &'static str,
}

/// What a metric is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MetricKind {
    /// It only grows while the server runs.
    Counter,
    /// It is as things are now.
    Gauge,
    /// It counts durations by their length.
    Histogram,
}

/// Every metric of this service, but `process_*`, which the library declares.
pub const DECLARED: &[&DeclaredMetric] = &[
    &TOKENS_ISSUED,
    &TOKENS_REUSED,
    &TOKEN_REQUESTS_REFUSED,
    &DECISIONS,
    &GATEWAY_QUESTIONS,
    &INTROSPECTIONS,
    &RATE_LIMITED,
    &DECISIONS_DROPPED,
    &FETCHES,
    &HTTP_REQUESTS,
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
    &SECRET_LAST_USED,
    &ISSUER_KEYS_AGE,
];

pub(super) const TOKENS_ISSUED: DeclaredMetric = counter(
    "jeton_tokens_issued_total",
    &["grant", "client", "api"],
    "Access tokens that were signed and handed out.",
);
pub(super) const TOKENS_REUSED: DeclaredMetric = counter(
    "jeton_tokens_reused_total",
    &["client", "api"],
    "Access tokens that were handed out again within `tokens.reuse`.",
);
pub(super) const TOKEN_REQUESTS_REFUSED: DeclaredMetric = counter(
    "jeton_token_requests_refused_total",
    &["grant", "error", "client"],
    "Requests for a token that got an error, by its OAuth code.",
);
pub(super) const DECISIONS: DeclaredMetric = counter(
    "jeton_decisions_total",
    &["api", "rule", "outcome"],
    "Decisions of this server, for its own endpoints and for gateways. `rule` is `none` where no rule decided.",
);
pub(super) const GATEWAY_QUESTIONS: DeclaredMetric = counter(
    "jeton_gateway_questions_total",
    &["gateway", "outcome"],
    "Requests at `/authz/NAME`, by the answer: 200, 403 or 401.",
);
pub(super) const INTROSPECTIONS: DeclaredMetric = counter(
    "jeton_introspections_total",
    &["client", "active"],
    "Introspections that were answered, by the client that asked.",
);
pub(super) const RATE_LIMITED: DeclaredMetric =
    counter("jeton_rate_limited_total", &["client", "limit"], "Requests that were answered 429.");
pub(super) const DECISIONS_DROPPED: DeclaredMetric = counter(
    "jeton_decisions_dropped_total",
    &[],
    "Decisions that are missing from the decision log because the disk did not keep up.",
);
pub(super) const FETCHES: DeclaredMetric = counter(
    "jeton_fetches_total",
    &["kind", "outcome"],
    "Documents that this server fetched by URL: the key sets of issuers (`jwks`), and their metadata (`discovery`).",
);
pub(super) const HTTP_REQUESTS: DeclaredMetric = declared(
    "jeton_http_request_duration_seconds",
    MetricKind::Histogram,
    &["endpoint", "method", "status"],
    "The time from the head of a request to the head of its answer.",
);
pub(super) const BUILD_INFO: DeclaredMetric =
    gauge("jeton_build_info", &["version"], "1, with the version of jeton.");
pub(super) const POLICIES_INFO: DeclaredMetric =
    gauge("jeton_policies_info", &["hash"], "1, with the content hash of the policies in force.");
pub(super) const POLICIES_LOADED: DeclaredMetric =
    gauge("jeton_policies_loaded_timestamp_seconds", &[], "When the policies in force were loaded.");
pub(super) const POLICIES_REJECTED: DeclaredMetric = gauge(
    "jeton_policies_rejected",
    &[],
    "1 while the policy files have errors and older policies are in force, else 0.",
);
pub(super) const BUNDLES_FETCHED: DeclaredMetric = counter(
    "jeton_bundles_fetched_total",
    &["api", "hash"],
    "Bundles that services fetched or found unchanged, of the policies in force and of those before.",
);
pub(super) const KEYS_REJECTED: DeclaredMetric = gauge(
    "jeton_keys_rejected",
    &[],
    "1 while the key folder has errors and older keys are in force, else 0.",
);
pub(super) const KEYS: DeclaredMetric = gauge(
    "jeton_keys",
    &["state", "alg"],
    "Keys in the key ring, by state (`next`, `active`, `retired`, `expired`) and algorithm.",
);
pub(super) const KEY_NEXT_CHANGE: DeclaredMetric = gauge(
    "jeton_key_next_change_timestamp_seconds",
    &[],
    "The next time at which a key changes its state or is due. In the past: a rotation is overdue. Absent: nothing is \
     planned.",
);
pub(super) const TLS_EXPIRY: DeclaredMetric = gauge(
    "jeton_tls_certificate_expiry_timestamp_seconds",
    &["listener"],
    "When the certificate of a listener with TLS expires.",
);
pub(super) const TLS_REJECTED: DeclaredMetric = gauge(
    "jeton_tls_rejected",
    &["listener"],
    "1 while the certificate or key file of a listener has errors and the older pair is in use, else 0.",
);
pub(super) const STORE_UP: DeclaredMetric = gauge(
    "jeton_store_up",
    &[],
    "1 while the shared store answers, else 0. Always 1 without a shared store.",
);
pub(super) const SECRET_LAST_USED: DeclaredMetric = gauge(
    "jeton_secret_last_used_timestamp_seconds",
    &["client", "secret"],
    "When a client last authenticated with this secret, since the start. `secret` is the first 8 hex digits of its \
     SHA-256.",
);

pub(super) const ISSUER_KEYS_AGE: DeclaredMetric = gauge(
    "jeton_issuer_keys_age_seconds",
    &["issuer"],
    "How long ago the keys of an issuer of the policies were fetched. At 86400 they do not count any more. Absent \
     before the first fetch, and for keys of a file.",
);

const fn counter(
    name: &'static str,
    labels: &'static [&'static str],
    meaning: &'static str,
) -> DeclaredMetric {
    declared(name, MetricKind::Counter, labels, meaning)
}

const fn gauge(name: &'static str, labels: &'static [&'static str], meaning: &'static str) -> DeclaredMetric {
    declared(name, MetricKind::Gauge, labels, meaning)
}

const fn declared(
    name: &'static str,
    kind: MetricKind,
    labels: &'static [&'static str],
    meaning: &'static str,
) -> DeclaredMetric {
    DeclaredMetric { name, kind, labels, meaning }
}

impl MetricKind {
    /// As the text format has it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Counter => "counter",
            Self::Gauge => "gauge",
            Self::Histogram => "histogram",
        }
    }
}

impl DeclaredMetric {
    /// As the library describes it.
    pub(super) fn desc(&self) -> Result<Desc, Error> {
        let labels = self.labels.iter().map(|label| (*label).to_owned()).collect();
        Desc::new(self.name.to_owned(), self.meaning.to_owned(), labels, std::collections::HashMap::new())
    }

    /// A counter or gauge with a value for each of these values of its labels.
    pub(super) fn family<L>(&self, samples: impl IntoIterator<Item = (L, f64)>) -> MetricFamily
    where
        L: IntoIterator<Item: Into<String>>,
    {
        let sample = |(values, number): (L, f64)| {
            let pair = |(name, value): (&&str, L::Item)| {
                let mut pair = LabelPair::default();
                pair.set_name((*name).to_owned());
                pair.set_value(value.into());
                pair
            };
            let mut metric = Metric::from_label(self.labels.iter().zip(values).map(pair).collect());
            if self.kind == MetricKind::Counter {
                let mut counter = Counter::default();
                counter.set_value(number);
                metric.set_counter(counter);
            } else {
                let mut gauge = Gauge::default();
                gauge.set_value(number);
                metric.set_gauge(gauge);
            }
            metric
        };
        let mut family = MetricFamily::default();
        family.set_name(self.name.to_owned());
        family.set_help(self.meaning.to_owned());
        family.set_field_type(match self.kind {
            MetricKind::Counter => MetricType::COUNTER,
            MetricKind::Gauge => MetricType::GAUGE,
            MetricKind::Histogram => MetricType::HISTOGRAM,
        });
        family.set_metric(samples.into_iter().map(sample).collect());
        family
    }

    /// As [`Self::family`], without labels.
    pub(super) fn value(&self, number: f64) -> MetricFamily {
        self.family([([""; 0], number)])
    }
}

/// A number as the format has it.
#[expect(
    clippy::cast_precision_loss,
    reason = "exact up to 2^53, and every number of the format is a double"
)]
pub(super) fn number(count: u64) -> f64 {
    count as f64
}
