//! What a token says, on its way to being signed.

use std::sync::Arc;

use serde::{Serialize, Serializer, ser::SerializeMap};
use serde_json::{Map, Value};

use crate::oauth::{Audience, ClientId, Issuer, Role, ScopeSet, TokenId};

/// The claims of an access token (RFC 9068 section 2.2). Only an approved grant becomes claims.
pub struct Claims {
    /// `iss`.
    pub(crate) issuer: Issuer,
    /// `sub` and `client_id`; an anonymous token has neither.
    pub(crate) client: Option<ClientId>,
    /// `aud`.
    pub(crate) audience: Audience,
    /// `iat`, in seconds since 1970.
    pub(crate) issued_at: i64,
    /// `exp`, in seconds since 1970.
    pub(crate) expires_at: i64,
    /// `jti`.
    pub(crate) token_id: TokenId,
    /// `scope`, left out when empty.
    pub(crate) scopes: ScopeSet,
    /// `roles`, left out when empty.
    pub(crate) roles: Vec<Role>,
    /// The client's own claims.
    pub(crate) own: Arc<Map<String, Value>>,
}

impl Serialize for Claims {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("iss", &self.issuer)?;
        if let Some(client) = &self.client {
            map.serialize_entry("sub", client)?;
        }
        map.serialize_entry("aud", &self.audience)?;
        map.serialize_entry("exp", &self.expires_at)?;
        map.serialize_entry("iat", &self.issued_at)?;
        map.serialize_entry("jti", &self.token_id)?;
        if let Some(client) = &self.client {
            map.serialize_entry("client_id", client)?;
        }
        if !self.scopes.is_empty() {
            map.serialize_entry("scope", &self.scopes)?;
        }
        if !self.roles.is_empty() {
            map.serialize_entry("roles", &self.roles)?;
        }
        for (name, value) in self.own.iter() {
            map.serialize_entry(name, value)?;
        }
        map.end()
    }
}
