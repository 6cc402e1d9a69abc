//! A service that trusts the published keys of an issuer: what it takes, and when it asks.

use std::{pin::Pin, sync::Arc, time::Duration};

use actix_web::{App, HttpResponse, HttpServer, web};
use futures_util::{StreamExt, future::join, stream};
use jeton_actix::{Caller, Protect};
use jeton_jose::{JwsError, PublicKeys};
use jeton_oauth::{ApiName, Audience, Issuer, clock::Clock};
use jeton_policy::{DemoSecrets, LivePolicies, Surroundings};
use jeton_verify::{
    Authorizer, BearerToken, ExplainedAsker, ExplainedRequest, JwksSource, KeySource, NoAnswer, TokenError,
    TrustedKeys, Verifier,
    status::{FetchedLists, StatusError, StatusFetchOptions},
};
use reqwest::Client;
use serde_json::json;
use tokio::sync::Semaphore;

use crate::{
    jwks_source::{assert_keys, first, patient, second, serves, set, until},
    support::{
        ISSUER, Setup,
        forge::{Draft, Forge},
        http_client, install_key,
        issuer::{Answer, FakeIssuer, JWKS, signed, signed_as},
        now,
        program::PATIENCE,
        spawn_app_with,
    },
};

/// A token of `acme-sync` for jeton's own API, by this key.
fn token(issuer: &FakeIssuer, forge: &Forge) -> String {
    draft(issuer, forge).sign(forge)
}

fn draft(issuer: &FakeIssuer, forge: &Forge) -> Draft {
    let name = format!("\"{}\"", issuer.issuer);
    Draft::good(&forge.kid(), now()).claim("iss", name.clone()).claim("aud", name)
}

fn pointing(uri: &str) -> String {
    json!({ "status_list": { "idx": 1, "uri": uri } }).to_string()
}

fn verifier(issuer: &FakeIssuer, keys: impl Into<TrustedKeys>) -> Verifier {
    let clock = Arc::clone(&issuer.clock) as Arc<dyn Clock>;
    Verifier::new(issuer.issuer.clone(), keys, Duration::from_secs(30), clock)
}

#[actix_web::test]
async fn a_verifier_trusts_what_is_published() {
    let issuer = FakeIssuer::start().await;
    issuer.answers(serves(set(&[first().jwk()])));
    let source = issuer.source(&patient());
    let verifier = verifier(&issuer, Arc::clone(&source));
    let (old, new) = (token(&issuer, &first()), token(&issuer, &second()));
    let own = issuer.issuer.audience();
    let verify = |token: &str| verifier.verify(&BearerToken::new(token), own).err();
    let unknown = Some(TokenError::Jws(JwsError::UnknownKey));
    assert_eq!(verify(&old), unknown, "before the first fetch nothing is trusted");
    assert!(issuer.requests().is_empty(), "verifying fetches nothing");
    verifier.fetch_keys().await;
    assert_eq!((verify(&old), verify(&new)), (None, unknown.clone()));
    issuer.answers(serves(set(&[second().jwk()])));
    issuer.clock.advance(30);
    verifier.fetch_keys().await;
    assert_eq!((verify(&old), verify(&new)), (unknown, None), "what left the set is refused at once");
    // a name alone is no key: the set may give it to another one
    let mut renamed = first().jwk();
    renamed["kid"] = second().kid().into();
    issuer.answers(serves(set(&[renamed])));
    issuer.clock.advance(300);
    source.refresh().await;
    assert_eq!(verify(&new), Some(TokenError::Jws(JwsError::Signature)));
}

/// Somebody else's source of keys, around the usual one.
struct WrappedKeys(Arc<JwksSource>);

impl KeySource for WrappedKeys {
    fn current(&self) -> Arc<PublicKeys> {
        self.0.current()
    }

    fn can_fetch(&self) -> bool {
        true
    }

    fn fetch_unknown(&self) -> Pin<Box<dyn Future<Output = ()> + Send + '_>> {
        Box::pin(self.0.fetch())
    }
}

#[actix_web::test]
async fn a_source_of_somebody_else_is_asked_to_fetch_too() {
    let issuer = FakeIssuer::start().await;
    issuer.answers(serves(set(&[first().jwk()])));
    let wrapped = Arc::new(WrappedKeys(issuer.source(&patient())));
    let service = Guarded::by(&issuer, verifier(&issuer, wrapped));
    assert_eq!(service.get(&token(&issuer, &first())).await, 200);
    assert_eq!(issuer.requests().len(), 1);
    service.stop().await;
}

/// A service behind `Protect` with one handler.
struct Guarded {
    url: String,
    http: Client,
    handle: actix_web::dev::ServerHandle,
}

impl Guarded {
    fn start(authorizer: Authorizer, path: &'static str) -> Self {
        let server = HttpServer::new(move || {
            let client = |caller: Caller| async move {
                HttpResponse::Ok().body(caller.client().unwrap().as_str().to_owned())
            };
            App::new().wrap(Protect::new(authorizer.clone())).route(path, web::get().to(client))
        });
        let server = server.workers(1).bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}{path}", server.addrs()[0]);
        let server = server.run();
        let handle = server.handle();
        tokio::spawn(server);
        Self { url, http: http_client(), handle }
    }

    /// By the policies of the sample.
    fn by(issuer: &FakeIssuer, verifier: Verifier) -> Self {
        let api = ApiName::parse("jeton").unwrap();
        Self::start(Authorizer::new(verifier, issuer.policies(), api), "/principal")
    }

    async fn get(&self, token: &str) -> u16 {
        self.http.get(&self.url).bearer_auth(token).send().await.unwrap().status().as_u16()
    }

    async fn stop(self) {
        self.handle.stop(false).await;
    }
}

#[actix_web::test]
async fn a_protected_service_fetches_a_key_at_first_sight() {
    let issuer = FakeIssuer::start().await;
    issuer.answers(serves(set(&[first().jwk()])));
    let service = Guarded::by(&issuer, verifier(&issuer, issuer.source(&patient())));
    let (old, new) = (token(&issuer, &first()), token(&issuer, &second()));
    let bad = |name: &str, json: &str| draft(&issuer, &second()).header(name, json).sign(&second());
    for (name, token, status, requests) in [
        // what is no token of ours, whoever signed it, asks nobody
        ("garbage", "garbage".to_owned(), 401, 0),
        ("no kid", draft(&issuer, &second()).no_header("kid").sign(&second()), 401, 0),
        ("another typ", bad("typ", "\"statuslist+jwt\""), 401, 0),
        ("a header that is never taken", bad("jku", "\"https://other.example\""), 401, 0),
        (
            "too long",
            draft(&issuer, &second()).claim("x", format!("\"{}\"", "x".repeat(9000))).sign(&second()),
            401,
            0,
        ),
        ("the first", old.clone(), 200, 1),
        ("the second", old.clone(), 200, 1),
        ("a wrong signature", draft(&issuer, &first()).sign(&second()), 401, 1),
        ("an unknown key within the cooldown", new.clone(), 401, 1),
    ] {
        assert_eq!(service.get(&token).await, status, "{name}");
        assert_eq!(issuer.requests().len(), requests, "{name}");
    }
    issuer.clock.advance(30);
    issuer.answers(serves(set(&[second().jwk()])));
    assert_eq!(service.get(&new).await, 200, "a new key is found by the request that needs it");
    assert_eq!(service.get(&old).await, 401, "and what left the set is refused");
    assert_eq!(issuer.requests().len(), 2);
    service.stop().await;
}

#[actix_web::test]
async fn a_flood_of_invented_keys_causes_one_fetch() {
    let issuer = FakeIssuer::start().await;
    issuer.answers(serves(set(&[first().jwk()])));
    let source = issuer.source(&patient());
    source.refresh().await;
    let service = Guarded::by(&issuer, verifier(&issuer, Arc::clone(&source)));
    let good = token(&issuer, &first());
    let gate = Arc::new(Semaphore::new(0));
    issuer.answers(Answer::Gate(Arc::clone(&gate), set(&[first().jwk()])));
    // one signature does for all: it is not looked at
    let signed = token(&issuer, &second());
    let (_, rest) = signed.split_once('.').unwrap();
    let invented: Vec<_> = (0..1000)
        .map(|number| {
            let header = json!({ "typ": "at+jwt", "alg": "RS256", "kid": format!("invented-{number}") });
            format!("{}.{rest}", crate::support::forge::base64url(header.to_string()))
        })
        .collect();
    let flood = stream::iter(&invented).for_each_concurrent(50, |token| async {
        assert_eq!(service.get(token).await, 401);
    });
    let beside = async {
        until(|| issuer.requests().len() == 2).await;
        assert_eq!(service.get(&good).await, 200, "who has a good token does not wait");
        gate.add_permits(1);
    };
    join(flood, beside).await;
    assert_eq!(issuer.requests().len(), 2);
    issuer.clock.advance(30);
    gate.add_permits(1);
    assert_eq!(service.get(&invented[0]).await, 401);
    assert_eq!(issuer.requests().len(), 3, "one more after the cooldown");
    service.stop().await;
}

#[actix_web::test]
async fn keys_that_are_held_are_never_fetched() {
    let issuer = FakeIssuer::start().await;
    let verifier = verifier(&issuer, Arc::clone(&issuer.keys));
    assert!(!verifier.can_fetch_keys());
    verifier.fetch_keys().await;
    let service = Guarded::by(&issuer, verifier);
    assert_eq!(service.get(&token(&issuer, &second())).await, 401);
    assert_eq!(service.get(&token(&issuer, &first())).await, 200);
    assert_eq!(issuer.requests(), Vec::<String>::new());
    service.stop().await;
}

fn lists(issuer: &FakeIssuer, keys: impl Into<TrustedKeys>) -> Arc<FetchedLists> {
    let options = StatusFetchOptions { timeout: PATIENCE, ..StatusFetchOptions::default() };
    let clock = Arc::clone(&issuer.clock) as Arc<dyn Clock>;
    Arc::new(FetchedLists::new(issuer.issuer.clone(), keys, &options, clock).unwrap())
}

/// The paths that were asked for.
fn paths(issuer: &FakeIssuer) -> Vec<String> {
    issuer.requests().iter().map(|head| head.split(' ').nth(1).unwrap().to_owned()).collect()
}

#[actix_web::test]
async fn one_request_may_wait_for_a_key_and_then_for_a_list() {
    let issuer = FakeIssuer::start().await;
    issuer.answers_at(JWKS, serves(set(&[first().jwk()])));
    issuer.answers_at("/status/a", signed(&issuer.good()));
    let source = issuer.source(&patient());
    let lists = lists(&issuer, Arc::clone(&source));
    let service = Guarded::by(&issuer, verifier(&issuer, source).with_status_lists(lists));
    let pointing_at = |name: &str, forge: &Forge| {
        draft(&issuer, forge).claim("status", pointing(&issuer.uri(name))).sign(forge)
    };
    assert_eq!(service.get(&pointing_at("a", &first())).await, 200);
    assert_eq!(paths(&issuer), [JWKS, "/status/a"]);
    // neither of them is there: each is asked for once
    issuer.clock.advance(30);
    assert_eq!(service.get(&pointing_at("b", &second())).await, 401);
    assert_eq!(service.get(&pointing_at("b", &first())).await, 401);
    assert_eq!(paths(&issuer)[2..], [JWKS, "/status/b"]);
    service.stop().await;
}

/// An explanation says what the decision would be: it waits for the same, and asks for it as often.
#[actix_web::test]
async fn an_explanation_waits_for_a_key_and_then_for_a_list() {
    let issuer = FakeIssuer::start().await;
    issuer.answers_at(JWKS, serves(set(&[first().jwk()])));
    issuer.answers_at("/status/a", signed(&issuer.good()));
    let source = issuer.source(&patient());
    let lists = lists(&issuer, Arc::clone(&source));
    let verifier = verifier(&issuer, source).with_status_lists(lists);
    let authorizer = Authorizer::new(verifier, issuer.policies(), ApiName::parse("orders").unwrap());
    let explain = async |api: &str, asker| {
        let question = ExplainedRequest { api, method: "GET", target: "/principal", asker };
        authorizer.explain(&question).await.map(|explained| (explained.reason, explained.detail))
    };
    let pointing_at = |name: &str, forge: &Forge| {
        let token = draft(&issuer, forge).claim("status", pointing(&issuer.uri(name))).sign(forge);
        ExplainedAsker::Token(BearerToken::new(token))
    };
    let no_api = NoAnswer::NoApi("nothing".to_owned());
    assert_eq!(explain("nothing", pointing_at("a", &first())).await, Err(no_api));
    let no_client = NoAnswer::NoClient { client: "nobody".to_owned(), hint: None };
    assert_eq!(explain("jeton", ExplainedAsker::Client("nobody")).await, Err(no_client));
    assert_eq!(explain("jeton", ExplainedAsker::Nobody).await.unwrap().0, "no-token");
    assert_eq!(paths(&issuer), [""; 0], "nothing of it needs a key");
    let (reason, _) = explain("jeton", pointing_at("a", &first())).await.unwrap();
    assert_eq!(reason, "met", "it was verified");
    assert_eq!(paths(&issuer), [JWKS, "/status/a"]);
    // neither of them is there: each is asked for once
    issuer.clock.advance(30);
    for forge in [second(), first()] {
        assert_eq!(explain("jeton", pointing_at("b", &forge)).await.unwrap().0, "invalid-token");
    }
    assert_eq!(paths(&issuer)[2..], [JWKS, "/status/b"]);
}

#[actix_web::test]
async fn a_list_by_a_new_key_has_the_keys_fetched() {
    let issuer = FakeIssuer::start().await;
    let header = json!({ "typ": "statuslist+jwt", "alg": "RS256", "kid": second().kid() });
    let list = second().sign(header.to_string(), issuer.good().to_string());
    issuer.answers_at("/status/a", serves(list.into_bytes()));
    issuer.answers_at(JWKS, serves(set(&[first().jwk()])));
    let source = issuer.source(&patient());
    let lists = lists(&issuer, Arc::clone(&source));
    let unknown = Err(StatusError::Unknown(issuer.uri("a").into()));
    lists.fetch(&issuer.uri("a")).await;
    assert_eq!(lists.check(&issuer.at("a", 1)), unknown, "no key of the set signed it");
    assert_eq!(paths(&issuer), ["/status/a", JWKS]);
    issuer.answers_at(JWKS, serves(set(&[first().jwk(), second().jwk()])));
    issuer.clock.advance(30);
    lists.fetch(&issuer.uri("a")).await;
    assert_eq!(lists.check(&issuer.at("a", 1)), Ok(()));
    assert_eq!(paths(&issuer)[2..], ["/status/a", JWKS], "once, and the list is not fetched again for it");
    // a signature that is wrong is wrong, whatever is published
    issuer.answers_at("/status/b", signed_as("statuslist+jwt", &second(), &issuer.good()));
    issuer.clock.advance(30);
    lists.fetch(&issuer.uri("b")).await;
    assert_eq!(paths(&issuer)[4..], ["/status/b"]);
}

/// A jeton that lets another key follow, and a service that knows its address and the policies.
#[actix_web::test]
async fn the_keys_of_a_jeton_are_followed() {
    let poll = Setup {
        settings: |settings| settings.policies.poll = Some(Duration::from_millis(50)),
        ..Setup::default()
    };
    let app = spawn_app_with(poll);
    let clock = Arc::clone(&app.clock) as Arc<dyn Clock>;
    let source = JwksSource::new(&app.url(JWKS), &patient(), Arc::clone(&clock)).unwrap();
    let source = Arc::new(source);
    let issuer = Issuer::parse(ISSUER).unwrap();
    let surroundings = Surroundings {
        issuer: Audience::parse(ISSUER).unwrap(),
        max_ttl: Some(86_400),
        demo_secrets: DemoSecrets::Allowed,
        needed_apis: Vec::new(),
    };
    let policies = LivePolicies::load(&app.dir.path().join("policies"), surroundings, Arc::clone(&clock));
    let verifier = Verifier::new(issuer, Arc::clone(&source), Duration::from_secs(30), clock);
    let authorizer =
        Authorizer::new(verifier, Arc::new(policies.unwrap()), ApiName::parse("orders").unwrap());
    let service = Guarded::start(authorizer, "/tenants/acme/orders");

    let old = app.token_of("acme-sync", "orders").await;
    assert_eq!(service.get(&old).await, 200, "the first request has the keys fetched");
    let (keys, max_age) = (source.current(), 300);
    assert_eq!(source.state().keys, 1);
    app.clock.advance(max_age * 4 / 5);
    source.refresh().await;
    assert!(Arc::ptr_eq(&keys, &source.current()), "jeton answers that they are the same");
    assert_eq!(source.state().fetched_at, Some(app.clock.now()));

    // the second key has signed since January, by its entry, and the first has been out of use for as long
    install_key("test-only-other.pem", &app.dir.path().join("keys"));
    let published = async || app.get(JWKS).await.text().await.unwrap();
    app.until_answered(async || published().await.contains(&second().kid())).await;
    let new = app.token_of("acme-sync", "orders").await;
    assert_eq!(service.get(&old).await, 200, "nobody has heard of it yet");
    assert_eq!(service.get(&new).await, 200, "the new key is fetched on demand");
    assert_keys(&source, (false, true), "as published");
    assert_eq!(service.get(&old).await, 401, "the old one left the set");
    service.stop().await;
}
