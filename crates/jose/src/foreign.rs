//! Public keys of clients, whose private halves jeton never sees.

use std::{fmt, sync::Arc};

use aws_lc_rs::signature::ParsedPublicKey;
use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use jeton_oauth::{KeyId, SignatureAlgorithm};
use jsonwebtoken::jwk::{Jwk, ThumbprintHash};
use serde_json::{Map, Value};

use super::{invalid::InvalidPublicKey, sound};

/// A public key and the algorithms for which it may be used.
#[derive(Clone)]
pub struct ForeignKey(Arc<ForeignKeyParts>);

struct ForeignKeyParts {
    thumbprint: KeyId,
    kid: Option<String>,
    /// Each with the key, ready to verify.
    algorithms: Vec<(SignatureAlgorithm, ParsedPublicKey)>,
    jwk: Map<String, Value>,
}

/// The members of private keys of every kind (RFC 7518 section 6, RFC 8037 section 2), `priv` those of ML-DSA.
const PRIVATE: [&str; 9] = ["d", "p", "q", "dp", "dq", "qi", "oth", "k", "priv"];
/// SPKI of an uncompressed point on P-256, but for the point (RFC 5480 section 2).
const P256_PREFIX: [u8; 26] = [
    0x30, 0x59, 0x30, 0x13, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01, 0x06, 0x08, 0x2a, 0x86,
    0x48, 0xce, 0x3d, 0x03, 0x01, 0x07, 0x03, 0x42, 0x00,
];
/// The same for a compressed point.
const P256_COMPRESSED_PREFIX: [u8; 26] = [
    0x30, 0x39, 0x30, 0x13, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01, 0x06, 0x08, 0x2a, 0x86,
    0x48, 0xce, 0x3d, 0x03, 0x01, 0x07, 0x03, 0x22, 0x00,
];
/// SPKI of an uncompressed point on P-384, but for the point.
const P384_PREFIX: [u8; 23] = [
    0x30, 0x76, 0x30, 0x10, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01, 0x06, 0x05, 0x2b, 0x81,
    0x04, 0x00, 0x22, 0x03, 0x62, 0x00,
];
/// The algorithm of an RSA key for every padding (RFC 3279 section 2.3.1).
const RSA_ENCRYPTION: [u8; 15] =
    [0x30, 0x0d, 0x06, 0x09, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x01, 0x05, 0x00];
/// SPKI of an Ed25519 key, but for the key (RFC 8410 section 4).
const ED25519_PREFIX: [u8; 12] = [0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0x00];

impl ForeignKey {
    /// Reads a JSON Web Key (RFC 7517 section 4).
    ///
    /// # Errors
    /// [`InvalidPublicKey`] for anything but a sound public key for one of the algorithms.
    pub fn from_jwk(jwk: &Value) -> Result<Self, InvalidPublicKey> {
        let members = jwk.as_object().ok_or(InvalidPublicKey::NotJwk)?;
        let (jwk, stated) = for_signatures(members)?;
        let mut algorithms = sound::verifying(&jwk.algorithm)?;
        algorithms.retain(|(algorithm, _)| stated.is_none_or(|stated| stated == *algorithm));
        if algorithms.is_empty() {
            return Err(InvalidPublicKey::Purpose);
        }
        let thumbprint = jwk.thumbprint(ThumbprintHash::SHA256).map_err(|_| InvalidPublicKey::NotJwk)?;
        let thumbprint = KeyId::parse(&thumbprint).map_err(|_| InvalidPublicKey::NotJwk)?;
        let jwk_members = members.clone();
        Ok(Self(Arc::new(ForeignKeyParts {
            thumbprint,
            kid: jwk.common.key_id,
            algorithms,
            jwk: jwk_members,
        })))
    }

    /// Its thumbprint (RFC 7638 section 3): two keys with the same are the same key.
    pub fn thumbprint(&self) -> &KeyId {
        &self.0.thumbprint
    }

    /// The name that its owner gave it.
    pub fn kid(&self) -> Option<&str> {
        self.0.kid.as_deref()
    }

    /// The key as it may be written down: its JSON Web Key.
    pub fn jwk(&self) -> &Map<String, Value> {
        &self.0.jwk
    }

    /// Whether it may be used with this algorithm.
    pub fn is_for(&self, algorithm: SignatureAlgorithm) -> bool {
        self.0.algorithms.iter().any(|(own, _)| *own == algorithm)
    }

    /// Whether `signature` (base64url) over `message` was made by its private half with this algorithm.
    pub fn verifies(&self, algorithm: SignatureAlgorithm, message: &[u8], signature: &str) -> bool {
        let key = self.0.algorithms.iter().find(|(own, _)| *own == algorithm);
        let signature = BASE64_URL_SAFE_NO_PAD.decode(signature).ok();
        key.zip(signature).is_some_and(|((_, key), signature)| key.verify_sig(message, &signature).is_ok())
    }
}

/// What a key must be for, and how its algorithm is called.
pub(super) struct KeyTerms<A> {
    /// Each `crv`.
    pub(super) curves: &'static [&'static str],
    /// Each `use`; there may be none.
    pub(super) uses: &'static [&'static str],
    /// Reads `alg`; there may be none.
    pub(super) algorithm: fn(&str) -> Option<A>,
}

/// What a key for signatures of ours must be.
const OURS: KeyTerms<SignatureAlgorithm> =
    KeyTerms { curves: &["P-256", "Ed25519"], uses: &["sig"], algorithm: SignatureAlgorithm::parse };

/// Reads a public key for signatures of ours, and the algorithm that it states; its numbers are not looked at.
pub(super) fn for_signatures(
    members: &Map<String, Value>,
) -> Result<(Jwk, Option<SignatureAlgorithm>), InvalidPublicKey> {
    read(members, &OURS)
}

/// Reads a public key and the algorithm that it states; its numbers are not looked at.
pub(super) fn read<A>(
    members: &Map<String, Value>,
    terms: &KeyTerms<A>,
) -> Result<(Jwk, Option<A>), InvalidPublicKey> {
    let text = |name: &str| members.get(name).and_then(Value::as_str);
    let kty = text("kty");
    if kty == Some("oct") {
        return Err(InvalidPublicKey::Symmetric);
    }
    if PRIVATE.iter().any(|private| members.contains_key(*private)) {
        return Err(InvalidPublicKey::Private);
    }
    match (kty.ok_or(InvalidPublicKey::NotJwk)?, text("crv")) {
        ("RSA", _) | ("EC" | "OKP", None) => {}
        ("EC" | "OKP", Some(curve)) if terms.curves.contains(&curve) => {}
        _ => return Err(InvalidPublicKey::Kind),
    }
    let for_verifying = members.get("key_ops").is_none_or(|operations| {
        operations.as_array().is_some_and(|each| each.iter().any(|one| one == "verify"))
    });
    let stated = match members.get("alg") {
        None => None,
        Some(alg) => {
            let alg = alg.as_str().and_then(terms.algorithm);
            Some(alg.ok_or(InvalidPublicKey::Purpose)?)
        }
    };
    // the library knows neither every spelling of `alg` nor every operation; they were looked at above
    let mut plain = members.clone();
    plain.retain(|name, _| !["alg", "key_ops"].contains(&name.as_str()));
    let jwk: Jwk = serde_json::from_value(Value::Object(plain)).map_err(|_| InvalidPublicKey::NotJwk)?;
    let is_used =
        jwk.common.public_key_use.is_none() || text("use").is_some_and(|it| terms.uses.contains(&it));
    if !(for_verifying && is_used) {
        return Err(InvalidPublicKey::Purpose);
    }
    Ok((jwk, stated))
}

/// A `SubjectPublicKeyInfo` as a JSON Web Key.
pub(super) fn jwk_of_spki(der: &[u8]) -> Result<Value, InvalidPublicKey> {
    let text = |bytes: &[u8]| Value::from(BASE64_URL_SAFE_NO_PAD.encode(bytes));
    let members = if let Some([4, point @ ..]) = der.strip_prefix(&P256_PREFIX) {
        let (x, y) = point.split_at_checked(32).ok_or(InvalidPublicKey::Unsound)?;
        vec![("kty", "EC".into()), ("crv", "P-256".into()), ("x", text(x)), ("y", text(y))]
    } else if let Some([4, point @ ..]) = der.strip_prefix(&P384_PREFIX) {
        let (x, y) = point.split_at_checked(48).ok_or(InvalidPublicKey::Unsound)?;
        vec![("kty", "EC".into()), ("crv", "P-384".into()), ("x", text(x)), ("y", text(y))]
    } else if let Some(key) = der.strip_prefix(&ED25519_PREFIX) {
        vec![("kty", "OKP".into()), ("crv", "Ed25519".into()), ("x", text(key))]
    } else if der.starts_with(&P256_COMPRESSED_PREFIX) {
        return Err(InvalidPublicKey::Compressed);
    } else {
        // the library reads keys that are for PSS alone (RFC 4055 section 1.2) as keys for RS256 too
        if !has_algorithm(der, &RSA_ENCRYPTION) {
            return Err(InvalidPublicKey::Kind);
        }
        let key = aws_lc_rs::rsa::PublicKey::from_der(der).map_err(|_| InvalidPublicKey::Kind)?;
        let (n, e) = (key.modulus(), key.exponent());
        let (n, e) = (n.big_endian_without_leading_zero(), e.big_endian_without_leading_zero());
        vec![("kty", "RSA".into()), ("n", text(n)), ("e", text(e))]
    };
    Ok(Value::Object(members.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()))
}

/// Whether a `SubjectPublicKeyInfo` begins with this algorithm, behind its own tag and length.
fn has_algorithm(spki: &[u8], algorithm: &[u8]) -> bool {
    let header = match spki.get(1) {
        Some(0x81) => 3,
        Some(0x82) => 4,
        _ => 2,
    };
    spki.get(header..).is_some_and(|within| within.starts_with(algorithm))
}

impl PartialEq for ForeignKey {
    fn eq(&self, other: &Self) -> bool {
        let algorithms = |key: &Self| key.0.algorithms.iter().map(|(one, _)| *one).collect::<Vec<_>>();
        self.0.thumbprint == other.0.thumbprint
            && self.0.kid == other.0.kid
            && algorithms(self) == algorithms(other)
    }
}

impl fmt::Debug for ForeignKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("ForeignKey").field(&self.0.thumbprint.as_str()).finish()
    }
}
