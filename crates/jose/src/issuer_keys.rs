//! The key sets of other issuers, whose tokens are taken here: platforms, which name and use keys as they like.

use aws_lc_rs::signature::ParsedPublicKey;
use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use jeton_oauth::{ForeignAlgorithm, text::unmarked};
use jsonwebtoken::jwk::ThumbprintHash;
use serde_json::Value;

use super::{
    CompactJws, JwsError, JwsHeader,
    algorithm::foreign_verification,
    foreign::{self, KeyTerms, jwk_of_spki},
    invalid::{InvalidPublicKey, PassedOver},
    json::object_of_strict_values,
    set, sound,
};

/// What a key of another issuer must be. `jwt-svid` is what SPIFFE says for `sig` (JWT-SVID section 4).
const TERMS: KeyTerms<ForeignAlgorithm> = KeyTerms {
    curves: &["P-256", "P-384", "Ed25519"],
    uses: &["sig", "jwt-svid"],
    algorithm: ForeignAlgorithm::parse,
};

/// The most keys that are tried for one token: one that names no key, or a name that many have, costs no more.
const MOST_TRIED: usize = 16;

/// The public keys of another issuer, for the algorithms with which it may sign.
#[derive(Default)]
pub struct IssuerKeySet {
    keys: Vec<IssuerKey>,
    passed_over: Vec<PassedOver>,
}

struct IssuerKey {
    kid: Option<String>,
    thumbprint: String,
    /// Each with the key, ready to verify.
    algorithms: Vec<(ForeignAlgorithm, ParsedPublicKey)>,
}

impl IssuerKeySet {
    /// Reads a JSON Web Key Set (RFC 7517 section 5), and of it the keys for `algorithms`. A key's `alg` binds; without
    /// one its type decides. `kid` may be absent.
    ///
    /// # Errors
    /// [`InvalidPublicKey`] when the text is no key set, holds a private key, or holds no usable key.
    pub fn from_jwks(json: &[u8], algorithms: &[ForeignAlgorithm]) -> Result<Self, InvalidPublicKey> {
        let set = object_of_strict_values(unmarked(json)).map_err(|_| InvalidPublicKey::NotJwk)?;
        let keys = set.get("keys").and_then(Value::as_array).ok_or(InvalidPublicKey::NotJwk)?;
        let (keys, passed_over) = set::sift(set::each(keys, |jwk| IssuerKey::from_jwk(jwk, algorithms)))?;
        Ok(Self { keys, passed_over })
    }

    /// Reads a file: PEM with `PUBLIC KEY` blocks, a JSON Web Key, or a set of them.
    ///
    /// # Errors
    /// As [`Self::from_jwks`].
    pub fn from_file(bytes: &[u8], algorithms: &[ForeignAlgorithm]) -> Result<Self, InvalidPublicKey> {
        let text = std::str::from_utf8(unmarked(bytes)).map_err(|_| InvalidPublicKey::NotPem)?;
        if !text.trim_start().starts_with('{') {
            let blocks = set::public_key_blocks(text)?;
            let keys = blocks.iter().zip(1..).map(|(block, number)| {
                let key = jwk_of_spki(block.contents()).and_then(|jwk| IssuerKey::from_jwk(&jwk, algorithms));
                key.map_err(|why| PassedOver { place: format!("block {number}"), kid: None, why })
            });
            let (keys, passed_over) = set::sift(keys)?;
            return Ok(Self { keys, passed_over });
        }
        let json = object_of_strict_values(text.as_bytes()).map_err(|_| InvalidPublicKey::NotJwk)?;
        if json.contains_key("keys") {
            return Self::from_jwks(text.as_bytes(), algorithms);
        }
        let key = IssuerKey::from_jwk(&Value::Object(json), algorithms)?;
        Ok(Self { keys: vec![key], passed_over: Vec::new() })
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.keys.len()
    }

    /// Whether it is empty.
    pub fn is_empty(&self) -> bool {
        self.keys.is_empty()
    }

    /// The names of the keys that have one.
    pub fn kids(&self) -> impl Iterator<Item = &str> {
        self.keys.iter().filter_map(|key| key.kid.as_deref())
    }

    /// The thumbprint of each key (RFC 7638 section 3): two with the same are the same key.
    pub fn thumbprints(&self) -> impl Iterator<Item = &str> {
        self.keys.iter().map(|key| key.thumbprint.as_str())
    }

    /// The keys of the set that verify nothing here.
    pub fn passed_over(&self) -> &[PassedOver] {
        &self.passed_over
    }

    /// Whether one of these keys made the signature with this algorithm, which is the header's. A key without a `kid`
    /// may be called anything; without a `kid` in the header each key for the algorithm is tried, and of many the first.
    ///
    /// # Errors
    /// [`JwsError::UnknownKey`] where no key has the `kid`, [`JwsError::Algorithm`] where it is for another algorithm,
    /// and [`JwsError::Signature`].
    pub fn verify(
        &self,
        parts: &CompactJws<'_>,
        header: &JwsHeader,
        algorithm: ForeignAlgorithm,
    ) -> Result<(), JwsError> {
        self.verify_bytes(parts.signed.as_bytes(), parts.signature, header.kid.as_deref(), algorithm)
    }

    /// As [`Self::verify`], where the message need not be that of a JWS.
    pub(crate) fn verify_bytes(
        &self,
        message: &[u8],
        signature: &str,
        kid: Option<&str>,
        algorithm: ForeignAlgorithm,
    ) -> Result<(), JwsError> {
        let signature = BASE64_URL_SAFE_NO_PAD.decode(signature).map_err(|_| JwsError::NotBase64Url)?;
        let is_meant =
            |key: &&IssuerKey| kid.is_none_or(|kid| key.kid.as_deref().is_none_or(|own| own == kid));
        let is_named = kid.is_none() || self.kids().any(|own| Some(own) == kid);
        let mut candidates = self.keys.iter().filter(is_meant).filter_map(|key| key.of(algorithm)).peekable();
        if candidates.peek().is_none() {
            return Err(if is_named && !self.is_empty() {
                JwsError::Algorithm
            } else {
                JwsError::UnknownKey
            });
        }
        let made = |key: &ParsedPublicKey| key.verify_sig(message, &signature).is_ok();
        match candidates.take(MOST_TRIED).any(made) {
            true => Ok(()),
            false if is_named => Err(JwsError::Signature),
            false => Err(JwsError::UnknownKey),
        }
    }
}

impl IssuerKey {
    fn from_jwk(jwk: &Value, wanted: &[ForeignAlgorithm]) -> Result<Self, InvalidPublicKey> {
        let (jwk, stated) = foreign::read(jwk.as_object().ok_or(InvalidPublicKey::NotJwk)?, &TERMS)?;
        let (kind, bytes) = sound::bytes_of(&jwk.algorithm)?;
        let mut algorithms = Vec::new();
        for algorithm in wanted.iter().copied().filter(|wanted| stated.is_none_or(|stated| stated == *wanted))
        {
            if let Some((_, verification)) = foreign_verification(algorithm).filter(|(fits, _)| *fits == kind)
            {
                algorithms.push((algorithm, sound::parse(verification, &bytes)?));
            }
        }
        if algorithms.is_empty() {
            return Err(InvalidPublicKey::Purpose);
        }
        let thumbprint = jwk.thumbprint(ThumbprintHash::SHA256).map_err(|_| InvalidPublicKey::NotJwk)?;
        Ok(Self { kid: jwk.common.key_id, thumbprint, algorithms })
    }

    fn of(&self, algorithm: ForeignAlgorithm) -> Option<&ParsedPublicKey> {
        self.algorithms.iter().find(|(own, _)| *own == algorithm).map(|(_, key)| key)
    }
}

#[cfg(test)]
mod tests {
    use aws_lc_rs::{
        rand::SystemRandom,
        signature::{
            ECDSA_P256_SHA256_FIXED_SIGNING, ECDSA_P384_SHA384_FIXED_SIGNING, EcdsaKeyPair, KeyPair,
        },
    };
    use serde_json::json;

    use super::*;

    fn pair(of_384: bool) -> (EcdsaKeyPair, Value) {
        let signing =
            if of_384 { &ECDSA_P384_SHA384_FIXED_SIGNING } else { &ECDSA_P256_SHA256_FIXED_SIGNING };
        let pair = EcdsaKeyPair::generate(signing).unwrap();
        let (x, y) = pair.public_key().as_ref()[1..].split_at(if of_384 { 48 } else { 32 });
        let (x, y) = (BASE64_URL_SAFE_NO_PAD.encode(x), BASE64_URL_SAFE_NO_PAD.encode(y));
        let crv = if of_384 { "P-384" } else { "P-256" };
        let jwk = json!({ "kty": "EC", "crv": crv, "x": x, "y": y });
        (pair, jwk)
    }

    fn token(pair: &EcdsaKeyPair, header: &Value) -> String {
        let signed = format!("{}.e30", BASE64_URL_SAFE_NO_PAD.encode(header.to_string()));
        let signature = pair.sign(&SystemRandom::new(), signed.as_bytes()).unwrap();
        format!("{signed}.{}", BASE64_URL_SAFE_NO_PAD.encode(signature))
    }

    fn with(mut jwk: Value, name: &str, value: &str) -> Value {
        jwk[name] = value.into();
        jwk
    }

    fn set(keys: &[Value], algorithms: &[ForeignAlgorithm]) -> Result<IssuerKeySet, InvalidPublicKey> {
        IssuerKeySet::from_jwks(json!({ "keys": keys }).to_string().as_bytes(), algorithms)
    }

    #[track_caller]
    fn check(name: &str, keys: &IssuerKeySet, token: &str, expected: &Result<(), JwsError>) {
        let parts = CompactJws::parse(token).unwrap();
        let header = parts.header().unwrap();
        let algorithm = ForeignAlgorithm::parse(&header.algorithm).unwrap();
        assert_eq!(keys.verify(&parts, &header, algorithm), *expected, "{name}");
    }

    #[test]
    fn what_issuers_publish_verifies_what_they_sign() {
        let es = [ForeignAlgorithm::Es256, ForeignAlgorithm::Es384];
        let ((one, one_jwk), (other, other_jwk)) = (pair(false), pair(true));
        let named = token(&one, &json!({ "alg": "ES256", "kid": "k" }));
        let of_384 = token(&other, &json!({ "alg": "ES384", "kid": "k" }));
        let unnamed = token(&one, &json!({ "alg": "ES256" }));
        for (name, key) in [
            ("bare", one_jwk.clone()),
            ("named", with(one_jwk.clone(), "kid", "k")),
            ("with alg", with(with(one_jwk.clone(), "kid", "k"), "alg", "ES256")),
            ("for signatures", with(with(one_jwk.clone(), "kid", "k"), "use", "sig")),
            ("of SPIFFE", with(with(one_jwk.clone(), "kid", "k"), "use", "jwt-svid")),
        ] {
            let keys = set(&[key, with(other_jwk.clone(), "kid", "k")], &es).unwrap();
            check(name, &keys, &named, &Ok(()));
            check(name, &keys, &unnamed, &Ok(()));
            check(name, &keys, &of_384, &Ok(()));
        }
    }

    #[test]
    fn pem_of_every_kind_is_read() {
        let algorithms = ForeignAlgorithm::ALL;
        for (name, pem) in [
            ("P-384", include_str!("../../../tests/fixtures/keys/public/p384.pem")),
            ("P-256", include_str!("../../../tests/fixtures/keys/public/p256.pem")),
            ("Ed25519", include_str!("../../../tests/fixtures/keys/public/ed25519.pem")),
        ] {
            let keys = IssuerKeySet::from_file(pem.as_bytes(), &algorithms);
            assert_eq!(keys.map(|keys| keys.len()), Ok(1), "{name}");
        }
        assert_eq!(IssuerKeySet::from_file(b"nothing", &algorithms).map(drop), Err(InvalidPublicKey::NotPem));
    }

    #[test]
    fn what_a_key_is_not_for_it_does_not_verify() {
        let es = [ForeignAlgorithm::Es256, ForeignAlgorithm::Es384];
        let ((one, one_jwk), (other, other_jwk)) = (pair(false), pair(false));
        let (one_jwk, other_jwk) = (with(one_jwk, "kid", "k"), with(other_jwk, "kid", "o"));
        let keys = set(&[one_jwk.clone(), other_jwk.clone()], &es).unwrap();
        check(
            "other kid",
            &keys,
            &token(&one, &json!({ "alg": "ES256", "kid": "o" })),
            &Err(JwsError::Signature),
        );
        check(
            "other key",
            &keys,
            &token(&other, &json!({ "alg": "ES256", "kid": "k" })),
            &Err(JwsError::Signature),
        );
        check(
            "nobody's kid",
            &keys,
            &token(&one, &json!({ "alg": "ES256", "kid": "x" })),
            &Err(JwsError::UnknownKey),
        );
        check(
            "another alg",
            &keys,
            &token(&one, &json!({ "alg": "ES384", "kid": "k" })),
            &Err(JwsError::Algorithm),
        );
        let (stranger, _) = pair(false);
        check("unnamed", &keys, &token(&stranger, &json!({ "alg": "ES256" })), &Err(JwsError::Signature));
        check(
            "none at all",
            &IssuerKeySet::default(),
            &token(&one, &json!({ "alg": "ES256" })),
            &Err(JwsError::UnknownKey),
        );
        let (unnamed, unnamed_jwk) = pair(false);
        let keys = set(&[unnamed_jwk], &es).unwrap();
        check("named at will", &keys, &token(&unnamed, &json!({ "alg": "ES256", "kid": "x" })), &Ok(()));
        check(
            "of an unnamed one",
            &keys,
            &token(&one, &json!({ "alg": "ES256", "kid": "x" })),
            &Err(JwsError::UnknownKey),
        );
        let private = with(one_jwk.clone(), "d", "AA");
        for (name, key, algorithms) in [
            ("use enc", with(one_jwk.clone(), "use", "enc"), &es[..]),
            ("use x509-svid", with(one_jwk.clone(), "use", "x509-svid"), &es),
            ("alg of RSA", with(one_jwk.clone(), "alg", "RS256"), &es),
            ("alg of nobody", with(one_jwk.clone(), "alg", "ES512"), &es),
            ("not of the list", one_jwk.clone(), &es[1..]),
            ("no algorithm", one_jwk.clone(), &[]),
        ] {
            assert_eq!(
                set(std::slice::from_ref(&key), algorithms).map(drop),
                Err(InvalidPublicKey::Purpose),
                "{name}"
            );
            let beside =
                set(&[key, other_jwk.clone()], &es).map(|keys| (keys.len(), keys.passed_over().len()));
            let expected = if algorithms.len() == es.len() { (1, 1) } else { (2, 0) };
            assert_eq!(beside, Ok(expected), "{name}");
        }
        assert!(matches!(set(&[private, other_jwk], &es).map(drop), Err(InvalidPublicKey::PrivateInSet(_))));
        assert_eq!(set(&[], &es).map(drop), Err(InvalidPublicKey::Empty));
        assert_eq!(IssuerKeySet::from_jwks(b"{}", &es).map(drop), Err(InvalidPublicKey::NotJwk));
    }
}
