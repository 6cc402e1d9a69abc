//! All that a service needs to take tokens of jeton, without a web framework.

pub mod audit;
pub mod authorize;
pub mod event;

pub mod fetch;
pub mod gateway;
pub mod keys;
pub mod principal;
pub mod resource;
pub mod revocations;
pub mod standing;
pub mod status;
pub mod token;

pub use authorize::{
    AccessRequest, Asker, Authorizer, Denied, NoAnswer, NoToken, NotAllowed, Permit, Question,
};
pub use keys::{FailedFetch, JwksOptions, JwksSource, JwksSourceError, JwksState, KeySource, TrustedKeys};
pub use principal::Principal;
pub use resource::{NoMetadata, ResourceMetadata};
pub use revocations::{Revocations, RevocationsUnknown};
pub use standing::{InForce, NotInForce, Standing};
pub use token::{
    AT_JWT, BearerToken, InsecureParts, Origin, Payload, Revocable, TokenError, VerifiedClaims, Verifier,
    insecure_parts,
};
