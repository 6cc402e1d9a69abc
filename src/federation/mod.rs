//! Tokens of other issuers: whose they are, and the keys that verify them. Only an issuer of tokens has this.
//!
//! [`ForeignVerifier`] is the one verifier of such tokens, however they are shown. [`FollowedIssuers`] keeps the keys of
//! each trusted issuer up to date beside the requests. The policies say who is trusted and which client a token stands
//! for ([`jeton_policy::federation`]).

mod address;
mod error;
mod fetch;
mod files;
mod followed;
mod issuers;
mod metadata;
mod unverified;
mod verify;

pub use error::{FederationError, FederationRefused};
pub use fetch::{FetchListener, FetchedDocumentKind, KeyFetchOptions};
pub use followed::{IssuerStanding, IssuerState};
pub use issuers::FollowedIssuers;
pub use metadata::{BadMetadata, IssuerMetadata};
pub use unverified::ForeignOrigin;
pub(crate) use unverified::{ShownAt, UnreadToken, UnverifiedToken};
pub(crate) use verify::ReadToken;
pub use verify::{FederatedClient, ForeignToken, ForeignVerifier, ShownAs};
