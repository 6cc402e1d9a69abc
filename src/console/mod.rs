//! The console: what this replica serves, for people in a browser. Only reads.
//!
//! `assets/` holds the page, in plain HTML, CSS and JavaScript, which says nothing of the service; `assets.rs` answers with
//! it. `endpoint/` answers the questions of the page in JSON, each with one call into the core. `guard.rs` says who may ask.

pub(crate) mod assets;
mod comparison;
mod endpoint;
mod guard;
mod matrices;
mod trial;

use std::{net::IpAddr, sync::Arc};

use actix_web::{
    middleware::from_fn,
    web::{self, Data, ServiceConfig},
};
use jeton_oauth::clock::Clock;
use jeton_policy::LivePolicies;
use jeton_verify::{Authorizer, audit::Audit};

use self::{
    assets::Assets,
    comparison::Comparisons,
    guard::{DataGuard, Exposure},
    matrices::Matrices,
    trial::Trials,
};
pub(crate) use self::{
    guard::harden,
    trial::{ARGUMENT as TRIAL_ARGUMENT, answer_standard_input},
};
use crate::{
    app::App,
    authenticate::SecretUses,
    config::Settings,
    federation::FollowedIssuers,
    http::{Ending, get_or_head, not_found, readable},
    inspect::TokenInspector,
    keys::LiveKeys,
    report::Overview,
    store::Store,
    telemetry::{Rates, Telemetry, metrics::Endpoint},
    tls::Certificates,
};

/// Where the page is.
const PAGE: &str = "/console/";
/// Below which path its data are.
const DATA: &str = "/console/api";

/// What the console answers with: each is there for its endpoints as `web::Data`.
#[derive(Clone)]
pub(crate) struct Console {
    assets: Data<Assets>,
    settings: Data<Settings>,
    keys: Data<Arc<LiveKeys>>,
    policies: Data<Arc<LivePolicies>>,
    audit: Data<Audit>,
    /// Who decides about jeton's own API, and explains requests to any.
    authorizer: Data<Authorizer>,
    guard: Data<DataGuard>,
    store: Data<Arc<Store>>,
    issuers: Data<Arc<FollowedIssuers>>,
    telemetry: Data<Telemetry>,
    certificates: Data<Certificates>,
    secret_uses: Data<SecretUses>,
    clock: Data<dyn Clock>,
    /// The server waits for answers that are being sent: a stream ends when [`Ending::closed`] comes.
    ending: Data<Ending>,
    matrices: Data<Matrices>,
    comparisons: Data<Comparisons>,
    inspector: Data<TokenInspector>,
    trials: Data<Trials>,
    overview: Data<Overview>,
}

impl Console {
    /// Begins to note how often things happen. Must run within an actix system.
    pub(crate) fn of(app: &App, ending: Ending) -> Self {
        let policies = || Arc::clone(&app.policies);
        let (verifier, standing) = (app.introspector.verifier.clone(), app.introspector.standing.clone());
        let rates = Arc::new(Rates::new(Arc::clone(app.telemetry.metrics()), Arc::clone(&app.clock)));
        actix_web::rt::spawn(Arc::clone(&rates).follow(ending.closed()));
        Self {
            overview: Data::new(Overview::of(app, rates)),
            assets: Data::new(Assets::compressed()),
            settings: Data::new(app.settings.clone()),
            keys: Data::new(Arc::clone(&app.keys)),
            policies: Data::new(policies()),
            audit: Data::new(app.audit.clone()),
            authorizer: Data::new(app.authorizer.clone()),
            guard: Data::new(DataGuard(app.authorizer_without_origin.clone())),
            store: Data::new(Arc::clone(&app.store)),
            issuers: Data::new(Arc::clone(&app.issuers)),
            telemetry: Data::from(Arc::clone(&app.telemetry)),
            certificates: Data::new(app.certificates.clone()),
            secret_uses: Data::from(Arc::clone(&app.secret_uses)),
            clock: Data::from(Arc::clone(&app.clock)),
            ending: Data::new(ending),
            matrices: Data::new(Matrices::new(policies())),
            comparisons: Data::new(Comparisons::new(&app.settings, policies(), Arc::clone(&app.clock))),
            inspector: Data::new(TokenInspector::new(verifier, standing, policies())),
            trials: Data::new(Trials::default()),
        }
    }

    /// Mounts everything below `/console`, for a listener at this address.
    pub(crate) fn mount(&self, listens_on: IpAddr, config: &mut ServiceConfig) {
        let exposure = Exposure::of(listens_on, self.settings.admin.as_ref());
        let data = web::scope(DATA)
            .app_data(Endpoint::at(DATA))
            .app_data(self.settings.clone())
            .app_data(self.keys.clone())
            .app_data(self.policies.clone())
            .app_data(self.audit.clone())
            .app_data(self.authorizer.clone())
            .app_data(self.store.clone())
            .app_data(self.issuers.clone())
            .app_data(self.telemetry.clone())
            .app_data(self.certificates.clone())
            .app_data(self.secret_uses.clone())
            .app_data(self.clock.clone())
            .app_data(self.ending.clone())
            .app_data(self.matrices.clone())
            .app_data(self.comparisons.clone())
            .app_data(self.inspector.clone())
            .app_data(self.trials.clone())
            .app_data(self.overview.clone())
            .configure(endpoint::mount)
            .default_service(web::to(not_found))
            .wrap(from_fn(guard::check))
            .wrap(from_fn(guard::secure));
        let page = readable(&format!("{PAGE}{{path:.*}}"), PAGE, get_or_head().to(assets::get))
            .app_data(self.assets.clone())
            .wrap(from_fn(guard::secure));
        let redirect = readable("/console", "/console", get_or_head().to(assets::redirect));
        config.app_data(Data::new(exposure)).app_data(self.guard.clone()).service(data).service(page);
        config.service(redirect.wrap(from_fn(guard::secure)));
    }
}
