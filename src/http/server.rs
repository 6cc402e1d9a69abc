//! The main listener: what its requests are answered with.

use std::{io, sync::Arc};

use actix_web::{dev::Server, web::Data};
use tracing_actix_web::TracingLogger;

use super::{
    connection::{self, Serving, TellConnection},
    endpoint::{
        authz::Gateway, bundle::BundleMaxAge, client::ClientEndpoints, discovery::PublishedMetadata,
        health::Probed,
    },
    extract::{CertificateProxies, TrustedProxies},
    measure::Measure,
    routes::{self, HttpRoutes},
    span::TracedRequestSpan,
};
use crate::{app::App, follow::Following};

/// What clients, services and operators ask.
pub(crate) struct MainService {
    /// Everything that requests are answered with.
    pub(crate) app: App,
    /// What is read again.
    pub(crate) following: Arc<Following>,
    /// What probes are told.
    pub(crate) probed: Data<Probed>,
}

impl MainService {
    /// Starts to answer. Must run within an actix system.
    pub(crate) fn serve(self, serving: Serving) -> io::Result<Server> {
        let Self { app, following, probed } = self;
        let following = Data::from(following);
        let gateway = |settings| {
            Data::new(Gateway::new(settings, &app.authorizer, &app.audit, Arc::clone(&app.telemetry)))
        };
        let gateways = app.settings.gateways.iter().map(gateway).collect();
        let metadata = Data::new(PublishedMetadata::new(
            &app.settings.issuer,
            &app.store,
            app.settings.server.client_certificates.is_some(),
        ));
        let issuer_name = Data::new(app.settings.issuer.clone());
        let authorizer = Data::new(app.authorizer.clone());
        let trusted_proxies = Data::new(TrustedProxies(app.settings.server.trusted_proxies));
        let certificates = app.settings.server.client_certificates;
        let certificate_proxies =
            Data::new(CertificateProxies(certificates.map(|certificates| certificates.proxies)));
        let routes = HttpRoutes { issuer: app.settings.issuer, authorizer: app.authorizer, gateways, probed };
        let audit = Data::new(app.audit);
        let measure = Measure::new(Arc::clone(app.telemetry.metrics()));
        let telemetry = Data::from(Arc::clone(&app.telemetry));
        let client_endpoints = Data::new(ClientEndpoints {
            telemetry: app.telemetry,
            limits: app.limits,
            trusted_proxies: trusted_proxies.clone(),
            certificate_proxies: certificate_proxies.clone(),
        });
        let keys = Data::new(app.keys);
        let policies = Data::new(app.policies);
        let issuer = Data::new(app.issuer);
        let introspector = Data::new(app.introspector);
        let revoker = Data::new(app.revoker);
        let status_lists = Data::new(app.status_lists);
        let bundles = Data::new(app.bundles);
        let bundle_max_age = Data::new(BundleMaxAge::of(&app.settings.policies));
        let store = Data::new(app.store);
        let issuers = Data::new(app.issuers);
        let routes = Arc::new(routes);
        let answering = move || {
            actix_web::App::new()
                .app_data(keys.clone())
                .app_data(policies.clone())
                .app_data(following.clone())
                .app_data(authorizer.clone())
                .app_data(issuer.clone())
                .app_data(introspector.clone())
                .app_data(revoker.clone())
                .app_data(client_endpoints.clone())
                .app_data(trusted_proxies.clone())
                .app_data(certificate_proxies.clone())
                .app_data(status_lists.clone())
                .app_data(bundles.clone())
                .app_data(bundle_max_age.clone())
                .app_data(store.clone())
                .app_data(issuers.clone())
                .app_data(issuer_name.clone())
                .app_data(metadata.clone())
                .app_data(audit.clone())
                .app_data(telemetry.clone())
                .configure(|config| routes::configure(&routes, config))
                .wrap(TracingLogger::<TracedRequestSpan>::new())
                .wrap(measure.clone())
                .wrap(TellConnection)
        };
        connection::serve(serving, answering)
    }
}
