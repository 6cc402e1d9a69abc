//! How a client shows which of those it is that the policies name.

mod assertion;
mod authenticator;
mod certificate;
mod error;
mod uses;

pub use assertion::{AssertionRules, ClientAssertion};
pub use authenticator::{AuthenticatedClient, AuthenticationMethod, Authenticator, ClientCredentials};
pub use certificate::CertificateRules;
pub use error::{AssertionError, AuthenticationError, CertificateError};
pub use uses::SecretUses;
