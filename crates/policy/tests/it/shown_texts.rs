//! What others may see of the texts in force, and what becomes of it when it is edited.
use std::{fs, path::Path, sync::Arc};

use jeton_oauth::clock::ManualClock;
use jeton_policy::{DemoSecrets, LivePolicies, PolicySet, PolicySnapshot, ShownTexts};
use tempfile::TempDir;

use crate::policy_text::{now, surroundings};

/// The hash of a secret, and what is shown of it.
const HASH: &str = "0f3cbe1122334455667788990aabbccddeeff00112233445566778899aabbcc0";
const CUT: &str = "0f3cbe1100000000000000000000000000000000000000000000000000000000";
/// The hash of a certificate, which is public.
const CERTIFICATE: &str = "9bf68c4577d1e5a2f40b3c6d8e9f1a2b7c4d5e6f8091a3b5c7d9e1f20436587a";

/// The policies of a folder in force.
#[track_caller]
fn in_force(files: &[(&str, &str)]) -> (TempDir, Arc<PolicySnapshot>) {
    let dir = TempDir::new().unwrap();
    for (name, text) in files {
        let path = dir.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }
    let clock = Arc::new(ManualClock::at(now()));
    let live = LivePolicies::load(dir.path(), surroundings(DemoSecrets::Allowed), clock);
    let snapshot = live.unwrap_or_else(|findings| panic!("{findings}")).snapshot();
    (dir, snapshot)
}

fn with_secret(written: &str) -> String {
    format!(
        "version: 1\nclients:\n  acme:\n    secrets:\n      - sha256: {written}\n        expires: 2027-06-30T00:00:00Z\n"
    )
}

fn name(dir: &TempDir, file: &str) -> String {
    dir.path().join(file).display().to_string()
}

/// The only file as it is shown.
#[track_caller]
fn shown(text: &str) -> String {
    let (_dir, snapshot) = in_force(&[("a.yaml", text)]);
    let ShownTexts { files, withheld } = snapshot.shown_texts();
    assert_eq!(withheld, [], "{text}");
    files[0].text.clone()
}

/// Why the only file is not shown.
#[track_caller]
fn withheld(text: &str) -> String {
    let (dir, snapshot) = in_force(&[("a.yaml", text)]);
    let ShownTexts { files, withheld } = snapshot.shown_texts();
    assert_eq!(files, [], "{text}");
    assert_eq!(withheld[0].name, name(&dir, "a.yaml"));
    withheld[0].why.clone()
}

#[test]
fn a_hash_is_shown_by_eight_digits_however_it_is_written() {
    let upper = HASH.to_uppercase();
    let escaped: String =
        HASH.bytes().flat_map(|byte| format!("\\x{byte:02x}").into_bytes()).map(char::from).collect();
    let (first, last) = HASH.split_at(30);
    let split = format!("\"{first}\\\n          {last}\"");
    let block = format!("|-\n          {HASH}");
    for (written, is) in [
        (HASH.to_owned(), CUT.to_owned()),
        (format!("\"{HASH}\""), format!("\"{CUT}\"")),
        (format!("'{HASH}'"), format!("'{CUT}'")),
        (format!("{HASH} # of spring"), format!("{CUT} # of spring")),
        (upper, CUT.to_uppercase()),
        (format!("\"{escaped}\""), format!("\"{CUT}\"")),
    ] {
        assert_eq!(shown(&with_secret(&written)), with_secret(&is), "{written}");
    }
    for written in [split, block] {
        let text = with_secret(&written);
        let shown = shown(&text);
        assert!(shown.contains(CUT) && !shown.contains(&HASH[..9]), "{shown}");
        assert_eq!(shown.matches('\n').count(), text.matches('\n').count(), "{shown}");
    }
}

#[test]
fn comments_lose_whole_hashes_and_secrets() {
    let secret = format!("jeton_{}", "aB3".repeat(17));
    let old = "ab".repeat(32);
    let text = format!("# {HASH}, before that {old}; the secret is {secret}.\n{}", with_secret(HASH));
    let (old, secret) = (format!("abababab{}", "0".repeat(56)), format!("jeton_{}", "0".repeat(51)));
    let is = format!("# {CUT}, before that {old}; the secret is {secret}.\n{}", with_secret(CUT));
    assert_eq!(shown(&text), is);
}

#[test]
fn a_file_with_a_hash_in_another_place_is_withheld() {
    let (first, last) = HASH.split_at(32);
    let spaced: Vec<_> = HASH.as_bytes().chunks(4).map(|four| std::str::from_utf8(four).unwrap()).collect();
    let escaped: String =
        HASH.bytes().flat_map(|byte| format!("\\u{byte:04x}").into_bytes()).map(char::from).collect();
    for elsewhere in [
        format!("# {first}"),
        format!("# {}", last.to_uppercase()),
        format!("# {first}\n# {last}"),
        format!("# {}", spaced.join(" ")),
        format!("# {}", spaced.join("\n# ")),
        format!("scopes: {{ x: {HASH} }}"),
        format!("scopes: {{ x: \"{escaped}\" }}"),
        format!("scopes: {{ x: 'see {first}' }}"),
        format!(
            "tests:\n  - {{ as: {{ claims: {{ \"{HASH}\": x }} }}, api: jeton, deny: [GET /ops/policies] }}"
        ),
    ] {
        let why = withheld(&format!("{}{elsewhere}\n", with_secret(HASH)));
        assert!(why.contains("holds a part of the hash of a secret"), "{elsewhere}: {why}");
    }
}

#[test]
fn the_hash_of_a_certificate_is_whole() {
    let text = format!(
        "version: 1\nclients:\n  acme:\n    certificates:\n      - sha256: {CERTIFICATE}\n    secrets: [{{ sha256: {HASH} }}]\n"
    );
    assert_eq!(shown(&text), text.replace(HASH, CUT));
}

#[test]
fn what_is_shown_comes_back_as_the_policies_in_force() {
    let files =
        [("a.yaml", with_secret(HASH)), ("teams/b.yaml", "version: 1\nscopes: { x: x }\n".to_owned())];
    let files = files.each_ref().map(|(name, text)| (*name, text.as_str()));
    let (dir, snapshot) = in_force(&files);
    // the disk says something else by now
    fs::write(dir.path().join("a.yaml"), "version: 1\n").unwrap();
    let back = snapshot.shown_texts().files.into_iter().map(|file| (file.name, file.text)).collect();
    let edited = snapshot.edited(back).unwrap();
    assert_eq!(edited.hash(), snapshot.policies.hash());
    assert_eq!(edited.texts().collect::<Vec<_>>(), snapshot.sources().texts().collect::<Vec<_>>());
    let policies = PolicySet::compile(&edited, &surroundings(DemoSecrets::Allowed), now()).unwrap();
    assert_eq!(policies.clients().find("acme"), snapshot.policies.clients().find("acme"));
}

#[test]
fn a_cut_hash_of_another_client_is_its_own_only_if_it_is_clear() {
    let other = format!("{}{}", &HASH[..8], "7".repeat(56));
    let two = |a: &str, b: &str| {
        format!(
            "version: 1\nclients:\n  a: {{ secrets: [{{ sha256: {a} }}] }}\n  b: {{ secrets: [{{ sha256: {b} }}] }}\n"
        )
    };
    let (dir, snapshot) = in_force(&[("a.yaml", &two(HASH, &other))]);
    let edited = |text: &str| {
        let edited = snapshot.edited(vec![(name(&dir, "a.yaml"), text.to_owned())]).unwrap();
        edited.texts().next().unwrap().1.to_owned()
    };
    assert_eq!(edited(&two(CUT, CUT)), two(HASH, &other));
    let renamed = two(CUT, CUT).replace("  a:", "  c:");
    assert_eq!(edited(&renamed), two(CUT, &other).replace("  a:", "  c:"), "two begin alike");
    let (dir, snapshot) = in_force(&[("a.yaml", &with_secret(HASH))]);
    let renamed = with_secret(CUT).replace("acme", "acme-2");
    let edited = snapshot.edited(vec![(name(&dir, "a.yaml"), renamed)]).unwrap();
    assert_eq!(edited.texts().next().unwrap().1, with_secret(HASH).replace("acme", "acme-2"));
}

#[test]
fn edited_texts_keep_the_files_of_public_keys() {
    let jwk = r#"{"kty":"OKP","crv":"Ed25519","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}"#;
    let text = "version: 1\nclients:\n  acme:\n    public_keys: [{ file: acme.jwk }]\n";
    let (dir, snapshot) = in_force(&[("a.yaml", text), ("acme.jwk", jwk)]);
    let edited = snapshot.edited(vec![(name(&dir, "a.yaml"), text.to_owned())]).unwrap();
    assert_eq!(edited.hash(), snapshot.policies.hash());
    let policies = PolicySet::compile(&edited, &surroundings(DemoSecrets::Allowed), now()).unwrap();
    assert_eq!(policies.clients().find("acme").unwrap().public_keys.len(), 1);
}

#[test]
fn names_lie_below_the_folder() {
    let (dir, snapshot) = in_force(&[("a.yaml", "version: 1\n")]);
    let text = || "version: 1\n".to_owned();
    for (given, is) in [("b.yaml", "b.yaml"), ("teams/b.yaml", "teams/b.yaml"), ("./b.yaml", "b.yaml")] {
        let edited = snapshot.edited(vec![(given.to_owned(), text())]).unwrap();
        assert_eq!(edited.texts().next().unwrap().0, name(&dir, is), "{given}");
    }
    let long = Path::new("a").join(".hidden.yaml").display().to_string();
    for (given, message) in [
        ("../b.yaml", "is not below the policies folder"),
        ("a/../b.yaml", "is not below the policies folder"),
        ("/etc/b.yaml", "is not below the policies folder"),
        (".b.yaml", "is hidden"),
        (".git/b.yaml", "is hidden"),
        (&long, "is hidden"),
        ("b.yml", "is not the name of a policy file"),
        ("b", "is not the name of a policy file"),
        ("", "is not the name of a policy file"),
        (".yaml", "is hidden"),
    ] {
        let findings = snapshot.edited(vec![(given.to_owned(), text())]).unwrap_err();
        assert_eq!(findings.0.len(), 1, "{given}: {findings}");
        assert_eq!((findings.0[0].file.as_str(), findings.0[0].message.as_str()), (given, message));
        assert!(findings.0[0].hint.is_some());
    }
    let twice = snapshot.edited(vec![("b.yaml".to_owned(), text()), (name(&dir, "b.yaml"), text())]);
    assert_eq!(twice.unwrap_err().0[0].message, "is given twice");
    assert_eq!(snapshot.edited(Vec::new()).unwrap_err().0[0].message, "holds no `*.yaml` file");
}

const RULES: &str = "version: 1
scopes: { s: x }
apis:
  orders:
    audience: https://orders.example.com
    rules:
      # who asks whether it runs
      # is let in
      health:
        routes: [GET /health]
        public: true      # no token

        # that was all
      # reads
      'read it':
        routes:
          - GET /orders

        require: { scope: s }

      # nothing but this

      last: { routes: [GET /last], require: { scope: s } }
      one: { routes: [GET /one], require: { scope: s } }
    guarantees: {}
";

#[test]
fn a_rule_has_its_lines() {
    let (dir, snapshot) = in_force(&[("a.yaml", RULES)]);
    for (rule, line, first, count) in
        [("health", 9, 7, 7), ("read it", 15, 14, 6), ("last", 23, 23, 1), ("one", 24, 24, 1)]
    {
        let found = snapshot.rule_text("orders", rule).unwrap();
        assert_eq!((found.place.line, found.place.file.clone()), (line, name(&dir, "a.yaml")), "{rule}");
        let lines: Vec<_> = found.text.iter().map(|line| (line.line, line.text.as_str())).collect();
        let expected = RULES.lines().enumerate().map(|(at, text)| (at + 1, text));
        assert_eq!(lines, expected.skip(first - 1).take(count).collect::<Vec<_>>(), "{rule}");
    }
    assert_eq!(snapshot.rule_text("orders", "none"), None);
    assert_eq!(snapshot.rule_text("none", "health"), None);
    // built in, and in no file of the folder
    let built_in = snapshot.rule_text("jeton", "principal").unwrap();
    assert_eq!(built_in.place.file, "built-in/jeton.yaml");
    assert!(built_in.text.iter().any(|line| line.text.contains("GET /principal")), "{built_in:?}");
}

#[test]
fn a_rule_on_the_line_of_a_secret_shows_no_hash() {
    let text = format!(
        "{{ version: 1, apis: {{ o: {{ audience: 'https://o.example', rules: {{ r: {{ routes: ['GET /x'], public: true }} }} }} }}, \
         clients: {{ acme: {{ secrets: [{{ sha256: {HASH} }}] }} }} }}\n"
    );
    let (_dir, snapshot) = in_force(&[("a.yaml", &text)]);
    let found = snapshot.rule_text("o", "r").unwrap();
    assert_eq!(found.text[0].text, text.replace(HASH, CUT).trim_end());
}
