//! What the token endpoint asks of a DPoP proof (RFC 9449 section 4.3), and every proof that only looks like one.

use jeton::config::Settings;
use serde_json::{Value, json};

use crate::support::{
    ISSUER, ORDERS, Setup, TestApp,
    dpop::ProofDraft,
    forge::{Forge, base64url, decoded, sign_hs256},
    now,
    proof::new_jti,
    redis::RedisServer,
    secret,
    signer::Signer,
    spawn_app, spawn_app_with,
};

const FORM: [(&str, &str); 2] = [("grant_type", "client_credentials"), ("resource", ORDERS)];

/// What came of asking with these `DPoP` headers: 200 and the token's type, or the status and the error.
async fn ask(app: &TestApp, proofs: &[impl AsRef<[u8]>]) -> (u16, Value) {
    let answer = app.post_token_with("acme-sync", &FORM, proofs).send().await.unwrap();
    (answer.status().as_u16(), answer.json().await.unwrap())
}

async fn is_taken(app: &TestApp, name: &str, key: &Signer, proof: &str) {
    let (status, body) = ask(app, &[proof]).await;
    assert_eq!((status, &body["token_type"]), (200, &json!("DPoP")), "{name}: {body}");
    let (_, claims) = decoded(body["access_token"].as_str().unwrap());
    assert_eq!(claims["cnf"], json!({ "jkt": key.thumbprint() }), "{name}");
}

/// Refused, with words that say this. A request without the proof is answered 200, so the proof is why.
async fn is_refused(app: &TestApp, name: &str, proofs: &[impl AsRef<[u8]>], says: &str) {
    let answer = app.post_token_with("acme-sync", &FORM, proofs).send().await.unwrap();
    assert_eq!(answer.status(), 400, "{name}");
    assert_eq!(answer.headers()["cache-control"], "no-store", "{name}");
    assert!(answer.headers().get("dpop-nonce").is_none(), "{name}");
    let body: Value = answer.json().await.unwrap();
    assert_eq!(body["error"], "invalid_dpop_proof", "{name}: {body}");
    let description = body["error_description"].as_str().unwrap();
    assert!(description.contains(says), "{name}: {description}");
}

#[actix_web::test]
async fn rfc9449_4_2_a_proof_by_a_key_of_each_kind_binds_the_token_to_it() {
    let app = spawn_app();
    let (rsa, p256, ed25519) = (Signer::rsa(), Signer::p256(), Signer::ed25519());
    for (algorithm, key) in
        [("RS256", &rsa), ("PS256", &rsa), ("ES256", &p256), ("EdDSA", &ed25519), ("Ed25519", &ed25519)]
    {
        let proof = ProofDraft::for_tokens(key).header("alg", json!(algorithm)).sign(key);
        is_taken(&app, algorithm, key, &proof).await;
    }
    let (status, body) = ask(&app, &[] as &[&str]).await;
    assert_eq!((status, &body["token_type"]), (200, &json!("Bearer")));
    assert!(decoded(body["access_token"].as_str().unwrap()).1.get("cnf").is_none());
}

#[actix_web::test]
async fn rfc9449_4_3_1_there_is_one_header() {
    let app = spawn_app();
    let key = Signer::p256();
    let [one, two, three] = [key.proof(), key.proof(), key.proof()];
    is_refused(&app, "two proofs", &[&one, &two], "two `DPoP` headers").await;
    is_refused(&app, "the same twice", &[&one, &one], "two `DPoP` headers").await;
    is_refused(&app, "an empty one first", &["", &one], "two `DPoP` headers").await;
    is_refused(&app, "joined by a comma", &[format!("{two}, {three}")], "compact JWS").await;
    is_taken(&app, "none of them was used up", &key, &one).await;
}

#[actix_web::test]
async fn rfc9449_4_3_2_the_header_is_a_jwt() {
    let app = spawn_app();
    let key = Signer::p256();
    let good = key.proof();
    let parts: Vec<_> = good.split('.').collect();
    let long = ProofDraft::for_tokens(&key).claim("more", json!("x".repeat(8_192))).sign(&key);
    for (name, proof, says) in [
        ("nothing", String::new(), "compact JWS"),
        ("a word", "proof".to_owned(), "compact JWS"),
        ("two parts", parts[..2].join("."), "compact JWS"),
        ("four parts", format!("{good}.x"), "compact JWS"),
        ("a scheme before it", format!("DPoP {good}"), "base64url"),
        ("padded", good.replacen('.', "=.", 1), "base64url"),
        ("no JSON", format!("{}.{}.{}", base64url("{"), parts[1], parts[2]), "JSON object"),
        ("a list", format!("{}.{}.{}", parts[0], base64url("[]"), parts[2]), "JSON object"),
        ("too long", long, "8 KiB"),
    ] {
        is_refused(&app, name, &[proof], says).await;
    }
    is_refused(&app, "bytes that are no text", &[b"\xff\xfe".as_slice()], "compact JWS").await;
    is_taken(&app, "the good one", &key, &good).await;
}

#[actix_web::test]
async fn rfc9449_4_3_3_every_claim_is_there() {
    let app = spawn_app();
    let key = Signer::p256();
    for name in ["jti", "htm", "htu", "iat"] {
        let draft = ProofDraft::for_tokens(&key);
        is_refused(&app, name, &[draft.clone().no_claim(name).sign(&key)], &format!("`{name}` is missing"))
            .await;
        for value in [json!(null), json!(["x"]), json!({}), json!(true), json!("")] {
            let proof = draft.clone().claim(name, value.clone()).sign(&key);
            is_refused(&app, &format!("{name} is {value}"), &[proof], &format!("`{name}`")).await;
        }
    }
    // by either of two values, another program would judge another request
    let (header, claims) = ProofDraft::for_tokens(&key).texts();
    let twice = claims.replacen('{', r#"{"htm":"GET","#, 1);
    is_refused(
        &app,
        "twice",
        &[format!("{}.{}.{}", base64url(header), base64url(twice), "AA")],
        "each name once",
    )
    .await;
}

#[actix_web::test]
async fn rfc9449_4_3_4_the_type_is_that_of_a_proof() {
    let app = spawn_app();
    let key = Signer::p256();
    let good = ProofDraft::for_tokens(&key);
    is_refused(&app, "none", &[good.clone().no_header("typ").sign(&key)], "`typ` is not `dpop+jwt`").await;
    for typ in [json!("JWT"), json!("at+jwt"), json!("dpop"), json!("")] {
        let proof = good.clone().header("typ", typ.clone()).sign(&key);
        is_refused(&app, &typ.to_string(), &[proof], "`typ` is not `dpop+jwt`").await;
    }
    is_refused(&app, "a number", &[good.header("typ", json!(7)).sign(&key)], "the DPoP proof").await;
}

#[actix_web::test]
async fn rfc9449_4_3_5_the_algorithm_is_an_asymmetric_one_of_ours() {
    let app = spawn_app();
    let (key, rsa, p384) = (Signer::p256(), Signer::rsa(), Signer::p384());
    let good = ProofDraft::for_tokens(&key);
    let says = "`alg` is not an algorithm of its key";
    is_refused(&app, "none", &[good.clone().header("alg", json!("none")).unsigned()], says).await;
    is_refused(&app, "NONE", &[good.clone().header("alg", json!("NONE")).unsigned()], says).await;
    let by_secret = good.clone().header("alg", json!("HS256"));
    let by_secret = by_secret.header("jwk", json!({ "kty": "oct", "k": base64url("secret") }));
    let (header, claims) = by_secret.texts();
    is_refused(&app, "a secret", &[sign_hs256(b"secret", &header, &claims)], "the DPoP proof").await;
    // the public key as the secret
    let (header, claims) = ProofDraft::for_tokens(&rsa).header("alg", json!("HS256")).texts();
    let secret = Forge::with("test-only-other.pem").public_pem();
    is_refused(&app, "HS256", &[sign_hs256(secret.as_bytes(), &header, &claims)], says).await;
    for (name, signer, algorithm) in [
        ("an RSA algorithm for an elliptic key", &key, "RS256"),
        ("the other curve", &key, "ES384"),
        ("a curve that is not taken", &p384, "ES384"),
        ("a hash that is not taken", &rsa, "RS512"),
        ("an elliptic algorithm for an RSA key", &rsa, "ES256"),
        ("another case", &key, "es256"),
        ("nothing", &key, ""),
    ] {
        let proof = ProofDraft::for_tokens(signer).header("alg", json!(algorithm)).sign(signer);
        is_refused(&app, name, &[proof], "the DPoP proof").await;
    }
    is_refused(&app, "no `alg`", &[good.no_header("alg").sign(&key)], "the DPoP proof").await;
    let small = json!({ "kty": "RSA", "n": base64url([0xc5; 128]), "e": "AQAB" });
    is_refused(&app, "1024 bits", &[ProofDraft::for_tokens(&rsa).header("jwk", small).sign(&rsa)], "`jwk`")
        .await;
}

#[actix_web::test]
async fn rfc9449_4_3_6_and_7_the_key_is_public_and_signed_it() {
    let app = spawn_app();
    let (key, other) = (Signer::p256(), Signer::p256());
    let good = ProofDraft::for_tokens(&key);
    let with = |name: &str, value: Value| {
        let mut jwk = key.jwk();
        jwk[name] = value;
        good.clone().header("jwk", jwk).sign(&key)
    };
    let signature_of_other =
        format!("{}.{}", key.proof().rsplit_once('.').unwrap().0, other.proof().rsplit_once('.').unwrap().1);
    let moved = {
        let proof = good.sign(&key);
        let parts: Vec<_> = proof.split('.').collect();
        let claims = good.clone().claim("htm", json!("POST")).claim("jti", json!("moved")).texts().1;
        format!("{}.{}.{}", parts[0], base64url(claims), parts[2])
    };
    for (name, proof, says) in [
        ("no key", good.clone().no_header("jwk").sign(&key), "jwk"),
        ("a key by its name", good.clone().no_header("jwk").header("kid", json!("k")).sign(&key), "jwk"),
        ("no object", good.clone().header("jwk", json!("key")).sign(&key), "jwk"),
        ("a private member", with("d", json!(base64url([1; 32]))), "jwk"),
        ("a point beside the curve", with("x", json!(base64url([1; 32]))), "DPoP proof"),
        ("a key of nobody", with("kty", json!("oct")), "jwk"),
        ("signed by another key", good.clone().sign(&other), "signature is wrong"),
        ("another key in it", good.clone().header("jwk", other.jwk()).sign(&key), "signature is wrong"),
        ("another's signature", signature_of_other, "signature is wrong"),
        ("other claims", moved, "signature is wrong"),
        ("no signature", good.unsigned(), "DPoP proof"),
        ("a critical extension", good.clone().header("crit", json!(["exp"])).sign(&key), "`crit`"),
        ("keys by URL", good.clone().header("jku", json!("https://a.example")).sign(&key), "`jku`"),
    ] {
        is_refused(&app, name, &[proof], says).await;
    }
    let more = good.header("x5t", json!("x")).header("later", json!([])).claim("later", json!({}));
    is_taken(&app, "what is not understood is ignored", &key, &more.sign(&key)).await;
}

#[actix_web::test]
async fn rfc9449_4_3_8_the_method_is_post() {
    let app = spawn_app();
    let key = Signer::p256();
    for method in ["post", "Post", "GET", "POST ", "*"] {
        let proof = ProofDraft::for_tokens(&key).claim("htm", json!(method)).sign(&key);
        is_refused(&app, method, &[proof], "`htm` must be `POST`").await;
    }
}

#[actix_web::test]
async fn rfc9449_4_3_9_the_address_is_the_token_endpoint_of_the_issuer() {
    let key = Signer::p256();
    let app = spawn_app();
    let proof = |address: &str| ProofDraft::for_tokens(&key).claim("htu", json!(address)).sign(&key);
    for address in [
        "http://127.0.0.1:8080/oauth2/token?grant_type=client_credentials",
        "http://127.0.0.1:8080/oauth2/token#here",
        "HTTP://127.0.0.1:8080/oauth2/token",
        "http://127.0.0.1:8080/oauth2/%74oken",
        "http://127.0.0.1:8080/./x/../oauth2/token",
    ] {
        is_taken(&app, address, &key, &proof(address)).await;
    }
    // where it listens is nothing that a client need know
    let listening = app.url("/oauth2/token");
    for address in [
        listening.as_str(),
        "https://127.0.0.1:8080/oauth2/token",
        "http://127.0.0.1/oauth2/token",
        "http://127.0.0.1:8081/oauth2/token",
        "http://localhost:8080/oauth2/token",
        "http://127.0.0.1:8080/oauth2/token/",
        "http://127.0.0.1:8080/OAuth2/token",
        "http://127.0.0.1:8080/oauth2//token",
        "http://127.0.0.1:8080/oauth2/introspect",
        "http://127.0.0.1:8080/",
        "http://127.0.0.1:8080",
        "http://user@127.0.0.1:8080/oauth2/token",
        "//127.0.0.1:8080/oauth2/token",
        "/oauth2/token",
        "oauth2/token",
    ] {
        let says = format!("`htu` must be `{ISSUER}/oauth2/token`");
        is_refused(&app, address, &[proof(address)], &says).await;
    }
    // nor is what the request says of its host, or a proxy that nobody trusts
    let request = app.post_token_with("acme-sync", &FORM, &[proof("http://evil.example/oauth2/token")]);
    let request = request.header("Host", "evil.example").header("X-Forwarded-Host", "evil.example");
    let body: Value = request.send().await.unwrap().json().await.unwrap();
    assert_eq!(body["error"], "invalid_dpop_proof");
}

#[actix_web::test]
async fn rfc9449_4_3_9_usual_port_case_of_the_host_and_path_of_the_issuer() {
    let key = Signer::p256();
    let app = spawn_app_with(Setup { issuer: "http://localhost/tenant/x".to_owned(), ..Setup::default() });
    let form = [("grant_type", "client_credentials"), ("resource", ORDERS)];
    for (address, taken) in [
        ("http://localhost/tenant/x/oauth2/token", true),
        ("http://LocalHost:80/tenant/x/oauth2/token", true),
        ("http://localhost:/tenant/x/oauth2/token", true),
        ("http://localhost:443/tenant/x/oauth2/token", false),
        ("https://localhost:80/tenant/x/oauth2/token", false),
        ("http://localhost./tenant/x/oauth2/token", false),
        ("http://localhost/oauth2/token", false),
        ("http://localhost/tenant/X/oauth2/token", false),
    ] {
        // below the path of the issuer, and for a proxy that cuts it off
        for path in ["/tenant/x/oauth2/token", "/oauth2/token"] {
            let proof = ProofDraft::for_tokens(&key).claim("htu", json!(address)).sign(&key);
            let request = app.http.post(app.url(path)).basic_auth("acme-sync", Some(secret("acme-sync")));
            let answer = request.form(&form).header("DPoP", proof).send().await.unwrap();
            assert_eq!(answer.status(), if taken { 200 } else { 400 }, "{address} at {path}");
        }
    }
}

#[actix_web::test]
async fn rfc9449_4_3_11_the_time_is_now() {
    fn leeway(settings: &mut Settings) {
        settings.tokens.leeway = std::time::Duration::from_secs(20);
    }
    let app = spawn_app_with(Setup { settings: leeway, ..Setup::default() });
    let key = Signer::p256();
    for (name, at, says) in [
        ("now", json!(now()), None),
        ("a fraction", json!(f64::from(u32::try_from(now()).unwrap()) + 0.25), None),
        ("the last second", json!(now() - 20), None),
        ("a clock that is fast", json!(now() + 20), None),
        ("a second too old", json!(now() - 21), Some("too long ago")),
        ("a fraction too old", json!(f64::from(u32::try_from(now()).unwrap()) - 20.5), Some("too long ago")),
        ("a second too early", json!(now() + 21), Some("lies ahead")),
        ("milliseconds", json!(now() * 1_000), Some("lies ahead")),
        ("1970", json!(0), Some("too long ago")),
        ("before 1970", json!(-now()), Some("too long ago")),
        ("text", json!(now().to_string()), Some("`iat`")),
        ("beyond all numbers", json!(1e300), Some("lies ahead")),
    ] {
        let proof = ProofDraft::for_tokens(&key).claim("iat", at).sign(&key);
        match says {
            None => is_taken(&app, name, &key, &proof).await,
            Some(says) => is_refused(&app, name, &[proof], says).await,
        }
    }
}

#[actix_web::test]
async fn rfc9449_11_1_a_proof_is_used_once() {
    let app = spawn_app();
    let (key, other) = (Signer::p256(), Signer::p256());
    let draft = ProofDraft::for_tokens(&key).claim("jti", json!("one"));
    let proof = draft.sign(&key);
    is_taken(&app, "the first", &key, &proof).await;
    is_refused(&app, "the same", &[&proof], "used before").await;
    is_refused(&app, "signed again", &[draft.sign(&key)], "used before").await;
    let later = draft.clone().claim("iat", json!(now() + 10)).sign(&key);
    is_refused(&app, "of another second", &[later], "used before").await;
    // nobody can use up the name of another's proof
    let of_other = ProofDraft::for_tokens(&other).claim("jti", json!("one")).sign(&other);
    is_taken(&app, "by another key", &other, &of_other).await;
    // for as long as it would be good
    app.clock.advance(30);
    is_refused(&app, "at its last second", &[&proof], "used before").await;
    app.clock.advance(1);
    is_refused(&app, "too late", &[&proof], "too long ago").await;
    let fraction = f64::from(u32::try_from(now()).unwrap()) + 31.75;
    let proof = ProofDraft::for_tokens(&key).claim("iat", json!(fraction)).sign(&key);
    is_taken(&app, "with a fraction", &key, &proof).await;
    app.clock.advance(30);
    is_refused(&app, "with a fraction, at its last second", &[&proof], "used before").await;
}

/// A client need not make another proof, or another assertion, where something else was wrong.
#[actix_web::test]
async fn a_request_that_fails_for_another_reason_uses_no_proof_up() {
    let app = spawn_app();
    let key = Signer::p256();
    let proof = key.proof();
    let wrong = app.http.post(app.url("/oauth2/token")).basic_auth("acme-sync", Some("wrong"));
    let wrong = wrong.form(&FORM).header("DPoP", &proof).send().await.unwrap();
    assert_eq!(wrong.status(), 401);
    let beyond = [FORM[0], FORM[1], ("scope", "reports:read")];
    let beyond = app.post_token_with("acme-sync", &beyond, &[&proof]).send().await.unwrap();
    assert_eq!(beyond.json::<Value>().await.unwrap()["error"], "invalid_scope");
    let unknown = [("grant_type", "password")];
    let unknown = app.post_token_with("acme-sync", &unknown, &[&proof]).send().await.unwrap();
    assert_eq!(unknown.json::<Value>().await.unwrap()["error"], "unsupported_grant_type");
    is_taken(&app, "still good", &key, &proof).await;
}

#[actix_web::test]
async fn a_bad_proof_uses_no_assertion_up_and_tells_nothing_of_clients() {
    let client = Signer::p256();
    let text = format!(
        "version: 1\nclients:\n  keyed:\n    public_keys:\n      - jwk: {}\n    grants: {{ orders: {{ scopes: [orders:read] }} }}\n",
        client.jwk()
    );
    let app = spawn_app_with(Setup { policies: vec![("keyed.yaml", text)], ..Setup::default() });
    let assertion = |client: &Signer| {
        let claims = json!({
            "iss": "keyed", "sub": "keyed", "aud": ISSUER, "exp": now() + 60, "jti": new_jti(),
        });
        client.sign("ES256", &json!({ "alg": "ES256" }), &claims)
    };
    let key = Signer::p256();
    let send = async |assertion: &str, proof: &str| {
        let form = [
            FORM[0],
            FORM[1],
            ("client_assertion_type", "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"),
            ("client_assertion", assertion),
        ];
        let request = app.http.post(app.url("/oauth2/token")).form(&form).header("DPoP", proof);
        let answer = request.send().await.unwrap();
        (answer.status().as_u16(), answer.json::<Value>().await.unwrap()["error"].take())
    };
    let good = assertion(&client);
    let bad_proof = ProofDraft::for_tokens(&key).claim("htm", json!("GET")).sign(&key);
    for assertion in [&good, &assertion(&Signer::p256())] {
        assert_eq!(send(assertion, &bad_proof).await, (400, json!("invalid_dpop_proof")));
    }
    assert_eq!(send(&good, &key.proof()).await, (200, Value::Null));
    assert_eq!(send(&good, &key.proof()).await, (401, json!("invalid_client")), "it is used now");
}

#[actix_web::test]
#[ignore = "needs redis-server; .ci/run runs it"]
async fn rfc9449_11_1_a_proof_is_used_once_over_all_replicas() {
    let mut server = RedisServer::start();
    let replica = || spawn_app_with(Setup { store: Some(server.url()), ..Setup::default() });
    let (one, two) = (replica(), replica());
    one.is_ready().await;
    two.is_ready().await;
    let key = Signer::p256();
    let proof = key.proof();
    is_taken(&one, "at one", &key, &proof).await;
    is_refused(&two, "at the other", &[&proof], "used before").await;
    is_refused(&one, "at the first", &[&proof], "used before").await;
    let other = key.proof();
    is_taken(&two, "at the other", &key, &other).await;
    is_refused(&one, "at the first", &[&other], "used before").await;
    // what cannot be noted is not taken
    server.stop();
    let answer = one.post_token_with("acme-sync", &FORM, &[key.proof()]).send().await.unwrap();
    assert_eq!(answer.status(), 503);
    assert!(answer.headers().contains_key("retry-after"));
    assert_eq!(answer.json::<Value>().await.unwrap()["error"], "temporarily_unavailable");
    let unbound = one.post_token("acme-sync", &FORM).send().await.unwrap();
    assert_eq!(unbound.status(), 200, "who shows no proof needs no store");
}
