//! `private_key_jwt` (RFC 7523): what shows who a client is, and everything that only looks so.

use reqwest::Response;
use serde_json::{Value, json};

use crate::support::{
    ISSUER, ORDERS, Setup, TestApp,
    forge::{Forge, base64url, decoded, sign_hs256},
    now,
    redis::RedisServer,
    signer::Signer,
    spawn_app_with,
};

const ASSERTION: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";

/// Clients with keys of each kind, and a server that knows their public halves.
struct Clients {
    app: TestApp,
    rsa: Signer,
    p256: Signer,
    ed25519: Signer,
    strict: Signer,
}

fn clients() -> Clients {
    let (app, rsa, p256, ed25519, strict) = parts(None);
    Clients { app, rsa, p256, ed25519, strict }
}

fn parts(store: Option<String>) -> (TestApp, Signer, Signer, Signer, Signer) {
    let (rsa, p256, ed25519, strict) = (Signer::rsa(), Signer::p256(), Signer::ed25519(), Signer::p256());
    let client = |id: &str, key: &Signer, more: &str| {
        format!(
            "  {id}:\n    public_keys:\n      - jwk: {}\n    grants: {{ orders: {{ scopes: [orders:read] }}, jeton: {{ scopes: [jeton:principal] }} }}\n{more}",
            key.jwk()
        )
    };
    let text = format!(
        "version: 1\nclients:\n{}{}{}{}{}",
        client("rsa", &rsa, ""),
        client("p256", &p256, ""),
        client("ed25519", &ed25519, ""),
        client("strict", &strict, "    strict_assertions: true\n"),
        client("off", &rsa, "    enabled: false\n"),
    );
    let policies = vec![("keyed.yaml", text)];
    (spawn_app_with(Setup { policies, store, ..Setup::default() }), rsa, p256, ed25519, strict)
}

/// A good assertion of `client` for one use.
fn claims(client: &str, jti: &str) -> Value {
    json!({
        "iss": client, "sub": client, "aud": ISSUER, "exp": now() + 60, "iat": now(), "nbf": now(), "jti": jti,
    })
}

fn with(mut value: Value, name: &str, member: Value) -> Value {
    value[name] = member;
    value
}

fn without(mut value: Value, name: &str) -> Value {
    value.as_object_mut().unwrap().remove(name);
    value
}

impl Clients {
    async fn send(&self, form: &[(&str, &str)]) -> Response {
        self.app.http.post(self.app.url("/oauth2/token")).form(form).send().await.unwrap()
    }

    async fn ask(&self, assertion: &str) -> Response {
        self.send(&[
            ("grant_type", "client_credentials"),
            ("resource", ORDERS),
            ("client_assertion_type", ASSERTION),
            ("client_assertion", assertion),
        ])
        .await
    }

    async fn is_taken(&self, name: &str, assertion: &str) {
        let answer = self.ask(assertion).await;
        assert_eq!(answer.status(), 200, "{name}: {}", answer.text().await.unwrap());
    }

    /// Refused as every failed authentication is, whatever is wrong.
    async fn is_refused(&self, name: &str, assertion: &str) {
        let answer = self.ask(assertion).await;
        assert_eq!(answer.status(), 401, "{name}");
        assert!(answer.headers().get("www-authenticate").is_some(), "{name}: rfc9110_15_5_2");
        assert_eq!(answer.headers()["cache-control"], "no-store", "{name}");
        let body: Value = answer.json().await.unwrap();
        let expected =
            json!({ "error": "invalid_client", "error_description": "client authentication failed" });
        assert_eq!(body, expected, "{name}");
    }
}

#[actix_web::test]
async fn every_algorithm_and_each_of_its_names_is_taken() {
    let clients = clients();
    for (client, key, alg) in [
        ("rsa", &clients.rsa, "RS256"),
        ("rsa", &clients.rsa, "PS256"),
        ("p256", &clients.p256, "ES256"),
        ("ed25519", &clients.ed25519, "EdDSA"),
        ("ed25519", &clients.ed25519, "Ed25519"),
    ] {
        let assertion = key.sign(alg, &json!({ "alg": alg }), &claims(client, alg));
        clients.is_taken(alg, &assertion).await;
    }
    let typed = json!({ "alg": "ES256", "typ": "client-authentication+jwt" });
    let assertion = clients.strict.sign("ES256", &typed, &claims("strict", "1"));
    clients.is_taken("strict", &assertion).await;
}

#[actix_web::test]
async fn what_rfc_7523_section_3_leaves_open_is_taken() {
    let clients = clients();
    let endpoint = format!("{ISSUER}/oauth2/token");
    let plain = json!({ "alg": "ES256" });
    let kid = json!({ "alg": "ES256", "kid": "the client's own name for it" });
    let jwt = json!({ "alg": "ES256", "typ": "JWT" });
    let good = || claims("p256", "x");
    let fractional = serde_json::from_str(&format!("{}.5", now() + 30)).unwrap();
    for (name, header, claims) in [
        ("the token endpoint as audience", &plain, with(good(), "aud", json!(endpoint))),
        ("a list of one", &plain, with(good(), "aud", json!([ISSUER]))),
        ("a list of both", &plain, with(good(), "aud", json!([endpoint, ISSUER]))),
        ("typ JWT", &jwt, good()),
        ("the thumbprint of a certificate", &json!({ "alg": "ES256", "x5t": "x", "x5t#S256": "x" }), good()),
        (
            "a certificate, as MSAL sends it",
            &json!({ "alg": "ES256", "typ": "JWT", "x5c": ["MIIB"] }),
            good(),
        ),
        ("the type of the content", &json!({ "alg": "ES256", "cty": "json" }), good()),
        ("rfc7515_4_what_is_not_understood", &json!({ "alg": "ES256", "ver": 1, "x": { "y": [] } }), good()),
        ("a kid for a key without a name", &kid, good()),
        ("no iat and nbf", &plain, without(without(good(), "iat"), "nbf")),
        ("fractions of seconds", &plain, with(good(), "exp", fractional)),
        ("clocks that differ", &plain, with(good(), "exp", json!(now() + 85))),
        ("claims that nobody knows", &plain, with(good(), "x", json!({ "y": 1 }))),
    ] {
        let assertion = clients.p256.sign("ES256", header, &with(claims, "jti", json!(name)));
        clients.is_taken(name, &assertion).await;
    }
}

#[actix_web::test]
async fn an_assertion_that_is_not_in_order_shows_nothing() {
    let clients = clients();
    let plain = json!({ "alg": "ES256" });
    let good = || claims("p256", "good");
    for (name, claims) in [
        ("no iss", without(good(), "iss")),
        ("no sub", without(good(), "sub")),
        ("no aud", without(good(), "aud")),
        ("no exp", without(good(), "exp")),
        ("no jti", without(good(), "jti")),
        ("an empty jti", with(good(), "jti", json!(""))),
        ("jti is a number", with(good(), "jti", json!(1))),
        ("iss is another client", with(good(), "iss", json!("rsa"))),
        ("sub is another client", with(good(), "sub", json!("rsa"))),
        ("iss and sub are another client", claims("rsa", "a")),
        ("nobody", claims("nobody", "a")),
        ("aud is elsewhere", with(good(), "aud", json!("https://elsewhere.example"))),
        ("aud with a slash at the end", with(good(), "aud", json!(format!("{ISSUER}/")))),
        ("the issuer as prefix", with(good(), "aud", json!(format!("{ISSUER}@evil.example")))),
        ("the issuer in capitals", with(good(), "aud", json!(ISSUER.to_uppercase()))),
        ("a foreign entry beside ours", with(good(), "aud", json!([ISSUER, "https://evil.example"]))),
        ("an empty list", with(good(), "aud", json!([]))),
        ("a list with a number", with(good(), "aud", json!([ISSUER, 1]))),
        ("another of our endpoints", with(good(), "aud", json!(format!("{ISSUER}/oauth2/introspect")))),
        ("aud is an API", with(good(), "aud", json!(ORDERS))),
        ("expired", with(good(), "exp", json!(now() - 31))),
        ("exp far ahead", with(good(), "exp", json!(now() + 3600))),
        ("exp just too far ahead", with(good(), "exp", json!(now() + 91))),
        ("exp beyond every number", with(good(), "exp", json!(1e300))),
        ("exp is text", with(good(), "exp", json!("soon"))),
        ("exp is negative", with(good(), "exp", json!(-1))),
        ("nbf ahead", with(good(), "nbf", json!(now() + 31))),
        ("iat ahead", with(good(), "iat", json!(now() + 31))),
    ] {
        clients.is_refused(name, &clients.p256.sign("ES256", &plain, &claims)).await;
    }
    // the one that all were made from
    clients.is_taken("the good one", &clients.p256.sign("ES256", &plain, &good())).await;
}

#[actix_web::test]
async fn a_signature_by_anything_but_the_clients_key_shows_nothing() {
    let clients = clients();
    let good = claims("p256", "good");
    let es256 = json!({ "alg": "ES256" });
    let assertion = clients.p256.sign("ES256", &es256, &good);
    let (signed, signature) = assertion.rsplit_once('.').unwrap();
    let (header, payload) = signed.split_once('.').unwrap();
    let public = clients.p256.jwk().to_string();
    let none = format!("{}.{payload}.", base64url(r#"{"alg":"none"}"#));
    let rows = [
        ("the key of another client", clients.strict.sign("ES256", &es256, &good)),
        ("a key of another kind", clients.rsa.sign("RS256", &json!({ "alg": "RS256" }), &good)),
        ("alg none", none.clone()),
        ("alg none with a signature", format!("{none}{signature}")),
        ("no signature", format!("{signed}.")),
        ("HMAC with the public key", sign_hs256(public.as_bytes(), r#"{"alg":"HS256"}"#, &good.to_string())),
        ("alg of another key", clients.p256.sign("ES256", &json!({ "alg": "EdDSA" }), &good)),
        ("alg in lower case", clients.p256.sign("ES256", &json!({ "alg": "es256" }), &good)),
        ("alg ES384", clients.p256.sign("ES256", &json!({ "alg": "ES384" }), &good)),
        ("no alg", clients.p256.sign("ES256", &json!({ "typ": "JWT" }), &good)),
        (
            "claims changed",
            format!("{header}.{}.{signature}", base64url(with(good.clone(), "jti", json!("2")).to_string())),
        ),
        (
            "the key in the header",
            clients.strict.sign("ES256", &json!({ "alg": "ES256", "jwk": clients.strict.jwk() }), &good),
        ),
        (
            "the address of a key",
            clients.p256.sign("ES256", &json!({ "alg": "ES256", "jku": "http://127.0.0.1:1/" }), &good),
        ),
        ("crit", clients.p256.sign("ES256", &json!({ "alg": "ES256", "crit": ["x"], "x": 1 }), &good)),
        (
            "the address of a certificate",
            clients.p256.sign("ES256", &json!({ "alg": "ES256", "x5u": "http://127.0.0.1:1/" }), &good),
        ),
        (
            "its own key",
            clients.p256.sign("ES256", &json!({ "alg": "ES256", "jwk": clients.p256.jwk() }), &good),
        ),
        ("b64", clients.p256.sign("ES256", &json!({ "alg": "ES256", "b64": true }), &good)),
        ("zip", clients.p256.sign("ES256", &json!({ "alg": "ES256", "zip": "DEF" }), &good)),
        (
            "the certificate of another key",
            clients.strict.sign("ES256", &json!({ "alg": "ES256", "x5c": ["MIIB"], "x5t": "x" }), &good),
        ),
        (
            "typ of an access token",
            clients.p256.sign("ES256", &json!({ "alg": "ES256", "typ": "at+jwt" }), &good),
        ),
        ("a kid that is a number", clients.p256.sign("ES256", &json!({ "alg": "ES256", "kid": 1 }), &good)),
        ("four parts", format!("{assertion}.x")),
        ("two parts", signed.to_owned()),
        ("padding", format!("{assertion}=")),
        ("too long", clients.p256.sign("ES256", &es256, &with(good.clone(), "x", json!("x".repeat(8000))))),
        ("nothing that is JSON", format!("{}.{}.{signature}", base64url("{"), base64url("}"))),
        ("a name twice", format!("{}.{payload}.{signature}", base64url(r#"{"alg":"ES256","alg":"ES256"}"#))),
        ("a disabled client", clients.rsa.sign("RS256", &json!({ "alg": "RS256" }), &claims("off", "1"))),
    ];
    for (name, assertion) in &rows {
        clients.is_refused(name, assertion).await;
    }
    clients.is_taken("the good one", &assertion).await;
}

#[actix_web::test]
async fn each_assertion_is_taken_once() {
    let clients = clients();
    let sign = |client: &str, key: &Signer, alg: &str, jti: &str| {
        key.sign(alg, &json!({ "alg": alg }), &claims(client, jti))
    };
    let first = sign("p256", &clients.p256, "ES256", "same");
    clients.is_taken("first", &first).await;
    clients.is_refused("again", &first).await;
    // signed anew, so that other bytes carry the same `jti`
    clients
        .is_refused("the same jti in another assertion", &sign("p256", &clients.p256, "ES256", "same"))
        .await;
    clients.is_taken("another client's of the same jti", &sign("rsa", &clients.rsa, "RS256", "same")).await;
    // as long as it would be taken, it is remembered
    clients.app.clock.advance(80);
    clients.is_refused("shortly before it expires", &first).await;
    clients.app.clock.advance(60);
    let fresh = with(with(claims("p256", "same"), "exp", json!(now() + 150)), "iat", json!(now() + 140));
    clients
        .is_taken(
            "a new life of the name",
            &clients.p256.sign("ES256", &json!({ "alg": "ES256" }), &with(fresh, "nbf", json!(now()))),
        )
        .await;
}

#[actix_web::test]
async fn at_once_one_use_wins() {
    let clients = clients();
    let assertion = clients.p256.sign("ES256", &json!({ "alg": "ES256" }), &claims("p256", "raced"));
    let both = tokio::join!(clients.ask(&assertion), clients.ask(&assertion));
    let mut statuses = [both.0.status().as_u16(), both.1.status().as_u16()];
    statuses.sort_unstable();
    assert_eq!(statuses, [200, 401]);
}

#[actix_web::test]
async fn strict_assertions_name_the_issuer_alone_and_their_type() {
    let clients = clients();
    let typed = json!({ "alg": "ES256", "typ": "client-authentication+jwt" });
    let good = || claims("strict", "good");
    for (name, header, claims) in [
        ("the token endpoint", &typed, with(good(), "aud", json!(format!("{ISSUER}/oauth2/token")))),
        ("both", &typed, with(good(), "aud", json!([ISSUER, format!("{ISSUER}/oauth2/token")]))),
        ("typ JWT", &json!({ "alg": "ES256", "typ": "JWT" }), good()),
        ("no typ", &json!({ "alg": "ES256" }), good()),
    ] {
        clients.is_refused(name, &clients.strict.sign("ES256", header, &claims)).await;
    }
    clients.is_taken("the good one", &clients.strict.sign("ES256", &typed, &good())).await;
}

#[actix_web::test]
async fn rfc7521_4_2_the_request_says_one_thing() {
    let clients = clients();
    let sign = |jti: &str| clients.p256.sign("ES256", &json!({ "alg": "ES256" }), &claims("p256", jti));
    let base = [("grant_type", "client_credentials"), ("resource", ORDERS)];
    let fine = sign("with its client_id");
    let answer = clients
        .send(&[
            base[0],
            base[1],
            ("client_assertion_type", ASSERTION),
            ("client_assertion", &fine),
            ("client_id", "p256"),
        ])
        .await;
    assert_eq!(answer.status(), 200);
    for (name, more, status, error) in [
        (
            "another client_id",
            vec![("client_assertion_type", ASSERTION), ("client_id", "rsa")],
            401,
            "invalid_client",
        ),
        ("no type", vec![], 400, "invalid_request"),
        (
            "another type",
            vec![("client_assertion_type", "urn:ietf:params:oauth:client-assertion-type:saml2-bearer")],
            400,
            "invalid_request",
        ),
        (
            "a secret too",
            vec![("client_assertion_type", ASSERTION), ("client_secret", "x"), ("client_id", "p256")],
            400,
            "invalid_request",
        ),
    ] {
        let assertion = sign(name);
        let mut form = base.to_vec();
        form.push(("client_assertion", &assertion));
        form.extend(more);
        let answer = clients.send(&form).await;
        assert_eq!(answer.status(), status, "{name}");
        assert_eq!(answer.json::<Value>().await.unwrap()["error"], error, "{name}");
    }
    let answer = clients.send(&[base[0], ("client_assertion_type", ASSERTION)]).await;
    assert_eq!(answer.status(), 400);
}

#[actix_web::test]
async fn no_token_passes_for_an_assertion_and_no_assertion_for_a_token() {
    let clients = clients();
    let good = clients.p256.sign("ES256", &json!({ "alg": "ES256" }), &claims("p256", "first"));
    let token: Value = clients.ask(&good).await.json().await.unwrap();
    let token = token["access_token"].as_str().unwrap();
    clients.is_refused("an access token", token).await;
    assert_eq!(decoded(token).1["client_id"], "p256");
    let unused = clients.p256.sign("ES256", &json!({ "alg": "ES256" }), &claims("p256", "unused"));
    assert_eq!(clients.app.get_principal(&unused).await.status(), 401);
    // not even one that the server's own key signed
    let forge = Forge::with_the_servers_key();
    let header = json!({ "alg": "RS256", "kid": forge.kid(), "typ": "client-authentication+jwt" });
    let forged = forge.sign(header.to_string(), claims("p256", "forged").to_string());
    assert_eq!(clients.app.get_principal(&forged).await.status(), 401);
    clients.is_refused("signed by the server", &forged).await;
}

#[actix_web::test]
#[ignore = "needs redis-server; .ci/run runs it"]
async fn with_a_shared_store_once_counts_over_all_replicas() {
    let mut redis = RedisServer::start();
    let key = Signer::p256();
    let text = format!(
        "version: 1\nclients:\n  p256:\n    public_keys: [{{ jwk: {} }}]\n    grants: {{ orders: {{ scopes: [orders:read] }} }}\n",
        key.jwk()
    );
    let spawn = || {
        let policies = vec![("keyed.yaml", text.clone())];
        spawn_app_with(Setup { policies, store: Some(redis.url()), ..Setup::default() })
    };
    let (one, two) = (spawn(), spawn());
    let ask = async |app: &TestApp, assertion: &str| {
        let form = [
            ("grant_type", "client_credentials"),
            ("client_assertion_type", ASSERTION),
            ("client_assertion", assertion),
        ];
        let answer = app.http.post(app.url("/oauth2/token")).form(&form).send().await.unwrap();
        let retry = answer.headers().contains_key("retry-after");
        (answer.status().as_u16(), retry, answer.json::<Value>().await.unwrap()["error"].clone())
    };
    for app in [&one, &two] {
        app.is_ready().await;
    }
    let sign = |jti: &str| key.sign("ES256", &json!({ "alg": "ES256" }), &claims("p256", jti));
    let first = sign("1");
    assert_eq!(ask(&one, &first).await.0, 200);
    assert_eq!(ask(&two, &first).await, (401, false, json!("invalid_client")), "replayed at the other");
    let raced = sign("2");
    let both = tokio::join!(ask(&one, &raced), ask(&two, &raced));
    let mut statuses = [both.0.0, both.1.0];
    statuses.sort_unstable();
    assert_eq!(statuses, [200, 401]);
    redis.stop();
    let while_away = sign("3");
    assert_eq!(ask(&one, &while_away).await, (503, true, json!("temporarily_unavailable")));
    redis.start_again();
    two.until_answered(async || ask(&two, &while_away).await.0 == 200).await;
}
