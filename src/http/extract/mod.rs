//! From raw requests to the types of the core.

mod bearer;
mod body;
mod credentials;
mod form;
mod forwarded;
mod protect;

pub use bearer::{BearerFault, bearer_token};
pub(super) use body::{BodyFault, body};
pub(super) use credentials::client_credentials;
pub(super) use form::Form;
pub(super) use forwarded::{ForwardedRequest, Question};
pub use protect::Protect;
