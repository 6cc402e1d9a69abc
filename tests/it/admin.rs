//! The admin listener: what it answers, by which names, and that a crowd elsewhere keeps nobody out of it.
use std::{net::IpAddr, pin::pin};

use futures_util::future::{Either, select};
use jeton::config::{AdminSettings, ConsoleState, ListenerHost, Settings};
use serde_json::Value;
use tokio::{io::AsyncWriteExt, net::TcpStream, time};

use crate::support::{
    RawResponse, Setup, TestApp,
    program::{Binary, PATIENCE},
    spawn_app_with,
};

fn on_loopback(settings: &mut Settings) {
    let hosts = vec![ListenerHost::parse("jeton.internal").unwrap()];
    settings.admin = Some(AdminSettings {
        listen: "127.0.0.1:0".parse().unwrap(),
        hosts,
        console: ConsoleState::On,
        tls: None,
    });
}

fn on_all_addresses(settings: &mut Settings) {
    on_loopback(settings);
    settings.admin.as_mut().unwrap().listen.set_ip("0.0.0.0".parse().unwrap());
}

fn spawn(settings: fn(&mut Settings)) -> TestApp {
    spawn_app_with(Setup { settings, ..Setup::default() })
}

/// Asks the admin listener, and reads until it hangs up.
async fn ask(app: &TestApp, request: &str) -> RawResponse {
    let port = app.admin.unwrap().port();
    let mut stream = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
    stream.write_all(request.as_bytes()).await.unwrap();
    time::timeout(PATIENCE, RawResponse::read(&mut stream)).await.unwrap()
}

async fn get(app: &TestApp, target: &str, host: &str) -> RawResponse {
    ask(app, &format!("GET {target} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n")).await
}

#[actix_web::test]
async fn the_admin_listener_answers_probes_and_nothing_of_the_main_one() {
    let app = spawn(on_loopback);
    for path in ["/healthz", "/readyz"] {
        let admin = get(&app, path, "localhost").await;
        let main = app.get(path).await;
        assert_eq!((admin.status, main.status().as_u16()), (200, 200), "{path}");
        assert_eq!(admin.body, main.text().await.unwrap(), "{path}");
        assert!(admin.head.contains("cache-control: no-store"), "{path}: {}", admin.head);
        let lines = "Host: localhost\r\nContent-Length: 0\r\nConnection: close\r\n";
        let posted = ask(&app, &format!("POST {path} HTTP/1.1\r\n{lines}\r\n")).await;
        assert_eq!(posted.status, 405, "{path}");
    }
    for path in [
        "/",
        "/oauth2/token",
        "/principal",
        "/ops/policies",
        "/.well-known/jwks.json",
        "/authz/edge",
        "/nowhere",
    ] {
        let RawResponse { status, head, body } = get(&app, path, "127.0.0.1").await;
        assert_eq!(status, 404, "{path}: {body}");
        assert!(head.contains("content-type: application/problem+json"), "{path}: {head}");
    }
}

#[actix_web::test]
async fn without_the_section_there_is_no_admin_listener() {
    let app = spawn(|_| {});
    assert_eq!(app.admin, None);
    assert_eq!(app.get("/healthz").await.status(), 200);
}

/// A page of another site that is given the address of this machine.
#[actix_web::test]
async fn a_forged_host_is_refused_everywhere() {
    let app = spawn(on_loopback);
    let port = app.admin.unwrap().port();
    for target in ["/healthz", "/readyz", "/metrics", "/nowhere", "http://evil.example/healthz"] {
        for host in ["evil.example", &format!("evil.example:{port}"), "[::1]", "192.0.2.1"] {
            let RawResponse { status, head, body } = get(&app, target, host).await;
            assert_eq!(status, 421, "{target} at {host}: {body}");
            assert!(head.contains("content-type: application/problem+json"), "{target} at {host}: {head}");
            assert!(body.contains("`admin.hosts`"), "{target} at {host}: {body}");
        }
    }
    for host in ["127.0.0.1", &format!("127.0.0.1:{port}"), "LOCALHOST.", "Jeton.Internal:1"] {
        assert_eq!(get(&app, "/healthz", host).await.status, 200, "{host}");
    }
    for lines in ["", "Host: localhost\r\nHost: localhost\r\n", "Host: \r\n", "Host: a b\r\n"] {
        let request = format!("GET /healthz HTTP/1.1\r\n{lines}Connection: close\r\n\r\n");
        assert_eq!(ask(&app, &request).await.status, 400, "{lines:?}");
    }
    // the main listener is reached by whatever name a proxy passes on
    let main = "GET /healthz HTTP/1.1\r\nHost: evil.example\r\nConnection: close\r\n\r\n";
    assert_eq!(app.send_raw(main).await.status, 200);
}

#[actix_web::test]
async fn on_all_addresses_each_address_of_the_machine_is_a_host() {
    let app = spawn(on_all_addresses);
    let mut addresses: Vec<IpAddr> =
        if_addrs::get_if_addrs().unwrap().iter().map(if_addrs::Interface::ip).collect();
    addresses.push("127.0.0.1".parse().unwrap());
    for address in addresses {
        let host = if address.is_ipv6() { format!("[{address}]:8081") } else { address.to_string() };
        assert_eq!(get(&app, "/healthz", &host).await.status, 200, "{host}");
    }
    assert_eq!(
        get(&app, "/healthz", "localhost").await.status,
        200,
        "it was reached by the loopback interface"
    );
    for host in ["evil.example", "192.0.2.1", "0.0.0.0", "[2001:db8::1]"] {
        assert_eq!(get(&app, "/healthz", host).await.status, 421, "{host}");
    }
}

#[actix_web::test]
async fn the_connections_of_the_admin_listener_end_too() {
    let app = spawn(on_loopback);
    let mut stream = TcpStream::connect(app.admin.unwrap()).await.unwrap();
    stream.write_all(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nX-Slow: ").await.unwrap();
    let answer = time::timeout(PATIENCE, RawResponse::read(&mut stream)).await.expect("it hangs up");
    assert_eq!(answer.status, 408, "{}", answer.head);
}

const LIVE: &str = "GET /healthz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
const ADMIN: &str = "[admin]\nlisten = \"127.0.0.1:0\"\n";

/// Reads the answer to what was asked for on a connection.
async fn is_answered(mut stream: TcpStream) {
    let answer = time::timeout(PATIENCE, RawResponse::read(&mut stream)).await.expect("it is answered");
    assert_eq!(answer.status, 200, "{}", answer.head);
}

/// Asks for `/healthz` at an address.
async fn is_live(address: &str) {
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(LIVE.as_bytes()).await.unwrap();
    is_answered(stream).await;
}

#[actix_web::test]
async fn a_crowd_at_one_listener_keeps_nobody_out_of_the_other() {
    for flooded_is_main in [true, false] {
        let mut binary = Binary::serve_with_open_files(64, ADMIN).await;
        let (main, admin) = (binary.address.clone(), binary.admin.clone());
        let (flooded, other) = if flooded_is_main { (main, admin) } else { (admin, main) };
        let mut held = Vec::new();
        for _ in 0..90 {
            held.push(TcpStream::connect(&flooded).await.unwrap());
        }
        let full = binary.logged("server.full").await;
        assert_eq!(full["listener"], if flooded_is_main { "server" } else { "admin" });
        // this one waits for its turn, which does not come soon
        let mut last = held.pop().unwrap();
        last.write_all(LIVE.as_bytes()).await.unwrap();
        let last = pin!(is_answered(last));
        let Either::Left(((), last)) = select(pin!(is_live(&other)), last).await else {
            panic!("the crowd at {flooded} has room, or {other} is kept out");
        };
        // there is room as soon as somebody goes
        drop(held);
        last.await;
        assert_eq!(binary.lines_of("server.full").len(), 1);
    }
}

#[actix_web::test]
async fn the_log_names_the_admin_address() {
    let binary = Binary::serve_with_open_files(1024, ADMIN).await;
    assert_eq!(binary.lines_of("serving")[0]["admin"], *binary.admin);
    is_live(&binary.admin).await;
    let binary = Binary::serve_with_open_files(1024, "").await;
    assert_eq!(binary.lines_of("serving")[0]["admin"], Value::Null);
}
