//! Refresh tokens: a second kind of token, which this issuer alone reads.

use std::sync::Arc;

use jeton_oauth::{Audience, ClientId, Issuer, ScopeSet, TokenId};
use jeton_verify::{BearerToken, Revocable, TokenError, TokenOrigin, TokenPayload, Verifier};
use serde::{Serialize, Serializer, ser::SerializeMap};

use super::sign::REFRESH_TOKEN;

/// What a refresh token says. Its `jti` is the family's id, a dot and the generation.
#[derive(Clone, Debug)]
pub struct RefreshClaims {
    /// `iss` and `aud`.
    pub(crate) issuer: Issuer,
    /// `sub` and `client_id`: the client to which it is bound.
    pub(crate) client: ClientId,
    /// All refresh tokens that follow from one first one, and the access tokens that they bring.
    pub(crate) family: TokenId,
    /// How many rotations lie between the first one and this, from 0.
    pub(crate) generation: u32,
    /// `resource`: the audience of the access tokens that it brings.
    pub(crate) audience: Audience,
    /// `scope`: what the access tokens may carry at most.
    pub(crate) scopes: ScopeSet,
    /// `iat`, in seconds since 1970.
    pub(crate) issued_at: i64,
    /// `auth_time`: when the first of the family was issued, in seconds since 1970.
    pub(crate) authenticated_at: i64,
    /// `exp`: the end of the whole family, in seconds since 1970.
    pub(crate) expires_at: i64,
}

impl RefreshClaims {
    fn token_id(&self) -> String {
        format!("{}.{}", self.family, self.generation)
    }
}

impl Serialize for RefreshClaims {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("iss", &self.issuer)?;
        map.serialize_entry("sub", &self.client)?;
        map.serialize_entry("aud", &self.issuer)?;
        map.serialize_entry("exp", &self.expires_at)?;
        map.serialize_entry("iat", &self.issued_at)?;
        map.serialize_entry("jti", &self.token_id())?;
        map.serialize_entry("client_id", &self.client)?;
        map.serialize_entry("resource", &self.audience)?;
        map.serialize_entry("scope", &self.scopes)?;
        map.serialize_entry("auth_time", &self.authenticated_at)?;
        map.end()
    }
}

/// Its client stands behind it since the first of the family.
impl Revocable for VerifiedRefresh {
    fn origin(&self) -> TokenOrigin<'_> {
        TokenOrigin {
            token_id: &self.token_id,
            subject: Some(self.client()),
            client: None,
            issued_at: self.issued_at(),
            authenticated_at: self.authenticated_at(),
            earlier_actors: &[],
        }
    }
}

/// A refresh token whose signature and claims were checked. Made by [`Self::verify`] alone.
#[derive(Clone)]
pub struct VerifiedRefresh {
    claims: Arc<RefreshClaims>,
    /// `jti`.
    token_id: TokenId,
}

impl VerifiedRefresh {
    /// Verifies that `token` is a refresh token of the issuer whose keys `verifier` has.
    ///
    /// # Errors
    /// [`TokenError`] with the first thing that is wrong.
    pub fn verify(verifier: &Verifier, token: &BearerToken) -> Result<Self, TokenError> {
        let mut claims = TokenPayload::from(verifier.keys().open(token.as_str(), REFRESH_TOKEN)?);
        let missing = |name| TokenError::Missing(name);
        let wrong = |name| TokenError::WrongType(name);
        let issuer = claims.text("iss")?.ok_or(missing("iss"))?;
        let audience = claims.text("aud")?.ok_or(missing("aud"))?;
        let expires_at = claims.date("exp")?.ok_or(missing("exp"))?;
        let issued_at = claims.date("iat")?.ok_or(missing("iat"))?;
        let authenticated_at = claims.date("auth_time")?.ok_or(missing("auth_time"))?;
        let client = claims.client_id("client_id")?.ok_or(missing("client_id"))?;
        let token_id = claims.text("jti")?.ok_or(missing("jti"))?;
        let (family, generation) = token_id.rsplit_once('.').ok_or(wrong("jti"))?;
        let resource = claims.text("resource")?.ok_or(missing("resource"))?;
        let scope = claims.text("scope")?.ok_or(missing("scope"))?;
        let refresh = RefreshClaims {
            issuer: verifier.issuer().clone(),
            client,
            family: TokenId::parse(family).map_err(|_| wrong("jti"))?,
            generation: generation.parse().map_err(|_| wrong("jti"))?,
            audience: Audience::parse(&resource).map_err(|_| wrong("resource"))?,
            scopes: ScopeSet::parse(&scope).map_err(|_| wrong("scope"))?,
            issued_at,
            authenticated_at,
            expires_at,
        };
        let token_id = TokenId::parse(&token_id).map_err(|_| wrong("jti"))?;
        if audience != verifier.issuer().as_str() {
            return Err(TokenError::Audience);
        }
        verifier.check_issuer_and_times(&issuer, issued_at, None, expires_at)?;
        Ok(Self { claims: Arc::new(refresh), token_id })
    }

    /// The client to which it is bound.
    pub fn client(&self) -> &ClientId {
        &self.claims.client
    }

    /// All refresh tokens that follow from one first one, and the access tokens that they bring.
    pub fn family(&self) -> &TokenId {
        &self.claims.family
    }

    /// How many rotations lie between the first one and this.
    pub fn generation(&self) -> u32 {
        self.claims.generation
    }

    /// Its `jti`.
    pub fn token_id(&self) -> &TokenId {
        &self.token_id
    }

    /// The audience of the access tokens that it brings.
    pub fn audience(&self) -> &Audience {
        &self.claims.audience
    }

    /// What the access tokens may carry at most.
    pub fn scopes(&self) -> &ScopeSet {
        &self.claims.scopes
    }

    /// `iat`, in seconds since 1970.
    pub fn issued_at(&self) -> i64 {
        self.claims.issued_at
    }

    /// When the first of the family was issued, in seconds since 1970.
    pub fn authenticated_at(&self) -> i64 {
        self.claims.authenticated_at
    }

    /// The end of the whole family, in seconds since 1970.
    pub fn expires_at(&self) -> i64 {
        self.claims.expires_at
    }

    /// What the next one of the family says, if it is issued at `now`.
    pub(crate) fn next(&self, now: i64) -> RefreshClaims {
        let generation = self.claims.generation.saturating_add(1);
        RefreshClaims { generation, issued_at: now, ..(*self.claims).clone() }
    }
}
