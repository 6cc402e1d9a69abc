//! A service from the issuer's address alone: its metadata name the keys, the bundle of policies and the status lists.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use jeton_jose::{InvalidJwks, PublicKeys};
use jeton_oauth::{
    ApiName, Issuer,
    clock::{Clock, SystemClock},
};
use jeton_policy::{
    Findings, LivePolicies, Surroundings,
    files::{self, FileError, Reload},
};
use tokio::{runtime::Handle, task, time};
use tracing::field::display;

use crate::{
    authorize::Authorizer,
    bundle::{BundleSource, RemoteBundle},
    credentials::{ServiceCredentials, ServiceTokens},
    event,
    fetch::{Discovery, DiscoveryError, Fetcher, FollowTask, HttpError, Reach, Transport},
    keep::{KeepError, KeepFolder},
    keys::{JwksSource, TrustedKeys},
    policies::PolicySource,
    possession::Origin,
    status::{FetchedLists, StatusFetchOptions},
    token::Verifier,
};

/// How long the fetch of one document may take.
const TIMEOUT: Duration = Duration::from_secs(5);
/// How often a folder of policies is looked at.
const POLL: Duration = Duration::from_secs(2);
/// The longest file of keys or authorities, in bytes.
const LONGEST_FILE: u64 = 1024 * 1024;

/// How a service takes tokens of one issuer for one API. The issuer and the API are enough; the rest is for what is not
/// as usual.
///
/// # Examples
///
/// ```no_run
/// use jeton_verify::{Authorizer, ServiceOptions};
///
/// # async fn start() -> Result<Authorizer, jeton_verify::ServiceError> {
/// let mut options = ServiceOptions::new("https://tokens.example.com", "orders")?;
/// options.keep = Some("/var/lib/orders/jeton".into());
/// options.start()
/// # }
/// ```
#[derive(Clone)]
#[non_exhaustive]
pub struct ServiceOptions {
    /// Who issues the tokens.
    pub issuer: Issuer,
    /// The API that the service is.
    pub api: ApiName,
    /// A folder of policies in the place of the issuer's bundle. It is read again when it changes.
    pub policies: Option<PathBuf>,
    /// A file with a key set in the place of the issuer's, as `jeton keys jwks` prints it. It is read once.
    pub jwks: Option<PathBuf>,
    /// How far clocks may be off (cut to whole seconds). Default: 30 seconds.
    pub leeway: Duration,
    /// A folder for the last bundle, keys and status lists, from which a start without the issuer goes on. It is made
    /// with mode 0700. Who can write it can forge keys.
    pub keep: Option<PathBuf>,
    /// The authorities (PEM) that sign the issuer's certificate, instead of those of the system.
    pub ca_file: Option<PathBuf>,
    /// Scheme, host and port by which clients reach the API. With it, tokens that are bound to a key are taken too
    /// ([`Authorizer::with_origin`]).
    pub origin: Option<Origin>,
    /// For a bundle that is for clients alone.
    pub credentials: Option<ServiceCredentials>,
    /// What the time is. Default: the clock of the system.
    pub clock: Arc<dyn Clock>,
}

/// Why a service does not start. That the issuer is away is no reason.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ServiceError {
    /// A name or an address is not of its form.
    #[error("{0}")]
    Name(String),
    /// Keys and policies would come over an unprotected network.
    #[error("the issuer `{0}` must be `https`; `http` is allowed only for this machine")]
    Insecure(Issuer),
    /// There is no TLS.
    #[error(transparent)]
    Http(#[from] HttpError),
    /// The issuer has no metadata address.
    #[error(transparent)]
    Discovery(#[from] DiscoveryError),
    /// A file cannot be read.
    #[error("`{path}` {error}")]
    File {
        /// Where it is.
        path: String,
        /// Why.
        #[source]
        error: FileError,
    },
    /// The file of keys holds no key set.
    #[error("`{path}` holds no key set: {error}")]
    Jwks {
        /// Where it is.
        path: String,
        /// Why.
        #[source]
        error: InvalidJwks,
    },
    /// The policies folder does not load.
    #[error("the policies cannot be used:\n{0}")]
    Policies(Findings),
    /// The folder for what is kept cannot be used.
    #[error(transparent)]
    Keep(#[from] KeepError),
    /// There is no tokio runtime here that could follow anything.
    #[error("a service must be started within a tokio runtime")]
    NoRuntime,
}

impl ServiceOptions {
    /// For the API of this name, with tokens of this issuer.
    ///
    /// # Errors
    /// [`ServiceError::Name`].
    pub fn new(issuer: &str, api: &str) -> Result<Self, ServiceError> {
        let name = |error: &dyn std::fmt::Display| ServiceError::Name(error.to_string());
        Ok(Self {
            issuer: Issuer::parse(issuer).map_err(|error| name(&error))?,
            api: ApiName::parse(api).map_err(|error| name(&error))?,
            policies: None,
            jwks: None,
            leeway: Duration::from_secs(30),
            keep: None,
            ca_file: None,
            origin: None,
            credentials: None,
            clock: Arc::new(SystemClock),
        })
    }

    /// Starts it within this tokio runtime. Nothing is waited for: until keys and policies came, requests wait for them,
    /// and are answered with 503 where they do not come.
    ///
    /// Tasks of the runtime keep everything up to date. They end when all clones of the [`Authorizer`] are let go of.
    ///
    /// # Errors
    /// [`ServiceError`] for what is wrong on this machine. An issuer that is away, or has no such bundle, is retried, and
    /// the log says what to do.
    pub fn start(self) -> Result<Authorizer, ServiceError> {
        Handle::try_current().map_err(|_| ServiceError::NoRuntime)?;
        let Some(transport) = Transport::of(&self.issuer) else {
            return Err(ServiceError::Insecure(self.issuer));
        };
        let authorities = self.ca_file.as_deref().map(read).transpose()?;
        let reach = Reach { authorities: authorities.as_deref(), ..Reach::default() };
        let reaching = || Fetcher::reaching(transport, TIMEOUT, reach);
        let (fetcher, of_bundle) = (Arc::new(reaching()?), reaching()?.reading_long(BundleSource::LONGEST));
        let keep = self.keep.as_deref().map(|dir| KeepFolder::open(dir, &self.issuer)).transpose()?;
        let discovery = Discovery::new(self.issuer.clone(), Arc::clone(&fetcher), Arc::clone(&self.clock))?;
        let start =
            ServiceStart { fetcher, discovery: Arc::new(discovery), keep, tasks: Vec::new(), options: self };
        start.run(Arc::new(of_bundle))
    }
}

impl Authorizer {
    /// A service from the issuer's address alone, as [`ServiceOptions::start`] does.
    ///
    /// # Errors
    /// As [`ServiceOptions::start`].
    pub fn from_issuer(issuer: &str, api: &str) -> Result<Self, ServiceError> {
        ServiceOptions::new(issuer, api)?.start()
    }
}

/// A service on its way.
struct ServiceStart {
    options: ServiceOptions,
    fetcher: Arc<Fetcher>,
    discovery: Arc<Discovery>,
    keep: Option<KeepFolder>,
    tasks: Vec<FollowTask>,
}

impl ServiceStart {
    fn run(mut self, of_bundle: Arc<Fetcher>) -> Result<Authorizer, ServiceError> {
        // what was kept is verified by the keys that were kept: these come first
        let keys = self.keys()?;
        let policies = self.policies(&keys, of_bundle)?;
        let lists = self.lists(&keys);
        let ServiceOptions { issuer, api, leeway, clock, origin, .. } = self.options;
        let verifier = Verifier::new(issuer, keys, leeway, clock).with_status_lists(lists);
        let verifier = verifier.remembering(Verifier::USUAL_MEMORY);
        let authorizer = Authorizer::new(verifier, policies, api).with_tasks(self.tasks);
        Ok(match origin {
            Some(origin) => authorizer.with_origin(origin),
            None => authorizer,
        })
    }

    fn keys(&mut self) -> Result<TrustedKeys, ServiceError> {
        if let Some(path) = &self.options.jwks {
            let keys = PublicKeys::from_jwks(&read(path)?);
            let shown = || path.display().to_string();
            let keys = keys.map_err(|error| ServiceError::Jwks { path: shown(), error })?;
            return Ok(Arc::new(keys).into());
        }
        let (discovery, fetcher) = (Arc::clone(&self.discovery), Arc::clone(&self.fetcher));
        let keys = JwksSource::discovered(discovery, fetcher, self.keep.clone(), self.clock());
        keys.take_kept();
        let keys = Arc::new(keys);
        self.tasks.push(FollowTask::spawn(Arc::clone(&keys).run()));
        Ok(keys.into())
    }

    fn policies(&mut self, keys: &TrustedKeys, fetcher: Arc<Fetcher>) -> Result<PolicySource, ServiceError> {
        let clock = self.clock();
        let ServiceOptions { issuer, api, leeway, credentials, .. } = &self.options;
        if let Some(dir) = &self.options.policies {
            let surroundings = Surroundings::of_service(issuer, api.clone());
            let policies = LivePolicies::load(dir, surroundings, clock).map_err(ServiceError::Policies)?;
            let policies = Arc::new(policies);
            self.tasks.push(FollowTask::spawn(follow_folder(Arc::clone(&policies))));
            return Ok(policies.into());
        }
        let tokens = credentials.clone().map(|credentials| {
            ServiceTokens::new(credentials, issuer.clone(), Arc::clone(&self.fetcher), Arc::clone(&clock))
        });
        let bundle = BundleSource::new(RemoteBundle {
            issuer: issuer.clone(),
            api: api.clone(),
            keys: keys.clone(),
            discovery: Arc::clone(&self.discovery),
            fetcher,
            tokens,
            leeway: i64::try_from(leeway.as_secs()).unwrap_or(i64::MAX),
            clock,
            keep: self.keep.clone(),
        });
        bundle.take_kept();
        let bundle = Arc::new(bundle);
        let followed = Arc::clone(&bundle);
        self.tasks.push(FollowTask::spawn(async move { followed.run().await }));
        Ok(bundle.into())
    }

    fn lists(&mut self, keys: &TrustedKeys) -> Arc<FetchedLists> {
        let options = StatusFetchOptions { leeway: self.options.leeway, ..StatusFetchOptions::default() };
        let (issuer, fetcher) = (self.options.issuer.clone(), Arc::clone(&self.fetcher));
        let lists = FetchedLists::reaching(issuer, keys.clone(), &options, fetcher, self.clock());
        let lists = Arc::new(match self.keep.clone() {
            Some(keep) => lists.keeping(keep),
            None => lists,
        });
        self.tasks.push(FollowTask::spawn(Arc::clone(&lists).run()));
        lists
    }

    fn clock(&self) -> Arc<dyn Clock> {
        Arc::clone(&self.options.clock)
    }
}

/// Takes changes of a folder of policies over, for ever.
async fn follow_folder(policies: Arc<LivePolicies>) {
    loop {
        time::sleep(POLL).await;
        let polled = Arc::clone(&policies);
        match task::spawn_blocking(move || polled.poll()).await {
            Ok(Reload::Reloaded(replaced)) => {
                event::PoliciesReloaded { new: display(replaced.after().policies.hash()) }.info();
            }
            Ok(Reload::Rejected(rejection)) => {
                let findings = &rejection.faults;
                event::PoliciesRejected { count: findings.0.len(), detail: display(findings) }.error();
            }
            Ok(_) => {}
            Err(_) => policies.reload_failed(),
        }
    }
}

fn read(path: &Path) -> Result<Vec<u8>, ServiceError> {
    files::read(path, LONGEST_FILE)
        .map_err(|error| ServiceError::File { path: path.display().to_string(), error })
}
