//! A policies folder and what is in force from it, in process: it is polled when the test says so.
use std::{
    fs,
    path::{Path, PathBuf},
    sync::{Arc, mpsc},
    thread,
    time::Duration,
};

use jeton_oauth::clock::SystemClock;
use jeton_policy::{DemoSecrets, LivePolicies, PolicyReload, Reload};
use tempfile::TempDir;

use crate::policy_text::{compile_folder, surroundings};

/// How long a reading may take before a test says that it hangs.
const PATIENCE: Duration = Duration::from_secs(30);

/// A policies folder and what is in force from it.
pub(crate) struct Watched {
    /// What holds everything; the policies folder stands in it.
    pub(crate) root: TempDir,
    /// The policies folder, as `policies.dir` names it.
    pub(crate) dir: PathBuf,
    pub(crate) policies: Arc<LivePolicies>,
}

/// Files of a folder: names and texts.
pub(crate) type Files<'a> = &'a [(&'a str, &'a str)];

/// Writes files into a folder, which is made where it is missing.
pub(crate) fn write_all(dir: &Path, files: Files) {
    fs::create_dir_all(dir).unwrap();
    for (name, text) in files {
        fs::write(dir.join(name), text).unwrap();
    }
}

/// The content hash of these files, wherever they stand.
#[track_caller]
pub(crate) fn hash_of(files: Files) -> String {
    let dir = TempDir::new().unwrap();
    write_all(dir.path(), files);
    let compiled = compile_folder(dir.path(), DemoSecrets::Allowed);
    compiled.unwrap_or_else(|findings| panic!("{findings}")).hash().to_string()
}

impl Watched {
    /// A folder of these files.
    #[track_caller]
    pub(crate) fn folder(files: Files) -> Self {
        let root = TempDir::new().unwrap();
        let dir = root.path().join("policies");
        write_all(&dir, files);
        Self::load(root, dir)
    }

    /// A folder that is there already.
    #[track_caller]
    pub(crate) fn load(root: TempDir, dir: PathBuf) -> Self {
        let loaded = LivePolicies::load(&dir, surroundings(DemoSecrets::Allowed), Arc::new(SystemClock));
        let policies = Arc::new(loaded.unwrap_or_else(|findings| panic!("{findings}")));
        Self { root, dir, policies }
    }

    /// What a poll comes to, in a word.
    #[track_caller]
    pub(crate) fn poll(&self) -> &'static str {
        self.read(LivePolicies::poll)
    }

    /// What a reload that somebody asked for comes to, in a word.
    #[track_caller]
    pub(crate) fn reload(&self) -> &'static str {
        self.read(LivePolicies::reload)
    }

    #[track_caller]
    fn read(&self, read: fn(&LivePolicies) -> PolicyReload) -> &'static str {
        let (sender, receiver) = mpsc::channel();
        let policies = Arc::clone(&self.policies);
        thread::spawn(move || sender.send(read(&policies)));
        match receiver.recv_timeout(PATIENCE).expect("the folder is read in time") {
            Reload::Unchanged => "unchanged",
            Reload::Restored => "restored",
            Reload::Unsettled => "unsettled",
            Reload::Reloaded { .. } => "reloaded",
            Reload::Rejected(_) => "rejected",
            Reload::StillRejected(_) => "still rejected",
        }
    }

    /// The content hash of what is in force.
    pub(crate) fn hash(&self) -> String {
        self.policies.current().policies.hash().to_string()
    }

    /// What the last rejection says, with `policies` for the folder.
    #[track_caller]
    pub(crate) fn rejection(&self) -> String {
        let rejection = self.policies.last_rejection().expect("a rejection");
        rejection.faults.to_string().replace(&self.dir.display().to_string(), "policies")
    }

    /// Writes a file of the folder.
    pub(crate) fn write(&self, name: &str, text: &str) {
        fs::write(self.dir.join(name), text).unwrap();
    }
}
