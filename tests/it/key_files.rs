//! Private keys as they lie in files: their algorithms, their passphrases, who may read them.
use std::{
    fs,
    os::unix::fs::{MetadataExt, PermissionsExt, chown},
    path::{Path, PathBuf},
};

use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use ring::signature::{
    ECDSA_P256_SHA256_FIXED, ED25519, RSA_PKCS1_2048_8192_SHA256, RSA_PSS_2048_8192_SHA256,
    RsaPublicKeyComponents, UnparsedPublicKey,
};
use serde_json::Value;
use tempfile::TempDir;

use crate::{
    binary::{Run, Workplace},
    support::{
        copy_key,
        forge::decoded,
        http_client, install_key, install_policies,
        program::{Binary, can_mount},
        secret,
    },
};

/// Of `tests/fixtures/keys/test-only-encrypted.pem`, which openssl wrote.
const PASSPHRASE: &str = "test-only";

fn jwks(workplace: &Workplace) -> Vec<Value> {
    let set = workplace.run(&["keys", "jwks"]).exits(0).stdout;
    serde_json::from_str::<Value>(&set).unwrap()["keys"].as_array().unwrap().clone()
}

fn bytes(of: &Value) -> Vec<u8> {
    BASE64_URL_SAFE_NO_PAD.decode(of.as_str().unwrap()).unwrap()
}

/// Checks a token by a JWK as RFC 7518 section 3 says, with another library than the one that signed.
fn verifies(token: &str, jwk: &Value) -> bool {
    let (message, signature) = token.rsplit_once('.').unwrap();
    let (message, signature) = (message.as_bytes(), bytes(&Value::from(signature)));
    let rsa = |parameters| {
        let key = RsaPublicKeyComponents { n: bytes(&jwk["n"]), e: bytes(&jwk["e"]) };
        key.verify(parameters, message, &signature).is_ok()
    };
    match jwk["alg"].as_str().unwrap() {
        "RS256" => rsa(&RSA_PKCS1_2048_8192_SHA256),
        "PS256" => rsa(&RSA_PSS_2048_8192_SHA256),
        "ES256" => {
            let point = [vec![4], bytes(&jwk["x"]), bytes(&jwk["y"])].concat();
            UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, point).verify(message, &signature).is_ok()
        }
        "EdDSA" => UnparsedPublicKey::new(&ED25519, bytes(&jwk["x"])).verify(message, &signature).is_ok(),
        other => panic!("{other}"),
    }
}

/// What each setting makes, as other libraries see it.
#[actix_web::test]
async fn each_algorithm_signs_as_its_key_says() {
    let cases = [
        ("RS256", "2048", "RSA", vec!["alg", "e", "kid", "kty", "n", "use"]),
        ("RS256", "3072", "RSA", vec!["alg", "e", "kid", "kty", "n", "use"]),
        ("RS256", "4096", "RSA", vec!["alg", "e", "kid", "kty", "n", "use"]),
        ("PS256", "2048", "RSA", vec!["alg", "e", "kid", "kty", "n", "use"]),
        ("ES256", "2048", "EC", vec!["alg", "crv", "kid", "kty", "use", "x", "y"]),
        ("EdDSA", "2048", "OKP", vec!["alg", "crv", "kid", "kty", "use", "x"]),
    ];
    for (algorithm, bits, kty, members) in cases {
        let dir = TempDir::new().unwrap();
        install_policies(&dir.path().join("policies"));
        let keys = TempDir::new().unwrap();
        let settings = format!(
            "[keys]\ndir = \"{}\"\nalgorithm = \"{algorithm}\"\nrsa_bits = {bits}\n",
            keys.path().display()
        );
        let server = Binary::serve_in(dir, &settings).await;
        let http = http_client();
        let url = |path: &str| format!("http://{}{path}", server.address);
        let set: Value = http.get(url("/.well-known/jwks.json")).send().await.unwrap().json().await.unwrap();
        let [jwk] = set["keys"].as_array().unwrap().as_slice() else { panic!("{set}") };
        assert_eq!((&jwk["alg"], &jwk["kty"]), (&Value::from(algorithm), &Value::from(kty)));
        let mut names: Vec<_> = jwk.as_object().unwrap().keys().map(String::as_str).collect();
        names.sort_unstable();
        assert_eq!(names, members, "{algorithm}");
        if kty == "RSA" {
            assert_eq!(bytes(&jwk["n"]).len() * 8, bits.parse::<usize>().unwrap());
        }

        let form = [("grant_type", "client_credentials")];
        let request =
            http.post(url("/oauth2/token")).form(&form).basic_auth("operator", Some(secret("operator")));
        let answer: Value = request.send().await.unwrap().json().await.unwrap();
        let token = answer["access_token"].as_str().unwrap();
        let header = decoded(token).0;
        assert_eq!((&header["alg"], &header["kid"]), (&jwk["alg"], &jwk["kid"]));
        assert!(verifies(token, jwk), "{algorithm} {bits}: {token}");
        assert!(!verifies(&token.replacen("ey", "eY", 1), jwk));
        let status = http.get(url("/principal")).bearer_auth(token).send().await.unwrap().status();
        assert_eq!(status, 200, "{algorithm} {bits}");
    }
}

/// While the algorithm changes, both keys are published, each with its own.
#[test]
fn the_algorithm_changes_with_the_next_key() {
    let mut workplace = Workplace::sample();
    let old = jwks(&workplace);
    assert_eq!(old[0]["alg"], "RS256");
    workplace.set("JETON__KEYS__ALGORITHM", "ES256");
    assert_eq!(jwks(&workplace), old);
    workplace.run(&["keys", "rotate"]).exits(0);
    let mut algorithms: Vec<_> = jwks(&workplace).iter().map(|key| key["alg"].to_string()).collect();
    algorithms.sort_unstable();
    assert_eq!(algorithms, [r#""ES256""#, r#""RS256""#]);
    workplace.run(&["keys", "list"]).exits(0).shows(&["active", "RS256", "next", "ES256"]);
}

/// A key cannot sign by the algorithm of another kind of key.
#[test]
fn the_algorithm_of_an_entry_fits_its_key() {
    let workplace = Workplace::sample();
    let ring = workplace.read("keys/keyring.yaml");
    for (algorithm, code) in [("PS256", 0), ("ES256", 1), ("EdDSA", 1)] {
        workplace.write("keys/keyring.yaml", &ring.replace("RS256", algorithm));
        let run = workplace.run(&["keys", "list"]).exits(code);
        if code == 1 {
            run.says(&["keys/test-only-signing.pem", algorithm]);
        }
    }
    for algorithm in ["RS512", "none", "HS256"] {
        workplace.write("keys/keyring.yaml", &ring.replace("RS256", algorithm));
        let run = workplace.run(&["keys", "list"]).exits(1);
        run.says(&["keys/keyring.yaml", algorithm, "write RS256, PS256, ES256 or EdDSA"]);
    }
}

/// A workplace whose only key openssl encrypted.
fn encrypted() -> Workplace {
    let workplace = Workplace::new();
    copy_key("test-only-encrypted.pem", &workplace.path("keys"));
    // what is missing is shown, with the lines that would do
    let mut opened = Workplace::new();
    copy_key("test-only-encrypted.pem", &opened.path("keys"));
    let run = opened.set("JETON__KEYS__PASSPHRASE", PASSPHRASE).run(&["keys", "list"]).exits(1);
    let lines = run.stderr.lines().skip_while(|line| !line.trim_start().starts_with("keys:"));
    let lines: Vec<_> = lines.take_while(|line| !line.trim().is_empty()).collect();
    workplace.write("keys/keyring.yaml", &lines.join("\n"));
    workplace
}

#[track_caller]
fn refused(run: Run, says: &[&str]) {
    let run = run.exits(1).says(says);
    assert!(!run.stderr.contains(PASSPHRASE.to_uppercase().as_str()), "{run:?}");
    assert_eq!(run.stdout, "");
}

#[test]
fn an_encrypted_key_is_opened_by_variable_or_file() {
    let mut workplace = encrypted();
    refused(
        workplace.run(&["keys", "list"]),
        &["keys/test-only-encrypted.pem", "is encrypted", "keys.passphrase_file", "JETON__KEYS__PASSPHRASE"],
    );
    for text in [PASSPHRASE, "test-only\n", "test-only\r\n"] {
        workplace.write("passphrase", text);
        workplace.set("JETON__KEYS__PASSPHRASE_FILE", "passphrase");
        fs::set_permissions(workplace.path("passphrase"), fs::Permissions::from_mode(0o600)).unwrap();
        workplace.run(&["keys", "list"]).exits(0).shows(&["active"]);
    }
    set_mode(&workplace.path("passphrase"), 0o640);
    refused(workplace.run(&["keys", "list"]), &["passphrase` is readable by its group: run `chmod 600 "]);
    set_mode(&workplace.path("passphrase"), 0o600);
    for text in ["TEST-ONLY", "test-only\n\n", " test-only"] {
        workplace.write("passphrase", text);
        refused(
            workplace.run(&["keys", "list"]),
            &["keys/test-only-encrypted.pem", "the passphrase does not open the key"],
        );
    }
    workplace.write("passphrase", "");
    workplace.run(&["keys", "list"]).exits(1).says(&["JETON__KEYS__PASSPHRASE_FILE", "is empty"]);

    let mut workplace = encrypted();
    workplace.set("JETON__KEYS__PASSPHRASE", PASSPHRASE);
    workplace.run(&["keys", "list"]).exits(0).shows(&["active"]);
    workplace.set("JETON__KEYS__PASSPHRASE", "TEST-ONLY");
    refused(workplace.run(&["keys", "list"]), &["the passphrase does not open the key"]);
    workplace.set("JETON__KEYS__PASSPHRASE", "");
    workplace.run(&["keys", "list"]).exits(1).says(&["JETON__KEYS__PASSPHRASE", "is empty"]);
}

/// What jeton writes with a passphrase nobody reads without it, and the same passphrase opens.
#[test]
fn new_keys_are_encrypted_where_there_is_a_passphrase() {
    let mut workplace = Workplace::new();
    for algorithm in ["RS256", "ES256", "EdDSA"] {
        workplace.set("JETON__KEYS__PASSPHRASE", PASSPHRASE).set("JETON__KEYS__ALGORITHM", algorithm);
        let order: &[&str] = if pem_files(&workplace).is_empty() {
            &["keys", "generate"]
        } else {
            &["keys", "rotate", "--now"]
        };
        workplace.run(order).exits(0);
        let [file] = pem_files(&workplace).try_into().unwrap();
        let text = fs::read_to_string(&file).unwrap();
        assert!(text.starts_with("-----BEGIN ENCRYPTED PRIVATE KEY-----\n"), "{text}");
        assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o7777, 0o600);
        assert_eq!(jwks(&workplace)[0]["alg"], algorithm);
    }
    workplace.set("JETON__KEYS__PASSPHRASE", "another");
    refused(workplace.run(&["keys", "list"]), &["the passphrase does not open the key"]);
    // and what cannot be opened is not written over
    let before = fs::read(workplace.path("keys/keyring.yaml")).unwrap();
    refused(workplace.run(&["keys", "rotate", "--now"]), &["the passphrase does not open the key"]);
    assert_eq!(fs::read(workplace.path("keys/keyring.yaml")).unwrap(), before);
}

fn pem_files(workplace: &Workplace) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(workplace.path("keys")) else { return Vec::new() };
    let paths = entries.map(|entry| entry.unwrap().path());
    paths.filter(|path| path.extension().is_some_and(|extension| extension == "pem")).collect()
}

fn set_mode(path: &Path, mode: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}

/// The group may read what somebody else owns, as kubelet mounts a Secret, and never what we own.
#[test]
fn the_group_reads_only_what_somebody_else_owns() {
    let workplace = Workplace::sample();
    let key = workplace.path("keys/test-only-signing.pem");
    for mode in [0o640, 0o660, 0o620] {
        set_mode(&key, mode);
        refused(
            workplace.run(&["keys", "list"]),
            &["test-only-signing.pem", "readable by its group", "chmod 600"],
        );
    }
    if rustix::process::geteuid().is_root() {
        // root may give files away; the modes of those stay what a mounted Secret has
        chown(&key, Some(65534), None).unwrap();
        set_mode(&key, 0o440);
        workplace.run(&["keys", "list"]).exits(0);
        set_mode(&key, 0o444);
        refused(workplace.run(&["keys", "list"]), &["test-only-signing.pem", "readable by everyone"]);
    }
}

/// As kubelet mounts a Secret with `fsGroup`, for a process that is root: nobody can change the modes there.
#[actix_web::test]
async fn what_its_group_can_read_on_a_read_only_mount_is_taken_with_a_warning() {
    if !can_mount() {
        // `private_file.rs` holds the rules for everybody
        return;
    }
    let workplace = Workplace::sample();
    let key = "keys/test-only-signing.pem";
    for mode in ["440", "640"] {
        for command in [&["keys", "list"][..], &["keys", "jwks"]] {
            let run = workplace.run_mounted(mode, command).exits(0);
            run.says(&[&format!("warning: {key}: the private key is readable by its group"), "read-only"]);
        }
        // where it can be changed it is to be
        refused(workplace.run(&["keys", "list"]), &[key, "readable by its group", "chmod 600"]);
    }
    for mode in ["400", "600"] {
        assert_eq!(workplace.run_mounted(mode, &["keys", "list"]).exits(0).stderr, "", "{mode}");
    }
    for mode in ["444", "644"] {
        let run = workplace.run_mounted(mode, &["keys", "list"]).exits(1);
        let run = run.says(&[key, "readable by everyone: mount it with mode 0440", "`defaultMode`"]);
        assert!(!run.stderr.contains("chmod"), "nobody could: {run:?}");
    }
    let mut workplace = encrypted();
    // beside the keys, on the same mount
    workplace.write("keys/.passphrase", PASSPHRASE);
    set_mode(&workplace.path("keys/.passphrase"), 0o440);
    workplace.set("JETON__KEYS__PASSPHRASE_FILE", "keys/.passphrase");
    let run = workplace.run_mounted("400", &["keys", "list"]).exits(0);
    run.says(&["warning: in the settings: the file `keys/.passphrase` is readable by its group"]);
    refused(workplace.run(&["keys", "list"]), &["passphrase` is readable by its group: run `chmod 600 "]);

    let mut server = Binary::serve_mounted().await;
    let ready = http_client().get(format!("http://{}/readyz", server.address)).send().await.unwrap();
    assert_eq!(ready.status(), 200);
    server.stop().await;
    let [line] = server.lines_of("keys.readable").try_into().unwrap();
    assert_eq!((&line["level"], &line["path"]), (&Value::from("WARN"), &Value::from(key)), "{line}");
}

/// Whoever writes the ring chooses the key that signs.
#[test]
fn a_ring_that_everyone_can_write_is_refused() {
    let workplace = Workplace::sample();
    let ring = workplace.path("keys/keyring.yaml");
    for mode in [0o666, 0o602] {
        set_mode(&ring, mode);
        refused(workplace.run(&["keys", "list"]), &["keys/keyring.yaml: everyone can write", "chmod 644"]);
    }
    set_mode(&ring, 0o664);
    workplace.run(&["keys", "list"]).exits(0);
}

/// Orders by root leave files that the server can read and replace; those by a third user leave none.
#[test]
fn an_order_by_another_user_keeps_the_server_going() {
    const SERVER: u32 = 65534;
    if !rustix::process::geteuid().is_root() {
        // nobody else can be another user; `owner.rs` holds the rules for everybody
        return;
    }
    let workplace = Workplace::new();
    set_mode(&workplace.path("."), 0o755);
    let keys = workplace.path("keys");
    fs::create_dir(&keys).unwrap();
    chown(&keys, Some(SERVER), Some(SERVER)).unwrap();
    let owners = || -> Vec<_> {
        let entries = fs::read_dir(&keys).unwrap().map(|entry| entry.unwrap());
        entries.map(|entry| (entry.file_name(), entry.metadata().unwrap().uid())).collect()
    };
    for order in [&["keys", "generate"][..], &["keys", "rotate"], &["keys", "rotate", "--now"]] {
        workplace.run(order).exits(0);
        let owners = owners();
        assert!(owners.len() >= 3 && owners.iter().all(|(_, uid)| *uid == SERVER), "{order:?}: {owners:?}");
        workplace.run_as(SERVER, &["keys", "list"]).exits(0).shows(&["active"]);
    }
    workplace.run_as(SERVER, &["keys", "rotate"]).exits(0);
    // in a folder that everybody may write
    set_mode(&keys, 0o777);
    let before = owners().len();
    let run = workplace.run_as(SERVER - 1, &["keys", "generate"]).exits(1);
    run.says(&["keys: the keys belong to uid 65534, and this is uid 65533", "as root"]);
    assert_eq!(owners().len(), before);
}

/// Verifiers fetch the set twice, at least, before a new key signs.
#[actix_web::test]
async fn the_key_set_is_cached_for_less_than_keys_are_published_ahead() {
    for (ahead, max_age) in [("1h", 300), ("10m", 300), ("9m", 270), ("10s", 5), ("1s", 0)] {
        let keys = TempDir::new().unwrap();
        install_key("test-only-signing.pem", keys.path());
        let dir = TempDir::new().unwrap();
        install_policies(&dir.path().join("policies"));
        let settings = format!("[keys]\ndir = \"{}\"\npublish_ahead = \"{ahead}\"\n", keys.path().display());
        let server = Binary::serve_in(dir, &settings).await;
        let answer =
            http_client().get(format!("http://{}/.well-known/jwks.json", server.address)).send().await;
        let headers = answer.unwrap().headers().clone();
        assert_eq!(headers["cache-control"], format!("public, max-age={max_age}"), "{ahead}");
        assert!(headers["etag"].to_str().unwrap().starts_with('"'), "{headers:?}");
    }
}
