//! The few paths of a shape that stand for all of them, and conditions on the path in words.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
};

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::{Map, Value};

use super::shape::{Piece, Shape};
use crate::policy::{
    condition::{Alternative, ClaimTest, Condition},
    path::CanonicalPath,
};

/// What must be escaped in a segment (RFC 3986 section 3.3), and `;`, which is refused bare.
const ESCAPED: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~')
    .remove(b'!')
    .remove(b'$')
    .remove(b'&')
    .remove(b'\'')
    .remove(b'(')
    .remove(b')')
    .remove(b'*')
    .remove(b'+')
    .remove(b',')
    .remove(b'=')
    .remove(b':')
    .remove(b'@');

/// Whether a path can have this segment.
pub(in crate::policy) fn is_segment(text: &str) -> bool {
    !text.is_empty() && CanonicalPath::parse(&format!("/{}", utf8_percent_encode(text, ESCAPED))).is_ok()
}

/// Which segments of the path conditions compare, with which claims, and what else these are compared with.
#[derive(Clone, Debug, Default)]
pub(in crate::policy) struct Compared<'c> {
    claims_at: BTreeMap<usize, BTreeSet<&'c str>>,
    values_of: BTreeMap<&'c str, BTreeSet<&'c str>>,
}

impl<'c> Compared<'c> {
    /// Adds what these alternatives compare.
    pub(in crate::policy) fn add(&mut self, alternatives: impl Iterator<Item = Alternative<'c>>) {
        for condition in alternatives.flat_map(|alternative| alternative.0) {
            let Condition::Claim { name, test } = condition else { continue };
            match test {
                ClaimTest::Is(value) | ClaimTest::Contains(value) => self.add_value(name, value),
                ClaimTest::In(values) => values.iter().for_each(|value| self.add_value(name, value)),
                ClaimTest::SameAsPath(parameter) | ClaimTest::ContainsPath(parameter) => {
                    self.claims_at.entry(usize::from(parameter.segment)).or_default().insert(name);
                }
            }
        }
    }

    fn add_value(&mut self, claim: &'c str, value: &'c str) {
        self.values_of.entry(claim).or_default().insert(value);
    }

    /// The values that the claims at a segment are compared with elsewhere: constants, and literals of the
    /// shape at other segments.
    fn values_at(&self, position: usize, shape: &Shape<'c>) -> BTreeSet<&'c str> {
        let mut values = BTreeSet::new();
        let Some(claims) = self.claims_at.get(&position) else { return values };
        for claim in claims {
            values.extend(self.values_of.get(claim).into_iter().flatten());
        }
        for (other, others) in &self.claims_at {
            if let (Some(Piece::Literal(text)), false) =
                (shape.pieces.get(*other), others.is_disjoint(claims))
            {
                values.insert(text);
            }
        }
        values
    }

    fn share_a_claim(&self, a: usize, b: usize) -> bool {
        let at = |position| self.claims_at.get(&position);
        at(a).zip(at(b)).is_some_and(|(a, b)| !a.is_disjoint(b))
    }
}

/// One value of a segment, standing for itself or for all that nothing else stands for.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Choice {
    Is(String),
    /// The same as the segment of an earlier axis, where that is [`Choice::Other`].
    SameAs(usize),
    Other,
}

#[derive(Debug)]
struct Axis {
    position: usize,
    name: String,
    choices: Vec<Choice>,
}

/// The paths that stand for all of a shape, by what conditions can tell apart.
#[derive(Debug)]
pub(in crate::policy) struct Grid<'r> {
    shape: Shape<'r>,
    /// By segment: the text that stands for all others.
    others: Vec<String>,
    axes: Vec<Axis>,
}

/// A path of a grid: by axis, which choice.
pub(in crate::policy) type Point = Vec<usize>;

impl<'r> Grid<'r> {
    /// The paths that stand for all of `shape` (which has one length) for every token. `is_taken` tells
    /// which texts a route or condition names.
    pub(in crate::policy) fn for_any_token(
        shape: Shape<'r>,
        compared: &Compared<'r>,
        is_taken: &dyn Fn(&str) -> bool,
    ) -> Self {
        let values = |position: usize, shape: &Shape<'r>| {
            compared.values_at(position, shape).into_iter().map(str::to_owned).collect()
        };
        let mut grid = Self::new(shape, compared, values, is_taken);
        for axis in 1..grid.axes.len() {
            let earlier = grid.axes.get(..axis).unwrap_or_default().iter().enumerate();
            let position = |axis: usize| grid.axes.get(axis).map_or(usize::MAX, |axis| axis.position);
            let same = earlier.filter(|(_, other)| compared.share_a_claim(other.position, position(axis)));
            let same: Vec<_> = same.map(|(other, _)| Choice::SameAs(other)).collect();
            if let Some(axis) = grid.axes.get_mut(axis) {
                axis.choices.extend(same);
            }
        }
        grid
    }

    /// The paths that stand for all of `shape` for tokens with one of these sets of claims.
    pub(in crate::policy) fn for_claims(
        shape: Shape<'r>,
        compared: &Compared<'r>,
        claims: &[&Map<String, Value>],
        is_taken: &dyn Fn(&str) -> bool,
    ) -> Self {
        let values = |position: usize, _: &Shape<'r>| {
            let names = compared.claims_at.get(&position).into_iter().flatten();
            let values = names.flat_map(|name| claims.iter().filter_map(|claims| claims.get(*name)));
            let mut texts = BTreeSet::new();
            for value in values {
                match value {
                    Value::String(text) => drop(texts.insert(text.clone())),
                    Value::Array(items) => {
                        texts.extend(items.iter().filter_map(Value::as_str).map(str::to_owned));
                    }
                    _ => {}
                }
            }
            texts
        };
        Self::new(shape, compared, values, is_taken)
    }

    fn new(
        shape: Shape<'r>,
        compared: &Compared<'r>,
        values: impl Fn(usize, &Shape<'r>) -> BTreeSet<String>,
        is_taken: &dyn Fn(&str) -> bool,
    ) -> Self {
        let mut axes = Vec::new();
        let mut others: Vec<String> = Vec::with_capacity(shape.depth());
        for (position, piece) in shape.pieces.iter().enumerate() {
            let Piece::Free(name) = piece else {
                others.push(String::new());
                continue;
            };
            let values = if compared.claims_at.contains_key(&position) {
                let values = values(position, &shape);
                let mut choices: Vec<_> = values.iter().cloned().map(Choice::Is).collect();
                choices.push(Choice::Other);
                let is_unique = shape.pieces.iter().filter(|other| *other == piece).count() == 1;
                let name = match name {
                    Some(name) if is_unique => (*name).to_owned(),
                    _ => format!("segment {}", position + 1),
                };
                axes.push(Axis { position, name, choices });
                values
            } else {
                BTreeSet::new()
            };
            let name: String = name.unwrap_or("path").chars().take(20).collect();
            let mut other = format!("some-{name}");
            while is_taken(&other) || values.contains(&other) || others.contains(&other) {
                other.push('x');
            }
            others.push(other);
        }
        Self { shape, others, axes }
    }

    /// Every point with its request target.
    pub(in crate::policy) fn points(&self) -> Vec<(Point, String)> {
        let mut points: Vec<Point> = vec![Vec::new()];
        for axis in &self.axes {
            let mut longer = Vec::with_capacity(points.len() * axis.choices.len());
            for point in &points {
                for (at, choice) in axis.choices.iter().enumerate() {
                    let is_apart = match choice {
                        Choice::SameAs(other) => self.choice(point, *other) == Some(&Choice::Other),
                        Choice::Is(_) | Choice::Other => true,
                    };
                    if is_apart {
                        longer.push(point.iter().copied().chain([at]).collect());
                    }
                }
            }
            points = longer;
        }
        let with_target = points.into_iter().filter_map(|point| {
            let target = self.target(&point)?;
            // a value that no segment can have, such as one with a slash
            CanonicalPath::parse(&target).is_ok().then_some((point, target))
        });
        with_target.collect()
    }

    fn choice(&self, point: &[usize], axis: usize) -> Option<&Choice> {
        self.axes.get(axis)?.choices.get(*point.get(axis)?)
    }

    fn target(&self, point: &[usize]) -> Option<String> {
        let mut target = String::new();
        for (position, (piece, other)) in self.shape.pieces.iter().zip(&self.others).enumerate() {
            let axis = self.axes.iter().position(|axis| axis.position == position);
            let text = match (piece, axis.and_then(|axis| self.choice(point, axis))) {
                (Piece::Literal(text), _) => text,
                (Piece::Free(_), None | Some(Choice::Other)) => other.as_str(),
                (Piece::Free(_), Some(Choice::Is(text))) if text.is_empty() => return None,
                (Piece::Free(_), Some(Choice::Is(text))) => text,
                (Piece::Free(_), Some(Choice::SameAs(axis))) => {
                    self.others.get(self.axes.get(*axis)?.position)?
                }
            };
            target.push('/');
            target.extend(utf8_percent_encode(text, ESCAPED));
        }
        Some(target)
    }

    /// What tells the points that were hit from the other points that were seen.
    pub(in crate::policy) fn clauses(&self, seen: &Seen) -> Clauses {
        Clauses(self.split(0, &seen.0))
    }

    /// By axis: choices that lead to the same further conditions are named together.
    fn split(&self, axis: usize, seen: &[(Point, bool)]) -> Vec<Vec<Clause>> {
        if seen.iter().all(|(_, hit)| *hit) {
            return vec![Vec::new()];
        }
        let Some(Axis { name, choices, .. }) = self.axes.get(axis) else { return Vec::new() };
        let mut groups: Vec<(Vec<Vec<Clause>>, Vec<&Choice>)> = Vec::new();
        for (at, choice) in choices.iter().enumerate() {
            let chosen: Vec<_> =
                seen.iter().filter(|(point, _)| point.get(axis) == Some(&at)).cloned().collect();
            if chosen.is_empty() {
                continue;
            }
            let further =
                if chosen.iter().any(|(_, hit)| *hit) { self.split(axis + 1, &chosen) } else { Vec::new() };
            match groups.iter_mut().find(|(other, _)| *other == further) {
                Some((_, choices)) => choices.push(choice),
                None => groups.push((further, vec![choice])),
            }
        }
        let mut clauses = Vec::new();
        let is_one_group = groups.len() == 1;
        for (at, (further, chosen)) in groups.iter().enumerate() {
            let has_other = chosen.contains(&&Choice::Other);
            let named: Vec<&Choice> = if has_other {
                let apart = groups.iter().enumerate().filter(|(other, _)| *other != at);
                apart.flat_map(|(_, (_, choices))| choices.iter().copied()).collect()
            } else {
                chosen.clone()
            };
            let values = named.into_iter().map(|choice| self.word(choice)).collect();
            let clause = Clause { name: name.clone(), is: !has_other, values };
            for rest in further {
                let first = (!is_one_group).then(|| clause.clone());
                clauses.push(first.into_iter().chain(rest.iter().cloned()).collect());
            }
        }
        clauses
    }

    fn word(&self, choice: &Choice) -> String {
        match choice {
            Choice::Is(text) => text.clone(),
            Choice::SameAs(axis) => {
                self.axes.get(*axis).map_or_else(String::new, |axis| format!("{{{}}}", axis.name))
            }
            Choice::Other => String::new(),
        }
    }
}

/// Points that were looked at, and whether they have what is looked for.
#[derive(Clone, Debug, Default)]
pub(in crate::policy) struct Seen(Vec<(Point, bool)>);

impl Seen {
    pub(in crate::policy) fn note(&mut self, point: Point, hit: bool) {
        self.0.push((point, hit));
    }

    pub(in crate::policy) fn has(&self, point: &Point) -> bool {
        self.0.iter().any(|(seen, _)| seen == point)
    }

    pub(in crate::policy) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// A condition on one segment.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(in crate::policy) struct Clause {
    name: String,
    is: bool,
    values: Vec<String>,
}

/// Alternatives of conditions on the path: none is never, an empty one is always.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(in crate::policy) struct Clauses(Vec<Vec<Clause>>);

/// How clauses are written.
#[derive(Clone, Copy, Debug)]
pub(in crate::policy) enum Wording {
    /// `tenant is not acme`
    Words,
    /// `tenant != acme`
    Signs,
}

impl Clauses {
    pub(in crate::policy) fn never() -> Self {
        Self(Vec::new())
    }

    pub(in crate::policy) fn is_always(&self) -> bool {
        self.0.iter().any(Vec::is_empty)
    }

    pub(in crate::policy) fn is_never(&self) -> bool {
        self.0.is_empty()
    }

    pub(in crate::policy) fn worded(&self, wording: Wording) -> String {
        let (and, or) = match wording {
            Wording::Words => (" and ", ", or "),
            Wording::Signs => (" & ", " | "),
        };
        let each = self.0.iter().map(|all| {
            let all: Vec<_> = all.iter().map(|clause| clause.worded(wording)).collect();
            all.join(and)
        });
        each.collect::<Vec<_>>().join(or)
    }
}

impl Clause {
    fn worded(&self, wording: Wording) -> String {
        fmt::from_fn(|f| {
            let verb = match (wording, self.is) {
                (Wording::Words, true) => "is",
                (Wording::Words, false) => "is not",
                (Wording::Signs, true) => "=",
                (Wording::Signs, false) => "!=",
            };
            let or = match (wording, self.is) {
                (Wording::Words, true) => " or ",
                (Wording::Words, false) => " nor ",
                (Wording::Signs, _) => ", ",
            };
            write!(f, "{} {verb} {}", self.name, self.values.join(or))
        })
        .to_string()
    }
}
