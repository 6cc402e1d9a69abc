//! How a client shows which of those it is that the policies name.

mod assertion;
mod authenticator;
mod error;
mod uses;

pub use assertion::{AssertionRules, ClientAssertion};
pub use authenticator::{AuthenticatedClient, AuthenticationMethod, Authenticator, ClientCredentials};
pub use error::{AssertionError, AuthenticationError};
pub use uses::SecretUses;
