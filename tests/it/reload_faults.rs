//! What cannot be taken over: a folder that is gone, files that cannot be read, policies that are wrong. What
//! was in force stays, and whoever looks is told which file it is and what to do.

use std::{
    fs::{self, File},
    os::unix::{fs::symlink, net::UnixListener},
    path::Path,
    process::Command,
};

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::{
    binary::Workplace,
    support::{
        install_policies,
        program::{Binary, POLLING},
    },
    watched::{Files, Watched, hash_of, write_all},
};

const FILES: Files = &[
    ("orders.yaml", "version: 1\nscopes: { orders:read: x }\n"),
    ("roles.yaml", "version: 1\nroles: { clerk: [orders:read] }\n"),
];
const MORE: Files = &[("more.yaml", "version: 1\nscopes: { more:read: x }\n")];

/// A way in which the policies folder is gone, and what is told then.
type Loss = (&'static str, fn(&Path), &'static str);

const LOSSES: [Loss; 6] = [
    (
        "removed",
        |_| {},
        "policies: error: cannot be read: No such file or directory (os error 2) [unreadable]\n   \
         = help: make it, or set `policies.dir` to where the policies are\n",
    ),
    (
        "replaced by a file",
        |dir| fs::write(dir, "version: 1\n").unwrap(),
        "policies: error: is not a folder [unreadable]\n   \
         = help: put the folder back, or set `policies.dir` to where the policies are\n",
    ),
    (
        "replaced by a link that leads nowhere",
        |dir| symlink("nowhere", dir).unwrap(),
        "policies: error: is a link to `nowhere`, which cannot be read: No such file or directory (os error 2) \
         [unreadable]\n   = help: put a folder at its target, or set `policies.dir` to where the policies are\n",
    ),
    (
        "emptied, or no longer mounted",
        |dir| fs::create_dir(dir).unwrap(),
        "policies: error: holds no `*.yaml` file [unreadable]\n   \
         = help: mount it or put the policy files back, or set `policies.dir` to where they are\n",
    ),
    (
        "emptied of policies alone",
        |dir| write_all(&dir.join("empty"), &[("README.md", "x"), (".hidden.yaml", "x")]),
        "policies: error: holds no `*.yaml` file [unreadable]\n   \
         = help: mount it or put the policy files back, or set `policies.dir` to where they are\n",
    ),
    (
        "left with files of another ending",
        |dir| write_all(dir, &[("orders.yml", FILES[0].1)]),
        "policies: error: holds no `*.yaml` file [unreadable]\n   \
         = help: mount it or put the policy files back, or set `policies.dir` to where they are\n\n\
         policies/orders.yml: warning: is ignored: jeton reads only `*.yaml` [passed-over]\n   \
         = help: rename it to `.yaml`, or remove it\n",
    ),
];

/// Removes a folder, file or link.
fn remove(path: &Path) {
    if path.symlink_metadata().unwrap().is_dir() {
        fs::remove_dir_all(path).unwrap();
    } else {
        fs::remove_file(path).unwrap();
    }
}

#[test]
fn a_folder_that_is_gone_leaves_the_last_good_state() {
    for (name, lose, told) in LOSSES {
        let watched = Watched::folder(FILES);
        let away = watched.root.path().join("away");
        fs::rename(&watched.dir, &away).unwrap();
        lose(&watched.dir);
        assert_eq!(watched.poll(), "unsettled", "{name}");
        assert_eq!(watched.poll(), "rejected", "{name}");
        assert_eq!(watched.rejection(), told, "{name}");
        assert_eq!(watched.poll(), "still rejected", "{name}");
        assert_eq!(watched.reload(), "still rejected", "{name}");
        assert_eq!((watched.hash(), watched.policies.rejections()), (hash_of(FILES), 1), "{name}");
        if watched.dir.symlink_metadata().is_ok() {
            remove(&watched.dir);
        }
        fs::rename(&away, &watched.dir).unwrap();
        assert_eq!(watched.poll(), "restored", "{name}");
        assert!(watched.policies.last_rejection().is_none(), "{name}");
    }
}

#[test]
fn a_folder_that_comes_back_with_more_is_taken_over() {
    let watched = Watched::folder(FILES);
    fs::remove_dir_all(&watched.dir).unwrap();
    assert_eq!((watched.poll(), watched.poll()), ("unsettled", "rejected"));
    write_all(&watched.dir, &[FILES, MORE].concat());
    assert_eq!((watched.poll(), watched.poll()), ("unsettled", "reloaded"));
    assert_eq!(watched.hash(), hash_of(&[FILES, MORE].concat()));
    assert!(watched.policies.last_rejection().is_none());
}

/// Something called `x.yaml` that is no policy file, and what is told then; modes do not bind root.
type Oddity = (&'static str, fn(&Path), &'static str);

const ODDITIES: [Oddity; 9] = [
    (
        "a folder",
        |path| fs::create_dir(path).unwrap(),
        "is a folder, and not a file\n   = help: rename or remove it; container engines make one where a file \
         to be mounted is missing",
    ),
    (
        "a folder behind a link",
        |path| symlink(".", path).unwrap(),
        "is a folder, and not a file\n   = help: rename or remove it; container engines make one where a file \
         to be mounted is missing",
    ),
    (
        "a link that leads nowhere",
        |path| symlink("../gone.yaml", path).unwrap(),
        "is a link to `../gone.yaml`, which cannot be read: No such file or directory (os error 2)\n   \
         = help: remove the link, or put a file at its target",
    ),
    (
        "a link to itself",
        |path| symlink("x.yaml", path).unwrap(),
        "is a link to `x.yaml`, which cannot be read: Too many levels of symbolic links (os error 40)\n   \
         = help: remove the link, or put a file at its target",
    ),
    (
        "other bytes than UTF-8",
        |path| fs::write(path, b"version: 1\n# caf\xe9\n").unwrap(),
        "is not UTF-8: line 2 holds other bytes\n   = help: save the file as UTF-8",
    ),
    (
        "a pipe, from which nothing ever comes",
        |path| assert!(Command::new("mkfifo").arg(path).status().unwrap().success()),
        "is a pipe, and not a file\n   = help: put a file in its place, or remove it",
    ),
    (
        "a socket",
        |path| drop(UnixListener::bind(path).unwrap()),
        "is a socket, and not a file\n   = help: put a file in its place, or remove it",
    ),
    (
        "a link to a device",
        |path| symlink("/dev/null", path).unwrap(),
        "is a link to `/dev/null`, and leads out of the policies folder\n   = help: put the file itself there, or \
         link to one below the folder",
    ),
    (
        "more than can be meant",
        |path| File::create(path).unwrap().set_len(256 * 1024 * 1024 + 1).unwrap(),
        "holds more than 256 MiB\n   = help: remove it, or shorten it",
    ),
];

#[test]
fn what_is_no_policy_file_is_named_and_not_waited_for() {
    for (name, make, told) in ODDITIES {
        let watched = Watched::folder(FILES);
        let odd = watched.dir.join("x.yaml");
        make(&odd);
        assert_eq!((watched.poll(), watched.poll()), ("unsettled", "rejected"), "{name}");
        let told = told.replacen('\n', " [unreadable]\n", 1);
        assert_eq!(watched.rejection(), format!("policies/x.yaml: error: {told}\n"), "{name}");
        assert_eq!((watched.poll(), watched.reload()), ("still rejected", "still rejected"), "{name}");
        assert_eq!((watched.hash(), watched.policies.rejections()), (hash_of(FILES), 1), "{name}");
        remove(&odd);
        assert_eq!(watched.poll(), "restored", "{name}");
    }
}

/// As at a reload, so at a start and for `policies check`.
#[test]
fn the_program_names_a_pipe_and_ends() {
    let workplace = Workplace::new();
    let pipe = workplace.path("policies/x.yaml");
    assert!(Command::new("mkfifo").arg(pipe).status().unwrap().success());
    workplace.run(&["policies", "check"]).exits(1).shows(&["x.yaml: error: is a pipe, and not a file"]);
}

#[test]
fn everything_odd_is_told_at_once_in_the_order_of_names() {
    let watched = Watched::folder(FILES);
    for name in ["z.yaml", "b.yaml", "m.yaml", "a.yaml"] {
        symlink("nowhere", watched.dir.join(name)).unwrap();
    }
    fs::create_dir(watched.dir.join("c")).unwrap();
    fs::write(watched.dir.join("c/d.yaml"), b"\xff").unwrap();
    assert_eq!(watched.reload(), "rejected");
    let told = watched.rejection();
    let named: Vec<_> = told.lines().filter_map(|line| line.split_once(": error: ")).map(|it| it.0).collect();
    assert_eq!(
        named,
        ["policies/a.yaml", "policies/b.yaml", "policies/c/d.yaml", "policies/m.yaml", "policies/z.yaml"]
    );
}

#[actix_web::test]
async fn a_rejection_is_logged_once_and_shown_as_long_as_it_lasts() {
    let mut binary = Binary::serve_in(sample(), POLLING).await;
    let policies = binary.dir.path().join("policies");
    let before = binary.readyz().await;
    fs::write(policies.join("x.yaml"), "version: 1\nscopes: [\n").unwrap();
    let rejected = binary.logged("policies.rejected").await;
    assert_eq!((&rejected["trigger"], &rejected["count"]), (&json!("poll"), &json!(1)), "{rejected}");
    let finding = binary.logged("policies.rejected").await;
    assert_eq!((&finding["at"], &finding["code"]), (&json!("policies/x.yaml:2:9"), &json!("yaml-syntax")));
    assert!(finding["hint"].is_string(), "{finding}");
    let shown = binary.readyz().await;
    assert_eq!((&shown["hash"], &shown["loaded_at"]), (&before["hash"], &before["loaded_at"]), "{shown}");
    let error = &shown["last_reload_error"];
    assert_eq!(error["findings"], 1, "{shown}");
    assert_eq!(error["first"], "x.yaml:2:9: yaml-syntax");

    binary.polls(&policies.join("x.yaml"), 3).await;
    assert_eq!(binary.readyz().await, shown, "three polls later");
    binary.signal("HUP").await;
    let asked = binary.logged("policies.rejected").await;
    assert_eq!(asked["trigger"], "SIGHUP", "no poll has told it again, and whoever asks is told: {asked}");
    binary.logged("policies.rejected").await;

    fs::remove_file(policies.join("x.yaml")).unwrap();
    binary.logged("policies.restored").await;
    assert_eq!(binary.lines_of("policies.rejected").len(), 4, "two times a head and a finding");
    assert_eq!(binary.readyz().await, before);
}

#[actix_web::test]
async fn a_mended_file_is_reloaded_without_a_word_of_restoring() {
    let mut binary = Binary::serve_in(sample(), POLLING).await;
    let policies = binary.dir.path().join("policies");
    let before = binary.readyz().await;
    fs::write(policies.join("x.yaml"), "version: 1\nscopes: { x:read }\n").unwrap();
    binary.logged("policies.rejected").await;
    fs::write(policies.join("x.yaml"), "version: 1\nscopes: { x:read: x }\n").unwrap();
    let reloaded = binary.logged("policies.reloaded").await;
    assert_eq!(reloaded["old"], before["hash"]);
    let after = binary.readyz().await;
    assert_eq!((&after["hash"], &after["last_reload_error"]), (&reloaded["new"], &Value::Null));
    assert!(binary.lines_of("policies.restored").is_empty());
}

#[actix_web::test]
async fn the_program_outlives_its_folder() {
    let mut binary = Binary::serve_in(sample(), POLLING).await;
    let before = binary.readyz().await;
    let [policies, away] = ["policies", "away"].map(|name| binary.dir.path().join(name));
    fs::rename(&policies, &away).unwrap();
    let rejected = binary.logged("policies.rejected").await;
    assert_eq!(rejected["trigger"], "poll", "{rejected}");
    let finding = binary.logged("policies.rejected").await;
    assert_eq!(finding["at"], "policies", "the folder and no line: {finding}");
    assert_eq!(finding["hint"], "make it, or set `policies.dir` to where the policies are");
    let shown = binary.readyz().await;
    assert_eq!(shown["hash"], before["hash"]);
    assert_eq!(shown["last_reload_error"]["first"], "policies: unreadable", "{shown}");
    fs::create_dir(&policies).unwrap();
    binary.logged("policies.rejected").await;
    let finding = binary.logged("policies.rejected").await;
    assert_eq!(finding["finding"], "holds no `*.yaml` file", "another fault is told: {finding}");
    fs::remove_dir(&policies).unwrap();
    fs::rename(&away, &policies).unwrap();
    binary.logged("policies.restored").await;
    assert_eq!(binary.readyz().await, before);
}

/// The sample policies in a folder of their own.
fn sample() -> TempDir {
    let dir = TempDir::new().unwrap();
    install_policies(&dir.path().join("policies"));
    dir
}
