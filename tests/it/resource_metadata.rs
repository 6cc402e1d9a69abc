//! What a guarded service says to those who have no token (RFC 9728): the document, and where challenges say that
//! it is.
use std::{fs, sync::Arc, time::Duration};

use actix_web::{
    App, HttpResponse, HttpServer,
    web::{self, ServiceConfig},
};
use jeton_actix::{Caller, Protect};
use jeton_jose::PublicKeys;
use jeton_oauth::{
    ApiName, Issuer, MetadataAddress,
    clock::{Clock, ManualClock},
};
use jeton_policy::{DemoSecrets, LivePolicies, Reload, Surroundings};
use jeton_verify::{Authorizer, DPOP_ALGORITHMS, Origin, Verifier};
use reqwest::{Client, Method, RequestBuilder, Response, header};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::support::{
    ISSUER, NOW, ORDERS,
    forge::{Draft, Forge},
    now,
};

const DOCUMENT: &str = "/.well-known/oauth-protected-resource";

const RULES: &str = "
      open:
        routes: [GET /open, GET /open/principal]
        public: true
      read:
        routes: [GET /orders]
        require: { scope: orders:read }
      write:
        routes: [POST /orders]
        require: { role: clerk, claims: { tenant: { is: acme } } }
";

/// A service, the policies by which it is guarded, and a key that its tokens may have.
struct Guarded {
    address: String,
    http: Client,
    policies: Arc<LivePolicies>,
    dir: TempDir,
    handle: actix_web::dev::ServerHandle,
}

/// How the guard stands around the handlers.
#[derive(Clone, Copy)]
enum Around {
    App,
    Scopes,
}

fn handlers(config: &mut ServiceConfig) {
    config
        .route("/orders", web::to(|_: Caller| async { HttpResponse::Ok().body("orders") }))
        .route("/open/principal", web::to(|_: Caller| async { "a principal" }))
        .default_service(web::to(|| async { HttpResponse::Ok().body("handler") }));
}

fn text(audience: &str, rules: &str) -> String {
    format!(
        "version: 1
scopes:
  orders:read: a
  orders:write: b
  orders:refund: c
  reports:read: d
roles:
  clerk: [orders:refund, orders:write]
apis:
  orders:
    audience: {audience}
    rules:{rules}"
    )
}

fn authorizer(dir: &TempDir, audience: &str, rules: &str, api: &str) -> (Arc<LivePolicies>, Authorizer) {
    fs::write(dir.path().join("orders.yaml"), text(audience, rules)).unwrap();
    let clock: Arc<dyn Clock> = Arc::new(ManualClock::at(NOW.parse().unwrap()));
    let issuer = Issuer::parse(ISSUER).unwrap();
    let surroundings = Surroundings {
        issuer: issuer.audience().clone(),
        max_ttl: Some(3600),
        demo_secrets: DemoSecrets::Allowed,
        needed_apis: Vec::new(),
    };
    let policies = Arc::new(LivePolicies::load(dir.path(), surroundings, Arc::clone(&clock)).unwrap());
    let keys = json!({ "keys": [Forge::with_the_servers_key().jwk()] }).to_string();
    let keys = Arc::new(PublicKeys::from_jwks(keys.as_bytes()).unwrap());
    let verifier = Verifier::new(issuer, keys, Duration::ZERO, clock);
    let authorizer = Authorizer::new(verifier, Arc::clone(&policies), ApiName::parse(api).unwrap());
    (policies, authorizer)
}

impl Guarded {
    fn with_metadata(audience: &str) -> Self {
        Self::start(audience, RULES, Around::App, |protect| protect.with_resource_metadata().unwrap())
    }

    fn start(audience: &str, rules: &str, around: Around, guard: fn(Protect) -> Protect) -> Self {
        let dir = TempDir::new().unwrap();
        let (policies, authorizer) = authorizer(&dir, audience, rules, "orders");
        let protect = guard(Protect::new(authorizer));
        // each is a type of its own
        macro_rules! bound {
            ($app:expr) => {{
                let server = HttpServer::new(move || $app).workers(1).bind("127.0.0.1:0").unwrap();
                (format!("http://{}", server.addrs()[0]), server.run())
            }};
        }
        let (address, server) = match around {
            Around::App => bound!(App::new().configure(handlers).wrap(protect.clone())),
            Around::Scopes => bound!(
                App::new()
                    .service(web::scope(MetadataAddress::WELL_KNOWN).wrap(protect.clone()))
                    .service(web::scope("").configure(handlers).wrap(protect.clone()))
            ),
        };
        let handle = server.handle();
        tokio::spawn(server);
        Self { address, http: Client::new(), policies, dir, handle }
    }

    fn ask(&self, method: Method, path: &str) -> RequestBuilder {
        self.http.request(method, format!("{}{path}", self.address))
    }

    async fn get(&self, path: &str) -> Response {
        self.ask(Method::GET, path).send().await.unwrap()
    }

    async fn document(&self, path: &str) -> Value {
        let answer = self.get(path).await;
        assert_eq!(answer.status(), 200, "{path}");
        answer.json().await.unwrap()
    }

    /// Puts other policies in force.
    #[track_caller]
    fn reload(&self, audience: &str, rules: &str) {
        fs::write(self.dir.path().join("orders.yaml"), text(audience, rules)).unwrap();
        assert!(matches!(self.policies.reload(), Reload::Reloaded { .. }));
    }

    async fn stop(self) {
        self.handle.stop(false).await;
    }
}

/// A token for the orders API with these scopes.
fn token(scope: &str) -> String {
    let forge = Forge::with_the_servers_key();
    let draft = Draft::good(&forge.kid(), now());
    draft.claim("aud", format!("\"{ORDERS}\"")).claim("scope", format!("\"{scope}\"")).sign(&forge)
}

fn challenge(answer: &Response) -> Option<&str> {
    answer.headers().get(header::WWW_AUTHENTICATE).map(|value| value.to_str().unwrap())
}

#[actix_web::test]
async fn rfc9728_2_the_document_says_what_the_policies_say() {
    let service = Guarded::with_metadata(ORDERS);
    let answer = service.get(DOCUMENT).await;
    assert_eq!(answer.status(), 200);
    assert_eq!(answer.headers()[header::CONTENT_TYPE], "application/json");
    assert_eq!(answer.headers()[header::CACHE_CONTROL], "public, max-age=300");
    let document: Value = answer.json().await.unwrap();
    let expected = json!({
        "resource": ORDERS,
        "authorization_servers": [ISSUER],
        "scopes_supported": ["orders:read", "orders:refund", "orders:write"],
        "bearer_methods_supported": ["header"],
    });
    assert_eq!(document, expected);
    service.reload(
        ORDERS,
        "\n      all: { routes: [GET /orders], require: { any_scope: [reports:read, orders:read] } }\n",
    );
    let document = service.document(DOCUMENT).await;
    assert_eq!(document["scopes_supported"], json!(["orders:read", "reports:read"]), "after a reload");
    // RFC 9728 section 3.2: what has no element is left out
    service.reload(ORDERS, "\n      all: { routes: [GET /orders], public: true }\n");
    assert_eq!(service.document(DOCUMENT).await.get("scopes_supported"), None);
    service.stop().await;
}

#[actix_web::test]
async fn rfc9728_2_a_service_that_takes_proofs_says_which_and_whether_it_takes_anything_else() {
    let audience = ORDERS;
    let service = Guarded::start(audience, RULES, Around::App, |protect| {
        let origin = Origin::parse(ORDERS).unwrap();
        protect.with_origin(origin).with_resource_metadata().unwrap()
    });
    let document = service.document(DOCUMENT).await;
    assert_eq!(document["dpop_signing_alg_values_supported"], json!(DPOP_ALGORITHMS));
    assert_eq!(document.get("dpop_bound_access_tokens_required"), None, "RFC 9728 section 2: false");
    service.reload(audience, &format!("{RULES}    bound_tokens: true\n"));
    let document = service.document(DOCUMENT).await;
    assert_eq!(document["dpop_bound_access_tokens_required"], true);
    service.stop().await;
}

#[actix_web::test]
async fn rfc9728_3_1_a_path_of_the_audience_stands_behind_the_well_known_one() {
    let service = Guarded::with_metadata("https://api.example.com/orders/v1");
    let document = service.document(&format!("{DOCUMENT}/orders/v1")).await;
    assert_eq!(document["resource"], "https://api.example.com/orders/v1");
    for elsewhere in [DOCUMENT.to_owned(), format!("{DOCUMENT}/orders"), format!("{DOCUMENT}/orders/v1/")] {
        let answer = service.get(&elsewhere).await;
        assert_eq!(answer.status(), 401, "{elsewhere}");
        let expected = format!("Bearer resource_metadata=\"https://api.example.com{DOCUMENT}/orders/v1\"");
        assert_eq!(challenge(&answer), Some(&*expected), "{elsewhere}");
    }
    service.stop().await;
}

#[actix_web::test]
async fn the_document_is_for_everybody_and_nothing_else_is() {
    let service = Guarded::with_metadata(ORDERS);
    let get = || service.ask(Method::GET, DOCUMENT);
    for (name, request) in [
        ("a token that is none", get().bearer_auth("x")),
        ("another scheme", get().basic_auth("x", Some("y"))),
        ("a query", service.ask(Method::GET, &format!("{DOCUMENT}?x=1"))),
        ("HEAD", service.ask(Method::HEAD, DOCUMENT)),
    ] {
        let answer = request.send().await.unwrap();
        assert_eq!(answer.status(), 200, "{name}");
        assert_eq!(answer.headers()[header::CONTENT_TYPE], "application/json", "{name}");
        let is_head = name == "HEAD";
        assert_eq!(answer.text().await.unwrap().is_empty(), is_head, "{name}");
    }
    for method in [Method::POST, Method::PUT, Method::DELETE, Method::OPTIONS, Method::PATCH] {
        let answer = service.ask(method.clone(), DOCUMENT).send().await.unwrap();
        assert_eq!(answer.status(), 401, "{method}");
    }
    for path in [
        "/.well-known/oauth-protected-resource/",
        "/.well-known/oauth-protected-resource/orders",
        "/.well-known/oauth-protected-resourceful",
        "/.well-known/oauth-protected-resource;x",
        "/.well-known/OAuth-protected-resource",
        "/.well-known/oauth%2Dprotected-resource",
        "/x/.well-known/oauth-protected-resource",
        "/.well-known",
    ] {
        assert_eq!(service.get(path).await.status(), 401, "{path}");
    }
    service.stop().await;
}

#[actix_web::test]
async fn rfc9728_5_1_challenges_say_where_the_document_is() {
    let metadata = format!("resource_metadata=\"{ORDERS}{DOCUMENT}\"");
    let service = Guarded::with_metadata(ORDERS);
    let get = |path: &str| service.ask(Method::GET, path);
    let post = || service.ask(Method::POST, "/orders");
    let described = |error: &str, text: &str| format!("error=\"{error}\", error_description=\"{text}\", ");
    let rows = [
        ("no token", get("/orders"), 401, String::new()),
        ("no route", get("/nowhere"), 401, String::new()),
        ("a public route whose handler takes a principal", get("/open/principal"), 401, String::new()),
        (
            "a bad token",
            get("/orders").bearer_auth("x"),
            401,
            described("invalid_token", "the access token is not valid here"),
        ),
        (
            "a token in the URL",
            get("/orders?access_token=x"),
            400,
            described("invalid_request", "an access token must not be in the URL"),
        ),
        (
            "a scope is missing",
            get("/orders").bearer_auth(token("reports:read")),
            403,
            "error=\"insufficient_scope\", scope=\"orders:read\", ".to_owned(),
        ),
        (
            "no scope would do",
            post().bearer_auth(token("orders:read")),
            403,
            described("insufficient_scope", "the access token does not allow this"),
        ),
    ];
    for (name, request, status, before) in rows {
        let answer = request.send().await.unwrap();
        assert_eq!(answer.status(), status, "{name}");
        assert_eq!(challenge(&answer), Some(&*format!("Bearer {before}{metadata}")), "{name}");
    }
    for (name, request) in
        [("allowed", get("/orders").bearer_auth(token("orders:read"))), ("public", get("/open"))]
    {
        let answer = request.send().await.unwrap();
        assert_eq!((answer.status().as_u16(), challenge(&answer)), (200, None), "{name}");
    }
    service.stop().await;
}

#[actix_web::test]
async fn without_being_asked_a_guard_publishes_nothing() {
    let service = Guarded::start(ORDERS, RULES, Around::App, |protect| protect);
    for path in [DOCUMENT, "/orders", "/open/principal"] {
        let answer = service.get(path).await;
        assert_eq!((answer.status().as_u16(), challenge(&answer)), (401, Some("Bearer")), "{path}");
    }
    service.stop().await;
}

#[actix_web::test]
async fn a_guard_around_a_scope_has_another_for_the_document() {
    for (audience, document) in
        [(ORDERS, DOCUMENT.to_owned()), ("https://api.example.com/orders", format!("{DOCUMENT}/orders"))]
    {
        let around = Around::Scopes;
        let service =
            Guarded::start(audience, RULES, around, |protect| protect.with_resource_metadata().unwrap());
        assert_eq!(service.document(&document).await["resource"], audience);
        assert_eq!(service.get(&format!("{document}/more")).await.status(), 401);
        assert_eq!(service.get("/orders").await.status(), 401);
        service.stop().await;
    }
}

#[actix_web::test]
async fn an_audience_that_is_no_address_publishes_nothing() {
    let refused = |audience: &str, api: &str| {
        let dir = TempDir::new().unwrap();
        let (_, authorizer) = authorizer(&dir, audience, RULES, api);
        Protect::new(authorizer).with_resource_metadata().err().unwrap().to_string()
    };
    assert_eq!(refused(ORDERS, "invoices"), "the policies have no API `invoices`");
    for (audience, reason) in [
        ("orders", "make it an absolute URL such as `https://orders.example.com`"),
        ("http://orders.example.com", "its scheme must be `https`; `http` is allowed only for this machine"),
        ("https://orders.example.com?x", "it must have no query and no fragment (RFC 9728 section 1.2)"),
    ] {
        let expected = format!("metadata cannot be published at the audience `{audience}`: {reason}");
        assert_eq!(refused(audience, "orders"), expected);
    }
    // a reload may make it so later
    let service = Guarded::with_metadata(ORDERS);
    service.reload("urn:example:orders", RULES);
    for path in [DOCUMENT, "/orders"] {
        let answer = service.get(path).await;
        assert_eq!((answer.status().as_u16(), challenge(&answer)), (401, Some("Bearer")), "{path}");
    }
    service.reload("https://orders.example.net", RULES);
    assert_eq!(service.document(DOCUMENT).await["resource"], "https://orders.example.net");
    service.stop().await;
}
