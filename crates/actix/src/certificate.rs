//! The certificate by which the client of a request is connected.

use actix_web::{HttpMessage, HttpRequest};
use jeton_oauth::Thumbprint;

/// The thumbprint of the certificate that a client showed by mutual TLS: the SHA-256 of its DER (RFC 8705 section 3.1).
/// [`Protect`](crate::Protect) looks for it in the extensions of the request first. Then it looks in the data of the
/// connection, which `HttpServer::on_connect` fills.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ClientCertificate(pub Thumbprint);

impl ClientCertificate {
    /// The one of a request, if it has one.
    pub fn of(request: &HttpRequest) -> Option<Self> {
        let of_request = request.extensions().get::<Self>().copied();
        of_request.or_else(|| request.conn_data::<Self>().copied())
    }
}
