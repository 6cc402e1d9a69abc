//! Names that are kept until a time.

use std::{
    borrow::Borrow,
    cmp::Reverse,
    collections::{BinaryHeap, HashMap},
    hash::Hash,
};

/// Names, each kept until a time in seconds since 1970-01-01T00:00:00Z.
pub(super) struct Expiring<N> {
    until: HashMap<N, i64>,
    /// The names by their time. One that was prolonged stands here twice.
    order: BinaryHeap<Reverse<(i64, N)>>,
}

impl<N: Clone + Eq + Hash + Ord> Expiring<N> {
    /// None yet.
    pub(super) fn new() -> Self {
        Self { until: HashMap::new(), order: BinaryHeap::new() }
    }

    /// How many there are, those included that have passed and were not dropped yet.
    pub(super) fn len(&self) -> usize {
        self.until.len()
    }

    /// Until when a name is kept.
    pub(super) fn until<Q: ?Sized + Hash + Eq>(&self, name: &Q) -> Option<i64>
    where
        N: Borrow<Q>,
    {
        self.until.get(name).copied()
    }

    /// Every name with its time.
    pub(super) fn iter(&self) -> impl Iterator<Item = (&N, i64)> {
        self.until.iter().map(|(name, until)| (name, *until))
    }

    /// Keeps a name until `until`, or for as long as it was kept before, if that is longer.
    pub(super) fn keep(&mut self, name: N, until: i64) {
        if self.until(&name).is_none_or(|before| before < until) {
            self.until.insert(name.clone(), until);
            self.order.push(Reverse((until, name)));
        }
    }

    /// Drops what is kept until a time before `now`, `at_most` so many: whoever holds a lock meanwhile
    /// holds it shortly.
    pub(super) fn drop_passed(&mut self, now: i64, at_most: usize) -> Vec<(N, i64)> {
        let mut dropped = Vec::new();
        while dropped.len() < at_most
            && self.order.peek().is_some_and(|Reverse((until, _))| *until < now)
            && let Some(Reverse((until, name))) = self.order.pop()
        {
            if self.until(&name) == Some(until) {
                self.until.remove(&name);
            }
            dropped.push((name, until));
        }
        dropped
    }
}
