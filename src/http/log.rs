//! The log as it is written: a line for each request and each event in between.
//!
//! `json` is written by the library. `pretty` is written here, for two reasons: no value can write a line
//! break or an escape sequence into the log, and a token's two lines cost half as much as the library's
//! (benches/README.md). The lines of a request leave together.

use std::{
    cell::RefCell,
    fmt::{self, Write},
    io,
};

use tracing::{
    Event, Subscriber,
    field::{Field, Visit},
};
use tracing_subscriber::{
    field::RecordFields,
    fmt::{
        FmtContext, FormatEvent, FormatFields, FormattedFields,
        format::{self, JsonFields, Writer},
        layer,
    },
    layer::SubscriberExt,
    registry,
    registry::LookupSpan,
    util::SubscriberInitExt,
};

use super::{
    span::three_digits,
    together::{Together, Waiting},
};
use crate::{
    clock::{Clock, SystemClock},
    config::{LogFormat, LogSettings},
};

/// Starts logging to standard error, for the whole process.
pub fn init(settings: &LogSettings) {
    let LogSettings { level, format, .. } = *settings;
    let writer = io::stderr;
    let lines = layer().with_writer(Waiting(writer)).with_target(false);
    // a second call keeps the first subscriber
    let _ = match format {
        LogFormat::Pretty => {
            let lines = lines.event_format(Line).fmt_fields(Line);
            registry().with(Together { level, lines, writer }).try_init()
        }
        LogFormat::Json => {
            let json = format::format().json().flatten_event(true).with_span_list(false).with_target(false);
            let lines = lines.event_format(json).fmt_fields(JsonFields::new());
            registry().with(Together { level, lines, writer }).try_init()
        }
    };
}

/// One line for people: time, level, event, `name=value` for each field, the request.
struct Line;

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
        writer.write_str(event.metadata().level().as_str())?;
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
        if field.name() != "message" {
            let _ = self.0.write_str(field.name());
            let _ = self.0.write_char('=');
        }
    }
}

impl Visit for Fields<'_, '_> {
    fn record_str(&mut self, field: &Field, value: &str) {
        self.name(field);
        let plain = |byte: u8| byte.is_ascii_graphic() && byte != b'"';
        let _ = if !value.is_empty() && value.bytes().all(plain) {
            self.0.write_str(value)
        } else {
            write!(self.0, "{value:?}")
        };
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.name(field);
        let _ = write!(self.0, "{value}");
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.name(field);
        let _ = write!(OneLine(self.0), "{value:?}");
    }
}

/// Escapes control characters.
struct OneLine<'f, 'w>(&'f mut Writer<'w>);

impl Write for OneLine<'_, '_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        if !text.bytes().any(|byte| byte.is_ascii_control() || byte >= 0x80) {
            return self.0.write_str(text);
        }
        text.chars().try_for_each(|c| {
            if c.is_control() { write!(self.0, "{}", c.escape_default()) } else { self.0.write_char(c) }
        })
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

#[cfg(test)]
mod tests {
    use std::{
        io::Write,
        sync::{Arc, Mutex},
    };

    use super::Line;

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

    /// What a line says behind its time.
    fn logged(emit: impl FnOnce()) -> String {
        let captured = Captured::default();
        let writer = captured.clone();
        let subscriber = tracing_subscriber::fmt()
            .event_format(Line)
            .fmt_fields(Line)
            .with_writer(move || writer.clone())
            .finish();
        tracing::subscriber::with_default(subscriber, emit);
        let text = String::from_utf8(captured.0.lock().unwrap().clone()).unwrap();
        let (time, rest) = text.split_once(' ').unwrap();
        assert!(time.len() == 24 && time.ends_with('Z'), "{time}");
        rest.to_owned()
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
}
