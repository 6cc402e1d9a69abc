//! `GET /principal`: what the bearer's token says.

use actix_web::{HttpResponse, http::header};
use serde_json::json;

use crate::principal::Principal;

pub(in crate::http) async fn get(principal: Principal) -> HttpResponse {
    HttpResponse::Ok().insert_header((header::CACHE_CONTROL, "no-store")).json(json!({
        "client": principal.client(),
        "audience": principal.audiences(),
        "scopes": principal.scopes().iter().collect::<Vec<_>>(),
        "roles": principal.roles(),
        "claims": principal.claims(),
        "token_id": principal.token_id(),
        "expires_at": principal.expires_at(),
    }))
}
