//! Which API a token is for, where the request does not name one (RFC 9068 section 3).

use serde_json::{Value, json};

use crate::support::{ISSUER, ORDERS, Setup, TestApp, forge::decoded, secrets, spawn_app_with};

const BILLS: &str = "https://bills.example.com";
const MAILS: &str = "https://mails.example.com";

/// A server with a client that has grants at several APIs, and one that has a grant at one.
fn app() -> TestApp {
    let api = |name: &str, audience: &str| {
        format!(
            "  {name}:
    audience: {audience}
    rules: {{ all: {{ routes: [GET /{name}], require: {{ scope: {name}:read }} }} }}
"
        )
    };
    let text = format!(
        "version: 1
scopes: {{ bills:read: x, bills:write: x, mails:read: x, shared: x }}
roles: {{ biller: [bills:read, bills:write] }}
apis:
{}{}clients:
  several:
    {}
    grants:
      orders: {{ scopes: [orders:read, shared] }}
      bills: {{ roles: [biller], scopes: [shared] }}
      mails: {{ scopes: [mails:read, orders:read] }}
      jeton: {{ scopes: [jeton:principal, shared] }}
  single:
    {}
    grants: {{ bills: {{ roles: [biller] }} }}
",
        api("bills", BILLS),
        api("mails", MAILS),
        secrets("several"),
        secrets("single"),
    );
    spawn_app_with(Setup { policies: vec![("several.yaml", text)], ..Setup::default() })
}

/// Asks for a token, by these parameters more.
async fn ask(app: &TestApp, client: &str, scope: &str, more: &[(&str, &str)]) -> (u16, Value) {
    let form = [&[("grant_type", "client_credentials"), ("scope", scope)], more].concat();
    app.post_form("/oauth2/token", client, &form).await
}

#[actix_web::test]
async fn rfc9068_3_the_scope_names_the_api() {
    let app = app();
    for (name, client, scope, audience) in [
        ("one scope", "several", "mails:read", MAILS),
        ("a role's scope", "several", "bills:write", BILLS),
        ("two scopes", "several", "mails:read orders:read", MAILS),
        ("two of which one is shared", "several", "orders:read shared", ORDERS),
        ("one API beside jeton's", "acme-sync", "orders:read", ORDERS),
        ("the only API", "single", "bills:read", BILLS),
        ("jeton's, where it is the only one", "operator", "jeton:ops", ISSUER),
    ] {
        let (status, body) = ask(&app, client, scope, &[]).await;
        assert_eq!(status, 200, "{name}: {body}");
        let (_, claims) = decoded(body["access_token"].as_str().unwrap());
        assert_eq!((&claims["aud"], &claims["scope"]), (&json!(audience), &json!(scope)), "{name}");
    }
}

#[actix_web::test]
async fn rfc8707_2_where_the_scope_names_none_or_two_nothing_is_issued() {
    let app = app();
    let mails = &[("resource", MAILS)][..];
    for (name, client, scope, more, error) in [
        ("no scope", "several", "", &[][..], "invalid_target"),
        ("a scope of two APIs", "several", "orders:read", &[], "invalid_target"),
        ("a scope of two APIs and jeton's", "several", "shared", &[], "invalid_target"),
        ("scopes of two APIs, together of none", "several", "bills:read mails:read", &[], "invalid_target"),
        ("a scope of none", "several", "orders:write", &[], "invalid_target"),
        ("a scope of nobody's", "several", "nobody:read", &[], "invalid_target"),
        ("jeton's own", "several", "jeton:principal", &[], "invalid_target"),
        ("jeton's own beside one API", "acme-sync", "jeton:principal", &[], "invalid_target"),
        ("beyond one API beside jeton's", "acme-sync", "orders:refund", &[], "invalid_target"),
        ("no list of scopes", "several", "mails:read  orders:read", &[], "invalid_scope"),
        ("beyond the only API", "single", "orders:read", &[], "invalid_scope"),
        ("beyond the API that is named", "several", "bills:read", mails, "invalid_scope"),
    ] {
        let (status, body) = ask(&app, client, scope, more).await;
        assert_eq!((status, &body["error"]), (400, &json!(error)), "{name}: {body}");
    }
}
