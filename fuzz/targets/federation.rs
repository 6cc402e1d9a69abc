//! A token of another issuer that somebody sent: read, verified, and whom it stands for.
//!
//! Input: the token. Or two lines, a header and a payload, which the target signs: no mutation makes a
//! signature that holds.
#![no_main]

use std::{
    path::{Path, PathBuf},
    sync::{Arc, LazyLock},
    time::Duration,
};

use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair};
use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use jeton::{
    binding::ProvenBinding,
    federation::{FollowedIssuers, ForeignVerifier, KeyFetchOptions},
    store::{MemoryStore, Store},
};
use jeton_jose::{CompactJws, strict_object};
use jeton_oauth::{
    Audience,
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
const LONGEST: i64 = 3600;
const ISSUER: &str = "https://ci.example.com";
const AUDIENCE: &str = "https://tokens.example.com";
const KID: &str = "fuzz";
const POLICIES: &str = "version: 1
issuers:
  ci:
    issuer: https://ci.example.com
    audience: https://tokens.example.com
    keys: { file: ci.jwks }
    algorithms: [EdDSA]
    max_lifetime: 1h
clients:
  deployer:
    federated:
      - issuer: ci
        claims:
          repository_id: { is: '456789' }
          /kubernetes.io/namespace: { in: [shop, ops] }
        claims_from: { repository: repository }
  ended:
    revoked_before: 2027-01-15T07:59:00Z
    federated:
      - issuer: ci
        claims: { repository_id: { is: '2' } }
";
/// `revoked_before` of `ended`: a minute before [`NOW`].
const ENDED: f64 = 1_799_999_940.0;

static PAIR: LazyLock<Ed25519KeyPair> =
    LazyLock::new(|| Ed25519KeyPair::from_seed_unchecked(&[7; 32]).expect("a seed has 32 bytes"));

static SERVICE: LazyLock<Service> = LazyLock::new(Service::start);

struct Service {
    runtime: Runtime,
    policies: PolicySet,
    verifier: ForeignVerifier,
}

fuzz_target!(|data: &[u8]| {
    let Ok(text) = std::str::from_utf8(data) else { return };
    match text.split_once('\n') {
        Some((header, payload)) => a_signed_token_is_taken_if_all_of_it_is_right(header, payload),
        None => {
            let is_signed = text.rsplit_once('.').is_some_and(|(signed, _)| text == sign(signed));
            assert!(is_signed || SERVICE.client_of(text).is_err(), "taken, though the key has not signed it");
        }
    }
});

fn a_signed_token_is_taken_if_all_of_it_is_right(header: &str, payload: &str) {
    let [encoded_header, encoded_payload] = [header, payload].map(|part| BASE64_URL_SAFE_NO_PAD.encode(part));
    let token = sign(&format!("{encoded_header}.{encoded_payload}"));
    let header = strict_object(header.as_bytes()).ok().filter(is_right);
    let claims = strict_object(payload.as_bytes()).ok().filter(count_now);
    let expected = header.and(claims).filter(|_| token.len() <= CompactJws::LONGEST);
    let expected = expected.and_then(|claims| stands_for(&claims));
    match (SERVICE.client_of(&token), expected) {
        (Ok(client), Some(expected)) => assert_eq!(client, expected),
        (Ok(client), None) => panic!("taken for {client}, though the header or the payload is wrong"),
        (Err(why), Some(expected)) => panic!("refused, though it stands for {expected}: {why}"),
        (Err(why), None) => assert!(!why.chars().any(is_unseen), "{why:?}"),
    }
    // what one letter of the signature says, holds no longer with another one
    let mut other = token.into_bytes();
    if let Some(last) = other.iter_mut().rev().nth(20) {
        *last = if *last == b'A' { b'B' } else { b'A' };
    }
    assert!(SERVICE.client_of(&String::from_utf8_lossy(&other)).is_err());
}

/// What the header of a platform's token must be.
fn is_right(header: &Map<String, Value>) -> bool {
    const NEVER_TAKEN: [&str; 7] = ["crit", "jwk", "jku", "x5u", "enc", "zip", "b64"];
    const OTHERS: [&str; 11] = [
        "at+jwt",
        "rt+jwt",
        "statuslist+jwt",
        "policies+jwt",
        "dpop+jwt",
        "logout+jwt",
        "secevent+jwt",
        "token-introspection+jwt",
        "oauth-authz-req+jwt",
        "entity-statement+jwt",
        "wpt+jwt",
    ];
    let is_other = |typ: &str| {
        let typ = typ.to_ascii_lowercase();
        OTHERS.contains(&typ.strip_prefix("application/").unwrap_or(&typ))
    };
    !NEVER_TAKEN.iter().any(|name| header.contains_key(*name))
        && header.get("alg") == Some(&json!("EdDSA"))
        && header.get("kid").is_none_or(|kid| kid == KID)
        && header.get("typ").is_none_or(|typ| typ.as_str().is_some_and(|typ| !is_other(typ)))
}

/// Whether claims are of the issuer, for us, and count now.
#[expect(clippy::cast_precision_loss, reason = "they are small")]
fn count_now(claims: &Map<String, Value>) -> bool {
    let (now, leeway, longest) = (NOW as f64, LEEWAY as f64, LONGEST as f64);
    let date = |name: &str| claims.get(name).and_then(Value::as_f64).filter(|at| *at >= 0.0);
    let (Some(expires), Some(issued)) = (date("exp"), date("iat")) else { return false };
    let is_for_us = claims.get("aud").is_some_and(|aud| *aud == json!(AUDIENCE) || *aud == json!([AUDIENCE]));
    claims.get("iss") == Some(&json!(ISSUER))
        && is_for_us
        && expires + leeway > now
        && issued <= now + leeway
        && expires > issued
        && expires - issued <= longest
        && (!claims.contains_key("nbf") || date("nbf").is_some_and(|at| at <= now + leeway))
        // whatever it is bound to, nobody shows it
        && !claims.contains_key("cnf")
        && claims.get("jti").is_none_or(|id| id.as_str().is_some_and(|id| !id.is_empty()))
}

/// The client that such claims stand for.
fn stands_for(claims: &Map<String, Value>) -> Option<&'static str> {
    let namespace = claims.get("kubernetes.io").and_then(|within| within.get("namespace"));
    match claims.get("repository_id")?.as_str()? {
        "456789" => {
            let has_namespace = matches!(namespace.and_then(Value::as_str), Some("shop" | "ops"));
            let is_taken = claims.get("repository").is_some_and(|it| !it.is_null() && !it.is_object());
            (has_namespace && is_taken).then_some("deployer")
        }
        "2" => claims.get("iat")?.as_f64().filter(|issued| *issued >= ENDED).map(|_| "ended"),
        _ => None,
    }
}

fn sign(signed: &str) -> String {
    let signature = PAIR.sign(signed.as_bytes());
    format!("{signed}.{}", BASE64_URL_SAFE_NO_PAD.encode(signature))
}

impl Service {
    fn start() -> Self {
        let x = BASE64_URL_SAFE_NO_PAD.encode(PAIR.public_key());
        let set = json!({ "keys": [{ "kty": "OKP", "crv": "Ed25519", "kid": KID, "x": x }] });
        let files = vec![
            (PathBuf::from("a.yaml"), POLICIES.as_bytes().to_vec()),
            (PathBuf::from("ci.jwks"), set.to_string().into_bytes()),
        ];
        let sources = PolicySources::of_files(Path::new("policies"), files).expect("they can be read");
        let surroundings = Surroundings {
            issuer: Audience::parse(AUDIENCE).expect("an audience"),
            max_ttl: None,
            demo_secrets: DemoSecrets::Refused,
            needed_apis: Vec::new(),
        };
        let clock: Arc<dyn Clock> = Arc::new(ManualClock::at(now()));
        let policies = PolicySet::compile(&sources, &surroundings, now()).expect("they are good");
        let issuers =
            Arc::new(FollowedIssuers::new(KeyFetchOptions::default(), Arc::new(()), Arc::clone(&clock)));
        let store = Arc::new(Store::Memory(MemoryStore::new(clock)));
        let runtime = Builder::new_current_thread().enable_all().build().expect("a runtime");
        runtime.block_on(async { issuers.follow(policies.issuers()) });
        let verifier = ForeignVerifier::new(issuers, store, Duration::from_secs(LEEWAY.unsigned_abs()));
        Self { runtime, policies, verifier }
    }

    /// The client that a token stands for, or why it stands for none.
    fn client_of(&self, token: &str) -> Result<String, String> {
        let nothing = ProvenBinding::of_connection(None);
        let verified = self.verifier.verify(&self.policies, token, None, &nothing, now());
        let verified = self.runtime.block_on(verified);
        match verified {
            Ok(federated) => Ok(federated.client().id.to_string()),
            Err(refused) => Err(refused.to_string()),
        }
    }
}

fn now() -> Timestamp {
    Timestamp::from_second(NOW).expect("a time")
}
