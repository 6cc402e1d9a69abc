//! The decision log: what a line says, that each line is whole, and that nobody waits for the disk.
use std::{
    fs::{self, File},
    io::Read,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::Command,
    sync::{Arc, mpsc},
    thread,
};

use jeton::config::Settings;
use jeton_oauth::clock::{Clock, ManualClock};
use jeton_verify::audit::{
    Audit, AuditedRequest, DecisionLine, DecisionLog, DecisionOutcome, Replay, TakenDecision,
};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::{
    binary::Workplace,
    policy_text::compile_good,
    support::{
        ISSUER, NOW, Setup, TestApp, http_client, install_policies, now, program::Binary, spawn_app,
        spawn_app_with,
    },
};

const NAME: &str = "decisions.jsonl";

/// Writes decisions beside the policies.
pub(crate) fn log_decisions(settings: &mut Settings) {
    settings.log.decisions = Some(settings.policies.dir.with_file_name(NAME));
}

/// What the log of a server holds.
pub(crate) fn log_text(app: &TestApp) -> String {
    app.audit.log().expect("a decision log").flush();
    fs::read_to_string(app.dir.path().join(NAME)).unwrap()
}

fn values(text: &str) -> Vec<Value> {
    assert!(text.is_empty() || text.ends_with('\n'), "each line is whole");
    text.lines().map(|line| serde_json::from_str(line).unwrap_or_else(|e| panic!("{line}: {e}"))).collect()
}

fn clock() -> Arc<dyn Clock> {
    Arc::new(ManualClock::at(NOW.parse().unwrap()))
}

/// Tells of a decision on this path.
fn tell(audit: &Audit, path: &str) {
    let asked = AuditedRequest { api: "a", method: "GET", path, bearer: None };
    let taken = TakenDecision {
        outcome: DecisionOutcome::Unauthenticated,
        rule: None,
        reason: "no-route",
        detail: Some(&"none"),
    };
    audit.tell(&asked, &taken, None);
}

fn audit(path: &Path) -> Audit {
    Audit::new(Some(Arc::new(DecisionLog::open(path, clock()).unwrap())), None)
}

#[actix_web::test]
async fn each_decision_is_a_line_of_what_was_asked_and_answered() {
    let app = spawn_app_with(Setup { settings: log_decisions, ..Setup::default() });
    let token = app.token_of("acme-sync", "jeton").await;
    let operator = app.token_of("operator", "jeton").await;
    let orders = app.token_of("acme-sync", "orders").await;
    let asks = [
        ("GET", "/principal", Some(&token)),
        ("HEAD", "/principal?access=secret-of-the-query", Some(&token)),
        ("GET", "/ops/keys", Some(&token)),
        ("GET", "/ops/keys", Some(&operator)),
        ("GET", "/ops/keys", None),
        ("GET", "/principal", Some(&orders)),
        ("GET", "/ops/nowhere", Some(&token)),
        ("GET", "/ops/a;b", None),
    ];
    let mut references = Vec::new();
    for (method, path, token) in asks {
        let mut request = app.http.request(method.parse().unwrap(), app.url(path));
        if let Some(token) = token {
            request = request.bearer_auth(token);
        }
        let body = request.send().await.unwrap().text().await.unwrap();
        let body: Value = serde_json::from_str(&body).unwrap_or_default();
        references.push(body["reference"].clone());
    }
    let text = log_text(&app);
    assert!(text.starts_with("{\"time\":\"2026-11-23T12:00:00Z\",\"id\":\""), "{text}");
    let of_acme = |line: Value| {
        merged(
            line,
            json!({
                "client": "acme-sync", "issued_at": now(), "bound": false, "audience": [ISSUER],
                "scopes": ["jeton:principal"], "roles": [], "claims": { "tenant": "acme" },
            }),
        )
    };
    let line = |method: &str, path: &str, allowed: bool, rule: &str, reason: &str| json!({ "time": "2026-11-23T12:00:00Z", "api": "jeton", "method": method, "path": path, "allowed": allowed, "rule": rule, "reason": reason });
    let with = |line: Value, detail: &str| merged(line, json!({ "detail": detail }));
    let without_rule = |mut line: Value| {
        line.as_object_mut().unwrap().remove("rule");
        line
    };
    let expected = [
        of_acme(line("GET", "/principal", true, "principal", "met")),
        of_acme(line("HEAD", "/principal", true, "principal", "met")),
        of_acme(with(line("GET", "/ops/keys", false, "ops", "not-met"), "missing: scope: jeton:ops")),
        merged(
            line("GET", "/ops/keys", true, "ops", "met"),
            json!({
                "client": "operator", "issued_at": now(), "bound": false, "audience": [ISSUER],
                "scopes": ["jeton:ops", "jeton:principal"], "roles": ["operator"], "claims": {},
            }),
        ),
        with(line("GET", "/ops/keys", false, "ops", "no-token"), "rule `ops` needs a token"),
        without_rule(with(
            line("GET", "/principal", false, "", "invalid-token"),
            "`aud` is another audience",
        )),
        of_acme(without_rule(with(
            line("GET", "/ops/nowhere", false, "", "no-route"),
            "no route matches this method and path",
        ))),
        without_rule(with(line("GET", "/ops/a;b", false, "", "bad-path"), "`;` must not be in a path")),
    ];
    let lines = values(&text);
    assert_eq!(lines.len(), expected.len(), "{text}");
    for ((mut line, expected), reference) in lines.into_iter().zip(expected).zip(references) {
        let members = line.as_object_mut().unwrap();
        let id = members.remove("id").unwrap();
        assert!(reference.is_null() || id == reference, "the reference of the answer: {members:?}");
        let jti = members.remove("jti");
        assert_eq!(jti.is_some(), expected.get("scopes").is_some(), "{members:?}");
        assert_eq!(line, expected);
    }
    for token in [&token, &operator, &orders] {
        for part in token.split('.') {
            assert!(!text.contains(part), "a part of a token");
        }
    }
    assert!(!text.contains("secret"), "{text}");
}

fn merged(mut value: Value, more: Value) -> Value {
    let Value::Object(more) = more else { panic!("{more} is no object") };
    value.as_object_mut().unwrap().extend(more);
    value
}

#[actix_web::test]
async fn without_the_setting_nothing_is_written() {
    let app = spawn_app();
    app.get("/principal").await;
    assert!(app.audit.log().is_none());
    assert!(!app.dir.path().join(NAME).exists());
}

#[test]
fn the_file_is_its_owners_and_is_appended_to() {
    let dir = TempDir::new().unwrap();
    let path = dir.path().join(NAME);
    let mode = || fs::metadata(&path).unwrap().permissions().mode() & 0o777;
    tell(&audit(&path), "/1");
    assert_eq!(mode(), 0o600);
    fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
    tell(&audit(&path), "/2");
    assert_eq!(mode(), 0o640, "who made it otherwise knows why");
    let paths: Vec<_> =
        values(&fs::read_to_string(&path).unwrap()).iter().map(|line| line["path"].clone()).collect();
    assert_eq!(paths, ["/1", "/2"]);
}

/// What a process that was killed left behind is no part of the next line.
#[test]
fn half_a_line_at_the_end_is_cut_off() {
    let whole = "{\"dropped\":1}\n";
    let long = "x".repeat(200_000);
    for (name, before, kept) in [
        ("empty", String::new(), ""),
        ("whole", whole.to_owned(), whole),
        ("half a line alone", "{\"time".to_owned(), ""),
        ("half a line behind another", format!("{whole}{{\"time"), whole),
        ("a long one", format!("{whole}{long}"), whole),
        ("a long one alone", long.clone(), ""),
    ] {
        let dir = TempDir::new().unwrap();
        let path = dir.path().join(NAME);
        fs::write(&path, before).unwrap();
        tell(&audit(&path), "/next");
        let text = fs::read_to_string(&path).unwrap();
        let next = text.strip_prefix(kept).unwrap_or_else(|| panic!("{name}: {text}"));
        assert_eq!(values(next).len(), 1, "{name}");
    }
}

/// A disk that stands still: nobody who decides waits for it, and the file says what is missing.
#[test]
fn where_the_queue_is_full_decisions_are_dropped_and_counted() {
    let dir = TempDir::new().unwrap();
    let pipe = dir.path().join("pipe");
    assert!(Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    let (go, may_read) = mpsc::channel();
    let of_reader = pipe.clone();
    let reader = thread::spawn(move || {
        let mut file = File::open(of_reader).unwrap();
        may_read.recv().unwrap();
        let mut text = String::new();
        file.read_to_string(&mut text).unwrap();
        text
    });
    let audit = audit(&pipe);
    let filler = "x".repeat(8_000);
    let told = 4_000;
    for number in 0..told {
        tell(&audit, &format!("/{number:04}{filler}"));
    }
    go.send(()).unwrap();
    audit.log().unwrap().flush();
    let counted = audit.log().unwrap().lost();
    tell(&audit, "/after");
    drop(audit);
    let text = reader.join().unwrap();
    let (mut last, mut decisions, mut dropped) = (None, 0, 0);
    for line in text.lines() {
        match DecisionLine::parse(line.as_bytes()).unwrap() {
            DecisionLine::Dropped(count) => dropped += count,
            DecisionLine::Decision(decision) => {
                let number = decision.path.get(1..5).map(str::to_owned);
                assert!(number > last || decision.path == "/after", "in order: {number:?} after {last:?}");
                (last, decisions) = (number, decisions + 1);
            }
        }
    }
    assert!(dropped > 0, "32 MB do not fit");
    assert_eq!(counted, dropped);
    assert_eq!(decisions + dropped, told + 1, "each is there, or counted");
    assert!(text.ends_with('\n') && text.contains("\"/after\""), "and it goes on");
    let policies = compile_good("version: 1\n");
    let mut replay = Replay::new(&policies);
    text.lines().for_each(|line| replay.take(line.as_bytes()).unwrap());
    assert_eq!(replay.finish().dropped, dropped);
}

#[actix_web::test]
async fn a_full_disk_harms_no_request() {
    let app = spawn_app_with(Setup {
        settings: |settings| settings.log.decisions = Some(PathBuf::from("/dev/full")),
        ..Setup::default()
    });
    let token = app.token_of("acme-sync", "jeton").await;
    for _ in 0..20 {
        assert_eq!(app.get_principal(&token).await.status(), 200);
    }
}

#[test]
fn what_cannot_be_written_stops_the_start() {
    for (name, variable, value, says) in [
        (
            "a file that cannot be made",
            "LOG__DECISIONS",
            "/proc/decisions.jsonl",
            "`log.decisions`: `/proc/decisions.jsonl` cannot be opened",
        ),
        (
            "a folder",
            "LOG__DECISIONS",
            "policies",
            "JETON__LOG__DECISIONS: `policies` is a folder: name a file",
        ),
        (
            "a folder that is not there",
            "LOG__DECISIONS",
            "logs/d.jsonl",
            "JETON__LOG__DECISIONS: the folder `logs` does not exist",
        ),
        (
            "a candidate that is not there",
            "POLICIES__CANDIDATE",
            "new",
            "JETON__POLICIES__CANDIDATE: the folder `new` does not exist",
        ),
        ("a candidate that is a file", "POLICIES__CANDIDATE", "policies/jeton.yaml", "is not a folder"),
    ] {
        let mut workplace = Workplace::sample();
        workplace.set(&format!("JETON__{variable}"), value).set("JETON__SERVER__LISTEN", "127.0.0.1:0");
        let run = workplace.run(&["serve"]);
        assert_eq!(run.code, Some(1), "{name}: {run:?}");
        assert!(run.stderr.contains(says), "{name}: {run:?}");
    }
}

async fn serve(settings: &str) -> Binary {
    let dir = TempDir::new().unwrap();
    install_policies(&dir.path().join("policies"));
    // they follow `[log]`
    Binary::serve_in(dir, settings).await
}

async fn ask(binary: &Binary, path: &str) {
    http_client().get(format!("http://{}{path}", binary.address)).send().await.unwrap();
}

#[actix_web::test]
async fn sighup_goes_on_in_another_file_and_the_end_writes_everything() {
    let mut binary = serve(&format!("decisions = \"{NAME}\"\n")).await;
    let path = binary.dir.path().join(NAME);
    ask(&binary, "/ops/1").await;
    ask(&binary, "/ops/2").await;
    let moved = binary.dir.path().join("decisions.1");
    fs::rename(&path, &moved).unwrap();
    binary.signal("HUP").await;
    binary.logged("decisions.reopened").await;
    ask(&binary, "/ops/3").await;
    binary.signal("TERM").await;
    assert!(binary.child.wait().await.unwrap().success());
    let paths = |path: &Path| -> Vec<Value> {
        values(&fs::read_to_string(path).unwrap()).iter_mut().map(|line| line["path"].take()).collect()
    };
    assert_eq!(
        (paths(&moved), paths(&path)),
        (vec![json!("/ops/1"), json!("/ops/2")], vec![json!("/ops/3")])
    );
}

#[actix_web::test]
async fn a_process_that_is_killed_leaves_a_log_that_can_be_replayed() {
    let mut binary = serve(&format!("decisions = \"{NAME}\"\n")).await;
    let path = binary.dir.path().join(NAME);
    // no more, for nobody reads what the program says
    for number in 0..60 {
        ask(&binary, &format!("/ops/{number}")).await;
    }
    binary.child.kill().await.unwrap();
    let run = Command::new(env!("CARGO_BIN_EXE_jeton"))
        .args(["policies", "replay", NAME, "--against", "policies"])
        .current_dir(binary.dir.path())
        .output()
        .unwrap();
    assert_eq!(run.status.code(), Some(0), "{run:?}");
    let judged = String::from_utf8(run.stdout).unwrap();
    let lines = fs::read_to_string(path).unwrap().matches('\n').count();
    assert!(lines > 0, "most were written long before");
    assert!(judged.starts_with(&format!("{lines} judged: {lines} the same")), "{judged}");
}
