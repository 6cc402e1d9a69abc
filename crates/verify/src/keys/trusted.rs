//! The sources of the public keys that check tokens.

use std::{
    future::{self, Future},
    pin::Pin,
    sync::Arc,
};

use jeton_jose::PublicKeys;

/// Who has the public keys of an issuer in memory, as they are now. Asked for each token.
///
/// A source of another kind needs [`Self::current`] alone. One that can look for more keys has both other methods; one
/// that wraps another source passes all three on.
pub trait KeySource: Send + Sync {
    /// The keys to be trusted now.
    fn current(&self) -> Arc<PublicKeys>;

    /// Whether [`Self::fetch_unknown`] may find a key that is not among them. Default: no.
    fn can_fetch(&self) -> bool {
        false
    }

    /// Looks for more keys because a token names an unknown one. Its caller asks for [`Self::current`] again afterwards.
    fn fetch_unknown(&self) -> Pin<Box<dyn Future<Output = ()> + Send + '_>> {
        Box::pin(future::ready(()))
    }
}

/// The public keys of an issuer, as they are whenever they are asked for.
#[derive(Clone)]
pub struct TrustedKeys(Arc<dyn KeySource>);

/// Keys that never change.
struct FixedKeys(Arc<PublicKeys>);

impl KeySource for FixedKeys {
    fn current(&self) -> Arc<PublicKeys> {
        Arc::clone(&self.0)
    }
}

impl TrustedKeys {
    /// The keys to be trusted now.
    pub fn current(&self) -> Arc<PublicKeys> {
        self.0.current()
    }

    /// Whether [`Self::fetch_unknown`] may find an unknown key.
    pub fn can_fetch(&self) -> bool {
        self.0.can_fetch()
    }

    /// Looks for more keys because one is unknown, as [`JwksSource::fetch`](super::JwksSource::fetch) does. Keys that the
    /// issuer itself holds are all known.
    pub async fn fetch_unknown(&self) {
        self.0.fetch_unknown().await;
    }
}

impl From<Arc<PublicKeys>> for TrustedKeys {
    fn from(keys: Arc<PublicKeys>) -> Self {
        Self(Arc::new(FixedKeys(keys)))
    }
}

/// Keys that somebody else keeps: the issuer itself, or a [`JwksSource`](super::JwksSource), which needs its `run` beside it.
impl<K: KeySource + 'static> From<Arc<K>> for TrustedKeys {
    fn from(keys: Arc<K>) -> Self {
        Self(keys)
    }
}
