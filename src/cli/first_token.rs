//! The line with which somebody fetches a first token from a service.

use std::{
    borrow::Cow,
    fmt,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    path::{self, Path},
};

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

use crate::config::TlsSettings;

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
    /// Its secret, if it is known: `curl` asks for it where the line has none.
    pub(super) secret: Option<&'t str>,
    /// The audience of the API, if the client has a choice.
    pub(super) resource: Option<&'t str>,
    /// The certificate of the service, if it has one: `curl` trusts it by this file, whoever issued it.
    pub(super) cert: Option<&'t Path>,
}

impl fmt::Display for FirstToken<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { base, client, secret, resource, cert } = self;
        f.write_str("curl")?;
        if let Some(cert) = cert {
            // whoever runs it may be in another folder
            let cert = path::absolute(cert).unwrap_or_else(|_| cert.to_path_buf());
            write!(f, " --cacert {}", word(&cert.display().to_string()))?;
        }
        write!(f, " -u {}", utf8_percent_encode(client, ENCODED))?;
        if let Some(secret) = secret {
            write!(f, ":{}", utf8_percent_encode(secret, ENCODED))?;
        }
        f.write_str(" -d grant_type=client_credentials")?;
        if let Some(resource) = resource {
            write!(f, " -d resource={}", utf8_percent_encode(resource, ENCODED_URL))?;
        }
        write!(f, " {}", word(&format!("{base}/oauth2/token")))
    }
}

/// One word of a shell: in quotes where a character could mean something else to it, as brackets do.
fn word(text: &str) -> Cow<'_, str> {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "/:._-+,@%=".contains(c);
    if text.chars().all(is_plain) { text.into() } else { format!("'{}'", text.replace('\'', r"'\''")).into() }
}

/// `http` or `https`.
pub(super) fn scheme_of(tls: Option<&TlsSettings>) -> &'static str {
    if tls.is_some() { "https" } else { "http" }
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
        for (client, secret, resource, base, cert, expected) in [
            (
                "acme-sync",
                Some("demo-secret-of-acme-sync"),
                Some("https://orders.example.com"),
                "http://127.0.0.1:8080",
                None,
                "curl -u acme-sync:demo-secret-of-acme-sync -d grant_type=client_credentials -d resource=https://orders.example.com http://127.0.0.1:8080/oauth2/token",
            ),
            (
                "a:b $(c)'",
                None,
                None,
                "http://[::1]:8080",
                None,
                "curl -u a%3Ab%20%24%28c%29%27 -d grant_type=client_credentials 'http://[::1]:8080/oauth2/token'",
            ),
            (
                "x",
                Some("y"),
                Some("urn:a&b=c+d"),
                "http://127.0.0.1:1",
                None,
                "curl -u x:y -d grant_type=client_credentials -d resource=urn:a%26b%3Dc%2Bd http://127.0.0.1:1/oauth2/token",
            ),
            (
                "x",
                Some("y"),
                None,
                "https://localhost:1",
                Some("/etc/jeton/tls.pem"),
                "curl --cacert /etc/jeton/tls.pem -u x:y -d grant_type=client_credentials https://localhost:1/oauth2/token",
            ),
            (
                "x",
                Some("y"),
                None,
                "https://localhost:1",
                Some("/etc/it's $HOME.pem"),
                r"curl --cacert '/etc/it'\''s $HOME.pem' -u x:y -d grant_type=client_credentials https://localhost:1/oauth2/token",
            ),
        ] {
            let cert = cert.map(Path::new);
            assert_eq!(FirstToken { base, client, secret, resource, cert }.to_string(), expected);
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
