//! What a running service tells of itself: its log, its metrics, and the events that are both logged and counted. It
//! knows no HTTP.

mod log;
pub mod metrics;
mod together;
mod told;

pub(crate) use told::{Refusal, TokenAttempt};
pub use {log::init as init_log, told::Telemetry};
