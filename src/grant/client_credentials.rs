//! `grant_type=client_credentials` (RFC 6749 section 4.4) with `resource` (RFC 8707).

use jeton_oauth::{ApiName, ScopeSet};
use jeton_policy::clients::{ApiGrant, Client};

use super::{ApprovedGrant, GrantError, Lifetimes, RequestedAccess, RequestedTarget, StatusClaim};
use crate::authenticate::AuthenticatedClient;

/// Narrows what the client is granted to what it asks for. Without scopes that is everything that the client is
/// granted at the API. Without a target it is the client's only API, or the only one that has the scopes.
///
/// # Errors
/// [`GrantError`] for a target or a scope beyond the grant: nothing is cut in silence.
pub fn approve(
    client: &AuthenticatedClient,
    access: &RequestedAccess,
    lifetimes: Lifetimes,
    status_claim: StatusClaim,
) -> Result<ApprovedGrant, GrantError> {
    let (client, foreign) = (client.client(), client.foreign_claims());
    let asked = access.scopes()?;
    let grant = grant(client, access.target()?, asked)?;
    let scopes = asked.unwrap_or(&grant.scopes);
    let beyond = scopes.difference(&grant.scopes);
    if !beyond.is_empty() {
        return Err(GrantError::ScopeBeyondGrant(beyond));
    }
    let approved = ApprovedGrant::own(client, grant, scopes.clone(), lifetimes, status_claim);
    Ok(approved.with_claims(foreign))
}

/// The API that is meant: the one that is named, the client's only one, or the only one that has all of these scopes
/// (RFC 9068 section 3). jeton's own comes with many a grant, and has to be named.
fn grant<'c>(
    client: &'c Client,
    target: Option<&RequestedTarget>,
    asked: Option<&ScopeSet>,
) -> Result<&'c ApiGrant, GrantError> {
    match (target, &*client.grants, asked) {
        (Some(target), ..) => {
            let grant = target.audience().and_then(|audience| client.grant_for(audience));
            grant.ok_or_else(|| GrantError::UnknownTarget(target.clone()))
        }
        (None, [only], _) => Ok(only),
        (None, grants, Some(asked)) => {
            let has_all =
                |grant: &&ApiGrant| grant.api.as_str() != ApiName::OWN && asked.is_subset(&grant.scopes);
            let mut fitting = grants.iter().filter(has_all);
            fitting.next().filter(|_| fitting.next().is_none()).ok_or(GrantError::NoTarget)
        }
        (None, _, None) => Err(GrantError::NoTarget),
    }
}
