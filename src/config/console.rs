//! `[console]`.

use std::path::PathBuf;

use super::{layers::Layers, needs::NeededFolders, values::folder};

/// `[console]`.
#[derive(Clone, Debug)]
pub struct ConsoleSettings {
    /// What the policies in force are compared with, beside the candidate.
    pub compare: Option<ComparedPolicies>,
}

/// Policies to compare those in force with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ComparedPolicies {
    /// A folder: what may be in force one day.
    Folder(PathBuf),
    /// The policies folder at this revision of Git: what was in force one day.
    Revision(String),
}

impl ConsoleSettings {
    pub(super) fn read(needs: NeededFolders, layers: &mut Layers) -> Option<Self> {
        let compare = layers.folder_or_text("console.compare", |text, path| match text {
            "" => Ok(None),
            text => ComparedPolicies::read(text, path, needs).map(Some),
        });
        Some(Self { compare: compare? })
    }
}

impl ComparedPolicies {
    fn read(text: &str, path: PathBuf, needs: NeededFolders) -> Result<Self, String> {
        if path.is_dir() {
            return Ok(Self::Folder(path));
        }
        let is_path = path.exists() || text.starts_with(['/', '.', '~']);
        if is_path && needs == NeededFolders::Everything {
            folder(&path)?;
        }
        // no option of Git
        if text.starts_with('-') || text.contains(char::is_control) {
            return Err(format!(
                "`{text}` is neither a folder nor a revision of Git: write `candidate` or `origin/main`"
            ));
        }
        Ok(if is_path { Self::Folder(path) } else { Self::Revision(text.to_owned()) })
    }
}
