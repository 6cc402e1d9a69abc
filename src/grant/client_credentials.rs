//! `grant_type=client_credentials` (RFC 6749 section 4.4) with `resource` (RFC 8707).

use std::sync::Arc;

use super::{ApprovedGrant, GrantError, Lifetimes};
use crate::{
    clients::{AuthenticatedClient, Client, ClientKind, Grant},
    oauth::ScopeSet,
};

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
) -> Result<ApprovedGrant, GrantError> {
    let client = client.client();
    let grant = target(client, &request.targets)?;
    let scopes = match &request.scope {
        None => grant.scopes.clone(),
        Some(list) => ScopeSet::parse(list).map_err(|_| GrantError::MalformedScope)?,
    };
    let beyond = scopes.difference(&grant.scopes);
    if !beyond.is_empty() {
        return Err(GrantError::ScopeBeyondGrant(beyond));
    }
    Ok(ApprovedGrant {
        client: client.id.clone(),
        named: match client.kind {
            ClientKind::Named => Some(client.id.clone()),
            ClientKind::Anonymous => None,
        },
        api: grant.api.clone(),
        audience: grant.audience.clone(),
        roles: grant.roles_within(&scopes),
        scopes,
        claims: Arc::clone(&client.claims),
        ttl: client.ttl.unwrap_or(lifetimes.ttl.as_secs()).min(lifetimes.max_ttl.as_secs()),
    })
}

fn target<'c>(client: &'c Client, targets: &[String]) -> Result<&'c Grant, GrantError> {
    match (targets, &*client.grants) {
        ([], [only]) => Ok(only),
        ([], _) => Err(GrantError::NoTarget),
        ([first, rest @ ..], grants) => {
            if rest.iter().any(|other| other != first) {
                return Err(GrantError::SeveralTargets);
            }
            grants.iter().find(|grant| grant.audience.as_str() == first).ok_or(GrantError::UnknownTarget)
        }
    }
}
