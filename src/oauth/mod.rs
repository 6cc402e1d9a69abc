//! The vocabulary of the RFCs: scopes, client ids, audiences, the issuer, grant types, error codes.
//!
//! Nothing here knows of files, keys or HTTP. Each type can only hold what its RFC allows.

mod algorithm;
mod claim;
mod error;
mod issuer;
mod metadata_address;
mod name;
mod scope;
mod shown_url;

pub use algorithm::{RsaBits, SignatureAlgorithm};
pub(crate) use claim::REGISTERED_CLAIMS;
pub use claim::is_registered_claim;
pub use error::{ErrorCode, GrantType};
pub(crate) use issuer::is_loopback;
pub use issuer::{InvalidIssuer, Issuer};
pub use metadata_address::{MetadataAddress, NoAddress};
pub use name::{ApiName, Audience, ClientId, InvalidName, KeyId, Role, TokenId};
pub use scope::{Scope, ScopeSet};
pub(crate) use shown_url::ShownUrl;
