//! The decision log and the candidate policies, followed while the server runs.

use std::{sync::Arc, time::Duration};

use actix_web::rt;
use tokio::{signal::unix, time};
use tracing::field::display;

use super::trigger::{SETTLING, Trigger};
use crate::{
    audit::Audit,
    event,
    policy::{CandidatePolicies, CandidateReload, Rejection, Reload},
};

/// Reads the candidate, if there is one. One that is not sound stops no start.
pub(super) fn read_candidate(audit: &Audit) {
    if let Some(shadow) = audit.shadow() {
        reload_candidate(shadow.candidate(), Trigger::Start);
    }
}

fn log_rejection(candidate: &CandidatePolicies, trigger: Trigger, rejection: &Rejection) {
    let count = rejection.findings.errors().count();
    if candidate.current().is_some() {
        event::CandidateRejected { trigger: trigger.as_str(), count }.error();
    } else {
        event::FirstCandidateRejected { trigger: trigger.as_str(), count }.error();
    }
    for error in rejection.findings.errors() {
        let (at, code) = (error.place(), error.code.to_string());
        let hint = error.hint.as_deref();
        event::CandidateError { at: &at, code: &code, finding: &error.message, hint }.error();
    }
}

/// Reads the candidate again and logs what came of it. Blocks on the disk.
fn reload_candidate(candidate: &CandidatePolicies, trigger: Trigger) -> CandidateReload {
    let outcome = if trigger == Trigger::Poll { candidate.poll() } else { candidate.reload() };
    match &outcome {
        CandidateReload::Loaded(hash) => {
            event::CandidateLoaded { trigger: trigger.as_str(), hash: display(hash) }.info();
        }
        CandidateReload::Read(Reload::Reloaded(replaced)) => {
            let (old, new) = (replaced.before().policies.hash(), replaced.after().policies.hash());
            let trigger = trigger.as_str();
            event::CandidateReloaded { trigger, old: display(old), new: display(new) }.info();
        }
        CandidateReload::Read(Reload::Rejected(rejection)) => log_rejection(candidate, trigger, rejection),
        CandidateReload::Read(Reload::StillRejected(rejection)) if trigger.is_asked() => {
            log_rejection(candidate, trigger, rejection);
        }
        CandidateReload::Read(Reload::Restored) => {
            event::CandidateRestored { trigger: trigger.as_str() }.info();
        }
        CandidateReload::Read(Reload::StillRejected(_) | Reload::Unchanged | Reload::Unsettled) => {}
    }
    outcome
}

/// As [`reload_candidate`], beside the requests.
pub(super) async fn reload_candidate_beside(
    candidate: Arc<CandidatePolicies>,
    trigger: Trigger,
) -> Option<CandidateReload> {
    let shared = Arc::clone(&candidate);
    let outcome = rt::task::spawn_blocking(move || reload_candidate(&shared, trigger)).await;
    outcome
        .inspect_err(|error| {
            event::CandidateUnread { trigger: trigger.as_str(), error: display(error) }.error();
            candidate.reload_failed();
        })
        .ok()
}

/// Reads the candidate again on SIGHUP and every `poll`, and opens the decision log again on SIGHUP, as long as the
/// server runs.
pub(super) fn watch_audit(audit: &Audit, poll: Option<Duration>) {
    if audit.is_off() {
        return;
    }
    let candidate = audit.shadow().map(|shadow| Arc::clone(shadow.candidate()));
    if let (Some(candidate), Some(poll)) = (candidate.clone(), poll) {
        rt::spawn(async move {
            let mut ticks = time::interval(poll);
            ticks.set_missed_tick_behavior(time::MissedTickBehavior::Delay);
            loop {
                ticks.tick().await;
                while let Some(CandidateReload::Read(Reload::Unsettled)) =
                    reload_candidate_beside(Arc::clone(&candidate), Trigger::Poll).await
                {
                    time::sleep(SETTLING).await;
                }
            }
        });
    }
    match unix::signal(unix::SignalKind::hangup()) {
        Ok(mut hangups) => {
            let log = audit.log().cloned();
            rt::spawn(async move {
                while hangups.recv().await.is_some() {
                    if let Some(log) = &log {
                        log.reopen();
                    }
                    if let Some(candidate) = &candidate {
                        reload_candidate_beside(Arc::clone(candidate), Trigger::Signal).await;
                    }
                }
            });
        }
        Err(error) => event::AuditSignalsFailed { error: display(&error) }.error(),
    }
}
