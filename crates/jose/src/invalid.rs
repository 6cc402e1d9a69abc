//! Why a public key, or a set of them, cannot be used.

use std::fmt;

use jeton_oauth::text::printable;

/// Why a text is no public key that we take. Never quotes it: it may be a private one.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidPublicKey {
    /// Somebody gave away a private key.
    #[error("it is a private key: give the public half, and treat this one as leaked")]
    Private,
    /// A key that both sides would know.
    #[error("it is a symmetric key: whoever verifies with it can sign too")]
    Symmetric,
    /// Neither RSA, nor P-256, nor Ed25519.
    #[error("it is not a key for RS256, PS256, ES256 or EdDSA: use RSA, P-256 or Ed25519")]
    Kind,
    /// Too short, too long, numbers that are no key, or one for which anybody can sign.
    #[error(
        "it is not a sound key: RSA keys have 2048 to 8192 bits, points lie on their curve and are not of small order"
    )]
    Unsound,
    /// `use` or `alg` say that it is for something else.
    #[error("its `use`, `key_ops` or `alg` do not allow these signatures")]
    Purpose,
    /// Not the JSON of RFC 7517.
    #[error("it is not a JSON Web Key")]
    NotJwk,
    /// Not PEM with `PUBLIC KEY` blocks.
    #[error("it is not PEM with a `PUBLIC KEY` block (SPKI)")]
    NotPem,
    /// PEM of another form.
    #[error(
        "it is PKCS#1 (`RSA PUBLIC KEY`): give what `openssl rsa -RSAPublicKey_in -in FILE -pubout` prints"
    )]
    Pkcs1,
    /// It is a certificate. Only its key is needed.
    #[error("it is a certificate: give its key, which `openssl x509 -in FILE -noout -pubkey` prints")]
    Certificate,
    /// Half a point, which libraries complete in ways of their own.
    #[error("its point is compressed: give what `openssl ec -pubin -in FILE -conv_form uncompressed` prints")]
    Compressed,
    /// A coordinate that was cut or filled.
    #[error(
        "a coordinate has {0} bytes, not 32: keep its leading zeros and add none (RFC 7518 section 6.2.1.2)"
    )]
    Coordinate(usize),
    /// A number with a zero byte before it.
    #[error("`{0}` begins with a zero byte: remove leading zeros (RFC 7518 section 6.3.1)")]
    LeadingZero(&'static str),
    /// Another base64 than that of JSON Web Keys.
    #[error("`{0}` is not base64url without padding (RFC 7518 section 2)")]
    Base64(&'static str),
    /// A key set or file without a key.
    #[error("there is no key in it")]
    Empty,
    /// Somebody gave away a private key among others.
    #[error("{0}")]
    PrivateInSet(Box<PassedOver>),
    /// A set without a usable key.
    #[error("there is no usable key in it: {}", PassedOver::list(.0))]
    NoneLeft(Vec<PassedOver>),
    /// A key of a published set that tokens cannot name.
    #[error("it has no `kid`, so tokens cannot name it")]
    NoKeyId,
}

/// A key of a set that is ignored: its position, its `kid`, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PassedOver {
    pub(super) place: String,
    pub(super) kid: Option<String>,
    pub(super) why: InvalidPublicKey,
}

/// How many keys a message names.
const MOST_NAMED: usize = 5;

impl PassedOver {
    /// Names keys of a set, and the first of them alone where there are many.
    pub fn list(keys: &[Self]) -> String {
        let mut names: Vec<_> = keys.iter().take(MOST_NAMED).map(Self::to_string).collect();
        if keys.len() > MOST_NAMED {
            names.push(format!("and {} more", keys.len() - MOST_NAMED));
        }
        names.join("; ")
    }
}

impl fmt::Display for PassedOver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.place)?;
        if let Some(kid) = &self.kid {
            // it may hold anything
            write!(f, " (kid `{:.80}`)", printable(kid))?;
        }
        write!(f, ": {}", self.why)
    }
}
