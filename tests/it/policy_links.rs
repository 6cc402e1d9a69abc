//! Links in a policies folder: those that stay within it are followed, and of a file elsewhere nothing is told.
use std::{
    fs,
    os::unix::fs::symlink,
    path::{Path, PathBuf},
    process::Command,
    thread,
};

use jeton_policy::DemoSecrets;
use tempfile::TempDir;

use crate::{
    binary::Workplace,
    policies_diff_git::git,
    policy_text::compile_folder,
    support::program::{Binary, POLLING},
};

/// What stands in the files that nobody shall see.
const HIDDEN: &str = "hunter2";

const GOOD: &str = "version: 1\nscopes: { orders:read: Read orders }\n";

/// A policies folder with one good file, and beside it a folder with files that are none of its own.
struct Folder {
    root: TempDir,
}

impl Folder {
    fn new() -> Self {
        let folder = Self { root: TempDir::new().unwrap() };
        for name in ["policies/.hidden", "policies/team", "policies-of-others", "elsewhere"] {
            fs::create_dir_all(folder.root.path().join(name)).unwrap();
        }
        fs::write(folder.dir().join("a.yaml"), GOOD).unwrap();
        fs::write(folder.dir().join(".hidden/b"), "version: 1\nroles: { clerk: [orders:read] }\n").unwrap();
        for name in ["elsewhere/secret", "elsewhere/secret.yaml", "policies-of-others/secret.yaml"] {
            fs::write(folder.root.path().join(name), format!("{HIDDEN}: {HIDDEN}\n{HIDDEN}")).unwrap();
        }
        fs::create_dir(folder.root.path().join("elsewhere/folder.yaml")).unwrap();
        folder
    }

    fn dir(&self) -> PathBuf {
        self.root.path().join("policies")
    }

    fn link(&self, to: &str, name: &str) {
        symlink(to, self.dir().join(name)).unwrap();
    }

    /// All that is said of it.
    fn told(&self) -> String {
        match compile_folder(&self.dir(), DemoSecrets::Allowed) {
            Ok(policies) => policies.warnings().to_string(),
            Err(findings) => findings.to_string(),
        }
    }
}

#[test]
fn a_link_that_leaves_the_folder_is_an_error_without_a_line_of_what_is_there() {
    let absolute = |folder: &Folder| folder.root.path().join("elsewhere/secret.yaml").display().to_string();
    for (name, target) in [
        ("a file", "../elsewhere/secret"),
        ("a policy file", "../elsewhere/secret.yaml"),
        ("by way of the folder", "team/../../elsewhere/secret.yaml"),
        ("a folder whose name begins alike", "../policies-of-others/secret.yaml"),
        ("another link", "chain"),
        ("an absolute path", ""),
        ("the environment of the process", "/proc/self/environ"),
    ] {
        let folder = Folder::new();
        folder.link("../elsewhere/secret", "chain");
        let target = if target.is_empty() { absolute(&folder) } else { target.to_owned() };
        folder.link(&target, "x.yaml");
        let dir = folder.dir();
        let expected = format!(
            "{dir}/x.yaml: error: is a link to `{target}`, and leads out of the policies folder [unreadable]\n   \
             = help: put the file itself there, or link to one below the folder\n",
            dir = dir.display()
        );
        assert_eq!(folder.told(), expected, "{name}");
    }
}

#[test]
fn nothing_is_told_of_what_is_no_file_elsewhere() {
    let folder = Folder::new();
    let pipe = folder.root.path().join("elsewhere/pipe");
    assert!(Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    for target in ["../elsewhere/pipe", "../elsewhere/folder.yaml", "../elsewhere", "/dev/zero", ".."] {
        folder.link(target, "x.yaml");
        let told = folder.told();
        assert!(told.contains("leads out of the policies folder"), "{target}: {told}");
        fs::remove_file(folder.dir().join("x.yaml")).unwrap();
    }
}

/// Whether the role of the linked file is among the policies of a folder.
fn has_clerk(dir: &Path) -> bool {
    compile_folder(dir, DemoSecrets::Allowed).unwrap().roles().contains_key("clerk")
}

#[test]
fn a_link_that_stays_in_the_folder_is_followed() {
    for (name, target) in [
        ("a hidden file", ".hidden/b"),
        ("a link to a hidden file", "chain"),
        ("by way of the folder above", "../policies/.hidden/b"),
        ("by way of a folder that is a link", "other/b"),
    ] {
        let folder = Folder::new();
        folder.link(".hidden/b", "chain");
        folder.link(".hidden", "other");
        folder.link(target, "x.yaml");
        assert!(has_clerk(&folder.dir()), "{name}");
    }
    // so is the folder itself, whatever is a link above it
    let folder = Folder::new();
    folder.link(".hidden/b", "x.yaml");
    let link = folder.root.path().join("elsewhere/link");
    symlink("../policies", &link).unwrap();
    assert!(has_clerk(&link));
    let above = folder.root.path().join("elsewhere/above");
    symlink("..", &above).unwrap();
    let dotted = above.join("elsewhere/../policies/team/..");
    assert!(has_clerk(&dotted));
}

#[test]
fn a_link_to_a_folder_elsewhere_is_passed_over() {
    let folder = Folder::new();
    folder.link("../../elsewhere", "team/theirs");
    let told = folder.told();
    assert!(
        told.contains("team/theirs: warning: is a link to a folder, which jeton does not follow"),
        "{told}"
    );
    assert!(!told.contains(HIDDEN) && !told.contains("error"), "{told}");
}

/// Only a link says where it leads: a file with two names is in both folders.
#[test]
fn a_file_with_a_second_name_elsewhere_is_read() {
    let folder = Folder::new();
    let elsewhere = folder.root.path().join("elsewhere/roles");
    fs::write(&elsewhere, "version: 1\nroles: { clerk: [orders:read] }\n").unwrap();
    fs::hard_link(&elsewhere, folder.dir().join("x.yaml")).unwrap();
    assert!(has_clerk(&folder.dir()));
}

#[test]
fn a_link_to_keys_that_leaves_the_folder_is_told_where_a_client_names_it() {
    for name in ["x.pem", "x.jwk", "x.jwks", "x.json"] {
        let folder = Folder::new();
        folder.link("../elsewhere/secret", name);
        assert_eq!(folder.told().lines().filter(|line| line.contains("error")).count(), 0, "{name}");
        let client = format!("version: 1\nclients:\n  acme:\n    public_keys:\n      - file: {name}\n");
        fs::write(folder.dir().join("c.yaml"), client).unwrap();
        let told = folder.told();
        let expected = format!(
            "`{name}` is a link to `../elsewhere/secret`, and leads out of the policies folder [bad-public-key]"
        );
        assert!(told.contains(&expected), "{told}");
        assert!(!told.contains(HIDDEN), "{told}");
        fs::remove_file(folder.dir().join(name)).unwrap();
        // what an entry names stays below the folder too
        let target = folder.root.path().join("elsewhere/secret.pem");
        fs::write(&target, HIDDEN).unwrap();
        for name in ["../elsewhere/secret.pem", target.to_str().unwrap()] {
            let client = format!("version: 1\nclients:\n  acme:\n    public_keys:\n      - file: {name}\n");
            fs::write(folder.dir().join("c.yaml"), client).unwrap();
            let told = folder.told();
            assert!(told.contains("is outside of the policies folder"), "{told}");
        }
    }
}

#[test]
fn no_command_shows_a_line_of_a_file_elsewhere() {
    let workplace = Workplace::sample();
    workplace.write("elsewhere/secret", &format!("{HIDDEN}: {HIDDEN}\n")).write("log", "");
    std::fs::create_dir(workplace.path("good")).unwrap();
    workplace.write("good/a.yaml", GOOD);
    symlink("../elsewhere/secret", workplace.path("policies/x.yaml")).unwrap();
    for arguments in [
        &["policies", "check"][..],
        &["policies", "check", "--format", "json"],
        &["policies", "test"],
        &["policies", "test", "--junit", "report.xml"],
        &["policies", "matrix"],
        &["policies", "explain", "--api", "orders", "GET", "/"],
        &["policies", "diff", "good", "policies"],
        &["policies", "diff", "policies", "good"],
        &["policies", "replay", "log", "--against", "policies"],
        &["clients", "add", "new"],
        &["clients", "rotate", "acme-sync"],
        &["token", "revoke", "abc", "--until", "2999-01-01T00:00:00Z"],
        &["serve"],
    ] {
        let run = workplace.run(arguments).exits(1);
        let told = format!("{}{}", run.stdout, run.stderr);
        assert!(told.contains("leads out of the policies folder"), "{arguments:?}: {told}");
        assert!(!told.contains(HIDDEN), "{arguments:?}: {told}");
    }
    assert!(!workplace.read("report.xml").contains(HIDDEN));
}

/// As of a revision no link is followed, and the folder of today is read as it is elsewhere.
#[test]
fn no_line_of_a_file_elsewhere_comes_by_git() {
    let workplace = Workplace::new();
    let git = |arguments: &[&str]| git(&workplace.path(""), arguments);
    workplace.write("elsewhere", &format!("{HIDDEN}: {HIDDEN}\n")).write("policies/a.yaml", GOOD);
    git(&["init", "-q"]);
    git(&["add", "-A"]);
    git(&["commit", "-qm", "without"]);
    symlink("../elsewhere", workplace.path("policies/x.yaml")).unwrap();
    let check = |said: &str| {
        let run = workplace.run(&["policies", "diff", "--git", "HEAD"]).exits(1).says(&[said]);
        assert!(!run.stderr.contains(HIDDEN), "{run:?}");
    };
    check("leads out of the policies folder");
    git(&["add", "-A"]);
    git(&["commit", "-qm", "with"]);
    check("x.yaml is a link at HEAD");
}

#[test]
fn settings_that_are_a_link_elsewhere_show_no_line_of_it() {
    let workplace = Workplace::sample();
    workplace.write("elsewhere/secret", &format!("{HIDDEN}:{HIDDEN}\n"));
    symlink("elsewhere/secret", workplace.path("jeton.toml")).unwrap();
    for arguments in [&["policies", "check", "policies"][..], &["keys", "list"], &["serve"]] {
        let run =
            workplace.run(arguments).exits(1).says(&["jeton.toml", "line 1, column 16: key with no value"]);
        assert!(!run.stderr.contains(HIDDEN), "{run:?}");
    }
}

#[actix_web::test]
async fn a_reload_logs_no_line_of_a_file_elsewhere() {
    let root = TempDir::new().unwrap();
    fs::create_dir(root.path().join("policies")).unwrap();
    fs::write(root.path().join("policies/a.yaml"), GOOD).unwrap();
    fs::write(root.path().join("secret"), format!("{HIDDEN}: {HIDDEN}\n")).unwrap();
    let mut binary = Binary::serve_in(root, POLLING).await;
    symlink("../secret", binary.dir.path().join("policies/x.yaml")).unwrap();
    binary.logged("policies.rejected").await;
    binary.stop().await;
    let lines = binary.lines_of("policies.rejected");
    let told = format!("{lines:?}");
    assert!(told.contains("leads out of the policies folder") && !told.contains(HIDDEN), "{told}");
}

/// Whoever writes into the folder may exchange a file for a link while it is read.
#[test]
fn a_link_that_comes_while_the_folder_is_read_shows_nothing() {
    let folder = Folder::new();
    let (file, link) = (folder.dir().join("x.yaml"), folder.root.path().join("link"));
    fs::write(&file, GOOD.replace("read", "write")).unwrap();
    let kept = folder.root.path().join("kept");
    thread::scope(|scope| {
        let swapping = scope.spawn(|| {
            for _ in 0..5_000 {
                symlink("../elsewhere/secret", &link).unwrap();
                fs::hard_link(&file, &kept).unwrap();
                fs::rename(&link, &file).unwrap();
                fs::rename(&kept, &file).unwrap();
            }
        });
        while !swapping.is_finished() {
            let told = folder.told();
            assert!(!told.contains(HIDDEN), "{told}");
        }
    });
}
