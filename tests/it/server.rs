//! The server's limits, and its end.

use std::{fmt::Write, fs};

use base64::{Engine, prelude::BASE64_STANDARD};
use tempfile::TempDir;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    process::Command,
    time,
};

use crate::support::{
    RawResponse, TestApp, install_key, install_policies,
    program::{Binary, PATIENCE},
    secret, spawn_app,
};

const PARAMETERS: &str = "grant_type=client_credentials&resource=https://orders.example.com";

/// The head of a request for a token, up to the headers that say how long the body is.
fn head_of_post() -> String {
    let credentials = BASE64_STANDARD.encode(format!("acme-sync:{}", secret("acme-sync")));
    format!(
        "POST /oauth2/token HTTP/1.1\r\nHost: jeton\r\nAuthorization: Basic {credentials}\r\n\
         Content-Type: application/x-www-form-urlencoded\r\n"
    )
}

/// Good parameters in a body of this many bytes.
fn form_of_length(length: usize) -> String {
    let form = format!("{PARAMETERS}&x=");
    let pad = "x".repeat(length - form.len());
    form + &pad
}

fn with_length(body: &str) -> String {
    format!("{}Connection: close\r\nContent-Length: {}\r\n\r\n{body}", head_of_post(), body.len())
}

fn in_chunks(body: &str, size: usize) -> String {
    let mut chunks = String::new();
    for chunk in body.as_bytes().chunks(size) {
        let text = std::str::from_utf8(chunk).unwrap();
        write!(chunks, "{:x}\r\n{text}\r\n", chunk.len()).unwrap();
    }
    format!("{}Connection: close\r\nTransfer-Encoding: chunked\r\n\r\n{chunks}0\r\n\r\n", head_of_post())
}

#[actix_web::test]
async fn the_body_of_a_token_request_has_a_limit() {
    let app = spawn_app();
    let (most, over) = (form_of_length(16 * 1024), form_of_length(16 * 1024 + 1));
    for (name, request, status) in [
        ("16 KiB", with_length(&most), 200),
        ("16 KiB in chunks", in_chunks(&most, 1000), 200),
        ("chunks of one byte", in_chunks(PARAMETERS, 1), 200),
        ("a byte more", with_length(&over), 413),
        ("a byte more in chunks", in_chunks(&over, 1000), 413),
        ("64 KiB", with_length(&form_of_length(64 * 1024)), 413),
        ("64 KiB in chunks", in_chunks(&form_of_length(64 * 1024), 8000), 413),
    ] {
        let RawResponse { status: found, head, body } = app.send_raw(request).await;
        assert_eq!(found, status, "{name}: {body}");
        assert!(head.to_ascii_lowercase().contains("cache-control: no-store"), "{name}: {head}");
        if status == 413 {
            assert!(body.contains(r#""error":"invalid_request""#), "{name}: {body}");
        }
    }
}

#[actix_web::test]
async fn requests_that_two_servers_read_differently() {
    let app = spawn_app();
    let (head, length) = (head_of_post(), PARAMETERS.len());
    let close = "Connection: close\r\n";
    let chunked = format!("{length:x}\r\n{PARAMETERS}\r\n0\r\n\r\n");
    for (name, request) in [
        (
            "rfc9112_6_1_length_and_chunks",
            format!("{head}{close}Content-Length: {length}\r\nTransfer-Encoding: chunked\r\n\r\n{chunked}"),
        ),
        (
            "rfc9112_6_3_two_lengths",
            format!("{head}{close}Content-Length: {length}\r\nContent-Length: 5\r\n\r\n{PARAMETERS}"),
        ),
        ("rfc9112_6_3_signed_length", format!("{head}{close}Content-Length: +{length}\r\n\r\n{PARAMETERS}")),
        ("rfc9112_6_1_unknown_coding", format!("{head}{close}Transfer-Encoding: xchunked\r\n\r\n{chunked}")),
        (
            "rfc9112_7_1_bad_chunk",
            format!("{head}{close}Transfer-Encoding: chunked\r\n\r\nzz\r\n{PARAMETERS}"),
        ),
        (
            "rfc9112_5_1_space_before_the_colon",
            format!("{head}{close}Content-Length : {length}\r\n\r\n{PARAMETERS}"),
        ),
        (
            "a NUL in a header",
            format!("{head}{close}X: a\0b\r\nContent-Length: {length}\r\n\r\n{PARAMETERS}"),
        ),
        ("no HTTP", "hello\r\n\r\n".to_owned()),
    ] {
        let answer = app.send_raw(request).await;
        assert_eq!(answer.status, 400, "{name}: {}{}", answer.head, answer.body);
    }
}

#[actix_web::test]
async fn each_request_of_a_connection_brings_its_own_token() {
    let app = spawn_app();
    let operator = app.token_of("operator", "jeton").await;
    let get = "GET /ops/policies HTTP/1.1\r\nHost: jeton\r\n";
    let requests = format!(
        "{get}Authorization: Bearer {operator}\r\n\r\n{get}\r\n{get}Authorization: Bearer x\r\n\r\n{get}Connection: close\r\n\r\n"
    );
    let RawResponse { head, body, .. } = app.send_raw(requests).await;
    let text = format!("{head}\r\n\r\n{body}");
    let statuses: Vec<_> = text.split("HTTP/1.1 ").skip(1).filter_map(|it| it.get(..3)).collect();
    assert_eq!(statuses, ["200", "401", "401", "401"], "{text}");
}

#[actix_web::test]
async fn a_head_that_never_ends_is_not_waited_for() {
    let app = spawn_app();
    let mut stream = app.connect().await;
    stream.write_all(b"GET /healthz HTTP/1.1\r\nHost: jeton\r\nX-Slow: ").await.unwrap();
    let answer = time::timeout(PATIENCE, RawResponse::read(&mut stream)).await;
    let answer = answer.expect("the server hangs up");
    assert_eq!(answer.status, 408, "{}", answer.head);
    assert_eq!(app.get("/healthz").await.status(), 200, "the others are served");
}

#[actix_web::test]
async fn a_head_that_is_too_long_is_not_kept() {
    let app = spawn_app();
    let mut stream = app.connect().await;
    let long = format!("GET /healthz HTTP/1.1\r\nHost: jeton\r\nX: {}", "x".repeat(1024 * 1024));
    // the server may hang up before it has read everything
    let _ = stream.write_all(long.as_bytes()).await;
    let mut answer = Vec::new();
    let ended = time::timeout(PATIENCE, stream.read_to_end(&mut answer)).await;
    assert!(ended.is_ok(), "the server hangs up");
    assert!(!answer.starts_with(b"HTTP/1.1 200"));
    assert_eq!(app.get("/healthz").await.status(), 200, "the others are served");
}

/// Reads just this text.
async fn expect(stream: &mut TcpStream, text: &str) {
    let mut bytes = vec![0; text.len()];
    time::timeout(PATIENCE, stream.read_exact(&mut bytes)).await.unwrap().unwrap();
    assert_eq!(String::from_utf8_lossy(&bytes), text);
}

#[actix_web::test]
async fn sigterm_lets_the_request_in_flight_finish() {
    let mut binary = Binary::serve().await;
    let mut in_flight = binary.connect().await;
    let length = PARAMETERS.len();
    let head = format!("{}Expect: 100-continue\r\nContent-Length: {length}\r\n\r\n", head_of_post());
    in_flight.write_all(head.as_bytes()).await.unwrap();
    // says that the server has begun with it
    expect(&mut in_flight, "HTTP/1.1 100 Continue\r\n\r\n").await;
    let mut idle = binary.connect().await;
    idle.write_all(b"GET /healthz HTTP/1.1\r\nHost: jeton\r\n\r\n").await.unwrap();
    expect(&mut idle, "HTTP/1.1 200 OK\r\n").await;

    binary.signal("TERM").await;
    // says that the server has begun to end
    let rest = time::timeout(PATIENCE, idle.read_to_end(&mut Vec::new())).await;
    assert!(rest.is_ok(), "an idle connection is closed");
    // the listener goes at about the same time, on a thread of its own
    let let_in = async { while TcpStream::connect(&binary.address).await.is_ok() {} };
    time::timeout(PATIENCE, let_in).await.expect("nobody else is let in");

    in_flight.write_all(PARAMETERS.as_bytes()).await.unwrap();
    let answer = time::timeout(PATIENCE, RawResponse::read(&mut in_flight)).await.unwrap();
    assert_eq!(answer.status, 200, "{}", answer.body);
    assert!(answer.body.contains("access_token"), "{}", answer.body);
    binary.logged("stopped").await;
    let code = time::timeout(PATIENCE, binary.child.wait()).await.unwrap().unwrap();
    assert_eq!(code.code(), Some(0));
}

#[actix_web::test]
async fn the_binary_serves_what_the_sample_says() {
    let binary = Binary::serve().await;
    let mut stream = binary.connect().await;
    stream.write_all(with_length(PARAMETERS).as_bytes()).await.unwrap();
    let answer = time::timeout(PATIENCE, RawResponse::read(&mut stream)).await.unwrap();
    assert_eq!(answer.status, 200, "{}", answer.body);
}

#[actix_web::test]
async fn a_second_server_on_one_address_says_so() {
    let first: TestApp = spawn_app();
    let dir = TempDir::new().unwrap();
    install_key("test-only-signing.pem", &dir.path().join("keys"));
    install_policies(&dir.path().join("policies"));
    let listen = first.address.trim_start_matches("http://");
    fs::write(dir.path().join("jeton.toml"), format!("[server]\nlisten = \"{listen}\"\n")).unwrap();
    let run = Command::new(env!("CARGO_BIN_EXE_jeton"))
        .arg("serve")
        .current_dir(dir.path())
        .kill_on_drop(true)
        .output();
    let run = time::timeout(PATIENCE, run).await.unwrap().unwrap();
    assert_eq!(run.status.code(), Some(1));
    let error = String::from_utf8(run.stderr).unwrap();
    assert!(error.contains(listen) && error.contains("server.listen"), "{error}");
}

/// What keeps a server from starting.
struct Hindered {
    name: &'static str,
    settings: String,
    policy: &'static str,
    says: &'static str,
}

#[actix_web::test]
async fn a_server_that_does_not_start_writes_nothing() {
    let first: TestApp = spawn_app();
    let taken = first.address.trim_start_matches("http://");
    let hindered =
        |name, settings: &str, policy, says| Hindered { name, settings: settings.to_owned(), policy, says };
    let free = "[server]\nlisten = \"127.0.0.1:0\"\n";
    let gateway = format!("{free}[gateways.nginx]\napi = \"none\"\ntrusted_peers = [\"127.0.0.1\"]\n");
    let store = format!("{free}[store]\nurl = \"rediss://127.0.0.1:1\"\nca_file = \"absent.pem\"\n");
    let log = format!("{free}[log]\ndecisions = \"absent/decisions.log\"\n");
    let refused_log = format!("{free}[log]\ndecisions = \"/proc/decisions.log\"\n");
    for Hindered { name, settings, policy, says } in [
        hindered(
            "a taken address",
            &format!("[server]\nlisten = \"{taken}\"\n"),
            "version: 1\n",
            "server.listen",
        ),
        hindered(
            "a taken admin address",
            &format!("{free}[admin]\nlisten = \"{taken}\"\n"),
            "version: 1\n",
            "`admin.listen`: ",
        ),
        hindered("bad policies", free, "version: 1\napis: x\n", "broken.yaml"),
        hindered("an unknown API of a gateway", &gateway, "version: 1\n", "gateways.nginx"),
        hindered("no authority of the store", &store, "version: 1\n", "absent.pem"),
        hindered("no room for the decision log", &log, "version: 1\n", "absent"),
        hindered("a folder that takes no decision log", &refused_log, "version: 1\n", "/proc/decisions.log"),
        hindered("an unknown setting", &format!("{free}x = 1\n"), "version: 1\n", "server.x"),
    ] {
        let dir = TempDir::new().unwrap();
        install_policies(&dir.path().join("policies"));
        fs::write(dir.path().join("policies/broken.yaml"), policy).unwrap();
        fs::write(dir.path().join("jeton.toml"), settings).unwrap();
        let run = Command::new(env!("CARGO_BIN_EXE_jeton"))
            .arg("serve")
            .current_dir(dir.path())
            .kill_on_drop(true)
            .output();
        let run = time::timeout(PATIENCE, run).await.unwrap().unwrap();
        let error = String::from_utf8(run.stderr).unwrap();
        assert_eq!((run.status.code(), error.contains(says)), (Some(1), true), "{name}: {error}");
        let left: Vec<_> =
            fs::read_dir(dir.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        assert_eq!(left.len(), 2, "{name}: {left:?} beside the policies and the settings");
    }
}
