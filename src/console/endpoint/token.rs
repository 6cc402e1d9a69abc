//! Whether a token that somebody pasted is good. It comes in a body alone, and is neither kept nor logged.

use actix_web::{
    HttpRequest, HttpResponse,
    web::{Data, Payload},
};
use serde::Deserialize;

use super::asked;
use crate::{
    console::guard,
    http::{BodyLimit, EndpointProblem, ProblemKind, json_answer},
    inspect::{InspectedToken, TokenInspector},
};

/// Has no `Debug`: whoever reads it could use the token.
#[derive(Deserialize)]
#[serde(deny_unknown_fields, expecting = "an object with `token`")]
struct PastedToken {
    token: String,
    #[serde(default)]
    api: Option<String>,
    #[serde(default)]
    method: Option<String>,
    #[serde(default)]
    path: Option<String>,
}

pub(super) async fn post(
    request: HttpRequest,
    body: Payload,
    inspector: Data<TokenInspector>,
) -> Result<HttpResponse, EndpointProblem> {
    let body = guard::question(&request, body, BodyLimit::USUAL).await?;
    let bad = |detail: String| EndpointProblem::new(ProblemKind::BadQuestion(detail.into()), &request);
    // the library takes a list of the members in their order too
    if !body.trim_ascii_start().starts_with(b"{") {
        return Err(bad("the body must be a JSON object with `token`".to_owned()));
    }
    // what the library says names members and types, and never a value that is text
    let pasted: PastedToken = serde_json::from_slice(&body).map_err(|error| bad(error.to_string()))?;
    let request_of = match (pasted.method.as_deref(), pasted.path.as_deref()) {
        (Some(method), Some(path)) => Some((method, path)),
        (None, None) => None,
        _ => return Err(bad("give both `method` and `path`, or neither".to_owned())),
    };
    let asked = InspectedToken { token: &pasted.token, api: pasted.api.as_deref(), request: request_of };
    Ok(json_answer(&inspector.inspect(&asked).map_err(|unknown| asked::no_such(&request, &unknown))?))
}
