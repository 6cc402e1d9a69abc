//! What the two forms of a line say.

use std::{
    io::Write,
    sync::{Arc, Mutex},
};

use serde_json::Value;

use tracing_subscriber::{fmt, layer::SubscriberExt, registry};

use super::{LineForm, SpanTexts};
use crate::event;

#[derive(Clone, Default)]
struct CapturedLines(Arc<Mutex<Vec<u8>>>);

impl Write for CapturedLines {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

fn written(emit: impl FnOnce(), start: impl FnOnce(CapturedLines) -> tracing::Dispatch) -> String {
    let captured = CapturedLines::default();
    tracing::dispatcher::with_default(&start(captured.clone()), emit);
    String::from_utf8(captured.0.lock().unwrap().clone()).unwrap()
}

/// Writes lines of a form.
fn lines(form: LineForm, to: CapturedLines) -> tracing::Dispatch {
    let lines = fmt::layer().event_format(form).with_writer(move || to.clone());
    registry().with(SpanTexts(form)).with(lines).into()
}

/// What a line says behind its time.
fn logged(emit: impl FnOnce()) -> String {
    let text = written(emit, |to| lines(LineForm::Line { is_coloured: false }, to));
    let (time, rest) = text.split_once(' ').unwrap();
    assert!(time.len() == 24 && time.ends_with('Z'), "{time}");
    rest.to_owned()
}

/// The line as JSON, which must be one.
fn logged_json(emit: impl FnOnce()) -> (String, Value) {
    let text = written(emit, |to| lines(LineForm::Json, to));
    let line = text.strip_suffix('\n').unwrap();
    assert!(!line.contains('\n'), "{line}");
    (line.to_owned(), serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}")))
}

#[test]
fn a_line_has_its_event_its_fields_and_the_request() {
    let line = logged(|| {
        let _request = tracing::info_span!("request", id = "7f").entered();
        tracing::info!(client = "acme-sync", scopes = "a b", ttl = 900_u64, "token.issued");
    });
    assert_eq!(line, "INFO token.issued client=acme-sync scopes=\"a b\" ttl=900 id=7f\n");
}

#[test]
fn nothing_that_a_caller_sends_starts_a_line_of_its_own() {
    let hostile = "x\nERROR forged \u{1b}[31m";
    let line = logged(|| tracing::info!(text = hostile, shown = %hostile, debug = ?hostile, "{hostile}"));
    assert_eq!(line.matches('\n').count(), 1, "{line}");
    assert!(!line.contains('\u{1b}'), "{line}");
}

#[test]
fn a_line_of_json_is_flat_and_has_its_event_the_request_and_its_fields() {
    let (line, value) = logged_json(|| {
        let _request = tracing::info_span!("request", id = "7f", peer = "::1").entered();
        let nothing: Option<&str> = None;
        tracing::info!(
            name: "token.issued", message = "token.issued", client = "acme-sync", ttl = 900_u64, left = -3_i64,
            reused = true, ms = 1.25, nothing, shown = %"x y"
        );
    });
    let time = value["time"].as_str().unwrap();
    assert!(time.len() == 24 && time.ends_with('Z'), "{time}");
    let expected = format!(
        r#"{{"time":"{time}","level":"INFO","event":"token.issued","id":"7f","peer":"::1","client":"acme-sync","ttl":900,"left":-3,"reused":true,"ms":1.250,"shown":"x y"}}"#
    );
    assert_eq!(line, expected);
}

#[test]
fn addresses_stand_where_somebody_asks() {
    /// The line of an event in a request; the name of an event is fixed where it stands.
    macro_rules! line {
        ($name:literal, $logged:ident) => {
            $logged(|| {
                let request = tracing::info_span!(
                    "request",
                    id = "7f",
                    trace_id = tracing::field::Empty,
                    peer = "::1",
                    client_address = tracing::field::Empty,
                    otel.kind = "server"
                );
                request.record("client_address", "::2");
                request.record("trace_id", "4bf9");
                request.in_scope(|| tracing::info!(name: $name, message = $name, a = 1));
            })
        };
    }
    macro_rules! check {
        ($($name:literal: $is_told:literal,)*) => {$(
            let line = line!($name, logged);
            let addresses = if $is_told { " peer=::1 client_address=::2" } else { "" };
            assert_eq!(line, format!("INFO {} a=1 id=7f trace_id=4bf9{addresses}\n", $name));
            let (line, _) = line!($name, logged_json);
            let addresses = if $is_told { r#","peer":"::1","client_address":"::2""# } else { "" };
            let told = format!(r#""event":"{}","id":"7f","trace_id":"4bf9"{addresses},"a":1}}"#, $name);
            assert!(line.ends_with(&told), "{line}");
        )*};
    }
    check! {
        "request": true,
        "token.issued": true,
        "token.refused": true,
        "decision.denied": true,
        "decision.differs": true,
        "requests": false,
        "tokens.x": false,
        "decisions.dropped": false,
        "introspection.refused": false,
        "revocation.refused": false,
        "policies.reloaded": false,
        "keys.rejected": false,
        "panicked": false,
    }
}

#[test]
fn what_actix_says_is_never_an_error_of_ours() {
    let actix = || tracing::error!(target: "actix_http::h1::dispatcher", "stream error");
    assert_eq!(logged(actix), "DEBUG stream error\n");
    assert_eq!(logged_json(actix).1["level"], "DEBUG");
    let ours = || tracing::error!(target: "jeton_actix::span", "x");
    assert_eq!(logged(ours), "ERROR x\n");
}

#[test]
fn the_message_is_what_is_said_behind_the_name_of_the_event() {
    #[track_caller]
    fn is(emit: impl FnOnce(), event: &str, message: Option<&str>) {
        let (line, value) = logged_json(emit);
        let told = (value["event"].as_str().unwrap(), value.get("message").map(|it| it.as_str().unwrap()));
        assert_eq!(told, (event, message), "{line}");
        assert_eq!(line.matches("\"message\":").count(), usize::from(message.is_some()), "{line}");
    }
    let rejected = event::PoliciesRejected { trigger: "poll", count: 1 };
    is(|| rejected.error(), "policies.rejected", Some("the last good ones stay in force"));
    is(|| event::Stopped {}.info(), "stopped", None);
    is(|| tracing::warn!(name: "a.b", message = "a.b: c: d"), "a.b", Some("c: d"));
    is(|| tracing::warn!(name: "a.b", message = "a.bc"), "a.b", Some("a.bc"));
    is(|| tracing::warn!(name: "a.b", "c: d"), "a.b", Some("c: d"));
    let quotes = "a.b: \"x\"\n\\ \u{202e}y";
    is(|| tracing::warn!(name: "a.b", message = quotes), "a.b", Some("\"x\"\\n\\ \\u{202e}y"));
    // what libraries say
    let here = "jeton.telemetry.log.tests";
    is(|| tracing::info!("policies.rejected: no"), here, Some("policies.rejected: no"));
    is(|| tracing::info!(message = "stopped"), here, Some("stopped"));
    is(|| tracing::info!("starting 2 workers"), here, Some("starting 2 workers"));
    is(|| tracing::info!("Error: x"), here, Some("Error: x"));
    is(|| tracing::info!(target: "other", ": x"), "other", Some(": x"));
    is(|| tracing::info!(target: "o\"\u{202e}", "X"), "o\"\\u{202e}", Some("X"));
    is(|| tracing::info!(target: "other", field = 1), "other", None);
}

#[test]
fn numbers_are_numbers_and_whatever_else_is_text() {
    let (line, value) = logged_json(|| {
        tracing::info!(
            name: "numbers", most = u64::MAX, least = i64::MIN, small = 0.0625, whole = 2.0, none = f64::NAN,
            endless = f64::INFINITY,
            some = Some(7_usize), no = false, text = "7", shown = %7
        );
    });
    for (name, written) in [
        ("most", "18446744073709551615"),
        ("least", "-9223372036854775808"),
        ("small", "0.062"),
        ("whole", "2.000"),
        ("none", "\"NaN\""),
        ("endless", "\"inf\""),
        ("some", "7"),
        ("no", "false"),
        ("text", "\"7\""),
        ("shown", "\"7\""),
    ] {
        assert!(line.contains(&format!("\"{name}\":{written}")), "{name}: {line}");
    }
    assert_eq!(value.as_object().unwrap().len(), 3 + 10, "{line}");
}

#[test]
fn both_forms_of_an_event_say_the_same() {
    let words = "x.y: \"some\" words";
    let emit =
        || tracing::warn!(name: "x.y", message = words, ms = 0.5, count = 3, is = true, detail = "a b");
    assert_eq!(logged(emit), "WARN x.y: \"some\" words ms=0.500 count=3 is=true detail=\"a b\"\n");
    let (line, _) = logged_json(emit);
    let said = r#""level":"WARN","event":"x.y","message":"\"some\" words","ms":0.500,"count":3,"is":true,"detail":"a b"}"#;
    assert!(line.ends_with(said), "{line}");
}

#[test]
fn only_the_level_has_a_colour_and_only_where_it_is_asked_for() {
    let coloured = |emit: fn()| written(emit, |to| lines(LineForm::Line { is_coloured: true }, to));
    for (emit, level) in [
        (|| tracing::error!(a = "\u{1b}[1m", "b"), "\u{1b}[31mERROR\u{1b}[0m"),
        (|| tracing::warn!(a = "\u{1b}[1m", "b"), "\u{1b}[33mWARN\u{1b}[0m"),
        (|| tracing::info!(a = "\u{1b}[1m", "b"), "\u{1b}[32mINFO\u{1b}[0m"),
    ] as [(fn(), &str); 3]
    {
        let line = coloured(emit);
        assert!(line.contains(&format!("Z {level} b a=")), "{line:?}");
        assert_eq!(line.matches('\u{1b}').count(), 2, "{line:?}");
        assert!(!logged(emit).contains('\u{1b}'));
    }
}

#[test]
fn no_value_holds_what_is_not_seen() {
    let unseen = "\0\n\r\u{1b}[31m\u{7f}\u{85}\u{9b}31m\u{ad}\u{61c}\u{200b}\u{200e}\u{2028}\u{202e}\u{2066}\u{feff}\u{e0041}";
    for text in [unseen.to_owned(), format!("a {unseen} b"), format!("\"\\{unseen}")] {
        let emit = || tracing::info!(detail = text, shown = %text, debug = ?text, "{text}");
        let line = logged(emit);
        assert!(line.trim_end_matches('\n').chars().all(|c| matches!(c, ' '..='~')), "{line}");
        assert!(line.contains("\\u{202e}"), "{line}");
        let (line, value) = logged_json(emit);
        assert!(line.chars().all(|c| matches!(c, ' '..='~')), "{line}");
        // nor does what a program makes of the line
        for name in ["detail", "shown", "debug", "message"] {
            let value = value[name].as_str().unwrap();
            assert!(value.chars().all(|c| matches!(c, ' '..='~')), "{value}");
            assert!(value.contains("\\u{202e}"), "{value}");
        }
    }
}

#[test]
fn no_value_is_an_order_to_a_ci_system() {
    let order = "##vso[task.setvariable variable=a]b";
    let emit = || tracing::info!(detail = order, shown = %order, "{order}");
    assert!(!logged(emit).contains("##"));
    assert!(!logged_json(emit).0.contains("##"));
}

#[test]
fn a_long_value_is_cut() {
    for (length, c) in [(1, 'x'), (256, 'x'), (257, 'x'), (20_000, 'x'), (20_000, 'é'), (20_000, '\u{202e}')]
    {
        let text = c.to_string().repeat(length);
        let emit =
            || tracing::info!(detail = text, client = text, shown = %text, finding = text, scopes = text);
        let (_, value) = logged_json(emit);
        for (name, longest) in
            [("detail", 256), ("client", 512), ("shown", 512), ("finding", 4096), ("scopes", usize::MAX)]
        {
            let kept = c.to_string().repeat(length.min(longest)).replace('\u{202e}', "\\u{202e}");
            let end = if length > longest { "…" } else { "" };
            assert_eq!(value[name], format!("{kept}{end}"), "{length} {c:?} as {name}");
        }
        let cut = logged(emit).matches('…').count();
        let expected = [256, 512, 512, 4096].into_iter().filter(|longest| length > *longest).count();
        assert_eq!(cut, expected, "{length} {c:?}");
    }
}
