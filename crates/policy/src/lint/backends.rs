//! Requests that a backend may read as others than the policies do.

use std::collections::BTreeMap;

use super::{Lint, paths::some_path, routes, verbs::is_open_verb};
use crate::{
    condition::Condition,
    finding::FindingCode,
    path::CanonicalPath,
    position::RouteId,
    route::{Method, Route, RouteMethod, Segment},
    set::{PolicySet, ProtectedApi},
    space::{Beyond, RouteIndex, Shape, Tail, encoded},
};

/// Looks at each route that asks for something: do other methods or spellings of its paths ask for less?
pub(super) fn lint(policies: &PolicySet, api: &ProtectedApi, index: &RouteIndex<'_>, into: &mut Vec<Lint>) {
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

/// A path that a lax backend may take for another, and the segment that is spelled otherwise, if it is one.
struct BackendSpelling {
    target: String,
    segment: Option<usize>,
}

/// A route that asks for something, and one of its paths.
struct Guarded<'a> {
    policies: &'a PolicySet,
    api: &'a ProtectedApi,
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
            if is_wider && !is_preflight && self.lets_more_through(other, self.path, None) {
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
                code: FindingCode::MethodHole,
                message: format!(
                    "`{first} {pattern}`{others} is decided by `{route}` of rule `{}`, which lets in tokens that rule `{}` refuses",
                    rule.name(),
                    self.rule
                ),
                hint: format!(
                    "add {them} to rule `{}` if that is intended, otherwise to the rule that must decide",
                    rule.name()
                ),
            });
        }
    }

    /// Other spellings of the path, decided by a rule that lets more through.
    fn look_alikes(&self, target: &str, into: &mut Vec<Lint>) {
        let mut covered: BTreeMap<RouteId, Vec<String>> = BTreeMap::new();
        let segments: Vec<&str> = target.split('/').skip(1).collect();
        let last = segments.iter().rposition(|segment| !segment.is_empty());
        for BackendSpelling { target: spelling, segment } in self.spellings(&segments, last) {
            let Ok(read) = CanonicalPath::parse(&spelling) else { continue };
            let found = Method::ALL.into_iter().find_map(|method| {
                let is_own = self.api.routes.trie.find(method, self.path) == Some(self.id);
                self.api.routes.trie.find(method, &read).filter(|_| is_own)
            });
            let Some(other) = found else { continue };
            let pattern = self.api.written(other).map(|route| route.segments.as_slice()).unwrap_or_default();
            let of_other = |at: usize| Some((at, pattern.get(at).or(pattern.last())?));
            let is_meant = match segment.and_then(of_other) {
                // whoever names it means it
                Some((_, Segment::Literal(_))) => true,
                // below `**` the end of the path alone is looked at
                Some((segment, Segment::Rest | Segment::RestWithSlash)) => Some(segment) != last,
                Some((_, Segment::Parameter(_) | Segment::Ended { .. })) | None => false,
            };
            if !is_meant && self.lets_more_through(other, &read, segment) {
                covered.entry(other).or_default().push(format!("`{spelling}`"));
            }
        }
        for (other, spellings) in covered {
            let (Some((rule, _)), Some(route)) = (self.api.access(other), self.api.written(other)) else {
                continue;
            };
            into.push(Lint {
                route: Some(self.id),
                code: FindingCode::LookAlike,
                message: format!(
                    "{} {} decided by `{route}` of rule `{}`, which lets in tokens that rule `{}` refuses",
                    spellings.join(", "),
                    if spellings.len() == 1 { "is" } else { "are" },
                    rule.name(),
                    self.rule
                ),
                hint: "a backend that ignores case, suffixes or slashes would serve them: make it strict, or require \
                       as much"
                    .to_owned(),
            });
        }
    }

    /// How else a lax backend may be asked for the path: by another case of a literal or an ending, the last one first;
    /// by a suffix of the last segment, or a slash behind it.
    fn spellings(&self, segments: &[&str], last: Option<usize>) -> Vec<BackendSpelling> {
        let with = |at: usize, text: String| {
            let other = segments.iter().enumerate().map(|(position, segment)| {
                if position == at { encoded(&text) } else { (*segment).to_owned() }
            });
            BackendSpelling { target: format!("/{}", other.collect::<Vec<_>>().join("/")), segment: Some(at) }
        };
        let swapped =
            |text: &str| Some(text.chars().map(swap_case).collect::<String>()).filter(|it| it != text);
        let mut spellings = Vec::new();
        for (at, pattern) in self.route.segments.iter().enumerate().rev() {
            let segment = self.path.segment(at).unwrap_or_default();
            let (before, fixed) = match pattern {
                Segment::Literal(text) => ("", &**text),
                Segment::Ended { ending, .. } => {
                    (segment.strip_suffix(&**ending).unwrap_or_default(), &**ending)
                }
                Segment::Parameter(_) | Segment::Rest | Segment::RestWithSlash => continue,
            };
            spellings.extend(swapped(fixed).map(|swapped| with(at, format!("{before}{swapped}"))));
            let is_whole = matches!(pattern, Segment::Literal(_));
            if is_whole && Some(at) == last && at + 1 == segments.len() {
                spellings.push(with(at, format!("{segment}.json")));
            }
        }
        let path = format!("/{}", segments.join("/"));
        let slash = path.strip_suffix('/').map_or_else(|| format!("{path}/"), str::to_owned);
        let of_last = spellings.iter().take_while(|spelling| spelling.segment == last).count();
        spellings.insert(of_last, BackendSpelling { target: slash, segment: None });
        spellings
    }

    /// Whether another rule lets a token pass on `path` that does not pass on this route's own path. A token that
    /// names the text of a segment there does not count for `segment`.
    fn lets_more_through(&self, other: RouteId, path: &CanonicalPath<'_>, segment: Option<usize>) -> bool {
        let (Some((rule, access)), Some((_, own))) = (self.api.access(other), self.api.access(self.id))
        else {
            return false;
        };
        if rule.name() == self.rule {
            return false;
        }
        let others: Vec<_> = self.api.routes.alternatives(own).collect();
        let roles = self.policies.roles();
        let beyond = Beyond { path, roles, others: &others, others_path: self.path, no_objects: &[] };
        let mut alternatives = self.api.routes.alternatives(access);
        access.is_public()
            || alternatives.any(|alternative| {
                let names = |condition: &Condition| {
                    let place = condition.parameter().and_then(|parameter| parameter.place);
                    let place = place.map(|place| usize::from(place.segment));
                    place.is_some() && place == segment
                };
                !alternative.0.iter().any(names) && beyond.first(alternative).is_some()
            })
    }
}

fn swap_case(c: char) -> char {
    if c.is_ascii_lowercase() { c.to_ascii_uppercase() } else { c.to_ascii_lowercase() }
}
