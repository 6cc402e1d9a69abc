//! What a protected API says of itself to those who have no token yet (RFC 9728).

use jeton_oauth::{ApiName, Audience, Issuer, MetadataAddress, NoAddress, Scope};
use jeton_policy::ProtectedApi;
use serde::Serialize;

use crate::bundle::PoliciesUnknown;

/// The metadata of an API (RFC 9728 section 2), by the policies of one snapshot. As JSON it is the document.
#[derive(Clone, Debug, Serialize)]
pub struct ResourceMetadata {
    resource: Audience,
    authorization_servers: [Issuer; 1],
    #[serde(skip_serializing_if = "Vec::is_empty")]
    scopes_supported: Vec<Scope>,
    bearer_methods_supported: [&'static str; 1],
    #[serde(skip)]
    address: MetadataAddress,
}

/// Why an API has no metadata.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum NoMetadata {
    /// The policies do not name it.
    #[error("the policies have no API `{0}`")]
    NoApi(ApiName),
    /// Nothing is known of the policies.
    #[error(transparent)]
    NoPolicies(#[from] PoliciesUnknown),
    /// Its audience says not where it is.
    #[error(transparent)]
    NoAddress(#[from] NoAddress),
}

impl ResourceMetadata {
    /// Of an API whose tokens come from `issuer`.
    ///
    /// # Errors
    /// [`NoAddress`] where its audience is not the address at which clients reach it.
    pub fn of(api: &ProtectedApi, issuer: &Issuer) -> Result<Self, NoAddress> {
        Ok(Self {
            address: MetadataAddress::of(api.audience())?,
            resource: api.audience().clone(),
            authorization_servers: [issuer.clone()],
            scopes_supported: api.scopes().iter().cloned().collect(),
            bearer_methods_supported: ["header"],
        })
    }

    /// Where it is published.
    pub fn address(&self) -> &MetadataAddress {
        &self.address
    }
}
