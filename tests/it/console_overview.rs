//! The console's overview: what it says of a server, and that each problem is there while it is so.
use std::{
    fs::{self, File},
    sync::LazyLock,
    time::Duration,
};

use jeton::config::{Settings, TlsSettings};
use jeton_policy::Severity;
use jeton_verify::audit::{AuditedRequest, DecisionOutcome, TakenDecision};
use serde_json::{Value, json};

use crate::support::{
    NOW, Setup, TestApp, http_client, install_key,
    issuer::Answer,
    now,
    platform::Platform,
    program::Binary,
    redis::RedisServer,
    scrape::with_admin,
    secret_hash, spawn_app_with,
    tls::{self, Authority},
};

const OVERVIEW: &str = "/console/api/overview";
const DAY: i64 = 24 * 60 * 60;
/// What is said of a public secret.
const DEMO: &str = "from the documentation";

fn spawn() -> TestApp {
    spawn_app_with(Setup { settings: with_admin, ..Setup::default() })
}

async fn overview(app: &TestApp) -> Value {
    let answer = app.get_admin(OVERVIEW).await;
    assert_eq!(answer.status(), 200);
    assert_eq!(answer.headers()["cache-control"], "no-store");
    answer.json().await.unwrap()
}

/// The one problem whose words hold this, if there is one.
#[track_caller]
fn problem(overview: &Value, words: &str) -> Option<Value> {
    let problems = overview["problems"].as_array().unwrap();
    let said = |problem: &&Value| problem["what"].as_str().unwrap().contains(words);
    let found: Vec<_> = problems.iter().filter(said).collect();
    assert!(found.len() <= 1, "{words:?} is told more than once: {problems:?}");
    found.first().copied().cloned()
}

/// A problem is there: so bad, seen there, with words on how to mend it.
#[track_caller]
fn is_told(overview: &Value, words: &str, severity: Severity, view: Option<&str>) {
    let found = problem(overview, words);
    let found = found.unwrap_or_else(|| panic!("{words:?} is not told: {:?}", overview["problems"]));
    assert_eq!((&found["severity"], &found["view"]), (&json!(severity), &json!(view)), "{found}");
    assert!(found["fix"].as_str().is_some_and(|fix| !fix.is_empty()), "{found}");
}

#[track_caller]
fn is_not_told(overview: &Value, words: &str) {
    assert_eq!(problem(overview, words), None);
}

#[actix_web::test]
async fn the_overview_says_what_is_served() {
    let app = spawn();
    let told = overview(&app).await;
    let ready: Value = app.get("/readyz").await.json().await.unwrap();
    assert_eq!(told["version"], env!("CARGO_PKG_VERSION"));
    assert_eq!(told["issuer"], "http://127.0.0.1:8080");
    assert_eq!((&told["now"], &told["started_at"]), (&json!(NOW), &json!(NOW)));
    assert_eq!(told["signing"], json!({ "kid": ready["keys"]["signing"], "alg": "RS256" }));
    assert_eq!(told["store"], json!({ "status": "memory" }));
    let policies = &told["policies"];
    assert_eq!(policies["hash"], ready["policies"]["hash"]);
    assert_eq!(policies["loaded_at"], NOW);
    assert!(policies["dir"].as_str().unwrap().ends_with("/policies"), "{policies}");
    assert_eq!((&policies["apis"], &policies["clients"]), (&json!(2), &json!(4)));
    assert!(policies["rules"].as_u64() > Some(4) && policies["routes"].as_u64() > policies["rules"].as_u64());
    assert_eq!(policies["last_rejection"], Value::Null);
    assert_eq!(told["limits"], json!({ "tokens": "off", "introspections": "off", "failures": "off" }));
    for (name, empty) in [("candidate", json!(null)), ("tls", json!([])), ("issuers", json!([]))] {
        assert_eq!(told[name], empty, "{name}");
    }
    app.clock.advance(60);
    let later = overview(&app).await;
    assert_eq!((&later["now"], &later["started_at"]), (&json!("2026-11-23T12:01:00Z"), &json!(NOW)));
}

/// The clients of the sample but for the demo secrets of all but the operator, and what else is said of clients.
fn operator(more: &str) -> String {
    format!(
        "version: 1\nclients:\n  operator:\n    secrets: [{{ sha256: {} }}]\n    grants: {{ jeton: {{ roles: [operator] }} }}\n{more}",
        secret_hash("demo-secret-of-operator")
    )
}

#[actix_web::test]
async fn public_secrets_are_told_until_nobody_has_one() {
    let app = spawn();
    is_told(
        &overview(&app).await,
        "`acme-sync` and 3 more clients from",
        Severity::Warning,
        Some("#/clients"),
    );
    app.write_policy("clients.yaml", &operator(""));
    assert_eq!(app.post_reload().await.status(), 200);
    is_told(&overview(&app).await, "`operator` from", Severity::Warning, Some("#/clients"));
    let token = app.token_of("operator", "jeton").await;
    app.write_policy(
        "clients.yaml",
        &operator("").replace(&secret_hash("demo-secret-of-operator"), &"1".repeat(64)),
    );
    let reloaded = app.http.post(app.url("/ops/reload")).bearer_auth(token).send().await.unwrap();
    assert_eq!(reloaded.status(), 200);
    is_not_told(&overview(&app).await, DEMO);
}

#[actix_web::test]
async fn policies_that_were_not_taken_are_told_until_others_are() {
    let app = spawn();
    is_not_told(&overview(&app).await, "not reloaded");
    app.write_policy("more.yaml", "version: 1\nclients: wrong\nscopes: wrong\n");
    assert_eq!(app.post_reload().await.status(), 422);
    let told = overview(&app).await;
    is_told(&told, "the policies were not reloaded", Severity::Error, None);
    assert_eq!(told["problems"][0]["severity"], "error", "the worst comes first");
    assert_eq!(told["policies"]["last_rejection"]["findings"].as_array().unwrap().len(), 2);
    app.write_policy("more.yaml", "version: 1\n");
    assert_eq!(app.post_reload().await.status(), 200);
    is_not_told(&overview(&app).await, "not reloaded");
}

#[actix_web::test]
async fn warnings_of_the_policies_are_told_until_they_are_heeded() {
    let app = spawn();
    let unused = "[unused-scope]";
    is_not_told(&overview(&app).await, unused);
    app.write_policy("more.yaml", "version: 1\nscopes: { 'more:read': x }\n");
    assert_eq!(app.post_reload().await.status(), 200);
    let told = overview(&app).await;
    is_told(&told, unused, Severity::Warning, Some("#/try"));
    assert_eq!(told["policies"]["warnings"][0]["code"], "unused-scope");
    app.write_policy("more.yaml", "version: 1\n");
    assert_eq!(app.post_reload().await.status(), 200);
    is_not_told(&overview(&app).await, unused);
}

/// Nobody reads a thousand of them, and the first ones say what is meant.
#[actix_web::test]
async fn of_many_warnings_the_first_are_told() {
    let app = spawn();
    let scopes: Vec<_> = (0..1000).map(|number| format!("  more:{number}: x\n")).collect();
    app.write_policy("more.yaml", &format!("version: 1\nscopes:\n{}", scopes.concat()));
    assert_eq!(app.post_reload().await.status(), 200);
    let told = overview(&app).await;
    let problems = told["problems"].as_array().unwrap();
    let unused = |problem: &&Value| problem["what"].as_str().unwrap().contains("[unused-scope]");
    assert_eq!(problems.iter().filter(unused).count(), 20);
    assert!(problem(&told, "there are 980 more warnings of the policies").is_some(), "{problems:?}");
    assert_eq!(told["policies"]["warnings"].as_array().unwrap().len(), 200);
    assert_eq!(told["policies"]["warnings_left_off"], 800);
}

#[actix_web::test]
async fn a_candidate_that_does_not_load_is_told_until_it_does() {
    let settings = |settings: &mut Settings| {
        with_admin(settings);
        let dir = settings.policies.dir.with_file_name("candidate");
        fs::create_dir(&dir).unwrap();
        fs::write(dir.join("a.yaml"), "version: 1\nclients: wrong\n").unwrap();
        settings.policies.candidate = Some(dir);
    };
    let app = spawn_app_with(Setup { settings, ..Setup::default() });
    let told = overview(&app).await;
    is_told(&told, "candidate policies were not loaded", Severity::Warning, Some("#/diff"));
    assert_eq!(told["candidate"]["hash"], Value::Null);
    assert!(told["candidate"]["dir"].as_str().unwrap().ends_with("/candidate"));
    fs::write(app.dir.path().join("candidate/a.yaml"), "version: 1\n").unwrap();
    assert_eq!(app.post_reload().await.status(), 200);
    let told = overview(&app).await;
    is_not_told(&told, "candidate");
    assert!(told["candidate"]["hash"].is_string());
    assert_eq!(told["candidate"]["compared"], 0);
    app.get("/principal").await;
    assert_eq!(overview(&app).await["candidate"]["compared"], 1);
}

#[actix_web::test]
async fn keys_that_were_not_taken_are_told_until_others_are() {
    let app = spawn();
    let keyring = app.dir.path().join("keys/keyring.yaml");
    let good = fs::read_to_string(&keyring).unwrap();
    is_not_told(&overview(&app).await, "the keys were not reloaded");
    fs::write(&keyring, "keys: wrong\n").unwrap();
    assert_eq!(app.post_reload().await.status(), 422);
    is_told(&overview(&app).await, "the keys were not reloaded", Severity::Error, Some("#/keys"));
    fs::write(&keyring, &good).unwrap();
    assert_eq!(app.post_reload().await.status(), 200);
    is_not_told(&overview(&app).await, "the keys were not reloaded");
}

#[actix_web::test]
async fn a_missing_next_key_is_told_from_when_it_is_due() {
    let settings = |settings: &mut Settings| {
        with_admin(settings);
        // the key is 326 days and 12 hours old
        settings.keys.rotate_every = Some(Duration::from_hours(328 * 24));
        settings.keys.publish_ahead = Duration::from_hours(24);
    };
    let app = spawn_app_with(Setup { settings, ..Setup::default() });
    let missing = "no key is next";
    is_not_told(&overview(&app).await, missing);
    let keys = app.dir.path().join("keys");
    // whoever has the lock keeps the server from making one
    let lock = File::create(keys.join(".lock")).unwrap();
    lock.lock().unwrap();
    app.clock.advance(DAY);
    is_told(&overview(&app).await, missing, Severity::Warning, Some("#/keys"));
    app.clock.advance(DAY);
    is_told(&overview(&app).await, missing, Severity::Error, Some("#/keys"));
    install_key("test-only-other.pem", &keys);
    let keyring = keys.join("keyring.yaml");
    let text = fs::read_to_string(&keyring).unwrap();
    fs::write(&keyring, text.replace("2026-01-02", "2026-12-01")).unwrap();
    assert_eq!(app.post_reload().await.status(), 200);
    is_not_told(&overview(&app).await, missing);
}

/// Where no server makes keys, a year is a long time.
#[actix_web::test]
async fn a_key_that_nobody_replaces_is_told_after_a_year() {
    let app = spawn();
    is_not_told(&overview(&app).await, "no key is next");
    app.clock.advance(60 * DAY);
    is_told(&overview(&app).await, "no key is next", Severity::Warning, Some("#/keys"));
}

#[actix_web::test]
async fn a_last_secret_is_told_before_and_after_its_end() {
    let app = spawn();
    let agent = |secrets: &str| {
        operator(&format!(
            "  agent:\n    secrets: [{secrets}]\n    grants: {{ orders: {{ scopes: [orders:read] }} }}\n"
        ))
    };
    let first = format!("{{ sha256: {}, expires: 2026-12-20T00:00:00Z }}", "ab".repeat(32));
    app.write_policy("clients.yaml", &agent(&first));
    assert_eq!(app.post_reload().await.status(), 200);
    let of_agent = "the last secret of client `agent` (abababab)";
    is_not_told(&overview(&app).await, of_agent);
    app.clock.advance(20 * DAY);
    let told = overview(&app).await;
    is_told(&told, of_agent, Severity::Warning, Some("#/clients"));
    assert!(!told.to_string().contains(&"ab".repeat(5)), "8 digits at most leave the server");
    app.clock.advance(7 * DAY);
    is_told(&overview(&app).await, of_agent, Severity::Error, Some("#/clients"));
    let next = format!("{first}, {{ sha256: {} }}", "cd".repeat(32));
    app.write_policy("clients.yaml", &agent(&next));
    assert_eq!(app.post_reload().await.status(), 200);
    is_not_told(&overview(&app).await, of_agent);
    // nobody is let in by what is off
    app.write_policy(
        "clients.yaml",
        &agent(&first).replace("    grants: { orders", "    enabled: false\n    grants: { orders"),
    );
    assert_eq!(app.post_reload().await.status(), 200);
    is_not_told(&overview(&app).await, of_agent);
}

#[actix_web::test]
async fn a_certificate_is_told_before_its_end_and_when_another_is_not_taken() {
    static AUTHORITY: LazyLock<Authority> = LazyLock::new(Authority::new);
    let settings = |settings: &mut Settings| {
        with_admin(settings);
        let dir = settings.keys.dir.parent().unwrap();
        AUTHORITY.pair_for((2026, 1, 1), (2026, 12, 24)).write(dir);
        let tls = TlsSettings { cert_file: dir.join("cert.pem"), key_file: dir.join("key.pem") };
        settings.admin.as_mut().unwrap().tls = Some(tls);
    };
    let app = spawn_app_with(Setup { settings, ..Setup::default() });
    let admin = app.admin.unwrap().to_string();
    let overview = async || {
        let mut stream = AUTHORITY.connect(&admin).await.unwrap();
        let (status, body) = tls::get(&mut stream, OVERVIEW).await.unwrap();
        assert_eq!(status, 200, "{body}");
        serde_json::from_str::<Value>(&body).unwrap()
    };
    let of_admin = "the certificate of `admin`";
    let told = overview().await;
    is_not_told(&told, of_admin);
    let expected =
        json!([{ "listener": "admin", "expires_at": "2026-12-24T00:00:00Z", "last_reload_error": null }]);
    assert_eq!(told["tls"], expected);
    app.clock.advance(20 * DAY);
    is_told(&overview().await, "`admin` ends at 2026-12-24", Severity::Warning, None);
    app.clock.advance(20 * DAY);
    is_told(&overview().await, "`admin` ended at 2026-12-24", Severity::Error, None);
    let next = AUTHORITY.pair_for((2026, 1, 1), (2028, 1, 1));
    fs::write(app.dir.path().join("cert.pem"), &next.cert).unwrap();
    assert_eq!(app.post_reload().await.status(), 422, "its key is another one");
    let told = overview().await;
    is_told(&told, "`admin` was not reloaded", Severity::Error, None);
    assert!(told["tls"][0]["last_reload_error"]["at"].is_string());
    next.write(app.dir.path());
    assert_eq!(app.post_reload().await.status(), 200);
    is_not_told(&overview().await, of_admin);
}

#[actix_web::test]
async fn an_issuer_without_keys_is_told_until_it_has_some() {
    let platform = Platform::start().await;
    let good = json!({ "keys": [platform.key.jwk()] });
    platform.server.answers_at("/keys", Answer::Status(500, "", Vec::new()));
    let policies = vec![("ci.yaml", platform.policies(""))];
    let app = spawn_app_with(Setup { policies, settings: with_admin, ..Setup::default() });
    let of_issuer = "of issuer `ci`";
    let status = async |status: &str| {
        app.until_answered(async || {
            let issuer = overview(&app).await["issuers"][0].clone();
            issuer["status"] == status && (status == "ready") == issuer["last_fetch_error"].is_null()
        })
        .await;
    };
    status("no_keys").await;
    is_told(&overview(&app).await, of_issuer, Severity::Error, None);
    platform.publishes(&good);
    // a token of an unknown key is a reason to fetch again
    app.clock.advance(60);
    app.takes(&platform.good(now() + 60)).await;
    status("ready").await;
    is_not_told(&overview(&app).await, of_issuer);
}

#[actix_web::test]
async fn a_store_that_was_never_read_is_told() {
    let away = RedisServer::away();
    let app = spawn_app_with(Setup { store: Some(away.url()), settings: with_admin, ..Setup::default() });
    let told = overview(&app).await;
    is_told(&told, "the shared store was not read yet", Severity::Error, None);
    assert_eq!(told["store"]["status"], "not yet read");
}

#[actix_web::test]
#[ignore = "needs redis-server; .ci/run runs it"]
async fn a_store_that_does_not_answer_is_told_until_it_does() {
    let mut store = RedisServer::start();
    let app = spawn_app_with(Setup { store: Some(store.url()), settings: with_admin, ..Setup::default() });
    let is = async |status: &str| {
        app.until_answered(async || overview(&app).await["store"]["status"] == status).await;
    };
    is("ready").await;
    is_not_told(&overview(&app).await, "the shared store");
    store.stop();
    is("unreachable").await;
    is_told(&overview(&app).await, "the shared store does not answer", Severity::Error, None);
    store.start_again();
    is("ready").await;
    is_not_told(&overview(&app).await, "the shared store");
}

#[actix_web::test]
async fn decisions_that_the_log_lacks_are_told() {
    let settings = |settings: &mut Settings| {
        with_admin(settings);
        settings.log.decisions = Some("/dev/full".into());
    };
    let app = spawn_app_with(Setup { settings, ..Setup::default() });
    is_not_told(&overview(&app).await, "the decision log lacks");
    let path = format!("/{}", "x".repeat(8_000));
    let asked = AuditedRequest { api: "orders", method: "GET", path: &path, bearer: None };
    let outcome = DecisionOutcome::Unauthenticated;
    let taken = TakenDecision { outcome, rule: None, reason: "no-route", detail: None };
    for _ in 0..3_000 {
        app.audit.tell(&asked, &taken, None);
    }
    is_told(&overview(&app).await, "the decision log lacks", Severity::Warning, None);
}

#[actix_web::test]
async fn the_end_is_told_while_it_is_waited_for() {
    let variables = [("JETON__ADMIN__LISTEN", "127.0.0.1:0"), ("JETON__SERVER__DRAIN", "10m")];
    let mut binary = Binary::serve_with(&variables).await;
    let url = format!("http://{}{OVERVIEW}", binary.admin);
    let overview = async || -> Value {
        let answer = http_client().get(&url).send().await.unwrap();
        assert_eq!(answer.status(), 200);
        answer.json().await.unwrap()
    };
    is_not_told(&overview().await, "the server ends");
    binary.signal("TERM").await;
    binary.logged("server.draining").await;
    let told = overview().await;
    is_told(&told, "the server ends", Severity::Error, None);
    assert!(told["problems"][0]["what"].as_str().unwrap().starts_with("the server ends"));
}

/// What was counted in the last step.
#[track_caller]
fn last_of(overview: &Value, series: &str) -> Value {
    let all = overview["rates"]["series"].as_array().unwrap();
    let found = all.iter().find(|it| it["name"] == series).unwrap_or_else(|| panic!("{series}: {all:?}"));
    found["per_step"].as_array().unwrap().last().cloned().unwrap_or(Value::Null)
}

#[actix_web::test]
async fn rates_tell_what_was_counted_in_each_step() {
    let app = spawn();
    let told = overview(&app).await;
    assert_eq!((&told["rates"]["step_seconds"], &told["rates"]["until"]), (&json!(10), &json!(NOW)));
    assert_eq!(last_of(&told, "tokens_issued"), Value::Null, "no step is over");

    let token = app.token_of("acme-sync", "jeton").await;
    app.token_of("acme-sync", "orders").await;
    assert_eq!(app.get_principal(&token).await.status(), 200);
    assert_eq!(app.get_principal("bad").await.status(), 401);
    let denied = app.http.get(app.url("/ops/keys")).bearer_auth(&token).send().await.unwrap();
    assert_eq!(denied.status(), 403);
    assert_eq!(
        app.post_token("nobody", &[("grant_type", "client_credentials")]).send().await.unwrap().status(),
        401
    );
    assert_eq!(app.get("/authz/nobody").await.status(), 403);
    app.clock.advance(10);
    let told = overview(&app).await;
    assert_eq!(told["rates"]["until"], "2026-11-23T12:00:10Z");
    for (series, count) in [
        ("tokens_issued", 2),
        ("tokens_reused", 0),
        ("token_requests_refused", 1),
        ("decisions_allowed", 1),
        ("decisions_denied", 1),
        ("decisions_unauthenticated", 1),
        ("gateway_questions", 1),
        ("introspections", 0),
        ("rate_limited", 0),
    ] {
        assert_eq!(last_of(&told, series), count, "{series}");
    }
    app.clock.advance(10);
    assert_eq!(last_of(&overview(&app).await, "tokens_issued"), 0);
    assert_eq!(last_of(&overview(&app).await, "decisions_allowed"), 0);
}

/// A name that leaves the files takes its counters with it, and no count goes backwards.
#[actix_web::test]
async fn rates_count_on_when_names_leave_the_files() {
    let app = spawn();
    app.token_of("acme-sync", "orders").await;
    for text in [operator(""), operator("  other:\n    enabled: false\n"), operator("")] {
        app.write_policy("clients.yaml", &text);
        assert_eq!(app.post_reload().await.status(), 200);
    }
    app.clock.advance(10);
    // that of acme-sync, and that of the operator for each reload
    assert_eq!(last_of(&overview(&app).await, "tokens_issued"), 4);
}
