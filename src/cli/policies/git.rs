//! The policies folder as Git has it at a revision.

use std::{
    ffi::OsStr,
    io::Write,
    os::unix::ffi::OsStrExt,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use anyhow::{Context, bail, ensure};

use crate::policy::Sources;

/// What Git sets for its hooks. The folder alone tells which repository is meant.
const OF_HOOKS: [&str; 5] = ["GIT_DIR", "GIT_WORK_TREE", "GIT_COMMON_DIR", "GIT_INDEX_FILE", "GIT_PREFIX"];

/// Reads the `*.yaml` files and the files of public keys below `dir` as of a revision, by the `git` program.
///
/// # Errors
/// No `git`, no repository, no such revision, a policy file that is a link, or what is wrong with the files.
pub(super) fn sources(dir: &Path, revision: &str) -> anyhow::Result<Sources> {
    ensure!(dir.is_dir(), "{} is not a folder", dir.display());
    run(dir, &["rev-parse", "--git-dir"], None)?;
    let commit = format!("{revision}^{{commit}}");
    let commit = run(dir, &["rev-parse", "--verify", "--quiet", "--end-of-options", &commit], None);
    // `^main` leaves commits out, and names none
    let is_one = |commit: &Vec<u8>| !revision.is_empty() && commit.iter().all(|byte| *byte != b'^');
    let commit = commit.ok().filter(is_one).with_context(|| {
        format!(
            "the repository of {} has no revision `{revision}`; a shallow clone may have to fetch it first",
            dir.display()
        )
    })?;
    let commit = String::from_utf8(commit)?;
    let tree = run(dir, &["ls-tree", "-r", "-z", commit.trim(), "--", "."], None)?;
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
        let is_keys = Sources::is_key_file(path) && mode != "120000";
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
    let contents = run(dir, &["cat-file", "--batch"], Some(objects))?;
    let mut rest = contents.as_slice();
    let mut files = Vec::with_capacity(paths.len());
    for path in paths {
        // <object> SP <type> SP <size> LF <contents> LF, or <object> SP "missing" LF
        let end = rest.iter().position(|byte| *byte == b'\n').context("git cat-file ended early")?;
        let (head, body) = rest.split_at(end);
        let size = std::str::from_utf8(head)?.rsplit(' ').next().and_then(|size| size.parse().ok());
        let size: usize = size
            .with_context(|| format!("git has no content of {} at {revision}", dir.join(&path).display()))?;
        let text = body.get(1..=size).context("git cat-file ended early")?;
        files.push((path, text.to_vec()));
        rest = body.get(size + 2..).unwrap_or_default();
    }
    let name = PathBuf::from(format!("{revision}:{}", dir.display()));
    Ok(Sources::of_files(&name, files)?)
}

fn run(dir: &Path, args: &[&str], input: Option<String>) -> anyhow::Result<Vec<u8>> {
    let mut git = Command::new("git");
    git.arg("-C").arg(dir).args(args).stdout(Stdio::piped()).stderr(Stdio::piped());
    git.stdin(if input.is_some() { Stdio::piped() } else { Stdio::null() });
    for variable in OF_HOOKS {
        git.env_remove(variable);
    }
    let mut git = git.spawn().context("`--git` needs the program git, which cannot be run")?;
    let stdin = git.stdin.take();
    // beside the reading, for git writes before it has read everything
    let writer = std::thread::spawn(move || {
        stdin.zip(input).map_or(Ok(()), |(mut stdin, input)| stdin.write_all(input.as_bytes()))
    });
    let output = git.wait_with_output()?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        let lines: Vec<_> = said.lines().collect();
        bail!("git {} in {}: {}", args.first().unwrap_or(&""), dir.display(), lines.join("; "));
    }
    let written = writer.join().unwrap_or_else(|_| Err(std::io::Error::other("the writer stopped")));
    written.context("git took no input")?;
    Ok(output.stdout)
}
