//! DPoP proofs for the token endpoint, each of which is a new one.

use std::sync::atomic::{AtomicUsize, Ordering};

use reqwest::RequestBuilder;
use ring::digest;
use serde_json::Value;

use super::{ISSUER, TestApp, dpop::ProofDraft, forge::base64url, now, signer::Signer};

/// A `jti` that nobody used before.
pub(crate) fn new_jti() -> String {
    static NEXT: AtomicUsize = AtomicUsize::new(0);
    format!("jti-{}", NEXT.fetch_add(1, Ordering::Relaxed))
}

impl ProofDraft {
    /// A good proof for the token endpoint of a spawned server, by this key.
    pub(crate) fn for_tokens(key: &Signer) -> Self {
        Self::good(key, "POST", &format!("{ISSUER}/oauth2/token"), now()).claim("jti", new_jti())
    }

    /// With an empty signature.
    pub(crate) fn unsigned(&self) -> String {
        let (header, claims) = self.texts();
        format!("{}.{}.", base64url(header), base64url(claims))
    }

    /// The JSON of header and claims.
    pub(crate) fn texts(&self) -> (String, String) {
        let text = |members: &serde_json::Map<String, Value>| Value::from(members.clone()).to_string();
        (text(&self.header), text(&self.claims))
    }
}

impl Signer {
    /// A new proof for the token endpoint.
    pub(crate) fn proof(&self) -> String {
        ProofDraft::for_tokens(self).sign(self)
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
