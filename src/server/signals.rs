//! The signals that end the server.

use std::{
    future::poll_fn,
    io,
    task::{Context, Poll},
};

use tokio::signal::unix::{Signal, SignalKind, signal};

/// How the server is to end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum EndSignal {
    /// What is in flight comes to its end.
    Gracefully,
    /// At once.
    AtOnce,
}

/// Hears SIGTERM, SIGINT and SIGQUIT, whose usual effect they have no more.
pub(super) struct EndSignals {
    terminate: Signal,
    at_once: [Signal; 2],
}

impl EndSignals {
    /// Starts to hear them.
    pub(super) fn hear() -> io::Result<Self> {
        let terminate = signal(SignalKind::terminate())?;
        Ok(Self { terminate, at_once: [signal(SignalKind::interrupt())?, signal(SignalKind::quit())?] })
    }

    /// The next one.
    pub(super) async fn next(&mut self) -> EndSignal {
        poll_fn(|cx| match self.poll_at_once(cx) {
            Poll::Ready(()) => Poll::Ready(EndSignal::AtOnce),
            Poll::Pending => self.terminate.poll_recv(cx).map(|_| EndSignal::Gracefully),
        })
        .await
    }

    /// Comes with the next of those that end the server at once.
    pub(super) async fn at_once(&mut self) {
        poll_fn(|cx| self.poll_at_once(cx)).await;
    }

    fn poll_at_once(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let heard = self.at_once.iter_mut().map(|signal| signal.poll_recv(cx).is_ready());
        // each is polled, so that each wakes
        if heard.fold(false, |any, one| any | one) { Poll::Ready(()) } else { Poll::Pending }
    }
}
