//! `jeton health`: the health check of a container that holds no other program.

use std::{net::IpAddr, path::Path};

use super::{Outcome, token};
use crate::config::Needs;

pub(super) fn run(config: Option<&Path>) -> anyhow::Result<Outcome> {
    let mut address = super::settings(Needs::Nothing, config)?.server.listen;
    if address.ip().is_unspecified() {
        address.set_ip(match address.ip() {
            IpAddr::V4(_) => IpAddr::V4(std::net::Ipv4Addr::LOCALHOST),
            IpAddr::V6(_) => IpAddr::V6(std::net::Ipv6Addr::LOCALHOST),
        });
    }
    token::fetch(&format!("http://{address}/healthz"))?;
    Ok(Outcome::Done)
}
