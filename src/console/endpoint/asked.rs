//! What the questions of the page name, and what is answered where that is not there.

use std::fmt;

use actix_web::HttpRequest;

use crate::http::{EndpointProblem, ProblemKind};

/// 404 with these words.
pub(super) fn no_such(request: &HttpRequest, what: &impl fmt::Display) -> EndpointProblem {
    EndpointProblem::new(ProblemKind::NoSuch(what.to_string().into()), request)
}
