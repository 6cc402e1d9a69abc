//! What can be wrong with a key folder.

use std::{
    fmt, io,
    path::{Path, PathBuf},
};

use jeton_oauth::{KeyId, text::printable};

use super::{InvalidKeyFile, InvalidKeyring, SigningError};

/// What is wrong with a key file or the folder. Names the file, never what stands in it.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    /// The file system refused.
    #[error("{}: {doing}: {source}", shown(path))]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// What was tried.
        doing: &'static str,
        /// What the system said.
        source: io::Error,
    },
    /// Others on the machine can read or replace the private key.
    #[error("{}: the private key is {exposed}", shown(path))]
    Readable {
        /// The file.
        path: PathBuf,
        /// Who can, and what to do.
        exposed: String,
    },
    /// Others on the machine can say which key signs.
    #[error(
        "{}: everyone can write the file, and so choose the key that signs: run `chmod 644 {}`",
        shown(path),
        shown(path)
    )]
    Writable {
        /// The file.
        path: PathBuf,
    },
    /// A folder, a pipe or a device.
    #[error("{}: this is not a file", shown(path))]
    NotAFile {
        /// What it is.
        path: PathBuf,
    },
    /// No key is so long.
    #[error("{}: the file is longer than 1 MiB", shown(path))]
    TooLong {
        /// The file.
        path: PathBuf,
    },
    /// Not UTF-8.
    #[error("{}: the file is not text in UTF-8", shown(path))]
    NotText {
        /// The file.
        path: PathBuf,
    },
    /// The file holds no key that we take, or the key is not for the algorithm of its entry.
    #[error("{}: {}", shown(path), printable(&source.to_string()))]
    Unusable {
        /// The file.
        path: PathBuf,
        /// Why.
        source: InvalidKeyFile,
    },
    /// Two files hold the same key.
    #[error("{}: the same key is in {} too: remove one of them", shown(second), shown(first))]
    Duplicate {
        /// The first file.
        first: PathBuf,
        /// The second file.
        second: PathBuf,
    },
    /// There are keys, and nothing says when they sign.
    #[error(
        "{}: the file is missing, so the key that signs is unknown: restore it, or write it:\n{fix}",
        shown(path)
    )]
    NoKeyring {
        /// Where it should be.
        path: PathBuf,
        /// What could stand in it.
        fix: String,
    },
    /// `keyring.yaml` is not as it must be.
    #[error("{}:{}{source}{}", shown(path), place(source), or_fix(source, fix))]
    Keyring {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        source: InvalidKeyring,
        /// What could stand in it.
        fix: String,
    },
    /// `keyring.yaml` names a key that is not there.
    #[error("{}: there is no `*.pem` file of the key `{kid}`: put it back, or remove the entry", shown(path))]
    NoFile {
        /// The file that names it.
        path: PathBuf,
        /// The key.
        kid: KeyId,
    },
    /// There is no key, and none may be made.
    #[error(
        "{}: there is no key: run `jeton keys generate`, or set `keys.generate_if_missing = true`",
        shown(dir)
    )]
    Missing {
        /// The folder.
        dir: PathBuf,
    },
    /// What we wrote, its owner's server could not read.
    #[error(
        "{}: the keys belong to uid {owner}, and this is uid {own}: run the command as that user, or as root",
        shown(dir)
    )]
    NotOwner {
        /// The folder.
        dir: PathBuf,
        /// Whose it is.
        owner: u32,
        /// Who we are.
        own: u32,
    },
    /// A reading did not come to its end.
    #[error("the key folder: reading it failed within jeton: please report this")]
    Failed,
    /// A new key could not be made.
    #[error("no key could be made: {0}")]
    Generate(SigningError),
}

/// A path on one line: those of several files stand below each other.
pub(super) fn shown(path: &Path) -> String {
    printable(&path.display().to_string())
}

/// Between the file's name and what is wrong in it.
fn place(source: &InvalidKeyring) -> &'static str {
    match source {
        // it begins with the line
        InvalidKeyring::Fault { .. } => "",
        InvalidKeyring::Empty | InvalidKeyring::NoSuccessor(_) => " ",
    }
}

/// What to write into a file without a key.
fn or_fix(source: &InvalidKeyring, fix: &str) -> String {
    match source {
        InvalidKeyring::Empty => format!(", so the key that signs is unknown: restore it, or write:\n{fix}"),
        InvalidKeyring::Fault { .. } | InvalidKeyring::NoSuccessor(_) => String::new(),
    }
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

impl KeyErrors {
    /// Whether nothing is wrong but that there is no key.
    pub fn is_missing(&self) -> bool {
        matches!(self.0.as_slice(), [KeyError::Missing { .. }])
    }

    /// Whether nothing can be written here, now or later.
    pub fn is_read_only(&self) -> bool {
        self.0.iter().any(|error| match error {
            KeyError::Io { source, .. } => source.kind() == io::ErrorKind::ReadOnlyFilesystem,
            KeyError::NotOwner { .. } => true,
            _ => false,
        })
    }
}

impl std::error::Error for KeyErrors {}

impl From<KeyError> for KeyErrors {
    fn from(error: KeyError) -> Self {
        Self(vec![error])
    }
}
