//! What the listener asks clients for, and what it takes.
use std::{fs, sync::LazyLock, sync::atomic::Ordering};

use jeton::config::{ClientCertificateSettings, Settings, TlsSettings};
use jeton::gateway::TrustedPeers;
use rustls::{ALL_VERSIONS, HandshakeKind, version};

use crate::{
    binary::Workplace,
    support::{
        Setup, TestApp,
        holder::{Holder, Signer, authority, client, connector, dns},
        program::Binary,
        spawn_app_with,
        tls::{Authority, get, in_pem, shake_hands},
    },
};

static SERVER: LazyLock<Authority> = LazyLock::new(Authority::new);

fn tls(settings: &mut Settings) {
    let dir = settings.keys.dir.parent().unwrap();
    SERVER.pair().write(dir);
    settings.server.tls =
        Some(TlsSettings { cert_file: dir.join("cert.pem"), key_file: dir.join("key.pem") });
}

fn asking(settings: &mut Settings) {
    tls(settings);
    let proxies = TrustedPeers::parse(&[]).unwrap();
    settings.server.client_certificates = Some(ClientCertificateSettings { proxies, ca_file: None });
}

fn spawn(settings: fn(&mut Settings)) -> (TestApp, String) {
    let app = spawn_app_with(Setup { settings, ..Setup::default() });
    let address = app.address.trim_start_matches("http://").to_owned();
    (app, address)
}

#[actix_web::test]
async fn a_certificate_is_asked_for_where_that_is_set_and_never_required() {
    let holder = Holder::of_openssl("somebody");
    for (settings, expected) in [(tls as fn(&mut Settings), 0), (asking, 1)] {
        let (_app, address) = spawn(settings);
        for version in ALL_VERSIONS {
            for holder in [None, Some(&holder)] {
                let (client, showing) = connector(&SERVER, holder, &[version]);
                let mut stream = shake_hands(&client, &address).await.unwrap();
                assert_eq!(get(&mut stream, "/healthz").await.unwrap().0, 200);
                assert_eq!(showing.asked.load(Ordering::SeqCst), expected, "{version:?}");
            }
        }
    }
}

#[actix_web::test]
async fn the_admin_listener_asks_nobody() {
    use jeton::config::{AdminSettings, ConsoleState};
    let app = spawn_app_with(Setup {
        settings: |settings| {
            asking(settings);
            let tls = settings.server.tls.clone();
            let listen = "127.0.0.1:0".parse().unwrap();
            settings.admin =
                Some(AdminSettings { listen, hosts: Vec::new(), console: ConsoleState::On, tls });
        },
        ..Setup::default()
    });
    let (client, showing) = connector(&SERVER, Some(&Holder::of_openssl("somebody")), ALL_VERSIONS);
    let mut stream = shake_hands(&client, &app.admin.unwrap().to_string()).await.unwrap();
    assert_eq!(get(&mut stream, "/healthz").await.unwrap().0, 200);
    assert_eq!(showing.asked.load(Ordering::SeqCst), 0);
}

#[actix_web::test]
async fn whatever_a_client_holds_the_key_of_is_taken_in_the_handshake() {
    let (_app, address) = spawn(asking);
    let signer = Signer::root("nobody knows it").intermediate("below");
    let good = signer.sign(&client("somebody", vec![dns("client.example.com")]));
    let mut expired = client("expired", Vec::new());
    expired.not_after = rcgen::date_time_ymd(2021, 1, 1);
    let other = Holder::of_openssl("another");
    let mut long = good.clone();
    long.chain.resize(9, other.chain[0].clone());
    let mut cut = good.clone();
    cut.chain[0] = cut.chain[0][..cut.chain[0].len() - 1].to_vec().into();
    for version in [&version::TLS12, &version::TLS13] {
        for (name, holder, is_taken) in [
            ("signed", good.clone(), true),
            ("self-signed", other.clone(), true),
            ("expired", signer.sign(&expired), true),
            ("the key of another", good.with_key_of(&other), false),
            ("another's certificate", other.with_key_of(&good), false),
            ("a long chain", long.clone(), false),
            ("a certificate that is cut", cut.clone(), false),
        ] {
            let (client, _) = connector(&SERVER, Some(&holder), &[version]);
            let answer = async {
                let mut stream = shake_hands(&client, &address).await?;
                get(&mut stream, "/healthz").await
            };
            let answer = answer.await;
            assert_eq!(answer.is_ok(), is_taken, "{name} by {version:?}: {answer:?}");
        }
    }
}

/// A session would keep the certificate of its first connection, and need no key for it.
#[actix_web::test]
async fn no_session_is_resumed_where_certificates_are_asked_for() {
    let holder = Holder::of_openssl("somebody");
    for (settings, second) in
        [(tls as fn(&mut Settings), HandshakeKind::Resumed), (asking, HandshakeKind::Full)]
    {
        let (_app, address) = spawn(settings);
        for version in ALL_VERSIONS {
            let (client, _) = connector(&SERVER, Some(&holder), &[version]);
            for expected in [HandshakeKind::Full, second, second] {
                let mut stream = shake_hands(&client, &address).await.unwrap();
                assert_eq!(get(&mut stream, "/healthz").await.unwrap().0, 200);
                assert_eq!(stream.get_ref().1.handshake_kind(), Some(expected), "{version:?}");
            }
        }
    }
}

const OPTIONAL: &str = "[server]\nclient_certificates = \"optional\"\nclient_ca_file = \"ca.pem\"\ncertificate_proxies = [\"127.0.0.1\"]\n";

#[test]
fn each_wrong_setting_is_named() {
    const NEEDS: &str = "it needs `server.client_certificates = \"optional\"`";
    let admin = "[admin]\nlisten = \"127.0.0.1:1\"\n[admin.tls]\ncert_file = \"a\"\nkey_file = \"b\"";
    for (line, key, says) in [
        ("client_certificates = \"required\"", "client_certificates", "write `off` or `optional`"),
        ("client_certificates = true", "client_certificates", "in quotes"),
        ("client_certificates = \"optional\"", "client_certificates", "no certificate can come"),
        (
            &format!("client_certificates = \"optional\"\n{admin}"),
            "client_certificates",
            "in `[server.tls]`, or name the proxies",
        ),
        ("certificate_proxies = [\"10.0.0.0/8\"]", "certificate_proxies", NEEDS),
        ("certificate_proxies = \"10.0.0.300\"", "certificate_proxies", "is not an address"),
        (
            "client_certificates = \"optional\"\ncertificate_proxies = [\"10.1.2.3/8\"]",
            "certificate_proxies",
            "write `10.0.0.0/8`",
        ),
        ("client_ca_file = \"ca.pem\"", "client_ca_file", NEEDS),
        ("client_certificate = \"off\"", "client_certificate", "did you mean `server.client_certificates`?"),
    ] {
        let workplace = Workplace::sample();
        workplace.write("jeton.toml", &format!("[server]\n{line}\n"));
        let run = workplace.run(&["config", "check"]).exits(1);
        let named = format!("error: jeton.toml: `server.{key}`: ");
        assert!(run.stderr.contains(&named) && run.stderr.contains(says), "{line}: {run:#?}");
        assert_eq!(run.stderr.lines().count(), 1, "{line}: {run:#?}");
    }
}

#[test]
fn proxies_that_anybody_can_be_are_a_warning() {
    for (ranges, is_everybody) in [
        ("\"0.0.0.0/0\"", true),
        ("\"::/0\"", true),
        ("\"10.0.0.7\", \"0.0.0.0/0\"", true),
        ("\"0.0.0.0/1\", \"128.0.0.0/1\"", true),
        ("\"::/1\", \"8000::/2\", \"c000::/2\"", true),
        ("\"0.0.0.0/1\"", false),
        ("\"0.0.0.0/1\", \"8000::/1\"", false),
        ("\"10.0.0.0/8\", \"::1\"", false),
    ] {
        let workplace = Workplace::sample();
        let text =
            format!("[server]\nclient_certificates = \"optional\"\ncertificate_proxies = [{ranges}]\n");
        workplace.write("jeton.toml", &text);
        let run = workplace.run(&["config", "check"]).exits(0);
        let says = "warning: `server.certificate_proxies` holds every address: anybody can";
        assert_eq!(
            run.stderr.contains(says) || run.stdout.contains(says),
            is_everybody,
            "{ranges}: {run:#?}"
        );
    }
}

#[test]
fn a_file_without_a_sound_authority_is_refused() {
    let root = Signer::root("root");
    let leaf = root.sign(&client("somebody", Vec::new()));
    let (leaf_pem, leaf_key) = leaf.pem();
    let root_pem = root.pem();
    let mut no_signer = authority("lists alone");
    no_signer.key_usages = vec![rcgen::KeyUsagePurpose::CrlSign, rcgen::KeyUsagePurpose::DigitalSignature];
    let (no_signer, _) = Holder::self_signed(&no_signer).pem();
    for (name, text, says) in [
        ("an authority", root_pem.clone(), None),
        ("two", format!("{root_pem}{}", Signer::root("other").pem()), None),
        ("words around", format!("# ours\n{root_pem}"), None),
        ("nothing", String::new(), Some("is empty")),
        ("words", "hello\n".to_owned(), Some("holds no `-----BEGIN CERTIFICATE-----`")),
        ("a key", leaf_key.clone(), Some("holds a private key")),
        ("a key beside it", format!("{root_pem}{leaf_key}"), Some("holds a private key")),
        ("half of it", root_pem[..root_pem.len() / 2].to_owned(), Some("half written")),
        ("no certificate", in_pem("CERTIFICATE", b"hello"), Some("cannot be read")),
        ("an authority that may not sign", no_signer, Some("not one of an authority (number 1)")),
        ("a client", leaf_pem.clone(), Some("not one of an authority (number 1)")),
        ("a client beside it", format!("{root_pem}{leaf_pem}"), Some("not one of an authority (number 2)")),
        (
            "another block",
            format!("{root_pem}{}", in_pem("X509 CRL", b"x")),
            Some("holds a block `X509 CRL`"),
        ),
    ] {
        let workplace = Workplace::sample();
        workplace.write("jeton.toml", OPTIONAL).write("ca.pem", &text);
        let run = workplace.run(&["config", "check"]).exits(i32::from(says.is_some()));
        let Some(says) = says else { continue };
        assert!(run.stderr.contains(says), "{name}: {run:#?}");
        assert!(
            run.stderr.contains("error: jeton.toml: `server.client_ca_file`: the file `ca.pem`"),
            "{name}: {run:#?}"
        );
        let run = workplace.run(&["serve"]).exits(1);
        assert!(run.stderr.contains(says) && run.stderr.contains("client_ca_file"), "{name}: {run:#?}");
    }
    let workplace = Workplace::sample();
    workplace.write("jeton.toml", OPTIONAL);
    assert!(workplace.run(&["config", "check"]).exits(1).stderr.contains("client_ca_file"), "no file");
}

#[actix_web::test]
async fn the_file_of_the_authorities_is_followed() {
    let dir = tempfile::TempDir::new().unwrap();
    crate::support::install_policies(&dir.path().join("policies"));
    fs::write(dir.path().join("ca.pem"), Signer::root("first").pem()).unwrap();
    let file = dir.path().join("ca.pem");
    let variables = [
        ("JETON__SERVER__CLIENT_CERTIFICATES", "optional"),
        ("JETON__SERVER__CERTIFICATE_PROXIES", "127.0.0.1"),
        ("JETON__SERVER__CLIENT_CA_FILE", file.to_str().unwrap()),
        ("JETON__POLICIES__POLL", "1s"),
    ];
    let mut binary = Binary::serve_in_with(dir, &variables).await;
    let two = format!("{}{}", Signer::root("second").pem(), Signer::root("third").pem());
    fs::write(&file, &two).unwrap();
    let line = binary.logged("client_authorities.reloaded").await;
    assert_eq!((&line["count"], &line["trigger"]), (&2.into(), &"poll".into()));
    fs::write(&file, "nothing\n").unwrap();
    let line = binary.logged("client_authorities.rejected").await;
    assert!(line["error"].as_str().unwrap().contains("`server.client_ca_file`"), "{line}");
    fs::write(&file, &two).unwrap();
    binary.logged("client_authorities.restored").await;
    binary.signal("HUP").await;
    binary.logged("client_authorities.unchanged").await;
    binary.stop().await;
    let loaded = binary.lines_of("client_authorities.loaded");
    assert_eq!(loaded.iter().map(|line| &line["count"]).collect::<Vec<_>>(), [&serde_json::json!(1)]);
}

#[actix_web::test]
async fn a_reload_tells_of_the_authorities() {
    let app = spawn_app_with(Setup {
        settings: |settings| {
            asking(settings);
            let file = settings.keys.dir.parent().unwrap().join("ca.pem");
            fs::write(&file, Signer::root("first").pem()).unwrap();
            settings.server.tls = None;
            settings.server.client_certificates.as_mut().unwrap().ca_file = Some(file);
        },
        ..Setup::default()
    });
    let file = app.dir.path().join("ca.pem");
    for (text, status) in [(Signer::root("second").pem(), 200), ("nothing\n".to_owned(), 422)] {
        fs::write(&file, text).unwrap();
        let answer = app.post_reload().await;
        assert_eq!(answer.status(), status);
        let body: serde_json::Value = answer.json().await.unwrap();
        if status == 200 {
            assert_eq!(body["client_authorities"]["reloaded"], true, "{body}");
        } else {
            assert!(body["tls_errors"][0].as_str().unwrap().contains("`server.client_ca_file`"), "{body}");
        }
        let ready: serde_json::Value = app.get("/readyz").await.json().await.unwrap();
        let error = &ready["client_authorities"]["last_reload_error"];
        assert_eq!(error.is_null(), status == 200, "{ready}");
        assert!(!error.to_string().contains(app.dir.path().to_str().unwrap()), "{ready}");
    }
}
