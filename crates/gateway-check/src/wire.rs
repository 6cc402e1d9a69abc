//! A client that sends bytes as they are, and reads as much of the answer as tells what became of them.

use std::{
    io::{Read, Write},
    net::{Shutdown, SocketAddr, TcpStream, ToSocketAddrs},
    time::Duration,
};

use url::Url;

use super::{CheckError, bytes::find};

/// Where a gateway listens.
pub struct GatewayAddress {
    address: SocketAddr,
    host: String,
}

/// What came back.
pub(crate) struct GatewayAnswer {
    pub(crate) status: u16,
    /// Head and body.
    text: String,
}

impl GatewayAnswer {
    /// Whether it says that all is well.
    pub(crate) fn is_success(&self) -> bool {
        (200..300).contains(&self.status)
    }

    pub(crate) fn has_body(&self) -> bool {
        self.text.split_once("\r\n\r\n").is_some_and(|(_, body)| !body.is_empty())
    }

    pub(crate) fn text(&self) -> &str {
        &self.text
    }
}

/// How long a gateway may take for an answer.
const PATIENCE: Duration = Duration::from_secs(10);
/// How long after an answer the end of the connection, or a second answer, is waited for.
const AFTERWARDS: Duration = Duration::from_millis(100);
/// The most pieces in which an answer may come.
const MOST_READS: usize = 64;

impl GatewayAddress {
    /// Of a URL with a host and a port and nothing behind them.
    ///
    /// # Errors
    /// [`CheckError`] for one that is not `http:`, or has no address.
    pub fn of(url: &Url) -> Result<Self, CheckError> {
        if url.scheme() != "http" {
            return Err(CheckError::NotHttp(url.clone()));
        }
        let host = url.host_str().ok_or_else(|| CheckError::NoHost(url.clone()))?;
        let port = url.port_or_known_default().unwrap_or(80);
        let mut addresses = (host.trim_matches(['[', ']']), port)
            .to_socket_addrs()
            .map_err(|source| CheckError::Unresolved { url: url.clone(), source })?;
        let address = addresses.next().ok_or_else(|| CheckError::NoAddress(url.clone()))?;
        Ok(Self { address, host: format!("{host}:{port}") })
    }

    /// The `Host` that a client sends there.
    pub fn host(&self) -> &str {
        &self.host
    }

    /// Sends bytes on a connection of their own; each answer. A gateway that hangs up without one has refused.
    pub(crate) fn send(&self, bytes: &[u8]) -> Result<Vec<GatewayAnswer>, CheckError> {
        let stream = TcpStream::connect_timeout(&self.address, PATIENCE);
        let mut stream =
            stream.map_err(|source| CheckError::Unreachable { address: self.address, source })?;
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
            if let Some(end) = find(&answer, b"\r\n\r\n") {
                wait = AFTERWARDS;
                let head = answer.get(..end).unwrap_or_default().to_ascii_lowercase();
                if find(&head, b"\r\nconnection: close").is_some() {
                    // nothing comes behind it, and some wait for our end before theirs
                    let _ = stream.shutdown(Shutdown::Write);
                }
            }
        }
        Ok(answers(&answer))
    }
}

fn answers(mut bytes: &[u8]) -> Vec<GatewayAnswer> {
    const START: &[u8] = b"HTTP/1.";
    let mut answers = Vec::new();
    while let Some(start) = find(bytes, START) {
        let rest = bytes.get(start..).unwrap_or_default();
        let behind = rest.get(START.len()..).unwrap_or_default();
        let end = find(behind, START).map_or(rest.len(), |end| end + START.len());
        let (answer, others) = rest.split_at(end);
        let text = String::from_utf8_lossy(answer).into_owned();
        // an interim response (1xx) is no answer
        let status = text.get(9..12).and_then(|digits| digits.parse().ok()).filter(|status| *status >= 200);
        answers.extend(status.map(|status| GatewayAnswer { status, text }));
        bytes = others;
    }
    answers
}

#[cfg(test)]
mod tests {
    use super::answers;

    #[test]
    fn answers_are_told_apart_and_what_comes_before_them_is_none() {
        let bytes =
            b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nA: b\r\n\r\nbodyHTTP/1.0 403 No\r\n\r\n";
        let read: Vec<_> =
            answers(bytes).iter().map(|it| (it.status, it.is_success(), it.has_body())).collect();
        assert_eq!(read, [(200, true, true), (403, false, false)]);
        assert!(answers(b"").is_empty() && answers(b"hello").is_empty());
    }
}
