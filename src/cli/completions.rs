//! `jeton completions`.

use clap_complete::Shell;

use super::{Outcome, emit_file};

pub(super) fn run(shell: Shell, mut command: clap::Command) -> anyhow::Result<Outcome> {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut command, "jeton", &mut script);
    emit_file(&String::from_utf8(script)?)?;
    Ok(Outcome::Done)
}
