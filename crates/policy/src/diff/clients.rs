//! What changes for clients beside routes: grants, secrets, claims, lifetimes.

use std::{cmp::Ordering, collections::BTreeSet, iter};

use jeton_jose::ForeignKey;
use jeton_oauth::{ApiName, RateLimit};
use jiff::Timestamp;
use serde_json::Value;

use super::{ChangeEffect, ChangeKind, ChangedFor, PolicyChange};
use crate::{
    clients::{
        Abilities, CertificateTerms, Client, ClientKind, ClientState, IntrospectedApis, KnownCertificate,
        StoredSecret,
    },
    set::PolicySet,
};

pub(super) fn compare(old: &PolicySet, new: &PolicySet, into: &mut Vec<PolicyChange>) {
    let ids: BTreeSet<_> =
        old.clients().iter().chain(new.clients().iter()).map(|client| &client.id).collect();
    for id in ids {
        let (before, after) = (old.clients().find(id.as_str()), new.clients().find(id.as_str()));
        // with the scopes of its roles
        if before == after {
            continue;
        }
        let mut note = |change: PolicyChange| into.push(change);
        let who = || ChangedFor::Client(id.to_string());
        let change =
            |kind, effect, what: String| PolicyChange { what, ..PolicyChange::of(kind, effect, who()) };
        match (before, after) {
            (Some(before), Some(after)) => {
                compare_client([old, new], [before, after], &mut |kind, effect, what| {
                    let effect = if kind == ChangeKind::Client { effect } else { felt(effect, before, after) };
                    note(change(kind, effect, what));
                });
            }
            (None, Some(_)) => {
                note(change(
                    ChangeKind::Client,
                    ChangeEffect::Gains,
                    "a place among the clients: it is added".to_owned(),
                ));
            }
            (Some(_), None) => {
                note(change(
                    ChangeKind::Client,
                    ChangeEffect::Loses,
                    "its place among the clients: it is removed".to_owned(),
                ));
            }
            (None, None) => {}
        }
        let apis: BTreeSet<&ApiName> =
            before.iter().chain(&after).flat_map(|client| &*client.grants).map(|grant| &grant.api).collect();
        // one line says it of all grants where a client is enabled or disabled
        let switched = before.zip(after).filter(|(before, after)| before.state != after.state);
        for api in apis {
            let granted = |policies: &PolicySet| {
                let granted = if switched.is_some() {
                    policies.permissions_of(id.as_str(), api.as_str())
                } else {
                    policies.granted(id.as_str(), api.as_str())
                };
                granted.unwrap_or_default()
            };
            let [had, has] = [granted(old), granted(new)];
            for (effect, more, less) in
                [(ChangeEffect::Gains, &has, &had), (ChangeEffect::Loses, &had, &has)]
            {
                let effect = switched.map_or(effect, |(before, after)| felt(effect, before, after));
                let scopes = more.scopes.difference(&less.scopes);
                let scopes = scopes.iter().map(|scope| format!("scope {scope}"));
                let roles = more.roles.iter().filter(|role| !less.roles.contains(role));
                for what in roles.map(|role| format!("role {role}")).chain(scopes) {
                    note(PolicyChange {
                        api: Some(api.to_string()),
                        ..change(ChangeKind::Grant, effect, what)
                    });
                }
            }
        }
    }
    compare_revoked_tokens(old, new, into);
}

/// What comes of a change for a client: one that is disabled can use nothing, neither what it gets nor what it had.
fn felt(effect: ChangeEffect, before: &Client, after: &Client) -> ChangeEffect {
    let is_idle = match effect {
        ChangeEffect::Gains => after.state == ClientState::Disabled,
        ChangeEffect::Loses => before.state == ClientState::Disabled,
        ChangeEffect::Changes => false,
    };
    if is_idle { ChangeEffect::Changes } else { effect }
}

fn compare_revoked_tokens(old: &PolicySet, new: &PolicySet, into: &mut Vec<PolicyChange>) {
    let tokens: BTreeSet<_> = old.revoked.keys().chain(new.revoked.keys()).collect();
    for token in tokens {
        // what has expired is taken by nobody, revoked or not
        let matters = |policies: &PolicySet| {
            with_its_origins(token.as_str())
                .filter_map(|token| policies.revoked.get(token))
                .any(|until| until.is_none_or(|until| until > new.read_at))
        };
        let (effect, what) = match ChangeEffect::between(!matters(old), !matters(new)) {
            Some(ChangeEffect::Gains) => {
                (ChangeEffect::Gains, "all that it carries: it is no longer revoked")
            }
            Some(effect) => (effect, "all that it carries: it is revoked"),
            None => continue,
        };
        let who = ChangedFor::Token(token.to_string());
        into.push(PolicyChange {
            what: what.to_owned(),
            ..PolicyChange::of(ChangeKind::Revocation, effect, who)
        });
    }
}

/// A token, and those that it was exchanged from: with each of them it ends.
fn with_its_origins(token: &str) -> impl Iterator<Item = &str> {
    iter::successors(Some(token), |token| token.rsplit_once('.').map(|(origin, _)| origin))
}

fn compare_client(
    policies: [&PolicySet; 2],
    [before, after]: [&Client; 2],
    note: &mut dyn FnMut(ChangeKind, ChangeEffect, String),
) {
    let is_enabled = |client: &Client| client.state == ClientState::Enabled;
    match ChangeEffect::between(is_enabled(before), is_enabled(after)) {
        Some(ChangeEffect::Gains) => {
            note(ChangeKind::Client, ChangeEffect::Gains, "all of its grants: it is enabled".to_owned());
        }
        Some(effect) => note(ChangeKind::Client, effect, "all of its grants: it is disabled".to_owned()),
        None => {}
    }
    if before.kind != after.kind {
        let what = match after.kind {
            ClientKind::Anonymous => "anonymity: its tokens no longer name it",
            ClientKind::Named => "anonymity: its tokens name it now",
        };
        note(ChangeKind::Client, ChangeEffect::Changes, what.to_owned());
    }
    compare_expiring(&Expiring::of(before), &Expiring::of(after), note);
    compare_public_keys(&before.public_keys, &after.public_keys, note);
    compare_abilities(&before.abilities, &after.abilities, note);
    if let Some(effect) = ChangeEffect::between(!before.bound_tokens, !after.bound_tokens) {
        let [old, new] = policies;
        // it is issued none for an API that takes none
        let (policies, client) = if effect == ChangeEffect::Gains { (new, after) } else { (old, before) };
        let takes = |api: &ApiName| policies.apis().get(api).is_some_and(|api| !api.bound_tokens());
        let is_of_use = client.grants.iter().any(|grant| takes(&grant.api));
        let effect = if is_of_use { effect } else { ChangeEffect::Changes };
        note(ChangeKind::Ability, effect, "tokens that are not bound: `bound_tokens`".to_owned());
    }
    // tokens that do not name the client are not ended by it
    let is_named = after.kind == ClientKind::Named;
    compare_revoked_before(before.revoked_before, after.revoked_before, &mut |kind, effect, what| {
        if is_named {
            note(kind, effect, what);
        } else {
            note(kind, ChangeEffect::Changes, "when it gets tokens again: `revoked_before`".to_owned());
        }
    });
    let names: BTreeSet<_> = before.claims.keys().chain(after.claims.keys()).collect();
    for name in names {
        let (before, after) = (before.claims.get(name), after.claims.get(name));
        if before != after {
            let word = |value: Option<&Value>| value.map_or_else(|| "nothing".to_owned(), Value::to_string);
            let what = format!("claim {name}, from {} to {}", word(before), word(after));
            note(ChangeKind::Claim, ChangeEffect::Changes, what);
        }
    }
    if before.ttl != after.ttl {
        let effect = match (before.ttl, after.ttl) {
            (Some(before), Some(after)) if before < after => ChangeEffect::Gains,
            (Some(_), Some(_)) => ChangeEffect::Loses,
            // the default is a setting, of which policies know nothing
            (_, _) => ChangeEffect::Changes,
        };
        let word = |ttl: Option<u64>| ttl.map_or_else(|| "the default".to_owned(), |ttl| format!("{ttl} s"));
        let what = format!("token lifetime, from {} to {}", word(before.ttl), word(after.ttl));
        note(ChangeKind::Ttl, effect, what);
    }
    if before.limit != after.limit {
        let effect =
            match before.limit.zip(after.limit).and_then(|(before, after)| before.partial_cmp(&after)) {
                Some(Ordering::Less) => ChangeEffect::Gains,
                Some(Ordering::Greater) => ChangeEffect::Loses,
                // the default is a setting here too, and one rate may be higher at once and lower in the long run
                Some(Ordering::Equal) | None => ChangeEffect::Changes,
            };
        let word = |limit: Option<RateLimit>| {
            limit.map_or_else(|| "the default".to_owned(), |limit| limit.to_string())
        };
        let what = format!("token requests, from {} to {}", word(before.limit), word(after.limit));
        note(ChangeKind::Limit, effect, what);
    }
}

/// A credential with an end.
struct Expiring {
    /// `a secret` or `a certificate`.
    what: &'static str,
    /// What tells it from others.
    id: String,
    /// As much of that as is shown.
    shown: String,
    expires: Option<Timestamp>,
}

impl Expiring {
    fn of(client: &Client) -> Vec<Self> {
        let secret = |secret: &StoredSecret| Self {
            what: "a secret",
            id: secret.sha256.to_string(),
            shown: format!("sha256 {}...", secret.sha256.beginning()),
            expires: secret.expires,
        };
        let certificate = |terms: &CertificateTerms| Self {
            what: "a certificate",
            id: format!("{} {}", terms.certificate.key(), terms.certificate),
            shown: match &terms.certificate {
                KnownCertificate::Sha256(hash) => format!("sha256 {}...", hash.beginning()),
                KnownCertificate::Named(name) => format!("{} {name}", name.field().as_str()),
            },
            expires: terms.expires,
        };
        client.secrets.iter().map(secret).chain(client.certificates.iter().map(certificate)).collect()
    }

    fn until(&self) -> String {
        self.expires.map_or_else(|| "for ever".to_owned(), |expires| format!("until {expires}"))
    }

    fn find<'e>(&self, among: &'e [Self]) -> Option<&'e Self> {
        among.iter().find(|other| (other.what, &other.id) == (self.what, &self.id))
    }
}

/// Secrets and certificates.
fn compare_expiring(
    before: &[Expiring],
    after: &[Expiring],
    note: &mut dyn FnMut(ChangeKind, ChangeEffect, String),
) {
    for new in after {
        let Expiring { what, shown, .. } = new;
        let Some(old) = new.find(before) else {
            let what = format!("{what} ({shown}, good {})", new.until());
            note(ChangeKind::Credential, ChangeEffect::Gains, what);
            continue;
        };
        let is_later = match (old.expires, new.expires) {
            (old, new) if old == new => continue,
            (Some(old), Some(new)) => new > old,
            (_, new) => new.is_none(),
        };
        let effect = if is_later { ChangeEffect::Gains } else { ChangeEffect::Loses };
        let what = format!("time for {what} ({shown}, good {}, was {})", new.until(), old.until());
        note(ChangeKind::Credential, effect, what);
    }
    for Expiring { what, shown, .. } in before.iter().filter(|old| old.find(after).is_none()) {
        note(ChangeKind::Credential, ChangeEffect::Loses, format!("{what} ({shown})"));
    }
}

fn compare_public_keys(
    before: &[ForeignKey],
    after: &[ForeignKey],
    note: &mut dyn FnMut(ChangeKind, ChangeEffect, String),
) {
    let name = |key: &ForeignKey| key.thumbprint().as_str().chars().take(8).collect::<String>();
    let find = |among: &[ForeignKey], key: &ForeignKey| {
        among.iter().find(|other| other.thumbprint() == key.thumbprint()).cloned()
    };
    for key in after {
        match find(before, key) {
            None => {
                let what = format!("a public key (thumbprint {}...)", name(key));
                note(ChangeKind::Credential, ChangeEffect::Gains, what);
            }
            Some(old) if old != *key => {
                let what = format!("the `kid` or `alg` of a public key (thumbprint {}...)", name(key));
                note(ChangeKind::Credential, ChangeEffect::Changes, what);
            }
            Some(_) => {}
        }
    }
    for key in before.iter().filter(|key| find(after, key).is_none()) {
        let what = format!("a public key (thumbprint {}...)", name(key));
        note(ChangeKind::Credential, ChangeEffect::Loses, what);
    }
}

fn compare_abilities(
    before: &Abilities,
    after: &Abilities,
    note: &mut dyn FnMut(ChangeKind, ChangeEffect, String),
) {
    let switches = [
        (before.token_exchange, after.token_exchange, "token exchange"),
        (before.refresh, after.refresh, "refresh tokens"),
        (
            !before.strict_assertions,
            !after.strict_assertions,
            "assertions that name the token endpoint or tell no type",
        ),
    ];
    for (before, after, what) in switches {
        if let Some(effect) = ChangeEffect::between(before, after) {
            note(ChangeKind::Ability, effect, what.to_owned());
        }
    }
    compare_introspection(&before.introspect, &after.introspect, note);
    if before.status_list != after.status_list {
        let word =
            |status_list: Option<bool>| status_list.map_or("the default", |on| if on { "on" } else { "off" });
        let (before, after) = (word(before.status_list), word(after.status_list));
        let what = format!("status list, from {before} to {after}");
        note(ChangeKind::Ability, ChangeEffect::Changes, what);
    }
}

fn compare_introspection(
    before: &IntrospectedApis,
    after: &IntrospectedApis,
    note: &mut dyn FnMut(ChangeKind, ChangeEffect, String),
) {
    let is_all = |apis: &IntrospectedApis| matches!(apis, IntrospectedApis::All);
    let listed = |apis: &IntrospectedApis| match apis {
        IntrospectedApis::Only(apis) => apis.to_vec(),
        IntrospectedApis::None | IntrospectedApis::All => Vec::new(),
    };
    let (old, new) = (listed(before), listed(after));
    if let Some(effect) = ChangeEffect::between(is_all(before), is_all(after)) {
        let kept: Vec<_> = old.iter().chain(&new).map(|api| format!("`{api}`")).collect();
        let but = if kept.is_empty() { String::new() } else { format!(" but {}", kept.join(", ")) };
        return note(ChangeKind::Ability, effect, format!("introspection of the tokens of all APIs{but}"));
    }
    for api in old.iter().filter(|api| !new.contains(api)) {
        note(ChangeKind::Ability, ChangeEffect::Loses, format!("introspection of the tokens of `{api}`"));
    }
    for api in new.iter().filter(|api| !old.contains(api)) {
        note(ChangeKind::Ability, ChangeEffect::Gains, format!("introspection of the tokens of `{api}`"));
    }
}

fn compare_revoked_before(
    before: Option<i64>,
    after: Option<i64>,
    note: &mut dyn FnMut(ChangeKind, ChangeEffect, String),
) {
    let word = |seconds: i64| {
        Timestamp::from_second(seconds).map_or_else(|_| seconds.to_string(), |time| time.to_string())
    };
    let (effect, what) = match (before, after) {
        (before, after) if before == after => return,
        (None, Some(after)) => {
            (ChangeEffect::Loses, format!("its tokens issued before {}: they are revoked", word(after)))
        }
        (Some(before), Some(after)) if before < after => (
            ChangeEffect::Loses,
            format!(
                "its tokens issued before {}: they are revoked, so far before {}",
                word(after),
                word(before)
            ),
        ),
        (Some(before), Some(after)) => (
            ChangeEffect::Gains,
            format!("its tokens issued from {} to {}: they are no longer revoked", word(after), word(before)),
        ),
        (Some(before), None) => (
            ChangeEffect::Gains,
            format!("its tokens issued before {}: they are no longer revoked", word(before)),
        ),
        (None, None) => return,
    };
    note(ChangeKind::Revocation, effect, what);
}
