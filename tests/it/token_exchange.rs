//! Token exchange (RFC 8693): a token for a narrower one, and never for more.

use std::collections::BTreeSet;

use proptest::prelude::*;
use serde_json::{Value, json};

use crate::support::{
    ISSUER, ORDERS, Setup, TestApp,
    forge::{Draft, Forge, decoded},
    now, secrets, spawn_app_with,
};

const EXCHANGE: &str = "urn:ietf:params:oauth:grant-type:token-exchange";
const ACCESS_TOKEN: &str = "urn:ietf:params:oauth:token-type:access_token";
const BILLING: &str = "https://billing.example.com";

/// `relay` and `relay-two` exchange what `front` fetches, who may exchange too; `plain` may not. `admin` is an
/// operator who may exchange.
fn policies() -> String {
    format!(
        "version: 1
scopes:
  bills:read: Read bills
  bills:pay: Pay bills
roles:
  clerk: [orders:read, bills:read]
apis:
  billing:
    audience: {BILLING}
    rules:
      read: {{ routes: [GET /bills], require: {{ scope: bills:read }} }}
      pay: {{ routes: [POST /bills], require: {{ scope: bills:pay }} }}
      front: {{ routes: [GET /front], require: {{ client: front, scope: bills:read }} }}
      relay: {{ routes: [GET /relay], require: {{ client: relay }} }}
clients:
  front:
    {}
    token_exchange: true
    grants: {{ orders: {{ roles: [clerk], scopes: [orders:read, orders:write, bills:pay] }} }}
    claims: {{ tenant: acme, tier: 3 }}
    ttl: 10m
  relay:
    {}
    token_exchange: true
    grants: {{ billing: {{ scopes: [bills:read] }}, jeton: {{ scopes: [jeton:principal] }} }}
    claims: {{ tenant: relay }}
    ttl: 5m
  relay-two:
    {}
    token_exchange: true
    grants: {{ orders: {{ scopes: [orders:read] }} }}
  plain:
    {}
    grants: {{ orders: {{ scopes: [orders:read] }} }}
  admin:
    {}
    token_exchange: true
    grants: {{ jeton: {{ scopes: [jeton:ops, jeton:principal, bills:read] }} }}
",
        secrets("front"),
        secrets("relay"),
        secrets("relay-two"),
        secrets("plain"),
        secrets("admin")
    )
}

fn spawn() -> TestApp {
    spawn_app_with(Setup { policies: vec![("exchange.yaml", policies())], ..Setup::default() })
}

async fn fetch(app: &TestApp, client: &str, form: &[(&str, &str)]) -> String {
    let mut all = vec![("grant_type", "client_credentials")];
    all.extend_from_slice(form);
    let (status, body) = app.post_form("/oauth2/token", client, &all).await;
    assert_eq!(status, 200, "{body}");
    body["access_token"].as_str().unwrap().to_owned()
}

async fn exchange(app: &TestApp, client: &str, subject: &str, more: &[(&str, &str)]) -> (u16, Value) {
    let mut form =
        vec![("grant_type", EXCHANGE), ("subject_token", subject), ("subject_token_type", ACCESS_TOKEN)];
    form.extend_from_slice(more);
    app.post_form("/oauth2/token", client, &form).await
}

#[track_caller]
fn claims((status, body): (u16, Value)) -> Value {
    assert_eq!(status, 200, "{body}");
    assert_eq!(body["issued_token_type"], ACCESS_TOKEN, "RFC 8693 section 2.2.1");
    assert_eq!(body["token_type"], "Bearer");
    decoded(body["access_token"].as_str().unwrap()).1
}

#[actix_web::test]
async fn the_new_token_is_the_subjects_by_the_exchanger_and_narrower() {
    let app = spawn();
    let subject = fetch(&app, "front", &[]).await;
    app.clock.advance(100);
    let new = claims(exchange(&app, "relay", &subject, &[("scope", "orders:read bills:read")]).await);
    let expected = json!({
        "iss": ISSUER, "sub": "front", "client_id": "relay", "aud": ORDERS,
        "iat": now() + 100, "exp": now() + 400, "auth_time": now(), "exchanges": 1, "act": { "sub": "relay" },
        "scope": "bills:read orders:read", "roles": ["clerk"], "tenant": "acme", "tier": 3, "jti": new["jti"],
    });
    assert_eq!(new, expected);
    // without a scope: all of them; without the whole role: not the role
    let all = claims(exchange(&app, "relay", &subject, &[]).await);
    assert_eq!(all["scope"], "bills:pay bills:read orders:read orders:write");
    let less = claims(exchange(&app, "relay", &subject, &[("scope", "orders:read")]).await);
    assert_eq!((&less["scope"], less.get("roles")), (&json!("orders:read"), None));
    // it lives no longer than what it came from
    app.clock.advance(400);
    let late = claims(exchange(&app, "relay", &subject, &[("requested_token_type", ACCESS_TOKEN)]).await);
    assert_eq!((&late["exp"], &late["iat"]), (&json!(now() + 600), &json!(now() + 500)));
}

#[actix_web::test]
async fn another_api_is_open_as_far_as_the_exchanger_has_it_itself() {
    let app = spawn();
    let subject = fetch(&app, "front", &[]).await;
    let new = claims(exchange(&app, "relay", &subject, &[("resource", BILLING)]).await);
    assert_eq!((&new["aud"], &new["scope"]), (&json!(BILLING), &json!("bills:read")));
    assert_eq!(
        (&new["tenant"], new.get("roles")),
        (&json!("acme"), None),
        "its claims stay, its role is not granted"
    );
    for (name, form, error) in [
        (
            "a scope that the exchanger lacks",
            vec![("resource", BILLING), ("scope", "bills:pay")],
            "invalid_scope",
        ),
        (
            "a scope that the subject lacks",
            vec![("resource", BILLING), ("scope", "orders:refund")],
            "invalid_scope",
        ),
        ("an API of nobody", vec![("resource", "https://nowhere.example")], "invalid_target"),
        ("two at once", vec![("resource", BILLING), ("audience", ORDERS)], "invalid_target"),
    ] {
        let (status, body) = exchange(&app, "relay", &subject, &form).await;
        assert_eq!((status, &body["error"]), (400, &json!(error)), "{name}: {body}");
    }
    let (status, body) = exchange(&app, "relay-two", &subject, &[("resource", BILLING)]).await;
    assert_eq!((status, &body["error"]), (400, &json!("invalid_target")), "no grant there: {body}");
    let other = fetch(&app, "front", &[("scope", "orders:write")]).await;
    let (status, body) = exchange(&app, "relay", &other, &[("resource", BILLING)]).await;
    assert_eq!((status, &body["error"]), (400, &json!("invalid_scope")), "no scope in common: {body}");
}

/// At jeton's own API nothing is exchanged: no token for it comes of another, and no token for it becomes another,
/// whoever asks.
#[actix_web::test]
async fn nothing_is_exchanged_at_jetons_own_api() {
    let app = spawn();
    let operator = fetch(&app, "admin", &[]).await;
    let orders = fetch(&app, "front", &[]).await;
    let forge = Forge::with_the_servers_key();
    let of_two = format!("[\"{ORDERS}\", \"{ISSUER}\"]");
    let of_two = Draft::good(&forge.kid(), now()).claim("aud", of_two).sign(&forge);
    for (name, subject, more) in [
        ("an operator's token, by default", &operator, vec![]),
        ("an operator's token, by `resource`", &operator, vec![("resource", ISSUER)]),
        ("an operator's token, by `audience`", &operator, vec![("audience", ISSUER)]),
        ("by both", &operator, vec![("resource", ISSUER), ("audience", ISSUER)]),
        ("for less", &operator, vec![("scope", "jeton:principal")]),
        ("for a scope that it lacks", &operator, vec![("scope", "orders:read")]),
        ("for no list of scopes", &operator, vec![("scope", "a  b")]),
        ("an operator's token for another API", &operator, vec![("resource", BILLING)]),
        ("another API's token for jeton", &orders, vec![("resource", ISSUER)]),
        ("another API's token for jeton, by `audience`", &orders, vec![("audience", ISSUER)]),
        ("a token of two APIs", &of_two, vec![]),
        ("a token of two APIs, for the other", &of_two, vec![("resource", ORDERS)]),
    ] {
        for client in ["relay", "relay-two", "front", "admin"] {
            let (status, body) = exchange(&app, client, subject, &more).await;
            assert_eq!((status, &body["error"]), (400, &json!("invalid_target")), "{name}, {client}: {body}");
        }
    }
    // whoever may exchange nothing learns that first
    let (status, body) = exchange(&app, "plain", &operator, &[]).await;
    assert_eq!((status, &body["error"]), (400, &json!("unauthorized_client")), "{body}");
}

#[actix_web::test]
async fn rfc8693_2_2_2_each_refusal_has_its_error() {
    let app = spawn();
    let subject = fetch(&app, "front", &[]).await;
    let forge = Forge::with_the_servers_key();
    let draft = || Draft::good(&forge.kid(), now());
    let anonymous = draft().header("typ", "\"JWT\"").no_claim("sub").no_claim("client_id").sign(&forge);
    let expired = draft().claim("exp", now().to_string()).sign(&forge);
    let foreign = Forge::with("test-only-other.pem");
    let foreign = draft().sign(&foreign);
    let gone = draft().claim("sub", "\"nobody\"").sign(&forge);
    let worn = draft().claim("exchanges", "4").sign(&forge);
    let refresh = draft().header("typ", "\"rt+jwt\"").sign(&forge);
    for (name, client, subject, more, error) in [
        ("beyond the subject's scopes", "relay", &subject, vec![("scope", "orders:refund")], "invalid_scope"),
        ("a malformed scope", "relay", &subject, vec![("scope", "a  b")], "invalid_scope"),
        ("not for this client", "plain", &subject, vec![], "unauthorized_client"),
        ("no token", "relay", &"x".to_owned(), vec![], "invalid_request"),
        ("another issuer's", "relay", &foreign, vec![], "invalid_request"),
        ("names nobody", "relay", &anonymous, vec![], "invalid_request"),
        ("of a client that no longer exists", "relay", &gone, vec![], "invalid_request"),
        ("just expired", "relay", &expired, vec![], "invalid_request"),
        ("a refresh token", "relay", &refresh, vec![], "invalid_request"),
        ("exchanged too often", "relay", &worn, vec![], "invalid_request"),
        (
            "an actor",
            "relay",
            &subject,
            vec![("actor_token", "x"), ("actor_token_type", ACCESS_TOKEN)],
            "invalid_request",
        ),
        (
            "a refresh token wanted",
            "relay",
            &subject,
            vec![("requested_token_type", "urn:ietf:params:oauth:token-type:refresh_token")],
            "invalid_request",
        ),
    ] {
        let (status, body) = exchange(&app, client, subject, &more).await;
        assert_eq!((status, &body["error"]), (400, &json!(error)), "{name}: {body}");
    }
    for (name, form) in [
        ("no subject token", vec![("subject_token_type", ACCESS_TOKEN)]),
        ("no type", vec![("subject_token", subject.as_str())]),
        (
            "an ID token",
            vec![
                ("subject_token", &subject),
                ("subject_token_type", "urn:ietf:params:oauth:token-type:id_token"),
            ],
        ),
    ] {
        let mut form = form;
        form.push(("grant_type", EXCHANGE));
        let (status, body) = app.post_form("/oauth2/token", "relay", &form).await;
        assert_eq!((status, &body["error"]), (400, &json!("invalid_request")), "{name}");
    }
}

#[actix_web::test]
async fn a_chain_ends_at_its_length() {
    let app = spawn();
    let mut token = fetch(&app, "front", &[]).await;
    for exchanges in 1..=4 {
        let (status, body) = exchange(&app, ["relay", "relay-two"][exchanges % 2], &token, &[]).await;
        assert_eq!(status, 200, "{body}");
        token = body["access_token"].as_str().unwrap().to_owned();
        let (_, claims) = decoded(&token);
        assert_eq!((&claims["exchanges"], &claims["sub"]), (&json!(exchanges), &json!("front")));
    }
    let (status, body) = exchange(&app, "relay", &token, &[]).await;
    assert_eq!((status, &body["error"]), (400, &json!("invalid_request")), "{body}");
}

/// What a decision says of a token, as the operator is told.
struct Decisions {
    app: TestApp,
}

impl Decisions {
    fn new() -> Self {
        Self { app: spawn() }
    }

    async fn allows(&self, token: &str, api: &str, path: &str) -> bool {
        let operator = self.app.token_of("operator", "jeton").await;
        let question = json!({ "api": api, "method": "GET", "path": path, "token": token });
        let request = self.app.http.post(self.app.url("/ops/explain")).bearer_auth(operator).json(&question);
        request.send().await.unwrap().json::<Value>().await.unwrap()["allowed"].as_bool().unwrap()
    }
}

/// A `client` condition is met by a client that acts for itself, with a token that never was another's.
#[actix_web::test]
async fn an_exchanged_token_is_no_client_where_a_rule_names_one() {
    let decisions = Decisions::new();
    let app = &decisions.app;
    let subject = fetch(app, "front", &[]).await;
    let token = async |client: &str, subject: &str, more: &[(&str, &str)]| {
        let (status, body) = exchange(app, client, subject, more).await;
        assert_eq!(status, 200, "{body}");
        body["access_token"].as_str().unwrap().to_owned()
    };
    // what the subject token opens by scope and claims, the new one opens as well
    let same = token("relay", &subject, &[]).await;
    for subject_or_new in [&subject, &same] {
        assert!(decisions.allows(subject_or_new, "orders", "/tenants/acme/orders").await);
        assert!(!decisions.allows(subject_or_new, "orders", "/tenants/globex/orders").await);
    }
    let own = fetch(app, "relay", &[("resource", BILLING)]).await;
    assert!(decisions.allows(&own, "billing", "/relay").await, "for itself");
    let there = token("relay", &subject, &[("resource", BILLING)]).await;
    // the first client exchanges it back: it has no grant there, and is not let in as itself
    let back = token("front", &there, &[]).await;
    let (_, claims) = decoded(&back);
    assert_eq!((&claims["sub"], &claims["client_id"]), (&json!("front"), &json!("front")));
    for exchanged in [&there, &back] {
        assert!(decisions.allows(exchanged, "billing", "/bills").await, "by its scope");
        for path in ["/front", "/relay"] {
            assert!(!decisions.allows(exchanged, "billing", path).await, "{path}");
        }
    }
}

fn set(claims: &Value, name: &str) -> BTreeSet<String> {
    match &claims[name] {
        Value::String(list) => list.split(' ').filter(|item| !item.is_empty()).map(str::to_owned).collect(),
        Value::Array(items) => items.iter().map(|item| item.as_str().unwrap().to_owned()).collect(),
        _ => BTreeSet::new(),
    }
}

/// One request of a chain: who exchanges, for which API, which scopes, how long after the last.
#[derive(Clone, Debug)]
struct Step {
    client: &'static str,
    resource: Option<&'static str>,
    scopes: Option<Vec<&'static str>>,
    wait: i64,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let scopes =
        vec!["orders:read", "orders:write", "bills:read", "bills:pay", "orders:refund", "jeton:principal"];
    let step = (
        prop::sample::select(vec!["relay", "relay-two", "front"]),
        prop::option::of(prop::sample::select(vec![ORDERS, BILLING, ISSUER])),
        prop::option::of(prop::sample::subsequence(scopes, 1..4)),
        0..200_i64,
    );
    let step = step.prop_map(|(client, resource, scopes, wait)| Step { client, resource, scopes, wait });
    prop::collection::vec(step, 1..6)
}

/// A chain of exchanges, whatever is asked on the way: each token holds no more than the one before, and at
/// another API than that no more than the exchanger is granted there.
#[test]
fn no_chain_widens_anything() {
    let granted = |client: &str, audience: &Value| match (client, audience.as_str().unwrap()) {
        ("relay", BILLING) => BTreeSet::from(["bills:read".to_owned()]),
        ("relay-two", ORDERS) => BTreeSet::from(["orders:read".to_owned()]),
        ("front", ORDERS) => {
            ["bills:pay", "bills:read", "orders:read", "orders:write"].map(str::to_owned).into()
        }
        _ => BTreeSet::new(),
    };
    let runtime = actix_web::rt::System::new();
    let decisions = Decisions::new();
    let app = &decisions.app;
    let exchanged = std::cell::Cell::new(0);
    let config = ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() };
    proptest!(config, |(steps in steps())| {
        runtime.block_on(async {
            let mut token = fetch(app, "front", &[]).await;
            let mut before = decoded(&token).1;
            let began = before["iat"].clone();
            for step in steps {
                app.clock.advance(step.wait);
                let scope = step.scopes.as_ref().map(|scopes| scopes.join(" "));
                let mut more = Vec::new();
                more.extend(step.resource.map(|resource| ("resource", resource)));
                more.extend(scope.as_deref().map(|scope| ("scope", scope)));
                let (status, body) = exchange(app, step.client, &token, &more).await;
                if status != 200 {
                    prop_assert_eq!(status, 400);
                    continue;
                }
                exchanged.set(exchanged.get() + 1);
                let earlier = std::mem::replace(&mut token, body["access_token"].as_str().unwrap().to_owned());
                let after = decoded(&token).1;
                prop_assert_ne!(&after["aud"], ISSUER);
                prop_assert!(set(&after, "scope").is_subset(&set(&before, "scope")));
                prop_assert!(set(&after, "roles").is_subset(&set(&before, "roles")));
                prop_assert!(after["exp"].as_i64() <= before["exp"].as_i64());
                prop_assert_eq!(&after["auth_time"], &began);
                prop_assert!(after["jti"].as_str().unwrap().starts_with(before["jti"].as_str().unwrap()));
                for path in ["/front", "/relay"] {
                    prop_assert!(!decisions.allows(&token, "billing", path).await, "{}", path);
                }
                let before_api = if before["aud"] == BILLING { "billing" } else { "orders" };
                for path in ["/bills", "/tenants/acme/orders", "/tenants/globex/orders"] {
                    let widened = after["aud"] == before["aud"]
                        && decisions.allows(&token, before_api, path).await
                        && !decisions.allows(&earlier, before_api, path).await;
                    prop_assert!(!widened, "{}", path);
                }
                for same in ["sub", "tenant", "tier", "iss"] {
                    prop_assert_eq!(&after[same], &before[same]);
                }
                if after["aud"] != before["aud"] {
                    prop_assert!(set(&after, "scope").is_subset(&granted(step.client, &after["aud"])));
                }
                prop_assert_eq!(
                    after["exchanges"].as_u64().unwrap(),
                    before["exchanges"].as_u64().unwrap_or(0) + 1
                );
                before = after;
            }
            Ok(())
        })?;
    });
    assert!(exchanged.get() > 50, "only {} exchanges were taken", exchanged.get());
}
