//! The signals that a server hears.

use std::{
    future::poll_fn,
    io,
    pin::pin,
    task::{Context, Poll},
};

use futures_util::future::{Either, select};
use tokio::signal::unix::{Signal, SignalKind, signal};

/// How the server is to end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum EndSignal {
    /// What is in flight comes to its end.
    Gracefully,
    /// At once.
    AtOnce,
}

/// Hears SIGHUP and the signals that end the server, none of which has its usual effect any more. What comes during the
/// start is remembered.
pub struct Signals {
    /// What makes the server read its files again.
    pub(super) hangup: Signal,
    pub(super) end: EndSignals,
}

impl Signals {
    /// Starts to hear them. Must run within a runtime.
    ///
    /// # Errors
    /// What the system said.
    pub fn hear() -> io::Result<Self> {
        Ok(Self { hangup: signal(SignalKind::hangup())?, end: EndSignals::hear()? })
    }

    /// What comes of a start. `None` if a signal is to end it: then it is dropped where it waits.
    pub async fn unless_ended<T>(&mut self, start: impl Future<Output = T>) -> Option<T> {
        match select(pin!(self.end.next()), pin!(start)).await {
            Either::Left(_) => None,
            Either::Right((started, _)) => Some(started),
        }
    }
}

/// Hears SIGTERM, SIGINT and SIGQUIT.
pub(super) struct EndSignals {
    terminate: Signal,
    at_once: [Signal; 2],
}

impl EndSignals {
    fn hear() -> io::Result<Self> {
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
