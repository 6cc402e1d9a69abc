//! What a terminal can show, and what who sits at it wants to see.

use std::env;

use anstream::{AutoStream, ColorChoice, stream::RawStream};

/// Whether somebody sees colours on a stream, and wants them, by `NO_COLOR`, `CLICOLOR_FORCE`, `CLICOLOR` and `TERM`. As
/// results on standard output are coloured.
pub(crate) fn is_coloured(stream: &impl RawStream) -> bool {
    AutoStream::choice(stream) != ColorChoice::Never
}

/// Whether a terminal says of itself that it understands nothing but lines of text.
pub(crate) fn is_dumb() -> bool {
    env::var_os("TERM").is_some_and(|kind| kind == "dumb")
}
