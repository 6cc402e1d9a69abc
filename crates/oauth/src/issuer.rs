//! The issuer identifier (RFC 8414 section 2) and the addresses that follow from it.

use std::{fmt, sync::Arc};

use serde::{Serialize, Serializer};
use url::{Host, Url};

use super::{Audience, ShownUrl};

/// Why a text is not an issuer identifier. It never repeats a user name or password of the text.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is not an issuer: {rule}")]
pub struct InvalidIssuer {
    text: String,
    rule: &'static str,
}

/// The `iss` of every token and the base of every published address: an absolute http or https URL
/// without query, fragment and trailing slash.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Issuer {
    audience: Audience,
    path: Arc<str>,
    loopback: bool,
}

impl Issuer {
    /// Reads an issuer identifier. Identifiers are compared byte by byte (RFC 8414 section 3.3).
    ///
    /// # Errors
    /// [`InvalidIssuer`] says what is wrong with the address.
    pub fn parse(text: &str) -> Result<Self, InvalidIssuer> {
        let refuse = |rule| InvalidIssuer { text: ShownUrl(text).to_string(), rule };
        let url = Url::parse(text)
            .map_err(|_| refuse("write an absolute URL such as `https://tokens.example.com`"))?;
        if !matches!(url.scheme(), "http" | "https") {
            return Err(refuse("its scheme must be `https`, or `http`"));
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err(refuse("it must not hold a user name or a password"));
        }
        if url.query().is_some() || url.fragment().is_some() {
            return Err(refuse("it must have no query and no fragment (RFC 8414 section 2)"));
        }
        if text.ends_with('/') {
            return Err(refuse("leave out the slash at the end"));
        }
        if url.as_str().trim_end_matches('/') != text {
            return Err(refuse("write it in its canonical form, in lower case and with `/` only"));
        }
        if text.contains('%') {
            return Err(refuse("its path must not hold escapes"));
        }
        let segments = || url.path().split('/').skip(1);
        let is_dots = |segment: &str| !segment.is_empty() && segment.bytes().all(|byte| byte == b'.');
        if url.path().contains(';')
            || segments().any(is_dots)
            || (segments().any(str::is_empty) && url.path() != "/")
        {
            return Err(refuse("its path must not hold `;`, `//`, or a segment made only of dots"));
        }
        let audience = Audience::parse(text).map_err(|_| refuse("it is too long"))?;
        Ok(Self { audience, path: url.path().trim_end_matches('/').into(), loopback: is_loopback(&url) })
    }

    /// The identifier itself.
    pub fn as_str(&self) -> &str {
        self.audience.as_str()
    }

    /// The path component, empty or starting with a slash and without one at the end.
    pub fn path(&self) -> &str {
        &self.path
    }

    /// Whether the host is this machine itself.
    pub fn is_loopback(&self) -> bool {
        self.loopback
    }

    /// The address of `path`, which starts with a slash, below the issuer.
    pub fn endpoint(&self, path: &str) -> String {
        format!("{self}{path}")
    }

    /// The path of a well-known document: its name stands between host and issuer path
    /// (RFC 8414 section 3).
    pub fn well_known_path(&self, name: &str) -> String {
        format!("/.well-known/{name}{}", self.path)
    }

    /// The issuer as the audience of its own API and of what only it reads.
    pub fn audience(&self) -> &Audience {
        &self.audience
    }
}

/// Whether the host of an address is this machine itself.
pub fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(Host::Domain(name)) => name == "localhost",
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    }
}

impl fmt::Display for Issuer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl Serialize for Issuer {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_issuer_is_an_absolute_http_url_and_nothing_more() {
        for good in ["http://127.0.0.1:8080", "https://a.example", "https://a.example/tenant/x"] {
            assert_eq!(Issuer::parse(good).unwrap().as_str(), good);
        }
        for bad in [
            "",
            "example.com",
            "/tokens",
            "ftp://a.example",
            "https://a.example/",
            "https://a.example?x",
            "https://a.example#x",
            "https://user@a.example",
            "https://A.example",
            "https://a.example//x/",
            "https://a.example/a b",
            "https://a.example/../b",
            "https:a.example",
            // every request below it would be refused
            "https://a.example/x//y",
            "https://a.example//x",
            "https://a.example/x;v=1",
            "https://a.example/...",
            "https://a.example/.../x",
        ] {
            assert!(Issuer::parse(bad).is_err(), "{bad:?} must be refused");
        }
    }

    #[test]
    fn rfc_8414_section_3_places_the_document_between_host_and_path() {
        let issuer = Issuer::parse("https://a.example/tenant").unwrap();
        let path = issuer.well_known_path("oauth-authorization-server");
        assert_eq!(path, "/.well-known/oauth-authorization-server/tenant");
    }

    #[test]
    fn loopback_is_known_by_address_and_by_name() {
        for (text, loopback) in [
            ("http://localhost:1", true),
            ("http://127.9.9.9", true),
            ("http://[::1]:80", true),
            ("http://localhost.example", false),
            ("http://0.0.0.0:8080", false),
        ] {
            let issuer = Issuer::parse(text.trim_end_matches(":80")).unwrap();
            assert_eq!(issuer.is_loopback(), loopback, "{text}");
        }
    }
}
