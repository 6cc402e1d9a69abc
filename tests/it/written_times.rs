//! Times are read in one way wherever they are written: RFC 3339, and what to write for all that only looks like it.
use jeton_policy::FindingCode;

use crate::{
    binary::Workplace,
    policy_text::{compile, compile_good},
};

/// Each with what to write instead, where that can be told.
const NONE: [(&str, &str); 6] = [
    ("2026-10-25T01:30Z", "2026-10-25T01:30:00Z"),
    ("2026-10-25T01:30:00+0200", "2026-10-24T23:30:00Z"),
    ("20261025T013000Z", "2026-10-25T01:30:00Z"),
    ("2026-10-25T01:30:00+24:00", "2026-10-24T01:30:00Z"),
    ("2026-10-25 01:30:00Z", "2026-10-25T01:30:00Z"),
    ("2026-10-25T12:00:60Z", "2026-10-25T12:00:59Z"),
];
const TIMES: [&str; 6] = [
    "9999-12-31T23:59:59Z",
    "2026-10-25t01:30:00z",
    "2026-10-25T01:30:00.000000000001Z",
    "2026-12-31T23:59:60Z",
    "9999-12-31T23:59:59-23:59",
    "2026-10-25T01:30:00+23:59",
];

/// A policy file with a time in each place where one may stand.
fn files(time: &str) -> [String; 3] {
    let hash = "0".repeat(62) + "aa";
    [
        format!("version: 1\nclients: {{ c: {{ secrets: [{{ sha256: '{hash}', expires: '{time}' }}] }} }}\n"),
        format!("version: 1\nclients: {{ c: {{ enabled: false, revoked_before: '{time}' }} }}\n"),
        format!("version: 1\nrevoked_tokens: [{{ jti: j, until: '{time}' }}]\n"),
    ]
}

#[test]
fn policy_files_hold_times_of_rfc_3339() {
    for file in TIMES.iter().flat_map(|time| files(time)) {
        compile_good(&file);
    }
    for (time, instead) in NONE {
        for file in files(time) {
            let findings = compile(&file).expect_err(&file).0;
            let told: Vec<_> = findings.iter().map(|finding| (finding.code, &*finding.message)).collect();
            assert_eq!(told, [(FindingCode::BadTime, &*format!("`{time}` is not a time"))], "{file}");
            assert!(findings[0].hint.as_ref().unwrap().contains(instead), "{findings:?}");
        }
    }
}

#[test]
fn commands_take_times_of_rfc_3339() {
    let workplace = Workplace::new();
    workplace.write("policies/a.yaml", "version: 1\nclients:\n  c:\n    enabled: false\n");
    for (time, instead) in NONE {
        for arguments in
            [["token", "revoke", "j", "--until", time], ["clients", "revoke", "c", "--before", time]]
        {
            let run = workplace.run(&arguments).says(&[instead]);
            assert_eq!(run.code, Some(2), "{run:#?}");
        }
    }
    workplace.run(&["token", "revoke", "j", "--until", "9999-12-31T23:59:59Z"]).exits(0);
    workplace.run(&["clients", "revoke", "c", "--before", "9999-12-31T23:59:59Z"]).exits(0);
    workplace.run(&["policies", "check"]).exits(0);
    let written = workplace.read("policies/a.yaml") + &workplace.read("policies/revoked.yaml");
    assert_eq!(written.matches("9999-12-30T22:00:00Z").count(), 2, "the last that can be told: {written}");
}

#[test]
fn the_keyring_holds_times_of_rfc_3339() {
    let workplace = Workplace::sample();
    let keyring = workplace.read("keys/keyring.yaml");
    let created = "2026-01-01T00:00:00Z";
    assert!(keyring.contains(created), "{keyring}");
    for (time, instead) in NONE {
        workplace.write("keys/keyring.yaml", &keyring.replace(created, time));
        let says = [&*format!("`{time}` is not a time"), instead];
        workplace.run(&["keys", "list"]).exits(1).says(&says);
    }
    workplace.write("keys/keyring.yaml", &keyring.replace(created, "2026-01-01t00:00:00.5+00:00"));
    workplace.run(&["keys", "list"]).exits(0);
    // it signs from then on, and is the only one
    workplace.write("keys/keyring.yaml", &keyring.replace(created, "9999-12-31T23:59:59Z"));
    workplace.run(&["keys", "list"]).exits(0);
}
