//! What an operator should look at in policies that load: routes that nobody reaches, and requests that a
//! backend may read differently.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use serde_json::{Map, Value};

use super::{
    condition::{Alternative, ClaimTest, Condition},
    explain::Permissions,
    finding::Code,
    matrix,
    path::CanonicalPath,
    route::{Method, Route, Segment},
    set::{Api, PolicySet},
    space::{Beyond, Compared, Grid, RouteIndex, Shape, Tail, is_segment},
    trie::RouteId,
};
use crate::{
    clients::{ClientKind, ClientState},
    oauth::ClientId,
};

/// A warning about an API.
pub(super) struct Lint {
    /// The route that it is about, or all of them.
    pub(super) route: Option<RouteId>,
    pub(super) code: Code,
    pub(super) message: String,
    pub(super) hint: String,
}

/// What is odd about an API.
pub(super) fn lints(policies: &PolicySet, api: &Api, index: &RouteIndex<'_>) -> Vec<Lint> {
    let mut lints = Vec::new();
    public_catch_alls(api, &mut lints);
    Backends { policies, api, index }.lint(&mut lints);
    unreachable_routes(policies, api, index, &mut lints);
    lints
}

fn routes(api: &Api) -> impl Iterator<Item = (RouteId, &Route)> {
    (0..).zip(&api.routes.written)
}

fn ends_in_rest(route: &Route) -> bool {
    matches!(route.segments.last(), Some(Segment::Rest))
}

fn public_catch_alls(api: &Api, into: &mut Vec<Lint>) {
    for (id, route) in routes(api) {
        if ends_in_rest(route) && api.access(id).is_some_and(|(_, access)| access.is_public()) {
            into.push(Lint {
                route: Some(id),
                code: Code::PublicCatchAll,
                message: format!("`{route}` is open to everybody, with whatever is added below it later"),
                hint: "name the paths that are public one by one".to_owned(),
            });
        }
    }
}

/// What a backend may take for another path or method than the policies do.
struct Backends<'a, 'p> {
    policies: &'p PolicySet,
    api: &'p Api,
    index: &'a RouteIndex<'p>,
}

impl<'p> Backends<'_, 'p> {
    fn lint(&self, into: &mut Vec<Lint>) {
        for (id, route) in routes(self.api) {
            let Some(shape) = self.index.shape(id) else { continue };
            let Some((rule, access)) = self.api.access(id) else { continue };
            // nothing asks for less than a public route
            if access.is_public() {
                continue;
            }
            for (other, common) in self.index.meeting(shape) {
                // the more specific one is the whole of what they have in common, the other one is more
                let is_inside = common.is_same_paths(shape);
                let is_wider = self.index.shape(other).is_some_and(|other| !other.is_same_paths(shape));
                let Some((other_rule, _)) = self.api.access(other) else { continue };
                if !is_inside || !is_wider || other_rule.name() == rule.name() {
                    continue;
                }
                self.method_hole(id, route, other, &common, into);
                self.look_alikes(id, route, other, &common, into);
            }
        }
    }

    /// A path that stands for all of `shape`.
    fn some_path(&self, shape: &Shape<'p>) -> Option<String> {
        let (shape, _) = shape.lengths(0).into_iter().next()?;
        let grid = Grid::for_any_token(shape, &Compared::default(), &|text| self.index.names(text));
        grid.points().into_iter().next().map(|(_, target)| target)
    }

    /// Another method at the path of a route is decided by a less specific one, which asks for less.
    fn method_hole(
        &self,
        id: RouteId,
        route: &Route,
        other: RouteId,
        common: &Shape<'p>,
        into: &mut Vec<Lint>,
    ) {
        let Some(target) = self.some_path(common) else { return };
        let Ok(path) = CanonicalPath::parse(&target) else { return };
        let hole = Method::ALL.into_iter().find(|method| {
            route.method.precision(*method).is_none()
                && self.api.routes.trie.find(*method, &path) == Some(other)
        });
        let Some(method) = hole.filter(|_| self.asks_less(other, &path, id, &path)) else { return };
        let (Some((rule, _)), Some((other_rule, _))) = (self.api.access(id), self.api.access(other)) else {
            return;
        };
        let Some(less_specific) = self.written(other) else { return };
        let pattern = common.pattern(Tail::End).to_string();
        into.push(Lint {
            route: Some(id),
            code: Code::MethodHole,
            message: format!(
                "`{method} {pattern}` is decided by `{less_specific}` of rule `{}`, which asks for less than rule `{}`",
                other_rule.name(),
                rule.name()
            ),
            hint: format!(
                "if that is meant, add `{method} {pattern}` to rule `{}`; else to the rule that shall decide it",
                other_rule.name()
            ),
        });
    }

    /// Spellings of a route's last literal that `**` covers, which a backend may take for the route's own.
    fn look_alikes(
        &self,
        id: RouteId,
        route: &Route,
        other: RouteId,
        common: &Shape<'p>,
        into: &mut Vec<Lint>,
    ) {
        let Some(catch_all) = self.written(other).filter(|other| ends_in_rest(other)) else { return };
        let Some(Segment::Literal(literal)) = route.segments.last() else { return };
        if literal.is_empty() {
            return;
        }
        let Some(target) = self.some_path(common) else { return };
        let Some(below) = target.rsplit_once('/').map(|(below, _)| below) else { return };
        let swapped: String = literal.chars().map(swap_case).collect();
        let spellings = [swapped, format!("{literal}.json"), format!("{literal}/")];
        let Ok(path) = CanonicalPath::parse(&target) else { return };
        let covered: Vec<String> = spellings
            .into_iter()
            .filter(|spelling| spelling != &**literal)
            .map(|spelling| format!("{below}/{spelling}"))
            .filter(|spelling| {
                let Ok(read) = CanonicalPath::parse(spelling) else { return false };
                let decides = |method: &Method| self.api.routes.trie.find(*method, &read) == Some(other);
                let is_own = |method: &Method| self.api.routes.trie.find(*method, &path) == Some(id);
                Method::ALL.iter().any(|method| decides(method) && is_own(method))
                    && self.asks_less(other, &read, id, &path)
            })
            .collect();
        let (Some((rule, _)), Some((other_rule, _))) = (self.api.access(id), self.api.access(other)) else {
            return;
        };
        if covered.is_empty() {
            return;
        }
        into.push(Lint {
            route: Some(id),
            code: Code::LookAlike,
            message: format!(
                "`{}` {} decided by `{catch_all}` of rule `{}`, which asks for less than rule `{}`",
                covered.join("`, `"),
                if covered.len() == 1 { "is" } else { "are" },
                other_rule.name(),
                rule.name()
            ),
            hint:
                "a backend that ignores case or suffixes would serve them: make it strict, or ask for as much"
                    .to_owned(),
        });
    }

    fn written(&self, route: RouteId) -> Option<&'p Route> {
        self.api.routes.written.get(usize::try_from(route).ok()?)
    }

    /// Whether a token passes `lax` on one path that does not pass `strict` on the other.
    fn asks_less(
        &self,
        lax: RouteId,
        lax_path: &CanonicalPath<'_>,
        strict: RouteId,
        strict_path: &CanonicalPath<'_>,
    ) -> bool {
        let Some((_, access)) = self.api.access(lax) else { return false };
        if access.is_public() {
            return true;
        }
        let Some((_, strict_access)) = self.api.access(strict) else { return false };
        let others: Vec<_> = self.api.routes.alternatives(strict_access).collect();
        let roles = self.policies.roles();
        let beyond = Beyond { path: lax_path, roles, others: &others, others_path: strict_path };
        self.api.routes.alternatives(access).any(|alternative| beyond.first(alternative).is_some())
    }
}

fn swap_case(c: char) -> char {
    if c.is_ascii_lowercase() { c.to_ascii_uppercase() } else { c.to_ascii_lowercase() }
}

fn unreachable_routes(policies: &PolicySet, api: &Api, index: &RouteIndex<'_>, into: &mut Vec<Lint>) {
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
}

impl<'b> BearerIndex<'b> {
    fn new(all: &'b [Permissions]) -> Self {
        let mut carrying: HashMap<_, Vec<_>> = HashMap::new();
        for bearer in all {
            let Permissions { client, scopes, roles, claims } = bearer;
            let texts = claims.iter().filter_map(|(name, value)| Some((name.as_str(), value.as_str()?)));
            let carried = scopes
                .iter()
                .map(|scope| Carried::Scope(scope.as_str()))
                .chain(roles.iter().map(|role| Carried::Role(role.as_str())))
                .chain(client.iter().map(|client| Carried::Client(client.as_str())))
                .chain(texts.map(|(name, value)| Carried::Claim(name, value)));
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
                    ClaimTest::Contains(_) | ClaimTest::SameAsPath(_) | ClaimTest::ContainsPath(_) => {
                        return None;
                    }
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

    fn claims_of<'v>(&self, claims: &'v Map<String, Value>) -> Vec<ClaimKind<'v>> {
        let texts = |name: &str| -> Vec<&'v str> {
            match claims.get(name) {
                Some(Value::Array(items)) => items.iter().filter_map(Value::as_str).collect(),
                other => other.and_then(Value::as_str).into_iter().collect(),
            }
        };
        // the claims that have a value, where a path can have it
        let of = |text: &str| -> Option<Vec<usize>> {
            let having = self.claims.keys().enumerate().filter(|(_, name)| texts(name).contains(&text));
            is_segment(text).then(|| having.map(|(at, _)| at).collect())
        };
        let each = self.claims.iter().map(|(name, values)| {
            let is_named = |text: &str| values.contains(text) || self.index.names(text);
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
