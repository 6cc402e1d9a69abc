//! Orders that cannot be taken back are asked about, where a person is there to ask.

use std::io::{self, BufRead, IsTerminal, Write};

use anyhow::Context;
use clap::Args;
use jeton_oauth::text::printable;

use super::say;

/// Whether an order is given without being asked about.
#[derive(Args, Clone, Copy)]
pub(super) struct Consent {
    /// Do not ask. Without a terminal nobody is asked anyway.
    #[arg(long)]
    yes: bool,
}

/// What somebody said.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Answer {
    GoOn,
    Stop,
}

impl Consent {
    /// Says what will happen, and asks whether to go on. `what_happens` is the place to find out that nothing could, before
    /// somebody is asked. Nothing but `y` and `yes` is a yes. Where standard input is no
    /// terminal the answer is yes: scripts mean what they say.
    pub(super) fn to(self, what_happens: impl FnOnce() -> anyhow::Result<String>) -> anyhow::Result<Answer> {
        if self.yes || !io::stdin().is_terminal() {
            return Ok(Answer::GoOn);
        }
        let mut err = io::stderr();
        write!(err, "{} Go on? [y/N] ", printable(&what_happens()?)).and_then(|()| err.flush())?;
        let mut answer = String::new();
        io::stdin().lock().read_line(&mut answer).context("standard input cannot be read")?;
        if matches!(answer.trim().to_ascii_lowercase().as_str(), "y" | "yes") {
            return Ok(Answer::GoOn);
        }
        say!("nothing was changed");
        Ok(Answer::Stop)
    }
}
