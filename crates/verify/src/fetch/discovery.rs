//! The metadata of an issuer (RFC 8414), as far as a service that takes its tokens needs them.

use std::sync::Arc;

use jeton_jose::strict_object;
use jeton_oauth::{Issuer, ShownUrl, clock::Clock, is_loopback, text::printable};
use serde_json::{Map, Value};
use url::Url;

use super::{
    FetchedDocument, FetchedValue, Fetcher, FollowTerms, Followed, FollowedSource, HeldDocument, HttpError,
};

/// What metadata are (RFC 8414 section 3.2).
const MEDIA_TYPE: &str = "application/json";
/// For how many seconds the metadata are not fetched again: addresses hardly ever change.
const PAUSE: i64 = 60 * 60;

/// Where an issuer says that its documents are.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct IssuerMetadata {
    /// Its public keys.
    pub jwks_uri: Url,
    /// Where the bundles of its policies are, each below the name of its API; `None` where it has none.
    pub policies_endpoint: Option<Url>,
    /// Where clients get tokens.
    pub token_endpoint: Option<Url>,
}

/// Why an issuer's documents were not found: for the log.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DiscoveryError {
    /// Nothing came.
    #[error("its metadata: {0}")]
    Http(#[from] HttpError),
    /// The address follows from no issuer.
    #[error("its metadata are at no address")]
    Address,
    /// It is something else.
    #[error("its metadata are not a JSON object with each name once")]
    NotMetadata,
    /// They are those of somebody else (RFC 8414 section 3.3).
    #[error("its metadata name another issuer, `{0:.200}`: configure the issuer as it names itself")]
    OtherIssuer(String),
    /// An address is missing.
    #[error("its metadata have no `{0}`")]
    Missing(&'static str),
    /// An address may not be used.
    #[error("the `{member}` of its metadata {rule}")]
    BadAddress {
        /// Which one.
        member: &'static str,
        /// What is wrong with it.
        rule: &'static str,
    },
    /// The last attempt failed, and it is not time for the next one.
    #[error("{0}")]
    Failed(String),
}

/// The metadata of one issuer. They are fetched when somebody asks for them, and again after an hour.
pub struct Discovery(Followed<MetadataSource>);

struct MetadataSource {
    issuer: Issuer,
    url: Url,
    fetcher: Arc<Fetcher>,
}

impl Discovery {
    /// The metadata of `issuer`, which `fetcher` reaches. Fetches nothing yet.
    ///
    /// # Errors
    /// [`DiscoveryError::Address`].
    pub fn new(issuer: Issuer, fetcher: Arc<Fetcher>, clock: Arc<dyn Clock>) -> Result<Self, DiscoveryError> {
        let mut url = Url::parse(issuer.as_str()).map_err(|_| DiscoveryError::Address)?;
        url.set_path(&issuer.well_known_path("oauth-authorization-server"));
        let terms = FollowTerms { cooldown: PAUSE, permits: None };
        Ok(Self(Followed::new(MetadataSource { issuer, url, fetcher }, terms, clock)))
    }

    /// What they say. Fetches them if that is due; while it fails, the last good ones count.
    ///
    /// # Errors
    /// [`DiscoveryError`] where none were ever good.
    pub async fn metadata(&self) -> Result<Arc<IssuerMetadata>, DiscoveryError> {
        self.0.refresh().await;
        let failure = || match self.0.failure() {
            Some(failure) => DiscoveryError::Failed(failure.error),
            None => DiscoveryError::NotMetadata,
        };
        self.known().ok_or_else(failure)
    }

    /// What is known of them.
    pub(crate) fn known(&self) -> Option<Arc<IssuerMetadata>> {
        self.0.held().value.clone()
    }

    /// Where they are.
    pub(crate) fn url(&self) -> &Url {
        &self.0.source().url
    }
}

impl FollowedSource for MetadataSource {
    type Value = Option<Arc<IssuerMetadata>>;
    type Error = DiscoveryError;

    async fn fetch(
        &self,
        _: Arc<HeldDocument<Self::Value>>,
    ) -> Result<FetchedValue<Self::Value>, DiscoveryError> {
        let fetched = self.fetcher.get_known_as(&self.url, MEDIA_TYPE, None, None).await?;
        let FetchedDocument::New { body, .. } = fetched else { return Err(DiscoveryError::NotMetadata) };
        let metadata = self.read(&body)?;
        Ok(FetchedValue { value: Some(Arc::new(metadata)), pause: PAUSE })
    }

    // whoever asked for the metadata tells what came of it

    fn tell_taken(&self, _: &HeldDocument<Self::Value>, _: &Self::Value, _: u32) {}

    fn tell_failed(&self, _: &str, _: u32) {}
}

impl MetadataSource {
    fn read(&self, body: &[u8]) -> Result<IssuerMetadata, DiscoveryError> {
        let metadata = strict_object(body).map_err(|_| DiscoveryError::NotMetadata)?;
        match metadata.get("issuer").and_then(Value::as_str) {
            Some(told) if told == self.issuer.as_str() => {}
            told => {
                let told = ShownUrl(told.unwrap_or_default()).to_string();
                return Err(DiscoveryError::OtherIssuer(printable(&told)));
            }
        }
        let jwks_uri = self.address(&metadata, "jwks_uri")?;
        Ok(IssuerMetadata {
            jwks_uri: jwks_uri.ok_or(DiscoveryError::Missing("jwks_uri"))?,
            policies_endpoint: self.own_address(&metadata, "jeton_policies_endpoint")?,
            token_endpoint: self.own_address(&metadata, "token_endpoint")?,
        })
    }

    /// An address that is as well protected as the issuer itself.
    fn address(
        &self,
        metadata: &Map<String, Value>,
        member: &'static str,
    ) -> Result<Option<Url>, DiscoveryError> {
        let refuse = |rule| DiscoveryError::BadAddress { member, rule };
        let Some(told) = metadata.get(member) else { return Ok(None) };
        let url = told.as_str().and_then(|told| Url::parse(told).ok());
        let url = url.ok_or_else(|| refuse("is not a URL"))?;
        if !url.username().is_empty() || url.password().is_some() {
            return Err(refuse("holds a user name or a password"));
        }
        if url.scheme() != self.url.scheme() || (url.scheme() != "https" && !is_loopback(&url)) {
            return Err(refuse(
                "is not of the issuer's scheme: it must be `https`, unless all is on this machine",
            ));
        }
        Ok(Some(url))
    }

    /// An address of the issuer's host: tokens and secrets go there.
    fn own_address(
        &self,
        metadata: &Map<String, Value>,
        member: &'static str,
    ) -> Result<Option<Url>, DiscoveryError> {
        match self.address(metadata, member)? {
            Some(url) if url.origin() != self.url.origin() => {
                Err(DiscoveryError::BadAddress { member, rule: "is not at the issuer's host" })
            }
            url => Ok(url),
        }
    }
}
