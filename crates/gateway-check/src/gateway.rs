//! The gateway that is checked.

use std::collections::BTreeMap;

use jeton_policy::ProtectedApi;
use jeton_verify::gateway::ClaimHeader;

/// What is known of a gateway.
pub struct CheckedGateway<'p> {
    /// The API at each host; where it does not depend on the host, one for the host of the address.
    pub apis: BTreeMap<String, &'p ProtectedApi>,
    /// Whether the host chooses the API.
    pub by_host: bool,
    /// The claims that it hands on, each with its header.
    pub claims: &'p [ClaimHeader],
}
