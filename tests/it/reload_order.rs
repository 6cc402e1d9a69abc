//! In which order SIGHUP reads everything that a server follows.
use std::fs;

use serde_json::Value;
use tempfile::TempDir;

use crate::support::{install_key, install_policies, program::Binary};

/// The events of the readings that this asked for, in the order of the log.
fn events_of(binary: &Binary, trigger: &str) -> Vec<String> {
    let lines = binary.log_text().lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    let asked = lines.filter(|line| line["trigger"] == trigger);
    asked.map(|line| line["event"].as_str().unwrap().to_owned()).collect()
}

#[actix_web::test]
async fn sighup_reads_keys_then_policies_then_the_candidate() {
    let dir = TempDir::new().unwrap();
    let [policies, candidate, keys] = ["policies", "candidate", "keys"].map(|name| dir.path().join(name));
    install_policies(&policies);
    fs::create_dir(&candidate).unwrap();
    // it is read in no time, and the policies take long
    fs::write(candidate.join("a.yaml"), "version: 1\n").unwrap();
    let settings = "decisions = \"decisions.log\"\n[policies]\npoll = \"0s\"\ncandidate = \"candidate\"\n";
    let mut binary = Binary::serve_in(dir, settings).await;

    install_key("test-only-other.pem", &keys);
    let roles: Vec<_> = (0..2_000).map(|role| format!("  r{role}: [more:read]\n")).collect();
    let more = format!("version: 1\nscopes: {{ more:read: x }}\nroles:\n{}", roles.concat());
    fs::write(policies.join("more.yaml"), more).unwrap();
    fs::write(candidate.join("a.yaml"), "version: 1 # other\n").unwrap();
    binary.signal("HUP").await;
    binary.logged("candidate.reloaded").await;
    let told = [
        "keys.added",
        "keys.dropped",
        "keys.reloaded",
        "policies.reloaded",
        "policies.warnings",
        "candidate.reloaded",
    ];
    assert_eq!(events_of(&binary, "SIGHUP"), told);

    // one that is wrong keeps nobody from what comes behind it
    fs::write(keys.join("keyring.yaml"), "keys: wrong\n").unwrap();
    fs::write(policies.join("more.yaml"), "version: wrong\n").unwrap();
    fs::write(candidate.join("a.yaml"), "version: wrong\n").unwrap();
    binary.signal("HUP").await;
    // each a head and a finding, save the keys
    binary.logged("candidate.rejected").await;
    let told_next = ["keys.rejected", "policies.rejected", "candidate.rejected"];
    assert_eq!(events_of(&binary, "SIGHUP"), [&told[..], &told_next].concat());
}
