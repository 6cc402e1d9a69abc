//! `jeton health`: the health check of a container that holds no other program.

use std::{net::IpAddr, path::Path, time::Duration};

use anyhow::Context;
use jeton_verify::fetch::{Fetcher, Transport};

use super::Outcome;
use crate::config::NeededFolders;

/// How long the service may take to answer.
const TIMEOUT: Duration = Duration::from_secs(10);

pub(super) fn run(config: Option<&Path>) -> anyhow::Result<Outcome> {
    let server = super::settings(NeededFolders::Nothing, config)?.server;
    let mut address = server.listen;
    if address.ip().is_unspecified() {
        address.set_ip(match address.ip() {
            IpAddr::V4(_) => IpAddr::V4(std::net::Ipv4Addr::LOCALHOST),
            IpAddr::V6(_) => IpAddr::V6(std::net::Ipv6Addr::LOCALHOST),
        });
    }
    // whether the service lives is asked, of this machine itself, and not who it is for clients
    let (scheme, transport) =
        if server.tls.is_some() { ("https", Transport::InsecureHttps) } else { ("http", Transport::Http) };
    let url = format!("{scheme}://{address}/healthz");
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let asked = runtime.block_on(async { Fetcher::new(transport, TIMEOUT)?.get(&url, "*/*", None).await });
    asked.with_context(|| url.clone())?;
    Ok(Outcome::Done)
}
