//! Who asks and for what, made from the policies: requests that must pass, and requests that must not.

use std::{collections::BTreeSet, sync::Arc};

use anyhow::Context;
use serde_json::{Map, Value, json};

use crate::{
    clients::{Client, ClientKind, ClientState},
    clock::Clock,
    grant::random_id,
    keys::KeyRing,
    oauth::{ClientId, Issuer, TokenId},
    policy::{Api, Permissions, PolicySet},
};

/// Whose token a request shows, and what an upstream may learn of it.
pub(super) struct Bearer {
    /// For the report.
    pub(super) name: String,
    /// The token, unless there is none.
    pub(super) token: Option<String>,
    /// What it carries; nothing without a token.
    pub(super) permissions: Option<Permissions>,
    /// Whom it names, also where that is not what `client:` conditions see.
    pub(super) client: Option<ClientId>,
    /// Its name.
    pub(super) token_id: Option<TokenId>,
}

/// A request without its headers.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Sample {
    pub(super) method: String,
    pub(super) path: String,
    /// By position in [`Samples::bearers`].
    pub(super) bearer: usize,
}

/// What attacks are made of.
pub(super) struct Samples {
    /// The first shows no token, the second one that allows nothing.
    pub(super) bearers: Vec<Bearer>,
    /// Requests that must pass.
    pub(super) allowed: Vec<Sample>,
    /// Requests that must not.
    pub(super) refused: Vec<Sample>,
    /// One that passes with its token and without it does not.
    pub(super) needs_token: Option<Sample>,
}

/// How long tokens of a check live, in seconds.
pub(super) const TTL: i64 = 600;
/// The most clients that take part.
const MOST_CLIENTS: usize = 6;
/// The most samples of either sort for one bearer.
const MOST_OF_A_BEARER: usize = 8;
/// The most texts that stand for a parameter.
const MOST_VALUES: usize = 4;

/// Makes tokens as the service issues them.
pub(super) struct Mint<'k> {
    pub(super) ring: &'k KeyRing,
    pub(super) issuer: &'k Issuer,
    pub(super) clock: &'k dyn Clock,
}

impl Mint<'_> {
    /// What a client would get at this API, or a token that names nobody.
    fn bearer(&self, api: &Api, client: Option<&Client>) -> anyhow::Result<Bearer> {
        let grant = client.and_then(|client| client.grant_for(api.audience().as_str()));
        let named = client.filter(|client| client.kind == ClientKind::Named).map(|client| client.id.clone());
        let permissions = Permissions {
            client: named.clone(),
            scopes: grant.map(|grant| grant.scopes.clone()).unwrap_or_default(),
            roles: grant.map(|grant| grant.roles_within(&grant.scopes)).unwrap_or_default(),
            claims: client.map(|client| Map::clone(&client.claims)).unwrap_or_default(),
        };
        let token_id = random_id().map_err(|_| anyhow::anyhow!("the system gives no random bytes"))?;
        let token = self.sign(api, &permissions, &token_id)?;
        Ok(Bearer {
            name: client
                .map_or_else(|| "a token that allows nothing".to_owned(), |it| format!("client {}", it.id)),
            token: Some(token),
            permissions: Some(permissions),
            client: named,
            token_id: Some(token_id),
        })
    }

    fn sign(&self, api: &Api, permissions: &Permissions, token_id: &TokenId) -> anyhow::Result<String> {
        let now = self.clock.numeric_date();
        let Value::Object(mut claims) = json!({
            "iss": self.issuer,
            "aud": api.audience(),
            "iat": now,
            "exp": now + TTL,
            "jti": token_id,
        }) else {
            anyhow::bail!("claims are an object");
        };
        if !permissions.scopes.is_empty() {
            claims.insert("scope".to_owned(), json!(permissions.scopes));
        }
        if !permissions.roles.is_empty() {
            claims.insert("roles".to_owned(), json!(permissions.roles));
        }
        if let Some(client) = &permissions.client {
            claims.insert("sub".to_owned(), json!(client));
            claims.insert("client_id".to_owned(), json!(client));
        }
        claims.extend(permissions.claims.clone());
        let typ = if permissions.client.is_some() { "at+jwt" } else { "JWT" };
        let signed = self.ring.signing().sign(typ, &claims);
        futures_util::FutureExt::now_or_never(signed)
            .context("the key does not sign at once")?
            .map_err(Into::into)
    }
}

impl Samples {
    /// From what the policies say of an API.
    pub(super) fn of(policies: &PolicySet, api: &Api, mint: &Mint<'_>) -> anyhow::Result<Self> {
        let nobody = Bearer {
            name: "no token".to_owned(),
            token: None,
            permissions: None,
            client: None,
            token_id: None,
        };
        let mut bearers = vec![nobody, mint.bearer(api, None)?];
        for client in clients(policies, api, mint.clock) {
            bearers.push(mint.bearer(api, Some(&client))?);
        }
        let values = values(&bearers);
        let (mut allowed, mut refused, mut needs_token) = (BTreeSet::new(), BTreeSet::new(), None);
        for (bearer, who) in bearers.iter().enumerate() {
            let subject = who.permissions.as_ref().map(Permissions::subject);
            let (mut passing, mut failing) = (0, 0);
            for (method, path) in api.sample_requests(&values) {
                let sample = || Sample { method: method.to_string(), path: path.clone(), bearer };
                let passes = |subject| api.decide(method.as_str(), &path, subject).is_allowed();
                if passes(subject.as_ref()) {
                    if needs_token.is_none() && !passes(None) {
                        needs_token = Some(sample());
                    }
                    if passing < MOST_OF_A_BEARER && allowed.insert(sample()) {
                        passing += 1;
                    }
                } else if failing < MOST_OF_A_BEARER && refused.insert(sample()) {
                    failing += 1;
                }
            }
        }
        let (allowed, refused) = (allowed.into_iter().collect(), refused.into_iter().collect());
        Ok(Self { bearers, allowed, refused, needs_token })
    }
}

/// Clients whose tokens are in force, in the order of their names.
fn clients(policies: &PolicySet, api: &Api, clock: &dyn Clock) -> Vec<Arc<Client>> {
    let now = clock.numeric_date();
    let is_live = |client: &&Arc<Client>| {
        client.state == ClientState::Enabled && client.revoked_before.is_none_or(|before| before <= now)
    };
    let granted = |client: &&Arc<Client>| client.grant_for(api.audience().as_str()).is_some();
    let mut clients: Vec<_> = policies.clients().iter().filter(is_live).filter(granted).cloned().collect();
    clients.sort_by(|a, b| a.id.cmp(&b.id));
    clients.truncate(MOST_CLIENTS);
    clients
}

/// Texts for parameters: what tokens carry, for conditions compare with that, and one that none carries.
fn values(bearers: &[Bearer]) -> Vec<String> {
    let claims = bearers.iter().filter_map(|bearer| bearer.permissions.as_ref());
    let claims = claims.flat_map(|permissions| permissions.claims.values());
    let texts = claims.flat_map(|value| match value {
        Value::Array(items) => items.iter().collect(),
        one => vec![one],
    });
    let fits = |text: &&str| {
        !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
    };
    let texts: BTreeSet<_> = texts.filter_map(Value::as_str).filter(fits).map(str::to_owned).collect();
    std::iter::once("some-value".to_owned()).chain(texts).take(MOST_VALUES).collect()
}
