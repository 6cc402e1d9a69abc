//! `grant_type=refresh_token` (RFC 6749 section 6).

use jeton_oauth::ScopeSet;
use jeton_policy::clients::Client;
use jeton_verify::InForce;

use super::{ApprovedGrant, GrantError, Lifetimes, RequestedAccess, StatusClaim};
use crate::{authenticate::AuthenticatedClient, token::VerifiedRefresh};

/// A client that has authenticated and may use refresh tokens. To have authenticated is not enough:
///
/// ```compile_fail,E0308
/// # use jeton::{authenticate::AuthenticatedClient, grant::*, token::VerifiedRefresh};
/// # use jeton_verify::InForce;
/// # fn refresh(client: &AuthenticatedClient, token: &InForce<VerifiedRefresh>, access: &RequestedAccess,
/// #     lifetimes: Lifetimes) -> Result<ApprovedGrant, GrantError> {
/// approve_refresh(client, token, access, lifetimes, StatusClaim::OnRequest)
/// # }
/// ```
/// ```compile_fail,E0423
/// # use jeton::grant::RefreshAbility;
/// # use jeton_policy::clients::Client;
/// fn made_up(client: &Client) -> RefreshAbility<'_> {
///     RefreshAbility(client)
/// }
/// ```
/// ```
/// # use jeton::{authenticate::AuthenticatedClient, grant::*, token::VerifiedRefresh};
/// # use jeton_verify::InForce;
/// # fn refresh(client: &AuthenticatedClient, token: &InForce<VerifiedRefresh>, access: &RequestedAccess,
/// #     lifetimes: Lifetimes) -> Result<ApprovedGrant, GrantError> {
/// approve_refresh(RefreshAbility::of(client)?, token, access, lifetimes, StatusClaim::OnRequest)
/// # }
/// ```
#[derive(Clone, Copy)]
pub struct RefreshAbility<'c>(&'c Client);

impl<'c> RefreshAbility<'c> {
    /// The ability of a client with `refresh: true` that showed credentials of its own. A token of another issuer is at
    /// hand whenever one is needed, and a refresh token would outlive it.
    ///
    /// # Errors
    /// [`GrantError::NotForThisClient`], [`GrantError::NoRefreshByFederation`].
    pub fn of(client: &'c AuthenticatedClient) -> Result<Self, GrantError> {
        if client.is_federated() {
            return Err(GrantError::NoRefreshByFederation);
        }
        let client = client.client();
        if client.abilities.refresh { Ok(Self(client)) } else { Err(GrantError::NotForThisClient("refresh")) }
    }

    /// The client.
    pub fn client(self) -> &'c Client {
        self.0
    }
}

/// Narrows what the refresh token stands for to what the client is granted now, and to what it asks for. Without
/// scopes that is everything that the refresh token stands for and the client is granted still. A target is that of
/// the refresh token.
///
/// # Errors
/// [`GrantError`]; a scope that was asked for and cannot be had is never cut in silence.
pub fn approve(
    ability: RefreshAbility<'_>,
    token: &InForce<VerifiedRefresh>,
    access: &RequestedAccess,
    lifetimes: Lifetimes,
    status_claim: StatusClaim,
) -> Result<ApprovedGrant, GrantError> {
    let client = ability.client();
    if *token.client() != client.id {
        return Err(GrantError::BadRefreshToken);
    }
    if let Some(target) = access.target()?.filter(|target| target.audience() != Some(token.audience())) {
        return Err(GrantError::TargetBeyondToken(target.clone()));
    }
    let grant = client.grant_for(token.audience()).ok_or(GrantError::NothingLeft)?;
    let still: ScopeSet =
        token.scopes().iter().filter(|scope| grant.scopes.contains(scope)).cloned().collect();
    if still.is_empty() && !token.scopes().is_empty() {
        return Err(GrantError::NothingLeft);
    }
    let scopes = match access.scopes()? {
        None => still,
        Some(asked) => {
            let beyond = asked.difference(token.scopes());
            if !beyond.is_empty() {
                return Err(GrantError::ScopeBeyondToken(beyond));
            }
            let not_granted = asked.difference(&still);
            if !not_granted.is_empty() {
                return Err(GrantError::ScopeBeyondGrant(not_granted));
            }
            asked.clone()
        }
    };
    Ok(ApprovedGrant::own(client, grant, scopes, lifetimes, status_claim))
}
