//! What the console says of a token that somebody pasted.
use std::fs;

use jeton_oauth::clock::{Clock, SystemClock};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::support::{
    console::ConsoleServer,
    forge::{Draft, Forge, decoded},
    http_client, install_policies,
    proof::new_jti,
    secret, secrets,
};

const BOUND_ONLY: &str = "version: 1\nscopes: { vault:read: x }\napis:\n  vault:\n    audience: https://vault.example.com\n    \
                          bound_tokens: true\n    rules: { all: { routes: [GET /x], require: { scope: vault:read } } }\n";

async fn serve() -> ConsoleServer {
    let dir = TempDir::new().unwrap();
    install_policies(&dir.path().join("policies"));
    let more = format!(
        "{BOUND_ONLY}clients:\n  able:\n    {}\n    refresh: true\n    grants: {{ orders: {{ scopes: [orders:read] }} }}\n",
        secrets("able")
    );
    fs::write(dir.path().join("policies/more.yaml"), more).unwrap();
    ConsoleServer::serve_in(dir, "[policies]\npoll = \"1s\"\n").await
}

/// What the token endpoint answers a client.
async fn fetch(server: &ConsoleServer, client: &str) -> Value {
    let form = [("grant_type", "client_credentials"), ("resource", "https://orders.example.com")];
    let url = format!("http://{}/oauth2/token", server.binary.address);
    let request = http_client().post(url).basic_auth(client, Some(secret(client))).form(&form);
    let answer = request.send().await.unwrap();
    assert_eq!(answer.status(), 200);
    answer.json().await.unwrap()
}

async fn token_of(server: &ConsoleServer, client: &str) -> String {
    fetch(server, client).await["access_token"].as_str().unwrap().to_owned()
}

/// A token as the server signs one.
fn draft() -> Draft {
    let now = SystemClock.numeric_date();
    Draft::good(&Forge::with_the_servers_key().kid(), now).claim("jti", format!("\"{}\"", new_jti()))
}

fn signed(draft: &Draft) -> String {
    draft.sign(&Forge::with_the_servers_key())
}

async fn verdict(server: &ConsoleServer, token: &str) -> Value {
    server.posted("token", &json!({ "token": token })).await
}

#[track_caller]
fn is_bad(verdict: &Value, says: &[&str]) {
    assert_eq!(verdict["valid"], false, "{verdict}");
    let detail = verdict["detail"].as_str().unwrap_or_else(|| panic!("no detail: {verdict}"));
    for words in says {
        assert!(detail.contains(words), "{words:?} is not in {detail:?}");
    }
}

#[actix_web::test]
async fn a_token_of_the_server_is_good_for_the_api_of_its_audience() {
    let server = serve().await;
    let token = token_of(&server, "acme-sync").await;
    let expires = decoded(&token).1["exp"].as_i64().unwrap();
    let expected = json!({
        "valid": true, "detail": null, "api": "orders", "client": "acme-sync", "bound": null,
        "expires_at": jiff::Timestamp::from_second(expires).unwrap().to_string(), "explanation": null,
    });
    assert_eq!(verdict(&server, &token).await, expected);
    for pasted in [format!(" Bearer {token}\n"), format!("Authorization: DPoP {token}")] {
        assert_eq!(verdict(&server, &pasted).await, expected, "{pasted}");
    }
    // it is asked again and again, and is never used up
    for (path, allowed) in [("/tenants/acme/orders/42", true), ("/tenants/globex/orders/42", false)] {
        let asked = json!({ "token": token, "method": "GET", "path": path });
        let verdict = server.posted("token", &asked).await;
        assert_eq!((&verdict["valid"], &verdict["explanation"]["allowed"]), (&json!(true), &json!(allowed)));
        let question = json!({ "api": "orders", "token": token, "method": "GET", "path": path });
        assert_eq!(verdict["explanation"], server.posted("explain", &question).await);
    }
    let asked = json!({ "token": token, "api": "jeton", "method": "GET", "path": "/principal" });
    let of_jeton = server.posted("token", &asked).await;
    is_bad(&of_jeton, &["`aud`", "https://orders.example.com", "API `orders`"]);
    assert_eq!(
        (&of_jeton["api"], &of_jeton["explanation"]["reason"]),
        (&json!("jeton"), &json!("invalid-token"))
    );
}

#[actix_web::test]
async fn why_a_token_is_not_good_is_told_with_its_values() {
    let server = serve().await;
    let now = SystemClock.numeric_date();
    let of = |name: &str, value: &str| draft().claim(name, value);
    let issuers = ["`iss`", "https://other.example", "http://127.0.0.1:8080"];
    for (draft, says) in [
        (of("exp", &(now - 3600).to_string()), ["expired"].as_slice()),
        (of("nbf", &(now + 3600).to_string()), &["not valid yet"]),
        (of("iss", "\"https://other.example\""), &issuers),
        (of("aud", "\"https://nobody.example\""), &["`https://nobody.example`", "no API"]),
        (of("sub", "\"gone\"").claim("client_id", "\"gone\""), &["client `gone` no longer exists"]),
        (draft().header("typ", "\"policies+jwt\""), &["`typ`", "policies+jwt"]),
    ] {
        is_bad(&verdict(&server, &signed(&draft)).await, says);
    }
    let by_another = draft().header("kid", "\"other\"").claim("iss", "\"https://other.example\"");
    is_bad(&verdict(&server, &signed(&by_another)).await, &["`kid`", "https://other.example"]);
    let good = signed(&draft());
    let broken = format!("{}AAAA", &good[..good.len() - 4]);
    is_bad(&verdict(&server, &broken).await, &["signature"]);
    for (text, says) in [("", "three parts"), ("a.b", "three parts"), ("a.b.c", "base64url")] {
        is_bad(&verdict(&server, text).await, &[says]);
    }
}

#[actix_web::test]
async fn a_revoked_token_and_a_disabled_client_are_told() {
    let mut server = serve().await;
    let token = token_of(&server, "acme-sync").await;
    let jti = decoded(&token).1["jti"].as_str().unwrap().to_owned();
    fs::write(server.dir().join("policies/revoked.yaml"), format!("version: 1\nrevoked_tokens: [{jti:?}]\n"))
        .unwrap();
    server.binary.logged("policies.reloaded").await;
    let revoked = verdict(&server, &token).await;
    is_bad(&revoked, &["revoked"]);
    assert_eq!((&revoked["client"], &revoked["api"]), (&json!("acme-sync"), &json!("orders")));
    let other = token_of(&server, "acme-sync").await;
    let path = server.dir().join("policies/clients.yaml");
    let text =
        fs::read_to_string(&path).unwrap().replace("  acme-sync:\n", "  acme-sync:\n    enabled: false\n");
    fs::write(&path, text.split("\ntests:").next().unwrap()).unwrap();
    server.binary.logged("policies.reloaded").await;
    is_bad(&verdict(&server, &other).await, &["client `acme-sync` is disabled"]);
}

#[actix_web::test]
async fn a_bound_token_needs_its_key_and_an_api_may_take_no_other() {
    let server = serve().await;
    for (confirmation, bound, shown) in [
        (r#"{"jkt":"0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I"}"#, "dpop", "DPoP proof"),
        (r#"{"x5t#S256":"A4DtL2JmUMhAsvJj5tKyn64SqzmuXbMrJa0n761y5v0"}"#, "certificate", "its certificate"),
    ] {
        let verdict = verdict(&server, &signed(&draft().claim("cnf", confirmation))).await;
        assert_eq!((&verdict["valid"], &verdict["bound"]), (&json!(true), &json!(bound)), "{verdict}");
        assert!(verdict["detail"].as_str().unwrap().contains(shown), "{verdict}");
    }
    let vault = draft().claim("aud", "\"https://vault.example.com\"");
    let unbound = verdict(&server, &signed(&vault)).await;
    is_bad(&unbound, &["not bound", "`vault`", "`bound_tokens`"]);
    assert_eq!(unbound["bound"], Value::Null);
}

#[actix_web::test]
async fn a_refresh_token_is_told_as_one() {
    let server = serve().await;
    let answer = fetch(&server, "able").await;
    let refresh = verdict(&server, answer["refresh_token"].as_str().unwrap()).await;
    is_bad(&refresh, &["refresh token", "client `able`", "no API takes it"]);
    assert_eq!(refresh["client"], "able");
    assert_eq!(verdict(&server, answer["access_token"].as_str().unwrap()).await["valid"], true);
}

#[actix_web::test]
async fn a_wrong_question_about_a_token_is_told_what_is_wrong_with_it() {
    let server = serve().await;
    for (body, status, says) in [
        (json!({}), 400, "token"),
        (json!("x"), 400, "`token`"),
        (json!({ "token": 7 }), 400, "string"),
        (json!({ "token": "x", "method": "GET" }), 400, "`path`"),
        (json!({ "token": "x", "api": "order" }), 404, "`orders`"),
        (json!({ "token": "x".repeat(17_000) }), 413, "16 KiB"),
    ] {
        let (answered, problem) = server.post("token", &body).await;
        assert_eq!(answered, status, "{problem}");
        assert!(problem["detail"].as_str().unwrap().contains(says), "{problem}");
    }
}

#[actix_web::test]
async fn a_token_stands_in_no_line_of_the_log() {
    let mut server = serve().await;
    let token = token_of(&server, "acme-sync").await;
    let good = json!({ "token": token, "method": "GET", "path": "/x" });
    server.posted("token", &good).await;
    // where a member is wrong, the caller alone is told of it
    for body in
        [json!({ "token": [token] }), json!({ (token.clone()): 1 }), json!({ "token": format!("x{token}") })]
    {
        server.post("token", &body).await;
    }
    server.binary.stop().await;
    let log = server.binary.log_text();
    assert!(log.contains("\"stopped\""), "{log}");
    for part in token.split('.') {
        assert!(!log.contains(part), "{part} is in {log}");
    }
}
