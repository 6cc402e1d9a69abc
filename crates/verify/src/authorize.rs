//! The second flow: a token, a method and a path to a permit, or to the reason why not.

mod explain;
mod route;

use std::{fmt, sync::Arc};

use jeton_jose::JwsError;
use jeton_oauth::{ApiName, ClientId, MetadataAddress, ScopeSet};
use jeton_policy::{BadPath, Decision, Denial, PolicySet, ProtectedApi};

pub use explain::{ExplainedAsker, ExplainedRequest, NoAnswer};

use crate::{
    audit::{Audit, AuditedRequest, DecisionOutcome, TakenDecision, reasons},
    bundle::PoliciesUnknown,
    event,
    fetch::FollowTask,
    policies::{PolicySource, Unavailable},
    possession::{Origin, Possession, PossessionFault, PresentedToken, SeenProofs, Shown},
    principal::Principal,
    resource::{NoMetadata, ResourceMetadata},
    standing::{NotInForce, Standing},
    status::StatusError,
    token::{BearerToken, TokenError, TokenScheme, Verifier},
};

/// Decides the requests to one API.
#[derive(Clone)]
pub struct Authorizer {
    verifier: Verifier,
    policies: PolicySource,
    standing: Standing,
    possession: Possession,
    api: ApiName,
    audit: Audit,
    /// What follows keys, policies and lists. It ends with the last clone.
    _tasks: Option<Arc<[FollowTask]>>,
}

/// What is asked: a request as it was sent.
#[derive(Clone, Copy)]
pub struct AccessRequest<'r> {
    /// Its method.
    pub method: &'r str,
    /// Its target below the prefix of the API, or why it has none that can be judged. What stands behind the first
    /// `?` is neither judged nor recorded.
    pub target: Result<&'r str, BadPath>,
    /// The token that came with it.
    pub token: Option<&'r BearerToken>,
    /// What it shows beside the token.
    pub shown: Shown<'r>,
    /// Its name in the logs.
    pub id: Option<&'r (dyn fmt::Display + Sync)>,
}

/// A request that may pass. Made by [`Authorizer`] alone.
pub struct Permit {
    principal: Option<Principal>,
    schemes: &'static [TokenScheme],
    rule: Arc<str>,
    reason: &'static str,
}

/// What must be in memory for a token to be judged, and is not.
enum Missing {
    /// The public key that its header names.
    Key,
    /// The status list to which it points.
    List(Arc<str>),
    /// Policies.
    Policies,
}

/// Why a request may not pass.
pub enum Denied {
    /// The rule needs a token, and the request has no token.
    NoToken(NoToken),
    /// The token is bad, which came by this scheme.
    InvalidToken(TokenError, TokenScheme),
    /// The token is good, and the request does not show that it is its bearer's.
    NotHeld(PossessionFault),
    /// The token is good, but lacks something that the rule requires.
    NotAllowed(Box<NotAllowed>),
    /// Nobody knows now whether it may. The fault is on this side.
    Unavailable(Unavailable),
}

/// Why a request without a token may not pass: for the log.
pub struct NoToken {
    /// The stable name of the reason.
    pub reason: &'static str,
    /// The rule that decided, if one did.
    pub rule: Option<Arc<str>>,
    /// The reason in words.
    pub detail: String,
    /// The schemes by which a token may come.
    pub schemes: &'static [TokenScheme],
}

/// What a good token lacks. For the log, except the scopes.
pub struct NotAllowed {
    /// The bearer.
    pub principal: Principal,
    /// The scheme by which the token came.
    pub scheme: TokenScheme,
    /// The stable name of the reason.
    pub reason: &'static str,
    /// The rule that decided, if one did.
    pub rule: Option<Arc<str>>,
    /// The reason in words.
    pub detail: String,
    /// The missing scopes, if nothing else is missing.
    pub scopes_that_would_do: Option<ScopeSet>,
}

impl Authorizer {
    /// Decides for `api` by the policies in force, with tokens that `verifier` takes and that these policies
    /// do not revoke.
    pub fn new(verifier: Verifier, policies: impl Into<PolicySource>, api: ApiName) -> Self {
        let (standing, possession, audit) = (Standing::by_files(), Possession::default(), Audit::default());
        Self { verifier, policies: policies.into(), standing, possession, api, audit, _tasks: None }
    }

    /// With tasks that end when it is let go of.
    pub(crate) fn with_tasks(self, tasks: Vec<FollowTask>) -> Self {
        Self { _tasks: Some(tasks.into()), ..self }
    }

    /// Where the policies come from.
    pub fn policies(&self) -> &PolicySource {
        &self.policies
    }

    /// Decides in the same way for another API, which has an origin of its own: [`Self::with_origin`]. Proofs are remembered
    /// in the same memory.
    #[must_use]
    pub fn for_api(&self, api: ApiName) -> Self {
        Self { api, possession: self.possession.of_another_api(), ..self.clone() }
    }

    /// As the issuer knows which tokens are in force.
    #[must_use]
    pub fn with_standing(self, standing: Standing) -> Self {
        Self { standing, ..self }
    }

    /// Takes tokens that are bound to a key too (RFC 9449), whose proofs must be for this origin: scheme, host and port by
    /// which clients reach the API. Without one, no such token is taken.
    ///
    /// Each proof is good once: clones share one memory of the proofs that were used, of the usual size and under the
    /// audience of the API, unless [`Self::with_seen_proofs`] says something else. So make one authorizer for the process,
    /// and a clone for each of its threads.
    #[must_use]
    pub fn with_origin(self, origin: Origin) -> Self {
        Self { possession: self.possession.with_origin(origin), ..self }
    }

    /// Remembers the proofs that were used here, under this name. Where one client asks several guards with one proof, as
    /// a gateway and the service behind it, each needs a name of its own.
    #[must_use]
    pub fn with_seen_proofs(self, seen: Arc<SeenProofs>, namespace: impl Into<Arc<str>>) -> Self {
        Self { possession: self.possession.with_seen_proofs(seen, namespace.into()), ..self }
    }

    /// As [`Self::with_seen_proofs`], in the memory that it has already.
    #[must_use]
    pub fn remembering_proofs_as(self, namespace: impl Into<Arc<str>>) -> Self {
        Self { possession: self.possession.named(namespace.into()), ..self }
    }

    /// Tells of each decision.
    #[must_use]
    pub fn with_audit(self, audit: Audit) -> Self {
        Self { audit, ..self }
    }

    /// The metadata of the API, by the policies in force (RFC 9728).
    ///
    /// # Errors
    /// [`NoMetadata`] where the policies do not name the API, or its audience is not its address, or they are not known
    /// yet.
    pub fn resource_metadata(&self) -> Result<ResourceMetadata, NoMetadata> {
        self.policies.ask(|policies| {
            let api = policies.api(self.api.as_str());
            let api = api.ok_or_else(|| NoMetadata::NoApi(self.api.clone()))?;
            let metadata = ResourceMetadata::of(api, self.verifier.issuer())?;
            Ok(if self.possession.takes_proofs() { metadata.with_dpop(api) } else { metadata })
        })?
    }

    /// The address of the API's metadata, for challenges. `None` if its audience is not an address.
    pub fn metadata_address(&self) -> Option<MetadataAddress> {
        let address =
            |policies: &PolicySet| MetadataAddress::of(policies.api(self.api.as_str())?.audience()).ok();
        self.policies.ask(address).ok().flatten()
    }

    /// Decides one request, by its method and target as they were sent. A token that is sent must verify,
    /// on a public route too. (actix's parser cuts a fragment off before anybody sees it.)
    ///
    /// Almost every request is decided at once, from memory. Only the first token of a key or of a status list waits
    /// until that was fetched.
    ///
    /// # Errors
    /// [`Denied`], whatever went wrong.
    pub async fn authorize(
        &self,
        method: &str,
        target: &str,
        token: Option<&BearerToken>,
    ) -> Result<Permit, Denied> {
        let shown = Shown::default();
        self.decide(&AccessRequest { method, target: Ok(target), token, shown, id: None }).await
    }

    /// As [`Self::authorize`], for a request that has a name, or no target that can be judged. The [`Audit`] is told
    /// once.
    ///
    /// The future may move between threads, as axum and tower want it:
    ///
    /// ```
    /// # use jeton_verify::{AccessRequest, Authorizer};
    /// fn is_send(authorizer: &Authorizer, request: &AccessRequest<'_>) -> impl Send {
    ///     authorizer.decide(request)
    /// }
    /// ```
    ///
    /// # Errors
    /// As [`Self::authorize`].
    pub async fn decide(&self, request: &AccessRequest<'_>) -> Result<Permit, Denied> {
        let mut decision = self.judge(request);
        let mut fetched = None;
        while let Err(denied) = &decision
            && let Some(missing) = self.missing_for(denied, fetched.as_ref())
        {
            self.fetch(&missing).await;
            fetched = Some(missing);
            decision = self.judge(request);
        }
        self.record(request, decision.as_ref());
        decision
    }

    /// What is to be fetched before a request that was denied can be judged. Policies come first.
    fn missing_for(&self, denied: &Denied, fetched: Option<&Missing>) -> Option<Missing> {
        match (denied, fetched) {
            (Denied::Unavailable(Unavailable::Policies(_)), None) => Some(Missing::Policies),
            (Denied::InvalidToken(error, _), fetched) => self.missing(error, fetched),
            _ => None,
        }
    }

    /// What is to be fetched before a token that was not taken can be judged. Nothing is fetched twice for one
    /// request; but a token whose key is new may point to a list that is new.
    fn missing(&self, error: &TokenError, fetched: Option<&Missing>) -> Option<Missing> {
        match (error, fetched) {
            (TokenError::Jws(JwsError::UnknownKey), None | Some(Missing::Policies))
                if self.verifier.can_fetch_keys() =>
            {
                Some(Missing::Key)
            }
            (
                TokenError::Status(StatusError::Unknown(uri)),
                None | Some(Missing::Policies | Missing::Key),
            ) => Some(Missing::List(Arc::clone(uri))),
            _ => None,
        }
    }

    async fn fetch(&self, missing: &Missing) {
        match missing {
            Missing::Key => self.verifier.fetch_keys().await,
            Missing::List(uri) => self.verifier.fetch_status_list(uri).await,
            Missing::Policies => self.policies.fetch_unknown().await,
        }
    }

    fn record(&self, request: &AccessRequest<'_>, decision: Result<&Permit, &Denied>) {
        let principal = match decision {
            Ok(permit) => permit.principal(),
            Err(Denied::NotAllowed(not_allowed)) => Some(&not_allowed.principal),
            Err(
                Denied::NoToken(_) | Denied::InvalidToken(..) | Denied::NotHeld(_) | Denied::Unavailable(_),
            ) => None,
        };
        let (outcome, rule) = match decision {
            Ok(permit) => (DecisionOutcome::Allowed, Some(permit.rule())),
            Err(Denied::NoToken(NoToken { rule, .. })) => (DecisionOutcome::Unauthenticated, rule.as_deref()),
            Err(Denied::InvalidToken(..) | Denied::NotHeld(_)) => (DecisionOutcome::Unauthenticated, None),
            Err(Denied::Unavailable(_)) => (DecisionOutcome::Denied, None),
            Err(Denied::NotAllowed(denied)) => (DecisionOutcome::Denied, denied.rule.as_deref()),
        };
        let reason = decision.map_or_else(Denied::reason, Permit::reason);
        let client = principal.and_then(Principal::client).map(ClientId::as_str);
        event::DecisionTaken { api: self.api.as_str(), rule, client, outcome: outcome.as_str() }.trace();
        if self.audit.is_off() {
            return;
        }
        let asked = AuditedRequest {
            api: self.api.as_str(),
            method: request.method,
            path: request.target.map_or("", AuditedRequest::path_of),
            bearer: principal.map(Into::into),
        };
        let detail: Option<&dyn fmt::Display> = match decision {
            Ok(_) => None,
            Err(Denied::NoToken(NoToken { detail, .. })) => Some(detail),
            Err(Denied::InvalidToken(error, _)) => Some(error),
            Err(Denied::NotHeld(fault)) => Some(fault),
            Err(Denied::Unavailable(error)) => Some(error),
            Err(Denied::NotAllowed(denied)) => Some(&denied.detail),
        };
        let taken = TakenDecision { outcome, rule, reason, detail };
        self.audit.tell(&asked, &taken, request.id.map(|id| -> &dyn fmt::Display { id }));
    }

    /// Who bears a token, by what is in memory. A proof is looked at last, and remembered only where all else is right:
    /// whoever has no good token of this key cannot fill the memory.
    fn bearer(
        &self,
        policies: &PolicySet,
        api: &ProtectedApi,
        token: &BearerToken,
        request: &AccessRequest<'_>,
    ) -> Result<Principal, Denied> {
        let claims = self.standing.verify(&self.verifier, policies, token, api.audience());
        let claims = claims.map_err(|not_in_force| match not_in_force {
            NotInForce::Ended(error) => Denied::InvalidToken(error, token.scheme()),
            NotInForce::Unknown(unknown) => Denied::Unavailable(unknown.into()),
        })?;
        let presented = PresentedToken {
            token,
            method: request.method,
            path: request.shown.path.or(request.target.ok()),
            shown: request.shown,
            audience: api.audience(),
            must_be_bound: api.bound_tokens(),
            verifier: &self.verifier,
        };
        Ok(self.possession.show(claims, &presented).map_err(Denied::NotHeld)?.into())
    }

    /// The schemes by which a token may come to an API, as a challenge names them.
    fn schemes(&self, must_be_bound: bool) -> &'static [TokenScheme] {
        if must_be_bound && self.possession.takes_proofs() {
            &TokenScheme::ALL
        } else {
            &[TokenScheme::Bearer]
        }
    }

    /// Decides by what is in memory, without telling anybody.
    fn judge(&self, request: &AccessRequest<'_>) -> Result<Permit, Denied> {
        let unknown = |unknown: PoliciesUnknown| Denied::Unavailable(unknown.into());
        self.policies.ask(|policies| self.judge_by(policies, request)).map_err(unknown)?
    }

    fn judge_by(&self, policies: &PolicySet, request: &AccessRequest<'_>) -> Result<Permit, Denied> {
        let AccessRequest { method, target, token, shown: _, id: _ } = *request;
        let Some(api) = policies.api(self.api.as_str()) else {
            return Err(match token {
                None => Denied::NoToken(NoToken {
                    reason: reasons::NO_API,
                    rule: None,
                    detail: "the policies have no such API".to_owned(),
                    schemes: &[TokenScheme::Bearer],
                }),
                Some(token) => Denied::InvalidToken(TokenError::Audience, token.scheme()),
            });
        };
        let schemes = self.schemes(api.bound_tokens());
        let bearer = match token {
            None => None,
            Some(token) => Some((self.bearer(policies, api, token, request)?, token.scheme())),
        };
        let subject = bearer.as_ref().map(|(principal, _)| principal.subject());
        let decision = match target {
            Ok(target) => api.decide(method, target, subject.as_ref()),
            Err(bad) => Decision::Deny(Denial::BadPath(bad)),
        };
        match (decision, bearer) {
            (Decision::Allow { rule, grounds }, bearer) => Ok(Permit {
                principal: bearer.map(|(principal, _)| principal),
                schemes,
                rule: rule.shared_name(),
                reason: reasons::of(grounds),
            }),
            (Decision::Deny(denial), None) => Err(Denied::NoToken(NoToken {
                reason: denial.reason(),
                rule: denial.rule().map(jeton_policy::PolicyRule::shared_name),
                detail: denial.to_string(),
                schemes,
            })),
            (Decision::Deny(denial), Some((principal, scheme))) => {
                Err(Denied::NotAllowed(Box::new(NotAllowed {
                    reason: denial.reason(),
                    rule: denial.rule().map(jeton_policy::PolicyRule::shared_name),
                    detail: denial.to_string(),
                    scopes_that_would_do: match denial {
                        Denial::NotMet { scopes_that_would_do, .. } => scopes_that_would_do,
                        Denial::BadPath(_) | Denial::BadMethod | Denial::NoRoute | Denial::NoToken { .. } => {
                            None
                        }
                    },
                    principal,
                    scheme,
                })))
            }
        }
    }
}

impl Permit {
    /// The bearer; `None` on a public route that was asked without a token.
    pub fn principal(&self) -> Option<&Principal> {
        self.principal.as_ref()
    }

    /// As [`Self::principal`], of its own.
    pub fn into_principal(self) -> Option<Principal> {
        self.principal
    }

    /// The schemes by which a token may come, for whoever needs one behind a public rule.
    pub fn schemes(&self) -> &'static [TokenScheme] {
        self.schemes
    }

    /// The rule that allowed the request.
    pub fn rule(&self) -> &str {
        &self.rule
    }

    /// As [`Self::rule`], to be kept.
    pub fn shared_rule(&self) -> Arc<str> {
        Arc::clone(&self.rule)
    }

    /// The stable name of what allowed it.
    pub fn reason(&self) -> &'static str {
        self.reason
    }
}

impl Denied {
    /// The stable name of the reason.
    pub fn reason(&self) -> &'static str {
        match self {
            Self::NoToken(no_token) => no_token.reason,
            Self::InvalidToken(..) => reasons::INVALID_TOKEN,
            Self::NotHeld(fault) => fault.reason(),
            Self::NotAllowed(not_allowed) => not_allowed.reason,
            Self::Unavailable(Unavailable::Revocations(_)) => reasons::UNAVAILABLE,
            Self::Unavailable(Unavailable::Policies(_)) => reasons::NO_POLICIES,
        }
    }
}
