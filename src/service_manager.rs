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
};

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
    if let Err(error) = send(news) {
        ServiceManagerUntold { error: display(&error) }.warn();
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
