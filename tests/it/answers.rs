//! What a caller is answered without a web framework: status, challenge, words, and what may be told to whom.

use std::{sync::Arc, time::Duration};

use futures_util::FutureExt;
use jeton_oauth::{ApiName, clock::Clock};
use jeton_verify::{Answer, Authorizer, Verifier};
use serde_json::{Value, json};

use crate::support::{
    ORDERS,
    forge::{Draft, Forge},
    issuer::FakeIssuer,
    now,
};

struct Service {
    issuer: FakeIssuer,
    authorizer: Authorizer,
}

impl Service {
    /// Of the sample's orders API.
    async fn start() -> Self {
        let issuer = FakeIssuer::start().await;
        let clock = Arc::clone(&issuer.clock) as Arc<dyn Clock>;
        let keys = Arc::clone(&issuer.keys);
        let verifier = Verifier::new(issuer.issuer.clone(), keys, Duration::from_secs(30), clock);
        let authorizer = Authorizer::new(verifier, issuer.policies(), ApiName::parse("orders").unwrap());
        Self { issuer, authorizer }
    }

    /// The header of a token of `acme-sync` with this scope.
    fn bearer(&self, scope: &str, expires_in: i64) -> Vec<u8> {
        let forge = Forge::with_the_servers_key();
        let text = |text: &str| json!(text).to_string();
        let draft = Draft::good(&forge.kid(), now())
            .claim("iss", text(self.issuer.issuer.as_str()))
            .claim("aud", text(ORDERS))
            .claim("exp", (now() + expires_in).to_string())
            .claim("scope", text(scope));
        format!("Bearer {}", draft.sign(&forge)).into_bytes()
    }

    /// The answer, which must be there at once.
    fn answer(&self, method: &str, target: &str, headers: &[&[u8]]) -> Answer {
        let answer = self.authorizer.answer(method, target, headers.iter().copied());
        answer.now_or_never().unwrap_or_else(|| panic!("{method} {target} waits for something"))
    }

    #[track_caller]
    fn check(&self, method: &str, target: &str, headers: &[&[u8]], expected: (u16, &str, Option<&str>)) {
        let answer = self.answer(method, target, headers);
        let name = format!("{method} {target} {headers:?}");
        let (status, reason, challenge) = expected;
        assert_eq!((answer.status, answer.reason), (status, reason), "{name}");
        let challenge = challenge.map(|challenge| ("WWW-Authenticate", challenge.to_owned()));
        assert_eq!(answer.headers, Vec::from_iter(challenge), "{name}");
        assert_eq!(answer.is_allowed(), status == 200, "{name}");
        assert!(answer.is_allowed() || answer.principal.is_none(), "{name}");
        assert_eq!(answer.detail.is_empty(), answer.is_allowed(), "{name}");
    }
}

const BAD_TOKEN: Option<&str> =
    Some(r#"Bearer error="invalid_token", error_description="the access token is not valid here""#);
const NOT_ALLOWED: Option<&str> =
    Some(r#"Bearer error="insufficient_scope", error_description="the access token does not allow this""#);

#[actix_web::test]
async fn a_request_is_answered_as_protect_answers_it() {
    let service = Service::start().await;
    let good = service.bearer("orders:read", 300);
    let old = service.bearer("orders:read", -300);
    let none: &[&[u8]] = &[];
    let expired = Some(r#"Bearer error="invalid_token", error_description="the access token has expired""#);
    let write = Some(r#"Bearer error="insufficient_scope", scope="orders:write""#);
    for (method, target, headers, expected) in [
        ("GET", "/healthz", none, (200, "public", None)),
        ("GET", "/healthz", &[b"".as_slice()], (200, "public", None)),
        ("GET", "/healthz", &[b"Basic eDp5"], (200, "public", None)),
        ("GET", "/healthz", &[b"Bearer x.y.z"], (401, "invalid-token", BAD_TOKEN)),
        ("GET", "/healthz?x=1", &[&good], (200, "public", None)),
        ("GET", "/tenants/acme/orders", &[&good], (200, "met", None)),
        ("GET", "/tenants/acme/orders?page=2", &[&good], (200, "met", None)),
        ("GET", "/tenants/acme/orders", none, (401, "no-token", Some("Bearer"))),
        ("GET", "/tenants/acme/orders", &[b""], (401, "no-token", Some("Bearer"))),
        ("GET", "/tenants/acme/orders", &[b"Basic eDp5"], (401, "no-token", Some("Bearer"))),
        ("GET", "/tenants/acme/orders", &[&old], (401, "invalid-token", expired)),
        ("GET", "/tenants/globex/orders", &[&good], (403, "not-met", NOT_ALLOWED)),
        ("PUT", "/tenants/acme/orders/4", &[&good], (403, "not-met", write)),
        ("GET", "/nowhere", none, (401, "no-route", Some("Bearer"))),
        ("GET", "/nowhere", &[&good], (403, "no-route", NOT_ALLOWED)),
        ("get", "/tenants/acme/orders", &[&good], (403, "bad-method", NOT_ALLOWED)),
    ] {
        service.check(method, target, headers, expected);
    }
}

#[actix_web::test]
async fn a_target_that_is_not_as_it_was_sent_is_refused() {
    let service = Service::start().await;
    let good = service.bearer("orders:read", 300);
    for target in [
        "",
        "*",
        "tenants/acme/orders",
        "?/tenants/acme/orders",
        "https://orders.example.com/tenants/acme/orders",
        "http://orders.example.com/healthz",
        "orders.example.com:443",
        "//orders.example.com/tenants/acme/orders",
        "/tenants//orders",
        "/tenants/acme/../acme/orders",
        "/tenants/acme/orders#x",
        "/tenants/acme/orders;x",
        "/tenants/acme\\orders",
        "/tenants/acme%2Forders",
        "/tenants/%zz/orders",
        // decoded already
        "/tenants/acme corp/orders",
        "/tenants/\u{e9}/orders",
        "/tenants/acme\0/orders",
        "/tenants/acme/orders\n",
    ] {
        service.check("GET", target, &[], (401, "bad-path", Some("Bearer")));
        service.check("GET", target, &[&good], (403, "bad-path", NOT_ALLOWED));
    }
}

#[actix_web::test]
async fn rfc_6750_3_1_a_request_with_two_tokens_is_none() {
    let service = Service::start().await;
    let good = service.bearer("orders:read", 300);
    let joined = [good.as_slice(), b",", &good].concat();
    let (path, public) = ("/tenants/acme/orders", "/healthz");
    let several = "there are two authorization headers";
    let in_query = "an access token must not be in the URL";
    let malformed = "the authorization header holds no token";
    for (target, headers, detail) in [
        (path, vec![&*good, &good], several),
        (public, vec![&*good, &good], several),
        (path, vec![&*good, b""], several),
        (path, vec![&*joined], several),
        ("/tenants/acme/orders?access_token=x", vec![&*good], in_query),
        ("/tenants/acme/orders?a=b&access%5Ftoken", vec![], in_query),
        ("/healthz?access_token=", vec![], in_query),
        ("*?access_token=", vec![], in_query),
        (path, vec![b"Bearer"], malformed),
        (path, vec![b"Bearer  "], malformed),
        (path, vec![b"Bearer \xe9"], malformed),
        (public, vec![b"\xff\xfe"], malformed),
        (path, vec!["Bearer \u{e9}".as_bytes()], malformed),
    ] {
        let challenge = format!(r#"Bearer error="invalid_request", error_description="{detail}""#);
        service.check("GET", target, &headers, (400, "invalid-request", Some(&challenge)));
        assert_eq!(service.answer("GET", target, &headers).detail, detail, "{target}");
    }
}

#[actix_web::test]
async fn an_answer_says_who_calls_and_which_rule_decided() {
    let service = Service::start().await;
    let good = service.bearer("orders:read", 300);
    let answer = service.answer("GET", "/tenants/acme/orders", &[&good]);
    let principal = answer.principal.clone().unwrap();
    assert_eq!(principal.client().unwrap().as_str(), "acme-sync");
    assert_eq!(answer.rule.as_deref(), Some("read-orders"));
    let refused = service.answer("GET", "/tenants/globex/orders", &[&good]);
    assert_eq!(refused.rule.as_deref(), Some("read-orders"));
    assert!(service.answer("GET", "/healthz", &[]).principal.is_none());

    let problem: Value = serde_json::from_str(&refused.problem(Some("a1"))).unwrap();
    let detail = "the access token does not allow this";
    let expected = json!({
        "type": "about:blank", "title": "Forbidden", "status": 403, "detail": detail, "reference": "a1",
    });
    assert_eq!(problem, expected);
    assert!(!refused.problem(None).contains("reference"));
}
