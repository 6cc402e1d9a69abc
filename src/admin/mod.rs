//! The admin listener: probes, metrics and the console, on an address of their own that nobody outside should reach.

mod host;

use std::{io, net::IpAddr, sync::Arc};

use actix_web::{
    App,
    dev::Server,
    middleware::from_fn,
    web::{self, Data, ServiceConfig},
};
use tracing_actix_web::TracingLogger;

use self::host::OwnHosts;
use crate::{
    config::ListenerHost,
    console::Console,
    http::{
        Measure, Probed, Serving, TellConnection, TracedRequestSpan, mount_metrics, mount_probes, not_found,
        serve,
    },
    telemetry::Telemetry,
};

/// What the admin listener answers with.
#[derive(Clone)]
pub(crate) struct AdminService {
    /// By what names it may be asked, beside its addresses.
    pub(crate) hosts: Vec<ListenerHost>,
    /// What probes are told.
    pub(crate) probed: Data<Probed>,
    /// What Prometheus is told.
    pub(crate) telemetry: Data<Telemetry>,
    /// What people are told in a browser, if there is a console.
    pub(crate) console: Option<Console>,
}

impl AdminService {
    /// Starts to answer. Must run within an actix system.
    pub(crate) fn serve(self, serving: Serving) -> io::Result<Server> {
        let listens_on = serving.listener.address()?.ip();
        let hosts = Data::new(OwnHosts::new(listens_on, &self.hosts));
        let measure = Measure::new(Arc::clone(self.telemetry.metrics()));
        let answering = move || {
            App::new()
                .app_data(hosts.clone())
                .configure(|config| self.configure(listens_on, config))
                .wrap(from_fn(host::check))
                .wrap(TracingLogger::<TracedRequestSpan>::new())
                .wrap(measure.clone())
                .wrap(TellConnection)
        };
        serve(serving, answering)
    }

    /// Mounts everything.
    fn configure(&self, listens_on: IpAddr, config: &mut ServiceConfig) {
        mount_probes(&self.probed, config);
        mount_metrics(&self.telemetry, config);
        if let Some(console) = &self.console {
            console.mount(listens_on, config);
        }
        config.default_service(web::to(not_found));
    }
}
