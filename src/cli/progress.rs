//! That a command is still at work, on one line of a terminal.

use std::{
    io::{self, IsTerminal, Write},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
        mpsc::{self, RecvTimeoutError, Sender},
    },
    thread::{self, JoinHandle},
    time::Duration,
};

use crate::terminal::is_dumb;

/// How long nothing is said.
const QUIET: Duration = Duration::from_secs(1);
/// How often the line is written anew.
const STEP: Duration = Duration::from_millis(200);

/// Shows on standard error how far something is, once it takes more than a second, and where standard error is a
/// terminal that can write over a line. The line is empty again when this is dropped.
pub(super) struct Progress {
    done: Arc<Done>,
    /// Writes the line until the sender is dropped.
    writer: Option<(Sender<()>, JoinHandle<()>)>,
}

/// How much of how much; nobody knows where the whole is 0.
#[derive(Default)]
struct Done {
    done: AtomicU64,
    of: AtomicU64,
}

impl Progress {
    /// Begins to do `what`, such as `comparing policies`.
    pub(super) fn start(what: &'static str) -> Self {
        let done = Arc::new(Done::default());
        let of_writer = Arc::clone(&done);
        // the line is written over
        let writer = (io::stderr().is_terminal() && !is_dumb()).then(|| {
            let (sender, receiver) = mpsc::channel();
            let write = move || {
                let mut elapsed = QUIET;
                let mut wait = QUIET;
                while receiver.recv_timeout(wait) == Err(RecvTimeoutError::Timeout) {
                    write_line(&of_writer.line(what, elapsed));
                    elapsed += STEP;
                    wait = STEP;
                }
                if wait == STEP {
                    write_line("");
                }
            };
            (sender, thread::spawn(write))
        });
        Self { done, writer }
    }

    /// So much of it is done.
    pub(super) fn at(&self, done: u64, of: u64) {
        self.done.done.store(done, Ordering::Relaxed);
        self.done.of.store(of, Ordering::Relaxed);
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        if let Some((sender, writer)) = self.writer.take() {
            drop(sender);
            // it has nothing to tell
            let _ = writer.join();
        }
    }
}

impl Done {
    fn line(&self, what: &str, elapsed: Duration) -> String {
        let (done, of) = (self.done.load(Ordering::Relaxed), self.of.load(Ordering::Relaxed));
        let seconds = elapsed.as_secs();
        match done.saturating_mul(100).checked_div(of) {
            Some(percent) => format!("{what}: {}% after {seconds} s", percent.min(100)),
            None => format!("{what}: {seconds} s"),
        }
    }
}

/// Writes over the line that is there.
fn write_line(text: &str) {
    let mut err = io::stderr();
    // nobody has to see it
    let _ = write!(err, "\r\x1b[K{text}").and_then(|()| err.flush());
}
