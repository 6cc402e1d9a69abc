//! Which routes share paths with a pattern.

use rustc_hash::{FxHashMap, FxHashSet};

use super::shape::{Shape, ShapePiece};
use crate::{
    position::{NodeId, RouteId, numbered},
    route::{Route, endings_of},
};

/// Routes by segment, for finding all that meet a [`Shape`]. Flat, for there may be many.
pub(crate) struct RouteIndex<'r> {
    literal_edges: FxHashMap<(NodeId, &'r str), NodeId>,
    /// Behind parameters, with an ending or without.
    free_edges: FxHashMap<(NodeId, &'r str), NodeId>,
    /// By what they end in: the nodes behind literals and endings that are longer.
    longer: FxHashMap<(NodeId, &'r str), Vec<NodeId>>,
    nodes: Vec<IndexNode>,
    shapes: Vec<Shape<'r>>,
    deepest: usize,
    literals: FxHashSet<&'r str>,
    endings: FxHashSet<&'r str>,
}

/// What routes can tell of a segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Known<'t> {
    /// A route names it.
    Name,
    /// The longest ending of a route that it has, if there is one.
    By(Option<&'t str>),
}

impl Known<'_> {
    /// What these routes or others can tell of the same segment.
    pub(crate) fn or(self, other: Self) -> Self {
        match (self, other) {
            (Self::Name, _) | (_, Self::Name) => Self::Name,
            (Self::By(a), Self::By(b)) => {
                Self::By([a, b].into_iter().flatten().max_by_key(|ending| ending.len()))
            }
        }
    }
}

#[derive(Default)]
struct IndexNode {
    /// The nodes behind it, but for that of a parameter without an ending.
    others: Vec<NodeId>,
    /// Patterns that end here, in `**` or not.
    ends: Vec<RouteId>,
}

impl<'r> RouteIndex<'r> {
    /// Indexes routes by their position.
    pub(crate) fn new(routes: &'r [Route]) -> Self {
        Self::of(routes.iter().map(Shape::of).collect())
    }

    /// Indexes the paths of routes by their position.
    pub(crate) fn of(shapes: Vec<Shape<'r>>) -> Self {
        let mut index = Self {
            literal_edges: FxHashMap::default(),
            free_edges: FxHashMap::default(),
            longer: FxHashMap::default(),
            nodes: vec![IndexNode::default()],
            shapes: Vec::new(),
            deepest: 0,
            literals: FxHashSet::default(),
            endings: FxHashSet::default(),
        };
        for (id, shape) in numbered(RouteId::at, &shapes) {
            index.deepest = index.deepest.max(shape.depth());
            let mut at = NodeId::FIRST;
            for piece in &shape.pieces {
                at = match piece {
                    ShapePiece::Literal(text) => index.literal(at, text),
                    ShapePiece::Free { ending, .. } => index.free(at, ending),
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
        if let Some(node) = self.literal_edges.get(&(from, text)) {
            return *node;
        }
        let new = self.add_node();
        self.literals.insert(text);
        self.literal_edges.insert((from, text), new);
        self.note(from, text, new);
        new
    }

    fn free(&mut self, from: NodeId, ending: &'r str) -> NodeId {
        if let Some(node) = self.free_edges.get(&(from, ending)) {
            return *node;
        }
        let new = self.add_node();
        self.free_edges.insert((from, ending), new);
        if !ending.is_empty() {
            self.endings.insert(ending);
            self.note(from, ending, new);
        }
        new
    }

    fn note(&mut self, from: NodeId, text: &'r str, new: NodeId) {
        if let Some(node) = self.node_mut(from) {
            node.others.push(new);
        }
        for end in endings_of(text) {
            self.longer.entry((from, end)).or_default().push(new);
        }
    }

    fn add_node(&mut self) -> NodeId {
        self.nodes.push(IndexNode::default());
        NodeId::at(self.nodes.len() - 1)
    }

    fn node(&self, id: NodeId) -> Option<&IndexNode> {
        self.nodes.get(id.position())
    }

    fn node_mut(&mut self, id: NodeId) -> Option<&mut IndexNode> {
        self.nodes.get_mut(id.position())
    }

    /// The most segments that any route names.
    pub(crate) fn deepest(&self) -> usize {
        self.deepest
    }

    /// What routes can tell of a segment: of two of which this is the same, they can tell no more.
    pub(crate) fn known<'t>(&self, segment: &'t str) -> Known<'t> {
        if self.literals.contains(segment) {
            return Known::Name;
        }
        let has_some = !self.endings.is_empty();
        Known::By(endings_of(segment).filter(|_| has_some).find(|ending| self.endings.contains(ending)))
    }

    /// Every ending that a route has.
    pub(crate) fn endings(&self) -> impl Iterator<Item = &'r str> {
        self.endings.iter().copied()
    }

    /// The paths of a route.
    pub(crate) fn shape(&self, route: RouteId) -> Option<&Shape<'r>> {
        self.shapes.get(route.position())
    }

    /// Every route with its paths.
    pub(crate) fn shapes(&self) -> impl Iterator<Item = (RouteId, &Shape<'r>)> {
        numbered(RouteId::at, &self.shapes)
    }

    /// Every route that has paths in common with `shape`, and these paths.
    pub(crate) fn meeting<'s>(&self, shape: &Shape<'s>) -> Vec<(RouteId, Shape<'s>)>
    where
        'r: 's,
    {
        let mut candidates = Vec::new();
        self.collect(NodeId::FIRST, &shape.pieces, shape.has_rest(), &mut candidates);
        candidates.into_iter().filter_map(|route| Some((route, shape.meet(self.shape(route)?)?))).collect()
    }

    /// Every route of which the first segments fit, those that end early too: they may end in `**`.
    fn collect(&self, at: NodeId, pieces: &[ShapePiece<'_>], has_rest: bool, into: &mut Vec<RouteId>) {
        let Some(node) = self.node(at) else { return };
        into.extend(&node.ends);
        let below: &[ShapePiece<'_>] = pieces.get(1..).unwrap_or_default();
        let mut behind: Vec<&NodeId> = Vec::new();
        match pieces.first() {
            Some(ShapePiece::Literal(text)) => {
                behind.extend(self.literal_edges.get(&(at, *text)));
                let ends = endings_of(text).chain((!text.is_empty()).then_some(""));
                behind.extend(ends.filter_map(|end| self.free_edges.get(&(at, end))));
            }
            None if !has_rest => {}
            Some(ShapePiece::Free { ending: "", .. }) | None => {
                behind.extend(&node.others);
                behind.extend(self.free_edges.get(&(at, "")));
            }
            Some(ShapePiece::Free { ending, .. }) => {
                behind.extend(self.longer.get(&(at, *ending)).into_iter().flatten());
                let ends = [*ending, ""].into_iter().chain(endings_of(ending));
                behind.extend(ends.filter_map(|end| self.free_edges.get(&(at, end))));
            }
        }
        for child in behind {
            self.collect(*child, below, has_rest, into);
        }
    }
}
