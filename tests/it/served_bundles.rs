//! A jeton and a service that knows its address alone: an edit of the policies reaches the service, which outlives the
//! issuer.

use std::{fs, sync::Arc, time::Duration};

use jeton_oauth::{ClientId, clock::Clock};
use jeton_verify::{Authorizer, BundleSource, PolicySource, ServiceCredentials, ServiceOptions};

use crate::support::{Setup, TestApp, redis::free_port, root, secret, secrets, spawn_app_with};

/// The sample's orders API with a bundle for whom it says, and with a further rule.
fn orders(bundle: &str, rule: &str) -> String {
    let sample = fs::read_to_string(root().join("policies/orders.yaml")).unwrap();
    let with_bundle = "audience: https://orders.example.com\n    bundle: ".to_owned() + bundle + "\n";
    let text = sample.replace("audience: https://orders.example.com\n", &with_bundle);
    let text = text.replace("    rules:\n      health:\n", &format!("    rules:\n{rule}      health:\n"));
    assert_ne!(text, sample);
    text
}

const PING: &str = "      ping: { routes: [GET /ping], require: { scope: orders:read } }\n";

/// A jeton at the address that it says, with these files.
fn jeton(policies: Vec<(&'static str, String)>) -> TestApp {
    spawn_app_with(Setup {
        issuer: format!("http://127.0.0.1:{}", free_port()),
        policies,
        settings: |settings| {
            settings.server.listen = settings.issuer.as_str().trim_start_matches("http://").parse().unwrap();
            settings.policies.poll = Some(Duration::from_millis(50));
        },
        ..Setup::default()
    })
}

fn options(app: &TestApp) -> ServiceOptions {
    let mut options = ServiceOptions::new(&app.address, "orders").unwrap();
    options.clock = Arc::clone(&app.clock) as Arc<dyn Clock>;
    options
}

async fn status(service: &Authorizer, token: &str, path: &str) -> u16 {
    let header = format!("Bearer {token}").into_bytes();
    service.answer("GET", path, [&*header]).await.status
}

fn bundle_of(service: &Authorizer) -> Arc<BundleSource> {
    let PolicySource::Bundle(bundle) = service.policies() else { panic!("a folder") };
    Arc::clone(bundle)
}

#[actix_web::test]
async fn an_edit_reaches_a_service_and_outlives_the_issuer() {
    let app = jeton(vec![("orders.yaml", orders("public", ""))]);
    let clock = Arc::clone(&app.clock);
    let keep = tempfile::tempdir().unwrap();
    let mut options = options(&app);
    options.keep = Some(keep.path().to_owned());
    let service = options.clone().start().unwrap();
    let token = app.token_of("acme-sync", "orders").await;
    assert_eq!(status(&service, &token, "/tenants/acme/orders").await, 200, "the first request waits");
    assert_eq!(status(&service, &token, "/ping").await, 403);

    let bundle = bundle_of(&service);
    let edit = async |text: String| {
        let before = app.get("/policies/orders").await.headers()["etag"].clone();
        app.write_policy("orders.yaml", &text);
        app.until_answered(async || app.get("/policies/orders").await.headers()["etag"] != before).await;
    };
    edit(orders("public", PING)).await;
    clock.advance(59);
    bundle.refresh().await;
    assert_eq!(status(&service, &token, "/ping").await, 403, "before its time");
    clock.advance(1);
    bundle.refresh().await;
    assert_eq!(status(&service, &token, "/ping").await, 200, "within `bundle_ttl`");
    let ready = app.get("/readyz").await.text().await.unwrap();
    assert!(ready.contains(&bundle.state().hash.unwrap()), "the hash is that of the folder: {ready}");

    // what revokes tokens goes the same way
    let revoked = "\nrevoked_tokens: [one-that-nobody-has]\n";
    edit(orders("public", PING) + revoked).await;
    clock.advance(60);
    bundle.refresh().await;
    assert_eq!(bundle.state().failure, None);

    drop(app);
    let ends = bundle.state().expires_at.unwrap().as_second();
    clock.advance(60);
    bundle.refresh().await;
    assert!(bundle.state().failure.is_some(), "the issuer is away");
    assert_eq!(status(&service, &token, "/ping").await, 200, "the last good one counts");
    drop(service);
    let service = options.start().unwrap();
    assert_eq!(status(&service, &token, "/ping").await, 200, "also after a start");
    clock.advance(ends + 29 - clock.numeric_date());
    assert_eq!(status(&service, &token, "/ping").await, 401, "the token has expired, and the bundle not");
    clock.advance(1);
    assert_eq!(status(&service, &token, "/ping").await, 503);
    assert_eq!(status(&service, &token, "/healthz").await, 503, "nothing is known, of public routes neither");
}

#[actix_web::test]
async fn a_bundle_for_clients_takes_credentials() {
    let client = |id: &str, grants: &str| format!("  {id}:\n    {}\n    {grants}\n", secrets(id));
    let clients = "version: 1\nclients:\n".to_owned()
        + &client("orders-service", "grants: { jeton: { scopes: [jeton:policies] } }")
        + &client("another", "grants: { jeton: { scopes: [jeton:principal] } }");
    let app = jeton(vec![("orders.yaml", orders("clients", "")), ("services.yaml", clients)]);
    let token = app.token_of("acme-sync", "orders").await;
    let dir = tempfile::tempdir().unwrap();
    let by = |client: Option<&str>| {
        let mut options = options(&app);
        options.credentials = client.map(|client| {
            let secret_file = dir.path().join(client);
            fs::write(&secret_file, secret(client)).unwrap();
            ServiceCredentials::Client { id: ClientId::parse(client).unwrap(), secret_file }
        });
        options.start().unwrap()
    };
    for (name, client, expected, part) in [
        ("granted", Some("orders-service"), 200, ""),
        ("without", None, 503, "credentials"),
        ("not granted", Some("another"), 503, "`another`"),
        ("unknown", Some("nobody"), 503, "`invalid_client` (401)"),
    ] {
        let service = by(client);
        assert_eq!(status(&service, &token, "/tenants/acme/orders").await, expected, "{name}");
        let error = bundle_of(&service).state().failure.map(|failure| failure.error).unwrap_or_default();
        assert!(error.contains(part), "{name}: {error}");
    }
}

#[actix_web::test]
async fn an_api_without_a_bundle_is_named_in_the_log() {
    let app = jeton(vec![]);
    let service = options(&app).start().unwrap();
    let token = app.token_of("acme-sync", "orders").await;
    assert_eq!(status(&service, &token, "/tenants/acme/orders").await, 503);
    let bundle = bundle_of(&service);
    let told = || bundle.state().failure.unwrap().error;
    assert!(told().contains("API `orders` (404)") && told().contains("`bundle: public`"), "{}", told());

    app.write_policy("orders.yaml", &orders("public", ""));
    app.until_answered(async || app.get("/policies/orders").await.status() == 200).await;
    app.clock.advance(60);
    bundle.refresh().await;
    assert_eq!(status(&service, &token, "/tenants/acme/orders").await, 200, "without a start");
}
