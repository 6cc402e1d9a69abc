//! The errors of the endpoints for clients.

use std::{borrow::Cow, fmt};

use actix_web::{
    HttpResponse, ResponseError,
    http::{StatusCode, header},
};
use serde_json::json;

use super::RETRY_AFTER;
use crate::oauth::ErrorCode;

/// An error of the endpoints for clients (RFC 6749 section 5.2).
#[derive(Debug)]
pub(in crate::http) struct TokenEndpointError {
    /// The error code.
    pub(in crate::http) code: ErrorCode,
    /// The text for people.
    pub(in crate::http) description: Cow<'static, str>,
    /// What is special about this one.
    pub(in crate::http) kind: TokenEndpointErrorKind,
    /// As whom the client asked, where it did not show that: for the log alone.
    pub(in crate::http) attempted: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::http) enum TokenEndpointErrorKind {
    Plain,
    /// The client tried HTTP authentication, and is to be told of it (RFC 6749 section 5.2).
    Challenged,
    /// Not a POST.
    Method,
    /// The body is too long.
    TooLarge,
}

impl TokenEndpointError {
    pub(in crate::http) fn new(code: ErrorCode, description: impl Into<Cow<'static, str>>) -> Self {
        let description = description.into();
        Self { code, description, kind: TokenEndpointErrorKind::Plain, attempted: None }
    }

    pub(in crate::http) fn invalid_request(description: impl Into<Cow<'static, str>>) -> Self {
        Self::new(ErrorCode::InvalidRequest, description)
    }
}

impl fmt::Display for TokenEndpointError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.code, self.description)
    }
}

impl ResponseError for TokenEndpointError {
    fn status_code(&self) -> StatusCode {
        match (self.kind, self.code) {
            (TokenEndpointErrorKind::Method, _) => StatusCode::METHOD_NOT_ALLOWED,
            (TokenEndpointErrorKind::TooLarge, _) => StatusCode::PAYLOAD_TOO_LARGE,
            (TokenEndpointErrorKind::Plain | TokenEndpointErrorKind::Challenged, code) => match code {
                ErrorCode::InvalidClient => StatusCode::UNAUTHORIZED,
                ErrorCode::InvalidRequest
                | ErrorCode::InvalidGrant
                | ErrorCode::UnauthorizedClient
                | ErrorCode::UnsupportedGrantType
                | ErrorCode::UnsupportedTokenType
                | ErrorCode::InvalidScope
                | ErrorCode::InvalidTarget => StatusCode::BAD_REQUEST,
                ErrorCode::TemporarilyUnavailable => StatusCode::SERVICE_UNAVAILABLE,
                ErrorCode::ServerError => StatusCode::INTERNAL_SERVER_ERROR,
            },
        }
    }

    fn error_response(&self) -> HttpResponse {
        let mut response = HttpResponse::build(self.status_code());
        response
            .insert_header((header::CACHE_CONTROL, "no-store"))
            .insert_header((header::PRAGMA, "no-cache"));
        match self.kind {
            TokenEndpointErrorKind::Challenged => {
                response
                    .insert_header((header::WWW_AUTHENTICATE, "Basic realm=\"jeton\", charset=\"UTF-8\""));
            }
            TokenEndpointErrorKind::Method => {
                response.insert_header((header::ALLOW, "POST"));
            }
            TokenEndpointErrorKind::TooLarge => {
                response.force_close();
            }
            TokenEndpointErrorKind::Plain => {}
        }
        if self.code == ErrorCode::TemporarilyUnavailable {
            response.insert_header((header::RETRY_AFTER, RETRY_AFTER));
        }
        let description = printable(&self.description);
        response.json(json!({ "error": self.code, "error_description": description }))
    }
}

/// A description as both RFCs let it stand: printable ASCII without `"` and `\` (RFC 6749 appendix A.8,
/// RFC 6750 section 3).
fn printable(description: &str) -> String {
    let printable = |c: char| matches!(c, ' ' | '!' | '#'..='[' | ']'..='~');
    description.chars().map(|c| if printable(c) { c } else { '\'' }).take(400).collect()
}
