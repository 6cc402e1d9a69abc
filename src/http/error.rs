//! Every error response, and the only place that names status codes.

#[cfg(feature = "server")]
mod token_endpoint;

use std::{borrow::Cow, fmt};

use actix_web::{
    HttpMessage, HttpRequest, HttpResponse, ResponseError,
    http::{StatusCode, header},
};
use serde_json::json;
use tracing_actix_web::RequestId;

use crate::{
    oauth::{MetadataAddress, ScopeSet},
    policy::Findings,
    printable::printable_json,
    token::TokenError,
};

#[cfg(feature = "server")]
pub(super) use token_endpoint::{TokenEndpointError, TokenEndpointErrorKind};

/// After how many seconds it is worth asking again when the shared store was away.
const RETRY_AFTER: &str = "2";

/// An error of any other endpoint: a problem document (RFC 9457) and, where a token would help, a
/// challenge (RFC 6750 section 3). The caller gets a reference; the reason stands in the log.
#[derive(Debug)]
pub(super) struct Problem {
    kind: ProblemKind,
    reference: Option<RequestId>,
    /// Where a guard that publishes metadata says that it is.
    metadata: Option<MetadataAddress>,
}

#[derive(Debug)]
pub(super) enum ProblemKind {
    /// The request cannot be understood (RFC 6750 section 3.1 `invalid_request`).
    InvalidRequest(Cow<'static, str>),
    /// The caller may ask, and the question cannot be understood.
    BadQuestion(Cow<'static, str>),
    /// No token came.
    NoToken,
    /// The token is bad.
    InvalidToken(TokenError),
    /// The token is not enough.
    NotAllowed(Option<ScopeSet>),
    /// Not for this caller, whatever token it has.
    Forbidden(Cow<'static, str>),
    /// Nothing is here.
    NotFound,
    /// Something is here, for another method.
    MethodNotAllowed(&'static str),
    /// The body is too long.
    TooLarge,
    /// The body has a content coding.
    CodedBody,
    /// The policies were not taken, or the keys, or neither; what of them is fine has no fault here.
    Rejected {
        /// What is wrong with the policies.
        findings: Findings,
        /// What is wrong with the keys, a line each.
        key_errors: Vec<String>,
    },
    /// What must be known is not known yet.
    Unavailable,
    /// Something failed on our side.
    Internal,
}

#[cfg(feature = "server")]
impl ProblemKind {
    /// As a gateway is told: it knows 401 and 403, and takes anything else for a fault of its own.
    pub(super) fn for_gateway(self) -> Self {
        match self {
            Self::NoToken | Self::InvalidToken(_) | Self::NotAllowed(_) | Self::Forbidden(_) => self,
            Self::InvalidRequest(detail) | Self::BadQuestion(detail) => Self::Forbidden(detail),
            Self::Unavailable => {
                Self::Forbidden("which tokens are revoked is not known yet: ask again".into())
            }
            Self::NotFound
            | Self::MethodNotAllowed(_)
            | Self::TooLarge
            | Self::CodedBody
            | Self::Rejected { .. }
            | Self::Internal => Self::Forbidden("something failed on our side".into()),
        }
    }
}

impl Problem {
    pub(super) fn new(kind: ProblemKind, request: &HttpRequest) -> Self {
        let extensions = request.extensions();
        Self { kind, reference: extensions.get().copied(), metadata: extensions.get().cloned() }
    }

    fn detail(&self) -> Cow<'static, str> {
        match &self.kind {
            ProblemKind::InvalidRequest(detail)
            | ProblemKind::BadQuestion(detail)
            | ProblemKind::Forbidden(detail) => detail.clone(),
            ProblemKind::NoToken => "this needs an access token".into(),
            ProblemKind::InvalidToken(TokenError::Expired) => "the access token has expired".into(),
            ProblemKind::InvalidToken(_) => "the access token is not valid here".into(),
            ProblemKind::NotAllowed(_) => "the access token does not allow this".into(),
            ProblemKind::NotFound => "nothing is here".into(),
            ProblemKind::MethodNotAllowed(allow) => format!("only {allow} is taken here").into(),
            ProblemKind::TooLarge => "the body is longer than 16 KiB".into(),
            ProblemKind::CodedBody => "a body with a Content-Encoding is not taken: send it as it is".into(),
            ProblemKind::Rejected { findings, key_errors } => {
                let what = match (findings.0.is_empty(), key_errors.is_empty()) {
                    (false, true) => "the policies are",
                    (true, _) => "the keys are",
                    (false, false) => "the policies and the keys are",
                };
                format!("{what} not taken; what was in force stays").into()
            }
            ProblemKind::Unavailable => "which tokens are revoked is not known yet: ask again".into(),
            ProblemKind::Internal => "something failed on our side".into(),
        }
    }

    fn challenge(&self) -> Option<String> {
        let challenge = self.challenge_of_kind()?;
        let Some(address) = &self.metadata else { return Some(challenge) };
        let separator = if challenge.contains('=') { "," } else { "" };
        // RFC 9728 section 5.1
        Some(format!("{challenge}{separator} resource_metadata=\"{address}\""))
    }

    fn challenge_of_kind(&self) -> Option<String> {
        let error = match &self.kind {
            ProblemKind::NoToken => return Some("Bearer".to_owned()),
            ProblemKind::InvalidRequest(_) => "invalid_request",
            ProblemKind::InvalidToken(_) => "invalid_token",
            ProblemKind::NotAllowed(Some(scopes)) => {
                return Some(format!("Bearer error=\"insufficient_scope\", scope=\"{scopes}\""));
            }
            ProblemKind::NotAllowed(None) => "insufficient_scope",
            ProblemKind::BadQuestion(_)
            | ProblemKind::Forbidden(_)
            | ProblemKind::NotFound
            | ProblemKind::MethodNotAllowed(_)
            | ProblemKind::TooLarge
            | ProblemKind::CodedBody
            | ProblemKind::Rejected { .. }
            | ProblemKind::Unavailable
            | ProblemKind::Internal => return None,
        };
        Some(format!(
            "Bearer error=\"{error}\", error_description=\"{}\"",
            self.detail().replace(['"', '\\'], "'")
        ))
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.detail())
    }
}

impl ResponseError for Problem {
    fn status_code(&self) -> StatusCode {
        match self.kind {
            ProblemKind::InvalidRequest(_) | ProblemKind::BadQuestion(_) => StatusCode::BAD_REQUEST,
            ProblemKind::NoToken | ProblemKind::InvalidToken(_) => StatusCode::UNAUTHORIZED,
            ProblemKind::NotAllowed(_) | ProblemKind::Forbidden(_) => StatusCode::FORBIDDEN,
            ProblemKind::NotFound => StatusCode::NOT_FOUND,
            ProblemKind::MethodNotAllowed(_) => StatusCode::METHOD_NOT_ALLOWED,
            ProblemKind::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            ProblemKind::CodedBody => StatusCode::UNSUPPORTED_MEDIA_TYPE,
            ProblemKind::Rejected { .. } => StatusCode::UNPROCESSABLE_ENTITY,
            ProblemKind::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
            ProblemKind::Internal => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }

    fn error_response(&self) -> HttpResponse {
        let status = self.status_code();
        let mut response = HttpResponse::build(status);
        response.insert_header((header::CACHE_CONTROL, "no-store"));
        if let Some(challenge) = self.challenge() {
            response.insert_header((header::WWW_AUTHENTICATE, challenge));
        }
        if let ProblemKind::MethodNotAllowed(allow) = self.kind {
            response.insert_header((header::ALLOW, allow));
        }
        if let ProblemKind::TooLarge = self.kind {
            response.force_close();
        }
        if let ProblemKind::CodedBody = self.kind {
            response.insert_header((header::ACCEPT_ENCODING, "identity"));
        }
        if let ProblemKind::Unavailable = self.kind {
            response.insert_header((header::RETRY_AFTER, RETRY_AFTER));
        }
        let mut body = json!({
            "type": "about:blank",
            "title": status.canonical_reason(),
            "status": status.as_u16(),
            "detail": self.detail(),
        });
        if let (Some(reference), Some(body)) = (self.reference, body.as_object_mut()) {
            body.insert("reference".to_owned(), reference.to_string().into());
        }
        if let (ProblemKind::Rejected { findings, key_errors }, Some(body)) =
            (&self.kind, body.as_object_mut())
        {
            body.insert("findings".to_owned(), json!(findings.0));
            body.insert("key_errors".to_owned(), json!(key_errors));
        }
        response.content_type("application/problem+json").body(printable_json(&body.to_string()))
    }
}
