//! What decides in one process, and how it is started again in another one.

use std::{
    mem, process,
    sync::{
        Arc, Mutex, OnceLock, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
};

use arc_swap::ArcSwapOption;
use jeton_verify::Authorizer;
use pyo3::{exceptions::PyRuntimeError, prelude::*};
use tokio::runtime::Handle;

use crate::{
    courier::Courier,
    options::{Options, to_python},
    process::Process,
};

/// An authorizer that runs. What it follows ends with it.
pub(crate) struct Engine {
    pub(crate) authorizer: Authorizer,
    pub(crate) runtime: Handle,
    pub(crate) courier: Courier,
}

impl Engine {
    fn start(options: &Options, process: &Process) -> PyResult<Self> {
        let runtime = process.handle().clone();
        let entered = runtime.enter();
        let authorizer = options.of_service().start().map_err(to_python)?;
        drop(entered);
        Ok(Self { authorizer, runtime, courier: process.courier().clone() })
    }
}

/// The engine of each process.
pub(crate) struct Engines {
    options: Options,
    current: ArcSwapOption<EngineOfProcess>,
    is_closed: AtomicBool,
}

/// A place for the engine of one process. In the child of a fork there is another place, so that nobody waits there for
/// a thread which the parent has.
struct EngineOfProcess {
    process: u32,
    engine: OnceLock<Arc<Engine>>,
    starting: Mutex<()>,
}

impl Engines {
    /// Starts the first engine.
    pub(crate) fn start(py: Python<'_>, options: Options) -> PyResult<Self> {
        let engines =
            Self { options, current: ArcSwapOption::const_empty(), is_closed: AtomicBool::new(false) };
        engines.here(py)?;
        Ok(engines)
    }

    /// That of this process; started if this process is new.
    pub(crate) fn here(&self, py: Python<'_>) -> PyResult<Arc<Engine>> {
        if self.is_closed.load(Ordering::Acquire) {
            return Err(PyRuntimeError::new_err("this authorizer is closed"));
        }
        let place = self.place();
        match place.engine.get() {
            Some(engine) => Ok(Arc::clone(engine)),
            None => self.start_here(py, &place),
        }
    }

    /// What they were made of.
    pub(crate) fn options(&self) -> &Options {
        &self.options
    }

    /// Lets go of what runs; requests that wait are still decided.
    pub(crate) fn close(&self) {
        self.is_closed.store(true, Ordering::Release);
        self.let_go();
    }

    fn place(&self) -> Arc<EngineOfProcess> {
        let here = process::id();
        loop {
            let current = self.current.load();
            if let Some(place) = current.as_ref().filter(|place| place.process == here) {
                return Arc::clone(place);
            }
            let fresh = EngineOfProcess { process: here, engine: OnceLock::new(), starting: Mutex::new(()) };
            let before = self.current.compare_and_swap(&current, Some(Arc::new(fresh)));
            if let (Some(before), Some(parents)) = (&*before, &*current)
                && Arc::ptr_eq(before, parents)
            {
                // never dropped: its tasks are those of a runtime whose threads are in the parent
                mem::forget(Arc::clone(before));
            }
        }
    }

    fn start_here(&self, py: Python<'_>, place: &EngineOfProcess) -> PyResult<Arc<Engine>> {
        let process = Process::here(py)?;
        py.detach(|| {
            let _starting = place.starting.lock().unwrap_or_else(PoisonError::into_inner);
            if let Some(engine) = place.engine.get() {
                return Ok(Arc::clone(engine));
            }
            let engine = Arc::new(Engine::start(&self.options, &process)?);
            Ok(Arc::clone(place.engine.get_or_init(|| engine)))
        })
    }

    fn let_go(&self) {
        if let Some(place) = self.current.swap(None)
            && place.process != process::id()
        {
            mem::forget(place);
        }
    }
}

impl Drop for Engines {
    fn drop(&mut self) {
        self.let_go();
    }
}
