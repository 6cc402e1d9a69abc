//! The log as it is written: a line for each request and each event in between.
//!
//! Both formats are written here, for two reasons: no value can write a line break or an escape sequence into the
//! log, or fill it, and a token's two lines cost half as much as the library's (benches/README.md). The lines of a
//! request leave together.

use std::{
    backtrace::{Backtrace, BacktraceStatus},
    borrow::Cow,
    cell::RefCell,
    env,
    fmt::{self, Write},
    io::{self, IsTerminal},
    panic,
};

use anstyle::AnsiColor;
use tracing::{
    Event, Level, Subscriber,
    field::{Field, Visit},
};
use tracing_subscriber::{
    field::RecordFields,
    fmt::{FmtContext, FormatEvent, FormatFields, FormattedFields, format::Writer, layer},
    layer::SubscriberExt,
    registry,
    registry::LookupSpan,
    util::SubscriberInitExt,
};

use super::together::{Together, Waiting};
use crate::{
    clock::{Clock, SystemClock},
    config::{LogFormat, LogSettings},
    printable::{is_order, is_unseen},
};

/// Starts logging to standard error, for the whole process.
pub fn init(settings: &LogSettings) {
    let LogSettings { level, format, .. } = *settings;
    let writer = io::stderr;
    let lines = layer().with_writer(Waiting(writer));
    // a second call keeps the first subscriber
    let _ = match format {
        LogFormat::Pretty => {
            let line = Line { is_coloured: is_coloured() };
            let lines = lines.event_format(line).fmt_fields(line);
            registry().with(Together { level, lines, writer }).try_init()
        }
        LogFormat::Json => {
            let lines = lines.event_format(Json).fmt_fields(Json);
            registry().with(Together { level, lines, writer }).try_init()
        }
    };
    panic::set_hook(Box::new(|panicked| {
        let at = panicked.location().map(ToString::to_string);
        let detail = panicked.payload_as_str().unwrap_or("it says nothing");
        let backtrace = Backtrace::capture();
        let is_there = backtrace.status() == BacktraceStatus::Captured;
        let backtrace = is_there.then(|| backtrace.to_string());
        tracing::error!(at, detail, backtrace, "panicked: jeton itself is at fault, please report this");
    }));
}

/// Whether somebody sees colours, and wants them (<https://no-color.org>).
fn is_coloured() -> bool {
    io::stderr().is_terminal() && env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
}

/// The field that holds what an event is called.
const MESSAGE: &str = "message";

/// The longest value that is written, in characters: no name is longer.
const LONGEST: usize = 512;

/// The longest value of a field, in characters.
fn longest(field: &str) -> usize {
    match field {
        // why something was refused, often in words of the caller's
        "detail" | "attempted" => LONGEST / 2,
        // what is wrong with our own files, and what to do
        "finding" | "hint" | "error" => 8 * LONGEST,
        // ours, and whoever looks into what happened needs them whole
        "scopes" | "backtrace" => usize::MAX,
        _ => LONGEST,
    }
}

/// Writes a value of others: cut, and with what is not seen escaped.
struct Value<'f, 'w> {
    to: &'f mut Writer<'w>,
    /// How many characters may follow; none once it was cut.
    left: Option<usize>,
    kind: Kind,
}

/// How a value stands in its line.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// As it is.
    Bare,
    /// In quotes, for people.
    Quoted,
    /// In quotes, as JSON.
    Json,
}

impl<'f, 'w> Value<'f, 'w> {
    fn new(to: &'f mut Writer<'w>, field: &str, kind: Kind) -> Self {
        Self { to, left: Some(longest(field)), kind }
    }

    fn escaped(&mut self, mut escape: impl Iterator<Item = char>) -> fmt::Result {
        if self.kind == Kind::Json {
            // the escape is text too, so that who reads the line shows it as it is
            self.to.write_char('\\')?;
        }
        escape.try_for_each(|c| self.to.write_char(c))
    }
}

impl Write for Value<'_, '_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let is_plain = |byte: u8| matches!(byte, b' '..=b'~') && !matches!(byte, b'"' | b'\\' | b'#');
        if let Some(left) = self.left.and_then(|left| left.checked_sub(text.len()))
            && text.bytes().all(is_plain)
        {
            self.left = Some(left);
            return self.to.write_str(text);
        }
        for (at, c) in text.char_indices() {
            let Some(left) = self.left else { return Ok(()) };
            self.left = left.checked_sub(1);
            match c {
                _ if self.left.is_none() => self.to.write_char('…')?,
                _ if is_unseen(c) => self.escaped(c.escape_default())?,
                '#' if is_order(text, at) => self.escaped(c.escape_unicode())?,
                '"' | '\\' if self.kind != Kind::Bare => {
                    self.to.write_char('\\')?;
                    self.to.write_char(c)?;
                }
                _ => self.to.write_char(c)?,
            }
        }
        Ok(())
    }
}

/// One line for people: time, level, event, `name=value` for each field, the request.
#[derive(Clone, Copy)]
struct Line {
    is_coloured: bool,
}

impl Line {
    fn write_level(self, writer: &mut Writer<'_>, level: Level) -> fmt::Result {
        if !self.is_coloured {
            return writer.write_str(level.as_str());
        }
        let colour = match level {
            Level::ERROR => AnsiColor::Red,
            Level::WARN => AnsiColor::Yellow,
            Level::INFO => AnsiColor::Green,
            Level::DEBUG => AnsiColor::Blue,
            Level::TRACE => AnsiColor::Magenta,
        };
        let style = colour.on_default();
        write!(writer, "{style}{level}{style:#}")
    }
}

impl<S, N> FormatEvent<S, N> for Line
where
    S: Subscriber + for<'l> LookupSpan<'l>,
    N: for<'w> FormatFields<'w> + 'static,
{
    fn format_event(
        &self,
        context: &FmtContext<'_, S, N>,
        mut writer: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        write_time(&mut writer)?;
        writer.write_char(' ')?;
        self.write_level(&mut writer, *event.metadata().level())?;
        event.record(&mut Fields(&mut writer));
        if let Some(span) = context.lookup_current()
            && let Some(fields) = span.extensions().get::<FormattedFields<N>>()
        {
            writer.write_str(&fields.fields)?;
        }
        writer.write_char('\n')
    }
}

impl<'w> FormatFields<'w> for Line {
    fn format_fields<R: RecordFields>(&self, mut writer: Writer<'w>, fields: R) -> fmt::Result {
        fields.record(&mut Fields(&mut writer));
        Ok(())
    }
}

/// Writes each field with a space before it. What cannot be written is not worth failing for.
struct Fields<'f, 'w>(&'f mut Writer<'w>);

impl Fields<'_, '_> {
    fn name(&mut self, field: &Field) {
        let _ = self.0.write_char(' ');
        if field.name() != MESSAGE {
            let _ = self.0.write_str(field.name());
            let _ = self.0.write_char('=');
        }
    }
}

impl Visit for Fields<'_, '_> {
    fn record_str(&mut self, field: &Field, value: &str) {
        self.name(field);
        let plain = |byte: u8| byte.is_ascii_graphic() && byte != b'"';
        let is_plain = !value.is_empty() && value.bytes().all(plain);
        let quote = if is_plain { "" } else { "\"" };
        let kind = if is_plain { Kind::Bare } else { Kind::Quoted };
        let _ = self.0.write_str(quote);
        let _ = Value::new(self.0, field.name(), kind).write_str(value);
        let _ = self.0.write_str(quote);
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.name(field);
        let _ = write!(self.0, "{value}");
    }

    fn record_f64(&mut self, field: &Field, value: f64) {
        self.name(field);
        let _ = write!(self.0, "{value:.3}");
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.name(field);
        let _ = write!(Value::new(self.0, field.name(), Kind::Bare), "{value:?}");
    }
}

/// What an event says: its name, and perhaps more in words behind `: `.
#[derive(Default)]
struct Message(String);

impl Message {
    /// The event and what is said of it. What a library says has no name: there it is where it comes from.
    fn of<'m>(&'m self, target: &'m str) -> (Cow<'m, str>, &'m str) {
        let (name, words) = self.0.split_once(": ").unwrap_or((&self.0, ""));
        let is_name = |byte: u8| matches!(byte, b'a'..=b'z' | b'_' | b'.');
        if name.is_empty() || !name.bytes().all(is_name) {
            return (target.replace("::", ".").into(), &self.0);
        }
        (name.into(), words)
    }
}

impl Visit for Message {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        if field.name() == MESSAGE {
            let _ = write!(self.0, "{value:?}");
        }
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        if field.name() == MESSAGE {
            self.0.push_str(value);
        }
    }
}

/// One line for programs: a flat object with time, level, event, the request, and the fields of the event.
struct Json;

impl<S, N> FormatEvent<S, N> for Json
where
    S: Subscriber + for<'l> LookupSpan<'l>,
    N: for<'w> FormatFields<'w> + 'static,
{
    fn format_event(
        &self,
        context: &FmtContext<'_, S, N>,
        mut writer: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        let mut message = Message::default();
        event.record(&mut message);
        let (name, words) = message.of(event.metadata().target());
        writer.write_str("{\"time\":\"")?;
        write_time(&mut writer)?;
        write!(writer, "\",\"level\":\"{}\"", event.metadata().level())?;
        let mut members = Members(&mut writer);
        members.text("event", format_args!("{name}"));
        if let Some(span) = context.lookup_current()
            && let Some(fields) = span.extensions().get::<FormattedFields<N>>()
        {
            members.0.write_str(&fields.fields)?;
        }
        if !words.is_empty() {
            members.text(MESSAGE, format_args!("{words}"));
        }
        event.record(&mut members);
        writer.write_str("}\n")
    }
}

impl<'w> FormatFields<'w> for Json {
    fn format_fields<R: RecordFields>(&self, mut writer: Writer<'w>, fields: R) -> fmt::Result {
        fields.record(&mut Members(&mut writer));
        Ok(())
    }
}

/// Writes each field as a member of an object, with a comma before it; but not the message, which stands in parts.
struct Members<'f, 'w>(&'f mut Writer<'w>);

impl Members<'_, '_> {
    fn name(&mut self, field: &str) {
        let _ = write!(self.0, ",\"{field}\":");
    }

    /// A value that JSON has too.
    fn literal(&mut self, field: &Field, value: impl fmt::Display) {
        self.name(field.name());
        let _ = write!(self.0, "{value}");
    }

    fn text(&mut self, field: &str, value: fmt::Arguments<'_>) {
        self.name(field);
        let _ = self.0.write_char('"');
        let _ = Value::new(self.0, field, Kind::Json).write_fmt(value);
        let _ = self.0.write_char('"');
    }
}

impl Visit for Members<'_, '_> {
    fn record_str(&mut self, field: &Field, value: &str) {
        if field.name() != MESSAGE {
            self.text(field.name(), format_args!("{value}"));
        }
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.literal(field, value);
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.literal(field, value);
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.literal(field, value);
    }

    fn record_f64(&mut self, field: &Field, value: f64) {
        if value.is_finite() {
            self.literal(field, format_args!("{value:.3}"));
        } else {
            self.text(field.name(), format_args!("{value}"));
        }
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        if field.name() != MESSAGE {
            self.text(field.name(), format_args!("{value:?}"));
        }
    }
}

thread_local! {
    /// The last second that was written, and its text: it serves for a thousand lines.
    static SECOND: RefCell<(i64, String)> = const { RefCell::new((i64::MIN, String::new())) };
}

/// Writes `2026-11-23T12:00:00.000Z`.
fn write_time(writer: &mut Writer<'_>) -> fmt::Result {
    let now = SystemClock.now();
    SECOND.with_borrow_mut(|(second, text)| {
        if *second != now.as_second() {
            *second = now.as_second();
            text.clear();
            write!(text, "{}", now.strftime("%Y-%m-%dT%H:%M:%S."))?;
        }
        writer.write_str(text)
    })?;
    let millis = now.subsec_millisecond().unsigned_abs();
    three_digits(millis).into_iter().try_for_each(|digit| writer.write_char(digit))?;
    writer.write_char('Z')
}

/// The last three digits of a number.
fn three_digits(number: u32) -> [char; 3] {
    [number / 100, number / 10, number].map(|number| char::from_digit(number % 10, 10).unwrap_or('0'))
}

#[cfg(test)]
mod tests {
    use std::{
        io::Write,
        sync::{Arc, Mutex},
    };

    use serde_json::Value;

    use super::{Json, Line};

    #[derive(Clone, Default)]
    struct Captured(Arc<Mutex<Vec<u8>>>);

    impl Write for Captured {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    fn written(emit: impl FnOnce(), start: impl FnOnce(Captured) -> tracing::Dispatch) -> String {
        let captured = Captured::default();
        tracing::dispatcher::with_default(&start(captured.clone()), emit);
        String::from_utf8(captured.0.lock().unwrap().clone()).unwrap()
    }

    /// What a line says behind its time.
    fn logged(emit: impl FnOnce()) -> String {
        let text = written(emit, |to| {
            let line = Line { is_coloured: false };
            let lines = tracing_subscriber::fmt().event_format(line).fmt_fields(line);
            lines.with_writer(move || to.clone()).into()
        });
        let (time, rest) = text.split_once(' ').unwrap();
        assert!(time.len() == 24 && time.ends_with('Z'), "{time}");
        rest.to_owned()
    }

    /// The line as JSON, which must be one.
    fn logged_json(emit: impl FnOnce()) -> (String, Value) {
        let text = written(emit, |to| {
            let lines = tracing_subscriber::fmt().event_format(Json).fmt_fields(Json);
            lines.with_writer(move || to.clone()).into()
        });
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
                client = "acme-sync", ttl = 900_u64, left = -3_i64, reused = true, ms = 1.25, nothing, shown = %"x y",
                "token.issued"
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
    fn the_message_is_what_is_said_behind_the_name_of_the_event() {
        #[track_caller]
        fn is(emit: impl FnOnce(), event: &str, message: Option<&str>) {
            let (line, value) = logged_json(emit);
            let told =
                (value["event"].as_str().unwrap(), value.get("message").map(|it| it.as_str().unwrap()));
            assert_eq!(told, (event, message), "{line}");
            assert_eq!(line.matches("\"message\":").count(), usize::from(message.is_some()), "{line}");
        }
        let stays = "policies.rejected: what was in force stays";
        is(|| tracing::error!("{stays}"), "policies.rejected", Some("what was in force stays"));
        is(|| tracing::error!(message = stays), "policies.rejected", Some("what was in force stays"));
        is(|| tracing::info!("jwks.not_fetched"), "jwks.not_fetched", None);
        is(|| tracing::info!("stopped"), "stopped", None);
        is(|| tracing::warn!("a.b: c: d"), "a.b", Some("c: d"));
        let quotes = "a.b: \"x\"\n\\ \u{202e}y";
        is(|| tracing::warn!("{quotes}"), "a.b", Some("\"x\"\\n\\ \\u{202e}y"));
        // what libraries say
        let here = "jeton.http.log.tests";
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
                most = u64::MAX, least = i64::MIN, small = 0.0625, whole = 2.0, none = f64::NAN, endless = f64::INFINITY,
                some = Some(7_usize), no = false, text = "7", shown = %7, "numbers"
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
        let emit = || tracing::warn!(ms = 0.5, count = 3, is = true, detail = "a b", "x.y: \"some\" words");
        assert_eq!(logged(emit), "WARN x.y: \"some\" words ms=0.500 count=3 is=true detail=\"a b\"\n");
        let (line, _) = logged_json(emit);
        let said = r#""level":"WARN","event":"x.y","message":"\"some\" words","ms":0.500,"count":3,"is":true,"detail":"a b"}"#;
        assert!(line.ends_with(said), "{line}");
    }

    #[test]
    fn only_the_level_has_a_colour_and_only_where_it_is_asked_for() {
        let coloured = |emit: fn()| {
            written(emit, |to| {
                let line = Line { is_coloured: true };
                let lines = tracing_subscriber::fmt().event_format(line).fmt_fields(line);
                lines.with_writer(move || to.clone()).into()
            })
        };
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
        for (length, c) in
            [(1, 'x'), (256, 'x'), (257, 'x'), (20_000, 'x'), (20_000, 'é'), (20_000, '\u{202e}')]
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
}
