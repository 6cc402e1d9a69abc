//! `jeton init`: a folder from which a service starts, or nothing at all.
use std::{fs, os::unix::fs::PermissionsExt, path::Path, process::Stdio};

use jeton_policy::DemoSecrets;
use serde_json::Value;

use crate::{
    binary::{Run, Workplace},
    clients_commands::{hex, is_let_in, policies},
    policy_text::compile_folder,
    support::program::PATIENCE,
};

/// Every path below a folder, with what files hold.
pub(crate) fn everything_in(dir: &Path) -> Vec<(String, Option<Vec<u8>>)> {
    let mut all = Vec::new();
    let mut folders = vec![dir.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).unwrap() {
            let path = entry.unwrap().path();
            let name = path.strip_prefix(dir).unwrap().to_str().unwrap().to_owned();
            if path.is_dir() && !path.is_symlink() {
                all.push((name, None));
                folders.push(path);
            } else {
                all.push((name, fs::read(&path).ok()));
            }
        }
    }
    all.sort();
    all
}

/// The one secret that a run printed.
#[track_caller]
fn secret_of(run: &Run) -> String {
    assert_eq!(run.stdout.matches("jeton_").count(), 1, "{run:#?}");
    let (_, rest) = run.stdout.split_once("first-client:").unwrap();
    let secret: String = rest.chars().take_while(|c| c.is_ascii_alphanumeric() || *c == '_').collect();
    assert_eq!(secret.len(), 55, "{run:#?}");
    secret
}

#[test]
fn an_empty_folder_gets_settings_policies_and_a_place_for_keys() {
    let workplace = Workplace::empty();
    let run =
        workplace.run(&["init"]).exits(0).shows(&["\n  jeton serve\n", "\n  curl -u first-client:jeton_"]);
    let secret = secret_of(&run);
    assert_eq!(run.stderr, "");
    let names: Vec<_> = everything_in(&workplace.path("")).into_iter().map(|(name, _)| name).collect();
    assert_eq!(names, ["jeton.toml", "keys", "keys/.gitignore", "policies", "policies/notes.yaml"]);
    let run = workplace.run(&["config", "check"]).exits(0);
    for line in [
        "issuer http://127.0.0.1:8080 jeton.toml",
        "server.listen 127.0.0.1:8080 jeton.toml",
        "admin.listen 127.0.0.1:8081 jeton.toml",
        "tokens.ttl 1h default",
    ] {
        let squeezed = run.stdout.lines().map(|line| line.split_whitespace().collect::<Vec<_>>().join(" "));
        assert!(squeezed.into_iter().any(|found| found == line), "{line}: {run:#?}");
    }
    let mode = fs::metadata(workplace.path("keys")).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o700);
    let file = workplace.read("policies/notes.yaml");
    assert!(file.contains(&hex(&secret)) && !file.contains(&secret), "{file}");
    assert!(is_let_in(&workplace, "first-client", &secret, 0));
    assert_eq!(policies(&workplace).clients().len(), 1);
    assert_ne!(secret_of(&Workplace::empty().run(&["init"])), secret);
}

#[test]
fn its_policies_have_no_finding_and_their_tests_pass() {
    let workplace = Workplace::empty();
    workplace.run(&["init"]).exits(0);
    let check =
        workplace.run(&["policies", "check"]).exits(0).says(&["ok: 1 file, 1 API, 3 rules, 2 scopes"]);
    assert_eq!(check.stdout, "");
    workplace.run(&["policies", "test", "--require-tests"]).exits(0);
    compile_folder(&workplace.path("policies"), DemoSecrets::Refused).unwrap();
}

#[test]
fn a_folder_of_another_name_is_made_and_named() {
    for (dir, start) in [
        ("demo", "cd demo && jeton serve"),
        ("deep/er", "cd deep/er && jeton serve"),
        ("my first", "cd 'my first' && jeton serve"),
        ("it's", r"cd 'it'\''s' && jeton serve"),
    ] {
        let workplace = Workplace::empty();
        workplace.run(&["init", dir]).exits(0).shows(&[start]);
        // as it is printed, by a shell
        let check = start.replace("jeton serve", "exec \"$0\" policies check");
        let mut command = std::process::Command::new("sh");
        command.args(["-c", &check, env!("CARGO_BIN_EXE_jeton")]).current_dir(workplace.path(""));
        assert!(command.status().unwrap().success(), "{dir}");
    }
}

#[test]
fn an_empty_folder_that_is_there_is_taken() {
    let workplace = Workplace::empty();
    fs::create_dir(workplace.path("demo")).unwrap();
    workplace.write("of-others.txt", "stays");
    workplace.run(&["init", "demo"]).exits(0);
    // whatever else is in a folder does not matter
    workplace.run(&["init", "."]).exits(0).shows(&["\n  jeton serve\n"]);
    assert_eq!(workplace.read("of-others.txt"), "stays");
}

#[test]
fn what_is_there_is_named_and_nothing_is_written() {
    for (name, there, names) in [
        ("settings", &["jeton.toml"][..], &["`jeton.toml` is there already"][..]),
        ("policies", &["policies/orders.yaml"], &["`policies` is there already"]),
        ("keys", &["keys/README.md"], &["`keys` is there already"]),
        (
            "all",
            &["jeton.toml", "policies/a", "keys/a"],
            &["`jeton.toml`, `policies`, `keys` are there already"],
        ),
    ] {
        let workplace = Workplace::empty();
        for file in there {
            workplace.write(file, "of others");
        }
        let before = everything_in(&workplace.path(""));
        let run = workplace.run(&["init"]).exits(1).says(names).says(&["nothing was written"]);
        assert_eq!(run.stdout, "", "{name}");
        assert_eq!(everything_in(&workplace.path("")), before, "{name}");
    }
    let workplace = Workplace::empty();
    std::os::unix::fs::symlink("/nowhere", workplace.path("policies")).unwrap();
    workplace.run(&["init"]).exits(1).says(&["`policies` is there already"]);
    assert!(workplace.path("policies").is_symlink());
    // and of itself
    let workplace = Workplace::empty();
    workplace.run(&["init", "demo"]).exits(0);
    let before = everything_in(&workplace.path(""));
    workplace
        .run(&["init", "demo"])
        .exits(1)
        .says(&["`demo/jeton.toml`, `demo/policies`, `demo/keys` are there"]);
    assert_eq!(everything_in(&workplace.path("")), before);
}

#[test]
fn a_failure_in_the_middle_leaves_nothing() {
    // where nobody can see the secret it is lost
    let workplace = Workplace::empty();
    let run = workplace.run_unread(&["init", "deep/er"]).exits(1).says(&["secret could not be shown"]);
    assert!(!run.stderr.contains("jeton_"), "{run:#?}");
    assert_eq!(everything_in(&workplace.path("")), []);
    // and where the settings of the environment are bad, no service would start
    let mut workplace = Workplace::empty();
    workplace.set("JETON__SERVER__LISTEN", "nowhere");
    workplace.run(&["init"]).exits(1).says(&["JETON__SERVER__LISTEN"]);
    assert_eq!(everything_in(&workplace.path("")), []);
    // a file in the place of the folder
    let workplace = Workplace::empty();
    workplace.write("file", "of others");
    for dir in ["file", "file/below"] {
        workplace.run(&["init", dir]).exits(1).says(&["file"]);
    }
    assert_eq!(everything_in(&workplace.path("")).len(), 1);
}

#[test]
fn a_folder_in_which_we_may_not_write_stays_as_it_is() {
    let workplace = Workplace::empty();
    fs::set_permissions(workplace.path(""), fs::Permissions::from_mode(0o755)).unwrap();
    for dir in [".", "new"] {
        workplace.run_as(65_534, &["init", dir]).exits(1).says(&["nothing was made", "Permission denied"]);
    }
    assert_eq!(everything_in(&workplace.path("")), []);
}

#[test]
fn settings_of_another_file_are_not_written() {
    let workplace = Workplace::empty();
    workplace.run(&["--config", "prod.toml", "init"]).exits(1).says(&["leave out `--config`"]);
    assert_eq!(everything_in(&workplace.path("")), []);
}

#[actix_web::test]
async fn the_printed_lines_start_a_service_and_fetch_a_token() {
    let mut workplace = Workplace::empty();
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let address = format!("127.0.0.1:{port}");
    workplace.set("JETON__SERVER__LISTEN", &address).set("JETON__ADMIN__LISTEN", "127.0.0.1:0");
    let run = workplace.run(&["init"]).exits(0);
    let curl = run.stdout.lines().find_map(|line| line.strip_prefix("  curl ")).unwrap();
    let mut server = workplace.start(&["serve"]);
    let token = async {
        loop {
            let mut shell = tokio::process::Command::new("sh");
            let answer = shell.args(["-c", &format!("curl -s {curl}")]).stderr(Stdio::null()).output();
            let answer = answer.await.unwrap();
            if answer.status.success() {
                return serde_json::from_slice::<Value>(&answer.stdout).unwrap();
            }
        }
    };
    let token = tokio::time::timeout(PATIENCE, token).await;
    server.kill().unwrap();
    server.wait().unwrap();
    let token = token.expect("it answers");
    assert_eq!(token["scope"], "notes:read notes:write", "{token}");
    assert_eq!(token["expires_in"], 900, "{token}");
    let kept = everything_in(&workplace.path("keys"));
    assert!(kept.iter().any(|(name, _)| name.contains(".pem")), "{kept:?}");
}
