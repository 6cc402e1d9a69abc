//! The key folder: one PEM file per private key, and `keyring.yaml` with the times of each.

use std::{
    collections::BTreeMap,
    fs, io,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    sync::Arc,
};

use jeton_policy::files::{FileError, OpenFile};
use jiff::Timestamp;
use ring::digest;
use zeroize::Zeroizing;

use super::{
    InvalidKeyring, KeyEntry, KeyError, KeyErrors, KeySet, Keyring, Passphrase, UnlistedKey, error::shown,
    keyring_file::KEYRING, owner, pem_file,
};
use crate::{
    made::MadePaths,
    private_file::{self, Readers},
};

/// The folder in which the private keys lie.
#[derive(Clone)]
pub struct KeyFolder {
    dir: PathBuf,
    passphrase: Option<Passphrase>,
}

/// The longest file that is read, in bytes: an RSA key of 8192 bits has 6 KiB, a ring of a thousand keys 200.
const LONGEST_FILE: u64 = 1024 * 1024;

/// What lies in the folder, not yet understood.
pub(super) struct KeyFiles {
    keyring: Option<String>,
    pems: Vec<(PathBuf, Zeroizing<Vec<u8>>, Timestamp)>,
    /// Those that a group can read too, and that cannot be changed.
    exposed: Vec<PathBuf>,
    /// What could not be read.
    errors: Vec<KeyError>,
}

/// The SHA-256 of everything that counts in a folder.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct KeyFolderHash(Vec<u8>);

impl KeyFolder {
    /// The folder at `dir`, of keys in the clear.
    pub fn new(dir: impl Into<PathBuf>) -> Self {
        Self { dir: dir.into(), passphrase: None }
    }

    /// With what encrypted keys are opened, and new ones encrypted.
    #[must_use]
    pub fn with_passphrase(self, passphrase: Option<Passphrase>) -> Self {
        Self { passphrase, ..self }
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.dir
    }

    /// Makes the folder, for its owner alone, unless it is there.
    pub(crate) fn make(&self, made: &mut MadePaths) -> io::Result<()> {
        made.folder(&self.dir, 0o700)
    }

    pub(super) fn passphrase(&self) -> Option<&Passphrase> {
        self.passphrase.as_ref()
    }

    /// Reads all files once; hidden ones are not looked at.
    pub(super) fn read(&self) -> Result<KeyFiles, KeyErrors> {
        let mut pems = Vec::new();
        let mut exposed = Vec::new();
        let mut errors = Vec::new();
        for path in self.pem_files()? {
            match read_private(&path) {
                Ok((text, modified, readers)) => {
                    if readers == Readers::Group {
                        exposed.push(path.clone());
                    }
                    pems.push((path, text, modified));
                }
                Err(error) => errors.push(error),
            }
        }
        let path = self.dir.join(KEYRING);
        let keyring = match read_file(&path) {
            Ok((_, metadata)) if metadata.permissions().mode() & 0o002 != 0 => {
                errors.push(KeyError::Writable { path });
                None
            }
            Ok((bytes, _)) => {
                let text = String::from_utf8(bytes.to_vec()).ok();
                if text.is_none() {
                    errors.push(KeyError::NotText { path });
                }
                text
            }
            Err(KeyError::Io { source, .. }) if source.kind() == io::ErrorKind::NotFound => None,
            Err(error) => {
                errors.push(error);
                None
            }
        };
        Ok(KeyFiles { keyring, pems, exposed, errors })
    }

    /// Understands what was read.
    pub(super) fn understand(&self, sources: KeyFiles) -> Result<KeySet, KeyErrors> {
        let KeyFiles { keyring, pems, exposed, mut errors } = sources;
        let is_empty = |text: &String| Keyring::parse(text).is_err_and(|faults| is_of_nothing(&faults));
        if keyring.as_ref().is_none_or(is_empty) && pems.is_empty() && errors.is_empty() {
            return Err(KeyError::Missing { dir: self.dir.clone() }.into());
        }
        let mut files: Vec<(PathBuf, Timestamp, pem_file::KeyInFile)> = Vec::new();
        for (path, text, modified) in &pems {
            match pem_file::read(text, self.passphrase.as_ref()) {
                Ok(key) => match files.iter().find(|(_, _, other)| other.kid() == key.kid()) {
                    Some((first, ..)) => {
                        errors.push(KeyError::Duplicate { first: first.clone(), second: path.clone() });
                    }
                    None => files.push((path.clone(), *modified, key)),
                },
                Err(source) => errors.push(KeyError::Unusable { path: path.clone(), source }),
            }
        }
        let path = self.dir.join(KEYRING);
        let keyring = match keyring.as_deref().map(Keyring::parse) {
            Some(Ok(keyring)) => Some(keyring),
            // whatever else lies there has been named
            None if files.is_empty() => None,
            Some(Err(faults)) if files.is_empty() && is_of_nothing(&faults) => None,
            None => {
                errors.push(KeyError::NoKeyring { path: path.clone(), fix: fix_for(&files) });
                None
            }
            Some(Err(faults)) => {
                let fix = fix_for(&files);
                let error = |source| KeyError::Keyring { path: path.clone(), source, fix: fix.clone() };
                errors.extend(faults.into_iter().map(error));
                None
            }
        };
        let mut keys = BTreeMap::new();
        let mut unlisted = Vec::new();
        for (path, _, key) in files {
            let entry = keyring.iter().flat_map(Keyring::entries).find(|entry| entry.kid == *key.kid());
            match entry.map(|entry| key.signing_key(entry.algorithm)) {
                Some(Ok(signing)) => {
                    keys.insert(key.kid().clone(), (path, Arc::new(signing)));
                }
                Some(Err(source)) => errors.push(KeyError::Unusable { path, source }),
                None => unlisted.push(UnlistedKey { kid: key.kid().clone(), path }),
            }
        }
        if errors.is_empty() {
            let missing =
                keyring.iter().flat_map(Keyring::entries).filter(|entry| !keys.contains_key(&entry.kid));
            errors
                .extend(missing.map(|entry| KeyError::NoFile { path: path.clone(), kid: entry.kid.clone() }));
        }
        match keyring {
            Some(keyring) if errors.is_empty() => Ok(KeySet { keyring, keys, unlisted, exposed }),
            _ => Err(KeyErrors(errors)),
        }
    }

    /// Whether a new file could be written here, by who we are. Root may be told so of a folder that is mounted
    /// for reading.
    pub fn is_writable(&self) -> bool {
        owner::of_new_files(&self.dir).is_ok()
            && rustix::fs::access(&self.dir, rustix::fs::Access::WRITE_OK).is_ok()
    }

    /// The `*.pem` files by name; hidden ones are not looked at.
    fn pem_files(&self) -> Result<Vec<PathBuf>, KeyError> {
        let mut paths = Vec::new();
        let entries = match fs::read_dir(&self.dir) {
            Ok(entries) => entries,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return Err(KeyError::Missing { dir: self.dir.clone() });
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

    pub(super) fn io(&self, doing: &'static str, source: io::Error) -> KeyError {
        KeyError::Io { path: self.dir.clone(), doing, source }
    }
}

impl KeyFiles {
    pub(super) fn hash(&self) -> KeyFolderHash {
        let mut context = digest::Context::new(&digest::SHA256);
        let mut part = |bytes: &[u8]| {
            context.update(&bytes.len().to_be_bytes());
            context.update(bytes);
        };
        part(self.keyring.as_deref().unwrap_or_default().as_bytes());
        for (path, text, _) in &self.pems {
            part(path.as_os_str().as_encoded_bytes());
            part(text);
        }
        for error in &self.errors {
            part(error.to_string().as_bytes());
        }
        KeyFolderHash(context.finish().as_ref().to_vec())
    }
}

/// Whether a ring is that of a folder without keys.
fn is_of_nothing(faults: &[InvalidKeyring]) -> bool {
    matches!(faults, [InvalidKeyring::Empty])
}

/// Reads a private key's file, which nobody else may read.
fn read_private(path: &Path) -> Result<(Zeroizing<Vec<u8>>, Timestamp, Readers), KeyError> {
    let (text, metadata) = read_file(path)?;
    let readers = private_file::readers(path, &metadata)
        .map_err(|exposed| KeyError::Readable { path: path.to_owned(), exposed: exposed.of(&shown(path)) })?;
    let modified = metadata.modified().ok().and_then(|time| time.try_into().ok());
    Ok((text, modified.unwrap_or(Timestamp::UNIX_EPOCH), readers))
}

/// Reads a file, and what the system says of it.
fn read_file(path: &Path) -> Result<(Zeroizing<Vec<u8>>, fs::Metadata), KeyError> {
    let refused = |error| match error {
        FileError::Io(source) => KeyError::Io { path: path.to_owned(), doing: "cannot be read", source },
        FileError::NotAFile(_) => KeyError::NotAFile { path: path.to_owned() },
        FileError::TooLong(_) => KeyError::TooLong { path: path.to_owned() },
    };
    let file = OpenFile::open(path, LONGEST_FILE).map_err(refused)?;
    let metadata = file.metadata().clone();
    Ok((Zeroizing::new(file.read().map_err(refused)?), metadata))
}

/// The lines that would make a ring of these keys, the youngest last.
fn fix_for(files: &[(PathBuf, Timestamp, pem_file::KeyInFile)]) -> String {
    let mut files: Vec<_> = files.iter().collect();
    files.sort_by_key(|(path, modified, _)| (*modified, path.clone()));
    let entries = files.into_iter().map(|(_, modified, key)| {
        let created = Timestamp::from_second(modified.as_second()).unwrap_or(*modified);
        let (kid, algorithm) = (key.kid().clone(), key.usual_algorithm());
        KeyEntry { kid, algorithm, created, activates: created, retires: None }.render()
    });
    format!("keys:\n{}", entries.collect::<String>())
}
