//! Everything that requests are answered with: loaded as the settings say, and wired. It knows no HTTP.

mod keeper;
mod surroundings;

use std::sync::Arc;

use jeton_oauth::{ApiName, InvalidName, clock::Clock};
use jeton_policy::{CandidatePolicies, Findings, LivePolicies, Surroundings};
use jeton_verify::{
    Authorizer, Standing, Verifier,
    audit::{Audit, DecisionLog, DecisionLogError, Shadow},
};
use tracing::field::display;

use crate::{
    authenticate::{AssertionRules, Authenticator, SecretUses},
    config::{Settings, StoreSettings},
    event,
    grant::{Lifetimes, StatusClaim},
    introspect::Introspector,
    issue::TokenIssuer,
    keys::{FirstKey, KeyErrors, KeyKeeper, LiveKeys, OrderError},
    made::MadePaths,
    reuse::TokenReuse,
    revoke::Revoker,
    status_lists::{StatusListOptions, StatusLists},
    store::{MemoryStore, SharedStore, SharedStoreOptions, Store, StoreError},
    telemetry::{
        Telemetry,
        metrics::{Metrics, MetricsError, ObservedState},
    },
};

pub use keeper::{key_keeper, late_reading};
pub use surroundings::surroundings;

/// Why the service cannot be what the settings say.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// The key folder is not as it must be.
    #[error(transparent)]
    Keys(#[from] KeyErrors),
    /// The first key could not be made.
    #[error(transparent)]
    FirstKey(#[from] OrderError),
    /// The policies are not as they must be.
    #[error(transparent)]
    Policies(#[from] Findings),
    /// The shared store cannot be what the settings say.
    #[error("`[store]`: {0}")]
    Store(#[from] StoreError),
    /// Decisions cannot be written down.
    #[error(transparent)]
    DecisionLog(#[from] DecisionLogError),
    /// The name of jeton's own API.
    #[error(transparent)]
    Name(#[from] InvalidName),
    /// A fault in jeton.
    #[error(transparent)]
    Metrics(#[from] MetricsError),
}

/// What was read and found good before anything is written.
pub struct PreparedApp {
    settings: Settings,
    surroundings: Surroundings,
    policies: Arc<LivePolicies>,
    store: Arc<Store>,
    clock: Arc<dyn Clock>,
}

/// The collaborators of a service, each as the settings say.
pub struct App {
    pub(crate) settings: Settings,
    pub(crate) keeper: KeyKeeper,
    pub(crate) keys: Arc<LiveKeys>,
    pub(crate) policies: Arc<LivePolicies>,
    pub(crate) audit: Audit,
    pub(crate) telemetry: Arc<Telemetry>,
    /// Who decides about jeton's own API.
    pub(crate) authorizer: Authorizer,
    pub(crate) store: Arc<Store>,
    pub(crate) status_lists: Arc<StatusLists>,
    pub(crate) issuer: Arc<TokenIssuer>,
    pub(crate) introspector: Arc<Introspector>,
    pub(crate) revoker: Arc<Revoker>,
}

impl PreparedApp {
    /// Reads the policies, and starts to follow the shared store, if there is one. Writes nothing.
    ///
    /// # Errors
    /// [`LoadError`] with everything that is wrong in the folder at fault.
    pub fn check(settings: Settings, clock: Arc<dyn Clock>) -> Result<Self, LoadError> {
        let surroundings = surroundings(&settings);
        let policies = LivePolicies::load(&settings.policies.dir, surroundings.clone(), Arc::clone(&clock))?;
        let store = Arc::new(store(&settings.store, &clock)?);
        Ok(Self { settings, surroundings, policies: Arc::new(policies), store, clock })
    }

    /// What it is to be.
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// Opens the decision log and loads the keys. It makes the first key if there is none, when nothing else can keep
    /// the service from its start.
    ///
    /// # Errors
    /// As [`Self::check`].
    pub fn load(self) -> Result<App, LoadError> {
        let Self { settings, surroundings, policies, store, clock } = self;
        // the log is there before the key, and goes with a start that fails
        let mut made = MadePaths::default();
        settings.log.decisions.iter().for_each(|path| made.expect(path));
        let metrics = Arc::new(Metrics::new(settings.gateways.iter().map(|gateway| &gateway.name))?);
        let audit = audit(&settings, surroundings, &clock)?.with_listener(metrics.clone());
        let keeper = key_keeper(&settings, Arc::clone(&clock));
        if settings.keys.generate_if_missing
            && let FirstKey::Made(new) = keeper.ensure_first_key()?
        {
            let dir = keeper.folder().path().display();
            event::KeysGenerated { dir: display(&dir), kid: display(&new.kid) }.info();
        }
        let keys = LiveKeys::load(keeper.folder().clone(), *keeper.terms(), Arc::clone(&clock))?;
        let keys = Arc::new(keys);
        let own_api = ApiName::parse(ApiName::OWN)?;
        made.keep();
        let verifier = Verifier::new(
            settings.issuer.clone(),
            Arc::clone(&keys),
            settings.tokens.leeway,
            Arc::clone(&clock),
        )
        .remembering(Verifier::USUAL_MEMORY);
        let standing = Standing::of_issuer(store.clone());
        let tokens = settings.tokens;
        let secret_uses = Arc::new(SecretUses::default());
        let authenticator = Arc::new(Authenticator {
            assertions: AssertionRules::new(&settings.issuer, tokens.max_assertion_ttl, tokens.leeway),
            store: Arc::clone(&store),
            secret_uses: Arc::clone(&secret_uses),
        });
        let lifetimes = Lifetimes {
            ttl: tokens.ttl,
            max_ttl: tokens.max_ttl,
            refresh_ttl: tokens.refresh_ttl,
            refresh_grace: tokens.refresh_grace,
            leeway: tokens.leeway,
        };
        let lists = StatusListOptions { ttl: tokens.status_list_ttl, by_default: tokens.status_list };
        let authorizer = Authorizer::new(verifier.clone(), Arc::clone(&policies), own_api)
            .with_standing(standing.clone())
            .with_audit(audit.clone());
        let state = ObservedState {
            policies: Arc::clone(&policies),
            keys: Arc::clone(&keys),
            store: Arc::clone(&store),
            decisions: audit.log().cloned(),
            secret_uses,
        };
        Ok(App {
            telemetry: Arc::new(Telemetry::new(metrics, state)?),
            status_lists: Arc::new(StatusLists::new(
                settings.issuer.clone(),
                Arc::clone(&keys),
                Arc::clone(&policies),
                lists,
                Arc::clone(&clock),
            )),
            audit,
            introspector: Arc::new(Introspector {
                authenticator: Arc::clone(&authenticator),
                policies: Arc::clone(&policies),
                verifier: verifier.clone(),
                standing: standing.clone(),
                clock: Arc::clone(&clock),
            }),
            revoker: Arc::new(Revoker {
                authenticator: Arc::clone(&authenticator),
                policies: Arc::clone(&policies),
                verifier: verifier.clone(),
                store: Arc::clone(&store),
                lifetimes,
                clock: Arc::clone(&clock),
            }),
            issuer: Arc::new(TokenIssuer {
                issuer: settings.issuer.clone(),
                keys: Arc::clone(&keys),
                policies: Arc::clone(&policies),
                authenticator,
                verifier,
                standing,
                store: Arc::clone(&store),
                lifetimes,
                reuse: tokens.reuse.map(TokenReuse::within),
                status_claim: if tokens.status_list {
                    StatusClaim::ByDefault
                } else {
                    StatusClaim::OnRequest
                },
                max_exchanges: tokens.max_exchanges,
                clock,
            }),
            settings,
            keeper,
            keys,
            policies,
            authorizer,
            store,
        })
    }
}

/// Who is told of decisions: the decision log, and candidate policies that are still to be read.
fn audit(
    settings: &Settings,
    surroundings: Surroundings,
    clock: &Arc<dyn Clock>,
) -> Result<Audit, DecisionLogError> {
    let log = settings.log.decisions.as_deref().map(|path| DecisionLog::open(path, Arc::clone(clock)));
    let shadow = settings.policies.candidate.as_deref().map(|dir| {
        let candidate = CandidatePolicies::new(dir, surroundings, Arc::clone(clock));
        Arc::new(Shadow::new(Arc::new(candidate), Arc::clone(clock)))
    });
    Ok(Audit::new(log.transpose()?.map(Arc::new), shadow))
}

/// The store that the settings name.
fn store(settings: &StoreSettings, clock: &Arc<dyn Clock>) -> Result<Store, StoreError> {
    let StoreSettings { url, password, prefix, ca_file } = settings.clone();
    Ok(match url {
        None => Store::Memory(MemoryStore::new(Arc::clone(clock))),
        Some(url) => {
            let options = SharedStoreOptions { url, password, prefix, ca: ca_file };
            Store::Shared(SharedStore::start(options, Arc::clone(clock))?)
        }
    })
}
