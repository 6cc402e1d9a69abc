//! Signing: claims to a compact JWS, wherever the private key lives.

use std::sync::Arc;

use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use futures_util::future::BoxFuture;
use jeton_jose::PublicKey;
use jeton_oauth::{KeyId, NoRandomness, SignatureAlgorithm};
use ring::hmac;
use serde::Serialize;

/// Why a key could not be made, read or used. Never holds key material.
#[derive(Debug, thiserror::Error)]
pub enum SigningError {
    /// The text between the PEM lines is no private key that we take.
    #[error("it is not a sound private key in PKCS#8: RSA of 2048 to 8192 bits, P-256 or Ed25519 ({0})")]
    Rejected(&'static str),
    /// The key cannot sign by the algorithm of its entry.
    #[error("it is not of the kind that `{0}` needs")]
    Algorithm(SignatureAlgorithm),
    /// The public half could not be described as a JWK.
    #[error("its public key has no thumbprint ({0})")]
    Thumbprint(jsonwebtoken::errors::Error),
    /// There is nothing to make a key or a salt of.
    #[error(transparent)]
    Random(#[from] NoRandomness),
    /// What is to be signed is no JSON.
    #[error("the claims cannot be written as JSON: {0}")]
    Claims(#[from] serde_json::Error),
    /// The cryptographic library failed, without a reason.
    #[error("the cryptographic library failed")]
    Failed,
}

/// Where a private key lives: in this process, or one day behind a call to a key management service, which is
/// why the answer may take its time.
pub(super) trait Signer: Send + Sync {
    /// The signature over `message` as a JWS carries it (RFC 7518 section 3), not yet encoded, by the algorithm
    /// of the public half.
    fn sign<'s>(&'s self, message: &'s [u8]) -> BoxFuture<'s, Result<Vec<u8>, SigningError>>;
}

/// A key that signs: its public half, and whoever holds the private one. It has no `Debug`.
pub struct SigningKey {
    public: Arc<PublicKey>,
    signer: Box<dyn Signer>,
    nonces: hmac::Key,
}

impl SigningKey {
    pub(super) fn new(public: Arc<PublicKey>, signer: Box<dyn Signer>, nonces: hmac::Key) -> Self {
        Self { public, signer, nonces }
    }

    /// The name of this key in token headers: its thumbprint (RFC 7638).
    pub fn kid(&self) -> &KeyId {
        self.public.kid()
    }

    /// The public half.
    pub fn public(&self) -> &Arc<PublicKey> {
        &self.public
    }

    /// The secret that this key gives to nonces. Every replica derives the same one from the private key, and nobody
    /// else can.
    pub(crate) fn nonces(&self) -> &hmac::Key {
        &self.nonces
    }

    /// Signs `claims` as a compact JWS (RFC 7515 section 3.1).
    ///
    /// The library's own `encode` would parse the private key again for each token, which costs more than
    /// the signature; so the three parts are put together here around a key that was parsed once.
    ///
    /// # Errors
    /// [`SigningError::Claims`]; [`SigningError::Failed`] if the cryptographic library fails.
    pub(crate) async fn sign(&self, typ: &str, claims: &impl Serialize) -> Result<String, SigningError> {
        let algorithm = self.public.algorithm().name();
        let header = format!(r#"{{"typ":"{typ}","alg":"{algorithm}","kid":"{}"}}"#, self.kid());
        let mut payload = Vec::with_capacity(512);
        serde_json::to_writer(&mut payload, claims)?;
        let mut token = String::with_capacity((header.len() + payload.len() + USUAL_SIGNATURE) * 4 / 3 + 8);
        BASE64_URL_SAFE_NO_PAD.encode_string(header, &mut token);
        token.push('.');
        BASE64_URL_SAFE_NO_PAD.encode_string(payload, &mut token);
        let signature = self.signer.sign(token.as_bytes()).await?;
        token.push('.');
        BASE64_URL_SAFE_NO_PAD.encode_string(signature, &mut token);
        Ok(token)
    }
}

/// The signature of most keys, in bytes: RSA-2048.
const USUAL_SIGNATURE: usize = 256;
