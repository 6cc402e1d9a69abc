//! When connections end, with the HTTP library and a clock that jumps.

use std::{convert::Infallible, future::ready, rc::Rc, time::Duration};

use actix_http::{HttpService, KeepAlive};
use actix_service::{IntoServiceFactory, Service, ServiceFactory, map_config};
use actix_web::{App, HttpRequest, HttpResponse, dev::AppConfig, web};
use futures_util::{Stream, StreamExt, stream};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex, split},
    task::LocalSet,
    time::{Instant, sleep},
};

use super::{
    LastingAnswer, TellConnection,
    bound::Seats,
    stream::{Connection, Unread},
};
use crate::http::{
    ending::Ending,
    extract::{BodyFault, BodyLimit, body},
};

/// What a client does.
#[derive(Clone, Copy)]
enum Do {
    Send(&'static str),
    /// Sends this again and again, once a second, until the connection is over.
    Drip(&'static str),
    /// Sends this again and again without a pause.
    Flood(&'static str),
    Wait(u64),
    /// Sends no more, but waits for what comes.
    HalfClose,
    /// The server tells clients to go elsewhere.
    Begin,
    /// The server takes no further requests.
    End,
}

/// Whether the client reads what comes.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Reads {
    All,
    Nothing,
    /// A byte each second.
    Slowly,
}

use Do::{Begin, Drip, End, Flood, HalfClose, Send, Wait};

impl Unread for DuplexStream {
    fn has_unread(&self) -> bool {
        // a read gives everything that has come
        false
    }
}

/// How a connection went.
#[derive(Debug, PartialEq, Eq)]
struct Course {
    /// The status of each answer.
    answers: Vec<u16>,
    /// The second at which the client saw the end.
    closed: u64,
    /// The second at which the connection was over for the server, with a client that does not close it.
    over: u64,
}

async fn read(request: HttpRequest, payload: web::Payload) -> HttpResponse {
    match body(&request, payload, BodyLimit::USUAL).await {
        Ok(body) => HttpResponse::Ok().body(body),
        Err(BodyFault::TooLong(_)) => HttpResponse::PayloadTooLarge().force_close().finish(),
        Err(BodyFault::TooSlow) => HttpResponse::RequestTimeout().finish(),
        Err(BodyFault::Coded) => HttpResponse::UnsupportedMediaType().finish(),
        Err(BodyFault::Broken) => HttpResponse::BadRequest().finish(),
    }
}

async fn slow() -> HttpResponse {
    sleep(Duration::from_mins(2)).await;
    HttpResponse::Ok().finish()
}

/// An answer that goes on, with a part every 15 seconds.
async fn lasting(request: HttpRequest) -> HttpResponse {
    let pauses = stream::repeat(()).then(|()| sleep(Duration::from_secs(15)));
    goes_on(&request, pauses.map(|()| "x"))
}

/// An answer that goes on, with more than anybody reads.
async fn flood(request: HttpRequest) -> HttpResponse {
    goes_on(&request, stream::repeat("x"))
}

fn goes_on(request: &HttpRequest, parts: impl Stream<Item = &'static str> + 'static) -> HttpResponse {
    let parts = parts.map(|part| Ok::<_, Infallible>(web::Bytes::from(part.repeat(4096))));
    match LastingAnswer::to(request, parts) {
        Some(parts) => HttpResponse::Ok().force_close().streaming(parts),
        None => HttpResponse::ServiceUnavailable().finish(),
    }
}

async fn run(script: &[Do], reads: Reads, crowd: bool) -> (Course, String) {
    // the library keeps the date by a task of its own
    LocalSet::new().run_until(run_alone(script, reads, crowd)).await
}

async fn run_alone(script: &[Do], reads: Reads, crowd: bool) -> (Course, String) {
    let (mut client, server) = duplex(16 * 1024);
    let seats = Seats::new("server", 1, 32);
    let ending = Ending::default();
    let _others: Vec<_> = (0..if crowd { 20 } else { 0 }).map(|_| seats.take()).collect();
    let app = App::new()
        .route("/read", web::post().to(read))
        .route("/slow", web::get().to(slow))
        .route("/lasting", web::get().to(lasting))
        .route("/flood", web::get().to(flood))
        .route("/large", web::get().to(|| ready(HttpResponse::Ok().body("x".repeat(1 << 20)))))
        .default_service(web::to(HttpResponse::NotFound))
        .wrap(TellConnection);
    let service = HttpService::build()
        .keep_alive(KeepAlive::Os)
        .client_request_timeout(Duration::ZERO)
        .client_disconnect_timeout(Duration::ZERO)
        .on_connect_ext(|connection: &Connection<DuplexStream>, data| {
            data.insert(Rc::clone(connection.exchange()));
        })
        .h1(map_config(app.into_factory(), |()| AppConfig::default()))
        .new_service(())
        .await
        .unwrap();
    let began = Instant::now();
    let at = || began.elapsed().as_secs();
    let serve = async {
        let _ = service.call((Connection::new(server, seats.take(), &ending, BodyLimit::USUAL), None)).await;
        at()
    };
    let talk = async {
        let (mut receiver, mut sender) = split(&mut client);
        let send = async {
            for step in script {
                match step {
                    Send(text) => drop(sender.write_all(text.as_bytes()).await),
                    Drip(text) => {
                        while sender.write_all(text.as_bytes()).await.is_ok() {
                            sleep(Duration::from_secs(1)).await;
                        }
                    }
                    Flood(text) => while sender.write_all(text.as_bytes()).await.is_ok() {},
                    Wait(seconds) => sleep(Duration::from_secs(*seconds)).await,
                    HalfClose => sender.shutdown().await.unwrap(),
                    Begin => ending.begin(),
                    End => ending.close(),
                }
            }
        };
        let receive = async {
            let mut all = Vec::new();
            let mut one = [0];
            match reads {
                Reads::All => drop(receiver.read_to_end(&mut all).await),
                Reads::Nothing => sleep(Duration::from_hours(1)).await,
                Reads::Slowly => {
                    while receiver.read(&mut one).await.is_ok_and(|count| count > 0) {
                        sleep(Duration::from_secs(1)).await;
                    }
                }
            }
            (all, at())
        };
        tokio::join!(send, receive).1
    };
    let over = Rc::new(std::cell::Cell::new(0));
    let (all, closed) = tokio::join!(
        async {
            over.set(serve.await);
        },
        talk
    )
    .1;
    let text = String::from_utf8(all).unwrap();
    let status = |part: &str| part.get(..3).and_then(|status| status.parse().ok());
    let answers = text.split("HTTP/1.").skip(1).filter_map(|part| status(part.get(2..)?)).collect();
    (Course { answers, closed, over: over.get() }, text)
}

const GOOD: &str = "GET /x HTTP/1.1\r\nHost: a\r\n\r\n";
const CHUNKED: &str = "POST /read HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n";
const COUNTED: &str = "POST /read HTTP/1.1\r\nHost: a\r\nContent-Length: 100\r\n\r\n";
const CHUNKED_UNREAD: &str = "POST /x HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n";
const COUNTED_UNREAD: &str = "POST /x HTTP/1.1\r\nHost: a\r\nContent-Length: 100\r\n\r\n";
const CHUNKS: &str = "2\r\nab\r\n0\r\n\r\n";
const EXPECT: &str = "POST /read HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n";
const OLD: &str = "GET /x HTTP/1.0\r\n\r\n";
const OLD_KEPT: &str = "GET /x HTTP/1.0\r\nConnection: keep-alive\r\n\r\n";
const OLD_BODY: &str = "POST /read HTTP/1.0\r\nContent-Length: 100\r\n\r\n";
const LAST: &str = "GET /x HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";

type Row<'r> = (&'r str, &'r [Do], &'r [u16], u64, u64);

async fn check(rows: &[Row<'_>], crowd: bool) {
    let mut wrong = Vec::new();
    for (name, script, answers, closed, over) in rows {
        let course = run(script, Reads::All, crowd).await.0;
        let expected = Course { answers: answers.to_vec(), closed: *closed, over: *over };
        if course != expected {
            wrong.push(format!("{name}: {course:?} for {expected:?}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// The table of SECURITY.md.
#[tokio::test(start_paused = true)]
async fn every_connection_ends() {
    let rows: [Row<'_>; 44] = [
        ("silence", &[], &[], 75, 75),
        ("half a head", &[Send("GET / HT")], &[408], 5, 7),
        ("a slow head", &[Drip("G")], &[408], 5, 7),
        ("empty lines", &[Drip("\r\n")], &[], 75, 75),
        (
            "an empty line behind a request",
            &[Send(GOOD), Send("\r\n"), Wait(20), Send(GOOD)],
            &[404, 404],
            95,
            95,
        ),
        ("a head that begins late", &[Wait(70), Drip("G")], &[408], 75, 77),
        ("silence after an answer", &[Send(GOOD)], &[404], 75, 75),
        (
            "silence after some",
            &[Send(GOOD), Wait(20), Send(GOOD), Wait(20), Send(GOOD)],
            &[404, 404, 404],
            115,
            115,
        ),
        ("half a later head", &[Send(GOOD), Wait(20), Send("GET / HT")], &[404, 408], 25, 27),
        ("a slow later head", &[Send(GOOD), Wait(20), Drip("G")], &[404, 408], 25, 27),
        ("half a head sent ahead", &[Send(GOOD), Send("GET /")], &[404, 408], 5, 7),
        (
            "half a head in one piece with another",
            &[Send("GET /x HTTP/1.1\r\nHost: a\r\n\r\nGET /")],
            &[404, 408],
            5,
            7,
        ),
        ("a chunked body of which nothing comes", &[Send(CHUNKED)], &[408], 10, 12),
        ("a slow chunked body", &[Send(CHUNKED), Drip("1\r\na\r\n")], &[408], 10, 12),
        ("a slow size of a chunk", &[Send(CHUNKED), Drip("0")], &[408], 10, 12),
        ("a slow extension", &[Send(CHUNKED), Send("1;"), Drip("x")], &[408], 10, 12),
        ("trailers without an end", &[Send(CHUNKED), Send("0\r\n"), Drip("a: b\r\n")], &[408], 10, 12),
        ("a counted body of which nothing comes", &[Send(COUNTED)], &[408], 10, 12),
        ("a slow counted body", &[Send(COUNTED), Drip("a")], &[408], 10, 12),
        (
            "a later slow chunked body",
            &[Send(GOOD), Wait(20), Send(CHUNKED), Drip("1\r\na\r\n")],
            &[404, 408],
            30,
            32,
        ),
        ("a later slow counted body", &[Send(GOOD), Wait(20), Send(COUNTED), Drip("a")], &[404, 408], 30, 32),
        ("a body after 100 Continue", &[Send(EXPECT), Wait(1), Send("ab")], &[100, 200], 76, 76),
        ("no body after 100 Continue", &[Send(EXPECT)], &[100, 408], 10, 12),
        ("an unread chunked body of which nothing comes", &[Send(CHUNKED_UNREAD)], &[404], 0, 2),
        ("an unread slow chunked body", &[Send(CHUNKED_UNREAD), Drip("1\r\na\r\n")], &[404], 0, 2),
        ("an unread counted body of which nothing comes", &[Send(COUNTED_UNREAD)], &[404], 0, 2),
        ("an unread slow counted body", &[Send(COUNTED_UNREAD), Drip("a")], &[404], 0, 2),
        ("a later unread chunked body", &[Send(GOOD), Wait(20), Send(CHUNKED_UNREAD)], &[404, 404], 20, 22),
        ("a later unread counted body", &[Send(GOOD), Wait(20), Send(COUNTED_UNREAD)], &[404, 404], 20, 22),
        ("a body that is there", &[Send(CHUNKED), Send(CHUNKS), Wait(20), Send(GOOD)], &[200, 404], 95, 95),
        ("HTTP/1.0", &[Send(OLD)], &[404], 0, 0),
        ("HTTP/1.0, half a head", &[Send("GET /x HTTP/1.0\r\n")], &[408], 5, 7),
        ("HTTP/1.0, kept alive", &[Send(OLD_KEPT), Wait(20), Drip("G")], &[404, 408], 25, 27),
        ("HTTP/1.0, a slow body", &[Send(OLD_BODY), Drip("a")], &[408], 10, 12),
        ("the last request", &[Send(LAST)], &[404], 0, 0),
        ("a client that sends no more", &[Send(GOOD), HalfClose], &[404], 0, 0),
        ("a client that sends no more of a head", &[Send("GET / HT"), HalfClose], &[], 0, 0),
        ("what is no HTTP", &[Send("\u{16}\u{3}\u{1}"), Drip("x")], &[400], 0, 2),
        (
            "two lengths",
            &[
                Send("POST /x HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n"),
                Drip("x"),
            ],
            &[400],
            0,
            2,
        ),
        ("a line feed alone behind chunks", &[Send(CHUNKED), Send("0\r\n\n"), Send(GOOD)], &[400], 0, 2),
        (
            "a line feed alone behind a trailer",
            &[Send(CHUNKED), Send("0\r\na: b\n\r\n"), Send(GOOD)],
            &[400],
            0,
            2,
        ),
        ("a line feed alone, unread", &[Send(CHUNKED_UNREAD), Send("0\r\n\n"), Send(GOOD)], &[404], 0, 2),
        (
            "a tunnel",
            &[
                Send("CONNECT a:1 HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello"),
                Send(GOOD),
                Drip("x"),
            ],
            &[404],
            0,
            2,
        ),
        ("a slow handler", &[Send("GET /slow HTTP/1.1\r\nHost: a\r\n\r\n")], &[200], 195, 195),
    ];
    check(&rows, false).await;
}

#[tokio::test(start_paused = true)]
async fn connections_end_sooner_in_a_crowd() {
    let rows: [Row<'_>; 9] = [
        ("silence", &[], &[], 1, 1),
        ("half a head", &[Send("GET / HT")], &[408], 3, 3),
        ("a slow later head", &[Send(GOOD), Drip("G")], &[404], 0, 0),
        ("silence after an answer", &[Send(GOOD)], &[404], 0, 0),
        ("a chunked body of which nothing comes", &[Send(CHUNKED)], &[408], 5, 5),
        ("a slow counted body", &[Send(COUNTED), Drip("a")], &[408], 5, 5),
        ("an unread chunked body", &[Send(CHUNKED_UNREAD), Drip("1\r\na\r\n")], &[404], 0, 0),
        ("one good request after the other", &[Drip("GET /x HTTP/1.1\r\nHost: a\r\n\r\n")], &[404], 0, 0),
        ("HTTP/1.0, kept alive", &[Send(OLD_KEPT)], &[404], 0, 0),
    ];
    check(&rows, true).await;
}

/// What has come is answered, and nobody is waited for.
#[tokio::test(start_paused = true)]
async fn connections_end_with_the_server() {
    const SLOW: &str = "GET /slow HTTP/1.1\r\nHost: a\r\n\r\n";
    let rows: [Row<'_>; 15] = [
        ("silence before a request", &[Wait(3), End], &[], 3, 3),
        ("silence after an answer", &[Send(GOOD), Wait(3), End], &[404], 3, 3),
        ("silence after an answer of just now", &[Wait(3), Send(GOOD), End], &[404], 3, 3),
        ("a connection that comes late", &[End], &[], 1, 1),
        ("its first request", &[End, Send(GOOD)], &[404], 0, 0),
        ("its first request, too late", &[End, Wait(2), Send(GOOD)], &[], 1, 1),
        ("a request that has come by then", &[Wait(1), Send(GOOD), End], &[404], 1, 1),
        ("a second one", &[Send(GOOD), Wait(1), Send(GOOD), End], &[404, 404], 1, 1),
        ("a request in flight", &[Send(SLOW), Wait(1), End], &[200], 120, 120),
        ("half a head", &[Send("GET / HT"), Wait(1), End], &[408], 5, 7),
        (
            "a head that goes on",
            &[Send("GET /x HT"), Wait(1), End, Wait(1), Send("TP/1.1\r\nHost: a\r\n\r\n")],
            &[404],
            2,
            2,
        ),
        ("a body that goes on", &[Send(CHUNKED), Wait(1), End, Wait(1), Send(CHUNKS)], &[200], 2, 2),
        ("an answer while clients go elsewhere", &[Begin, Send(GOOD)], &[404], 0, 0),
        ("silence while clients go elsewhere", &[Begin, Wait(10), Send(GOOD)], &[404], 10, 10),
        (
            "in flight while clients go elsewhere",
            &[Send(SLOW), Wait(1), Begin, Wait(1), End],
            &[200],
            120,
            120,
        ),
    ];
    check(&rows, false).await;
    for script in [&[Begin, Send(GOOD)][..], &[Send(SLOW), Wait(1), Begin], &[Send(SLOW), Wait(1), End]] {
        let text = run(script, Reads::All, false).await.1.to_lowercase();
        assert!(text.contains("\r\nconnection: close\r\n"), "{text}");
    }
}

#[tokio::test(start_paused = true)]
async fn an_answer_that_is_not_read_ends_the_connection() {
    const LARGE: &str = "GET /large HTTP/1.1\r\nHost: a\r\n\r\n";
    for (name, script, reads, crowd, over) in [
        ("not read", Send(LARGE), Reads::Nothing, false, 30),
        ("read slowly", Send(LARGE), Reads::Slowly, false, 30),
        ("not read, in a crowd", Send(LARGE), Reads::Nothing, true, 5),
        ("many, not read", Flood(GOOD), Reads::Nothing, false, 30),
    ] {
        eprintln!("{name}");
        assert_eq!(run(&[script], reads, crowd).await.0.over, over, "{name}");
    }
    let (course, text) = run(&[Send(LARGE)], Reads::All, false).await;
    assert_eq!((course.over, text.len() > 1 << 20), (75, true), "read at once");
}

/// Nothing is answered behind the last request, and nothing behind a body that was not read.
#[tokio::test(start_paused = true)]
async fn nothing_is_answered_behind_the_last_answer() {
    let too_long: &'static str = format!(
        "POST /read HTTP/1.1\r\nHost: a\r\nContent-Length: 20000\r\n\r\n{}{GOOD}",
        "x".repeat(20_000)
    )
    .leak();
    let many_extensions: &'static str =
        format!("{CHUNKED}{}0\r\n\r\n{GOOD}", format!("1;{}\r\na\r\n", "e".repeat(4000)).repeat(30)).leak();
    let one_extension: &'static str = format!("{CHUNKED}1;{}", "e".repeat(70_000)).leak();
    let trailers: &'static str = format!("{CHUNKED}0\r\n{}", "a: b\r\n".repeat(20_000)).leak();
    let rows: [Row<'_>; 9] = [
        (
            "behind the last",
            &[Send(
                "GET /x HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\nGET /x HTTP/1.1\r\nHost: a\r\n\r\n",
            )],
            &[404],
            0,
            2,
        ),
        ("behind HTTP/1.0", &[Send("GET /x HTTP/1.0\r\n\r\nGET /x HTTP/1.0\r\n\r\n")], &[404], 0, 2),
        ("behind a body that is too long", &[Send(too_long)], &[413], 0, 2),
        ("chunks of extensions", &[Send(many_extensions)], &[413], 0, 2),
        ("an extension without an end", &[Send(one_extension)], &[413], 0, 2),
        ("trailers without an end", &[Send(trailers)], &[413], 0, 2),
        ("behind an unread body", &[Send(COUNTED_UNREAD), Send(GOOD)], &[404], 0, 2),
        (
            "three at once",
            &[Send(
                "GET /x HTTP/1.1\r\nHost: a\r\n\r\nGET /x HTTP/1.1\r\nHost: a\r\n\r\nGET /x HTTP/1.1\r\nHost: a\r\n\r\n",
            )],
            &[404, 404, 404],
            75,
            75,
        ),
        ("behind a good body", &[Send(CHUNKED), Send(CHUNKS), Send(GOOD)], &[200, 404], 75, 75),
    ];
    check(&rows, false).await;
}

#[tokio::test(start_paused = true)]
async fn rfc9110_7_8_an_upgrade_is_ignored() {
    for lines in [
        "Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAAP__",
        "Connection: upgrade",
        "Connection: keep-alive, Upgrade\r\nUpgrade: TLS/1.2",
        "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
        "Upgrade: websocket",
    ] {
        for (line, body, status) in [("GET /x", "", 404), ("POST /read", "hello", 200)] {
            let length = body.len();
            let request =
                format!("{line} HTTP/1.1\r\nHost: a\r\n{lines}\r\nContent-Length: {length}\r\n\r\n{body}");
            let both: &'static str = request.leak();
            let (course, text) = run(&[Send(both), Wait(1), Send(both)], Reads::All, false).await;
            let expected = Course { answers: vec![status, status], closed: 76, over: 76 };
            assert_eq!(course, expected, "{line} with {lines}");
            assert!(!text.to_lowercase().contains("connection:"), "{text}");
        }
    }
}

const LASTING: &str = "GET /lasting HTTP/1.1\r\nHost: a\r\n\r\n";
const FLOOD: &str = "GET /flood HTTP/1.1\r\nHost: a\r\n\r\n";

#[tokio::test(start_paused = true)]
async fn an_answer_that_lasts_ends_with_its_client_or_the_server() {
    let rows: [Row<'_>; 4] = [
        ("longer than any work", &[Send(LASTING), Wait(1000), End], &[200], 1000, 1000),
        ("a client that sends no more", &[Send(LASTING), Wait(401), HalfClose], &[200], 401, 401),
        ("a drain", &[Send(LASTING), Wait(3), Begin, Wait(40), End], &[200], 43, 43),
        ("no further request", &[Send(LASTING), Wait(3), Send(GOOD), Wait(3), End], &[200], 6, 8),
    ];
    check(&rows, false).await;
    check(&[("a crowd", &[Send(LASTING)], &[503], 0, 0)], true).await;
}

/// It ends whatever the client does, and a client that reads has all the time.
#[tokio::test(start_paused = true)]
async fn an_answer_that_lasts_waits_for_nobody_who_does_not_read() {
    for (name, script, reads, over) in [
        ("nothing is read", &[Send(FLOOD)][..], Reads::Nothing, 30),
        ("nothing is read, and the server ends", &[Send(FLOOD), Wait(10), End], Reads::Nothing, 10),
        ("a byte each second, and the server ends", &[Send(FLOOD), Wait(1000), End], Reads::Slowly, 1000),
    ] {
        assert_eq!(run(script, reads, false).await.0.over, over, "{name}");
    }
}
