//! The span of each request, with the trace that it belongs to.

use actix_web::{
    Error, HttpRequest,
    body::MessageBody,
    dev::{ServiceRequest, ServiceResponse},
    web::Data,
};
use jeton_actix::{RequestSpan, TraceParent};
use jeton_oauth::{Issuer, text::shown};
use tracing::{Span, field::display};
use tracing_actix_web::RootSpanBuilder;

use super::extract::TrustedProxies;
use crate::telemetry::{self, AnsweredRequest};

/// [`RequestSpan`], with the address of the client behind trusted proxies, and for exports too where traces are on.
pub(crate) struct TracedRequestSpan;

/// What a caller passes through all services of a trace (W3C Trace Context, section 3.3).
const TRACESTATE: &str = "tracestate";

impl RootSpanBuilder for TracedRequestSpan {
    fn on_request_start(request: &ServiceRequest) -> Span {
        let span = RequestSpan::on_request_start(request);
        let proxies = request.app_data::<Data<TrustedProxies>>();
        if let Some(address) = proxies.and_then(|proxies| proxies.other_address(request.request())) {
            span.record("client_address", display(address));
        }
        let parent = TraceParent::of(request.headers());
        let states = parent.iter().flat_map(|_| request.headers().get_all(TRACESTATE));
        let states: Vec<_> = states.filter_map(|state| state.to_str().ok()).collect();
        telemetry::begin_trace(&span, parent, &states.join(","));
        span
    }

    fn on_request_end<B: MessageBody>(span: Span, outcome: &Result<ServiceResponse<B>, Error>) {
        if let Ok(response) = outcome {
            let request = response.request();
            telemetry::tell_answer(|| AnsweredRequest {
                method: request.method().as_str(),
                route: request.match_pattern(),
                path: shown(request.path()),
                scheme: scheme(request),
                status: response.status().as_u16(),
            });
        }
        RequestSpan::on_request_end(span, outcome);
    }
}

/// How clients reach the service, perhaps through a proxy: as the issuer says.
fn scheme(request: &HttpRequest) -> &'static str {
    let issuer = request.app_data::<Data<Issuer>>();
    if issuer.is_some_and(|issuer| issuer.as_str().starts_with("https:")) { "https" } else { "http" }
}
