//! Decisions about a pattern instead of a path: what a policy decision point is asked by gateways, which know their
//! routes and not what stands in them.

use std::borrow::Cow;

use serde_json::{Map, Value};

use super::{
    claim::Claim,
    decision::{Decision, Denial},
    path::CanonicalPath,
    position::{RouteId, numbered},
    route::{Method, ParameterPlace, Route},
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
        self.at_pattern(method, pattern, parameters, |route, path, absent| {
            self.decide_at(route, path, absent, subject)
        })
        .unwrap_or_else(Decision::Deny)
    }

    /// Decides by the route of a pattern, on a path that it matches, without the parameters that have no value.
    pub(super) fn at_pattern<D>(
        &self,
        method: &str,
        pattern: &str,
        parameters: &Map<String, Value>,
        decide: impl FnOnce(RouteId, &CanonicalPath<'_>, &[ParameterPlace]) -> D,
    ) -> Result<D, Denial<'_>> {
        let method = Method::parse(method).ok_or(Denial::BadMethod)?;
        let asked = Route::parse(&format!("{method} {pattern}")).map_err(|_| Denial::NoRoute)?;
        let route = self.routes.trie.find_pattern(method, &asked.segments).ok_or(Denial::NoRoute)?;
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
        let path = CanonicalPath::parse(&target).map_err(Denial::BadPath)?;
        Ok(decide(route, &path, &absent))
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
