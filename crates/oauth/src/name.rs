//! Names that are text with a rule: client ids, roles, APIs, trusted issuers, audiences, token ids.

/// Why a piece of text is not the name it was meant to be.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is not {what}: {rule}")]
pub struct InvalidName {
    what: &'static str,
    text: String,
    rule: &'static str,
}

/// The longest name of any kind, in bytes.
const LONGEST: usize = 512;

/// Declares a name: shared immutable text that was checked once, where it entered.
macro_rules! name {
    ($(#[$doc:meta])* $name:ident, $what:literal, $rule:literal, $allowed:expr) => {
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(std::sync::Arc<str>);

        impl $name {
            /// Takes `text` if it is one.
            ///
            /// # Errors
            /// [`InvalidName`] says which rule the text breaks.
            pub fn parse(text: &str) -> Result<Self, $crate::name::InvalidName> {
                let allowed: fn(u8) -> bool = $allowed;
                if $crate::name::well_formed(text, allowed) {
                    Ok(Self(text.into()))
                } else {
                    Err($crate::name::InvalidName::new($what, text, $rule))
                }
            }

            /// The text itself.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl std::borrow::Borrow<str> for $name {
            fn borrow(&self) -> &str {
                &self.0
            }
        }

        impl serde::Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(&self.0)
            }
        }
    };
}
pub(super) use name;

pub(super) fn well_formed(text: &str, allowed: fn(u8) -> bool) -> bool {
    !text.is_empty() && text.len() <= LONGEST && text.bytes().all(allowed)
}

impl InvalidName {
    pub(super) fn new(what: &'static str, text: &str, rule: &'static str) -> Self {
        let text = text.chars().take(80).collect();
        Self { what, text, rule }
    }
}

/// `NQCHAR` of RFC 6749 appendix A: printable ASCII without space, `"` and `\`.
pub(super) fn is_nqchar(byte: u8) -> bool {
    matches!(byte, 0x21 | 0x23..=0x5b | 0x5d..=0x7e)
}

fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.')
}

name! {
    /// A client identifier (RFC 6749 section 2.2, `VSCHAR` of appendix A.1).
    ClientId, "a client id", "1 to 512 printable ASCII characters", |byte| matches!(byte, 0x20..=0x7e)
}
name! {
    /// The name of a set of scopes, as it stands in policies and in the `roles` claim.
    Role, "a role", "1 to 512 printable ASCII characters without space, `\"` and `\\`", is_nqchar
}
name! {
    /// The name of a protected API, as policies and the command line use it.
    ApiName, "the name of an API", "1 to 512 letters, digits, `-`, `_` and `.`", is_word
}

impl ApiName {
    /// The name of jeton's own API. It has no audience in the policies, because its audience is the issuer.
    pub const OWN: &str = "jeton";
}

name! {
    /// The name of a trusted issuer, as policies and the command line use it. Its `iss` is another text.
    IssuerName, "the name of an issuer", "1 to 512 letters, digits, `-`, `_` and `.`", is_word
}
name! {
    /// The `aud` of a token (RFC 7519 section 4.1.3): the API that takes it.
    Audience, "an audience", "1 to 512 printable ASCII characters without space, `\"` and `\\`", is_nqchar
}
name! {
    /// The `jti` of a token (RFC 7519 section 4.1.7).
    TokenId, "a token id", "1 to 512 printable ASCII characters without space, `\"` and `\\`", is_nqchar
}
name! {
    /// The `kid` of a key (RFC 7515 section 4.1.4).
    KeyId, "a key id", "1 to 512 printable ASCII characters without space, `\"` and `\\`", is_nqchar
}
