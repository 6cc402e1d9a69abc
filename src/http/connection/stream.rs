//! A connection with an end: each head, each body, each answer and each silence has a time within which it must be over.

use std::{
    io,
    pin::Pin,
    rc::Rc,
    task::{Context, Poll, ready},
    time::Duration,
};

use bytes::BytesMut;
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    time::{Instant, Sleep, sleep_until},
};
use tokio_util::io::poll_read_buf;

use super::{
    bound::Seat,
    exchange::{BodyProgress, Exchange},
    framing::{self, Body, Head, Read},
};

/// The longest head, in bytes: the HTTP library refuses it then.
const LONGEST_HEAD: usize = 128 * 1024;
/// The longest body, in bytes as sent: with the sizes, extensions and trailers of chunks. Of what they carry, 16 KiB
/// are read.
const LONGEST_CHUNKED: usize = 64 * 1024;
/// How much is read ahead of an answer, in bytes.
const MOST_AHEAD: usize = 8 * 1024;
/// How much is read at once, in bytes, and how little room is too little for it.
const ROOM: usize = 4 * 1024;
const LEAST_ROOM: usize = 512;
/// How often a connection looks whether it is over, if nothing else happens.
const TICK: Duration = Duration::from_secs(5);

/// What may take some time, and how much.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Limit {
    /// A head, from its first byte to its last.
    Head,
    /// A body, from the end of the head.
    Body,
    /// Nothing, between two requests and before the first.
    Silence,
    /// The reading of an answer by the client, from when it does not fit into the buffers of the system.
    Answer,
    /// What comes after the last answer. Who closes while the client sends may take the answer from it.
    Farewell,
}

impl Limit {
    /// The time; less where more than half of all connections are taken.
    fn time(self, is_crowded: bool) -> Duration {
        let [calm, crowded] = match self {
            Self::Head => [5, 3],
            Self::Body => [10, 5],
            Self::Silence => [75, 1],
            Self::Answer => [30, 5],
            Self::Farewell => [2, 0],
        };
        Duration::from_secs(if is_crowded { crowded } else { calm })
    }
}

/// What is read now.
#[derive(Clone, Copy, Debug)]
enum Reading {
    Head,
    Body(Body),
    /// What the HTTP library refuses, or reads to the end of the connection.
    Unclear,
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
    seat: Seat,
    /// What came and was not handed on.
    pending: BytesMut,
    /// How much of it is to be handed on.
    ready: usize,
    reading: Reading,
    /// When the head or the body that is read began.
    since: Option<Instant>,
    /// How much of the body came, in bytes.
    body_length: usize,
    /// Since when an answer does not fit into the buffers of the system.
    blocked: Option<Instant>,
    closing: Closing,
    timer: Pin<Box<Sleep>>,
}

/// What to do next to read.
enum Step {
    /// Give what is ready.
    HandOn,
    /// Wait for the answer to the request.
    Wait,
    /// Wait for the client, at most so long from then on.
    Read(Limit, Instant),
    /// Say that nothing comes any more.
    End,
}

impl<T: AsyncRead + AsyncWrite + Unpin> Connection<T> {
    /// Takes a connection, and its seat for as long as it lasts.
    pub(in crate::http) fn new(io: T, seat: Seat) -> Self {
        Self {
            io,
            exchange: Exchange::new(),
            seat,
            pending: BytesMut::new(),
            ready: 0,
            reading: Reading::Head,
            since: None,
            body_length: 0,
            blocked: None,
            closing: Closing::Not,
            timer: Box::pin(sleep_until(Instant::now() + TICK)),
        }
    }

    /// What requests on it know of it.
    pub(in crate::http) fn exchange(&self) -> &Rc<Exchange> {
        &self.exchange
    }

    fn step(&mut self) -> Step {
        if self.exchange.is_last() && !self.exchange.is_in_flight() {
            self.reading = Reading::Ended;
        }
        match self.reading {
            Reading::Head => self.read_head(),
            Reading::Body(body) => self.read_body(body),
            Reading::Unclear => {
                self.ready = self.pending.len();
                if self.ready > 0 { Step::HandOn } else { Step::Read(Limit::Body, self.started()) }
            }
            Reading::Ended => Step::End,
        }
    }

    /// When what is read began: now, if it begins.
    fn started(&mut self) -> Instant {
        *self.since.get_or_insert_with(Instant::now)
    }

    fn read_head(&mut self) -> Step {
        // who does not read the answers gets no more of them
        if self.exchange.is_in_flight() || self.blocked.is_some() {
            return Step::Wait;
        }
        if self.pending.is_empty() {
            return Step::Read(Limit::Silence, self.exchange.answered_at());
        }
        match framing::read_head(&mut self.pending) {
            Read::Partial if self.pending.len() < LONGEST_HEAD => Step::Read(Limit::Head, self.started()),
            Read::Partial | Read::Unclear => self.pass_on(),
            Read::Complete(Head { length, body, is_last }) => {
                let progress = if body.is_complete() {
                    BodyProgress::Complete
                } else {
                    self.reading = Reading::Body(body);
                    BodyProgress::Pending
                };
                self.exchange.begin(progress, is_last);
                self.ready = length;
                self.since = None;
                self.body_length = 0;
                Step::HandOn
            }
        }
    }

    fn read_body(&mut self, mut body: Body) -> Step {
        let Ok(length) = body.advance(&self.pending) else { return self.pass_on() };
        self.ready = length;
        self.body_length += length;
        let is_chunked = matches!(body, Body::Chunked(_));
        if is_chunked && self.body_length + self.pending.len() - length > LONGEST_CHUNKED {
            self.exchange.set_body(BodyProgress::TooLong);
            self.reading = Reading::Ended;
        } else if body.is_complete() {
            self.exchange.set_body(BodyProgress::Complete);
            self.reading = Reading::Head;
            self.since = None;
        } else {
            self.reading = Reading::Body(body);
        }
        match self.reading {
            _ if self.ready > 0 => Step::HandOn,
            Reading::Body(_) => Step::Read(Limit::Body, self.started()),
            Reading::Head | Reading::Unclear | Reading::Ended => self.step(),
        }
    }

    /// Leaves what comes to the HTTP library, which refuses it and ends the connection.
    fn pass_on(&mut self) -> Step {
        self.reading = Reading::Unclear;
        self.since = None;
        self.started();
        self.ready = self.pending.len();
        Step::HandOn
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
            let end = since + limit.time(self.seat.is_crowded());
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
            Limit::Head => {
                const ANSWER: &[u8] =
                    b"HTTP/1.1 408 Request Timeout\r\nconnection: close\r\ncontent-length: 0\r\n\r\n";
                // nothing else is being sent; who does not take it does not get it
                let _ = Pin::new(&mut self.io).poll_write(cx, ANSWER);
            }
            Limit::Body => self.exchange.set_body(BodyProgress::TooSlow),
            Limit::Silence | Limit::Answer | Limit::Farewell => {}
        }
        self.reading = Reading::Ended;
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
                    self.reading = if self.pending.is_empty() { Reading::Ended } else { Reading::Head };
                    break;
                }
                Poll::Ready(Ok(_)) => {}
                Poll::Ready(Err(error)) => return Poll::Ready(Err(error)),
                Poll::Pending => break,
            }
        }
        let has_more = !self.pending.is_empty() || matches!(self.reading, Reading::Ended);
        self.exchange.wake_when_answered(cx.waker(), has_more);
        // so that the silence after the answer ends, though nothing else wakes the task
        while self.timer.as_mut().poll(cx).is_ready() {
            self.tick_by(Instant::now() + TICK);
        }
        Poll::Pending
    }
}

impl<T: AsyncRead + AsyncWrite + Unpin> AsyncRead for Connection<T> {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, out: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        loop {
            if this.ready > 0 {
                this.hand_on(out);
                return Poll::Ready(Ok(()));
            }
            match this.step() {
                Step::HandOn => {}
                Step::Wait => return this.poll_wait(cx),
                Step::End => return Poll::Ready(Ok(())),
                Step::Read(limit, since) => {
                    match this.poll_fill(cx) {
                        Poll::Ready(Ok(0)) => {
                            this.ready = this.pending.len();
                            this.reading = Reading::Ended;
                        }
                        Poll::Ready(Ok(_)) => {}
                        Poll::Ready(Err(error)) => return Poll::Ready(Err(error)),
                        Poll::Pending => {
                            // an answer may end what nobody reads
                            this.exchange.wake_when_answered(cx.waker(), false);
                            ready!(this.poll_limit(cx, limit, since));
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
        if let Poll::Ready(written) = Pin::new(&mut this.io).poll_write(cx, bytes) {
            return Poll::Ready(written);
        }
        let since = *this.blocked.get_or_insert_with(Instant::now);
        ready!(this.poll_limit(cx, Limit::Answer, since));
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
        let is_read = this.exchange.body() == BodyProgress::Complete && this.pending.is_empty();
        if is_read && !matches!(this.reading, Reading::Unclear) {
            return Poll::Ready(Ok(()));
        }
        loop {
            this.pending.clear();
            match this.poll_fill(cx) {
                Poll::Ready(Ok(0) | Err(_)) => return Poll::Ready(Ok(())),
                Poll::Ready(Ok(_)) => {
                    this.pending.clear();
                    this.reading = Reading::Unclear;
                    // who sends without a pause is not waited for either
                    if Instant::now() >= since + Limit::Farewell.time(this.seat.is_crowded()) {
                        return Poll::Ready(Ok(()));
                    }
                }
                Poll::Pending => {
                    this.reading = Reading::Unclear;
                    ready!(this.poll_limit(cx, Limit::Farewell, since));
                    return Poll::Ready(Ok(()));
                }
            }
        }
    }
}
