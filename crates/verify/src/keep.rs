//! A folder with the last good documents of an issuer, from which a service starts while the issuer is away.
//!
//! Each document is verified when it is read. The keys for that come from the same folder: whoever can write the folder
//! can forge every document.

use std::{
    fs::{self, DirBuilder, File, OpenOptions},
    io::{self, Write},
    os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt},
    path::{Path, PathBuf},
    process,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use jeton_jose::strict_object;
use jeton_oauth::Issuer;
use jeton_policy::files;
use serde_json::{Value, json};
use tokio::task;
use tracing::field::display;

use crate::event;

/// The longest file that is read, in bytes: a long document, with its quotes escaped.
const LONGEST: u64 = 2 * 8 * 1024 * 1024;
/// How many files of one kind are read.
const MOST_FILES: usize = 10_000;

/// Makes the names of files that are being written differ.
static WRITTEN: AtomicU64 = AtomicU64::new(0);

/// Why a folder cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum KeepError {
    /// It cannot be made, read or written.
    #[error("the folder `{dir}` cannot be used: {error}")]
    Io {
        /// Where it is.
        dir: String,
        /// Why.
        #[source]
        error: io::Error,
    },
    /// It is something else.
    #[error("`{0}` is not a folder")]
    NotAFolder(String),
    /// Others can write it, and could put their keys into it.
    #[error("others can write the folder `{0}`, and so could forge keys: run `chmod 700 {0}`")]
    Shared(String),
    /// It belongs to somebody else, who could put other keys into it.
    #[error(
        "the folder `{0}` belongs to another user, who could forge keys: let the service make one of its own"
    )]
    Foreign(String),
}

/// The folder, for the documents of one issuer.
#[derive(Clone)]
pub(crate) struct KeepFolder {
    dir: Arc<Path>,
    issuer: Issuer,
}

impl KeepFolder {
    /// Opens the folder, which is made if it is not there.
    pub(crate) fn open(dir: &Path, issuer: &Issuer) -> Result<Self, KeepError> {
        let shown = || dir.display().to_string();
        let io = |error| KeepError::Io { dir: shown(), error };
        DirBuilder::new().recursive(true).mode(0o700).create(dir).map_err(io)?;
        let metadata = fs::metadata(dir).map_err(io)?;
        if !metadata.is_dir() {
            return Err(KeepError::NotAFolder(shown()));
        }
        if metadata.permissions().mode() & 0o022 != 0 {
            return Err(KeepError::Shared(shown()));
        }
        let keep = Self { dir: dir.into(), issuer: issuer.clone() };
        // what we write is ours
        let probe = keep.begin("probe").map_err(io)?;
        let ours = probe.file.metadata().map_err(io)?.uid();
        drop(probe);
        if metadata.uid() != ours && metadata.uid() != 0 {
            return Err(KeepError::Foreign(shown()));
        }
        Ok(keep)
    }

    /// A document by its name, if it is there and of this issuer.
    pub(crate) fn read(&self, name: &str) -> Option<Vec<u8>> {
        let path = self.dir.join(name);
        if !path.exists() {
            return None;
        }
        let bytes = files::read(&path, LONGEST);
        let bytes = bytes.map_err(|error| self.pass_over(name, &error.to_string())).ok()?;
        let kept = strict_object(&bytes).ok();
        let kept = kept.and_then(|mut kept| match (kept.remove("issuer"), kept.remove("document")) {
            (Some(Value::String(issuer)), Some(Value::String(document))) => Some((issuer, document)),
            _ => None,
        });
        match kept {
            Some((issuer, document)) if issuer == self.issuer.as_str() => Some(document.into_bytes()),
            Some(_) => {
                self.pass_over(name, "it is of another issuer");
                None
            }
            None => {
                self.pass_over(name, "it is damaged");
                None
            }
        }
    }

    /// The names of the files that begin so.
    pub(crate) fn names(&self, prefix: &str) -> Vec<String> {
        let entries = fs::read_dir(&self.dir).into_iter().flatten().flatten();
        let names = entries.filter_map(|entry| entry.file_name().into_string().ok());
        names.filter(|name| name.starts_with(prefix)).take(MOST_FILES).collect()
    }

    /// Says that a file is not used.
    pub(crate) fn pass_over(&self, name: &str, error: &str) {
        event::KeptPassedOver { path: display(&self.dir.join(name).display()), error }.warn();
    }

    /// Puts a document in the place of the one before, as a whole.
    pub(crate) async fn write(&self, name: String, document: Vec<u8>) {
        let keep = self.clone();
        let _ = task::spawn_blocking(move || {
            if let Err(error) = keep.replace(&name, &document) {
                let path = keep.dir.join(&name);
                event::KeptNotWritten { path: display(&path.display()), error: display(&error) }.warn();
            }
        })
        .await;
    }

    fn replace(&self, name: &str, document: &[u8]) -> io::Result<()> {
        let document = std::str::from_utf8(document).map_err(|_| io::ErrorKind::InvalidData)?;
        let text = json!({ "issuer": self.issuer.as_str(), "document": document }).to_string();
        let mut half = self.begin(name)?;
        half.file.write_all(text.as_bytes())?;
        half.file.sync_data()?;
        fs::rename(&half.path, self.dir.join(name))
    }

    fn begin(&self, name: &str) -> io::Result<HalfWritten> {
        let number = WRITTEN.fetch_add(1, Ordering::Relaxed);
        let path = self.dir.join(format!(".{name}.{}.{number}", process::id()));
        let file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&path)?;
        Ok(HalfWritten { file, path })
    }
}

/// A file that is not whole yet. It goes with this, unless it has another name by then.
struct HalfWritten {
    file: File,
    path: PathBuf,
}

impl Drop for HalfWritten {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.path);
    }
}
