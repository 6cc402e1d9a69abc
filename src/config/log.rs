//! `[log]`.

use std::path::{Path, PathBuf};

use tracing::Level;

use super::{NeededFolders, layers::Layers, values::folder};

/// `[log]`.
#[derive(Clone, Debug)]
pub struct LogSettings {
    /// How a line looks.
    pub format: LogFormat,
    /// What is left out.
    pub level: Level,
    /// The file to which decisions are appended.
    pub decisions: Option<PathBuf>,
}

/// How a log line looks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogFormat {
    /// For people.
    Pretty,
    /// One JSON object a line.
    Json,
}

impl LogSettings {
    pub(super) fn read(needs: NeededFolders, layers: &mut Layers) -> Option<Self> {
        let format = layers.text("log.format", |text| match text {
            "pretty" => Ok(LogFormat::Pretty),
            "json" => Ok(LogFormat::Json),
            other => Err(format!("`{other}` is not a format: write `pretty` or `json`")),
        });
        let level = layers.text("log.level", |text| match text {
            "error" | "warn" | "info" | "debug" | "trace" => text.parse().map_err(|_| String::new()),
            other => Err(format!("`{other}` is not a level: write error, warn, info, debug or trace")),
        });
        let decisions = layers.file("log.decisions", |file| match file {
            Some(file) if needs == NeededFolders::Everything => appendable(&file).map(|()| Some(file)),
            file => Ok(file),
        });
        Some(Self { format: format?, level: level?, decisions: decisions? })
    }
}

/// Whether a file may be there, or may be made.
fn appendable(path: &Path) -> Result<(), String> {
    if path.is_dir() {
        return Err(format!("`{}` is a folder: name a file", path.display()));
    }
    // a name alone stands in the working directory
    path.parent().filter(|parent| !parent.as_os_str().is_empty()).map_or(Ok(()), folder)
}
