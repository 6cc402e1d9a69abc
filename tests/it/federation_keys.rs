//! The keys of issuers: fetched beside the requests, from the issuers of the policies alone, whatever these answer.
use std::{net::IpAddr, time::Duration};

use jeton_verify::fetch::{Fetcher, HttpError, Reach, Transport};
use serde_json::{Value, json};
use tokio::time::{self, Instant};
use url::Url;

use crate::support::{
    Setup, TestApp,
    forge::Forge,
    issuer::{Answer, FakeIssuer},
    now,
    platform::{JWT_BEARER, Platform, as_assertion, client, deployer, json_answer},
    scrape::with_admin,
    signer::Signer,
    spawn_app_with,
};

const DAY: i64 = 24 * 60 * 60;

fn spawn(platform: &Platform) -> TestApp {
    spawn_with(platform.policies(""))
}

fn spawn_with(text: String) -> TestApp {
    spawn_app_with(Setup { policies: vec![("ci.yaml", text)], settings: with_admin, ..Setup::default() })
}

/// What an operator is told of an issuer.
async fn told(app: &TestApp, name: &str) -> Value {
    let token = app.token_of("operator", "jeton").await;
    let answer = app.http.get(app.url("/ops/issuers")).bearer_auth(token).send().await.unwrap();
    assert_eq!(answer.status(), 200);
    let body: Value = answer.json().await.unwrap();
    let found = body["issuers"].as_array().unwrap().iter().find(|issuer| issuer["name"] == name);
    found.cloned().unwrap_or(Value::Null)
}

async fn until_status(app: &TestApp, name: &str, status: &str) {
    app.until_answered(async || told(app, name).await["status"] == status).await;
}

#[actix_web::test]
async fn keys_are_fetched_at_the_start_and_kept() {
    let ci = Platform::start().await;
    let app = spawn(&ci);
    until_status(&app, "ci", "ready").await;
    assert_eq!(ci.key_fetches(), 1);
    for _ in 0..5 {
        assert!(app.takes(&ci.good(now())).await);
    }
    assert_eq!(ci.key_fetches(), 1, "no request fetches what is there");
    let state = told(&app, "ci").await;
    assert_eq!(state["issuer"], ci.iss());
    assert_eq!((&state["keys"], &state["kids"]), (&json!(1), &json!([ci.key.kid()])));
    assert_eq!((&state["source"], &state["last_fetch_error"]), (&json!("discover"), &Value::Null));
    assert!(state["fetched_at"].is_string());
    let ready: Value = app.get("/readyz").await.json().await.unwrap();
    assert_eq!(ready["issuers"]["ci"]["status"], "ready");
    let scrape = app.scrape().await;
    assert_eq!(scrape.of("jeton_issuer_keys_age_seconds"), [("issuer=\"ci\"", 0.0)]);
    let fetched = |labels: &str| {
        scrape.of("jeton_fetches_total").into_iter().find(|(own, _)| *own == labels).unwrap().1
    };
    assert!(fetched("kind=\"jwks\",outcome=\"fetched\"") >= 1.0);
    assert!(fetched("kind=\"discovery\",outcome=\"fetched\"") >= 1.0);
    app.clock.advance(100);
    assert_eq!(app.scrape().await.of("jeton_issuer_keys_age_seconds"), [("issuer=\"ci\"", 100.0)]);
}

#[actix_web::test]
async fn a_kid_that_is_unknown_fetches_once_in_thirty_seconds() {
    let (old, new) = (Platform::start().await, Forge::with("test-only-signing.pem"));
    let app = spawn(&old);
    until_status(&app, "ci", "ready").await;
    let by_new = |at: i64| {
        let header = json!({ "alg": "RS256", "kid": new.kid() });
        new.sign(header.to_string(), old.claims(at).to_string())
    };
    let before = old.key_fetches();
    for _ in 0..10 {
        assert!(!app.takes(&by_new(now())).await);
    }
    assert_eq!(old.key_fetches(), before + 1, "a flood costs one fetch");
    assert!(app.takes(&old.good(now())).await);
    // the key is there now, and the next fetch is not due
    old.publishes(&json!({ "keys": [new.jwk()] }));
    assert!(!app.takes(&by_new(now())).await);
    app.clock.advance(31);
    assert!(app.takes(&by_new(now())).await, "the first token by a new key waits for it");
    assert_eq!(old.key_fetches(), before + 2);
    assert!(!app.takes(&old.good(now())).await, "the key that left counts no more");
}

#[actix_web::test]
async fn whoever_asks_at_once_waits_for_one_fetch() {
    let ci = Platform::start().await;
    ci.server.answers_at("/keys", Answer::Status(503, "", Vec::new()));
    let app = spawn(&ci);
    until_status(&app, "ci", "no_keys").await;
    app.until_answered(async || told(&app, "ci").await["last_fetch_error"].is_object()).await;
    let before = ci.key_fetches();
    ci.publishes(&json!({ "keys": [ci.key.jwk()] }));
    let token = ci.good(now());
    let takes = (0..20).map(|_| app.takes(&token));
    let taken = futures_util::future::join_all(takes).await;
    assert!(taken.iter().all(|is_taken| *is_taken), "{taken:?}");
    assert_eq!(ci.key_fetches(), before + 1);
}

/// What an issuer answers in the place of a key set or of its metadata, and what is said of it.
fn bad_answers(trap: &FakeIssuer) -> Vec<(&'static str, &'static str, Answer, &'static str)> {
    let location: &'static str = Box::leak(format!("Location: {}/keys\r\n", trap.issuer).into_boxed_str());
    let ok = |body: &str| Answer::Status(200, "", body.as_bytes().to_vec());
    let keys = "/keys";
    let metadata = "/.well-known/openid-configuration";
    let mut private = Signer::p256().jwk();
    private["d"] = "AAAA".into();
    vec![
        ("gone", keys, Answer::HangUp, "its key set: it cannot be fetched"),
        ("half", keys, Answer::Half, "its key set: it cannot be fetched"),
        ("huge", keys, Answer::Endless, "longer than 1 MiB"),
        ("redirecting", keys, Answer::Status(302, location, Vec::new()), "status 302"),
        ("failing", keys, Answer::Status(500, "", Vec::new()), "status 500"),
        ("not found", keys, Answer::Status(404, "", Vec::new()), "status 404"),
        ("not JSON", keys, ok("<html>"), "its key set cannot be used"),
        ("no set", keys, ok("{}"), "its key set cannot be used"),
        ("an empty set", keys, ok(r#"{"keys":[]}"#), "no key in it"),
        ("keys twice", keys, ok(r#"{"keys":[],"keys":[]}"#), "its key set cannot be used"),
        ("a private key", keys, ok(&json!({ "keys": [private] }).to_string()), "private key"),
        (
            "keys of another kind",
            keys,
            ok(&json!({ "keys": [Signer::p256().jwk()] }).to_string()),
            "do not allow",
        ),
        ("metadata gone", metadata, Answer::HangUp, "its metadata: it cannot be fetched"),
        ("metadata redirecting", metadata, Answer::Status(301, location, Vec::new()), "status 301"),
        ("metadata huge", metadata, Answer::Endless, "longer than 1 MiB"),
        ("metadata not JSON", metadata, ok("nothing"), "its metadata are not a JSON object"),
        ("metadata without a word", metadata, ok("{}"), "another `issuer`"),
        (
            "metadata of another",
            metadata,
            json_answer(
                &json!({ "issuer": trap.issuer.as_str(), "jwks_uri": format!("{}/keys", trap.issuer) }),
            ),
            "another `issuer`",
        ),
    ]
}

#[actix_web::test]
async fn whatever_an_issuer_answers_the_last_good_set_counts() {
    let (ci, trap) = (Platform::start().await, FakeIssuer::start().await);
    let app = spawn(&ci);
    until_status(&app, "ci", "ready").await;
    let stranger = Forge::with("test-only-signing.pem");
    let header = json!({ "alg": "RS256", "kid": stranger.kid() });
    for (name, path, answer, error) in bad_answers(&trap) {
        ci.publishes(&json!({ "keys": [ci.key.jwk()] }));
        ci.answers_metadata(&json!({ "issuer": ci.iss(), "jwks_uri": ci.jwks_uri() }));
        ci.server.answers_at(path, answer);
        let at = now();
        let unknown = stranger.sign(header.to_string(), ci.claims(at).to_string());
        app.until_answered(async || {
            // each unknown kid after the cooldown looks again
            app.clock.advance(31);
            assert!(!app.takes(&unknown).await, "{name}");
            let state = told(&app, "ci").await;
            let told = state["last_fetch_error"]["error"].as_str().unwrap_or_default();
            state["status"] == "failing" && told.contains(error)
        })
        .await;
        let mut claims = ci.claims(at);
        claims["exp"] = (at + 3600).into();
        assert!(app.takes(&ci.sign(&claims)).await, "{name}");
    }
    for (name, jwks_uri, error) in [
        ("another origin without TLS", format!("{}/keys", trap.issuer), "not `https`"),
        ("another scheme", "file:///etc/passwd".to_owned(), "not `https`"),
        ("no URL", "/keys".to_owned(), "is not a URL"),
        ("a user", ci.jwks_uri().replace("//", "//me:hush@"), "a user name or a password"),
        ("a number", "1".to_owned(), "is not a URL"),
    ] {
        ci.answers_metadata(&json!({ "issuer": ci.iss(), "jwks_uri": jwks_uri }));
        app.clock.advance(31);
        assert!(!app.takes(&stranger.sign(header.to_string(), ci.claims(now()).to_string())).await, "{name}");
        let state = told(&app, "ci").await;
        let told = state["last_fetch_error"]["error"].as_str().unwrap();
        assert!(told.contains(error) && !told.contains("hush"), "{name}: {told}");
    }
    assert!(trap.requests().is_empty(), "nothing is fetched from elsewhere: {:?}", trap.requests());
    let scrape = app.scrape().await;
    let failed = scrape.of("jeton_fetches_total").into_iter().filter(|(labels, _)| labels.contains("failed"));
    assert!(failed.map(|(_, count)| count).sum::<f64>() >= 15.0);
    let ready = app.get("/readyz").await;
    assert_eq!(ready.status(), 200, "never 503");
    assert_eq!(ready.json::<Value>().await.unwrap()["issuers"]["ci"]["status"], "failing");
}

#[actix_web::test]
async fn keys_count_for_a_day_without_their_issuer() {
    let ci = Platform::start().await;
    let app = spawn(&ci);
    until_status(&app, "ci", "ready").await;
    ci.server.answers_at("/keys", Answer::HangUp);
    app.clock.advance(DAY - 60);
    assert!(app.takes(&ci.good(now() + DAY - 60)).await);
    app.clock.advance(60);
    assert!(!app.takes(&ci.good(now() + DAY)).await);
    assert_eq!(told(&app, "ci").await["status"], "expired");
    assert_eq!(app.get("/readyz").await.status(), 200);
    ci.publishes(&json!({ "keys": [ci.key.jwk()] }));
    app.clock.advance(31);
    assert!(app.takes(&ci.good(now() + DAY)).await);
    assert_eq!(told(&app, "ci").await["status"], "ready");
}

#[actix_web::test]
async fn an_issuer_that_is_slow_costs_others_nothing() {
    let (ci, slow) = (Platform::start().await, Platform::start().await);
    slow.server.answers_at("/keys", Answer::Silence);
    let slow_yaml = slow.issuer_yaml("").replace("  ci:\n", "  slow:\n");
    let sleeper =
        client("sleeper", r#"{ repository_id: { is: "1" } }"#, "").replace("issuer: ci", "issuer: slow");
    let text =
        format!("{}{sleeper}", ci.policies("").replacen("issuers:\n", &format!("issuers:\n{slow_yaml}"), 1));
    let app = spawn_with(text);
    until_status(&app, "ci", "ready").await;
    let slow_token = slow.good(now());
    let waiting = async {
        let waits = (0..100).map(|_| app.takes(&slow_token));
        futures_util::future::join_all(waits).await
    };
    let others = async {
        let began = Instant::now();
        for _ in 0..20 {
            assert!(app.takes(&ci.good(now())).await);
        }
        began.elapsed()
    };
    let (waited, took) = tokio::join!(waiting, others);
    assert!(waited.iter().all(|is_taken| !is_taken));
    assert!(took < Duration::from_secs(4), "{took:?}");
    assert!(slow.key_fetches() <= 2, "{}", slow.key_fetches());
}

#[actix_web::test]
async fn a_reload_changes_who_is_followed_and_loses_no_keys() {
    let (ci, other) = (Platform::start().await, Platform::with("test-only-signing.pem").await);
    let app = spawn(&ci);
    until_status(&app, "ci", "ready").await;
    let other_yaml = other.issuer_yaml("").replace("  ci:\n", "  other:\n");
    let second = deployer("second", "").replace("issuer: ci", "issuer: other");
    let both =
        format!("{}{second}", ci.policies("").replacen("issuers:\n", &format!("issuers:\n{other_yaml}"), 1));
    let reload = async |text: &str| {
        app.write_policy("ci.yaml", text);
        assert_eq!(app.post_reload().await.status(), 200);
    };
    reload(&both).await;
    assert!(app.takes(&other.good(now())).await, "the new one is followed at once");
    assert!(app.takes(&ci.good(now())).await);
    assert_eq!(ci.key_fetches(), 1, "who stays the same is not fetched again");
    // what is not about its keys changes none of them
    ci.server.answers_at("/keys", Answer::HangUp);
    reload(&ci.policies("    max_lifetime: 1h\n    single_use: true\n")).await;
    assert!(app.takes(&ci.good(now())).await);
    assert_eq!((ci.key_fetches(), told(&app, "other").await), (1, Value::Null));
    assert!(!app.takes(&other.good(now())).await, "who left is trusted no more");
    // other keys are not those that were there
    let fetches = ci.key_fetches();
    reload(&ci.policies("    algorithms: [RS256, RS384]\n")).await;
    assert!(!app.takes(&ci.good(now())).await);
    assert!(ci.key_fetches() > fetches);
    ci.publishes(&json!({ "keys": [ci.key.jwk()] }));
    app.clock.advance(31);
    assert!(app.takes(&ci.good(now())).await);
    reload(&ci.policies("    enabled: false\n")).await;
    assert!(!app.takes(&ci.good(now())).await);
    assert_eq!(told(&app, "ci").await["status"], "disabled");
}

#[actix_web::test]
async fn keys_of_an_address_or_a_file_need_no_metadata() {
    let ci = Platform::start().await;
    let mut bare = ci.key.jwk();
    for member in ["kid", "alg", "use"] {
        bare.as_object_mut().unwrap().remove(member);
    }
    let at_address = ci.policies("").replace("{ discover: true }", &format!("{{ jwks: {} }}", ci.jwks_uri()));
    ci.server.answers_at("/.well-known/openid-configuration", Answer::HangUp);
    let app = spawn_with(at_address);
    assert!(app.takes(&ci.good(now())).await);
    assert_eq!(ci.server.requests().len(), 1);
    let in_file = ci.policies("").replace("{ discover: true }", "{ file: ci.json }");
    let bare = json!({ "keys": [bare] }).to_string();
    let policies = vec![("ci.json", bare), ("ci.yaml", in_file)];
    let app = spawn_app_with(Setup { policies, settings: with_admin, ..Setup::default() });
    assert!(app.takes(&ci.good(now())).await, "a key without kid, alg and use");
    let stranger = Forge::with("test-only-signing.pem");
    let header = json!({ "alg": "RS256", "kid": "x" });
    assert!(!app.takes(&stranger.sign(header.to_string(), ci.claims(now()).to_string())).await);
    assert_eq!(ci.server.requests().len(), 1, "nothing is fetched");
    let state = told(&app, "ci").await;
    assert_eq!(
        (&state["status"], &state["source"], &state["file"]),
        (&json!("ready"), &json!("file"), &json!("ci.json"))
    );
    app.clock.advance(2 * DAY);
    assert!(app.takes(&ci.good(now() + 2 * DAY)).await, "a file does not age");
    assert!(app.scrape().await.of("jeton_issuer_keys_age_seconds").is_empty());
}

#[actix_web::test]
async fn each_algorithm_is_taken_where_the_policies_name_it() {
    let server = FakeIssuer::start().await;
    let (rsa, p256, p384, ed25519) = (Signer::rsa(), Signer::p256(), Signer::p384(), Signer::ed25519());
    let named = |key: &Signer, kid: &str| {
        let mut jwk = key.jwk();
        jwk["kid"] = kid.into();
        jwk
    };
    let set =
        json!({ "keys": [named(&rsa, "r"), named(&p256, "p"), named(&p384, "q"), named(&ed25519, "e")] });
    server.answers_at("/keys", json_answer(&set));
    let platform = Platform { server, key: Forge::with_the_servers_key() };
    let jwks = format!("{{ jwks: {} }}", platform.jwks_uri());
    let policies = |algorithms: &str| {
        platform.policies(&format!("    algorithms: [{algorithms}]\n")).replace("{ discover: true }", &jwks)
    };
    let all = "RS256, RS384, RS512, PS256, PS384, PS512, ES256, ES384, EdDSA";
    let app = spawn_with(policies(all));
    let rows = [
        ("RS256", "r", &rsa),
        ("RS384", "r", &rsa),
        ("RS512", "r", &rsa),
        ("PS256", "r", &rsa),
        ("PS384", "r", &rsa),
        ("PS512", "r", &rsa),
        ("ES256", "p", &p256),
        ("ES384", "q", &p384),
        ("EdDSA", "e", &ed25519),
        ("Ed25519", "e", &ed25519),
    ];
    let token = |alg: &str, kid: &str, key: &Signer| {
        key.sign(alg, &json!({ "alg": alg, "kid": kid }), &platform.claims(now()))
    };
    for (alg, kid, key) in rows {
        assert!(app.takes(&token(alg, kid, key)).await, "{alg}");
    }
    for alg in ["none", "HS256", "ES512", "RS1", "ES256K"] {
        assert!(!app.takes(&token(alg, "r", &rsa)).await, "{alg}");
    }
    assert!(!app.takes(&token("ES256", "q", &p384)).await, "a key of another curve");
    let only = spawn_with(policies("ES384"));
    for (alg, kid, key) in rows {
        assert_eq!(only.takes(&token(alg, kid, key)).await, alg == "ES384", "{alg}");
    }
}

fn nowhere(_: IpAddr) -> bool {
    false
}

fn anywhere(_: IpAddr) -> bool {
    true
}

/// What is judged is the address to which the connection would be made, whichever name leads there.
#[actix_web::test]
async fn an_address_that_is_not_allowed_is_not_connected_to() {
    let trap = FakeIssuer::start().await;
    let port = Url::parse(trap.issuer.as_str()).unwrap().port().unwrap();
    let fetcher = |allowed| {
        let reach = Reach { allowed: Some(allowed), ..Reach::default() };
        Fetcher::reaching(Transport::Http, Duration::from_secs(5), reach).unwrap()
    };
    for host in ["localhost", "127.0.0.1", "127.1", "[::ffff:127.0.0.1]"] {
        let url = Url::parse(&format!("http://{host}:{port}/keys")).unwrap();
        let refused = fetcher(nowhere).get_as(&url, "application/json", None).await;
        let error = refused.map(|_| ()).unwrap_err();
        let text = error.to_string();
        assert!(matches!(error, HttpError::Forbidden(_) | HttpError::Connection(_)), "{host}: {text}");
        assert!(text.contains("an address of an internal network"), "{host}: {text}");
    }
    assert!(trap.requests().is_empty());
    trap.answers(Answer::Status(200, "", b"{}".to_vec()));
    let url = Url::parse(&format!("http://127.0.0.1:{port}/keys")).unwrap();
    let (body, peer) = fetcher(anywhere).get_as(&url, "application/json", Some("a.b.c")).await.unwrap();
    assert_eq!((body.as_slice(), peer), (b"{}".as_slice(), Some("127.0.0.1".parse().unwrap())));
    let request = trap.requests().remove(0).to_ascii_lowercase();
    assert!(request.contains("authorization: bearer a.b.c"), "{request}");
}

#[actix_web::test]
async fn a_form_that_waits_for_keys_ends_in_time() {
    let ci = Platform::start().await;
    ci.server.answers_at("/.well-known/openid-configuration", Answer::Trickle);
    let app = spawn(&ci);
    let token = ci.good(now());
    let form = as_assertion(JWT_BEARER, &token);
    let (status, _) = time::timeout(Duration::from_secs(10), app.post_bare(&form)).await.expect("an answer");
    assert_eq!(status, 401);
}
