//! The check of edited policies: what it says, that it is bounded, and that nothing of it stays.
use std::{fmt::Write, fs, process::Command, time::Instant};

use serde_json::{Value, json};

use crate::{
    console_questions::{as_printed, hostile_policies, server_with},
    support::console::{ConsoleServer, read},
};

/// The texts in force, to be edited.
async fn texts(server: &ConsoleServer) -> Vec<Value> {
    server.got("sources").await["files"].as_array().unwrap().clone()
}

/// These texts, with `from` in one of them replaced.
fn edited(texts: &[Value], from: &str, to: &str) -> Vec<Value> {
    let mut edits = 0;
    let mut files = texts.to_vec();
    for file in &mut files {
        let text = file["text"].as_str().unwrap();
        edits += text.matches(from).count();
        file["text"] = json!(text.replace(from, to));
    }
    assert!(edits > 0, "{from:?} stands nowhere");
    files
}

async fn check(server: &ConsoleServer, files: &[Value], ask: Value) -> Value {
    server.posted("check", &json!({ "files": files, "ask": ask })).await
}

/// What the command finds in these texts, in a folder of the same name.
fn found_by_command(server: &ConsoleServer, files: &[Value]) -> Value {
    let dir = server.dir().join("policies");
    let before: Vec<_> = fs::read_dir(&dir).unwrap().map(|entry| entry.unwrap().path()).collect();
    let before: Vec<_> = before
        .iter()
        .filter(|path| path.extension().is_some_and(|it| it == "yaml"))
        .map(|path| (path, fs::read(path).unwrap()))
        .collect();
    for (path, _) in &before {
        fs::remove_file(path).unwrap();
    }
    for file in files {
        fs::write(dir.join(below(file)), file["text"].as_str().unwrap()).unwrap();
    }
    let found = server.command(&["policies", "check", "--format", "json"]);
    for file in files {
        fs::remove_file(dir.join(below(file))).unwrap();
    }
    for (path, text) in &before {
        fs::write(path, text).unwrap();
    }
    found
}

#[actix_web::test]
async fn an_unedited_copy_is_what_is_in_force() {
    for server in [ConsoleServer::with_sample().await, server_with(&hostile_policies(), "").await] {
        let texts = texts(&server).await;
        let answer = check(&server, &texts, json!({ "difference": true })).await;
        assert_eq!(answer["usable"], true, "{answer}");
        assert_eq!(answer["hash"], server.got("sources").await["hash"]);
        assert_eq!(answer["difference"]["changes"], json!([]));
        assert_eq!(answer["names"], server.got("names").await);
        assert_eq!(answer["findings"], found_by_command(&server, &texts));
        assert_eq!(
            (&answer["matrix"], &answer["explanation"], &answer["why"]),
            (&Value::Null, &Value::Null, &Value::Null)
        );
        let answer = check(&server, &texts, json!({ "matrix": "orders" })).await;
        let mut in_force = server.got("matrix?api=orders").await;
        in_force["loaded_at"] = Value::Null;
        assert_eq!(answer["matrix"], in_force);
    }
}

#[actix_web::test]
async fn findings_are_those_of_the_command() {
    let server = ConsoleServer::with_sample().await;
    let texts = texts(&server).await;
    for (from, to, code, usable) in [
        ("role: support-lead", "role: suport-lead", "unknown-role", false),
        ("scopes: [orders:refund]", "scopes: []", "failed-test", false),
        ("  - as: acme-sync", "  - as: acme-sink", "unknown-client", false),
        ("version: 1", "version: 1\nscopes: { x: [ }", "yaml-syntax", false),
        ("version: 1\n\nclients:", "version: 1\n\nclients: &a", "yaml-feature", false),
        ("  reports:read:", "  unused: x\n  reports:read:", "unused-scope", true),
    ] {
        let files = edited(&texts, from, to);
        let answer = check(&server, &files, Value::Null).await;
        let found = found_by_command(&server, &files);
        assert_eq!(answer["findings"], found, "{to}");
        let codes: Vec<_> = found.as_array().unwrap().iter().map(|it| it["code"].as_str().unwrap()).collect();
        assert!(codes.contains(&code), "{to}: {codes:?}");
        assert_eq!(answer["usable"], usable, "{to}");
    }
    // a secret in clear is hidden in what is found, as everywhere
    let files = edited(&texts, "sha256: ", "sha256: hush-hush-");
    let answer = check(&server, &files, Value::Null).await;
    assert_eq!(answer["usable"], false);
    assert!(!answer.to_string().contains("hush-hush"), "{answer}");
}

#[actix_web::test]
async fn matrix_difference_and_explanation_are_those_of_the_edited_texts() {
    let server = ConsoleServer::with_sample().await;
    // the client moves to another tenant, and so do its tests
    let edits = [
        ("claims: { tenant: acme }", "claims: { tenant: globex }"),
        ("      - GET /tenants/globex/orders\n", "      - GET /tenants/acme/orders/1\n"),
        ("      - GET /tenants/acme/orders\n      - PUT /tenants/acme/orders/42\n", ""),
    ];
    let texts = texts(&server).await;
    let files = edits.iter().fold(texts.clone(), |files, (from, to)| edited(&files, from, to));
    // the same on the disk, where the hashes of secrets are whole
    fs::create_dir(server.dir().join("new")).unwrap();
    for file in &texts {
        let text = fs::read_to_string(server.dir().join("policies").join(below(file))).unwrap();
        let text = edits.iter().fold(text, |text, (from, to)| text.replace(from, to));
        fs::write(server.dir().join("new").join(below(file)), text).unwrap();
    }
    let matrix = check(&server, &files, json!({ "matrix": "orders" })).await;
    let printed = server.command(&["policies", "matrix", "new", "--api", "orders", "--format", "json"]);
    assert_eq!(as_printed(&matrix["matrix"]), printed[0], "{}", matrix["findings"]);
    assert_eq!(matrix["matrix"]["loaded_at"], Value::Null);
    let difference = check(&server, &files, json!({ "difference": true })).await;
    let printed = server.command(&["policies", "diff", "policies", "new", "--format", "json"]);
    for name in ["summary", "gains", "losses"] {
        assert_eq!(difference["difference"][name], printed[name], "{name}");
    }
    let what = |of: &Value| -> Vec<Value> {
        of["changes"]
            .as_array()
            .unwrap()
            .iter()
            .map(|it| json!([it["who"], it["what"], it["where"], it["witness"]]))
            .collect()
    };
    assert!(printed["losses"].as_u64() > Some(0));
    // the client's secret is whole again, though its text was cut
    assert_eq!(what(&difference["difference"]), what(&printed));
    let question =
        json!({ "api": "orders", "as": "acme-sync", "method": "GET", "path": "/tenants/acme/orders" });
    let explained = check(&server, &files, json!({ "explain": question })).await;
    assert_eq!(explained["explanation"]["allowed"], false);
    assert_eq!(server.posted("explain", &question).await["allowed"], true, "nothing of it is in force");
}

fn below(file: &Value) -> &str {
    file["name"].as_str().unwrap().rsplit('/').next().unwrap()
}

#[actix_web::test]
async fn what_is_asked_of_texts_that_do_not_have_it_is_told() {
    let server = ConsoleServer::with_sample().await;
    let texts = texts(&server).await;
    let answer = check(&server, &texts, json!({ "matrix": "order" })).await;
    assert_eq!((&answer["usable"], &answer["matrix"]), (&json!(true), &Value::Null));
    assert!(answer["why"].as_str().unwrap().contains("`order`"), "{answer}");
    let nobody = json!({ "api": "orders", "as": "nobody", "method": "GET", "path": "/" });
    let answer = check(&server, &texts, json!({ "explain": nobody })).await;
    assert!(answer["why"].as_str().unwrap().contains("`nobody`"), "{answer}");
    for (body, says) in [
        (json!({}), "files"),
        (json!([]), "`files`"),
        (json!({ "files": [{ "name": "a.yaml" }] }), "text"),
        (json!({ "files": [], "question": 1 }), "question"),
        (json!({ "files": [], "ask": { "all": 1 } }), "all"),
        (json!({ "files": [], "ask": { "explain": { "api": "orders" } } }), "method"),
        (
            json!({ "files": [], "ask": { "explain": { "api": "a", "method": "GET", "path": "/", "token": "x" } } }),
            "token",
        ),
    ] {
        let (status, answer) = server.post("check", &body).await;
        assert_eq!(status, 400, "{answer}");
        assert!(answer["detail"].as_str().unwrap().contains(says), "{answer}");
    }
    for name in ["../a.yaml", "/etc/a.yaml", ".a.yaml", "a.txt", ""] {
        let answer = check(&server, &[json!({ "name": name, "text": "version: 1\n" })], Value::Null).await;
        assert_eq!(answer["usable"], false, "{name}: {answer}");
        assert_eq!(answer["findings"][0]["code"], "unreadable", "{name}: {answer}");
    }
}

#[actix_web::test]
async fn a_body_of_more_than_four_mebibytes_is_refused() {
    let server = ConsoleServer::with_sample().await;
    let text = |length: usize| format!("version: 1\n{}", "#".repeat(length));
    let long = |length: usize| json!({ "files": [{ "name": "a.yaml", "text": text(length) }] });
    let (status, answer) = server.post("check", &long(4 * 1024 * 1024)).await;
    assert_eq!(status, 413, "{answer}");
    assert!(answer["detail"].as_str().unwrap().contains("4 MiB"), "{answer}");
    let (status, answer) = server.post("check", &long(4 * 1024 * 1024 - 100)).await;
    assert_eq!((status, &answer["usable"]), (200, &json!(true)), "{}", answer["findings"]);
}

/// Routes and alternatives of one rule, whose parameters stand elsewhere in each route: a small text that asks for more
/// conditions than memory holds.
fn explosive() -> String {
    let mut text =
        "version: 1\napis:\n  a:\n    audience: https://a.example\n    rules:\n      r:\n        routes:\n"
            .to_owned();
    let names = ["p", "q", "r", "s", "t", "u", "v"];
    for number in 0..30_000_usize {
        // each permutation of the names is another list of places
        let (mut left, mut at) = (names.to_vec(), number % 5_040);
        let mut path = String::new();
        while !left.is_empty() {
            let name = left.remove(at % left.len());
            at /= left.len() + 1;
            let _ = write!(path, "/{{{name}}}");
        }
        let _ = writeln!(text, "          - GET /n{number}{path}");
    }
    text += "        require:\n";
    for number in 0..40_000_usize {
        let _ =
            writeln!(text, "          - claims: {{ c{number}: {{ same_as_path: {} }} }}", names[number % 7]);
    }
    text
}

/// The processes that check texts for this server.
fn checking(server: &ConsoleServer) -> usize {
    let pid = server.binary.child.id().unwrap().to_string();
    let output = Command::new("ps").args(["--ppid", &pid, "-o", "pid=,stat="]).output().unwrap();
    String::from_utf8(output.stdout).unwrap().lines().filter(|line| !line.contains('Z')).count()
}

#[actix_web::test]
async fn texts_that_take_too_much_are_refused_and_end_with_what_they_began() {
    let server = ConsoleServer::with_sample().await;
    let texts = texts(&server).await;
    let hostile = json!({ "files": [{ "name": "a.yaml", "text": explosive() }] });
    let started = Instant::now();
    let (status, answer) = server.post("check", &hostile).await;
    assert_eq!(status, 422, "{answer}");
    assert!(answer["detail"].as_str().unwrap().contains("`jeton policies check`"), "{answer}");
    assert!(started.elapsed().as_secs() < 10, "{:?}", started.elapsed());
    assert_eq!(checking(&server), 0);
    // nothing else has noticed
    assert_eq!(check(&server, &texts, Value::Null).await["usable"], true);
    assert_eq!(server.got("matrix?api=orders").await["api"], "orders");
}

#[actix_web::test]
async fn one_check_runs_at_a_time_and_ends_with_whoever_asked() {
    let server = ConsoleServer::with_sample().await;
    let texts = texts(&server).await;
    let hostile = json!({ "files": [{ "name": "a.yaml", "text": explosive() }] });
    let running = actix_web::rt::spawn(server.posting("check", &hostile).send());
    server_until(|| checking(&server) == 1).await;
    let refused = server.posting("check", &json!({ "files": texts })).send().await.unwrap();
    assert_eq!(refused.headers()["retry-after"], "1");
    let (status, answer) = read(refused).await;
    assert_eq!(status, 503, "{answer}");
    assert!(answer["detail"].as_str().unwrap().contains("one at a time"), "{answer}");
    // other questions are answered meanwhile
    server.got("matrix?api=orders").await;
    // who asked hangs up
    running.abort();
    server_until(|| checking(&server) == 0).await;
    assert_eq!(check(&server, &texts, Value::Null).await["usable"], true);
}

/// Waits until this is so.
async fn server_until(mut is_so: impl FnMut() -> bool) {
    let started = Instant::now();
    while !is_so() {
        assert!(started.elapsed().as_secs() < 20, "it never came to be so");
        actix_web::rt::time::sleep(std::time::Duration::from_millis(10)).await;
    }
}

#[actix_web::test]
async fn no_text_stands_in_the_log_or_on_the_disk() {
    let mut server = ConsoleServer::with_sample().await;
    let files = edited(&texts(&server).await, "description: ", "description: unheard-of ");
    for ask in [Value::Null, json!({ "difference": true }), json!({ "matrix": "orders" })] {
        check(&server, &files, ask).await;
    }
    let broken = edited(&files, "version: 1", "unheard-of: 1");
    check(&server, &broken, Value::Null).await;
    server.post("check", &json!({ "files": files, "unheard-of": 1 })).await;
    let on_disk =
        Command::new("grep").args(["-r", "unheard-of", "."]).current_dir(server.dir()).output().unwrap();
    assert_eq!(String::from_utf8_lossy(&on_disk.stdout), "");
    server.binary.stop().await;
    let log = server.binary.log_text();
    assert!(log.contains("\"stopped\"") && !log.contains("unheard-of"), "{log}");
}
