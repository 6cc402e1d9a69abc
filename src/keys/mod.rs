//! Keys: the ones that sign, the ones that verify, and the folder in which they lie.

mod folder;
mod foreign;
mod jwks;
mod public;
mod ring;
mod signing;

pub use folder::{FirstKey, KeyError, KeyErrors, KeyFile, KeyFolder};
pub use foreign::{ForeignKey, InvalidPublicKey, SignatureAlgorithm};
pub use jwks::JwksDocument;
pub(crate) use public::Opened;
pub use public::{InvalidJwks, PublicKey, PublicKeys};
pub use ring::{KeyRing, RingKey};
pub use signing::{SigningError, SigningKey};
