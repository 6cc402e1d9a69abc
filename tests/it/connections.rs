//! Connections of the real program: that each ends, and that others are served meanwhile. The table of when each ends is
//! in `src/http/connection/tests.rs`.
use std::{
    fmt::Write,
    time::{Duration, Instant},
};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time,
};

use crate::support::{
    ISSUER, Setup, TestApp,
    program::{Binary, PATIENCE},
    secret, spawn_app_with,
};

/// As many files as the program may have open, and how many clients hold connections.
const OPEN_FILES: u32 = 64;
const HELD: usize = 90;

const GOOD: &str = "GET /healthz HTTP/1.1\r\nHost: jeton\r\n\r\n";

/// Holds a connection in one of the ways that once held it for ever.
async fn hold(mut stream: TcpStream, kind: usize) {
    let chunked = |line: &str| {
        format!(
            "{line} HTTP/1.1\r\nHost: jeton\r\nContent-Type: application/x-www-form-urlencoded\r\nTransfer-Encoding: chunked\r\n\r\n"
        )
    };
    let (first, dripped) = match kind % 6 {
        0 => (GOOD.to_owned(), "G"),
        1 => (chunked("GET /healthz"), ""),
        2 => (chunked("POST /oauth2/token"), ""),
        3 => (chunked("POST /oauth2/token"), "1\r\na\r\n"),
        4 => (GOOD.to_owned(), ""),
        _ => (String::new(), "G"),
    };
    let _ = stream.write_all(first.as_bytes()).await;
    let mut ticks = time::interval(Duration::from_secs(1));
    let mut room = [0; 1024];
    // a client that goes on until it is cut off
    for _ in 0..60 {
        ticks.tick().await;
        if stream.write_all(dripped.as_bytes()).await.is_err() {
            return;
        }
        while let Ok(Ok(count)) = time::timeout(Duration::from_millis(1), stream.read(&mut room)).await {
            if count == 0 {
                return;
            }
        }
    }
    panic!("a connection of kind {kind} was never ended");
}

#[actix_web::test]
async fn many_slow_connections_keep_nobody_out() {
    let mut binary = Binary::serve_with_open_files(OPEN_FILES, "").await;
    let mut held = Vec::new();
    for kind in 0..HELD {
        // they come first: the system takes connections in their order
        held.push(tokio::spawn(hold(binary.connect().await, kind)));
    }
    let began = Instant::now();
    let answer = async {
        let mut stream = binary.connect().await;
        let request =
            format!("{}Connection: close\r\n\r\n", GOOD.trim_end_matches("\r\n").to_owned() + "\r\n");
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        answer
    };
    let answer = time::timeout(Duration::from_secs(25), answer).await.expect("it is answered within 25 s");
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer} after {:?}", began.elapsed());
    // files can be opened all the while
    binary.signal("HUP").await;
    binary.logged("policies.unchanged").await;
    assert_eq!(binary.lines_of("server.full").len(), 1, "said once: {}", binary.log_text());
    for held in held {
        held.await.unwrap();
    }
}

fn one_gateway(settings: &mut jeton::config::Settings) {
    settings.gateways = vec![jeton::config::GatewaySettings {
        name: jeton::gateway::GatewayName::parse("edge").unwrap(),
        kind: jeton::gateway::GatewayKind::parse("nginx").unwrap(),
        apis: jeton::config::GatewayApis::One {
            api: jeton_oauth::ApiName::parse("orders").unwrap(),
            origin: None,
        },
        trusted_peers: jeton::gateway::TrustedPeers::parse(&["127.0.0.1".to_owned()]).unwrap(),
        claims: Vec::new(),
    }];
}

fn spawn() -> TestApp {
    spawn_app_with(Setup { settings: one_gateway, ..Setup::default() })
}

#[actix_web::test]
async fn no_endpoint_waits_for_a_body_that_never_comes() {
    let app = spawn();
    let operator = app.token_of("operator", "jeton").await;
    let bearer = format!("Authorization: Bearer {operator}\r\n");
    let form = "Content-Type: application/x-www-form-urlencoded\r\n".to_owned();
    let none = String::new();
    let mut ends = Vec::new();
    for (request, lines, status) in [
        ("GET /healthz", &none, "200"),
        ("POST /oauth2/token", &form, "400"),
        ("POST /oauth2/introspect", &form, "400"),
        ("POST /oauth2/token", &none, "400"),
        ("GET /authz/edge", &none, "403"),
        ("GET /nowhere", &none, "404"),
        ("POST /nowhere", &none, "404"),
        ("GET /.well-known/jwks.json", &none, "200"),
        ("POST /ops/explain", &bearer, "400"),
        ("GET /ops/policies", &bearer, "200"),
        ("POST /ops/reload", &none, "401"),
    ] {
        for framing in ["Transfer-Encoding: chunked", "Content-Length: 100"] {
            let mut stream = app.connect().await;
            let head = format!("{request} HTTP/1.1\r\nHost: jeton\r\n{lines}{framing}\r\n\r\n");
            ends.push(async move {
                stream.write_all(head.as_bytes()).await.unwrap();
                let mut answer = String::new();
                // ten seconds for the body, and some for the machine
                let read = time::timeout(PATIENCE, stream.read_to_string(&mut answer)).await;
                assert!(read.is_ok(), "{request} with {framing} is not ended");
                assert!(answer.starts_with(&format!("HTTP/1.1 {status}")), "{request}, {framing}: {answer}");
            });
        }
    }
    futures_util::future::join_all(ends).await;
}

/// Reads one answer, whose length must be told; its head.
async fn read_answer(stream: &mut TcpStream) -> String {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(time::timeout(PATIENCE, stream.read_u8()).await.unwrap().expect("the connection is kept"));
    }
    let head = String::from_utf8(head).unwrap().to_ascii_lowercase();
    let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
    let mut body = vec![0; length.map_or(0, |length| length.parse().unwrap())];
    stream.read_exact(&mut body).await.unwrap();
    head
}

#[actix_web::test]
async fn rfc9110_7_8_a_wish_to_upgrade_ends_no_connection() {
    let app = spawn();
    let operator = app.token_of("operator", "jeton").await;
    let credentials = format!(
        "grant_type=client_credentials&resource={ISSUER}&client_id=operator&client_secret={}",
        secret("operator")
    );
    let bearer = format!("Authorization: Bearer {operator}\r\n");
    let form = "Content-Type: application/x-www-form-urlencoded\r\n".to_owned();
    let question = "X-Original-Method: GET\r\nX-Original-URI: /healthz\r\n".to_owned();
    let none = String::new();
    let upgrades = [
        "Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAEAAEAAAAIAAAABAAMAAABk\r\n",
        "Connection: upgrade\r\n",
        "Connection: keep-alive, Upgrade\r\nUpgrade: TLS/1.2\r\n",
        "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n",
    ];
    for (request, lines, body, status) in [
        ("POST /oauth2/token", &form, &*credentials, 200),
        ("POST /oauth2/token", &form, "grant_type=client_credentials", 401),
        ("POST /oauth2/introspect", &form, "token=x", 401),
        ("POST /oauth2/revoke", &form, "token=x", 401),
        ("GET /oauth2/token", &none, "", 405),
        ("GET /.well-known/jwks.json", &none, "", 200),
        ("GET /.well-known/oauth-authorization-server", &none, "", 200),
        ("GET /principal", &bearer, "", 200),
        ("GET /principal", &none, "", 401),
        ("GET /ops/policies", &bearer, "", 200),
        ("POST /ops/reload", &bearer, "", 200),
        ("GET /healthz", &none, "", 200),
        ("HEAD /readyz", &none, "", 200),
        ("GET /status/x", &none, "", 404),
        ("GET /authz/edge", &question, "", 200),
        ("GET /authz/unknown", &question, "", 403),
        ("GET /nowhere", &none, "", 404),
    ] {
        for upgrade in upgrades {
            let mut stream = app.connect().await;
            let mut text = format!("{request} HTTP/1.1\r\nHost: jeton\r\n{upgrade}{lines}");
            write!(text, "Content-Length: {}\r\n\r\n{body}", body.len()).unwrap();
            for time in ["first", "second"] {
                stream.write_all(text.as_bytes()).await.unwrap();
                if request.starts_with("HEAD") {
                    // an answer without the body that it tells of
                    let mut head = Vec::new();
                    while !head.ends_with(b"\r\n\r\n") {
                        head.push(stream.read_u8().await.expect("the connection is kept"));
                    }
                    assert!(!String::from_utf8(head).unwrap().to_ascii_lowercase().contains("upgrade"));
                    continue;
                }
                let head = read_answer(&mut stream).await;
                assert!(
                    head.starts_with(&format!("http/1.1 {status}")),
                    "{time} {request} with {upgrade}: {head}"
                );
                assert!(!head.contains("connection:"), "{time} {request} with {upgrade}: {head}");
            }
        }
    }
}
