//! Which public keys are sound: for any other, somebody without the private half might make signatures that verify.

use std::ops::RangeInclusive;

use aws_lc_rs::{
    encoding::{AsDer, PublicKeyX509Der},
    rsa::PublicKeyComponents,
    signature::{ParsedPublicKey, VerificationAlgorithm},
};
use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use curve25519_dalek::edwards::CompressedEdwardsY;
use jeton_oauth::SignatureAlgorithm;
use jsonwebtoken::jwk::{AlgorithmParameters, EllipticCurve};

use super::{
    algorithm::{KeyKind, verification},
    invalid::InvalidPublicKey,
};

/// How long an RSA modulus may be.
const RSA_BITS: RangeInclusive<usize> = 2048..=8192;

/// The algorithms of ours that a public key fits, each with the key, ready to verify.
///
/// # Errors
/// [`InvalidPublicKey`] if it fits none, or is not sound.
pub(super) fn verifying(
    parameters: &AlgorithmParameters,
) -> Result<Vec<(SignatureAlgorithm, ParsedPublicKey)>, InvalidPublicKey> {
    let (kind, bytes) = bytes_of(parameters)?;
    let fitting = match kind {
        KeyKind::Rsa => &[SignatureAlgorithm::Rs256, SignatureAlgorithm::Ps256][..],
        KeyKind::P256 => &[SignatureAlgorithm::Es256],
        KeyKind::Ed25519 => &[SignatureAlgorithm::EdDsa],
        KeyKind::P384 => return Err(InvalidPublicKey::Kind),
    };
    let parsed = fitting.iter().map(|algorithm| Ok((*algorithm, parse(verification(*algorithm), &bytes)?)));
    parsed.collect()
}

/// A key, ready to verify. Refuses even numbers and the exponent 1, by which each text is its own signature, and points
/// off their curve.
pub(super) fn parse(
    algorithm: &'static dyn VerificationAlgorithm,
    bytes: &[u8],
) -> Result<ParsedPublicKey, InvalidPublicKey> {
    ParsedPublicKey::new(algorithm, bytes).map_err(|_| InvalidPublicKey::Unsound)
}

/// What kind of key it is, and the key as [`parse`] takes it.
///
/// # Errors
/// [`InvalidPublicKey`] if it is of no kind that we know, or its numbers cannot be those of a sound key.
pub(super) fn bytes_of(parameters: &AlgorithmParameters) -> Result<(KeyKind, Vec<u8>), InvalidPublicKey> {
    let decode = |name: &'static str, text: &str| {
        BASE64_URL_SAFE_NO_PAD.decode(text).map_err(|_| InvalidPublicKey::Base64(name))
    };
    match parameters {
        AlgorithmParameters::RSA(rsa) => {
            let components = PublicKeyComponents { n: decode("n", &rsa.n)?, e: decode("e", &rsa.e)? };
            // the library looks at the length at the first signature, which is late to be told
            if !RSA_BITS.contains(&bits(&components.n)) {
                return Err(InvalidPublicKey::Unsound);
            }
            let begins_with_zero = |number: &[u8]| number.len() > 1 && number.first() == Some(&0);
            let unsound = match &components {
                it if begins_with_zero(&it.n) => InvalidPublicKey::LeadingZero("n"),
                it if begins_with_zero(&it.e) => InvalidPublicKey::LeadingZero("e"),
                _ => InvalidPublicKey::Unsound,
            };
            let der: PublicKeyX509Der<'_> = components.as_der().map_err(|_| unsound)?;
            Ok((KeyKind::Rsa, der.as_ref().to_vec()))
        }
        AlgorithmParameters::EllipticCurve(ec) if ec.curve == EllipticCurve::P256 => {
            let (x, y) = (decode("x", &ec.x)?, decode("y", &ec.y)?);
            if let Some(other) = [x.len(), y.len()].into_iter().find(|length| *length != 32) {
                return Err(InvalidPublicKey::Coordinate(other));
            }
            Ok((KeyKind::P256, [&[4], x.as_slice(), y.as_slice()].concat()))
        }
        AlgorithmParameters::EllipticCurve(ec) if ec.curve == EllipticCurve::P384 => {
            let (x, y) = (decode("x", &ec.x)?, decode("y", &ec.y)?);
            if x.len() != 48 || y.len() != 48 {
                return Err(InvalidPublicKey::Unsound);
            }
            Ok((KeyKind::P384, [&[4], x.as_slice(), y.as_slice()].concat()))
        }
        AlgorithmParameters::OctetKeyPair(okp) if okp.curve == EllipticCurve::Ed25519 => {
            let point = decode("x", &okp.x)?;
            if point.len() != 32 {
                return Err(InvalidPublicKey::Coordinate(point.len()));
            }
            if !is_sound_ed25519(&point) {
                return Err(InvalidPublicKey::Unsound);
            }
            Ok((KeyKind::Ed25519, point))
        }
        _ => Err(InvalidPublicKey::Kind),
    }
}

/// A point of the curve in its one encoding (RFC 8032 section 5.1.3) that is not one of the eight of small order, for
/// which anybody makes signatures. The library that verifies takes those (all bytes zero is one), and says nothing of
/// bytes that are no point. A sum of a sound point and one of small order is taken: it takes the private key to sign
/// for it.
fn is_sound_ed25519(encoded: &[u8]) -> bool {
    CompressedEdwardsY::from_slice(encoded).is_ok_and(|encoded| {
        let point = encoded.decompress();
        point.is_some_and(|point| point.compress() == encoded && !point.is_small_order())
    })
}

/// The length of a number, big-endian.
pub(super) fn bits(number: &[u8]) -> usize {
    let first = number.iter().position(|byte| *byte != 0).unwrap_or(number.len());
    let unused = number.get(first).map_or(0, |byte| byte.leading_zeros() as usize);
    (number.len() - first) * 8 - unused
}

#[cfg(test)]
mod tests {
    use curve25519_dalek::{
        constants::{ED25519_BASEPOINT_POINT, EIGHT_TORSION},
        scalar::Scalar,
    };

    use super::{bits, is_sound_ed25519};

    /// The field prime, 2^255 - 19, and so many more, little-endian.
    fn prime_and(more: u8) -> [u8; 32] {
        let mut number = [0xff; 32];
        number[0] = 0xed + more;
        number[31] = 0x7f;
        number
    }

    fn negated(mut encoded: [u8; 32]) -> [u8; 32] {
        encoded[31] ^= 0x80;
        encoded
    }

    #[test]
    fn a_number_is_as_long_as_its_bits() {
        for (number, length) in [
            (&[][..], 0),
            (&[0], 0),
            (&[1], 1),
            (&[0x80], 8),
            (&[0x7f, 0], 15),
            (&[0, 0, 1, 0], 9),
            (&[0xff; 3], 24),
        ] {
            assert_eq!(bits(number), length, "{number:02x?}");
        }
    }

    #[test]
    fn what_a_private_key_makes_is_sound() {
        for scalar in 1..200_u64 {
            let point = ED25519_BASEPOINT_POINT * Scalar::from(scalar);
            assert!(is_sound_ed25519(point.compress().as_bytes()), "{scalar}");
            // of mixed order: who signs for it has the private key
            for torsion in EIGHT_TORSION {
                assert!(is_sound_ed25519((point + torsion).compress().as_bytes()), "{scalar}");
            }
        }
    }

    #[test]
    fn no_point_of_small_order_is_sound() {
        for point in EIGHT_TORSION {
            let encoded = point.compress().to_bytes();
            assert!(!is_sound_ed25519(&encoded), "{encoded:02x?}");
            assert!(!is_sound_ed25519(&negated(encoded)), "{encoded:02x?}");
        }
    }

    #[test]
    fn rfc_8032_5_1_3_no_other_encoding_is_sound() {
        // each number of 255 bits from the prime on
        for more in 0..19 {
            assert!(!is_sound_ed25519(&prime_and(more)), "{more}");
            assert!(!is_sound_ed25519(&negated(prime_and(more))), "{more}");
        }
        let sound = ED25519_BASEPOINT_POINT.compress().to_bytes();
        for length in [0, 1, 31] {
            assert!(!is_sound_ed25519(&sound[..length]), "{length}");
        }
        assert!(!is_sound_ed25519(&[&sound[..], &[0]].concat()));
    }

    #[test]
    fn what_is_no_point_is_not_sound() {
        // every second number is the ordinate of no point
        let refused = (3..100_u8).filter(|first| {
            let mut encoded = [0; 32];
            encoded[0] = *first;
            !is_sound_ed25519(&encoded)
        });
        assert!((30..70).contains(&refused.count()));
        let mut two = [0; 32];
        two[0] = 2;
        assert!(!is_sound_ed25519(&two));
    }
}
