//! What `jeton serve` says to who started it on a terminal.

use std::net::SocketAddr;

use jeton_oauth::{ApiName, Issuer};
use jeton_policy::clients::{Client, ClientRegistry, ClientSecret, ClientState};
use jiff::Timestamp;

use super::first_token::{FirstToken, loopback_of};

/// Where the service is, and how it is asked for a first token.
pub(super) struct Welcome<'w> {
    /// Where this machine reaches it: scheme, host and port.
    pub(super) base: &'w str,
    pub(super) issuer: &'w Issuer,
    pub(super) admin: Option<SocketAddr>,
    pub(super) clients: &'w ClientRegistry,
    pub(super) now: Timestamp,
}

/// What stands in the place of a secret that is not known.
const UNKNOWN: &str = "SECRET";

impl Welcome<'_> {
    /// Each line, without its end.
    pub(super) fn lines(&self) -> Vec<String> {
        let Self { base, issuer, .. } = self;
        let token = self.first_token();
        let token = token.unwrap_or_else(|| {
            "no client has a secret: add one with `jeton clients add ID --api API --scope SCOPE`".to_owned()
        });
        let admin = self.admin.map(|admin| format!("http://{}", loopback_of(admin)));
        let lines = [
            Some(("listens on", (*base).to_owned())),
            Some(("issuer", issuer.to_string())),
            admin.map(|admin| ("admin", admin)),
            Some(("a token", token)),
        ];
        lines.into_iter().flatten().map(|(what, is)| format!("  {what:<12}{is}")).collect()
    }

    fn first_token(&self) -> Option<String> {
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
        let secret = secret.unwrap_or_else(|| UNKNOWN.to_owned());
        // without a choice there is nothing to be said
        let resource = match &*client.grants {
            [_] => None,
            grants => grants.iter().find(|grant| grant.api.as_str() != ApiName::OWN).or(grants.first()),
        };
        let resource = resource.map(|grant| grant.audience.as_str());
        let client = client.id.as_str();
        Some(FirstToken { base: self.base, client, secret: &secret, resource }.to_string())
    }
}

/// The secret of a client of the sample, if it still has it.
fn demo_secret(client: &Client, now: Timestamp) -> Option<String> {
    let secret = format!("demo-secret-of-{}", client.id);
    let hash = ClientSecret::new(secret.clone()).hash();
    client.secrets.iter().any(|stored| stored.is_live(now) && stored.sha256 == hash).then_some(secret)
}
