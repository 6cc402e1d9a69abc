//! Tokens that are bound to a key (RFC 9449): what each grant gives to who shows a proof, and what is said of it.

use std::time::Duration;

use jeton::config::Settings;
use jeton_oauth::clock::{Clock, SystemClock};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::support::{
    ISSUER, ORDERS, Setup, TestApp,
    dpop::ProofDraft,
    forge::decoded,
    http_client, install_policies, now,
    platform::{JWT, JWT_BEARER, Platform, as_assertion, as_subject},
    program::Binary,
    proof::new_jti,
    secret, secrets,
    signer::Signer,
    spawn_app, spawn_app_with,
};

const EXCHANGE: &str = "urn:ietf:params:oauth:grant-type:token-exchange";
const ACCESS_TOKEN: &str = "urn:ietf:params:oauth:token-type:access_token";
const ASSERTION: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";
const OWN: [(&str, &str); 2] = [("grant_type", "client_credentials"), ("resource", ORDERS)];

/// `able` refreshes and exchanges, `relay` exchanges, and `checker` introspects.
fn policies() -> String {
    let client = |id: &str, more: &str| {
        let grants = "grants: { orders: { scopes: [orders:read, orders:write] } }";
        format!("  {id}:\n    {}\n    {grants}\n{more}", secrets(id))
    };
    [
        "version: 1\nclients:\n",
        &client("able", "    refresh: true\n    token_exchange: true\n"),
        &client("relay", "    token_exchange: true\n"),
        &client("checker", "    introspect: true\n"),
        &client("plain", ""),
        &client("nameless", "    anonymous: true\n"),
    ]
    .concat()
}

fn spawn_with(settings: fn(&mut Settings)) -> TestApp {
    spawn_app_with(Setup { policies: vec![("bound.yaml", policies())], settings, ..Setup::default() })
}

fn spawn() -> TestApp {
    spawn_with(|_| {})
}

/// What comes of asking, with a proof by this key if there is one.
async fn ask(app: &TestApp, client: &str, form: &[(&str, &str)], key: Option<&Signer>) -> (u16, Value) {
    let proofs: Vec<_> = key.map(Signer::proof).into_iter().collect();
    let answer = app.post_token_with(client, form, &proofs).send().await.unwrap();
    (answer.status().as_u16(), answer.json().await.unwrap())
}

/// The answer, which must be a token that is bound to this key, or to nothing.
async fn gets(app: &TestApp, client: &str, form: &[(&str, &str)], key: Option<&Signer>) -> Value {
    let (status, body) = ask(app, client, form, key).await;
    assert_eq!(status, 200, "{client} {form:?}: {body}");
    is_bound(&body, key);
    body
}

#[track_caller]
fn is_bound(body: &Value, key: Option<&Signer>) {
    let (_, claims) = decoded(token_in(body));
    let cnf = claims.get("cnf").cloned();
    assert_eq!(body["token_type"], if key.is_some() { "DPoP" } else { "Bearer" }, "{body}");
    assert_eq!(cnf, key.map(|key| json!({ "jkt": key.thumbprint() })), "{claims}");
}

fn token_in(body: &Value) -> &str {
    body["access_token"].as_str().unwrap()
}

fn exchange(subject: &Value) -> Vec<(&'static str, String)> {
    vec![
        ("grant_type", EXCHANGE.to_owned()),
        ("subject_token", token_in(subject).to_owned()),
        ("subject_token_type", ACCESS_TOKEN.to_owned()),
    ]
}

fn pairs<'f>(form: &'f [(&'static str, String)]) -> Vec<(&'static str, &'f str)> {
    form.iter().map(|(name, value)| (*name, value.as_str())).collect()
}

#[actix_web::test]
async fn rfc9449_5_the_token_of_each_grant_is_bound_to_the_key_that_is_shown() {
    let app = spawn();
    let [one, two] = [Signer::p256(), Signer::ed25519()];
    for client in ["able", "plain", "nameless"] {
        gets(&app, client, &OWN, Some(&one)).await;
        gets(&app, client, &OWN, None).await;
    }
    // RFC 9449 section 5: the refresh tokens of clients that authenticate are bound to the client, not to a key
    let mut last = gets(&app, "able", &OWN, Some(&one)).await;
    for key in [Some(&two), None, Some(&one)] {
        let form =
            [("grant_type", "refresh_token"), ("refresh_token", last["refresh_token"].as_str().unwrap())];
        let (header, claims) = decoded(form[1].1);
        assert_eq!((&header["typ"], claims.get("cnf")), (&json!("rt+jwt"), None));
        let body = gets(&app, "able", &form, key).await;
        if body.get("refresh_token").is_some() {
            last = body;
        }
    }
}

#[actix_web::test]
async fn rfc9449_5_each_way_of_authentication_can_show_a_proof() {
    let (client, key) = (Signer::p256(), Signer::p256());
    let ci = Platform::start().await;
    let text = format!(
        "{}  keyed:\n    public_keys:\n      - jwk: {}\n    grants: {{ orders: {{ scopes: [orders:read] }} }}\n",
        ci.policies(""),
        client.jwk()
    );
    let app = spawn_app_with(Setup {
        policies: vec![("ways.yaml", text), ("bound.yaml", policies())],
        ..Setup::default()
    });
    let claims =
        json!({ "iss": "keyed", "sub": "keyed", "aud": ISSUER, "exp": now() + 60, "jti": new_jti() });
    let assertion = client.sign("ES256", &json!({ "alg": "ES256" }), &claims);
    let password = secret("plain");
    let foreign = ci.good(now());
    let by_post = vec![OWN[0], OWN[1], ("client_id", "plain"), ("client_secret", &password)];
    let by_key = vec![OWN[0], OWN[1], ("client_assertion_type", ASSERTION), ("client_assertion", &assertion)];
    for (name, form) in [
        ("client_secret_post", by_post),
        ("private_key_jwt", by_key),
        ("a platform's token as an assertion", as_assertion(JWT_BEARER, &foreign)),
        ("a platform's token as a subject token", as_subject(JWT, &foreign)),
    ] {
        let request = app.http.post(app.url("/oauth2/token")).form(&form).header("DPoP", key.proof());
        let answer = request.send().await.unwrap();
        assert_eq!(answer.status(), 200, "{name}");
        let body = answer.json().await.unwrap();
        is_bound(&body, Some(&key));
    }
    gets(&app, "plain", &OWN, Some(&key)).await;
}

#[actix_web::test]
async fn an_exchange_gives_what_the_exchanger_shows_and_makes_no_stolen_token_usable() {
    let app = spawn();
    let [owner, exchanger] = [Signer::p256(), Signer::p256()];
    let bound = gets(&app, "plain", &OWN, Some(&owner)).await;
    let unbound = gets(&app, "plain", &OWN, None).await;
    for client in ["relay", "able"] {
        let body = gets(&app, client, &pairs(&exchange(&unbound)), None).await;
        assert_eq!(body["issued_token_type"], ACCESS_TOKEN);
        gets(&app, client, &pairs(&exchange(&unbound)), Some(&exchanger)).await;
        // no proof by the key of the subject token is asked, and its `cnf` is never taken over
        let again = gets(&app, client, &pairs(&exchange(&bound)), Some(&exchanger)).await;
        let (status, body) = ask(&app, client, &pairs(&exchange(&bound)), None).await;
        assert_eq!((status, &body["error"]), (400, &json!("invalid_request")), "{body}");
        let description = body["error_description"].as_str().unwrap();
        assert!(description.contains("subject token is bound"), "{description}");
        // nor by a second exchange
        let (status, body) = ask(&app, "able", &pairs(&exchange(&again)), None).await;
        assert_eq!((status, &body["error"]), (400, &json!("invalid_request")), "{body}");
    }
}

#[actix_web::test]
async fn rfc9449_6_2_introspection_tells_what_a_token_is_bound_to() {
    let app = spawn();
    let key = Signer::p256();
    for key in [Some(&key), None] {
        let body = gets(&app, "able", &OWN, key).await;
        let (status, told) =
            app.post_form("/oauth2/introspect", "checker", &[("token", token_in(&body))]).await;
        assert_eq!((status, &told["active"]), (200, &json!(true)), "{told}");
        assert_eq!(told["token_type"], body["token_type"]);
        assert_eq!(told.get("cnf"), key.map(|key| json!({ "jkt": key.thumbprint() })).as_ref());
    }
    let refresh = gets(&app, "able", &OWN, Some(&key)).await["refresh_token"].take();
    let form = [("token", refresh.as_str().unwrap())];
    let (_, told) = app.post_form("/oauth2/introspect", "checker", &form).await;
    assert_eq!(told, json!({ "active": false }), "a refresh token is nobody else's");
}

#[actix_web::test]
async fn a_token_is_handed_out_again_to_who_shows_the_same_key_alone() {
    fn reusing(settings: &mut Settings) {
        settings.tokens.reuse = Some(Duration::from_mins(10));
    }
    let app = spawn_with(reusing);
    let [one, two] = [Signer::p256(), Signer::p256()];
    let shown = [Some(&one), Some(&two), None];
    let mut first = Vec::new();
    for key in shown {
        first.push(token_in(&gets(&app, "plain", &OWN, key).await).to_owned());
    }
    assert!(first[0] != first[1] && first[1] != first[2] && first[0] != first[2]);
    for (key, first) in shown.into_iter().zip(&first) {
        assert_eq!(token_in(&gets(&app, "plain", &OWN, key).await), first);
    }
    let proof = one.proof();
    for expected in [200, 400] {
        let answer = app.post_token_with("plain", &OWN, &[&proof]).send().await.unwrap();
        assert_eq!(answer.status(), expected, "a proof is used once, for such a token too");
    }
}

#[actix_web::test]
async fn the_log_says_what_a_token_is_bound_to() {
    let dir = TempDir::new().unwrap();
    install_policies(&dir.path().join("policies"));
    let mut jeton = Binary::serve_in(dir, "").await;
    let key = Signer::p256();
    let url = format!("http://{}/oauth2/token", jeton.address);
    let send = async |proof: Option<&str>| {
        let request = http_client().post(&url).basic_auth("acme-sync", Some(secret("acme-sync"))).form(&OWN);
        let request = proof.into_iter().fold(request, |request, proof| request.header("DPoP", proof));
        request.send().await.unwrap().status().as_u16()
    };
    // the real program has the real time
    let time = SystemClock.now().as_second();
    let proof = ProofDraft::for_tokens(&key).claim("iat", json!(time)).sign(&key);
    assert_eq!(send(Some(&proof)).await, 200);
    assert_eq!(jeton.logged("token.issued").await["bound_to"], "dpop");
    assert_eq!(send(None).await, 200);
    assert_eq!(jeton.logged("token.issued").await.get("bound_to"), None);
    assert_eq!(send(Some(&proof)).await, 400);
    let refused = jeton.logged("token.refused").await;
    assert_eq!(
        (&refused["reason"], &refused["level"]),
        (&json!("invalid_dpop_proof"), &json!("WARN")),
        "{refused}"
    );
    assert_eq!(refused["client"], "acme-sync");
    assert_eq!(send(Some("x")).await, 400);
    let refused = jeton.logged("token.refused").await;
    assert_eq!(
        (&refused["reason"], &refused["level"]),
        (&json!("invalid_dpop_proof"), &json!("INFO")),
        "{refused}"
    );
    assert_eq!((refused.get("client"), &refused["attempted"]), (None, &json!("acme-sync")), "{refused}");
    jeton.stop().await;
    let signature = proof.rsplit_once('.').unwrap().1;
    assert!(!jeton.log_text().contains(signature), "nobody can show again what the log has");
}

#[actix_web::test]
async fn rfc9449_5_1_the_metadata_name_the_algorithms() {
    let app = spawn_app();
    for path in ["/.well-known/oauth-authorization-server", "/.well-known/openid-configuration"] {
        let metadata: Value = app.get(path).await.json().await.unwrap();
        let names = &metadata["dpop_signing_alg_values_supported"];
        assert_eq!(*names, json!(["ES256", "RS256", "PS256", "EdDSA", "Ed25519"]), "{path}");
    }
}
