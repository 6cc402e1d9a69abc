//! Random entries of `federated` against a model that tries every token of a small world.
//!
//! The world has all that matters to the conditions in it: nothing is negated, so of two lists or objects the one that
//! holds more stands for the other.
use std::collections::{BTreeMap, BTreeSet};

use jeton_oauth::IssuerName;
use jeton_policy::{ChangeEffect, DiffEffort, FindingCode, Findings, PolicySet, Severity};
use proptest::{
    collection::{btree_map, vec},
    prelude::*,
    sample::select,
};
use serde_json::{Map, Value, json};

use crate::policy_text::{cases, compile};

/// The claims that conditions are about, by name or pointer.
const NAMES: [&str; 6] = ["a", "b", "/a/x", "/a/0", "/a/x/0", "/b"];

fn scalars() -> Vec<Value> {
    vec![json!("u"), json!("v"), json!(1), json!(true)]
}

/// Lists with something at their first position, and everything behind.
fn lists() -> Vec<Value> {
    let first = scalars().into_iter().chain([Value::Null, scalars().into()]);
    first.map(|first| [vec![first], scalars()].concat().into()).collect()
}

/// All tokens of the world, as far as conditions can tell them apart.
fn tokens() -> Vec<Map<String, Value>> {
    let flat: Vec<_> = scalars().into_iter().chain(lists()).collect();
    let first = scalars().into_iter().chain([scalars().into()]).map(|first| json!({ "0": first }));
    let of_x: Vec<_> = flat.iter().cloned().chain(first).collect();
    let objects = of_x.iter().flat_map(|x| flat.iter().map(move |zero| json!({ "x": x, "0": zero })));
    let of_a: Vec<_> = flat.iter().cloned().chain(objects).collect();
    let of_b: Vec<_> = scalars().into_iter().chain([scalars().into()]).collect();
    let pairs = of_a.iter().flat_map(|a| of_b.iter().map(move |b| json!({ "a": a, "b": b })));
    pairs.map(|token| token.as_object().unwrap().clone()).collect()
}

/// By operator what it names.
type Tests = BTreeMap<&'static str, Value>;
/// By claim.
type Conditions = BTreeMap<&'static str, Tests>;

fn test() -> impl Strategy<Value = (&'static str, Value)> {
    let value = || select(scalars());
    prop_oneof![
        3 => value().prop_map(|value| ("is", value)),
        2 => vec(value(), 1..3).prop_map(|values| ("in", values.into())),
        2 => value().prop_map(|value| ("contains", value)),
    ]
}

fn conditions() -> impl Strategy<Value = Conditions> {
    let tests = prop_oneof![5 => vec(test(), 1), 1 => vec(test(), 2)];
    btree_map(select(NAMES.to_vec()), tests.prop_map(|tests| tests.into_iter().collect()), 1..4)
}

/// Clients by their position, each with its entries.
fn clients() -> impl Strategy<Value = Vec<Vec<Conditions>>> {
    vec(vec(conditions(), 1..4), 2..5)
}

fn find<'t>(token: &'t Map<String, Value>, name: &str) -> Option<&'t Value> {
    let mut names = name.strip_prefix('/').unwrap_or(name).split('/');
    let first = token.get(names.next()?);
    names.fold(first, |value, name| match value? {
        Value::Object(members) => members.get(name),
        Value::Array(items) => items.get(name.parse::<usize>().ok()?),
        _ => None,
    })
}

fn holds(token: &Map<String, Value>, name: &str, operator: &str, wanted: &Value) -> bool {
    let Some(claim) = find(token, name) else { return false };
    match operator {
        "is" => claim == wanted,
        "in" => wanted.as_array().unwrap().contains(claim),
        _ => claim.as_array().is_some_and(|items| items.contains(wanted)),
    }
}

fn meets(token: &Map<String, Value>, conditions: &Conditions) -> bool {
    let mut tests = conditions.iter().flat_map(|(name, tests)| tests.iter().map(move |test| (name, test)));
    tests.all(|(name, (operator, wanted))| holds(token, name, operator, wanted))
}

fn stands_for(token: &Map<String, Value>, clients: &[Vec<Conditions>]) -> Vec<usize> {
    let is_of = |entries: &Vec<Conditions>| entries.iter().any(|entry| meets(token, entry));
    (0..).zip(clients).filter(|(_, entries)| is_of(entries)).map(|(client, _)| client).collect()
}

/// The policies as text. JSON is YAML.
fn policies(clients: &[Vec<Conditions>]) -> String {
    let clients = clients.iter().enumerate().map(|(client, entries)| {
        let entries = entries.iter().enumerate().map(|(at, conditions)| {
            let claims = conditions.iter().map(|(name, tests)| {
                let test: Map<_, _> =
                    tests.iter().map(|(operator, value)| ((*operator).to_owned(), value.clone())).collect();
                ((*name).to_owned(), test.into())
            });
            let claims: Map<String, Value> = claims.collect();
            json!({ "issuer": "cluster", "claims": claims, "claims_from": { format!("from{at}"): "/b" } })
        });
        (format!("c{client}"), json!({ "federated": entries.collect::<Vec<_>>() }))
    });
    let clients: Map<String, Value> = clients.collect();
    json!({
        "version": 1,
        "issuers": { "cluster": {
            "issuer": "https://cluster.example.com",
            "audience": "https://tokens.example.com",
            "keys": { "discover": true },
        } },
        "clients": clients,
    })
    .to_string()
}

/// The two clients that each finding names, and the claims of the token.
fn told(findings: &Findings) -> Vec<([usize; 2], Map<String, Value>)> {
    let errors = findings.0.iter().filter(|finding| finding.severity == Severity::Error);
    let each = errors.map(|finding| {
        assert_eq!(finding.code, FindingCode::AmbiguousFederation, "{finding}");
        let (_, rest) = finding.message.split_once(" with the claims ").unwrap();
        let (claims, rest) = rest.rsplit_once(" could stand for client `c").unwrap();
        let (one, other) = rest.trim_end_matches('`').split_once("` and for client `c").unwrap();
        ([one.parse().unwrap(), other.parse().unwrap()], serde_json::from_str(claims).unwrap())
    });
    each.collect()
}

fn agree(clients: &[Vec<Conditions>], loaded: Result<PolicySet, Findings>) {
    let tokens = tokens();
    let mut pairs = BTreeSet::new();
    for token in &tokens {
        let standing = stands_for(token, clients);
        for (at, one) in standing.iter().enumerate() {
            pairs.extend(standing.iter().skip(at + 1).map(|other| [*one, *other]));
        }
    }
    match loaded {
        Err(findings) => {
            let told = told(&findings);
            for ([one, other], token) in &told {
                let standing = stands_for(token, clients);
                assert!(standing.contains(one) && standing.contains(other), "{findings}");
            }
            let sorted = |[one, other]: [usize; 2]| [one.min(other), one.max(other)];
            let told: Vec<_> = told.into_iter().map(|(pair, _)| sorted(pair)).collect();
            assert_eq!(told.iter().copied().collect::<BTreeSet<_>>(), pairs, "{findings}");
            assert_eq!(told.len(), pairs.len(), "each pair once:\n{findings}");
        }
        Ok(policies) => {
            assert_eq!(pairs, BTreeSet::new(), "no ambiguity was found");
            let is_impossible = |entry: &&Conditions| !tokens.iter().any(|token| meets(token, entry));
            let impossible = clients.iter().flatten().filter(is_impossible).count();
            let warnings = policies.warnings().0.iter();
            let told = warnings.filter(|one| one.code == FindingCode::ImpossibleFederation).count();
            assert_eq!(told, impossible, "{}", policies.warnings());
            let issuer = IssuerName::parse("cluster").unwrap();
            for token in &tokens {
                let found = policies.federation().client_of(&issuer, token);
                let compared = policies.federation().compare(&issuer, token);
                if let Some(client) = stands_for(token, clients).first() {
                    let is_first = |entry: &Conditions| meets(token, entry);
                    let first = clients[*client].iter().position(is_first).unwrap();
                    let found = found.unwrap_or_else(|no_match| panic!("{no_match}: {token:?}"));
                    assert_eq!(found.client.id.as_str(), format!("c{client}"));
                    let from = format!("from{first}");
                    assert_eq!(found.claims.keys().collect::<Vec<_>>(), [&from], "{token:?}");
                    assert_eq!(found.claims[&from], token["b"]);
                    assert_eq!(compared[0].client.id, found.client.id);
                    assert_eq!(compared[0].differing, []);
                } else {
                    let no_match = found.map(|found| found.client.id.clone()).unwrap_err();
                    assert_eq!(no_match.nearest, Some(compared[0].client.id.clone()), "{token:?}");
                    assert_eq!(no_match.differing, compared[0].differing, "{token:?}");
                    assert!(!no_match.differing.is_empty());
                }
            }
        }
    }
}

proptest! {
    #![proptest_config(cases(100))]

    #[test]
    fn what_two_clients_share_is_what_some_token_meets(clients in clients()) {
        agree(&clients, compile(&policies(&clients)));
    }
}

/// Lists of at most two of the values.
fn short_lists() -> Vec<Vec<Value>> {
    let pairs = scalars()
        .into_iter()
        .enumerate()
        .flat_map(|(at, one)| scalars().into_iter().skip(at + 1).map(move |other| vec![one.clone(), other]));
    [vec![]].into_iter().chain(scalars().into_iter().map(|one| vec![one])).chain(pairs).collect()
}

/// Tokens with as little as may matter: who newly stands for a client must not have stood for it before.
fn small_tokens() -> Vec<Map<String, Value>> {
    let lists = || short_lists().into_iter().map(Value::from);
    let scalar_or = |more: Vec<Value>| scalars().into_iter().chain(more).collect::<Vec<_>>();
    let lists_of_one = || scalars().into_iter().map(|one| json!([one])).collect::<Vec<_>>();
    let first = scalar_or(lists_of_one()).into_iter().chain([Value::Null]);
    let led_by = first.flat_map(|first| {
        short_lists().into_iter().map(move |rest| [vec![first.clone()], rest].concat().into())
    });
    let of_x = scalar_or(lists().collect()).into_iter().map(Some).chain([None]);
    let of_zero: Vec<_> = scalar_or(lists_of_one()).into_iter().map(Some).chain([None]).collect();
    let objects = of_x.flat_map(|x| {
        let object = move |zero: &Option<Value>| {
            let members = [("x", x.clone()), ("0", zero.clone())].into_iter();
            members.filter_map(|(name, value)| Some((name.to_owned(), value?))).collect::<Map<_, _>>().into()
        };
        of_zero.iter().map(object).collect::<Vec<Value>>()
    });
    let of_a = scalar_or(led_by.chain(objects).collect()).into_iter().map(Some).chain([None]);
    let of_b: Vec<_> = scalar_or(lists().collect()).into_iter().map(Some).chain([None]).collect();
    let tokens = of_a.flat_map(|a| {
        let token = move |b: &Option<Value>| {
            let claims = [("a", a.clone()), ("b", b.clone())].into_iter();
            claims.filter_map(|(name, value)| Some((name.to_owned(), value?))).collect()
        };
        of_b.iter().map(token).collect::<Vec<_>>()
    });
    tokens.collect()
}

fn differ(old: &[Conditions], new: &[Conditions]) {
    let loaded = [old, new].map(|entries| compile(&policies(&[entries.to_vec()])).unwrap());
    let difference = loaded[0].difference(&loaded[1], DiffEffort::Whole).unwrap();
    let is_of =
        |token: &Map<String, Value>, entries: &[Conditions]| entries.iter().any(|entry| meets(token, entry));
    let tokens = small_tokens();
    for (effect, from, to) in [(ChangeEffect::Gains, old, new), (ChangeEffect::Loses, new, old)] {
        let is_newly = |token: &Map<String, Value>| is_of(token, to) && !is_of(token, from);
        // of the claims that are taken over, only the entries say something
        let of_tokens = difference.changes.iter().filter(|change| change.foreign.is_some());
        let mut changes = of_tokens.filter(|change| change.effect == effect);
        assert_eq!(changes.clone().next().is_some(), tokens.iter().any(is_newly), "{difference}");
        assert!(changes.all(|change| is_newly(&change.foreign.as_ref().unwrap().claims)), "{difference}");
    }
}

/// Entries of the world of [`small_tokens`].
fn small_entries() -> impl Strategy<Value = Vec<Conditions>> {
    let conditions = conditions().prop_filter_map("no condition", |mut conditions| {
        conditions.remove("/a/x/0");
        (!conditions.is_empty()).then_some(conditions)
    });
    vec(conditions, 0..4)
}

proptest! {
    #![proptest_config(cases(60))]

    #[test]
    fn who_newly_stands_for_a_client_is_told(old in small_entries(), new in small_entries()) {
        differ(&old, &new);
    }

    #[test]
    fn a_small_edit_is_told(old in small_entries(), more in small_entries(), at in 0..4_usize) {
        let mut new = old.clone();
        // a condition more, or another one
        if let Some((at, more)) = at.checked_rem(new.len()).zip(more.first()) {
            new[at].extend(more.clone());
        }
        differ(&old, &new);
        differ(&new, &old);
    }
}

/// So many entries that they are parted by their values.
#[test]
fn entries_that_are_parted_by_values_meet_those_that_are_not() {
    let numbered = |client: usize| {
        json!({ "issuer": "cluster", "claims": {
        "id": { "in": [client, client + 1000] }, "kind": { "is": client % 3 },
    } })
    };
    let mut clients: Map<String, Value> =
        (0..300).map(|client| (format!("c{client}"), json!({ "federated": [numbered(client)] }))).collect();
    let load = |clients: &Map<String, Value>| {
        let mut policies: Value = serde_json::from_str(&policies(&[])).unwrap();
        policies["clients"] = clients.clone().into();
        compile(&policies.to_string())
    };
    assert!(load(&clients).is_ok());
    for (claims, expected) in [
        // meets those of one kind
        (json!({ "kind": { "is": 1 }, "zone": { "is": "x" } }), 100),
        // meets one
        (json!({ "id": { "is": 1007 } }), 1),
        (json!({ "id": { "in": [7, 8, 5000] }, "kind": { "in": [1, 5] } }), 1),
        (json!({ "id": { "in": [7, 8, 5000] }, "kind": { "in": [0, 1, 2] } }), 2),
        (json!({ "/id/x": { "is": 7 } }), 0),
        (json!({ "id": { "contains": 7 } }), 0),
        (json!({ "id": { "is": "7" } }), 0),
    ] {
        clients
            .insert("c999".to_owned(), json!({ "federated": [{ "issuer": "cluster", "claims": claims }] }));
        let found = load(&clients).map(drop).err().map(|findings| told(&findings)).unwrap_or_default();
        assert_eq!(found.len(), expected, "{claims}");
        assert!(found.iter().all(|(pair, _)| pair[1] == 999), "{claims}");
    }
}
