//! The signed examples of RFC 7515 (JWS), RFC 7520 (the cookbook), RFC 7797 and RFC 8037.

use jeton_jose::{ForeignKey, InvalidPublicKey, JwsError, PublicKeys, TokenKind};
use jeton_oauth::{ForeignAlgorithm, SignatureAlgorithm};
use serde_json::{Value, json};

use crate::{key_set, public_half, verified_by};

const RFC_7515: &str = include_str!("rfc7515.json");
const RFC_7520: &str = include_str!("rfc7520.json");

/// RFC 8037 appendix A.1, A.2 and A.4.
const ED25519_PRIVATE: &str = "nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A";
const ED25519_PUBLIC: &str = "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo";
const ED25519_SIGNED: &str = concat!(
    "eyJhbGciOiJFZERTQSJ9.RXhhbXBsZSBvZiBFZDI1NTE5IHNpZ25pbmc.hgyY0il_MGCjP0JzlnLWG1PPOt7-09PGcvMg3AIbQR6dWbhijcNR",
    "4ki4iylGjg5BhVsPt9g7sVvpAr_MuM0KAg",
);

/// RFC 7797 section 4.2.
const UNENCODED: &str =
    "eyJhbGciOiJIUzI1NiIsImI2NCI6ZmFsc2UsImNyaXQiOlsiYjY0Il19..A5dxf2s96_n5FLueVuW1Z_vh161FwXZC4YLPff6dmDY";

/// base64url (RFC 4648 section 5).
const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

/// The keys and texts of one RFC.
struct Examples(Value);

impl Examples {
    fn read(json: &str) -> Self {
        Self(serde_json::from_str(json).unwrap())
    }

    fn key(&self, section: &str) -> &Value {
        let found = self.0["keys"].as_array().unwrap().iter().find(|key| key["section"] == section);
        &found.unwrap()["jwk"]
    }

    fn signed(&self) -> impl Iterator<Item = (&str, &str, &str)> {
        self.0["signed"].as_array().unwrap().iter().map(move |one| {
            (one["section"].as_str().unwrap(), one["form"].as_str().unwrap(), one["text"].as_str().unwrap())
        })
    }

    fn compact(&self, section: &str) -> &str {
        self.signed().find(|(of, form, _)| *of == section && *form == "compact").unwrap().2
    }
}

/// What an example comes to. The table has each of its RFC.
#[track_caller]
fn check(examples: &Examples, keys: &[Value], expected: &[(&str, &str, Result<ForeignAlgorithm, JwsError>)]) {
    let keys = key_set(keys).unwrap();
    let found: Vec<_> =
        examples.signed().map(|(section, form, text)| (section, form, verified_by(&keys, text))).collect();
    assert_eq!(found, expected);
}

/// Whether the three ways in which one key of ours is asked agree. `open` wants a `typ`, which no example has.
#[track_caller]
fn check_own(jwk: &Value, text: &str, algorithm: SignatureAlgorithm) {
    let key = ForeignKey::from_jwk(&public_half(jwk)).unwrap();
    let (signed, signature) = text.rsplit_once('.').unwrap();
    for other in SignatureAlgorithm::ALL {
        assert_eq!(key.verifies(other, signed.as_bytes(), signature), other == algorithm, "{other}");
    }
    let mut named = public_half(jwk);
    named["kid"] = "k".into();
    let keys = PublicKeys::from_jwks(json!({ "keys": [named] }).to_string().as_bytes()).unwrap();
    let opened = keys.open(text, TokenKind { name: "an access token", types: &["at+jwt"] });
    assert_eq!(opened.map(drop), Err(JwsError::Type("an access token")));
}

/// Refuses each text that differs from this one in one character. How many there are.
#[track_caller]
fn check_changes(keys: &[Value], text: &str) -> usize {
    let keys = key_set(keys).unwrap();
    assert!(verified_by(&keys, text).is_ok());
    for at in 0..text.len() {
        let mut bytes = text.as_bytes().to_vec();
        // by one bit of what it stands for
        let value = ALPHABET.iter().position(|one| *one == bytes[at]);
        bytes[at] = value.map_or(b'A', |value| ALPHABET[value ^ 1]);
        let changed = String::from_utf8(bytes).unwrap();
        assert!(verified_by(&keys, &changed).is_err(), "{at}: {changed}");
    }
    text.len()
}

#[test]
fn rfc_7515_a_each_example_is_taken_or_refused_for_what_it_is() {
    let examples = Examples::read(RFC_7515);
    let [rsa, ec] = ["A.2", "A.3"].map(|section| public_half(examples.key(section)));
    check(
        &examples,
        &[rsa, ec],
        &[
            // HS256, ES512 and `none` are no algorithms here
            ("A.1", "compact", Err(JwsError::Algorithm)),
            ("A.2", "compact", Ok(ForeignAlgorithm::Rs256)),
            ("A.3", "compact", Ok(ForeignAlgorithm::Es256)),
            ("A.4", "compact", Err(JwsError::Algorithm)),
            ("A.5", "compact", Err(JwsError::Algorithm)),
            // JSON is no form of a token
            ("A.6", "general", Err(JwsError::NotCompactJws)),
            ("A.7", "flattened", Err(JwsError::NotCompactJws)),
            ("E", "compact", Err(JwsError::HeaderParameter("crit"))),
        ],
    );
    check_own(examples.key("A.2"), examples.compact("A.2"), SignatureAlgorithm::Rs256);
    check_own(examples.key("A.3"), examples.compact("A.3"), SignatureAlgorithm::Es256);
    for (section, why) in [
        ("A.1", InvalidPublicKey::Symmetric),
        ("A.2", InvalidPublicKey::Private),
        ("A.3", InvalidPublicKey::Private),
        ("A.4", InvalidPublicKey::Private),
    ] {
        assert_eq!(ForeignKey::from_jwk(examples.key(section)).err(), Some(why), "{section}");
    }
    assert_eq!(
        ForeignKey::from_jwk(&public_half(examples.key("A.4"))).err(),
        Some(InvalidPublicKey::Kind),
        "P-521"
    );
}

#[test]
fn rfc_7520_4_each_example_is_taken_or_refused_for_what_it_is() {
    let examples = Examples::read(RFC_7520);
    let keys = ["3.1", "3.3", "3.5"].map(|section| examples.key(section).clone());
    // that on P-521 and the symmetric one are passed over
    assert_eq!(key_set(&keys).map(|keys| (keys.len(), keys.passed_over().len())), Ok((1, 2)));
    check(
        &examples,
        &keys,
        &[
            ("4.1", "compact", Ok(ForeignAlgorithm::Rs256)),
            ("4.1", "general", Err(JwsError::NotCompactJws)),
            ("4.1", "flattened", Err(JwsError::NotCompactJws)),
            ("4.2", "compact", Ok(ForeignAlgorithm::Ps384)),
            ("4.2", "general", Err(JwsError::NotCompactJws)),
            ("4.2", "flattened", Err(JwsError::NotCompactJws)),
            // ES512
            ("4.3", "compact", Err(JwsError::Algorithm)),
            ("4.3", "general", Err(JwsError::NotCompactJws)),
            ("4.3", "flattened", Err(JwsError::NotCompactJws)),
            // HS256
            ("4.4", "compact", Err(JwsError::Algorithm)),
            ("4.4", "general", Err(JwsError::NotCompactJws)),
            ("4.4", "flattened", Err(JwsError::NotCompactJws)),
            ("4.5", "compact", Err(JwsError::Algorithm)),
            ("4.5", "general", Err(JwsError::NotCompactJws)),
            ("4.5", "flattened", Err(JwsError::NotCompactJws)),
            ("4.6", "general", Err(JwsError::NotCompactJws)),
            ("4.6", "flattened", Err(JwsError::NotCompactJws)),
            ("4.7", "general", Err(JwsError::NotCompactJws)),
            ("4.7", "flattened", Err(JwsError::NotCompactJws)),
            ("4.8", "general", Err(JwsError::NotCompactJws)),
        ],
    );
    check_own(examples.key("3.3"), examples.compact("4.1"), SignatureAlgorithm::Rs256);

    // PS384 is an algorithm of other issuers, and none of clients and proofs
    let (signed, signature) = examples.compact("4.2").rsplit_once('.').unwrap();
    let key = ForeignKey::from_jwk(examples.key("3.3")).unwrap();
    for algorithm in SignatureAlgorithm::ALL {
        assert!(!key.verifies(algorithm, signed.as_bytes(), signature), "{algorithm}");
    }

    // content that is detached is never looked for elsewhere, so the signature is one over nothing
    let (header, _) = signed.split_once('.').unwrap();
    let keys = key_set(&keys).unwrap();
    assert_eq!(verified_by(&keys, &format!("{header}..{signature}")), Err(JwsError::Signature));
}

#[test]
fn rfc_7520_3_each_key_is_taken_or_refused_for_what_it_is() {
    let examples = Examples::read(RFC_7520);
    for (section, why) in [
        ("3.1", Some(InvalidPublicKey::Kind)),
        ("3.2", Some(InvalidPublicKey::Private)),
        ("3.3", None),
        ("3.4", Some(InvalidPublicKey::Private)),
        ("3.5", Some(InvalidPublicKey::Symmetric)),
        ("3.6", Some(InvalidPublicKey::Symmetric)),
    ] {
        let jwk = examples.key(section);
        assert_eq!(ForeignKey::from_jwk(jwk).err(), why, "{section}");
        // the same of another issuer, whose set is spoiled by a private key
        let in_set = key_set(std::slice::from_ref(jwk)).err();
        assert_eq!(in_set.is_none(), why.is_none(), "{section}");
        assert_eq!(
            matches!(in_set, Some(InvalidPublicKey::PrivateInSet(_))),
            why == Some(InvalidPublicKey::Private),
            "{section}"
        );
    }
}

#[test]
fn rfc_7797_4_2_content_that_is_not_encoded_is_refused() {
    let examples = Examples::read(RFC_7515);
    let keys = key_set(&[public_half(examples.key("A.2"))]).unwrap();
    assert_eq!(verified_by(&keys, UNENCODED), Err(JwsError::HeaderParameter("crit")));
}

#[test]
fn rfc_8037_a_the_example_is_taken() {
    let public = json!({ "kty": "OKP", "crv": "Ed25519", "x": ED25519_PUBLIC });
    let keys = key_set(std::slice::from_ref(&public)).unwrap();
    assert_eq!(verified_by(&keys, ED25519_SIGNED), Ok(ForeignAlgorithm::EdDsa));
    check_own(&public, ED25519_SIGNED, SignatureAlgorithm::EdDsa);
    let private = json!({ "kty": "OKP", "crv": "Ed25519", "d": ED25519_PRIVATE, "x": ED25519_PUBLIC });
    assert_eq!(ForeignKey::from_jwk(&private).err(), Some(InvalidPublicKey::Private));
    // appendix A.6 and A.7 have keys for agreement
    let x25519 = json!({ "kty": "OKP", "crv": "X25519", "x": "3p7bfXt9wbTTW2HC7OQ1Nz-DQ8hbeGdNrfx-FG-IK08" });
    assert_eq!(ForeignKey::from_jwk(&x25519).err(), Some(InvalidPublicKey::Kind));
}

#[test]
fn an_example_with_one_character_changed_is_refused() {
    let (jws, cookbook) = (Examples::read(RFC_7515), Examples::read(RFC_7520));
    let ed25519 = json!({ "kty": "OKP", "crv": "Ed25519", "x": ED25519_PUBLIC });
    let changed = [
        check_changes(&[public_half(jws.key("A.2"))], jws.compact("A.2")),
        check_changes(&[public_half(jws.key("A.3"))], jws.compact("A.3")),
        check_changes(&[cookbook.key("3.3").clone()], cookbook.compact("4.1")),
        check_changes(&[cookbook.key("3.3").clone()], cookbook.compact("4.2")),
        check_changes(&[ed25519], ED25519_SIGNED),
    ];
    assert_eq!(changed.iter().sum::<usize>(), 2081, "{changed:?}");
}
