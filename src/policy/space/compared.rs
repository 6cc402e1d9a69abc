//! What conditions compare with segments of the path.

use std::collections::{BTreeMap, BTreeSet};

use super::shape::{Piece, Shape};
use crate::policy::condition::{Alternative, ClaimTest, Condition};

/// Which segments of the path conditions compare, with which claims, and what else these are compared with.
#[derive(Clone, Debug, Default)]
pub(in crate::policy) struct Compared<'c> {
    pub(super) claims_at: BTreeMap<usize, BTreeSet<&'c str>>,
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
    pub(super) fn values_at(&self, linked: &BTreeSet<usize>, shape: &Shape<'c>) -> BTreeSet<&'c str> {
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
    pub(super) fn told(&self, position: usize, value: &str) -> Vec<bool> {
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
    pub(super) fn linked(&self, position: usize) -> BTreeSet<usize> {
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
