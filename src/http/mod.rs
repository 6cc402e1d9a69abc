//! HTTP: the only place that knows actix. [`Protect`] and what belongs to it is for any service; the rest is the
//! service itself, whose endpoints extract, call into the core once, and answer.

#[cfg(feature = "server")]
mod connection;
#[cfg(feature = "server")]
mod endpoint;
mod error;
mod extract;
#[cfg(feature = "server")]
mod log;
mod refusal;
#[cfg(feature = "server")]
mod routes;
#[cfg(feature = "server")]
mod server;
mod span;
#[cfg(feature = "server")]
mod together;

pub use extract::{BearerFault, Protect, bearer_token};
pub use span::RequestSpan;
#[cfg(feature = "server")]
pub use {
    connection::raise_open_files,
    log::init as init_log,
    server::{RunningServer, Service, StartError},
};
