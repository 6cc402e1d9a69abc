//! What an issuer answers: its metadata and its key set.
//!
//! Input: the document. It is read as each of them, and as the key file that a policy may name.
#![no_main]

use jeton::federation::IssuerMetadata;
use jeton_jose::{InvalidPublicKey, IssuerKeySet, strict_object};
use jeton_oauth::{ForeignAlgorithm, text::is_unseen};
use libfuzzer_sys::fuzz_target;
use serde_json::{Map, Value};
use url::Url;

const ISSUER: &str = "https://ci.example.com";
const PRIVATE: [&str; 9] = ["d", "p", "q", "dp", "dq", "qi", "oth", "k", "priv"];
const ALGORITHMS: [ForeignAlgorithm; 3] =
    [ForeignAlgorithm::Rs256, ForeignAlgorithm::Es256, ForeignAlgorithm::EdDsa];

fuzz_target!(|data: &[u8]| {
    metadata_lead_to_the_issuer_or_over_tls(data);
    let (set, file) =
        (IssuerKeySet::from_jwks(data, &ALGORITHMS), IssuerKeySet::from_file(data, &ALGORITHMS));
    keys_are_those_of_the_document(data, &set);
    errors_can_be_shown(&set);
    errors_can_be_shown(&file);
    if let Ok(set) = set {
        let file = file.expect("a set may lie in a file");
        assert!(set.kids().eq(file.kids()) && set.len() == file.len());
    }
    // fewer algorithms take no further key
    let fewer = IssuerKeySet::from_jwks(data, &[ForeignAlgorithm::Es256]).map_or(0, |set| set.len());
    assert!(IssuerKeySet::from_jwks(data, &ALGORITHMS).map_or(fewer, |set| set.len()) >= fewer);
});

fn metadata_lead_to_the_issuer_or_over_tls(data: &[u8]) {
    let own = Url::parse(ISSUER).expect("a URL");
    match IssuerMetadata::read(data, ISSUER, &own) {
        Ok(metadata) => {
            let url = metadata.key_set;
            assert!(
                url.scheme() == "https" && url.username().is_empty() && url.password().is_none(),
                "{url}"
            );
            assert_eq!(metadata.is_of_issuer, url.origin() == own.origin(), "{url}");
            let document: Map<String, Value> = serde_json::from_slice(data).expect("it was read");
            assert_eq!(document["issuer"], ISSUER);
            let named = document["jwks_uri"].as_str().expect("it is text");
            assert_eq!(Url::parse(named).as_ref(), Ok(&url));
        }
        Err(error) => assert!(!error.to_string().chars().any(is_unseen), "{error:?}"),
    }
}

fn keys_are_those_of_the_document(data: &[u8], read: &Result<IssuerKeySet, InvalidPublicKey>) {
    let Ok(set) = read else { return };
    assert!(!set.is_empty());
    let document: Value =
        serde_json::from_slice(data.strip_prefix(b"\xef\xbb\xbf").unwrap_or(data)).expect("it was read");
    let keys = document["keys"].as_array().expect("a set has keys");
    assert_eq!(set.len() + set.passed_over().len(), keys.len(), "each key is taken or passed over");
    let named: Vec<_> = keys.iter().filter_map(|key| key.get("kid")?.as_str()).collect();
    assert!(set.kids().all(|kid| named.contains(&kid)));
    if strict_object(data).is_err() {
        // of a key with a name twice nobody knows what it is, and it is passed over
        return;
    }
    let is_private = |key: &Value| key["kty"] != "oct" && PRIVATE.iter().any(|name| key.get(*name).is_some());
    assert!(!keys.iter().any(is_private), "a set with a private key is taken");
}

fn errors_can_be_shown(read: &Result<IssuerKeySet, InvalidPublicKey>) {
    let shown = match read {
        Ok(set) => set.passed_over().iter().map(ToString::to_string).collect::<String>(),
        Err(error) => error.to_string(),
    };
    assert!(!shown.chars().any(is_unseen), "{shown:?}");
}
