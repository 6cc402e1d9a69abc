//! How the key folder is changed: in steps of which each leaves a folder that can be read, whichever was the last.

use std::{
    fs,
    io::{self, Write},
    os::unix::fs::{OpenOptionsExt, fchown},
    path::{Path, PathBuf},
};

use zeroize::Zeroizing;

/// One step of a change. A text is written to a hidden file, is safe on the disk, and only then gets its name.
pub(super) enum KeyStep {
    /// Writes the text that [`KeyStep::Name`] gives its name, for this user where it is not for us, and waits until it
    /// is on the disk.
    Write { path: PathBuf, text: Zeroizing<String>, owner: Option<u32> },
    /// Lets what was written for this path take its place.
    Name { path: PathBuf },
    /// Waits until the names in the folder are on the disk.
    Sync { dir: PathBuf },
    /// Deletes a file, if it is there.
    Delete { path: PathBuf },
}

/// What the names of files end with that have not got theirs.
const PARTIAL: &str = ".partial";

/// The hidden file in which the text for `path` is written.
pub(super) fn partial(path: &Path) -> PathBuf {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    path.with_file_name(format!(".{name}{PARTIAL}"))
}

/// The path whose text a hidden file holds, if it is one.
fn named_by(partial: &Path) -> Option<PathBuf> {
    let name = partial.file_name()?.to_str()?.strip_prefix('.')?.strip_suffix(PARTIAL)?;
    Some(partial.with_file_name(name))
}

impl KeyStep {
    pub(super) fn take(&self) -> io::Result<()> {
        match self {
            Self::Write { path, text, owner } => {
                let mut file = create(&partial(path), *owner)?;
                file.write_all(text.as_bytes())?;
                file.sync_all()
            }
            Self::Name { path } => fs::rename(partial(path), path),
            Self::Sync { dir } => fs::File::open(dir)?.sync_all(),
            Self::Delete { path } => match fs::remove_file(path) {
                Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
                outcome => outcome,
            },
        }
    }
}

/// Makes a file that its owner alone may read, or empties it.
pub(super) fn create(path: &Path, owner: Option<u32>) -> io::Result<fs::File> {
    let mut options = fs::OpenOptions::new();
    let file = options.write(true).create(true).truncate(true).mode(0o600).open(path)?;
    if owner.is_some() {
        fchown(&file, owner, None)?;
    }
    Ok(file)
}

/// The paths of the texts in `dir` that were written and have not got their names.
pub(super) fn unnamed(dir: &Path) -> io::Result<Vec<PathBuf>> {
    let entries = fs::read_dir(dir)?.collect::<io::Result<Vec<_>>>()?;
    Ok(entries.iter().filter_map(|entry| named_by(&entry.path())).collect())
}
