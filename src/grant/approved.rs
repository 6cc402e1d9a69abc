//! What a grant comes to: the narrowed permissions, ready to become claims.

use std::{sync::Arc, time::Duration};

use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use ring::rand::{SecureRandom, SystemRandom};
use serde_json::{Map, Value};

use crate::{
    oauth::{ApiName, Audience, ClientId, ErrorCode, Issuer, Role, ScopeSet, TokenId},
    token::Claims,
};

/// A grant that was approved. Made by the grant types alone.
pub struct ApprovedGrant {
    pub(super) client: ClientId,
    /// The client as the token names it.
    pub(super) named: Option<ClientId>,
    pub(super) api: ApiName,
    pub(super) audience: Audience,
    pub(super) scopes: ScopeSet,
    pub(super) roles: Vec<Role>,
    pub(super) claims: Arc<Map<String, Value>>,
    pub(super) ttl: u64,
}

/// How long tokens live.
#[derive(Clone, Copy, Debug)]
pub struct Lifetimes {
    /// Of a client that has no `ttl` of its own.
    pub ttl: Duration,
    /// The longest of all.
    pub max_ttl: Duration,
}

/// Why a grant was not approved; told to the client.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum GrantError {
    /// `scope` breaks the grammar of RFC 6749 section 3.3.
    #[error("`scope` is not a list of scopes separated by single spaces")]
    MalformedScope,
    /// Scopes that the client is not granted at this API.
    #[error("not granted to this client: {0}")]
    ScopeBeyondGrant(ScopeSet),
    /// Two different audiences in one request (RFC 8707 section 2).
    #[error("a token has one audience: ask for one `resource` at a time")]
    SeveralTargets,
    /// The client has no grant for the audience, or there is none of that name.
    #[error("this client has no grant for the `resource`")]
    UnknownTarget,
    /// No audience was named, and the client has not just one.
    #[error("name the API with `resource`: this client has not exactly one")]
    NoTarget,
}

impl GrantError {
    /// The error code of the token endpoint (RFC 6749 section 5.2, RFC 8707 section 2).
    pub fn code(&self) -> ErrorCode {
        match self {
            Self::MalformedScope | Self::ScopeBeyondGrant(_) => ErrorCode::InvalidScope,
            Self::SeveralTargets | Self::UnknownTarget | Self::NoTarget => ErrorCode::InvalidTarget,
        }
    }
}

impl ApprovedGrant {
    /// The client, for the log; an anonymous client's token does not name it.
    pub fn client(&self) -> &ClientId {
        &self.client
    }

    /// The API.
    pub fn api(&self) -> &ApiName {
        &self.api
    }

    /// The scopes that the token carries.
    pub fn scopes(&self) -> &ScopeSet {
        &self.scopes
    }

    /// The lifetime in seconds.
    pub fn ttl(&self) -> u64 {
        self.ttl
    }

    /// The claims of a token issued at `now` (seconds since 1970), with a new `jti` of 128 random bits.
    ///
    /// # Errors
    /// When the system gives no random bytes.
    pub fn into_claims(self, issuer: &Issuer, now: i64) -> Result<Claims, ring::error::Unspecified> {
        let mut random = [0; 16];
        SystemRandom::new().fill(&mut random)?;
        let token_id =
            TokenId::parse(&BASE64_URL_SAFE_NO_PAD.encode(random)).map_err(|_| ring::error::Unspecified)?;
        Ok(Claims {
            issuer: issuer.clone(),
            client: self.named,
            audience: self.audience,
            issued_at: now,
            expires_at: now.saturating_add_unsigned(self.ttl),
            token_id,
            scopes: self.scopes,
            roles: self.roles,
            own: self.claims,
        })
    }
}
