//! Introspection (RFC 7662): whether a token is in force, for services that ask instead of checking offline.

use std::sync::Arc;

use jeton_oauth::{ClientId, clock::Clock};
use jeton_policy::{LivePolicies, PolicySet, clients::IntrospectedApis};
use jeton_verify::{
    BearerToken, InForce, NotInForce, PossessionFault, RevocationsUnknown, Standing, TokenError,
    VerifiedClaims, Verifier,
};

use crate::{
    authenticate::{AuthenticationError, Authenticator, ClientCredentials},
    binding::ProvenBinding,
    limits::{Limits, RateLimited},
    token::VerifiedRefresh,
};

/// Answers whether tokens are in force. Asks no network, but to find an assertion that is used again.
pub struct Introspector {
    /// Lets clients in.
    pub authenticator: Arc<Authenticator>,
    /// How often they may ask.
    pub limits: Arc<Limits>,
    /// The clients, and what the files revoke.
    pub policies: Arc<LivePolicies>,
    /// Opens tokens.
    pub verifier: Verifier,
    /// Tells which of them are in force.
    pub standing: Standing,
    /// What time it is.
    pub clock: Arc<dyn Clock>,
}

/// What a token is.
pub enum Introspection {
    /// Not in force, whatever the reason (RFC 7662 section 2.2).
    Inactive {
        /// Why: for the log alone.
        reason: String,
    },
    /// An access token in force.
    AccessToken(Box<InForce<VerifiedClaims>>),
    /// A refresh token in force, which the client that asks holds itself. For everybody else it is not a token
    /// that means anything.
    RefreshToken(InForce<VerifiedRefresh>),
}

/// Why nothing was answered.
#[derive(Debug, thiserror::Error)]
pub enum IntrospectionRefused {
    /// The client did not show who it is.
    #[error(transparent)]
    Unauthenticated(AuthenticationError),
    /// The client asks more often than it may.
    #[error("{limited}")]
    RateLimited {
        /// The client.
        client: ClientId,
        /// How often it may, and when again.
        limited: RateLimited,
    },
    /// The client has no `introspect`.
    #[error("this client may not introspect tokens: it needs `introspect: [API]` in the policies")]
    NotForThisClient(ClientId),
    /// What was revoked is not known yet; a fault of ours.
    #[error(transparent)]
    Unavailable(RevocationsUnknown),
}

impl Introspector {
    /// Whether `token` is in force, for a client with `introspect`. One for an API that the client may not ask about is
    /// told as one that is not, and so is an unbound one that its API does not take.
    ///
    /// # Errors
    /// [`IntrospectionRefused`].
    pub async fn introspect(
        &self,
        credentials: &ClientCredentials,
        proven: &ProvenBinding,
        token: &BearerToken,
    ) -> Result<(ClientId, Introspection), IntrospectionRefused> {
        let snapshot = self.policies.snapshot();
        let policies = &snapshot.policies;
        let now = self.clock.now();
        let client = self.authenticator.authenticate(policies, credentials, proven, now).await;
        let client = client.map_err(IntrospectionRefused::Unauthenticated)?;
        let client = client.client();
        self.limits
            .count_introspection(&client.id)
            .map_err(|limited| IntrospectionRefused::RateLimited { client: client.id.clone(), limited })?;
        if client.abilities.introspect == IntrospectedApis::None {
            return Err(IntrospectionRefused::NotForThisClient(client.id.clone()));
        }
        let now = now.as_second();
        let standing = match self.verifier.verify_for_any(token) {
            // the leeway is for clocks that differ, and this one is the clock that set `exp`
            Ok(claims) if claims.expires_at() <= now => Err(NotInForce::Ended(TokenError::Expired)),
            Ok(claims) if !may_ask(&client.abilities.introspect, policies, &claims) => {
                Err(NotInForce::Ended(TokenError::Audience))
            }
            Ok(claims) if is_taken_nowhere(policies, &claims) => {
                Ok(Introspection::Inactive { reason: PossessionFault::NotBound.to_string() })
            }
            Ok(claims) => {
                let in_force = self.standing.in_force(policies, claims);
                in_force.map(|claims| Introspection::AccessToken(Box::new(claims)))
            }
            Err(error) => match VerifiedRefresh::verify(&self.verifier, token) {
                Ok(refresh) if *refresh.client() == client.id && now < refresh.expires_at() => {
                    let in_force = self.standing.in_force(policies, refresh);
                    in_force.map(Introspection::RefreshToken)
                }
                _ => Err(NotInForce::Ended(error)),
            },
        };
        let answer = match standing {
            Ok(answer) => answer,
            Err(NotInForce::Ended(error)) => Introspection::Inactive { reason: error.to_string() },
            Err(NotInForce::Unknown(unknown)) => return Err(IntrospectionRefused::Unavailable(unknown)),
        };
        Ok((client.id.clone(), answer))
    }
}

/// Whether the token is not bound, and is for APIs that take bound tokens alone by the policies in force.
fn is_taken_nowhere(policies: &PolicySet, claims: &VerifiedClaims) -> bool {
    claims.confirmation().is_none()
        && claims.audiences().iter().all(|audience| {
            let mut apis = policies.apis().values();
            apis.any(|api| api.audience() == audience && api.bound_tokens())
        })
}

/// Whether the token is for an API that the client may ask about, by the policies in force.
fn may_ask(apis: &IntrospectedApis, policies: &PolicySet, claims: &VerifiedClaims) -> bool {
    match apis {
        IntrospectedApis::None => false,
        IntrospectedApis::All => true,
        IntrospectedApis::Only(apis) => {
            let mut audiences = apis.iter().filter_map(|api| Some(policies.api(api.as_str())?.audience()));
            audiences.any(|audience| claims.audiences().contains(audience))
        }
    }
}
