//! The line with which somebody fetches a first token from a service.

use std::{
    fmt,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
};

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

/// What a form leaves as it is, and a shell too. Credentials are form-encoded (RFC 6749 section 2.3.1).
const ENCODED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.');
/// The same for addresses, which are easier to read so.
const ENCODED_URL: &AsciiSet = &ENCODED.remove(b':').remove(b'/');

/// A request for a token, for a shell.
pub(super) struct FirstToken<'t> {
    /// What stands before the path of the endpoint.
    pub(super) base: &'t str,
    /// The id of the client.
    pub(super) client: &'t str,
    /// Its secret, or what is to be replaced by it.
    pub(super) secret: &'t str,
    /// The audience of the API, if the client has a choice.
    pub(super) resource: Option<&'t str>,
}

impl fmt::Display for FirstToken<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { base, client, secret, resource } = self;
        let (client, secret) = (utf8_percent_encode(client, ENCODED), utf8_percent_encode(secret, ENCODED));
        write!(f, "curl -u {client}:{secret} -d grant_type=client_credentials")?;
        if let Some(resource) = resource {
            write!(f, " -d resource={}", utf8_percent_encode(resource, ENCODED_URL))?;
        }
        // brackets are patterns to a shell
        let quote = if base.contains('[') { "'" } else { "" };
        write!(f, " {quote}{base}/oauth2/token{quote}")
    }
}

/// Where this machine reaches a server that listens there.
pub(super) fn loopback_of(mut listen: SocketAddr) -> SocketAddr {
    if listen.ip().is_unspecified() {
        listen.set_ip(match listen.ip() {
            IpAddr::V4(_) => IpAddr::V4(Ipv4Addr::LOCALHOST),
            IpAddr::V6(_) => IpAddr::V6(Ipv6Addr::LOCALHOST),
        });
    }
    listen
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_is_one_word_of_a_shell() {
        for (client, secret, resource, base, expected) in [
            (
                "acme-sync",
                "demo-secret-of-acme-sync",
                Some("https://orders.example.com"),
                "http://127.0.0.1:8080",
                "curl -u acme-sync:demo-secret-of-acme-sync -d grant_type=client_credentials -d resource=https://orders.example.com http://127.0.0.1:8080/oauth2/token",
            ),
            (
                "a:b $(c)'",
                "SECRET",
                None,
                "http://[::1]:8080",
                "curl -u a%3Ab%20%24%28c%29%27:SECRET -d grant_type=client_credentials 'http://[::1]:8080/oauth2/token'",
            ),
            (
                "x",
                "y",
                Some("urn:a&b=c+d"),
                "http://127.0.0.1:1",
                "curl -u x:y -d grant_type=client_credentials -d resource=urn:a%26b%3Dc%2Bd http://127.0.0.1:1/oauth2/token",
            ),
        ] {
            assert_eq!(FirstToken { base, client, secret, resource }.to_string(), expected);
        }
    }

    #[test]
    fn a_server_that_listens_everywhere_is_reached_here() {
        for (listen, reached) in
            [("0.0.0.0:80", "127.0.0.1:80"), ("[::]:80", "[::1]:80"), ("192.0.2.1:80", "192.0.2.1:80")]
        {
            assert_eq!(loopback_of(listen.parse().unwrap()).to_string(), reached);
        }
    }
}
