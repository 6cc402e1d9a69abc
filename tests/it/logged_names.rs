//! Names, claims and whatever else comes from outside, as a server logs and answers them.
use std::{fs, process::Command};

use base64::{Engine, prelude::BASE64_STANDARD};
use jeton::config::{LogFormat, LogSettings};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::{
    printed_names::{HOSTILE, HOSTILE_YAML, assert_harmless, is_unseen},
    support::{ORDERS, forge::base64url, install_policies, program::Binary, secret, spawn_app},
};

/// A request that ends its connection.
fn request(line: &str, headers: &str, body: &str) -> Vec<u8> {
    let length = body.len();
    let head = format!(
        "{line} HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: {length}\r\n{headers}\r\n"
    );
    [head.as_bytes(), body.as_bytes()].concat()
}

/// A form; its names are ours.
fn form(line: &str, headers: &str, fields: &[(&str, &str)]) -> Vec<u8> {
    let mut form = url::form_urlencoded::Serializer::new(String::new());
    let body = form.extend_pairs(fields).finish();
    request(line, &format!("Content-Type: application/x-www-form-urlencoded\r\n{headers}"), &body)
}

/// Whatever a caller can send of such words, in each place that is logged.
fn requests() -> Vec<Vec<u8>> {
    let long = HOSTILE.repeat(20);
    let encoded: String = url::form_urlencoded::byte_serialize(HOSTILE.as_bytes()).collect();
    let path = encoded.replace('+', "%20");
    // what a header may hold
    let in_header: String = HOSTILE.chars().filter(|c| !c.is_ascii_control()).collect();
    let jws = |header: Value, claims: Value| {
        format!("{}.{}.AA", base64url(header.to_string()), base64url(claims.to_string()))
    };
    let token = jws(json!({ "alg": HOSTILE, "kid": HOSTILE }), json!({ "aud": HOSTILE }));
    let known = jws(json!({ "alg": "RS256", "typ": "at+jwt", "kid": HOSTILE }), json!({ "aud": HOSTILE }));
    let assertion = jws(json!({ "alg": "EdDSA", "kid": HOSTILE }), json!({ "iss": HOSTILE, "sub": HOSTILE }));
    let (id, secret) = ("acme-sync", secret("acme-sync"));
    let basic = |id: &str, secret: &str| {
        format!("Authorization: Basic {}\r\n", BASE64_STANDARD.encode(format!("{id}:{secret}")))
    };
    let (good, grant) = (basic(id, &secret), ("grant_type", "client_credentials"));
    let mut requests = Vec::new();
    for words in [HOSTILE, &long] {
        for fields in [
            &[("grant_type", words)][..],
            &[grant, ("scope", words)],
            &[grant, ("resource", words)],
            &[grant, ("resource", ORDERS), ("scope", words)],
            &[grant, (words, "1"), (words, "2")],
            &[grant, ("audience", words), ("scope", words)],
            &[("grant_type", "refresh_token"), ("refresh_token", words)],
            &[
                ("grant_type", "urn:ietf:params:oauth:grant-type:token-exchange"),
                ("subject_token", words),
                ("subject_token_type", words),
            ],
        ] {
            requests.push(form("POST /oauth2/token", &good, fields));
        }
        requests.push(form(
            "POST /oauth2/token",
            "",
            &[grant, ("client_id", words), ("client_secret", words)],
        ));
        requests.push(form(
            "POST /oauth2/token",
            "",
            &[grant, ("client_assertion_type", words), ("client_assertion", words)],
        ));
        requests.push(form("POST /oauth2/introspect", &good, &[("token", words)]));
        requests.push(form("POST /oauth2/revoke", &good, &[("token", words), ("token_type_hint", words)]));
    }
    requests.push(form("POST /oauth2/token", &basic(&encoded, "x"), &[grant]));
    requests.push(form(
        "POST /oauth2/token",
        "",
        &[
            grant,
            ("client_id", HOSTILE),
            ("client_assertion_type", "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"),
            ("client_assertion", &assertion),
        ],
    ));
    requests.push(form(&format!("POST /oauth2/token?{encoded}={encoded}"), &good, &[grant]));
    for token in [&token, &known] {
        requests.push(request("GET /principal", &format!("Authorization: Bearer {token}\r\n"), ""));
        requests.push(form("POST /oauth2/introspect", &good, &[("token", token)]));
    }
    for line in [
        format!("GET /{path}"),
        format!("GET /status/{path}"),
        format!("GET /authz/{path}"),
        format!("GET /ops/{path}"),
    ] {
        requests.push(request(&line, "", ""));
    }
    for (method, target) in [("GET", &in_header), (in_header.as_str(), &format!("/{path}"))] {
        let headers = format!(
            "X-Original-Method: {method}\r\nX-Original-URI: /{target}\r\nX-Original-Host: {in_header}\r\n"
        );
        for name in ["one", "hosts"] {
            requests.push(request(&format!("GET /authz/{name}"), &headers, ""));
        }
    }
    requests
}

#[actix_web::test]
async fn no_log_line_holds_a_callers_text_raw() {
    let dir = tempfile::tempdir().unwrap();
    let policies = dir.path().join("policies");
    install_policies(&policies);
    fs::write(policies.join(format!("{HOSTILE}.yml")), "x").unwrap();
    let settings = "decisions = \"decisions.jsonl\"\n[policies]\npoll = \"0s\"\n[gateways.one]\nkind = \"nginx\"\n\
                    api = \"orders\"\ntrusted_peers = [\"127.0.0.1/32\"]\n[gateways.hosts]\nkind = \"nginx\"\n\
                    hosts = { \"orders.example.com\" = \"orders\" }\ntrusted_peers = [\"127.0.0.1/32\"]\n";
    let mut binary = Binary::serve_in(dir, settings).await;
    for request in requests() {
        let mut socket = binary.connect().await;
        socket.write_all(&request).await.unwrap();
        let mut answer = Vec::new();
        socket.read_to_end(&mut answer).await.unwrap();
        assert!(!answer.is_empty(), "{}", String::from_utf8_lossy(&request));
    }
    fs::write(policies_of(&binary).join(format!("{HOSTILE}.yaml")), format!("\"{HOSTILE_YAML}\": 1\n"))
        .unwrap();
    binary.signal("HUP").await;
    binary.logged("policies.rejected").await;
    binary.stop().await;
    assert_harmless(binary.log_text(), "the log");
    for line in binary.log_text().lines() {
        let line: Value = serde_json::from_str(line).unwrap();
        for (name, value) in line.as_object().unwrap() {
            let text = value.as_str().unwrap_or_default();
            assert!(!text.chars().any(is_unseen), "{name} in {line}");
            // before what is not seen was escaped
            let longest = if name == "detail" { 8 * 257 } else { 8 * 4097 };
            assert!(text.len() <= longest, "{name} in {line}");
        }
    }
    for event in ["token.refused", "introspection.refused", "decision.denied", "request"] {
        assert!(!binary.lines_of(event).is_empty(), "{event} in {}", binary.log_text());
    }
    let hostile_details =
        binary.lines_of("token.refused").into_iter().filter_map(|line| line["detail"].as_str());
    let hostile_details: Vec<_> = hostile_details.filter(|detail| detail.contains("\\u{202e}")).collect();
    assert!(hostile_details.iter().any(|detail| detail.ends_with('…')), "{hostile_details:?}");
    let decisions = fs::read_to_string(binary.dir.path().join("decisions.jsonl")).unwrap();
    assert_harmless(&decisions, "the decision log");
    assert!(decisions.lines().count() > 2, "{decisions}");
}

fn policies_of(binary: &Binary) -> std::path::PathBuf {
    binary.dir.path().join("policies")
}

/// Operators read them on a terminal; programs get what it was.
#[actix_web::test]
async fn what_operators_are_answered_holds_no_name_raw() {
    let app = spawn_app();
    let token = app.token_of("operator", "jeton").await;
    let path = format!("/{HOSTILE}");
    let question = json!({ "api": "orders", "method": "GET", "path": path });
    let ask = |path: &str| app.http.post(app.url(path)).bearer_auth(&token);
    let answer = ask("/ops/explain").json(&question).send().await.unwrap();
    assert_eq!(answer.headers()["content-type"], "application/json");
    let text = answer.text().await.unwrap();
    assert_harmless(&text, "/ops/explain");
    assert_eq!(serde_json::from_str::<Value>(&text).unwrap()["path"], path.as_str());
    app.write_policy(&format!("{HOSTILE}.yaml"), &format!("\"{HOSTILE_YAML}\": 1\n"));
    let text = ask("/ops/reload").send().await.unwrap().text().await.unwrap();
    assert_harmless(&text, "/ops/reload");
    let findings = serde_json::from_str::<Value>(&text).unwrap()["findings"].take();
    assert!(findings[0]["file"].as_str().unwrap().ends_with(&format!("{HOSTILE}.yaml")), "{findings}");
    for path in ["/ops/policies", "/readyz"] {
        let answer = app.http.get(app.url(path)).bearer_auth(&token).send().await.unwrap();
        let text = answer.text().await.unwrap();
        assert!(text.contains("unknown-key"), "{path}: {text}");
        assert_harmless(&text, path);
    }
}

const PANICS: &str = "JETON_TEST_PANICS";

#[test]
fn a_panic_is_logged_as_everything_else() {
    for format in ["json", "pretty"] {
        let mut tests = Command::new(std::env::current_exe().unwrap());
        tests.args(["--exact", "logged_names::panics_if_it_is_told_to", "--nocapture"]);
        let output = tests.env(PANICS, format).env_remove("RUST_BACKTRACE").output().unwrap();
        let log = String::from_utf8(output.stderr).unwrap();
        assert_harmless(&log, format);
        let [line] = log.lines().collect::<Vec<_>>()[..] else { panic!("{log}") };
        assert!(line.contains("panicked") && line.contains("u{202e}"), "{line}");
        assert_eq!(serde_json::from_str::<Value>(line).is_ok(), format == "json", "{line}");
    }
}

/// By [`a_panic_is_logged_as_everything_else`] alone.
#[test]
fn panics_if_it_is_told_to() {
    let Ok(format) = std::env::var(PANICS) else { return };
    let format = if format == "json" { LogFormat::Json } else { LogFormat::Pretty };
    let settings = LogSettings { format, level: tracing::Level::INFO, decisions: None };
    jeton::telemetry::init_log(&settings, None);
    panic!("{HOSTILE}");
}
