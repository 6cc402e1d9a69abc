//! How servers are reached: by which proxy and certificates, and at which addresses.

use std::{
    error::Error,
    net::{IpAddr, SocketAddr, ToSocketAddrs},
};

use reqwest::{
    Certificate, ClientBuilder, NoProxy, Proxy,
    dns::{Addrs, Name, Resolve, Resolving},
};
use tokio::task;
use url::{Host, Url};

use super::{HttpError, Transport};

/// What is reached without a proxy.
const THIS_MACHINE: &str = "localhost,127.0.0.0/8,::1";

/// Whether a server at an address may be asked.
pub type AllowedAddress = fn(IpAddr) -> bool;

/// Through which proxy servers are reached.
#[derive(Clone, Copy, Debug, Default)]
#[non_exhaustive]
pub enum ProxyUse<'r> {
    /// The one that the environment names.
    #[default]
    Environment,
    /// None.
    None,
    /// This one, but for this machine itself.
    Only(&'r Url),
}

/// How servers are reached, where that is not as usual.
#[derive(Clone, Copy, Default)]
pub struct Reach<'r> {
    /// Through which proxy.
    pub proxy: ProxyUse<'r>,
    /// The authorities (PEM) that sign the certificates of servers, instead of those of the system.
    pub authorities: Option<&'r [u8]>,
    /// The addresses to which connections may be made: of those of a name the others are passed over. A proxy resolves
    /// names by itself, so with one only addresses that stand in a URL are judged.
    pub allowed: Option<AllowedAddress>,
    /// Whether connections are kept for the next fetch.
    pub once: bool,
}

impl Reach<'_> {
    pub(super) fn apply(
        self,
        transport: Transport,
        mut builder: ClientBuilder,
    ) -> Result<ClientBuilder, HttpError> {
        if let Some(pem) = self.authorities {
            let certificates =
                Certificate::from_pem_bundle(pem).map_err(|_| HttpError::Authorities("they are not PEM"))?;
            if certificates.is_empty() {
                return Err(HttpError::Authorities("there is no certificate in the file"));
            }
            builder = builder.tls_certs_only(certificates);
        }
        if self.once {
            builder = builder.pool_max_idle_per_host(0);
        }
        let is_proxied = match (self.proxy, transport) {
            (ProxyUse::Environment, _) => false,
            (ProxyUse::Only(proxy), Transport::Https) => {
                let proxy = Proxy::all(proxy.clone())?.no_proxy(NoProxy::from_string(THIS_MACHINE));
                builder = builder.proxy(proxy);
                true
            }
            (ProxyUse::None | ProxyUse::Only(_), _) => {
                builder = builder.no_proxy();
                false
            }
        };
        Ok(match self.allowed {
            Some(allowed) if !is_proxied => builder.dns_resolver(AllowedAlone(allowed)),
            _ => builder,
        })
    }
}

/// The address that stands in a URL in the place of a name.
pub(super) fn literal(url: &Url) -> Option<IpAddr> {
    match url.host()? {
        Host::Domain(_) => None,
        Host::Ipv4(address) => Some(address.into()),
        Host::Ipv6(address) => Some(address.into()),
    }
}

/// Resolves names, and only to addresses that are allowed: the connection is made to what comes of it, so no second
/// answer of the name server can lead elsewhere.
struct AllowedAlone(AllowedAddress);

impl Resolve for AllowedAlone {
    fn resolve(&self, name: Name) -> Resolving {
        let Self(is_allowed) = *self;
        Box::pin(async move {
            let host = name.as_str().to_owned();
            let found = task::spawn_blocking(move || (host.as_str(), 0).to_socket_addrs()).await??;
            let found: Vec<SocketAddr> = found.collect();
            let allowed: Vec<_> = found.iter().copied().filter(|address| is_allowed(address.ip())).collect();
            match found.first() {
                Some(first) if allowed.is_empty() => {
                    Err(Box::new(HttpError::Forbidden(first.ip())) as Box<dyn Error + Send + Sync>)
                }
                _ => Ok(Box::new(allowed.into_iter()) as Addrs),
            }
        })
    }
}
