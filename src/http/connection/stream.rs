//! A connection with an end: each head, each body, each answer and each silence has a time within which it must be over.

use std::{
    io,
    pin::Pin,
    rc::Rc,
    task::{Context, Poll, ready},
    time::Duration,
};

use bytes::{Buf, BytesMut};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    time::{Instant, Sleep, sleep_until},
};
use tokio_util::{io::poll_read_buf, sync::WaitForCancellationFutureOwned};

use super::{
    bound::Seat,
    exchange::{BodyProgress, Exchange},
    framing::{self, Body, Head, ReadHead},
};
use crate::http::{ending::Ending, extract::BodyLimit};

/// The longest head, in bytes: the HTTP library refuses it then.
const LONGEST_HEAD: usize = 128 * 1024;
/// How many times longer than what it carries a body in chunks may be as sent: with their sizes, extensions and trailers.
const CHUNKED: usize = 4;
/// How much is read ahead of an answer, in bytes.
const MOST_AHEAD: usize = 8 * 1024;
/// What is answered to what the HTTP library does not get.
const TIMEOUT: &[u8] = b"HTTP/1.1 408 Request Timeout\r\nconnection: close\r\ncontent-length: 0\r\n\r\n";
const BAD_REQUEST: &[u8] = b"HTTP/1.1 400 Bad Request\r\nconnection: close\r\ncontent-length: 0\r\n\r\n";
const TOO_LARGE: &[u8] =
    b"HTTP/1.1 431 Request Header Fields Too Large\r\nconnection: close\r\ncontent-length: 0\r\n\r\n";
/// How much is read at once, in bytes, and how little room is too little for it.
const ROOM: usize = 4 * 1024;
const LEAST_ROOM: usize = 512;
/// How often a connection looks whether it is over, if nothing else happens.
const TICK: Duration = Duration::from_secs(5);

/// What may take some time, and how much.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Limit {
    /// The handshake of TLS, from the beginning of the connection.
    Handshake,
    /// A head, from its first byte to its last.
    Head,
    /// A body, from the end of the head.
    Body,
    /// Nothing, between two requests and before the first.
    Silence,
    /// The same when the server ends: who has just connected or got an answer may be about to ask.
    LastSilence,
    /// The reading of an answer by the client, from when it does not fit into the buffers of the system.
    Answer,
    /// The work on a request that has come whole, should the HTTP library wait for more of it. An answer that lasts has no
    /// such time.
    Work,
    /// What comes after the last answer. Who closes while the client sends may take the answer from it.
    Farewell,
}

impl Limit {
    /// The time; less where more than half of all connections are taken.
    pub(super) fn time(self, is_crowded: bool) -> Duration {
        let [calm, crowded] = match self {
            Self::Handshake | Self::Head => [5, 3],
            Self::Body => [10, 5],
            Self::Silence => [75, 1],
            Self::LastSilence => [1, 1],
            Self::Answer => [30, 5],
            Self::Work => [300, 60],
            Self::Farewell => [2, 0],
        };
        Duration::from_secs(if is_crowded { crowded } else { calm })
    }
}

/// What can say whether bytes have come, though a read did not give them yet.
pub(in crate::http) trait Unread {
    /// Whether some have. The task that reads is woken for them.
    fn has_unread(&self) -> bool;
}

/// What is read now.
#[derive(Clone, Copy, Debug)]
enum StreamReading {
    Head,
    Body(Body),
    /// Nothing more.
    Ended,
}

/// How the connection is being closed.
#[derive(Clone, Copy, Debug)]
enum Closing {
    Not,
    /// Nothing is sent any more, since then.
    Sent(Instant),
}

/// A connection of a client, as the HTTP library reads and writes it. It gives the library one request at a time, and
/// none after the last one.
pub(in crate::http) struct Connection<T> {
    io: T,
    exchange: Rc<Exchange>,
    /// What came and was not handed on.
    pending: BytesMut,
    /// How much of it is to be handed on.
    ready: usize,
    reading: StreamReading,
    /// When the head or the body that is read began.
    since: Option<Instant>,
    /// Since when the answer is waited for.
    waiting: Option<Instant>,
    /// How much of the body came, in bytes.
    body_length: usize,
    /// How much of a body in chunks may come, in bytes.
    longest_chunked: usize,
    /// Since when an answer does not fit into the buffers of the system.
    blocked: Option<Instant>,
    /// Whether bytes may come that nobody reads.
    is_unread: bool,
    closing: Closing,
    timer: Pin<Box<Sleep>>,
    /// Comes when the server takes no further request.
    ended: Pin<Box<WaitForCancellationFutureOwned>>,
}

/// What to do next to read.
enum ReadingStep {
    /// Give what is ready.
    HandOn,
    /// Wait for the answer to the request.
    Wait,
    /// Wait for the client, at most so long from then on.
    Read(Limit, Instant),
    /// Answer in the place of the HTTP library, and end.
    Refuse(&'static [u8]),
    /// Say that nothing comes any more.
    End,
}

impl<T: AsyncRead + AsyncWrite + Unpin> Connection<T> {
    /// Takes a connection, and its seat for as long as it lasts. No endpoint reads more of a body than `limit`.
    pub(in crate::http) fn new(io: T, seat: Seat, ending: &Ending, limit: BodyLimit) -> Self {
        Self {
            io,
            exchange: Exchange::new(seat, ending.clone()),
            pending: BytesMut::new(),
            ready: 0,
            reading: StreamReading::Head,
            since: None,
            waiting: None,
            body_length: 0,
            longest_chunked: limit.bytes() * CHUNKED,
            blocked: None,
            is_unread: false,
            closing: Closing::Not,
            timer: Box::pin(sleep_until(Instant::now() + TICK)),
            ended: Box::pin(ending.closed()),
        }
    }

    /// What it reads from and writes to.
    pub(super) fn io(&self) -> &T {
        &self.io
    }

    /// What requests on it know of it.
    pub(in crate::http) fn exchange(&self) -> &Rc<Exchange> {
        &self.exchange
    }

    fn step(&mut self) -> ReadingStep {
        if self.exchange.is_last() && !self.exchange.is_in_flight() {
            self.reading = StreamReading::Ended;
        }
        match self.reading {
            StreamReading::Head => self.read_head(),
            StreamReading::Body(body) => self.read_body(body),
            StreamReading::Ended => ReadingStep::End,
        }
    }

    /// When what is read began: now, if it begins.
    fn started(&mut self) -> Instant {
        *self.since.get_or_insert_with(Instant::now)
    }

    fn read_head(&mut self) -> ReadingStep {
        // who does not read the answers gets no more of them
        if self.exchange.is_in_flight() || self.blocked.is_some() {
            return ReadingStep::Wait;
        }
        // an empty line before a request says nothing (RFC 9112 section 2.2)
        while self.pending.starts_with(b"\r\n") {
            self.pending.advance(2);
        }
        if self.pending.is_empty() {
            return ReadingStep::Read(Limit::Silence, self.exchange.answered_at());
        }
        match framing::read_head(&mut self.pending) {
            ReadHead::Partial if self.pending.len() < LONGEST_HEAD => {
                ReadingStep::Read(Limit::Head, self.started())
            }
            ReadHead::Partial | ReadHead::TooLong => ReadingStep::Refuse(TOO_LARGE),
            ReadHead::Unclear => ReadingStep::Refuse(BAD_REQUEST),
            ReadHead::Complete(Head { length, body, is_last }) => {
                let progress = if body.is_complete() {
                    BodyProgress::Complete
                } else {
                    self.reading = StreamReading::Body(body);
                    BodyProgress::Pending
                };
                self.exchange.begin(progress, is_last);
                self.ready = length;
                self.since = None;
                self.waiting = None;
                self.body_length = 0;
                ReadingStep::HandOn
            }
        }
    }

    fn read_body(&mut self, mut body: Body) -> ReadingStep {
        let is_chunked = matches!(body, Body::Chunked(_));
        let Ok(length) = body.advance(&self.pending) else {
            // whatever comes, nobody can say whose it is
            self.reading = StreamReading::Ended;
            return ReadingStep::End;
        };
        self.body_length += length;
        if is_chunked && self.body_length + self.pending.len() - length > self.longest_chunked {
            self.exchange.set_body(BodyProgress::TooLong);
            self.reading = StreamReading::Ended;
            return ReadingStep::End;
        }
        self.ready = length;
        if body.is_complete() {
            self.exchange.set_body(BodyProgress::Complete);
            self.reading = StreamReading::Head;
            self.since = None;
        } else {
            self.reading = StreamReading::Body(body);
        }
        match self.reading {
            _ if self.ready > 0 => ReadingStep::HandOn,
            StreamReading::Body(_) => ReadingStep::Read(Limit::Body, self.started()),
            StreamReading::Head | StreamReading::Ended => self.step(),
        }
    }

    fn hand_on(&mut self, out: &mut ReadBuf<'_>) {
        let part = self.pending.split_to(self.ready.min(out.remaining()));
        out.put_slice(&part);
        self.ready -= part.len();
    }

    /// Whether the time is over. The task is woken when it may be.
    fn poll_limit(&mut self, cx: &mut Context<'_>, limit: Limit, since: Instant) -> Poll<()> {
        loop {
            let now = Instant::now();
            let end = since + limit.time(self.exchange.is_crowded());
            if now >= end {
                return Poll::Ready(());
            }
            self.tick_by(end.min(now + TICK));
            ready!(self.timer.as_mut().poll(cx));
        }
    }

    /// Lets the timer wake the task at this time, or before.
    fn tick_by(&mut self, time: Instant) {
        if self.timer.is_elapsed() || self.timer.deadline() > time {
            self.timer.as_mut().reset(time);
        }
    }

    /// Ends the reading of what took too long. Who sent a part of a head is told (RFC 9110 section 15.5.9).
    fn expire(&mut self, cx: &mut Context<'_>, limit: Limit) {
        match limit {
            Limit::Head => self.refuse(cx, TIMEOUT),
            Limit::Body => self.exchange.set_body(BodyProgress::TooSlow),
            Limit::Handshake
            | Limit::Silence
            | Limit::LastSilence
            | Limit::Answer
            | Limit::Work
            | Limit::Farewell => {}
        }
        self.reading = StreamReading::Ended;
    }

    /// Answers a request that the HTTP library does not get, and ends. Nothing else is being sent then; who does not take
    /// the answer does not get it.
    fn refuse(&mut self, cx: &mut Context<'_>, answer: &[u8]) {
        let _ = Pin::new(&mut self.io).poll_write(cx, answer);
        self.is_unread = true;
        self.reading = StreamReading::Ended;
    }

    /// Reads what has come; how many bytes it is, and none at the end.
    fn poll_fill(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        if self.pending.capacity() - self.pending.len() < LEAST_ROOM {
            self.pending.reserve(ROOM);
        }
        poll_read_buf(Pin::new(&mut self.io), cx, &mut self.pending)
    }

    /// Reads on while a request is answered, so far that a client that hangs up is seen.
    fn poll_wait(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while self.pending.len() < MOST_AHEAD {
            match self.poll_fill(cx) {
                Poll::Ready(Ok(0)) => {
                    // it sends no more, and may wait for the answer
                    self.exchange.hang_up();
                    self.reading =
                        if self.pending.is_empty() { StreamReading::Ended } else { StreamReading::Head };
                    break;
                }
                Poll::Ready(Ok(_)) => {}
                Poll::Ready(Err(error)) => return Poll::Ready(Err(error)),
                Poll::Pending => break,
            }
        }
        let has_more = !self.pending.is_empty() || matches!(self.reading, StreamReading::Ended);
        self.exchange.wake_when_answered(cx.waker(), has_more);
        if self.exchange.lasts() {
            return Poll::Pending;
        }
        // this also wakes the task for the end of the silence after the answer, though nothing else does
        let since = *self.waiting.get_or_insert_with(Instant::now);
        ready!(self.poll_limit(cx, Limit::Work, since));
        self.reading = StreamReading::Ended;
        Poll::Ready(Ok(()))
    }
}

impl<T: AsyncRead + AsyncWrite + Unread + Unpin> AsyncRead for Connection<T> {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, out: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        loop {
            if this.ready > 0 {
                this.hand_on(out);
                return Poll::Ready(Ok(()));
            }
            match this.step() {
                ReadingStep::HandOn => {}
                ReadingStep::Wait => return this.poll_wait(cx),
                ReadingStep::Refuse(answer) => this.refuse(cx, answer),
                ReadingStep::End => return Poll::Ready(Ok(())),
                ReadingStep::Read(limit, since) => {
                    match this.poll_fill(cx) {
                        Poll::Ready(Ok(0)) => {
                            this.ready = this.pending.len();
                            this.reading = StreamReading::Ended;
                        }
                        Poll::Ready(Ok(_)) => {}
                        Poll::Ready(Err(error)) => return Poll::Ready(Err(error)),
                        Poll::Pending => {
                            // an answer may end what nobody reads
                            this.exchange.wake_when_answered(cx.waker(), false);
                            let is_silent = limit == Limit::Silence;
                            let is_ending = is_silent && this.ended.as_mut().poll(cx).is_ready();
                            let limit = if is_ending { Limit::LastSilence } else { limit };
                            ready!(this.poll_limit(cx, limit, since));
                            // a request that has come by now is answered still
                            if is_silent && this.io.has_unread() {
                                return Poll::Pending;
                            }
                            this.expire(cx, limit);
                        }
                    }
                }
            }
        }
    }
}

impl<T: AsyncRead + AsyncWrite + Unpin> AsyncWrite for Connection<T> {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let lasts = this.exchange.lasts();
        let is_ending = lasts && this.ended.as_mut().poll(cx).is_ready();
        if let Poll::Ready(written) = Pin::new(&mut this.io).poll_write(cx, bytes) {
            // of an answer that lasts each part has its time
            if lasts && !is_ending {
                this.blocked = None;
            }
            return Poll::Ready(written);
        }
        let since = *this.blocked.get_or_insert_with(Instant::now);
        // nobody who watches is waited for
        let limit = if is_ending { Limit::LastSilence } else { Limit::Answer };
        ready!(this.poll_limit(cx, limit, since));
        Poll::Ready(Err(io::ErrorKind::TimedOut.into()))
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        // the parts of one answer have one time
        if this.blocked.is_some() && !this.exchange.is_in_flight() {
            this.blocked = None;
            cx.waker().wake_by_ref();
        }
        Pin::new(&mut this.io).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let since = match this.closing {
            Closing::Sent(since) => since,
            Closing::Not => {
                ready!(Pin::new(&mut this.io).poll_shutdown(cx))?;
                let now = Instant::now();
                this.closing = Closing::Sent(now);
                now
            }
        };
        // a connection that is closed with bytes unread is reset, and the answer may be lost with it
        this.is_unread |= this.exchange.body() != BodyProgress::Complete || !this.pending.is_empty();
        if !this.is_unread {
            return Poll::Ready(Ok(()));
        }
        loop {
            this.pending.clear();
            match this.poll_fill(cx) {
                Poll::Ready(Ok(0) | Err(_)) => return Poll::Ready(Ok(())),
                Poll::Ready(Ok(_)) => {
                    this.pending.clear();
                    // who sends without a pause is not waited for either
                    if Instant::now() >= since + Limit::Farewell.time(this.exchange.is_crowded()) {
                        return Poll::Ready(Ok(()));
                    }
                }
                Poll::Pending => {
                    ready!(this.poll_limit(cx, Limit::Farewell, since));
                    return Poll::Ready(Ok(()));
                }
            }
        }
    }
}
