//! `[store]`.

use std::{fmt, path::PathBuf};

use url::Url;
use zeroize::Zeroizing;

use super::{NeededFolders, layers::Layers, secret_file};

/// `[store]`.
#[derive(Clone)]
pub struct StoreSettings {
    /// Where the shared store is: `redis://` or `rediss://`, with a host; `None` for in memory. May hold a
    /// user and a password.
    pub url: Option<String>,
    /// The password, unless the URL holds it; read for a command that [`NeededFolders::Everything`] alone.
    pub password: Option<Zeroizing<String>>,
    /// What the names of all keys start with: `[A-Za-z0-9_.-]{1,64}`.
    pub prefix: String,
    /// A PEM file of the authorities for `rediss://`.
    pub ca_file: Option<PathBuf>,
}

/// Shows no password and no user.
impl fmt::Debug for StoreSettings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let place = |url: Url| format!("{}://{}", url.scheme(), url.host_str().unwrap_or_default());
        f.debug_struct("StoreSettings")
            .field("url", &self.url.as_deref().and_then(|url| Url::parse(url).ok()).map(place))
            .field("prefix", &self.prefix)
            .field("ca_file", &self.ca_file)
            .finish_non_exhaustive()
    }
}

impl StoreSettings {
    pub(super) fn read(
        needs: NeededFolders,
        layers: &mut Layers,
        warnings: &mut Vec<String>,
    ) -> Option<Self> {
        let of_environment = layers.secret("store.password", "store.password_file");
        let url = layers.text("store.url", |text| match text {
            "" => Ok(None),
            text => match parse_url(text)? {
                url if of_environment.is_some() && url.password().is_some() => {
                    Err("JETON__STORE__PASSWORD is set too: keep one of the passwords".to_owned())
                }
                url => Ok(Some(url)),
            },
        });
        let parsed = url.as_ref().and_then(Option::as_ref);
        let in_url = parsed.is_some_and(|url| url.password().is_some());
        let is_tls = parsed.is_some_and(|url| url.scheme() == TLS);
        let password = layers.file("store.password_file", |path| match (path, needs) {
            (None, _) => Ok(of_environment),
            (Some(_), _) if of_environment.is_some() => {
                Err("JETON__STORE__PASSWORD is set too: keep one of the passwords".to_owned())
            }
            (Some(_), _) if in_url => Err("`store.url` has a password too: keep one of them".to_owned()),
            (Some(path), NeededFolders::Everything) => {
                secret_file::read(&path, "password", warnings).map(Some)
            }
            (Some(_), NeededFolders::Policies | NeededFolders::Keys | NeededFolders::Nothing) => Ok(None),
        });
        let prefix = layers.text("store.prefix", |text| {
            let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"_.-".contains(&byte);
            if (1..=64).contains(&text.len()) && text.bytes().all(allowed) {
                Ok(text.to_owned())
            } else {
                Err(format!("`{text}` is not a prefix: write 1 to 64 letters, digits, `_`, `-` and `.`"))
            }
        });
        let ca_file = layers.file("store.ca_file", |path| match path {
            Some(_) if !is_tls => Err("it needs TLS: write `rediss://` in `store.url`".to_owned()),
            Some(path) if needs == NeededFolders::Everything && !path.is_file() => {
                Err(format!("the file `{}` does not exist", path.display()))
            }
            path => Ok(path),
        });
        Some(Self { url: url?.map(String::from), password: password?, prefix: prefix?, ca_file: ca_file? })
    }
}

/// The scheme with TLS.
const TLS: &str = "rediss";

/// Names no part of the text, which may hold a password.
fn parse_url(text: &str) -> Result<Url, String> {
    let wrong = |what| format!("{what}: write `redis://HOST:PORT`, or `rediss://HOST:PORT` for TLS");
    let url = Url::parse(text).map_err(|_| wrong("this is not a URL"))?;
    if !["redis", TLS].contains(&url.scheme()) {
        return Err(wrong("the scheme is neither `redis` nor `rediss`"));
    }
    if url.host_str().is_none_or(str::is_empty) {
        return Err(wrong("there is no host in it"));
    }
    if url.query().is_some() || url.fragment().is_some() {
        return Err(wrong("there is a `?` or `#` in it"));
    }
    let database = url.path().trim_start_matches('/');
    if !database.is_empty() && database.parse::<u16>().is_err() {
        return Err(wrong("the path is not the number of a database"));
    }
    Ok(url)
}
