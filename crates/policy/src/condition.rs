//! What a rule asks of a subject: alternatives, each a list of conditions that must all hold.
//!
//! There is no negation: whatever holds for a token still holds when the token carries more.

use std::{fmt, sync::Arc};

use jeton_oauth::{ClientId, Role, Scope, ScopeSet};

use super::{
    claim::{Claim, ClaimName, ClaimValue, Item, Types},
    path::CanonicalPath,
    route::ParameterPlace,
    subject::Subject,
};

/// One thing that must hold of a subject, on the paths of one route.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum Condition {
    Scope(Scope),
    AllScopes(Box<[Scope]>),
    AnyScope(Box<[Scope]>),
    Role(Role),
    AnyRole(Box<[Role]>),
    Client(ClientId),
    AnyClient(Box<[ClientId]>),
    Claim { name: ClaimName, test: ClaimTest },
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum ClaimTest {
    Is(ClaimValue),
    In(Box<[ClaimValue]>),
    Contains(ClaimValue),
    SameAsPath(PathParameter),
    ContainsPath(PathParameter),
}

/// A parameter of the path: its name, and its place in the route; `None` as long as no route was looked at.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct PathParameter {
    pub(super) name: Arc<str>,
    pub(super) place: Option<ParameterPlace>,
}

impl PathParameter {
    /// What a path has there.
    pub(super) fn of<'p>(&self, path: &'p CanonicalPath<'_>) -> Option<&'p str> {
        self.place?.of(path)
    }
}

/// Conditions of which all must hold.
#[derive(Clone, Copy, Debug)]
pub(super) struct Alternative<'c>(pub(super) &'c [Condition]);

/// Whether both ask the same on the same paths, in the same order, whatever a route calls its parameters.
pub(super) fn ask_the_same<'c>(
    one: impl IntoIterator<Item = Alternative<'c>>,
    other: impl IntoIterator<Item = Alternative<'c>>,
) -> bool {
    let (mut one, mut other) = (one.into_iter(), other.into_iter());
    loop {
        match (one.next(), other.next()) {
            (None, None) => return true,
            (Some(one), Some(other)) if one.asks_the_same(other) => {}
            _ => return false,
        }
    }
}

impl Alternative<'_> {
    fn asks_the_same(self, other: Alternative<'_>) -> bool {
        self.0.len() == other.0.len()
            && self.0.iter().zip(other.0).all(|(one, other)| one.asks_the_same(other))
    }

    /// Whether all hold. No condition is no permission.
    pub(super) fn holds(self, subject: &Subject<'_>, path: &CanonicalPath<'_>) -> bool {
        !self.0.is_empty() && self.0.iter().all(|condition| condition.holds(subject, path))
    }

    /// Whether all hold that do not depend on the path, so that there may be a path on which all do.
    pub(super) fn may_hold(self, subject: &Subject<'_>) -> bool {
        let Ok(anywhere) = CanonicalPath::parse("/") else { return false };
        !self.0.is_empty()
            && self.0.iter().all(|condition| match condition {
                Condition::Claim { name, test: ClaimTest::SameAsPath(_) | ClaimTest::ContainsPath(_) } => {
                    name.find(subject).is_some()
                }
                other => other.holds(subject, &anywhere),
            })
    }

    /// Whether one of its conditions is about a parameter that stands at one of these places.
    pub(super) fn looks_at(self, places: &[ParameterPlace]) -> bool {
        self.0.iter().any(|condition| condition.looks_at(places))
    }

    /// The conditions that do not hold, as the policy file has them: those on `absent` parameters among them.
    pub(super) fn missing(
        self,
        subject: &Subject<'_>,
        path: &CanonicalPath<'_>,
        absent: &[ParameterPlace],
    ) -> Vec<String> {
        let fails = |condition: &&Condition| condition.looks_at(absent) || !condition.holds(subject, path);
        self.0.iter().filter(fails).map(ToString::to_string).collect()
    }

    /// The scopes that would be enough, if nothing else is missing.
    pub(super) fn scopes_that_would_do(
        self,
        subject: &Subject<'_>,
        path: &CanonicalPath<'_>,
    ) -> Option<ScopeSet> {
        let mut needed = Vec::new();
        for condition in self.0 {
            match condition {
                Condition::Scope(scope) => needed.push(scope.clone()),
                Condition::AllScopes(scopes) => needed.extend(scopes.iter().cloned()),
                Condition::AnyScope(scopes) => {
                    let held = scopes.iter().find(|scope| subject.scopes.contains(scope));
                    needed.extend(held.or(scopes.first()).cloned());
                }
                other if other.holds(subject, path) => {}
                _ => return None,
            }
        }
        Some(needed.into_iter().collect())
    }
}

impl Condition {
    pub(super) fn holds(&self, subject: &Subject<'_>, path: &CanonicalPath<'_>) -> bool {
        match self {
            Self::Scope(scope) => subject.scopes.contains(scope),
            Self::AllScopes(scopes) => scopes.iter().all(|scope| subject.scopes.contains(scope)),
            Self::AnyScope(scopes) => scopes.iter().any(|scope| subject.scopes.contains(scope)),
            Self::Role(role) => subject.roles.contains(role),
            Self::AnyRole(roles) => roles.iter().any(|role| subject.roles.contains(role)),
            Self::Client(client) => subject.client == Some(client),
            Self::AnyClient(clients) => subject.client.is_some_and(|client| clients.contains(client)),
            Self::Claim { name, test } => name.find(subject).is_some_and(|claim| test.holds(claim, path)),
        }
    }

    /// What was found where this does not hold, if the condition itself does not tell.
    pub(super) fn found(&self, subject: &Subject<'_>, path: &CanonicalPath<'_>) -> Option<String> {
        match self {
            Self::Scope(_) | Self::AnyScope(_) | Self::Role(_) | Self::AnyRole(_) => None,
            Self::AllScopes(scopes) => {
                let lacking: Vec<_> = scopes
                    .iter()
                    .filter(|scope| !subject.scopes.contains(scope))
                    .map(Scope::as_str)
                    .collect();
                (lacking.len() < scopes.len()).then(|| format!("{} is not there", lacking.join(", ")))
            }
            Self::Client(_) | Self::AnyClient(_) => {
                subject.client.map(|client| format!("the client is `{client}`"))
            }
            Self::Claim { name, test } => {
                let Some(claim) = name.find(subject) else {
                    return Some("there is no such claim".to_owned());
                };
                let segment = self.parameter().and_then(|parameter| parameter.of(path));
                let but = match segment {
                    _ if !test.types().meets(Types::of(claim)) => format!(", {}", test.types().but(claim)),
                    Some(segment) => format!(", and the path has `{segment}`"),
                    None => String::new(),
                };
                Some(format!("the claim is {claim}{but}"))
            }
        }
    }

    /// Whether both ask the same on the same paths: the same place is the same parameter, whatever its name.
    fn asks_the_same(&self, other: &Self) -> bool {
        use ClaimTest::{ContainsPath, SameAsPath};

        match (self, other) {
            (
                Self::Claim { name, test: SameAsPath(own) },
                Self::Claim { name: other, test: SameAsPath(others) },
            )
            | (
                Self::Claim { name, test: ContainsPath(own) },
                Self::Claim { name: other, test: ContainsPath(others) },
            ) => name == other && own.place == others.place,
            _ => self == other,
        }
    }

    /// Whether it is about a parameter that stands at one of these places.
    fn looks_at(&self, places: &[ParameterPlace]) -> bool {
        let place = self.parameter().and_then(|parameter| parameter.place);
        place.is_some_and(|place| places.contains(&place))
    }

    /// The parameter of the path that it names, if it does.
    pub(super) fn parameter(&self) -> Option<&PathParameter> {
        match self {
            Self::Claim {
                test: ClaimTest::SameAsPath(parameter) | ClaimTest::ContainsPath(parameter),
                ..
            } => Some(parameter),
            _ => None,
        }
    }

    /// As [`Self::parameter`], to be placed.
    pub(super) fn parameter_mut(&mut self) -> Option<&mut PathParameter> {
        match self {
            Self::Claim {
                test: ClaimTest::SameAsPath(parameter) | ClaimTest::ContainsPath(parameter),
                ..
            } => Some(parameter),
            _ => None,
        }
    }
}

impl ClaimTest {
    fn holds(&self, claim: Claim<'_>, path: &CanonicalPath<'_>) -> bool {
        match self {
            Self::SameAsPath(parameter) => parameter.of(path).is_some_and(|text| claim.is_in_path(text)),
            Self::ContainsPath(parameter) => parameter
                .of(path)
                .is_some_and(|text| claim.items().iter().any(|item| Claim::of(item).is_in_path(text))),
            Self::Is(_) | Self::In(_) | Self::Contains(_) => self.holds_anywhere(claim),
        }
    }

    /// Whether it holds whatever the path is.
    pub(super) fn holds_anywhere(&self, claim: Claim<'_>) -> bool {
        match self {
            Self::Is(value) => value.is(claim),
            Self::In(values) => values.iter().any(|value| value.is(claim)),
            Self::Contains(value) => claim.items().iter().any(|item| value.is(Claim::of(item))),
            Self::SameAsPath(_) | Self::ContainsPath(_) => false,
        }
    }

    /// The values that it names.
    pub(super) fn values(&self) -> &[ClaimValue] {
        match self {
            Self::Is(value) | Self::Contains(value) => std::slice::from_ref(value),
            Self::In(values) => values,
            Self::SameAsPath(_) | Self::ContainsPath(_) => &[],
        }
    }

    /// The types of claims for which it may hold.
    pub(super) fn types(&self) -> Types {
        let named = || self.values().iter().map(Types::of_value).fold(Types::default(), Types::or);
        match self {
            Self::Is(_) | Self::In(_) => named(),
            Self::Contains(_) => named().listed(),
            Self::SameAsPath(_) => Types::TEXT.or(Types::NUMBER),
            Self::ContainsPath(_) => Types::TEXT.or(Types::NUMBER).listed(),
        }
    }
}

impl fmt::Display for Condition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Scope(scope) => write!(f, "scope: {scope}"),
            Self::AllScopes(scopes) => write!(f, "all_scopes: [{}]", Listed(scopes)),
            Self::AnyScope(scopes) => write!(f, "any_scope: [{}]", Listed(scopes)),
            Self::Role(role) => write!(f, "role: {role}"),
            Self::AnyRole(roles) => write!(f, "any_role: [{}]", Listed(roles)),
            Self::Client(client) => write!(f, "client: {client}"),
            Self::AnyClient(clients) => write!(f, "any_client: [{}]", Listed(clients)),
            Self::Claim { name, test } => write!(f, "claims.{name} {test}"),
        }
    }
}

impl fmt::Display for ClaimTest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Is(value) => write!(f, "is {value}"),
            Self::In(values) => {
                let values: Vec<_> = values.iter().map(Item).collect();
                write!(f, "in [{}]", Listed(&values))
            }
            Self::Contains(value) => write!(f, "contains {value}"),
            Self::SameAsPath(path) => write!(f, "same_as_path `{}`", path.name),
            Self::ContainsPath(path) => write!(f, "contains_path `{}`", path.name),
        }
    }
}

struct Listed<'l, T>(&'l [T]);

impl<T: fmt::Display> fmt::Display for Listed<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (position, item) in self.0.iter().enumerate() {
            let comma = if position > 0 { ", " } else { "" };
            write!(f, "{comma}{item}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn same_as(name: &str, place: Option<ParameterPlace>) -> Condition {
        let parameter = PathParameter { name: name.into(), place };
        Condition::Claim { name: ClaimName::Sub, test: ClaimTest::SameAsPath(parameter) }
    }

    #[test]
    fn parameters_of_other_names_ask_the_same_and_are_not_equal() {
        let place = |segment| Some(ParameterPlace { segment, ending: 0 });
        let [one, renamed, moved] = [("a", place(1)), ("b", place(1)), ("a", place(2))]
            .map(|(name, place)| vec![same_as(name, place)]);
        let same = |one: &Vec<Condition>, other: &Vec<Condition>| {
            ask_the_same([Alternative(one)], [Alternative(other)])
        };
        assert!(same(&one, &renamed) && one != renamed);
        assert!(!same(&one, &moved) && one != moved);
        let longer = [one.clone(), renamed.clone()].concat();
        assert!(!same(&one, &longer) && !same(&longer, &one));
        assert!(!ask_the_same([Alternative(&one)], []));
    }
}
