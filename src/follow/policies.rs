//! The policies, followed.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError, Weak},
};

use jeton_policy::{
    Finding, FindingCode, Findings, LivePolicies, PolicyDiff, PolicyReload, PolicySnapshot, Rejection,
    Reload, ReplacedPolicies,
};
use tokio::task::{self, JoinError};
use tracing::field::display;

use super::{Follow, Teller, Trigger};
use crate::{event, federation::FollowedIssuers, telemetry::Telemetry};

/// The policies as they are followed.
pub(super) struct FollowedPolicies {
    policies: Arc<LivePolicies>,
    warned: Arc<Mutex<Warned>>,
    telemetry: Arc<Telemetry>,
    issuers: Arc<FollowedIssuers>,
    teller: Teller,
}

impl FollowedPolicies {
    pub(super) fn new(
        policies: Arc<LivePolicies>,
        telemetry: Arc<Telemetry>,
        issuers: Arc<FollowedIssuers>,
        teller: Teller,
    ) -> Self {
        Self { policies, warned: Arc::default(), telemetry, issuers, teller }
    }

    /// Follows the issuers of the policies in force.
    pub(super) fn follow_issuers(&self) {
        self.issuers.follow(self.policies.snapshot().policies.issuers());
    }

    /// Tells the warnings of the first policies.
    pub(super) fn tell_start(&self) {
        let snapshot = self.policies.snapshot();
        self.tell_later(move |policies, warned| {
            log_warnings(&snapshot, policies, warned);
        });
    }

    fn tell_later(&self, tell: impl FnOnce(&LivePolicies, &mut Warned) + Send + 'static) {
        let (policies, warned) = (Arc::clone(&self.policies), Arc::clone(&self.warned));
        self.teller.tell(move || tell(&policies, &mut warned.lock().unwrap_or_else(PoisonError::into_inner)));
    }
}

impl Follow for FollowedPolicies {
    type New = Arc<ReplacedPolicies>;
    type Faults = Findings;

    fn poll(&self) -> PolicyReload {
        self.policies.poll()
    }

    fn reload(&self) -> PolicyReload {
        self.policies.reload()
    }

    fn tell(&self, trigger: Trigger, outcome: &PolicyReload) {
        if let Reload::Reloaded(replaced) = outcome {
            // those in force, which others may have replaced meanwhile
            self.follow_issuers();
            self.telemetry.policies_replaced(&replaced.before().policies, &replaced.after().policies);
        }
        let outcome = outcome.clone();
        self.tell_later(move |policies, warned| tell(trigger, &outcome, policies, warned));
    }

    fn failed(&self, trigger: Trigger, error: &JoinError) {
        event::PoliciesUnread { trigger: trigger.as_str(), detail: &error.to_string() }.error();
        self.policies.reload_failed();
    }
}

/// Logs each error on a line of its own. The warnings beside them keep nothing from loading, and those of what is in
/// force were logged when it came.
fn log_rejection(trigger: Trigger, rejection: &Rejection<Findings>) {
    let count = rejection.faults.errors().count();
    event::PoliciesRejected { trigger: trigger.as_str(), count }.error();
    for error in rejection.faults.errors() {
        let (at, code) = (error.place(), error.code.to_string());
        let hint = error.hint.as_deref();
        event::PoliciesError { at: &at, code: &code, finding: &error.message, hint }.error();
    }
}

fn tell(trigger: Trigger, outcome: &PolicyReload, policies: &LivePolicies, warned: &mut Warned) {
    match outcome {
        Reload::Reloaded(replaced) => {
            let (old, new) = (replaced.before().policies.hash(), replaced.after().policies.hash());
            let difference = replaced.difference();
            let effect = difference.map_or("too much to compare", |found| found.summary.as_str());
            let counts = difference.map(PolicyDiff::counts);
            let (gains, losses) = counts.map(|counts| (counts.gains, counts.losses)).unzip();
            let clients = counts.map(|counts| counts.clients);
            event::PoliciesReloaded {
                trigger: trigger.as_str(),
                old: display(old),
                new: display(new),
                effect,
                gains,
                losses,
                clients,
            }
            .info();
            log_counted_warnings(trigger, replaced.after(), policies, warned);
        }
        Reload::Rejected(rejection) => log_rejection(trigger, rejection),
        Reload::StillRejected(rejection) if trigger.is_asked() => {
            log_rejection(trigger, rejection);
        }
        Reload::Restored => {
            event::PoliciesRestored { trigger: trigger.as_str() }.info();
            log_passed_over(trigger, policies, warned);
        }
        Reload::Unchanged => {
            if trigger.is_asked() {
                event::PoliciesUnchanged { trigger: trigger.as_str() }.info();
            }
            log_passed_over(trigger, policies, warned);
        }
        // the timer would say the same every time
        Reload::StillRejected(_) | Reload::Unsettled => {}
    }
}

/// The warnings that the log has of what was in force.
#[derive(Default)]
struct Warned {
    /// Kind, file and words, and how often. They may move to other lines of their file.
    known: HashMap<(FindingCode, String, String), usize>,
    /// What was in force then.
    of: Weak<PolicySnapshot>,
    /// What was passed over then, which may change without a reload.
    passed_over: Arc<Vec<Finding>>,
}

/// How many warnings were logged, were there before, and are there no more.
struct WarnedCounts {
    new: usize,
    same: usize,
    gone: usize,
}

impl Warned {
    /// Those of `findings` that are new. What is there now takes the place of what was.
    fn take_new<'f>(
        &mut self,
        findings: impl Iterator<Item = &'f Finding>,
    ) -> (Vec<&'f Finding>, WarnedCounts) {
        let mut same = 0;
        let mut now = HashMap::new();
        let is_new = |finding: &&Finding| {
            let key = (finding.code, finding.file.clone(), unplaced(&finding.message));
            let is_known = self.known.get_mut(&key).is_some_and(|left| match left.checked_sub(1) {
                Some(fewer) => {
                    *left = fewer;
                    true
                }
                None => false,
            });
            *now.entry(key).or_default() += 1;
            same += usize::from(is_known);
            !is_known
        };
        let new: Vec<_> = findings.filter(is_new).collect();
        let gone = self.known.values().sum();
        self.known = now;
        let counts = WarnedCounts { new: new.len(), same, gone };
        (new, counts)
    }
}

/// A message without the lines of files, where it names them: these move with every edit above.
fn unplaced(message: &str) -> String {
    let mut parts = message.split("ml:");
    let first = parts.next().unwrap_or_default().to_owned();
    parts.fold(first, |text, part| text + "ml:" + part.trim_start_matches(|c: char| c.is_ascii_digit()))
}

/// Logs the warnings that are new. Those of policies that others have replaced meanwhile are of no interest.
fn log_warnings(
    snapshot: &Arc<PolicySnapshot>,
    policies: &LivePolicies,
    warned: &mut Warned,
) -> Option<WarnedCounts> {
    if !Arc::ptr_eq(snapshot, &policies.current()) {
        return None;
    }
    warned.of = Arc::downgrade(snapshot);
    let passed_over = snapshot.passed_over();
    let loaded = &snapshot.policies.warnings().0;
    let now = loaded.iter().filter(|finding| !finding.is_of_passed_over_file()).chain(passed_over.iter());
    let (new, counts) = warned.take_new(now);
    for warning in new {
        let (at, code) = (warning.place(), warning.code.to_string());
        let hint = warning.hint.as_deref();
        event::PoliciesWarning { at: &at, code: &code, finding: &warning.message, hint }.warn();
    }
    warned.passed_over = passed_over;
    Some(counts)
}

/// Logs the warnings that are new where others than before are passed over beside what is in force. What nobody has
/// told of yet is left to the news of its reload.
fn log_passed_over(trigger: Trigger, policies: &LivePolicies, warned: &mut Warned) {
    let snapshot = policies.snapshot();
    let is_told = warned.of.as_ptr() == Arc::as_ptr(&snapshot);
    if is_told && !Arc::ptr_eq(&warned.passed_over, &snapshot.passed_over()) {
        log_counted_warnings(trigger, &snapshot, policies, warned);
    }
}

/// As [`log_warnings`], and behind them how many there are.
fn log_counted_warnings(
    trigger: Trigger,
    snapshot: &Arc<PolicySnapshot>,
    policies: &LivePolicies,
    warned: &mut Warned,
) {
    if let Some(WarnedCounts { new, same, gone }) = log_warnings(snapshot, policies, warned)
        && new + same + gone > 0
    {
        event::PoliciesWarnings { trigger: trigger.as_str(), new, same, gone }.info();
    }
}

/// What a reload changed, worked out beside the requests; the inner `None` where that is too much work.
pub(crate) async fn difference_beside(replaced: Arc<ReplacedPolicies>) -> Option<Option<PolicyDiff>> {
    task::spawn_blocking(move || replaced.difference().cloned()).await.ok()
}
