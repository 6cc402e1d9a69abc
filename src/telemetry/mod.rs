//! What a running service tells of itself: its log, its metrics, its traces, and the events that are both logged and
//! counted. It knows no HTTP.

mod denials;
mod log;
pub mod metrics;
mod rates;
mod together;
mod told;
mod traces;
mod unbroken;

pub(crate) use {
    denials::{DenialWatch, Denials, RefusedQuestion, TooManyWatchers, WatchedDenial},
    rates::{Rates, STEP as RATE_STEP},
    told::{ClientRefusal, TokenAttempt},
    traces::{AnsweredRequest, begin_trace, tell_answer},
};
pub use {
    log::init as init_log,
    told::Telemetry,
    traces::{Traces, TracesError},
};
