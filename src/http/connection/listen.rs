//! From a listener to the HTTP library.

use std::{
    io,
    net::{self, SocketAddr},
    num::NonZero,
    rc::Rc,
    sync::Arc,
    thread::available_parallelism,
    time::Duration,
};

use actix_http::{HttpService, KeepAlive, Request, Response, body::BoxBody};
use actix_service::{IntoServiceFactory, ServiceFactory, ServiceFactoryExt, fn_service, map_config};
use actix_web::{
    body::MessageBody,
    dev::{AppConfig, Server, ServiceResponse},
    rt::net::TcpStream,
};
use tokio::net::TcpSocket;

use super::{bound::Seats, stream::Connection};

/// How many connections wait to be taken, at most.
const BACKLOG: u32 = 1024;

/// An address that is ours.
pub(in crate::http) struct Listener(net::TcpListener);

impl Listener {
    /// Takes the address.
    pub(in crate::http) fn bind(address: SocketAddr) -> io::Result<Self> {
        let socket = if address.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }?;
        socket.set_reuseaddr(true)?;
        socket.bind(address)?;
        socket.listen(BACKLOG)?.into_std().map(Self)
    }

    /// The address, with the port that was chosen.
    pub(in crate::http) fn address(&self) -> io::Result<SocketAddr> {
        self.0.local_addr()
    }
}

/// Serves an application on a listener, by as many workers as there are cores.
pub(in crate::http) fn serve<F, I, S, B>(
    listener: Listener,
    shutdown_timeout: Duration,
    app: F,
) -> io::Result<Server>
where
    F: Fn() -> I + Send + Clone + 'static,
    I: IntoServiceFactory<S, Request>,
    S: ServiceFactory<Request, Config = AppConfig, Response = ServiceResponse<B>> + 'static,
    S::Error: Into<actix_web::Error> + 'static,
    S::InitError: std::fmt::Debug,
    B: MessageBody + 'static,
{
    let workers = available_parallelism().map_or(1, NonZero::get);
    let seats = Arc::new(Seats::of_this_process(workers));
    let builder = actix_server::Server::build();
    let shutdown = builder.graceful_shutdown_signal();
    let server = builder
        .workers(workers)
        .max_concurrent_connections(seats.for_each_of(workers))
        .shutdown_timeout(shutdown_timeout.as_secs())
        .listen("jeton", listener.0, move || {
            let (seats, shutdown) = (Arc::clone(&seats), shutdown.clone());
            let app = app()
                .into_factory()
                .map_err(|error| -> Response<BoxBody> { error.into().error_response().into() });
            let http = HttpService::build()
                .graceful_shutdown_signal(move || {
                    let shutdown = shutdown.clone();
                    async move { shutdown.notified().await }
                })
                // the times of a connection are its own
                .keep_alive(KeepAlive::Os)
                .client_request_timeout(Duration::ZERO)
                .client_disconnect_timeout(Duration::ZERO)
                .on_connect_ext(|connection: &Connection<TcpStream>, data| {
                    data.insert(Rc::clone(connection.exchange()));
                })
                .h1(map_config(app, |()| AppConfig::default()));
            fn_service(move |stream: TcpStream| {
                let peer = stream.peer_addr().ok();
                let connection = Connection::new(stream, seats.take());
                async move { Ok::<_, actix_http::error::DispatchError>((connection, peer)) }
            })
            .and_then(http)
        })?;
    Ok(server.run())
}
