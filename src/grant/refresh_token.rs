//! `grant_type=refresh_token` (RFC 6749 section 6).

use super::{
    ApprovedGrant, GrantError, Lifetimes, StatusClaim,
    approved::{scopes, target},
};
use crate::{authenticate::AuthenticatedClient, oauth::ScopeSet, standing::InForce, token::VerifiedRefresh};

/// What the client asks for.
#[derive(Debug, Default)]
pub struct RefreshRequest {
    /// `scope`; without it, everything that the refresh token stands for and the client is granted still.
    pub scope: Option<String>,
    /// Every `resource` and `audience`; if there is one, that of the refresh token.
    pub targets: Vec<String>,
}

impl RefreshRequest {
    /// The scopes that are asked for: without `scope` those of the refresh token, granted still or not.
    ///
    /// # Errors
    /// [`GrantError::MalformedScope`].
    pub fn asked(&self, token: &VerifiedRefresh) -> Result<ScopeSet, GrantError> {
        self.scope.as_deref().map_or_else(|| Ok(token.scopes().clone()), scopes)
    }
}

/// Narrows what the refresh token stands for to what the client is granted now, and to what it asks for.
///
/// # Errors
/// [`GrantError`]; a scope that was asked for and cannot be had is never cut in silence.
pub fn approve(
    client: &AuthenticatedClient,
    token: &InForce<VerifiedRefresh>,
    request: &RefreshRequest,
    lifetimes: Lifetimes,
    lists: StatusClaim,
) -> Result<ApprovedGrant, GrantError> {
    let client = client.client();
    if *token.client() != client.id {
        return Err(GrantError::BadRefreshToken);
    }
    match target(&request.targets)? {
        Some(target) if target != token.audience().as_str() => {
            return Err(GrantError::TargetBeyondToken(target.to_owned()));
        }
        _ => {}
    }
    let grant = client.grant_for(token.audience().as_str()).ok_or(GrantError::NothingLeft)?;
    let still: ScopeSet =
        token.scopes().iter().filter(|scope| grant.scopes.contains(scope)).cloned().collect();
    if still.is_empty() && !token.scopes().is_empty() {
        return Err(GrantError::NothingLeft);
    }
    let scopes = match &request.scope {
        None => still,
        Some(list) => {
            let asked = scopes(list)?;
            let beyond = asked.difference(token.scopes());
            if !beyond.is_empty() {
                return Err(GrantError::ScopeBeyondToken(beyond));
            }
            let not_granted = asked.difference(&still);
            if !not_granted.is_empty() {
                return Err(GrantError::ScopeBeyondGrant(not_granted));
            }
            asked
        }
    };
    Ok(ApprovedGrant::own(client, grant, scopes, lifetimes, lists))
}
