//! Everything that this replica serves, and what is wrong with it.

use std::{path::PathBuf, sync::Arc};

use jeton_oauth::{Issuer, clock::Clock};
use jeton_policy::{Finding, LivePolicies, PolicySnapshot, ProtectedApi};
use jeton_verify::audit::Audit;
use jiff::Timestamp;
use serde_json::{Value, json};

use super::{candidate, certificate, issuer, problems, rejection, store_status};
use crate::{
    app::App,
    federation::FollowedIssuers,
    keys::LiveKeys,
    store::Store,
    telemetry::{RATE_STEP, Rates},
    tls::{Certificates, LiveAuthorities},
};

/// How many warnings are listed, at most.
const MOST_WARNINGS: usize = 200;

/// What is told of a replica as a whole.
pub(crate) struct Overview {
    pub(super) policies: Arc<LivePolicies>,
    pub(super) keys: Arc<LiveKeys>,
    pub(super) audit: Audit,
    pub(super) store: Arc<Store>,
    pub(super) certificates: Certificates,
    pub(super) authorities: Option<Arc<LiveAuthorities>>,
    pub(super) issuers: Arc<FollowedIssuers>,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) dir: PathBuf,
    candidate_dir: Option<PathBuf>,
    issuer: Issuer,
    gateways: Vec<String>,
    /// As the settings have them.
    limits: Value,
    rates: Arc<Rates>,
    started_at: Timestamp,
}

impl Overview {
    /// Of a replica that starts now, whose counters `rates` notes.
    pub(crate) fn of(app: &App, rates: Arc<Rates>) -> Self {
        let limits = &app.settings.limits;
        Self {
            policies: Arc::clone(&app.policies),
            keys: Arc::clone(&app.keys),
            audit: app.audit.clone(),
            store: Arc::clone(&app.store),
            certificates: app.certificates.clone(),
            authorities: app.authorities.clone(),
            issuers: Arc::clone(&app.issuers),
            clock: Arc::clone(&app.clock),
            dir: app.settings.policies.dir.clone(),
            candidate_dir: app.settings.policies.candidate.clone(),
            issuer: app.settings.issuer.clone(),
            gateways: app.settings.gateways.iter().map(|gateway| gateway.name.to_string()).collect(),
            limits: json!({
                "tokens": limits.tokens.to_string(),
                "introspections": limits.introspections.to_string(),
                "failures": limits.failures.to_string(),
            }),
            rates,
            started_at: app.clock.now(),
        }
    }

    /// As it is now. Where many rules have just come into force, their warnings are looked for here, which takes a while.
    pub(crate) fn told(&self, is_draining: bool) -> Value {
        let (snapshot, ring) = (self.policies.snapshot(), self.keys.ring());
        let signing = ring.signing().kid();
        let algorithm = ring.keys().iter().find(|key| key.kid == *signing).map(|key| key.algorithm.name());
        let warnings = warnings(&snapshot);
        let issuers = self.issuers.states(snapshot.policies.issuers());
        json!({
            "version": env!("CARGO_PKG_VERSION"),
            "issuer": self.issuer.as_str(),
            "now": self.clock.now().to_string(),
            "started_at": self.started_at.to_string(),
            "problems": problems::of(self, &snapshot, &warnings, &issuers, is_draining),
            "signing": { "kid": signing, "alg": algorithm },
            "next_key_change": self.keys.next_change().map(|at| at.to_string()),
            "policies": self.policies_told(&snapshot, &warnings),
            "candidate": self.candidate_told(),
            "store": { "status": store_status(self.store.state()) },
            "tls": self.certificates.iter().map(|it| {
                with(certificate(it), "listener", it.listener().as_str())
            }).collect::<Vec<_>>(),
            "issuers": issuers.iter().map(issuer).collect::<Vec<_>>(),
            "gateways": self.gateways,
            "limits": self.limits,
            "rates": self.rates_told(),
        })
    }

    fn policies_told(&self, snapshot: &PolicySnapshot, warnings: &[Finding]) -> Value {
        let set = &snapshot.policies;
        json!({
            "hash": set.hash(),
            "dir": self.dir.display().to_string(),
            "loaded_at": snapshot.loaded_at.to_string(),
            "apis": set.apis().len(),
            "clients": set.clients().len(),
            "rules": set.rule_count(),
            "routes": set.apis().values().map(ProtectedApi::route_count).sum::<usize>(),
            "warnings": warnings.get(..MOST_WARNINGS).unwrap_or(warnings),
            "warnings_left_off": warnings.len().saturating_sub(MOST_WARNINGS),
            "last_rejection": self.policies.last_rejection().map(|it| rejection(&it)),
        })
    }

    fn candidate_told(&self) -> Option<Value> {
        let (shadow, dir) = self.audit.shadow().zip(self.candidate_dir.as_ref())?;
        Some(with(candidate(shadow), "dir", &dir.display().to_string()))
    }

    /// What was counted in each of the last steps, by what it is.
    fn rates_told(&self) -> Value {
        let noted = self.rates.noted();
        let names = noted.steps.last().copied().unwrap_or_default().named();
        let series = names.iter().enumerate().map(|(place, (name, _))| {
            let counted =
                noted.steps.iter().map(|step| step.named().get(place).map_or(0, |(_, count)| *count));
            json!({ "name": name, "per_step": counted.collect::<Vec<_>>() })
        });
        json!({
            "step_seconds": RATE_STEP,
            "until": noted.until.to_string(),
            "series": series.collect::<Vec<_>>(),
        })
    }
}

/// An object with one member more.
fn with(mut object: Value, name: &str, text: &str) -> Value {
    if let Some(members) = object.as_object_mut() {
        members.insert(name.to_owned(), Value::from(text));
    }
    object
}

/// What an operator should look at by now.
fn warnings(snapshot: &PolicySnapshot) -> Vec<Finding> {
    // those of files that are passed over are as of the last look, the others as of the time of loading
    let of_policies = snapshot.policies.warnings().0.iter().filter(|it| !it.is_of_passed_over_file());
    of_policies.chain(snapshot.passed_over().iter()).cloned().collect()
}
