//! `jeton serve`.

use std::{
    fmt::Display,
    io::{self, IsTerminal},
    path::Path,
    sync::Arc,
};

use anyhow::Context;
use jeton_oauth::clock::{Clock, SystemClock};
use tracing::field::display;

use super::{
    Outcome,
    first_token::{loopback_of, scheme_of},
    say,
    welcome::Welcome,
};
use crate::{
    config::{ConsoleState, LogFormat, NeededFolders, Settings},
    event, http,
    server::{HttpService, RunningServer, Signals},
    telemetry::{self, Traces},
};

pub(super) fn run(config: Option<&Path>) -> anyhow::Result<Outcome> {
    let system = actix_web::rt::System::new();
    // before anything is written or listened on: a signal would end the process in the middle of it
    let signals = system.block_on(async { Signals::hear() }).context("signals cannot be heard")?;
    let settings = super::settings(NeededFolders::Everything, config)?;
    let traces = settings.traces.as_ref().map(Traces::start).transpose()?;
    telemetry::init_log(&settings.log, traces.as_ref());
    for detail in &settings.warnings {
        event::SettingsWarning { detail }.warn();
    }
    http::raise_open_files();
    system.block_on(serve(settings, signals))?;
    if let Some(traces) = &traces {
        traces.end();
    }
    event::Stopped {}.info();
    Ok(Outcome::Done)
}

async fn serve(settings: Settings, mut signals: Signals) -> anyhow::Result<()> {
    let issuer = settings.issuer.clone();
    let tls = settings.server.tls.clone();
    let admin_tls = settings.admin.as_ref().and_then(|admin| admin.tls.clone());
    let console = settings.admin.as_ref().map(|admin| admin.console);
    // for a person, among lines for people
    let is_watched = settings.log.format == LogFormat::Pretty && io::stderr().is_terminal();
    let load = HttpService::load(settings, Arc::new(SystemClock));
    let Some(service) = signals.unless_ended(load).await else { return Ok(()) };
    let service = service?;
    let kid = service.keys().ring().signing().kid().clone();
    let policies = Arc::clone(service.policies());
    let hash = policies.current().policies.hash().clone();
    let audit = service.audit().clone();
    let RunningServer { address, admin, server } = service.start(signals)?;
    event::Serving {
        address: display(&address),
        admin: admin.as_ref().map(|admin| display(admin as &dyn Display)),
        issuer: display(&issuer),
        kid: display(&kid),
        policies: display(&hash),
    }
    .info();
    if is_watched {
        let snapshot = policies.current();
        // elsewhere it refuses to show anything
        let has_console = admin.is_some_and(|admin| {
            console == Some(ConsoleState::On)
                && (admin.ip().to_canonical().is_loopback() || admin_tls.is_some())
        });
        let admin = admin.map(|admin| format!("{}://{}", scheme_of(admin_tls.as_ref()), loopback_of(admin)));
        let console = admin.as_ref().filter(|_| has_console).map(|admin| format!("{admin}/console/"));
        let (clients, now) = (snapshot.policies.clients(), SystemClock.now());
        let welcome = Welcome { address, tls: tls.as_ref(), issuer: &issuer, admin, console, clients, now };
        welcome.lines().iter().for_each(|line| say!("{line}"));
    }
    server.run().await?;
    if let Some(log) = audit.log() {
        log.flush();
    }
    Ok(())
}
