//! The certificate that a client shows, and the listener's part of it: that the client holds its key.

use jeton_oauth::Thumbprint;
use jeton_policy::clients::CertificateName;
use jeton_verify::certificate_thumbprint;
use jiff::Timestamp;
use rustls::{
    CertificateError, DigitallySignedStruct, DistinguishedName, Error, SignatureScheme,
    client::danger::HandshakeSignatureValid,
    crypto::{
        WebPkiSupportedAlgorithms, ring::default_provider, verify_tls12_signature, verify_tls13_signature,
    },
    pki_types::{CertificateDer, UnixTime},
    server::danger::{ClientCertVerified, ClientCertVerifier},
};
use x509_parser::{
    oid_registry::{OID_PKCS1_RSAENCRYPTION, OID_PKCS1_RSASSAPSS},
    prelude::FromDer,
    public_key::RSAPublicKey,
};

use super::{dates::dates, names};

/// A certificate that a client shows, and those that it sends along. Somebody has checked that the client holds its key: the
/// listener, or a proxy that is believed. Nothing else of it is checked.
pub struct ShownCertificate {
    leaf: CertificateDer<'static>,
    intermediates: Vec<CertificateDer<'static>>,
    thumbprint: Thumbprint,
    not_before: Timestamp,
    not_after: Timestamp,
}

/// Why what a client shows is not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadCertificate {
    /// More than anybody needs.
    #[error(
        "there are more than {} certificates, or they are longer than {} KiB together",
        ShownCertificate::MOST,
        ShownCertificate::LONGEST / 1024
    )]
    TooLong,
    /// Not X.509, or something stands behind it.
    #[error("this is not an X.509 certificate in DER")]
    NotX509,
    /// The listener would take no signature of it either.
    #[error("its key is RSA of less than {} bits", ShownCertificate::SHORTEST_RSA * 8)]
    WeakKey,
}

impl ShownCertificate {
    /// The most certificates of one client: its own, and those on the way to an authority.
    pub const MOST: usize = 8;
    /// The longest that they may be together, in bytes: each connection may hold them.
    pub const LONGEST: usize = 16 * 1024;
    /// The shortest modulus of an RSA key, in bytes: what the library takes in a handshake.
    pub const SHORTEST_RSA: usize = 256;

    /// Takes the certificate of a client, and those that it sent along. Reads the times of the first.
    ///
    /// # Errors
    /// [`BadCertificate`].
    pub fn new(
        leaf: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
    ) -> Result<Self, BadCertificate> {
        let length = leaf.len() + intermediates.iter().map(|certificate| certificate.len()).sum::<usize>();
        if intermediates.len() >= Self::MOST || length > Self::LONGEST {
            return Err(BadCertificate::TooLong);
        }
        let (not_before, not_after) = dates(leaf).map_err(|_| BadCertificate::NotX509)?;
        if has_weak_key(leaf) {
            return Err(BadCertificate::WeakKey);
        }
        let thumbprint = certificate_thumbprint(leaf);
        let leaf = leaf.clone().into_owned();
        let intermediates =
            intermediates.iter().map(|certificate| certificate.clone().into_owned()).collect();
        Ok(Self { leaf, intermediates, thumbprint, not_before, not_after })
    }

    /// The certificate.
    pub fn leaf(&self) -> &CertificateDer<'static> {
        &self.leaf
    }

    /// What was sent along, in this order.
    pub fn intermediates(&self) -> &[CertificateDer<'static>] {
        &self.intermediates
    }

    /// The SHA-256 of the certificate (RFC 8705 section 3.1).
    pub fn thumbprint(&self) -> Thumbprint {
        self.thumbprint
    }

    /// Its names, as the policies may hold one of them. Only the word of an authority makes them true.
    pub fn names(&self) -> Vec<CertificateName> {
        let parsed = x509_parser::parse_x509_certificate(&self.leaf);
        parsed.map(|(_, parsed)| names::names(&parsed)).unwrap_or_default()
    }

    /// When the certificate begins, and when it ends; both times are within.
    pub fn validity(&self) -> (Timestamp, Timestamp) {
        (self.not_before, self.not_after)
    }
}

/// Whether the key of a certificate is RSA, and too short or none. Of other keys, the handshake takes what it can check.
fn has_weak_key(certificate: &CertificateDer<'_>) -> bool {
    let Ok((_, parsed)) = x509_parser::parse_x509_certificate(certificate) else { return true };
    let key = parsed.public_key();
    if ![OID_PKCS1_RSAENCRYPTION, OID_PKCS1_RSASSAPSS].contains(&key.algorithm.algorithm) {
        return false;
    }
    let length = |key: RSAPublicKey<'_>| key.modulus.iter().skip_while(|byte| **byte == 0).count();
    let key = RSAPublicKey::from_der(&key.subject_public_key.data);
    key.map_or(true, |(_, key)| length(key) < ShownCertificate::SHORTEST_RSA)
}

/// Asks for any certificate and requires none. Checks that the client holds the key of what it shows, and nothing else: what
/// the certificate means is judged for each request, by the policies of that moment.
#[derive(Debug)]
pub(super) struct AnyCertificate(WebPkiSupportedAlgorithms);

impl AnyCertificate {
    pub(super) fn new() -> Self {
        Self(default_provider().signature_verification_algorithms)
    }
}

impl ClientCertVerifier for AnyCertificate {
    fn client_auth_mandatory(&self) -> bool {
        false
    }

    /// Clients choose a certificate by this: of an empty list, any (RFC 8446 section 4.2.4).
    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &[]
    }

    fn verify_client_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        _: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        match ShownCertificate::new(end_entity, intermediates) {
            Ok(_) => Ok(ClientCertVerified::assertion()),
            Err(BadCertificate::NotX509) => Err(CertificateError::BadEncoding.into()),
            Err(BadCertificate::TooLong | BadCertificate::WeakKey) => {
                Err(CertificateError::ApplicationVerificationFailure.into())
            }
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls12_signature(message, cert, dss, &self.0)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, cert, dss, &self.0)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.supported_schemes()
    }
}
