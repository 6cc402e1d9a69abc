//! The vocabulary of the RFCs: scopes, client ids, audiences, the issuer, grant types, error codes.
//!
//! Nothing here knows of files, keys or HTTP. Each type can only hold what its RFC allows. Time is a parameter
//! ([`clock`]), and text of others is shown escaped ([`text`]).
//!
//! # Examples
//!
//! ```
//! use jeton_oauth::{Issuer, ScopeSet};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let scopes = ScopeSet::parse("orders:write orders:read")?;
//! assert_eq!(scopes.to_string(), "orders:read orders:write");
//! // two spaces are not the grammar of RFC 6749 section 3.3
//! assert!(ScopeSet::parse("orders:read  orders:write").is_err());
//!
//! let issuer = Issuer::parse("https://tokens.example.com")?;
//! assert_eq!(issuer.well_known_path("jwks.json"), "/.well-known/jwks.json");
//! # Ok(())
//! # }
//! ```

mod algorithm;
mod claim;
pub mod clock;
mod confirmation;
mod error;
pub mod form;
mod issuer;
mod metadata_address;
mod name;
mod rate;
mod scope;
mod shown_url;
pub mod text;

pub use algorithm::{ForeignAlgorithm, RsaBits, SignatureAlgorithm};
pub use claim::{REGISTERED_CLAIMS, is_registered_claim};
pub use confirmation::{Confirmation, InvalidThumbprint, Thumbprint};
pub use error::{ErrorCode, GrantType, NoRandomness};
pub use issuer::{InvalidIssuer, Issuer, is_loopback};
pub use metadata_address::{MetadataAddress, NoAddress};
pub use name::{ApiName, Audience, ClientId, InvalidName, IssuerName, KeyId, Role, TokenId};
pub use rate::{InvalidRate, Rate, RateLimit};
pub use scope::{Scope, ScopeSet};
pub use shown_url::ShownUrl;
