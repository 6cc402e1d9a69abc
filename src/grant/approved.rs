//! What a grant comes to: the narrowed permissions, ready to become claims.

use std::{sync::Arc, time::Duration};

use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use jeton_oauth::{ApiName, Audience, ClientId, InvalidName, Issuer, NoRandomness, Role, ScopeSet, TokenId};
use jeton_policy::clients::{ApiGrant, Client, ClientKind};
use jeton_verify::{
    VerifiedClaims,
    status::{StatusHandle, StatusReference, index_of},
};
use ring::rand::{SecureRandom, SystemRandom};
use serde_json::{Map, Value};

use crate::{
    binding::Binding,
    token::{AccessTokenClaims, Exchanged, TokenParties, VerifiedRefresh},
};

/// A grant that was approved. Made by the grant types alone: for a refresh by
/// [`approve_refresh`](super::approve_refresh), which takes a [`RefreshAbility`](super::RefreshAbility), and for an
/// exchange by [`approve_exchange`](super::approve_exchange), which takes an [`ExchangeAbility`](super::ExchangeAbility).
/// A client without the ability cannot get one, and nobody else can put one together:
///
/// ```compile_fail,E0451
/// let approved = jeton::grant::ApprovedGrant { ttl: 1 };
/// ```
pub struct ApprovedGrant {
    pub(super) client: ClientId,
    /// Whom the token names.
    pub(super) named: Option<TokenParties>,
    pub(super) api: ApiName,
    pub(super) audience: Audience,
    pub(super) scopes: ScopeSet,
    pub(super) roles: Vec<Role>,
    pub(super) exchanged: Option<Exchanged>,
    pub(super) status: StatusSource,
    pub(super) claims: Arc<Map<String, Value>>,
    pub(super) ttl: u64,
}

/// Where the status of a token will stand.
pub(super) enum StatusSource {
    /// Nowhere.
    None,
    /// In the list of the client itself.
    Own {
        /// The client's `revoked_before`, in seconds since 1970.
        revoked_before: Option<i64>,
    },
    /// Where that of the token stands from which it comes.
    Kept(StatusReference),
}

/// What the settings say of tokens.
#[derive(Clone, Copy, Debug)]
pub struct Lifetimes {
    /// Of a client that has no `ttl` of its own.
    pub ttl: Duration,
    /// The longest of all.
    pub max_ttl: Duration,
    /// Of a family of refresh tokens, from the first one on.
    pub refresh_ttl: Duration,
    /// For how long after its first use a refresh token is taken again, for a client that lost the answer; zero for
    /// never.
    pub refresh_grace: Duration,
    /// How far the clocks of issuer and verifier may be apart: tokens count for so long beyond their `exp`.
    pub leeway: Duration,
}

/// Whether tokens point to a status list where the policies do not say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StatusClaim {
    /// They do.
    ByDefault,
    /// Those of clients with `status_list: true` alone do.
    OnRequest,
}

/// Why a token gets no name.
#[derive(Debug, thiserror::Error)]
pub enum NoTokenId {
    /// There is nothing to make one of.
    #[error(transparent)]
    Random(#[from] NoRandomness),
    /// What it would be is no name, for what the token comes from has too long a one.
    #[error("its id would not be valid: {0}")]
    Name(#[from] InvalidName),
}

/// 128 random bits.
///
/// # Errors
/// [`NoTokenId::Random`].
pub(crate) fn random_id() -> Result<TokenId, NoTokenId> {
    let mut random = [0; 16];
    SystemRandom::new().fill(&mut random).map_err(|_| NoRandomness)?;
    Ok(TokenId::parse(&BASE64_URL_SAFE_NO_PAD.encode(random))?)
}

impl ApprovedGrant {
    /// What a client gets for itself.
    pub(super) fn own(
        client: &Client,
        grant: &ApiGrant,
        scopes: ScopeSet,
        lifetimes: Lifetimes,
        status_claim: StatusClaim,
    ) -> Self {
        let is_named = client.kind == ClientKind::Named;
        let has_list = client.has_status_list(status_claim == StatusClaim::ByDefault);
        Self {
            client: client.id.clone(),
            named: is_named.then(|| TokenParties { subject: client.id.clone(), client: client.id.clone() }),
            api: grant.api.clone(),
            audience: grant.audience.clone(),
            roles: grant.roles_within(&scopes),
            scopes,
            exchanged: None,
            status: if has_list {
                StatusSource::Own { revoked_before: client.revoked_before }
            } else {
                StatusSource::None
            },
            claims: Arc::clone(&client.claims),
            ttl: lifetimes.of(client),
        }
    }

    /// Also with the claims that come from a token of another issuer. The client's own stay: none has their names.
    pub(super) fn with_claims(mut self, more: Option<&Map<String, Value>>) -> Self {
        if let Some(more) = more {
            let mut all = more.clone();
            all.extend(self.claims.iter().map(|(name, value)| (name.clone(), value.clone())));
            self.claims = Arc::new(all);
        }
        self
    }

    /// The client, for the log; an anonymous client's token does not name it.
    pub fn client(&self) -> &ClientId {
        &self.client
    }

    /// The API.
    pub fn api(&self) -> &ApiName {
        &self.api
    }

    /// The `aud` of the token.
    pub fn audience(&self) -> &Audience {
        &self.audience
    }

    /// The scopes that the token carries.
    pub fn scopes(&self) -> &ScopeSet {
        &self.scopes
    }

    /// The lifetime in seconds.
    pub fn ttl(&self) -> u64 {
        self.ttl
    }

    /// The claims of a token with this binding, issued at `now` (seconds since 1970), with a new `jti` of 128 random bits,
    /// behind the name of what it comes from: a family of refresh tokens, or a token that was exchanged.
    ///
    /// # Errors
    /// [`NoTokenId`].
    pub fn into_claims(
        self,
        issuer: &Issuer,
        binding: &Binding,
        comes_from: Option<&TokenId>,
        now: i64,
    ) -> Result<AccessTokenClaims, NoTokenId> {
        let mut token_id = random_id()?;
        if let Some(before) = comes_from {
            token_id = TokenId::parse(&format!("{before}.{token_id}"))?;
        }
        Ok(AccessTokenClaims {
            issuer: issuer.clone(),
            status: match self.status {
                StatusSource::None => None,
                StatusSource::Kept(reference) => Some(reference),
                StatusSource::Own { revoked_before } => Some(StatusReference {
                    index: index_of(now, revoked_before),
                    uri: StatusHandle::of(&self.client).uri(issuer).into(),
                }),
            },
            confirmation: binding.confirmation().copied(),
            named: self.named,
            audience: self.audience,
            issued_at: now,
            expires_at: now.saturating_add_unsigned(self.ttl),
            token_id,
            scopes: self.scopes,
            roles: self.roles,
            exchanged: self.exchanged,
            own: self.claims,
        })
    }
}

impl Lifetimes {
    /// Until when it matters what was used of the family of this refresh token, in seconds since 1970.
    pub(crate) fn family_end(&self, token: &VerifiedRefresh) -> i64 {
        token.expires_at().saturating_add_unsigned(self.leeway.as_secs())
    }

    /// When the last access token ends that the family can have brought, in seconds since 1970. Always the same
    /// for a family, so that to write it twice is to write it once.
    pub(crate) fn family_tokens_end(&self, token: &VerifiedRefresh) -> i64 {
        self.family_end(token).saturating_add_unsigned(self.max_ttl.as_secs())
    }

    /// Until when an access token is taken anywhere, in seconds since 1970.
    pub(crate) fn token_end(&self, token: &VerifiedClaims) -> i64 {
        token.expires_at().saturating_add_unsigned(self.leeway.as_secs())
    }

    /// The lifetime of a client's access tokens, in seconds.
    pub(super) fn of(self, client: &Client) -> u64 {
        client.ttl.unwrap_or(self.ttl.as_secs()).min(self.max_ttl.as_secs())
    }
}
