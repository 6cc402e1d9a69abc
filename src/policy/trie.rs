//! The routes of one API as a tree of segments, in which the first match is the most specific one.

use rustc_hash::FxHashMap;

use super::{
    path::CanonicalPath,
    route::{Method, Route, RouteMethod, Segment},
};

/// The position of a route in its API.
pub(super) type RouteId = u32;
type NodeId = usize;

/// Routes by segment. Its depth and not its size bounds a look-up.
#[derive(Debug)]
pub(super) struct Trie {
    nodes: Vec<Node>,
}

#[derive(Debug, Default)]
struct Node {
    literals: FxHashMap<Box<str>, NodeId>,
    parameter: Option<NodeId>,
    /// What decides when the path ends here.
    here: Choices,
    /// What decides when one or more segments follow.
    rest: Choices,
}

/// The routes of one pattern; rarely more than a few.
#[derive(Debug, Default)]
struct Choices(Vec<(RouteMethod, RouteId)>);

impl Choices {
    fn best(&self, method: Method) -> Option<RouteId> {
        let fitting = self.0.iter().filter_map(|(route, id)| Some((route.precision(method)?, *id)));
        fitting.min().map(|(_, id)| id)
    }

    /// Every fitting route, most specific first.
    fn all(&self, method: Method, into: &mut Vec<RouteId>) {
        let mut fitting: Vec<_> =
            self.0.iter().filter_map(|(route, id)| Some((route.precision(method)?, *id))).collect();
        fitting.sort_unstable();
        into.extend(fitting.into_iter().map(|(_, id)| id));
    }
}

impl Default for Trie {
    fn default() -> Self {
        Self { nodes: vec![Node::default()] }
    }
}

impl Trie {
    /// Adds a route; `Err` with the one that stands at the same method and pattern already.
    pub(super) fn insert(&mut self, route: &Route, id: RouteId) -> Result<(), RouteId> {
        let mut at = 0;
        let mut is_rest = false;
        for segment in &route.segments {
            let new = self.nodes.len();
            let Some(node) = self.nodes.get_mut(at) else { return Ok(()) };
            at = match segment {
                Segment::Literal(text) => *node.literals.entry(text.clone()).or_insert(new),
                Segment::Parameter(_) => *node.parameter.get_or_insert(new),
                Segment::Rest => {
                    is_rest = true;
                    at
                }
            };
            if at == new {
                self.nodes.push(Node::default());
            }
        }
        let Some(node) = self.nodes.get_mut(at) else { return Ok(()) };
        let choices = if is_rest { &mut node.rest } else { &mut node.here };
        if let Some((_, first)) = choices.0.iter().find(|(method, _)| *method == route.method) {
            return Err(*first);
        }
        choices.0.push((route.method, id));
        Ok(())
    }

    /// The route that decides: read from the left, a literal before a parameter before `**`; at the
    /// same pattern the more precise method. Each node is visited once at most, without allocation.
    pub(super) fn find(&self, method: Method, path: &CanonicalPath<'_>) -> Option<RouteId> {
        self.find_below(0, 0, method, path)
    }

    fn find_below(
        &self,
        node: NodeId,
        depth: usize,
        method: Method,
        path: &CanonicalPath<'_>,
    ) -> Option<RouteId> {
        let node = self.nodes.get(node)?;
        let Some(segment) = path.segment(depth) else { return node.here.best(method) };
        let literal = node.literals.get(segment);
        let parameter = node.parameter.as_ref().filter(|_| !segment.is_empty());
        literal
            .and_then(|child| self.find_below(*child, depth + 1, method, path))
            .or_else(|| parameter.and_then(|child| self.find_below(*child, depth + 1, method, path)))
            .or_else(|| if path.ends_with_slash() { None } else { node.rest.best(method) })
    }

    /// Every route that matches, most specific first.
    pub(super) fn find_all(&self, method: Method, path: &CanonicalPath<'_>) -> Vec<RouteId> {
        let mut found = Vec::new();
        self.collect_below(0, 0, method, path, &mut found);
        found
    }

    fn collect_below(
        &self,
        node: NodeId,
        depth: usize,
        method: Method,
        path: &CanonicalPath<'_>,
        into: &mut Vec<RouteId>,
    ) {
        let Some(node) = self.nodes.get(node) else { return };
        let Some(segment) = path.segment(depth) else { return node.here.all(method, into) };
        if let Some(child) = node.literals.get(segment) {
            self.collect_below(*child, depth + 1, method, path, into);
        }
        if let Some(child) = node.parameter.filter(|_| !segment.is_empty()) {
            self.collect_below(child, depth + 1, method, path, into);
        }
        if !path.ends_with_slash() {
            node.rest.all(method, into);
        }
    }

    /// Whether more specific routes decide every request that `route` matches.
    pub(super) fn never_decides(&self, route: &Route, id: RouteId) -> bool {
        let mut at = Some(0);
        let mut is_rest = false;
        for segment in &route.segments {
            let node = at.and_then(|at| self.nodes.get(at));
            at = match segment {
                Segment::Literal(text) => node.and_then(|node| node.literals.get(text).copied()),
                Segment::Parameter(_) => node.and_then(|node| node.parameter),
                Segment::Rest => {
                    is_rest = true;
                    at
                }
            };
        }
        let Some((at, node)) = at.and_then(|at| Some((at, self.nodes.get(at)?))) else { return false };
        let depth = route.segments.len() - usize::from(is_rest);
        Method::ALL.into_iter().filter(|method| route.method.precision(*method).is_some()).all(|method| {
            if is_rest {
                node.rest.best(method) != Some(id) || self.covered_below(at, depth, method)
            } else {
                node.here.best(method) != Some(id)
            }
        })
    }

    /// Whether parameters below `node` decide every path that a `**` there would match: only they can,
    /// since no set of literals covers all segments.
    fn covered_below(&self, node: NodeId, depth: usize, method: Method) -> bool {
        let child = self.nodes.get(node).and_then(|node| node.parameter);
        let Some((id, child)) = child.and_then(|id| Some((id, self.nodes.get(id)?))) else {
            return false;
        };
        child.here.best(method).is_some()
            && (child.rest.best(method).is_some()
                || depth + 1 == CanonicalPath::MOST_SEGMENTS
                || self.covered_below(id, depth + 1, method))
    }
}
