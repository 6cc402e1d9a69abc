//! The upstream behind a gateway that is checked: it answers everything, and keeps what it saw.

use std::{
    io::{Read, Write},
    net::{TcpListener, TcpStream},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    thread,
    time::Duration,
};

/// A request as it arrived, byte by byte but for the name of each header, which is as it was sent.
#[derive(Clone, Debug)]
pub(super) struct Seen {
    pub(super) method: String,
    pub(super) target: String,
    pub(super) headers: Vec<(String, String)>,
}

impl Seen {
    /// The values of a header, whatever the size of its letters.
    pub(super) fn values<'s>(&'s self, name: &'s str) -> impl Iterator<Item = &'s str> {
        self.headers
            .iter()
            .filter(move |(other, _)| other.eq_ignore_ascii_case(name))
            .map(|(_, value)| &**value)
    }

    /// Takes a head apart; what is not UTF-8 is shown as well as it can be.
    fn read(head: &[u8]) -> Self {
        let head = String::from_utf8_lossy(head);
        let mut lines = head.split("\r\n");
        let line = lines.next().unwrap_or_default();
        let (method, rest) = line.split_once(' ').unwrap_or((line, ""));
        let target = rest.rsplit_once(' ').map_or(rest, |(target, _)| target);
        let header = |line: &str| {
            let (name, value) = line.split_once(':').unwrap_or((line, ""));
            (name.to_owned(), value.trim_matches([' ', '\t']).to_owned())
        };
        Self {
            method: method.to_owned(),
            target: target.to_owned(),
            headers: lines.filter(|line| !line.is_empty()).map(header).collect(),
        }
    }
}

/// What arrived since the last look.
#[derive(Clone, Default)]
pub(super) struct Echo(Arc<Mutex<Vec<Seen>>>);

/// How long a connection may be silent.
const PATIENCE: Duration = Duration::from_mins(1);
/// The longest head that is read.
const LONGEST_HEAD: usize = 256 * 1024;

impl Echo {
    /// Answers on a listener, as long as the process runs.
    pub(super) fn answer(listener: TcpListener) -> Self {
        let echo = Self::default();
        let shared = echo.clone();
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let echo = shared.clone();
                thread::spawn(move || echo.serve(stream));
            }
        });
        echo
    }

    /// Takes what arrived.
    pub(super) fn take(&self) -> Vec<Seen> {
        std::mem::take(&mut *self.seen())
    }

    fn seen(&self) -> MutexGuard<'_, Vec<Seen>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Requests on one connection, one after the other.
    fn serve(&self, mut stream: TcpStream) {
        let _ = stream.set_read_timeout(Some(PATIENCE));
        let mut bytes = Vec::new();
        loop {
            let Some(end) = find(&bytes, b"\r\n\r\n") else {
                if bytes.len() > LONGEST_HEAD || !more(&mut stream, &mut bytes) {
                    return;
                }
                continue;
            };
            let seen = Seen::read(bytes.get(..end).unwrap_or_default());
            bytes.drain(..end + 4);
            if !skip_body(&seen, &mut stream, &mut bytes) {
                return;
            }
            let is_head = seen.method == "HEAD";
            let closes = seen.values("connection").any(|value| value.eq_ignore_ascii_case("close"));
            // before it is answered: whoever has the answer finds it here
            self.seen().push(seen);
            let body = if is_head { "" } else { "reached\n" };
            let answer =
                format!("HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\ncontent-length: 8\r\n\r\n{body}");
            if stream.write_all(answer.as_bytes()).is_err() || closes {
                return;
            }
        }
    }
}

/// Reads past the body of a request; `false` where that ends the connection.
fn skip_body(seen: &Seen, stream: &mut TcpStream, bytes: &mut Vec<u8>) -> bool {
    if seen.values("transfer-encoding").next().is_some() {
        loop {
            if bytes.starts_with(b"0\r\n\r\n") {
                bytes.drain(..5);
                return true;
            }
            if let Some(end) = find(bytes, b"\r\n0\r\n\r\n") {
                bytes.drain(..end + 7);
                return true;
            }
            if !more(stream, bytes) {
                return false;
            }
        }
    }
    let length = seen.values("content-length").next().and_then(|value| value.parse().ok()).unwrap_or(0);
    while bytes.len() < length {
        if !more(stream, bytes) {
            return false;
        }
    }
    bytes.drain(..length);
    true
}

fn more(stream: &mut TcpStream, into: &mut Vec<u8>) -> bool {
    let mut chunk = [0; 16 * 1024];
    match stream.read(&mut chunk) {
        Ok(0) | Err(_) => false,
        Ok(count) => {
            into.extend_from_slice(chunk.get(..count).unwrap_or_default());
            true
        }
    }
}

/// Where `needle` begins.
pub(super) fn find(bytes: &[u8], needle: &[u8]) -> Option<usize> {
    bytes.windows(needle.len()).position(|window| window == needle)
}
