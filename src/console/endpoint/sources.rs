//! The texts of the policies in force, without the hashes of secrets.

use std::sync::Arc;

use actix_web::{
    HttpRequest, HttpResponse,
    web::{self, Data},
};
use jeton_policy::{LivePolicies, ShownTexts};
use serde::Serialize;

use super::asked;
use crate::http::{EndpointProblem, written_json_answer};

#[derive(Serialize)]
struct Sources<'s> {
    hash: &'s jeton_policy::ContentHash,
    dir: &'s str,
    #[serde(flatten)]
    texts: ShownTexts,
}

pub(super) async fn get(
    request: HttpRequest,
    policies: Data<Arc<LivePolicies>>,
) -> Result<HttpResponse, EndpointProblem> {
    let snapshot = policies.snapshot();
    // each text is read as YAML
    let written = web::block(move || {
        let (hash, dir) = (snapshot.policies.hash(), snapshot.sources().dir());
        serde_json::to_string(&Sources { hash, dir, texts: snapshot.shown_texts() }).ok()
    });
    let written = written.await.ok().flatten().ok_or_else(|| asked::failed(&request))?;
    Ok(written_json_answer(&written))
}
