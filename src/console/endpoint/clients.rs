//! Every client, and when each of its secrets was used last.

use std::sync::Arc;

use actix_web::{HttpResponse, web::Data};
use jeton_oauth::clock::Clock;
use jeton_policy::LivePolicies;
use serde_json::json;

use crate::{authenticate::SecretUses, http::json_answer, report};

pub(super) async fn get(
    policies: Data<Arc<LivePolicies>>,
    secret_uses: Data<SecretUses>,
    clock: Data<dyn Clock>,
) -> HttpResponse {
    let (snapshot, now) = (policies.current(), clock.now());
    let policies = &snapshot.policies;
    let mut clients: Vec<_> = policies.clients().iter().collect();
    clients.sort_by(|a, b| a.id.cmp(&b.id));
    let clients = clients.into_iter().map(|client| report::client_with_uses(client, now, &secret_uses));
    json_answer(&json!({
        "hash": policies.hash(),
        "now": now.to_string(),
        "clients": clients.collect::<Vec<_>>(),
    }))
}
