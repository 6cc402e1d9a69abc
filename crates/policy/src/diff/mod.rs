//! What an edit of the policies changes: who gains and who loses what.
//!
//! Exact for every request and token: the paths of each pair of an old and a new route are looked at by
//! the few that stand for all of them ([`super::space`]), and both engines are asked.

mod bearers;
mod clients;
mod federation;
mod lines;
mod report;
mod routes;
mod taken_over;

use std::{cmp::Ordering, collections::BTreeSet};

pub use federation::ForeignToken;
use jeton_oauth::ApiName;
pub use lines::DiffCounts;
use serde::Serialize;

use super::{
    compile::{PDP_SCOPE, PolicyDraft},
    guarantee::Guaranteed,
    rule::RulePlace,
    set::{BundleAccess, PdpState, PolicySet, ProtectedApi},
    space::Witness,
};

/// All that differs between two readings of policies.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct PolicyDiff {
    /// What it comes to.
    pub summary: DiffSummary,
    /// How many of the changes let somebody do more.
    pub gains: usize,
    /// How many let somebody do less.
    pub losses: usize,
    /// Each change: by API, those of routes first.
    pub changes: Vec<PolicyChange>,
}

/// What an edit comes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum DiffSummary {
    /// Somebody loses something, nobody gains.
    Narrows,
    /// Somebody gains something, nobody loses.
    Widens,
    /// Both.
    Both,
    /// Nobody gains or loses.
    Neither,
}

/// One change.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct PolicyChange {
    /// The API that it is about, if it is about one.
    pub api: Option<String>,
    /// Which kind of thing changes.
    pub kind: ChangeKind,
    /// Whether it is more or less.
    pub effect: ChangeEffect,
    /// For whom.
    pub who: ChangedFor,
    /// What changes: a route such as `GET /orders/{order}`, a scope, a secret.
    pub what: String,
    /// On which paths of the route, where not on all: `tenant is not acme`.
    #[serde(rename = "where")]
    pub on: Option<String>,
    /// The same with the client's claims in place of their values: `tenant is not its claim tenant`.
    #[serde(skip)]
    by_claims: Option<String>,
    /// Routes for which other rules decide on some of these paths, so that this says nothing of them.
    pub except: Vec<String>,
    /// The rule that decided before.
    pub before: Option<RulePlace>,
    /// The rule that decides after.
    pub after: Option<RulePlace>,
    /// A request on which the old and the new policies decide differently.
    pub witness: Option<Witness>,
    /// A token of another issuer that stands for the client only before or only after.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub foreign: Option<ForeignToken>,
}

/// Which kind of thing a change is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum ChangeKind {
    /// Requests that pass or do not.
    Route,
    /// A scope or role that a client may ask for.
    Grant,
    /// A client is there, enabled, anonymous, or not.
    Client,
    /// A secret or public key of a client.
    Credential,
    /// Tokens of other issuers that stand for a client.
    Federation,
    /// What a client may do beside fetching tokens for itself.
    Ability,
    /// Revoked tokens.
    Revocation,
    /// A claim in a client's tokens.
    Claim,
    /// The lifetime of a client's tokens.
    Ttl,
    /// How many tokens a client may ask for.
    Limit,
    /// The audience of an API.
    Audience,
    /// Who may fetch the bundle of an API.
    Bundle,
    /// Whether questions about an API are answered.
    Pdp,
    /// Whether an API takes only bound tokens.
    Binding,
    /// A guarantee.
    Guarantee,
}

/// Whether somebody may do more or less.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum ChangeEffect {
    /// More.
    Gains,
    /// Less.
    Loses,
    /// Something else, which no request shows by itself.
    Changes,
}

/// For whom something changes.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum ChangedFor {
    /// Everybody, without a token too.
    Everybody,
    /// The bearer of any token that carries this.
    AnyTokenWith(String),
    /// The bearer of any token that is bound to no key and no certificate.
    AnyUnboundToken,
    /// A client, with all that it is granted.
    Client(String),
    /// The bearer of the token with this `jti`.
    Token(String),
    /// The operators of the API.
    Operators,
}

/// How much a comparison may look at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum DiffEffort {
    /// Everything.
    Whole,
    /// What takes no longer than a reload may.
    Bounded,
}

impl PolicyDraft {
    /// What differs between these policies and `new` ones.
    pub fn difference(&self, new: &Self) -> PolicyDiff {
        self.difference_within(new, DiffEffort::Whole).unwrap_or_else(|| PolicyDiff::of(Vec::new()))
    }

    /// As [`Self::difference`]; `None` where that would take longer than [`DiffEffort::Bounded`] allows.
    pub fn difference_within(&self, new: &Self, effort: DiffEffort) -> Option<PolicyDiff> {
        let mut changes = changes(self.policies(), new.policies(), effort)?;
        let (old, new) = (self.guarantees(), new.guarantees());
        let names: BTreeSet<_> = old.keys().chain(new.keys()).collect();
        for (api, name) in names {
            let what = match (old.get(&(*api, name)), new.get(&(*api, name))) {
                (Some(old), Some(new)) if guarantee_the_same(old, new) => continue,
                (Some(_), Some(_)) => "is changed",
                (Some(_), None) => "is removed",
                (None, _) => "is added",
            };
            changes.push(PolicyChange {
                api: Some(api.to_string()),
                what: format!("guarantee {name} {what}"),
                ..PolicyChange::of(ChangeKind::Guarantee, ChangeEffect::Changes, ChangedFor::Operators)
            });
        }
        Some(PolicyDiff::of(changes))
    }
}

fn guarantee_the_same(old: &[Guaranteed], new: &[Guaranteed]) -> bool {
    old.len() == new.len() && old.iter().zip(new).all(|(old, new)| old.guarantees_the_same(new))
}

impl PolicySet {
    /// What differs between these policies and `new` ones, guarantees left out; `None` where that would
    /// take longer than [`DiffEffort::Bounded`] allows.
    pub fn difference(&self, new: &Self, effort: DiffEffort) -> Option<PolicyDiff> {
        changes(self, new, effort).map(PolicyDiff::of)
    }
}

fn changes(old: &PolicySet, new: &PolicySet, effort: DiffEffort) -> Option<Vec<PolicyChange>> {
    let mut changes = Vec::new();
    let mut budget = Budget(match effort {
        DiffEffort::Whole => None,
        DiffEffort::Bounded => Some(500_000),
    });
    let names: BTreeSet<_> = old.apis().keys().chain(new.apis().keys()).collect();
    for name in names {
        let (before, after) = (old.apis().get(name), new.apis().get(name));
        if let (Some(before), Some(after)) =
            (before.map(ProtectedApi::audience), after.map(ProtectedApi::audience))
            && before != after
        {
            changes.push(PolicyChange {
                api: Some(name.to_string()),
                what: format!("audience, from {before} to {after}"),
                ..PolicyChange::of(ChangeKind::Audience, ChangeEffect::Changes, ChangedFor::Operators)
            });
        }
        compare_bundles(name, [before, after], &mut changes);
        changes.extend(before.zip(after).and_then(|(before, after)| compare_binding(before, after)));
        let answers = |api: Option<&ProtectedApi>| api.is_some_and(|api| api.pdp() == PdpState::On);
        if let Some(effect) = ChangeEffect::between(answers(before), answers(after)) {
            let who = ChangedFor::AnyTokenWith(format!("scope: {PDP_SCOPE}"));
            changes.push(PolicyChange {
                api: Some(name.to_string()),
                what: "answers about what its clients may do: `pdp`".to_owned(),
                ..PolicyChange::of(ChangeKind::Pdp, effect, who)
            });
        }
        budget.spend(old.clients().len() + new.clients().len())?;
        routes::compare(old, new, name, &mut budget, &mut changes)?;
    }
    clients::compare(old, new, &mut changes);
    federation::compare(old, new, &mut budget, &mut changes)?;
    Some(changes)
}

/// Who may newly fetch the bundle of an API, and who may not any more.
fn compare_bundles(
    name: &ApiName,
    [before, after]: [Option<&ProtectedApi>; 2],
    into: &mut Vec<PolicyChange>,
) {
    let [before, after] = [before, after].map(|api| api.and_then(ProtectedApi::bundle_access));
    let is_public = |access| access == Some(BundleAccess::Public);
    let who = if is_public(before) || is_public(after) {
        ChangedFor::Everybody
    } else {
        ChangedFor::AnyTokenWith("scope: jeton:policies".to_owned())
    };
    // from `public` to `clients` everybody else loses it
    let rank = |access| match access {
        None => 0,
        Some(BundleAccess::Clients) => 1,
        Some(BundleAccess::Public) => 2,
    };
    let effect = match rank(before).cmp(&rank(after)) {
        Ordering::Equal => return,
        Ordering::Less => ChangeEffect::Gains,
        Ordering::Greater => ChangeEffect::Loses,
    };
    into.push(PolicyChange {
        api: Some(name.to_string()),
        what: format!("the bundle of {name}, which shows its rules and names its clients"),
        ..PolicyChange::of(ChangeKind::Bundle, effect, who)
    });
}

/// Whether tokens that are not bound are newly taken, or not any more.
fn compare_binding(before: &ProtectedApi, after: &ProtectedApi) -> Option<PolicyChange> {
    let effect = ChangeEffect::between(!before.bound_tokens(), !after.bound_tokens())?;
    let taken_by = if effect == ChangeEffect::Gains { after } else { before };
    // where every route is public, a token of any kind opens nothing
    let is_of_use = taken_by.routes.access.iter().any(|route| !route.access.is_public());
    let (effect, who, what) = if is_of_use {
        (effect, ChangedFor::AnyUnboundToken, "all that it opens here: `bound_tokens`".to_owned())
    } else {
        let [before, after] = [before, after].map(ProtectedApi::bound_tokens);
        let what = format!("`bound_tokens`, from {before} to {after}");
        (ChangeEffect::Changes, ChangedFor::Operators, what)
    };
    Some(PolicyChange {
        api: Some(after.name.to_string()),
        what,
        ..PolicyChange::of(ChangeKind::Binding, effect, who)
    })
}

/// How many more questions may be asked. `None`: any number.
struct Budget(Option<usize>);

impl Budget {
    fn spend(&mut self, questions: usize) -> Option<()> {
        if let Some(left) = &mut self.0 {
            *left = left.checked_sub(questions)?;
        }
        Some(())
    }
}

impl PolicyDiff {
    fn of(mut changes: Vec<PolicyChange>) -> Self {
        changes.sort_by(|a, b| a.order().cmp(&b.order()));
        changes.dedup();
        let count = |effect| changes.iter().filter(|change| change.effect == effect).count();
        let (gains, losses) = (count(ChangeEffect::Gains), count(ChangeEffect::Loses));
        let summary = match (gains, losses) {
            (0, 0) => DiffSummary::Neither,
            (_, 0) => DiffSummary::Widens,
            (0, _) => DiffSummary::Narrows,
            (_, _) => DiffSummary::Both,
        };
        Self { summary, gains, losses, changes }
    }

    /// Whether nothing differs.
    pub fn is_empty(&self) -> bool {
        self.changes.is_empty()
    }
}

impl PolicyChange {
    fn of(kind: ChangeKind, effect: ChangeEffect, who: ChangedFor) -> Self {
        Self {
            api: None,
            kind,
            effect,
            who,
            what: String::new(),
            on: None,
            by_claims: None,
            except: Vec::new(),
            before: None,
            after: None,
            witness: None,
            foreign: None,
        }
    }
}

impl PolicyChange {
    fn order(&self) -> impl Ord + use<'_> {
        (&self.api, self.kind, self.effect, &self.who, &self.what, &self.on, &self.before, &self.after)
    }

    fn on(&self) -> Option<&str> {
        self.on.as_deref()
    }

    fn on_by_claims(&self) -> Option<&str> {
        self.by_claims.as_deref().or(self.on())
    }
}

impl ChangeEffect {
    /// More if it is so `after` and was not `before`.
    fn between(before: bool, after: bool) -> Option<Self> {
        match (before, after) {
            (false, true) => Some(Self::Gains),
            (true, false) => Some(Self::Loses),
            (true, true) | (false, false) => None,
        }
    }
}
