//! `jeton config check`: the settings as they count, from where, and without a secret.
use std::{
    fs,
    os::unix::fs::{PermissionsExt, symlink},
};

use serde_json::{Value, json};

use crate::{
    binary::{Run, Workplace},
    init::everything_in,
    support::tls::Authority,
};

const HUSH: &str = "hush-hush";

#[track_caller]
fn row(run: &Run, key: &str) -> String {
    let row = run.stdout.lines().find(|line| line.split_whitespace().next() == Some(key));
    row.unwrap_or_else(|| panic!("{key} is missing: {run:#?}"))
        .split_whitespace()
        .collect::<Vec<_>>()
        .join(" ")
}

#[test]
fn each_setting_says_from_where_it_is() {
    let mut workplace = Workplace::sample();
    workplace.write("jeton.toml", "[tokens]\nttl = \"15m\"\n[keys]\nrsa_bits = 3072\n[gateways.nginx]\napi = \"orders\"\ntrusted_peers = [\"127.0.0.1/32\"]\norigin = \"https://orders.example.com\"\n");
    workplace.set("JETON__SERVER__LISTEN", "127.0.0.1:9").set("JETON__KEYS__RSA_BITS", "4096");
    let run = workplace.run(&["config", "check"]).exits(0);
    assert_eq!(run.stderr, "");
    for (key, expected) in [
        ("issuer", "issuer http://127.0.0.1:8080 default"),
        ("server.listen", "server.listen 127.0.0.1:9 JETON__SERVER__LISTEN"),
        ("tokens.ttl", "tokens.ttl 15m jeton.toml"),
        ("keys.rsa_bits", "keys.rsa_bits 4096 JETON__KEYS__RSA_BITS"),
        ("keys.generate_if_missing", "keys.generate_if_missing true default"),
        ("policies.candidate", "policies.candidate \"\" default"),
        ("gateways.nginx.trusted_peers", "gateways.nginx.trusted_peers [\"127.0.0.1/32\"] jeton.toml"),
        ("gateways.nginx.origin", "gateways.nginx.origin https://orders.example.com jeton.toml"),
    ] {
        assert_eq!(row(&run, key), expected);
    }
    let run = workplace.run(&["config", "check", "--format", "json"]).exits(0);
    let found: Value = serde_json::from_str(&run.stdout).unwrap();
    assert_eq!((&found["errors"], &found["warnings"]), (&json!([]), &json!([])));
    let setting = |key: &str| {
        let all = found["settings"].as_array().unwrap();
        all.iter().find(|setting| setting["key"] == key).unwrap_or_else(|| panic!("{key}: {found}")).clone()
    };
    assert_eq!(
        setting("tokens.ttl"),
        json!({ "key": "tokens.ttl", "value": "15m", "from": "file", "place": "jeton.toml" })
    );
    assert_eq!(setting("issuer")["from"], "default");
    assert_eq!(setting("keys.generate_if_missing")["value"], true);
    assert_eq!(setting("server.listen")["place"], "JETON__SERVER__LISTEN");
}

#[test]
fn every_default_is_shown() {
    let run = Workplace::sample().run(&["config", "check"]).exits(0);
    let defaults = fs::read_to_string(crate::support::root().join("jeton.toml")).unwrap();
    let mut section = String::new();
    for line in defaults.lines() {
        // a section that is there only where somebody writes it
        if section == "admin." && !line.starts_with('[') {
            continue;
        }
        if let Some(name) = line.strip_prefix('[').and_then(|rest| rest.split(']').next()) {
            section = format!("{name}.");
        } else if let Some((key, _)) = line.split_once(" = ").filter(|_| !line.starts_with('#')) {
            row(&run, &format!("{section}{key}"));
        }
    }
}

#[test]
fn a_path_is_shown_as_it_is_looked_for() {
    let workplace = Workplace::empty();
    workplace
        .write("etc/jeton.toml", "[policies]\ndir = \"rules\"\n")
        .write("etc/rules/a.yaml", "version: 1\n");
    let run = workplace.run(&["--config", "etc/jeton.toml", "config", "check"]).exits(0);
    assert_eq!(row(&run, "policies.dir"), "policies.dir etc/rules etc/jeton.toml");
    assert_eq!(row(&run, "keys.dir"), "keys.dir etc/keys default");
}

#[test]
fn no_secret_is_shown() {
    for (name, settings, variables, shown) in [
        (
            "a password of the environment",
            "[store]\nurl = \"redis://127.0.0.1:1\"\n",
            &[("JETON__STORE__PASSWORD", HUSH)][..],
            "store.password (set) JETON__STORE__PASSWORD",
        ),
        (
            "a passphrase",
            "",
            &[("JETON__KEYS__PASSPHRASE", HUSH)],
            "keys.passphrase (set) JETON__KEYS__PASSPHRASE",
        ),
        (
            "a password in the address",
            "[store]\nurl = \"redis://me:hush-hush@127.0.0.1:1/2\"\n",
            &[],
            "store.url redis://(set)@127.0.0.1:1/2 jeton.toml",
        ),
        (
            "an address that is none",
            "[store]\nurl = \"me:hush-hush@store\"\n",
            &[],
            "store.url (set) jeton.toml",
        ),
        (
            "a secret in the file",
            "[store]\npassword = \"hush-hush\"\n",
            &[],
            "store.password (set) jeton.toml",
        ),
        ("a misspelt secret", "[store]\npasword = \"hush-hush\"\n", &[], "store.url \"\" default"),
        (
            "a password in the issuer",
            "issuer = \"http://me:hush-hush@a.example\"\n",
            &[],
            "issuer http://(set)@a.example jeton.toml",
        ),
        (
            "a password in an issuer that is no address",
            "",
            &[("JETON__ISSUER", "me:hush-hush@a.example:port")],
            "issuer (set)@a.example:port JETON__ISSUER",
        ),
        (
            "a key in the issuer",
            "issuer = \"https://a.example?key=hush-hush\"\n",
            &[],
            "issuer https://a.example?(set) jeton.toml",
        ),
        (
            "the address of a proxy where an address and port belong",
            "[server]\nlisten = \"http://me:hush-hush@127.0.0.1:8080\"\n",
            &[],
            "server.listen http://(set)@127.0.0.1:8080 jeton.toml",
        ),
        (
            "addresses among hosts",
            "[admin]\nlisten = \"127.0.0.1:9\"\nhosts = [\"a\", \"https://me:hush-hush@b\"]\n",
            &[],
            "admin.hosts [\"a\",\"https://(set)@b\"] jeton.toml",
        ),
        (
            "an address where a folder belongs",
            "[policies]\ndir = \"https://me:hush-hush@b/policies\"\n",
            &[],
            "policies.dir https://(set)@b/policies jeton.toml",
        ),
        (
            "a password file",
            "[store]\nurl = \"redis://127.0.0.1:1\"\npassword_file = \"secret\"\n",
            &[],
            "store.password_file secret jeton.toml",
        ),
    ] {
        let mut workplace = Workplace::sample();
        workplace.write("jeton.toml", settings).write("secret", HUSH);
        fs::set_permissions(workplace.path("secret"), fs::Permissions::from_mode(0o600)).unwrap();
        for (variable, value) in variables {
            workplace.set(variable, value);
        }
        let run = workplace.run(&["config", "check"]);
        assert_eq!(row(&run, shown.split(' ').next().unwrap()), shown, "{name}");
        let json = workplace.run(&["config", "check", "--format", "json"]);
        serde_json::from_str::<Value>(&json.stdout).unwrap();
        for text in [&run.stdout, &run.stderr, &json.stdout, &json.stderr] {
            assert!(!text.contains("hush") && !text.contains("//me"), "{name}: {text}");
        }
    }
}

#[test]
fn everything_wrong_is_told_at_once_beside_what_counts() {
    let mut workplace = Workplace::empty();
    workplace.write("jeton.toml", "issue = 1\n[tokens]\nttl = \"soon\"\n[log]\nlevel = \"loud\"\n");
    workplace.set("JETON__SERVER__LISTEN", "nowhere");
    let run = workplace.run(&["config", "check"]).exits(1).says(&[
        "error: jeton.toml: `tokens.ttl`: `soon` is not a duration",
        "error: jeton.toml: `log.level`: `loud` is not a level",
        "error: JETON__SERVER__LISTEN: `nowhere` is not an address",
        "error: the defaults: `policies.dir`: the folder `policies` does not exist: `jeton init`",
        "error: jeton.toml: `issue`: unknown setting: did you mean `issuer`?",
    ]);
    assert_eq!(row(&run, "tokens.ttl"), "tokens.ttl soon jeton.toml");
    let run = workplace.run(&["config", "check", "--format", "json"]).exits(1);
    assert_eq!(run.stderr, "");
    let found: Value = serde_json::from_str(&run.stdout).unwrap();
    assert_eq!(found["errors"].as_array().unwrap().len(), 5, "{found}");
    assert!(found["errors"][0]["origin"].is_string() && found["errors"][0]["message"].is_string(), "{found}");
    // no settings at all
    workplace.write("jeton.toml", "[[[");
    let run = workplace.run(&["config", "check"]).exits(1).says(&["error: jeton.toml: "]);
    assert_eq!(run.stdout, "");
    workplace.run(&["--config", "absent.toml", "config", "check"]).exits(1).says(&["absent.toml"]);
}

/// Settings with this listener's certificate and key in two files.
fn tls(listener: &str) -> String {
    format!(
        "[{listener}]\nlisten = \"127.0.0.1:0\"\n[{listener}.tls]\ncert_file = \"cert.pem\"\nkey_file = \"key.pem\"\n"
    )
}

#[test]
fn what_serve_would_refuse_is_told_and_nothing_is_written() {
    let authority = Authority::new();
    let (pair, other) = (authority.pair(), authority.pair());
    let with_ca = |ca: &str| format!("[store]\nurl = \"rediss://127.0.0.1:1\"\nca_file = \"{ca}\"\n");
    let log = |file: &str| format!("[log]\ndecisions = \"{file}\"\n");
    for (name, settings, files, origin, says) in [
        (
            "no certificate",
            tls("server"),
            &[("key.pem", pair.key.as_str())][..],
            "`server.tls.cert_file`",
            "the file `cert.pem`",
        ),
        ("no key", tls("server"), &[("cert.pem", &pair.cert)], "`server.tls.key_file`", "key.pem"),
        (
            "another key",
            tls("server"),
            &[("cert.pem", &pair.cert), ("key.pem", &other.key)],
            "`server.tls.key_file`",
            "the key of another certificate",
        ),
        (
            "no certificate of the admin listener",
            tls("admin"),
            &[("key.pem", &pair.key)],
            "`admin.tls.cert_file`",
            "the file `cert.pem`",
        ),
        (
            "authorities without one",
            with_ca("ca.pem"),
            &[("ca.pem", "no certificate")],
            "`store.ca_file`",
            "no certificate in it",
        ),
        ("a key that is none", String::new(), &[("keys/a.pem", "no key")], "`keys.dir`", "keys/a.pem"),
        ("no keyring", String::new(), &[("keys/keyring.yaml", "keys: x\n")], "`keys.dir`", "keyring.yaml"),
        (
            "policies",
            String::new(),
            &[("policies/a.yaml", "version: 1\nrule: x\n")],
            "`policies.dir`",
            "in the policies: `jeton policies check` shows what",
        ),
        (
            "an API that a gateway needs",
            "[gateways.nginx]\napi = \"absent\"\ntrusted_peers = [\"127.0.0.1/32\"]\n".to_owned(),
            &[],
            "`policies.dir`",
            "1 error in the policies",
        ),
        (
            "a log behind a link",
            log("link.jsonl"),
            &[],
            "`log.decisions`",
            "`link.jsonl` cannot be opened to append to it",
        ),
    ] {
        let mut workplace = Workplace::sample();
        workplace.set("JETON__SERVER__LISTEN", "127.0.0.1:0").write("jeton.toml", &settings);
        for (file, text) in files {
            workplace.write(file, text);
            fs::set_permissions(workplace.path(file), fs::Permissions::from_mode(0o600)).unwrap();
        }
        symlink("/nowhere/decisions.jsonl", workplace.path("link.jsonl")).unwrap();
        let before = everything_in(&workplace.path(""));
        let run = workplace.run(&["config", "check"]).exits(1).says(&["error: ", origin, says]);
        let errors = run.stderr.lines().filter(|line| line.starts_with("error: ")).count();
        assert_eq!(errors, 1, "{name}: {run:#?}");
        workplace.run(&["config", "check", "--format", "json"]).exits(1);
        workplace.run(&["serve"]).exits(1);
        assert_eq!(everything_in(&workplace.path("")), before, "{name}");
    }
}

#[test]
fn a_file_is_told_by_the_variable_that_names_it() {
    let mut workplace = Workplace::sample();
    workplace.write("ca.pem", "no certificate");
    workplace.set("OTEL_EXPORTER_OTLP_ENDPOINT", "https://127.0.0.1:1");
    workplace.set("OTEL_EXPORTER_OTLP_CERTIFICATE", "ca.pem");
    workplace.set("JETON__SERVER__TLS__CERT_FILE", "/nowhere/cert.pem");
    workplace.set("JETON__SERVER__TLS__KEY_FILE", "/nowhere/key.pem");
    workplace.run(&["config", "check"]).exits(1).says(&[
        "error: JETON__SERVER__TLS__CERT_FILE: the file `/nowhere/cert.pem`",
        "error: JETON__SERVER__TLS__KEY_FILE: the file `/nowhere/key.pem`",
        "error: OTEL_EXPORTER_OTLP_CERTIFICATE: `ca.pem` holds no certificate",
    ]);
}

#[test]
fn what_serve_takes_is_taken() {
    let pair = Authority::new().pair();
    let workplace = Workplace::sample();
    workplace.write(
        "jeton.toml",
        &tls("server").replace("[server]\n", "issuer = \"https://127.0.0.1:1\"\n[server]\n"),
    );
    workplace.write("cert.pem", &pair.cert).write("key.pem", &pair.key);
    let before = everything_in(&workplace.path(""));
    let run = workplace.run(&["config", "check"]).exits(0);
    assert_eq!(run.stderr, "");
    assert_eq!(everything_in(&workplace.path("")), before);
}
