//! `GET /.well-known/jwks.json` (RFC 7517 section 5).

use std::sync::Arc;

use actix_web::{HttpRequest, HttpResponse, web::Data};

use super::cached::Document;
use crate::keys::{JwksDocument, KeyRing};

pub(in crate::http) async fn get(request: HttpRequest, keys: Data<Arc<KeyRing>>) -> HttpResponse {
    let jwks = keys.jwks();
    let document = Document {
        content_type: "application/jwk-set+json",
        body: jwks.body(),
        etag: jwks.etag(),
        max_age: JwksDocument::MAX_AGE.into(),
    };
    document.answer(&request)
}
