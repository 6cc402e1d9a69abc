//! The files that the settings name, as a start reads them: what it would refuse, without a start.

use std::{fs, path::Path, sync::Arc};

use jeton_oauth::clock::Clock;
use jeton_policy::{Findings, LivePolicies, Severity};
use rustix::fs::{Access, access};

use super::{authorities, certificates, key_keeper, shared_store, surroundings};
use crate::{
    config::{LogSettings, Settings},
    keys::KeyErrors,
    store::{SharedStore, StoreOptionsError},
    telemetry::Traces,
    tls::TlsErrors,
};

/// A file or folder that keeps a service from its start.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnfitFile {
    /// The setting that names it, such as `server.tls.cert_file`, or the variable of OpenTelemetry.
    pub setting: String,
    /// What is wrong, and the fix.
    pub message: String,
}

/// Everything that a start with these settings would refuse in the files that they name. Writes nothing, and asks
/// neither the store nor a collector. Must not run within an async runtime.
pub fn unfit_files(settings: &Settings, clock: &Arc<dyn Clock>) -> Vec<UnfitFile> {
    let policies =
        LivePolicies::load(&settings.policies.dir, surroundings(settings), Arc::clone(clock)).err();
    let tls = [certificates(settings, clock).err(), authorities(settings, clock).err()];
    let store = shared_store(&settings.store).and_then(|options| SharedStore::check(&options).err());
    let mut unfit = Vec::new();
    unfit.extend(policies.as_ref().map(of_policies));
    unfit.extend(of_keys(settings, clock));
    unfit.extend(tls.iter().flatten().flat_map(of_certificates));
    unfit.extend(store.as_ref().map(of_store));
    unfit.extend(of_decisions(&settings.log));
    unfit.extend(settings.traces.as_ref().and_then(|traces| Traces::check(traces).err()).map(|error| {
        let (setting, message) = error.by_variable();
        UnfitFile { setting: setting.to_owned(), message }
    }));
    unfit
}

/// There may be thousands, each with lines of its file.
fn of_policies(findings: &Findings) -> UnfitFile {
    let errors = findings.0.iter().filter(|finding| finding.severity == Severity::Error).count();
    let counted = if errors == 1 { "1 error".to_owned() } else { format!("{errors} errors") };
    let message = format!("{counted} in the policies: `jeton policies check` shows what and where");
    UnfitFile { setting: "policies.dir".to_owned(), message }
}

fn of_keys(settings: &Settings, clock: &Arc<dyn Clock>) -> Vec<UnfitFile> {
    match key_keeper(settings, Arc::clone(clock)).folder().load() {
        Err(errors) if errors.is_missing() && settings.keys.generate_if_missing => Vec::new(),
        Err(KeyErrors(errors)) => errors
            .iter()
            .map(|error| UnfitFile { setting: "keys.dir".to_owned(), message: error.to_string() })
            .collect(),
        Ok(_) => Vec::new(),
    }
}

fn of_certificates(TlsErrors(errors): &TlsErrors) -> impl Iterator<Item = UnfitFile> {
    errors.iter().map(|error| UnfitFile { setting: error.setting.clone(), message: error.of_file() })
}

fn of_store(error: &StoreOptionsError) -> UnfitFile {
    let setting = match error {
        StoreOptionsError::Url(_) | StoreOptionsError::Refused(_) => "store.url",
        StoreOptionsError::Authorities { .. }
        | StoreOptionsError::NoAuthority { .. }
        | StoreOptionsError::AuthoritiesWithoutTls => "store.ca_file",
    };
    UnfitFile { setting: setting.to_owned(), message: error.to_string() }
}

/// The file is opened by a start alone, for that may make or mend it.
fn of_decisions(settings: &LogSettings) -> Option<UnfitFile> {
    let path = settings.decisions.as_deref()?;
    let is_writable = if path.exists() { access(path, Access::WRITE_OK).is_ok() } else { may_be_made(path) };
    let message = || {
        format!(
            "`{}` cannot be opened to append to it: name a file in a folder where this user may write",
            path.display()
        )
    };
    (!is_writable).then(|| UnfitFile { setting: "log.decisions".to_owned(), message: message() })
}

/// Whether a file that is not there could be. A link may lead to one in another folder.
fn may_be_made(path: &Path) -> bool {
    let beside = |path: &Path| match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder.to_owned(),
        Some(_) | None => ".".into(),
    };
    let folder = match fs::read_link(path) {
        Ok(target) => beside(&beside(path).join(target)),
        Err(_) => beside(path),
    };
    access(&folder, Access::WRITE_OK | Access::EXEC_OK).is_ok()
}
