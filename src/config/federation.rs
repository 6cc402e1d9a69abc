//! `[federation]` and `[fetch]`: what jeton fetches from other issuers, and how.

use std::{fmt, path::PathBuf};

use url::Url;

use super::layers::Layers;

/// `[federation]`.
#[derive(Clone, Debug)]
pub struct FederationSettings {
    /// The folders below which the `token_file` of an issuer may lie.
    pub token_dirs: Vec<PathBuf>,
}

/// `[fetch]`.
#[derive(Clone)]
pub struct FetchSettings {
    /// The proxy for what is fetched by https: `http` or `https`, with a host and nothing behind its port. It may hold a
    /// user and a password.
    pub proxy: Option<Url>,
}

/// Shows no password and no user.
impl fmt::Debug for FetchSettings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let host = self.proxy.as_ref().and_then(Url::host_str);
        f.debug_struct("FetchSettings").field("proxy", &host).finish()
    }
}

impl FederationSettings {
    pub(super) fn read(layers: &mut Layers) -> Option<Self> {
        Some(Self { token_dirs: layers.paths("federation.token_dirs")? })
    }
}

impl FetchSettings {
    pub(super) fn read(layers: &mut Layers) -> Option<Self> {
        let proxy = layers.text("fetch.proxy", |text| match text {
            "" => Ok(None),
            text => parse_proxy(text).map(Some),
        });
        Some(Self { proxy: proxy? })
    }
}

/// Names no part of the text, which may hold a password.
fn parse_proxy(text: &str) -> Result<Url, String> {
    let wrong = |what| format!("{what}: write `http://HOST:PORT`, or `https://HOST:PORT` for TLS");
    let url = Url::parse(text).map_err(|_| wrong("this is not a URL"))?;
    if !["http", "https"].contains(&url.scheme()) {
        return Err(wrong("the scheme is neither `http` nor `https`"));
    }
    if url.path() != "/" || url.query().is_some() || url.fragment().is_some() {
        return Err(wrong("there is something behind the port"));
    }
    Ok(url)
}

#[cfg(test)]
mod tests {
    use super::{FetchSettings, parse_proxy};

    #[test]
    fn a_proxy_has_a_host_and_nothing_behind_its_port() {
        for good in ["http://proxy:3128", "https://proxy.example.com", "http://me:hush@10.0.0.1:8080/"] {
            let shown = format!("{:?}", FetchSettings { proxy: Some(parse_proxy(good).unwrap()) });
            assert!(!shown.contains("hush") && !shown.contains("me:"), "{shown}");
        }
        for bad in [
            "proxy:3128",
            "socks5://proxy",
            "http://",
            "http://proxy/x",
            "http://proxy?hush",
            "http://proxy#x",
        ] {
            let error = parse_proxy(bad).unwrap_err();
            assert!(error.contains("write `http://HOST:PORT`") && !error.contains("hush"), "{bad}: {error}");
        }
    }
}
