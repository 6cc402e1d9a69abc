//! The vocabulary of the RFCs: scopes, client ids, audiences, the issuer, grant types, error codes.
//!
//! Nothing here knows of files, keys or HTTP. Each type can only hold what its RFC allows.

mod algorithm;
mod claim;
pub mod clock;
mod error;
pub mod form;
mod issuer;
mod metadata_address;
mod name;
mod scope;
mod shown_url;
pub mod text;

pub use algorithm::{RsaBits, SignatureAlgorithm};
pub use claim::{REGISTERED_CLAIMS, is_registered_claim};
pub use error::{ErrorCode, GrantType, NoRandomness};
pub use issuer::{InvalidIssuer, Issuer, is_loopback};
pub use metadata_address::{MetadataAddress, NoAddress};
pub use name::{ApiName, Audience, ClientId, InvalidName, KeyId, Role, TokenId};
pub use scope::{Scope, ScopeSet};
pub use shown_url::ShownUrl;
