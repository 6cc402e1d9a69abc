//! What a document asks of who calls an operation.

use std::collections::BTreeSet;

use super::document::{self, DocumentText, NamedObjects, OpenApiDocument};

/// The alternatives of a need, each with all that it wants; one that wants nothing makes the operation public.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Need<'d>(Vec<BTreeSet<Wanted<'d>>>);

/// One thing that a caller must have.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Wanted<'d> {
    /// The document does not say what.
    Unsaid,
    /// What a security scheme gives, or one scope of it.
    Scheme { name: &'d str, scope: Option<&'d str> },
}

/// How many alternatives are made of two needs; beyond them, everything is wanted that one of them wants.
const MOST: usize = 16;

impl<'d> Need<'d> {
    pub(super) fn of(document: &'d OpenApiDocument, operation: &'d document::OperationObject) -> Self {
        let required = match (&operation.security, &document.security) {
            (Some(required), _) => {
                if required.is_empty() {
                    return Self(vec![BTreeSet::new()]);
                }
                required
            }
            // an empty list for all says nothing (OpenAPI 3.1.1 section 4.8.1.1)
            (None, Some(required)) => required,
            (None, None) => return Self::unsaid(),
        };
        let any_of: BTreeSet<BTreeSet<_>> = required
            .iter()
            .flatten()
            .map(|NamedObjects(schemes)| {
                schemes.iter().flat_map(|(name, scopes)| wanted(name, scopes.as_deref())).collect()
            })
            .collect();
        if any_of.is_empty() {
            return Self::unsaid();
        }
        if any_of.iter().any(BTreeSet::is_empty) {
            return Self(vec![BTreeSet::new()]);
        }
        Self(any_of.into_iter().collect())
    }

    /// Of what the document does not say it.
    pub(super) fn unsaid() -> Self {
        Self(vec![BTreeSet::from([Wanted::Unsaid])])
    }

    pub(super) fn is_public(&self) -> bool {
        self.0.iter().any(BTreeSet::is_empty)
    }

    pub(super) fn any_of(&self) -> impl Iterator<Item = &BTreeSet<Wanted<'d>>> {
        self.0.iter()
    }

    /// The security schemes of it.
    pub(super) fn schemes(&self) -> impl Iterator<Item = &'d str> {
        self.0.iter().flatten().filter_map(|wanted| match wanted {
            Wanted::Unsaid => None,
            Wanted::Scheme { name, .. } => Some(*name),
        })
    }

    /// Asks for what another asks for too.
    pub(super) fn add(&mut self, other: &Self) {
        if self == other {
            return;
        }
        match other.0.as_slice() {
            [all_of] => self.0.iter_mut().for_each(|ours| ours.extend(all_of)),
            any_of if any_of.len() * self.0.len() <= MOST => {
                let both = |ours: &BTreeSet<_>| any_of.iter().map(|theirs| ours | theirs).collect::<Vec<_>>();
                self.0 = self.0.iter().flat_map(both).collect();
            }
            any_of => {
                let all_of = self.0.drain(..).chain(any_of.iter().cloned()).flatten().collect();
                self.0 = vec![all_of];
            }
        }
    }

    /// Whether somebody who has not what the other asks for may have what this one does.
    pub(super) fn asks_less_than(&self, other: &Self) -> bool {
        let holds = |ours: &BTreeSet<_>, theirs: &BTreeSet<_>| {
            theirs.iter().all(|wanted| match wanted {
                Wanted::Unsaid => !ours.is_empty(),
                Wanted::Scheme { .. } => ours.contains(wanted),
            })
        };
        !self.0.iter().all(|ours| other.0.iter().any(|theirs| holds(ours, theirs)))
    }
}

fn wanted<'d>(name: &'d str, scopes: Option<&'d [DocumentText]>) -> Vec<Wanted<'d>> {
    match scopes {
        None | Some([]) => vec![Wanted::Scheme { name, scope: None }],
        Some(some) => {
            some.iter().map(|DocumentText(scope)| Wanted::Scheme { name, scope: Some(scope) }).collect()
        }
    }
}
