//! Generators of policies over few words, so that much overlaps.
use proptest::{collection::vec, prelude::*, sample::select, sample::subsequence};

use super::model::{Alternatives, Ask, Client, DIALECTS, Dialect, Guarantee, Policy, Rule, Test};

/// A route; each parameter is called after its segment.
fn route(dialect: &'static Dialect) -> impl Strategy<Value = String> {
    let method = select(vec!["GET", "GET", "HEAD", "POST", "ANY", "ANY"]);
    let literal = select(dialect.literals).prop_map(str::to_owned);
    let part =
        prop_oneof![1 => literal, 1 => select(dialect.endings).prop_map(|ending| format!("{{}}{ending}"))];
    let end = select(vec!["", "", "", "", "/", "/**", "/**", "/**/"]);
    (method, vec(part, 0..4), end).prop_map(|(method, parts, end)| {
        // no deeper than the paths that are looked at
        let most = if end == "/**/" { 2 } else { 3 };
        let parts = parts.iter().take(most).enumerate();
        let parts: Vec<_> = parts.map(|(at, part)| part.replace("{}", &format!("{{p{at}}}"))).collect();
        match (parts.is_empty(), end) {
            (true, "/**" | "/**/") => format!("{method} {end}"),
            (true, _) => format!("{method} /"),
            (false, end) => format!("{method} /{}{end}", parts.join("/")),
        }
    })
}

fn test(dialect: &'static Dialect) -> impl Strategy<Value = Test> {
    let value = || select(dialect.values);
    let values = || subsequence(dialect.values, 1..=dialect.values.len());
    prop_oneof![
        2 => value().prop_map(Test::Is),
        1 => values().prop_map(Test::In),
        1 => values().prop_map(|values| Test::In([values, vec!["c"]].concat())),
        1 => value().prop_map(Test::Contains),
        5 => (0..3_usize).prop_map(Test::SameAsPath),
        3 => (0..3_usize).prop_map(Test::ContainsPath),
    ]
}

fn ask(dialect: &'static Dialect) -> impl Strategy<Value = Ask> {
    let scopes = || subsequence(vec!["s1", "s2", "s3"], 1..=3);
    prop_oneof![
        2 => select(vec!["s1", "s2"]).prop_map(Ask::Scope),
        1 => scopes().prop_map(Ask::AllScopes),
        2 => scopes().prop_map(Ask::AnyScope),
        2 => select(vec!["r1", "r2"]).prop_map(Ask::Role),
        1 => Just(Ask::AnyRole(vec!["r1", "r2"])),
        1 => select(vec!["x", "y"]).prop_map(Ask::Client),
        1 => Just(Ask::AnyClient(vec!["x", "y"])),
        8 => (select(dialect.names), test(dialect)).prop_map(|(name, test)| Ask::Claim(name, test)),
    ]
}

fn alternatives(dialect: &'static Dialect) -> impl Strategy<Value = Alternatives> {
    vec(vec(ask(dialect), 1..4), 1..4)
}

/// As far as the parameters of all of these routes go, and with each key once.
fn fit(alternatives: &mut Alternatives, routes: &[String], dialect: &Dialect) {
    let shared: Vec<usize> =
        (0..3).filter(|at| routes.iter().all(|route| route.contains(&format!("{{p{at}}}")))).collect();
    for alternative in alternatives {
        let mut keys = Vec::new();
        alternative.retain_mut(|ask| {
            if let Some(wanted) = ask.parameter() {
                let given = shared.get(wanted % shared.len().max(1)).copied();
                let Ask::Claim(_, test) = ask else { unreachable!() };
                *test = match (&*test, given) {
                    (Test::SameAsPath(_), Some(at)) => Test::SameAsPath(at),
                    (Test::ContainsPath(_), Some(at)) => Test::ContainsPath(at),
                    (Test::SameAsPath(_), None) => Test::Is(dialect.values[0]),
                    (_, _) => Test::Contains(dialect.values[1]),
                };
            }
            let is_new = !keys.contains(&ask.key());
            keys.push(ask.key());
            is_new
        });
    }
}

fn client(id: &'static str, dialect: &'static Dialect) -> impl Strategy<Value = Client> {
    let claim = || prop::option::weighted(0.9, select(dialect.claims()));
    let grant = (subsequence(vec!["s1", "s2", "s3"], 0..=3), subsequence(vec!["r1", "r2"], 0..=2));
    // a grant must grant something
    let grant = grant
        .prop_map(|(scopes, roles)| if roles.is_empty() { (vec!["s1"], roles) } else { (scopes, roles) });
    let grant = prop::option::weighted(0.9, grant);
    let rarely = || prop::bool::weighted(0.1);
    (rarely(), rarely(), grant, claim(), claim()).prop_map(move |(disabled, anonymous, grant, t, u)| Client {
        id,
        enabled: !disabled,
        anonymous,
        grant,
        claims: [("t", t), ("u", u)].into_iter().filter_map(|(name, value)| Some((name, value?))).collect(),
    })
}

/// A policy of up to `most` rules with one route each.
pub(super) fn policy(most: usize) -> impl Strategy<Value = Policy> {
    select(&DIALECTS[..]).prop_flat_map(move |dialect| policy_in(dialect, most))
}

fn policy_in(dialect: &'static Dialect, most: usize) -> impl Strategy<Value = Policy> {
    let rule = (route(dialect), prop::option::weighted(0.9, alternatives(dialect)));
    let guarantee = (route(dialect), alternatives(dialect));
    let scopes = || subsequence(vec!["s1", "s2"], 0..=2);
    let clients = (client("x", dialect), client("y", dialect), client("w", dialect));
    (vec(rule, 1..=most), vec(guarantee, 0..3), (scopes(), scopes()), clients).prop_map(
        move |(rules, guarantees, (r1, r2), (x, y, w))| {
            let with_one = |scopes: Vec<&'static str>| if scopes.is_empty() { vec!["s1"] } else { scopes };
            let rules = rules.into_iter().enumerate().map(|(at, (route, mut require))| {
                let routes = vec![route];
                if let Some(alternatives) = &mut require {
                    fit(alternatives, &routes, dialect);
                }
                Rule { name: format!("rule-{at}"), routes, require }
            });
            let guarantees = guarantees.into_iter().map(|(route, mut only_when)| {
                fit(&mut only_when, std::slice::from_ref(&route), dialect);
                Guarantee { route, only_when }
            });
            let mut policy = Policy {
                dialect,
                roles: [with_one(r1), with_one(r2)],
                rules: rules.collect(),
                guarantees: guarantees.collect(),
                clients: vec![x, y, w],
            };
            without_twins(&mut policy.rules);
            policy
        },
    )
}

/// Leaves the first rule of each route.
fn without_twins(rules: &mut Vec<Rule>) {
    let mut seen = Vec::new();
    rules.retain(|rule| {
        let is_new = !seen.contains(&rule.routes);
        seen.push(rule.routes.clone());
        is_new
    });
}

/// A policy and another one that has much of it.
pub(super) fn edit(most: usize) -> impl Strategy<Value = (Policy, Policy)> {
    let mask = vec(prop::bool::weighted(0.4), most + 7);
    let both = select(&DIALECTS[..])
        .prop_flat_map(move |dialect| (policy_in(dialect, most), policy_in(dialect, most)));
    (both, mask, prop::bool::weighted(0.2)).prop_map(move |((old, mut new), mask, is_removed)| {
        new.guarantees.clear();
        for (at, rule) in old.rules.iter().enumerate() {
            if !mask[at] {
                new.rules.retain(|other| other.name != rule.name);
                new.rules.push(rule.clone());
            }
        }
        new.rules.sort_by(|a, b| a.name.cmp(&b.name));
        without_twins(&mut new.rules);
        for (at, client) in old.clients.iter().enumerate() {
            if !mask[most + at] {
                new.clients[at] = client.clone();
            }
        }
        for at in 0..2 {
            if !mask[most + 3 + at] {
                new.roles[at].clone_from(&old.roles[at]);
            }
        }
        if is_removed {
            new.clients.pop();
        }
        let old = Policy { guarantees: Vec::new(), ..old };
        (old, new)
    })
}
