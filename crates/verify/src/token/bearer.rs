//! A token as somebody sent it: nothing of it is known to be true.

use jeton_jose::{CompactJws, JwsError};
use serde_json::{Map, Value};

/// A token as it was sent. Has no `Debug`: whoever reads it could use it.
pub struct BearerToken(String);

impl BearerToken {
    /// The longest token that is looked at, in bytes.
    pub const LONGEST: usize = CompactJws::LONGEST;

    /// Takes what stood behind `Bearer`.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The text, for whoever verifies it.
    pub fn as_str(&self) -> &str {
        &self.0
    }
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
/// [`JwsError`] when the token cannot even be taken apart.
pub fn insecure_parts(token: &BearerToken) -> Result<InsecureParts, JwsError> {
    let parts = CompactJws::parse(&token.0)?;
    Ok(InsecureParts { header: parts.raw_header()?, claims: parts.payload()? })
}
