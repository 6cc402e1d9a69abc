//! `AuthZEN` 1.0: questions about what the clients of an API may do, and where they are asked.

use std::sync::Arc;

use actix_web::{
    Error, HttpRequest, HttpResponse,
    body::MessageBody,
    dev::{ServiceRequest, ServiceResponse},
    http::header::{self, HeaderName},
    middleware::Next,
    web::{self, Data, Path, Payload},
};
use jeton_actix::GuardFault;
use jeton_oauth::Issuer;
use jeton_policy::LivePolicies;
use serde::Serialize;

use crate::{
    authzen::{BadQuestion, DecisionPoint, Searched},
    http::{
        error::{EndpointProblem, ProblemKind},
        extract::{self, BodyLimit},
    },
};

/// What a caller names its request by (section 10.1.3).
const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

pub(in crate::http) async fn evaluation(
    request: HttpRequest,
    body: Payload,
    policies: Data<Arc<LivePolicies>>,
) -> Result<HttpResponse, EndpointProblem> {
    #[expect(
        clippy::redundant_closure_for_method_calls,
        reason = "the method itself is for policies of one lifetime alone"
    )]
    answer(&request, body, &policies, |point, body| point.evaluation(body)).await
}

pub(in crate::http) async fn evaluations(
    request: HttpRequest,
    body: Payload,
    policies: Data<Arc<LivePolicies>>,
) -> Result<HttpResponse, EndpointProblem> {
    #[expect(
        clippy::redundant_closure_for_method_calls,
        reason = "the method itself is for policies of one lifetime alone"
    )]
    answer(&request, body, &policies, |point, body| point.evaluations(body)).await
}

pub(in crate::http) async fn search_subject(
    request: HttpRequest,
    body: Payload,
    policies: Data<Arc<LivePolicies>>,
) -> Result<HttpResponse, EndpointProblem> {
    answer(&request, body, &policies, |point, body| point.search(Searched::Subject, body)).await
}

pub(in crate::http) async fn search_resource(
    request: HttpRequest,
    body: Payload,
    policies: Data<Arc<LivePolicies>>,
) -> Result<HttpResponse, EndpointProblem> {
    answer(&request, body, &policies, |point, body| point.search(Searched::Resource, body)).await
}

pub(in crate::http) async fn search_action(
    request: HttpRequest,
    body: Payload,
    policies: Data<Arc<LivePolicies>>,
) -> Result<HttpResponse, EndpointProblem> {
    answer(&request, body, &policies, |point, body| point.search(Searched::Action, body)).await
}

async fn answer<A: Serialize + Send + 'static>(
    request: &HttpRequest,
    body: Payload,
    policies: &LivePolicies,
    ask: fn(&DecisionPoint<'_>, &[u8]) -> Result<A, BadQuestion>,
) -> Result<HttpResponse, EndpointProblem> {
    let problem = |kind: ProblemKind| EndpointProblem::new(kind, request);
    let api = request.match_info().get("api").unwrap_or_default().to_owned();
    let snapshot = policies.snapshot();
    if DecisionPoint::of(&snapshot.policies, &api).is_none() {
        return Err(problem(ProblemKind::NotFound));
    }
    let body = extract::json(request, body, BodyLimit::USUAL).await.map_err(problem)?;
    // a search asks about all clients or routes, and several questions can be many: not in the way of other requests
    let answered = web::block(move || {
        let point = DecisionPoint::of(&snapshot.policies, &api)?;
        Some(ask(&point, &body))
    });
    match answered.await {
        Ok(Some(Ok(answer))) => {
            Ok(HttpResponse::Ok().insert_header((header::CACHE_CONTROL, "no-store")).json(answer))
        }
        Ok(Some(Err(bad))) => Err(problem(ProblemKind::BadQuestion(bad.to_string().into()))),
        Ok(None) | Err(_) => Err(problem(GuardFault::Internal.into())),
    }
}

/// Where questions about one API are asked (section 9.1).
#[derive(Serialize)]
struct DecisionPointMetadata {
    policy_decision_point: String,
    access_evaluation_endpoint: String,
    access_evaluations_endpoint: String,
    search_subject_endpoint: String,
    search_resource_endpoint: String,
    search_action_endpoint: String,
}

impl DecisionPointMetadata {
    fn of(issuer: &Issuer, point: &DecisionPoint<'_>) -> Self {
        let base = issuer.endpoint(&format!("/authzen/{}", point.api().name()));
        let endpoint = |name: &str| format!("{base}/access/v1/{name}");
        Self {
            access_evaluation_endpoint: endpoint("evaluation"),
            access_evaluations_endpoint: endpoint("evaluations"),
            search_subject_endpoint: endpoint("search/subject"),
            search_resource_endpoint: endpoint("search/resource"),
            search_action_endpoint: endpoint("search/action"),
            policy_decision_point: base,
        }
    }
}

pub(in crate::http) async fn metadata(
    request: HttpRequest,
    api: Path<String>,
    issuer: Data<Issuer>,
    policies: Data<Arc<LivePolicies>>,
) -> Result<HttpResponse, EndpointProblem> {
    let snapshot = policies.current();
    let point = DecisionPoint::of(&snapshot.policies, &api)
        .ok_or_else(|| EndpointProblem::new(ProblemKind::NotFound, &request))?;
    let metadata = DecisionPointMetadata::of(&issuer, &point);
    Ok(HttpResponse::Ok().insert_header((header::CACHE_CONTROL, "public, max-age=300")).json(metadata))
}

/// Lets each answer name its request as the caller does.
pub(in crate::http) async fn echo_request_id(
    request: ServiceRequest,
    next: Next<impl MessageBody>,
) -> Result<ServiceResponse<impl MessageBody>, Error> {
    let id = request.headers().get(&REQUEST_ID).cloned();
    let mut answer = next.call(request).await?;
    if let Some(id) = id {
        answer.headers_mut().insert(REQUEST_ID, id);
    }
    Ok(answer)
}
