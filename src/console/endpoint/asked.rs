//! What the questions of the page name, and what is answered where that is not there.

use std::fmt;

use actix_web::{HttpRequest, web::Query};
use jeton_actix::GuardFault;
use jeton_policy::{PolicySet, ProtectedApi};
use serde::de::DeserializeOwned;
use tracing::field::display;

use crate::{
    console::trial::TrialFailed,
    event,
    http::{EndpointProblem, ProblemKind},
    inspect::UnknownApi,
};

/// The parameters of a question.
///
/// # Errors
/// 400 that says which are needed.
pub(super) fn parameters<P: DeserializeOwned>(
    request: &HttpRequest,
    needed: &'static str,
) -> Result<P, EndpointProblem> {
    let parsed = Query::<P>::from_query(request.query_string()).map(Query::into_inner);
    parsed.map_err(|error| {
        let detail = format!("{needed}: {error}");
        EndpointProblem::new(ProblemKind::BadQuestion(detail.into()), request)
    })
}

/// An API of the policies in force.
///
/// # Errors
/// 404 that names it, and what is there.
pub(super) fn api<'p>(
    request: &HttpRequest,
    policies: &'p PolicySet,
    name: &str,
) -> Result<&'p ProtectedApi, EndpointProblem> {
    policies.api(name).ok_or_else(|| no_such(request, &UnknownApi::new(name, policies)))
}

/// 404 with these words.
pub(super) fn no_such(request: &HttpRequest, what: &impl fmt::Display) -> EndpointProblem {
    EndpointProblem::new(ProblemKind::NoSuch(what.to_string().into()), request)
}

/// 500: work beside the requests did not come to its end.
pub(super) fn failed(request: &HttpRequest) -> EndpointProblem {
    EndpointProblem::new(GuardFault::Internal, request)
}

/// As [`failed`], where the log says why.
pub(super) fn check_failed(request: &HttpRequest, failed: &TrialFailed) -> EndpointProblem {
    event::CheckFailed { error: display(failed) }.error();
    self::failed(request)
}
