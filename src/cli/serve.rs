//! `jeton serve`.

use std::{path::Path, sync::Arc};

use jeton_oauth::clock::SystemClock;
use tracing::field::display;

use super::Outcome;
use crate::{
    config::NeededFolders,
    event,
    http::{self, HttpService, RunningServer},
    telemetry::{self, Traces},
};

pub(super) fn run(config: Option<&Path>) -> anyhow::Result<Outcome> {
    let settings = super::settings(NeededFolders::Everything, config)?;
    let traces = settings.traces.as_ref().map(Traces::start).transpose()?;
    telemetry::init_log(&settings.log, traces.as_ref());
    for detail in &settings.warnings {
        event::SettingsWarning { detail }.warn();
    }
    http::raise_open_files();
    actix_web::rt::System::new().block_on(async {
        let issuer = settings.issuer.clone();
        let service = HttpService::load(settings, Arc::new(SystemClock))?;
        let kid = service.keys().ring().signing().kid().clone();
        let hash = service.policies().current().policies.hash().clone();
        let audit = service.audit().clone();
        let RunningServer { address, server } = service.start()?;
        event::Serving {
            address: display(&address),
            issuer: display(&issuer),
            kid: display(&kid),
            policies: display(&hash),
        }
        .info();
        server.await?;
        if let Some(log) = audit.log() {
            log.flush();
        }
        if let Some(traces) = &traces {
            traces.end();
        }
        event::Stopped {}.info();
        Ok(Outcome::Done)
    })
}
