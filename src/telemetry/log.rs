//! The log as it is written: a line for each request and each event in between.
//!
//! Both formats are written here, for two reasons: no value can write a line break or an escape sequence into the
//! log, or fill it, and a token's two lines cost less than the library's (benches/README.md). The lines of a request
//! leave together.

use std::{
    backtrace::{Backtrace, BacktraceStatus},
    borrow::Cow,
    cell::RefCell,
    fmt::{self, Write},
    io, panic,
};

use anstyle::AnsiColor;
use jeton_oauth::{
    clock::{Clock, SystemClock},
    text::{is_order, is_unseen},
};
use tracing::{
    Event, Level, Metadata, Subscriber,
    field::{Field, Visit},
    span::{Attributes, Id, Record},
};
use tracing_subscriber::{
    Layer,
    field::RecordFields,
    fmt::{FmtContext, FormatEvent, FormatFields, format::Writer, layer},
    layer::{Context, SubscriberExt},
    registry,
    registry::LookupSpan,
    util::SubscriberInitExt,
};

use super::{
    together::{Together, Waiting, logged_level},
    traces::Traces,
    unbroken::Unbroken,
};
use crate::{
    config::{LogFormat, LogSettings},
    event::Panicked,
    terminal::is_coloured,
};

/// Starts logging to standard error, for the whole process, and traces where there are any.
pub fn init(settings: &LogSettings, traces: Option<&Traces>) {
    let LogSettings { level, format, .. } = *settings;
    let form = match format {
        LogFormat::Pretty => LineForm::Line { is_coloured: is_coloured(&io::stderr()) },
        LogFormat::Json => LineForm::Json,
    };
    let writer = Unbroken::new(io::stderr);
    // whatever goes wrong with a line, standard error is no place to say it
    let lines = layer().with_writer(Waiting(writer.clone())).event_format(form).log_internal_errors(false);
    let log = Together { level, others: traces.map(|_| Traces::WANTS), lines, writer };
    let subscriber = registry().with(SpanTexts(form)).with(traces.map(Traces::layer)).with(log);
    // a second call keeps the first subscriber
    let _ = subscriber.try_init();
    panic::set_hook(Box::new(|panicked| {
        let at = panicked.location().map(ToString::to_string);
        let detail = panicked.payload_as_str().unwrap_or("it says nothing");
        let backtrace = Backtrace::capture();
        let is_there = backtrace.status() == BacktraceStatus::Captured;
        let backtrace = is_there.then(|| backtrace.to_string());
        Panicked { at: at.as_deref(), detail, backtrace: backtrace.as_deref() }.error();
    }));
}

/// The field that holds what an event is called.
const MESSAGE: &str = "message";

/// The longest value that is written, in characters: no name is longer.
const LONGEST: usize = 512;

/// The longest value of a field, in characters; `None` where it is written whole.
fn longest(field: &str) -> Option<usize> {
    let longest = match field {
        // why something was refused, often in words of the caller's
        "detail" | "attempted" => LONGEST / 2,
        // what is wrong with our own files, and what to do
        "finding" | "hint" | "error" => 8 * LONGEST,
        // ours, and whoever looks into what happened needs them whole
        "scopes" | "backtrace" => return None,
        _ => LONGEST,
    };
    Some(longest)
}

/// Writes a value of others: cut, and with what is not seen escaped.
struct LoggedValue<'f, 'w> {
    to: &'f mut Writer<'w>,
    room: RoomLeft,
    kind: ValueKind,
}

/// How much of a value may follow.
#[derive(Clone, Copy, PartialEq, Eq)]
enum RoomLeft {
    /// All of it.
    Any,
    /// So many characters.
    Left(usize),
    /// Nothing: it was cut.
    Cut,
}

impl RoomLeft {
    /// What is left behind so many characters, if they fit.
    fn without(self, characters: usize) -> Option<Self> {
        match self {
            Self::Any => Some(Self::Any),
            Self::Left(left) => left.checked_sub(characters).map(Self::Left),
            Self::Cut => None,
        }
    }
}

/// How a value stands in its line.
#[derive(Clone, Copy, PartialEq, Eq)]
enum ValueKind {
    /// As it is.
    Bare,
    /// In quotes, for people.
    Quoted,
    /// In quotes, as JSON.
    Json,
}

impl LoggedValue<'_, '_> {
    fn escaped(&mut self, mut escape: impl Iterator<Item = char>) -> fmt::Result {
        if self.kind == ValueKind::Json {
            // the escape is text too, so that who reads the line shows it as it is
            self.to.write_char('\\')?;
        }
        escape.try_for_each(|c| self.to.write_char(c))
    }
}

impl Write for LoggedValue<'_, '_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let is_plain = |byte: u8| matches!(byte, b' '..=b'~') && !matches!(byte, b'"' | b'\\' | b'#');
        if let Some(room) = self.room.without(text.len())
            && text.bytes().all(is_plain)
        {
            self.room = room;
            return self.to.write_str(text);
        }
        for (at, c) in text.char_indices() {
            if self.room == RoomLeft::Cut {
                return Ok(());
            }
            self.room = self.room.without(1).unwrap_or(RoomLeft::Cut);
            match c {
                _ if self.room == RoomLeft::Cut => self.to.write_char('…')?,
                _ if is_unseen(c) => self.escaped(c.escape_default())?,
                '#' if is_order(text, at) => self.escaped(c.escape_unicode())?,
                '"' | '\\' if self.kind != ValueKind::Bare => {
                    self.to.write_char('\\')?;
                    self.to.write_char(c)?;
                }
                _ => self.to.write_char(c)?,
            }
        }
        Ok(())
    }
}

/// The form of a line.
#[derive(Clone, Copy)]
enum LineForm {
    /// For people: time, level, event, `name=value` for each field, the request.
    Line { is_coloured: bool },
    /// For programs: a flat object with time, level, event, the request, what is said in words, and the fields.
    Json,
}

/// Writes what each span says, once for all of its lines.
struct SpanTexts(LineForm);

/// What a span says in its lines.
#[derive(Default)]
struct SpanText {
    text: String,
    /// Where in the text the addresses stand, which are its end.
    addresses: usize,
}

impl SpanText {
    /// As the lines of an event say it.
    fn of(&self, event: &str) -> &str {
        if tells_addresses(event) { &self.text } else { self.text.get(..self.addresses).unwrap_or_default() }
    }

    fn add(&mut self, form: LineForm, fields: &impl RecordFields) {
        let write = |text: &mut String, kept: fn(&str) -> bool| {
            let to = &mut Writer::new(text);
            fields.record(&mut LoggedFields { to, form, event: None, kept });
        };
        let addresses = self.text.split_off(self.addresses);
        // what is for a layer that exports spans is no matter of the log
        write(&mut self.text, |name| !ADDRESSES.contains(&name) && !name.starts_with("otel."));
        self.addresses = self.text.len();
        self.text.push_str(&addresses);
        write(&mut self.text, |name| ADDRESSES.contains(&name));
    }
}

/// The fields of a span that only some of its lines have.
const ADDRESSES: [&str; 2] = ["peer", "client_address"];

/// Whether the lines of an event say who asked.
fn tells_addresses(event: &str) -> bool {
    event == "request" || ["token.", "decision."].into_iter().any(|kind| event.starts_with(kind))
}

impl<S> Layer<S> for SpanTexts
where
    S: Subscriber + for<'l> LookupSpan<'l>,
{
    fn on_new_span(&self, attributes: &Attributes<'_>, id: &Id, context: Context<'_, S>) {
        let Some(span) = context.span(id) else { return };
        let mut text = SpanText::default();
        text.add(self.0, attributes);
        span.extensions_mut().insert(text);
    }

    fn on_record(&self, id: &Id, values: &Record<'_>, context: Context<'_, S>) {
        let Some(span) = context.span(id) else { return };
        if let Some(text) = span.extensions_mut().get_mut::<SpanText>() {
            text.add(self.0, values);
        }
    }
}

impl<S, N> FormatEvent<S, N> for LineForm
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
        let metadata = event.metadata();
        let span = context.lookup_current();
        let extensions = span.as_ref().map(|span| span.extensions());
        let name = event_name(metadata);
        let request = extensions.as_ref().and_then(|it| it.get::<SpanText>());
        let request = request.map_or("", |request| request.of(&name));
        let level = logged_level(metadata);
        match *self {
            Self::Line { is_coloured } => {
                write_time(&mut writer)?;
                writer.write_char(' ')?;
                write_level(&mut writer, level, is_coloured)?;
                event.record(&mut LoggedFields { to: &mut writer, form: *self, event: None, kept: |_| true });
                writer.write_str(request)?;
                writer.write_char('\n')
            }
            Self::Json => {
                writer.write_str("{\"time\":\"")?;
                write_time(&mut writer)?;
                write!(writer, "\",\"level\":\"{level}\"")?;
                let mut fields =
                    LoggedFields { to: &mut writer, form: *self, event: Some(&name), kept: |_| true };
                fields.text("event", ValueKind::Json, |to| to.write_str(&name))?;
                fields.to.write_str(request)?;
                event.record(&mut fields);
                writer.write_str("}\n")
            }
        }
    }
}

fn write_level(writer: &mut Writer<'_>, level: Level, is_coloured: bool) -> fmt::Result {
    if !is_coloured {
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

/// What an event is called. Where tracing made up a name (`event src/a.rs:7`), a library says it: that has no name, and
/// here it is where it comes from.
fn event_name(metadata: &Metadata<'static>) -> Cow<'static, str> {
    match metadata.name() {
        made_up if made_up.starts_with("event ") => metadata.target().replace("::", ".").into(),
        name => name.into(),
    }
}

/// Writes each field. What cannot be written is not worth failing for.
struct LoggedFields<'f, 'w> {
    to: &'f mut Writer<'w>,
    form: LineForm,
    /// The event, where it is written by itself: the message begins with it.
    event: Option<&'f str>,
    /// Which fields are written.
    kept: fn(&str) -> bool,
}

impl LoggedFields<'_, '_> {
    fn name(&mut self, field: &str) -> fmt::Result {
        match self.form {
            LineForm::Json => write!(self.to, ",\"{field}\":"),
            LineForm::Line { .. } if field == MESSAGE => self.to.write_char(' '),
            LineForm::Line { .. } => write!(self.to, " {field}="),
        }
    }

    /// A value that JSON has too.
    fn literal(&mut self, field: &Field, value: impl fmt::Display) {
        if !(self.kept)(field.name()) {
            return;
        }
        let _ = self.name(field.name()).and_then(|()| write!(self.to, "{value}"));
    }

    /// A value as text; `kind` is how it stands in a line for people.
    fn text(
        &mut self,
        field: &str,
        kind: ValueKind,
        write: impl FnOnce(&mut LoggedValue<'_, '_>) -> fmt::Result,
    ) -> fmt::Result {
        if !(self.kept)(field) {
            return Ok(());
        }
        let kind = if let LineForm::Json = self.form { ValueKind::Json } else { kind };
        let quote = if kind == ValueKind::Bare { "" } else { "\"" };
        self.name(field)?;
        self.to.write_str(quote)?;
        write(&mut LoggedValue {
            to: self.to,
            room: longest(field).map_or(RoomLeft::Any, RoomLeft::Left),
            kind,
        })?;
        self.to.write_str(quote)
    }
}

impl Visit for LoggedFields<'_, '_> {
    fn record_str(&mut self, field: &Field, value: &str) {
        let plain = |byte: u8| byte.is_ascii_graphic() && byte != b'"';
        let (kind, text) = if field.name() == MESSAGE {
            match self.event.and_then(|event| value.strip_prefix(event)) {
                Some("") => return,
                Some(rest) => (ValueKind::Bare, rest.strip_prefix(": ").unwrap_or(value)),
                None => (ValueKind::Bare, value),
            }
        } else if !value.is_empty() && value.bytes().all(plain) {
            (ValueKind::Bare, value)
        } else {
            (ValueKind::Quoted, value)
        };
        let _ = self.text(field.name(), kind, |to| to.write_str(text));
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
            self.record_debug(field, &value);
        }
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        let _ = self.text(field.name(), ValueKind::Bare, |to| write!(to, "{value:?}"));
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
