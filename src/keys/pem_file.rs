//! A private key as it stands in a file: PEM, in the clear or encrypted with a passphrase.

use aws_lc_rs::rand;
use jeton_oauth::{KeyId, NoRandomness, SignatureAlgorithm, text::unmarked};
use pkcs8::{EncryptedPrivateKeyInfoRef, LineEnding, PrivateKeyInfoRef, SecretDocument, pkcs5::pbes2};
use zeroize::Zeroizing;

use super::{SigningError, SigningKey, local::PrivateKey};

/// A private key that was read, and its name.
pub(super) struct KeyInFile {
    key: PrivateKey,
    kid: KeyId,
}

impl KeyInFile {
    pub(super) fn kid(&self) -> &KeyId {
        &self.kid
    }

    /// The algorithm for a key of which nobody says one.
    pub(super) fn usual_algorithm(&self) -> SignatureAlgorithm {
        self.key.usual_algorithm()
    }

    pub(super) fn signing_key(&self, algorithm: SignatureAlgorithm) -> Result<SigningKey, InvalidKeyFile> {
        Ok(self.key.signing_key(algorithm)?)
    }
}

/// What opens encrypted keys. It has no `Debug`, and is wiped when dropped.
#[derive(Clone)]
pub struct Passphrase(Zeroizing<String>);

impl Passphrase {
    /// Takes a passphrase as it was given.
    pub fn new(text: Zeroizing<String>) -> Self {
        Self(text)
    }
}

/// Why a text holds no key that we take. Never quotes it.
#[derive(Debug, thiserror::Error)]
pub enum InvalidKeyFile {
    /// Something else than one PKCS#8 private key.
    #[error("{0}: a key file holds one `PRIVATE KEY` or `ENCRYPTED PRIVATE KEY` block (PKCS#8)")]
    NotPkcs8(String),
    /// It is encrypted, and nobody gave the passphrase.
    #[error("the key is encrypted: set `keys.passphrase_file`, or the variable JETON__KEYS__PASSPHRASE")]
    Encrypted,
    /// The passphrase does not open it.
    #[error("the passphrase does not open the key: it is the wrong one, or the file is damaged")]
    WrongPassphrase,
    /// It is encrypted in a way that is out of use.
    #[error(
        "the key is encrypted in a way that is not supported: encrypt it again with `openssl pkcs8 -topk8 -v2 aes-256-cbc`"
    )]
    Scheme,
    /// The key itself was refused.
    #[error(transparent)]
    Key(#[from] SigningError),
}

/// Rounds of PBKDF2 with HMAC-SHA-256 (OWASP, Password Storage Cheat Sheet).
const ROUNDS: u32 = 600_000;

const CLEAR: &str = "PRIVATE KEY";
const ENCRYPTED: &str = "ENCRYPTED PRIVATE KEY";

/// Reads the text of a key file (RFC 7468 sections 10 and 11).
pub(super) fn read(text: &[u8], passphrase: Option<&Passphrase>) -> Result<KeyInFile, InvalidKeyFile> {
    let not_pkcs8 = |found: &str| InvalidKeyFile::NotPkcs8(found.to_owned());
    let text = std::str::from_utf8(unmarked(text)).map_err(|_| not_pkcs8("it is not text"))?;
    match labels(text).as_slice() {
        [] => return Err(not_pkcs8("there is no PEM block in it")),
        [CLEAR | ENCRYPTED] => {}
        [label] => {
            let known = ["RSA PRIVATE KEY", "EC PRIVATE KEY", "PUBLIC KEY", "CERTIFICATE"];
            let label = known.into_iter().find(|known| known == label).unwrap_or("different");
            return Err(not_pkcs8(&format!("it holds a `{label}` block")));
        }
        many => return Err(not_pkcs8(&format!("it holds {} PEM blocks", many.len()))),
    }
    let pem = SecretDocument::from_pem(text.trim_ascii());
    let (label, document) = pem.map_err(|_| not_pkcs8("it is not well-formed PEM"))?;
    let document = if label == ENCRYPTED {
        let info = EncryptedPrivateKeyInfoRef::try_from(document.as_bytes());
        let info = info.map_err(|_| InvalidKeyFile::Scheme)?;
        let passphrase = passphrase.ok_or(InvalidKeyFile::Encrypted)?;
        info.decrypt(passphrase.0.as_bytes()).map_err(|_| InvalidKeyFile::WrongPassphrase)?
    } else {
        document
    };
    let key = PrivateKey::from_pkcs8(document.to_bytes())?;
    let kid = key.kid()?;
    Ok(KeyInFile { key, kid })
}

/// The text of a key file; encrypted where there is a passphrase.
pub(super) fn write(
    key: &PrivateKey,
    passphrase: Option<&Passphrase>,
) -> Result<Zeroizing<String>, SigningError> {
    let failed = |_| SigningError::Failed;
    let info = PrivateKeyInfoRef::try_from(key.der()).map_err(failed)?;
    let (label, document) = match passphrase {
        None => (CLEAR, SecretDocument::encode_msg(&info).map_err(|_| SigningError::Failed)?),
        Some(passphrase) => {
            let (mut salt, mut iv) = ([0; 16], [0; 16]);
            rand::fill(&mut salt).and_then(|()| rand::fill(&mut iv)).map_err(|_| NoRandomness)?;
            // not scrypt, which the library would take: that needs 16 MiB for a moment
            let parameters = pbes2::Parameters::generate_pbkdf2_sha256_aes256cbc(ROUNDS, &salt, iv);
            let parameters = parameters.map_err(|_| SigningError::Failed)?;
            (ENCRYPTED, info.encrypt_with_params(parameters, passphrase.0.as_bytes()).map_err(failed)?)
        }
    };
    document.to_pem(label, LineEnding::LF).map_err(|_| SigningError::Failed)
}

/// The label of each block.
fn labels(text: &str) -> Vec<&str> {
    let lines = text.lines().map(str::trim_ascii);
    lines.filter_map(|line| line.strip_prefix("-----BEGIN ")?.strip_suffix("-----")).collect()
}
