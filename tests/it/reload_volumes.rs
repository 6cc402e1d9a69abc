//! Policies in a mounted volume that is swapped by links: as kubelet does with a `ConfigMap`, and as git-sync
//! does with a checkout.

use std::{
    fs, hint,
    os::unix::fs::symlink,
    path::{Path, PathBuf},
    sync::Arc,
    thread,
    time::{Duration, Instant},
};

use serde_json::Value;
use tempfile::TempDir;

use crate::{
    support::program::{Binary, POLLING},
    watched::{Files, Watched, hash_of, write_all},
};

const ORDERS_1: (&str, &str) = ("orders.yaml", "version: 1\nscopes: { orders:read: revision 1 }\n");
const ORDERS_2: (&str, &str) = ("orders.yaml", "version: 1\nscopes: { orders:read: revision 2 }\n");
const OLD: (&str, &str) = ("old.yaml", "version: 1\nroles: { clerk: [orders:read] }\n");
const NEW: (&str, &str) = ("new.yaml", "version: 1\nroles: { clerk: [orders:read] }\n");

/// A volume as kubelet's atomic writer keeps it: the files in a folder named for a time, `..data` a link to
/// that, and a link through `..data` for each file.
struct ConfigMap {
    dir: PathBuf,
    revision: u32,
}

/// What kubelet does one after the other, in its order.
#[derive(Clone, Copy, Debug, PartialEq)]
enum SwapStep {
    Write,
    Link,
    Swap,
    AddNames,
    RemoveNames,
    RemoveOld,
}

const SWAP: [SwapStep; 6] = [
    SwapStep::Write,
    SwapStep::Link,
    SwapStep::Swap,
    SwapStep::AddNames,
    SwapStep::RemoveNames,
    SwapStep::RemoveOld,
];

/// The folder of a revision, as kubelet names it.
fn name_of(revision: u32) -> String {
    format!("..2026_11_23_10_00_00.{revision}")
}

impl ConfigMap {
    fn mount(dir: PathBuf, files: Files) -> Self {
        fs::create_dir(&dir).unwrap();
        let mut volume = Self { dir, revision: 0 };
        volume.swap(files, |_| {});
        volume
    }

    /// Puts other files into the volume, and looks at it after each step.
    fn swap(&mut self, files: Files, mut after: impl FnMut(SwapStep)) {
        self.revision += 1;
        let stamped = name_of(self.revision);
        for step in SWAP {
            match step {
                SwapStep::Write => write_all(&self.dir.join(&stamped), files),
                SwapStep::Link => symlink(&stamped, self.dir.join("..data_tmp")).unwrap(),
                SwapStep::Swap => {
                    fs::rename(self.dir.join("..data_tmp"), self.dir.join("..data")).unwrap();
                }
                SwapStep::AddNames => {
                    for (name, _) in files.iter().filter(|(name, _)| !self.shows(name)) {
                        symlink(Path::new("..data").join(name), self.dir.join(name)).unwrap();
                    }
                }
                SwapStep::RemoveNames => {
                    for entry in fs::read_dir(&self.dir).unwrap() {
                        let name = entry.unwrap().file_name().into_string().unwrap();
                        if !name.starts_with("..") && files.iter().all(|(kept, _)| *kept != name) {
                            fs::remove_file(self.dir.join(name)).unwrap();
                        }
                    }
                }
                SwapStep::RemoveOld => {
                    let old = self.dir.join(name_of(self.revision - 1));
                    assert_eq!(old.exists(), self.revision > 1);
                    if self.revision > 1 {
                        fs::remove_dir_all(old).unwrap();
                    }
                }
            }
            after(step);
        }
    }

    /// Whether there is a link of this name, wherever it leads.
    fn shows(&self, name: &str) -> bool {
        self.dir.join(name).symlink_metadata().is_ok()
    }
}

fn mounted(files: Files) -> (ConfigMap, Watched) {
    let root = TempDir::new().unwrap();
    let dir = root.path().join("policies");
    let volume = ConfigMap::mount(dir.clone(), files);
    (volume, Watched::load(root, dir))
}

#[test]
fn the_hash_of_a_volume_is_that_of_its_files() {
    let (_, watched) = mounted(&[ORDERS_1, OLD]);
    assert_eq!(watched.hash(), hash_of(&[ORDERS_1, OLD]));
}

#[test]
fn a_swap_to_the_same_content_changes_nothing() {
    let (mut volume, watched) = mounted(&[ORDERS_1, OLD]);
    for _ in 0..3 {
        volume.swap(&[ORDERS_1, OLD], |step| assert_eq!(watched.poll(), "unchanged", "{step:?}"));
    }
}

#[test]
fn other_content_is_taken_over_with_the_swap() {
    let (mut volume, watched) = mounted(&[ORDERS_1, OLD]);
    let [before, after] = [[ORDERS_1, OLD], [ORDERS_2, OLD]].map(|files| hash_of(&files));
    volume.swap(&[ORDERS_2, OLD], |step| {
        let (outcome, hash) = match step {
            SwapStep::Write | SwapStep::Link => ("unchanged", &before),
            SwapStep::Swap => ("unsettled", &before),
            SwapStep::AddNames => ("reloaded", &after),
            SwapStep::RemoveNames | SwapStep::RemoveOld => ("unchanged", &after),
        };
        assert_eq!((watched.poll(), &watched.hash()), (outcome, hash), "{step:?}");
    });
    assert_eq!(watched.policies.rejections(), 0);
}

/// Between the swap and the end, names lead nowhere, and files that are there have no name yet. Kubelet does
/// not rest there; if it did, it would be told.
#[test]
fn added_and_removed_files_are_taken_over_together() {
    let (mut volume, watched) = mounted(&[ORDERS_1, OLD]);
    let [before, after] = [[ORDERS_1, OLD], [ORDERS_2, NEW]].map(|files| hash_of(&files));
    volume.swap(&[ORDERS_2, NEW], |step| {
        let (outcome, hash) = match step {
            SwapStep::Write | SwapStep::Link => ("unchanged", &before),
            SwapStep::Swap | SwapStep::RemoveNames => ("unsettled", &before),
            SwapStep::AddNames => ("rejected", &before),
            SwapStep::RemoveOld => ("reloaded", &after),
        };
        assert_eq!((watched.poll(), &watched.hash()), (outcome, hash), "{step:?}");
    });
    assert!(watched.policies.last_rejection().is_none());
    assert_eq!(watched.poll(), "unchanged");
}

#[test]
fn a_name_that_leads_nowhere_for_long_is_told() {
    let (volume, watched) = mounted(&[ORDERS_1, OLD]);
    symlink("..data/gone.yaml", volume.dir.join("gone.yaml")).unwrap();
    assert_eq!((watched.poll(), watched.poll()), ("unsettled", "rejected"));
    assert_eq!(
        watched.rejection(),
        "policies/gone.yaml: error: is a link to `..data/gone.yaml`, which cannot be read: No such file or \
         directory (os error 2) [unreadable]\n   = help: remove the link, or put a file at its target\n"
    );
    assert_eq!(watched.poll(), "still rejected");
    fs::remove_file(volume.dir.join("gone.yaml")).unwrap();
    assert_eq!(watched.poll(), "restored");
}

/// Whoever asks may ask in the middle of a swap, and a reading begins before it and ends after.
#[test]
fn a_reload_that_is_asked_for_during_a_swap_mixes_nothing() {
    // a reading spends nearly all its time on the one in the middle
    let long = format!("version: 1\n{}", "# a comment\n".repeat(100_000));
    let texts = ["1", "2"].map(|revision| {
        ["a", "c"].map(|name| format!("version: 1\nscopes: {{ {name}: revision {revision} }}\n"))
    });
    let revisions = texts.each_ref().map(|[a, c]| [("a.yaml", a.as_str()), ("b.yaml", &long), ("c.yaml", c)]);
    let hashes = revisions.map(|files| hash_of(&files));
    let (mut volume, watched) = mounted(&revisions[0]);
    // the swap meets the reading later and later in its course
    for round in 0..20 {
        let mut asked = None;
        volume.swap(&revisions[(round + 1) % 2], |step| {
            if step == SwapStep::Link {
                let policies = Arc::clone(&watched.policies);
                asked = Some(thread::spawn(move || drop(policies.reload())));
                let begun = Instant::now();
                while begun.elapsed() < Duration::from_micros(500) * u32::try_from(round).unwrap() {
                    hint::spin_loop();
                }
            }
        });
        asked.unwrap().join().unwrap();
        assert!(hashes.contains(&watched.hash()), "round {round}: a mixture");
    }
    assert_eq!(watched.policies.rejections(), 0);
}

/// Where git-sync puts a revision, and the link that it renames over `current`.
fn sync(root: &Path, revision: u32, files: Files) {
    write_all(&root.join(format!(".worktrees/{revision}")), files);
    symlink(format!(".worktrees/{revision}"), root.join("tmp-link")).unwrap();
    fs::rename(root.join("tmp-link"), root.join("current")).unwrap();
}

#[test]
fn a_folder_behind_a_link_is_swapped_with_the_link() {
    let root = TempDir::new().unwrap();
    let at = root.path().to_owned();
    sync(&at, 1, &[ORDERS_1, OLD]);
    let watched = Watched::load(root, at.join("current"));
    assert_eq!(watched.hash(), hash_of(&[ORDERS_1, OLD]));
    sync(&at, 2, &[ORDERS_2, NEW]);
    assert_eq!(watched.poll(), "unsettled");
    fs::remove_dir_all(at.join(".worktrees/1")).unwrap();
    assert_eq!((watched.poll(), watched.hash()), ("reloaded", hash_of(&[ORDERS_2, NEW])));
    sync(&at, 3, &[ORDERS_2, NEW]);
    assert_eq!(watched.poll(), "unchanged");
    // the link is renamed too early, or what it leads to is removed too early
    fs::remove_dir_all(at.join(".worktrees/3")).unwrap();
    assert_eq!((watched.poll(), watched.poll()), ("unsettled", "rejected"));
    assert_eq!(watched.hash(), hash_of(&[ORDERS_2, NEW]), "the last good state serves");
    sync(&at, 3, &[ORDERS_2, NEW]);
    assert_eq!(watched.poll(), "restored");
}

/// `policies.dir` set to the folder above the link: everything in it is passed over, and nothing is left.
#[test]
fn the_folder_above_such_a_link_holds_no_policies() {
    let watched = Watched::folder(&[ORDERS_1]);
    fs::remove_file(watched.dir.join("orders.yaml")).unwrap();
    sync(&watched.dir, 1, &[ORDERS_1, OLD]);
    assert_eq!((watched.poll(), watched.poll()), ("unsettled", "rejected"));
    let told = watched.rejection();
    assert!(told.contains("policies: error: holds no `*.yaml` file"), "{told}");
    assert!(
        told.contains("policies/current: warning: is a link to a folder, which jeton does not follow"),
        "{told}"
    );
    assert_eq!(watched.hash(), hash_of(&[ORDERS_1]), "the last good state serves");
}

#[actix_web::test]
async fn the_program_follows_a_swap() {
    let root = TempDir::new().unwrap();
    let mut volume = ConfigMap::mount(root.path().join("policies"), &[ORDERS_1, OLD]);
    let mut binary = Binary::serve_in(root, POLLING).await;
    assert_eq!(binary.readyz().await["hash"], hash_of(&[ORDERS_1, OLD]));
    volume.swap(&[ORDERS_2, NEW], |_| {});
    let reloaded = binary.logged("policies.reloaded").await;
    assert_eq!(reloaded["new"], hash_of(&[ORDERS_2, NEW]), "{reloaded}");
    let readyz = binary.readyz().await;
    assert_eq!((&readyz["hash"], &readyz["last_reload_error"]), (&reloaded["new"], &Value::Null));
    assert!(binary.lines_of("policies.rejected").is_empty());
}

#[actix_web::test]
async fn the_program_follows_a_link_to_another_folder() {
    let root = TempDir::new().unwrap();
    let at = root.path().to_owned();
    sync(&at, 1, &[ORDERS_1, OLD]);
    let settings = POLLING.to_owned() + "dir = \"current\"\n";
    let mut binary = Binary::serve_in(root, &settings).await;
    sync(&at, 2, &[ORDERS_2, NEW]);
    let reloaded = binary.logged("policies.reloaded").await;
    assert_eq!(reloaded["new"], hash_of(&[ORDERS_2, NEW]), "{reloaded}");
    assert_eq!(binary.readyz().await["hash"], reloaded["new"]);
}
