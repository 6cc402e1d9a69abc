//! `/authz/NAME`: what gateways are answered, and what they are never answered.
use std::fs;

use base64::{Engine, prelude::BASE64_STANDARD};
use jeton::{
    config::{GatewayApis, GatewaySettings, HostedApi, Settings},
    gateway::{GatewayKind, GatewayName, TrustedPeers},
};
use jeton_oauth::ApiName;
use jeton_verify::{
    Origin,
    gateway::{ClaimHeader, HostName},
};
use reqwest::{Method, Response};

use crate::{
    decision_table::DecisionTable,
    support::{Setup, TestApp, copy_key, now, secrets, spawn_app_with},
};

const KINDS: [&str; 6] = ["nginx", "caddy", "traefik", "envoy", "haproxy", "service"];
const IDENTITY: [&str; 5] =
    ["x-auth-client", "x-auth-scopes", "x-auth-roles", "x-auth-token-id", "x-auth-claim-tenant"];

fn gateway(name: &str, kind: &str, apis: GatewayApis, peers: &str) -> GatewaySettings {
    GatewaySettings {
        name: GatewayName::parse(name).unwrap(),
        kind: GatewayKind::parse(kind).unwrap(),
        apis,
        trusted_peers: TrustedPeers::parse(&[peers.to_owned()]).unwrap(),
        claims: vec![ClaimHeader::parse("tenant").unwrap()],
    }
}

fn api(name: &str) -> ApiName {
    ApiName::parse(name).unwrap()
}

fn one(name: &str) -> GatewayApis {
    GatewayApis::One { api: api(name), origin: None }
}

fn hosted(host: &str, name: &str) -> (HostName, HostedApi) {
    HostedApi::at(HostName::parse(host).unwrap(), api(name)).unwrap()
}

/// One gateway of each kind before the orders API, `stranger` whom nobody here may ask as, and `hosts`.
fn gateways(settings: &mut Settings) {
    let orders = || one("orders");
    settings.gateways = KINDS.map(|kind| gateway(kind, kind, orders(), "127.0.0.1/32")).to_vec();
    settings.gateways.push(gateway("stranger", "nginx", orders(), "192.0.2.0/24"));
    let hosts = [("orders.example.com", "orders"), ("jeton.example.com", "jeton")];
    for kind in KINDS {
        let hosts = hosts.map(|(host, name)| hosted(host, name)).into();
        let name = format!("hosts-{kind}");
        settings.gateways.push(gateway(&name, kind, GatewayApis::ByHost(hosts), "127.0.0.1"));
    }
}

fn spawn() -> TestApp {
    spawn_app_with(Setup { settings: gateways, ..Setup::default() })
}

/// The names in which a gateway of this kind says method, target and host.
fn names(kind: &str) -> [&'static str; 3] {
    match kind {
        "nginx" | "haproxy" | "service" => ["X-Original-Method", "X-Original-URI", "X-Original-Host"],
        _ => ["X-Forwarded-Method", "X-Forwarded-Uri", "X-Forwarded-Host"],
    }
}

/// As a gateway of this kind asks about a request.
fn question(kind: &str, name: &str, method: &str, target: &str) -> String {
    if kind == "envoy" {
        return format!("{method} /authz/{name}{target} HTTP/1.1\r\nHost: orders.example.com\r\n");
    }
    let [of_method, of_target, _] = names(kind);
    format!("GET /authz/{name} HTTP/1.1\r\nHost: jeton\r\n{of_method}: {method}\r\n{of_target}: {target}\r\n")
}

struct Answer {
    status: u16,
    head: String,
}

impl Answer {
    fn header(&self, name: &str) -> Option<&str> {
        let mut found = self.head.lines().filter_map(|line| line.split_once(':'));
        found.find(|(other, _)| other.eq_ignore_ascii_case(name)).map(|(_, value)| value.trim())
    }
}

/// Asks, with these lines more.
async fn ask(app: &TestApp, question: &str, lines: &[&str]) -> Answer {
    let lines = lines.iter().flat_map(|line| [line, "\r\n"]).collect::<String>();
    let connection = if lines.contains("Connection:") { "" } else { "Connection: close\r\n" };
    let answer = app.send_raw(format!("{question}{lines}{connection}\r\n")).await;
    Answer { status: answer.status, head: answer.head }
}

async fn bearer(app: &TestApp, client: &str) -> String {
    format!("Authorization: Bearer {}", app.token_of(client, "orders").await)
}

/// A service before the API of the table of decisions, whose key signs for it too.
fn of_the_table(settings: &mut Settings) {
    copy_key("test-only-client-ed25519.pem", &settings.keys.dir);
    let table = DecisionTable::read();
    let keyring = settings.keys.dir.join("keyring.yaml");
    let entry = format!(
        "  - kid: {}\n    alg: EdDSA\n    created: 2026-02-01T00:00:00Z\n    activates: 2026-02-01T00:00:00Z\n",
        table.kid()
    );
    fs::write(&keyring, fs::read_to_string(&keyring).unwrap() + &entry).unwrap();
    settings.policies.dir = DecisionTable::policies();
    let services = table.services().into_iter().enumerate().map(|(number, service)| {
        let origin = service.origin.map(|origin| Origin::parse(origin).unwrap());
        let apis = GatewayApis::One { api: api(service.api), origin };
        gateway(&of_service(number), "service", apis, "127.0.0.1/32")
    });
    settings.gateways = services.collect();
}

/// The gateway of a service of the table, by its place among them.
fn of_service(number: usize) -> String {
    format!("service-{number}")
}

/// As services decide the table of decisions, the first time and the second. A gateway gets 403 for a request that it may
/// not read as jeton does, and for one that cannot be understood.
#[actix_web::test]
async fn a_service_that_asks_is_answered_as_the_table_has_it() {
    let table = DecisionTable::read();
    let issuer = table.issuer().to_owned();
    let app = spawn_app_with(Setup { issuer, settings: of_the_table, ..Setup::default() });
    app.clock.advance(table.now().as_second() - now());
    let services = table.services();
    let (mut differ, mut allowed) = (Vec::new(), 0);
    let asked: Vec<_> =
        table.cases().flat_map(|case| [(case.expected, case.clone()), (case.again, case)]).collect();
    for (expected, case) in asked {
        let number = services.iter().position(|service| *service == case.service).unwrap();
        let gateway = of_service(number);
        let authorization = case.authorization.iter().map(|value| format!("Authorization: {value}"));
        let dpop = case.dpop.iter().map(|value| format!("DPoP: {value}"));
        let certificate =
            case.certificate.map(|der| format!("Client-Cert: :{}:", BASE64_STANDARD.encode(der)));
        let headers: Vec<_> = authorization.chain(dpop).chain(certificate).collect();
        let headers: Vec<_> = headers.iter().map(String::as_str).collect();
        let answer = ask(&app, &question("service", &gateway, case.method, &case.target), &headers).await;
        let told = (answer.status, answer.header("x-auth-client"), answer.header("www-authenticate"));
        let is_as_told = match (expected["status"].as_u64().unwrap(), expected["reason"].as_str().unwrap()) {
            (200, _) => {
                allowed += 1;
                told == (200, Some(expected["principal"]["client"].as_str().unwrap_or_default()), None)
            }
            (400, _) | (_, "bad-path") => told.0 == 403 && told.1.is_none(),
            (status, _) => told == (u16::try_from(status).unwrap(), None, expected["challenge"].as_str()),
        };
        if !is_as_told {
            differ.push(format!("{}: {told:?}, and not {expected}", case.name));
        }
    }
    assert!(differ.is_empty(), "{}:\n{}", differ.len(), differ.join("\n"));
    assert!(allowed > 100, "only {allowed}");
}

#[actix_web::test]
async fn every_kind_answers_200_401_and_403_by_the_policies() {
    let app = spawn();
    let acme = bearer(&app, "acme-sync").await;
    for kind in KINDS {
        for (method, target, token, status, challenge) in [
            ("GET", "/healthz", None, 200, None),
            ("HEAD", "/healthz", None, 200, None),
            ("GET", "/tenants/acme/orders", Some(&acme), 200, None),
            ("GET", "/tenants/acme/orders?page=2&q=a/../b", Some(&acme), 200, None),
            ("HEAD", "/tenants/acme/orders", Some(&acme), 200, None),
            ("PUT", "/tenants/acme/orders/42", Some(&acme), 200, None),
            ("GET", "/tenants/acme/orders", None, 401, Some("Bearer")),
            ("GET", "/nowhere", None, 401, Some("Bearer")),
            ("GET", "/tenants/globex/orders", Some(&acme), 403, Some("error=\"insufficient_scope\"")),
            ("POST", "/tenants/acme/orders/42/refund", Some(&acme), 403, Some("scope=\"orders:refund\"")),
            ("DELETE", "/tenants/acme/orders", Some(&acme), 403, Some("error=\"insufficient_scope\"")),
            ("OPTIONS", "/tenants/acme/orders", Some(&acme), 403, Some("error=\"insufficient_scope\"")),
            ("TRACE", "/healthz", Some(&acme), 403, Some("error=\"insufficient_scope\"")),
            ("PROPFIND", "/healthz", Some(&acme), 403, Some("error=\"insufficient_scope\"")),
            (
                "GET",
                "/healthz",
                Some(&"Authorization: Bearer x.y.z".to_owned()),
                401,
                Some("error=\"invalid_token\""),
            ),
        ] {
            let lines: Vec<&str> = token.iter().map(|line| line.as_str()).collect();
            let answer = ask(&app, &question(kind, kind, method, target), &lines).await;
            assert_eq!(answer.status, status, "{kind}: {method} {target}: {}", answer.head);
            let found = answer.header("www-authenticate");
            match challenge {
                Some(part) => {
                    assert!(found.is_some_and(|it| it.contains(part)), "{kind} {target}: {found:?}");
                }
                None => assert_eq!(found, None, "{kind} {target}"),
            }
            let identity = IDENTITY.iter().filter(|name| answer.header(name).is_some()).count();
            assert_eq!(identity, if status == 200 { IDENTITY.len() } else { 0 }, "{kind}: {target}");
        }
    }
}

#[actix_web::test]
async fn a_positive_answer_says_who_asks_and_nothing_is_left_out() {
    let app = spawn();
    let token = app.token_of("acme-sync", "orders").await;
    let line = format!("Authorization: Bearer {token}");
    let forged = ["X-Auth-Client: admin", "X-Auth-Scopes: all", "x-auth-claim-tenant: globex"];
    for kind in KINDS {
        let question = |target| question(kind, kind, "GET", target);
        let named =
            ask(&app, &question("/tenants/acme/orders"), &[&[&*line][..], &forged[..]].concat()).await;
        assert_eq!(named.status, 200, "{kind}");
        assert_eq!(named.header("x-auth-client"), Some("acme-sync"));
        assert_eq!(named.header("x-auth-scopes"), Some("orders:read orders:write"));
        assert_eq!(named.header("x-auth-roles"), Some("order-agent"));
        assert_eq!(named.header("x-auth-claim-tenant"), Some("acme"));
        assert!(named.header("x-auth-token-id").is_some_and(|id| id.len() == 22));
        assert_eq!(named.header("cache-control"), Some("no-store"));
        // support-desk has no tenant
        let other = bearer(&app, "support-desk").await;
        let other = ask(&app, &question("/tenants/acme/orders"), &[&*other]).await;
        assert_eq!((other.status, other.header("x-auth-claim-tenant")), (200, Some("")), "{kind}");
        let public = ask(&app, &question("/healthz"), &forged).await;
        assert_eq!(public.status, 200);
        for name in IDENTITY {
            assert_eq!(public.header(name), Some(""), "{kind}: {name}");
        }
    }
}

#[actix_web::test]
async fn whatever_is_ambiguous_is_403() {
    let app = spawn();
    let acme = bearer(&app, "acme-sync").await;
    let also = bearer(&app, "support-desk").await;
    for kind in KINDS.into_iter().filter(|kind| *kind != "envoy") {
        let [method, target, host] = names(kind).map(|name| format!("{name}:"));
        let (good_method, good_target) = (format!("{method} GET"), format!("{target} /healthz"));
        let plain = format!("GET /authz/{kind} HTTP/1.1\r\nHost: jeton\r\n");
        for (what, lines) in [
            ("nothing", vec![]),
            ("no method", vec![&*good_target]),
            ("no target", vec![&*good_method]),
            ("two targets", vec![&*good_method, &*good_target, &*good_target]),
            ("two methods", vec![&*good_method, &*good_method, &*good_target]),
            ("two hosts, where none is read", vec![&*good_method, &*good_target, &*host, &*host]),
            ("a list of methods", vec![&*format!("{method} GET, POST"), &*good_target]),
            ("an empty target", vec![&*good_method, &*target]),
            ("an empty method", vec![&*method, &*good_target]),
            ("no slash", vec![&*good_method, &*format!("{target} healthz")]),
            ("an absolute target", vec![&*good_method, &*format!("{target} http://h/healthz")]),
            ("bytes that are no text", vec![&*good_method, &*format!("{target} /healthz/\u{e9}")]),
            ("other spellings alone", vec![&*good_method.replace('-', "_"), &*good_target.replace('-', "_")]),
        ] {
            let answer = ask(&app, &plain, &[&lines[..], &[&*acme][..]].concat()).await;
            assert_eq!(answer.status, 403, "{kind}: {what}");
        }
        // the other spelling is not read, and the right one is
        let other = format!("{} /tenants/globex/orders", target.replace('-', "_"));
        let answer = ask(&app, &plain, &[&*good_method, &*good_target, &*other]).await;
        assert_eq!(answer.status, 200, "{kind}");
    }
    for kind in KINDS {
        let question = |target| question(kind, kind, "GET", target);
        for (what, lines) in [
            ("two tokens", vec![&*acme, &*also]),
            ("the same token twice", vec![&*acme, &*acme]),
            ("a scheme without a token", vec!["Authorization: Bearer"]),
            ("a method override", vec!["X-HTTP-Method-Override: DELETE"]),
            ("a second one", vec!["X-Method-Override: GET", "X-Method-Override: PUT"]),
            ("in small letters", vec!["x-http-method: get"]),
            ("a connection that drops the identity", vec!["Connection: close, X-Auth-Client"]),
            ("a connection that drops the target", vec!["Connection: X-Original-URI, close"]),
            ("a connection that drops the method", vec!["Connection: close,x-forwarded-method"]),
            ("a connection that drops the token", vec!["Connection: close, Authorization"]),
            ("an identity that no answer overwrites", vec!["X-Auth-User: admin"]),
            ("an identity with an underscore", vec!["X_Auth_Client: admin"]),
            ("an identity with a dot", vec!["X.Auth.Client: admin"]),
            ("a method override with underscores", vec!["X_HTTP_Method_Override: DELETE"]),
            ("a token behind a tab", vec!["Authorization: Bearer\tx.y.z"]),
            ("a token behind a comma", vec!["Authorization: Bearer,x.y.z"]),
            ("a connection that drops a spelling", vec!["Connection: close, X_Auth_Client"]),
            ("and with one", vec!["X-Auth_Client: admin"]),
        ] {
            let answer = ask(&app, &question("/healthz"), &lines).await;
            assert_eq!(answer.status, 403, "{kind}: {what}");
        }
        // nginx cannot drop these, and the others do
        let foreign = ask(&app, &question("/healthz"), &["X-Original-Remote-Addr: 127.0.0.1"]).await;
        assert_eq!(foreign.status, if ["nginx", "service"].contains(&kind) { 403 } else { 200 }, "{kind}");
        // no `Connection` that matters, and an override that says the same
        let lines = ["Connection: close, keep-alive", "X-HTTP-Method-Override: GET"];
        assert_eq!(ask(&app, &question("/healthz"), &lines).await.status, 200, "{kind}");
        let in_query = format!("/healthz?access_token={}", acme.rsplit(' ').next().unwrap());
        assert_eq!(ask(&app, &question(&in_query), &[]).await.status, 403, "{kind}: a token in the query");
    }
}

/// Some of the refusal list; the tests of `CanonicalPath` have the whole of it.
#[actix_web::test]
async fn no_path_trick_gets_through() {
    let app = spawn();
    let acme = bearer(&app, "acme-sync").await;
    for kind in KINDS {
        for target in [
            "/healthz/../tenants/globex/orders",
            "/healthz/..;/tenants/globex/orders",
            "/healthz/%2e%2e/tenants/globex/orders",
            "/healthz/%252e%252e/tenants/globex/orders",
            "/healthz%2f..%2ftenants/globex/orders",
            "/healthz/..%5ctenants/globex/orders",
            "//healthz",
            "/healthz/",
            "/Healthz",
            "/healthz%00",
            "/healthz%23",
            "/healthz%3f",
            "/healthz;a=b",
            "/healthz\\",
            "/healthz/.",
            &format!("/{}", "a/".repeat(70)),
            &format!("/{}", "a".repeat(9_000)),
        ] {
            for lines in [&[][..], &[&*acme], &["Authorization: Bearer x.y.z"]] {
                let answer = ask(&app, &question(kind, kind, "GET", target), lines).await;
                // without a token nobody learns whether anything is there
                let exists_not = ["/healthz/", "/Healthz"].contains(&target) && lines != [&*acme];
                let expected = if exists_not { 401 } else { 403 };
                assert_eq!(answer.status, expected, "{kind}: {target}");
            }
        }
    }
}

#[actix_web::test]
async fn who_is_not_trusted_learns_nothing() {
    let app = spawn();
    let acme = bearer(&app, "acme-sync").await;
    let lines = ["X-Forwarded-For: 192.0.2.7", "X-Real-IP: 192.0.2.7", "Forwarded: for=192.0.2.7", &*acme];
    let answer = ask(&app, &question("nginx", "stranger", "GET", "/healthz"), &lines).await;
    assert_eq!((answer.status, answer.header("x-auth-client")), (403, None));
    for path in [
        "/authz",
        "/authz/",
        "/authz/nobody",
        "/authz/Nginx",
        "/authz/nginx2",
        "/authz/nginx%2f",
        "/authz//nginx",
        "/authz/envoy*",
    ] {
        let plain = format!(
            "GET {path} HTTP/1.1\r\nHost: jeton\r\nX-Original-Method: GET\r\nX-Original-URI: /healthz\r\n"
        );
        assert_eq!(ask(&app, &plain, &[&*acme]).await.status, 403, "{path}");
    }
}

/// What else a client could have had asked: the gateway's own request is what counts nowhere but at Envoy.
#[actix_web::test]
async fn the_own_request_counts_for_envoy_alone() {
    let app = spawn();
    let acme = bearer(&app, "acme-sync").await;
    for kind in KINDS.into_iter().filter(|kind| *kind != "envoy") {
        let [method, target, _] = names(kind);
        let behind = format!(
            "GET /authz/{kind}/healthz?x HTTP/1.1\r\nHost: jeton\r\n{method}: GET\r\n{target}: /tenants/globex/orders\r\n"
        );
        assert_eq!(ask(&app, &behind, &[&*acme]).await.status, 403, "{kind}");
        let other = if ["nginx", "haproxy", "service"].contains(&kind) { "traefik" } else { "nginx" };
        let [method, target, _] = names(other);
        let foreign =
            format!("GET /authz/{kind} HTTP/1.1\r\nHost: jeton\r\n{method}: GET\r\n{target}: /healthz\r\n");
        assert_eq!(ask(&app, &foreign, &[&*acme]).await.status, 403, "{kind} does not read {target}");
    }
    for lines in [
        ["X-Original-URI: /healthz", "X-Original-Method: GET"],
        ["X-Forwarded-Uri: /healthz", "X-Forwarded-Method: GET"],
        ["X-Envoy-Original-Path: /healthz", "X-Rewrite-URL: /healthz"],
    ] {
        let answer = ask(&app, &question("envoy", "envoy", "GET", "/tenants/globex/orders"), &lines).await;
        assert_eq!(answer.status, 401, "{lines:?}");
    }
    assert_eq!(ask(&app, &question("envoy", "envoy", "GET", ""), &[&*acme]).await.status, 403);
}

#[actix_web::test]
async fn the_host_chooses_the_api_where_the_settings_say_so() {
    let app = spawn();
    let orders = bearer(&app, "acme-sync").await;
    let own = format!("Authorization: Bearer {}", app.token_of("acme-sync", "jeton").await);
    for kind in KINDS {
        let name = format!("hosts-{kind}");
        let with_host = |target: &str, hosts: &[&str]| {
            if kind == "envoy" {
                let hosts = hosts.iter().flat_map(|host| ["Host: ", host, "\r\n"]).collect::<String>();
                return format!("GET /authz/{name}{target} HTTP/1.1\r\n{hosts}");
            }
            let of_host = names(kind)[2];
            let hosts = hosts.iter().flat_map(|host| [of_host, ": ", host, "\r\n"]).collect::<String>();
            question(kind, &name, "GET", target) + &hosts
        };
        for (target, hosts, token, status) in [
            ("/tenants/acme/orders", &["orders.example.com"][..], &orders, 200),
            ("/principal", &["jeton.example.com"], &own, 200),
            ("/principal", &["orders.example.com"], &orders, 403),
            ("/tenants/acme/orders", &["jeton.example.com"], &own, 403),
            ("/tenants/acme/orders", &["jeton.example.com"], &orders, 401),
            ("/tenants/acme/orders", &["ORDERS.example.com"], &orders, 200),
            ("/tenants/acme/orders", &["orders.Example.Com."], &orders, 200),
            ("/principal", &["jeton.example.com."], &own, 200),
            ("/principal", &["ORDERS.EXAMPLE.COM"], &orders, 403),
            ("/tenants/acme/orders", &["orders.example.com.."], &orders, 403),
            ("/tenants/acme/orders", &[".orders.example.com"], &orders, 403),
            ("/tenants/acme/orders", &["orders.example.com:80"], &orders, 403),
            ("/tenants/acme/orders", &["elsewhere.example.com"], &orders, 403),
            ("/tenants/acme/orders", &["orders.example.com", "orders.example.com"], &orders, 403),
        ] {
            let answer = ask(&app, &with_host(target, hosts), &[token.as_str()]).await;
            // the parser itself refuses two hosts for Envoy
            let refused_by_parser = kind == "envoy" && hosts.len() > 1 && answer.status == 400;
            assert!(
                answer.status == status || refused_by_parser,
                "{kind}: {target} at {hosts:?}: {}",
                answer.status
            );
        }
        if kind != "envoy" {
            let without = question(kind, &name, "GET", "/healthz");
            assert_eq!(ask(&app, &without, &[&*orders]).await.status, 403, "{kind}: no host");
        }
    }
}

/// Values that a header cannot carry as they are would be read otherwise.
#[actix_web::test]
async fn a_claim_that_no_header_can_carry_is_refused() {
    let client = |id: &str, tenant: &str| {
        let secrets = secrets(id);
        format!(
            "  {id}:\n    {secrets}\n    grants: {{ orders: {{ roles: [support-lead] }} }}\n    claims: {{ tenant: {tenant} }}\n"
        )
    };
    let rows = [
        ("plain", "acme", Some("acme")),
        ("inner-space", "acme corp", Some("acme corp")),
        ("a-list", "[a, b]", Some("a b")),
        ("space-in-a-list", "[a b, c]", None),
        ("space-at-the-end", "\"acme \"", None),
        ("line-break", "\"acme\\r\\nX-Auth-Client: admin\"", None),
    ];
    let clients: String = rows.iter().map(|(id, tenant, _)| client(id, tenant)).collect();
    let policies = vec![("more.yaml", format!("version: 1\nclients:\n{clients}"))];
    let app = spawn_app_with(Setup { policies, settings: gateways, ..Setup::default() });
    for (id, _, expected) in rows {
        let token = bearer(&app, id).await;
        let answer = ask(&app, &question("nginx", "nginx", "GET", "/tenants/acme/orders"), &[&*token]).await;
        let status = if expected.is_some() { 200 } else { 403 };
        assert_eq!((answer.status, answer.header("x-auth-claim-tenant")), (status, expected), "{id}");
        assert_ne!(answer.header("x-auth-client"), Some("admin"), "{id}");
    }
}

async fn status_of(app: &TestApp, token: &str) -> u16 {
    ask(app, &question("nginx", "nginx", "GET", "/tenants/acme/orders"), &[token]).await.status
}

#[actix_web::test]
async fn reloads_and_revocations_are_seen_at_once() {
    let app = spawn();
    let acme = bearer(&app, "acme-sync").await;
    assert_eq!(status_of(&app, &acme).await, 200);
    let clients = std::fs::read_to_string(app.dir.path().join("policies/clients.yaml")).unwrap();
    app.write_policy(
        "clients.yaml",
        &clients.replace("    ttl: 15m\n\n  globex", "    enabled: false\n\n  globex"),
    );
    assert_eq!(app.post_reload().await.status(), 200);
    assert_eq!(status_of(&app, &acme).await, 401);
    app.write_policy("clients.yaml", &clients);
    assert_eq!(app.post_reload().await.status(), 200);
    assert_eq!(status_of(&app, &acme).await, 200);
    app.clock.advance(20 * 60);
    assert_eq!(status_of(&app, &acme).await, 401, "expired");
}

/// The paths of the issuer do not stand before those of gateways.
#[actix_web::test]
async fn an_issuer_with_a_path_changes_nothing() {
    for issuer in ["http://127.0.0.1:8080/tokens", "http://127.0.0.1:8080/authz"] {
        let named = |settings: &mut Settings| {
            let orders = || one("orders");
            settings.gateways = vec![
                gateway("status", "envoy", orders(), "127.0.0.1"),
                gateway("ops", "nginx", orders(), "127.0.0.1"),
            ];
        };
        let app = spawn_app_with(Setup { issuer: issuer.to_owned(), settings: named, ..Setup::default() });
        for (target, status) in [("/healthz", 200), ("/AAAAAAAAAAAAAAAAAAAAAA", 401), ("/readyz", 401)] {
            let answer = ask(&app, &question("envoy", "status", "GET", target), &[]).await;
            assert_eq!(answer.status, status, "{issuer}: {target}");
        }
        assert_eq!(
            ask(&app, &question("nginx", "ops", "GET", "/healthz"), &[]).await.status,
            200,
            "{issuer}"
        );
        assert_eq!(
            ask(&app, "GET /authz/principal HTTP/1.1\r\nHost: jeton\r\n", &[]).await.status,
            match issuer {
                // it is the issuer's own; settings refuse such an issuer beside gateways
                "http://127.0.0.1:8080/authz" => 401,
                _ => 403,
            }
        );
    }
}

/// A token for another API, and one of jeton's own.
#[actix_web::test]
async fn a_token_for_another_api_is_none_here() {
    let app = spawn();
    let own = format!("Authorization: Bearer {}", app.token_of("acme-sync", "jeton").await);
    assert_eq!(status_of(&app, &own).await, 401);
    let answer: Response = app.http.request(Method::GET, app.url("/authz/nginx")).send().await.unwrap();
    assert_eq!(answer.status(), 403);
}
