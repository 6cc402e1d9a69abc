//! From raw requests to the types of the core.

mod bearer;
#[cfg(feature = "server")]
mod body;
#[cfg(feature = "server")]
mod credentials;
mod encoding;
#[cfg(feature = "server")]
mod form;
#[cfg(feature = "server")]
mod forwarded;
mod protect;

pub use bearer::{BearerFault, bearer_token};
#[cfg(feature = "server")]
pub(super) use body::{BodyFault, body};
#[cfg(feature = "server")]
pub(super) use credentials::client_credentials;
#[cfg(feature = "server")]
pub(super) use form::Form;
#[cfg(feature = "server")]
pub(super) use forwarded::{ForwardedHost, ForwardedRequest, Forwarding};
pub use protect::{Caller, Protect};
