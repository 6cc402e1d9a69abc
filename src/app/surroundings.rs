//! What the settings ask of policies. A start, a reload, the candidate and `jeton policies check` ask the same.

use jeton_policy::{DemoSecrets, NeededApi, Surroundings};

use crate::config::{GatewaySettings, Settings};

/// What policies must fit to be served with these settings.
pub fn surroundings(settings: &Settings) -> Surroundings {
    Surroundings {
        issuer: settings.issuer.audience().clone(),
        max_ttl: Some(settings.tokens.max_ttl.as_secs()),
        demo_secrets: if settings.is_loopback() { DemoSecrets::Allowed } else { DemoSecrets::Refused },
        needed_apis: settings.gateways.iter().flat_map(needed_by).collect(),
    }
}

fn needed_by(gateway: &GatewaySettings) -> impl Iterator<Item = NeededApi> {
    let by = format!("`gateways.{}`", gateway.name);
    gateway.apis.names().map(move |api| NeededApi { api: api.clone(), by: by.clone() })
}
