//! The token of a request of actix-web, and the proof that comes with it.

use actix_web::http::header::{self, HeaderMap, HeaderName, HeaderValue};
use jeton_verify::{BearerFault, BearerToken, ShownProof};

/// The header with the proof (RFC 9449 section 4.1).
static DPOP: HeaderName = HeaderName::from_static("dpop");

/// The token in the `Authorization` header, the one place where it is looked for (RFC 6750 section 2.1).
///
/// # Errors
/// [`BearerFault`] when it is not clear which token is meant, or it came in the URL.
pub fn bearer_token(headers: &HeaderMap, query: &str) -> Result<Option<BearerToken>, BearerFault> {
    jeton_verify::bearer_token(headers.get_all(header::AUTHORIZATION).map(HeaderValue::as_bytes), query)
}

/// The `DPoP` headers of a request.
pub fn shown_proof(headers: &HeaderMap) -> ShownProof<'_> {
    ShownProof::of(headers.get_all(&DPOP).map(HeaderValue::as_bytes))
}
