//! Clients without secrets: the token of a platform stands for a client.
//!
//! Policies trust [`Issuers`] and say of each client which of their tokens stand for it. Whoever verified such a token
//! asks [`Federation::client_of`] whose it is. Nothing here verifies a token or fetches a key.

mod issuers;
mod matching;
mod overlap;
mod shared_issuers;
mod terms;

pub use issuers::{
    ForeignIssuer, InvalidForeignIssuer, IssuerKeyFile, IssuerKeySource, IssuerKeys, Issuers, TrustedIssuer,
};
pub use matching::{ComparedClient, FederatedMatch, Federation, NoMatch};
pub(crate) use overlap::{Contender, Overlap, conflict, overlaps};
pub(crate) use shared_issuers::{Platform, Whose};
pub use terms::{DifferingClaim, FederatedTerms};
