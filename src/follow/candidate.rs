//! The candidate policies, followed.

use std::sync::Arc;

use tokio::task::JoinError;

use super::{Follow, Teller, Trigger, policies::log_errors};
use crate::policy::{CandidatePolicies, CandidateReload, Findings, Rejection, Reload, Snapshot, Swapped};

/// The candidate as it is followed.
pub(super) struct FollowedCandidate {
    pub(super) candidate: Arc<CandidatePolicies>,
    pub(super) teller: Teller,
}

impl Follow for FollowedCandidate {
    type New = Arc<Swapped<Option<Arc<Snapshot>>>>;
    type Faults = Findings;

    fn poll(&self) -> CandidateReload {
        self.candidate.poll()
    }

    fn reload(&self) -> CandidateReload {
        self.candidate.reload()
    }

    /// Behind the lines about the policies, which take longer.
    fn tell(&self, trigger: Trigger, outcome: &CandidateReload) {
        let (candidate, outcome) = (Arc::clone(&self.candidate), outcome.clone());
        self.teller.tell(move || tell(&candidate, trigger, &outcome));
    }

    fn failed(&self, trigger: Trigger, error: &JoinError) {
        tracing::error!(trigger = trigger.as_str(), %error, "candidate.rejected: the last good one is compared with, if there is one");
        self.candidate.reload_failed();
    }
}

fn log_rejection(candidate: &CandidatePolicies, trigger: Trigger, rejection: &Rejection<Findings>) {
    let count = rejection.faults.errors().count();
    if candidate.current().is_some() {
        tracing::error!(
            trigger = trigger.as_str(),
            count,
            "candidate.rejected: the last good one is compared with"
        );
    } else {
        tracing::error!(
            trigger = trigger.as_str(),
            count,
            "candidate.rejected: nothing is compared until it is sound"
        );
    }
    log_errors("candidate.rejected", &rejection.faults);
}

/// Says in the log what came of a reading.
pub(super) fn tell(candidate: &CandidatePolicies, trigger: Trigger, outcome: &CandidateReload) {
    match outcome {
        Reload::Reloaded(swapped) => {
            let hash_of = |snapshot: &Option<Arc<Snapshot>>| {
                snapshot.as_ref().map(|snapshot| snapshot.policies.hash().to_string())
            };
            let (old, new) = (hash_of(&swapped.before), hash_of(&swapped.after));
            if old.is_none() {
                tracing::info!(trigger = trigger.as_str(), hash = new, "candidate.loaded");
            } else {
                tracing::info!(trigger = trigger.as_str(), old, new, "candidate.reloaded");
            }
        }
        Reload::Rejected(rejection) => log_rejection(candidate, trigger, rejection),
        Reload::StillRejected(rejection) if trigger.is_asked() => {
            log_rejection(candidate, trigger, rejection);
        }
        Reload::Restored => {
            tracing::info!(
                trigger = trigger.as_str(),
                "candidate.restored: the files hold what is compared with again"
            );
        }
        Reload::StillRejected(_) | Reload::Unchanged | Reload::Unsettled => {}
    }
}
