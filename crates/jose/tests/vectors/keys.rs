//! The keys of RFC 7517, and the thumbprints of RFC 7638 and RFC 8037.

use std::fmt::Write;

use jeton_jose::{ForeignKey, ForeignKeys, InvalidJwks, InvalidPublicKey, PublicKeys};
use jeton_oauth::SignatureAlgorithm;
use serde_json::{Value, json};

use crate::key_set;

/// By appendix.
fn rfc_7517(appendix: &str) -> Value {
    let file: Value = serde_json::from_str(include_str!("rfc7517.json")).unwrap();
    file[appendix].clone()
}

#[test]
fn rfc_7517_a_1_the_set_has_one_key_for_signatures() {
    let set = rfc_7517("A.1").to_string();
    let keys = PublicKeys::from_jwks(set.as_bytes()).unwrap();
    let [key] = keys.named("2011-04-29") else { panic!("not the one key") };
    assert_eq!((keys.len(), key.algorithm(), key.bits()), (1, SignatureAlgorithm::Rs256, 2048));
    // the other one is for encryption
    let others: Vec<_> = keys.passed_over().iter().map(ToString::to_string).collect();
    assert_eq!(others, [format!("`keys[0]` (kid `1`): {}", InvalidPublicKey::Purpose)]);
    let keys = ForeignKeys::from_file(set.as_bytes()).unwrap();
    assert_eq!((keys.taken.len(), keys.passed_over.len()), (1, 1));
    // it states RS256, so it is for no other algorithm
    let fitting: Vec<_> =
        SignatureAlgorithm::ALL.into_iter().filter(|algorithm| keys.taken[0].is_for(*algorithm)).collect();
    assert_eq!(fitting, [SignatureAlgorithm::Rs256]);
}

#[test]
fn rfc_7517_a_2_and_a_3_private_and_symmetric_keys_are_refused() {
    let private = rfc_7517("A.2").to_string();
    assert!(matches!(PublicKeys::from_jwks(private.as_bytes()), Err(InvalidJwks::Private(_))));
    assert!(matches!(ForeignKeys::from_file(private.as_bytes()), Err(InvalidPublicKey::PrivateInSet(_))));
    let symmetric = rfc_7517("A.3").to_string();
    assert!(
        matches!(PublicKeys::from_jwks(symmetric.as_bytes()), Err(InvalidJwks::NoKey(why)) if why.len() == 2)
    );
    assert!(
        matches!(ForeignKeys::from_file(symmetric.as_bytes()), Err(InvalidPublicKey::NoneLeft(why)) if why.len() == 2)
    );
}

#[test]
fn rfc_7517_b_a_key_beside_its_certificate_is_taken() {
    let key = ForeignKey::from_jwk(&rfc_7517("B")).unwrap();
    assert_eq!(key.kid(), Some("1b94c"));
    assert!(key.is_for(SignatureAlgorithm::Rs256) && key.is_for(SignatureAlgorithm::Ps256));
}

#[test]
fn rfc_7638_3_1_and_rfc_8037_a_3_a_key_has_the_thumbprint_of_the_rfc() {
    let rsa = &rfc_7517("A.1")["keys"][1];
    let ed25519 =
        json!({ "kty": "OKP", "crv": "Ed25519", "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo" });
    for (jwk, thumbprint) in [
        (rsa, "NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs"),
        (&ed25519, "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k"),
    ] {
        assert_eq!(ForeignKey::from_jwk(jwk).unwrap().thumbprint().as_str(), thumbprint);
        let keys = key_set(std::slice::from_ref(jwk)).unwrap();
        assert!(keys.thumbprints().eq([thumbprint]));
        // neither the order of the members nor what else they say is part of it (section 3.2)
        let members = jwk.as_object().unwrap();
        let mut reversed = String::from("{\"kid\":\"other\",\"use\":\"sig\"");
        for (name, value) in members.iter().rev().filter(|(name, _)| *name != "kid") {
            write!(reversed, ",\"{name}\":{value}").unwrap();
        }
        let keys = ForeignKeys::from_file(format!("{reversed}}}").as_bytes()).unwrap();
        assert_eq!(keys.taken[0].thumbprint().as_str(), thumbprint);
    }
}
