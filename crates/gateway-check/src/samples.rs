//! Who asks and for what, made from the policies: requests that must pass, and requests that must not.

use std::{collections::BTreeSet, sync::Arc};

use jeton_oauth::{ApiName, ClientId, Issuer, TokenId};
use jeton_policy::{
    Method, Permissions, PolicySet, ProtectedApi,
    clients::{Client, ClientKind, ClientState},
};
use jeton_verify::{AT_JWT, gateway::header_text};
use serde_json::{Map, Value, json};

use super::{CheckError, certificates, gateway::CheckedGateway, proofs::ProofKey};

/// Whose token a request shows, and what an upstream may learn of it.
pub(crate) struct SampleBearer {
    /// For the report.
    pub(crate) name: String,
    /// The token, if the request has one.
    pub(crate) token: Option<String>,
    /// The key that the token is bound to, with which its bearer proves that it is its own.
    pub(crate) key: Option<Arc<ProofKey>>,
    /// What it carries; nothing without a token.
    pub(crate) permissions: Option<Permissions>,
    /// Whom it names, also where that is not what `client:` conditions see.
    pub(crate) client: Option<ClientId>,
    /// Its name.
    pub(crate) token_id: Option<TokenId>,
    /// Where it is good; nothing without a token.
    pub(crate) api: Option<ApiName>,
    /// Whether it is a client of the policies.
    pub(crate) is_client: bool,
}

/// A request without its headers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Sample {
    pub(crate) method: String,
    pub(crate) path: String,
    /// By position in [`CheckPlan::bearers`].
    pub(crate) bearer: usize,
    /// Whether it needs a token.
    pub(crate) needs_token: bool,
}

/// A path at which a bearer may use one method and not another.
#[derive(Clone, Debug)]
pub(crate) struct Methods {
    pub(crate) path: String,
    pub(crate) bearer: usize,
    pub(crate) allowed: String,
    pub(crate) refused: String,
}

/// What is allowed to a client, with tokens that only their holder can use.
#[derive(Clone)]
pub(crate) struct BoundSample {
    /// With a token that is bound to a key.
    pub(crate) by_key: Sample,
    /// With one that is bound to a certificate, which nobody can show here.
    pub(crate) by_certificate: Sample,
    /// The same client with a token that is not bound, by position in [`CheckPlan::bearers`].
    pub(crate) unbound: usize,
    /// A key to which no token is bound.
    pub(crate) other_key: Arc<ProofKey>,
}

/// A host behind the gateway, and what attacks on it are made of.
#[derive(Clone)]
pub(crate) struct Site<'p> {
    /// What `Host` has to be.
    pub(crate) host: String,
    /// By which clients ask, where it is known.
    pub(crate) origin: Option<String>,
    pub(crate) api: &'p ProtectedApi,
    /// Requests that must pass.
    pub(crate) allowed: Vec<Sample>,
    /// Requests that must not.
    pub(crate) refused: Vec<Sample>,
    pub(crate) methods: Vec<Methods>,
    /// Where some request of a client needs a token.
    pub(crate) bound: Option<BoundSample>,
}

impl Site<'_> {
    /// A request of this bearer that passes.
    pub(crate) fn allowed_for(&self, bearer: usize) -> Option<&Sample> {
        self.allowed.iter().find(|sample| sample.bearer == bearer)
    }

    /// One that passes with its token and without it does not.
    pub(crate) fn needs_token(&self) -> Option<&Sample> {
        self.allowed.iter().find(|sample| sample.needs_token)
    }
}

/// Who asks where.
pub(crate) struct CheckPlan<'p> {
    /// The first shows no token.
    pub(crate) bearers: Vec<SampleBearer>,
    pub(crate) sites: Vec<Site<'p>>,
    /// What takes no part, and why.
    pub(crate) left_out: Vec<String>,
}

/// How long tokens of a check live, in seconds.
pub const TOKEN_TTL: i64 = 600;
/// The most clients that take part.
const MOST_CLIENTS: usize = 6;
/// The most samples of either sort for one bearer.
const MOST_OF_A_BEARER: usize = 8;
/// The most texts that stand for a parameter.
const MOST_VALUES: usize = 4;

/// Makes tokens as the service issues them.
pub trait TokenMint {
    /// The `iss` of its tokens.
    fn issuer(&self) -> &Issuer;

    /// What time it is, in seconds since 1970.
    fn now(&self) -> i64;

    /// A name of 22 characters that no other token has.
    ///
    /// # Errors
    /// [`CheckError::Mint`].
    fn token_id(&self) -> Result<TokenId, CheckError>;

    /// The compact JWS of these claims, with this `typ`.
    ///
    /// # Errors
    /// [`CheckError::Mint`].
    fn sign(&self, typ: &str, claims: &Map<String, Value>) -> Result<String, CheckError>;
}

/// What a token is bound to.
#[derive(Clone)]
enum Binding {
    None,
    Key(Arc<ProofKey>),
    Certificate,
}

impl Binding {
    /// To a key of its own where the API takes no other tokens.
    fn of(api: &ProtectedApi) -> Result<Self, CheckError> {
        if api.bound_tokens() { ProofKey::generate().map(Self::Key) } else { Ok(Self::None) }
    }

    /// As the token says it.
    fn confirmation(&self) -> Option<Value> {
        match self {
            Self::None => None,
            Self::Key(key) => Some(key.confirmation()),
            Self::Certificate => Some(certificates::confirmation()),
        }
    }
}

/// What a client would get at this API, or a token that names nobody.
fn bearer(
    mint: &dyn TokenMint,
    api: &ProtectedApi,
    client: Option<&Client>,
    binding: &Binding,
) -> Result<SampleBearer, CheckError> {
    let grant = client.and_then(|client| client.grant_for(api.audience()));
    let named = client.filter(|client| client.kind == ClientKind::Named).map(|client| client.id.clone());
    let permissions = Permissions {
        client: named.clone(),
        sub: named.clone(),
        scopes: grant.map(|grant| grant.scopes.clone()).unwrap_or_default(),
        roles: grant.map(|grant| grant.roles_within(&grant.scopes)).unwrap_or_default(),
        claims: client.map(|client| Map::clone(&client.claims)).unwrap_or_default(),
    };
    let token_id = mint.token_id()?;
    let token = token(mint, api, &permissions, &token_id, binding)?;
    let key = match binding {
        Binding::Key(key) => Some(Arc::clone(key)),
        Binding::None | Binding::Certificate => None,
    };
    Ok(SampleBearer {
        name: client
            .map_or_else(|| "a token that allows nothing".to_owned(), |it| format!("client {}", it.id)),
        token: Some(token),
        key,
        permissions: Some(permissions),
        client: named,
        token_id: Some(token_id),
        api: Some(api.name().clone()),
        is_client: client.is_some(),
    })
}

fn token(
    mint: &dyn TokenMint,
    api: &ProtectedApi,
    permissions: &Permissions,
    token_id: &TokenId,
    binding: &Binding,
) -> Result<String, CheckError> {
    let now = mint.now();
    let mut claims = Map::from_iter([
        ("iss".to_owned(), json!(mint.issuer())),
        ("aud".to_owned(), json!(api.audience())),
        ("iat".to_owned(), json!(now)),
        ("exp".to_owned(), json!(now + TOKEN_TTL)),
        ("jti".to_owned(), json!(token_id)),
    ]);
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
    claims.extend(binding.confirmation().map(|cnf| ("cnf".to_owned(), cnf)));
    let typ = if permissions.client.is_some() { AT_JWT } else { "JWT" };
    mint.sign(typ, &claims)
}

impl<'p> CheckPlan<'p> {
    /// From what the policies say of the APIs at these hosts.
    pub(crate) fn of(
        policies: &PolicySet,
        gateway: &CheckedGateway<'p>,
        mint: &dyn TokenMint,
    ) -> Result<Self, CheckError> {
        let nobody = SampleBearer {
            name: "no token".to_owned(),
            token: None,
            key: None,
            permissions: None,
            client: None,
            token_id: None,
            api: None,
            is_client: false,
        };
        let mut plan = Self { bearers: vec![nobody], sites: Vec::new(), left_out: Vec::new() };
        for (host, &api) in &gateway.apis {
            let origin = gateway.origins.get(host).cloned();
            if let Some(same) = plan.sites.iter().find(|site| site.api.name() == api.name()) {
                plan.sites.push(Site { host: host.clone(), origin, ..same.clone() });
                continue;
            }
            if origin.is_none() {
                let name = api.name();
                let lacks = if api.bound_tokens() {
                    "it takes bound tokens alone, and the gateway has no `origin`"
                } else {
                    "tokens that are bound to a key, because the gateway has no `origin`"
                };
                plan.left_out.push(format!("the API `{name}` at {host}: {lacks}"));
                if api.bound_tokens() {
                    continue;
                }
            }
            let first = plan.bearers.len();
            plan.bearers.push(bearer(mint, api, None, &Binding::of(api)?)?);
            let clients = plan.clients(policies, api, gateway, mint.now());
            for client in &clients {
                plan.bearers.push(bearer(mint, api, Some(client), &Binding::of(api)?)?);
            }
            let here = std::iter::once(0).chain(first..plan.bearers.len());
            let mut site = Site::of(host.clone(), origin, api, &plan.bearers, here);
            site.bound = plan.bound(mint, &site, first + 1, &clients)?;
            if site.allowed.is_empty() {
                let name = api.name();
                plan.left_out.push(format!(
                    "the API `{name}` at {host}: no route lets any client pass, nor is one public"
                ));
            } else {
                plan.sites.push(site);
            }
        }
        Ok(plan)
    }

    /// The first of these clients to which something is allowed that needs a token, with tokens of each binding. The
    /// clients stand at `first` and behind it.
    fn bound(
        &mut self,
        mint: &dyn TokenMint,
        site: &Site<'_>,
        first: usize,
        clients: &[Arc<Client>],
    ) -> Result<Option<BoundSample>, CheckError> {
        let of_client = |sample: &&Sample| sample.needs_token && sample.bearer >= first;
        let Some(sample) = site.allowed.iter().find(of_client) else { return Ok(None) };
        let Some(client) = clients.get(sample.bearer - first) else { return Ok(None) };
        let mut with = |binding: Binding| {
            self.bearers.push(bearer(mint, site.api, Some(client), &binding)?);
            Ok::<_, CheckError>(self.bearers.len() - 1)
        };
        let by_key = with(Binding::Key(ProofKey::generate()?))?;
        let by_certificate = with(Binding::Certificate)?;
        let unbound = with(Binding::None)?;
        let of = |bearer: usize| Sample { bearer, ..sample.clone() };
        let (by_key, by_certificate) = (of(by_key), of(by_certificate));
        Ok(Some(BoundSample { by_key, by_certificate, unbound, other_key: ProofKey::generate()? }))
    }

    /// Clients whose tokens are in force, in the order of their names.
    fn clients(
        &mut self,
        policies: &PolicySet,
        api: &ProtectedApi,
        gateway: &CheckedGateway<'_>,
        now: i64,
    ) -> Vec<Arc<Client>> {
        let is_live = |client: &&Arc<Client>| {
            client.state == ClientState::Enabled && client.revoked_before.is_none_or(|before| before <= now)
        };
        let granted = |client: &&Arc<Client>| client.grant_for(api.audience()).is_some();
        let mut clients: Vec<_> =
            policies.clients().iter().filter(is_live).filter(granted).cloned().collect();
        clients.sort_by(|a, b| a.id.cmp(&b.id));
        clients.retain(|client| {
            let cannot = gateway.claims.iter().find(|claim| {
                client.claims.get(&claim.claim).is_some_and(|value| header_text(value).is_none())
            });
            self.left_out.extend(cannot.map(|claim| {
                format!(
                    "the client `{}`: no header can carry its claim `{}`, so jeton refuses all of its requests",
                    client.id, claim.claim
                )
            }));
            cannot.is_none()
        });
        if clients.len() > MOST_CLIENTS {
            let rest = clients.len() - MOST_CLIENTS;
            self.left_out.push(format!("{rest} more clients of the API `{}`", api.name()));
            clients.truncate(MOST_CLIENTS);
        }
        clients
    }
}

impl<'p> Site<'p> {
    fn of(
        host: String,
        origin: Option<String>,
        api: &'p ProtectedApi,
        bearers: &[SampleBearer],
        mine: impl Iterator<Item = usize> + Clone,
    ) -> Self {
        let values = values(mine.clone().filter_map(|at| bearers.get(at)));
        let mut site = Self {
            host,
            origin,
            api,
            allowed: Vec::new(),
            refused: Vec::new(),
            methods: Vec::new(),
            bound: None,
        };
        for (bearer, who) in mine.filter_map(|at| Some((at, bearers.get(at)?))) {
            let subject = who.permissions.as_ref().map(Permissions::subject);
            let passes =
                |method: Method, path: &str| api.decide(method.as_str(), path, subject.as_ref()).is_allowed();
            let (mut allowed, mut refused) = (Vec::new(), Vec::new());
            for (method, path) in api.sample_requests(&values) {
                let needs_token = !api.decide(method.as_str(), &path, None).is_allowed();
                let passes = passes(method, &path);
                let sample = Sample { method: method.to_string(), path, bearer, needs_token };
                let samples = if passes { &mut allowed } else { &mut refused };
                if !samples.contains(&sample) {
                    samples.push(sample);
                }
            }
            // what anybody may says little
            allowed.sort_by_key(|sample| !sample.needs_token);
            let methods = allowed.iter().rev().filter_map(|sample| {
                let is_used = |method: Method| {
                    refused.iter().any(|it| it.path == sample.path && it.method == method.as_str())
                };
                let may_not = |method: &Method| !passes(*method, &sample.path);
                let worth = |method: &Method| (is_used(*method), *method != Method::Options);
                let refused = Method::ALL.into_iter().filter(may_not).max_by_key(worth)?;
                let (path, allowed) = (sample.path.clone(), sample.method.clone());
                let methods = Methods { path, bearer, allowed, refused: refused.to_string() };
                Some((is_used(refused), methods))
            });
            let methods = methods.max_by_key(|(is_used, _)| *is_used).map(|(_, methods)| methods);
            if refused.is_empty() {
                // whoever may do all that is written
                refused.extend(methods.as_ref().map(|it| Sample {
                    method: it.refused.clone(),
                    path: it.path.clone(),
                    bearer,
                    needs_token: true,
                }));
            }
            allowed.truncate(MOST_OF_A_BEARER);
            refused.truncate(MOST_OF_A_BEARER);
            site.allowed.append(&mut allowed);
            site.refused.append(&mut refused);
            site.methods.extend(methods);
        }
        site
    }
}

/// Texts for parameters: what tokens carry, for conditions compare with that, and one that none carries.
fn values<'b>(bearers: impl Iterator<Item = &'b SampleBearer>) -> Vec<String> {
    let mut texts = BTreeSet::new();
    let mut clients = BTreeSet::new();
    for permissions in bearers.filter_map(|bearer| bearer.permissions.as_ref()) {
        permissions.claims.values().for_each(|value| collect_texts(value, &mut texts));
        clients.extend(permissions.sub.as_ref().map(ToString::to_string));
    }
    let fits = |text: &String| {
        !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
    };
    let texts = texts.into_iter().chain(clients).filter(fits);
    std::iter::once("some-value".to_owned()).chain(texts).take(MOST_VALUES).collect()
}

/// The texts in a claim and the digits of its numbers, however deep they stand.
fn collect_texts(value: &Value, into: &mut BTreeSet<String>) {
    match value {
        Value::Array(items) => items.iter().for_each(|item| collect_texts(item, into)),
        Value::Object(members) => members.values().for_each(|member| collect_texts(member, into)),
        Value::String(text) => drop(into.insert(text.clone())),
        Value::Number(number) => drop(into.insert(number.to_string())),
        Value::Null | Value::Bool(_) => {}
    }
}
