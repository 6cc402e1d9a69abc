//! What decides in one process, and how it is started again in another one.

use std::{
    fmt, fs, mem,
    path::PathBuf,
    process,
    sync::{
        Arc, Mutex, OnceLock, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use arc_swap::ArcSwapOption;
use jeton_jose::PublicKeys;
use jeton_oauth::{ApiName, Issuer, clock::SystemClock};
use jeton_policy::{LivePolicies, Surroundings};
use jeton_verify::{Authorizer, JwksOptions, JwksSource, TrustedKeys, Verifier};
use pyo3::{
    exceptions::{PyOSError, PyRuntimeError, PyValueError},
    prelude::*,
};
use tokio::{
    runtime::Handle,
    task::{self, JoinHandle},
    time,
};

use crate::{courier::Courier, process::Process};

/// How often the policies folder is looked at.
const POLL: Duration = Duration::from_secs(2);

/// What an authorizer was made of; enough to start it in another process.
pub(crate) struct Options {
    issuer: Issuer,
    api: ApiName,
    policies: PathBuf,
    jwks: Option<PathBuf>,
    leeway: Duration,
}

impl Options {
    /// Reads what Python says.
    pub(crate) fn read(
        issuer: &str,
        api: &str,
        policies: Option<PathBuf>,
        jwks: Option<PathBuf>,
        leeway: i64,
    ) -> PyResult<Self> {
        let leeway = u32::try_from(leeway)
            .map_err(|_| PyValueError::new_err(format!("leeway={leeway}: name seconds from 0")))?;
        Ok(Self {
            issuer: Issuer::parse(issuer).map_err(wrong)?,
            api: ApiName::parse(api).map_err(wrong)?,
            policies: policies.ok_or_else(|| PyValueError::new_err("`policies` is missing"))?,
            jwks,
            leeway: Duration::from_secs(leeway.into()),
        })
    }
}

impl fmt::Display for Options {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "<Authorizer of {} by {}>", self.api, self.issuer)
    }
}

/// An authorizer that runs. What it follows ends with it.
pub(crate) struct Engine {
    pub(crate) authorizer: Authorizer,
    pub(crate) runtime: Handle,
    pub(crate) courier: Courier,
    following: Vec<JoinHandle<()>>,
}

impl Engine {
    fn start(options: &Options, process: &Process) -> PyResult<Self> {
        let Options { issuer, api, policies, jwks, leeway } = options;
        let runtime = process.handle().clone();
        let _entered = runtime.enter();
        let mut following = Vec::new();
        let clock = Arc::new(SystemClock);
        let keys: TrustedKeys = if let Some(file) = jwks {
            let wrong_file = |error: &dyn fmt::Display| format!("{}: {error}", file.display());
            let text = fs::read(file).map_err(|error| PyOSError::new_err(wrong_file(&error)))?;
            let keys = PublicKeys::from_jwks(&text).map_err(|error| wrong(wrong_file(&error)))?;
            Arc::new(keys).into()
        } else {
            let url = format!("{issuer}/.well-known/jwks.json");
            let source = JwksSource::new(&url, &JwksOptions::default(), clock.clone()).map_err(wrong)?;
            let source = Arc::new(source);
            following.push(runtime.spawn(Arc::clone(&source).run()));
            source.into()
        };
        let surroundings = Surroundings::of_service(issuer, api.clone());
        let policies = LivePolicies::load(policies, surroundings, clock.clone()).map_err(wrong)?;
        let policies = Arc::new(policies);
        following.push(runtime.spawn(follow(Arc::clone(&policies))));
        let verifier = Verifier::new(issuer.clone(), keys, *leeway, clock);
        let verifier = verifier.remembering(Verifier::USUAL_MEMORY);
        let authorizer = Authorizer::new(verifier, policies, api.clone());
        let courier = process.courier().clone();
        Ok(Self { authorizer, runtime: runtime.clone(), courier, following })
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        for task in &self.following {
            task.abort();
        }
    }
}

/// Reads the policies folder again and again.
async fn follow(policies: Arc<LivePolicies>) {
    loop {
        time::sleep(POLL).await;
        let policies = Arc::clone(&policies);
        let _ = task::spawn_blocking(move || policies.poll()).await;
    }
}

fn wrong(error: impl fmt::Display) -> PyErr {
    PyValueError::new_err(error.to_string())
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
