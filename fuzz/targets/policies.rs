//! A policies folder: read, compiled, asked, explained, compared.
//!
//! Input: a policy file. A line `#@ NAME` begins another file. Beside them lie two private keys, which files may name.
#![no_main]

use std::path::{Path, PathBuf};

use jeton_oauth::{Audience, ScopeSet, text::is_unseen};
use jeton_policy::{
    DemoSecrets, Draft, Finding, Findings, Permissions, PolicySet, Sources, Subject, Surroundings,
};
use jiff::Timestamp;
use libfuzzer_sys::fuzz_target;

/// What looks like private keys, and is nobody's.
const PRIVATE_PEM: &str = "MC4CAQAwBQYDK2VwBCIEIPx3Gz1mX9b9c0vQx2uC0cJt0sQk1t2mJ2e7x0o5l8nA";
const PRIVATE_JWK: &str = "_HcbPWZf1v1zS9DHa4LRwm3SxCTW3aYnZ7vHSjmXycA";

fuzz_target!(|data: &[u8]| {
    let Some(sources) = sources(data) else { return };
    let draft = compile(&sources);
    match &draft {
        Err(findings) => {
            assert!(findings.has_errors());
            findings_can_be_shown(findings, data);
        }
        Ok(draft) => {
            findings_can_be_shown(&draft.findings(), data);
            let same = draft.difference(draft);
            assert!(same.is_empty(), "policies differ from themselves: {same:?}");
            requests_are_decided(draft.policies());
        }
    }
    let told = |draft: Result<Draft, Findings>| draft.map_or_else(|told| told, |draft| draft.findings());
    assert_eq!(told(draft), told(compile(&sources)), "read twice, told twice");
    a_private_key_behind_it_is_not_told(data);
});

/// The files of an input.
fn files(data: &[u8]) -> Vec<(PathBuf, Vec<u8>)> {
    let mut files = vec![(PathBuf::from("a.yaml"), Vec::new())];
    for line in data.split_inclusive(|byte| *byte == b'\n') {
        let name = line.strip_prefix(b"#@ ").and_then(|name| std::str::from_utf8(name).ok());
        let is_new = |name: &&str| is_name(name) && files.iter().all(|(other, _)| other != Path::new(name));
        if let Some(name) = name.map(str::trim).filter(is_new) {
            files.push((PathBuf::from(name), Vec::new()));
        } else if let Some((_, bytes)) = files.last_mut() {
            bytes.extend_from_slice(line);
        }
    }
    let pem = format!("-----BEGIN PRIVATE KEY-----\n{PRIVATE_PEM}\n-----END PRIVATE KEY-----\n");
    let jwk = format!(r#"{{"kty":"OKP","crv":"Ed25519","x":"{PRIVATE_JWK}","d":"{PRIVATE_JWK}"}}"#);
    files.push((PathBuf::from("private.pem"), pem.into_bytes()));
    files.push((PathBuf::from("private.jwk"), jwk.into_bytes()));
    files
}

fn is_name(name: &str) -> bool {
    let is_plain = |byte: u8| byte.is_ascii_lowercase() || byte == b'.';
    name.len() > 1 && !name.starts_with("private") && !name.starts_with('.') && name.bytes().all(is_plain)
}

fn sources(data: &[u8]) -> Option<Sources> {
    match Sources::of_files(Path::new("policies"), files(data)) {
        Ok(sources) => Some(sources),
        Err(findings) => {
            findings_can_be_shown(&findings, data);
            None
        }
    }
}

fn compile(sources: &Sources) -> Result<Draft, Findings> {
    let surroundings = Surroundings {
        issuer: Audience::parse("https://tokens.example.com").expect("an audience"),
        max_ttl: Some(86_400),
        demo_secrets: DemoSecrets::Refused,
        needed_apis: Vec::new(),
    };
    let now = Timestamp::from_second(1_795_000_000).expect("a time");
    Draft::compile(sources, &surroundings, now)
}

/// Each has its place in a file, stays within its lines, and tells nothing of the private keys.
fn findings_can_be_shown(findings: &Findings, data: &[u8]) {
    findings.0.iter().for_each(|finding| stands_in_a_file(finding, data));
    let shown = findings.to_string();
    assert!(!shown.chars().any(|c| is_unseen(c) && !matches!(c, '\n' | '\t')), "{shown:?}");
    let is_quoted = |key: &&str| !holds(data, key) && shown.contains(*key);
    assert!(![PRIVATE_PEM, PRIVATE_JWK].iter().any(is_quoted), "a private key is shown");
}

fn stands_in_a_file(finding: &Finding, data: &[u8]) {
    let file = files(data)
        .into_iter()
        .find(|(name, _)| Path::new("policies").join(name) == Path::new(&finding.file));
    let Some((_, bytes)) = file else {
        assert!(
            finding.file == "policies" || finding.line == 0 || finding.file.starts_with("jeton"),
            "{finding}"
        );
        return;
    };
    let lines = bytes.split(|byte| *byte == b'\n').count();
    assert!(finding.line <= lines, "{finding} has {lines} lines");
    assert_eq!(finding.line == 0, finding.column == 0);
    assert!(!finding.message.contains('\n'));
}

fn holds(data: &[u8], text: &str) -> bool {
    data.windows(text.len()).any(|window| window == text.as_bytes())
}

/// Clients, and what is left of them without a scope, ask at every route.
fn requests_are_decided(policies: &PolicySet) {
    let values = ["acme".to_owned(), "a b/%".to_owned(), "7".to_owned()];
    for api in policies.apis().values() {
        let mut clients: Vec<_> = policies.clients().iter().map(|client| client.id.clone()).collect();
        clients.sort();
        let bearers: Vec<Permissions> = clients
            .iter()
            .take(4)
            .filter_map(|id| policies.permissions_of(id.as_str(), api.name().as_str()))
            .collect();
        for (method, target) in api.sample_requests(&values).take(60) {
            let allows =
                |subject: Option<&Subject<'_>>| api.decide(method.as_str(), &target, subject).is_allowed();
            let nobody = allows(None);
            let empty = Permissions::default();
            let nothing = allows(Some(&empty.subject()));
            assert!(!nobody || nothing, "a token closes {method} {target}");
            for bearer in &bearers {
                let whole = allows(Some(&bearer.subject()));
                assert!(!nothing || whole, "an empty token opens {method} {target}");
                let explained =
                    policies.explain(api.name().as_str(), method.as_str(), &target, Some(&bearer.subject()));
                assert_eq!(explained.allowed, whole, "{method} {target} is explained otherwise");
                for narrower in narrowed(bearer) {
                    let narrow = allows(Some(&narrower.subject()));
                    assert!(!narrow || whole, "less opens {method} {target}: {narrower:?}");
                }
            }
        }
        let _ = policies.matrix(api);
    }
}

/// With one thing less.
fn narrowed(bearer: &Permissions) -> Vec<Permissions> {
    let mut narrowed = Vec::new();
    for scope in bearer.scopes.iter().take(4) {
        let left: ScopeSet = bearer.scopes.iter().filter(|other| *other != scope).cloned().collect();
        narrowed.push(Permissions { scopes: left, ..bearer.clone() });
    }
    for claim in bearer.claims.keys().take(4) {
        let mut left = bearer.clone();
        left.claims.remove(claim);
        narrowed.push(left);
    }
    narrowed.push(Permissions { roles: Vec::new(), ..bearer.clone() });
    narrowed.push(Permissions { client: None, sub: None, ..bearer.clone() });
    narrowed
}

/// A client with a private key in the place of its public one, behind whatever stands in the file.
fn a_private_key_behind_it_is_not_told(data: &[u8]) {
    if holds(data, "-----") || holds(data, PRIVATE_PEM) {
        return;
    }
    let behind = format!(
        "\nclients:\n  leaky:\n    public_keys:\n      - pem: |\n          -----BEGIN PRIVATE KEY-----\n          \
         {PRIVATE_PEM}\n          -----END PRIVATE KEY-----\n"
    );
    let Some(sources) = sources(&[data, behind.as_bytes()].concat()) else { return };
    let findings = compile(&sources).map_or_else(|findings| findings, |draft| draft.findings());
    let shown = findings.to_string();
    assert!(!shown.contains(PRIVATE_PEM), "a private key is shown:\n{shown}");
}
