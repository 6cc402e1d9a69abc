//! Grants: from an authenticated client's request to what its token shall say.

mod approved;
mod client_credentials;

pub use approved::{ApprovedGrant, GrantError, Lifetimes};
pub use client_credentials::{ClientCredentialsRequest, approve};
