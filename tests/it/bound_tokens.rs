//! `bound_tokens: true` of a client and of an API: none gets a token that anybody could use, by any way.

use std::{fs, time::Duration};

use serde_json::{Value, json};

use crate::support::{
    ISSUER, ORDERS, Setup, TestApp,
    forge::decoded,
    now,
    platform::{JWT, Platform, as_subject},
    root, secrets,
    signer::Signer,
    spawn_app_with,
};

const EXCHANGE: &str = "urn:ietf:params:oauth:grant-type:token-exchange";
const ACCESS_TOKEN: &str = "urn:ietf:params:oauth:token-type:access_token";
const BILLS: &str = "https://bills.example.com";

/// `strict` gets bound tokens alone, `lax` any. The API `bills` takes bound tokens alone.
fn policies() -> String {
    let client = |id: &str, more: &str| {
        let grants =
            "grants: { orders: { scopes: [orders:read] }, bills: { scopes: [bills:read, orders:read] } }";
        format!(
            "  {id}:\n    {}\n    {grants}\n    refresh: true\n    token_exchange: true\n{more}",
            secrets(id)
        )
    };
    format!(
        "version: 1
scopes: {{ bills:read: x }}
apis:
  bills:
    audience: {BILLS}
    bound_tokens: true
    rules: {{ all: {{ routes: [GET /bills], require: {{ any_scope: [bills:read, orders:read] }} }} }}
clients:
{}{}{}",
        client("strict", "    bound_tokens: true\n"),
        client("lax", ""),
        client("nameless", "    bound_tokens: true\n")
            .replace("    refresh: true\n    token_exchange: true\n", "    anonymous: true\n")
    )
}

fn spawn() -> TestApp {
    spawn_app_with(Setup { policies: vec![("bound.yaml", policies())], ..Setup::default() })
}

async fn ask(app: &TestApp, client: &str, form: &[(&str, &str)], key: Option<&Signer>) -> (u16, Value) {
    let proofs: Vec<_> = key.map(Signer::proof).into_iter().collect();
    let answer = app.post_token_with(client, form, &proofs).send().await.unwrap();
    (answer.status().as_u16(), answer.json().await.unwrap())
}

/// With a proof there is a token, which is bound; without one none, and the client is told what to do.
async fn must_be_bound(app: &TestApp, name: &str, client: &str, form: &[(&str, &str)], says: &str) -> Value {
    let key = Signer::p256();
    let (status, body) = ask(app, client, form, None).await;
    assert_eq!((status, &body["error"]), (400, &json!("invalid_request")), "{name}: {body}");
    let description = body["error_description"].as_str().unwrap();
    for said in [says, "in the header `DPoP`", "certificate"] {
        assert!(description.contains(said), "{name}: {description}");
    }
    let (status, body) = ask(app, client, form, Some(&key)).await;
    assert_eq!(status, 200, "{name}: {body}");
    let (_, claims) = decoded(body["access_token"].as_str().unwrap());
    assert_eq!(claims["cnf"], json!({ "jkt": key.thumbprint() }), "{name}");
    body
}

fn own(resource: &str) -> [(&str, &str); 2] {
    [("grant_type", "client_credentials"), ("resource", resource)]
}

#[actix_web::test]
async fn a_client_with_bound_tokens_gets_no_other() {
    let app = spawn();
    let says = "this client gets bound tokens only";
    let issued = must_be_bound(&app, "its own", "strict", &own(ORDERS), says).await;
    must_be_bound(&app, "an anonymous one", "nameless", &own(ORDERS), says).await;
    let refresh =
        [("grant_type", "refresh_token"), ("refresh_token", issued["refresh_token"].as_str().unwrap())];
    must_be_bound(&app, "refreshed", "strict", &refresh, says).await;
    let (_, unbound) = ask(&app, "lax", &own(ORDERS), None).await;
    let exchange = [
        ("grant_type", EXCHANGE),
        ("subject_token", unbound["access_token"].as_str().unwrap()),
        ("subject_token_type", ACCESS_TOKEN),
    ];
    must_be_bound(&app, "exchanged", "strict", &exchange, says).await;
    let (status, body) = ask(&app, "lax", &exchange, None).await;
    assert_eq!((status, &body["token_type"]), (200, &json!("Bearer")), "another client: {body}");
}

#[actix_web::test]
async fn for_an_api_with_bound_tokens_no_other_is_issued() {
    let app = spawn();
    let says = "the API takes bound tokens only";
    let issued = must_be_bound(&app, "its own", "lax", &own(BILLS), says).await;
    let refresh =
        [("grant_type", "refresh_token"), ("refresh_token", issued["refresh_token"].as_str().unwrap())];
    must_be_bound(&app, "refreshed", "lax", &refresh, says).await;
    let (_, unbound) = ask(&app, "lax", &own(ORDERS), None).await;
    let exchange = [
        ("grant_type", EXCHANGE),
        ("resource", BILLS),
        ("subject_token", unbound["access_token"].as_str().unwrap()),
        ("subject_token_type", ACCESS_TOKEN),
    ];
    must_be_bound(&app, "exchanged to it", "lax", &exchange, says).await;
    must_be_bound(&app, "by a client with it too", "strict", &own(BILLS), "this client").await;
    // from it, the new token is bound too, whatever the other API takes
    let (_, bound) = ask(&app, "lax", &own(BILLS), Some(&Signer::p256())).await;
    let away = [
        ("grant_type", EXCHANGE),
        ("resource", ORDERS),
        ("subject_token", bound["access_token"].as_str().unwrap()),
        ("subject_token_type", ACCESS_TOKEN),
    ];
    must_be_bound(&app, "exchanged away", "lax", &away, "the subject token is bound").await;
    let (status, body) = ask(&app, "lax", &own(ORDERS), None).await;
    assert_eq!((status, &body["token_type"]), (200, &json!("Bearer")), "another API: {body}");
}

/// What was issued before the edit, no service takes any more.
#[actix_web::test]
async fn introspection_says_of_an_unbound_token_what_its_api_would() {
    let grants = "grants: { orders: { scopes: [orders:read] } }";
    let text =
        policies() + &format!("  checker:\n    {}\n    introspect: true\n    {grants}\n", secrets("checker"));
    let lenient = text.replace("    bound_tokens: true\n    rules", "    rules");
    assert_ne!(lenient, text);
    let app = spawn_app_with(Setup { policies: vec![("bound.yaml", lenient.clone())], ..Setup::default() });
    let key = Signer::p256();
    let mut tokens = Vec::new();
    for (resource, key, must_be_bound) in
        [(BILLS, None, true), (BILLS, Some(&key), false), (ORDERS, None, false), (ORDERS, Some(&key), false)]
    {
        let (status, body) = ask(&app, "lax", &own(resource), key).await;
        assert_eq!(status, 200, "{body}");
        tokens.push((body["access_token"].as_str().unwrap().to_owned(), must_be_bound));
    }
    for (edit, is_strict) in [(&lenient, false), (&text, true), (&lenient, false)] {
        app.write_policy("bound.yaml", edit);
        assert_eq!(app.post_reload().await.status(), 200);
        for (token, must_be_bound) in &tokens {
            let (status, told) = app.post_form("/oauth2/introspect", "checker", &[("token", token)]).await;
            assert_eq!((status, &told["active"]), (200, &json!(!(is_strict && *must_be_bound))), "{told}");
            if is_strict && *must_be_bound {
                assert_eq!(told, json!({ "active": false }), "nothing else is said");
            }
        }
    }
}

#[actix_web::test]
async fn a_federated_client_with_bound_tokens_shows_a_proof_beside_its_platforms_token() {
    let ci = Platform::start().await;
    let policies = format!("{}    bound_tokens: true\n", ci.policies(""));
    let app = spawn_app_with(Setup { policies: vec![("ci.yaml", policies)], ..Setup::default() });
    let token = ci.good(now());
    let form = as_subject(JWT, &token);
    let (status, body) = app.post_bare(&form).await;
    assert_eq!((status, &body["error"]), (400, &json!("invalid_request")), "{body}");
    let key = Signer::p256();
    let request = app.http.post(app.url("/oauth2/token")).form(&form).header("DPoP", key.proof());
    let body: Value = request.send().await.unwrap().json().await.unwrap();
    let (_, claims) = decoded(body["access_token"].as_str().unwrap());
    assert_eq!((&body["token_type"], &claims["cnf"]), (&json!("DPoP"), &json!({ "jkt": key.thumbprint() })));
}

/// Neither of what was issued before an edit, nor of what was issued to who showed a proof.
#[actix_web::test]
async fn no_unbound_token_is_handed_out_again() {
    // each family of refresh tokens begins with a token of its own
    let edited = policies().replace("    refresh: true\n", "");
    let app = spawn_app_with(Setup {
        policies: vec![("bound.yaml", edited.replace("    bound_tokens: true\n", ""))],
        settings: |settings| settings.tokens.reuse = Some(Duration::from_mins(10)),
        ..Setup::default()
    });
    for resource in [ORDERS, BILLS] {
        let first = ask(&app, "strict", &own(resource), None).await;
        assert_eq!(first.0, 200, "{}", first.1);
        assert_eq!(ask(&app, "strict", &own(resource), None).await, first, "it is handed out again");
    }
    app.write_policy("bound.yaml", &edited);
    assert_eq!(app.post_reload().await.status(), 200);
    must_be_bound(&app, "the client", "strict", &own(ORDERS), "this client").await;
    must_be_bound(&app, "the API", "lax", &own(BILLS), "the API").await;
    // behind one that is kept for a key
    must_be_bound(&app, "the client, again", "strict", &own(ORDERS), "this client").await;
}

#[actix_web::test]
async fn jetons_own_api_can_ask_for_bound_tokens_too() {
    let sample = fs::read_to_string(root().join("policies/jeton.yaml")).unwrap();
    let text = sample.replace("\n  jeton:\n", "\n  jeton:\n    bound_tokens: true\n");
    let app = spawn_app_with(Setup { policies: vec![("jeton.yaml", text)], ..Setup::default() });
    must_be_bound(&app, "jeton", "operator", &own(ISSUER), "the API takes bound tokens only").await;
}
