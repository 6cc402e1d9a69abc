//! What the log says of each request: one line, and its id on every event in between.

use std::time::{Duration, Instant};

use actix_web::{
    Error, HttpMessage,
    body::MessageBody,
    dev::{ServiceRequest, ServiceResponse},
};
use jeton_oauth::text::shown;
use tracing::{
    Span,
    field::{Empty, display},
};
use tracing_actix_web::{RequestId, RootSpanBuilder};

use crate::{event, trace_parent::TraceParent};

/// The span of a request, to be given to `TracingLogger`: carries the request's id, the address that it came from and
/// the caller's trace into every event, and ends with the one line of the request. Query strings are not logged: they may
/// hold what should not be there.
///
/// Its field `trace_id` is empty where the caller sends no good `traceparent`: whoever begins a trace records it then.
/// Its field `client_address` is empty: whoever knows the proxies before the service records there what they say of the
/// client. `otel.kind` is for a layer that exports spans.
pub struct RequestSpan;

/// The length of a request's id as text.
const LENGTH_OF_ID: usize = 36;

#[derive(Clone, Copy)]
struct Started(Instant);

impl RootSpanBuilder for RequestSpan {
    fn on_request_start(request: &ServiceRequest) -> Span {
        request.extensions_mut().insert(Started(Instant::now()));
        let id = request.extensions().get::<RequestId>().copied();
        let Some(id) = id else { return Span::none() };
        let mut room = [0; LENGTH_OF_ID];
        let peer = request.peer_addr().map(|peer| display(peer.ip().to_canonical()));
        let trace_id = TraceParent::of(request.headers()).map(|parent| parent.trace_id);
        tracing::info_span!(
            "request",
            id = &*id.hyphenated().encode_lower(&mut room),
            trace_id,
            peer,
            client_address = Empty,
            otel.kind = "server"
        )
    }

    fn on_request_end<B: MessageBody>(_: Span, outcome: &Result<ServiceResponse<B>, Error>) {
        let response = match outcome {
            Ok(response) => response,
            Err(error) => {
                let status = error.as_response_error().status_code().as_u16();
                return event::RequestFailed { status, error: display(error) }.error();
            }
        };
        let request = response.request();
        let started = request.extensions().get::<Started>().copied();
        event::Request {
            method: request.method().as_str(),
            path: &shown(request.path()),
            status: response.status().as_u16(),
            ms: started.map(|started| millis(started.0.elapsed())),
        }
        .info();
    }
}

/// In milliseconds, such as 1.234; an hour and more is as good as one.
fn millis(time: Duration) -> f64 {
    f64::from(u32::try_from(time.as_micros()).unwrap_or(u32::MAX)) / 1000.0
}
