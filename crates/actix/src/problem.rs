//! What a caller is answered that is not let through, and the only place here that names status codes.

use std::{borrow::Cow, fmt};

use actix_web::{
    HttpMessage, HttpRequest, HttpResponse, ResponseError,
    http::{StatusCode, header},
};
use jeton_oauth::{MetadataAddress, ScopeSet, text::printable_json};
use jeton_verify::TokenError;
use serde_json::{Map, Value, json};
use tracing_actix_web::RequestId;

/// After how many seconds it is worth asking again when what is revoked was not known.
const RETRY_AFTER: &str = "2";

/// Why a guard lets nobody through.
#[derive(Debug)]
pub enum GuardFault {
    /// The request cannot be understood (RFC 6750 section 3.1 `invalid_request`).
    InvalidRequest(Cow<'static, str>),
    /// No token came.
    NoToken,
    /// The token is bad.
    InvalidToken(TokenError),
    /// The token is not enough; with the scopes that would do, if scopes would.
    NotAllowed(Option<ScopeSet>),
    /// What must be known is not known yet.
    Unavailable,
    /// Something failed on our side.
    Internal,
}

impl GuardFault {
    /// What the caller is told, in words.
    pub fn detail(&self) -> Cow<'static, str> {
        match self {
            Self::InvalidRequest(detail) => detail.clone(),
            Self::NoToken => "this needs an access token".into(),
            Self::InvalidToken(TokenError::Expired) => "the access token has expired".into(),
            Self::InvalidToken(_) => "the access token is not valid here".into(),
            Self::NotAllowed(_) => "the access token does not allow this".into(),
            Self::Unavailable => "the list of revoked tokens is not known yet: ask again".into(),
            Self::Internal => "something failed on our side".into(),
        }
    }

    /// The status of the answer.
    pub fn status_code(&self) -> StatusCode {
        match self {
            Self::InvalidRequest(_) => StatusCode::BAD_REQUEST,
            Self::NoToken | Self::InvalidToken(_) => StatusCode::UNAUTHORIZED,
            Self::NotAllowed(_) => StatusCode::FORBIDDEN,
            Self::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
            Self::Internal => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }

    /// The answer: a problem document (RFC 9457) and, where a token would help, a challenge (RFC 6750 section 3). The
    /// caller gets a reference; the reason stands in the log.
    pub fn response(&self, reference: Option<RequestId>, metadata: Option<&MetadataAddress>) -> HttpResponse {
        let mut response = HttpResponse::build(self.status_code());
        if let Some(challenge) = self.challenge(metadata) {
            response.insert_header((header::WWW_AUTHENTICATE, challenge));
        }
        if let Self::Unavailable = self {
            response.insert_header((header::RETRY_AFTER, RETRY_AFTER));
        }
        problem_document(response, &self.detail(), reference, Map::new())
    }

    fn challenge(&self, metadata: Option<&MetadataAddress>) -> Option<String> {
        let challenge = self.challenge_of_fault()?;
        let Some(address) = metadata else { return Some(challenge) };
        let separator = if challenge.contains('=') { "," } else { "" };
        // RFC 9728 section 5.1
        Some(format!("{challenge}{separator} resource_metadata=\"{address}\""))
    }

    fn challenge_of_fault(&self) -> Option<String> {
        let error = match self {
            Self::NoToken => return Some("Bearer".to_owned()),
            Self::InvalidRequest(_) => "invalid_request",
            Self::InvalidToken(_) => "invalid_token",
            Self::NotAllowed(Some(scopes)) => {
                return Some(format!("Bearer error=\"insufficient_scope\", scope=\"{scopes}\""));
            }
            Self::NotAllowed(None) => "insufficient_scope",
            Self::Unavailable | Self::Internal => return None,
        };
        Some(format!(
            "Bearer error=\"{error}\", error_description=\"{}\"",
            self.detail().replace(['"', '\\'], "'")
        ))
    }
}

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
        self.fault.status_code()
    }

    fn error_response(&self) -> HttpResponse {
        self.fault.response(self.reference, self.metadata.as_ref())
    }
}

/// Ends an answer with a problem document (RFC 9457): its status, what is wrong in words, by which id the log knows the
/// request, and further members.
pub fn problem_document(
    mut response: actix_web::HttpResponseBuilder,
    detail: &str,
    reference: Option<RequestId>,
    members: Map<String, Value>,
) -> HttpResponse {
    let mut answer = response.finish();
    let status = answer.status();
    let mut body = json!({
        "type": "about:blank",
        "title": status.canonical_reason(),
        "status": status.as_u16(),
        "detail": detail,
    });
    if let Some(body) = body.as_object_mut() {
        body.extend(reference.map(|reference| ("reference".to_owned(), reference.to_string().into())));
        body.extend(members);
    }
    let headers = answer.headers_mut();
    headers.insert(header::CACHE_CONTROL, header::HeaderValue::from_static("no-store"));
    headers.insert(header::CONTENT_TYPE, header::HeaderValue::from_static("application/problem+json"));
    answer.set_body(actix_web::body::BoxBody::new(printable_json(&body.to_string())))
}
