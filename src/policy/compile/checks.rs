//! What is checked when everything is compiled: guarantees, test cases, and what an operator should look at.

use std::collections::{BTreeMap, HashSet};

use jiff::Timestamp;

use super::{
    FileIndex, Names, Report,
    apis::{Guarantee, Places},
    clients::CompiledClients,
};

use crate::{
    clients::ClientState,
    oauth::{ApiName, ClientId, Role, Scope, ScopeSet},
    policy::{
        cases::{Asker, Case, CaseOutcome, Expected},
        condition::Condition,
        document::{self, Document, TestSubject, Text},
        explain::Permissions,
        finding::{Code, Problem, Span},
        guarantee::{self, TooComplex, Violation},
        lint,
        read::{Field, Spanned},
        route::Method,
        set::{Api, PolicySet, Rule},
        space::RouteIndex,
    },
};

impl Report<'_> {
    /// Warns of scopes that no route requires.
    pub(super) fn unused_scopes(
        &mut self,
        documents: &[Document],
        names: &Names,
        apis: &BTreeMap<ApiName, Api>,
    ) {
        let mut required = HashSet::new();
        let mut of_role =
            |role: &Role| required.extend(names.roles.get(role).into_iter().flat_map(ScopeSet::iter));
        let conditions = || apis.values().flat_map(|api| &api.routes.conditions);
        for condition in conditions() {
            match condition {
                Condition::Role(role) => of_role(role),
                Condition::AnyRole(roles) => roles.iter().for_each(&mut of_role),
                _ => {}
            }
        }
        for condition in conditions() {
            match condition {
                Condition::Scope(scope) => drop(required.insert(scope)),
                Condition::AllScopes(scopes) | Condition::AnyScope(scopes) => required.extend(scopes),
                _ => {}
            }
        }
        let required: HashSet<_> = required.into_iter().map(Scope::as_str).collect();
        for (file, document) in documents.iter().enumerate() {
            for (name, _) in &document.scopes.0 {
                if !required.contains(&*name.value) {
                    let message = format!("no route requires scope `{}`", name.value);
                    let problem = Problem::new(name.at, Code::UnusedScope, message);
                    self.warn(file, problem.hint("remove it, or require it in a rule"));
                }
            }
        }
    }

    /// Warns of enabled clients that nobody can be.
    pub(super) fn credentials(&mut self, compiled: &CompiledClients, now: Timestamp) {
        for (client, (file, at)) in compiled.clients.iter().zip(&compiled.places) {
            let is_good =
                !client.public_keys.is_empty() || client.secrets.iter().any(|secret| secret.is_live(now));
            if is_good || client.state == ClientState::Disabled {
                continue;
            }
            let message = if client.secrets.is_empty() {
                format!("client `{}` has neither secret nor public key, and so can fetch no token", client.id)
            } else {
                format!("every secret of client `{}` has expired, and so it can fetch no token", client.id)
            };
            let hint = format!(
                "run `jeton clients rotate {}`, set `enabled: false`, or remove the client",
                shell_word(client.id.as_str())
            );
            self.warn(*file, Problem::new(*at, Code::NoCredentials, message).hint(hint));
        }
    }

    /// Proves the guarantees, and looks for routes that an operator should look at.
    pub(super) fn check_routes(
        &mut self,
        policies: &PolicySet,
        guarantees: &[Guarantee],
        places: &BTreeMap<ApiName, Places>,
    ) {
        for (name, places) in places {
            let Some(api) = policies.apis.get(name) else { continue };
            let index = RouteIndex::new(&api.routes.written);
            for guarantee in guarantees.iter().filter(|guarantee| guarantee.api == *name) {
                // one for each alternative that breaks it, on however many routes
                let mut seen = HashSet::new();
                for guaranteed in &guarantee.routes {
                    if !guarantee::meets_a_rule(api, &index, guaranteed) {
                        let (name, route) = (&guarantee.name, &guaranteed.route);
                        let message = format!(
                            "guarantee `{}` says nothing of `{route}`: no rule has a route there",
                            name.value
                        );
                        let problem = Problem::new(name.at, Code::IdleGuarantee, message);
                        self.warn(guarantee.file, problem.hint("look for a slip in the path, or remove it"));
                    }
                    let gaps = guarantee::gaps(api, &index, &policies.roles, guaranteed);
                    for gap in gaps.unwrap_or_default() {
                        self.gap(policies, guarantee, &gap);
                    }
                    match guarantee::violations(api, &index, &policies.roles, guaranteed) {
                        Ok(violations) => {
                            for violation in violations {
                                if seen.insert((violation.rule.name(), violation.alternative)) {
                                    self.broken(policies, guarantee, &violation);
                                }
                            }
                        }
                        Err(TooComplex(rule)) => self.unproved(policies, guarantee, rule),
                    }
                }
            }
            for lint in lint::lints(policies, api, &index) {
                let route = lint.route.and_then(|route| usize::try_from(route).ok());
                let at = route.and_then(|route| places.routes.get(route)).unwrap_or(&places.name);
                let problem = Problem::new(*at, lint.code, lint.message);
                self.warn(places.file, problem.hint(lint.hint));
            }
        }
    }

    fn unproved(&mut self, policies: &PolicySet, guarantee: &Guarantee, rule: &Rule) {
        let message = format!(
            "guarantee `{}` cannot be proved for rule `{}` ({}:{}): they compare too many segments with too many values",
            guarantee.name.value,
            rule.name(),
            policies.file_of(rule),
            rule.line,
        );
        let hint = "compare fewer segments of the path in one rule, or name fewer values";
        self.add(guarantee.file, Problem::new(guarantee.name.at, Code::TooComplex, message).hint(hint));
    }

    fn gap(&mut self, policies: &PolicySet, guarantee: &Guarantee, gap: &Violation<'_>) {
        let Violation { rule, witness, .. } = gap;
        let message = format!(
            "guarantee `{}` does not cover `{} {}`, which rule `{}` ({}:{}) lets through: `**` covers no slash at the end",
            guarantee.name.value,
            witness.method,
            witness.path,
            rule.name(),
            policies.file_of(rule),
            rule.line,
        );
        let hint = "add a route that ends in `/` to the guarantee too, or take it out of the rule";
        let problem = Problem::new(guarantee.name.at, Code::GuaranteeGap, message);
        self.warn(guarantee.file, problem.hint(hint));
    }

    fn broken(&mut self, policies: &PolicySet, guarantee: &Guarantee, violation: &Violation<'_>) {
        let Violation { rule, alternative, witness, lacking } = violation;
        let who = match (&witness.token, alternative) {
            (Some(token), Some(_)) => format!("with no more than {token}"),
            (None, _) | (_, None) => "without a token".to_owned(),
        };
        let what = match alternative {
            Some(position) if is_one_of_several(policies, guarantee, rule) => {
                format!("alternative {} of rule", position + 1)
            }
            Some(_) => "rule".to_owned(),
            None => "public rule".to_owned(),
        };
        let message = format!(
            "guarantee `{}` does not hold: {what} `{}` ({}:{}) lets `{} {}` through {who}",
            guarantee.name.value,
            rule.name(),
            policies.file_of(rule),
            rule.line,
            witness.method,
            witness.path,
        );
        let hint = format!(
            "ask there for what the guarantee says ({}), or change the guarantee",
            lacking.join(", ")
        );
        let problem = Problem::new(guarantee.name.at, Code::BrokenGuarantee, message);
        self.add(guarantee.file, problem.hint(hint));
    }

    /// Reads the test cases, one for each request.
    pub(super) fn cases(&mut self, documents: &[Document], names: &Names) -> Vec<Case> {
        let mut cases = Vec::new();
        for (file, document) in documents.iter().enumerate() {
            for test in &document.tests.0 {
                let document::Test { r#as, api, allow, deny } = &test.value;
                let asker = self.asker(file, test.at, r#as, names);
                let api = self.tested_api(file, test.at, api, names);
                if allow.is_empty() && deny.is_empty() {
                    let problem = Problem::new(test.at, Code::Missing, "this test asks for nothing");
                    self.add(
                        file,
                        problem.hint("add `allow:` or `deny:` with lines such as `- GET /orders/42`"),
                    );
                }
                for (expected, requests) in [(Expected::Allow, allow), (Expected::Deny, deny)] {
                    for request in &requests.0 {
                        let parts = self.request(file, request);
                        let (Some(asker), Some(api), Some((method, path))) = (&asker, &api, parts) else {
                            continue;
                        };
                        let (asker, api) = (asker.clone(), api.clone());
                        cases.push(Case { file, at: request.at, api, asker, expected, method, path });
                    }
                }
            }
        }
        cases
    }

    fn asker(
        &mut self,
        file: FileIndex,
        whole: Span,
        asker: &Field<Spanned<TestSubject>>,
        names: &Names,
    ) -> Option<Asker> {
        match asker {
            Field::Wrong => None,
            Field::Absent => {
                let problem = Problem::new(whole, Code::Missing, "this test does not say who asks");
                self.add(
                    file,
                    problem.hint("add `as:` with a client, or `as: {}` for a token that carries nothing"),
                );
                None
            }
            Field::Given(Spanned { at, value: TestSubject::Text(client) }) => {
                if !names.clients.contains(client) {
                    let text = Text { at: *at, value: client.clone() };
                    let known = names.clients.iter().map(String::as_str);
                    self.unknown(file, &text, Code::UnknownClient, "client", known);
                }
                ClientId::parse(client).ok().map(Asker::Client)
            }
            Field::Given(Spanned { value: TestSubject::Map(bearer), .. }) => {
                let document::Bearer { scopes, roles, claims } = &**bearer;
                let scopes = self.scopes(file, scopes, &names.scopes);
                let roles: Vec<Role> =
                    roles.0.iter().filter_map(|role| self.role(file, role, &names.roles)).collect();
                let bearer = Permissions { client: None, scopes, roles, claims: claims.clone() };
                Some(Asker::Bearer(bearer.with_scopes_of_roles(&names.roles)))
            }
        }
    }

    fn tested_api(
        &mut self,
        file: FileIndex,
        whole: Span,
        api: &Field<Text>,
        names: &Names,
    ) -> Option<ApiName> {
        match api {
            Field::Wrong => None,
            Field::Absent => {
                let problem = Problem::new(whole, Code::Missing, "this test does not say which API is asked");
                let known = names.apis.first().map_or("orders", String::as_str);
                self.add(file, problem.hint(format!("add `api:` with a name, such as `api: {known}`")));
                None
            }
            Field::Given(text) => {
                if !names.apis.contains(&text.value) {
                    self.unknown(file, text, Code::UnknownApi, "API", names.apis.iter().map(String::as_str));
                }
                ApiName::parse(&text.value).ok()
            }
        }
    }

    /// One method and one path. What only looks like one would be denied and prove nothing.
    fn request(&mut self, file: FileIndex, request: &Text) -> Option<(String, String)> {
        let mut refuse = |what: String, hint: &str| {
            let problem = Problem::new(request.at, Code::BadRoute, format!("`{}` {what}", request.value));
            self.add(file, problem.hint(hint));
        };
        let Some((method, path)) = request.value.split_once(' ').filter(|(_, path)| path.starts_with('/'))
        else {
            refuse("is not a request".to_owned(), "write a method and a path, such as `GET /orders/42`");
            return None;
        };
        let upper = method.to_ascii_uppercase();
        let is_pattern = |segment: &str| segment == "**" || segment.starts_with('{') && segment.contains('}');
        if method == "ANY" {
            refuse("asks for no method".to_owned(), "write one line for each method that is meant");
        } else if method != upper && Method::parse(&upper).is_some() {
            refuse(
                "has its method in lower case".to_owned(),
                "write the method in upper case, as it is sent",
            );
        } else if let Some(segment) = path.split('/').find(|segment| is_pattern(segment)) {
            refuse(
                format!("is a pattern: `{segment}` stands for many paths"),
                "write one path, such as `/orders/42`",
            );
        } else {
            return Some((method.to_owned(), path.to_owned()));
        }
        None
    }

    /// Runs the test cases; each that fails is a finding.
    pub(super) fn run(&mut self, policies: &PolicySet, cases: &[Case]) -> Vec<CaseOutcome> {
        let mut outcomes = Vec::with_capacity(cases.len());
        for case in cases {
            let line = self.sources.files.get(case.file).map_or(0, |source| source.line(case.at.start));
            let outcome = case.run(policies, line);
            if let Some(to_pass) = &outcome.to_pass {
                let (expected, explanation) = (outcome.expected.as_str(), &outcome.explanation);
                let came = if explanation.allowed { "allowed" } else { "denied" };
                let message = format!(
                    "test failed: expected {expected} for {} at {}, but it is {came}{}: {}",
                    outcome.who,
                    case.api,
                    explanation
                        .decided_by
                        .as_ref()
                        .map(|route| format!(" by rule `{}` ({}:{})", route.rule, route.file, route.line))
                        .unwrap_or_default(),
                    explanation.detail,
                );
                let problem = Problem::new(case.at, Code::FailedTest, message);
                self.add(case.file, problem.hint(to_pass.clone()));
            }
            outcomes.push(outcome);
        }
        outcomes
    }
}

/// Whether the rule is a list of alternatives.
fn is_one_of_several(policies: &PolicySet, guarantee: &Guarantee, rule: &Rule) -> bool {
    let Some(Api { rules, routes, .. }) = policies.apis.get(&guarantee.api) else { return false };
    let of_rule = |name: u32| {
        let found = usize::try_from(name).ok().and_then(|at| rules.get(at));
        found.is_some_and(|found| found.name() == rule.name())
    };
    let access = routes.access.iter().find(|access| of_rule(access.rule));
    access.is_some_and(|access| routes.alternatives(&access.access).count() > 1)
}

/// As one word of a command line.
fn shell_word(text: &str) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.' | ':' | '/' | '@');
    if !text.starts_with('-') && text.chars().all(is_plain) {
        return text.to_owned();
    }
    format!("'{}'", text.replace('\'', r"'\''"))
}
