//! The machines that may fetch tokens, and how one shows which of them it is.

#[cfg(feature = "server")]
mod assertion;
#[cfg(feature = "server")]
mod authenticate;
mod registry;
mod secret;

pub use crate::keys::{ForeignKey, ForeignKeys, InvalidPublicKey};
#[cfg(feature = "server")]
pub use assertion::{AssertionError, AssertionRules, ClientAssertion};
#[cfg(feature = "server")]
pub use authenticate::{
    AuthenticatedClient, AuthenticationError, AuthenticationMethod, Authenticator, ClientCredentials,
};
pub use registry::{
    Abilities, Client, ClientKind, ClientRegistry, ClientState, Grant, GrantedRole, IntrospectedApis,
    MOST_KEYS, MOST_SECRETS,
};
pub use secret::{ClientSecret, DEMO_SECRETS, SecretHash, StoredSecret};
