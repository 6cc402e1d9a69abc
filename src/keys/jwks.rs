//! The published key set as it goes over the wire.

use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use jeton_jose::PublicKeys;
use ring::digest;

/// A JSON Web Key Set (RFC 7517 section 5) rendered once, with its strong entity tag. Its keys stand in the order
/// of their `kid`, whatever they do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JwksDocument {
    body: String,
    etag: String,
    max_age: u32,
}

impl JwksDocument {
    pub(super) fn render(keys: &PublicKeys, max_age: u32) -> Self {
        let keys: Vec<_> = keys.iter().map(jeton_jose::PublicKey::json).collect();
        let body = format!(r#"{{"keys":[{}]}}"#, keys.join(","));
        let hash = digest::digest(&digest::SHA256, body.as_bytes());
        let etag = format!("\"{}\"", BASE64_URL_SAFE_NO_PAD.encode(hash.as_ref()));
        Self { body, etag, max_age }
    }

    /// The JSON text.
    pub fn body(&self) -> &str {
        &self.body
    }

    /// The entity tag, quotes included (RFC 9110 section 8.8.3).
    pub fn etag(&self) -> &str {
        &self.etag
    }

    /// For how long a verifier may keep the set, in seconds: short enough that it has fetched a new key before
    /// that key signs.
    pub fn max_age(&self) -> u32 {
        self.max_age
    }
}
