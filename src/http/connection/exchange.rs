//! What a connection and the request on it know of each other.

use std::{
    cell::Cell,
    future::{Future, Ready, ready},
    mem,
    pin::Pin,
    rc::Rc,
    task::{Context, Poll, Waker},
};

use actix_web::{
    Error,
    body::{BodySize, MessageBody},
    dev::{ResponseHead, Service, ServiceRequest, ServiceResponse, Transform, forward_ready},
    http::{ConnectionType, Version},
    web::Bytes,
};
use pin_project_lite::pin_project;
use tokio::time::Instant;

use super::bound::Seat;
use crate::http::ending::Ending;

/// How far the body of a request has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::http) enum BodyProgress {
    /// To its end, or there is none.
    Complete,
    /// Not to its end.
    Pending,
    /// It did not come in time, and does not any more.
    TooSlow,
    /// It is longer than any that is read, with what stands between its chunks.
    TooLong,
}

/// The request that is being answered on a connection. There is one at a time: what a client sends ahead waits.
pub(in crate::http) struct Exchange {
    is_in_flight: Cell<bool>,
    is_last: Cell<bool>,
    lasts: Cell<bool>,
    has_hung_up: Cell<bool>,
    body: Cell<BodyProgress>,
    /// When the last answer was written down, or the connection began.
    answered_at: Cell<Instant>,
    /// Whether the connection has something to do as soon as the answer is written down.
    has_more: Cell<bool>,
    waker: Cell<Option<Waker>>,
    seat: Seat,
    ending: Ending,
}

impl Exchange {
    pub(super) fn new(seat: Seat, ending: Ending) -> Rc<Self> {
        Rc::new(Self {
            is_in_flight: Cell::new(false),
            is_last: Cell::new(false),
            lasts: Cell::new(false),
            has_hung_up: Cell::new(false),
            body: Cell::new(BodyProgress::Complete),
            answered_at: Cell::new(Instant::now()),
            has_more: Cell::new(false),
            waker: Cell::new(None),
            seat,
            ending,
        })
    }

    /// How far the body of the request has come.
    pub(in crate::http) fn body(&self) -> BodyProgress {
        self.body.get()
    }

    pub(super) fn set_body(&self, progress: BodyProgress) {
        self.body.set(progress);
    }

    /// Lets the answer go on for as long as it may. It is the last one of the connection.
    pub(super) fn let_last(&self) {
        self.lasts.set(true);
    }

    /// Whether the answer goes on for as long as it may.
    pub(super) fn lasts(&self) -> bool {
        self.lasts.get()
    }

    /// The client sends no more.
    pub(super) fn hang_up(&self) {
        self.has_hung_up.set(true);
    }

    /// Whether the client sends no more.
    pub(super) fn has_hung_up(&self) -> bool {
        self.has_hung_up.get()
    }

    /// The end of the server.
    pub(super) fn ending(&self) -> &Ending {
        &self.ending
    }

    /// Whether most connections are taken, so that each must end soon.
    pub(super) fn is_crowded(&self) -> bool {
        self.seat.is_crowded()
    }

    /// Whether the request that is being answered is to be the last one, whatever it says itself.
    fn must_end(&self) -> bool {
        self.body.get() != BodyProgress::Complete || self.is_crowded() || self.ending.has_begun()
    }

    /// A head is handed to the HTTP library.
    pub(super) fn begin(&self, body: BodyProgress, is_last: bool) {
        self.is_in_flight.set(true);
        self.has_more.set(false);
        self.body.set(body);
        self.is_last.set(is_last);
    }

    /// Whether a request is not answered yet.
    pub(super) fn is_in_flight(&self) -> bool {
        self.is_in_flight.get()
    }

    /// Whether no request is taken after this one.
    pub(super) fn is_last(&self) -> bool {
        self.is_last.get()
    }

    /// When the last answer was written down, or the connection began.
    pub(super) fn answered_at(&self) -> Instant {
        self.answered_at.get()
    }

    /// Wakes the connection when the request is answered, if it has something to do then.
    pub(super) fn wake_when_answered(&self, waker: &Waker, has_more: bool) {
        self.has_more.set(has_more);
        self.waker.set(Some(waker.clone()));
    }

    fn answered(&self) {
        self.is_in_flight.set(false);
        self.answered_at.set(Instant::now());
        if let Some(waker) = self.waker.take()
            && (self.has_more.get() || self.is_last.get())
        {
            waker.wake();
        }
    }
}

/// Middleware around all others that tells the connection when a request is answered. It ends the connection where the body
/// of the request has not come to its end by then, for what comes is nobody's; in a crowd, so that nobody keeps a seat
/// by asking again and again; and when the server ends, so that clients go elsewhere.
#[derive(Clone, Copy)]
pub(crate) struct TellConnection;

impl<S, B> Transform<S, ServiceRequest> for TellConnection
where
    S: Service<ServiceRequest, Response = ServiceResponse<B>, Error = Error> + 'static,
    B: MessageBody + 'static,
{
    type Response = ServiceResponse<AnswerBody<B>>;
    type Error = Error;
    type Transform = ToldService<S>;
    type InitError = ();
    type Future = Ready<Result<Self::Transform, ()>>;

    fn new_transform(&self, service: S) -> Self::Future {
        ready(Ok(ToldService { service }))
    }
}

/// A service behind [`TellConnection`].
pub(crate) struct ToldService<S> {
    service: S,
}

impl<S, B> Service<ServiceRequest> for ToldService<S>
where
    S: Service<ServiceRequest, Response = ServiceResponse<B>, Error = Error> + 'static,
    B: MessageBody + 'static,
{
    type Response = ServiceResponse<AnswerBody<B>>;
    type Error = Error;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Error>>>>;

    forward_ready!(service);

    fn call(&self, request: ServiceRequest) -> Self::Future {
        let in_flight = request.request().conn_data().cloned().map(InFlight);
        let answer = self.service.call(request);
        Box::pin(async move {
            let mut answer = answer.await?;
            if let Some(InFlight(exchange)) = &in_flight {
                let head = answer.response_mut().head_mut();
                if exchange.must_end() {
                    head.set_connection_type(ConnectionType::Close);
                }
                if is_closing(head) {
                    exchange.is_last.set(true);
                }
            }
            Ok(answer.map_body(|_, body| AnswerBody { body, _in_flight: in_flight }))
        })
    }
}

/// Whether the answer itself ends the connection; that of HTTP/1.0 ends it unless the request says otherwise, which
/// [`Exchange::begin`] knows.
fn is_closing(head: &mut ResponseHead) -> bool {
    let version = mem::replace(&mut head.version, Version::HTTP_11);
    let is_closing = head.connection_type() == ConnectionType::Close;
    head.version = version;
    is_closing
}

/// A request until it is answered.
struct InFlight(Rc<Exchange>);

impl Drop for InFlight {
    fn drop(&mut self) {
        self.0.answered();
    }
}

pin_project! {
    /// The body of an answer. When it was written down, it is dropped.
    pub(crate) struct AnswerBody<B> {
        #[pin]
        body: B,
        _in_flight: Option<InFlight>,
    }
}

impl<B: MessageBody> MessageBody for AnswerBody<B> {
    type Error = B::Error;

    fn size(&self) -> BodySize {
        self.body.size()
    }

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, Self::Error>>> {
        self.project().body.poll_next(cx)
    }
}
