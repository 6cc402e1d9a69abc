//! Decisions about a pattern instead of a path: what a policy decision point is asked by gateways, which know their
//! routes and not what stands in them.

use std::borrow::Cow;

use serde_json::{Map, Value};

use super::{
    claim::Claim,
    decision::{Decision, Denial},
    path::CanonicalPath,
    position::{RouteId, numbered},
    route::{Method, Route},
    set::ProtectedApi,
    subject::Subject,
};

/// What stands in a path where nobody has said what.
const ANYTHING: &str = "x";

impl ProtectedApi {
    /// Decides by the rule of a path pattern such as `/orders/{order}`, also where a more specific route would decide
    /// about some of its paths. `parameters` has the values of its parameters, by the names that `pattern` gives
    /// them: text, or whole numbers. A condition on a parameter that has none does not hold.
    pub fn decide_pattern(
        &self,
        method: &str,
        pattern: &str,
        parameters: &Map<String, Value>,
        subject: Option<&Subject<'_>>,
    ) -> Decision<'_> {
        let Some(method) = Method::parse(method) else { return Decision::Deny(Denial::BadMethod) };
        let Ok(asked) = Route::parse(&format!("{method} {pattern}")) else {
            return Decision::Deny(Denial::NoRoute);
        };
        let Some(route) = self.routes.trie.find_pattern(method, &asked.segments) else {
            return Decision::Deny(Denial::NoRoute);
        };
        let value = |name: &str| parameters.get(name).and_then(|value| Claim::of(value).in_path());
        // a parameter is never empty
        let values: Vec<(&str, Option<Cow<'_, str>>)> =
            asked.parameters().map(|(name, _)| (name, value(name).filter(|text| !text.is_empty()))).collect();
        let absent: Vec<_> = asked
            .parameters()
            .zip(&values)
            .filter_map(|((_, place), (_, value))| value.is_none().then_some(place))
            .collect();
        let text = |name: &str| {
            let found = values.iter().find(|(known, _)| *known == name);
            found.and_then(|(_, value)| value.as_deref()).unwrap_or(ANYTHING)
        };
        let target = asked.with_each(text, ANYTHING);
        match CanonicalPath::parse(&target) {
            Ok(path) => self.decide_at(route, &path, &absent, subject),
            Err(bad) => Decision::Deny(Denial::BadPath(bad)),
        }
    }

    /// The patterns of which a rule decides for a method, as the files have them and in their order, each once.
    pub fn patterns(&self, method: &str) -> impl Iterator<Item = &Route> {
        let method = Method::parse(method);
        numbered(RouteId::at, &self.routes.written).filter_map(move |(id, route)| {
            let decides = self.routes.trie.find_pattern(method?, &route.segments) == Some(id);
            decides.then_some(route)
        })
    }
}

impl Route {
    /// The only path that it matches; `None` for a route with a parameter or `**`.
    pub fn only_path(&self) -> Option<String> {
        let has_one = self.parameters().next().is_none() && !self.ends_in_rest();
        has_one.then(|| self.with_parameters(""))
    }
}
