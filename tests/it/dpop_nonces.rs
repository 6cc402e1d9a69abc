//! Nonces of DPoP proofs (RFC 9449 section 8): who needs one, and for how long which are good.

use std::{fs, sync::Arc};

use jeton::{
    app::key_keeper,
    config::{DpopNonce, Settings},
};
use jeton_oauth::{
    SignatureAlgorithm,
    clock::{Clock, ManualClock},
};
use reqwest::Response;
use serde_json::{Value, json};

use crate::support::{
    ISSUER, NOW, ORDERS, Setup, TestApp, copy_key, dpop::ProofDraft, forge::Forge, install_key, now,
    proof::new_jti, signer::Signer, spawn_app, spawn_app_with,
};

const FORM: [(&str, &str); 2] = [("grant_type", "client_credentials"), ("resource", ORDERS)];

fn required(settings: &mut Settings) {
    settings.tokens.dpop_nonce = DpopNonce::Required;
}

fn spawn() -> TestApp {
    spawn_app_with(Setup { settings: required, ..Setup::default() })
}

fn proof(key: &Signer, nonce: &str, at: i64) -> String {
    ProofDraft::for_tokens(key).claim("nonce", json!(nonce)).claim("iat", json!(at)).sign(key)
}

async fn send(app: &TestApp, proof: &str) -> Response {
    app.post_token_with("acme-sync", &FORM, &[proof]).send().await.unwrap()
}

fn nonce_of(answer: &Response) -> String {
    answer.headers()["dpop-nonce"].to_str().unwrap().to_owned()
}

/// The nonce that an issuer gives to who has none.
async fn fetch_nonce(app: &TestApp) -> String {
    let key = Signer::p256();
    let answer = send(app, &ProofDraft::for_tokens(&key).claim("iat", json!(time_of(app))).sign(&key)).await;
    assert_eq!(answer.status(), 400);
    nonce_of(&answer)
}

fn time_of(app: &TestApp) -> i64 {
    app.clock.now().as_second()
}

/// Whether a proof with this nonce gets a token; else it is told another nonce, and that one does.
async fn is_good(app: &TestApp, nonce: &str) -> bool {
    let key = Signer::p256();
    let answer = send(app, &proof(&key, nonce, time_of(app))).await;
    let fresh = nonce_of(&answer);
    if answer.status() == 200 {
        return true;
    }
    assert_eq!(answer.status(), 400);
    let body: Value = answer.json().await.unwrap();
    assert_eq!(body["error"], "use_dpop_nonce", "{body}");
    assert_ne!(fresh, nonce);
    let answer = send(app, &proof(&key, &fresh, time_of(app))).await;
    assert_eq!(answer.status(), 200, "a fresh one is good");
    false
}

#[actix_web::test]
async fn rfc9449_8_who_shows_a_proof_without_a_nonce_is_told_one() {
    let app = spawn();
    let key = Signer::p256();
    let answer = send(&app, &key.proof()).await;
    assert_eq!(answer.status(), 400);
    assert_eq!(answer.headers()["cache-control"], "no-store");
    let nonce = nonce_of(&answer);
    assert!(nonce.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte)), "{nonce}");
    let body: Value = answer.json().await.unwrap();
    assert_eq!(body["error"], "use_dpop_nonce", "{body}");
    let answer = send(&app, &proof(&key, &nonce, now())).await;
    assert_eq!(answer.status(), 200);
    let next = nonce_of(&answer);
    let body: Value = answer.json().await.unwrap();
    assert_eq!(body["token_type"], "DPoP");
    assert!(is_good(&app, &next).await, "rfc9449_8_2: the answer has one for the next proof");
    assert!(is_good(&app, &nonce).await, "a nonce is no name: it is used more than once");
    // who shows no proof needs no nonce
    let answer = app.post_token("acme-sync", &FORM).send().await.unwrap();
    assert_eq!(answer.status(), 200);
    assert!(answer.headers().get("dpop-nonce").is_none());
    assert_eq!(answer.json::<Value>().await.unwrap()["token_type"], "Bearer");
}

#[actix_web::test]
async fn without_the_setting_no_nonce_is_looked_at() {
    let app = spawn_app();
    let key = Signer::p256();
    for proof in [key.proof(), proof(&key, "anything", now())] {
        let answer = send(&app, &proof).await;
        assert_eq!(answer.status(), 200);
        assert!(answer.headers().get("dpop-nonce").is_none());
    }
}

#[actix_web::test]
async fn rfc9449_8_a_nonce_that_is_none_is_refused() {
    let app = spawn();
    let nonce = fetch_nonce(&app).await;
    let other_minute = {
        app.clock.advance(60);
        fetch_nonce(&app).await
    };
    assert!(is_good(&app, &nonce).await);
    // the minute of one and the hash of the other
    let mixed = format!("{}{}", &other_minute[..11], &nonce[11..]);
    let flipped = |at: usize| {
        let other = if &nonce[at..=at] == "A" { "B" } else { "A" };
        format!("{}{other}{}", &nonce[..at], &nonce[at + 1..])
    };
    for (name, bad) in [
        ("nothing", String::new()),
        ("a word", "nonce".to_owned()),
        ("half of one", nonce[..nonce.len() / 2].to_owned()),
        ("its minute alone", nonce[..11].to_owned()),
        ("one and a character", format!("{nonce}A")),
        ("padded", format!("{nonce}=")),
        ("another first character", flipped(0)),
        ("another minute", flipped(9)),
        ("another hash", flipped(20)),
        ("the minute of another", mixed),
        ("beyond ASCII", "é".repeat(27)),
    ] {
        assert!(!is_good(&app, &bad).await, "{name}");
    }
    for value in [json!(7), json!(null), json!([nonce])] {
        let key = Signer::p256();
        let answer = send(&app, &ProofDraft::for_tokens(&key).claim("nonce", value).sign(&key)).await;
        assert_eq!(answer.json::<Value>().await.unwrap()["error"], "invalid_dpop_proof");
    }
    assert!(is_good(&app, &nonce).await);
}

#[actix_web::test]
async fn a_nonce_is_good_for_five_minutes_and_less_than_six() {
    let app = spawn();
    // wherever in its minute it is given
    for (second, last) in [(0, 359), (1, 358), (30, 329), (58, 301), (59, 300)] {
        app.clock.advance((second - time_of(&app)).rem_euclid(60));
        let (nonce, given) = (fetch_nonce(&app).await, time_of(&app));
        for (age, good) in
            [(0, true), (60, true), (240, true), (299, true), (300, true), (last, true), (last + 1, false)]
        {
            app.clock.advance(given + age - time_of(&app));
            assert_eq!(is_good(&app, &nonce).await, good, "of second {second}, {age} s old");
        }
    }
    let nonce = fetch_nonce(&app).await;
    app.clock.advance(24 * 60 * 60);
    assert!(!is_good(&app, &nonce).await, "a day old");
    // of a replica whose clock is ahead, by as much as clocks may differ
    let ahead = fetch_nonce(&app).await;
    let second = time_of(&app) % 60;
    app.clock.advance(-second - 30);
    assert!(is_good(&app, &ahead).await);
    app.clock.advance(-1);
    assert!(!is_good(&app, &ahead).await, "further than that");
}

#[actix_web::test]
async fn a_proof_with_a_nonce_is_still_one_for_now() {
    let app = spawn();
    let key = Signer::p256();
    let nonce = fetch_nonce(&app).await;
    for (name, proof) in [
        ("old", proof(&key, &nonce, now() - 31)),
        (
            "another method",
            ProofDraft::for_tokens(&key).claim("htm", json!("GET")).claim("nonce", json!(nonce)).sign(&key),
        ),
    ] {
        let answer = send(&app, &proof).await;
        assert_eq!(answer.json::<Value>().await.unwrap()["error"], "invalid_dpop_proof", "{name}");
    }
    let once = proof(&key, &nonce, now());
    assert_eq!(send(&app, &once).await.status(), 200);
    let again: Value = send(&app, &once).await.json().await.unwrap();
    assert_eq!(again["error"], "invalid_dpop_proof", "a nonce makes no proof good twice");
}

/// What all replicas have is the key folder, so nobody has to configure a secret.
#[actix_web::test]
async fn every_replica_takes_the_nonces_of_the_others_and_of_nobody_else() {
    let (one, two) = (spawn(), spawn());
    let nonce = fetch_nonce(&one).await;
    assert_eq!(fetch_nonce(&two).await, nonce, "of the same minute");
    two.clock.advance(60);
    assert!(is_good(&two, &nonce).await);
    let other_issuer = spawn_app_with(Setup {
        issuer: "http://127.0.0.1:8080/x".to_owned(),
        settings: required,
        ..Setup::default()
    });
    let key = Signer::p256();
    let htu = json!(format!("{ISSUER}/x/oauth2/token"));
    let proof = ProofDraft::for_tokens(&key).claim("htu", htu).claim("nonce", json!(nonce)).sign(&key);
    let answer = send(&other_issuer, &proof).await;
    assert_eq!(
        answer.json::<Value>().await.unwrap()["error"],
        "use_dpop_nonce",
        "another issuer, the same key"
    );
    let other_key = spawn();
    replace_keys(&other_key, "test-only-other.pem").await;
    assert!(!is_good(&other_key, &nonce).await, "another key");
}

/// Lets this key of the fixtures be the only one.
async fn replace_keys(app: &TestApp, fixture: &str) {
    let keys = app.dir.path().join("keys");
    fs::remove_dir_all(&keys).unwrap();
    install_key(fixture, &keys);
    assert_eq!(app.post_reload().await.status(), 200);
}

/// Adds a key that begins to sign 40 seconds after [`NOW`].
async fn add_key_that_signs_soon(app: &TestApp) {
    let keys = app.dir.path().join("keys");
    copy_key("test-only-other.pem", &keys);
    let kid = Forge::with("test-only-other.pem").kid();
    let next =
        format!("  - kid: {kid}\n    alg: RS256\n    created: {NOW}\n    activates: 2026-11-23T12:00:40Z\n");
    let keyring = keys.join("keyring.yaml");
    fs::write(&keyring, fs::read_to_string(&keyring).unwrap() + &next).unwrap();
    assert_eq!(app.post_reload().await.status(), 200);
}

#[actix_web::test]
async fn a_rotation_of_the_keys_ends_no_nonce_before_the_key_goes() {
    let app = spawn();
    let nonce = fetch_nonce(&app).await;
    add_key_that_signs_soon(&app).await;
    app.clock.advance(41);
    let next = fetch_nonce(&app).await;
    assert_ne!(next, nonce, "the key that signs now makes them");
    assert!(is_good(&app, &nonce).await, "of the key that signed before");
    assert!(is_good(&app, &next).await);
    replace_keys(&app, "test-only-other.pem").await;
    assert!(!is_good(&app, &nonce).await, "of a key that is gone");
    assert!(is_good(&app, &next).await);
}

/// A replica that is a little behind takes what another gave, whose key begins to sign.
#[actix_web::test]
async fn a_key_that_is_published_and_does_not_sign_yet_is_good_for_nonces() {
    let [one, two] = [spawn(), spawn()];
    for app in [&one, &two] {
        add_key_that_signs_soon(app).await;
    }
    two.clock.advance(20);
    one.clock.advance(41);
    let of_next = fetch_nonce(&one).await;
    assert_ne!(of_next, fetch_nonce(&two).await, "one signs by it, and two does not yet");
    assert!(is_good(&two, &of_next).await);
}

#[actix_web::test]
async fn keys_of_every_algorithm_make_nonces() {
    fn each(settings: &mut Settings) {
        required(settings);
        // the newest signs; each was made an hour after the one before it
        for (hours, algorithm) in [
            (-6, SignatureAlgorithm::Ps256),
            (-4, SignatureAlgorithm::Es256),
            (-2, SignatureAlgorithm::EdDsa),
        ] {
            settings.keys.algorithm = algorithm;
            let clock = Arc::new(ManualClock::at(NOW.parse().unwrap()));
            clock.advance(hours * 60 * 60);
            key_keeper(settings, clock).rotate().unwrap();
        }
    }
    let app = spawn_app_with(Setup { settings: each, ..Setup::default() });
    // back to where each of them signs
    let mut nonces = Vec::new();
    for moved in [0, -7_200, -7_200, -7_200] {
        app.clock.advance(moved);
        nonces.push(fetch_nonce(&app).await);
        assert!(is_good(&app, &nonces[nonces.len() - 1]).await);
    }
    nonces.sort();
    nonces.dedup();
    assert_eq!(nonces.len(), 4);
}

#[actix_web::test]
async fn who_is_told_a_nonce_uses_nothing_up() {
    let client = Signer::p256();
    let text = format!(
        "version: 1\nclients:\n  keyed:\n    public_keys:\n      - jwk: {}\n    grants: {{ orders: {{ scopes: [orders:read] }} }}\n",
        client.jwk()
    );
    let app = spawn_app_with(Setup {
        policies: vec![("keyed.yaml", text)],
        settings: required,
        ..Setup::default()
    });
    let claims =
        json!({ "iss": "keyed", "sub": "keyed", "aud": ISSUER, "exp": now() + 60, "jti": new_jti() });
    let assertion = client.sign("ES256", &json!({ "alg": "ES256" }), &claims);
    let form = [
        FORM[0],
        FORM[1],
        ("client_assertion_type", "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"),
        ("client_assertion", &assertion),
    ];
    let key = Signer::p256();
    let send = async |proof: String| {
        app.http.post(app.url("/oauth2/token")).form(&form).header("DPoP", proof).send().await.unwrap()
    };
    let jti = json!(new_jti());
    let draft = ProofDraft::for_tokens(&key).claim("jti", jti);
    let answer = send(draft.sign(&key)).await;
    let nonce = json!(nonce_of(&answer));
    assert_eq!(answer.json::<Value>().await.unwrap()["error"], "use_dpop_nonce");
    // the same assertion, and even the same `jti`
    assert_eq!(send(draft.claim("nonce", nonce).sign(&key)).await.status(), 200);
}
