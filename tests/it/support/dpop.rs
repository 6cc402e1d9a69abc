//! DPoP proofs, good ones and ones of which a row spoils one member.

use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use jeton_jose::ForeignKey;
use ring::digest;
use serde_json::{Map, Value, json};

use super::signer::Signer;

/// Header and claims of a proof.
#[derive(Clone)]
pub(crate) struct ProofDraft {
    pub(crate) header: Map<String, Value>,
    pub(crate) claims: Map<String, Value>,
}

/// The thumbprint of a signer's key, as `jkt` has it.
pub(crate) fn thumbprint(signer: &Signer) -> String {
    ForeignKey::from_jwk(&signer.jwk()).unwrap().thumbprint().as_str().to_owned()
}

impl ProofDraft {
    /// A good one, without an access token.
    pub(crate) fn good(signer: &Signer, method: &str, url: &str, now: i64) -> Self {
        let alg = match signer {
            Signer::Rsa(_) => "RS256",
            Signer::P256(_) => "ES256",
            Signer::P384(_) => "ES384",
            Signer::Ed25519(_) => "EdDSA",
        };
        let header = json!({ "typ": "dpop+jwt", "alg": alg, "jwk": signer.jwk() });
        let claims = json!({ "htm": method, "htu": url, "iat": now, "jti": "e1j3V_bKic8-LAEB" });
        let [header, claims] = [header, claims].map(|part| part.as_object().unwrap().clone());
        Self { header, claims }
    }

    /// For an access token.
    pub(crate) fn with_token(self, token: &str) -> Self {
        let hash = digest::digest(&digest::SHA256, token.as_bytes());
        self.claim("ath", BASE64_URL_SAFE_NO_PAD.encode(hash))
    }

    /// With another value of this header parameter.
    pub(crate) fn header(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.header.insert(name.to_owned(), value.into());
        self
    }

    /// Without this header parameter.
    pub(crate) fn no_header(mut self, name: &str) -> Self {
        self.header.remove(name);
        self
    }

    /// With another value of this claim.
    pub(crate) fn claim(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.claims.insert(name.to_owned(), value.into());
        self
    }

    /// Without this claim.
    pub(crate) fn no_claim(mut self, name: &str) -> Self {
        self.claims.remove(name);
        self
    }

    /// The proof, signed as its `alg` says.
    pub(crate) fn sign(&self, signer: &Signer) -> String {
        let alg = self.header.get("alg").and_then(Value::as_str).unwrap_or_default();
        signer.sign(alg, &self.header.clone().into(), &self.claims.clone().into())
    }
}
