//! What the policies give names to: APIs, clients, scopes, roles.

use std::sync::Arc;

use actix_web::{HttpResponse, web::Data};
use jeton_policy::LivePolicies;

use crate::{http::json_answer, report};

pub(super) async fn get(policies: Data<Arc<LivePolicies>>) -> HttpResponse {
    json_answer(&report::names(&policies.current().policies))
}
