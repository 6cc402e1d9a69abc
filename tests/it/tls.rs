//! TLS of both listeners: what is spoken, what is refused, and how one pair takes the place of another.
use std::{
    fs, io,
    os::unix::fs::symlink,
    path::Path,
    sync::{
        Arc, LazyLock,
        atomic::{AtomicBool, Ordering},
    },
};

use futures_util::future::join_all;
use jeton::config::{AdminSettings, ConsoleState, Settings, TlsSettings};
use jeton_oauth::clock::{Clock, SystemClock};
use rustls::{ALL_VERSIONS, ProtocolVersion, version};
use serde_json::Value;
use tempfile::TempDir;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    process::Command,
    time,
};

use crate::support::{
    RawResponse, Setup, TestApp, install_policies,
    program::{Binary, PATIENCE, POLLING},
    spawn_app_with,
    tls::{Authority, Day, Pair, get, shake_hands, shown},
};

static AUTHORITY: LazyLock<Authority> = LazyLock::new(Authority::new);

/// Writes a new pair into the folder of the keys, and names it.
fn pair_beside_the_keys(settings: &Settings) -> TlsSettings {
    let dir = settings.keys.dir.parent().unwrap();
    AUTHORITY.pair().write(dir);
    TlsSettings { cert_file: dir.join("cert.pem"), key_file: dir.join("key.pem") }
}

fn on_main(settings: &mut Settings) {
    settings.server.tls = Some(pair_beside_the_keys(settings));
}

/// The main listener stays as it is, so that it can be asked to read the pair again.
fn on_admin(settings: &mut Settings) {
    let tls = Some(pair_beside_the_keys(settings));
    settings.admin = Some(AdminSettings {
        listen: "127.0.0.1:0".parse().unwrap(),
        hosts: Vec::new(),
        console: ConsoleState::On,
        tls,
    });
}

fn spawn(settings: fn(&mut Settings)) -> TestApp {
    spawn_app_with(Setup { settings, ..Setup::default() })
}

fn main_address(app: &TestApp) -> String {
    app.address.trim_start_matches("http://").to_owned()
}

fn admin_address(app: &TestApp) -> String {
    app.admin.unwrap().to_string()
}

#[actix_web::test]
async fn tls_1_2_and_1_3_carry_http_1_1_alone() {
    let (main, admin) = (spawn(on_main), spawn(on_admin));
    for address in [main_address(&main), admin_address(&admin)] {
        for (versions, spoken) in [
            (&[&version::TLS12][..], ProtocolVersion::TLSv1_2),
            (&[&version::TLS13], ProtocolVersion::TLSv1_3),
            (ALL_VERSIONS, ProtocolVersion::TLSv1_3),
        ] {
            for (offered, chosen) in
                [(&[][..], None), (&["http/1.1"], Some("http/1.1")), (&["h2", "http/1.1"], Some("http/1.1"))]
            {
                let mut stream = shake_hands(&AUTHORITY.client(versions, offered), &address).await.unwrap();
                let session = stream.get_ref().1;
                assert_eq!(session.protocol_version(), Some(spoken));
                assert_eq!(session.alpn_protocol(), chosen.map(str::as_bytes), "{offered:?}");
                for _ in 0..2 {
                    assert_eq!(get(&mut stream, "/healthz").await.unwrap().0, 200, "{offered:?}");
                }
            }
            let refused = shake_hands(&AUTHORITY.client(versions, &["h2"]), &address).await;
            assert!(refused.is_err(), "HTTP/2 alone");
        }
    }
}

#[actix_web::test]
async fn http_without_tls_is_told_where_it_is() {
    let app = spawn(on_main);
    for request in [
        "GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n".to_owned(),
        format!("POST /oauth2/token HTTP/1.1\r\nHost: a\r\nContent-Length: 9000\r\n\r\n{}", "x".repeat(9000)),
        "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_owned(),
        "G".to_owned(),
    ] {
        let RawResponse { status, body, .. } = app.send_raw(&request).await;
        assert_eq!(status, 400, "{request}");
        assert!(body.contains("https://"), "{body}");
    }
    let stream = &mut AUTHORITY.connect(&main_address(&app)).await.unwrap();
    assert_eq!(get(stream, "/healthz").await.unwrap().0, 200);
}

/// Each of these once held a connection for ever at servers that bound only what comes after the handshake.
#[actix_web::test]
async fn a_handshake_that_does_not_go_on_is_ended() {
    let (main, admin) = (spawn(on_main), spawn(on_admin));
    let mut ends = Vec::new();
    for address in [main_address(&main), admin_address(&admin)] {
        for begun in [&b""[..], b"\x16", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"] {
            let mut stream = TcpStream::connect(&address).await.unwrap();
            stream.write_all(begun).await.unwrap();
            ends.push(async move {
                let mut rest = Vec::new();
                let ended = time::timeout(PATIENCE, stream.read_to_end(&mut rest)).await;
                assert!(ended.is_ok(), "{begun:?} is not ended");
            });
        }
    }
    join_all(ends).await;
}

#[actix_web::test]
async fn bytes_that_are_no_tls_end_the_connection() {
    let app = spawn(on_main);
    for bytes in [&b"\x00\x01\x02\x03\x04\x05"[..], b"\x16\x03\x01\x00\x02\x05\x00", b"\x80\x2e\x01\x00\x02"]
    {
        let mut stream = app.connect().await;
        stream.write_all(bytes).await.unwrap();
        let mut rest = Vec::new();
        let _ = time::timeout(PATIENCE, stream.read_to_end(&mut rest)).await.expect("it ends");
    }
    assert_eq!(
        get(&mut AUTHORITY.connect(&main_address(&app)).await.unwrap(), "/healthz").await.unwrap().0,
        200
    );
}

/// What `/readyz` says of the admin listener's certificate.
async fn readyz(app: &TestApp) -> Value {
    let answer = app.get("/readyz").await;
    assert_eq!(answer.status(), 200, "no certificate makes a server less ready");
    answer.json::<Value>().await.unwrap()["tls"]["admin"].take()
}

#[actix_web::test]
async fn a_new_pair_is_for_new_connections() {
    let app = spawn(on_admin);
    let address = admin_address(&app);
    let mut before = AUTHORITY.connect(&address).await.unwrap();
    assert_eq!(get(&mut before, "/healthz").await.unwrap().0, 200);
    let new = AUTHORITY.pair_for((2020, 1, 1), (2099, 2, 3));
    new.write(app.dir.path());
    let answer = app.post_reload().await;
    assert_eq!(answer.status(), 200);
    assert_eq!(answer.json::<Value>().await.unwrap()["tls"]["admin"]["reloaded"], true);
    let mut after = AUTHORITY.connect(&address).await.unwrap();
    assert_eq!(shown(&after), new.cert);
    for stream in [&mut before, &mut after] {
        assert_eq!(get(stream, "/healthz").await.unwrap().0, 200, "open connections go on");
    }
    assert_eq!(readyz(&app).await["expires_at"], "2099-02-03T00:00:00Z");
    // what was resumed before is not any more
    let again = app.post_reload().await;
    assert_eq!(again.json::<Value>().await.unwrap()["tls"]["admin"]["reloaded"], false);
}

#[actix_web::test]
async fn what_is_wrong_leaves_the_old_pair_and_is_said() {
    let app = spawn(on_admin);
    let (address, dir) = (admin_address(&app), app.dir.path());
    let old = Pair {
        cert: fs::read_to_string(dir.join("cert.pem")).unwrap(),
        key: fs::read_to_string(dir.join("key.pem")).unwrap(),
    };
    let new = AUTHORITY.pair();
    let half = |text: &str| text[..text.len() / 2].to_owned();
    for (name, cert, key, setting, says) in [
        ("half a certificate", half(&new.cert), new.key.clone(), "cert_file", "half written"),
        ("half a key", new.cert.clone(), half(&new.key), "key_file", "half written"),
        ("an empty certificate", String::new(), new.key.clone(), "cert_file", "is empty"),
        ("the new certificate alone", new.cert.clone(), old.key.clone(), "key_file", "another certificate"),
        ("the new key alone", old.cert.clone(), new.key.clone(), "key_file", "another certificate"),
    ] {
        Pair { cert, key }.write(dir);
        let answer = app.post_reload().await;
        assert_eq!(answer.status(), 422, "{name}");
        let body: Value = answer.json().await.unwrap();
        assert_eq!(
            body["detail"], "the certificates are rejected; the last good ones stay in force",
            "{name}"
        );
        let error = body["tls_errors"][0].as_str().unwrap();
        assert!(error.contains(&format!("`admin.tls.{setting}`")) && error.contains(says), "{name}: {error}");
        assert!(error.contains(dir.to_str().unwrap()), "{name}: {error}");
        let told = readyz(&app).await["last_reload_error"].take();
        let short = told["errors"][0].as_str().unwrap();
        assert!(short.contains(says) && !short.contains(dir.to_str().unwrap()), "{name}: {short}");
        assert_eq!(shown(&AUTHORITY.connect(&address).await.unwrap()), old.cert, "{name}");
    }
    old.write(dir);
    assert_eq!(app.post_reload().await.status(), 200);
    assert_eq!(readyz(&app).await["last_reload_error"], Value::Null);
    fs::remove_file(dir.join("key.pem")).unwrap();
    assert_eq!(app.post_reload().await.status(), 422, "a file that is gone");
    assert_eq!(shown(&AUTHORITY.connect(&address).await.unwrap()), old.cert);
}

const TLS: &str = "[server.tls]\ncert_file = \"tls/cert.pem\"\nkey_file = \"tls/key.pem\"\n";

/// A folder with the sample policies.
fn sample() -> TempDir {
    let dir = TempDir::new().unwrap();
    install_policies(&dir.path().join("policies"));
    dir
}

/// The real program with this pair, and these settings more.
async fn serve(pair: &Pair, settings: &str) -> Binary {
    let dir = sample();
    fs::create_dir(dir.path().join("tls")).unwrap();
    pair.write(&dir.path().join("tls"));
    Binary::serve_in(dir, &format!("{settings}{TLS}")).await
}

/// A volume as kubelet keeps it: `tls` holds links through `..data`, which is swapped.
fn swap_volume(dir: &Path, revision: u32, pair: &Pair) {
    let volume = dir.join("tls");
    let folder = volume.join(format!("..{revision}"));
    fs::create_dir_all(&folder).unwrap();
    pair.write(&folder);
    symlink(format!("..{revision}"), volume.join("..data_tmp")).unwrap();
    fs::rename(volume.join("..data_tmp"), volume.join("..data")).unwrap();
    for name in ["cert.pem", "key.pem"] {
        let link = volume.join(name);
        if !link.is_symlink() {
            symlink(format!("..data/{name}"), link).unwrap();
        }
    }
}

#[actix_web::test]
async fn a_mounted_secret_that_is_swapped_is_seen() {
    let (first, second) = (AUTHORITY.pair(), AUTHORITY.pair());
    let dir = sample();
    swap_volume(dir.path(), 1, &first);
    let mut binary = Binary::serve_in(dir, &format!("{POLLING}{TLS}")).await;
    assert_eq!(shown(&AUTHORITY.connect(&binary.address).await.unwrap()), first.cert);
    swap_volume(binary.dir.path(), 2, &second);
    let line = binary.logged("tls.reloaded").await;
    assert_eq!((&line["trigger"], &line["listener"]), (&"poll".into(), &"server".into()));
    assert_eq!(shown(&AUTHORITY.connect(&binary.address).await.unwrap()), second.cert);
    // a certificate without its key
    fs::write(binary.dir.path().join("tls/..2/cert.pem"), &first.cert).unwrap();
    let line = binary.logged("tls.rejected").await;
    assert!(line["error"].as_str().unwrap().contains("`server.tls.key_file`"), "{line}");
    assert_eq!(shown(&AUTHORITY.connect(&binary.address).await.unwrap()), second.cert);
    swap_volume(binary.dir.path(), 3, &second);
    binary.logged("tls.restored").await;
}

#[actix_web::test]
async fn a_swap_under_load_loses_no_request() {
    let mut binary = serve(&AUTHORITY.pair(), "").await;
    let is_over = Arc::new(AtomicBool::new(false));
    let client = async |address: String, is_over: Arc<AtomicBool>| -> io::Result<u32> {
        let mut answered = 0;
        while !is_over.load(Ordering::Relaxed) {
            let mut stream = AUTHORITY.connect(&address).await?;
            for _ in 0..5 {
                assert_eq!(get(&mut stream, "/healthz").await?.0, 200);
                answered += 1;
            }
        }
        Ok(answered)
    };
    let clients = join_all((0..4).map(|_| client(binary.address.clone(), Arc::clone(&is_over))));
    let swaps = async {
        for _ in 0..5 {
            AUTHORITY.pair().write(&binary.dir.path().join("tls"));
            binary.signal("HUP").await;
            binary.logged("tls.reloaded").await;
        }
        is_over.store(true, Ordering::Relaxed);
    };
    let (answered, ()) = tokio::join!(clients, swaps);
    for answered in answered {
        assert!(answered.expect("no request is lost") > 0);
    }
}

/// So many days from today.
fn day(from_now: i64) -> Day {
    let today = SystemClock.now() + jiff::SignedDuration::from_hours(24 * from_now);
    let date = jiff::tz::Offset::UTC.to_datetime(today).date();
    (date.year().into(), date.month().try_into().unwrap(), date.day().try_into().unwrap())
}

#[actix_web::test]
async fn a_certificate_that_clients_refuse_is_served_and_told() {
    for (from, until, event) in [
        (-30, 10, Some("tls.expires_soon")),
        (-30, -1, Some("tls.expires_soon")),
        (2, 90, Some("tls.not_yet_valid")),
        (-30, 20, None),
    ] {
        let pair = AUTHORITY.pair_for(day(from), day(until));
        let mut binary = serve(&pair, "").await;
        binary.stop().await;
        for name in ["tls.expires_soon", "tls.not_yet_valid"] {
            let lines = binary.lines_of(name);
            assert_eq!(lines.len(), usize::from(event == Some(name)), "{from} to {until}: {lines:?}");
            assert!(lines.iter().all(|line| line["level"] == "WARN" && line["listener"] == "server"));
        }
        assert_eq!(binary.lines_of("tls.loaded").len(), 1);
    }
}

#[actix_web::test]
async fn health_asks_by_tls_whatever_the_certificate_says() {
    let expired = AUTHORITY.pair_for((2020, 1, 1), (2021, 1, 1));
    let binary = serve(&expired, "").await;
    let health = async |settings: &[(&str, &str)]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_jeton"));
        command.arg("health").current_dir(binary.dir.path()).env("JETON__SERVER__LISTEN", &binary.address);
        command.envs(settings.iter().copied());
        time::timeout(PATIENCE, command.output()).await.unwrap().unwrap()
    };
    let asked = health(&[]).await;
    assert_eq!(asked.status.code(), Some(0), "{}", String::from_utf8_lossy(&asked.stderr));
    // without the setting, HTTP is what is spoken
    let asked = health(&[("JETON__SERVER__TLS__CERT_FILE", ""), ("JETON__SERVER__TLS__KEY_FILE", "")]).await;
    assert_eq!(asked.status.code(), Some(1));
}

#[actix_web::test]
async fn an_issuer_without_tls_is_warned_of() {
    let mut binary = serve(&AUTHORITY.pair(), "").await;
    binary.stop().await;
    let warnings = binary.lines_of("settings.warning");
    assert!(
        warnings.iter().any(|line| line["detail"].as_str().unwrap().contains("`issuer`")),
        "{warnings:?}"
    );
}
