//! A warm request with a token that is bound to a key, against the same with a bearer token and one raw ES256
//! verification by the same library.
#![allow(
    missing_docs,
    clippy::pedantic,
    clippy::restriction,
    reason = "a measurement may stop at the first surprise"
)]

mod support;

use std::{fs, sync::Arc, time::Duration};

use aws_lc_rs::{
    digest,
    rand::SystemRandom,
    signature::{
        self, ECDSA_P256_SHA256_FIXED, ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair,
        KeyPair, UnparsedPublicKey,
    },
};
use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use jeton_jose::{ForeignKey, PublicKeys};
use jeton_oauth::{
    ApiName, Issuer, Thumbprint,
    clock::{Clock, SystemClock},
};
use jeton_policy::{LivePolicies, Surroundings};
use jeton_verify::{Authorizer, DpopProof, NotNoted, Origin, SeenProofs, Shown, UsedProof, Verifier};
use serde_json::{Value, json};

/// Calls in a round.
const CALLS: usize = 200;
/// Each is good once.
const PROOFS: usize = CALLS * (support::ROUNDS + 1);
const ISSUER: &str = "https://tokens.example.com";
const API: &str = "https://orders.example.com";
const PATH: &str = "/tenants/acme/orders/42";

fn main() {
    let now = SystemClock.numeric_date();
    let (issuer_key, key) = (
        Ed25519KeyPair::generate().unwrap(),
        EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).unwrap(),
    );
    let (_folder, authorizer) = authorizer(&issuer_key);
    let point = key.public_key().as_ref();
    let jwk = json!({ "kty": "EC", "crv": "P-256", "x": encoded(&point[1..33]), "y": encoded(&point[33..]) });
    let jkt = ForeignKey::from_jwk(&jwk).unwrap().thumbprint().as_str().to_owned();
    let token = |cnf: Option<Value>| {
        let mut claims = json!({
            "iss": ISSUER, "sub": "acme-sync", "aud": API, "exp": now + 3_600, "iat": now,
            "jti": "0193a7c4f1d27f6a8b0c", "client_id": "acme-sync", "scope": "orders:read orders:write",
            "tenant": "acme",
        });
        claims.as_object_mut().unwrap().extend(cnf.map(|cnf| ("cnf".to_owned(), cnf)));
        let signed = signed_text(&json!({ "typ": "at+jwt", "alg": "EdDSA", "kid": "k" }), &claims);
        format!("{signed}.{}", encoded(issuer_key.sign(signed.as_bytes())))
    };
    let (bound, unbound) = (token(Some(json!({ "jkt": jkt }))), token(None));
    let random = SystemRandom::new();
    let header = json!({ "typ": "dpop+jwt", "alg": "ES256", "jwk": jwk });
    let ath = encoded(digest::digest(&digest::SHA256, bound.as_bytes()));
    let proofs: Vec<_> = (0..PROOFS)
        .map(|number| {
            let claims = json!({
                "htm": "GET", "htu": format!("{API}{PATH}"), "iat": now, "ath": ath,
                "jti": format!("5e0bb9c4-b8a6-4b0b-8c39-{number:012}"),
            });
            let signed = signed_text(&header, &claims);
            let signature = key.sign(&random, signed.as_bytes()).unwrap();
            format!("{signed}.{}", encoded(signature))
        })
        .collect();

    let (as_dpop, as_bearer) = (format!("DPoP {bound}"), format!("Bearer {unbound}"));
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let ask = |authorization: &str, proof: Option<&str>| {
        let shown = Shown::of_headers(proof.map(str::as_bytes));
        let answer = authorizer.answer_showing("GET", PATH, [authorization.as_bytes()], shown);
        let answer = runtime.block_on(answer);
        assert_eq!(answer.status, 200, "{}", answer.detail);
    };
    let (signed, encoded_signature) = proofs[0].rsplit_once('.').unwrap();
    let sig = BASE64_URL_SAFE_NO_PAD.decode(encoded_signature).unwrap();
    let raw = UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, point.to_vec());
    let parsed = signature::ParsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, point).unwrap();
    let (mut unused, mut read) = (proofs.iter(), proofs.iter().cycle());
    let measured = support::in_turns(
        CALLS,
        &mut [
            ("raw ES256 verification (aws-lc-rs)", &mut || raw.verify(signed.as_bytes(), &sig).unwrap()),
            ("raw, public key parsed once", &mut || parsed.verify_sig(signed.as_bytes(), &sig).unwrap()),
            ("jeton: a proof read and verified", &mut || {
                std::hint::black_box(DpopProof::verify(read.next().unwrap()).unwrap());
            }),
            ("jeton: warm request, bearer token", &mut || ask(&as_bearer, None)),
            ("jeton: warm request, bound token and a new proof", &mut || {
                ask(&as_dpop, Some(unused.next().unwrap()));
            }),
        ],
    );
    support::print("a token that only its holder can use", &measured);
    let [raw, _, _, bearer, bound] = &measured[..] else { unreachable!() };
    let ratio = (bound.nanos - bearer.nanos) / raw.nanos;
    println!("  what the proof costs more: {ratio:.3} raw verifications (budget 1.15)");

    memory(now);
}

/// What it costs to remember a proof, when the memory is empty and when it is nearly full.
fn memory(now: i64) {
    let seen = SeenProofs::new(SeenProofs::USUAL);
    let mut number = 0_u64;
    let mut note = || {
        let mut key = [0; 32];
        key[..8].copy_from_slice(&(number % 1_000).to_le_bytes());
        let jti = number.to_string();
        number += 1;
        let used = UsedProof { namespace: API, key: Thumbprint::new(key), jti: &jti, good_until: now + 60 };
        seen.note(&used, now)
    };
    let measured = support::in_turns(CALLS, &mut [("jeton: a proof remembered", &mut || note().unwrap())]);
    support::print("the memory of used proofs, empty", &measured);
    while note() != Err(NotNoted::Full) {}
    let full = support::in_turns(
        CALLS,
        &mut [("jeton: a proof refused", &mut || {
            let _ = note().unwrap_err();
        })],
    );
    support::print("the memory of used proofs, full", &full);
    println!("  resident {} MiB", resident() / 1_024);
}

/// A service in memory: one API with a rule, and the issuer's key.
fn authorizer(issuer_key: &Ed25519KeyPair) -> (tempfile::TempDir, Authorizer) {
    let folder = tempfile::tempdir().unwrap();
    let text = "version: 1
scopes: { 'orders:read': Read orders }
apis:
  orders:
    audience: https://orders.example.com
    rules:
      read:
        routes: ['GET /tenants/{tenant}/orders/{order}']
        require: { scope: 'orders:read', claims: { tenant: { same_as_path: tenant } } }
";
    fs::write(folder.path().join("orders.yaml"), text).unwrap();
    let (issuer, api) = (Issuer::parse(ISSUER).unwrap(), ApiName::parse("orders").unwrap());
    let clock = Arc::new(SystemClock);
    let surroundings = Surroundings::of_service(&issuer, api.clone());
    let policies = LivePolicies::load(folder.path(), surroundings, clock.clone()).unwrap();
    let x = encoded(issuer_key.public_key());
    let keys = json!({ "keys": [{ "kty": "OKP", "crv": "Ed25519", "x": x, "kid": "k" }] }).to_string();
    let keys = Arc::new(PublicKeys::from_jwks(keys.as_bytes()).unwrap());
    // so long that the proofs of a slow machine are still good
    let verifier = Verifier::new(issuer, keys, Duration::from_secs(300), clock);
    let authorizer = Authorizer::new(verifier.remembering(Verifier::USUAL_MEMORY), Arc::new(policies), api);
    (folder, authorizer.with_origin(Origin::parse(API).unwrap()))
}

fn signed_text(header: &Value, claims: &Value) -> String {
    format!("{}.{}", encoded(header.to_string()), encoded(claims.to_string()))
}

fn encoded(bytes: impl AsRef<[u8]>) -> String {
    BASE64_URL_SAFE_NO_PAD.encode(bytes)
}

/// The memory of this process, in KiB.
fn resident() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.trim().trim_end_matches(" kB").parse().unwrap()
}
