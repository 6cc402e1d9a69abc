//! HTTP: the only place of the service that knows actix. Endpoints extract, call into the core once, and answer.

mod connection;
mod endpoint;
mod error;
mod extract;
mod routes;
mod server;
mod span;

pub use {
    connection::raise_open_files,
    extract::{ForwardedFault, ForwardedHost, ForwardedRequest, Forwarding},
    server::{HttpService, RunningServer, StartError},
};
