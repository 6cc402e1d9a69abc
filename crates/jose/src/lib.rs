//! Signed JSON as it travels: the compact JWS (RFC 7515), read without trusting a byte of it, and the public keys
//! that verify it (RFC 7517), of which each is sound.
//!
//! # Examples
//!
//! ```
//! use jeton_jose::{JwsError, PublicKeys, TokenKind};
//!
//! # const JWKS: &str = r#"{"keys":[{"kty":"EC","crv":"P-256","use":"sig","alg":"ES256","kid":"one",
//! #     "x":"WzFX-_IFaIiA6kVJz2xmGqBZND7w3mkbmZm1D-sO0qU","y":"9ASjTXJrs-X-3i0kDajoU9BUJoDI5c4urs4uet9rALc"}]}"#;
//! # const TOKEN: &str = concat!(
//! #     "eyJ0eXAiOiJhdCtqd3QiLCJhbGciOiJFUzI1NiIsImtpZCI6Im9uZSJ9.eyJpc3MiOiJodHRwczovL3Rva2Vucy5leGFtcGxlLmN",
//! #     "vbSIsInN1YiI6ImFjbWUtc3luYyIsImF1ZCI6Imh0dHBzOi8vb3JkZXJzLmV4YW1wbGUuY29tIiwiZXhwIjoxNzk1NDM2MTAwLCJ",
//! #     "pYXQiOjE3OTU0MzUyMDAsImp0aSI6InQxIiwiY2xpZW50X2lkIjoiYWNtZS1zeW5jIiwic2NvcGUiOiJvcmRlcnM6cmVhZCJ9.iZ",
//! #     "fxfXy0IES6zlPngfMExsYsTjDYhZFE93VHaIh_QJT0wRtGnYRNp6IeYd0sEuGNz8P_xctf0aKp1EVNbzT15g",
//! # );
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let keys = PublicKeys::from_jwks(JWKS.as_bytes())?;
//! let access_token = TokenKind { name: "an access token", types: &["at+jwt"] };
//!
//! // the signature holds; whether the claims are good is still to be asked
//! let verified = keys.open(TOKEN, access_token)?;
//! assert_eq!(verified.claims()["sub"], "acme-sync");
//!
//! // another kind of token does not pass for this one
//! let status_list = TokenKind { name: "a status list", types: &["statuslist+jwt"] };
//! assert!(matches!(keys.open(TOKEN, status_list), Err(JwsError::Type(_))));
//! # Ok(())
//! # }
//! ```

mod algorithm;
mod compact;
mod foreign;
mod invalid;
mod issuer_keys;
mod json;
mod public;
mod set;
mod sound;
#[cfg(test)]
mod vectors;

pub use algorithm::key_size;
pub use compact::{CompactJws, JwsError, JwsHeader, TokenKind};
pub use foreign::ForeignKey;
pub use invalid::{InvalidPublicKey, PassedOver};
pub use issuer_keys::IssuerKeySet;
pub use json::strict_object;
pub use public::{InvalidJwks, PublicKey, PublicKeys, VerifiedJws};
pub use set::ForeignKeys;
