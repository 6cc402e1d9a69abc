//! `grant_type=urn:ietf:params:oauth:grant-type:token-exchange` (RFC 8693): a token for a narrower one.

use std::{collections::BTreeMap, sync::Arc};

use jeton_oauth::{ApiName, Audience, Role, ScopeSet};
use jeton_policy::{
    PolicySet,
    clients::{ApiGrant, Client},
};
use jeton_verify::{InForce, VerifiedClaims};

use super::{ApprovedGrant, GrantError, Lifetimes, RequestedAccess, RequestedTarget, approved::StatusSource};
use crate::{
    authenticate::AuthenticatedClient,
    token::{Exchanged, TokenParties},
};

/// A client that has authenticated and may exchange tokens. To have authenticated is not enough:
///
/// ```compile_fail,E0308
/// # use jeton::{authenticate::AuthenticatedClient, grant::*};
/// # use jeton_verify::{InForce, VerifiedClaims};
/// # fn exchange(client: &AuthenticatedClient, subject: &InForce<VerifiedClaims>, access: &RequestedAccess,
/// #     rules: &ExchangeRules<'_>) -> Result<ApprovedGrant, GrantError> {
/// approve_exchange(client, subject, access, rules)
/// # }
/// ```
/// ```compile_fail,E0423
/// # use jeton::grant::ExchangeAbility;
/// # use jeton_policy::clients::Client;
/// fn made_up(client: &Client) -> ExchangeAbility<'_> {
///     ExchangeAbility(client)
/// }
/// ```
/// ```
/// # use jeton::{authenticate::AuthenticatedClient, grant::*};
/// # use jeton_verify::{InForce, VerifiedClaims};
/// # fn exchange(client: &AuthenticatedClient, subject: &InForce<VerifiedClaims>, access: &RequestedAccess,
/// #     rules: &ExchangeRules<'_>) -> Result<ApprovedGrant, GrantError> {
/// approve_exchange(ExchangeAbility::of(client)?, subject, access, rules)
/// # }
/// ```
#[derive(Clone, Copy)]
pub struct ExchangeAbility<'c>(&'c Client);

impl<'c> ExchangeAbility<'c> {
    /// The ability of a client with `token_exchange: true`.
    ///
    /// # Errors
    /// [`GrantError::NotForThisClient`].
    pub fn of(client: &'c AuthenticatedClient) -> Result<Self, GrantError> {
        let client = client.client();
        if client.abilities.token_exchange {
            Ok(Self(client))
        } else {
            Err(GrantError::NotForThisClient("token_exchange"))
        }
    }
}

/// What an exchange must fit.
#[derive(Clone, Copy)]
pub struct ExchangeRules<'p> {
    /// The APIs and roles there are.
    pub policies: &'p PolicySet,
    /// The audience of jeton's own API, which is the issuer.
    pub own_api: &'p Audience,
    /// How long tokens live.
    pub lifetimes: Lifetimes,
    /// The most exchanges that may lead to one token.
    pub max_exchanges: u32,
    /// Now, in seconds since 1970.
    pub now: i64,
}

/// Narrows a token to what the client asks for. Whatever comes of it, the subject token allowed it, or the
/// client itself is granted it at the other API and the subject token has the scope. Without scopes that is
/// everything of the subject token that can be had at the API. Without a target it is the API of the subject token.
///
/// # Errors
/// [`GrantError`]; a scope that was asked for and cannot be had is never cut in silence.
pub fn approve(
    ExchangeAbility(client): ExchangeAbility<'_>,
    subject: &InForce<VerifiedClaims>,
    access: &RequestedAccess,
    rules: &ExchangeRules<'_>,
) -> Result<ApprovedGrant, GrantError> {
    let &ExchangeRules { policies, own_api, lifetimes, max_exchanges, now } = rules;
    let exchanges = subject.exchanges().saturating_add(1);
    if exchanges > max_exchanges {
        return Err(GrantError::TooManyExchanges(subject.exchanges()));
    }
    let from = subject.subject().ok_or(GrantError::AnonymousSubject)?;
    let target = access.target()?;
    // a service that was shown an operator's token must not get one by which it operates jeton
    if target.and_then(RequestedTarget::audience) == Some(own_api) || subject.audiences().contains(own_api) {
        return Err(GrantError::ExchangeAtOwnApi);
    }
    let api = exchange_target(policies, &client.grants, subject, target)?;
    let within = match api.grant {
        None => subject.scopes().clone(),
        Some(grant) => {
            subject.scopes().iter().filter(|scope| grant.scopes.contains(scope)).cloned().collect()
        }
    };
    let scopes = match access.scopes()? {
        None if within.is_empty() && !subject.scopes().is_empty() => return Err(GrantError::NoScope),
        None => within,
        Some(asked) => {
            let beyond = asked.difference(subject.scopes());
            if !beyond.is_empty() {
                return Err(GrantError::ScopeBeyondToken(beyond));
            }
            let not_granted = asked.difference(&within);
            if !not_granted.is_empty() {
                return Err(GrantError::ScopeBeyondGrant(not_granted));
            }
            asked.clone()
        }
    };
    let left = u64::try_from(subject.expires_at().saturating_sub(now)).unwrap_or(0);
    Ok(ApprovedGrant {
        client: client.id.clone(),
        named: Some(TokenParties { subject: from.clone(), client: client.id.clone() }),
        roles: roles(subject.roles(), &scopes, policies.roles(), api.grant),
        api: api.name,
        audience: api.audience,
        scopes,
        exchanged: Some(Exchanged {
            exchanges,
            authenticated_at: subject.authenticated_at(),
            actors: [&client.id].into_iter().chain(subject.actors()).cloned().collect(),
        }),
        status: subject.status().cloned().map_or(StatusSource::None, StatusSource::Kept),
        claims: Arc::new(subject.own().clone()),
        ttl: lifetimes.of(client).min(left),
    })
}

/// The API of the new token.
struct ExchangeTarget<'c> {
    name: ApiName,
    audience: Audience,
    /// The client's own grant, where it is another API than the subject token's.
    grant: Option<&'c ApiGrant>,
}

/// Finds the API of the new token: that of the subject token, or another for which the client has a grant.
fn exchange_target<'c>(
    policies: &PolicySet,
    grants: &'c [ApiGrant],
    subject: &VerifiedClaims,
    target: Option<&RequestedTarget>,
) -> Result<ExchangeTarget<'c>, GrantError> {
    let is_meant = |audience| target.is_none_or(|target| target.audience() == Some(audience));
    let same = policies
        .apis()
        .values()
        .find(|api| subject.audiences().contains(api.audience()) && is_meant(api.audience()));
    if let Some(api) = same {
        return Ok(ExchangeTarget {
            name: api.name().clone(),
            audience: api.audience().clone(),
            grant: None,
        });
    }
    let target = target.ok_or(GrantError::NoTarget)?;
    let grant = grants.iter().find(|grant| target.audience() == Some(&grant.audience));
    let grant = grant.ok_or_else(|| GrantError::UnknownTarget(target.clone()))?;
    Ok(ExchangeTarget { name: grant.api.clone(), audience: grant.audience.clone(), grant: Some(grant) })
}

/// The roles of the subject token of which no scope is missing, at another API those that the client is
/// granted there too.
fn roles(
    held: &[Role],
    scopes: &ScopeSet,
    defined: &BTreeMap<Role, ScopeSet>,
    grant: Option<&ApiGrant>,
) -> Vec<Role> {
    let is_whole = |role: &&Role| defined.get(*role).is_some_and(|needed| needed.is_subset(scopes));
    let is_granted =
        |role: &&Role| grant.is_none_or(|grant| grant.roles.iter().any(|granted| granted.role == **role));
    held.iter().filter(is_whole).filter(is_granted).cloned().collect()
}
