//! `jeton config`.

use std::{path::Path, sync::Arc};

use clap::{Subcommand, ValueEnum};
use jeton_oauth::{
    clock::{Clock, SystemClock},
    text::printable,
};
use serde_json::{Value, json};

use super::{Outcome, emit, emit_json, say, table::aligned};
use crate::{
    app::{UnfitFile, unfit_files},
    config::{
        CheckedSettings, EffectiveSetting, NeededFolders, SettingError, SettingErrors, SettingSource,
        Settings,
    },
};

#[derive(Subcommand)]
pub(super) enum ConfigCommand {
    /// Show the settings as they count and where each is from, and report everything that is wrong with them.
    Check {
        /// The output format.
        #[arg(long, value_enum, default_value_t = ConfigFormat::Text)]
        format: ConfigFormat,
    },
}

#[derive(Clone, Copy, ValueEnum)]
pub(super) enum ConfigFormat {
    /// A table for people.
    Text,
    /// JSON for programs.
    Json,
}

pub(super) fn run(command: &ConfigCommand, config: Option<&Path>) -> anyhow::Result<Outcome> {
    let ConfigCommand::Check { format } = command;
    // what a service with these settings would refuse
    let CheckedSettings { effective, outcome } = Settings::check(NeededFolders::Everything, config);
    let (warnings, errors) = match outcome {
        Ok(settings) => {
            let unfit = unfit_files(&settings, &(Arc::new(SystemClock) as Arc<dyn Clock>));
            let errors = unfit.into_iter().map(|unfit| at_its_origin(unfit, &effective));
            (settings.warnings, errors.collect())
        }
        Err(SettingErrors(errors)) => (Vec::new(), errors),
    };
    match format {
        ConfigFormat::Text => {
            let head = ["SETTING", "VALUE", "FROM"].map(str::to_owned);
            let rows = effective.iter().map(|setting| {
                [setting.key.clone(), on_one_line(&setting.value), setting.source.to_string()]
            });
            if !effective.is_empty() {
                emit(&aligned(std::iter::once(head).chain(rows)))?;
            }
            for warning in &warnings {
                say!("warning: {warning}");
            }
            for error in &errors {
                say!("error: {}: {}", error.origin, error.message);
            }
        }
        ConfigFormat::Json => emit_json(&json!({
            "settings": effective.iter().map(object).collect::<Vec<_>>(),
            "warnings": warnings,
            "errors": errors
                .iter()
                .map(|error| json!({ "origin": error.origin, "message": error.message }))
                .collect::<Vec<_>>(),
        }))?,
    }
    Ok(if errors.is_empty() { Outcome::Done } else { Outcome::Failed })
}

/// What is wrong with a file, where the settings name it.
fn at_its_origin(UnfitFile { setting, message }: UnfitFile, effective: &[EffectiveSetting]) -> SettingError {
    let named = effective.iter().find(|named| named.key == setting);
    let origin = named.map_or_else(|| setting.clone(), EffectiveSetting::origin);
    SettingError { origin, message }
}

/// Text as it is, unless it is empty; everything else as JSON has it.
fn on_one_line(value: &Value) -> String {
    match value {
        Value::String(text) if !text.is_empty() => printable(text),
        other => other.to_string(),
    }
}

fn object(setting: &EffectiveSetting) -> Value {
    let EffectiveSetting { key, value, source } = setting;
    let (from, place) = match source {
        SettingSource::Default => ("default", None),
        SettingSource::File(path) => ("file", Some(path.display().to_string())),
        SettingSource::Variable(name) => ("environment", Some(name.clone())),
    };
    json!({ "key": key, "value": value, "from": from, "place": place })
}
