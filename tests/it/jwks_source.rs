//! The keys of an issuer as a service elsewhere keeps them, against an issuer that answers what a row says.

use std::{
    io::{self, Read, Write},
    net,
    sync::{Arc, Mutex},
    thread,
    time::Duration,
};

use futures_util::future::{join, join_all};
use jeton_oauth::clock::Clock;
use jeton_verify::{JwksOptions, JwksSource, JwksSourceError};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject};
use serde_json::{Value, json};
use tokio::{net::TcpListener, sync::Semaphore, time};

use crate::support::{
    forge::{Forge, base64url},
    issuer::{Answer, FakeIssuer, JWKS},
    program::PATIENCE,
    root,
};

pub(crate) fn patient() -> JwksOptions {
    JwksOptions { timeout: PATIENCE, ..JwksOptions::default() }
}

/// Where an issuer is silent, and a busy machine must not seem to be.
fn impatient() -> JwksOptions {
    JwksOptions { timeout: Duration::from_secs(2), ..JwksOptions::default() }
}

/// The key by which the issuer signs at first.
pub(crate) fn first() -> Forge {
    Forge::with_the_servers_key()
}

/// The key that comes after it.
pub(crate) fn second() -> Forge {
    Forge::with("test-only-other.pem")
}

pub(crate) fn set(keys: &[Value]) -> Vec<u8> {
    json!({ "keys": keys }).to_string().into_bytes()
}

pub(crate) fn serves(body: Vec<u8>) -> Answer {
    Answer::Status(200, "", body)
}

fn serves_with(headers: &str, body: Vec<u8>) -> Answer {
    Answer::Status(200, headers.to_owned().leak(), body)
}

/// Whether the first and the second key are there.
#[track_caller]
pub(crate) fn assert_keys(source: &JwksSource, expected: (bool, bool), name: &str) {
    let keys = source.current();
    let found = (!keys.named(&first().kid()).is_empty(), !keys.named(&second().kid()).is_empty());
    assert_eq!(found, expected, "{name}");
    assert_eq!(keys.len(), usize::from(expected.0) + usize::from(expected.1), "{name}");
}

/// Everything that is no good set, and what the state says of it. Whoever took one would have the second key.
fn bad_answers() -> Vec<(&'static str, Answer, &'static str)> {
    let good = set(&[second().jwk()]);
    let mut huge = good.clone();
    huge.resize(1024 * 1024 + 1, b' ');
    let mut cut = good.clone();
    cut.truncate(good.len() - 1);
    let mut twice = second().jwk();
    twice["n"] = first().jwk()["n"].clone();
    // the neutral element (tests/it/unsound_keys.rs has all of its kind)
    let neutral = [&[1][..], &[0; 31]].concat();
    let of_small_order =
        json!({ "kty": "OKP", "crv": "Ed25519", "x": base64url(neutral), "kid": second().kid() });
    let with = |name: &str, value: Value| {
        let mut key = second().jwk();
        key[name] = value;
        set(&[key])
    };
    vec![
        ("not found", Answer::Status(404, "", good.clone()), "404"),
        ("an error", Answer::Status(500, "", good.clone()), "500"),
        ("a part", Answer::Status(206, "", good.clone()), "206"),
        ("a redirect", Answer::Status(302, "Location: /other\r\n", good.clone()), "302"),
        ("a lasting redirect", Answer::Status(308, "Location: /other\r\n", good.clone()), "308"),
        ("silence", Answer::Silence, "timed out"),
        ("byte by byte", Answer::Trickle, "timed out"),
        ("half of it", Answer::Half, "timed out"),
        ("a closed connection", Answer::HangUp, "cannot be fetched"),
        ("too long", serves(huge), "1 MiB"),
        ("without an end", Answer::Endless, "1 MiB"),
        ("nothing", serves(Vec::new()), "not a JSON Web Key Set"),
        ("bytes", serves(vec![0xff; 100]), "not a JSON Web Key Set"),
        ("a page", serves_with("Content-Type: text/html\r\n", b"<html>".to_vec()), "not a JSON Web Key Set"),
        ("cut off", serves(cut), "not a JSON Web Key Set"),
        ("a list", serves(b"[]".to_vec()), "not a JSON Web Key Set"),
        ("no keys", serves(b"{}".to_vec()), "not a JSON Web Key Set"),
        ("keys as text", serves(br#"{"keys":"none"}"#.to_vec()), "not a JSON Web Key Set"),
        ("an empty set", serves(set(&[])), "no key"),
        ("no kid", serves(with("kid", Value::Null)), "no key"),
        ("a key for encryption", serves(with("use", "enc".into())), "no key"),
        ("another algorithm", serves(with("alg", "RS512".into())), "no key"),
        ("a key for which anybody signs", serves(set(&[of_small_order])), "no key"),
        ("a kid twice", serves(set(&[second().jwk(), twice])), "two keys"),
    ]
}

#[actix_web::test]
async fn nothing_is_fetched_before_somebody_asks() {
    let issuer = FakeIssuer::start().await;
    issuer.answers(serves(set(&[first().jwk()])));
    let source = issuer.source(&patient());
    assert_keys(&source, (false, false), "at first");
    assert_eq!(issuer.requests(), Vec::<String>::new());
    let state = source.state();
    assert_eq!((state.keys, state.fetched_at, state.failure), (0, None, None));
    source.refresh().await;
    assert_keys(&source, (true, false), "fetched");
    let requests = issuer.requests();
    assert_eq!(requests.len(), 1);
    assert!(requests[0].starts_with(&format!("GET {JWKS} HTTP/1.1\r\n")), "{}", requests[0]);
    let head = requests[0].to_lowercase();
    assert!(head.contains("accept: application/jwk-set+json, application/json\r\n"), "{head}");
    let state = source.state();
    assert_eq!((state.keys, state.fetched_at, state.failure), (1, Some(issuer.clock.now()), None));
}

#[actix_web::test]
async fn what_is_no_good_set_is_not_taken() {
    let issuer = FakeIssuer::start().await;
    let mut rows = bad_answers();
    rows.push(("not modified", Answer::Status(304, "", Vec::new()), "304"));
    for (name, answer, reason) in rows {
        issuer.answers(answer);
        let source = issuer.source(&impatient());
        let before = issuer.requests().len();
        source.fetch().await;
        assert!(issuer.requests().len() > before, "{name}: it was fetched");
        assert_keys(&source, (false, false), name);
        let state = source.state();
        assert_eq!(state.fetched_at, None, "{name}");
        let failure = state.failure.unwrap_or_else(|| panic!("{name}: it failed"));
        assert_eq!(failure.at, issuer.clock.now(), "{name}");
        assert!(failure.error.contains(reason), "{name}: {}", failure.error);
        assert!(!failure.error.contains("http://"), "{name}: {}", failure.error);
    }
    let head = format!("GET {JWKS} ");
    assert!(issuer.requests().iter().all(|request| request.starts_with(&head)), "no redirect is followed");
}

#[actix_web::test]
async fn the_last_good_set_counts() {
    let issuer = FakeIssuer::start().await;
    let source = issuer.source(&impatient());
    issuer.answers(serves(set(&[first().jwk()])));
    source.refresh().await;
    let fetched_at = source.state().fetched_at;
    for (name, answer, reason) in bad_answers() {
        issuer.answers(answer);
        issuer.clock.advance(300);
        let before = issuer.requests().len();
        source.refresh().await;
        assert!(issuer.requests().len() > before, "{name}: it was fetched");
        assert_keys(&source, (true, false), name);
        let state = source.state();
        assert_eq!(state.fetched_at, fetched_at, "{name}");
        let failure = state.failure.unwrap_or_else(|| panic!("{name}: it failed"));
        assert!(failure.error.contains(reason), "{name}: {}", failure.error);
    }
    issuer.answers(Answer::HangUp);
    issuer.clock.advance(10 * 366 * 24 * 60 * 60);
    source.refresh().await;
    assert_keys(&source, (true, false), "ten years later");
    issuer.answers(serves(set(&[second().jwk()])));
    issuer.clock.advance(60);
    source.refresh().await;
    assert_keys(&source, (false, true), "a good one takes its place at once, and what left it is gone");
    let state = source.state();
    assert_eq!((state.fetched_at, state.failure), (Some(issuer.clock.now()), None));
}

#[actix_web::test]
async fn rfc_7517_5_unknown_kinds_of_keys_are_passed_over() {
    let issuer = FakeIssuer::start().await;
    let source = issuer.source(&patient());
    issuer.answers(serves(set(&[
        json!({ "kty": "oct", "kid": "secret", "alg": "HS256", "k": "c2VjcmV0" }),
        json!({ "kty": "EC", "crv": "P-521", "kid": "curve", "x": "AA", "y": "AA" }),
        first().jwk(),
        json!({ "kty": "AKP", "kid": "future", "alg": "ML-DSA-44", "pub": "AA" }),
        json!({ "kty": "RSA", "kid": "broken" }),
        json!({ "kty": "RSA", "kid": "short", "n": format!("{}8", "_".repeat(170)), "e": "AQAB" }),
        json!({}),
        json!(7),
        second().jwk(),
    ])));
    source.refresh().await;
    assert_keys(&source, (true, true), "the good ones");
}

#[actix_web::test]
async fn rfc_9111_a_set_is_fetched_again_before_its_end() {
    for (headers, due) in [
        ("", 300),
        ("Cache-Control: public, max-age=100\r\n", 80),
        ("Cache-Control: max-age=300\r\n", 240),
        ("Cache-Control: max-age=300\r\nAge: 200\r\n", 80),
        ("Cache-Control: max-age=86400\r\n", 300),
        ("Cache-Control: max-age=99999999999999999999\r\n", 300),
        ("Cache-Control: max-age=soon\r\n", 300),
        ("Cache-Control: max-age=1\r\n", 1),
        ("Cache-Control: max-age=0, must-revalidate\r\n", 1),
        ("Cache-Control: no-store\r\n", 1),
        ("Cache-Control: max-age=60, no-cache\r\n", 1),
    ] {
        let issuer = FakeIssuer::start().await;
        let source = issuer.source(&patient());
        issuer.answers(serves_with(headers, set(&[first().jwk()])));
        source.refresh().await;
        issuer.clock.advance(due - 1);
        source.refresh().await;
        assert_eq!(issuer.requests().len(), 1, "{headers:?}: within {due} seconds");
        issuer.clock.advance(1);
        source.refresh().await;
        assert_eq!(issuer.requests().len(), 2, "{headers:?}: after {due} seconds");
    }
    let issuer = FakeIssuer::start().await;
    let source = issuer.source(&JwksOptions { refresh: Duration::from_secs(20), ..patient() });
    issuer.answers(serves_with("Cache-Control: max-age=100\r\n", set(&[first().jwk()])));
    source.refresh().await;
    issuer.clock.advance(19);
    source.refresh().await;
    assert_eq!(issuer.requests().len(), 1);
    issuer.clock.advance(1);
    source.refresh().await;
    assert_eq!(issuer.requests().len(), 2, "the options may ask for it sooner");
}

#[actix_web::test]
async fn rfc_9110_15_4_5_what_did_not_change_is_not_sent_again() {
    let issuer = FakeIssuer::start().await;
    let source = issuer.source(&patient());
    let headers = "ETag: \"one\"\r\nCache-Control: max-age=100\r\n";
    issuer.answers(serves_with(headers, set(&[first().jwk()])));
    source.refresh().await;
    let keys = source.current();
    issuer.answers(Answer::Status(304, "", Vec::new()));
    issuer.clock.advance(80);
    source.refresh().await;
    assert!(Arc::ptr_eq(&keys, &source.current()), "they are the same");
    assert_eq!(source.state().fetched_at, Some(issuer.clock.now()), "the issuer said so");
    issuer.answers(Answer::Status(304, "Cache-Control: max-age=50\r\n", Vec::new()));
    issuer.clock.advance(79);
    source.refresh().await;
    assert_eq!(issuer.requests().len(), 2, "what it said before counts on");
    issuer.clock.advance(1);
    source.refresh().await;
    assert_eq!(issuer.requests().len(), 3);
    // a bad set is not what the issuer is asked for again
    issuer.answers(serves_with("ETag: \"bad\"\r\n", b"{}".to_vec()));
    issuer.clock.advance(40);
    source.refresh().await;
    assert_eq!(issuer.requests().len(), 4, "what it says now counts");
    issuer.answers(serves_with("ETag: W/\"two\"\r\n", set(&[second().jwk()])));
    issuer.clock.advance(5);
    source.refresh().await;
    assert_keys(&source, (false, true), "changed");
    issuer.clock.advance(300);
    source.refresh().await;
    let asked: Vec<_> = issuer.requests().iter().map(|head| asked_for(head)).collect();
    let one = Some("\"one\"".to_owned());
    let two = Some("w/\"two\"".to_owned());
    assert_eq!(asked, [None, one.clone(), one.clone(), one.clone(), one, two]);
}

/// The `If-None-Match` of a request, in lower case.
fn asked_for(head: &str) -> Option<String> {
    let head = head.to_lowercase();
    head.lines().find_map(|line| line.strip_prefix("if-none-match: ").map(str::to_owned))
}

#[actix_web::test]
async fn a_failed_fetch_is_tried_again_later_and_later() {
    // nobody is there at first
    let address = net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let elsewhere = FakeIssuer::start().await;
    let clock = Arc::clone(&elsewhere.clock);
    let source =
        JwksSource::new(&format!("http://{address}{JWKS}"), &patient(), Arc::clone(&clock) as Arc<dyn Clock>);
    let source = source.unwrap();
    source.refresh().await;
    let failure = source.state().failure.unwrap();
    assert!(failure.error.contains("cannot be fetched"), "{}", failure.error);
    let issuer = FakeIssuer::on(TcpListener::bind(address).await.unwrap());
    issuer.answers(Answer::Status(503, "", Vec::new()));
    for (tried, pause) in [5, 10, 20, 40, 60, 60].into_iter().enumerate() {
        clock.advance(pause - 1);
        source.refresh().await;
        assert_eq!(issuer.requests().len(), tried, "within {pause} seconds");
        clock.advance(1);
        source.refresh().await;
        assert_eq!(issuer.requests().len(), tried + 1, "after {pause} seconds");
    }
    issuer.answers(serves(set(&[first().jwk()])));
    clock.advance(60);
    source.refresh().await;
    assert_keys(&source, (true, false), "it is there");
    issuer.answers(Answer::Status(503, "", Vec::new()));
    clock.advance(300);
    source.refresh().await;
    let before = issuer.requests().len();
    clock.advance(5);
    source.refresh().await;
    assert_eq!(issuer.requests().len(), before + 1, "the pauses are short again");
}

#[actix_web::test]
async fn unknown_keys_cause_one_fetch_per_cooldown() {
    let issuer = FakeIssuer::start().await;
    let source = issuer.source(&patient());
    issuer.answers(serves(set(&[first().jwk()])));
    for (round, answer) in [serves(set(&[first().jwk()])), Answer::HangUp, serves(b"{}".to_vec())]
        .into_iter()
        .cycle()
        .take(6)
        .enumerate()
    {
        issuer.answers(answer);
        let before = issuer.requests().len();
        join_all((0..1000).map(|_| source.fetch())).await;
        for _ in 0..1000 {
            source.fetch().await;
        }
        assert_eq!(issuer.requests().len(), before + 1, "round {round}: at first");
        issuer.clock.advance(29);
        source.fetch().await;
        assert_eq!(issuer.requests().len(), before + 1, "round {round}: within the cooldown");
        issuer.clock.advance(1);
    }
    assert_keys(&source, (true, false), "in the end");
}

#[actix_web::test]
async fn a_refresh_does_not_use_the_cooldown_up() {
    let issuer = FakeIssuer::start().await;
    let source = issuer.source(&patient());
    issuer.answers(serves(set(&[first().jwk()])));
    source.refresh().await;
    issuer.answers(serves(set(&[first().jwk(), second().jwk()])));
    source.fetch().await;
    assert_keys(&source, (true, true), "a key that is newer than the refresh");
    issuer.clock.advance(299);
    source.refresh().await;
    assert_eq!(issuer.requests().len(), 2, "and what was fetched on demand is fresh");
}

#[actix_web::test]
async fn one_fetch_serves_all_who_wait() {
    let issuer = FakeIssuer::start().await;
    let source = issuer.source(&patient());
    let gate = Arc::new(Semaphore::new(0));
    issuer.answers(Answer::Gate(Arc::clone(&gate), set(&[first().jwk()])));
    let refreshed = join_all((0..10).map(|_| source.refresh()));
    let fetched = join_all((0..10).map(|_| source.fetch()));
    let open = async {
        until(|| !issuer.requests().is_empty()).await;
        assert_keys(&source, (false, false), "nobody waits for memory");
        gate.add_permits(1);
    };
    join(join(refreshed, fetched), open).await;
    assert_keys(&source, (true, false), "all have it");
    assert_eq!(issuer.requests().len(), 1);
}

/// Waits for something that comes to be so beside the test.
pub(crate) async fn until(mut is_so: impl FnMut() -> bool) {
    let waiting = async {
        let mut looks = time::interval(Duration::from_millis(10));
        while !is_so() {
            looks.tick().await;
        }
    };
    time::timeout(PATIENCE, waiting).await.expect("it comes to be so");
}

#[actix_web::test]
async fn whoever_hangs_up_does_not_waste_the_cooldown() {
    let issuer = FakeIssuer::start().await;
    let source = issuer.source(&patient());
    let gate = Arc::new(Semaphore::new(0));
    issuer.answers(Answer::Gate(Arc::clone(&gate), set(&[first().jwk()])));
    {
        let fetch = source.fetch();
        tokio::pin!(fetch);
        let asked = until(|| !issuer.requests().is_empty());
        tokio::pin!(asked);
        tokio::select! {
            () = &mut fetch => panic!("the issuer has not answered"),
            () = &mut asked => {}
        }
    }
    gate.add_permits(1);
    until(|| source.current().len() == 1).await;
    assert_eq!(issuer.requests().len(), 1);
}

#[actix_web::test]
async fn a_clock_that_is_set_back_stops_nothing() {
    let issuer = FakeIssuer::start().await;
    let source = issuer.source(&patient());
    issuer.answers(serves(set(&[first().jwk()])));
    source.fetch().await;
    issuer.clock.advance(-1_000_000);
    source.refresh().await;
    assert_eq!(issuer.requests().len(), 2, "what is due");
    source.fetch().await;
    assert_eq!(issuer.requests().len(), 3, "what tokens ask for");
    source.refresh().await;
    source.fetch().await;
    assert_eq!(issuer.requests().len(), 3, "and the pauses hold again");
}

#[actix_web::test]
async fn the_task_fetches_again_and_again() {
    let issuer = FakeIssuer::start().await;
    let source = issuer.source(&patient());
    issuer.answers(serves_with("Cache-Control: max-age=1\r\n", set(&[first().jwk()])));
    let task = tokio::spawn(Arc::clone(&source).run());
    until(|| source.current().len() == 1).await;
    assert_eq!(issuer.requests().len(), 1);
    issuer.answers(serves(set(&[second().jwk()])));
    issuer.clock.advance(1);
    until(|| !source.current().named(&second().kid()).is_empty()).await;
    assert_eq!(issuer.requests().len(), 2);
    assert_keys(&source, (false, true), "what left the set is gone");
    task.abort();
}

#[actix_web::test]
async fn keys_come_over_https_or_from_this_machine() {
    let issuer = FakeIssuer::start().await;
    let new = |url: &str| {
        JwksSource::new(url, &JwksOptions::default(), Arc::clone(&issuer.clock) as Arc<dyn Clock>)
    };
    for good in [
        "https://tokens.example.com/.well-known/jwks.json",
        "https://tokens.example.com/keys?tenant=one",
        "http://127.0.0.1:8080/jwks",
        "http://127.9.9.9/jwks",
        "http://localhost/jwks",
        "http://[::1]:8080/jwks",
        "HTTP://LOCALHOST/jwks",
    ] {
        assert!(new(good).is_ok(), "{good}");
    }
    for bad in [
        "http://tokens.example.com/jwks",
        "http://localhost.example.com/jwks",
        "http://127.0.0.1.example.com/jwks",
        "http://10.0.0.1/jwks",
        "http://0.0.0.0/jwks",
    ] {
        assert!(matches!(new(bad).err(), Some(JwksSourceError::Insecure(_))), "{bad}");
    }
    for bad in [
        "",
        "tokens.example.com",
        "/jwks.json",
        "file:///jwks.json",
        "ftp://127.0.0.1/jwks",
        "data:application/json,{}",
        "https://name:hidden@tokens.example.com/jwks",
        "http://name@127.0.0.1/jwks",
        "http://127.0.0.1@tokens.example.com/jwks",
    ] {
        let error = new(bad).err().unwrap_or_else(|| panic!("{bad} is taken"));
        assert!(matches!(error, JwksSourceError::Address), "{bad}: {error}");
        assert!(!error.to_string().contains("hidden"), "{bad}: {error}");
    }
}

/// A server of TLS whose certificate nobody knows, and which would answer a good set.
fn untrusted_server() -> net::SocketAddr {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let tls = root().join("tests/fixtures/tls");
    let chain = CertificateDer::pem_file_iter(tls.join("server.pem")).unwrap().map(Result::unwrap).collect();
    let key = PrivateKeyDer::from_pem_file(tls.join("test-only-key.pem")).unwrap();
    let config = rustls::ServerConfig::builder().with_no_client_auth().with_single_cert(chain, key).unwrap();
    let config = Arc::new(config);
    let listener = net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    thread::spawn(move || {
        let body = set(&[first().jwk()]);
        for stream in listener.incoming() {
            let connection = rustls::ServerConnection::new(Arc::clone(&config)).unwrap();
            let mut stream = rustls::StreamOwned::new(connection, stream.unwrap());
            let head =
                format!("HTTP/1.1 200 X\r\nConnection: close\r\nContent-Length: {}\r\n\r\n", body.len());
            // the client ends the handshake
            let _ = stream.read(&mut [0; 4096]);
            let _ = stream.write_all(head.as_bytes()).and_then(|()| stream.write_all(&body));
        }
    });
    address
}

#[actix_web::test]
async fn without_good_tls_there_are_no_keys() {
    let issuer = FakeIssuer::start().await;
    issuer.answers(serves(set(&[first().jwk()])));
    let plain = issuer.issuer.as_str().trim_start_matches("http://").to_owned();
    for (name, address, reason) in [
        ("a certificate that nobody knows", untrusted_server().to_string(), "certificate"),
        ("no TLS", plain, "cannot be fetched"),
    ] {
        let clock = Arc::clone(&issuer.clock) as Arc<dyn Clock>;
        let source = match JwksSource::new(&format!("https://{address}{JWKS}"), &impatient(), clock) {
            Ok(source) => source,
            Err(error) => panic!("{name}: {error}"),
        };
        source.refresh().await;
        assert_keys(&source, (false, false), name);
        let failure = source.state().failure.unwrap_or_else(|| panic!("{name}: it failed"));
        assert!(failure.error.contains(reason), "{name}: {}", failure.error);
    }
    assert_eq!(issuer.requests(), Vec::<String>::new(), "it does not fall back to HTTP");
}

/// What is logged on this thread, as long as the guard lives.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Log {
    /// The levels and the events of this crate.
    fn lines(&self) -> Vec<String> {
        let text = String::from_utf8(self.0.lock().unwrap().clone()).unwrap();
        text.lines().filter(|line| line.contains("jwks.")).map(str::to_owned).collect()
    }
}

#[actix_web::test]
async fn an_outage_is_told_once_and_so_is_its_end() {
    let log = Log::default();
    let writer = log.clone();
    let subscriber = tracing_subscriber::fmt()
        .with_max_level(tracing::Level::DEBUG)
        .with_ansi(false)
        .without_time()
        .with_writer(move || writer.clone())
        .finish();
    let _guard = tracing::subscriber::set_default(subscriber);
    let issuer = FakeIssuer::start().await;
    let clock = Arc::clone(&issuer.clock) as Arc<dyn Clock>;
    let url = format!("{}{JWKS}?code=hidden", issuer.issuer);
    let source = JwksSource::new(&url, &patient(), clock).unwrap();
    let good = serves(set(&[first().jwk()]));
    for answer in [&good, &good, &Answer::HangUp, &Answer::HangUp, &Answer::HangUp, &good, &good] {
        issuer.answers(answer.clone());
        source.refresh().await;
        issuer.clock.advance(300);
    }
    let lines = log.lines();
    let starts: Vec<_> = lines.iter().map(|line| line.split_whitespace().next().unwrap()).collect();
    assert_eq!(starts, ["WARN", "DEBUG", "DEBUG", "INFO"], "{lines:#?}");
    assert!(lines[..3].iter().all(|line| line.contains("jwks.not_fetched")), "{lines:#?}");
    assert!(lines[3].contains("jwks.fetched") && lines[3].contains("keys=1"), "{lines:#?}");
    assert!(lines.iter().all(|line| line.contains(JWKS) && !line.contains("hidden")), "{lines:#?}");
}
