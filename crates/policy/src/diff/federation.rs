//! Who can become which client: the tokens of other issuers that stand for it, before and after.

use std::collections::{BTreeMap, BTreeSet};

use jeton_jose::IssuerKeySet;
use jeton_oauth::ForeignAlgorithm;
use serde::Serialize;
use serde_json::{Map, Value};

use super::{Budget, ChangeEffect, ChangeKind, ChangedFor, PolicyChange};
use crate::{
    clients::ClientState,
    federation::{FederatedTerms, IssuerKeyFile, IssuerKeySource, IssuerKeys, TrustedIssuer},
    path::CanonicalPath,
    set::PolicySet,
    space::Beyond,
};

/// A token of another issuer, as far as conditions are about it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct ForeignToken {
    /// Its `iss`.
    pub issuer: String,
    /// Its `aud`.
    pub audience: String,
    /// The claims that conditions are about.
    pub claims: Map<String, Value>,
}

/// Tokens that are verified alike: of this `iss`, for this `aud`.
type TokenSource<'p> = (&'p str, &'p str);

/// What stands for a client, as far as its issuer is enabled.
type TermsOf<'p> = BTreeMap<TokenSource<'p>, Vec<&'p FederatedTerms>>;

pub(super) fn compare(
    old: &PolicySet,
    new: &PolicySet,
    budget: &mut Budget,
    into: &mut Vec<PolicyChange>,
) -> Option<()> {
    compare_issuers(old, new, into);
    let [are_old, are_new] = [old, new].map(|policies| {
        let enabled = policies.issuers().iter().filter(|issuer| issuer.enabled);
        enabled.map(|issuer| (&issuer.name, &issuer.issuer, &issuer.audience)).collect::<Vec<_>>()
    });
    let are_alike = are_old == are_new;
    let clients = old.clients().iter().chain(new.clients().iter());
    let ids: BTreeSet<_> =
        clients.filter(|client| !client.federated.is_empty()).map(|client| &client.id).collect();
    for id in ids {
        let [before, after] =
            [old, new].map(|policies| policies.clients().find(id.as_str()).map(AsRef::as_ref));
        // a disabled client gets no token
        let [had, has] = [before, after].map(|client| {
            let enabled = client.filter(|client| client.state == ClientState::Enabled);
            enabled.map_or(&[][..], |client| &client.federated)
        });
        budget.spend(1 + had.len() * has.len())?;
        if had == has && are_alike {
            continue;
        }
        let (of_old, of_new) = (terms_of(old, had), terms_of(new, has));
        let who = || ChangedFor::Client(id.to_string());
        for (effect, more, less) in
            [(ChangeEffect::Gains, &of_new, &of_old), (ChangeEffect::Loses, &of_old, &of_new)]
        {
            let name = |(iss, aud): &TokenSource<'_>| {
                let issuer = new.issuers().by_issuer(iss).or_else(|| old.issuers().by_issuer(iss));
                let name = issuer.map_or_else(|| (*iss).to_owned(), |issuer| issuer.name.to_string());
                // with another of them, the name alone says nothing
                if are_alike { name } else { format!("{name} (iss `{iss}`, aud `{aud}`)") }
            };
            for (source, terms) in more {
                let others = less.get(source).map(Vec::as_slice).unwrap_or_default();
                for (words, claims) in beyond(terms, others) {
                    let (issuer, audience) = (source.0.to_owned(), source.1.to_owned());
                    into.push(PolicyChange {
                        what: format!("tokens of {} that stand for it: {words}", name(source)),
                        foreign: Some(ForeignToken { issuer, audience, claims }),
                        ..PolicyChange::of(ChangeKind::Federation, effect, who())
                    });
                }
            }
        }
        // another claim may open what it did not; without one, a token opens no more
        let [took, takes] = [&of_old, &of_new].map(taken_over);
        for (effect, more, less, others) in
            [(ChangeEffect::Gains, &takes, &took, &of_old), (ChangeEffect::Loses, &took, &takes, &of_new)]
        {
            // tokens that stand for it on one side alone are told above
            let alike = more.difference(less).filter(|(source, ..)| others.contains_key(source));
            into.extend(alike.map(|(_, claim, from)| PolicyChange {
                what: format!("claim {claim} from the claim {from} of tokens that stand for it"),
                ..PolicyChange::of(ChangeKind::Claim, effect, who())
            }));
        }
    }
    Some(())
}

/// The claims that come from tokens of other issuers: by which tokens, what they are called, and what they come from.
fn taken_over<'p>(terms: &TermsOf<'p>) -> BTreeSet<(TokenSource<'p>, &'p str, String)> {
    let each = terms.iter().flat_map(|(source, terms)| terms.iter().map(move |terms| (*source, *terms)));
    each.flat_map(|(source, terms)| terms.claims_from().map(move |(claim, from)| (source, claim, from)))
        .collect()
}

fn terms_of<'p>(policies: &'p PolicySet, entries: &'p [FederatedTerms]) -> TermsOf<'p> {
    let mut by_source = TermsOf::new();
    for terms in entries {
        let issuer = policies.issuers().find(terms.issuer().as_str()).filter(|issuer| issuer.enabled);
        if let Some(issuer) = issuer {
            let source = (issuer.issuer.as_str(), issuer.audience.as_str());
            by_source.entry(source).or_default().push(terms);
        }
    }
    by_source
}

/// The tokens that some of these terms let stand for a client and none of the others, as few that stand for all of
/// them, in words and by claims.
fn beyond(terms: &[&FederatedTerms], others: &[&FederatedTerms]) -> Vec<(String, Map<String, Value>)> {
    // conditions of federation look at no path, and at no role
    let Ok(path) = CanonicalPath::parse("/") else { return Vec::new() };
    let roles = BTreeMap::new();
    let others: Vec<_> = others.iter().map(|terms| terms.as_alternative()).collect();
    let beyond = Beyond { path: &path, roles: &roles, others: &others, others_path: &path, no_objects: &[] };
    let mut found: Vec<(String, Map<String, Value>)> = Vec::new();
    for terms in terms {
        let alternative = terms.as_alternative();
        if others.iter().any(|other| other.0 == alternative.0) {
            continue;
        }
        for (words, token) in beyond.all(alternative) {
            if !found.iter().any(|(other, _)| *other == words) {
                found.push((words, token.claims));
            }
        }
    }
    found
}

/// What changes in how the tokens of an issuer are verified, if any stand for a client.
fn compare_issuers(old: &PolicySet, new: &PolicySet, into: &mut Vec<PolicyChange>) {
    for after in new.issuers().iter() {
        let is_used = new.federation().entry_count(after.name.as_str()) > 0;
        // of a disabled one no token is taken, and all of them are told where it is enabled
        let before = old.issuers().by_issuer(after.issuer.as_str());
        let Some(before) = before.filter(|before| is_used && before.enabled && after.enabled) else {
            continue;
        };
        let mut note = |effect, what: String| {
            let what = format!("tokens of issuer {}: {what}", after.name);
            into.push(PolicyChange {
                what,
                ..PolicyChange::of(ChangeKind::Federation, effect, ChangedFor::Operators)
            });
        };
        compare_issuer(before, after, &mut note);
    }
}

fn compare_issuer(before: &TrustedIssuer, after: &TrustedIssuer, note: &mut dyn FnMut(ChangeEffect, String)) {
    if let (IssuerKeySource::File(old), IssuerKeySource::File(new)) =
        (&before.keys.source, &after.keys.source)
    {
        compare_key_files((before, old), (after, new), note);
    } else if (&before.keys.source, &before.keys.written) != (&after.keys.source, &after.keys.written) {
        // whoever has the new keys can make tokens for every client, and whoever had the old ones no more
        note(
            ChangeEffect::Gains,
            format!("signed by the keys of {}, was {}", keys(&after.keys), keys(&before.keys)),
        );
    }
    for algorithm in after.algorithms.iter().filter(|algorithm| !before.algorithms.contains(algorithm)) {
        note(ChangeEffect::Gains, format!("signed with {algorithm}"));
    }
    for algorithm in before.algorithms.iter().filter(|algorithm| !after.algorithms.contains(algorithm)) {
        note(ChangeEffect::Loses, format!("signed with {algorithm}"));
    }
    let (old, new) = (before.max_lifetime.as_secs(), after.max_lifetime.as_secs());
    if old != new {
        let effect = if old < new { ChangeEffect::Gains } else { ChangeEffect::Loses };
        note(effect, format!("lifetime of {new} s at most, was {old} s"));
    }
    match ChangeEffect::between(!before.single_use, !after.single_use) {
        Some(ChangeEffect::Gains) => note(ChangeEffect::Gains, "each is taken more than once".to_owned()),
        Some(effect) => note(effect, "each is taken once".to_owned()),
        None => {}
    }
}

/// What changes where the keys stand in the policies, so that each is known.
fn compare_key_files(
    (before, old): (&TrustedIssuer, &IssuerKeyFile),
    (after, new): (&TrustedIssuer, &IssuerKeyFile),
    note: &mut dyn FnMut(ChangeEffect, String),
) {
    // by all algorithms: which of these are taken is told by itself
    let thumbprints = |file: &IssuerKeyFile| -> BTreeSet<String> {
        let keys = IssuerKeySet::from_file(&file.content, &ForeignAlgorithm::ALL).unwrap_or_default();
        keys.thumbprints().map(str::to_owned).collect()
    };
    let (had, has) = (thumbprints(old), thumbprints(new));
    for (effect, more, less, file) in
        [(ChangeEffect::Gains, &has, &had, new), (ChangeEffect::Loses, &had, &has, old)]
    {
        for thumbprint in more.difference(less) {
            let short: String = thumbprint.chars().take(8).collect();
            note(effect, format!("signed by a key of {} (thumbprint {short}...)", file.path.display()));
        }
    }
    if had == has && old != new {
        let (new, old) = (keys(&after.keys), keys(&before.keys));
        let was = if new == old { String::new() } else { format!(", was {old}") };
        note(ChangeEffect::Changes, format!("signed by the same keys, as {new} has them{was}"));
    }
}

fn keys(keys: &IssuerKeys) -> String {
    let source = match &keys.source {
        IssuerKeySource::Discover => "its metadata".to_owned(),
        IssuerKeySource::Jwks(url) => jeton_oauth::ShownUrl(url.as_str()).to_string(),
        IssuerKeySource::File(file) => file.path.display().to_string(),
    };
    let beside = ["ca_file", "token_file"].into_iter().zip(&keys.written);
    let beside = beside.filter_map(|(key, path)| Some(format!("{key} {}", path.as_ref()?)));
    [source].into_iter().chain(beside).collect::<Vec<_>>().join(" with ")
}
