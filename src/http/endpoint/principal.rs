//! `GET /principal`: what the bearer's token says.

use actix_web::{HttpResponse, http::header};
use jeton_actix::Caller;
use serde_json::json;

pub(in crate::http) async fn get(caller: Caller) -> HttpResponse {
    HttpResponse::Ok().insert_header((header::CACHE_CONTROL, "no-store")).json(json!({
        "client": caller.client(),
        "audience": caller.audiences(),
        "scopes": caller.scopes().iter().collect::<Vec<_>>(),
        "roles": caller.roles(),
        "claims": caller.claims(),
        "token_id": caller.token_id(),
        "expires_at": caller.expires_at(),
    }))
}
