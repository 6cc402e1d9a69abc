//! The files `json_web_signature_test.json` and `json_web_key_test.json` of Wycheproof (C2SP). No package has them, so
//! they are read from a checkout:
//!
//! ```text
//! git clone https://github.com/C2SP/wycheproof
//! WYCHEPROOF=$PWD/wycheproof cargo test -p jeton-jose --test vectors -- --ignored
//! ```
//!
//! The cases that are not of an algorithm's arithmetic are made again in `cases.rs`, which always runs.

use std::{collections::BTreeMap, env, fs};

use serde_json::Value;

use crate::{key_set, verified_by};

/// What came of the vectors of a group: taken, refused, and those where jeton differs from Wycheproof.
type Outcome = (usize, usize, Vec<(u64, String)>);

fn run(file: &str) -> BTreeMap<String, Outcome> {
    let folder = env::var("WYCHEPROOF").expect("WYCHEPROOF names a checkout of C2SP/wycheproof");
    let text = fs::read_to_string(format!("{folder}/testvectors_v1/{file}")).unwrap();
    let file: Value = serde_json::from_str(&text).unwrap();
    let mut outcomes = BTreeMap::<String, Outcome>::new();
    for group in file["testGroups"].as_array().unwrap() {
        let outcome = outcomes.entry(group["comment"].as_str().unwrap().to_owned()).or_default();
        let key = group.get("public").unwrap_or(&group["private"]);
        let keys = key.get("keys").and_then(Value::as_array).cloned().unwrap_or_else(|| vec![key.clone()]);
        let keys = key_set(&keys);
        for test in group["tests"].as_array().unwrap() {
            let jws = &test["jws"];
            let text = jws.as_str().map_or_else(|| jws.to_string(), str::to_owned);
            let judged = match &keys {
                Ok(keys) => verified_by(keys, &text).map_err(|error| error.to_string()),
                Err(error) => Err(error.to_string()),
            };
            if judged.is_ok() {
                outcome.0 += 1;
            } else {
                outcome.1 += 1;
            }
            if judged.is_ok() != (test["result"] == "valid") {
                let why = judged.err().unwrap_or_else(|| "taken".to_owned());
                outcome.2.push((test["tcId"].as_u64().unwrap(), why));
            }
        }
    }
    outcomes
}

#[test]
#[ignore = "needs a checkout of C2SP/wycheproof"]
fn x() {
    for f in ["json_web_signature_test.json", "json_web_key_test.json"] {
        for (k, v) in run(f) {
            println!("{k}: {v:?}");
        }
    }
}
