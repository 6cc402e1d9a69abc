//! What a token says, on its way to being signed.

use std::sync::Arc;

use jeton_oauth::{Audience, ClientId, Confirmation, Issuer, Role, ScopeSet, TokenId};
use jeton_verify::status::StatusReference;
use serde::{Serialize, Serializer, ser::SerializeMap};
use serde_json::{Map, Value};

/// The claims of an access token (RFC 9068 section 2.2). Only an approved grant becomes claims.
pub struct AccessTokenClaims {
    /// `iss`.
    pub(crate) issuer: Issuer,
    /// Whom it names; an anonymous token names nobody.
    pub(crate) named: Option<TokenParties>,
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
    /// What a token that was exchanged says of that.
    pub(crate) exchanged: Option<Exchanged>,
    /// `status`, where the client has a list.
    pub(crate) status: Option<StatusReference>,
    /// `cnf`, where the token is bound.
    pub(crate) confirmation: Option<Confirmation>,
    /// The client's own claims.
    pub(crate) own: Arc<Map<String, Value>>,
}

/// Whom a token names.
#[derive(Clone, Debug)]
pub(crate) struct TokenParties {
    /// `sub`: the client to which the permissions were granted.
    pub(crate) subject: ClientId,
    /// `client_id`: the client that fetched the token.
    pub(crate) client: ClientId,
}

/// What a token says of the exchanges that led to it (RFC 8693).
#[derive(Clone, Debug)]
pub(crate) struct Exchanged {
    /// `exchanges`: how many there were.
    pub(crate) exchanges: u32,
    /// `auth_time`: the `iat` of the first token (RFC 9068 section 2.2.1), by which a revocation of the
    /// subject finds what came of its tokens.
    pub(crate) authenticated_at: i64,
    /// `act`: the clients that exchanged, the last one first (RFC 8693 section 4.1).
    pub(crate) actors: Vec<ClientId>,
}

impl Exchanged {
    /// The actors, each with those before it inside.
    fn act(&self) -> Value {
        self.actors.iter().rev().fold(Value::Null, |earlier, actor| {
            let mut act = Map::new();
            act.insert("sub".to_owned(), actor.as_str().into());
            if !earlier.is_null() {
                act.insert("act".to_owned(), earlier);
            }
            Value::Object(act)
        })
    }
}

impl Serialize for AccessTokenClaims {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("iss", &self.issuer)?;
        if let Some(named) = &self.named {
            map.serialize_entry("sub", &named.subject)?;
        }
        map.serialize_entry("aud", &self.audience)?;
        map.serialize_entry("exp", &self.expires_at)?;
        map.serialize_entry("iat", &self.issued_at)?;
        map.serialize_entry("jti", &self.token_id)?;
        if let Some(named) = &self.named {
            map.serialize_entry("client_id", &named.client)?;
        }
        if !self.scopes.is_empty() {
            map.serialize_entry("scope", &self.scopes)?;
        }
        if !self.roles.is_empty() {
            map.serialize_entry("roles", &self.roles)?;
        }
        if let Some(exchanged) = &self.exchanged {
            map.serialize_entry("auth_time", &exchanged.authenticated_at)?;
            map.serialize_entry("exchanges", &exchanged.exchanges)?;
            map.serialize_entry("act", &exchanged.act())?;
        }
        if let Some(status) = &self.status {
            map.serialize_entry("status", status)?;
        }
        if let Some(confirmation) = &self.confirmation {
            map.serialize_entry(Confirmation::CLAIM, confirmation)?;
        }
        for (name, value) in self.own.iter() {
            map.serialize_entry(name, value)?;
        }
        map.end()
    }
}
