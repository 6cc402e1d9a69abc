//! The address of a request, as its client knows it: the `htu` of proofs, compared as RFC 9449 section 4.3 asks.

use std::{fmt, sync::Arc};

use jeton_oauth::{Issuer, ShownUrl};

/// Why a text is no origin. It never repeats a user name or password of the text.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{0}` is no origin: write the scheme and the host by which clients ask, and the port if it is not the usual one, such \
     as `https://orders.example.com`"
)]
pub struct InvalidOrigin(String);

/// Scheme, host and port by which clients reach a service: what is configured, never what a request says of its host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Origin {
    /// Normalised, without a path.
    text: Arc<str>,
    /// The path that a proxy in front cuts off.
    cut: Arc<str>,
}

/// The address of a request without query and fragment, normalised as RFC 3986 sections 6.2.2 and 6.2.3 have it. Two that
/// are equal are the same address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TargetUri(String);

/// The schemes, each with its usual port (RFC 9110 section 4.2).
const SCHEMES: [(&str, &str); 2] = [("https", "443"), ("http", "80")];

impl Origin {
    /// Reads an origin such as `https://orders.example.com` or `http://127.0.0.1:8080`.
    ///
    /// # Errors
    /// [`InvalidOrigin`] for anything with another scheme, a user name, a path, a query or a fragment.
    pub fn parse(text: &str) -> Result<Self, InvalidOrigin> {
        let (origin, rest) = split(text)
            .ok_or_else(|| InvalidOrigin(ShownUrl(text).to_string().chars().take(80).collect()))?;
        if rest.is_empty() {
            Ok(Self { text: origin.into(), cut: "".into() })
        } else {
            Err(InvalidOrigin(ShownUrl(text).to_string().chars().take(80).collect()))
        }
    }

    /// The origin of an issuer.
    pub fn of(issuer: &Issuer) -> Self {
        let text = issuer.as_str();
        let text = text.strip_suffix(issuer.path()).unwrap_or(text);
        let normalised = split(text).map_or_else(|| text.to_owned(), |(origin, _)| origin);
        Self { text: normalised.into(), cut: "".into() }
    }

    /// For a service behind a proxy that cuts this path off: it begins with a slash and has none at its end. Clients ask
    /// for paths below it, and the service sees the rest.
    #[must_use]
    pub fn below(self, path: &str) -> Self {
        Self { cut: path.into(), ..self }
    }

    /// The origin, without a path.
    pub fn as_str(&self) -> &str {
        &self.text
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl TargetUri {
    /// The address of a path, as it was sent, at this origin. What stands behind the first `?` is not looked at. `None` for
    /// a request that has no path.
    pub fn of(origin: &Origin, path: &str) -> Option<Self> {
        let path = path.split('?').next().filter(|path| path.starts_with('/') && !path.contains('#'))?;
        let address = [&*origin.text, &*origin.cut, path].concat();
        // almost every address is as it should be already
        if is_normalised(path) && is_normalised(&origin.cut) {
            Some(Self(address))
        } else {
            Self::parse(&address)
        }
    }

    /// The address of an endpoint of an issuer, by its path below the issuer.
    pub fn of_endpoint(issuer: &Issuer, path: &str) -> Self {
        let address = issuer.endpoint(path);
        // always read: an issuer is a canonical address
        Self::parse(&address).unwrap_or(Self(address))
    }

    /// Reads an absolute address of `http` or `https`. Query and fragment are left out.
    pub fn parse(text: &str) -> Option<Self> {
        let (mut address, rest) = split(text)?;
        let path = rest.split(['?', '#']).next().unwrap_or_default();
        address.push_str(&normalised_path(path)?);
        Some(Self(address))
    }

    /// Whether another address, as somebody wrote it, is this one.
    pub fn is(&self, text: &str) -> bool {
        self.0 == text || Self::parse(text).is_some_and(|other| other == *self)
    }

    /// The address.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Scheme and authority, normalised, and what stands behind them.
fn split(text: &str) -> Option<(String, &str)> {
    let (scheme, rest) = text.split_once("://")?;
    let (scheme, usual_port) = SCHEMES.into_iter().find(|(name, _)| scheme.eq_ignore_ascii_case(name))?;
    let (authority, rest) = rest.split_at(rest.find(['/', '?', '#']).unwrap_or(rest.len()));
    let (host, port) = match authority.rsplit_once(':') {
        // an IPv6 address has colons of its own
        Some((host, port)) if !port.ends_with(']') => (host, port),
        _ => (authority, ""),
    };
    let host = decoded(host)?.to_ascii_lowercase();
    let is_literal = host.starts_with('[') && host.ends_with(']');
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~%!$&'()*+,;=".contains(&byte);
    let is_host = if is_literal {
        host.bytes().all(|byte| byte.is_ascii_hexdigit() || b":.[]".contains(&byte))
    } else {
        host.bytes().all(allowed)
    };
    if host.is_empty() || !is_host || !port.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let port = if port.is_empty() || port == usual_port { String::new() } else { format!(":{port}") };
    Some((format!("{scheme}://{host}{port}"), rest))
}

/// Whether a path reads the same when it was normalised. It says no of some that do.
fn is_normalised(path: &str) -> bool {
    path.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'%') && !path.contains("/.")
}

/// A path as RFC 3986 sections 6.2.2 and 6.2.3 normalise it. `None`: it cannot be the path of a URI.
fn normalised_path(path: &str) -> Option<String> {
    let decoded = decoded(path)?;
    Some(if decoded.is_empty() { "/".to_owned() } else { without_dot_segments(&decoded) })
}

/// Escapes in capitals, and none of what needs no escape (RFC 3986 sections 6.2.2.1 and 6.2.2.2). `None` for half an
/// escape, and for what no address holds.
fn decoded(text: &str) -> Option<String> {
    let mut decoded = String::with_capacity(text.len());
    let mut bytes = text.bytes();
    while let Some(byte) = bytes.next() {
        match byte {
            b'%' => {
                let digits = [bytes.next()?, bytes.next()?].map(|digit| char::from(digit).to_digit(16));
                let [Some(high), Some(low)] = digits else { return None };
                let escaped = u8::try_from(high * 16 + low).ok()?;
                if escaped.is_ascii_alphanumeric() || b"-._~".contains(&escaped) {
                    decoded.push(char::from(escaped));
                } else {
                    decoded.push('%');
                    for digit in [high, low] {
                        decoded.extend(char::from_digit(digit, 16).map(|digit| digit.to_ascii_uppercase()));
                    }
                }
            }
            b'!'..=b'~' => decoded.push(char::from(byte)),
            _ => return None,
        }
    }
    Some(decoded)
}

/// RFC 3986 section 5.2.4, for a path that begins with a slash.
fn without_dot_segments(path: &str) -> String {
    let mut kept: Vec<&str> = Vec::new();
    let mut segments = path.split('/').skip(1).peekable();
    while let Some(segment) = segments.next() {
        let is_last = segments.peek().is_none();
        match segment {
            "." | ".." => {
                if segment == ".." {
                    kept.pop();
                }
                if is_last {
                    kept.push("");
                }
            }
            other => kept.push(other),
        }
    }
    format!("/{}", kept.join("/"))
}

#[cfg(test)]
mod tests {
    use jeton_oauth::Issuer;

    use super::{Origin, TargetUri};

    #[track_caller]
    fn check(path: &str, htu: &str, is_same: bool) {
        let target = TargetUri::of(&Origin::parse("https://orders.example.com").unwrap(), path).unwrap();
        assert_eq!(target.is(htu), is_same, "{path} and {htu}");
    }

    #[test]
    fn rfc_9449_4_3_9_htu_is_compared_normalised_without_query_and_fragment() {
        for (path, htu) in [
            ("/orders", "https://orders.example.com/orders"),
            ("/orders?page=2", "https://orders.example.com/orders"),
            ("/orders", "https://orders.example.com/orders?page=3#x"),
            ("/orders", "https://orders.example.com/orders#x?y"),
            // RFC 3986 section 6.2.2.1: case
            ("/orders", "HTTPS://Orders.EXAMPLE.com/orders"),
            ("/a%2fb", "https://orders.example.com/a%2Fb"),
            // section 6.2.2.2: escapes
            ("/~user/a-b", "https://orders.example.com/%7Euser/a%2db"),
            ("/%7euser", "https://orders.example.com/~user"),
            ("/orders", "https://%6Frders.example.com/orders"),
            // section 6.2.2.3: dot segments
            ("/orders", "https://orders.example.com/x/../orders"),
            ("/orders/", "https://orders.example.com/./orders/."),
            ("/", "https://orders.example.com/../.."),
            ("/b", "https://orders.example.com/a/%2E%2e/b"),
            ("/a/", "https://orders.example.com/a/b/.."),
            // section 6.2.3: the usual port, an empty port, an empty path
            ("/orders", "https://orders.example.com:443/orders"),
            ("/orders", "https://orders.example.com:/orders"),
            ("/", "https://orders.example.com"),
            ("/", "https://orders.example.com?x"),
            ("/?x", "https://orders.example.com:443"),
        ] {
            check(path, htu, true);
        }
        for (path, htu) in [
            ("/orders", "https://orders.example.com/order"),
            ("/orders", "https://orders.example.com/orders/"),
            ("/orders", "https://orders.example.com//orders"),
            ("/orders", "https://orders.example.com/Orders"),
            ("/orders", "https://orders.example.com/"),
            ("/orders", "https://orders.example.com"),
            ("/orders", "http://orders.example.com/orders"),
            ("/orders", "http://orders.example.com:443/orders"),
            ("/orders", "https://orders.example.com:80/orders"),
            ("/orders", "https://orders.example.com:8443/orders"),
            ("/orders", "https://orders.example.com.:443/orders"),
            ("/orders", "https://orders.example.com.evil.example/orders"),
            ("/orders", "https://evil.example/orders"),
            ("/orders", "https://evil.example/https://orders.example.com/orders"),
            ("/orders", "https://orders.example.com@evil.example/orders"),
            ("/orders", "https://me@orders.example.com/orders"),
            ("/orders", "https://me:pw@orders.example.com/orders"),
            ("/orders", "https:/orders.example.com/orders"),
            ("/orders", "https:orders.example.com/orders"),
            ("/orders", "//orders.example.com/orders"),
            ("/orders", "/orders"),
            ("/orders", "orders"),
            ("/orders", ""),
            ("/orders", " https://orders.example.com/orders"),
            ("/orders", "https://orders.example.com/orders "),
            ("/orders", "https://orders.example.com/ord\ners"),
            ("/orders", "https://orders.example.com/ord%65r%7"),
            ("/orders", "https://orders.example.com/ord%zzers"),
            ("/orders", "https://orders.example.com\\orders"),
            ("/orders", "https://orders.example.com/\u{f6}rders"),
            // escapes of what is reserved are not the same as what they stand for
            ("/a/b", "https://orders.example.com/a%2Fb"),
            ("/a%2Fb", "https://orders.example.com/a/b"),
            ("/a%3Fb", "https://orders.example.com/a?b"),
            ("/a+b", "https://orders.example.com/a%2Bb"),
            ("/a+b", "https://orders.example.com/a%20b"),
            ("/%25", "https://orders.example.com/%2525"),
        ] {
            check(path, htu, false);
        }
    }

    #[test]
    fn a_request_without_a_path_has_no_address() {
        let origin = Origin::parse("https://orders.example.com").unwrap();
        for path in [
            "",
            "*",
            ".evil.example/x",
            "orders.example.com:443",
            "/x#y",
            "https://orders.example.com/x",
            "?/x",
        ] {
            assert_eq!(TargetUri::of(&origin, path), None, "{path}");
        }
        for path in ["/%", "/%4", "/%zz", "/a b", "/\u{f6}"] {
            assert_eq!(TargetUri::of(&origin, path), None, "{path}");
        }
    }

    #[test]
    fn an_origin_is_scheme_host_and_port() {
        for (text, origin) in [
            ("https://orders.example.com", "https://orders.example.com"),
            ("HTTPS://Orders.Example.com:443", "https://orders.example.com"),
            ("http://127.0.0.1:80", "http://127.0.0.1"),
            ("http://127.0.0.1:8080", "http://127.0.0.1:8080"),
            ("https://[::1]", "https://[::1]"),
            ("https://[::1]:8443", "https://[::1]:8443"),
            ("https://[FE80::1]:443", "https://[fe80::1]"),
        ] {
            assert_eq!(Origin::parse(text).unwrap().as_str(), origin, "{text}");
        }
        for bad in [
            "",
            "orders.example.com",
            "//orders.example.com",
            "ftp://orders.example.com",
            "https://",
            "https://:443",
            "https://orders.example.com/",
            "https://orders.example.com/x",
            "https://orders.example.com?x",
            "https://orders.example.com#x",
            "https://me@orders.example.com",
            "https://me:secret@orders.example.com",
            "https://orders.example.com:x",
            "https://orders.example.com:443:443",
            "https://orders example.com",
            "https://[::1",
            "https://::1",
        ] {
            let error = Origin::parse(bad).map(|origin| origin.to_string()).expect_err(bad);
            assert!(!error.to_string().contains("secret"), "{error}");
        }
    }

    #[test]
    fn the_origin_of_an_issuer_has_no_path_and_clients_ask_below_it() {
        for (issuer, origin) in [
            ("https://a.example", "https://a.example"),
            ("https://a.example/tenant/x", "https://a.example"),
            ("http://127.0.0.1:8080/t", "http://127.0.0.1:8080"),
        ] {
            assert_eq!(Origin::of(&Issuer::parse(issuer).unwrap()).as_str(), origin);
        }
        let origin = Origin::parse("https://a.example").unwrap().below("/tenant/x");
        assert_eq!(
            TargetUri::of(&origin, "/principal").unwrap().as_str(),
            "https://a.example/tenant/x/principal"
        );
        // a path of the issuer may read as the end of a host
        assert_eq!(
            Origin::of(&Issuer::parse("https://a.example/example").unwrap()).as_str(),
            "https://a.example"
        );
    }
}
