//! What asks for a reload.

/// What asked for a reload.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Trigger {
    /// The server starts.
    Start,
    /// It is time to look.
    Poll,
    /// SIGHUP.
    Signal,
    /// `POST /ops/reload`.
    Operator,
    /// This server made a key.
    Rotation,
}

impl Trigger {
    /// As the log has it.
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Start => "start",
            Self::Poll => "poll",
            Self::Signal => "SIGHUP",
            Self::Operator => "POST /ops/reload",
            Self::Rotation => "rotation",
        }
    }

    /// Whether somebody waits for a word of what came of it. A poll comes every few seconds, and is not worth a line
    /// when there is nothing new.
    pub(super) fn is_asked(self) -> bool {
        self != Self::Poll
    }
}
