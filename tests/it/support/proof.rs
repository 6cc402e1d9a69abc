//! DPoP proofs as a client makes them (RFC 9449 section 4.2), of which a row spoils one member.

use std::sync::atomic::{AtomicUsize, Ordering};

use reqwest::RequestBuilder;
use ring::digest;
use serde_json::{Value, json};

use super::{ISSUER, TestApp, forge::base64url, now, signer::Signer};

/// Header and claims of a proof that is still to be signed.
#[derive(Clone)]
pub(crate) struct ProofDraft {
    header: Value,
    claims: Value,
}

/// The `jti` of a proof that nobody made before.
pub(crate) fn new_jti() -> String {
    static NEXT: AtomicUsize = AtomicUsize::new(0);
    format!("jti-{}", NEXT.fetch_add(1, Ordering::Relaxed))
}

impl ProofDraft {
    /// A good proof for the token endpoint, now, by this key.
    pub(crate) fn good(key: &Signer) -> Self {
        Self {
            header: json!({ "typ": "dpop+jwt", "alg": key.usual_algorithm(), "jwk": key.jwk() }),
            claims: json!({
                "jti": new_jti(), "htm": "POST", "htu": format!("{ISSUER}/oauth2/token"), "iat": now(),
            }),
        }
    }

    /// With another value of this header parameter, or without it.
    pub(crate) fn header(mut self, name: &str, value: impl Into<Option<Value>>) -> Self {
        set(&mut self.header, name, value.into());
        self
    }

    /// With another value of this claim, or without it.
    pub(crate) fn claim(mut self, name: &str, value: impl Into<Option<Value>>) -> Self {
        set(&mut self.claims, name, value.into());
        self
    }

    /// As the header says, as far as the key can.
    pub(crate) fn sign(&self, key: &Signer) -> String {
        key.sign(self.header["alg"].as_str().unwrap_or_default(), &self.header, &self.claims)
    }

    /// As for a key that nobody has: without a signature.
    pub(crate) fn unsigned(&self) -> String {
        format!("{}.{}.", base64url(self.header.to_string()), base64url(self.claims.to_string()))
    }

    pub(crate) fn texts(&self) -> (String, String) {
        (self.header.to_string(), self.claims.to_string())
    }
}

fn set(object: &mut Value, name: &str, value: Option<Value>) {
    match value {
        Some(value) => object[name] = value,
        None => drop(object.as_object_mut().unwrap().remove(name)),
    }
}

impl Signer {
    /// A new proof for the token endpoint.
    pub(crate) fn proof(&self) -> String {
        ProofDraft::good(self).sign(self)
    }

    /// The algorithm that fits the key, if nobody says another.
    pub(crate) fn usual_algorithm(&self) -> &'static str {
        match self {
            Self::Rsa(_) => "RS256",
            Self::P256(_) => "ES256",
            Self::P384(_) => "ES384",
            Self::Ed25519(_) => "EdDSA",
        }
    }

    /// The thumbprint of the public key, put together by hand as RFC 7638 section 3.1 has it.
    pub(crate) fn thumbprint(&self) -> String {
        let jwk = self.jwk();
        let names: &[&str] = match self {
            Self::Rsa(_) => &["e", "kty", "n"],
            Self::P256(_) | Self::P384(_) => &["crv", "kty", "x", "y"],
            Self::Ed25519(_) => &["crv", "kty", "x"],
        };
        let members: Vec<_> = names.iter().map(|name| format!(r#""{name}":{}"#, jwk[name])).collect();
        base64url(digest::digest(&digest::SHA256, format!("{{{}}}", members.join(",")).as_bytes()))
    }
}

impl TestApp {
    /// `POST /oauth2/token` as a demo client, with these `DPoP` headers.
    pub(crate) fn post_token_with(
        &self,
        client: &str,
        form: &[(&str, &str)],
        proofs: &[impl AsRef<[u8]>],
    ) -> RequestBuilder {
        let request = self.post_token(client, form);
        proofs.iter().fold(request, |request, proof| request.header("DPoP", proof.as_ref()))
    }
}
