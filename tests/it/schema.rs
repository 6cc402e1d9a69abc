//! The JSON Schema of a policy file against the parser, which has the last word.
//!
//! What the schema refuses, the parser must refuse; and what is wrong with the shape of one file alone, the
//! schema should refuse.
mod everything;

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
    sync::OnceLock,
};

use jeton_policy::{DemoSecrets, FindingCode, Findings, PolicySet, PolicySources, Severity};
use jsonschema::{Validator, draft202012};
use proptest::{collection::vec, prelude::*, sample::select};
use serde_json::{Value, json};

use self::everything::everything;
use crate::{
    binary::Workplace,
    policy_text::{cases, compile, compile_folder, now, surroundings},
    support::key_fixture,
};

const COMMITTED: &str = "policies/policy.schema.json";
const RENEW: &str = "cargo run --quiet -- policies schema > policies/policy.schema.json";

/// The schema as the library makes it.
fn validator() -> &'static Validator {
    static VALIDATOR: OnceLock<Validator> = OnceLock::new();
    VALIDATOR.get_or_init(|| jsonschema::validator_for(&jeton_policy::schema()).unwrap())
}

/// What the schema has against a document, one line each.
fn refusals(document: &Value) -> Vec<String> {
    let errors = validator().iter_errors(document);
    errors.map(|error| format!("{}: {error}", error.instance_path())).collect()
}

/// A policy file as other programs read it, by the core schema of YAML 1.2 (section 10.3).
fn read_yaml(path: &Path) -> Option<Value> {
    let options = serde_saphyr::options! { strict_booleans: true };
    serde_saphyr::from_slice_with_options(&fs::read(path).ok()?, options).ok()
}

fn yaml_files(dir: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files.extend(yaml_files(&path));
        } else if path.extension().is_some_and(|extension| extension == "yaml") {
            files.push(path);
        }
    }
    files.sort();
    files
}

/// What the schema must say of a file with a finding.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Expected {
    /// The shape is right, as far as this finding goes.
    Accepts,
    /// A rule of which a part is regular.
    Either,
    Refuses,
    /// There is no document to judge, or another program reads another one.
    Nothing,
}

fn expected(code: FindingCode) -> Expected {
    match code {
        FindingCode::UnknownKey
        | FindingCode::WrongType
        | FindingCode::Missing
        | FindingCode::BadVersion
        | FindingCode::BadName
        | FindingCode::BadRequirement
        | FindingCode::BadRate
        | FindingCode::BadClaim => Expected::Refuses,
        FindingCode::BadRoute
        | FindingCode::BadAudience
        | FindingCode::BadSecret
        | FindingCode::BadPublicKey
        | FindingCode::BadCertificate
        | FindingCode::BadIssuer
        | FindingCode::OpenFederation
        | FindingCode::BadTime
        | FindingCode::BadDuration => Expected::Either,
        FindingCode::DuplicateName
        | FindingCode::UnknownScope
        | FindingCode::UnknownRole
        | FindingCode::UnknownApi
        | FindingCode::UnknownClient
        | FindingCode::UnknownIssuer
        | FindingCode::DuplicateIssuer
        | FindingCode::AmbiguousFederation
        | FindingCode::DuplicateRoute
        | FindingCode::DeadRule
        | FindingCode::UnknownParameter
        | FindingCode::DuplicateAudience
        | FindingCode::TtlTooLong
        | FindingCode::DemoSecret
        | FindingCode::Anonymous
        | FindingCode::PassedOver
        | FindingCode::TooComplex
        | FindingCode::IdleGuarantee
        | FindingCode::GuaranteeGap
        | FindingCode::UnusedScope
        | FindingCode::UnreachableRoute
        | FindingCode::NoCredentials
        | FindingCode::ExpiringCertificate
        | FindingCode::RecyclableName
        | FindingCode::ImpossibleFederation
        | FindingCode::UnusedIssuer
        | FindingCode::PublicBundle
        | FindingCode::UnaskedPdp
        | FindingCode::PublicCatchAll
        | FindingCode::MethodHole
        | FindingCode::TypeMismatch
        | FindingCode::OpenVerb
        | FindingCode::LookAlike
        | FindingCode::BrokenGuarantee
        | FindingCode::FailedTest => Expected::Accepts,
        FindingCode::Unreadable
        | FindingCode::YamlSyntax
        | FindingCode::YamlFeature
        | FindingCode::DuplicateKey => Expected::Nothing,
    }
}

/// What the schema must say of the file with these findings.
fn expected_of(codes: &[FindingCode]) -> Expected {
    codes.iter().map(|code| expected(*code)).max().unwrap_or(Expected::Accepts)
}

/// Holds that the schema says of a document what it must, given what the parser found in it.
#[track_caller]
fn agrees(what: &str, document: &Value, codes: &[FindingCode]) {
    let refusals = refusals(document);
    match expected_of(codes) {
        Expected::Accepts => assert!(refusals.is_empty(), "{what}: refused, found {codes:?}: {refusals:#?}"),
        Expected::Refuses => assert!(!refusals.is_empty(), "{what}: accepted, found {codes:?}: {document}"),
        Expected::Either | Expected::Nothing => {}
    }
}

fn error_codes(findings: &Findings) -> Vec<FindingCode> {
    let errors = findings.0.iter().filter(|finding| finding.severity == Severity::Error);
    errors.map(|finding| finding.code).collect()
}

/// A public key of the fixtures.
fn public_key(name: &str) -> String {
    fs::read_to_string(key_fixture("public").join(name)).unwrap()
}

/// What the parser finds wrong with a document. JSON is YAML, once it is ASCII without DEL.
fn codes_of(document: &Value) -> Vec<FindingCode> {
    let escaped =
        |c: char| if matches!(c, ' '..='~') { c.to_string() } else { format!("\\U{:08x}", u32::from(c)) };
    let text: String = document.to_string().chars().map(escaped).collect();
    // beside a file of keys
    let files = [("policies.yaml", text.into_bytes()), ("rsa.pem", public_key("rsa.pem").into_bytes())];
    let files = files.map(|(name, bytes)| (PathBuf::from(name), bytes)).into();
    PolicySources::of_files(Path::new("p"), files)
        .and_then(|sources| PolicySet::compile(&sources, &surroundings(DemoSecrets::Allowed), now()))
        .map_or_else(|findings| error_codes(&findings), |_| Vec::new())
}

#[test]
fn the_committed_file_is_what_the_command_prints() {
    let printed = Workplace::empty().run(&["policies", "schema"]).exits(0);
    assert_eq!(printed.stderr, "");
    let committed = fs::read_to_string(COMMITTED).unwrap_or_default();
    assert!(
        committed == printed.stdout,
        "{COMMITTED} is not what `policies schema` prints; renew it: {RENEW}"
    );
}

#[test]
fn it_is_a_schema_of_draft_2020_12() {
    let schema = jeton_policy::schema();
    draft202012::meta::validate(&schema).unwrap();
    assert_eq!(schema["$schema"], "https://json-schema.org/draft/2020-12/schema");
    assert_eq!(schema["title"], "jeton policy file");
}

/// Every key of every map, with what an editor shows of it.
fn properties() -> Vec<(String, Value)> {
    let schema = jeton_policy::schema();
    let maps = schema["$defs"].as_object().unwrap().values().chain([&schema]);
    let properties = maps.filter(|map| map["additionalProperties"] == false);
    let properties = properties.flat_map(|map| map["properties"].as_object().unwrap().clone());
    properties.collect()
}

#[test]
fn every_key_is_described() {
    let bare: Vec<_> = properties().into_iter().filter(|(_, it)| !it["description"].is_string()).collect();
    assert!(bare.is_empty(), "{bare:#?}");
}

#[test]
fn every_map_of_known_keys_refuses_others() {
    let schema = jeton_policy::schema();
    for (name, part) in schema["$defs"].as_object().unwrap() {
        if part.get("properties").is_some() {
            assert_eq!(part["additionalProperties"], false, "{name}");
        }
    }
}

#[test]
fn the_sample_and_the_good_fixtures_are_valid() {
    let folders = ["policies", "crates/policy/tests/fixtures/policies/good"];
    let files: Vec<_> = folders.iter().flat_map(|folder| yaml_files(Path::new(folder))).collect();
    assert_eq!(files.len(), 6);
    for file in files {
        let document = read_yaml(&file).unwrap();
        assert_eq!(refusals(&document), Vec::<String>::new(), "{}", file.display());
    }
}

/// Editors find the schema by this line.
#[test]
fn the_sample_names_its_schema() {
    for file in yaml_files(Path::new("policies")) {
        let text = fs::read_to_string(&file).unwrap();
        assert!(
            text.starts_with("# yaml-language-server: $schema=policy.schema.json\n"),
            "{}",
            file.display()
        );
    }
}

/// Each file of the broken corpus, judged by what the parser finds in that file.
#[test]
fn of_the_broken_corpus_what_is_wrong_in_shape_is_refused() {
    let mut seen = Vec::new();
    for folder in fs::read_dir("crates/policy/tests/fixtures/policies/broken").unwrap() {
        let folder = folder.unwrap().path();
        let findings = compile_folder(&folder, DemoSecrets::Refused).unwrap_err();
        for file in yaml_files(&folder) {
            let name = file.display().to_string();
            let of_file = findings.0.iter().filter(|finding| finding.file == name).cloned().collect();
            let codes = error_codes(&Findings(of_file));
            let expected = expected_of(&codes);
            if expected != Expected::Nothing {
                let document = read_yaml(&file).unwrap_or_else(|| panic!("{name} is not read"));
                agrees(&name, &document, &codes);
            }
            seen.push(expected);
        }
    }
    let count = |wanted| seen.iter().filter(|expected| **expected == wanted).count();
    assert!(count(Expected::Refuses) >= 35, "{} are refused", count(Expected::Refuses));
    assert!(count(Expected::Accepts) >= 25, "{} are accepted", count(Expected::Accepts));
}

/// The places of a document, as JSON pointers (RFC 6901).
fn pointers(value: &Value, here: &str, into: &mut Vec<String>) {
    into.push(here.to_owned());
    match value {
        Value::Object(map) => {
            for (key, value) in map {
                pointers(value, &format!("{here}/{}", key.replace('~', "~0").replace('/', "~1")), into);
            }
        }
        Value::Array(items) => {
            for (position, item) in items.iter().enumerate() {
                pointers(item, &format!("{here}/{position}"), into);
            }
        }
        _ => {}
    }
}

/// The document without what stands at a place.
fn without(document: &Value, pointer: &str) -> Option<Value> {
    let mut document = document.clone();
    let (parent, key) = pointer.rsplit_once('/')?;
    match document.pointer_mut(parent)? {
        Value::Object(map) => drop(map.remove(key)?),
        Value::Array(items) => drop(items.remove(key.parse().ok()?)),
        _ => return None,
    }
    Some(document)
}

#[test]
fn a_file_with_every_key_is_good() {
    let document = everything();
    assert_eq!(codes_of(&document), []);
    agrees("everything", &document, &[]);
    let mut places = Vec::new();
    pointers(&document, "", &mut places);
    let used: BTreeSet<_> = places.iter().filter_map(|place| place.rsplit('/').next()).collect();
    let unused: Vec<_> = properties().into_iter().filter(|(key, _)| !used.contains(key.as_str())).collect();
    assert!(unused.is_empty(), "`everything` lacks {unused:#?}");
}

/// Whatever else stands in whichever place, the two agree.
#[test]
fn a_file_with_one_change_is_refused_by_both_or_by_neither() {
    let document = everything();
    let mut places = Vec::new();
    pointers(&document, "", &mut places);
    // no empty text: the parser has nothing to say of what refers to a name that cannot be, but that there is none
    let values = [
        "null",
        "true",
        "false",
        "1",
        "2.5",
        r#""x""#,
        r#""1""#,
        r#""true""#,
        "[]",
        "[null]",
        "[{}]",
        "{}",
        r#"{"x":null}"#,
    ];
    let values = values.map(|value| serde_json::from_str::<Value>(value).unwrap());
    let mut changes = 0;
    for place in &places {
        let mut variants: Vec<_> = without(&document, place).into_iter().collect();
        for value in &values {
            let mut document = document.clone();
            *document.pointer_mut(place).unwrap() = value.clone();
            variants.push(document);
        }
        if document.pointer(place).unwrap().is_object() {
            let mut document = document.clone();
            document.pointer_mut(place).unwrap()["unknown"] = json!({});
            variants.push(document);
        }
        for document in variants {
            agrees(&format!("{place} changed in {document}"), &document, &codes_of(&document));
            changes += 1;
        }
    }
    assert!(changes > 1500, "only {changes}");
}

/// A file in which this is the name of a thing of some kind.
fn named(kind: &str, name: &str) -> Value {
    let api = json!({ "audience": "https://x.example.com" });
    match kind {
        "scope" => json!({ "version": 1, "scopes": { name: "x" }, "roles": { "x": [name] } }),
        "role" => json!({ "version": 1, "scopes": { "x": "x" }, "roles": { name: ["x"] } }),
        "client" => json!({ "version": 1, "clients": { name: {} } }),
        "api" => json!({ "version": 1, "apis": { name: api } }),
        "audience" => json!({ "version": 1, "apis": { "x": { "audience": name } } }),
        "claim" => json!({ "version": 1, "clients": { "x": { "claims": { name: "x" } } } }),
        "compared" => {
            let require = json!({ "claims": { name: { "is": "x" } } });
            let rules = json!({ "x": { "routes": ["GET /x"], "require": require } });
            json!({ "version": 1, "apis": { "x": { "audience": "https://x.example.com", "rules": rules } } })
        }
        "sha256" => json!({ "version": 1, "clients": { "x": { "secrets": [{ "sha256": name }] } } }),
        "ttl" | "limit" => json!({ "version": 1, "clients": { "x": { kind: name } } }),
        _ => {
            let rules = json!({ "x": { "routes": [name], "public": true } });
            json!({ "version": 1, "apis": { "x": { "audience": "https://x.example.com", "rules": rules } } })
        }
    }
}

/// Holds that both take this name, or neither.
#[track_caller]
fn named_alike(kind: &str, name: &str) {
    let document = named(kind, name);
    let (codes, refusals) = (codes_of(&document), refusals(&document));
    assert_eq!(codes.is_empty(), refusals.is_empty(), "{kind} {name:?}: {codes:?} and {refusals:#?}");
}

/// A pattern is the rule of its kind, character by character.
#[test]
fn names_are_judged_alike() {
    let kinds = ["scope", "role", "client", "api", "audience", "claim", "compared"];
    for kind in kinds {
        for c in ('\0'..='\u{17f}').chain(['\u{2028}', '\u{fffd}', '\u{1f511}']) {
            named_alike(kind, &format!("a{c}a"));
        }
        for name in ["", "a", "-", "1", "true", "null", "~", &"a".repeat(512)] {
            named_alike(kind, name);
        }
    }
    for kind in &kinds[..5] {
        named_alike(kind, &"a".repeat(513));
    }
    for name in ["iss", "scope", "roles", "exchanges", "Iss", "tenant", "sub", "/sub", "/x"] {
        named_alike("claim", name);
        named_alike("compared", name);
    }
    for name in [
        "/", "//", "/a", "/a/b", "/a/0", "/a~0", "/a~1b", "/a~", "/a~2", "/~", "~", "a~b", "a/b", "/iss",
        "/iss/x", "/issx", "/x/iss", "/cnf/jkt", "/aud/0", "/exp~0", "/ sub",
    ] {
        named_alike("compared", name);
    }
}

#[test]
fn hashes_durations_and_rates_are_judged_alike() {
    for hash in
        ["0a".repeat(32), "0A".repeat(32), "01".repeat(32), "0a".repeat(31), "0a".repeat(33), "0g".repeat(32)]
    {
        named_alike("sha256", &hash);
    }
    for ttl in
        ["90s", "015m", "1h", "1d", "", "s", "90", "-1s", "+1s", "1.5h", "1 h", "1H", "1w", "1h30m", " 1h"]
    {
        named_alike("ttl", ttl);
    }
    for limit in [
        "off", "1/s", "007/m", "0/s", "00/s", "1/d", "/s", "1", "", "Off", "-1/s", "1.5/s", "1 /s", " 1/s",
        "1/s ", "1/s/s", "30/min", "999999/s",
    ] {
        named_alike("limit", limit);
    }
    for limit in ["1000000/h", "01000000/h", "1000001/h", "9999999/s"] {
        named_alike("limit", limit);
    }
    // a number to YAML, and 64 digits to the parser
    let digits =
        format!("version: 1\nclients: {{ x: {{ secrets: [ {{ sha256: {} }} ] }} }}\n", "12".repeat(32));
    assert!(compile(&digits).is_ok());
    assert_eq!(refusals(&serde_saphyr::from_str(&digits).unwrap()), Vec::<String>::new());
}

#[test]
fn routes_are_judged_alike() {
    for method in [
        "GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "ANY", "TRACE", "CONNECT", "get", "*", "",
    ] {
        named_alike("route", &format!("{method} /orders"));
    }
    for path in [
        "/",
        "/a",
        "/a/",
        "/a/b",
        "//",
        "/a//b",
        "",
        "a",
        "/**",
        "/a/**",
        "/**/a",
        "/a**",
        "/**/",
        "/{a}",
        "/{a}/",
        "/a/**/",
        "/**//",
        "/**/**",
        "/**/**/",
        "/{a}/**/",
        "/{a}:b",
        "/{a}.b",
        "/{a}.tar.gz",
        "/{a}:b.c/d",
        "/{a}:",
        "/{a}.",
        "/{a}..",
        "/{a}b",
        "/{a}-b",
        "/a{a}",
        "/{a}{b}",
        "/{a}.{b}",
        "/{a}:*",
        "/{a}.**",
        "/{a};b",
        "/{a}:b%2F",
        "/{a}.(c|d)",
        "/:a",
        "/a:b",
        "/a/:b",
        "/a/b:",
        "/<a>",
        "/a<b",
        "/a<b/c>",
        "/a<b>c",
        "/[a]",
        "/a[",
        "/]a[",
        "/a[]",
        "/[a/b]",
        "/(a|b)",
        "/(a)",
        "/a|b",
        "/(a/|b)",
        "/)a|b(",
        "/$metadata",
        "/*",
        "/{a*}",
        "/{+a}",
        "/{a+}",
        "/{a...}",
        "/{*a}",
    ] {
        named_alike("route", &format!("GET {path}"));
    }
}

proptest! {
    #![proptest_config(cases(2048))]

    #[test]
    fn any_route_is_judged_alike(
        method in select(vec!["GET /", "ANY /", "GET ", "GET", "TRACE /"]),
        pieces in vec(select(vec![
            "/", "/", "a", ".", "..", "**", "*", "{a}", "{a-1_Z}", "{", "}", "{}", " ", "é", "%", ";", "?", "#", "\\", "\"",
            "\0", "\u{1f}", "\u{7f}", "\u{9f}", "\u{a0}", ":", ":x", ".g", "<", "<", "<a>", "[a]", ">", "[", "]", "(", "|", ")", "**/",
        ]), 0..8),
    ) {
        let route = format!("{method}{}", pieces.concat());
        // that a name stands twice is not regular
        prop_assume!(route.matches("{a}").count() < 2 && route.matches("{a-1_Z}").count() < 2);
        named_alike("route", &route);
    }
}

/// As far as validators hold numbers apart: many read them as binary floating point.
#[test]
fn whole_numbers_of_more_than_64_bits_are_refused() {
    let compared = |number: &str| -> Value {
        let file = named("compared", "tenant").to_string().replace("\"x\"}", &format!("{number}}}"));
        serde_json::from_str(&file).unwrap()
    };
    for number in ["18446744073709551615", "-9223372036854775808", "0"] {
        assert!(refusals(&compared(number)).is_empty(), "{number}");
    }
    for number in ["18446744073709551616", "-9223372036854780000", "1e30", "0.5"] {
        assert!(!refusals(&compared(number)).is_empty(), "{number}");
    }
}
