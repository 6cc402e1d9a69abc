//! From raw requests to the types of the core.

mod address;
mod body;
mod certificate;
mod credentials;
mod form;
mod forwarded;

pub(super) use address::TrustedProxies;
pub use address::client_address;
pub(super) use body::json;
pub(crate) use body::{BodyFault, BodyLimit, body, is_json};
pub use certificate::{CertificateFault, certificate_of_headers};
pub(super) use certificate::{CertificateProxies, ShowCertificate};
pub(super) use credentials::{claimed_by_basic, client_credentials, has_credentials};
pub(super) use form::Form;
pub use forwarded::{ForwardedFault, ForwardedHost, ForwardedRequest, Forwarding};
