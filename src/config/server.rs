//! `[server]`.

use std::{net::SocketAddr, time::Duration};

use jeton_oauth::Issuer;

use super::{
    client_certificates::{self, ClientCertificateSettings},
    layers::Layers,
    tls::{self, TlsSettings},
    values::{address, duration},
};
use crate::gateway::TrustedPeers;

/// `[server]`.
#[derive(Clone, Debug)]
pub struct ServerSettings {
    /// Where to listen.
    pub listen: SocketAddr,
    /// How long requests in flight may take after the drain.
    pub shutdown_timeout: Duration,
    /// The proxies that say from which address a request came.
    pub trusted_proxies: TrustedPeers,
    /// For how long after SIGTERM requests are still taken, while `/readyz` says that none should be sent any more.
    pub drain: Duration,
    /// `[server.tls]`; `None` for HTTP without TLS.
    pub tls: Option<TlsSettings>,
    /// How certificates of clients come; `None` where they are not taken.
    pub client_certificates: Option<ClientCertificateSettings>,
}

impl ServerSettings {
    pub(super) fn read(
        issuer: Option<&Issuer>,
        layers: &mut Layers,
        warnings: &mut Vec<String>,
    ) -> Option<Self> {
        let listen = layers.text("server.listen", address);
        let shutdown_timeout = layers.text("server.shutdown_timeout", duration);
        let trusted_proxies = layers.list("server.trusted_proxies", |ranges| {
            TrustedPeers::parse(ranges).map_err(|error| error.to_string())
        });
        let drain = layers.text("server.drain", duration);
        let tls = tls::read(layers, "server");
        // where something is wrong with it, that is what is told
        let has_tls = !matches!(tls, Ok(None));
        let tls = tls.ok().flatten();
        let client_certificates = client_certificates::read(layers, has_tls, warnings);
        if let Some(issuer) = issuer.filter(|issuer| issuer.as_str().starts_with("http:"))
            && tls.is_some()
        {
            warnings.push(format!(
                "`issuer` is `{issuer}`, but `[server.tls]` makes the server speak HTTPS: every published address begins with the issuer, so write `https:` there"
            ));
        }
        Some(Self {
            listen: listen?,
            shutdown_timeout: shutdown_timeout?,
            trusted_proxies: trusted_proxies?,
            drain: drain?,
            tls,
            client_certificates: client_certificates.ok()?,
        })
    }
}
