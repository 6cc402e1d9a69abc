//! The few paths of a shape that stand for all of them.

use std::collections::{BTreeMap, BTreeSet};

use percent_encoding::utf8_percent_encode;

use super::{
    compared::{Compared, segment_with},
    index::Known,
    segment::{ESCAPED, MOST_POINTS},
    shape::{Shape, ShapePiece},
};
use crate::{claim::Claim, path::CanonicalPath, subject::Permissions};

/// One text of a segment, standing for itself or for all that nothing else stands for.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum Choice {
    /// One of these, which are alike; never empty.
    Is(Vec<String>),
    Other,
    /// What comes of the text of another axis, where that is [`Choice::Other`]: mostly the same.
    Of {
        axis: usize,
        text: String,
    },
}

#[derive(Debug)]
pub(super) struct Axis {
    position: usize,
    pub(super) name: String,
    pub(super) choices: Vec<Choice>,
}

/// By segment the texts that conditions tell from others, those together of which they tell the same.
type Groups = BTreeMap<usize, Vec<Vec<String>>>;

/// Whether paths may be too long to be judged unless what stands for others is short.
fn is_tight(shape: &Shape<'_>, values: &Groups) -> bool {
    let length = |text: &str| utf8_percent_encode(text, ESCAPED).map(str::len).sum::<usize>();
    let lengths = shape.pieces.iter().enumerate().map(|(position, piece)| match piece {
        ShapePiece::Literal(text) => 1 + length(text),
        ShapePiece::Free { ending, .. } => {
            let values = values.get(&position).into_iter().flatten().flatten();
            values.map(|value| 1 + length(value)).fold(48 + length(ending), usize::max)
        }
    });
    lengths.sum::<usize>() > CanonicalPath::LONGEST
}

/// What is told of a text: by routes and by conditions.
#[derive(PartialEq)]
struct ToldOfText<'t> {
    ending: Option<&'t str>,
    told: Vec<bool>,
}

/// Texts of a segment, those together of which the same is told and which routes cannot tell apart. What a route
/// names stands alone, and so does everything where nothing is told.
fn alike(
    texts: &BTreeSet<String>,
    known: &dyn for<'t> Fn(&'t str) -> Known<'t>,
    told: impl Fn(&str) -> Option<Vec<bool>>,
) -> Vec<Vec<String>> {
    let mut groups: Vec<(Option<ToldOfText<'_>>, Vec<String>)> = Vec::new();
    for text in texts {
        let told = match known(text) {
            Known::Name => None,
            Known::By(ending) => told(text).map(|told| ToldOfText { ending, told }),
        };
        match groups.iter_mut().find(|(other, _)| other.is_some() && *other == told) {
            Some((_, group)) => group.push(text.clone()),
            None => groups.push((told, vec![text.clone()])),
        }
    }
    groups.into_iter().map(|(_, group)| group).collect()
}

/// Whether a path with this text has a claim, or an item of its list.
fn has(claim: Option<Claim<'_>>, text: &str) -> bool {
    claim.is_some_and(|claim| {
        claim.is_in_path(text) || claim.items().iter().any(|item| Claim::of(item).is_in_path(text))
    })
}

/// The paths that stand for all of a shape, by what conditions can tell apart.
#[derive(Debug)]
pub(crate) struct Grid<'r> {
    shape: Shape<'r>,
    /// By segment: what stands for all other texts, without the ending of the shape.
    others: Vec<String>,
    pub(super) axes: Vec<Axis>,
}

/// A path of a grid: by axis, which choice.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct GridPoint(pub(super) Vec<usize>);

impl<'r> Grid<'r> {
    /// The paths that stand for all of `shape` (which has one length) for every token. `known` tells what routes can
    /// tell of a text.
    pub(crate) fn for_any_token(
        shape: Shape<'r>,
        compared: &Compared<'r>,
        known: &dyn for<'t> Fn(&'t str) -> Known<'t>,
    ) -> Self {
        let constants = compared.constants(&shape);
        let groups = constants.iter().map(|(position, texts)| {
            // linked segments may have the same value or not, so there each counts
            let is_alone = !compared.is_linked(*position);
            (*position, alike(texts, known, |text| is_alone.then(|| compared.told(*position, text))))
        });
        let mut grid = Self::new(shape, compared, groups.collect(), known);
        grid.link(compared);
        grid
    }

    /// Adds the choices that come of other axes.
    fn link(&mut self, compared: &Compared<'r>) {
        let mut choices: Vec<Vec<Choice>> = vec![Vec::new(); self.axes.len()];
        for (from, axis) in self.axes.iter().enumerate() {
            let Some(text) = self.other(axis.position) else { continue };
            let mut reached = compared.follow(&self.shape, axis.position, &text);
            for (at, (other, choices)) in self.axes.iter().zip(&mut choices).enumerate() {
                // of two axes of which each may come of the other, the later one does
                let is_other = |text: &str| {
                    self.others
                        .get(axis.position)
                        .is_some_and(|base| text.strip_prefix(&**base) == Some(self.end(other.position)))
                };
                let texts = reached.remove(&other.position).unwrap_or_default().into_iter();
                let texts = texts.filter(|text| from < at || (from > at && !is_other(text)));
                choices.extend(texts.map(|text| Choice::Of { axis: from, text }));
            }
        }
        for (axis, choices) in self.axes.iter_mut().zip(choices) {
            axis.choices.extend(choices);
        }
    }

    /// The paths that stand for all of `shape` for tokens that carry one of these.
    pub(crate) fn for_bearers(
        shape: Shape<'r>,
        compared: &Compared<'r>,
        bearers: &[&Permissions],
        known: &dyn for<'t> Fn(&'t str) -> Known<'t>,
    ) -> Self {
        let mut groups = Groups::new();
        for position in (0..shape.depth()).filter(|position| compared.is_compared(*position)) {
            let mut texts = BTreeSet::new();
            for (place, names) in compared.places_in(position) {
                let claims =
                    names.iter().flat_map(|name| bearers.iter().filter_map(|it| name.find(&it.subject())));
                for claim in claims {
                    let items = claim.items().iter().map(Claim::of);
                    let values = items.chain([claim]).filter_map(Claim::in_path);
                    texts.extend(values.filter_map(|value| segment_with(&shape, place, &value)));
                }
            }
            let told = |text: &str| {
                let mut told = Vec::new();
                for (place, names) in compared.places_in(position) {
                    let value = place.of_segment(text).unwrap_or_default();
                    let found =
                        names.iter().flat_map(|name| bearers.iter().map(|it| name.find(&it.subject())));
                    told.extend(found.map(|claim| has(claim, value)));
                }
                Some(told)
            };
            groups.insert(position, alike(&texts, known, told));
        }
        Self::new(shape, compared, groups, known)
    }

    fn new(
        shape: Shape<'r>,
        compared: &Compared<'r>,
        mut groups: Groups,
        known: &dyn for<'t> Fn(&'t str) -> Known<'t>,
    ) -> Self {
        let is_tight = is_tight(&shape, &groups);
        let mut grid = Self { others: Vec::with_capacity(shape.depth()), axes: Vec::new(), shape };
        for (position, piece) in grid.shape.pieces.iter().enumerate() {
            let ShapePiece::Free { name, ending } = *piece else {
                grid.others.push(String::new());
                continue;
            };
            let base = name.unwrap_or("path");
            let mut candidates = (0_usize..).map(|number| other(base, number, is_tight));
            let is_free = |base: &String| {
                let text = format!("{base}{ending}");
                let is_new = |position: &usize, text: &String| {
                    !matches!(known(text), Known::Name)
                        && !groups.get(position).into_iter().flatten().flatten().any(|value| value == text)
                };
                !grid.others.contains(base)
                    && is_new(&position, &text)
                    && compared
                        .follow(&grid.shape, position, &text)
                        .iter()
                        .all(|(position, texts)| texts.iter().all(|text| is_new(position, text)))
            };
            grid.others.push(candidates.find(is_free).unwrap_or_default());
        }
        for (position, piece) in grid.shape.pieces.iter().enumerate() {
            let ShapePiece::Free { name, ending } = *piece else { continue };
            if !compared.is_compared(position) {
                continue;
            }
            let groups = groups.remove(&position).unwrap_or_default();
            let choices = groups.into_iter().map(Choice::Is).chain([Choice::Other]).collect();
            let has_name = |piece: &&ShapePiece<'_>| matches!(piece, ShapePiece::Free { name: other, .. } if *other == name);
            let is_unique = grid.shape.pieces.iter().filter(has_name).count() == 1;
            let name = match (name, ending) {
                (Some(name), _) if is_unique => name.to_owned(),
                (_, "") => format!("segment {}", position + 1),
                (_, ending) => format!("segment {} before {ending}", position + 1),
            };
            grid.axes.push(Axis { position, name, choices });
        }
        grid
    }

    /// The segments that are compared, in order: each with the name of its parameter.
    pub(crate) fn parameters(&self) -> impl Iterator<Item = (usize, &str)> {
        self.axes.iter().map(|axis| (axis.position, axis.name.as_str()))
    }

    /// The texts that are told from others.
    pub(crate) fn texts(&self) -> impl Iterator<Item = &str> {
        let choices = self.axes.iter().flat_map(|axis| &axis.choices);
        choices
            .flat_map(|choice| match choice {
                Choice::Is(texts) => texts.as_slice(),
                Choice::Of { text, .. } => std::slice::from_ref(text),
                Choice::Other => &[],
            })
            .map(String::as_str)
    }

    /// At most how many points there are.
    pub(crate) fn size(&self) -> usize {
        self.axes.iter().fold(1, |size, axis| size.saturating_mul(axis.choices.len()))
    }

    /// Every point with its request target; `None` where there are too many to look at.
    pub(crate) fn points(&self) -> Option<Vec<(GridPoint, String)>> {
        if self.size() > MOST_POINTS {
            return None;
        }
        let mut points: Vec<Vec<usize>> = vec![Vec::new()];
        for axis in &self.axes {
            let longer = |point: Vec<usize>| {
                let each = (0..axis.choices.len())
                    .map(move |at| point.iter().copied().chain([at]).collect::<Vec<_>>());
                each.filter(|point| self.is_apart(point))
            };
            points = points.into_iter().flat_map(longer).collect();
        }
        let with_target = points.into_iter().filter_map(|point| {
            let target = self.target(&point)?;
            // a value that no segment can have, such as one with a slash
            CanonicalPath::parse(&target).is_ok().then_some((GridPoint(point), target))
        });
        Some(with_target.collect())
    }

    /// Whether what comes of another axis does so in this point, as far as it goes.
    fn is_apart(&self, point: &[usize]) -> bool {
        (0..point.len()).all(|at| match self.choice(point, at) {
            Some(Choice::Of { axis, .. }) => {
                *axis >= point.len() || self.choice(point, *axis) == Some(&Choice::Other)
            }
            _ => true,
        })
    }

    fn choice(&self, point: &[usize], axis: usize) -> Option<&Choice> {
        self.axes.get(axis)?.choices.get(*point.get(axis)?)
    }

    /// What all texts of a segment end in.
    fn end(&self, position: usize) -> &'r str {
        self.shape.pieces.get(position).map_or("", |piece| piece.end())
    }

    /// The text that stands for all others of a segment.
    fn other(&self, position: usize) -> Option<String> {
        Some(format!("{}{}", self.others.get(position)?, self.end(position)))
    }

    fn target(&self, point: &[usize]) -> Option<String> {
        let mut target = String::new();
        for (position, (piece, other)) in self.shape.pieces.iter().zip(&self.others).enumerate() {
            let axis = self.axes.iter().position(|axis| axis.position == position);
            target.push('/');
            let mut push = |text: &str| target.extend(utf8_percent_encode(text, ESCAPED));
            match axis.and_then(|axis| self.choice(point, axis)) {
                Some(Choice::Is(texts)) => push(texts.first()?),
                Some(Choice::Of { text, .. }) => push(text),
                None | Some(Choice::Other) => {
                    push(other);
                    push(piece.end());
                }
            }
        }
        Some(target)
    }

    /// The values of an axis' parameter, which stands before the ending of its segment, in words.
    pub(super) fn words(&self, axis: &Axis, choice: &Choice) -> Vec<String> {
        let before = |text: &str| text.strip_suffix(self.end(axis.position)).unwrap_or_default().to_owned();
        match choice {
            Choice::Is(texts) => texts.iter().map(|text| quoted(&before(text))).collect(),
            Choice::Of { axis: from, text } => {
                let from = self.axes.get(*from);
                let other = from.and_then(|from| {
                    Some((from, before(text).strip_prefix(&**self.others.get(from.position)?)?.to_owned()))
                });
                other.map(|(from, behind)| format!("{{{}}}{behind}", from.name)).into_iter().collect()
            }
            Choice::Other => Vec::new(),
        }
    }
}

/// A text that stands for others, of which there are any number.
fn other(base: &str, number: usize, is_tight: bool) -> String {
    let base: String = base.chars().take(20).collect();
    match (is_tight, number) {
        (true, 0..26) => char::from(b'a' + u8::try_from(number).unwrap_or_default()).to_string(),
        (true, _) => format!("a{number}"),
        (false, 0) => format!("some-{base}"),
        (false, _) => format!("some-{base}-{number}"),
    }
}

/// A value in words, in quotes where it could be taken for more than one.
pub(super) fn quoted(text: &str) -> String {
    let is_plain = |c: char| c.is_alphanumeric() || matches!(c, '-' | '_' | '.' | '@' | '+');
    if text.chars().all(is_plain) && !text.is_empty() { text.to_owned() } else { format!("{text:?}") }
}
