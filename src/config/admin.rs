//! `[admin]`.

use std::{
    fmt,
    net::{IpAddr, SocketAddr},
};

use super::{
    layers::Layers,
    tls::{self, TlsSettings},
    values::address,
};

/// `[admin]`.
#[derive(Clone, Debug)]
pub struct AdminSettings {
    /// Where to listen.
    pub listen: SocketAddr,
    /// By what names the listener may be asked, beside its addresses.
    pub hosts: Vec<ListenerHost>,
    /// Whether there is a console.
    pub console: ConsoleState,
    /// `[admin.tls]`.
    pub tls: Option<TlsSettings>,
}

/// Whether the admin listener has a console.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ConsoleState {
    /// It has one.
    #[default]
    On,
    /// It has none.
    Off,
}

/// A name or an address by which a listener is asked, without the port.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ListenerHost {
    /// An address. One of IPv4 that is written as one of IPv6 is one of IPv4.
    Address(IpAddr),
    /// A name, in small letters and without a dot at the end.
    Name(String),
}

impl ListenerHost {
    /// Reads a host as clients and operators write it: `127.0.0.1`, `::1`, `[::1]` or `jeton.internal`. `None` for
    /// anything else, a port included.
    pub fn parse(text: &str) -> Option<Self> {
        let bracketed = text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
        if let Some(inner) = bracketed {
            return Some(Self::Address(IpAddr::V6(inner.parse().ok()?).to_canonical()));
        }
        if let Ok(address) = text.parse::<IpAddr>() {
            return Some(Self::Address(address.to_canonical()));
        }
        let name = text.strip_suffix('.').unwrap_or(text);
        let is_label = |label: &str| {
            let allowed = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
            (1..=63).contains(&label.len()) && label.bytes().all(allowed)
        };
        (name.len() <= 253 && name.split('.').all(is_label)).then(|| Self::Name(name.to_ascii_lowercase()))
    }
}

impl fmt::Display for ListenerHost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Address(address) => address.fmt(f),
            Self::Name(name) => f.write_str(name),
        }
    }
}

/// Reads the section; `None` where there is no admin listener, or something is wrong. `server` is the address of the main
/// one.
pub(super) fn read(layers: &mut Layers, server: Option<SocketAddr>) -> Option<AdminSettings> {
    let section = layers.origin_of("admin");
    let has_section = layers.has("admin");
    let hosts = if layers.has("admin.hosts") {
        layers.list("admin.hosts", |hosts| hosts.iter().map(|text| host(text)).collect())
    } else {
        Some(Vec::new())
    };
    let console = if layers.has("admin.console") {
        layers.text("admin.console", |text| match text {
            "on" => Ok(ConsoleState::On),
            "off" => Ok(ConsoleState::Off),
            other => Err(format!("`{other}` is neither `on` nor `off`: write one of them")),
        })
    } else {
        Some(ConsoleState::default())
    };
    let tls = tls::read(layers, "admin").ok().flatten();
    if layers.has("admin.listen") {
        let listen = layers.text("admin.listen", |text| match text {
            "" => Ok(None),
            text => {
                let listen = address(text)?;
                server.map_or(Ok(()), |server| are_apart(listen, server)).map(|()| Some(listen))
            }
        });
        return Some(AdminSettings { listen: listen??, hosts: hosts?, console: console?, tls });
    }
    if has_section {
        let missing = "`listen` is missing: write `listen = \"127.0.0.1:8081\"`, or remove the section";
        return layers.refuse(&section, missing);
    }
    None
}

/// Refuses an address at which the main listener would be in the way.
fn are_apart(admin: SocketAddr, server: SocketAddr) -> Result<(), String> {
    let (ours, theirs) = (admin.ip().to_canonical(), server.ip().to_canonical());
    let fix = "choose another port, such as `127.0.0.1:8081`";
    if admin.port() == 0 || admin.port() != server.port() {
        Ok(())
    } else if ours == theirs {
        Err(format!("`{admin}` is the address of `server.listen` too: {fix}"))
    } else if ours.is_unspecified() || theirs.is_unspecified() {
        Err(format!(
            "`{admin}` and `server.listen` (`{server}`) share a port, and one of them is on all addresses: {fix}"
        ))
    } else {
        Ok(())
    }
}

fn host(text: &str) -> Result<ListenerHost, String> {
    ListenerHost::parse(text).ok_or_else(|| {
        format!("`{text}` is not a name: write it without scheme and port, such as `jeton.internal`")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_listeners_are_apart() {
        for (admin, server, says) in [
            ("127.0.0.1:8081", "127.0.0.1:8080", None),
            ("127.0.0.1:8080", "127.0.0.2:8080", None),
            ("127.0.0.1:0", "127.0.0.1:0", None),
            ("0.0.0.0:0", "0.0.0.0:0", None),
            ("127.0.0.1:8080", "127.0.0.1:8080", Some("is the address of `server.listen` too")),
            ("[::ffff:127.0.0.1]:8080", "127.0.0.1:8080", Some("is the address of `server.listen` too")),
            ("0.0.0.0:8080", "0.0.0.0:8080", Some("is the address of `server.listen` too")),
            ("0.0.0.0:8080", "127.0.0.1:8080", Some("share a port")),
            ("127.0.0.1:8080", "0.0.0.0:8080", Some("share a port")),
            ("127.0.0.1:8080", "[::]:8080", Some("share a port")),
            ("[::]:8080", "0.0.0.0:8080", Some("share a port")),
        ] {
            let judged = are_apart(admin.parse().unwrap(), server.parse().unwrap());
            let is_right = match (says, &judged) {
                (None, judged) => judged.is_ok(),
                (Some(says), Err(error)) => error.contains(says),
                (Some(_), Ok(())) => false,
            };
            assert!(is_right, "{admin} with {server}: {judged:?}");
        }
    }

    #[test]
    fn a_host_is_read_in_all_its_spellings() {
        let name = |name: &str| Some(ListenerHost::Name(name.to_owned()));
        let address = |address: &str| Some(ListenerHost::Address(address.parse().unwrap()));
        for (text, read) in [
            ("localhost", name("localhost")),
            ("Jeton.Internal.", name("jeton.internal")),
            ("a_b-c.d", name("a_b-c.d")),
            ("127.0.0.1", address("127.0.0.1")),
            ("::1", address("::1")),
            ("[::1]", address("::1")),
            ("[::ffff:10.0.0.1]", address("10.0.0.1")),
            ("", None),
            (".", None),
            ("a..b", None),
            ("a.b..", None),
            ("a:80", None),
            ("[::1]:80", None),
            ("[127.0.0.1]", None),
            ("http://a", None),
            ("a b", None),
            ("*.example.com", None),
            ("jéton", None),
        ] {
            assert_eq!(ListenerHost::parse(text), read, "{text:?}");
        }
    }
}
