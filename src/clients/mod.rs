//! The machines that may fetch tokens, and how one shows which of them it is.

mod assertion;
mod authenticate;
mod registry;
mod secret;

pub use crate::keys::{ForeignKey, InvalidPublicKey};
pub use assertion::{AssertionError, AssertionRules, ClientAssertion, MOST_KEYS};
pub use authenticate::{
    AuthenticatedClient, AuthenticationError, AuthenticationMethod, Authenticator, ClientCredentials,
};
pub use registry::{Abilities, Client, ClientKind, ClientRegistry, ClientState, Grant, GrantedRole};
pub use secret::{ClientSecret, DEMO_SECRETS, SecretHash, StoredSecret};
