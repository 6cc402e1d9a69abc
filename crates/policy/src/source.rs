//! The policies folder as files on disk.

use std::{
    collections::BTreeMap,
    fmt, fs, io,
    path::{Component, Path, PathBuf},
    sync::Arc,
};

use jeton_oauth::text::printable;
use ring::digest;

use super::{
    finding::{Finding, FindingCode, Findings, Severity},
    policy_text::PolicyText,
};
use crate::files::{ByteSize, FileError, OpenFile};

/// The bytes of a file, or why there are none.
type KeyFile = Result<Vec<u8>, Box<Finding>>;

/// The SHA-256 of all policy files and key files with their names, in hexadecimal: two replicas with the same hash
/// serve the same policies.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct ContentHash(String);

impl ContentHash {
    /// Reads 64 hexadecimal digits in lower case.
    pub fn parse(text: &str) -> Option<Self> {
        let is_digit = |byte: u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
        (text.len() == 64 && text.bytes().all(is_digit)).then(|| Self(text.to_owned()))
    }

    /// Its digits.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for ContentHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Everything read from a policies folder, before anything is understood.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PolicySources {
    pub(super) files: Arc<Vec<PolicyText>>,
    /// The folder, as the names of files begin.
    dir: String,
    /// What may hold public keys, by its path below the folder. What cannot be read matters once a client
    /// names it.
    keys: BTreeMap<PathBuf, KeyFile>,
    hash: ContentHash,
    warnings: Vec<Finding>,
}

impl PolicySources {
    /// How much a folder may hold, in bytes. A million clients and one and a half million scopes fit in; what is
    /// longer is there by mistake, and to read it would take the memory of what serves.
    pub const LONGEST: u64 = 256 * 1024 * 1024;
    /// The longest file of public keys, in bytes.
    pub const LONGEST_KEYS: u64 = 64 * 1024;

    /// Reads every `*.yaml` file below `dir`, sorted by path, and what may hold public keys. Hidden files and folders are passed over
    /// (a mounted volume's `..data`), links to files below `dir` are followed, links to folders are not.
    ///
    /// # Errors
    /// One finding for each file or folder that cannot be read, or is not what its name says.
    pub fn read(dir: &Path) -> Result<Self, Findings> {
        let FoundFiles { policies, keys, mut findings } = FoundFiles::of(dir);
        let mut room = Room::of(dir);
        let mut files = Vec::with_capacity(policies.len());
        for path in &policies {
            match room.read(path, Self::LONGEST) {
                Err(finding) => findings.push(*finding),
                Ok(bytes) => files.push((below(dir, path), bytes)),
            }
        }
        let keys = keys.iter().map(|path| (below(dir, path), room.read(path, Self::LONGEST_KEYS))).collect();
        Self::decode(dir, files, keys, findings)
    }

    /// What [`Self::read`] would read, but for the files, which are not kept: whoever compares needs no memory for
    /// them. Whether they are text is not looked at.
    ///
    /// # Errors
    /// As [`Self::read`].
    pub(super) fn look(dir: &Path) -> Result<FolderLook, Findings> {
        let FoundFiles { policies, keys, mut findings } = FoundFiles::of(dir);
        let mut room = Room::of(dir);
        let mut hash = FolderHash::new();
        for path in &policies {
            let mut content = digest::Context::new(&digest::SHA256);
            let read = room.open(path, Self::LONGEST).and_then(|file| {
                file.read_pieces(|piece| content.update(piece))
                    .map_err(|error| Box::new(refused(path, error)))
            });
            match read {
                Err(finding) => findings.push(*finding),
                Ok(()) => hash.add(&below(dir, path), Some(&content.finish())),
            }
        }
        for path in &keys {
            hash.add_keys(&below(dir, path), &room.read(path, Self::LONGEST_KEYS));
        }
        Ok(FolderLook { warnings: settled(findings)?, hash: hash.finish() })
    }

    /// What [`Self::look`] would have told of this.
    pub(super) fn as_look(&self) -> FolderLook {
        FolderLook { hash: self.hash.clone(), warnings: self.warnings.clone() }
    }

    /// Files from elsewhere, by their path below `dir`, as [`Self::read`] would have read them.
    ///
    /// # Errors
    /// One finding for each file that is too long or not UTF-8, or one for a folder without policy files.
    pub fn of_files(dir: &Path, files: Vec<(PathBuf, Vec<u8>)>) -> Result<Self, Findings> {
        let (keys, mut files): (Vec<_>, Vec<_>) =
            files.into_iter().partition(|(path, _)| Self::is_key_file(path));
        files.sort();
        let mut findings = Vec::new();
        let mut room = Room::of(dir);
        files.retain(|(path, bytes)| {
            let fits = room.take(&dir.join(path), bytes.len() as u64, Self::LONGEST);
            fits.map_err(|finding| findings.push(*finding)).is_ok()
        });
        let keys = keys.into_iter().map(|(path, bytes)| {
            let fits = room.take(&path, bytes.len() as u64, Self::LONGEST_KEYS);
            (path, fits.map(|()| bytes))
        });
        let keys = keys.collect();
        if files.is_empty() && findings.is_empty() {
            findings.push(whole_file(dir, "holds no `*.yaml` file".to_owned(), "name another folder"));
        }
        Self::decode(dir, files, keys, findings)
    }

    /// These files instead, each a name as in [`Self::texts`] or a path below the folder, and its text. The files of public
    /// keys and what was passed over stay. With the same texts the [hash](Self::hash) is the same.
    ///
    /// # Errors
    /// One finding for each name that is no policy file's below the folder or stands twice, and for texts that are too
    /// long.
    pub(super) fn with_texts(&self, files: Vec<(String, String)>) -> Result<Self, Findings> {
        let mut findings = self.warnings.clone();
        let mut room = Room { left: Self::LONGEST, root: PathBuf::new() };
        let mut taken = BTreeMap::new();
        for (name, text) in files {
            let path = match file_below(&self.below(&name)) {
                Ok(path) => path,
                Err((message, hint)) => {
                    findings.push(whole_file(Path::new(&name), message.to_owned(), hint));
                    continue;
                }
            };
            match room.take(Path::new(&name), text.len() as u64, Self::LONGEST) {
                Err(finding) => findings.push(*finding),
                Ok(()) if taken.contains_key(&path) => {
                    let message = "is given twice".to_owned();
                    findings.push(whole_file(Path::new(&name), message, "send one text for each file"));
                }
                Ok(()) => drop(taken.insert(path, text.into_bytes())),
            }
        }
        let dir = Path::new(&self.dir);
        if taken.is_empty() && !Findings::any_error(&findings) {
            let message = "holds no `*.yaml` file".to_owned();
            findings.push(whole_file(dir, message, "send the text of one policy file or more"));
        }
        Self::decode(dir, taken.into_iter().collect(), self.keys.clone(), findings)
    }

    /// Each policy file, in order of the paths: its name as findings show it, and its text.
    pub fn texts(&self) -> impl Iterator<Item = (&str, &str)> {
        self.files.iter().map(|file| (file.name.as_str(), file.text.as_str()))
    }

    /// The folder, as the names of files begin.
    pub fn dir(&self) -> &str {
        &self.dir
    }

    /// What stands for a bundle: one file of this name, on one line that nobody sees.
    pub(super) fn of_bundle(name: String, hash: ContentHash) -> Self {
        let file = PolicyText::new(name.clone(), String::new());
        Self { files: Arc::new(vec![file]), dir: name, keys: BTreeMap::new(), hash, warnings: Vec::new() }
    }

    fn decode(
        dir: &Path,
        files: Vec<(PathBuf, Vec<u8>)>,
        keys: BTreeMap<PathBuf, KeyFile>,
        mut findings: Vec<Finding>,
    ) -> Result<Self, Findings> {
        let mut sources = Vec::with_capacity(files.len());
        let mut hash = FolderHash::new();
        for (below, bytes) in files {
            let path = dir.join(&below);
            match String::from_utf8(bytes) {
                Err(error) => findings.push(not_utf8(&path, &error)),
                Ok(text) => {
                    hash.add(&below, Some(&digest::digest(&digest::SHA256, text.as_bytes())));
                    sources.push(PolicyText::new(path.display().to_string(), text));
                }
            }
        }
        for (below, read) in &keys {
            hash.add_keys(below, read);
        }
        let warnings = settled(findings)?;
        let dir = dir.display().to_string();
        let files = Arc::new(sources);
        Ok(Self { files, dir, keys, hash: hash.finish(), warnings })
    }

    /// Whether a file of this name may hold public keys, and so is read: `*.pem`, `*.jwk`, `*.jwks` and
    /// `*.json`, but `*.schema.json`.
    pub fn is_key_file(path: &Path) -> bool {
        let is_schema =
            path.file_name().is_some_and(|name| name.as_encoded_bytes().ends_with(b".schema.json"));
        let extension = path.extension().and_then(|extension| extension.to_str());
        !is_schema && matches!(extension, Some("pem" | "jwk" | "jwks" | "json"))
    }

    /// The files that may hold public keys, each by its path below the folder, but for those that cannot be read.
    pub fn key_files(&self) -> impl Iterator<Item = (&Path, &[u8])> {
        self.keys.iter().filter_map(|(below, read)| Some((below.as_path(), read.as_deref().ok()?)))
    }

    /// The content of a key file below the folder, or why it cannot be read. `None` if there is no such file.
    pub(super) fn key_file(&self, below: &Path) -> Option<Result<&[u8], &Finding>> {
        let read = self.keys.get(below)?;
        Some(read.as_deref().map_err(|finding| &**finding))
    }

    /// The way to a policy file below the folder, from its name.
    pub(super) fn below(&self, name: &str) -> PathBuf {
        Path::new(name).strip_prefix(&self.dir).unwrap_or(Path::new(name)).to_owned()
    }

    /// What looks like a policy file and was passed over.
    pub(super) fn warnings(&self) -> &[Finding] {
        &self.warnings
    }

    /// What is wrong with all files together.
    pub(super) fn fault(&self, code: FindingCode, message: String, hint: &str) -> Finding {
        Finding { code, ..whole_file(Path::new(&self.dir), message, hint) }
    }

    /// The hash over all names and contents.
    pub fn hash(&self) -> &ContentHash {
        &self.hash
    }
}

/// What makes two readings of a folder the same.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct FolderLook {
    /// The hash over all names and contents.
    pub(super) hash: ContentHash,
    /// What was passed over.
    pub(super) warnings: Vec<Finding>,
}

/// The files below a folder.
#[derive(Default)]
struct FoundFiles {
    policies: Vec<PathBuf>,
    /// What may hold public keys.
    keys: Vec<PathBuf>,
    findings: Vec<Finding>,
}

impl FoundFiles {
    /// In the order of their paths.
    fn of(dir: &Path) -> Self {
        let mut found = Self::default();
        found.collect(dir);
        found.policies.sort();
        found.keys.sort();
        let is_error = |finding: &Finding| finding.severity == Severity::Error;
        if found.policies.is_empty() && !found.findings.iter().any(is_error) {
            // an unmounted volume or a checkout under way, and never what an operator wants to serve
            let hint = "mount it or put the policy files back, or set `policies.dir` to where they are";
            found.findings.push(whole_file(dir, "holds no `*.yaml` file".to_owned(), hint));
        }
        found
    }

    fn collect(&mut self, dir: &Path) {
        let entries = match fs::read_dir(dir).and_then(Iterator::collect::<io::Result<Vec<_>>>) {
            Ok(entries) => entries,
            Err(error) => return self.findings.push(unreadable_folder(dir, &error)),
        };
        for entry in entries {
            let path = entry.path();
            if entry.file_name().as_encoded_bytes().starts_with(b".") {
                continue;
            }
            let has = |wanted: &str| path.extension().is_some_and(|extension| extension == wanted);
            let has_like =
                |wanted| path.extension().is_some_and(|extension| extension.eq_ignore_ascii_case(wanted));
            match entry.file_type() {
                Err(error) => self.findings.push(unreadable(&path, &error)),
                // whatever it is: something that is not a file must not be overlooked
                Ok(_) if has("yaml") => self.policies.push(path),
                Ok(kind) if kind.is_dir() => self.collect(&path),
                Ok(kind) if kind.is_symlink() && path.is_dir() => {
                    let message = "is a link to a folder, which jeton does not follow".to_owned();
                    let hint = "put the folder itself there, or link its files";
                    self.findings.push(passed_over(&path, message, hint));
                }
                Ok(_) if has_like("yml") || has_like("yaml") => {
                    let message = "is ignored: jeton reads only `*.yaml`".to_owned();
                    let hint = "rename it to `.yaml`, or remove it";
                    self.findings.push(passed_over(&path, message, hint));
                }
                Ok(_) if PolicySources::is_key_file(&path) => self.keys.push(path),
                Ok(_) => {}
            }
        }
    }
}

/// How much more may be read of a folder, in bytes, and where that lies.
struct Room {
    left: u64,
    root: PathBuf,
}

impl Room {
    fn of(dir: &Path) -> Self {
        // where it cannot be resolved, it cannot be read
        Self { left: PolicySources::LONGEST, root: fs::canonicalize(dir).unwrap_or_else(|_| dir.to_owned()) }
    }

    /// Opens a file of at most `longest` bytes, and counts it. A link may lead to it as long as it lies below the
    /// folder: whoever writes policies must not see other files by what is told of them.
    fn open(&mut self, path: &Path, longest: u64) -> Result<OpenFile, Box<Finding>> {
        let cannot = |error: io::Error| Box::new(unreadable(path, &error));
        let real = fs::canonicalize(path).map_err(cannot)?;
        if !real.starts_with(&self.root) {
            return Err(Box::new(leads_out(path)));
        }
        let file = OpenFile::open(&real, longest).map_err(|error| Box::new(refused(path, error)))?;
        // a link may have come in its place, or in that of a folder above it
        if !path_of(&file, &real).map_err(cannot)?.starts_with(&self.root) {
            return Err(Box::new(leads_out(path)));
        }
        self.take(path, file.metadata().len(), longest)?;
        Ok(file)
    }

    fn read(&mut self, path: &Path, longest: u64) -> Result<Vec<u8>, Box<Finding>> {
        self.open(path, longest)?.read().map_err(|error| Box::new(refused(path, error)))
    }

    /// Counts a file of this length.
    fn take(&mut self, path: &Path, length: u64, longest: u64) -> Result<(), Box<Finding>> {
        if length > longest {
            return Err(Box::new(refused(path, FileError::TooLong(ByteSize(longest)))));
        }
        let left = self.left.checked_sub(length).ok_or_else(|| {
            let message = format!(
                "is too large: with it the files of the folder hold more than {}",
                ByteSize(PolicySources::LONGEST)
            );
            Box::new(whole_file(
                path,
                message,
                "move files that are not policies out of the folder, or remove them",
            ))
        })?;
        self.left = left;
        Ok(())
    }
}

/// The hash over all names and contents of a folder.
struct FolderHash(digest::Context);

impl FolderHash {
    fn new() -> Self {
        Self(digest::Context::new(&digest::SHA256))
    }

    /// Adds a file by its path below the folder, and the hash of what stands in it if that could be read.
    fn add(&mut self, below: &Path, content: Option<&digest::Digest>) {
        let below = below.as_os_str().as_encoded_bytes();
        self.0.update(&below.len().to_be_bytes());
        self.0.update(below);
        let content = content.map(digest::Digest::as_ref);
        self.0.update(&[u8::from(content.is_some())]);
        self.0.update(content.unwrap_or_default());
    }

    fn add_keys(&mut self, below: &Path, read: &KeyFile) {
        let content = read.as_ref().map(|bytes| digest::digest(&digest::SHA256, bytes));
        self.add(below, content.as_ref().ok());
    }

    fn finish(self) -> ContentHash {
        let hex: Vec<String> = self.0.finish().as_ref().iter().map(|byte| format!("{byte:02x}")).collect();
        ContentHash(hex.concat())
    }
}

/// The warnings in order, if there are no errors; a folder tells its entries in any order.
fn settled(mut findings: Vec<Finding>) -> Result<Vec<Finding>, Findings> {
    findings.sort_by(|a, b| a.file.cmp(&b.file));
    let findings = Findings(findings);
    if findings.has_errors() { Err(findings) } else { Ok(findings.0) }
}

/// The path of a policy file below a folder, if it is one that would be read there.
fn file_below(path: &Path) -> Result<PathBuf, (&'static str, &'static str)> {
    let mut below = PathBuf::new();
    for part in path.components() {
        match part {
            Component::Normal(part) if part.as_encoded_bytes().starts_with(b".") => {
                return Err(("is hidden", "rename what starts with a dot: hidden files are not read"));
            }
            Component::Normal(part) => below.push(part),
            Component::CurDir => {}
            Component::ParentDir | Component::RootDir | Component::Prefix(_) => {
                return Err((
                    "is not below the policies folder",
                    "name a file below the folder, without `..`",
                ));
            }
        }
    }
    if below.extension().is_none_or(|extension| extension != "yaml") {
        return Err(("is not the name of a policy file", "let the name end in `.yaml`"));
    }
    Ok(below)
}

fn below(dir: &Path, path: &Path) -> PathBuf {
    path.strip_prefix(dir).unwrap_or(path).to_owned()
}

/// Where an open file lies, as Linux says; elsewhere, where its name leads now.
fn path_of(file: &OpenFile, name: &Path) -> io::Result<PathBuf> {
    fs::read_link(format!("/proc/self/fd/{}", file.as_raw_fd())).or_else(|_| fs::canonicalize(name))
}

fn whole_file(path: &Path, message: String, hint: &str) -> Finding {
    Finding {
        severity: Severity::Error,
        code: FindingCode::Unreadable,
        message,
        file: path.display().to_string(),
        line: 0,
        column: 0,
        hint: Some(hint.to_owned()),
        snippet: None,
    }
}

fn passed_over(path: &Path, message: String, hint: &str) -> Finding {
    Finding { severity: Severity::Warning, code: FindingCode::PassedOver, ..whole_file(path, message, hint) }
}

/// What cannot be read, and why. `ls` shows a link that leads nowhere, so it is told as one.
fn cannot_be_read(path: &Path, error: &io::Error) -> String {
    match fs::read_link(path) {
        Ok(target) => {
            let target = printable(&target.display().to_string());
            format!("is a link to `{target}`, which cannot be read: {error}")
        }
        Err(_) => format!("cannot be read: {error}"),
    }
}

fn unreadable_folder(path: &Path, error: &io::Error) -> Finding {
    let (message, hint) = match error.kind() {
        io::ErrorKind::NotADirectory => (
            "is not a folder".to_owned(),
            "put the folder back, or set `policies.dir` to where the policies are",
        ),
        io::ErrorKind::NotFound if path.is_symlink() => (
            cannot_be_read(path, error),
            "put a folder at its target, or set `policies.dir` to where the policies are",
        ),
        io::ErrorKind::NotFound => {
            (cannot_be_read(path, error), "make it, or set `policies.dir` to where the policies are")
        }
        _ => return unreadable(path, error),
    };
    whole_file(path, message, hint)
}

fn unreadable(path: &Path, error: &io::Error) -> Finding {
    let hint = match error.kind() {
        io::ErrorKind::PermissionDenied => {
            "let the user that runs jeton read it, and enter the folders above it"
        }
        _ if path.is_symlink() => "remove the link, or put a file at its target",
        io::ErrorKind::NotFound => "it went away while the folder was read: reload again",
        _ => "make it readable or remove it",
    };
    whole_file(path, cannot_be_read(path, error), hint)
}

fn leads_out(path: &Path) -> Finding {
    let link = match fs::read_link(path) {
        Ok(target) => format!("is a link to `{}`, and", printable(&target.display().to_string())),
        Err(_) => "was replaced by a link that".to_owned(),
    };
    let message = format!("{link} leads out of the policies folder");
    whole_file(path, message, "put the file itself there, or link to one below the folder")
}

/// A file that was not read, with what to do about it.
fn refused(path: &Path, error: FileError) -> Finding {
    let message = error.to_string();
    match error {
        FileError::Io(error) => unreadable(path, &error),
        FileError::NotAFile(kind) if kind.is_dir() => whole_file(
            path,
            message,
            "rename or remove it; container engines make one where a file to be mounted is missing",
        ),
        FileError::NotAFile(_) => whole_file(path, message, "put a file in its place, or remove it"),
        FileError::TooLong(_) => whole_file(path, message, "remove it, or shorten it"),
    }
}

fn not_utf8(path: &Path, error: &std::string::FromUtf8Error) -> Finding {
    let valid = error.utf8_error().valid_up_to();
    let line = error.as_bytes().iter().take(valid).filter(|byte| **byte == b'\n').count() + 1;
    whole_file(path, format!("is not UTF-8: line {line} holds other bytes"), "save the file as UTF-8")
}
