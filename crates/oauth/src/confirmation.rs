//! What a token is bound to: the claim `cnf` (RFC 7800).

use std::{fmt, str::FromStr};

use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use serde::{Serialize, Serializer, ser::SerializeMap};
use serde_json::Value;

/// The SHA-256 of a public key (RFC 7638) or of a certificate's DER (RFC 8705 section 3.1). As text it is base64url
/// without padding: 43 characters, of which each thumbprint has one spelling.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Thumbprint([u8; 32]);

/// Not a SHA-256 thumbprint.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("it is not the base64url of a SHA-256: 43 characters, without padding")]
pub struct InvalidThumbprint;

impl Thumbprint {
    /// How long its text is, in characters.
    const LENGTH: usize = 43;

    /// The thumbprint with these bytes.
    pub const fn new(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// The 32 bytes of the hash.
    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl FromStr for Thumbprint {
    type Err = InvalidThumbprint;

    fn from_str(text: &str) -> Result<Self, InvalidThumbprint> {
        if text.len() != Self::LENGTH {
            return Err(InvalidThumbprint);
        }
        // the decoder wants room for whole groups, and refuses bits that no byte takes: there is no second spelling
        let mut room = [0; 33];
        let read = BASE64_URL_SAFE_NO_PAD.decode_slice(text, &mut room);
        match (read, room.first_chunk()) {
            (Ok(32), Some(bytes)) => Ok(Self(*bytes)),
            _ => Err(InvalidThumbprint),
        }
    }
}

impl fmt::Display for Thumbprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&BASE64_URL_SAFE_NO_PAD.encode(self.0))
    }
}

impl fmt::Debug for Thumbprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Thumbprint({self})")
    }
}

impl Serialize for Thumbprint {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// What a token is bound to: a key, a certificate, or both. Its holder must show each of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Confirmation {
    jkt: Option<Thumbprint>,
    x5t_s256: Option<Thumbprint>,
}

impl Confirmation {
    /// The claim that holds it.
    pub const CLAIM: &str = "cnf";
    /// The member with the thumbprint of a key (RFC 9449 section 6.1).
    pub const JKT: &str = "jkt";
    /// The member with the thumbprint of a certificate (RFC 8705 section 3.1).
    pub const X5T_S256: &str = "x5t#S256";

    /// A binding to these; `None` where there is neither.
    pub fn new(jkt: Option<Thumbprint>, x5t_s256: Option<Thumbprint>) -> Option<Self> {
        (jkt.is_some() || x5t_s256.is_some()).then_some(Self { jkt, x5t_s256 })
    }

    /// Reads the claim of a token. `None` where it names nothing that is known, or where one that is known is
    /// malformed: such a token must be refused, because it is bound to something. Other members are ignored (RFC 7800
    /// section 3.1).
    pub fn read(claim: &Value) -> Option<Self> {
        let member = |name: &str| match claim.get(name) {
            None => Some(None),
            Some(Value::String(text)) => text.parse().ok().map(Some),
            Some(_) => None,
        };
        Self::new(member(Self::JKT)?, member(Self::X5T_S256)?)
    }

    /// `jkt`: the thumbprint of the key with which DPoP proofs must be signed.
    pub fn jkt(&self) -> Option<Thumbprint> {
        self.jkt
    }

    /// `x5t#S256`: the thumbprint of the certificate that the client must show by mutual TLS.
    pub fn x5t_s256(&self) -> Option<Thumbprint> {
        self.x5t_s256
    }
}

impl Serialize for Confirmation {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let members = [(Self::JKT, self.jkt), (Self::X5T_S256, self.x5t_s256)];
        let members = members.into_iter().filter_map(|(name, value)| Some((name, value?)));
        let mut map = serializer.serialize_map(Some(members.clone().count()))?;
        for (name, value) in members {
            map.serialize_entry(name, &value)?;
        }
        map.end()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::{Confirmation, InvalidThumbprint, Thumbprint};

    const TEXT: &str = "0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I";

    #[test]
    fn a_thumbprint_has_one_spelling() {
        let thumbprint: Thumbprint = TEXT.parse().unwrap();
        assert_eq!(thumbprint.to_string(), TEXT);
        assert_eq!(Thumbprint::new([0; 32]).to_string(), "A".repeat(43));
        let (head, _) = TEXT.split_at(42);
        for bad in [
            "",
            head,
            &format!("{TEXT}A"),
            &format!("{TEXT}="),
            &TEXT.replace('-', "+"),
            &format!(" {head}"),
            // other bits where no byte takes any
            &format!("{head}J"),
            &format!("{head}L"),
            &"é".repeat(22),
        ] {
            assert_eq!(bad.parse::<Thumbprint>(), Err(InvalidThumbprint), "{bad}");
        }
    }

    #[test]
    fn rfc_7800_3_1_a_confirmation_says_what_is_known_or_nothing() {
        let thumbprint: Thumbprint = TEXT.parse().unwrap();
        for (claim, jkt, x5t_s256) in [
            (json!({ "jkt": TEXT }), true, false),
            (json!({ "x5t#S256": TEXT }), false, true),
            (json!({ "jkt": TEXT, "x5t#S256": TEXT }), true, true),
            (json!({ "jkt": TEXT, "kid": 7, "later": [] }), true, false),
        ] {
            let read = Confirmation::read(&claim).unwrap();
            assert_eq!(read.jkt(), jkt.then_some(thumbprint), "{claim}");
            assert_eq!(read.x5t_s256(), x5t_s256.then_some(thumbprint), "{claim}");
        }
        for bad in [
            json!(null),
            json!(TEXT),
            json!([]),
            json!({}),
            json!({ "kid": "k" }),
            json!({ "jwk": { "kty": "EC" } }),
            json!({ "jkt": null }),
            json!({ "jkt": "" }),
            json!({ "jkt": [TEXT] }),
            json!({ "jkt": format!("{TEXT}=") }),
            json!({ "JKT": TEXT }),
            json!({ "x5t": TEXT }),
            json!({ "x5t#s256": TEXT }),
            // one half that is good does not make up for the other
            json!({ "jkt": TEXT, "x5t#S256": "x" }),
            json!({ "jkt": 1, "x5t#S256": TEXT }),
        ] {
            assert_eq!(Confirmation::read(&bad), None, "{bad}");
        }
        assert_eq!(Confirmation::new(None, None), None);
    }

    #[test]
    fn what_is_written_is_read() {
        let [a, b] = [1, 2].map(|byte| Thumbprint::new([byte; 32]));
        for (jkt, x5t_s256, written) in [
            (Some(a), None, json!({ "jkt": a })),
            (None, Some(b), json!({ "x5t#S256": b })),
            (Some(a), Some(b), json!({ "jkt": a, "x5t#S256": b })),
        ] {
            let confirmation = Confirmation::new(jkt, x5t_s256).unwrap();
            assert_eq!(json!(confirmation), written);
            assert_eq!(Confirmation::read(&written), Some(confirmation));
        }
    }
}
