//! `jeton decisions`: a decision log as people read it.
use std::{
    fmt::Write as _,
    io::{BufRead, BufReader, Write as _},
    process::{Command, Stdio},
};

use jeton_oauth::clock::{Clock, SystemClock};
use jiff::SignedDuration;
use serde_json::{Value, json};

use crate::{binary::Workplace, support::terminal};

fn line(change: &Value) -> String {
    let mut line = json!({
        "time": "2026-11-23T12:00:00.5Z", "id": "one", "api": "orders", "method": "GET",
        "path": "/tenants/acme/orders", "allowed": true, "rule": "read", "reason": "met",
        "client": "acme-sync", "jti": "j", "issued_at": 1_795_000_000,
        "audience": ["https://orders.example.com"], "scopes": ["orders:read"], "roles": [],
        "claims": { "tenant": "acme" },
    });
    for (name, value) in change.as_object().unwrap() {
        line[name] = value.clone();
    }
    line.as_object_mut().unwrap().retain(|_, value| !value.is_null());
    format!("{line}\n")
}

fn denied() -> String {
    line(
        &json!({ "client": "globex-sync", "allowed": false, "rule": "refund", "reason": "not-met", "detail": "missing: scope: orders:refund" }),
    )
}

fn without_token() -> String {
    line(&json!({
        "time": "2026-11-24T12:00:00Z", "client": null, "jti": null, "issued_at": null, "audience": null,
        "scopes": null, "claims": null, "allowed": false, "rule": null, "reason": "no-token",
    }))
}

const DROPPED: &str = "{\"dropped\":7,\"time\":\"2026-11-24T13:00:00Z\"}\n";

fn workplace(log: &str) -> Workplace {
    let workplace = Workplace::empty();
    workplace.write("log", log);
    workplace
}

#[test]
fn each_decision_is_a_line() {
    let workplace = workplace(&(line(&json!({})) + &denied() + &without_token() + DROPPED));
    let run = workplace.run(&["decisions", "log"]).exits(0);
    let expected = "\
2026-11-23T12:00:00.5Z      allowed acme-sync        orders     GET /tenants/acme/orders  read
2026-11-23T12:00:00.5Z      denied  globex-sync      orders     GET /tenants/acme/orders  refund: missing: scope: orders:refund
2026-11-24T12:00:00Z        denied  -                orders     GET /tenants/acme/orders  no-token
7 decisions are missing here: the server could not write them
";
    assert_eq!((run.stdout.as_str(), run.stderr.as_str()), (expected, ""));
}

#[test]
fn decisions_are_chosen_by_time_client_and_answer() {
    let log = line(&json!({})) + &denied() + &without_token() + DROPPED;
    let workplace = workplace(&log);
    for (options, expected) in [
        (&["--denied"][..], &["globex-sync", " - ", "7 decisions"][..]),
        (&["--client", "acme-sync"], &["acme-sync", "7 decisions"]),
        (&["--client", "acme"], &["7 decisions"]),
        (&["--client", "acme-sync", "--denied"], &["7 decisions"]),
        (&["--since", "2026-11-23T12:00:00.5Z"], &["acme-sync", "globex-sync", " - ", "7 decisions"]),
        (&["--since", "2026-11-23T12:00:00.6Z"], &[" - ", "7 decisions"]),
        (&["--since", "2026-11-24T13:00:00+01:00"], &[" - ", "7 decisions"]),
        (&["--since", "2026-11-24T12:00:01Z"], &[]),
        (&["--since", "2026-11-24T12:00:00Z", "--denied", "--client", "acme-sync"], &["7 decisions"]),
        (&["--since", "36500d"], &["acme-sync", "globex-sync", " - ", "7 decisions"]),
    ] {
        let run = workplace.run(&[&["decisions", "log"], options].concat()).exits(0);
        let lines: Vec<_> = run.stdout.lines().collect();
        assert_eq!(lines.len(), expected.len(), "{options:?}: {lines:#?}");
        let as_expected = lines.iter().zip(expected).all(|(line, expected)| line.contains(expected));
        assert!(as_expected, "{options:?}: {lines:#?}");
    }
}

#[test]
fn a_duration_is_counted_back_from_now() {
    let ago = |seconds| (SystemClock.now() - SignedDuration::from_secs(seconds)).to_string();
    let log = [5000, 3500, 10].map(|seconds| line(&json!({ "time": ago(seconds) }))).concat();
    let workplace = workplace(&log);
    for (since, count) in [("1h", 2), ("90m", 3), ("1m", 1), ("0s", 0)] {
        let run = workplace.run(&["decisions", "log", "--since", since]).exits(0);
        assert_eq!(run.stdout.lines().count(), count, "{since}");
    }
    for bad in ["yesterday", "2026-11-23", "1w", ""] {
        workplace.run(&["decisions", "log", "--since", bad]).exits(2).says(&["a duration such as `1h`"]);
    }
}

#[test]
fn programs_get_the_lines_themselves() {
    let log = line(&json!({})) + &denied() + DROPPED;
    let workplace = workplace(&log);
    assert_eq!(workplace.run(&["decisions", "log", "--format", "json"]).exits(0).stdout, log);
    let run = workplace.run(&["decisions", "log", "--format", "json", "--denied"]).exits(0);
    assert_eq!(run.stdout, denied() + DROPPED);
    let run = workplace.run_with_input(&["decisions", "-", "--format", "json"], &log).exits(0);
    assert_eq!(run.stdout, log);
}

#[test]
fn a_line_that_cannot_be_read_is_told_and_passed_over() {
    let good = line(&json!({}));
    for (name, bad, says) in [
        ("no JSON", "nonsense\n".to_owned(), "log:2: "),
        ("a blank line", "\n".to_owned(), "log:2: "),
        ("no decision", "{}\n".to_owned(), "log:2: `time` is missing"),
        ("another time", line(&json!({ "time": "noon" })), "log:2: `time`: "),
        ("a line break too early", "{\"time\":\"\n".to_owned(), "log:2: "),
        ("a long line", format!("{}\n", "x".repeat(3 * 1024 * 1024)), "log:2: the line is longer than 1 MiB"),
    ] {
        let workplace = workplace(&format!("{good}{bad}{good}"));
        let run = workplace.run(&["decisions", "log"]).exits(1);
        let run = run.says(&[says, "error: 1 of 3 lines of log are not lines of a decision log"]);
        assert_eq!(run.stdout.lines().count(), 2, "{name}: {run:#?}");
    }
    // however many there are
    let workplace = workplace(&"x\n".repeat(1000));
    let run = workplace.run(&["decisions", "log"]).exits(1).says(&["error: 1000 of 1000 lines"]);
    assert_eq!(run.stderr.lines().count(), 11, "{run:#?}");
    workplace.run(&["decisions", "absent"]).exits(1).says(&["absent cannot be read"]);
    workplace.run(&["decisions", "."]).exits(1).says(&[". cannot be read"]);
}

#[test]
fn a_last_line_that_is_being_written_is_passed_over() {
    let good = line(&json!({}));
    let workplace = workplace(&format!("{good}{{\"time\":\"2026-"));
    let run =
        workplace.run(&["decisions", "log"]).exits(0).says(&["note: log:2: the last line is passed over"]);
    assert_eq!(run.stdout.lines().count(), 1);
    // one that only lacks its end is whole
    workplace.write("log", good.trim_end());
    assert_eq!(workplace.run(&["decisions", "log"]).exits(0).stdout.lines().count(), 1);
    // one that is too long for a decision is not
    workplace.write("log", &"x".repeat(2 * 1024 * 1024));
    workplace.run(&["decisions", "log"]).exits(1).says(&["log:1: the line is longer than 1 MiB"]);
    workplace.write("log", "");
    assert_eq!(workplace.run(&["decisions", "log"]).exits(0).stdout, "");
}

#[test]
fn names_in_a_log_do_no_harm_to_a_terminal() {
    let workplace =
        workplace(&line(&json!({ "path": "/\u{1b}[2J\u{202e}\n::error::x", "reason": "a\u{7}" })));
    for format in ["text", "json"] {
        let run = workplace.run(&["decisions", "log", "--format", format]).exits(0);
        assert_eq!(run.stdout.lines().count(), 1, "{run:#?}");
        assert!(!run.stdout.contains(['\u{1b}', '\u{202e}', '\u{7}']), "{run:#?}");
    }
}

#[test]
fn a_long_log_is_a_stream_and_a_closed_pipe_ends_it() {
    let mut log = String::new();
    for number in 0..50_000 {
        let time = format!("2026-11-23T12:00:{:02}Z", number % 60);
        write!(log, "{}", line(&json!({ "time": time }))).unwrap();
    }
    let workplace = workplace(&log);
    let run = workplace.run_in_little_memory(&["decisions", "log"]).exits(0);
    assert_eq!(run.stdout.lines().count(), 50_000);
    let run = workplace.run_unread(&["decisions", "log"]).exits(0);
    assert_eq!(run.stderr, "");
}

#[test]
fn a_line_is_shown_as_soon_as_it_comes() {
    let mut command = Command::new(env!("CARGO_BIN_EXE_jeton"));
    command.args(["decisions", "-"]).stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut child = command.spawn().unwrap();
    let mut input = child.stdin.take().unwrap();
    let mut shown = BufReader::new(child.stdout.take().unwrap()).lines();
    for _ in 0..3 {
        // the next one is written after this one was read
        input.write_all(line(&json!({})).as_bytes()).unwrap();
        assert!(shown.next().unwrap().unwrap().contains("acme-sync"));
    }
    drop(input);
    assert!(child.wait().unwrap().success());
}

#[test]
fn a_terminal_shows_the_answer_in_colours() {
    let workplace = workplace(&(line(&json!({})) + &denied()));
    let seen = terminal::run(&workplace.path(""), &["decisions", "log"], "");
    assert_eq!(seen.code, Some(0), "{seen:?}");
    assert!(
        seen.text.contains("\u{1b}[32mallowed") && seen.text.contains("\u{1b}[1m\u{1b}[31mdenied"),
        "{seen:?}"
    );
}
