//! `jeton man`.

use std::{
    fs,
    path::{Path, PathBuf},
};

use anyhow::Context;
use clap_mangen::Man;

use super::{Outcome, emit};

pub(super) fn run(dir: &Path, command: clap::Command) -> anyhow::Result<Outcome> {
    fs::create_dir_all(dir).with_context(|| format!("{} cannot be made", dir.display()))?;
    // `--help` says the same
    let mut command = command.disable_help_subcommand(true);
    command.build();
    let mut written = Vec::new();
    write_pages(&command, dir, &mut written)?;
    let names: Vec<_> = written.iter().map(|path| path.display().to_string()).collect();
    emit(&(names.join("\n") + "\n"))?;
    Ok(Outcome::Done)
}

/// The page of a command, and then those of the commands below it.
fn write_pages(command: &clap::Command, dir: &Path, written: &mut Vec<PathBuf>) -> anyhow::Result<()> {
    let source = concat!("jeton ", env!("CARGO_PKG_VERSION"));
    let page = Man::new(command.clone()).source(source).manual("jeton");
    let path = dir.join(page.get_filename());
    let mut text = Vec::new();
    page.render(&mut text)?;
    fs::write(&path, text).with_context(|| format!("{} cannot be written", path.display()))?;
    written.push(path);
    command.get_subcommands().try_for_each(|below| write_pages(below, dir, written))
}
