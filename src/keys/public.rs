//! Public keys: what verifies a signature, alone or as a set by `kid`.

use std::collections::BTreeMap;

use aws_lc_rs::rsa::PublicKey as RsaPublicKey;
use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use jsonwebtoken::{
    Algorithm, DecodingKey,
    jwk::{
        AlgorithmParameters, CommonParameters, Jwk, JwkSet, KeyAlgorithm, PublicKeyUse, RSAKeyParameters,
        RSAKeyType, ThumbprintHash,
    },
};
use serde_json::{Map, Value};

use crate::{
    jose::{CompactJws, JwsError, Kind},
    oauth::KeyId,
};

/// A key that verifies signatures of one algorithm.
pub struct PublicKey {
    kid: KeyId,
    jwk: Jwk,
    decoding: DecodingKey,
}

impl PublicKey {
    /// The one algorithm this key is for; a token's header can only agree (RFC 8725 section 3.1).
    pub const ALGORITHM: Algorithm = Algorithm::RS256;

    /// Its registered name (RFC 7518 section 3.1).
    pub const ALGORITHM_NAME: &str = "RS256";

    /// The public half of an RSA key pair; its `kid` is its thumbprint (RFC 7638 section 3).
    pub(super) fn from_rsa(key: &RsaPublicKey) -> Result<Self, jsonwebtoken::errors::Error> {
        let modulus = key.modulus().big_endian_without_leading_zero();
        let exponent = key.exponent().big_endian_without_leading_zero();
        let mut jwk = Jwk {
            common: CommonParameters {
                public_key_use: Some(PublicKeyUse::Signature),
                key_algorithm: Some(KeyAlgorithm::RS256),
                ..CommonParameters::default()
            },
            algorithm: AlgorithmParameters::RSA(RSAKeyParameters {
                key_type: RSAKeyType::RSA,
                n: BASE64_URL_SAFE_NO_PAD.encode(modulus),
                e: BASE64_URL_SAFE_NO_PAD.encode(exponent),
            }),
        };
        let thumbprint = jwk.thumbprint(ThumbprintHash::SHA256)?;
        let kid = KeyId::parse(&thumbprint).map_err(|_| {
            jsonwebtoken::errors::Error::from(jsonwebtoken::errors::ErrorKind::InvalidKeyFormat)
        })?;
        jwk.common.key_id = Some(thumbprint);
        Ok(Self { kid, jwk, decoding: DecodingKey::from_rsa_raw_components(modulus, exponent) })
    }

    /// A key of a published set, if it is one that can verify our tokens.
    fn from_jwk(jwk: &Jwk) -> Option<Self> {
        let AlgorithmParameters::RSA(_) = jwk.algorithm else { return None };
        let signs = matches!(jwk.common.public_key_use, None | Some(PublicKeyUse::Signature));
        let rs256 = matches!(jwk.common.key_algorithm, None | Some(KeyAlgorithm::RS256));
        if !(signs && rs256) {
            return None;
        }
        let kid = KeyId::parse(jwk.common.key_id.as_deref()?).ok()?;
        Some(Self { kid, decoding: DecodingKey::from_jwk(jwk).ok()?, jwk: jwk.clone() })
    }

    /// The name of this key in token headers.
    pub fn kid(&self) -> &KeyId {
        &self.kid
    }

    pub(super) fn jwk(&self) -> &Jwk {
        &self.jwk
    }

    /// Whether `signature` (base64url) over `message` was made by this key.
    fn verifies(&self, message: &[u8], signature: &str) -> bool {
        matches!(jsonwebtoken::crypto::verify(signature, message, &self.decoding, Self::ALGORITHM), Ok(true))
    }
}

/// Why a JSON Web Key Set could not be used.
#[derive(Debug, thiserror::Error)]
pub enum InvalidJwks {
    /// Not the JSON of RFC 7517 section 5.
    #[error("it is not a JSON Web Key Set: {0}")]
    Json(#[from] serde_json::Error),
    /// Two keys of one name.
    #[error("it holds two keys with the kid `{0}`")]
    DuplicateKid(KeyId),
    /// Nothing in it could verify a token.
    #[error("it holds no RSA key with a `kid` for RS256")]
    NoKey,
}

/// A token whose signature holds, and whose claims are still to be understood.
pub(crate) struct Opened {
    /// Its `typ`, as the kind has it.
    pub(crate) typ: &'static str,
    /// The key that signed.
    pub(crate) kid: KeyId,
    /// What it says.
    pub(crate) claims: Map<String, Value>,
}

/// The public keys of an issuer by `kid`.
#[derive(Default)]
pub struct PublicKeys(BTreeMap<KeyId, PublicKey>);

impl PublicKeys {
    /// Reads a JSON Web Key Set (RFC 7517 section 5), as `/.well-known/jwks.json` answers and
    /// `jeton keys jwks` prints it. Keys that are not for RS256 signatures are passed over.
    ///
    /// # Errors
    /// [`InvalidJwks`] when the text is no key set, names a key twice, or holds no usable key.
    pub fn from_jwks(json: &[u8]) -> Result<Self, InvalidJwks> {
        let set: JwkSet = serde_json::from_slice(json)?;
        let mut keys = Self::default();
        for key in set.keys.iter().filter_map(PublicKey::from_jwk) {
            let kid = key.kid.clone();
            if keys.0.insert(kid.clone(), key).is_some() {
                return Err(InvalidJwks::DuplicateKid(kid));
            }
        }
        if keys.0.is_empty() { Err(InvalidJwks::NoKey) } else { Ok(keys) }
    }

    /// The key of this `kid`. The name is only looked up: never a path, an address or a query.
    pub fn find(&self, kid: &str) -> Option<&PublicKey> {
        self.0.get(kid)
    }

    /// Opens a token that one of these keys signed.
    ///
    /// # Errors
    /// [`JwsError`] with the first thing that is wrong.
    pub(crate) fn open(&self, token: &str, kind: Kind) -> Result<Opened, JwsError> {
        self.open_parts(CompactJws::parse(token)?, kind)
    }

    /// As [`Self::open`], of a document that may have any length: whoever fetched it has bounded that.
    ///
    /// # Errors
    /// [`JwsError`] with the first thing that is wrong.
    pub(crate) fn open_long(&self, document: &str, kind: Kind) -> Result<Opened, JwsError> {
        self.open_parts(CompactJws::parse_long(document)?, kind)
    }

    fn open_parts(&self, parts: CompactJws<'_>, kind: Kind) -> Result<Opened, JwsError> {
        let header = parts.header()?;
        let typ = header.typ(kind)?;
        let name = header.kid.ok_or(JwsError::NoKeyId)?;
        let key = self.find(&name).ok_or(JwsError::UnknownKey)?;
        if header.algorithm != PublicKey::ALGORITHM_NAME {
            return Err(JwsError::Algorithm);
        }
        if !key.verifies(parts.signed.as_bytes(), parts.signature) {
            return Err(JwsError::Signature);
        }
        Ok(Opened { typ, kid: key.kid.clone(), claims: parts.payload()? })
    }

    pub(super) fn insert(&mut self, key: PublicKey) {
        self.0.insert(key.kid.clone(), key);
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &PublicKey> {
        self.0.values()
    }
}
