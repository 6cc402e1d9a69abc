//! What was measured of a scenario over all turns.

use crate::{generator::Load, median::median, reference::Raw, scenario::Kind};

/// One turn. Times are in microseconds.
pub(crate) struct Sample {
    pub(crate) rate: f64,
    pub(crate) p50: f64,
    pub(crate) p99: f64,
    pub(crate) p999: f64,
    /// CPU time of the server for each request.
    pub(crate) cpu: f64,
    /// The raw operations before and after, on the same core.
    pub(crate) raw_signature: f64,
    pub(crate) raw_both: f64,
    /// MiB.
    pub(crate) resident: f64,
}

impl Sample {
    pub(crate) fn new(load: &Load, raw: Raw, resident: f64) -> Self {
        Self {
            rate: load.rate(),
            p50: load.p50,
            p99: load.p99,
            p999: load.p999,
            cpu: load.cpu / 1e3,
            raw_signature: raw.signature / 1e3,
            raw_both: (raw.signature + raw.verification) / 1e3,
            resident,
        }
    }
}

pub(crate) struct Figures {
    pub(crate) kind: Kind,
    samples: Vec<Sample>,
}

impl Figures {
    pub(crate) fn new(kind: Kind) -> Self {
        Self { kind, samples: Vec::new() }
    }

    pub(crate) fn push(&mut self, sample: Sample) {
        self.samples.push(sample);
    }

    /// The median of something over the turns.
    pub(crate) fn median(&self, of: impl Fn(&Sample) -> f64) -> f64 {
        median(&mut self.samples.iter().map(of).collect::<Vec<_>>())
    }

    pub(crate) fn rate(&self) -> f64 {
        self.median(|sample| sample.rate)
    }

    pub(crate) fn cpu(&self) -> f64 {
        self.median(|sample| sample.cpu)
    }

    /// CPU time in times of the raw signatures around it: each turn by itself, then the median.
    pub(crate) fn against_raw(&self) -> f64 {
        self.median(|sample| sample.cpu / sample.raw_signature)
    }

    /// The median over the turns of something of this, in times of the same of the other.
    pub(crate) fn against(&self, other: &Self, of: impl Fn(&Sample) -> f64) -> f64 {
        let turns = self.samples.iter().zip(&other.samples);
        median(&mut turns.map(|(one, other)| of(one) / of(other)).collect::<Vec<_>>())
    }
}
