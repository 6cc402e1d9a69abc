//! What the console says that differs: cell by cell what `policies diff` prints.
use std::fs;

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::{
    console_questions::{hostile_policies, server_with},
    policies_diff_git::git,
    support::{console::ConsoleServer, install_policies},
};

/// A server with the sample, whose other folder `new` is edited by `edit`.
async fn server_beside(settings: &str, edit: impl Fn(&str) -> String) -> ConsoleServer {
    let dir = TempDir::new().unwrap();
    install_policies(&dir.path().join("policies"));
    install_policies(&dir.path().join("new"));
    for name in ["clients.yaml", "orders.yaml"] {
        let path = dir.path().join("new").join(name);
        fs::write(&path, edit(&fs::read_to_string(&path).unwrap())).unwrap();
    }
    ConsoleServer::serve_in(dir, settings).await
}

const CANDIDATE: &str = "[policies]\ncandidate = \"new\"\n";
const FOLDER: &str = "[console]\ncompare = \"new\"\n";

/// Opens something, and closes something.
fn edited(text: &str) -> String {
    text.replace("ttl: 15m", "ttl: 30m").replace(
        "        roles: [order-agent]\n        scopes: [orders:refund]",
        "        scopes: [orders:refund, reports:read]",
    )
}

#[actix_web::test]
async fn the_difference_is_that_of_the_command() {
    for (settings, id) in [(CANDIDATE, "candidate"), (FOLDER, "compare")] {
        let server = server_beside(settings, edited).await;
        let printed = server.command(&["policies", "diff", "policies", "new", "--format", "json"]);
        assert!(printed["gains"].as_u64() > Some(0) && printed["losses"].as_u64() > Some(0), "{printed}");
        for question in ["diff".to_owned(), format!("diff?with={id}")] {
            let diff = server.got(&question).await;
            assert_eq!(as_named(&diff["difference"]), as_named(&printed));
            assert_eq!(diff["with"], id);
            assert_eq!(diff["choices"][0]["id"], id);
            assert!(diff["choices"][0]["label"].as_str().unwrap().contains("new"), "{diff}");
            assert_eq!(diff["old"]["hash"], server.got("sources").await["hash"]);
            assert_ne!(diff["new"]["hash"], diff["old"]["hash"]);
            assert_eq!((&diff["findings"], &diff["why"]), (&json!([]), &Value::Null));
        }
        // an answer that is kept is not told of other files
        let path = server.dir().join("new/clients.yaml");
        let text = fs::read_to_string(&path).unwrap();
        fs::write(&path, text.replace("ttl: 30m", "ttl: 45m")).unwrap();
        let printed = server.command(&["policies", "diff", "policies", "new", "--format", "json"]);
        assert_eq!(as_named(&server.got("diff").await["difference"]), as_named(&printed));
    }
}

/// The command names files as it is told the folders, and the server as the settings say.
fn as_named(difference: &Value) -> Value {
    let mut difference = difference.clone();
    for change in difference["changes"].as_array_mut().unwrap() {
        for side in ["before", "after"] {
            if let Some(file) = change[side]["file"].as_str() {
                let file = file.rsplit_once('/').unwrap().1.to_owned();
                change[side]["file"] = json!(file);
            }
        }
    }
    difference
}

#[actix_web::test]
async fn a_revision_is_the_old_side() {
    let dir = TempDir::new().unwrap();
    install_policies(&dir.path().join("policies"));
    git(dir.path(), &["init", "-q"]);
    git(dir.path(), &["add", "policies"]);
    git(dir.path(), &["commit", "-q", "-m", "x"]);
    let path = dir.path().join("policies/clients.yaml");
    fs::write(&path, edited(&fs::read_to_string(&path).unwrap())).unwrap();
    let server = ConsoleServer::serve_in(dir, "[console]\ncompare = \"HEAD\"\n").await;
    let printed = server.command(&["policies", "diff", "--git", "HEAD", "--format", "json"]);
    let diff = server.got("diff").await;
    assert_eq!(as_named(&diff["difference"]), as_named(&printed));
    assert!(printed["gains"].as_u64() > Some(0), "{printed}");
    assert_eq!(diff["new"]["hash"], server.got("sources").await["hash"]);
    assert!(diff["old"]["name"].as_str().unwrap().starts_with("HEAD:"), "{diff}");
    // a revision that goes away is told
    fs::remove_dir_all(server.dir().join(".git")).unwrap();
    let diff = server.got("diff").await;
    assert_eq!(diff["difference"], Value::Null);
    assert!(diff["why"].as_str().unwrap().contains("git"), "{diff}");
}

/// A clone with a filter lacks files, and Git would fetch them by whatever program its settings name.
#[actix_web::test]
async fn files_of_a_revision_that_git_lacks_are_not_fetched() {
    let origin = TempDir::new().unwrap();
    install_policies(&origin.path().join("policies"));
    git(origin.path(), &["init", "-q"]);
    git(origin.path(), &["config", "uploadpack.allowFilter", "true"]);
    git(origin.path(), &["add", "policies"]);
    git(origin.path(), &["commit", "-q", "-m", "x"]);
    let path = origin.path().join("policies/clients.yaml");
    fs::write(&path, edited(&fs::read_to_string(&path).unwrap())).unwrap();
    git(origin.path(), &["commit", "-q", "-a", "-m", "y"]);
    let dir = TempDir::new().unwrap();
    let url = format!("file://{}", origin.path().display());
    git(dir.path(), &["clone", "-q", "--filter=blob:none", &url, "."]);
    let server = ConsoleServer::serve_in(dir, "[console]\ncompare = \"HEAD~1\"\n").await;
    let objects = || git(server.dir(), &["count-objects", "-v"]);
    let before = objects();
    let diff = server.got("diff").await;
    assert_eq!(diff["difference"], Value::Null, "{diff}");
    assert!(diff["why"].as_str().unwrap().contains("git"), "{diff}");
    assert_eq!(objects(), before);
    // the command may fetch them
    let printed = server.command(&["policies", "diff", "--git", "HEAD~1", "--format", "json"]);
    assert!(printed["gains"].as_u64() > Some(0), "{printed}");
}

#[actix_web::test]
async fn a_side_that_does_not_load_gives_its_findings() {
    let server =
        server_beside(CANDIDATE, |text| text.replace("role: support-lead", "role: suport-lead")).await;
    let diff = server.got("diff").await;
    let found = server.command(&["policies", "check", "new", "--format", "json"]);
    assert_eq!(diff["difference"], Value::Null);
    assert!(diff["why"].as_str().unwrap().contains("new"), "{diff}");
    let codes = |of: &Value| -> Vec<Value> {
        of.as_array().unwrap().iter().map(|it| json!([it["code"], it["line"], it["message"]])).collect()
    };
    assert_eq!(codes(&diff["findings"]), codes(&found));
    assert!(!codes(&found).is_empty());
    fs::remove_dir_all(server.dir().join("new")).unwrap();
    let diff = server.got("diff").await;
    assert_eq!(diff["findings"][0]["code"], "unreadable", "{diff}");
}

#[actix_web::test]
async fn without_another_side_it_is_said_what_to_set() {
    let server = server_with(&hostile_policies(), "").await;
    let diff = server.got("diff").await;
    assert_eq!(
        (&diff["choices"], &diff["with"], &diff["difference"]),
        (&json!([]), &Value::Null, &Value::Null)
    );
    let why = diff["why"].as_str().unwrap();
    assert!(why.contains("`policies.candidate`") && why.contains("`console.compare`"), "{why}");
    let (status, body) = server.get("diff?with=candidate").await;
    assert_eq!(status, 404, "{body}");
    assert!(body["detail"].as_str().unwrap().contains("`policies.candidate`"), "{body}");
    let (status, body) = server.get("diff?side=candidate").await;
    assert_eq!(status, 400, "{body}");
}
