//! Claims to a signed token.

use jeton_jose::TokenKind;
use jeton_verify::{AT_JWT, BearerToken};

use super::{AccessTokenClaims, RefreshClaims};
use crate::keys::{SigningError, SigningKey};

/// A token of ours. Has no `Debug`: whoever reads it can use it.
#[derive(Clone)]
pub struct SignedToken(String);

/// The `typ` of a token that names nobody.
const ANONYMOUS: &str = "JWT";

/// The `typ` of a refresh token.
const REFRESH: &str = "rt+jwt";

/// Refresh tokens.
pub(super) const REFRESH_TOKEN: TokenKind = TokenKind { name: "a refresh token", types: &[REFRESH] };

impl SignedToken {
    /// Signs the claims of an access token.
    ///
    /// # Errors
    /// [`SigningError::Failed`] if the cryptographic library fails.
    pub(crate) async fn sign(claims: &AccessTokenClaims, key: &SigningKey) -> Result<Self, SigningError> {
        let typ = if claims.named.is_some() { AT_JWT } else { ANONYMOUS };
        key.sign(typ, claims).await.map(Self)
    }

    /// Signs a refresh token.
    ///
    /// # Errors
    /// As [`Self::sign`].
    pub(crate) async fn sign_refresh(claims: &RefreshClaims, key: &SigningKey) -> Result<Self, SigningError> {
        key.sign(REFRESH, claims).await.map(Self)
    }

    /// A text in the place of a token, where only that one is kept is of interest.
    #[cfg(test)]
    pub(crate) fn pretended(text: String) -> Self {
        Self(text)
    }

    /// The compact serialization.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl From<SignedToken> for BearerToken {
    fn from(token: SignedToken) -> Self {
        Self::new(token.0)
    }
}
