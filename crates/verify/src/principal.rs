//! Who is behind a request: not a person, but a package of permissions.

use jeton_oauth::{Audience, ClientId, Confirmation, Role, Scope, ScopeSet, TokenId};
use jeton_policy::{Permissions, Subject};
use serde_json::{Map, Value};

use crate::{
    possession::Held,
    standing::InForce,
    token::{Revocable, TokenOrigin, VerifiedClaims},
};

/// The bearer of a verified token, built from its claims and nothing else.
///
/// There is one way to a `Principal`: a token whose signature was verified, of which nothing was revoked, and that was
/// shown to be its holder's. It cannot be put together, read from JSON or made up:
///
/// ```compile_fail,E0451
/// let principal = jeton_verify::Principal { claims: loop {} };
/// ```
/// ```compile_fail,E0599
/// let principal = jeton_verify::Principal::default();
/// ```
/// ```compile_fail,E0277
/// let principal: jeton_verify::Principal = serde_json::from_str("{}").unwrap();
/// ```
/// ```compile_fail,E0277
/// let claims: jeton_verify::VerifiedClaims = serde_json::from_str("{}").unwrap();
/// ```
///
/// Claims that verified are not enough, for the token may have been revoked. [`Standing`](crate::standing::Standing) says
/// that it was not:
///
/// ```compile_fail,E0277
/// # use jeton_verify::{Principal, VerifiedClaims};
/// fn bearer(claims: VerifiedClaims) -> Principal {
///     claims.into()
/// }
/// ```
/// ```compile_fail,E0423
/// # use jeton_verify::{InForce, VerifiedClaims};
/// fn unasked(claims: VerifiedClaims) -> InForce<VerifiedClaims> {
///     InForce(claims)
/// }
/// ```
///
/// Nor is a token in force enough, for it may be bound to a key or a certificate that its bearer does not have. Only an
/// [`Authorizer`](crate::Authorizer) says that it is [`Held`]:
///
/// ```compile_fail,E0277
/// # use jeton_verify::{InForce, Principal, VerifiedClaims};
/// fn stolen(claims: InForce<VerifiedClaims>) -> Principal {
///     claims.into()
/// }
/// ```
/// ```compile_fail,E0423
/// # use jeton_verify::{Held, InForce, VerifiedClaims};
/// fn unshown(claims: InForce<VerifiedClaims>) -> Held<InForce<VerifiedClaims>> {
///     Held(claims)
/// }
/// ```
/// ```
/// # use jeton_verify::{Held, InForce, Principal, VerifiedClaims};
/// fn bearer(claims: Held<InForce<VerifiedClaims>>) -> Principal {
///     claims.into()
/// }
/// ```
#[derive(Clone)]
pub struct Principal {
    claims: VerifiedClaims,
}

impl From<Held<InForce<VerifiedClaims>>> for Principal {
    fn from(claims: Held<InForce<VerifiedClaims>>) -> Self {
        Self { claims: claims.into_inner().into_inner() }
    }
}

impl Principal {
    /// What it may do.
    pub fn scopes(&self) -> &ScopeSet {
        self.claims.scopes()
    }

    /// Whether it may do this.
    pub fn has_scope(&self, scope: &Scope) -> bool {
        self.claims.scopes().contains(scope)
    }

    /// The named sets of scopes that it holds whole.
    pub fn roles(&self) -> &[Role] {
        self.claims.roles()
    }

    /// The APIs for which its token is.
    pub fn audiences(&self) -> &[Audience] {
        self.claims.audiences()
    }

    /// When its token ends, in seconds since 1970.
    pub fn expires_at(&self) -> i64 {
        self.claims.expires_at()
    }

    /// The name of its token, as the log of the issuer has it.
    pub fn token_id(&self) -> &TokenId {
        self.claims.token_id()
    }

    /// What revocations compare.
    pub fn origin(&self) -> TokenOrigin<'_> {
        self.claims.origin()
    }

    /// The client to which the permissions were granted, unless the token names nobody. After a token
    /// exchange it is another than [`Self::client`].
    pub fn subject_client(&self) -> Option<&ClientId> {
        self.claims.subject()
    }

    /// The client that asked for the token, unless the token names nobody.
    pub fn client(&self) -> Option<&ClientId> {
        self.claims.client()
    }

    /// The remaining claims: the ones that the policies give to the client.
    pub fn claims(&self) -> &Map<String, Value> {
        self.claims.own()
    }

    /// What its holder showed beside the token; `None` for a bearer token.
    pub fn confirmation(&self) -> Option<Confirmation> {
        self.claims.confirmation()
    }

    /// What it may do, to be kept apart from the token.
    pub fn permissions(&self) -> Permissions {
        Permissions {
            client: self.claims.sole_client().cloned(),
            sub: self.subject_client().cloned(),
            scopes: self.scopes().clone(),
            roles: self.roles().to_vec(),
            claims: self.claims().clone(),
        }
    }

    /// What policies judge.
    pub fn subject(&self) -> Subject<'_> {
        self.claims.judged()
    }
}
