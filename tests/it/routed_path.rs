//! The path that is judged and the path by which a request is routed name the same segments, however it is spelled and
//! wherever [`Protect`] stands.
use std::{
    fs,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use actix_web::{
    App, HttpRequest, HttpResponse, HttpServer,
    dev::ServerHandle,
    middleware::NormalizePath,
    web::{self, ServiceConfig},
};
use jeton_actix::{Caller, Protect};
use jeton_jose::PublicKeys;
use jeton_oauth::{
    ApiName, Issuer,
    clock::{Clock, ManualClock},
};
use jeton_policy::{DemoSecrets, LivePolicies, PathPrefix, Surroundings};
use jeton_verify::{Authorizer, Verifier};
use proptest::{prelude::*, test_runner::TestRunner};
use serde_json::json;
use tempfile::TempDir;
use tokio::{io::AsyncWriteExt, net::TcpStream};

use crate::support::{
    ISSUER, NOW, RawResponse, Setup, TestApp,
    forge::{Draft, Forge},
    now, spawn_app_with,
};

/// Everybody may read a page of three segments, and nobody without the scope what lies below `/ops`.
const OWN_RULES: &str = r#"version: 1
scopes:
  jeton:principal: a
  jeton:ops: b
roles:
  operator: [jeton:ops, jeton:principal]
apis:
  jeton:
    rules:
      pages:
        routes: ["GET /{page}", "GET /{page}/{sub}", "GET /{page}/{sub}/{leaf}", "GET /{page}/{sub}/{leaf}/**"]
        public: true
      ops:
        routes: [ANY /ops, "ANY /ops/{x}", "ANY /ops/**"]
        require: { scope: jeton:ops }
    guarantees:
      ops:
        routes: ["ANY /ops/{x}"]
        only_when: { scope: jeton:ops }
"#;

/// Paths of issuers, some of which begin as paths of ours do.
const PREFIXES: [&str; 8] = ["", "/tokens", "/a/b", "/ops", "/principal", "/status/ops", "/t-1.x~y", "/a+b"];

fn spawn_below(prefix: &str) -> TestApp {
    spawn_app_with(Setup {
        issuer: format!("{ISSUER}{prefix}"),
        policies: vec![("jeton.yaml", OWN_RULES.to_owned())],
        ..Setup::default()
    })
}

async fn get(address: &str, target: &str, line: &str) -> RawResponse {
    let mut stream = TcpStream::connect(address.trim_start_matches("http://")).await.unwrap();
    let request = format!("GET {target} HTTP/1.1\r\nHost: a\r\n{line}Connection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    RawResponse::read(&mut stream).await
}

fn escaped(bytes: &[u8], at: impl Fn(usize) -> bool, upper: bool) -> String {
    let each = bytes.iter().enumerate().map(|(position, byte)| match byte {
        byte if !at(position) || *byte == b'/' => char::from(*byte).to_string(),
        byte if upper => format!("%{byte:02X}"),
        byte => format!("%{byte:02x}"),
    });
    each.collect()
}

/// A path with each of its bytes escaped alone, in both cases, and with all of them.
fn escapes(path: &str) -> Vec<String> {
    let bytes = path.as_bytes();
    let alone = (0..bytes.len()).filter(|at| bytes[*at] != b'/');
    let alone =
        alone.flat_map(|at| [false, true].map(|upper| escaped(bytes, |position| position == at, upper)));
    alone.chain([false, true].map(|upper| escaped(bytes, |_| true, upper))).collect()
}

/// Spellings that some servers read as the path, and others not.
fn ambiguous(path: &str) -> Vec<String> {
    let slashes: Vec<_> = path.match_indices('/').map(|(at, _)| at).collect();
    let put = [
        "//",
        "/./",
        "/../",
        "/x/../",
        "/%2e/",
        "/x/%2e%2E/",
        "/;/",
        "/x;/..;/",
        "\\",
        "%2F",
        "%2f",
        "%5c",
        "/%2F",
    ];
    let inserted =
        slashes.iter().flat_map(|at| put.map(|put| format!("{}{put}{}", &path[..*at], &path[at + 1..])));
    let ends =
        ["/", ";", ";v=1", "/.", "/..", "%2F", "%00", "%20", "?", "#"].map(|end| format!("{path}{end}"));
    let upper = slashes.iter().map(|at| {
        let (before, after) = path.split_at(at + 1);
        format!("{before}{}{}", after[..1].to_uppercase(), &after[1..])
    });
    inserted.chain(ends).chain(upper).chain([path.to_uppercase()]).collect()
}

#[actix_web::test]
async fn no_spelling_below_an_issuers_path_is_judged_as_another_path() {
    for prefix in PREFIXES {
        let app = spawn_below(prefix);
        let audience = format!("{ISSUER}{prefix}");
        let form = [("grant_type", "client_credentials"), ("resource", &*audience)];
        let (status, answer) = app.post_form("/oauth2/token", "operator", &form).await;
        assert_eq!(status, 200, "{prefix}: {answer}");
        let bearer = format!("Authorization: Bearer {}\r\n", answer["access_token"].as_str().unwrap());
        let path = format!("{prefix}/ops/keys");
        assert_eq!(get(&app.address, &path, "").await.status, 401, "{path}");
        assert_eq!(get(&app.address, &path, &bearer).await.status, 200, "{path}");
        for spelled in escapes(&path) {
            let answer = get(&app.address, &spelled, "").await;
            // the library routes an escaped `+` to another place, where nothing is
            let is_routed = !spelled.to_ascii_uppercase().contains("%2B");
            let expected = if is_routed { [401, 200] } else { [404, 404] };
            let with_token = get(&app.address, &spelled, &bearer).await.status;
            assert_eq!([answer.status, with_token], expected, "{spelled}: {}", answer.body);
        }
        for spelled in ambiguous(&path) {
            let answer = get(&app.address, &spelled, "").await;
            assert!(matches!(answer.status, 400 | 401 | 404), "{spelled}: {} {}", answer.status, answer.body);
        }
    }
}

#[actix_web::test]
async fn the_prefix_of_a_gateway_may_be_escaped_too() {
    let app = spawn_app_with(Setup {
        settings: |settings| {
            settings.gateways = vec![jeton::config::GatewaySettings {
                name: jeton::gateway::GatewayName::parse("edge-1").unwrap(),
                kind: jeton::gateway::GatewayKind::parse("envoy").unwrap(),
                apis: jeton::config::GatewayApis::One {
                    api: ApiName::parse("orders").unwrap(),
                    origin: None,
                },
                trusted_peers: jeton::gateway::TrustedPeers::parse(&["127.0.0.1".to_owned()]).unwrap(),
                claims: Vec::new(),
            }];
        },
        ..Setup::default()
    });
    let token = app.token_of("acme-sync", "orders").await;
    let bearer = format!("Authorization: Bearer {token}\r\n");
    let mine = "/tenants/acme/orders";
    for prefix in escapes("/authz/edge-1") {
        for (target, expected) in [
            ("/healthz", 200),
            (mine, 200),
            ("/%74enants/acme/orders", 200),
            ("/tenants/globex/orders", 403),
            ("/tenants/globex/%6Frders", 403),
            ("/tenants/acme/../globex/orders", 403),
            ("//tenants/acme/orders", 403),
            ("", 403),
            ("?/tenants/acme/orders", 403),
        ] {
            let answer = get(&app.address, &format!("{prefix}{target}"), &bearer).await;
            assert_eq!(answer.status, expected, "{prefix}{target}");
        }
    }
    // as long as a path may be, whatever stands before it
    let long = format!("/tenants/acme/orders{}", "/x".repeat(61));
    assert_eq!(get(&app.address, &format!("/authz/edge-1{long}"), &bearer).await.status, 403);
    for elsewhere in [
        "/authz/edge-1x/healthz",
        "/authz//edge-1/healthz",
        "/authz/./edge-1/healthz",
        "/authz%2Fedge-1/healthz",
    ] {
        let status = get(&app.address, elsewhere, &bearer).await.status;
        assert!(matches!(status, 403 | 404), "{elsewhere}: {status}");
    }
}

/// A service with handlers in scopes within scopes. Each pattern has a rule of its own, which has its number; the last
/// ones are those of the library that take several segments.
const HANDLERS: [(&str, &str); 10] = [
    ("/shop/orders/open", "/orders/open"),
    ("/shop/orders/{order}", "/orders/{order}"),
    ("/shop/orders/{order}/", "/orders/{order}/"),
    ("/shop/orders/{order}/lines", "/orders/{order}/lines"),
    ("/shop/orders/{order}/lines/{line}", "/orders/{order}/lines/{line}"),
    ("/shop/admin/keys", "/admin/keys"),
    ("/shop/{area}/keys", "/{area}/keys"),
    ("/shop/a+b", "/a+b"),
    ("/shop/{page}", "/{page}"),
    ("/shop/files/{tail}*", "/files/**"),
];

/// How often [`served`] ran.
static SERVED: AtomicUsize = AtomicUsize::new(0);

/// Takes a principal.
async fn served(_: Caller) -> HttpResponse {
    SERVED.fetch_add(1, Ordering::Relaxed);
    HttpResponse::Ok().finish()
}

/// Says by which pattern it was reached.
async fn told(request: HttpRequest) -> HttpResponse {
    HttpResponse::Ok().body(request.match_pattern().unwrap_or_default())
}

fn handlers(config: &mut ServiceConfig) {
    config
        .service(
            web::scope("/orders")
                .route("/open", web::to(told))
                .service(
                    web::scope("/{order}/lines").route("", web::to(told)).route("/{line}", web::to(told)),
                )
                .route("/{order}", web::to(told))
                .route("/{order}/", web::to(told)),
        )
        .service(web::scope("/admin").route("/keys", web::to(told)))
        .route("/served/{x}", web::to(served))
        .route("/files/{tail}*", web::to(told))
        .route("/{area}/keys", web::to(told))
        .route("/a+b", web::to(told))
        // an escape in a pattern of the library stands for itself
        .route("/a%2Bb", web::to(told))
        .route("/%61%2Bb", web::to(told))
        .route("/{page}", web::to(told));
}

fn authorizer(dir: &TempDir) -> Authorizer {
    let rules = HANDLERS.iter().enumerate().map(|(number, (_, route))| {
        format!("      rule-{number}: {{ routes: [\"ANY {route}\"], public: true }}\n")
    });
    let served = r#"{ routes: ["GET /served/{x}", "GET /served/{x}/"], require: { scope: "shop:read" } }"#;
    let rules: String = rules.chain([format!("      served: {served}\n")]).collect();
    let text = format!(
        "version: 1\nscopes: {{ 'shop:read': a }}\napis:\n  shop:\n    audience: https://shop.example.com\n    rules:\n{rules}"
    );
    fs::write(dir.path().join("shop.yaml"), text).unwrap();
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
    Authorizer::new(verifier, policies, ApiName::parse("shop").unwrap())
}

/// Where the library tidies paths up.
#[derive(Clone, Copy)]
enum Tidied {
    Never,
    BeforeProtect,
    BehindProtect,
}

struct Shop {
    address: String,
    authorizer: Authorizer,
    handle: ServerHandle,
    _dir: TempDir,
}

impl Shop {
    fn start(tidied: Tidied) -> Self {
        let dir = TempDir::new().unwrap();
        let authorizer = authorizer(&dir);
        let protect = Protect::new(authorizer.clone()).mounted_at(PathPrefix::parse("/shop").unwrap());
        macro_rules! bound {
            ($app:expr) => {{
                let server = HttpServer::new(move || $app).workers(1).bind("127.0.0.1:0").unwrap();
                let address = server.addrs()[0].to_string();
                let running = server.run();
                (address, running.handle(), tokio::spawn(running))
            }};
        }
        let shop = web::scope;
        let (address, handle, _) = match tidied {
            Tidied::Never => {
                bound!(App::new().service(shop("/shop").configure(handlers).wrap(protect.clone())))
            }
            Tidied::BeforeProtect => bound!(
                App::new()
                    .service(shop("/shop").configure(handlers).wrap(protect.clone()))
                    .wrap(NormalizePath::trim())
            ),
            Tidied::BehindProtect => bound!(
                App::new()
                    .service(shop("/shop").configure(handlers))
                    .wrap(NormalizePath::trim())
                    .wrap(protect.clone())
            ),
        };
        Self { address, authorizer, handle, _dir: dir }
    }

    /// Sends a path; where a handler ran, it must be the one whose rule decided.
    async fn get(&self, path: &str) -> (u16, String) {
        let answer = get(&self.address, path, "").await;
        if answer.status == 200 {
            let judged = PathPrefix::parse("/shop").unwrap().cut(path).unwrap();
            let permit = self.authorizer.authorize("GET", judged, None).await.ok().unwrap();
            let number: usize = permit.rule().trim_start_matches("rule-").parse().unwrap();
            assert_eq!(HANDLERS[number].0, answer.body, "{path} was judged by the rule of another handler");
        }
        (answer.status, answer.body)
    }
}

impl Drop for Shop {
    fn drop(&mut self) {
        drop(self.handle.stop(false));
    }
}

/// Paths of the handlers, spelled in ways that a proxy or a program may.
fn spelled() -> impl Strategy<Value = String> {
    let part = prop::sample::select(vec![
        "/shop",
        "/orders",
        "/open",
        "/lines",
        "/admin",
        "/keys",
        "/files",
        "/a+b",
        "/a%2Bb",
        "/a%2bb",
        "/42",
        "/Shop",
        "/ORDERS",
        "/",
        "//",
        "/.",
        "/..",
        "/%2e",
        "/%2E%2e",
        ";",
        ";x=1",
        "%2F",
        "%5C",
        "%25",
        "%00",
        "/caf%C3%A9",
        "%80",
        "/%73hop",
        "/%61dmin",
        "/ad%6Din",
        "/k%65ys",
        "/%6frders",
        "/%2Ba",
        "%3B",
        "/...",
        "?q",
        "/\u{e9}",
    ]);
    let parts = prop::collection::vec(part, 0..6).prop_map(|parts| format!("/shop{}", parts.concat()));
    let base = HANDLERS.map(|(pattern, _)| pattern.replace(['{', '}', '*'], "")).to_vec();
    let escaped = (prop::sample::select(base), any::<u64>(), any::<bool>())
        .prop_map(|(path, mask, upper)| escaped(path.as_bytes(), |at| mask >> (at % 64) & 1 == 1, upper));
    prop_oneof![parts, escaped]
}

fn holds_for_every_spelling(tidied: Tidied) {
    let system = actix_web::rt::System::new();
    let shop = system.block_on(async { Shop::start(tidied) });
    let mut runner =
        TestRunner::new(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(1500) });
    let mut reached = 0;
    runner
        .run(&spelled(), |path| {
            system.block_on(shop.get(&path));
            Ok(())
        })
        .unwrap();
    for (pattern, _) in HANDLERS {
        let path = pattern.replace(['{', '}', '*'], "");
        reached += u32::from(system.block_on(shop.get(&path)).0 == 200);
    }
    assert_eq!(reached, 10, "every handler can be reached");
}

#[test]
fn the_handler_that_runs_is_the_one_whose_path_was_judged() {
    holds_for_every_spelling(Tidied::Never);
}

#[actix_web::test]
async fn paths_that_are_tidied_up_first_are_judged_tidied() {
    let shop = Shop::start(Tidied::BeforeProtect);
    for (path, status) in [
        ("/shop/admin/keys", 200),
        ("/shop/admin/keys/", 200),
        ("//shop///admin//keys", 200),
        ("/%73hop/admin//keys", 200),
        ("/shop/orders/42/lines//", 200),
        ("/shop/admin/../keys", 401),
    ] {
        assert_eq!(get(&shop.address, path, "").await.status, status, "{path}");
    }
}

#[actix_web::test]
async fn a_path_that_is_rewritten_behind_the_guard_is_an_error() {
    let shop = Shop::start(Tidied::BehindProtect);
    assert_eq!(get(&shop.address, "/shop/orders/42", "").await.status, 200);
    // judged as a path that ends in a slash, and routed as one that does not
    let answer = get(&shop.address, "/shop/orders/42/", "").await;
    assert_eq!((answer.status, answer.body.contains("lines")), (500, false), "{}", answer.body);
    assert_eq!(get(&shop.address, "/shop/served/42", "").await.status, 401);
    let forge = Forge::with_the_servers_key();
    let token = Draft::good(&forge.kid(), now())
        .claim("aud", r#""https://shop.example.com""#)
        .claim("scope", r#""shop:read""#)
        .sign(&forge);
    let bearer = format!("Authorization: Bearer {token}\r\n");
    let served = || SERVED.load(Ordering::Relaxed);
    assert_eq!(get(&shop.address, "/shop/served/42", &bearer).await.status, 200);
    assert_eq!(served(), 1);
    assert_eq!(get(&shop.address, "/shop/served/42/", &bearer).await.status, 500);
    assert_eq!(served(), 1, "a handler that takes a principal does not run");
}
