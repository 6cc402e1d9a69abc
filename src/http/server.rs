//! The server: its limits, its start and its end.

use std::{io, net::SocketAddr, sync::Arc};

use actix_web::{dev::Server, web::Data};
use jeton_oauth::clock::Clock;
use jeton_policy::LivePolicies;
use jeton_verify::audit::Audit;
use tracing_actix_web::TracingLogger;

use super::{
    connection::{self, Listener, TellConnection},
    endpoint::{authz::Gateway, discovery::Metadata},
    routes::{self, HttpRoutes},
    span::TracedRequestSpan,
};
use crate::{
    app::{App, LoadError, PreparedApp},
    config::Settings,
    follow::{self, Following},
    keys::LiveKeys,
};

/// Why the server did not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The service cannot be what the settings say.
    #[error(transparent)]
    Load(#[from] LoadError),
    /// The address is taken or not ours.
    #[error("`server.listen`: {address} cannot be listened on")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// What the system said.
        source: io::Error,
    },
}

/// Everything that requests are answered with, and the address at which they come.
pub struct HttpService {
    app: App,
    listener: Listener,
}

/// A server that accepts connections.
pub struct RunningServer {
    /// Where it listens.
    pub address: SocketAddr,
    /// To be awaited; ends after SIGTERM, when the requests in flight are answered, or SIGINT, at once.
    pub server: Server,
}

impl HttpService {
    /// Loads policies and keys as the settings say, takes the address, and starts to follow the shared store, if there
    /// is one. Must run within an actix system.
    ///
    /// # Errors
    /// [`StartError`] with everything that is wrong in the folder at fault. Nothing was written then.
    pub fn load(settings: Settings, clock: Arc<dyn Clock>) -> Result<Self, StartError> {
        let prepared = PreparedApp::check(settings, clock)?;
        let listener = listen(prepared.settings().server.listen)?;
        let app = prepared.load()?;
        follow::tell_start(&app);
        Ok(Self { app, listener })
    }

    /// The keys that it signs with and publishes.
    pub fn keys(&self) -> &Arc<LiveKeys> {
        &self.app.keys
    }

    /// The policies in force.
    pub fn policies(&self) -> &Arc<LivePolicies> {
        &self.app.policies
    }

    /// Who is told of decisions. Whoever waits for the server to end flushes the log then.
    pub fn audit(&self) -> &Audit {
        &self.app.audit
    }

    /// Starts to answer and to follow its files. Must run within an actix system.
    ///
    /// # Errors
    /// [`StartError::Listen`].
    pub fn start(self) -> Result<RunningServer, StartError> {
        let Self { app, listener } = self;
        let address = app.settings.server.listen;
        let refused = |source| StartError::Listen { address, source };
        let bound = listener.address().map_err(refused)?;
        let shutdown_timeout = app.settings.server.shutdown_timeout;
        let following = Data::from(Following::start(&app));
        let gateway = |settings| Data::new(Gateway::new(settings, &app.authorizer));
        let gateways = app.settings.gateways.iter().map(gateway).collect();
        let metadata = Data::new(Metadata::new(&app.settings.issuer, &app.store));
        let issuer_name = Data::new(app.settings.issuer.clone());
        let authorizer = Data::new(app.authorizer.clone());
        let routes = HttpRoutes { issuer: app.settings.issuer, authorizer: app.authorizer, gateways };
        let audit = Data::new(app.audit);
        let keys = Data::new(app.keys);
        let policies = Data::new(app.policies);
        let issuer = Data::new(app.issuer);
        let introspector = Data::new(app.introspector);
        let revoker = Data::new(app.revoker);
        let status_lists = Data::new(app.status_lists);
        let store = Data::new(app.store);
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
                .app_data(status_lists.clone())
                .app_data(store.clone())
                .app_data(issuer_name.clone())
                .app_data(metadata.clone())
                .app_data(audit.clone())
                .configure(|config| routes::configure(&routes, config))
                .wrap(TracingLogger::<TracedRequestSpan>::new())
                .wrap(TellConnection)
        };
        let server = connection::serve(listener, shutdown_timeout, answering).map_err(refused)?;
        Ok(RunningServer { address: bound, server })
    }
}

/// Takes the address.
fn listen(address: SocketAddr) -> Result<Listener, StartError> {
    Listener::bind(address).map_err(|source| StartError::Listen { address, source })
}
