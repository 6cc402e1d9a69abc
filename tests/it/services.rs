//! A service from its issuer's address alone: what it fetches, what it shows, when it ends.

use std::{fs, sync::Arc};

use futures_util::future::{join, join_all};
use jeton_verify::{Authorizer, ServiceCredentials};
use serde_json::json;
use tempfile::TempDir;
use tokio::{sync::Semaphore, task};

use crate::{
    jwks_source::{first, set},
    support::{
        bundle::{
            ALLOWED, BUNDLE, BundleIssuer, METADATA, NO_POLICIES, ORDERS_OF_ACME, bundle_of, with, without,
        },
        issuer::{Answer, JWKS},
    },
};

#[actix_web::test]
async fn metadata_of_somebody_else_are_not_believed() {
    let issuer = BundleIssuer::start().await;
    let good = issuer.metadata();
    for (name, metadata, part) in [
        (
            "another issuer",
            with(&good, "issuer", "https://tokens.example.com"),
            "another issuer, `https://tokens.example.com`",
        ),
        ("a slash", with(&good, "issuer", format!("{}/", issuer.issuer.issuer)), "another issuer"),
        ("no issuer", without(&good, "issuer"), "another issuer"),
        ("no keys", without(&good, "jwks_uri"), "`jwks_uri`"),
        ("keys elsewhere", with(&good, "jwks_uri", "http://192.0.2.1/jwks.json"), "`jwks_uri`"),
        ("keys of a file", with(&good, "jwks_uri", "file:///etc/passwd"), "`jwks_uri`"),
        ("no bundles", without(&good, "jeton_policies_endpoint"), "policies folder"),
        ("bundles elsewhere", with(&good, "jeton_policies_endpoint", "http://127.0.0.1:1/policies"), "host"),
        ("no address", with(&good, "jeton_policies_endpoint", 7), "URL"),
        ("a list", json!([]), "JSON object"),
    ] {
        issuer.says(&metadata);
        let service = issuer.service();
        issuer.check(&service, NO_POLICIES, name).await;
        let error = bundle_of(&service).state().failure.unwrap().error;
        assert!(error.contains(part), "{name}: {error}");
    }
}

#[actix_web::test]
async fn many_that_ask_at_once_wait_for_one_fetch() {
    let issuer = BundleIssuer::start().await;
    let gate = Arc::new(Semaphore::new(0));
    let body = json!(issuer.metadata()).to_string().into_bytes();
    issuer.issuer.answers_at(METADATA, Answer::Gate(Arc::clone(&gate), body));
    let service = issuer.service();
    let asked = (0..100).map(|_| issuer.check(&service, ALLOWED, "at once"));
    let opens = async {
        // all of them ask first
        task::yield_now().await;
        gate.add_permits(100);
    };
    join(join_all(asked), opens).await;
    assert_eq!((issuer.asked(METADATA), issuer.asked(BUNDLE)), (1, 1));
    assert!(issuer.asked(JWKS) <= 2, "{}", issuer.asked(JWKS));
}

#[actix_web::test]
async fn a_hundred_threads_decide_at_once() {
    let issuer = BundleIssuer::start().await;
    let service = issuer.service();
    issuer.check(&service, ALLOWED, "at first").await;
    let bearer = issuer.bearer();
    let statuses = task::spawn_blocking(move || {
        std::thread::scope(|scope| {
            let threads: Vec<_> = (0..100)
                .map(|_| {
                    scope.spawn(|| {
                        let answer = |target| {
                            let answer = service.answer("GET", target, [&*bearer]);
                            futures_util::FutureExt::now_or_never(answer).map(|answer| answer.status)
                        };
                        (0..50)
                            .all(|_| (answer(ORDERS_OF_ACME), answer("/nowhere")) == (Some(200), Some(403)))
                    })
                })
                .collect();
            threads.into_iter().all(|thread| thread.join().unwrap())
        })
    });
    assert!(statuses.await.unwrap(), "each is decided at once, and rightly");
    assert_eq!(issuer.asked(BUNDLE), 1);
}

#[actix_web::test]
async fn a_client_shows_a_token_and_fetches_it_anew_when_it_must() {
    let issuer = BundleIssuer::start().await;
    let dir = TempDir::new().unwrap();
    let secret_file = dir.path().join("secret");
    fs::write(&secret_file, "a secret: +&\n").unwrap();
    let token = |token: &str, seconds: u32| {
        let body = json!({ "access_token": token, "token_type": "Bearer", "expires_in": seconds });
        Answer::Status(200, "", body.to_string().into_bytes())
    };
    issuer.issuer.answers_at("/oauth2/token", token("one", 300));
    let mut options = issuer.options();
    let id = jeton_oauth::ClientId::parse("orders-service").unwrap();
    options.credentials = Some(ServiceCredentials::Client { id, secret_file: secret_file.clone() });
    let service = options.clone().start().unwrap();
    issuer.check(&service, ALLOWED, "at first").await;
    let last = |path: &str| issuer.issuer.requests().into_iter().rfind(|head| head.contains(path)).unwrap();
    let asked = last("/oauth2/token");
    // RFC 6749 section 2.3.1: encoded as in forms first
    let basic =
        base64::Engine::encode(&base64::prelude::BASE64_STANDARD, "orders-service:a+secret%3A+%2B%26");
    assert!(
        asked.starts_with("POST ") && asked.contains(&format!("authorization: Basic {basic}\r\n")),
        "{asked}"
    );
    let resource = issuer.issuer.issuer.as_str().replace(':', "%3A").replace('/', "%2F");
    let form = format!("grant_type=client_credentials&scope=jeton%3Apolicies&resource={resource}");
    assert!(asked.ends_with(&form), "{asked}");
    assert!(last(BUNDLE).contains("authorization: Bearer one\r\n"));

    let bundle = bundle_of(&service);
    for (name, pause, tokens) in [("kept", 180, 1), ("renewed before its end", 60, 2), ("kept again", 60, 2)]
    {
        issuer.issuer.clock.advance(pause);
        bundle.refresh().await;
        assert_eq!(issuer.asked("/oauth2/token"), tokens, "{name}");
    }
    issuer.answers(Answer::Status(401, "", Vec::new()));
    let before = issuer.asked(BUNDLE);
    issuer.issuer.clock.advance(60);
    bundle.refresh().await;
    assert_eq!(
        (issuer.asked("/oauth2/token"), issuer.asked(BUNDLE)),
        (3, before + 2),
        "once more with a new one"
    );
    assert!(bundle.state().failure.unwrap().error.contains("grant its client"));
    for (name, answer, part) in [
        (
            "refused",
            Answer::Status(401, "", br#"{"error":"invalid_client"}"#.to_vec()),
            "`invalid_client` (401)",
        ),
        ("no token", Answer::Status(200, "", b"{}".to_vec()), "no token"),
        ("away", Answer::HangUp, "a token for the bundle"),
    ] {
        issuer.issuer.answers_at("/oauth2/token", answer);
        issuer.issuer.clock.advance(301);
        bundle.refresh().await;
        let error = bundle.state().failure.unwrap().error;
        assert!(error.contains(part), "{name}: {error}");
    }
    fs::write(&secret_file, "\n").unwrap();
    issuer.issuer.clock.advance(301);
    bundle.refresh().await;
    assert!(bundle.state().failure.unwrap().error.contains("holds no secret"));

    // somebody else's tokens
    issuer.serves(&issuer.good());
    options.credentials = Some(ServiceCredentials::Token(Arc::new(|| Ok("given".to_owned()))));
    let service = options.start().unwrap();
    issuer.check(&service, ALLOWED, "given").await;
    assert!(last(BUNDLE).contains("authorization: Bearer given\r\n"));
}

#[actix_web::test]
async fn a_service_may_have_policies_and_keys_of_its_own() {
    let issuer = BundleIssuer::start().await;
    issuer.goes_away();
    issuer.issuer.policies();
    let jwks = issuer.issuer.dir.path().join("jwks.json");
    fs::write(&jwks, set(&[first().jwk()])).unwrap();
    let mut options = issuer.options();
    options.policies = Some(issuer.issuer.dir.path().join("policies"));
    options.jwks = Some(jwks.clone());
    let service = options.clone().start().unwrap();
    issuer.check(&service, ALLOWED, "without the issuer").await;
    assert_eq!(issuer.issuer.requests(), Vec::<String>::new());
    fs::write(&jwks, "{}").unwrap();
    assert!(options.clone().start().is_err());
    options.jwks = Some(jwks.with_file_name("missing.json"));
    assert!(options.start().is_err_and(|error| error.to_string().contains("missing.json")));
}

#[actix_web::test]
async fn what_cannot_be_started_says_why() {
    for (issuer, api, part) in [
        ("http://tokens.example.com", "orders", "`https`"),
        ("tokens.example.com", "orders", "absolute URL"),
        ("https://tokens.example.com/", "orders", "slash"),
        ("https://tokens.example.com", "Or ders", "Or ders"),
    ] {
        let started = Authorizer::from_issuer(issuer, api);
        let error = started.err().unwrap_or_else(|| panic!("{issuer} {api} started")).to_string();
        assert!(error.contains(part), "{issuer} {api}: {error}");
    }
    let outside =
        std::thread::spawn(|| Authorizer::from_issuer("https://tokens.example.com", "orders").err());
    assert!(outside.join().unwrap().unwrap().to_string().contains("runtime"));
}

#[actix_web::test]
async fn nothing_is_followed_once_the_authorizer_is_gone() {
    let issuer = BundleIssuer::start().await;
    let service = issuer.service();
    issuer.check(&service, ALLOWED, "at first").await;
    let bundle = Arc::downgrade(&bundle_of(&service));
    let clone = service.clone();
    drop(service);
    assert!(bundle.upgrade().is_some());
    issuer.check(&clone, ALLOWED, "by a clone").await;
    drop(clone);
    for _ in 0..1000 {
        task::yield_now().await;
    }
    assert!(bundle.upgrade().is_none(), "a task still follows it");
}
