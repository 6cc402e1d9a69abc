//! The first flow: a client's request to a signed token.

use std::sync::Arc;

use crate::{
    clients::{AuthenticationError, ClientCredentials},
    clock::Clock,
    grant::{self, ClientCredentialsRequest, GrantError, Lifetimes},
    keys::{KeyRing, SigningError},
    oauth::{ApiName, ClientId, Issuer, KeyId, ScopeSet, TokenId},
    policy::LivePolicies,
    token::{BearerToken, SignedToken},
};

/// Issues the tokens of one issuer.
pub struct TokenIssuer {
    /// The `iss` of every token.
    pub issuer: Issuer,
    /// The key that signs.
    pub keys: Arc<KeyRing>,
    /// The clients and what they are granted.
    pub policies: Arc<LivePolicies>,
    /// How long tokens live.
    pub lifetimes: Lifetimes,
    /// What time it is.
    pub clock: Arc<dyn Clock>,
}

/// A token and what the answer and the log say of it.
pub struct IssuedToken {
    /// The token itself.
    pub token: SignedToken,
    /// Its `jti`.
    pub token_id: TokenId,
    /// The client that asked; the token of an anonymous client does not name it.
    pub client: ClientId,
    /// The API for which it is.
    pub api: ApiName,
    /// What it allows.
    pub scopes: ScopeSet,
    /// Its lifetime in seconds.
    pub expires_in: u64,
    /// The key that signed it.
    pub kid: KeyId,
}

/// Why no token was issued.
#[derive(Debug, thiserror::Error)]
pub enum Refused {
    /// The client did not show who it is.
    #[error(transparent)]
    Unauthenticated(AuthenticationError),
    /// The client asks for what it cannot have.
    #[error("{error}")]
    NotGranted {
        /// The client.
        client: ClientId,
        /// Why.
        error: GrantError,
    },
    /// The token would be longer than a verifier takes.
    #[error("the token would be longer than 8 KiB: ask for fewer scopes")]
    TooLong {
        /// The client.
        client: ClientId,
    },
    /// Something failed on our side.
    #[error("the token could not be signed: {0}")]
    Failed(SigningError),
}

impl TokenIssuer {
    /// The client credentials grant (RFC 6749 section 4.4): credentials, to an authenticated client, to an
    /// approved grant, to claims, to a signed token.
    ///
    /// # Errors
    /// [`Refused`], of which the client learns the grant's error in full and of authentication nothing.
    pub fn client_credentials(
        &self,
        credentials: &ClientCredentials,
        request: &ClientCredentialsRequest,
    ) -> Result<IssuedToken, Refused> {
        let now = self.clock.now();
        let snapshot = self.policies.current();
        let client =
            snapshot.policies.clients().authenticate(credentials, now).map_err(Refused::Unauthenticated)?;
        let approved = grant::approve(&client, request, self.lifetimes)
            .map_err(|error| Refused::NotGranted { client: client.client().id.clone(), error })?;
        let (client, api, expires_in) = (approved.client().clone(), approved.api().clone(), approved.ttl());
        let claims = approved
            .into_claims(&self.issuer, now.as_second())
            .map_err(|_| Refused::Failed(SigningError::Failed))?;
        let key = self.keys.signing();
        let token = SignedToken::sign(&claims, key).map_err(Refused::Failed)?;
        if token.as_str().len() > BearerToken::LONGEST {
            return Err(Refused::TooLong { client });
        }
        Ok(IssuedToken {
            token,
            token_id: claims.token_id,
            client,
            api,
            scopes: claims.scopes,
            expires_in,
            kid: key.kid().clone(),
        })
    }
}
