//! Files that are read whole: nothing but files, and none that is longer than it may be. `latest` keeps the last good
//! content of a folder or file that changes.

mod latest;

use std::{
    fmt,
    fs::{self, File, FileType, Metadata},
    io::{self, Read},
    os::{
        fd::{AsRawFd, RawFd},
        unix::fs::FileTypeExt,
    },
    path::Path,
};

pub use latest::{Latest, Rejection, Reload, Swapped, WatchedSource};

/// Why a file was not read. The error does not name the file.
#[derive(Debug, thiserror::Error)]
pub enum FileError {
    /// The system refused.
    #[error("cannot be read: {0}")]
    Io(#[from] io::Error),
    /// Something else than a file: a pipe would be waited for, and a device may have no end.
    #[error("is {}, and not a file", name_of(*.0))]
    NotAFile(FileType),
    /// It is longer than it may be.
    #[error("holds more than {0}")]
    TooLong(ByteSize),
}

impl From<FileError> for io::Error {
    fn from(error: FileError) -> Self {
        match error {
            FileError::Io(error) => error,
            error => Self::other(error),
        }
    }
}

/// A number of bytes, in words.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ByteSize(pub u64);

impl fmt::Display for ByteSize {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const KIB: u64 = 1024;
        const MIB: u64 = 1024 * KIB;
        match self.0 {
            bytes if bytes >= MIB => write!(f, "{} MiB", bytes / MIB),
            bytes if bytes >= KIB => write!(f, "{} KiB", bytes / KIB),
            bytes => write!(f, "{bytes} bytes"),
        }
    }
}

fn name_of(kind: FileType) -> &'static str {
    match kind {
        kind if kind.is_dir() => "a folder",
        kind if kind.is_fifo() => "a pipe",
        kind if kind.is_socket() => "a socket",
        _ => "a device",
    }
}

/// A file that is one, and was no longer than it may be when it was opened.
pub struct OpenFile {
    file: File,
    metadata: Metadata,
    longest: u64,
}

/// The content of a file of at most `longest` bytes.
///
/// # Errors
/// [`FileError`]; then no more than `longest` bytes were read.
pub fn read(path: &Path, longest: u64) -> Result<Vec<u8>, FileError> {
    OpenFile::open(path, longest)?.read()
}

impl OpenFile {
    /// Opens a file of at most `longest` bytes. Nothing else is opened, for that alone may be waited for.
    ///
    /// # Errors
    /// [`FileError`].
    pub fn open(path: &Path, longest: u64) -> Result<Self, FileError> {
        let check = |metadata: &Metadata| match metadata {
            other if !other.is_file() => Err(FileError::NotAFile(other.file_type())),
            long if long.len() > longest => Err(FileError::TooLong(ByteSize(longest))),
            _ => Ok(()),
        };
        check(&fs::metadata(path)?)?;
        let file = File::open(path)?;
        // another may have taken its place
        let metadata = file.metadata()?;
        check(&metadata)?;
        Ok(Self { file, metadata, longest })
    }

    /// What the system says of it.
    pub fn metadata(&self) -> &Metadata {
        &self.metadata
    }

    /// Its number among the open files.
    pub fn as_raw_fd(&self) -> RawFd {
        self.file.as_raw_fd()
    }

    /// What stands in it. There is room for all of it from the start, for a vector that grows leaves copies behind.
    ///
    /// # Errors
    /// [`FileError`] also where it grew meanwhile.
    pub fn read(self) -> Result<Vec<u8>, FileError> {
        // with less room to spare, its end is read through a buffer on the stack
        let room = usize::try_from(self.metadata.len()).unwrap_or_default() + 32;
        let mut bytes = Vec::with_capacity(room);
        let length = self.file.take(self.longest + 1).read_to_end(&mut bytes)? as u64;
        if length > self.longest { Err(FileError::TooLong(ByteSize(self.longest))) } else { Ok(bytes) }
    }

    /// Shows what stands in it piece by piece, so that it takes no memory.
    ///
    /// # Errors
    /// [`FileError`] also where it grew meanwhile.
    pub fn read_pieces(self, mut each: impl FnMut(&[u8])) -> Result<(), FileError> {
        let mut rest = self.file.take(self.longest + 1);
        let mut piece = vec![0; 64 * 1024];
        loop {
            match rest.read(&mut piece) {
                Ok(0) if rest.limit() == 0 => return Err(FileError::TooLong(ByteSize(self.longest))),
                Ok(0) => return Ok(()),
                Ok(count) => each(piece.get(..count).unwrap_or_default()),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error.into()),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{fs::File, io::Write, os::unix::net::UnixListener, path::Path, process::Command};

    use tempfile::TempDir;

    use super::{ByteSize, OpenFile, read};

    /// What both ways of reading come to; they must agree.
    fn told(path: &Path, longest: u64) -> Result<Vec<u8>, String> {
        let whole = read(path, longest).map_err(|error| error.to_string());
        let mut pieces = Vec::new();
        let in_pieces = OpenFile::open(path, longest)
            .and_then(|file| file.read_pieces(|piece| pieces.extend_from_slice(piece)))
            .map_err(|error| error.to_string());
        assert_eq!(whole.as_ref().err(), in_pieces.as_ref().err());
        assert!(whole.as_ref().is_ok_and(|bytes| *bytes == pieces) || whole.is_err());
        whole
    }

    #[test]
    fn nothing_but_files_is_read_and_none_that_is_too_long() {
        let dir = TempDir::new().unwrap();
        let path = |name: &str| dir.path().join(name);
        File::create(path("file")).unwrap().write_all(b"1234567890").unwrap();
        // it takes no room on the disk
        File::create(path("sparse")).unwrap().set_len(1 << 40).unwrap();
        assert!(Command::new("mkfifo").arg(path("pipe")).status().unwrap().success());
        drop(UnixListener::bind(path("socket")).unwrap());
        std::os::unix::fs::symlink("/dev/zero", path("link")).unwrap();
        assert_eq!(told(&path("file"), 10), Ok(b"1234567890".to_vec()));
        for (name, longest, error) in [
            ("file", 9, "holds more than 9 bytes"),
            ("sparse", 1024 * 1024, "holds more than 1 MiB"),
            (".", 10, "is a folder, and not a file"),
            ("pipe", 10, "is a pipe, and not a file"),
            ("socket", 10, "is a socket, and not a file"),
            ("/dev/zero", 10, "is a device, and not a file"),
            ("link", 10, "is a device, and not a file"),
            ("nowhere", 10, "cannot be read: No such file or directory (os error 2)"),
        ] {
            assert_eq!(told(&path(name), longest), Err(error.to_owned()), "{name}");
        }
    }

    /// Files of `/proc` have a length of zero, whatever stands in them; so has a file that grows.
    #[test]
    fn a_file_that_is_longer_than_it_says_is_too_long_all_the_same() {
        assert_eq!(told(Path::new("/proc/self/maps"), 10), Err("holds more than 10 bytes".to_owned()));
        assert!(told(Path::new("/proc/version"), 64 * 1024).is_ok_and(|text| !text.is_empty()));
    }

    #[test]
    fn what_is_read_has_its_room_from_the_start() {
        let dir = TempDir::new().unwrap();
        for length in [0, 1, 31, 32, 33, 4096, 100_000] {
            let path = dir.path().join("file");
            std::fs::write(&path, vec![b'x'; length]).unwrap();
            let bytes = read(&path, 1 << 20).unwrap();
            assert_eq!((bytes.len(), bytes.capacity()), (length, length + 32));
        }
    }

    #[test]
    fn a_size_is_told_in_the_unit_that_fits() {
        for (bytes, told) in
            [(9, "9 bytes"), (1024, "1 KiB"), (64 << 10, "64 KiB"), (1 << 20, "1 MiB"), (1 << 28, "256 MiB")]
        {
            assert_eq!(ByteSize(bytes).to_string(), told);
        }
    }
}
