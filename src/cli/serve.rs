//! `jeton serve`.

use std::{fmt::Display, path::Path, sync::Arc};

use jeton_oauth::clock::SystemClock;
use tracing::field::display;

use super::Outcome;
use crate::{
    config::NeededFolders,
    event, http,
    server::{HttpService, RunningServer},
    telemetry,
};

pub(super) fn run(config: Option<&Path>) -> anyhow::Result<Outcome> {
    let settings = super::settings(NeededFolders::Everything, config)?;
    telemetry::init_log(&settings.log);
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
        let RunningServer { address, admin, server } = service.start()?;
        event::Serving {
            address: display(&address),
            admin: admin.as_ref().map(|admin| display(admin as &dyn Display)),
            issuer: display(&issuer),
            kid: display(&kid),
            policies: display(&hash),
        }
        .info();
        server.run().await?;
        if let Some(log) = audit.log() {
            log.flush();
        }
        event::Stopped {}.info();
        Ok(Outcome::Done)
    })
}
