//! The address of the metadata of an API (RFC 9728 section 3).

use std::{fmt, sync::Arc};

use url::Url;

use super::{Audience, ShownUrl, is_loopback};

/// Why metadata cannot be published at the audience of an API.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("metadata cannot be published at the audience `{}`: {rule}", shown(audience))]
pub struct NoAddress {
    audience: Audience,
    rule: &'static str,
}

/// The URL of the metadata of an API whose audience is the address at which clients reach it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MetadataAddress {
    url: Arc<str>,
    /// How much of it stands before the path.
    origin: usize,
}

/// The whole audience, which stands in every token, unless there may be a password in it.
fn shown(audience: &Audience) -> String {
    let text = audience.as_str();
    if text.contains('@') { ShownUrl(text).to_string() } else { text.to_owned() }
}

impl MetadataAddress {
    /// The start of every path of a metadata document.
    pub const WELL_KNOWN: &str = "/.well-known/oauth-protected-resource";

    /// Puts the well-known path between host and path of the audience (RFC 9728 section 3.1).
    ///
    /// # Errors
    /// [`NoAddress`] where the audience is no URL that clients and servers read in one way.
    pub fn of(audience: &Audience) -> Result<Self, NoAddress> {
        let refuse = |rule| NoAddress { audience: audience.clone(), rule };
        let text = audience.as_str();
        let url = Url::parse(text)
            .map_err(|_| refuse("make it an absolute URL such as `https://orders.example.com`"))?;
        if url.scheme() != "https" && !(url.scheme() == "http" && is_loopback(&url)) {
            return Err(refuse("its scheme must be `https`; `http` is allowed only for this machine"));
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err(refuse("it must not hold a user name or a password"));
        }
        if url.query().is_some() || url.fragment().is_some() {
            return Err(refuse("it must have no query and no fragment (RFC 9728 section 1.2)"));
        }
        // clients compare it byte by byte
        if url.as_str() != text && url.as_str().strip_suffix('/') != Some(text) {
            return Err(refuse("write it in its canonical form, in lower case and with `/` only"));
        }
        let path = if url.path() == "/" { "" } else { url.path() };
        let origin = url.origin().ascii_serialization();
        let address = format!("{origin}{}{path}", Self::WELL_KNOWN);
        Ok(Self { url: address.into(), origin: origin.len() })
    }

    /// The URL.
    pub fn as_str(&self) -> &str {
        &self.url
    }

    /// Its path, as requests have it.
    pub fn path(&self) -> &str {
        self.url.get(self.origin..).unwrap_or_default()
    }
}

impl fmt::Display for MetadataAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.url)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(audience: &str) -> Result<MetadataAddress, NoAddress> {
        MetadataAddress::of(&Audience::parse(audience).unwrap())
    }

    #[test]
    fn rfc9728_3_1_the_well_known_path_stands_between_host_and_path() {
        for (audience, expected) in [
            ("https://a.example", "https://a.example/.well-known/oauth-protected-resource"),
            ("https://a.example/", "https://a.example/.well-known/oauth-protected-resource"),
            ("https://a.example:8443/x", "https://a.example:8443/.well-known/oauth-protected-resource/x"),
            ("https://a.example/x/y", "https://a.example/.well-known/oauth-protected-resource/x/y"),
            ("https://a.example/x/", "https://a.example/.well-known/oauth-protected-resource/x/"),
            ("http://127.0.0.1:9091", "http://127.0.0.1:9091/.well-known/oauth-protected-resource"),
            ("http://[::1]:9091/x", "http://[::1]:9091/.well-known/oauth-protected-resource/x"),
        ] {
            let address = of(audience).unwrap();
            assert_eq!(address.as_str(), expected);
            assert!(expected.ends_with(address.path()) && address.path().starts_with("/.well-known/"));
        }
    }

    #[test]
    fn what_is_no_address_is_refused() {
        for bad in [
            "orders",
            "urn:example:orders",
            "/orders",
            "http://a.example",
            "ftp://a.example",
            "https://user@a.example",
            "https://a.example?x",
            "https://a.example/#x",
            "https://A.example",
            "https://a.example:443",
            "https://a.example/../x",
            "https:a.example",
        ] {
            assert!(of(bad).is_err(), "{bad} must be refused");
        }
    }
}
