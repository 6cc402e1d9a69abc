//! The smallest tokens that meet an alternative.

use std::{fmt, ops::ControlFlow};

use serde::Serialize;
use serde_json::{Map, Value};

use super::build::{Beyond, Builder};
use crate::{
    claim::ClaimName,
    condition::{Alternative, ClaimTest, Condition},
    subject::Permissions,
};

/// What a token in a witness carries.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct WitnessToken {
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

impl From<&Permissions> for WitnessToken {
    fn from(permissions: &Permissions) -> Self {
        let Permissions { client, sub, scopes, roles, claims } = permissions;
        let mut claims = claims.clone();
        // where it names a client, that is the subject
        let sub = sub.as_ref().filter(|sub| client.as_ref() != Some(sub));
        claims.extend(sub.map(|sub| ("sub".to_owned(), sub.as_str().into())));
        Self {
            client: client.as_ref().map(ToString::to_string),
            scopes: scopes.iter().map(ToString::to_string).collect(),
            roles: roles.iter().map(ToString::to_string).collect(),
            claims,
        }
    }
}

impl fmt::Display for WitnessToken {
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
            Value::String(text) => format!("claim {name} = `{text}`"),
            other => format!("claim {name} = {other}"),
        }));
        f.write_str(&parts.join(", "))
    }
}

impl Beyond<'_> {
    /// A token, if there is one.
    pub(crate) fn first(&self, alternative: Alternative<'_>) -> Option<Permissions> {
        let mut found = None;
        self.search(alternative, &mut |part| {
            found = Some(part.token);
            ControlFlow::Break(())
        });
        found
    }

    /// All of them, as few tokens with the words for what they stand for: those of the alternative where it
    /// is beyond the others as a whole.
    pub(crate) fn all(&self, alternative: Alternative<'_>) -> Vec<(String, Permissions)> {
        let mut found = Vec::new();
        let is_whole = self.search(alternative, &mut |part| {
            found.push((part.words(), part.token));
            ControlFlow::Continue(())
        });
        if is_whole {
            let words: Vec<_> = alternative.0.iter().map(ToString::to_string).collect();
            found = found.into_iter().take(1).map(|(_, token)| (words.join(", "), token)).collect();
        }
        found
    }

    /// Visits what is beyond; tells whether no smallest token of the alternative is not.
    fn search(
        &self,
        alternative: Alternative<'_>,
        visit: &mut dyn FnMut(Part<'_>) -> ControlFlow<()>,
    ) -> bool {
        let mut token = Permissions::default();
        let builder = Builder::new(self, alternative);
        let (mut open, certain): (Vec<_>, Vec<_>) = alternative
            .0
            .iter()
            .partition(|condition| builder.choices(condition) > 1 || builder.may_come_along(condition));
        // a role brings scopes along, a client is the subject, and an item at a position is one that the list contains, so
        // each is chosen before what it brings
        open.sort_by_key(|condition| match condition {
            condition if builder.may_come_along(condition) => 4,
            Condition::AnyScope(_) => 3,
            Condition::AnyRole(_) => 2,
            Condition::Claim { name: ClaimName::Sub, .. } => 1,
            _ => 0,
        });
        let is_possible = certain.into_iter().all(|condition| builder.add(&mut token, condition, 0));
        if alternative.0.is_empty() || !is_possible {
            return false;
        }
        let mut search = Search { beyond: self, builder: &builder, is_whole: true, visit };
        let _ = search.extend(Part { token: token.clone(), told: token, narrowed: Vec::new(), open });
        search.is_whole
    }
}

/// Some smallest tokens of an alternative.
struct Part<'c> {
    /// One of them, without what is open.
    token: Permissions,
    /// What all of them carry.
    told: Permissions,
    /// Conditions of which some choices are left, in words; `token` has the first of these.
    narrowed: Vec<String>,
    /// Conditions of which all choices are left.
    open: Vec<&'c Condition>,
}

impl Part<'_> {
    fn words(&self) -> String {
        let told = Some(WitnessToken::from(&self.told).to_string()).filter(|told| !told.is_empty());
        let open = self.open.iter().map(ToString::to_string);
        told.into_iter().chain(self.narrowed.iter().cloned()).chain(open).collect::<Vec<_>>().join(", ")
    }
}

/// A token with one choice of a condition.
struct Chosen {
    choice: usize,
    token: Permissions,
}

struct Search<'a> {
    beyond: &'a Beyond<'a>,
    builder: &'a Builder<'a>,
    /// Whether nothing was found that is not beyond.
    is_whole: bool,
    visit: &'a mut dyn FnMut(Part<'_>) -> ControlFlow<()>,
}

impl Search<'_> {
    /// Looks at a part, and where some of it is beyond and some is not, at smaller ones.
    fn extend(&mut self, mut part: Part<'_>) -> ControlFlow<()> {
        let (beyond, builder) = (self.beyond, self.builder);
        part.open.retain(|condition| !condition.holds(&part.token.subject(), beyond.path));
        // by open condition and choice what the token carries then; none where it carries something else already
        let with = |condition: &&Condition| -> Vec<Chosen> {
            let each = (0..builder.choices(condition)).filter_map(|choice| {
                let mut token = part.token.clone();
                builder.add(&mut token, condition, choice).then_some(Chosen { choice, token })
            });
            each.collect()
        };
        let mut further: Vec<_> = part.open.iter().map(with).collect();
        if further.iter().any(Vec::is_empty) {
            return ControlFlow::Continue(());
        }
        // scopes that every role brings are no choice
        let is_brought = |(at, condition): (usize, &&Condition)| {
            let brings = |token: &Permissions| condition.holds(&token.subject(), beyond.path);
            further.iter().take(at).any(|chosen| chosen.iter().all(|chosen| brings(&chosen.token)))
        };
        let brought: Vec<_> = part.open.iter().enumerate().map(is_brought).collect();
        let mut is_open = brought.iter().map(|brought| !brought);
        part.open.retain(|_| is_open.next().unwrap_or(true));
        let mut is_open = brought.iter().map(|brought| !brought);
        further.retain(|_| is_open.next().unwrap_or(true));
        let is_covered = |other: &Alternative<'_>| {
            beyond.others_hold(*other, |holds| {
                holds(&part.token)
                    || further.iter().any(|chosen| chosen.iter().all(|chosen| holds(&chosen.token)))
            })
        };
        if beyond.others.iter().any(is_covered) {
            self.is_whole = false;
            return ControlFlow::Continue(());
        }
        let most = self.most(&part);
        let may_hold = |other: &&Alternative<'_>| {
            beyond.others_hold(**other, |holds| {
                holds(&most) || further.iter().flatten().any(|chosen| holds(&chosen.token))
            })
        };
        let possible: Vec<_> = beyond.others.iter().filter(may_hold).copied().collect();
        let groups = further.iter().map(|chosen| self.alike(chosen, &part.open, &possible));
        let told_apart = groups.enumerate().find(|(_, groups)| groups.len() > 1);
        let Some((at, groups)) = told_apart.filter(|_| !possible.is_empty()) else {
            // all of it is alike
            let mut open = part.open.clone();
            // what may go wrong together stands together, and what cannot go wrong behind it
            open.sort_by_key(|condition| match condition {
                Condition::AnyScope(_) | Condition::AnyRole(_) => (1, ""),
                Condition::Claim { name, .. } => (0, name.root()),
                _ => (0, ""),
            });
            let Some(token) = builder.complete(&part.token, &open) else {
                return ControlFlow::Continue(());
            };
            part.token = token;
            if possible.iter().any(|other| other.holds(&part.token.subject(), beyond.others_path)) {
                self.is_whole = false;
                return ControlFlow::Continue(());
            }
            return (self.visit)(part);
        };
        let next = part.open.remove(at);
        for group in groups {
            let chosen = further.get(at).map(Vec::as_slice).unwrap_or_default();
            let Some(first) = group.first().and_then(|first| chosen.get(*first)) else { continue };
            let choices: Vec<_> = group.iter().filter_map(|at| Some(chosen.get(*at)?.choice)).collect();
            let (mut told, mut narrowed) = (part.told.clone(), part.narrowed.clone());
            match choices.as_slice() {
                [choice] => drop(builder.add(&mut told, next, *choice)),
                several => narrowed.extend(narrow(next, several)),
            }
            self.extend(Part { token: first.token.clone(), told, narrowed, open: part.open.clone() })?;
        }
        ControlFlow::Continue(())
    }

    /// Choices, by their position, by what the open conditions and the others can tell of them.
    fn alike(&self, chosen: &[Chosen], open: &[&Condition], others: &[Alternative<'_>]) -> Vec<Vec<usize>> {
        let Beyond { path, others_path, .. } = *self.beyond;
        let mut groups: Vec<(Vec<bool>, Vec<usize>)> = Vec::new();
        for (at, Chosen { token, .. }) in chosen.iter().enumerate() {
            let subject = token.subject();
            let mut told: Vec<bool> = open.iter().map(|condition| condition.holds(&subject, path)).collect();
            for condition in others.iter().flat_map(|other| other.0) {
                match condition {
                    // of which several choices may bring some each
                    Condition::AllScopes(scopes) => {
                        told.extend(scopes.iter().map(|scope| token.scopes.contains(scope)));
                    }
                    _ => told.push(condition.holds(&subject, others_path)),
                }
            }
            match groups.iter_mut().find(|(other, _)| *other == told) {
                Some((_, group)) => group.push(at),
                None => groups.push((told, vec![at])),
            }
        }
        groups.into_iter().map(|(_, group)| group).collect()
    }

    /// The token with every open scope and role at once.
    fn most(&self, part: &Part<'_>) -> Permissions {
        let mut most = part.token.clone();
        for condition in &part.open {
            match condition {
                Condition::AnyScope(scopes) => most.scopes.extend(&scopes.iter().cloned().collect()),
                Condition::AnyRole(roles) => {
                    for role in roles {
                        self.builder.add_role(&mut most, role);
                    }
                }
                _ => {}
            }
        }
        most
    }
}

impl Beyond<'_> {
    /// Whether `is_so` of each condition of an alternative of the other side.
    fn others_hold(
        &self,
        other: Alternative<'_>,
        is_so: impl Fn(&dyn Fn(&Permissions) -> bool) -> bool,
    ) -> bool {
        let mut conditions = other.0.iter();
        !other.0.is_empty()
            && conditions.all(|condition| {
                is_so(&|token: &Permissions| condition.holds(&token.subject(), self.others_path))
            })
    }
}

/// A condition with some of its choices, in words.
fn narrow(condition: &Condition, choices: &[usize]) -> Option<String> {
    fn some<T: Clone>(items: &[T], choices: &[usize]) -> Box<[T]> {
        choices.iter().filter_map(|choice| items.get(*choice)).cloned().collect()
    }
    let narrowed = match condition {
        Condition::AnyScope(scopes) => Condition::AnyScope(some(scopes, choices)),
        Condition::AnyRole(roles) => Condition::AnyRole(some(roles, choices)),
        Condition::AnyClient(clients) => Condition::AnyClient(some(clients, choices)),
        Condition::Claim { name, test: ClaimTest::In(values) } => {
            Condition::Claim { name: name.clone(), test: ClaimTest::In(some(values, choices)) }
        }
        _ => return None,
    };
    Some(narrowed.to_string())
}
