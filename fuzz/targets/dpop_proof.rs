//! A DPoP proof that somebody sent, and the address in it.
//!
//! Input: the proof. Or two lines, a header and the claims, which the target signs with the key that it puts into the
//! header: no mutation makes a signature that holds. Or three lines, of which the first is empty: the path of a request,
//! and an address that is compared with it.
#![no_main]

use std::sync::LazyLock;

use aws_lc_rs::{
    digest,
    signature::{Ed25519KeyPair, KeyPair},
};
use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use jeton_jose::{ForeignKey, strict_object};
use jeton_verify::{DpopProof, NotNoted, Origin, ProofTerms, SeenProofs, TargetUri, UsedProof};
use libfuzzer_sys::fuzz_target;
use serde_json::{Map, Value, json};
use url::Url;

const NOW: i64 = 1_800_000_000;
const LEEWAY: i64 = 30;
const TOKEN: &str = "x.y.z";
const NEVER_TAKEN: [&str; 6] = ["crit", "jku", "x5u", "enc", "zip", "b64"];

static PAIR: LazyLock<Ed25519KeyPair> =
    LazyLock::new(|| Ed25519KeyPair::from_seed_unchecked(&[7; 32]).expect("a seed has 32 bytes"));

static JWK: LazyLock<Value> = LazyLock::new(|| {
    let x = BASE64_URL_SAFE_NO_PAD.encode(PAIR.public_key());
    json!({ "kty": "OKP", "crv": "Ed25519", "x": x })
});

static ORIGIN: LazyLock<Origin> =
    LazyLock::new(|| Origin::parse("https://orders.example.com").expect("it is one"));

fuzz_target!(|data: &[u8]| {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let lines: Vec<_> = text.split('\n').collect();
    match lines[..] {
        ["", path, address] => an_address_is_compared_normalised(path, address),
        [header, claims] => a_signed_proof_is_judged_by_its_claims(header, claims),
        _ => a_proof_is_good_as_its_key_signed_it(text),
    }
});

/// Whatever is taken was signed by the key that it brings, in the one spelling that it has.
fn a_proof_is_good_as_its_key_signed_it(text: &str) {
    let Ok(proof) = DpopProof::verify(text) else { return };
    assert!(text.len() <= DpopProof::LONGEST && text.split('.').count() == 3);
    let header = text.split('.').next().expect("there is a first part");
    let header = BASE64_URL_SAFE_NO_PAD.decode(header).expect("it was decoded");
    let header = strict_object(&header).expect("it was read");
    let key = ForeignKey::from_jwk(&header["jwk"]).expect("it was taken");
    assert_eq!(key.thumbprint().as_str(), proof.thumbprint().to_string());
    assert!(!NEVER_TAKEN.iter().any(|name| header.contains_key(*name)));
    assert!(!proof.jti().is_empty());
    is_good_once(&proof);
}

fn a_signed_proof_is_judged_by_its_claims(header: &str, claims: &str) {
    let Ok(mut header) = strict_object(header.as_bytes()) else { return };
    header.insert("jwk".to_owned(), JWK.clone());
    let parts = [Value::from(header.clone()).to_string(), claims.to_owned()];
    let signed = parts.map(|part| BASE64_URL_SAFE_NO_PAD.encode(part)).join(".");
    let text = format!("{signed}.{}", BASE64_URL_SAFE_NO_PAD.encode(PAIR.sign(signed.as_bytes())));
    let verified = DpopProof::verify(&text);
    let claims = strict_object(claims.as_bytes()).ok();
    let expected =
        claims.filter(|claims| text.len() <= DpopProof::LONGEST && is_right(&header) && is_whole(claims));
    let (proof, claims) = match (verified, expected) {
        (Ok(proof), Some(claims)) => (proof, claims),
        (Ok(_), None) => panic!("taken, though the header or a claim is wrong"),
        (Err(fault), Some(_)) => panic!("refused, though all of it is right: {fault}"),
        (Err(_), None) => return,
    };
    let target = TargetUri::of(&ORIGIN, "/orders").expect("it has a path");
    let hash = BASE64_URL_SAFE_NO_PAD.encode(digest::digest(&digest::SHA256, TOKEN.as_bytes()));
    let terms =
        ProofTerms { method: "GET", target: &target, access_token: Some(TOKEN), now: NOW, leeway: LEEWAY };
    let text = |name: &str| claims.get(name).and_then(Value::as_str).unwrap_or_default();
    let age = |name: &str| NOW as f64 - claims[name].as_f64().expect("it is a number");
    let is_within = !(claims.contains_key("exp") && age("exp") >= LEEWAY as f64
        || claims.contains_key("nbf") && age("nbf") < -(LEEWAY as f64));
    let is_for_it = text("htm") == "GET"
        && is_within
        && target.is(text("htu"))
        && text("ath") == hash
        && (-(LEEWAY as f64)..=LEEWAY as f64).contains(&age("iat"));
    assert_eq!(proof.check(&terms).is_ok(), is_for_it);
    assert!(!is_for_it || proof.good_until(LEEWAY) >= NOW, "it is forgotten while it is good");
    assert_eq!(proof.nonce(), claims.get("nonce").and_then(Value::as_str));
    // what one letter of the signature says, holds no longer with another one
    let mut other =
        format!("{signed}.{}", BASE64_URL_SAFE_NO_PAD.encode(PAIR.sign(signed.as_bytes()))).into_bytes();
    if let Some(last) = other.iter_mut().rev().nth(20) {
        *last = if *last == b'A' { b'B' } else { b'A' };
    }
    assert!(DpopProof::verify(&String::from_utf8_lossy(&other)).is_err());
    is_good_once(&proof);
}

/// What the header of a proof must be, beside its key.
fn is_right(header: &Map<String, Value>) -> bool {
    let text = |name: &str| header.get(name).and_then(Value::as_str);
    let typ = text("typ").unwrap_or_default().to_ascii_lowercase();
    !NEVER_TAKEN.iter().any(|name| header.contains_key(*name))
        && matches!(text("alg"), Some("EdDSA" | "Ed25519"))
        && typ.strip_prefix("application/").unwrap_or(&typ) == "dpop+jwt"
        && header.get("kid").is_none_or(Value::is_string)
}

/// What each proof must say.
fn is_whole(claims: &Map<String, Value>) -> bool {
    let is_text = |name: &str| claims.get(name).and_then(Value::as_str).is_some_and(|text| !text.is_empty());
    ["jti", "htm", "htu"].into_iter().all(is_text)
        && claims.get("iat").is_some_and(Value::is_number)
        && ["exp", "nbf"].into_iter().all(|name| claims.get(name).is_none_or(Value::is_number))
        && ["ath", "nonce"].into_iter().all(|name| claims.get(name).is_none_or(Value::is_string))
}

fn is_good_once(proof: &DpopProof) {
    let seen = SeenProofs::new(1);
    let used = UsedProof {
        namespace: "orders",
        key: proof.thumbprint(),
        jti: proof.jti(),
        good_until: proof.good_until(LEEWAY),
    };
    let first = seen.note(&used, NOW);
    assert!(first.is_ok() || used.good_until < NOW);
    assert_eq!(seen.note(&used, NOW), Err(NotNoted::Seen));
}

/// Two that are the same by RFC 3986 are the same to the library of browsers too, as far as that does not mend more.
fn an_address_is_compared_normalised(path: &str, address: &str) {
    let target = TargetUri::of(&ORIGIN, path);
    let parsed = TargetUri::parse(address);
    for uri in [&target, &parsed].into_iter().flatten() {
        assert_eq!(TargetUri::parse(uri.as_str()).as_ref(), Some(uri), "normalised twice it is another one");
        assert!(uri.is(uri.as_str()));
        assert!(!uri.as_str().contains(['?', '#', ' ']), "{}", uri.as_str());
        assert!(uri.as_str().split('/').skip(3).all(|segment| segment != "." && segment != ".."));
    }
    let Some(target) = target else { return };
    assert_eq!(target.is(address), parsed.as_ref() == Some(&target), "{path} {address}");
    assert!(target.as_str().starts_with("https://orders.example.com/"));
    if target.is(address) {
        let url = Url::parse(address).expect("it is an address");
        let host = url.host_str().unwrap_or_default();
        assert_eq!((url.scheme(), host, url.port()), ("https", "orders.example.com", None), "{address}");
        assert!(url.username().is_empty() && url.password().is_none());
    }
    // neither a query nor a fragment says anything
    let bare = address.split(['?', '#']).next().unwrap_or_default();
    for more in ["?x", "#x", "?x#y"] {
        assert_eq!(target.is(&format!("{bare}{more}")), target.is(bare), "{bare}{more}");
    }
}
