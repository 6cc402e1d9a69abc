//! The certificates of the listeners, and the authorities of clients.

use jeton_policy::Rejection;
use serde_json::{Value, json};

use crate::tls::{LiveCertificate, TlsError, TlsErrors};

/// The certificate of a listener, as anybody may know it.
pub(crate) fn certificate(certificate: &LiveCertificate) -> Value {
    json!({
        "expires_at": certificate.expires().to_string(),
        "last_reload_error": certificate.last_rejection().map(|rejection| tls_rejection(&rejection)),
    })
}

/// Why files were not taken, as anybody may know it: without their places.
pub(crate) fn tls_rejection(rejection: &Rejection<TlsErrors>) -> Value {
    json!({
        "at": rejection.at.to_string(),
        "errors": rejection.faults.0.iter().map(TlsError::in_short).collect::<Vec<_>>(),
    })
}
