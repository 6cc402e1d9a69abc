//! Every error response of the service, and the only place that names status codes beside that of the guard.

mod token_endpoint;

use std::{borrow::Cow, fmt};

use actix_web::{
    HttpMessage, HttpRequest, HttpResponse, ResponseError,
    http::{StatusCode, header},
};
use jeton_actix::{GuardFault, guard_response, guard_status, problem_document};
use jeton_policy::Findings;
use serde_json::{Map, Value, json};
use tracing_actix_web::RequestId;

use super::extract::BodyLimit;

pub use token_endpoint::TokenEndpointError;
pub(super) use token_endpoint::{NONCE_HEADER, TokenEndpointErrorKind};

/// An error of any other endpoint: a problem document (RFC 9457), as a guard answers too. The caller gets a reference;
/// the reason stands in the log.
#[derive(Debug)]
pub(crate) struct EndpointProblem {
    kind: ProblemKind,
    reference: Option<RequestId>,
}

#[derive(Debug)]
pub(crate) enum ProblemKind {
    /// As any guard answers.
    Guard(GuardFault),
    /// The caller may ask, and the question cannot be understood.
    BadQuestion(Cow<'static, str>),
    /// Not for this caller, whatever token it has.
    Forbidden(Cow<'static, str>),
    /// Asked by a name that is none of ours.
    Misdirected(&'static str),
    /// Nothing is here.
    NotFound,
    /// What is asked about is not there.
    NoSuch(Cow<'static, str>),
    /// What is asked for takes more work than anybody may ask for.
    TooMuchWork(Cow<'static, str>),
    /// Something is here, for another method.
    MethodNotAllowed(&'static str),
    /// The body is too long.
    TooLarge(BodyLimit),
    /// The body has a content coding.
    CodedBody,
    /// The body is something else than this.
    WrongMediaType(&'static str),
    /// It cannot be answered now, for this reason.
    Busy(&'static str),
    /// Policies, keys or certificates were not taken; what of them is fine has no fault here.
    Rejected {
        /// What is wrong with the policies.
        findings: Findings,
        /// What is wrong with the keys, a line each.
        key_errors: Vec<String>,
        /// What is wrong with the certificates of the listeners, a line each.
        tls_errors: Vec<String>,
    },
}

impl From<GuardFault> for ProblemKind {
    fn from(fault: GuardFault) -> Self {
        Self::Guard(fault)
    }
}

impl ProblemKind {
    /// As a gateway is told: it knows 401 and 403, and takes anything else for a fault of its own.
    pub(super) fn for_gateway(self) -> Self {
        match self {
            Self::Guard(
                GuardFault::NoToken(_)
                | GuardFault::InvalidToken(..)
                | GuardFault::NotHeld(_)
                | GuardFault::NotAllowed(..),
            )
            | Self::Forbidden(_) => self,
            Self::Guard(GuardFault::InvalidRequest(detail)) | Self::BadQuestion(detail) => {
                Self::Forbidden(detail)
            }
            Self::Guard(fault @ (GuardFault::Unavailable(_) | GuardFault::Internal)) => {
                Self::Forbidden(fault.detail())
            }
            Self::Misdirected(_)
            | Self::NotFound
            | Self::NoSuch(_)
            | Self::TooMuchWork(_)
            | Self::MethodNotAllowed(_)
            | Self::TooLarge(_)
            | Self::WrongMediaType(_)
            | Self::CodedBody
            | Self::Busy(_)
            | Self::Rejected { .. } => Self::Forbidden(GuardFault::Internal.detail()),
        }
    }
}

impl EndpointProblem {
    pub(crate) fn new(kind: impl Into<ProblemKind>, request: &HttpRequest) -> Self {
        Self { kind: kind.into(), reference: request.extensions().get().copied() }
    }

    fn detail(&self) -> Cow<'static, str> {
        match &self.kind {
            ProblemKind::Guard(fault) => fault.detail(),
            ProblemKind::BadQuestion(detail)
            | ProblemKind::Forbidden(detail)
            | ProblemKind::NoSuch(detail)
            | ProblemKind::TooMuchWork(detail) => detail.clone(),
            ProblemKind::Misdirected(detail) | ProblemKind::Busy(detail) => (*detail).into(),
            ProblemKind::NotFound => "there is nothing at this path".into(),
            ProblemKind::MethodNotAllowed(allow) => format!("this path supports only {allow}").into(),
            ProblemKind::TooLarge(limit) => format!("the body is longer than {limit}").into(),
            ProblemKind::WrongMediaType(wanted) => format!("send the body as `{wanted}`").into(),
            ProblemKind::CodedBody => {
                "a body with a Content-Encoding is not supported: send it unencoded".into()
            }
            ProblemKind::Rejected { findings, key_errors, tls_errors } => {
                let all = [
                    ("the policies", findings.0.is_empty()),
                    ("the keys", key_errors.is_empty()),
                    ("the certificates", tls_errors.is_empty()),
                ];
                let rejected: Vec<_> =
                    all.iter().filter(|(_, is_fine)| !is_fine).map(|(what, _)| *what).collect();
                format!("{} are rejected; the last good ones stay in force", rejected.join(" and ")).into()
            }
        }
    }

    /// What else its document says.
    fn members(&self) -> Map<String, Value> {
        match &self.kind {
            ProblemKind::Rejected { findings, key_errors, tls_errors } => {
                let mut members = Map::from_iter([
                    ("findings".to_owned(), json!(findings.0)),
                    ("key_errors".to_owned(), json!(key_errors)),
                ]);
                if !tls_errors.is_empty() {
                    members.insert("tls_errors".to_owned(), json!(tls_errors));
                }
                members
            }
            ProblemKind::Guard(_)
            | ProblemKind::BadQuestion(_)
            | ProblemKind::Forbidden(_)
            | ProblemKind::Misdirected(_)
            | ProblemKind::NotFound
            | ProblemKind::NoSuch(_)
            | ProblemKind::TooMuchWork(_)
            | ProblemKind::MethodNotAllowed(_)
            | ProblemKind::TooLarge(_)
            | ProblemKind::WrongMediaType(_)
            | ProblemKind::CodedBody
            | ProblemKind::Busy(_) => Map::new(),
        }
    }
}

impl fmt::Display for EndpointProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.detail())
    }
}

impl ResponseError for EndpointProblem {
    fn status_code(&self) -> StatusCode {
        match &self.kind {
            ProblemKind::Guard(fault) => guard_status(fault),
            ProblemKind::BadQuestion(_) => StatusCode::BAD_REQUEST,
            ProblemKind::Forbidden(_) => StatusCode::FORBIDDEN,
            ProblemKind::Misdirected(_) => StatusCode::MISDIRECTED_REQUEST,
            ProblemKind::NotFound | ProblemKind::NoSuch(_) => StatusCode::NOT_FOUND,
            ProblemKind::MethodNotAllowed(_) => StatusCode::METHOD_NOT_ALLOWED,
            ProblemKind::TooLarge(_) => StatusCode::PAYLOAD_TOO_LARGE,
            ProblemKind::CodedBody | ProblemKind::WrongMediaType(_) => StatusCode::UNSUPPORTED_MEDIA_TYPE,
            ProblemKind::Busy(_) => StatusCode::SERVICE_UNAVAILABLE,
            ProblemKind::TooMuchWork(_) | ProblemKind::Rejected { .. } => StatusCode::UNPROCESSABLE_ENTITY,
        }
    }

    fn error_response(&self) -> HttpResponse {
        if let ProblemKind::Guard(fault) = &self.kind {
            return guard_response(fault, self.reference, None);
        }
        let mut response = HttpResponse::build(self.status_code());
        if let ProblemKind::MethodNotAllowed(allow) = self.kind {
            response.insert_header((header::ALLOW, allow));
        }
        if let ProblemKind::Busy(_) = self.kind {
            response.insert_header((header::RETRY_AFTER, "1"));
        }
        if let ProblemKind::TooLarge(_) = self.kind {
            response.force_close();
        }
        if let ProblemKind::CodedBody = self.kind {
            response.insert_header((header::ACCEPT_ENCODING, "identity"));
        }
        problem_document(response, &self.detail(), self.reference, self.members())
    }
}
