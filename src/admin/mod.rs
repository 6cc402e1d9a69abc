//! The admin listener: probes and metrics, on an address of their own that nobody outside should reach.

mod host;

use std::io;

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
    http::{Probed, Serving, TellConnection, TracedRequestSpan, mount_probes, not_found, serve},
};

/// What the admin listener answers with.
#[derive(Clone)]
pub(crate) struct AdminService {
    /// By what names it may be asked, beside its addresses.
    pub(crate) hosts: Vec<ListenerHost>,
    /// What probes are told.
    pub(crate) probed: Data<Probed>,
}

impl AdminService {
    /// Starts to answer. Must run within an actix system.
    pub(crate) fn serve(self, serving: Serving) -> io::Result<Server> {
        let hosts = Data::new(OwnHosts::new(serving.listener.address()?.ip(), &self.hosts));
        let answering = move || {
            App::new()
                .app_data(hosts.clone())
                .configure(|config| self.configure(config))
                .wrap(from_fn(host::check))
                .wrap(TracingLogger::<TracedRequestSpan>::new())
                .wrap(TellConnection)
        };
        serve(serving, answering)
    }

    /// Mounts everything.
    fn configure(&self, config: &mut ServiceConfig) {
        mount_probes(&self.probed, config);
        config.default_service(web::to(not_found));
    }
}
