//! One fetch of the keys of an issuer: its metadata, if they name the place, and the key set.

use std::{
    path::PathBuf,
    sync::{Arc, OnceLock},
    time::Duration,
};

use jeton_jose::{InvalidPublicKey, IssuerKeySet};
use jeton_policy::federation::{IssuerKeySource, TrustedIssuer};
use jeton_verify::fetch::{Fetcher, HttpError, ProxyUse, Reach, Transport};
use tokio::task::{self, JoinError};
use url::Url;
use zeroize::Zeroizing;

use super::{
    address::{is_public, names_internal},
    files::{BadFile, read_authorities, read_token},
    metadata::{BadMetadata, IssuerMetadata},
};

/// What a key set is, and what many servers call it.
const KEY_SET: &str = "application/jwk-set+json, application/json";
/// What metadata are (RFC 8414 section 3.2).
const METADATA: &str = "application/json";
/// Where the metadata are (OpenID Connect Discovery 1.0 section 4).
const WELL_KNOWN: &str = "/.well-known/openid-configuration";
/// How long the fetch of one document may take.
const TIMEOUT: Duration = Duration::from_secs(5);

/// How keys are fetched, as the settings say.
#[derive(Clone, Debug, Default)]
pub struct KeyFetchOptions {
    /// The proxy for every https address but those of this machine; without it there is none, whatever the environment
    /// says.
    pub proxy: Option<Url>,
    /// The folders below which a `token_file` may lie.
    pub token_dirs: Vec<PathBuf>,
}

/// What is fetched from an issuer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FetchedDocumentKind {
    /// Its metadata.
    Metadata,
    /// Its key set.
    KeySet,
}

/// Is told of each document that was fetched.
pub trait FetchListener: Send + Sync {
    /// A document came and is good, or it did not, or is not.
    fn fetched(&self, kind: FetchedDocumentKind, is_good: bool);
}

/// Nobody is told.
impl FetchListener for () {
    fn fetched(&self, _: FetchedDocumentKind, _: bool) {}
}

/// Why there are no new keys: for the log and for operators.
#[derive(Debug, thiserror::Error)]
pub(super) enum KeysNotFetched {
    #[error(transparent)]
    File(#[from] BadFile),
    #[error("its metadata: {0}")]
    Metadata(HttpError),
    #[error(transparent)]
    BadMetadata(#[from] BadMetadata),
    #[error("its key set: {0}")]
    KeySet(HttpError),
    #[error("its key set cannot be used: {0}")]
    BadKeySet(#[from] InvalidPublicKey),
    #[error("the fetch failed within jeton: {0}")]
    Failed(#[from] JoinError),
}

/// Fetches the keys of issuers.
pub(super) struct KeyFetcher {
    options: KeyFetchOptions,
    listener: Arc<dyn FetchListener>,
    /// By [`Route`]; each is made when it is needed first, since TLS needs authorities that the system may not have.
    fetchers: [OnceLock<Arc<Fetcher>>; 3],
}

/// How a document travels, and whether it matters where its address leads.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Route {
    /// Within this machine, without TLS.
    Local,
    /// To wherever the policies say.
    Chosen,
    /// To where another's document says.
    Told,
}

/// What was read for one fetch.
struct FetchFiles {
    authorities: Option<Vec<u8>>,
    token: Option<Zeroizing<String>>,
}

impl KeyFetcher {
    pub(super) fn new(options: KeyFetchOptions, listener: Arc<dyn FetchListener>) -> Self {
        Self { options, listener, fetchers: Default::default() }
    }

    /// The keys that the issuer has now.
    pub(super) async fn fetch(&self, issuer: &TrustedIssuer) -> Result<IssuerKeySet, KeysNotFetched> {
        let (url, route, token) = match &issuer.keys.source {
            IssuerKeySource::Jwks(url) => (url.clone(), Route::of(url), Sent::Token),
            IssuerKeySource::Discover => {
                let files = self.read_files(issuer).await?;
                let found = self.discover(issuer, &files).await;
                self.listener.fetched(FetchedDocumentKind::Metadata, found.is_ok());
                found?
            }
            IssuerKeySource::File(file) => {
                return Ok(IssuerKeySet::from_file(&file.content, &issuer.algorithms)?);
            }
            // a source that came to the policies and not here
            _ => return Err(BadMetadata::NoKeySet.into()),
        };
        let files = self.read_files(issuer).await?;
        let keys = self.key_set(issuer, &url, route, &files, token).await;
        self.listener.fetched(FetchedDocumentKind::KeySet, keys.is_ok());
        keys
    }

    async fn key_set(
        &self,
        issuer: &TrustedIssuer,
        url: &Url,
        route: Route,
        files: &FetchFiles,
        sent: Sent,
    ) -> Result<IssuerKeySet, KeysNotFetched> {
        let fetcher = self.fetcher(route, files).map_err(KeysNotFetched::KeySet)?;
        let token = files.token.as_ref().filter(|_| sent == Sent::Token);
        let (body, _) = fetcher
            .get_as(url, KEY_SET, token.map(|token| token.as_str()))
            .await
            .map_err(KeysNotFetched::KeySet)?;
        Ok(IssuerKeySet::from_jwks(&body, &issuer.algorithms)?)
    }

    /// Where the metadata say that the keys are, how to go there, and whether the token may be shown there.
    async fn discover(
        &self,
        issuer: &TrustedIssuer,
        files: &FetchFiles,
    ) -> Result<(Url, Route, Sent), KeysNotFetched> {
        let base = issuer.issuer.as_str();
        let own = Url::parse(&format!("{}{WELL_KNOWN}", base.strip_suffix('/').unwrap_or(base)));
        let own = own.map_err(|_| BadMetadata::KeySetAddress("follows from no address"))?;
        let fetcher = self.fetcher(Route::of(&own), files).map_err(KeysNotFetched::Metadata)?;
        let token = files.token.as_ref().map(|token| token.as_str());
        let (body, peer) = fetcher.get_as(&own, METADATA, token).await.map_err(KeysNotFetched::Metadata)?;
        let IssuerMetadata { key_set: url, is_of_issuer } = IssuerMetadata::read(&body, base, &own)?;
        if is_of_issuer {
            return Ok((url, Route::of(&own), Sent::Token));
        }
        // with a proxy the address that answered is the proxy's
        let is_internal = match peer {
            Some(peer) if self.options.proxy.is_none() => !is_public(peer),
            _ => names_internal(&own),
        };
        let route = if is_internal { Route::Chosen } else { Route::Told };
        if route == Route::Told && names_internal(&url) {
            return Err(BadMetadata::KeySetAddress("leads to an address of an internal network").into());
        }
        Ok((url, route, Sent::Nothing))
    }

    async fn read_files(&self, issuer: &TrustedIssuer) -> Result<FetchFiles, KeysNotFetched> {
        let (ca_file, token_file) = (issuer.keys.ca_file.clone(), issuer.keys.token_file.clone());
        if ca_file.is_none() && token_file.is_none() {
            return Ok(FetchFiles { authorities: None, token: None });
        }
        let token_dirs = self.options.token_dirs.clone();
        let read = move || -> Result<_, BadFile> {
            let authorities = ca_file.map(|path| read_authorities(&path)).transpose()?;
            let token = token_file.map(|path| read_token(&path, &token_dirs)).transpose()?;
            Ok(FetchFiles { authorities, token })
        };
        Ok(task::spawn_blocking(read).await??)
    }

    fn fetcher(&self, route: Route, files: &FetchFiles) -> Result<Arc<Fetcher>, HttpError> {
        let transport = if route == Route::Local { Transport::Http } else { Transport::Https };
        let proxy = self.options.proxy.as_ref().map_or(ProxyUse::None, ProxyUse::Only);
        let allowed: Option<fn(_) -> _> = (route == Route::Told).then_some(is_public);
        let authorities = files.authorities.as_deref().filter(|_| route != Route::Local);
        let reach = Reach { proxy, authorities, allowed, once: true };
        if authorities.is_some() {
            return Ok(Arc::new(Fetcher::reaching(transport, TIMEOUT, reach)?));
        }
        let [local, chosen, told] = &self.fetchers;
        let kept = match route {
            Route::Local => local,
            Route::Chosen => chosen,
            Route::Told => told,
        };
        if let Some(fetcher) = kept.get() {
            return Ok(Arc::clone(fetcher));
        }
        let new = Arc::new(Fetcher::reaching(transport, TIMEOUT, reach)?);
        Ok(Arc::clone(kept.get_or_init(|| new)))
    }
}

/// Whether the issuer's token goes with a request.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Sent {
    Token,
    /// To another origin nothing goes.
    Nothing,
}

impl Route {
    /// To an address that the policies name: they let `http` stand for this machine alone.
    fn of(url: &Url) -> Self {
        if url.scheme() == "https" { Self::Chosen } else { Self::Local }
    }
}

#[cfg(test)]
mod tests {
    use tokio::net::TcpListener;

    use super::*;

    /// Whatever the name server says of a name by then: the address that would be connected to is judged.
    #[tokio::test]
    async fn where_a_document_leads_no_name_hides_an_internal_address() {
        let trap = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = trap.local_addr().unwrap().port();
        let fetcher = KeyFetcher::new(KeyFetchOptions::default(), Arc::new(()));
        let files = FetchFiles { authorities: None, token: None };
        let url = Url::parse(&format!("https://localhost:{port}/keys")).unwrap();
        let get = async |route| {
            let fetcher = fetcher.fetcher(route, &files).unwrap();
            fetcher.get_as(&url, KEY_SET, None).await.map(drop).unwrap_err().to_string()
        };
        let told = get(Route::Told).await;
        assert!(told.contains("an address of an internal network"), "{told}");
        // and where the policies lead, it is connected to: nobody does the handshake
        let (told, accepted) = tokio::join!(get(Route::Chosen), async {
            let accepted = trap.accept().await.map(drop);
            accepted.is_ok()
        });
        assert!(accepted && !told.contains("internal network"), "{told}");
        let another =
            std::future::poll_fn(|context| std::task::Poll::Ready(trap.poll_accept(context).is_ready()));
        assert!(!another.await, "one connection was made, the second time");
    }
}
