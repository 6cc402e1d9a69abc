//! Refresh tokens: who gets them, what they bring, and what ends them. With a shared store they are used once.

use std::time::Duration;

use jeton::config::Settings;
use serde_json::{Value, json};

use crate::support::{
    ISSUER, ORDERS, Setup, TestApp,
    forge::{Draft, Forge, decoded},
    now,
    redis::RedisServer,
    secrets, spawn_app_with,
};

pub(crate) fn policies(of_agent: &str) -> String {
    format!(
        "version: 1
clients:
  agent:
    {}
    refresh: true
    ttl: 5m
{of_agent}
  other:
    {}
    refresh: true
    grants: {{ orders: {{ scopes: [orders:read] }} }}
  plain:
    {}
    introspect: true
    grants: {{ orders: {{ scopes: [orders:read] }} }}
",
        secrets("agent"),
        secrets("other"),
        secrets("plain")
    )
}

pub(crate) const ALL: &str =
    "    grants: { orders: { roles: [order-agent] }, jeton: { scopes: [jeton:principal] } }";

pub(crate) fn spawn_with(store: Option<String>) -> TestApp {
    let policies = vec![("refresh.yaml", policies(ALL))];
    spawn_app_with(Setup { policies, store, ..Setup::default() })
}

/// A replica that takes no refresh token a second time, however soon.
fn spawn_strict(store: String) -> TestApp {
    let policies = vec![("refresh.yaml", policies(ALL))];
    let settings = |settings: &mut Settings| settings.tokens.refresh_grace = Duration::ZERO;
    spawn_app_with(Setup { policies, store: Some(store), settings, ..Setup::default() })
}

fn spawn() -> TestApp {
    spawn_with(None)
}

/// A pair of tokens for the orders API.
pub(crate) async fn fetch(app: &TestApp, client: &str) -> Value {
    let form = [("grant_type", "client_credentials"), ("resource", ORDERS)];
    let (status, body) = app.post_form("/oauth2/token", client, &form).await;
    assert_eq!(status, 200, "{body}");
    body
}

pub(crate) async fn refresh(app: &TestApp, client: &str, token: &str, more: &[(&str, &str)]) -> (u16, Value) {
    let mut form = vec![("grant_type", "refresh_token"), ("refresh_token", token)];
    form.extend_from_slice(more);
    app.post_form("/oauth2/token", client, &form).await
}

pub(crate) fn text<'v>(body: &'v Value, name: &str) -> &'v str {
    body[name].as_str().unwrap_or_else(|| panic!("no {name} in {body}"))
}

#[track_caller]
pub(crate) fn refused((status, body): (u16, Value), error: &str, name: &str) {
    assert_eq!((status, &body["error"]), (400, &json!(error)), "{name}: {body}");
}

#[actix_web::test]
async fn a_refresh_token_brings_access_tokens_until_its_end() {
    let app = spawn();
    let first = fetch(&app, "agent").await;
    let token = text(&first, "refresh_token");
    let (header, claims) = decoded(token);
    assert_eq!(
        (&header["typ"], &claims["aud"], &claims["client_id"]),
        (&json!("rt+jwt"), &json!(ISSUER), &json!("agent"))
    );
    assert_eq!(claims["exp"], now() + 30 * 24 * 60 * 60);
    for round in 1..=3 {
        app.clock.advance(9 * 24 * 60 * 60);
        let (status, body) = refresh(&app, "agent", token, &[]).await;
        assert_eq!(status, 200, "{round}: {body}");
        assert_eq!(body.get("refresh_token"), None, "without a shared store it is not rotated");
        let (_, access) = decoded(text(&body, "access_token"));
        assert_eq!((&access["scope"], &access["aud"]), (&json!("orders:read orders:write"), &json!(ORDERS)));
        assert_eq!(access["exp"].as_i64().unwrap() - access["iat"].as_i64().unwrap(), 300);
    }
    // to the second: no leeway for the clock that set `exp`
    app.clock.advance(3 * 24 * 60 * 60);
    refused(refresh(&app, "agent", token, &[]).await, "invalid_grant", "after its end");
}

#[actix_web::test]
async fn only_clients_with_refresh_get_one_and_use_their_own() {
    let app = spawn();
    assert_eq!(fetch(&app, "plain").await.get("refresh_token"), None);
    let body = fetch(&app, "agent").await;
    let token = text(&body, "refresh_token");
    refused(refresh(&app, "other", token, &[]).await, "invalid_grant", "another client's");
    refused(refresh(&app, "plain", token, &[]).await, "unauthorized_client", "a client without `refresh`");
    let access = text(&body, "access_token");
    refused(refresh(&app, "agent", access, &[]).await, "invalid_grant", "an access token");
    refused(refresh(&app, "agent", "x", &[]).await, "invalid_grant", "nothing");
    refused(refresh(&app, "agent", "", &[]).await, "invalid_request", "an empty one");
    let (status, _) = app.post_form("/oauth2/token", "agent", &[("grant_type", "refresh_token")]).await;
    assert_eq!(status, 400);
}

#[actix_web::test]
async fn a_forged_or_spoiled_refresh_token_brings_nothing() {
    let app = spawn();
    let forge = Forge::with_the_servers_key();
    let draft = || {
        Draft::good(&forge.kid(), now())
            .header("typ", "\"rt+jwt\"")
            .claim("sub", "\"agent\"")
            .claim("client_id", "\"agent\"")
            .claim("jti", "\"family.0\"")
            .claim("resource", format!("\"{ORDERS}\""))
            .claim("scope", "\"orders:read\"")
            .claim("auth_time", now().to_string())
    };
    let (status, body) = refresh(&app, "agent", &draft().sign(&forge), &[]).await;
    assert_eq!(status, 200, "the one that all are made from: {body}");
    for (name, spoiled) in [
        ("typ of an access token", draft().header("typ", "\"at+jwt\"")),
        ("typ JWT", draft().header("typ", "\"JWT\"")),
        ("for an API", draft().claim("aud", format!("\"{ORDERS}\""))),
        ("another issuer", draft().claim("iss", "\"https://elsewhere.example\"")),
        ("expired", draft().claim("exp", now().to_string())),
        ("issued ahead", draft().claim("iat", (now() + 31).to_string())),
        ("no family", draft().claim("jti", "\"x\"")),
        ("no generation", draft().claim("jti", "\"x.y\"")),
        ("no scope", draft().no_claim("scope")),
        ("no resource", draft().no_claim("resource")),
        ("no auth_time", draft().no_claim("auth_time")),
        ("an API that is not granted", draft().claim("resource", "\"https://nowhere.example\"")),
    ] {
        refused(refresh(&app, "agent", &spoiled.sign(&forge), &[]).await, "invalid_grant", name);
    }
    let other = Forge::with("test-only-other.pem");
    refused(refresh(&app, "agent", &draft().sign(&other), &[]).await, "invalid_grant", "another key");
}

#[actix_web::test]
async fn refused_wherever_an_access_token_is_asked_for() {
    let app = spawn();
    let form = [("grant_type", "client_credentials"), ("resource", ISSUER)];
    let (_, body) = app.post_form("/oauth2/token", "agent", &form).await;
    let token = text(&body, "refresh_token");
    assert_eq!(app.get_principal(text(&body, "access_token")).await.status(), 200);
    assert_eq!(app.get_principal(token).await.status(), 401);
    let (_, answer) = app.post_form("/oauth2/introspect", "plain", &[("token", token)]).await;
    assert_eq!(answer, json!({ "active": false }), "for a service that was sent it");
}

#[actix_web::test]
async fn scopes_are_cut_to_what_is_granted_now() {
    let app = spawn();
    let body = fetch(&app, "agent").await;
    let token = text(&body, "refresh_token");
    let (status, narrowed) = refresh(&app, "agent", token, &[("scope", "orders:write")]).await;
    assert_eq!((status, &narrowed["scope"]), (200, &json!("orders:write")));
    let beyond = refresh(&app, "agent", token, &[("scope", "orders:refund")]).await;
    refused(beyond, "invalid_scope", "never granted");
    let elsewhere = refresh(&app, "agent", token, &[("resource", ISSUER)]).await;
    refused(elsewhere, "invalid_target", "another API");
    let (status, _) = refresh(&app, "agent", token, &[("resource", ORDERS)]).await;
    assert_eq!(status, 200);
    // the operator takes one scope away
    app.write_policy("refresh.yaml", &policies("    grants: { orders: { scopes: [orders:read] } }"));
    assert_eq!(app.post_reload().await.status(), 200);
    let (status, cut) = refresh(&app, "agent", token, &[]).await;
    assert_eq!((status, &cut["scope"]), (200, &json!("orders:read")));
    let lost = refresh(&app, "agent", token, &[("scope", "orders:write")]).await;
    refused(lost, "invalid_scope", "granted once");
    app.write_policy("refresh.yaml", &policies("    grants: { orders: { scopes: [orders:refund] } }"));
    assert_eq!(app.post_reload().await.status(), 200);
    refused(refresh(&app, "agent", token, &[]).await, "invalid_grant", "nothing is left");
}

#[actix_web::test]
async fn a_revocation_in_the_files_ends_it() {
    let app = spawn();
    let body = fetch(&app, "agent").await;
    let token = text(&body, "refresh_token");
    let jti = decoded(token).1["jti"].as_str().unwrap().to_owned();
    app.clock.advance(60);
    let before = (now() + 30).to_string();
    let before = jiff::Timestamp::from_second(before.parse().unwrap()).unwrap();
    for (name, policy, status) in [
        ("revoked_before", policies(&format!("{ALL}\n    revoked_before: {before}")), 400),
        ("disabled", policies(&format!("{ALL}\n    enabled: false")), 401),
        ("by its jti", format!("{}revoked_tokens: [{jti}]\n", policies(ALL)), 400),
        (
            "by its family",
            format!("{}revoked_tokens: [{}]\n", policies(ALL), jti.trim_end_matches(".0")),
            400,
        ),
    ] {
        app.write_policy("refresh.yaml", &policy);
        assert_eq!(app.post_reload().await.status(), 200, "{name}");
        let (answered, body) = refresh(&app, "agent", token, &[]).await;
        assert_eq!(answered, status, "{name}: {body}");
        app.write_policy("refresh.yaml", &policies(ALL));
        assert_eq!(app.post_reload().await.status(), 200, "{name}");
        assert_eq!(refresh(&app, "agent", token, &[]).await.0, 200, "{name}, taken back");
    }
}

#[actix_web::test]
#[ignore = "needs redis-server; .ci/run runs it"]
async fn with_a_shared_store_each_is_used_once_over_all_replicas() {
    let redis = RedisServer::start();
    let (one, two) = (spawn_with(Some(redis.url())), spawn_with(Some(redis.url())));
    for app in [&one, &two] {
        app.is_ready().await;
    }
    let first = fetch(&one, "agent").await;
    let first_token = text(&first, "refresh_token").to_owned();
    let (status, second) = refresh(&two, "agent", &first_token, &[]).await;
    assert_eq!(status, 200, "{second}");
    let (status, third) = refresh(&one, "agent", text(&second, "refresh_token"), &[]).await;
    assert_eq!(status, 200, "{third}");
    let exp = |body: &Value| decoded(text(body, "refresh_token")).1["exp"].clone();
    assert_eq!(exp(&third), exp(&first), "the end of the family stays");
    // somebody has an old one: nobody goes on
    refused(refresh(&two, "agent", &first_token, &[]).await, "invalid_grant", "used before");
    refused(
        refresh(&one, "agent", text(&third, "refresh_token"), &[]).await,
        "invalid_grant",
        "the family is dead",
    );
    // and the access tokens that it brought are ended on both
    for app in [&one, &two] {
        app.until_inactive("plain", text(&third, "access_token")).await;
    }
}

#[actix_web::test]
#[ignore = "needs redis-server; .ci/run runs it"]
async fn of_two_uses_at_once_from_two_sides_one_wins_and_the_family_dies() {
    let redis = RedisServer::start();
    let (one, two) = (spawn_strict(redis.url()), spawn_strict(redis.url()));
    for app in [&one, &two] {
        app.is_ready().await;
    }
    for round in 0..10 {
        let first = fetch(&one, "agent").await;
        let token = text(&first, "refresh_token");
        let (a, b) = tokio::join!(refresh(&one, "agent", token, &[]), refresh(&two, "agent", token, &[]));
        let won: Vec<_> = [a, b].into_iter().filter(|(status, _)| *status == 200).collect();
        let [(_, winner)] = won.as_slice() else { panic!("round {round}: {} won", won.len()) };
        let ended = refresh(&one, "agent", text(winner, "refresh_token"), &[]).await;
        refused(ended, "invalid_grant", "the winner's");
        two.until_inactive("plain", text(winner, "access_token")).await;
    }
}

#[actix_web::test]
#[ignore = "needs redis-server; .ci/run runs it"]
async fn without_the_store_nothing_is_used_twice_and_the_rest_goes_on() {
    let mut redis = RedisServer::start();
    let app = spawn_strict(redis.url());
    app.is_ready().await;
    let first = fetch(&app, "agent").await;
    redis.stop();
    let (status, body) = refresh(&app, "agent", text(&first, "refresh_token"), &[]).await;
    assert_eq!((status, &body["error"]), (503, &json!("temporarily_unavailable")));
    // issuing the first one never needs the store
    let other = fetch(&app, "agent").await;
    redis.start_again();
    app.until_answered(async || refresh(&app, "agent", text(&other, "refresh_token"), &[]).await.0 == 200)
        .await;
    let (status, _) = refresh(&app, "agent", text(&other, "refresh_token"), &[]).await;
    assert_eq!(status, 400, "used once");
}

/// With the longest leeway: what is used or ended stays so for as long as any token of the family is taken.
#[actix_web::test]
#[ignore = "needs redis-server; .ci/run runs it"]
async fn a_long_leeway_brings_nothing_back() {
    let redis = RedisServer::start();
    let setup = |store| Setup {
        policies: vec![("refresh.yaml", policies(ALL))],
        store,
        settings: |settings| {
            settings.tokens.leeway = Duration::from_mins(5);
            settings.tokens.refresh_ttl = Duration::from_secs(10);
            settings.tokens.refresh_grace = Duration::ZERO;
        },
        ..Setup::default()
    };
    let app = spawn_app_with(setup(Some(redis.url())));
    app.is_ready().await;
    let first = fetch(&app, "agent").await;
    let token = text(&first, "refresh_token");
    let (status, second) = refresh(&app, "agent", token, &[]).await;
    assert_eq!(status, 200);
    refused(refresh(&app, "agent", token, &[]).await, "invalid_grant", "used before");
    let access = text(&second, "access_token");
    // its own five minutes, and the leeway
    for _ in 0..12 {
        let (_, answer) = app.post_form("/oauth2/introspect", "plain", &[("token", access)]).await;
        assert_eq!(answer["active"], false);
        app.clock.advance(60);
        refused(refresh(&app, "agent", token, &[]).await, "invalid_grant", "later");
    }
}

#[actix_web::test]
#[ignore = "needs redis-server; .ci/run runs it"]
async fn a_refresh_that_fails_for_another_reason_uses_nothing_up() {
    let redis = RedisServer::start();
    let app = spawn_with(Some(redis.url()));
    app.is_ready().await;
    let first = fetch(&app, "agent").await;
    let token = text(&first, "refresh_token");
    // a claim of which no verifier would take the token
    let long = format!("{ALL}\n    claims: {{ note: {} }}", "x".repeat(9000));
    app.write_policy("refresh.yaml", &policies(&long));
    assert_eq!(app.post_reload().await.status(), 200);
    refused(refresh(&app, "agent", token, &[]).await, "invalid_scope", "too long");
    refused(refresh(&app, "agent", token, &[("scope", "orders:refund")]).await, "invalid_scope", "beyond");
    app.write_policy("refresh.yaml", &policies(ALL));
    assert_eq!(app.post_reload().await.status(), 200);
    assert_eq!(refresh(&app, "agent", token, &[]).await.0, 200);
}

/// Whoever found the second use may have been cut off before it ended the access tokens: the next use does.
#[actix_web::test]
#[ignore = "needs redis-server; .ci/run runs it"]
async fn a_family_that_was_ended_halfway_is_ended_whole_at_the_next_use() {
    let redis = RedisServer::start();
    let app = spawn_with(Some(redis.url()));
    app.is_ready().await;
    let first = fetch(&app, "agent").await;
    let (status, second) = refresh(&app, "agent", text(&first, "refresh_token"), &[]).await;
    assert_eq!(status, 200, "{second}");
    let family =
        decoded(text(&first, "refresh_token")).1["jti"].as_str().unwrap().trim_end_matches(".0").to_owned();
    let _: () = redis.ask(&format!("SET jeton:family:{family} ended"));
    let access = text(&second, "access_token");
    let active =
        async || app.post_form("/oauth2/introspect", "plain", &[("token", access)]).await.1["active"].clone();
    assert_eq!(active().await, true, "ended by half");
    refused(refresh(&app, "agent", text(&second, "refresh_token"), &[]).await, "invalid_grant", "ended");
    assert_eq!(active().await, false);
}
