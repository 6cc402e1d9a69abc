//! APIs: audiences, routes, requirements.

use std::collections::{BTreeMap, HashMap};

use serde_json::Value;

use super::{FileIndex, Names, Report, Surroundings, names::items_of};
use crate::{
    oauth::{ApiName, Audience, ClientId, Role, Scope, is_registered_claim},
    policy::{
        condition::{Alternative, ClaimTest, Condition, PathParameter},
        document::{self, Document, Require, Text},
        finding::{Code, Problem, Span, did_you_mean},
        read::{Field, Items, Spanned},
        route::Route,
        set::{Access, Api, CompiledRoute, Rule},
        trie::{RouteId, Trie},
    },
};

/// The name of jeton's own API: the one without an audience, for that is the issuer.
const OWN_API: &str = "jeton";

/// The routes of an API while they are collected, with their places.
#[derive(Default)]
struct Routes {
    trie: Trie,
    compiled: Vec<CompiledRoute>,
    places: Vec<Span>,
}

impl Report<'_> {
    pub(super) fn compile_apis(
        &mut self,
        documents: &[Document],
        names: &Names,
        surroundings: &Surroundings,
    ) -> BTreeMap<ApiName, Api> {
        let mut apis = BTreeMap::new();
        let mut audiences = HashMap::from([(surroundings.issuer.clone(), None)]);
        for (file, document) in documents.iter().enumerate() {
            for (name, api) in &document.apis.0 {
                let parsed = self.name(file, name, ApiName::parse);
                let Some(api) = api else { continue };
                let audience = self.audience(file, name, api, surroundings, &mut audiences);
                let compiled = self.compile_rules(file, api, names);
                if let (Some(name), Some(audience)) = (parsed, audience) {
                    let (rules, routes) = compiled;
                    let Routes { trie, compiled: routes, .. } = routes;
                    apis.entry(name.clone()).or_insert(Api { name, audience, rules, routes, trie });
                }
            }
        }
        apis
    }

    fn audience(
        &mut self,
        file: FileIndex,
        name: &Spanned<String>,
        api: &document::Api,
        surroundings: &Surroundings,
        taken: &mut HashMap<Audience, Option<(FileIndex, Span)>>,
    ) -> Option<Audience> {
        let is_own = name.value == OWN_API;
        let text = match &api.audience {
            Field::Absent if is_own => return Some(surroundings.issuer.clone()),
            Field::Absent => {
                let message = format!("API `{}` has no `audience`", name.value);
                let hint = "add `audience: https://...`, the `aud` of the tokens that it takes";
                self.add(file, Problem::new(name.at, Code::Missing, message).hint(hint));
                return None;
            }
            Field::Given(text) if is_own => {
                let problem = Problem::new(text.at, Code::BadAudience, "jeton's own API has no `audience`");
                self.add(file, problem.hint("remove the line: it is the issuer"));
                return None;
            }
            Field::Given(text) => text,
            Field::Wrong => return None,
        };
        let audience = match Audience::parse(&text.value) {
            Ok(audience) => audience,
            Err(error) => {
                self.add(file, Problem::new(text.at, Code::BadAudience, error.to_string()));
                return None;
            }
        };
        if let Some(first) = taken.insert(audience.clone(), Some((file, text.at))) {
            let message = format!("audience `{audience}` is taken already");
            let hint = match first {
                Some((file, at)) => format!("it is taken at {} first", self.place(file, at)),
                None => "it is the issuer, and so jeton's own API".to_owned(),
            };
            self.add(file, Problem::new(text.at, Code::DuplicateAudience, message).hint(hint));
        }
        Some(audience)
    }

    fn compile_rules(&mut self, file: FileIndex, api: &document::Api, names: &Names) -> (Vec<Rule>, Routes) {
        let mut rules: Vec<Rule> = Vec::with_capacity(api.rules.0.len());
        let mut routes = Routes::default();
        for (name, rule) in &api.rules.0 {
            let Some(rule) = rule else { continue };
            let parsed = self.routes(file, name, &rule.routes);
            let parameters: Vec<&Route> = parsed.iter().map(|(_, route)| route).collect();
            let mut used = Vec::new();
            let access = self.access(file, name, rule, &parameters, &mut used, names);
            let index = rules.len();
            self.insert_routes(file, index, parsed, &used, &mut routes, &rules, name);
            let line = self.sources.files.get(file).map_or(0, |source| source.locate(name.at.start).0);
            rules.push(Rule {
                name: name.value.as_str().into(),
                file: u32::try_from(file).unwrap_or(u32::MAX),
                line: u32::try_from(line).unwrap_or(u32::MAX),
                access: access.unwrap_or(Access::Require(Box::default())),
            });
        }
        self.refuse_dead_rules(file, &rules, &routes);
        self.check_guarantees(file, api, names);
        (rules, routes)
    }

    fn routes(
        &mut self,
        file: FileIndex,
        name: &Spanned<String>,
        field: &Field<Items<Text>>,
    ) -> Vec<(Span, Route)> {
        let routes = match field {
            Field::Given(routes) if !routes.0.is_empty() => &routes.0,
            Field::Wrong => return Vec::new(),
            Field::Given(_) | Field::Absent => {
                let message = format!("`{}` has no routes", name.value);
                let hint = "add `routes:` with lines such as `- GET /orders/{order}`";
                self.add(file, Problem::new(name.at, Code::Missing, message).hint(hint));
                return Vec::new();
            }
        };
        let mut parsed = Vec::with_capacity(routes.len());
        for text in routes {
            match Route::parse(&text.value) {
                Ok(route) => parsed.push((text.at, route)),
                Err(bad) => {
                    self.add(file, Problem::new(text.at, Code::BadRoute, bad.message).hint(bad.hint));
                }
            }
        }
        parsed
    }

    #[expect(clippy::too_many_arguments, reason = "the collected routes and what belongs to them")]
    fn insert_routes(
        &mut self,
        file: FileIndex,
        rule: usize,
        parsed: Vec<(Span, Route)>,
        used: &[Text],
        routes: &mut Routes,
        rules: &[Rule],
        name: &Spanned<String>,
    ) {
        for (at, route) in parsed {
            let id = RouteId::try_from(routes.compiled.len()).unwrap_or(RouteId::MAX);
            if let Err(first) = routes.trie.insert(&route, id) {
                let first = usize::try_from(first).unwrap_or(usize::MAX);
                let other = routes.compiled.get(first).map(|compiled| compiled.rule);
                let owner = match other.and_then(|other| rules.get(other)) {
                    Some(other) => format!("rule `{}`", other.name),
                    None => format!("rule `{}` itself", name.value),
                };
                let message = format!("`{route}` stands in {owner} already");
                let place = routes.places.get(first).map(|at| self.place(file, *at)).unwrap_or_default();
                let hint =
                    format!("it stands at {place} first; parameters match alike, whatever they are called");
                self.add(file, Problem::new(at, Code::DuplicateRoute, message).hint(hint));
                continue;
            }
            let segment_of = |parameter: &Text| {
                let found = route.parameters().find(|(name, _)| *name == parameter.value);
                found.and_then(|(_, segment)| u8::try_from(segment).ok()).unwrap_or(u8::MAX)
            };
            let parameters = used.iter().map(segment_of).collect();
            routes.compiled.push(CompiledRoute { route, rule, parameters });
            routes.places.push(at);
        }
    }

    fn refuse_dead_rules(&mut self, file: FileIndex, rules: &[Rule], routes: &Routes) {
        let mut alive = vec![false; rules.len()];
        let mut first_place = vec![None; rules.len()];
        for (id, (compiled, at)) in routes.compiled.iter().zip(&routes.places).enumerate() {
            let id = RouteId::try_from(id).unwrap_or(RouteId::MAX);
            if let Some(alive) = alive.get_mut(compiled.rule) {
                *alive |= !routes.trie.never_decides(&compiled.route, id);
            }
            if let Some(place) = first_place.get_mut(compiled.rule) {
                place.get_or_insert(*at);
            }
        }
        for ((rule, alive), at) in rules.iter().zip(alive).zip(first_place) {
            if let (false, Some(at)) = (alive, at) {
                let message = format!(
                    "rule `{}` can never decide: more specific routes cover all of its own",
                    rule.name
                );
                let hint = "remove it, or the routes that cover it";
                self.add(file, Problem::new(at, Code::DeadRule, message).hint(hint));
            }
        }
    }

    fn access(
        &mut self,
        file: FileIndex,
        name: &Spanned<String>,
        rule: &document::Rule,
        routes: &[&Route],
        used: &mut Vec<Text>,
        names: &Names,
    ) -> Option<Access> {
        let either = "a rule has either `public: true` or `require`";
        match (&rule.public, &rule.require) {
            (Field::Wrong, _) | (_, Field::Wrong) => None,
            (Field::Given(public), Field::Given(_)) => {
                let problem =
                    Problem::new(public.at, Code::BadRequirement, "`public` stands beside `require`");
                self.add(file, problem.hint(either));
                None
            }
            (Field::Given(public), Field::Absent) if public.value => Some(Access::Public),
            (Field::Given(public), Field::Absent) => {
                let problem = Problem::new(public.at, Code::BadRequirement, "`public: false` says nothing");
                self.add(file, problem.hint(either));
                None
            }
            (Field::Absent, Field::Absent) => {
                let message = format!("rule `{}` says nothing about who may pass", name.value);
                self.add(file, Problem::new(name.at, Code::Missing, message).hint(either));
                None
            }
            (Field::Absent, Field::Given(require)) => {
                Some(Access::Require(self.require(file, require, routes, used, names)))
            }
        }
    }

    fn require(
        &mut self,
        file: FileIndex,
        require: &Spanned<Require>,
        routes: &[&Route],
        used: &mut Vec<Text>,
        names: &Names,
    ) -> Box<[Alternative]> {
        match &require.value {
            Require::Map(one) => Box::new([self.alternative(file, require.at, one, routes, used, names)]),
            Require::List(many) if many.0.is_empty() => {
                let problem =
                    Problem::new(require.at, Code::BadRequirement, "the list of alternatives is empty");
                self.add(file, problem.hint("add one, or write `public: true` if no token is needed"));
                Box::default()
            }
            Require::List(many) => {
                let each = many.0.iter();
                each.map(|one| self.alternative(file, one.at, &one.value, routes, used, names)).collect()
            }
        }
    }

    fn alternative(
        &mut self,
        file: FileIndex,
        at: Span,
        alternative: &document::Alternative,
        routes: &[&Route],
        used: &mut Vec<Text>,
        names: &Names,
    ) -> Alternative {
        let document::Alternative {
            scope,
            all_scopes,
            any_scope,
            role,
            any_role,
            client,
            any_client,
            claims,
        } = alternative;
        let before = self.findings.len();
        let mut conditions = Vec::new();
        if let Some(text) = scope.given() {
            conditions.extend(self.scope(file, text, &names.scopes).map(Condition::Scope));
        }
        if let Some(scopes) = self.some_of(file, "all_scopes", items_of(all_scopes)) {
            conditions.push(Condition::AllScopes(self.each_scope(file, scopes, names)));
        }
        if let Some(scopes) = self.some_of(file, "any_scope", items_of(any_scope)) {
            conditions.push(Condition::AnyScope(self.each_scope(file, scopes, names)));
        }
        if let Some(text) = role.given() {
            conditions.extend(self.role(file, text, &names.roles).map(Condition::Role));
        }
        if let Some(roles) = self.some_of(file, "any_role", items_of(any_role)) {
            let roles: Vec<Role> =
                roles.iter().filter_map(|role| self.role(file, role, &names.roles)).collect();
            conditions.push(Condition::AnyRole(roles.into()));
        }
        if let Some(text) = client.given() {
            conditions.extend(self.client(file, text, names).map(Condition::Client));
        }
        if let Some(clients) = self.some_of(file, "any_client", items_of(any_client)) {
            let clients: Vec<ClientId> =
                clients.iter().filter_map(|client| self.client(file, client, names)).collect();
            conditions.push(Condition::AnyClient(clients.into()));
        }
        if let Some(claims) = claims.given() {
            for (name, test) in &claims.value.0 {
                self.claim(file, name, test.as_ref(), routes, used, &mut conditions);
            }
        }
        let wrong = [scope, role, client].iter().any(|field| !field.is_absent())
            || [all_scopes, any_scope, any_role, any_client].iter().any(|field| !field.is_absent());
        let nothing = conditions.is_empty() && self.findings.len() == before && !wrong;
        if nothing && !matches!(claims, Field::Wrong) {
            let problem =
                Problem::new(at, Code::BadRequirement, "an empty alternative would let every token pass");
            self.add(file, problem.hint("name a scope, a role, a client or a claim"));
        }
        Alternative { conditions: conditions.into() }
    }

    /// The items of a list condition; an empty list is reported.
    fn some_of<'f>(
        &mut self,
        file: FileIndex,
        key: &str,
        items: Option<(Span, &'f [Text])>,
    ) -> Option<&'f [Text]> {
        let (at, items) = items?;
        if items.is_empty() {
            let message = format!("`{key}` is empty");
            self.add(
                file,
                Problem::new(at, Code::BadRequirement, message).hint("name at least one, or remove it"),
            );
        }
        Some(items)
    }

    fn each_scope(&mut self, file: FileIndex, items: &[Text], names: &Names) -> Box<[Scope]> {
        items.iter().filter_map(|item| self.scope(file, item, &names.scopes)).collect()
    }

    fn client(&mut self, file: FileIndex, text: &Text, names: &Names) -> Option<ClientId> {
        if names.clients.contains(&text.value) {
            return ClientId::parse(&text.value).ok();
        }
        self.unknown(file, text, Code::UnknownClient, "client", names.clients.iter().map(String::as_str));
        None
    }

    fn claim(
        &mut self,
        file: FileIndex,
        name: &Spanned<String>,
        test: Option<&document::ClaimTest>,
        routes: &[&Route],
        used: &mut Vec<Text>,
        into: &mut Vec<Condition>,
    ) {
        if is_registered_claim(&name.value) {
            let message = format!("`{}` is a registered claim, and no condition on it can hold", name.value);
            let hint = "use `scope`, `role` or `client`, or a claim that clients carry";
            return self.add(file, Problem::new(name.at, Code::BadClaim, message).hint(hint));
        }
        let Some(document::ClaimTest { is, r#in, contains, same_as_path, contains_path }) = test else {
            return;
        };
        let before = (into.len(), self.findings.len());
        let mut tests = Vec::new();
        if let Some(value) = is.given() {
            tests.extend(self.text_value(file, value).map(ClaimTest::Is));
        }
        if let Some(values) = r#in.given() {
            if values.value.0.is_empty() {
                let problem = Problem::new(values.at, Code::BadRequirement, "`in` is empty");
                self.add(file, problem.hint("name at least one value"));
            }
            let accepted: Vec<_> =
                values.value.0.iter().filter_map(|value| self.text_value(file, value)).collect();
            tests.push(ClaimTest::In(accepted.into()));
        }
        if let Some(value) = contains.given() {
            tests.extend(self.text_value(file, value).map(ClaimTest::Contains));
        }
        if let Some(parameter) = same_as_path.given() {
            tests.extend(self.parameter(file, parameter, routes, used).map(ClaimTest::SameAsPath));
        }
        if let Some(parameter) = contains_path.given() {
            tests.extend(self.parameter(file, parameter, routes, used).map(ClaimTest::ContainsPath));
        }
        let absent = [is, contains].iter().all(|field| field.is_absent())
            && [same_as_path, contains_path].iter().all(|field| field.is_absent())
            && r#in.is_absent();
        into.extend(
            tests.into_iter().map(|test| Condition::Claim { name: name.value.as_str().into(), test }),
        );
        if absent && before == (into.len(), self.findings.len()) {
            let message = format!("nothing is asked of claim `{}`", name.value);
            let hint = "add one of `is`, `in`, `contains`, `same_as_path`, `contains_path`";
            self.add(file, Problem::new(name.at, Code::BadRequirement, message).hint(hint));
        }
    }

    /// A value to compare with: text, for claims of other types never match.
    fn text_value(&mut self, file: FileIndex, value: &Spanned<Value>) -> Option<Box<str>> {
        if let Value::String(text) = &value.value {
            return Some(text.as_str().into());
        }
        let problem = match &value.value {
            Value::Number(_) | Value::Bool(_) => {
                let message = format!("`{}` is not text, and only text is compared", value.value);
                Problem::new(value.at, Code::WrongType, message).hint(format!("write `\"{}\"`", value.value))
            }
            Value::Null => Problem::new(value.at, Code::Missing, "there is no value")
                .hint("write one, in quotes if it is empty"),
            Value::Array(_) | Value::Object(_) | Value::String(_) => {
                Problem::new(value.at, Code::WrongType, "a single text is expected")
                    .hint("for several values use `in: [a, b]`")
            }
        };
        self.add(file, problem);
        None
    }

    fn parameter(
        &mut self,
        file: FileIndex,
        parameter: &Text,
        routes: &[&Route],
        used: &mut Vec<Text>,
    ) -> Option<PathParameter> {
        let lacking =
            routes.iter().find(|route| !route.parameters().any(|(name, _)| name == parameter.value));
        if let Some(route) = lacking {
            let message = format!("`{{{}}}` does not stand in `{route}`", parameter.value);
            let names = route.parameters().map(|(name, _)| name);
            let hint = did_you_mean(&parameter.value, names)
                .unwrap_or_else(|| "the parameter must stand in every route of the rule".to_owned());
            self.add(file, Problem::new(parameter.at, Code::UnknownParameter, message).hint(hint));
            return None;
        }
        let slot = used.iter().position(|known| known.value == parameter.value).unwrap_or_else(|| {
            used.push(parameter.clone());
            used.len() - 1
        });
        Some(PathParameter { name: parameter.value.as_str().into(), slot: u8::try_from(slot).ok()? })
    }

    /// The names and routes that guarantees use.
    fn check_guarantees(&mut self, file: FileIndex, api: &document::Api, names: &Names) {
        for (name, guarantee) in &api.guarantees.0 {
            let Some(guarantee) = guarantee else { continue };
            let routes = self.routes(file, name, &guarantee.routes);
            let routes: Vec<&Route> = routes.iter().map(|(_, route)| route).collect();
            match &guarantee.only_when {
                Field::Given(require) => {
                    self.require(file, require, &routes, &mut Vec::new(), names);
                }
                Field::Wrong => {}
                Field::Absent => {
                    let message = format!("guarantee `{}` does not say what must hold", name.value);
                    let problem = Problem::new(name.at, Code::Missing, message);
                    self.add(file, problem.hint("add `only_when:` with what must hold, as in `require`"));
                }
            }
        }
    }
}
