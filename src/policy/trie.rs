//! The routes of one API as a tree of segments, in which the first match is the most specific one.
//!
//! The tree lies flat in memory: one table of all literal edges, one array of nodes that each fill a
//! cache line. A look-up touches two places for each segment, however many routes there are.

use std::hash::BuildHasher;

use hashbrown::HashTable;
use rustc_hash::{FxBuildHasher, FxHashMap};

use super::{
    path::CanonicalPath,
    route::{Method, Route, RouteMethod, Segment},
};

/// The position of a route in its API.
pub(super) type RouteId = u32;
type NodeId = u32;

/// A position as it is stored: more than four thousand million of anything do not fit into memory.
pub(super) fn small(position: usize) -> u32 {
    u32::try_from(position).unwrap_or(NONE - 1)
}

/// No node, no route.
const NONE: u32 = u32::MAX;
const ROOT: NodeId = 0;

/// Routes by segment.
#[derive(Debug)]
pub(super) struct Trie {
    literals: HashTable<Edge>,
    /// The texts of all edges, one after the other.
    texts: String,
    nodes: Vec<Node>,
    /// The routes of each pattern as they were written; read when routes are added or explained.
    written: FxHashMap<(NodeId, End), Vec<(RouteMethod, RouteId)>>,
}

/// A literal segment below a node.
#[derive(Debug)]
struct Edge {
    from: NodeId,
    to: NodeId,
    /// Where its text stands in [`Trie::texts`].
    text: (u32, u32),
}

/// A place in the tree, and what decides there.
#[derive(Clone, Debug)]
struct Node {
    parameter: NodeId,
    has_literals: bool,
    /// By method: what decides when the path ends here.
    here: [RouteId; Method::ALL.len()],
    /// By method: what decides when one or more segments follow.
    rest: [RouteId; Method::ALL.len()],
}

/// How a pattern ends at its last node.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum End {
    Here,
    InRest,
}

impl Node {
    const EMPTY: Self = Self {
        parameter: NONE,
        has_literals: false,
        here: [NONE; Method::ALL.len()],
        rest: [NONE; Method::ALL.len()],
    };

    fn deciding(&self, end: End, method: Method) -> Option<RouteId> {
        let routes = match end {
            End::Here => &self.here,
            End::InRest => &self.rest,
        };
        routes.get(method as usize).copied().filter(|route| *route != NONE)
    }

    fn parameter(&self) -> Option<NodeId> {
        Some(self.parameter).filter(|node| *node != NONE)
    }
}

impl Default for Trie {
    fn default() -> Self {
        Self {
            literals: HashTable::new(),
            texts: String::new(),
            nodes: vec![Node::EMPTY],
            written: FxHashMap::default(),
        }
    }
}

impl Edge {
    fn text<'t>(&self, texts: &'t str) -> &'t str {
        let (start, end) = (usize::try_from(self.text.0), usize::try_from(self.text.1));
        start.ok().zip(end.ok()).and_then(|(start, end)| texts.get(start..end)).unwrap_or_default()
    }
}

fn hash(from: NodeId, text: &str) -> u64 {
    FxBuildHasher.hash_one((from, text))
}

/// Every route that fits `method`, most precise first.
fn by_precision(choices: &[(RouteMethod, RouteId)], method: Method) -> Vec<RouteId> {
    let mut fitting: Vec<_> =
        choices.iter().filter_map(|(route, id)| Some((route.precision(method)?, *id))).collect();
    fitting.sort_unstable();
    fitting.into_iter().map(|(_, id)| id).collect()
}

impl Trie {
    /// Adds a route; `Err` with the one that stands at the same method and pattern already.
    pub(super) fn insert(&mut self, route: &Route, id: RouteId) -> Result<(), RouteId> {
        let mut at = ROOT;
        let mut end = End::Here;
        for segment in &route.segments {
            at = match segment {
                Segment::Literal(text) => {
                    self.literal(at, text).unwrap_or_else(|| self.add_literal(at, text))
                }
                Segment::Parameter(_) => self.node(at).and_then(Node::parameter).unwrap_or_else(|| {
                    let new = self.add_node();
                    if let Some(node) = self.node_mut(at) {
                        node.parameter = new;
                    }
                    new
                }),
                Segment::Rest => {
                    end = End::InRest;
                    at
                }
            };
        }
        let choices = self.written.entry((at, end)).or_default();
        if let Some((_, first)) = choices.iter().find(|(method, _)| *method == route.method) {
            return Err(*first);
        }
        choices.push((route.method, id));
        let best = Method::ALL.map(|method| by_precision(choices, method).first().copied().unwrap_or(NONE));
        if let Some(node) = self.node_mut(at) {
            match end {
                End::Here => node.here = best,
                End::InRest => node.rest = best,
            }
        }
        Ok(())
    }

    fn node(&self, id: NodeId) -> Option<&Node> {
        self.nodes.get(usize::try_from(id).ok()?)
    }

    fn node_mut(&mut self, id: NodeId) -> Option<&mut Node> {
        self.nodes.get_mut(usize::try_from(id).ok()?)
    }

    fn literal(&self, from: NodeId, text: &str) -> Option<NodeId> {
        let same = |edge: &Edge| edge.from == from && edge.text(&self.texts) == text;
        self.literals.find(hash(from, text), same).map(|edge| edge.to)
    }

    fn add_literal(&mut self, from: NodeId, text: &str) -> NodeId {
        let to = self.add_node();
        let start = small(self.texts.len());
        self.texts.push_str(text);
        let edge = Edge { from, to, text: (start, small(self.texts.len())) };
        if let Some(node) = self.node_mut(from) {
            node.has_literals = true;
        }
        let texts = &self.texts;
        self.literals.insert_unique(hash(from, text), edge, |edge| hash(edge.from, edge.text(texts)));
        to
    }

    fn add_node(&mut self) -> NodeId {
        self.nodes.push(Node::EMPTY);
        small(self.nodes.len() - 1)
    }

    /// The route that decides: read from the left, a literal before a parameter before `**`; at the
    /// same pattern the more precise method. Each node is visited once at most, without allocation.
    pub(super) fn find(&self, method: Method, path: &CanonicalPath<'_>) -> Option<RouteId> {
        self.find_below(ROOT, 0, method, path)
    }

    fn find_below(
        &self,
        at: NodeId,
        depth: usize,
        method: Method,
        path: &CanonicalPath<'_>,
    ) -> Option<RouteId> {
        let node = self.node(at)?;
        let Some(segment) = path.segment(depth) else { return node.deciding(End::Here, method) };
        if node.has_literals
            && let Some(child) = self.literal(at, segment)
            && let Some(found) = self.find_below(child, depth + 1, method, path)
        {
            return Some(found);
        }
        if let Some(child) = node.parameter()
            && !segment.is_empty()
            && let Some(found) = self.find_below(child, depth + 1, method, path)
        {
            return Some(found);
        }
        if path.ends_with_slash() { None } else { node.deciding(End::InRest, method) }
    }

    /// Every route that matches, most specific first.
    pub(super) fn find_all(&self, method: Method, path: &CanonicalPath<'_>) -> Vec<RouteId> {
        let mut found = Vec::new();
        self.collect_below(ROOT, 0, method, path, &mut found);
        found
    }

    fn collect_below(
        &self,
        at: NodeId,
        depth: usize,
        method: Method,
        path: &CanonicalPath<'_>,
        into: &mut Vec<RouteId>,
    ) {
        let written = |end| self.written.get(&(at, end)).map_or(&[][..], Vec::as_slice);
        let Some(segment) = path.segment(depth) else {
            return into.extend(by_precision(written(End::Here), method));
        };
        if let Some(child) = self.literal(at, segment) {
            self.collect_below(child, depth + 1, method, path, into);
        }
        if let Some(child) = self.node(at).and_then(Node::parameter).filter(|_| !segment.is_empty()) {
            self.collect_below(child, depth + 1, method, path, into);
        }
        if !path.ends_with_slash() {
            into.extend(by_precision(written(End::InRest), method));
        }
    }

    /// Whether more specific routes decide every request that `route` matches.
    pub(super) fn never_decides(&self, route: &Route, id: RouteId) -> bool {
        let mut at = Some(ROOT);
        let mut end = End::Here;
        let mut depth = 0;
        for segment in &route.segments {
            at = match segment {
                Segment::Literal(text) => at.and_then(|at| self.literal(at, text)),
                Segment::Parameter(_) => at.and_then(|at| self.node(at)).and_then(Node::parameter),
                Segment::Rest => {
                    end = End::InRest;
                    break;
                }
            };
            depth += 1;
        }
        let Some((at, node)) = at.and_then(|at| Some((at, self.node(at)?))) else { return false };
        let covers = |method: &Method| route.method.precision(*method).is_some();
        Method::ALL.into_iter().filter(covers).all(|method| {
            node.deciding(end, method) != Some(id)
                || (end == End::InRest && self.covered_below(at, depth, method))
        })
    }

    /// Whether parameters below a node decide every path that a `**` there would match: only they can,
    /// since no set of literals covers all segments.
    fn covered_below(&self, at: NodeId, depth: usize, method: Method) -> bool {
        let Some(child) = self.node(at).and_then(Node::parameter) else { return false };
        let Some(node) = self.node(child) else { return false };
        node.deciding(End::Here, method).is_some()
            && (node.deciding(End::InRest, method).is_some()
                || depth + 1 == CanonicalPath::MOST_SEGMENTS
                || self.covered_below(child, depth + 1, method))
    }
}
