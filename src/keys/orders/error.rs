//! Why an order was not carried out.

use std::path::PathBuf;

use jeton_oauth::KeyId;
use jiff::Timestamp;

use super::{KeyError, KeyErrors};

/// Why an order was not carried out.
#[derive(Debug, thiserror::Error)]
pub enum OrderError {
    /// The folder is not as it must be, or cannot be written.
    #[error(transparent)]
    Keys(#[from] KeyErrors),
    /// `generate` makes the first key only.
    #[error("{}: there is a key already (`{kid}`): `jeton keys generate` makes the first one only, `jeton keys rotate` the next", dir.display())]
    Exists {
        /// The folder.
        dir: PathBuf,
        /// The key that signs.
        kid: KeyId,
    },
    /// A next key waits already.
    #[error(
        "`{kid}` is the next key already, and signs from {from}: wait until then, or, if a key has leaked, run `jeton keys rotate --now`"
    )]
    NextExists {
        /// The next key.
        kid: KeyId,
        /// When it signs.
        from: Timestamp,
    },
    /// Nobody knows this key.
    #[error("there is no key `{0}`: `jeton keys list` shows them")]
    Unknown(String),
    /// The key signs, and no other could.
    #[error(
        "`{kid}` signs, and no key follows it: run `jeton keys rotate`, and it retires by itself at {safe_from}; if it has leaked, `jeton keys rotate --now`"
    )]
    SignsAlone {
        /// The key.
        kid: KeyId,
        /// When a key made now could sign.
        safe_from: Timestamp,
    },
    /// The key signs, and its successor was not published for long enough.
    #[error(
        "`{kid}` signs, and verifiers may not have fetched `{next}` yet: it is safe from {safe_from}; if the key has leaked, run `jeton keys rotate --now`"
    )]
    NextNotReady {
        /// The key.
        kid: KeyId,
        /// Its successor.
        next: KeyId,
        /// When the successor was published for long enough.
        safe_from: Timestamp,
    },
    /// Tokens by the key may live.
    #[error(
        "tokens that `{kid}` signed may still be valid: it is safe from {safe_from}; if the key has leaked, run `jeton keys retire {kid} --now`"
    )]
    StillNeeded {
        /// The key.
        kid: KeyId,
        /// When the last of them has ended.
        safe_from: Timestamp,
    },
    /// The next key signs in a moment; a replica may not hear of the order before.
    #[error("`{kid}` signs from {from}, in a moment: retire it when its successor signs")]
    AboutToSign {
        /// The key.
        kid: KeyId,
        /// When.
        from: Timestamp,
    },
}

impl From<KeyError> for OrderError {
    fn from(error: KeyError) -> Self {
        Self::Keys(error.into())
    }
}
