//! A table of attacks, sent through a running gateway that asks jeton about each request, and judged by what the
//! upstream saw.

mod attacks;
mod bytes;
mod check;
mod echo;
mod error;
mod headers;
mod judge;
mod mark;
mod report;
mod request;
mod samples;
mod spellings;
mod wire;

pub use check::{CheckedGateway, GatewayCheck};
pub use error::CheckError;
pub use report::{CheckReport, CheckVerdict};
pub use samples::{TOKEN_TTL, TokenMint};
pub use wire::GatewayAddress;
