//! The dates of a certificate.

use jiff::Timestamp;
use rustls::pki_types::CertificateDer;

use super::TlsFault;

/// When a certificate begins and ends. One without an end (RFC 5280 section 4.1.2.5) says so by the last second of the
/// year 9999, which no [`Timestamp`] reaches: the last that there is stands for it.
pub(super) fn dates(certificate: &CertificateDer<'_>) -> Result<(Timestamp, Timestamp), TlsFault> {
    let bad = |reason: String| TlsFault::BadCertificate { number: 1, reason };
    let (rest, parsed) =
        x509_parser::parse_x509_certificate(certificate).map_err(|error| bad(error.to_string()))?;
    if !rest.is_empty() {
        return Err(bad("something stands behind it in its block".to_owned()));
    }
    let validity = parsed.validity();
    let (first, last) = (Timestamp::MIN.as_second(), Timestamp::MAX.as_second());
    let time = |seconds: i64| {
        Timestamp::from_second(seconds.clamp(first, last)).map_err(|error| bad(error.to_string()))
    };
    Ok((time(validity.not_before.timestamp())?, time(validity.not_after.timestamp())?))
}
