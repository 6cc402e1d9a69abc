//! Every file that is read has a bound: what is longer, and what is no file, is named and neither read nor waited for.

use std::{
    fs::{self, File},
    os::unix::fs::{PermissionsExt, symlink},
    path::Path,
    process::Command,
};

use jeton_policy::{PolicySources, Reload};

use crate::{
    binary::{Run, Workplace},
    commands::good_token,
    watched::Watched,
};

/// What there may be where a file is meant: how it is called, and how it is made.
type Oddity = (&'static str, fn(&Path));

const ODDITIES: [Oddity; 3] = [
    ("a pipe, and not a file", |path| {
        assert!(Command::new("mkfifo").args(["-m", "600"]).arg(path).status().unwrap().success());
    }),
    ("a device, and not a file", |path| symlink("/dev/zero", path).unwrap()),
    // it takes no room on the disk
    ("holds more than", |path| {
        let file = File::create(path).unwrap();
        file.set_permissions(fs::Permissions::from_mode(0o600)).unwrap();
        file.set_len(1 << 40).unwrap();
    }),
];

/// Puts each oddity in the place of a file, and holds that the command ends, in little memory, and names it.
#[track_caller]
fn each_is_named(prepared: impl Fn() -> Workplace, file: &str, longest: &str, arguments: &[&str]) {
    for (told, make) in ODDITIES {
        let workplace = prepared();
        let path = workplace.path(file);
        let _ = fs::remove_file(&path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        make(&path);
        let run = workplace.run_in_little_memory(arguments).exits(1);
        let said = format!("{}{}", run.stdout, run.stderr);
        let name = Path::new(file).file_name().unwrap().to_str().unwrap();
        let told = match told {
            "holds more than" => longest,
            // the link to it is refused before it is looked at
            "a device, and not a file" if file.starts_with("policies/") => "leads out of the policies folder",
            told => told,
        };
        assert!(said.contains(name) && said.contains(told), "{file}, {told}: {run:#?}");
    }
}

/// The sample, with these settings.
fn with_settings(settings: &'static str) -> impl Fn() -> Workplace {
    move || {
        let workplace = Workplace::sample();
        workplace.write("jeton.toml", settings);
        workplace
    }
}

#[test]
fn policy_files() {
    each_is_named(
        Workplace::sample,
        "policies/x.yaml",
        "x.yaml: error: holds more than 256 MiB",
        &["policies", "check"],
    );
    each_is_named(Workplace::sample, "policies/x.yaml", "holds more than 256 MiB", &["serve"]);
    let named = "version: 1\nclients:\n  keyed:\n    public_keys: [{ file: x.jwks }]\n";
    let keyed = || {
        let workplace = Workplace::sample();
        workplace.write("policies/keyed.yaml", named);
        workplace
    };
    each_is_named(keyed, "policies/x.jwks", "`x.jwks` holds more than 64 KiB", &["policies", "check"]);
}

/// Whoever polls compares hashes, and whoever reads keeps one reading.
#[test]
fn what_is_read_is_in_memory_once_and_what_is_polled_is_not() {
    for line in [format!("# {}\n", "x".repeat(1021)), "\n".to_owned()] {
        let text = format!("version: 1\n{}", line.repeat(4 * 1024 * 1024 / line.len()));
        let watched = Watched::folder(&[("a.yaml", &text)]);
        let length = text.len() as u64;
        let most = |work: &dyn Fn()| allocation_counter::measure(work).bytes_max;
        let read = most(&|| drop(PolicySources::read(&watched.dir).unwrap()));
        assert!((length..length + length / 10).contains(&read), "{read} bytes to read {length}");
        let polled = most(&|| assert!(matches!(watched.policies.poll(), Reload::Unchanged)));
        assert!(polled < 1024 * 1024, "{polled} bytes to poll {length}");
        watched.write("b.yaml", "version: 1\n");
        let unsettled = most(&|| assert!(matches!(watched.policies.poll(), Reload::Unsettled)));
        assert!(unsettled < 1024 * 1024, "{unsettled} bytes to poll {length}");
        let reloaded = most(&|| assert!(matches!(watched.policies.poll(), Reload::Reloaded { .. })));
        // the parser gathers the ends of lines behind a value
        assert!((length..length * 3).contains(&reloaded), "{reloaded} bytes to reload {length}");
    }
}

/// Each for itself would do.
#[test]
fn policy_files_together() {
    let workplace = Workplace::sample();
    for name in ["a", "b", "c", "d", "e"] {
        let file = File::create(workplace.path(&format!("policies/sub-{name}.yaml"))).unwrap();
        file.set_len(60 * 1024 * 1024).unwrap();
    }
    let run = workplace.run_in_little_memory(&["policies", "check"]).exits(1);
    let told = "sub-e.yaml: error: is too large: with it the files of the folder hold more than 256 MiB";
    assert!(run.stdout.contains(told) && !run.stdout.contains("sub-d.yaml"), "{run:#?}");
}

#[test]
fn settings_files() {
    let longest = "holds more than 1 MiB";
    each_is_named(Workplace::sample, "jeton.toml", longest, &["keys", "list"]);
    each_is_named(Workplace::sample, "other.toml", longest, &["policies", "check", "--config", "other.toml"]);
    Workplace::sample().run(&["keys", "list", "--config", "policies"]).exits(1).says(&["is a folder"]);
    Workplace::sample()
        .run(&["keys", "list", "--config", "gone.toml"])
        .exits(1)
        .says(&["gone.toml: cannot be"]);
}

#[test]
fn files_of_secrets_and_keys() {
    let passphrase = with_settings("[keys]\npassphrase_file = \"secret\"\n");
    each_is_named(passphrase, "secret", "holds more than 64 KiB", &["keys", "list"]);
    let password = with_settings("[store]\nurl = \"redis://127.0.0.1:1\"\npassword_file = \"secret\"\n");
    each_is_named(password, "secret", "holds more than 64 KiB", &["serve"]);
    let authorities = with_settings("[store]\nurl = \"rediss://127.0.0.1:1\"\nca_file = \"ca.pem\"\n");
    let run = |make: fn(&Path)| {
        let workplace = authorities();
        make(&workplace.path("ca.pem"));
        workplace.run_in_little_memory(&["serve"]).exits(1)
    };
    run(ODDITIES[2].1).says(&["ca.pem: cannot be read: holds more than 1 MiB"]);
    // these are no files, as the settings say
    run(ODDITIES[0].1).says(&["ca.pem"]);
    run(ODDITIES[1].1).says(&["ca.pem"]);
    for file in ["keys/x.pem", "keys/keyring.yaml"] {
        for (_, make) in ODDITIES {
            let workplace = Workplace::sample();
            let _ = fs::remove_file(workplace.path(file));
            make(&workplace.path(file));
            workplace.run_in_little_memory(&["keys", "list"]).exits(1).says(&[file]);
        }
    }
}

#[test]
fn files_that_a_command_names() {
    let token = good_token(&Workplace::sample());
    let longest = "x.json holds more than 1 MiB";
    each_is_named(Workplace::sample, "x.json", longest, &["token", "inspect", &token, "--jwks", "x.json"]);
    let add = ["clients", "add", "keyed", "--public-key", "x.pem"];
    each_is_named(Workplace::sample, "x.pem", "x.pem holds more than 64 KiB", &add);
    // a log may come through a pipe; its lines have a bound
    for (_, make) in &ODDITIES[1..] {
        let workplace = Workplace::sample();
        make(&workplace.path("log"));
        let run = workplace.run_in_little_memory(&["policies", "replay", "log", "--against", "policies"]);
        run.exits(1).says(&["log:1: the line is longer than 1 MiB"]);
    }
}

#[test]
fn standard_input() {
    let workplace = Workplace::sample();
    let most = format!("{}{}", good_token(&workplace), "\n".repeat(64 * 1024));
    let most = &most[..64 * 1024];
    workplace.run_with_input(&["token", "inspect"], most).exits(0);
    let run = workplace.run_with_input(&["token", "inspect"], &format!("{most}\n")).exits(1);
    run.says(&["standard input holds more than 64 KiB"]);
}

/// The file that is there is kept, however long it is.
#[test]
fn recipes() {
    let settings = "[gateways.edge]\nkind = \"nginx\"\napi = \"orders\"\ntrusted_peers = [\"127.0.0.1\"]\n";
    let command = "gateway config edge --listen 127.0.0.1:1 --upstream 127.0.0.1:2 --out out";
    let command: Vec<_> = command.split(' ').collect();
    for (told, make) in ODDITIES {
        let workplace = with_settings(settings)();
        fs::create_dir(workplace.path("out")).unwrap();
        make(&workplace.path("out/nginx.conf"));
        let run = workplace.run_in_little_memory(&command);
        if told == "holds more than" {
            run.exits(0);
            assert_eq!(fs::metadata(workplace.path("out/nginx.conf.old")).unwrap().len(), 1 << 40);
            assert!(workplace.read("out/nginx.conf").contains("server"));
        } else {
            run.exits(1).says(&[&format!("nginx.conf is {told}")]);
        }
    }
}

fn git(workplace: &Workplace, arguments: &[&str]) {
    let mut git = Command::new("git");
    git.args(["-c", "user.name=x", "-c", "user.email=x@x", "-c", "core.compression=1"]);
    let done = git.args(arguments).current_dir(workplace.path("")).output().unwrap();
    assert!(done.status.success(), "{done:?}");
}

#[test]
fn files_in_git() {
    let workplace = Workplace::sample();
    git(&workplace, &["init", "-q"]);
    // named by nobody, so it does not matter
    File::create(workplace.path("policies/long.json")).unwrap().set_len(1024 * 1024).unwrap();
    git(&workplace, &["add", "."]);
    git(&workplace, &["commit", "-q", "-m", "first"]);
    let diff =
        |revision: &str| -> Run { workplace.run_in_little_memory(&["policies", "diff", "--git", revision]) };
    diff("HEAD").exits(0);
    File::create(workplace.path("policies/long.yaml")).unwrap().set_len(256 * 1024 * 1024).unwrap();
    git(&workplace, &["add", "."]);
    git(&workplace, &["commit", "-q", "-m", "second"]);
    fs::remove_file(workplace.path("policies/long.yaml")).unwrap();
    diff("HEAD").exits(1).says(&[
        "policies/long.yaml at HEAD is too large: with it the files of the folder hold more than 256 MiB",
    ]);
    diff("HEAD~").exits(0);
}

/// What is no decision log is not cut off, and is not looked through for the end of a line either.
#[test]
fn the_decision_log() {
    let workplace = with_settings("[log]\ndecisions = \"audit.jsonl\"\n")();
    let path = workplace.path("audit.jsonl");
    File::create(&path).unwrap().set_len(1 << 40).unwrap();
    let run = workplace.run_in_little_memory(&["serve"]).exits(1);
    run.says(&["audit.jsonl", "it ends in a line of more than 1 MiB: name another file"]);
    assert_eq!(fs::metadata(&path).unwrap().len(), 1 << 40);
}
