//! A certificate and its key as they stand in two files.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use jeton_oauth::text::unmarked;
use jeton_policy::files::{FileError, OpenFile, WatchedSource};
use jiff::{SignedDuration, Timestamp};
use ring::digest::{Context, SHA256};
use rustls::{
    ALL_VERSIONS, ServerConfig,
    crypto::ring::default_provider,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject},
    server::NoServerSessionStorage,
};
use zeroize::Zeroizing;

use super::{
    ClientCertificates, ListenerName, TlsError, TlsErrors, TlsFault, Validity, dates::dates,
    shown::AnyCertificate,
};
use crate::private_file;

/// The longest of the files, in bytes.
const LONGEST: u64 = 1024 * 1024;

const CERTIFICATE: &str = "CERTIFICATE";
/// PKCS#8, PKCS#1 and SEC1.
const KEYS: [&str; 3] = ["PRIVATE KEY", "RSA PRIVATE KEY", "EC PRIVATE KEY"];
/// Also how the other two say that they are encrypted, in a header of the block.
const ENCRYPTED: [&str; 2] = ["ENCRYPTED PRIVATE KEY", "Proc-Type: 4,ENCRYPTED"];

/// Where certificate and key of a listener are.
pub(super) struct PairFiles {
    pub(super) listener: ListenerName,
    pub(super) cert_file: PathBuf,
    pub(super) key_file: PathBuf,
    pub(super) client_certificates: ClientCertificates,
}

/// What two files hold.
pub(super) struct ReadPair {
    certificates: Vec<u8>,
    key: Zeroizing<Vec<u8>>,
    /// Who can read the key that should not, and what to do.
    exposed: Option<String>,
}

/// A certificate and its key, as connections are served with them.
pub struct ServedPair {
    config: Arc<ServerConfig>,
    hash: PairHash,
    not_before: Timestamp,
    not_after: Timestamp,
    exposed: Option<String>,
}

/// What tells one pair of files from another.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct PairHash([u8; 32]);

impl ServedPair {
    /// When the certificate begins.
    pub fn not_before(&self) -> Timestamp {
        self.not_before
    }

    /// When the certificate ends.
    pub fn not_after(&self) -> Timestamp {
        self.not_after
    }

    /// Who can read the key file that should not, and what to do about it.
    pub fn exposed_key(&self) -> Option<&str> {
        self.exposed.as_deref()
    }

    pub(super) fn config(&self) -> &Arc<ServerConfig> {
        &self.config
    }

    pub(super) fn validity(&self, now: Timestamp, ahead: SignedDuration) -> Validity {
        if now < self.not_before {
            Validity::NotYet(self.not_before)
        } else if now > self.not_after {
            Validity::Ended(self.not_after)
        } else if self.not_after.duration_since(now) <= ahead {
            Validity::EndsSoon(self.not_after)
        } else {
            Validity::Good
        }
    }
}

impl PairFiles {
    fn of_certificate(&self, fault: TlsFault) -> TlsError {
        TlsError::of_certificate(self.listener, &self.cert_file, fault)
    }

    fn of_key(&self, fault: TlsFault) -> TlsError {
        TlsError::of_key(self.listener, &self.key_file, fault)
    }

    /// The key, and a warning if others can read it.
    fn read_key(&self) -> Result<(Zeroizing<Vec<u8>>, Option<String>), FileError> {
        let file = OpenFile::open(&self.key_file, LONGEST)?;
        let name = self.key_file.display();
        // unlike a signing key, it is taken all the same: ACME clients and mounted Secrets set the mode
        let exposed = private_file::readers(&self.key_file, file.metadata()).err();
        let exposed = exposed.map(|exposed| format!("the file `{name}` is {}", exposed.of(&name)));
        Ok((Zeroizing::new(file.read()?), exposed))
    }
}

impl WatchedSource for PairFiles {
    type Look = PairHash;
    type Content = ReadPair;
    type Value = ServedPair;
    type Faults = TlsErrors;

    fn look(&self) -> Result<PairHash, TlsErrors> {
        self.read().map(|pair| Self::look_of(&pair))
    }

    fn read(&self) -> Result<ReadPair, TlsErrors> {
        let certificates = read_file(&self.cert_file).map_err(|error| self.of_certificate(error.into()));
        let key = self.read_key().map_err(|error| self.of_key(error.into()));
        let (certificates, (key, exposed)) = both(certificates, key)?;
        Ok(ReadPair { certificates, key, exposed })
    }

    fn look_of(pair: &ReadPair) -> PairHash {
        let mut context = Context::new(&SHA256);
        context.update(&(pair.certificates.len() as u64).to_be_bytes());
        context.update(&pair.certificates);
        context.update(&pair.key);
        let mut hash = [0; 32];
        hash.copy_from_slice(context.finish().as_ref());
        PairHash(hash)
    }

    fn understand(&self, pair: ReadPair) -> Result<ServedPair, TlsErrors> {
        let hash = Self::look_of(&pair);
        let chain = certificates(&pair.certificates).map_err(|fault| self.of_certificate(fault));
        let key = key(&pair.key).map_err(|fault| self.of_key(fault));
        let (chain, key) = both(chain, key)?;
        let validity = chain.first().ok_or(TlsFault::NoBlock(CERTIFICATE)).and_then(dates);
        let (not_before, not_after) = validity.map_err(|fault| self.of_certificate(fault))?;
        let config = config(chain, key, self.client_certificates).map_err(|fault| match fault {
            fault @ TlsFault::BadCertificate { .. } => self.of_certificate(fault),
            fault => self.of_key(fault),
        })?;
        Ok(ServedPair { config: Arc::new(config), hash, not_before, not_after, exposed: pair.exposed })
    }

    fn is_same_fault(one: &TlsErrors, other: &TlsErrors) -> bool {
        one.to_string() == other.to_string()
    }

    fn is_of(pair: &ServedPair, hash: &PairHash) -> bool {
        pair.hash == *hash
    }
}

pub(super) fn read_file(path: &Path) -> Result<Vec<u8>, FileError> {
    OpenFile::open(path, LONGEST)?.read()
}

/// Both, or everything that is wrong.
fn both<A, B>(one: Result<A, TlsError>, other: Result<B, TlsError>) -> Result<(A, B), TlsErrors> {
    match (one, other) {
        (Ok(one), Ok(other)) => Ok((one, other)),
        (one, other) => Err(TlsErrors(one.err().into_iter().chain(other.err()).collect())),
    }
}

impl From<TlsError> for TlsErrors {
    fn from(error: TlsError) -> Self {
        Self(vec![error])
    }
}

/// The labels of the blocks of a PEM text, each of which has an end (RFC 7468).
fn labels(bytes: &[u8], der: TlsFault) -> Result<Vec<&str>, TlsFault> {
    if bytes.is_empty() {
        return Err(TlsFault::Empty);
    }
    if let Some(kind) = DerKind::of(bytes) {
        return Err(match kind {
            DerKind::Pkcs12 => TlsFault::Pkcs12,
            DerKind::Other => der,
        });
    }
    let text = str::from_utf8(unmarked(bytes)).map_err(|_| TlsFault::NotPem)?;
    let mut labels = Vec::new();
    let mut open = None;
    for line in text.lines().map(str::trim_ascii) {
        let label = |mark: &str| line.strip_prefix(mark)?.strip_suffix("-----");
        match (label("-----BEGIN "), label("-----END "), open) {
            (Some(label), _, None) => open = Some(label),
            (None, Some(label), Some(begun)) if label == begun => {
                labels.push(label);
                open = None;
            }
            (Some(_), ..) | (_, Some(_), _) => return Err(TlsFault::Malformed),
            (None, None, _) => {}
        }
    }
    if open.is_some() { Err(TlsFault::Incomplete) } else { Ok(labels) }
}

/// What stands in a binary file.
enum DerKind {
    Pkcs12,
    Other,
}

impl DerKind {
    /// A sequence; of PKCS#12 it begins with the version 3 (RFC 7292 section 4).
    fn of(bytes: &[u8]) -> Option<Self> {
        let content = match bytes {
            [0x30, 0x82, _, _, content @ ..] | [0x30, 0x81, _, content @ ..] | [0x30, 0x80, content @ ..] => {
                content
            }
            [0x30, 0x83, _, _, _, content @ ..] => content,
            _ => return None,
        };
        Some(if content.starts_with(&[0x02, 0x01, 0x03]) { Self::Pkcs12 } else { Self::Other })
    }
}

/// The certificates of a file: that of the server, then those of its issuers.
pub(super) fn certificates(bytes: &[u8]) -> Result<Vec<CertificateDer<'static>>, TlsFault> {
    let labels = labels(bytes, TlsFault::CertificateInDer)?;
    let is_key = |label: &&&str| label.ends_with("PRIVATE KEY");
    let has_certificate = labels.contains(&CERTIFICATE);
    match labels.iter().find(|label| **label != CERTIFICATE) {
        Some(label) if is_key(&label) && !has_certificate => return Err(TlsFault::KeyForCertificate),
        Some(label) if is_key(&label) => return Err(TlsFault::KeyAmongCertificates),
        Some(label) => return Err(TlsFault::ForeignBlock(label.chars().take(80).collect())),
        None if labels.is_empty() => return Err(TlsFault::NoBlock(CERTIFICATE)),
        None => {}
    }
    let chain = CertificateDer::pem_slice_iter(unmarked(bytes)).collect::<Result<Vec<_>, _>>();
    let chain = chain.map_err(|_| TlsFault::Malformed)?;
    for (position, certificate) in chain.iter().enumerate() {
        dates(certificate).map_err(|fault| match fault {
            TlsFault::BadCertificate { reason, .. } => {
                TlsFault::BadCertificate { number: position + 1, reason }
            }
            fault => fault,
        })?;
    }
    Ok(chain)
}

/// The key of a file. What else may stand beside it, such as parameters of a curve, is passed over.
fn key(bytes: &[u8]) -> Result<PrivateKeyDer<'static>, TlsFault> {
    let labels = labels(bytes, TlsFault::KeyInDer)?;
    if ENCRYPTED.iter().any(|mark| contains(bytes, mark.as_bytes())) {
        return Err(TlsFault::Encrypted);
    }
    match labels.iter().filter(|label| KEYS.contains(label)).count() {
        1 => {}
        0 if labels.iter().any(|label| label.ends_with("PRIVATE KEY")) => return Err(TlsFault::BadKey),
        0 if labels.contains(&CERTIFICATE) => return Err(TlsFault::CertificateForKey),
        0 => return Err(TlsFault::NoBlock("PRIVATE KEY")),
        several => return Err(TlsFault::SeveralKeys(several)),
    }
    PrivateKeyDer::from_pem_slice(unmarked(bytes)).map_err(|_| TlsFault::Malformed)
}

fn contains(bytes: &[u8], mark: &[u8]) -> bool {
    bytes.windows(mark.len()).any(|window| window == mark)
}

/// How connections are served with a pair: HTTP/1.1 alone, for of HTTP/2 the HTTP library bounds neither streams nor
/// bodies. A session is resumed with its own pair alone.
fn config(
    chain: Vec<CertificateDer<'static>>,
    key: PrivateKeyDer<'static>,
    client_certificates: ClientCertificates,
) -> Result<ServerConfig, TlsFault> {
    let builder = ServerConfig::builder_with_provider(Arc::new(default_provider()));
    let builder = builder.with_protocol_versions(ALL_VERSIONS).map_err(TlsFault::Refused)?;
    let builder = match client_certificates {
        ClientCertificates::Off => builder.with_no_client_auth(),
        ClientCertificates::Optional => builder.with_client_cert_verifier(Arc::new(AnyCertificate::new())),
    };
    let config = builder.with_single_cert(chain, key);
    let mut config = config.map_err(|error| match error {
        rustls::Error::InconsistentKeys(_) => TlsFault::Mismatch,
        rustls::Error::InvalidCertificate(reason) => {
            TlsFault::BadCertificate { number: 1, reason: reason.to_string() }
        }
        // what the provider says of a key that it cannot use
        rustls::Error::General(_) => TlsFault::BadKey,
        error => TlsFault::Refused(error),
    })?;
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    if client_certificates == ClientCertificates::Optional {
        // each connection shows its certificate anew: no session can keep one, or bring that of another connection
        config.session_storage = Arc::new(NoServerSessionStorage {});
        config.send_tls13_tickets = 0;
    }
    Ok(config)
}
