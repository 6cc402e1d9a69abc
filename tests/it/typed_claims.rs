//! Claims by type, within claims, and the subject.
use jeton::{
    config::{GatewayApis, GatewaySettings, Settings},
    gateway::{GatewayKind, GatewayName, TrustedPeers},
};
use jeton_oauth::ApiName;
use jeton_policy::{FindingCode, Permissions, PolicySet};
use jeton_verify::gateway::ClaimHeader;
use serde_json::{Value, json};

use crate::{
    binary::Workplace,
    policy_text::{compile, compile_good, with_claim, with_client},
    support::{Setup, secrets, spawn_app_with},
};

/// A policy with one rule on `GET /{a}/{b}`.
fn policies(require: &str) -> PolicySet {
    compile_good(&format!(
        "version: 1\nscopes: {{ s1: x }}\napis:\n  api:\n    audience: https://api.example.com\n    rules:\n      rule: {{ routes: ['GET /{{a}}/{{b}}'], require: {require} }}\nclients: {{ c1: {{}}, c2: {{}} }}\n"
    ))
}

/// Holds that a condition on a claim holds of just these, of the first list of values and not of the second.
#[track_caller]
fn holds_of(test: &str, path: &str, held: &[Value], not_held: &[Value]) {
    let policies = policies(&format!("{{ claims: {{ t: {{ {test} }} }} }}"));
    let api = policies.api("api").unwrap();
    for (values, expected) in [(held, true), (not_held, false)] {
        for value in values {
            let bearer = with_claim("t", value.clone());
            let decision = api.decide("GET", path, Some(&bearer.subject()));
            assert_eq!(decision.is_allowed(), expected, "{test} at {path} with {value}: {decision:?}");
        }
    }
}

/// As JSON has it, for `json!` reads no number that is written oddly.
fn parsed(texts: &[&str]) -> Vec<Value> {
    texts.iter().map(|text| serde_json::from_str(text).unwrap()).collect()
}

#[test]
fn values_are_compared_by_type_and_value() {
    let p = "/x/y";
    holds_of(
        "is: 42",
        p,
        &[json!(42)],
        &parsed(&["\"42\"", "43", "-42", "42.0", "4.2e1", "true", "[42]", "null"]),
    );
    holds_of("is: '42'", p, &[json!("42")], &parsed(&["42", "42.0", "\"042\"", "[\"42\"]"]));
    holds_of("is: true", p, &[json!(true)], &parsed(&["\"true\"", "false", "1", "null", "[true]"]));
    holds_of("is: false", p, &[json!(false)], &parsed(&["\"false\"", "true", "0", "null", "\"\""]));
    holds_of("is: 'true'", p, &[json!("true")], &parsed(&["true", "1"]));
    holds_of("is: 0", p, &[json!(0)], &parsed(&["-0", "0.0", "false", "\"0\"", "\"\"", "null"]));
    holds_of("is: -7", p, &[json!(-7)], &parsed(&["7", "\"-7\"", "-7.0"]));
    holds_of(
        "is: 18446744073709551615",
        p,
        &[json!(u64::MAX)],
        &parsed(&["18446744073709551614", "18446744073709551616", "-1", "\"18446744073709551615\""]),
    );
    holds_of(
        "is: -9223372036854775808",
        p,
        &[json!(i64::MIN)],
        &parsed(&["9223372036854775808", "-9223372036854775807", "-9223372036854775809"]),
    );
    holds_of(
        "in: [a, 7, true]",
        p,
        &parsed(&["\"a\"", "7", "true"]),
        &parsed(&["\"7\"", "\"true\"", "false", "7.0", "[7]"]),
    );
    holds_of(
        "contains: 7",
        p,
        &parsed(&["[7]", "[\"a\", 7]"]),
        &parsed(&["[\"7\"]", "[7.0]", "[[7]]", "7", "[]"]),
    );
    holds_of("contains: '7'", p, &parsed(&["[\"7\"]"]), &parsed(&["[7]", "\"7\""]));
    holds_of("contains: true", p, &parsed(&["[true]"]), &parsed(&["[\"true\"]", "[1]", "true", "[false]"]));
}

#[test]
fn a_whole_number_is_compared_with_the_path_by_its_digits() {
    let same = "same_as_path: a";
    holds_of(
        same,
        "/42/y",
        &parsed(&["42", "\"42\""]),
        &parsed(&["42.0", "4.2e1", "43", "[42]", "true", "null"]),
    );
    holds_of(same, "/007/y", &parsed(&["\"007\""]), &parsed(&["7", "\"7\""]));
    holds_of(same, "/%34%32/y", &parsed(&["42"]), &[]);
    holds_of(same, "/-1/y", &parsed(&["-1", "\"-1\""]), &parsed(&["1"]));
    holds_of(same, "/-0/y", &parsed(&["\"-0\""]), &parsed(&["0", "-0"]));
    holds_of(same, "/0/y", &parsed(&["0", "\"0\""]), &parsed(&["-0", "0.0", "false", "\"\""]));
    holds_of(same, "/+42/y", &parsed(&["\"+42\""]), &parsed(&["42"]));
    holds_of(same, "/42.0/y", &parsed(&["\"42.0\""]), &parsed(&["42", "42.0"]));
    holds_of(same, "/4e1/y", &parsed(&["\"4e1\""]), &parsed(&["40", "4e1"]));
    holds_of(same, "/true/y", &parsed(&["\"true\""]), &parsed(&["true"]));
    holds_of(same, "/null/y", &parsed(&["\"null\""]), &parsed(&["null"]));
    let (largest, beyond) = ("/18446744073709551615/y", "/18446744073709551616/y");
    holds_of(same, largest, &parsed(&["18446744073709551615"]), &parsed(&["18446744073709551616"]));
    holds_of(same, beyond, &parsed(&["\"18446744073709551616\""]), &parsed(&["18446744073709551616"]));
    holds_of(same, "/-9223372036854775808/y", &parsed(&["-9223372036854775808"]), &[]);
    let listed = "contains_path: a";
    holds_of(
        listed,
        "/42/y",
        &parsed(&["[42]", "[\"42\"]", "[1, 42]"]),
        &parsed(&["[42.0]", "[43]", "42", "[[42]]", "[]"]),
    );
    holds_of(listed, "/true/y", &parsed(&["[\"true\"]"]), &parsed(&["[true]"]));
}

/// The decision of a policy with this requirement on `GET /{a}/{b}`.
fn allows(require: &str, path: &str, bearer: &Permissions) -> bool {
    policies(require).api("api").unwrap().decide("GET", path, Some(&bearer.subject())).is_allowed()
}

fn with_claims(claims: &Value) -> Permissions {
    Permissions { claims: claims.as_object().unwrap().clone(), ..Permissions::default() }
}

#[test]
fn a_pointer_is_about_what_stands_within_a_claim() {
    let claims = with_claims(&json!({
        "kubernetes.io": { "namespace": "acme", "pod": { "uid": 7 }, "a/b": "x", "m~n": "y" },
        "groups": ["red", "blue", ["green"]],
        "tenant": "acme",
    }));
    for (condition, expected) in [
        ("/kubernetes.io/namespace: { is: acme }", true),
        ("/kubernetes.io/namespace: { same_as_path: a }", true),
        ("/kubernetes.io/namespace: { same_as_path: b }", false),
        ("/kubernetes.io/pod/uid: { is: 7 }", true),
        ("/kubernetes.io/pod/uid: { is: '7' }", false),
        ("/kubernetes.io/a~1b: { is: x }", true),
        ("/kubernetes.io/m~0n: { is: 'y' }", true),
        ("/kubernetes.io/a/b: { is: x }", false),
        ("/kubernetes.io: { is: acme }", false),
        ("/kubernetes/io/namespace: { is: acme }", false),
        ("/groups/0: { is: red }", true),
        ("/groups/1: { is: red }", false),
        ("/groups/01: { is: blue }", false),
        ("/groups/-: { is: blue }", false),
        ("/groups/2: { contains: green }", true),
        ("/groups: { contains: red }", true),
        ("/tenant: { is: acme }", true),
        ("/tenant/0: { is: acme }", false),
        ("/tenant/: { is: acme }", false),
    ] {
        assert_eq!(
            allows(&format!("{{ claims: {{ {condition} }} }}"), "/acme/7", &claims),
            expected,
            "{condition}"
        );
    }
    // a claim whose name starts with a slash is reached by an escape
    let odd = with_claims(&json!({ "/x": "a" }));
    assert!(allows("{ claims: { /~1x: { is: a } } }", "/acme/7", &odd));
    assert!(!allows("{ claims: { /x: { is: a } } }", "/acme/7", &odd));
}

#[test]
fn the_subject_is_the_one_registered_claim_that_is_compared() {
    let subject = |sub: &str, client: Option<&str>| {
        let bearer = with_client(sub);
        Permissions { client: client.and_then(|client| with_client(client).client), ..bearer }
    };
    for (condition, path, bearer, expected) in [
        ("{ same_as_path: a }", "/c1/y", subject("c1", Some("c1")), true),
        ("{ same_as_path: a }", "/c2/y", subject("c1", Some("c1")), false),
        // after an exchange: still the one to which the permissions were granted
        ("{ same_as_path: a }", "/c1/y", subject("c1", None), true),
        ("{ is: c1 }", "/x/y", subject("c1", None), true),
        ("{ in: [c2, c1] }", "/x/y", subject("c1", Some("c1")), true),
        ("{ is: c1 }", "/x/y", Permissions::default(), false),
        ("{ same_as_path: a }", "/c1/y", with_claim("sub", "c1"), false),
        ("{ contains: c1 }", "/x/y", subject("c1", Some("c1")), false),
        ("{ contains_path: a }", "/c1/y", subject("c1", Some("c1")), false),
        ("{ same_as_path: a }", "/7/y", subject("7", None), true),
        ("{ is: 7 }", "/x/y", subject("7", None), false),
    ] {
        assert_eq!(
            allows(&format!("{{ claims: {{ sub: {condition} }} }}"), path, &bearer),
            expected,
            "{condition} {path}"
        );
    }
}

#[test]
fn no_other_registered_claim_and_no_broken_pointer_is_compared() {
    for name in [
        "iss",
        "aud",
        "exp",
        "nbf",
        "iat",
        "jti",
        "client_id",
        "scope",
        "roles",
        "cnf",
        "act",
        "status",
        "exchanges",
        "auth_time",
        "/sub",
        "/sub/0",
        "/aud/0",
        "/cnf/jkt",
        "/act/sub",
        "/scope",
        "/status/status_list/idx",
        "/a~",
        "/a~2b",
        "/a/~",
    ] {
        let text = format!(
            "version: 1\napis:\n  api:\n    audience: https://api.example.com\n    rules:\n      rule: {{ routes: [GET /x], require: {{ claims: {{ \"{name}\": {{ is: x }} }} }} }}\n"
        );
        let findings = compile(&text).unwrap_err();
        let codes: Vec<_> = findings.0.iter().map(|finding| finding.code).collect();
        assert_eq!(codes, [FindingCode::BadClaim], "{name}: {findings}");
    }
}

/// A value of a client's claim, as YAML has it without quotes.
fn yaml(value: &str) -> Result<Value, FindingCode> {
    let text = format!("version: 1\nclients: {{ c: {{ claims: {{ t: {value} }} }} }}\n");
    match compile(&text) {
        Ok(policies) => Ok(policies.clients().find("c").unwrap().claims["t"].clone()),
        Err(findings) => Err(findings.0[0].code),
    }
}

#[test]
fn what_readers_of_yaml_disagree_about_is_refused_or_text() {
    for (text, expected) in [
        ("42", json!(42)),
        ("0", json!(0)),
        ("-42", json!(-42)),
        ("18446744073709551615", json!(u64::MAX)),
        ("-9223372036854775808", json!(i64::MIN)),
        ("1.5", json!(1.5)),
        ("1e3", json!(1e3)),
        ("true", json!(true)),
        ("False", json!(false)),
        // YAML 1.1 has truth values, times and dates here; 1.2 has text, and so have we
        ("yes", json!("yes")),
        ("off", json!("off")),
        ("y", json!("y")),
        ("1:30", json!("1:30")),
        ("2026-01-01", json!("2026-01-01")),
        ("1.2.3", json!("1.2.3")),
        ("0x", json!("0x")),
        ("0xyz", json!("0xyz")),
        ("7a", json!("7a")),
        (".inf", json!(".inf")),
        ("'007'", json!("007")),
        ("\"0x10\"", json!("0x10")),
    ] {
        assert_eq!(yaml(text), Ok(expected), "{text}");
    }
    for unclear in ["007", "010", "-07", "0x10", "-0x1f", "0o17", "0b11", "1_000", "-1_0", "+5", "-0", "00"] {
        assert_eq!(yaml(unclear), Err(FindingCode::YamlFeature), "{unclear}");
    }
    for too_large in ["18446744073709551616", "-9223372036854775809", "1e400"] {
        assert_eq!(yaml(too_large), Err(FindingCode::WrongType), "{too_large}");
    }
}

const EXPLAINED: [(&str, &str, &str); 15] = [
    ("is: acme", "42", "the claim is 42, a number, no text"),
    ("is: '42'", "42", "the claim is 42, a number, no text"),
    ("is: 42", "\"42\"", "the claim is `42`, a text, no number"),
    ("is: 42", "42.5", "the claim is 42.5, a fraction, no whole number"),
    ("is: true", "\"true\"", "the claim is `true`, a text, no boolean"),
    ("is: true", "false", "the claim is false"),
    ("in: [a, 7]", "true", "the claim is true, a boolean, no text or number"),
    ("is: acme", "[\"acme\"]", "the claim is [\"acme\"], a list, no text"),
    ("is: acme", "{\"a\":1}", "the claim is {\"a\":1}, an object, no text"),
    ("contains: acme", "\"acme\"", "the claim is `acme`, a text, no list"),
    ("contains: acme", "[42]", "the claim is [42], a list without text"),
    ("contains: acme", "[]", "the claim is []"),
    ("same_as_path: a", "true", "the claim is true, a boolean, no text or number"),
    ("same_as_path: a", "43", "the claim is 43, and the path has `42`"),
    ("contains_path: a", "[43, true]", "the claim is [43,true], and the path has `42`"),
];

#[test]
fn explain_says_what_type_the_claim_has() {
    for (test, claim, found) in EXPLAINED {
        let bearer = with_claim("t", serde_json::from_str::<Value>(claim).unwrap());
        let policies = policies(&format!("{{ claims: {{ t: {{ {test} }} }} }}"));
        let explained = policies.explain("api", "GET", "/42/y", Some(&bearer.subject()));
        assert_eq!(
            explained.alternatives[0].conditions[0].found.as_deref(),
            Some(found),
            "{test} with {claim}"
        );
    }
    let typed = policies(
        "{ claims: { t: { in: [a, 42, '42', true, 'true'] }, /u/v: { contains: 7 }, sub: { is: c1 } } }",
    );
    let asked = typed.explain("api", "GET", "/x/y", None).alternatives[0].asked();
    assert_eq!(
        asked,
        "claims.t in [a, 42, \"42\", true, \"true\"], claims./u/v contains 7, claims.sub is `c1`"
    );
}

/// The decision of an allowed request allocates nothing, whatever is compared.
#[test]
fn comparing_allocates_nothing() {
    let bearer = Permissions {
        claims: with_claims(&json!({ "t": 42, "u": { "v/w": [true, 7] } })).claims,
        ..with_client("c1")
    };
    let policies = policies(
        "{ claims: { t: { is: 42, same_as_path: b, in: [a, 42] }, /u/v~1w: { contains: 7 }, /u/v~1w/0: { is: true }, sub: { same_as_path: a } } }",
    );
    let api = policies.api("api").unwrap();
    let subject = bearer.subject();
    let counted = allocation_counter::measure(|| {
        assert!(api.decide("GET", "/c1/42", Some(&subject)).is_allowed());
    });
    assert_eq!(counted.count_total, 0);
}

const GUARDED: &str = "
    guarantees:
      g: { routes: ['GET /{a}/{b}'], only_when: { claims: { GUARANTEED } } }
";

/// The least token that gets around a guarantee on a rule, as the finding tells it.
fn around(rule: &str, guaranteed: &str) -> Option<String> {
    let guarantee = GUARDED.replace("GUARANTEED", guaranteed);
    let findings = compile(&format!(
        "version: 1\napis:\n  api:\n    audience: https://api.example.com\n    rules:\n      rule: {{ routes: ['GET /{{a}}/{{b}}'], require: {{ {rule} }} }}\n{guarantee}clients: {{ c1: {{}}, c2: {{}} }}\n"
    ));
    let findings = findings.err()?.0;
    let broken = findings.iter().find(|finding| finding.code == FindingCode::BrokenGuarantee);
    let message = &broken.unwrap_or_else(|| panic!("{findings:?}")).message;
    Some(message.split_once("lets `").unwrap().1.replace("` through with only ", " "))
}

#[test]
fn guarantees_know_types_pointers_and_the_subject() {
    for (rule, guaranteed, expected) in [
        ("claims: { t: { is: 42 } }", "t: { is: 42 }", None),
        ("claims: { t: { is: '42' } }", "t: { is: 42 }", Some("GET /some-a/some-b claim t = `42`")),
        ("claims: { t: { is: 42 } }", "t: { is: '42' }", Some("GET /some-a/some-b claim t = 42")),
        // the path has the text too
        ("claims: { t: { same_as_path: a } }", "t: { is: 42 }", Some("GET /42/some-b claim t = `42`")),
        ("claims: { t: { same_as_path: a }, u: { is: x } }", "t: { same_as_path: a }", None),
        (
            "claims: { t: { same_as_path: a, in: [42, '42'] } }",
            "t: { is: 42 }",
            Some("GET /42/some-b claim t = `42`"),
        ),
        ("claims: { t: { same_as_path: a, is: 42 } }", "t: { same_as_path: a }", None),
        ("claims: { t: { same_as_path: a, is: true } }", "u: { is: x }", None),
        ("claims: { /t/n: { is: x } }", "/t/n: { is: x }", None),
        ("claims: { /t/n: { is: x } }", "t: { is: x }", Some("GET /some-a/some-b claim t = {\"n\":\"x\"}")),
        ("claims: { /t/n: { is: x }, t: { is: x } }", "u: { is: x }", None),
        ("claims: { /t: { is: x } }", "t: { is: x }", None),
        // a list that contains it may have it elsewhere, and an object is no list
        (
            "claims: { t: { contains: x } }",
            "/t/0: { is: x }",
            Some("GET /some-a/some-b claim t = [null,\"x\"]"),
        ),
        (
            "claims: { /t/0: { is: x } }",
            "t: { contains: x }",
            Some("GET /some-a/some-b claim t = {\"0\":\"x\"}"),
        ),
        ("claims: { /t/1: { is: x }, t: { contains: z } }", "t: { contains: x }", None),
        ("client: c1", "sub: { is: c1 }", None),
        ("claims: { sub: { is: c1 } }", "sub: { in: [c1, c2] }", None),
        (
            "claims: { sub: { same_as_path: a } }",
            "sub: { is: c1 }",
            Some("GET /some-a/some-b claim sub = `some-a`"),
        ),
        ("client: c1, claims: { sub: { same_as_path: a } }", "sub: { is: c1 }", None),
        (
            "client: c1, claims: { sub: { same_as_path: a } }",
            "sub: { is: c2 }",
            Some("GET /c1/some-b client `c1`"),
        ),
        ("client: c1, claims: { sub: { is: c2 } }", "t: { is: x }", None),
    ] {
        assert_eq!(around(rule, guaranteed).as_deref(), expected, "{rule} against {guaranteed}");
    }
}

#[test]
fn tests_in_files_may_name_the_subject() {
    let text = |sub: &str| {
        format!(
            "version: 1\napis:\n  api:\n    audience: https://api.example.com\n    rules:\n      own: {{ routes: ['GET /clients/{{client}}'], require: {{ claims: {{ sub: {{ same_as_path: client }} }} }} }}\nclients: {{ c1: {{ grants: {{}} }} }}\ntests:\n  - {{ as: {{ claims: {{ sub: {sub} }} }}, api: api, allow: [GET /clients/c1], deny: [GET /clients/c2] }}\n"
        )
    };
    compile_good(&text("c1"));
    for (sub, code) in [
        ("c2", FindingCode::FailedTest),
        ("7", FindingCode::BadClaim),
        ("[c1]", FindingCode::BadClaim),
        ("caf\u{e9}", FindingCode::BadClaim),
    ] {
        let findings = compile(&text(sub)).unwrap_err();
        assert!(findings.0.iter().any(|finding| finding.code == code), "{sub}: {findings}");
    }
    let pattern = text("c1").replace("allow: [GET /clients/c1]", "allow: ['GET /clients/{client}:x']");
    assert!(compile(&pattern).unwrap_err().to_string().contains("is a pattern"));
}

#[test]
fn the_commands_take_values_that_are_no_text() {
    let workplace = Workplace::sample();
    workplace.write(
        "policies/typed.yaml",
        "version: 1\nscopes: { typed:read: x }\napis:\n  typed:\n    audience: https://typed.example.com\n    rules:\n      level: { routes: [GET /level], require: { claims: { level: { is: 3 } } } }\n      group: { routes: ['GET /groups/{group}'], require: { claims: { groups: { contains_path: group } } } }\n      own: { routes: ['GET /clients/{client}'], require: { claims: { sub: { same_as_path: client } } } }\n      read: { routes: [GET /read], require: { scope: typed:read } }\n",
    );
    let explain = |claim: &str, path: &str| {
        workplace.run(&["policies", "explain", "--api", "typed", "--claim", claim, "GET", path])
    };
    explain("level:=3", "/level").exits(0);
    explain("level=3", "/level").exits(3).shows(&["the claim is `3`, a text, no number"]);
    explain("level:=\"3\"", "/level").exits(3).shows(&["the claim is `3`, a text, no number"]);
    explain("groups:=[7, \"a\"]", "/groups/7").exits(0);
    explain("groups:=[7, \"a\"]", "/groups/a").exits(0);
    explain("groups:=[7, \"a\"]", "/groups/8").exits(3);
    explain("sub=acme-sync", "/clients/acme-sync").exits(0);
    explain("sub=acme-sync", "/clients/globex-sync").exits(3);
    explain("sub:=7", "/clients/7").exits(1).says(&["the claim `sub` is the id of a client"]);
    explain("level:=three", "/level").exits(2).says(&["is not JSON"]);
    explain("level:=null", "/level").exits(2);
    let claims = [
        "--claim",
        "level:=3",
        "--claim",
        "groups:=[7,\"a b\"]",
        "--claim",
        "admin:=true",
        "--claim",
        "text=3",
    ];
    let add = [
        "clients",
        "add",
        "typed-client",
        "--file",
        "clients.yaml",
        "--api",
        "typed",
        "--scope",
        "typed:read",
    ];
    workplace.run(&[&add[..], &claims].concat()).exits(0);
    let explain = |path: &str| {
        workplace.run(&["policies", "explain", "--api", "typed", "--as", "typed-client", "GET", path])
    };
    explain("/level").exits(0);
    explain("/groups/7").exits(0);
    explain("/groups/a%20b").exits(0);
    explain("/clients/typed-client").exits(0);
    let matrix =
        workplace.run(&["policies", "matrix", "--api", "typed", "--client", "typed-client"]).exits(0);
    matrix.shows(&["group = 7, \"a b\"", "client = typed-client"]);
}

fn gateway(settings: &mut Settings) {
    let claims = ["tenant", "admin", "groups", "ratio"].map(|claim| ClaimHeader::parse(claim).unwrap());
    settings.gateways = vec![GatewaySettings {
        name: GatewayName::parse("edge").unwrap(),
        kind: GatewayKind::parse("nginx").unwrap(),
        apis: GatewayApis::One { api: ApiName::parse("orders").unwrap(), origin: None },
        trusted_peers: TrustedPeers::parse(&["127.0.0.1/32".to_owned()]).unwrap(),
        claims: claims.into(),
    }];
}

/// From the file by way of the token to the decision and the headers.
#[actix_web::test]
async fn a_number_stays_one_in_the_token_and_is_told_by_its_digits() {
    let clients = format!(
        "version: 1\nclients:\n  acme-sync:\n    {}\n    grants: {{ orders: {{ scopes: [orders:read] }} }}\n    claims: {{ tenant: 42, admin: true, groups: [7, 8], ratio: 1.5 }}\n",
        secrets("acme-sync")
    );
    let orders = "version: 1\nscopes: { orders:read: x }\napis:\n  orders:\n    audience: https://orders.example.com\n    rules:\n      own: { routes: ['GET /t/{tenant}/a', 'GET /c/{client}:x'], require: { claims: { tenant: { is: 42 }, admin: { is: true }, groups: { contains: 7 } } } }\n      tenant: { routes: ['GET /tenants/{tenant}'], require: { scope: orders:read, claims: { tenant: { same_as_path: tenant } } } }\n      client: { routes: ['GET /clients/{client}'], require: { claims: { sub: { same_as_path: client } } } }\n";
    let app = spawn_app_with(Setup {
        policies: vec![("clients.yaml", clients), ("orders.yaml", orders.to_owned())],
        settings: gateway,
        ..Setup::default()
    });
    let token = app.token_of("acme-sync", "orders").await;
    for (target, status) in [
        ("/t/x/a", 200),
        ("/c/acme-sync:x", 200),
        ("/tenants/42", 200),
        ("/tenants/042", 403),
        ("/tenants/43", 403),
        ("/clients/acme-sync", 200),
        ("/clients/globex-sync", 403),
    ] {
        let answer = app
            .send_raw(format!(
                "GET /authz/edge HTTP/1.1\r\nHost: jeton\r\nX-Original-Method: GET\r\nX-Original-URI: {target}\r\nAuthorization: Bearer {token}\r\nConnection: close\r\n\r\n"
            ))
            .await;
        assert_eq!(answer.status, status, "{target}: {}", answer.head);
        if status == 200 {
            let head = answer.head.to_ascii_lowercase();
            for line in [
                "x-auth-claim-tenant: 42\r\n",
                "x-auth-claim-admin: true\r\n",
                "x-auth-claim-groups: 7 8\r\n",
                "x-auth-claim-ratio: \r\n",
            ] {
                assert!(head.contains(line), "{line:?} in {head}");
            }
        }
    }
}
