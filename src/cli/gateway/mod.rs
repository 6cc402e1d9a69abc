//! `jeton gateway`.

mod check;
mod recipe;

use std::{fmt, path::Path, str::FromStr};

use anyhow::Context;
use clap::Subcommand;

use super::Outcome;
use crate::config::{GatewaySettings, Settings};

#[derive(Subcommand)]
pub(super) enum GatewayCommand {
    /// Write a complete gateway configuration that asks jeton about each request.
    Config(recipe::Config),
    /// Attack a running gateway, and report what reached its upstream. This command is the upstream.
    Check(check::Check),
}

pub(super) fn run(command: &GatewayCommand, config: Option<&Path>) -> anyhow::Result<Outcome> {
    match command {
        GatewayCommand::Config(command) => command.run(config),
        GatewayCommand::Check(command) => command.run(config),
    }
}

/// `HOST:PORT`, as configurations of every gateway take it.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Address {
    /// A name, an IPv4 address, or an IPv6 address in brackets.
    host: String,
    port: u16,
}

impl FromStr for Address {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || format!("`{text}` is not an address: write HOST:PORT, such as `127.0.0.1:8081`");
        let (host, port) = text.rsplit_once(':').ok_or_else(wrong)?;
        let port = port.parse().ok().filter(|port| *port > 0).ok_or_else(wrong)?;
        let is_v6 = |host: &str| host.parse::<std::net::Ipv6Addr>().is_ok();
        let in_brackets = host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
        let is_name = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_');
        let is_sound = match in_brackets {
            Some(host) => is_v6(host),
            // `unix:` is a socket for some programs
            None => !host.is_empty() && host != "unix" && host.bytes().all(is_name),
        };
        if is_sound { Ok(Self { host: host.to_owned(), port }) } else { Err(wrong()) }
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.host, self.port)
    }
}

/// The gateway of this name.
fn gateway<'s>(settings: &'s Settings, name: &str) -> anyhow::Result<&'s GatewaySettings> {
    let found = settings.gateways.iter().find(|gateway| gateway.name.as_str() == name);
    found.with_context(|| {
        let known: Vec<_> = settings.gateways.iter().map(|gateway| format!("`{}`", gateway.name)).collect();
        if known.is_empty() {
            format!("the settings have no gateway: add a section `[gateways.{name}]`")
        } else {
            format!("the settings have no gateway `{name}`: they have {}", known.join(", "))
        }
    })
}
