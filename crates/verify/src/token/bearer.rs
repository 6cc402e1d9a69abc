//! A token as somebody sent it: nothing of it is known to be true.

use jeton_jose::{CompactJws, JwsError};
use jeton_oauth::Confirmation;
use serde_json::{Map, Value};

/// A token as it was sent. Has no `Debug`: whoever reads it could use it.
pub struct BearerToken {
    text: String,
    scheme: TokenScheme,
}

/// The scheme of the `Authorization` header in which a token came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TokenScheme {
    /// `Bearer` (RFC 6750 section 2.1).
    Bearer,
    /// `DPoP` (RFC 9449 section 7.1): a proof comes with it.
    Dpop,
}

impl TokenScheme {
    /// Each of them.
    pub const ALL: [Self; 2] = [Self::Bearer, Self::Dpop];

    /// The scheme of tokens with this binding, which is their `token_type` too (RFC 9449 section 5). Those that are bound to
    /// a certificate alone are bearer tokens (RFC 8705 section 3).
    pub fn of(confirmation: Option<Confirmation>) -> Self {
        if confirmation.is_some_and(|bound| bound.jkt().is_some()) { Self::Dpop } else { Self::Bearer }
    }

    /// Its name. Case says nothing (RFC 9110 section 11.1).
    pub fn name(self) -> &'static str {
        match self {
            Self::Bearer => "Bearer",
            Self::Dpop => "DPoP",
        }
    }
}

impl BearerToken {
    /// The longest token that is looked at, in bytes.
    pub const LONGEST: usize = CompactJws::LONGEST;

    /// Takes what stood behind `Bearer`.
    pub fn new(text: impl Into<String>) -> Self {
        Self::of_scheme(TokenScheme::Bearer, text)
    }

    /// Takes what stood behind the name of a scheme.
    pub fn of_scheme(scheme: TokenScheme, text: impl Into<String>) -> Self {
        Self { text: text.into(), scheme }
    }

    /// The scheme by which it came.
    pub fn scheme(&self) -> TokenScheme {
        self.scheme
    }

    /// The text, for whoever verifies it.
    pub fn as_str(&self) -> &str {
        &self.text
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
    let parts = CompactJws::parse(token.as_str())?;
    Ok(InsecureParts { header: parts.raw_header()?, claims: parts.payload()? })
}
