//! What the cryptographic libraries call the algorithms.

use aws_lc_rs::{
    rsa::KeySize,
    signature::{
        ECDSA_P256_SHA256_FIXED, ECDSA_P384_SHA384_FIXED, ED25519, RSA_PKCS1_2048_8192_SHA256,
        RSA_PKCS1_2048_8192_SHA384, RSA_PKCS1_2048_8192_SHA512, RSA_PSS_2048_8192_SHA256,
        RSA_PSS_2048_8192_SHA384, RSA_PSS_2048_8192_SHA512, VerificationAlgorithm,
    },
};
use jeton_oauth::{ForeignAlgorithm, RsaBits, SignatureAlgorithm};
use jsonwebtoken::{Algorithm, jwk::KeyAlgorithm};

/// The kinds of public keys that signatures are verified by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum KeyKind {
    Rsa,
    P256,
    P384,
    Ed25519,
}

pub(super) fn verification(algorithm: SignatureAlgorithm) -> &'static dyn VerificationAlgorithm {
    match algorithm {
        SignatureAlgorithm::Rs256 => &RSA_PKCS1_2048_8192_SHA256,
        SignatureAlgorithm::Ps256 => &RSA_PSS_2048_8192_SHA256,
        SignatureAlgorithm::Es256 => &ECDSA_P256_SHA256_FIXED,
        SignatureAlgorithm::EdDsa => &ED25519,
    }
}

/// How a signature of another issuer is verified, and by which kind of key; `None` for an algorithm that came to the
/// vocabulary and not here.
pub(super) fn foreign_verification(
    algorithm: ForeignAlgorithm,
) -> Option<(KeyKind, &'static dyn VerificationAlgorithm)> {
    Some(match algorithm {
        ForeignAlgorithm::Rs256 => (KeyKind::Rsa, &RSA_PKCS1_2048_8192_SHA256),
        ForeignAlgorithm::Rs384 => (KeyKind::Rsa, &RSA_PKCS1_2048_8192_SHA384),
        ForeignAlgorithm::Rs512 => (KeyKind::Rsa, &RSA_PKCS1_2048_8192_SHA512),
        ForeignAlgorithm::Ps256 => (KeyKind::Rsa, &RSA_PSS_2048_8192_SHA256),
        ForeignAlgorithm::Ps384 => (KeyKind::Rsa, &RSA_PSS_2048_8192_SHA384),
        ForeignAlgorithm::Ps512 => (KeyKind::Rsa, &RSA_PSS_2048_8192_SHA512),
        ForeignAlgorithm::Es256 => (KeyKind::P256, &ECDSA_P256_SHA256_FIXED),
        ForeignAlgorithm::Es384 => (KeyKind::P384, &ECDSA_P384_SHA384_FIXED),
        ForeignAlgorithm::EdDsa => (KeyKind::Ed25519, &ED25519),
        _ => return None,
    })
}

pub(super) fn in_jws(algorithm: SignatureAlgorithm) -> Algorithm {
    match algorithm {
        SignatureAlgorithm::Rs256 => Algorithm::RS256,
        SignatureAlgorithm::Ps256 => Algorithm::PS256,
        SignatureAlgorithm::Es256 => Algorithm::ES256,
        SignatureAlgorithm::EdDsa => Algorithm::EdDSA,
    }
}

pub(super) fn in_jwk(algorithm: SignatureAlgorithm) -> KeyAlgorithm {
    match algorithm {
        SignatureAlgorithm::Rs256 => KeyAlgorithm::RS256,
        SignatureAlgorithm::Ps256 => KeyAlgorithm::PS256,
        SignatureAlgorithm::Es256 => KeyAlgorithm::ES256,
        SignatureAlgorithm::EdDsa => KeyAlgorithm::EdDSA,
    }
}

/// What aws-lc calls a length of RSA keys.
pub fn key_size(bits: RsaBits) -> KeySize {
    match bits {
        RsaBits::B2048 => KeySize::Rsa2048,
        RsaBits::B3072 => KeySize::Rsa3072,
        RsaBits::B4096 => KeySize::Rsa4096,
    }
}
