//! The second flow: a token, a method and a path to a permit, or to the reason why not.

use std::sync::Arc;

use crate::{
    oauth::{ApiName, ScopeSet},
    policy::{Decision, Denial, LivePolicies},
    principal::Principal,
    revocations::RevocationsUnknown,
    standing::{NotInForce, Standing},
    token::{BearerToken, TokenError, Verifier},
};

/// Decides the requests to one API.
#[derive(Clone)]
pub struct Authorizer {
    verifier: Verifier,
    policies: Arc<LivePolicies>,
    standing: Standing,
    api: ApiName,
}

/// A request that may pass. Made by [`Authorizer::authorize`] alone.
pub struct Permit {
    principal: Option<Principal>,
    rule: Arc<str>,
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
        Self { verifier, policies, standing: Standing::by_files(), api }
    }

    /// As the issuer knows which tokens are in force.
    #[must_use]
    pub fn with_standing(self, standing: Standing) -> Self {
        Self { standing, ..self }
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
        let snapshot = self.policies.current();
        let Some(api) = snapshot.policies.api(self.api.as_str()) else {
            return Err(match token {
                None => Denied::NoToken(NoToken { reason: "no-api", rule: None }),
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
            (Decision::Allow { rule, .. }, principal) => Ok(Permit { principal, rule: rule.shared_name() }),
            (Decision::Deny(denial), None) => Err(Denied::NoToken(NoToken {
                reason: denial.reason(),
                rule: denial.rule().map(crate::policy::Rule::shared_name),
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
