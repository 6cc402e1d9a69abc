//! What a start says to who started it; and that one which fails leaves nothing behind.
use std::{
    fs,
    io::{BufRead, BufReader},
    os::unix::fs::{PermissionsExt, symlink},
    process::{Command, Stdio},
};

use crate::{
    binary::Workplace,
    init::everything_in,
    support::{install_policies, secrets, terminal::OnTerminal, tls::Authority},
};

const FREE: &str = "[server]\nlisten = \"127.0.0.1:0\"\n";

/// A folder with the sample policies, and with these settings.
fn with_settings(settings: &str) -> Workplace {
    let workplace = Workplace::empty();
    install_policies(&workplace.path("policies"));
    workplace.write("jeton.toml", &format!("{FREE}{settings}"));
    workplace
}

/// Holds that an order fails with these words, and that the folder is what it was.
#[track_caller]
fn leaves_nothing(name: &str, workplace: &Workplace, arguments: &[&str], says: &[&str]) {
    let before = everything_in(&workplace.path(""));
    workplace.run(arguments).exits(1).says(says);
    assert_eq!(everything_in(&workplace.path("")), before, "{name}");
}

#[test]
fn without_policies_a_start_names_init() {
    let workplace = Workplace::empty();
    let says = ["the folder `policies` does not exist: `jeton init` makes a first one"];
    for arguments in [&["serve"][..], &["policies", "check"], &["clients", "add", "x"]] {
        leaves_nothing("an empty folder", &workplace, arguments, &says);
    }
    workplace.write("policies", "a file");
    let run = workplace.run(&["serve"]).exits(1).says(&["the folder `policies` is not a folder"]);
    assert!(!run.stderr.contains("init"), "{run:#?}");
}

#[test]
fn a_start_that_fails_at_the_keys_leaves_no_lock_no_folder_and_no_log() {
    const LOG: &str = "[log]\ndecisions = \"decisions.jsonl\"\n";
    let workplace = with_settings(LOG);
    workplace.write("keys/20260101T000000Z-x.pem", "no key");
    leaves_nothing("no PEM", &workplace, &["serve"], &["20260101T000000Z-x.pem"]);

    let workplace = with_settings(LOG);
    workplace.write("keys/keyring.yaml", "keys: nonsense\n");
    leaves_nothing("a ring that cannot be read", &workplace, &["serve"], &["keyring.yaml"]);

    let workplace = with_settings("[keys]\ndir = \"file/keys\"\n");
    workplace.write("file", "of others");
    leaves_nothing("no room for the folder", &workplace, &["serve"], &["file/keys"]);

    // the log cannot be made where the key could
    let workplace = with_settings(LOG);
    symlink("/nowhere/decisions.jsonl", workplace.path("decisions.jsonl")).unwrap();
    leaves_nothing("no log", &workplace, &["serve"], &["log.decisions"]);
}

#[test]
fn a_start_without_its_admin_address_leaves_nothing() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let admin = taken.local_addr().unwrap();
    let workplace =
        with_settings(&format!("[admin]\nlisten = \"{admin}\"\n[log]\ndecisions = \"decisions.jsonl\"\n"));
    leaves_nothing("a taken address", &workplace, &["serve"], &["admin.listen", &admin.to_string()]);
}

#[test]
fn a_start_that_may_not_write_the_keys_leaves_nothing() {
    let workplace =
        with_settings("[keys]\ndir = \"state/keys\"\n[log]\ndecisions = \"open/decisions.jsonl\"\n");
    for (folder, mode) in [("", 0o755), ("state", 0o755), ("open", 0o777)] {
        fs::create_dir_all(workplace.path(folder)).unwrap();
        fs::set_permissions(workplace.path(folder), fs::Permissions::from_mode(mode)).unwrap();
    }
    let before = everything_in(&workplace.path(""));
    workplace.run_as(65_534, &["serve"]).exits(1).says(&["state/keys: cannot be made"]);
    assert_eq!(everything_in(&workplace.path("")), before);
}

#[test]
fn an_order_that_is_not_carried_out_leaves_nothing() {
    let workplace = with_settings("");
    for order in
        [&["keys", "rotate"][..], &["keys", "rotate", "--now"], &["keys", "prune"], &["keys", "retire", "x"]]
    {
        leaves_nothing("without a key", &workplace, order, &["keys"]);
    }
    // the lock of an order that was carried out stays, whatever comes after
    workplace.run(&["keys", "generate"]).exits(0);
    leaves_nothing("with a key", &workplace, &["keys", "generate"], &["there is a key already"]);
    assert!(workplace.path("keys/.lock").exists());
    let mode = fs::metadata(workplace.path("keys")).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o700);
}

/// The last lines of a start on a terminal. A line with a known secret must work.
fn welcome(workplace: &Workplace) -> String {
    let mut server = OnTerminal::start(&workplace.path(""), &["serve"]);
    let seen = server.seen_up_to("  a token");
    let curl = seen.lines().last().and_then(|line| line.split_once("curl ")).map(|(_, arguments)| arguments);
    if let Some(arguments) = curl.filter(|arguments| arguments.contains("demo-secret")) {
        let answer = Command::new("sh").args(["-c", &format!("curl -s {arguments}")]).output().unwrap();
        let answer = String::from_utf8(answer.stdout).unwrap();
        assert!(answer.contains("\"access_token\""), "{seen}\n{answer}");
    }
    seen
}

#[test]
fn on_a_terminal_a_start_ends_with_a_line_that_fetches_a_token() {
    let workplace = with_settings("[admin]\nlisten = \"127.0.0.1:0\"\n");
    let lines = welcome(&workplace);
    for text in [
        "listens on  http://127.0.0.1:",
        "issuer      http://127.0.0.1:8080",
        "admin       http://127.0.0.1:",
        "console     http://127.0.0.1:",
        "/console/",
        "-u acme-sync:demo-secret-of-acme-sync",
        "-d resource=https://orders.example.com",
    ] {
        assert!(lines.contains(text), "{text}: {lines}");
    }
}

#[test]
fn a_console_that_is_off_or_shows_nothing_is_not_named() {
    for settings in ["listen = \"127.0.0.1:0\"\nconsole = \"off\"", "listen = \"0.0.0.0:0\""] {
        let lines = welcome(&with_settings(&format!("[admin]\n{settings}\n")));
        assert!(lines.contains("admin       http://127.0.0.1:"), "{settings}: {lines}");
        assert!(!lines.contains("console"), "{settings}: {lines}");
    }
}

#[test]
fn behind_a_certificate_the_line_fetches_a_token_too() {
    let workplace = with_settings(
        "[server.tls]\ncert_file = \"cert.pem\"\nkey_file = \"key.pem\"\n[admin]\nlisten = \"127.0.0.1:0\"\n",
    );
    Authority::new().pair().write(&workplace.path(""));
    let lines = welcome(&workplace);
    for text in ["listens on  https://127.0.0.1:", "admin       http://127.0.0.1:", "curl --cacert "] {
        assert!(lines.contains(text), "{text}: {lines}");
    }
}

#[test]
fn curl_asks_for_a_secret_that_is_not_known() {
    const API: &str = "version: 1\nscopes: { a: A }\napis: { x: { audience: https://x.example, rules: { all: { routes: [GET /], require: { scope: a } } } } }\n";
    let client =
        |name: &str, more: &str| format!("  {name}: {{ {more} grants: {{ x: {{ scopes: [a] }} }} }}\n");
    for (name, clients, says) in [
        (
            "one",
            client("b-c", &(secrets("other") + ", ")),
            "curl -u b-c -d grant_type=client_credentials http://127.0.0.1:",
        ),
        (
            "a disabled one is passed over",
            client("a", &("enabled: false, ".to_owned() + &secrets("a") + ", "))
                + &client("z", &(secrets("other") + ", ")),
            "curl -u z -d ",
        ),
        (
            "a known one comes first",
            client("a", &(secrets("other") + ", ")) + &client("z", &(secrets("z") + ", ")),
            "curl -u z:demo-secret-of-z ",
        ),
        ("none", client("a", "enabled: false, "), "no client has a secret: add one with `jeton clients add"),
    ] {
        let workplace = Workplace::new();
        workplace.write("jeton.toml", FREE).write("policies/a.yaml", &format!("{API}clients:\n{clients}"));
        let lines = welcome(&workplace);
        assert!(lines.contains(says), "{name}: {lines}");
    }
}

#[test]
fn for_programs_a_start_says_no_more_than_its_log() {
    // a terminal, and JSON
    let workplace = with_settings("[log]\nformat = \"json\"\n");
    let mut server = OnTerminal::start(&workplace.path(""), &["serve"]);
    server.seen_up_to("\"serving\"");
    server.types("\x03");
    let rest = server.end().text;
    assert!(!rest.contains("curl") && !rest.contains("listens on"), "{rest}");
    // no terminal
    let workplace = with_settings("");
    let mut command = Command::new(env!("CARGO_BIN_EXE_jeton"));
    command.arg("serve").current_dir(workplace.path("")).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    let mut log = BufReader::new(child.stderr.take().unwrap()).lines();
    assert!(log.by_ref().map(Result::unwrap).any(|line| line.contains("serving")));
    let pid = child.id().to_string();
    assert!(Command::new("kill").args(["-s", "TERM", &pid]).status().unwrap().success());
    let rest: Vec<_> = log.map(Result::unwrap).collect();
    assert!(rest.iter().all(|line| !line.contains("curl") && !line.contains("listens on")), "{rest:#?}");
    child.wait().unwrap();
}
