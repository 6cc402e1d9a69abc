//! Tokens that are put together, condition by condition.

use std::collections::BTreeMap;

use jeton_oauth::{ClientId, Role, Scope, ScopeSet};
use serde_json::{Map, Value};

use crate::{
    claim::{ClaimName, ClaimValue, LONGEST_LIST, index},
    condition::{Alternative, ClaimTest, Condition, PathParameter},
    path::CanonicalPath,
    subject::Permissions,
};

/// The search for tokens that an alternative lets through and others do not. A token carries each scope of
/// its roles, as every token of this service does.
///
/// Since no condition is negated, it looks at the smallest tokens alone: whoever meets an alternative
/// carries all of one of these.
pub(crate) struct Beyond<'s> {
    pub(crate) path: &'s CanonicalPath<'s>,
    pub(crate) roles: &'s BTreeMap<Role, ScopeSet>,
    /// What must not let a token through.
    pub(crate) others: &'s [Alternative<'s>],
    /// On which path.
    pub(crate) others_path: &'s CanonicalPath<'s>,
    /// Claims that are no objects, so that what stands within one is an item of a list.
    pub(crate) no_objects: &'s [ClaimName],
}

/// Puts tokens together that meet an alternative on a path.
pub(super) struct Builder<'a> {
    beyond: &'a Beyond<'a>,
    /// By the names that lead there: claims that must be lists, and which of their items stand for no position that a
    /// pointer names. An item that a list contains stands behind these.
    lists: BTreeMap<Vec<&'a str>, usize>,
}

impl<'a> Builder<'a> {
    /// For an alternative that others may let through too.
    pub(super) fn new(beyond: &'a Beyond<'a>, alternative: Alternative<'a>) -> Self {
        let mut lists: BTreeMap<Vec<&str>, usize> =
            beyond.no_objects.iter().map(|name| (name.names(), 0)).collect();
        for condition in alternative.0 {
            if let Condition::Claim { name, test: ClaimTest::Contains(_) | ClaimTest::ContainsPath(_) } =
                condition
            {
                lists.insert(name.names(), 0);
            }
        }
        let others = beyond.others.iter().flat_map(|other| other.0);
        for condition in alternative.0.iter().chain(others) {
            let Condition::Claim { name, .. } = condition else { continue };
            let names = name.names();
            for (at, name) in names.iter().enumerate().skip(1) {
                let list = names.get(..at).and_then(|names| lists.get_mut(names));
                if let (Some(first), Some(position)) = (list, index(name).filter(|at| *at < LONGEST_LIST)) {
                    *first = (*first).max(position.saturating_add(1));
                }
            }
        }
        Self { beyond, lists }
    }

    /// In how many ways a token can meet a condition.
    pub(super) fn choices(&self, condition: &Condition) -> usize {
        match condition {
            Condition::AnyScope(scopes) => scopes.len(),
            Condition::AnyRole(roles) => roles.len(),
            Condition::AnyClient(clients) => clients.len(),
            Condition::Claim { test: ClaimTest::In(values), .. } => values.len(),
            Condition::Claim {
                test: ClaimTest::SameAsPath(parameter) | ClaimTest::ContainsPath(parameter),
                ..
            } => self.in_path(parameter).len(),
            Condition::Scope(_)
            | Condition::AllScopes(_)
            | Condition::Role(_)
            | Condition::Client(_)
            | Condition::Claim { test: ClaimTest::Is(_) | ClaimTest::Contains(_), .. } => 1,
        }
    }

    /// Whether what a list must contain may stand at a position that another condition names.
    pub(super) fn may_come_along(&self, condition: &Condition) -> bool {
        match condition {
            Condition::Claim { name, test: ClaimTest::Contains(_) | ClaimTest::ContainsPath(_) } => {
                self.lists.get(&name.names()).is_some_and(|first| *first > 0)
            }
            _ => false,
        }
    }

    /// The values that the path has at a parameter: a whole number is a text too.
    fn in_path(&self, parameter: &PathParameter) -> Vec<ClaimValue> {
        parameter.of(self.beyond.path).map(ClaimValue::in_path).unwrap_or_default()
    }

    /// Gives the token what meets the condition, by one of its choices; `false` where it carries something
    /// else already.
    pub(super) fn add(&self, token: &mut Permissions, condition: &Condition, choice: usize) -> bool {
        if condition.holds(&token.subject(), self.beyond.path) {
            return true;
        }
        match condition {
            Condition::Scope(scope) => add_scope(token, scope),
            Condition::AllScopes(scopes) => scopes.iter().all(|scope| add_scope(token, scope)),
            Condition::AnyScope(scopes) => scopes.get(choice).is_some_and(|scope| add_scope(token, scope)),
            Condition::Role(role) => self.add_role(token, role),
            Condition::AnyRole(roles) => roles.get(choice).is_some_and(|role| self.add_role(token, role)),
            Condition::Client(client) => set_client(token, client),
            Condition::AnyClient(clients) => {
                clients.get(choice).is_some_and(|client| set_client(token, client))
            }
            Condition::Claim { name, test } => {
                let value = match test {
                    ClaimTest::Is(value) | ClaimTest::Contains(value) => Some(value.clone()),
                    ClaimTest::In(values) => values.get(choice).cloned(),
                    ClaimTest::SameAsPath(parameter) | ClaimTest::ContainsPath(parameter) => {
                        self.in_path(parameter).into_iter().nth(choice)
                    }
                };
                let is_listed = matches!(test, ClaimTest::Contains(_) | ClaimTest::ContainsPath(_));
                value.is_some_and(|value| match (name, is_listed) {
                    (ClaimName::Sub, false) => set_sub(token, &value),
                    (ClaimName::Sub, true) => false,
                    (_, false) => self.set_claim(&mut token.claims, name, &value),
                    (_, true) => self.add_to_claim(&mut token.claims, name, &value),
                })
            }
        }
    }

    /// The token with what meets all of these conditions, by the first of their choices that go together.
    pub(super) fn complete(&self, token: &Permissions, open: &[&Condition]) -> Option<Permissions> {
        let Some((condition, further)) = open.split_first() else { return Some(token.clone()) };
        if condition.holds(&token.subject(), self.beyond.path) {
            return self.complete(token, further);
        }
        (0..self.choices(condition)).find_map(|choice| {
            let mut token = token.clone();
            if self.add(&mut token, condition, choice) { self.complete(&token, further) } else { None }
        })
    }

    pub(super) fn add_role(&self, token: &mut Permissions, role: &Role) -> bool {
        token.roles.push(role.clone());
        if let Some(scopes) = self.beyond.roles.get(role) {
            token.scopes.extend(scopes);
        }
        true
    }

    /// Gives the claim this value, unless it has another one.
    fn set_claim(&self, claims: &mut Map<String, Value>, name: &ClaimName, value: &ClaimValue) -> bool {
        match self.slot(claims, &name.names()) {
            Some(slot @ Value::Null) => {
                *slot = value.into();
                true
            }
            Some(_) | None => false,
        }
    }

    /// Adds to the claim's list, unless it is something else.
    fn add_to_claim(&self, claims: &mut Map<String, Value>, name: &ClaimName, value: &ClaimValue) -> bool {
        let names = name.names();
        let Some(slot) = self.slot(claims, &names) else { return false };
        if slot.is_null() {
            *slot = self.container(&names);
        }
        match slot {
            Value::Array(items) => {
                items.push(value.into());
                true
            }
            _ => false,
        }
    }

    /// Where a value belongs, with all in which it stands.
    fn slot<'t>(&self, claims: &'t mut Map<String, Value>, names: &[&str]) -> Option<&'t mut Value> {
        let (first, within) = names.split_first()?;
        let mut slot = claims.entry((*first).to_owned()).or_insert(Value::Null);
        for (depth, name) in (1..).zip(within) {
            if slot.is_null() {
                *slot = self.container(names.get(..depth)?);
            }
            slot = match slot {
                Value::Object(members) => members.entry((*name).to_owned()).or_insert(Value::Null),
                Value::Array(items) => items.get_mut(index(name)?)?,
                _ => return None,
            };
        }
        Some(slot)
    }

    /// A list where one is asked for, with nothing at the positions that pointers name; else an object, which meets less.
    fn container(&self, names: &[&str]) -> Value {
        match self.lists.get(names) {
            Some(first) => Value::Array(vec![Value::Null; *first]),
            None => Value::Object(Map::new()),
        }
    }
}

fn add_scope(token: &mut Permissions, scope: &Scope) -> bool {
    token.scopes.extend(&ScopeSet::from_iter([scope.clone()]));
    true
}

/// Names the client, which is the subject then, unless the token names another one.
fn set_client(token: &mut Permissions, client: &ClientId) -> bool {
    let is_first = token.client.is_none() && token.sub.as_ref().is_none_or(|sub| sub == client);
    if is_first {
        token.client = Some(client.clone());
        token.sub = Some(client.clone());
    }
    is_first
}

/// Names the subject, unless the token names another one.
fn set_sub(token: &mut Permissions, value: &ClaimValue) -> bool {
    let ClaimValue::Text(text) = value else { return false };
    let Ok(sub) = ClientId::parse(text) else { return false };
    token.sub.replace(sub).is_none()
}
