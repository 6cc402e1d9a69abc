//! Revocation (RFC 7009): a client ends a token of its own, on every replica. Needs a shared store.

use std::sync::Arc;

use jeton_oauth::{ClientId, TokenId, clock::Clock};
use jeton_policy::LivePolicies;
use jeton_verify::{BearerToken, Verifier};

use crate::{
    authenticate::{AuthenticationError, Authenticator, ClientCredentials},
    binding::ProvenBinding,
    grant::Lifetimes,
    store::{Store, StoreError},
    token::VerifiedRefresh,
};

/// Ends tokens.
pub struct Revoker {
    /// Lets clients in.
    pub authenticator: Arc<Authenticator>,
    /// The clients.
    pub policies: Arc<LivePolicies>,
    /// Opens tokens.
    pub verifier: Verifier,
    /// Where it is kept what was ended.
    pub store: Arc<Store>,
    /// How long tokens live.
    pub lifetimes: Lifetimes,
    /// What time it is.
    pub clock: Arc<dyn Clock>,
}

/// What came of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RevocationOutcome {
    /// The token is ended, and this name of it stands in the store.
    Ended(TokenId),
    /// There was nothing to end: it is no token, or it has expired (RFC 7009 section 2.2).
    NothingToEnd,
}

/// Why nothing was ended.
#[derive(Debug, thiserror::Error)]
pub enum RevocationRefused {
    /// The client did not show who it is.
    #[error(transparent)]
    Unauthenticated(AuthenticationError),
    /// There is no store that every replica sees: it would be ended here and live on elsewhere.
    #[error("tokens cannot be revoked here: ask the operator to run `jeton token revoke`")]
    NoSharedStore(ClientId),
    /// The token names no client, so nobody can be told to be its own.
    #[error(
        "a token that names no client cannot be revoked here: ask the operator to run `jeton token revoke`"
    )]
    Anonymous(ClientId),
    /// The token is another client's (RFC 7009 section 2.1).
    #[error("the token was issued to another client")]
    NotYours(ClientId),
    /// The store did not take it.
    #[error("the revocation could not be stored: {0}")]
    Unavailable(#[from] StoreError),
}

impl Revoker {
    /// Ends an access token, or a family of refresh tokens with the access tokens that it brought.
    ///
    /// # Errors
    /// [`RevocationRefused`]. What is answered otherwise is kept: there is no false success.
    pub async fn revoke(
        &self,
        credentials: &ClientCredentials,
        proven: &ProvenBinding,
        token: &BearerToken,
    ) -> Result<(ClientId, RevocationOutcome), RevocationRefused> {
        let snapshot = self.policies.snapshot();
        let now = self.clock.now();
        let client = self.authenticator.authenticate(&snapshot.policies, credentials, proven, now).await;
        let client = client.map_err(RevocationRefused::Unauthenticated)?;
        let id = || client.client().id.clone();
        let Some(store) = self.store.shared() else { return Err(RevocationRefused::NoSharedStore(id())) };
        if let Ok(claims) = self.verifier.verify_for_any(token) {
            let own = claims.client().ok_or_else(|| RevocationRefused::Anonymous(id()))?;
            if *own != client.client().id {
                return Err(RevocationRefused::NotYours(id()));
            }
            store.revoke(claims.token_id(), self.lifetimes.token_end(&claims)).await?;
            return Ok((id(), RevocationOutcome::Ended(claims.token_id().clone())));
        }
        if let Ok(refresh) = VerifiedRefresh::verify(&self.verifier, token) {
            if *refresh.client() != client.client().id {
                return Err(RevocationRefused::NotYours(id()));
            }
            // the access tokens first: of the two, they may do something by themselves
            store.revoke(refresh.family(), self.lifetimes.family_tokens_end(&refresh)).await?;
            store.end_family(refresh.family(), self.lifetimes.family_end(&refresh)).await?;
            return Ok((id(), RevocationOutcome::Ended(refresh.family().clone())));
        }
        Ok((id(), RevocationOutcome::NothingToEnd))
    }
}
