//! Verbs (`{item}:purge`) that some methods leave to the route of the parameter.

use std::collections::BTreeMap;

use super::{Lint, paths::some_path, routes};
use crate::{
    finding::FindingCode,
    path::CanonicalPath,
    position::RouteId,
    route::{Method, Route},
    rule::PolicyRule,
    set::ProtectedApi,
    space::{RouteIndex, Shape, Tail},
};

/// Looks for routes that have a verb in their parameter, because another rule has it for another method alone.
pub(super) fn lint(api: &ProtectedApi, index: &RouteIndex<'_>, into: &mut Vec<Lint>) {
    // by route: the verbs, each with a rule that has it
    let mut open: BTreeMap<RouteId, Vec<OpenVerb<'_>>> = BTreeMap::new();
    for (id, route) in routes(api) {
        let Some(shape) = index.shape(id).filter(|shape| shape.without_verb().is_some()) else { continue };
        let (Some((rule, _)), Some(target)) = (api.access(id), some_path(shape, index)) else { continue };
        let Ok(path) = CanonicalPath::parse(&target) else { continue };
        for method in Method::ALL.into_iter().filter(|method| route.method.precision(*method).is_none()) {
            let Some(other) = api.routes.trie.find(method, &path) else { continue };
            let is_open = index.shape(other).is_some_and(|other| is_open_verb(shape, other))
                && api.access(other).is_some_and(|(other, _)| other.name() != rule.name());
            if !is_open {
                continue;
            }
            let verbs = open.entry(other).or_default();
            match verbs.iter_mut().find(|verb| verb.shape.is_same_paths(shape)) {
                Some(verb) => verb.add(route, method),
                None => verbs.push(OpenVerb { shape, rule, routes: vec![route], methods: vec![method] }),
            }
        }
    }
    for (other, verbs) in open {
        let (Some(route), Some(first)) = (api.written(other), verbs.first()) else { continue };
        let methods: Vec<_> = first.methods.iter().map(|method| method.as_str()).collect();
        let pattern = first.shape.pattern(Tail::End).to_string();
        let routes: Vec<_> = first.routes.iter().map(|route| format!("`{route}`")).collect();
        let alone = if routes.len() == 1 { "another method" } else { "other methods" };
        let more = match verbs.len() - 1 {
            0 => String::new(),
            1 => " (and 1 more verb)".to_owned(),
            more => format!(" (and {more} more verbs)"),
        };
        into.push(Lint {
            route: Some(other),
            code: FindingCode::OpenVerb,
            message: format!(
                "`{route}` also decides `{} {pattern}`{more}: rule `{}` has that path for {alone} only ({})",
                methods.join(", "),
                first.rule.name(),
                routes.join(", ")
            ),
            hint: format!(
                "if that is intended, write it beside `{route}`; otherwise add the other methods to rule `{}`, such as `ANY {pattern}`",
                first.rule.name()
            ),
        });
    }
}

/// A verb, the routes that have it, and the methods for which another one decides.
struct OpenVerb<'a> {
    shape: &'a Shape<'a>,
    rule: &'a PolicyRule,
    routes: Vec<&'a Route>,
    methods: Vec<Method>,
}

impl<'a> OpenVerb<'a> {
    fn add(&mut self, route: &'a Route, method: Method) {
        if !self.routes.contains(&route) {
            self.routes.push(route);
        }
        if !self.methods.contains(&method) {
            self.methods.push(method);
        }
    }
}

/// Whether a route is that of a verb but for the verb, which is in its parameter.
pub(super) fn is_open_verb(verb: &Shape<'_>, other: &Shape<'_>) -> bool {
    verb.without_verb().is_some_and(|without| without.is_same_paths(other))
}
