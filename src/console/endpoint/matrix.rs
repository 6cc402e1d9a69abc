//! Who may do what: every client and every route of an API.

use actix_web::{
    HttpRequest, HttpResponse,
    http::header,
    web::{self, Data},
};
use serde::Deserialize;

use super::asked;
use crate::{
    console::matrices::Matrices,
    http::{EndpointProblem, takes_gzip},
};

/// What is needed of a question about an API.
pub(super) const NEEDED: &str = "name an API, as `?api=orders`";

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct OfApi {
    pub(super) api: String,
}

pub(super) async fn get(
    request: HttpRequest,
    matrices: Data<Matrices>,
) -> Result<HttpResponse, EndpointProblem> {
    let OfApi { api } = asked::parameters(&request, NEEDED)?;
    let snapshot = matrices.snapshot();
    asked::api(&request, &snapshot.policies, &api)?;
    let matrix = web::block(move || matrices.of(&snapshot, &api)).await;
    let matrix = matrix.ok().flatten().ok_or_else(|| asked::failed(&request))?;
    let mut response = HttpResponse::Ok();
    response
        .insert_header((header::CACHE_CONTROL, "no-store"))
        .insert_header((header::VARY, "Accept-Encoding"))
        .content_type(header::ContentType::json());
    if takes_gzip(&request) {
        response.insert_header((header::CONTENT_ENCODING, "gzip"));
        return Ok(response.body(matrix.gzipped.clone()));
    }
    Ok(response.body(matrix.body.clone()))
}
