//! Log lines: one for each request, and the events in between, all with the request's id.

use std::{io, time::Instant};

use actix_web::{
    Error, HttpMessage,
    body::MessageBody,
    dev::{ServiceRequest, ServiceResponse},
};
use tracing::Span;
use tracing_actix_web::{RequestId, RootSpanBuilder};
use tracing_subscriber::fmt;

use crate::config::{LogFormat, LogSettings};

/// Starts logging to standard error, for the whole process.
pub fn init(settings: LogSettings) {
    let builder = fmt().with_max_level(settings.level).with_writer(io::stderr).with_target(false);
    // a second call keeps the first subscriber
    let _ = match settings.format {
        LogFormat::Pretty => builder.try_init(),
        LogFormat::Json => builder.json().flatten_event(true).with_span_list(false).try_init(),
    };
}

/// The span of a request, to be given to `TracingLogger`: carries the request id into every event, and
/// ends with the one line of the request. Query strings are not logged: they may hold what should not be
/// there.
pub struct RequestSpan;

/// The longest piece of a path that is logged, in bytes.
const LONGEST_PATH: usize = 512;

#[derive(Clone, Copy)]
struct Started(Instant);

impl RootSpanBuilder for RequestSpan {
    fn on_request_start(request: &ServiceRequest) -> Span {
        request.extensions_mut().insert(Started(Instant::now()));
        match request.extensions().get::<RequestId>() {
            Some(id) => tracing::info_span!("request", id = %id),
            None => Span::none(),
        }
    }

    fn on_request_end<B: MessageBody>(_: Span, outcome: &Result<ServiceResponse<B>, Error>) {
        let response = match outcome {
            Ok(response) => response,
            Err(error) => {
                return tracing::error!(status = error.as_response_error().status_code().as_u16(), %error, "request");
            }
        };
        let request = response.request();
        let started = request.extensions().get::<Started>().copied();
        let micros = started.map_or(0, |started| started.0.elapsed().as_micros());
        let path = request.path();
        let shown =
            path.char_indices().nth(LONGEST_PATH).and_then(|(end, _)| path.get(..end)).unwrap_or(path);
        tracing::info!(
            method = %request.method(),
            path = %shown.escape_default(),
            status = response.status().as_u16(),
            ms = %format_args!("{}.{:03}", micros / 1000, micros % 1000),
            "request"
        );
    }
}
