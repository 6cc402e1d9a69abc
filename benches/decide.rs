//! Deciding a request in process, from 10 rules to 100,000.
#![allow(
    missing_docs,
    clippy::pedantic,
    clippy::restriction,
    reason = "a measurement may stop at the first surprise"
)]

mod support;

use std::{fmt::Write, fs};

use jeton::{
    clock::{Clock, SystemClock},
    oauth::{Audience, ScopeSet},
    policy::{Api, DemoSecrets, PolicySet, Sources, Subject, Surroundings},
};
use serde_json::json;

/// Policies with this many rules in one API: each a route with a parameter, a scope and a claim.
fn policies(rules: usize) -> PolicySet {
    let mut text = String::from(
        "version: 1\nscopes:\n  a:read: x\napis:\n  big:\n    audience: https://big.example\n    rules:\n",
    );
    for rule in 0..rules {
        let (group, item) = (rule / 100, rule % 100);
        write!(
            text,
            "      r{rule}:\n        routes: [\"GET /tenants/{{tenant}}/group{group}/item{item}/{{id}}\"]\n        \
             require:\n          scope: a:read\n          claims: {{ tenant: {{ same_as_path: tenant }} }}\n"
        )
        .unwrap();
    }
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("big.yaml"), text).unwrap();
    let surroundings = Surroundings {
        issuer: Audience::parse("http://127.0.0.1:8080").unwrap(),
        max_ttl: 86_400,
        demo_secrets: DemoSecrets::Allowed,
    };
    let start = std::time::Instant::now();
    let set =
        PolicySet::compile(&Sources::read(dir.path()).unwrap(), &surroundings, SystemClock.now()).unwrap();
    println!("  {rules:>7} rules read and compiled in {:?}", start.elapsed());
    set
}

fn main() {
    println!("\nload");
    let sets = [10, 1_000, 100_000].map(|rules| (rules, policies(rules)));
    let scopes = ScopeSet::parse("a:read b:read c:write").unwrap();
    let serde_json::Value::Object(claims) = json!({ "tenant": "acme", "region": "eu" }) else {
        unreachable!()
    };
    let subject = Subject { client: None, scopes: &scopes, roles: &[], claims: &claims };

    for (title, allowed) in [("decide: allowed", true), ("decide: refused, another tenant's path", false)] {
        let tenant = if allowed { "acme" } else { "globex" };
        // 1,024 different questions, spread over all rules
        let questions = sets.each_ref().map(|(rules, set)| {
            let paths: Vec<String> = (0..1024usize)
                .map(|n| {
                    let rule = n.wrapping_mul(2_654_435_761) % rules;
                    format!("/tenants/{tenant}/group{}/item{}/42", rule / 100, rule % 100)
                })
                .collect();
            (set.api("big").unwrap(), paths)
        });
        if allowed {
            for (api, paths) in &questions {
                let counted = allocation_counter::measure(|| {
                    for path in paths {
                        assert!(api.decide("GET", path, Some(&subject)).is_allowed());
                    }
                });
                assert_eq!(counted.count_total, 0, "an allowed decision allocates");
            }
        }
        let ask = |(api, paths): &(&Api, Vec<String>), at: &mut usize| {
            *at = (*at + 1) % paths.len();
            assert_eq!(api.decide("GET", &paths[*at], Some(&subject)).is_allowed(), allowed);
        };
        let [mut a, mut b, mut c] = [0; 3];
        let measured = support::in_turns(
            20_000,
            &mut [
                ("10 rules", &mut || ask(&questions[0], &mut a)),
                ("1,000 rules", &mut || ask(&questions[1], &mut b)),
                ("100,000 rules", &mut || ask(&questions[2], &mut c)),
            ],
        );
        support::print(title, &measured);
    }
}
