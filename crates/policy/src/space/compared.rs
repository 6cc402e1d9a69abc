//! What conditions compare with segments of the path.

use std::collections::{BTreeMap, BTreeSet};

use jeton_oauth::ClientId;

use super::{
    segment::{MOST_POINTS, is_segment},
    shape::{Shape, ShapePiece},
};
use crate::{
    claim::{ClaimName, ClaimValue},
    condition::{Alternative, ClaimTest, Condition},
    route::ParameterPlace,
};

/// Which places of the path conditions compare, with which claims, and what else these are compared with. What stands
/// within one claim counts together, for a list holds what pointers into it name.
#[derive(Clone, Debug, Default)]
pub(crate) struct Compared<'c> {
    claims_at: BTreeMap<ParameterPlace, BTreeSet<&'c ClaimName>>,
    values_of: BTreeMap<&'c str, BTreeSet<&'c ClaimValue>>,
    tests_of: BTreeMap<&'c str, Vec<&'c ClaimTest>>,
    /// Conditions on the client, whose id is the token's `sub`.
    clients: Vec<&'c [ClientId]>,
}

impl<'c> Compared<'c> {
    /// Adds what these alternatives compare.
    pub(crate) fn add(&mut self, alternatives: impl Iterator<Item = Alternative<'c>>) {
        for condition in alternatives.flat_map(|alternative| alternative.0) {
            match condition {
                Condition::Claim { name, test } => {
                    self.tests_of.entry(name.root()).or_default().push(test);
                    self.values_of.entry(name.root()).or_default().extend(test.values());
                    if let Some(place) = condition.parameter().and_then(|parameter| parameter.place) {
                        self.claims_at.entry(place).or_default().insert(name);
                    }
                }
                Condition::Client(client) => self.clients.push(std::slice::from_ref(client)),
                Condition::AnyClient(clients) => self.clients.push(clients),
                Condition::Scope(_)
                | Condition::AllScopes(_)
                | Condition::AnyScope(_)
                | Condition::Role(_)
                | Condition::AnyRole(_) => {}
            }
        }
    }

    /// Whether a condition looks at this segment.
    pub(super) fn is_compared(&self, position: usize) -> bool {
        self.places_in(position).next().is_some()
    }

    /// The places of a segment that are compared, each with the claims.
    pub(crate) fn places_in(
        &self,
        position: usize,
    ) -> impl Iterator<Item = (ParameterPlace, &BTreeSet<&'c ClaimName>)> {
        let each = self.claims_at.iter().map(|(place, claims)| (*place, claims));
        each.filter(move |(place, _)| usize::from(place.segment) == position)
    }

    /// By segment the texts of it with which conditions compare: constants, and what is the same as a literal of the
    /// shape.
    pub(super) fn constants(&self, shape: &Shape<'c>) -> BTreeMap<usize, BTreeSet<String>> {
        let values = self.values_of.iter().flat_map(|(claim, values)| {
            values.iter().filter_map(|value| Some((*claim, value.path_text()?.into_owned())))
        });
        let clients = self.clients.iter().copied().flatten();
        let values = values.chain(clients.map(|client| (ClaimName::Sub.root(), client.to_string())));
        let literals = shape.pieces.iter().enumerate().filter_map(|(position, piece)| match piece {
            ShapePiece::Literal(text) => Some((position, (*text).to_owned())),
            ShapePiece::Free { .. } => None,
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
                            .flat_map(|value| claims.iter().map(|claim| (claim.root(), value.to_owned()))),
                    );
                }
                reached.entry(position).or_default().insert(text);
            }
            for (claim, value) in std::mem::take(&mut values) {
                let has = |claims: &BTreeSet<&ClaimName>| claims.iter().any(|name| name.root() == claim);
                for (place, _) in self.claims_at.iter().filter(|(_, claims)| has(claims)) {
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
            let text = place.of_segment(text).unwrap_or_default();
            let values = ClaimValue::in_path(text);
            for test in claims.iter().filter_map(|claim| self.tests_of.get(claim.root())).flatten() {
                // by type of the claim
                let is_named =
                    |value: Option<&ClaimValue>| value.is_some_and(|value| test.values().contains(value));
                told.extend([is_named(values.first()), is_named(values.get(1))]);
            }
            if claims.contains(&ClaimName::Sub) {
                let is_named = |clients: &&[ClientId]| clients.iter().any(|client| client.as_str() == text);
                told.extend(self.clients.iter().map(is_named));
            }
        }
        told
    }

    /// Whether conditions compare this segment and another one with one claim.
    pub(super) fn is_linked(&self, position: usize) -> bool {
        let claims: BTreeSet<&str> = self
            .places_in(position)
            .flat_map(|(_, claims)| claims.iter().map(|claim| claim.root()))
            .collect();
        let mut others = self.claims_at.iter().filter(|(place, _)| usize::from(place.segment) != position);
        others.any(|(_, others)| others.iter().any(|other| claims.contains(other.root())))
    }
}

/// The segment that has this value at a place of it, if the shape has one.
pub(super) fn segment_with(shape: &Shape<'_>, place: ParameterPlace, value: &str) -> Option<String> {
    let piece = shape.pieces.get(usize::from(place.segment))?;
    let end = piece.end();
    let ending = end.get(end.len().checked_sub(usize::from(place.ending))?..)?;
    let text = format!("{value}{ending}");
    (piece.has(&text) && is_segment(&text)).then_some(text)
}
