//! What services and probes read: metadata (RFC 8414), the key set (RFC 7517) and health.

use std::sync::Arc;

use jeton::app::key_keeper;
use jeton_oauth::{SignatureAlgorithm, clock::ManualClock};
use reqwest::{Method, Response, header};
use serde_json::{Value, json};

use crate::support::{
    ISSUER, NOW, Setup, TestApp,
    forge::{Forge, base64url},
    http_client,
    program::Binary,
    spawn_app, spawn_app_with,
};

fn header_of<'r>(answer: &'r Response, name: &str) -> Option<&'r str> {
    answer.headers().get(name).map(|value| value.to_str().unwrap())
}

/// The metadata of this issuer, and nothing besides: what is not there is not advertised, but for what client
/// libraries refuse to go without.
fn metadata(issuer: &str) -> Value {
    let methods = ["client_secret_basic", "client_secret_post", "private_key_jwt"];
    let algorithms = ["RS256", "PS256", "ES256", "EdDSA", "Ed25519"];
    json!({
        "issuer": issuer,
        "token_endpoint": format!("{issuer}/oauth2/token"),
        "jwks_uri": format!("{issuer}/.well-known/jwks.json"),
        "jeton_policies_endpoint": format!("{issuer}/policies"),
        "grant_types_supported":
            ["client_credentials", "refresh_token", "urn:ietf:params:oauth:grant-type:token-exchange"],
        "token_endpoint_auth_methods_supported": methods,
        "token_endpoint_auth_signing_alg_values_supported": algorithms,
        "dpop_signing_alg_values_supported": ["ES256", "RS256", "PS256", "EdDSA", "Ed25519"],
        "introspection_endpoint": format!("{issuer}/oauth2/introspect"),
        "introspection_endpoint_auth_methods_supported": methods,
        "introspection_endpoint_auth_signing_alg_values_supported": algorithms,
        "authorization_endpoint": format!("{issuer}/oauth2/authorize"),
        "response_types_supported": [],
        "subject_types_supported": [],
        "id_token_signing_alg_values_supported": ["RS256"],
    })
}

#[actix_web::test]
async fn rfc8414_3_the_metadata_stands_between_host_and_path() {
    let below = "http://127.0.0.1:8080/tenant/x";
    for (name, issuer, path) in [
        ("rfc8414_3_1_no_path", ISSUER, "/.well-known/oauth-authorization-server"),
        ("rfc8414_5_openid", ISSUER, "/.well-known/openid-configuration"),
        ("rfc8414_3_1_path", below, "/.well-known/oauth-authorization-server/tenant/x"),
        ("rfc8414_5_openid_with_a_path", below, "/.well-known/openid-configuration/tenant/x"),
        ("where OpenID Connect has it", below, "/tenant/x/.well-known/openid-configuration"),
    ] {
        let app = spawn_app_with(Setup { issuer: issuer.to_owned(), ..Setup::default() });
        let answer = app.get(path).await;
        assert_eq!(answer.status(), 200, "{name}");
        assert_eq!(header_of(&answer, "content-type"), Some("application/json"), "rfc8414_3_2: {name}");
        assert!(header_of(&answer, "cache-control").is_some_and(|it| it.contains("max-age=")), "{name}");
        assert_eq!(answer.json::<Value>().await.unwrap(), metadata(issuer), "{name}");
    }
}

/// Verifiers such as express-oauth2-jwt-bearer take tokens of these algorithms alone.
#[actix_web::test]
async fn the_metadata_list_the_algorithms_of_the_published_keys() {
    let app = spawn_app_with(Setup {
        settings: |settings| {
            // each signs an hour later
            for (hours, algorithm) in [(-2, SignatureAlgorithm::Es256), (0, SignatureAlgorithm::EdDsa)] {
                settings.keys.algorithm = algorithm;
                let clock = Arc::new(ManualClock::at(NOW.parse().unwrap()));
                clock.advance(hours * 60 * 60);
                key_keeper(settings, clock).rotate().unwrap();
            }
        },
        ..Setup::default()
    });
    for (name, hours, expected) in [
        ("one has signed, one signs, and one will", 0, &["RS256", "ES256", "EdDSA"][..]),
        ("the first is published no more", 30 * 24, &["ES256", "EdDSA"]),
        ("nor is the second", 24, &["EdDSA"]),
    ] {
        app.clock.advance(hours * 60 * 60);
        let answer = app.get("/.well-known/openid-configuration").await;
        let kept = header_of(&answer, "cache-control").unwrap().to_owned();
        let metadata: Value = answer.json().await.unwrap();
        assert_eq!(metadata["id_token_signing_alg_values_supported"], json!(expected), "{name}");
        let answer = app.get("/.well-known/jwks.json").await;
        assert_eq!(header_of(&answer, "cache-control"), Some(&*kept), "{name}");
        let published: Value = answer.json().await.unwrap();
        assert_eq!(published["keys"].as_array().unwrap().len(), expected.len(), "{name}");
    }
}

#[actix_web::test]
async fn rfc8414_3_3_the_metadata_of_another_issuer_is_not_given_out() {
    let app = spawn_app_with(Setup { issuer: "http://127.0.0.1:8080/tenant".to_owned(), ..Setup::default() });
    for path in [
        "/.well-known/oauth-authorization-server",
        "/.well-known/oauth-authorization-server/other",
        "/.well-known/oauth-authorization-server/tenant/",
        "/.well-known/oauth-authorization-server/tenant/tenant",
        "/.well-known/openid-configuration",
        "/.well-known/",
    ] {
        let answer = app.get(path).await;
        assert_eq!(answer.status(), 404, "{path}");
        assert_eq!(header_of(&answer, "content-type"), Some("application/problem+json"), "{path}");
    }
}

#[actix_web::test]
async fn rfc8414_2_every_published_address_is_served() {
    for issuer in [ISSUER, "http://127.0.0.1:8080/tenant"] {
        let app = spawn_app_with(Setup { issuer: issuer.to_owned(), ..Setup::default() });
        let path = format!("/.well-known/oauth-authorization-server{}", &issuer[ISSUER.len()..]);
        let metadata: Value = app.get(&path).await.json().await.unwrap();
        let served = |member: &str| {
            let address = metadata[member].as_str().unwrap();
            app.url(address.strip_prefix(ISSUER).unwrap())
        };
        assert_eq!(app.http.get(served("jwks_uri")).send().await.unwrap().status(), 200, "{issuer}");
        let form = [("grant_type", "client_credentials")];
        let request = app.http.post(served("token_endpoint")).form(&form);
        let request = request.basic_auth("operator", Some("demo-secret-of-operator"));
        assert_eq!(request.send().await.unwrap().status(), 200, "{issuer}");
        // it answers, and says that this client may not ask
        let request = app.http.post(served("introspection_endpoint")).form(&[("token", "x")]);
        let request = request.basic_auth("operator", Some("demo-secret-of-operator"));
        let answer: Value = request.send().await.unwrap().json().await.unwrap();
        assert_eq!(answer["error"], "unauthorized_client", "{issuer}");
        let answer = app.http.get(served("authorization_endpoint")).send().await.unwrap();
        assert_eq!(answer.status(), 400, "{issuer}");
        // no API of the sample has a bundle
        assert_eq!(app.http.get(served("jeton_policies_endpoint")).send().await.unwrap().status(), 404);
        let members = metadata.as_object().unwrap().iter();
        let addresses =
            members.filter(|(_, value)| value.as_str().is_some_and(|text| text.starts_with("http")));
        assert_eq!(addresses.count(), 6, "{issuer}: the issuer, and those above");
    }
}

/// It is advertised for libraries alone: nobody is sent anywhere from there, and nothing is shown or kept of what
/// came, which may be a code or a token for somebody else.
#[actix_web::test]
async fn rfc6749_4_1_2_1_no_response_type_is_supported() {
    let app = spawn_app();
    let query = "response_type=code&client_id=hunter2&state=hunter2\
                 &redirect_uri=https%3A%2F%2Fhunter2.example%2F";
    let refused = async |name: &str, answer: Response| {
        assert_eq!(answer.status(), 400, "{name}");
        assert_eq!(header_of(&answer, "content-type"), Some("application/json"), "{name}");
        assert_eq!(header_of(&answer, "cache-control"), Some("no-store"), "{name}");
        let headers = answer.headers().clone();
        assert!(headers.get(header::LOCATION).is_none() && headers.get("refresh").is_none(), "{name}");
        assert!(!format!("{headers:?}").contains("hunter2"), "{name}: {headers:?}");
        let text = answer.text().await.unwrap();
        assert!(!text.contains("hunter2"), "{name}: {text}");
        text
    };
    for query in
        ["", "?", &format!("?{query}"), "?response_type=token&prompt=none", "?scope[]=%zz&state=%0D%0A"]
    {
        let text = refused(query, app.get(&format!("/oauth2/authorize{query}")).await).await;
        let body: Value = serde_json::from_str(&text).unwrap();
        assert_eq!(body["error"], "unsupported_response_type", "{query}: {body}");
        assert!(body["error_description"].as_str().is_some_and(|text| !text.is_empty()), "{query}: {body}");
        assert_eq!(body.as_object().unwrap().len(), 2, "{query}: {body}");
    }
    for method in [Method::POST, Method::PUT, Method::OPTIONS] {
        let request = app.http.request(method.clone(), app.url(&format!("/oauth2/authorize?{query}")));
        let request = request.header(header::CONTENT_TYPE, "application/x-www-form-urlencoded").body(query);
        let text = refused(method.as_str(), request.send().await.unwrap()).await;
        assert!(text.contains("unsupported_response_type"), "{method}: {text}");
    }
    let head = app.http.head(app.url("/oauth2/authorize")).send().await.unwrap();
    assert_eq!(refused("HEAD", head).await, "");
    let below = "http://127.0.0.1:8080/tenant".to_owned();
    let app = spawn_app_with(Setup { issuer: below, ..Setup::default() });
    refused("below a path", app.get(&format!("/tenant/oauth2/authorize?{query}")).await).await;
    // and what came stands in no line of the log
    let mut program = Binary::serve().await;
    let url = format!("http://{}/oauth2/authorize?{query}", program.address);
    refused("the program", http_client().get(url).send().await.unwrap()).await;
    program.stop().await;
    assert_eq!(program.lines_of("request").len(), 1);
    assert!(program.log_text().contains("/oauth2/authorize") && !program.log_text().contains("hunter2"));
}

#[actix_web::test]
async fn rfc7517_4_the_key_set_holds_public_members_only() {
    let app = spawn_app();
    let answer = app.get("/.well-known/jwks.json").await;
    assert_eq!(answer.status(), 200);
    assert_eq!(header_of(&answer, "content-type"), Some("application/jwk-set+json"));
    assert_eq!(header_of(&answer, "cache-control"), Some("public, max-age=300"));
    let forge = Forge::with_the_servers_key();
    let key = json!({
        "kty": "RSA", "use": "sig", "alg": "RS256", "kid": forge.kid(), "n": base64url(forge.modulus()), "e": "AQAB",
    });
    assert_eq!(answer.json::<Value>().await.unwrap(), json!({ "keys": [key] }));
}

#[actix_web::test]
async fn a_key_set_that_did_not_change_is_not_sent_again() {
    let app = spawn_app();
    let first = app.get("/.well-known/jwks.json").await;
    let etag = header_of(&first, "etag").unwrap().to_owned();
    assert!(etag.starts_with('"') && etag.ends_with('"') && etag.len() > 2, "rfc9110_8_8_3: {etag}");
    let bare = etag.trim_matches('"');
    for (name, condition, status) in [
        ("the same", etag.clone(), 304),
        ("rfc9110_13_1_2_weak", format!("W/{etag}"), 304),
        ("rfc9110_13_1_2_any", "*".to_owned(), 304),
        ("rfc9110_13_1_2_list", format!("\"other\", {etag}"), 304),
        ("rfc9110_8_8_3_comma", format!("\"a,b\",{etag},\"c\""), 304),
        ("rfc9110_8_8_3_no_star", "\"a,*,b\"".to_owned(), 200),
        ("rfc9110_8_8_3_within", format!("\"a,{bare},b\""), 200),
        ("another", "\"other\"".to_owned(), 200),
        ("unquoted", bare.to_owned(), 200),
        ("a longer one", format!("\"{bare}x\""), 200),
        ("nothing", String::new(), 200),
    ] {
        for method in [Method::GET, Method::HEAD] {
            let request = app.http.request(method.clone(), app.url("/.well-known/jwks.json"));
            let answer = request.header(header::IF_NONE_MATCH, &condition).send().await.unwrap();
            assert_eq!(answer.status(), status, "{name}, {method}");
            // rfc9110_15_4_5: what a 200 would have carried
            assert_eq!(header_of(&answer, "etag"), Some(&*etag), "{name}, {method}");
            assert_eq!(header_of(&answer, "cache-control"), Some("public, max-age=300"), "{name}, {method}");
            let sent = !answer.bytes().await.unwrap().is_empty();
            assert_eq!(sent, status == 200 && method == Method::GET, "{name}, {method}: a body");
        }
    }
}

/// Sends each method to what can only be read.
async fn only_read(app: &TestApp, path: &str) {
    let head = app.http.head(app.url(path)).send().await.unwrap();
    assert_eq!(head.status(), 200, "HEAD {path}");
    assert!(head.bytes().await.unwrap().is_empty(), "HEAD {path}");
    for method in [Method::POST, Method::PUT, Method::PATCH, Method::DELETE, Method::OPTIONS, Method::TRACE] {
        let answer = app.http.request(method.clone(), app.url(path)).send().await.unwrap();
        assert_eq!(answer.status(), 405, "{method} {path}");
        assert_eq!(header_of(&answer, "allow"), Some("GET, HEAD"), "{method} {path}");
        assert_eq!(header_of(&answer, "content-type"), Some("application/problem+json"), "{method} {path}");
    }
}

#[actix_web::test]
async fn what_is_public_can_only_be_read() {
    let app = spawn_app();
    for path in [
        "/.well-known/oauth-authorization-server",
        "/.well-known/openid-configuration",
        "/.well-known/jwks.json",
        "/healthz",
        "/readyz",
    ] {
        only_read(&app, path).await;
    }
}

#[actix_web::test]
async fn what_is_not_there_is_a_problem() {
    let app = spawn_app();
    for path in ["/nothing", "/oauth2", "/oauth2/token/", "/healthz/", "/.well-known/jwks.json/"] {
        let answer = app.get(path).await;
        assert_eq!(answer.status(), 404, "{path}");
        assert_eq!(header_of(&answer, "content-type"), Some("application/problem+json"), "{path}");
        assert_eq!(header_of(&answer, "www-authenticate"), None, "{path}");
        let body: Value = answer.json().await.unwrap();
        assert!(body["reference"].is_string(), "{path}: {body}");
    }
}

#[actix_web::test]
async fn probes_ask_without_a_token() {
    let app = spawn_app();
    let answer = app.get("/healthz").await;
    assert_eq!((answer.status().as_u16(), header_of(&answer, "cache-control")), (200, Some("no-store")));
    assert_eq!(answer.json::<Value>().await.unwrap(), json!({ "status": "live" }));
    let answer = app.http.get(app.url("/readyz")).bearer_auth("a bad token").send().await.unwrap();
    assert_eq!((answer.status().as_u16(), header_of(&answer, "cache-control")), (200, Some("no-store")));
    let ready: Value = answer.json().await.unwrap();
    let kid = Forge::with_the_servers_key().kid();
    assert_eq!(ready["keys"], json!({ "signing": kid, "published": 1, "last_reload_error": null }));
    assert_eq!(ready["policies"]["last_reload_error"], Value::Null);
    assert!(ready["policies"]["hash"].as_str().is_some_and(|hash| hash.len() == 64), "{ready}");
}
