//! Private keys that live in this process, parsed once.

use std::{
    num::NonZero,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
};

use aws_lc_rs::{
    encoding::AsDer,
    rand::SystemRandom,
    rsa::KeyPair as RsaKeyPair,
    signature::{
        ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair as _, RSA_PKCS1_SHA256,
        RSA_PSS_SHA256, RsaEncoding,
    },
};
use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use futures_util::future::{BoxFuture, FutureExt, ready};
use jeton_jose::PublicKey;
use jeton_oauth::{KeyId, RsaBits, SignatureAlgorithm};
use jsonwebtoken::jwk::{
    AlgorithmParameters, EllipticCurve, EllipticCurveKeyParameters, EllipticCurveKeyType,
    OctetKeyPairParameters, OctetKeyPairType, RSAKeyParameters, RSAKeyType,
};
use pkcs8::{ObjectIdentifier, PrivateKeyInfoRef};
use ring::{hkdf, hmac};
use zeroize::Zeroizing;

use super::{SigningError, SigningKey, signing::Signer};

/// The kind of a private key: it says by which algorithms the key can sign.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum KeyKind {
    Rsa,
    P256,
    Ed25519,
}

/// `rsaEncryption` (RFC 8017 appendix A.1).
const RSA: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.1");
/// `id-ecPublicKey` (RFC 5480 section 2.1.1).
const EC: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.2.1");
/// `id-Ed25519` (RFC 8410 section 3).
const ED25519: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.101.112");

impl KeyKind {
    /// The kind of a DER-encoded PKCS#8 private key (RFC 5958 section 2).
    fn of(der: &[u8]) -> Result<Self, SigningError> {
        let info = PrivateKeyInfoRef::try_from(der).map_err(|_| SigningError::Rejected("InvalidEncoding"))?;
        match info.algorithm.oid {
            RSA => Ok(Self::Rsa),
            EC => Ok(Self::P256),
            ED25519 => Ok(Self::Ed25519),
            _ => Err(SigningError::Rejected("WrongAlgorithm")),
        }
    }
}

/// A private key in memory, not yet ready to sign: DER-encoded PKCS#8, wiped when dropped. It has no `Debug`.
pub(super) struct PrivateKey {
    der: Zeroizing<Vec<u8>>,
    kind: KeyKind,
}

impl PrivateKey {
    /// Takes a DER-encoded PKCS#8 private key (RFC 5958).
    pub(super) fn from_pkcs8(der: Zeroizing<Vec<u8>>) -> Result<Self, SigningError> {
        let kind = KeyKind::of(&der)?;
        Ok(Self { der, kind })
    }

    /// Makes a new key.
    pub(super) fn generate(wanted: SignatureAlgorithm, bits: RsaBits) -> Result<Self, SigningError> {
        let failed = |_| SigningError::Failed;
        let (der, kind) = match wanted {
            SignatureAlgorithm::Rs256 | SignatureAlgorithm::Ps256 => {
                let pair = RsaKeyPair::generate(jeton_jose::key_size(bits)).map_err(failed)?;
                (pair.as_der().map_err(failed)?.as_ref().to_vec(), KeyKind::Rsa)
            }
            SignatureAlgorithm::Es256 => {
                let pair = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).map_err(failed)?;
                (pair.to_pkcs8v1().map_err(failed)?.as_ref().to_vec(), KeyKind::P256)
            }
            SignatureAlgorithm::EdDsa => {
                let pair = Ed25519KeyPair::generate().map_err(failed)?;
                // version 1: what OpenSSL reads
                (pair.to_pkcs8v1().map_err(failed)?.as_ref().to_vec(), KeyKind::Ed25519)
            }
        };
        Ok(Self { der: Zeroizing::new(der), kind })
    }

    pub(super) fn der(&self) -> &[u8] {
        &self.der
    }

    /// The algorithm for a key of which nobody says one.
    pub(super) fn usual_algorithm(&self) -> SignatureAlgorithm {
        match self.kind {
            KeyKind::Rsa => SignatureAlgorithm::Rs256,
            KeyKind::P256 => SignatureAlgorithm::Es256,
            KeyKind::Ed25519 => SignatureAlgorithm::EdDsa,
        }
    }

    /// The thumbprint of its public half (RFC 7638); the algorithm is no part of that.
    pub(super) fn kid(&self) -> Result<KeyId, SigningError> {
        Ok(self.signing_key(self.usual_algorithm())?.kid().clone())
    }

    /// The key, ready to sign by this algorithm.
    pub(super) fn signing_key(&self, algorithm: SignatureAlgorithm) -> Result<SigningKey, SigningError> {
        let wrong = || SigningError::Algorithm(algorithm);
        let (signer, parameters): (Box<dyn Signer>, _) = match (self.kind, algorithm) {
            (KeyKind::Rsa, SignatureAlgorithm::Rs256) => self.rsa(&RSA_PKCS1_SHA256)?,
            (KeyKind::Rsa, SignatureAlgorithm::Ps256) => self.rsa(&RSA_PSS_SHA256)?,
            (KeyKind::P256, SignatureAlgorithm::Es256) => self.p256()?,
            (KeyKind::Ed25519, SignatureAlgorithm::EdDsa) => self.ed25519()?,
            _ => return Err(wrong()),
        };
        let public = PublicKey::of_issuer(algorithm, parameters).map_err(SigningError::Thumbprint)?;
        Ok(SigningKey::new(Arc::new(public), signer, self.nonces()?))
    }

    /// A secret for nonces (RFC 5869), whatever the algorithm: what a signature of the key says of it says nothing of this.
    fn nonces(&self) -> Result<hmac::Key, SigningError> {
        let key = hkdf::Salt::new(hkdf::HKDF_SHA256, &[]).extract(&self.der);
        let derived = key.expand(&[b"jeton: nonces of proofs"], hmac::HMAC_SHA256);
        derived.map(Into::into).map_err(|_| SigningError::Failed)
    }

    fn rsa(
        &self,
        encoding: &'static dyn RsaEncoding,
    ) -> Result<(Box<dyn Signer>, AlgorithmParameters), SigningError> {
        let threads = thread::available_parallelism().map_or(1, NonZero::get);
        let pair = || RsaKeyPair::from_pkcs8(&self.der).map_err(rejected);
        let first = pair()?;
        let public = first.public_key();
        let parameters = AlgorithmParameters::RSA(RSAKeyParameters {
            key_type: RSAKeyType::RSA,
            n: BASE64_URL_SAFE_NO_PAD.encode(public.modulus().big_endian_without_leading_zero()),
            e: BASE64_URL_SAFE_NO_PAD.encode(public.exponent().big_endian_without_leading_zero()),
        });
        let copies = (1..threads).map(|_| pair()).collect::<Result<_, _>>()?;
        let signer = RsaSigner { first, copies, encoding, random: SystemRandom::new() };
        Ok((Box::new(signer), parameters))
    }

    fn p256(&self) -> Result<(Box<dyn Signer>, AlgorithmParameters), SigningError> {
        let pair = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &self.der).map_err(rejected)?;
        // an uncompressed point (SEC 1 section 2.3.3)
        let (x, y) = match pair.public_key().as_ref() {
            [4, point @ ..] => point.split_at_checked(32).ok_or(SigningError::Failed)?,
            _ => return Err(SigningError::Failed),
        };
        let parameters = AlgorithmParameters::EllipticCurve(EllipticCurveKeyParameters {
            key_type: EllipticCurveKeyType::EC,
            curve: EllipticCurve::P256,
            x: BASE64_URL_SAFE_NO_PAD.encode(x),
            y: BASE64_URL_SAFE_NO_PAD.encode(y),
        });
        Ok((Box::new(EcdsaSigner { pair, random: SystemRandom::new() }), parameters))
    }

    fn ed25519(&self) -> Result<(Box<dyn Signer>, AlgorithmParameters), SigningError> {
        // with or without the public half (RFC 8410 section 7)
        let pair = Ed25519KeyPair::from_pkcs8_maybe_unchecked(&self.der).map_err(rejected)?;
        let parameters = AlgorithmParameters::OctetKeyPair(OctetKeyPairParameters {
            key_type: OctetKeyPairType::OctetKeyPair,
            curve: EllipticCurve::Ed25519,
            x: BASE64_URL_SAFE_NO_PAD.encode(pair.public_key()),
        });
        Ok((Box::new(Ed25519Signer(pair)), parameters))
    }
}

fn rejected(error: aws_lc_rs::error::KeyRejected) -> SigningError {
    SigningError::Rejected(error.description_())
}

/// How many threads have signed so far.
static THREADS: AtomicUsize = AtomicUsize::new(0);

thread_local! {
    /// The number of this thread.
    static THREAD: usize = THREADS.fetch_add(1, Ordering::Relaxed);
}

/// Room for the signature of the largest key that we take, in bytes.
const LONGEST_SIGNATURE: usize = 8192 / 8;

struct RsaSigner {
    first: RsaKeyPair,
    /// Further copies of the pair: threads that sign with one copy wait for each other's blinding, which
    /// costs near one percent of a signature (benches/README.md).
    copies: Vec<RsaKeyPair>,
    encoding: &'static dyn RsaEncoding,
    random: SystemRandom,
}

impl Signer for RsaSigner {
    fn sign<'s>(&'s self, message: &'s [u8]) -> BoxFuture<'s, Result<Vec<u8>, SigningError>> {
        let own = THREAD.with(|thread| *thread) % (self.copies.len() + 1);
        let pair = self.copies.get(own).unwrap_or(&self.first);
        let mut room = [0; LONGEST_SIGNATURE];
        let signature = room.get_mut(..pair.public_modulus_len()).ok_or(SigningError::Failed);
        let signed = signature.and_then(|signature| {
            let signed = pair.sign(self.encoding, &self.random, message, signature);
            signed.map(|()| signature.to_vec()).map_err(|_| SigningError::Failed)
        });
        ready(signed).boxed()
    }
}

struct EcdsaSigner {
    pair: EcdsaKeyPair,
    random: SystemRandom,
}

impl Signer for EcdsaSigner {
    fn sign<'s>(&'s self, message: &'s [u8]) -> BoxFuture<'s, Result<Vec<u8>, SigningError>> {
        let signed = self.pair.sign(&self.random, message);
        ready(signed.map(|signature| signature.as_ref().to_vec()).map_err(|_| SigningError::Failed)).boxed()
    }
}

struct Ed25519Signer(Ed25519KeyPair);

impl Signer for Ed25519Signer {
    fn sign<'s>(&'s self, message: &'s [u8]) -> BoxFuture<'s, Result<Vec<u8>, SigningError>> {
        let signed = self.0.try_sign(message);
        ready(signed.map(|signature| signature.as_ref().to_vec()).map_err(|_| SigningError::Failed)).boxed()
    }
}
