//! `POST /oauth2/token`: what is given out, to whom, and every way of being refused.

use std::collections::BTreeSet;

use base64::{Engine, prelude::*};
use reqwest::{Method, Response, header};
use serde_json::{Value, json};
use url::form_urlencoded::byte_serialize;

use crate::support::{
    ISSUER, NOW, ORDERS, RawResponse, Setup, TestApp,
    forge::{Forge, decoded},
    secret, secret_hash, spawn_app, spawn_app_with,
};

/// A client whose id and secret hold everything that Basic and forms give a meaning to.
const ODD_ID: &str = "odd id+%41:&=?/~";
const ODD_SECRET: &str = "p\u{e4} ss:w+rd%41&=\u{1f511}";

/// A request to the token endpoint, of which a row says what is special.
struct Ask {
    query: &'static str,
    content_type: Option<&'static str>,
    authorizations: Vec<String>,
    body: Vec<u8>,
}

const GRANT: &str = "grant_type=client_credentials";
const ORDERS_PARAMETER: &str = "resource=https%3A%2F%2Forders.example.com";

fn basic_header(id: &str, secret: &str) -> String {
    format!("Basic {}", BASE64_STANDARD.encode(format!("{id}:{secret}")))
}

fn form_encoded(text: &str) -> String {
    byte_serialize(text.as_bytes()).collect()
}

/// Form parameters that authenticate a client.
fn in_form(id: &str, secret: &str) -> String {
    format!("client_id={}&client_secret={}", form_encoded(id), form_encoded(secret))
}

impl Ask {
    /// A good request by a demo client with a grant for orders, by Basic.
    fn of(client: &str) -> Self {
        Self {
            query: "",
            content_type: Some("application/x-www-form-urlencoded"),
            authorizations: vec![basic_header(client, &secret(client))],
            body: format!("{GRANT}&{ORDERS_PARAMETER}").into(),
        }
    }

    fn body(self, body: impl Into<Vec<u8>>) -> Self {
        Self { body: body.into(), ..self }
    }

    /// With more parameters.
    fn and(mut self, parameters: impl AsRef<[u8]>) -> Self {
        self.body.push(b'&');
        self.body.extend_from_slice(parameters.as_ref());
        self
    }

    fn query(self, query: &'static str) -> Self {
        Self { query, ..self }
    }

    fn content_type(self, content_type: Option<&'static str>) -> Self {
        Self { content_type, ..self }
    }

    fn authorizations(self, values: &[&str]) -> Self {
        Self { authorizations: values.iter().map(|&value| value.to_owned()).collect(), ..self }
    }

    fn unauthenticated(self) -> Self {
        self.authorizations(&[])
    }

    async fn send(self, app: &TestApp) -> Response {
        let mut request = app.http.post(app.url(&format!("/oauth2/token{}", self.query))).body(self.body);
        if let Some(content_type) = self.content_type {
            request = request.header(header::CONTENT_TYPE, content_type);
        }
        for value in self.authorizations {
            request = request.header(header::AUTHORIZATION, value);
        }
        request.send().await.unwrap()
    }
}

fn acme() -> Ask {
    Ask::of("acme-sync")
}

/// What each client of the tests is about stands in its name.
fn clients() -> Setup {
    let hash = secret_hash("s3cret");
    let grant = "grants: { orders: { roles: [order-agent] } }";
    let text = format!(
        "version: 1
clients:
  '{ODD_ID}': {{ secrets: [{{ sha256: {odd} }}], {grant} }}
  rotating:
    secrets:
      - {{ sha256: {old}, expires: 2026-11-23T13:00:00Z }}
      - {{ sha256: {new} }}
    {grant}
  expired: {{ secrets: [{{ sha256: {hash}, expires: 2026-11-23T11:59:59Z }}], {grant} }}
  disabled: {{ enabled: false, secrets: [{{ sha256: {hash} }}], {grant} }}
  enabled: {{ enabled: true, secrets: [{{ sha256: {hash} }}], {grant} }}
  without-secret: {{ {grant} }}
  without-grant: {{ secrets: [{{ sha256: {hash} }}] }}
  short-lived: {{ secrets: [{{ sha256: {hash} }}], {grant}, ttl: 90s }}
  package:
    anonymous: true
    secrets: [{{ sha256: {hash} }}]
    {grant}
    claims: {{ tenant: acme }}
  talkative:
    secrets: [{{ sha256: {hash} }}]
    {grant}
    claims: {{ tenant: acme, level: 3, beta: true, regions: [eu, us], unit: {{ name: sync }} }}
",
        odd = secret_hash(ODD_SECRET),
        old = secret_hash("old"),
        new = secret_hash("new"),
    );
    Setup { policies: vec![("test-clients.yaml", text)], ..Setup::default() }
}

fn header_of<'r>(answer: &'r Response, name: &str) -> Option<&'r str> {
    answer.headers().get(name).map(|value| value.to_str().unwrap())
}

/// Sends each row, which must be answered by the error of RFC 6749 section 5.2.
async fn refused(app: &TestApp, rows: Vec<(&str, Ask, &str)>) {
    for (name, ask, error) in rows {
        let status = if error == "invalid_client" { 401 } else { 400 };
        let answer = ask.send(app).await;
        assert_eq!(answer.status(), status, "{name}: status");
        assert_eq!(header_of(&answer, "cache-control"), Some("no-store"), "{name}: Cache-Control");
        assert_eq!(header_of(&answer, "content-type"), Some("application/json"), "{name}: Content-Type");
        let challenge = header_of(&answer, "www-authenticate");
        let challenged = challenge.is_some_and(|it| it.starts_with("Basic "));
        assert_eq!(challenged, status == 401, "{name}: {challenge:?}");
        assert_eq!(challenged, challenge.is_some(), "{name}: {challenge:?}");
        let body: Value = answer.json().await.unwrap();
        assert_eq!(body["error"], error, "{name}: {body}");
        let description = body["error_description"].as_str().unwrap_or_default();
        // RFC 6749 section 5.2
        let allowed = |c: char| matches!(c, ' '..='!' | '#'..='[' | ']'..='~');
        assert!(!description.is_empty() && description.chars().all(allowed), "{name}: {description:?}");
        assert_eq!(body.get("access_token"), None, "{name}: a token");
    }
}

/// Sends a request, which must be answered by a token (RFC 6749 section 5.1).
async fn granted(app: &TestApp, name: &str, ask: Ask) -> Value {
    let answer = ask.send(app).await;
    assert_eq!(answer.status(), 200, "{name}: status");
    assert_eq!(header_of(&answer, "cache-control"), Some("no-store"), "{name}: Cache-Control");
    assert_eq!(header_of(&answer, "pragma"), Some("no-cache"), "{name}: Pragma");
    assert_eq!(header_of(&answer, "content-type"), Some("application/json"), "{name}: Content-Type");
    let body: Value = answer.json().await.unwrap();
    assert_eq!(body["token_type"], "Bearer", "{name}: token_type");
    assert!(body["expires_in"].as_u64().is_some_and(|seconds| seconds > 0), "{name}: expires_in");
    assert_eq!(body.get("refresh_token"), None, "{name}: RFC 6749 section 4.4.3");
    body
}

fn claims_of(body: &Value) -> Value {
    decoded(body["access_token"].as_str().unwrap()).1
}

#[actix_web::test]
async fn requests_that_cannot_be_understood() {
    let app = spawn_app();
    let body = |body: &str| acme().body(body);
    let twice = |parameter: &str| acme().and(parameter).and(parameter);
    let rows = vec![
        ("rfc6749_3_2_parameter_twice", twice("scope=orders%3Aread"), "invalid_request"),
        ("rfc6749_3_2_grant_type_twice", acme().and(GRANT), "invalid_request"),
        ("rfc6749_3_2_client_id_twice", twice("client_id=acme-sync"), "invalid_request"),
        ("rfc6749_3_2_unknown_parameter_twice", twice("x=1"), "invalid_request"),
        ("rfc6749_3_2_twice_by_escape", acme().and("scope=a&%73cope=a"), "invalid_request"),
        ("rfc6749_3_2_twice_one_empty", acme().and("scope=&scope=a"), "invalid_request"),
        ("rfc6749_3_2_empty_grant_type_is_omitted", body("grant_type="), "invalid_request"),
        ("rfc6749_4_4_2_grant_type_missing", body(ORDERS_PARAMETER), "invalid_request"),
        ("rfc6749_4_4_2_empty_body", body(""), "invalid_request"),
        ("grant_type in the URL only", body("").query("?grant_type=client_credentials"), "invalid_request"),
        ("rfc6749_4_4_2_json", acme().content_type(Some("application/json")), "invalid_request"),
        ("multipart", acme().content_type(Some("multipart/form-data; boundary=x")), "invalid_request"),
        ("longer type", acme().content_type(Some("application/x-www-form-urlencodedx")), "invalid_request"),
        (
            "two types",
            acme().content_type(Some("text/plain, application/x-www-form-urlencoded")),
            "invalid_request",
        ),
        ("no type", acme().content_type(None), "invalid_request"),
        ("a refresh token in the URL", acme().query("?refresh_token=x"), "invalid_request"),
        ("a subject token in the URL", acme().query("?subject_token=x"), "invalid_request"),
        ("malformed escape", acme().and("scope=%zz"), "invalid_request"),
        ("cut escape", acme().and("scope=a%4"), "invalid_request"),
        ("escape in a name", acme().and("sc%ope=a"), "invalid_request"),
        ("rfc6749_appendix_b_escaped_not_utf8", acme().and("scope=%C3%28"), "invalid_request"),
        ("rfc6749_appendix_b_raw_not_utf8", acme().and(b"scope=\xff"), "invalid_request"),
        ("rfc6749_5_2_unsupported_grant_type", body("grant_type=password"), "unsupported_grant_type"),
        ("rfc6749_4_4_2_other_case", body("grant_type=Client_Credentials"), "unsupported_grant_type"),
        ("rfc6749_4_4_2_with_a_space", body("grant_type=client_credentials+"), "unsupported_grant_type"),
    ];
    refused(&app, rows).await;
    for (name, ask) in [
        ("charset", acme().content_type(Some("application/x-www-form-urlencoded; charset=UTF-8"))),
        ("type in capitals", acme().content_type(Some("Application/X-WWW-Form-URLEncoded"))),
        ("rfc6749_3_2_unknown_parameter_is_ignored", acme().and("unknown=x")),
        ("rfc6749_3_2_empty_scope_is_omitted", acme().and("scope=")),
        ("rfc6749_3_2_empty_resource_is_omitted", acme().and("resource=&audience=")),
        ("empty pairs", acme().and("&&")),
        ("a harmless query", acme().query("?trace=1")),
    ] {
        let body = granted(&app, name, ask).await;
        assert_eq!(body["scope"], "orders:read orders:write", "{name}");
    }
}

/// A body in chunks is read as one that came whole, and bounded alike.
#[actix_web::test]
async fn chunked_bodies() {
    let app = spawn_app();
    let basic = basic_header("acme-sync", &secret("acme-sync"));
    let chunked = |chunks: &[&str]| {
        let body: Vec<_> = chunks.iter().map(|chunk| format!("{:x}\r\n{chunk}\r\n", chunk.len())).collect();
        format!(
            "POST /oauth2/token HTTP/1.1\r\nHost: x\r\nConnection: close\r\nAuthorization: {basic}\r\n\
             Content-Type: application/x-www-form-urlencoded\r\nTransfer-Encoding: chunked\r\n\r\n{}0\r\n\r\n",
            body.concat()
        )
    };
    // cut within an escape
    let whole = app
        .send_raw(chunked(&[
            "grant_type=client_cred",
            "entials&resource=https%3",
            "A%2F%2Forders.example.com",
        ]))
        .await;
    assert_eq!(whole.status, 200, "{}", whole.body);
    let long = "x".repeat(9000);
    assert_eq!(app.send_raw(chunked(&[&long, &long])).await.status, 413);
    let twice =
        app.send_raw(chunked(&["grant_type=client_credentials", "&grant_type=client_credentials"])).await;
    assert_eq!(twice.status, 400);
}

#[actix_web::test]
async fn rfc6749_3_2_only_post() {
    let app = spawn_app();
    for method in [Method::GET, Method::HEAD, Method::PUT, Method::PATCH, Method::DELETE, Method::OPTIONS] {
        let url = app.url("/oauth2/token?grant_type=client_credentials");
        let request =
            app.http.request(method.clone(), url).basic_auth("acme-sync", Some(secret("acme-sync")));
        let answer = request.send().await.unwrap();
        assert_eq!(answer.status(), 405, "{method}");
        assert_eq!(header_of(&answer, "allow"), Some("POST"), "{method}");
        assert_eq!(header_of(&answer, "cache-control"), Some("no-store"), "{method}");
        if method != Method::HEAD {
            assert_eq!(answer.json::<Value>().await.unwrap()["error"], "invalid_request", "{method}");
        }
    }
}

#[actix_web::test]
async fn ways_of_authentication() {
    let app = spawn_app_with(clients());
    let good = basic_header("acme-sync", &secret("acme-sync"));
    let wrong = basic_header("acme-sync", "wrong");
    let form = in_form("acme-sync", &secret("acme-sync"));
    let assertion = "client_assertion_type=urn%3Aietf%3Aparams%3Aoauth%3Aclient-assertion-type%3Ajwt-bearer\
                     &client_assertion=e30.e30.x";
    let bare = || acme().unauthenticated();
    let raw_odd = basic_header(ODD_ID, ODD_SECRET);
    let half_odd = basic_header(&form_encoded(ODD_ID), ODD_SECRET);
    let bad_escape = basic_header("acme-sync", "%zz");
    let no_colon = format!("Basic {}", BASE64_STANDARD.encode("acme-sync"));
    let not_utf8 = format!("Basic {}", BASE64_STANDARD.encode(b"acme-sync:\xff"));
    let rows = vec![
        ("rfc6749_3_2_1_client_without_credentials", bare(), "invalid_client"),
        ("rfc6749_3_2_1_client_id_alone", bare().and("client_id=acme-sync"), "invalid_client"),
        ("empty secret in the form", bare().and("client_id=acme-sync&client_secret="), "invalid_client"),
        ("client_id missing", bare().and("client_secret=x"), "invalid_request"),
        ("rfc6749_2_3_basic_and_form", acme().and(&form), "invalid_request"),
        ("rfc6749_2_3_basic_and_secret", acme().and("client_secret=x"), "invalid_request"),
        ("rfc6749_2_3_basic_and_assertion", acme().and(assertion), "invalid_request"),
        ("rfc6749_2_3_form_and_assertion", bare().and(&form).and(assertion), "invalid_request"),
        ("client_id differs from Basic", acme().and("client_id=globex-sync"), "invalid_request"),
        ("two headers", acme().authorizations(&[&good, &wrong]), "invalid_request"),
        ("two equal headers", acme().authorizations(&[&good, &good]), "invalid_request"),
        ("rfc6749_2_3_1_secret_in_the_url", acme().query("?client_secret=x"), "invalid_request"),
        ("rfc6749_2_3_1_id_in_the_url", acme().query("?client_id=acme-sync"), "invalid_request"),
        ("rfc6749_2_3_1_escaped_in_the_url", acme().query("?a&client%5Fsecret=x"), "invalid_request"),
        ("rfc6749_2_3_1_assertion_in_the_url", acme().query("?client_assertion=x"), "invalid_request"),
        ("rfc6749_2_3_1_not_form_encoded", acme().authorizations(&[&raw_odd]), "invalid_client"),
        ("rfc6749_2_3_1_half_form_encoded", acme().authorizations(&[&half_odd]), "invalid_client"),
        ("rfc6749_2_3_1_bad_escape", acme().authorizations(&[&bad_escape]), "invalid_client"),
        ("rfc7617_2_no_colon", acme().authorizations(&[&no_colon]), "invalid_client"),
        ("rfc7617_2_not_utf8", acme().authorizations(&[&not_utf8]), "invalid_client"),
        ("rfc7617_2_not_base64", acme().authorizations(&["Basic !!!"]), "invalid_client"),
        ("rfc7617_2_empty", acme().authorizations(&["Basic"]), "invalid_client"),
        ("another scheme", acme().authorizations(&["Bearer x"]), "invalid_client"),
        ("authentication comes first", acme().authorizations(&[&wrong]).and("scope=x:y"), "invalid_client"),
    ];
    refused(&app, rows).await;
    let odd_basic = basic_header(&form_encoded(ODD_ID), &form_encoded(ODD_SECRET));
    let lower_case = good.replacen("Basic", "basic", 1);
    for (name, ask, client) in [
        ("Basic", acme(), "acme-sync"),
        ("the scheme in lower case", acme().authorizations(&[&lower_case]), "acme-sync"),
        ("Basic and the same client_id", acme().and("client_id=acme-sync"), "acme-sync"),
        ("Basic and an empty secret", acme().and("client_secret="), "acme-sync"),
        ("form", bare().and(&form), "acme-sync"),
        ("rfc6749_2_3_1_form_encoded_basic", acme().authorizations(&[&odd_basic]), ODD_ID),
        ("odd names in the form", bare().and(in_form(ODD_ID, ODD_SECRET)), ODD_ID),
        ("enabled", bare().and(in_form("enabled", "s3cret")), "enabled"),
    ] {
        let body = granted(&app, name, ask).await;
        assert_eq!(claims_of(&body)["client_id"], client, "{name}");
    }
}

#[actix_web::test]
async fn a_failed_authentication_looks_the_same_whatever_is_wrong() {
    let app = spawn_app_with(clients());
    let rows = [
        ("unknown client", "nobody", "s3cret"),
        ("wrong secret", "acme-sync", "s3cret"),
        ("secret of another client", "acme-sync", "demo-secret-of-globex-sync"),
        ("expired secret", "expired", "s3cret"),
        ("disabled client", "disabled", "s3cret"),
        ("disabled client, wrong secret", "disabled", "wrong"),
        ("client without a secret", "without-secret", "s3cret"),
        ("an id that no client can have", "a\u{0}b\u{e9}", "s3cret"),
        ("an id in capitals", "ACME-SYNC", "demo-secret-of-acme-sync"),
    ];
    let mut answers = BTreeSet::new();
    for by_basic in [true, false] {
        for (name, id, secret) in rows {
            let (authorization, credentials) = if by_basic {
                let value = basic_header(&form_encoded(id), &form_encoded(secret));
                (format!("Authorization: {value}\r\n"), String::new())
            } else {
                (String::new(), format!("&{}", in_form(id, secret)))
            };
            let body = format!("{GRANT}&{ORDERS_PARAMETER}{credentials}");
            let length = body.len();
            let request = format!(
                "POST /oauth2/token HTTP/1.1\r\nHost: jeton\r\nConnection: close\r\n{authorization}\
                 Content-Type: application/x-www-form-urlencoded\r\nContent-Length: {length}\r\n\r\n{body}"
            );
            let RawResponse { status, head, body } = app.send_raw(request).await;
            assert_eq!(status, 401, "{name}");
            let lines = head.lines().filter(|line| !line.to_ascii_lowercase().starts_with("date:"));
            // actix writes the headers in no order
            let head: BTreeSet<_> = lines.map(str::to_owned).collect();
            let challenged =
                head.iter().any(|line| line.to_ascii_lowercase().starts_with("www-authenticate: basic "));
            assert!(challenged, "rfc9110_15_5_2: {name}");
            assert!(body.contains(r#""error":"invalid_client""#), "{name}: {body}");
            answers.insert((head, body));
        }
    }
    assert_eq!(answers.len(), 1, "{answers:#?}");
}

#[actix_web::test]
async fn a_secret_is_rotated_without_downtime() {
    let app = spawn_app_with(clients());
    let try_out = async |name: &str, secret: &str, expected: u16| {
        let answer = acme().unauthenticated().and(in_form("rotating", secret)).send(&app).await;
        assert_eq!(answer.status(), expected, "{name}");
    };
    try_out("the old one, before its end", "old", 200).await;
    try_out("the new one", "new", 200).await;
    app.clock.advance(3599);
    try_out("the old one, in its last second", "old", 200).await;
    app.clock.advance(1);
    try_out("the old one, at its end", "old", 401).await;
    try_out("the new one, after that", "new", 200).await;
}

#[actix_web::test]
async fn rfc8707_2_the_resource_is_the_audience() {
    let app = spawn_app_with(clients());
    let of = |client: &str, targets: &str| Ask::of(client).body(format!("{GRANT}&{targets}"));
    let grantless = basic_header("without-grant", "s3cret");
    let rows = vec![
        ("missing, with two APIs", of("acme-sync", ""), "invalid_target"),
        ("missing, without any API", of("acme-sync", "").authorizations(&[&grantless]), "invalid_target"),
        ("rfc8707_2_unknown", of("acme-sync", "resource=https%3A%2F%2Fother.example"), "invalid_target"),
        (
            "rfc8707_2_not_granted",
            of("support-desk", "resource=http%3A%2F%2F127.0.0.1%3A8080"),
            "invalid_target",
        ),
        ("rfc8707_2_not_a_uri", of("acme-sync", "resource=orders"), "invalid_target"),
        ("rfc8707_2_fragment", acme().body(format!("{GRANT}&{ORDERS_PARAMETER}%23x")), "invalid_target"),
        ("with a slash", acme().body(format!("{GRANT}&{ORDERS_PARAMETER}%2F")), "invalid_target"),
        ("two different", acme().and("resource=http%3A%2F%2F127.0.0.1%3A8080"), "invalid_target"),
        ("two, one unknown", acme().and("resource=https%3A%2F%2Fother.example"), "invalid_target"),
        ("audience differs", acme().and("audience=http%3A%2F%2F127.0.0.1%3A8080"), "invalid_target"),
        ("unknown audience", of("acme-sync", "audience=orders"), "invalid_target"),
    ];
    refused(&app, rows).await;
    for (name, ask, audience) in [
        ("resource", acme(), ORDERS),
        ("audience", of("acme-sync", "audience=https%3A%2F%2Forders.example.com"), ORDERS),
        ("the same twice", acme().and(ORDERS_PARAMETER), ORDERS),
        ("the same as both", acme().and("audience=https%3A%2F%2Forders.example.com"), ORDERS),
        ("missing, with one API", of("globex-sync", ""), ORDERS),
        ("jeton's own", of("acme-sync", "resource=http%3A%2F%2F127.0.0.1%3A8080"), ISSUER),
    ] {
        let body = granted(&app, name, ask).await;
        assert_eq!(claims_of(&body)["aud"], audience, "{name}");
    }
}

#[actix_web::test]
async fn rfc6749_3_3_scope() {
    let app = spawn_app();
    let with = |scope: &str| Ask::of("globex-sync").and(format!("scope={scope}"));
    let rows = vec![
        ("beyond the grant", with("reports:read"), "invalid_scope"),
        ("partly beyond the grant", with("orders:read+reports:read"), "invalid_scope"),
        ("of another API", with("jeton:ops"), "invalid_scope"),
        ("that nobody defines", with("orders:everything"), "invalid_scope"),
        ("in capitals", with("ORDERS:READ"), "invalid_scope"),
        ("a role's name", with("order-agent"), "invalid_scope"),
        ("rfc6749_3_3_two_spaces", with("orders:read++orders:write"), "invalid_scope"),
        ("rfc6749_3_3_leading_space", with("+orders:read"), "invalid_scope"),
        ("rfc6749_3_3_trailing_space", with("orders:read+"), "invalid_scope"),
        ("rfc6749_3_3_space_alone", with("+"), "invalid_scope"),
        ("rfc6749_3_3_tab", with("orders:read%09orders:write"), "invalid_scope"),
        ("rfc6749_3_3_line_feed", with("orders:read%0A"), "invalid_scope"),
        ("rfc6749_3_3_comma", with("orders:read,orders:write"), "invalid_scope"),
        ("rfc6749_3_3_quote", with("%22orders:read%22"), "invalid_scope"),
        ("rfc6749_3_3_backslash", with("orders:read%5C"), "invalid_scope"),
        ("rfc6749_3_3_not_ascii", with("orders:r%C3%A9ad"), "invalid_scope"),
        ("rfc6749_3_3_nul", with("orders:read%00"), "invalid_scope"),
    ];
    refused(&app, rows).await;
    let everything = "orders:read orders:refund orders:write";
    for (name, scope, expected, roles) in [
        ("none", "", everything, json!(["order-agent"])),
        ("all", "orders:write+orders:read+orders:refund", everything, json!(["order-agent"])),
        ("those of the role", "orders:read+orders:write", "orders:read orders:write", json!(["order-agent"])),
        ("the same twice", "orders:refund+orders:refund", "orders:refund", Value::Null),
        ("one scope drops the role", "orders:read", "orders:read", Value::Null),
        (
            "another beside drops the role",
            "orders:read+orders:refund",
            "orders:read orders:refund",
            Value::Null,
        ),
    ] {
        let body = granted(&app, name, with(scope)).await;
        let claims = claims_of(&body);
        assert_eq!(body["scope"], expected, "{name}: rfc6749_5_1_scope");
        assert_eq!(claims["scope"], expected, "{name}: claim scope");
        assert_eq!(claims["roles"], roles, "{name}: roles");
        assert_eq!(claims["tenant"], "globex", "{name}: the client's own claims stay");
    }
}

#[actix_web::test]
async fn rfc9068_2_2_claims() {
    let app = spawn_app_with(clients());
    let now = NOW.parse::<jiff::Timestamp>().unwrap().as_second();
    let base = |client: &str, ttl: i64| {
        json!({
            "iss": ISSUER, "sub": client, "aud": ORDERS, "exp": now + ttl, "iat": now,
            "client_id": client, "scope": "orders:read orders:write", "roles": ["order-agent"],
        })
    };
    let merged = |mut claims: Value, own: Value| {
        for (name, value) in own.as_object().unwrap() {
            claims[name] = value.clone();
        }
        claims
    };
    let post = |client: &str| acme().unauthenticated().and(in_form(client, "s3cret"));
    let mut package = merged(base("package", 3600), json!({ "tenant": "acme" }));
    for name in ["sub", "client_id"] {
        package.as_object_mut().unwrap().remove(name);
    }
    let talkative = json!({
        "tenant": "acme", "level": 3, "beta": true, "regions": ["eu", "us"], "unit": { "name": "sync" },
    });
    let rows = [
        (
            "the client's ttl",
            acme(),
            900,
            "at+jwt",
            merged(base("acme-sync", 900), json!({ "tenant": "acme" })),
        ),
        ("the default ttl", post("enabled"), 3600, "at+jwt", base("enabled", 3600)),
        ("a short ttl", post("short-lived"), 90, "at+jwt", base("short-lived", 90)),
        ("own claims", post("talkative"), 3600, "at+jwt", merged(base("talkative", 3600), talkative)),
        ("anonymous", post("package"), 3600, "JWT", package),
        (
            "anonymous, narrowed",
            post("package").and("scope=orders%3Aread"),
            3600,
            "JWT",
            json!({
                "iss": ISSUER, "aud": ORDERS, "exp": now + 3600, "iat": now, "scope": "orders:read", "tenant": "acme",
            }),
        ),
    ];
    let kid = Forge::with_the_servers_key().kid();
    let mut token_ids = BTreeSet::new();
    for (name, ask, ttl, typ, expected) in rows {
        let body = granted(&app, name, ask).await;
        assert_eq!(body["expires_in"], ttl, "{name}: expires_in");
        let (header, mut claims) = decoded(body["access_token"].as_str().unwrap());
        assert_eq!(header, json!({ "typ": typ, "alg": "RS256", "kid": kid }), "{name}: rfc9068_2_1_header");
        let token_id = claims.as_object_mut().unwrap().remove("jti").unwrap();
        let token_id = token_id.as_str().unwrap();
        assert!(
            BASE64_URL_SAFE_NO_PAD.decode(token_id).unwrap().len() >= 16,
            "{name}: 128 bits in {token_id}"
        );
        assert_eq!(claims, expected, "{name}: claims");
        assert!(token_ids.insert(token_id.to_owned()), "{name}: {token_id} stands in two tokens");
    }
}

#[actix_web::test]
async fn the_token_follows_the_clock() {
    let app = spawn_app();
    let before = claims_of(&granted(&app, "before", acme()).await);
    app.clock.advance(100);
    let after = claims_of(&granted(&app, "after", acme()).await);
    for name in ["iat", "exp"] {
        assert_eq!(after[name].as_i64().unwrap() - before[name].as_i64().unwrap(), 100, "{name}");
    }
    assert_ne!(before["jti"], after["jti"]);
}

/// Nobody could verify a token over 8 KiB.
#[actix_web::test]
async fn a_token_that_no_verifier_takes_is_not_issued() {
    let names: Vec<String> = (0..300).map(|n| format!("an:extraordinarily:long:scope:{n}")).collect();
    let scopes = names.iter().map(|name| format!("  {name}: x\n")).collect::<Vec<_>>().concat();
    let hash = crate::support::secret_hash("demo-secret-of-many");
    let text = format!(
        "version: 1\nscopes:\n{scopes}clients:\n  many:\n    secrets: [{{ sha256: {hash} }}]\n    grants: {{ orders: {{ scopes: [{}] }} }}\n",
        names.join(", ")
    );
    let app = spawn_app_with(Setup { policies: vec![("many.yaml", text)], ..Setup::default() });
    let answer = app.post_token("many", &[("grant_type", "client_credentials")]).send().await.unwrap();
    assert_eq!(answer.status(), 400);
    assert_eq!(answer.json::<Value>().await.unwrap()["error"], "invalid_scope");
    let few = [("grant_type", "client_credentials"), ("scope", names[0].as_str())];
    assert_eq!(app.post_token("many", &few).send().await.unwrap().status(), 200);
}

#[actix_web::test]
async fn scopes_that_are_joined_by_commas_are_told_to_be_separated_by_spaces() {
    let app = spawn_app();
    for (scope, is_told) in
        [("orders:read,orders:write", true), ("orders:read,", true), ("orders:raed", false)]
    {
        let form = [("grant_type", "client_credentials"), ("resource", ORDERS), ("scope", scope)];
        let (status, body) = app.post_form("/oauth2/token", "acme-sync", &form).await;
        assert_eq!((status, body["error"].as_str()), (400, Some("invalid_scope")), "{scope}: {body}");
        let told = body["error_description"].as_str().unwrap().contains("(scopes are separated by spaces)");
        assert_eq!(told, is_told, "{scope}: {body}");
    }
}
