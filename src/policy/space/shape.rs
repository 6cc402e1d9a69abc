//! The paths that patterns cover.

use std::fmt;

use crate::policy::{
    path::CanonicalPath,
    route::{Route, Segment},
};

/// The paths of a pattern, or those that two patterns have in common.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(in crate::policy) struct Shape<'r> {
    pub(super) pieces: Vec<Piece<'r>>,
    /// One or more segments follow.
    pub(super) has_rest: bool,
}

/// One segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Piece<'r> {
    Literal(&'r str),
    /// Any segment that is not empty; with the name of the parameter, if it is one.
    Free(Option<&'r str>),
}

/// How a shape that ends in `**` goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(in crate::policy) enum Tail {
    /// It ends here.
    End,
    /// More segments behave like the last one.
    More,
}

impl<'r> Shape<'r> {
    /// The paths of a route's pattern.
    pub(in crate::policy) fn of(route: &'r Route) -> Self {
        let mut pieces = Vec::with_capacity(route.segments.len());
        let mut has_rest = false;
        for segment in &route.segments {
            match segment {
                Segment::Literal(text) => pieces.push(Piece::Literal(text)),
                Segment::Parameter(name) => pieces.push(Piece::Free(Some(name))),
                Segment::Rest => has_rest = true,
            }
        }
        Self { pieces, has_rest }
    }

    /// How many segments stand before `**`.
    pub(in crate::policy) fn depth(&self) -> usize {
        self.pieces.len()
    }

    /// Whether it ends in `**`.
    pub(in crate::policy) fn has_rest(&self) -> bool {
        self.has_rest
    }

    /// The paths without the slash in which they all end.
    pub(in crate::policy) fn without_slash(&self) -> Option<Self> {
        let (last, pieces) = self.pieces.split_last()?;
        (*last == Piece::Literal("") && !pieces.is_empty())
            .then(|| Self { pieces: pieces.to_vec(), has_rest: false })
    }

    /// The paths with a slash at the end.
    pub(in crate::policy) fn with_slash(mut self) -> Self {
        self.pieces.push(Piece::Literal(""));
        self
    }

    /// What is known of a segment: its piece, or anything where `**` covers it.
    fn piece(&self, index: usize) -> Option<Piece<'r>> {
        self.pieces.get(index).copied().or_else(|| self.has_rest.then_some(Piece::Free(None)))
    }

    /// The paths that both have; parameters are called as here first.
    pub(in crate::policy) fn meet(&self, other: &Self) -> Option<Self> {
        if self.depth() == other.depth() && self.has_rest != other.has_rest {
            return None;
        }
        let pieces = (0..self.depth().max(other.depth())).map(|index| {
            match (self.piece(index)?, other.piece(index)?) {
                (Piece::Literal(a), Piece::Literal(b)) => (a == b).then_some(Piece::Literal(a)),
                (Piece::Literal(text), Piece::Free(_)) | (Piece::Free(_), Piece::Literal(text)) => {
                    (!text.is_empty()).then_some(Piece::Literal(text))
                }
                (Piece::Free(a), Piece::Free(b)) => Some(Piece::Free(a.or(b))),
            }
        });
        Some(Self { pieces: pieces.collect::<Option<_>>()?, has_rest: self.has_rest && other.has_rest })
    }

    /// Whether both have the same paths, whatever their parameters are called.
    pub(in crate::policy) fn is_same_paths(&self, other: &Self) -> bool {
        let same = |(a, b): (&Piece<'_>, &Piece<'_>)| match (a, b) {
            (Piece::Literal(a), Piece::Literal(b)) => a == b,
            (Piece::Free(_), Piece::Free(_)) => true,
            (Piece::Literal(_), Piece::Free(_)) | (Piece::Free(_), Piece::Literal(_)) => false,
        };
        self.has_rest == other.has_rest
            && self.depth() == other.depth()
            && self.pieces.iter().zip(&other.pieces).all(same)
    }

    /// The shapes of one length each that stand for this one where no route is deeper than `deepest`:
    /// paths that are longer than every route behave alike, which the last one stands for.
    pub(in crate::policy) fn lengths(&self, deepest: usize) -> Vec<(Self, Tail)> {
        if !self.has_rest {
            return vec![(self.clone(), Tail::End)];
        }
        let longest = (deepest.max(self.depth()) + 1).min(CanonicalPath::MOST_SEGMENTS);
        (self.depth() + 1..=longest)
            .map(|length| {
                let mut pieces = self.pieces.clone();
                pieces.resize(length, Piece::Free(None));
                let tail = if length == longest { Tail::More } else { Tail::End };
                (Self { pieces, has_rest: false }, tail)
            })
            .collect()
    }

    /// As a pattern. With [`Tail::More`] the last segment is `**`.
    pub(in crate::policy) fn pattern(&self, tail: Tail) -> impl fmt::Display {
        let shown = match (tail, self.has_rest) {
            (Tail::More, false) => self.depth().saturating_sub(1),
            (Tail::End, _) | (Tail::More, true) => self.depth(),
        };
        fmt::from_fn(move |f| {
            for piece in self.pieces.iter().take(shown) {
                match piece {
                    Piece::Literal(text) => write!(f, "/{text}")?,
                    Piece::Free(name) => write!(f, "/{{{}}}", name.unwrap_or("_"))?,
                }
            }
            if self.has_rest || shown < self.depth() { f.write_str("/**") } else { Ok(()) }
        })
    }
}
