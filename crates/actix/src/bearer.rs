//! The token of a request (RFC 6750 section 2).

use actix_web::http::header::{self, HeaderMap};

use jeton_oauth::form;
use jeton_verify::BearerToken;

/// What is wrong with the way in which a token came.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum BearerFault {
    /// Two `Authorization` headers.
    #[error("there are two authorization headers")]
    Several,
    /// `access_token` in the query, where logs and histories keep it (RFC 9700 section 4.3.2).
    #[error("an access token must not be in the URL")]
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
    if form::names(query).any(|name| name == "access_token") {
        return Err(BearerFault::InQuery);
    }
    let mut values = headers.get_all(header::AUTHORIZATION);
    let (first, second) = (values.next(), values.next());
    let Some(value) = first else { return Ok(None) };
    if second.is_some() {
        return Err(BearerFault::Several);
    }
    let value = value.to_str().map_err(|_| BearerFault::Malformed)?;
    let end = value.find(|c: char| !is_of_scheme(c)).unwrap_or(value.len());
    let (scheme, rest) = value.split_at(end);
    if !scheme.eq_ignore_ascii_case("Bearer") {
        return Ok(None);
    }
    // a tab, a comma: somebody else may find a token behind it
    match rest.strip_prefix(' ').map(|token| token.trim_matches(' ')) {
        None | Some("") => Err(BearerFault::Malformed),
        Some(token) => Ok(Some(BearerToken::new(token))),
    }
}

/// A character of a scheme (RFC 9110 section 5.6.2).
fn is_of_scheme(c: char) -> bool {
    c.is_ascii_alphanumeric() || "!#$%&'*+-.^_`|~".contains(c)
}
