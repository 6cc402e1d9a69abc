//! The clients of the policies.

use std::collections::BTreeMap;

use jeton_policy::{
    clients::{
        ApiGrant, CertificateTerms, Client, ClientKind, ClientState, IntrospectedApis, KnownCertificate,
        StoredSecret,
    },
    federation::FederatedTerms,
};
use jiff::Timestamp;
use serde_json::{Map, Value, json};

use crate::authenticate::SecretUses;

/// How many digits of a hash are shown: enough to tell a client's secrets apart, and no help to find one.
const HASH_DIGITS: usize = 8;

/// A client, with everything but what would let others act in its place.
pub(crate) fn client(client: &Client, now: Timestamp) -> Value {
    let secret = |stored: &StoredSecret| secret(stored, now);
    written(client, now, &client.secrets.iter().map(secret).collect::<Vec<_>>())
}

/// The same, with the time when this replica took each of its secrets last.
pub(crate) fn client_with_uses(client: &Client, now: Timestamp, uses: &SecretUses) -> Value {
    let secret = |stored: &StoredSecret| {
        let mut secret = secret(stored, now);
        let last_used = uses.last_used(&client.id, stored.sha256).and_then(|at| time(Some(at)));
        secret.insert("last_used".to_owned(), json!(last_used.map(|time| time.to_string())));
        secret
    };
    written(client, now, &client.secrets.iter().map(secret).collect::<Vec<_>>())
}

fn secret(secret: &StoredSecret, now: Timestamp) -> Map<String, Value> {
    Map::from_iter([
        ("sha256".to_owned(), json!(secret.sha256.to_string().get(..HASH_DIGITS))),
        ("expires".to_owned(), json!(secret.expires.map(|time| time.to_string()))),
        ("live".to_owned(), json!(secret.is_live(now))),
    ])
}

fn written(client: &Client, now: Timestamp, secrets: &[Map<String, Value>]) -> Value {
    let certificate = |terms: &CertificateTerms| {
        json!({
            (terms.certificate.key()): shown_certificate(&terms.certificate),
            "expires": terms.expires.map(|time| time.to_string()),
            "live": terms.is_live(now),
        })
    };
    let grant = |grant: &ApiGrant| {
        json!({
            "api": grant.api,
            "audience": grant.audience,
            "roles": grant.roles.iter().map(|role| &role.role).collect::<Vec<_>>(),
            "scopes": grant.scopes.iter().collect::<Vec<_>>(),
        })
    };
    let federated = |terms: &FederatedTerms| {
        let conditions = terms.conditions().map(|(claim, wanted)| format!("{claim} {wanted}"));
        let claims_from: BTreeMap<_, _> = terms.claims_from().collect();
        json!({
            "issuer": terms.issuer(),
            "conditions": conditions.collect::<Vec<_>>(),
            "claims_from": claims_from,
        })
    };
    json!({
        "id": client.id,
        "enabled": client.state == ClientState::Enabled,
        "anonymous": client.kind == ClientKind::Anonymous,
        "grants": client.grants.iter().map(grant).collect::<Vec<_>>(),
        "secrets": secrets,
        "public_keys": client.public_keys.len(),
        "certificates": client.certificates.iter().map(certificate).collect::<Vec<_>>(),
        "bound_tokens": client.bound_tokens,
        "federated": client.federated.iter().map(federated).collect::<Vec<_>>(),
        "ttl": client.ttl,
        "limit": client.limit.map(|limit| limit.to_string()),
        "revoked_before": time(client.revoked_before).map(|time| time.to_string()),
        "refresh": client.abilities.refresh,
        "token_exchange": client.abilities.token_exchange,
        "introspect": match &client.abilities.introspect {
            IntrospectedApis::None => json!(false),
            IntrospectedApis::All => json!(true),
            IntrospectedApis::Only(apis) => json!(apis.iter().collect::<Vec<_>>()),
        },
    })
}

/// Of a hash its first digits, and a name as it is.
pub(crate) fn shown_certificate(certificate: &KnownCertificate) -> String {
    match certificate {
        KnownCertificate::Sha256(hash) => hash.beginning(),
        other => other.to_string(),
    }
}

fn time(seconds: Option<i64>) -> Option<Timestamp> {
    seconds.and_then(|seconds| Timestamp::from_second(seconds).ok())
}
