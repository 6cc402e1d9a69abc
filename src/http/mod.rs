//! HTTP: the only place that knows actix. Endpoints extract, call into the core once, and answer.

mod endpoint;
mod error;
mod extract;
mod keeper;
mod key_watch;
mod log;
mod reload;
mod routes;
mod server;
mod together;

pub use extract::{BearerFault, Protect, bearer_token};
pub use keeper::{key_keeper, late_reading};
pub use log::{RequestSpan, init as init_log};
pub use server::{RunningServer, Service, StartError};
