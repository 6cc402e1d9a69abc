//! The authorities of clients, followed.

use std::sync::Arc;

use jeton_policy::{Rejection, Reload, Swapped};
use tokio::task::JoinError;

use super::{Follow, Trigger};
use crate::{
    app::App,
    event,
    tls::{AuthoritiesReload, ClientAuthorities, LiveAuthorities, TlsErrors},
};

/// The authorities as they are followed.
pub(super) struct FollowedAuthorities(Arc<LiveAuthorities>);

/// Those that the settings name, told of as they are at the start.
pub(super) fn tell_start(app: &App) -> Option<Arc<FollowedAuthorities>> {
    let authorities = Arc::clone(app.authorities.as_ref()?);
    event::ClientAuthoritiesLoaded { count: authorities.current().count() }.info();
    Some(Arc::new(FollowedAuthorities(authorities)))
}

fn log_rejection(trigger: Trigger, rejection: &Rejection<TlsErrors>) {
    for error in &rejection.faults.0 {
        event::ClientAuthoritiesRejected { trigger: trigger.as_str(), error: &error.to_string() }.error();
    }
}

impl Follow for FollowedAuthorities {
    type New = Swapped<ClientAuthorities>;
    type Faults = TlsErrors;

    fn poll(&self) -> AuthoritiesReload {
        self.0.poll()
    }

    fn reload(&self) -> AuthoritiesReload {
        self.0.reload()
    }

    fn tell(&self, trigger: Trigger, outcome: &AuthoritiesReload) {
        match outcome {
            Reload::Reloaded(Swapped { after, .. }) => {
                let (trigger, count) = (trigger.as_str(), after.count());
                event::ClientAuthoritiesReloaded { trigger, count }.info();
            }
            Reload::Rejected(rejection) => log_rejection(trigger, rejection),
            Reload::StillRejected(rejection) if trigger.is_asked() => log_rejection(trigger, rejection),
            Reload::Restored => event::ClientAuthoritiesRestored { trigger: trigger.as_str() }.info(),
            Reload::Unchanged if trigger.is_asked() => {
                event::ClientAuthoritiesUnchanged { trigger: trigger.as_str() }.info();
            }
            Reload::StillRejected(_) | Reload::Unchanged | Reload::Unsettled => {}
        }
    }

    fn failed(&self, trigger: Trigger, error: &JoinError) {
        event::ClientAuthoritiesRejected { trigger: trigger.as_str(), error: &error.to_string() }.error();
        self.0.reload_failed();
    }
}
