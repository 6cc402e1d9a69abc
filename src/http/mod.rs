//! HTTP: the only place of the service that knows actix. Endpoints extract, call into the core once, and answer.

mod answer;
mod connection;
mod ending;
mod endpoint;
mod error;
mod extract;
mod measure;
mod routes;
mod server;
mod span;

pub(crate) use {
    answer::{json_answer, written_json_answer},
    connection::{
        ClosingListener, LastingAnswer, Listener, LocalAddress, Seats, Serving, TellConnection, hung_up,
        serve,
    },
    ending::Ending,
    endpoint::{
        cached::{has_current, takes_gzip},
        health::Probed,
    },
    error::{EndpointProblem, ProblemKind},
    extract::{BodyLimit, body, is_json},
    measure::Measure,
    routes::{get_or_head, mount_metrics, mount_probes, not_found, post, readable, writable},
    server::MainService,
    span::TracedRequestSpan,
};
pub use {
    connection::{FirstRequest, first_request, raise_open_files},
    endpoint::token::read_token_request,
    error::TokenEndpointError,
    extract::{
        CertificateFault, ForwardedFault, ForwardedHost, ForwardedRequest, Forwarding,
        certificate_of_headers, client_address,
    },
};
