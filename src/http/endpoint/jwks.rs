//! `GET /.well-known/jwks.json` (RFC 7517 section 5).

use std::sync::Arc;

use actix_web::{HttpRequest, HttpResponse, http::header, web::Data};

use crate::keys::{JwksDocument, KeyRing};

pub(in crate::http) async fn get(request: HttpRequest, keys: Data<Arc<KeyRing>>) -> HttpResponse {
    let jwks = keys.jwks();
    let has_current = has_current(&request, jwks.etag());
    let mut response = if has_current { HttpResponse::NotModified() } else { HttpResponse::Ok() };
    response
        .insert_header((header::CACHE_CONTROL, format!("public, max-age={}", JwksDocument::MAX_AGE)))
        .insert_header((header::ETAG, jwks.etag()));
    if has_current {
        return response.finish();
    }
    response.content_type("application/jwk-set+json").body(jwks.body().to_owned())
}

/// Whether the caller's copy is this one (RFC 9110 section 13.1.2, weak comparison).
fn has_current(request: &HttpRequest, etag: &str) -> bool {
    let tags = request.headers().get_all(header::IF_NONE_MATCH).filter_map(|value| value.to_str().ok());
    tags.flat_map(|tags| tags.split(','))
        .map(str::trim)
        .any(|tag| tag == "*" || tag.strip_prefix("W/").unwrap_or(tag) == etag)
}
