//! What a service manager is told that started the server with `Type=notify` or `notify-reload`: systemd, or another
//! that sets `NOTIFY_SOCKET`. Without one, nothing happens.

use std::{
    env, io,
    os::{
        linux::net::SocketAddrExt,
        unix::{
            ffi::OsStrExt,
            net::{SocketAddr, UnixDatagram},
        },
    },
    sync::{Arc, Mutex, PoisonError},
};

use sd_notify::NotifyState;
use tracing::field::display;

use crate::event::ServiceManagerUntold;

/// Who is told. Nothing follows the end.
#[derive(Clone, Default)]
pub(crate) struct ServiceManager {
    knows_of_end: Arc<Mutex<bool>>,
}

impl ServiceManager {
    /// The listeners accept.
    pub(crate) fn ready(&self) {
        self.tell(&[NotifyState::Ready, NotifyState::Status("serving")]);
    }

    /// Files are being read again.
    pub(crate) fn reloading(&self) {
        match NotifyState::monotonic_usec_now() {
            Ok(now) => {
                self.tell(&[NotifyState::Reloading, now, NotifyState::Status("reading the files again")]);
            }
            Err(error) => ServiceManagerUntold { error: display(&error) }.warn(),
        }
    }

    /// The server ends.
    pub(crate) fn stopping(&self) {
        self.tell(&[NotifyState::Stopping, NotifyState::Status("ending")]);
    }

    fn tell(&self, news: &[NotifyState<'_>]) {
        let mut knows_of_end = self.knows_of_end.lock().unwrap_or_else(PoisonError::into_inner);
        if *knows_of_end {
            return;
        }
        *knows_of_end = news.iter().any(|state| matches!(state, NotifyState::Stopping));
        if let Err(error) = send(news) {
            ServiceManagerUntold { error: display(&error) }.warn();
        }
    }
}

/// Sends it ourselves: sd-notify takes the name of a socket that is in no file system for a path.
fn send(news: &[NotifyState<'_>]) -> io::Result<()> {
    let Some(name) = env::var_os("NOTIFY_SOCKET") else { return Ok(()) };
    let address = match name.as_bytes().strip_prefix(b"@") {
        Some(name) => SocketAddr::from_abstract_name(name),
        None => SocketAddr::from_pathname(&name),
    }?;
    let lines: Vec<_> = news.iter().map(|state| format!("{state}\n")).collect();
    UnixDatagram::unbound()?.send_to_addr(lines.concat().as_bytes(), &address)?;
    Ok(())
}
