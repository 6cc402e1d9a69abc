//! The routes of an API as a list, for people who look for one.

use serde::Serialize;

use super::{
    position::{RouteId, numbered},
    set::{PolicySet, ProtectedApi},
};

/// A route, its rule, and what that asks.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ListedRoute {
    /// Method and pattern.
    pub route: String,
    /// The method, or `ANY`.
    pub method: String,
    /// The pattern.
    pub path: String,
    /// The rule.
    pub rule: String,
    /// The file of the rule.
    pub file: String,
    /// Its line, from 1.
    pub line: u32,
    /// Whether no token is needed.
    pub public: bool,
    /// The conditions of each alternative, as the policy file has them. A public route has none.
    pub alternatives: Vec<Vec<String>>,
}

impl PolicySet {
    /// The routes of an API, in the order of [`AccessMatrix::routes`](crate::AccessMatrix::routes).
    pub fn listed_routes(&self, api: &ProtectedApi) -> Vec<ListedRoute> {
        let listed = numbered(RouteId::at, &api.routes.written).filter_map(|(id, written)| {
            let (rule, access) = api.access(id)?;
            let conditions = api.routes.alternatives(access);
            Some(ListedRoute {
                route: written.to_string(),
                method: written.method.to_string(),
                path: written.pattern(),
                rule: rule.name().to_owned(),
                file: self.file_of(rule).to_owned(),
                line: rule.line,
                public: access.is_public(),
                alternatives: conditions.map(|one| one.0.iter().map(ToString::to_string).collect()).collect(),
            })
        });
        listed.collect()
    }
}
