//! The sources of the public keys that check tokens.

use std::sync::Arc;

use jeton_jose::PublicKeys;

use super::JwksSource;

/// Who has the public keys of an issuer in memory, as they are now. Asked for each token.
pub trait KeySource: Send + Sync {
    /// The keys to be trusted now.
    fn current(&self) -> Arc<PublicKeys>;
}

/// The public keys of an issuer, as they are whenever they are asked for.
#[derive(Clone)]
pub struct TrustedKeys(TrustedSource);

#[derive(Clone)]
enum TrustedSource {
    Fixed(Arc<PublicKeys>),
    Followed(Arc<dyn KeySource>),
    Remote(Arc<JwksSource>),
}

impl TrustedKeys {
    /// The keys to be trusted now.
    pub fn current(&self) -> Arc<PublicKeys> {
        match &self.0 {
            TrustedSource::Fixed(keys) => Arc::clone(keys),
            TrustedSource::Followed(keys) => keys.current(),
            TrustedSource::Remote(keys) => keys.current(),
        }
    }

    /// Whether a key that is unknown may be found by [`Self::fetch_unknown`].
    pub fn can_fetch(&self) -> bool {
        matches!(self.0, TrustedSource::Remote(_))
    }

    /// Fetches the keys of an issuer elsewhere because one is unknown, as [`JwksSource::fetch`] does; others are
    /// known already.
    pub async fn fetch_unknown(&self) {
        if let TrustedSource::Remote(keys) = &self.0 {
            keys.fetch().await;
        }
    }
}

/// Keys that never change.
impl From<Arc<PublicKeys>> for TrustedKeys {
    fn from(keys: Arc<PublicKeys>) -> Self {
        Self(TrustedSource::Fixed(keys))
    }
}

/// Keys that somebody else keeps: those of the issuer itself.
impl<K: KeySource + 'static> From<Arc<K>> for TrustedKeys {
    fn from(keys: Arc<K>) -> Self {
        Self(TrustedSource::Followed(keys))
    }
}

/// The keys of an issuer elsewhere, as it publishes them. It takes [`JwksSource::run`] beside it.
impl From<Arc<JwksSource>> for TrustedKeys {
    fn from(keys: Arc<JwksSource>) -> Self {
        Self(TrustedSource::Remote(keys))
    }
}
