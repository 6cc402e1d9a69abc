//! Federated clients: which tokens of trusted issuers stand for each.

use std::collections::{BTreeMap, BTreeSet};

use jeton_oauth::{IssuerName, is_registered_claim};
use serde_json::{Map, Value};

use super::{
    issuers::{CompiledIssuers, KnownIssuer},
    report::{CompileReport, DefinedNames},
    requirements::no_pointer,
};
use crate::{
    claim::{BadClaimName, ClaimName, ClaimValue},
    clients::Client,
    condition::Condition,
    document::{self, Text},
    federation::{self, Contender, FederatedTerms, Overlap, Platform, Whose},
    finding::{FindingCode, ReadingProblem, Span},
    position::FileIndex,
    read::{Field, Items, Named, ReadExtent, Spanned},
};

/// Where an entry of `federated` stands.
#[derive(Clone, Copy)]
pub(super) struct TermsPlace {
    pub(super) file: FileIndex,
    pub(super) at: Span,
    /// Whether all of it could be read.
    pub(super) is_whole: bool,
}

impl CompileReport<'_> {
    /// The tokens that stand for a client, and where each entry stands.
    pub(super) fn federated(
        &mut self,
        file: FileIndex,
        client: &Spanned<String>,
        entries: &Items<Spanned<document::FederatedEntry>>,
        own_claims: &Map<String, Value>,
        names: &DefinedNames,
        issuers: &CompiledIssuers,
    ) -> Vec<(FederatedTerms, TermsPlace)> {
        let each = entries.0.iter().filter_map(|Spanned { at, value: entry }| {
            let before = self.findings.len();
            let issuer = self.issuer_of(file, client, *at, &entry.issuer, names);
            let conditions = self.foreign_conditions(file, client, *at, &entry.claims);
            let claims_from = self.claims_from(file, client, &entry.claims_from, own_claims);
            let issuer = issuer?;
            let mut is_whole =
                self.findings.len() == before && is_read(entry) && !self.has_unknown_key(file, *at);
            if is_whole && let Some(known) = issuers.known.get(&issuer) {
                // of an issuer that is defined twice nobody knows which one is meant
                is_whole = known.is_only && self.says_whose(file, client, *at, entry, &conditions, known);
            }
            let terms = FederatedTerms::new(issuer, conditions, claims_from);
            if is_whole {
                self.impossible(file, client, *at, entry, &terms);
            }
            Some((terms, TermsPlace { file, at: *at, is_whole }))
        });
        each.collect()
    }

    fn issuer_of(
        &mut self,
        file: FileIndex,
        client: &Spanned<String>,
        at: Span,
        text: &Field<Text>,
        names: &DefinedNames,
    ) -> Option<IssuerName> {
        let text = match text {
            Field::Given(text) => text,
            Field::Wrong => return None,
            Field::Absent if self.has_unknown_key(file, at) => return None,
            Field::Absent => {
                let message =
                    format!("an entry of `federated` of client `{}` names no `issuer`", client.value);
                let hint = "add `issuer: NAME`, one that is defined under `issuers:`";
                self.add(file, ReadingProblem::new(at, FindingCode::Missing, message).hint(hint));
                return None;
            }
        };
        if names.issuers.contains(&text.value) {
            return IssuerName::parse(&text.value).ok();
        }
        let known = names.issuers.iter().map(String::as_str);
        self.unknown(file, text, FindingCode::UnknownIssuer, "issuer", known);
        None
    }

    fn foreign_conditions(
        &mut self,
        file: FileIndex,
        client: &Spanned<String>,
        at: Span,
        claims: &Field<Spanned<Named<Spanned<document::ForeignTestEntry>>>>,
    ) -> Vec<Condition> {
        let claims = match claims {
            Field::Given(claims) if !claims.value.is_empty() => &claims.value,
            Field::Wrong => return Vec::new(),
            Field::Given(Spanned { at, .. }) => return self.open(file, client, *at),
            Field::Absent if self.has_unknown_key(file, at) => return Vec::new(),
            Field::Absent => return self.open(file, client, at),
        };
        let mut conditions = Vec::new();
        for (name, test) in &claims.0 {
            let parsed = self.foreign_claim(file, name);
            let Some(Spanned { at, value: test }) = test else { continue };
            let before = self.findings.len();
            let tests = self.value_tests(file, &test.is, &test.r#in, &test.contains);
            for (operator, field) in
                [("same_as_path", &test.same_as_path), ("contains_path", &test.contains_path)]
            {
                let Some(Spanned { at, .. }) = field.given() else { continue };
                let message = format!("`{operator}` has no meaning here: no path is asked for yet");
                let problem = ReadingProblem::new(*at, FindingCode::BadRequirement, message);
                self.add(file, problem.hint("use `is`, `in` or `contains`; for a rule of an API, take the claim over with `claims_from`"));
            }
            let asks_nothing = [&test.is, &test.contains].iter().all(|field| field.is_absent())
                && [&test.same_as_path, &test.contains_path].iter().all(|field| field.is_absent())
                && test.r#in.is_absent()
                && !self.has_unknown_key(file, *at);
            if asks_nothing && self.findings.len() == before {
                let message = format!("claim `{}` has no condition", name.value);
                let problem = ReadingProblem::new(name.at, FindingCode::BadRequirement, message);
                self.add(file, problem.hint("add one of `is`, `in`, `contains`"));
            }
            let Some(parsed) = parsed else { continue };
            conditions.extend(tests.into_iter().map(|test| Condition::Claim { name: parsed.clone(), test }));
        }
        conditions
    }

    /// Refuses an entry that every token of the issuer meets.
    fn open(&mut self, file: FileIndex, client: &Spanned<String>, at: Span) -> Vec<Condition> {
        let message = format!(
            "every token of the issuer would stand for client `{}`: there is no condition",
            client.value
        );
        let problem = ReadingProblem::new(at, FindingCode::OpenFederation, message);
        self.add(file, problem.hint("add `claims:` with at least one claim that says whose token it is"));
        Vec::new()
    }

    fn foreign_claim(&mut self, file: FileIndex, name: &Spanned<String>) -> Option<ClaimName> {
        let text = &name.value;
        let (message, hint) = match ClaimName::parse_foreign(text, |name| self.intern(name)) {
            Ok(parsed) => return Some(parsed),
            Err(BadClaimName::Registered) => {
                let what = if text.starts_with('/') { "points into" } else { "is" };
                (
                    format!("`{text}` {what} a claim that is verified for each token of the issuer"),
                    "say it in the entry under `issuers:` (`issuer`, `audience`, `max_lifetime`, `single_use`)",
                )
            }
            Err(BadClaimName::NoPointer) => no_pointer(text),
        };
        self.add(file, ReadingProblem::new(name.at, FindingCode::BadClaim, message).hint(hint));
        None
    }

    fn claims_from(
        &mut self,
        file: FileIndex,
        client: &Spanned<String>,
        claims: &Named<Text>,
        own: &Map<String, Value>,
    ) -> Vec<(Box<str>, ClaimName)> {
        let mut taken = Vec::with_capacity(claims.0.len());
        for (name, source) in &claims.0 {
            if is_registered_claim(&name.value) {
                let message = format!("`{}` is a claim that jeton sets itself", name.value);
                let problem = ReadingProblem::new(name.at, FindingCode::BadClaim, message);
                self.add(file, problem.hint("give the claim another name"));
            } else if own.contains_key(&name.value) {
                let message =
                    format!("claim `{}` of client `{}` stands under `claims` too", name.value, client.value);
                let problem = ReadingProblem::new(name.at, FindingCode::DuplicateName, message);
                self.add(file, problem.hint("remove it there or here"));
            }
            let Some(source) = source else { continue };
            if let Ok(parsed) = ClaimName::parse_source(&source.value, |name| self.intern(name)) {
                taken.push((name.value.as_str().into(), parsed));
                continue;
            }
            let (message, hint) = no_pointer(&source.value);
            self.add(file, ReadingProblem::new(source.at, FindingCode::BadClaim, message).hint(hint));
        }
        taken
    }

    /// Looks whether the conditions say whose a token is, and whether for good. `false` where that is an error.
    fn says_whose(
        &mut self,
        file: FileIndex,
        client: &Spanned<String>,
        at: Span,
        entry: &document::FederatedEntry,
        conditions: &[Condition],
        issuer: &KnownIssuer,
    ) -> bool {
        let Some(platform) = Platform::of(issuer.iss.as_str()) else { return true };
        self.numbers_for_text(file, entry, conditions, &platform);
        match platform.whose(conditions) {
            Whose::Certain => true,
            Whose::Anybodys if !platform.is_shared => true,
            Whose::Anybodys => {
                let message = format!(
                    "tokens of everybody at {} could stand for client `{}`: no condition says whose they are",
                    platform.name, client.value
                );
                let ids: Vec<_> = platform.ids().map(|id| format!("`{id}`")).collect();
                let hint = format!("add a condition (`is` or `in`) on one of {}", ids.join(", "));
                self.add(file, ReadingProblem::new(at, FindingCode::OpenFederation, message).hint(hint));
                false
            }
            Whose::OfName(names) => {
                for (name, instead) in names {
                    let written = written_as(entry, name);
                    let Some(written) = written else { continue };
                    let message = format!(
                        "claim `{}` tells whose a token of {} is by a name, which somebody else can register once it is given up",
                        written.value, platform.name
                    );
                    let problem = ReadingProblem::new(written.at, FindingCode::RecyclableName, message);
                    let hint = if name.names() == [instead] {
                        format!("write the form of `{instead}` that holds ids, or add another claim with one")
                    } else {
                        format!("add a condition on `{instead}`, an id that nobody else ever gets")
                    };
                    self.warn(file, problem.hint(hint));
                }
                true
            }
        }
    }

    /// Warns of conditions that no token of the platform meets, because the value is not text.
    fn numbers_for_text(
        &mut self,
        file: FileIndex,
        entry: &document::FederatedEntry,
        conditions: &[Condition],
        platform: &Platform,
    ) {
        for condition in conditions {
            let Condition::Claim { name, test } = condition else { continue };
            let is_text = |value: &ClaimValue| matches!(value, ClaimValue::Text(_));
            if !platform.has_as_text(name) || test.values().iter().any(is_text) {
                continue;
            }
            let (Some(written), Some(value)) = (written_as(entry, name), test.values().first()) else {
                continue;
            };
            let message = format!(
                "claim `{}` is text in tokens of {}, and {value} is not: no token meets this condition",
                written.value, platform.name
            );
            let problem = ReadingProblem::new(written.at, FindingCode::TypeMismatch, message);
            self.warn(file, problem.hint(format!("write it in quotes: `\"{value}\"`")));
        }
    }

    /// Warns of an entry that no token can meet, for its conditions want different things of one claim.
    fn impossible(
        &mut self,
        file: FileIndex,
        client: &Spanned<String>,
        at: Span,
        entry: &document::FederatedEntry,
        terms: &FederatedTerms,
    ) {
        let Some(conflicting) = federation::conflict(terms) else { return };
        let tests = terms.tests().filter(|(name, _)| conflicting.contains(name));
        let tests: Vec<_> = tests.map(|(name, test)| format!("{name} {test}")).collect();
        let written = conflicting.last().and_then(|name| written_last_as(entry, name));
        let (place, name) = written.map_or((at, ""), |written| (written.at, written.value.as_str()));
        let message = format!(
            "claim `{name}` leaves no token that could stand for client `{}`: {} cannot hold together",
            client.value,
            tests.join(" and ")
        );
        let problem = ReadingProblem::new(place, FindingCode::ImpossibleFederation, message);
        let hint = if conflicting.len() == 1 {
            "write one condition for the claim: of several values that will do each, `in: [a, b]`"
        } else {
            "one of these stands within the other: remove one"
        };
        self.warn(file, problem.hint(hint));
    }

    /// Refuses clients that one token could stand for.
    pub(super) fn ambiguities(&mut self, clients: &[Client], places: &[Vec<TermsPlace>]) {
        let mut contenders = Vec::new();
        let mut at = Vec::new();
        for (client, places) in clients.iter().zip(places) {
            for (terms, place) in client.federated.iter().zip(places).filter(|(_, place)| place.is_whole) {
                contenders.push(Contender { client: &client.id, terms });
                at.push(*place);
            }
        }
        let overlaps = federation::overlaps(&contenders);
        for Overlap { one, other, claims } in overlaps {
            let (Some(one), Some(other), Some(place), Some(first)) =
                (contenders.get(one), contenders.get(other), at.get(other), at.get(one))
            else {
                continue;
            };
            let message = format!(
                "a token of issuer `{}` with the claims {} could stand for client `{}` and for client `{}`",
                other.terms.issuer(),
                Value::Object(claims),
                one.client,
                other.client,
            );
            let hint = format!(
                "give both a condition on the same claim with other values; the other entry is at {}",
                self.place(first.file, first.at)
            );
            let problem = ReadingProblem::new(place.at, FindingCode::AmbiguousFederation, message);
            self.add(place.file, problem.hint(hint));
        }
    }

    /// Warns of issuers whose tokens stand for no client.
    pub(super) fn unused_issuers(&mut self, issuers: &BTreeMap<IssuerName, KnownIssuer>, clients: &[Client]) {
        let used: BTreeSet<_> =
            clients.iter().flat_map(|client| &client.federated).map(FederatedTerms::issuer).collect();
        for (name, issuer) in issuers.iter().filter(|(name, _)| !used.contains(name)) {
            let message = format!("the tokens of issuer `{name}` stand for no client");
            let problem = ReadingProblem::new(issuer.at, FindingCode::UnusedIssuer, message);
            let hint = "name it under `federated:` of a client, or remove it";
            self.warn(issuer.file, problem.hint(hint));
        }
    }
}

/// Where a condition of an entry names its claim.
fn written_as<'e>(entry: &'e document::FederatedEntry, name: &ClaimName) -> Option<&'e Spanned<String>> {
    all_written_as(entry, name).next()
}

/// Where the last condition on a claim names it: two may spell it differently.
fn written_last_as<'e>(entry: &'e document::FederatedEntry, name: &ClaimName) -> Option<&'e Spanned<String>> {
    all_written_as(entry, name).last()
}

fn all_written_as<'e>(
    entry: &'e document::FederatedEntry,
    name: &ClaimName,
) -> impl Iterator<Item = &'e Spanned<String>> {
    let is_it = |written: &&Spanned<String>| {
        ClaimName::parse_foreign(&written.value, |name| name.into()).as_ref() == Ok(name)
    };
    let claims = entry.claims.given().map_or(&[][..], |claims| &claims.value.0);
    claims.iter().map(|(written, _)| written).filter(is_it)
}

/// Whether nothing of an entry was left out because it was wrong.
fn is_read(entry: &document::FederatedEntry) -> bool {
    let is_whole = |test: &document::ForeignTestEntry| {
        !matches!(test.is, Field::Wrong)
            && !matches!(test.contains, Field::Wrong)
            && match &test.r#in {
                Field::Wrong => false,
                Field::Absent => true,
                Field::Given(values) => values.value.1 == ReadExtent::Whole,
            }
    };
    entry.claims.given().is_some_and(|claims| {
        claims.value.1 == ReadExtent::Whole
            && claims.value.0.iter().all(|(_, test)| test.as_ref().is_some_and(|test| is_whole(&test.value)))
    })
}
