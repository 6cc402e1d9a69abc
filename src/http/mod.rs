//! HTTP: the only place of the service that knows actix. Endpoints extract, call into the core once, and answer.

mod connection;
mod ending;
mod endpoint;
mod error;
mod extract;
mod measure;
mod routes;
mod server;
mod span;

pub use {
    connection::raise_open_files,
    extract::{
        CertificateFault, ForwardedFault, ForwardedHost, ForwardedRequest, Forwarding, certificate_of_headers,
    },
};
pub(crate) use {
    connection::{ClosingListener, Listener, LocalAddress, Seats, Serving, TellConnection, serve},
    ending::Ending,
    endpoint::health::Probed,
    error::{EndpointProblem, ProblemKind},
    measure::Measure,
    routes::{mount_metrics, mount_probes, not_found},
    server::MainService,
    span::TracedRequestSpan,
};
