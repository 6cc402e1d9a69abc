//! What a service manager is told that started the server with `Type=notify` or `notify-reload`: systemd, or another
//! that sets `NOTIFY_SOCKET`. Without one, nothing happens.

use sd_notify::NotifyState;
use tracing::field::display;

use crate::event::ServiceManagerUntold;

/// The listeners accept.
pub(crate) fn ready() {
    tell(&[NotifyState::Ready, NotifyState::Status("serving")]);
}

/// Files are being read again.
pub(crate) fn reloading() {
    match NotifyState::monotonic_usec_now() {
        Ok(now) => tell(&[NotifyState::Reloading, now, NotifyState::Status("reading the files again")]),
        Err(error) => ServiceManagerUntold { error: display(&error) }.warn(),
    }
}

/// The server ends.
pub(crate) fn stopping() {
    tell(&[NotifyState::Stopping, NotifyState::Status("answering the requests in flight")]);
}

fn tell(news: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(news) {
        ServiceManagerUntold { error: display(&error) }.warn();
    }
}
