//! The errors of the endpoints for clients.

use std::{
    borrow::Cow,
    fmt::{self, Write},
};

use actix_web::{
    HttpResponse, ResponseError,
    http::{StatusCode, header},
};
use jeton_oauth::ErrorCode;
use serde_json::json;

/// After how many seconds it is worth asking again when the shared store was away.
const RETRY_AFTER: u64 = 2;
/// Where a client finds the nonce of its next proof (RFC 9449 section 8).
pub(in crate::http) const NONCE_HEADER: &str = "DPoP-Nonce";
/// How much of a description is told, in bytes.
const LONGEST_DESCRIPTION: usize = 400;

/// An error of the endpoints for clients (RFC 6749 section 5.2).
#[derive(Debug)]
pub struct TokenEndpointError {
    /// The error code.
    pub(in crate::http) code: ErrorCode,
    /// The text for people.
    pub(in crate::http) description: Cow<'static, str>,
    /// What is special about this one.
    pub(in crate::http) kind: TokenEndpointErrorKind,
    /// As whom the client asked, where it did not show that: for the log alone.
    pub(in crate::http) attempted: Option<String>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::http) enum TokenEndpointErrorKind {
    Plain,
    /// Not a POST.
    Method,
    /// The body is too long.
    TooLarge,
    /// The body has a content coding.
    CodedBody,
    /// More than a limit lets through; one more is, after so many seconds.
    RateLimited(u64),
    /// A proof needs a nonce: this one.
    UseNonce(String),
}

impl TokenEndpointError {
    pub(in crate::http) fn new(code: ErrorCode, description: impl Into<Cow<'static, str>>) -> Self {
        let description = description.into();
        Self { code, description, kind: TokenEndpointErrorKind::Plain, attempted: None }
    }

    pub(in crate::http) fn invalid_request(description: impl Into<Cow<'static, str>>) -> Self {
        Self::new(ErrorCode::InvalidRequest, description)
    }

    /// A parameter that can have one value alone has another, which is no secret.
    pub(in crate::http) fn another_value(name: &str, value: &str, expected: &str) -> Self {
        Self::invalid_request(format!("{name} must be {expected}, not `{value:.80}`"))
    }
}

impl fmt::Display for TokenEndpointError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.code, self.description)
    }
}

impl ResponseError for TokenEndpointError {
    fn status_code(&self) -> StatusCode {
        match (&self.kind, self.code) {
            (TokenEndpointErrorKind::Method, _) => StatusCode::METHOD_NOT_ALLOWED,
            (TokenEndpointErrorKind::TooLarge, _) => StatusCode::PAYLOAD_TOO_LARGE,
            (TokenEndpointErrorKind::CodedBody, _) => StatusCode::UNSUPPORTED_MEDIA_TYPE,
            (TokenEndpointErrorKind::RateLimited(_), _) => StatusCode::TOO_MANY_REQUESTS,
            (TokenEndpointErrorKind::Plain | TokenEndpointErrorKind::UseNonce(_), code) => match code {
                ErrorCode::InvalidClient => StatusCode::UNAUTHORIZED,
                ErrorCode::InvalidRequest
                | ErrorCode::InvalidGrant
                | ErrorCode::UnauthorizedClient
                | ErrorCode::UnsupportedGrantType
                | ErrorCode::UnsupportedResponseType
                | ErrorCode::UnsupportedTokenType
                | ErrorCode::InvalidScope
                | ErrorCode::InvalidTarget
                | ErrorCode::InvalidDpopProof
                | ErrorCode::UseDpopNonce => StatusCode::BAD_REQUEST,
                ErrorCode::TemporarilyUnavailable => StatusCode::SERVICE_UNAVAILABLE,
                ErrorCode::ServerError => StatusCode::INTERNAL_SERVER_ERROR,
            },
        }
    }

    fn error_response(&self) -> HttpResponse {
        let status = self.status_code();
        let mut response = HttpResponse::build(status);
        response
            .insert_header((header::CACHE_CONTROL, "no-store"))
            .insert_header((header::PRAGMA, "no-cache"));
        if status == StatusCode::UNAUTHORIZED {
            // whatever the client tried (RFC 9110 section 15.5.2)
            response.insert_header((header::WWW_AUTHENTICATE, "Basic realm=\"jeton\", charset=\"UTF-8\""));
        }
        match &self.kind {
            TokenEndpointErrorKind::Method => {
                response.insert_header((header::ALLOW, "POST"));
            }
            TokenEndpointErrorKind::TooLarge => {
                response.force_close();
            }
            TokenEndpointErrorKind::CodedBody => {
                response.insert_header((header::ACCEPT_ENCODING, "identity"));
            }
            TokenEndpointErrorKind::RateLimited(seconds) => {
                response.insert_header((header::RETRY_AFTER, *seconds));
            }
            TokenEndpointErrorKind::UseNonce(nonce) => {
                response.insert_header((NONCE_HEADER, nonce.as_str()));
            }
            TokenEndpointErrorKind::Plain if self.code == ErrorCode::TemporarilyUnavailable => {
                response.insert_header((header::RETRY_AFTER, RETRY_AFTER));
            }
            TokenEndpointErrorKind::Plain => {}
        }
        let description = printable(&self.description);
        response.json(json!({ "error": self.code, "error_description": description }))
    }
}

/// A description as both RFCs let it stand: printable ASCII without `"` and `\` (RFC 6749 appendix A.8,
/// RFC 6750 section 3). What else a quoted value holds is escaped as in a form, so that it is seen.
fn printable(description: &str) -> String {
    let mut shown = String::with_capacity(description.len());
    for byte in description.bytes().take(LONGEST_DESCRIPTION) {
        if matches!(byte, b' ' | b'!' | b'#'..=b'[' | b']'..=b'~') {
            shown.push(char::from(byte));
        } else {
            let _ = write!(shown, "%{byte:02X}");
        }
    }
    shown
}
