//! The second flow: a token, a method and a path to a permit, or to the reason why not.

use std::{fmt, sync::Arc};

use crate::{
    audit::{Asked, Audit, Taken, reasons},
    oauth::{ApiName, ScopeSet},
    policy::{Decision, Denial, LivePolicies},
    principal::Principal,
    standing::{NotInForce, Standing},
    store::RevocationsUnknown,
    token::{BearerToken, TokenError, Verifier},
};

/// Decides the requests to one API.
#[derive(Clone)]
pub struct Authorizer {
    verifier: Verifier,
    policies: Arc<LivePolicies>,
    standing: Standing,
    api: ApiName,
    audit: Audit,
}

/// What is asked: a request as it was sent.
#[derive(Clone, Copy)]
pub struct AccessRequest<'r> {
    /// Its method.
    pub method: &'r str,
    /// Its target; what stands behind the first `?` is neither judged nor recorded.
    pub target: &'r str,
    /// The token that came with it.
    pub token: Option<&'r BearerToken>,
    /// Its name in the logs.
    pub id: Option<&'r dyn fmt::Display>,
}

/// A request that may pass. Made by [`Authorizer`] alone.
pub struct Permit {
    principal: Option<Principal>,
    rule: Arc<str>,
    reason: &'static str,
}

/// Why a request may not pass.
pub enum Denied {
    /// A token is needed and there is none.
    NoToken(NoToken),
    /// The token is bad.
    InvalidToken(TokenError),
    /// The token is good and not enough.
    NotAllowed(Box<NotAllowed>),
    /// Whether the token was revoked is not known yet; a fault of ours.
    Unavailable(RevocationsUnknown),
}

/// Why a request without a token may not pass: for the log.
pub struct NoToken {
    /// The stable name of the reason.
    pub reason: &'static str,
    /// The rule that decided, if one did.
    pub rule: Option<Arc<str>>,
    /// The reason in words.
    pub detail: String,
}

/// Why a good token is not enough: for the log, but for the scopes.
pub struct NotAllowed {
    /// The bearer.
    pub principal: Principal,
    /// The stable name of the reason.
    pub reason: &'static str,
    /// The rule that decided, if one did.
    pub rule: Option<Arc<str>>,
    /// The reason in words.
    pub detail: String,
    /// Scopes that would have been enough, where nothing else is missing.
    pub scopes_that_would_do: Option<ScopeSet>,
}

impl Authorizer {
    /// Decides for `api` by the policies in force, with tokens that `verifier` takes and that these policies
    /// do not revoke.
    pub fn new(verifier: Verifier, policies: Arc<LivePolicies>, api: ApiName) -> Self {
        Self { verifier, policies, standing: Standing::by_files(), api, audit: Audit::default() }
    }

    /// As the issuer knows which tokens are in force.
    #[must_use]
    pub fn with_standing(self, standing: Standing) -> Self {
        Self { standing, ..self }
    }

    /// Tells of each decision.
    #[must_use]
    pub fn with_audit(self, audit: Audit) -> Self {
        Self { audit, ..self }
    }

    /// Fetches a status list that was not there yet, so that the request can be decided again.
    pub async fn fetch_status_list(&self, uri: &str) {
        self.verifier.fetch_status_list(uri).await;
    }

    /// Whether [`Self::fetch_keys`] may find a key that is unknown.
    pub fn can_fetch_keys(&self) -> bool {
        self.verifier.can_fetch_keys()
    }

    /// Fetches the issuer's keys because a token names one that is unknown, so that the request can be decided
    /// again.
    pub async fn fetch_keys(&self) {
        self.verifier.fetch_keys().await;
    }

    /// Decides one request, by its method and target as they were sent. A token that is sent must verify,
    /// on a public route too. (actix's parser cuts a fragment off before anybody sees it.)
    ///
    /// # Errors
    /// [`Denied`], whatever went wrong.
    pub fn authorize(
        &self,
        method: &str,
        target: &str,
        token: Option<&BearerToken>,
    ) -> Result<Permit, Denied> {
        self.decide(&AccessRequest { method, target, token, id: None })
    }

    /// As [`Self::authorize`], for a request that has a name: decides, and [records](Self::record) the decision.
    ///
    /// # Errors
    /// As [`Self::authorize`].
    pub fn decide(&self, request: &AccessRequest<'_>) -> Result<Permit, Denied> {
        let decision = self.judge(request);
        self.record(request, decision.as_ref());
        decision
    }

    /// Tells the [`Audit`] of a decision: once for each request.
    pub fn record(&self, request: &AccessRequest<'_>, decision: Result<&Permit, &Denied>) {
        if self.audit.is_off() {
            return;
        }
        let principal = match decision {
            Ok(permit) => permit.principal(),
            Err(Denied::NotAllowed(not_allowed)) => Some(&not_allowed.principal),
            Err(Denied::NoToken(_) | Denied::InvalidToken(_) | Denied::Unavailable(_)) => None,
        };
        let asked = Asked {
            api: self.api.as_str(),
            method: request.method,
            path: Asked::path_of(request.target),
            bearer: principal.map(Into::into),
        };
        let (rule, reason, detail): (_, _, Option<&dyn fmt::Display>) = match decision {
            Ok(permit) => (Some(permit.rule()), permit.reason, None),
            Err(Denied::NoToken(NoToken { reason, rule, detail })) => {
                (rule.as_deref(), *reason, Some(detail))
            }
            Err(Denied::InvalidToken(error)) => (None, reasons::INVALID_TOKEN, Some(error)),
            Err(Denied::Unavailable(error)) => (None, reasons::UNAVAILABLE, Some(error)),
            Err(Denied::NotAllowed(denied)) => (denied.rule.as_deref(), denied.reason, Some(&denied.detail)),
        };
        self.audit.tell(&asked, &Taken { allowed: decision.is_ok(), rule, reason, detail }, request.id);
    }

    /// Decides without telling anybody: for whoever may ask once more for the same request, when a key or a list was
    /// fetched, and [records](Self::record) what comes of it in the end.
    ///
    /// # Errors
    /// As [`Self::authorize`].
    pub fn judge(&self, request: &AccessRequest<'_>) -> Result<Permit, Denied> {
        let AccessRequest { method, target, token, id: _ } = *request;
        let snapshot = self.policies.current();
        let Some(api) = snapshot.policies.api(self.api.as_str()) else {
            return Err(match token {
                None => Denied::NoToken(NoToken {
                    reason: reasons::NO_API,
                    rule: None,
                    detail: "the policies have no such API".to_owned(),
                }),
                Some(_) => Denied::InvalidToken(TokenError::Audience),
            });
        };
        let principal = match token {
            None => None,
            Some(token) => {
                let claims = self.verifier.verify(token, api.audience());
                let claims = self.standing.in_force(&snapshot.policies, claims);
                let claims = claims.map_err(|not_in_force| match not_in_force {
                    NotInForce::Ended(error) => Denied::InvalidToken(error),
                    NotInForce::Unknown(unknown) => Denied::Unavailable(unknown),
                })?;
                Some(Principal::from(claims))
            }
        };
        let subject = principal.as_ref().map(Principal::subject);
        match (api.decide(method, target, subject.as_ref()), principal) {
            (Decision::Allow { rule, grounds }, principal) => {
                Ok(Permit { principal, rule: rule.shared_name(), reason: reasons::of(grounds) })
            }
            (Decision::Deny(denial), None) => Err(Denied::NoToken(NoToken {
                reason: denial.reason(),
                rule: denial.rule().map(crate::policy::Rule::shared_name),
                detail: denial.to_string(),
            })),
            (Decision::Deny(denial), Some(principal)) => Err(Denied::NotAllowed(Box::new(NotAllowed {
                reason: denial.reason(),
                rule: denial.rule().map(crate::policy::Rule::shared_name),
                detail: denial.to_string(),
                scopes_that_would_do: match denial {
                    Denial::NotMet { scopes_that_would_do, .. } => scopes_that_would_do,
                    Denial::BadPath(_) | Denial::BadMethod | Denial::NoRoute | Denial::NoToken { .. } => None,
                },
                principal,
            }))),
        }
    }
}

impl Permit {
    /// The bearer; `None` on a public route that was asked without a token.
    pub fn principal(&self) -> Option<&Principal> {
        self.principal.as_ref()
    }

    /// The rule that allowed the request.
    pub fn rule(&self) -> &str {
        &self.rule
    }
}
