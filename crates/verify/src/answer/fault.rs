//! What a caller is answered that is not let through: status, challenge, words.

use std::borrow::Cow;

use jeton_oauth::{MetadataAddress, ScopeSet, text::printable_json};
use serde_json::{Map, Value, json};

use crate::{policies::Unavailable, token::TokenError};

/// After how many seconds it is worth asking again when what must be known was not known.
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
    Unavailable(Unavailable),
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
            Self::Unavailable(Unavailable::Revocations(_)) => {
                "the list of revoked tokens is not known yet: ask again".into()
            }
            Self::Unavailable(Unavailable::Policies(_)) => {
                "what is allowed here is not known at the moment: ask again".into()
            }
            Self::Internal => "something failed on our side".into(),
        }
    }

    /// The status of the answer.
    pub fn status(&self) -> u16 {
        match self {
            Self::InvalidRequest(_) => 400,
            Self::NoToken | Self::InvalidToken(_) => 401,
            Self::NotAllowed(_) => 403,
            Self::Internal => 500,
            Self::Unavailable(_) => 503,
        }
    }

    /// What the status is called (RFC 9110 section 15).
    pub fn title(&self) -> &'static str {
        match self {
            Self::InvalidRequest(_) => "Bad Request",
            Self::NoToken | Self::InvalidToken(_) => "Unauthorized",
            Self::NotAllowed(_) => "Forbidden",
            Self::Internal => "Internal Server Error",
            Self::Unavailable(_) => "Service Unavailable",
        }
    }

    /// The value of `WWW-Authenticate` where a token would help (RFC 6750 section 3), with the address of the API's
    /// metadata if there is one (RFC 9728 section 5.1).
    pub fn challenge(&self, metadata: Option<&MetadataAddress>) -> Option<String> {
        let challenge = self.challenge_of_fault()?;
        let Some(address) = metadata else { return Some(challenge) };
        let separator = if challenge.contains('=') { "," } else { "" };
        Some(format!("{challenge}{separator} resource_metadata=\"{address}\""))
    }

    /// The value of `Retry-After` where the same request may pass in a moment, in seconds.
    pub fn retry_after(&self) -> Option<&'static str> {
        match self {
            Self::Unavailable(_) => Some(RETRY_AFTER),
            Self::InvalidRequest(_)
            | Self::NoToken
            | Self::InvalidToken(_)
            | Self::NotAllowed(_)
            | Self::Internal => None,
        }
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
            Self::Unavailable(_) | Self::Internal => return None,
        };
        Some(format!(
            "Bearer error=\"{error}\", error_description=\"{}\"",
            self.detail().replace(['"', '\\'], "'")
        ))
    }
}

/// A problem document (RFC 9457): the status, what is wrong in words, by which name the log knows the request, and
/// further members.
pub fn problem_json(
    (status, title): (u16, Option<&str>),
    detail: &str,
    reference: Option<&str>,
    members: Map<String, Value>,
) -> String {
    let mut body = json!({ "type": "about:blank", "title": title, "status": status, "detail": detail });
    if let Some(body) = body.as_object_mut() {
        body.extend(reference.map(|reference| ("reference".to_owned(), reference.into())));
        body.extend(members);
    }
    printable_json(&body.to_string())
}
