//! The certificate of a client, as `jeton clients add` reads it.

use std::path::Path;

use anyhow::{Context, bail, ensure};
use jeton_oauth::text::unmarked;
use jeton_policy::{PolicySources, clients::CertificateHash, files};
use jeton_verify::certificate_thumbprint;
use jiff::Timestamp;
use rustls::pki_types::PrivateKeyDer;

/// What a policy file says of a certificate.
pub(super) struct AddedCertificate {
    pub(super) sha256: CertificateHash,
    /// When it ends. `None` where it says that it never does (RFC 5280 section 4.1.2.5).
    pub(super) expires: Option<Timestamp>,
}

/// Reads the one certificate of a file, which is PEM or DER.
pub(super) fn read(file: &Path, now: Timestamp) -> anyhow::Result<AddedCertificate> {
    let name = file.display();
    let bytes = files::read(file, PolicySources::LONGEST_KEYS);
    let bytes = bytes.map_err(|error| anyhow::anyhow!("{name} {error}"))?;
    let certificate = of_der(&der(&bytes).with_context(|| format!("{name} cannot be used"))?);
    let certificate = certificate.with_context(|| format!("{name} cannot be used"))?;
    if let Some(expires) = certificate.expires {
        ensure!(
            expires > now,
            "the certificate in {name} has expired at {expires}: let the client get a new one"
        );
    }
    Ok(certificate)
}

/// The DER of the certificate in a file.
fn der(bytes: &[u8]) -> anyhow::Result<Vec<u8>> {
    const PRIVATE: &str = "it has a private key: keep that with the client, and give the certificate alone";
    // what PEM begins with is no DER
    if bytes.starts_with(&[0x30]) {
        ensure!(PrivateKeyDer::try_from(bytes).is_err(), PRIVATE);
        return Ok(bytes.to_owned());
    }
    let blocks = pem::parse_many(unmarked(bytes)).context("its PEM cannot be read")?;
    ensure!(!blocks.iter().any(|block| block.tag().ends_with("PRIVATE KEY")), PRIVATE);
    if let Some(other) = blocks.iter().find(|block| block.tag() != "CERTIFICATE") {
        bail!("it has a `{}` block: give the certificate alone", other.tag());
    }
    match blocks.as_slice() {
        [] => bail!("it has no `CERTIFICATE` block, and is not DER"),
        [block] => Ok(block.contents().to_owned()),
        several => bail!("it has {} certificates: give that of the client alone", several.len()),
    }
}

fn of_der(der: &[u8]) -> anyhow::Result<AddedCertificate> {
    let (rest, certificate) =
        x509_parser::parse_x509_certificate(der).context("it is not an X.509 certificate")?;
    ensure!(rest.is_empty(), "something stands behind the certificate");
    let sha256 = *certificate_thumbprint(der).as_bytes();
    // one without an end has the last second of the year 9999, which no `Timestamp` reaches
    let expires = Timestamp::from_second(certificate.validity().not_after.timestamp()).ok();
    Ok(AddedCertificate { sha256: CertificateHash::new(sha256), expires })
}
