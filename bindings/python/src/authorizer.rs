//! The class `Authorizer`.

use std::{
    borrow::Cow,
    future::Future,
    path::PathBuf,
    pin::{Pin, pin},
    task::{Context, Poll, Waker},
};

use jeton_oauth::Thumbprint;
use jeton_verify::{Answer, Shown};
use pyo3::{
    intern,
    prelude::*,
    types::{PyBytes, PyModule},
};

use crate::{
    courier,
    decision::Decision,
    engine::{Engine, Engines},
    options::{Arguments, Options},
    values::{Headers, text, thumbprint},
};

/// Decides the requests to one API.
#[pyclass(frozen, module = "jeton")]
pub(crate) struct Authorizer {
    engines: Engines,
}

#[pymethods]
impl Authorizer {
    #[new]
    #[expect(clippy::too_many_arguments, reason = "they are keyword arguments")]
    #[pyo3(signature = (
        *, issuer, api, policies=None, jwks=None, leeway=30, keep=None, origin=None, credentials=None, ca_file=None
    ))]
    fn new(
        py: Python<'_>,
        issuer: &str,
        api: &str,
        policies: Option<PathBuf>,
        jwks: Option<PathBuf>,
        leeway: i64,
        keep: Option<PathBuf>,
        origin: Option<&str>,
        credentials: Option<&Bound<'_, PyAny>>,
        ca_file: Option<PathBuf>,
    ) -> PyResult<Self> {
        let arguments = Arguments { issuer, api, policies, jwks, leeway, keep, origin, credentials, ca_file };
        Ok(Self { engines: Engines::start(py, Options::read(arguments)?)? })
    }

    /// What is known is decided at once; what must be fetched first is waited for without the lock of the interpreter.
    #[expect(clippy::too_many_arguments, reason = "they are the parts of a request")]
    #[pyo3(signature = (method, target, authorization, dpop=None, certificate=None, *, mounted_at=""))]
    fn decide(
        &self,
        py: Python<'_>,
        method: &Bound<'_, PyAny>,
        target: &Bound<'_, PyAny>,
        authorization: &Bound<'_, PyAny>,
        dpop: Option<&Bound<'_, PyAny>>,
        certificate: Option<&Bound<'_, PyBytes>>,
        mounted_at: &str,
    ) -> PyResult<Decision> {
        let request = Request::read(method, target, authorization)?.showing(dpop, certificate, mounted_at)?;
        let engine = self.engines.here(py)?;
        let (answer, happened) = courier::gathering(|| {
            let mut asked = pin!(request.ask(&engine));
            match poll_once(&engine, asked.as_mut()) {
                Poll::Ready(answer) => answer,
                Poll::Pending => py.detach(|| engine.runtime.block_on(asked)),
            }
        });
        courier::log(py, happened)?;
        Ok(Decision::new(answer))
    }

    /// As `decide`, as a future of the running loop of asyncio. The loop goes on meanwhile.
    #[expect(clippy::too_many_arguments, reason = "they are the parts of a request")]
    #[pyo3(signature = (method, target, authorization, dpop=None, certificate=None, *, mounted_at=""))]
    fn decide_async<'py>(
        &self,
        py: Python<'py>,
        method: &Bound<'py, PyAny>,
        target: &Bound<'py, PyAny>,
        authorization: &Bound<'py, PyAny>,
        dpop: Option<&Bound<'py, PyAny>>,
        certificate: Option<&Bound<'py, PyBytes>>,
        mounted_at: &str,
    ) -> PyResult<Bound<'py, PyAny>> {
        let asyncio = PyModule::import(py, intern!(py, "asyncio"))?;
        let running = asyncio.call_method0(intern!(py, "get_running_loop"))?;
        let future = running.call_method0(intern!(py, "create_future"))?;
        let request = Request::read(method, target, authorization)?.showing(dpop, certificate, mounted_at)?;
        let engine = self.engines.here(py)?;
        let (polled, happened) = courier::gathering(|| poll_once(&engine, pin!(request.ask(&engine))));
        courier::log(py, happened)?;
        match polled {
            Poll::Ready(answer) => {
                future.call_method1(intern!(py, "set_result"), (Decision::new(answer),))?;
            }
            Poll::Pending => {
                // what it began to fetch goes on, and this waits for the same
                let (request, settled) = (request.into_owned(), future.clone().unbind());
                engine.runtime.clone().spawn(async move {
                    let answer = request.ask(&engine).await;
                    engine.courier.settle(settled, answer);
                });
            }
        }
        Ok(future)
    }

    fn close(&self) {
        self.engines.close();
    }

    fn __enter__(this: Py<Self>) -> Py<Self> {
        this
    }

    fn __exit__(&self, _kind: &Bound<'_, PyAny>, _error: &Bound<'_, PyAny>, _traceback: &Bound<'_, PyAny>) {
        self.engines.close();
    }

    fn __repr__(&self) -> String {
        self.engines.options().to_string()
    }
}

/// A request, as the server has it.
struct Request<'r> {
    method: Cow<'r, str>,
    target: Cow<'r, str>,
    authorization: Headers<'r>,
    dpop: Headers<'r>,
    certificate: Option<Thumbprint>,
    /// The path by which the client asked, where that is not the one of the target.
    path: Option<String>,
}

impl<'r> Request<'r> {
    fn read(
        method: &'r Bound<'_, PyAny>,
        target: &'r Bound<'_, PyAny>,
        authorization: &'r Bound<'_, PyAny>,
    ) -> PyResult<Self> {
        Ok(Self {
            method: text("method", method)?,
            target: text("target", target)?,
            authorization: Headers::read("authorization", authorization)?,
            dpop: Headers::default(),
            certificate: None,
            path: None,
        })
    }

    /// With what it shows beside the token.
    fn showing(
        self,
        dpop: Option<&'r Bound<'_, PyAny>>,
        certificate: Option<&Bound<'_, PyBytes>>,
        mounted_at: &str,
    ) -> PyResult<Self> {
        let dpop = dpop.map_or_else(|| Ok(Headers::default()), |dpop| Headers::read("dpop", dpop))?;
        let certificate = certificate.map(thumbprint).transpose()?;
        let path = (!mounted_at.is_empty()).then(|| format!("{mounted_at}{}", self.target));
        Ok(Self { dpop, certificate, path, ..self })
    }

    fn ask(&self, engine: &Engine) -> impl Future<Output = Answer> + Send {
        let shown = Shown::of_headers(self.dpop.iter()).with_certificate(self.certificate);
        let shown = Shown { path: self.path.as_deref(), ..shown };
        engine.authorizer.answer_showing(&self.method, &self.target, self.authorization.iter(), shown)
    }

    fn into_owned(self) -> Request<'static> {
        Request {
            method: Cow::Owned(self.method.into_owned()),
            target: Cow::Owned(self.target.into_owned()),
            authorization: self.authorization.into_owned(),
            dpop: self.dpop.into_owned(),
            certificate: self.certificate,
            path: self.path,
        }
    }
}

/// Whether it is known already.
fn poll_once<F: Future>(engine: &Engine, asked: Pin<&mut F>) -> Poll<F::Output> {
    // what it may have to fetch is fetched in a task
    let _entered = engine.runtime.enter();
    asked.poll(&mut Context::from_waker(Waker::noop()))
}
