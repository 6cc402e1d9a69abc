//! Public keys: what verifies a signature, alone or as a set by `kid`.

use std::{collections::BTreeMap, sync::Arc};

use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use jeton_oauth::{KeyId, SignatureAlgorithm, text::unmarked};
use jsonwebtoken::{
    DecodingKey,
    errors::ErrorKind,
    jwk::{AlgorithmParameters, CommonParameters, Jwk, PublicKeyUse, ThumbprintHash},
};
use serde::de::Error;
use serde_json::{Map, Value};

use super::{
    InvalidPublicKey, PassedOver,
    algorithm::{in_jwk, in_jws},
    foreign,
    set::{self, Spoiled},
    sound,
};
use crate::{CompactJws, JwsError, TokenKind, json::object_of_strict_values};

/// A key that verifies signatures of one algorithm.
pub struct PublicKey {
    kid: KeyId,
    thumbprint: String,
    algorithm: SignatureAlgorithm,
    bits: usize,
    /// The JSON Web Key as it is published.
    json: String,
    decoding: DecodingKey,
}

impl PublicKey {
    /// A public key of ours; its `kid` is its thumbprint (RFC 7638 section 3).
    ///
    /// # Errors
    /// When the key is not sound, or not one for this algorithm.
    pub fn of_issuer(
        algorithm: SignatureAlgorithm,
        parameters: AlgorithmParameters,
    ) -> Result<Self, jsonwebtoken::errors::Error> {
        let fits = |fitting: Vec<(SignatureAlgorithm, _)>| fitting.iter().any(|(one, _)| *one == algorithm);
        if !sound::verifying(&parameters).is_ok_and(fits) {
            return Err(ErrorKind::InvalidKeyFormat.into());
        }
        let common = CommonParameters {
            public_key_use: Some(PublicKeyUse::Signature),
            key_algorithm: Some(in_jwk(algorithm)),
            ..CommonParameters::default()
        };
        let mut jwk = Jwk { common, algorithm: parameters };
        let thumbprint = jwk.thumbprint(ThumbprintHash::SHA256)?;
        let kid = KeyId::parse(&thumbprint).map_err(|_| ErrorKind::InvalidKeyFormat)?;
        jwk.common.key_id = Some(thumbprint.clone());
        let json = serde_json::to_string(&jwk).map_err(|_| ErrorKind::InvalidKeyFormat)?;
        Ok(Self {
            kid,
            thumbprint,
            algorithm,
            bits: bits(&jwk),
            json,
            decoding: DecodingKey::from_jwk(&jwk)?,
        })
    }

    /// A key of a published set, if it is one that can verify tokens.
    fn from_jwk(json: &Value) -> Result<Self, InvalidPublicKey> {
        let (jwk, stated) = foreign::for_signatures(json.as_object().ok_or(InvalidPublicKey::NotJwk)?)?;
        let fitting = sound::verifying(&jwk.algorithm)?;
        let mut fitting = fitting.iter().map(|(algorithm, _)| *algorithm);
        let algorithm = fitting.find(|fitting| stated.is_none_or(|stated| stated == *fitting));
        let algorithm = algorithm.ok_or(InvalidPublicKey::Purpose)?;
        let kid = jwk.common.key_id.as_deref().and_then(|kid| KeyId::parse(kid).ok());
        let kid = kid.ok_or(InvalidPublicKey::NoKeyId)?;
        let thumbprint = jwk.thumbprint(ThumbprintHash::SHA256).map_err(|_| InvalidPublicKey::NotJwk)?;
        let decoding = DecodingKey::from_jwk(&jwk).map_err(|_| InvalidPublicKey::Unsound)?;
        Ok(Self { kid, thumbprint, algorithm, bits: bits(&jwk), json: json.to_string(), decoding })
    }

    /// The name of this key in token headers.
    pub fn kid(&self) -> &KeyId {
        &self.kid
    }

    /// The one algorithm this key is for; a token's header can only agree (RFC 8725 section 3.1).
    pub fn algorithm(&self) -> SignatureAlgorithm {
        self.algorithm
    }

    /// Its length in bits: that of the modulus, or of the curve.
    pub fn bits(&self) -> usize {
        self.bits
    }

    /// Its JSON Web Key, as it is published.
    pub fn json(&self) -> &str {
        &self.json
    }

    /// Whether both verify the same signatures, whatever they are called.
    pub fn is_same_as(&self, other: &Self) -> bool {
        self.algorithm == other.algorithm && self.thumbprint == other.thumbprint
    }

    /// Whether `signature` (base64url) over `message` was made by this key.
    pub(crate) fn verifies(&self, message: &[u8], signature: &str) -> bool {
        let algorithm = in_jws(self.algorithm);
        matches!(jsonwebtoken::crypto::verify(signature, message, &self.decoding, algorithm), Ok(true))
    }
}

/// The length of a key.
fn bits(jwk: &Jwk) -> usize {
    match &jwk.algorithm {
        AlgorithmParameters::RSA(rsa) => {
            BASE64_URL_SAFE_NO_PAD.decode(&rsa.n).map_or(0, |modulus| sound::bits(&modulus))
        }
        _ => 256,
    }
}

/// Why a JSON Web Key Set could not be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum InvalidJwks {
    /// Not the JSON of RFC 7517 section 5.
    #[error("it is not a JSON Web Key Set: {0}")]
    Json(#[from] serde_json::Error),
    /// Two keys of one name and one type.
    #[error("it holds two keys with the kid `{0}` for {1}")]
    DuplicateKid(KeyId, SignatureAlgorithm),
    /// It contains a private key: everybody who could read it can sign.
    #[error("{0}")]
    Private(PassedOver),
    /// Nothing in it could verify a token.
    #[error("it holds no key with a `kid` for RS256, PS256, ES256 or EdDSA{}", reasons(.0))]
    NoKey(Vec<PassedOver>),
}

/// Why each key of a set is passed over.
fn reasons(keys: &[PassedOver]) -> String {
    if keys.is_empty() { String::new() } else { format!("; {}", PassedOver::list(keys)) }
}

impl From<Spoiled> for InvalidJwks {
    fn from(spoiled: Spoiled) -> Self {
        match spoiled {
            Spoiled::Private(key) => Self::Private(key),
            Spoiled::NoneLeft(keys) => Self::NoKey(keys),
        }
    }
}

/// A token with a valid signature, whose claims are not checked yet. Made by [`PublicKeys::open`] alone.
pub struct VerifiedJws {
    typ: &'static str,
    key: Arc<PublicKey>,
    claims: Map<String, Value>,
}

impl VerifiedJws {
    /// Its `typ`, as the kind has it.
    pub fn typ(&self) -> &'static str {
        self.typ
    }

    /// The key that signed.
    pub fn key(&self) -> &Arc<PublicKey> {
        &self.key
    }

    /// What it says.
    pub fn claims(&self) -> &Map<String, Value> {
        &self.claims
    }

    /// What it says, alone.
    pub fn into_claims(self) -> Map<String, Value> {
        self.claims
    }
}

/// The public keys of an issuer by `kid`.
#[derive(Default)]
pub struct PublicKeys {
    /// Keys of different types may have one name (RFC 7517 section 4.5).
    by_kid: BTreeMap<KeyId, Vec<Arc<PublicKey>>>,
    passed_over: Vec<PassedOver>,
}

impl PublicKeys {
    /// Reads a JSON Web Key Set (RFC 7517 section 5), as `/.well-known/jwks.json` answers and
    /// `jeton keys jwks` prints it. Keys of other algorithms than those of [`SignatureAlgorithm`], or without a
    /// `kid`, are passed over. Of one `kid` there may be a key of each type (RFC 7517 section 4.5).
    ///
    /// # Errors
    /// [`InvalidJwks`] when the text is no key set, holds a private key, names two keys of one type alike, or holds
    /// no usable key.
    pub fn from_jwks(json: &[u8]) -> Result<Self, InvalidJwks> {
        let set = object_of_strict_values(unmarked(json))?;
        let keys = set.get("keys").ok_or_else(|| serde_json::Error::custom("`keys` is missing"))?;
        // never as the library says it: it quotes what stands there, which may be a private key
        let keys = keys.as_array().ok_or_else(|| serde_json::Error::custom("`keys` is not a list"))?;
        let (keys, passed_over) = set::sift(set::each(keys, PublicKey::from_jwk))?;
        let mut by_kid: BTreeMap<KeyId, Vec<Arc<PublicKey>>> = BTreeMap::new();
        for key in keys {
            let of_name = by_kid.entry(key.kid.clone()).or_default();
            if of_name.iter().any(|other| other.algorithm.key_type() == key.algorithm.key_type()) {
                return Err(InvalidJwks::DuplicateKid(key.kid, key.algorithm));
            }
            of_name.push(Arc::new(key));
        }
        Ok(Self { by_kid, passed_over })
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.by_kid.values().map(Vec::len).sum()
    }

    /// Whether it is empty.
    pub fn is_empty(&self) -> bool {
        self.by_kid.is_empty()
    }

    /// The algorithm of each.
    pub fn algorithms(&self) -> impl Iterator<Item = SignatureAlgorithm> {
        self.iter().map(PublicKey::algorithm)
    }

    /// The keys of the set that verify nothing here.
    pub fn passed_over(&self) -> &[PassedOver] {
        &self.passed_over
    }

    /// The keys of this `kid`, of each type one at most. The name is only looked up: never a path, an address or a
    /// query.
    pub fn named(&self, kid: &str) -> &[Arc<PublicKey>] {
        self.by_kid.get(kid).map(Vec::as_slice).unwrap_or_default()
    }

    /// Opens a token that one of these keys signed.
    ///
    /// # Errors
    /// [`JwsError`] with the first thing that is wrong.
    pub fn open(&self, token: &str, kind: TokenKind) -> Result<VerifiedJws, JwsError> {
        self.open_parts(CompactJws::parse(token)?, kind)
    }

    /// As [`Self::open`], of a document that may have any length: whoever fetched it has bounded that.
    ///
    /// # Errors
    /// [`JwsError`] with the first thing that is wrong.
    pub fn open_long(&self, document: &str, kind: TokenKind) -> Result<VerifiedJws, JwsError> {
        self.open_parts(CompactJws::parse_long(document)?, kind)
    }

    fn open_parts(&self, parts: CompactJws<'_>, kind: TokenKind) -> Result<VerifiedJws, JwsError> {
        let header = parts.header()?;
        let typ = header.typ(kind)?;
        let name = header.kid.ok_or(JwsError::NoKeyId)?;
        let keys = self.named(&name);
        if keys.is_empty() {
            return Err(JwsError::UnknownKey);
        }
        // each key is for one algorithm, so that the header can only agree (RFC 8725 section 3.1)
        let algorithm = SignatureAlgorithm::parse(&header.algorithm);
        let key = keys.iter().find(|key| Some(key.algorithm) == algorithm).ok_or(JwsError::Algorithm)?;
        if !key.verifies(parts.signed.as_bytes(), parts.signature) {
            return Err(JwsError::Signature);
        }
        Ok(VerifiedJws { typ, key: Arc::clone(key), claims: parts.payload()? })
    }

    /// Each of them.
    pub fn iter(&self) -> impl Iterator<Item = &PublicKey> {
        self.by_kid.values().flatten().map(AsRef::as_ref)
    }
}

impl FromIterator<Arc<PublicKey>> for PublicKeys {
    fn from_iter<K: IntoIterator<Item = Arc<PublicKey>>>(keys: K) -> Self {
        let by_kid = keys.into_iter().map(|key| (key.kid.clone(), vec![key])).collect();
        Self { by_kid, passed_over: Vec::new() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{ForeignKeys, InvalidPublicKey};

    /// The private half of nobody's key.
    const PRIVATE: &str = "vP2du_GObOfBCBSV00UKcuGCe64ZcKmfTLArUpOpL6E";
    const PUBLIC: &str =
        r#""kty":"OKP","crv":"Ed25519","kid":"k","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo""#;

    #[test]
    fn an_error_never_quotes_what_stands_in_the_place_of_a_set() {
        for (name, json) in [
            ("a text", format!(r#""{PRIVATE}""#)),
            ("keys as text", format!(r#"{{"keys":"{PRIVATE}"}}"#)),
            ("keys by name", format!(r#"{{"keys":{{"{PRIVATE}":1}}}}"#)),
            ("a name twice", format!(r#"{{"{PRIVATE}":1,"{PRIVATE}":2}}"#)),
            ("not JSON", format!(r#"{{"keys":{PRIVATE}}}"#)),
            ("a key as text", format!(r#"{{"keys":["{PRIVATE}"]}}"#)),
        ] {
            let error = PublicKeys::from_jwks(json.as_bytes()).map(drop).unwrap_err().to_string();
            assert!(!error.contains(PRIVATE), "{name}: {error}");
            assert!(error.starts_with("it is not a JSON Web Key Set") || name == "a key as text", "{error}");
        }
    }

    #[test]
    fn rfc7517_4_and_5_a_set_is_an_object_with_each_name_once() {
        let key = format!("{{{PUBLIC}}}");
        assert!(PublicKeys::from_jwks(format!(r#"{{"keys":[{key}]}}"#).as_bytes()).is_ok());
        for (name, json) in [
            ("a list of lists", format!("[[{key}]]")),
            ("two lists of keys", format!(r#"{{"keys":[],"keys":[{key}]}}"#)),
            ("a key alone with a name twice", format!(r#"{{"keys":[{{"kty":"oct",{PUBLIC}}}]}}"#)),
            (
                "a private part that is hidden",
                format!(r#"{{"keys":[{{"d":"{PRIVATE}","d":null,{PUBLIC}}}]}}"#),
            ),
        ] {
            assert!(PublicKeys::from_jwks(json.as_bytes()).is_err(), "{name}");
            assert!(ForeignKeys::from_file(json.as_bytes()).is_err(), "{name}");
        }
        // it spoils no other
        let beside = format!(r#"{{"x":{{"a":1,"a":2}},"keys":[{{"kty":"oct","a":1,"a":2}},{key}]}}"#);
        let keys = PublicKeys::from_jwks(beside.as_bytes()).unwrap();
        assert_eq!((keys.len(), keys.passed_over().len()), (1, 1));
        assert_eq!(ForeignKeys::from_file(beside.as_bytes()).unwrap().taken.len(), 1);
        let twice = format!(r#"{{"kid":"other",{PUBLIC}}}"#);
        assert_eq!(ForeignKeys::from_file(twice.as_bytes()).map(drop), Err(InvalidPublicKey::NotJwk));
    }

    fn set_of(keys: &[String]) -> Result<PublicKeys, InvalidJwks> {
        PublicKeys::from_jwks(format!(r#"{{"keys":[{}]}}"#, keys.join(",")).as_bytes())
    }

    #[test]
    fn an_error_says_why_each_key_is_passed_over_and_names_five_at_most() {
        let error = |count: usize| {
            let keys: Vec<_> = (0..count).map(|kid| format!(r#"{{"kty":"oct","kid":"k{kid}"}}"#)).collect();
            set_of(&keys).map(drop).unwrap_err().to_string()
        };
        assert_eq!(error(0), "it holds no key with a `kid` for RS256, PS256, ES256 or EdDSA");
        for (count, ends) in [(1, "(kid `k0`)"), (5, "(kid `k4`)"), (6, "; and 1 more"), (9, "; and 4 more")]
        {
            let error = error(count);
            assert_eq!(error.matches("(kid `").count(), count.min(5), "{error}");
            assert!(error.contains(ends) && error.contains(" more") == (count > 5), "{error}");
        }
    }

    #[test]
    fn rfc_7517_4_a_key_is_published_with_its_use_and_its_algorithm() {
        let parameters = serde_json::from_str::<Jwk>(&format!("{{{PUBLIC}}}")).unwrap().algorithm;
        let key = Arc::new(PublicKey::of_issuer(SignatureAlgorithm::EdDsa, parameters).unwrap());
        let published: Value = serde_json::from_str(key.json()).unwrap();
        assert_eq!(published["use"], "sig");
        assert_eq!(published["alg"], "EdDSA");
        assert_eq!(published["kid"], key.kid().as_str());
        let same = set_of(&[format!("{{{PUBLIC}}}")]).unwrap();
        let same = &same.named("k")[0];
        assert!(key.is_same_as(same) && key.kid() != same.kid(), "whatever they are called");
        // RFC 8032 section 7.1, test 2
        let other =
            r#"{"kty":"OKP","crv":"Ed25519","kid":"k","x":"PUAXw-hDiVqStwqnTRt-vJyYLM8uxJaMwM1V8Sr0Zgw"}"#;
        let other = set_of(&[other.to_owned()]).unwrap();
        assert!(!key.is_same_as(&other.named("k")[0]));
        let keys = PublicKeys::from_iter([Arc::clone(&key), Arc::clone(&other.named("k")[0])]);
        assert_eq!((keys.len(), keys.is_empty()), (2, false));
        assert!(PublicKeys::default().is_empty());
    }

    #[test]
    fn a_key_of_the_issuer_fits_its_algorithm_and_is_sound() {
        let parameters = |json: &str| serde_json::from_str::<Jwk>(json).unwrap().algorithm;
        let key = format!("{{{PUBLIC}}}");
        assert!(PublicKey::of_issuer(SignatureAlgorithm::EdDsa, parameters(&key)).is_ok());
        assert!(PublicKey::of_issuer(SignatureAlgorithm::Rs256, parameters(&key)).is_err());
        // the neutral element, for which anybody can sign
        let small = r#"{"kty":"OKP","crv":"Ed25519","x":"AQAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"}"#;
        assert!(PublicKey::of_issuer(SignatureAlgorithm::EdDsa, parameters(small)).is_err());
        let symmetric = r#"{"kty":"oct","k":"c2VjcmV0"}"#;
        assert!(PublicKey::of_issuer(SignatureAlgorithm::Rs256, parameters(symmetric)).is_err());
    }
}
