//! A client that sends bytes as they are, and reads as much of the answer as tells what became of them.

use std::{
    io::{Read, Write},
    net::{SocketAddr, TcpStream, ToSocketAddrs},
    time::Duration,
};

use anyhow::Context;
use url::Url;

use super::echo::find;

/// Where a gateway listens.
pub(super) struct Target {
    address: SocketAddr,
    /// The `Host` of every request that has the right one.
    pub(super) host: String,
}

/// How long a gateway may take for an answer.
const PATIENCE: Duration = Duration::from_secs(10);
/// How long after an answer the end of the connection, or a second answer, is waited for.
const AFTERWARDS: Duration = Duration::from_millis(100);
/// The most pieces in which an answer may come.
const MOST_READS: usize = 64;

impl Target {
    /// Of `http://HOST:PORT`.
    pub(super) fn of(url: &Url) -> anyhow::Result<Self> {
        anyhow::ensure!(
            url.scheme() == "http",
            "{url}: only http:// is spoken; check the gateway where it speaks plain HTTP, behind or without its TLS"
        );
        let host = url.host_str().with_context(|| format!("{url} has no host"))?;
        let port = url.port_or_known_default().unwrap_or(80);
        let mut addresses =
            (host.trim_matches(['[', ']']), port).to_socket_addrs().with_context(|| format!("{url}"))?;
        let address = addresses.next().with_context(|| format!("{url} has no address"))?;
        Ok(Self { address, host: format!("{host}:{port}") })
    }

    /// Sends bytes on a connection of their own; the status of each answer. A gateway that hangs up without one has
    /// refused.
    pub(super) fn send(&self, bytes: &[u8]) -> anyhow::Result<Vec<u16>> {
        let stream = TcpStream::connect_timeout(&self.address, PATIENCE);
        let mut stream = stream.with_context(|| format!("{} cannot be reached", self.address))?;
        // it may answer and hang up before everything is sent
        let _ = stream.write_all(bytes);
        let mut answer = Vec::new();
        let mut wait = PATIENCE;
        for _ in 0..MOST_READS {
            stream.set_read_timeout(Some(wait))?;
            let mut chunk = [0; 16 * 1024];
            match stream.read(&mut chunk) {
                Ok(0) | Err(_) => break,
                Ok(count) => answer.extend_from_slice(chunk.get(..count).unwrap_or_default()),
            }
            if find(&answer, b"\r\n\r\n").is_some() {
                wait = AFTERWARDS;
            }
        }
        Ok(statuses(&answer))
    }
}

fn statuses(mut answer: &[u8]) -> Vec<u16> {
    let mut statuses = Vec::new();
    while let Some(start) = find(answer, b"HTTP/1.") {
        let line = answer.get(start..).unwrap_or_default();
        let status = line.get(9..12).and_then(|digits| std::str::from_utf8(digits).ok());
        statuses.extend(status.and_then(|status| status.parse::<u16>().ok()));
        answer = line.get(12..).unwrap_or_default();
    }
    // what comes before the answer is none
    statuses.retain(|status| *status >= 200);
    statuses
}
