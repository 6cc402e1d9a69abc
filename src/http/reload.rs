//! When the policies are read again: on a timer, on SIGHUP (and the keys with them), and when an operator asks.

use std::{sync::Arc, time::Duration};

use actix_web::rt;
use tokio::{signal::unix, time};

use super::key_watch::reload_keys_beside;
use crate::{
    keys::LiveKeys,
    policy::{Findings, LivePolicies, Rejection, Reload, Severity},
};

/// How long files must hold still before they are taken over by a poll.
pub(super) const SETTLING: Duration = Duration::from_millis(500);

/// The trigger that comes every few seconds, and is not worth a line when there is nothing new.
pub(super) const POLL: &str = "poll";

/// Logs each finding on a line of its own.
pub(super) fn log_findings(event: &'static str, findings: &Findings) {
    for finding in &findings.0 {
        let (at, code, hint) = (finding.place(), finding.code.to_string(), finding.hint.as_deref());
        match finding.severity {
            Severity::Error => tracing::error!(at, code, finding = finding.message, hint, "{event}"),
            Severity::Warning => tracing::warn!(at, code, finding = finding.message, hint, "{event}"),
        }
    }
}

fn log_rejection(trigger: &'static str, rejection: &Rejection) {
    let count = rejection.findings.0.len();
    tracing::error!(trigger, count, "policies.rejected: what was in force stays");
    log_findings("policies.rejected", &rejection.findings);
}

/// Reads the policies again and logs what came of it. Blocks on the disk.
pub(super) fn reload(policies: &LivePolicies, trigger: &'static str) -> Reload {
    let outcome = if trigger == POLL { policies.poll() } else { policies.reload() };
    match &outcome {
        Reload::Reloaded { old, new, difference } => {
            let effect = difference.as_ref().map_or("too much to compare", |found| found.summary.as_str());
            let (gains, losses) = difference.as_ref().map(|found| (found.gains, found.losses)).unzip();
            tracing::info!(trigger, %old, %new, effect, gains, losses, "policies.reloaded");
            log_findings("policies.warning", policies.current().policies.warnings());
        }
        Reload::Rejected(rejection) => log_rejection(trigger, rejection),
        Reload::StillRejected(rejection) if trigger != POLL => log_rejection(trigger, rejection),
        Reload::Restored => {
            tracing::info!(trigger, "policies.restored: the files hold what is in force again");
        }
        Reload::Unchanged if trigger != POLL => tracing::info!(trigger, "policies.unchanged"),
        // the timer would say the same every time
        Reload::StillRejected(_) | Reload::Unchanged | Reload::Unsettled => {}
    }
    outcome
}

/// As [`reload`], beside the requests.
pub(super) async fn reload_beside(policies: Arc<LivePolicies>, trigger: &'static str) -> Option<Reload> {
    let shared = Arc::clone(&policies);
    let outcome = rt::task::spawn_blocking(move || reload(&shared, trigger)).await;
    outcome
        .inspect_err(|error| {
            tracing::error!(
                trigger,
                detail = error.to_string(),
                "policies.rejected: what was in force stays"
            );
            policies.reload_failed();
        })
        .ok()
}

/// Reads the policies again on SIGHUP and every `poll`, as long as the server runs.
pub(super) fn watch(policies: &Arc<LivePolicies>, keys: &Arc<LiveKeys>, poll: Option<Duration>) {
    if let Some(poll) = poll {
        let policies = Arc::clone(policies);
        rt::spawn(async move {
            let mut ticks = time::interval(poll);
            ticks.set_missed_tick_behavior(time::MissedTickBehavior::Delay);
            loop {
                ticks.tick().await;
                while let Some(Reload::Unsettled) = reload_beside(Arc::clone(&policies), POLL).await {
                    time::sleep(SETTLING).await;
                }
            }
        });
    }
    match unix::signal(unix::SignalKind::hangup()) {
        Ok(mut hangups) => {
            let (policies, keys) = (Arc::clone(policies), Arc::clone(keys));
            rt::spawn(async move {
                while hangups.recv().await.is_some() {
                    reload_keys_beside(Arc::clone(&keys), "SIGHUP").await;
                    reload_beside(Arc::clone(&policies), "SIGHUP").await;
                }
            });
        }
        Err(error) => tracing::error!(%error, "SIGHUP will not reload the policies"),
    }
}
