//! What changes for clients beside routes: grants, secrets, claims, lifetimes.

use std::collections::BTreeSet;

use serde_json::Value;

use super::{Change, ChangeKind, Effect, Who};
use crate::{
    clients::{Client, ClientKind, ClientState, StoredSecret},
    oauth::ApiName,
    policy::set::PolicySet,
};

pub(super) fn compare(old: &PolicySet, new: &PolicySet, into: &mut Vec<Change>) {
    let ids: BTreeSet<_> =
        old.clients().iter().chain(new.clients().iter()).map(|client| &client.id).collect();
    for id in ids {
        let (before, after) = (old.clients().find(id.as_str()), new.clients().find(id.as_str()));
        // with the scopes of its roles
        if before == after {
            continue;
        }
        let mut note = |change: Change| into.push(change);
        let who = || Who::Client(id.to_string());
        let change = |kind, effect, what: String| Change { what, ..Change::of(kind, effect, who()) };
        match (before, after) {
            (Some(before), Some(after)) => compare_client(before, after, &mut |kind, effect, what| {
                note(change(kind, effect, what));
            }),
            (None, Some(_)) => {
                note(change(
                    ChangeKind::Client,
                    Effect::Gains,
                    "a place among the clients: it is added".to_owned(),
                ));
            }
            (Some(_), None) => {
                note(change(
                    ChangeKind::Client,
                    Effect::Loses,
                    "its place among the clients: it is removed".to_owned(),
                ));
            }
            (None, None) => {}
        }
        let apis: BTreeSet<&ApiName> =
            before.iter().chain(&after).flat_map(|client| &*client.grants).map(|grant| &grant.api).collect();
        // one line says it of all grants where a client is enabled or disabled
        let is_switched = before.zip(after).is_some_and(|(before, after)| before.state != after.state);
        for api in apis {
            let granted = |policies: &PolicySet| {
                let granted = if is_switched {
                    policies.permissions_of(id.as_str(), api.as_str())
                } else {
                    policies.granted(id.as_str(), api.as_str())
                };
                granted.unwrap_or_default()
            };
            let (before, after) = (granted(old), granted(new));
            for (effect, more, less) in [(Effect::Gains, &after, &before), (Effect::Loses, &before, &after)] {
                let scopes = more.scopes.difference(&less.scopes);
                let scopes = scopes.iter().map(|scope| format!("scope {scope}"));
                let roles = more.roles.iter().filter(|role| !less.roles.contains(role));
                for what in roles.map(|role| format!("role {role}")).chain(scopes) {
                    note(Change { api: Some(api.to_string()), ..change(ChangeKind::Grant, effect, what) });
                }
            }
        }
    }
}

fn compare_client(before: &Client, after: &Client, note: &mut dyn FnMut(ChangeKind, Effect, String)) {
    let is_enabled = |client: &Client| client.state == ClientState::Enabled;
    match Effect::between(is_enabled(before), is_enabled(after)) {
        Some(Effect::Gains) => {
            note(ChangeKind::Client, Effect::Gains, "all of its grants: it is enabled".to_owned());
        }
        Some(effect) => note(ChangeKind::Client, effect, "all of its grants: it is disabled".to_owned()),
        None => {}
    }
    if before.kind != after.kind {
        let what = match after.kind {
            ClientKind::Anonymous => "anonymity: its tokens do not name it any more",
            ClientKind::Named => "anonymity: its tokens name it now",
        };
        note(ChangeKind::Client, Effect::Changes, what.to_owned());
    }
    compare_secrets(&before.secrets, &after.secrets, note);
    let names: BTreeSet<_> = before.claims.keys().chain(after.claims.keys()).collect();
    for name in names {
        let (before, after) = (before.claims.get(name), after.claims.get(name));
        if before != after {
            let word = |value: Option<&Value>| value.map_or_else(|| "nothing".to_owned(), Value::to_string);
            let what = format!("claim {name}, from {} to {}", word(before), word(after));
            note(ChangeKind::Claim, Effect::Changes, what);
        }
    }
    if before.ttl != after.ttl {
        let effect = match (before.ttl, after.ttl) {
            (Some(before), Some(after)) if before < after => Effect::Gains,
            (Some(_), Some(_)) => Effect::Loses,
            // the default is a setting, of which policies know nothing
            (_, _) => Effect::Changes,
        };
        let word = |ttl: Option<u64>| ttl.map_or_else(|| "the default".to_owned(), |ttl| format!("{ttl} s"));
        let what = format!("token lifetime, from {} to {}", word(before.ttl), word(after.ttl));
        note(ChangeKind::Ttl, effect, what);
    }
}

fn compare_secrets(
    before: &[StoredSecret],
    after: &[StoredSecret],
    note: &mut dyn FnMut(ChangeKind, Effect, String),
) {
    let name = |secret: &StoredSecret| secret.sha256.to_string().chars().take(8).collect::<String>();
    let find = |among: &[StoredSecret], secret: &StoredSecret| {
        among.iter().find(|other| other.sha256 == secret.sha256).copied()
    };
    for secret in after {
        let until = |secret: &StoredSecret| {
            secret.expires.map_or_else(|| "for ever".to_owned(), |expires| format!("until {expires}"))
        };
        let Some(old) = find(before, secret) else {
            let what = format!("a secret (sha256 {}..., good {})", name(secret), until(secret));
            note(ChangeKind::Credential, Effect::Gains, what);
            continue;
        };
        let is_later = match (old.expires, secret.expires) {
            (old, new) if old == new => continue,
            (Some(old), Some(new)) => new > old,
            (_, new) => new.is_none(),
        };
        let effect = if is_later { Effect::Gains } else { Effect::Loses };
        let what = format!(
            "time for a secret (sha256 {}..., good {}, was {})",
            name(secret),
            until(secret),
            until(&old)
        );
        note(ChangeKind::Credential, effect, what);
    }
    for secret in before.iter().filter(|secret| find(after, secret).is_none()) {
        note(ChangeKind::Credential, Effect::Loses, format!("a secret (sha256 {}...)", name(secret)));
    }
}
