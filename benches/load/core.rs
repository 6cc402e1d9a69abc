//! The core of each process.

use std::{ffi::OsStr, process::Command};

/// On which servers and raw signatures run.
pub(crate) const CORE: usize = 0;

/// A command on one core.
pub(crate) fn pinned(core: usize, program: impl AsRef<OsStr>) -> Command {
    let mut command = Command::new("taskset");
    command.arg("-c").arg(core.to_string()).arg(program);
    command
}
