//! What is counted, to the number.
use std::{collections::BTreeMap, time::Duration};

use jeton::{
    config::{GatewayApis, GatewaySettings, HostedApi, Settings},
    gateway::{GatewayKind, GatewayName, TrustedPeers},
};
use jeton_oauth::ApiName;
use jeton_verify::gateway::HostName;
use reqwest::RequestBuilder;
use serde_json::Value;

use crate::support::{
    ORDERS, Setup, TestApp, now, scrape::with_admin, secret, secret_hash, secrets, spawn_app_with,
};

const ISSUED: &str = "jeton_tokens_issued_total";
const REUSED: &str = "jeton_tokens_reused_total";
const REFUSED: &str = "jeton_token_requests_refused_total";
const DECISIONS: &str = "jeton_decisions_total";
const QUESTIONS: &str = "jeton_gateway_questions_total";
const INTROSPECTIONS: &str = "jeton_introspections_total";
const DURATIONS: &str = "jeton_http_request_duration_seconds_count";
const LAST_USED: &str = "jeton_secret_last_used_timestamp_seconds";

const EXCHANGE: &str = "urn:ietf:params:oauth:grant-type:token-exchange";
const ACCESS_TOKEN: &str = "urn:ietf:params:oauth:token-type:access_token";

/// `agent` refreshes, `relay` exchanges, `gate` introspects, `late` has an old secret, and `off` is disabled.
fn policies() -> String {
    let grants = "grants: { orders: { scopes: [orders:read] } }";
    let client = |id: &str, more: &str| format!("  {id}:\n    {}\n    {grants}\n{more}", secrets(id));
    let late = secret_hash(&secret("late"));
    [
        "version: 1\nclients:\n".to_owned(),
        client("agent", "    refresh: true\n"),
        client("relay", "    token_exchange: true\n"),
        client("gate", "    introspect: true\n"),
        client("off", "    enabled: false\n"),
        format!(
            "  late:\n    secrets: [{{ sha256: {late}, expires: 2026-01-01T00:00:00Z }}]\n    {grants}\n"
        ),
    ]
    .concat()
}

fn spawn() -> TestApp {
    spawn_app_with(Setup { policies: setup_policies(), settings: with_admin, ..Setup::default() })
}

fn setup_policies() -> Vec<(&'static str, String)> {
    vec![("metered.yaml", policies())]
}

/// What the samples of a metric are.
#[track_caller]
fn check(found: &[(&str, f64)], expected: &[(&str, f64)]) {
    assert_eq!(found, expected);
}

async fn checked(app: &TestApp, name: &str, expected: &[(&str, f64)]) {
    check(&app.scrape().await.of(name), expected);
}

/// A token request with this status.
async fn ask(app: &TestApp, client: &str, form: &[(&str, &str)], status: u16) -> Value {
    let (answered, body) = app.post_form("/oauth2/token", client, form).await;
    assert_eq!(answered, status, "{client}: {body}");
    body
}

const OWN: [(&str, &str); 2] = [("grant_type", "client_credentials"), ("resource", ORDERS)];

#[actix_web::test]
async fn tokens_are_counted_by_grant_client_and_api() {
    let app = spawn();
    checked(&app, ISSUED, &[]).await;
    let pair = ask(&app, "agent", &OWN, 200).await;
    ask(&app, "agent", &OWN, 200).await;
    app.token_of("acme-sync", "orders").await;
    app.token_of("acme-sync", "jeton").await;
    let refresh = pair["refresh_token"].as_str().unwrap();
    for _ in 0..3 {
        ask(&app, "agent", &[("grant_type", "refresh_token"), ("refresh_token", refresh)], 200).await;
    }
    let subject = ask(&app, "relay", &OWN, 200).await;
    let subject = subject["access_token"].as_str().unwrap();
    let form = [("grant_type", EXCHANGE), ("subject_token", subject), ("subject_token_type", ACCESS_TOKEN)];
    ask(&app, "relay", &form, 200).await;
    let expected = [
        (r#"grant="client_credentials",client="acme-sync",api="jeton""#, 1.0),
        (r#"grant="client_credentials",client="acme-sync",api="orders""#, 1.0),
        (r#"grant="client_credentials",client="agent",api="orders""#, 2.0),
        (r#"grant="client_credentials",client="relay",api="orders""#, 1.0),
        (r#"grant="refresh_token",client="agent",api="orders""#, 3.0),
        (r#"grant="token-exchange",client="relay",api="orders""#, 1.0),
    ];
    let scrape = app.scrape().await;
    check(&scrape.of(ISSUED), &expected);
    check(&scrape.of(REFUSED), &[]);
    check(&scrape.of(REUSED), &[]);
}

#[actix_web::test]
async fn a_token_that_is_handed_out_again_is_not_issued() {
    let settings = |settings: &mut Settings| {
        with_admin(settings);
        settings.tokens.reuse = Some(Duration::from_mins(10));
    };
    let app = spawn_app_with(Setup { policies: setup_policies(), settings, ..Setup::default() });
    for _ in 0..4 {
        ask(&app, "gate", &OWN, 200).await;
    }
    ask(&app, "gate", &[("grant_type", "client_credentials"), ("scope", "orders:read")], 200).await;
    let scrape = app.scrape().await;
    check(&scrape.of(ISSUED), &[(r#"grant="client_credentials",client="gate",api="orders""#, 1.0)]);
    check(&scrape.of(REUSED), &[(r#"client="gate",api="orders""#, 4.0)]);
}

/// An error counts under the client that the request names, if the files have it.
#[actix_web::test]
async fn refusals_are_counted_by_grant_error_and_client() {
    let app = spawn();
    // whoever cannot authenticate, in each way in which that can fail
    for (client, sent) in
        [("agent", "wrong"), ("agent", "wrong too"), ("late", &secret("late")), ("off", &secret("off"))]
    {
        let request = app.http.post(app.url("/oauth2/token")).basic_auth(client, Some(sent)).form(&OWN);
        assert_eq!(request.send().await.unwrap().status(), 401);
    }
    ask(&app, "nobody", &OWN, 401).await;
    ask(&app, "nobody-else", &OWN, 401).await;
    let no_secret = [("grant_type", "client_credentials"), ("client_id", "gate")];
    assert_eq!(app.http.post(app.url("/oauth2/token")).form(&no_secret).send().await.unwrap().status(), 401);
    // who asks for what it cannot have
    ask(&app, "gate", &[("grant_type", "client_credentials"), ("scope", "orders:refund")], 400).await;
    ask(&app, "gate", &[("grant_type", "client_credentials"), ("resource", "https://no.example")], 400).await;
    ask(&app, "gate", &[("grant_type", "refresh_token"), ("refresh_token", "x")], 400).await;
    ask(&app, "agent", &[("grant_type", "refresh_token"), ("refresh_token", "x")], 400).await;
    ask(&app, "agent", &[("grant_type", "refresh_token")], 400).await;
    ask(&app, "relay", &[("grant_type", EXCHANGE), ("subject_token", "x")], 400).await;
    // what is no grant of ours
    ask(&app, "agent", &[("grant_type", "password")], 400).await;
    ask(&app, "agent", &[("grant_type", "implicit")], 400).await;
    ask(&app, "agent", &[], 400).await;
    let expected = [
        (r#"grant="client_credentials",error="invalid_client",client="agent""#, 2.0),
        (r#"grant="client_credentials",error="invalid_client",client="gate""#, 1.0),
        (r#"grant="client_credentials",error="invalid_client",client="late""#, 1.0),
        (r#"grant="client_credentials",error="invalid_client",client="off""#, 1.0),
        (r#"grant="client_credentials",error="invalid_client",client="unknown""#, 2.0),
        (r#"grant="client_credentials",error="invalid_scope",client="gate""#, 1.0),
        (r#"grant="client_credentials",error="invalid_target",client="gate""#, 1.0),
        (r#"grant="refresh_token",error="invalid_grant",client="agent""#, 1.0),
        (r#"grant="refresh_token",error="invalid_request",client="agent""#, 1.0),
        (r#"grant="refresh_token",error="unauthorized_client",client="gate""#, 1.0),
        (r#"grant="token-exchange",error="invalid_request",client="relay""#, 1.0),
        (r#"grant="unknown",error="invalid_request",client="agent""#, 1.0),
        (r#"grant="unknown",error="unsupported_grant_type",client="agent""#, 2.0),
    ];
    let scrape = app.scrape().await;
    check(&scrape.of(REFUSED), &expected);
    check(&scrape.of(ISSUED), &[]);
}

#[actix_web::test]
async fn introspections_are_counted_by_who_asks_and_what_it_learns() {
    let app = spawn();
    let token = app.token_of("acme-sync", "orders").await;
    for (client, token, status) in [
        ("gate", token.as_str(), 200),
        ("gate", &token, 200),
        ("gate", "not.a.token", 200),
        // no answer, no count
        ("agent", &token, 400),
        ("nobody", &token, 401),
    ] {
        let (answered, body) = app.post_form("/oauth2/introspect", client, &[("token", token)]).await;
        assert_eq!(answered, status, "{client}: {body}");
    }
    let expected = [(r#"client="gate",active="false""#, 1.0), (r#"client="gate",active="true""#, 2.0)];
    checked(&app, INTROSPECTIONS, &expected).await;
}

#[actix_web::test]
async fn decisions_are_counted_by_api_rule_and_outcome() {
    let app = spawn();
    let operator = app.token_of("operator", "jeton").await;
    let acme = app.token_of("acme-sync", "jeton").await;
    let elsewhere = app.token_of("acme-sync", "orders").await;
    let asks = [
        ("/principal", Some(&acme), 200),
        ("/principal", Some(&operator), 200),
        ("/ops/keys", Some(&operator), 200),
        ("/ops/keys", Some(&acme), 403),
        ("/ops/nothing", Some(&operator), 403),
        ("/ops/nothing", None, 401),
        ("/principal", None, 401),
        ("/principal", Some(&elsewhere), 401),
        // answered before anybody decides
        ("/principal?access_token=x", Some(&acme), 400),
        ("/healthz", None, 200),
        ("/nowhere", None, 404),
    ];
    for (path, token, status) in asks {
        let request = app.http.get(app.url(path));
        let request = token.iter().fold(request, RequestBuilder::bearer_auth);
        assert_eq!(request.send().await.unwrap().status(), status, "{path}");
    }
    let expected = [
        (r#"api="jeton",rule="none",outcome="denied""#, 1.0),
        (r#"api="jeton",rule="none",outcome="unauthenticated""#, 2.0),
        (r#"api="jeton",rule="ops",outcome="allowed""#, 1.0),
        (r#"api="jeton",rule="ops",outcome="denied""#, 1.0),
        (r#"api="jeton",rule="principal",outcome="allowed""#, 2.0),
        (r#"api="jeton",rule="principal",outcome="unauthenticated""#, 1.0),
    ];
    checked(&app, DECISIONS, &expected).await;
}

/// `edge` before the orders API, `by-host` for two hosts, `stranger` as whom nobody here may ask.
fn gateways(settings: &mut Settings) {
    with_admin(settings);
    let gateway = |name: &str, apis, peers: &str| GatewaySettings {
        name: GatewayName::parse(name).unwrap(),
        kind: GatewayKind::Nginx,
        apis,
        trusted_peers: TrustedPeers::parse(&[peers.to_owned()]).unwrap(),
        claims: Vec::new(),
    };
    let api = |name| ApiName::parse(name).unwrap();
    let hosts = [("orders.example.com", "orders"), ("jeton.example.com", "jeton")];
    let hosts =
        hosts.map(|(host, name)| HostedApi::at(HostName::parse(host).unwrap(), api(name)).unwrap()).into();
    settings.gateways = vec![
        gateway("by-host", GatewayApis::ByHost(hosts), "127.0.0.1"),
        gateway("edge", GatewayApis::One { api: api("orders"), origin: None }, "127.0.0.1"),
        gateway("stranger", GatewayApis::One { api: api("orders"), origin: None }, "192.0.2.0/24"),
    ];
}

fn spawn_with_gateways() -> TestApp {
    spawn_app_with(Setup { settings: gateways, ..Setup::default() })
}

/// A question about `GET` of a path, at this host.
async fn question(app: &TestApp, gateway: &str, host: &str, path: &str, token: Option<&str>) -> u16 {
    let request = app.http.get(app.url(&format!("/authz/{gateway}")));
    let request = request.header("X-Original-Method", "GET").header("X-Original-URI", path);
    let request = request.header("X-Original-Host", host);
    let request = token.iter().fold(request, RequestBuilder::bearer_auth);
    request.send().await.unwrap().status().as_u16()
}

#[actix_web::test]
async fn questions_of_gateways_are_counted_by_their_answer() {
    let app = spawn_with_gateways();
    let none = |name| {
        ["allowed", "denied", "unauthenticated"].map(|it| format!("gateway=\"{name}\",outcome=\"{it}\""))
    };
    let names = ["by-host", "edge", "stranger", "unknown"].map(none).concat();
    let expected: Vec<_> = names.iter().map(|name| (name.as_str(), 0.0)).collect();
    checked(&app, QUESTIONS, &expected).await;

    let token = app.token_of("acme-sync", "orders").await;
    let token = Some(token.as_str());
    let host = "orders.example.com";
    for (gateway, host, path, token, status) in [
        ("edge", host, "/tenants/acme/orders", token, 200),
        ("edge", host, "/healthz", None, 200),
        ("edge", host, "/tenants/acme/orders", None, 401),
        ("edge", host, "/tenants/acme/orders", Some("x.y.z"), 401),
        ("edge", host, "/tenants/globex/orders", token, 403),
        ("edge", host, "/nowhere", token, 403),
        // two tokens: refused before anybody decides
        ("edge", host, "/healthz?access_token=x", token, 403),
        ("by-host", host, "/tenants/acme/orders", token, 200),
        ("by-host", "nobody.example.com", "/healthz", None, 403),
        ("stranger", host, "/healthz", None, 403),
        ("nowhere", host, "/healthz", None, 403),
    ] {
        assert_eq!(question(&app, gateway, host, path, token).await, status, "{gateway} {path}");
    }
    let scrape = app.scrape().await;
    let counts = [1.0, 1.0, 0.0, 2.0, 3.0, 2.0, 0.0, 1.0, 0.0, 0.0, 1.0, 0.0];
    let expected: Vec<_> = names.iter().map(String::as_str).zip(counts).collect();
    check(&scrape.of(QUESTIONS), &expected);
    let expected = [
        (r#"api="orders",rule="health",outcome="allowed""#, 1.0),
        (r#"api="orders",rule="none",outcome="denied""#, 1.0),
        (r#"api="orders",rule="none",outcome="unauthenticated""#, 1.0),
        (r#"api="orders",rule="read-orders",outcome="allowed""#, 2.0),
        (r#"api="orders",rule="read-orders",outcome="denied""#, 1.0),
        (r#"api="orders",rule="read-orders",outcome="unauthenticated""#, 1.0),
    ];
    check(&scrape.of(DECISIONS), &expected);
}

#[actix_web::test]
async fn requests_are_measured_by_endpoint_method_and_status() {
    let app = spawn_app_with(Setup {
        issuer: "http://127.0.0.1:8080/base".to_owned(),
        settings: gateways,
        ..Setup::default()
    });
    let requests = [
        ("GET", "/oauth2/token", 405, "/oauth2/token"),
        ("POST", "/oauth2/token", 400, "/oauth2/token"),
        // below the path of the issuer it is the same endpoint
        ("POST", "/base/oauth2/token", 400, "/oauth2/token"),
        ("POST", "/oauth2/introspect", 400, "/oauth2/introspect"),
        ("POST", "/oauth2/revoke", 400, "/oauth2/revoke"),
        ("GET", "/oauth2/authorize", 400, "/oauth2/authorize"),
        ("GET", "/.well-known/jwks.json", 200, "/.well-known/jwks.json"),
        ("HEAD", "/.well-known/jwks.json", 200, "/.well-known/jwks.json"),
        (
            "GET",
            "/.well-known/oauth-authorization-server/base",
            200,
            "/.well-known/oauth-authorization-server",
        ),
        ("GET", "/.well-known/openid-configuration/base", 200, "/.well-known/openid-configuration"),
        ("GET", "/base/.well-known/openid-configuration", 200, "/.well-known/openid-configuration"),
        ("GET", "/principal", 401, "/principal"),
        ("GET", "/ops/policies", 401, "/ops/policies"),
        ("GET", "/ops/keys", 401, "/ops/keys"),
        ("POST", "/ops/explain", 401, "/ops/explain"),
        ("POST", "/base/ops/reload", 401, "/ops/reload"),
        ("GET", "/status/one", 404, "/status/{handle}"),
        ("GET", "/status/two", 404, "/status/{handle}"),
        ("GET", "/healthz", 200, "/healthz"),
        ("GET", "/readyz", 200, "/readyz"),
        ("GET", "/authz/edge", 403, "/authz/edge"),
        ("GET", "/authz/edge/below", 403, "/authz/edge"),
        // nobody's
        ("GET", "/authz/nobody", 403, "other"),
        ("GET", "/", 200, "/"),
        ("GET", "/base", 200, "/"),
        ("GET", "/base/", 200, "/"),
        ("GET", "/metrics", 404, "other"),
        ("GET", "/ops/nothing", 401, "other"),
        ("PROPFIND", "/healthz", 405, "/healthz"),
        ("BREW", "/pot", 404, "other"),
    ];
    let mut expected = BTreeMap::new();
    for (method, path, status, endpoint) in requests {
        let request = app.http.request(method.parse().unwrap(), app.url(path));
        assert_eq!(request.send().await.unwrap().status(), status, "{method} {path}");
        let method = if ["PROPFIND", "BREW"].contains(&method) { "other" } else { method };
        *expected
            .entry(format!("endpoint=\"{endpoint}\",method=\"{method}\",status=\"{status}\""))
            .or_insert(0.0) += 1.0;
    }
    assert_eq!(app.get_admin("/readyz").await.status(), 200);
    assert_eq!(app.get_admin("/nothing").await.status(), 404);
    *expected.get_mut(r#"endpoint="/readyz",method="GET",status="200""#).unwrap() += 1.0;
    *expected.get_mut(r#"endpoint="other",method="GET",status="404""#).unwrap() += 1.0;
    let scrape = app.scrape().await;
    let found: BTreeMap<_, _> =
        scrape.of(DURATIONS).into_iter().map(|(labels, count)| (labels.to_owned(), count)).collect();
    assert_eq!(found, expected);
    // of a histogram, every bucket holds those before it, and the last one all
    let buckets = scrape.of("jeton_http_request_duration_seconds_bucket");
    let of_keys: Vec<_> = buckets.iter().filter(|(labels, _)| labels.contains(r#""/ops/keys""#)).collect();
    assert_eq!(of_keys.len(), 15);
    assert!(of_keys.is_sorted_by(|one, next| one.1 <= next.1), "{of_keys:?}");
    assert_eq!(*of_keys[14], (r#"endpoint="/ops/keys",method="GET",status="401",le="+Inf""#, 1.0));
    // the scrape itself, by the next one
    let again = app.scrape().await;
    assert!(again.of(DURATIONS).contains(&(r#"endpoint="/metrics",method="GET",status="200""#, 1.0)));
}

/// Which of two secrets is still in use, an operator must know before the old one goes.
#[actix_web::test]
async fn each_secret_tells_when_it_was_used_last() {
    let (old, new) = (secret_hash("old secret"), secret_hash("new secret"));
    let text = |hashes: &[&str]| {
        let each = hashes.iter().map(|hash| format!("{{ sha256: {hash} }}")).collect::<Vec<_>>().join(", ");
        format!(
            "version: 1\nclients:\n  rotating:\n    secrets: [{each}]\n    introspect: true\n    grants: {{ orders: {{ scopes: [orders:read] }} }}\n"
        )
    };
    let app = spawn_app_with(Setup {
        policies: vec![("rotating.yaml", text(&[&old, &new]))],
        settings: with_admin,
        ..Setup::default()
    });
    let with = async |secret: &str, path: &str, form: &[(&str, &str)], status: u16| {
        let request = app.http.post(app.url(path)).basic_auth("rotating", Some(secret)).form(form);
        assert_eq!(request.send().await.unwrap().status(), status);
    };
    with("old secret", "/oauth2/token", &OWN, 200).await;
    app.clock.advance(60);
    with("wrong secret", "/oauth2/token", &OWN, 401).await;
    with("new secret", "/oauth2/introspect", &[("token", "x")], 200).await;
    app.clock.advance(60);
    with("new secret", "/oauth2/token", &[("grant_type", "client_credentials"), ("scope", "no:such")], 400)
        .await;
    #[expect(clippy::cast_precision_loss, reason = "a time of our days")]
    let at = |seconds: i64| (now() + seconds) as f64;
    let [of_old, of_new] = [&old, &new].map(|hash| format!("client=\"rotating\",secret=\"{}\"", &hash[..8]));
    let mut expected = [(of_old.as_str(), at(0)), (of_new.as_str(), at(120))];
    expected.sort_by_key(|(labels, _)| *labels);
    checked(&app, LAST_USED, &expected).await;
    // a secret that leaves the files leaves the metrics
    app.write_policy("rotating.yaml", &text(&[&new]));
    assert_eq!(app.post_reload().await.status(), 200);
    let scrape = app.scrape().await;
    let rotating: Vec<_> =
        scrape.of(LAST_USED).into_iter().filter(|(labels, _)| labels.contains("rotating")).collect();
    check(&rotating, &[(of_new.as_str(), at(120))]);
    assert!(!scrape.labels().iter().any(|(_, value)| value.len() > 8 && old.starts_with(value)));
}
