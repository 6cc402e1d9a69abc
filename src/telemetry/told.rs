//! What happened, told once: to the log and to the metrics.
//!
//! An event that is counted has its method here, and stands nowhere else in the code. So nobody can log it and
//! forget to count it, and no log level changes a count.

use std::{error::Error, fmt::Display, sync::Arc};

use jeton_oauth::{ClientId, Confirmation, ErrorCode, GrantType};
use jeton_policy::PolicySet;
use jeton_verify::audit::{Audit, DecisionOutcome};
use tracing::{Level, field::display};

use super::{
    denials::{Denials, RefusedQuestion},
    metrics::{ClientLabel, Metrics, MetricsError, ObservedState, grant_label},
};
use crate::{
    event::{
        GatewayRequestDenied, IntrospectionActive, IntrospectionInactive, TokenFailed, TokenIssued,
        TokenRefused,
    },
    gateway::GatewayName,
    introspect::Introspection,
    issue::IssuedToken,
    limits::LimitName,
};

/// Tells the log and the metrics what happened.
pub struct Telemetry {
    metrics: Arc<Metrics>,
    state: Arc<ObservedState>,
    denials: Option<Arc<Denials>>,
}

/// Why a client does not get what it asks for.
pub(crate) struct ClientRefusal<'r> {
    /// What the client is told.
    pub(crate) code: ErrorCode,
    /// The limit that it is over, if that is why.
    pub(crate) limit: Option<LimitName>,
    /// Why.
    pub(crate) detail: &'r str,
    /// The client, where it is known.
    pub(crate) client: Option<&'r ClientId>,
    /// The id that the request names, where no client has it.
    pub(crate) attempted: Option<&'r str>,
}

/// A request for a token, as far as it was understood.
#[derive(Clone, Copy)]
pub(crate) struct TokenAttempt<'r> {
    /// Where it is told what comes of it.
    pub(crate) telemetry: &'r Telemetry,
    /// The grant type, if it is one of ours.
    pub(crate) grant: Option<GrantType>,
    /// The id that the request names, whether a client has it or not.
    pub(crate) claimed: Option<&'r str>,
}

impl<'r> ClientRefusal<'r> {
    /// Of a client that is not known.
    pub(crate) fn of(code: ErrorCode, detail: &'r str) -> Self {
        Self { code, limit: None, detail, client: None, attempted: None }
    }

    /// As [`Self::of`], by a limit.
    pub(crate) fn of_limit(limit: LimitName, detail: &'r str) -> Self {
        Self { limit: Some(limit), ..Self::of(ErrorCode::TemporarilyUnavailable, detail) }
    }

    /// What the log says of it in a word: what the client is told, unless that is not the whole reason.
    pub(crate) fn reason(&self) -> &'static str {
        if self.limit.is_some() { "rate_limited" } else { self.code.as_str() }
    }
}

impl Telemetry {
    /// Counts in `metrics`, which also show this state from now on.
    ///
    /// # Errors
    /// [`MetricsError`].
    pub fn new(metrics: Arc<Metrics>, state: ObservedState) -> Result<Self, MetricsError> {
        let state = Arc::new(state);
        metrics.observe(Arc::clone(&state))?;
        Ok(Self { metrics, state, denials: None })
    }

    /// Also keeps here what gateways are refused without a decision.
    #[must_use]
    pub(crate) fn with_denials(self, denials: Option<Arc<Denials>>) -> Self {
        Self { denials, ..self }
    }

    /// Who is told of the decisions that this gateway asks for, or of those about jeton's own API: `audit`, and what keeps
    /// the denied ones, if they are kept.
    pub(crate) fn audit_of(&self, gateway: Option<&GatewayName>, audit: &Audit) -> Audit {
        match &self.denials {
            Some(denials) => audit.clone().with_listener(denials.of(gateway)),
            None => audit.clone(),
        }
    }

    /// The last denied decisions, if they are kept.
    pub(crate) fn denials(&self) -> Option<&Arc<Denials>> {
        self.denials.as_ref()
    }

    /// The metrics, for what no event is about.
    pub fn metrics(&self) -> &Arc<Metrics> {
        &self.metrics
    }

    /// A client got a token with these scopes.
    pub(crate) fn token_issued(&self, grant: GrantType, issued: &IssuedToken, scopes: &str) {
        let foreign = issued.foreign.as_ref();
        TokenIssued {
            jti: issued.token_id.as_str(),
            client: issued.client.as_str(),
            subject: issued.subject.as_ref().map(ClientId::as_str),
            grant: (grant != GrantType::ClientCredentials).then(|| grant_label(Some(grant))),
            api: issued.api.as_str(),
            scopes,
            ttl: issued.expires_in,
            kid: issued.kid.as_str(),
            bound_to: issued.bound_to.and_then(bound_to),
            reused: issued.is_reused.then_some(true),
            issuer: foreign.map(|foreign| foreign.issuer.as_str()),
            foreign_sub: foreign.and_then(|foreign| foreign.subject.as_deref()),
            foreign_jti: foreign.and_then(|foreign| foreign.token_id.as_deref()),
        }
        .info();
        self.count(Some(issued.client.as_str()), |metrics, client| {
            if issued.is_reused {
                metrics.token_reused(client, &issued.api);
            } else {
                metrics.token_issued(grant, client, &issued.api);
            }
        });
    }

    /// A client was told whether a token is in force.
    pub(crate) fn introspected(&self, caller: &ClientId, answer: &Introspection) {
        let is_active = match answer {
            Introspection::Inactive { reason } => {
                IntrospectionInactive { caller: caller.as_str(), reason }.info();
                false
            }
            Introspection::AccessToken(_) | Introspection::RefreshToken(_) => {
                IntrospectionActive { caller: caller.as_str() }.debug();
                true
            }
        };
        self.count(Some(caller.as_str()), |metrics, client| metrics.introspected(client, is_active));
    }

    /// A gateway got an answer; `None` is one that the settings do not know.
    pub(crate) fn gateway_answered(&self, gateway: Option<&GatewayName>, outcome: DecisionOutcome) {
        self.metrics.gateway_answered(gateway, outcome);
    }

    /// A gateway's request was refused without a decision; `id` is the request's.
    pub(crate) fn gateway_refused(
        &self,
        level: Level,
        refused: &RefusedQuestion<'_>,
        id: Option<&dyn Display>,
    ) {
        let RefusedQuestion { gateway, method, path, host, reason, detail } = *refused;
        let event = GatewayRequestDenied { gateway, method, path, host, reason, detail };
        match level {
            Level::WARN => event.warn(),
            _ => event.info(),
        }
        self.keep_refused(refused, id);
    }

    /// As [`Self::gateway_refused`], where the log has it already.
    pub(crate) fn keep_refused(&self, refused: &RefusedQuestion<'_>, id: Option<&dyn Display>) {
        if let Some(denials) = &self.denials {
            denials.keep_refused(refused, id);
        }
    }

    /// A request of the client of this id, if one has it, was answered 429.
    pub(crate) fn rate_limited(&self, claimed: Option<&str>, limit: LimitName) {
        self.count(claimed, |metrics, client| metrics.rate_limited(client, limit));
    }

    /// Forgets what is only about names that neither of these policies has. What left the files with the last
    /// change can still be scraped.
    pub(crate) fn policies_replaced(&self, before: &PolicySet, after: &PolicySet) {
        self.metrics.keep_names_of(&[before, after]);
        self.state.secret_uses.keep_secrets_of(after.clients());
    }

    /// Counts something about the client of this id, by the policies in force.
    fn count(&self, id: Option<&str>, count: impl FnOnce(&Metrics, ClientLabel<'_>)) {
        let snapshot = self.state.policies.current();
        count(&self.metrics, ClientLabel::among(snapshot.policies.clients(), id));
    }
}

/// To what a token is bound, in a word of the log.
fn bound_to(confirmation: Confirmation) -> Option<&'static str> {
    match (confirmation.jkt(), confirmation.x5t_s256()) {
        (Some(_), None) => Some("dpop"),
        (None, Some(_)) => Some("certificate"),
        (Some(_), Some(_)) => Some("dpop certificate"),
        (None, None) => None,
    }
}

impl TokenAttempt<'_> {
    /// It was refused.
    pub(crate) fn refused(&self, level: Level, refusal: &ClientRefusal<'_>) {
        let ClientRefusal { code, detail, client, attempted, .. } = *refusal;
        let client = client.map(ClientId::as_str);
        let grant = self.grant.map(|grant| grant_label(Some(grant)));
        let event = TokenRefused { reason: refusal.reason(), detail, grant, client, attempted };
        match level {
            Level::ERROR => event.error(),
            Level::WARN => event.warn(),
            _ => event.info(),
        }
        self.count_error(code, client);
    }

    /// The token could not be signed.
    pub(crate) fn failed(&self, error: &dyn Error) {
        TokenFailed { error: display(error) }.error();
        self.count_error(ErrorCode::ServerError, None);
    }

    fn count_error(&self, code: ErrorCode, client: Option<&str>) {
        self.telemetry.count(client.or(self.claimed), |metrics, client| {
            metrics.token_request_refused(self.grant, code, client);
        });
    }
}
