//! The token of a request (RFC 6750 section 2).

use actix_web::http::header::{self, HeaderMap};

use super::encoding;
use crate::token::BearerToken;

/// What is wrong with the way in which a token came.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BearerFault {
    /// Two `Authorization` headers.
    #[error("there are two authorization headers")]
    Several,
    /// `access_token` in the query, where logs and histories keep it (RFC 9700 section 4.3.2).
    #[error("an access token must not stand in the URL")]
    InQuery,
    /// `Bearer` and nothing after it, or bytes that are no text.
    #[error("the authorization header holds no token")]
    Malformed,
}

/// The token in the `Authorization` header, the one place where it is looked for (RFC 6750 section 2.1).
///
/// # Errors
/// [`BearerFault`] when it is not clear which token is meant, or it came in the URL.
pub fn bearer_token(headers: &HeaderMap, query: &str) -> Result<Option<BearerToken>, BearerFault> {
    if encoding::names(query).any(|name| name == "access_token") {
        return Err(BearerFault::InQuery);
    }
    let mut values = headers.get_all(header::AUTHORIZATION);
    let (first, second) = (values.next(), values.next());
    let Some(value) = first else { return Ok(None) };
    if second.is_some() {
        return Err(BearerFault::Several);
    }
    let value = value.to_str().map_err(|_| BearerFault::Malformed)?;
    let (scheme, token) = value.split_once(' ').unwrap_or((value, ""));
    if !scheme.eq_ignore_ascii_case("Bearer") {
        return Ok(None);
    }
    match token.trim_matches(' ') {
        "" => Err(BearerFault::Malformed),
        token => Ok(Some(BearerToken::new(token))),
    }
}
