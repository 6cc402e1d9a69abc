//! The bytes of a connection as they travel: in the clear, or by TLS. Whoever reads and writes through it sees the former.

use std::{
    io,
    pin::{Pin, pin},
    task::{Context, Poll},
    time::Duration,
};

use actix_web::rt::net::TcpStream;
use futures_util::future::{Either, select};
use rustix::net::{RecvFlags, recv};
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadBuf},
    time::{Instant, sleep_until, timeout},
};
use tokio_rustls::{TlsAcceptor, server::TlsStream};

use super::stream::{Limit, Unread};
use crate::{
    http::ending::Ending,
    tls::{LiveCertificate, ShownCertificate},
};

/// What is answered to HTTP without TLS where TLS is expected.
const NO_TLS: &[u8] = b"HTTP/1.1 400 Bad Request\r\nconnection: close\r\ncontent-type: text/plain\r\ncontent-length: 54\r\n\r\nthis address speaks HTTPS: begin the URL with https://";
/// How much is read of what such a client sends, in bytes, so that it sees the answer.
const LONGEST_UNREAD: u64 = 128 * 1024;

/// A connection of a client.
pub(super) enum Wire {
    /// In the clear.
    Clear(TcpStream),
    /// By TLS, the handshake done.
    Tls(Box<TlsStream<TcpStream>>),
}

impl Wire {
    /// Takes a connection: where there is a certificate, by a handshake that may take this time.
    pub(super) async fn open(
        stream: TcpStream,
        certificate: Option<&LiveCertificate>,
        time: Duration,
        ending: &Ending,
    ) -> io::Result<Self> {
        let Some(certificate) = certificate else { return Ok(Self::Clear(stream)) };
        // what ends a handshake and what begins an answer are small, and must not wait for each other
        stream.set_nodelay(true)?;
        timeout(time, shake_hands(stream, certificate, ending)).await?
    }

    /// The connection below.
    pub(super) fn tcp(&self) -> &TcpStream {
        match self {
            Self::Clear(stream) => stream,
            Self::Tls(stream) => stream.get_ref().0,
        }
    }

    /// The certificate that the client has shown, if it was asked for one and has. Kept here, for nothing of TLS changes it
    /// within a connection.
    pub(super) fn certificate(&self) -> Option<ShownCertificate> {
        let Self::Tls(stream) = self else { return None };
        let (leaf, intermediates) = stream.get_ref().1.peer_certificates()?.split_first()?;
        // the handshake would have failed otherwise
        ShownCertificate::new(leaf, intermediates).ok()
    }
}

async fn shake_hands(
    mut stream: TcpStream,
    certificate: &LiveCertificate,
    ending: &Ending,
) -> io::Result<Wire> {
    let mut first = [0];
    let last = Instant::now() + Limit::LastSilence.time(false);
    let too_late = async {
        ending.closed().await;
        sleep_until(last).await;
    };
    let is_too_late = matches!(select(pin!(stream.peek(&mut first)), pin!(too_late)).await, Either::Right(_));
    if is_too_late && !has_unread(&stream) {
        return Err(io::ErrorKind::ConnectionAborted.into());
    }
    stream.peek(&mut first).await?;
    // TLS begins with 22, and HTTP with the name of a method
    if first[0].is_ascii_alphabetic() {
        stream.write_all(NO_TLS).await?;
        stream.shutdown().await?;
        tokio::io::copy(&mut stream.take(LONGEST_UNREAD), &mut tokio::io::sink()).await?;
        return Err(io::ErrorKind::InvalidData.into());
    }
    // the pair that is in force now, to the end of the connection
    let stream = TlsAcceptor::from(certificate.config()).accept(stream).await?;
    Ok(Wire::Tls(Box::new(stream)))
}

/// Asks the system itself: tokio tells only what it heard from it when nothing else was to do.
fn has_unread(stream: &TcpStream) -> bool {
    recv(stream, &mut [0], RecvFlags::PEEK | RecvFlags::DONTWAIT).is_ok_and(|(_, length)| length > 0)
}

impl Unread for Wire {
    fn has_unread(&self) -> bool {
        has_unread(self.tcp())
    }
}

impl AsyncRead for Wire {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, out: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Clear(stream) => Pin::new(stream).poll_read(cx, out),
            Self::Tls(stream) => Pin::new(stream).poll_read(cx, out),
        }
    }
}

impl AsyncWrite for Wire {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Clear(stream) => Pin::new(stream).poll_write(cx, bytes),
            Self::Tls(stream) => Pin::new(stream).poll_write(cx, bytes),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Clear(stream) => Pin::new(stream).poll_flush(cx),
            Self::Tls(stream) => Pin::new(stream).poll_flush(cx),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Clear(stream) => Pin::new(stream).poll_shutdown(cx),
            Self::Tls(stream) => Pin::new(stream).poll_shutdown(cx),
        }
    }
}
