//! What an operator should look at in policies that load.

mod backends;
mod paths;
mod reach;
mod verbs;

use super::{
    finding::FindingCode,
    position::{RouteId, numbered},
    route::Route,
    set::{PolicySet, ProtectedApi},
    space::RouteIndex,
};

/// A warning about an API.
pub(super) struct Lint {
    /// The route that it is about, or all of them.
    pub(super) route: Option<RouteId>,
    pub(super) code: FindingCode,
    pub(super) message: String,
    pub(super) hint: String,
}

/// What is odd about an API.
pub(super) fn lints(policies: &PolicySet, api: &ProtectedApi, index: &RouteIndex<'_>) -> Vec<Lint> {
    let mut lints = Vec::new();
    public_catch_alls(api, &mut lints);
    backends::lint(policies, api, index, &mut lints);
    verbs::lint(api, index, &mut lints);
    reach::lint(policies, api, index, &mut lints);
    lints
}

fn routes(api: &ProtectedApi) -> impl Iterator<Item = (RouteId, &Route)> {
    numbered(RouteId::at, &api.routes.written)
}

fn public_catch_alls(api: &ProtectedApi, into: &mut Vec<Lint>) {
    for (id, route) in routes(api) {
        if route.ends_in_rest() && api.access(id).is_some_and(|(_, access)| access.is_public()) {
            into.push(Lint {
                route: Some(id),
                code: FindingCode::PublicCatchAll,
                message: format!("`{route}` is open to everybody, with whatever is added below it later"),
                hint: "name the paths that are public one by one".to_owned(),
            });
        }
    }
}
