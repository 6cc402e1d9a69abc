//! `jeton clients add` with certificates: what is written, and what is refused.
use std::fs;

use ring::digest::{SHA256, digest};

use crate::{
    binary::Workplace,
    clients_commands::{policies, refused, with_clients},
    support::tls::{Authority, Pair},
};

const CLIENTS: &str = "version: 1\n\nclients:\n  # comments stay\n  old: {}\n";

fn pair() -> Pair {
    Authority::new().pair_for((2020, 1, 1), (2090, 6, 30))
}

fn der(pem: &str) -> Vec<u8> {
    pem::parse(pem).unwrap().into_contents()
}

fn sha256(der: &[u8]) -> String {
    digest(&SHA256, der).as_ref().iter().fold(String::new(), |hex, byte| hex + &format!("{byte:02x}"))
}

#[test]
fn the_hash_and_the_end_of_a_certificate_are_written() {
    let (Pair { cert, .. }, Pair { cert: other, .. }) = (pair(), pair());
    let workplace = with_clients(CLIENTS);
    workplace.write("a.pem", &format!("subject=CN = a\n{}", cert.replace('\n', "\r\n")));
    fs::write(workplace.path("b.der"), der(&other)).unwrap();
    let files = ["--certificate", "a.pem", "--certificate", "b.der"];
    let run = workplace.run(&[&["clients", "add", "c", "--bound-tokens"], &files[..]].concat()).exits(0);
    assert_eq!(run.stdout, "", "no secret is made");
    run.says(&["sha256", "2090-06-30T00:00:00Z"]);
    let hashes = [der(&cert), der(&other)].map(|der| sha256(&der));
    let expected = format!(
        "{CLIENTS}  c:\n    certificates:\n      - {{ sha256: {}, expires: 2090-06-30T00:00:00Z }}\n      - {{ sha256: {}, \
         expires: 2090-06-30T00:00:00Z }}\n    bound_tokens: true\n",
        hashes[0], hashes[1]
    );
    assert_eq!(workplace.read("policies/clients.yaml"), expected);
    let policies = policies(&workplace);
    let client = policies.clients().find("c").unwrap();
    assert!(client.bound_tokens);
    let known: Vec<_> = client.certificates.iter().map(|terms| terms.certificate.to_string()).collect();
    assert_eq!(known, hashes);
}

/// RFC 5280 section 4.1.2.5.
#[test]
fn a_certificate_without_an_end_is_written_without_one() {
    let Pair { cert, .. } = Authority::new().pair_for((2020, 1, 1), (9999, 12, 31));
    let workplace = with_clients(CLIENTS);
    workplace.write("a.pem", &cert);
    workplace.run(&["clients", "add", "c", "--certificate", "a.pem", "--secret"]).exits(0);
    let after = workplace.read("policies/clients.yaml");
    assert!(after.contains(&format!("      - {{ sha256: {} }}\n", sha256(&der(&cert)))), "{after}");
    assert_eq!(policies(&workplace).clients().find("c").unwrap().secrets.len(), 1);
}

#[test]
fn names_are_written_as_they_are_given() {
    let workplace = with_clients(CLIENTS);
    let names = [
        ("--san-uri", "spiffe://acme.example/orders", "san_uri: spiffe://acme.example/orders"),
        ("--subject", r"CN=a\, \22b\22,O=ACME", r#"subject: "CN=a\\, \\22b\\22,O=ACME""#),
        ("--san-dns", "Orders.acme.example", "san_dns: Orders.acme.example"),
        ("--san-ip", "2001:db8::7", "san_ip: \"2001:db8::7\""),
        ("--san-email", "ops@acme.example", "san_email: \"ops@acme.example\""),
    ];
    let arguments: Vec<_> = names.iter().flat_map(|(option, name, _)| [*option, *name]).collect();
    let run = workplace.run(&[&["clients", "add", "c"], &arguments[..]].concat()).exits(0);
    assert_eq!(run.stdout, "", "no secret is made");
    run.says(&["`san_uri: spiffe://acme.example/orders`", "`subject: CN=a\\, \\\"b\\\",O=ACME`"]);
    let after = workplace.read("policies/clients.yaml");
    for (_, _, line) in names {
        assert!(after.contains(&format!("      - {line}\n")), "{line} in\n{after}");
    }
    assert_eq!(policies(&workplace).clients().find("c").unwrap().certificates.len(), 5);
}

#[test]
fn what_is_not_one_certificate_is_refused() {
    let Pair { cert, key } = pair();
    let expired = Authority::new().pair_for((2020, 1, 1), (2021, 1, 1)).cert;
    let encrypted = "-----BEGIN ENCRYPTED PRIVATE KEY-----\nMAA=\n-----END ENCRYPTED PRIVATE KEY-----\n";
    let behind = [der(&cert), vec![0]].concat();
    let private = "it has a private key";
    for (name, bytes, says) in [
        ("with its key", format!("{cert}{key}").into_bytes(), private),
        ("a key before it", format!("{key}{cert}").into_bytes(), private),
        ("a key", key.clone().into_bytes(), private),
        ("a key in DER", der(&key), private),
        ("an encrypted key", format!("{encrypted}{cert}").into_bytes(), private),
        ("a chain", format!("{cert}{}", pair().cert).into_bytes(), "it has 2 certificates"),
        ("nothing", Vec::new(), "it has no `CERTIFICATE` block"),
        ("text", b"orders".to_vec(), "it has no `CERTIFICATE` block"),
        ("half", cert.as_bytes()[..cert.len() / 2].to_vec(), "it has no `CERTIFICATE` block"),
        ("a slip", cert.replacen('M', "!", 1).into_bytes(), "its PEM cannot be read"),
        ("half in DER", behind[..100].to_vec(), "it is not an X.509 certificate"),
        ("more in DER", behind.clone(), "something stands behind the certificate"),
        ("bytes", vec![0xff, 0xfe, 0], "and is not DER"),
        (
            "a request",
            cert.replace("CERTIFICATE", "CERTIFICATE REQUEST").into_bytes(),
            "`CERTIFICATE REQUEST`",
        ),
        (
            "openssl's own form",
            cert.replace("CERTIFICATE", "TRUSTED CERTIFICATE").into_bytes(),
            "`TRUSTED CERTIFICATE`",
        ),
        ("expired", expired.into_bytes(), "has expired at 2021-01-01T00:00:00Z"),
    ] {
        let workplace = with_clients(CLIENTS);
        fs::write(workplace.path("c.pem"), bytes).unwrap();
        let run = refused(&workplace, &["clients", "add", "c", "--certificate", "c.pem"], &["c.pem", says]);
        let secret: String = key.lines().nth(1).unwrap().to_owned();
        assert!(!run.stderr.contains(&secret), "{name}: {run:?}");
    }
    refused(
        &with_clients(CLIENTS),
        &["clients", "add", "c", "--certificate", "none.pem"],
        &["none.pem", "No such file"],
    );
}

#[test]
fn a_name_that_is_none_and_a_certificate_of_another_client_are_refused() {
    let workplace = with_clients(CLIENTS);
    refused(
        &workplace,
        &["clients", "add", "c", "--san-dns", "*.acme.example"],
        &["bad-certificate", "wildcard"],
    );
    refused(&workplace, &["clients", "add", "c", "--subject", "ACME"], &["bad-certificate", "TYPE=VALUE"]);
    workplace.write("a.pem", &pair().cert);
    workplace.run(&["clients", "add", "one", "--certificate", "a.pem"]).exits(0);
    refused(
        &workplace,
        &["clients", "add", "two", "--certificate", "a.pem"],
        &["bad-certificate", "client `one` and for client `two`"],
    );
}

#[test]
fn a_list_has_certificates_and_bound_tokens() {
    let workplace = Workplace::empty();
    let hash = "ab".repeat(32);
    workplace.write(
        "policies/clients.yaml",
        &format!(
            "version: 1
clients:
  bound:
    certificates:
      - {{ sha256: {hash}, expires: 2090-01-01T00:00:00Z }}
      - {{ sha256: {}, expires: 2020-01-01T00:00:00Z }}
      - {{ subject: \"CN=a\\\\1b,O=ACME\" }}
    bound_tokens: true
  plain: {{ secrets: [{{ sha256: {hash} }}] }}
",
            "cd".repeat(32)
        ),
    );
    let run = workplace.run(&["clients", "list"]).exits(0);
    let line = run.stdout.lines().find(|line| line.starts_with("bound")).unwrap();
    let words: Vec<_> = line.split_whitespace().collect();
    assert_eq!(
        words[..10].join(" "),
        r"bound enabled certificate sha256 abababab until 2090-01-01T00:00:00Z, certificate subject CN=a\1b,O=ACME",
    );
    assert_eq!(words[10..], ["bound", "-", "-", "-", "-"], "and the expired one is left out");
    let run = workplace.run(&["clients", "list", "--format", "json"]).exits(0);
    assert!(!run.stdout.contains(&hash[..9]), "{run:?}");
    let list: serde_json::Value = serde_json::from_str(&run.stdout).unwrap();
    assert_eq!(
        list[0]["certificates"],
        serde_json::json!([
            { "sha256": "abababab", "expires": "2090-01-01T00:00:00Z", "live": true },
            { "sha256": "cdcdcdcd", "expires": "2020-01-01T00:00:00Z", "live": false },
            { "subject": "CN=a\\1b,O=ACME", "expires": null, "live": true },
        ])
    );
    assert_eq!((&list[0]["bound_tokens"], &list[1]["bound_tokens"]), (&true.into(), &false.into()));
    assert_eq!(list[1]["certificates"], serde_json::json!([]));
}
