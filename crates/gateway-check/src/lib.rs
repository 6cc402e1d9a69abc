//! A table of attacks, sent through a running gateway that asks jeton about each request, and judged by what the
//! upstream saw. `jeton gateway check` is this crate with the keys and settings of the service.
//!
//! # Examples
//!
//! ```no_run
//! use std::{collections::BTreeMap, net::TcpListener};
//!
//! use jeton_gateway_check::{CheckVerdict, CheckedGateway, GatewayAddress, GatewayCheck, TokenMint};
//! use jeton_policy::PolicySet;
//!
//! # fn check(policies: &PolicySet, mint: &dyn TokenMint) -> Result<(), Box<dyn std::error::Error>> {
//! let address = GatewayAddress::of(&"http://127.0.0.1:8081".parse()?)?;
//! let orders = policies.api("orders").ok_or("no such API")?;
//! let apis = BTreeMap::from([(address.host().to_owned(), orders)]);
//! let gateway = CheckedGateway {
//!     apis,
//!     by_host: false,
//!     origins: BTreeMap::from([(address.host().to_owned(), "https://orders.example.com".to_owned())]),
//!     certificate_header: "x-ssl-client-cert",
//!     claims: &[],
//! };
//! let upstream = TcpListener::bind("127.0.0.1:9000")?;
//!
//! let check = GatewayCheck::plan(policies, &gateway, mint)?;
//! let report = check.run("the edge".to_owned(), &address, upstream, &mut |_done, _of| ())?;
//! println!("{}", report.text());
//! assert_eq!(report.verdict(), CheckVerdict::Sound);
//! # Ok(())
//! # }
//! ```

mod attacks;
mod bytes;
mod certificates;
mod check;
mod echo;
mod error;
mod gateway;
mod headers;
mod judge;
mod mark;
mod possession;
mod proofs;
mod report;
mod request;
mod samples;
mod spellings;
mod wire;

pub use check::GatewayCheck;
pub use error::CheckError;
pub use gateway::CheckedGateway;
pub use report::{CheckReport, CheckVerdict};
pub use samples::{TOKEN_TTL, TokenMint};
pub use wire::GatewayAddress;
