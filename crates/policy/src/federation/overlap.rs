//! Tokens that could stand for two clients.
//!
//! Conditions are exact and none is negated, so two entries of one issuer share a token unless they want different things
//! of one claim. Not every pair is looked at: entries are parted by the values that they want of a claim, and only those
//! that lie together, or want nothing of it, can meet.

use std::collections::{BTreeMap, BTreeSet};

use jeton_oauth::{ClientId, IssuerName};
use rustc_hash::FxHashSet;
use serde_json::{Map, Value};

use super::terms::FederatedTerms;
use crate::{
    claim::{ClaimName, ClaimValue, LONGEST_LIST, index},
    condition::ClaimTest,
};

/// An entry of `federated`, and the client that it is of.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Contender<'c> {
    pub(crate) client: &'c ClientId,
    pub(crate) terms: &'c FederatedTerms,
}

/// Two entries, by their position, that one token meets.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Overlap {
    pub(crate) one: usize,
    pub(crate) other: usize,
    /// The claims of such a token that conditions are about.
    pub(crate) claims: Map<String, Value>,
}

/// The most that is told. Where one mistake makes all clients alike, every pair says the same.
const MOST_TOLD: usize = 100;

/// For every two clients that one token could stand for, one such token; in the order of the entries.
pub(crate) fn overlaps(contenders: &[Contender<'_>]) -> Vec<Overlap> {
    let mut by_issuer: BTreeMap<&IssuerName, Vec<usize>> = BTreeMap::new();
    for (at, contender) in contenders.iter().enumerate() {
        by_issuer.entry(contender.terms.issuer()).or_default().push(at);
    }
    let mut found = Vec::new();
    for of_issuer in by_issuer.values() {
        let mut search = Search::new(contenders, of_issuer, MOST_TOLD.saturating_sub(found.len()));
        let all: Vec<_> = (0..search.entries.len()).collect();
        search.within(&all, &[]);
        found.append(&mut search.found);
    }
    found.sort_by_key(|overlap| (overlap.other, overlap.one));
    found
}

/// The claims of which an entry wants what no token has; `None` where some token meets it.
pub(crate) fn conflict(terms: &FederatedTerms) -> Option<Vec<&ClaimName>> {
    let wanted = wanted(terms);
    if token(&wanted).is_some() {
        return None;
    }
    let alone = wanted
        .iter()
        .find(|(name, wanted)| token(&WantedClaims::from([(**name, Wanted::clone(wanted))])).is_none());
    if let Some((name, _)) = alone {
        return Some(vec![name]);
    }
    // claims that stand within each other
    let related = |one: &ClaimName, other: &ClaimName| {
        one.names().starts_with(&other.names()) || other.names().starts_with(&one.names())
    };
    let names = wanted.keys().copied();
    Some(names.filter(|one| wanted.keys().any(|other| one != other && related(one, other))).collect())
}

fn wanted(terms: &FederatedTerms) -> WantedClaims<'_> {
    let mut wanted = WantedClaims::new();
    for (name, test) in terms.tests() {
        wanted.entry(name).or_default().add(test);
    }
    wanted
}

/// What an entry wants of one claim.
#[derive(Clone, Debug, Default)]
struct Wanted<'c> {
    /// The values of which it must be one.
    values: Option<BTreeSet<&'c ClaimValue>>,
    /// What it must contain.
    items: BTreeSet<&'c ClaimValue>,
}

impl<'c> Wanted<'c> {
    fn add(&mut self, test: &'c ClaimTest) {
        match test {
            ClaimTest::Contains(value) => drop(self.items.insert(value)),
            test => self.narrow(&test.values().iter().collect()),
        }
    }

    fn narrow(&mut self, values: &BTreeSet<&'c ClaimValue>) {
        self.values = Some(match &self.values {
            Some(own) => own.intersection(values).copied().collect(),
            None => values.clone(),
        });
    }
}

/// What an entry wants, by claim.
type WantedClaims<'c> = BTreeMap<&'c ClaimName, Wanted<'c>>;

/// The entries of one issuer that some token meets.
struct Search<'c> {
    entries: Vec<Entry<'c>>,
    /// The clients of which two are told of.
    told: FxHashSet<(&'c ClientId, &'c ClientId)>,
    found: Vec<Overlap>,
    most: usize,
}

struct Entry<'c> {
    at: usize,
    client: &'c ClientId,
    wanted: WantedClaims<'c>,
}

impl<'c> Search<'c> {
    fn new(contenders: &[Contender<'c>], of_issuer: &[usize], most: usize) -> Self {
        let entries = of_issuer.iter().filter_map(|at| {
            let Contender { client, terms } = *contenders.get(*at)?;
            let wanted = wanted(terms);
            token(&wanted).map(|_| Entry { at: *at, client, wanted })
        });
        Self { entries: entries.collect(), told: FxHashSet::default(), found: Vec::new(), most }
    }

    fn is_done(&self) -> bool {
        self.found.len() >= self.most
    }

    fn entry(&self, position: usize) -> Option<&Entry<'c>> {
        self.entries.get(position)
    }

    /// Looks at every two of these. They are parted by claims other than those of `parted`.
    fn within(&mut self, all: &[usize], parted: &[&'c ClaimName]) {
        let clients: FxHashSet<_> =
            all.iter().filter_map(|at| self.entry(*at)).map(|entry| entry.client).collect();
        if self.is_done() || clients.len() < 2 {
            return;
        }
        let pairs = |count: usize| count * count.saturating_sub(1) / 2;
        let left = |parts: &Parts<'c>| {
            let (bound, free) = (parts.bound.len(), all.len() - parts.bound.len());
            let together = parts.by_value.values().map(|part| pairs(part.len())).sum::<usize>();
            together + pairs(free) + free * bound
        };
        let all_pairs = pairs(all.len());
        let best = if all_pairs > FEW { self.parts(all, parted) } else { BTreeMap::new() };
        let best = best.into_iter().map(|(name, parts)| (left(&parts), name, parts)).min_by_key(|one| one.0);
        let Some((_, name, parts)) = best.filter(|(left, ..)| is_worth_it(*left, all_pairs)) else {
            for (number, one) in all.iter().enumerate() {
                for other in all.iter().skip(number + 1) {
                    self.look_at(*one, *other);
                }
            }
            return;
        };
        let (parted, free) = ([parted, &[name]].concat(), parts.free(all));
        for part in parts.by_value.values() {
            self.within(part, &parted);
        }
        self.within(&free, &parted);
        self.between(&free, &parts.bound, &parted);
    }

    /// Looks at each of the ones with each of the others.
    fn between(&mut self, ones: &[usize], others: &[usize], parted: &[&'c ClaimName]) {
        if self.is_done() || ones.is_empty() || others.is_empty() {
            return;
        }
        let is_few = ones.len() * others.len() <= FEW;
        let parts = |all: &[usize]| if is_few { BTreeMap::new() } else { self.parts(all, parted) };
        let (mut of_ones, mut of_others) = (parts(ones), parts(others));
        let left = |name: &&'c ClaimName| {
            let (of_ones, of_others) = (of_ones.get(name)?, of_others.get(name)?);
            let together = of_ones
                .by_value
                .iter()
                .filter_map(|(value, part)| Some(part.len() * of_others.by_value.get(value)?.len()));
            let free = (ones.len() - of_ones.bound.len()) * others.len()
                + of_ones.bound.len() * (others.len() - of_others.bound.len());
            Some(together.sum::<usize>() + free)
        };
        let best = of_ones.keys().filter_map(|name| Some((left(name)?, *name))).min();
        let best = best.filter(|(left, _)| is_worth_it(*left, ones.len() * others.len()));
        let best = best.and_then(|(_, name)| Some((name, of_ones.remove(name)?, of_others.remove(name)?)));
        let Some((name, of_ones, of_others)) = best else {
            for one in ones {
                for other in others {
                    self.look_at(*one, *other);
                }
            }
            return;
        };
        let parted = [parted, &[name]].concat();
        for (value, ones) in &of_ones.by_value {
            self.between(ones, of_others.by_value.get(value).map_or(&[], Vec::as_slice), &parted);
        }
        self.between(&of_ones.free(ones), others, &parted);
        self.between(&of_ones.bound, &of_others.free(others), &parted);
    }

    /// By claim that some of these want to have a value: those.
    fn parts(&self, all: &[usize], parted: &[&'c ClaimName]) -> BTreeMap<&'c ClaimName, Parts<'c>> {
        let mut by_claim: BTreeMap<&'c ClaimName, Parts<'c>> = BTreeMap::new();
        for (at, entry) in all.iter().filter_map(|at| Some((*at, self.entry(*at)?))) {
            for (name, wanted) in &entry.wanted {
                let Some(values) = wanted.values.as_ref().filter(|_| !parted.contains(name)) else {
                    continue;
                };
                let parts = by_claim.entry(name).or_default();
                parts.bound.push(at);
                for value in values {
                    parts.by_value.entry(value).or_default().push(at);
                }
            }
        }
        by_claim
    }

    /// Notes two entries, if some token meets both.
    fn look_at(&mut self, one: usize, other: usize) {
        let (Some(one), Some(other)) = (self.entries.get(one), self.entries.get(other)) else { return };
        let (one, other) = if one.at < other.at { (one, other) } else { (other, one) };
        let clients = (one.client.min(other.client), one.client.max(other.client));
        if self.found.len() >= self.most || one.client == other.client || self.told.contains(&clients) {
            return;
        }
        if let Some(claims) = one.meet(other) {
            self.told.insert(clients);
            self.found.push(Overlap { one: one.at, other: other.at, claims });
        }
    }
}

/// So few pairs are looked at one by one.
const FEW: usize = 64;

/// Whether entries that are parted are fewer pairs by far. Where no claim parts them, most pairs share a token, and the
/// search is soon over.
fn is_worth_it(left: usize, all: usize) -> bool {
    left <= all / 10 * 9
}

/// Entries by the value that they want of one claim.
#[derive(Debug, Default)]
struct Parts<'c> {
    by_value: BTreeMap<&'c ClaimValue, Vec<usize>>,
    /// All of these, in order.
    bound: Vec<usize>,
}

impl Parts<'_> {
    /// Those for which it may have any value.
    fn free(&self, all: &[usize]) -> Vec<usize> {
        let bound: FxHashSet<_> = self.bound.iter().collect();
        all.iter().filter(|at| !bound.contains(at)).copied().collect()
    }
}

impl<'c> Entry<'c> {
    /// The claims of a token that meets both.
    fn meet(&self, other: &Self) -> Option<Map<String, Value>> {
        let is_apart = |(name, wanted): (&&'c ClaimName, &Wanted<'c>)| {
            let others = other.wanted.get(*name).and_then(|other| other.values.as_ref());
            wanted.values.as_ref().zip(others).is_some_and(|(own, others)| own.is_disjoint(others))
        };
        if self.wanted.iter().any(is_apart) {
            return None;
        }
        let mut both = self.wanted.clone();
        for (name, wanted) in &other.wanted {
            let of_both = both.entry(name).or_default();
            if let Some(values) = &wanted.values {
                of_both.narrow(values);
            }
            of_both.items.extend(&wanted.items);
        }
        token(&both)
    }
}

/// What stands at one place of the claims.
#[derive(Default)]
struct Place<'w> {
    wanted: Option<&'w Wanted<'w>>,
    within: BTreeMap<&'w str, Place<'w>>,
}

/// The fewest claims with all that is wanted, if claims can be so.
fn token(wanted: &WantedClaims<'_>) -> Option<Map<String, Value>> {
    let mut claims = Place::default();
    for (name, wanted) in wanted {
        let place =
            name.names().into_iter().fold(&mut claims, |place, name| place.within.entry(name).or_default());
        place.wanted = Some(wanted);
    }
    claims.members()
}

impl Place<'_> {
    fn members(&self) -> Option<Map<String, Value>> {
        self.within.iter().map(|(name, place)| Some(((*name).to_owned(), place.value()?))).collect()
    }

    /// The value that is as wanted. An object holds what stands at the positions of a list too, and less is asked of it.
    fn value(&self) -> Option<Value> {
        let nothing = BTreeSet::new();
        let items = self.wanted.map_or(&nothing, |wanted| &wanted.items);
        match self.wanted.and_then(|wanted| wanted.values.as_ref()) {
            Some(values) if items.is_empty() && self.within.is_empty() => {
                values.first().map(|value| Value::from(*value))
            }
            Some(_) => None,
            None if items.is_empty() => self.members().map(Value::Object),
            None => {
                let mut list = Vec::new();
                for (name, place) in &self.within {
                    let at = index(name).filter(|at| *at < LONGEST_LIST)?;
                    list.resize(list.len().max(at + 1), Value::Null);
                    *list.get_mut(at)? = place.value()?;
                }
                for item in items {
                    let item = Value::from(*item);
                    if !list.contains(&item) {
                        list.push(item);
                    }
                }
                Some(Value::Array(list))
            }
        }
    }
}
