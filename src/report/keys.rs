//! The keys of this replica.

use std::path::Path;

use jiff::Timestamp;
use serde_json::{Map, Value, json};

use crate::keys::{KeyAdvice, KeyErrors, KeyState, LiveKeys};

/// Every key with its state and its times, and what comes next.
pub(crate) fn keys(keys: &LiveKeys) -> Value {
    let ring = keys.ring();
    let each: Vec<_> = ring
        .keys()
        .iter()
        .map(|key| {
            let (retires, published_until) = match key.state {
                KeyState::Next { .. } => (None, None),
                KeyState::Active { until } => (until, None),
                KeyState::Retired { since, until } => (Some(since), Some(until)),
                KeyState::Expired { since } => (None, Some(since)),
            };
            json!({
                "kid": key.kid,
                "state": key.state.name(),
                "alg": key.algorithm.name(),
                "bits": key.bits,
                "created": key.created.to_string(),
                "activates": key.activates.to_string(),
                "retires": retires.map(|time| time.to_string()),
                "published_until": published_until.map(|time| time.to_string()),
            })
        })
        .collect();
    json!({
        "keys": each,
        "next_change": ring.next_change().map(|time| time.to_string()),
        "planned": keys.planned().map(|planned| json!({
            "made": planned.made.to_string(),
            "activates": planned.activates.to_string(),
        })),
        "max_age": ring.jwks().max_age(),
        "unlisted": ring.unlisted().iter().map(|key| &key.kid).collect::<Vec<_>>(),
        "last_rejection": keys.last_rejection().map(|rejection| json!({
            "at": rejection.at.to_string(),
            "errors": key_errors(&rejection.faults),
        })),
    })
}

/// The same, with the rules by which keys follow each other, and what is safe when.
pub(crate) fn keys_with_advice(keys: &LiveKeys, dir: &Path, now: Timestamp) -> Value {
    let terms = keys.terms();
    let advice = |advice: &KeyAdvice| {
        json!({
            "from": advice.from.map(|from| from.to_string()),
            "what": advice.what,
            "command": advice.command,
            "kid": advice.kid,
        })
    };
    let more = Map::from_iter([
        ("dir".to_owned(), json!(dir.display().to_string())),
        ("now".to_owned(), json!(now.to_string())),
        ("publish_ahead".to_owned(), json!(terms.publish_ahead.as_secs())),
        ("rotate_every".to_owned(), json!(terms.rotate_every.map(|every| every.as_secs()))),
        ("retention".to_owned(), json!(keys.ring().retention().as_secs())),
        ("advice".to_owned(), keys.advice().iter().map(advice).collect()),
    ]);
    match self::keys(keys) {
        Value::Object(keys) => keys.into_iter().chain(more).collect(),
        other => other,
    }
}

/// A line for each thing that is wrong with the keys.
pub(crate) fn key_errors(errors: &KeyErrors) -> Vec<String> {
    errors.to_string().lines().map(str::to_owned).collect()
}
