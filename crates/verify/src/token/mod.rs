//! A bearer's token to verified claims.

mod bearer;
mod header;
mod origin;
mod payload;
mod seen;
mod verify;

use jeton_jose::TokenKind;

pub use bearer::{BearerToken, InsecureParts, TokenScheme, insecure_parts};
pub use header::{BearerFault, bearer_token};
pub use origin::{Revocable, TokenOrigin};
pub use payload::TokenPayload;
pub use verify::{TokenError, VerifiedClaims, Verifier};

/// The `typ` of a token that names its client (RFC 9068 section 2.1).
pub const AT_JWT: &str = "at+jwt";

/// Access tokens; one that names nobody is a `JWT`.
const ACCESS_TOKEN: TokenKind = TokenKind { name: "an access token", types: &[AT_JWT, "jwt"] };
