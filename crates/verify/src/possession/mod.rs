//! Tokens that only their holder can use (RFC 9449, RFC 8705): what a request shows beside its token, and whether that is
//! what the token is bound to.

mod fault;
mod held;
mod key;
mod proof;
mod seen;
mod shown;
mod target;

pub use fault::{PossessionFault, ProofFault};
pub use held::Held;
pub use proof::{DpopProof, ProofTerms};
pub use seen::{NotNoted, SeenProofs, UsedProof};
pub use shown::{Shown, ShownProof, certificate_thumbprint};
pub use target::{InvalidOrigin, Origin, TargetUri};

pub(crate) use held::{Possession, PresentedToken};

/// Every algorithm that a DPoP proof may be signed with, as discovery and challenges list them.
pub const DPOP_ALGORITHMS: [&str; 5] = ["ES256", "RS256", "PS256", "EdDSA", "Ed25519"];
