//! What a running server follows: files that are read again on a timer, on SIGHUP and when an operator asks. It knows
//! no HTTP.
//!
//! What is read again implements [`Follow`]. [`Following`] is the list of it, in the order in which it is read.

mod authorities;
mod candidate;
mod certificates;
mod keys;
mod policies;
mod teller;
#[cfg(test)]
mod tests;
mod trigger;

use std::{sync::Arc, time::Duration};

use jeton_policy::{CandidateReload, PolicyReload, Reload};
use jeton_verify::audit::DecisionLog;
use tokio::{
    signal::unix::Signal,
    task::{self, JoinError},
    time::{self, MissedTickBehavior},
};

use self::{
    authorities::FollowedAuthorities, candidate::FollowedCandidate, certificates::FollowedCertificate,
    keys::FollowedKeys, policies::FollowedPolicies, teller::Teller,
};
use crate::{
    app::App,
    keys::KeyReload,
    service_manager::ServiceManager,
    tls::{AuthoritiesReload, CertificateReload, ListenerName},
};

pub(crate) use self::{policies::difference_beside, trigger::Trigger};

/// How long files must hold still before a poll takes them over.
const SETTLING: Duration = Duration::from_millis(500);

/// Something that is read again. Whatever goes wrong, the last good state stays in force.
trait Follow: Send + Sync + 'static {
    /// What took over.
    type New: Send + 'static;
    /// Everything that is wrong.
    type Faults: Send + Sync + 'static;

    /// Reads it and takes over what two polls in a row saw. Blocks on the disk.
    fn poll(&self) -> Reload<Self::New, Self::Faults>;

    /// Reads it and takes over what is there. Blocks on the disk.
    fn reload(&self) -> Reload<Self::New, Self::Faults>;

    /// Says in the log what came of a reading.
    fn tell(&self, trigger: Trigger, outcome: &Reload<Self::New, Self::Faults>);

    /// Notes a reading that panicked, and says so in the log.
    fn failed(&self, trigger: Trigger, error: &JoinError);
}

/// Everything that is read again, in this order: keys before policies, then certificates, and the candidate last, for
/// nothing depends on it.
pub(crate) struct Following {
    keys: Arc<FollowedKeys>,
    policies: Arc<FollowedPolicies>,
    certificates: Vec<Arc<FollowedCertificate>>,
    authorities: Option<Arc<FollowedAuthorities>>,
    candidate: Option<Arc<FollowedCandidate>>,
    decisions: Option<Arc<DecisionLog>>,
}

/// What each reading came to.
pub(crate) struct ReadAgain {
    /// The keys.
    pub(crate) keys: KeyReload,
    /// The policies.
    pub(crate) policies: PolicyReload,
    /// The certificates of the listeners whose reading came to an end.
    pub(crate) certificates: Vec<(ListenerName, CertificateReload)>,
    /// The authorities of clients, if there are any and their reading came to an end.
    pub(crate) authorities: Option<AuthoritiesReload>,
    /// The candidate, if there is one and its reading came to an end.
    pub(crate) candidate: Option<CandidateReload>,
}

/// Says in the log what is in force at the start, and reads the candidate. One that is not sound stops no start.
pub(crate) fn tell_start(app: &App) {
    keys::tell_start(app);
    if let Some(shadow) = app.audit.shadow() {
        candidate::tell(shadow.candidate(), Trigger::Start, &shadow.candidate().reload());
    }
}

impl Following {
    /// Follows everything for as long as the runtime runs, in which it must be called, and reads it again with each SIGHUP.
    pub(crate) fn start(app: &App, hangup: Signal, manager: ServiceManager) -> Arc<Self> {
        let teller = Teller::start();
        let candidate = app.audit.shadow().map(|shadow| Arc::clone(shadow.candidate()));
        let following = Arc::new(Self {
            keys: Arc::new(FollowedKeys(Arc::clone(&app.keys))),
            policies: Arc::new(FollowedPolicies::new(
                Arc::clone(&app.policies),
                Arc::clone(&app.telemetry),
                Arc::clone(&app.issuers),
                teller.clone(),
            )),
            certificates: certificates::tell_start(app),
            authorities: authorities::tell_start(app),
            candidate: candidate.map(|candidate| Arc::new(FollowedCandidate { candidate, teller })),
            decisions: app.audit.log().cloned(),
        });
        following.policies.follow_issuers();
        following.policies.tell_start();
        let every = app.settings.policies.poll;
        if let Some(every) = every {
            tokio::spawn(poll(Arc::clone(&following.keys), every));
            tokio::spawn(poll(Arc::clone(&following.policies), every));
            for certificate in &following.certificates {
                tokio::spawn(poll(Arc::clone(certificate), every));
            }
            if let Some(authorities) = &following.authorities {
                tokio::spawn(poll(Arc::clone(authorities), every));
            }
            if let Some(candidate) = &following.candidate {
                tokio::spawn(poll(Arc::clone(candidate), every));
            }
        }
        for certificate in &following.certificates {
            tokio::spawn(certificates::remind(Arc::clone(certificate)));
        }
        keys::follow_time(&following.keys, &app.keeper, every);
        following.hear(hangup, manager);
        following
    }

    /// Reads everything again, one after the other: each is taken or not, whatever becomes of the others. `None` if the
    /// keys or the policies could not be read because of a fault in jeton.
    pub(crate) async fn read_again(&self, trigger: Trigger) -> Option<ReadAgain> {
        let keys = read_again(&self.keys, trigger).await;
        let policies = read_again(&self.policies, trigger).await;
        let mut certificates = Vec::new();
        for followed in &self.certificates {
            let listener = followed.certificate().listener();
            certificates.extend(read_again(followed, trigger).await.map(|reload| (listener, reload)));
        }
        let authorities = match &self.authorities {
            Some(authorities) => read_again(authorities, trigger).await,
            None => None,
        };
        let candidate = match &self.candidate {
            Some(candidate) => read_again(candidate, trigger).await,
            None => None,
        };
        Some(ReadAgain { keys: keys?, policies: policies?, certificates, authorities, candidate })
    }

    /// Hears SIGHUP. The decision log comes first: that takes no time, and whoever moved the file away waits for it.
    fn hear(self: &Arc<Self>, mut hangup: Signal, manager: ServiceManager) {
        let following = Arc::clone(self);
        tokio::spawn(async move {
            while hangup.recv().await.is_some() {
                if let Some(decisions) = &following.decisions {
                    decisions.reopen();
                }
                manager.reloading();
                following.read_again(Trigger::Signal).await;
                manager.ready();
            }
        });
    }
}

/// Reads something again, beside the requests. `None` if that panicked.
async fn read_again<F: Follow>(followed: &Arc<F>, trigger: Trigger) -> Option<Reload<F::New, F::Faults>> {
    let shared = Arc::clone(followed);
    let read = move || {
        let outcome = if trigger == Trigger::Poll { shared.poll() } else { shared.reload() };
        shared.tell(trigger, &outcome);
        outcome
    };
    task::spawn_blocking(read).await.inspect_err(|error| followed.failed(trigger, error)).ok()
}

/// Reads something again on a timer, and sooner while it does not hold still.
async fn poll<F: Follow>(followed: Arc<F>, every: Duration) {
    let mut ticks = time::interval(every);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    // the first comes at once, and everything was read just now
    ticks.tick().await;
    loop {
        ticks.tick().await;
        while let Some(Reload::Unsettled) = read_again(&followed, Trigger::Poll).await {
            time::sleep(SETTLING).await;
        }
    }
}
