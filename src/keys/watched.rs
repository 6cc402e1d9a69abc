//! The key folder as a source that is read whole, and again.

use arc_swap::ArcSwapOption;
use jeton_policy::files::WatchedSource;

use super::{
    KeyErrors, KeyFolder, KeyRing, KeySet,
    folder::{KeyFiles, KeyFolderHash},
};

/// What the folder held, and what follows from it for a while.
pub(super) struct HeldFolder {
    pub(super) keys: KeySet,
    pub(super) hash: KeyFolderHash,
    pub(super) ring: ArcSwapOption<KeyRing>,
}

/// The keys of a folder, as they are read and followed.
pub(super) struct InFolder(pub(super) KeyFolder);

impl WatchedSource for InFolder {
    type Look = KeyFolderHash;
    type Content = KeyFiles;
    type Value = HeldFolder;
    type Faults = KeyErrors;

    fn look(&self) -> Result<KeyFolderHash, KeyErrors> {
        self.read().map(|sources| sources.hash())
    }

    fn read(&self) -> Result<KeyFiles, KeyErrors> {
        self.0.read()
    }

    fn look_of(sources: &KeyFiles) -> KeyFolderHash {
        sources.hash()
    }

    fn understand(&self, sources: KeyFiles) -> Result<HeldFolder, KeyErrors> {
        let hash = sources.hash();
        let keys = self.0.understand(sources)?;
        Ok(HeldFolder { keys, hash, ring: ArcSwapOption::empty() })
    }

    fn is_same_fault(one: &KeyErrors, other: &KeyErrors) -> bool {
        one.to_string() == other.to_string()
    }

    fn is_of(held: &HeldFolder, hash: &KeyFolderHash) -> bool {
        held.hash == *hash
    }
}

impl KeyFolder {
    /// Loads `keyring.yaml` and every `*.pem` file.
    ///
    /// # Errors
    /// All that is wrong, file by file; [`KeyError::Missing`](super::KeyError::Missing) for a folder without a key.
    pub fn load(&self) -> Result<KeySet, KeyErrors> {
        self.understand(InFolder(self.clone()).read_whole()?)
    }
}
