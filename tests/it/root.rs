//! `GET /`: a page for browsers, JSON for programs, and nothing secret in either.
use base64::{Engine, prelude::BASE64_STANDARD};
use reqwest::{Method, Response};
use ring::digest;
use serde_json::{Value, json};

use crate::support::{ISSUER, Setup, TestApp, spawn_app, spawn_app_with};

const BROWSER: &str = "text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,*/*;q=0.8";

async fn get_accepting(app: &TestApp, path: &str, accept: &[&str]) -> Response {
    let request =
        accept.iter().fold(app.http.get(app.url(path)), |request, accept| request.header("accept", *accept));
    request.send().await.unwrap()
}

fn header_of<'a>(answer: &'a Response, name: &str) -> &'a str {
    answer.headers().get(name).map_or("", |value| value.to_str().unwrap())
}

#[actix_web::test]
async fn programs_get_json() {
    let app = spawn_app();
    let answer = get_accepting(&app, "/", &["*/*"]).await;
    assert_eq!((answer.status().as_u16(), header_of(&answer, "content-type")), (200, "application/json"));
    assert_eq!(header_of(&answer, "vary"), "Accept");
    let body: Value = answer.json().await.unwrap();
    let expected = json!({
        "name": "jeton",
        "version": env!("CARGO_PKG_VERSION"),
        "issuer": ISSUER,
        "token_endpoint": format!("{ISSUER}/oauth2/token"),
        "introspection_endpoint": format!("{ISSUER}/oauth2/introspect"),
        "jwks_uri": format!("{ISSUER}/.well-known/jwks.json"),
        "metadata": format!("{ISSUER}/.well-known/oauth-authorization-server"),
        "health": format!("{ISSUER}/healthz"),
        "ready": format!("{ISSUER}/readyz"),
    });
    assert_eq!(body, expected);
    for place in ["jwks_uri", "metadata", "health", "ready"] {
        let path = body[place].as_str().unwrap().strip_prefix(ISSUER).unwrap();
        assert_eq!(app.get(path).await.status(), 200, "{place}");
    }
}

#[actix_web::test]
async fn where_tokens_are_revoked_is_told_with_a_shared_store_alone() {
    let shared = Setup { store: Some("redis://127.0.0.1:1".to_owned()), ..Setup::default() };
    let below = Setup { issuer: format!("{ISSUER}/tokens"), ..Setup::default() };
    let shared_below =
        Setup { issuer: below.issuer.clone(), store: shared.store.clone(), ..Setup::default() };
    for (name, setup, expected) in [
        ("a shared store", shared, Some(format!("{ISSUER}/oauth2/revoke"))),
        ("a shared store below a path", shared_below, Some(format!("{ISSUER}/tokens/oauth2/revoke"))),
        ("none", Setup::default(), None),
        ("none below a path", below, None),
    ] {
        let app = spawn_app_with(setup);
        let body: Value = app.get("/").await.json().await.unwrap();
        let metadata = body["metadata"].as_str().unwrap().strip_prefix(ISSUER).unwrap();
        let metadata: Value = app.get(metadata).await.json().await.unwrap();
        let page = get_accepting(&app, "/", &[BROWSER]).await.text().await.unwrap();
        for told in [&body, &metadata] {
            assert_eq!(
                told.get("revocation_endpoint").and_then(Value::as_str),
                expected.as_deref(),
                "{name}"
            );
        }
        let row = expected.as_ref().map(|url| format!("Revocation</th><td>POST</td><td><code>{url}</code>"));
        assert_eq!(page.contains("/oauth2/revoke"), expected.is_some(), "{name}: {page}");
        assert!(row.is_none_or(|row| page.contains(&row)), "{name}: {page}");
    }
}

#[actix_web::test]
async fn browsers_get_a_page_that_needs_nothing() {
    let app = spawn_app();
    let answer = get_accepting(&app, "/", &[BROWSER]).await;
    assert_eq!(
        (answer.status().as_u16(), header_of(&answer, "content-type")),
        (200, "text/html; charset=utf-8")
    );
    assert_eq!(
        (header_of(&answer, "vary"), header_of(&answer, "x-content-type-options")),
        ("Accept", "nosniff")
    );
    let policy = header_of(&answer, "content-security-policy").to_owned();
    let page = answer.text().await.unwrap();
    let (_, style) = page.split_once("<style>").unwrap();
    let (style, _) = style.split_once("</style>").unwrap();
    let hash = BASE64_STANDARD.encode(digest::digest(&digest::SHA256, style.as_bytes()));
    assert!(policy.starts_with(&format!("default-src 'none'; style-src 'sha256-{hash}';")), "{policy}");
    for absent in ["<script", "style=", "javascript:", "@import", "url("] {
        assert!(!page.contains(absent), "{absent}: {page}");
    }
    for text in [ISSUER, env!("CARGO_PKG_VERSION"), "/oauth2/token", "/.well-known/jwks.json", "/readyz"] {
        assert!(page.contains(text), "{text}: {page}");
    }
}

#[actix_web::test]
async fn the_form_is_the_one_that_is_wanted_more() {
    let app = spawn_app();
    for (accept, expected) in [
        (&[][..], "json"),
        (&["*/*"], "json"),
        (&[""], "json"),
        (&["application/json"], "json"),
        (&["text/html"], "html"),
        (&["TEXT/HTML"], "html"),
        (&["text/*"], "html"),
        (&["text/html, application/json"], "json"),
        (&["text/html;q=0.9, application/json;q=0.8"], "html"),
        (&["text/html;q=0.8, application/json;q=0.9"], "json"),
        (&["text/html;q=0.8, application/json;q=0.80"], "json"),
        (&["text/html;q=0.801, */*;q=0.8"], "html"),
        (&["text/html; level=1 ; Q=0.5, */*;q=0.4"], "html"),
        (&["*/*, application/json;q=0"], "html"),
        (&["*/*, text/html;q=0"], "json"),
        (&["text/html;q=0"], "json"),
        (&["text/html;q=2"], "json"),
        (&["text/html;q=0.9999"], "json"),
        (&["text/html;q=-1, */*"], "json"),
        (&["image/png"], "json"),
        (&["application/json;q=0.1", "text/html"], "html"),
        (&["nonsense, ;;;, text/html;q=1.000"], "html"),
    ] {
        let mut stream = String::from("GET / HTTP/1.1\r\nHost: jeton\r\nConnection: close\r\n");
        stream.extend(accept.iter().map(|accept| format!("Accept: {accept}\r\n")));
        let answer = app.send_raw(stream + "\r\n").await;
        assert_eq!(answer.status, 200, "{accept:?}");
        let head = answer.head.to_ascii_lowercase();
        let found = if head.contains("content-type: text/html") { "html" } else { "json" };
        assert_eq!(found, expected, "{accept:?}: {head}");
    }
}

#[actix_web::test]
async fn head_is_answered_and_other_methods_are_not() {
    let app = spawn_app();
    let answer = app.http.head(app.url("/")).send().await.unwrap();
    assert_eq!((answer.status().as_u16(), header_of(&answer, "content-type")), (200, "application/json"));
    assert_eq!(answer.text().await.unwrap(), "");
    for method in [Method::POST, Method::PUT, Method::DELETE, Method::OPTIONS, Method::PATCH] {
        let answer = app.http.request(method.clone(), app.url("/")).send().await.unwrap();
        assert_eq!((answer.status().as_u16(), header_of(&answer, "allow")), (405, "GET, HEAD"), "{method}");
    }
}

#[actix_web::test]
async fn below_the_path_of_the_issuer_it_is_the_same() {
    let issuer = "http://127.0.0.1:8080/tokens";
    let app = spawn_app_with(Setup { issuer: issuer.to_owned(), ..Setup::default() });
    let bodies = async |path| app.get(path).await.json::<Value>().await.unwrap();
    let body = bodies("/tokens").await;
    assert_eq!(body["token_endpoint"], "http://127.0.0.1:8080/tokens/oauth2/token");
    assert_eq!(body["metadata"], "http://127.0.0.1:8080/.well-known/oauth-authorization-server/tokens");
    assert_eq!(body["health"], "http://127.0.0.1:8080/healthz");
    assert_eq!((bodies("/tokens/").await, bodies("/").await), (body.clone(), body));
    assert_eq!(app.get("/token").await.status(), 404);
}
