//! Claims to a signed token.

use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};

use super::{BearerToken, Claims};
use crate::keys::{PublicKey, SigningError, SigningKey};

/// A token of ours. Has no `Debug`: whoever reads it can use it.
pub struct SignedToken(String);

impl SignedToken {
    /// The `typ` of a token that names its client (RFC 9068 section 2.1).
    pub(super) const NAMED: &str = "at+jwt";
    /// The `typ` of a token that names nobody.
    pub(super) const ANONYMOUS: &str = "JWT";

    /// Signs `claims` as a compact JWS (RFC 7515 section 3.1).
    ///
    /// The library's own `encode` would parse the private key again for each token, which costs more than
    /// the signature; so the three parts are put together here around a key that was parsed once.
    ///
    /// # Errors
    /// [`SigningError::Failed`] if the cryptographic library fails.
    pub(crate) fn sign(claims: &Claims, key: &SigningKey) -> Result<Self, SigningError> {
        let typ = if claims.client.is_some() { Self::NAMED } else { Self::ANONYMOUS };
        let header =
            format!(r#"{{"typ":"{typ}","alg":"{}","kid":"{}"}}"#, PublicKey::ALGORITHM_NAME, key.kid());
        let mut payload = Vec::with_capacity(512);
        serde_json::to_writer(&mut payload, claims).map_err(|_| SigningError::Failed)?;
        let signature = key.bits().div_ceil(8);
        let mut token = String::with_capacity((header.len() + payload.len() + signature) * 4 / 3 + 8);
        BASE64_URL_SAFE_NO_PAD.encode_string(header, &mut token);
        token.push('.');
        BASE64_URL_SAFE_NO_PAD.encode_string(payload, &mut token);
        key.sign(&mut token)?;
        Ok(Self(token))
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
