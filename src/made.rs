//! Files and folders that are made for something that may yet fail: then they go again.

use std::{
    fs,
    io::{self, Write},
    os::unix::fs::DirBuilderExt,
    path::{Path, PathBuf},
};

/// What was made so far. Dropping this takes it away again, the youngest first; [`Self::keep`] leaves it there. A folder
/// in which others have put something stays.
#[derive(Default)]
pub(crate) struct MadePaths(Vec<PathBuf>);

impl MadePaths {
    /// Makes a file that is not there yet.
    ///
    /// # Errors
    /// What the system says, also where there is something of this name.
    pub(crate) fn file(&mut self, path: &Path, text: &str) -> io::Result<()> {
        let mut file = fs::File::create_new(path)?;
        self.0.push(path.to_owned());
        file.write_all(text.as_bytes())
    }

    /// Makes a folder and those above it, unless they are there. The folder itself gets this mode.
    ///
    /// # Errors
    /// What the system says, also where a file has this name.
    pub(crate) fn folder(&mut self, path: &Path, mode: u32) -> io::Result<()> {
        // a name alone stands in the working directory
        if let Some(parent) =
            path.parent().filter(|parent| !parent.as_os_str().is_empty() && !parent.is_dir())
        {
            self.folder(parent, 0o777)?;
        }
        match fs::DirBuilder::new().mode(mode).create(path) {
            Ok(()) => self.0.push(path.to_owned()),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists && path.is_dir() => {}
            Err(error) => return Err(error),
        }
        Ok(())
    }

    /// Takes a file as made here that somebody else is about to make, unless it is there.
    pub(crate) fn expect(&mut self, path: &Path) {
        if fs::symlink_metadata(path).is_err_and(|error| error.kind() == io::ErrorKind::NotFound) {
            self.0.push(path.to_owned());
        }
    }

    /// Leaves everything there.
    pub(crate) fn keep(mut self) {
        self.0.clear();
    }
}

impl Drop for MadePaths {
    fn drop(&mut self) {
        for path in self.0.iter().rev() {
            // nothing can be done about what stays
            let _ = fs::remove_file(path).or_else(|_| fs::remove_dir(path));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_kept_goes_and_what_others_put_there_stays() {
        let dir = tempfile::tempdir().unwrap();
        let path = |name: &str| dir.path().join(name);
        fs::write(path("there"), "old").unwrap();
        let mut made = MadePaths::default();
        made.folder(&path("a/b"), 0o700).unwrap();
        made.folder(&path("a"), 0o700).unwrap();
        made.folder(&path("shared"), 0o755).unwrap();
        made.file(&path("a/b/file"), "text").unwrap();
        made.expect(&path("there"));
        made.expect(&path("late"));
        assert!(made.file(&path("there"), "new").is_err());
        assert!(made.folder(&path("there"), 0o700).is_err());
        fs::write(path("shared/of others"), "").unwrap();
        fs::write(path("late"), "").unwrap();
        drop(made);
        let mut left: Vec<_> =
            fs::read_dir(dir.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        left.sort();
        assert_eq!(left, ["shared", "there"]);
        assert_eq!(fs::read_to_string(path("there")).unwrap(), "old");
    }

    #[test]
    fn what_is_kept_stays() {
        let dir = tempfile::tempdir().unwrap();
        let mut made = MadePaths::default();
        made.folder(&dir.path().join("keys"), 0o700).unwrap();
        made.file(&dir.path().join("keys/file"), "text").unwrap();
        made.keep();
        assert_eq!(fs::read_to_string(dir.path().join("keys/file")).unwrap(), "text");
    }
}
