//! The keys of this issuer: one signs, all are published.

use std::{num::NonZero, sync::Arc, thread};

use jiff::Timestamp;

use super::{JwksDocument, KeyError, KeyErrors, KeyFile, PublicKeys, SigningKey};
use crate::oauth::KeyId;

/// One key of the ring, as `keys list` and `/ops/keys` show it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RingKey {
    /// Its name in token headers.
    pub kid: KeyId,
    /// When it was made.
    pub created: Timestamp,
    /// The size of its modulus in bits.
    pub bits: usize,
    /// Whether it is the one that signs.
    pub signs: bool,
}

/// All keys of the issuer: the newest signs, each is published.
pub struct KeyRing {
    signing: SigningKey,
    public: Arc<PublicKeys>,
    jwks: JwksDocument,
    keys: Vec<RingKey>,
}

impl KeyRing {
    /// Makes the ring of these keys. Of two made in the same second the one whose `kid` sorts last
    /// signs, so that every replica picks the same.
    pub(super) fn new(mut files: Vec<KeyFile>) -> Result<Self, KeyErrors> {
        files.sort_by(|a, b| (a.created, a.key.kid()).cmp(&(b.created, b.key.kid())));
        let mut public = PublicKeys::default();
        let mut errors = Vec::new();
        for file in &files {
            match file.key.public_key() {
                Ok(key) => public.insert(key),
                Err(source) => errors.push(KeyError::Unusable { path: file.path.clone(), source }),
            }
        }
        let newest = files.len().saturating_sub(1);
        let keys = files
            .iter()
            .enumerate()
            .map(|(position, file)| RingKey {
                kid: file.key.kid().clone(),
                created: file.created,
                bits: file.key.bits(),
                signs: position == newest,
            })
            .collect();
        let jwks = JwksDocument::render(&public);
        match (files.pop(), jwks) {
            (Some(last), Ok(jwks)) if errors.is_empty() => {
                let threads = thread::available_parallelism().map_or(1, NonZero::get);
                let unusable = |source| KeyError::Unusable { path: last.path, source };
                let signing = last.key.for_threads(threads).map_err(unusable)?;
                Ok(Self { signing, public: Arc::new(public), jwks, keys })
            }
            (_, Err(source)) => {
                errors.push(KeyError::Jwks(source));
                Err(KeyErrors(errors))
            }
            _ => Err(KeyErrors(errors)),
        }
    }

    /// The key that signs now.
    pub fn signing(&self) -> &SigningKey {
        &self.signing
    }

    /// Every published key.
    pub fn public(&self) -> &Arc<PublicKeys> {
        &self.public
    }

    /// The published set as it goes over the wire.
    pub fn jwks(&self) -> &JwksDocument {
        &self.jwks
    }

    /// Every key, oldest first.
    pub fn keys(&self) -> &[RingKey] {
        &self.keys
    }
}
