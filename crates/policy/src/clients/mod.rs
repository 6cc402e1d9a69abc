//! The machines that may fetch tokens, as the files define them.

mod registry;
mod secret;

pub use registry::{
    Abilities, ApiGrant, Client, ClientKind, ClientRegistry, ClientState, GrantedRole, IntrospectedApis,
    MOST_KEYS, MOST_SECRETS,
};
pub use secret::{ClientSecret, DEMO_SECRETS, SecretHash, StoredSecret};
