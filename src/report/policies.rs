//! Policies that were not taken, or are only compared.

use jeton_policy::{Findings, Rejection};
use jeton_verify::audit::Shadow;
use serde_json::{Value, json};

/// Why policies were not taken, and when.
pub(crate) fn rejection(rejection: &Rejection<Findings>) -> Value {
    json!({ "at": rejection.at.to_string(), "findings": rejection.faults.0 })
}

/// The candidate, which is compared and never enforced.
pub(crate) fn candidate(shadow: &Shadow) -> Value {
    let (snapshot, counts) = (shadow.candidate().snapshot(), shadow.counts());
    json!({
        "hash": snapshot.as_ref().map(|snapshot| snapshot.policies.hash()),
        "loaded_at": snapshot.as_ref().map(|snapshot| snapshot.loaded_at.to_string()),
        "compared": counts.compared,
        "would_allow": counts.would_allow,
        "would_deny": counts.would_deny,
        "last_rejection": shadow.candidate().last_rejection().map(|rejection| self::rejection(&rejection)),
    })
}
