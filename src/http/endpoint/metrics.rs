//! `GET /metrics`, for Prometheus.

use actix_web::{
    HttpRequest, HttpResponse, ResponseError,
    http::header,
    web::{self, Data},
};
use jeton_actix::GuardFault;
use tracing::field::display;

use crate::{
    event,
    http::error::EndpointProblem,
    telemetry::{Telemetry, metrics::Metrics},
};

pub(in crate::http) async fn get(request: HttpRequest, telemetry: Data<Telemetry>) -> HttpResponse {
    // where there are many rules it takes a while, which no other request should wait for
    let text = web::block(move || telemetry.metrics().text()).await;
    let failed = |error: &dyn std::error::Error| {
        event::MetricsFailed { error: display(error) }.error();
        EndpointProblem::new(GuardFault::Internal, &request).error_response()
    };
    match text {
        Ok(Ok(text)) => HttpResponse::Ok()
            .insert_header((header::CACHE_CONTROL, "no-store"))
            .content_type(Metrics::TEXT_FORMAT)
            .body(text),
        Ok(Err(error)) => failed(&error),
        Err(error) => failed(&error),
    }
}
