//! The bundle of an API as a service keeps it: what it needs of the issuer's policies, signed, followed as keys are.

use std::{sync::Arc, time::Duration};

use jeton_jose::{JwsError, PublicKeys, TokenKind};
use jeton_oauth::{ApiName, Issuer, clock::Clock};
use jeton_policy::{ContentHash, Findings, PolicySet, bundle};
use jiff::Timestamp;
use serde_json::Value;
use tokio::time;
use url::Url;

use crate::{
    credentials::{ServiceTokens, TokenNotFetched},
    event,
    fetch::{
        Discovery, DiscoveryError, Etag, FailedFetch, FetchedDocument, FetchedValue, Fetcher, FollowTerms,
        Followed, FollowedSource, HeldDocument, HttpError,
    },
    keep::KeepFolder,
    keys::TrustedKeys,
    token::{TokenError, TokenPayload},
};

/// What a bundle is.
const MEDIA_TYPE: &str = "application/policies+jwt";
const BUNDLE: TokenKind = TokenKind { name: "a bundle of policies", types: &["policies+jwt"] };
/// After how many seconds a bundle is fetched again of which that is not said.
const DEFAULT_PAUSE: i64 = 60;
/// The longest time for which it is not fetched again, whatever is said, in seconds.
const LONGEST_PAUSE: i64 = 60 * 60;
/// The shortest time between two fetches that requests cause where there are no policies, in seconds.
const COOLDOWN: i64 = 5;
/// How long a request waits for policies.
const PATIENCE: Duration = Duration::from_secs(5);

/// The bundle of one API, kept up to date beside the requests.
///
/// While the issuer is away or answers anything but a good bundle, the last good one counts until its `exp`. Then
/// every request is refused.
pub struct BundleSource(Followed<RemoteBundle>);

/// Where a bundle comes from, and by what it is verified.
pub(crate) struct RemoteBundle {
    pub(crate) issuer: Issuer,
    pub(crate) api: ApiName,
    pub(crate) keys: TrustedKeys,
    pub(crate) discovery: Arc<Discovery>,
    pub(crate) fetcher: Arc<Fetcher>,
    /// For a bundle that is not public.
    pub(crate) tokens: Option<ServiceTokens>,
    /// How far clocks may be off, in seconds.
    pub(crate) leeway: i64,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) keep: Option<KeepFolder>,
}

/// The last good bundle.
#[derive(Default)]
pub(crate) struct HeldBundle {
    bundle: Option<Arc<Bundle>>,
    etag: Option<Etag>,
    /// What the issuer said of it, in seconds.
    max_age: Option<i64>,
}

/// A bundle whose signature and claims were checked.
#[derive(Debug)]
#[non_exhaustive]
pub struct Bundle {
    /// What it holds.
    pub policies: PolicySet,
    /// When it was signed, in seconds since 1970.
    pub issued_at: i64,
    /// Until when it counts, in seconds since 1970.
    pub expires_at: i64,
}

/// What a bundle must fit.
#[derive(Clone, Copy, Debug)]
pub struct BundleTerms<'t> {
    /// Whose it is.
    pub issuer: &'t Issuer,
    /// Of which API.
    pub api: &'t ApiName,
    /// When it comes into force.
    pub now: Timestamp,
    /// How far clocks may be off, in seconds.
    pub leeway: i64,
}

/// Why a document is no bundle that counts.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum InvalidBundle {
    /// It is not a bundle that one of the keys signed.
    #[error(transparent)]
    Jws(#[from] JwsError),
    /// A claim is missing or not what it must be.
    #[error(transparent)]
    Claims(#[from] TokenError),
    /// It is for another API, or of another issuer's.
    #[error("its `aud` is that of another bundle")]
    Audience,
    /// It was signed later than now.
    #[error("its `iat` is in the future: compare the clocks of this machine and the issuer")]
    Ahead,
    /// Its time is over.
    #[error("its `exp` has passed: compare the clocks of this machine and the issuer")]
    Expired,
    /// It was signed, and makes no policies.
    #[error("its policies cannot be used: {0}")]
    Policies(Findings),
}

/// How a bundle stands, for health pages and metrics.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct BundleState {
    /// The content hash of the issuer's policies folder; `None` before the first bundle.
    pub hash: Option<String>,
    /// Until when it counts.
    pub expires_at: Option<Timestamp>,
    /// When it came, or was told to be the same still. `None` before that, and for one that was kept.
    pub fetched_at: Option<Timestamp>,
    /// The last attempt, if it failed.
    pub failure: Option<FailedFetch>,
}

/// Why a bundle was not taken: for the log.
#[derive(Debug, thiserror::Error)]
pub(crate) enum NotTaken {
    #[error(transparent)]
    Discovery(#[from] DiscoveryError),
    #[error(
        "the issuer's metadata have no `jeton_policies_endpoint`: update it, or give the service the policies folder"
    )]
    NoBundles,
    #[error(transparent)]
    Token(#[from] TokenNotFetched),
    #[error(transparent)]
    Http(HttpError),
    #[error(
        "the issuer has no bundle for API `{0}` (404): correct the API's name, or set `bundle: public` or `bundle: clients` of the API in the issuer's policies"
    )]
    NoBundle(ApiName),
    #[error(
        "the bundle is for clients alone ({0}): give the service credentials of a client that is granted `jeton:policies` at API `jeton`"
    )]
    NoCredentials(u16),
    #[error("the issuer refuses the service's token ({0}): grant its client `jeton:policies` at API `jeton`")]
    Refused(u16),
    #[error("it is `{0:.100}`, and not `{MEDIA_TYPE}`")]
    MediaType(String),
    #[error(transparent)]
    Invalid(#[from] InvalidBundle),
    #[error("it is older than the one in memory: its `{0}` is earlier")]
    Older(&'static str),
}

/// There are no policies by which anything could be decided.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PoliciesUnknown {
    /// No good bundle came since the start.
    #[error("no bundle of the policies was fetched yet")]
    NotFetched,
    /// The last good one has expired.
    #[error("the bundle of the policies has expired, and the issuer gave no other")]
    Expired,
}

impl BundleSource {
    /// The longest bundle that is read, in bytes: one of 100,000 rules or clients, each as long as most.
    pub const LONGEST: usize = 32 * 1024 * 1024;

    pub(crate) fn new(remote: RemoteBundle) -> Self {
        let clock = Arc::clone(&remote.clock);
        Self(Followed::new(remote, FollowTerms { cooldown: COOLDOWN, permits: None }, clock))
    }

    /// Starts with the bundle that was kept, if there is one and it is still good by the keys in memory.
    pub(crate) fn take_kept(&self) {
        let remote = self.0.source();
        let Some(keep) = &remote.keep else { return };
        let name = remote.kept_name();
        let Some(document) = keep.read(&name) else { return };
        match remote.open(&document) {
            Ok(bundle) => {
                let hash = bundle.policies.hash().to_string();
                event::BundleKept { api: remote.api.as_str(), hash: &hash }.info();

                self.0.hold(HeldBundle { bundle: Some(Arc::new(bundle)), etag: None, max_age: None });
            }
            Err(error) => keep.pass_over(&name, &error.to_string()),
        }
    }

    /// Follows it for ever.
    pub async fn run(&self) {
        self.0.run().await;
    }

    /// Fetches it if that is due: the first time, then after the `max-age` of the answer, a minute where that is not said.
    pub async fn refresh(&self) {
        self.0.refresh().await;
    }

    /// Fetches the bundle where none is in force, unless that was done within the cooldown. Callers that come meanwhile
    /// wait for the same answer, for five seconds at most.
    pub async fn fetch(&self) {
        let _ = time::timeout(PATIENCE, self.0.fetch()).await;
    }

    /// Asks the policies, while they count.
    pub(crate) fn ask<A>(&self, ask: impl FnOnce(&PolicySet) -> A) -> Result<A, PoliciesUnknown> {
        let held = self.0.held();
        let bundle = held.value.bundle.as_ref().ok_or(PoliciesUnknown::NotFetched)?;
        if self.0.source().has_ended(bundle) {
            return Err(PoliciesUnknown::Expired);
        }
        Ok(ask(&bundle.policies))
    }

    /// How it stands.
    pub fn state(&self) -> BundleState {
        let held = self.0.held();
        let bundle = held.value.bundle.as_ref();
        BundleState {
            hash: bundle.map(|bundle| bundle.policies.hash().to_string()),
            expires_at: bundle.and_then(|bundle| Timestamp::from_second(bundle.expires_at).ok()),
            fetched_at: held.fetched_at,
            failure: self.0.failure(),
        }
    }
}

impl FollowedSource for RemoteBundle {
    type Value = HeldBundle;
    type Error = NotTaken;

    async fn fetch(&self, held: Arc<HeldDocument<HeldBundle>>) -> Result<FetchedValue<HeldBundle>, NotTaken> {
        let held = &held.value;
        // one that has ended cannot be `not modified`
        let known = held.bundle.as_ref().filter(|bundle| !self.has_ended(bundle));
        let etag = known.and(held.etag.as_ref());
        let value = match (self.download(etag).await?, known) {
            (FetchedDocument::NotModified { max_age, .. }, Some(known)) => HeldBundle {
                bundle: Some(Arc::clone(known)),
                etag: held.etag.clone(),
                // what it does not say is as it was (RFC 9111 section 4.3.4)
                max_age: max_age.or(held.max_age),
            },
            (FetchedDocument::NotModified { .. }, None) => {
                return Err(NotTaken::Http(HttpError::Answer(304)));
            }
            (FetchedDocument::New { media_type, .. }, _) if media_type != MEDIA_TYPE => {
                return Err(NotTaken::MediaType(media_type));
            }
            (FetchedDocument::New { body, etag, max_age, .. }, _) => {
                let bundle = self.open_new(&body).await?;
                check_order(held.bundle.as_deref(), &bundle, self.leeway)?;
                if let Some(keep) = &self.keep {
                    keep.write(self.kept_name(), body).await;
                }
                HeldBundle { bundle: Some(Arc::new(bundle)), etag, max_age }
            }
        };
        Ok(FetchedValue { pause: self.pause(&value), value })
    }

    fn tell_taken(&self, before: &HeldDocument<HeldBundle>, now: &HeldBundle, failures: u32) {
        let Some(bundle) = &now.bundle else { return };
        let hash = bundle.policies.hash();
        let is_same = before.value.bundle.as_ref().is_some_and(|before| before.policies.hash() == hash);
        if failures > 0 || !is_same {
            event::BundleFetched { api: self.api.as_str(), hash: &hash.to_string() }.info();
        }
    }

    fn tell_failed(&self, error: &str, failures: u32) {
        let told = event::BundleNotFetched { api: self.api.as_str(), error };
        if failures == 0 {
            told.warn();
        } else {
            told.debug();
        }
    }
}

impl RemoteBundle {
    async fn download(&self, etag: Option<&Etag>) -> Result<FetchedDocument, NotTaken> {
        let metadata = self.discovery.metadata().await?;
        let mut url: Url = metadata.policies_endpoint.clone().ok_or(NotTaken::NoBundles)?;
        if let Ok(mut path) = url.path_segments_mut() {
            path.pop_if_empty().push(self.api.as_str());
        }
        let mut bearer = match &self.tokens {
            None => None,
            Some(tokens) => Some(tokens.token(&metadata).await?),
        };
        let get =
            async |bearer: Option<&str>| self.fetcher.get_known_as(&url, MEDIA_TYPE, etag, bearer).await;
        let mut answer = get(bearer.as_deref()).await;
        if let (Err(HttpError::Answer(401)), Some(tokens)) = (&answer, &self.tokens) {
            tokens.forget().await;
            bearer = Some(tokens.token(&metadata).await?);
            answer = get(bearer.as_deref()).await;
        }
        answer.map_err(|error| match error {
            HttpError::Answer(404) => NotTaken::NoBundle(self.api.clone()),
            HttpError::Answer(status @ (401 | 403)) if bearer.is_none() => NotTaken::NoCredentials(status),
            HttpError::Answer(status @ (401 | 403)) => NotTaken::Refused(status),
            error => NotTaken::Http(error),
        })
    }

    async fn open_new(&self, document: &[u8]) -> Result<Bundle, InvalidBundle> {
        match self.open(document) {
            Err(InvalidBundle::Jws(JwsError::UnknownKey)) => {
                // the issuer may sign with a key that is newer than those that are known
                self.keys.fetch_unknown().await;
                self.open(document)
            }
            opened => opened,
        }
    }

    fn open(&self, document: &[u8]) -> Result<Bundle, InvalidBundle> {
        let Self { issuer, api, leeway, .. } = self;
        let terms = BundleTerms { issuer, api, now: self.clock.now(), leeway: *leeway };
        Bundle::open(document, &self.keys.current(), &terms)
    }

    fn has_ended(&self, bundle: &Bundle) -> bool {
        bundle.has_ended(self.clock.numeric_date(), self.leeway)
    }

    /// The seconds until it is fetched again.
    fn pause(&self, held: &HeldBundle) -> i64 {
        let pause = held.max_age.unwrap_or(DEFAULT_PAUSE).min(LONGEST_PAUSE);
        let left = held.bundle.as_ref().map_or(0, |bundle| bundle.expires_at - self.clock.numeric_date());
        pause.min(left).max(1)
    }

    fn kept_name(&self) -> String {
        format!("bundle-{}.json", self.api)
    }
}

impl Bundle {
    /// Checks a bundle and reads it.
    ///
    /// # Errors
    /// [`InvalidBundle`] with the first thing that is wrong.
    pub fn open(document: &[u8], keys: &PublicKeys, terms: &BundleTerms<'_>) -> Result<Self, InvalidBundle> {
        let BundleTerms { issuer, api, now, leeway } = *terms;
        let text = std::str::from_utf8(document).map_err(|_| JwsError::NotCompactJws)?;
        let mut claims = TokenPayload::from(keys.open_long(text.trim_ascii_end(), BUNDLE)?);
        if claims.text("iss")?.as_deref() != Some(issuer.as_str()) {
            return Err(TokenError::Issuer.into());
        }
        if claims.text("aud")? != Some(bundle::address(issuer, api)) {
            return Err(InvalidBundle::Audience);
        }
        let issued_at = claims.date("iat")?.ok_or(TokenError::Missing("iat"))?;
        let expires_at = claims.date("exp")?.ok_or(TokenError::Missing("exp"))?;
        if issued_at > now.as_second().saturating_add(leeway) {
            return Err(InvalidBundle::Ahead);
        }
        let hash = claims.text("hash")?.ok_or(TokenError::Missing("hash"))?;
        let hash = ContentHash::parse(&hash).ok_or(TokenError::WrongType("hash"))?;
        if is_over(expires_at, now.as_second(), leeway) {
            return Err(InvalidBundle::Expired);
        }
        let policies: Value = claims.value("policies").ok_or(TokenError::Missing("policies"))?;
        let policies = PolicySet::from_bundle(&policies, hash, issuer, api, now);
        Ok(Self { policies: policies.map_err(InvalidBundle::Policies)?, issued_at, expires_at })
    }

    /// Whether it counts no longer, by clocks that are off by `leeway`.
    pub fn has_ended(&self, now: i64, leeway: i64) -> bool {
        is_over(self.expires_at, now, leeway)
    }
}

fn is_over(expires_at: i64, now: i64, leeway: i64) -> bool {
    expires_at.saturating_add(leeway) <= now
}

/// A bundle must not be older than the one before it: whoever replays one would undo a revocation.
///
/// All bundles of an hour have one `exp`. Among these the time of signing decides, for a replica that lags behind still
/// serves what it signed before; as clocks of replicas differ, by more than the leeway.
fn check_order(before: Option<&Bundle>, now: &Bundle, leeway: i64) -> Result<(), NotTaken> {
    let Some(before) = before else { return Ok(()) };
    if now.expires_at < before.expires_at {
        return Err(NotTaken::Older("exp"));
    }
    let is_same = now.policies.hash() == before.policies.hash();
    if now.expires_at == before.expires_at
        && !is_same
        && now.issued_at.saturating_add(leeway) < before.issued_at
    {
        return Err(NotTaken::Older("iat"));
    }
    Ok(())
}
