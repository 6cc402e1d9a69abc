//! The public keys that a service trusts, wherever they come from.

mod remote;
mod trusted;

pub use remote::{JwksOptions, JwksSource, JwksSourceError, JwksState};
pub use trusted::{KeySource, TrustedKeys};
