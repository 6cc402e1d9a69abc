//! Tokens as the issuer makes them: claims to a signed token, and refresh tokens, which it alone reads.

mod claims;
mod refresh;
mod sign;

pub use claims::Claims;
pub(crate) use claims::{Exchanged, Named};
pub use refresh::{RefreshClaims, VerifiedRefresh};
pub use sign::SignedToken;
