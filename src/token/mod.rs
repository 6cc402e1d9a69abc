//! Tokens: claims to a signed token, and a bearer's token to verified claims.

mod bearer;
mod claims;
mod sign;
mod verify;

pub use bearer::{BearerToken, InsecureParts, insecure_parts};
pub use claims::Claims;
pub use sign::SignedToken;
pub use verify::{TokenError, VerifiedClaims, Verifier};
