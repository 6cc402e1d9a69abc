//! Sets of public keys that others made: each key is looked at by itself, and one that cannot be used here spoils no
//! other.

use jeton_oauth::text::unmarked;
use pem::Pem;
use serde_json::Value;

use super::{
    ForeignKey,
    foreign::jwk_of_spki,
    invalid::{InvalidPublicKey, PassedOver},
    json::object_of_strict_values,
};

/// The public keys of a file or a set.
#[derive(Debug, Default, PartialEq)]
pub struct ForeignKeys {
    /// Those that can be used.
    pub taken: Vec<ForeignKey>,
    /// Those of other kinds and uses.
    pub passed_over: Vec<PassedOver>,
}

/// Why a set cannot be used.
pub(super) enum Spoiled {
    /// It contains a private key.
    Private(PassedOver),
    /// All of it is passed over.
    NoneLeft(Vec<PassedOver>),
}

impl ForeignKeys {
    /// Reads PEM with one or several `PUBLIC KEY` blocks (RFC 7468 section 13). The parameters and certificates that
    /// tools print beside them are passed over.
    ///
    /// # Errors
    /// [`InvalidPublicKey`] for anything else, for a private key, and where no key is left.
    pub fn from_pem(text: &str) -> Result<Self, InvalidPublicKey> {
        let blocks = public_key_blocks(text)?;
        let keys = blocks.iter().zip(1..).map(|(block, number)| {
            let key = jwk_of_spki(block.contents()).and_then(|jwk| ForeignKey::from_jwk(&jwk));
            key.map_err(|why| PassedOver { place: format!("block {number}"), kid: None, why })
        });
        Self::of(keys)
    }

    /// Reads a file: PEM, a JSON Web Key, or a set of them (RFC 7517 section 5).
    ///
    /// # Errors
    /// As [`Self::from_pem`].
    pub fn from_file(bytes: &[u8]) -> Result<Self, InvalidPublicKey> {
        let text = std::str::from_utf8(unmarked(bytes)).map_err(|_| InvalidPublicKey::NotPem)?;
        if !text.trim_start().starts_with('{') {
            return Self::from_pem(text);
        }
        let json = object_of_strict_values(text.as_bytes()).map_err(|_| InvalidPublicKey::NotJwk)?;
        match json.get("keys") {
            None => {
                let key = ForeignKey::from_jwk(&Value::Object(json))?;
                Ok(Self { taken: vec![key], passed_over: Vec::new() })
            }
            Some(Value::Array(keys)) => Self::of(each(keys, ForeignKey::from_jwk)),
            Some(_) => Err(InvalidPublicKey::NotJwk),
        }
    }

    fn of(keys: impl Iterator<Item = Result<ForeignKey, PassedOver>>) -> Result<Self, InvalidPublicKey> {
        let (taken, passed_over) = sift(keys)?;
        Ok(Self { taken, passed_over })
    }
}

/// The `PUBLIC KEY` blocks of PEM.
pub(super) fn public_key_blocks(text: &str) -> Result<Vec<Pem>, InvalidPublicKey> {
    let blocks = pem::parse_many(text).map_err(|_| InvalidPublicKey::NotPem)?;
    if blocks.iter().any(|block| block.tag().ends_with("PRIVATE KEY")) {
        return Err(InvalidPublicKey::Private);
    }
    let (keys, others): (Vec<_>, Vec<_>) = blocks.into_iter().partition(|block| block.tag() == "PUBLIC KEY");
    let has_other = |tag: &str| others.iter().any(|block| block.tag() == tag);
    if has_other("RSA PUBLIC KEY") {
        return Err(InvalidPublicKey::Pkcs1);
    }
    if keys.is_empty() && has_other("CERTIFICATE") {
        return Err(InvalidPublicKey::Certificate);
    }
    // what `openssl ecparam` and `openssl x509 -pubkey` print beside the key; it says nothing more of it
    let is_passed_over = |tag: &str| ["EC PARAMETERS", "CERTIFICATE"].contains(&tag);
    if keys.is_empty() || !others.iter().all(|block| is_passed_over(block.tag())) {
        return Err(InvalidPublicKey::NotPem);
    }
    Ok(keys)
}

/// Reads each key of a JSON Web Key Set.
pub(super) fn each<K>(
    keys: &[Value],
    read: impl Fn(&Value) -> Result<K, InvalidPublicKey>,
) -> impl Iterator<Item = Result<K, PassedOver>> {
    keys.iter().enumerate().map(move |(index, jwk)| {
        read(jwk).map_err(|why| PassedOver {
            place: format!("`keys[{index}]`"),
            kid: jwk.get("kid").and_then(Value::as_str).map(str::to_owned),
            why,
        })
    })
}

/// Keeps the keys that can be used apart from those that are passed over. A private key spoils the set: whoever
/// could read it can sign.
pub(super) fn sift<K>(
    keys: impl Iterator<Item = Result<K, PassedOver>>,
) -> Result<(Vec<K>, Vec<PassedOver>), Spoiled> {
    let (mut taken, mut passed_over) = (Vec::new(), Vec::new());
    for key in keys {
        match key {
            Ok(key) => taken.push(key),
            Err(private) if private.why == InvalidPublicKey::Private => {
                return Err(Spoiled::Private(private));
            }
            Err(other) => passed_over.push(other),
        }
    }
    if taken.is_empty() { Err(Spoiled::NoneLeft(passed_over)) } else { Ok((taken, passed_over)) }
}

impl From<Spoiled> for InvalidPublicKey {
    fn from(spoiled: Spoiled) -> Self {
        match spoiled {
            Spoiled::Private(key) => Self::PrivateInSet(Box::new(key)),
            Spoiled::NoneLeft(keys) => match <[_; 1]>::try_from(keys) {
                Ok([only]) => only.why,
                Err(keys) if keys.is_empty() => Self::Empty,
                Err(keys) => Self::NoneLeft(keys),
            },
        }
    }
}
