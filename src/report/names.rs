//! What the policies give names to.

use std::sync::Arc;

use jeton_oauth::{Role, Scope};
use jeton_policy::{BundleAccess, NaturalOrder, PdpState, PolicySet, ProtectedApi, clients::Client};
use serde_json::{Value, json};

/// Every API, client, scope and role, in the order in which people look for them, for whoever chooses among them.
pub(crate) fn names(policies: &PolicySet) -> Value {
    let mut apis: Vec<_> = policies.apis().values().collect();
    apis.sort_by_cached_key(|api| NaturalOrder::of(api.name().as_str()));
    json!({
        "hash": policies.hash(),
        "apis": apis.into_iter().map(|it| api(policies, it)).collect::<Vec<_>>(),
        "clients": in_order(policies.clients().iter().map(|client| client.id.as_str())),
        "scopes": in_order(policies.scopes().keys().map(Scope::as_str)),
        "roles": in_order(policies.roles().keys().map(Role::as_str)),
    })
}

fn in_order<'n>(names: impl Iterator<Item = &'n str>) -> Vec<&'n str> {
    let mut names: Vec<_> = names.collect();
    names.sort_by_cached_key(|name| NaturalOrder::of(name));
    names
}

fn api(policies: &PolicySet, api: &ProtectedApi) -> Value {
    let has_grant =
        |client: &&Arc<Client>| client.grants.iter().any(|grant| grant.audience == *api.audience());
    json!({
        "name": api.name(),
        "audience": api.audience(),
        "routes": api.route_count(),
        "clients": policies.clients().iter().filter(has_grant).count(),
        "bound_tokens": api.bound_tokens(),
        "pdp": api.pdp() == PdpState::On,
        "bundle": api.bundle_access().map(BundleAccess::as_str),
        "mentioned": policies.is_mentioned(api),
    })
}
