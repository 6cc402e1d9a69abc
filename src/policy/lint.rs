//! What an operator should look at in policies that load: routes that nobody reaches, and requests that a
//! backend may read differently.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    ops::ControlFlow,
};

use serde_json::{Map, Value};

use super::{
    condition::{ClaimTest, Condition},
    explain::Permissions,
    finding::Code,
    matrix,
    path::CanonicalPath,
    route::{Method, Route, Segment},
    set::{Api, PolicySet},
    space::{Compared, Grid, RouteIndex, Shape, Tail, is_segment, smallest_tokens},
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
        let is_covered =
            |token: &Permissions| self.api.lets_through(strict, strict_path, Some(&token.subject()));
        self.api.routes.alternatives(access).any(|alternative| {
            smallest_tokens(alternative, lax_path, self.policies.roles(), &is_covered, &mut |_| {
                ControlFlow::Break(())
            })
            .is_break()
        })
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
    for (id, route) in routes(api) {
        let Some((_, access)) = api.access(id) else { continue };
        let is_reached = access.is_public()
            || api.routes.alternatives(access).any(|alternative| {
                bearers.iter().any(|bearer| {
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
    bearers.into_values().collect()
}

/// What the conditions of an API look at.
struct ToldApart<'p> {
    clients: BTreeSet<&'p str>,
    /// By claim: the values that are compared with.
    claims: BTreeMap<&'p str, BTreeSet<&'p str>>,
    index: &'p RouteIndex<'p>,
}

/// A claim as far as conditions tell it apart from others.
#[derive(PartialEq, Eq, Hash)]
enum ClaimKind<'v> {
    Absent,
    Named(&'v str),
    Text { is_segment: bool },
    List(BTreeSet<&'v str>, bool),
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
        let each = self.claims.iter().map(|(name, values)| {
            let is_named = |text: &str| values.contains(text) || self.index.names(text);
            match claims.get(*name) {
                None => ClaimKind::Absent,
                Some(Value::String(text)) if is_named(text) => ClaimKind::Named(text),
                Some(Value::String(text)) => ClaimKind::Text { is_segment: is_segment(text) },
                Some(Value::Array(items)) => {
                    let texts = || items.iter().filter_map(Value::as_str);
                    let named = texts().filter(|text| is_named(text)).collect();
                    ClaimKind::List(named, texts().any(|text| !is_named(text) && is_segment(text)))
                }
                Some(_) => ClaimKind::OfNoUse,
            }
        });
        each.collect()
    }
}
