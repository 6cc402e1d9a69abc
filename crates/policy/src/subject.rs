//! The subject that policies judge: the permissions of a token, wherever it comes from.

use std::collections::BTreeMap;

use jeton_oauth::{ClientId, Role, ScopeSet};
use serde_json::{Map, Value};

/// What policies judge: the permissions of a token, wherever they come from.
#[derive(Clone, Copy, Debug)]
pub struct Subject<'s> {
    /// The client that asked for the token, if it names one.
    pub client: Option<&'s ClientId>,
    /// `sub`: the client to which the permissions were granted, if the token names one.
    pub sub: Option<&'s ClientId>,
    /// Its scopes.
    pub scopes: &'s ScopeSet,
    /// Its roles.
    pub roles: &'s [Role],
    /// The claims that are neither registered nor jeton's own.
    pub claims: &'s Map<String, Value>,
}

/// Permissions that somebody wrote down or that a client is granted, to be explained or tested.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Permissions {
    /// The client that the token would name.
    pub client: Option<ClientId>,
    /// The client to which the permissions were granted, as the token's `sub` would name it.
    pub sub: Option<ClientId>,
    /// Its scopes.
    pub scopes: ScopeSet,
    /// Its roles.
    pub roles: Vec<Role>,
    /// Its other claims.
    pub claims: Map<String, Value>,
}

impl Permissions {
    /// What policies judge.
    pub fn subject(&self) -> Subject<'_> {
        Subject {
            client: self.client.as_ref(),
            sub: self.sub.as_ref(),
            scopes: &self.scopes,
            roles: &self.roles,
            claims: &self.claims,
        }
    }

    /// With the claim `sub`, which somebody wrote among the others, as the client that the token is about.
    ///
    /// # Errors
    /// [`BadSub`] for a value that no token has.
    pub fn with_sub_of_claims(mut self) -> Result<Self, BadSub> {
        if let Some(sub) = self.claims.remove("sub") {
            let sub = sub.as_str().and_then(|text| ClientId::parse(text).ok()).ok_or(BadSub)?;
            self.sub = Some(sub);
        }
        Ok(self)
    }

    /// With every scope of its roles, as a token of this service carries them.
    #[must_use]
    pub fn with_scopes_of_roles(mut self, roles: &BTreeMap<Role, ScopeSet>) -> Self {
        for scopes in self.roles.iter().filter_map(|role| roles.get(role)) {
            self.scopes.extend(scopes);
        }
        self
    }
}

/// A claim `sub` that no token has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the claim `sub` is the id of a client: write it as text")]
pub struct BadSub;
