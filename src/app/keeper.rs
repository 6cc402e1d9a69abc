//! The key folder by the settings.

use std::{cmp::max, sync::Arc, time::Duration};

use jeton_oauth::clock::Clock;
use jeton_policy::{PolicyDraft, PolicySources};
use jiff::SignedDuration;

use super::surroundings;
use crate::{
    config::Settings,
    keys::{KeyFolder, KeyKeeper, KeyTerms, LONGEST_MAX_AGE, Passphrase},
};

/// How long after a poll was due its outcome is in force, at most: the files must hold still, and be read.
const SETTLED_BY: Duration = Duration::from_secs(1);

/// Why a new key might sign before verifiers have fetched it, if the settings leave servers too little time to read
/// it: they may keep the key set for its whole `max-age` after the last of them has.
pub fn late_reading(settings: &Settings, terms: &KeyTerms) -> Option<String> {
    let max_age = Duration::from_secs(terms.max_age().into());
    let ahead = settings.keys.publish_ahead;
    let left = ahead.saturating_sub(max_age).as_secs();
    match settings.policies.poll.map(|poll| poll + SETTLED_BY) {
        None => Some(format!(
            "`policies.poll` is off: servers read a new key only on SIGHUP or POST /ops/reload, and each server must do so within {left} s after the key is made"
        )),
        Some(poll) if poll.as_secs() > left => Some(format!(
            "`keys.publish_ahead` is {} s, and verifiers may keep the key set for {} s of that, but servers need {} s to read a new key (`policies.poll`): set `keys.publish_ahead` to {} s or more, or poll more often",
            ahead.as_secs(),
            max_age.as_secs(),
            poll.as_secs(),
            poll.as_secs() + poll.as_secs().min(LONGEST_MAX_AGE.into()),
        )),
        Some(_) => None,
    }
}

/// The keeper of the key folder, by the rules that the settings make. Where these would let a retired key go before the
/// last bundle that it signed, it depends on the policies, and it stays if they cannot be read.
pub fn key_keeper(settings: &Settings, clock: Arc<dyn Clock>) -> KeyKeeper {
    let signed = |duration: Duration| SignedDuration::try_from(duration).unwrap_or(SignedDuration::MAX);
    let tokens = settings.tokens;
    let terms = KeyTerms {
        algorithm: settings.keys.algorithm,
        rsa_bits: settings.keys.rsa_bits,
        publish_ahead: signed(settings.keys.publish_ahead),
        rotate_every: settings.keys.rotate_every.map(signed),
        // as long as anything that a key signed may live
        retention: signed(max(tokens.max_ttl, tokens.refresh_ttl) + tokens.leeway),
    };
    let terms = if terms == terms.with_bundles() || has_no_bundle(settings, &clock) {
        terms
    } else {
        terms.with_bundles()
    };
    let passphrase = settings.keys.passphrase.clone().map(Passphrase::new);
    let folder = KeyFolder::new(&settings.keys.dir).with_passphrase(passphrase);
    KeyKeeper::new(folder, terms, clock)
}

/// Whether the policies load and have no bundle.
fn has_no_bundle(settings: &Settings, clock: &Arc<dyn Clock>) -> bool {
    let read = PolicySources::read(&settings.policies.dir)
        .and_then(|sources| PolicyDraft::compile(&sources, &surroundings(settings), clock.now()));
    read.is_ok_and(|draft| !draft.policies().has_bundles())
}
