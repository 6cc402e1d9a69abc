//! The policies folder as Git has it at a revision.

use std::{
    ffi::OsStr,
    io::{self, BufRead, BufReader, Read, Write},
    os::unix::ffi::OsStrExt,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use anyhow::{Context, bail, ensure};
use jeton_policy::{PolicySources, files::ByteSize};

/// What Git sets for its hooks. The folder alone tells which repository is meant.
const OF_HOOKS: [&str; 5] = ["GIT_DIR", "GIT_WORK_TREE", "GIT_COMMON_DIR", "GIT_INDEX_FILE", "GIT_PREFIX"];

/// Reads the `*.yaml` files and the files of public keys below `dir` as of a revision, by the `git` program.
///
/// # Errors
/// No `git`, no repository, no such revision, a policy file that is a link, more than a folder may hold, or what is
/// wrong with the files.
pub(super) fn sources(dir: &Path, revision: &str) -> anyhow::Result<PolicySources> {
    ensure!(dir.is_dir(), "{} is not a folder", dir.display());
    run(dir, &["rev-parse", "--git-dir"])?;
    let commit = format!("{revision}^{{commit}}");
    let commit = run(dir, &["rev-parse", "--verify", "--quiet", "--end-of-options", &commit]);
    // `^main` leaves commits out, and names none
    let is_one = |commit: &Vec<u8>| !revision.is_empty() && commit.iter().all(|byte| *byte != b'^');
    let commit = commit.ok().filter(is_one).with_context(|| {
        format!(
            "the repository of {} has no revision `{revision}`; a shallow clone may have to fetch it first",
            dir.display()
        )
    })?;
    let commit = String::from_utf8(commit)?;
    let tree = run(dir, &["ls-tree", "-r", "-z", commit.trim(), "--", "."])?;
    let mut paths = Vec::new();
    let mut objects = String::new();
    for entry in tree.split(|byte| *byte == 0).filter(|entry| !entry.is_empty()) {
        // <mode> SP <type> SP <object> TAB <path>, relative to the folder
        let tab = entry.iter().position(|byte| *byte == b'\t');
        let (about, path) = tab
            .and_then(|tab| entry.split_at_checked(tab))
            .context("git ls-tree says what is not understood")?;
        let (about, path) =
            (std::str::from_utf8(about)?, Path::new(OsStr::from_bytes(path.get(1..).unwrap_or_default())));
        let is_hidden = path.iter().any(|part| part.as_bytes().starts_with(b"."));
        let is_policies = path.extension().is_some_and(|extension| extension == "yaml");
        let [mode, kind, object] = about.split(' ').collect::<Vec<_>>()[..] else {
            bail!("git ls-tree says what is not understood: {about}");
        };
        // a link to keys is missed by whoever names it
        let is_keys = PolicySources::is_key_file(path) && mode != "120000";
        if is_hidden || !(is_policies || is_keys) || kind != "blob" {
            continue;
        }
        ensure!(
            mode != "120000",
            "{} is a link at {revision}, which `--git` does not follow: check {revision} out elsewhere and \
             compare two folders",
            dir.join(path).display()
        );
        objects += object;
        objects.push('\n');
        paths.push(path.to_owned());
    }
    let has_policies = paths.iter().any(|path| path.extension().is_some_and(|extension| extension == "yaml"));
    ensure!(has_policies, "{} holds no `*.yaml` file at {revision}", dir.display());
    let files = contents(dir, revision, paths, objects)?;
    let name = PathBuf::from(format!("{revision}:{}", dir.display()));
    Ok(PolicySources::of_files(&name, files)?)
}

/// What stands in these files, each of which is in memory once. One that is too long is not read.
fn contents(
    dir: &Path,
    revision: &str,
    paths: Vec<PathBuf>,
    objects: String,
) -> anyhow::Result<Vec<(PathBuf, Vec<u8>)>> {
    let mut git = git(dir, &["cat-file", "--batch"]);
    let mut git = git.stdin(Stdio::piped()).stderr(Stdio::null()).spawn().context("git cannot be run")?;
    let stdin = git.stdin.take();
    // beside the reading, for git writes before it has read everything
    let writer =
        std::thread::spawn(move || stdin.map_or(Ok(()), |mut stdin| stdin.write_all(objects.as_bytes())));
    let mut said = BufReader::new(git.stdout.take().context("git cat-file says nothing")?);
    let mut files = Vec::with_capacity(paths.len());
    let mut room = PolicySources::LONGEST;
    for path in paths {
        // <object> SP <type> SP <size> LF <contents> LF, or <object> SP "missing" LF
        let mut head = String::new();
        said.read_line(&mut head).context("git cat-file says what is not understood")?;
        let shown = || format!("{} at {revision}", dir.join(&path).display());
        let size = head.trim_end().rsplit(' ').next().and_then(|size| size.parse::<u64>().ok());
        let size = size.with_context(|| format!("git has no content of {}", shown()))?;
        if PolicySources::is_key_file(&path) && size > PolicySources::LONGEST_KEYS {
            // missed by whoever names it
            io::copy(&mut (&mut said).take(size + 1), &mut io::sink()).context("git cat-file ended early")?;
            continue;
        }
        room = room.checked_sub(size).with_context(|| {
            let most = ByteSize(PolicySources::LONGEST);
            format!("{} is too large: with it the files of the folder hold more than {most}", shown())
        })?;
        let mut text = vec![0; usize::try_from(size)?];
        let read = said.read_exact(&mut text).and_then(|()| said.read_exact(&mut [0]));
        read.context("git cat-file ended early")?;
        files.push((path, text));
    }
    let written = writer.join().unwrap_or_else(|_| Err(io::Error::other("the writer stopped")));
    written.context("git took no input")?;
    ensure!(git.wait()?.success(), "git cat-file failed in {}", dir.display());
    Ok(files)
}

/// Git in the repository of a folder, without what it sets for its hooks.
fn git(dir: &Path, args: &[&str]) -> Command {
    let mut git = Command::new("git");
    git.arg("-C").arg(dir).args(args).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    for variable in OF_HOOKS {
        git.env_remove(variable);
    }
    git
}

fn run(dir: &Path, args: &[&str]) -> anyhow::Result<Vec<u8>> {
    let output = git(dir, args).output().context("`--git` needs the program git, which cannot be run")?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        let lines: Vec<_> = said.lines().collect();
        bail!("git {} in {}: {}", args.first().unwrap_or(&""), dir.display(), lines.join("; "));
    }
    Ok(output.stdout)
}
