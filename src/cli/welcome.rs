//! What `jeton serve` says to who started it on a terminal.

use std::net::SocketAddr;

use jeton_oauth::{ApiName, Issuer};
use jeton_policy::clients::{Client, ClientRegistry, ClientSecret, ClientState};
use jiff::Timestamp;

use super::first_token::{FirstToken, loopback_of, scheme_of};
use crate::config::TlsSettings;

/// Where the service is, and how it is asked for a first token.
pub(super) struct Welcome<'w> {
    /// Where it listens.
    pub(super) address: SocketAddr,
    /// `[server.tls]`.
    pub(super) tls: Option<&'w TlsSettings>,
    pub(super) issuer: &'w Issuer,
    /// Where this machine reaches the admin listener: scheme, host and port.
    pub(super) admin: Option<String>,
    /// Where the console is, for a browser on this machine.
    pub(super) console: Option<String>,
    pub(super) clients: &'w ClientRegistry,
    pub(super) now: Timestamp,
}

impl Welcome<'_> {
    /// Each line, without its end.
    pub(super) fn lines(&self) -> Vec<String> {
        let listens = format!("{}://{}", scheme_of(self.tls), loopback_of(self.address));
        // a certificate is for a name, and the issuer has it
        let is_named = self.tls.is_some() && self.issuer.as_str().starts_with("https:");
        let token = self.first_token(if is_named { self.issuer.as_str() } else { &listens });
        let token = token.unwrap_or_else(|| {
            "no client has a secret: add one with `jeton clients add ID --api API --scope SCOPE`".to_owned()
        });
        let lines = [
            Some(("listens on", listens)),
            Some(("issuer", self.issuer.to_string())),
            self.admin.clone().map(|admin| ("admin", admin)),
            self.console.clone().map(|console| ("console", console)),
            Some(("a token", token)),
        ];
        lines.into_iter().flatten().map(|(what, is)| format!("  {what:<12}{is}")).collect()
    }

    /// `base` is what stands before the path of the endpoint.
    fn first_token(&self, base: &str) -> Option<String> {
        let is_usable = |client: &&Client| {
            client.state == ClientState::Enabled
                && !client.grants.is_empty()
                && client.secrets.iter().any(|secret| secret.is_live(self.now))
        };
        let usable = self.clients.iter().map(AsRef::as_ref).filter(is_usable);
        // whoever has a secret that everybody can read, and then by name
        let (secret, client) =
            usable.map(|client| (demo_secret(client, self.now), client)).min_by(|(one, a), (other, b)| {
                other.is_some().cmp(&one.is_some()).then_with(|| a.id.cmp(&b.id))
            })?;
        // without a choice there is nothing to be said
        let resource = match &*client.grants {
            [_] => None,
            grants => grants.iter().find(|grant| grant.api.as_str() != ApiName::OWN).or(grants.first()),
        };
        let resource = resource.map(|grant| grant.audience.as_str());
        let client = client.id.as_str();
        let cert = self.tls.map(|tls| tls.cert_file.as_path());
        Some(FirstToken { base, client, secret: secret.as_deref(), resource, cert }.to_string())
    }
}

/// The secret of a client of the sample, if it still has it.
fn demo_secret(client: &Client, now: Timestamp) -> Option<String> {
    let secret = format!("demo-secret-of-{}", client.id);
    let hash = ClientSecret::new(secret.clone()).hash();
    client.secrets.iter().any(|stored| stored.is_live(now) && stored.sha256 == hash).then_some(secret)
}
