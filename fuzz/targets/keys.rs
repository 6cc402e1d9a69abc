//! Public keys that others made: PEM, a JSON Web Key, a set of them.
//!
//! Input: the file.
#![no_main]

use jeton_jose::{ForeignKey, ForeignKeys, PublicKeys};
use jeton_oauth::{SignatureAlgorithm, text::printable};
use libfuzzer_sys::fuzz_target;
use serde_json::{Map, Value, json};

const PRIVATE: [&str; 9] = ["d", "p", "q", "dp", "dq", "qi", "oth", "k", "priv"];
const ALGORITHMS: [SignatureAlgorithm; 4] = [
    SignatureAlgorithm::Rs256,
    SignatureAlgorithm::Ps256,
    SignatureAlgorithm::Es256,
    SignatureAlgorithm::EdDsa,
];
/// Signatures that anybody can write down, each as long as those of a kind.
const EMPTY: [&str; 4] = ["", "AAAA", FORTY_EIGHT_ZEROS, "AQAB"];
/// 64 bytes of zero.
const FORTY_EIGHT_ZEROS: &str =
    "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";

fuzz_target!(|data: &[u8]| {
    let kids = kids(data);
    match ForeignKeys::from_file(data) {
        Ok(keys) => {
            assert!(!keys.taken.is_empty());
            assert_eq!(ForeignKeys::from_file(data).as_ref(), Ok(&keys));
            keys.taken.iter().for_each(a_key_is_public_and_stays_itself);
            keys.passed_over.iter().for_each(|key| quotes_no_key_material(&key.to_string(), data, &kids));
        }
        Err(error) => quotes_no_key_material(&error.to_string(), data, &kids),
    }
    match PublicKeys::from_jwks(data) {
        Ok(keys) => {
            // whoever takes a set from an issuer would take it from a client
            let foreign = ForeignKeys::from_file(data).expect("a set of an issuer is a set");
            assert!(foreign.taken.len() >= keys.len());
            for key in keys.iter() {
                let again =
                    json!({ "keys": [serde_json::from_str::<Value>(key.json()).expect("it is JSON")] });
                let again = PublicKeys::from_jwks(again.to_string().as_bytes()).expect("it was taken");
                assert!(again.iter().any(|again| again.is_same_as(key) && again.kid() == key.kid()));
            }
            keys.passed_over().iter().for_each(|key| quotes_no_key_material(&key.to_string(), data, &kids));
        }
        Err(error) => quotes_no_key_material(&error.to_string(), data, &kids),
    }
});

fn a_key_is_public_and_stays_itself(key: &ForeignKey) {
    let jwk = key.jwk();
    assert!(!PRIVATE.iter().any(|name| jwk.contains_key(*name)));
    assert_ne!(jwk.get("kty"), Some(&Value::from("oct")));
    let again = ForeignKey::from_jwk(&Value::Object(jwk.clone())).expect("it was taken");
    assert_eq!(again, *key);
    for algorithm in ALGORITHMS.into_iter().filter(|algorithm| key.is_for(*algorithm)) {
        for signature in EMPTY {
            assert!(!key.verifies(algorithm, b"", signature), "anybody can sign for it");
        }
    }
}

/// Nothing of a key stands in what is told of it: whoever gives a file may have given the private half. Its name may.
fn quotes_no_key_material(told: &str, data: &[u8], kids: &[String]) {
    let is_digit = |byte: &u8| byte.is_ascii_alphanumeric() || b"+/=-_".contains(byte);
    for run in data.split(|byte| !is_digit(byte)).filter(|run| run.len() >= 24) {
        let run = std::str::from_utf8(run).expect("base64 is text");
        let is_name = kids.iter().any(|kid| kid.contains(run) || printable(kid).contains(run));
        assert!(is_name || !told.contains(run), "{told} quotes {run}");
    }
}

/// Every `kid` that stands in a file.
fn kids(data: &[u8]) -> Vec<String> {
    let json: Value =
        serde_json::from_slice(data.strip_prefix(b"\xef\xbb\xbf").unwrap_or(data)).unwrap_or_default();
    let of = |object: &Map<String, Value>| Some(object.get("kid")?.as_str()?.to_owned());
    let keys = json.get("keys").and_then(Value::as_array).into_iter().flatten();
    keys.chain([&json]).filter_map(Value::as_object).filter_map(of).collect()
}
