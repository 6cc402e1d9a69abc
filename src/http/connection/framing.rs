//! Where heads and bodies are in the bytes of a connection (RFC 9112). What the HTTP library reads of them counts; this
//! reading is for the limits of time and size alone, and gives up where it is not sure.

use std::{mem::MaybeUninit, ops::Range};

use httparse::{Header, Request, Status};

/// The most headers of a head, as the HTTP library has it.
const MOST_HEADERS: usize = 96;
/// The longest name of a header, in bytes. The HTTP library panics at one of 64 KiB.
const LONGEST_NAME: usize = 8 * 1024;

/// What stands at the beginning of some bytes.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum ReadHead {
    /// A part of a head.
    Partial,
    /// A head.
    Complete(Head),
    /// It is not clear where a request ends, if this is one.
    Unclear,
    /// A head with the name of a header that is too long.
    TooLong,
}

/// A head that was read.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Head {
    /// How many bytes it has.
    pub(super) length: usize,
    /// What follows it.
    pub(super) body: Body,
    /// Whether the client sends no request after this one (RFC 9112 section 9.3).
    pub(super) is_last: bool,
}

/// The part of a body that has not come yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Body {
    /// This many bytes.
    Length(u64),
    /// Chunks.
    Chunked(Chunk),
}

/// What comes next in a chunked body (RFC 9112 section 7.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Chunk {
    /// The size of a chunk.
    Size,
    /// This many bytes of a chunk.
    Data(u64),
    /// The end of its line.
    DataEnd,
    /// A trailer, or the empty line at the end.
    Trailer,
}

/// A body whose end is not clear.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct UnclearBody;

/// The first request of some bytes, as the limits of time and size see it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FirstRequest {
    /// Its end has not come.
    Partial {
        /// How many bytes its head has, if that is there.
        head: Option<usize>,
    },
    /// It is whole.
    Whole {
        /// How many bytes its head has.
        head: usize,
        /// How many bytes its body has as it is sent, with what stands around chunks.
        body: usize,
        /// Whether the client sends no request after this one.
        is_last: bool,
    },
    /// It is refused, for nobody can say where it ends or hold it.
    Refused,
}

/// Reads the first request at the beginning of `bytes`. A wish to upgrade the protocol is blanked out.
pub fn first_request(bytes: &mut [u8]) -> FirstRequest {
    let Head { length, mut body, is_last } = match read_head(bytes) {
        ReadHead::Partial => return FirstRequest::Partial { head: None },
        ReadHead::Unclear | ReadHead::TooLong => return FirstRequest::Refused,
        ReadHead::Complete(head) => head,
    };
    match body.advance(bytes.get(length..).unwrap_or_default()) {
        Err(UnclearBody) => FirstRequest::Refused,
        Ok(read) if body.is_complete() => FirstRequest::Whole { head: length, body: read, is_last },
        Ok(_) => FirstRequest::Partial { head: Some(length) },
    }
}

/// Reads the head at the beginning of `bytes`. A wish to upgrade the protocol is blanked out: it is to be ignored
/// (RFC 9110 section 7.8), and the HTTP library would end the connection, or take what follows for another protocol.
pub(super) fn read_head(bytes: &mut [u8]) -> ReadHead {
    let mut room = [const { MaybeUninit::<Header<'_>>::uninit() }; MOST_HEADERS];
    let mut request = Request::new(&mut []);
    let length = match request.parse_with_uninit_headers(bytes, &mut room) {
        Ok(Status::Complete(length)) => length,
        Ok(Status::Partial) => return ReadHead::Partial,
        Err(_) => return ReadHead::Unclear,
    };
    if request.headers.iter().any(|header| header.name.len() > LONGEST_NAME) {
        return ReadHead::TooLong;
    }
    let Some(fields) = HeadFields::of(&request, bytes) else { return ReadHead::Unclear };
    let is_old = request.version == Some(0) && !fields.says_keep_alive;
    // what follows a CONNECT is for whoever it would connect to, and nobody reads it
    let is_connect = request.method == Some("CONNECT");
    let body = if is_connect { Body::Length(0) } else { fields.body };
    let is_last = fields.says_close || is_old || is_connect;
    for range in fields.blanked {
        if let Some(blanked) = bytes.get_mut(range) {
            blanked.fill(b' ');
        }
    }
    ReadHead::Complete(Head { length, body, is_last })
}

/// What the headers say that matters here.
struct HeadFields {
    body: Body,
    says_close: bool,
    says_keep_alive: bool,
    /// Where the bytes are that ask for an upgrade.
    blanked: Vec<Range<usize>>,
}

impl HeadFields {
    /// `None` where two servers might see another body.
    fn of(request: &Request<'_, '_>, bytes: &[u8]) -> Option<Self> {
        let mut fields =
            Self { body: Body::Length(0), says_close: false, says_keep_alive: false, blanked: Vec::new() };
        let (mut has_length, mut has_coding) = (false, false);
        for Header { name, value } in request.headers.iter() {
            if name.eq_ignore_ascii_case("content-length") {
                if has_length {
                    return None;
                }
                has_length = true;
                fields.body = Body::Length(decimal(value.trim_ascii())?);
            } else if name.eq_ignore_ascii_case("transfer-encoding") {
                if has_coding || !value.trim_ascii().eq_ignore_ascii_case(b"chunked") {
                    return None;
                }
                has_coding = true;
            } else if name.eq_ignore_ascii_case("upgrade") {
                fields.blanked.push(place_of(value, bytes));
            } else if name.eq_ignore_ascii_case("connection") {
                fields.read_connection(value, bytes);
            }
        }
        if has_coding {
            fields.body = Body::Chunked(Chunk::Size);
        }
        let is_clear = !(has_coding && (has_length || request.version == Some(0)));
        is_clear.then_some(fields)
    }

    fn read_connection(&mut self, value: &[u8], bytes: &[u8]) {
        for option in value.split(|byte| *byte == b',').map(<[u8]>::trim_ascii) {
            if option.eq_ignore_ascii_case(b"close") {
                self.says_close = true;
            } else if option.eq_ignore_ascii_case(b"keep-alive") {
                self.says_keep_alive = true;
            } else if option.eq_ignore_ascii_case(b"upgrade") {
                self.blanked.push(place_of(option, bytes));
            }
        }
    }
}

/// Where a part of `whole` is in it.
fn place_of(part: &[u8], whole: &[u8]) -> Range<usize> {
    let start = part.as_ptr().addr() - whole.as_ptr().addr();
    start..start + part.len()
}

fn decimal(digits: &[u8]) -> Option<u64> {
    let are_digits = !digits.is_empty() && digits.iter().all(u8::is_ascii_digit);
    std::str::from_utf8(digits).ok().filter(|_| are_digits)?.parse().ok()
}

impl Body {
    /// Whether it has come whole.
    pub(super) fn is_complete(self) -> bool {
        self == Self::Length(0)
    }

    /// Reads on; how many of the bytes belong to it, as far as that is clear by now.
    ///
    /// # Errors
    /// [`UnclearBody`].
    pub(super) fn advance(&mut self, bytes: &[u8]) -> Result<usize, UnclearBody> {
        let mut rest = bytes;
        while !rest.is_empty() && !self.is_complete() {
            let Some(used) = self.step(rest)? else { break };
            rest = rest.get(used..).unwrap_or_default();
        }
        Ok(bytes.len() - rest.len())
    }

    /// Reads the next thing; how long it is, or `None` where a part of it is missing.
    fn step(&mut self, bytes: &[u8]) -> Result<Option<usize>, UnclearBody> {
        let up_to = |left: u64| left.min(u64::try_from(bytes.len()).unwrap_or(u64::MAX));
        let used = match self {
            Self::Length(left) => {
                let used = up_to(*left);
                *left -= used;
                usize::try_from(used).unwrap_or(bytes.len())
            }
            Self::Chunked(Chunk::Size) => match httparse::parse_chunk_size(bytes) {
                Ok(Status::Complete((used, size))) => {
                    *self = Self::Chunked(if size == 0 { Chunk::Trailer } else { Chunk::Data(size) });
                    used
                }
                Ok(Status::Partial) => return Ok(None),
                Err(_) => return Err(UnclearBody),
            },
            Self::Chunked(Chunk::Data(left)) => {
                let used = up_to(*left);
                *left -= used;
                if *left == 0 {
                    *self = Self::Chunked(Chunk::DataEnd);
                }
                usize::try_from(used).unwrap_or(bytes.len())
            }
            Self::Chunked(Chunk::DataEnd) => match bytes {
                [b'\r', b'\n', ..] => {
                    *self = Self::Chunked(Chunk::Size);
                    2
                }
                [b'\r'] => return Ok(None),
                _ => return Err(UnclearBody),
            },
            // a line feed alone ends no line for the HTTP library, and so none here
            Self::Chunked(Chunk::Trailer) => {
                let Some(end) = bytes.iter().position(|byte| *byte == b'\n') else { return Ok(None) };
                match bytes.get(..end) {
                    Some([b'\r']) => *self = Self::Length(0),
                    Some([.., b'\r']) => {}
                    _ => return Err(UnclearBody),
                }
                end + 1
            }
        };
        Ok(Some(used))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn head(text: &str) -> (ReadHead, String) {
        let mut bytes = text.as_bytes().to_vec();
        (read_head(&mut bytes), String::from_utf8(bytes).unwrap())
    }

    const NO_BODY: Body = Body::Length(0);
    const CHUNKED: Body = Body::Chunked(Chunk::Size);

    #[expect(clippy::string_slice, reason = "the test says where it cuts")]
    #[test]
    fn a_head_says_what_follows_and_whether_more_comes() {
        let rows: [(&str, Body, bool); 13] = [
            ("GET / HTTP/1.1\r\nHost: a\r\n\r\n", NO_BODY, false),
            ("GET / HTTP/1.1\nHost: a\n\n", NO_BODY, false),
            ("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\n", Body::Length(5), false),
            ("POST / HTTP/1.1\r\nHost: a\r\ncontent-length:  5 \r\n\r\n", Body::Length(5), false),
            ("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: Chunked\r\n\r\n", CHUNKED, false),
            ("GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n", NO_BODY, true),
            ("GET / HTTP/1.1\r\nHost: a\r\nConnection: keep-alive, Close\r\n\r\n", NO_BODY, true),
            ("GET / HTTP/1.0\r\n\r\n", NO_BODY, true),
            ("GET / HTTP/1.0\r\nConnection: Keep-Alive\r\n\r\n", NO_BODY, false),
            ("GET / HTTP/1.0\r\nConnection: close, keep-alive\r\n\r\n", NO_BODY, true),
            ("GET / HTTP/1.1\r\nHost: a\r\nConnection: x-close\r\n\r\n", NO_BODY, false),
            ("CONNECT a:1 HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\n", NO_BODY, true),
            ("\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n", NO_BODY, false),
        ];
        for (text, body, is_last) in rows {
            let expected = ReadHead::Complete(Head { length: text.len(), body, is_last });
            assert_eq!(head(text), (expected, text.to_owned()), "{text:?}");
            for end in 0..text.len() {
                assert_eq!(head(&text[..end]).0, ReadHead::Partial, "{:?}", &text[..end]);
            }
            let more = format!("{text}GET / HTTP");
            let ReadHead::Complete(head) = head(&more).0 else { panic!("{more:?}") };
            assert_eq!(head.length, text.len(), "{more:?}");
        }
    }

    #[test]
    fn a_head_that_servers_may_read_differently_is_unclear() {
        let with = |lines: &str| format!("POST / HTTP/1.1\r\nHost: a\r\n{lines}\r\n\r\n");
        for lines in [
            "Content-Length: 5\r\nContent-Length: 5",
            "Content-Length: +5",
            "Content-Length: 5, 5",
            "Content-Length: 0x5",
            "Content-Length:",
            "Content-Length: 99999999999999999999",
            "Content-Length: 5\r\nTransfer-Encoding: chunked",
            "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked",
            "Transfer-Encoding: gzip, chunked",
            "Transfer-Encoding: identity",
            "Transfer-Encoding: xchunked",
            "Bad name: x",
        ] {
            assert_eq!(head(&with(lines)).0, ReadHead::Unclear, "{lines}");
        }
        for text in [
            "POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n",
            "GET / HTTP/2.0\r\n\r\n",
            "\u{16}\u{3}\u{1}",
        ] {
            assert_eq!(head(text).0, ReadHead::Unclear, "{text:?}");
        }
    }

    #[test]
    fn a_name_that_the_http_library_cannot_hold_is_refused() {
        let with = |length: usize| format!("GET / HTTP/1.1\r\nHost: a\r\n{}: b\r\n\r\n", "a".repeat(length));
        assert_eq!(head(&with(LONGEST_NAME + 1)).0, ReadHead::TooLong);
        assert_eq!(head(&with(65_536)).0, ReadHead::TooLong);
        assert!(matches!(head(&with(LONGEST_NAME)).0, ReadHead::Complete(_)));
    }

    #[test]
    fn rfc9110_7_8_a_wish_to_upgrade_is_blanked_out() {
        for (sent, read) in [
            ("Connection: Upgrade\r\nUpgrade: h2c", "Connection:        \r\nUpgrade:    "),
            ("Connection: Upgrade, HTTP2-Settings", "Connection:        , HTTP2-Settings"),
            ("Connection: keep-alive,upgrade", "Connection: keep-alive,       "),
            ("connection: UPGRADE , upgrade", "connection:         ,        "),
            ("Upgrade: websocket", "Upgrade:          "),
            ("X: Upgrade\r\nConnection: upgraded", "X: Upgrade\r\nConnection: upgraded"),
        ] {
            let whole = |lines: &str| {
                format!("POST /upgrade HTTP/1.1\r\nHost: a\r\n{lines}\r\nContent-Length: 7\r\n\r\nupgrade")
            };
            let (read_as, text) = head(&whole(sent));
            assert_eq!(text, whole(read), "{sent}");
            let length = whole(sent).len() - 7;
            let expected = Head { length, body: Body::Length(7), is_last: false };
            assert_eq!(read_as, ReadHead::Complete(expected), "{sent}");
        }
    }

    #[test]
    fn a_chunked_body_ends_where_it_ends_however_it_is_cut() {
        let rows = [
            "0\r\n\r\n",
            "5\r\nhello\r\n0\r\n\r\n",
            "5;name=value\r\nhello\r\nA\r\n0123456789\r\n000\r\n\r\n",
            "5\r\n\r\n0\r\n\r\n0\r\nTrailer: x\r\nOther: y\r\n\r\n",
        ];
        for text in rows {
            let pipelined = format!("{text}GET / HTTP/1.1");
            for size in 1..=pipelined.len() {
                let (mut body, mut pending, mut read) = (CHUNKED, Vec::new(), 0);
                for part in pipelined.as_bytes().chunks(size) {
                    pending.extend_from_slice(part);
                    let used = body.advance(&pending).unwrap();
                    pending.drain(..used);
                    read += used;
                }
                assert_eq!((body, read), (NO_BODY, text.len()), "{text:?} by {size}");
            }
        }
        for text in [
            "0\r\n\n",
            "0\r\na: b\n\r\n",
            "0\r\nx\r\n\n",
            "x\r\n",
            "5\r\nhelloX\r\n",
            "5\r\nhello\rX",
            "-1\r\n",
            "fffffffffffffffff\r\n",
        ] {
            assert_eq!({ CHUNKED }.advance(text.as_bytes()), Err(UnclearBody), "{text:?}");
        }
    }

    #[test]
    fn a_counted_body_ends_where_it_ends() {
        let mut body = Body::Length(5);
        assert_eq!((body.advance(b"he").unwrap(), body), (2, Body::Length(3)));
        assert_eq!((body.advance(b"lloGET").unwrap(), body.is_complete()), (3, true));
        assert_eq!(body.advance(b"GET").unwrap(), 0);
    }
}
