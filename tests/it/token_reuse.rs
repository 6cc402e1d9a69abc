//! `tokens.reuse`: who asks again gets the same token, for as long as it is as good as a new one.

use std::{
    fs::{self, OpenOptions},
    io::Write,
    time::Duration,
};

use futures_util::future::join_all;
use jeton::config::Settings;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::support::{
    ISSUER, ORDERS, Setup, TestApp, copy_key,
    forge::{Forge, decoded},
    http_client, install_policies, now,
    program::Binary,
    redis::RedisServer,
    secrets,
    signer::Signer,
    spawn_app_with,
};

/// In seconds.
const WINDOW: i64 = 600;

fn reusing(settings: &mut Settings) {
    settings.tokens.reuse = Some(Duration::from_mins(10));
}

fn policies(of_agent: &str) -> String {
    let grants = "grants: { orders: { roles: [order-agent] }, jeton: { scopes: [jeton:principal] } }";
    let client = |id: &str, more: &str| format!("  {id}:\n    {}\n    {grants}\n{more}", secrets(id));
    [
        "version: 1\nclients:\n",
        &client("agent", of_agent),
        &client("other", "    introspect: true\n"),
        &client("short", "    ttl: 2m\n"),
        &client("refreshing", "    refresh: true\n"),
        &client("nameless", "    anonymous: true\n"),
        &client("relay", "    token_exchange: true\n"),
    ]
    .concat()
}

fn spawn_with(settings: fn(&mut Settings), more: &str, store: Option<String>) -> TestApp {
    let policies = vec![("reuse.yaml", format!("{}{more}", policies("")))];
    spawn_app_with(Setup { policies, store, settings, ..Setup::default() })
}

fn spawn() -> TestApp {
    spawn_with(reusing, "", None)
}

/// What came of asking for a token for the orders API.
async fn ask(app: &TestApp, client: &str, more: &[(&str, &str)]) -> Value {
    let mut form = vec![("grant_type", "client_credentials")];
    if !more.iter().any(|(name, _)| *name == "resource") {
        form.push(("resource", ORDERS));
    }
    form.extend_from_slice(more);
    let (status, body) = app.post_form("/oauth2/token", client, &form).await;
    assert_eq!(status, 200, "{body}");
    body
}

async fn fetch(app: &TestApp, client: &str) -> String {
    token_in(&ask(app, client, &[]).await)
}

fn token_in(body: &Value) -> String {
    body["access_token"].as_str().unwrap().to_owned()
}

async fn reload(app: &TestApp, policy: &str) {
    app.write_policy("reuse.yaml", policy);
    assert_eq!(app.post_reload().await.status(), 200);
}

#[actix_web::test]
async fn without_the_setting_each_token_is_a_new_one() {
    let app = spawn_with(|_| {}, "", None);
    let (one, two) = (fetch(&app, "agent").await, fetch(&app, "agent").await);
    assert_ne!(decoded(&one).1["jti"], decoded(&two).1["jti"]);
}

#[actix_web::test]
async fn within_the_window_it_is_the_same_token_and_the_time_that_it_has_left() {
    let app = spawn();
    let first = ask(&app, "agent", &[]).await;
    let expires_at = decoded(&token_in(&first)).1["exp"].as_i64().unwrap();
    assert_eq!(first["expires_in"], 3600);
    for (age, moved) in [(0, 0), (1, 1), (2, 1), (3, 1), (300, 297), (WINDOW - 1, WINDOW - 301)] {
        app.clock.advance(moved);
        let mut expected = first.clone();
        expected["expires_in"] = json!(expires_at - (now() + age));
        assert_eq!(ask(&app, "agent", &[]).await, expected, "{age} s old: nothing else differs");
    }
    app.clock.advance(1);
    let second = ask(&app, "agent", &[]).await;
    assert_eq!(second["expires_in"], 3600);
    assert_eq!(decoded(&token_in(&second)).1["iat"], now() + WINDOW);
    assert_ne!(decoded(&token_in(&second)).1["jti"], decoded(&token_in(&first)).1["jti"]);
    app.clock.advance(WINDOW - 1);
    assert_eq!(fetch(&app, "agent").await, token_in(&second), "and a window of its own");
}

#[actix_web::test]
async fn a_token_that_is_shorter_than_the_window_is_reused_to_its_last_second() {
    let app = spawn();
    let first = fetch(&app, "short").await;
    app.clock.advance(119);
    let last = ask(&app, "short", &[]).await;
    assert_eq!((token_in(&last), &last["expires_in"]), (first.clone(), &json!(1)));
    app.clock.advance(1);
    let next = ask(&app, "short", &[]).await;
    assert_eq!(next["expires_in"], 120);
    assert_ne!(token_in(&next), first);
}

#[actix_web::test]
async fn a_clock_that_is_set_back_brings_no_token_from_the_future() {
    let app = spawn();
    app.clock.advance(100);
    let future = fetch(&app, "agent").await;
    app.clock.advance(-50);
    let present = ask(&app, "agent", &[]).await;
    assert_ne!(token_in(&present), future);
    assert_eq!(decoded(&token_in(&present)).1["iat"], now() + 50);
    assert_eq!(present["expires_in"], 3600);
    app.clock.advance(50);
    assert_eq!(fetch(&app, "agent").await, token_in(&present), "the one that was issued last");
}

#[actix_web::test]
async fn the_scopes_are_a_set_and_whatever_else_is_asked_is_another_token() {
    let app = spawn();
    let all = ask(&app, "agent", &[]).await;
    let scopes: Vec<_> = all["scope"].as_str().unwrap().split(' ').collect();
    assert!(scopes.len() >= 2, "{scopes:?}");
    let backwards = scopes.iter().rev().copied().collect::<Vec<_>>().join(" ");
    let twice = format!("{} {}", scopes[0], scopes.join(" "));
    for same in [scopes.join(" "), backwards, twice] {
        assert_eq!(ask(&app, "agent", &[("scope", &same)]).await, all, "{same}");
    }
    let audience = [("audience", ORDERS)];
    assert_eq!(ask(&app, "agent", &audience).await, all, "`audience` means `resource`, and names it twice");
    let one = ask(&app, "agent", &[("scope", scopes[0])]).await;
    let other = ask(&app, "agent", &[("scope", scopes[1])]).await;
    let own_api = ask(&app, "agent", &[("resource", ISSUER)]).await;
    let other_client = ask(&app, "other", &[]).await;
    let different = [&all, &one, &other, &own_api, &other_client].map(token_in);
    for (at, token) in different.iter().enumerate() {
        assert!(!different[..at].contains(token), "{at}");
    }
    assert_eq!(one["scope"], scopes[0]);
    for (client, more, expected) in [
        ("agent", vec![("scope", scopes[0])], &one),
        ("agent", vec![("scope", scopes[1])], &other),
        ("agent", vec![("resource", ISSUER)], &own_api),
        ("other", vec![], &other_client),
        ("agent", vec![], &all),
    ] {
        assert_eq!(ask(&app, client, &more).await, *expected, "{client} {more:?}");
    }
}

#[actix_web::test]
async fn who_asks_and_for_what_is_judged_each_time() {
    let app = spawn();
    let token = fetch(&app, "agent").await;
    let form = [("grant_type", "client_credentials"), ("resource", ORDERS)];
    let wrong = app.http.post(app.url("/oauth2/token")).basic_auth("agent", Some("wrong")).form(&form);
    assert_eq!(wrong.send().await.unwrap().status(), 401);
    let beyond = [form[0], form[1], ("scope", "reports:read")];
    let (status, body) = app.post_form("/oauth2/token", "agent", &beyond).await;
    assert_eq!((status, &body["error"]), (400, &json!("invalid_scope")));
    assert_eq!(fetch(&app, "agent").await, token, "neither changed anything");
}

#[actix_web::test]
async fn other_policies_mean_other_tokens() {
    let app = spawn();
    let mut token = fetch(&app, "agent").await;
    let off = "    enabled: false\n";
    let revoked = format!("    revoked_before: {}\n", jiff::Timestamp::from_second(now() + 5).unwrap());
    let listed = |token: &str| {
        format!("{}revoked_tokens: [{}]\n", policies(""), decoded(token).1["jti"].as_str().unwrap())
    };
    for (name, policy) in [
        ("a claim", policies("    claims: { tenant: acme }\n")),
        ("a comment", format!("# nothing\n{}", policies(""))),
        ("revoked by jti", listed(&token)),
        ("as before", policies("")),
        ("revoked before", policies(&revoked)),
    ] {
        app.clock.advance(2);
        reload(&app, &policy).await;
        let next = fetch(&app, "agent").await;
        assert_ne!(next, token, "{name}");
        assert_eq!(fetch(&app, "agent").await, next, "{name}");
        let answer = app.post_form("/oauth2/introspect", "other", &[("token", &next)]).await;
        assert_eq!(answer.1["active"], true, "{name}");
        token = next;
    }
    reload(&app, &policies(off)).await;
    let form = [("grant_type", "client_credentials"), ("resource", ORDERS)];
    assert_eq!(app.post_form("/oauth2/token", "agent", &form).await.0, 401);
    reload(&app, &policies("")).await;
    assert_ne!(fetch(&app, "agent").await, token, "enabled again");
}

/// A reload that finds nothing new changes nothing.
#[actix_web::test]
async fn the_same_policies_mean_the_same_token() {
    let app = spawn();
    let token = fetch(&app, "agent").await;
    assert_eq!(app.post_reload().await.status(), 200);
    assert_eq!(fetch(&app, "agent").await, token);
}

#[actix_web::test]
async fn another_signing_key_means_another_token() {
    // a next key, which takes over in five minutes
    let app = spawn_with(
        |settings| {
            reusing(settings);
            copy_key("test-only-other.pem", &settings.keys.dir);
            let kid = Forge::with("test-only-other.pem").kid();
            let activates = jiff::Timestamp::from_second(now() + 300).unwrap();
            let entry = format!(
                "  - kid: {kid}\n    alg: RS256\n    created: 2026-11-01T00:00:00Z\n    activates: {activates}\n"
            );
            let keyring = settings.keys.dir.join("keyring.yaml");
            OpenOptions::new().append(true).open(keyring).unwrap().write_all(entry.as_bytes()).unwrap();
        },
        "",
        None,
    );
    let token = fetch(&app, "agent").await;
    app.clock.advance(299);
    assert_eq!(fetch(&app, "agent").await, token);
    app.clock.advance(1);
    let next = fetch(&app, "agent").await;
    assert_ne!(next, token);
    assert_eq!(decoded(&next).0["kid"], Forge::with("test-only-other.pem").kid());
    assert_eq!(fetch(&app, "agent").await, next);
}

#[actix_web::test]
async fn who_refreshes_or_exchanges_gets_a_new_one_each_time() {
    let app = spawn();
    let (one, two) = (ask(&app, "refreshing", &[]).await, ask(&app, "refreshing", &[]).await);
    assert_ne!(token_in(&one), token_in(&two));
    assert_ne!(one["refresh_token"], two["refresh_token"]);
    let subject = fetch(&app, "agent").await;
    let exchange = [
        ("grant_type", "urn:ietf:params:oauth:grant-type:token-exchange"),
        ("subject_token", &subject),
        ("subject_token_type", "urn:ietf:params:oauth:token-type:access_token"),
    ];
    let refresh =
        [("grant_type", "refresh_token"), ("refresh_token", one["refresh_token"].as_str().unwrap())];
    for (client, form) in [("relay", &exchange[..]), ("refreshing", &refresh)] {
        let mut seen = vec![subject.clone(), token_in(&one), token_in(&two)];
        for _ in 0..2 {
            let (status, body) = app.post_form("/oauth2/token", client, form).await;
            assert_eq!(status, 200, "{body}");
            assert!(!seen.contains(&token_in(&body)), "{client}");
            seen.push(token_in(&body));
        }
    }
}

#[actix_web::test]
async fn who_names_nobody_gets_the_same_too() {
    let app = spawn();
    let token = fetch(&app, "nameless").await;
    assert_eq!(decoded(&token).1.get("sub"), None);
    app.clock.advance(10);
    let again = ask(&app, "nameless", &[]).await;
    assert_eq!((token_in(&again), &again["expires_in"]), (token, &json!(3590)));
}

/// An assertion brings the same token, and is used up by it.
#[actix_web::test]
async fn each_assertion_is_good_once_still() {
    let key = Signer::ed25519();
    let grants = "grants: { orders: { scopes: [orders:read] } }";
    let app = spawn_with(
        reusing,
        &format!("  keyed:\n    public_keys:\n      - jwk: {}\n    {grants}\n", key.jwk()),
        None,
    );
    let send = async |jti: &str| {
        let claims = json!({
            "iss": "keyed", "sub": "keyed", "aud": ISSUER, "exp": now() + 60, "iat": now(), "jti": jti,
        });
        let assertion = key.sign("EdDSA", &json!({ "alg": "EdDSA" }), &claims);
        let form = [
            ("grant_type", "client_credentials"),
            ("client_assertion_type", "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"),
            ("client_assertion", &assertion),
        ];
        let answer = app.http.post(app.url("/oauth2/token")).form(&form).send().await.unwrap();
        (answer.status().as_u16(), answer.json::<Value>().await.unwrap())
    };
    let (status, first) = send("one").await;
    assert_eq!(status, 200, "{first}");
    assert_eq!(send("two").await, (200, first));
    for used in ["one", "two"] {
        assert_eq!(send(used).await.0, 401, "{used}");
    }
}

#[actix_web::test]
async fn who_asks_at_once_agrees_afterwards() {
    let app = spawn();
    let at_once = join_all((0..16).map(|_| fetch(&app, "agent"))).await;
    let agreed = fetch(&app, "agent").await;
    assert!(at_once.contains(&agreed));
    for token in join_all((0..16).map(|_| fetch(&app, "agent"))).await {
        assert_eq!(token, agreed);
    }
}

#[actix_web::test]
#[ignore = "needs redis-server; .ci/run runs it"]
async fn a_token_that_its_client_ended_is_not_handed_out_again() {
    let redis = RedisServer::start();
    let app = spawn_with(reusing, "", Some(redis.url()));
    app.is_ready().await;
    for client in ["agent", "other"] {
        let token = fetch(&app, client).await;
        assert_eq!(fetch(&app, client).await, token);
        assert_eq!(app.post_form("/oauth2/revoke", client, &[("token", &token)]).await.0, 200);
        let next = fetch(&app, client).await;
        assert_ne!(next, token);
        assert_eq!(fetch(&app, client).await, next);
    }
}

/// Where revocations are not known, every token is a new one, as if nothing was kept.
#[actix_web::test]
#[ignore = "needs redis-server; .ci/run runs it"]
async fn while_revocations_are_unknown_nothing_is_reused() {
    let mut redis = RedisServer::away();
    let app = spawn_with(reusing, "", Some(redis.url()));
    assert_ne!(fetch(&app, "agent").await, fetch(&app, "agent").await);
    redis.start_again();
    app.is_ready().await;
    assert_eq!(fetch(&app, "agent").await, fetch(&app, "agent").await);
}

#[actix_web::test]
async fn the_log_says_which_tokens_were_reused() {
    let dir = TempDir::new().unwrap();
    install_policies(&dir.path().join("policies"));
    fs::write(dir.path().join("policies/reuse.yaml"), policies("")).unwrap();
    let mut server = Binary::serve_in(dir, "[tokens]\nreuse = \"10m\"\n").await;
    let http = http_client();
    let form = [("grant_type", "client_credentials"), ("resource", ORDERS)];
    let mut logged = Vec::new();
    for _ in 0..2 {
        let request = http.post(format!("http://{}/oauth2/token", server.address));
        let answer = request.basic_auth("agent", Some("demo-secret-of-agent")).form(&form).send().await;
        let body: Value = answer.unwrap().json().await.unwrap();
        let line = server.logged("token.issued").await;
        assert_eq!(line["ttl"], body["expires_in"]);
        assert_eq!(line["jti"], decoded(&token_in(&body)).1["jti"]);
        logged.push(line);
    }
    assert_eq!((logged[0].get("reused"), &logged[1]["reused"]), (None, &json!(true)));
    assert_eq!(logged[0]["jti"], logged[1]["jti"]);
}
