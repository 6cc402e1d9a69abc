//! What a reload says in the log keeps nothing that is newer from coming into force.
use std::{
    collections::BTreeSet,
    fmt,
    sync::{Condvar, Mutex, OnceLock},
    time::Duration,
};

use tracing::{
    Event, Metadata, Subscriber,
    field::{Field, Visit},
    level_filters::LevelFilter,
    span::{Attributes, Id, Record},
    subscriber::Interest,
};

use crate::support::{ORDERS, Setup, program::PATIENCE, spawn_app_with};

/// The log of all servers of this process, as far as it is about warnings: a line about this scope waits until the
/// gate is opened, as it would for a disk or a pipe that is full.
const HELD_UP: &str = "held:up";

/// Opens the gate at the end of a test, also of one that fails: a server does not end before its log is written.
struct Opened(&'static Gate);

impl Drop for Opened {
    fn drop(&mut self) {
        self.0.open();
    }
}

#[derive(Default)]
struct Gate {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    is_open: bool,
    /// The findings that were to be logged, in words.
    told: BTreeSet<String>,
}

impl Gate {
    /// The one of this process.
    fn install() -> &'static Self {
        static GATE: OnceLock<Gate> = OnceLock::new();
        let is_new = GATE.get().is_none();
        let gate = GATE.get_or_init(Self::default);
        if is_new {
            tracing::subscriber::set_global_default(gate).expect("no other test logs for all threads");
        }
        gate
    }

    fn open(&self) {
        self.state.lock().unwrap().is_open = true;
        self.changed.notify_all();
    }

    /// Waits until a finding about this scope was to be logged; what was until then.
    #[track_caller]
    fn told_until(&self, scope: &str) -> BTreeSet<String> {
        let is_missing = |state: &mut State| !state.told.iter().any(|finding| finding.contains(scope));
        let state = self.state.lock().unwrap();
        let (state, waited) = self.changed.wait_timeout_while(state, PATIENCE, is_missing).unwrap();
        assert!(!waited.timed_out(), "nothing of {scope} in {:?}", state.told);
        state.told.clone()
    }
}

/// The text of a warning.
struct Finding(String);

impl Visit for Finding {
    fn record_str(&mut self, field: &Field, value: &str) {
        if field.name() == "finding" {
            value.clone_into(&mut self.0);
        }
    }

    fn record_debug(&mut self, _: &Field, _: &dyn fmt::Debug) {}
}

impl Subscriber for &'static Gate {
    fn register_callsite(&self, metadata: &'static Metadata<'static>) -> Interest {
        if self.enabled(metadata) { Interest::always() } else { Interest::never() }
    }

    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.name() == "policies.warning"
    }

    fn max_level_hint(&self) -> Option<LevelFilter> {
        Some(LevelFilter::WARN)
    }

    fn event(&self, event: &Event<'_>) {
        let mut finding = Finding(String::new());
        event.record(&mut finding);
        let is_held_up = finding.0.contains(HELD_UP);
        let mut state = self.state.lock().unwrap();
        state.told.insert(finding.0);
        self.changed.notify_all();
        drop(self.changed.wait_while(state, |state| is_held_up && !state.is_open).unwrap());
    }

    fn new_span(&self, _: &Attributes<'_>) -> Id {
        Id::from_u64(1)
    }

    fn record(&self, _: &Id, _: &Record<'_>) {}
    fn record_follows_from(&self, _: &Id, _: &Id) {}
    fn enter(&self, _: &Id) {}
    fn exit(&self, _: &Id) {}
}

/// A policy file with a scope that nothing requires.
fn unused(scope: &str) -> String {
    format!("version: 1\nscopes: {{ \"{scope}\": x }}\n")
}

#[actix_web::test]
async fn a_revocation_is_in_force_while_the_warnings_of_another_reload_are_told() {
    let gate = Gate::install();
    let app = spawn_app_with(Setup {
        settings: |settings| settings.policies.poll = Some(Duration::from_millis(100)),
        ..Setup::default()
    });
    let opened = Opened(gate);
    let is_taken = async |client: &str| {
        let answer = app.post_token(client, &[("grant_type", "client_credentials"), ("resource", ORDERS)]);
        answer.send().await.unwrap().status() == 200
    };
    assert!(is_taken("globex-sync").await);
    app.write_policy("a.yaml", &unused(HELD_UP));
    actix_web::web::block(|| gate.told_until(HELD_UP)).await.unwrap();

    let clients = app.policy("clients.yaml");
    let revoked = clients.replace("  globex-sync:\n", "  globex-sync:\n    enabled: false\n");
    app.write_policy("clients.yaml", &revoked);
    app.write_policy("a.yaml", &unused("passed:by"));
    app.until_answered(async || !is_taken("globex-sync").await).await;
    let revoked = revoked.replace("  support-desk:\n", "  support-desk:\n    enabled: false\n");
    app.write_policy("clients.yaml", &revoked);
    app.write_policy("a.yaml", &unused("told:last"));
    app.until_answered(async || !is_taken("support-desk").await).await;
    assert_eq!(app.post_reload().await.status(), 200, "and whoever asks for a reload is answered");

    drop(opened);
    let told = actix_web::web::block(|| gate.told_until("told:last")).await.unwrap();
    assert!(!told.iter().any(|finding| finding.contains("passed:by")), "of policies that are gone: {told:?}");
}
