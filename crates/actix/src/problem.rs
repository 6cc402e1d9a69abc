//! What a caller is answered that is not let through, and the only place here that names status codes.

use std::fmt;

use actix_web::{
    HttpMessage, HttpRequest, HttpResponse, HttpResponseBuilder, ResponseError,
    http::{StatusCode, header},
};
use jeton_oauth::MetadataAddress;
use jeton_verify::{Answer, GuardFault, problem_json};
use serde_json::{Map, Value};
use tracing_actix_web::RequestId;

/// A [`GuardFault`] as an error of actix-web.
#[derive(Debug)]
pub struct GuardProblem {
    fault: GuardFault,
    reference: Option<RequestId>,
    /// Where a guard that publishes metadata says that it is.
    metadata: Option<MetadataAddress>,
}

impl GuardProblem {
    /// The answer to this request.
    pub fn new(fault: GuardFault, request: &HttpRequest) -> Self {
        let extensions = request.extensions();
        Self { fault, reference: extensions.get().copied(), metadata: extensions.get().cloned() }
    }
}

impl fmt::Display for GuardProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.fault.detail())
    }
}

impl ResponseError for GuardProblem {
    fn status_code(&self) -> StatusCode {
        guard_status(&self.fault)
    }

    fn error_response(&self) -> HttpResponse {
        guard_response(&self.fault, self.reference, self.metadata.as_ref())
    }
}

/// The status of the answer.
pub fn guard_status(fault: &GuardFault) -> StatusCode {
    StatusCode::from_u16(fault.status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
}

/// The answer: a problem document (RFC 9457) and, where a token would help, a challenge (RFC 6750 section 3). The caller
/// gets a reference; the reason stands in the log.
pub fn guard_response(
    fault: &GuardFault,
    reference: Option<RequestId>,
    metadata: Option<&MetadataAddress>,
) -> HttpResponse {
    let mut response = HttpResponse::build(guard_status(fault));
    if let Some(challenge) = fault.challenge(metadata) {
        response.insert_header((header::WWW_AUTHENTICATE, challenge));
    }
    if let Some(seconds) = fault.retry_after() {
        response.insert_header((header::RETRY_AFTER, seconds));
    }
    problem_document(response, &fault.detail(), reference, Map::new())
}

/// Ends an answer with a problem document (RFC 9457): its status, what is wrong in words, by which id the log knows the
/// request, and further members.
pub fn problem_document(
    mut response: HttpResponseBuilder,
    detail: &str,
    reference: Option<RequestId>,
    members: Map<String, Value>,
) -> HttpResponse {
    let mut answer = response.finish();
    let (status, title) = (answer.status().as_u16(), answer.status().canonical_reason());
    let reference = reference.map(|reference| reference.to_string());
    let headers = answer.headers_mut();
    headers.insert(header::CACHE_CONTROL, header::HeaderValue::from_static("no-store"));
    headers.insert(header::CONTENT_TYPE, header::HeaderValue::from_static(Answer::PROBLEM));
    let body = problem_json((status, title), detail, reference.as_deref(), members);
    answer.set_body(actix_web::body::BoxBody::new(body))
}
