//! Requests that a backend may read as others than the policies do.

use std::collections::BTreeMap;

use super::{Lint, routes, verbs::is_open_verb};
use crate::policy::{
    finding::Code,
    path::CanonicalPath,
    route::{Method, Route, RouteMethod, Segment},
    set::{Api, PolicySet},
    space::{Beyond, Compared, Grid, RouteIndex, Shape, Tail, encoded},
    trie::RouteId,
};

/// Looks at each route that asks for something: do other methods or spellings of its paths ask for less?
pub(super) fn lint(policies: &PolicySet, api: &Api, index: &RouteIndex<'_>, into: &mut Vec<Lint>) {
    for (id, route) in routes(api) {
        let Some(shape) = index.shape(id) else { continue };
        // nothing lets more through than a public route
        let Some((rule, _)) = api.access(id).filter(|(_, access)| !access.is_public()) else { continue };
        let Some(target) = some_path(shape, index) else { continue };
        let Ok(path) = CanonicalPath::parse(&target) else { continue };
        let guarded = Guarded { policies, api, index, id, route, shape, rule: rule.name(), path: &path };
        guarded.method_holes(into);
        guarded.look_alikes(&target, into);
    }
}

/// A path that stands for all of `shape`.
pub(super) fn some_path(shape: &Shape<'_>, index: &RouteIndex<'_>) -> Option<String> {
    let (shape, _) = shape.lengths(0).into_iter().next()?;
    let grid = Grid::for_any_token(shape, &Compared::default(), &|text| index.known(text));
    grid.points()?.into_iter().next().map(|(_, target)| target)
}

/// A route that asks for something, and one of its paths.
struct Guarded<'a> {
    policies: &'a PolicySet,
    api: &'a Api,
    index: &'a RouteIndex<'a>,
    id: RouteId,
    route: &'a Route,
    shape: &'a Shape<'a>,
    rule: &'a str,
    path: &'a CanonicalPath<'a>,
}

impl Guarded<'_> {
    /// Other methods at the path, decided by a less specific route of another rule that lets more through.
    fn method_holes(&self, into: &mut Vec<Lint>) {
        let mut holes: BTreeMap<RouteId, Vec<Method>> = BTreeMap::new();
        for method in Method::ALL.into_iter().filter(|method| self.route.method.precision(*method).is_none())
        {
            let Some(other) = self.api.routes.trie.find(method, self.path) else { continue };
            let is_wider = self
                .index
                .shape(other)
                .is_some_and(|other| !other.is_same_paths(self.shape) && !is_open_verb(self.shape, other));
            // a preflight request (CORS) carries no token, and whoever names the method means it
            let is_preflight = method == Method::Options
                && self.api.written(other).is_some_and(|route| route.method == RouteMethod::Named(method));
            if is_wider && !is_preflight && self.lets_more_through(other, self.path) {
                holes.entry(other).or_default().push(method);
            }
        }
        for (other, methods) in holes {
            let (Some((rule, _)), Some(route)) = (self.api.access(other), self.api.written(other)) else {
                continue;
            };
            let pattern = self.shape.pattern(Tail::End).to_string();
            let Some((first, others)) = methods.split_first() else { continue };
            let others: Vec<_> = others.iter().map(|method| method.as_str()).collect();
            let (others, them) = match others.as_slice() {
                [] => (String::new(), "it"),
                others => (format!(" (and {} there)", others.join(", ")), "them"),
            };
            into.push(Lint {
                route: Some(self.id),
                code: Code::MethodHole,
                message: format!(
                    "`{first} {pattern}`{others} is decided by `{route}` of rule `{}`, which lets tokens through that rule `{}` does not",
                    rule.name(),
                    self.rule
                ),
                hint: format!(
                    "if that is meant, add {them} to rule `{}`; else to the rule that shall decide",
                    rule.name()
                ),
            });
        }
    }

    /// Other spellings of the path's last literal, decided by a rule that lets more through.
    fn look_alikes(&self, target: &str, into: &mut Vec<Lint>) {
        let Some(Segment::Literal(literal)) = self.route.segments.last().filter(|_| !target.ends_with('/'))
        else {
            return;
        };
        let Some((below, _)) = target.rsplit_once('/') else { return };
        let swapped: String = literal.chars().map(swap_case).collect();
        let other_case = (swapped != **literal).then(|| encoded(&swapped));
        let spellings = [other_case, Some(encoded(&format!("{literal}.json"))), Some(encoded(literal) + "/")];
        let mut covered: BTreeMap<RouteId, Vec<String>> = BTreeMap::new();
        for spelling in spellings.into_iter().flatten() {
            let spelling = format!("{below}/{spelling}");
            let Ok(read) = CanonicalPath::parse(&spelling) else { continue };
            let found = Method::ALL.into_iter().find_map(|method| {
                let is_own = self.api.routes.trie.find(method, self.path) == Some(self.id);
                self.api.routes.trie.find(method, &read).filter(|_| is_own)
            });
            let Some(other) = found else { continue };
            // one segment of another name is another thing, but for a slash at the end
            let is_catch_all =
                self.api.written(other).is_some_and(Route::ends_in_rest) || spelling.ends_with('/');
            if is_catch_all && self.lets_more_through(other, &read) {
                covered.entry(other).or_default().push(format!("`{spelling}`"));
            }
        }
        for (other, spellings) in covered {
            let (Some((rule, _)), Some(route)) = (self.api.access(other), self.api.written(other)) else {
                continue;
            };
            into.push(Lint {
                route: Some(self.id),
                code: Code::LookAlike,
                message: format!(
                    "{} {} decided by `{route}` of rule `{}`, which lets tokens through that rule `{}` does not",
                    spellings.join(", "),
                    if spellings.len() == 1 { "is" } else { "are" },
                    rule.name(),
                    self.rule
                ),
                hint: "a backend that ignores case, suffixes or slashes would serve them: make it strict, or ask for \
                       as much"
                    .to_owned(),
            });
        }
    }

    /// Whether another rule lets a token pass on `path` that does not pass on this route's own path.
    fn lets_more_through(&self, other: RouteId, path: &CanonicalPath<'_>) -> bool {
        let (Some((rule, access)), Some((_, own))) = (self.api.access(other), self.api.access(self.id))
        else {
            return false;
        };
        if rule.name() == self.rule {
            return false;
        }
        let others: Vec<_> = self.api.routes.alternatives(own).collect();
        let roles = self.policies.roles();
        let beyond = Beyond { path, roles, others: &others, others_path: self.path };
        access.is_public()
            || self.api.routes.alternatives(access).any(|alternative| beyond.first(alternative).is_some())
    }
}

fn swap_case(c: char) -> char {
    if c.is_ascii_lowercase() { c.to_ascii_uppercase() } else { c.to_ascii_lowercase() }
}
