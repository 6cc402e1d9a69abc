//! `jeton keys`, and what a key folder must be.
use std::{fs, os::unix::fs::PermissionsExt, path::Path};

use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use ring::digest;
use serde_json::Value;

use crate::{
    binary::{Run, Workplace},
    support::{copy_key, install_key, key_fixture},
};

fn pem_files(dir: &Path) -> Vec<std::path::PathBuf> {
    let paths = fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path());
    paths.filter(|path| path.extension().is_some_and(|extension| extension == "pem")).collect()
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o7777
}

/// The thumbprint of RFC 7638 section 3: the required members in order, without spaces.
fn thumbprint(jwk: &Value) -> String {
    let text = format!(r#"{{"e":{},"kty":{},"n":{}}}"#, jwk["e"], jwk["kty"], jwk["n"]);
    BASE64_URL_SAFE_NO_PAD.encode(digest::digest(&digest::SHA256, text.as_bytes()))
}

fn jwks(workplace: &Workplace) -> Vec<Value> {
    let run = workplace.run(&["keys", "jwks"]).exits(0);
    let set: Value = serde_json::from_str(&run.stdout).unwrap();
    set["keys"].as_array().unwrap().clone()
}

#[test]
fn generate_makes_the_first_key_for_its_owner_alone() {
    let workplace = Workplace::new();
    let run = workplace.run(&["keys", "generate"]).exits(0);
    let kid = run.stdout.trim();
    let files = pem_files(&workplace.path("keys"));
    assert_eq!(files.len(), 1);
    assert_eq!(mode(&files[0]), 0o600);
    assert!(files[0].file_stem().unwrap().to_str().unwrap().ends_with(kid), "{files:?} of {kid}");
    assert!(fs::read_to_string(&files[0]).unwrap().starts_with("-----BEGIN PRIVATE KEY-----\n"));
    assert_eq!(jwks(&workplace)[0]["kid"], kid);
    workplace.run(&["keys", "list"]).exits(0).shows(&[kid, "active", "2048"]);
}

#[test]
fn generate_does_not_make_a_second_key() {
    let workplace = Workplace::new();
    let kid = workplace.run(&["keys", "generate"]).exits(0).stdout;
    let run = workplace.run(&["keys", "generate"]).exits(1).says(&["keys: ", kid.trim()]);
    assert_eq!(run.stdout, "");
    assert_eq!(pem_files(&workplace.path("keys")).len(), 1);
}

#[test]
fn generate_leaves_a_folder_alone_that_is_not_as_it_must_be() {
    let workplace = Workplace::new();
    workplace.write("keys/broken.pem", "garbage");
    workplace.run(&["keys", "generate"]).exits(1).says(&["keys/broken.pem"]);
    assert_eq!(pem_files(&workplace.path("keys")).len(), 1);
}

#[test]
fn the_private_key_is_in_no_output() {
    let workplace = Workplace::sample();
    let pem = fs::read_to_string(key_fixture("test-only-signing.pem")).unwrap();
    for command in ["generate", "list", "jwks"] {
        let Run { stdout, stderr, .. } = workplace.run(&["keys", command]);
        for line in pem.lines().filter(|line| line.len() > 40) {
            assert!(!stdout.contains(line) && !stderr.contains(line), "{command}");
        }
    }
    for key in jwks(&workplace) {
        let names: Vec<_> = key.as_object().unwrap().keys().map(String::as_str).collect();
        assert_eq!(names, ["alg", "e", "kid", "kty", "n", "use"]);
    }
}

#[test]
fn jwks_names_each_key_by_its_thumbprint() {
    let workplace = Workplace::sample();
    workplace.run(&["keys", "rotate"]).exits(0);
    let keys = jwks(&workplace);
    assert_eq!(keys.len(), 2);
    for key in &keys {
        assert_eq!(key["kid"], thumbprint(key), "{key}");
        assert_eq!((&key["kty"], &key["alg"], &key["use"]), (&"RSA".into(), &"RS256".into(), &"sig".into()));
    }
    assert_ne!(keys[0]["kid"], keys[1]["kid"]);
}

/// The example of RFC 7638 section 3.1 holds for the computation of these tests.
#[test]
fn rfc_7638_section_3_1() {
    let n = "0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR1L6tSoc_BJECPebWKRXjBZCiFV4n3oknjhMstn64tZ_2W-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4QyQ5v-65YGjQR0_FDW2QvzqY368QQMicAtaSqzs8KJZgnYb9c7d0zgdAZHzu6qMQvRL5hajrn1n91CbOpbISD08qNLyrdkt-bFTWhAI4vMQFh6WeZu0fM4lFd2NcRwr3XPksINHaQ-G_xBniIqbw0Ls1jF44-csFCur-kEgU8awapJzKnqDKgw";
    let jwk = serde_json::json!({ "kty": "RSA", "n": n, "e": "AQAB", "alg": "RS256", "kid": "2011-04-29" });
    assert_eq!(thumbprint(&jwk), "NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs");
}

#[test]
fn list_shows_what_each_key_does_and_when() {
    let workplace = Workplace::sample();
    let signing = workplace.run(&["keys", "jwks"]).exits(0);
    let signing: Value = serde_json::from_str(&signing.stdout).unwrap();
    let signing = signing["keys"][0]["kid"].as_str().unwrap();
    let next = workplace.run(&["keys", "rotate"]).exits(0);
    let next = next.stdout.lines().next().unwrap();
    let run = workplace.run(&["keys", "list"]).exits(0);
    let lines: Vec<_> = run.stdout.lines().collect();
    assert_eq!(lines.len(), 3, "{run:?}");
    assert!(
        lines[1].starts_with(&format!("active   {signing} RS256 2048  2026-01-01T00:00:00Z  signs since "))
    );
    assert!(lines[1].contains(", until "), "{run:?}");
    assert!(lines[2].starts_with(&format!("next     {next} RS256 2048  ")), "{run:?}");
    assert!(lines[2].contains("  signs from ") && lines[2].contains("(in 60 min)"), "{run:?}");
}

/// What servers will do by themselves, while there is no next key.
#[test]
fn list_shows_when_a_server_makes_the_next_key() {
    for (every, shows) in [
        ("0s", None),
        ("30d", Some("a server makes the next key now, and it signs from ")),
        ("3650d", Some("a server makes the next key on 2035-12-29T23:00:00Z (in ")),
        ("3650d", Some("and it signs from 2035-12-30T00:00:00Z (in ")),
    ] {
        let mut workplace = Workplace::sample();
        workplace.set("JETON__KEYS__ROTATE_EVERY", every).set("JETON__KEYS__ALGORITHM", "ES256");
        let run = workplace.run(&["keys", "list"]).exits(0);
        match shows {
            Some(text) => {
                run.shows(&[text]);
            }
            None => assert!(!run.stdout.contains("next key"), "{run:?}"),
        }
        workplace.run(&["keys", "rotate"]).exits(0);
        let run = workplace.run(&["keys", "list"]).exits(0);
        assert!(!run.stdout.contains("next key"), "{every}: {run:?}");
    }
}

/// One key that retired, one that signs, and the next.
fn three_keys() -> (Workplace, [String; 3]) {
    let mut workplace = Workplace::sample();
    install_key("test-only-other.pem", &workplace.path("keys"));
    // tokens of the first may live for ten years
    workplace.set("JETON__TOKENS__REFRESH_TTL", "3650d").set("JETON__KEYS__ALGORITHM", "ES256");
    workplace.run(&["keys", "rotate"]).exits(0);
    let list = workplace.run(&["keys", "list"]).exits(0).stdout;
    let kids = ["retired", "active", "next"].map(|state| {
        let line = list.lines().find(|line| line.starts_with(state)).unwrap();
        line.split_whitespace().nth(1).unwrap().to_owned()
    });
    (workplace, kids)
}

#[test]
fn retire_ends_what_is_safe_and_says_from_when_the_rest_is() {
    let (workplace, [retired, active, next]) = three_keys();
    let retire = |kid: &str| workplace.run(&["keys", "retire", kid]);
    retire(&retired).exits(1).says(&["may still be valid: it is safe from ", "--now"]);
    retire(&active).exits(1).says(&[&next, "may not have fetched", "it is safe from "]);
    retire("unknown").exits(1).says(&["there is no key `unknown`"]);
    // one kid in 64 begins like an option
    retire("-unknown").exits(1).says(&["there is no key `-unknown`"]);
    assert_eq!(jwks(&workplace).len(), 3);
    let run = retire(&next).exits(0);
    assert_eq!(
        run.stdout,
        format!("{next} is gone: it was removed from `keyring.yaml`, and its file deleted.\n")
    );
    assert_eq!(jwks(&workplace).len(), 2);
    // one that was published for long enough takes over
    let ring = workplace.read("keys/keyring.yaml").replace("activates: 2026-01-02", "activates: 2126-01-02");
    let ring = ring.replace("    retires: 2026-01-02T00:00:00Z\n", "");
    workplace.write("keys/keyring.yaml", &ring);
    let run = retire(&retired).exits(0);
    run.shows(&[
        &format!("{retired} no longer signs, and stays published until "),
        &format!("{active} signs now."),
    ]);
    workplace
        .run(&["keys", "list"])
        .exits(0)
        .shows(&[&format!("retired  {retired}"), &format!("active   {active}")]);
}

/// A key that leaked goes, and the operator knows what that does.
#[test]
fn retire_now_drops_a_leaked_key_and_says_what_breaks() {
    let (workplace, [retired, active, _]) = three_keys();
    let run = workplace.run(&["keys", "retire", &retired, "--now"]).exits(0);
    run.shows(&[
        &format!("{retired} is gone: it was removed from `keyring.yaml`, and its file deleted.\n\nWhat this breaks:\n"),
        "within 3 s; until then they accept tokens signed with it.",
        "every token that the key signed is refused here, refresh tokens too",
        "for up to 300 s more",
    ]);
    assert!(jwks(&workplace).iter().all(|key| key["kid"] != retired.as_str()));
    workplace.run(&["keys", "retire", &active, "--now"]).exits(1).says(&["jeton keys rotate --now"]);
}

/// Half of the time ahead is for caches, and servers must have read the key in the other.
#[test]
fn rotate_notes_where_servers_read_the_next_key_too_late() {
    for (ahead, poll, note) in [
        ("1h", "2s", None),
        ("1h", "54m", None),
        ("1h", "55m", Some("set `keys.publish_ahead` to 3601 s or more")),
        ("6s", "2s", None),
        ("4s", "2s", Some("set `keys.publish_ahead` to 6 s or more")),
        ("1s", "2s", Some("set `keys.publish_ahead` to 6 s or more")),
        ("1h", "0s", Some("only on SIGHUP or POST /ops/reload, and each server must do so within 3300 s")),
    ] {
        let mut workplace = Workplace::sample();
        workplace.set("JETON__KEYS__ALGORITHM", "ES256").set("JETON__KEYS__PUBLISH_AHEAD", ahead);
        let run = workplace.set("JETON__POLICIES__POLL", poll).run(&["keys", "rotate"]).exits(0);
        match note {
            Some(note) => {
                run.says(&["note: verifiers may not have fetched it when it signs", note]);
            }
            None => assert_eq!(run.stderr, "", "{ahead} {poll}"),
        }
    }
}

/// Each command that reads the keys names the file and says why.
#[track_caller]
fn refused(workplace: &Workplace, says: &[&str]) {
    for command in ["list", "jwks"] {
        let run = workplace.run(&["keys", command]).exits(1).says(says);
        assert!(!run.stderr.contains("PRIVATE KEY-----"), "{run:?}");
    }
}

#[test]
fn a_folder_without_a_key_is_named() {
    let workplace = Workplace::new();
    refused(&workplace, &["keys"]);
    fs::create_dir(workplace.path("keys")).unwrap();
    refused(&workplace, &["keys: there is no key", "jeton keys generate"]);
    // hidden files and other names are no keys
    workplace.write("keys/.hidden.pem", "garbage").write("keys/key.txt", "garbage");
    refused(&workplace, &["keys: there is no key"]);
}

/// What to do about a folder that is not there is the same as for one that is empty.
#[test]
fn a_missing_key_folder_names_the_fix() {
    let workplace = Workplace::new();
    refused(&workplace, &["jeton keys generate"]);
}

/// Standard output holds results alone.
#[test]
fn nothing_is_printed_before_the_keys_are_read() {
    let workplace = Workplace::new();
    for command in ["list", "jwks"] {
        assert_eq!(workplace.run(&["keys", command]).exits(1).stdout, "", "keys {command}");
    }
}

#[test]
fn a_world_readable_key_is_refused() {
    let workplace = Workplace::sample();
    let path = workplace.path("keys/test-only-signing.pem");
    for mode in [0o644, 0o604, 0o666] {
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
        refused(&workplace, &["keys/test-only-signing.pem", "readable by everyone", "chmod 600"]);
    }
    for mode in [0o600, 0o400] {
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
        workplace.run(&["keys", "list"]).exits(0);
    }
}

#[test]
fn a_key_of_1024_bits_is_refused() {
    let workplace = Workplace::sample();
    copy_key("test-only-1024-bits.pem", &workplace.path("keys"));
    refused(&workplace, &["keys/test-only-1024-bits.pem", "2048"]);
}

#[test]
fn a_key_without_an_entry_counts_for_nothing() {
    let workplace = Workplace::sample();
    let before = jwks(&workplace);
    copy_key("test-only-p256.pem", &workplace.path("keys"));
    assert_eq!(jwks(&workplace), before);
    workplace.run(&["keys", "list"]).exits(0).shows(&[
        "unlisted",
        "test-only-p256.pem",
        "never signs",
        "prune",
    ]);
    workplace.run(&["keys", "prune"]).exits(0).shows(&["deleted"]);
    assert!(!workplace.path("keys/test-only-p256.pem").exists());
    workplace.run(&["keys", "prune"]).exits(0).shows(&["nothing to delete"]);
    assert_eq!(jwks(&workplace), before);
}

#[test]
fn the_same_key_twice_is_refused() {
    let workplace = Workplace::sample();
    let keys = workplace.path("keys");
    fs::copy(keys.join("test-only-signing.pem"), keys.join("copy.pem")).unwrap();
    refused(&workplace, &["keys/copy.pem", "keys/test-only-signing.pem", "the same key"]);
}

#[test]
fn what_is_no_key_is_refused_and_named() {
    let pem = fs::read_to_string(key_fixture("test-only-signing.pem")).unwrap();
    let middle = pem.len() / 2;
    for (name, text, says) in [
        ("garbage", "garbage".to_owned(), "no PEM block"),
        ("nothing", String::new(), "no PEM block"),
        ("cut short", pem[..middle].to_owned(), ""),
        ("two keys", format!("{pem}{pem}"), "2 PEM blocks"),
        ("PKCS#1", pem.replace("PRIVATE KEY", "RSA PRIVATE KEY"), "`RSA PRIVATE KEY`"),
        ("encrypted as it says", pem.replace("PRIVATE KEY", "ENCRYPTED PRIVATE KEY"), "not supported"),
        ("public", pem.replace("PRIVATE KEY", "PUBLIC KEY"), "`PUBLIC KEY`"),
        ("certificate", pem.replace("PRIVATE KEY", "CERTIFICATE"), "`CERTIFICATE`"),
        ("not base64", pem.replace('A', "*"), ""),
        ("other bytes", pem.replacen("MII", "AAA", 1), ""),
    ] {
        let workplace = Workplace::sample();
        workplace.write("keys/bad.pem", &text);
        let path = workplace.path("keys/bad.pem");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
        let run = workplace.run(&["keys", "list"]).exits(1).says(&["keys/bad.pem: ", says]);
        assert!(!run.stderr.contains("test-only-signing"), "{name}: {run:?}");
        let leak = pem.lines().filter(|line| line.len() > 40).any(|line| run.stderr.contains(line));
        assert!(!leak, "{name}: {run:?}");
    }
}

#[test]
fn everything_wrong_with_a_folder_is_said_at_once() {
    let workplace = Workplace::sample();
    let keys = workplace.path("keys");
    copy_key("test-only-1024-bits.pem", &keys);
    let world = copy_key("test-only-other.pem", &keys);
    fs::set_permissions(world, fs::Permissions::from_mode(0o644)).unwrap();
    fs::copy(keys.join("test-only-signing.pem"), keys.join("zzz.pem")).unwrap();
    workplace.write("keys/garbage.pem", "garbage");
    fs::set_permissions(keys.join("garbage.pem"), fs::Permissions::from_mode(0o600)).unwrap();
    refused(
        &workplace,
        &[
            "keys/test-only-1024-bits.pem: ",
            "keys/test-only-other.pem: ",
            "keys/zzz.pem: ",
            "keys/garbage.pem: ",
        ],
    );
    let run = workplace.run(&["keys", "list"]);
    assert_eq!(run.stderr.lines().count(), 4, "{run:?}");
}

/// A blank line inside the block makes the PEM library quote the file in its error.
#[test]
fn a_broken_key_is_never_quoted() {
    let workplace = Workplace::new();
    let pem = std::fs::read_to_string(key_fixture("test-only-signing.pem")).unwrap();
    let body: String = pem.lines().filter(|line| !line.starts_with('-')).collect();
    let tag = "PRIVATE KEY";
    for text in [
        format!("-----BEGIN {tag}-----\n{body}\n\n-----END {tag}-----\n"),
        pem.replacen('\n', "\n\n", 3),
        pem.replace(tag, &body[..60]),
    ] {
        let path = workplace.path("keys/broken.pem");
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, text).unwrap();
        std::fs::set_permissions(&path, std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
        let run = workplace.run(&["keys", "list"]);
        if run.code != Some(0) {
            assert!(run.stderr.contains("broken.pem"), "{}", run.stderr);
        }
        for piece in [&body[..40], &body[body.len() - 40..]] {
            assert!(!run.stderr.contains(piece) && !run.stdout.contains(piece), "the key is printed");
        }
    }
}
