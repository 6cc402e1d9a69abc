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
mod tests;
