//! Who can newly become which client, and who no longer can.
use std::fs;

use jeton_policy::{ChangeEffect, ChangeKind, ChangedFor, DemoSecrets, DiffEffort, DiffSummary, PolicyDiff};
use serde_json::json;

use crate::policy_text::{compile_folder, compile_good};

const ISSUER: &str = "issuer: https://token.actions.githubusercontent.com
    audience: https://tokens.example.com
    keys: { discover: true }";

/// Policies with one issuer and these clients.
fn policies(issuer: &str, clients: &str) -> String {
    format!("version: 1\nissuers:\n  github:\n    {issuer}\nclients:\n{clients}")
}

fn deployer(entries: &str) -> String {
    format!("  deployer:\n    federated:\n{entries}")
}

#[track_caller]
fn difference(old: &str, new: &str) -> PolicyDiff {
    let (old, new) = (compile_good(old), compile_good(new));
    let difference = old.difference(&new, DiffEffort::Bounded).unwrap();
    // and what one side gains is what the other loses
    let back = new.difference(&old, DiffEffort::Bounded).unwrap();
    let count = |diff: &PolicyDiff, effect| {
        let of_clients = diff.changes.iter().filter(|change| change.who != ChangedFor::Operators);
        of_clients.filter(|change| change.effect == effect).count()
    };
    assert_eq!(count(&difference, ChangeEffect::Gains), count(&back, ChangeEffect::Loses), "{back}");
    difference
}

/// Each line of what changes, with its sign.
#[track_caller]
fn changes(old: &str, new: &str, expected: &[&str]) {
    let difference = difference(old, new);
    let lines: Vec<_> = difference.changes.iter().map(ToString::to_string).collect();
    assert_eq!(lines, expected, "{difference}");
}

const MAIN: &str = "      - issuer: github
        claims: { repository_id: { is: '1' }, ref: { is: main } }
";

#[test]
fn a_client_that_more_tokens_stand_for_widens() {
    let old = policies(ISSUER, &deployer(MAIN));
    for (entries, expected) in [
        (MAIN, vec![]),
        // in another order
        (
            "      - { issuer: github, claims: { ref: { in: [main] }, /repository_id: { in: ['1'] } } }\n",
            vec![],
        ),
        // a part of what was
        (
            "      - { issuer: github, claims: { repository_id: { is: '1' }, ref: { is: main }, environment: { is: a } } }\n",
            vec![
                "deployer loses tokens of github that stand for it: claims.repository_id is `1`, claims.ref is `main`",
            ],
        ),
        (
            "      - { issuer: github, claims: { repository_id: { is: '1' }, ref: { in: [main, next] } } }\n",
            vec![
                "deployer gains tokens of github that stand for it: claim ref = `next`, claim repository_id = `1`",
            ],
        ),
        (
            "      - { issuer: github, claims: { repository_id: { is: '1' } } }\n",
            vec!["deployer gains tokens of github that stand for it: claims.repository_id is `1`"],
        ),
        (
            "      - { issuer: github, claims: { repository_id: { is: '2' }, ref: { is: main } } }\n",
            vec![
                "deployer gains tokens of github that stand for it: claims.repository_id is `2`, claims.ref is `main`",
                "deployer loses tokens of github that stand for it: claims.repository_id is `1`, claims.ref is `main`",
            ],
        ),
    ] {
        changes(&old, &policies(ISSUER, &deployer(entries)), &expected);
    }
}

#[test]
fn a_witness_is_a_token_that_newly_stands_for_the_client() {
    let old = policies(ISSUER, &deployer(MAIN));
    let new = policies(
        ISSUER,
        &deployer(
            "      - { issuer: github, claims: { repository_id: { is: '1' }, ref: { in: [main, next] } } }\n",
        ),
    );
    let difference = difference(&old, &new);
    assert_eq!(difference.summary, DiffSummary::Widens);
    let [change] = &difference.changes[..] else { panic!("{difference}") };
    assert_eq!(change.kind, ChangeKind::Federation);
    assert_eq!(
        serde_json::to_value(&change.foreign).unwrap(),
        json!({
            "issuer": "https://token.actions.githubusercontent.com",
            "audience": "https://tokens.example.com",
            "claims": { "repository_id": "1", "ref": "next" },
        })
    );
    assert_eq!(serde_json::to_value(change).unwrap()["kind"], "federation");
}

#[test]
fn a_client_is_told_of_with_those_who_can_be_it() {
    let before = "  other: {}\n";
    let after = format!("{before}{}", deployer(MAIN));
    let added = "deployer gains a place among the clients: it is added";
    let tokens = "tokens of github that stand for it: claims.repository_id is `1`, claims.ref is `main`";
    changes(
        &policies(ISSUER, before),
        &policies(ISSUER, &after),
        &[added, &format!("deployer gains {tokens}")],
    );
}

/// What changes is whose tokens are taken, and how they are verified.
#[test]
fn an_issuer_that_is_another_one_changes_who_a_client_is() {
    let with = |issuer: &str| policies(issuer, &deployer(MAIN));
    let old = with(ISSUER);
    let line = |effect: &str, iss: &str, aud: &str| {
        format!(
            "deployer {effect} tokens of github (iss `https://{iss}`, aud `https://{aud}`) that stand for it: \
             claims.repository_id is `1`, claims.ref is `main`"
        )
    };
    let (iss, aud) = ("token.actions.githubusercontent.com", "tokens.example.com");
    let loses = line("loses", iss, aud);
    let other = ISSUER.replace(iss, "github.example.com");
    changes(&old, &with(&other), &[&line("gains", "github.example.com", aud), &loses]);
    let audience = ISSUER.replace("https://tokens.example.com", "https://other.example.com");
    changes(&old, &with(&audience), &[&line("gains", iss, "other.example.com"), &loses]);
    changes(&old, &with(&format!("{ISSUER}\n    enabled: false")), &[&loses]);
    // the name is nobody's business but the files'
    changes(&old, &old.replace("  github:", "  actions:").replace("issuer: github", "issuer: actions"), &[]);
    for (more, expected) in [
        ("algorithms: [RS256, ES384]", vec!["tokens of issuer github: signed with ES384"]),
        ("max_lifetime: 1h", vec!["tokens of issuer github: lifetime of 3600 s at most, was 90000 s"]),
        ("single_use: true", vec!["tokens of issuer github: each is taken once"]),
    ] {
        changes(&old, &with(&format!("{ISSUER}\n    {more}")), &expected);
    }
    let keys = ISSUER.replace("discover: true", "jwks: https://keys.example.com/a");
    let difference = difference(&old, &with(&keys));
    assert_eq!(difference.summary, DiffSummary::Widens, "whoever has the new keys can be the client");
    // the same files, relative to another folder
    let beside =
        with(&ISSUER.replace("discover: true", "discover: true, ca_file: ca.pem, token_file: /run/token"));
    changes(&beside, &beside, &[]);
    let other = beside.replace("ca.pem", "other.pem");
    let line = "tokens of issuer github: signed by the keys of its metadata with ca_file other.pem with token_file \
                /run/token, was its metadata with ca_file ca.pem with token_file /run/token";
    changes(&beside, &other, &[line]);
    let unused = old.replace("      - issuer: github\n", "      - issuer: other\n").replace(
        "clients:",
        "  other: { issuer: https://o.example.com, audience: a, keys: { discover: true } }\nclients:",
    );
    let unused_keys = unused
        .replace("keys: { discover: true }\n  other", "keys: { jwks: 'https://k.example.com' }\n  other");
    assert_ne!(unused, unused_keys);
    changes(&unused, &unused_keys, &[]);
}

#[test]
fn claims_that_are_taken_over_change() {
    let with = |claims_from: &str| {
        let entry = format!(
            "      - {{ issuer: github, claims: {{ repository_id: {{ is: '1' }} }}{claims_from} }}\n"
        );
        policies(ISSUER, &deployer(&entry))
    };
    let line = |effect: &str, from: &str| {
        format!("deployer {effect} claim ref from the claim {from} of tokens that stand for it")
    };
    let [none, by_ref, by_sha] = ["", ", claims_from: { ref: ref }", ", claims_from: { ref: sha }"].map(with);
    changes(&none, &by_ref, &[&line("gains", "ref")]);
    changes(&by_ref, &none, &[&line("loses", "ref")]);
    changes(&by_ref, &by_sha, &[&line("gains", "sha"), &line("loses", "ref")]);
    changes(&by_ref, &by_ref, &[]);
    assert_eq!(difference(&none, &by_ref).summary, DiffSummary::Widens, "it may open what it did not");
}

#[test]
fn a_disabled_client_is_nobody() {
    let with = |more: &str, entry: &str| {
        policies(ISSUER, &deployer(entry)).replace(
            "  deployer:
",
            &format!(
                "  deployer:
{more}"
            ),
        )
    };
    let [enabled, disabled] = ["", "    enabled: false\n"].map(|more| with(more, MAIN));
    let gains = "deployer gains tokens of github that stand for it: claims.repository_id is `1`, claims.ref is `main`";
    let lines = |old: &str, new: &str| {
        let changes = difference(old, new).changes;
        changes.iter().map(ToString::to_string).filter(|line| line.contains("tokens of")).collect::<Vec<_>>()
    };
    assert_eq!(lines(&disabled, &enabled), [gains]);
    assert_eq!(lines(&enabled, &disabled), [gains.replace("gains", "loses")]);
    let another = MAIN.replace("main", "next");
    assert_ne!(another, MAIN);
    assert!(lines(&disabled, &with("    enabled: false\n", &another)).is_empty());
}

/// A list of so many items fits into no token. To make one took all memory.
#[test]
fn no_witness_is_longer_than_a_token() {
    let entry = |at: &str| {
        format!(
            "      - {{ issuer: github, claims: {{ repository_id: {{ is: '1' }}, /a/{at}: {{ is: x }}, a: {{ contains: y }} }} }}\n"
        )
    };
    let nobody = policies(ISSUER, &deployer(&entry("99999999999999")));
    let somebody = policies(ISSUER, &deployer(&entry("2")));
    changes(&nobody, &nobody, &[]);
    let expected = "deployer gains tokens of github that stand for it: claims.repository_id is `1`, claims./a/2 is `x`, \
                    claims.a contains `y`";
    changes(&nobody, &somebody, &[expected]);
}

#[test]
fn other_keys_in_a_file_are_told_as_gain_and_loss() {
    let dir = tempfile::tempdir().unwrap();
    let key =
        |kid: &str, x: &str| format!(r#"{{ "kty": "OKP", "crv": "Ed25519", "kid": "{kid}", "x": "{x}" }}"#);
    // RFC 8037 appendix A.2 and RFC 8032 section 7.1, test 2
    let [one, two] =
        ["11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo", "PUAXw-hDiVqStwqnTRt-vJyYLM8uxJaMwM1V8Sr0Zgw"];
    let set = |keys: &[String]| format!(r#"{{ "keys": [{}] }}"#, keys.join(", "));
    let with = |file: &str, keys: &[String]| {
        let issuer = ISSUER.replace("discover: true", &format!("file: {file}"));
        let text = policies(&format!("{issuer}\n    algorithms: [EdDSA]"), &deployer(MAIN));
        for entry in fs::read_dir(dir.path()).unwrap() {
            fs::remove_file(entry.unwrap().path()).unwrap();
        }
        fs::write(dir.path().join("all.yaml"), text).unwrap();
        fs::write(dir.path().join(file), set(keys)).unwrap();
        compile_folder(dir.path(), DemoSecrets::Allowed).unwrap()
    };
    let line = |file: &str, thumbprint: &str| {
        format!("tokens of issuer github: signed by a key of {file} (thumbprint {thumbprint}...)")
    };
    let [first, second] = [one, two].map(|x| key("k", x));
    let old = with("k.jwks", std::slice::from_ref(&first));
    for (file, keys, expected, summary) in [
        (
            "k.jwks",
            vec![second.clone()],
            vec![line("k.jwks", "FtIu-VbG"), line("k.jwks", "kPrK_qmx")],
            DiffSummary::Both,
        ),
        (
            "k.jwks",
            vec![first.clone(), second.clone()],
            vec![line("k.jwks", "FtIu-VbG")],
            DiffSummary::Widens,
        ),
        (
            "k.jwks",
            vec![key("other", one)],
            vec!["tokens of issuer github: signed by the same keys, as k.jwks has them".to_owned()],
            DiffSummary::Neither,
        ),
        (
            "new.jwks",
            vec![first.clone()],
            vec![
                "tokens of issuer github: signed by the same keys, as new.jwks has them, was k.jwks"
                    .to_owned(),
            ],
            DiffSummary::Neither,
        ),
    ] {
        let difference = old.difference(&with(file, &keys), DiffEffort::Bounded).unwrap();
        let lines: Vec<_> = difference.changes.iter().map(|change| change.what.clone()).collect();
        assert_eq!((lines, difference.summary), (expected, summary));
    }
}

/// What a client cannot use is no gain, and what it could not use no loss.
#[test]
fn what_a_disabled_client_has_is_neither_gain_nor_loss() {
    let with = |more: &str| format!("version: 1\nclients:\n  deployer:\n    enabled: false\n    {more}\n");
    let secret = |digit: &str| format!("secrets: [{{ sha256: {} }}]", digit.repeat(64));
    let old = with(&secret("a"));
    for new in [
        with(&format!("secrets: [{{ sha256: {} }}, {{ sha256: {} }}]", "a".repeat(64), "b".repeat(64))),
        with(&secret("b")),
        with(&format!("{}\n    token_exchange: true", secret("a"))),
        with(&format!("{}\n    ttl: 5m", secret("a"))),
    ] {
        for (old, new) in [(&old, &new), (&new, &old)] {
            let difference = difference(old, new);
            assert_eq!(difference.summary, DiffSummary::Neither, "{difference}");
            assert!(!difference.is_empty());
        }
    }
    // with the switch, it counts
    let enabled = old.replace("enabled: false", "enabled: true").replace("aaaa", "bbbb");
    let lines: Vec<_> =
        difference(&old, &enabled).changes.iter().map(|change| (change.effect, change.kind)).collect();
    assert!(lines.contains(&(ChangeEffect::Gains, ChangeKind::Credential)), "{lines:?}");
    assert!(lines.contains(&(ChangeEffect::Changes, ChangeKind::Credential)), "{lines:?}");
}
