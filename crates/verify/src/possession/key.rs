//! The key that a proof brings, and keys that came a moment ago.

use std::{fmt, sync::Arc};

use jeton_jose::{CompactJws, ForeignKey, JwsError, TokenKind};
use jeton_oauth::{SignatureAlgorithm, Thumbprint};
use quick_cache::{UnitWeighter, sync::Cache};
use rustc_hash::FxBuildHasher;

use super::fault::ProofFault;

/// DPoP proofs (RFC 9449 section 4.2).
const DPOP_PROOF: TokenKind = TokenKind { name: "a DPoP proof", types: &["dpop+jwt"] };

/// The header of a proof that may be one, read: which key signs, and how.
pub(super) struct ProofKey {
    /// As it was sent, encoded: whatever has the same one has the same key.
    header: Box<str>,
    algorithm: SignatureAlgorithm,
    key: ForeignKey,
    thumbprint: Thumbprint,
}

impl ProofKey {
    /// Reads the header of a proof.
    pub(super) fn read(jws: &CompactJws<'_>) -> Result<Self, ProofFault> {
        let (header, jwk) = jws.header_with_key()?;
        header.typ(DPOP_PROOF)?;
        let algorithm = SignatureAlgorithm::parse(&header.algorithm).ok_or(JwsError::Algorithm)?;
        let key = ForeignKey::from_jwk(&jwk).map_err(ProofFault::Key)?;
        if !key.is_for(algorithm) {
            return Err(JwsError::Algorithm.into());
        }
        let thumbprint = key.thumbprint().as_str().parse().map_err(|_| JwsError::NoKey)?;
        Ok(Self { header: jws.encoded_header().into(), algorithm, key, thumbprint })
    }

    /// Its thumbprint (RFC 7638).
    pub(super) fn thumbprint(&self) -> Thumbprint {
        self.thumbprint
    }

    /// Whether its private half signed this text, which has its header.
    pub(super) fn signed(&self, jws: &CompactJws<'_>) -> bool {
        *self.header == *jws.encoded_header()
            && self.key.verifies(self.algorithm, jws.signed.as_bytes(), jws.signature)
    }
}

/// Keys of proofs that were good, by their thumbprint: the next proof with the same header need not be asked for its key
/// again, only for its signature. Bounded: 1,024 keys, which take at most 4 MiB.
pub(super) struct KnownKeys(Cache<Thumbprint, Arc<ProofKey>, UnitWeighter, FxBuildHasher>);

impl KnownKeys {
    /// How many are kept. A key that came once goes before one that came again.
    const MOST: usize = 1_024;
    /// The longest header that is kept, in bytes.
    const LONGEST: usize = 1_024;

    /// The key of a proof whose token is bound to the key of this thumbprint.
    pub(super) fn of(&self, jws: &CompactJws<'_>, jkt: Thumbprint) -> Result<Arc<ProofKey>, ProofFault> {
        match self.0.get(&jkt) {
            Some(known) if *known.header == *jws.encoded_header() => Ok(known),
            Some(_) | None => Ok(Arc::new(ProofKey::read(jws)?)),
        }
    }

    /// Remembers the key of a proof that was good.
    pub(super) fn keep(&self, key: Arc<ProofKey>) {
        let is_known = || self.0.peek(&key.thumbprint).is_some_and(|known| Arc::ptr_eq(&known, &key));
        if key.header.len() <= Self::LONGEST && !is_known() {
            self.0.insert(key.thumbprint, key);
        }
    }
}

impl Default for KnownKeys {
    fn default() -> Self {
        let room = u64::try_from(Self::MOST).unwrap_or(u64::MAX);
        Self(Cache::with(
            Self::MOST,
            room,
            UnitWeighter,
            FxBuildHasher,
            quick_cache::sync::DefaultLifecycle::default(),
        ))
    }
}

impl fmt::Debug for ProofKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("ProofKey").field(&self.thumbprint).finish()
    }
}
