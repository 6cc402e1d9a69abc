//! Grants: from an authenticated client's request to what its token shall say.

mod approved;
mod client_credentials;
mod refresh_token;
mod token_exchange;

pub(crate) use approved::random_id;
pub use approved::{ApprovedGrant, GrantError, Lifetimes, StatusClaim};
pub use client_credentials::{ClientCredentialsRequest, approve as approve_client_credentials};
pub use refresh_token::{RefreshRequest, approve as approve_refresh};
pub use token_exchange::{ExchangeRequest, ExchangeRules, approve as approve_exchange};
