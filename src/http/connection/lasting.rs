//! Answers that go on until somebody ends them.

use std::{
    pin::Pin,
    rc::Rc,
    task::{Context, Poll},
    time::Duration,
};

use actix_web::HttpRequest;
use futures_util::Stream;
use pin_project_lite::pin_project;
use tokio::time::sleep;
use tokio_util::sync::WaitForCancellationFutureOwned;

use super::exchange::Exchange;

/// How often it is asked whether the client of a request has hung up.
const ASK_EVERY: Duration = Duration::from_millis(100);

/// Ends when the client of a request has hung up, and so waits for no answer.
pub(crate) async fn hung_up(request: &HttpRequest) {
    let exchange = request.conn_data::<Rc<Exchange>>();
    while !exchange.is_some_and(|exchange| exchange.has_hung_up()) {
        sleep(ASK_EVERY).await;
    }
}

pin_project! {
    /// The parts of an answer that goes on. It ends with its client, and at once when the server takes no further requests:
    /// the end waits for nobody who watches.
    pub(crate) struct LastingAnswer<S> {
        #[pin]
        parts: S,
        #[pin]
        ended: WaitForCancellationFutureOwned,
        exchange: Rc<Exchange>,
    }
}

impl<S: Stream> LastingAnswer<S> {
    /// The answer to this request. `None` where most connections are taken, so that no seat may be held for long. The
    /// answer is the last one of its connection, which its head must say.
    pub(crate) fn to(request: &HttpRequest, parts: S) -> Option<Self> {
        let exchange = request.conn_data::<Rc<Exchange>>()?;
        if exchange.is_crowded() {
            return None;
        }
        exchange.let_last();
        Some(Self { parts, ended: exchange.ending().closed(), exchange: Rc::clone(exchange) })
    }
}

impl<S: Stream> Stream for LastingAnswer<S> {
    type Item = S::Item;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<S::Item>> {
        let this = self.project();
        // who hangs up wakes the connection, and so this
        if this.exchange.has_hung_up() || this.ended.poll(cx).is_ready() {
            return Poll::Ready(None);
        }
        this.parts.poll_next(cx)
    }
}
