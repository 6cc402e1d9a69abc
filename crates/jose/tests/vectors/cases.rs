//! What Wycheproof tries with JWS and JWK beside the arithmetic of an algorithm: each of its cases, made again with the
//! keys of RFC 7515 appendix A. Its own files are in no package (`wycheproof_json.rs`).

use aws_lc_rs::{
    hmac,
    rand::SystemRandom,
    signature::{ECDSA_P256_SHA256_ASN1_SIGNING, ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair},
};
use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use jeton_jose::{CompactJws, InvalidJwks, InvalidPublicKey, JwsError, PublicKeys, TokenKind};
use jeton_oauth::ForeignAlgorithm;
use serde_json::{Value, json};

use crate::{key_set, public_half, verified_by};

const HEADER: &str = r#"{"typ":"at+jwt","alg":"ES256","kid":"k"}"#;
const PAYLOAD: &str = r#"{"foo":1}"#;
const ACCESS_TOKEN: TokenKind = TokenKind { name: "an access token", types: &["at+jwt"] };

/// RFC 7515 appendix A.3, with its private half.
fn ec() -> Value {
    example_key("A.3")
}

fn example_key(section: &str) -> Value {
    let file: Value = serde_json::from_str(include_str!("rfc7515.json")).unwrap();
    let found = file["keys"].as_array().unwrap().iter().find(|key| key["section"] == section);
    found.unwrap()["jwk"].clone()
}

fn base64url(bytes: impl AsRef<[u8]>) -> String {
    BASE64_URL_SAFE_NO_PAD.encode(bytes)
}

fn bytes_of(jwk: &Value, name: &str) -> Vec<u8> {
    BASE64_URL_SAFE_NO_PAD.decode(jwk[name].as_str().unwrap()).unwrap()
}

fn pair(is_der: bool) -> EcdsaKeyPair {
    let (jwk, form) =
        (ec(), if is_der { &ECDSA_P256_SHA256_ASN1_SIGNING } else { &ECDSA_P256_SHA256_FIXED_SIGNING });
    let public = [&[4], &bytes_of(&jwk, "x")[..], &bytes_of(&jwk, "y")[..]].concat();
    EcdsaKeyPair::from_private_key_and_public_key(form, &bytes_of(&jwk, "d"), &public).unwrap()
}

/// Signs a header and a payload that are encoded already, however they are.
fn signed(header: &str, payload: &str) -> String {
    let text = format!("{header}.{payload}");
    let signature = pair(false).sign(&SystemRandom::new(), text.as_bytes()).unwrap();
    format!("{text}.{}", base64url(signature))
}

fn signed_json(header: &str) -> String {
    signed(&base64url(header), &base64url(PAYLOAD))
}

/// The key with other members. `null` removes one.
fn changed(jwk: &Value, members: &Value) -> Value {
    let mut jwk = jwk.clone();
    for (name, value) in members.as_object().unwrap() {
        jwk[name] = value.clone();
    }
    jwk.as_object_mut().unwrap().retain(|_, value| !value.is_null());
    jwk
}

fn public() -> Value {
    changed(&public_half(&ec()), &json!({ "kid": "k", "use": "sig", "alg": "ES256" }))
}

/// What becomes of a token of ours, and of one of another issuer.
fn judged_as_both(text: &str) -> [Result<(), JwsError>; 2] {
    let jwks = json!({ "keys": [public()] }).to_string();
    let keys = PublicKeys::from_jwks(jwks.as_bytes()).unwrap();
    let ours = keys.open(text, ACCESS_TOKEN).map(drop);
    let of_another = verified_by(&key_set(&[public()]).unwrap(), text)
        .and_then(|_| CompactJws::parse(text)?.payload())
        .map(drop);
    [ours, of_another]
}

/// What becomes of either.
#[track_caller]
fn judged(text: &str) -> Result<(), JwsError> {
    let [ours, of_another] = judged_as_both(text);
    assert_eq!(ours, of_another, "{text}");
    ours
}

#[track_caller]
fn check(cases: &[(&str, String, Result<(), JwsError>)]) {
    for (name, text, expected) in cases {
        assert_eq!(judged(text), *expected, "{name}: {text}");
    }
}

#[test]
fn parts_that_are_modified_or_missing_are_refused() {
    let good = signed_json(HEADER);
    let [header, payload, signature]: [&str; 3] = good.split('.').collect::<Vec<_>>().try_into().unwrap();
    let first = if signature.starts_with('X') { "Y" } else { "X" };
    let modified = format!("{first}{}", signature.split_at(1).1);
    let other_kid = base64url(HEADER.replace("\"k\"", "\"l\""));
    let json = json!({ "payload": payload, "signatures": [{ "protected": header, "signature": signature }] });
    let not_compact = || Err(JwsError::NotCompactJws);
    check(&[
        ("acceptsValid", good.clone(), Ok(())),
        ("rejectsModifiedSignature", format!("{header}.{payload}.{modified}"), Err(JwsError::Signature)),
        ("rejectsMissingSignature", format!("{header}.{payload}."), Err(JwsError::Signature)),
        ("rejectsMissingSignatureAndSeparator", format!("{header}.{payload}"), not_compact()),
        (
            "rejectsModifiedPayload",
            format!("{header}.{}.{signature}", base64url("{}")),
            Err(JwsError::Signature),
        ),
        ("rejectsMissingPayload", format!("{header}..{signature}"), Err(JwsError::Signature)),
        ("rejectsMissingPayloadAndSeparator", format!("{header}.{signature}"), not_compact()),
        ("rejectsModifiedHeader", format!("{other_kid}.{payload}.{signature}"), Err(JwsError::UnknownKey)),
        ("rejectsMissingHeader", format!(".{payload}.{signature}"), Err(JwsError::NotJsonObject)),
        ("rejectsMissingHeaderAndSeparator", format!("{payload}.{signature}"), not_compact()),
        ("rejectsMissingHeaderAndSignature", format!(".{payload}."), Err(JwsError::NotJsonObject)),
        ("rejectsMissingHeaderSignatureAndSeparators", payload.to_owned(), not_compact()),
        ("rejectsEmptyString", String::new(), not_compact()),
        ("rejectsExtraEmptyComponent", format!("{good}."), not_compact()),
        ("rejectsExtraComponent", format!("{good}.{payload}"), not_compact()),
        ("rejectsValidJsonSerialization", json.to_string(), not_compact()),
    ]);
}

#[test]
fn rfc_8725_3_1_the_header_does_not_choose_the_algorithm() {
    let payload = base64url(PAYLOAD);
    let with = |alg: &str| base64url(HEADER.replace("ES256", alg));
    // "algIsNone", in each spelling, with no signature and with one that is right
    for alg in ["none", "None", "NONE", "nOnE", "", "ES384", "es256", "ES512", "ES256K", "RS256", "EdDSA"] {
        assert_eq!(judged(&format!("{}.{payload}.", with(alg))), Err(JwsError::Algorithm), "{alg}");
        assert_eq!(judged(&signed(&with(alg), &payload)), Err(JwsError::Algorithm), "{alg}");
    }
    // "rejectsSymmetryConfusionAttacks": what is public as the key of a MAC
    let jwk = ec();
    let point = [bytes_of(&jwk, "x"), bytes_of(&jwk, "y")].concat();
    for secret in [point.clone(), [vec![4], point].concat(), public().to_string().into_bytes()] {
        let signed = format!("{}.{payload}", with("HS256"));
        let mac = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, &secret), signed.as_bytes());
        assert_eq!(judged(&format!("{signed}.{}", base64url(mac))), Err(JwsError::Algorithm));
    }
    let without = signed_json(r#"{"typ":"at+jwt","kid":"k"}"#);
    assert_eq!(judged(&without), Err(JwsError::Algorithm));
    assert_eq!(
        judged(&signed_json(r#"{"typ":"at+jwt","alg":["ES256"],"kid":"k"}"#)),
        Err(JwsError::Algorithm)
    );
}

#[test]
fn rfc_8725_3_5_a_key_that_the_header_brings_or_names_is_not_used() {
    // "rejectsAttackerProvidedEmbeddedJwk": signed rightly, so that nothing else is wrong
    let jwk = public().to_string();
    for (name, value) in [
        ("jwk", jwk.as_str()),
        ("jku", r#""https://evil.example/keys""#),
        ("x5u", r#""https://evil.example/chain""#),
        ("crit", r#"["exp"]"#),
        ("b64", "false"),
        ("zip", r#""DEF""#),
        ("enc", r#""A256GCM""#),
    ] {
        let header = HEADER.replace('}', &format!(",\"{name}\":{value}}}"));
        assert_eq!(judged(&signed_json(&header)), Err(JwsError::HeaderParameter(name)));
    }
    // a certificate is ignored: the key of the set counts
    let header = HEADER.replace('}', r#","x5c":["MIIB"],"x5t":"AA"}"#);
    assert_eq!(judged(&signed_json(&header)), Ok(()));
}

#[test]
fn rfc_7515_2_base64url_has_one_spelling() {
    let (header, payload) = (base64url(HEADER), base64url(PAYLOAD));
    let good = signed(&header, &payload);
    let (signed_text, signature) = good.rsplit_once('.').unwrap();
    let (head, last) = signature.split_at(signature.len() - 1);
    // 64 bytes leave four bits of the last character unused
    let used = b"AQgw".iter().position(|one| *one == last.as_bytes()[0]);
    assert!(used.is_some(), "{last}");
    let unused = format!("{head}{}", char::from(last.as_bytes()[0] + 1));
    let not_base64 = || Err(JwsError::NotBase64Url);
    for (name, signature) in [
        ("rejectsSpacesInMac", format!("{head} {last}")),
        ("rejectsInvalidCharacterInsertedInMac", format!("{head}?{last}")),
        ("a line break", format!("{head}\n{last}")),
        ("padding", format!("{signature}==")),
        ("the standard alphabet", format!("+/{signature}")),
        ("unused bits", unused),
    ] {
        // of tokens of ours, a signature that cannot be read is said to be wrong
        let expected = [Err(JwsError::Signature), not_base64()];
        assert_eq!(judged_as_both(&format!("{signed_text}.{signature}")), expected, "{name}");
    }
    // as parts that were signed as they stand
    let cut = header.split_at(5);
    for (name, header) in [
        ("spacesInHeader", format!("{} {}", cut.0, cut.1)),
        ("invalidCharactersInHeader", format!("{}?{}", cut.0, cut.1)),
        ("invalidBase64Padding", format!("{}=", base64url(format!("{HEADER} ")))),
    ] {
        assert_eq!(judged(&signed(&header, &payload)), not_base64(), "{name}");
    }
    let cut = payload.split_at(5);
    for (name, payload) in [
        ("spacesInPayload", format!("{} {}", cut.0, cut.1)),
        ("invalidCharactersInPayload", format!("{}?{}", cut.0, cut.1)),
        ("invalidBase64PaddingInPayload", format!("{payload}=")),
        // one byte is two characters, of which the second has four bits that no byte takes
        ("ModifiedUnusedBitsInPayload", "IB".to_owned()),
    ] {
        assert_eq!(judged(&signed(&header, &payload)), not_base64(), "{name}");
    }
    // "ValidSpacesInJsonHeader", "ValidWhiteSpaceInJsonHeader": within JSON they are nothing
    let spaced = "{ \"typ\" : \"at+jwt\",\r\n\t\"alg\" : \"ES256\", \"kid\" : \"k\" } ";
    assert_eq!(judged(&signed_json(spaced)), Ok(()));
    assert_eq!(judged(&signed_json(&format!("{HEADER}{{}}"))), Err(JwsError::NotJsonObject));
    assert_eq!(judged(&signed_json(&HEADER.replace('}', r#","kid":"k"}"#))), Err(JwsError::NotJsonObject));
}

#[test]
fn rfc_7518_3_4_r_and_s_are_in_range_and_have_their_length() {
    // the order of P-256, and numbers near the ends of the range
    let order: [u8; 32] = [
        0xff, 0xff, 0xff, 0xff, 0x00, 0x00, 0x00, 0x00, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xbc,
        0xe6, 0xfa, 0xad, 0xa7, 0x17, 0x9e, 0x84, 0xf3, 0xb9, 0xca, 0xc2, 0xfc, 0x63, 0x25, 0x51,
    ];
    let (zero, mut one, mut below) = ([0; 32], [0; 32], order);
    one[31] = 1;
    below[31] -= 1;
    let text = format!("{}.{}", base64url(HEADER), base64url(PAYLOAD));
    let judged_with = |signature: &[u8]| judged(&format!("{text}.{}", base64url(signature)));
    let mut tried = 0;
    for r in [zero, one, below, order, [0xff; 32]] {
        for s in [zero, one, below, order, [0xff; 32]] {
            assert_eq!(judged_with(&[r, s].concat()), Err(JwsError::Signature), "{r:02x?} {s:02x?}");
            tried += 1;
        }
    }
    assert_eq!(tried, 25);
    let good = pair(false).sign(&SystemRandom::new(), text.as_bytes()).unwrap();
    let good = good.as_ref();
    assert_eq!(judged_with(good), Ok(()));
    let (r, s) = good.split_at(32);
    let der = pair(true).sign(&SystemRandom::new(), text.as_bytes()).unwrap();
    for (name, signature) in [
        ("SignatureTooLong", [good, &[0]].concat()),
        ("TrailingZeros", [r, &[0], s, &[0]].concat()),
        ("LeadingZeros", [&[0], r, &[0], s].concat()),
        ("too short", good[..63].to_vec()),
        ("r and s in the other order", [s, r].concat()),
        ("BufferOverflow", [good, &[0x55; 450]].concat()),
        ("DER", der.as_ref().to_vec()),
    ] {
        assert_eq!(judged_with(&signature), Err(JwsError::Signature), "{name}");
    }
}

#[test]
fn a_key_that_is_for_something_else_or_is_not_sound_is_refused() {
    let (ec, rsa) = (public(), public_half(&example_key("A.2")));
    let y = bytes_of(&ec, "y");
    let mut off_the_curve = y.clone();
    off_the_curve[31] ^= 1;
    let n = bytes_of(&rsa, "n");
    let mut even = n.clone();
    even[255] ^= 1;
    for (name, key, why) in [
        ("rejectsWrongUse", changed(&ec, &json!({ "use": "enc" })), InvalidPublicKey::Purpose),
        (
            "rejectsWrongKeyOps",
            changed(&ec, &json!({ "use": null, "key_ops": ["encrypt"] })),
            InvalidPublicKey::Purpose,
        ),
        ("no key_ops", changed(&ec, &json!({ "key_ops": [] })), InvalidPublicKey::Purpose),
        ("mismatchedAlgAndCurve ES521", changed(&ec, &json!({ "alg": "ES521" })), InvalidPublicKey::Purpose),
        ("mismatchedAlgAndCurve ES224", changed(&ec, &json!({ "alg": "ES224" })), InvalidPublicKey::Purpose),
        ("ES384", changed(&ec, &json!({ "alg": "ES384" })), InvalidPublicKey::Purpose),
        ("RS256 of P-256", changed(&ec, &json!({ "alg": "RS256" })), InvalidPublicKey::Purpose),
        ("invalid_point", changed(&ec, &json!({ "y": base64url(off_the_curve) })), InvalidPublicKey::Unsound),
        ("wrong_curve", changed(&ec, &json!({ "crv": "P-384", "alg": "ES384" })), InvalidPublicKey::Unsound),
        ("wrong_kty", changed(&ec, &json!({ "kty": "RSA", "alg": "RS256" })), InvalidPublicKey::Kind),
        ("no kty", changed(&ec, &json!({ "kty": null })), InvalidPublicKey::NotJwk),
        (
            "a short coordinate",
            changed(&ec, &json!({ "y": base64url(&y[1..]) })),
            InvalidPublicKey::Coordinate(31),
        ),
        (
            "a long coordinate",
            changed(&ec, &json!({ "y": base64url([&[0], &y[..]].concat()) })),
            InvalidPublicKey::Coordinate(33),
        ),
        (
            "padding",
            changed(&ec, &json!({ "y": format!("{}=", base64url(&y)) })),
            InvalidPublicKey::Base64("y"),
        ),
        (
            "rejects1024bitRsaKey",
            changed(&rsa, &json!({ "n": base64url(&n[128..]) })),
            InvalidPublicKey::Unsound,
        ),
        ("rejectsPublicExponent1", changed(&rsa, &json!({ "e": "AQ" })), InvalidPublicKey::Unsound),
        ("an even exponent", changed(&rsa, &json!({ "e": "AQAA" })), InvalidPublicKey::Unsound),
        ("an even modulus", changed(&rsa, &json!({ "n": base64url(even) })), InvalidPublicKey::Unsound),
        (
            "a zero before the modulus",
            changed(&rsa, &json!({ "n": base64url([&[0], &n[..]].concat()) })),
            InvalidPublicKey::LeadingZero("n"),
        ),
        (
            "rejectsAesKey",
            json!({ "kty": "oct", "alg": "A256GCM", "k": "AAAA" }),
            InvalidPublicKey::Symmetric,
        ),
        ("empty_key", json!({ "kty": "oct", "alg": "HS256", "k": "" }), InvalidPublicKey::Symmetric),
        ("a private key", self::ec(), InvalidPublicKey::Private),
    ] {
        match key_set(std::slice::from_ref(&key)).err() {
            Some(InvalidPublicKey::PrivateInSet(_)) => assert_eq!(why, InvalidPublicKey::Private, "{name}"),
            found => assert_eq!(found, Some(why), "{name}: {key}"),
        }
        let jwks = json!({ "keys": [changed(&key, &json!({ "kid": "k" }))] }).to_string();
        let refused = matches!(
            PublicKeys::from_jwks(jwks.as_bytes()),
            Err(InvalidJwks::NoKey(_) | InvalidJwks::Private(_))
        );
        assert!(refused, "{name}");
    }
    for key in [
        changed(&ec, &json!({ "use": null, "key_ops": ["verify"] })),
        changed(&ec, &json!({ "use": null, "alg": null })),
        changed(&rsa, &json!({ "e": "Aw" })),
    ] {
        assert_eq!(key_set(std::slice::from_ref(&key)).map(|keys| keys.len()), Ok(1), "{key}");
    }
}

#[test]
fn keys_with_one_name_are_told_apart_or_refused() {
    let (ec, rsa) = (public(), changed(&public_half(&example_key("A.2")), &json!({ "kid": "k" })));
    let secret = json!({ "kty": "oct", "kid": "k", "k": "AAAA" });
    let token = signed_json(HEADER);
    // "rejectsValid" of a mixed set: the symmetric key is passed over, and verifies nothing
    let mixed = key_set(&[secret, ec.clone()]).unwrap();
    assert_eq!((mixed.len(), mixed.passed_over().len()), (1, 1));
    assert_eq!(verified_by(&mixed, &token), Ok(ForeignAlgorithm::Es256));
    // one name for two kinds of keys: the algorithm says which
    let both = json!({ "keys": [rsa, ec] }).to_string();
    let keys = PublicKeys::from_jwks(both.as_bytes()).unwrap();
    assert!(keys.open(&token, ACCESS_TOKEN).is_ok());
    // "rejectsDuplicateKid": for two of one kind it does not
    let twice = json!({ "keys": [ec, ec] }).to_string();
    assert!(matches!(PublicKeys::from_jwks(twice.as_bytes()), Err(InvalidJwks::DuplicateKid(..))));
}
