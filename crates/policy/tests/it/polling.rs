//! What a poll of the folder takes over: only what two polls in a row saw.

use std::{fs, sync::Arc};

use jeton_oauth::clock::SystemClock;
use jeton_policy::{DemoSecrets, LivePolicies, Permissions, PolicyReload, Reload};
use tempfile::TempDir;

use crate::policy_text::surroundings;

const WHOLE: &str = "version: 1\nscopes: { s: x }\napis:\n  a:\n    audience: https://a.example\n    rules:\n      r:\n        \
                     routes: [\"GET /t/{tenant}\"]\n        require:\n          scope: s\n";
const TENANT: &str = "          claims: { tenant: { same_as_path: tenant } }\n";

fn live(text: &str) -> (TempDir, LivePolicies) {
    let dir = TempDir::new().unwrap();
    fs::write(dir.path().join("a.yaml"), text).unwrap();
    let policies =
        LivePolicies::load(dir.path(), surroundings(DemoSecrets::Allowed), Arc::new(SystemClock)).unwrap();
    (dir, policies)
}

/// Whether a bearer of the scope alone gets in.
fn is_open(policies: &LivePolicies) -> bool {
    let bearer = Permissions {
        scopes: ["s"].iter().map(|s| jeton_oauth::Scope::parse(s).unwrap()).collect(),
        ..Permissions::default()
    };
    policies
        .current()
        .policies
        .api("a")
        .unwrap()
        .decide("GET", "/t/acme", Some(&bearer.subject()))
        .is_allowed()
}

#[test]
fn half_a_file_is_never_taken_over() {
    let (dir, policies) = live(&format!("{WHOLE}{TENANT}"));
    let file = dir.path().join("a.yaml");
    // a poll falls between two writes of one save: what is there so far would let everybody in
    fs::write(&file, WHOLE).unwrap();
    assert!(matches!(policies.poll(), Reload::Unsettled));
    fs::write(&file, format!("{WHOLE}{TENANT}# saved\n")).unwrap();
    assert!(matches!(policies.poll(), Reload::Unsettled));
    assert!(!is_open(&policies));
    assert!(matches!(policies.poll(), Reload::Reloaded { .. }), "and stays for the second poll");
    assert!(!is_open(&policies));
}

#[test]
fn a_fault_that_is_gone_at_the_next_poll_is_never_told() {
    let (dir, policies) = live(WHOLE);
    let file = dir.path().join("a.yaml");
    fs::write(&file, "version: 1\nscopes: [").unwrap();
    assert!(matches!(policies.poll(), Reload::Unsettled));
    fs::write(&file, WHOLE).unwrap();
    assert!(matches!(policies.poll(), Reload::Unchanged));
    assert!(policies.last_rejection().is_none());
}

#[test]
fn a_fault_that_stays_is_told_once() {
    let (dir, policies) = live(WHOLE);
    fs::remove_file(dir.path().join("a.yaml")).unwrap();
    assert!(matches!(policies.poll(), Reload::Unsettled));
    assert!(matches!(policies.poll(), Reload::Rejected(_)));
    assert!(matches!(policies.poll(), Reload::StillRejected(_)));
    assert_eq!(policies.rejections(), 1);
    assert!(is_open(&policies), "the last good state serves");
    fs::write(dir.path().join("a.yaml"), WHOLE).unwrap();
    assert!(matches!(policies.poll(), Reload::Restored));
}

/// The next edit would wait until all of it was found again.
#[test]
fn what_was_refused_is_not_looked_at_again_until_it_changes() {
    let (dir, policies) = live(WHOLE);
    let roles: Vec<_> = (0..2_000).map(|role| format!("  r{role}: [gone]\n")).collect();
    let broken = format!("version: 1\nroles:\n{}", roles.concat());
    fs::write(dir.path().join("b.yaml"), &broken).unwrap();
    assert!(matches!(policies.poll(), Reload::Unsettled));
    let work = |expected: fn(&PolicyReload) -> bool| {
        let info = allocation_counter::measure(|| assert!(expected(&policies.poll())));
        info.count_total
    };
    let first = work(|reload| matches!(reload, Reload::Rejected(_)));
    let again = work(|reload| matches!(reload, Reload::StillRejected(_)));
    assert!(again * 100 < first, "{again} allocations after {first}");
    // whoever asks has it looked at again, and so has a poll that sees something else
    assert!(matches!(policies.reload(), Reload::StillRejected(_)));
    fs::write(dir.path().join("b.yaml"), broken.replace("gone", "lost")).unwrap();
    assert!(matches!(policies.poll(), Reload::Unsettled));
    assert!(matches!(policies.poll(), Reload::Rejected(_)));
    fs::write(dir.path().join("b.yml"), "passed over").unwrap();
    assert!(matches!(policies.poll(), Reload::Unsettled));
    let told = policies.poll();
    assert!(matches!(&told, Reload::Rejected(now) if now.faults.0.len() == 2_001), "one finding more");
    fs::write(dir.path().join("b.yaml"), "version: 1\n").unwrap();
    assert!(matches!(policies.poll(), Reload::Unsettled));
    assert!(matches!(policies.poll(), Reload::Reloaded { .. }));
    assert!(policies.last_rejection().is_none());
}

#[test]
fn whoever_asks_for_a_reload_gets_it_at_once() {
    let (dir, policies) = live(&format!("{WHOLE}{TENANT}"));
    fs::write(dir.path().join("a.yaml"), WHOLE).unwrap();
    assert!(matches!(policies.reload(), Reload::Reloaded { .. }));
    assert!(is_open(&policies));
}
