//! What decides, and the threads in which it follows what changes.

use std::{
    future::Future,
    pin::{Pin, pin},
    sync::Arc,
    task::{Context, Poll, Waker},
};

use jeton_oauth::Thumbprint;
use jeton_verify::{Answer, Authorizer, ServiceCredentials, Shown, certificate_thumbprint};
use napi::{
    Env, Error, Result,
    bindgen_prelude::{Either, Object},
};
use napi_derive::napi;
use tokio::runtime::{Builder, Handle, Runtime};
use tracing::{Dispatch, Level, dispatcher};

use crate::{
    giver::{TokenCallback, giver},
    listener::{Listener, LogCallback},
    options::EngineOptions,
    shown::shown,
};

/// The values of all headers of a name, of one at most or of several.
type HeaderValues = Option<Either<String, Vec<String>>>;

/// An authorizer, below the class that users see.
#[napi]
pub struct Engine(Option<Arc<Running>>);

#[napi]
impl Engine {
    /// Starts it. `log` is called with level, name and fields of each event, and `give` for each token that the bundle
    /// needs.
    #[napi(constructor)]
    pub fn new(options: EngineOptions, log: LogCallback, give: Option<TokenCallback>) -> Result<Self> {
        let level = if options.is_verbose { Level::DEBUG } else { Level::WARN };
        let listener = Dispatch::new(Listener::new(log, level));
        Ok(Self(Some(Arc::new(Running::start(options, give.map(giver), listener)?))))
    }

    /// A decision as JSON: at once if all is known that it needs, or else as a promise.
    #[napi(catch_unwind)]
    pub fn decide<'env>(
        &self,
        env: &'env Env,
        method: String,
        target: String,
        authorization: HeaderValues,
        dpop: HeaderValues,
        certificate: Option<&[u8]>,
    ) -> Result<Either<String, Object<'env>>> {
        let running = self.0.as_ref().ok_or_else(|| Error::from_reason("this authorizer is closed"))?;
        let certificate = certificate.map(certificate_thumbprint);
        let (authorization, dpop) = (values(authorization), values(dpop));
        let request = Request { method, target, authorization, dpop, certificate };
        let polled = running.poll(pin!(request.ask(&running.authorizer)));
        match polled {
            Poll::Ready(answer) => shown(&answer).map(Either::A),
            // what it began to fetch goes on, and this waits for the same
            Poll::Pending => {
                let (deferred, promise) = env.create_deferred()?;
                let asking = Arc::clone(running);
                let asked = running.handle.spawn(async move { request.ask(&asking.authorizer).await });
                running.handle.spawn(async move {
                    match asked.await {
                        Ok(answer) => deferred.resolve(move |_| shown(&answer)),
                        Err(panic) => deferred.reject(Error::from_reason(panic.to_string())),
                    }
                });
                Ok(Either::B(promise))
            }
        }
    }

    /// The name of the rule by which requests for this path are decided, if there is one.
    #[napi(catch_unwind)]
    pub fn rule_for(&self, method: String, path: String) -> Result<Option<String>> {
        let running = self.0.as_ref().ok_or_else(|| Error::from_reason("this authorizer is closed"))?;
        Ok(Request { method, target: path, ..Request::default() }.rule(&running.authorizer))
    }

    /// Ends what it follows; requests that wait are still decided.
    #[napi]
    pub fn close(&mut self) {
        self.0 = None;
    }
}

/// The values as a list.
fn values(headers: HeaderValues) -> Vec<String> {
    match headers {
        None => Vec::new(),
        Some(Either::A(only)) => vec![only],
        Some(Either::B(all)) => all,
    }
}

/// A request, as the server has it.
#[derive(Default)]
struct Request {
    method: String,
    target: String,
    authorization: Vec<String>,
    dpop: Vec<String>,
    certificate: Option<Thumbprint>,
}

impl Request {
    fn ask(&self, authorizer: &Authorizer) -> impl Future<Output = Answer> + Send {
        let dpop = self.dpop.iter().map(String::as_bytes);
        let shown = Shown::of_headers(dpop).with_certificate(self.certificate);
        let authorization = self.authorization.iter().map(String::as_bytes);
        authorizer.answer_showing(&self.method, &self.target, authorization, shown)
    }

    fn rule(&self, authorizer: &Authorizer) -> Option<String> {
        authorizer.rule_for(&self.method, &self.target).map(|rule| rule.to_string())
    }
}

/// An authorizer that runs, until the last decision that waits is made. What it follows ends with it.
struct Running {
    authorizer: Authorizer,
    handle: Handle,
    /// `None` while it is dropped.
    runtime: Option<Runtime>,
    listener: Dispatch,
}

impl Running {
    fn start(options: EngineOptions, giver: Option<ServiceCredentials>, listener: Dispatch) -> Result<Self> {
        let of_threads = listener.clone();
        let runtime = Builder::new_multi_thread()
            .worker_threads(1)
            // addresses are looked up and files are read here
            .max_blocking_threads(4)
            .thread_name("jeton")
            .on_thread_start(move || Listener::hear_this_thread(&of_threads))
            .enable_all()
            .build()?;
        let authorizer = {
            let _entered = runtime.enter();
            dispatcher::with_default(&listener, || options.start(giver))?
        };
        Ok(Self { authorizer, handle: runtime.handle().clone(), runtime: Some(runtime), listener })
    }

    /// Whether it is known already.
    fn poll<F: Future>(&self, asked: Pin<&mut F>) -> Poll<F::Output> {
        // what it may have to fetch is fetched in a task
        let _entered = self.handle.enter();
        dispatcher::with_default(&self.listener, || asked.poll(&mut Context::from_waker(Waker::noop())))
    }
}

impl Drop for Running {
    /// Waits for nothing: this may be the event loop, or a thread of the runtime itself.
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}
