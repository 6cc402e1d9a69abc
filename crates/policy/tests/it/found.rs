//! What an explanation says was found where a condition does not hold.
use jeton_policy::Permissions;
use serde_json::json;

use crate::policy_text::{compile_good, with_claim, with_client, with_scopes};

/// What is found for the one condition of `GET /{a}`, on `/acme`.
fn found(require: &str, bearer: &Permissions) -> (String, Option<String>) {
    let policies = compile_good(&format!(
        "version: 1
scopes: {{ s1: x, s2: x }}
roles: {{ r1: [s1] }}
apis:
  api:
    audience: https://api.example.com
    rules:
      rule:
        routes: ['GET /{{a}}']
        require: {require}
clients: {{ c1: {{}} }}
"
    ));
    let explained = policies.explain("api", "GET", "/acme", Some(&bearer.subject()));
    assert!(!explained.allowed, "{require} for {bearer:?}");
    let [alternative] = explained.alternatives.as_slice() else { panic!("{require}") };
    let [condition] = alternative.conditions.as_slice() else { panic!("{require}") };
    (condition.condition.clone(), condition.found.clone())
}

#[test]
fn scopes_that_are_not_there_are_named_if_some_are() {
    let both = "{ all_scopes: [s1, s2] }";
    for (bearer, expected) in [
        (with_scopes(&["s1"]), Some("s2 is not there")),
        (with_scopes(&["s2"]), Some("s1 is not there")),
        // the condition tells that itself
        (with_scopes(&[]), None),
        (with_scopes(&["s3"]), None),
    ] {
        assert_eq!(found(both, &bearer).1.as_deref(), expected, "{bearer:?}");
    }
    assert_eq!(found("{ client: c1 }", &with_client("c2")).1.as_deref(), Some("the client is `c2`"));
}

#[test]
fn a_claim_is_told_with_what_is_wrong_with_it() {
    let told =
        |test: &str, claim| found(&format!("{{ claims: {{ t: {{ {test} }} }} }}"), &with_claim("t", claim)).1;
    for (test, claim, expected) in [
        ("is: x", json!("y"), "the claim is `y`"),
        ("is: x", json!(1), "the claim is 1, a number, no text"),
        ("is: x", json!(1.5), "the claim is 1.5, a fraction, no text"),
        ("is: 1", json!(1.5), "the claim is 1.5, a fraction, no whole number"),
        ("contains: x", json!("x"), "the claim is `x`, a text, no list"),
        ("is: x", json!(true), "the claim is true, a boolean, no text"),
        ("is: x", json!(["x"]), "the claim is [\"x\"], a list, no text"),
        ("is: x", json!({}), "the claim is {}, an object, no text"),
        ("is: 1", json!("1"), "the claim is `1`, a text, no number"),
        ("contains: x", json!([1]), "the claim is [1], a list without text"),
        ("contains: 1", json!(["1"]), "the claim is [\"1\"], a list without number"),
        ("contains: x", json!(["y"]), "the claim is [\"y\"]"),
        ("same_as_path: a", json!("other"), "the claim is `other`, and the path has `acme`"),
        ("contains_path: a", json!(["other"]), "the claim is [\"other\"], and the path has `acme`"),
    ] {
        assert_eq!(told(test, claim).as_deref(), Some(expected), "{test}");
    }
    let absent = found("{ claims: { t: { is: x } } }", &Permissions::default());
    assert_eq!(absent.1.as_deref(), Some("there is no such claim"));
}

#[test]
fn a_text_in_a_list_that_reads_as_something_else_is_in_quotes() {
    let (condition, _) =
        found(r#"{ claims: { t: { in: [x, "1", 1, "true", true, "-0"] } } }"#, &Permissions::default());
    assert_eq!(condition, r#"claims.t in [x, "1", 1, "true", true, -0]"#);
}
