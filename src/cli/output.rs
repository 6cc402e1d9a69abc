//! Results on standard output.

use std::io::{self, Write};

use anyhow::Context;

/// Prints a result as it is. Whoever reads may stop before the end, as `head` does.
pub(super) fn emit(text: &str) -> anyhow::Result<()> {
    emit_to(io::stdout().lock(), text)
}

/// Prints a result with colours, where somebody can see them.
pub(super) fn emit_styled(text: &str) -> anyhow::Result<()> {
    emit_to(anstream::stdout().lock(), text)
}

fn emit_to(mut out: impl Write, text: &str) -> anyhow::Result<()> {
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(error).context("standard output"),
        _ => Ok(()),
    }
}
