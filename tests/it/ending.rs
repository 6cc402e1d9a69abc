//! The end of the real program: who is told of it, what is still answered, and what systemd hears.
use std::sync::Arc;

use futures_util::future::join_all;
use tempfile::TempDir;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpStream, UnixDatagram},
    process::Command,
    sync::Semaphore,
    time,
};

use crate::support::{
    RawResponse, install_policies,
    program::{Binary, PATIENCE},
};

const ADMIN: &str = "[admin]\nlisten = \"127.0.0.1:0\"\n";

/// A server with an admin listener and these variables.
async fn serve(variables: &[(&str, &str)]) -> Binary {
    let dir = TempDir::new().unwrap();
    install_policies(&dir.path().join("policies"));
    let mut command = Command::new(env!("CARGO_BIN_EXE_jeton"));
    command.envs(variables.iter().copied());
    Binary::serve_by(command, dir, ADMIN).await
}

fn request(path: &str) -> String {
    format!("GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n")
}

/// Asks without a wish to close, and reads until the server does.
async fn ask(address: &str, path: &str) -> RawResponse {
    let stream = TcpStream::connect(address).await.unwrap();
    last_answer(stream, path).await
}

async fn last_answer(mut stream: TcpStream, path: &str) -> RawResponse {
    stream.write_all(request(path).as_bytes()).await.unwrap();
    time::timeout(PATIENCE, RawResponse::read(&mut stream)).await.expect("the server closes")
}

/// Reads one answer of a connection that goes on; whether it is the last one.
async fn is_told_to_leave(stream: &mut TcpStream) -> std::io::Result<bool> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await?);
    }
    let head = String::from_utf8(head).unwrap().to_ascii_lowercase();
    assert!(head.starts_with("http/1.1 200"), "{head}");
    let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")).unwrap();
    stream.read_exact(&mut vec![0; length.parse().unwrap()]).await?;
    Ok(head.contains("connection: close"))
}

async fn is_closed(mut stream: TcpStream) {
    let mut rest = Vec::new();
    // one that nobody had taken by then is reset
    let _ = time::timeout(PATIENCE, stream.read_to_end(&mut rest)).await.expect("it is closed");
    assert!(rest.is_empty(), "{rest:?}");
}

#[track_caller]
fn says_close(answer: &RawResponse, status: u16) {
    assert_eq!(answer.status, status, "{}", answer.head);
    assert!(answer.head.to_ascii_lowercase().contains("connection: close"), "{}", answer.head);
}

#[actix_web::test]
async fn a_drain_tells_everybody_and_still_takes_requests() {
    let mut binary = serve(&[("JETON__SERVER__DRAIN", "10m")]).await;
    let silent = [binary.connect().await, TcpStream::connect(&binary.admin).await.unwrap()];
    let mut kept = binary.connect().await;
    kept.write_all(request("/healthz").as_bytes()).await.unwrap();
    assert!(!is_told_to_leave(&mut kept).await.unwrap());

    binary.signal("TERM").await;
    assert_eq!(binary.logged("server.draining").await["seconds"], 600);
    for address in [&binary.address, &binary.admin] {
        let ready = ask(address, "/readyz").await;
        says_close(&ready, 503);
        assert!(ready.body.contains(r#""status":"draining""#), "{}", ready.body);
        says_close(&ask(address, "/healthz").await, 200);
    }
    says_close(&ask(&binary.address, "/.well-known/jwks.json").await, 200);
    says_close(&last_answer(kept, "/healthz").await, 200);

    // the second one ends the drain
    binary.signal("TERM").await;
    join_all(silent.map(is_closed)).await;
    binary.logged("stopped").await;
    let code = time::timeout(PATIENCE, binary.child.wait()).await.unwrap().unwrap();
    assert_eq!(code.code(), Some(0));
    for address in [&binary.address, &binary.admin] {
        assert!(TcpStream::connect(address).await.is_err(), "{address}");
    }
}

#[actix_web::test]
async fn without_a_drain_the_end_begins_at_once() {
    let mut binary = serve(&[("JETON__SERVER__SHUTDOWN_TIMEOUT", "10m")]).await;
    // nobody waits for those that never asked for anything
    let silent = [binary.connect().await, TcpStream::connect(&binary.admin).await.unwrap()];
    binary.signal("TERM").await;
    join_all(silent.map(is_closed)).await;
    binary.logged("stopped").await;
    assert!(binary.lines_of("server.draining").is_empty());
}

#[actix_web::test]
async fn sigint_ends_the_drain_and_the_server_at_once() {
    for signals in [&["INT"][..], &["QUIT"], &["TERM", "INT"], &["TERM", "TERM", "INT"]] {
        let mut binary =
            serve(&[("JETON__SERVER__DRAIN", "10m"), ("JETON__SERVER__SHUTDOWN_TIMEOUT", "10m")]).await;
        let mut in_flight = binary.connect().await;
        let head = "POST /oauth2/token HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/x-www-form-urlencoded\r\n\
                    Content-Length: 9\r\nExpect: 100-continue\r\n\r\n";
        in_flight.write_all(head.as_bytes()).await.unwrap();
        in_flight.read_exact(&mut [0; 25]).await.unwrap();
        for (position, signal) in signals.iter().enumerate() {
            binary.signal(signal).await;
            if (*signal, position) == ("TERM", 0) {
                binary.logged("server.draining").await;
            } else if *signal == "TERM" {
                let gone = async { while TcpStream::connect(&binary.address).await.is_ok() {} };
                time::timeout(PATIENCE, gone).await.expect("the listener is closed");
            }
        }
        let code = time::timeout(PATIENCE, binary.child.wait()).await.expect("it ends").unwrap();
        assert_eq!(code.code(), Some(0), "{signals:?}");
        let mut rest = Vec::new();
        let _ = in_flight.read_to_end(&mut rest).await;
        assert!(rest.is_empty(), "it is cut off, not waited for: {signals:?}");
    }
}

/// Asks again and again on one connection, and leaves when it is told to.
async fn ask_until_told_to_leave(address: String, answered: Arc<Semaphore>) {
    let mut stream = TcpStream::connect(address).await.unwrap();
    loop {
        stream.write_all(request("/.well-known/jwks.json").as_bytes()).await.expect("it is taken");
        let is_last = is_told_to_leave(&mut stream).await.expect("it is answered");
        answered.add_permits(1);
        if is_last {
            return;
        }
    }
}

#[actix_web::test]
async fn no_request_is_lost_while_clients_leave() {
    let mut binary = serve(&[("JETON__SERVER__DRAIN", "2s")]).await;
    let answered = Arc::new(Semaphore::new(0));
    let clients: Vec<_> = (0..16)
        .map(|_| actix_web::rt::spawn(ask_until_told_to_leave(binary.address.clone(), Arc::clone(&answered))))
        .collect();
    drop(answered.acquire_many(200).await.unwrap());
    binary.signal("TERM").await;
    for client in clients {
        time::timeout(PATIENCE, client).await.expect("it is told to leave").unwrap();
    }
    binary.logged("stopped").await;
}

#[actix_web::test]
async fn systemd_is_told_of_start_reload_and_end() {
    let dir = TempDir::new().unwrap();
    let path = dir.path().join("notify");
    let socket = UnixDatagram::bind(&path).unwrap();
    let heard = async || {
        let mut bytes = vec![0; 1024];
        let length = time::timeout(PATIENCE, socket.recv(&mut bytes)).await.expect("it is told").unwrap();
        String::from_utf8(bytes[..length].to_vec()).unwrap()
    };
    let mut binary =
        serve(&[("NOTIFY_SOCKET", path.to_str().unwrap()), ("JETON__SERVER__DRAIN", "10m")]).await;
    assert!(heard().await.starts_with("READY=1\n"));
    assert_eq!(ask_once(&binary.admin).await.status, 200, "both listeners accept");
    binary.signal("HUP").await;
    let reloading = heard().await;
    let time = reloading.lines().find_map(|line| line.strip_prefix("MONOTONIC_USEC="));
    assert!(reloading.starts_with("RELOADING=1\n"), "{reloading}");
    assert!(time.is_some_and(|time| time.parse::<u64>().is_ok()), "{reloading}");
    assert!(heard().await.starts_with("READY=1\n"));
    binary.signal("TERM").await;
    assert!(heard().await.starts_with("STOPPING=1\n"));
    binary.signal("TERM").await;
    binary.logged("stopped").await;
    assert!(binary.lines_of("service_manager.untold").is_empty());
}

#[actix_web::test]
async fn a_service_manager_that_cannot_be_told_stops_no_start() {
    let mut binary = serve(&[("NOTIFY_SOCKET", "/nowhere/notify")]).await;
    binary.logged("service_manager.untold").await;
    assert_eq!(ask_once(&binary.address).await.status, 200);
}

async fn ask_once(address: &str) -> RawResponse {
    let mut stream = TcpStream::connect(address).await.unwrap();
    let request = "GET /healthz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
    stream.write_all(request.as_bytes()).await.unwrap();
    time::timeout(PATIENCE, RawResponse::read(&mut stream)).await.unwrap()
}
