//! The private key that signs, parsed once.

use std::sync::atomic::{AtomicUsize, Ordering};

use aws_lc_rs::{
    encoding::AsDer,
    rand::SystemRandom,
    rsa::{KeyPair as RsaKeyPair, KeySize},
    signature::{KeyPair as _, RSA_PKCS1_SHA256},
};
use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use serde::Serialize;
use zeroize::Zeroizing;

use super::PublicKey;
use crate::oauth::KeyId;

/// Why a key could not be made, read or used. Never holds key material.
#[derive(Debug, thiserror::Error)]
pub enum SigningError {
    /// The text between the PEM lines is no RSA private key that we take.
    #[error("it is not an RSA private key of 2048 to 8192 bits in PKCS#8 ({0})")]
    Rejected(aws_lc_rs::error::KeyRejected),
    /// The public half could not be described as a JWK.
    #[error("its public key has no thumbprint ({0})")]
    Thumbprint(jsonwebtoken::errors::Error),
    /// The cryptographic library failed, without a reason.
    #[error("the cryptographic library failed")]
    Failed,
}

/// How many threads have signed so far.
static THREADS: AtomicUsize = AtomicUsize::new(0);

thread_local! {
    /// The number of this thread.
    static THREAD: usize = THREADS.fetch_add(1, Ordering::Relaxed);
}

/// Room for the signature of the largest key that we take, in bytes.
const LONGEST_SIGNATURE: usize = 8192 / 8;

/// An RSA private key, ready to sign. It has no `Debug` and does not leave this module in any form
/// but that which the key folder writes.
pub struct SigningKey {
    pair: RsaKeyPair,
    /// Further copies of the pair: threads that sign with one copy wait for each other's blinding, which
    /// costs near one percent of a signature (benches/README.md).
    copies: Vec<RsaKeyPair>,
    kid: KeyId,
    random: SystemRandom,
}

impl SigningKey {
    /// Makes a new RSA-2048 key.
    pub(super) fn generate() -> Result<Self, SigningError> {
        Self::new(RsaKeyPair::generate(KeySize::Rsa2048).map_err(|_| SigningError::Failed)?)
    }

    /// Reads a DER-encoded PKCS#8 private key (RFC 5958).
    pub(super) fn from_pkcs8(der: &[u8]) -> Result<Self, SigningError> {
        Self::new(RsaKeyPair::from_pkcs8(der).map_err(SigningError::Rejected)?)
    }

    fn new(pair: RsaKeyPair) -> Result<Self, SigningError> {
        let public = PublicKey::from_rsa(pair.public_key()).map_err(SigningError::Thumbprint)?;
        Ok(Self { kid: public.kid().clone(), pair, copies: Vec::new(), random: SystemRandom::new() })
    }

    /// The key with a copy for each of these threads.
    pub(super) fn for_threads(mut self, threads: usize) -> Result<Self, SigningError> {
        let der = self.to_pkcs8()?;
        let copy = |_| RsaKeyPair::from_pkcs8(&der).map_err(SigningError::Rejected);
        self.copies = (1..threads).map(copy).collect::<Result<_, _>>()?;
        Ok(self)
    }

    /// The copy of this thread.
    fn own_pair(&self) -> &RsaKeyPair {
        let own = THREAD.with(|thread| *thread) % (self.copies.len() + 1);
        self.copies.get(own).unwrap_or(&self.pair)
    }

    /// The key as DER-encoded PKCS#8, wiped from memory when dropped.
    pub(super) fn to_pkcs8(&self) -> Result<Zeroizing<Vec<u8>>, SigningError> {
        let der = self.pair.as_der().map_err(|_| SigningError::Failed)?;
        Ok(Zeroizing::new(der.as_ref().to_vec()))
    }

    /// The name of this key in token headers: its thumbprint (RFC 7638).
    pub fn kid(&self) -> &KeyId {
        &self.kid
    }

    /// The size of the modulus in bits.
    pub fn bits(&self) -> usize {
        self.pair.public_modulus_len() * 8
    }

    pub(super) fn public_key(&self) -> Result<PublicKey, SigningError> {
        PublicKey::from_rsa(self.pair.public_key()).map_err(SigningError::Thumbprint)
    }

    /// Signs `claims` as a compact JWS (RFC 7515 section 3.1).
    ///
    /// The library's own `encode` would parse the private key again for each token, which costs more than
    /// the signature; so the three parts are put together here around a key that was parsed once.
    ///
    /// # Errors
    /// [`SigningError::Failed`] if the cryptographic library fails.
    pub(crate) fn sign(&self, typ: &str, claims: &impl Serialize) -> Result<String, SigningError> {
        let header =
            format!(r#"{{"typ":"{typ}","alg":"{}","kid":"{}"}}"#, PublicKey::ALGORITHM_NAME, self.kid);
        let mut payload = Vec::with_capacity(512);
        serde_json::to_writer(&mut payload, claims).map_err(|_| SigningError::Failed)?;
        let mut room = [0; LONGEST_SIGNATURE];
        let signature = room.get_mut(..self.pair.public_modulus_len()).ok_or(SigningError::Failed)?;
        let mut token = String::with_capacity((header.len() + payload.len() + signature.len()) * 4 / 3 + 8);
        BASE64_URL_SAFE_NO_PAD.encode_string(header, &mut token);
        token.push('.');
        BASE64_URL_SAFE_NO_PAD.encode_string(payload, &mut token);
        self.own_pair()
            .sign(&RSA_PKCS1_SHA256, &self.random, token.as_bytes(), signature)
            .map_err(|_| SigningError::Failed)?;
        token.push('.');
        BASE64_URL_SAFE_NO_PAD.encode_string(signature, &mut token);
        Ok(token)
    }
}
