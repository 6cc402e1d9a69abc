//! The authorities whose word about a client counts: a file that is read as a whole, and again while the server runs.

use std::{path::PathBuf, sync::Arc};

use jeton_oauth::clock::Clock;
use jeton_policy::files::{Latest, Rejection, Reload, Swapped, WatchedSource};
use jiff::Timestamp;
use ring::digest::{SHA256, digest};
use rustls::{
    RootCertStore,
    crypto::ring::default_provider,
    pki_types::{CertificateDer, UnixTime},
    server::{WebPkiClientVerifier, danger::ClientCertVerifier},
};
use x509_parser::extensions::KeyUsage;

use super::{
    ShownCertificate, TlsError, TlsErrors, TlsFault,
    pair::{certificates, read_file},
};

/// The setting that names the file.
const SETTING: &str = "server.client_ca_file";

/// Where the certificates of authorities are.
pub struct AuthorityFile(PathBuf);

/// Authorities, as certificates of clients are checked against them.
pub struct ClientAuthorities {
    verifier: Arc<dyn ClientCertVerifier>,
    count: usize,
    hash: FileHash,
}

/// What tells one file from another.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct FileHash([u8; 32]);

/// The outcome of a reading of the file.
pub type AuthoritiesReload = Reload<Swapped<ClientAuthorities>, TlsErrors>;

/// The authorities in force. Requests are never kept waiting; others replace them as a whole.
pub struct LiveAuthorities(Latest<AuthorityFile>);

impl ClientAuthorities {
    /// How many there are.
    pub fn count(&self) -> usize {
        self.count
    }

    /// Whether one of them, by way of the certificates that were sent along, says at this time that the certificate is a
    /// client's: signatures, times, extended usages and name constraints as the library checks them (RFC 5280 section 6),
    /// and the usages of the keys, which it does not.
    ///
    /// # Errors
    /// Why not, for the log.
    pub fn vouch_for(&self, shown: &ShownCertificate, now: Timestamp) -> Result<(), String> {
        if !has_usage(shown.leaf(), |usage| usage.digital_signature() || usage.key_agreement()) {
            return Err("its key usage has neither digitalSignature nor keyAgreement".to_owned());
        }
        // one that may not sign is as if it had not been sent: the path may lead by another with the same key
        let signing = |certificate: &&CertificateDer<'_>| has_usage(certificate, KeyUsage::key_cert_sign);
        let signers: Vec<_> = shown
            .intermediates()
            .iter()
            .filter(signing)
            .map(|der| CertificateDer::from(der.as_ref()))
            .collect();
        let now = u64::try_from(now.as_second()).unwrap_or_default();
        let now = UnixTime::since_unix_epoch(std::time::Duration::from_secs(now));
        let verified = self.verifier.verify_client_cert(shown.leaf(), &signers, now);
        verified.map(drop).map_err(|error| {
            let reason = match error {
                rustls::Error::InvalidCertificate(reason) => reason.to_string(),
                error => error.to_string(),
            };
            match shown.intermediates().len() - signers.len() {
                0 => reason,
                unfit => {
                    format!("{reason}; {unfit} of those sent along have a key usage without keyCertSign")
                }
            }
        })
    }
}

impl LiveAuthorities {
    /// Reads the file for the first time.
    ///
    /// # Errors
    /// What is wrong with it, by setting and file.
    pub fn load(file: PathBuf, clock: Arc<dyn Clock>) -> Result<Self, TlsErrors> {
        Latest::load(AuthorityFile(file), clock).map(Self)
    }

    /// Those in force now.
    pub fn current(&self) -> Arc<ClientAuthorities> {
        self.0.snapshot()
    }

    /// The last reading that could not take over, if none has since.
    pub fn last_rejection(&self) -> Option<Arc<Rejection<TlsErrors>>> {
        self.0.last_rejection()
    }

    /// Reads the file again, and lets it take over if it holds something else and nothing is wrong.
    pub(crate) fn reload(&self) -> AuthoritiesReload {
        self.0.reload()
    }

    /// As [`Self::reload`], but only what two polls in a row saw.
    pub(crate) fn poll(&self) -> AuthoritiesReload {
        self.0.poll()
    }

    /// Notes that a reload did not come to its end; what was in force stays.
    pub(crate) fn reload_failed(&self) {
        let error = TlsError { setting: SETTING.to_owned(), file: None, fault: TlsFault::Failed };
        self.0.failed(error.into());
    }
}

impl AuthorityFile {
    fn wrong(&self, fault: TlsFault) -> TlsErrors {
        TlsError { setting: SETTING.to_owned(), file: Some(self.0.clone()), fault }.into()
    }
}

impl WatchedSource for AuthorityFile {
    type Look = FileHash;
    type Content = Vec<u8>;
    type Value = ClientAuthorities;
    type Faults = TlsErrors;

    fn look(&self) -> Result<FileHash, TlsErrors> {
        self.read().map(|bytes| Self::look_of(&bytes))
    }

    fn read(&self) -> Result<Vec<u8>, TlsErrors> {
        read_file(&self.0).map_err(|error| self.wrong(error.into()))
    }

    fn look_of(bytes: &Vec<u8>) -> FileHash {
        let mut hash = [0; 32];
        hash.copy_from_slice(digest(&SHA256, bytes).as_ref());
        FileHash(hash)
    }

    fn understand(&self, bytes: Vec<u8>) -> Result<ClientAuthorities, TlsErrors> {
        let hash = Self::look_of(&bytes);
        authorities(&bytes, hash).map_err(|fault| self.wrong(fault))
    }

    fn is_same_fault(one: &TlsErrors, other: &TlsErrors) -> bool {
        one.to_string() == other.to_string()
    }

    fn is_of(authorities: &ClientAuthorities, hash: &FileHash) -> bool {
        authorities.hash == *hash
    }
}

fn authorities(bytes: &[u8], hash: FileHash) -> Result<ClientAuthorities, TlsFault> {
    let certificates = certificates(bytes).map_err(|fault| match fault {
        TlsFault::KeyForCertificate | TlsFault::KeyAmongCertificates => TlsFault::KeyAmongAuthorities,
        TlsFault::ForeignBlock(label) => TlsFault::ForeignBlockAmongAuthorities(label),
        fault => fault,
    })?;
    let mut roots = RootCertStore::empty();
    for (position, certificate) in certificates.iter().enumerate() {
        let number = position + 1;
        if !is_authority(certificate) {
            return Err(TlsFault::NoAuthority { number });
        }
        roots
            .add(certificate.clone())
            .map_err(|error| TlsFault::BadCertificate { number, reason: error.to_string() })?;
    }
    let provider = Arc::new(default_provider());
    let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider).build();
    // without an authority, or with a list of revoked certificates that is not sound; there is none
    let verifier = verifier.map_err(|error| TlsFault::Refused(rustls::Error::General(error.to_string())))?;
    Ok(ClientAuthorities { verifier, count: certificates.len(), hash })
}

/// Whether a certificate says that its key signs others. The library takes any as an authority that it is given: the key of
/// a client that stands in this file could so make certificates for all others.
fn is_authority(certificate: &CertificateDer<'_>) -> bool {
    let parsed = x509_parser::parse_x509_certificate(certificate);
    parsed.is_ok_and(|(_, parsed)| parsed.is_ca()) && has_usage(certificate, KeyUsage::key_cert_sign)
}

/// Whether the key of a certificate has a usage. It has every one where none is named; one that cannot be read is none (RFC
/// 5280 sections 4.2.1.3 and 6.1.4 (n)).
fn has_usage(certificate: &CertificateDer<'_>, usage: impl FnOnce(&KeyUsage) -> bool) -> bool {
    let Ok((_, parsed)) = x509_parser::parse_x509_certificate(certificate) else { return false };
    parsed.key_usage().is_ok_and(|named| named.is_none_or(|named| usage(named.value)))
}
