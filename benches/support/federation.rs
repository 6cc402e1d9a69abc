//! Platforms that sign tokens for their machines, and clients that show them.

use std::{fmt::Write, fs, path::Path};

use aws_lc_rs::{
    rand::SystemRandom,
    rsa::KeyPair as RsaKeyPair,
    signature::{KeyPair, RSA_PKCS1_SHA256},
};
use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use jeton_oauth::clock::{Clock, SystemClock};

/// Writes the key of all issuers, and policies that trust so many issuers, each with so many clients.
pub(crate) fn write(dir: &Path, pair: &RsaKeyPair, issuers: usize, clients_each: usize) {
    let part = |part: &[u8]| BASE64_URL_SAFE_NO_PAD.encode(part);
    let public = pair.public_key();
    let n = part(public.modulus().big_endian_without_leading_zero());
    let e = part(public.exponent().big_endian_without_leading_zero());
    let set = format!(
        r#"{{"keys":[{{"kty":"RSA","use":"sig","alg":"RS256","kid":"bench","n":"{n}","e":"{e}"}}]}}"#
    );
    fs::write(dir.join("platform.json"), set).unwrap();
    let (mut issuers_text, mut clients_text) = (String::new(), String::new());
    for issuer in 0..issuers {
        let _ = write!(
            issuers_text,
            "  i{issuer}:\n    issuer: {}\n    audience: https://jeton.example.com\n    keys: {{ file: platform.json }}\n",
            iss(issuer)
        );
        for client in 0..clients_each {
            let _ = write!(
                clients_text,
                "  c{issuer}-{client}:\n    grants: {{ orders: {{ scopes: [orders:read] }} }}\n    federated:\n      - issuer: i{issuer}\n        claims: {{ repository_id: {{ is: \"{client}\" }}, ref: {{ in: [refs/heads/main] }} }}\n"
            );
        }
    }
    let text = format!("version: 1\nissuers:\n{issuers_text}clients:\n{clients_text}");
    fs::write(dir.join("federated.yaml"), text).unwrap();
}

fn iss(number: usize) -> String {
    format!("https://issuer-{number}.example.com")
}

/// A token of an issuer for one of its clients, as long as one of GitHub Actions.
pub(crate) fn sign(pair: &RsaKeyPair, issuer: usize, client: usize) -> String {
    let now = SystemClock.now().as_second();
    let claims = format!(
        r#"{{"iss":"{}","aud":"https://jeton.example.com","sub":"repo:octo-org/octo-repo:ref:refs/heads/main","exp":{},"iat":{now},"nbf":{now},"jti":"6d1f1e5b-3c1a-4b8e-9a51-0f1b2c3d4e5f","repository_id":"{client}","repository":"octo-org/octo-repo","repository_owner":"octo-org","repository_owner_id":"123456","ref":"refs/heads/main","ref_type":"branch","sha":"2f1c0e4b8a7d6c5e4f3a2b1c0d9e8f7a6b5c4d3e","workflow":"deploy","workflow_ref":"octo-org/octo-repo/.github/workflows/deploy.yml@refs/heads/main","actor":"octocat","actor_id":"583231","event_name":"push","run_id":"12345678901","run_number":"42","run_attempt":"1","runner_environment":"github-hosted"}}"#,
        iss(issuer),
        now + 3600
    );
    let header = BASE64_URL_SAFE_NO_PAD.encode(r#"{"alg":"RS256","typ":"JWT","kid":"bench"}"#);
    let signed = format!("{header}.{}", BASE64_URL_SAFE_NO_PAD.encode(claims));
    let mut signature = [0; 256];
    pair.sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), signed.as_bytes(), &mut signature).unwrap();
    format!("{signed}.{}", BASE64_URL_SAFE_NO_PAD.encode(signature))
}
