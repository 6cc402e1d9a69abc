//! A request that proves a finding or a difference.

use serde::Serialize;

use super::token::WitnessToken;

/// A request that proves a finding or a difference.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Witness {
    /// The request method.
    pub method: String,
    /// The request path, as it is sent.
    pub path: String,
    /// What the token of the request carries, or `None` for a request without a token.
    pub token: Option<WitnessToken>,
}
