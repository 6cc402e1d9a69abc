//! The policy files as commands change them: one writer at a time, and nothing that would not load.

use std::{
    fs,
    path::{Path, PathBuf},
};

use anyhow::Context;
use jeton_oauth::clock::{Clock, SystemClock};
use jeton_policy::{DemoSecrets, EditedFile, PolicySet, PolicySources};

use crate::config::{NeededFolders, Settings};

/// The policy files, which nobody else changes meanwhile.
pub(super) struct PolicyFiles {
    settings: Settings,
    pub(super) sources: PolicySources,
    /// Held until the end.
    _lock: fs::File,
}

/// Where something is added for which no file was chosen.
pub(super) struct EntryPlace {
    /// The section, such as `clients`.
    pub(super) section: &'static str,
    /// The file to be made if none has that section.
    pub(super) new: &'static str,
    /// Which of several files that have it.
    pub(super) of_several: OfSeveral,
}

/// Which of several files is taken.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum OfSeveral {
    /// The first.
    First,
    /// None: the operator has to choose.
    Chosen,
}

impl PolicyFiles {
    /// Locks and reads the policies folder of the settings.
    pub(super) fn open(config: Option<&Path>) -> anyhow::Result<Self> {
        Self::of(super::settings(NeededFolders::Policies, config)?)
    }

    /// As [`Self::open`], by settings that are read.
    pub(super) fn of(settings: Settings) -> anyhow::Result<Self> {
        // of several of us one writes at a time, and reads what the others wrote
        let lock = fs::File::open(&settings.policies.dir)?;
        lock.lock().context("the policies folder cannot be locked")?;
        let sources = PolicySources::read(&settings.policies.dir)?;
        Ok(Self { settings, sources, _lock: lock })
    }

    /// Writes changed files, if the policies load with all of them, and returns those.
    pub(super) fn write(&self, edited: &[EditedFile]) -> anyhow::Result<PolicySet> {
        let policies = self.policies_with(edited)?;
        edited.iter().try_for_each(write)?;
        Ok(policies)
    }

    /// The policies with changed files, of which none is written.
    pub(super) fn policies_with(&self, edited: &[EditedFile]) -> anyhow::Result<PolicySet> {
        let surroundings = super::surroundings(&self.settings, DemoSecrets::Allowed);
        let compiled = PolicySet::compile(&self.sources.with(edited), &surroundings, SystemClock.now());
        compiled.map_err(|findings| {
            anyhow::Error::new(findings).context("nothing was written, because the policies would not load")
        })
    }

    /// The file to which something is added, by the name that the sources have for it.
    pub(super) fn target(&self, file: Option<&Path>, place: &EntryPlace) -> anyhow::Result<String> {
        let dir = &self.settings.policies.dir;
        let EntryPlace { section, new, of_several } = place;
        let file = match (file, self.sources.files_with(section).as_slice()) {
            (None, [only]) => return Ok((*only).to_owned()),
            (None, [first, ..]) if *of_several == OfSeveral::First => return Ok((*first).to_owned()),
            (None, []) => Path::new(new),
            (None, several) => {
                anyhow::bail!(
                    "{section} stand in several files: choose one with `--file` ({})",
                    several.join(", ")
                )
            }
            (Some(file), _) => file,
        };
        // as it is typed from here, or from within the policies folder
        let path = if file.is_absolute() || file.starts_with(dir) { file.to_owned() } else { dir.join(file) };
        let is_yaml = path.extension().is_some_and(|extension| extension == "yaml");
        anyhow::ensure!(is_yaml, "{}: only `*.yaml` files are read", path.display());
        let inside = fs::canonicalize(dir).with_context(|| format!("{} cannot be read", dir.display()))?;
        let parent = path.parent().and_then(|parent| fs::canonicalize(parent).ok());
        let parent = parent.with_context(|| format!("{}: there is no such folder", path.display()))?;
        let below = parent.strip_prefix(&inside);
        let below = below
            .map_err(|_| anyhow::anyhow!("{}: choose a file below {}", path.display(), dir.display()))?;
        let below = below.join(path.file_name().context("the policy file has no name")?);
        let hidden = below.iter().any(|part| part.as_encoded_bytes().starts_with(b"."));
        anyhow::ensure!(!hidden, "{}: hidden files and folders are not read", path.display());
        Ok(dir.join(below).display().to_string())
    }
}

/// Writes a file so that a reader sees the old text or the new, with its mode kept.
fn write(edited: &EditedFile) -> anyhow::Result<()> {
    let path = fs::canonicalize(&edited.file).unwrap_or_else(|_| PathBuf::from(&edited.file));
    let name = path.file_name().context("the policy file has no name")?.to_string_lossy();
    let partial = path.with_file_name(format!(".{name}.partial"));
    let write = || {
        fs::write(&partial, &edited.text)?;
        if let Ok(metadata) = fs::metadata(&path) {
            fs::set_permissions(&partial, metadata.permissions())?;
        }
        fs::File::open(&partial)?.sync_all()?;
        fs::rename(&partial, &path)
    };
    write().with_context(|| format!("{} cannot be written", edited.file))
}
