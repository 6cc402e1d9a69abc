//! Keys: the ones that verify, wherever they come from, and those of the issuer itself, which sign.
//!
//! A service elsewhere follows the published set ([`JwksSource`]). What a key of the issuer does follows from
//! `keyring.yaml` and the time alone (`Keyring::at`); `KeyKeeper` changes the folder, `LiveKeys` follows it, and
//! nothing outside knows where a private key lives. All that is in `own/`, which only the service itself has.

mod own;

pub use jeton_jose::{
    ForeignKey, ForeignKeys, InvalidJwks, InvalidPublicKey, PassedOver, PublicKey, PublicKeys, VerifiedJws,
};
pub use jeton_verify::keys::{
    FailedFetch, JwksOptions, JwksSource, JwksSourceError, JwksState, KeySource, TrustedKeys,
};
pub use own::{
    FirstKey, InvalidKeyFile, InvalidKeyring, JwksDocument, KeyEntry, KeyError, KeyErrors, KeyFolder,
    KeyKeeper, KeyReload, KeyRing, KeySet, KeyState, KeyTerms, Keyring, LONGEST_MAX_AGE, LiveKeys, NewKey,
    OrderError, Passphrase, PlannedKey, Replaced, Retired, RingKey, SigningError, SigningKey, UnlistedKey,
};
