//! CPU time of the whole server for each token, over HTTP, with default logging: against a raw RSA-2048
//! signature and against a bare actix server that does nothing but sign, all in one run.
//!
//! The CPU time is that of the server's process, from `/proc`; the load comes from this process. The three
//! take turns, so that a machine that slows down slows all of them.
#![allow(
    missing_docs,
    clippy::pedantic,
    clippy::restriction,
    reason = "a measurement may stop at the first surprise"
)]

#[path = "support/assertion.rs"]
mod assertion;

use std::{
    fs,
    io::{Read, Write},
    net::TcpStream,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::Mutex,
    time::{Duration, Instant},
};

use aws_lc_rs::{
    rand::SystemRandom,
    rsa::KeyPair as RsaKeyPair,
    signature::{KeyPair, RSA_PKCS1_2048_8192_SHA256, RSA_PKCS1_SHA256, UnparsedPublicKey},
};
use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};

const ROUNDS: usize = 9;
/// A multiple of the connections.
const REQUESTS: usize = 3_200;
/// Enough that a worker finds the next request waiting, as under load.
const CONNECTIONS: usize = 16;

fn main() {
    if std::env::args().any(|arg| arg == "--bare-server") {
        return bare_server();
    }
    let dir = tempfile::tempdir().unwrap();
    let pem = key_pem();
    let client = pem::parse(fs::read(fixture("test-only-other.pem")).unwrap()).unwrap();
    let client = RsaKeyPair::from_pkcs8(client.contents()).unwrap();
    let policies = dir.path().join("policies");
    fs::create_dir(&policies).unwrap();
    for entry in fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("policies")).unwrap() {
        let path = entry.unwrap().path();
        fs::copy(&path, policies.join(path.file_name().unwrap())).unwrap();
    }
    fs::write(policies.join("jwt.yaml"), assertion::policies(&client)).unwrap();
    // each makes a key of its own
    let serve = |port: u16, reuse: &str| {
        let place = dir.path().join(port.to_string());
        fs::create_dir(&place).unwrap();
        let log = fs::File::create(place.join("log")).unwrap();
        Server(
            Command::new(env!("CARGO_BIN_EXE_jeton"))
                .arg("serve")
                .current_dir(&place)
                .env("JETON__SERVER__LISTEN", format!("127.0.0.1:{port}"))
                .env("JETON__POLICIES__DIR", &policies)
                .env("JETON__TOKENS__REUSE", reuse)
                .stderr(log)
                .spawn()
                .unwrap(),
        )
    };
    let jeton = serve(18080, "0s");
    let reusing = serve(18082, "14m");
    let bare = Server(
        Command::new(std::env::current_exe().unwrap())
            .arg("--bare-server")
            .stderr(Stdio::null())
            .spawn()
            .unwrap(),
    );
    let basic = base64::prelude::BASE64_STANDARD.encode("acme-sync:demo-secret-of-acme-sync");
    let form = "grant_type=client_credentials&resource=https%3A%2F%2Forders.example.com";
    let token = format!(
        "POST /oauth2/token HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Basic {basic}\r\nContent-Type: application/x-www-form-urlencoded\r\nContent-Length: {}\r\n\r\n{form}",
        form.len()
    );
    let get = |path: &str, more: &str| format!("GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\n{more}\r\n");
    let own_form = "grant_type=client_credentials&resource=http%3A%2F%2F127.0.0.1%3A8080";
    let own = token
        .replace(form, own_form)
        .replace(&format!("Length: {}", form.len()), &format!("Length: {}", own_form.len()));
    wait_for(18080);
    wait_for(18081);
    wait_for(18082);
    let bearer = {
        let answer = String::from_utf8(exchange(&mut connect(18080), own.as_bytes())).unwrap();
        let start = answer.find("\"access_token\":\"").expect(&answer) + 16;
        answer[start..].split('"').next().unwrap().to_owned()
    };
    let health = get("/healthz", "");
    let principal = get("/principal", &format!("Authorization: Bearer {bearer}\r\n"));

    let der = pem::parse(&pem).unwrap();
    let pair = RsaKeyPair::from_pkcs8(der.contents()).unwrap();
    let random = SystemRandom::new();
    let message = [b'x'; 600];
    let public = UnparsedPublicKey::new(&RSA_PKCS1_2048_8192_SHA256, pair.public_key().as_ref().to_vec());

    let mut figures: [Vec<f64>; 8] = Default::default();
    for round in 0..=ROUNDS {
        let start = cpu_nanos("self");
        for _ in 0..REQUESTS / 3 {
            let mut signature = [0; 256];
            pair.sign(&RSA_PKCS1_SHA256, &random, &message, &mut signature).unwrap();
        }
        let raw = (cpu_nanos("self") - start) / (REQUESTS / 3) as f64;
        let mut signature = [0; 256];
        pair.sign(&RSA_PKCS1_SHA256, &random, &message, &mut signature).unwrap();
        let start = cpu_nanos("self");
        for _ in 0..REQUESTS {
            public.verify(&message, &signature).unwrap();
        }
        let raw_verify = (cpu_nanos("self") - start) / REQUESTS as f64;
        // each is good for one token, and signed before the clock runs
        let first = round * REQUESTS;
        let by_key = (first..first + REQUESTS).map(|number| by_assertion(&client, number)).collect();
        let measured = [
            raw,
            raw_verify,
            load_each(&jeton, 18080, by_key),
            load(&bare, 18081, health.as_bytes(), REQUESTS),
            load(&jeton, 18080, token.as_bytes(), REQUESTS),
            load(&jeton, 18080, health.as_bytes(), REQUESTS * 5),
            load(&jeton, 18080, principal.as_bytes(), REQUESTS * 5),
            load(&reusing, 18082, token.as_bytes(), REQUESTS * 5),
        ];
        if round > 0 {
            for (figure, nanos) in figures.iter_mut().zip(measured) {
                figure.push(nanos);
            }
        }
    }
    let [raw, raw_verify, by_key, bare_figure, token, health, principal, reused] =
        figures.map(|mut figure| median(&mut figure) / 1000.0);
    println!("\nserver, CPU microseconds of its process for each request (median of {ROUNDS} rounds)");
    println!("  raw RSA-2048 signature                 {raw:>8.1}");
    println!(
        "  bare actix server that only signs      {bare_figure:>8.1}   {:>6.3} x raw",
        bare_figure / raw
    );
    println!(
        "  jeton: token                           {token:>8.1}   {:>6.3} x raw   {:>6.3} x bare",
        token / raw,
        token / bare_figure
    );
    let both = raw + raw_verify;
    println!("  raw signature and raw verification     {both:>8.1}");
    println!(
        "  jeton: token by private_key_jwt        {by_key:>8.1}   {:>6.3} x raw signature and verification",
        by_key / both
    );
    println!("  jeton: token that is reused            {reused:>8.1}   a {:.1}th of a token", token / reused);
    println!("  jeton: /healthz                        {health:>8.1}");
    println!(
        "  jeton: /principal, token seen before   {principal:>8.1}   {:>6.3} x /healthz",
        principal / health
    );
    println!(
        "  resident memory after {} tokens    {:>8.1} MiB",
        (ROUNDS + 1) * REQUESTS,
        resident_mib(&jeton)
    );
}

/// The middle of these numbers.
fn median(numbers: &mut [f64]) -> f64 {
    numbers.sort_by(f64::total_cmp);
    numbers[numbers.len() / 2]
}

struct Server(Child);

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn key_pem() -> Vec<u8> {
    fs::read(fixture("test-only-signing.pem")).unwrap()
}

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/keys").join(name)
}

/// Signs for each request, and does nothing else.
fn bare_server() {
    use actix_web::{App, HttpResponse, HttpServer, web};
    actix_web::rt::System::new()
        .block_on(
            HttpServer::new(|| {
                let der = pem::parse(key_pem()).unwrap();
                let pair = RsaKeyPair::from_pkcs8(der.contents()).unwrap();
                let pair = std::rc::Rc::new((pair, SystemRandom::new()));
                App::new().route(
                    "/healthz",
                    web::get().to(move || {
                        let pair = pair.clone();
                        async move {
                            let mut signature = [0; 256];
                            pair.0.sign(&RSA_PKCS1_SHA256, &pair.1, &[b'x'; 600], &mut signature).unwrap();
                            HttpResponse::Ok().body(BASE64_URL_SAFE_NO_PAD.encode(signature))
                        }
                    }),
                )
            })
            .bind("127.0.0.1:18081")
            .unwrap()
            .run(),
        )
        .unwrap();
}

/// CPU nanoseconds of the server for each of this many requests.
fn load(server: &Server, port: u16, request: &[u8], requests: usize) -> f64 {
    measure(server, requests, || {
        let mut stream = connect(port);
        for _ in 0..requests / CONNECTIONS {
            ask(&mut stream, request);
        }
    })
}

/// CPU nanoseconds of the server for each of these requests.
fn load_each(server: &Server, port: u16, requests: Vec<Vec<u8>>) -> f64 {
    let count = requests.len();
    let requests = Mutex::new(requests);
    measure(server, count, || {
        let mut stream = connect(port);
        loop {
            let next = requests.lock().unwrap().pop();
            let Some(request) = next else { break };
            ask(&mut stream, &request);
        }
    })
}

/// CPU nanoseconds of the server for each request, while all connections work.
fn measure(server: &Server, requests: usize, connection: impl Fn() + Sync) -> f64 {
    let pid = server.0.id().to_string();
    let before = cpu_nanos(&pid);
    std::thread::scope(|scope| {
        for _ in 0..CONNECTIONS {
            scope.spawn(&connection);
        }
    });
    (cpu_nanos(&pid) - before) / requests as f64
}

fn ask(stream: &mut TcpStream, request: &[u8]) {
    let answer = exchange(stream, request);
    assert!(answer.starts_with(b"HTTP/1.1 200"), "{}", String::from_utf8_lossy(&answer));
}

/// A request for a token by an assertion of its own.
fn by_assertion(client: &RsaKeyPair, number: usize) -> Vec<u8> {
    let form = format!(
        "grant_type=client_credentials&client_assertion_type=urn%3Aietf%3Aparams%3Aoauth%3Aclient-assertion-type%3Ajwt-bearer&client_assertion={}",
        assertion::sign(client, "http://127.0.0.1:8080", number)
    );
    format!(
        "POST /oauth2/token HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/x-www-form-urlencoded\r\nContent-Length: {}\r\n\r\n{form}",
        form.len()
    )
    .into_bytes()
}

fn connect(port: u16) -> TcpStream {
    let stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
    stream.set_nodelay(true).unwrap();
    stream
}

fn wait_for(port: u16) {
    let start = Instant::now();
    while TcpStream::connect(("127.0.0.1", port)).is_err() {
        assert!(start.elapsed() < Duration::from_secs(10), "nothing listens on {port}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// One request and its whole answer.
fn exchange(stream: &mut TcpStream, request: &[u8]) -> Vec<u8> {
    stream.write_all(request).unwrap();
    let mut answer = Vec::with_capacity(2048);
    let mut chunk = [0; 4096];
    loop {
        let read = stream.read(&mut chunk).unwrap();
        assert!(read > 0, "the server closed the connection");
        answer.extend_from_slice(&chunk[..read]);
        let text = String::from_utf8_lossy(&answer);
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")).unwrap();
            if body.len() >= length.parse::<usize>().unwrap() {
                return answer;
            }
        }
    }
}

/// CPU nanoseconds of all threads of a process.
fn cpu_nanos(pid: &str) -> f64 {
    let tasks = fs::read_dir(format!("/proc/{pid}/task")).unwrap();
    tasks
        .filter_map(|task| fs::read_to_string(task.ok()?.path().join("schedstat")).ok())
        .filter_map(|stat| stat.split_whitespace().next()?.parse::<f64>().ok())
        .sum()
}

fn resident_mib(server: &Server) -> f64 {
    let status = fs::read_to_string(format!("/proc/{}/status", server.0.id())).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.trim().trim_end_matches(" kB").parse::<f64>().unwrap() / 1024.0
}
