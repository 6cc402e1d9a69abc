//! `jeton clients revoke`, `jeton token revoke` and `jeton clients add --public-key`: what they write, and
//! that the rest of the files stays as it is.
use std::fs;

use jeton_jose::{ForeignKey, ForeignKeys};
use jeton_oauth::{
    ApiName,
    clock::{Clock, SystemClock},
};
use jeton_policy::{
    DemoSecrets, PolicySet,
    clients::{ClientState, IntrospectedApis},
};
use jiff::{SignedDuration, Timestamp};

use crate::{
    binary::{Run, Workplace},
    policy_text::compile_folder,
    support::key_fixture,
};

const LATE: &str = "2099-01-01T00:00:00Z";

fn with_policies(text: &str) -> Workplace {
    let workplace = Workplace::new();
    workplace.write("policies/clients.yaml", text);
    workplace
}

#[track_caller]
fn policies(workplace: &Workplace) -> PolicySet {
    compile_folder(&workplace.path("policies"), DemoSecrets::Refused)
        .unwrap_or_else(|findings| panic!("{findings}"))
}

#[track_caller]
fn state(workplace: &Workplace) -> (ClientState, Option<i64>) {
    let policies = policies(workplace);
    let client = policies.clients().find("acme").unwrap();
    (client.state, client.revoked_before)
}

fn now() -> i64 {
    SystemClock.now().as_second()
}

fn at(seconds: i64) -> String {
    Timestamp::from_second(seconds).unwrap().to_string()
}

/// Runs what must fail, and holds that no file changed.
#[track_caller]
fn refused(workplace: &Workplace, arguments: &[&str], says: &[&str]) {
    let files = || {
        let files = fs::read_dir(workplace.path("policies")).unwrap().map(|entry| entry.unwrap().path());
        let mut files: Vec<_> = files.map(|path| (fs::read(&path).unwrap(), path)).collect();
        files.sort();
        files
    };
    let before = files();
    let run = workplace.run(arguments).exits(1).says(says);
    assert_eq!(run.stdout, "", "{run:?}");
    assert_eq!(files(), before, "{arguments:?}");
}

/// The lines that an edit took away and added.
fn changed(before: &str, after: &str) -> (Vec<String>, Vec<String>) {
    let only = |of: &str, other: &str| {
        let lines = of.lines().filter(|line| !other.lines().any(|one| one == *line));
        lines.map(str::to_owned).collect()
    };
    (only(before, after), only(after, before))
}

#[test]
fn a_revoked_client_is_disabled_and_its_tokens_end() {
    for (name, text) in [
        (
            "a block",
            "version: 1\nclients:\n  acme: # the first\n    ttl: 15m # short\n    # no claims\n\n  other:\n    ttl: 15m\n",
        ),
        (
            "four spaces",
            "version: 1\nclients:\n    acme:\n        claims:\n            tenant: acme\n# the end",
        ),
        ("nothing", "version: 1\nclients:\n  acme:   # nothing\n  other:\n"),
        ("braces", "version: 1\nclients:\n  acme: { ttl: 15m, claims: { tenant: acme } } # x\n"),
        ("braces that end with a comma", "version: 1\nclients:\n  acme: { ttl: 15m, }\n"),
        ("braces over lines", "version: 1\nclients:\n  acme: {\n      ttl: 15m\n    }\n"),
        ("all in braces", "version: 1\nclients: { acme: { claims: { a: [b] } }, other: {} }\n"),
        ("empty braces", "version: 1\nclients:\n  acme: {}\n"),
        (
            "text over lines",
            "version: 1\nclients:\n  acme:\n    description: |\n      a\n\n      b\ntests: []\n",
        ),
        ("enabled", "version: 1\nclients:\n  acme:\n    enabled: true # for now\n    ttl: 15m\n"),
        ("disabled", "version: 1\nclients:\n  acme:\n    enabled: false\n"),
        (
            "revoked before",
            "version: 1\nclients:\n  acme:\n    revoked_before: \"2026-01-01T00:00:00Z\" # old\n",
        ),
    ] {
        let workplace = with_policies(text);
        let earliest = now();
        let run = workplace.run(&["clients", "revoke", "acme"]).exits(0);
        let latest = now() + 1;
        let after = workplace.read("policies/clients.yaml");
        let (state, before) = state(&workplace);
        assert_eq!(state, ClientState::Disabled, "{name}: {after}");
        let before = before.unwrap();
        assert!(
            (earliest..=latest).contains(&before),
            "{name}: {before}, not {earliest} to {latest}: {after}"
        );
        assert_eq!(run.stdout, "", "{name}");
        let says = format!(
            "policies/clients.yaml: client `acme` is disabled, and its tokens issued before {}",
            at(before)
        );
        assert!(run.stderr.contains(&says), "{name}: {run:?}");
        for comment in text.split('#').skip(1).filter_map(|rest| rest.lines().next()) {
            assert!(after.contains(comment), "{name}: {after}");
        }
        let (gone, _) = changed(text, &after);
        assert!(gone.len() <= 1, "{name}: {gone:?}");
    }
}

#[test]
fn revoking_again_keeps_what_covers_now_and_else_lies_after_the_former_minute() {
    let revoke = |former: i64| {
        let workplace =
            with_policies(&format!("version: 1\nclients:\n  acme:\n    revoked_before: {}\n", at(former)));
        let run = workplace.run(&["clients", "revoke", "acme"]).exits(0);
        (state(&workplace).1.unwrap(), run)
    };
    // ahead, and so it covers now
    let ahead = now() + 3600;
    let (kept, run) = revoke(ahead);
    assert_eq!(kept, ahead);
    assert!(run.stderr.contains(&format!("the client gets no token before {}", at(ahead))), "{run:?}");
    // just passed: the bit of its whole minute is taken
    let former = now() - 2;
    let (moved, run) = revoke(former);
    let minute = former + (60 - former.rem_euclid(60)) % 60;
    assert!(
        moved > minute && moved >= now() && moved <= (minute + 1).max(now() + 1),
        "{former}, {moved}: {run:?}"
    );
    // long ago
    let (moved, _) = revoke(now() - 3600);
    assert!((now() - 20..=now() + 1).contains(&moved));
}

/// Its tokens do not name it, so nothing is said that would not be so.
#[test]
fn the_tokens_of_an_anonymous_client_are_not_said_to_end() {
    let workplace = with_policies("version: 1\nclients:\n  acme: { anonymous: true }\n");
    let stay = "the tokens that it has stay valid until they expire";
    let run = workplace.run(&["clients", "revoke", "acme"]).exits(0).says(&["is disabled\n", stay]);
    assert!(!run.stderr.contains("are revoked"), "{run:?}");
    let run = workplace.run(&["clients", "revoke", "acme", "--before", LATE]).exits(0).says(&[stay]);
    assert!(!run.stderr.contains("are revoked"), "{run:?}");
}

#[test]
fn before_a_time_sets_that_alone() {
    let workplace = with_policies("version: 1\nclients:\n  acme:\n    ttl: 15m\n");
    let revoke = |time: &str| workplace.run(&["clients", "revoke", "acme", "--before", time]);
    let run = revoke("2026-01-01T00:00:30.25Z").exits(0);
    assert_eq!(state(&workplace), (ClientState::Enabled, Some(1_767_225_631)));
    assert!(!run.stderr.contains("ahead"), "{run:?}");
    assert!(run.stderr.contains("issued before 2026-01-01T00:00:31Z are revoked"), "{run:?}");
    // the same again changes nothing
    let text = workplace.read("policies/clients.yaml");
    revoke("2026-01-01T00:00:31Z").exits(0);
    assert_eq!(workplace.read("policies/clients.yaml"), text);
    let refused = |time: &str, says: &[&str]| {
        refused(&workplace, &["clients", "revoke", "acme", "--before", time], says);
    };
    refused("2026-01-01T00:00:30Z", &["2026-01-01T00:00:31Z", "valid again", "edit the file"]);
    refused("2026-01-01T00:00:31.5Z", &["the earliest time that works is 2026-01-01T00:01:01Z"]);
    refused("2026-01-01T00:01:00Z", &["the earliest time that works is 2026-01-01T00:01:01Z"]);
    revoke("2026-01-01T00:01:01Z").exits(0);
    let run = revoke(LATE).exits(0);
    assert!(run.stderr.contains(&format!("the client gets no token before {LATE}")), "{run:?}");
    assert_eq!(state(&workplace).0, ClientState::Enabled);
    revoke("tomorrow").exits(2);
}

#[test]
fn what_cannot_be_revoked_is_refused() {
    let workplace = with_policies("version: 1\nclients:\n  acme:\n    revoked_before: soon\n");
    refused(&workplace, &["clients", "revoke", "nobody"], &["client `nobody` is not defined in any file"]);
    refused(&workplace, &["clients", "revoke", "acme"], &["`revoked_before` is not understood"]);
    workplace.write("policies/broken.yaml", "version: 1\n: {\n");
    refused(
        &workplace,
        &["clients", "revoke", "nobody"],
        &["policies/broken.yaml cannot be read as a policy file"],
    );
    let workplace = with_policies("version: 1\nclients:\n  acme:\n    enabled: [false]\n");
    refused(&workplace, &["clients", "revoke", "acme"], &["`enabled` is not understood"]);
    let workplace = with_policies("version: 1\nclients:\n  acme:\n    tll: 15m\n");
    refused(&workplace, &["clients", "revoke", "acme"], &["nothing was written", "unknown key `tll`"]);
}

#[track_caller]
fn revoke_token(workplace: &Workplace, jti: &str, until: &str) -> Run {
    workplace.run(&["token", "revoke", jti, "--until", until]).exits(0)
}

#[test]
fn a_token_is_added_to_the_list_that_is_there() {
    for (name, text) in [
        ("a block", "version: 1\nrevoked_tokens: # all\n  - old # the first\n  # more\n\nclients: {}\n"),
        (
            "at the margin",
            "version: 1\nrevoked_tokens:\n- old\n- { jti: older, until: 2098-01-01T00:00:00Z }\nclients: {}",
        ),
        (
            "over lines",
            "version: 1\nrevoked_tokens:\n    - jti: old\n      until: 2098-01-01T00:00:00Z # late\n",
        ),
        ("no line break", "version: 1\nrevoked_tokens:\n  - old"),
        ("null", "version: 1\nrevoked_tokens: # none\nclients: {}\n"),
        ("an empty list", "version: 1\nrevoked_tokens: [] # none\n"),
    ] {
        let workplace = with_policies(text);
        let run = revoke_token(&workplace, "01jd-new", LATE);
        let after = workplace.read("policies/clients.yaml");
        assert!(policies(&workplace).has_revoked("01jd-new"), "{name}: {after}");
        assert_eq!(policies(&workplace).revoked_count(), text.matches("old").count() + 1, "{name}: {after}");
        let entry = format!("- {{ jti: \"01jd-new\", until: {LATE} }}");
        assert!(after.contains(&entry), "{name}: {after}");
        assert_eq!(run.stdout, "");
        let says = format!("policies/clients.yaml: token `01jd-new` is revoked until {LATE}");
        assert!(run.stderr.contains(&says), "{name}: {run:?}");
        for comment in text.split('#').skip(1).filter_map(|rest| rest.lines().next()) {
            assert!(after.contains(comment), "{name}: {after}");
        }
    }
}

#[test]
fn without_a_list_a_file_is_made_like_its_neighbours() {
    let workplace = with_policies("# yaml-language-server: $schema=policy.schema.json\nversion: 1\n");
    revoke_token(&workplace, "a:b/c", "2099-01-01T00:00:00.5+00:00");
    assert_eq!(
        workplace.read("policies/revoked.yaml"),
        "# yaml-language-server: $schema=policy.schema.json\nversion: 1\n\nrevoked_tokens:\n  \
         - { jti: a:b/c, until: 2099-01-01T00:00:01Z }\n"
    );
    // further ones go there
    revoke_token(&workplace, "second", LATE);
    assert!(
        workplace
            .read("policies/revoked.yaml")
            .ends_with("  - { jti: second, until: 2099-01-01T00:00:00Z }\n")
    );
    let run =
        workplace.run(&["token", "revoke", "third", "--until", LATE, "--file", "clients.yaml"]).exits(0);
    assert!(run.stderr.contains("policies/clients.yaml: token `third`"), "{run:?}");
    assert!(workplace.read("policies/clients.yaml").contains("- { jti: third,"));
    // of several files the first
    let run = revoke_token(&workplace, "fourth", LATE);
    assert!(run.stderr.contains("policies/clients.yaml: token `fourth`"), "{run:?}");
    assert_eq!(policies(&workplace).revoked_count(), 4);
}

#[test]
fn what_has_expired_is_pruned_in_every_file() {
    let workplace = with_policies(
        "version: 1\nrevoked_tokens:\n  # kept\n  - for-ever\n  - { jti: gone-1, until: 2026-01-01T00:00:00Z } # gone\n  - jti: gone-2\n    until: 2026-01-01T00:00:00Z\n  - { jti: live, until: 2098-01-01T00:00:00Z }\n",
    );
    workplace.write(
        "policies/b.yaml",
        "version: 1\nrevoked_tokens:\n- { jti: gone-3, until: 2026-01-01T00:00:00Z }\nclients: {} # kept\n",
    );
    workplace.write(
        "policies/c.yaml",
        "version: 1\nrevoked_tokens: [{ jti: stays, until: 2026-01-01T00:00:00Z }]\n",
    );
    let run = workplace.run(&["token", "revoke", "new", "--until", LATE, "--file", "clients.yaml"]).exits(0);
    assert_eq!(
        workplace.read("policies/clients.yaml"),
        format!(
            "version: 1\nrevoked_tokens:\n  # kept\n  - for-ever\n  - {{ jti: live, until: 2098-01-01T00:00:00Z }}\n  - {{ jti: new, until: {LATE} }}\n"
        )
    );
    assert_eq!(workplace.read("policies/b.yaml"), "version: 1\nrevoked_tokens:\nclients: {} # kept\n");
    for token in ["gone-1", "gone-2", "gone-3"] {
        assert!(run.stderr.contains(&format!("removed token `{token}`, which has expired")), "{run:?}");
    }
    assert!(!run.stderr.contains("stays") && !run.stderr.contains("live"), "{run:?}");
    assert_eq!(policies(&workplace).revoked_count(), 4);
}

#[test]
fn a_token_that_is_listed_keeps_the_later_end() {
    for (listed, until, expected) in [
        ("2098-01-01T00:00:00Z", LATE, LATE),
        (LATE, "2098-01-01T00:00:00Z", LATE),
        ("2026-01-01T00:00:00Z", LATE, LATE),
    ] {
        let workplace = with_policies("version: 1\n");
        workplace.write(
            "policies/b.yaml",
            &format!("version: 1\nrevoked_tokens:\n  - {{ jti: a, until: {listed} }}\n"),
        );
        let run =
            workplace.run(&["token", "revoke", "a", "--until", until, "--file", "clients.yaml"]).exits(0);
        assert!(run.stderr.contains("token `a` was revoked already"), "{run:?}");
        let after = workplace.read("policies/b.yaml");
        assert_eq!(after, format!("version: 1\nrevoked_tokens:\n  - {{ jti: a, until: {expected} }}\n"));
        assert_eq!(workplace.read("policies/clients.yaml"), "version: 1\n");
    }
    let workplace = with_policies("version: 1\nrevoked_tokens: [a]\n");
    revoke_token(&workplace, "a", LATE);
    assert_eq!(workplace.read("policies/clients.yaml"), "version: 1\nrevoked_tokens: [a]\n");
}

#[test]
fn what_cannot_be_listed_is_refused() {
    let workplace = with_policies("version: 1\nrevoked_tokens: [a]\n");
    let past = at(now() - 1);
    refused(&workplace, &["token", "revoke", "b", "--until", &past], &["has passed"]);
    refused(
        &workplace,
        &["token", "revoke", "b", "--until", LATE],
        &["`revoked_tokens` is written in braces"],
    );
    workplace.run(&["token", "revoke", "a b", "--until", LATE]).exits(2);
    workplace.run(&["token", "revoke", "b"]).exits(2);
    let workplace = with_policies("version: 1\nrevoked_tokens:\n  - a\n  - a\n");
    refused(
        &workplace,
        &["token", "revoke", "b", "--until", LATE],
        &["nothing was written", "revoked twice"],
    );
}

fn keys_of(workplace: &Workplace) -> Vec<ForeignKey> {
    policies(workplace).clients().find("new-client").unwrap().public_keys.clone()
}

#[test]
fn a_client_is_added_with_public_keys_and_no_secret() {
    for name in ["rsa.pem", "rsa.jwk", "p256.pem", "p256.jwk", "ed25519.pem", "ed25519.jwk", "all.jwks"] {
        let bytes = fs::read(key_fixture("public").join(name)).unwrap();
        let expected = ForeignKeys::from_file(&bytes).unwrap().taken;
        let workplace = with_policies("version: 1\nclients:\n  old:\n    ttl: 15m\n");
        fs::write(workplace.path(name), &bytes).unwrap();
        let run = workplace.run(&["clients", "add", "new-client", "--public-key", name]).exits(0);
        assert_eq!(run.stdout, "", "{name}");
        for key in &expected {
            assert!(run.stderr.contains(&format!("public key {}\n", key.thumbprint())), "{name}: {run:?}");
        }
        assert_eq!(keys_of(&workplace), expected, "{name}");
        let text = workplace.read("policies/clients.yaml");
        assert_eq!(text.matches("\n      - jwk: { kty: ").count(), expected.len(), "{name}: {text}");
        assert!(!text.contains("secrets"), "{text}");
    }
}

#[test]
fn keys_and_a_secret_stand_beside_each_other() {
    let workplace = with_policies("version: 1\n");
    for name in ["p256.pem", "ed25519.jwk"] {
        fs::copy(key_fixture("public").join(name), workplace.path(name)).unwrap();
    }
    let keys = ["--public-key", "p256.pem", "--public-key", "ed25519.jwk", "--secret"];
    let flags = ["--refresh", "--token-exchange", "--introspect", "--status-list"];
    let run = workplace.run(&[&["clients", "add", "new-client"], &keys[..], &flags[..]].concat()).exits(0);
    assert!(run.stdout.starts_with("jeton_"), "{run:?}");
    let policies = policies(&workplace);
    let client = policies.clients().find("new-client").unwrap();
    assert_eq!((client.secrets.len(), client.public_keys.len()), (1, 2));
    // in quotes, for it would be a truth value
    assert_eq!(client.public_keys[1].kid(), Some("true"));
    let abilities = &client.abilities;
    assert!(abilities.refresh && abilities.token_exchange);
    assert_eq!(abilities.introspect, IntrospectedApis::All);
    assert_eq!(abilities.status_list, Some(true));
    let workplace = with_policies("version: 1\n");
    workplace.run(&["clients", "add", "new-client"]).exits(0);
    let abilities = self::policies(&workplace).clients().find("new-client").unwrap().abilities.clone();
    assert!(!abilities.refresh && !abilities.token_exchange);
    assert_eq!(abilities.introspect, IntrospectedApis::None);
    let apis = "version: 1\napis:\n  orders: { audience: 'https://o.example.com' }\n  bills: { audience: 'https://b.example.com' }\n";
    let workplace = with_policies(apis);
    workplace.run(&["clients", "add", "asker", "--introspect=orders", "--introspect=bills"]).exits(0);
    let asker = self::policies(&workplace).clients().find("asker").unwrap().abilities.clone();
    let apis = ["bills", "orders"].map(|api| ApiName::parse(api).unwrap());
    assert_eq!(asker.introspect, IntrospectedApis::Only(apis.into()));
    let run = workplace.run(&["clients", "add", "other", "--introspect=order"]).exits(1);
    assert!(run.stderr.contains("unknown-api") && run.stderr.contains("orders"), "{run:?}");
    assert_eq!(abilities.status_list, None);
}

/// Of a key set only what others may know is written.
#[test]
fn other_members_are_left_out() {
    let workplace = with_policies("version: 1\n");
    let jwk = fs::read_to_string(key_fixture("public").join("p256.jwk")).unwrap();
    let more = jwk.replacen(
        '{',
        "{ \"x5u\": \"https://x.example.com\", \"key_ops\": [\"verify\"], \"note\": \"mine\",",
        1,
    );
    workplace.write("key.jwk", &more);
    workplace.run(&["clients", "add", "new-client", "--public-key", "key.jwk"]).exits(0);
    let text = workplace.read("policies/clients.yaml");
    let line = text.lines().find(|line| line.contains("jwk")).unwrap();
    assert!(line.starts_with("      - jwk: { kty: EC, crv: P-256, x: "), "{line}");
    assert!(line.ends_with(", alg: ES256 }"), "{line}");
    assert!(!text.contains("note") && !text.contains("x5u") && !text.contains("key_ops"), "{text}");
}

#[test]
fn what_is_no_public_key_is_not_added() {
    let workplace = with_policies("version: 1\nclients:\n");
    for name in ["test-only-client-rsa.pem", "test-only-client-ed25519.jwk"] {
        fs::copy(key_fixture(name), workplace.path(name)).unwrap();
        let arguments = ["clients", "add", "new-client", "--public-key", name];
        refused(&workplace, &arguments, &[name, "it is a private key", "leaked"]);
    }
    fs::copy(key_fixture("public").join("p256.pem"), workplace.path("a.pem")).unwrap();
    workplace.write("long.pem", &"x".repeat(64 * 1024 + 1));
    for (arguments, says) in [
        (&["--public-key", "nowhere.pem"][..], "nowhere.pem cannot be read"),
        (&["--public-key", "long.pem"], "holds more than 64 KiB"),
        (&["--public-key", "jeton"], "jeton cannot be read"),
        (&["--public-key", "a.pem", "--public-key", "a.pem"], "twice"),
    ] {
        refused(&workplace, &[&["clients", "add", "new-client"], arguments].concat(), &[says]);
    }
}

#[test]
fn what_is_revoked_or_given_has_its_line_in_a_difference() {
    let jwk = |name: &str| {
        let text = fs::read_to_string(key_fixture("public").join(name)).unwrap();
        format!("{{ jwk: {} }}", text.replace('\n', ""))
    };
    let client = |rest: &str| format!("version: 1\nclients:\n  acme: {{ ttl: 15m, {rest} }}\n");
    let listed = |rest: &str| format!("version: 1\nrevoked_tokens: [{rest}]\n");
    let past = at(now() - SignedDuration::from_hours(1).as_secs());
    for (old, new, expected) in [
        (
            client(""),
            client(&format!("public_keys: [{}]", jwk("p256.jwk"))),
            vec!["+ acme gains a public key (thumbprint "],
        ),
        (
            client(&format!("public_keys: [{}]", jwk("p256.jwk"))),
            client(&format!("public_keys: [{}]", jwk("ed25519.jwk"))),
            vec![
                "+ acme gains a public key (thumbprint CcUbMYPA...)",
                "- acme loses a public key (thumbprint ",
            ],
        ),
        (
            client(&format!("public_keys: [{}]", jwk("ed25519.jwk"))),
            client(&format!("public_keys: [{}]", jwk("ed25519.jwk").replace("\"true\"", "other"))),
            vec!["~ acme changes the `kid` or `alg` of a public key (thumbprint CcUbMYPA...)"],
        ),
        (
            client(""),
            client("revoked_before: 2026-01-01T00:00:00Z"),
            vec!["- acme loses its tokens issued before 2026-01-01T00:00:00Z: they are revoked"],
        ),
        (
            client("revoked_before: 2026-01-01T00:00:00Z"),
            client("revoked_before: 2026-02-01T00:00:00Z"),
            vec![
                "- acme loses its tokens issued before 2026-02-01T00:00:00Z: they are revoked, so far before 2026-01-01T00:00:00Z",
            ],
        ),
        (
            client("revoked_before: 2026-02-01T00:00:00Z"),
            client("revoked_before: 2026-01-01T00:00:00Z"),
            vec![
                "+ acme gains its tokens issued from 2026-01-01T00:00:00Z to 2026-02-01T00:00:00Z: they are no longer revoked",
            ],
        ),
        (
            client("revoked_before: 2026-01-01T00:00:00Z"),
            client(""),
            vec!["+ acme gains its tokens issued before 2026-01-01T00:00:00Z: they are no longer revoked"],
        ),
        (
            client("anonymous: true"),
            client("anonymous: true, revoked_before: 2026-01-01T00:00:00Z"),
            vec!["~ acme changes when it gets tokens again: `revoked_before`"],
        ),
        (
            client("introspect: true, strict_assertions: false"),
            client("token_exchange: true, refresh: true, strict_assertions: true"),
            vec![
                "+ acme gains refresh tokens",
                "+ acme gains token exchange",
                "- acme loses assertions that name the token endpoint or tell no type",
                "- acme loses introspection of the tokens of all APIs",
            ],
        ),
        (
            client(""),
            client("status_list: false"),
            vec!["~ acme changes status list, from the default to off"],
        ),
        (
            listed("a"),
            listed(&format!("a, {{ jti: b, until: {LATE} }}")),
            vec!["- token b loses all that it carries: it is revoked"],
        ),
        (
            listed(&format!("a, {{ jti: b, until: {LATE} }}")),
            listed(&format!("{{ jti: b, until: {LATE} }}")),
            vec!["+ token a gains all that it carries: it is no longer revoked"],
        ),
        (listed(&format!("a, {{ jti: b, until: {past} }}")), listed("a"), vec![]),
        // `a` ends what was exchanged for it too, so nobody gains
        (listed("a.b"), listed("a"), vec!["- token a loses all that it carries: it is revoked"]),
        (listed("a, a.b"), listed("a"), vec![]),
        (listed("a"), listed("a.b"), vec!["+ token a gains all that it carries: it is no longer revoked"]),
    ] {
        differs(&old, &new, &expected);
    }
}

/// These lines must tell of the difference, and no others.
#[track_caller]
fn differs(old: &str, new: &str, expected: &[&str]) {
    let workplace = Workplace::empty();
    workplace.write("old/x.yaml", old).write("new/x.yaml", new);
    let run = workplace.run(&["policies", "diff", "old", "new"]);
    let found: Vec<_> = run
        .stdout
        .lines()
        .filter_map(|line| {
            let line = line.trim();
            line.starts_with(['+', '-', '~']).then_some(line)
        })
        .collect();
    assert_eq!(found.len(), expected.len(), "{new}: {run:?}");
    for (found, expected) in found.iter().zip(expected) {
        assert!(found.starts_with(expected), "{found}\nis not\n{expected}\n{run:?}");
    }
    let gains = expected.iter().any(|line| line.starts_with('+'));
    assert_eq!(run.code, Some(if gains { 3 } else { 0 }), "{run:?}");
}

#[test]
fn what_may_be_introspected_has_its_line_in_a_difference() {
    let apis =
        "{ a: { audience: 'https://a.example.com' }, b: { audience: 'https://b.example.com' }, jeton: {} }";
    let asker = |rest: &str| format!("version: 1\napis: {apis}\nclients:\n  acme: {{ ttl: 15m, {rest} }}\n");
    for (old, new, expected) in [
        (
            asker("introspect: [a, b]"),
            asker("introspect: [b, jeton]"),
            vec![
                "+ acme gains introspection of the tokens of `jeton`",
                "- acme loses introspection of the tokens of `a`",
            ],
        ),
        (
            asker("introspect: true"),
            asker("introspect: [b, a]"),
            vec!["- acme loses introspection of the tokens of all APIs but `a`, `b`"],
        ),
        (
            asker("introspect: [a]"),
            asker("introspect: true"),
            vec!["+ acme gains introspection of the tokens of all APIs but `a`"],
        ),
        (asker(""), asker("introspect: [a]"), vec!["+ acme gains introspection of the tokens of `a`"]),
        (asker("introspect: [a, b]"), asker("introspect: [b, a]"), vec![]),
        (asker(""), asker("introspect: false"), vec![]),
    ] {
        differs(&old, &new, &expected);
    }
}
