//! `jeton policies replay` by the real binary.
use std::fmt::Write;

use serde_json::{Value, json};

use crate::binary::Workplace;

const POLICIES: &str = "version: 1
scopes: { 'orders:read': x }
apis:
  orders:
    audience: https://orders.example.com
    rules:
      health: { routes: [GET /healthz], public: true }
      read:
        routes: ['GET /tenants/{tenant}/orders']
        require: { scope: orders:read, claims: { tenant: { same_as_path: tenant } } }
";

pub(crate) fn line(change: &Value) -> String {
    let mut line = json!({
        "time": "2026-11-23T12:00:00Z", "id": "one", "api": "orders", "method": "GET",
        "path": "/tenants/acme/orders", "allowed": true, "rule": "read", "reason": "met",
        "client": "acme-sync", "jti": "j", "issued_at": 1_795_000_000,
        "audience": ["https://orders.example.com"], "scopes": ["orders:read"], "roles": [],
        "claims": { "tenant": "acme" },
    });
    for (name, value) in change.as_object().unwrap() {
        line[name] = value.clone();
    }
    line.as_object_mut().unwrap().retain(|_, value| !value.is_null());
    format!("{line}\n")
}

fn nobody() -> Value {
    json!({
        "client": null, "jti": null, "issued_at": null, "audience": null, "scopes": null, "roles": null,
        "claims": null,
    })
}

fn same() -> String {
    line(&json!({}))
}

fn workplace(log: &str) -> Workplace {
    let workplace = Workplace::new();
    workplace.write("new/policies.yaml", POLICIES).write("audit.jsonl", log);
    workplace
}

const REPLAY: [&str; 5] = ["policies", "replay", "audit.jsonl", "--against", "new"];

#[test]
fn exit_codes_and_what_is_said() {
    let refused = line(&json!({ "scopes": [] }));
    let let_in = line(&json!({ "allowed": false, "reason": "not-met" }));
    let s = same();
    let rows: [(&str, String, i32, &str, &str); 21] = [
        ("nothing", String::new(), 0, "0 judged", ""),
        ("the same", s.repeat(3), 0, "3 judged: 3 the same, 0 would be refused, 0 would be let in", ""),
        ("refused", refused, 3, "- acme-sync would be refused at orders, once", ""),
        ("let in", let_in, 3, "+ acme-sync would be let in at orders, once", ""),
        (
            "a bad token",
            line(&json!({ "allowed": false, "reason": "invalid-token" })),
            0,
            "1 passed over, because the token was bad",
            "",
        ),
        (
            "not known yet",
            line(&json!({ "allowed": false, "reason": "unavailable" })),
            0,
            "1 passed over",
            "",
        ),
        ("dropped", format!("{s}{{\"dropped\":7,\"time\":\"x\"}}\n"), 0, "7 missing", ""),
        (
            "members of a collector",
            line(&json!({ "host": "a", "tags": { "x": [1] } })),
            0,
            "1 judged: 1 the same",
            "",
        ),
        ("the last without its end", s.trim_end().to_owned(), 0, "1 judged: 1 the same", ""),
        (
            "the last half",
            format!("{s}{{\"time\":\"20"),
            0,
            "1 judged: 1 the same",
            "note: audit.jsonl:2: the last line is passed over",
        ),
        (
            "half in the middle",
            format!("{s}{{\"time\":\"20\n{s}"),
            1,
            "",
            "error: audit.jsonl:2: column 11: ",
        ),
        ("an empty line", format!("{s}\n{s}"), 1, "", "error: audit.jsonl:2: column 0: EOF"),
        (
            "another type",
            line(&json!({ "allowed": "yes" })),
            1,
            "",
            "error: audit.jsonl:1: column 16: invalid type: string \"yes\", expected a boolean",
        ),
        (
            "without a path",
            line(&json!({ "path": null })),
            1,
            "",
            "error: audit.jsonl:1: `path` is missing: this is no line of a decision log",
        ),
        (
            "another log",
            "{\"level\":\"INFO\"}\n".to_owned(),
            1,
            "",
            "error: audit.jsonl:1: `time` is missing",
        ),
        ("a client without a token", line(&json!({ "jti": null })), 1, "", "`jti` is missing"),
        ("a token without its time", line(&json!({ "issued_at": null })), 1, "", "`issued_at` is missing"),
        (
            "a scope that is none",
            line(&json!({ "scopes": ["a b"] })),
            1,
            "",
            "error: audit.jsonl:1: `scopes` is not of its form: `a b` is not a scope",
        ),
        ("a member twice", s.replacen('{', "{\"api\":\"x\",", 1), 1, "", "duplicate field `api`"),
        ("no text", "\u{1b}[31m\n".to_owned(), 1, "", "error: audit.jsonl:1: column 1: expected value"),
        (
            "a line without an end",
            format!("{s}{}", "x".repeat(3 << 20)),
            1,
            "",
            "error: audit.jsonl:2: the line is longer than 1 MiB",
        ),
    ];
    for (name, log, code, stdout, stderr) in rows {
        let run = workplace(&log).run(&REPLAY);
        assert_eq!(run.code, Some(code), "{name}: {run:#?}");
        assert!(run.stdout.contains(stdout), "{name}: {run:#?}");
        assert!(
            run.stderr.contains(stderr) && (stderr.is_empty() == run.stderr.is_empty()),
            "{name}: {run:#?}"
        );
    }
}

#[test]
fn files_that_are_not_there_and_policies_that_do_not_load() {
    let workplace = workplace(&same());
    workplace.write("broken/a.yaml", "version: 1\nunknown: 1\n");
    let failing = format!("{POLICIES}tests: [{{ as: {{}}, api: orders, allow: [GET /nowhere] }}]\n");
    workplace.write("failing/a.yaml", &failing);
    for (name, log, dir, code, says) in [
        ("no log", "none.jsonl", "new", 1, "error: none.jsonl cannot be read"),
        ("a folder for a log", "new", "new", 1, "error: new cannot be read"),
        ("no policies", "audit.jsonl", "none", 1, "error: the policies do not load"),
        ("broken policies", "audit.jsonl", "broken", 1, "broken/a.yaml:2:1: error: "),
        (
            "policies that a server refuses",
            "audit.jsonl",
            "failing",
            1,
            "note: a server would refuse these policies",
        ),
    ] {
        let run = workplace.run(&["policies", "replay", log, "--against", dir]);
        assert_eq!(run.code, Some(code), "{name}: {run:#?}");
        assert!(run.stderr.contains(says), "{name}: {run:#?}");
    }
    workplace.run(&["policies", "replay", "audit.jsonl"]).exits(2).says(&["--against"]);
    let run = workplace.run_with_input(&["policies", "replay", "-", "--against", "new"], &same());
    run.exits(0).shows(&["1 judged: 1 the same"]);
    let run = workplace.run_with_input(&["policies", "replay", "-", "--against", "new"], "x\n");
    run.exits(1).says(&["error: standard input:1: column 1"]);
}

/// One of each kind of difference, some of them twice.
fn mixed() -> String {
    let mut log = same();
    let mut add = |change: Value| write!(log, "{}", line(&change)).unwrap();
    add(json!({ "path": "/tenants/globex/orders", "rule": "all" }));
    add(json!({ "path": "/tenants/globex/orders", "rule": "all" }));
    add(json!({ "client": "blocked", "path": "/tenants/acme/orders" }));
    add(json!({ "client": "unknown" }));
    add(json!({ "client": "late", "issued_at": 1_700_000_000 }));
    add(json!({ "audience": ["https://other.example.com"], "client": null }));
    add(json!({ "allowed": false, "rule": null, "reason": "no-route", "client": "acme-sync" }));
    let mut health = nobody();
    health["path"] = json!("/healthz");
    for (name, value) in [("allowed", json!(false)), ("rule", json!("health")), ("reason", json!("no-token"))]
    {
        health[name] = value;
    }
    add(health.clone());
    health["path"] = json!("/healthz\u{1b}[31m\u{202e}");
    health["allowed"] = json!(true);
    add(health);
    add(json!({ "api": "gone" }));
    add(json!({ "allowed": false, "reason": "invalid-token" }));
    log.push_str("{\"dropped\":3,\"time\":\"2026-11-23T12:00:00Z\"}\n");
    log
}

const CLIENTS: &str = "version: 1
clients:
  acme-sync: { secrets: [{ sha256: 1111111111111111111111111111111111111111111111111111111111111111 }], grants: { orders: { scopes: ['orders:read'] } } }
  blocked: { enabled: false, secrets: [{ sha256: 2222222222222222222222222222222222222222222222222222222222222222 }], grants: { orders: { scopes: ['orders:read'] } } }
  late: { revoked_before: 2026-01-01T00:00:00Z, secrets: [{ sha256: 3333333333333333333333333333333333333333333333333333333333333333 }], grants: { orders: { scopes: ['orders:read'] } } }
";

#[test]
fn the_answer_for_people_and_for_programs() {
    let workplace = workplace(&mixed());
    workplace.write("new/clients.yaml", CLIENTS);
    let run = workplace.run(&REPLAY).exits(3);
    insta::assert_snapshot!(run.stdout);
    let run = workplace.run(&[&REPLAY[..], &["--format", "json"]].concat()).exits(3);
    let answer: Value = serde_json::from_str(&run.stdout).unwrap();
    let totals = ["judged", "same", "would_be_refused", "would_be_let_in", "bad_tokens", "dropped"];
    assert_eq!(totals.map(|name| answer[name].as_u64().unwrap()), [11, 1, 8, 2, 1, 3], "{answer}");
    let sum: u64 =
        answer["differences"].as_array().unwrap().iter().map(|one| one["count"].as_u64().unwrap()).sum();
    assert_eq!(sum, 10);
    let globex = answer["differences"].as_array().unwrap().iter().find(|one| one["count"] == 2).unwrap();
    let expected = json!({
        "api": "orders", "direction": "would_be_refused", "client": "acme-sync", "token": true,
        "before": { "rule": "all", "reason": "met" },
        "after": { "rule": "read", "reason": "not-met", "file": "new/policies.yaml", "line": 8 },
        "detail": "missing: claims.tenant same_as_path `tenant`", "count": 2,
        "first": { "line": 2, "time": "2026-11-23T12:00:00Z", "method": "GET", "path": "/tenants/globex/orders" },
    });
    assert_eq!(*globex, expected);
}

/// Policies that name no client say nothing of clients.
#[test]
fn a_folder_without_clients_knows_of_none() {
    let run = workplace(&line(&json!({ "client": "unknown" }))).run(&REPLAY);
    run.exits(0).shows(&["1 judged: 1 the same"]);
}

/// A candidate that takes bound tokens only: a loss that is told is one, and what is not known is counted.
#[test]
fn bound_tokens_are_asked_of_lines_that_say_what_they_were() {
    let strict = POLICIES.replace("    rules:", "    bound_tokens: true\n    rules:");
    let bound = |bound: Value| line(&json!({ "bound": bound }));
    let refused =
        line(&json!({ "bound": false, "path": "/nowhere", "allowed": false, "reason": "no-route" }));
    let health = |bound: Value| line(&json!({ "bound": bound, "path": "/healthz", "rule": "health" }));
    let mut nobody = nobody();
    nobody["path"] = json!("/healthz");
    let gain = |bound: Value| line(&json!({ "bound": bound, "allowed": false, "reason": "not-met" }));
    let not_bound = line(&json!({ "allowed": false, "rule": null, "reason": "not-bound" }));
    // the log, and of it [the same, refused, let in, taken as bound, bad tokens]
    for (name, log, expected) in [
        ("bound", bound(json!(true)), [1, 0, 0, 0, 0]),
        ("unbound", bound(json!(false)), [0, 1, 0, 0, 0]),
        ("an older line", bound(Value::Null), [1, 0, 0, 1, 0]),
        ("unbound, on a public route", health(json!(false)), [0, 1, 0, 0, 0]),
        ("older, on a public route", health(Value::Null), [1, 0, 0, 1, 0]),
        ("nobody", line(&nobody), [1, 0, 0, 0, 0]),
        ("unbound, refused before", refused, [1, 0, 0, 0, 0]),
        ("bound, refused before", gain(json!(true)), [0, 0, 1, 0, 0]),
        ("unbound, for which the rules open", gain(json!(false)), [1, 0, 0, 0, 0]),
        ("older, for which they open", gain(Value::Null), [0, 0, 1, 1, 0]),
        ("refused as not bound", not_bound, [0, 0, 0, 0, 1]),
    ] {
        let workplace = workplace(&log);
        let json = [&REPLAY[..], &["--format", "json"]].concat();
        let counts = |told: &Value| {
            ["same", "would_be_refused", "would_be_let_in", "taken_as_bound", "bad_tokens"]
                .map(|member| told[member].as_u64().unwrap())
        };
        let lax: Value = serde_json::from_str(&workplace.run(&json).stdout).unwrap();
        assert_eq!([counts(&lax)[1], counts(&lax)[3]], [0, 0], "{name}, by policies that take any: {lax}");
        workplace.write("new/policies.yaml", &strict);
        let run = workplace.run(&json).exits(if expected[1] + expected[2] == 0 { 0 } else { 3 });
        let told: Value = serde_json::from_str(&run.stdout).unwrap();
        assert_eq!(counts(&told), expected, "{name}: {told}");
        let text = workplace.run(&REPLAY).stdout;
        let says = "1 judged as if the token was bound, because the log does not say it\n";
        assert_eq!(text.contains(says), expected[3] == 1, "{name}: {text}");
        if expected[1] == 1 {
            let why = "-> not-bound: the token is not bound, and the API takes bound tokens alone (`bound_tokens`)\n";
            assert!(text.contains(why), "{name}: {text}");
            assert_eq!(
                told["differences"][0]["after"],
                json!({ "rule": null, "reason": "not-bound" }),
                "{name}"
            );
        }
    }
}
