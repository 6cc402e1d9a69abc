//! `jeton clients list` and `enable`: who there is, and who is let back in.
use jeton_policy::clients::ClientState;
use jiff::Timestamp;
use serde_json::{Value, json};

use crate::{
    binary::Workplace,
    clients_commands::{hex, policies, refused, with_clients},
    support::key_fixture,
};

const CLIENTS: &str = "version: 1

clients:
  plain:
    secrets: [{ sha256: SECRET-A }]
    grants: { orders: { scopes: [orders:write], roles: [agent] }, jeton: { scopes: [jeton:principal] } }
    ttl: 90m
    limit: 100/m
  # comments stay
  leaving:
    secrets:
      - { sha256: SECRET-A, expires: 2000-01-01T00:00:00Z }
      - { sha256: SECRET-B, expires: 2098-01-01T00:00:00Z }
      - { sha256: SECRET-C, expires: 2099-01-01T00:00:00Z }
    enabled: false   # since the leak
    revoked_before: 2026-01-01T00:00:00Z
  keyed:
    public_keys: [{ file: key.pem }]
    introspect: [orders]
    refresh: true
  nobody: { }
";

fn workplace() -> Workplace {
    let text = ["A", "B", "C"]
        .iter()
        .fold(CLIENTS.to_owned(), |text, name| text.replace(&format!("SECRET-{name}"), &hex(name)));
    let workplace = with_clients(&text);
    let key = key_fixture("public/ed25519.pem");
    std::fs::copy(key, workplace.path("policies/key.pem")).unwrap();
    workplace
}

#[test]
fn a_table_shows_who_there_is() {
    let run = workplace().run(&["clients", "list"]).exits(0);
    assert_eq!(run.stderr, "");
    let expected = "\
ID       STATE     CREDENTIALS                                    TOKENS TTL  LIMIT  REVOKED BEFORE        GRANTS
keyed    enabled   1 key                                          -      -    -      -                     -
leaving  disabled  2 secrets, the first until 2098-01-01T00:00:00Z  -      -    -      2026-01-01T00:00:00Z  -
nobody   enabled   none                                           -      -    -      -                     -
plain    enabled   1 secret                                       -      90m  100/m  -                     orders: agent orders:write; jeton: jeton:principal
";
    // the widths follow what stands there
    let squeezed = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ");
    assert_eq!(squeezed(&run.stdout), squeezed(expected));
    let columns: Vec<_> = ["STATE", "disabled"]
        .iter()
        .filter_map(|cell| run.stdout.lines().find_map(|line| line.find(cell)))
        .collect();
    assert_eq!(columns, [9, 9]);
}

#[test]
fn programs_get_an_object_for_each() {
    let run = workplace().run(&["clients", "list", "--format", "json"]).exits(0);
    let list: Value = serde_json::from_str(&run.stdout).unwrap();
    let ids: Vec<_> = list.as_array().unwrap().iter().map(|client| client["id"].as_str().unwrap()).collect();
    assert_eq!(ids, ["keyed", "leaving", "nobody", "plain"]);
    assert_eq!(
        (&list[0]["public_keys"], &list[0]["introspect"], &list[0]["refresh"]),
        (&json!(1), &json!(["orders"]), &json!(true))
    );
    assert_eq!(list[1]["enabled"], false);
    assert_eq!(list[1]["revoked_before"], "2026-01-01T00:00:00Z");
    assert_eq!(
        list[1]["secrets"][0],
        json!({ "sha256": hex("A")[..8], "expires": "2000-01-01T00:00:00Z", "live": false })
    );
    assert_eq!(
        list[1]["secrets"][1],
        json!({ "sha256": hex("B")[..8], "expires": "2098-01-01T00:00:00Z", "live": true })
    );
    assert_eq!((&list[3]["ttl"], &list[3]["limit"]), (&json!(5400), &json!("100/m")));
    assert_eq!(list[0]["limit"], Value::Null);
    let orders = json!({ "api": "orders", "audience": "https://orders.example.com", "roles": ["agent"], "scopes": ["orders:read", "orders:write"] });
    assert!(list[3]["grants"].as_array().unwrap().contains(&orders), "{list}");
}

#[test]
fn no_more_than_eight_digits_of_a_hash_are_shown() {
    for arguments in [&["clients", "list"][..], &["clients", "list", "--format", "json"]] {
        let run = workplace().run(arguments).exits(0);
        for name in ["A", "B", "C"] {
            assert!(
                !run.stdout.contains(&hex(name)[..9]) && !run.stderr.contains(&hex(name)[..9]),
                "{run:#?}"
            );
        }
    }
}

#[test]
fn a_list_needs_policies_that_load() {
    let workplace = with_clients("version: 1\nclients: { a: { ttl: x } }\n");
    workplace.run(&["clients", "list"]).exits(1).says(&["the policies do not load", "clients.yaml:2"]);
    Workplace::empty().run(&["clients", "list"]).exits(1).says(&["jeton init"]);
    let none = with_clients("version: 1\n");
    assert_eq!(none.run(&["clients", "list"]).exits(0).stdout.lines().count(), 1);
    none.run(&["clients", "list", "--format", "json"]).exits(0).shows(&["[]"]);
    none.run_unread(&["clients", "list"]).exits(0);
}

#[test]
fn enable_changes_one_word_and_leaves_what_was_revoked() {
    let workplace = workplace();
    let before = workplace.read("policies/clients.yaml");
    workplace.run(&["clients", "enable", "leaving"]).exits(0).says(&[
        "policies/clients.yaml: client `leaving` is enabled",
        "its tokens issued before 2026-01-01T00:00:00Z stay revoked",
    ]);
    let after = workplace.read("policies/clients.yaml");
    assert_eq!(
        after,
        before.replace("enabled: false   # since the leak", "enabled: true   # since the leak")
    );
    let policies = policies(&workplace);
    let client = policies.clients().find("leaving").unwrap();
    let revoked_before = "2026-01-01T00:00:00Z".parse::<Timestamp>().unwrap().as_second();
    assert_eq!((client.state, client.revoked_before), (ClientState::Enabled, Some(revoked_before)));
    // again, and of one that never was anything else
    for id in ["leaving", "plain", "nobody"] {
        workplace
            .run(&["clients", "enable", id])
            .exits(0)
            .says(&["is enabled already, and nothing was written"]);
        assert_eq!(workplace.read("policies/clients.yaml"), after, "{id}");
    }
}

#[test]
fn enable_undoes_revoke_in_every_way_of_writing_a_client() {
    for (name, text) in [
        ("a block", "version: 1\nclients:\n  x:\n    ttl: 5m # a comment\n"),
        ("in braces", "version: 1\nclients:\n  x: { ttl: 5m }\n"),
        ("in one line", "version: 1\nclients: { x: { ttl: 5m } }\n"),
        ("without anything", "version: 1\nclients:\n  x:\n"),
    ] {
        let workplace = with_clients(text);
        workplace.run(&["clients", "revoke", "x"]).exits(0);
        assert_eq!(policies(&workplace).clients().find("x").unwrap().state, ClientState::Disabled, "{name}");
        workplace.run(&["clients", "enable", "x"]).exits(0).says(&["client `x` is enabled", "stay revoked"]);
        let policies = policies(&workplace);
        let client = policies.clients().find("x").unwrap();
        assert_eq!(client.state, ClientState::Enabled, "{name}");
        assert!(client.revoked_before.is_some(), "{name}");
    }
}

#[test]
fn a_client_that_is_not_there_is_named_with_the_nearest() {
    let workplace = workplace();
    for command in ["enable", "revoke", "rotate"] {
        let says = ["client `leavin` is not defined in any file: did you mean `leaving`?"];
        refused(&workplace, &["clients", command, "leavin"], &says);
        let run =
            refused(&workplace, &["clients", command, "something-else"], &["is not defined in any file"]);
        assert!(!run.stderr.contains("did you mean"), "{run:#?}");
    }
    let broken = with_clients("version: 1\nclients:\n  x: {\n");
    refused(&broken, &["clients", "enable", "x"], &["clients.yaml"]);
}
