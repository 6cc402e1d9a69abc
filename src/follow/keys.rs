//! The keys, followed: what the folder holds, what time does to them, and a new key when it is due.

use std::{sync::Arc, time::Duration};

use jeton_policy::{Rejection, Reload, Swapped};
use tokio::{
    task::{self, JoinError},
    time,
};
use tracing::field::display;

use super::{Follow, Trigger, read_again};
use crate::{
    app::{App, late_reading},
    event,
    keys::{KeyErrors, KeyKeeper, KeyReload, KeyRing, LiveKeys, OrderError},
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
        event::KeysAlgorithm { signs: signs.name(), set: wanted.name() }.info();
    }
    if let Some(detail) = late_reading(settings, keys.terms()) {
        event::KeysReadLate { detail: &detail }.warn();
    }
    if keys.terms().rotate_every.is_some() && !keeper.folder().is_writable() {
        let dir = keeper.folder().path().display();
        event::KeysReadOnly { dir: display(&dir) }.warn();
    }
}

/// Tells of files that an operator should look at.
fn log_files(ring: &KeyRing) {
    for key in ring.unlisted() {
        let (path, kid) = (key.path.display(), key.kid.as_str());
        event::KeysUnlisted { path: display(&path), kid }.warn();
    }
    for path in ring.exposed() {
        event::KeysReadable { path: display(&path.display()) }.warn();
    }
}

fn log_rejection(trigger: Trigger, rejection: &Rejection<KeyErrors>) {
    for error in rejection.faults.to_string().lines() {
        event::KeysRejected { trigger: trigger.as_str(), error }.error();
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
        event::KeysUnread { trigger: trigger.as_str(), error: display(error) }.error();
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
                event::KeysAdded { trigger: trigger.as_str(), kid: kid.as_str() }.info();
            }
            for kid in before.iter().filter(|kid| !after.contains(kid)) {
                event::KeysDropped { trigger: trigger.as_str(), kid: kid.as_str() }.warn();
            }
            event::KeysReloaded {
                trigger: trigger.as_str(),
                signing: new.signing().kid().as_str(),
                published: after.len(),
            }
            .info();
            log_files(new);
        }
        Reload::Rejected(rejection) => log_rejection(trigger, rejection),
        Reload::StillRejected(rejection) if trigger.is_asked() => log_rejection(trigger, rejection),
        Reload::Restored => {
            event::KeysRestored { trigger: trigger.as_str() }.info();
        }
        Reload::Unchanged if trigger.is_asked() => {
            event::KeysUnchanged { trigger: trigger.as_str() }.info();
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
            event::KeysActivated { kid: now.as_str(), before: signing.as_str() }.info();
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
                event::KeysRotated { kid: new.kid.as_str(), signs_from: display(&new.activates) }.info();
                continue;
            }
            Ok(Err(OrderError::Keys(errors))) if errors.is_read_only() => {
                return event::RotationStopped { errors: display(&errors) }.warn();
            }
            Ok(Err(error)) => error.to_string(),
            Err(error) => error.to_string(),
        };
        event::KeysRotationFailed { error: &error }.error();
        time::sleep(RETRY).await;
    }
}
