//! When the policies are read again: on a timer, on SIGHUP (and the keys with them), and when an operator asks.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError, Weak},
    time::Duration,
};

use actix_web::rt;
use tokio::{
    signal::unix,
    sync::mpsc::{self, UnboundedReceiver, UnboundedSender},
    time,
};
use tracing::field::display;

use super::{
    key_watch::reload_keys_beside,
    trigger::{SETTLING, Trigger},
};
use crate::{
    event,
    keys::LiveKeys,
    policy::{Code, Difference, Finding, LivePolicies, Rejection, Reload, Replaced, Snapshot},
};

/// Logs each error on a line of its own. The warnings beside them keep nothing from loading, and those of what is in
/// force were logged when it came.
fn log_rejection(trigger: Trigger, rejection: &Rejection) {
    let count = rejection.findings.errors().count();
    event::PoliciesRejected { trigger: trigger.as_str(), count }.error();
    for error in rejection.findings.errors() {
        let (at, code) = (error.place(), error.code.to_string());
        let hint = error.hint.as_deref();
        event::PoliciesError { at: &at, code: &code, finding: &error.message, hint }.error();
    }
}

/// Tells in the log what came of reloads, one after the other. What takes long to say (what differs, thousands of
/// warnings) is said beside the reloads: the next revocation does not wait for it.
#[derive(Clone)]
pub(super) struct Teller(UnboundedSender<News>);

enum News {
    /// The first policies are in force.
    Loaded(Arc<Snapshot>),
    /// Somebody or something asked for a reload.
    Reload(Trigger, Reload),
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
    let warned = Arc::new(Mutex::new(Warned::default()));
    while let Some(next) = news.recv().await {
        let (policies, warned) = (Arc::clone(&policies), Arc::clone(&warned));
        let tell = move || tell(&next, &policies, &mut warned.lock().unwrap_or_else(PoisonError::into_inner));
        if let Err(error) = rt::task::spawn_blocking(tell).await {
            event::PoliciesUntold { error: display(&error) }.error();
        }
    }
}

fn tell(news: &News, policies: &LivePolicies, warned: &mut Warned) {
    match news {
        News::Loaded(snapshot) => drop(log_warnings(snapshot, policies, warned)),
        News::Reload(trigger, Reload::Reloaded(replaced)) => {
            let (old, new) = (replaced.before().policies.hash(), replaced.after().policies.hash());
            let difference = replaced.difference();
            let effect = difference.map_or("too much to compare", |found| found.summary.as_str());
            let counts = difference.map(Difference::counts);
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
            log_counted_warnings(*trigger, replaced.after(), policies, warned);
        }
        News::Reload(trigger, Reload::Rejected(rejection)) => log_rejection(*trigger, rejection),
        News::Reload(trigger, Reload::StillRejected(rejection)) if trigger.is_asked() => {
            log_rejection(*trigger, rejection);
        }
        News::Reload(trigger, Reload::Restored) => {
            event::PoliciesRestored { trigger: trigger.as_str() }.info();
            log_passed_over(*trigger, policies, warned);
        }
        News::Reload(trigger, Reload::Unchanged) => {
            if trigger.is_asked() {
                event::PoliciesUnchanged { trigger: trigger.as_str() }.info();
            }
            log_passed_over(*trigger, policies, warned);
        }
        // the timer would say the same every time
        News::Reload(_, Reload::StillRejected(_) | Reload::Unsettled) => {}
    }
}

/// The warnings that the log has of what was in force.
#[derive(Default)]
struct Warned {
    /// Kind, file and words, and how often. They may move to other lines of their file.
    known: HashMap<(Code, String, String), usize>,
    /// What was in force then.
    of: Weak<Snapshot>,
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
    snapshot: &Arc<Snapshot>,
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
    snapshot: &Arc<Snapshot>,
    policies: &LivePolicies,
    warned: &mut Warned,
) {
    if let Some(WarnedCounts { new, same, gone }) = log_warnings(snapshot, policies, warned)
        && new + same + gone > 0
    {
        event::PoliciesWarnings { trigger: trigger.as_str(), new, same, gone }.info();
    }
}

/// Reads the policies again, beside the requests.
pub(super) async fn reload_beside(
    policies: Arc<LivePolicies>,
    teller: &Teller,
    trigger: Trigger,
) -> Option<Reload> {
    let shared = Arc::clone(&policies);
    let read = move || if trigger == Trigger::Poll { shared.poll() } else { shared.reload() };
    match rt::task::spawn_blocking(read).await {
        Ok(outcome) => {
            teller.tell(News::Reload(trigger, outcome.clone()));
            Some(outcome)
        }
        Err(error) => {
            event::PoliciesUnread { trigger: trigger.as_str(), detail: &error.to_string() }.error();
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
                while let Some(Reload::Unsettled) =
                    reload_beside(Arc::clone(&policies), &teller, Trigger::Poll).await
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
                    reload_keys_beside(Arc::clone(&keys), Trigger::Signal).await;
                    reload_beside(Arc::clone(&policies), &teller, Trigger::Signal).await;
                }
            });
        }
        Err(error) => event::PolicySignalsFailed { error: display(&error) }.error(),
    }
}
