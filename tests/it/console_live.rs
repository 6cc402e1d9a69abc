//! The console's view of denied decisions as they come: what is told, to how many, and until when.
use std::{collections::VecDeque, time::Duration};

use jeton::{
    config::{GatewayApis, GatewaySettings, HostedApi, Settings},
    gateway::{GatewayKind, GatewayName, TrustedPeers},
};
use jeton_oauth::ApiName;
use jeton_verify::gateway::HostName;
use reqwest::Response;
use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpSocket,
    time,
};

use crate::support::{
    NOW, Setup, TestApp, http_client,
    program::{Binary, PATIENCE},
    scrape::with_admin,
    spawn_app_with,
};

const LIVE: &str = "/console/api/live";
/// Sooner than any comment, behind which an event could hide.
const AT_ONCE: Duration = Duration::from_secs(10);

fn gateway(name: &str, apis: GatewayApis, peers: &str) -> GatewaySettings {
    GatewaySettings {
        name: GatewayName::parse(name).unwrap(),
        kind: GatewayKind::parse("nginx").unwrap(),
        apis,
        trusted_peers: TrustedPeers::parse(&[peers.to_owned()]).unwrap(),
        claims: Vec::new(),
    }
}

/// `edge` before the orders API, `hosts` before it at one host, and `stranger` as whom nobody here may ask.
fn with_gateways(settings: &mut Settings) {
    with_admin(settings);
    let orders = || ApiName::parse("orders").unwrap();
    let one = || GatewayApis::One { api: orders(), origin: None };
    let host = HostName::parse("orders.example.com").unwrap();
    let hosts = GatewayApis::ByHost([HostedApi::at(host, orders()).unwrap()].into());
    settings.gateways = vec![
        gateway("edge", one(), "127.0.0.1/32"),
        gateway("hosts", hosts, "127.0.0.1/32"),
        gateway("stranger", one(), "192.0.2.0/24"),
    ];
}

fn spawn() -> TestApp {
    spawn_app_with(Setup { settings: with_gateways, ..Setup::default() })
}

/// What one watcher gets.
struct Watcher {
    answer: Response,
    text: String,
    events: VecDeque<(String, Value)>,
}

impl Watcher {
    async fn of(app: &TestApp) -> Self {
        Self::at(&app.admin.unwrap().to_string()).await
    }

    async fn at(admin: &str) -> Self {
        let answer = http_client().get(format!("http://{admin}{LIVE}")).send().await.unwrap();
        assert_eq!(answer.status(), 200);
        Self { answer, text: String::new(), events: VecDeque::new() }
    }

    /// The next event; `None` at the end.
    async fn next(&mut self) -> Option<(String, Value)> {
        loop {
            if let Some(event) = self.events.pop_front() {
                return Some(event);
            }
            let chunk =
                time::timeout(AT_ONCE, self.answer.chunk()).await.expect("an event comes").unwrap()?;
            self.text.push_str(str::from_utf8(&chunk).unwrap());
            let (events, rest) = parse(&self.text);
            self.events.extend(events);
            self.text = rest;
        }
    }

    /// The next event, which is a decision.
    async fn decision(&mut self) -> Value {
        let (event, data) = self.next().await.expect("the answer goes on");
        assert_eq!(event, "decision");
        data
    }
}

/// The events of a text, without comments, and what is no whole event yet.
fn parse(text: &str) -> (Vec<(String, Value)>, String) {
    let (whole, rest) = text.rsplit_once("\n\n").unwrap_or(("", text));
    let of_event = |event: &str| {
        let (name, data) = event.trim_start().strip_prefix("event: ")?.split_once('\n')?;
        Some((name.to_owned(), serde_json::from_str(data.strip_prefix("data: ").unwrap()).unwrap()))
    };
    (whole.split("\n\n").filter_map(of_event).collect(), rest.to_owned())
}

/// Asks as a gateway.
async fn ask(app: &TestApp, gateway: &str, target: &str, lines: &[(&str, &str)]) -> u16 {
    let request = app.http.get(app.url(&format!("/authz/{gateway}")));
    let request = request.header("X-Original-Method", "GET").header("X-Original-URI", target);
    let request = lines.iter().fold(request, |request, (name, value)| request.header(*name, *value));
    request.send().await.unwrap().status().as_u16()
}

#[actix_web::test]
async fn the_answer_is_a_stream_of_events_that_nobody_keeps() {
    let app = spawn();
    let watcher = Watcher::of(&app).await;
    let headers = watcher.answer.headers();
    assert_eq!(headers["content-type"], "text/event-stream");
    assert_eq!(headers["cache-control"], "no-store");
    let head = app.http.head(format!("http://{}{LIVE}", app.admin.unwrap())).send().await.unwrap();
    assert_eq!((head.status().as_u16(), &head.headers()["content-type"]), (200, &headers["content-type"]));
    let url = format!("http://{}{LIVE}", app.admin.unwrap());
    assert_eq!(app.http.post(url).send().await.unwrap().status(), 405);
}

#[actix_web::test]
async fn denied_decisions_come_and_allowed_ones_do_not() {
    let app = spawn();
    let token = app.token_of("acme-sync", "jeton").await;
    // kept until somebody watches
    assert_eq!(app.get("/principal?hidden=1").await.status(), 401);
    let mut watcher = Watcher::of(&app).await;
    let kept = watcher.decision().await;
    let id = kept["id"].as_str().unwrap();
    assert_eq!(
        kept,
        json!({
            "time": NOW, "id": id, "api": "jeton", "method": "GET", "path": "/principal", "allowed": false,
            "rule": "principal", "reason": "no-token", "detail": kept["detail"], "gateway": null,
        })
    );

    assert_eq!(app.get_principal(&token).await.status(), 200);
    let denied = app.http.get(app.url("/ops/keys")).bearer_auth(&token).send().await.unwrap();
    assert_eq!(denied.status(), 403);
    let decision = watcher.decision().await;
    assert_eq!(decision["path"], "/ops/keys", "what is allowed is not told: {decision}");
    assert_eq!(decision["client"], "acme-sync");
    assert_eq!((&decision["rule"], &decision["reason"]), (&json!("ops"), &json!("not-met")));
    assert_eq!(decision["scopes"], json!(["jeton:principal"]));
    assert_eq!(decision["claims"], json!({ "tenant": "acme" }));
    assert!(decision["jti"].is_string() && decision["issued_at"].is_i64(), "{decision}");
    assert!(!decision.to_string().contains(&token));

    let bad = format!("{token}x");
    assert_eq!(app.get_principal(&bad).await.status(), 401);
    let decision = watcher.decision().await;
    assert_eq!((&decision["reason"], &decision["client"]), (&json!("invalid-token"), &Value::Null));
    assert!(!decision.to_string().contains(&bad));
}

#[actix_web::test]
async fn what_a_gateway_is_denied_comes_with_its_name() {
    let app = spawn();
    let token = app.token_of("acme-sync", "orders").await;
    let bearer = format!("Bearer {token}");
    let with_token = [("Authorization", bearer.as_str())];
    let mut watcher = Watcher::of(&app).await;
    assert_eq!(ask(&app, "edge", "/tenants/acme/orders", &with_token).await, 200);
    assert_eq!(ask(&app, "edge", "/tenants/globex/orders?secret=1", &with_token).await, 403);
    let decision = watcher.decision().await;
    assert_eq!(
        (&decision["gateway"], &decision["api"], &decision["path"], &decision["client"]),
        (&json!("edge"), &json!("orders"), &json!("/tenants/globex/orders"), &json!("acme-sync"))
    );
    assert_eq!((&decision["rule"], &decision["reason"]), (&json!("read-orders"), &json!("not-met")));
    assert_eq!(ask(&app, "edge", "/tenants/acme/orders", &[]).await, 401);
    assert_eq!(watcher.decision().await["reason"], "no-token");
    assert_eq!(ask(&app, "edge", "/nowhere", &with_token).await, 403);
    assert_eq!(watcher.decision().await["reason"], "no-route");
}

/// The decision log has no line for these.
#[actix_web::test]
async fn what_a_gateway_is_refused_before_the_policies_decide_comes_too() {
    let app = spawn();
    let token = app.token_of("acme-sync", "orders").await;
    let bearer = format!("Bearer {token}");
    let mut watcher = Watcher::of(&app).await;
    for (name, gateway, lines, reason, path) in [
        ("a stranger", "stranger", &[][..], "untrusted-peer", Value::Null),
        ("no gateway", "nobody", &[], "unknown-gateway", Value::Null),
        ("another host", "hosts", &[("X-Original-Host", "evil.example")], "unknown-host", json!("/orders")),
        ("two methods", "edge", &[("X-Original-Method", "POST")], "ambiguous", json!("/orders")),
        (
            "two tokens",
            "edge",
            &[("Authorization", bearer.as_str()), ("Authorization", bearer.as_str())],
            "invalid-request",
            json!("/orders"),
        ),
    ] {
        assert_eq!(ask(&app, gateway, "/orders?secret=1", lines).await, 403, "{name}");
        let decision = watcher.decision().await;
        let known = if gateway == "nobody" { Value::Null } else { json!(gateway) };
        assert_eq!(
            (&decision["reason"], &decision["path"], &decision["gateway"], &decision["allowed"]),
            (&json!(reason), &path, &known, &json!(false)),
            "{name}: {decision}"
        );
        assert_eq!(decision["time"], NOW, "{name}");
        assert!(decision["id"].is_string(), "{name}");
        let host = if gateway == "hosts" { json!("evil.example") } else { Value::Null };
        assert_eq!(decision["host"], host, "{name}");
        assert!(!decision.to_string().contains(&token), "{name}");
    }
}

#[actix_web::test]
async fn eight_may_watch() {
    let app = spawn();
    let mut watchers = Vec::new();
    for _ in 0..8 {
        watchers.push(Watcher::of(&app).await);
    }
    let ninth = app.get_admin(LIVE).await;
    assert_eq!(ninth.status(), 503);
    assert_eq!(ninth.headers()["content-type"], "application/problem+json");
    let problem: Value = ninth.json().await.unwrap();
    assert_eq!(problem["detail"], "8 others watch already, and no more can: close one of these pages");
    app.get("/principal").await;
    for watcher in &mut watchers {
        assert_eq!(watcher.decision().await["path"], "/principal");
    }
    // who leaves makes room at once, whether anything happens or not
    watchers.pop();
    time::timeout(AT_ONCE, app.until_answered(async || app.get_admin(LIVE).await.status() == 200))
        .await
        .expect("there is room again");
}

#[actix_web::test]
async fn a_watcher_who_does_not_read_holds_up_nobody_and_is_told_what_it_missed() {
    let app = spawn();
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_recv_buffer_size(4096).unwrap();
    let mut slow = socket.connect(app.admin.unwrap()).await.unwrap();
    let request = format!("GET {LIVE} HTTP/1.1\r\nHost: localhost\r\n\r\n");
    slow.write_all(request.as_bytes()).await.unwrap();
    slow.readable().await.unwrap();

    let mut watcher = Watcher::of(&app).await;
    let long = "x".repeat(7000);
    let denials: u64 = 1500;
    for number in 0..denials {
        assert_eq!(app.get(&format!("/ops/{number}/{long}")).await.status(), 401);
        let decision = watcher.decision().await;
        assert_eq!(decision["path"], format!("/ops/{number}/{long}"));
    }
    // what the system holds of the answer, and what is kept for a watcher, is less than all of them
    let (mut text, mut missed, mut told) = (String::new(), 0, 0);
    while told + missed < denials {
        let mut part = vec![0; 64 * 1024];
        let length = time::timeout(AT_ONCE, slow.read(&mut part)).await.expect("more comes").unwrap();
        assert!(length > 0, "the answer ends after {told} and {missed}");
        text.push_str(str::from_utf8(&part[..length]).unwrap());
        missed = 0;
        for line in text.lines().filter_map(|line| line.strip_prefix("data: {\"missed\":")) {
            missed += line.trim_end_matches('}').parse::<u64>().unwrap_or(0);
        }
        told = text.matches("event: decision").count() as u64;
    }
    assert!(missed > 0, "all {told} were told");
    assert_eq!(told + missed, denials);
}

#[actix_web::test]
async fn a_watcher_keeps_no_server_from_its_end() {
    for drain in ["0s", "1s"] {
        let variables = [
            ("JETON__ADMIN__LISTEN", "127.0.0.1:0"),
            ("JETON__SERVER__SHUTDOWN_TIMEOUT", "10m"),
            ("JETON__SERVER__DRAIN", drain),
        ];
        let mut binary = Binary::serve_with(&variables).await;
        let mut watcher = Watcher::at(&binary.admin).await;
        let url = format!("http://{}/principal", binary.address);
        assert_eq!(http_client().get(url).send().await.unwrap().status(), 401);
        assert_eq!(watcher.decision().await["path"], "/principal");
        binary.signal("TERM").await;
        // to its regular end, and not cut off
        assert_eq!(watcher.next().await, None, "{drain}");
        time::timeout(AT_ONCE, binary.logged("stopped")).await.expect("it does not wait");
        let code = time::timeout(PATIENCE, binary.child.wait()).await.unwrap().unwrap();
        assert_eq!(code.code(), Some(0), "{drain}");
    }
}
