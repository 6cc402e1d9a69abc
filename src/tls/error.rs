//! What may be wrong with a certificate and its key.

use std::{
    fmt,
    path::{Path, PathBuf},
};

use jeton_policy::files::FileError;

use super::ListenerName;

/// Everything that is wrong with the certificate of a listener and its key.
#[derive(Debug)]
pub struct TlsErrors(pub Vec<TlsError>);

/// What is wrong with one of the two files.
#[derive(Debug, thiserror::Error)]
#[error("`{setting}`: {}", self.of_file())]
pub struct TlsError {
    /// The setting that names it, such as `server.tls.cert_file`.
    pub setting: String,
    /// The file.
    pub file: Option<PathBuf>,
    /// What is wrong, and the fix.
    #[source]
    pub fault: TlsFault,
}

/// Why a file is not what it must be. Never quotes it.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TlsFault {
    /// The system refused, or it is no file.
    #[error("{0}")]
    Unreadable(#[from] FileError),
    /// There is nothing in it.
    #[error("is empty: it may be half written")]
    Empty,
    /// The binary form of a certificate.
    #[error("is DER and not PEM: convert it with `openssl x509 -inform der -in FILE -out cert.pem`")]
    CertificateInDer,
    /// The binary form of a key.
    #[error("is DER and not PEM: convert it with `openssl pkey -inform der -in FILE -out key.pem`")]
    KeyInDer,
    /// Both in one file, as some programs export them.
    #[error(
        "is PKCS#12 and not PEM: take it apart with `openssl pkcs12 -in FILE -nokeys -out cert.pem` and `openssl pkcs12 -in FILE -nocerts -noenc -out key.pem`"
    )]
    Pkcs12,
    /// Something else than text.
    #[error("is neither PEM nor any other form of a certificate or key")]
    NotPem,
    /// Text without a block.
    #[error("holds no `-----BEGIN {0}-----`")]
    NoBlock(&'static str),
    /// A block without an end.
    #[error("ends within a block: it may be half written")]
    Incomplete,
    /// A block that holds no Base64.
    #[error("holds a block that is not well-formed PEM: it may be damaged")]
    Malformed,
    /// A block for something else.
    #[error("holds a block `{0}`: write certificates alone, that of this server first")]
    ForeignBlock(String),
    /// A secret where everybody reads.
    #[error("holds a private key: write it into `key_file` alone, for certificates are for everybody")]
    KeyAmongCertificates,
    /// The certificate where the key should be.
    #[error("holds a certificate and no key: `cert_file` and `key_file` may have been confused")]
    CertificateForKey,
    /// The key where the certificate should be.
    #[error("holds a key and no certificate: `cert_file` and `key_file` may have been confused")]
    KeyForCertificate,
    /// A key that needs a passphrase.
    #[error(
        "holds an encrypted key, which is not supported: decrypt it with `openssl pkey -in FILE -out key.pem`, and give that mode 0600"
    )]
    Encrypted,
    /// Several keys.
    #[error("holds {0} keys: keep that of the certificate")]
    SeveralKeys(usize),
    /// A certificate that is none.
    #[error("is not sound: certificate {number} cannot be read: {reason}")]
    BadCertificate {
        /// Which one, from 1 on.
        number: usize,
        /// What is wrong with it.
        reason: String,
    },
    /// A key of another kind.
    #[error(
        "holds a key that is not supported: use RSA of 2048 bits or more, ECDSA on P-256 or P-384, or Ed25519"
    )]
    BadKey,
    /// The two do not belong together.
    #[error(
        "is the key of another certificate than the first one of `cert_file`: that of this server comes first, then those of its issuers"
    )]
    Mismatch,
    /// A secret in the file of the authorities.
    #[error(
        "holds a private key: write the certificates of the authorities alone, and keep their keys elsewhere"
    )]
    KeyAmongAuthorities,
    /// Another block in the file of the authorities.
    #[error("holds a block `{0}`: write the certificates of the authorities alone")]
    ForeignBlockAmongAuthorities(String),
    /// A certificate in the file of the authorities that is none of an authority.
    #[error(
        "holds a certificate that is not one of an authority (number {number}): write one with `CA:TRUE` whose key signs others; a single client is named by `sha256` in its policy"
    )]
    NoAuthority {
        /// Which one, from 1 on.
        number: usize,
    },
    /// Anything else that the library says.
    #[error("cannot be served: {0}")]
    Refused(rustls::Error),
    /// A reading that did not come to its end.
    #[error("could not be read because of a fault in jeton")]
    Failed,
}

impl TlsError {
    pub(super) fn of_certificate(listener: ListenerName, file: &Path, fault: TlsFault) -> Self {
        Self { setting: format!("{}.tls.cert_file", listener.as_str()), file: Some(file.to_owned()), fault }
    }

    pub(super) fn of_key(listener: ListenerName, file: &Path, fault: TlsFault) -> Self {
        Self { setting: format!("{}.tls.key_file", listener.as_str()), file: Some(file.to_owned()), fault }
    }

    /// As somebody sees it who knows the setting: the file, and what is wrong with it.
    pub fn of_file(&self) -> String {
        let file = self.file.as_deref().map(|file| format!("the file `{}` ", file.display()));
        format!("{}{}", file.unwrap_or_default(), self.fault)
    }

    /// As anybody may know it: without the place of the file.
    pub fn in_short(&self) -> String {
        format!("`{}`: {}", self.setting, self.fault)
    }
}

impl TlsErrors {
    pub(super) fn failed(listener: ListenerName) -> Self {
        let setting = format!("{}.tls", listener.as_str());
        Self(vec![TlsError { setting, file: None, fault: TlsFault::Failed }])
    }
}

impl fmt::Display for TlsErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (position, error) in self.0.iter().enumerate() {
            let newline = if position > 0 { "\n" } else { "" };
            write!(f, "{newline}{error}")?;
        }
        Ok(())
    }
}

impl std::error::Error for TlsErrors {}
