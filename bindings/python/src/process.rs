//! What one process has of its own: threads do not survive a fork, and locks may stay locked for ever.

use std::{mem, process, sync::Arc};

use arc_swap::ArcSwapOption;
use pyo3::{prelude::*, types::PyModule};
use tokio::runtime::{Builder, Handle, Runtime};

use crate::courier::{self, Courier, Mailbox};

/// The threads of the library in this process.
pub(crate) struct Process {
    id: u32,
    runtime: Runtime,
    courier: Courier,
}

static HERE: ArcSwapOption<Process> = ArcSwapOption::const_empty();

impl Process {
    /// That of this process; started where there is none yet. Whoever calls holds the lock of the interpreter, so that
    /// there is only one.
    pub(crate) fn here(py: Python<'_>) -> PyResult<Arc<Self>> {
        if let Some(here) = HERE.load_full().filter(|found| found.id == process::id()) {
            return Ok(here);
        }
        let runtime = Builder::new_multi_thread()
            .worker_threads(1)
            // addresses are looked up and files are read here
            .max_blocking_threads(4)
            .thread_name("jeton")
            .enable_all()
            .build()?;
        let (courier, mailbox) = Courier::new();
        let started = Arc::new(Self { id: process::id(), runtime, courier });
        // that of the process before the fork has threads which are not here, and maybe locks that they held
        mem::forget(HERE.swap(Some(Arc::clone(&started))));
        courier::hear_events(Self::courier_here);
        deliver(py, mailbox)?;
        Ok(started)
    }

    /// Where messages for Python go, if this process was started.
    pub(crate) fn courier_here() -> Option<Courier> {
        let here = HERE.load();
        here.as_ref().filter(|found| found.id == process::id()).map(|found| found.courier.clone())
    }

    /// Where its messages for Python go.
    pub(crate) fn courier(&self) -> &Courier {
        &self.courier
    }

    /// Its runtime.
    pub(crate) fn handle(&self) -> &Handle {
        self.runtime.handle()
    }
}

/// Starts the thread that delivers what is in the mailbox.
fn deliver(py: Python<'_>, mailbox: Mailbox) -> PyResult<()> {
    PyModule::import(py, "jeton._courier")?.getattr("deliver")?.call1((mailbox,))?;
    Ok(())
}
