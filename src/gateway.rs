//! Gateways in front of other services, which ask about each request that they get (forward auth): what
//! they are called, how they ask, who may ask, and which headers they are answered with.

mod certificate;

use std::{fmt, net::IpAddr};

use ipnet::{IpNet, Ipv4Net};

pub use certificate::{CertificateHeader, ForwardedCertificate};

/// The name of a gateway, which stands in the path at which it asks: 1 to 64 lower-case letters, digits and `-`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct GatewayName(String);

/// What is wrong with the description of a gateway, and the fix.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidGateway {
    /// Not a name.
    #[error("`{0}` is not the name of a gateway: write 1 to 64 lower-case letters, digits and `-`")]
    Name(String),
    /// Not a kind.
    #[error("`{0}` is not a kind of gateway: write nginx, caddy, traefik, envoy, haproxy or service")]
    Kind(String),
    /// Not a range of addresses.
    #[error("`{0}` is not an address or a range of addresses: write it as `127.0.0.1` or `10.1.0.0/16`")]
    Peers(String),
    /// A range with bits behind its prefix, which may be meant otherwise.
    #[error("`{written}` has bits after its prefix: write `{meant}` for the whole range")]
    PeersBehindPrefix {
        /// As it was written.
        written: String,
        /// The range that holds it.
        meant: IpNet,
    },
}

impl GatewayName {
    /// Takes `text` if it is a name.
    ///
    /// # Errors
    /// [`InvalidGateway::Name`].
    pub fn parse(text: &str) -> Result<Self, InvalidGateway> {
        let allowed = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
        if (1..=64).contains(&text.len()) && text.bytes().all(allowed) {
            Ok(Self(text.to_owned()))
        } else {
            Err(InvalidGateway::Name(text.chars().take(80).collect()))
        }
    }

    /// The text itself.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Where the gateway asks.
    pub fn path(&self) -> String {
        format!("/authz/{}", self.0)
    }
}

impl fmt::Display for GatewayName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A program that can ask, and so the one set of headers in which it says what it is asked itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GatewayKind {
    /// `auth_request` of nginx.
    Nginx,
    /// `forward_auth` of Caddy.
    Caddy,
    /// The middleware `ForwardAuth` of Traefik.
    Traefik,
    /// The filter `ext_authz` of Envoy, as an HTTP service.
    Envoy,
    /// A Lua action of `HAProxy`.
    Haproxy,
    /// A service that asks by itself, in whatever language.
    Service,
}

/// The headers in which a gateway says what it is asked itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RequestHeaders {
    /// The method.
    pub method: &'static str,
    /// Path and query as the client sent them.
    pub target: &'static str,
    /// The host, which is read where it chooses the API.
    pub host: &'static str,
}

const ORIGINAL: RequestHeaders =
    RequestHeaders { method: "x-original-method", target: "x-original-uri", host: "x-original-host" };
const FORWARDED: RequestHeaders =
    RequestHeaders { method: "x-forwarded-method", target: "x-forwarded-uri", host: "x-forwarded-host" };

impl GatewayKind {
    /// Every kind.
    pub const ALL: [Self; 6] =
        [Self::Nginx, Self::Caddy, Self::Traefik, Self::Envoy, Self::Haproxy, Self::Service];

    /// Takes the name of a kind.
    ///
    /// # Errors
    /// [`InvalidGateway::Kind`].
    pub fn parse(text: &str) -> Result<Self, InvalidGateway> {
        let found = Self::ALL.into_iter().find(|kind| kind.name() == text);
        found.ok_or_else(|| InvalidGateway::Kind(text.chars().take(80).collect()))
    }

    /// Its name, as settings have it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Nginx => "nginx",
            Self::Caddy => "caddy",
            Self::Traefik => "traefik",
            Self::Envoy => "envoy",
            Self::Haproxy => "haproxy",
            Self::Service => "service",
        }
    }

    /// Where it says what it is asked; `None` where its own request to us is the client's, moved below
    /// [`GatewayName::path`].
    pub fn request_headers(self) -> Option<&'static RequestHeaders> {
        match self {
            Self::Nginx | Self::Haproxy | Self::Service => Some(&ORIGINAL),
            Self::Caddy | Self::Traefik => Some(&FORWARDED),
            Self::Envoy => None,
        }
    }

    /// Where it says which certificate its client showed.
    pub fn certificate_header(self) -> CertificateHeader {
        match self {
            Self::Nginx => CertificateHeader::NGINX,
            Self::Envoy => CertificateHeader::ENVOY,
            Self::Traefik => CertificateHeader::TRAEFIK,
            Self::Caddy | Self::Haproxy | Self::Service => CertificateHeader::CLIENT_CERT,
        }
    }
}

/// The addresses of a gateway that may ask, or of proxies that are believed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TrustedPeers(Vec<IpNet>);

impl TrustedPeers {
    /// Takes ranges of addresses, in CIDR notation (RFC 4632 section 3.1), or single addresses.
    ///
    /// # Errors
    /// [`InvalidGateway`] with the first range that is wrong.
    pub fn parse(ranges: &[String]) -> Result<Self, InvalidGateway> {
        ranges.iter().map(|range| peer_range(range)).collect::<Result<_, _>>().map(Self)
    }

    /// Whether every address of a family is one of them.
    pub fn hold_a_whole_family(&self) -> bool {
        // two halves are a whole
        IpNet::aggregate(&self.0).iter().any(|range| range.prefix_len() == 0)
    }

    /// Whether this address is one of them.
    pub fn contains(&self, address: IpAddr) -> bool {
        // a socket for both families shows an IPv4 address within an IPv6 one
        let address = address.to_canonical();
        self.0.iter().any(|range| range.contains(&address))
    }
}

fn peer_range(text: &str) -> Result<IpNet, InvalidGateway> {
    let wrong = || InvalidGateway::Peers(text.chars().take(80).collect());
    if let Ok(address) = text.parse::<IpAddr>() {
        return Ok(address.to_canonical().into());
    }
    let range: IpNet = text.parse().map_err(|_| wrong())?;
    let meant = range.trunc();
    if meant != range {
        return Err(InvalidGateway::PeersBehindPrefix { written: text.to_owned(), meant });
    }
    // IPv4 within IPv6 (RFC 4291 section 2.5.5.2), as `contains` does not see it
    let as_v4 = match range {
        IpNet::V6(range) => range.addr().to_ipv4_mapped().zip(range.prefix_len().checked_sub(96)),
        IpNet::V4(_) => None,
    };
    Ok(as_v4.and_then(|(address, prefix)| Ipv4Net::new(address, prefix).ok()).map_or(range, IpNet::V4))
}

#[cfg(test)]
mod tests {
    use super::{GatewayName, TrustedPeers};

    #[track_caller]
    fn trusts(ranges: &[&str], peer: &str, expected: bool) {
        let ranges: Vec<_> = ranges.iter().map(|&range| range.to_owned()).collect();
        let peers = TrustedPeers::parse(&ranges).unwrap();
        assert_eq!(peers.contains(peer.parse().unwrap()), expected, "{peer} in {ranges:?}");
    }

    #[test]
    fn peers_are_trusted_by_range_and_nobody_else_is() {
        trusts(&["127.0.0.1/32"], "127.0.0.1", true);
        trusts(&["127.0.0.1"], "127.0.0.1", true);
        trusts(&["127.0.0.1"], "127.0.0.2", false);
        trusts(&["10.1.0.0/16"], "10.1.255.255", true);
        trusts(&["10.1.0.0/16"], "10.2.0.0", false);
        trusts(&["10.1.0.0/16"], "::ffff:10.1.2.3", true);
        trusts(&["::ffff:10.1.2.3"], "10.1.2.3", true);
        trusts(&["::ffff:10.1.0.0/112"], "10.1.2.3", true);
        trusts(&["::ffff:10.1.0.0/112"], "10.2.2.3", false);
        trusts(&["fd00::/8"], "fd12::1", true);
        trusts(&["fd00::/8"], "127.0.0.1", false);
        trusts(&["192.0.2.0/24", "::1"], "::1", true);
        trusts(&["0.0.0.0/0"], "::1", false);
        trusts(&[], "127.0.0.1", false);
    }

    #[test]
    fn what_is_no_range_is_refused() {
        for text in ["", "localhost", "127.0.0.1:80", "127.0.0.0/33", "127.0.0.1/", "10.1.2.3/16", "*"] {
            assert!(TrustedPeers::parse(&[text.to_owned()]).is_err(), "{text}");
        }
    }

    #[test]
    fn names_fit_into_a_path() {
        for name in ["edge", "edge-2", "0", &"a".repeat(64)] {
            assert!(GatewayName::parse(name).is_ok(), "{name}");
        }
        for name in ["", "Edge", "a_b", "a.b", "a/b", "a b", "ä", &"a".repeat(65)] {
            assert!(GatewayName::parse(name).is_err(), "{name}");
        }
    }
}
