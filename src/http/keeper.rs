//! The key folder by the settings.

use std::{cmp::max, sync::Arc, time::Duration};

use jiff::SignedDuration;

use crate::{
    clock::Clock,
    config::Settings,
    keys::{KeyFolder, KeyKeeper, KeyTerms, Passphrase},
};

/// The keeper of the key folder, by the rules that the settings make.
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
    let passphrase = settings.keys.passphrase.clone().map(Passphrase::new);
    let folder = KeyFolder::new(&settings.keys.dir).with_passphrase(passphrase);
    KeyKeeper::new(folder, terms, clock)
}
