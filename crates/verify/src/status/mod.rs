//! Token Status Lists (draft-ietf-oauth-status-list): revocation that offline verifiers see, computed from
//! the policy files alone.
//!
//! There is one list for each client, with a bit for each minute since 2026: a token points to the minute in
//! which it was issued, and a client's `revoked_before` sets every bit before it. Nothing is allocated, so
//! nothing has to be remembered.

mod fetched;
mod list;
mod reference;
mod token;

use jeton_jose::TokenKind;

pub use fetched::{FetchedLists, StatusError, StatusFetchError, StatusFetchOptions, UnknownList};
pub use list::{EndedTokens, InvalidList, StatusList};
pub use reference::{StatusHandle, StatusReference, index_of};
pub use token::{InvalidListToken, StatusListTerms, StatusListToken};

/// The `typ` of a signed list (draft-ietf-oauth-status-list section 5.1).
pub const STATUS_LIST: TokenKind = TokenKind { name: "a status list", types: &["statuslist+jwt"] };
