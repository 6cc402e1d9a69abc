//! A compact JWS as it was sent: split into its parts, and not trusted.

use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use serde_json::{Map, Value};

use super::json;

/// Why a compact JWS is rejected.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum JwsError {
    /// It is longer than the limit.
    #[error("the token is longer than 8 KiB")]
    TooLong,
    /// Not three parts; five are a JWE.
    #[error("the token does not have the three parts of a compact JWS")]
    NotCompactJws,
    /// A part is not base64url in its canonical form.
    #[error("a part of the token is not base64url without padding")]
    NotBase64Url,
    /// A part is not one JSON object with each name once.
    #[error("a part of the token is not a JSON object with each name once")]
    NotJsonObject,
    /// The header asks for something that is never done.
    #[error("the header parameter `{0}` is not supported")]
    HeaderParameter(&'static str),
    /// `alg` is missing or not that of the key.
    #[error("`alg` is not the algorithm of the key")]
    Algorithm,
    /// `typ` is missing or that of another kind of token.
    #[error("`typ` is not the type of {0}")]
    Type(&'static str),
    /// `kid` is missing.
    #[error("`kid` is missing")]
    NoKeyId,
    /// `kid` is something else than text.
    #[error("`kid` is {0}, not text")]
    KeyIdType(&'static str),
    /// It must bring its key, and `jwk` is missing.
    #[error("`jwk` is missing")]
    NoKey,
    /// No key that is known has this `kid`.
    #[error("no key has this `kid`")]
    UnknownKey,
    /// The signature was not made by the key.
    #[error("the signature is wrong")]
    Signature,
}

/// The kind that a token must have. Explicit types keep one kind from passing for another (RFC 8725 section 3.11).
#[derive(Clone, Copy)]
pub struct TokenKind {
    /// In words.
    pub name: &'static str,
    /// Each `typ` that says so, in lower case.
    pub types: &'static [&'static str],
}

/// The encoded parts of a token.
#[derive(Clone, Copy)]
pub struct CompactJws<'t> {
    header: &'t str,
    payload: &'t str,
    /// The signature, base64url.
    pub signature: &'t str,
    /// The signed text: header and payload with the dot between.
    pub signed: &'t str,
}

/// The header parameters that are looked at.
pub struct JwsHeader {
    /// `alg`.
    pub algorithm: String,
    /// `typ` in lower case and without `application/`, if there is one.
    pub typ: Option<String>,
    /// `kid`, if there is one.
    pub kid: Option<String>,
}

impl<'t> CompactJws<'t> {
    /// The longest text that is looked at, in bytes.
    pub const LONGEST: usize = 8 * 1024;

    /// The three parts of a compact JWS (RFC 7515 section 7.1), still encoded.
    pub fn parse(text: &'t str) -> Result<Self, JwsError> {
        if text.len() > Self::LONGEST {
            return Err(JwsError::TooLong);
        }
        Self::parse_long(text)
    }

    /// As [`Self::parse`], however long the text is.
    pub fn parse_long(text: &'t str) -> Result<Self, JwsError> {
        let mut parts = text.split('.');
        let three = (parts.next(), parts.next(), parts.next(), parts.next());
        let (Some(header), Some(payload), Some(signature), None) = three else {
            return Err(JwsError::NotCompactJws);
        };
        let signed = text.get(..header.len() + 1 + payload.len()).ok_or(JwsError::NotCompactJws)?;
        Ok(Self { header, payload, signature, signed })
    }

    /// The header as it was sent, still encoded.
    pub fn encoded_header(&self) -> &'t str {
        self.header
    }

    /// The whole header, as it was sent.
    pub fn raw_header(&self) -> Result<Map<String, Value>, JwsError> {
        object(self.header)
    }

    /// The header, if it asks for nothing that is never done.
    pub fn header(&self) -> Result<JwsHeader, JwsError> {
        JwsHeader::read(self.raw_header()?)
    }

    /// The header of a text that is signed by the key that it brings, and that key: its `jwk`. What else is never done is
    /// not done for it either.
    pub fn header_with_key(&self) -> Result<(JwsHeader, Value), JwsError> {
        let mut header = self.raw_header()?;
        let key = header.remove("jwk").ok_or(JwsError::NoKey)?;
        Ok((JwsHeader::read(header)?, key))
    }

    /// The payload, as it was sent.
    pub fn payload(&self) -> Result<Map<String, Value>, JwsError> {
        object(self.payload)
    }
}

/// Decodes a part: base64url without padding and with nothing in the unused bits (RFC 7515 section 2),
/// holding a JSON object in which no name stands twice (RFC 8725 section 3.1).
fn object(part: &str) -> Result<Map<String, Value>, JwsError> {
    let bytes = BASE64_URL_SAFE_NO_PAD.decode(part).map_err(|_| JwsError::NotBase64Url)?;
    json::strict_object(&bytes).map_err(|_| JwsError::NotJsonObject)
}

/// What a value is that should be text.
fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Number(_) => "a number",
        Value::String(_) => "text",
        Value::Array(_) => "a list",
        Value::Object(_) => "an object",
    }
}

impl JwsHeader {
    /// What a header could make a careless verifier do: trust a key that the token brings or points to
    /// (RFC 8725 section 3.5, 3.10), skip an extension, decrypt, or read other bytes than were signed. What else is not
    /// understood is ignored (RFC 7515 section 4): libraries send certificates (`x5c`, `x5t`) and types of the
    /// content (`cty`) by themselves.
    const REFUSED: [&str; 7] = ["crit", "jwk", "jku", "x5u", "enc", "zip", "b64"];

    fn read(mut header: Map<String, Value>) -> Result<Self, JwsError> {
        if let Some(name) = Self::REFUSED.into_iter().find(|name| header.contains_key(*name)) {
            return Err(JwsError::HeaderParameter(name));
        }
        let Some(Value::String(algorithm)) = header.remove("alg") else { return Err(JwsError::Algorithm) };
        // media types are case-insensitive, and `application/` may be left out (RFC 7515 section 4.1.9)
        let typ = match header.remove("typ") {
            None => None,
            Some(Value::String(typ)) => {
                let typ = typ.to_ascii_lowercase();
                Some(typ.strip_prefix("application/").map_or(typ.clone(), str::to_owned))
            }
            Some(_) => return Err(JwsError::HeaderParameter("typ")),
        };
        let kid = match header.remove("kid") {
            None => None,
            Some(Value::String(kid)) => Some(kid),
            Some(other) => return Err(JwsError::KeyIdType(kind(&other))),
        };
        Ok(Self { algorithm, typ, kid })
    }

    /// The `typ`, if it is one of this kind's.
    pub fn typ(&self, kind: TokenKind) -> Result<&'static str, JwsError> {
        let found = kind.types.iter().find(|typ| self.typ.as_deref() == Some(typ));
        found.copied().ok_or(JwsError::Type(kind.name))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_as_long_as_the_longest_or_shorter() {
        let text = |length: usize| format!("a.b.{}", "c".repeat(length - 4));
        assert!(CompactJws::parse(&text(CompactJws::LONGEST)).is_ok());
        let longer = text(CompactJws::LONGEST + 1);
        assert_eq!(CompactJws::parse(&longer).map(drop), Err(JwsError::TooLong));
        assert_eq!(CompactJws::parse_long(&longer).unwrap().encoded_header(), "a");
    }

    #[test]
    fn rfc_7515_4_1_4_a_kid_of_another_kind_is_named() {
        for (kid, kind) in [
            ("null", "null"),
            ("true", "a boolean"),
            ("7", "a number"),
            ("[]", "a list"),
            ("{}", "an object"),
        ] {
            let header = serde_json::from_str(&format!(r#"{{"alg":"RS256","kid":{kid}}}"#)).unwrap();
            assert_eq!(JwsHeader::read(header).map(drop), Err(JwsError::KeyIdType(kind)));
        }
    }
}
