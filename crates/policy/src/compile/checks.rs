//! Guarantees and test cases, checked after everything is compiled.

use std::collections::HashSet;

use jeton_oauth::{ApiName, ClientId, Role};
use serde_json::Map;

use super::{
    NeededApi,
    apis::{Guarantee, GuaranteeOrigin},
    built_in::OWN_API,
    report::{CompileReport, DefinedNames},
};
use crate::{
    cases::{Case, CaseAsker, CaseOutcome, ExpectedOutcome},
    document::{self, PolicyDocument, TestEntry, TestSubject, Text},
    explain::DEPENDS,
    finding::{FindingCode, ReadingProblem, Span, did_you_mean},
    guarantee::{self, TooComplex, Violation},
    position::{FileIndex, numbered},
    read::{Field, Spanned},
    route::Method,
    rule::PolicyRule,
    set::PolicySet,
    space::RouteIndex,
    subject::Permissions,
};

impl CompileReport<'_> {
    /// Refuses policies without an API that something else needs.
    pub(super) fn needed(&mut self, policies: &PolicySet, needed: &[NeededApi]) {
        for NeededApi { api, by } in needed.iter().filter(|needed| !policies.apis.contains_key(&needed.api)) {
            let known = || policies.apis.keys().map(ApiName::as_str);
            let has: Vec<_> = known().map(|api| format!("`{api}`")).collect();
            let message =
                format!("{by}: `{api}` is not an API of the policies: they have {}", has.join(", "));
            let hint = did_you_mean(api.as_str(), known()).unwrap_or_else(|| {
                "define it under `apis:`, or change the settings and start again".to_owned()
            });
            self.findings.push(self.sources.fault(FindingCode::UnknownApi, message, &hint));
        }
    }

    /// Proves the guarantees.
    pub(super) fn prove(&mut self, policies: &PolicySet, guarantees: &[Guarantee]) {
        for of_api in guarantees.chunk_by(|one, next| one.api == next.api) {
            let api = of_api.first().and_then(|guarantee| policies.apis.get(&guarantee.api));
            let Some(api) = api else { continue };
            let index = RouteIndex::new(&api.routes.written);
            for guarantee in of_api {
                // one for each alternative that breaks it, on however many routes
                let mut seen = HashSet::new();
                for guaranteed in &guarantee.routes {
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
        }
    }

    fn unproved(&mut self, policies: &PolicySet, guarantee: &Guarantee, rule: &PolicyRule) {
        let message = format!(
            "guarantee `{}` cannot be proved for rule `{}` ({}:{}): they compare too many segments with too many values",
            guarantee.name.value,
            rule.name(),
            policies.file_of(rule),
            rule.line,
        );
        let hint = "compare fewer segments of the path in one rule, or name fewer values";
        self.add(
            guarantee.file,
            ReadingProblem::new(guarantee.name.at, FindingCode::TooComplex, message).hint(hint),
        );
    }

    fn broken(&mut self, policies: &PolicySet, guarantee: &Guarantee, violation: &Violation<'_>) {
        let Violation { rule, alternative, alternatives, witness, lacking } = violation;
        let who = match (&witness.token, alternative) {
            (Some(token), Some(_)) => format!("with only {token}"),
            (None, _) | (_, None) => "without a token".to_owned(),
        };
        let what = match alternative {
            Some(position) if *alternatives > 1 => format!("alternative {} of rule", position + 1),
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
        let instead = match guarantee.origin {
            GuaranteeOrigin::File => "change the guarantee",
            GuaranteeOrigin::BuiltIn => "take the path out of the rule: this guarantee is built in",
        };
        let hint = format!("require what the guarantee says ({}), or {instead}", lacking.join(", "));
        let problem = ReadingProblem::new(guarantee.name.at, FindingCode::BrokenGuarantee, message);
        self.add(guarantee.file, problem.hint(hint));
    }

    /// Reads the test cases, one for each request.
    pub(super) fn cases(&mut self, documents: &[PolicyDocument], names: &DefinedNames) -> Vec<Case> {
        let mut cases = Vec::new();
        for (file, document) in numbered(FileIndex::at, documents.iter()) {
            for test in &document.tests.0 {
                let TestEntry { r#as: _, claims: _, api, allow, deny } = &test.value;
                let asker = self.asker(file, test.at, &test.value, names);
                let api = self.tested_api(file, test.at, api, names);
                if allow.is_empty() && deny.is_empty() {
                    let problem =
                        ReadingProblem::new(test.at, FindingCode::Missing, "this test has no requests");
                    self.add(
                        file,
                        problem.hint("add `allow:` or `deny:` with lines such as `- GET /orders/42`"),
                    );
                }
                for (expected, requests) in [(ExpectedOutcome::Allow, allow), (ExpectedOutcome::Deny, deny)] {
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
        entry: &TestEntry,
        names: &DefinedNames,
    ) -> Option<CaseAsker> {
        match &entry.r#as {
            Field::Wrong => None,
            Field::Absent => {
                let problem =
                    ReadingProblem::new(whole, FindingCode::Missing, "this test does not say who asks");
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
                    self.unknown(file, &text, FindingCode::UnknownClient, "client", known);
                }
                let claims = match &entry.claims {
                    Field::Wrong => return None,
                    Field::Absent => Map::new(),
                    Field::Given(claims) => claims.value.clone(),
                };
                ClientId::parse(client).ok().map(|client| CaseAsker::Client(client, claims))
            }
            Field::Given(Spanned { at, value: TestSubject::Map(bearer) }) => {
                if let Some(Spanned { at, .. }) = entry.claims.given() {
                    let message =
                        "`claims` beside `as` are those that a client takes over from another issuer's token";
                    let problem = ReadingProblem::new(*at, FindingCode::BadClaim, message);
                    self.add(file, problem.hint("write them within: `as: { claims: { ... } }`"));
                }
                let document::TestBearer { scopes, roles, claims } = &**bearer;
                let scopes = self.scopes(file, scopes, &names.scopes);
                let roles: Vec<Role> =
                    roles.0.iter().filter_map(|role| self.role(file, role, &names.roles)).collect();
                let bearer = Permissions { client: None, sub: None, scopes, roles, claims: claims.clone() };
                match bearer.with_sub_of_claims() {
                    Ok(bearer) => Some(CaseAsker::Bearer(bearer.with_scopes_of_roles(&names.roles))),
                    Err(error) => {
                        let problem = ReadingProblem::new(*at, FindingCode::BadClaim, error.to_string());
                        self.add(file, problem.hint("such as `as: { claims: { sub: acme-sync } }`"));
                        None
                    }
                }
            }
        }
    }

    fn tested_api(
        &mut self,
        file: FileIndex,
        whole: Span,
        api: &Field<Text>,
        names: &DefinedNames,
    ) -> Option<ApiName> {
        match api {
            Field::Wrong => None,
            Field::Absent => {
                let problem = ReadingProblem::new(
                    whole,
                    FindingCode::Missing,
                    "this test does not say which API is asked",
                );
                let known = names.apis.iter().find(|name| *name != OWN_API).map_or("orders", String::as_str);
                self.add(file, problem.hint(format!("add `api:` with a name, such as `api: {known}`")));
                None
            }
            Field::Given(text) => {
                if !names.apis.contains(&text.value) {
                    self.unknown(
                        file,
                        text,
                        FindingCode::UnknownApi,
                        "API",
                        names.apis.iter().map(String::as_str),
                    );
                }
                ApiName::parse(&text.value).ok()
            }
        }
    }

    /// One method and one path. What only looks like one would be denied and prove nothing.
    fn request(&mut self, file: FileIndex, request: &Text) -> Option<(String, String)> {
        let mut refuse = |what: String, hint: &str| {
            let problem =
                ReadingProblem::new(request.at, FindingCode::BadRoute, format!("`{}` {what}", request.value));
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
            refuse("has no method".to_owned(), "write one line for each method");
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
            let line =
                self.sources.files.get(case.file.position()).map_or(0, |source| source.line(case.at.start));
            let outcome = case.run(policies, line);
            if let Some(to_pass) = &outcome.to_pass {
                let (expected, explanation) = (outcome.expected.as_str(), &outcome.explanation);
                let came = match (explanation.allowed, explanation.reason) {
                    (true, _) => "allowed",
                    (false, DEPENDS) => "decided",
                    (false, _) => "denied",
                };
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
                let problem = ReadingProblem::new(case.at, FindingCode::FailedTest, message);
                self.add(case.file, problem.hint(to_pass.clone()));
            }
            outcomes.push(outcome);
        }
        outcomes
    }
}
