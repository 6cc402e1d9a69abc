//! Keys: the ones that verify, wherever they come from, and those of the issuer itself, which sign.
//!
//! A service elsewhere follows the published set ([`JwksSource`]). What a key of the issuer does follows from
//! `keyring.yaml` and the time alone (`Keyring::at`); `KeyKeeper` changes the folder, `LiveKeys` follows it, and
//! nothing outside knows where a private key lives. All that is in `own/`, which only the service itself has.

mod algorithm;
mod foreign;
mod invalid;
#[cfg(feature = "server")]
mod own;
mod public;
mod remote;
mod set;
mod sound;
mod trusted;

pub use foreign::ForeignKey;
pub use invalid::{InvalidPublicKey, PassedOver};
#[cfg(feature = "server")]
pub use own::{
    FirstKey, InvalidKeyFile, InvalidKeyring, JwksDocument, KeyEntry, KeyError, KeyErrors, KeyFolder,
    KeyKeeper, KeyReload, KeyRing, KeySet, KeyState, KeyTerms, Keyring, LONGEST_MAX_AGE, LiveKeys, NewKey,
    OrderError, Passphrase, PlannedKey, Replaced, Retired, RingKey, SigningError, SigningKey, UnlistedKey,
};
pub(crate) use public::Opened;
pub use public::{InvalidJwks, PublicKey, PublicKeys};
pub use remote::{FailedFetch, JwksOptions, JwksSource, JwksSourceError, JwksState};
pub use set::ForeignKeys;
pub use trusted::TrustedKeys;
