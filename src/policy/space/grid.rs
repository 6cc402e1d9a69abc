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

/// A segment as it is sent.
pub(in crate::policy) fn encoded(text: &str) -> String {
    utf8_percent_encode(text, ESCAPED).to_string()
}

/// Whether a path can have this segment.
pub(in crate::policy) fn is_segment(text: &str) -> bool {
    !text.is_empty() && CanonicalPath::parse(&format!("/{}", encoded(text))).is_ok()
}

/// Which segments of the path conditions compare, with which claims, and what else these are compared with.
#[derive(Clone, Debug, Default)]
pub(in crate::policy) struct Compared<'c> {
    claims_at: BTreeMap<usize, BTreeSet<&'c str>>,
    values_of: BTreeMap<&'c str, BTreeSet<&'c str>>,
    tests_of: BTreeMap<&'c str, Vec<&'c ClaimTest>>,
}

impl<'c> Compared<'c> {
    /// Adds what these alternatives compare.
    pub(in crate::policy) fn add(&mut self, alternatives: impl Iterator<Item = Alternative<'c>>) {
        for condition in alternatives.flat_map(|alternative| alternative.0) {
            let Condition::Claim { name, test } = condition else { continue };
            self.tests_of.entry(name).or_default().push(test);
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

    /// The values that the claims at linked segments are compared with: constants, and the literals of the
    /// shape among these segments.
    fn values_at(&self, linked: &BTreeSet<usize>, shape: &Shape<'c>) -> BTreeSet<&'c str> {
        let mut values = BTreeSet::new();
        for position in linked {
            let claims = self.claims_at.get(position).into_iter().flatten();
            values.extend(claims.filter_map(|claim| self.values_of.get(claim)).flatten().copied());
            if let Some(Piece::Literal(text)) = shape.pieces.get(*position) {
                values.insert(text);
            }
        }
        values
    }

    /// What conditions tell of a value at a segment: values of which they tell the same are alike.
    fn told(&self, position: usize, value: &str) -> Vec<bool> {
        let claims = self.claims_at.get(&position).into_iter().flatten();
        let tests = claims.filter_map(|claim| self.tests_of.get(claim)).flatten();
        let told = tests.map(|test| match test {
            ClaimTest::Is(other) | ClaimTest::Contains(other) => **other == *value,
            ClaimTest::In(others) => others.iter().any(|other| **other == *value),
            ClaimTest::SameAsPath(_) | ClaimTest::ContainsPath(_) => false,
        });
        told.collect()
    }

    /// The segments that conditions link with this one, itself included: two that are compared with one
    /// claim, and so on from claim to claim, for if `a` is `b` and `b` is `c` then `a` is `c`.
    fn linked(&self, position: usize) -> BTreeSet<usize> {
        let mut linked = BTreeSet::from([position]);
        let mut claims: BTreeSet<&str> =
            self.claims_at.get(&position).into_iter().flatten().copied().collect();
        loop {
            let reached = self.claims_at.iter().filter(|(_, at)| !at.is_disjoint(&claims));
            let reached: Vec<_> = reached.filter(|(other, _)| !linked.contains(*other)).collect();
            if reached.is_empty() {
                return linked;
            }
            for (other, at) in reached {
                linked.insert(*other);
                claims.extend(at);
            }
        }
    }
}

/// One value of a segment, standing for itself or for all that nothing else stands for.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Choice {
    /// One of these, which are alike; never empty.
    Is(Vec<String>),
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

/// A value in words, in quotes where it could be taken for more than one.
fn quoted(text: &str) -> String {
    let is_plain = |c: char| c.is_alphanumeric() || matches!(c, '-' | '_' | '.' | '@' | '+');
    if text.chars().all(is_plain) && !text.is_empty() { text.to_owned() } else { format!("{text:?}") }
}

/// The paths that stand for all of a shape, by what conditions can tell apart.
#[derive(Debug)]
pub(in crate::policy) struct Grid<'r> {
    shape: Shape<'r>,
    /// By segment: the text that stands for all others.
    others: Vec<String>,
    axes: Vec<Axis>,
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

    /// What tells the points that were hit from the other points that were seen.
    pub(in crate::policy) fn clauses(&self, seen: &Seen) -> Clauses {
        let seen: Vec<_> = seen.0.iter().map(|(point, hit)| (point, *hit)).collect();
        if seen.is_empty() { Clauses::never() } else { Clauses(self.split(0, &seen)) }
    }

    /// By axis: choices that lead to the same further conditions are named together.
    fn split(&self, axis: usize, seen: &[(&Point, bool)]) -> Vec<Vec<Clause>> {
        if seen.iter().all(|(_, hit)| *hit) {
            return vec![Vec::new()];
        }
        let Some(Axis { name, choices, .. }) = self.axes.get(axis) else { return Vec::new() };
        let mut groups: Vec<(Vec<Vec<Clause>>, Vec<&Choice>)> = Vec::new();
        for (at, choice) in choices.iter().enumerate() {
            let chosen: Vec<_> =
                seen.iter().filter(|(point, _)| point.get(axis) == Some(&at)).copied().collect();
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
            let values = named.into_iter().flat_map(|choice| self.words(choice)).collect();
            let clause = Clause { name: name.clone(), is: !has_other, values };
            for rest in further {
                let first = (!is_one_group).then(|| clause.clone());
                clauses.push(first.into_iter().chain(rest.iter().cloned()).collect());
            }
        }
        clauses
    }

    fn words(&self, choice: &Choice) -> Vec<String> {
        match choice {
            Choice::Is(texts) => texts.iter().map(|text| quoted(text)).collect(),
            Choice::SameAs(axis) => {
                self.axes.get(*axis).map(|axis| format!("{{{}}}", axis.name)).into_iter().collect()
            }
            Choice::Other => Vec::new(),
        }
    }
}

/// Points that were looked at, and whether they have what is looked for.
#[derive(Clone, Debug, Default)]
pub(in crate::policy) struct Seen(BTreeMap<Point, bool>);

impl Seen {
    /// Notes a point; one hit is enough for it to have been hit.
    pub(in crate::policy) fn note(&mut self, point: &Point, hit: bool) {
        match self.0.get_mut(point) {
            Some(seen) => *seen |= hit,
            None => drop(self.0.insert(point.clone(), hit)),
        }
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

    /// Where there are too many paths to look at.
    pub(in crate::policy) fn too_many() -> Self {
        let values = vec!["one of too many to list".to_owned()];
        Self(vec![vec![Clause { name: "path".to_owned(), is: true, values }]])
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
