//! The server: its listeners, their start and their end.

mod signals;

use std::{
    future::poll_fn, io, net::SocketAddr, num::NonZero, pin::pin, sync::Arc, task::Poll, time::Duration,
};

use actix_web::{
    dev::{Server, ServerHandle},
    web::Data,
};
use futures_util::future::{Either, OptionFuture, join, join_all, select};
use jeton_oauth::clock::Clock;
use jeton_policy::LivePolicies;
use jeton_verify::audit::Audit;
use tokio::{task::yield_now, time::sleep};

pub use self::signals::Signals;
use self::signals::{EndSignal, EndSignals};
use crate::{
    admin::AdminService,
    app::{App, LoadError, PreparedApp},
    config::Settings,
    console::Console,
    event,
    follow::{self, Following},
    http::{BodyLimit, ClosingListener, Ending, Listener, MainService, Probed, Seats, Serving},
    keys::LiveKeys,
    service_manager::ServiceManager,
    tls::ListenerName,
};

/// Why the server did not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The service cannot be what the settings say.
    #[error(transparent)]
    Load(#[from] LoadError),
    /// The address is taken or not ours.
    #[error("`{key}`: {address} cannot be listened on")]
    Listen {
        /// The setting.
        key: &'static str,
        /// The address.
        address: SocketAddr,
        /// What the system said.
        source: io::Error,
    },
    /// Connections cannot be served.
    #[error("connections cannot be served")]
    Serve(#[from] io::Error),
}

/// Everything that requests are answered with, and the addresses at which they come.
pub struct HttpService {
    app: App,
    main: Listener,
    admin: Option<Listener>,
}

/// A server that accepts connections.
pub struct RunningServer {
    /// Where the main listener is.
    pub address: SocketAddr,
    /// Where the admin listener is, if there is one.
    pub admin: Option<SocketAddr>,
    /// To be run.
    pub server: Listeners,
}

/// The listeners, once they are served.
pub struct Listeners {
    main: Server,
    admin: Option<Server>,
    closing: Vec<ClosingListener>,
    signals: EndSignals,
    manager: ServiceManager,
    ending: Ending,
    drain: Duration,
}

/// Ends the listeners from elsewhere.
#[derive(Clone)]
pub struct ListenersHandle {
    all: Vec<ServerHandle>,
    ending: Ending,
}

impl HttpService {
    /// Loads policies and keys as the settings say, takes the addresses, and starts to follow the shared store, if there
    /// is one. Must run within an actix system. Where it is dropped while it waits, no address was taken, and nothing
    /// written.
    ///
    /// # Errors
    /// [`StartError`] with everything that is wrong in the folder at fault. Nothing was written then.
    pub async fn load(settings: Settings, clock: Arc<dyn Clock>) -> Result<Self, StartError> {
        let prepared = PreparedApp::check(settings, clock)?;
        let first_key = prepared.first_key().await;
        // what came while nothing waited is heard now, or when the service is there
        yield_now().await;
        let settings = prepared.settings();
        let main = listen("server.listen", settings.server.listen)?;
        let admin = settings.admin.as_ref().map(|admin| listen("admin.listen", admin.listen)).transpose()?;
        let app = prepared.load(first_key)?;
        follow::tell_start(&app);
        Ok(Self { app, main, admin })
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

    /// Starts to answer, to follow its files, and to do what signals say. Must run within an actix system.
    ///
    /// # Errors
    /// [`StartError::Serve`].
    pub fn start(self, signals: Signals) -> Result<RunningServer, StartError> {
        let Self { app, main, admin } = self;
        let Signals { hangup, end: signals } = signals;
        let address = main.address()?;
        let admin_address = admin.as_ref().map(Listener::address).transpose()?;
        let closing = [Some(&main), admin.as_ref()].into_iter().flatten().map(Listener::closing);
        let closing = closing.collect::<io::Result<_>>()?;
        let workers = std::thread::available_parallelism().map_or(1, NonZero::get);
        let (seats, admin_seats) = Seats::of_this_process(workers, admin.is_some());
        let ending = Ending::default();
        let (shutdown_timeout, drain) = (app.settings.server.shutdown_timeout, app.settings.server.drain);
        let certificates = app.certificates.clone();
        let serving = |name, listener, seats, longest_body| Serving {
            listener,
            seats,
            certificate: certificates.of(name).cloned(),
            ending: ending.clone(),
            shutdown_timeout,
            longest_body,
        };
        let manager = ServiceManager::default();
        let following = Following::start(&app, hangup, manager.clone());
        let probed = Probed::of(&app, ending.clone());
        let telemetry = Data::from(Arc::clone(&app.telemetry));
        let hosts = app.settings.admin.as_ref().map(|admin| admin.hosts.clone()).unwrap_or_default();
        let console = console(&app, &ending);
        let admin = admin.map(|listener| {
            let serving = serving(ListenerName::Admin, listener, admin_seats, BodyLimit::POLICIES);
            AdminService { hosts, probed: probed.clone(), telemetry, console }.serve(serving)
        });
        let main = MainService { app, following, probed }.serve(serving(
            ListenerName::Server,
            main,
            seats,
            BodyLimit::USUAL,
        ))?;
        let server = Listeners { main, admin: admin.transpose()?, closing, signals, manager, ending, drain };
        Ok(RunningServer { address, admin: admin_address, server })
    }
}

/// What people are told in a browser, unless the settings turn it off.
fn console(app: &App, ending: &Ending) -> Option<Console> {
    app.settings.has_console().then(|| Console::of(app, ending.clone()))
}

/// Takes the address of a setting.
fn listen(key: &'static str, address: SocketAddr) -> Result<Listener, StartError> {
    Listener::bind(address).map_err(|source| StartError::Listen { key, address, source })
}

impl Listeners {
    /// What ends them from elsewhere.
    pub fn handle(&self) -> ListenersHandle {
        let all = [Some(&self.main), self.admin.as_ref()].into_iter().flatten();
        ListenersHandle { all: all.map(Server::handle).collect(), ending: self.ending.clone() }
    }

    /// Serves until the end: after SIGTERM for `server.drain`, in which requests are still taken, and then until those in
    /// flight are answered; after SIGINT and SIGQUIT at once. A second SIGTERM ends the drain.
    ///
    /// # Errors
    /// What the system said where connections cannot be accepted.
    pub async fn run(self) -> io::Result<()> {
        let handle = self.handle();
        let Self { main, admin, closing, mut signals, manager, ending, drain } = self;
        let mut serving = pin!(async {
            let (main, admin) = join(main, OptionFuture::from(admin)).await;
            main.and(admin.unwrap_or(Ok(())))
        });
        // the listeners accept from the first poll on
        if let Poll::Ready(ended) = poll_fn(|cx| Poll::Ready(serving.as_mut().poll(cx))).await {
            return ended;
        }
        manager.ready();
        let signal = match select(serving.as_mut(), pin!(signals.next())).await {
            Either::Left((ended, _)) => return ended,
            Either::Right((signal, _)) => signal,
        };
        manager.stopping();
        if signal == EndSignal::AtOnce {
            return Ok(());
        }
        if !drain.is_zero() {
            ending.begin();
            event::Draining { seconds: drain.as_secs() }.info();
            let pause = pin!(sleep(drain));
            let signal = pin!(signals.next());
            match select(serving.as_mut(), select(pause, signal)).await {
                Either::Left((ended, _)) => return ended,
                Either::Right((Either::Right((EndSignal::AtOnce, _)), _)) => return Ok(()),
                Either::Right((Either::Left(_) | Either::Right((EndSignal::Gracefully, _)), _)) => {}
            }
        }
        // what is dropped without having ended is ended at once
        let stopped = pin!(async {
            ending.close();
            join_all(closing.iter().map(ClosingListener::close)).await;
            handle.stop(true).await;
        });
        let signal = pin!(signals.at_once());
        match select(serving.as_mut(), select(stopped, signal)).await {
            Either::Left((ended, _)) => ended,
            Either::Right((Either::Left(_), _)) => serving.await,
            Either::Right((Either::Right(_), _)) => Ok(()),
        }
    }
}

impl ListenersHandle {
    /// Closes the listeners at once. What comes is ready when they are closed; `graceful` lets the requests in flight be
    /// answered first.
    pub fn stop(&self, graceful: bool) -> impl Future<Output = ()> + use<> {
        if graceful {
            self.ending.close();
        }
        let stopping: Vec<_> = self.all.iter().map(|server| server.stop(graceful)).collect();
        async move {
            join_all(stopping).await;
        }
    }
}
