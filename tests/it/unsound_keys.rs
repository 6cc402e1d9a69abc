//! Public keys for which somebody signs who has no private key, or nobody can: refused wherever one is read.
use std::fs;

use aws_lc_rs::signature::{ED25519, UnparsedPublicKey};
use base64::{Engine, prelude::BASE64_STANDARD};
use jeton_jose::{ForeignKey, ForeignKeys, InvalidPublicKey, PublicKeys};
use jeton_oauth::clock::{Clock, SystemClock};
use jeton_policy::FindingCode;
use serde_json::{Value, json};

use crate::{
    binary::Workplace,
    policy_text::{compile, compile_folder},
    support::{ISSUER, forge::base64url, key_fixture, signer::Signer},
};

/// The ordinates of the points of small order, little-endian (`ge25519_has_small_order` of libsodium; Table 2 of
/// <https://eprint.iacr.org/2020/1244>): 0, 1, the two of order 8, and -1; then 0 and 1
/// once more, as the prime and the prime and 1. The bit of the sign is not set.
const SMALL_ORDER: [&str; 7] = [
    "0000000000000000000000000000000000000000000000000000000000000000",
    "0100000000000000000000000000000000000000000000000000000000000000",
    "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
    "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a",
    "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
];

fn point(hex: &str) -> Vec<u8> {
    (0..32).map(|at| u8::from_str_radix(&hex[2 * at..][..2], 16).unwrap()).collect()
}

/// All encodings of points of small order, with either sign.
fn small_order() -> Vec<Vec<u8>> {
    let negated = |mut encoded: Vec<u8>| {
        encoded[31] |= 0x80;
        encoded
    };
    SMALL_ORDER.iter().flat_map(|hex| [point(hex), negated(point(hex))]).collect()
}

/// Signs claims of which `claims` makes one for each number, without a private key: `R` is a point of small order and
/// `S` is 0, so that one of a few is right whatever was hashed.
fn forge(key: &[u8], header: &Value, claims: impl Fn(usize) -> Value) -> Option<String> {
    let key = UnparsedPublicKey::new(&ED25519, key);
    (0..64).find_map(|number| {
        let signed = format!("{}.{}", base64url(header.to_string()), base64url(claims(number).to_string()));
        let mut tries = small_order().into_iter().map(|point| [point, vec![0; 32]].concat());
        let signature = tries.find(|signature| key.verify(signed.as_bytes(), signature).is_ok())?;
        Some(format!("{signed}.{}", base64url(signature)))
    })
}

fn okp(x: &[u8]) -> Value {
    json!({ "kty": "OKP", "crv": "Ed25519", "x": base64url(x) })
}

fn rsa(n: &[u8], e: &[u8]) -> Value {
    json!({ "kty": "RSA", "n": base64url(n), "e": base64url(e) })
}

fn p256(x: &[u8], y: &[u8]) -> Value {
    json!({ "kty": "EC", "crv": "P-256", "x": base64url(x), "y": base64url(y) })
}

/// SPKI of an Ed25519 key (RFC 8410 section 4).
fn okp_pem(x: &[u8]) -> String {
    let der = [b"\x30\x2a\x30\x05\x06\x03\x2b\x65\x70\x03\x21\x00", x].concat();
    pem("PUBLIC KEY", &der)
}

fn pem(tag: &str, der: &[u8]) -> String {
    format!("-----BEGIN {tag}-----\n{}\n-----END {tag}-----\n", BASE64_STANDARD.encode(der))
}

/// A number of 2048 bits that is odd.
fn modulus() -> Vec<u8> {
    let mut number = vec![0xc5; 256];
    number[255] = 0x01;
    number
}

/// Each with what it is.
fn unsound() -> Vec<(String, Value)> {
    let mut keys: Vec<_> = small_order().iter().map(|key| (format!("{key:02x?}"), okp(key))).collect();
    let with_first = |first: u8| {
        let mut encoded = [0; 32];
        encoded[0] = first;
        okp(&encoded)
    };
    let mut beyond = point(SMALL_ORDER[6]);
    beyond[0] = 0xf0;
    let sound = Signer::p256().jwk();
    let [x, _] = ["x", "y"].map(|name| jeton_bytes(&sound[name]));
    // 2^256 - 2^224 + 2^192 + 2^96 - 1
    let prime = point("ffffffff00000001000000000000000000000000ffffffffffffffffffffffff");
    let doubled = {
        let mut number = modulus();
        number[255] = 0x02;
        number
    };
    let short = modulus()[..255].to_vec();
    let mut zero_prefixed = vec![0];
    zero_prefixed.extend(&short);
    let long = [modulus(), modulus(), modulus(), modulus(), vec![1]].concat();
    let more = [
        ("Ed25519, no point of the curve", with_first(2)),
        ("Ed25519, beyond the prime", okp(&beyond)),
        ("Ed25519, all bits", okp(&[0xff; 32])),
        ("Ed25519, too short", okp(&[1; 31])),
        ("Ed25519, too long", okp(&[1; 33])),
        ("Ed25519, nothing", okp(&[])),
        ("RSA, exponent 0", rsa(&modulus(), &[0])),
        ("RSA, no exponent", rsa(&modulus(), &[])),
        ("RSA, exponent 1", rsa(&modulus(), &[1])),
        ("RSA, exponent 1 with zeros", rsa(&modulus(), &[0, 0, 1])),
        ("RSA, exponent 2", rsa(&modulus(), &[2])),
        ("RSA, exponent 65536", rsa(&modulus(), &[1, 0, 0])),
        ("RSA, exponent of 34 bits", rsa(&modulus(), &[2, 0, 0, 0, 1])),
        ("RSA, exponent as long as the modulus", rsa(&modulus(), &modulus())),
        ("RSA, even modulus", rsa(&doubled, &[1, 0, 1])),
        ("RSA, modulus 0", rsa(&[0; 256], &[1, 0, 1])),
        ("RSA, no modulus", rsa(&[], &[1, 0, 1])),
        ("RSA, short modulus", rsa(&short, &[1, 0, 1])),
        ("RSA, short modulus with zeros", rsa(&zero_prefixed, &[1, 0, 1])),
        ("RSA, long modulus", rsa(&long, &[1, 0, 1])),
        ("P-256, infinity", p256(&[], &[])),
        ("P-256, zeros", p256(&[0; 32], &[0; 32])),
        ("P-256, no point of the curve", p256(&x, &[7; 32])),
        ("P-256, beyond the prime", p256(&prime, &[7; 32])),
    ];
    keys.extend(more.map(|(name, key)| (name.to_owned(), key)));
    keys
}

fn jeton_bytes(text: &Value) -> Vec<u8> {
    base64::prelude::BASE64_URL_SAFE_NO_PAD.decode(text.as_str().unwrap()).unwrap()
}

fn client_with(entry: &str) -> String {
    format!("version: 1\nclients:\n  acme:\n    public_keys:\n      - {entry}\n")
}

/// Why points of small order matter: the library that verifies takes a signature that nobody made.
#[test]
fn anybody_signs_for_a_point_of_small_order() {
    let forged = small_order()
        .into_iter()
        .filter(|key| forge(key, &json!({ "alg": "EdDSA" }), |number| json!({ "jti": number })).is_some());
    // in the encoding that RFC 8032 has, and for ordinate 1 with either sign
    assert!(forged.count() >= 8);
    let sound = jeton_bytes(&Signer::ed25519().jwk()["x"]);
    assert_eq!(forge(&sound, &json!({ "alg": "EdDSA" }), |number| json!({ "jti": number })), None);
}

#[test]
fn an_unsound_key_is_no_clients_key() {
    for (name, key) in unsound() {
        let error = ForeignKey::from_jwk(&key).unwrap_err();
        assert!(
            matches!(
                error,
                InvalidPublicKey::Unsound
                    | InvalidPublicKey::Coordinate(_)
                    | InvalidPublicKey::LeadingZero(_)
            ),
            "{name}: {error}"
        );
        let sound = Signer::p256().jwk();
        let set = json!({ "keys": [sound, key] }).to_string();
        let keys = ForeignKeys::from_file(set.as_bytes()).unwrap();
        assert_eq!(keys.taken, [ForeignKey::from_jwk(&sound).unwrap()], "{name}");
        let [passed_over] = &keys.passed_over[..] else { panic!("{name}: {keys:?}") };
        assert_eq!(passed_over.to_string(), format!("`keys[1]`: {error}"), "{name}");
        let alone = json!({ "keys": [key] }).to_string();
        assert_eq!(ForeignKeys::from_file(alone.as_bytes()).unwrap_err(), error, "{name}");
        let findings = compile(&client_with(&format!("jwk: {key}"))).unwrap_err();
        let codes: Vec<_> = findings.0.iter().map(|finding| finding.code).collect();
        assert_eq!(codes, [FindingCode::BadPublicKey], "{name}: {findings}");
    }
    // and those beside them are
    for (name, key) in [
        ("exponent 3", rsa(&modulus(), &[3])),
        ("exponent of 33 bits", rsa(&modulus(), &[1, 0, 0, 0, 1])),
        ("of 8192 bits", rsa(&[modulus(), modulus(), modulus(), modulus()].concat(), &[1, 0, 1])),
        ("Ed25519", Signer::ed25519().jwk()),
        ("P-256", Signer::p256().jwk()),
    ] {
        assert!(ForeignKey::from_jwk(&key).is_ok(), "{name}");
    }
}

#[test]
fn an_unsound_key_in_pem_is_no_clients_key() {
    for key in small_order() {
        let text = okp_pem(&key);
        assert_eq!(ForeignKeys::from_pem(&text).unwrap_err(), InvalidPublicKey::Unsound, "{key:02x?}");
        let findings = compile(&client_with(&format!("pem: {text:?}"))).unwrap_err();
        assert_eq!(
            findings.0.iter().map(|finding| finding.code).collect::<Vec<_>>(),
            [FindingCode::BadPublicKey]
        );
        for (name, contents) in [
            ("acme.pem", text),
            ("acme.jwk", okp(&key).to_string()),
            ("acme.jwks", json!({ "keys": [okp(&key)] }).to_string()),
        ] {
            let dir = tempfile::tempdir().unwrap();
            fs::write(dir.path().join("a.yaml"), client_with(&format!("file: {name}"))).unwrap();
            fs::write(dir.path().join(name), contents).unwrap();
            let findings = compile_folder(dir.path(), jeton_policy::DemoSecrets::Allowed).unwrap_err();
            let codes: Vec<_> = findings.0.iter().map(|finding| finding.code).collect();
            assert_eq!(codes, [FindingCode::BadPublicKey], "{name}: {findings}");
        }
    }
    // SPKI of P-256 with the point at infinity (SEC 1 section 2.3.3), and with a compressed point of no curve
    let p256 = b"\x06\x07\x2a\x86\x48\xce\x3d\x02\x01\x06\x08\x2a\x86\x48\xce\x3d\x03\x01\x07\x03";
    for der in [
        [b"\x30\x17\x30\x13", &p256[..], b"\x02\x00\x00"].concat(),
        [b"\x30\x39\x30\x13", &p256[..], b"\x22\x00\x02", &[0xff; 32]].concat(),
    ] {
        assert!(ForeignKeys::from_pem(&pem("PUBLIC KEY", &der)).is_err());
    }
}

/// Those of a published set, wherever it was fetched: passed over, as other keys that verify nothing.
#[test]
fn an_unsound_key_of_a_set_verifies_nothing() {
    for (name, mut key) in unsound() {
        key["kid"] = "unsound".into();
        let set = |keys: &[&Value]| json!({ "keys": keys }).to_string();
        assert!(PublicKeys::from_jwks(set(&[&key]).as_bytes()).is_err(), "{name}");
        let mut good = Signer::ed25519().jwk();
        good["kid"] = "good".into();
        let keys = PublicKeys::from_jwks(set(&[&key, &good]).as_bytes()).unwrap();
        assert!(!keys.named("good").is_empty() && keys.named("unsound").is_empty(), "{name}");
    }
}

#[test]
fn inspect_takes_no_token_that_nobody_signed() {
    let workplace = Workplace::sample();
    let now = SystemClock.now().as_second();
    let claims = |number: usize| {
        json!({
            "iss": ISSUER, "aud": "https://orders.example.com", "sub": "acme-sync", "client_id": "acme-sync",
            "scope": "orders:read", "iat": now, "exp": now + 600, "jti": format!("{number:032}"),
        })
    };
    let header = json!({ "alg": "EdDSA", "typ": "at+jwt", "kid": "unsound" });
    let mut good = Signer::ed25519().jwk();
    good["kid"] = "good".into();
    for key in small_order() {
        let Some(forged) = forge(&key, &header, claims) else { continue };
        let mut unsound = okp(&key);
        unsound["kid"] = "unsound".into();
        workplace.write("set.json", &json!({ "keys": [good, unsound] }).to_string());
        let run = workplace.run(&["token", "inspect", &forged, "--jwks", "set.json"]).exits(3);
        run.shows(&["does not verify: no key has this `kid`"]);
        workplace.write("set.json", &json!({ "keys": [unsound] }).to_string());
        let run = workplace.run(&["token", "inspect", &forged, "--jwks", "set.json"]).exits(1);
        run.says(&["set.json", "it holds no key"]);
    }
}

#[test]
fn an_unsound_key_is_not_added_to_a_client() {
    let workplace = Workplace::sample();
    for key in small_order() {
        workplace.write("key.pem", &okp_pem(&key)).write("key.jwk", &okp(&key).to_string());
        for file in ["key.pem", "key.jwk"] {
            let run = workplace.run(&["clients", "add", "new", "--public-key", file]).exits(1);
            run.says(&[file, "it is not a sound key"]);
        }
    }
}

/// A private key may bring its public half along (RFC 5958), which must be its own.
#[test]
fn a_key_folder_takes_no_other_public_half() {
    let text = fs::read_to_string(key_fixture("test-only-client-ed25519.pem")).unwrap();
    let private = ::pem::parse(text).unwrap();
    let seed = &private.contents()[private.contents().len() - 32..];
    for public in small_order() {
        let der = [
            b"\x30\x51\x02\x01\x01\x30\x05\x06\x03\x2b\x65\x70\x04\x22\x04\x20",
            seed,
            b"\x81\x21\x00",
            public.as_slice(),
        ]
        .concat();
        let workplace = Workplace::new();
        workplace.write("keys/key.pem", &pem("PRIVATE KEY", &der));
        let mode = std::os::unix::fs::PermissionsExt::from_mode(0o600);
        fs::set_permissions(workplace.path("keys/key.pem"), mode).unwrap();
        workplace.run(&["keys", "list"]).exits(1).says(&["keys/key.pem"]);
    }
}
