//! Keys: the ones that sign, the ones that verify, and the folder in which they lie.
//!
//! What a key does follows from `keyring.yaml` and the time alone ([`Keyring::at`]); [`KeyKeeper`] changes the
//! folder, [`LiveKeys`] follows it, and nothing outside knows where a private key lives. A service elsewhere follows the
//! published set ([`JwksSource`]).

mod algorithm;
mod error;
mod folder;
mod foreign;
mod jwks;
mod keyring;
mod keyring_file;
mod live;
mod local;
mod orders;
mod owner;
mod pem_file;
mod public;
mod remote;
mod ring;
mod signing;
mod steps;
mod trusted;

pub use error::{KeyError, KeyErrors};
pub use folder::KeyFolder;
pub use foreign::{ForeignKey, InvalidPublicKey};
pub use jwks::JwksDocument;
pub use keyring::{InvalidKeyring, KeyEntry, KeyState, Keyring, PlannedKey};
pub use live::{KeyReload, LiveKeys, RejectedKeys};
pub use orders::{FirstKey, KeyKeeper, NewKey, OrderError, Replaced, Retired};
pub use pem_file::{InvalidKeyFile, Passphrase};
pub(crate) use public::Opened;
pub use public::{InvalidJwks, PublicKey, PublicKeys};
pub use remote::{FailedFetch, JwksOptions, JwksSource, JwksSourceError, JwksState};
pub use ring::{KeyRing, KeySet, KeyTerms, LONGEST_MAX_AGE, RingKey, UnlistedKey};
pub use signing::{SigningError, SigningKey};
pub use trusted::TrustedKeys;
