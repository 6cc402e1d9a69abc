//! What an operator reads of policies that load and look odd: one folder, one snapshot. And what is not odd.
use std::{collections::BTreeSet, fs, path::Path};

use jeton_policy::{DemoSecrets, FindingCode, Findings, Severity};

use crate::policy_text::{compile_folder, compile_good};

const WARNED: &str = "tests/fixtures/policies/warned";
const SILENT: &str = "tests/fixtures/policies/silent";

/// The codes of what an operator should look at, though the policies load.
pub(crate) const CODES: [FindingCode; 17] = [
    FindingCode::IdleGuarantee,
    FindingCode::GuaranteeGap,
    FindingCode::PassedOver,
    FindingCode::UnusedScope,
    FindingCode::UnreachableRoute,
    FindingCode::NoCredentials,
    FindingCode::ExpiringCertificate,
    FindingCode::RecyclableName,
    FindingCode::ImpossibleFederation,
    FindingCode::UnusedIssuer,
    FindingCode::UnaskedPdp,
    FindingCode::PublicCatchAll,
    FindingCode::PublicBundle,
    FindingCode::MethodHole,
    FindingCode::TypeMismatch,
    FindingCode::OpenVerb,
    FindingCode::LookAlike,
];

/// The folders below one, each with what is warned of.
#[track_caller]
fn folders(corpus: &str, at_least: usize) -> Vec<(String, Findings)> {
    let entries = fs::read_dir(corpus).unwrap();
    let mut names: Vec<_> = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    assert!(names.len() >= at_least, "only {} cases in {corpus}", names.len());
    names.into_iter().map(|name| (name.clone(), warnings_of(&Path::new(corpus).join(name)))).collect()
}

#[track_caller]
fn warnings_of(folder: &Path) -> Findings {
    let policies = compile_folder(folder, DemoSecrets::Allowed)
        .unwrap_or_else(|findings| panic!("{} must load:\n{findings}", folder.display()));
    policies.warnings().clone()
}

fn warned() -> Vec<(String, Findings)> {
    folders(WARNED, 11)
}

#[test]
fn each_warned_folder_loads_and_is_explained() {
    for (name, warnings) in warned() {
        assert!(!warnings.0.is_empty(), "{name}: nothing is warned of");
        insta::assert_snapshot!(name, warnings.to_string());
    }
}

#[test]
fn the_corpus_holds_every_warning() {
    let found: BTreeSet<_> =
        warned().into_iter().flat_map(|(_, warnings)| warnings.0).map(|warning| warning.code).collect();
    assert_eq!(found, BTreeSet::from(CODES));
}

#[test]
fn a_warning_has_a_place_a_fix_and_one_line_each() {
    for (name, warnings) in warned() {
        for warning in &warnings.0 {
            assert_eq!(warning.severity, Severity::Warning, "{name}: {warning}");
            let is_whole_file = warning.code == FindingCode::PassedOver;
            assert_eq!((warning.line == 0, warning.column == 0), (is_whole_file, is_whole_file), "{warning}");
            let hint = warning.hint.as_ref().unwrap_or_else(|| panic!("{name}: no fix: {warning}"));
            for text in [&warning.message, hint] {
                assert!(!text.contains(char::is_control), "{name}: {text:?}");
            }
        }
    }
}

/// The place is that of the scope, route, API or client which the message names.
#[test]
fn a_warning_points_at_what_it_names() {
    let is_about_another_request =
        |code: FindingCode| matches!(code, FindingCode::MethodHole | FindingCode::LookAlike);
    for (name, warnings) in warned() {
        for warning in warnings.0.iter().filter(|warning| warning.line > 0) {
            let text = fs::read_to_string(&warning.file).unwrap();
            let line = text.lines().nth(warning.line - 1).unwrap();
            let meant: String = line.chars().skip(warning.column - 1).collect();
            let meant = meant.trim_start_matches('"');
            let mut named = warning.message.split('`').skip(1).step_by(2);
            if is_about_another_request(warning.code) {
                assert!(
                    meant.split_once(' ').is_some_and(|(_, path)| path.starts_with('/')),
                    "{name}: {warning}"
                );
            } else {
                assert!(named.any(|named| meant.starts_with(named)), "{name}: {warning}");
            }
        }
    }
}

#[test]
fn what_is_in_order_is_not_warned_of() {
    for (name, warnings) in folders(SILENT, 11) {
        assert!(warnings.0.is_empty(), "{name}:\n{warnings}");
    }
    assert_eq!(warnings_of(Path::new("../../policies")).to_string(), "");
}

/// The codes of a folder's warnings with their lines and columns.
#[track_caller]
fn found(name: &str, expected: &[(FindingCode, usize, usize)]) {
    let warnings = warnings_of(&Path::new(WARNED).join(name));
    let places: Vec<_> =
        warnings.0.iter().map(|warning| (warning.code, warning.line, warning.column)).collect();
    assert_eq!(places, expected, "{name}\n{warnings}");
}

#[test]
fn warnings_stand_where_the_mistake_is() {
    found("unused-scope", &[(FindingCode::UnusedScope, 5, 3), (FindingCode::UnusedScope, 6, 3)]);
    // once, not for each route
    found("no-client-at-all", &[(FindingCode::UnreachableRoute, 7, 3)]);
    found("no-grant-for-the-api", &[(FindingCode::UnreachableRoute, 16, 3)]);
    found(
        "no-credentials",
        &[
            (FindingCode::NoCredentials, 17, 3),
            (FindingCode::NoCredentials, 20, 3),
            (FindingCode::NoCredentials, 22, 3),
            (FindingCode::NoCredentials, 25, 3),
        ],
    );
    found("unasked-pdp", &[(FindingCode::UnaskedPdp, 8, 10)]);
    found(
        "public-catch-all",
        &[
            (FindingCode::PublicCatchAll, 12, 13),
            (FindingCode::PublicCatchAll, 13, 13),
            (FindingCode::PublicCatchAll, 17, 13),
            (FindingCode::MethodHole, 21, 13),
        ],
    );
    found("public-bundle", &[(FindingCode::PublicBundle, 8, 13)]);
    found(
        "method-hole",
        &[
            (FindingCode::MethodHole, 13, 13),
            (FindingCode::MethodHole, 23, 13),
            (FindingCode::MethodHole, 35, 13),
            (FindingCode::LookAlike, 35, 13),
        ],
    );
    found(
        "look-alike",
        &[
            (FindingCode::LookAlike, 18, 13),
            (FindingCode::LookAlike, 19, 13),
            (FindingCode::LookAlike, 24, 13),
        ],
    );
    found(
        "look-alike-parameter",
        &[
            (FindingCode::LookAlike, 20, 13),
            (FindingCode::LookAlike, 21, 13),
            (FindingCode::LookAlike, 22, 13),
        ],
    );
    found(
        "look-alike-slash",
        &[
            (FindingCode::LookAlike, 19, 13),
            (FindingCode::LookAlike, 19, 13),
            (FindingCode::LookAlike, 20, 13),
            (FindingCode::LookAlike, 20, 13),
            (FindingCode::LookAlike, 21, 13),
            (FindingCode::PublicCatchAll, 26, 13),
        ],
    );
    found(
        "open-verb",
        &[(FindingCode::OpenVerb, 13, 13), (FindingCode::OpenVerb, 14, 13), (FindingCode::LookAlike, 21, 13)],
    );
}

/// A verb that several routes have is one verb, and for several methods.
#[test]
fn a_verb_of_several_routes_is_counted_once() {
    let policies = compile_good(
        "version: 1
scopes: { a: a, b: b }
apis:
  x:
    audience: https://x.example.com
    rules:
      r: { routes: ['GET /i/{id}', 'DELETE /i/{id}'], require: { scope: a } }
      v: { routes: ['POST /i/{id}:p', 'GET /i/{id}:p'], require: { scope: b } }
clients: { c: { grants: { x: { scopes: [a, b] } } } }
",
    );
    let told: Vec<_> =
        policies.warnings().0.iter().filter(|warning| warning.code == FindingCode::OpenVerb).collect();
    let [warning] = told[..] else { panic!("{told:?}") };
    assert_eq!(
        warning.message,
        "`DELETE /i/{id}` also decides `DELETE /i/{id}:p`: rule `v` has that path for other methods only (`POST \
         /i/{id}:p`, `GET /i/{id}:p`)"
    );
}
