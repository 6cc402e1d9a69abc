//! Examples and cases that others published: the RFCs of JOSE, and what Wycheproof tries with JWS and JWK.
//!
//! The signatures of Wycheproof are in `src/vectors.rs`: they are over messages that are no JWS.
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test may stop at the first surprise, in its helpers too"
)]

mod cases;
mod examples;
mod keys;
mod wycheproof_json;

use jeton_jose::{CompactJws, InvalidPublicKey, IssuerKeySet, JwsError};
use jeton_oauth::ForeignAlgorithm;
use serde_json::{Value, json};

/// A set of these keys, for every algorithm.
fn key_set(keys: &[Value]) -> Result<IssuerKeySet, InvalidPublicKey> {
    IssuerKeySet::from_jwks(json!({ "keys": keys }).to_string().as_bytes(), &ForeignAlgorithm::ALL)
}

/// Verifies a JWS as the token of another issuer is verified, whatever its claims are.
fn verified_by(keys: &IssuerKeySet, text: &str) -> Result<ForeignAlgorithm, JwsError> {
    let parts = CompactJws::parse(text)?;
    let header = parts.header()?;
    let algorithm = ForeignAlgorithm::parse(&header.algorithm).ok_or(JwsError::Algorithm)?;
    keys.verify(&parts, &header, algorithm)?;
    Ok(algorithm)
}

/// The public half of a JSON Web Key.
fn public_half(jwk: &Value) -> Value {
    let mut jwk = jwk.clone();
    jwk.as_object_mut()
        .unwrap()
        .retain(|name, _| !["d", "p", "q", "dp", "dq", "qi"].contains(&name.as_str()));
    jwk
}
