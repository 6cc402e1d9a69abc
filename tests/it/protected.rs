//! `/principal` and `/ops/*`: who gets in, and what those learn who do not (RFC 6750 sections 2 and 3).

use std::collections::BTreeSet;

use reqwest::{Method, RequestBuilder, Response, header};
use serde_json::{Value, json};

use crate::support::{ISSUER, ORDERS, Setup, TestApp, forge::Forge, secret, spawn_app, spawn_app_with};

const PROTECTED: [(Method, &str); 6] = [
    (Method::GET, "/principal"),
    (Method::HEAD, "/principal"),
    (Method::GET, "/ops/policies"),
    (Method::GET, "/ops/keys"),
    (Method::POST, "/ops/explain"),
    (Method::POST, "/ops/reload"),
];

/// jeton's own API with rules that scopes alone do not meet.
fn own_rules() -> Setup {
    let text = "version: 1
scopes:
  jeton:principal: a
  jeton:ops: b
roles:
  operator: [jeton:ops, jeton:principal]
apis:
  jeton:
    rules:
      public:
        routes: [GET /principal]
        public: true
      by-role:
        routes: [GET /ops/policies]
        require: { role: operator }
      by-claim:
        routes: [GET /ops/keys]
        require: { scope: jeton:ops, claims: { tenant: { is: acme } } }
      several:
        routes: [POST /ops/reload]
        require:
          - { role: operator, claims: { tenant: { is: acme } } }
          - { all_scopes: [jeton:ops, jeton:principal] }
";
    Setup { policies: vec![("jeton.yaml", text.to_owned())], ..Setup::default() }
}

fn challenge(answer: &Response) -> Option<&str> {
    answer.headers().get(header::WWW_AUTHENTICATE).map(|value| value.to_str().unwrap())
}

/// An answer must be this error: a challenge (RFC 6750 section 3) and a problem (RFC 9457) with a
/// reference, which is returned.
async fn problem(name: &str, answer: Response, status: u16, expected: &str) -> String {
    assert_eq!(answer.status(), status, "{name}: status");
    assert_eq!(challenge(&answer), Some(expected), "{name}: challenge");
    assert_eq!(answer.headers()[header::CONTENT_TYPE], "application/problem+json", "{name}");
    assert_eq!(answer.headers()[header::CACHE_CONTROL], "no-store", "{name}");
    let body: Value = answer.json().await.unwrap();
    assert_eq!(body["status"], status, "{name}");
    assert_eq!(body["type"], "about:blank", "{name}");
    assert!(body["title"].is_string() && body["detail"].is_string(), "{name}: {body}");
    let reference = body["reference"].as_str().unwrap_or_default();
    assert!(reference.len() >= 16, "{name}: a reference in {body}");
    reference.to_owned()
}

/// An operator's token with these scopes alone.
async fn narrowed(app: &TestApp, scope: &str) -> String {
    let form = [("grant_type", "client_credentials"), ("scope", scope)];
    let answer: Value = app.post_token("operator", &form).send().await.unwrap().json().await.unwrap();
    answer["access_token"].as_str().unwrap().to_owned()
}

#[actix_web::test]
async fn rfc6750_3_no_token() {
    let app = spawn_app();
    let mut references = BTreeSet::new();
    for (method, path) in PROTECTED {
        let answer = app.http.request(method.clone(), app.url(path)).send().await.unwrap();
        if method == Method::HEAD {
            assert_eq!((answer.status().as_u16(), challenge(&answer)), (401, Some("Bearer")));
            continue;
        }
        references.insert(problem(path, answer, 401, "Bearer").await);
    }
    assert_eq!(references.len(), PROTECTED.len() - 1, "each answer has its own reference: {references:?}");
    let token = app.token_of("operator", "jeton").await;
    let get = || app.http.get(app.url("/ops/policies"));
    let body = format!("access_token={token}");
    let form = "application/x-www-form-urlencoded";
    let rows: [(&str, RequestBuilder); 8] = [
        ("another scheme", get().basic_auth("operator", Some(secret("operator")))),
        ("a scheme that starts alike", get().header("authorization", format!("BearerX {token}"))),
        ("the token alone", get().header("authorization", &token)),
        ("an empty header", get().header("authorization", "")),
        ("a cookie", get().header("cookie", format!("access_token={token}"))),
        ("another header", get().header("x-forwarded-access-token", &token)),
        ("rfc6750_2_2_form", app.http.post(app.url("/ops/reload")).header("content-type", form).body(body)),
        ("nothing behind the route", app.http.get(app.url("/ops/unknown"))),
    ];
    for (name, request) in rows {
        problem(name, request.send().await.unwrap(), 401, "Bearer").await;
    }
}

#[actix_web::test]
async fn rfc6750_2_one_token_in_the_header() {
    let app = spawn_app();
    let token = app.token_of("operator", "jeton").await;
    let bearer = format!("Bearer {token}");
    let path = |path: &str| app.http.get(app.url(path));
    let get = || path("/principal");
    let with = |value: &str| get().header("authorization", value);
    let rows: [(&str, RequestBuilder); 9] = [
        ("rfc6750_2_two_headers", with(&bearer).header("authorization", &bearer)),
        ("rfc6750_2_token_and_basic", with(&bearer).basic_auth("operator", Some("x"))),
        (
            "rfc6750_2_basic_and_token",
            get().basic_auth("operator", Some("x")).header("authorization", &bearer),
        ),
        ("rfc6750_2_3_query", path(&format!("/principal?access_token={token}"))),
        ("rfc6750_2_header_and_query", path(&format!("/principal?access_token={token}")).bearer_auth(&token)),
        ("rfc6750_2_3_query_by_escape", path("/principal?a=1&access%5Ftoken=x").bearer_auth(&token)),
        ("rfc6750_2_3_empty_query", path("/principal?access_token").bearer_auth(&token)),
        ("rfc6750_2_1_no_token", with("Bearer")),
        ("rfc6750_2_1_not_text", get().header("authorization", b"Bearer \xff".as_slice())),
    ];
    for (name, request) in rows {
        let answer = request.send().await.unwrap();
        let expected = r#"Bearer error="invalid_request", error_description=""#;
        let found = challenge(&answer).unwrap_or_default().to_owned();
        assert!(found.starts_with(expected), "{name}: {found}");
        problem(name, answer, 400, &found).await;
    }
    for (name, request) in [
        ("as it should be", with(&bearer)),
        ("rfc9110_11_1_scheme_in_lower_case", with(&format!("bearer {token}"))),
        ("rfc6750_2_1_several_spaces", with(&format!("BEARER   {token}"))),
        ("a harmless query", path("/principal?token=x").bearer_auth(&token)),
    ] {
        assert_eq!(request.send().await.unwrap().status(), 200, "{name}");
    }
}

#[actix_web::test]
async fn rfc6750_3_1_insufficient_scope() {
    let bad_token = r#"Bearer error="invalid_token", error_description="the access token is not valid here""#;
    let plain =
        r#"Bearer error="insufficient_scope", error_description="the access token does not allow this""#;
    let app = spawn_app();
    let acme = app.token_of("acme-sync", "jeton").await;
    let operator = app.token_of("operator", "jeton").await;
    let ops_alone = narrowed(&app, "jeton:ops").await;
    let ops = r#"Bearer error="insufficient_scope", scope="jeton:ops""#;
    let principal = r#"Bearer error="insufficient_scope", scope="jeton:principal""#;
    let send =
        async |name: &str, app: &TestApp, (method, path, token): (Method, &str, &str), status, expected| {
            let request = app.http.request(method, app.url(path)).bearer_auth(token);
            problem(name, request.send().await.unwrap(), status, expected).await
        };
    for (name, request, expected) in [
        ("policies", (Method::GET, "/ops/policies", &*acme), ops),
        ("keys", (Method::GET, "/ops/keys", &acme), ops),
        ("explain", (Method::POST, "/ops/explain", &acme), ops),
        ("reload", (Method::POST, "/ops/reload", &acme), ops),
        ("a narrowed token", (Method::GET, "/principal", &ops_alone), principal),
        ("no route", (Method::GET, "/ops/unknown", &operator), plain),
        ("no route by its method", (Method::DELETE, "/ops/policies", &operator), plain),
        ("POST for GET", (Method::POST, "/principal", &operator), plain),
        ("GET for POST", (Method::GET, "/ops/reload", &operator), plain),
        ("HEAD is not POST", (Method::PUT, "/ops/explain", &operator), plain),
        ("TRACE", (Method::TRACE, "/principal", &operator), plain),
        ("OPTIONS", (Method::OPTIONS, "/principal", &operator), plain),
        ("an unknown method", (Method::from_bytes(b"GETT").unwrap(), "/principal", &operator), plain),
        ("a method in lower case", (Method::from_bytes(b"get").unwrap(), "/principal", &operator), plain),
    ] {
        send(name, &app, request, 403, expected).await;
    }
    let overridden = app.http.post(app.url("/ops/policies")).bearer_auth(&operator);
    let overridden = overridden.header("x-http-method-override", "GET").header("x-http-method", "GET");
    problem("a method override", overridden.send().await.unwrap(), 403, plain).await;

    let app = spawn_app_with(own_rules());
    let operator = app.token_of("operator", "jeton").await;
    let ops_alone = narrowed(&app, "jeton:ops").await;
    let both = r#"Bearer error="insufficient_scope", scope="jeton:ops jeton:principal""#;
    for (name, request, status, expected) in [
        ("a role is missing", (Method::GET, "/ops/policies", &*ops_alone), 403, plain),
        ("a claim is missing", (Method::GET, "/ops/keys", &operator), 403, plain),
        ("scopes of another alternative would do", (Method::POST, "/ops/reload", &ops_alone), 403, both),
        ("public, and nothing to show", (Method::GET, "/principal", "x.y.z"), 401, bad_token),
    ] {
        send(name, &app, request, status, expected).await;
    }
    // a handler that needs a principal fails closed behind a public rule
    problem("public, without a token", app.get("/principal").await, 401, "Bearer").await;
    assert_eq!(app.get_principal(&ops_alone).await.status(), 200, "public, with a token");
}

async fn status_of_raw(app: &TestApp, path: &str, token: Option<&str>) -> u16 {
    let authorization = token.map(|token| format!("Authorization: Bearer {token}\r\n")).unwrap_or_default();
    let request = format!("GET {path} HTTP/1.1\r\nHost: jeton\r\nConnection: close\r\n{authorization}\r\n");
    app.send_raw(request).await.status
}

#[actix_web::test]
async fn no_other_spelling_of_a_path_opens_anything() {
    let app = spawn_app();
    let operator = app.token_of("operator", "jeton").await;
    let acme = app.token_of("acme-sync", "jeton").await;
    assert_eq!(status_of_raw(&app, "/ops/policies", Some(&operator)).await, 200, "the control");
    for path in [
        "/ops//policies",
        "//ops/policies",
        "/ops/policies/",
        "/ops/policies//",
        "/ops/policies/x",
        "/ops/policies;x",
        "/ops/policies;",
        "/ops;x/policies",
        "/ops/policies%3Bx",
        "/ops/policies%00",
        "/ops/policies%0a",
        "/ops/policies%20",
        "/ops/policies%2f",
        "/ops%2fpolicies",
        "/ops%2Fpolicies",
        "%2fops/policies",
        "/ops%5cpolicies",
        "/ops\\policies",
        "/ops/policies%3fx",
        "/ops/policies%23",
        "/ops/%2570olicies",
        "/ops/polici%65s%",
        "/ops/policies%zz",
        "/ops/policies%c0%ae",
        "/ops/./policies",
        "/ops/%2e/policies",
        "/./ops/policies",
        "/ops/../ops/policies",
        "/ops/%2e%2e/ops/policies",
        "/ops/%2e%2e/principal",
        "/ops/..%2fprincipal",
        "/ops/../principal",
        "/ops/.%2e/principal",
        "/principal/../ops/policies",
        "/principal/%2e%2e/ops/policies",
        "/principal/..;/ops/policies",
        "/principal/",
        "/principal//",
        "/principal/.",
        "/principal%2f",
        "/healthz/../ops/policies",
        "/OPS/policies",
        "/ops/Policies",
        "/ops/policies.json",
        "/ops/policies ",
        "ops/policies",
        "*",
        "",
    ] {
        for (bearer, token) in [("nobody", None), ("acme", Some(&*acme)), ("operator", Some(&*operator))] {
            let status = status_of_raw(&app, path, token).await;
            assert!(matches!(status, 400 | 401 | 403 | 404), "{path:?} as {bearer}: {status}");
        }
    }
    for path in [
        "/ops/policies",
        "/ops/%70olicies",
        "/%6fps/policies",
        "http://jeton/ops/policies",
        "/ops/policies?x=/principal",
    ] {
        assert_eq!(status_of_raw(&app, path, None).await, 401, "{path} as nobody");
        assert_eq!(status_of_raw(&app, path, Some(&acme)).await, 403, "{path} as acme");
    }
}

/// actix's parser cuts a fragment off before anybody sees it, so it is routed and judged without it: what is
/// behind `#` opens nothing that is closed without it.
#[actix_web::test]
async fn a_fragment_in_the_target_opens_nothing() {
    let app = spawn_app();
    let acme = app.token_of("acme-sync", "jeton").await;
    for path in ["/ops/policies#x", "/ops/policies#", "/ops/policies?x#y", "/ops/policies#/../principal"] {
        assert_eq!(status_of_raw(&app, path, None).await, 401, "{path} as nobody");
        assert_eq!(status_of_raw(&app, path, Some(&acme)).await, 403, "{path} as acme");
    }
}

#[actix_web::test]
async fn paths_below_an_issuer_with_a_path() {
    let issuer = "http://127.0.0.1:8080/tenant";
    let app = spawn_app_with(Setup { issuer: issuer.to_owned(), ..Setup::default() });
    let answer = app.post_token("operator", &[("grant_type", "client_credentials")]).send().await.unwrap();
    let operator: Value = answer.json().await.unwrap();
    let operator = operator["access_token"].as_str().unwrap();
    for (path, as_nobody, as_operator) in [
        ("/tenant/ops/policies", 401, 200),
        ("/ops/policies", 401, 200),
        ("/tenant/principal", 401, 200),
        ("/tenant/tenant/ops/policies", 404, 404),
        ("/tenant//ops/policies", 404, 404),
        ("/tenantops/policies", 404, 404),
        ("/tenant/ops/tenant/ops/policies", 401, 403),
        ("/%74enant/ops/policies", 401, 200),
        ("/%74enant/ops/%74enant/ops/policies", 401, 403),
        ("/tenant/ops/%2e%2e/principal", 401, 403),
    ] {
        assert_eq!(status_of_raw(&app, path, None).await, as_nobody, "{path} as nobody");
        assert_eq!(status_of_raw(&app, path, Some(operator)).await, as_operator, "{path} as operator");
    }
}

#[actix_web::test]
async fn head_is_allowed_where_get_is() {
    let app = spawn_app();
    let token = app.token_of("operator", "jeton").await;
    let acme = app.token_of("acme-sync", "jeton").await;
    for path in ["/principal", "/ops/policies", "/ops/keys"] {
        let head = async |token: &str| app.http.head(app.url(path)).bearer_auth(token).send().await.unwrap();
        let answer = head(&token).await;
        assert_eq!(answer.status(), 200, "{path}");
        assert!(answer.bytes().await.unwrap().is_empty(), "{path}");
        assert_eq!(head(&acme).await.status(), if path == "/principal" { 200 } else { 403 }, "{path}");
    }
    for path in ["/ops/explain", "/ops/reload"] {
        let answer = app.http.head(app.url(path)).bearer_auth(&token).send().await.unwrap();
        assert_eq!(answer.status(), 403, "{path}");
    }
}

async fn get_json(app: &TestApp, path: &str, token: &str) -> Value {
    let answer = app.http.get(app.url(path)).bearer_auth(token).send().await.unwrap();
    assert_eq!(answer.status(), 200, "{path}");
    assert_eq!(answer.headers()[header::CACHE_CONTROL], "no-store", "{path}");
    answer.json().await.unwrap()
}

#[actix_web::test]
async fn get_principal_says_what_the_token_says() {
    let app = spawn_app();
    let token = app.token_of("operator", "jeton").await;
    let mut body = get_json(&app, "/principal", &token).await;
    assert!(body["token_id"].is_string() && body["expires_at"].is_i64(), "{body}");
    for name in ["token_id", "expires_at"] {
        body.as_object_mut().unwrap().remove(name);
    }
    let expected = json!({
        "client": "operator", "audience": [ISSUER], "scopes": ["jeton:ops", "jeton:principal"],
        "roles": ["operator"], "claims": {},
    });
    assert_eq!(body, expected);
    assert_eq!(
        get_json(&app, "/principal", &narrowed(&app, "jeton:principal").await).await["roles"],
        json!([])
    );
}

#[actix_web::test]
async fn get_ops_shows_what_is_served_and_no_secret() {
    let app = spawn_app();
    let token = app.token_of("operator", "jeton").await;
    let policies = get_json(&app, "/ops/policies", &token).await;
    let apis = json!([{ "name": "jeton", "audience": ISSUER }, { "name": "orders", "audience": ORDERS }]);
    assert_eq!(policies["apis"], apis);
    assert_eq!(policies["clients"], 4);
    assert_eq!(policies["rejected_reloads"], 0);
    assert!(policies["hash"].as_str().is_some_and(|hash| hash.len() == 64), "{policies}");
    assert!(!policies.to_string().contains("f7384ffbe16b396e"), "the hash of a secret: {policies}");
    let keys = get_json(&app, "/ops/keys", &token).await;
    let key = json!({
        "kid": Forge::with_the_servers_key().kid(),
        "state": "active",
        "alg": "RS256",
        "bits": 2048,
        "created": "2026-01-01T00:00:00Z",
        "activates": "2026-01-01T00:00:00Z",
        "retires": null,
        "published_until": null,
    });
    let expected = json!({
        "keys": [key], "next_change": null, "planned": null, "max_age": 300, "unlisted": [], "last_rejection": null,
    });
    assert_eq!(keys, expected);
}

/// `POST /ops/explain` as the operator.
async fn post_explain(app: &TestApp, body: impl Into<reqwest::Body>) -> Response {
    let token = app.token_of("operator", "jeton").await;
    app.http.post(app.url("/ops/explain")).bearer_auth(token).body(body).send().await.unwrap()
}

#[actix_web::test]
async fn explain_answers_for_a_client_a_bearer_and_a_token() {
    let app = spawn_app();
    let token = app.token_of("acme-sync", "orders").await;
    let own = app.token_of("operator", "jeton").await;
    let ask = |path: &str, who: Value| {
        let mut question = json!({ "api": "orders", "method": "GET", "path": path });
        for (name, value) in who.as_object().unwrap() {
            question[name] = value.clone();
        }
        question
    };
    let theirs = "/tenants/globex/orders";
    let ours = "/tenants/acme/orders";
    let bearer = json!({ "as": { "scopes": ["orders:read"], "claims": { "tenant": "acme" } } });
    for (name, question, allowed, reason) in [
        ("client", ask(ours, json!({ "as": "acme-sync" })), true, "met"),
        ("client, elsewhere", ask(theirs, json!({ "as": "acme-sync" })), false, "not-met"),
        ("bearer", ask(ours, bearer.clone()), true, "met"),
        ("bearer, elsewhere", ask(theirs, bearer), false, "not-met"),
        ("bearer of a role", ask(theirs, json!({ "as": { "roles": ["support-lead"] } })), true, "met"),
        ("bearer of nothing", ask(ours, json!({ "as": {} })), false, "not-met"),
        ("token", ask(ours, json!({ "token": token })), true, "met"),
        ("token, elsewhere", ask(theirs, json!({ "token": token })), false, "not-met"),
        ("token for another API", ask(ours, json!({ "token": own })), false, "invalid-token"),
        ("bad token", ask(ours, json!({ "token": "x" })), false, "invalid-token"),
        ("nobody", ask(ours, json!({})), false, "no-token"),
        ("nobody, public", ask("/healthz", json!({})), true, "public"),
        ("no route", ask("/nowhere", json!({ "as": "acme-sync" })), false, "no-route"),
        ("bad path", ask("/tenants/acme/../orders", json!({ "as": "acme-sync" })), false, "bad-path"),
        ("bad method", ask(ours, json!({ "as": "acme-sync", "method": "TRACE" })), false, "bad-method"),
        ("no API", ask(ours, json!({ "as": {}, "api": "nothing" })), false, "no-api"),
    ] {
        let answer = post_explain(&app, question.to_string()).await;
        assert_eq!(answer.status(), 200, "{name}");
        let body: Value = answer.json().await.unwrap();
        assert_eq!((&body["allowed"], &body["reason"]), (&json!(allowed), &json!(reason)), "{name}: {body}");
    }
    let question = ask(theirs, json!({ "as": "acme-sync" }));
    let body: Value = post_explain(&app, question.to_string()).await.json().await.unwrap();
    assert_eq!(body["decided_by"]["rule"], "read-orders", "{body}");
    assert!(body["decided_by"]["file"].as_str().is_some_and(|file| file.ends_with("orders.yaml")), "{body}");
    assert!(body["decided_by"]["line"].as_u64().is_some_and(|line| line > 1), "{body}");
    let held = |position: usize| -> Vec<_> {
        let conditions = body["alternatives"][position]["conditions"].as_array().unwrap();
        conditions.iter().map(|condition| condition["holds"].as_bool().unwrap()).collect()
    };
    assert_eq!(
        (held(0), held(1)),
        (vec![true, false], vec![false]),
        "what held and what was missing: {body}"
    );
}

#[actix_web::test]
async fn explain_refuses_what_is_no_question() {
    let app = spawn_app();
    let question = r#"{"api":"orders","method":"GET","path":"/""#;
    for (name, body, status) in [
        ("nothing", String::new(), 400),
        ("no JSON", "api=orders".to_owned(), 400),
        ("a list", "[]".to_owned(), 400),
        ("cut off", question.to_owned(), 400),
        ("text after it", format!("{question}}}x"), 400),
        ("without a path", r#"{"api":"orders","method":"GET"}"#.to_owned(), 400),
        ("an unknown member", format!(r#"{question},"x":1}}"#), 400),
        ("a member twice", format!(r#"{question},"api":"jeton"}}"#), 400),
        ("`as` and `token`", format!(r#"{question},"as":"acme-sync","token":"x"}}"#), 400),
        ("an unknown client", format!(r#"{question},"as":"nobody"}}"#), 400),
        ("a client without a grant there", format!(r#"{question},"as":"operator"}}"#), 400),
        ("`as` a number", format!(r#"{question},"as":5}}"#), 400),
        ("`as` a list of values", format!(r#"{question},"as":[["orders:read"]]}}"#), 400),
        ("a member of a bearer twice", format!(r#"{question},"as":{{"roles":[],"roles":[]}}}}"#), 400),
        ("an unknown member of a bearer", format!(r#"{question},"as":{{"scope":"x"}}}}"#), 400),
        ("a scope that is none", format!(r#"{question},"as":{{"scopes":["a b"]}}}}"#), 400),
        ("a role that is none", format!(r#"{question},"as":{{"roles":[""]}}}}"#), 400),
        ("over 16 KiB", " ".repeat(16 * 1024 + 1), 413),
    ] {
        let answer = post_explain(&app, body).await;
        assert_eq!(answer.status(), status, "{name}");
        assert_eq!(answer.headers()[header::CONTENT_TYPE], "application/problem+json", "{name}");
        assert!(answer.json::<Value>().await.unwrap()["reference"].is_string(), "{name}");
    }
}

/// A question may quote what the caller sent; the answer stays a problem document.
#[actix_web::test]
async fn a_question_that_cannot_be_understood_is_a_problem_and_no_challenge() {
    let app = spawn_app();
    let operator = app.token_of("operator", "jeton").await;
    for asker in ["x\ny", "\u{e9}\u{202e}", "\"\\"] {
        let question = json!({ "api": "orders", "method": "GET", "path": "/", "as": asker });
        let answer = app
            .http
            .post(app.url("/ops/explain"))
            .bearer_auth(&operator)
            .json(&question)
            .send()
            .await
            .unwrap();
        assert_eq!(answer.status(), 400, "{asker:?}");
        assert_eq!(answer.headers()["content-type"], "application/problem+json");
        assert!(answer.headers().get("www-authenticate").is_none(), "a token would not help");
    }
}

/// An issuer's path may start as one of ours does, and shadows nothing.
#[actix_web::test]
async fn an_issuer_below_ops_keeps_its_endpoints() {
    let issuer = "http://127.0.0.1:8080/ops";
    let app = spawn_app_with(Setup { issuer: issuer.to_owned(), ..Setup::default() });
    assert_eq!(app.get("/ops/.well-known/jwks.json").await.status(), 200);
    let form = [("grant_type", "client_credentials")];
    let answer =
        app.http.post(app.url("/ops/oauth2/token")).basic_auth("operator", Some("demo-secret-of-operator"));
    assert_eq!(answer.form(&form).send().await.unwrap().status(), 200);
    assert_eq!(app.get("/ops/ops/policies").await.status(), 401);
}
