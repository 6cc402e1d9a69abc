//! The server: its collaborators, its limits, its start and its end.

use std::{io, net::SocketAddr, sync::Arc};

use actix_web::{App, dev::Server, web::Data};
use tracing_actix_web::TracingLogger;

use super::{
    audit_watch,
    connection::{self, Listener, TellConnection},
    endpoint::{authz::Gateway, discovery::Metadata},
    keeper::key_keeper,
    key_watch,
    reload::{self, Teller},
    routes::{self, Routes},
    span::RequestSpan,
    surroundings::surroundings,
};
use crate::{
    audit::{Audit, DecisionLogError},
    authorize::Authorizer,
    clients::{AssertionRules, Authenticator},
    clock::Clock,
    config::{Settings, StoreSettings},
    grant::{Lifetimes, StatusClaim},
    introspect::Introspector,
    issue::TokenIssuer,
    keys::{FirstKey, KeyErrors, KeyKeeper, LiveKeys, OrderError},
    oauth::{ApiName, InvalidName},
    policy::{Findings, LivePolicies},
    reuse::TokenReuse,
    revoke::Revoker,
    standing::Standing,
    status_lists::{StatusListOptions, StatusLists},
    store::{MemoryStore, SharedOptions, SharedStore, Store, StoreError},
    token::Verifier,
};

/// Why the server did not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
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
    /// The address is taken or not ours.
    #[error("`server.listen`: {address} cannot be listened on")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// What the system said.
        source: io::Error,
    },
}

/// Everything that requests are answered with.
pub struct Service {
    settings: Settings,
    listener: Listener,
    routes: Arc<Routes>,
    audit: Audit,
    keeper: KeyKeeper,
    keys: Arc<LiveKeys>,
    policies: Arc<LivePolicies>,
    verifier: Verifier,
    standing: Standing,
    store: Arc<Store>,
    status_lists: Arc<StatusLists>,
    issuer: Arc<TokenIssuer>,
    introspector: Arc<Introspector>,
    revoker: Arc<Revoker>,
}

/// A server that accepts connections.
pub struct RunningServer {
    /// Where it listens.
    pub address: SocketAddr,
    /// To be awaited; ends after SIGTERM, when the requests in flight are answered, or SIGINT, at once.
    pub server: Server,
}

impl Service {
    /// Loads policies and keys as the settings say, takes the address, and starts to follow the shared store, if there
    /// is one. Must run within an actix system.
    ///
    /// # Errors
    /// [`StartError`] with everything that is wrong in the folder at fault. Nothing was written then.
    pub fn load(settings: Settings, clock: Arc<dyn Clock>) -> Result<Self, StartError> {
        let surroundings = surroundings(&settings);
        let policies = LivePolicies::load(&settings.policies.dir, surroundings.clone(), Arc::clone(&clock))?;
        let policies = Arc::new(policies);
        let store = Arc::new(store(&settings.store, &clock)?);
        let listener = listen(settings.server.listen)?;
        // the first key is made when nothing else can keep the server from starting
        let keeper = key_keeper(&settings, Arc::clone(&clock));
        if settings.keys.generate_if_missing
            && let FirstKey::Made(new) = keeper.ensure_first_key()?
        {
            let dir = keeper.folder().path().display();
            tracing::info!(%dir, kid = %new.kid, "keys.generated: there was no key, so the first one was made");
        }
        let keys = LiveKeys::load(keeper.folder().clone(), *keeper.terms(), Arc::clone(&clock))?;
        let keys = Arc::new(keys);
        key_watch::log_start(&keys, &keeper, &settings);
        let audit = audit_watch::open_audit(&settings, surroundings, &clock)?;
        let verifier = Verifier::new(
            settings.issuer.clone(),
            Arc::clone(&keys),
            settings.tokens.leeway,
            Arc::clone(&clock),
        )
        .remembering(Verifier::USUAL_MEMORY);
        let standing = Standing::of_issuer(store.clone());
        let tokens = settings.tokens;
        let authenticator = Arc::new(Authenticator {
            assertions: AssertionRules::new(&settings.issuer, tokens.max_assertion_ttl, tokens.leeway),
            store: Arc::clone(&store),
        });
        let lifetimes = Lifetimes {
            ttl: tokens.ttl,
            max_ttl: tokens.max_ttl,
            refresh_ttl: tokens.refresh_ttl,
            refresh_grace: tokens.refresh_grace,
            leeway: tokens.leeway,
        };
        let lists = StatusListOptions { ttl: tokens.status_list_ttl, by_default: tokens.status_list };
        let authorizer =
            Authorizer::new(verifier.clone(), Arc::clone(&policies), ApiName::parse(ApiName::OWN)?)
                .with_standing(standing.clone())
                .with_audit(audit.clone());
        let gateway = |settings| Data::new(Gateway::new(settings, &authorizer));
        let gateways = settings.gateways.iter().map(gateway).collect();
        Ok(Self {
            status_lists: Arc::new(StatusLists::new(
                settings.issuer.clone(),
                Arc::clone(&keys),
                Arc::clone(&policies),
                lists,
                Arc::clone(&clock),
            )),
            routes: Arc::new(Routes { issuer: settings.issuer.clone(), authorizer, gateways }),
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
                verifier: verifier.clone(),
                standing: standing.clone(),
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
            listener,
            keeper,
            keys,
            policies,
            verifier,
            standing,
            store,
        })
    }

    /// The keys that it signs with and publishes.
    pub fn keys(&self) -> &Arc<LiveKeys> {
        &self.keys
    }

    /// The policies in force.
    pub fn policies(&self) -> &Arc<LivePolicies> {
        &self.policies
    }

    /// Who is told of decisions. Whoever waits for the server to end flushes the log then.
    pub fn audit(&self) -> &Audit {
        &self.audit
    }

    /// Starts to answer and to watch the policies. Must run within an actix system.
    ///
    /// # Errors
    /// [`StartError::Listen`].
    pub fn start(self) -> Result<RunningServer, StartError> {
        let address = self.settings.server.listen;
        let refused = |source| StartError::Listen { address, source };
        let bound = self.listener.address().map_err(refused)?;
        let shutdown_timeout = self.settings.server.shutdown_timeout;
        let teller = Teller::start(Arc::clone(&self.policies));
        teller.tell_start(self.policies.snapshot());
        reload::watch(&self.policies, &teller, &self.keys, self.settings.policies.poll);
        key_watch::watch_keys(&self.keys, self.keeper.clone(), self.settings.policies.poll);
        audit_watch::watch_audit(&self.audit, self.settings.policies.poll);
        let audit = Data::new(self.audit.clone());
        let keys = Data::new(Arc::clone(&self.keys));
        let policies = Data::new(Arc::clone(&self.policies));
        let teller = Data::new(teller);
        let verifier = Data::new(self.verifier.clone());
        let issuer = Data::new(Arc::clone(&self.issuer));
        let standing = Data::new(self.standing.clone());
        let introspector = Data::new(Arc::clone(&self.introspector));
        let revoker = Data::new(Arc::clone(&self.revoker));
        let status_lists = Data::new(Arc::clone(&self.status_lists));
        let store = Data::new(Arc::clone(&self.store));
        let issuer_name = Data::new(self.settings.issuer.clone());
        let metadata = Data::new(Metadata::new(&self.settings.issuer, &self.store));
        let routes = self.routes;
        let app = move || {
            App::new()
                .app_data(keys.clone())
                .app_data(policies.clone())
                .app_data(teller.clone())
                .app_data(verifier.clone())
                .app_data(issuer.clone())
                .app_data(standing.clone())
                .app_data(introspector.clone())
                .app_data(revoker.clone())
                .app_data(status_lists.clone())
                .app_data(store.clone())
                .app_data(issuer_name.clone())
                .app_data(metadata.clone())
                .app_data(audit.clone())
                .configure(|config| routes::configure(&routes, config))
                .wrap(TracingLogger::<RequestSpan>::new())
                .wrap(TellConnection)
        };
        let server = connection::serve(self.listener, shutdown_timeout, app).map_err(refused)?;
        Ok(RunningServer { address: bound, server })
    }
}

/// Takes the address.
fn listen(address: SocketAddr) -> Result<Listener, StartError> {
    Listener::bind(address).map_err(|source| StartError::Listen { address, source })
}

/// The store that the settings name.
fn store(settings: &StoreSettings, clock: &Arc<dyn Clock>) -> Result<Store, StoreError> {
    let StoreSettings { url, password, prefix, ca_file } = settings.clone();
    Ok(match url {
        None => Store::Memory(MemoryStore::new(Arc::clone(clock))),
        Some(url) => {
            let options = SharedOptions { url, password, prefix, ca: ca_file };
            Store::Shared(SharedStore::start(options, Arc::clone(clock))?)
        }
    })
}
