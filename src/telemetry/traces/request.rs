//! The trace of a request: whose it is, and what HTTP knows of it.

use std::{borrow::Cow, str::FromStr};

use jeton_actix::TraceParent;
use opentelemetry::{
    Context, KeyValue,
    trace::{SpanContext, SpanId, Status, TraceContextExt, TraceFlags, TraceId, TraceState, get_active_span},
};
use tracing::{Span, field::display};
use tracing_opentelemetry::OpenTelemetrySpanExt;

/// The longest `tracestate` that is passed on, in bytes (W3C Trace Context, section 3.3.1.5).
const LONGEST_STATE: usize = 512;

/// A request and its answer, as the conventions of OpenTelemetry name them.
pub(crate) struct AnsweredRequest<'r> {
    /// The method as it was sent.
    pub(crate) method: &'r str,
    /// The pattern of its path, if there is a route.
    pub(crate) route: Option<String>,
    /// The path as it was sent, without the query.
    pub(crate) path: Cow<'r, str>,
    /// `http` or `https`.
    pub(crate) scheme: &'static str,
    /// The status of the answer.
    pub(crate) status: u16,
}

/// Lets the span of a request continue the trace of its caller, or begin one, which the span's `trace_id` tells then.
/// Does nothing where traces are off.
pub(crate) fn begin_trace(span: &Span, parent: Option<TraceParent<'_>>, state: &str) {
    let caller = parent.and_then(|parent| remote_span(parent, state));
    let is_continued = caller.is_some();
    let context = caller.map_or_else(Context::new, |it| Context::new().with_remote_span_context(it));
    if span.set_parent(context).is_err() {
        return;
    }
    if !is_continued {
        span.record("trace_id", display(span.context().span().span_context().trace_id()));
    }
}

fn remote_span(parent: TraceParent<'_>, state: &str) -> Option<SpanContext> {
    let flags = TraceFlags::default().with_sampled(parent.is_sampled);
    let state = if state.len() > LONGEST_STATE { "" } else { state };
    // one that is malformed does not spoil the trace
    let state = TraceState::from_str(state).unwrap_or_default();
    let trace_id = TraceId::from_hex(parent.trace_id).ok()?;
    Some(SpanContext::new(trace_id, SpanId::from_hex(parent.span_id).ok()?, flags, true, state))
}

/// Says in the span of a request what HTTP knows of it. To be called within that span; `answered` is asked where
/// somebody will read it.
pub(crate) fn tell_answer<'r>(answered: impl FnOnce() -> AnsweredRequest<'r>) {
    get_active_span(|span| {
        if !span.is_recording() {
            return;
        }
        let AnsweredRequest { method, route, path, scheme, status } = answered();
        let known = known_method(method);
        let name = known.unwrap_or("HTTP");
        span.update_name(route.as_ref().map_or_else(|| name.to_owned(), |route| format!("{name} {route}")));
        span.set_attributes([
            KeyValue::new("http.request.method", known.unwrap_or("_OTHER")),
            KeyValue::new("url.path", path.into_owned()),
            KeyValue::new("url.scheme", scheme),
            KeyValue::new("http.response.status_code", i64::from(status)),
        ]);
        span.set_attributes(route.map(|route| KeyValue::new("http.route", route)));
        if status >= 500 {
            span.set_attribute(KeyValue::new("error.type", status.to_string()));
            span.set_status(Status::error(""));
        }
    });
}

/// A method that may stand in the name of a span: anybody can send any other.
fn known_method(method: &str) -> Option<&'static str> {
    let known = ["GET", "HEAD", "POST", "PUT", "DELETE", "CONNECT", "OPTIONS", "TRACE", "PATCH"];
    known.into_iter().find(|known| *known == method)
}
