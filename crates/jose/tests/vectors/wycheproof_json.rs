//! The files `json_web_signature_test.json` and `json_web_key_test.json` of Wycheproof (C2SP, as of August 2026). No
//! package has them, so they are read from a checkout:
//!
//! ```text
//! git clone https://github.com/C2SP/wycheproof
//! WYCHEPROOF=$PWD/wycheproof cargo test -p jeton-jose --test vectors -- --ignored
//! ```
//!
//! `cases.rs` makes their cases again, but for PKCS#1 and PSS, which `src/vectors.rs` has. It always runs.

use std::{env, fs};

use serde_json::Value;

use crate::{key_set, verified_by};

/// How many vectors are taken and refused, and where jeton differs from Wycheproof: the number of the vector, and why it
/// is refused.
fn run(file: &str) -> (usize, usize, Vec<(u64, Option<String>)>) {
    // the folder of a checkout
    let folder = env::var("WYCHEPROOF").unwrap();
    let text = fs::read_to_string(format!("{folder}/testvectors_v1/{file}")).unwrap();
    let file: Value = serde_json::from_str(&text).unwrap();
    let (mut taken, mut refused, mut differing) = (0, 0, Vec::new());
    for group in file["testGroups"].as_array().unwrap() {
        let key = group.get("public").unwrap_or(&group["private"]);
        let keys = key.get("keys").and_then(Value::as_array).cloned().unwrap_or_else(|| vec![key.clone()]);
        let keys = key_set(&keys);
        for test in group["tests"].as_array().unwrap() {
            let jws = &test["jws"];
            let text = jws.as_str().map_or_else(|| jws.to_string(), str::to_owned);
            let fault = match &keys {
                Ok(keys) => verified_by(keys, &text).err().map(|error| error.to_string()),
                Err(error) => Some(error.to_string()),
            };
            if fault.is_none() != (test["result"] == "valid") {
                differing.push((test["tcId"].as_u64().unwrap(), fault.clone()));
            }
            if fault.is_none() { taken += 1 } else { refused += 1 }
        }
    }
    (taken, refused, differing)
}

/// Whether the difference is that jeton has no symmetric keys.
fn is_symmetric(fault: Option<&str>) -> bool {
    fault.is_some_and(|fault| fault.contains("it is a symmetric key"))
}

#[test]
#[ignore = "needs a checkout of C2SP/wycheproof"]
fn what_is_valid_is_taken_and_nothing_else() {
    let (taken, refused, differing) = run("json_web_signature_test.json");
    assert_eq!((taken, refused), (32, 369));
    let (symmetric, other): (Vec<_>, Vec<_>) =
        differing.iter().partition(|(_, fault)| is_symmetric(fault.as_deref()));
    assert_eq!(symmetric.len(), 10);
    let other: Vec<_> = other.iter().map(|(number, fault)| (*number, fault.as_deref())).collect();
    let (states_ps256, p521) = (
        "`alg` is not the algorithm of the key",
        "it is not a key for RS256, PS256, ES256 or EdDSA: use RSA, P-256 or Ed25519",
    );
    // the keys of two state PS256, and their tokens are of PS384; two are of P-521
    let expected =
        [(346, Some(states_ps256)), (347, Some(p521)), (350, Some(states_ps256)), (351, Some(p521))];
    assert_eq!(other, expected);
}

#[test]
#[ignore = "needs a checkout of C2SP/wycheproof"]
fn keys_that_are_not_sound_are_refused() {
    let (taken, refused, differing) = run("json_web_key_test.json");
    assert_eq!((taken, refused), (2, 24));
    let (symmetric, other): (Vec<_>, Vec<_>) =
        differing.iter().partition(|(_, fault)| is_symmetric(fault.as_deref()));
    assert_eq!(symmetric.len(), 4);
    // an RSA key that can be factored because a chip made it badly (ROCA, CVE-2017-15361): jeton does not look for it
    assert_eq!(other, [&(7, None)]);
}
