//! Connections of clients: how many there are, and that each ends.
//!
//! The HTTP library has a time for the first head of a connection and for none after it, and for no body that nobody
//! reads. So it reads and writes through [`Connection`], which knows where heads and bodies begin and end
//! (`framing.rs`), and hears from [`TellConnection`] when a request is answered (`exchange.rs`).

mod bound;
mod closing;
mod exchange;
mod framing;
mod lasting;
mod listen;
mod stream;
#[cfg(test)]
mod tests;
mod wire;

pub use bound::raise_open_files;
pub(super) use exchange::{BodyProgress, Exchange};
pub use framing::{FirstRequest, first_request};
pub(crate) use {
    bound::Seats,
    closing::ClosingListener,
    exchange::TellConnection,
    lasting::{LastingAnswer, hung_up},
    listen::{Listener, LocalAddress, Serving, serve},
};
