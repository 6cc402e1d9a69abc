//! A client that shows who it is by signed assertions.

use aws_lc_rs::{
    rand::SystemRandom,
    rsa::KeyPair as RsaKeyPair,
    signature::{KeyPair, RSA_PKCS1_SHA256},
};
use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use jeton_oauth::clock::{Clock, SystemClock};

/// A policy file with one client that has this key and no secret.
pub(crate) fn policies(pair: &RsaKeyPair) -> String {
    let part = |part: &[u8]| BASE64_URL_SAFE_NO_PAD.encode(part);
    let public = pair.public_key();
    let n = part(public.modulus().big_endian_without_leading_zero());
    let e = part(public.exponent().big_endian_without_leading_zero());
    format!(
        "version: 1\nclients:\n  bench-jwt:\n    public_keys:\n      - jwk: {{ kty: RSA, n: \"{n}\", e: {e} }}\n    \
         grants: {{ orders: {{ scopes: [orders:read] }} }}\n"
    )
}

/// An assertion of that client.
pub(crate) fn sign(pair: &RsaKeyPair, issuer: &str, number: usize) -> String {
    let now = SystemClock.now().as_second();
    let claims = format!(
        r#"{{"iss":"bench-jwt","sub":"bench-jwt","aud":"{issuer}","exp":{},"iat":{now},"jti":"assertion-{number}"}}"#,
        now + 60
    );
    let header = BASE64_URL_SAFE_NO_PAD.encode(r#"{"alg":"RS256","typ":"JWT"}"#);
    let signed = format!("{header}.{}", BASE64_URL_SAFE_NO_PAD.encode(claims));
    let mut signature = [0; 256];
    pair.sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), signed.as_bytes(), &mut signature).unwrap();
    format!("{signed}.{}", BASE64_URL_SAFE_NO_PAD.encode(signature))
}
