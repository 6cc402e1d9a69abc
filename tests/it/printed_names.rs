//! Names, claims and whatever else comes from outside, as commands print and report them.
use std::{
    fs::{self, Permissions},
    os::unix::fs::{PermissionsExt, symlink},
};

use serde_json::{Value, json};

use crate::{
    binary::{Run, Workplace},
    policies_diff_git::git,
    support::{forge::base64url, install_policies},
};

/// A name that moves what is shown, writes to the terminal, and starts lines that a CI system takes for orders.
pub(crate) const HOSTILE: &str = "a\n::error file=x,line=1::pwned\r\n##[error]x\u{1b}]0;t\u{7}\u{1b}[31m\u{9b}31m\u{85}\
                       \u{202e}\u{2066}\u{200f}\u{61c}\u{200b}\u{feff}\u{2028}##vso[task.complete result=Failed]";

/// What a policy file may say in it, as YAML in double quotes writes it.
pub(crate) const HOSTILE_YAML: &str = r"x\n::error::y\e[31m\x9b\u202e\u2028##[error]z";

pub(crate) fn is_unseen(c: char) -> bool {
    matches!(c,
        '\0'..='\u{1f}' | '\u{7f}'..='\u{9f}' | '\u{61c}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
        | '\u{2060}'..='\u{2069}' | '\u{feff}')
}

/// Holds that a text does nothing but to be read: what is not seen is only where our own lines end.
#[track_caller]
pub(crate) fn assert_harmless(text: &str, of: &str) {
    let found: Vec<_> = text.chars().filter(|c| is_unseen(*c) && !matches!(c, '\n' | '\t')).collect();
    assert!(found.is_empty(), "{of}: {found:?} in {text}");
    for line in text.lines() {
        let is_order = line.trim_start().strip_prefix("::").is_some_and(|rest| rest.contains("::"))
            || line.contains("##[")
            || line.contains("##vso[");
        assert!(!is_order, "{of}: {line}");
    }
}

#[track_caller]
fn harmless(workplace: &Workplace, arguments: &[&str]) -> Run {
    let run = workplace.run(arguments);
    let of = format!("jeton {arguments:?}");
    assert_harmless(&run.stdout, &of);
    assert_harmless(&run.stderr, &of);
    assert!(!(run.stdout.is_empty() && run.stderr.is_empty()), "{of} says nothing");
    run
}

/// Policies that load, with clients and values that are others' words, in a folder of such a name.
fn sound(workplace: &Workplace, dir: &str) {
    let text = format!(
        r###"version: 1
scopes: {{ "orders:read": "{HOSTILE_YAML}" }}
apis:
  orders:
    audience: https://orders.example.com
    rules:
      read:
        routes: ["GET /orders/{{order}}"]
        require: {{ scope: "orders:read", claims: {{ tenant: {{ in: ["{HOSTILE_YAML}", acme] }} }} }}
clients:
  "::error::acme": {{ description: "{HOSTILE_YAML}", grants: {{ orders: {{ scopes: ["orders:read"] }} }}, claims: {{ tenant: "{HOSTILE_YAML}" }} }}
  "##[error]acme": {{ grants: {{ orders: {{ scopes: ["orders:read"] }} }} }}
  "::warning::without": {{}}
  "##vso[task.complete]without": {{}}
tests:
  - as: {{ scopes: ["orders:read"], claims: {{ tenant: "{HOSTILE_YAML}" }} }}
    api: orders
    allow: ["GET /orders/%E2%80%AE"]
    deny: ["GET /elsewhere"]
"###
    );
    workplace.write(&format!("{dir}/{HOSTILE}.yaml"), &text);
}

/// Policies that do not load: each kind of fault has its own words.
fn broken(workplace: &Workplace, dir: &str) {
    let in_dir = |name: &str| format!("{dir}/{HOSTILE}/{name}");
    workplace
        .write(&in_dir("syntax.yaml"), &format!("version: 1\nscopes: {{ \"{HOSTILE_YAML}\"\n##[error]x\n"))
        .write(&in_dir("b.yaml"), &format!("version: 1\n\"{HOSTILE_YAML}\": 1 # ##[error]x \u{202e} ##vso[a]b\n"))
        .write(
            &in_dir("c.yaml"),
            &format!(
                "version: 1\nclients:\n  \"{HOSTILE_YAML}\": {{ public_keys: [{{ file: \"{HOSTILE_YAML}.pem\" }}] }}\n"
            ),
        )
        .write(&in_dir("passed-over.yml"), "x");
    for (target, name) in [(HOSTILE, "dangling.yaml"), ("/etc/passwd", "leaves.yaml"), (".", "folder")] {
        symlink(target, workplace.path(&in_dir(name))).unwrap();
    }
    fs::write(workplace.path(&in_dir("latin.yaml")), b"\xe9").unwrap();
}

#[test]
fn findings_print_no_name_raw() {
    let workplace = Workplace::empty();
    broken(&workplace, HOSTILE);
    broken(&workplace, "policies");
    sound(&workplace, "sound");
    let hostile = HOSTILE;
    for arguments in [
        &["policies", "check"][..],
        &["policies", "check", hostile],
        &["policies", "check", "--format", "json", hostile],
        &["policies", "test", hostile],
        &["policies", "test", hostile, "--junit", "report.xml"],
        &["policies", "matrix", hostile],
        &["policies", "explain", "--dir", hostile, "--api", "orders", "GET", "/"],
        &["policies", "diff", hostile, "sound"],
        &["policies", "diff", "sound", hostile],
        &["policies", "replay", "/dev/null", "--against", hostile],
        &["clients", "add", "new"],
        &["serve"],
    ] {
        harmless(&workplace, arguments).exits(1);
    }
    assert_harmless(&workplace.read("report.xml"), "report.xml");
    // what is no folder at all
    let nowhere = format!("nowhere/{HOSTILE}");
    harmless(&workplace, &["policies", "check", &nowhere]).exits(1);
    symlink(HOSTILE, workplace.path("link")).unwrap();
    fs::remove_dir_all(workplace.path(HOSTILE)).unwrap();
    harmless(&workplace, &["policies", "check", "link"]).exits(1);
}

/// Programs get the name as it is.
#[test]
fn json_for_programs_holds_the_name_itself() {
    let workplace = Workplace::empty();
    broken(&workplace, "policies");
    let run = harmless(&workplace, &["policies", "check", "--format", "json"]).exits(1);
    let findings: Vec<Value> = serde_json::from_str(&run.stdout).unwrap();
    let file = format!("policies/{HOSTILE}/passed-over.yml");
    assert!(findings.iter().any(|finding| finding["file"] == file.as_str()), "{findings:#?}");
}

#[test]
fn results_print_no_name_raw() {
    let workplace = Workplace::empty();
    sound(&workplace, HOSTILE);
    workplace.write("other/a.yaml", "version: 1\nscopes: { \"orders:read\": x }\n");
    let (hostile, log) = (HOSTILE, format!("{HOSTILE}.log"));
    workplace.write(&log, &decision_line());
    for (arguments, code) in [
        (&["policies", "check", hostile][..], 0),
        (&["policies", "test", hostile], 0),
        (&["policies", "test", hostile, "--junit", "report.xml"], 0),
        (&["policies", "matrix", hostile], 0),
        (&["policies", "matrix", hostile, "--client", "::error::acme"], 0),
        (&["policies", "matrix", hostile, "--format", "csv"], 0),
        (&["policies", "matrix", hostile, "--format", "json"], 0),
        (&["policies", "matrix", hostile, "--format", "html"], 0),
        (&["policies", "diff", "other", hostile], 3),
        (&["policies", "diff", "other", hostile, "--format", "json"], 3),
        (&["policies", "diff", "other", hostile, "--format", "markdown"], 3),
        (&["policies", "diff", hostile, "other"], 0),
        (&["policies", "replay", &log, "--against", hostile], 3),
        (&["policies", "replay", &log, "--against", hostile, "--format", "json"], 3),
    ] {
        harmless(&workplace, arguments).exits(code);
    }
    assert_harmless(&workplace.read("report.xml"), "report.xml");
    let claim = format!("tenant={HOSTILE}");
    let path = format!("/orders/{HOSTILE}");
    for format in ["text", "json"] {
        let explain = ["policies", "explain", "--dir", HOSTILE, "--format", format, "--api", "orders"];
        for more in [
            &["--as", "::error::acme", "GET", "/orders/1"][..],
            &["--scope", "orders:read", "--claim", &claim, "GET", "/orders/1"],
            &["GET", &path],
            &[hostile, "/orders/1"],
        ] {
            harmless(&workplace, &[&explain[..], more].concat());
        }
    }
}

/// A decision about this name that would come out otherwise now.
fn decision_line() -> String {
    let line = json!({
        "time": HOSTILE, "api": "orders", "method": "GET", "path": format!("/{HOSTILE}"), "allowed": true,
        "rule": HOSTILE, "reason": HOSTILE, "detail": HOSTILE,
    });
    format!("{line}\n")
}

#[test]
fn arguments_are_not_printed_raw() {
    let workplace = Workplace::sample();
    let (hostile, file) = (HOSTILE, format!("{HOSTILE}.pem"));
    workplace.write(&file, "x").write(&format!("{HOSTILE}.toml"), &format!("\"{HOSTILE_YAML}\" = 1\n"));
    let settings = format!("{HOSTILE}.toml");
    for (arguments, code) in [
        (&[hostile][..], 2),
        (&["policies", hostile], 2),
        (&["policies", "check", "--format", hostile], 2),
        (&["policies", "check", "x", hostile], 2),
        (&["clients", "add", "new", "--ttl", hostile], 2),
        (&["clients", "add", "new", "--claim", "\n::error::x\u{202e}"], 2),
        (&["token", "revoke", hostile, "--until", hostile], 2),
        (&["clients", "add", hostile], 1),
        (&["clients", "add", "new", "--public-key", &file], 1),
        (&["clients", "add", "new", "--public-key", hostile], 1),
        (&["clients", "add", "new", "--file", hostile], 1),
        (&["clients", "add", "new", "--api", hostile], 1),
        (&["clients", "rotate", hostile], 1),
        (&["clients", "revoke", hostile], 1),
        (&["keys", "retire", hostile], 1),
        (&["policies", "explain", "--api", hostile, "GET", "/"], 1),
        (&["policies", "explain", "--api", "orders", "--as", hostile, "GET", "/"], 1),
        (&["policies", "explain", "--api", "orders", "--scope", hostile, "GET", "/"], 1),
        (&["policies", "explain", "--api", "orders", "--token", hostile, "GET", "/"], 3),
        (&["policies", "matrix", "--api", hostile], 1),
        (&["policies", "matrix", "--client", hostile], 1),
        (&["policies", "test", "--junit", &format!("nowhere/{HOSTILE}")], 1),
        (&["policies", "diff", hostile, hostile], 1),
        (&["policies", "diff", "--git", hostile], 1),
        (&["policies", "replay", hostile, "--against", "policies"], 1),
        (&["gateway", "config", hostile, "--listen", "127.0.0.1:1", "--upstream", "127.0.0.1:2"], 1),
        (&["token", "inspect", hostile], 3),
        (&["token", "inspect", "e30.e30.AA", "--jwks", hostile], 3),
        (&["--config", hostile, "serve"], 1),
        (&["--config", &settings, "serve"], 1),
    ] {
        harmless(&workplace, arguments).exits(code);
    }
}

#[test]
fn settings_print_no_value_raw() {
    for settings in [
        format!("issuer = \"{}\"", toml(HOSTILE)),
        format!("[policies]\ndir = \"{}\"", toml(HOSTILE)),
        format!("[keys]\ndir = \"jeton.toml/{}\"", toml(HOSTILE)),
        format!("[server]\nlisten = \"{}\"", toml(HOSTILE)),
        format!("[log]\nformat = \"{}\"", toml(HOSTILE)),
        format!("[log]\ndecisions = \"nowhere/{}\"", toml(HOSTILE)),
        format!("[store]\npassword_file = \"{}\"", toml(HOSTILE)),
        format!(
            "[gateways.\"{}\"]\napi = \"orders\"\ntrusted_peers = [\"{}\"]",
            toml(HOSTILE),
            toml(HOSTILE)
        ),
        format!("\"{}\" = 1\n[tokens]\nttl = \"{}\"", toml(HOSTILE), toml(HOSTILE)),
        format!("a = 1 ##[error]x\nb\n{HOSTILE}"),
    ] {
        let workplace = Workplace::sample();
        workplace.write("jeton.toml", &settings);
        harmless(&workplace, &["serve"]).exits(1);
    }
    let mut workplace = Workplace::sample();
    workplace.set("JETON__POLICIES__DIR", HOSTILE).set("JETON__TOKENS__TTL", HOSTILE);
    harmless(&workplace, &["serve"]).exits(1);
}

/// As a string of TOML in double quotes.
fn toml(text: &str) -> String {
    text.chars().flat_map(|c| format!("\\U{:08X}", u32::from(c)).into_bytes()).map(char::from).collect()
}

#[test]
fn keys_print_no_name_raw() {
    let workplace = Workplace::sample();
    let [unlisted, unsound] = [HOSTILE, "b"].map(|name| format!("keys/{name}{HOSTILE}.pem"));
    let copy = |from: &str, to: &str| {
        fs::copy(from, workplace.path(to)).unwrap();
        fs::set_permissions(workplace.path(to), Permissions::from_mode(0o600)).unwrap();
    };
    copy("tests/fixtures/keys/test-only-other.pem", &unlisted);
    harmless(&workplace, &["keys", "list"]).exits(0).shows(&["unlisted"]);
    workplace.write(&unsound, &format!("-----BEGIN {HOSTILE}-----\n-----END {HOSTILE}-----\n"));
    fs::set_permissions(workplace.path(&unsound), Permissions::from_mode(0o600)).unwrap();
    let run = harmless(&workplace, &["keys", "list"]).exits(1);
    assert_eq!(run.stderr.lines().count(), 1, "{run:?}");
    harmless(&workplace, &["keys", "rotate"]).exits(1);
    fs::remove_file(workplace.path(&unsound)).unwrap();
    harmless(&workplace, &["keys", "prune"]).exits(0);
    let ring = format!(
        "keys:\n  - \"{HOSTILE_YAML}\": 1\n    kid: \"{HOSTILE_YAML}\"\n    alg: \"{HOSTILE_YAML}\"\n"
    );
    workplace.write("keys/keyring.yaml", &ring);
    harmless(&workplace, &["keys", "list"]).exits(1);
    let mut workplace = Workplace::sample();
    workplace.set("JETON__KEYS__DIR", HOSTILE).set("JETON__KEYS__GENERATE_IF_MISSING", "false");
    harmless(&workplace, &["keys", "list"]).exits(1);
    fs::create_dir(workplace.path(HOSTILE)).unwrap();
    workplace.write(&format!("{HOSTILE}/keyring.yaml"), "keys: 1\n");
    harmless(&workplace, &["keys", "list"]).exits(1);
    harmless(&workplace, &["serve"]).exits(1);
}

#[test]
fn git_prints_no_name_raw() {
    let workplace = Workplace::empty();
    sound(&workplace, &format!("repo/{HOSTILE}"));
    let dir = format!("repo/{HOSTILE}");
    let commit = |name: &str| {
        let repository = workplace.path("repo");
        git(&repository, &["add", "-A"]);
        git(&repository, &["commit", "-qm", "x"]);
        git(&repository, &["tag", name]);
    };
    git(&workplace.path("repo"), &["init", "-q"]);
    commit("good");
    workplace.write(&format!("{dir}/{HOSTILE}b.yaml"), &format!("\"{HOSTILE_YAML}\": 1\n"));
    commit("bad");
    symlink("nowhere", workplace.path(&format!("{dir}/{HOSTILE}c.yaml"))).unwrap();
    commit("linked");
    // as of a good revision, and the folder is not; as of bad ones; as of none
    for revision in ["good", "bad", "linked", "nothing", "##[error]x", "::error::x", HOSTILE] {
        harmless(&workplace, &["policies", "diff", &format!("--git={revision}"), &dir]).exits(1);
    }
    fs::remove_dir_all(workplace.path(&format!("{dir}/{HOSTILE}b.yaml"))).unwrap_err();
    for name in ["b.yaml", "c.yaml"] {
        fs::remove_file(workplace.path(&format!("{dir}/{HOSTILE}{name}"))).unwrap();
    }
    harmless(&workplace, &["policies", "diff", "--git=good", &dir]).exits(0);
    // no repository, and no folder
    harmless(&workplace, &["policies", "diff", "--git=good", &format!("repo/nowhere/{HOSTILE}")]).exits(1);
    let elsewhere = format!("{HOSTILE}/policies");
    install_policies(&workplace.path(&elsewhere));
    harmless(&workplace, &["policies", "diff", "--git=good", &elsewhere]).exits(1);
}

#[test]
fn inspect_prints_no_claim_raw() {
    let workplace = Workplace::sample();
    let header = json!({ "alg": HOSTILE, "kid": HOSTILE, HOSTILE: HOSTILE });
    let claims = json!({ "aud": HOSTILE, "scope": HOSTILE, HOSTILE: [HOSTILE, { HOSTILE: HOSTILE }] });
    let token = format!("{}.{}.AA", base64url(header.to_string()), base64url(claims.to_string()));
    let run = harmless(&workplace, &["token", "inspect", &token]).exits(3);
    let shown = run.stdout.split("claims: ").nth(1).unwrap().split("\ndoes not verify").next().unwrap();
    assert_eq!(serde_json::from_str::<Value>(shown).unwrap(), claims);
    // a set whose reading fails at a text of its own
    workplace.write("set.json", &json!({ "keys": HOSTILE }).to_string());
    harmless(
        &workplace,
        &[
            "token",
            "inspect",
            &token.replace(&base64url(claims.to_string()), "eyJhdWQiOiJ4In0"),
            "--jwks",
            "set.json",
        ],
    )
    .exits(1);
}
