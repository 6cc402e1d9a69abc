//! The issuers whose tokens may stand for clients, as `issuers:` in policy files defines them.

use std::{fmt, path::PathBuf, sync::Arc, time::Duration};

use jeton_oauth::{Audience, ForeignAlgorithm, IssuerName, ShownUrl, is_loopback};
use rustc_hash::FxHashMap;
use url::Url;

/// The `iss` of an issuer's tokens. Two are the same byte by byte (RFC 8414 section 3.3).
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ForeignIssuer(Arc<str>);

/// Why a text is not the `iss` of an issuer that can be trusted. It never repeats a user name or password of the text.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is not an issuer: {rule}")]
pub struct InvalidForeignIssuer {
    text: String,
    rule: &'static str,
}

impl ForeignIssuer {
    /// The longest, in bytes.
    const LONGEST: usize = 512;

    /// Takes the `iss` as tokens have it: an https URL without query and fragment, or an http URL of this machine. A
    /// slash at the end is a part of it.
    ///
    /// # Errors
    /// [`InvalidForeignIssuer`] says what is wrong with it.
    pub fn parse(text: &str) -> Result<Self, InvalidForeignIssuer> {
        let refuse = |rule| InvalidForeignIssuer { text: ShownUrl(text).to_string(), rule };
        let scheme = ["https://", "http://"].into_iter().find(|scheme| text.starts_with(scheme));
        let is_plain = |byte: u8| matches!(byte, 0x21 | 0x23..=0x5b | 0x5d..=0x7e);
        let scheme = scheme.ok_or_else(|| {
            refuse("write the `iss` of its tokens, a URL such as `https://issuer.example.com`")
        })?;
        if text.len() > Self::LONGEST || !text.bytes().all(is_plain) {
            return Err(refuse(
                "it has at most 512 printable ASCII characters, without space, `\"` and `\\`",
            ));
        }
        if text.strip_prefix(scheme).is_some_and(|rest| rest.starts_with('/')) {
            return Err(refuse("its host must follow `://`"));
        }
        let url = Url::parse(text).map_err(|_| refuse("it is not a URL"))?;
        if !url.username().is_empty() || url.password().is_some() {
            return Err(refuse("it must not hold a user name or a password"));
        }
        if url.query().is_some() || url.fragment().is_some() {
            return Err(refuse("it must have no query and no fragment (RFC 8414 section 2)"));
        }
        if scheme == "http://" && !is_loopback(&url) {
            return Err(refuse("its scheme must be `https`, unless its host is this machine"));
        }
        Ok(Self(text.into()))
    }

    /// The text itself.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for ForeignIssuer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// An issuer whose tokens may stand for clients.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct TrustedIssuer {
    /// Its name in `issuers:`.
    pub name: IssuerName,
    /// The `iss` of its tokens.
    pub issuer: ForeignIssuer,
    /// What `aud` must be: exactly this, or a list with only this.
    pub audience: Audience,
    /// Where its public keys are.
    pub keys: IssuerKeys,
    /// The algorithms of its signatures, each once.
    pub algorithms: Vec<ForeignAlgorithm>,
    /// The longest time from `iat` to `exp`.
    pub max_lifetime: Duration,
    /// Whether each token must have a `jti` and is taken once.
    pub single_use: bool,
    /// With `false` none of its tokens is taken.
    pub enabled: bool,
}

/// Where the public keys of an issuer are, and how they are fetched.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct IssuerKeys {
    /// Where they are.
    pub source: IssuerKeySource,
    /// The certificates of authorities that its server is judged by (PEM), instead of those of the system. Read at
    /// each fetch. An absolute path.
    pub ca_file: Option<PathBuf>,
    /// The token that is sent with each fetch to the issuer's own origin. Read at each fetch. A path as `ca_file`.
    pub token_file: Option<PathBuf>,
    /// `ca_file` and `token_file` as the policies have them: the same in another folder.
    pub(crate) written: [Option<Box<str>>; 2],
}

/// Where the public keys of an issuer are.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum IssuerKeySource {
    /// At the address that its metadata names (`ISSUER/.well-known/openid-configuration`).
    Discover,
    /// At this address: https, or http on this machine.
    Jwks(Url),
    /// In a file of the policies folder.
    File(IssuerKeyFile),
}

/// A file with public keys below the policies folder, as it was when the policies were read.
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct IssuerKeyFile {
    /// Its path below the policies folder.
    pub path: PathBuf,
    /// What it holds: PEM, a JSON Web Key or a set of them.
    pub content: Arc<[u8]>,
}

impl fmt::Debug for IssuerKeyFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("IssuerKeyFile").field(&self.path).finish()
    }
}

/// Every trusted issuer, by its name and by the `iss` of its tokens.
#[derive(Clone, Debug, Default)]
pub struct Issuers {
    /// In the order of their names.
    all: Vec<Arc<TrustedIssuer>>,
    by_name: FxHashMap<IssuerName, Arc<TrustedIssuer>>,
    by_issuer: FxHashMap<Arc<str>, Arc<TrustedIssuer>>,
}

impl Issuers {
    /// The issuer of this name.
    pub fn find(&self, name: &str) -> Option<&Arc<TrustedIssuer>> {
        self.by_name.get(name)
    }

    /// The issuer whose tokens have this `iss`.
    pub fn by_issuer(&self, iss: &str) -> Option<&Arc<TrustedIssuer>> {
        self.by_issuer.get(iss)
    }

    /// Every issuer, in the order of their names.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = &Arc<TrustedIssuer>> {
        self.all.iter()
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.all.len()
    }

    /// Whether it is empty.
    pub fn is_empty(&self) -> bool {
        self.all.is_empty()
    }
}

impl FromIterator<TrustedIssuer> for Issuers {
    fn from_iter<I: IntoIterator<Item = TrustedIssuer>>(issuers: I) -> Self {
        let mut all: Vec<_> = issuers.into_iter().map(Arc::new).collect();
        all.sort_by(|one, other| one.name.cmp(&other.name));
        let by_name = all.iter().map(|issuer| (issuer.name.clone(), Arc::clone(issuer))).collect();
        let by_issuer = all.iter().map(|issuer| (Arc::clone(&issuer.issuer.0), Arc::clone(issuer))).collect();
        Self { all, by_name, by_issuer }
    }
}

#[cfg(test)]
mod tests {
    use super::ForeignIssuer;

    #[test]
    fn an_iss_is_taken_as_tokens_have_it() {
        for good in [
            "https://token.actions.githubusercontent.com",
            "https://sts.windows.net/72f988bf-86f1-41af-91ab-2d7cd011db47/",
            "https://oidc.eks.eu-west-1.amazonaws.com/id/EXAMPLED539D4633E53DE1B71EXAMPLE",
            "https://kubernetes.default.svc",
            "https://[2001:db8::1]:6443",
            "http://127.0.0.1:8090",
            "http://localhost/x",
            "http://[::1]:8090",
        ] {
            assert_eq!(ForeignIssuer::parse(good).unwrap().as_str(), good);
        }
        for bad in [
            "",
            "accounts.google.com",
            "kubernetes/serviceaccount",
            "http://issuer.example.com",
            "HTTPS://issuer.example.com",
            "https:issuer.example.com",
            "https://",
            "https://issuer.example.com?x",
            "https://issuer.example.com#x",
            "https://user:hunter2@issuer.example.com",
            "https://issuer.example.com/a b",
            " https://issuer.example.com",
            "https://issuer.example.com\n",
            "https://issuer.example.com/\u{e9}",
            "http://127.0.0.1.example.com",
            "ftp://127.0.0.1",
        ] {
            let error = ForeignIssuer::parse(bad).map(drop).unwrap_err().to_string();
            assert!(!error.contains("hunter2"), "{error}");
        }
        let long = format!("https://a.example/{}", "x".repeat(500));
        assert!(ForeignIssuer::parse(&long).is_err());
    }
}
