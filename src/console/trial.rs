//! Edited policies, tried beside those in force: what is wrong with them, and what they would do. Nothing of them is kept.
//!
//! Whoever sends them may be mistaken, or worse: a few lines can ask for more work and memory than there is. So they are
//! tried by a process of their own, the same program, which the system ends with all that it does. It gets everything by
//! its standard input, and opens no file of the service.

mod asked;
mod job;
mod process;

pub(crate) use self::process::{ARGUMENT, answer_standard_input};
pub(super) use self::{
    asked::{BadTrial, TrialRequest},
    job::TrialJob,
    process::{TrialFailed, Trials},
};
