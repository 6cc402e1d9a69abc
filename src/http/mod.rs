//! HTTP: the only place that knows actix. [`Protect`] and what belongs to it is for any service; the rest is the
//! service itself, whose endpoints extract, call into the core once, and answer.

mod connection;
mod endpoint;
mod error;
mod extract;
mod log;
mod routes;
mod server;
mod together;

pub use {
    connection::raise_open_files,
    extract::{ForwardedFault, ForwardedHost, ForwardedRequest, Forwarding},
    jeton_actix::{BearerFault, Caller, Protect, RequestSpan, bearer_token},
    log::init as init_log,
    server::{RunningServer, Service, StartError},
};
