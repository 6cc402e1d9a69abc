//! As many findings as a folder can have: each costs the same, however many there are and wherever they stand.
//!
//! The sizes are such that work which grows with their square takes minutes.
use std::{fmt::Write, sync::mpsc, thread, time::Duration};

use jeton_policy::{FindingCode, Findings};

use crate::{
    policy_text::compile,
    support::{secret_hash, secrets},
};

/// How long all findings of a text may take, in a debug build beside other tests, before a test fails.
const PATIENCE: Duration = Duration::from_mins(1);

/// What is wrong with a file, and how it is printed.
#[track_caller]
fn findings(text: String) -> (Findings, String) {
    let (sender, receiver) = mpsc::channel();
    thread::spawn(move || {
        let findings = match compile(&text) {
            Ok(policies) => policies.warnings().clone(),
            Err(findings) => findings,
        };
        assert_eq!(serde_json::to_value(&findings.0).unwrap().as_array().unwrap().len(), findings.0.len());
        let printed = findings.to_string();
        sender.send((findings, printed))
    });
    receiver.recv_timeout(PATIENCE).expect("the time grows with the findings alone")
}

/// The file has this many findings of one kind, and the last one stands there.
#[track_caller]
fn has(name: &str, text: String, number: usize, code: FindingCode, last: &str) {
    let (findings, printed) = findings(text);
    let of_kind: Vec<_> = findings.0.iter().filter(|finding| finding.code == code).collect();
    assert_eq!(of_kind.len(), number, "{name}: {}", printed.lines().take(20).collect::<Vec<_>>().join("\n"));
    let place = of_kind.last().unwrap().place();
    assert!(place.ends_with(last), "{name}: {place}");
    assert!(printed.contains(last), "{name}");
}

/// Lines that somebody wrote above all others.
fn comment(mebibytes: usize) -> String {
    let line = "# what stands here is read once, and not for each finding that stands below\n";
    line.repeat((mebibytes << 20) / line.len())
}

/// An API of these rules, and clients.
fn with_api(rules: &str, clients: &str) -> String {
    format!(
        "version: 1\nscopes: {{ s: x }}\napis:\n  a:\n    audience: https://a.example\n    rules:\n{rules}{clients}"
    )
}

const ONE_RULE: &str = "      r: { routes: [GET /x], require: { scope: s } }\n";

#[test]
fn thousands_of_expired_secrets() {
    let mut clients = comment(32) + "clients:\n";
    for client in 0..16_000 {
        let hash = secret_hash(&client.to_string());
        let secret = format!("{{ sha256: {hash}, expires: 2020-01-01T00:00:00Z }}");
        writeln!(clients, "  c{client}: {{ secrets: [{secret}], grants: {{ a: {{ scopes: [s] }} }} }}")
            .unwrap();
    }
    let text = with_api(ONE_RULE, &clients);
    let last = format!(":{}:3", text.lines().count());
    has("expired", text, 16_000, FindingCode::NoCredentials, &last);
}

#[test]
fn thousands_of_scopes_that_nothing_requires() {
    let scopes = |count: usize, between: &str| {
        let scopes: Vec<_> = (0..count).map(|scope| format!("\"scope-{scope:05}\": ä")).collect();
        scopes.join(between)
    };
    has(
        "a line each",
        format!("version: 1\nscopes:\n  {}\n", scopes(40_000, "\n  ")),
        40_000,
        FindingCode::UnusedScope,
        ":40002:3",
    );
    // of 18 characters with the comma
    let last = format!(":2:{}", "scopes: { ".len() + 1 + 39_999 * 18);
    has(
        "one line",
        format!("version: 1\nscopes: {{ {} }}\n", scopes(40_000, ", ")),
        40_000,
        FindingCode::UnusedScope,
        &last,
    );
}

#[test]
fn thousands_of_mistakes_in_what_is_no_yaml_at_all() {
    let tags = |count: usize, between: &str| vec!["!tag x"; count].join(between);
    let text = format!("{}tags:\n  - {}\n  - [\n", comment(32), tags(20_000, "\n  - "));
    let last = format!(":{}:5", text.lines().count() - 1);
    has("a line each", text, 20_000, FindingCode::YamlFeature, &last);
    let last = format!(":1:{}", "tags: [".len() + 1 + 19_999 * 8);
    has("one line", format!("tags: [{}]\n]\n", tags(20_000, ", ")), 20_000, FindingCode::YamlFeature, &last);
}

#[test]
fn thousands_of_keys_that_stand_twice() {
    let text = format!("{}version: 1\nscopes:\n{}", comment(32), "  s: x\n".repeat(20_001));
    let last = format!(":{}:3", text.lines().count());
    has("twice", text, 20_000, FindingCode::DuplicateKey, &last);
}

#[test]
fn thousands_of_names_that_nothing_defines() {
    let roles = |scope: fn(usize) -> String| {
        let mut text = String::from("version: 1\nscopes:\n");
        (0..8_000).for_each(|name| writeln!(text, "  scope-of-the-north-{name}: x").unwrap());
        text.push_str("roles:\n");
        (0..8_000).for_each(|name| writeln!(text, "  r{name}: [{}]", scope(name)).unwrap());
        text
    };
    let text = roles(|_| "scope-of-the-south-1".to_owned());
    has("one name", text, 8_000, FindingCode::UnknownScope, ":16003:11");
    let text = roles(|name| format!("scope-of-the-south-{name}"));
    has("a name each", text, 8_000, FindingCode::UnknownScope, ":16003:11");
}

/// Whom a hint may mean is not looked for without end, but for as many names as people mistype.
#[test]
fn each_of_a_hundred_slips_among_a_thousand_names_has_its_hint() {
    let mut text = String::from("version: 1\nscopes:\n");
    (0..1_000).for_each(|name| writeln!(text, "  scope-of-the-north-{name}: x").unwrap());
    text.push_str("roles:\n");
    (0..100).for_each(|name| writeln!(text, "  r{name}: [scope-of-the-nroth-{name}]").unwrap());
    let (findings, _) = findings(text);
    for (name, finding) in findings.0.iter().enumerate() {
        let hint = format!("did you mean `scope-of-the-north-{name}`?");
        assert_eq!(finding.hint.as_deref(), Some(hint.as_str()), "{finding}");
    }
    assert_eq!(findings.0.len(), 100);
}

#[test]
fn thousands_of_guarantees_beside_routes_that_end_in_a_slash() {
    let mut rules = String::new();
    let mut guarantees = String::from("    guarantees:\n");
    for at in 0..12_000 {
        writeln!(rules, "      r{at}: {{ routes: [GET /a{at}/b/], require: {{ scope: s }} }}").unwrap();
        let guarantee =
            format!("{{ routes: [GET /a{at}/**], only_when: {{ claims: {{ t: {{ is: x }} }} }} }}");
        writeln!(guarantees, "      g{at}: {guarantee}").unwrap();
    }
    let text = with_api(&rules, &guarantees);
    let last = format!(":{}:7", text.lines().count());
    has("gaps", text, 12_000, FindingCode::GuaranteeGap, &last);
}

#[test]
fn thousands_of_routes_that_none_of_thousands_of_clients_reaches() {
    let ids: Vec<_> = (0..12_000).map(|client| format!("c{client}")).collect();
    let mut clients = String::from("clients:\n");
    for id in &ids {
        let groups = "grants: { a: { scopes: [s] } }, claims: { groups: [some] }";
        writeln!(clients, "  {id}: {{ {}, {groups} }}", secrets("c")).unwrap();
    }
    let routes: Vec<_> = (0..24_000).map(|route| format!("GET /none/{route}")).collect();
    let rules = format!(
        "      each: {{ routes: [GET /each], require: {{ scope: s, any_client: [{}] }} }}\n      none:\n        require: {{ \
         claims: {{ groups: {{ contains: others }} }} }}\n        routes:\n          - {}\n",
        ids.join(", "),
        routes.join("\n          - ")
    );
    has("groups", with_api(&rules, &clients), 24_000, FindingCode::UnreachableRoute, ":24010:13");
}

#[test]
fn a_claim_of_a_hundred_thousand_values() {
    let values: Vec<_> = (0..100_000).map(|value| format!("tenant-{value}")).collect();
    let client = format!(
        "clients:\n  c: {{ {}, grants: {{ a: {{ scopes: [s] }} }}, claims: {{ tenants: [{}] }} }}\n",
        secrets("c"),
        values.join(", ")
    );
    let rules = "      r: { routes: [GET /x], require: { claims: { tenants: { contains: nobody } } } }\n";
    has("values", with_api(rules, &client), 1, FindingCode::UnreachableRoute, ":7:21");
}
