//! What the cryptographic libraries call the algorithms.

use aws_lc_rs::{
    rsa::KeySize,
    signature::{
        ECDSA_P256_SHA256_FIXED, ED25519, RSA_PKCS1_2048_8192_SHA256, RSA_PSS_2048_8192_SHA256,
        VerificationAlgorithm,
    },
};
use jeton_oauth::{RsaBits, SignatureAlgorithm};
use jsonwebtoken::{Algorithm, jwk::KeyAlgorithm};

pub(super) fn verification(algorithm: SignatureAlgorithm) -> &'static dyn VerificationAlgorithm {
    match algorithm {
        SignatureAlgorithm::Rs256 => &RSA_PKCS1_2048_8192_SHA256,
        SignatureAlgorithm::Ps256 => &RSA_PSS_2048_8192_SHA256,
        SignatureAlgorithm::Es256 => &ECDSA_P256_SHA256_FIXED,
        SignatureAlgorithm::EdDsa => &ED25519,
    }
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
