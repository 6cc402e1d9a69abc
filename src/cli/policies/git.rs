//! The policies folder as Git has it at a revision.

use std::{
    io::Write,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use anyhow::{Context, bail, ensure};

use crate::policy::Sources;

/// Reads the `*.yaml` files below `dir` as of a revision, by the `git` program.
///
/// # Errors
/// No `git`, no repository, no such revision, a policy file that is a link, or what is wrong with the files.
pub(super) fn sources(dir: &Path, revision: &str) -> anyhow::Result<Sources> {
    let commit = format!("{revision}^{{commit}}");
    let commit = run(dir, &["rev-parse", "--verify", "--quiet", "--end-of-options", &commit], None)
        .with_context(|| {
            format!("there is no revision `{revision}` in the repository of {}", dir.display())
        })?;
    let commit = String::from_utf8(commit)?;
    let tree = run(dir, &["ls-tree", "-r", "-z", commit.trim(), "--", "."], None)?;
    let mut paths = Vec::new();
    let mut objects = String::new();
    for entry in String::from_utf8(tree)?.split_terminator('\0') {
        // <mode> SP <type> SP <object> TAB <path>, relative to the folder
        let (about, path) = entry.split_once('\t').context("git ls-tree says what is not understood")?;
        let is_hidden = path.split('/').any(|part| part.starts_with('.'));
        if is_hidden || Path::new(path).extension().is_none_or(|extension| extension != "yaml") {
            continue;
        }
        ensure!(
            !about.starts_with("120000"),
            "{path} is a link at {revision}: check it out and compare two folders"
        );
        objects += about.rsplit(' ').next().unwrap_or_default();
        objects.push('\n');
        paths.push(PathBuf::from(path));
    }
    let contents = run(dir, &["cat-file", "--batch"], Some(objects))?;
    let mut rest = contents.as_slice();
    let mut files = Vec::with_capacity(paths.len());
    for path in paths {
        // <object> SP <type> SP <size> LF <contents> LF
        let end = rest.iter().position(|byte| *byte == b'\n').context("git cat-file ended early")?;
        let (head, body) = rest.split_at(end);
        let size: usize = std::str::from_utf8(head)?.rsplit(' ').next().unwrap_or_default().parse()?;
        let text = body.get(1..=size).context("git cat-file ended early")?;
        files.push((path, text.to_vec()));
        rest = body.get(size + 2..).unwrap_or_default();
    }
    let name = PathBuf::from(format!("{revision}:{}", dir.display()));
    Sources::of_files(&name, files).map_err(|findings| anyhow::anyhow!("{findings}"))
}

fn run(dir: &Path, args: &[&str], input: Option<String>) -> anyhow::Result<Vec<u8>> {
    let mut git = Command::new("git");
    git.arg("-C").arg(dir).args(args).stdout(Stdio::piped()).stderr(Stdio::piped());
    git.stdin(if input.is_some() { Stdio::piped() } else { Stdio::null() });
    let mut git = git.spawn().context("`--git` needs the program git, which cannot be run")?;
    let stdin = git.stdin.take();
    // beside the reading, for git writes before it has read everything
    let writer = std::thread::spawn(move || {
        stdin.zip(input).map_or(Ok(()), |(mut stdin, input)| stdin.write_all(input.as_bytes()))
    });
    let output = git.wait_with_output()?;
    if !output.status.success() {
        bail!("git {}: {}", args.first().unwrap_or(&""), String::from_utf8_lossy(&output.stderr).trim());
    }
    let written = writer.join().unwrap_or_else(|_| Err(std::io::Error::other("the writer stopped")));
    written.context("git took no input")?;
    Ok(output.stdout)
}
