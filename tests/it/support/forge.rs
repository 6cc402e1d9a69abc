//! Tokens that jeton itself would never write, signed by whatever key the forger holds.

use std::fs;

use aws_lc_rs::{
    encoding::{AsDer, PublicKeyX509Der},
    rand::SystemRandom,
    rsa::KeyPair as RsaKeyPair,
    signature::{KeyPair, RSA_PKCS1_SHA256},
};
use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use ring::{digest, hmac};
use serde_json::{Value, json};

use super::{ISSUER, key_fixture};

/// Signs what it is given, without looking at it.
pub(crate) struct Forge {
    pair: RsaKeyPair,
}

/// base64url without padding.
pub(crate) fn base64url(bytes: impl AsRef<[u8]>) -> String {
    BASE64_URL_SAFE_NO_PAD.encode(bytes)
}

/// Header and claims of a compact JWS, whatever its signature is worth.
#[track_caller]
pub(crate) fn decoded(token: &str) -> (Value, Value) {
    let parts: Vec<_> = token.split('.').collect();
    assert_eq!(parts.len(), 3, "a compact JWS has three parts");
    let part = |part: &str| serde_json::from_slice(&BASE64_URL_SAFE_NO_PAD.decode(part).unwrap()).unwrap();
    (part(parts[0]), part(parts[1]))
}

impl Forge {
    /// With the key of a spawned server: what it signs is as good as the server's own.
    pub(crate) fn with_the_servers_key() -> Self {
        Self::with("test-only-signing.pem")
    }

    /// With a key of the fixtures.
    pub(crate) fn with(fixture: &str) -> Self {
        let pem = pem::parse(fs::read(key_fixture(fixture)).unwrap()).unwrap();
        Self { pair: RsaKeyPair::from_pkcs8(pem.contents()).unwrap() }
    }

    /// The thumbprint of the key, put together by hand as RFC 7638 section 3.1 has it.
    pub(crate) fn kid(&self) -> String {
        let exponent = self.pair.public_key().exponent().big_endian_without_leading_zero();
        let (n, e) = (base64url(self.modulus()), base64url(exponent));
        let members = format!(r#"{{"e":"{e}","kty":"RSA","n":"{n}"}}"#);
        base64url(digest::digest(&digest::SHA256, members.as_bytes()))
    }

    /// The public key as a JSON Web Key.
    pub(crate) fn jwk(&self) -> Value {
        let exponent = self.pair.public_key().exponent().big_endian_without_leading_zero();
        let (n, e) = (base64url(self.modulus()), base64url(exponent));
        json!({ "kty": "RSA", "use": "sig", "alg": "RS256", "kid": self.kid(), "n": n, "e": e })
    }

    /// The modulus, which everybody may know.
    pub(crate) fn modulus(&self) -> &[u8] {
        self.pair.public_key().modulus().big_endian_without_leading_zero()
    }

    /// The public key as `BEGIN PUBLIC KEY`, which everybody may know.
    pub(crate) fn public_pem(&self) -> String {
        let der: PublicKeyX509Der = self.pair.public_key().as_der().unwrap();
        let config = pem::EncodeConfig::new().set_line_ending(pem::LineEnding::LF);
        pem::encode_config(&pem::Pem::new("PUBLIC KEY", der.as_ref()), config)
    }

    /// A compact JWS of these texts.
    pub(crate) fn sign(&self, header: impl AsRef<[u8]>, payload: impl AsRef<[u8]>) -> String {
        self.sign_encoded(&format!("{}.{}", base64url(header), base64url(payload)))
    }

    /// Puts a signature behind what is encoded already.
    pub(crate) fn sign_encoded(&self, signed: &str) -> String {
        let mut signature = vec![0; self.pair.public_modulus_len()];
        self.pair.sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), signed.as_bytes(), &mut signature).unwrap();
        format!("{signed}.{}", base64url(signature))
    }
}

/// A compact JWS by HMAC-SHA-256, with a secret that is none.
pub(crate) fn sign_hs256(secret: &[u8], header: &str, payload: &str) -> String {
    let signed = format!("{}.{}", base64url(header), base64url(payload));
    let tag = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, secret), signed.as_bytes());
    format!("{signed}.{}", base64url(tag))
}

/// Header and claims of a token of ours, member by member in raw JSON, of which a row spoils one.
#[derive(Clone)]
pub(crate) struct Draft {
    header: Vec<(String, String)>,
    claims: Vec<(String, String)>,
}

impl Draft {
    /// The header and the claims of `acme-sync`'s token for jeton's own API, issued at `now`.
    pub(crate) fn good(kid: &str, now: i64) -> Self {
        let members = |members: &[(&str, String)]| {
            members.iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect()
        };
        let text = |text: &str| format!("\"{text}\"");
        Self {
            header: members(&[("typ", text("at+jwt")), ("alg", text("RS256")), ("kid", text(kid))]),
            claims: members(&[
                ("iss", text(ISSUER)),
                ("sub", text("acme-sync")),
                ("aud", text(ISSUER)),
                ("exp", (now + 300).to_string()),
                ("iat", now.to_string()),
                ("jti", text("forged")),
                ("client_id", text("acme-sync")),
                ("scope", text("jeton:principal")),
                ("tenant", text("acme")),
            ]),
        }
    }

    /// With another value of this header parameter, in raw JSON.
    pub(crate) fn header(mut self, name: &str, json: impl Into<String>) -> Self {
        set(&mut self.header, name, Some(json.into()));
        self
    }

    /// Without this header parameter.
    pub(crate) fn no_header(mut self, name: &str) -> Self {
        set(&mut self.header, name, None);
        self
    }

    /// With this header parameter at the end, whether there is one of that name or not.
    pub(crate) fn also_header(mut self, name: &str, json: &str) -> Self {
        self.header.push((name.to_owned(), json.to_owned()));
        self
    }

    /// With another value of this claim, in raw JSON.
    pub(crate) fn claim(mut self, name: &str, json: impl Into<String>) -> Self {
        set(&mut self.claims, name, Some(json.into()));
        self
    }

    /// Without this claim.
    pub(crate) fn no_claim(mut self, name: &str) -> Self {
        set(&mut self.claims, name, None);
        self
    }

    /// With this claim at the end, whether there is one of that name or not.
    pub(crate) fn also_claim(mut self, name: &str, json: &str) -> Self {
        self.claims.push((name.to_owned(), json.to_owned()));
        self
    }

    /// The text of the header.
    pub(crate) fn header_text(&self) -> String {
        object(&self.header)
    }

    /// The text of the claims.
    pub(crate) fn claims_text(&self) -> String {
        object(&self.claims)
    }

    /// The token.
    pub(crate) fn sign(&self, forge: &Forge) -> String {
        forge.sign(self.header_text(), self.claims_text())
    }
}

fn set(members: &mut Vec<(String, String)>, name: &str, json: Option<String>) {
    members.retain(|(other, _)| other != name);
    members.extend(json.map(|json| (name.to_owned(), json)));
}

fn object(members: &[(String, String)]) -> String {
    let members: Vec<_> = members.iter().map(|(name, json)| format!("\"{name}\":{json}")).collect();
    format!("{{{}}}", members.join(","))
}
