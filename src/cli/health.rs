//! `jeton health`: the health check of a container that holds no other program.

use std::{path::Path, time::Duration};

use anyhow::Context;
use jeton_verify::fetch::{Fetcher, Transport};

use super::{
    Outcome,
    first_token::{loopback_of, scheme_of},
};
use crate::config::NeededFolders;

/// How long the service may take to answer.
const TIMEOUT: Duration = Duration::from_secs(10);

pub(super) fn run(config: Option<&Path>) -> anyhow::Result<Outcome> {
    let server = super::settings(NeededFolders::Nothing, config)?.server;
    // whether the service lives is asked, of this machine itself, and not who it is for clients
    let transport = if server.tls.is_some() { Transport::InsecureHttps } else { Transport::Http };
    let url = format!("{}://{}/healthz", scheme_of(server.tls.as_ref()), loopback_of(server.listen));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let asked = runtime.block_on(async { Fetcher::new(transport, TIMEOUT)?.get(&url, "*/*", None).await });
    asked.with_context(|| url.clone())?;
    Ok(Outcome::Done)
}
