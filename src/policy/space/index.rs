//! Which routes share paths with a pattern.

use rustc_hash::{FxHashMap, FxHashSet};

use super::shape::{Piece, Shape};
use crate::policy::{
    route::Route,
    trie::{RouteId, small},
};

/// Routes by segment, for finding all that meet a [`Shape`]. Flat, for there may be many.
pub(in crate::policy) struct RouteIndex<'r> {
    edges: FxHashMap<(NodeId, &'r str), NodeId>,
    nodes: Vec<Node>,
    shapes: Vec<Shape<'r>>,
    deepest: usize,
    literals: FxHashSet<&'r str>,
}

type NodeId = u32;
const ROOT: NodeId = 0;

#[derive(Default)]
struct Node {
    /// The nodes behind its literals.
    literals: Vec<NodeId>,
    free: Option<NodeId>,
    /// Patterns that end here, in `**` or not.
    ends: Vec<RouteId>,
}

impl<'r> RouteIndex<'r> {
    /// Indexes routes by their position.
    pub(in crate::policy) fn new(routes: &'r [Route]) -> Self {
        Self::of(routes.iter().map(Shape::of).collect())
    }

    /// Indexes the paths of routes by their position.
    pub(in crate::policy) fn of(shapes: Vec<Shape<'r>>) -> Self {
        let mut index = Self {
            edges: FxHashMap::default(),
            nodes: vec![Node::default()],
            shapes: Vec::new(),
            deepest: 0,
            literals: FxHashSet::default(),
        };
        for (id, shape) in (0..).zip(&shapes) {
            index.deepest = index.deepest.max(shape.depth());
            let mut at = ROOT;
            for piece in &shape.pieces {
                at = match piece {
                    Piece::Literal(text) => index.literal(at, text),
                    Piece::Free(_) => index.free(at),
                };
            }
            if let Some(node) = index.node_mut(at) {
                node.ends.push(id);
            }
        }
        index.shapes = shapes;
        index
    }

    fn literal(&mut self, from: NodeId, text: &'r str) -> NodeId {
        if let Some(node) = self.edges.get(&(from, text)) {
            return *node;
        }
        let new = self.add_node();
        self.literals.insert(text);
        self.edges.insert((from, text), new);
        if let Some(node) = self.node_mut(from) {
            node.literals.push(new);
        }
        new
    }

    fn free(&mut self, from: NodeId) -> NodeId {
        if let Some(node) = self.node(from).and_then(|node| node.free) {
            return node;
        }
        let new = self.add_node();
        if let Some(node) = self.node_mut(from) {
            node.free = Some(new);
        }
        new
    }

    fn add_node(&mut self) -> NodeId {
        self.nodes.push(Node::default());
        small(self.nodes.len() - 1)
    }

    fn node(&self, id: NodeId) -> Option<&Node> {
        self.nodes.get(usize::try_from(id).ok()?)
    }

    fn node_mut(&mut self, id: NodeId) -> Option<&mut Node> {
        self.nodes.get_mut(usize::try_from(id).ok()?)
    }

    /// The most segments that any route names.
    pub(in crate::policy) fn deepest(&self) -> usize {
        self.deepest
    }

    /// Whether a route names this segment.
    pub(in crate::policy) fn names(&self, text: &str) -> bool {
        self.literals.contains(text)
    }

    /// The paths of a route.
    pub(in crate::policy) fn shape(&self, route: RouteId) -> Option<&Shape<'r>> {
        self.shapes.get(usize::try_from(route).ok()?)
    }

    /// Every route with its paths.
    pub(in crate::policy) fn shapes(&self) -> impl Iterator<Item = (RouteId, &Shape<'r>)> {
        (0..).zip(&self.shapes)
    }

    /// Every route that has paths in common with `shape`, and these paths.
    pub(in crate::policy) fn meeting<'s>(&self, shape: &Shape<'s>) -> Vec<(RouteId, Shape<'s>)>
    where
        'r: 's,
    {
        let mut candidates = Vec::new();
        self.collect(ROOT, &shape.pieces, shape.has_rest, &mut candidates);
        candidates.into_iter().filter_map(|route| Some((route, shape.meet(self.shape(route)?)?))).collect()
    }

    /// Every route of which the first segments fit, those that end early too: they may end in `**`.
    fn collect(&self, at: NodeId, pieces: &[Piece<'_>], has_rest: bool, into: &mut Vec<RouteId>) {
        let Some(node) = self.node(at) else { return };
        into.extend(&node.ends);
        let below: &[Piece<'_>] = pieces.get(1..).unwrap_or_default();
        match pieces.first() {
            Some(Piece::Literal(text)) => {
                if let Some(child) = self.edges.get(&(at, *text)) {
                    self.collect(*child, below, has_rest, into);
                }
            }
            None if !has_rest => return,
            Some(Piece::Free(_)) | None => {
                node.literals.iter().for_each(|child| self.collect(*child, below, has_rest, into));
            }
        }
        if let Some(free) = node.free {
            self.collect(free, below, has_rest, into);
        }
    }
}
