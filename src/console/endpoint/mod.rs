//! One file for each question of the page. Each handler takes the collaborators that it needs as `web::Data`, calls into
//! the core once, and answers with `json_answer`.

mod asked;
mod cell;
mod check;
mod clients;
mod diff;
mod explain;
mod keys;
mod live;
mod matrix;
mod names;
mod overview;
mod routes;
mod sources;
mod token;

use actix_web::{Resource, Route, web::ServiceConfig};

use super::DATA;
use crate::http;

/// Mounts every question below [`DATA`].
pub(super) fn mount(config: &mut ServiceConfig) {
    config.service(readable("/console/api/clients", http::get_or_head().to(clients::get)));
    config.service(readable("/console/api/keys", http::get_or_head().to(keys::get)));
    config.service(readable("/console/api/live", http::get_or_head().to(live::get)));
    config.service(readable("/console/api/names", http::get_or_head().to(names::get)));
    config.service(readable("/console/api/matrix", http::get_or_head().to(matrix::get)));
    config.service(readable("/console/api/cell", http::get_or_head().to(cell::get)));
    config.service(readable("/console/api/routes", http::get_or_head().to(routes::get)));
    config.service(readable("/console/api/diff", http::get_or_head().to(diff::get)));
    config.service(readable("/console/api/sources", http::get_or_head().to(sources::get)));
    config.service(writable("/console/api/explain", http::post().to(explain::post)));
    config.service(writable("/console/api/token", http::post().to(token::post)));
    config.service(writable("/console/api/check", http::post().to(check::post)));
    config.service(readable("/console/api/overview", http::get_or_head().to(overview::get)));
}

/// A question that is asked by GET, at its whole path.
fn readable(endpoint: &'static str, route: Route) -> Resource {
    http::readable(below_data(endpoint), endpoint, route)
}

/// A question that is asked by POST, at its whole path. Its handler reads the body by [`super::guard::question`].
fn writable(endpoint: &'static str, route: Route) -> Resource {
    http::writable(below_data(endpoint), endpoint, route)
}

fn below_data(endpoint: &str) -> &str {
    endpoint.strip_prefix(DATA).unwrap_or(endpoint)
}
