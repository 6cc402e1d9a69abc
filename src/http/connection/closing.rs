//! How a listener is closed, so that nobody who has connected by then is turned away.

use std::{io, net::TcpListener, time::Duration};

use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    net::{Shutdown, shutdown},
};
use tokio::time::{Instant, sleep};

/// For how long it is waited, at most, until connections that wait are taken: nobody takes them while all seats are.
const LAST_CALL: Duration = Duration::from_secs(1);
/// How often it is looked whether one waits.
const LOOK: Duration = Duration::from_millis(1);
/// How long a connection is on its way from the listener to a worker, at most. A worker that ends serves none that comes
/// later.
const ON_THE_WAY: Duration = Duration::from_millis(100);

/// A listener that will be closed, whoever else has it open.
pub(crate) struct ClosingListener(TcpListener);

impl ClosingListener {
    pub(super) fn new(listener: &TcpListener) -> io::Result<Self> {
        listener.try_clone().map(Self)
    }

    /// Closes it as soon as no connection waits to be taken. Comes when each that was taken has reached its worker.
    pub(crate) async fn close(&self) {
        let last = Instant::now() + LAST_CALL;
        while self.has_waiting() && Instant::now() < last {
            sleep(LOOK).await;
        }
        // where the system does not close it by this, it is closed with the server
        let _ = shutdown(&self.0, Shutdown::Read);
        sleep(ON_THE_WAY).await;
    }

    fn has_waiting(&self) -> bool {
        let mut listeners = [PollFd::new(&self.0, PollFlags::IN)];
        poll(&mut listeners, Some(&Timespec::default())).is_ok_and(|waiting| waiting > 0)
    }
}
