//! The policies folder as files on disk.

use std::{
    collections::BTreeMap,
    fs::{self, File, FileType},
    io::{self, Read},
    os::{fd::AsRawFd, unix::fs::FileTypeExt},
    path::{Path, PathBuf},
};

use ring::digest;

use super::{
    finding::{Code, Finding, Findings, Severity, Snippet, Span},
    set::ContentHash,
};
use crate::printable::printable;

/// The longest policy file, in bytes. A million clients fit into one; what is longer is there by mistake, and
/// reading it would take the memory of what serves.
const LONGEST: usize = 512 * 1024 * 1024;
/// The longest file of public keys, in bytes.
const LONGEST_KEYS: usize = 64 * 1024;

/// The text of one policy file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Source {
    /// The path as findings show it: the folder as it was given, then the way below it.
    pub(super) name: String,
    pub(super) text: String,
    /// The byte at which each line but the first starts.
    lines: Vec<usize>,
}

/// The parts of a file that are not shown, by byte.
#[derive(Clone, Debug)]
pub(super) enum Hidden {
    /// These.
    Parts(Vec<Span>),
    /// The file could not be parsed, so nobody knows: lines that look like a secret's, and the line after.
    Suspicious,
}

/// The bytes of a file, or why there are none.
type KeyFile = Result<Vec<u8>, Box<Finding>>;

/// Everything read from a policies folder, before anything is understood.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sources {
    pub(super) files: Vec<Source>,
    /// The folder, as the names of files begin.
    dir: String,
    /// What may hold public keys, by its path below the folder. What cannot be read matters once a client
    /// names it.
    keys: BTreeMap<PathBuf, KeyFile>,
    hash: ContentHash,
    warnings: Vec<Finding>,
}

impl Sources {
    /// Reads every `*.yaml` file below `dir`, sorted by path, and what may hold public keys. Hidden files and folders are passed over
    /// (a mounted volume's `..data`), links to files below `dir` are followed, links to folders are not.
    ///
    /// # Errors
    /// One finding for each file or folder that cannot be read, or is not what its name says.
    pub fn read(dir: &Path) -> Result<Self, Findings> {
        // where it cannot be resolved, it cannot be read
        let root = fs::canonicalize(dir).unwrap_or_else(|_| dir.to_owned());
        let mut found = Found::default();
        found.collect(dir);
        let Found { policies: mut paths, keys, mut findings } = found;
        paths.sort();
        let is_error = |finding: &Finding| finding.severity == Severity::Error;
        if paths.is_empty() && !findings.iter().any(is_error) {
            // an unmounted volume or a checkout under way, and never what an operator wants to serve
            let hint = "mount it or put the policy files back, or set `policies.dir` to where they are";
            findings.push(whole_file(dir, "holds no `*.yaml` file".to_owned(), hint));
        }
        let mut files = Vec::with_capacity(paths.len());
        for path in paths {
            match bytes_of(&root, &path, LONGEST) {
                Err(finding) => findings.push(*finding),
                Ok(bytes) => files.push((path.strip_prefix(dir).unwrap_or(&path).to_owned(), bytes)),
            }
        }
        let below = |path: &Path| path.strip_prefix(dir).unwrap_or(path).to_owned();
        let keys = keys.iter().map(|path| (below(path), bytes_of(&root, path, LONGEST_KEYS))).collect();
        Self::decode(dir, files, keys, findings)
    }

    /// Files from elsewhere, by their path below `dir`, as [`Self::read`] would have read them.
    ///
    /// # Errors
    /// One finding for each file that is not UTF-8, or that there is none.
    pub fn of_files(dir: &Path, files: Vec<(PathBuf, Vec<u8>)>) -> Result<Self, Findings> {
        let (keys, mut files): (Vec<_>, Vec<_>) =
            files.into_iter().partition(|(path, _)| Self::is_key_file(path));
        let keys = keys.into_iter().map(|(path, bytes)| {
            let is_too_long = bytes.len() > LONGEST_KEYS;
            let read = if is_too_long { Err(Box::new(too_long(&path, LONGEST_KEYS))) } else { Ok(bytes) };
            (path, read)
        });
        let keys = keys.collect();
        files.sort();
        let mut findings = Vec::new();
        if files.is_empty() {
            findings.push(whole_file(dir, "holds no `*.yaml` file".to_owned(), "name another folder"));
        }
        Self::decode(dir, files, keys, findings)
    }

    fn decode(
        dir: &Path,
        files: Vec<(PathBuf, Vec<u8>)>,
        keys: BTreeMap<PathBuf, KeyFile>,
        mut findings: Vec<Finding>,
    ) -> Result<Self, Findings> {
        let mut sources = Vec::with_capacity(files.len());
        let mut hash = digest::Context::new(&digest::SHA256);
        for (below, bytes) in files {
            let path = dir.join(&below);
            match String::from_utf8(bytes) {
                Err(error) => findings.push(not_utf8(&path, &error)),
                Ok(text) => {
                    for part in [below.as_os_str().as_encoded_bytes(), text.as_bytes()] {
                        hash.update(&part.len().to_be_bytes());
                        hash.update(part);
                    }
                    sources.push(Source::new(path.display().to_string(), text));
                }
            }
        }
        for (below, read) in &keys {
            hash.update(&below.as_os_str().len().to_be_bytes());
            hash.update(below.as_os_str().as_encoded_bytes());
            // no file is as long as that
            hash.update(&read.as_ref().map_or(usize::MAX, Vec::len).to_be_bytes());
            hash.update(read.as_deref().unwrap_or_default());
        }
        let hex: Vec<String> = hash.finish().as_ref().iter().map(|byte| format!("{byte:02x}")).collect();
        // a folder tells its entries in any order
        findings.sort_by(|a, b| a.file.cmp(&b.file));
        let findings = Findings(findings);
        if findings.has_errors() {
            return Err(findings);
        }
        let dir = dir.display().to_string();
        Ok(Self { files: sources, dir, keys, hash: ContentHash(hex.concat()), warnings: findings.0 })
    }

    /// Whether a file of this name may hold public keys, and so is read: `*.pem`, `*.jwk`, `*.jwks` and
    /// `*.json`, but `*.schema.json`.
    pub fn is_key_file(path: &Path) -> bool {
        let is_schema =
            path.file_name().is_some_and(|name| name.as_encoded_bytes().ends_with(b".schema.json"));
        let extension = path.extension().and_then(|extension| extension.to_str());
        !is_schema && matches!(extension, Some("pem" | "jwk" | "jwks" | "json"))
    }

    /// What a file below the folder holds, or why that cannot be said; `None` where there is none.
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

    /// The hash over all names and contents.
    pub fn hash(&self) -> &ContentHash {
        &self.hash
    }
}

/// The files below a folder.
#[derive(Default)]
struct Found {
    policies: Vec<PathBuf>,
    /// What may hold public keys.
    keys: Vec<PathBuf>,
    findings: Vec<Finding>,
}

impl Found {
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
            match entry.file_type() {
                Err(error) => self.findings.push(unreadable(&path, &error)),
                // whatever it is: a policy file that is none must not be overlooked
                Ok(_) if has("yaml") => self.policies.push(path),
                Ok(kind) if kind.is_dir() => self.collect(&path),
                Ok(kind) if kind.is_symlink() && path.is_dir() => {
                    let message = "is a link to a folder, and not followed".to_owned();
                    let hint = "put the folder itself there, or link its files";
                    self.findings.push(passed_over(&path, message, hint));
                }
                Ok(_) if has("yml") => {
                    let message = "is not read: only `*.yaml` is".to_owned();
                    let hint = "rename it to `.yaml`, or remove it";
                    self.findings.push(passed_over(&path, message, hint));
                }
                Ok(_) if Sources::is_key_file(&path) => self.keys.push(path),
                Ok(_) => {}
            }
        }
    }
}

/// What stands in a file of no more than `longest` bytes, which a link may lead to as long as it lies below `root`:
/// whoever writes policies must not see other files by what is told of them. Nothing but a file is opened: a pipe
/// would be waited for, and a device may have no end.
fn bytes_of(root: &Path, path: &Path, longest: usize) -> Result<Vec<u8>, Box<Finding>> {
    let unreadable = |error: io::Error| Box::new(unreadable(path, &error));
    let real = fs::canonicalize(path).map_err(unreadable)?;
    if !real.starts_with(root) {
        return Err(Box::new(leads_out(path)));
    }
    let metadata = fs::metadata(&real).map_err(unreadable)?;
    if !metadata.is_file() {
        return Err(Box::new(not_a_file(path, metadata.file_type())));
    }
    let length = usize::try_from(metadata.len()).unwrap_or(usize::MAX);
    if length > longest {
        return Err(Box::new(too_long(path, longest)));
    }
    let file = File::open(&real).map_err(unreadable)?;
    // a link may have come in its place, or in that of a folder above it
    if !path_of(&file, &real).map_err(unreadable)?.starts_with(root) {
        return Err(Box::new(leads_out(path)));
    }
    let mut bytes = Vec::with_capacity(length);
    // it may grow while it is read
    file.take(longest as u64 + 1).read_to_end(&mut bytes).map_err(unreadable)?;
    if bytes.len() > longest {
        return Err(Box::new(too_long(path, longest)));
    }
    Ok(bytes)
}

/// Where an open file lies, as Linux says; elsewhere, where its name leads now.
fn path_of(file: &File, name: &Path) -> io::Result<PathBuf> {
    fs::read_link(format!("/proc/self/fd/{}", file.as_raw_fd())).or_else(|_| fs::canonicalize(name))
}

fn whole_file(path: &Path, message: String, hint: &str) -> Finding {
    Finding {
        severity: Severity::Error,
        code: Code::Unreadable,
        message,
        file: path.display().to_string(),
        line: 0,
        column: 0,
        hint: Some(hint.to_owned()),
        snippet: None,
    }
}

fn passed_over(path: &Path, message: String, hint: &str) -> Finding {
    Finding { severity: Severity::Warning, code: Code::PassedOver, ..whole_file(path, message, hint) }
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
            "put a folder where it leads, or set `policies.dir` to where the policies are",
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
        _ if path.is_symlink() => "remove the link, or put a file where it leads",
        io::ErrorKind::NotFound => "it went away while the folder was read: reload again",
        _ => "make it readable or remove it",
    };
    whole_file(path, cannot_be_read(path, error), hint)
}

fn leads_out(path: &Path) -> Finding {
    let link = match fs::read_link(path) {
        Ok(target) => format!("is a link to `{}`, and", printable(&target.display().to_string())),
        Err(_) => "was exchanged for a link that".to_owned(),
    };
    let message = format!("{link} leads out of the policies folder");
    whole_file(path, message, "put the file itself there, or link to one below the folder")
}

fn not_a_file(path: &Path, kind: FileType) -> Finding {
    let (what, hint) = match kind {
        kind if kind.is_dir() => (
            "a folder",
            "rename or remove it; container engines make one where a file to be mounted is missing",
        ),
        kind if kind.is_fifo() => ("a pipe", "put a file in its place, or remove it"),
        kind if kind.is_socket() => ("a socket", "put a file in its place, or remove it"),
        _ => ("a device", "put a file in its place, or remove it"),
    };
    whole_file(path, format!("is {what}, and not a file"), hint)
}

fn too_long(path: &Path, longest: usize) -> Finding {
    let longest = match longest / 1024 {
        kibibytes @ ..1024 => format!("{kibibytes} KiB"),
        kibibytes => format!("{} MiB", kibibytes / 1024),
    };
    let message = format!("holds more than {longest}");
    whole_file(path, message, "split it into several files, or remove it")
}

fn not_utf8(path: &Path, error: &std::string::FromUtf8Error) -> Finding {
    let valid = error.utf8_error().valid_up_to();
    let line = error.as_bytes().iter().take(valid).filter(|byte| **byte == b'\n').count() + 1;
    whole_file(path, format!("is not UTF-8: line {line} holds other bytes"), "save the file as UTF-8")
}

impl Source {
    pub(super) fn new(name: String, text: String) -> Self {
        let lines = text.match_indices('\n').map(|(newline, _)| newline + 1).collect();
        Self { name, text, lines }
    }

    /// The line of a byte, from 1.
    pub(super) fn line(&self, byte: usize) -> usize {
        self.lines.partition_point(|start| *start <= byte) + 1
    }

    /// The line and column of a byte, both from 1, and the line itself.
    pub(super) fn locate(&self, byte: usize) -> (usize, usize, &str) {
        let line = self.line(byte);
        let start = line.checked_sub(2).and_then(|before| self.lines.get(before)).copied().unwrap_or(0);
        let column = self.text.get(start..byte).map_or(0, |before| before.chars().count()) + 1;
        let text = self.text.get(start..).unwrap_or_default().lines().next().unwrap_or_default();
        (line, column, text)
    }

    /// A finding at a place of this file, with the source line.
    pub(super) fn finding(
        &self,
        severity: Severity,
        at: Span,
        code: Code,
        message: String,
        hidden: &Hidden,
    ) -> Finding {
        let (line, column, text) = self.locate(at.start);
        let meant = self.text.get(at.start..at.end).unwrap_or_default();
        let width = meant.lines().next().unwrap_or_default().trim_end().chars().count().max(1);
        let start = line.checked_sub(2).and_then(|before| self.lines.get(before)).copied().unwrap_or(0);
        let suspicious = |line: &str| {
            let lower = line.to_ascii_lowercase();
            let is_about_secrets = ["secret", "sha256", "password"].iter().any(|word| lower.contains(word));
            is_about_secrets || holds_key_material(line)
        };
        // of a key in PEM, a line that is short too
        let before = self.text.get(..start).unwrap_or_default();
        let in_pem = before.rfind("-----BEGIN").and_then(|begin| before.get(begin..));
        let in_pem = in_pem.is_some_and(|block| !block.contains("-----END"));
        let snippet = match hidden {
            Hidden::Parts(parts) => {
                let is_hidden = |byte: usize| parts.iter().any(|part| part.start <= byte && byte < part.end);
                let shown = text.char_indices().map(|(at, c)| if is_hidden(start + at) { '*' } else { c });
                Some(Snippet::of(&shown.collect::<String>(), width))
            }
            Hidden::Suspicious => {
                let before = before.lines().next_back().unwrap_or_default();
                (!in_pem && !suspicious(text) && !suspicious(before)).then(|| Snippet::of(text, width))
            }
        };
        Finding { severity, code, message, file: self.name.clone(), line, column, hint: None, snippet }
    }
}

/// Whether part of a key could stand in a line: 40 digits of base64 in a row.
fn holds_key_material(line: &str) -> bool {
    let is_digit = |c: char| c.is_ascii_alphanumeric() || matches!(c, '+' | '/' | '=' | '-' | '_');
    line.split(|c| !is_digit(c)).any(|run| run.len() >= 40)
}
