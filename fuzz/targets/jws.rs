//! A token that somebody sent: the compact JWS, its JSON, and whether a fixed key opens it.
//!
//! Input: the token. Or two lines, a header and a payload, which the target signs: no mutation makes a
//! signature that holds.
#![no_main]

use std::sync::LazyLock;

use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair};
use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use jeton_jose::{CompactJws, JwsError, PublicKeys, TokenKind, strict_object};
use libfuzzer_sys::fuzz_target;
use serde_json::{Map, Value, json};

const KIND: TokenKind = TokenKind { name: "an access token", types: &["at+jwt", "jwt"] };
const KID: &str = "fuzz";
const NEVER_TAKEN: [&str; 7] = ["crit", "jwk", "jku", "x5u", "enc", "zip", "b64"];

static PAIR: LazyLock<Ed25519KeyPair> =
    LazyLock::new(|| Ed25519KeyPair::from_seed_unchecked(&[7; 32]).expect("a seed has 32 bytes"));

static KEYS: LazyLock<PublicKeys> = LazyLock::new(|| {
    let x = BASE64_URL_SAFE_NO_PAD.encode(PAIR.public_key());
    let set = json!({ "keys": [{ "kty": "OKP", "crv": "Ed25519", "kid": KID, "x": x }] });
    PublicKeys::from_jwks(set.to_string().as_bytes()).expect("the key is sound")
});

fuzz_target!(|data: &[u8]| {
    json_is_read_strictly(data);
    let Ok(text) = std::str::from_utf8(data) else { return };
    match text.split_once('\n') {
        Some((header, payload)) => a_signed_token_is_judged_by_its_header(header, payload),
        None => a_token_is_taken_apart(text),
    }
});

/// A lenient reader sees the same, or a name stands twice.
fn json_is_read_strictly(bytes: &[u8]) {
    let lenient = serde_json::from_slice::<Map<String, Value>>(bytes).ok();
    match (strict_object(bytes), lenient) {
        (Ok(strict), Some(lenient)) => {
            assert_eq!(strict, lenient);
            assert_eq!(names_written(bytes), names_kept_in(&strict), "a name stands twice");
        }
        (Ok(_), None) => panic!("taken, though it is no JSON object"),
        (Err(_), Some(lenient)) => {
            assert_ne!(
                names_written(bytes),
                names_kept_in(&lenient),
                "refused, though each name stands once"
            );
        }
        (Err(_), None) => {}
    }
}

/// How many members JSON has as it is written: the colons outside of text.
fn names_written(json: &[u8]) -> usize {
    let (mut count, mut in_text, mut is_escaped) = (0, false, false);
    for byte in json {
        match byte {
            _ if is_escaped => is_escaped = false,
            b'\\' if in_text => is_escaped = true,
            b'"' => in_text = !in_text,
            b':' if !in_text => count += 1,
            _ => {}
        }
    }
    count
}

fn names_kept_in(object: &Map<String, Value>) -> usize {
    object.values().map(names_kept).sum::<usize>() + object.len()
}

fn names_kept(value: &Value) -> usize {
    match value {
        Value::Object(object) => names_kept_in(object),
        Value::Array(items) => items.iter().map(names_kept).sum(),
        _ => 0,
    }
}

fn a_token_is_taken_apart(text: &str) {
    let opened = KEYS.open(text, KIND);
    let Ok(token) = CompactJws::parse(text) else {
        assert!(opened.is_err());
        return;
    };
    assert_eq!(format!("{}.{}", token.signed, token.signature), text);
    let (header, payload) = token.signed.split_once('.').expect("what is signed has two parts");
    a_part_is_read_in_one_spelling(header, token.raw_header());
    a_part_is_read_in_one_spelling(payload, token.payload());
    if let Ok(header) = token.header() {
        let raw = token.raw_header().expect("it was read");
        assert_eq!(raw.get("alg"), Some(&Value::String(header.algorithm)));
        assert!(!NEVER_TAKEN.iter().any(|name| raw.contains_key(*name)));
    }
    if opened.is_ok() {
        // Ed25519 makes one signature for each text, so this is the only token that may be opened
        assert_eq!(text, sign(token.signed), "opened, though the key has not signed it");
    }
}

/// No two texts mean the same part.
fn a_part_is_read_in_one_spelling(part: &str, read: Result<Map<String, Value>, JwsError>) {
    let Ok(read) = read else { return };
    let bytes = BASE64_URL_SAFE_NO_PAD.decode(part).expect("it was decoded");
    assert_eq!(BASE64_URL_SAFE_NO_PAD.encode(&bytes), part);
    assert_eq!(strict_object(&bytes).expect("it was read"), read);
}

fn a_signed_token_is_judged_by_its_header(header: &str, payload: &str) {
    let [encoded_header, encoded_payload] = [header, payload].map(|part| BASE64_URL_SAFE_NO_PAD.encode(part));
    let token = sign(&format!("{encoded_header}.{encoded_payload}"));
    let opened = KEYS.open(&token, KIND);
    let claims = strict_object(payload.as_bytes()).ok();
    let header = strict_object(header.as_bytes()).unwrap_or_default();
    let expected = claims.filter(|_| token.len() <= CompactJws::LONGEST && is_right(&header));
    match (opened, expected) {
        (Ok(opened), Some(claims)) => assert_eq!(*opened.claims(), claims),
        (Ok(_), None) => panic!("opened, though the header or the payload is wrong"),
        (Err(error), Some(_)) => panic!("refused, though all of it is right: {error}"),
        (Err(_), None) => {}
    }
    // what one letter of the signature says, holds no longer with another one
    let mut other = token.into_bytes();
    if let Some(last) = other.iter_mut().rev().nth(20) {
        *last = if *last == b'A' { b'B' } else { b'A' };
    }
    assert!(KEYS.open(&String::from_utf8_lossy(&other), KIND).is_err());
}

/// What the header of an access token must be.
fn is_right(header: &Map<String, Value>) -> bool {
    let text = |name: &str| header.get(name).and_then(Value::as_str);
    let typ = text("typ").unwrap_or_default().to_ascii_lowercase();
    let typ = typ.strip_prefix("application/").unwrap_or(&typ);
    !NEVER_TAKEN.iter().any(|name| header.contains_key(*name))
        && text("alg") == Some("EdDSA")
        && text("kid") == Some(KID)
        && KIND.types.contains(&typ)
}

fn sign(signed: &str) -> String {
    let signature = PAIR.sign(signed.as_bytes());
    format!("{signed}.{}", BASE64_URL_SAFE_NO_PAD.encode(signature))
}
