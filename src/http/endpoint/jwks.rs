//! `GET /.well-known/jwks.json` (RFC 7517 section 5).

use std::sync::Arc;

use actix_web::{HttpRequest, HttpResponse, web::Data};

use super::cached::CachedDocument;
use crate::keys::LiveKeys;

pub(in crate::http) async fn get(request: HttpRequest, keys: Data<Arc<LiveKeys>>) -> HttpResponse {
    let ring = keys.ring();
    let jwks = ring.jwks();
    let document = CachedDocument {
        content_type: "application/jwk-set+json",
        body: jwks.body(),
        etag: jwks.etag(),
        max_age: jwks.max_age().into(),
    };
    document.answer(&request)
}
