//! `jeton policies diff --git` by the real binary and real repositories.
use std::{fs, os::unix::fs::symlink, path::Path, process::Command};

use crate::{
    binary::{Run, Workplace},
    policies_diff::{POLICIES, changes},
    support::key_fixture,
};

/// Runs Git in a folder, without settings from elsewhere.
#[track_caller]
pub(crate) fn git(dir: &Path, arguments: &[&str]) -> String {
    let mut command = Command::new("git");
    // tests that run in a hook must not touch the repository of the hook
    for (name, _) in std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("GIT_")) {
        command.env_remove(name);
    }
    let output = command
        .current_dir(dir)
        .args(["-c", "user.name=t", "-c", "user.email=t@example.com", "-c", "init.defaultBranch=main"])
        .args(["-c", "commit.gpgsign=false", "-c", "tag.gpgsign=false", "-c", "core.autocrlf=false"])
        .args(arguments)
        .env("GIT_CONFIG_GLOBAL", "/dev/null")
        .env("GIT_CONFIG_SYSTEM", "/dev/null")
        .output()
        .unwrap();
    assert!(output.status.success(), "git {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

/// A repository with the policies in `policies`, committed and tagged `v1`.
fn repository() -> Workplace {
    let workplace = Workplace::empty();
    workplace.write("repo/policies/policies.yaml", POLICIES).write("repo/README.md", "x");
    git(&workplace.path("repo"), &["init", "-q"]);
    commit(&workplace);
    git(&workplace.path("repo"), &["tag", "v1"]);
    workplace
}

fn commit(workplace: &Workplace) {
    let repository = workplace.path("repo");
    git(&repository, &["add", "-A"]);
    git(&repository, &["commit", "-q", "--allow-empty", "-m", "x"]);
}

/// The difference of `repo/policies` from a revision, called from beside the repository.
fn since(workplace: &Workplace, revision: &str) -> Run {
    workplace.run(&["policies", "diff", &format!("--git={revision}"), "repo/policies"])
}

const LONGER: &str = "+ acme-sync gains token lifetime, from 900 s to 1800 s";
const NONE: &[&str] = &[];

#[test]
fn a_folder_is_compared_with_a_revision() {
    let workplace = repository();
    assert_eq!(since(&workplace, "HEAD").exits(0).stdout, "no difference\n");
    workplace.write("repo/policies/policies.yaml", &POLICIES.replace("ttl: 15m", "ttl: 30m"));
    assert_eq!(changes(&since(&workplace, "HEAD").exits(3)), [LONGER]);
    commit(&workplace);
    let head = git(&workplace.path("repo"), &["rev-parse", "HEAD"]);
    for same in ["HEAD", "main", "@", &head, &head[..8]] {
        assert_eq!(changes(&since(&workplace, same).exits(0)), NONE, "{same}");
    }
    git(&workplace.path("repo"), &["tag", "-a", "-m", "x", "v2", "HEAD~1"]);
    for before in ["HEAD~1", "v1", "v2", "main^", "@{0}~1"] {
        assert_eq!(changes(&since(&workplace, before).exits(3)), [LONGER], "{before}");
    }
}

/// In the folder, in the repository, and with the folder of the settings.
#[test]
fn a_folder_is_found_from_wherever_it_is_called() {
    let mut workplace = repository();
    workplace.write("repo/policies/policies.yaml", &POLICIES.replace("ttl: 15m", "ttl: 30m"));
    workplace.write("jeton.toml", "[policies]\ndir = \"repo/policies\"\n");
    workplace.write("elsewhere/jeton.toml", "[policies]\ndir = \"../repo/policies\"\n");
    let absolute = workplace.path("repo/policies").display().to_string();
    symlink(workplace.path("repo/policies"), workplace.path("link")).unwrap();
    for arguments in [
        &["--git", "HEAD"][..],
        &["--git", "HEAD", "--config", "elsewhere/jeton.toml"],
        &["--git", "HEAD", &absolute],
        &["--git", "HEAD", "./repo/../repo/policies/"],
        &["--git", "HEAD", "link"],
        &["repo/policies", "--git", "HEAD"],
    ] {
        let run = workplace.run(&[&["policies", "diff"], arguments].concat()).exits(3);
        assert_eq!(changes(&run), [LONGER], "{arguments:?}");
    }
    // as in a hook of Git
    workplace.set("GIT_DIR", ".git").set("GIT_INDEX_FILE", ".git/index").set("GIT_PREFIX", "x/");
    assert_eq!(changes(&since(&workplace, "HEAD").exits(3)), [LONGER]);
}

/// Called within the folder itself, which is then `.`.
#[test]
fn the_working_directory_may_be_the_folder() {
    let workplace = repository();
    workplace.write("repo/policies/policies.yaml", &POLICIES.replace("ttl: 15m", "ttl: 30m"));
    for (dir, folder) in [("repo", "policies"), ("repo/policies", "."), ("repo/policies", "../policies")] {
        let output = Command::new(env!("CARGO_BIN_EXE_jeton"))
            .current_dir(workplace.path(dir))
            .args(["policies", "diff", "--git", "HEAD", folder])
            .output()
            .unwrap();
        assert_eq!(changes(&output.into()), [LONGER], "{dir} {folder}");
    }
}

#[test]
fn what_is_no_revision_is_named() {
    let workplace = repository();
    git(&workplace.path("repo"), &["commit", "-q", "--amend", "-m", "y"]);
    for unknown in [
        "nope",
        "",
        "-x",
        "--help",
        "--all",
        "HEAD:policies",
        "HEAD..HEAD",
        "^HEAD",
        "HEAD~1",
        "a b",
        "0000000",
    ] {
        let run =
            since(&workplace, unknown).exits(1).says(&[&format!("no revision `{unknown}`"), "repo/policies"]);
        assert_eq!(run.stdout, "", "{unknown}");
        assert_eq!(run.stderr.lines().count(), 1, "{unknown}: {run:#?}");
    }
}

#[test]
fn a_folder_outside_of_any_repository_is_named() {
    let workplace = Workplace::sample();
    let run = workplace.run(&["policies", "diff", "--git", "HEAD"]).exits(1);
    let run = run.says(&["policies", "not a git repository"]);
    assert_eq!(run.stdout, "");
    workplace
        .run(&["policies", "diff", "--git", "HEAD", "nowhere"])
        .exits(1)
        .says(&["nowhere is not a folder"]);
}

#[test]
fn a_machine_without_git_is_told_what_is_needed() {
    let mut workplace = repository();
    let bin = workplace.path("bin");
    fs::create_dir(&bin).unwrap();
    let timeout = String::from_utf8(Command::new("which").arg("timeout").output().unwrap().stdout).unwrap();
    symlink(timeout.trim(), bin.join("timeout")).unwrap();
    workplace.set("PATH", &bin.display().to_string());
    since(&workplace, "HEAD").exits(1).says(&["needs the program git"]);
}

#[test]
fn a_folder_that_did_not_exist_then_is_named() {
    let workplace = repository();
    workplace.write("repo/more/policies.yaml", POLICIES);
    commit(&workplace);
    let run = workplace.run(&["policies", "diff", "--git", "HEAD~1", "repo/more"]).exits(1);
    run.says(&["repo/more holds no `*.yaml` file at HEAD~1"]);
    workplace.run(&["policies", "diff", "--git", "HEAD", "repo/more"]).exits(0);
}

#[test]
fn files_are_read_as_they_are_from_disk() {
    let workplace = repository();
    let tests = "version: 1\ntests: [{ as: blocked, api: orders, deny: [GET /named] }]\n";
    for name in
        ["a b.yaml", "größe \"x\".yaml", "tab\there.yaml", "team/deep/er.yaml", "-x.yaml", "line\nend.yaml"]
    {
        workplace.write(&format!("repo/policies/{name}"), tests);
    }
    workplace.write("repo/policies/crlf.yaml", "version: 1\r\nscopes:\r\n  more: x\r\n");
    workplace.write("repo/policies/no-newline.yaml", "version: 1");
    workplace.write("repo/policies/empty-tests.yaml", "version: 1\ntests: []\n\n\n");
    // what is passed over, in whatever state it is
    for name in [".hidden.yaml", "..data/x.yaml", ".git-ish/x.yaml", "other.yml", "README.md", "yaml"] {
        workplace.write(&format!("repo/policies/{name}"), "not: [valid");
    }
    commit(&workplace);
    let run = since(&workplace, "HEAD").exits(0);
    assert_eq!(run.stdout, "no difference\n");
    fs::remove_dir_all(workplace.path("repo/policies/team")).unwrap();
    workplace.write("repo/policies/crlf.yaml", "version: 1\nscopes:\n  more: x\n");
    assert_eq!(since(&workplace, "HEAD").exits(0).stdout, "no difference\n");
    // the files of the revision are read, not those on disk
    workplace.write("repo/policies/policies.yaml", &POLICIES.replace("ttl: 15m", "ttl: 30m"));
    assert_eq!(changes(&since(&workplace, "HEAD").exits(3)), [LONGER]);
}

#[test]
fn a_name_that_is_not_utf_8_is_no_trouble() {
    use std::os::unix::ffi::OsStrExt;
    let workplace = repository();
    let name = std::ffi::OsStr::from_bytes(b"\xff.yaml");
    fs::write(workplace.path("repo/policies").join(name), "version: 1\n").unwrap();
    commit(&workplace);
    assert_eq!(since(&workplace, "HEAD").exits(0).stdout, "no difference\n");
}

#[test]
fn a_link_in_the_repository_is_not_followed() {
    let workplace = repository();
    workplace.write("repo/outside.yaml", "version: 1\n");
    symlink("../outside.yaml", workplace.path("repo/policies/link.yaml")).unwrap();
    symlink("../outside.yaml", workplace.path("repo/policies/.hidden.yaml")).unwrap();
    symlink("..", workplace.path("repo/policies/above")).unwrap();
    commit(&workplace);
    let run = since(&workplace, "HEAD").exits(1);
    run.says(&["repo/policies/link.yaml is a link at HEAD", "compare two folders"]);
    fs::remove_file(workplace.path("repo/policies/link.yaml")).unwrap();
    commit(&workplace);
    assert_eq!(since(&workplace, "HEAD").exits(0).stdout, "no difference\n");
}

#[test]
fn a_revision_that_does_not_load_is_named_with_its_place() {
    let workplace = repository();
    workplace.write("repo/policies/policies.yaml", "version: 2\n");
    commit(&workplace);
    workplace.write("repo/policies/policies.yaml", POLICIES);
    let run = since(&workplace, "HEAD").exits(1);
    run.says(&["the folder as of HEAD cannot be compared", "HEAD:repo/policies/policies.yaml:1:10: error: "]);
    let run = since(&workplace, "v1").exits(0);
    assert_eq!(run.stdout, "no difference\n");
}

/// More than fits into a pipe, both ways.
#[test]
fn many_files_do_not_block() {
    let workplace = repository();
    let filler = "# filler filler filler filler filler filler\n".repeat(20);
    for number in 0..2000 {
        workplace.write(
            &format!("repo/policies/team-{}/file-{number}.yaml", number % 7),
            &format!("version: 1\nscopes:\n  scope-{number}: x\n{filler}"),
        );
    }
    commit(&workplace);
    assert_eq!(since(&workplace, "HEAD").exits(0).stdout, "no difference\n");
}

/// A revision has its files of keys too, and a link is none of them.
#[test]
fn a_file_of_keys_is_read_as_of_the_revision() {
    let workplace = repository();
    let key = |name: &str| fs::read_to_string(key_fixture("public").join(name)).unwrap();
    let client = "version: 1\nclients:\n  signer:\n    public_keys: [{ file: keys/signer.pem }]\n";
    workplace.write("repo/policies/signer.yaml", client);
    workplace.write("repo/policies/keys/signer.pem", &key("ed25519.pem"));
    commit(&workplace);
    assert_eq!(since(&workplace, "HEAD").exits(0).stdout, "no difference\n");
    workplace.write("repo/policies/keys/signer.pem", &key("p256.pem"));
    let run = since(&workplace, "HEAD").exits(3);
    let lines = changes(&run);
    assert_eq!(lines.len(), 2, "{run:?}");
    assert!(lines[1].starts_with("- signer loses a public key (thumbprint CcUbMYPA...)"), "{run:?}");
    symlink("signer.pem", workplace.path("repo/policies/keys/link.pem")).unwrap();
    workplace.write("repo/policies/signer.yaml", &client.replace("signer.pem", "link.pem"));
    commit(&workplace);
    since(&workplace, "HEAD").exits(1).says(&["`keys/link.pem` is not there"]);
}
