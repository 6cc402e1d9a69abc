//! Warnings are logged once: what is new at a reload, and how many stay.
use std::{fs, os::unix::fs::symlink, path::Path, sync::Arc};

use serde_json::{Value, json};

use crate::{
    support::{
        http_client, install_policies,
        program::{Binary, POLLING},
    },
    watched::Watched,
};

/// A policy file with these scopes, which nothing requires.
fn unused(scopes: &[&str]) -> String {
    let scopes: Vec<_> = scopes.iter().map(|scope| format!("  \"{scope}\": x\n")).collect();
    format!("version: 1\nscopes:\n{}", scopes.concat())
}

/// Writes a file, has it read, and gives the warnings that are logged, by scope, with the line of their count.
async fn after(binary: &mut Binary, file: &str, text: Option<&str>) -> (Vec<String>, Value) {
    let before = binary.lines_of("policies.warning").len();
    let path = binary.dir.path().join("policies").join(file);
    match text {
        Some(text) => fs::write(path, text).unwrap(),
        None => fs::remove_file(path).unwrap(),
    }
    binary.signal("HUP").await;
    let mut counts = binary.logged("policies.warnings").await;
    let line = counts.as_object_mut().unwrap();
    assert_eq!((&line["trigger"], &line["level"]), (&json!("SIGHUP"), &json!("INFO")), "{line:?}");
    line.retain(|name, _| ["new", "same", "gone"].contains(&name.as_str()));
    let scope = |line: &&Value| line["finding"].as_str().unwrap().split('`').nth(1).unwrap().to_owned();
    (binary.lines_of("policies.warning").iter().skip(before).map(scope).collect(), counts)
}

#[actix_web::test]
async fn a_reload_logs_the_warnings_that_are_new_and_counts_those_that_stay() {
    let many: Vec<_> = (0..118).map(|number| format!("many:{number:03}")).collect();
    let mut many: Vec<_> = many.iter().map(String::as_str).collect();
    let mut binary = Binary::serve().await;
    let counts = |new: usize, same: usize, gone: usize| json!({ "new": new, "same": same, "gone": gone });
    let (told, counted) = after(&mut binary, "a.yaml", Some(&unused(&many))).await;
    assert_eq!((told.len(), counted), (118, counts(118, 0, 0)));
    // they move down, and nothing else changes
    let (told, counted) = after(&mut binary, "a.yaml", Some(&format!("# x\n\n{}", unused(&many)))).await;
    assert_eq!((told, counted), (vec![], counts(0, 118, 0)));
    many.push("one:more");
    let (told, counted) = after(&mut binary, "a.yaml", Some(&unused(&many))).await;
    assert_eq!((told, counted), (vec!["one:more".to_owned()], counts(1, 118, 0)));
    let (told, counted) = after(&mut binary, "b.yaml", Some(&unused(&["another:file"]))).await;
    assert_eq!((told, counted), (vec!["another:file".to_owned()], counts(1, 119, 0)));
    // what went away and came back is new again
    let (told, counted) = after(&mut binary, "b.yaml", None).await;
    assert_eq!((told, counted), (vec![], counts(0, 119, 1)));
    let (told, counted) = after(&mut binary, "b.yaml", Some(&unused(&["another:file"]))).await;
    assert_eq!((told, counted), (vec!["another:file".to_owned()], counts(1, 119, 0)));
    let (told, counted) = after(&mut binary, "a.yaml", None).await;
    assert_eq!((told, counted), (vec![], counts(0, 1, 119)));
}

#[actix_web::test]
async fn policies_that_are_rejected_in_between_make_no_warning_new() {
    let mut binary = Binary::serve().await;
    let file = binary.dir.path().join("policies/a.yaml");
    let (told, _) = after(&mut binary, "a.yaml", Some(&unused(&["first:scope"]))).await;
    assert_eq!(told, ["first:scope"]);
    fs::write(&file, "version: [\n").unwrap();
    binary.signal("HUP").await;
    binary.logged("policies.rejected").await;
    let (told, counted) = after(&mut binary, "a.yaml", Some(&unused(&["first:scope", "second:scope"]))).await;
    assert_eq!((told, counted), (vec!["second:scope".to_owned()], json!({ "new": 1, "same": 1, "gone": 0 })));
}

#[actix_web::test]
async fn what_the_start_warned_of_stays() {
    let dir = tempfile::tempdir().unwrap();
    crate::support::install_policies(&dir.path().join("policies"));
    fs::write(dir.path().join("policies/a.yaml"), unused(&["at:start"])).unwrap();
    let mut binary = Binary::serve_in(dir, "").await;
    if binary.lines_of("policies.warning").is_empty() {
        binary.logged("policies.warning").await;
    }
    let (told, counted) = after(&mut binary, "b.yaml", Some(&unused(&["and:later"]))).await;
    assert_eq!((told, counted), (vec!["and:later".to_owned()], json!({ "new": 1, "same": 1, "gone": 0 })));
    assert!(binary.lines_of("policies.warnings").len() == 1, "{}", binary.log_text());
}

/// A message may name a line elsewhere, as that of a guarantee with a gap does.
#[actix_web::test]
async fn a_warning_whose_words_name_a_line_stays_when_that_moves() {
    let gap = fs::read_to_string("crates/policy/tests/fixtures/policies/warned/guarantee-gap/policies.yaml")
        .unwrap();
    let dir = tempfile::tempdir().unwrap();
    fs::create_dir(dir.path().join("policies")).unwrap();
    fs::write(dir.path().join("policies/policies.yaml"), &gap).unwrap();
    let mut binary = Binary::serve_in(dir, "").await;
    while binary.lines_of("policies.warning").len() < 2 {
        binary.logged("policies.warning").await;
    }
    let (told, counted) = after(&mut binary, "policies.yaml", Some(&format!("# x\n{gap}"))).await;
    let gaps = binary.lines_of("policies.warning");
    assert!(gaps.iter().any(|line| line["finding"].as_str().unwrap().contains(".yaml:")), "{gaps:?}");
    assert_eq!((told.len(), &counted["new"], &counted["gone"]), (0, &json!(0), &json!(0)), "{counted}");
}

/// A policy file with an API that a hundred rules leave open, which is a warning each.
fn wide_open() -> String {
    let rules = (0..100).map(|number| {
        format!("      r{number}:\n        routes: [\"GET /w{number}/**\"]\n        public: true\n")
    });
    format!(
        "version: 1\nscopes: {{ wide:read: x }}\napis:\n  wide:\n    audience: https://wide.example\n    rules:\n{}",
        rules.collect::<String>()
    )
}

/// What is wrong with them by what is written below, and how many errors that is.
const FAULTS: [(&str, &str, usize); 3] = [
    (
        "broken-guarantee",
        "    guarantees:\n      closed: { routes: [\"GET /w1/x\"], only_when: { scope: wide:read } }\n",
        1,
    ),
    ("failed-test", "tests:\n  - { as: {}, api: wide, deny: [GET /w1/x, GET /w2/x] }\n", 2),
    ("yaml-syntax", "roles: [\n", 1),
];

#[actix_web::test]
async fn a_rejection_logs_what_is_wrong_and_no_warning_again() {
    let dir = tempfile::tempdir().unwrap();
    let policies = dir.path().join("policies");
    install_policies(&policies);
    fs::write(policies.join("wide.yaml"), wide_open()).unwrap();
    let mut binary = Binary::serve_in(dir, "[policies]\npoll = \"0s\"\n").await;
    let file = binary.dir.path().join("policies/wide.yaml");
    let mut told = 0;
    for (code, fault, errors) in FAULTS {
        fs::write(&file, wide_open() + fault).unwrap();
        // whoever asks again is told the same again
        for _ in 0..2 {
            binary.signal("HUP").await;
            let head = binary.logged("policies.rejected").await;
            assert_eq!((&head["count"], &head["level"]), (&json!(errors), &json!("ERROR")), "{code}: {head}");
            for _ in 0..errors {
                let finding = binary.logged("policies.rejected").await;
                assert_eq!(
                    (&finding["code"], &finding["level"]),
                    (&json!(code), &json!("ERROR")),
                    "{finding}"
                );
            }
            told += 1 + errors;
            let ready = http_client().get(format!("http://{}/readyz", binary.address)).send().await.unwrap();
            let ready: Value = ready.json().await.unwrap();
            let short = &ready["policies"]["last_reload_error"];
            assert_eq!(short["findings"], json!(errors), "{short}");
            assert!(short["first"].as_str().is_some_and(|first| first.ends_with(code)), "{code}: {short}");
        }
    }
    fs::write(&file, wide_open()).unwrap();
    binary.signal("HUP").await;
    binary.logged("policies.restored").await;
    assert_eq!(binary.lines_of("policies.rejected").len(), told, "and nothing else");
}

/// What looks like a policy file and is passed over: its name, and how it is made.
type PassedOver = (&'static str, fn(&Path));

const PASSED_OVER: [PassedOver; 4] = [
    ("team.yml", |path| fs::write(path, "version: 1\n").unwrap()),
    ("A.YAML", |path| fs::write(path, "not even YAML: [").unwrap()),
    ("linked", |path| symlink("../keys", path).unwrap()),
    ("below.Yml", |path| symlink("nowhere", path).unwrap()),
];

/// The number of warnings that a line of their count has: new, there before and there no more.
fn counted(line: &Value) -> [u64; 3] {
    ["new", "same", "gone"].map(|which| line[which].as_u64().unwrap())
}

#[actix_web::test]
async fn a_file_that_begins_to_be_passed_over_is_told_once() {
    for (trigger, settings) in [("poll", POLLING), ("SIGHUP", "[policies]\npoll = \"0s\"\n")] {
        let is_asked = trigger != "poll";
        let dir = tempfile::tempdir().unwrap();
        install_policies(&dir.path().join("policies"));
        let mut binary = Binary::serve_in(dir, settings).await;
        let policies = binary.dir.path().join("policies");
        let before = binary.readyz().await;
        for (others, (name, make)) in (0..).zip(PASSED_OVER) {
            make(&policies.join(name));
            if is_asked {
                binary.signal("HUP").await;
            }
            let warning = binary.logged("policies.warning").await;
            assert_eq!(
                (&warning["at"], &warning["code"], &warning["level"]),
                (&json!(format!("policies/{name}")), &json!("passed-over"), &json!("WARN")),
                "{warning}"
            );
            let counts = binary.logged("policies.warnings").await;
            assert_eq!((counts["trigger"].as_str(), counted(&counts)), (Some(trigger), [1, others, 0]));
        }
        // it is told once
        if is_asked {
            binary.signal("HUP").await;
            binary.logged("policies.unchanged").await;
        } else {
            binary.polls(&policies.join("orders.yaml"), 3).await;
        }
        // what goes away is forgotten, and told again when it comes back
        let team = policies.join("team.yml");
        fs::remove_file(&team).unwrap();
        if is_asked {
            binary.signal("HUP").await;
        }
        let counts = binary.logged("policies.warnings").await;
        assert_eq!((counts["trigger"].as_str(), counted(&counts)), (Some(trigger), [0, 3, 1]));
        fs::write(&team, "another text").unwrap();
        if is_asked {
            binary.signal("HUP").await;
        }
        let warning = binary.logged("policies.warning").await;
        assert_eq!(warning["at"], "policies/team.yml");
        assert_eq!(counted(&binary.logged("policies.warnings").await), [1, 3, 0]);
        assert_eq!(binary.lines_of("policies.warning").len(), PASSED_OVER.len() + 1, "{}", binary.log_text());
        assert_eq!(binary.readyz().await, before, "nothing was replaced");
        assert!(binary.lines_of("policies.reloaded").is_empty());
        // at the next edit it is known
        fs::write(policies.join("b.yaml"), "version: 1\n").unwrap();
        binary.signal("HUP").await;
        binary.logged("policies.reloaded").await;
        assert_eq!(counted(&binary.logged("policies.warnings").await), [0, 4, 0]);
    }
}

/// A file that is wrong is renamed so that it is passed over: both are worth a word.
#[actix_web::test]
async fn what_is_passed_over_is_told_beside_a_restoration() {
    for settings in [POLLING, "[policies]\npoll = \"0s\"\n"] {
        let dir = tempfile::tempdir().unwrap();
        install_policies(&dir.path().join("policies"));
        let mut binary = Binary::serve_in(dir, settings).await;
        let team = binary.dir.path().join("policies/team.yaml");
        fs::write(&team, "version: [\n").unwrap();
        binary.signal("HUP").await;
        binary.logged("policies.rejected").await;
        fs::rename(&team, team.with_extension("yml")).unwrap();
        binary.signal("HUP").await;
        binary.logged("policies.restored").await;
        assert_eq!(binary.logged("policies.warning").await["at"], "policies/team.yml");
        assert_eq!(counted(&binary.logged("policies.warnings").await), [1, 0, 0]);
    }
}

#[actix_web::test]
async fn what_was_passed_over_at_the_start_is_known_to_the_polls() {
    let dir = tempfile::tempdir().unwrap();
    install_policies(&dir.path().join("policies"));
    fs::write(dir.path().join("policies/team.yml"), "x").unwrap();
    let mut binary = Binary::serve_in(dir, POLLING).await;
    let policies = binary.dir.path().join("policies");
    binary.polls(&policies.join("orders.yaml"), 3).await;
    fs::remove_file(policies.join("team.yml")).unwrap();
    assert_eq!(counted(&binary.logged("policies.warnings").await), [0, 0, 1]);
    assert_eq!(binary.lines_of("policies.warning").len(), 1, "{}", binary.log_text());
}

/// As with policies, so that a save or a checkout under way is not told of.
#[test]
fn a_poll_takes_what_is_passed_over_once_it_holds_still() {
    let watched = Watched::folder(&[("a.yaml", "version: 1\n")]);
    let before = watched.policies.snapshot();
    watched.write("team.yml", "x");
    assert_eq!([watched.poll(), watched.poll(), watched.poll()], ["unsettled", "unchanged", "unchanged"]);
    watched.write("TEAM.YAML", "x");
    assert_eq!(watched.poll(), "unsettled");
    fs::remove_file(watched.dir.join("TEAM.YAML")).unwrap();
    assert_eq!(watched.poll(), "unchanged", "it is as it was");
    fs::remove_file(watched.dir.join("team.yml")).unwrap();
    assert_eq!([watched.poll(), watched.poll()], ["unsettled", "unchanged"]);
    watched.write("team.yml", "x");
    assert_eq!(
        [watched.reload(), watched.poll()],
        ["unchanged", "unchanged"],
        "who asks takes what is there"
    );
    assert!(Arc::ptr_eq(&before, &watched.policies.snapshot()));
}
