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
    /// The origin at each host: DPoP proofs name it. At a host without one, the gateway takes no token that is bound to a
    /// key.
    pub origins: BTreeMap<String, String>,
    /// The header by which it says which certificate its client showed, in small letters.
    pub certificate_header: &'p str,
    /// The claims that it hands on, each with its header.
    pub claims: &'p [ClaimHeader],
}
