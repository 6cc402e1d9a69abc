//! How long requests take, by endpoint, method and status.

use std::{
    future::{Future, Ready, ready},
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Instant,
};

use actix_web::{
    Error,
    dev::{Service, ServiceRequest, ServiceResponse, Transform, forward_ready},
};
use pin_project_lite::pin_project;

use crate::telemetry::metrics::{Endpoint, MethodLabel, Metrics};

/// Middleware that measures each request until its answer is there. What leads to an endpoint has an [`Endpoint`] among its
/// data; what does not counts as `other`.
#[derive(Clone)]
pub(crate) struct Measure(Arc<Metrics>);

impl Measure {
    pub(crate) fn new(metrics: Arc<Metrics>) -> Self {
        Self(metrics)
    }
}

impl<S, B> Transform<S, ServiceRequest> for Measure
where
    S: Service<ServiceRequest, Response = ServiceResponse<B>, Error = Error> + 'static,
{
    type Response = ServiceResponse<B>;
    type Error = Error;
    type Transform = MeasuredService<S>;
    type InitError = ();
    type Future = Ready<Result<Self::Transform, ()>>;

    fn new_transform(&self, service: S) -> Self::Future {
        ready(Ok(MeasuredService { service, metrics: Arc::clone(&self.0) }))
    }
}

/// A service behind [`Measure`].
pub(crate) struct MeasuredService<S> {
    service: S,
    metrics: Arc<Metrics>,
}

impl<S, B> Service<ServiceRequest> for MeasuredService<S>
where
    S: Service<ServiceRequest, Response = ServiceResponse<B>, Error = Error> + 'static,
{
    type Response = ServiceResponse<B>;
    type Error = Error;
    type Future = MeasuredAnswer<S::Future>;

    forward_ready!(service);

    fn call(&self, request: ServiceRequest) -> Self::Future {
        let (started, method) = (Instant::now(), MethodLabel::of(request.method().as_str()));
        let metrics = Arc::clone(&self.metrics);
        MeasuredAnswer { answer: self.service.call(request), started, method, metrics }
    }
}

pin_project! {
    /// An answer to come.
    pub(crate) struct MeasuredAnswer<F> {
        #[pin]
        answer: F,
        started: Instant,
        method: MethodLabel,
        metrics: Arc<Metrics>,
    }
}

impl<F, B> Future for MeasuredAnswer<F>
where
    F: Future<Output = Result<ServiceResponse<B>, Error>>,
{
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        let Poll::Ready(outcome) = this.answer.poll(context) else { return Poll::Pending };
        let after = this.started.elapsed();
        match &outcome {
            Ok(answer) => {
                let endpoint = answer.request().app_data::<Endpoint>();
                this.metrics.answered(endpoint, *this.method, answer.status().as_str(), after);
            }
            Err(error) => {
                let status = error.as_response_error().status_code();
                this.metrics.answered(None, *this.method, status.as_str(), after);
            }
        }
        Poll::Ready(outcome)
    }
}
