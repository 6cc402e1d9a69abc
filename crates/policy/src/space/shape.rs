//! The paths that patterns cover.

use std::fmt;

use crate::{
    path::CanonicalPath,
    route::{Route, Segment, ends_in},
};

/// The paths of a pattern, or those that two patterns have in common.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Shape<'r> {
    pub(super) pieces: Vec<ShapePiece<'r>>,
    rest: Rest,
}

/// One segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum ShapePiece<'r> {
    Literal(&'r str),
    /// Any text that is not empty, and behind it the ending.
    Free {
        /// Of the parameter, if it is one.
        name: Option<&'r str>,
        /// Mostly empty.
        ending: &'r str,
    },
}

/// What follows the pieces.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Rest {
    Nothing,
    /// One or more segments: `**`.
    Segments,
    /// One or more segments and a slash: `**/`.
    SegmentsAndSlash,
}

/// How a shape that ends in `**` goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Tail {
    /// It ends here.
    End,
    /// More segments behave like the last one.
    More,
}

impl<'r> ShapePiece<'r> {
    /// Any segment that is not empty.
    const ANY: Self = Self::Free { name: None, ending: "" };
    /// What is behind a slash at the end.
    const NOTHING: Self = Self::Literal("");

    /// The segments that both have.
    fn meet(self, other: Self) -> Option<Self> {
        match (self, other) {
            (Self::Literal(a), Self::Literal(b)) => (a == b).then_some(self),
            (Self::Literal(text), Self::Free { ending, .. })
            | (Self::Free { ending, .. }, Self::Literal(text)) => {
                ends_in(text, ending).then_some(Self::Literal(text))
            }
            (Self::Free { name: a, ending: longer }, Self::Free { name: b, ending })
                if longer.ends_with(ending) =>
            {
                // without a name of its own it takes the other's
                Some(Self::Free { name: a.or(b), ending: longer })
            }
            (Self::Free { name: a, ending }, Self::Free { name: b, ending: longer }) => {
                longer.ends_with(ending).then_some(Self::Free { name: b.or(a), ending: longer })
            }
        }
    }

    /// Whether both have the same segments.
    fn is_same(self, other: Self) -> bool {
        match (self, other) {
            (Self::Literal(a), Self::Literal(b))
            | (Self::Free { ending: a, .. }, Self::Free { ending: b, .. }) => a == b,
            (Self::Literal(_), Self::Free { .. }) | (Self::Free { .. }, Self::Literal(_)) => false,
        }
    }

    /// What all of its segments end in.
    pub(super) fn end(self) -> &'r str {
        match self {
            Self::Literal(text) => text,
            Self::Free { ending, .. } => ending,
        }
    }

    /// Whether this is one of its segments.
    pub(super) fn has(self, segment: &str) -> bool {
        match self {
            Self::Literal(text) => text == segment,
            Self::Free { ending, .. } => ends_in(segment, ending),
        }
    }
}

impl<'r> Shape<'r> {
    /// The paths of a route's pattern.
    pub(crate) fn of(route: &'r Route) -> Self {
        let mut pieces = Vec::with_capacity(route.segments.len());
        let mut rest = Rest::Nothing;
        for segment in &route.segments {
            match segment {
                Segment::Literal(text) => pieces.push(ShapePiece::Literal(text)),
                Segment::Parameter(name) => pieces.push(ShapePiece::Free { name: Some(name), ending: "" }),
                Segment::Ended { name, ending } => pieces.push(ShapePiece::Free { name: Some(name), ending }),
                Segment::Rest => rest = Rest::Segments,
                Segment::RestWithSlash => rest = Rest::SegmentsAndSlash,
            }
        }
        Self { pieces, rest }
    }

    /// How many segments stand before `**`.
    pub(crate) fn depth(&self) -> usize {
        self.pieces.len()
    }

    /// Whether it ends in `**` or `**/`.
    pub(crate) fn has_rest(&self) -> bool {
        self.rest != Rest::Nothing
    }

    /// The paths without the slash in which they all end.
    pub(crate) fn without_slash(&self) -> Option<Self> {
        match self.rest {
            Rest::SegmentsAndSlash => Some(Self { pieces: self.pieces.clone(), rest: Rest::Segments }),
            Rest::Segments => None,
            Rest::Nothing => {
                let (last, pieces) = self.pieces.split_last()?;
                (*last == ShapePiece::NOTHING && !pieces.is_empty())
                    .then(|| Self { pieces: pieces.to_vec(), rest: Rest::Nothing })
            }
        }
    }

    /// The paths with a slash at the end.
    pub(crate) fn with_slash(mut self) -> Self {
        match self.rest {
            Rest::Nothing => self.pieces.push(ShapePiece::NOTHING),
            Rest::Segments | Rest::SegmentsAndSlash => self.rest = Rest::SegmentsAndSlash,
        }
        self
    }

    /// The paths with any text in the place of the verb (`:cancel`) in which they all end, behind a parameter.
    pub(crate) fn without_verb(&self) -> Option<Self> {
        let (ShapePiece::Free { name, ending }, pieces) = self.pieces.split_last()? else { return None };
        (ending.starts_with(':') && !self.has_rest()).then(|| {
            let last = ShapePiece::Free { name: *name, ending: "" };
            Self { pieces: [pieces, &[last]].concat(), rest: Rest::Nothing }
        })
    }

    /// What is known of a segment: its piece, or anything where `**` covers it.
    fn piece(&self, index: usize) -> Option<ShapePiece<'r>> {
        self.pieces.get(index).copied().or_else(|| self.has_rest().then_some(ShapePiece::ANY))
    }

    /// The paths that both have; parameters are called as here first.
    pub(crate) fn meet(&self, other: &Self) -> Option<Self> {
        if [self.rest, other.rest].contains(&Rest::SegmentsAndSlash) {
            return Some(self.without_slash()?.meet(&other.without_slash()?)?.with_slash());
        }
        if self.depth() == other.depth() && self.rest != other.rest {
            return None;
        }
        let pieces = (0..self.depth().max(other.depth()))
            .map(|index| self.piece(index)?.meet(other.piece(index)?))
            .collect::<Option<_>>()?;
        let rest = if self.rest == other.rest { self.rest } else { Rest::Nothing };
        Some(Self { pieces, rest })
    }

    /// Whether both have the same paths, whatever their parameters are called.
    pub(crate) fn is_same_paths(&self, other: &Self) -> bool {
        self.rest == other.rest
            && self.depth() == other.depth()
            && self.pieces.iter().zip(&other.pieces).all(|(a, b)| a.is_same(*b))
    }

    /// The shapes of one length each that stand for this one where no route is deeper than `deepest`:
    /// paths that are longer than every route behave alike, which the last one stands for.
    pub(crate) fn lengths(&self, deepest: usize) -> Vec<(Self, Tail)> {
        let slash = match self.rest {
            Rest::Nothing => return vec![(self.clone(), Tail::End)],
            Rest::Segments => None,
            Rest::SegmentsAndSlash => Some(ShapePiece::NOTHING),
        };
        let most = CanonicalPath::MOST_SEGMENTS - usize::from(slash.is_some());
        let longest = (deepest.max(self.depth()) + 1).min(most);
        (self.depth() + 1..=longest)
            .map(|length| {
                let mut pieces = self.pieces.clone();
                pieces.resize(length, ShapePiece::ANY);
                pieces.extend(slash);
                let tail = if length == longest { Tail::More } else { Tail::End };
                (Self { pieces, rest: Rest::Nothing }, tail)
            })
            .collect()
    }

    /// As a pattern. With [`Tail::More`] the last segment is `**`.
    pub(crate) fn pattern(&self, tail: Tail) -> impl fmt::Display {
        let (shown, rest) = match (tail, self.rest) {
            (_, Rest::Segments) => (self.depth(), "/**"),
            (_, Rest::SegmentsAndSlash) => (self.depth(), "/**/"),
            (Tail::End, Rest::Nothing) => (self.depth(), ""),
            (Tail::More, Rest::Nothing) if self.pieces.last() == Some(&ShapePiece::NOTHING) => {
                (self.depth().saturating_sub(2), "/**/")
            }
            (Tail::More, Rest::Nothing) => (self.depth().saturating_sub(1), "/**"),
        };
        fmt::from_fn(move |f| {
            for piece in self.pieces.iter().take(shown) {
                match piece {
                    ShapePiece::Literal(text) => write!(f, "/{text}")?,
                    ShapePiece::Free { name, ending } => write!(f, "/{{{}}}{ending}", name.unwrap_or("_"))?,
                }
            }
            f.write_str(rest)
        })
    }
}
