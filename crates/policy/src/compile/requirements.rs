//! Requirements: who may pass, resolved to conditions.

use std::sync::Arc;

use jeton_oauth::{ClientId, Role, Scope};
use serde_json::Value;

use super::{
    report::{CompileReport, DefinedNames},
    types::ClaimUse,
};
use crate::{
    claim::{BadClaimName, ClaimName, ClaimValue},
    condition::{ClaimTest, Condition, PathParameter},
    document::{self, Require, Text},
    finding::{FindingCode, ReadingProblem, Span, did_you_mean},
    position::FileIndex,
    read::{Field, Items, Spanned},
    route::Route,
};

/// Who may pass a rule. The parameters of its conditions get their segments route by route.
pub(super) enum Requirement {
    Public,
    AnyOf(Vec<Vec<Condition>>),
}

/// The rule or guarantee that is being read.
#[derive(Clone, Copy)]
pub(super) struct Within<'r> {
    pub(super) file: FileIndex,
    pub(super) name: &'r Spanned<String>,
    pub(super) routes: &'r [Route],
    pub(super) names: &'r DefinedNames,
}

impl CompileReport<'_> {
    pub(super) fn requirement(
        &mut self,
        within: Within<'_>,
        rule: &document::RuleEntry,
    ) -> Option<Requirement> {
        let Within { file, name, .. } = within;
        let either = "a rule has either `public: true` or `require`";
        match (&rule.public, &rule.require) {
            (Field::Wrong, _) | (_, Field::Wrong) => None,
            (Field::Given(public), Field::Given(_)) => {
                let problem = ReadingProblem::new(
                    public.at,
                    FindingCode::BadRequirement,
                    "`public` stands beside `require`",
                );
                self.add(file, problem.hint(either));
                None
            }
            (Field::Given(public), Field::Absent) if public.value => Some(Requirement::Public),
            (Field::Given(public), Field::Absent) => {
                let problem = ReadingProblem::new(
                    public.at,
                    FindingCode::BadRequirement,
                    "`public: false` says nothing",
                );
                self.add(file, problem.hint(either));
                None
            }
            (Field::Absent, Field::Absent) => {
                let message = format!("rule `{}` does not say who may pass", name.value);
                self.add(file, ReadingProblem::new(name.at, FindingCode::Missing, message).hint(either));
                None
            }
            (Field::Absent, Field::Given(require)) => Some(Requirement::AnyOf(self.any_of(within, require))),
        }
    }

    pub(super) fn any_of(&mut self, within: Within<'_>, require: &Spanned<Require>) -> Vec<Vec<Condition>> {
        match &require.value {
            Require::Map(one) => vec![self.alternative(within, require.at, one)],
            Require::List(many) if many.is_empty() => {
                let problem = ReadingProblem::new(
                    require.at,
                    FindingCode::BadRequirement,
                    "the list of alternatives is empty",
                );
                let hint = "add one, or write `public: true` if no token is needed";
                self.add(within.file, problem.hint(hint));
                Vec::new()
            }
            Require::List(many) => {
                let each = many.0.iter();
                each.map(|one| self.alternative(within, one.at, &one.value)).collect()
            }
        }
    }

    fn alternative(
        &mut self,
        within: Within<'_>,
        at: Span,
        alternative: &document::AlternativeEntry,
    ) -> Vec<Condition> {
        let Within { file, names, .. } = within;
        let document::AlternativeEntry {
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
        if let Some(scopes) = self.some_of(file, "all_scopes", all_scopes) {
            conditions.push(Condition::AllScopes(self.each_scope(file, scopes, names)));
        }
        if let Some(scopes) = self.some_of(file, "any_scope", any_scope) {
            conditions.push(Condition::AnyScope(self.each_scope(file, scopes, names)));
        }
        if let Some(text) = role.given() {
            conditions.extend(self.role(file, text, &names.roles).map(Condition::Role));
        }
        if let Some(roles) = self.some_of(file, "any_role", any_role) {
            let roles: Vec<Role> =
                roles.iter().filter_map(|role| self.role(file, role, &names.roles)).collect();
            conditions.push(Condition::AnyRole(roles.into()));
        }
        if let Some(text) = client.given() {
            conditions.extend(self.client(file, text, names).map(Condition::Client));
        }
        if let Some(clients) = self.some_of(file, "any_client", any_client) {
            let clients: Vec<ClientId> =
                clients.iter().filter_map(|client| self.client(file, client, names)).collect();
            conditions.push(Condition::AnyClient(clients.into()));
        }
        if let Some(claims) = claims.given() {
            if claims.value.is_empty() {
                let problem =
                    ReadingProblem::new(claims.at, FindingCode::BadRequirement, "`claims` is empty");
                self.add(file, problem.hint("name a claim and its condition, or remove `claims`"));
            }
            for (name, test) in &claims.value.0 {
                self.claim(within, name, test.as_ref(), &mut conditions);
            }
        }
        let asks_nothing = [scope, role, client].iter().all(|field| field.is_absent())
            && [all_scopes, any_scope, any_role, any_client].iter().all(|field| field.is_absent())
            && claims.is_absent()
            && !self.has_unknown_key(file, at);
        if asks_nothing && self.findings.len() == before {
            let problem = ReadingProblem::new(
                at,
                FindingCode::BadRequirement,
                "an empty alternative would let every token pass",
            );
            self.add(file, problem.hint("name a scope, a role, a client or a claim"));
        }
        conditions
    }

    /// The items of a list condition; an empty list is reported.
    fn some_of<'f>(
        &mut self,
        file: FileIndex,
        key: &str,
        items: &'f Field<Spanned<Items<Text>>>,
    ) -> Option<&'f [Text]> {
        let Spanned { at, value: items } = items.given()?;
        if items.is_empty() {
            let problem = ReadingProblem::new(*at, FindingCode::BadRequirement, format!("`{key}` is empty"));
            self.add(file, problem.hint("name at least one, or remove it"));
        }
        Some(&items.0)
    }

    fn each_scope(&mut self, file: FileIndex, items: &[Text], names: &DefinedNames) -> Box<[Scope]> {
        items.iter().filter_map(|item| self.scope(file, item, &names.scopes)).collect()
    }

    fn client(&mut self, file: FileIndex, text: &Text, names: &DefinedNames) -> Option<ClientId> {
        if names.clients.contains(&text.value) {
            return ClientId::parse(&text.value).ok();
        }
        self.unknown(
            file,
            text,
            FindingCode::UnknownClient,
            "client",
            names.clients.iter().map(String::as_str),
        );
        None
    }

    fn claim(
        &mut self,
        within: Within<'_>,
        name: &Spanned<String>,
        test: Option<&Spanned<document::ClaimTestEntry>>,
        into: &mut Vec<Condition>,
    ) {
        let file = within.file;
        let parsed = self.claim_name(file, name);
        let Some(Spanned { at, value: test }) = test else { return };
        let document::ClaimTestEntry { is, r#in, contains, same_as_path, contains_path } = test;
        let before = self.findings.len();
        let mut tests = self.value_tests(file, is, r#in, contains);
        if let Some(parameter) = same_as_path.given() {
            tests.extend(self.parameter(within, parameter).map(ClaimTest::SameAsPath));
        }
        if let Some(parameter) = contains_path.given() {
            tests.extend(self.parameter(within, parameter).map(ClaimTest::ContainsPath));
        }
        let asks_nothing = [is, contains].iter().all(|field| field.is_absent())
            && [same_as_path, contains_path].iter().all(|field| field.is_absent())
            && r#in.is_absent()
            && !self.has_unknown_key(file, *at);
        if asks_nothing && self.findings.len() == before {
            let message = format!("claim `{}` has no condition", name.value);
            let hint = "add one of `is`, `in`, `contains`, `same_as_path`, `contains_path`";
            self.add(file, ReadingProblem::new(name.at, FindingCode::BadRequirement, message).hint(hint));
        }
        let Some(parsed) = parsed else { return };
        for test in tests {
            self.uses.push(ClaimUse { file, at: name.at, name: parsed.clone(), types: test.types() });
            into.push(Condition::Claim { name: parsed.clone(), test });
        }
    }

    /// What a claim is compared with, by the operators that name values.
    pub(super) fn value_tests(
        &mut self,
        file: FileIndex,
        is: &Field<Spanned<Value>>,
        r#in: &Field<Spanned<Items<Spanned<Value>>>>,
        contains: &Field<Spanned<Value>>,
    ) -> Vec<ClaimTest> {
        let mut tests = Vec::new();
        if let Some(value) = is.given() {
            tests.extend(self.value(file, value).map(ClaimTest::Is));
        }
        if let Some(values) = r#in.given() {
            if values.value.is_empty() {
                let problem = ReadingProblem::new(values.at, FindingCode::BadRequirement, "`in` is empty");
                self.add(file, problem.hint("name at least one value"));
            }
            let accepted: Vec<_> =
                values.value.0.iter().filter_map(|value| self.value(file, value)).collect();
            tests.push(ClaimTest::In(accepted.into()));
        }
        if let Some(value) = contains.given() {
            tests.extend(self.value(file, value).map(ClaimTest::Contains));
        }
        tests
    }

    /// The claim that a condition is about.
    fn claim_name(&mut self, file: FileIndex, name: &Spanned<String>) -> Option<ClaimName> {
        let text = &name.value;
        let (message, hint) = match ClaimName::parse(text, |name| self.intern(name)) {
            Ok(parsed) => return Some(parsed),
            Err(BadClaimName::Registered) if text.starts_with('/') => (
                format!("`{text}` points into a registered claim, which conditions cannot use"),
                "write `sub` for the subject, or name a claim that clients carry",
            ),
            Err(BadClaimName::Registered) => (
                format!("`{text}` is a registered claim, which conditions cannot use"),
                "use `scope`, `role` or `client`, `sub`, or a claim that clients carry",
            ),
            Err(BadClaimName::NoPointer) => no_pointer(text),
        };
        self.add(file, ReadingProblem::new(name.at, FindingCode::BadClaim, message).hint(hint));
        None
    }

    /// A value to compare with.
    fn value(&mut self, file: FileIndex, value: &Spanned<Value>) -> Option<ClaimValue> {
        if let Some(value) = ClaimValue::of(&value.value) {
            return Some(value);
        }
        let problem = match &value.value {
            Value::Null => ReadingProblem::new(value.at, FindingCode::Missing, "there is no value")
                .hint("write one, in quotes if it is empty"),
            Value::Array(_) | Value::Object(_) => {
                ReadingProblem::new(value.at, FindingCode::WrongType, "a single value is expected")
                    .hint("for several values use `in: [a, b]`")
            }
            other => {
                let message = format!(
                    "`{other}` is a fraction, and only text, whole numbers and booleans are compared"
                );
                ReadingProblem::new(value.at, FindingCode::WrongType, message)
                    .hint(format!("for text write `\"{other}\"`"))
            }
        };
        self.add(file, problem);
        None
    }

    fn parameter(&mut self, within: Within<'_>, parameter: &Text) -> Option<PathParameter> {
        let lacks = |route: &&Route| !route.parameters().any(|(name, _)| name == parameter.value);
        if let Some(route) = within.routes.iter().find(lacks) {
            let message = format!("`{{{}}}` is not in `{route}`", parameter.value);
            let names = route.parameters().map(|(name, _)| name);
            let hint = did_you_mean(&parameter.value, names)
                .unwrap_or_else(|| "every route of the rule must have the parameter".to_owned());
            self.add(
                within.file,
                ReadingProblem::new(parameter.at, FindingCode::UnknownParameter, message).hint(hint),
            );
            return None;
        }
        // the place is set for each route when the rule is complete
        Some(PathParameter { name: self.intern(&parameter.value), place: None })
    }

    /// One shared copy of a name that many rules use.
    pub(super) fn intern(&mut self, name: &str) -> Arc<str> {
        if let Some(known) = self.interned.get(name) {
            return Arc::clone(known);
        }
        let new: Arc<str> = name.into();
        self.interned.insert(Arc::clone(&new));
        new
    }
}

/// What is wrong with a pointer, and the fix.
pub(super) fn no_pointer(text: &str) -> (String, &'static str) {
    (
        format!("`{text}` is not a JSON Pointer (RFC 6901)"),
        "in a pointer `~` is written `~0`, and a `/` within a name `~1`",
    )
}
