//! What must be seen once over all replicas: single uses, refresh families, revoked tokens.
//!
//! In memory it holds for one process. With a Redis or Valkey server ([`SharedStore`]) it holds for every
//! replica that shares the server. A decision never asks the server: what is revoked is mirrored in memory.
//!
//! | key | holds |
//! |---|---|
//! | `PREFIX:once:NAME` | one single use; `NAME` is the base64url of an [`OnceName`] |
//! | `PREFIX:family:ID` | the generation that a refresh family expects next, or `ended` |
//! | `PREFIX:used:{PREFIX:family:ID}` | of the one before: generation, hash of the scopes and time (ms, the server's) of its first use, as long as a retry is taken |
//! | `PREFIX:revoked` | the revoked tokens, a sorted set in the order in which they came |
//! | `PREFIX:probe` | that the server takes writes |
//!
//! A script touches keys of one slot only, so a server in cluster mode takes it.
//!
//! The server must not evict keys (`maxmemory-policy noeviction`): a single use that it forgets can be
//! repeated.

mod backend;
mod expiring;
mod follow;
mod memory;
mod mirror;
mod shared;

use std::time::Duration;

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use jeton_oauth::{ScopeSet, TokenId};
use jeton_verify::{Revocations, RevocationsUnknown};
use redis::RedisError;
use ring::digest::{Context, SHA256};

pub use memory::MemoryStore;
pub use shared::{SharedStore, SharedStoreOptions, StoreOptionsError};

/// Where single uses and revocations are kept.
pub enum Store {
    /// In this process alone.
    Memory(MemoryStore),
    /// On a server that all replicas share.
    Shared(SharedStore),
}

/// Whether a name was used before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NameUse {
    /// This is the first use.
    First,
    /// It was used before.
    Again,
}

/// One use of a refresh token.
#[derive(Clone, Copy, Debug)]
pub struct RefreshUse<'u> {
    /// Its family.
    pub family: &'u TokenId,
    /// Which one of it, from 0.
    pub generation: u32,
    /// The scopes that the request asks for, granted still or not. A retry asks for the same.
    pub scopes: &'u ScopeSet,
    /// Until when the family is known, in seconds since 1970-01-01T00:00:00Z.
    pub until: i64,
    /// For how long after its first use it is taken again, by the server's clock; zero for never.
    pub grace: Duration,
}

/// What came of using a generation of a refresh family.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FamilyAdvance {
    /// It was the one to be used; the family expects the next one now.
    Taken,
    /// It was used a moment ago for the same scopes, and the next one was not: the answer was lost, or two ask at
    /// once. The family expects the next one still.
    Retried,
    /// It was used before, so two parties hold the family: it is ended now.
    Reused,
    /// The family was ended before.
    Ended,
}

/// How the store is, for the readiness of the service.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StoreState {
    /// It is in memory, and so always there.
    Memory,
    /// The server answers.
    Ready,
    /// What is revoked was not read since the start: no token can be judged.
    NotYetRead,
    /// The server does not answer. What it told is known still; what needs it fails.
    Unreachable,
}

/// A name of which the first use alone counts: the first 16 bytes of a SHA-256.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct OnceName([u8; 16]);

/// Why the store did not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The server does not answer in time, or not as it should.
    #[error("the shared store cannot be used: {0}")]
    Unreachable(#[source] RedisError),
    /// The bound of the memory is reached; nothing that still counts was forgotten for it.
    #[error("the store is full: try again when older entries have expired, or give it more memory")]
    Full,
    /// The store cannot be set up like this.
    #[error(transparent)]
    Options(#[from] StoreOptionsError),
}

impl Store {
    /// Notes one use of `name`, kept until `until` (seconds since 1970-01-01T00:00:00Z).
    ///
    /// # Errors
    /// [`StoreError::Unreachable`] within about a second, or [`StoreError::Full`]: the use may or may not
    /// have been noted, so the caller refuses.
    pub async fn use_once(&self, name: OnceName, until: i64) -> Result<NameUse, StoreError> {
        match self {
            Self::Memory(memory) => memory.use_once(name, until),
            Self::Shared(shared) => shared.use_once(name, until).await,
        }
    }

    /// The shared store, if it is one.
    pub fn shared(&self) -> Option<&SharedStore> {
        match self {
            Self::Memory(_) => None,
            Self::Shared(shared) => Some(shared),
        }
    }

    /// How the store is.
    pub fn state(&self) -> StoreState {
        match self {
            Self::Memory(_) => StoreState::Memory,
            Self::Shared(shared) => shared.state(),
        }
    }
}

/// Whether a token was revoked by [`SharedStore::revoke`]. Without a shared store nothing is revoked here.
impl Revocations for Store {
    fn is_revoked(&self, token: &str) -> Result<bool, RevocationsUnknown> {
        match self {
            Self::Memory(_) => Ok(false),
            Self::Shared(shared) => shared.is_revoked(token),
        }
    }
}

impl OnceName {
    /// The name of these parts, each with its length before it, so that no two lists of parts are one name.
    pub fn of(parts: &[&[u8]]) -> Self {
        let mut context = Context::new(&SHA256);
        for part in parts {
            context.update(&u64::try_from(part.len()).unwrap_or(u64::MAX).to_be_bytes());
            context.update(part);
        }
        let digest = context.finish();
        let mut name = [0; 16];
        name.iter_mut().zip(digest.as_ref()).for_each(|(to, from)| *to = *from);
        Self(name)
    }

    /// The name as base64url without padding.
    fn text(self) -> String {
        URL_SAFE_NO_PAD.encode(self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::OnceName;

    #[test]
    fn other_parts_are_another_name() {
        let name = OnceName::of(&[b"client", b"jti"]);
        assert_eq!(name, OnceName::of(&[b"client", b"jti"]));
        for other in [
            &[b"clientjti".as_slice()] as &[&[u8]],
            &[b"clien", b"tjti"],
            &[b"jti", b"client"],
            &[b"client", b"jti", b""],
            &[b"", b"client", b"jti"],
            &[],
        ] {
            assert_ne!(name, OnceName::of(other), "{other:?}");
        }
    }

    /// Replicas of different versions share the names.
    #[test]
    fn a_name_stays_what_it_is() {
        assert_eq!(OnceName::of(&[b"a", b"b"]).text(), "PJ1ZEEW8iHb50Dmbv7Bcag");
    }
}
