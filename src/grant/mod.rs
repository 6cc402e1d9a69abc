//! Grants: from an authenticated client's request to what its token shall say.

mod approved;
mod client_credentials;
mod refresh_token;
mod request;
mod token_exchange;

pub(crate) use approved::random_id;
pub use approved::{ApprovedGrant, GrantError, Lifetimes, StatusClaim};
pub use client_credentials::approve as approve_client_credentials;
pub use refresh_token::approve as approve_refresh;
pub use request::{RequestedAccess, RequestedTarget, TokenRequest};
pub use token_exchange::{ExchangeRules, approve as approve_exchange};
