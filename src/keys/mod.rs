//! The issuer's own keys: the folder in which they lie, what each does, and signing.
//!
//! What a key does follows from `keyring.yaml` and the time alone ([`Keyring::at`]); [`KeyKeeper`] changes the folder,
//! [`LiveKeys`] follows it, and nothing outside knows where a private key lives.

mod advice;
mod error;
mod folder;
mod jwks;
mod keyring;
mod keyring_file;
mod live;
mod local;
mod orders;
mod owner;
mod pem_file;
mod ring;
mod signing;
mod steps;
mod watched;

pub use advice::KeyAdvice;
pub use error::{KeyError, KeyErrors};
pub use folder::KeyFolder;
pub use jwks::JwksDocument;
pub use keyring::{InvalidKeyring, KeyEntry, KeyState, Keyring, PlannedKey};
pub use live::{KeyReload, LiveKeys};
pub use orders::{FirstKey, KeyKeeper, NewKey, OrderError, ReadyKey, ReplacedKeys, RetiredKey};
pub use pem_file::{InvalidKeyFile, Passphrase};
pub use ring::{KeyRing, KeySet, KeyTerms, LONGEST_MAX_AGE, RingKey, UnlistedKey};
pub use signing::{SigningError, SigningKey};
