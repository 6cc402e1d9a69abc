//! What the entries of `issuers` become.
use std::{fs, path::Path, time::Duration};

use jeton_oauth::ForeignAlgorithm;
use jeton_policy::{DemoSecrets, federation::IssuerKeySource};

use crate::policy_text::{compile, compile_folder, compile_good};

#[test]
fn an_issuer_has_its_defaults() {
    let policies = compile_good(
        "version: 1\nissuers:\n  a:\n    issuer: https://a.example.com\n    audience: aud\n    keys: { discover: true }\n",
    );
    let issuer = policies.issuers().find("a").unwrap();
    assert_eq!(issuer.issuer.as_str(), "https://a.example.com");
    assert_eq!(issuer.audience.as_str(), "aud");
    assert_eq!(issuer.algorithms, [ForeignAlgorithm::Rs256]);
    assert_eq!(issuer.max_lifetime, Duration::from_hours(25));
    assert!(issuer.enabled && !issuer.single_use);
    assert_eq!(issuer.keys.source, IssuerKeySource::Discover);
    assert_eq!((&issuer.keys.ca_file, &issuer.keys.token_file), (&None, &None));
}

#[test]
fn everything_of_an_issuer_is_read() {
    let folder = Path::new("tests/fixtures/policies/silent/federated-and-no-secret");
    let policies = compile_folder(folder, DemoSecrets::Refused).unwrap();
    let cluster = policies.issuers().find("cluster").unwrap();
    assert_eq!(
        cluster.algorithms,
        [ForeignAlgorithm::Rs256, ForeignAlgorithm::Es384, ForeignAlgorithm::EdDsa]
    );
    assert_eq!(cluster.max_lifetime, Duration::from_hours(1));
    let ca_file = cluster.keys.ca_file.as_deref().unwrap();
    assert_eq!(ca_file, Path::new("/var/run/secrets/kubernetes.io/serviceaccount/ca.crt"));
    let here = std::env::current_dir().unwrap();
    assert_eq!(cluster.keys.token_file.as_deref(), Some(&*here.join(folder).join("token")));
    let tenant =
        policies.issuers().by_issuer("https://sts.windows.net/72f988bf-86f1-41af-91ab-2d7cd011db47/");
    let tenant = tenant.unwrap();
    assert!(tenant.single_use);
    let IssuerKeySource::Jwks(url) = &tenant.keys.source else { panic!("{tenant:?}") };
    assert_eq!(url.as_str(), "https://login.example.com/keys?v=2");
    let IssuerKeySource::File(file) = &policies.issuers().find("by-file").unwrap().keys.source else {
        panic!("a file")
    };
    assert_eq!(file.path, Path::new("keys/spire.jwks"));
    assert_eq!(*file.content, *fs::read(folder.join("keys/spire.jwks")).unwrap());
}

/// Two replicas of which one has other keys of an issuer do not serve the same.
#[test]
fn a_file_of_keys_counts_for_the_hash() {
    let dir = tempfile::tempdir().unwrap();
    let folder = Path::new("tests/fixtures/policies/silent/federated-and-no-secret");
    let text = "version: 1\nissuers:\n  a: { issuer: https://a.example.com, audience: a, keys: { file: a.jwks }, algorithms: [ES384] }\n";
    fs::write(dir.path().join("a.yaml"), text).unwrap();
    let keys = fs::read_to_string(folder.join("keys/spire.jwks")).unwrap();
    fs::write(dir.path().join("a.jwks"), &keys).unwrap();
    let one = compile_folder(dir.path(), DemoSecrets::Allowed).unwrap();
    fs::write(dir.path().join("a.jwks"), keys.replace("\"one\"", "\"two\"")).unwrap();
    let other = compile_folder(dir.path(), DemoSecrets::Allowed).unwrap();
    assert_ne!(one.hash(), other.hash());
    assert_ne!(one.issuers().find("a").unwrap().keys, other.issuers().find("a").unwrap().keys);
}

/// An error in one entry causes no findings about others.
#[test]
fn a_broken_issuer_leaves_its_name() {
    let findings = compile(
        "version: 1
issuers:
  a: { issuer: https://token.actions.githubusercontent.com, audience: 'a b', keys: { discover: true } }
  b: 7
clients:
  one: { federated: [{ issuer: a, claims: { repository_id: { is: '1' } } }] }
  two: { federated: [{ issuer: b, claims: { x: { is: '1' } } }] }
",
    )
    .unwrap_err();
    let codes: Vec<_> = findings.0.iter().map(|finding| finding.code.to_string()).collect();
    assert_eq!(codes, ["bad-audience", "wrong-type"], "{findings}");
}

/// Of an entry that is not read as a whole nobody knows which tokens it means.
#[test]
fn an_entry_that_is_wrong_is_not_ambiguous() {
    let findings = compile(
        "version: 1
issuers:
  a: { issuer: https://a.example.com, audience: a, keys: { discover: true } }
clients:
  one: { federated: [{ issuer: a, claims: { x: { is: '1' }, y: { is: 1.5 } } }] }
  two: { federated: [{ issuer: a, claims: { x: { is: '1' }, y: { in: [] } } }] }
  three: { federated: [{ issuer: a, claims: { x: { is: '1' }, y: 7 } }] }
  four: { federated: [{ issuer: a, claims: { x: { is: '1' }, y: { is: '1' } } }] }
",
    )
    .unwrap_err();
    let codes: Vec<_> = findings.0.iter().map(|finding| finding.code.to_string()).collect();
    assert_eq!(codes, ["wrong-type", "bad-requirement", "wrong-type"], "{findings}");
}

#[track_caller]
fn refused(text: &str, expected: &[&str]) {
    let findings = compile(text).unwrap_err();
    let codes: Vec<_> = findings.0.iter().map(|finding| finding.code.to_string()).collect();
    assert_eq!(codes, expected, "{findings}");
}

/// A key that nothing knows is the fault; what it was meant to say is not missing beside it.
#[test]
fn a_slip_in_a_key_is_told_once() {
    let with = |entry: &str| {
        format!(
            "version: 1
scopes: {{ s: x }}
issuers:
  a: {{ issuer: https://token.actions.githubusercontent.com, audience: a, keys: {{ discover: true }} }}
clients:
  one: {{ federated: [{entry}] }}
  two: {{ federated: [{{ issuer: a, claims: {{ repository_id: {{ is: '1' }} }} }}] }}
"
        )
    };
    for entry in [
        "{ issuer: a, claims: { repository_id: { isnt: '1' } } }",
        "{ issuer: a, claims: { repository_id: { is: '1' }, ref: { isnt: x } } }",
        "{ issuer: a, claims: { repository_id: { is: '1', isnt: x } } }",
        "{ isuer: a, claims: { repository_id: { is: '1' } } }",
        "{ issuer: a, claim: { repository_id: { is: '1' } } }",
    ] {
        refused(&with(entry), &["unknown-key"]);
    }
    refused(&with("{ issuer: a, claims: { repository_id: {} } }"), &["bad-requirement"]);
    let rule = |require: &str| {
        format!(
            "version: 1\nscopes: {{ s: x }}\napis:\n  api:\n    audience: https://api.example.com\n    rules:\n      r: {{ \
             routes: [GET /x], require: {require} }}\n"
        )
    };
    refused(&rule("{ scope: s, claims: { k: { isnt: x } } }"), &["unknown-key"]);
    refused(&rule("{ scop: s }"), &["unknown-key"]);
    refused(&rule("[{ scope: s }, { scop: s }]"), &["unknown-key"]);
    refused(&rule("{ scope: s, claims: { k: {} } }"), &["bad-requirement"]);
}

/// Of an issuer that is defined twice nobody knows which one an entry means.
#[test]
fn an_issuer_that_stands_in_two_files_is_told_once() {
    let dir = tempfile::tempdir().unwrap();
    let write = |name: &str, iss: &str, client: &str| {
        let text = format!(
            "version: 1\nissuers:\n  a: {{ issuer: '{iss}', audience: a, keys: {{ discover: true }} }}\nclients:\n  {client}: {{ \
             federated: [{{ issuer: a, claims: {{ x: {{ is: '1' }} }} }}] }}\n"
        );
        fs::write(dir.path().join(name), text).unwrap();
    };
    write("a.yaml", "https://a.example.com", "one");
    for other in ["https://b.example.com", "https://gitlab.com"] {
        write("b.yaml", other, "two");
        let findings = compile_folder(dir.path(), DemoSecrets::Allowed).unwrap_err();
        let codes: Vec<_> = findings.0.iter().map(|finding| finding.code.to_string()).collect();
        assert_eq!(codes, ["duplicate-name"], "{findings}");
    }
}

#[test]
fn an_address_of_keys_is_taken_as_it_is_written() {
    let with = |url: &str| {
        format!(
            "version: 1\nissuers:\n  a: {{ issuer: https://a.example.com, audience: a, keys: {{ jwks: {url} }} }}\nclients: {{ one: {{ \
             federated: [{{ issuer: a, claims: {{ x: {{ is: y }} }} }}] }} }}\n"
        )
    };
    assert!(compile(&with("\"https://a.example.com/keys?x=%20y\"")).is_ok());
    for wrong in [
        r#""https://a.example.com/keys\n""#,
        r#""https://a.example.com/ke\tys""#,
        r#""https://a.exa\tmple.com/keys""#,
        r#""\thttps://a.example.com/keys""#,
        r#""https://a.example.com/keys ""#,
        r#""https://a.example.com/ke ys""#,
        r#""https://a.example.com/keys\r""#,
        r#""https://a.example.com\\keys""#,
        r#""https:a.example.com/keys""#,
        r#""https:///a.example.com/keys""#,
        r#""HTTPS://a.example.com/keys""#,
    ] {
        refused(&with(wrong), &["bad-issuer"]);
    }
}
