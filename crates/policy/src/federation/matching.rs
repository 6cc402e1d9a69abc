//! Which client a token of another issuer stands for.
//!
//! Nobody walks over all clients for a token: each entry of `federated` lies under the values that its conditions name.
//! A token is asked for by its own claims, and the few entries that one of these leads to are looked at.

use std::{
    cmp::Reverse,
    collections::{BTreeMap, BTreeSet},
    fmt,
    sync::Arc,
};

use jeton_oauth::{ClientId, IssuerName};
use rustc_hash::FxHashMap;
use serde_json::{Map, Value};

use super::terms::{DifferingClaim, FederatedTerms};
use crate::{
    claim::{Claim, ClaimName, ClaimValue},
    clients::{Client, ClientRegistry},
    condition::ClaimTest,
    position::small,
};

/// Which tokens of trusted issuers stand for which clients.
#[derive(Clone, Debug, Default)]
pub struct Federation {
    by_issuer: FxHashMap<IssuerName, IssuerTerms>,
}

/// The client that a token stands for.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct FederatedMatch<'p> {
    /// The client. It may be disabled.
    pub client: &'p Arc<Client>,
    /// What `claims_from` takes over. The client's own claims, which have other names, come beside these.
    pub claims: Map<String, Value>,
}

/// Why a token stands for no client.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct NoMatch {
    /// The client that is likely meant: its rarest condition holds, then something of it, then the fewest conditions
    /// differ. `None` where no client trusts the issuer.
    pub nearest: Option<ClientId>,
    /// Each condition of that client that differs.
    pub differing: Vec<DifferingClaim>,
}

/// What a token lacks to stand for a client.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct ComparedClient<'p> {
    /// The client.
    pub client: &'p Arc<Client>,
    /// What differs from that entry of its `federated` which the token comes nearest to. Nothing, where the token
    /// stands for the client.
    pub differing: Vec<DifferingClaim>,
}

impl Federation {
    /// Of all clients.
    pub(crate) fn of(clients: &ClientRegistry) -> Self {
        let mut entries: BTreeMap<&IssuerName, Vec<ClientTerms>> = BTreeMap::new();
        let mut federated: Vec<_> = clients.iter().filter(|client| !client.federated.is_empty()).collect();
        federated.sort_by(|one, other| one.id.cmp(&other.id));
        for client in federated {
            for (position, terms) in client.federated.iter().enumerate() {
                let entry = ClientTerms { client: Arc::clone(client), position };
                entries.entry(terms.issuer()).or_default().push(entry);
            }
        }
        let by_issuer =
            entries.into_iter().map(|(issuer, entries)| (issuer.clone(), IssuerTerms::of(entries)));
        Self { by_issuer: by_issuer.collect() }
    }

    /// The client that a verified token of an issuer stands for. `claims` is its whole payload.
    ///
    /// # Errors
    /// [`NoMatch`] names the nearest client and what differs.
    pub fn client_of(
        &self,
        issuer: &IssuerName,
        claims: &Map<String, Value>,
    ) -> Result<FederatedMatch<'_>, NoMatch> {
        self.by_issuer.get(issuer).ok_or_else(NoMatch::default)?.client_of(claims)
    }

    /// What a token of an issuer lacks for each client that trusts this one, the nearest client first. It looks at all of
    /// them.
    pub fn compare(&self, issuer: &IssuerName, claims: &Map<String, Value>) -> Vec<ComparedClient<'_>> {
        let Some(terms) = self.by_issuer.get(issuer) else { return Vec::new() };
        let mut nearest: BTreeMap<&ClientId, (Nearness, ComparedClient<'_>)> = BTreeMap::new();
        for at in (0..).take(terms.entries.len()) {
            let Some((entry, of_entry)) = terms.entry(at) else { continue };
            let differing = of_entry.differing(claims);
            let nearness = terms.nearness(at, of_entry, claims, differing.len());
            let differing = if differing.is_empty() {
                of_entry.taken_over(claims).err().unwrap_or_default()
            } else {
                differing
            };
            let compared = ComparedClient { client: &entry.client, differing };
            match nearest.get(&entry.client.id) {
                Some((other, _)) if *other <= nearness => {}
                _ => drop(nearest.insert(&entry.client.id, (nearness, compared))),
            }
        }
        let mut nearest: Vec<_> = nearest.into_values().collect();
        nearest.sort_by_key(|(nearness, _)| *nearness);
        nearest.into_iter().map(|(_, compared)| compared).collect()
    }

    /// Whether no client trusts an issuer.
    pub fn is_empty(&self) -> bool {
        self.by_issuer.is_empty()
    }

    /// How many entries of `federated` name an issuer.
    pub fn entry_count(&self, issuer: &str) -> usize {
        self.by_issuer.get(issuer).map_or(0, |terms| terms.entries.len())
    }
}

/// One entry of `federated` of a client.
#[derive(Clone, Debug)]
struct ClientTerms {
    client: Arc<Client>,
    position: usize,
}

impl ClientTerms {
    fn terms(&self) -> Option<&FederatedTerms> {
        self.client.federated.get(self.position)
    }
}

/// How near a token is to an entry, the nearest first. What many entries ask for, such as a branch, says little of which
/// one is meant; what few ask for, such as the id of a repository, says most of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Nearness {
    /// Whether the rarest of its conditions does not hold.
    is_another: bool,
    /// Whether none of its conditions holds.
    has_nothing: bool,
    differing: usize,
    holding: Reverse<usize>,
}

/// All entries for one issuer.
#[derive(Clone, Debug)]
struct IssuerTerms {
    /// By client id, and those of one client in the order of the file.
    entries: Vec<ClientTerms>,
    /// By the claim in which it stands: what conditions compare.
    by_root: FxHashMap<Box<str>, Vec<ComparedValues>>,
    /// The entry with the fewest conditions: where nothing holds, the fewest of it differ.
    shortest: Option<u32>,
    /// By entry: the place of the condition whose values the fewest entries name.
    rarest: Vec<Option<usize>>,
}

/// The values that conditions name for one claim.
#[derive(Clone, Debug)]
struct ComparedValues {
    name: ClaimName,
    /// Of `is` and `in`.
    values: ValueIndex,
    /// Of `contains`.
    items: ValueIndex,
}

/// Entries by a value that one of their conditions names.
#[derive(Clone, Debug, Default)]
struct ValueIndex {
    texts: FxHashMap<Box<str>, NamingTerms>,
    others: FxHashMap<ClaimValue, NamingTerms>,
}

/// The entries that name a value, by their position.
#[derive(Clone, Debug, Default)]
struct NamingTerms {
    /// Those that lie under it: it is the rarest of what they name.
    lying: Vec<u32>,
    others: Vec<u32>,
}

impl ValueIndex {
    fn get(&self, claim: Claim<'_>) -> Option<&NamingTerms> {
        match claim {
            Claim::Text(text) => self.texts.get(text),
            Claim::Other(value) => self.others.get(&ClaimValue::of(value)?),
        }
    }

    fn entry(&mut self, value: &ClaimValue) -> &mut NamingTerms {
        match value {
            ClaimValue::Text(text) => self.texts.entry(text.clone()).or_default(),
            other => self.others.entry(other.clone()).or_default(),
        }
    }
}

impl ComparedValues {
    fn of_test(&mut self, test: &ClaimTest) -> &mut ValueIndex {
        if matches!(test, ClaimTest::Contains(_)) { &mut self.items } else { &mut self.values }
    }

    /// Whatever of it these claims lead to.
    fn visit<'s>(&'s self, claims: &Map<String, Value>, visit: &mut dyn FnMut(&'s NamingTerms)) {
        let Some(claim) = self.name.find_in(claims).map(Claim::of) else { return };
        self.values.get(claim).into_iter().for_each(&mut *visit);
        claim.items().iter().filter_map(|item| self.items.get(Claim::of(item))).for_each(visit);
    }
}

impl IssuerTerms {
    /// How many entries are looked at for the one that a token comes nearest to. Whoever has tokens that stand for
    /// nobody must not keep the service busy with them.
    const MOST_LOOKED_AT: usize = 256;

    fn of(entries: Vec<ClientTerms>) -> Self {
        // how many entries name a value
        let mut counts: FxHashMap<(&ClaimName, bool, &ClaimValue), usize> = FxHashMap::default();
        let is_item = |test: &ClaimTest| matches!(test, ClaimTest::Contains(_));
        for (name, test) in entries.iter().filter_map(ClientTerms::terms).flat_map(FederatedTerms::tests) {
            for value in test.values() {
                *counts.entry((name, is_item(test), value)).or_default() += 1;
            }
        }
        let mut by_root: FxHashMap<Box<str>, Vec<ComparedValues>> = FxHashMap::default();
        let mut all_rarest = vec![None; entries.len()];
        for (at, terms) in entries.iter().enumerate().filter_map(|(at, entry)| Some((at, entry.terms()?))) {
            let crowd = |(name, test): (&ClaimName, &ClaimTest)| {
                let count = |value| counts.get(&(name, is_item(test), value)).copied().unwrap_or(0);
                (test.values().iter().map(count).max(), test.values().len())
            };
            let rarest = (0..).zip(terms.tests()).min_by_key(|(_, test)| crowd(*test)).map(|(at, _)| at);
            if let Some(place) = all_rarest.get_mut(at) {
                *place = rarest;
            }
            for (position, (name, test)) in (0..).zip(terms.tests()) {
                let of_root = by_root.entry(name.root().into()).or_default();
                let known = of_root.iter().position(|compared| compared.name == *name);
                if known.is_none() {
                    of_root.push(ComparedValues {
                        name: name.clone(),
                        values: ValueIndex::default(),
                        items: ValueIndex::default(),
                    });
                }
                let at_end = of_root.len().saturating_sub(1);
                let compared = of_root.get_mut(known.unwrap_or(at_end));
                let Some(compared) = compared else { continue };
                for value in test.values() {
                    let named = compared.of_test(test).entry(value);
                    let list = if Some(position) == rarest { &mut named.lying } else { &mut named.others };
                    if list.last() != Some(&small(at)) {
                        list.push(small(at));
                    }
                }
            }
        }
        let length = |entry: &ClientTerms| entry.terms().map(|terms| terms.tests().count());
        let shortest = (0..).zip(&entries).min_by_key(|(_, entry)| length(entry)).map(|(at, _)| at);
        Self { entries, by_root, shortest, rarest: all_rarest }
    }

    /// Visits the values of these claims that conditions name.
    fn visit<'s>(&'s self, claims: &Map<String, Value>, visit: &mut dyn FnMut(&'s NamingTerms)) {
        // a token has few claims, and conditions may name many
        let roots = claims.keys().filter_map(|root| self.by_root.get(root.as_str()));
        roots.flatten().for_each(|compared| compared.visit(claims, visit));
    }

    fn entry(&self, at: u32) -> Option<(&ClientTerms, &FederatedTerms)> {
        let entry = self.entries.get(usize::try_from(at).ok()?)?;
        Some((entry, entry.terms()?))
    }

    fn client_of(&self, claims: &Map<String, Value>) -> Result<FederatedMatch<'_>, NoMatch> {
        let mut first: Option<u32> = None;
        let mut is_clear = true;
        self.visit(claims, &mut |named| {
            for at in &named.lying {
                let Some((entry, terms)) = self.entry(*at) else { continue };
                if !terms.hold(claims) {
                    continue;
                }
                let other = first.and_then(|first| self.entry(first));
                // policies with such a token do not load
                is_clear &= other.is_none_or(|(other, _)| other.client.id == entry.client.id);
                first = Some(first.map_or(*at, |first| first.min(*at)));
            }
        });
        let Some((entry, terms)) = first.filter(|_| is_clear).and_then(|first| self.entry(first)) else {
            return Err(self.nearest(claims));
        };
        match terms.taken_over(claims) {
            Ok(claims) => Ok(FederatedMatch { client: &entry.client, claims }),
            Err(differing) => Err(NoMatch { nearest: Some(entry.client.id.clone()), differing }),
        }
    }

    /// How near a token is to the entry of this place, of which so many conditions differ.
    fn nearness(
        &self,
        at: u32,
        terms: &FederatedTerms,
        claims: &Map<String, Value>,
        differing: usize,
    ) -> Nearness {
        let place = usize::try_from(at).ok().and_then(|at| *self.rarest.get(at)?);
        let rarest = place.and_then(|place| terms.tests().nth(place));
        let holds = |(name, test): (&ClaimName, &ClaimTest)| {
            name.find_in(claims).is_some_and(|claim| test.holds_anywhere(Claim::of(claim)))
        };
        let holding = terms.tests().count().saturating_sub(differing);
        Nearness {
            is_another: !rarest.is_some_and(holds),
            has_nothing: holding == 0,
            differing,
            holding: Reverse(holding),
        }
    }

    /// The entry that a token comes nearest to.
    fn nearest(&self, claims: &Map<String, Value>) -> NoMatch {
        let mut led_to: Vec<&NamingTerms> = Vec::new();
        self.visit(claims, &mut |named| led_to.push(named));
        // what few name tells more
        led_to.sort_by_key(|named| named.lying.len() + named.others.len());
        let each = led_to.iter().flat_map(|named| named.lying.iter().chain(&named.others)).copied();
        let looked_at: BTreeSet<u32> = each.take(Self::MOST_LOOKED_AT).chain(self.shortest).collect();
        let compared = looked_at.into_iter().filter_map(|at| {
            let (entry, terms) = self.entry(at)?;
            let differing = terms.differing(claims);
            Some((self.nearness(at, terms, claims, differing.len()), entry, differing))
        });
        match compared.min_by_key(|(nearness, _, _)| *nearness) {
            Some((_, entry, differing)) => NoMatch { nearest: Some(entry.client.id.clone()), differing },
            None => NoMatch::default(),
        }
    }
}

impl fmt::Display for NoMatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some(nearest) = &self.nearest else {
            return f.write_str("no client trusts this issuer");
        };
        write!(f, "it stands for no client; the nearest is `{nearest}`")?;
        for (position, differing) in self.differing.iter().enumerate() {
            write!(f, "{}{differing}", if position > 0 { "; " } else { ": " })?;
        }
        Ok(())
    }
}

impl std::error::Error for NoMatch {}
