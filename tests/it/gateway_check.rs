//! `jeton gateway check`: what it finds of gateways that are wrong on purpose, each in one way.
use std::{
    collections::HashMap,
    fs,
    io::{BufRead, BufReader, Read, Write},
    net::{TcpListener, TcpStream},
    path::Path,
    pin::pin,
    process::Output,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
};

use futures_util::future::{Either, select};
use tempfile::TempDir;

use crate::support::{install_key, program::Binary};

const SETTINGS: &str = "[gateways.edge]\nkind = \"nginx\"\napi = \"orders\"\ntrusted_peers = [\"127.0.0.1\"]\nclaims = [\"tenant\", \"cost_centre\"]\n";

/// Few routes and clients: a method is refused where another is allowed, and a path at one host and not at another.
const POLICIES: &str = r#"
version: 1
scopes: { "orders:read": Read, "orders:write": Write }
apis:
  orders:
    audience: https://orders.example.com
    rules:
      health: { routes: [GET /healthz], public: true }
      read: { routes: [GET /orders], require: { scope: "orders:read" } }
      write: { routes: [DELETE /orders], require: { scope: "orders:write" } }
  stock:
    audience: https://stock.example.com
    rules:
      all: { routes: [GET /orders], public: true }
  vault:
    audience: https://vault.example.com
    bound_tokens: true
    rules:
      health: { routes: [GET /healthz], public: true }
      read: { routes: [GET /secrets], require: { scope: "orders:read" } }
      write: { routes: [DELETE /secrets], require: { scope: "orders:write" } }
  nothing:
    audience: https://nothing.example.com
    rules:
      one: { routes: [GET /one], require: { scope: "orders:read" } }
clients:
  reader:
    secrets: [{ sha256: f7384ffbe16b396eb1c3a70d0b57858bf57fb3b7a5fd0a362f21626b19fe7e68 }]
    grants: { orders: { scopes: ["orders:read"] }, vault: { scopes: ["orders:read"] } }
    claims: { tenant: [a, b], other: [a, 1] }
  silent:
    secrets: [{ sha256: f7384ffbe16b396eb1c3a70d0b57858bf57fb3b7a5fd0a362f21626b19fe7e69 }]
    grants: { orders: { scopes: ["orders:read"] } }
    claims: { tenant: [a, 1] }
"#;
const GATEWAYS: &str = r#"
[gateways.edge]
kind = "nginx"
api = "orders"
trusted_peers = ["127.0.0.1"]
claims = ["tenant"]
[gateways.origin]
kind = "nginx"
api = "orders"
origin = "https://orders.example.com"
trusted_peers = ["127.0.0.1"]
claims = ["tenant"]
[gateways.vault]
kind = "nginx"
api = "vault"
origin = "https://vault.example.com"
trusted_peers = ["127.0.0.1"]
[gateways.lost]
kind = "nginx"
api = "vault"
trusted_peers = ["127.0.0.1"]
[gateways.hosts]
kind = "nginx"
hosts = { "orders.example.com" = "orders", "stock.example.com" = "stock", "nothing.example.com" = "nothing" }
trusted_peers = ["127.0.0.1"]
claims = ["tenant"]
"#;

/// What is wrong with a gateway.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Wrong {
    Nothing,
    /// After so many requests each gets this.
    Stops(usize, u16),
    /// Now and then one gets 429.
    Limits,
    /// Asks about the method of `X-Original-Method`, or about the host of `X-Forwarded-Host`.
    Believes(&'static str),
    /// Answers what it knows by the path.
    Caches,
    /// Answers every second request that is allowed itself.
    TwoUpstreams,
    /// Passes what the client has in this header on.
    Passes(&'static str),
    /// Asks without this header of the client.
    Loses(&'static str),
    /// Asks about the same token and path once.
    Remembers,
    /// Does not ask where a path begins or ends so, or a header has this value.
    Skips(&'static [&'static str]),
    /// Passes on what jeton does not judge.
    OpensOnErrors,
    PassesTrailers,
}

/// Asks jeton as nginx does, and passes on no more than it must; but for what is wrong.
struct Gateway {
    name: &'static str,
    wrong: Wrong,
    jeton: String,
    upstream: u16,
    requests: AtomicUsize,
    cache: Mutex<HashMap<String, Vec<u8>>>,
    allowed: Mutex<HashMap<[Option<String>; 2], String>>,
}

/// A request of a client.
struct Request {
    method: String,
    target: String,
    headers: Vec<(String, String)>,
    body: Vec<u8>,
}

impl Request {
    /// Nothing where it is not clear.
    fn read(client: &TcpStream) -> Option<Self> {
        let mut reader = BufReader::new(client);
        let mut line = || {
            let mut line = Vec::new();
            reader.read_until(b'\n', &mut line).ok()?;
            let line = String::from_utf8(line).ok()?;
            let line = line.strip_suffix("\r\n")?.to_owned();
            (!line.chars().any(char::is_control)).then_some(line)
        };
        let first = line()?;
        let [method, target, "HTTP/1.1"] = first.split(' ').collect::<Vec<_>>()[..] else { return None };
        let mut headers = Vec::new();
        loop {
            let line = line()?;
            if line.is_empty() {
                break;
            }
            let (name, value) = line.split_once(':')?;
            let is_name = |c: char| c.is_ascii_alphanumeric() || c == '-';
            if name.chars().all(|c| is_name(c) || c == '_') {
                // as nginx drops those with `_`
                headers.extend(
                    name.chars().all(is_name).then(|| (name.to_lowercase(), value.trim().to_owned())),
                );
            } else {
                return None;
            }
        }
        let body = reader.buffer().to_vec();
        Some(Self { method: method.to_owned(), target: target.to_owned(), headers, body })
    }

    fn value(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(other, _)| other == name).map(|(_, value)| &**value)
    }
}

impl Gateway {
    fn start(name: &'static str, wrong: Wrong, jeton: &str, upstream: u16) -> u16 {
        let (requests, cache, allowed) = (AtomicUsize::new(0), Mutex::default(), Mutex::default());
        let jeton = jeton.to_owned();
        let gateway = Arc::new(Self { name, wrong, jeton, upstream, requests, cache, allowed });
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        thread::spawn(move || {
            for mut client in listener.incoming().flatten() {
                let gateway = gateway.clone();
                thread::spawn(move || {
                    let answer = gateway.answer(&client).unwrap_or_else(|| status(400));
                    let _ = client.write_all(&answer);
                    // what was not read must not make the end a reset
                    let _ = client.shutdown(std::net::Shutdown::Write);
                    let _ = client.set_read_timeout(Some(std::time::Duration::from_secs(1)));
                    let _ = std::io::copy(&mut client, &mut std::io::sink());
                });
            }
        });
        port
    }

    fn answer(&self, client: &TcpStream) -> Option<Vec<u8>> {
        let request = Request::read(client)?;
        let hosts = request.headers.iter().filter(|(name, _)| name == "host").count();
        if !request.target.starts_with('/') || hosts != 1 {
            return None;
        }
        let count = self.requests.fetch_add(1, Ordering::SeqCst);
        match self.wrong {
            Wrong::Stops(after, code) if count >= after => return Some(status(code)),
            Wrong::Limits if count % 100 == 99 => return Some(status(429)),
            Wrong::Caches => {
                if let Some(known) = self.cache.lock().unwrap().get(&request.target) {
                    return Some(known.clone());
                }
            }
            _ => {}
        }
        let skips = match self.wrong {
            Wrong::Skips(all) => all.iter().any(|what| {
                request.target.starts_with(what)
                    || request.target.ends_with(what)
                    || request.headers.iter().any(|(_, value)| value == what)
            }),
            _ => false,
        };
        let asked = [Some(request.target.clone()), request.value("authorization").map(str::to_owned)];
        let known = self.allowed.lock().unwrap().get(&asked).cloned();
        let identity = if skips {
            String::new()
        } else if let Some(identity) = known.filter(|_| self.wrong == Wrong::Remembers) {
            identity
        } else {
            match self.ask(&request)? {
                (200, identity) => {
                    self.allowed.lock().unwrap().insert(asked, identity.clone());
                    identity
                }
                (_, _)
                    if self.wrong == Wrong::OpensOnErrors && !matches!(self.ask(&request)?.0, 401 | 403) =>
                {
                    String::new()
                }
                (code, _) => return Some(status(code)),
            }
        };
        if self.wrong == Wrong::TwoUpstreams && count % 2 == 1 {
            return Some(status(200));
        }
        let answer = self.pass_on(&request, &identity)?;
        if self.wrong == Wrong::Caches {
            self.cache.lock().unwrap().insert(request.target, answer.clone());
        }
        Some(answer)
    }

    /// What jeton answers, and the identity headers of that.
    fn ask(&self, request: &Request) -> Option<(u16, String)> {
        let believed = |name: &str| match self.wrong {
            Wrong::Believes(header) if header == name => request.value(name),
            _ => None,
        };
        let method = believed("x-original-method").unwrap_or(&request.method);
        let host = believed("x-forwarded-host").or(request.value("host"))?;
        let name = self.name;
        let mut question = format!(
            "GET /authz/{name} HTTP/1.1\r\nHost: jeton\r\nConnection: close\r\nX-Original-Method: {method}\r\nX-Original-URI: {}\r\nX-Original-Host: {host}\r\n",
            request.target
        );
        for (name, value) in &request.headers {
            let is_own = name.starts_with("x-original-")
                || matches!(
                    &**name,
                    "host" | "connection" | "content-length" | "transfer-encoding" | "expect" | "upgrade"
                )
                || (name == "x-ssl-client-cert" && believed(name).is_none())
                || matches!(self.wrong, Wrong::Loses(lost) if lost == name);
            if !is_own {
                question += &[name, ": ", value, "\r\n"].concat();
            }
        }
        let answer = exchange(&self.jeton, (question + "\r\n").as_bytes())?;
        let answer = String::from_utf8(answer).ok()?;
        let code = answer.get(9..12)?.parse().ok()?;
        let head = answer.split("\r\n\r\n").next()?;
        let identity = head.lines().filter(|line| line.starts_with("x-auth-"));
        Some((code, identity.flat_map(|line| [line, "\r\n"]).collect()))
    }

    fn pass_on(&self, request: &Request, identity: &str) -> Option<Vec<u8>> {
        let mut head = format!("{} {} HTTP/1.1\r\n{identity}", request.method, request.target);
        for (name, value) in &request.headers {
            let is_needed = matches!(&**name, "host" | "authorization" | "x-jeton-check");
            if is_needed || matches!(self.wrong, Wrong::Passes(header) if header == name) {
                head += &[name, ": ", value, "\r\n"].concat();
            }
        }
        if self.wrong != Wrong::Passes("connection") {
            head += "connection: close\r\n";
        }
        let is_chunked = request.value("transfer-encoding") == Some("chunked");
        let body = if self.wrong == Wrong::PassesTrailers && is_chunked {
            head += "transfer-encoding: chunked\r\n";
            &request.body[..]
        } else {
            b""
        };
        exchange(&format!("127.0.0.1:{}", self.upstream), &[head.as_bytes(), b"\r\n", body].concat())
    }
}

fn status(code: u16) -> Vec<u8> {
    format!("HTTP/1.1 {code} Status\r\ncontent-length: 0\r\nconnection: close\r\n\r\n").into_bytes()
}

fn exchange(address: &str, bytes: &[u8]) -> Option<Vec<u8>> {
    let mut stream = TcpStream::connect(address).ok()?;
    stream.write_all(bytes).ok()?;
    let _ = stream.shutdown(std::net::Shutdown::Write);
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer);
    Some(answer)
}

fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

fn check(dir: &Path, name: &str, port: u16, echo: u16) -> Output {
    let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_jeton"));
    let url = format!("http://127.0.0.1:{port}");
    let echo = format!("127.0.0.1:{echo}");
    command.args(["gateway", "check", &url, "--gateway", name, "--echo", &echo]);
    command.current_dir(dir).output().unwrap()
}

/// Of one row: which gateway, what is wrong with it, the exit code, and what is said.
type Row = (&'static str, Wrong, i32, &'static [&'static str]);

fn comes_to(address: &str, dir: &Path, (name, wrong, code, says): Row) {
    let echo = free_port();
    let output = check(dir, name, Gateway::start(name, wrong, address, echo), echo);
    let said = [&output.stdout[..], &output.stderr].concat();
    let said = String::from_utf8_lossy(&said);
    assert_eq!(output.status.code(), Some(code), "{wrong:?}: {said:.6000}");
    for part in says {
        assert!(said.contains(part), "{wrong:?}: `{part}` is missing:\n{said:.6000}");
    }
}

/// Runs each row against one service.
async fn all_come_to(settings: &str, prepare: impl FnOnce(&Path), rows: &'static [Row]) {
    let dir = TempDir::new().unwrap();
    fs::create_dir(dir.path().join("policies")).unwrap();
    fs::write(dir.path().join("policies/all.yaml"), POLICIES).unwrap();
    let mut server = Binary::serve_in(dir, settings).await;
    prepare(server.dir.path());
    let (address, dir) = (server.address.clone(), server.dir.path().to_owned());
    let work = actix_web::rt::task::spawn_blocking(move || {
        for row in rows {
            comes_to(&address, &dir, *row);
        }
    });
    // its log is read meanwhile, for a full pipe would stop it
    match select(work, pin!(server.drain())).await {
        Either::Left((done, _)) => done.unwrap(),
        Either::Right(_) => panic!("the service ended"),
    }
}

#[actix_web::test]
async fn a_gateway_without_a_hole_has_none_and_what_took_no_part_is_said() {
    const SAYS: &[&str] = &[
        "gateway edge (nginx) at http://127.0.0.1:",
        ": API `orders`\nnothing got through that is forbidden\n\nattempts",
        "not tested: the client `silent`: no header can carry its claim `tenant`",
        "not tried: what the gateway does while jeton is away",
    ];
    const HOSTS: &[&str] = &[
        "API `orders` at orders.example.com, API `stock` at stock.example.com\nnothing got through",
        "not tested: the API `nothing` at nothing.example.com: no route lets any client pass",
    ];
    const NO_ORIGIN: &[&str] = &[
        "not tested: the API `orders` at 127.0.0.1:",
        "tokens that are bound to a key, because the gateway has no `origin`",
    ];
    let rows: &[Row] = &[
        ("edge", Wrong::Nothing, 0, SAYS),
        ("edge", Wrong::Nothing, 0, NO_ORIGIN),
        ("hosts", Wrong::Nothing, 0, HOSTS),
        ("origin", Wrong::Nothing, 0, &["nothing got through that is forbidden", "\nDPoP proofs "]),
        ("vault", Wrong::Nothing, 0, &["nothing got through that is forbidden", "\nDPoP proofs "]),
        ("lost", Wrong::Nothing, 1, &["takes bound tokens alone, and the gateway has no `origin`"]),
    ];
    all_come_to(GATEWAYS, |_| (), rows).await;
}

#[actix_web::test]
async fn what_is_wrong_with_a_gateway_is_found() {
    let rows: &[Row] = &[
        (
            "edge",
            Wrong::Believes("x-original-method"),
            3,
            &[
                "HOLE (method override): the policies refuse that (not-met)",
                "DELETE /orders HTTP/1.1 with X-Original-Method: GET",
                "by client reader",
            ],
        ),
        (
            "hosts",
            Wrong::Believes("x-forwarded-host"),
            3,
            &[
                "HOLE (hosts): the policies refuse that (no-token)",
                "with X-Forwarded-Host: stock.example.com",
                "by no token at orders.example.com",
            ],
        ),
        (
            "edge",
            Wrong::Caches,
            3,
            &[
                "): answered by something else than the upstream: it is the answer to another request, for example from a cache, ",
            ],
        ),
        (
            "edge",
            Wrong::Passes("connection"),
            3,
            &["HOLE (hop by hop): `Connection` of the client reached it, and names `X-AUTH-CLIENT`"],
        ),
        (
            "edge",
            Wrong::Skips(&["/static/", ".css", "websocket", "10.0.0.1"]),
            3,
            &[
                "HOLE (open folders): the policies refuse that (no-route)",
                "HOLE (file endings): the policies refuse that (no-route)",
                "HOLE (forwarding headers): the policies refuse that",
                "with Upgrade: websocket",
                "with X-Real-IP: 10.0.0.1",
            ],
        ),
        ("edge", Wrong::OpensOnErrors, 3, &["HOLE (over-long): the policies refuse that", "110 headers"]),
        (
            "origin",
            Wrong::Remembers,
            3,
            &[
                "HOLE (DPoP proofs): the request does not show that its token is its own",
                "with the token without a proof",
            ],
        ),
        (
            "vault",
            Wrong::Remembers,
            3,
            &["HOLE (DPoP proofs): the request does not show that its token is its own"],
        ),
        (
            "edge",
            Wrong::Believes("x-ssl-client-cert"),
            3,
            &[
                "HOLE (client certificates): the request does not show that its token is its own",
                "with X-SSL-Client-Cert by the client",
                "by client reader",
            ],
        ),
        (
            "edge",
            Wrong::Passes("x-ssl-client-cert"),
            3,
            &["HOLE (client certificates): `x-ssl-client-cert` of the client reached it"],
        ),
        // what other gateways than this one say it by
        ("edge", Wrong::Passes("client-cert"), 3, &["`client-cert` of the client"]),
        ("edge", Wrong::Passes("ssl-client-cert"), 3, &["`ssl-client-cert` of the client"]),
        ("edge", Wrong::Passes("ssl-client-verify"), 3, &["`ssl-client-verify` of the client"]),
        ("edge", Wrong::Passes("x-amzn-mtls-clientcert"), 3, &["`x-amzn-mtls-clientcert` of the client"]),
        (
            "edge",
            Wrong::PassesTrailers,
            3,
            &["HOLE (trailers): the trailer `X-Auth-Client: forged` of the client reached it"],
        ),
    ];
    all_come_to(GATEWAYS, |_| (), rows).await;
}

#[actix_web::test]
async fn what_was_not_judged_is_no_success() {
    let rows: &[Row] = &[
        (
            "edge",
            Wrong::Stops(300, 503),
            1,
            &[
                "nothing forbidden was seen to get through, but not everything was judged",
                "attempts nothing legitimate passes any more: `GET /orders?check=",
                "got 503",
            ],
        ),
        ("edge", Wrong::Stops(300, 403), 1, &["STOPPED: after ", "by client reader got 403"]),
        (
            "origin",
            Wrong::Loses("dpop"),
            1,
            &[
                "nothing got through that is forbidden, and something that is allowed did not",
                "REFUSED: a token that is bound to a key, with its proof: `GET /orders HTTP/1.1`",
                "by client reader got 401",
                "Does the gateway hand over `DPoP`",
            ],
        ),
        ("vault", Wrong::Loses("dpop"), 1, &["nothing of a client passes", "got 401"]),
        ("edge", Wrong::Limits, 1, &["not judged: ", " attempts, answered 429"]),
        (
            "edge",
            Wrong::TwoUpstreams,
            1,
            &["something other than `--echo` answers for the upstream", "got 200, no answer of `--echo`"],
        ),
    ];
    all_come_to(GATEWAYS, |_| (), rows).await;
}

/// Tokens of other keys are good for nothing, and one public route is no proof that a gateway judges.
#[actix_web::test]
async fn a_check_whose_tokens_are_not_accepted_fails() {
    let other_keys = |dir: &Path| {
        fs::remove_dir_all(dir.join("keys")).unwrap();
        install_key("test-only-other.pem", &dir.join("keys"));
    };
    let rows: &[Row] = &[(
        "edge",
        Wrong::Nothing,
        1,
        &[
            "nothing of a client passes: `GET /orders HTTP/1.1`",
            "by client reader got 401",
            "its keys among them",
        ],
    )];
    all_come_to(GATEWAYS, other_keys, rows).await;
}

/// Passes everything on, and asks nobody.
fn open_gateway(upstream: u16) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    thread::spawn(move || {
        for client in listener.incoming().flatten() {
            thread::spawn(move || {
                let Ok(upstream) = TcpStream::connect(("127.0.0.1", upstream)) else { return };
                let (back, forth) = (upstream.try_clone().unwrap(), client.try_clone().unwrap());
                thread::spawn(move || pump(back, forth));
                pump(client, upstream);
            });
        }
    });
    port
}

fn pump(mut from: TcpStream, mut to: TcpStream) {
    let mut bytes = [0; 16 * 1024];
    while let Ok(count @ 1..) = from.read(&mut bytes) {
        if to.write_all(&bytes[..count]).is_err() {
            break;
        }
    }
    let _ = to.shutdown(std::net::Shutdown::Write);
}

#[actix_web::test]
async fn a_gateway_that_asks_nobody_is_full_of_holes_and_one_that_is_away_is_said_so() {
    let dir = TempDir::new().unwrap();
    crate::support::install_policies(&dir.path().join("policies"));
    let server = Binary::serve_in(dir, SETTINGS).await;
    let check = |port: u16, echo: u16| check(server.dir.path(), "edge", port, echo);
    let echo = free_port();
    let output = check(free_port(), echo);
    assert_eq!(output.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&output.stderr).contains("cannot be reached"), "{output:?}");
    let output = check(open_gateway(echo), echo);
    assert_eq!(output.status.code(), Some(3), "{output:?}");
    let report = String::from_utf8_lossy(&output.stdout);
    for part in [
        "forbidden requests reached the upstream, or were answered in its place\n\nattempts",
        "HOLE (as it is)",
        "the policies refuse that (not-met)",
        "HOLE (dot segments)",
        "the policies refuse that (bad-path)",
        "HOLE (method override)",
        "HOLE (identity headers)",
        "x-auth-client: forged` reached it, but jeton sent",
        "HOLE (tokens)",
    ] {
        assert!(report.contains(part), "`{part}` is missing:\n{report:.3000}");
    }
}
