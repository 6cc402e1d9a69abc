//! The candidate policies, followed.

use std::sync::Arc;

use jeton_policy::{
    CandidatePolicies, CandidateReload, Findings, PolicySnapshot, Rejection, Reload, Swapped,
};
use tokio::task::JoinError;
use tracing::field::display;

use super::{Follow, Teller, Trigger};
use crate::event;

/// The candidate as it is followed.
pub(super) struct FollowedCandidate {
    pub(super) candidate: Arc<CandidatePolicies>,
    pub(super) teller: Teller,
}

impl Follow for FollowedCandidate {
    type New = Arc<Swapped<Option<Arc<PolicySnapshot>>>>;
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
        event::CandidateUnread { trigger: trigger.as_str(), error: display(error) }.error();
        self.candidate.reload_failed();
    }
}

fn log_rejection(candidate: &CandidatePolicies, trigger: Trigger, rejection: &Rejection<Findings>) {
    let count = rejection.faults.errors().count();
    if candidate.snapshot().is_some() {
        event::CandidateRejected { trigger: trigger.as_str(), count }.error();
    } else {
        event::FirstCandidateRejected { trigger: trigger.as_str(), count }.error();
    }
    for error in rejection.faults.errors() {
        let (at, code) = (error.place(), error.code.to_string());
        let hint = error.hint.as_deref();
        event::CandidateError { at: &at, code: &code, finding: &error.message, hint }.error();
    }
}

/// Says in the log what came of a reading.
pub(super) fn tell(candidate: &CandidatePolicies, trigger: Trigger, outcome: &CandidateReload) {
    match outcome {
        Reload::Reloaded(swapped) => {
            let Some(after) = &*swapped.after else { return };
            let (trigger, new) = (trigger.as_str(), after.policies.hash());
            match &*swapped.before {
                None => event::CandidateLoaded { trigger, hash: display(new) }.info(),
                Some(before) => {
                    let old = before.policies.hash();
                    event::CandidateReloaded { trigger, old: display(old), new: display(new) }.info();
                }
            }
        }
        Reload::Rejected(rejection) => log_rejection(candidate, trigger, rejection),
        Reload::StillRejected(rejection) if trigger.is_asked() => {
            log_rejection(candidate, trigger, rejection);
        }
        Reload::Restored => {
            event::CandidateRestored { trigger: trigger.as_str() }.info();
        }
        Reload::StillRejected(_) | Reload::Unchanged | Reload::Unsettled => {}
    }
}
