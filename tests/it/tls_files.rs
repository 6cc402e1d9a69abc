//! What certificates and keys may be, and what is said of anything else.
use std::{fs, os::unix::fs::PermissionsExt, sync::Arc};

use jeton::tls::{ClientCertificates, ListenerName, LiveCertificate, Validity};
use jeton_oauth::clock::{Clock, ManualClock};
use pkcs8::PrivateKeyInfoRef;
use rcgen::KeyPair;
use tempfile::TempDir;

use crate::{
    binary::Workplace,
    support::{
        NOW, key_fixture,
        tls::{Authority, Pair, in_pem},
    },
};

const LONG: [(i32, u8, u8); 2] = [(2020, 1, 1), (2100, 1, 1)];

/// What comes of two files.
fn load(cert: impl AsRef<[u8]>, key: impl AsRef<[u8]>) -> Result<LiveCertificate, String> {
    let dir = TempDir::new().unwrap();
    let (cert_file, key_file) = (dir.path().join("cert.pem"), dir.path().join("key.pem"));
    fs::write(&cert_file, cert).unwrap();
    fs::write(&key_file, key).unwrap();
    let clock: Arc<dyn Clock> = Arc::new(ManualClock::at(NOW.parse().unwrap()));
    LiveCertificate::load(ListenerName::Server, cert_file, key_file, ClientCertificates::Off, clock)
        .map_err(|errors| errors.to_string())
}

/// The DER of a PEM text.
fn der(text: &str) -> Vec<u8> {
    pem::parse(text).unwrap().into_contents()
}

/// The key within a PKCS#8 one: PKCS#1 of RSA, SEC1 of an elliptic curve.
fn within(pkcs8: &[u8]) -> Vec<u8> {
    PrivateKeyInfoRef::try_from(pkcs8).unwrap().private_key.as_bytes().to_vec()
}

fn fixture(name: &str) -> KeyPair {
    KeyPair::try_from(der(&fs::read_to_string(key_fixture(name)).unwrap())).unwrap()
}

#[test]
fn keys_of_every_usual_form_are_taken() {
    let authority = Authority::new();
    let [from, until] = LONG;
    for (name, key, label) in [
        ("RSA", fixture("test-only-signing.pem"), Some("RSA PRIVATE KEY")),
        ("P-256", fixture("test-only-p256.pem"), Some("EC PRIVATE KEY")),
        ("Ed25519", KeyPair::generate_for(&rcgen::PKCS_ED25519).unwrap(), None),
        ("P-384", KeyPair::generate_for(&rcgen::PKCS_ECDSA_P384_SHA384).unwrap(), Some("EC PRIVATE KEY")),
    ] {
        let pair = authority.pair_of(&key, from, until);
        let loaded = load(&pair.cert, &pair.key).unwrap_or_else(|error| panic!("{name}: {error}"));
        assert_eq!(
            (loaded.expires().to_string(), loaded.validity()),
            ("2100-01-01T00:00:00Z".into(), Validity::Good)
        );
        // the older forms, as openssl writes them with and without the parameters of the curve
        if let Some(label) = label {
            let older = in_pem(label, &within(key.serialized_der()));
            assert!(load(&pair.cert, &older).is_ok(), "{name} as {label}");
            let parameters = "-----BEGIN EC PARAMETERS-----\nBggqhkjOPQMBBw==\n-----END EC PARAMETERS-----\n";
            assert!(load(&pair.cert, format!("{parameters}{older}")).is_ok(), "{name} behind parameters");
        }
        // a byte-order mark, words around the blocks, other ends of lines
        let worded = format!("subject=CN\n{}", pair.cert.replace('\n', "\r\n"));
        assert!(load(worded, format!("\u{feff}{}", pair.key)).is_ok(), "{name} with words");
    }
}

#[test]
fn each_fault_is_named_with_setting_and_fix() {
    let authority = Authority::new();
    let (pair, other) = (authority.pair(), authority.pair());
    let Pair { cert, key } = &pair;
    let half = |text: &str| text.as_bytes()[..text.len() / 2].to_vec();
    let text = |text: &str| text.as_bytes().to_vec();
    let encrypted = fs::read(key_fixture("test-only-encrypted.pem")).unwrap();
    let weak = fs::read(key_fixture("test-only-1024-bits.pem")).unwrap();
    let old_encrypted = key
        .replace(
            "-----BEGIN PRIVATE KEY-----\n",
            "-----BEGIN RSA PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\nDEK-Info: AES-256-CBC,00\n\n",
        )
        .replace("END PRIVATE", "END RSA PRIVATE");
    let pkcs12 = [&[0x30, 0x82, 0x01, 0x00, 0x02, 0x01, 0x03][..], &[0; 0x100]].concat();
    let twice = format!("{cert}{}", other.cert);
    let wrong_first = format!("{}{cert}", other.cert);
    let damaged = cert.replacen("\nM", "\n!", 1);
    let no_certificate = in_pem("CERTIFICATE", b"hello");
    let behind = in_pem("CERTIFICATE", &[der(cert), b"x".to_vec()].concat());
    assert!(load(&twice, key).is_ok(), "a chain");
    for (name, cert, key, setting, says) in [
        ("half a certificate", half(cert), text(key), "cert_file", "half written"),
        (
            "half a chain",
            twice.as_bytes()[..twice.len() * 3 / 4].to_vec(),
            text(key),
            "cert_file",
            "half written",
        ),
        ("half a key", text(cert), half(key), "key_file", "half written"),
        ("no bytes", text(""), text(key), "cert_file", "is empty"),
        ("no bytes of the key", text(cert), text(""), "key_file", "is empty"),
        ("DER", der(cert), text(key), "cert_file", "openssl x509 -inform der"),
        ("a key in DER", text(cert), der(key), "key_file", "openssl pkey -inform der"),
        ("PKCS#12", pkcs12.clone(), text(key), "cert_file", "openssl pkcs12"),
        ("a key in PKCS#12", text(cert), pkcs12, "key_file", "openssl pkcs12"),
        ("something else", b"\xff\xfe\x00".to_vec(), text(key), "cert_file", "neither PEM"),
        ("words", text("hello\n"), text(key), "cert_file", "holds no `-----BEGIN CERTIFICATE-----`"),
        (
            "words for a key",
            text(cert),
            text("hello\n"),
            "key_file",
            "holds no `-----BEGIN PRIVATE KEY-----`",
        ),
        ("confused", text(key), text(cert), "cert_file", "confused"),
        ("a certificate for a key", text(cert), text(cert), "key_file", "confused"),
        (
            "a key among certificates",
            text(&format!("{cert}{key}")),
            text(key),
            "cert_file",
            "into `key_file` alone",
        ),
        ("two keys", text(cert), text(&format!("{key}{}", other.key)), "key_file", "holds 2 keys"),
        ("another key", text(cert), text(&other.key), "key_file", "another certificate"),
        ("the issuer first", text(&wrong_first), text(key), "key_file", "that of this server comes first"),
        ("an encrypted key", text(cert), encrypted, "key_file", "openssl pkey -in FILE"),
        ("one encrypted in the older way", text(cert), text(&old_encrypted), "key_file", "encrypted"),
        ("a weak key", text(cert), weak, "key_file", "RSA of 2048 bits or more"),
        ("a key of SSH", text(cert), text(&in_pem("OPENSSH PRIVATE KEY", b"x")), "key_file", "not supported"),
        (
            "a request",
            text(&in_pem("CERTIFICATE REQUEST", b"x")),
            text(key),
            "cert_file",
            "`CERTIFICATE REQUEST`",
        ),
        ("damaged", text(&damaged), text(key), "cert_file", "damaged"),
        (
            "no certificate within",
            text(&no_certificate),
            text(key),
            "cert_file",
            "certificate 1 cannot be read",
        ),
        (
            "no second certificate",
            text(&format!("{cert}{no_certificate}")),
            text(key),
            "cert_file",
            "certificate 2 cannot",
        ),
        ("something behind it", text(&behind), text(key), "cert_file", "stands behind it"),
        ("no key within", text(cert), text(&in_pem("PRIVATE KEY", b"hello")), "key_file", "not supported"),
    ] {
        let Err(error) = load(cert, key) else { panic!("{name} is taken") };
        assert!(error.contains(&format!("`server.tls.{setting}`: the file `")), "{name}: {error}");
        assert!(error.contains(says), "{name}: {error}");
        assert_eq!(error.lines().count(), if name == "confused" { 2 } else { 1 }, "{name}: {error}");
    }
}

#[test]
fn a_certificate_may_begin_and_end_in_any_year() {
    let authority = Authority::new();
    let key = KeyPair::generate().unwrap();
    let [from, until] = LONG;
    // RFC 5280 section 4.1.2.5: without an end; UTCTime is for 1950 to 2049, GeneralizedTime for all else
    for (name, from, until, expected) in [
        ("the last day", from, (9999, 12, 31), ["2020-01-01T00:00:00Z", "9999-12-30T22:00:00Z"]),
        ("the day before", from, (9999, 12, 30), ["2020-01-01T00:00:00Z", "9999-12-30T00:00:00Z"]),
        ("the last year of UTCTime", from, (2049, 12, 31), ["2020-01-01T00:00:00Z", "2049-12-31T00:00:00Z"]),
        ("the first of UTCTime", (1950, 1, 1), until, ["1950-01-01T00:00:00Z", "2100-01-01T00:00:00Z"]),
        ("before UTCTime", (1949, 12, 31), until, ["1949-12-31T00:00:00Z", "2100-01-01T00:00:00Z"]),
        ("the first year", (0, 1, 1), (9999, 12, 31), ["0000-01-01T00:00:00Z", "9999-12-30T22:00:00Z"]),
    ] {
        let pair = authority.pair_of(&key, from, until);
        let loaded = load(&pair.cert, &pair.key).unwrap_or_else(|error| panic!("{name}: {error}"));
        let times = [loaded.pair().not_before(), loaded.expires()].map(|time| time.to_string());
        assert_eq!(
            (times.each_ref().map(String::as_str), loaded.validity()),
            (expected, Validity::Good),
            "{name}"
        );
    }
    // to the last second
    let pair = authority.pair_of(&key, from, (9999, 12, 31));
    let mut certificate = der(&pair.cert);
    let end = certificate.windows(15).position(|text| text == b"99991231000000Z").unwrap();
    certificate[end..end + 15].copy_from_slice(b"99991231235959Z");
    let loaded = load(in_pem("CERTIFICATE", &certificate), &pair.key).unwrap();
    assert_eq!(
        (loaded.expires().to_string().as_str(), loaded.validity()),
        ("9999-12-30T22:00:00Z", Validity::Good)
    );
}

#[test]
fn a_key_that_others_read_is_taken_with_a_word() {
    let Pair { cert, key } = Authority::new().pair();
    let dir = TempDir::new().unwrap();
    let (cert_file, key_file) = (dir.path().join("cert.pem"), dir.path().join("key.pem"));
    fs::write(&cert_file, cert).unwrap();
    fs::write(&key_file, key).unwrap();
    for (mode, says) in
        [(0o600, None), (0o400, None), (0o644, Some("by everyone")), (0o604, Some("`chmod 600 "))]
    {
        fs::set_permissions(&key_file, fs::Permissions::from_mode(mode)).unwrap();
        let clock: Arc<dyn Clock> = Arc::new(ManualClock::at(NOW.parse().unwrap()));
        let loaded = LiveCertificate::load(
            ListenerName::Admin,
            cert_file.clone(),
            key_file.clone(),
            ClientCertificates::Off,
            clock,
        )
        .unwrap();
        let pair = loaded.pair();
        match (pair.exposed_key(), says) {
            (None, None) => {}
            (Some(told), Some(says)) => assert!(told.contains(says), "{mode:o}: {told}"),
            (told, _) => panic!("{mode:o}: {told:?}"),
        }
    }
}

#[test]
fn a_start_names_everything_that_is_wrong_with_both_listeners() {
    let mut workplace = Workplace::sample();
    let Pair { cert, .. } = Authority::new().pair();
    workplace.write("tls/cert.pem", &cert);
    workplace.write(
        "etc/jeton.toml",
        "[server]\nlisten = \"127.0.0.1:0\"\n[policies]\ndir = \"../policies\"\n[keys]\ndir = \"../keys\"\n\
         [server.tls]\ncert_file = \"../tls/cert.pem\"\nkey_file = \"../tls/key.pem\"\n\
         [admin]\nlisten = \"127.0.0.1:0\"\n[admin.tls]\ncert_file = \"absent.pem\"\nkey_file = \"../tls/cert.pem\"\n",
    );
    let run = workplace.run(&["serve", "--config", "etc/jeton.toml"]).exits(1);
    run.says(&[
        "`server.tls.key_file`: the file `etc/../tls/key.pem` cannot be read: No such file",
        "`admin.tls.cert_file`: the file `etc/absent.pem` cannot be read: No such file",
    ]);
    workplace.set("JETON__SERVER__TLS__KEY_FILE", "tls/cert.pem");
    workplace
        .run(&["serve", "--config", "etc/jeton.toml"])
        .exits(1)
        .says(&["`server.tls.key_file`", "confused"]);
}
