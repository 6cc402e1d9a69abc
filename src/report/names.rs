//! What the policies give names to.

use jeton_policy::{PdpState, PolicySet, ProtectedApi};
use serde_json::{Value, json};

/// Every API, client, scope and role, for whoever chooses among them.
pub(crate) fn names(policies: &PolicySet) -> Value {
    let mut clients: Vec<_> = policies.clients().iter().map(|client| &client.id).collect();
    clients.sort();
    json!({
        "hash": policies.hash(),
        "apis": policies.apis().values().map(|it| api(policies, it)).collect::<Vec<_>>(),
        "clients": clients,
        "scopes": policies.scopes().keys().collect::<Vec<_>>(),
        "roles": policies.roles().keys().collect::<Vec<_>>(),
    })
}

fn api(policies: &PolicySet, api: &ProtectedApi) -> Value {
    let has_grant = |client: &&std::sync::Arc<jeton_policy::clients::Client>| {
        client.grants.iter().any(|grant| grant.api == *api.name())
    };
    json!({
        "name": api.name(),
        "audience": api.audience(),
        "routes": api.route_count(),
        "clients": policies.clients().iter().filter(has_grant).count(),
        "bound_tokens": api.bound_tokens(),
        "pdp": api.pdp() == PdpState::On,
        "bundle": api.bundle_access().map(jeton_policy::BundleAccess::as_str),
        "mentioned": policies.is_mentioned(api),
    })
}
