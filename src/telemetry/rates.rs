//! How often things happened within the last ten minutes: totals of the counters, noted every ten seconds.

use std::{
    collections::VecDeque,
    pin::pin,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use futures_util::future::{Either, select};

use jeton_oauth::clock::Clock;
use jiff::Timestamp;
use tokio::time::{MissedTickBehavior, interval};

use super::metrics::{CounterTotals, Metrics};

/// The length of a step, in seconds.
pub(crate) const STEP: i64 = 10;
/// How often it is looked whether a step has ended.
const LOOK: Duration = Duration::from_secs(1);
/// How many steps are known, at most: ten minutes.
const MOST_STEPS: usize = 60;

/// What was counted in each step.
pub(crate) struct Rates {
    metrics: Arc<Metrics>,
    clock: Arc<dyn Clock>,
    noted: Mutex<NotedTotals>,
}

struct NotedTotals {
    /// The step that goes on, in steps since 1970.
    step: i64,
    /// The totals when it began, as far as that was noted.
    totals: CounterTotals,
    /// What was counted in each step before, the oldest first.
    steps: VecDeque<CounterTotals>,
}

/// The steps that are over.
pub(crate) struct NotedRates {
    /// When the last of them ended.
    pub(crate) until: Timestamp,
    /// What was counted in each, the oldest first.
    pub(crate) steps: Vec<CounterTotals>,
}

impl Rates {
    /// Begins with the step that goes on now.
    pub(crate) fn new(metrics: Arc<Metrics>, clock: Arc<dyn Clock>) -> Self {
        let noted = NotedTotals { step: step(&*clock), totals: metrics.totals(), steps: VecDeque::new() };
        Self { metrics, clock, noted: Mutex::new(noted) }
    }

    /// Notes what was counted, if a step has ended since this was called last. Where several have, all of it counts for the
    /// first of them: this was not called in time. After a clock that was set back, the steps begin anew.
    pub(crate) fn note(&self) {
        let mut noted = self.noted.lock().unwrap_or_else(PoisonError::into_inner);
        let now = step(&*self.clock);
        if now == noted.step {
            return;
        }
        let totals = self.metrics.totals();
        if now < noted.step {
            noted.steps.clear();
        } else {
            let counted = totals.since(&noted.totals);
            noted.steps.push_back(counted);
            let idle = usize::try_from(now - noted.step - 1).unwrap_or(MOST_STEPS).min(MOST_STEPS);
            noted.steps.extend(std::iter::repeat_n(CounterTotals::default(), idle));
            let over = noted.steps.len().saturating_sub(MOST_STEPS);
            noted.steps.drain(..over);
        }
        noted.step = now;
        noted.totals = totals;
    }

    /// Notes each step as it ends, until the server does.
    pub(crate) async fn follow(self: Arc<Self>, ended: impl Future<Output = ()>) {
        let mut looks = interval(LOOK);
        looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut ended = pin!(ended);
        while let Either::Left(_) = select(pin!(looks.tick()), ended.as_mut()).await {
            self.note();
        }
    }

    /// The steps that are over, as of now.
    pub(crate) fn noted(&self) -> NotedRates {
        self.note();
        let noted = self.noted.lock().unwrap_or_else(PoisonError::into_inner);
        let until = Timestamp::from_second(noted.step.saturating_mul(STEP)).unwrap_or(Timestamp::MIN);
        NotedRates { until, steps: noted.steps.iter().copied().collect() }
    }
}

/// The step that goes on, in steps since 1970.
fn step(clock: &dyn Clock) -> i64 {
    clock.numeric_date().div_euclid(STEP)
}

#[cfg(test)]
mod tests {
    use jeton_oauth::clock::ManualClock;
    use jeton_verify::audit::DecisionOutcome;

    use super::*;

    struct Counted {
        metrics: Arc<Metrics>,
        clock: Arc<ManualClock>,
        rates: Rates,
    }

    impl Counted {
        fn new() -> Self {
            let metrics = Arc::new(Metrics::new([]).unwrap());
            let clock = Arc::new(ManualClock::at("2026-11-23T12:00:03Z".parse().unwrap()));
            let rates = Rates::new(Arc::clone(&metrics), clock.clone());
            Self { metrics, clock, rates }
        }

        fn ask(&self, questions: u64) {
            (0..questions).for_each(|_| self.metrics.gateway_answered(None, DecisionOutcome::Denied));
        }

        fn advance(&self, seconds: i64) {
            self.clock.advance(seconds);
            self.rates.note();
        }

        #[track_caller]
        fn check(&self, until: &str, asked: &[u64]) {
            let noted = self.rates.noted();
            assert_eq!(noted.until, until.parse().unwrap());
            assert_eq!(noted.steps.iter().map(|step| step.gateway_questions).collect::<Vec<_>>(), asked);
        }
    }

    #[test]
    fn each_step_has_what_was_counted_in_it() {
        let counted = Counted::new();
        counted.ask(2);
        counted.check("2026-11-23T12:00:00Z", &[]);
        counted.advance(6);
        counted.check("2026-11-23T12:00:00Z", &[]);
        counted.advance(1);
        counted.check("2026-11-23T12:00:10Z", &[2]);
        counted.advance(10);
        counted.ask(3);
        counted.advance(10);
        counted.check("2026-11-23T12:00:30Z", &[2, 0, 3]);
    }

    #[test]
    fn ten_minutes_are_known() {
        let counted = Counted::new();
        for step in 0..70 {
            counted.ask(step);
            counted.advance(10);
        }
        counted.check("2026-11-23T12:11:40Z", &(10..70).collect::<Vec<_>>());
    }

    #[test]
    fn steps_that_were_not_noted_have_nothing() {
        let counted = Counted::new();
        counted.ask(5);
        counted.advance(30);
        counted.check("2026-11-23T12:00:30Z", &[5, 0, 0]);
        counted.ask(1);
        counted.advance(24 * 60 * 60);
        counted.check("2026-11-24T12:00:30Z", &[0; MOST_STEPS]);
    }

    #[test]
    fn a_clock_that_is_set_back_begins_anew() {
        let counted = Counted::new();
        counted.ask(5);
        counted.advance(10);
        counted.advance(-60);
        counted.check("2026-11-23T11:59:10Z", &[]);
        counted.ask(1);
        counted.advance(10);
        counted.check("2026-11-23T11:59:20Z", &[1]);
    }
}
