//! How policy files change under a server that polls them: editors, checkouts, mounted volumes, slow
//! writers. What is in force is what somebody wrote, whole, at every moment.

use std::{
    collections::BTreeMap,
    fs::{self, OpenOptions},
    io::Write,
    os::unix::fs::symlink,
    path::{Path, PathBuf},
    process::Command,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use actix_web::rt;
use jeton_policy::{DemoSecrets, PolicySet};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::{
    policy_text::{compile, compile_folder},
    support::{
        TestApp,
        forge::decoded,
        program::{Binary, POLLING},
        secret_hash, spawn_app,
    },
    watched::{Files, Watched, hash_of, write_all},
};

/// A file that stays, so that the folder without the other one is good policies too.
const OTHER: (&str, &str) = ("other.yaml", "version: 1\nscopes: { other:read: x }\n");
const OLD: &str = "version: 1\nscopes: { orders:read: old }\n";
const NEW: &str = "version: 1\nscopes: { orders:read: new }\n";
/// What must not be read: it would be rejected.
const JUNK: &str = "\0\u{1}no policy: [";

fn append(path: &Path, text: &str) {
    let mut file = OpenOptions::new().append(true).open(path).unwrap();
    file.write_all(text.as_bytes()).unwrap();
}

/// One thing that an editor does to the folder.
type Step = fn(&Path);

/// The steps in which editors and tools save `orders.yaml`.
const WAYS_TO_SAVE: [(&str, &[Step]); 8] = [
    (
        "vim: the old file is renamed",
        &[
            |dir| fs::write(dir.join(".orders.yaml.swp"), JUNK).unwrap(),
            |dir| fs::write(dir.join("4913"), "").unwrap(),
            |dir| fs::remove_file(dir.join("4913")).unwrap(),
            |dir| fs::rename(dir.join("orders.yaml"), dir.join("orders.yaml~")).unwrap(),
            |dir| fs::write(dir.join("orders.yaml"), "").unwrap(),
            |dir| fs::write(dir.join("orders.yaml"), NEW).unwrap(),
            |dir| fs::remove_file(dir.join("orders.yaml~")).unwrap(),
            |dir| fs::remove_file(dir.join(".orders.yaml.swp")).unwrap(),
        ],
    ),
    (
        "vim: the old file is copied and written over",
        &[
            |dir| assert!(fs::copy(dir.join("orders.yaml"), dir.join("orders.yaml~")).is_ok()),
            |dir| fs::write(dir.join("orders.yaml"), "").unwrap(),
            |dir| append(&dir.join("orders.yaml"), "version: 1\n"),
            |dir| append(&dir.join("orders.yaml"), "scopes: { orders:read: new }\n"),
            |dir| fs::remove_file(dir.join("orders.yaml~")).unwrap(),
        ],
    ),
    (
        "emacs: a lock that leads nowhere, and a backup that stays",
        &[
            |dir| symlink("somebody@somewhere.4711:1764000000", dir.join(".#orders.yaml")).unwrap(),
            |dir| fs::write(dir.join("#orders.yaml#"), JUNK).unwrap(),
            |dir| fs::rename(dir.join("orders.yaml"), dir.join("orders.yaml~")).unwrap(),
            |dir| fs::write(dir.join("orders.yaml"), NEW).unwrap(),
            |dir| fs::remove_file(dir.join("#orders.yaml#")).unwrap(),
            |dir| fs::remove_file(dir.join(".#orders.yaml")).unwrap(),
        ],
    ),
    (
        "a hidden file, renamed over the old one",
        &[
            |dir| fs::write(dir.join(".orders.yaml.Xy12Z"), "version: 1\n").unwrap(),
            |dir| fs::write(dir.join(".orders.yaml.Xy12Z"), NEW).unwrap(),
            |dir| fs::rename(dir.join(".orders.yaml.Xy12Z"), dir.join("orders.yaml")).unwrap(),
        ],
    ),
    (
        "GNOME: a second name for the old file, and a rename over it",
        &[
            |dir| fs::write(dir.join(".goutputstream-A1B2C3"), NEW).unwrap(),
            |dir| fs::hard_link(dir.join("orders.yaml"), dir.join("orders.yaml~")).unwrap(),
            |dir| fs::rename(dir.join(".goutputstream-A1B2C3"), dir.join("orders.yaml")).unwrap(),
        ],
    ),
    (
        "JetBrains: two renames with a moment without the file",
        &[
            |dir| fs::write(dir.join("orders.yaml___jb_tmp___"), NEW).unwrap(),
            |dir| fs::rename(dir.join("orders.yaml"), dir.join("orders.yaml___jb_old___")).unwrap(),
            |dir| fs::rename(dir.join("orders.yaml___jb_tmp___"), dir.join("orders.yaml")).unwrap(),
            |dir| fs::remove_file(dir.join("orders.yaml___jb_old___")).unwrap(),
        ],
    ),
    (
        "removed and made again",
        &[
            |dir| fs::remove_file(dir.join("orders.yaml")).unwrap(),
            |dir| fs::write(dir.join("orders.yaml"), NEW).unwrap(),
        ],
    ),
    (
        "sed -i",
        &[
            |dir| fs::write(dir.join("sedK2f9Qa"), NEW).unwrap(),
            |dir| fs::rename(dir.join("sedK2f9Qa"), dir.join("orders.yaml")).unwrap(),
        ],
    ),
];

#[test]
fn a_save_is_taken_over_once_and_whole() {
    let [old, new] = [OLD, NEW].map(|text| hash_of(&[("orders.yaml", text), OTHER]));
    for (name, steps) in WAYS_TO_SAVE {
        let watched = Watched::folder(&[("orders.yaml", OLD), OTHER]);
        for (position, step) in steps.iter().enumerate() {
            step(&watched.dir);
            let outcome = watched.poll();
            let hash = watched.hash();
            assert!([&old, &new].contains(&&hash), "{name}: step {position} comes into force: {outcome}");
        }
        watched.poll();
        assert_eq!(watched.hash(), new, "{name}");
        assert_eq!((watched.policies.reloads(), watched.policies.rejections()), (1, 0), "{name}");
        assert_eq!(watched.poll(), "unchanged", "{name}");
    }
}

#[test]
fn what_editors_and_tools_leave_behind_is_not_read() {
    let watched = Watched::folder(&[("orders.yaml", OLD)]);
    for name in [
        ".orders.yaml.swp",
        ".orders.yaml.swo",
        ".orders.yaml.un~",
        "orders.yaml~",
        "#orders.yaml#",
        "4913",
        "orders.yaml.bak",
        "orders.yaml.save",
        "orders.yaml.orig",
        "orders.yaml.rej",
        "orders.yaml.tmp",
        "orders.yaml.swp",
        ".orders.yaml.kate-swp",
        "._orders.yaml",
        ".DS_Store",
        ".nfs000000000012ab",
    ] {
        watched.write(name, JUNK);
        assert_eq!((watched.poll(), watched.reload()), ("unchanged", "unchanged"), "{name}");
    }
}

/// The first commit: `acme` may write orders, and whoever writes orders may see them.
const COMMIT_1: Files = &[
    (
        "orders.yaml",
        "version: 1\nscopes: { orders:read: x, orders:write: x }\nroles: { clerk: [orders:read, orders:write] }\n\
         apis:\n  orders:\n    audience: https://orders.example.com\n    rules:\n      r:\n        routes: [GET /orders]\n        require: { scope: orders:write }\n",
    ),
    (
        "clients.yaml",
        "version: 1\nclients:\n  acme: { grants: { orders: { scopes: [orders:write] } } }\n  globex: { grants: { orders: { roles: [clerk] } } }\n",
    ),
    OTHER,
];

/// The second: whoever writes orders may refund, so `acme` is down to reading; a role moves to a file of
/// its own, and a file has another name.
const COMMIT_2: Files = &[
    (
        "orders.yaml",
        "version: 1\nscopes: { orders:read: x, orders:write: x }\n\
         apis:\n  orders:\n    audience: https://orders.example.com\n    rules:\n      r:\n        routes: [POST /refunds]\n        require: { scope: orders:write }\n",
    ),
    ("roles.yaml", "version: 1\nroles: { clerk: [orders:read, orders:write] }\n"),
    (
        "customers.yaml",
        "version: 1\nclients:\n  acme: { grants: { orders: { scopes: [orders:read] } } }\n  globex: { grants: { orders: { roles: [clerk] } } }\n",
    ),
    OTHER,
];

/// Whether `acme` may refund: no commit says so, but the new rules with the old clients do.
fn acme_may_refund(policies: &PolicySet) -> bool {
    let acme = policies.permissions_of("acme", "orders");
    let api = policies.api("orders").unwrap();
    acme.is_some_and(|acme| api.decide("POST", "/refunds", Some(&acme.subject())).is_allowed())
}

/// All orders of these.
fn permutations(of: &[usize]) -> Vec<Vec<usize>> {
    if of.is_empty() {
        return vec![Vec::new()];
    }
    let mut all = Vec::new();
    for first in of {
        let rest: Vec<_> = of.iter().copied().filter(|other| other != first).collect();
        all.extend(permutations(&rest).into_iter().map(|rest| [vec![*first], rest].concat()));
    }
    all
}

#[test]
fn a_checkout_file_by_file_is_taken_over_when_it_is_done() {
    let (old, new) = (hash_of(COMMIT_1), hash_of(COMMIT_2));
    let changes: [fn(&Path); 4] = [
        |dir| fs::remove_file(dir.join("clients.yaml")).unwrap(),
        |dir| write_all(dir, &COMMIT_2[0..1]),
        |dir| write_all(dir, &COMMIT_2[1..2]),
        |dir| write_all(dir, &COMMIT_2[2..3]),
    ];
    let (mut invalid, mut dangerous) = (0, 0);
    for order in permutations(&[0, 1, 2, 3]) {
        let watched = Watched::folder(COMMIT_1);
        for (position, change) in order.iter().enumerate() {
            changes[*change](&watched.dir);
            assert_eq!((watched.poll(), watched.hash()), ("unsettled", old.clone()), "{order:?}: {position}");
            match compile_folder(&watched.dir, DemoSecrets::Allowed) {
                Err(_) => invalid += 1,
                Ok(between) => dangerous += u32::from(acme_may_refund(&between)),
            }
        }
        assert_eq!((watched.poll(), watched.hash()), ("reloaded", new.clone()), "{order:?}");
        assert_eq!(watched.policies.rejections(), 0, "{order:?}");
        assert!(!acme_may_refund(&watched.policies.current().policies), "{order:?}");
    }
    assert!(invalid > 0 && dangerous > 0, "between the commits lies what nobody must see");
}

/// Runs `git` in a repository, without the settings of whoever runs the tests.
#[track_caller]
fn git(repository: &Path, arguments: &[&str]) {
    let mut command = Command::new("git");
    for (name, _) in std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("GIT_")) {
        command.env_remove(name);
    }
    command.env("GIT_CONFIG_GLOBAL", "/dev/null").env("GIT_CONFIG_NOSYSTEM", "1");
    command.args(["-c", "user.name=Somebody", "-c", "user.email=somebody@example.com"]);
    let run = command.args(arguments).current_dir(repository).output().unwrap();
    assert!(run.status.success(), "git {arguments:?}: {}", String::from_utf8_lossy(&run.stderr));
}

/// A repository in `policies` whose branches `old` and `new` are the two commits; `old` is checked out.
pub(crate) fn repository(root: &Path) -> PathBuf {
    let repository = root.join("policies");
    fs::create_dir_all(repository.join(".github")).unwrap();
    fs::write(repository.join(".github/workflow.yaml"), JUNK).unwrap();
    fs::write(repository.join("README.md"), "The policies of the shop.\n").unwrap();
    git(&repository, &["init", "--quiet", "--initial-branch", "old"]);
    write_all(&repository, COMMIT_1);
    git(&repository, &["add", "."]);
    git(&repository, &["commit", "--quiet", "--message", "Clerks write orders"]);
    git(&repository, &["checkout", "--quiet", "-b", "new"]);
    git(&repository, &["rm", "--quiet", "clients.yaml"]);
    write_all(&repository, COMMIT_2);
    git(&repository, &["add", "."]);
    git(&repository, &["commit", "--quiet", "--message", "Clerks refund"]);
    git(&repository, &["checkout", "--quiet", "old"]);
    repository
}

#[test]
fn a_checkout_by_git_is_taken_over_and_back() {
    let root = TempDir::new().unwrap();
    let dir = repository(root.path());
    let watched = Watched::load(root, dir);
    let hashes = [hash_of(COMMIT_1), hash_of(COMMIT_2)];
    assert_eq!(watched.hash(), hashes[0], "what git keeps for itself is not read");
    for (branch, hash) in [("new", &hashes[1]), ("old", &hashes[0]), ("new", &hashes[1])] {
        git(&watched.dir, &["checkout", "--quiet", branch]);
        assert_eq!((watched.poll(), watched.poll()), ("unsettled", "reloaded"), "{branch}");
        assert_eq!(&watched.hash(), hash, "{branch}");
    }
    git(&watched.dir, &["commit", "--quiet", "--allow-empty", "--message", "Nothing"]);
    assert_eq!(watched.poll(), "unchanged", "git's own files say nothing");
}

#[actix_web::test]
async fn the_program_takes_a_checkout_over_in_one_piece() {
    let root = TempDir::new().unwrap();
    let dir = repository(root.path());
    let mut binary = Binary::serve_in(root, POLLING).await;
    git(&dir, &["checkout", "--quiet", "new"]);
    let reloaded = binary.logged("policies.reloaded").await;
    let told = json!({ "trigger": reloaded["trigger"], "old": reloaded["old"], "new": reloaded["new"] });
    let hashes = json!({ "trigger": "poll", "old": hash_of(COMMIT_1), "new": hash_of(COMMIT_2) });
    assert_eq!(told, hashes, "{reloaded}");
    let readyz = binary.readyz().await;
    assert_eq!((&readyz["hash"], &readyz["last_reload_error"]), (&reloaded["new"], &Value::Null));
    assert!(binary.lines_of("policies.rejected").is_empty(), "between the two commits nothing was tried");
}

/// A file whose every part says its version; the later lines take back what the earlier ones give.
fn long_file(version: u32) -> String {
    format!(
        "version: 1\nscopes:\n  s: version {version}\n  t: version {version}\nroles:\n  r: [s]\n  q: [s, t]\napis:\n  a:\n    \
         audience: https://a.example\n    rules:\n      r:\n        routes:\n          - GET /t/{{tenant}}\n        \
         require:\n          scope: s\n          claims:\n            tenant: {{ same_as_path: tenant }}\n"
    )
}

#[test]
fn half_a_file_is_taken_over_at_no_length() {
    let versions = [long_file(1), long_file(2)];
    let hashes = versions.each_ref().map(|text| hash_of(&[("a.yaml", text)]));
    let watched = Watched::folder(&[("a.yaml", &versions[0])]);
    let lengths = versions[1].match_indices('\n').flat_map(|(at, _)| [at, at + 1]);
    let lengths: Vec<_> = std::iter::once(0).chain(lengths).filter(|at| *at < versions[1].len()).collect();
    let mut parsing = 0;
    for (round, length) in lengths.iter().enumerate() {
        let [old, new] = [round % 2, (round + 1) % 2];
        let half = &versions[new][..*length];
        watched.write("a.yaml", half);
        parsing += u32::from(compile(half).is_ok());
        assert_eq!((watched.poll(), watched.hash()), ("unsettled", hashes[old].clone()), "{length}");
        watched.write("a.yaml", &versions[new]);
        assert_eq!((watched.poll(), watched.hash()), ("unsettled", hashes[old].clone()), "{length}");
        assert_eq!((watched.poll(), watched.hash()), ("reloaded", hashes[new].clone()), "{length}");
    }
    assert_eq!(watched.policies.rejections(), 0);
    assert!(parsing > 5, "some halves are good policies: {parsing}");
}

/// A tool that writes the same text again and again is caught by many polls, and each time at the same place.
#[test]
fn half_a_file_that_comes_again_is_new_each_time() {
    let whole = long_file(1);
    let (half, _) = whole.split_once("          claims:").unwrap();
    let watched = Watched::folder(&[("a.yaml", &whole)]);
    for round in 1..=3 {
        watched.write("a.yaml", half);
        assert_eq!(watched.poll(), "unsettled", "round {round}");
        watched.write("a.yaml", &whole);
        assert_eq!(watched.poll(), "unchanged", "round {round}");
    }
    for round in 1..=3 {
        fs::remove_file(watched.dir.join("a.yaml")).unwrap();
        assert_eq!(watched.poll(), "unsettled", "round {round}");
        watched.write("a.yaml", &whole);
        assert_eq!(watched.poll(), "unchanged", "round {round}");
    }
}

/// Nobody can tell half a file at which its writer rests from a whole one. What it says comes into force if
/// it is good, and the rest when it is there. Writing another file and renaming it avoids that.
#[test]
fn half_a_file_that_holds_still_is_a_file() {
    let whole = long_file(2);
    let (half, _) = whole.split_once("          claims:").unwrap();
    let watched = Watched::folder(&[("a.yaml", &long_file(1))]);
    watched.write("a.yaml", half);
    assert_eq!((watched.poll(), watched.poll()), ("unsettled", "reloaded"));
    assert_eq!(watched.hash(), hash_of(&[("a.yaml", half)]));
    watched.write("a.yaml", &whole);
    assert_eq!((watched.poll(), watched.poll()), ("unsettled", "reloaded"));
    assert_eq!(watched.hash(), hash_of(&[("a.yaml", &whole)]));

    let (broken, _) = whole.split_once(", t]").unwrap();
    watched.write("a.yaml", broken);
    assert_eq!((watched.poll(), watched.poll()), ("unsettled", "rejected"));
    watched.write("a.yaml", &whole);
    assert_eq!(watched.poll(), "restored");
}

/// How often the policies are swapped under load.
const SWAPS: u32 = 200;

/// Two versions that differ in what a token, a decision and the state show; the second has one of each more.
fn swapped(version: u32) -> [(&'static str, String); 3] {
    let hash = secret_hash("demo-secret-of-turncoat");
    let [scope, client, rule] = match version {
        1 => [""; 3],
        _ => ["  more: x\n", "  more: {}\n", "      more: { routes: [GET /more/x], public: true }\n"],
    };
    let vocabulary = format!(
        "version: 1\nscopes:\n{scope}  version:{version}: x\nroles:\n  role-{version}: [version:{version}]\n"
    );
    let clients = format!(
        "version: 1\nclients:\n{client}  turncoat:\n    secrets: [{{ sha256: {hash} }}]\n    grants: {{ swapped: {{ roles: [role-{version}] }} }}\n    claims: {{ version: '{version}' }}\n    ttl: {version}m\n"
    );
    let api = format!(
        "version: 1\napis:\n  swapped:\n    audience: https://swapped.example.com\n    rules:\n{rule}      rule-{version}:\n        routes: [\"GET /{{of-{version}}}\"]\n        require: {{ scope: version:{version}, claims: {{ version: {{ is: '{version}' }} }} }}\n"
    );
    [("vocabulary.yaml", vocabulary), ("turncoat.yaml", clients), ("swapped.yaml", api)]
}

/// The version that a token, its answer and its claims show.
async fn version_of_token(app: &TestApp) -> u64 {
    let form = [("grant_type", "client_credentials")];
    let answer = app.post_token("turncoat", &form).send().await.unwrap();
    assert_eq!(answer.status(), 200);
    let body: Value = answer.json().await.unwrap();
    let (_, claims) = decoded(body["access_token"].as_str().unwrap());
    let version: u64 = claims["version"].as_str().unwrap().parse().unwrap();
    assert_eq!(body["expires_in"], version * 60, "{claims}");
    assert_eq!(body["scope"], format!("version:{version}"), "{claims}");
    assert_eq!(claims["scope"], body["scope"]);
    assert_eq!(claims["roles"], json!([format!("role-{version}")]), "{claims}");
    version
}

/// The version that an explained decision shows: who asks and what is asked are looked up one after the other.
async fn version_of_decision(app: &TestApp, operator: &str) -> u64 {
    let question = json!({ "api": "swapped", "method": "GET", "path": "/x", "as": "turncoat" });
    let answer = app.http.post(app.url("/ops/explain")).bearer_auth(operator).json(&question);
    let answer = answer.send().await.unwrap();
    assert_eq!(answer.status(), 200);
    let body: Value = answer.json().await.unwrap();
    assert_eq!(body["allowed"], true, "{body}");
    let decided = &body["decided_by"];
    let version = if decided["rule"] == "rule-1" { 1 } else { 2 };
    let shown: Vec<_> = body["alternatives"][0]["conditions"].as_array().unwrap().iter().collect();
    let [scope, claim] = [0, 1].map(|position| shown[position]["condition"].as_str().unwrap());
    let expected = [format!("scope: version:{version}"), format!("claims.version is `{version}`")];
    assert_eq!([scope, claim], expected, "{body}");
    assert_eq!(decided["rule"], format!("rule-{version}"), "{body}");
    assert_eq!(decided["route"], format!("GET /{{of-{version}}}"), "{body}");
    version
}

/// The version that the state shows, in its hash and in its figures.
async fn version_of_state(app: &TestApp, operator: &str, states: &[Value; 2]) -> u64 {
    let state = state(app, operator).await;
    let version = if state == states[0] { 1 } else { 2 };
    assert_eq!(&state, &states[version - 1]);
    version as u64
}

/// What `/ops/policies` says of the policies in force.
async fn state(app: &TestApp, operator: &str) -> Value {
    let answer = app.http.get(app.url("/ops/policies")).bearer_auth(operator).send().await.unwrap();
    assert_eq!(answer.status(), 200);
    let state: Value = answer.json().await.unwrap();
    assert_eq!(state["last_rejection"], Value::Null);
    ["hash", "scopes", "rules", "clients"].iter().map(|key| state[key].clone()).collect()
}

#[actix_web::test]
async fn two_hundred_swaps_under_load_mix_nothing() {
    let app = Arc::new(spawn_app());
    let operator: Arc<str> = app.token_of("operator", "jeton").await.into();
    let install = |version| swapped(version).iter().for_each(|(name, text)| app.write_policy(name, text));
    let reload = async || {
        let answer = app.http.post(app.url("/ops/reload")).bearer_auth(&operator).send().await.unwrap();
        assert_eq!(answer.status(), 200);
        assert_eq!(answer.json::<Value>().await.unwrap()["reloaded"], true);
    };
    let mut states = [Value::Null, Value::Null];
    for version in [2, 1] {
        install(version);
        reload().await;
        states[version as usize - 1] = state(&app, &operator).await;
    }
    for (position, first) in states[0].as_array().unwrap().iter().enumerate() {
        assert_ne!(first, &states[1][position], "{states:?}");
    }
    let done = Arc::new(AtomicBool::new(false));
    let asking: Vec<_> = (0..6)
        .map(|task| {
            let (app, done, operator, states) = (app.clone(), done.clone(), operator.clone(), states.clone());
            rt::spawn(async move {
                let mut seen = BTreeMap::new();
                while !done.load(Ordering::Relaxed) {
                    let version = match task % 3 {
                        0 => version_of_token(&app).await,
                        1 => version_of_decision(&app, &operator).await,
                        _ => version_of_state(&app, &operator, &states).await,
                    };
                    *seen.entry(version).or_insert(0_u32) += 1;
                }
                (task % 3, seen)
            })
        })
        .collect();
    for version in [2, 1].into_iter().cycle().take(SWAPS as usize) {
        install(version);
        reload().await;
    }
    done.store(true, Ordering::Relaxed);
    for task in asking {
        let (kind, seen) = task.await.unwrap();
        assert_eq!(seen.len(), 2, "kind {kind} saw both versions: {seen:?}");
    }
    let answer = app.http.get(app.url("/ops/policies")).bearer_auth(&*operator).send().await.unwrap();
    let told: Value = answer.json().await.unwrap();
    assert_eq!((&told["reloads"], &told["rejected_reloads"]), (&json!(SWAPS + 2), &json!(0)), "{told}");
}
