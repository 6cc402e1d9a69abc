//! Which routes share paths with a pattern.

use std::collections::{BTreeMap, HashSet};

use super::shape::{Piece, Shape};
use crate::policy::{route::Route, trie::RouteId};

/// Routes by segment, for finding all that meet a [`Shape`].
#[derive(Default)]
pub(in crate::policy) struct RouteIndex<'r> {
    root: Branch<'r>,
    shapes: Vec<Shape<'r>>,
    deepest: usize,
    literals: HashSet<&'r str>,
}

#[derive(Default)]
struct Branch<'r> {
    literals: BTreeMap<&'r str, Branch<'r>>,
    free: Option<Box<Branch<'r>>>,
    /// Patterns that end here, in `**` or not.
    ends: Vec<RouteId>,
}

impl<'r> RouteIndex<'r> {
    /// Indexes routes by their position.
    pub(in crate::policy) fn new(routes: &'r [Route]) -> Self {
        let mut index = Self::default();
        for (id, route) in (0..).zip(routes) {
            let shape = Shape::of(route);
            index.deepest = index.deepest.max(shape.depth());
            let mut at = &mut index.root;
            for piece in &shape.pieces {
                at = match piece {
                    Piece::Literal(text) => {
                        index.literals.insert(text);
                        at.literals.entry(text).or_default()
                    }
                    Piece::Free(_) => at.free.get_or_insert_default(),
                };
            }
            at.ends.push(id);
            index.shapes.push(shape);
        }
        index
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

    /// Every route that has paths in common with `shape`, and these paths.
    pub(in crate::policy) fn meeting<'s>(&self, shape: &Shape<'s>) -> Vec<(RouteId, Shape<'s>)>
    where
        'r: 's,
    {
        let mut candidates = Vec::new();
        self.root.collect(&shape.pieces, shape.has_rest, &mut candidates);
        candidates.into_iter().filter_map(|route| Some((route, shape.meet(self.shape(route)?)?))).collect()
    }
}

impl Branch<'_> {
    /// Every route of which the first segments fit, those that end early too: they may end in `**`.
    fn collect(&self, pieces: &[Piece<'_>], has_rest: bool, into: &mut Vec<RouteId>) {
        into.extend(&self.ends);
        let below: &[Piece<'_>] = pieces.get(1..).unwrap_or_default();
        match pieces.first() {
            Some(Piece::Literal(text)) => {
                self.literals.get(text).into_iter().for_each(|branch| branch.collect(below, has_rest, into));
            }
            None if !has_rest => return,
            Some(Piece::Free(_)) | None => {
                self.literals.values().for_each(|branch| branch.collect(below, has_rest, into));
            }
        }
        if let Some(free) = &self.free {
            free.collect(below, has_rest, into);
        }
    }
}
