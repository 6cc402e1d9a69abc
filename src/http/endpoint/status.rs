//! `GET /status/{handle}` (draft-ietf-oauth-status-list section 8).

use std::sync::Arc;

use actix_web::{
    HttpRequest, HttpResponse, ResponseError,
    web::{Data, Path},
};

use super::cached::Document;
use crate::{
    http::error::{Problem, ProblemKind},
    status_lists::StatusLists,
};

#[cfg_attr(not(test), expect(dead_code, clippy::unused_async, reason = "no route leads here yet"))]
pub(in crate::http) async fn get(
    request: HttpRequest,
    handle: Path<String>,
    lists: Data<Arc<StatusLists>>,
) -> HttpResponse {
    match lists.serve(&handle) {
        Ok(Some(served)) => {
            let document = Document {
                content_type: "application/statuslist+jwt",
                body: served.list.body(),
                etag: served.list.etag(),
                max_age: served.max_age,
            };
            document.answer(&request)
        }
        Ok(None) => Problem::new(ProblemKind::NotFound, &request).error_response(),
        Err(error) => {
            tracing::error!(error = error.to_string(), "status_list.failed");
            Problem::new(ProblemKind::Internal, &request).error_response()
        }
    }
}
