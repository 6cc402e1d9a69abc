//! Keys to which tokens of a check are bound, and the DPoP proofs (RFC 9449 section 4.2) that they sign, some of which
//! are wrong on purpose.

use std::{
    fmt,
    sync::{
        Arc, OnceLock,
        atomic::{AtomicUsize, Ordering},
    },
};

use aws_lc_rs::{
    digest::{SHA256, digest},
    rand::SystemRandom,
    signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair},
};
use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use serde_json::{Value, json};

use super::CheckError;

/// A key of one holder, which no other run of a check has.
pub(crate) struct ProofKey {
    pair: EcdsaKeyPair,
    x: String,
    y: String,
    /// How many proofs were planned, which is the `jti` of the last.
    planned: AtomicUsize,
}

/// What a proof says, beside its time.
#[derive(Clone)]
pub(crate) struct ProofOf<'p> {
    pub(crate) method: &'p str,
    pub(crate) address: &'p str,
    /// The token that comes with it; without one there is no `ath`.
    pub(crate) token: Option<&'p str>,
    /// How long ago it was made, in seconds.
    pub(crate) age: i64,
    pub(crate) signature: ProofSignature,
}

/// How a proof is signed.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum ProofSignature {
    /// As it must be.
    Sound,
    /// Of another text.
    Another,
    /// Not at all, with the algorithm `none`.
    None,
}

impl ProofSignature {
    /// Of its base64url, in characters.
    fn length(self) -> usize {
        match self {
            Self::Sound | Self::Another => 86,
            Self::None => 0,
        }
    }
}

/// A proof that is made when it is first sent, for it ends soon.
pub(crate) struct PlannedProof {
    key: Arc<ProofKey>,
    signature: ProofSignature,
    claims: Value,
    age: i64,
    /// Stands for it in requests that are not sent yet, and is as long.
    place: String,
    made: OnceLock<String>,
}

impl ProofKey {
    pub(crate) fn generate() -> Result<Arc<Self>, CheckError> {
        let failed = |_| CheckError::Mint("no key could be made".into());
        let pair = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).map_err(failed)?;
        let coordinates = pair.public_key().as_ref().get(1..).unwrap_or_default();
        let (x, y) = coordinates.split_at_checked(32).unwrap_or_default();
        let [x, y] = [x, y].map(|coordinate| BASE64_URL_SAFE_NO_PAD.encode(coordinate));
        Ok(Arc::new(Self { pair, x, y, planned: AtomicUsize::new(0) }))
    }

    /// The `cnf` of a token that is bound to it: its thumbprint (RFC 7638).
    pub(crate) fn confirmation(&self) -> Value {
        let Self { x, y, .. } = self;
        let canonical = format!(r#"{{"crv":"P-256","kty":"EC","x":"{x}","y":"{y}"}}"#);
        json!({ "jkt": sha256(canonical.as_bytes()) })
    }

    /// Plans a proof with a `jti` of its own.
    pub(crate) fn plan(self: &Arc<Self>, of: &ProofOf<'_>) -> Arc<PlannedProof> {
        let ProofOf { method, address, token, age, signature } = *of;
        let number = self.planned.fetch_add(1, Ordering::Relaxed);
        let mut claims = json!({ "jti": format!("{number:08}"), "htm": method, "htu": address });
        if let (Some(token), Some(claims)) = (token, claims.as_object_mut()) {
            claims.insert("ath".to_owned(), json!(sha256(token.as_bytes())));
        }
        let mut planned = PlannedProof {
            key: Arc::clone(self),
            signature,
            claims,
            age,
            place: String::new(),
            made: OnceLock::new(),
        };
        // a time has ten digits
        let length = planned.signed(2_000_000_000).len() + 1 + planned.signature.length();
        planned.place = format!("{:.<length$}", format!("<proof {number:08} of {}>", self.x));
        Arc::new(planned)
    }
}

impl PlannedProof {
    pub(crate) fn place(&self) -> &str {
        &self.place
    }

    /// The proof, made now if it was never sent.
    pub(crate) fn text(&self, now: i64) -> Result<&str, CheckError> {
        if self.made.get().is_none() {
            let _ = self.made.set(self.make(now)?);
        }
        Ok(self.made.get().map_or("", String::as_str))
    }

    /// Header and claims.
    fn signed(&self, now: i64) -> String {
        let ProofKey { x, y, .. } = &*self.key;
        let algorithm = if self.signature == ProofSignature::None { "none" } else { "ES256" };
        let jwk = json!({ "kty": "EC", "crv": "P-256", "x": x, "y": y });
        let header = json!({ "typ": "dpop+jwt", "alg": algorithm, "jwk": jwk });
        let mut claims = self.claims.clone();
        if let Some(claims) = claims.as_object_mut() {
            claims.insert("iat".to_owned(), json!(now - self.age));
        }
        format!("{}.{}", encoded(&header), encoded(&claims))
    }

    fn make(&self, now: i64) -> Result<String, CheckError> {
        let signed = self.signed(now);
        let text = if self.signature == ProofSignature::Another { "another text" } else { &signed };
        let signature = match self.signature {
            ProofSignature::None => String::new(),
            ProofSignature::Sound | ProofSignature::Another => {
                let made = self.key.pair.sign(&SystemRandom::new(), text.as_bytes());
                let made = made.map_err(|_| CheckError::Mint("a key does not sign".into()))?;
                BASE64_URL_SAFE_NO_PAD.encode(made)
            }
        };
        Ok(format!("{signed}.{signature}"))
    }
}

fn encoded(value: &Value) -> String {
    BASE64_URL_SAFE_NO_PAD.encode(value.to_string())
}

/// The base64url of a SHA-256.
pub(crate) fn sha256(bytes: &[u8]) -> String {
    BASE64_URL_SAFE_NO_PAD.encode(digest(&SHA256, bytes))
}

impl fmt::Debug for ProofKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ProofKey").field("x", &self.x).finish_non_exhaustive()
    }
}
