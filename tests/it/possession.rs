//! Tokens that only their holder can use (RFC 9449 section 7, RFC 8705 section 3): who is let in with one, and who is not.

use std::{fs, sync::Arc, time::Duration};

use actix_web::{App, HttpResponse, HttpServer, dev::Service as _, test, web};
use futures_util::FutureExt;
use jeton_actix::{Caller, ClientCertificate, Protect};
use jeton_oauth::{ApiName, Confirmation, Thumbprint, clock::Clock};
use jeton_policy::{LivePolicies, PathPrefix, Surroundings};
use jeton_verify::{Answer, Authorizer, Origin, SeenProofs, Shown, Verifier};
use serde_json::{Value, json};

use crate::support::{
    ORDERS,
    dpop::{ProofDraft, thumbprint},
    forge::{Draft, Forge},
    issuer::FakeIssuer,
    now,
    signer::Signer,
};

const PATH: &str = "/tenants/acme/orders";
const URL: &str = "https://orders.example.com/tenants/acme/orders";
const CERTIFICATE: Thumbprint = Thumbprint::new([7; 32]);

/// What a bad possession is answered with, and the words.
pub(crate) fn challenge(detail: &str) -> String {
    format!(
        r#"DPoP algs="ES256 RS256 PS256 EdDSA Ed25519", error="invalid_token", error_description="{detail}""#
    )
}

struct Service {
    issuer: FakeIssuer,
    authorizer: Authorizer,
    key: Signer,
}

impl Service {
    /// Of the sample's orders API, without an origin.
    async fn without_origin() -> Self {
        let issuer = FakeIssuer::start().await;
        let clock = Arc::clone(&issuer.clock) as Arc<dyn Clock>;
        let keys = Arc::clone(&issuer.keys);
        let verifier = Verifier::new(issuer.issuer.clone(), keys, Duration::from_secs(30), clock);
        let api = ApiName::parse("orders").unwrap();
        let authorizer = Authorizer::new(verifier.remembering(64), issuer.policies(), api);
        Self { issuer, authorizer, key: Signer::p256() }
    }

    async fn start() -> Self {
        let service = Self::without_origin().await;
        let origin = Origin::parse("https://orders.example.com").unwrap();
        Self { authorizer: service.authorizer.with_origin(origin), ..service }
    }

    /// A token of `acme-sync` with this `cnf`.
    fn token(&self, cnf: Option<Value>) -> String {
        let forge = Forge::with_the_servers_key();
        let text = |text: &str| json!(text).to_string();
        let draft = Draft::good(&forge.kid(), now())
            .claim("iss", text(self.issuer.issuer.as_str()))
            .claim("aud", text(ORDERS))
            .claim("scope", text("orders:read"));
        let draft = match cnf {
            Some(cnf) => draft.claim("cnf", cnf.to_string()),
            None => draft,
        };
        draft.sign(&forge)
    }

    /// A token that is bound to the key.
    fn bound(&self) -> String {
        self.token(Some(json!({ "jkt": thumbprint(&self.key) })))
    }

    fn proof(&self, token: &str, jti: &str) -> ProofDraft {
        ProofDraft::good(&self.key, "GET", URL, now()).with_token(token).claim("jti", jti)
    }

    /// The answer, which must be there at once.
    fn answer(&self, authorization: &str, proofs: &[&str], certificate: Option<Thumbprint>) -> Answer {
        self.answer_at("GET", PATH, authorization, proofs, certificate)
    }

    fn answer_at(
        &self,
        method: &str,
        target: &str,
        authorization: &str,
        proofs: &[&str],
        certificate: Option<Thumbprint>,
    ) -> Answer {
        let shown =
            Shown::of_headers(proofs.iter().map(|proof| proof.as_bytes())).with_certificate(certificate);
        let answer = self.authorizer.answer_showing(method, target, [authorization.as_bytes()], shown);
        answer.now_or_never().unwrap_or_else(|| panic!("{method} {target} waits for something"))
    }
}

#[track_caller]
fn refused(name: &str, answer: &Answer, reason: &str, expected: &str) {
    assert_eq!((answer.status, answer.reason), (401, reason), "{name}");
    assert_eq!(answer.headers, [("WWW-Authenticate", expected.to_owned())], "{name}");
    assert!(answer.principal.is_none(), "{name}");
}

#[actix_web::test]
async fn rfc_9449_7_1_a_bound_token_passes_with_its_proof() {
    let service = Service::start().await;
    let token = service.bound();
    for (number, scheme) in ["DPoP", "dpop", "DPOP"].into_iter().enumerate() {
        let proof = service.proof(&token, &number.to_string()).sign(&service.key);
        let answer = service.answer(&format!("{scheme} {token}"), &[&proof], None);
        assert_eq!((answer.status, answer.reason), (200, "met"), "{scheme}");
        let principal = answer.principal.unwrap();
        let jkt = thumbprint(&service.key).parse().unwrap();
        assert_eq!(principal.confirmation(), Confirmation::new(Some(jkt), None));
        assert!(!principal.claims().contains_key("cnf"), "{:?}", principal.claims());
    }
    // the address as the client wrote it, and the query is not compared
    let proof =
        service.proof(&token, "q").claim("htu", "HTTPS://orders.example.com:443/tenants/acme/%6frders");
    let authorization = format!("DPoP {token}");
    let target = "/tenants/acme/orders?page=2";
    let answer = service.answer_at("GET", target, &authorization, &[&proof.sign(&service.key)], None);
    assert_eq!(answer.status, 200);
    // a rule that does not let it in says so with its scheme
    let proof = service.proof(&token, "w").claim("htm", "PUT").claim("htu", format!("{URL}/4"));
    let target = "/tenants/acme/orders/4";
    let answer = service.answer_at("PUT", target, &authorization, &[&proof.sign(&service.key)], None);
    let expected =
        r#"DPoP algs="ES256 RS256 PS256 EdDSA Ed25519", error="insufficient_scope", scope="orders:write""#;
    assert_eq!(answer.status, 403);
    assert_eq!(answer.headers, [("WWW-Authenticate", expected.to_owned())]);
}

#[actix_web::test]
async fn rfc_9449_7_1_what_is_not_shown_is_refused() {
    let service = Service::start().await;
    let (token, unbound) = (service.bound(), service.token(None));
    let (dpop, bearer) = (format!("DPoP {token}"), format!("Bearer {token}"));
    let sign = |draft: ProofDraft| draft.sign(&service.key);
    let good = || sign(service.proof(&token, "a"));
    let other = Signer::p256();
    let of_other = ProofDraft::good(&other, "GET", URL, now()).with_token(&token).sign(&other);
    let spoilt = |name: &str, value: Value| sign(service.proof(&token, "a").claim(name, value));
    let another_request = "the DPoP proof is for another request";
    let another_time = "the DPoP proof is not of this time";
    let bound = "the access token is bound to a key: send it as DPoP, with a proof";
    let one = "one DPoP header must come with the access token";
    let invalid = "the DPoP proof is not valid";
    let rows: [(&str, &str, Vec<String>, &str, &str); 17] = [
        ("stolen, as a bearer token (RFC 9449 section 7.2)", &bearer, vec![], "not-held", bound),
        ("as a bearer token, with its proof", &bearer, vec![good()], "not-held", bound),
        ("without a proof", &dpop, vec![], "not-held", one),
        ("section 4.3 check 1: two proofs", &dpop, vec![good(), good()], "invalid-proof", one),
        ("a good one and an empty one", &dpop, vec![good(), String::new()], "invalid-proof", one),
        ("an empty one", &dpop, vec![String::new()], "invalid-proof", invalid),
        ("two in one header", &dpop, vec![format!("{0}, {0}", good())], "invalid-proof", invalid),
        ("no proof at all", &dpop, vec!["x.y.z".to_owned()], "invalid-proof", invalid),
        ("the token itself", &dpop, vec![token.clone()], "invalid-proof", invalid),
        (
            "check 12: by another key",
            &dpop,
            vec![of_other],
            "not-held",
            "the DPoP proof is not signed by the key of the access token",
        ),
        ("for another method", &dpop, vec![spoilt("htm", json!("POST"))], "invalid-proof", another_request),
        (
            "for another path",
            &dpop,
            vec![spoilt("htu", json!(format!("{URL}/4")))],
            "invalid-proof",
            another_request,
        ),
        (
            "for another host",
            &dpop,
            vec![spoilt("htu", json!(format!("https://evil.example{PATH}")))],
            "invalid-proof",
            another_request,
        ),
        ("old", &dpop, vec![spoilt("iat", json!(now() - 31))], "invalid-proof", another_time),
        ("early", &dpop, vec![spoilt("iat", json!(now() + 31))], "invalid-proof", another_time),
        (
            "for another token",
            &dpop,
            vec![sign(service.proof(&unbound, "a"))],
            "invalid-proof",
            "the DPoP proof is for another access token",
        ),
        (
            "without `ath`",
            &dpop,
            vec![sign(service.proof(&token, "a").no_claim("ath"))],
            "invalid-proof",
            invalid,
        ),
    ];
    for (name, authorization, proofs, reason, detail) in rows {
        let proofs: Vec<_> = proofs.iter().map(String::as_str).collect();
        refused(name, &service.answer(authorization, &proofs, None), reason, &challenge(detail));
    }
    let as_dpop = format!("DPoP {unbound}");
    let proof = sign(service.proof(&unbound, "u"));
    let detail = challenge("the access token is not bound to a key: send it as Bearer");
    refused("unbound, as DPoP", &service.answer(&as_dpop, &[&proof], None), "not-bound", &detail);
    refused("unbound, as DPoP without proof", &service.answer(&as_dpop, &[], None), "not-bound", &detail);
    // none of them was remembered
    assert_eq!(service.answer(&dpop, &[&good()], None).status, 200);
    let used = challenge("the DPoP proof was used before: make one for each request");
    refused("replayed", &service.answer(&dpop, &[&good()], None), "replayed-proof", &used);
    // and what is bad for another reason says so by the scheme in which it came
    let expired = challenge("the access token is not valid here");
    refused("a bad token", &service.answer("DPoP x.y.z", &[&good()], None), "invalid-token", &expired);
}

/// It says nothing of a token that is not bound: a client may send one with every request (RFC 9449 section 7.2).
#[actix_web::test]
async fn rfc_9449_7_2_a_proof_beside_an_unbound_bearer_token_is_ignored() {
    let service = Service::start().await;
    let bearer = format!("Bearer {}", service.token(None));
    for proofs in [&[][..], &["x"], &["x", "y"], &[""]] {
        for certificate in [None, Some(CERTIFICATE)] {
            let answer = service.answer(&bearer, proofs, certificate);
            assert_eq!(answer.status, 200, "{proofs:?} {certificate:?}");
            assert_eq!(answer.principal.unwrap().confirmation(), None);
        }
    }
}

#[actix_web::test]
async fn rfc_7800_3_1_a_token_that_is_bound_to_something_unknown_is_refused() {
    let service = Service::start().await;
    let jkt = thumbprint(&service.key);
    for cnf in [
        json!(null),
        json!({}),
        json!([]),
        json!("x"),
        json!({ "kid": "k" }),
        json!({ "jwk": service.key.jwk() }),
        json!({ "jkt": "" }),
        json!({ "jkt": format!("{jkt}=") }),
        json!({ "jkt": jkt, "x5t#S256": 7 }),
        json!({ "x5t#S256": null }),
    ] {
        let token = service.token(Some(cnf.clone()));
        for scheme in ["Bearer", "DPoP"] {
            let proof = service.proof(&token, "a").sign(&service.key);
            let answer = service.answer(&format!("{scheme} {token}"), &[&proof], Some(CERTIFICATE));
            assert_eq!((answer.status, answer.reason), (401, "invalid-token"), "{scheme} {cnf}");
        }
    }
    // what is known counts, whatever else is there (RFC 7800 section 3.1)
    let token = service.token(Some(json!({ "jkt": jkt, "kid": "k" })));
    let proof = service.proof(&token, "a").sign(&service.key);
    assert_eq!(service.answer(&format!("DPoP {token}"), &[&proof], None).status, 200);
    assert_eq!(service.answer(&format!("Bearer {token}"), &[], None).status, 401);
}

#[actix_web::test]
async fn rfc_8705_3_a_certificate_bound_token_needs_its_certificate() {
    let service = Service::start().await;
    let other = Thumbprint::new([8; 32]);
    let token = service.token(Some(json!({ "x5t#S256": CERTIFICATE })));
    let bearer = format!("Bearer {token}");
    let answer = service.answer(&bearer, &[], Some(CERTIFICATE));
    assert_eq!(answer.status, 200);
    assert_eq!(answer.principal.unwrap().confirmation(), Confirmation::new(None, Some(CERTIFICATE)));
    // RFC 8705 section 3: 401 and `invalid_token`
    let wrong = r#"Bearer error="invalid_token", error_description="the access token is bound to another client certificate""#;
    for (name, certificate) in [("none", None), ("another", Some(other))] {
        refused(name, &service.answer(&bearer, &[], certificate), "not-held", wrong);
    }
    let as_dpop = challenge("the access token is not bound to a key: send it as Bearer");
    let proof = service.proof(&token, "a").sign(&service.key);
    let answer = service.answer(&format!("DPoP {token}"), &[&proof], Some(CERTIFICATE));
    refused("as DPoP", &answer, "not-bound", &as_dpop);

    // both: each must be shown
    let jkt = thumbprint(&service.key);
    let token = service.token(Some(json!({ "jkt": jkt, "x5t#S256": CERTIFICATE })));
    let dpop = format!("DPoP {token}");
    let proof = service.proof(&token, "b").sign(&service.key);
    refused("the proof alone", &service.answer(&dpop, &[&proof], None), "not-held", wrong);
    refused("another certificate", &service.answer(&dpop, &[&proof], Some(other)), "not-held", wrong);
    let answer = service.answer(&dpop, &[], Some(CERTIFICATE));
    let one = challenge("one DPoP header must come with the access token");
    refused("the certificate alone", &answer, "not-held", &one);
    let answer = service.answer(&format!("Bearer {token}"), &[&proof], Some(CERTIFICATE));
    let bound = challenge("the access token is bound to a key: send it as DPoP, with a proof");
    refused("both, as Bearer", &answer, "not-held", &bound);
    assert_eq!(service.answer(&dpop, &[&proof], Some(CERTIFICATE)).status, 200);
}

#[actix_web::test]
async fn without_an_origin_no_token_of_a_key_is_taken() {
    let service = Service::without_origin().await;
    let token = service.bound();
    let proof = service.proof(&token, "a").sign(&service.key);
    let answer = service.answer(&format!("DPoP {token}"), &[&proof], None);
    refused(
        "no origin",
        &answer,
        "no-origin",
        &challenge("access tokens that are bound to a key are not taken here"),
    );
    let answer = service.answer(&format!("Bearer {token}"), &[], None);
    assert_eq!((answer.status, answer.reason), (401, "not-held"));
    // certificates need none
    let token = service.token(Some(json!({ "x5t#S256": CERTIFICATE })));
    assert_eq!(service.answer(&format!("Bearer {token}"), &[], Some(CERTIFICATE)).status, 200);
    assert_eq!(service.answer(&format!("Bearer {token}"), &[], None).status, 401);
    // an API elsewhere has an origin of its own
    let origin = Origin::parse("https://orders.example.com").unwrap();
    let elsewhere = service.authorizer.clone().with_origin(origin).for_api(ApiName::parse("orders").unwrap());
    let service = Service { authorizer: elsewhere, ..service };
    let token = service.bound();
    let proof = service.proof(&token, "a").sign(&service.key);
    assert_eq!(service.answer(&format!("DPoP {token}"), &[&proof], None).reason, "no-origin");
}

#[actix_web::test]
async fn a_flood_of_refused_proofs_fills_no_memory() {
    let service = Service::start().await;
    let seen = Arc::new(SeenProofs::new(1));
    let authorizer = service.authorizer.clone().with_seen_proofs(seen, "orders");
    let service = Service { authorizer, ..service };
    let token = service.bound();
    let dpop = format!("DPoP {token}");
    let other = Signer::p256();
    for number in 0..200 {
        let jti = format!("{number}");
        let draft = service.proof(&token, &jti);
        for (name, proof) in [
            ("another method", draft.clone().claim("htm", "POST").sign(&service.key)),
            ("another address", draft.clone().claim("htu", "https://x.example").sign(&service.key)),
            ("old", draft.clone().claim("iat", now() - 60).sign(&service.key)),
            ("another token", draft.clone().with_token("x").sign(&service.key)),
            ("another key", draft.header("jwk", other.jwk()).sign(&other)),
        ] {
            assert_eq!(service.answer(&dpop, &[&proof], None).status, 401, "{name}");
        }
    }
    let good = |jti: &str| service.proof(&token, jti).sign(&service.key);
    assert_eq!(service.answer(&dpop, &[&good("1")], None).status, 200);
    let answer = service.answer(&dpop, &[&good("2")], None);
    refused("full", &answer, "too-many-proofs", &challenge("too many DPoP proofs came: ask again"));
    // until the first one ends
    service.issuer.clock.advance(32);
    let later = service.proof(&token, "2").claim("iat", now() + 32).sign(&service.key);
    assert_eq!(service.answer(&dpop, &[&later], None).status, 200);
}

/// What is known of a key is known of one header, byte by byte.
#[actix_web::test]
async fn a_key_that_is_known_makes_no_other_header_good() {
    let service = Service { key: Signer::rsa(), ..Service::start().await };
    let token = service.bound();
    let dpop = format!("DPoP {token}");
    let ask = |jti: &str, name: &str, value: Value| {
        let draft = service.proof(&token, jti).header(name, value);
        service.answer(&dpop, &[&draft.sign(&service.key)], None).status
    };
    let mut private = service.key.jwk();
    private["d"] = json!("AA");
    for round in 0..2 {
        let jti = |name: &str| format!("{round}{name}");
        assert_eq!(ask(&jti("a"), "alg", json!("RS256")), 200);
        assert_eq!(ask(&jti("b"), "alg", json!("PS256")), 200, "the same key signs in another way");
        for (name, value) in [
            ("alg", json!("none")),
            ("typ", json!("jwt")),
            ("crit", json!(["x"])),
            ("jku", json!("https://x.example")),
            ("jwk", private.clone()),
            ("jwk", Signer::p256().jwk()),
        ] {
            assert_eq!(ask(&jti(name), name, value.clone()), 401, "{name} {value}");
        }
        let forged = service.proof(&token, &jti("c")).sign(&Signer::rsa());
        assert_eq!(service.answer(&dpop, &[&forged], None).status, 401, "the header without the key");
    }
}

#[actix_web::test]
async fn guards_of_one_name_see_a_proof_once_and_of_two_names_once_each() {
    let service = Service::start().await;
    let seen = Arc::new(SeenProofs::new(1_000));
    let [edge, again, behind] = ["edge", "edge", "orders"]
        .map(|name| service.authorizer.clone().with_seen_proofs(Arc::clone(&seen), name));
    let token = service.bound();
    let proof = service.proof(&token, "a").sign(&service.key);
    let ask = |authorizer: &Authorizer| {
        let shown = Shown::of_headers([proof.as_bytes()]);
        let authorization = format!("DPoP {token}").into_bytes();
        let answer = authorizer.answer_showing("GET", PATH, [&*authorization], shown).now_or_never().unwrap();
        (answer.status, answer.reason)
    };
    assert_eq!(ask(&edge).0, 200);
    assert_eq!(ask(&again), (401, "replayed-proof"));
    assert_eq!(ask(&behind).0, 200);
    assert_eq!(ask(&service.authorizer).0, 200, "another memory");
    assert_eq!(ask(&service.authorizer.clone()), (401, "replayed-proof"), "a clone has the same memory");
}

/// The sample's orders API, which takes bound tokens alone.
fn bound_alone(service: &Service) -> (tempfile::TempDir, Authorizer) {
    let folder = tempfile::tempdir().unwrap();
    let text = "version: 1
scopes: { 'orders:read': Read orders }
apis:
  orders:
    audience: https://orders.example.com
    bound_tokens: true
    rules:
      health: { routes: [GET /healthz], public: true }
      read: { routes: ['GET /tenants/{tenant}/orders'], require: { scope: 'orders:read' } }
";
    fs::write(folder.path().join("orders.yaml"), text).unwrap();
    let clock = Arc::clone(&service.issuer.clock) as Arc<dyn Clock>;
    let api = ApiName::parse("orders").unwrap();
    let surroundings = Surroundings::of_service(&service.issuer.issuer, api.clone());
    let policies = LivePolicies::load(folder.path(), surroundings, Arc::clone(&clock)).unwrap();
    let keys = Arc::clone(&service.issuer.keys);
    let verifier = Verifier::new(service.issuer.issuer.clone(), keys, Duration::from_secs(30), clock);
    (folder, Authorizer::new(verifier, Arc::new(policies), api))
}

#[actix_web::test]
async fn an_api_with_bound_tokens_takes_no_other() {
    let service = Service::start().await;
    let (_folder, authorizer) = bound_alone(&service);
    let origin = Origin::parse("https://orders.example.com").unwrap();
    let service = Service { authorizer: authorizer.clone().with_origin(origin), ..service };
    let bearer = format!("Bearer {}", service.token(None));
    let needs = challenge("this needs an access token that is bound to a key or a certificate");
    refused("unbound", &service.answer(&bearer, &[], None), "not-bound", &needs);
    let with_proof = service.proof(&service.token(None), "a").sign(&service.key);
    refused("with a proof", &service.answer(&bearer, &[&with_proof], None), "not-bound", &needs);
    refused("with a certificate", &service.answer(&bearer, &[], Some(CERTIFICATE)), "not-bound", &needs);
    // a token that is sent must be good, on a public route too
    refused("public", &service.answer_at("GET", "/healthz", &bearer, &[], None), "not-bound", &needs);
    let token = service.bound();
    let proof = service.proof(&token, "a").sign(&service.key);
    assert_eq!(service.answer(&format!("DPoP {token}"), &[&proof], None).status, 200);
    let token = service.token(Some(json!({ "x5t#S256": CERTIFICATE })));
    assert_eq!(service.answer(&format!("Bearer {token}"), &[], Some(CERTIFICATE)).status, 200);
    // without a token both schemes would do, or the one that is taken here
    let both = r#"Bearer, DPoP algs="ES256 RS256 PS256 EdDSA Ed25519""#;
    for (authorizer, expected) in [(&service.authorizer, both), (&authorizer, "Bearer")] {
        let answer = authorizer.answer("GET", PATH, []).now_or_never().unwrap();
        assert_eq!((answer.status, answer.reason), (401, "no-token"));
        assert_eq!(answer.headers, [("WWW-Authenticate", expected.to_owned())]);
    }
}

async fn shown_caller(caller: Caller) -> HttpResponse {
    HttpResponse::Ok().json(caller.confirmation())
}

/// Behind a prefix the client's address has the prefix; the certificate comes from a middleware in front or from the
/// connection.
#[actix_web::test]
async fn protect_asks_for_what_a_token_is_bound_to() {
    let service = Service::without_origin().await;
    let (_folder, authorizer) = bound_alone(&service);
    let origin = Origin::parse("https://orders.example.com").unwrap();
    let protect = Protect::new(authorizer.clone()).with_origin(origin).mounted_at(PathPrefix::of(["v1"]));
    let orders = web::scope("/v1").wrap(protect).route(PATH, web::get().to(shown_caller));
    let app = test::init_service(App::new().service(orders).wrap_fn(|request, service| {
        if request.headers().contains_key("x-test-certificate") {
            actix_web::HttpMessage::extensions_mut(&request).insert(ClientCertificate(CERTIFICATE));
        }
        service.call(request)
    }))
    .await;
    let url = format!("https://orders.example.com/v1{PATH}");
    let both = json!({ "jkt": thumbprint(&service.key), "x5t#S256": CERTIFICATE });
    let [key, both] = [json!({ "jkt": both["jkt"] }), both].map(|cnf| service.token(Some(cnf)));
    let proof = |token: &str, url: &str, jti: &str| {
        let draft = ProofDraft::good(&service.key, "GET", url, now()).with_token(token).claim("jti", jti);
        draft.sign(&service.key)
    };
    for (name, authorization, proofs, has_certificate, status) in [
        ("good", format!("DPoP {key}"), vec![proof(&key, &url, "1")], false, 200),
        ("replayed", format!("DPoP {key}"), vec![proof(&key, &url, "1")], false, 401),
        ("below no prefix", format!("DPoP {key}"), vec![proof(&key, URL, "2")], false, 401),
        (
            "two proofs",
            format!("DPoP {key}"),
            vec![proof(&key, &url, "3"), proof(&key, &url, "4")],
            false,
            401,
        ),
        ("stolen", format!("Bearer {key}"), vec![], false, 401),
        ("stolen with a certificate", format!("Bearer {key}"), vec![], true, 401),
        ("both bindings, no certificate", format!("DPoP {both}"), vec![proof(&both, &url, "5")], false, 401),
        ("both bindings", format!("DPoP {both}"), vec![proof(&both, &url, "5")], true, 200),
    ] {
        let target = format!("/v1{PATH}");
        let mut request =
            test::TestRequest::get().uri(&target).insert_header(("authorization", authorization));
        for proof in proofs {
            request = request.append_header(("DPoP", proof));
        }
        if has_certificate {
            request = request.insert_header(("x-test-certificate", "1"));
        }
        let answer = test::call_service(&app, request.to_request()).await;
        assert_eq!(answer.status(), status, "{name}");
    }
    // the clone that the guard has shares the memory
    let answer = authorizer.with_origin(Origin::parse("https://orders.example.com").unwrap());
    let shown = proof(&key, &url, "1");
    let shown = Shown::of_headers([shown.as_bytes()]).at_path("/v1/tenants/acme/orders");
    let authorization = format!("DPoP {key}").into_bytes();
    let answer = answer.answer_showing("GET", PATH, [&*authorization], shown).await;
    assert_eq!(answer.reason, "replayed-proof");
}

#[actix_web::test]
async fn the_certificate_of_a_connection_is_shown_by_each_of_its_requests() {
    let service = Service::without_origin().await;
    let (_folder, authorizer) = bound_alone(&service);
    let server = HttpServer::new(move || {
        App::new().wrap(Protect::new(authorizer.clone())).route(PATH, web::get().to(shown_caller))
    })
    .on_connect(|_, data| {
        data.insert(ClientCertificate(CERTIFICATE));
    })
    .workers(1)
    .disable_signals()
    .bind("127.0.0.1:0")
    .unwrap();
    let address = server.addrs()[0];
    let server = server.run();
    let handle = server.handle();
    actix_web::rt::spawn(server);
    let client = crate::support::http_client();
    for (x5t, status) in [(CERTIFICATE, 200), (Thumbprint::new([8; 32]), 401)] {
        let token = service.token(Some(json!({ "x5t#S256": x5t })));
        let answer = client.get(format!("http://{address}{PATH}")).bearer_auth(&token).send().await.unwrap();
        assert_eq!(answer.status(), status, "{x5t}");
    }
    handle.stop(false).await;
}
