//! The key folder: one PEM file per private key, named by its creation time and `kid`.

use std::{
    fmt, fs,
    io::{self, Write},
    os::unix::fs::{OpenOptionsExt, PermissionsExt},
    path::{Path, PathBuf},
};

use jiff::{Timestamp, civil::DateTime, tz::TimeZone};
use zeroize::Zeroizing;

use super::{KeyRing, SigningError, SigningKey};
use crate::{clock::Clock, oauth::KeyId};

/// What is wrong with a key file or the folder. Names the file, never what stands in it.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    /// The file system refused.
    #[error("{}: {doing}: {source}", path.display())]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// What was tried.
        doing: &'static str,
        /// What the system said.
        source: io::Error,
    },
    /// Anybody on the machine can read the private key.
    #[error("{}: the private key is readable by everyone: run `chmod 600 {}`", path.display(), path.display())]
    WorldReadable {
        /// The file.
        path: PathBuf,
    },
    /// The file holds something else than one PKCS#8 private key.
    #[error("{}: {found}: a key file holds one `PRIVATE KEY` block (PKCS#8, unencrypted)", path.display())]
    NotPkcs8 {
        /// The file.
        path: PathBuf,
        /// What stands there instead.
        found: String,
    },
    /// The key itself was refused.
    #[error("{}: {source}", path.display())]
    Unusable {
        /// The file.
        path: PathBuf,
        /// Why.
        source: SigningError,
    },
    /// Two files hold the same key.
    #[error("{}: the same key stands in {} too: remove one of them", second.display(), first.display())]
    Duplicate {
        /// The first file.
        first: PathBuf,
        /// The second file.
        second: PathBuf,
    },
    /// There is no key, and none may be made.
    #[error("{}: there is no key: run `jeton keys generate`, or set `keys.generate_if_missing = true`", dir.display())]
    Missing {
        /// The folder.
        dir: PathBuf,
    },
    /// `keys generate` found a key.
    #[error("{}: there is a key already (`{kid}`): `jeton keys generate` makes the first one only", dir.display())]
    Exists {
        /// The folder.
        dir: PathBuf,
        /// The key that signs.
        kid: KeyId,
    },
    /// A new key could not be made.
    #[error("no key could be made: {0}")]
    Generate(SigningError),
    /// The key set could not be rendered.
    #[error("the key set could not be written as JSON: {0}")]
    Jwks(serde_json::Error),
}

/// Everything that is wrong with a key folder.
#[derive(Debug)]
pub struct KeyErrors(pub Vec<KeyError>);

impl fmt::Display for KeyErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (position, error) in self.0.iter().enumerate() {
            if position > 0 {
                writeln!(f)?;
            }
            write!(f, "{error}")?;
        }
        Ok(())
    }
}

impl std::error::Error for KeyErrors {}

impl From<KeyError> for KeyErrors {
    fn from(error: KeyError) -> Self {
        Self(vec![error])
    }
}

/// A private key and the file from which it came.
pub struct KeyFile {
    pub(super) path: PathBuf,
    pub(super) created: Timestamp,
    pub(super) key: SigningKey,
}

/// The folder in which the private keys lie.
#[derive(Clone, Debug)]
pub struct KeyFolder(PathBuf);

/// Whether there was a key already.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FirstKey {
    /// There was.
    Found,
    /// One was made.
    Made,
}

/// How the creation time stands in a file name.
const TIME_FORMAT: &str = "%Y%m%dT%H%M%SZ";

impl KeyFolder {
    /// The folder at `dir`.
    pub fn new(dir: impl Into<PathBuf>) -> Self {
        Self(dir.into())
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.0
    }

    /// Loads every `*.pem` file.
    ///
    /// # Errors
    /// All that is wrong, file by file; [`KeyError::Missing`] for a folder without a key.
    pub fn load(&self) -> Result<KeyRing, KeyErrors> {
        let mut files: Vec<KeyFile> = Vec::new();
        let mut errors = Vec::new();
        for path in self.pem_files()? {
            match read(&path) {
                Ok(file) => match files.iter().find(|other| other.key.kid() == file.key.kid()) {
                    Some(first) => {
                        errors.push(KeyError::Duplicate { first: first.path.clone(), second: path });
                    }
                    None => files.push(file),
                },
                Err(error) => errors.push(error),
            }
        }
        if !errors.is_empty() {
            return Err(KeyErrors(errors));
        }
        if files.is_empty() {
            return Err(KeyError::Missing { dir: self.0.clone() }.into());
        }
        KeyRing::new(files)
    }

    /// Loads the keys, and makes the first one if there is none. Of several processes that start at
    /// once on one folder, one makes it.
    ///
    /// # Errors
    /// As [`Self::load`], and whatever stands in the way of writing.
    pub fn load_or_generate(&self, clock: &dyn Clock) -> Result<(KeyRing, FirstKey), KeyErrors> {
        fs::create_dir_all(&self.0).map_err(|source| self.io("cannot be made", source))?;
        match self.load() {
            Err(KeyErrors(errors)) if matches!(errors.as_slice(), [KeyError::Missing { .. }]) => {}
            loaded => return Ok((loaded?, FirstKey::Found)),
        }
        match self.generate(clock) {
            Ok(_) => Ok((self.load()?, FirstKey::Made)),
            Err(KeyErrors(errors)) if matches!(errors.as_slice(), [KeyError::Exists { .. }]) => {
                Ok((self.load()?, FirstKey::Found))
            }
            Err(errors) => Err(errors),
        }
    }

    /// Makes the first key.
    ///
    /// # Errors
    /// [`KeyError::Exists`] when there is one; otherwise what is wrong with the folder.
    pub fn generate(&self, clock: &dyn Clock) -> Result<KeyId, KeyErrors> {
        fs::create_dir_all(&self.0).map_err(|source| self.io("cannot be made", source))?;
        let lock =
            fs::File::create(self.0.join(".lock")).map_err(|source| self.io("cannot be written", source))?;
        lock.lock().map_err(|source| self.io("cannot be locked", source))?;
        match self.load() {
            Ok(ring) => {
                let kid = ring.signing().kid().clone();
                return Err(KeyError::Exists { dir: self.0.clone(), kid }.into());
            }
            Err(KeyErrors(errors)) if matches!(errors.as_slice(), [KeyError::Missing { .. }]) => {}
            Err(errors) => return Err(errors),
        }
        let key = SigningKey::generate().map_err(KeyError::Generate)?;
        self.write(&key, clock.now())?;
        Ok(key.kid().clone())
    }

    /// Writes the key so that a reader sees the whole file or none.
    fn write(&self, key: &SigningKey, created: Timestamp) -> Result<(), KeyError> {
        let der = key.to_pkcs8().map_err(KeyError::Generate)?;
        let pem = Zeroizing::new(pem::encode_config(
            &pem::Pem::new("PRIVATE KEY", der.as_slice()),
            pem::EncodeConfig::new().set_line_ending(pem::LineEnding::LF),
        ));
        let name = format!("{}-{}", created.strftime(TIME_FORMAT), key.kid());
        let path = self.0.join(format!("{name}.pem"));
        let partial = self.0.join(format!(".{name}.partial"));
        let written = fs::OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&partial)
            .and_then(|mut file| file.write_all(pem.as_bytes()).and_then(|()| file.sync_all()))
            .and_then(|()| fs::rename(&partial, &path))
            .and_then(|()| fs::File::open(&self.0)?.sync_all());
        written.map_err(|source| KeyError::Io { path, doing: "cannot be written", source })
    }

    /// The `*.pem` files by name; hidden ones are not looked at.
    fn pem_files(&self) -> Result<Vec<PathBuf>, KeyError> {
        let mut paths = Vec::new();
        let entries = match fs::read_dir(&self.0) {
            Ok(entries) => entries,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return Err(KeyError::Missing { dir: self.0.clone() });
            }
            Err(error) => return Err(self.io("cannot be read", error)),
        };
        for entry in entries {
            let path = entry.map_err(|source| self.io("cannot be read", source))?.path();
            let hidden = path.file_name().is_none_or(|name| name.as_encoded_bytes().starts_with(b"."));
            if !hidden && path.extension().is_some_and(|extension| extension == "pem") {
                paths.push(path);
            }
        }
        paths.sort();
        Ok(paths)
    }

    fn io(&self, doing: &'static str, source: io::Error) -> KeyError {
        KeyError::Io { path: self.0.clone(), doing, source }
    }
}

fn read(path: &Path) -> Result<KeyFile, KeyError> {
    let io = |source| KeyError::Io { path: path.to_owned(), doing: "cannot be read", source };
    let metadata = fs::metadata(path).map_err(io)?;
    if metadata.permissions().mode() & 0o004 != 0 {
        return Err(KeyError::WorldReadable { path: path.to_owned() });
    }
    let text = Zeroizing::new(fs::read(path).map_err(io)?);
    let not_pkcs8 = |found: String| KeyError::NotPkcs8 { path: path.to_owned(), found };
    // the library's errors quote the file, and so the key
    let blocks =
        pem::parse_many(text.as_slice()).map_err(|_| not_pkcs8("it is not well-formed PEM".to_owned()))?;
    let block = match blocks.as_slice() {
        [block] if block.tag() == "PRIVATE KEY" => block,
        [] => return Err(not_pkcs8("there is no PEM block in it".to_owned())),
        [block] => {
            let known =
                ["RSA PRIVATE KEY", "EC PRIVATE KEY", "ENCRYPTED PRIVATE KEY", "PUBLIC KEY", "CERTIFICATE"];
            let tag = known.into_iter().find(|known| *known == block.tag()).unwrap_or("different");
            return Err(not_pkcs8(format!("it holds a `{tag}` block")));
        }
        many => return Err(not_pkcs8(format!("it holds {} PEM blocks", many.len()))),
    };
    let key = SigningKey::from_pkcs8(block.contents())
        .map_err(|source| KeyError::Unusable { path: path.to_owned(), source })?;
    let created = match created_by_name(path) {
        Some(created) => created,
        None => metadata.modified().map_err(io)?.try_into().unwrap_or(Timestamp::MIN),
    };
    Ok(KeyFile { path: path.to_owned(), created, key })
}

/// The creation time in a file name of ours; a key from elsewhere has the age of its file.
fn created_by_name(path: &Path) -> Option<Timestamp> {
    let (time, _) = path.file_stem()?.to_str()?.split_once('-')?;
    let civil = DateTime::strptime(TIME_FORMAT, time).ok()?;
    TimeZone::UTC.to_timestamp(civil).ok()
}
