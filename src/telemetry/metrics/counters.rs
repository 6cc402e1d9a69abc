//! Counters by their labels.

use std::{
    hash::Hash,
    sync::{
        Arc, PoisonError, RwLock,
        atomic::{AtomicU64, Ordering},
    },
};

use hashbrown::{Equivalent, HashMap};
use prometheus::{
    Error,
    core::{Collector, Desc},
    proto::MetricFamily,
};
use rustc_hash::FxBuildHasher;

use super::declared::{DeclaredMetric, number};

/// The counters of one metric, one for each value of its `N` labels. Clones share them.
///
/// They are told apart by the labels themselves. A vector of the library tells them apart by a hash of the labels put
/// together, so the client `a` at the API `bc` and the client `ab` at the API `c` would be one.
#[derive(Clone)]
pub(super) struct Counters<const N: usize>(Arc<Series<N>>);

struct Series<const N: usize> {
    declared: &'static DeclaredMetric,
    desc: Desc,
    each: RwLock<HashMap<[Box<str>; N], AtomicU64, FxBuildHasher>>,
}

/// The labels of a counter that is looked for.
#[derive(Hash)]
struct Wanted<'l, const N: usize>([&'l str; N]);

impl<const N: usize> Equivalent<[Box<str>; N]> for Wanted<'_, N> {
    fn equivalent(&self, labels: &[Box<str>; N]) -> bool {
        self.0.iter().zip(labels).all(|(wanted, label)| **wanted == **label)
    }
}

impl<const N: usize> Counters<N> {
    pub(super) fn new(declared: &'static DeclaredMetric) -> Result<Self, Error> {
        Ok(Self(Arc::new(Series { declared, desc: declared.desc()?, each: RwLock::default() })))
    }

    /// Adds one. Allocates for the first of these labels alone.
    pub(super) fn add_one(&self, labels: [&str; N]) {
        self.add(labels, 1);
    }

    /// Shows a counter from the start on.
    pub(super) fn show(&self, labels: [&str; N]) {
        self.add(labels, 0);
    }

    fn add(&self, labels: [&str; N], more: u64) {
        if let Some(counter) = self.0.each.read().unwrap_or_else(PoisonError::into_inner).get(&Wanted(labels))
        {
            counter.fetch_add(more, Ordering::Relaxed);
            return;
        }
        let mut each = self.0.each.write().unwrap_or_else(PoisonError::into_inner);
        each.entry(labels.map(Box::from)).or_default().fetch_add(more, Ordering::Relaxed);
    }

    /// Forgets the counters of all other labels.
    pub(super) fn retain(&self, is_kept: impl Fn([&str; N]) -> bool) {
        let mut each = self.0.each.write().unwrap_or_else(PoisonError::into_inner);
        each.retain(|labels, _| is_kept(labels.each_ref().map(|label| &**label)));
    }

    /// What was counted in all with such labels, without what is forgotten.
    pub(super) fn total(&self, is_meant: impl Fn([&str; N]) -> bool) -> u64 {
        let each = self.0.each.read().unwrap_or_else(PoisonError::into_inner);
        let meant = each.iter().filter(|(labels, _)| is_meant(labels.each_ref().map(|label| &**label)));
        meant.map(|(_, counter)| counter.load(Ordering::Relaxed)).fold(0, u64::saturating_add)
    }
}

impl<const N: usize> Collector for Counters<N> {
    fn desc(&self) -> Vec<&Desc> {
        vec![&self.0.desc]
    }

    fn collect(&self) -> Vec<MetricFamily> {
        let each = self.0.each.read().unwrap_or_else(PoisonError::into_inner);
        let sample = |(labels, counter): (&[Box<str>; N], &AtomicU64)| {
            (labels.clone(), number(counter.load(Ordering::Relaxed)))
        };
        vec![self.0.declared.family(each.iter().map(sample))]
    }
}

#[cfg(test)]
mod tests {
    use super::{
        super::declared::{DECISIONS, TOKENS_REUSED},
        *,
    };

    fn values<const N: usize>(counters: &Counters<N>) -> Vec<(Vec<String>, f64)> {
        let families = counters.collect();
        let metrics = families[0].get_metric().iter();
        let value = |metric: &prometheus::proto::Metric| {
            let labels: Vec<_> = metric.get_label().iter().map(|label| label.value().to_owned()).collect();
            (labels, metric.get_counter().get_value())
        };
        let mut values: Vec<_> = metrics.map(value).collect();
        values.sort_by(|one, other| one.0.cmp(&other.0));
        values
    }

    fn owned<const N: usize>(labels: [&str; N]) -> Vec<String> {
        labels.map(str::to_owned).to_vec()
    }

    #[test]
    fn labels_that_read_the_same_put_together_are_counted_apart() {
        let counters = Counters::new(&TOKENS_REUSED).unwrap();
        for labels in [["a", "bc"], ["ab", "c"], ["ab", "c"], ["abc", ""], ["", "abc"]] {
            counters.add_one(labels);
        }
        let expected = [(["", "abc"], 1.0), (["a", "bc"], 1.0), (["ab", "c"], 2.0), (["abc", ""], 1.0)];
        assert_eq!(values(&counters), expected.map(|(labels, count)| (owned(labels), count)));
    }

    #[test]
    fn the_first_alone_allocates() {
        let counters = Counters::new(&DECISIONS).unwrap();
        let labels = ["orders", "read-orders", "allowed"];
        counters.show(labels);
        assert_eq!(values(&counters), [(owned(labels), 0.0)]);
        let counted = allocation_counter::measure(|| counters.add_one(labels));
        assert_eq!(counted.count_total, 0);
        assert_eq!(values(&counters), [(owned(labels), 1.0)]);
    }

    #[test]
    fn what_is_forgotten_begins_anew() {
        let counters = Counters::new(&TOKENS_REUSED).unwrap();
        for labels in [["a", "x"], ["a", "x"], ["b", "x"], ["a", "y"]] {
            counters.add_one(labels);
        }
        assert_eq!((counters.total(|_| true), counters.total(|[client, _]| client == "a")), (4, 3));
        counters.retain(|[client, api]| client == "b" || api == "y");
        assert_eq!(counters.total(|_| true), 2);
        assert_eq!(values(&counters), [(owned(["a", "y"]), 1.0), (owned(["b", "x"]), 1.0)]);
        counters.add_one(["a", "x"]);
        assert_eq!(values(&counters)[0], (owned(["a", "x"]), 1.0));
    }
}
