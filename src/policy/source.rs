//! The policies folder as files on disk.

use std::{
    fs::{self, File, FileType},
    io::{self, Read},
    os::unix::fs::FileTypeExt,
    path::{Path, PathBuf},
};

use ring::digest;

use super::{
    finding::{Code, Finding, Findings, Severity, Snippet, Span, printable},
    set::ContentHash,
};

/// The longest policy file, in bytes. A million clients fit into one; what is longer is there by mistake, and
/// reading it would take the memory of what serves.
const LONGEST: usize = 512 * 1024 * 1024;

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

/// Everything read from a policies folder, before anything is understood.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sources {
    pub(super) files: Vec<Source>,
    hash: ContentHash,
    warnings: Vec<Finding>,
}

impl Sources {
    /// Reads every `*.yaml` file below `dir`, sorted by path. Hidden files and folders are passed over
    /// (a mounted volume's `..data`), links to files are followed, links to folders are not.
    ///
    /// # Errors
    /// One finding for each file or folder that cannot be read, or is not what its name says.
    pub fn read(dir: &Path) -> Result<Self, Findings> {
        let mut paths = Vec::new();
        let mut findings = Vec::new();
        collect(dir, &mut paths, &mut findings);
        paths.sort();
        let is_error = |finding: &Finding| finding.severity == Severity::Error;
        if paths.is_empty() && !findings.iter().any(is_error) {
            // an unmounted volume or a checkout under way, and never what an operator wants to serve
            let hint = "mount it or put the policy files back, or set `policies.dir` to where they are";
            findings.push(whole_file(dir, "holds no `*.yaml` file".to_owned(), hint));
        }
        let mut files = Vec::with_capacity(paths.len());
        for path in paths {
            match bytes_of(&path) {
                Err(finding) => findings.push(*finding),
                Ok(bytes) => files.push((path.strip_prefix(dir).unwrap_or(&path).to_owned(), bytes)),
            }
        }
        Self::decode(dir, files, findings)
    }

    /// Files from elsewhere, by their path below `dir`, as [`Self::read`] would have read them.
    ///
    /// # Errors
    /// One finding for each file that is not UTF-8, or that there is none.
    pub fn of_files(dir: &Path, mut files: Vec<(PathBuf, Vec<u8>)>) -> Result<Self, Findings> {
        files.sort();
        let mut findings = Vec::new();
        if files.is_empty() {
            findings.push(whole_file(dir, "holds no `*.yaml` file".to_owned(), "name another folder"));
        }
        Self::decode(dir, files, findings)
    }

    fn decode(
        dir: &Path,
        files: Vec<(PathBuf, Vec<u8>)>,
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
        let hex: Vec<String> = hash.finish().as_ref().iter().map(|byte| format!("{byte:02x}")).collect();
        // a folder tells its entries in any order
        findings.sort_by(|a, b| a.file.cmp(&b.file));
        let findings = Findings(findings);
        if findings.has_errors() {
            return Err(findings);
        }
        Ok(Self { files: sources, hash: ContentHash(hex.concat()), warnings: findings.0 })
    }

    /// What looks like a policy file and was passed over.
    pub(super) fn warnings(&self) -> &[Finding] {
        &self.warnings
    }

    /// The hash over all names and texts.
    pub fn hash(&self) -> &ContentHash {
        &self.hash
    }
}

fn collect(dir: &Path, into: &mut Vec<PathBuf>, findings: &mut Vec<Finding>) {
    let entries = match fs::read_dir(dir).and_then(Iterator::collect::<io::Result<Vec<_>>>) {
        Ok(entries) => entries,
        Err(error) => return findings.push(unreadable_folder(dir, &error)),
    };
    for entry in entries {
        let path = entry.path();
        if entry.file_name().as_encoded_bytes().starts_with(b".") {
            continue;
        }
        match entry.file_type() {
            Err(error) => findings.push(unreadable(&path, &error)),
            // whatever it is: a policy file that is none must not be overlooked
            Ok(_) if path.extension().is_some_and(|extension| extension == "yaml") => into.push(path),
            Ok(kind) if kind.is_dir() => collect(&path, into, findings),
            Ok(kind) if kind.is_symlink() && path.is_dir() => {
                let message = "is a link to a folder, and not followed".to_owned();
                findings.push(passed_over(&path, message, "put the folder itself there, or link its files"));
            }
            Ok(_) if path.extension().is_some_and(|extension| extension == "yml") => {
                let message = "is not read: only `*.yaml` is".to_owned();
                findings.push(passed_over(&path, message, "rename it to `.yaml`, or remove it"));
            }
            Ok(_) => {}
        }
    }
}

/// What stands in a policy file. Nothing but a file is opened: a pipe would be waited for, and a device may
/// have no end.
fn bytes_of(path: &Path) -> Result<Vec<u8>, Box<Finding>> {
    let unreadable = |error: io::Error| Box::new(unreadable(path, &error));
    let metadata = fs::metadata(path).map_err(unreadable)?;
    if !metadata.is_file() {
        return Err(Box::new(not_a_file(path, metadata.file_type())));
    }
    let length = usize::try_from(metadata.len()).unwrap_or(usize::MAX);
    if length > LONGEST {
        return Err(Box::new(too_long(path)));
    }
    let mut bytes = Vec::with_capacity(length);
    // it may grow while it is read
    let opened = File::open(path).map(|file| file.take(LONGEST as u64 + 1));
    opened.and_then(|mut file| file.read_to_end(&mut bytes)).map_err(unreadable)?;
    if bytes.len() > LONGEST {
        return Err(Box::new(too_long(path)));
    }
    Ok(bytes)
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

fn too_long(path: &Path) -> Finding {
    let message = format!("holds more than {} MiB", LONGEST / 1024 / 1024);
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
            let line = line.to_ascii_lowercase();
            ["secret", "sha256", "password"].iter().any(|word| line.contains(word))
        };
        let snippet = match hidden {
            Hidden::Parts(parts) => {
                let is_hidden = |byte: usize| parts.iter().any(|part| part.start <= byte && byte < part.end);
                let shown = text.char_indices().map(|(at, c)| if is_hidden(start + at) { '*' } else { c });
                Some(Snippet::of(&shown.collect::<String>(), width))
            }
            Hidden::Suspicious => {
                let before =
                    self.text.get(..start).unwrap_or_default().lines().next_back().unwrap_or_default();
                (!suspicious(text) && !suspicious(before)).then(|| Snippet::of(text, width))
            }
        };
        Finding { severity, code, message, file: self.name.clone(), line, column, hint: None, snippet }
    }
}
