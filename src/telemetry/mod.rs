//! What a running service tells of itself: its log, and traces.

mod log;
mod together;
mod traces;

pub(crate) use traces::{AnsweredRequest, begin_trace, tell_answer};
pub use {
    log::init as init_log,
    traces::{Traces, TracesError},
};
