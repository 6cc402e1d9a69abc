//! What a rule asks: each key of `require` and each operator on a claim, held and not held.
use jeton_policy::{Decision, Denial, Permissions};
use serde_json::{Value, json};

use crate::policy_text::{compile_good, with_claim, with_client, with_roles, with_scopes};

/// The decision of a policy with one rule, `GET /{a}/{b}`.
#[track_caller]
fn decide<T>(require: &str, target: &str, bearer: &Permissions, read: impl Fn(Decision<'_>) -> T) -> T {
    let policies = compile_good(&format!(
        "version: 1
scopes: {{ s1: x, s2: x, s3: x }}
roles: {{ r1: [s1], r2: [s2], r3: [s3] }}
apis:
  api:
    audience: https://api.example.com
    rules:
      rule:
        routes: ['GET /{{a}}/{{b}}']
        require: {require}
clients: {{ c1: {{}}, c2: {{}}, c3: {{}} }}
"
    ));
    read(policies.api("api").unwrap().decide("GET", target, Some(&bearer.subject())))
}

#[track_caller]
fn holds(require: &str, bearer: &Permissions) {
    decide(require, "/acme/42", bearer, |decision| {
        assert!(decision.is_allowed(), "{require} must hold for {bearer:?}: {decision:?}");
    });
}

#[track_caller]
fn fails(require: &str, bearer: &Permissions) {
    decide(require, "/acme/42", bearer, |decision| {
        let not_met = matches!(decision, Decision::Deny(Denial::NotMet { .. }));
        assert!(not_met, "{require} must not hold for {bearer:?}: {decision:?}");
    });
}

#[test]
fn scope_asks_for_one_scope() {
    holds("{ scope: s1 }", &with_scopes(&["s1"]));
    holds("{ scope: s1 }", &with_scopes(&["s2", "s1", "s3"]));
    fails("{ scope: s1 }", &with_scopes(&[]));
    fails("{ scope: s1 }", &with_scopes(&["s2"]));
    // neither a part nor another case nor a role of the name
    fails("{ scope: s1 }", &with_scopes(&["s", "s11", "S1"]));
    fails("{ scope: s1 }", &with_roles(&["s1", "r1"]));
    fails("{ scope: s1 }", &with_claim("scope", "s1"));
}

#[test]
fn all_scopes_asks_for_each() {
    holds("{ all_scopes: [s1, s2] }", &with_scopes(&["s1", "s2"]));
    holds("{ all_scopes: [s1, s2] }", &with_scopes(&["s3", "s2", "s1"]));
    holds("{ all_scopes: [s1] }", &with_scopes(&["s1"]));
    fails("{ all_scopes: [s1, s2] }", &with_scopes(&["s1"]));
    fails("{ all_scopes: [s1, s2] }", &with_scopes(&["s2", "s3"]));
    fails("{ all_scopes: [s1, s2] }", &with_scopes(&[]));
}

#[test]
fn any_scope_asks_for_one_of_several() {
    holds("{ any_scope: [s1, s2] }", &with_scopes(&["s1"]));
    holds("{ any_scope: [s1, s2] }", &with_scopes(&["s2", "s3"]));
    fails("{ any_scope: [s1, s2] }", &with_scopes(&["s3"]));
    fails("{ any_scope: [s1, s2] }", &with_scopes(&[]));
}

#[test]
fn role_asks_for_one_role() {
    holds("{ role: r1 }", &with_roles(&["r1"]));
    holds("{ role: r1 }", &with_roles(&["r2", "r1"]));
    fails("{ role: r1 }", &with_roles(&["r2", "R1", "r"]));
    // the scopes of a role are not the role
    fails("{ role: r1 }", &with_scopes(&["s1", "r1"]));
    fails("{ role: r1 }", &with_claim("roles", json!(["r1"])));
    fails("{ role: r1 }", &with_claim("role", "r1"));
}

#[test]
fn any_role_asks_for_one_of_several() {
    holds("{ any_role: [r1, r2] }", &with_roles(&["r1"]));
    holds("{ any_role: [r1, r2] }", &with_roles(&["r2"]));
    fails("{ any_role: [r1, r2] }", &with_roles(&["r3"]));
    fails("{ any_role: [r1, r2] }", &with_roles(&[]));
}

#[test]
fn client_asks_for_one_client() {
    holds("{ client: c1 }", &with_client("c1"));
    fails("{ client: c1 }", &with_client("c2"));
    fails("{ client: c1 }", &with_client("C1"));
    // an anonymous token names no client
    fails("{ client: c1 }", &Permissions::default());
    fails("{ client: c1 }", &with_claim("client_id", "c1"));
    fails("{ client: c1 }", &with_claim("sub", "c1"));
}

#[test]
fn any_client_asks_for_one_of_several() {
    holds("{ any_client: [c1, c2] }", &with_client("c1"));
    holds("{ any_client: [c1, c2] }", &with_client("c2"));
    fails("{ any_client: [c1, c2] }", &with_client("c3"));
    fails("{ any_client: [c1, c2] }", &Permissions::default());
}

/// What is no text, or another one than `acme`.
fn not_acme() -> Vec<Value> {
    vec![
        json!(""),
        json!("acm"),
        json!("acme2"),
        json!("Acme"),
        json!(" acme"),
        json!("acme "),
        json!("acme\0"),
        json!(["acme"]),
        json!({ "acme": "acme" }),
        json!(null),
        json!(true),
        json!(0),
        json!(1.5),
    ]
}

#[test]
fn is_compares_text_byte_by_byte() {
    holds("{ claims: { t: { is: acme } } }", &with_claim("t", "acme"));
    for other in not_acme() {
        fails("{ claims: { t: { is: acme } } }", &with_claim("t", other));
    }
    fails("{ claims: { t: { is: acme } } }", &Permissions::default());
    fails("{ claims: { t: { is: acme } } }", &with_claim("T", "acme"));
    // composed and decomposed letters are other bytes
    holds("{ claims: { t: { is: 'caf\u{e9}' } } }", &with_claim("t", "caf\u{e9}"));
    fails("{ claims: { t: { is: 'caf\u{e9}' } } }", &with_claim("t", "cafe\u{301}"));
    // text that looks like something else
    holds("{ claims: { t: { is: '42' } } }", &with_claim("t", "42"));
    fails("{ claims: { t: { is: '42' } } }", &with_claim("t", 42));
    holds("{ claims: { t: { is: 'true' } } }", &with_claim("t", "true"));
    fails("{ claims: { t: { is: 'true' } } }", &with_claim("t", true));
    // an empty text is a value; a missing claim is not
    holds("{ claims: { t: { is: '' } } }", &with_claim("t", ""));
    fails("{ claims: { t: { is: '' } } }", &Permissions::default());
    fails("{ claims: { t: { is: '' } } }", &with_claim("t", json!(null)));
}

#[test]
fn in_asks_for_one_of_several_texts() {
    let require = "{ claims: { t: { in: [acme, globex] } } }";
    holds(require, &with_claim("t", "acme"));
    holds(require, &with_claim("t", "globex"));
    fails(require, &with_claim("t", "initech"));
    fails(require, &Permissions::default());
    for other in not_acme() {
        fails(require, &with_claim("t", other));
    }
    fails(require, &with_claim("t", json!(["acme", "globex"])));
}

#[test]
fn contains_asks_for_an_item_of_a_list() {
    let require = "{ claims: { t: { contains: acme } } }";
    holds(require, &with_claim("t", json!(["acme"])));
    holds(require, &with_claim("t", json!([1, null, "globex", "acme"])));
    fails(require, &with_claim("t", json!([])));
    fails(require, &with_claim("t", json!(["globex"])));
    fails(require, &with_claim("t", json!([["acme"]])));
    fails(require, &with_claim("t", json!([{ "acme": "acme" }])));
    // the text itself is no list, and neither is a text or an object that holds it
    fails(require, &with_claim("t", "acme"));
    fails(require, &with_claim("t", "acme globex"));
    fails(require, &with_claim("t", json!({ "0": "acme" })));
    fails(require, &with_claim("t", 1));
    fails(require, &Permissions::default());
}

#[test]
fn same_as_path_compares_with_the_decoded_segment() {
    let require = "{ claims: { t: { same_as_path: a } } }";
    holds(require, &with_claim("t", "acme"));
    for other in not_acme() {
        fails(require, &with_claim("t", other));
    }
    fails(require, &with_claim("t", "42"));
    fails(require, &Permissions::default());
    // the other parameter
    holds("{ claims: { t: { same_as_path: b } } }", &with_claim("t", "42"));
    holds("{ claims: { t: { same_as_path: b } } }", &with_claim("t", 42));
    fails("{ claims: { t: { same_as_path: b } } }", &with_claim("t", "acme"));
    for (target, claim, allowed) in [
        ("/ac%6De/42", "acme", true),
        ("/a%20b/42", "a b", true),
        ("/a%20b/42", "a%20b", false),
        ("/caf%C3%A9/42", "caf\u{e9}", true),
        ("/caf%C3%A9/42", "cafe\u{301}", false),
        ("/acme/42?a=globex", "globex", false),
        ("/acme/42?a=globex", "acme", true),
    ] {
        decide(require, target, &with_claim("t", claim), |decision| {
            assert_eq!(decision.is_allowed(), allowed, "{target} with {claim}: {decision:?}");
        });
    }
}

#[test]
fn contains_path_asks_for_the_segment_in_a_list() {
    let require = "{ claims: { t: { contains_path: a } } }";
    holds(require, &with_claim("t", json!(["globex", "acme"])));
    fails(require, &with_claim("t", json!(["globex", "42"])));
    fails(require, &with_claim("t", json!([])));
    fails(require, &with_claim("t", "acme"));
    fails(require, &with_claim("t", json!({ "acme": true })));
    fails(require, &with_claim("t", json!([["acme"]])));
    fails(require, &Permissions::default());
    holds("{ claims: { t: { contains_path: b } } }", &with_claim("t", json!(["42"])));
    holds("{ claims: { t: { contains_path: b } } }", &with_claim("t", json!([42])));
}

#[test]
fn several_operators_on_one_claim_must_all_hold() {
    let require = "{ claims: { t: { in: [acme, globex], same_as_path: a } } }";
    holds(require, &with_claim("t", "acme"));
    fails(require, &with_claim("t", "globex"));
    let require = "{ claims: { t: { contains: x, contains_path: a } } }";
    holds(require, &with_claim("t", json!(["x", "acme"])));
    fails(require, &with_claim("t", json!(["x"])));
    fails(require, &with_claim("t", json!(["acme"])));
    // no value is a text and a list
    let require = "{ claims: { t: { is: acme, contains: acme } } }";
    fails(require, &with_claim("t", "acme"));
    fails(require, &with_claim("t", json!(["acme"])));
    // one claim against two parameters
    let require = "{ claims: { t: { same_as_path: a, contains_path: b } } }";
    fails(require, &with_claim("t", "acme"));
    let require = "{ claims: { t: { same_as_path: a }, u: { same_as_path: b } } }";
    let mut both = with_claim("t", "acme");
    both.claims.insert("u".to_owned(), json!("42"));
    holds(require, &both);
    both.claims.insert("u".to_owned(), json!("acme"));
    fails(require, &both);
    both.claims.remove("u");
    fails(require, &both);
}

/// A bearer who has it all.
fn full() -> Permissions {
    Permissions {
        client: with_client("c1").client,
        sub: with_client("c1").sub,
        scopes: with_scopes(&["s1", "s2"]).scopes,
        roles: with_roles(&["r1"]).roles,
        claims: with_claim("t", "acme").claims,
    }
}

#[test]
fn inside_an_alternative_everything_must_hold() {
    let require = "{ scope: s1, all_scopes: [s1, s2], any_scope: [s2, s3], role: r1, any_role: [r1, r2], \
                   client: c1, any_client: [c1, c2], claims: { t: { same_as_path: a } } }";
    holds(require, &full());
    fails(require, &Permissions { client: None, ..full() });
    fails(require, &Permissions { client: with_client("c2").client, ..full() });
    fails(require, &Permissions { scopes: with_scopes(&["s1"]).scopes, ..full() });
    fails(require, &Permissions { scopes: with_scopes(&["s2"]).scopes, ..full() });
    fails(require, &Permissions { roles: Vec::new(), ..full() });
    fails(require, &Permissions { claims: with_claim("t", "globex").claims, ..full() });
    fails(require, &Permissions { claims: with_claim("u", "acme").claims, ..full() });
}

#[test]
fn of_a_list_of_alternatives_one_must_hold() {
    let require = "[{ scope: s1, role: r1 }, { scope: s2 }, { claims: { t: { is: acme } } }]";
    holds(require, &full());
    holds(require, &with_scopes(&["s2"]));
    holds(require, &with_claim("t", "acme"));
    holds(require, &Permissions { roles: with_roles(&["r1"]).roles, ..with_scopes(&["s1"]) });
    fails(require, &with_scopes(&["s1"]));
    fails(require, &with_roles(&["r1"]));
    // half of one and half of another are not one
    fails(require, &Permissions { roles: with_roles(&["r2"]).roles, ..with_scopes(&["s1", "s3"]) });
}

#[test]
fn without_a_token_no_condition_holds() {
    for require in ["{ scope: s1 }", "{ client: c1 }", "{ claims: { t: { same_as_path: a } } }"] {
        let policies = compile_good(&format!(
            "version: 1\nscopes: {{ s1: x }}\nclients: {{ c1: {{}} }}\napis:\n  api:\n    audience: https://api.example.com\n    rules:\n      rule:\n        routes: ['GET /{{a}}']\n        require: {require}\n"
        ));
        let decision = policies.api("api").unwrap().decide("GET", "/acme", None);
        assert!(matches!(decision, Decision::Deny(Denial::NoToken { .. })), "{require}: {decision:?}");
    }
}

/// What is missing of the alternative that came nearest, and which scopes would do.
#[test]
fn a_refusal_says_what_is_missing() {
    let rows = [
        ("{ scope: s1 }", Permissions::default(), "scope: s1", Some("s1")),
        ("{ all_scopes: [s1, s2] }", with_scopes(&["s1"]), "all_scopes: [s1, s2]", Some("s1 s2")),
        ("{ any_scope: [s1, s2] }", Permissions::default(), "any_scope: [s1, s2]", Some("s1")),
        ("{ role: r1 }", Permissions::default(), "role: r1", None),
        ("{ any_role: [r1, r2] }", Permissions::default(), "any_role: [r1, r2]", None),
        ("{ client: c1 }", Permissions::default(), "client: c1", None),
        ("{ any_client: [c1, c2] }", Permissions::default(), "any_client: [c1, c2]", None),
        ("{ claims: { t: { is: x } } }", Permissions::default(), "claims.t is `x`", None),
        ("{ claims: { t: { in: [x, y] } } }", Permissions::default(), "claims.t in [x, y]", None),
        ("{ claims: { t: { contains: x } } }", Permissions::default(), "claims.t contains `x`", None),
        ("{ claims: { t: { same_as_path: a } } }", Permissions::default(), "claims.t same_as_path `a`", None),
        (
            "{ claims: { t: { contains_path: a } } }",
            Permissions::default(),
            "claims.t contains_path `a`",
            None,
        ),
        // a scope alone would not do while a claim is wrong
        (
            "{ scope: s1, claims: { t: { is: x } } }",
            Permissions::default(),
            "scope: s1, claims.t is `x`",
            None,
        ),
        ("{ scope: s1, claims: { t: { is: x } } }", with_claim("t", "x"), "scope: s1", Some("s1")),
        ("[{ role: r1 }, { scope: s2 }]", Permissions::default(), "role: r1", Some("s2")),
        ("[{ scope: s1, role: r1 }, { scope: s2 }]", with_scopes(&["s3"]), "scope: s2", Some("s2")),
    ];
    for (require, bearer, lacks, would_do) in rows {
        decide(require, "/acme/42", &bearer, |decision| {
            let Decision::Deny(Denial::NotMet { missing, scopes_that_would_do, rule }) = decision else {
                panic!("{require} for {bearer:?}: {decision:?}");
            };
            assert_eq!(rule.name(), "rule");
            assert_eq!(missing.join(", "), lacks, "{require} for {bearer:?}");
            let scopes = scopes_that_would_do.map(|scopes| scopes.to_string());
            assert_eq!(scopes.as_deref(), would_do, "{require} for {bearer:?}");
        });
    }
}
