//! Signed JSON as it travels: the compact JWS (RFC 7515), read without trusting a byte of it, and the public keys
//! that verify it (RFC 7517), of which each is sound.

mod algorithm;
mod compact;
mod foreign;
mod invalid;
mod json;
mod public;
mod set;
mod sound;

pub use algorithm::key_size;
pub use compact::{CompactJws, JwsError, TokenKind};
pub use foreign::ForeignKey;
pub use invalid::{InvalidPublicKey, PassedOver};
pub use json::strict_object;
pub use public::{InvalidJwks, PublicKey, PublicKeys, VerifiedJws};
pub use set::ForeignKeys;
