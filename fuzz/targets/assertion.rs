//! An assertion by which a client shows who it is (`private_key_jwt`).
//!
//! Input: the assertion. Or two lines, a header and claims, which the target signs: no mutation makes a signature that
//! holds.
#![no_main]

use std::{
    path::{Path, PathBuf},
    sync::{Arc, LazyLock},
    time::Duration,
};

use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair};
use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use jeton::{
    authenticate::{
        AssertionRules, Authenticator, CertificateRules, ClientAssertion, ClientCredentials, SecretUses,
    },
    binding::ProvenBinding,
    federation::{FollowedIssuers, ForeignVerifier, KeyFetchOptions},
    store::{MemoryStore, Store},
};
use jeton_jose::{CompactJws, strict_object};
use jeton_oauth::{
    Audience, Issuer,
    clock::{Clock, ManualClock},
    text::is_unseen,
};
use jeton_policy::{DemoSecrets, PolicySet, PolicySources, Surroundings};
use jiff::Timestamp;
use libfuzzer_sys::fuzz_target;
use serde_json::{Map, Value, json};
use tokio::runtime::{Builder, Runtime};

const NOW: i64 = 1_800_000_000;
const LEEWAY: i64 = 30;
const LONGEST: i64 = 300;
const ISSUER: &str = "https://tokens.example.com";
const TOKEN_ENDPOINT: &str = "https://tokens.example.com/oauth2/token";
const KID: &str = "fuzz";
const NEVER_TAKEN: [&str; 7] = ["crit", "jwk", "jku", "x5u", "enc", "zip", "b64"];
const POLICIES: &str = "version: 1
clients:
  easy: { public_keys: [file: easy.jwk] }
  strict: { public_keys: [file: easy.jwk], strict_assertions: true }
  ended: { enabled: false, public_keys: [file: easy.jwk] }
  keyless: {}
";

static PAIR: LazyLock<Ed25519KeyPair> =
    LazyLock::new(|| Ed25519KeyPair::from_seed_unchecked(&[7; 32]).expect("a seed has 32 bytes"));

static SERVICE: LazyLock<Service> = LazyLock::new(Service::start);

struct Service {
    runtime: Runtime,
    policies: PolicySet,
    clock: Arc<dyn Clock>,
    foreign: Arc<ForeignVerifier>,
}

fuzz_target!(|data: &[u8]| {
    let Ok(text) = std::str::from_utf8(data) else { return };
    match text.split_once('\n') {
        Some((header, claims)) => a_signed_assertion_is_taken_if_all_of_it_is_right(header, claims),
        None => {
            let is_signed = text.rsplit_once('.').is_some_and(|(signed, _)| text == sign(signed));
            let taken = SERVICE.authenticator().client_of(text, None);
            assert!(is_signed || taken.is_err(), "taken, though the key has not signed it");
        }
    }
});

fn a_signed_assertion_is_taken_if_all_of_it_is_right(header: &str, claims: &str) {
    let assertion = sign(&[header, claims].map(|part| BASE64_URL_SAFE_NO_PAD.encode(part)).join("."));
    let read = strict_object(header.as_bytes()).ok().zip(strict_object(claims.as_bytes()).ok());
    let expected = read.as_ref().filter(|_| assertion.len() <= CompactJws::LONGEST);
    let expected = expected.and_then(|(header, claims)| client(header, claims));
    let service = SERVICE.authenticator();
    match (service.client_of(&assertion, None), expected) {
        (Ok(client), Some(expected)) => {
            assert_eq!(client, expected);
            assert!(service.client_of(&assertion, None).is_err(), "used twice");
            let fresh = SERVICE.authenticator();
            assert!(fresh.client_of(&assertion, Some("other")).is_err(), "taken for another client");
            assert_eq!(fresh.client_of(&assertion, Some(expected)).as_deref(), Ok(expected));
        }
        (Ok(client), None) => panic!("taken for {client}, though the header or a claim is wrong"),
        (Err(why), Some(expected)) => panic!("refused, though it shows {expected}: {why}"),
        (Err(why), None) => assert!(!why.chars().any(is_unseen), "{why:?}"),
    }
}

/// The client that an assertion shows, if all of it is right.
fn client(header: &Map<String, Value>, claims: &Map<String, Value>) -> Option<&'static str> {
    let client = match claims.get("sub")?.as_str()? {
        "easy" => "easy",
        "strict" => "strict",
        _ => return None,
    };
    let is_strict = client == "strict";
    let text = |name: &str| header.get(name).and_then(Value::as_str);
    let typ = header.get("typ").map(|typ| typ.as_str().unwrap_or_default().to_ascii_lowercase());
    let typ = typ.as_deref().map(|typ| typ.strip_prefix("application/").unwrap_or(typ));
    let has_type = match typ {
        Some("client-authentication+jwt") => true,
        Some("jwt") | None => !is_strict,
        Some(_) => false,
    };
    let has_header = !NEVER_TAKEN.iter().any(|name| header.contains_key(*name))
        && text("alg") == Some("EdDSA")
        && header.get("kid").is_none_or(|kid| kid == KID || kid == THUMBPRINT.as_str());
    let audiences = match claims.get("aud")? {
        Value::Array(audiences) => audiences.clone(),
        one => vec![one.clone()],
    };
    let is_for_us = if is_strict {
        audiences == [json!(ISSUER)]
    } else {
        !audiences.is_empty()
            && audiences.iter().all(|it| *it == json!(ISSUER) || *it == json!(TOKEN_ENDPOINT))
    };
    // dates may have fractions, which are cut
    let date = |name: &str| match claims.get(name) {
        None => Some(None),
        Some(value) => value.as_f64().map(f64::trunc).filter(|date| *date >= 0.0).map(Some),
    };
    let (expires, starts) = (date("exp")??, [date("nbf")?, date("iat")?]);
    let (now, leeway, longest) = (NOW as f64, LEEWAY as f64, LONGEST as f64);
    let counts = expires + leeway > now
        && expires <= now + leeway + longest
        && starts.into_iter().flatten().all(|start| start <= now + leeway);
    let has_id = claims.get("jti")?.as_str().is_some_and(|id| !id.is_empty());
    let is_right = has_type && has_header && is_for_us && counts && has_id;
    (claims.get("iss") == Some(&json!(client)) && is_right).then_some(client)
}

static THUMBPRINT: LazyLock<String> = LazyLock::new(|| {
    let key = jeton_jose::ForeignKey::from_jwk(&jwk()).expect("the key is sound");
    key.thumbprint().as_str().to_owned()
});

fn jwk() -> Value {
    let x = BASE64_URL_SAFE_NO_PAD.encode(PAIR.public_key());
    json!({ "kty": "OKP", "crv": "Ed25519", "kid": KID, "x": x })
}

fn sign(signed: &str) -> String {
    format!("{signed}.{}", BASE64_URL_SAFE_NO_PAD.encode(PAIR.sign(signed.as_bytes())))
}

impl Service {
    fn start() -> Self {
        let files = vec![
            (PathBuf::from("a.yaml"), POLICIES.as_bytes().to_vec()),
            (PathBuf::from("easy.jwk"), jwk().to_string().into_bytes()),
        ];
        let sources = PolicySources::of_files(Path::new("policies"), files).expect("they can be read");
        let surroundings = Surroundings {
            issuer: Audience::parse(ISSUER).expect("an audience"),
            max_ttl: None,
            demo_secrets: DemoSecrets::Refused,
            needed_apis: Vec::new(),
        };
        let clock: Arc<dyn Clock> = Arc::new(ManualClock::at(now()));
        let policies = PolicySet::compile(&sources, &surroundings, now()).expect("they are good");
        let issuers =
            Arc::new(FollowedIssuers::new(KeyFetchOptions::default(), Arc::new(()), Arc::clone(&clock)));
        let store = Arc::new(Store::Memory(MemoryStore::new(Arc::clone(&clock))));
        let foreign = Arc::new(ForeignVerifier::new(issuers, store, seconds(LEEWAY)));
        let runtime = Builder::new_current_thread().enable_all().build().expect("a runtime");
        Self { runtime, policies, clock, foreign }
    }

    /// With a store in which nothing was used.
    fn authenticator(&self) -> Fresh {
        let issuer = Issuer::parse(ISSUER).expect("an issuer");
        Fresh(Authenticator {
            assertions: AssertionRules::new(&issuer, seconds(LONGEST), seconds(LEEWAY)),
            certificates: CertificateRules::new(None),
            foreign: Arc::clone(&self.foreign),
            store: Arc::new(Store::Memory(MemoryStore::new(Arc::clone(&self.clock)))),
            secret_uses: Arc::new(SecretUses::default()),
        })
    }
}

struct Fresh(Authenticator);

impl Fresh {
    /// The client that an assertion shows, or why it shows none.
    fn client_of(&self, assertion: &str, client_id: Option<&str>) -> Result<String, String> {
        let credentials = ClientCredentials::Assertion {
            client_id: client_id.map(str::to_owned),
            assertion: ClientAssertion::new(assertion.to_owned()),
        };
        let nothing = ProvenBinding::of_connection(None);
        let shown = self.0.authenticate(&SERVICE.policies, &credentials, &nothing, now());
        let shown = SERVICE.runtime.block_on(shown);
        shown.map(|client| client.client().id.to_string()).map_err(|error| error.to_string())
    }
}

fn seconds(number: i64) -> Duration {
    Duration::from_secs(number.unsigned_abs())
}

fn now() -> Timestamp {
    Timestamp::from_second(NOW).expect("a time")
}
