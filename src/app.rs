//! Everything that requests are answered with: loaded as the settings say, and wired. It knows no HTTP.

mod keeper;
mod named_files;
mod surroundings;

use std::{sync::Arc, time::Duration};

use jeton_oauth::{ApiName, InvalidName, clock::Clock};
use jeton_policy::{CandidatePolicies, Findings, LivePolicies, Surroundings};
use jeton_verify::{
    Authorizer, Origin, Standing, Verifier,
    audit::{Audit, DecisionLog, DecisionLogError, Shadow},
};
use tracing::field::display;

use crate::{
    authenticate::{AssertionRules, Authenticator, CertificateRules, SecretUses},
    binding::{Nonces, TokenBinder},
    bundles::PolicyBundles,
    config::{DpopNonce, LimitSettings, Settings, StoreSettings, TlsSettings, TokenSettings},
    event,
    federation::{FollowedIssuers, ForeignVerifier, KeyFetchOptions},
    grant::{Lifetimes, StatusClaim},
    introspect::Introspector,
    issue::TokenIssuer,
    keys::{FirstKey, KeyErrors, KeyKeeper, LiveKeys, OrderError, ReadyKey},
    limits::Limits,
    made::MadePaths,
    reuse::TokenReuse,
    revoke::Revoker,
    status_lists::{StatusListOptions, StatusLists},
    store::{MemoryStore, SharedStore, SharedStoreOptions, Store, StoreError},
    telemetry::{
        Denials, Telemetry,
        metrics::{Metrics, MetricsError, ObservedState},
    },
    tls::{Certificates, ClientCertificates, ListenerName, LiveAuthorities, LiveCertificate, TlsErrors},
};

pub use keeper::{key_keeper, late_reading};
pub use named_files::{UnfitFile, unfit_files};
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
    /// The certificate of a listener or its key.
    #[error(transparent)]
    Tls(#[from] TlsErrors),
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
    certificates: Certificates,
    authorities: Option<Arc<LiveAuthorities>>,
    store: Arc<Store>,
    keeper: KeyKeeper,
    clock: Arc<dyn Clock>,
}

/// The collaborators of a service, each as the settings say.
pub struct App {
    pub(crate) settings: Settings,
    pub(crate) keeper: KeyKeeper,
    pub(crate) keys: Arc<LiveKeys>,
    pub(crate) policies: Arc<LivePolicies>,
    /// Those of the listeners that have TLS.
    pub(crate) certificates: Certificates,
    /// Those whose word about a client counts, if there are any.
    pub(crate) authorities: Option<Arc<LiveAuthorities>>,
    pub(crate) audit: Audit,
    pub(crate) telemetry: Arc<Telemetry>,
    /// Who decides about jeton's own API.
    pub(crate) authorizer: Authorizer,
    /// The same where jeton is not asked at its origin: no token that is bound to a key is taken.
    pub(crate) authorizer_without_origin: Authorizer,
    pub(crate) store: Arc<Store>,
    /// The issuers that the policies trust, with their keys.
    pub(crate) issuers: Arc<FollowedIssuers>,
    pub(crate) limits: Arc<Limits>,
    pub(crate) secret_uses: Arc<SecretUses>,
    pub(crate) status_lists: Arc<StatusLists>,
    pub(crate) bundles: Arc<PolicyBundles>,
    pub(crate) issuer: Arc<TokenIssuer>,
    pub(crate) introspector: Arc<Introspector>,
    pub(crate) revoker: Arc<Revoker>,
    pub(crate) clock: Arc<dyn Clock>,
}

impl PreparedApp {
    /// Reads the policies, and starts to follow the shared store, if there is one. Writes nothing.
    ///
    /// # Errors
    /// [`LoadError`] with everything that is wrong in the folder at fault.
    pub fn check(settings: Settings, clock: Arc<dyn Clock>) -> Result<Self, LoadError> {
        let surroundings = surroundings(&settings);
        let policies = LivePolicies::load(&settings.policies.dir, surroundings.clone(), Arc::clone(&clock))?;
        let (certificates, authorities) = (certificates(&settings, &clock)?, authorities(&settings, &clock)?);
        let store = Arc::new(store(&settings.store, &clock, settings.tokens.leeway)?);
        let keeper = key_keeper(&settings, Arc::clone(&clock));
        let policies = Arc::new(policies);
        Ok(Self { settings, surroundings, policies, certificates, authorities, store, keeper, clock })
    }

    /// What it is to be.
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// Makes the first key, if the keys lack one and it is to be made here. That may take seconds, in which others go on.
    /// Writes nothing.
    pub async fn first_key(&self) -> Option<ReadyKey> {
        if self.settings.keys.generate_if_missing { self.keeper.make_ready().await } else { None }
    }

    /// Opens the decision log and loads the keys. If there is no key, it writes `first_key`, or makes one, after
    /// everything else has succeeded.
    ///
    /// # Errors
    /// As [`Self::check`].
    pub fn load(self, first_key: Option<ReadyKey>) -> Result<App, LoadError> {
        let Self { settings, surroundings, policies, certificates, authorities, store, keeper, clock } = self;
        let metrics = Arc::new(Metrics::new(settings.gateways.iter().map(|gateway| &gateway.name))?);
        // the log is there before the key, and goes with a start that fails
        let mut made = MadePaths::default();
        settings.log.decisions.iter().for_each(|path| made.expect(path));
        let audit = audit(&settings, surroundings, &clock)?.with_listener(metrics.clone());
        if settings.keys.generate_if_missing
            && let FirstKey::Made(new) = keeper.ensure_first_key(first_key)?
        {
            let dir = keeper.folder().path().display();
            event::KeysGenerated { dir: display(&dir), kid: display(&new.kid) }.info();
        }
        let keys = LiveKeys::load(keeper.folder().clone(), *keeper.terms(), Arc::clone(&clock))?;
        let keys = Arc::new(keys.for_bundles_of(Arc::clone(&policies)));
        let secret_uses = Arc::new(SecretUses::default());
        let issuers =
            Arc::new(FollowedIssuers::new(key_fetches(&settings), metrics.clone(), Arc::clone(&clock)));
        let (status_lists, bundles) = signed_documents(&settings, &keys, &policies, &clock);
        let state = ObservedState {
            bundles: Arc::clone(&bundles),
            policies: Arc::clone(&policies),
            keys: Arc::clone(&keys),
            certificates: certificates.clone(),
            store: Arc::clone(&store),
            decisions: audit.log().cloned(),
            secret_uses: Arc::clone(&secret_uses),
            issuers: Arc::clone(&issuers),
        };
        // nobody could see them elsewhere
        let denials = settings.has_console().then(|| Arc::new(Denials::new(Arc::clone(&clock))));
        let telemetry = Arc::new(Telemetry::new(metrics, state)?.with_denials(denials));
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
        let authenticator =
            Arc::new(authenticator(&settings, &store, &issuers, authorities.as_ref(), &secret_uses));
        let (limits, lifetimes) = (Arc::new(limits(&settings.limits, &clock)), lifetimes(&tokens));
        let authorizer_without_origin =
            authorizer(&verifier, &policies, &standing, telemetry.audit_of(None, &audit))?;
        let authorizer = authorizer_without_origin.clone().with_origin(Origin::of(&settings.issuer));
        Ok(App {
            telemetry,
            bundles,
            status_lists,
            audit,
            introspector: Arc::new(Introspector {
                authenticator: Arc::clone(&authenticator),
                limits: Arc::clone(&limits),
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
                binder: binder(&settings, &store, &keys),
                limits: Arc::clone(&limits),
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
                clock: Arc::clone(&clock),
            }),
            settings,
            keeper,
            keys,
            policies,
            certificates,
            authorities,
            authorizer,
            authorizer_without_origin,
            store,
            issuers,
            limits,
            secret_uses,
            clock,
        })
    }
}

/// Who decides about jeton's own API.
fn authorizer(
    verifier: &Verifier,
    policies: &Arc<LivePolicies>,
    standing: &Standing,
    audit: Audit,
) -> Result<Authorizer, InvalidName> {
    let own_api = ApiName::parse(ApiName::OWN)?;
    let authorizer = Authorizer::new(verifier.clone(), Arc::clone(policies), own_api);
    Ok(authorizer.with_standing(standing.clone()).with_audit(audit))
}

/// What is signed beside tokens.
fn signed_documents(
    settings: &Settings,
    keys: &Arc<LiveKeys>,
    policies: &Arc<LivePolicies>,
    clock: &Arc<dyn Clock>,
) -> (Arc<StatusLists>, Arc<PolicyBundles>) {
    let TokenSettings { status_list_ttl: ttl, status_list: by_default, .. } = settings.tokens;
    let (issuer, options) = (&settings.issuer, StatusListOptions { ttl, by_default });
    let (keys, policies) = (|| Arc::clone(keys), || Arc::clone(policies));
    let lists = StatusLists::new(issuer.clone(), keys(), policies(), options, Arc::clone(clock));
    let bundles = PolicyBundles::new(issuer.clone(), keys(), policies(), Arc::clone(clock));
    (Arc::new(lists), Arc::new(bundles))
}

/// Who lets clients in, as the settings say.
fn authenticator(
    settings: &Settings,
    store: &Arc<Store>,
    issuers: &Arc<FollowedIssuers>,
    authorities: Option<&Arc<LiveAuthorities>>,
    secret_uses: &Arc<SecretUses>,
) -> Authenticator {
    let TokenSettings { max_assertion_ttl, leeway, .. } = settings.tokens;
    Authenticator {
        assertions: AssertionRules::new(&settings.issuer, max_assertion_ttl, leeway),
        certificates: CertificateRules::new(authorities.cloned()),
        foreign: Arc::new(ForeignVerifier::new(Arc::clone(issuers), Arc::clone(store), leeway)),
        store: Arc::clone(store),
        secret_uses: Arc::clone(secret_uses),
    }
}

/// What binds tokens, as the settings say.
fn binder(settings: &Settings, store: &Arc<Store>, keys: &Arc<LiveKeys>) -> TokenBinder {
    let TokenSettings { leeway, dpop_nonce, .. } = settings.tokens;
    let nonces = match dpop_nonce {
        DpopNonce::Off => None,
        DpopNonce::Required => Some(Nonces::new(settings.issuer.clone(), Arc::clone(keys), leeway)),
    };
    TokenBinder::new(&settings.issuer, leeway, nonces, Arc::clone(store))
}

/// How the keys of issuers are fetched, as the settings say.
fn key_fetches(settings: &Settings) -> KeyFetchOptions {
    KeyFetchOptions {
        proxy: settings.fetch.proxy.clone(),
        token_dirs: settings.federation.token_dirs.clone(),
    }
}

/// The limits that the settings name.
fn limits(settings: &LimitSettings, clock: &Arc<dyn Clock>) -> Limits {
    let LimitSettings { tokens, introspections, failures } = *settings;
    Limits::new(tokens, introspections, failures, Arc::clone(clock))
}

/// How long tokens live.
fn lifetimes(tokens: &TokenSettings) -> Lifetimes {
    let TokenSettings { ttl, max_ttl, refresh_ttl, refresh_grace, leeway, .. } = *tokens;
    Lifetimes { ttl, max_ttl, refresh_ttl, refresh_grace, leeway }
}

/// The certificates that the settings name.
fn certificates(settings: &Settings, clock: &Arc<dyn Clock>) -> Result<Certificates, TlsErrors> {
    let of_admin = settings.admin.as_ref().and_then(|admin| admin.tls.as_ref());
    let named = [(ListenerName::Server, settings.server.tls.as_ref()), (ListenerName::Admin, of_admin)];
    let load = |(listener, tls): (ListenerName, &TlsSettings)| {
        let TlsSettings { cert_file, key_file } = tls.clone();
        let asked = match (listener, &settings.server.client_certificates) {
            (ListenerName::Server, Some(_)) => ClientCertificates::Optional,
            (ListenerName::Server, None) | (ListenerName::Admin, _) => ClientCertificates::Off,
        };
        LiveCertificate::load(listener, cert_file, key_file, asked, Arc::clone(clock))
    };
    let mut faults = Vec::new();
    let mut loaded = Vec::new();
    for named in named.into_iter().filter_map(|(listener, tls)| Some((listener, tls?))) {
        match load(named) {
            Ok(certificate) => loaded.push(Arc::new(certificate)),
            Err(TlsErrors(errors)) => faults.extend(errors),
        }
    }
    if faults.is_empty() { Ok(Certificates::new(loaded)) } else { Err(TlsErrors(faults)) }
}

/// The authorities that the settings name.
fn authorities(
    settings: &Settings,
    clock: &Arc<dyn Clock>,
) -> Result<Option<Arc<LiveAuthorities>>, TlsErrors> {
    let file = settings.server.client_certificates.as_ref().and_then(|settings| settings.ca_file.clone());
    file.map(|file| LiveAuthorities::load(file, Arc::clone(clock)).map(Arc::new)).transpose()
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

/// The store that the settings name, for replicas whose clocks differ by `leeway`.
fn store(settings: &StoreSettings, clock: &Arc<dyn Clock>, leeway: Duration) -> Result<Store, StoreError> {
    Ok(match shared_store(settings) {
        None => Store::Memory(MemoryStore::new(Arc::clone(clock))),
        Some(options) => Store::Shared(SharedStore::start(options, Arc::clone(clock), leeway)?),
    })
}

/// What the settings say of a shared store, if there is one.
fn shared_store(settings: &StoreSettings) -> Option<SharedStoreOptions> {
    let StoreSettings { url, password, prefix, ca_file } = settings.clone();
    Some(SharedStoreOptions { url: url?, password, prefix, ca: ca_file })
}
