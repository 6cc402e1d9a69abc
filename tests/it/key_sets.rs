//! Sets of public keys that others made (RFC 7517 section 5): what is passed over in them, what spoils them, and
//! two keys of one name.

use std::{fs, sync::Arc, time::Duration};

use jeton_jose::{ForeignKeys, JwsError, PublicKeys};
use jeton_oauth::{
    Issuer,
    clock::{Clock, ManualClock, SystemClock},
};
use jeton_policy::{DemoSecrets, FindingCode, PolicySet, Severity};
use jeton_verify::{BearerToken, TokenError, Verifier};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::{
    binary::Workplace,
    jwks_source::{assert_keys, first, patient, second, serves, set},
    policy_text::compile_folder,
    shared_store::Log,
    support::{
        ISSUER, NOW, ORDERS, Setup, forge::base64url, issuer::FakeIssuer, key_fixture, now, signer::Signer,
        spawn_app_with,
    },
};

fn public(name: &str) -> String {
    fs::read_to_string(key_fixture("public").join(name)).unwrap()
}

/// A key of the fixtures, with more members.
fn jwk(name: &str, more: &Value) -> Value {
    let mut key: Value = serde_json::from_str(&public(name)).unwrap();
    let members = more.as_object().unwrap().clone();
    key.as_object_mut().unwrap().extend(members);
    key
}

/// Keys of other kinds and uses, each with a piece of the reason.
fn others() -> Vec<(&'static str, Value, &'static str)> {
    let x = base64url([9; 32]);
    vec![
        ("for encryption", jwk("rsa.jwk", &json!({ "use": "enc" })), "`use`"),
        ("for another use", jwk("p256.jwk", &json!({ "use": "tls" })), "`use`"),
        ("an algorithm of encryption", jwk("rsa.jwk", &json!({ "alg": "RSA-OAEP-256" })), "`alg`"),
        ("another algorithm", jwk("rsa.jwk", &json!({ "alg": "RS512" })), "`alg`"),
        ("an algorithm of another type", jwk("rsa.jwk", &json!({ "alg": "ES256" })), "`alg`"),
        ("other operations", jwk("p256.jwk", &json!({ "key_ops": ["deriveKey"] })), "`key_ops`"),
        ("ML-DSA", json!({ "kty": "AKP", "alg": "ML-DSA-44", "pub": "AA" }), "RSA, P-256 or Ed25519"),
        ("AKP alone", json!({ "kty": "AKP", "pub": "AA" }), "RSA, P-256 or Ed25519"),
        ("P-384", jwk("p384.jwk", &json!({})), "RSA, P-256 or Ed25519"),
        (
            "P-521",
            json!({ "kty": "EC", "crv": "P-521", "x": "AA", "y": "AA", "alg": "ES512" }),
            "RSA, P-256 or Ed25519",
        ),
        (
            "secp256k1",
            json!({ "kty": "EC", "crv": "secp256k1", "x": x, "y": x, "use": "sig" }),
            "RSA, P-256 or Ed25519",
        ),
        ("X25519", json!({ "kty": "OKP", "crv": "X25519", "x": x }), "RSA, P-256 or Ed25519"),
        ("Ed448", json!({ "kty": "OKP", "crv": "Ed448", "x": x }), "RSA, P-256 or Ed25519"),
        ("a secret", json!({ "kty": "oct", "k": "c2VjcmV0", "alg": "HS256" }), "symmetric"),
        ("a short key", jwk("weak.jwk", &json!({})), "2048"),
        ("no type", json!({ "n": "AA" }), "not a JSON Web Key"),
        ("half a key", json!({ "kty": "EC", "crv": "P-256", "x": x }), "it is not a key"),
    ]
}

/// A set of a key under test, which is called `odd`, between two good ones.
fn around(odd: &Value) -> String {
    let mut odd = odd.clone();
    odd["kid"] = "odd".into();
    let good = |name: &str, kid: &str| jwk(name, &json!({ "kid": kid }));
    json!({ "keys": [good("p256.jwk", "a"), odd, good("ed25519.jwk", "b")] }).to_string()
}

/// The policies of a client whose keys stand in this set.
fn policies(of_set: &str) -> Result<PolicySet, String> {
    let dir = TempDir::new().unwrap();
    let text = "version: 1\nclients: { acme: { public_keys: [{ file: acme.jwks }] } }\n";
    fs::write(dir.path().join("clients.yaml"), text).unwrap();
    fs::write(dir.path().join("acme.jwks"), of_set).unwrap();
    compile_folder(dir.path(), DemoSecrets::Allowed).map_err(|findings| findings.to_string())
}

#[test]
fn rfc_7517_5_a_foreign_key_spoils_no_other() {
    for (name, odd, reason) in others() {
        let set = around(&odd);
        let policies = policies(&set).unwrap_or_else(|findings| panic!("{name}: {findings}"));
        let keys = &policies.clients().find("acme").unwrap().public_keys;
        assert_eq!(keys.iter().map(|key| key.kid().unwrap()).collect::<Vec<_>>(), ["a", "b"], "{name}");
        let [finding] = policies.warnings().0.as_slice() else { panic!("{name}: {}", policies.warnings()) };
        assert_eq!((finding.code, finding.severity), (FindingCode::PassedOver, Severity::Warning), "{name}");
        assert_eq!((finding.line, finding.column), (2, 42), "{name}");
        for part in ["`acme`", "`keys[1]`", "`odd`", reason] {
            assert!(finding.message.contains(part), "{name}: {}", finding.message);
        }

        let published =
            PublicKeys::from_jwks(set.as_bytes()).unwrap_or_else(|error| panic!("{name}: {error}"));
        assert_eq!((published.len(), published.named("odd").len()), (2, 0), "{name}");
        let [passed_over] = published.passed_over() else { panic!("{name}: {:?}", published.passed_over()) };
        let told = passed_over.to_string();
        assert!(["`keys[1]`", "`odd`", reason].iter().all(|part| told.contains(part)), "{name}: {told}");
    }
    // what is no key at all has no name to tell
    for odd in [json!(7), json!(null), json!([]), json!("key"), json!({}), json!({ "kty": "EC", "kid": 7 })] {
        let set = json!({ "keys": [odd, jwk("p256.jwk", &json!({ "kid": "a" }))] }).to_string();
        let keys = ForeignKeys::from_file(set.as_bytes()).unwrap();
        assert_eq!((keys.taken.len(), keys.passed_over.len()), (1, 1), "{odd}");
        assert!(keys.passed_over[0].to_string().starts_with("`keys[0]`: "), "{odd}: {}", keys.passed_over[0]);
        assert_eq!(PublicKeys::from_jwks(set.as_bytes()).unwrap().passed_over().len(), 1, "{odd}");
    }
    // the name of a key is whatever its owner wrote
    let hostile = json!({ "keys": [
        jwk("p384.jwk", &json!({ "kid": "x\u{202e}\n\u{1b}[31m".repeat(100) })), jwk("p256.jwk", &json!({})),
    ] });
    let keys = ForeignKeys::from_file(hostile.to_string().as_bytes()).unwrap();
    let told = keys.passed_over[0].to_string();
    assert!(told.len() < 300 && told.chars().all(|c| c.is_ascii_graphic() || c == ' '), "{told}");
}

#[test]
fn a_private_key_spoils_its_set() {
    let x = base64url([9; 32]);
    for (name, odd) in [
        ("RSA", jwk("rsa.jwk", &json!({ "d": "AA" }))),
        ("RSA, a factor alone", jwk("rsa.jwk", &json!({ "p": "AA" }))),
        ("P-256", jwk("p256.jwk", &json!({ "d": "AA" }))),
        ("P-384", jwk("p384.jwk", &json!({ "d": "AA" }))),
        ("X25519, for encryption", json!({ "kty": "OKP", "crv": "X25519", "x": x, "d": x, "use": "enc" })),
        ("ML-DSA", json!({ "kty": "AKP", "alg": "ML-DSA-44", "pub": "AA", "priv": "AA" })),
        ("no type", json!({ "d": "AA" })),
    ] {
        let set = around(&odd);
        let findings = policies(&set).map(drop).unwrap_err();
        let says = ["[bad-public-key]", "`acme.jwks`", "`keys[1]` (kid `odd`)", "it is a private key"];
        assert!(says.iter().all(|part| findings.contains(part)), "{name}: {findings}");
        let error = PublicKeys::from_jwks(set.as_bytes()).map(drop).unwrap_err().to_string();
        assert!(says[2..].iter().all(|part| error.contains(part)), "{name}: {error}");
    }
}

#[test]
fn a_set_of_foreign_keys_alone_is_none() {
    let odd = |index: usize| others().remove(index).1;
    let several = json!({ "keys": [odd(0), odd(8), odd(11)] }).to_string();
    let says = ["`keys[0]`", "`use`", "`keys[1]`", "`keys[2]`", "Ed25519"];
    let findings = policies(&several).map(drop).unwrap_err();
    assert!(says.iter().all(|part| findings.contains(part)), "{findings}");
    let error = PublicKeys::from_jwks(several.as_bytes()).map(drop).unwrap_err().to_string();
    assert!(says.iter().all(|part| error.contains(part)) && error.contains("no key"), "{error}");
    // however many there are
    let many = json!({ "keys": vec![json!({}); 10_000] }).to_string();
    let error = PublicKeys::from_jwks(many.as_bytes()).map(drop).unwrap_err().to_string();
    assert!(error.len() < 1000 && error.contains("and 9995 more"), "{error}");
}

#[test]
fn a_foreign_block_spoils_no_other() {
    let pem = [public("p256.pem"), public("p384.pem"), public("weak.pem")].concat();
    let keys = ForeignKeys::from_file(pem.as_bytes()).unwrap();
    assert_eq!(keys.taken.len(), 1);
    let told: Vec<_> = keys.passed_over.iter().map(ToString::to_string).collect();
    assert!(told[0].starts_with("block 2: it is not a key for"), "{told:?}");
    assert!(told[1].starts_with("block 3: it is not a sound key"), "{told:?}");
}

/// A token of the published issuer by a key that is called `k`.
fn token(key: &Signer, alg: &str) -> BearerToken {
    let header = json!({ "alg": alg, "typ": "at+jwt", "kid": "k" });
    let claims = json!({
        "iss": ISSUER, "aud": ORDERS, "sub": "a", "client_id": "a", "jti": "j", "iat": now(), "exp": now() + 60,
    });
    BearerToken::new(key.sign(alg, &header, &claims))
}

fn called_k(key: &Signer) -> Value {
    let mut jwk = key.jwk();
    jwk["kid"] = "k".into();
    jwk
}

#[test]
fn rfc_7517_4_5_two_types_of_key_have_one_kid() {
    let (rsa, p256, ed25519) = (Signer::rsa(), Signer::p256(), Signer::ed25519());
    let verifier = |keys: &[&Signer]| {
        let set = set(&keys.iter().map(|key| called_k(key)).collect::<Vec<_>>());
        let clock = Arc::new(ManualClock::at(NOW.parse().unwrap())) as Arc<dyn Clock>;
        let keys = Arc::new(PublicKeys::from_jwks(&set).unwrap());
        assert_eq!(keys.named("k").len(), keys.len());
        Verifier::new(Issuer::parse(ISSUER).unwrap(), keys, Duration::ZERO, clock).remembering(10)
    };
    let outcome = |verifier: &Verifier, token: &BearerToken| verifier.verify_for_any(token).err();
    for order in [[&rsa, &p256, &ed25519], [&ed25519, &rsa, &p256]] {
        let verifier = verifier(&order);
        for (key, alg) in [(&rsa, "RS256"), (&p256, "ES256"), (&ed25519, "EdDSA"), (&ed25519, "Ed25519")] {
            let good = token(key, alg);
            assert_eq!(outcome(&verifier, &good), None, "{alg}");
            assert_eq!(outcome(&verifier, &good), None, "{alg}, seen before");
        }
        // the type of the header's `alg` decides which of them it must be
        for (key, alg) in [(&Signer::p256(), "ES256"), (&p256, "EdDSA"), (&ed25519, "ES256"), (&rsa, "ES256")]
        {
            let wrong = Some(TokenError::Jws(JwsError::Signature));
            assert_eq!(outcome(&verifier, &token(key, alg)), wrong, "{alg}");
        }
        for alg in ["PS256", "HS256", "none", "RS512"] {
            let wrong = Some(TokenError::Jws(JwsError::Algorithm));
            assert_eq!(outcome(&verifier, &token(&rsa, alg)), wrong, "{alg}");
        }
    }
    let one = verifier(&[&p256]);
    assert_eq!(outcome(&one, &token(&ed25519, "EdDSA")), Some(TokenError::Jws(JwsError::Algorithm)));
    for (name, same_type) in [
        ("two of P-256", [called_k(&p256), called_k(&Signer::p256())]),
        ("RS256 and PS256", {
            let with = |alg: &str| {
                let mut jwk = called_k(&Signer::rsa());
                jwk["alg"] = alg.into();
                jwk
            };
            [with("RS256"), with("PS256")]
        }),
    ] {
        let error = PublicKeys::from_jwks(&set(&same_type)).map(drop).unwrap_err().to_string();
        assert!(error.contains("two keys with the kid `k`"), "{name}: {error}");
    }
}

/// The same for clients, whose assertions say which of their keys signed.
#[actix_web::test]
async fn a_client_signs_with_either_key_of_a_name() {
    let (p256, ed25519) = (Signer::p256(), Signer::ed25519());
    let foreign = jwk("p384.jwk", &json!({ "kid": "k" }));
    let of_client = String::from_utf8(set(&[called_k(&p256), foreign, called_k(&ed25519)])).unwrap();
    let text = "version: 1\nclients:\n  two:\n    public_keys: [{ file: two.jwks }]\n    \
                grants: { orders: { scopes: [orders:read] } }\n";
    let app = spawn_app_with(Setup {
        policies: vec![("two.yaml", text.to_owned()), ("two.jwks", of_client)],
        ..Setup::default()
    });
    let ask = async |key: &Signer, alg: &str, jti: &str| {
        let header = json!({ "alg": alg, "kid": "k" });
        let claims = json!({ "iss": "two", "sub": "two", "aud": ISSUER, "exp": now() + 60, "jti": jti });
        let assertion = key.sign(alg, &header, &claims);
        let form = [
            ("grant_type", "client_credentials"),
            ("client_assertion_type", "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"),
            ("client_assertion", assertion.as_str()),
        ];
        app.http.post(app.url("/oauth2/token")).form(&form).send().await.unwrap().status().as_u16()
    };
    assert_eq!(ask(&p256, "ES256", "1").await, 200);
    assert_eq!(ask(&ed25519, "EdDSA", "2").await, 200);
    assert_eq!(ask(&p256, "EdDSA", "3").await, 401);
    assert_eq!(ask(&Signer::ed25519(), "EdDSA", "4").await, 401);
}

#[actix_web::test]
async fn a_fetched_set_tells_once_what_is_passed_over() {
    let (log, _guard) = Log::capture();
    let issuer = FakeIssuer::start().await;
    let source = issuer.source(&patient());
    let foreign = |kid: &str| jwk("p384.jwk", &json!({ "kid": kid }));
    let lines = async |keys: &[Value]| {
        issuer.answers(serves(set(keys)));
        issuer.clock.advance(300);
        source.refresh().await;
        log.lines("jwks.passed_over")
    };
    assert_eq!(lines(&[first().jwk()]).await.len(), 0);
    let told = lines(&[foreign("odd"), first().jwk()]).await;
    assert_eq!(told.len(), 1, "{told:?}");
    let parts = ["WARN", "`keys[0]`", "`odd`", "P-256", "/.well-known/jwks.json"];
    assert!(parts.iter().all(|part| told[0].contains(part)), "{told:?}");
    assert_eq!(lines(&[foreign("odd"), first().jwk()]).await.len(), 1, "the same again");
    assert_eq!(lines(&[foreign("other"), first().jwk()]).await.len(), 2, "another one");
    // a private key: whoever could read the set can sign, so the last good one counts
    let mut leaked = second().jwk();
    leaked["d"] = "AA".into();
    lines(&[second().jwk(), leaked]).await;
    assert_keys(&source, (true, false), "the last good set");
    let failure = source.state().failure.unwrap().error;
    assert!(failure.contains("`keys[1]`") && failure.contains("private key"), "{failure}");
}

#[test]
fn inspect_takes_such_sets() {
    let workplace = Workplace::sample();
    let now = SystemClock.numeric_date();
    let (p256, ed25519) = (Signer::p256(), Signer::ed25519());
    let foreign = jwk("p384.jwk", &json!({ "kid": "odd" }));
    let both = set(&[called_k(&p256), foreign, called_k(&ed25519)]);
    workplace.write("set.json", &String::from_utf8(both).unwrap());
    for (key, alg, code) in [(&p256, "ES256", 0), (&ed25519, "EdDSA", 0), (&Signer::p256(), "ES256", 3)] {
        let header = json!({ "alg": alg, "typ": "at+jwt", "kid": "k" });
        let claims = json!({
            "iss": ISSUER, "aud": ORDERS, "sub": "a", "client_id": "a", "jti": "j", "iat": now, "exp": now + 60,
        });
        let token = key.sign(alg, &header, &claims);
        let run = workplace.run(&["token", "inspect", &token, "--jwks", "set.json"]).exits(code);
        run.says(&["warning: set.json", "`keys[1]` (kid `odd`)", "P-256"]);
    }
}

#[test]
fn clients_add_takes_such_sets() {
    let workplace = Workplace::sample();
    let foreign = jwk("p384.jwk", &json!({ "kid": "odd" }));
    let good = jwk("p256.jwk", &json!({ "kid": "good" }));
    workplace.write("set.jwks", &json!({ "keys": [foreign, good] }).to_string());
    let add =
        ["clients", "add", "new", "--api", "orders", "--scope", "orders:read", "--public-key", "set.jwks"];
    workplace.run(&add).exits(0).says(&["warning: set.jwks", "`keys[0]` (kid `odd`)"]);
    workplace.run(&["policies", "check"]).exits(0);
}
