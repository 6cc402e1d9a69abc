//! Signed JSON as it travels: the compact JWS (RFC 7515), read without trusting a byte of it.

mod compact;
mod json;

pub use compact::JwsError;
pub(crate) use compact::{CompactJws, Kind};
