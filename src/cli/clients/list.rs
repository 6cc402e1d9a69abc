//! `jeton clients list`.

use std::{collections::BTreeSet, path::Path};

use clap::ValueEnum;
use jeton_oauth::{
    IssuerName,
    clock::{Clock, SystemClock},
    text::printable,
};
use jeton_policy::{
    DemoSecrets, PolicyDraft, PolicySources,
    clients::{ApiGrant, CertificateTerms, Client, ClientState},
    federation::FederatedTerms,
};
use jiff::Timestamp;

use super::super::{Outcome, emit, emit_json, settings, surroundings, table::aligned};
use crate::{
    config::NeededFolders,
    report::{self, shown_certificate},
};

#[derive(Clone, Copy, ValueEnum)]
pub(in crate::cli) enum ListFormat {
    /// A table for people.
    Table,
    /// JSON for programs.
    Json,
}

pub(super) fn run(format: ListFormat, config: Option<&Path>) -> anyhow::Result<Outcome> {
    let settings = settings(NeededFolders::Policies, config)?;
    let now = SystemClock.now();
    let draft = PolicySources::read(&settings.policies.dir).and_then(|sources| {
        PolicyDraft::compile(&sources, &surroundings(&settings, DemoSecrets::Allowed), now)
    });
    let draft = draft.map_err(|findings| anyhow::Error::new(findings).context("the policies do not load"))?;
    let mut clients: Vec<&Client> = draft.policies().clients().iter().map(AsRef::as_ref).collect();
    clients.sort_by(|a, b| a.id.cmp(&b.id));
    match format {
        ListFormat::Table => {
            let head = ["ID", "STATE", "CREDENTIALS", "TOKENS", "TTL", "LIMIT", "REVOKED BEFORE", "GRANTS"];
            let head = head.map(str::to_owned);
            let rows = clients.iter().map(|client| row(client, now));
            emit(&aligned(std::iter::once(head).chain(rows)))?;
        }
        ListFormat::Json => {
            let clients: Vec<_> = clients.iter().map(|client| report::client(client, now)).collect();
            emit_json(&clients)?;
        }
    }
    Ok(Outcome::Done)
}

fn row(client: &Client, now: Timestamp) -> [String; 8] {
    let none = || "-".to_owned();
    let grants: Vec<_> = client.grants.iter().map(grant).collect();
    [
        client.id.to_string(),
        match client.state {
            ClientState::Enabled => "enabled".to_owned(),
            ClientState::Disabled => "disabled".to_owned(),
        },
        credentials(client, now),
        if client.bound_tokens { "bound".to_owned() } else { none() },
        client.ttl.map_or_else(none, duration),
        client.limit.map_or_else(none, |limit| limit.to_string()),
        client
            .revoked_before
            .and_then(|seconds| Timestamp::from_second(seconds).ok())
            .map_or_else(none, |time| time.to_string()),
        if grants.is_empty() { none() } else { grants.join("; ") },
    ]
}

/// What it can authenticate with now.
fn credentials(client: &Client, now: Timestamp) -> String {
    let live: Vec<_> = client.secrets.iter().filter(|secret| secret.is_live(now)).collect();
    let counted = |count: usize, what: &str| match count {
        0 => None,
        1 => Some(format!("1 {what}")),
        more => Some(format!("{more} {what}s")),
    };
    let first = live.iter().filter_map(|secret| secret.expires).min();
    let expiry = first.map_or_else(String::new, |first| match live.len() {
        1 => format!(" until {first}"),
        _ => format!(", the first until {first}"),
    });
    let secrets = counted(live.len(), "secret").map(|secrets| secrets + &expiry);
    let keys = counted(client.public_keys.len(), "key");
    let certificates = client.certificates.iter().filter(|terms| terms.is_live(now)).map(certificate);
    let tokens = issuers(client).map(|issuer| format!("tokens of {issuer}"));
    let all: Vec<_> = keys.into_iter().chain(secrets).chain(certificates).chain(tokens).collect();
    if all.is_empty() { "none".to_owned() } else { all.join(", ") }
}

/// What stands in its certificates, and until when the entry counts.
fn certificate(terms: &CertificateTerms) -> String {
    let until = terms.expires.map(|expires| format!(" until {expires}")).unwrap_or_default();
    format!(
        "certificate {} {}{until}",
        terms.certificate.key(),
        printable(&shown_certificate(&terms.certificate))
    )
}

/// The issuers whose tokens stand for it, each once.
fn issuers(client: &Client) -> impl Iterator<Item = &IssuerName> {
    client.federated.iter().map(FederatedTerms::issuer).collect::<BTreeSet<_>>().into_iter()
}

/// Roles, and the scopes that none of them has.
fn grant(grant: &ApiGrant) -> String {
    let of_roles = |scope| grant.roles.iter().any(|role| role.scopes.contains(scope));
    let roles = grant.roles.iter().map(|role| role.role.to_string());
    let scopes = grant.scopes.iter().filter(|scope| !of_roles(*scope)).map(ToString::to_string);
    format!("{}: {}", grant.api, roles.chain(scopes).collect::<Vec<_>>().join(" "))
}

/// In the largest unit that it is a whole number of.
fn duration(seconds: u64) -> String {
    let units = [(86_400, "d"), (3_600, "h"), (60, "m")];
    let unit = units.into_iter().find(|(length, _)| seconds >= *length && seconds.is_multiple_of(*length));
    unit.map_or_else(|| format!("{seconds}s"), |(length, unit)| format!("{}{unit}", seconds / length))
}

#[cfg(test)]
mod tests {
    use super::duration;

    #[test]
    fn a_lifetime_is_told_in_the_unit_that_fits() {
        for (seconds, told) in [
            (0, "0s"),
            (90, "90s"),
            (900, "15m"),
            (3_600, "1h"),
            (5_400, "90m"),
            (86_400, "1d"),
            (86_401, "86401s"),
        ] {
            assert_eq!(duration(seconds), told);
        }
    }
}
