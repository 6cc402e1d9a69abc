//! Whether a token that verifies is still in force: what was revoked since it was issued.

use std::{ops::Deref, sync::Arc};

use jeton_oauth::{Audience, ClientId};
use jeton_policy::{PolicySet, clients::ClientState};

use crate::{
    revocations::{Revocations, RevocationsUnknown},
    token::{BearerToken, Revocable, TokenError, TokenOrigin, VerifiedClaims, Verifier},
};

/// A token that was not revoked, by what was known at the time. Only [`Standing`] makes one.
#[derive(Clone, Copy)]
pub struct InForce<T>(T);

impl<T> InForce<T> {
    /// The token, without the proof.
    pub fn into_inner(self) -> T {
        self.0
    }
}

impl<T> Deref for InForce<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.0
    }
}

/// What is known of revocations: the policy files, and the shared store's mirror. All in memory.
#[derive(Clone, Default)]
pub struct Standing {
    revocations: Option<Arc<dyn Revocations>>,
    named: NamedClients,
}

/// Which clients the policy files name.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
enum NamedClients {
    #[default]
    Some,
    All,
}

/// Why a token is not in force.
#[derive(Debug, thiserror::Error)]
pub enum NotInForce {
    /// It was ended.
    #[error(transparent)]
    Ended(#[from] TokenError),
    /// Which tokens were revoked is not known yet; a fault of ours.
    #[error(transparent)]
    Unknown(RevocationsUnknown),
}

impl Standing {
    /// By the policy files alone, of which a client may be missing: for services that hold a part of them.
    pub fn by_files() -> Self {
        Self::default()
    }

    /// By the policy files alone, which name every client.
    pub fn by_all_files() -> Self {
        Self { revocations: None, named: NamedClients::All }
    }

    /// By the policy files, which name every client, and what was revoked beside them.
    pub fn of_issuer(revocations: Arc<dyn Revocations>) -> Self {
        Self { revocations: Some(revocations), named: NamedClients::All }
    }

    /// The claims of an access token for this audience that verifies and is in force.
    ///
    /// # Errors
    /// [`NotInForce`] for any other token.
    pub fn verify(
        &self,
        verifier: &Verifier,
        policies: &PolicySet,
        token: &BearerToken,
        audience: &Audience,
    ) -> Result<InForce<VerifiedClaims>, NotInForce> {
        self.in_force(policies, verifier.verify(token, audience)?)
    }

    /// A token, if it is in force as far as that is known in memory.
    ///
    /// # Errors
    /// [`NotInForce`] for a token that was revoked, or one of a client that was revoked since.
    pub fn in_force<T: Revocable>(&self, policies: &PolicySet, token: T) -> Result<InForce<T>, NotInForce> {
        self.check_origin(policies, &token.origin())?;
        Ok(InForce(token))
    }

    /// As [`Self::in_force`], for a token of which no more is at hand.
    ///
    /// # Errors
    /// As [`Self::in_force`].
    pub fn check_origin(&self, policies: &PolicySet, token: &TokenOrigin<'_>) -> Result<(), NotInForce> {
        self.check_token(policies, token.token_id.as_str())?;
        // what came of a token of the subject's is as old as that token
        if let Some(subject) = token.subject {
            self.check_client(policies, subject, token.authenticated_at)?;
        }
        // when the clients before the last one exchanged it is not known: not before the subject fetched it
        for actor in token.earlier_actors {
            self.check_client(policies, actor, token.authenticated_at)?;
        }
        match token.client {
            Some(client) if token.subject != Some(client) => {
                self.check_client(policies, client, token.issued_at)
            }
            _ => Ok(()),
        }
    }

    /// Whether the token is revoked by its `jti`, or what it came from: the names of the family of refresh
    /// tokens and of the tokens that were exchanged stand before it, each with a dot.
    fn check_token(&self, policies: &PolicySet, token_id: &str) -> Result<(), NotInForce> {
        let before_dots = token_id.match_indices('.').filter_map(|(dot, _)| token_id.get(..dot));
        for name in before_dots.chain([token_id]) {
            let was_revoked = match self.revocations.as_deref() {
                Some(revocations) => revocations.is_revoked(name).map_err(NotInForce::Unknown)?,
                None => false,
            };
            if was_revoked || policies.has_revoked(name) {
                return Err(NotInForce::Ended(TokenError::Revoked));
            }
        }
        Ok(())
    }

    fn check_client(&self, policies: &PolicySet, id: &ClientId, since: i64) -> Result<(), NotInForce> {
        let ended = |error| Err(NotInForce::Ended(error));
        match policies.clients().find(id.as_str()) {
            None if self.named == NamedClients::All => ended(TokenError::ClientGone(id.clone())),
            Some(client) if client.state == ClientState::Disabled => {
                ended(TokenError::ClientDisabled(id.clone()))
            }
            Some(client) if client.revoked_before.is_some_and(|before| since < before) => {
                ended(TokenError::ClientRevoked(id.clone()))
            }
            Some(_) | None => Ok(()),
        }
    }
}
