//! Tokens: claims to a signed token, and a bearer's token to verified claims.

mod bearer;
#[cfg(feature = "server")]
mod issued;
mod origin;
mod seen;
mod verify;

pub use bearer::{BearerToken, InsecureParts, insecure_parts};
#[cfg(feature = "server")]
pub use issued::{Claims, RefreshClaims, SignedToken, VerifiedRefresh};
#[cfg(feature = "server")]
pub(crate) use issued::{Exchanged, Named};
pub use origin::Origin;
pub use verify::{TokenError, VerifiedClaims, Verifier};

use crate::jose::TokenKind;

/// The `typ` of a token that names its client (RFC 9068 section 2.1).
const NAMED: &str = "at+jwt";

/// Access tokens; one that names nobody is a `JWT`.
const ACCESS_TOKEN: TokenKind = TokenKind { name: "an access token", types: &[NAMED, "jwt"] };
