//! Every route of an API, what it asks, and how many may use it.

use std::sync::Arc;

use actix_web::{
    HttpRequest, HttpResponse,
    web::{self, Data},
};
use jeton_policy::{ContentHash, ListedRoute};
use serde::Serialize;

use super::{
    asked,
    matrix::{NEEDED, OfApi},
};
use crate::{
    console::matrices::Matrices,
    http::{EndpointProblem, json_answer},
};

#[derive(Serialize)]
struct ShownRoutes<'p> {
    hash: &'p ContentHash,
    api: &'p str,
    audience: &'p str,
    bound_tokens: bool,
    routes: Vec<ShownRoute>,
}

#[derive(Serialize)]
struct ShownRoute {
    #[serde(flatten)]
    listed: ListedRoute,
    /// How many may use it, on some path at least.
    clients: usize,
}

pub(super) async fn get(
    request: HttpRequest,
    matrices: Data<Matrices>,
) -> Result<HttpResponse, EndpointProblem> {
    let OfApi { api } = asked::parameters(&request, NEEDED)?;
    let snapshot = matrices.snapshot();
    asked::api(&request, &snapshot.policies, &api)?;
    let of_snapshot = Arc::clone(&snapshot);
    let of_api = api.clone();
    // how many may use a route is known from the matrix
    let matrix = web::block(move || matrices.of(&of_snapshot, &of_api)).await;
    let matrix = matrix.ok().flatten().ok_or_else(|| asked::failed(&request))?;
    let api = asked::api(&request, &snapshot.policies, &api)?;
    let listed = snapshot.policies.listed_routes(api).into_iter();
    let routes =
        listed.zip(&matrix.clients).map(|(listed, clients)| ShownRoute { listed, clients: *clients });
    Ok(json_answer(&ShownRoutes {
        hash: snapshot.policies.hash(),
        api: api.name().as_str(),
        audience: api.audience().as_str(),
        bound_tokens: api.bound_tokens(),
        routes: routes.collect(),
    }))
}
