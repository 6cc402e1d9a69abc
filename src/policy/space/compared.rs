//! What conditions compare with segments of the path.

use std::collections::{BTreeMap, BTreeSet};

use super::{
    grid::{MOST_POINTS, is_segment},
    shape::{Piece, Shape},
};
use crate::policy::{
    condition::{Alternative, ClaimTest, Condition},
    route::Place,
};

/// Which places of the path conditions compare, with which claims, and what else these are compared with.
#[derive(Clone, Debug, Default)]
pub(in crate::policy) struct Compared<'c> {
    claims_at: BTreeMap<Place, BTreeSet<&'c str>>,
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
                    self.claims_at.entry(parameter.place).or_default().insert(name);
                }
            }
        }
    }

    fn add_value(&mut self, claim: &'c str, value: &'c str) {
        self.values_of.entry(claim).or_default().insert(value);
    }

    /// Whether a condition looks at this segment.
    pub(super) fn is_compared(&self, position: usize) -> bool {
        self.places_in(position).next().is_some()
    }

    /// The places of a segment that are compared, each with the claims.
    pub(super) fn places_in(&self, position: usize) -> impl Iterator<Item = (Place, &BTreeSet<&'c str>)> {
        let each = self.claims_at.iter().map(|(place, claims)| (*place, claims));
        each.filter(move |(place, _)| usize::from(place.segment) == position)
    }

    /// By segment the texts of it with which conditions compare: constants, and what is the same as a literal of the
    /// shape.
    pub(super) fn constants(&self, shape: &Shape<'c>) -> BTreeMap<usize, BTreeSet<String>> {
        let values = self.values_of.iter();
        let values =
            values.flat_map(|(claim, values)| values.iter().map(|value| (*claim, (*value).to_owned())));
        let literals = shape.pieces.iter().enumerate().filter_map(|(position, piece)| match piece {
            Piece::Literal(text) => Some((position, (*text).to_owned())),
            Piece::Free { .. } => None,
        });
        let literals = literals.filter(|(position, _)| self.is_compared(*position));
        self.spread(shape, values.collect(), literals.collect())
    }

    /// By segment the texts that come of a text of another segment, where conditions compare both with one claim.
    pub(super) fn follow(
        &self,
        shape: &Shape<'c>,
        position: usize,
        text: &str,
    ) -> BTreeMap<usize, BTreeSet<String>> {
        self.spread(shape, BTreeSet::new(), BTreeSet::from([(position, text.to_owned())]))
    }

    /// From values of claims and texts of segments on: what a claim is compared with, all that is compared with it may
    /// be too, for if `a` is `b` and `b` is `c` then `a` is `c`. A step for each segment is enough.
    fn spread(
        &self,
        shape: &Shape<'c>,
        mut values: BTreeSet<(&'c str, String)>,
        mut texts: BTreeSet<(usize, String)>,
    ) -> BTreeMap<usize, BTreeSet<String>> {
        let mut reached: BTreeMap<usize, BTreeSet<String>> = BTreeMap::new();
        let segments: BTreeSet<u8> = self.claims_at.keys().map(|place| place.segment).collect();
        for _ in 0..=segments.len() {
            for (position, text) in std::mem::take(&mut texts) {
                for (place, claims) in self.places_in(position) {
                    let value = place.of_segment(&text).filter(|value| !value.is_empty());
                    values.extend(
                        value
                            .into_iter()
                            .flat_map(|value| claims.iter().map(|claim| (*claim, value.to_owned()))),
                    );
                }
                reached.entry(position).or_default().insert(text);
            }
            for (claim, value) in std::mem::take(&mut values) {
                for (place, _) in self.claims_at.iter().filter(|(_, claims)| claims.contains(claim)) {
                    let position = usize::from(place.segment);
                    let Some(text) = segment_with(shape, *place, &value) else { continue };
                    if !reached.get(&position).is_some_and(|reached| reached.contains(&text)) {
                        texts.insert((position, text));
                    }
                }
            }
            // of so many there are too many points anyway
            if texts.is_empty() || texts.len() > MOST_POINTS {
                break;
            }
        }
        for (position, text) in texts {
            reached.entry(position).or_default().insert(text);
        }
        reached
    }

    /// What conditions tell of a text of a segment: texts of which they tell the same are alike.
    pub(super) fn told(&self, position: usize, text: &str) -> Vec<bool> {
        let mut told = Vec::new();
        for (place, claims) in self.places_in(position) {
            let value = place.of_segment(text).unwrap_or_default();
            let tests = claims.iter().filter_map(|claim| self.tests_of.get(claim)).flatten();
            told.extend(tests.map(|test| match test {
                ClaimTest::Is(other) | ClaimTest::Contains(other) => **other == *value,
                ClaimTest::In(others) => others.iter().any(|other| **other == *value),
                ClaimTest::SameAsPath(_) | ClaimTest::ContainsPath(_) => false,
            }));
        }
        told
    }

    /// Whether conditions compare this segment and another one with one claim.
    pub(super) fn is_linked(&self, position: usize) -> bool {
        let claims: BTreeSet<&str> =
            self.places_in(position).flat_map(|(_, claims)| claims.iter().copied()).collect();
        let mut others = self.claims_at.iter().filter(|(place, _)| usize::from(place.segment) != position);
        others.any(|(_, at)| !at.is_disjoint(&claims))
    }
}

/// The segment that has this value at a place of it, if the shape has one.
pub(super) fn segment_with(shape: &Shape<'_>, place: Place, value: &str) -> Option<String> {
    let piece = shape.pieces.get(usize::from(place.segment))?;
    let end = piece.end();
    let ending = end.get(end.len().checked_sub(usize::from(place.ending))?..)?;
    let text = format!("{value}{ending}");
    (piece.has(&text) && is_segment(&text)).then_some(text)
}
