//! The upstream behind a gateway that is checked: it answers everything, and keeps what it saw.

use std::{
    io::{Read, Write},
    net::{TcpListener, TcpStream},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    thread,
    time::Duration,
};

use super::{
    bytes::find,
    mark::{MARK_HEADER, NO_MARK},
};

/// A request as it arrived. Bytes that are not UTF-8 are replaced, and values have no spaces at their ends.
#[derive(Clone, Debug)]
pub(crate) struct SeenRequest {
    pub(crate) method: String,
    pub(crate) target: String,
    pub(crate) headers: Vec<(String, String)>,
    /// Headers behind a body in chunks.
    pub(crate) trailers: Vec<(String, String)>,
}

impl SeenRequest {
    /// The values of a header, whatever the size of its letters.
    pub(crate) fn values<'s>(&'s self, name: &'s str) -> impl Iterator<Item = &'s str> {
        self.headers
            .iter()
            .filter(move |(other, _)| other.eq_ignore_ascii_case(name))
            .map(|(_, value)| &**value)
    }

    /// Takes a head apart.
    fn read(head: &[u8]) -> Self {
        let head = String::from_utf8_lossy(head);
        let mut lines = head.split("\r\n");
        let line = lines.next().unwrap_or_default();
        let (method, rest) = line.split_once(' ').unwrap_or((line, ""));
        let target = rest.rsplit_once(' ').map_or(rest, |(target, _)| target);
        Self {
            method: method.to_owned(),
            target: target.to_owned(),
            headers: lines.filter(|line| !line.is_empty()).map(field).collect(),
            trailers: Vec::new(),
        }
    }
}

fn field(line: &str) -> (String, String) {
    let (name, value) = line.split_once(':').unwrap_or((line, ""));
    (name.to_owned(), value.trim_matches([' ', '\t']).to_owned())
}

/// What arrived since the last look.
#[derive(Clone, Default)]
pub(crate) struct Echo(Arc<Mutex<Vec<SeenRequest>>>);

/// How long a connection may be silent.
const PATIENCE: Duration = Duration::from_mins(1);
/// The longest head that is read.
const LONGEST_HEAD: usize = 256 * 1024;

impl Echo {
    /// Answers on a listener, as long as the process runs.
    pub(crate) fn answer(listener: TcpListener) -> Self {
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
    pub(crate) fn take(&self) -> Vec<SeenRequest> {
        std::mem::take(&mut *self.seen())
    }

    fn seen(&self) -> MutexGuard<'_, Vec<SeenRequest>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Requests on one connection, one after the other.
    fn serve(&self, stream: TcpStream) {
        let _ = stream.set_read_timeout(Some(PATIENCE));
        let mut incoming = Incoming { stream, bytes: Vec::new() };
        while let Some(seen) = incoming.request() {
            let is_head = seen.method == "HEAD";
            let closes = seen.values("connection").any(|value| value.eq_ignore_ascii_case("close"));
            // some gateways drop headers that they do not know: it stands in the body too
            let mark = seen.values(MARK_HEADER).next().unwrap_or(NO_MARK).to_owned();
            // before it is answered: whoever has the answer finds it here
            self.seen().push(seen);
            let body = format!("{mark} reached\n");
            let answer = format!(
                "HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\n{MARK_HEADER}: {mark}\r\ncontent-length: {}\r\n\r\n{}",
                body.len(),
                if is_head { "" } else { &body },
            );
            if incoming.stream.write_all(answer.as_bytes()).is_err() || closes {
                return;
            }
        }
    }
}

/// What comes on a connection, and what of it is not read yet.
struct Incoming {
    stream: TcpStream,
    bytes: Vec<u8>,
}

impl Incoming {
    /// The next request, whole; nothing where the connection ends.
    fn request(&mut self) -> Option<SeenRequest> {
        let head = self.up_to(b"\r\n\r\n")?;
        let mut seen = SeenRequest::read(&head);
        if seen.values("transfer-encoding").next().is_some() {
            seen.trailers = self.chunks()?;
        } else {
            let length = seen.values("content-length").next().and_then(|value| value.parse().ok());
            self.skip(length.unwrap_or(0))?;
        }
        Some(seen)
    }

    /// Reads past a body in chunks (RFC 9112 section 7.1), and what stands behind it.
    fn chunks(&mut self) -> Option<Vec<(String, String)>> {
        loop {
            let line = self.up_to(b"\r\n")?;
            let line = String::from_utf8_lossy(&line);
            let size = line.split(';').next().unwrap_or_default().trim();
            match usize::from_str_radix(size, 16).ok()? {
                0 => break,
                size => self.skip(size.checked_add(2)?)?,
            }
        }
        let mut trailers = Vec::new();
        loop {
            let line = self.up_to(b"\r\n")?;
            if line.is_empty() {
                return Some(trailers);
            }
            trailers.push(field(&String::from_utf8_lossy(&line)));
        }
    }

    /// What comes before `end`, which is taken too.
    fn up_to(&mut self, end: &[u8]) -> Option<Vec<u8>> {
        loop {
            if let Some(at) = find(&self.bytes, end) {
                let before = self.bytes.drain(..at).collect();
                self.bytes.drain(..end.len());
                return Some(before);
            }
            if self.bytes.len() > LONGEST_HEAD {
                return None;
            }
            self.more()?;
        }
    }

    fn skip(&mut self, length: usize) -> Option<()> {
        while self.bytes.len() < length {
            self.more()?;
        }
        self.bytes.drain(..length);
        Some(())
    }

    fn more(&mut self) -> Option<()> {
        let mut chunk = [0; 16 * 1024];
        match self.stream.read(&mut chunk) {
            Ok(0) | Err(_) => None,
            Ok(count) => {
                self.bytes.extend_from_slice(chunk.get(..count).unwrap_or_default());
                Some(())
            }
        }
    }
}
