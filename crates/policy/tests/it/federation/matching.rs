//! Which client a token stands for, and what the refusal says where it stands for none.
use std::fmt::Write;

use jeton_oauth::IssuerName;
use jeton_policy::PolicySet;
use serde_json::{Map, Value, json};

use crate::policy_text::compile_good;

const POLICIES: &str = r#"version: 1
issuers:
  github:
    issuer: https://token.actions.githubusercontent.com
    audience: https://tokens.example.com
    keys: { discover: true }
  cluster:
    issuer: https://cluster.example.com
    audience: https://tokens.example.com
    keys: { discover: true }
  unused:
    issuer: https://unused.example.com
    audience: https://tokens.example.com
    keys: { discover: true }
clients:
  deployer:
    claims: { tenant: acme }
    federated:
      - issuer: github
        claims:
          repository_id: { is: "456789" }
          ref: { in: [refs/heads/main] }
        claims_from: { repository: repository, run: /run/0/id }
      - issuer: github
        claims:
          repository_id: { is: "456789" }
          environment: { is: production }
  tester:
    federated:
      - issuer: github
        claims:
          repository_id: { is: "456789" }
          ref: { is: refs/heads/next }
          environment: { is: test }
  worker:
    federated:
      - issuer: cluster
        claims:
          /kubernetes.io/namespace: { is: billing }
          groups: { contains: workers }
          level: { is: 3 }
          trusted: { is: true }
  off:
    enabled: false
    federated:
      - issuer: cluster
        claims: { sub: { is: off }, /kubernetes.io/namespace: { is: off } }
"#;

fn claims(claims: Value) -> Map<String, Value> {
    let Value::Object(claims) = claims else { panic!("{claims}") };
    claims
}

fn issuer(name: &str) -> IssuerName {
    IssuerName::parse(name).unwrap()
}

#[track_caller]
fn stands_for(policies: &PolicySet, of: &str, token: Value, client: &str, taken_over: Value) {
    let token = claims(token);
    let found = policies.federation().client_of(&issuer(of), &token);
    let found = found.unwrap_or_else(|no_match| panic!("{no_match}"));
    assert_eq!(found.client.id.as_str(), client);
    assert_eq!(found.claims, claims(taken_over));
}

#[track_caller]
fn is_nobodys(policies: &PolicySet, of: &str, token: Value, said: &str) {
    let no_match = policies.federation().client_of(&issuer(of), &claims(token)).map(drop).unwrap_err();
    assert_eq!(no_match.to_string(), said);
}

#[test]
fn the_first_entry_that_holds_says_what_is_taken_over() {
    let policies = compile_good(POLICIES);
    let token = |reference: &str, environment: &str| {
        json!({
            "iss": "https://token.actions.githubusercontent.com", "aud": "https://tokens.example.com",
            "repository_id": "456789", "repository": "acme/shop", "ref": reference, "environment": environment,
            "run": [{ "id": 7 }],
        })
    };
    let expected = json!({ "repository": "acme/shop", "run": 7 });
    stands_for(&policies, "github", token("refs/heads/main", "test"), "deployer", expected.clone());
    stands_for(&policies, "github", token("refs/heads/main", "production"), "deployer", expected);
    stands_for(&policies, "github", token("refs/heads/other", "production"), "deployer", json!({}));
    stands_for(&policies, "github", token("refs/heads/next", "test"), "tester", json!({}));
    let worker = json!({
        "kubernetes.io": { "namespace": "billing" }, "groups": ["a", "workers"], "level": 3, "trusted": true,
    });
    stands_for(&policies, "cluster", worker.clone(), "worker", json!({}));
    stands_for(
        &policies,
        "cluster",
        json!({ "sub": "off", "kubernetes.io": { "namespace": "off" } }),
        "off",
        json!({}),
    );
    let said = "it stands for no client; the nearest is `deployer`: claim repository_id is `456789`: there is no such \
                claim; claim ref in [refs/heads/main]: there is no such claim";
    is_nobodys(&policies, "github", worker, said);
}

#[test]
fn values_are_compared_by_type_and_byte_by_byte() {
    let policies = compile_good(POLICIES);
    let worker = |change: Value| {
        let mut token = claims(json!({
            "kubernetes.io": { "namespace": "billing" }, "groups": ["workers"], "level": 3, "trusted": true,
        }));
        token.extend(claims(change));
        Value::Object(token)
    };
    let nearest = "it stands for no client; the nearest is `worker`: claim ";
    for (change, said) in [
        (json!({ "level": "3" }), "level is 3: it is `3`, a text, no number"),
        (json!({ "level": 3.5 }), "level is 3: it is 3.5, a fraction, no whole number"),
        (json!({ "trusted": "true" }), "trusted is true: it is `true`, a text, no boolean"),
        (json!({ "trusted": false }), "trusted is true: it is false"),
        (json!({ "groups": "workers" }), "groups contains `workers`: it is `workers`, a text, no list"),
        (json!({ "groups": ["Workers"] }), "groups contains `workers`: it is [\"Workers\"]"),
        (
            json!({ "kubernetes.io": { "namespace": "billing " } }),
            "/kubernetes.io/namespace is `billing`: it is `billing `",
        ),
        (
            json!({ "kubernetes.io": "billing" }),
            "/kubernetes.io/namespace is `billing`: there is no such claim",
        ),
        (
            json!({ "kubernetes.io": { "namespace": "bill\ning\u{202e}" } }),
            "/kubernetes.io/namespace is `billing`: it is `bill\\ning\\u{202e}`",
        ),
    ] {
        is_nobodys(&policies, "cluster", worker(change), &format!("{nearest}{said}"));
    }
}

#[test]
fn what_is_taken_over_must_be_there() {
    let policies = compile_good(POLICIES);
    let token = |change: Value| {
        let mut token = claims(json!({
            "repository_id": "456789", "ref": "refs/heads/main", "environment": "production",
            "repository": "acme/shop", "run": [{ "id": [1, "2", null] }],
        }));
        token.extend(claims(change));
        Value::Object(token)
    };
    let expected = json!({ "repository": "acme/shop", "run": [1, "2", null] });
    stands_for(&policies, "github", token(json!({})), "deployer", expected);
    let nearest = "it stands for no client; the nearest is `deployer`: claim ";
    // the second entry holds too, and takes nothing over: the first counts
    for (change, said) in [
        (json!({ "repository": null }), "repository is taken over as `repository`: it is nothing"),
        (json!({ "repository": { "a": 1 } }), "repository is taken over as `repository`: it is an object"),
        (json!({ "run": [] }), "/run/0/id is taken over as `run`: there is no such claim"),
    ] {
        is_nobodys(&policies, "github", token(change), &format!("{nearest}{said}"));
    }
}

#[test]
fn an_issuer_that_no_client_trusts_has_nobodys_tokens() {
    let policies = compile_good(POLICIES);
    for name in ["unused", "nowhere"] {
        is_nobodys(&policies, name, json!({ "sub": "off" }), "no client trusts this issuer");
        assert!(policies.federation().compare(&issuer(name), &Map::new()).is_empty());
    }
    let issuers: Vec<_> = policies.issuers().iter().map(|issuer| issuer.name.as_str()).collect();
    assert_eq!(issuers, ["cluster", "github", "unused"]);
    let by_iss = |iss| policies.issuers().by_issuer(iss).map(|issuer| issuer.name.as_str());
    assert_eq!(by_iss("https://token.actions.githubusercontent.com"), Some("github"));
    assert_eq!(by_iss("https://token.actions.githubusercontent.com/"), None);
    assert_eq!(by_iss("https://Token.actions.githubusercontent.com"), None);
}

/// A short form of what the log may get: whoever makes tokens at a shared issuer writes it.
#[test]
fn a_long_claim_is_cut() {
    let policies = compile_good(POLICIES);
    let token = claims(json!({ "repository_id": "456789", "ref": "\u{e9}".repeat(3000) }));
    let no_match = policies.federation().client_of(&issuer("github"), &token).map(drop).unwrap_err();
    let [reference] = &no_match.differing[..] else { panic!("{no_match}") };
    assert_eq!(reference.claim, "ref");
    let quoted = format!("`{}…{}` (3002 characters)", "\u{e9}".repeat(98), "\u{e9}".repeat(98));
    assert_eq!(reference.found, format!("it is {quoted}"), "its middle is lost, and its length told");
}

/// However many clients there are: the nearest is looked for among those of which something holds.
#[test]
fn among_many_clients_the_nearest_is_found() {
    let mut text = POLICIES.to_owned();
    for client in 0..2000 {
        write!(
            text,
            "  c{client}:\n    federated:\n      - issuer: github\n        claims: {{ repository_id: {{ is: \"{client}\" }}, \
             ref: {{ is: refs/heads/main }} }}\n"
        )
        .unwrap();
    }
    let policies = compile_good(&text);
    let main = json!({ "repository_id": "1234", "ref": "refs/heads/main" });
    stands_for(&policies, "github", main, "c1234", json!({}));
    let said = "it stands for no client; the nearest is `c1234`: claim ref is `refs/heads/main`: it is `refs/heads/x`";
    is_nobodys(&policies, "github", json!({ "repository_id": "1234", "ref": "refs/heads/x" }), said);
    let compared = policies
        .federation()
        .compare(&issuer("github"), &claims(json!({ "repository_id": "1234", "ref": "refs/heads/x" })));
    assert_eq!(compared.len(), 2002);
    assert_eq!(compared[0].client.id.as_str(), "c1234");
}

/// What few ask for says who is meant, and a branch that all ask for does not.
#[test]
fn the_nearest_is_the_one_whose_own_condition_holds() {
    let mut text = POLICIES.to_owned();
    for client in 0..12 {
        write!(
            text,
            "  c{client}:\n    federated:\n      - issuer: github\n        claims: {{ repository_id: {{ is: \"{client}\" }} }}\n"
        )
        .unwrap();
    }
    text.push_str(
        "  zeal:\n    federated:\n      - issuer: github\n        claims: { repository_id: { is: \"77\" }, \
         ref: { is: refs/heads/main }, environment: { is: prod }, event_name: { is: push } }\n",
    );
    let policies = compile_good(&text);
    let token =
        json!({ "repository_id": "77", "ref": "refs/heads/x", "environment": "test", "event_name": "pull" });
    let said = "it stands for no client; the nearest is `zeal`: claim ref is `refs/heads/main`: it is `refs/heads/x`; \
                claim environment is `prod`: it is `test`; claim event_name is `push`: it is `pull`";
    is_nobodys(&policies, "github", token.clone(), said);
    let compared = policies.federation().compare(&issuer("github"), &claims(token));
    assert_eq!(compared[0].client.id.as_str(), "zeal");
}
