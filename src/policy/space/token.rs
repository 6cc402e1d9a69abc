//! The smallest tokens that meet an alternative.

use std::{collections::BTreeMap, fmt, ops::ControlFlow};

use serde::Serialize;
use serde_json::{Map, Value};

use crate::{
    oauth::{Role, Scope, ScopeSet},
    policy::{
        condition::{Alternative, ClaimTest, Condition},
        explain::Permissions,
        path::CanonicalPath,
    },
};

/// What a token in a witness carries.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Token {
    /// The client that it names, if it must name one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub client: Option<String>,
    /// Its scopes.
    pub scopes: Vec<String>,
    /// Its roles.
    pub roles: Vec<String>,
    /// Its claims.
    pub claims: Map<String, Value>,
}

impl From<&Permissions> for Token {
    fn from(permissions: &Permissions) -> Self {
        Self {
            client: permissions.client.as_ref().map(ToString::to_string),
            scopes: permissions.scopes.iter().map(ToString::to_string).collect(),
            roles: permissions.roles.iter().map(ToString::to_string).collect(),
            claims: permissions.claims.clone(),
        }
    }
}

impl fmt::Display for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let several = |what: &str, items: &[String]| match items {
            [] => None,
            [one] => Some(format!("{what} `{one}`")),
            _ => Some(format!("{what}s `{}`", items.join("`, `"))),
        };
        let mut parts: Vec<String> = self.client.iter().map(|client| format!("client `{client}`")).collect();
        parts.extend(several("role", &self.roles));
        parts.extend(several("scope", &self.scopes));
        parts.extend(self.claims.iter().map(|(name, value)| match value {
            Value::String(text) => format!("{name} = `{text}`"),
            other => format!("{name} = {other}"),
        }));
        f.write_str(&parts.join(", "))
    }
}

/// Visits the smallest tokens that meet `alternative` on `path`: every token that meets it carries all of
/// one of these. A token carries each scope of its roles, as every token of this service does.
///
/// Where `is_covered` holds for what all further ones would carry too, they are left out.
pub(in crate::policy) fn smallest_tokens(
    alternative: Alternative<'_>,
    path: &CanonicalPath<'_>,
    roles: &BTreeMap<Role, ScopeSet>,
    is_covered: &dyn Fn(&Permissions) -> bool,
    visit: &mut dyn FnMut(Permissions) -> ControlFlow<()>,
) -> ControlFlow<()> {
    if alternative.0.is_empty() {
        return ControlFlow::Continue(());
    }
    // what leaves no choice first, and roles before scopes: a role brings scopes along
    let mut conditions: Vec<&Condition> = alternative.0.iter().collect();
    conditions.sort_by_key(|condition| match condition {
        Condition::AnyRole(_) => 1,
        Condition::AnyScope(_) => 2,
        Condition::AnyClient(_) | Condition::Claim { test: ClaimTest::In(_), .. } => 3,
        _ => 0,
    });
    Search { path, roles, is_covered, visit }.extend(Permissions::default(), &conditions)
}

struct Search<'s> {
    path: &'s CanonicalPath<'s>,
    roles: &'s BTreeMap<Role, ScopeSet>,
    is_covered: &'s dyn Fn(&Permissions) -> bool,
    visit: &'s mut dyn FnMut(Permissions) -> ControlFlow<()>,
}

impl Search<'_> {
    /// Goes on with a token that meets all conditions but these.
    fn extend(&mut self, mut token: Permissions, conditions: &[&Condition]) -> ControlFlow<()> {
        let Some((condition, others)) = conditions.split_first() else {
            return if (self.is_covered)(&token) { ControlFlow::Continue(()) } else { (self.visit)(token) };
        };
        if condition.holds(&token.subject(), self.path) {
            return self.extend(token, others);
        }
        let possible = match condition {
            Condition::Scope(scope) => add_scope(&mut token, scope),
            Condition::AllScopes(scopes) => scopes.iter().all(|scope| add_scope(&mut token, scope)),
            Condition::Role(role) => self.add_role(&mut token, role),
            // the token names another client already, for it would hold else
            Condition::Client(client) => token.client.replace(client.clone()).is_none(),
            Condition::Claim { name, test } => match test {
                ClaimTest::Is(value) => set_claim(&mut token, name, value),
                ClaimTest::SameAsPath(parameter) => self
                    .path
                    .segment(usize::from(parameter.segment))
                    .is_some_and(|value| set_claim(&mut token, name, value)),
                ClaimTest::Contains(value) => add_to_claim(&mut token, name, value),
                ClaimTest::ContainsPath(parameter) => self
                    .path
                    .segment(usize::from(parameter.segment))
                    .is_some_and(|value| add_to_claim(&mut token, name, value)),
                ClaimTest::In(values) => {
                    return self
                        .branch(&token, others, values, |_, token, value| set_claim(token, name, value));
                }
            },
            Condition::AnyScope(scopes) => {
                return self.branch(&token, others, scopes, |_, token, scope| add_scope(token, scope));
            }
            Condition::AnyRole(roles) => {
                return self.branch(&token, others, roles, Self::add_role);
            }
            Condition::AnyClient(clients) => {
                return self.branch(&token, others, clients, |_, token, client| {
                    token.client.replace(client.clone()).is_none()
                });
            }
        };
        if possible { self.extend(token, others) } else { ControlFlow::Continue(()) }
    }

    /// Goes on with each choice that is possible.
    fn branch<T>(
        &mut self,
        token: &Permissions,
        others: &[&Condition],
        choices: &[T],
        mut choose: impl FnMut(&Self, &mut Permissions, &T) -> bool,
    ) -> ControlFlow<()> {
        // what is covered stays so however the token grows, and most proofs end here
        if (self.is_covered)(token) {
            return ControlFlow::Continue(());
        }
        for choice in choices {
            let mut chosen = token.clone();
            if choose(self, &mut chosen, choice) {
                self.extend(chosen, others)?;
            }
        }
        ControlFlow::Continue(())
    }

    fn add_role(&self, token: &mut Permissions, role: &Role) -> bool {
        token.roles.push(role.clone());
        if let Some(scopes) = self.roles.get(role) {
            token.scopes.extend(scopes);
        }
        true
    }
}

fn add_scope(token: &mut Permissions, scope: &Scope) -> bool {
    token.scopes.extend(&ScopeSet::from_iter([scope.clone()]));
    true
}

/// Gives the claim this text, unless it has another value.
fn set_claim(token: &mut Permissions, name: &str, value: &str) -> bool {
    token.claims.insert(name.to_owned(), value.into()).is_none()
}

/// Adds to the claim's list, unless it is a text.
fn add_to_claim(token: &mut Permissions, name: &str, value: &str) -> bool {
    match token.claims.entry(name).or_insert_with(|| Value::Array(Vec::new())) {
        Value::Array(items) => {
            items.push(value.into());
            true
        }
        _ => false,
    }
}
