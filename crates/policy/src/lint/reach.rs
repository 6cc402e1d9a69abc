//! Routes that no client reaches.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use jeton_oauth::{ClientId, Role, ScopeSet};
use serde_json::{Map, Value};

use super::{Lint, routes};
use crate::{
    claim::{ClaimName, ClaimValue},
    clients::{ClientKind, ClientState},
    condition::{Alternative, ClaimTest, Condition},
    finding::FindingCode,
    matrix,
    set::{PolicySet, ProtectedApi},
    space::{Known, RouteIndex, is_segment},
    subject::Permissions,
};

pub(super) fn lint(policies: &PolicySet, api: &ProtectedApi, index: &RouteIndex<'_>, into: &mut Vec<Lint>) {
    let bearers = bearers(policies, api, index);
    let asks_nothing = |id| api.access(id).is_none_or(|(_, access)| access.is_public());
    if bearers.is_empty() && !routes(api).all(|(id, _)| asks_nothing(id)) {
        // once, for all of them
        return into.push(Lint {
            route: None,
            code: FindingCode::UnreachableRoute,
            message: format!(
                "no enabled client has a grant for API `{}`, so no client can reach its routes",
                api.name()
            ),
            hint: "grant a client what the rules require".to_owned(),
        });
    }
    let by_carried = BearerIndex::new(&bearers, api);
    let taking_over = TakingOver::of(policies, api);
    for (id, route) in routes(api) {
        let Some((_, access)) = api.access(id) else { continue };
        let is_reached = access.is_public()
            || api.routes.alternatives(access).any(|alternative| {
                by_carried.any_for(alternative, &|bearer| {
                    alternative.may_hold(&bearer.subject())
                        && !matrix::reach(api, index, id, bearer).is_never()
                }) || taking_over.may_meet(alternative)
            });
        if !is_reached {
            into.push(Lint {
                route: Some(id),
                code: FindingCode::UnreachableRoute,
                message: format!("no client can reach `{route}`"),
                hint: "grant a client what the rule requires, or remove the route".to_owned(),
            });
        }
    }
}

/// What clients are granted whose tokens take over claims from those of other issuers: nobody knows yet which values
/// these have.
struct TakingOver<'p>(HashSet<(&'p ScopeSet, Vec<&'p Role>)>);

impl<'p> TakingOver<'p> {
    fn of(policies: &'p PolicySet, api: &ProtectedApi) -> Self {
        let clients = policies.clients().iter().filter(|client| {
            let mut federated = client.federated.iter();
            client.state == ClientState::Enabled
                && federated.any(|terms| terms.claims_from().next().is_some())
        });
        let grants = clients.flat_map(|client| client.grants.iter()).filter(|grant| grant.api == *api.name());
        Self(
            grants
                .map(|grant| (&grant.scopes, grant.roles.iter().map(|role| &role.role).collect()))
                .collect(),
        )
    }

    /// Whether one of them may, as far as scopes and roles go.
    fn may_meet(&self, alternative: Alternative<'_>) -> bool {
        self.0.iter().any(|(scopes, roles)| {
            alternative.0.iter().all(|condition| match condition {
                Condition::Scope(scope) => scopes.contains(scope),
                Condition::AllScopes(all) => all.iter().all(|scope| scopes.contains(scope)),
                Condition::AnyScope(any) => any.iter().any(|scope| scopes.contains(scope)),
                Condition::Role(role) => roles.contains(&role),
                Condition::AnyRole(any) => any.iter().any(|role| roles.contains(&role)),
                Condition::Client(_) | Condition::AnyClient(_) | Condition::Claim { .. } => true,
            })
        })
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
    Claim(&'b ClaimName, ClaimValue),
    /// A value in a claim that is a list.
    Item(&'b ClaimName, ClaimValue),
}

impl<'b> BearerIndex<'b> {
    fn new(all: &'b [Permissions], api: &'b ProtectedApi) -> Self {
        let claims = api.routes.conditions.iter().filter_map(|condition| match condition {
            Condition::Claim { name, test } if !test.values().is_empty() => Some(name),
            _ => None,
        });
        let claims: BTreeSet<_> = claims.collect();
        let mut carrying: HashMap<_, Vec<_>> = HashMap::new();
        for bearer in all {
            let Permissions { client, scopes, roles, .. } = bearer;
            let subject = bearer.subject();
            let claims = claims.iter().filter_map(|name| Some((*name, name.find(&subject)?)));
            let claims = claims.flat_map(|(name, claim)| {
                let value = claim.value().map(|value| Carried::Claim(name, value));
                let items: HashSet<_> = claim.items().iter().filter_map(ClaimValue::of).collect();
                value.into_iter().chain(items.into_iter().map(move |item| Carried::Item(name, item)))
            });
            let carried = scopes
                .iter()
                .map(|scope| Carried::Scope(scope.as_str()))
                .chain(roles.iter().map(|role| Carried::Role(role.as_str())))
                .chain(client.iter().map(|client| Carried::Client(client.as_str())))
                .chain(claims);
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
                    ClaimTest::Is(_) | ClaimTest::In(_) => {
                        test.values().iter().map(|value| Carried::Claim(name, value.clone())).collect()
                    }
                    ClaimTest::Contains(value) => vec![Carried::Item(name, value.clone())],
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
fn bearers(policies: &PolicySet, api: &ProtectedApi, index: &RouteIndex<'_>) -> Vec<Permissions> {
    let told_apart = ToldApart::by(api, index);
    let mut bearers = HashMap::new();
    for client in policies.clients().iter().filter(|client| client.state == ClientState::Enabled) {
        let Some(grant) = client.grants.iter().find(|grant| grant.api == *api.name()) else { continue };
        let is_named = client.kind == ClientKind::Named;
        let id = Some(&client.id).filter(|id| is_named && told_apart.has(id));
        let roles: Vec<_> = grant.roles.iter().map(|role| &role.role).collect();
        let has_sub = is_named && told_apart.by_sub;
        let key = (id, has_sub, &grant.scopes, roles, told_apart.claims_of(&client.claims));
        let permissions =
            || policies.permissions_of(client.id.as_str(), api.name().as_str()).unwrap_or_default();
        bearers.entry(key).or_insert_with(permissions);
    }
    bearers.into_values().collect::<Vec<_>>()
}

/// What the conditions of an API look at.
struct ToldApart<'p> {
    clients: BTreeSet<&'p str>,
    /// Whether a condition is about `sub`, so that each client is another one.
    by_sub: bool,
    /// By claim: the values that are compared with.
    claims: BTreeMap<&'p ClaimName, BTreeSet<&'p ClaimValue>>,
    index: &'p RouteIndex<'p>,
}

/// A claim as far as conditions tell it apart from others. A value that nothing names counts by the claims
/// that have it, for two may be compared with one segment.
#[derive(PartialEq, Eq, Hash)]
enum ClaimKind {
    Absent,
    Named(ClaimValue),
    Other { of: Option<Vec<usize>> },
    List(BTreeSet<ClaimValue>, BTreeSet<Vec<usize>>),
    OfNoUse,
}

impl<'p> ToldApart<'p> {
    fn by(api: &'p ProtectedApi, index: &'p RouteIndex<'p>) -> Self {
        let mut apart = Self { clients: BTreeSet::new(), by_sub: false, claims: BTreeMap::new(), index };
        for condition in &api.routes.conditions {
            match condition {
                Condition::Client(client) => drop(apart.clients.insert(client.as_str())),
                Condition::AnyClient(clients) => apart.clients.extend(clients.iter().map(ClientId::as_str)),
                Condition::Claim { name: ClaimName::Sub, .. } => apart.by_sub = true,
                Condition::Claim { name, test } => {
                    apart.claims.entry(name).or_default().extend(test.values());
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

    fn has(&self, client: &ClientId) -> bool {
        self.by_sub || self.clients.contains(client.as_str())
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

    fn claims_of(&self, claims: &Map<String, Value>) -> Vec<ClaimKind> {
        let values = |name: &ClaimName| -> Vec<ClaimValue> {
            match name.find_in(claims) {
                Some(Value::Array(items)) => items.iter().filter_map(ClaimValue::of).collect(),
                other => other.and_then(ClaimValue::of).into_iter().collect(),
            }
        };
        let mut having: HashMap<String, Vec<usize>> = HashMap::new();
        for (at, name) in self.claims.keys().enumerate() {
            for text in values(name).iter().filter_map(ClaimValue::path_text) {
                let claims = having.entry(text.into_owned()).or_default();
                if claims.last() != Some(&at) {
                    claims.push(at);
                }
            }
        }
        // the claims that have a value, where a path can have it
        let of = |value: &ClaimValue| {
            let text = value.path_text().filter(|text| is_segment(text))?;
            having.get(&*text).cloned()
        };
        let each = self.claims.iter().map(|(name, named)| {
            let is_named = |value: &ClaimValue| {
                named.contains(value) || value.path_text().is_some_and(|text| self.is_known(&text))
            };
            match name.find_in(claims) {
                None => ClaimKind::Absent,
                Some(Value::Array(_)) => {
                    let (named, others): (Vec<_>, Vec<_>) = values(name).into_iter().partition(is_named);
                    ClaimKind::List(named.into_iter().collect(), others.iter().filter_map(of).collect())
                }
                Some(value) => match ClaimValue::of(value) {
                    Some(value) if is_named(&value) => ClaimKind::Named(value),
                    Some(ClaimValue::Truth(_)) | None => ClaimKind::OfNoUse,
                    Some(value) => ClaimKind::Other { of: of(&value) },
                },
            }
        });
        each.collect()
    }
}
