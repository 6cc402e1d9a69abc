//! The machines that may fetch tokens, and how one shows which of them it is.

#[cfg(feature = "server")]
mod assertion;
#[cfg(feature = "server")]
mod authenticate;

pub use crate::keys::{ForeignKey, ForeignKeys, InvalidPublicKey};
#[cfg(feature = "server")]
pub use assertion::{AssertionError, AssertionRules, ClientAssertion};
#[cfg(feature = "server")]
pub use authenticate::{
    AuthenticatedClient, AuthenticationError, AuthenticationMethod, Authenticator, ClientCredentials,
};
pub use jeton_policy::clients::{
    Abilities, Client, ClientKind, ClientRegistry, ClientSecret, ClientState, DEMO_SECRETS, Grant,
    GrantedRole, IntrospectedApis, MOST_KEYS, MOST_SECRETS, SecretHash, StoredSecret,
};
