//! Bundles over HTTP: what is signed, who may have it, and for how long it is kept.
use std::{fs, io::Read, sync::Arc};

use flate2::read::GzDecoder;
use futures_util::FutureExt;
use jeton::bundles::PolicyBundles;
use jeton_jose::PublicKeys;
use jeton_oauth::{
    ApiName, Audience, Issuer,
    clock::{Clock, ManualClock},
};
use jeton_policy::{BundleAccess, ContentHash, DemoSecrets, LivePolicies, PolicySet, Surroundings, bundle};
use jeton_verify::{BearerToken, Verifier};
use reqwest::{Method, Response};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::support::{
    ISSUER, NOW, ORDERS, Setup, TestApp, forge::decoded, install_key, live_keys, now, scrape::with_admin,
    secrets, spawn_app_with,
};

const HOUR: i64 = 60 * 60;

fn extra() -> String {
    format!(
        "version: 1
scopes: {{ books:read: Read books }}
apis:
  books:
    audience: https://books.example.com
    bundle: clients
    rules:
      read: {{ routes: ['GET /books/{{book}}'], require: {{ scope: 'books:read' }} }}
  closed:
    audience: https://closed.example.com
    rules:
      read: {{ routes: ['GET /closed'], require: {{ scope: 'books:read' }} }}
clients:
  service:
    description: IN-WORDS
    {}
    grants: {{ jeton: {{ scopes: ['jeton:policies'] }} }}
    claims: {{ team: CLAIMED }}
",
        secrets("service")
    )
}

/// The sample, with a public bundle of `orders`, one of `books` for clients, and an API without one.
fn setup() -> Setup {
    let orders = include_str!("../../policies/orders.yaml");
    let orders = orders.replace("    rules:\n      health:", "    bundle: public\n    rules:\n      health:");
    assert!(orders.contains("bundle: public"));
    Setup {
        policies: vec![("orders.yaml", orders), ("extra.yaml", extra())],
        settings: with_admin,
        ..Setup::default()
    }
}

fn spawn() -> TestApp {
    spawn_app_with(setup())
}

#[track_caller]
fn header<'r>(answer: &'r Response, name: &str) -> &'r str {
    answer.headers().get(name).map_or("", |value| value.to_str().unwrap())
}

async fn hash_of(app: &TestApp) -> String {
    let ready: Value = app.get("/readyz").await.json().await.unwrap();
    ready["policies"]["hash"].as_str().unwrap().to_owned()
}

async fn with_token(app: &TestApp, client: &str, path: &str) -> Response {
    let token = app.token_of(client, "jeton").await;
    app.http.get(app.url(path)).bearer_auth(token).send().await.unwrap()
}

/// The public keys of the server.
async fn keys(app: &TestApp) -> PublicKeys {
    PublicKeys::from_jwks(&app.get("/.well-known/jwks.json").await.bytes().await.unwrap()).unwrap()
}

#[tokio::test]
async fn the_first_caller_holds_up_no_other_request_and_may_go_away() {
    let dir = TempDir::new().unwrap();
    install_key("test-only-signing.pem", &dir.path().join("keys"));
    let folder = dir.path().join("policies");
    fs::create_dir(&folder).unwrap();
    for (name, text) in setup().policies {
        fs::write(folder.join(name), text).unwrap();
    }
    let clock = Arc::new(ManualClock::at(NOW.parse().unwrap()));
    let issuer = Issuer::parse(ISSUER).unwrap();
    let surroundings = Surroundings {
        issuer: issuer.audience().clone(),
        max_ttl: Some(86_400),
        demo_secrets: DemoSecrets::Allowed,
        needed_apis: Vec::new(),
    };
    let keys = live_keys(&dir.path().join("keys"), &clock);
    let policies = Arc::new(LivePolicies::load(&folder, surroundings, Arc::clone(&clock) as _).unwrap());
    let bundles = PolicyBundles::new(issuer, keys, policies, clock);
    let serve = || bundles.serve("orders", BundleAccess::Public);
    assert!(serve().now_or_never().is_none(), "another thread signs");
    let first = serve().await.unwrap().unwrap();
    let second = serve().now_or_never().expect("it is there").unwrap().unwrap();
    assert!(Arc::ptr_eq(&first, &second), "it is kept");
    assert!(bundles.serve("orders", BundleAccess::Clients).await.unwrap().is_none());
}

#[actix_web::test]
async fn a_bundle_is_signed_and_says_what_it_is() {
    let app = spawn();
    app.clock.advance(20);
    let answer = app.get("/policies/orders").await;
    assert_eq!(answer.status(), 200);
    assert_eq!(header(&answer, "content-type"), "application/policies+jwt");
    let body = answer.text().await.unwrap();
    let (head, claims) = decoded(&body);
    let keys = keys(&app).await;
    assert_eq!((&head["typ"], &head["alg"]), (&json!("policies+jwt"), &json!("RS256")));
    assert!(keys.iter().any(|key| head["kid"] == key.kid().as_str()));
    let mut names: Vec<_> = claims.as_object().unwrap().keys().collect();
    names.sort();
    assert_eq!(names, ["aud", "exp", "hash", "iat", "iss", "policies"]);
    assert_eq!(claims["iss"], ISSUER);
    assert_eq!(claims["aud"], format!("{ISSUER}/policies/orders"));
    assert_eq!(claims["hash"], hash_of(&app).await);
    assert_eq!(claims["exp"], now() + HOUR + 24 * HOUR);
    let issued_at = claims["iat"].as_i64().unwrap();
    assert!((now()..=now() + 20).contains(&issued_at), "{issued_at}");
    let text = claims["policies"].to_string();
    for absent in ["sha256", "secrets", "IN-WORDS", "CLAIMED", "Read orders", "books", "tests", "guarantees"]
    {
        assert!(!text.contains(absent), "{absent}: {text}");
    }

    let hash = ContentHash::parse(claims["hash"].as_str().unwrap()).unwrap();
    let issuer = Issuer::parse(ISSUER).unwrap();
    let api = ApiName::parse("orders").unwrap();
    let at = NOW.parse().unwrap();
    let policies = PolicySet::from_bundle(&claims["policies"], hash, &issuer, &api, at).unwrap();
    let decides = |path| policies.api("orders").unwrap().decide("GET", path, None).is_allowed();
    assert!(decides("/healthz") && !decides("/tenants/acme/orders"));
}

/// It is signed by the key of tokens, so its type and audience must tell it apart.
#[actix_web::test]
async fn no_verifier_takes_a_bundle_for_a_token() {
    let app = spawn();
    let bundle = app.get("/policies/orders").await.text().await.unwrap();
    for path in ["/principal", "/policies/books", "/ops/policies"] {
        let answer = app.http.get(app.url(path)).bearer_auth(&bundle).send().await.unwrap();
        assert_eq!(answer.status(), 401, "{path}");
        assert!(header(&answer, "www-authenticate").contains("invalid_token"), "{path}");
    }
    let clock: Arc<dyn Clock> = app.clock.clone();
    let leeway = std::time::Duration::from_secs(30);
    let verifier = Verifier::new(Issuer::parse(ISSUER).unwrap(), Arc::new(keys(&app).await), leeway, clock);
    let own = bundle::address(&Issuer::parse(ISSUER).unwrap(), &ApiName::parse("orders").unwrap());
    for audience in [ORDERS, ISSUER, &own] {
        let token = BearerToken::new(bundle.clone());
        assert!(verifier.verify(&token, &Audience::parse(audience).unwrap()).is_err(), "{audience}");
    }
    let form = [("token", bundle.as_str())];
    assert_eq!(app.post_form("/oauth2/introspect", "acme-sync", &form).await.0, 400, "it may not ask");
}

#[actix_web::test]
async fn what_anybody_may_have_is_kept_by_caches() {
    let app = spawn();
    let answer = app.get("/policies/orders").await;
    let etag = header(&answer, "etag").to_owned();
    let exp = now() + 25 * HOUR;
    assert_eq!(etag, format!("W/\"{}-{exp}\"", hash_of(&app).await));
    assert_eq!(header(&answer, "cache-control"), "public, max-age=60");
    assert_eq!(header(&answer, "vary"), "Accept-Encoding");
    let strong = etag.trim_start_matches("W/").to_owned();
    for (known, status) in [
        (etag.clone(), 304),
        (strong, 304),
        (format!("\"x\", {etag}"), 304),
        ("*".to_owned(), 304),
        ("\"x\"".to_owned(), 200),
        (etag.replace("-1", "-2"), 200),
    ] {
        for method in [Method::GET, Method::HEAD] {
            let request = app.http.request(method.clone(), app.url("/policies/orders"));
            let answer = request.header("if-none-match", &known).send().await.unwrap();
            assert_eq!(answer.status(), status, "{method} {known}");
            assert_eq!(header(&answer, "etag"), etag);
            assert_eq!(header(&answer, "cache-control"), "public, max-age=60");
            assert_eq!(header(&answer, "vary"), "Accept-Encoding");
            let is_empty = answer.bytes().await.unwrap().is_empty();
            assert_eq!(is_empty, status == 304 || method == Method::HEAD, "{method} {known}");
        }
    }
    // a token of whoever asks does not matter, right or wrong
    let answer = app.http.get(app.url("/policies/orders")).bearer_auth("wrong").send().await.unwrap();
    assert_eq!(answer.status(), 200);
}

#[actix_web::test]
async fn what_clients_may_have_needs_the_scope() {
    let app = spawn();
    let answer = app.get("/policies/books").await;
    assert_eq!((answer.status().as_u16(), header(&answer, "www-authenticate")), (401, "Bearer"));
    let answer = with_token(&app, "operator", "/policies/books").await;
    assert_eq!(answer.status(), 403);
    assert!(header(&answer, "www-authenticate").contains("scope=\"jeton:policies\""));
    let other_api = app.token_of("acme-sync", "orders").await;
    let answer = app.http.get(app.url("/policies/books")).bearer_auth(other_api).send().await.unwrap();
    assert_eq!(answer.status(), 401);

    let answer = with_token(&app, "service", "/policies/books").await;
    assert_eq!(answer.status(), 200);
    assert_eq!(header(&answer, "cache-control"), "private, max-age=60");
    assert_eq!(header(&answer, "vary"), "Accept-Encoding, Authorization");
    let etag = header(&answer, "etag").to_owned();
    let (_, claims) = decoded(&answer.text().await.unwrap());
    assert_eq!(claims["aud"], format!("{ISSUER}/policies/books"));

    // a copy at hand is no reason to learn that it is current
    let without = app.http.get(app.url("/policies/books")).header("if-none-match", &etag);
    assert_eq!(without.send().await.unwrap().status(), 401);
    let token = app.token_of("service", "jeton").await;
    let with = app.http.get(app.url("/policies/books")).header("if-none-match", &etag).bearer_auth(token);
    let answer = with.send().await.unwrap();
    assert_eq!(answer.status(), 304);
    assert_eq!(header(&answer, "cache-control"), "private, max-age=60");
    assert_eq!(answer.bytes().await.unwrap().len(), 0);
}

#[actix_web::test]
async fn what_has_no_bundle_is_not_found() {
    let app = spawn();
    for path in [
        "/policies/closed",
        "/policies/jeton",
        "/policies/nothing",
        "/policies/",
        "/policies",
        "/policies/orders/",
    ] {
        assert_eq!(app.get(path).await.status(), 404, "{path}");
        assert_eq!(with_token(&app, "service", path).await.status(), 404, "{path}");
    }
    // however it is written, the guard stands before what is for clients
    for path in [
        "/policies/b%6foks",
        "/policies/%62ooks",
        "/policies/books%20",
        "/policies//books",
        "/x/../policies/books",
    ] {
        let answer =
            app.send_raw(format!("GET {path} HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n")).await;
        assert!([400, 401, 403, 404].contains(&answer.status), "{path}: {}", answer.head);
        assert!(!answer.body.contains("policies+jwt") && !answer.body.contains("eyJ"), "{path}");
    }
    let answer = app.http.post(app.url("/policies/orders")).send().await.unwrap();
    assert_eq!((answer.status().as_u16(), header(&answer, "allow")), (405, "GET, HEAD"));
}

#[actix_web::test]
async fn a_bundle_is_compressed_for_who_takes_that() {
    let app = spawn();
    let plain = app.get("/policies/orders").await;
    assert_eq!(header(&plain, "content-encoding"), "");
    let etag = header(&plain, "etag").to_owned();
    let plain = plain.text().await.unwrap();
    for (accepted, is_compressed) in [
        ("gzip", true),
        ("br, GZIP;q=0.5", true),
        ("deflate,gzip ; q=1", true),
        ("gzip;q=0", false),
        ("gzip; q=0.000", false),
        ("br", false),
        ("identity", false),
        ("xgzip", false),
    ] {
        let request = app.http.get(app.url("/policies/orders")).header("accept-encoding", accepted);
        let answer = request.send().await.unwrap();
        assert_eq!(header(&answer, "content-encoding") == "gzip", is_compressed, "{accepted}");
        assert_eq!(header(&answer, "etag"), etag);
        let body = answer.bytes().await.unwrap();
        let mut text = String::new();
        if is_compressed {
            GzDecoder::new(&*body).read_to_string(&mut text).unwrap();
            assert!(body.len() < plain.len());
        } else {
            text = String::from_utf8(body.to_vec()).unwrap();
        }
        assert_eq!(text, plain, "{accepted}");
    }
}

/// The budget of the contract: what goes over the wire for 1,000 rules.
#[actix_web::test]
async fn a_thousand_rules_are_less_than_50_kib() {
    let rule = |at: usize| {
        format!(
            "      rule-{at}: {{ routes: ['GET /tenants/{{tenant}}/things-{at}/{{id}}', 'PUT /tenants/{{tenant}}/things-{at}/{{id}}'], require: {{ scope: 'many:{}', claims: {{ tenant: {{ same_as_path: tenant }} }} }} }}\n",
            at % 50
        )
    };
    let scopes = (0..50).map(|at| format!("  many:{at}: x\n")).collect::<Vec<_>>().concat();
    let rules = (0..1000).map(rule).collect::<Vec<_>>().concat();
    let many = format!(
        "version: 1\nscopes:\n{scopes}apis:\n  many:\n    audience: https://many.example.com\n    bundle: public\n    rules:\n{rules}"
    );
    let app = spawn_app_with(Setup { policies: vec![("many.yaml", many)], ..Setup::default() });
    let answer =
        app.http.get(app.url("/policies/many")).header("accept-encoding", "gzip").send().await.unwrap();
    let length = answer.bytes().await.unwrap().len();
    assert!(length < 50 * 1024, "{length} bytes");
}

#[actix_web::test]
async fn a_bundle_is_signed_once_for_each_hour_edit_and_key() {
    let app = spawn();
    let get = async || {
        let answer = app.get("/policies/orders").await;
        (header(&answer, "etag").to_owned(), answer.text().await.unwrap())
    };
    let first = get().await;
    app.clock.advance(HOUR - 1);
    assert_eq!(get().await, first, "the same bytes through the hour");
    app.clock.advance(1);
    let second = get().await;
    assert_ne!(second.0, first.0);
    let exp = |signed: &str| decoded(signed).1["exp"].as_i64().unwrap();
    assert_eq!(exp(&second.1) - exp(&first.1), HOUR);
    assert_eq!(decoded(&second.1).1["iat"], now() + HOUR);

    app.write_policy("extra.yaml", &extra().replace("IN-WORDS", "in other words"));
    assert_eq!(app.post_reload().await.status(), 200);
    let third = get().await;
    assert_ne!(third.0, second.0, "the hash is another one");
    assert_eq!(exp(&third.1), exp(&second.1));
    assert_eq!(decoded(&third.1).1["hash"], hash_of(&app).await);
}

/// Their keys differ, and so do the bytes; the policies and the hour do not.
#[actix_web::test]
async fn replicas_answer_with_one_entity_tag() {
    let (one, other) = (spawn(), spawn());
    let keys = other.dir.path().join("keys");
    std::fs::remove_dir_all(&keys).unwrap();
    install_key("test-only-other.pem", &keys);
    assert_eq!(other.post_reload().await.status(), 200);
    other.clock.advance(HOUR - 1);
    let [a, b] = [one.get("/policies/orders").await, other.get("/policies/orders").await];
    assert_eq!(header(&a, "etag"), header(&b, "etag"));
    let [a, b] = [a.text().await.unwrap(), b.text().await.unwrap()].map(|text| decoded(&text));
    assert_ne!(a.0["kid"], b.0["kid"]);
    assert_eq!(a.1["policies"], b.1["policies"]);
}

/// A bundle that is closed by an edit is closed at once, and one that is opened to clients needs a token.
#[actix_web::test]
async fn an_edit_closes_a_bundle() {
    let app = spawn();
    let orders = app.policy("orders.yaml");
    for (bundle, status) in [("    bundle: clients\n", 401), ("", 404), ("    bundle: public\n", 200)] {
        app.write_policy("orders.yaml", &orders.replace("    bundle: public\n", bundle));
        let _ = app.post_reload().await;
        assert_eq!(app.get("/policies/orders").await.status(), status, "{bundle:?}");
    }
}

#[actix_web::test]
async fn it_is_told_which_policies_services_have() {
    let app = spawn();
    let first = hash_of(&app).await;
    let etag = header(&app.get("/policies/orders").await, "etag").to_owned();
    let known = app.http.get(app.url("/policies/orders")).header("if-none-match", &etag);
    assert_eq!(known.send().await.unwrap().status(), 304);
    assert_eq!(app.get("/policies/books").await.status(), 401, "which is not counted");
    let label = |api: &str, hash: &str, count: u8| format!("api=\"{api}\",hash=\"{hash}\" {count}");
    let counts = async || {
        let scrape = app.scrape().await;
        let samples = scrape.of("jeton_bundles_fetched_total").into_iter();
        samples.map(|(labels, count)| format!("{labels} {count}")).collect::<Vec<_>>()
    };
    assert_eq!(counts().await, [label("books", &first, 0), label("orders", &first, 2)]);

    let edit = async |words: &str| {
        app.write_policy("extra.yaml", &extra().replace("IN-WORDS", words));
        assert_eq!(app.post_reload().await.status(), 200);
        hash_of(&app).await
    };
    let second = edit("second").await;
    assert_eq!(app.get("/policies/orders").await.status(), 200);
    let mut expected = vec![
        label("books", &first, 0),
        label("orders", &first, 2),
        label("books", &second, 0),
        label("orders", &second, 1),
    ];
    let mut came = counts().await;
    expected.sort();
    came.sort();
    assert_eq!(came, expected, "those before stay until the next edit");
    let answer = with_token(&app, "operator", "/ops/policies").await;
    let told: Value = answer.json().await.unwrap();
    let fetched = told["bundles"].as_array().unwrap();
    assert!(fetched.contains(&json!({ "api": "orders", "hash": first, "fetched": 2 })), "{told}");
    assert!(fetched.contains(&json!({ "api": "orders", "hash": second, "fetched": 1 })), "{told}");

    let third = edit("third").await;
    let came = counts().await;
    assert!(!came.iter().any(|sample| sample.contains(&first)), "{came:?}");
    assert_eq!(came.len(), 4);
    assert!(came.contains(&label("orders", &third, 0)));
}

#[actix_web::test]
async fn discovery_says_where_bundles_are() {
    for path in ["", "/tokens"] {
        let issuer = format!("{ISSUER}{path}");
        let app = spawn_app_with(Setup { issuer: issuer.clone(), ..setup() });
        for document in ["oauth-authorization-server", "openid-configuration"] {
            let metadata: Value =
                app.get(&format!("/.well-known/{document}{path}")).await.json().await.unwrap();
            assert_eq!(metadata["jeton_policies_endpoint"], format!("{issuer}/policies"));
        }
        let answer = app.get(&format!("{path}/policies/orders")).await;
        assert_eq!(answer.status(), 200, "{path}");
        let (_, claims) = decoded(&answer.text().await.unwrap());
        assert_eq!(claims["aud"], format!("{issuer}/policies/orders"));
        assert_eq!(app.get(&format!("{path}/policies/books")).await.status(), 401, "{path}");
    }
}

/// A service that starts again from what it kept verifies a bundle for as long as that lives.
#[actix_web::test]
async fn a_retired_key_stays_published_while_its_bundles_live() {
    let published = async |policies: Vec<(&'static str, String)>, reloaded: Option<(&str, &str)>| {
        let short = |settings: &mut jeton::config::Settings| {
            settings.tokens.max_ttl = std::time::Duration::from_hours(1);
            settings.tokens.refresh_ttl = std::time::Duration::from_hours(1);
        };
        let app = spawn_app_with(Setup { policies, settings: short, ..Setup::default() });
        // the first key retires now
        let keys_dir = app.dir.path().join("keys");
        install_key("test-only-other.pem", &keys_dir);
        let ring = std::fs::read_to_string(keys_dir.join("keyring.yaml")).unwrap();
        std::fs::write(keys_dir.join("keyring.yaml"), ring.replace("2026-01-02T00:00:00Z", NOW)).unwrap();
        if let Some((name, text)) = reloaded {
            app.write_policy(name, text);
        }
        assert_eq!(app.post_reload().await.status(), 200);
        let until = async |seconds| {
            app.clock.advance(seconds);
            keys(&app).await.iter().count()
        };
        [until(HOUR + 60).await, until(23 * HOUR).await, until(HOUR + 10 * 60).await]
    };
    let of_sample = setup().policies;
    assert_eq!(published(of_sample.clone(), None).await, [2, 2, 1]);
    let orders = of_sample[0].1.replace("    bundle: public\n", "");
    let closed = extra().replace("    bundle: clients\n", "");
    let without = vec![("orders.yaml", orders), ("extra.yaml", closed.clone())];
    assert_eq!(published(without.clone(), None).await, [1, 1, 1], "tokens need it no longer");
    // a bundle that an edit brings counts as well
    assert_eq!(published(without, Some(("extra.yaml", &extra()))).await, [2, 2, 1]);
}
