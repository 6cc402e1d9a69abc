//! The certificates of the listeners, followed: what their files hold, and what time does to them.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use jeton_policy::{Rejection, Reload, Swapped};
use jiff::Timestamp;
use tokio::{task::JoinError, time};
use tracing::field::display;

use super::{Follow, Trigger};
use crate::{
    app::App,
    event,
    tls::{CertificateReload, LiveCertificate, ServedPair, TlsErrors, Validity},
};

/// How often time is looked at.
const TICK: Duration = Duration::from_secs(10);
/// After what time it is told again that a certificate ends.
const DAY: Duration = Duration::from_hours(24);

/// A certificate as it is followed.
pub(super) struct FollowedCertificate {
    certificate: Arc<LiveCertificate>,
    /// When it was told last that it ends, or does not count yet.
    told_at: Mutex<Option<Timestamp>>,
}

/// All of them, told of as they are at the start.
pub(super) fn tell_start(app: &App) -> Vec<Arc<FollowedCertificate>> {
    let each = app.certificates.iter().map(|certificate| {
        let followed = FollowedCertificate::new(Arc::clone(certificate));
        let listener = certificate.listener().as_str();
        event::TlsLoaded { listener, expires: display(&certificate.expires()) }.info();
        followed.tell_new(&certificate.pair());
        Arc::new(followed)
    });
    each.collect()
}

/// Reminds of those that end, for as long as the runtime runs.
pub(super) async fn remind(followed: Arc<FollowedCertificate>) {
    let mut ticks = time::interval(TICK);
    ticks.set_missed_tick_behavior(time::MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        followed.remind();
    }
}

impl FollowedCertificate {
    pub(super) fn new(certificate: Arc<LiveCertificate>) -> Self {
        Self { certificate, told_at: Mutex::default() }
    }

    /// Whose it is, and what of it is served.
    pub(super) fn certificate(&self) -> &Arc<LiveCertificate> {
        &self.certificate
    }

    /// Tells what an operator should look at in a new pair.
    pub(super) fn tell_new(&self, pair: &ServedPair) {
        if let Some(detail) = pair.exposed_key() {
            event::TlsReadable { listener: self.certificate.listener().as_str(), detail }.warn();
        }
        *self.told_at.lock().unwrap_or_else(PoisonError::into_inner) = None;
        self.remind();
    }

    /// Tells once a day that the certificate ends, and of one that clients do not take.
    pub(super) fn remind(&self) {
        let mut told_at = self.told_at.lock().unwrap_or_else(PoisonError::into_inner);
        if told_at.is_some_and(|before| !self.certificate.is_past(before, DAY)) {
            return;
        }
        let listener = self.certificate.listener().as_str();
        match self.certificate.validity() {
            Validity::Good => return,
            Validity::NotYet(begins) => {
                event::TlsNotYetValid { listener, begins: display(&begins) }.warn();
            }
            Validity::EndsSoon(expires) => {
                event::TlsExpiresSoon { listener, expires: display(&expires) }.warn();
            }
            Validity::Ended(expires) => event::TlsExpired { listener, expires: display(&expires) }.warn(),
        }
        *told_at = Some(self.certificate.now());
    }

    fn log_rejection(&self, trigger: Trigger, rejection: &Rejection<TlsErrors>) {
        let (trigger, listener) = (trigger.as_str(), self.certificate.listener().as_str());
        for error in &rejection.faults.0 {
            event::TlsRejected { trigger, listener, error: &error.to_string() }.error();
        }
    }
}

impl Follow for FollowedCertificate {
    type New = Swapped<ServedPair>;
    type Faults = TlsErrors;

    fn poll(&self) -> CertificateReload {
        self.certificate.poll()
    }

    fn reload(&self) -> CertificateReload {
        self.certificate.reload()
    }

    fn tell(&self, trigger: Trigger, outcome: &CertificateReload) {
        let (by, listener) = (trigger.as_str(), self.certificate.listener().as_str());
        match outcome {
            Reload::Reloaded(Swapped { after, .. }) => {
                event::TlsReloaded { trigger: by, listener, expires: display(&after.not_after()) }.info();
                self.tell_new(after);
            }
            Reload::Rejected(rejection) => self.log_rejection(trigger, rejection),
            Reload::StillRejected(rejection) if trigger.is_asked() => {
                self.log_rejection(trigger, rejection);
            }
            Reload::Restored => event::TlsRestored { trigger: by, listener }.info(),
            Reload::Unchanged if trigger.is_asked() => {
                event::TlsUnchanged { trigger: by, listener }.info();
            }
            // the timer would say the same every time
            Reload::StillRejected(_) | Reload::Unchanged | Reload::Unsettled => {}
        }
    }

    fn failed(&self, trigger: Trigger, error: &JoinError) {
        let (trigger, listener) = (trigger.as_str(), self.certificate.listener().as_str());
        event::TlsRejected { trigger, listener, error: &error.to_string() }.error();
        self.certificate.reload_failed();
    }
}
