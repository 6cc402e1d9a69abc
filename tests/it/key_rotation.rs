//! Servers on one key folder, while their keys change.
use std::{
    collections::BTreeSet,
    fs,
    os::unix::fs::{PermissionsExt, symlink},
    path::Path,
    pin::pin,
    process::Stdio,
    thread,
    time::Duration,
};

use futures_util::future::{join_all, select};
use jeton::keys::PublicKeys;
use reqwest::Client;
use serde_json::Value;
use tempfile::TempDir;
use tokio::time::{self, Instant};

use crate::{
    binary::Workplace,
    support::{
        copy_key,
        forge::decoded,
        http_client, install_key, install_policies,
        program::{Binary, PATIENCE, POLLING},
        secret,
    },
};

/// Settings of a server on these keys.
fn settings(keys: &Path, more: &str) -> String {
    format!("[keys]\ndir = \"{}\"\n{more}{POLLING}", keys.display())
}

async fn server(keys: &Path, more: &str) -> Binary {
    let dir = TempDir::new().unwrap();
    install_policies(&dir.path().join("policies"));
    Binary::serve_in(dir, &settings(keys, more)).await
}

async fn fetch_token(http: &Client, address: &str) -> String {
    let form = [("grant_type", "client_credentials")];
    let request = http.post(format!("http://{address}/oauth2/token")).form(&form);
    let answer = request.basic_auth("operator", Some(secret("operator"))).send().await.unwrap();
    assert_eq!(answer.status(), 200, "{}", answer.text().await.unwrap());
    let answer: Value = answer.json().await.unwrap();
    answer["access_token"].as_str().unwrap().to_owned()
}

async fn status_of_principal(http: &Client, address: &str, token: &str) -> u16 {
    http.get(format!("http://{address}/principal")).bearer_auth(token).send().await.unwrap().status().as_u16()
}

async fn key_set(http: &Client, address: &str) -> (PublicKeys, Duration) {
    let answer = http.get(format!("http://{address}/.well-known/jwks.json")).send().await.unwrap();
    let cache = answer.headers()["cache-control"].to_str().unwrap().to_owned();
    let max_age = cache.strip_prefix("public, max-age=").unwrap().parse().unwrap();
    (PublicKeys::from_jwks(&answer.bytes().await.unwrap()).unwrap(), Duration::from_secs(max_age))
}

fn kid_of(token: &str) -> String {
    decoded(token).0["kid"].as_str().unwrap().to_owned()
}

/// Two servers rotate by themselves. Tokens of either are taken by the other, and by somebody with a cached key
/// set who never asks for a key that he does not know.
#[actix_web::test]
async fn a_rotation_under_load_loses_nothing() {
    let keys = TempDir::new().unwrap();
    let rotating = "algorithm = \"ES256\"\npublish_ahead = \"4s\"\nrotate_every = \"4s\"\n";
    let mut servers = [server(keys.path(), rotating).await, server(keys.path(), rotating).await];
    let addresses = servers.each_ref().map(|server| server.address.clone());
    let deadline = Instant::now() + 3 * PATIENCE;
    let load = |own: usize| {
        let (mine, other) = (&addresses[own], &addresses[1 - own]);
        async move {
            let http = http_client();
            let mut signed_by = BTreeSet::new();
            let (mut cached, mut max_age) = key_set(&http, other).await;
            let mut fetched_at = Instant::now();
            while signed_by.len() < 4 {
                assert!(Instant::now() < deadline, "the keys do not change: {signed_by:?}");
                if fetched_at.elapsed() >= max_age {
                    fetched_at = Instant::now();
                    (cached, max_age) = key_set(&http, other).await;
                }
                let token = fetch_token(&http, mine).await;
                let kid = kid_of(&token);
                assert!(cached.find(&kid).is_some(), "`{kid}` signs, and is not known after {max_age:?}");
                assert_eq!(
                    status_of_principal(&http, other, &token).await,
                    200,
                    "`{kid}` at the other server"
                );
                assert_eq!(status_of_principal(&http, mine, &token).await, 200, "`{kid}` at its own server");
                signed_by.insert(kid);
            }
        }
    };
    let logs = join_all(servers.iter_mut().map(Binary::drain));
    let load = join_all([0, 1, 0, 1].map(load));
    select(pin!(load), pin!(logs)).await;
}

#[actix_web::test]
async fn a_leaked_key_is_refused_without_a_restart() {
    let keys = TempDir::new().unwrap();
    install_key("test-only-signing.pem", keys.path());
    let mut server = server(keys.path(), "").await;
    let http = http_client();
    let old = fetch_token(&http, &server.address).await;
    assert_eq!(status_of_principal(&http, &server.address, &old).await, 200);

    let mut workplace = Workplace::new();
    workplace.set("JETON__KEYS__DIR", keys.path().to_str().unwrap());
    let run = workplace.run(&["keys", "rotate", "--now"]).exits(0);
    let shows = [&kid_of(&old), "What this breaks", "up to 300 s", "within 3 s"];
    let new = run.shows(&shows).stdout.lines().next().unwrap().to_owned();
    assert_eq!(server.logged("keys.dropped").await["kid"], kid_of(&old));
    assert_eq!(server.logged("keys.reloaded").await["signing"], new);

    assert_eq!(status_of_principal(&http, &server.address, &old).await, 401);
    let token = fetch_token(&http, &server.address).await;
    assert_eq!(kid_of(&token), new);
    assert_eq!(status_of_principal(&http, &server.address, &token).await, 200);
    assert!(key_set(&http, &server.address).await.0.find(&kid_of(&old)).is_none());
}

/// What a server does not understand changes nothing, and is told once.
#[actix_web::test]
async fn a_broken_folder_leaves_the_keys_in_force() {
    let keys = TempDir::new().unwrap();
    install_key("test-only-signing.pem", keys.path());
    let mut server = server(keys.path(), "").await;
    let http = http_client();
    let token = fetch_token(&http, &server.address).await;
    let good = fs::read_to_string(keys.path().join("keyring.yaml")).unwrap();

    fs::write(keys.path().join("keyring.yaml"), good.replace("activates", "activated")).unwrap();
    let line = server.logged("keys.rejected").await;
    assert!(line["error"].as_str().unwrap().contains("keyring.yaml: "), "{line}");
    assert_eq!(status_of_principal(&http, &server.address, &token).await, 200);
    let ready = http.get(format!("http://{}/readyz", server.address)).send().await.unwrap();
    assert_eq!(ready.status(), 200);
    let ready: Value = ready.json().await.unwrap();
    assert!(ready["keys"]["last_reload_error"]["at"].is_string(), "{ready}");
    let url = format!("http://{}/ops/reload", server.address);
    let reload = async || {
        let request = http.post(&url).bearer_auth(&token);
        let answer = request.send().await.unwrap();
        (answer.status().as_u16(), answer.json::<Value>().await.unwrap())
    };
    let (status, answer) = reload().await;
    assert_eq!(status, 422, "{answer}");
    assert!(answer["key_errors"][0].as_str().unwrap().contains("keyring.yaml: "), "{answer}");
    assert_eq!(answer["findings"], serde_json::json!([]));
    assert!(answer["detail"].as_str().unwrap().starts_with("the keys are not taken"), "{answer}");

    fs::write(keys.path().join("keyring.yaml"), good).unwrap();
    server.logged("keys.restored").await;
    assert_eq!(server.lines_of("keys.rejected").len(), 1);
    let (status, answer) = reload().await;
    assert_eq!(status, 200, "{answer}");
    assert_eq!(answer["keys"], serde_json::json!({ "reloaded": false, "signing": kid_of(&token) }));

    // a key without an entry is told, and changes nothing
    copy_key("test-only-other.pem", keys.path());
    let line = server.logged("keys.unlisted").await;
    assert!(line["path"].as_str().unwrap().ends_with("test-only-other.pem"), "{line}");
    assert_eq!(key_set(&http, &server.address).await.0.len(), 1);
}

/// As kubelet mounts a Secret: everything is a link through `..data`, which is swapped.
#[actix_web::test]
async fn a_mounted_secret_is_followed() {
    let volume = TempDir::new().unwrap();
    let revision = |name: &str, fixtures: &[&str]| {
        let dir = volume.path().join(name);
        for fixture in fixtures {
            install_key(fixture, &dir);
        }
        symlink(name, volume.path().join("..data_tmp")).unwrap();
        fs::rename(volume.path().join("..data_tmp"), volume.path().join("..data")).unwrap();
        for entry in fs::read_dir(&dir).unwrap() {
            let name = entry.unwrap().file_name();
            let link = volume.path().join(&name);
            if !link.exists() {
                symlink(Path::new("..data").join(&name), link).unwrap();
            }
        }
    };
    revision("..1", &["test-only-signing.pem"]);
    let mut server = server(volume.path(), "").await;
    let http = http_client();
    let first = kid_of(&fetch_token(&http, &server.address).await);
    revision("..2", &["test-only-signing.pem", "test-only-other.pem"]);
    let second = server.logged("keys.reloaded").await["signing"].as_str().unwrap().to_owned();
    assert_ne!(first, second);
    assert_eq!(kid_of(&fetch_token(&http, &server.address).await), second);
}

/// The group of a mounted Secret is how the process may read it. A server that cannot write says so, and does
/// not try.
#[actix_web::test]
async fn a_folder_that_cannot_be_written_is_read() {
    let dir = TempDir::new().unwrap();
    install_policies(&dir.path().join("policies"));
    let keys = dir.path().join("keys");
    let key = install_key("test-only-signing.pem", &keys);
    let is_root = rustix::process::geteuid().is_root();
    let mut command = if is_root {
        // root may write anywhere
        fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o755)).unwrap();
        fs::set_permissions(&key, fs::Permissions::from_mode(0o440)).unwrap();
        std::os::unix::fs::chown(&key, None, Some(65534)).unwrap();
        let mut command = tokio::process::Command::new("setpriv");
        command
            .args(["--reuid", "65534", "--regid", "65534", "--clear-groups"])
            .arg(env!("CARGO_BIN_EXE_jeton"));
        command
    } else {
        tokio::process::Command::new(env!("CARGO_BIN_EXE_jeton"))
    };
    fs::set_permissions(&keys, fs::Permissions::from_mode(0o555)).unwrap();
    command.arg("serve").current_dir(dir.path()).stderr(Stdio::piped()).kill_on_drop(true);
    command.env("JETON__SERVER__LISTEN", "127.0.0.1:0").env("JETON__KEYS__ROTATE_EVERY", "30d");
    command.env("JETON__LOG__FORMAT", "json");
    let mut child = command.spawn().unwrap();
    let mut log = tokio::io::BufReader::new(child.stderr.take().unwrap());
    let mut text = String::new();
    let serving = async {
        while !text.contains("\"serving\"") {
            let read = tokio::io::AsyncBufReadExt::read_line(&mut log, &mut text).await.unwrap();
            assert!(read > 0, "it does not start: {text}");
        }
    };
    time::timeout(PATIENCE, serving).await.expect("it starts");
    assert!(text.contains("keys.read_only"), "{text}");
    let names: Vec<_> = fs::read_dir(&keys).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(names.len(), 2, "{names:?}");
    fs::set_permissions(&keys, fs::Permissions::from_mode(0o755)).unwrap();
}

/// Killed at any moment: one key signs afterwards, and the next order finds nothing in its way.
#[test]
fn a_killed_order_leaves_a_folder_that_can_be_used() {
    let mut workplace = Workplace::new();
    workplace.set("JETON__KEYS__ALGORITHM", "ES256").set("JETON__KEYS__PUBLISH_AHEAD", "0s");
    let (mut stopped, mut done) = (0, 0);
    let mut patience = Duration::from_millis(10);
    for round in 0..80 {
        let order: &[&str] = if round % 2 == 0 { &["keys", "rotate"] } else { &["keys", "rotate", "--now"] };
        let order = if workplace.path("keys/keyring.yaml").exists() { order } else { &["keys", "generate"] };
        let mut child = workplace.start(order);
        thread::sleep(patience);
        child.kill().unwrap();
        // around the end of an order, where the files change
        if child.wait().unwrap().success() {
            done += 1;
            patience = patience.mul_f64(0.85);
        } else {
            stopped += 1;
            patience = patience.mul_f64(1.1);
        }
        if !workplace.path("keys/keyring.yaml").exists() {
            continue;
        }
        // a ring of which the only key has not got its name yet is made whole by the next order
        let run = workplace.run(&["keys", "list"]);
        if run.code != Some(0) {
            workplace.run(&["keys", "generate"]).exits(1).says(&["there is a key already"]);
        }
        let run = workplace.run(&["keys", "list"]).exits(0);
        let active = run.stdout.lines().filter(|line| line.starts_with("active ")).count();
        assert_eq!(active, 1, "round {round}: {run:?}");
    }
    assert!(stopped > 10 && done > 10, "{stopped} were stopped, {done} were not");
    workplace.run(&["keys", "rotate", "--now"]).exits(0);
    workplace.run(&["keys", "prune"]).exits(0);
    let hidden = fs::read_dir(workplace.path("keys")).unwrap();
    let hidden = hidden
        .map(|entry| entry.unwrap().file_name())
        .filter(|name| name.to_string_lossy().contains("partial"));
    assert_eq!(hidden.count(), 0);
}
