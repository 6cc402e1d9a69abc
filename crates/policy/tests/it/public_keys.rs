//! Public keys of clients: every kind in every form, in the policy files and beside them.
use std::{
    fs,
    path::{Path, PathBuf},
};

use jeton_jose::{ForeignKey, ForeignKeys, InvalidPublicKey};
use jeton_policy::{DemoSecrets, FindingCode, Findings, LivePolicies, PolicySet, PolicySources, Reload};
use serde_json::Value;
use tempfile::TempDir;

use crate::policy_text::{compile, compile_folder, compile_good, now, surroundings};

/// A key of the fixtures of the whole house.
fn key_fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/fixtures/keys").join(name)
}

fn public(name: &str) -> String {
    fs::read_to_string(key_fixture("public").join(name)).unwrap()
}

fn private(name: &str) -> String {
    fs::read_to_string(key_fixture(name)).unwrap()
}

fn key(name: &str) -> ForeignKey {
    ForeignKeys::from_file(public(name).as_bytes()).unwrap().taken.remove(0)
}

fn thumbprints(policies: &PolicySet) -> Vec<String> {
    let client = policies.clients().find("acme").unwrap();
    client.public_keys.iter().map(|key| key.thumbprint().to_string()).collect()
}

/// A policy file of one client with these entries, in JSON.
fn client_with(entries: &[String]) -> String {
    let entries: Vec<_> = entries.iter().map(|entry| format!("      - {entry}\n")).collect();
    format!("version: 1\nclients:\n  acme:\n    public_keys:\n{}", entries.concat())
}

fn pem_entry(pem: &str) -> String {
    let lines: Vec<_> = pem.lines().map(|line| format!("          {line}")).collect();
    format!("pem: |\n{}", lines.join("\n"))
}

/// A folder with one client whose keys are in this file.
fn folder_with(name: &str, contents: &[u8]) -> TempDir {
    let dir = TempDir::new().unwrap();
    fs::write(dir.path().join("clients.yaml"), client_with(&[format!("file: {name}")])).unwrap();
    fs::write(dir.path().join(name), contents).unwrap();
    dir
}

fn compiled(dir: &Path) -> Result<PolicySet, Findings> {
    compile_folder(dir, DemoSecrets::Allowed)
}

#[test]
fn each_kind_is_the_same_key_in_each_form() {
    for kind in ["rsa", "p256", "ed25519"] {
        let (jwk, pem) = (public(&format!("{kind}.jwk")), public(&format!("{kind}.pem")));
        let expected = [key(&format!("{kind}.pem")).thumbprint().to_string()];
        let one_line = serde_json::from_str::<Value>(&jwk).unwrap().to_string();
        for entry in [format!("jwk: {one_line}"), pem_entry(&pem)] {
            let policies = compile_good(&client_with(std::slice::from_ref(&entry)));
            assert_eq!(thumbprints(&policies), expected, "{kind}: {entry}");
        }
        let set = format!("{{ \"keys\": [{one_line}] }}");
        for (name, contents) in [
            ("keys.pem", &pem),
            ("keys.pem", &format!("# of acme\n{pem}")),
            ("keys.jwk", &jwk),
            ("keys.jwks", &set),
            ("keys.json", &set),
            ("keys.json", &jwk),
        ] {
            let dir = folder_with(name, contents.as_bytes());
            let policies = compiled(dir.path()).unwrap_or_else(|findings| panic!("{name}: {findings}"));
            assert_eq!(thumbprints(&policies), expected, "{kind} in {name}");
        }
    }
}

#[test]
fn several_keys_stand_in_one_file() {
    let expected = ["rsa.jwk", "p256.jwk", "ed25519.jwk"].map(|name| key(name).thumbprint().to_string());
    let pems = ["rsa.pem", "p256.pem", "ed25519.pem"].map(public).concat();
    for (name, contents) in [("all.jwks", public("all.jwks")), ("all.pem", pems)] {
        let dir = folder_with(name, contents.as_bytes());
        assert_eq!(thumbprints(&compiled(dir.path()).unwrap()), expected, "{name}");
    }
}

#[test]
fn what_is_no_sound_public_key_is_refused() {
    for (name, contents, expected) in [
        ("RSA of 1024 bits", public("weak.pem"), InvalidPublicKey::Unsound),
        ("RSA of 1024 bits as JWK", public("weak.jwk"), InvalidPublicKey::Unsound),
        ("P-384", public("p384.pem"), InvalidPublicKey::Kind),
        ("P-384 as JWK", public("p384.jwk"), InvalidPublicKey::Kind),
        ("a private RSA key", private("test-only-client-rsa.pem"), InvalidPublicKey::Private),
        ("a private EC key", private("test-only-client-p256.pem"), InvalidPublicKey::Private),
        ("a private Ed25519 key", private("test-only-client-ed25519.pem"), InvalidPublicKey::Private),
        ("a private JWK", private("test-only-client-ed25519.jwk"), InvalidPublicKey::Private),
        (
            "a public and a private key",
            public("p256.pem") + &private("test-only-client-p256.pem"),
            InvalidPublicKey::Private,
        ),
        ("a symmetric key", r#"{ "kty": "oct", "k": "c2VjcmV0" }"#.to_owned(), InvalidPublicKey::Symmetric),
        ("an empty set", r#"{ "keys": [] }"#.to_owned(), InvalidPublicKey::Empty),
        ("nothing", String::new(), InvalidPublicKey::NotPem),
        ("half a JWK", r#"{ "kty": "EC""#.to_owned(), InvalidPublicKey::NotJwk),
    ] {
        assert_eq!(ForeignKeys::from_file(contents.as_bytes()).unwrap_err(), expected, "{name}");
        let dir = folder_with("key.json", contents.as_bytes());
        let findings = compiled(dir.path()).unwrap_err();
        let codes: Vec<_> = findings.0.iter().map(|finding| finding.code).collect();
        assert_eq!(codes, [FindingCode::BadPublicKey], "{name}");
        assert!(findings.to_string().contains(&expected.to_string()), "{name}: {findings}");
    }
}

/// Nothing of a private key is told, wherever it stands and however the file is broken.
#[test]
fn a_private_key_is_not_shown() {
    let pem = private("test-only-client-rsa.pem");
    let texts = [
        client_with(&[pem_entry(&pem)]),
        client_with(&[format!("pem: {}", pem.replace('\n', "\n          "))]),
        client_with(&[format!("pem: |\n{pem}")]),
        client_with(&[format!("pem: \"{pem}")]),
        client_with(&[format!("{{ pem: {pem:?} }}")]),
        client_with(&[format!("file: {:?}", "x")]).replace("file: \"x\"", &format!("{pem:?}")),
        format!("version: 1\nclients:\n  acme:\n    key: |\n{}\n", pem.replace('\n', "\n      ")),
        format!("version: 1\n{pem}"),
    ];
    let body: Vec<_> = pem.lines().filter(|line| !line.starts_with('-')).collect();
    for text in texts {
        let shown = compile(&text).unwrap_err().to_string();
        let told: Vec<_> = body.iter().filter(|line| shown.contains(&line[..16])).collect();
        assert!(told.is_empty(), "{text}\nshows {told:?}:\n{shown}");
    }
}

#[test]
fn a_changed_file_of_keys_is_another_content() {
    let dir = folder_with("key.pem", public("p256.pem").as_bytes());
    let path = dir.path().join("key.pem");
    let hash = || PolicySources::read(dir.path()).unwrap().hash().clone();
    let before = hash();
    assert_eq!(hash(), before);
    fs::write(&path, public("rsa.pem")).unwrap();
    let changed = hash();
    assert_ne!(changed, before);
    fs::write(dir.path().join("unused.jwks"), "{}").unwrap();
    let added = hash();
    assert_ne!(added, changed);
    fs::remove_file(&path).unwrap();
    fs::create_dir(&path).unwrap();
    assert_ne!(hash(), added);
    fs::remove_dir(&path).unwrap();
    std::os::unix::fs::symlink("nowhere", &path).unwrap();
    let dangling = hash();
    fs::remove_file(&path).unwrap();
    assert_ne!(hash(), dangling);
    // the hash covers only files that are read
    let before = hash();
    fs::write(dir.path().join("policy.schema.json"), "{}").unwrap();
    fs::write(dir.path().join("notes.txt"), "x").unwrap();
    fs::create_dir(dir.path().join(".hidden")).unwrap();
    fs::write(dir.path().join(".hidden/key.pem"), "x").unwrap();
    assert_eq!(hash(), before);
}

#[test]
fn a_reload_takes_a_changed_file_of_keys() {
    let dir = folder_with("key.pem", public("p256.pem").as_bytes());
    let path = dir.path().join("key.pem");
    let clock = std::sync::Arc::new(jeton_oauth::clock::ManualClock::at(now()));
    let policies = LivePolicies::load(dir.path(), surroundings(DemoSecrets::Allowed), clock).unwrap();
    let now_in_force = || thumbprints(&policies.current().policies);
    let of = |name: &str| [key(name).thumbprint().to_string()];
    assert_eq!(now_in_force(), of("p256.pem"));
    fs::write(&path, public("ed25519.pem")).unwrap();
    assert!(matches!(policies.poll(), Reload::Unsettled));
    assert!(matches!(policies.poll(), Reload::Reloaded { .. }));
    assert_eq!(now_in_force(), of("ed25519.pem"));
    fs::write(&path, private("test-only-client-rsa.pem")).unwrap();
    assert!(matches!(policies.reload(), Reload::Rejected(_)));
    fs::remove_file(&path).unwrap();
    assert!(matches!(policies.reload(), Reload::Rejected(_)));
    assert_eq!(now_in_force(), of("ed25519.pem"));
    fs::write(&path, public("ed25519.pem")).unwrap();
    assert!(matches!(policies.reload(), Reload::Restored));
}

/// A pipe would be waited for; only who names it is told.
#[test]
fn a_pipe_is_not_opened() {
    let dir = TempDir::new().unwrap();
    fs::write(dir.path().join("a.yaml"), "version: 1\n").unwrap();
    let made = std::process::Command::new("mkfifo").arg(dir.path().join("key.pem")).status().unwrap();
    assert!(made.success());
    assert!(compiled(dir.path()).is_ok());
    fs::write(dir.path().join("b.yaml"), client_with(&["file: key.pem".to_owned()])).unwrap();
    let findings = compiled(dir.path()).unwrap_err().to_string();
    assert!(findings.contains("`key.pem` is a pipe, and not a file"), "{findings}");
}

#[test]
fn files_of_keys_are_linked_and_stand_in_other_folders() {
    let dir = TempDir::new().unwrap();
    let path = |name: &str| dir.path().join(name);
    for folder in ["teams/a", "keys", "..data"] {
        fs::create_dir_all(path(folder)).unwrap();
    }
    fs::write(path("..data/real"), public("p256.pem")).unwrap();
    std::os::unix::fs::symlink("../..data/real", path("keys/acme.pem")).unwrap();
    let text = client_with(&["file: ../../keys/./acme.pem".to_owned()]);
    fs::write(path("teams/a/clients.yaml"), text).unwrap();
    assert_eq!(thumbprints(&compiled(dir.path()).unwrap()), [key("p256.pem").thumbprint().to_string()]);
    // keys alone are no policies
    fs::remove_dir_all(path("teams")).unwrap();
    let findings = compiled(dir.path()).unwrap_err().to_string();
    assert!(findings.contains("holds no `*.yaml` file"), "{findings}");
}

#[test]
fn a_client_with_a_public_key_has_credentials() {
    let policies = compile_good(&client_with(&[pem_entry(&public("p256.pem"))]));
    assert_eq!(policies.warnings().0, []);
}

#[test]
fn revoked_before_is_rounded_up() {
    for (time, seconds) in [
        ("1970-01-01T00:01:00Z", 60),
        ("1970-01-01T00:01:00.000000001Z", 61),
        ("1970-01-01T01:01:00.999+01:00", 61),
        ("1969-12-31T23:59:59.5Z", 0),
    ] {
        let policies = compile_good(&format!("version: 1\nclients:\n  acme: {{ revoked_before: {time} }}\n"));
        assert_eq!(policies.clients().find("acme").unwrap().revoked_before, Some(seconds), "{time}");
    }
}
