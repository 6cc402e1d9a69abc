//! Why a request would be allowed or denied: what `/ops/explain` answers.

use actix_web::{
    HttpRequest, HttpResponse,
    web::{Data, Payload},
};
use jeton_policy::Explanation;
use jeton_verify::Authorizer;

use crate::{
    console::guard,
    http::{BodyLimit, EndpointProblem, json_answer},
    report::{BadQuestion, WrittenQuestion},
};

pub(super) async fn post(
    request: HttpRequest,
    body: Payload,
    authorizer: Data<Authorizer>,
) -> Result<HttpResponse, EndpointProblem> {
    let body = guard::question(&request, body, BodyLimit::USUAL).await?;
    let explained = explained(&body, &authorizer).await;
    Ok(json_answer(&explained.map_err(|bad| EndpointProblem::new(bad, &request))?))
}

async fn explained(question: &[u8], authorizer: &Authorizer) -> Result<Explanation, BadQuestion> {
    Ok(authorizer.explain(&WrittenQuestion::read(question)?.parse()?).await?)
}
