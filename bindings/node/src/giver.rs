//! A function of JavaScript that gives tokens for the bundle.

use std::{error::Error, sync::Arc, time::Duration};

use jeton_verify::ServiceCredentials;
use napi::{Status, bindgen_prelude::Promise, threadsafe_function::ThreadsafeFunction};
use tokio::{runtime::Handle, time};

/// How long a token is waited for.
const TIMEOUT: Duration = Duration::from_secs(30);

/// Calls the function in its thread. It does not keep the process alive.
pub(crate) type TokenCallback = ThreadsafeFunction<(), Promise<String>, (), Status, false, true, 0>;

/// The function, which returns a promise and does not throw.
pub(crate) fn giver(callback: TokenCallback) -> ServiceCredentials {
    // in a thread of the runtime that may block
    let give = move || Handle::current().block_on(time::timeout(TIMEOUT, ask(&callback)))?;
    ServiceCredentials::Token(Arc::new(give))
}

async fn ask(callback: &TokenCallback) -> Result<String, Box<dyn Error + Send + Sync>> {
    let promise = callback.call_async(()).await?;
    Ok(promise.await.map_err(|error| error.reason.clone())?)
}
