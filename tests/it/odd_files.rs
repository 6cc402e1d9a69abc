//! Files as other editors and tools write them: names in capitals, a mark before the text, blocks beside a key.
use std::{fs, os::unix::fs::PermissionsExt, process::Command};

use jeton_jose::{ForeignKeys, InvalidPublicKey, PublicKeys};
use jeton_policy::{FindingCode, PolicySources, Severity};

use crate::{binary::Workplace, support::key_fixture};

const MARK: &str = "\u{feff}";

fn openssl(arguments: &[&str]) -> String {
    let output = Command::new("openssl").args(arguments).output().unwrap();
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn a_file_that_is_almost_called_as_policies_are_is_told() {
    let workplace = Workplace::new();
    workplace.write("policies/a.yaml", "version: 1\n");
    let names = ["b.YAML", "c.Yml", "d.yml", "e.YML", "f.Yaml", "below/g.yAML"];
    for name in names {
        workplace.write(&format!("policies/{name}"), "version: 1\nscopes: { s: x }\n");
    }
    let dir = workplace.path("policies");
    let sources = PolicySources::read(&dir).unwrap();
    let check = workplace.run(&["policies", "check"]).exits(0);
    for name in names {
        check
            .stdout
            .lines()
            .find(|line| line.starts_with(&format!("policies/{name}: warning: is ignored")))
            .expect(name);
    }
    assert_eq!(check.stdout.matches("rename it to `.yaml`, or remove it").count(), names.len());
    // what it says is no part of the policies
    let hash = sources.hash().clone();
    fs::write(dir.join("b.YAML"), "other").unwrap();
    assert_eq!(*PolicySources::read(&dir).unwrap().hash(), hash);
    // a folder may be called anything
    workplace.write("policies/FOLDER.YAML/h.yaml", "version: 1\nscopes: { s: x }\n");
    assert_eq!(
        workplace.run(&["policies", "check"]).exits(0).stdout.matches("is ignored").count(),
        names.len()
    );
}

#[test]
fn a_mark_before_a_text_is_no_part_of_it() {
    let workplace = Workplace::sample();
    workplace.run(&["keys", "jwks"]).exits(0);
    let jwks = workplace.run(&["keys", "jwks"]).stdout;
    assert!(PublicKeys::from_jwks(format!("{MARK}{jwks}").as_bytes()).is_ok());
    workplace.write("set.jwks", &format!("{MARK}{jwks}"));
    let inspect =
        workplace.run(&["token", "inspect", "--jwks", "set.jwks", &crate::commands::good_token(&workplace)]);
    assert_eq!(inspect.code, Some(0), "{inspect:#?}");

    for name in
        ["policies/clients.yaml", "policies/orders.yaml", "keys/keyring.yaml", "keys/test-only-signing.pem"]
    {
        let text = workplace.read(name);
        workplace.write(name, &format!("{MARK}{text}"));
    }
    workplace.write("jeton.toml", &format!("{MARK}issuer = \"http://127.0.0.1:8080\"\n"));
    workplace.run(&["policies", "check"]).exits(0);
    assert_eq!(workplace.run(&["keys", "jwks"]).exits(0).stdout, jwks);
    workplace.run(&["clients", "rotate", "acme-sync"]).exits(0);
    assert!(workplace.read("policies/clients.yaml").starts_with(MARK), "the rest of the file stays as it is");
    workplace.run(&["policies", "check"]).exits(0);

    // keys that are made with a passphrase open with it
    workplace.write("secret", "four random words\n");
    fs::set_permissions(workplace.path("secret"), fs::Permissions::from_mode(0o600)).unwrap();
    workplace.write("locked.toml", "keys.dir = \"locked\"\nkeys.passphrase_file = \"secret\"\n");
    fs::create_dir(workplace.path("locked")).unwrap();
    workplace.run(&["keys", "generate", "--config", "locked.toml"]).exits(0);
    workplace.write("secret", &format!("{MARK}four random words\r\n"));
    workplace.run(&["keys", "list", "--config", "locked.toml"]).exits(0);

    let key: serde_json::Value = serde_json::from_str(&jwks).unwrap();
    let key = &key["keys"][0];
    let pem = openssl(&["pkey", "-in", key_fixture("test-only-signing.pem").to_str().unwrap(), "-pubout"]);
    for (what, text) in [("set", jwks.clone()), ("key", key.to_string()), ("PEM", pem)] {
        let marked = ForeignKeys::from_file(format!("{MARK}{text}").as_bytes());
        assert_eq!(marked, ForeignKeys::from_file(text.as_bytes()), "{what}");
        assert_eq!(marked.map(|keys| keys.taken.len()), Ok(1), "{what}");
    }
    // one alone
    assert!(ForeignKeys::from_file(format!("{MARK}{MARK}{key}").as_bytes()).is_err());
}

/// `openssl ecparam` prints the curve before a key, and `openssl x509 -pubkey` the certificate behind it.
#[test]
fn blocks_that_tools_print_beside_a_public_key_are_passed_over() {
    let dir = tempfile::tempdir().unwrap();
    let path = |name: &str| dir.path().join(name).to_str().unwrap().to_owned();
    let parameters = openssl(&["ecparam", "-name", "prime256v1"]);
    openssl(&["ecparam", "-name", "prime256v1", "-genkey", "-noout", "-out", &path("key")]);
    let public = openssl(&["pkey", "-in", &path("key"), "-pubout"]);
    let certificate = openssl(&["req", "-x509", "-key", &path("key"), "-subj", "/CN=c", "-days", "1"]);
    let private = fs::read_to_string(path("key")).unwrap();
    let alone = ForeignKeys::from_pem(&public).unwrap();
    for text in [
        format!("{parameters}{public}"),
        format!("{certificate}{public}"),
        format!("{public}{certificate}"),
        format!("{parameters}{public}{certificate}"),
        format!("{MARK}{parameters}{public}"),
    ] {
        assert_eq!(ForeignKeys::from_file(text.as_bytes()).as_ref(), Ok(&alone), "{text}");
    }
    for (text, error) in [
        (parameters.clone(), InvalidPublicKey::NotPem),
        (certificate.clone(), InvalidPublicKey::Certificate),
        (format!("{parameters}{private}"), InvalidPublicKey::Private),
        (format!("{parameters}{private}{public}"), InvalidPublicKey::Private),
        (format!("{public}{}", public.replace("PUBLIC", "RSA PUBLIC")), InvalidPublicKey::Pkcs1),
    ] {
        assert_eq!(ForeignKeys::from_file(text.as_bytes()).err(), Some(error), "{text}");
    }
    let two = ForeignKeys::from_pem(&format!("{parameters}{public}{parameters}{public}")).unwrap();
    assert_eq!(two.taken.len(), 2);
}

/// A client whose key file ends in capitals is told, not served without a key.
#[test]
fn a_key_file_in_capitals_is_named() {
    let workplace = Workplace::new();
    workplace.write("policies/a.yaml", "version: 1\nclients: { c: { public_keys: [{ file: C.PEM }] } }\n");
    workplace.write("policies/C.PEM", "x");
    let findings = PolicySources::read(&workplace.path("policies")).map(drop);
    assert!(findings.is_ok());
    let check = workplace.run(&["policies", "check", "--format", "json"]).exits(1);
    let told: serde_json::Value = serde_json::from_str(&check.stdout).unwrap();
    assert_eq!(told[0]["code"], FindingCode::BadPublicKey.to_string());
    assert_eq!(told[0]["severity"], serde_json::to_value(Severity::Error).unwrap());
}
