//! Why a gateway cannot be checked.

use std::{error::Error, io, net::SocketAddr};

use url::Url;

/// Why a gateway cannot be checked; nothing is said of what gets through it.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CheckError {
    /// No API has a route that lets any client pass.
    #[error("there is nothing to check with: {0}")]
    NothingToCheck(String),
    /// The attacks are bytes on plain connections.
    #[error(
        "{0}: only http:// works; check the gateway where it speaks plain HTTP, behind or without its TLS"
    )]
    NotHttp(Url),
    /// The URL names no host.
    #[error("{0} has no host")]
    NoHost(Url),
    /// The host has no address.
    #[error("{url}")]
    Unresolved {
        /// As it was given.
        url: Url,
        /// What the resolver says.
        #[source]
        source: io::Error,
    },
    /// The host resolves to nothing.
    #[error("{0} has no address")]
    NoAddress(Url),
    /// Nothing listens there.
    #[error("{address} cannot be reached")]
    Unreachable {
        /// Where the gateway should listen.
        address: SocketAddr,
        /// What the system says.
        #[source]
        source: io::Error,
    },
    /// The connection cannot be used.
    #[error(transparent)]
    Io(#[from] io::Error),
    /// What must pass does not: that nothing else passes would mean nothing.
    #[error("{0}")]
    NotPassing(String),
    /// No token can be made.
    #[error(transparent)]
    Mint(Box<dyn Error + Send + Sync>),
}
