//! When the policies are read again: on a timer, on SIGHUP (and the keys with them), and when an operator asks.

use std::{sync::Arc, time::Duration};

use actix_web::rt;
use tokio::{
    signal::unix,
    sync::mpsc::{self, UnboundedReceiver, UnboundedSender},
    time,
};

use super::key_watch::reload_keys_beside;
use crate::{
    keys::LiveKeys,
    policy::{Difference, Findings, LivePolicies, Rejection, Reload, Replaced, Severity, Snapshot},
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

/// Tells in the log what came of reloads, one after the other. What takes long to say (what differs, thousands of
/// warnings) is said beside the reloads: the next revocation does not wait for it.
#[derive(Clone)]
pub(super) struct Teller(UnboundedSender<News>);

enum News {
    /// The first policies are in force.
    Loaded(Arc<Snapshot>),
    /// Somebody or something asked for a reload.
    Reload(&'static str, Reload),
}

impl Teller {
    /// Tells as long as one of its clones is there. Must run within an actix system.
    pub(super) fn start(policies: Arc<LivePolicies>) -> Self {
        let (sender, news) = mpsc::unbounded_channel();
        rt::spawn(tell_all(news, policies));
        Self(sender)
    }

    pub(super) fn tell_start(&self, snapshot: Arc<Snapshot>) {
        self.tell(News::Loaded(snapshot));
    }

    fn tell(&self, news: News) {
        // nobody listens where the server has ended
        let _ = self.0.send(news);
    }
}

async fn tell_all(mut news: UnboundedReceiver<News>, policies: Arc<LivePolicies>) {
    while let Some(next) = news.recv().await {
        let policies = Arc::clone(&policies);
        if let Err(error) = rt::task::spawn_blocking(move || tell(&next, &policies)).await {
            tracing::error!(%error, "policies.untold: what is in force is not affected");
        }
    }
}

fn tell(news: &News, policies: &LivePolicies) {
    match news {
        News::Loaded(snapshot) => log_warnings(snapshot, policies),
        News::Reload(trigger, Reload::Reloaded(replaced)) => {
            let (old, new) = (replaced.before().policies.hash(), replaced.after().policies.hash());
            let difference = replaced.difference();
            let effect = difference.map_or("too much to compare", |found| found.summary.as_str());
            let counts = difference.map(Difference::counts);
            let (gains, losses) = counts.map(|counts| (counts.gains, counts.losses)).unzip();
            let clients = counts.map(|counts| counts.clients);
            tracing::info!(trigger, %old, %new, effect, gains, losses, clients, "policies.reloaded");
            log_warnings(replaced.after(), policies);
        }
        News::Reload(trigger, Reload::Rejected(rejection)) => log_rejection(trigger, rejection),
        News::Reload(trigger, Reload::StillRejected(rejection)) if *trigger != POLL => {
            log_rejection(trigger, rejection);
        }
        News::Reload(trigger, Reload::Restored) => {
            tracing::info!(trigger, "policies.restored: the files hold what is in force again");
        }
        News::Reload(trigger, Reload::Unchanged) if *trigger != POLL => {
            tracing::info!(trigger, "policies.unchanged");
        }
        // the timer would say the same every time
        News::Reload(_, Reload::StillRejected(_) | Reload::Unchanged | Reload::Unsettled) => {}
    }
}

/// Those of policies that others have replaced meanwhile are of no interest.
fn log_warnings(snapshot: &Arc<Snapshot>, policies: &LivePolicies) {
    if Arc::ptr_eq(snapshot, &policies.current()) {
        log_findings("policies.warning", snapshot.policies.warnings());
    }
}

/// Reads the policies again, beside the requests.
pub(super) async fn reload_beside(
    policies: Arc<LivePolicies>,
    teller: &Teller,
    trigger: &'static str,
) -> Option<Reload> {
    let shared = Arc::clone(&policies);
    let read = move || if trigger == POLL { shared.poll() } else { shared.reload() };
    match rt::task::spawn_blocking(read).await {
        Ok(outcome) => {
            teller.tell(News::Reload(trigger, outcome.clone()));
            Some(outcome)
        }
        Err(error) => {
            tracing::error!(
                trigger,
                detail = error.to_string(),
                "policies.rejected: what was in force stays"
            );
            policies.reload_failed();
            None
        }
    }
}

/// What a reload changed, worked out beside the requests; the inner `None` where that is too much work.
pub(super) async fn difference_beside(replaced: Arc<Replaced>) -> Option<Option<Difference>> {
    rt::task::spawn_blocking(move || replaced.difference().cloned()).await.ok()
}

/// Reads the policies again on SIGHUP and every `poll`, as long as the server runs.
pub(super) fn watch(
    policies: &Arc<LivePolicies>,
    teller: &Teller,
    keys: &Arc<LiveKeys>,
    poll: Option<Duration>,
) {
    if let Some(poll) = poll {
        let (policies, teller) = (Arc::clone(policies), teller.clone());
        rt::spawn(async move {
            let mut ticks = time::interval(poll);
            ticks.set_missed_tick_behavior(time::MissedTickBehavior::Delay);
            loop {
                ticks.tick().await;
                while let Some(Reload::Unsettled) = reload_beside(Arc::clone(&policies), &teller, POLL).await
                {
                    time::sleep(SETTLING).await;
                }
            }
        });
    }
    match unix::signal(unix::SignalKind::hangup()) {
        Ok(mut hangups) => {
            let (policies, teller, keys) = (Arc::clone(policies), teller.clone(), Arc::clone(keys));
            rt::spawn(async move {
                while hangups.recv().await.is_some() {
                    reload_keys_beside(Arc::clone(&keys), "SIGHUP").await;
                    reload_beside(Arc::clone(&policies), &teller, "SIGHUP").await;
                }
            });
        }
        Err(error) => tracing::error!(%error, "SIGHUP will not reload the policies"),
    }
}
