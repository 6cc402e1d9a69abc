//! `POST /ops/reload`: all or nothing, and whoever looks is told.

use std::{
    collections::BTreeMap,
    fs,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use actix_web::rt;
use serde_json::{Value, json};

use crate::support::{TestApp, forge::decoded, secret_hash, spawn_app};

/// A file of one client more, with a grant for orders.
fn newcomer() -> String {
    let hash = secret_hash("demo-secret-of-newcomer");
    format!(
        "version: 1\nclients:\n  newcomer:\n    secrets: [{{ sha256: {hash} }}]\n    grants: {{ orders: {{ scopes: [orders:read] }} }}\n"
    )
}

async fn readyz(app: &TestApp) -> Value {
    let answer = app.get("/readyz").await;
    assert_eq!(answer.status(), 200, "the last good state is good enough");
    answer.json::<Value>().await.unwrap()["policies"].take()
}

/// Whether this client gets a token.
async fn is_known(app: &TestApp, client: &str) -> bool {
    let answer = app.post_token(client, &[("grant_type", "client_credentials")]).send().await.unwrap();
    answer.status() == 200
}

async fn reload(app: &TestApp) -> (u16, Value) {
    let answer = app.post_reload().await;
    (answer.status().as_u16(), answer.json().await.unwrap())
}

#[actix_web::test]
async fn good_files_take_over() {
    let app = spawn_app();
    let before = readyz(&app).await;
    let old_token = app.token_of("acme-sync", "jeton").await;
    assert!(!is_known(&app, "newcomer").await);
    app.write_policy("newcomer.yaml", &newcomer());
    assert!(!is_known(&app, "newcomer").await, "nothing is read before the reload");
    app.clock.advance(60);
    let (status, body) = reload(&app).await;
    let after = readyz(&app).await;
    assert_eq!(status, 200);
    assert_eq!(
        json!([body["reloaded"], body["old_hash"], body["hash"]]),
        json!([true, before["hash"], after["hash"]])
    );
    let changes: Vec<_> = body["difference"]["changes"].as_array().unwrap().iter().collect();
    assert_eq!(body["difference"]["summary"], "widens");
    assert!(changes.iter().all(|change| change["who"]["client"] == "newcomer"), "{changes:?}");
    assert!(changes.iter().any(|change| change["what"] == "scope orders:read"), "{changes:?}");
    assert_ne!(before["hash"], after["hash"]);
    assert_ne!(before["loaded_at"], after["loaded_at"]);
    assert!(is_known(&app, "newcomer").await);
    assert_eq!(app.get_principal(&old_token).await.status(), 200, "tokens outlive a reload");

    fs::remove_file(app.dir.path().join("policies/newcomer.yaml")).unwrap();
    let (status, body) = reload(&app).await;
    assert_eq!((status, &body["hash"]), (200, &before["hash"]), "the hash is of the content alone");
    assert!(!is_known(&app, "newcomer").await);
}

#[actix_web::test]
async fn the_same_files_change_nothing() {
    let app = spawn_app();
    let before = readyz(&app).await;
    app.clock.advance(60);
    let clients = fs::read_to_string(app.dir.path().join("policies/clients.yaml")).unwrap();
    app.write_policy("clients.yaml", &clients);
    app.write_policy("README.md", "not a policy");
    app.write_policy(".hidden.yaml", "not a policy either");
    let (status, answer) = reload(&app).await;
    assert_eq!(
        (status, &answer["reloaded"], &answer["hash"]),
        (200, &json!(false), &before["hash"]),
        "{answer}"
    );
    assert_eq!(readyz(&app).await, before);
}

#[actix_web::test]
async fn a_changed_rule_decides_the_next_request() {
    let app = spawn_app();
    let acme = app.token_of("acme-sync", "jeton").await;
    let ask =
        async |path: &str| app.http.get(app.url(path)).bearer_auth(&acme).send().await.unwrap().status();
    assert_eq!((ask("/principal").await.as_u16(), ask("/ops/keys").await.as_u16()), (200, 403));
    let rules = app.policy("jeton.yaml");
    app.write_policy("jeton.yaml", &rules.replace("scope: jeton:principal", "scope: jeton:ops"));
    // the sample's own tests ask for the rule as it was
    let clients = app.policy("clients.yaml");
    let denied =
        clients.replace("allow:\n      - GET /principal\n    deny:", "deny:\n      - GET /principal");
    app.write_policy("clients.yaml", &denied);
    assert_eq!(reload(&app).await.0, 200);
    assert_eq!((ask("/principal").await.as_u16(), ask("/ops/keys").await.as_u16()), (403, 403));
    app.write_policy("jeton.yaml", &rules);
    app.write_policy("clients.yaml", &clients);
    assert_eq!(reload(&app).await.0, 200);
    assert_eq!(ask("/principal").await.as_u16(), 200);
}

#[actix_web::test]
async fn a_revocation_by_file_stops_new_tokens() {
    let app = spawn_app();
    let path = app.dir.path().join("policies/clients.yaml");
    let clients = fs::read_to_string(path).unwrap();
    app.write_policy(
        "clients.yaml",
        &clients.replace("  globex-sync:\n", "  globex-sync:\n    enabled: false\n"),
    );
    assert!(is_known(&app, "globex-sync").await);
    assert_eq!(reload(&app).await.0, 200);
    assert!(!is_known(&app, "globex-sync").await);
    assert!(is_known(&app, "support-desk").await);
}

#[actix_web::test]
async fn bad_files_leave_the_last_good_state_serving() {
    let good = newcomer();
    let rows: [(&str, &str, String); 11] = [
        ("no YAML", "x.yaml", "version: 1\nclients: [".to_owned()),
        ("empty", "x.yaml", String::new()),
        ("without a version", "x.yaml", good.replace("version: 1\n", "")),
        ("another version", "x.yaml", good.replace("version: 1", "version: 2")),
        ("an unknown key", "x.yaml", good.replace("grants:", "grant:")),
        ("an unknown scope", "x.yaml", good.replace("orders:read", "orders:raed")),
        ("an unknown API", "x.yaml", good.replace("{ orders:", "{ ordres:")),
        ("a client twice", "x.yaml", good.replace("newcomer:", "acme-sync:")),
        ("a broken hash", "x.yaml", good.replace("sha256: ", "sha256: x")),
        ("a lifetime over the longest", "x.yaml", format!("{good}    ttl: 25h\n")),
        ("a name that is gone", "orders.yaml", "version: 1\n".to_owned()),
    ];
    let mut without_fix = Vec::new();
    for (name, file, text) in rows {
        let app = spawn_app();
        let before = readyz(&app).await;
        app.write_policy("newcomer.yaml", &newcomer().replace("newcomer:", "good-newcomer:"));
        app.write_policy(file, &text);
        app.clock.advance(60);
        let answer = app.post_reload().await;
        assert_eq!(answer.status(), 422, "{name}");
        assert_eq!(answer.headers()["content-type"], "application/problem+json", "{name}");
        let body: Value = answer.json().await.unwrap();
        let findings = body["findings"].as_array().unwrap();
        assert!(findings.iter().any(|finding| finding["severity"] == "error"), "{name}: {body}");
        for finding in findings {
            assert!(
                finding["file"].as_str().is_some_and(|file| file.contains("/policies/")),
                "{name}: {finding}"
            );
            assert!(finding["line"].is_u64() && finding["column"].is_u64(), "{name}: {finding}");
            without_fix.extend(finding["hint"].is_null().then(|| format!("{name}: {finding}")));
        }
        let after = readyz(&app).await;
        assert_eq!((&after["hash"], &after["loaded_at"]), (&before["hash"], &before["loaded_at"]), "{name}");
        assert_eq!(after["last_reload_error"]["at"], "2026-11-23T12:01:00Z", "{name}: {after}");
        let first = after["last_reload_error"]["first"].as_str().unwrap_or_default();
        assert!(first.contains(".yaml:"), "{name}: the place in {first}");
        assert!(is_known(&app, "globex-sync").await, "{name}: what was good serves on");
        assert!(!is_known(&app, "good-newcomer").await, "{name}: nothing of the good file is taken");
    }
    assert!(without_fix.is_empty(), "each finding says what to do: {without_fix:#?}");
}

#[actix_web::test]
async fn everything_wrong_is_told_at_once() {
    let app = spawn_app();
    app.write_policy(
        "a.yaml",
        &newcomer().replace("orders:read", "orders:raed").replace("{ orders:", "{ ordres:"),
    );
    app.write_policy("b.yaml", "version: 1\nunknown: 1\nroles:\n  r: [no:such]\n");
    let (status, body) = reload(&app).await;
    assert_eq!(status, 422);
    let mut found: BTreeMap<&str, usize> = BTreeMap::new();
    for finding in body["findings"].as_array().unwrap() {
        let (_, file) = finding["file"].as_str().unwrap().rsplit_once('/').unwrap_or(("", ""));
        *found.entry(file).or_default() += usize::from(finding["severity"] == "error");
    }
    assert_eq!(found, BTreeMap::from([("a.yaml", 2), ("b.yaml", 2)]), "{body}");
    assert_eq!(readyz(&app).await["last_reload_error"]["findings"], 4);
}

#[actix_web::test]
async fn an_unreadable_folder_is_a_bad_file() {
    let app = spawn_app();
    let before = readyz(&app).await;
    let operator = app.token_of("operator", "jeton").await;
    let policies = app.dir.path().join("policies");
    fs::rename(&policies, app.dir.path().join("elsewhere")).unwrap();
    let post =
        async || app.http.post(app.url("/ops/reload")).bearer_auth(&operator).send().await.unwrap().status();
    assert_eq!(post().await, 422, "the folder is gone");
    fs::create_dir(&policies).unwrap();
    fs::write(policies.join("x.yaml"), b"version: 1\n# \xff\n").unwrap();
    assert_eq!(post().await, 422, "not UTF-8");
    assert_eq!(readyz(&app).await["hash"], before["hash"]);
}

#[actix_web::test]
async fn a_mended_file_takes_the_error_away() {
    let app = spawn_app();
    let before = readyz(&app).await;
    app.write_policy("x.yaml", "version: 1\nunknown: 1\n");
    assert_eq!(reload(&app).await.0, 422);
    let rejected = readyz(&app).await;
    app.clock.advance(60);
    assert_eq!(reload(&app).await.0, 422, "still bad");
    assert_eq!(readyz(&app).await, rejected, "the error is as old as when it was first seen");
    let policies: Value = {
        let operator = app.token_of("operator", "jeton").await;
        let request = app.http.get(app.url("/ops/policies")).bearer_auth(operator);
        request.send().await.unwrap().json().await.unwrap()
    };
    assert_eq!(policies["last_rejection"]["findings"][0]["code"], "unknown-key", "{policies}");
    fs::remove_file(app.dir.path().join("policies/x.yaml")).unwrap();
    let (status, answer) = reload(&app).await;
    assert_eq!(
        (status, &answer["reloaded"], &answer["hash"]),
        (200, &json!(false), &before["hash"]),
        "{answer}"
    );
    assert_eq!(readyz(&app).await, before);
}

#[actix_web::test]
async fn only_operators_reload() {
    let app = spawn_app();
    app.write_policy("newcomer.yaml", &newcomer());
    let acme = app.token_of("acme-sync", "jeton").await;
    for (name, token, expected) in [("nobody", None, 401), ("no operator", Some(acme), 403)] {
        let mut request = app.http.post(app.url("/ops/reload"));
        if let Some(token) = token {
            request = request.bearer_auth(token);
        }
        assert_eq!(request.send().await.unwrap().status(), expected, "{name}");
        assert!(!is_known(&app, "newcomer").await, "{name}");
    }
}

/// Two versions that differ in everything a token shows; the second file must go with the first.
fn version(number: u32) -> [(&'static str, String); 2] {
    let hash = secret_hash("demo-secret-of-turncoat");
    let vocabulary =
        format!("version: 1\nscopes:\n  version:{number}: x\nroles:\n  role-{number}: [version:{number}]\n");
    let client = format!(
        "version: 1\nclients:\n  turncoat:\n    secrets: [{{ sha256: {hash} }}]\n    grants: {{ orders: {{ roles: [role-{number}] }} }}\n    claims: {{ version: '{number}' }}\n    ttl: {number}m\n"
    );
    [("vocabulary.yaml", vocabulary), ("turncoat.yaml", client)]
}

#[actix_web::test]
async fn no_request_sees_a_mixture() {
    let app = Arc::new(spawn_app());
    let install = |number| version(number).iter().for_each(|(name, text)| app.write_policy(name, text));
    install(1);
    assert_eq!(reload(&app).await.0, 200);
    let done = Arc::new(AtomicBool::new(false));
    let asking: Vec<_> = (0..4)
        .map(|_| {
            let (app, done) = (Arc::clone(&app), Arc::clone(&done));
            rt::spawn(async move {
                let mut seen = BTreeMap::new();
                while !done.load(Ordering::Relaxed) || seen.is_empty() {
                    let form = [("grant_type", "client_credentials")];
                    let answer = app.post_token("turncoat", &form).send().await.unwrap();
                    assert_eq!(answer.status(), 200, "no request is dropped");
                    let body: Value = answer.json().await.unwrap();
                    let (_, claims) = decoded(body["access_token"].as_str().unwrap());
                    let number: u64 = claims["version"].as_str().unwrap().parse().unwrap();
                    assert_eq!(body["expires_in"], number * 60, "{claims}");
                    assert_eq!(body["scope"], format!("version:{number}"), "{claims}");
                    assert_eq!(claims["scope"], format!("version:{number}"), "{claims}");
                    assert_eq!(claims["roles"], json!([format!("role-{number}")]), "{claims}");
                    *seen.entry(number).or_insert(0_u32) += 1;
                }
                seen
            })
        })
        .collect();
    for number in (1..=2).cycle().skip(1).take(40) {
        install(number);
        assert_eq!(reload(&app).await.1["reloaded"], true);
    }
    done.store(true, Ordering::Relaxed);
    let mut seen = BTreeMap::new();
    for task in asking {
        for (number, count) in task.await.unwrap() {
            *seen.entry(number).or_insert(0) += count;
        }
    }
    assert_eq!(seen.len(), 2, "both versions were seen: {seen:?}");
}
