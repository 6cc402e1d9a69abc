//! The end of the server, as requests and connections know of it.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use tokio_util::sync::{CancellationToken, WaitForCancellationFutureOwned};

/// How far the end has come, for all listeners. First clients are told to go elsewhere; then nothing more is taken.
#[derive(Clone, Default)]
pub(crate) struct Ending(Arc<Stages>);

#[derive(Default)]
struct Stages {
    has_begun: AtomicBool,
    closed: CancellationToken,
}

impl Ending {
    /// From now on each answer is the last one of its connection.
    pub(crate) fn begin(&self) {
        self.0.has_begun.store(true, Ordering::Relaxed);
    }

    /// From now on no connection waits for another request, but for a moment.
    pub(crate) fn close(&self) {
        self.begin();
        self.0.closed.cancel();
    }

    /// Whether it has begun.
    pub(crate) fn has_begun(&self) -> bool {
        self.0.has_begun.load(Ordering::Relaxed)
    }

    /// Comes when no connection is to wait for another request any more.
    pub(crate) fn closed(&self) -> WaitForCancellationFutureOwned {
        self.0.closed.clone().cancelled_owned()
    }
}
