//! The lines of a request in the log, in process: jeton's two formats against those of the library.
#![allow(
    missing_docs,
    clippy::pedantic,
    clippy::restriction,
    reason = "a measurement may stop at the first surprise"
)]

#[path = "support/median.rs"]
mod median;
#[path = "support/process.rs"]
mod process;

use std::{
    env,
    hint::black_box,
    process::{Command, Stdio},
};

use jeton::config::{LogFormat, LogSettings};
use tracing::{Level, info, info_span};
use tracing_subscriber::fmt;

/// The ways to write a line. Each is measured in processes of its own, because a process has one log.
const WRITERS: [&str; 4] = ["jeton, pretty", "library, pretty", "jeton, JSON", "library, JSON"];
/// Requests in a turn.
const REQUESTS: u32 = 100_000;
/// Turns; the writers take them one after the other, so that a machine that slows down slows all of them.
const TURNS: usize = 7;

fn main() {
    if let Some(writer) = env::args().find(|argument| WRITERS.contains(&argument.as_str())) {
        return measure(&writer);
    }
    let mut nanos: [Vec<f64>; WRITERS.len()] = Default::default();
    for _ in 0..TURNS {
        for (writer, nanos) in WRITERS.iter().zip(&mut nanos) {
            nanos.push(turn_of(writer));
        }
    }
    println!("a span and two lines to a file, CPU time of all threads for one request");
    for (writer, mut nanos) in WRITERS.iter().zip(nanos) {
        println!("  {writer:<20} {:>8.0} ns", median::median(&mut nanos));
    }
}

/// One turn in a process of its own, whose standard error is a file.
fn turn_of(writer: &str) -> f64 {
    let log = tempfile::tempfile().unwrap();
    let turn = Command::new(env::current_exe().unwrap())
        .arg(writer)
        .stderr(Stdio::from(log.try_clone().unwrap()))
        .output()
        .unwrap();
    assert!(turn.status.success(), "{writer}");
    assert!(log.metadata().unwrap().len() > u64::from(2 * REQUESTS) * 100, "{writer} wrote the lines");
    String::from_utf8(turn.stdout).unwrap().trim().parse().unwrap()
}

fn measure(writer: &str) {
    let jeton = |format| {
        jeton::telemetry::init_log(&LogSettings { format, level: Level::INFO, decisions: None }, None);
    };
    let library = fmt::fmt().with_writer(std::io::stderr).with_target(false).with_ansi(false);
    match writer {
        "jeton, pretty" => jeton(LogFormat::Pretty),
        "jeton, JSON" => jeton(LogFormat::Json),
        "library, pretty" => library.init(),
        "library, JSON" => library.json().flatten_event(true).init(),
        _ => unreachable!("one of WRITERS"),
    }
    (0..REQUESTS / 10).for_each(|_| request());
    let before = process::cpu_nanos("self");
    (0..REQUESTS).for_each(|_| request());
    println!("{}", (process::cpu_nanos("self") - before) / f64::from(REQUESTS));
}

/// What the log has of one request for a token.
fn request() {
    let id = black_box("0b8f1c3e-52a4-4f6e-9d53-1c2f4f9a7e10");
    let peer = std::net::IpAddr::from([127, 0, 0, 1]);
    let span = info_span!("request", id, peer = display(&peer));
    let _entered = span.enter();
    info!(
        name: "token.issued",
        jti = black_box("6pZ1cYf0hQ2sKk3mJt4wVg"),
        client = "acme-sync",
        subject = "acme-sync",
        api = "orders",
        scopes = "orders:read orders:refund orders:write",
        ttl = 900,
        kid = "lV2rYQ0mJc3b1o4kZs8xN5tQe7uWg9yHfD6aPiRvTXE",
        "token.issued"
    );
    info!(name: "request", method = "POST", path = "/oauth2/token", status = 200_u16, ms = 0.312, "request");
}
