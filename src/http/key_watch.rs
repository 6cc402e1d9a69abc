//! When the keys are read again, and when a server lets a new one follow.

use std::{sync::Arc, time::Duration};

use actix_web::rt;
use tokio::time;
use tracing::field::display;

use super::trigger::{SETTLING, Trigger};
use crate::{
    app::late_reading,
    config::Settings,
    event,
    keys::{KeyKeeper, KeyReload, KeyRing, LiveKeys, OrderError, RejectedKeys},
};

/// How often time is looked at where the folder is not, or not as often.
const TICK: Duration = Duration::from_secs(10);
/// After what time a rotation is tried again that failed.
const RETRY: Duration = Duration::from_mins(1);

/// Tells what is in force, once: at the start.
pub(super) fn log_start(keys: &LiveKeys, keeper: &KeyKeeper, settings: &Settings) {
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

fn log_rejection(trigger: Trigger, rejection: &RejectedKeys) {
    for error in rejection.errors.lines() {
        event::KeysRejected { trigger: trigger.as_str(), error }.error();
    }
}

/// Reads the keys again and logs what came of it. Blocks on the disk.
pub(super) fn reload_keys(keys: &LiveKeys, trigger: Trigger) -> KeyReload {
    let outcome = if trigger == Trigger::Poll { keys.poll() } else { keys.reload() };
    match &outcome {
        KeyReload::Reloaded { old, new } => {
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
        KeyReload::Rejected(rejection) => log_rejection(trigger, rejection),
        KeyReload::StillRejected(rejection) if trigger.is_asked() => log_rejection(trigger, rejection),
        KeyReload::Restored => {
            event::KeysRestored { trigger: trigger.as_str() }.info();
        }
        KeyReload::Unchanged if trigger.is_asked() => {
            event::KeysUnchanged { trigger: trigger.as_str() }.info();
        }
        // the timer would say the same every time
        KeyReload::StillRejected(_) | KeyReload::Unchanged | KeyReload::Unsettled => {}
    }
    outcome
}

/// As [`reload_keys`], beside the requests.
pub(super) async fn reload_keys_beside(keys: Arc<LiveKeys>, trigger: Trigger) -> Option<KeyReload> {
    let outcome = rt::task::spawn_blocking(move || reload_keys(&keys, trigger)).await;
    outcome
        .inspect_err(|error| {
            event::KeysUnread { trigger: trigger.as_str(), error: display(error) }.error();
        })
        .ok()
}

/// Follows the keys as long as the server runs: what the folder holds, every `poll`, and the time; and lets a new
/// key follow when `rotate_every` says so.
pub(super) fn watch_keys(keys: &Arc<LiveKeys>, keeper: KeyKeeper, poll: Option<Duration>) {
    let tick = poll.unwrap_or(TICK).min(TICK);
    rt::spawn(follow_time(Arc::clone(keys), tick));
    if let Some(poll) = poll {
        rt::spawn(follow_folder(Arc::clone(keys), poll));
    }
    if keys.terms().rotate_every.is_some() && keeper.folder().is_writable() {
        rt::spawn(rotate(Arc::clone(keys), keeper, tick));
    }
}

async fn follow_folder(keys: Arc<LiveKeys>, poll: Duration) {
    loop {
        // it was read just now
        time::sleep(poll).await;
        while let Some(KeyReload::Unsettled) = reload_keys_beside(Arc::clone(&keys), Trigger::Poll).await {
            time::sleep(SETTLING).await;
        }
    }
}

async fn follow_time(keys: Arc<LiveKeys>, tick: Duration) {
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

async fn rotate(keys: Arc<LiveKeys>, keeper: KeyKeeper, tick: Duration) {
    loop {
        time::sleep(tick).await;
        if !keys.is_rotation_due() {
            continue;
        }
        let (shared, keeper) = (Arc::clone(&keys), keeper.clone());
        let rotated = rt::task::spawn_blocking(move || {
            let made = keeper.rotate_if_due();
            if made.is_ok() {
                // also where another replica was faster
                reload_keys(&shared, Trigger::Rotation);
            }
            made
        });
        let error = match rotated.await {
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
