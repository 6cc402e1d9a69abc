//! What a request shows beside its token.

use aws_lc_rs::digest;
use jeton_oauth::Thumbprint;

/// The `DPoP` headers of a request. Exactly one is right (RFC 9449 section 4.3).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ShownProof<'r> {
    /// There is no header.
    #[default]
    None,
    /// The bytes of the value of the only one.
    One(&'r [u8]),
    /// There are several, of which some programs read the first and others the last.
    Several,
}

impl<'r> ShownProof<'r> {
    /// By the values of all `DPoP` headers.
    pub fn of(headers: impl IntoIterator<Item = &'r [u8]>) -> Self {
        let mut headers = headers.into_iter();
        match (headers.next(), headers.next()) {
            (None, _) => Self::None,
            (Some(only), None) => Self::One(only),
            (Some(_), Some(_)) => Self::Several,
        }
    }
}

/// What a request shows beside its token. Most show nothing: `Shown::default()`.
#[derive(Clone, Copy, Debug, Default)]
pub struct Shown<'r> {
    /// Its `DPoP` headers.
    pub proof: ShownProof<'r>,
    /// The thumbprint of the certificate by which the client is connected: the SHA-256 of its DER. Whoever fills this in
    /// must know it from the TLS connection, or from a proxy that does.
    pub certificate: Option<Thumbprint>,
    /// The path by which the client asked, without a query, where that is another than the target that is judged: a
    /// target below a prefix.
    pub path: Option<&'r str>,
}

impl<'r> Shown<'r> {
    /// By the values of all `DPoP` headers, without a certificate.
    pub fn of_headers(dpop: impl IntoIterator<Item = &'r [u8]>) -> Self {
        Self { proof: ShownProof::of(dpop), ..Self::default() }
    }

    /// With the thumbprint of the client's certificate.
    #[must_use]
    pub fn with_certificate(self, certificate: Option<Thumbprint>) -> Self {
        Self { certificate, ..self }
    }

    /// With the path by which the client asked.
    #[must_use]
    pub fn at_path(self, path: &'r str) -> Self {
        Self { path: Some(path), ..self }
    }
}

/// The thumbprint of a certificate, of its DER (RFC 8705 section 3.1).
pub fn certificate_thumbprint(der: &[u8]) -> Thumbprint {
    let mut hash = [0; 32];
    hash.copy_from_slice(digest::digest(&digest::SHA256, der).as_ref());
    Thumbprint::new(hash)
}
