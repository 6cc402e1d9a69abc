//! The keys, followed: what the folder holds, what time does to them, and a new key when it is due.

use std::{sync::Arc, time::Duration};

use tokio::{
    task::{self, JoinError},
    time,
};

use super::{Follow, Trigger, read_again};
use crate::{
    app::{App, late_reading},
    keys::{KeyErrors, KeyKeeper, KeyReload, KeyRing, LiveKeys, OrderError},
    policy::{Rejection, Reload, Swapped},
};

/// How often time is looked at where the folder is not, or not as often.
const TICK: Duration = Duration::from_secs(10);
/// After what time a rotation is tried again that failed.
const RETRY: Duration = Duration::from_mins(1);

/// Tells what is in force, once: at the start.
pub(super) fn tell_start(app: &App) {
    let App { keys, keeper, settings, .. } = app;
    let ring = keys.ring();
    log_files(&ring);
    let wanted = keys.terms().algorithm;
    let signs = ring.signing().public().algorithm();
    if wanted != signs && !ring.keys().iter().any(|key| key.algorithm == wanted) {
        tracing::info!(
            signs = signs.name(),
            set = wanted.name(),
            "keys.algorithm: it changes with the next key"
        );
    }
    if let Some(detail) = late_reading(settings, keys.terms()) {
        tracing::warn!(detail, "keys.read_late: verifiers may not have fetched a new key when it signs");
    }
    if keys.terms().rotate_every.is_some() && !keeper.folder().is_writable() {
        let dir = keeper.folder().path().display();
        tracing::warn!(%dir, "keys.read_only: `keys.rotate_every` does nothing here: rotate where the folder is written");
    }
}

/// Tells of files that an operator should look at.
fn log_files(ring: &KeyRing) {
    for key in ring.unlisted() {
        let (path, kid) = (key.path.display(), key.kid.as_str());
        tracing::warn!(%path, kid, "keys.unlisted: it has no entry in `keyring.yaml`, never signs, and `jeton keys prune` deletes it");
    }
    for path in ring.exposed() {
        let path = path.display();
        tracing::warn!(%path, "keys.readable: its group can read it too, and this mount is read-only");
    }
}

fn log_rejection(trigger: Trigger, rejection: &Rejection<KeyErrors>) {
    for error in rejection.faults.to_string().lines() {
        tracing::error!(trigger = trigger.as_str(), error, "keys.rejected: what was in force stays");
    }
}

/// The keys as they are followed.
pub(super) struct FollowedKeys(pub(super) Arc<LiveKeys>);

impl Follow for FollowedKeys {
    type New = Swapped<KeyRing>;
    type Faults = KeyErrors;

    fn poll(&self) -> KeyReload {
        self.0.poll()
    }

    fn reload(&self) -> KeyReload {
        self.0.reload()
    }

    fn tell(&self, trigger: Trigger, outcome: &KeyReload) {
        tell(trigger, outcome);
    }

    fn failed(&self, trigger: Trigger, error: &JoinError) {
        tracing::error!(trigger = trigger.as_str(), %error, "keys.rejected: what was in force stays");
        self.0.reload_failed();
    }
}

fn tell(trigger: Trigger, outcome: &KeyReload) {
    match outcome {
        Reload::Reloaded(Swapped { before: old, after: new }) => {
            let kids = |ring: &KeyRing| {
                let each = ring.keys().iter().filter(|key| key.state.is_published());
                each.map(|key| key.kid.clone()).collect::<Vec<_>>()
            };
            let (before, after) = (kids(old), kids(new));
            for kid in after.iter().filter(|kid| !before.contains(kid)) {
                tracing::info!(trigger = trigger.as_str(), kid = kid.as_str(), "keys.added");
            }
            for kid in before.iter().filter(|kid| !after.contains(kid)) {
                tracing::warn!(
                    trigger = trigger.as_str(),
                    kid = kid.as_str(),
                    "keys.dropped: tokens that it signed are refused"
                );
            }
            tracing::info!(
                trigger = trigger.as_str(),
                signing = new.signing().kid().as_str(),
                published = after.len(),
                "keys.reloaded"
            );
            log_files(new);
        }
        Reload::Rejected(rejection) => log_rejection(trigger, rejection),
        Reload::StillRejected(rejection) if trigger.is_asked() => log_rejection(trigger, rejection),
        Reload::Restored => {
            tracing::info!(
                trigger = trigger.as_str(),
                "keys.restored: the files hold what is in force again"
            );
        }
        Reload::Unchanged if trigger.is_asked() => {
            tracing::info!(trigger = trigger.as_str(), "keys.unchanged");
        }
        // the timer would say the same every time
        Reload::StillRejected(_) | Reload::Unchanged | Reload::Unsettled => {}
    }
}

/// Follows time for as long as the runtime runs, and lets a new key follow when `rotate_every` says so.
pub(super) fn follow_time(keys: &Arc<FollowedKeys>, keeper: &KeyKeeper, poll: Option<Duration>) {
    let tick = poll.unwrap_or(TICK).min(TICK);
    tokio::spawn(tell_activations(Arc::clone(&keys.0), tick));
    if keys.0.terms().rotate_every.is_some() && keeper.folder().is_writable() {
        tokio::spawn(rotate(Arc::clone(keys), keeper.clone(), tick));
    }
}

async fn tell_activations(keys: Arc<LiveKeys>, tick: Duration) {
    let mut ticks = time::interval(tick);
    ticks.set_missed_tick_behavior(time::MissedTickBehavior::Delay);
    let mut signing = keys.ring().signing().kid().clone();
    loop {
        ticks.tick().await;
        let ring = keys.ring();
        let now = ring.signing().kid();
        if *now != signing {
            tracing::info!(kid = now.as_str(), before = signing.as_str(), "keys.activated");
            signing = now.clone();
        }
    }
}

async fn rotate(keys: Arc<FollowedKeys>, keeper: KeyKeeper, tick: Duration) {
    loop {
        time::sleep(tick).await;
        if !keys.0.is_rotation_due() {
            continue;
        }
        let keeper = keeper.clone();
        let rotated = task::spawn_blocking(move || keeper.rotate_if_due()).await;
        if let Ok(Ok(_)) = rotated {
            // also where another replica was faster
            read_again(&keys, Trigger::Rotation).await;
        }
        let error = match rotated {
            Ok(Ok(None)) => continue,
            Ok(Ok(Some(new))) => {
                tracing::info!(kid = new.kid.as_str(), signs_from = %new.activates, "keys.rotated");
                continue;
            }
            Ok(Err(OrderError::Keys(errors))) if errors.is_read_only() => {
                return tracing::warn!(%errors, "keys.read_only: this server does not rotate any more");
            }
            Ok(Err(error)) => error.to_string(),
            Err(error) => error.to_string(),
        };
        tracing::error!(error, "keys.rotation_failed: it is tried again in a minute");
        time::sleep(RETRY).await;
    }
}
