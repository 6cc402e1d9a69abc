//! What a protected API says of itself to those who have no token yet (RFC 9728).

use jeton_oauth::{ApiName, Audience, Issuer, MetadataAddress, NoAddress, Scope};
use jeton_policy::ProtectedApi;
use serde::Serialize;

use crate::{bundle::PoliciesUnknown, possession::DPOP_ALGORITHMS};

/// The metadata of an API (RFC 9728 section 2), by the policies of one snapshot. As JSON it is the document.
#[derive(Clone, Debug, Serialize)]
pub struct ResourceMetadata {
    resource: Audience,
    authorization_servers: [Issuer; 1],
    #[serde(skip_serializing_if = "Vec::is_empty")]
    scopes_supported: Vec<Scope>,
    bearer_methods_supported: [&'static str; 1],
    #[serde(flatten)]
    dpop: Option<DpopMetadata>,
    #[serde(skip)]
    address: MetadataAddress,
}

/// What an API says of proofs that takes them.
#[derive(Clone, Debug, Serialize)]
struct DpopMetadata {
    #[serde(rename = "dpop_signing_alg_values_supported")]
    algorithms: [&'static str; 5],
    #[serde(rename = "dpop_bound_access_tokens_required", skip_serializing_if = "std::ops::Not::not")]
    is_required: bool,
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
            dpop: None,
        })
    }

    /// Of one that takes DPoP proofs, and no token without one if it has `bound_tokens`.
    #[must_use]
    pub fn with_dpop(self, api: &ProtectedApi) -> Self {
        let dpop = DpopMetadata { algorithms: DPOP_ALGORITHMS, is_required: api.bound_tokens() };
        Self { dpop: Some(dpop), ..self }
    }

    /// Where it is published.
    pub fn address(&self) -> &MetadataAddress {
        &self.address
    }
}
