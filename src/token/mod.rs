//! Tokens as the issuer makes them: claims to a signed token, and refresh tokens, which it alone reads.

mod claims;
mod refresh;
mod sign;

pub use claims::AccessTokenClaims;
pub(crate) use claims::{Exchanged, TokenParties};
pub use refresh::{RefreshClaims, VerifiedRefresh};
pub use sign::SignedToken;
