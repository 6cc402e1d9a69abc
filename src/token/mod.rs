//! Tokens: claims to a signed token, and a bearer's token to verified claims.

mod bearer;
mod claims;
mod origin;
mod refresh;
mod seen;
mod sign;
mod verify;

pub use bearer::{BearerToken, InsecureParts, insecure_parts};
pub use claims::Claims;
pub(crate) use claims::{Exchanged, Named};
pub use origin::Origin;
pub use refresh::{RefreshClaims, VerifiedRefresh};
pub use sign::SignedToken;
pub use verify::{TokenError, VerifiedClaims, Verifier};
