//! `grant_type=client_credentials` (RFC 6749 section 4.4) with `resource` (RFC 8707).

use super::{
    ApprovedGrant, GrantError, Lifetimes, StatusClaim,
    approved::{scopes, target},
};
use crate::clients::{AuthenticatedClient, Client, Grant};

/// What the client asks for.
#[derive(Debug, Default)]
pub struct ClientCredentialsRequest {
    /// `scope`; without it, everything that the client is granted.
    pub scope: Option<String>,
    /// Every `resource` and `audience`; without one, the client's only API.
    pub targets: Vec<String>,
}

/// Narrows what the client is granted to what it asks for.
///
/// # Errors
/// [`GrantError`] for a target or a scope beyond the grant: nothing is cut in silence.
pub fn approve(
    client: &AuthenticatedClient,
    request: &ClientCredentialsRequest,
    lifetimes: Lifetimes,
    lists: StatusClaim,
) -> Result<ApprovedGrant, GrantError> {
    let client = client.client();
    let grant = grant(client, &request.targets)?;
    let scopes = match &request.scope {
        None => grant.scopes.clone(),
        Some(list) => scopes(list)?,
    };
    let beyond = scopes.difference(&grant.scopes);
    if !beyond.is_empty() {
        return Err(GrantError::ScopeBeyondGrant(beyond));
    }
    Ok(ApprovedGrant::own(client, grant, scopes, lifetimes, lists))
}

fn grant<'c>(client: &'c Client, targets: &[String]) -> Result<&'c Grant, GrantError> {
    match (target(targets)?, &*client.grants) {
        (None, [only]) => Ok(only),
        (None, _) => Err(GrantError::NoTarget),
        (Some(target), _) => {
            client.grant_for(target).ok_or_else(|| GrantError::UnknownTarget(target.to_owned()))
        }
    }
}
