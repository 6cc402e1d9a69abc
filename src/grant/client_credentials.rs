//! `grant_type=client_credentials` (RFC 6749 section 4.4) with `resource` (RFC 8707).

use super::{
    ApprovedGrant, GrantError, Lifetimes, StatusClaim,
    approved::{scopes, target},
};
use crate::{
    authenticate::AuthenticatedClient,
    clients::{Client, Grant},
    oauth::{ApiName, ScopeSet},
};

/// What the client asks for.
#[derive(Debug, Default)]
pub struct ClientCredentialsRequest {
    /// `scope`; without it, everything that the client is granted.
    pub scope: Option<String>,
    /// Every `resource` and `audience`; without one, the client's only API, or the only one that has the scopes.
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
    let asked = request.scope.as_deref().map(scopes).transpose()?;
    let grant = grant(client, &request.targets, asked.as_ref())?;
    let scopes = asked.unwrap_or_else(|| grant.scopes.clone());
    let beyond = scopes.difference(&grant.scopes);
    if !beyond.is_empty() {
        return Err(GrantError::ScopeBeyondGrant(beyond));
    }
    Ok(ApprovedGrant::own(client, grant, scopes, lifetimes, lists))
}

/// The API that is meant: the one that is named, the client's only one, or the only one that has all of these scopes
/// (RFC 9068 section 3). jeton's own comes with many a grant, and has to be named.
fn grant<'c>(
    client: &'c Client,
    targets: &[String],
    asked: Option<&ScopeSet>,
) -> Result<&'c Grant, GrantError> {
    match (target(targets)?, &*client.grants, asked) {
        (Some(target), ..) => {
            client.grant_for(target).ok_or_else(|| GrantError::UnknownTarget(target.to_owned()))
        }
        (None, [only], _) => Ok(only),
        (None, grants, Some(asked)) => {
            let has_all =
                |grant: &&Grant| grant.api.as_str() != ApiName::OWN && asked.is_subset(&grant.scopes);
            let mut fitting = grants.iter().filter(has_all);
            fitting.next().filter(|_| fitting.next().is_none()).ok_or(GrantError::NoTarget)
        }
        (None, _, None) => Err(GrantError::NoTarget),
    }
}
