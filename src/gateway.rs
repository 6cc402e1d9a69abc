//! Gateways in front of other services, which ask about each request that they get (forward auth): what
//! they are called, how they ask, who may ask, and which headers they are answered with.

use std::{
    fmt,
    mem::discriminant,
    net::{IpAddr, SocketAddr},
};

use ipnet::{IpNet, Ipv4Net};
use serde_json::Value;

use crate::oauth::is_registered_claim;

/// The name of a gateway, which stands in the path at which it asks: 1 to 64 small letters, digits and `-`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct GatewayName(String);

/// What is wrong with the description of a gateway, and the fix.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidGateway {
    /// Not a name.
    #[error("`{0}` is not the name of a gateway: write 1 to 64 small letters, digits and `-`")]
    Name(String),
    /// Not a host.
    #[error("`{0}` is no host: write it as clients name it, such as `orders.example.com`")]
    Host(String),
    /// Not a kind.
    #[error("`{0}` is not a kind of gateway: write nginx, caddy, traefik, envoy or haproxy")]
    Kind(String),
    /// Not a range of addresses.
    #[error("`{0}` is not an address or a range of addresses: write it as `127.0.0.1` or `10.1.0.0/16`")]
    Peers(String),
    /// A range with bits behind its prefix, which may be meant otherwise.
    #[error("`{written}` has bits behind its prefix: write `{meant}` if that range is meant")]
    PeersBehindPrefix {
        /// As it was written.
        written: String,
        /// The range that holds it.
        meant: IpNet,
    },
    /// A claim that jeton sets itself.
    #[error("`{0}` is a registered claim: the answer has client, scopes, roles and the token's id anyway")]
    RegisteredClaim(String),
    /// A claim from whose name no header can be made.
    #[error(
        "no header can be named after the claim `{0}`: its name may have letters, digits, `-`, `_` and `.`"
    )]
    ClaimName(String),
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

/// A host as clients name it, with its port if there is one. Case says nothing (RFC 9110 section 4.2.3), nor does a dot
/// at the end of the name.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct HostName(String);

impl HostName {
    /// Reads a host.
    ///
    /// # Errors
    /// [`InvalidGateway::Host`].
    pub fn parse(text: &str) -> Result<Self, InvalidGateway> {
        let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"-.:[]_".contains(&byte);
        let host = Self::of(text);
        if host.0.starts_with(|c: char| c.is_ascii_alphanumeric() || c == '[') && host.0.bytes().all(allowed)
        {
            Ok(host)
        } else {
            Err(InvalidGateway::Host(text.chars().take(80).collect()))
        }
    }

    /// The host of a request, which may be none that there is.
    pub fn of(text: &str) -> Self {
        let mut host = text.to_ascii_lowercase();
        let is_port = |port: &str| !port.is_empty() && port.bytes().all(|byte| byte.is_ascii_digit());
        let end = host
            .rsplit_once(':')
            .filter(|(_, port)| is_port(port))
            .map_or(host.len(), |(name, _)| name.len());
        if let Some(dot) = end.checked_sub(1)
            && host.as_bytes().get(dot) == Some(&b'.')
        {
            host.remove(dot);
        }
        Self(host)
    }

    /// The text, in small letters and without a dot at the end.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for HostName {
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
    pub const ALL: [Self; 5] = [Self::Nginx, Self::Caddy, Self::Traefik, Self::Envoy, Self::Haproxy];

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
        }
    }

    /// Where it says what it is asked; `None` where its own request to us is the client's, moved below
    /// [`GatewayName::path`].
    pub fn request_headers(self) -> Option<&'static RequestHeaders> {
        match self {
            Self::Nginx | Self::Haproxy => Some(&ORIGINAL),
            Self::Caddy | Self::Traefik => Some(&FORWARDED),
            Self::Envoy => None,
        }
    }
}

/// Who may ask: the addresses from which a gateway connects.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TrustedPeers(Vec<IpNet>);

impl TrustedPeers {
    /// Takes ranges of addresses, in CIDR notation (RFC 4632 section 3.1), or single addresses.
    ///
    /// # Errors
    /// [`InvalidGateway`] with the first that is none.
    pub fn parse(ranges: &[String]) -> Result<Self, InvalidGateway> {
        ranges.iter().map(|range| peer_range(range)).collect::<Result<_, _>>().map(Self)
    }

    /// Whether a connection from this address may ask.
    pub fn contains(&self, peer: SocketAddr) -> bool {
        // a socket for both families shows an IPv4 address within an IPv6 one
        let address = peer.ip().to_canonical();
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

/// A claim of the token that is answered as a header, and the header's name in small letters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClaimHeader {
    /// The claim.
    pub claim: String,
    /// The header.
    pub header: String,
}

impl ClaimHeader {
    /// The header for a claim: `x-auth-claim-tenant-id` for `tenant_id`, because programs drop or mistake headers
    /// with `_` and `.`.
    ///
    /// # Errors
    /// [`InvalidGateway`] for a registered claim, or a name that does not fit.
    pub fn parse(claim: &str) -> Result<Self, InvalidGateway> {
        if is_registered_claim(claim) {
            return Err(InvalidGateway::RegisteredClaim(claim.to_owned()));
        }
        let allowed = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
        if claim.is_empty() || claim.len() > 64 || !claim.bytes().all(allowed) {
            return Err(InvalidGateway::ClaimName(claim.chars().take(80).collect()));
        }
        let name = claim.to_ascii_lowercase().replace(['_', '.'], "-");
        Ok(Self { claim: claim.to_owned(), header: format!("x-auth-claim-{name}") })
    }
}

/// What a header says of a claim: text as it is, a whole number by its digits, a boolean as `true` or `false`, a list of
/// one of these types with spaces between, and nothing of what is none of them, as for conditions. `None` where a reader
/// would see something else than what the claim says: a control character, a space at an end, an item that holds a
/// space, a list of several types or of other things.
pub fn header_text(value: &Value) -> Option<String> {
    let is_plain = |text: &str| !text.chars().any(char::is_control) && text.trim_matches(' ') == text;
    let scalar = |value: &Value| match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => (number.is_i64() || number.is_u64()).then(|| number.to_string()),
        Value::Bool(truth) => Some(truth.to_string()),
        Value::Null | Value::Array(_) | Value::Object(_) => None,
    };
    match value {
        Value::Array(items) => {
            let is_word = |item: &String| !item.is_empty() && !item.contains(' ') && is_plain(item);
            let is_of_first = |item: &Value| items.first().map(discriminant) == Some(discriminant(item));
            let words =
                items.iter().map(|item| scalar(item).filter(|word| is_of_first(item) && is_word(word)));
            Some(words.collect::<Option<Vec<_>>>()?.join(" "))
        }
        other => match scalar(other) {
            Some(text) => is_plain(&text).then_some(text),
            None => Some(String::new()),
        },
    }
}

/// The headers of every positive answer, in small letters; those of claims come behind them.
pub const IDENTITY_HEADERS: [&str; 4] = ["x-auth-client", "x-auth-scopes", "x-auth-roles", "x-auth-token-id"];

/// What the name of every header begins with that says who is behind a request.
pub const IDENTITY_PREFIX: &str = "x-auth-";

/// Headers by which some frameworks let a request be another method than its own, in small letters.
pub const METHOD_OVERRIDES: [&str; 3] = ["x-http-method-override", "x-http-method", "x-method-override"];

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::{ClaimHeader, GatewayName, HostName, TrustedPeers, header_text};

    #[test]
    fn rfc9110_4_2_3_a_host_is_compared_without_case() {
        for (text, host) in [
            ("orders.example.com", "orders.example.com"),
            ("ORDERS.Example.com", "orders.example.com"),
            ("orders.example.com.", "orders.example.com"),
            ("Orders.example.com.:8443", "orders.example.com:8443"),
            ("[::1]:8443", "[::1]:8443"),
            ("[FE80::1]", "[fe80::1]"),
            ("orders.example.com..", "orders.example.com."),
            (".", ""),
            ("", ""),
        ] {
            assert_eq!(HostName::of(text).as_str(), host, "{text}");
        }
        for bad in ["", ".", "https://orders.example.com", "a b", "a/b", "\u{e9}.example.com", ":80", "a\nb"]
        {
            assert!(HostName::parse(bad).is_err(), "{bad}");
        }
    }

    #[track_caller]
    fn trusts(ranges: &[&str], peer: &str, expected: bool) {
        let ranges: Vec<_> = ranges.iter().map(|&range| range.to_owned()).collect();
        let peers = TrustedPeers::parse(&ranges).unwrap();
        assert_eq!(peers.contains(peer.parse().unwrap()), expected, "{peer} in {ranges:?}");
    }

    #[test]
    fn peers_are_trusted_by_range_and_nobody_else_is() {
        trusts(&["127.0.0.1/32"], "127.0.0.1:1", true);
        trusts(&["127.0.0.1"], "127.0.0.1:1", true);
        trusts(&["127.0.0.1"], "127.0.0.2:1", false);
        trusts(&["10.1.0.0/16"], "10.1.255.255:1", true);
        trusts(&["10.1.0.0/16"], "10.2.0.0:1", false);
        trusts(&["10.1.0.0/16"], "[::ffff:10.1.2.3]:1", true);
        trusts(&["::ffff:10.1.2.3"], "10.1.2.3:1", true);
        trusts(&["::ffff:10.1.0.0/112"], "10.1.2.3:1", true);
        trusts(&["::ffff:10.1.0.0/112"], "10.2.2.3:1", false);
        trusts(&["fd00::/8"], "[fd12::1]:1", true);
        trusts(&["fd00::/8"], "127.0.0.1:1", false);
        trusts(&["192.0.2.0/24", "::1"], "[::1]:1", true);
        trusts(&["0.0.0.0/0"], "[::1]:1", false);
        trusts(&[], "127.0.0.1:1", false);
    }

    #[test]
    fn what_is_no_range_is_refused() {
        for text in ["", "localhost", "127.0.0.1:80", "127.0.0.0/33", "127.0.0.1/", "10.1.2.3/16", "*"] {
            assert!(TrustedPeers::parse(&[text.to_owned()]).is_err(), "{text}");
        }
    }

    #[test]
    fn a_header_says_what_the_claim_says_or_nothing() {
        for (claim, expected) in [
            (json!("acme"), Some("acme")),
            (json!("acme corp"), Some("acme corp")),
            (json!("m\u{fc}nchen"), Some("m\u{fc}nchen")),
            (json!(["a", "b"]), Some("a b")),
            (json!([]), Some("")),
            (json!(""), Some("")),
            (json!(7), Some("7")),
            (json!(-7), Some("-7")),
            (json!(u64::MAX), Some("18446744073709551615")),
            (json!(true), Some("true")),
            (json!([1, 2]), Some("1 2")),
            (json!([true, false]), Some("true false")),
            (json!(null), Some("")),
            (json!(7.5), Some("")),
            (json!(7.0), Some("")),
            (json!({ "a": "b" }), Some("")),
            (json!("acme "), None),
            (json!(" acme"), None),
            (json!("a\tb"), None),
            (json!("a\r\nX-Auth-Client: admin"), None),
            (json!("a\u{85}"), None),
            (json!(["a b", "c"]), None),
            (json!(["a", ""]), None),
            (json!(["a", 1]), None),
            (json!([1, "1"]), None),
            (json!([1, 1.5]), None),
            (json!([null]), None),
            (json!([["a"]]), None),
        ] {
            assert_eq!(header_text(&claim).as_deref(), expected, "{claim}");
        }
    }

    #[test]
    fn names_fit_into_a_path_and_claims_into_a_header() {
        for name in ["edge", "edge-2", "0", &"a".repeat(64)] {
            assert!(GatewayName::parse(name).is_ok(), "{name}");
        }
        for name in ["", "Edge", "a_b", "a.b", "a/b", "a b", "ä", &"a".repeat(65)] {
            assert!(GatewayName::parse(name).is_err(), "{name}");
        }
        let header = |claim| ClaimHeader::parse(claim).map(|it| it.header).ok();
        assert_eq!(header("tenant").as_deref(), Some("x-auth-claim-tenant"));
        assert_eq!(header("Tenant_ID.v2").as_deref(), Some("x-auth-claim-tenant-id-v2"));
        for claim in ["", "sub", "scope", "cnf", "a b", "a:b", "ä", "a\r\nb"] {
            assert_eq!(header(claim), None, "{claim}");
        }
    }
}
