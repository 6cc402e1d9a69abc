//! From a listener to the HTTP library.

use std::{
    io,
    net::{self, SocketAddr},
    rc::Rc,
    sync::Arc,
    time::Duration,
};

use actix_http::{HttpService, KeepAlive, Request, Response, body::BoxBody, error::DispatchError};
use actix_service::{IntoServiceFactory, ServiceFactory, ServiceFactoryExt, fn_service, map_config};
use actix_web::{
    body::MessageBody,
    dev::{AppConfig, Server, ServiceResponse},
    rt::net::TcpStream,
};
use tokio::net::TcpSocket;

use super::{
    bound::Seats,
    closing::ClosingListener,
    stream::{Connection, Limit},
    wire::Wire,
};
use crate::{
    http::{ending::Ending, extract::BodyLimit},
    tls::LiveCertificate,
};

/// How many connections wait to be taken, at most.
const BACKLOG: u32 = 1024;

/// An address that is ours.
pub(crate) struct Listener(net::TcpListener);

/// The address at which a client reached this machine, known to each request.
#[derive(Clone, Copy, Debug)]
pub(crate) struct LocalAddress(pub(crate) SocketAddr);

/// How a listener is served.
pub(crate) struct Serving {
    /// Where connections come.
    pub(crate) listener: Listener,
    /// How many there may be, and how many workers there are.
    pub(crate) seats: Arc<Seats>,
    /// With what they are served by TLS, if they are.
    pub(crate) certificate: Option<Arc<LiveCertificate>>,
    /// When they end.
    pub(crate) ending: Ending,
    /// How long requests in flight may take then.
    pub(crate) shutdown_timeout: Duration,
    /// How much of a body its endpoints read at most.
    pub(crate) longest_body: BodyLimit,
}

impl Listener {
    /// Takes the address.
    pub(crate) fn bind(address: SocketAddr) -> io::Result<Self> {
        let socket = if address.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }?;
        socket.set_reuseaddr(true)?;
        socket.bind(address)?;
        socket.listen(BACKLOG)?.into_std().map(Self)
    }

    /// The address, with the port that was chosen.
    pub(crate) fn address(&self) -> io::Result<SocketAddr> {
        self.0.local_addr()
    }

    /// What closes it, however it is served.
    pub(crate) fn closing(&self) -> io::Result<ClosingListener> {
        ClosingListener::new(&self.0)
    }
}

/// Serves an application on a listener. Whoever has the server ends it: it hears no signals.
pub(crate) fn serve<F, I, S, B>(serving: Serving, app: F) -> io::Result<Server>
where
    F: Fn() -> I + Send + Clone + 'static,
    I: IntoServiceFactory<S, Request>,
    S: ServiceFactory<Request, Config = AppConfig, Response = ServiceResponse<B>> + 'static,
    S::Error: Into<actix_web::Error> + 'static,
    S::InitError: std::fmt::Debug,
    B: MessageBody + 'static,
{
    let Serving { listener, seats, certificate, ending, shutdown_timeout, longest_body } = serving;
    let server = actix_server::Server::build()
        .disable_signals()
        .workers(seats.workers())
        .max_concurrent_connections(seats.for_each_worker())
        .shutdown_timeout(shutdown_timeout.as_secs())
        .listen("jeton", listener.0, move || {
            let (seats, certificate, ending) = (Arc::clone(&seats), certificate.clone(), ending.clone());
            let app = app()
                .into_factory()
                .map_err(|error| -> Response<BoxBody> { error.into().error_response().into() });
            let http = HttpService::build()
                // the times of a connection are its own, and so is its end
                .keep_alive(KeepAlive::Os)
                .client_request_timeout(Duration::ZERO)
                .client_disconnect_timeout(Duration::ZERO)
                .on_connect_ext(|connection: &Connection<Wire>, data| {
                    if let Ok(address) = connection.io().tcp().local_addr() {
                        data.insert(LocalAddress(address));
                    }
                    if let Some(certificate) = connection.io().certificate() {
                        data.insert(Arc::new(certificate));
                    }
                    data.insert(Rc::clone(connection.exchange()));
                })
                .h1(map_config(app, |()| AppConfig::default()));
            fn_service(move |stream: TcpStream| {
                let peer = stream.peer_addr().ok();
                // from the first byte of a handshake on
                let seat = seats.take();
                let (certificate, ending) = (certificate.clone(), ending.clone());
                async move {
                    let time = Limit::Handshake.time(seat.is_crowded());
                    let wire = Wire::open(stream, certificate.as_deref(), time, &ending).await;
                    let connection =
                        Connection::new(wire.map_err(DispatchError::Io)?, seat, &ending, longest_body);
                    Ok::<_, DispatchError>((connection, peer))
                }
            })
            .and_then(http)
        })?;
    Ok(server.run())
}
