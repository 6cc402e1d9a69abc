//! DPoP proofs: each check of RFC 9449 section 4.3 refuses something.

use std::sync::LazyLock;

use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use jeton_jose::JwsError;
use jeton_verify::{DPOP_ALGORITHMS, DpopProof, Origin, ProofFault, ProofTerms, TargetUri};
use proptest::prelude::{Strategy, any, prop_assert, prop_assert_eq, proptest};
use serde_json::{Value, json};

use crate::support::{
    dpop::{ProofDraft, thumbprint},
    forge::{base64url, sign_hs256},
    signer::Signer,
};

const NOW: i64 = 1_800_000_000;
const LEEWAY: i64 = 30;
const URL: &str = "https://orders.example.com/orders";
const TOKEN: &str = "x.y.z";

static P256: LazyLock<Signer> = LazyLock::new(Signer::p256);
static ED25519: LazyLock<Signer> = LazyLock::new(Signer::ed25519);
static RSA: LazyLock<Signer> = LazyLock::new(Signer::rsa);

fn good() -> ProofDraft {
    ProofDraft::good(&P256, "GET", URL, NOW).with_token(TOKEN)
}

/// What a request at `/orders` with [`TOKEN`] makes of a proof.
fn judge(text: &str) -> Result<DpopProof, ProofFault> {
    let proof = DpopProof::verify(text)?;
    let target = TargetUri::of(&Origin::parse("https://orders.example.com").unwrap(), "/orders").unwrap();
    let access_token = Some(TOKEN);
    proof.check(&ProofTerms { method: "GET", target: &target, access_token, now: NOW, leeway: LEEWAY })?;
    Ok(proof)
}

fn fault(text: &str) -> Option<ProofFault> {
    judge(text).err()
}

#[track_caller]
fn refused(draft: &ProofDraft, expected: &ProofFault) {
    let text = draft.sign(&P256);
    assert_eq!(fault(&text).as_ref(), Some(expected), "{:?} {:?}", draft.header, draft.claims);
}

#[test]
fn a_good_proof_of_each_algorithm_is_taken() {
    let signers: [(&str, &Signer); 5] =
        [("ES256", &P256), ("RS256", &RSA), ("PS256", &RSA), ("EdDSA", &ED25519), ("Ed25519", &ED25519)];
    assert_eq!(signers.map(|(alg, _)| alg), DPOP_ALGORITHMS);
    for (alg, signer) in signers {
        let draft = ProofDraft::good(signer, "GET", URL, NOW).with_token(TOKEN).header("alg", alg);
        let proof = judge(&draft.sign(signer)).unwrap_or_else(|fault| panic!("{alg}: {fault}"));
        assert_eq!(proof.thumbprint().to_string(), thumbprint(signer), "{alg}");
        assert_eq!((proof.jti(), proof.nonce()), ("e1j3V_bKic8-LAEB", None));
        assert_eq!(proof.issued_at(), NOW);
    }
    let nonce = good().claim("nonce", "n").claim("exp", NOW + 5).claim("more", json!([1]));
    assert_eq!(judge(&nonce.sign(&P256)).unwrap().nonce(), Some("n"));
    // `typ` is a media type (RFC 7515 section 4.1.9)
    assert_eq!(fault(&good().header("typ", "application/DPoP+JWT").sign(&P256)), None);
    // what is not understood is ignored (RFC 7515 section 4)
    assert_eq!(fault(&good().header("kid", "k").header("x5c", json!(["x"])).sign(&P256)), None);
}

#[test]
fn rfc_9449_4_3_2_it_is_one_well_formed_jwt() {
    let text = good().sign(&P256);
    let parts: Vec<_> = text.split('.').collect();
    let jws = |error: JwsError| Some(ProofFault::Jws(error));
    for (bad, expected) in [
        (String::new(), JwsError::NotCompactJws),
        ("x".to_owned(), JwsError::NotCompactJws),
        (format!("{}.{}", parts[0], parts[1]), JwsError::NotCompactJws),
        (format!("{text}.x.y"), JwsError::NotCompactJws),
        (format!("{text},{text}"), JwsError::NotCompactJws),
        (format!(" {text}"), JwsError::NotBase64Url),
        (format!("{}=.{}.{}", parts[0], parts[1], parts[2]), JwsError::NotBase64Url),
        (format!("{}.{}.{}", base64url("[]"), parts[1], parts[2]), JwsError::NotJsonObject),
        (format!("{}.{}.{}", parts[0], base64url("{}x"), parts[2]), JwsError::NotJsonObject),
        ("a".repeat(DpopProof::LONGEST + 1), JwsError::TooLong),
        (good().claim("more", "x".repeat(8_000)).sign(&P256), JwsError::TooLong),
    ] {
        assert_eq!(fault(&bad), jws(expected), "{bad}");
    }
    // a name twice, in the header, in its key and in the claims
    let [header, claims] = [&parts[0], &parts[1]]
        .map(|part| String::from_utf8(BASE64_URL_SAFE_NO_PAD.decode(part).unwrap()).unwrap());
    for (header, claims) in [
        (header.replacen('{', r#"{"alg":"ES256","#, 1), claims.clone()),
        (header.replacen(r#""jwk":{"#, r#""jwk":{"kty":"EC","#, 1), claims.clone()),
        (header.clone(), claims.replacen('{', r#"{"htm":"GET","#, 1)),
        (header.clone(), claims.replacen('{', r#"{"ht\u006d":"POST","#, 1)),
    ] {
        let signed = format!("{}.{}", base64url(header), base64url(claims));
        let text = format!("{signed}.{}", base64url([0; 64]));
        assert_eq!(fault(&text), jws(JwsError::NotJsonObject), "{signed}");
    }
}

#[test]
fn rfc_9449_4_3_3_every_required_claim_is_there() {
    for name in ["jti", "htm", "htu", "iat", "ath"] {
        refused(&good().no_claim(name), &ProofFault::Missing(name));
        for bad in [json!(null), json!([1]), json!({}), json!(true)] {
            refused(&good().claim(name, bad), &ProofFault::WrongType(name));
        }
    }
    for name in ["jti", "htm", "htu"] {
        refused(&good().claim(name, ""), &ProofFault::WrongType(name));
        refused(&good().claim(name, 7), &ProofFault::WrongType(name));
    }
    refused(&good().claim("nonce", 7), &ProofFault::WrongType("nonce"));
    refused(&good().claim("iat", NOW.to_string()), &ProofFault::WrongType("iat"));
}

#[test]
fn rfc_9449_4_3_4_typ_is_dpop_jwt() {
    let typ = ProofFault::Jws(JwsError::Type("a DPoP proof"));
    refused(&good().no_header("typ"), &typ);
    for other in ["jwt", "at+jwt", "dpop", "dpop+jwt ", "client-authentication+jwt", ""] {
        refused(&good().header("typ", other), &typ);
    }
    refused(&good().header("typ", json!(["dpop+jwt"])), &ProofFault::Jws(JwsError::HeaderParameter("typ")));
}

#[test]
fn rfc_9449_4_3_5_alg_is_asymmetric_and_supported() {
    let algorithm = ProofFault::Jws(JwsError::Algorithm);
    refused(&good().no_header("alg"), &algorithm);
    for other in
        ["none", "None", "NONE", "", "HS256", "HS512", "ES384", "ES512", "RS384", "PS512", "es256", "ES256K"]
    {
        refused(&good().header("alg", other), &algorithm);
    }
    // an algorithm of another kind of key, and another one than the key states
    for other in ["RS256", "PS256", "EdDSA", "Ed25519"] {
        refused(&good().header("alg", other), &algorithm);
    }
    let jwk = |signer: &Signer, alg: &str| {
        let mut jwk = signer.jwk();
        jwk["alg"] = alg.into();
        jwk
    };
    let stated = ProofDraft::good(&RSA, "GET", URL, NOW).with_token(TOKEN).header("jwk", jwk(&RSA, "PS256"));
    assert_eq!(fault(&stated.sign(&RSA)), Some(algorithm));
    assert_eq!(fault(&stated.header("alg", "PS256").sign(&RSA)), None);
    // by HMAC, with the public key as the secret
    let hmac = good().header("alg", "HS256");
    let [header, claims] = [hmac.header, hmac.claims].map(|part| Value::from(part).to_string());
    let text = sign_hs256(P256.jwk()["x"].as_str().unwrap().as_bytes(), &header, &claims);
    assert_eq!(fault(&text), Some(ProofFault::Jws(JwsError::Algorithm)));
    let secret = json!({ "kty": "oct", "k": base64url("secret") });
    let header = json!({ "typ": "dpop+jwt", "alg": "HS256", "jwk": secret }).to_string();
    assert_eq!(fault(&sign_hs256(b"secret", &header, &claims)), Some(ProofFault::Jws(JwsError::Algorithm)));
}

#[test]
fn rfc_9449_4_3_6_its_key_signed_it() {
    let wrong = Some(ProofFault::Jws(JwsError::Signature));
    assert_eq!(fault(&good().sign(&Signer::p256())), wrong, "another key");
    for signer in [&*P256, &*RSA, &*ED25519] {
        let text = ProofDraft::good(signer, "GET", URL, NOW).with_token(TOKEN).sign(signer);
        let (signed, _) = text.rsplit_once('.').unwrap();
        for none in ["", "AA", &base64url([0; 64]), &base64url([0; 256])] {
            assert_eq!(fault(&format!("{signed}.{none}")), wrong, "{none}");
        }
    }
    // DER, as X.509 has it, is no signature of JOSE
    assert_eq!(fault(&format!("{}x", good().sign(&P256))), wrong);
}

#[test]
fn rfc_9449_4_3_7_the_key_is_public_and_sound() {
    refused(&good().no_header("jwk"), &ProofFault::Jws(JwsError::NoKey));
    let with = |name: &str, value: Value| {
        let mut jwk = P256.jwk();
        jwk[name] = value;
        good().header("jwk", jwk)
    };
    let short = base64url(&BASE64_URL_SAFE_NO_PAD.decode(P256.jwk()["x"].as_str().unwrap()).unwrap()[1..]);
    for draft in [
        // private members, of every kind of key
        with("d", json!("AA")),
        with("p", json!("AA")),
        with("k", json!("AA")),
        with("priv", json!("AA")),
        // no sound key
        with("x", json!(base64url([0; 32]))),
        with("x", json!(short)),
        with("y", P256.jwk()["x"].clone()),
        with("crv", json!("P-384")),
        with("crv", json!("secp256k1")),
        with("kty", json!("oct")),
        with("kty", json!("RSA")),
        with("use", json!("enc")),
        with("key_ops", json!(["sign"])),
        with("alg", json!("ECDH-ES")),
        good().header("jwk", json!("x")),
        good().header("jwk", json!([])),
        good().header("jwk", json!({})),
        good().header("jwk", json!(null)),
    ] {
        let text = draft.sign(&P256);
        assert!(matches!(fault(&text), Some(ProofFault::Key(_))), "{:?} {:?}", draft.header, fault(&text));
    }
    let mut weak = RSA.jwk();
    weak["e"] = json!("AQ");
    let draft = ProofDraft::good(&RSA, "GET", URL, NOW).header("jwk", weak);
    assert!(matches!(fault(&draft.sign(&RSA)), Some(ProofFault::Key(_))), "the exponent 1");
    let small = json!({ "kty": "OKP", "crv": "Ed25519", "x": base64url([0; 32]) });
    let draft = ProofDraft::good(&ED25519, "GET", URL, NOW).header("jwk", small);
    assert!(matches!(fault(&draft.sign(&ED25519)), Some(ProofFault::Key(_))), "a point of small order");
}

#[test]
fn rfc_7515_4_1_11_what_changes_its_meaning_is_refused() {
    for name in ["crit", "jku", "x5u", "enc", "zip", "b64"] {
        refused(&good().header(name, json!(["x"])), &ProofFault::Jws(JwsError::HeaderParameter(name)));
    }
}

#[test]
fn rfc_9449_4_3_8_htm_is_the_method() {
    for other in ["POST", "get", "GET ", "HEAD", "*"] {
        refused(&good().claim("htm", other), &ProofFault::Method);
    }
}

/// Every spelling is in the tests of `TargetUri`.
#[test]
fn rfc_9449_4_3_9_htu_is_the_address() {
    for same in ["https://orders.example.com:443/orders?page=2#x", "HTTPS://ORDERS.example.com/%6frders"] {
        assert_eq!(fault(&good().claim("htu", same).sign(&P256)), None, "{same}");
    }
    for other in [
        "https://orders.example.com/order",
        "http://orders.example.com/orders",
        "https://evil.example/orders",
        "/orders",
        "https://orders.example.com@evil.example/orders",
    ] {
        refused(&good().claim("htu", other), &ProofFault::Target);
    }
}

#[test]
fn rfc_9449_4_3_11_iat_is_within_the_leeway() {
    for iat in [json!(NOW), json!(NOW - LEEWAY), json!(NOW + LEEWAY), json!(1_800_000_029.999), json!(1.8e9)]
    {
        assert_eq!(fault(&good().claim("iat", iat.clone()).sign(&P256)), None, "{iat}");
    }
    for iat in [json!(NOW - LEEWAY - 1), json!(1_799_999_969.9), json!(0), json!(-NOW), json!(-1e300)] {
        refused(&good().claim("iat", iat), &ProofFault::Old);
    }
    for iat in
        [json!(NOW + LEEWAY + 1), json!(1_800_000_030.1), json!(NOW * 1000), json!(u64::MAX), json!(1e300)]
    {
        refused(&good().claim("iat", iat), &ProofFault::Early);
    }
}

#[test]
fn rfc_7519_4_1_4_the_times_that_a_proof_names_itself_count() {
    for (name, good_at) in [
        ("exp", [json!(NOW + 1), json!(NOW - LEEWAY + 1), json!(1.9e9)]),
        ("nbf", [json!(NOW), json!(NOW + LEEWAY), json!(0)]),
    ] {
        for time in good_at {
            assert_eq!(fault(&good().claim(name, time.clone()).sign(&P256)), None, "{name} {time}");
        }
        for other in [json!("1800000000"), json!(null), json!([NOW])] {
            refused(&good().claim(name, other), &ProofFault::WrongType(name));
        }
    }
    for end in [json!(NOW - LEEWAY), json!(0), json!(-1)] {
        refused(&good().claim("exp", end), &ProofFault::Expired);
    }
    for start in [json!(NOW + LEEWAY + 1), json!(1_800_000_030.5)] {
        refused(&good().claim("nbf", start), &ProofFault::NotYetValid);
    }
}

#[test]
fn a_proof_is_remembered_as_long_as_it_is_good() {
    let target = TargetUri::parse(URL).unwrap();
    for iat in [json!(NOW), json!(1_800_000_000.999), json!(1_799_999_999.001)] {
        let proof = DpopProof::verify(&good().claim("iat", iat.clone()).sign(&P256)).unwrap();
        let end = proof.good_until(LEEWAY);
        for now in NOW..NOW + 100 {
            let terms =
                ProofTerms { method: "GET", target: &target, access_token: None, now, leeway: LEEWAY };
            assert!(now <= end || proof.check(&terms).is_err(), "{iat} at {now}, kept until {end}");
        }
    }
}

#[test]
fn rfc_9449_4_3_12_ath_is_the_hash_of_the_token() {
    refused(&good().with_token("x.y.Z"), &ProofFault::AccessToken);
    refused(&good().with_token(""), &ProofFault::AccessToken);
    let hash = good().claims["ath"].as_str().unwrap().to_owned();
    for other in [format!("{hash}="), hash.to_uppercase(), hash.split_at(1).1.to_owned(), String::new()] {
        refused(&good().claim("ath", other), &ProofFault::AccessToken);
    }
    // where no token comes, nothing is asked of it
    let target = TargetUri::parse(URL).unwrap();
    let terms = ProofTerms { method: "GET", target: &target, access_token: None, now: NOW, leeway: LEEWAY };
    for draft in [good(), good().no_claim("ath")] {
        assert_eq!(DpopProof::verify(&draft.sign(&P256)).unwrap().check(&terms), Ok(()));
    }
}

/// A value that is not the one that is there.
fn values() -> impl Strategy<Value = Value> {
    any::<(u8, String, i64)>().prop_map(|(kind, text, number)| match kind % 5 {
        0 => Value::Null,
        1 => json!(text),
        2 => json!(number),
        3 => json!([text]),
        _ => json!({ text: number }),
    })
}

proptest! {
    /// One byte of a proof that is another one, anywhere: the signature covers it, or is it.
    #[test]
    fn a_proof_with_one_other_byte_is_refused(place in any::<proptest::sample::Index>(), byte in 0x21..0x7f_u8) {
        let text = good().sign(&P256);
        let mut bytes = text.clone().into_bytes();
        let place = place.index(bytes.len());
        bytes[place] = byte;
        let mutated = String::from_utf8(bytes).unwrap();
        prop_assert_eq!(judge(&mutated).is_ok(), mutated == text, "{}", mutated);
    }

    /// The same where somebody signs what was changed: each member that is looked at is compared.
    #[test]
    fn a_proof_with_one_other_member_is_refused(member in 0..7_usize, value in values()) {
        let names = ["typ", "alg", "jwk", "htm", "htu", "ath", "iat"];
        let name = names[member];
        let draft = if member < 3 { good().header(name, value.clone()) } else { good().claim(name, value.clone()) };
        let is_near = name == "iat" && value.as_f64().is_some_and(|iat| (iat - 1.8e9).abs() <= 30.0);
        prop_assert!(judge(&draft.sign(&P256)).is_err() || is_near, "{} {}", name, value);
    }

    /// Another token, another key: the proof is not for it.
    #[test]
    fn a_proof_is_for_one_token(token in ".{0,40}") {
        let draft = good().with_token(&token);
        prop_assert_eq!(judge(&draft.sign(&P256)).is_ok(), token == TOKEN);
    }
}
