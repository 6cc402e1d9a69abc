//! What Python hears: events of the log, and decisions that were waited for.
//!
//! What happens while a thread of Python decides is logged by that thread, once the decision is made. What happens in the
//! threads of the library goes to a thread of `jeton._courier`.

use std::{
    cell::RefCell,
    fmt::{self, Write},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering},
        mpsc::{self, Receiver, Sender},
    },
    time::Duration,
};

use jeton_verify::Answer;
use pyo3::{
    intern,
    prelude::*,
    sync::PyOnceLock,
    types::{PyDict, PyList, PyModule},
};
use tracing::{
    Event, Level, Metadata, Subscriber,
    field::{Field, Visit},
    level_filters::LevelFilter,
    span,
};

use crate::decision::Decision;

/// How many events wait at most; those beyond are counted.
const MOST_EVENTS: usize = 1_000;
/// How long a function may take that gives a token.
const LONGEST_ANSWER: Duration = Duration::from_secs(30);
/// How many messages Python takes at once.
const MOST_AT_ONCE: usize = 100;

/// Takes messages from any thread, without a wait.
#[derive(Clone)]
pub(crate) struct Courier {
    messages: Sender<Message>,
    waiting: Arc<WaitingEvents>,
}

/// The events that were not delivered yet.
#[derive(Default)]
struct WaitingEvents {
    count: AtomicUsize,
    dropped: AtomicUsize,
}

enum Message {
    Logged(LoggedEvent),
    Decided(Box<DecidedLater>),
    Asked(Box<AskedToken>),
    End,
}

/// An event of the log.
pub(crate) struct LoggedEvent {
    level: u8,
    name: &'static str,
    text: String,
    fields: Vec<(&'static str, String)>,
}

/// A decision for which somebody awaits a future.
struct DecidedLater {
    future: Py<PyAny>,
    answer: Answer,
}

/// A token that a function of Python is to give.
struct AskedToken {
    function: Arc<Py<PyAny>>,
    reply: Sender<Result<String, String>>,
}

impl Courier {
    /// A courier, and what delivers its messages.
    pub(crate) fn new() -> (Self, Mailbox) {
        let (messages, received) = mpsc::channel();
        let waiting = Arc::<WaitingEvents>::default();
        let mailbox =
            Mailbox { messages: Mutex::new(received), end: messages.clone(), waiting: Arc::clone(&waiting) };
        (Self { messages, waiting }, mailbox)
    }

    /// Settles a future of asyncio in the thread of its loop.
    pub(crate) fn settle(&self, future: Py<PyAny>, answer: Answer) {
        self.send(Message::Decided(Box::new(DecidedLater { future, answer })));
    }

    /// What a function of Python gives, called in a thread of its own.
    pub(crate) fn ask(&self, function: &Arc<Py<PyAny>>) -> Result<String, String> {
        let (reply, replied) = mpsc::channel();
        self.send(Message::Asked(Box::new(AskedToken { function: Arc::clone(function), reply })));
        let replied = replied.recv_timeout(LONGEST_ANSWER);
        replied.unwrap_or_else(|_| Err(format!("the function gives none within {LONGEST_ANSWER:?}")))
    }

    fn log(&self, event: LoggedEvent) {
        let WaitingEvents { count, dropped } = &*self.waiting;
        if count.fetch_add(1, Ordering::Relaxed) < MOST_EVENTS {
            self.send(Message::Logged(event));
        } else {
            count.fetch_sub(1, Ordering::Relaxed);
            dropped.fetch_add(1, Ordering::Relaxed);
        }
    }

    fn send(&self, message: Message) {
        // nobody takes it any more when the interpreter ends
        let _ = self.messages.send(message);
    }
}

/// Where the thread of `jeton._courier` takes messages.
#[pyclass(frozen, module = "jeton._jeton")]
pub(crate) struct Mailbox {
    messages: Mutex<Receiver<Message>>,
    end: Sender<Message>,
    waiting: Arc<WaitingEvents>,
}

/// How many events were dropped; the events; the decisions with the futures that wait for them; the functions that are
/// asked for tokens, with where these go.
#[derive(IntoPyObject)]
pub(crate) struct Taken<'py>(usize, Bound<'py, PyList>, Bound<'py, PyList>, Bound<'py, PyList>);

/// Where a token goes that a function was asked for.
#[pyclass(frozen, module = "jeton._jeton")]
pub(crate) struct TokenReply(Mutex<Sender<Result<String, String>>>);

#[pymethods]
impl TokenReply {
    /// The token.
    fn give(&self, token: String) {
        self.send(Ok(token));
    }

    /// Why there is none.
    fn fail(&self, error: String) {
        self.send(Err(error));
    }
}

impl TokenReply {
    fn send(&self, reply: Result<String, String>) {
        // nobody waits for a late one
        let _ = self.0.lock().unwrap_or_else(PoisonError::into_inner).send(reply);
    }
}

#[pymethods]
impl Mailbox {
    /// Waits for messages. `None` at the end.
    fn take<'py>(&self, py: Python<'py>) -> PyResult<Option<Taken<'py>>> {
        let Some(messages) = py.detach(|| self.wait()) else { return Ok(None) };
        let [events, decisions, asked] = [PyList::empty(py), PyList::empty(py), PyList::empty(py)];
        for message in messages {
            match message {
                Message::Logged(event) => {
                    self.waiting.count.fetch_sub(1, Ordering::Relaxed);
                    events.append(event.shown(py)?)?;
                }
                Message::Decided(decided) => {
                    let DecidedLater { future, answer } = *decided;
                    decisions.append((future, Decision::new(answer)))?;
                }
                Message::Asked(token) => {
                    let AskedToken { function, reply } = *token;
                    asked.append((function.clone_ref(py), TokenReply(Mutex::new(reply))))?;
                }
                Message::End => return Ok(None),
            }
        }
        Ok(Some(Taken(self.waiting.dropped.swap(0, Ordering::Relaxed), events, decisions, asked)))
    }

    /// Ends [`Self::take`].
    fn end(&self) {
        let _ = self.end.send(Message::End);
    }
}

impl Mailbox {
    fn wait(&self) -> Option<Vec<Message>> {
        let messages = self.messages.lock().unwrap_or_else(PoisonError::into_inner);
        let first = messages.recv().ok()?;
        Some(std::iter::once(first).chain(messages.try_iter().take(MOST_AT_ONCE)).collect())
    }
}

thread_local! {
    /// What happened while this thread decides.
    static HAPPENED: RefCell<Option<Vec<LoggedEvent>>> = const { RefCell::new(None) };
}

/// The log of Python.
static LOG: PyOnceLock<Py<PyModule>> = PyOnceLock::new();

/// Does something, and tells what happened in this thread meanwhile.
pub(crate) fn gathering<T>(act: impl FnOnce() -> T) -> (T, Vec<LoggedEvent>) {
    HAPPENED.set(Some(Vec::new()));
    let done = act();
    (done, HAPPENED.take().unwrap_or_default())
}

/// Logs what happened. Handlers of the log may do what they like, for nothing is held here.
pub(crate) fn log(py: Python<'_>, happened: Vec<LoggedEvent>) -> PyResult<()> {
    for event in happened {
        let courier =
            LOG.get_or_try_init(py, || PyModule::import(py, "jeton._courier").map(Bound::unbind))?;
        let courier = courier.bind(py);
        if courier.call_method1(intern!(py, "hears"), (event.level,))?.is_truthy()? {
            courier.call_method1(intern!(py, "log_event"), event.shown(py)?)?;
        }
    }
    Ok(())
}

impl LoggedEvent {
    fn shown(self, py: Python<'_>) -> PyResult<(u8, &'static str, String, Bound<'_, PyDict>)> {
        let fields = PyDict::new(py);
        for (field, value) in self.fields {
            fields.set_item(field, value)?;
        }
        Ok((self.level, self.name, self.text, fields))
    }
}

/// Has the events of the crates of jeton go to the courier of the process in which they happen.
pub(crate) fn hear_events(courier_here: fn() -> Option<Courier>) {
    // again in a process after a fork: then it is set already
    let _ = tracing::subscriber::set_global_default(Listener { courier_here });
}

/// Sees the events of the crates of jeton.
struct Listener {
    courier_here: fn() -> Option<Courier>,
}

impl Subscriber for Listener {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.is_event() && metadata.target().starts_with("jeton") && *metadata.level() <= Level::DEBUG
    }

    /// A line for each decision, as `trace` would have it, is for the process that decides.
    fn max_level_hint(&self) -> Option<LevelFilter> {
        Some(LevelFilter::DEBUG)
    }

    fn event(&self, event: &Event<'_>) {
        let metadata = event.metadata();
        let mut read = ReadEvent::default();
        event.record(&mut read);
        let event = LoggedEvent {
            level: number(*metadata.level()),
            name: metadata.name(),
            text: read.text,
            fields: read.fields,
        };
        let elsewhere = HAPPENED.with_borrow_mut(|happened| match happened {
            Some(happened) => {
                happened.push(event);
                None
            }
            None => Some(event),
        });
        if let (Some(event), Some(courier)) = (elsewhere, (self.courier_here)()) {
            courier.log(event);
        }
    }

    fn new_span(&self, _: &span::Attributes<'_>) -> span::Id {
        span::Id::from_u64(1)
    }

    fn record(&self, _: &span::Id, _: &span::Record<'_>) {}

    fn record_follows_from(&self, _: &span::Id, _: &span::Id) {}

    fn enter(&self, _: &span::Id) {}

    fn exit(&self, _: &span::Id) {}
}

/// A level as `logging` counts.
fn number(level: Level) -> u8 {
    match level {
        Level::ERROR => 40,
        Level::WARN => 30,
        Level::INFO => 20,
        _ => 10,
    }
}

/// What an event says.
#[derive(Default)]
struct ReadEvent {
    text: String,
    fields: Vec<(&'static str, String)>,
}

impl Visit for ReadEvent {
    fn record_str(&mut self, field: &Field, value: &str) {
        if field.name() == "message" {
            value.clone_into(&mut self.text);
        } else {
            self.fields.push((field.name(), value.to_owned()));
        }
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        let mut shown = String::new();
        // a string takes all
        let _ = write!(shown, "{value:?}");
        self.record_str(field, &shown);
    }
}
