//! A guard before the handlers of actix-web, by jeton's policies.

mod bearer;
pub mod event;

mod problem;
mod protect;
mod refusal;
mod span;

pub use bearer::{BearerFault, bearer_token};
pub use problem::{GuardFault, GuardProblem, problem_document};
pub use protect::{Caller, Protect, Protected};
pub use refusal::{JudgedRequest, Refusal};
pub use span::{RequestSpan, shown};
