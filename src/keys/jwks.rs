//! The published key set as it goes over the wire.

use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use jsonwebtoken::jwk::JwkSet;
use ring::digest;

use super::PublicKeys;

/// A JSON Web Key Set (RFC 7517 section 5) rendered once, with its strong entity tag.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JwksDocument {
    body: String,
    etag: String,
}

impl JwksDocument {
    /// For how long a verifier may keep the set, in seconds.
    pub const MAX_AGE: u32 = 300;

    pub(super) fn render(keys: &PublicKeys) -> Result<Self, serde_json::Error> {
        let set = JwkSet { keys: keys.iter().map(|key| key.jwk().clone()).collect() };
        let body = serde_json::to_string(&set)?;
        let hash = digest::digest(&digest::SHA256, body.as_bytes());
        let etag = format!("\"{}\"", BASE64_URL_SAFE_NO_PAD.encode(hash.as_ref()));
        Ok(Self { body, etag })
    }

    /// The JSON text.
    pub fn body(&self) -> &str {
        &self.body
    }

    /// The entity tag, quotes included (RFC 9110 section 8.8.3).
    pub fn etag(&self) -> &str {
        &self.etag
    }
}
