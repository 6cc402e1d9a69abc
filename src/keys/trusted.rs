//! Where the public keys come from by which tokens are checked.

use std::sync::Arc;

use super::{LiveKeys, PublicKeys};

/// The public keys of an issuer, as they are whenever they are asked for.
#[derive(Clone)]
pub struct TrustedKeys(Source);

#[derive(Clone)]
enum Source {
    Fixed(Arc<PublicKeys>),
    Own(Arc<LiveKeys>),
}

impl TrustedKeys {
    /// The keys to be trusted now.
    pub fn current(&self) -> Arc<PublicKeys> {
        match &self.0 {
            Source::Fixed(keys) => Arc::clone(keys),
            Source::Own(keys) => Arc::clone(keys.ring().public()),
        }
    }
}

/// Keys that never change.
impl From<Arc<PublicKeys>> for TrustedKeys {
    fn from(keys: Arc<PublicKeys>) -> Self {
        Self(Source::Fixed(keys))
    }
}

/// The keys of the issuer itself.
impl From<Arc<LiveKeys>> for TrustedKeys {
    fn from(keys: Arc<LiveKeys>) -> Self {
        Self(Source::Own(keys))
    }
}
