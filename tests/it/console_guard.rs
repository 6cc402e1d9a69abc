//! Who may ask the console: by the listener's address, by a token, by what a browser says of the page that asks.
use std::sync::LazyLock;

use jeton::config::{AdminSettings, ConsoleState, Settings, TlsSettings};
use serde_json::{Value, json};
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    net::TcpStream,
    time,
};

use crate::support::{
    ISSUER, Setup, TestApp,
    dpop::{ProofDraft, thumbprint},
    forge::{Draft, Forge},
    now,
    program::PATIENCE,
    signer::Signer,
    spawn_app_with,
    tls::Authority,
};

static AUTHORITY: LazyLock<Authority> = LazyLock::new(Authority::new);

/// What every answer below `/console` says.
const HEADERS: [&str; 6] = [
    "content-security-policy: default-src 'self'; frame-ancestors 'none'",
    "x-content-type-options: nosniff",
    "referrer-policy: no-referrer",
    "cross-origin-resource-policy: same-origin",
    "cross-origin-opener-policy: same-origin",
    "cross-origin-embedder-policy: require-corp",
];

/// An answer of the admin listener.
pub(crate) struct Answer {
    pub(crate) status: u16,
    /// The headers, their names in small letters.
    pub(crate) head: String,
    pub(crate) body: Vec<u8>,
}

impl Answer {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.head.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": "))
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("{error}: {}", self.head))
    }

    fn detail(&self) -> String {
        self.json()["detail"].as_str().unwrap_or_default().to_owned()
    }

    #[track_caller]
    fn is_guarded(&self, name: &str) {
        for header in HEADERS {
            assert_eq!(self.head.lines().filter(|line| *line == header).count(), 1, "{name}: {}", self.head);
        }
        assert!(!self.head.contains("access-control-"), "{name}: {}", self.head);
    }
}

/// Sends a request on a connection of one's own, and reads until the server hangs up.
async fn exchange(mut stream: impl AsyncRead + AsyncWrite + Unpin, request: &str) -> Answer {
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut bytes = Vec::new();
    // a server of TLS may end without a farewell
    let _ = time::timeout(PATIENCE, stream.read_to_end(&mut bytes)).await.expect("the server hangs up");
    let end = bytes.windows(4).position(|window| window == b"\r\n\r\n").expect("there is a head");
    let head = String::from_utf8(bytes[..end].to_vec()).unwrap();
    let (first, headers) = head.split_once("\r\n").unwrap();
    let headers = headers.lines().map(|line| {
        let (name, value) = line.split_once(": ").unwrap_or((line, ""));
        format!("{}: {value}\n", name.to_ascii_lowercase())
    });
    let head: String = headers.collect();
    let is_chunked = head.contains("transfer-encoding: chunked");
    assert!(!is_chunked, "{head}");
    Answer { status: first[9..12].parse().unwrap(), head, body: bytes[end + 4..].to_vec() }
}

/// Asks the admin listener with these header lines, over TLS if it has that.
pub(crate) async fn ask(app: &TestApp, method: &str, target: &str, lines: &[&str], body: &str) -> Answer {
    let length = if method == "POST" { format!("Content-Length: {}\r\n", body.len()) } else { String::new() };
    let head = format!("{method} {target} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n{length}");
    let lines: String = lines.iter().flat_map(|line| [line, "\r\n"]).collect();
    let request = format!("{head}{lines}\r\n{body}");
    let address = format!("127.0.0.1:{}", app.admin.unwrap().port());
    if app.dir.path().join("cert.pem").exists() {
        exchange(AUTHORITY.connect(&address).await.unwrap(), &request).await
    } else {
        exchange(TcpStream::connect(&address).await.unwrap(), &request).await
    }
}

pub(crate) async fn get(app: &TestApp, target: &str, lines: &[&str]) -> Answer {
    ask(app, "GET", target, lines, "").await
}

fn listening_on(settings: &mut Settings, address: &str, tls: Option<TlsSettings>) {
    let listen = format!("{address}:0").parse().unwrap();
    settings.admin = Some(AdminSettings { listen, hosts: Vec::new(), console: ConsoleState::On, tls });
}

fn pair(settings: &Settings) -> TlsSettings {
    let dir = settings.keys.dir.parent().unwrap();
    AUTHORITY.pair().write(dir);
    TlsSettings { cert_file: dir.join("cert.pem"), key_file: dir.join("key.pem") }
}

pub(crate) fn on_loopback(settings: &mut Settings) {
    listening_on(settings, "127.0.0.1", None);
}

fn on_loopback_with_tls(settings: &mut Settings) {
    let tls = pair(settings);
    listening_on(settings, "127.0.0.1", Some(tls));
}

fn on_all_addresses(settings: &mut Settings) {
    listening_on(settings, "0.0.0.0", None);
}

fn on_all_addresses_of_ipv6(settings: &mut Settings) {
    listening_on(settings, "[::]", None);
}

fn on_all_addresses_with_tls(settings: &mut Settings) {
    let tls = pair(settings);
    listening_on(settings, "0.0.0.0", Some(tls));
}

pub(crate) fn spawn(settings: fn(&mut Settings)) -> TestApp {
    spawn_app_with(Setup { settings, ..Setup::default() })
}

fn bearer(token: &str) -> String {
    format!("Authorization: Bearer {token}")
}

const DATA: [&str; 3] = ["/console/api/keys", "/console/api/clients", "/console/api/names"];

#[actix_web::test]
async fn on_a_loopback_address_the_data_are_free() {
    for settings in [on_loopback as fn(&mut Settings), on_loopback_with_tls] {
        let app = spawn(settings);
        for target in DATA {
            for lines in [&[][..], &["Sec-Fetch-Site: same-origin"], &["Sec-Fetch-Site: none"]] {
                let answer = get(&app, target, lines).await;
                assert_eq!(answer.status, 200, "{target} {lines:?}");
                answer.is_guarded(target);
                assert_eq!(answer.header("cache-control"), Some("no-store"), "{target}");
                assert_eq!(answer.header("content-type"), Some("application/json"), "{target}");
                assert!(answer.json().is_object(), "{target}");
            }
            let head = ask(&app, "HEAD", target, &[], "").await;
            assert_eq!((head.status, head.body.len()), (200, 0), "{target}");
            head.is_guarded(target);
        }
    }
}

/// The address of the listener counts, not the one by which it was reached.
#[actix_web::test]
async fn on_other_addresses_without_tls_the_data_are_refused_and_say_why() {
    for settings in [on_all_addresses as fn(&mut Settings), on_all_addresses_of_ipv6] {
        let app = spawn(settings);
        let token = bearer(&app.token_of("operator", "jeton").await);
        for target in DATA.into_iter().chain(["/console/api/nowhere"]) {
            for lines in [&[][..], &[token.as_str()]] {
                let answer = get(&app, target, lines).await;
                assert_eq!(answer.status, 403, "{target}");
                answer.is_guarded(target);
                let detail = answer.detail();
                assert!(detail.contains("`admin.tls`") && detail.contains("`admin.listen`"), "{detail}");
                assert_eq!(answer.header("cache-control"), Some("no-store"), "{target}");
            }
        }
        for target in ["/console/", "/console/index.html"] {
            let answer = get(&app, target, &[]).await;
            assert_eq!(answer.status, 200, "the page holds nothing");
            answer.is_guarded(target);
        }
    }
}

#[actix_web::test]
async fn on_other_addresses_a_bearer_with_the_scope_is_needed() {
    let app = spawn(on_all_addresses_with_tls);
    assert_eq!(get(&app, "/console/", &[]).await.status, 200, "the page holds nothing");
    let operator = app.token_of("operator", "jeton").await;
    let lesser = app.token_of("acme-sync", "jeton").await;
    let elsewhere = app.token_of("acme-sync", "orders").await;
    for target in DATA {
        for (name, lines, status, says) in [
            ("no token", vec![], 401, ""),
            ("an operator", vec![bearer(&operator)], 200, ""),
            ("another scope", vec![bearer(&lesser)], 403, ""),
            ("another API", vec![bearer(&elsewhere)], 401, ""),
            ("a changed token", vec![bearer(&format!("{operator}x"))], 401, ""),
            ("no token at all", vec![bearer("x")], 401, ""),
            ("two tokens", vec![bearer(&operator), bearer(&operator)], 400, ""),
            ("another scheme", vec!["Authorization: Basic eDp5".to_owned()], 401, ""),
            (
                "an operator on the page of another site",
                vec![bearer(&operator), "Sec-Fetch-Site: cross-site".to_owned()],
                403,
                "another site",
            ),
        ] {
            let lines: Vec<_> = lines.iter().map(String::as_str).collect();
            let answer = get(&app, target, &lines).await;
            assert_eq!(answer.status, status, "{target}: {name}");
            answer.is_guarded(name);
            assert_eq!(answer.header("cache-control"), Some("no-store"), "{target}: {name}");
            if status != 200 {
                assert!(answer.detail().contains(says), "{name}: {}", answer.detail());
            }
            let challenged = answer.header("www-authenticate").is_some_and(|it| it.starts_with("Bearer"));
            let by_guard = status != 200 && says.is_empty();
            assert_eq!(challenged, by_guard, "{target}: {name}");
        }
    }
    let in_address = get(&app, &format!("/console/api/keys?access_token={operator}"), &[]).await;
    assert_eq!(in_address.status, 400);
    // nobody finds out what there is
    assert_eq!(get(&app, "/console/api/nowhere", &[]).await.status, 401);
    assert_eq!(get(&app, "/console/api/nowhere", &[&bearer(&operator)]).await.status, 404);
    assert_eq!(ask(&app, "POST", "/console/api/keys", &[], "").await.status, 401);
}

#[actix_web::test]
async fn a_token_that_ended_opens_nothing() {
    let app = spawn(on_all_addresses_with_tls);
    let token = bearer(&app.token_of("operator", "jeton").await);
    assert_eq!(get(&app, "/console/api/names", &[&token]).await.status, 200);
    app.clock.advance(331);
    assert_eq!(get(&app, "/console/api/names", &[&token]).await.status, 401, "it is over");
    let token = bearer(&app.token_of("operator", "jeton").await);
    assert_eq!(get(&app, "/console/api/names", &[&token]).await.status, 200);
    let clients = app.policy("clients.yaml");
    app.write_policy("clients.yaml", &clients.replace("    ttl: 5m\n", "    ttl: 5m\n    enabled: false\n"));
    assert_eq!(app.post_reload().await.status(), 200);
    assert_eq!(get(&app, "/console/api/names", &[&token]).await.status, 401, "the client was disabled");
}

#[actix_web::test]
async fn a_stream_ends_with_its_token() {
    let app = spawn(on_all_addresses_with_tls);
    let token = app.token_of("operator", "jeton").await;
    let address = format!("127.0.0.1:{}", app.admin.unwrap().port());
    let mut stream = AUTHORITY.connect(&address).await.unwrap();
    let request = format!("GET /console/api/live HTTP/1.1\r\nHost: localhost\r\n{}\r\n\r\n", bearer(&token));
    stream.write_all(request.as_bytes()).await.unwrap();
    assert_eq!(app.get("/principal?first").await.status(), 401);
    let mut told = Vec::new();
    while !String::from_utf8_lossy(&told).contains("event: decision") {
        let read = time::timeout(PATIENCE, stream.read_buf(&mut told)).await.expect("a decision comes");
        assert!(read.unwrap() > 0);
    }
    app.clock.advance(331);
    assert_eq!(app.get("/principal?second").await.status(), 401);
    let _ = time::timeout(PATIENCE, stream.read_to_end(&mut told)).await.expect("the stream ends");
    let told = String::from_utf8_lossy(&told);
    assert_eq!(told.matches("event: decision").count(), 1, "{told}");
}

/// The console has no address of which a proof could be.
#[actix_web::test]
async fn a_bound_token_is_refused() {
    let app = spawn(on_all_addresses_with_tls);
    let (key, forge) = (Signer::p256(), Forge::with_the_servers_key());
    let text = |text: &str| json!(text).to_string();
    let token = |cnf: Value| {
        let draft = Draft::good(&forge.kid(), now()).claim("aud", text(ISSUER)).claim("cnf", cnf.to_string());
        draft.claim("scope", text("jeton:ops")).sign(&forge)
    };
    let held = token(json!({ "jkt": thumbprint(&key) }));
    for htu in [format!("{ISSUER}/console/api/keys"), "https://localhost/console/api/keys".to_owned()] {
        let proof = ProofDraft::good(&key, "GET", &htu, now()).with_token(&held).sign(&key);
        let lines = [format!("Authorization: DPoP {held}"), format!("DPoP: {proof}")];
        let answer = get(&app, "/console/api/keys", &[&lines[0], &lines[1]]).await;
        assert_eq!(answer.status, 401, "{htu}");
    }
    assert_eq!(get(&app, "/console/api/keys", &[&bearer(&held)]).await.status, 401);
    let shown = token(json!({ "x5t#S256": "A".repeat(43) }));
    assert_eq!(get(&app, "/console/api/keys", &[&bearer(&shown)]).await.status, 401);
    let plain = Draft::good(&forge.kid(), now()).claim("aud", text(ISSUER)).claim("scope", text("jeton:ops"));
    assert_eq!(get(&app, "/console/api/keys", &[&bearer(&plain.sign(&forge))]).await.status, 200);
}

/// A page of another site, and one that another program of this machine serves.
#[actix_web::test]
async fn no_other_site_makes_a_browser_ask() {
    let app = spawn(on_loopback);
    for site in ["cross-site", "same-site", "", "Same-Origin", "same-origin, cross-site"] {
        for (method, target) in [
            ("GET", "/console/api/keys"),
            ("HEAD", "/console/api/keys"),
            ("POST", "/console/api/keys"),
            ("GET", "/console/api/x"),
        ] {
            let answer = ask(&app, method, target, &[&format!("Sec-Fetch-Site: {site}")], "{}").await;
            assert_eq!(answer.status, 403, "{site}: {method} {target}");
            answer.is_guarded(site);
        }
    }
    let both = ["Sec-Fetch-Site: same-origin", "Sec-Fetch-Site: cross-site"];
    assert_eq!(get(&app, "/console/api/keys", &both).await.status, 403);
    // a link from elsewhere may lead here
    for target in ["/console", "/console/"] {
        let answer = get(&app, target, &["Sec-Fetch-Site: cross-site", "Sec-Fetch-Mode: navigate"]).await;
        assert!([200, 308].contains(&answer.status), "{target}");
        answer.is_guarded(target);
    }
    // and no page elsewhere gets leave to ask with JSON
    let lines = [
        "Origin: https://evil.example",
        "Access-Control-Request-Method: POST",
        "Access-Control-Request-Headers: content-type",
    ];
    let answer = ask(&app, "OPTIONS", "/console/api/keys", &lines, "").await;
    assert_eq!(answer.status, 405);
    answer.is_guarded("a preflight");
}

#[actix_web::test]
async fn what_is_not_there_is_guarded_too() {
    let app = spawn(on_loopback);
    for (method, target, status, allow) in [
        ("GET", "/console/nowhere.js", 404, None),
        ("GET", "/console/..%2f..%2fCargo.toml", 404, None),
        ("GET", "/console/../healthz", 404, None),
        ("GET", "/console//", 404, None),
        ("GET", "/console/api", 404, None),
        ("GET", "/console/api/", 404, None),
        ("GET", "/console/api/nowhere", 404, None),
        ("GET", "/console/api/keys/", 404, None),
        ("POST", "/console/", 405, Some("GET, HEAD")),
        ("PUT", "/console/index.html", 405, Some("GET, HEAD")),
        ("POST", "/console", 405, Some("GET, HEAD")),
        ("POST", "/console/api/keys", 405, Some("GET, HEAD")),
        ("DELETE", "/console/api/clients", 405, Some("GET, HEAD")),
    ] {
        let answer = ask(&app, method, target, &[], "").await;
        assert_eq!((answer.status, answer.header("allow")), (status, allow), "{method} {target}");
        answer.is_guarded(target);
        assert_eq!(answer.header("cache-control"), Some("no-store"), "{target}");
        assert_eq!(answer.header("content-type"), Some("application/problem+json"), "{target}");
    }
    for target in ["/console/", "/console/api/keys"] {
        let address = app.admin.unwrap();
        let request = format!("GET {target} HTTP/1.1\r\nHost: evil.example\r\nConnection: close\r\n\r\n");
        let answer = exchange(TcpStream::connect(address).await.unwrap(), &request).await;
        assert_eq!(answer.status, 421, "{target}");
    }
}

#[actix_web::test]
async fn the_console_can_be_turned_off_and_is_on_no_other_listener() {
    let app = spawn(|settings| {
        on_loopback(settings);
        settings.admin.as_mut().unwrap().console = ConsoleState::Off;
    });
    for target in ["/console", "/console/", "/console/index.html", "/console/api/keys"] {
        assert_eq!(get(&app, target, &[]).await.status, 404, "{target}");
    }
    assert_eq!(get(&app, "/healthz", &[]).await.status, 200);
    let app = spawn(on_loopback);
    for target in ["/console", "/console/", "/console/api/keys"] {
        assert_eq!(app.get(target).await.status(), 404, "{target}");
    }
}

/// No path of a request makes a series.
#[actix_web::test]
async fn requests_of_the_console_are_measured() {
    let app = spawn(on_loopback);
    for target in [
        "/console",
        "/console/",
        "/console/x1",
        "/console/x2",
        "/console/api/keys",
        "/console/api/y1",
        "/console/api/y2",
    ] {
        get(&app, target, &[]).await;
    }
    let scrape = app.scrape().await;
    let counts = scrape.of("jeton_http_request_duration_seconds_count");
    for (endpoint, status, count) in [
        ("/console", 308, 1.0),
        ("/console/", 200, 1.0),
        ("/console/", 404, 2.0),
        ("/console/api/keys", 200, 1.0),
        ("/console/api", 404, 2.0),
    ] {
        let labels = format!("endpoint=\"{endpoint}\",method=\"GET\",status=\"{status}\"");
        assert!(counts.contains(&(labels.as_str(), count)), "{labels}: {counts:?}");
    }
    assert!(!counts.iter().any(|(labels, _)| labels.contains("x1") || labels.contains("y1")), "{counts:?}");
}
