//! The end of the real program: who is told of it, what is still answered, and what systemd hears.
use std::{
    fs,
    os::{linux::net::SocketAddrExt, unix::net::SocketAddr},
    path::Path,
    process::Stdio,
    sync::Arc,
};

use futures_util::future::join_all;
use rustix::process::{Pid, Signal, kill_process};
use rustls::ALL_VERSIONS;
use tempfile::TempDir;
use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader},
    net::{TcpStream, UnixDatagram},
    process::{Child, Command},
    sync::Semaphore,
    task, time,
};

use crate::support::{
    RawResponse, install_policies,
    program::{Binary, PATIENCE},
    tls::{Authority, get, shake_hands},
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

/// Stops the program as a system does that has other things to do, and waits until it stands still.
async fn hold(binary: &Binary) {
    binary.signal("STOP").await;
    let stat = format!("/proc/{}/stat", binary.child.id().unwrap());
    let stands = async {
        while !fs::read_to_string(&stat).unwrap().contains(") T ") {
            task::yield_now().await;
        }
    };
    time::timeout(PATIENCE, stands).await.unwrap();
}

/// Sends a request on each connection, some of which are new, and a signal, and only then lets the program see them.
#[actix_web::test]
async fn what_was_sent_before_the_signal_is_answered() {
    for _ in 0..3 {
        let mut binary = serve(&[]).await;
        let mut streams = Vec::new();
        for address in [&binary.address, &binary.admin] {
            for _ in 0..4 {
                let mut stream = TcpStream::connect(address).await.unwrap();
                stream.write_all(request("/healthz").as_bytes()).await.unwrap();
                assert!(!is_told_to_leave(&mut stream).await.unwrap());
                streams.push(stream);
            }
        }
        hold(&binary).await;
        for address in [&binary.address, &binary.admin] {
            for _ in 0..20 {
                streams.push(TcpStream::connect(address).await.unwrap());
            }
        }
        for stream in &mut streams {
            stream.write_all(request("/healthz").as_bytes()).await.unwrap();
        }
        binary.signal("TERM").await;
        binary.signal("CONT").await;
        for (position, stream) in streams.iter_mut().enumerate() {
            let answer = time::timeout(PATIENCE, is_told_to_leave(stream)).await.unwrap();
            answer.unwrap_or_else(|error| panic!("{position}: {error}"));
        }
        binary.logged("stopped").await;
        assert_eq!(binary.child.wait().await.unwrap().code(), Some(0));
    }
}

/// The same with a handshake that was done, and with one that is to come.
#[actix_web::test]
async fn what_was_sent_by_tls_before_the_signal_is_answered() {
    let authority = Authority::new();
    let client = authority.client(ALL_VERSIONS, &[]);
    for _ in 0..3 {
        let dir = TempDir::new().unwrap();
        install_policies(&dir.path().join("policies"));
        authority.pair().write(dir.path());
        let tls = "[server.tls]\ncert_file = \"cert.pem\"\nkey_file = \"key.pem\"\n";
        let mut binary = Binary::serve_in(dir, tls).await;
        let mut kept = Vec::new();
        for _ in 0..8 {
            let mut stream = shake_hands(&client, &binary.address).await.unwrap();
            assert_eq!(get(&mut stream, "/healthz").await.unwrap().0, 200);
            kept.push(stream);
        }
        hold(&binary).await;
        for stream in &mut kept {
            stream.write_all(request("/healthz").as_bytes()).await.unwrap();
            stream.flush().await.unwrap();
        }
        let (client, address) = (client.clone(), binary.address.clone());
        let opened = actix_web::rt::spawn(async move {
            let ask = async || get(&mut shake_hands(&client, &address).await?, "/healthz").await;
            join_all((0..8).map(|_| ask())).await
        });
        // each connects
        task::yield_now().await;
        binary.signal("TERM").await;
        binary.signal("CONT").await;
        for mut stream in kept {
            let mut answer = String::new();
            time::timeout(PATIENCE, stream.read_to_string(&mut answer)).await.unwrap().unwrap();
            assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
        }
        for answer in opened.await.unwrap() {
            assert_eq!(answer.unwrap().0, 200);
        }
        binary.logged("stopped").await;
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

const SLOW_START: &str = "issuer = \"http://127.0.0.1:8080\"\n[server]\nlisten = \"127.0.0.1:0\"\n[keys]\nalgorithm = \"RS256\"\n\
    rsa_bits = 4096\n[log]\nformat = \"json\"\ndecisions = \"decisions.log\"\n";

/// A program that is about to make a key, and was sent this signal as soon as it hears that.
async fn signalled_at_the_start(signal: Signal) -> (TempDir, Child) {
    for _ in 0..10 {
        let dir = TempDir::new().unwrap();
        install_policies(&dir.path().join("policies"));
        fs::write(dir.path().join("jeton.toml"), SLOW_START).unwrap();
        let mut command = Command::new(env!("CARGO_BIN_EXE_jeton"));
        let child = command.arg("serve").current_dir(dir.path()).stderr(Stdio::piped()).kill_on_drop(true);
        let child = child.spawn().unwrap();
        let pid = Pid::from_raw(child.id().unwrap().cast_signed()).unwrap();
        let hears = async {
            while !hears(pid, signal) {
                task::yield_now().await;
            }
        };
        time::timeout(PATIENCE, hears).await.unwrap();
        // the key may have been there at once
        if names_in(dir.path()) == ["jeton.toml", "policies"] {
            kill_process(pid, signal).unwrap();
            return (dir, child);
        }
    }
    panic!("it hears the signal only when it has started");
}

/// Whether a program does something of its own on a signal.
fn hears(pid: Pid, signal: Signal) -> bool {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let caught = status.lines().find_map(|line| line.strip_prefix("SigCgt:\t")).unwrap();
    u64::from_str_radix(caught, 16).unwrap() & 1 << (signal.as_raw() - 1) != 0
}

fn names_in(dir: &Path) -> Vec<String> {
    let mut names: Vec<_> =
        fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

#[actix_web::test]
async fn a_start_that_is_ended_leaves_nothing_behind() {
    for signal in [Signal::TERM, Signal::INT, Signal::QUIT] {
        let (dir, child) = signalled_at_the_start(signal).await;
        let ended = time::timeout(PATIENCE, child.wait_with_output()).await.expect("it ends").unwrap();
        let log = String::from_utf8(ended.stderr).unwrap();
        assert_eq!(ended.status.code(), Some(0), "{signal:?}: {log}");
        assert!(log.lines().count() == 1 && log.contains(r#""event":"stopped""#), "{signal:?}: {log}");
        assert_eq!(names_in(dir.path()), ["jeton.toml", "policies"], "{signal:?}");
    }
}

#[actix_web::test]
async fn a_sighup_at_the_start_is_remembered() {
    let (_dir, mut child) = signalled_at_the_start(Signal::HUP).await;
    let mut log = BufReader::new(child.stderr.take().unwrap()).lines();
    let mut told = Vec::new();
    while told.last().is_none_or(|line: &String| !line.contains("policies.unchanged")) {
        let line = time::timeout(PATIENCE, log.next_line()).await.expect("it goes on").unwrap();
        told.push(line.unwrap_or_else(|| panic!("it ends: {told:?}")));
    }
    let position = |event: &str| told.iter().position(|line| line.contains(&format!(r#""event":"{event}""#)));
    assert!(position("serving").unwrap() < position("policies.unchanged").unwrap(), "{told:?}");
    assert!(told.last().unwrap().contains(r#""trigger":"SIGHUP""#), "{told:?}");
}

/// The next that the service manager is told.
async fn next_told(socket: &UnixDatagram) -> String {
    let mut bytes = vec![0; 1024];
    let length = time::timeout(PATIENCE, socket.recv(&mut bytes)).await.expect("it is told").unwrap();
    String::from_utf8(bytes[..length].to_vec()).unwrap()
}

#[actix_web::test]
async fn a_service_manager_may_listen_outside_of_the_file_system() {
    let name = format!("jeton-test-{}", std::process::id());
    let address = SocketAddr::from_abstract_name(&name).unwrap();
    let socket = std::os::unix::net::UnixDatagram::bind_addr(&address).unwrap();
    socket.set_nonblocking(true).unwrap();
    let socket = UnixDatagram::from_std(socket).unwrap();
    let mut binary = serve(&[("NOTIFY_SOCKET", &format!("@{name}"))]).await;
    assert_eq!(next_told(&socket).await, "READY=1\nSTATUS=serving\n");
    binary.signal("TERM").await;
    assert!(next_told(&socket).await.starts_with("STOPPING=1\n"));
    binary.logged("stopped").await;
    assert!(binary.lines_of("service_manager.untold").is_empty());
}

#[actix_web::test]
async fn systemd_is_told_of_an_end_at_once() {
    for signal in ["INT", "QUIT"] {
        let dir = TempDir::new().unwrap();
        let path = dir.path().join("notify");
        let socket = UnixDatagram::bind(&path).unwrap();
        let mut binary = serve(&[("NOTIFY_SOCKET", path.to_str().unwrap())]).await;
        assert!(next_told(&socket).await.starts_with("READY=1\n"));
        binary.signal(signal).await;
        assert!(next_told(&socket).await.starts_with("STOPPING=1\n"), "{signal}");
        binary.logged("stopped").await;
    }
}

#[actix_web::test]
async fn systemd_is_told_of_start_reload_and_end() {
    let dir = TempDir::new().unwrap();
    let path = dir.path().join("notify");
    let socket = UnixDatagram::bind(&path).unwrap();
    let heard = async || next_told(&socket).await;
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
    // files are read still, and nobody is told that they are
    binary.signal("HUP").await;
    binary.logged("policies.unchanged").await;
    binary.signal("TERM").await;
    binary.logged("stopped").await;
    assert!(socket.try_recv(&mut [0]).is_err(), "nothing follows the end");
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
