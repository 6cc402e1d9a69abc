//! The tokens that a client may have: what all of them carry, and which claims come from another issuer's token.
//!
//! The values of such claims are decided by the other issuer. So whether a rule lets the client through may depend on
//! them. What a rule asks of them is put beside the conditions that the other issuer's token meets anyway, and the
//! smallest token that meets both tells whether it is possible ([`Beyond`]).

use std::collections::{BTreeMap, BTreeSet};

use jeton_oauth::ApiName;
use serde_json::{Map, Value};

use crate::{
    claim::{Claim, ClaimName, ClaimValue, Item, index},
    clients::{Client, ClientState},
    condition::{Alternative, ClaimTest, Condition},
    federation::{FederatedTerms, TrustedIssuer},
    path::CanonicalPath,
    set::PolicySet,
    space::Beyond,
    subject::Permissions,
};

/// The tokens that a client may have at an API.
pub(super) struct ClientTokens<'p> {
    /// What all of them carry.
    pub(super) base: Permissions,
    /// Whether one of them may carry no more.
    has_plain: bool,
    /// How it may have tokens that carry claims of another issuer's token.
    ways: Vec<TakingWay<'p>>,
}

/// An entry of `federated` with `claims_from`.
struct TakingWay<'p> {
    issuer: &'p TrustedIssuer,
    terms: &'p FederatedTerms,
    /// What holds of the other issuer's token.
    asked: Vec<Condition>,
    /// The entries that are tried before it: what they take does not come this far.
    earlier: Vec<Alternative<'p>>,
    /// Claims that it takes over, of which a value is supposed.
    supposed: BTreeSet<String>,
}

/// What a client may be had by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum CountedWays {
    /// What is taken now: live secrets, tokens of enabled issuers.
    Live,
    /// All, so that neither time nor a switch changes what a test says.
    All,
}

/// Whether a client passes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Passing {
    /// With each of its tokens.
    Always,
    /// With the tokens for which one of these holds, in words.
    When(BTreeSet<String>),
    /// With none.
    Never,
}

impl Passing {
    /// What decides, where claims do.
    pub(super) fn conditions(&self) -> impl Iterator<Item = &String> {
        match self {
            Self::When(conditions) => Some(conditions),
            Self::Always | Self::Never => None,
        }
        .into_iter()
        .flatten()
    }
}

impl PolicySet {
    /// The tokens of a client at an API; `None` where it has no grant.
    pub(super) fn tokens_of(
        &self,
        client: &str,
        api: &str,
        counted: CountedWays,
    ) -> Option<ClientTokens<'_>> {
        let base = self.permissions_of(client, api)?;
        Some(self.tokens_with(base, self.clients().find(client)?, counted))
    }

    /// As [`Self::tokens_of`], for a client that is enabled, and of enabled issuers.
    pub(super) fn granted_tokens(&self, client: &Client, api: &ApiName) -> Option<ClientTokens<'_>> {
        let known = self.clients().find(client.id.as_str())?;
        let is_enabled = known.state == ClientState::Enabled;
        is_enabled.then(|| self.tokens_of(client.id.as_str(), api.as_str(), CountedWays::Live))?
    }

    /// The tokens of a client of which all carry `base`.
    pub(super) fn tokens_with<'p>(
        &'p self,
        base: Permissions,
        client: &'p Client,
        counted: CountedWays,
    ) -> ClientTokens<'p> {
        let is_all = counted == CountedWays::All;
        let mut has_plain = !client.public_keys.is_empty()
            || client.secrets.iter().any(|secret| is_all || secret.is_live(self.read_at))
            || client.certificates.iter().any(|terms| is_all || terms.is_live(self.read_at));
        let mut ways = Vec::new();
        for (at, terms) in client.federated.iter().enumerate() {
            let issuer = self.issuers().find(terms.issuer().as_str());
            let Some(issuer) = issuer.filter(|issuer| is_all || issuer.enabled) else { continue };
            let before = client.federated.iter().take(at).filter(|other| other.issuer() == terms.issuer());
            let way = TakingWay {
                issuer,
                terms,
                asked: asked_by(issuer, terms),
                earlier: before.map(FederatedTerms::as_alternative).collect(),
                supposed: BTreeSet::new(),
            };
            match (way.is_possible(&[], None), terms.claims_from().next().is_some()) {
                (false, _) => {}
                (true, true) => ways.push(way),
                (true, false) => has_plain = true,
            }
        }
        // a client without credentials is shown with all that it is granted, too
        has_plain |= ways.is_empty();
        ClientTokens { base, has_plain, ways }
    }
}

/// The conditions of an entry, and what is known of every token of its issuer.
fn asked_by(issuer: &TrustedIssuer, terms: &FederatedTerms) -> Vec<Condition> {
    let iss = ClaimTest::Is(ClaimValue::Text(issuer.issuer.as_str().into()));
    let iss = Condition::Claim { name: ClaimName::Named("iss".into()), test: iss };
    terms.as_alternative().0.iter().cloned().chain([iss]).collect()
}

impl ClientTokens<'_> {
    /// Whether some of them carry claims of another issuer's token.
    pub(super) fn take_over(&self) -> bool {
        !self.ways.is_empty()
    }

    /// Those of them that carry these claims too. `None` where there are none.
    pub(super) fn with(mut self, claims: &Map<String, Value>) -> Option<Self> {
        if claims.is_empty() {
            return Some(self);
        }
        let own_claims = |way: &TakingWay<'_>| way.terms.claims_from().count();
        self.ways.retain_mut(|way| way.suppose(claims));
        self.has_plain = self.ways.iter().any(|way| way.supposed.len() == own_claims(way));
        self.ways.retain(|way| way.supposed.len() < own_claims(way));
        self.base.claims.extend(claims.clone());
        (self.has_plain || self.take_over()).then_some(self)
    }

    /// Whether these alternatives let the client through on a path.
    pub(super) fn pass<'c>(
        &self,
        alternatives: impl Iterator<Item = Alternative<'c>>,
        path: &CanonicalPath<'_>,
    ) -> Passing {
        let alternatives: Vec<_> = alternatives.collect();
        let subject = self.base.subject();
        if alternatives.iter().any(|alternative| alternative.holds(&subject, path)) {
            return Passing::Always;
        }
        let mut words = BTreeSet::new();
        let mut is_always = !self.has_plain;
        for way in &self.ways {
            let open = alternatives.iter().filter_map(|alternative| self.open(way, *alternative, path));
            let open: Vec<_> = open.map(|open| (way.of_source(&open), open)).collect();
            is_always = is_always && way.always_meets(&open, path);
            let possible = open.iter().filter(|(of_source, _)| way.is_possible(of_source, Some(path)));
            words.extend(possible.map(|(_, open)| way.words(open)));
        }
        match words {
            _ if is_always => Passing::Always,
            words if words.is_empty() => Passing::Never,
            words => Passing::When(words),
        }
    }

    /// What an alternative asks beyond what every token of the client has: conditions on claims that come this way.
    /// `None` where it asks for something else.
    fn open<'c>(
        &self,
        way: &TakingWay<'_>,
        alternative: Alternative<'c>,
        path: &CanonicalPath<'_>,
    ) -> Option<Vec<&'c Condition>> {
        let mut open = Vec::new();
        for condition in alternative.0 {
            match condition {
                Condition::Claim { name, .. } if way.source_of(name).is_some() => {
                    // an object is never taken over, so only lists have something within
                    name.names().get(1).is_none_or(|within| index(within).is_some()).then_some(())?;
                    open.push(condition);
                }
                other => other.holds(&self.base.subject(), path).then_some(())?,
            }
        }
        (!open.is_empty()).then_some(open)
    }

    /// What these alternatives ask of claims that are taken over, for each way to have tokens: nothing, where any token
    /// of the client passes. It is asked of the client's own tokens, with what holds of their claims anyway.
    pub(super) fn asked<'c>(
        &self,
        alternatives: impl Iterator<Item = Alternative<'c>>,
        path: &CanonicalPath<'_>,
    ) -> Vec<Vec<Condition>> {
        let mut asked: Vec<Vec<Condition>> = Vec::new();
        let mut add = |conditions| {
            if !asked.contains(&conditions) {
                asked.push(conditions);
            }
        };
        for alternative in alternatives {
            let is_met = alternative.holds(&self.base.subject(), path);
            if is_met && self.has_plain {
                return vec![Vec::new()];
            }
            for way in &self.ways {
                let open = if is_met { Some(Vec::new()) } else { self.open(way, alternative, path) };
                let Some(open) = open.filter(|open| way.is_possible(&way.of_source(open), Some(path))) else {
                    continue;
                };
                add(open.into_iter().cloned().chain(way.own_conditions()).collect());
            }
        }
        asked
    }

    /// A token with which the client passes, as far as its claims are known.
    pub(super) fn passing_token<'c>(
        &self,
        alternatives: impl Iterator<Item = Alternative<'c>>,
        path: &CanonicalPath<'_>,
    ) -> Option<Permissions> {
        let alternatives: Vec<_> = alternatives.collect();
        let mut each = self.ways.iter().flat_map(|way| alternatives.iter().map(move |one| (way, *one)));
        each.find_map(|(way, alternative)| {
            let of_source = way.of_source(&self.open(way, alternative, path)?);
            let theirs = way.smallest(&of_source, Some(path))?;
            let mut token = self.base.clone();
            for (name, source) in way.terms.sources().filter(|(name, _)| !way.supposed.contains(*name)) {
                let known = source.find_in(&theirs).cloned();
                token.claims.extend(known.map(|value| (name.to_owned(), value)));
            }
            Some(token)
        })
    }

    /// Where a claim of which a rule asks something comes from, in words; `None` where all tokens have the same.
    pub(super) fn origin(&self, name: &ClaimName) -> Option<String> {
        let each = self.ways.iter().filter_map(|way| way.origin(name));
        let each: BTreeSet<_> = each.collect();
        (!each.is_empty()).then(|| each.into_iter().collect::<Vec<_>>().join(" or "))
    }

    /// The claims that come from another issuer's token, each once.
    pub(super) fn open_claims(&self) -> BTreeSet<&str> {
        let each = self.ways.iter().flat_map(|way| {
            way.terms.claims_from().map(|(name, _)| name).filter(|name| !way.supposed.contains(*name))
        });
        each.collect()
    }

    /// What rules may find in claims, as conditions: the values that paths are told apart by.
    pub(super) fn compared<'c>(&self, alternatives: impl Iterator<Item = Alternative<'c>>) -> Vec<Condition> {
        let mut compared = Vec::new();
        let names: BTreeSet<&ClaimName> = alternatives
            .flat_map(|alternative| alternative.0)
            .filter(|condition| condition.parameter().is_some())
            .filter_map(|condition| match condition {
                Condition::Claim { name, .. } => Some(name),
                _ => None,
            })
            .collect();
        let mut add = |name: &ClaimName, value: ClaimValue| {
            compared.push(Condition::Claim { name: name.clone(), test: ClaimTest::Is(value) });
        };
        for name in names {
            let subject = self.base.subject();
            let claim = name.find(&subject);
            let items = claim.iter().flat_map(|claim| claim.items()).map(Claim::of);
            items.chain(claim).filter_map(Claim::value).for_each(|value| add(name, value));
            for way in &self.ways {
                let Some(source) = way.source_of(name) else { continue };
                for condition in &way.asked {
                    if let Condition::Claim { name: theirs, test } = condition
                        && theirs.root() == source.root()
                    {
                        test.values().iter().for_each(|value| add(name, value.clone()));
                    }
                }
            }
        }
        compared
    }
}

impl TakingWay<'_> {
    /// The claim of the other issuer's token that comes as `name`, or stands within it.
    fn source_of(&self, name: &ClaimName) -> Option<ClaimName> {
        if self.supposed.contains(name.root()) {
            return None;
        }
        let (_, source) = self.terms.sources().find(|(taken, _)| *taken == name.root())?;
        let names = name.names();
        let within = names.iter().skip(1).copied();
        Some(ClaimName::at(&source.names().into_iter().chain(within).collect::<Vec<_>>()))
    }

    /// What holds of the client's own tokens that come this way, by what holds of the other issuer's token.
    fn own_conditions(&self) -> impl Iterator<Item = Condition> {
        self.terms.sources().flat_map(|(taken, source)| {
            let source = source.names();
            self.asked.iter().filter_map(move |condition| {
                let Condition::Claim { name, test } = condition else { return None };
                let names = name.names();
                let within = names.strip_prefix(source.as_slice())?;
                let names: Vec<_> = [taken].into_iter().chain(within.iter().copied()).collect();
                Some(Condition::Claim { name: ClaimName::at(&names), test: test.clone() })
            })
        })
    }

    /// What these conditions ask of the other issuer's token.
    fn of_source(&self, open: &[&Condition]) -> Vec<Condition> {
        let each = open.iter().filter_map(|condition| match condition {
            Condition::Claim { name, test } => {
                Some(Condition::Claim { name: self.source_of(name)?, test: test.clone() })
            }
            _ => None,
        });
        each.collect()
    }

    /// The claims of the smallest token of the other issuer that comes this way and meets these conditions.
    fn smallest(
        &self,
        conditions: &[Condition],
        path: Option<&CanonicalPath<'_>>,
    ) -> Option<Map<String, Value>> {
        let asked: Vec<_> = self.asked.iter().chain(conditions).cloned().collect();
        self.beyond(&asked, &self.earlier, path)
    }

    fn is_possible(&self, conditions: &[Condition], path: Option<&CanonicalPath<'_>>) -> bool {
        self.smallest(conditions, path).is_some()
    }

    /// Whether every token that comes this way meets one of these.
    fn always_meets(&self, open: &[(Vec<Condition>, Vec<&Condition>)], path: &CanonicalPath<'_>) -> bool {
        let open = open.iter().map(|(of_source, _)| Alternative(of_source));
        let others: Vec<_> = self.earlier.iter().copied().chain(open).collect();
        self.beyond(&self.asked, &others, Some(path)).is_none()
    }

    fn beyond(
        &self,
        asked: &[Condition],
        others: &[Alternative<'_>],
        path: Option<&CanonicalPath<'_>>,
    ) -> Option<Map<String, Value>> {
        let anywhere = CanonicalPath::parse("/").ok()?;
        let path = path.unwrap_or(&anywhere);
        // no condition on another issuer's token is about a role
        let roles = BTreeMap::new();
        // no object is taken over
        let sources: Vec<_> = self.terms.sources().map(|(_, source)| source.clone()).collect();
        let beyond = Beyond { path, roles: &roles, others, others_path: path, no_objects: &sources };
        beyond.first(Alternative(asked)).map(|token| token.claims)
    }

    /// Keeps to tokens that carry these claims. `false` where none comes this way.
    fn suppose(&mut self, claims: &Map<String, Value>) -> bool {
        for (name, value) in claims {
            let name = ClaimName::Named(name.as_str().into());
            let is_taken_over = !matches!(value, Value::Null | Value::Object(_));
            let Some(source) = self.source_of(&name).filter(|_| is_taken_over) else { return false };
            let is_so = |test| Condition::Claim { name: source.clone(), test };
            let claim = Claim::of(value);
            let items = claim.items().iter().filter_map(ClaimValue::of).map(ClaimTest::Contains);
            self.asked.extend(claim.value().map(ClaimTest::Is).into_iter().chain(items).map(is_so));
        }
        self.supposed.extend(claims.keys().cloned());
        self.is_possible(&[], None)
    }

    /// `github's repository`
    fn origin(&self, name: &ClaimName) -> Option<String> {
        Some(format!("{}'s {}", self.issuer.name, self.source_of(name)?))
    }

    /// `claim repository = acme/x (from github's repository)`
    fn words(&self, open: &[&Condition]) -> String {
        let each = open.iter().filter_map(|condition| match condition {
            Condition::Claim { name, test } => {
                Some(format!("claim {name} {} (from {})", asks(test), self.origin(name)?))
            }
            _ => None,
        });
        each.collect::<Vec<_>>().join(" & ")
    }
}

fn asks(test: &ClaimTest) -> String {
    let values: Vec<_> = test.values().iter().map(worded).collect();
    match test {
        ClaimTest::Is(_) | ClaimTest::In(_) => format!("= {}", values.join(", ")),
        ClaimTest::Contains(_) => format!("has {}", values.join(", ")),
        ClaimTest::SameAsPath(parameter) => format!("= {{{}}}", parameter.name),
        ClaimTest::ContainsPath(parameter) => format!("has {{{}}}", parameter.name),
    }
}

/// A value: text in quotes where it could be taken for several, or for a value of another type.
fn worded(value: &ClaimValue) -> String {
    match value {
        ClaimValue::Text(text) if text.is_empty() || text.contains([' ', ',', '&', '|', '(', ')', '"']) => {
            format!("{text:?}")
        }
        other => Item(other).to_string(),
    }
}
