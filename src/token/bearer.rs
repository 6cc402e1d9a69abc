//! A token as somebody sent it: nothing of it is known to be true.

use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use serde_json::{Map, Value};

use super::{json, verify::TokenError};

/// A token as it was sent. Has no `Debug`: whoever reads it could use it.
pub struct BearerToken(String);

impl BearerToken {
    /// The longest token that is looked at, in bytes.
    pub const LONGEST: usize = 8 * 1024;

    /// Takes what stood behind `Bearer`.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The three parts of a compact JWS (RFC 7515 section 7.1), still encoded.
    pub(super) fn parts(&self) -> Result<Parts<'_>, TokenError> {
        if self.0.len() > Self::LONGEST {
            return Err(TokenError::TooLong);
        }
        let mut parts = self.0.split('.');
        let three = (parts.next(), parts.next(), parts.next(), parts.next());
        let (Some(header), Some(payload), Some(signature), None) = three else {
            return Err(TokenError::NotCompactJws);
        };
        let signed = self.0.get(..header.len() + 1 + payload.len()).ok_or(TokenError::NotCompactJws)?;
        Ok(Parts { header, payload, signature, signed })
    }
}

/// The encoded parts of a token.
pub(super) struct Parts<'t> {
    pub(super) header: &'t str,
    pub(super) payload: &'t str,
    pub(super) signature: &'t str,
    /// Header and payload with the dot between: what is signed.
    pub(super) signed: &'t str,
}

/// Decodes a part: base64url without padding and with nothing in the unused bits (RFC 7515 section 2),
/// holding a JSON object in which no name stands twice (RFC 8725 section 3.1).
pub(super) fn object(part: &str) -> Result<Map<String, Value>, TokenError> {
    let bytes = BASE64_URL_SAFE_NO_PAD.decode(part).map_err(|_| TokenError::NotBase64Url)?;
    json::strict_object(&bytes).map_err(|_| TokenError::NotJsonObject)
}

/// Header and claims of a token that nobody verified.
pub struct InsecureParts {
    /// The header.
    pub header: Map<String, Value>,
    /// The claims.
    pub claims: Map<String, Value>,
}

/// Takes a token apart for people to look at; nothing may be decided by what it says.
///
/// # Errors
/// [`TokenError`] when the token cannot even be taken apart.
pub fn insecure_parts(token: &BearerToken) -> Result<InsecureParts, TokenError> {
    let parts = token.parts()?;
    Ok(InsecureParts { header: object(parts.header)?, claims: object(parts.payload)? })
}
