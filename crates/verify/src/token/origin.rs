//! What revocations compare.

use jeton_oauth::{ClientId, TokenId};

/// Where a token comes from: its name, the clients behind it, and since when they stand for it.
#[derive(Clone, Copy, Debug)]
pub struct TokenOrigin<'t> {
    /// `jti`.
    pub token_id: &'t TokenId,
    /// `sub`: the client to which the permissions were granted, unless the token names nobody.
    pub subject: Option<&'t ClientId>,
    /// `client_id`: the client that fetched the token, unless it names nobody.
    pub client: Option<&'t ClientId>,
    /// `iat`, in seconds since 1970.
    pub issued_at: i64,
    /// When the subject fetched the first token of an exchange, in seconds since 1970; else as `issued_at`.
    pub authenticated_at: i64,
    /// The clients that exchanged before the one that fetched this token.
    pub earlier_actors: &'t [ClientId],
}

/// A token that verified, of which something may have been revoked since.
pub trait Revocable {
    /// Where it comes from.
    fn origin(&self) -> TokenOrigin<'_>;
}
