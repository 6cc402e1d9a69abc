//! `jeton clients rotate`: the new secret is shown once, and the old ones are good for a while.
use std::path::Path;

use jeton_oauth::clock::{Clock, SystemClock};
use jiff::Timestamp;

use crate::{
    binary::Workplace,
    clients_commands::{hex, is_let_in, policies, refused, secret_of, with_clients},
};

/// As many secrets as there are in these files, each with the time at which it expires.
fn secrets(workplace: &Workplace, client: &str) -> Vec<(String, Option<Timestamp>)> {
    let policies = policies(workplace);
    let client = policies.clients().find(client).unwrap();
    client.secrets.iter().map(|secret| (secret.sha256.to_string(), secret.expires)).collect()
}

/// Rotates a client whose first secret is `one`, and whose second, if any, is `two` and expires.
#[track_caller]
fn rotated(text: &str) {
    let text = text.replace("ONE", &hex("one")).replace("TWO", &hex("two"));
    let workplace = with_clients(&text);
    let old = secrets(&workplace, "acme");
    let started = SystemClock.now();
    let run = workplace.run(&["clients", "rotate", "acme", "--keep-old", "2d"]);
    assert_eq!(run.code, Some(0), "{text}\n{}", run.stderr);
    let secret = secret_of(&run);
    let after = workplace.read("policies/clients.yaml");
    let new = secrets(&workplace, "acme");
    assert_eq!(new.len(), old.len() + 1, "{after}");
    for (old, new) in old.iter().zip(&new) {
        assert_eq!(old.0, new.0, "{after}");
        if old.1.is_some() {
            assert_eq!(new.1, old.1, "an expiry that was there is kept:\n{after}");
            continue;
        }
        // rounded to whole seconds, and the run took a while
        let left = new.1.unwrap().as_second() - started.as_second() - 2 * 86400;
        assert!((-1..60).contains(&left), "{left}\n{after}");
    }
    assert_eq!(new.last().unwrap(), &(hex(&secret), None), "{after}");
    assert!(is_let_in(&workplace, "acme", &secret, 0) && is_let_in(&workplace, "acme", &secret, 3 * 86400));
    if !old.is_empty() {
        assert!(is_let_in(&workplace, "acme", "one", 0) && !is_let_in(&workplace, "acme", "one", 3 * 86400));
    }
    assert!(!after.contains(&secret), "{after}");
    // every line that was there still is, in order, some with an expiry
    let mut lines = after.lines();
    for line in text.lines() {
        let kept = |new: &str| new == line || without_expiry(new) == line;
        assert!(lines.any(kept), "{line:?} is gone:\n{after}");
    }
}

/// A line in braces as it was before it got an expiry.
fn without_expiry(line: &str) -> String {
    let Some((before, rest)) = line.split_once(", expires: ") else { return line.to_owned() };
    format!("{before}{}", rest.split_at_checked("2026-11-23T12:00:00Z".len()).map_or("", |(_, after)| after))
}

#[test]
fn rotate_adds_a_secret_and_lets_the_old_ones_expire() {
    for text in [
        "version: 1\nclients:\n  acme:\n    secrets:\n      - sha256: ONE\n",
        "version: 1\nclients:\n  acme:\n    secrets:\n      - sha256: ONE",
        "version: 1\nclients:\n  acme:\n    secrets:\n      - { sha256: ONE }\n",
        "version: 1\nclients:\n  acme:\n    secrets:\n      - { sha256: \"ONE\" } # the first\n    # more\n    ttl: 15m\n",
        "version: 1\nclients:\n  acme:\n    secrets:\n      - sha256: 'ONE'\n      - sha256: TWO\n        expires: 2020-06-30T00:00:00Z\n",
        "version: 1\nclients:\n  acme:\n    secrets:\n      - expires: 2020-06-30T00:00:00Z\n        sha256: TWO\n      # the other\n      - sha256: ONE\n\n\ntests: []\n",
        "version: 1\nclients:\n  acme:\n    secrets:\n      - {sha256: ONE}\n      - {sha256: TWO, expires: 2020-06-30T00:00:00Z}\n  other: {}\n",
        "version: 1\nclients:\n  acme:\n    secrets:\n      - sha256:\n          ONE\n    ttl: 15m\n",
        "version: 1\r\nclients:\r\n  acme:\r\n    secrets:\r\n      - sha256: ONE\r\n    ttl: 15m\r\n",
    ] {
        // the first secret is the one of these tests
        if text.find("TWO") < text.find("ONE") && text.contains("TWO") {
            rotated_with_the_live_one_last(text);
        } else {
            rotated(text);
        }
    }
}

/// A list may stand right below its key (YAML 1.2.2, example 2.4 and section 8.2.1).
#[test]
fn rotate_takes_a_list_that_is_not_indented() {
    rotated(
        "version: 1\nclients:\n  acme:\n    secrets:\n    - sha256: ONE   # the first\n    ttl: 15m\n  other: {}\n",
    );
    rotated("version: 1\nclients:\n  acme:\n    secrets:\n    - sha256: ONE\n");
}

#[track_caller]
fn rotated_with_the_live_one_last(text: &str) {
    let workplace = with_clients(&text.replace("ONE", &hex("one")).replace("TWO", &hex("two")));
    let run = workplace.run(&["clients", "rotate", "acme"]).exits(0);
    let new = secrets(&workplace, "acme");
    assert_eq!(new[0], (hex("two"), Some("2020-06-30T00:00:00Z".parse().unwrap())));
    assert!(new[1].0 == hex("one") && new[1].1.is_some(), "{new:?}");
    assert_eq!(new[2], (hex(&secret_of(&run)), None));
}

/// As many are compared for each request.
#[test]
fn rotate_adds_no_seventeenth_secret() {
    let list: String = (0..15)
        .flat_map(|number| ["      - sha256: ".to_owned(), hex(&number.to_string()), "\n".to_owned()])
        .collect();
    let workplace = with_clients(&format!("version: 1\nclients:\n  acme:\n    secrets:\n{list}"));
    workplace.run(&["clients", "rotate", "acme"]).exits(0);
    let before = workplace.read("policies/clients.yaml");
    let run = workplace.run(&["clients", "rotate", "acme"]).exits(1);
    let run = run.says(&["client `acme` has more than 16 secrets", "remove those that have expired"]);
    assert_eq!(run.stdout, "", "no secret that nobody will take");
    assert_eq!(workplace.read("policies/clients.yaml"), before);
}

#[test]
fn rotate_adds_the_first_secret() {
    rotated("version: 1\nclients:\n  acme:\n    ttl: 15m\n");
    rotated(
        "version: 1\nclients:\n  acme:\n    grants:\n      orders:\n        roles: [agent]\n    # end\n  other: {}\n",
    );
    rotated("version: 1\nclients:\n  acme:\n    ttl: 15m\n\n# what must hold\ntests: []\n");
}

/// What cannot be done is said as it is.
#[test]
fn rotate_says_what_it_cannot_change() {
    for (name, client, says) in [
        ("a list in brackets", "secrets: [{ sha256: ONE }]", "`secrets`"),
        ("an empty list", "secrets: []", "`secrets`"),
    ] {
        let workplace = with_clients(
            &format!("version: 1\nclients:\n  acme:\n    {client}\n").replace("ONE", &hex("one")),
        );
        let run = refused(&workplace, &["clients", "rotate", "acme"], &["policies/clients.yaml", says]);
        assert!(!run.stderr.contains("is not defined"), "{name}: {run:?}");
    }
    let workplace = with_clients("version: 1\nclients:\n  acme: { ttl: 15m }\n");
    refused(&workplace, &["clients", "rotate", "acme"], &["policies/clients.yaml", "acme"]);
}

/// A client of which nothing is written yet is defined all the same, and an empty `secrets:` holds no braces.
#[test]
fn rotate_takes_a_client_that_is_empty() {
    let workplace = with_clients("version: 1\nclients:\n  acme:\n  other: {}\n");
    let run = workplace.run(&["clients", "rotate", "acme"]);
    assert!(!run.stderr.contains("is not defined in any file"), "{run:?}");
}

#[test]
fn rotate_takes_an_empty_list_of_secrets() {
    let workplace = with_clients("version: 1\nclients:\n  acme:\n    secrets:\n    ttl: 15m\n");
    let run = workplace.run(&["clients", "rotate", "acme"]);
    assert!(!run.stderr.contains("written in braces"), "{run:?}");
}

#[test]
fn rotate_refuses_a_client_that_is_not_there() {
    let workplace = with_clients("version: 1\nclients:\n  acme: {}\n");
    refused(&workplace, &["clients", "rotate", "acmee"], &["`acmee` is not defined"]);
}

#[test]
fn rotate_finds_the_client_in_whichever_file() {
    let workplace = with_clients("version: 1\nclients:\n  other: {}\n");
    workplace.write("policies/team/acme.yaml", "version: 1\nclients:\n  acme:\n    ttl: 15m\n");
    let run = workplace.run(&["clients", "rotate", "acme"]).exits(0).says(&["policies/team/acme.yaml"]);
    assert!(is_let_in(&workplace, "acme", &secret_of(&run), 0));
    assert_eq!(workplace.read("policies/clients.yaml"), "version: 1\nclients:\n  other: {}\n");
    assert!(Path::new(&workplace.path("policies/team/acme.yaml")).is_file());
}

/// The command for a secret that leaked: a later expiry of an old one makes way, a sooner one stays.
#[test]
fn rotate_cuts_a_later_expiry() {
    for text in [
        "version: 1\nclients:\n  acme:\n    secrets:\n      - sha256: ONE\n        expires: 2099-01-01T00:00:00Z # far\n",
        "version: 1\nclients:\n  acme:\n    secrets:\n      - { expires: 2099-01-01T00:00:00Z, sha256: ONE }\n",
    ] {
        let workplace = with_clients(&text.replace("ONE", &hex("one")));
        workplace.run(&["clients", "rotate", "acme", "--keep-old", "0s"]).exits(0);
        let after = workplace.read("policies/clients.yaml");
        assert!(!after.contains("2099"), "{after}");
        assert!(!is_let_in(&workplace, "acme", "one", 1), "{after}");
    }
}
