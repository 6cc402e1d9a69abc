//! Routes that no client reaches.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use serde_json::{Map, Value};

use super::{Lint, routes};
use crate::{
    clients::{ClientKind, ClientState},
    oauth::ClientId,
    policy::{
        condition::{Alternative, ClaimTest, Condition},
        explain::Permissions,
        finding::Code,
        matrix,
        set::{Api, PolicySet},
        space::{Known, RouteIndex, is_segment},
    },
};

pub(super) fn lint(policies: &PolicySet, api: &Api, index: &RouteIndex<'_>, into: &mut Vec<Lint>) {
    let bearers = bearers(policies, api, index);
    let asks_nothing = |id| api.access(id).is_none_or(|(_, access)| access.is_public());
    if bearers.is_empty() && !routes(api).all(|(id, _)| asks_nothing(id)) {
        // once, for all of them
        return into.push(Lint {
            route: None,
            code: Code::UnreachableRoute,
            message: format!(
                "no enabled client has a grant for API `{}`, so none can reach its routes",
                api.name()
            ),
            hint: "grant a client what the rules ask".to_owned(),
        });
    }
    let by_carried = BearerIndex::new(&bearers);
    for (id, route) in routes(api) {
        let Some((_, access)) = api.access(id) else { continue };
        let is_reached = access.is_public()
            || api.routes.alternatives(access).any(|alternative| {
                by_carried.any_for(alternative, &|bearer| {
                    alternative.may_hold(&bearer.subject())
                        && !matrix::reach(api, index, id, bearer).is_never()
                })
            });
        if !is_reached {
            into.push(Lint {
                route: Some(id),
                code: Code::UnreachableRoute,
                message: format!("no client can reach `{route}`"),
                hint: "grant a client what the rule asks, or remove the route".to_owned(),
            });
        }
    }
}

/// Bearers by what they carry.
struct BearerIndex<'b> {
    all: &'b [Permissions],
    carrying: HashMap<Carried<'b>, Vec<&'b Permissions>>,
}

/// One thing that a condition asks for by its name.
#[derive(PartialEq, Eq, Hash)]
enum Carried<'b> {
    Scope(&'b str),
    Role(&'b str),
    Client(&'b str),
    /// A claim that is a text.
    Claim(&'b str, &'b str),
    /// A text in a claim that is a list.
    Item(&'b str, &'b str),
}

impl<'b> BearerIndex<'b> {
    fn new(all: &'b [Permissions]) -> Self {
        let mut carrying: HashMap<_, Vec<_>> = HashMap::new();
        for bearer in all {
            let Permissions { client, scopes, roles, claims } = bearer;
            let texts = claims.iter().filter_map(|(name, value)| Some((name.as_str(), value.as_str()?)));
            let lists = claims.iter().filter_map(|(name, value)| Some((name.as_str(), value.as_array()?)));
            let items = lists.flat_map(|(name, items)| {
                let texts: HashSet<_> = items.iter().filter_map(Value::as_str).collect();
                texts.into_iter().map(move |text| Carried::Item(name, text))
            });
            let carried = scopes
                .iter()
                .map(|scope| Carried::Scope(scope.as_str()))
                .chain(roles.iter().map(|role| Carried::Role(role.as_str())))
                .chain(client.iter().map(|client| Carried::Client(client.as_str())))
                .chain(texts.map(|(name, value)| Carried::Claim(name, value)))
                .chain(items);
            carried.for_each(|carried| carrying.entry(carried).or_default().push(bearer));
        }
        Self { all, carrying }
    }

    /// Whether a bearer is as asked, of those that meet the rarest condition of the alternative.
    fn any_for(&self, alternative: Alternative<'_>, is_so: &dyn Fn(&Permissions) -> bool) -> bool {
        let by_condition = alternative.0.iter().filter_map(|condition| {
            let asked: Vec<Carried<'_>> = match condition {
                Condition::Scope(scope) => vec![Carried::Scope(scope.as_str())],
                Condition::AnyScope(scopes) => {
                    scopes.iter().map(|scope| Carried::Scope(scope.as_str())).collect()
                }
                Condition::AllScopes(scopes) => {
                    scopes.first().map(|scope| Carried::Scope(scope.as_str())).into_iter().collect()
                }
                Condition::Role(role) => vec![Carried::Role(role.as_str())],
                Condition::AnyRole(roles) => roles.iter().map(|role| Carried::Role(role.as_str())).collect(),
                Condition::Client(client) => vec![Carried::Client(client.as_str())],
                Condition::AnyClient(clients) => {
                    clients.iter().map(|client| Carried::Client(client.as_str())).collect()
                }
                Condition::Claim { name, test } => match test {
                    ClaimTest::Is(value) => vec![Carried::Claim(name, value)],
                    ClaimTest::In(values) => values.iter().map(|value| Carried::Claim(name, value)).collect(),
                    ClaimTest::Contains(value) => vec![Carried::Item(name, value)],
                    ClaimTest::SameAsPath(_) | ClaimTest::ContainsPath(_) => return None,
                },
            };
            Some(asked.iter().filter_map(|asked| self.carrying.get(asked)).collect::<Vec<_>>())
        });
        match by_condition.min_by_key(|found| found.iter().map(|some| some.len()).sum::<usize>()) {
            Some(found) => found.into_iter().flatten().any(|bearer| is_so(bearer)),
            None => self.all.iter().any(is_so),
        }
    }
}

/// One client for each set of clients that the conditions of the API cannot tell apart.
fn bearers(policies: &PolicySet, api: &Api, index: &RouteIndex<'_>) -> Vec<Permissions> {
    let told_apart = ToldApart::by(api, index);
    let mut bearers = HashMap::new();
    for client in policies.clients().iter().filter(|client| client.state == ClientState::Enabled) {
        let Some(grant) = client.grants.iter().find(|grant| grant.api == *api.name()) else { continue };
        let id = match client.kind {
            ClientKind::Named if told_apart.clients.contains(client.id.as_str()) => Some(&client.id),
            ClientKind::Named | ClientKind::Anonymous => None,
        };
        let roles: Vec<_> = grant.roles.iter().map(|role| &role.role).collect();
        let key = (id, &grant.scopes, roles, told_apart.claims_of(&client.claims));
        let permissions =
            || policies.permissions_of(client.id.as_str(), api.name().as_str()).unwrap_or_default();
        bearers.entry(key).or_insert_with(permissions);
    }
    bearers.into_values().collect::<Vec<_>>()
}

/// What the conditions of an API look at.
struct ToldApart<'p> {
    clients: BTreeSet<&'p str>,
    /// By claim: the values that are compared with.
    claims: BTreeMap<&'p str, BTreeSet<&'p str>>,
    index: &'p RouteIndex<'p>,
}

/// A claim as far as conditions tell it apart from others. A value that nothing names counts by the claims
/// that have it, for two may be compared with one segment.
#[derive(PartialEq, Eq, Hash)]
enum ClaimKind<'v> {
    Absent,
    Named(&'v str),
    Text { of: Option<Vec<usize>> },
    List(BTreeSet<&'v str>, BTreeSet<Vec<usize>>),
    OfNoUse,
}

impl<'p> ToldApart<'p> {
    fn by(api: &'p Api, index: &'p RouteIndex<'p>) -> Self {
        let mut apart = Self { clients: BTreeSet::new(), claims: BTreeMap::new(), index };
        for condition in &api.routes.conditions {
            match condition {
                Condition::Client(client) => drop(apart.clients.insert(client.as_str())),
                Condition::AnyClient(clients) => apart.clients.extend(clients.iter().map(ClientId::as_str)),
                Condition::Claim { name, test } => {
                    let values = apart.claims.entry(name).or_default();
                    match test {
                        ClaimTest::Is(value) | ClaimTest::Contains(value) => drop(values.insert(value)),
                        ClaimTest::In(all) => values.extend(all.iter().map(|value| &**value)),
                        ClaimTest::SameAsPath(_) | ClaimTest::ContainsPath(_) => {}
                    }
                }
                Condition::Scope(_)
                | Condition::AllScopes(_)
                | Condition::AnyScope(_)
                | Condition::Role(_)
                | Condition::AnyRole(_) => {}
            }
        }
        apart
    }

    /// Whether routes may tell this value of a parameter from others: they name it, by itself or with an ending, or it
    /// may have an ending itself.
    fn is_known(&self, value: &str) -> bool {
        let names = |segment: &str| self.index.known(segment) == Known::Name;
        let mut endings = self.index.endings().peekable();
        names(value)
            || (endings.peek().is_some() && value.contains([':', '.']))
            || endings.any(|ending| names(&format!("{value}{ending}")))
    }

    fn claims_of<'v>(&self, claims: &'v Map<String, Value>) -> Vec<ClaimKind<'v>> {
        let texts = |name: &str| -> Vec<&'v str> {
            match claims.get(name) {
                Some(Value::Array(items)) => items.iter().filter_map(Value::as_str).collect(),
                other => other.and_then(Value::as_str).into_iter().collect(),
            }
        };
        let mut having: HashMap<&str, Vec<usize>> = HashMap::new();
        for (at, name) in self.claims.keys().enumerate() {
            for text in texts(name) {
                let claims = having.entry(text).or_default();
                if claims.last() != Some(&at) {
                    claims.push(at);
                }
            }
        }
        // the claims that have a value, where a path can have it
        let of = |text: &str| having.get(text).filter(|_| is_segment(text)).cloned();
        let each = self.claims.iter().map(|(name, values)| {
            let is_named = |text: &str| values.contains(text) || self.is_known(text);
            match claims.get(*name) {
                None => ClaimKind::Absent,
                Some(Value::String(text)) if is_named(text) => ClaimKind::Named(text),
                Some(Value::String(text)) => ClaimKind::Text { of: of(text) },
                Some(Value::Array(_)) => {
                    let (named, others): (Vec<_>, Vec<_>) =
                        texts(name).into_iter().partition(|text| is_named(text));
                    ClaimKind::List(named.into_iter().collect(), others.into_iter().filter_map(of).collect())
                }
                Some(_) => ClaimKind::OfNoUse,
            }
        });
        each.collect()
    }
}
