//! The clients that the policies name, and what each may ask for.

use std::sync::Arc;

use jeton_jose::ForeignKey;
use jeton_oauth::{ApiName, Audience, ClientId, RateLimit, Role, ScopeSet};
use rustc_hash::FxHashMap;
use serde_json::{Map, Value};

use super::{CertificateTerms, StoredSecret};
use crate::federation::FederatedTerms;

/// The most public keys that a client may have: enough to change over, and the most signatures that are checked
/// for one assertion.
pub const MOST_KEYS: usize = 4;

/// The most secrets that a client may have, and the number of comparisons that are made for each that is sent: enough
/// to rotate for a year without tidying up.
pub const MOST_SECRETS: usize = 16;

/// A machine that may fetch tokens.
#[derive(Clone, Debug, PartialEq)]
pub struct Client {
    /// Its identifier.
    pub id: ClientId,
    /// Whether it may do anything at all.
    pub state: ClientState,
    /// Whether its tokens name it.
    pub kind: ClientKind,
    /// The secrets that it may use.
    pub secrets: Vec<StoredSecret>,
    /// The public keys that verify its assertions.
    pub public_keys: Vec<ForeignKey>,
    /// Which certificates stand for it, each entry by itself.
    pub certificates: Vec<CertificateTerms>,
    /// `bound_tokens: true`: it gets only tokens that are bound to its key or certificate.
    pub bound_tokens: bool,
    /// Which tokens of other issuers stand for it, each entry by itself.
    pub federated: Vec<FederatedTerms>,
    /// What else it may do at the endpoints for clients.
    pub abilities: Abilities,
    /// `revoked_before`: tokens issued before it, in seconds since 1970, are ended.
    pub revoked_before: Option<i64>,
    /// What it may ask for, one entry for each API. Clients that are granted the same share them.
    pub grants: Arc<[ApiGrant]>,
    /// The claims that each of its tokens carries.
    pub claims: Arc<Map<String, Value>>,
    /// The lifetime of its tokens in seconds, where it has its own.
    pub ttl: Option<u64>,
    /// How many tokens it may ask for, where it has its own limit.
    pub limit: Option<RateLimit>,
}

impl Client {
    /// What it is granted at the API of this audience.
    pub fn grant_for(&self, audience: &Audience) -> Option<&ApiGrant> {
        self.grants.iter().find(|grant| grant.audience == *audience)
    }

    /// Whether its tokens point to a status list, where those clients have one `by_default` of which the
    /// policies say nothing. A token that names nobody points to none, which would name its client.
    pub fn has_status_list(&self, by_default: bool) -> bool {
        self.kind == ClientKind::Named && self.abilities.status_list.unwrap_or(by_default)
    }
}

/// What a client may do beside fetching tokens for itself; nothing, unless the policies say so.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Abilities {
    /// `token_exchange: true`: it may exchange tokens for narrower ones (RFC 8693).
    pub token_exchange: bool,
    /// `refresh: true`: it gets refresh tokens.
    pub refresh: bool,
    /// `introspect`: the APIs whose tokens it may introspect (RFC 7662).
    pub introspect: IntrospectedApis,
    /// `strict_assertions: true`: its assertions name the issuer alone, and their type.
    pub strict_assertions: bool,
    /// `status_list`, where it is given: whether its tokens point to a status list.
    pub status_list: Option<bool>,
}

/// The APIs whose tokens a client may introspect.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum IntrospectedApis {
    /// Of none: it may not ask.
    #[default]
    None,
    /// `introspect: true`: of all.
    All,
    /// A list of them, in the order of their names.
    Only(Arc<[ApiName]>),
}

/// Whether a client may do anything at all.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ClientState {
    /// It may.
    Enabled,
    /// `enabled: false`.
    Disabled,
}

/// Whether a client's tokens name it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ClientKind {
    /// Its tokens carry `sub` and `client_id`.
    Named,
    /// `anonymous: true`: they carry neither.
    Anonymous,
}

/// What a client may ask for at one API.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct ApiGrant {
    /// The API.
    pub api: ApiName,
    /// The `aud` of its tokens.
    pub audience: Audience,
    /// Every scope, those of the roles included.
    pub scopes: ScopeSet,
    /// The roles.
    pub roles: Vec<GrantedRole>,
}

/// A role and the scopes that a token must all carry to carry the role.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct GrantedRole {
    /// Its name.
    pub role: Role,
    /// Its scopes.
    pub scopes: ScopeSet,
}

impl ApiGrant {
    /// The roles of a token with these scopes: the ones whose scopes are all there.
    pub fn roles_within(&self, scopes: &ScopeSet) -> Vec<Role> {
        let whole = self.roles.iter().filter(|role| role.scopes.is_subset(scopes));
        whole.map(|role| role.role.clone()).collect()
    }
}

/// Every client, by id.
#[derive(Clone, Debug, Default)]
pub struct ClientRegistry(FxHashMap<ClientId, Arc<Client>>);

impl ClientRegistry {
    /// The client of this id.
    pub fn find(&self, id: &str) -> Option<&Arc<Client>> {
        self.0.get(id)
    }

    /// Every client, in no particular order.
    pub fn iter(&self) -> impl Iterator<Item = &Arc<Client>> {
        self.0.values()
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether it is empty.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl FromIterator<Client> for ClientRegistry {
    fn from_iter<I: IntoIterator<Item = Client>>(clients: I) -> Self {
        Self(clients.into_iter().map(|client| (client.id.clone(), Arc::new(client))).collect())
    }
}
