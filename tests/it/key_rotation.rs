//! Servers on one key folder, while their keys change.
use std::{
    collections::{BTreeMap, BTreeSet},
    ffi::OsString,
    fs,
    os::unix::fs::{PermissionsExt, chown, symlink},
    path::{Path, PathBuf},
    pin::pin,
    time::Duration,
};

use futures_util::future::{Either, join_all, select};
use jeton_jose::PublicKeys;
use jeton_oauth::clock::{Clock, SystemClock};
use jiff::SignedDuration;
use reqwest::Client;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::time::Instant;

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
                assert!(!cached.named(&kid).is_empty(), "`{kid}` signs, and is not known after {max_age:?}");
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
    let (load, logs) = (pin!(load), pin!(logs));
    assert!(matches!(select(load, logs).await, Either::Left(_)), "the servers ended");
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
    assert!(key_set(&http, &server.address).await.0.named(&kid_of(&old)).is_empty());
}

/// Caches may keep the key set for one of two seconds, and a poll takes two itself.
#[actix_web::test]
async fn a_start_says_where_a_new_key_is_read_too_late() {
    let keys = TempDir::new().unwrap();
    install_key("test-only-signing.pem", keys.path());
    let late = server(keys.path(), "publish_ahead = \"2s\"\n").await;
    let line = late.lines_of("keys.read_late")[0].clone();
    assert!(line["detail"].as_str().unwrap().contains("set `keys.publish_ahead` to 4 s or more"), "{line}");
    let early = server(keys.path(), "publish_ahead = \"4s\"\n").await;
    assert!(early.lines_of("keys.read_late").is_empty());
}

#[actix_web::test]
async fn get_ops_keys_shows_when_the_next_key_is_made() {
    let keys = TempDir::new().unwrap();
    install_key("test-only-signing.pem", keys.path());
    let server = server(keys.path(), "rotate_every = \"3650d\"\n").await;
    let http = http_client();
    let token = fetch_token(&http, &server.address).await;
    let url = format!("http://{}/ops/keys", server.address);
    let answer: Value = http.get(url).bearer_auth(&token).send().await.unwrap().json().await.unwrap();
    let planned = json!({ "made": "2035-12-29T23:00:00Z", "activates": "2035-12-30T00:00:00Z" });
    assert_eq!(answer["planned"], planned, "{answer}");
}

/// Time is looked at every ten seconds, the folder as often as `policies.poll` says.
#[actix_web::test]
async fn a_long_poll_counts_for_the_keys_too() {
    let dir = TempDir::new().unwrap();
    install_policies(&dir.path().join("policies"));
    let keys = dir.path().join("folder");
    install_key("test-only-signing.pem", &keys);
    install_key("test-only-other.pem", &keys);
    let ring = fs::read_to_string(keys.join("keyring.yaml")).unwrap();
    let soon = SystemClock.now() + SignedDuration::from_secs(8);
    let soon = ring.replace("activates: 2026-01-02T00:00:00Z", &format!("activates: {soon}"));
    fs::write(keys.join("keyring.yaml"), soon).unwrap();
    let settings = format!("[keys]\ndir = \"{}\"\n[policies]\npoll = \"15s\"\n", keys.display());
    let mut server = Binary::serve_in(dir, &settings).await;
    copy_key("test-only-p256.pem", &keys);
    server.logged("keys.activated").await;
    assert!(server.lines_of("keys.reloaded").is_empty());
    assert_eq!(server.logged("keys.reloaded").await["trigger"], "poll");
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
    assert!(line["error"].as_str().unwrap().contains("keyring.yaml:2:5: error: `activates` is "), "{line}");
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
    assert!(answer["key_errors"][0].as_str().unwrap().contains("keyring.yaml:2:5: error: "), "{answer}");
    assert_eq!(answer["findings"], json!([]));
    assert!(answer["detail"].as_str().unwrap().starts_with("the keys are rejected"), "{answer}");

    // whoever asks is told again
    while server.logged("keys.rejected").await["trigger"] != "POST /ops/reload" {}
    server.signal("HUP").await;
    while server.logged("keys.rejected").await["trigger"] != "SIGHUP" {}

    fs::write(keys.path().join("keyring.yaml"), good).unwrap();
    server.logged("keys.restored").await;
    let by_poll = server.lines_of("keys.rejected").into_iter().filter(|line| line["trigger"] == "poll");
    assert_eq!(by_poll.count(), 2, "each of the two faults once");
    let (status, answer) = reload().await;
    assert_eq!(status, 200, "{answer}");
    assert_eq!(answer["keys"], json!({ "reloaded": false, "signing": kid_of(&token) }));

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
    let keys = dir.path().join("secret");
    let is_root = rustix::process::geteuid().is_root();
    let set_mode = |path: &Path, mode| fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
    let for_group = |key: PathBuf| {
        if is_root {
            set_mode(&key, 0o440);
            chown(&key, None, Some(65534)).unwrap();
        }
    };
    for_group(install_key("test-only-signing.pem", &keys));
    set_mode(&keys, 0o555);
    // the key signs since long ago, so the next one is due at once
    let settings = settings(&keys, "rotate_every = \"1h\"\n");
    let mut server = if is_root {
        // root may write anywhere
        Binary::serve_as(65534, dir, &settings).await
    } else {
        Binary::serve_in(dir, &settings).await
    };
    assert_eq!(server.lines_of("keys.read_only").len(), 1);
    // each time the folder was looked at, and between them time went on by what it would be tried again
    for fixture in ["test-only-other.pem", "test-only-p256.pem"] {
        set_mode(&keys, 0o755);
        for_group(copy_key(fixture, &keys));
        set_mode(&keys, 0o555);
        let line = server.logged("keys.unlisted").await;
        assert!(line["path"].as_str().unwrap().contains("test-only-"), "{line}");
    }
    server.stop().await;
    for event in ["keys.rotated", "keys.rotation_failed"] {
        assert!(server.lines_of(event).is_empty(), "{event}");
    }
    let names: BTreeSet<_> = state(&keys).into_keys().collect();
    let expected = ["keyring.yaml", "test-only-other.pem", "test-only-p256.pem", "test-only-signing.pem"];
    assert_eq!(names, BTreeSet::from(expected.map(OsString::from)));
    set_mode(&keys, 0o755);
}

/// Killed behind each change of the folder that can be seen: one key signs afterwards, and the next order finds
/// nothing in its way.
#[test]
fn a_killed_order_leaves_a_folder_that_can_be_used() {
    let mut killed_halfway = 0;
    for order in [&["keys", "generate"][..], &["keys", "rotate"], &["keys", "rotate", "--now"]] {
        let is_first = order == ["keys", "generate"];
        // until an order ends before so many changes were seen
        for changes in 0.. {
            let workplace = if is_first { Workplace::new() } else { Workplace::sample() };
            let keys = workplace.path("keys");
            let mut child = workplace.start(order);
            let (mut seen, mut before) = (0, state(&keys));
            while seen < changes && child.try_wait().unwrap().is_none() {
                let now = state(&keys);
                seen += usize::from(now != before);
                before = now;
            }
            child.kill().unwrap();
            let has_ended = child.wait().unwrap().code().is_some();
            killed_halfway += usize::from(seen > 0 && !has_ended);
            // an order is given again, and finds a folder that it can go on with
            if is_first {
                let code = i32::from(keys.join("keyring.yaml").exists());
                workplace.run(&["keys", "generate"]).exits(code);
            }
            let run = workplace.run(&["keys", "list"]).exits(0);
            let active = run.stdout.lines().filter(|line| line.starts_with("active ")).count();
            assert_eq!(active, 1, "{order:?}, behind {changes} changes: {run:?}");
            workplace.run(&["keys", "rotate", "--now"]).exits(0);
            workplace.run(&["keys", "prune"]).exits(0);
            let names: Vec<_> = state(&keys).into_keys().collect();
            assert_eq!(names.len(), 3, "{order:?}, behind {changes} changes: {names:?}");
            if has_ended {
                break;
            }
        }
    }
    assert!(killed_halfway > 0, "every order was faster than the eye");
}

/// The files of a folder, and how long they are.
fn state(dir: &Path) -> BTreeMap<OsString, u64> {
    let entries = fs::read_dir(dir).into_iter().flatten().map(Result::unwrap);
    entries.map(|entry| (entry.file_name(), entry.metadata().map_or(0, |file| file.len()))).collect()
}
