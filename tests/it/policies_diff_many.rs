//! `jeton policies diff` where much changes: for many clients, at many routes, in long words.
use std::{fmt::Write, fs};

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::{
    binary::{Run, Workplace},
    support::program::{Binary, POLLING},
};

/// What a comment on GitHub takes, in characters.
const COMMENT: usize = 65_536;

/// Policies with `count` clients, of a tenant each if `own_tenant` says so, and these routes of one rule.
fn policies(count: usize, own_tenant: bool, rule: &str) -> String {
    let mut text = format!(
        "version: 1\nscopes: {{ orders:read: Read orders, orders:write: Change orders }}\napis:\n  orders:\n    \
         audience: https://orders.example.com\n    rules:\n      other:\n        routes: [GET /other]\n        \
         require: {{ scope: orders:write }}\n{rule}clients:\n"
    );
    for number in 0..count {
        let tenant = if own_tenant { format!("t{number}") } else { "acme".to_owned() };
        let _ = write!(
            text,
            "  client-number-{number:04}:\n    secrets: [{{ sha256: \"{number:08x}{:056x}\" }}]\n    grants: {{ orders: {{ scopes: \
             [orders:read] }} }}\n    claims: {{ tenant: {tenant} }}\n",
            0
        );
    }
    text
}

fn rule(routes: &str, require: &str) -> String {
    format!("      read:\n        routes: [{routes}]\n        require: {{ {require} }}\n")
}

const OPEN: &str = "scope: orders:read";
const BOUND: &str = "scope: orders:read, claims: { tenant: { same_as_path: tenant } }";

#[track_caller]
fn difference(old: &str, new: &str, format: &str) -> Run {
    let workplace = Workplace::empty();
    workplace.write("old/policies.yaml", old).write("new/policies.yaml", new);
    let run = workplace.run(&["policies", "diff", "old", "new", "--format", format]);
    if format != "json" {
        assert!(run.stdout.chars().count() < COMMENT, "{}", run.stdout.len());
    }
    run
}

/// The lines of a report that say a change.
fn changes(run: &Run) -> Vec<&str> {
    let change = |line: &&str| {
        let line = line.trim_start().trim_start_matches("| ");
        line.starts_with("+ ") || line.starts_with("- ") || line.starts_with("~ ")
    };
    run.stdout.lines().filter(change).collect()
}

#[test]
fn clients_with_the_same_change_share_a_line() {
    let before = policies(2_000, false, "");
    let after = policies(2_000, false, &rule("\"GET /orders\"", OPEN));
    let named = "each of client-number-0000, client-number-0001, client-number-0002, client-number-0003, \
                 client-number-0004, client-number-0005, client-number-0006, client-number-0007, \
                 client-number-0008, client-number-0009 and 1990 more";
    for format in ["text", "markdown"] {
        let run = difference(&before, &after, format).exits(3);
        assert!(run.stdout.contains("widens: 2 gains, no losses, 2000 clients\n"), "{run:#?}");
        let changes = changes(&run);
        assert_eq!(changes.len(), 2, "{run:#?}");
        assert!(
            changes[0].contains("any token that carries scope: orders:read gains GET /orders"),
            "{run:#?}"
        );
        assert!(changes[1].contains(&format!("{named} gains GET /orders")), "{run:#?}");
        assert!(!run.stdout.contains("--format json"), "{run:#?}");
        let run = difference(&after, &before, format).exits(0);
        assert!(run.stdout.contains("narrows: no gains, 2 losses, 2000 clients\n"), "{run:#?}");
        assert!(run.stdout.contains(&format!("{named} loses GET /orders")), "{run:#?}");
    }
}

#[test]
fn two_clients_are_both_named() {
    let before = policies(2, false, "");
    let run = difference(&before, &policies(2, false, &rule("\"GET /orders\"", OPEN)), "text").exits(3);
    assert!(
        run.stdout.contains("  + each of client-number-0000 and client-number-0001 gains GET /orders\n"),
        "{run:#?}"
    );
    let run =
        difference(&policies(1, false, ""), &policies(1, false, &rule("\"GET /orders\"", OPEN)), "text");
    assert!(run.stdout.starts_with("widens: 2 gains, no losses\n"), "{run:#?}");
    assert!(run.stdout.contains("  + client-number-0000 gains GET /orders\n"), "{run:#?}");
}

#[test]
fn what_differs_in_the_tenant_alone_is_said_by_the_claim() {
    let bound = rule("\"GET /t/{tenant}/orders\"", BOUND);
    let open = rule("\"GET /t/{tenant}/orders\"", OPEN);
    let run = difference(&policies(2_000, true, &bound), &policies(2_000, true, &open), "markdown").exits(3);
    assert!(run.stdout.contains("widens: 2 gains, no losses, 2000 clients\n"), "{run:#?}");
    let said = "and 1990 more gains GET /t/{tenant}/orders where tenant is not its claim tenant` | \
                `GET /t/some-tenant/orders`";
    assert!(run.stdout.contains(said), "{run:#?}");
    let run = difference(&policies(2_000, true, ""), &policies(2_000, true, &bound), "text").exits(3);
    let said = "and 1990 more gains GET /t/{tenant}/orders where tenant is its claim tenant\n      try GET /t/t0/orders\n";
    assert!(run.stdout.contains(said), "{run:#?}");
    // a few say their own
    let run = difference(&policies(3, true, ""), &policies(3, true, &bound), "text").exits(3);
    for tenant in 0..3 {
        let said =
            format!("client-number-000{tenant} gains GET /t/{{tenant}}/orders where tenant is t{tenant}\n");
        assert!(run.stdout.contains(&said), "{run:#?}");
    }
}

#[test]
fn a_client_that_stands_out_has_a_line_of_its_own() {
    let stranger = "  stranger:\n    secrets: [{ sha256: \
                    \"ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff\" }]\n    grants: { orders: { \
                    scopes: [orders:read, orders:write] } }\n";
    let bound = rule("\"GET /t/{tenant}/orders\"", BOUND);
    let open = rule("\"GET /t/{tenant}/orders\"", OPEN);
    let [old, new] = [bound, open].map(|rule| policies(2_000, true, &rule) + stranger);
    let run = difference(&old, &new, "text").exits(3);
    assert!(run.stdout.contains("  + stranger gains GET /t/{tenant}/orders\n"), "{run:#?}");
}

#[test]
fn tokens_that_are_revoked_share_a_line() {
    let tokens = |count: usize| {
        let tokens: Vec<_> = (0..count).map(|number| format!("{number:026}.{number:030}")).collect();
        policies(1, false, "") + &format!("revoked_tokens: [{}]\n", tokens.join(", "))
    };
    let run = difference(&tokens(0), &tokens(3_000), "markdown").exits(0);
    assert!(run.stdout.contains("narrows: no gains, 1 loss, 0 clients\n"), "{run:#?}");
    assert!(run.stdout.contains("and 2990 more loses all that it carries: it is revoked"), "{run:#?}");
}

#[actix_web::test]
async fn the_log_counts_them_alike() {
    let root = TempDir::new().unwrap();
    fs::create_dir(root.path().join("policies")).unwrap();
    let file = root.path().join("policies/policies.yaml");
    fs::write(&file, policies(300, false, "")).unwrap();
    let mut binary = Binary::serve_in(root, POLLING).await;
    fs::write(&file, policies(300, false, &rule("\"GET /orders\"", OPEN))).unwrap();
    let reloaded = binary.logged("policies.reloaded").await;
    let counts = json!([reloaded["effect"], reloaded["gains"], reloaded["losses"], reloaded["clients"]]);
    assert_eq!(counts, json!(["widens", 2, 0, 300]), "{reloaded}");
}

#[test]
fn json_stays_whole() {
    let before = policies(2_000, false, "");
    let run = difference(&before, &policies(2_000, false, &rule("\"GET /orders\"", OPEN)), "json").exits(3);
    let difference: Value = serde_json::from_str(&run.stdout).unwrap();
    assert_eq!(difference["gains"], 2_001);
    let changes = difference["changes"].as_array().unwrap();
    assert_eq!(changes.len(), 2_001);
    assert_eq!(changes[2_000]["who"], json!({ "client": "client-number-1999" }));
}

#[test]
fn what_does_not_fit_is_counted() {
    // a line each, for each secret is another
    let before = policies(0, false, "");
    let after = policies(2_000, false, "");
    for format in ["text", "markdown"] {
        let run = difference(&before, &after, format).exits(3);
        assert!(run.stdout.contains("widens: 2 gains, no losses, 2000 clients\n"), "{run:#?}");
    }
    let rotated = after.replace("sha256: \"0", "sha256: \"f");
    for format in ["text", "markdown"] {
        let run = difference(&after, &rotated, format).exits(3);
        assert!(run.stdout.contains("both narrows and widens: 2000 gains, 2000 losses\n"), "{run:#?}");
        let last = run.stdout.lines().last().unwrap();
        let shown = changes(&run).len();
        assert!(shown > 300, "{run:#?}");
        assert!(last.starts_with(&format!("and {} more: ", 4_000 - shown)), "{last}");
        assert!(last.ends_with(" losses, no other changes; `--format json` has all"), "{last}");
    }
}

#[test]
fn each_thing_that_changes_is_said_before_one_is_said_twice() {
    // hundreds of gains at one API, and a gain and a loss at another, which comes behind it
    let routes: Vec<_> = (0..800).map(|number| format!("\"GET /things/{number}/of-some-length\"")).collect();
    let zoo = |scope: &str| {
        format!(
            "  zoo:\n    audience: https://zoo.example.com\n    rules:\n      feed:\n        routes: [POST /feed]\n        \
             require: {{ scope: {scope} }}\n"
        )
    };
    let with = |rule: &str, scope: &str| {
        policies(6, false, rule).replace("clients:\n", &(zoo(scope) + "clients:\n"))
    };
    let old = with(&rule(&routes.join(", "), "scope: orders:write"), "orders:read");
    let new = with(&rule(&routes.join(", "), OPEN), "orders:write");
    for format in ["text", "markdown"] {
        let run = difference(&old, &new, format).exits(3);
        assert!(run.stdout.contains("narrows and widens: 1601 gains, 801 losses, 6 clients\n"), "{run:#?}");
        for said in [
            "orders:write gains POST /feed",
            "orders:read loses POST /feed",
            "orders:read gains GET /things/0/",
            "orders:write loses GET /things/0/",
        ] {
            assert!(run.stdout.contains(said), "{said}: {run:#?}");
        }
        assert!(run.stdout.lines().last().unwrap().starts_with("and "), "{run:#?}");
    }
}

#[test]
fn long_words_are_cut() {
    let values: Vec<_> = (0..20_000).map(|number| format!("value-number-{number}")).collect();
    let old = policies(1, false, "").replace("claims: { tenant: acme }", "claims: { tenant: [acme] }");
    let new = old.replace("[acme]", &format!("[{}]", values.join(", ")));
    for format in ["text", "markdown"] {
        let run = difference(&old, &new, format).exits(0);
        assert!(run.stdout.contains("value-number-3"), "{run:#?}");
        assert!(run.stdout.contains('…'), "{run:#?}");
        assert!(run.stdout.len() < 5_000, "{run:#?}");
    }
}
