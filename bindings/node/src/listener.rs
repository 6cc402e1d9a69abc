//! Events of the log for JavaScript.

use std::{
    collections::BTreeMap,
    fmt::{self, Write},
    mem,
};

use napi::{
    Status,
    bindgen_prelude::FnArgs,
    threadsafe_function::{ThreadsafeFunction, ThreadsafeFunctionCallMode},
};
use tracing::{
    Dispatch, Event, Level, Metadata, Subscriber, dispatcher,
    field::{Field, Visit},
    level_filters::LevelFilter,
    span,
};

/// How many events wait for the event loop at most; those beyond are dropped.
const MOST_WAITING: usize = 1_000;

/// Level, name and fields as JSON.
type Words = FnArgs<(String, String, String)>;

/// Calls a function of JavaScript in its thread. It does not keep the process alive.
pub(crate) type LogCallback = ThreadsafeFunction<Words, (), Words, Status, false, true, MOST_WAITING>;

/// Sees the events of the crates of jeton that happen in the threads of one authorizer.
pub(crate) struct Listener {
    callback: LogCallback,
    level: Level,
}

impl Listener {
    /// Tells `callback` of events of this level and graver ones.
    pub(crate) fn new(callback: LogCallback, level: Level) -> Self {
        Self { callback, level }
    }

    /// Listens to this thread until it ends.
    pub(crate) fn hear_this_thread(listener: &Dispatch) {
        mem::forget(dispatcher::set_default(listener));
    }
}

impl Subscriber for Listener {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.is_event() && metadata.target().starts_with("jeton") && *metadata.level() <= self.level
    }

    fn max_level_hint(&self) -> Option<LevelFilter> {
        Some(self.level.into())
    }

    fn event(&self, event: &Event<'_>) {
        let metadata = event.metadata();
        let mut read = ReadEvent::default();
        event.record(&mut read);
        let Ok(fields) = serde_json::to_string(&read.0) else { return };
        let level = metadata.level().as_str().to_ascii_lowercase();
        let words = (level, metadata.name().to_owned(), fields).into();
        // a full queue, or an event loop that ended
        let _ = self.callback.call(words, ThreadsafeFunctionCallMode::NonBlocking);
    }

    fn new_span(&self, _: &span::Attributes<'_>) -> span::Id {
        span::Id::from_u64(1)
    }

    fn record(&self, _: &span::Id, _: &span::Record<'_>) {}

    fn record_follows_from(&self, _: &span::Id, _: &span::Id) {}

    fn enter(&self, _: &span::Id) {}

    fn exit(&self, _: &span::Id) {}
}

/// What an event says; its words are the field `message`.
#[derive(Default)]
struct ReadEvent(BTreeMap<&'static str, String>);

impl Visit for ReadEvent {
    fn record_str(&mut self, field: &Field, value: &str) {
        self.0.insert(field.name(), value.to_owned());
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        let mut shown = String::new();
        // a string takes all
        let _ = write!(shown, "{value:?}");
        self.0.insert(field.name(), shown);
    }
}
