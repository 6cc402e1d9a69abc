//! Log lines that leave together.

use std::{cell::RefCell, io};

use tracing::{Event, Level, Metadata, Subscriber, level_filters::LevelFilter, span::Id};
use tracing_subscriber::{Layer, fmt::MakeWriter, layer::Context, registry::LookupSpan};

/// Lets the lines of a request leave in one piece, which saves a system call for each token. They wait while
/// the thread is inside the request's span: no longer than until the request ends or waits for something
/// itself, and a panic leaves the span too. Warnings and errors do not wait, and take along what does.
pub(super) struct Together<L, M> {
    /// How much is logged.
    pub(super) level: Level,
    /// What others than the log want of events, whatever its level is.
    pub(super) others: Option<fn(&Metadata<'_>) -> bool>,
    /// Makes the lines, and writes them to [`Waiting`].
    pub(super) lines: L,
    /// Where they go.
    pub(super) writer: M,
}

/// The writer for lines that may wait.
pub(super) struct Waiting<M>(pub(super) M);

/// The lines that wait on a thread.
struct WaitingLines {
    /// How many spans the thread is in.
    spans: usize,
    text: Vec<u8>,
}

/// The most bytes that wait.
const MOST: usize = 8 * 1024;

thread_local! {
    static LINES: RefCell<WaitingLines> = const { RefCell::new(WaitingLines { spans: 0, text: Vec::new() }) };
}

impl WaitingLines {
    /// What cannot be written is not worth failing for.
    fn leave<'w>(&mut self, writer: &'w impl MakeWriter<'w>) {
        let _ = io::Write::write_all(&mut writer.make_writer(), &self.text);
        self.text.clear();
    }
}

/// The level at which something is logged. What actix says is for those who look into it: that it starts and stops we
/// say ourselves, and what it calls an error is often a request of a stranger that cannot be parsed.
pub(super) fn logged_level(metadata: &Metadata<'_>) -> Level {
    let is_of_actix = metadata.target().starts_with("actix_");
    if is_of_actix { Level::DEBUG.max(*metadata.level()) } else { *metadata.level() }
}

impl<L, M> Together<L, M> {
    fn is_logged(&self, metadata: &Metadata<'_>) -> bool {
        logged_level(metadata) <= self.level
    }
}

impl<S, L, M> Layer<S> for Together<L, M>
where
    S: Subscriber + for<'l> LookupSpan<'l>,
    L: Layer<S>,
    M: for<'w> MakeWriter<'w> + 'static,
{
    /// Asked once for each place in the code, and for all layers. A request has its span at every level: a warning
    /// says to which request it belongs.
    fn enabled(&self, metadata: &Metadata<'_>, _: Context<'_, S>) -> bool {
        let is_of_request = metadata.is_span() && *metadata.level() <= Level::INFO;
        is_of_request || self.is_logged(metadata) || self.others.is_some_and(|wants| wants(metadata))
    }

    fn max_level_hint(&self) -> Option<LevelFilter> {
        Some(if self.others.is_some() { LevelFilter::TRACE } else { self.level.max(Level::INFO).into() })
    }

    fn on_event(&self, event: &Event<'_>, context: Context<'_, S>) {
        if self.is_logged(event.metadata()) {
            self.lines.on_event(event, context);
        }
    }

    fn on_enter(&self, _: &Id, _: Context<'_, S>) {
        LINES.with_borrow_mut(|lines| lines.spans += 1);
    }

    fn on_exit(&self, _: &Id, _: Context<'_, S>) {
        LINES.with_borrow_mut(|lines| {
            lines.spans = lines.spans.saturating_sub(1);
            if lines.spans == 0 && !lines.text.is_empty() {
                lines.leave(&self.writer);
            }
        });
    }
}

impl<'w, M> MakeWriter<'w> for Waiting<M>
where
    M: for<'v> MakeWriter<'v> + 'w,
{
    type Writer = LinesTo<'w, M>;

    fn make_writer(&'w self) -> Self::Writer {
        LinesTo { writer: &self.0, may_wait: false }
    }

    fn make_writer_for(&'w self, metadata: &Metadata<'_>) -> Self::Writer {
        LinesTo { writer: &self.0, may_wait: logged_level(metadata) > Level::WARN }
    }
}

/// Takes the lines of one event.
pub(super) struct LinesTo<'w, M> {
    writer: &'w M,
    may_wait: bool,
}

impl<M> io::Write for LinesTo<'_, M>
where
    M: for<'w> MakeWriter<'w>,
{
    fn write(&mut self, text: &[u8]) -> io::Result<usize> {
        LINES.with_borrow_mut(|lines| {
            lines.text.extend_from_slice(text);
            if !self.may_wait || lines.spans == 0 || lines.text.len() >= MOST {
                lines.leave(self.writer);
            }
        });
        Ok(text.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::{
        io::Write,
        panic::{AssertUnwindSafe, catch_unwind},
        sync::{Arc, Mutex},
    };

    use tracing::{Level, info, info_span, warn};
    use tracing_subscriber::{fmt, layer::SubscriberExt, registry};

    use super::{Together, Waiting};

    /// What was written, each time.
    #[derive(Clone, Default)]
    struct WrittenLines(Arc<Mutex<Vec<String>>>);

    impl Write for WrittenLines {
        fn write(&mut self, text: &[u8]) -> std::io::Result<usize> {
            self.0.lock().unwrap().push(String::from_utf8(text.to_vec()).unwrap());
            Ok(text.len())
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    impl WrittenLines {
        /// How many lines each of these pieces has.
        #[track_caller]
        fn has_lines(&self, expected: &[usize]) {
            let pieces = self.0.lock().unwrap();
            let lines: Vec<_> = pieces.iter().map(|piece| piece.lines().count()).collect();
            assert_eq!(lines, expected, "{pieces:?}");
        }
    }

    fn logging(emit: impl FnOnce(&WrittenLines)) {
        logging_at(Level::INFO, emit);
    }

    fn logging_at(level: Level, emit: impl FnOnce(&WrittenLines)) {
        let written = WrittenLines::default();
        let to = written.clone();
        let writer = move || to.clone();
        let lines = fmt::layer().with_writer(Waiting(writer.clone()));
        let subscriber = registry().with(Together { level, others: None, lines, writer });
        tracing::subscriber::with_default(subscriber, || emit(&written));
    }

    #[test]
    fn the_lines_of_a_request_leave_together_when_its_span_is_left() {
        logging(|written| {
            let span = info_span!("request");
            span.in_scope(|| {
                info!("one");
                info!("two");
                written.has_lines(&[]);
            });
            written.has_lines(&[2]);
            span.in_scope(|| info!("three"));
            written.has_lines(&[2, 1]);
        });
    }

    #[test]
    fn lines_wait_for_the_outermost_span() {
        logging(|written| {
            info_span!("request").in_scope(|| {
                info_span!("within").in_scope(|| info!("one"));
                written.has_lines(&[]);
            });
            written.has_lines(&[1]);
        });
    }

    #[test]
    fn what_is_wrong_does_not_wait_and_keeps_its_place() {
        logging(|written| {
            info_span!("request").in_scope(|| {
                info!("one");
                warn!("two");
                written.has_lines(&[2]);
                info!("three");
            });
            written.has_lines(&[2, 1]);
        });
    }

    #[test]
    fn a_line_of_no_request_does_not_wait() {
        logging(|written| {
            info!("one");
            info!("two");
            written.has_lines(&[1, 1]);
        });
    }

    #[test]
    fn a_panic_takes_no_line_along() {
        logging(|written| {
            let panicked = catch_unwind(AssertUnwindSafe(|| {
                info_span!("request").in_scope(|| {
                    info!("one");
                    panic!("as a handler might");
                });
            }));
            assert!(panicked.is_err());
            written.has_lines(&[1]);
        });
    }

    #[test]
    fn many_lines_do_not_wait_for_each_other() {
        logging(|written| {
            info_span!("request").in_scope(|| {
                for _ in 0..20 {
                    info!(text = "x".repeat(1000), "long");
                }
            });
            let longest = written.0.lock().unwrap().iter().map(String::len).max();
            assert!(longest.is_some_and(|longest| longest < 10_000), "{longest:?}");
        });
    }

    /// What actix says, some of it because of strangers, and what is of ours or of others.
    fn say_as_actix_does() {
        tracing::error!(target: "actix_http::h1", "a bad request");
        tracing::warn!(target: "actix_web::server", "a warning");
        info!(target: "actix_server::builder", "starting 2 workers");
        tracing::debug!(target: "actix_server::worker", "details");
        tracing::trace!(target: "actix_rt::arbiter", "more details");
        info!(target: "jeton_actix::span", "a request");
    }

    #[test]
    fn what_actix_says_is_for_those_who_look_into_it() {
        for (level, lines) in [(Level::INFO, 1), (Level::DEBUG, 5), (Level::TRACE, 6)] {
            logging_at(level, |written| {
                say_as_actix_does();
                written.has_lines(&vec![1; lines]);
            });
        }
    }

    #[test]
    fn what_is_below_the_level_is_left_out() {
        logging(|written| {
            tracing::debug!("below the level");
            written.has_lines(&[]);
        });
    }

    #[test]
    fn a_request_has_its_span_at_every_level() {
        for level in [Level::ERROR, Level::WARN, Level::INFO] {
            logging_at(level, |written| {
                let request = info_span!("request");
                assert!(!request.is_disabled(), "{level}");
                assert!(tracing::debug_span!("a detail").is_disabled(), "{level}");
                request.in_scope(|| info!("one"));
                written.has_lines(if level == Level::INFO { &[1] } else { &[] });
            });
        }
    }
}
