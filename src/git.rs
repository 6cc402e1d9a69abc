//! The policies folder as Git has it at a revision.

use std::{
    ffi::OsStr,
    io::{self, BufRead, BufReader, Read, Write},
    os::unix::ffi::OsStrExt,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
};

use jeton_policy::{Findings, PolicySources, files::ByteSize};

/// What Git sets for its hooks. The folder alone tells which repository is meant.
const OF_HOOKS: [&str; 5] = ["GIT_DIR", "GIT_WORK_TREE", "GIT_COMMON_DIR", "GIT_INDEX_FILE", "GIT_PREFIX"];

/// Why the policies of a revision cannot be read.
#[derive(Debug, thiserror::Error)]
pub(crate) enum GitError {
    /// There is no such folder.
    #[error("{} is not a folder", .0.display())]
    NotAFolder(PathBuf),
    /// The program git is missing, or may not be run.
    #[error("a Git revision needs the program git, which cannot be run")]
    NotRun(#[source] io::Error),
    /// Git refuses to answer, as where there is no repository.
    #[error("git {command} in {}: {said}", .dir.display())]
    Refused {
        /// What it was asked.
        command: String,
        /// Where.
        dir: PathBuf,
        /// What it said.
        said: String,
    },
    /// No commit has this name.
    #[error(
        "the repository of {} has no revision `{revision}`; a shallow clone may have to fetch it first",
        .dir.display()
    )]
    NoRevision {
        /// The folder.
        dir: PathBuf,
        /// The revision that was asked for.
        revision: String,
    },
    /// A policy file is a link there.
    #[error(
        "{} is a link at {revision}, which is not followed: check {revision} out elsewhere and compare two folders",
        .path.display()
    )]
    Link {
        /// The file.
        path: PathBuf,
        /// The revision.
        revision: String,
    },
    /// The folder holds no policies there.
    #[error("{} holds no `*.yaml` file at {revision}", .dir.display())]
    Empty {
        /// The folder.
        dir: PathBuf,
        /// The revision.
        revision: String,
    },
    /// The files are longer than a folder may be.
    #[error(
        "{} at {revision} is too large: with it the files of the folder hold more than {}",
        .path.display(), ByteSize(PolicySources::LONGEST)
    )]
    TooLarge {
        /// The first file for which there is no room.
        path: PathBuf,
        /// The revision.
        revision: String,
    },
    /// Git lists a file that it does not have.
    #[error("git has no content of {} at {revision}", .path.display())]
    NoContent {
        /// The file.
        path: PathBuf,
        /// The revision.
        revision: String,
    },
    /// Git answers otherwise than it is known to.
    #[error("git {command} says what is not understood")]
    Answer {
        /// What it was asked.
        command: &'static str,
    },
    /// Git stopped in the middle of an answer.
    #[error("git cat-file ended early")]
    EndedEarly(#[source] io::Error),
    /// The files are no policies.
    #[error(transparent)]
    Findings(#[from] Findings),
}

/// What Git may do where it lacks a file of a revision, as a clone with a filter does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum GitReach {
    /// Fetch it, by whatever program its settings name, and keep it.
    Remotes,
    /// Say so.
    ThisMachine,
}

/// Reads the `*.yaml` files and the files of public keys below `dir` as of a revision, by the `git` program. It waits for
/// the disk, and for the network where it may.
///
/// # Errors
/// No `git`, no repository, no such revision, a policy file that is a link, more than a folder may hold, or what is
/// wrong with the files.
pub(crate) fn sources(dir: &Path, revision: &str, reach: GitReach) -> Result<PolicySources, GitError> {
    if !dir.is_dir() {
        return Err(GitError::NotAFolder(dir.to_owned()));
    }
    run(dir, reach, &["rev-parse", "--git-dir"])?;
    let commit = commit_of(dir, revision, reach)?;
    let tree = run(dir, reach, &["ls-tree", "-r", "-z", &commit, "--", "."])?;
    let mut paths = Vec::new();
    let mut objects = String::new();
    for entry in tree.split(|byte| *byte == 0).filter(|entry| !entry.is_empty()) {
        let TreeEntry { mode, kind, object, path } =
            TreeEntry::read(entry).ok_or(GitError::Answer { command: "ls-tree" })?;
        let is_hidden = path.iter().any(|part| part.as_bytes().starts_with(b"."));
        let is_policies = is_policy_file(path);
        // a link to keys is missed by whoever names it
        let is_keys = PolicySources::is_key_file(path) && mode != LINK;
        if is_hidden || !(is_policies || is_keys) || kind != "blob" {
            continue;
        }
        if mode == LINK {
            return Err(GitError::Link { path: dir.join(path), revision: revision.to_owned() });
        }
        objects += object;
        objects.push('\n');
        paths.push(path.to_owned());
    }
    if !paths.iter().any(|path| is_policy_file(path)) {
        return Err(GitError::Empty { dir: dir.to_owned(), revision: revision.to_owned() });
    }
    let files = contents(dir, reach, revision, paths, objects)?;
    let name = PathBuf::from(format!("{revision}:{}", dir.display()));
    Ok(PolicySources::of_files(&name, files)?)
}

/// The one commit that a revision names.
fn commit_of(dir: &Path, revision: &str, reach: GitReach) -> Result<String, GitError> {
    let commit = format!("{revision}^{{commit}}");
    let commit = run(dir, reach, &["rev-parse", "--verify", "--quiet", "--end-of-options", &commit]);
    // `^main` leaves commits out, and names none
    let is_one = |commit: &String| !revision.is_empty() && !commit.contains('^');
    let commit = commit.ok().and_then(|commit| String::from_utf8(commit).ok()).filter(is_one);
    let commit =
        commit.ok_or_else(|| GitError::NoRevision { dir: dir.to_owned(), revision: revision.to_owned() })?;
    Ok(commit.trim().to_owned())
}

/// The mode of a symbolic link.
const LINK: &str = "120000";

/// A line of `git ls-tree`.
struct TreeEntry<'t> {
    mode: &'t str,
    kind: &'t str,
    object: &'t str,
    /// Relative to the folder.
    path: &'t Path,
}

impl<'t> TreeEntry<'t> {
    /// Reads `<mode> SP <type> SP <object> TAB <path>`.
    fn read(line: &'t [u8]) -> Option<Self> {
        let (about, path) = line.split_at_checked(line.iter().position(|byte| *byte == b'\t')?)?;
        let [mode, kind, object] = std::str::from_utf8(about).ok()?.split(' ').collect::<Vec<_>>()[..] else {
            return None;
        };
        Some(Self { mode, kind, object, path: Path::new(OsStr::from_bytes(path.get(1..)?)) })
    }
}

fn is_policy_file(path: &Path) -> bool {
    path.extension().is_some_and(|extension| extension == "yaml")
}

/// What stands in these files, each of which is in memory once. One that is too long is not read.
fn contents(
    dir: &Path,
    reach: GitReach,
    revision: &str,
    paths: Vec<PathBuf>,
    objects: String,
) -> Result<Vec<(PathBuf, Vec<u8>)>, GitError> {
    let mut git = git(dir, reach, &["cat-file", "--batch"]);
    let git = git.stdin(Stdio::piped()).stderr(Stdio::null()).spawn().map_err(GitError::NotRun)?;
    let mut git = Running(git);
    let stdin = git.0.stdin.take();
    // beside the reading, for git writes before it has read everything
    let writer =
        std::thread::spawn(move || stdin.map_or(Ok(()), |mut stdin| stdin.write_all(objects.as_bytes())));
    let not_understood = || GitError::Answer { command: "cat-file" };
    let mut said = BufReader::new(git.0.stdout.take().ok_or_else(not_understood)?);
    let mut files = Vec::with_capacity(paths.len());
    let mut room = PolicySources::LONGEST;
    for path in paths {
        // <object> SP <type> SP <size> LF <contents> LF, or <object> SP "missing" LF
        let mut head = String::new();
        said.read_line(&mut head).map_err(GitError::EndedEarly)?;
        let size = head.trim_end().rsplit(' ').next().and_then(|size| size.parse::<u64>().ok());
        let at = || (dir.join(&path), revision.to_owned());
        let size = size.ok_or_else(|| {
            let (path, revision) = at();
            GitError::NoContent { path, revision }
        })?;
        if PolicySources::is_key_file(&path) && size > PolicySources::LONGEST_KEYS {
            // missed by whoever names it
            io::copy(&mut (&mut said).take(size + 1), &mut io::sink()).map_err(GitError::EndedEarly)?;
            continue;
        }
        room = room.checked_sub(size).ok_or_else(|| {
            let (path, revision) = at();
            GitError::TooLarge { path, revision }
        })?;
        let mut text = vec![0; usize::try_from(size).map_err(|_| not_understood())?];
        let read = said.read_exact(&mut text).and_then(|()| said.read_exact(&mut [0]));
        read.map_err(GitError::EndedEarly)?;
        files.push((path, text));
    }
    let written = writer.join().unwrap_or_else(|_| Err(io::Error::other("the writer stopped")));
    written.map_err(GitError::EndedEarly)?;
    if !git.0.wait().map_err(GitError::EndedEarly)?.success() {
        return Err(not_understood());
    }
    Ok(files)
}

/// A program that does not outlive this.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        // one that has ended is not killed, and what cannot be waited for is nobody's
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Git in the repository of a folder, without what it sets for its hooks.
fn git(dir: &Path, reach: GitReach, args: &[&str]) -> Command {
    let mut git = Command::new("git");
    git.arg("-C").arg(dir).args(args).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    for variable in OF_HOOKS {
        git.env_remove(variable);
    }
    if reach == GitReach::ThisMachine {
        // older versions know the second one alone
        git.env("GIT_NO_LAZY_FETCH", "1").env("GIT_ALLOW_PROTOCOL", "");
    }
    git
}

fn run(dir: &Path, reach: GitReach, args: &[&str]) -> Result<Vec<u8>, GitError> {
    let output = git(dir, reach, args).output().map_err(GitError::NotRun)?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        let lines: Vec<_> = said.lines().collect();
        let command = args.first().map_or_else(String::new, |command| (*command).to_owned());
        return Err(GitError::Refused { command, dir: dir.to_owned(), said: lines.join("; ") });
    }
    Ok(output.stdout)
}
