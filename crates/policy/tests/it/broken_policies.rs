//! What an operator reads of broken policies: one folder, one snapshot.
//!
//! Paths are relative and tests run in the root of the crate, so that the findings say the same everywhere.
use std::{collections::BTreeSet, fs, path::Path};

use jeton_policy::{DemoSecrets, FindingCode, Findings, Severity};

use crate::{policy_text::compile_folder, warned_policies::CODES as WARNINGS};

const CORPUS: &str = "tests/fixtures/policies/broken";

/// Every code that the content of a file can come to.
const CODES: [FindingCode; 39] = [
    FindingCode::TooComplex,
    FindingCode::Unreadable,
    FindingCode::YamlSyntax,
    FindingCode::YamlFeature,
    FindingCode::DuplicateKey,
    FindingCode::UnknownKey,
    FindingCode::WrongType,
    FindingCode::Missing,
    FindingCode::BadVersion,
    FindingCode::BadName,
    FindingCode::DuplicateName,
    FindingCode::UnknownScope,
    FindingCode::UnknownRole,
    FindingCode::UnknownApi,
    FindingCode::UnknownClient,
    FindingCode::UnknownIssuer,
    FindingCode::BadIssuer,
    FindingCode::DuplicateIssuer,
    FindingCode::OpenFederation,
    FindingCode::AmbiguousFederation,
    FindingCode::BadRoute,
    FindingCode::DuplicateRoute,
    FindingCode::DeadRule,
    FindingCode::BadRequirement,
    FindingCode::UnknownParameter,
    FindingCode::BadClaim,
    FindingCode::BadAudience,
    FindingCode::DuplicateAudience,
    FindingCode::BadSecret,
    FindingCode::BadPublicKey,
    FindingCode::BadCertificate,
    FindingCode::Anonymous,
    FindingCode::BadTime,
    FindingCode::BadDuration,
    FindingCode::BadRate,
    FindingCode::TtlTooLong,
    FindingCode::DemoSecret,
    FindingCode::BrokenGuarantee,
    FindingCode::FailedTest,
];

/// The names of the corpus.
fn names() -> Vec<String> {
    let entries = fs::read_dir(CORPUS).unwrap();
    let mut names: Vec<_> = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    assert!(names.len() >= 55, "only {} cases", names.len());
    names
}

fn findings_of(name: &str) -> Option<Findings> {
    compile_folder(&Path::new(CORPUS).join(name), DemoSecrets::Refused).err()
}

/// The names of the corpus with what is found.
fn corpus() -> Vec<(String, Findings)> {
    let found = names().into_iter().filter_map(|name| {
        let findings = findings_of(&name)?;
        Some((name, findings))
    });
    found.collect()
}

#[test]
fn no_broken_folder_compiles() {
    let compiling: Vec<_> = names().into_iter().filter(|name| findings_of(name).is_none()).collect();
    assert!(compiling.is_empty(), "{compiling:?}");
}

#[test]
fn each_broken_folder_is_explained() {
    for (name, findings) in corpus() {
        insta::assert_snapshot!(name, findings.to_string());
    }
}

#[test]
fn the_corpus_holds_every_code() {
    let found: BTreeSet<_> =
        corpus().into_iter().flat_map(|(_, findings)| findings.0).map(|finding| finding.code).collect();
    let lacking: Vec<_> = CODES.iter().filter(|code| !found.contains(code)).collect();
    assert!(lacking.is_empty(), "no broken folder for {lacking:?}");
}

#[test]
fn every_finding_has_its_severity_and_a_place_of_a_file() {
    for (name, findings) in corpus() {
        assert!(findings.has_errors(), "{name}");
        for finding in &findings.0 {
            let is_warning = WARNINGS.contains(&finding.code);
            assert_eq!(finding.severity == Severity::Warning, is_warning, "{name}: {finding}");
            assert!(finding.file.starts_with(&format!("{CORPUS}/{name}/")), "{name}: {finding}");
            let text = String::from_utf8_lossy(&fs::read(&finding.file).unwrap()).into_owned();
            let is_whole_file = finding.code == FindingCode::Unreadable;
            assert_eq!(finding.line == 0, is_whole_file, "{name}: {finding}");
            assert_eq!(finding.column == 0, is_whole_file, "{name}: {finding}");
            let lines = text.lines().count().max(1);
            assert!(finding.line <= lines + 1, "{name}: beyond the {lines} lines: {finding}");
        }
    }
}

/// The fix is a part of a finding (DESIGN.md, invariant 6). Syntax errors are the parser's own.
#[test]
fn every_finding_but_bad_syntax_names_the_fix() {
    let lacking: Vec<_> = corpus()
        .into_iter()
        .flat_map(|(_, findings)| findings.0)
        .filter(|finding| finding.hint.is_none() && finding.code != FindingCode::YamlSyntax)
        .filter(|finding| !finding.message.contains("expected ") && !finding.message.contains(": 1 to 512 "))
        .map(|finding| finding.to_string())
        .collect();
    assert!(lacking.is_empty(), "without a fix:\n{}", lacking.join("\n"));
}

/// What stands in a file must not write to the operator's terminal, nor make one finding look like two.
#[test]
fn a_message_is_one_line_without_control_characters() {
    for (name, findings) in corpus() {
        for finding in &findings.0 {
            let texts = [Some(&finding.message), finding.hint.as_ref()];
            for text in texts.into_iter().flatten() {
                assert!(!text.contains(char::is_control), "{name}: {text:?}");
            }
            let shown = finding.to_string();
            let control = |c: char| c.is_control() && c != '\n' && c != '\t';
            assert!(!shown.contains(control), "{name}: {shown:?}");
        }
    }
}

/// The codes of a folder's findings with their lines and columns.
fn places(name: &str) -> Vec<(FindingCode, usize, usize)> {
    let findings = findings_of(name).unwrap();
    findings.0.iter().map(|finding| (finding.code, finding.line, finding.column)).collect()
}

#[track_caller]
fn found(name: &str, expected: &[(FindingCode, usize, usize)]) {
    assert_eq!(places(name), expected, "{name}\n{}", findings_of(name).unwrap());
}

/// One mistake is one finding: what follows from it alone is not said, least of all what is not so.
#[test]
fn a_section_of_the_wrong_kind_does_not_hide_the_version() {
    found("list-for-map", &[(FindingCode::WrongType, 4, 3)]);
}

/// As above; and "write `public: true`" would be the worst advice there is.
#[test]
fn an_alternative_of_the_wrong_kind_is_not_an_empty_list() {
    found("text-for-alternative", &[(FindingCode::WrongType, 14, 13)]);
}

#[test]
fn a_claim_of_the_wrong_kind_is_not_an_empty_alternative() {
    found("claim-text-for-operators", &[(FindingCode::WrongType, 15, 21)]);
}

#[test]
fn an_anchor_is_pointed_at_where_it_stands() {
    found("anchor-and-alias", &[(FindingCode::YamlFeature, 7, 10), (FindingCode::YamlFeature, 8, 9)]);
    assert!(places("merge-key").contains(&(FindingCode::YamlFeature, 4, 9)), "{:?}", places("merge-key"));
}

#[test]
fn a_tag_is_pointed_at_where_it_stands() {
    found("tag", &[(FindingCode::YamlFeature, 4, 16), (FindingCode::YamlFeature, 5, 17)]);
}

/// As the documentation of [`FindingCode::YamlFeature`] has it.
#[test]
fn a_directive_is_a_feature_that_policies_do_not_use() {
    found("directive", &[(FindingCode::YamlFeature, 1, 1)]);
}

#[test]
fn a_secret_without_its_hash_is_pointed_at_itself() {
    found(
        "secret-without-hash",
        &[(FindingCode::Missing, 6, 9), (FindingCode::Missing, 7, 9), (FindingCode::WrongType, 8, 9)],
    );
}

/// DESIGN.md, invariant 7: whoever wrote the secret instead of its hash finds it in no log.
#[test]
fn a_secret_in_place_of_its_hash_is_not_printed() {
    let shown = findings_of("secret-bad").unwrap().to_string();
    assert!(!shown.contains("demo-secret-of-acme-sync"), "{shown}");
}

/// Everything wrong is reported at once, in the order of files and lines, and nothing twice.
#[test]
fn findings_are_sorted_and_distinct() {
    for (name, findings) in corpus() {
        let places: Vec<_> =
            findings.0.iter().map(|finding| (&finding.file, finding.line, finding.column)).collect();
        assert!(places.is_sorted(), "{name}: {places:?}");
        let texts: BTreeSet<_> = findings.0.iter().map(ToString::to_string).collect();
        assert_eq!(texts.len(), findings.0.len(), "{name}: one finding twice");
    }
}

#[test]
fn a_good_folder_compiles() {
    let good = Path::new("tests/fixtures/policies/good");
    let policies = compile_folder(good, DemoSecrets::Refused).unwrap_or_else(|findings| panic!("{findings}"));
    assert_eq!(policies.files().len(), 3);
    assert!(policies.clients().find("acme-sync").is_some());
}

#[test]
fn a_folder_that_is_not_there_is_named() {
    let findings =
        compile_folder(Path::new("tests/fixtures/policies/nowhere"), DemoSecrets::Allowed).unwrap_err();
    assert_eq!(
        findings.to_string(),
        "tests/fixtures/policies/nowhere: error: cannot be read: No such file or directory (os error 2) \
         [unreadable]\n   = help: make it, or set `policies.dir` to where the policies are\n"
    );
}

/// Invariant 7, wherever somebody put the secret.
#[test]
fn no_finding_shows_a_secret() {
    for (name, findings) in corpus() {
        assert!(!findings.to_string().contains("hunter2"), "{name}:\n{findings}");
    }
}
