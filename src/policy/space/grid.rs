//! The few paths of a shape that stand for all of them.

use std::collections::BTreeSet;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::{Map, Value};

use super::{
    compared::Compared,
    shape::{Piece, Shape},
};
use crate::policy::path::CanonicalPath;

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

/// A segment as it is sent.
pub(in crate::policy) fn encoded(text: &str) -> String {
    utf8_percent_encode(text, ESCAPED).to_string()
}

/// Whether a path can have this segment.
pub(in crate::policy) fn is_segment(text: &str) -> bool {
    !text.is_empty() && CanonicalPath::parse(&format!("/{}", encoded(text))).is_ok()
}

/// One value of a segment, standing for itself or for all that nothing else stands for.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum Choice {
    /// One of these, which are alike; never empty.
    Is(Vec<String>),
    /// The same as the segment of an earlier axis, where that is [`Choice::Other`].
    SameAs(usize),
    Other,
}

#[derive(Debug)]
pub(super) struct Axis {
    position: usize,
    pub(super) name: String,
    pub(super) choices: Vec<Choice>,
}

/// Whether paths may be too long to be judged unless what stands for others is short.
fn is_tight(shape: &Shape<'_>, values: impl Fn(usize) -> Vec<Vec<String>>) -> bool {
    let length = |text: &str| utf8_percent_encode(text, ESCAPED).map(str::len).sum::<usize>();
    let lengths = shape.pieces.iter().enumerate().map(|(position, piece)| match piece {
        Piece::Literal(text) => 1 + length(text),
        Piece::Free(_) => {
            values(position).iter().flatten().map(|value| 1 + length(value)).fold(48, usize::max)
        }
    });
    lengths.sum::<usize>() > CanonicalPath::LONGEST
}

/// Values that a segment can have, those together of which the same is told. What a route names stands alone,
/// and so does everything where nothing is told.
fn alike(
    values: BTreeSet<String>,
    is_taken: &dyn Fn(&str) -> bool,
    told: impl Fn(&str) -> Option<Vec<bool>>,
) -> Vec<Vec<String>> {
    let mut groups: Vec<(Option<Vec<bool>>, Vec<String>)> = Vec::new();
    for value in values.into_iter().filter(|value| is_segment(value)) {
        let told = if is_taken(&value) { None } else { told(&value) };
        match groups.iter_mut().find(|(other, _)| other.is_some() && *other == told) {
            Some((_, group)) => group.push(value),
            None => groups.push((told, vec![value])),
        }
    }
    groups.into_iter().map(|(_, group)| group).collect()
}

/// Whether a claim is this text, or has it in its list.
fn has(claim: Option<&Value>, text: &str) -> bool {
    match claim {
        Some(Value::Array(items)) => items.iter().any(|item| item.as_str() == Some(text)),
        other => other.and_then(Value::as_str) == Some(text),
    }
}

/// The paths that stand for all of a shape, by what conditions can tell apart.
#[derive(Debug)]
pub(in crate::policy) struct Grid<'r> {
    shape: Shape<'r>,
    /// By segment: the text that stands for all others.
    others: Vec<String>,
    pub(super) axes: Vec<Axis>,
}

/// The most paths of one grid that are looked at.
const MOST_POINTS: usize = 1 << 16;

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
            let linked = compared.linked(position);
            let values = compared.values_at(&linked, shape).into_iter().map(str::to_owned).collect();
            // linked segments may have the same value or not, so there each counts
            let is_alone = linked.len() == 1;
            alike(values, is_taken, |value| is_alone.then(|| compared.told(position, value)))
        };
        let mut grid = Self::new(shape, compared, values, is_taken);
        let positions: Vec<_> = grid.axes.iter().map(|axis| axis.position).collect();
        for (at, axis) in grid.axes.iter_mut().enumerate() {
            let linked = compared.linked(axis.position);
            let earlier = positions.iter().enumerate().take(at);
            let same = earlier.filter(|(_, position)| linked.contains(*position));
            axis.choices.extend(same.map(|(other, _)| Choice::SameAs(other)));
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
            alike(texts, is_taken, |text| {
                let names = compared.claims_at.get(&position).into_iter().flatten();
                let found = names.flat_map(|name| claims.iter().map(|claims| claims.get(*name)));
                Some(found.map(|claim| has(claim, text)).collect())
            })
        };
        Self::new(shape, compared, values, is_taken)
    }

    fn new(
        shape: Shape<'r>,
        compared: &Compared<'r>,
        values: impl Fn(usize, &Shape<'r>) -> Vec<Vec<String>>,
        is_taken: &dyn Fn(&str) -> bool,
    ) -> Self {
        let mut axes = Vec::new();
        let mut others: Vec<String> = Vec::with_capacity(shape.depth());
        let compared_with = |position| match compared.claims_at.get(&position) {
            Some(_) => values(position, &shape),
            None => Vec::new(),
        };
        let is_tight = is_tight(&shape, compared_with);
        for (position, piece) in shape.pieces.iter().enumerate() {
            let Piece::Free(name) = piece else {
                others.push(String::new());
                continue;
            };
            let values = compared_with(position);
            if compared.claims_at.contains_key(&position) {
                let mut choices: Vec<_> = values.iter().cloned().map(Choice::Is).collect();
                choices.push(Choice::Other);
                let is_unique = shape.pieces.iter().filter(|other| *other == piece).count() == 1;
                let name = match name {
                    Some(name) if is_unique => (*name).to_owned(),
                    _ => format!("segment {}", position + 1),
                };
                axes.push(Axis { position, name, choices });
            }
            let name: String = name.unwrap_or("path").chars().take(20).collect();
            let mut candidates = (0_usize..).map(|number| match (is_tight, number) {
                (true, _) => number.to_string(),
                (false, 0) => format!("some-{name}"),
                (false, _) => format!("some-{name}-{number}"),
            });
            let is_free = |text: &String| {
                !is_taken(text)
                    && !values.iter().flatten().any(|value| value == text)
                    && !others.contains(text)
            };
            others.push(candidates.find(is_free).unwrap_or_default());
        }
        Self { shape, others, axes }
    }

    /// At most how many points there are.
    pub(in crate::policy) fn size(&self) -> usize {
        self.axes.iter().fold(1, |size, axis| size.saturating_mul(axis.choices.len()))
    }

    /// Every point with its request target; `None` where there are too many to look at.
    pub(in crate::policy) fn points(&self) -> Option<Vec<(Point, String)>> {
        if self.size() > MOST_POINTS {
            return None;
        }
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
        Some(with_target.collect())
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
                (Piece::Free(_), Some(Choice::Is(texts))) => texts.first()?,
                (Piece::Free(_), Some(Choice::SameAs(axis))) => {
                    self.others.get(self.axes.get(*axis)?.position)?
                }
            };
            target.push('/');
            target.extend(utf8_percent_encode(text, ESCAPED));
        }
        Some(target)
    }
}
