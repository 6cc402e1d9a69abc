//! Issuing and verifying a token in process, against a raw RSA-2048 signature and verification by the
//! same library.
#![allow(
    missing_docs,
    clippy::pedantic,
    clippy::restriction,
    reason = "a measurement may stop at the first surprise"
)]

mod support;

use std::{fs, os::unix::fs::PermissionsExt, path::Path, sync::Arc, time::Duration};

use aws_lc_rs::{
    rand::SystemRandom,
    rsa::KeyPair as RsaKeyPair,
    signature::{self, KeyPair, RSA_PKCS1_2048_8192_SHA256, RSA_PKCS1_SHA256, UnparsedPublicKey},
};
use jeton::{
    clients::{AuthenticationMethod, ClientCredentials, ClientSecret},
    clock::SystemClock,
    grant::{ClientCredentialsRequest, Lifetimes},
    issue::TokenIssuer,
    keys::KeyFolder,
    oauth::{Audience, Issuer},
    policy::{DemoSecrets, LivePolicies, Surroundings},
    token::{BearerToken, Verifier},
};

fn main() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let dir = tempfile::tempdir().unwrap();
    let pem = fs::read(root.join("tests/fixtures/keys/test-only-signing.pem")).unwrap();
    fs::write(dir.path().join("key.pem"), &pem).unwrap();
    fs::set_permissions(dir.path().join("key.pem"), fs::Permissions::from_mode(0o600)).unwrap();
    let keys = Arc::new(KeyFolder::new(dir.path()).load().unwrap());
    let issuer = Issuer::parse("http://127.0.0.1:8080").unwrap();
    let clock = Arc::new(SystemClock);
    let surroundings = Surroundings {
        issuer: issuer.audience().clone(),
        max_ttl: 86_400,
        demo_secrets: DemoSecrets::Allowed,
    };
    let policies = LivePolicies::load(&root.join("policies"), surroundings, clock.clone()).unwrap();
    let tokens = TokenIssuer {
        issuer: issuer.clone(),
        keys: Arc::clone(&keys),
        policies: Arc::new(policies),
        lifetimes: Lifetimes { ttl: Duration::from_secs(3600), max_ttl: Duration::from_secs(86_400) },
        clock: clock.clone(),
    };
    let audience = Audience::parse("https://orders.example.com").unwrap();
    let credentials = || ClientCredentials {
        client_id: "acme-sync".to_owned(),
        secret: ClientSecret::new("demo-secret-of-acme-sync".to_owned()),
        method: AuthenticationMethod::ClientSecretBasic,
    };
    let request = ClientCredentialsRequest { scope: None, targets: vec![audience.as_str().to_owned()] };
    let issue = || tokens.client_credentials(&credentials(), &request).unwrap();

    let der = pem::parse(&pem).unwrap();
    let pair = RsaKeyPair::from_pkcs8(der.contents()).unwrap();
    let random = SystemRandom::new();
    let token = issue().token.as_str().to_owned();
    let (signed, encoded) = token.rsplit_once('.').unwrap();
    let mut sig = [0; 256];
    pair.sign(&RSA_PKCS1_SHA256, &random, signed.as_bytes(), &mut sig).unwrap();
    assert!(encoded.len() == 342);

    let measured = support::in_turns(
        40,
        &mut [
            ("raw RSA-2048 signature (aws-lc-rs, key parsed once)", &mut || {
                let mut signature = [0; 256];
                pair.sign(&RSA_PKCS1_SHA256, &random, signed.as_bytes(), &mut signature).unwrap();
                std::hint::black_box(&signature);
            }),
            ("jeton: credentials to signed token", &mut || {
                std::hint::black_box(issue());
            }),
        ],
    );
    support::print("issue", &measured);

    let verifier = Verifier::new(issuer, Arc::clone(keys.public()), Duration::from_secs(30), clock);
    let raw = UnparsedPublicKey::new(&RSA_PKCS1_2048_8192_SHA256, pair.public_key().as_ref().to_vec());
    let parsed =
        signature::ParsedPublicKey::new(&RSA_PKCS1_2048_8192_SHA256, pair.public_key().as_ref()).unwrap();
    let bearer = BearerToken::new(token.clone());
    let measured = support::in_turns(
        400,
        &mut [
            ("raw RSA-2048 verification (aws-lc-rs)", &mut || {
                raw.verify(signed.as_bytes(), &sig).unwrap();
            }),
            ("raw, public key parsed once", &mut || {
                parsed.verify_sig(signed.as_bytes(), &sig).unwrap();
            }),
            ("jeton: token to verified claims, first sight", &mut || {
                std::hint::black_box(verifier.verify(&bearer, &audience).unwrap_or_else(|e| panic!("{e}")));
            }),
        ],
    );
    support::print("verify", &measured);
}
