//! The routes of one API as a tree of segments, in which the first match is the most specific one.
//!
//! The tree lies flat in memory: one table of all literal edges, one of all endings, one array of nodes.
//! A look-up touches two places for each segment, however many routes there are, and one more for each
//! length that the endings there have and the segment may have too.

use std::hash::BuildHasher;

use hashbrown::HashTable;
use rustc_hash::{FxBuildHasher, FxHashMap};

use super::{
    path::CanonicalPath,
    position::{LengthsId, NodeId, RestId, RouteId, small},
    route::{Method, Route, RouteMethod, Segment},
};

/// Routes by segment.
#[derive(Debug)]
pub(super) struct Trie {
    literals: HashTable<Edge>,
    /// Behind parameters.
    endings: HashTable<Edge>,
    /// The texts of all edges, one after the other.
    texts: String,
    nodes: Vec<TrieNode>,
    /// By [`TrieNode::lengths`]: how long the endings below a node are in bytes, each length once, the longest first.
    lengths: Vec<Vec<u16>>,
    /// By [`TrieNode::rest`] and [`TrieNode::rest_with_slash`].
    rests: Vec<Deciding>,
    /// The routes of each pattern as they were written; read when routes are added or explained.
    written: FxHashMap<(NodeId, TrieEnd), Vec<(RouteMethod, RouteId)>>,
}

/// By method: what decides.
type Deciding = [Option<RouteId>; Method::ALL.len()];

/// A literal segment below a node, or an ending.
#[derive(Debug)]
struct Edge {
    from: NodeId,
    to: NodeId,
    /// Where its text stands in [`Trie::texts`].
    text: (u32, u32),
}

/// A place in the tree, and what decides there.
#[derive(Clone, Debug)]
struct TrieNode {
    parameter: Option<NodeId>,
    /// In [`Trie::lengths`], if there are endings.
    lengths: Option<LengthsId>,
    /// In [`Trie::rests`]: what decides when one or more segments follow.
    rest: Option<RestId>,
    /// In [`Trie::rests`]: what decides when one or more segments follow, and a slash.
    rest_with_slash: Option<RestId>,
    has_literals: bool,
    /// What decides when the path ends here.
    here: Deciding,
}

/// How a pattern ends at its last node.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum TrieEnd {
    Here,
    InRest,
    InRestWithSlash,
}

/// Where a pattern ends.
struct PatternEnd {
    /// Its last node.
    at: NodeId,
    end: TrieEnd,
    /// How many segments lead there.
    depth: usize,
}

impl TrieEnd {
    /// How a pattern ends that has the rest of this path in its `**`.
    fn in_rest_of(path: &CanonicalPath<'_>) -> Self {
        if path.ends_with_slash() { Self::InRestWithSlash } else { Self::InRest }
    }
}

impl TrieNode {
    const EMPTY: Self = Self {
        parameter: None,
        lengths: None,
        rest: None,
        rest_with_slash: None,
        has_literals: false,
        here: [None; Method::ALL.len()],
    };
}

impl Default for Trie {
    fn default() -> Self {
        Self {
            literals: HashTable::new(),
            endings: HashTable::new(),
            texts: String::new(),
            nodes: vec![TrieNode::EMPTY],
            lengths: Vec::new(),
            rests: Vec::new(),
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
        let mut at = NodeId::FIRST;
        let mut end = TrieEnd::Here;
        for segment in &route.segments {
            at = match segment {
                Segment::Literal(text) => {
                    self.literal(at, text).unwrap_or_else(|| self.add_literal(at, text))
                }
                Segment::Parameter(_) => self.node(at).and_then(|node| node.parameter).unwrap_or_else(|| {
                    let new = self.add_node();
                    if let Some(node) = self.node_mut(at) {
                        node.parameter = Some(new);
                    }
                    new
                }),
                Segment::Ended { ending, .. } => {
                    self.ending(at, ending).unwrap_or_else(|| self.add_ending(at, ending))
                }
                Segment::Rest => {
                    end = TrieEnd::InRest;
                    at
                }
                Segment::RestWithSlash => {
                    end = TrieEnd::InRestWithSlash;
                    at
                }
            };
        }
        let choices = self.written.entry((at, end)).or_default();
        if let Some((_, first)) = choices.iter().find(|(method, _)| *method == route.method) {
            return Err(*first);
        }
        choices.push((route.method, id));
        let best = Method::ALL.map(|method| by_precision(choices, method).first().copied());
        self.set_deciding(at, end, best);
        Ok(())
    }

    fn set_deciding(&mut self, at: NodeId, end: TrieEnd, best: Deciding) {
        let new = RestId::at(self.rests.len());
        let Some(node) = self.nodes.get_mut(at.position()) else { return };
        let rest = match end {
            TrieEnd::Here => return node.here = best,
            TrieEnd::InRest => &mut node.rest,
            TrieEnd::InRestWithSlash => &mut node.rest_with_slash,
        };
        if let Some(deciding) = rest.and_then(|rest| self.rests.get_mut(rest.position())) {
            *deciding = best;
        } else {
            *rest = Some(new);
            self.rests.push(best);
        }
    }

    fn deciding(&self, node: &TrieNode, end: TrieEnd, method: Method) -> Option<RouteId> {
        let routes = match end {
            TrieEnd::Here => &node.here,
            TrieEnd::InRest => self.rests.get(node.rest?.position())?,
            TrieEnd::InRestWithSlash => self.rests.get(node.rest_with_slash?.position())?,
        };
        *routes.get(method as usize)?
    }

    fn node(&self, id: NodeId) -> Option<&TrieNode> {
        self.nodes.get(id.position())
    }

    fn node_mut(&mut self, id: NodeId) -> Option<&mut TrieNode> {
        self.nodes.get_mut(id.position())
    }

    fn literal(&self, from: NodeId, text: &str) -> Option<NodeId> {
        let same = |edge: &Edge| edge.from == from && edge.text(&self.texts) == text;
        self.literals.find(hash(from, text), same).map(|edge| edge.to)
    }

    fn add_literal(&mut self, from: NodeId, text: &str) -> NodeId {
        let edge = self.edge(from, text);
        let to = edge.to;
        if let Some(node) = self.node_mut(from) {
            node.has_literals = true;
        }
        let texts = &self.texts;
        self.literals.insert_unique(hash(from, text), edge, |edge| hash(edge.from, edge.text(texts)));
        to
    }

    fn ending(&self, from: NodeId, text: &str) -> Option<NodeId> {
        let same = |edge: &Edge| edge.from == from && edge.text(&self.texts) == text;
        self.endings.find(hash(from, text), same).map(|edge| edge.to)
    }

    fn add_ending(&mut self, from: NodeId, text: &str) -> NodeId {
        let edge = self.edge(from, text);
        let to = edge.to;
        let new = LengthsId::at(self.lengths.len());
        if let Some(node) = self.nodes.get_mut(from.position()) {
            let lengths = *node.lengths.get_or_insert_with(|| {
                self.lengths.push(Vec::new());
                new
            });
            let length = u16::try_from(text.len()).unwrap_or(u16::MAX);
            if let Some(lengths) = self.lengths.get_mut(lengths.position())
                && let Err(place) = lengths.binary_search_by(|other| length.cmp(other))
            {
                lengths.insert(place, length);
            }
        }
        let texts = &self.texts;
        self.endings.insert_unique(hash(from, text), edge, |edge| hash(edge.from, edge.text(texts)));
        to
    }

    /// A new node, and the edge that leads to it.
    fn edge(&mut self, from: NodeId, text: &str) -> Edge {
        let to = self.add_node();
        let start = small(self.texts.len());
        self.texts.push_str(text);
        Edge { from, to, text: (start, small(self.texts.len())) }
    }

    /// The nodes behind the endings that a segment has below a node, the longest ending first. However long the
    /// segment is, it is asked once for each length of these endings.
    fn behind_endings(&self, from: NodeId, node: &TrieNode, segment: &str) -> impl Iterator<Item = NodeId> {
        let lengths = node.lengths.and_then(|lengths| self.lengths.get(lengths.position()));
        let lengths = lengths.map(Vec::as_slice).unwrap_or_default();
        lengths.iter().filter_map(move |length| {
            let before = segment.len().checked_sub(usize::from(*length)).filter(|before| *before > 0)?;
            let starts_one = matches!(segment.as_bytes().get(before), Some(b':' | b'.'));
            if starts_one { self.ending(from, segment.get(before..)?) } else { None }
        })
    }

    fn add_node(&mut self) -> NodeId {
        self.nodes.push(TrieNode::EMPTY);
        NodeId::at(self.nodes.len() - 1)
    }

    /// The route that decides: read from the left, a literal before a parameter with an ending (the longest
    /// first) before a parameter before `**`; at the same pattern the more precise method. Each node is
    /// visited once at most, without allocation.
    pub(super) fn find(&self, method: Method, path: &CanonicalPath<'_>) -> Option<RouteId> {
        self.find_below(NodeId::FIRST, 0, method, path)
    }

    fn find_below(
        &self,
        at: NodeId,
        depth: usize,
        method: Method,
        path: &CanonicalPath<'_>,
    ) -> Option<RouteId> {
        let node = self.node(at)?;
        let Some(segment) = path.segment(depth) else { return self.deciding(node, TrieEnd::Here, method) };
        if node.has_literals
            && let Some(child) = self.literal(at, segment)
            && let Some(found) = self.find_below(child, depth + 1, method, path)
        {
            return Some(found);
        }
        if segment.is_empty() {
            return None;
        }
        let mut behind_endings = self.behind_endings(at, node, segment);
        if let Some(found) = behind_endings.find_map(|child| self.find_below(child, depth + 1, method, path))
        {
            return Some(found);
        }
        if let Some(child) = node.parameter
            && let Some(found) = self.find_below(child, depth + 1, method, path)
        {
            return Some(found);
        }
        self.deciding(node, TrieEnd::in_rest_of(path), method)
    }

    /// Every route that matches, most specific first.
    pub(super) fn find_all(&self, method: Method, path: &CanonicalPath<'_>) -> Vec<RouteId> {
        let mut found = Vec::new();
        self.collect_below(NodeId::FIRST, 0, method, path, &mut found);
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
            return into.extend(by_precision(written(TrieEnd::Here), method));
        };
        if let Some(child) = self.literal(at, segment) {
            self.collect_below(child, depth + 1, method, path, into);
        }
        let Some(node) = self.node(at).filter(|_| !segment.is_empty()) else { return };
        for child in self.behind_endings(at, node, segment).chain(node.parameter) {
            self.collect_below(child, depth + 1, method, path, into);
        }
        into.extend(by_precision(written(TrieEnd::in_rest_of(path)), method));
    }

    /// Where a pattern ends, if a route has it: whatever its parameters are called.
    fn end_of(&self, pattern: &[Segment]) -> Option<PatternEnd> {
        let mut at = NodeId::FIRST;
        for (depth, segment) in pattern.iter().enumerate() {
            at = match segment {
                Segment::Literal(text) => self.literal(at, text)?,
                Segment::Parameter(_) => self.node(at)?.parameter?,
                Segment::Ended { ending, .. } => self.ending(at, ending)?,
                Segment::Rest => return Some(PatternEnd { at, end: TrieEnd::InRest, depth }),
                Segment::RestWithSlash => {
                    return Some(PatternEnd { at, end: TrieEnd::InRestWithSlash, depth });
                }
            };
        }
        Some(PatternEnd { at, end: TrieEnd::Here, depth: pattern.len() })
    }

    /// The route of this very pattern that decides for a method, whatever its parameters are called.
    pub(super) fn find_pattern(&self, method: Method, pattern: &[Segment]) -> Option<RouteId> {
        let PatternEnd { at, end, .. } = self.end_of(pattern)?;
        self.deciding(self.node(at)?, end, method)
    }

    /// Whether more specific routes decide every request that `route` matches.
    pub(super) fn never_decides(&self, route: &Route, id: RouteId) -> bool {
        let Some(PatternEnd { at, end, depth }) = self.end_of(&route.segments) else { return false };
        let Some(node) = self.node(at) else { return false };
        let covers = |method: &Method| route.method.precision(*method).is_some();
        Method::ALL.into_iter().filter(covers).all(|method| {
            self.deciding(node, end, method) != Some(id)
                || (end != TrieEnd::Here && self.covered_below(at, depth, end, method))
        })
    }

    /// Whether parameters below a node decide every path that a `**` or `**/` there would match: only they can,
    /// since no set of literals and endings covers all segments.
    fn covered_below(&self, at: NodeId, depth: usize, end: TrieEnd, method: Method) -> bool {
        let Some(child) = self.node(at).and_then(|node| node.parameter) else { return false };
        let Some(node) = self.node(child) else { return false };
        let (last, length) = match end {
            TrieEnd::InRestWithSlash => (self.literal(child, ""), depth + 2),
            TrieEnd::Here | TrieEnd::InRest => (Some(child), depth + 1),
        };
        let last = last.and_then(|last| self.node(last));
        last.is_some_and(|last| self.deciding(last, TrieEnd::Here, method).is_some())
            && (self.deciding(node, end, method).is_some()
                || length == CanonicalPath::MOST_SEGMENTS
                || self.covered_below(child, depth + 1, end, method))
    }
}
