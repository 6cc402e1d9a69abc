//! Answers that operators read.

use actix_web::{HttpResponse, http::header};
use jeton_oauth::text::printable_json;
use serde::Serialize;

/// JSON that nobody keeps. Characters that would change what a terminal shows are escaped.
pub(crate) fn json_answer(body: &impl Serialize) -> HttpResponse {
    match serde_json::to_string(body) {
        Ok(json) => written_json_answer(&json),
        Err(_) => HttpResponse::InternalServerError().finish(),
    }
}

/// As [`json_answer`], of what is written down already.
pub(crate) fn written_json_answer(json: &str) -> HttpResponse {
    HttpResponse::Ok()
        .insert_header((header::CACHE_CONTROL, "no-store"))
        .content_type(header::ContentType::json())
        .body(printable_json(json))
}
