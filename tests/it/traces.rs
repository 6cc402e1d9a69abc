//! Traces: spans as a collector gets them, and what the log has of them.
use std::{fmt::Write, fs};

use jeton_oauth::clock::{Clock, SystemClock};
use opentelemetry_proto::tonic::trace::v1::{Span, span::SpanKind, status::StatusCode};
use serde_json::Value;
use tempfile::TempDir;
use tokio::net::TcpListener;

use crate::{
    binary::Workplace,
    support::{
        ISSUER, ORDERS,
        collector::{Collector, attribute},
        http_client, install_policies,
        platform::{JWT_BEARER, Platform, as_assertion},
        program::Binary,
        secret, secrets,
    },
};

const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
const CALLER: &str = "00f067aa0ba902b7";

fn traceparent() -> String {
    format!("00-{TRACE}-{CALLER}-01")
}

/// What is exported when the server ends, and not before.
const AT_THE_END: (&str, &str) = ("OTEL_BSP_SCHEDULE_DELAY", "3600000");

fn hex(id: &[u8]) -> String {
    let mut digits = String::new();
    for byte in id {
        write!(digits, "{byte:02x}").unwrap();
    }
    digits
}

fn url(binary: &Binary, path: &str) -> String {
    format!("http://{}{path}", binary.address)
}

/// An access token of a demo client.
async fn token(binary: &Binary, client: &str, resource: &str) -> String {
    let form = [("grant_type", "client_credentials"), ("resource", resource)];
    let request = http_client().post(url(binary, "/oauth2/token")).form(&form);
    let answer = request.basic_auth(client, Some(secret(client))).send().await.unwrap();
    assert_eq!(answer.status(), 200);
    answer.json::<Value>().await.unwrap()["access_token"].as_str().unwrap().to_owned()
}

#[track_caller]
fn has(span: &Span, expected: &[(&str, &str)]) {
    for (name, value) in expected {
        let told = attribute(&span.attributes, name);
        let expected = (!value.is_empty()).then(|| (*value).to_owned());
        assert_eq!(told, expected, "`{name}` of {span:#?}");
    }
}

/// Sends one of each kind of request. Returns the tokens that came.
async fn send_each_kind(binary: &Binary) -> [String; 2] {
    let http = http_client();
    let orders = token(binary, "acme-sync", ORDERS).await;
    let own = token(binary, "operator", ISSUER).await;
    let caller = http.get(url(binary, "/principal?hidden=query-secret")).bearer_auth(&own);
    let caller = caller.header("traceparent", traceparent()).header("tracestate", "a=1");
    assert_eq!(caller.header("tracestate", "b=2").send().await.unwrap().status(), 200);
    assert_eq!(http.get(url(binary, "/principal")).send().await.unwrap().status(), 401);
    assert_eq!(http.get(url(binary, "/principal")).bearer_auth(&orders).send().await.unwrap().status(), 401);
    let form =
        [("grant_type", "client_credentials"), ("client_id", "acme-sync"), ("client_secret", "wrong-one")];
    assert_eq!(http.post(url(binary, "/oauth2/token")).form(&form).send().await.unwrap().status(), 401);
    let form = [("token", orders.as_str())];
    let answer = http.post(url(binary, "/oauth2/introspect")).form(&form);
    let answer = answer.basic_auth("asker", Some(secret("asker"))).send().await.unwrap();
    assert_eq!(answer.status(), 200);
    assert_eq!(http.get(url(binary, "/nowhere/hidden")).send().await.unwrap().status(), 404);
    let method = reqwest::Method::from_bytes(b"HIDE").unwrap();
    assert_eq!(http.request(method, url(binary, "/healthz")).send().await.unwrap().status(), 405);
    [orders, own]
}

#[actix_web::test]
async fn a_request_is_a_span_with_what_jeton_knows_of_it() {
    let mut collector = Collector::start().await;
    let dir = TempDir::new().unwrap();
    install_policies(&dir.path().join("policies"));
    let asker = format!("version: 1\nclients:\n  asker:\n    {}\n    introspect: true\n", secrets("asker"));
    fs::write(dir.path().join("policies/asker.yaml"), asker).unwrap();
    let variables = [
        ("OTEL_EXPORTER_OTLP_ENDPOINT", collector.url()),
        ("OTEL_EXPORTER_OTLP_HEADERS", "x-key=of%20the%20collector".to_owned()),
        ("OTEL_RESOURCE_ATTRIBUTES", "deployment.environment.name=test".to_owned()),
    ];
    let variables: Vec<_> = variables.iter().map(|(name, value)| (*name, value.as_str())).collect();
    let mut binary = Binary::serve_in_with(dir, &[&variables[..], &[AT_THE_END]].concat()).await;
    let tokens = send_each_kind(&binary).await;
    assert!(collector.is_empty(), "spans are exported at the end");
    binary.stop().await;
    let mut spans = collector.spans(9).await.to_vec();
    spans.sort_by_key(|span| span.start_time_unix_nano);
    let spans: [Span; 9] = spans.try_into().unwrap();
    let names: Vec<_> = spans.iter().map(|span| span.name.as_str()).collect();
    assert_eq!(
        names,
        [
            "POST /oauth2/token",
            "POST /oauth2/token",
            "GET /principal",
            "GET /principal",
            "GET /principal",
            "POST /oauth2/token",
            "POST /oauth2/introspect",
            "GET",
            "HTTP /healthz",
        ]
    );
    let [issued, _, principal, no_token, bad_token, refused, introspected, nowhere, hidden] = &spans;
    has(
        issued,
        &[
            ("http.request.method", "POST"),
            ("http.route", "/oauth2/token"),
            ("http.response.status_code", "200"),
            ("url.path", "/oauth2/token"),
            ("url.scheme", "http"),
            ("client.address", "127.0.0.1"),
            ("network.peer.address", "127.0.0.1"),
            ("jeton.client", "acme-sync"),
            ("jeton.api", "orders"),
            ("jeton.grant", "client_credentials"),
            ("jeton.outcome", "issued"),
            ("jeton.rule", ""),
            ("error.type", ""),
            ("trace_id", ""),
            ("peer", ""),
        ],
    );
    has(
        principal,
        &[
            ("url.path", "/principal"),
            ("jeton.client", "operator"),
            ("jeton.api", "jeton"),
            ("jeton.outcome", "allowed"),
            ("jeton.reason", ""),
        ],
    );
    assert!(attribute(&principal.attributes, "jeton.rule").is_some(), "{principal:#?}");
    has(
        no_token,
        &[("jeton.outcome", "unauthenticated"), ("jeton.reason", "no-token"), ("jeton.client", "")],
    );
    has(
        bad_token,
        &[("jeton.outcome", "unauthenticated"), ("jeton.reason", "invalid-token"), ("jeton.api", "jeton")],
    );
    has(
        refused,
        &[
            ("http.response.status_code", "401"),
            ("jeton.client", "acme-sync"),
            ("jeton.grant", "client_credentials"),
            ("jeton.outcome", "refused"),
            ("jeton.reason", "invalid_client"),
            ("error.type", ""),
        ],
    );
    has(introspected, &[("jeton.client", "asker"), ("jeton.outcome", "active")]);
    has(
        nowhere,
        &[("url.path", "/nowhere/hidden"), ("http.route", ""), ("http.response.status_code", "404")],
    );
    has(hidden, &[("http.request.method", "_OTHER"), ("http.response.status_code", "405")]);

    // the trace of the caller, or one of its own
    assert_eq!((hex(&principal.trace_id), hex(&principal.parent_span_id)), (TRACE.into(), CALLER.into()));
    assert_eq!(principal.trace_state, "a=1,b=2");
    let others = spans.iter().filter(|span| hex(&span.trace_id) != TRACE);
    let mut traces: Vec<_> = others.map(|span| (hex(&span.trace_id), hex(&span.parent_span_id))).collect();
    assert!(traces.iter().all(|(_, parent)| parent.is_empty()), "{traces:?}");
    traces.sort();
    traces.dedup();
    assert_eq!(traces.len(), 8, "{traces:?}");
    for span in &spans {
        assert_eq!(span.kind(), SpanKind::Server, "{span:#?}");
        assert_eq!(span.status.clone().unwrap_or_default().code(), StatusCode::Unset);
        assert!(span.events.is_empty() && span.end_time_unix_nano >= span.start_time_unix_nano, "{span:#?}");
    }

    // the log names the same traces and requests
    let lines = binary.lines_of("request");
    assert_eq!(lines.len(), spans.len());
    for (line, span) in lines.iter().zip(&spans) {
        assert_eq!(line["trace_id"], hex(&span.trace_id), "{line}");
        assert_eq!(line["id"].as_str(), attribute(&span.attributes, "jeton.request_id").as_deref(), "{line}");
    }
    let issued_line = &binary.lines_of("token.issued")[0];
    assert_eq!(issued_line["trace_id"], hex(&issued.trace_id), "{issued_line}");
    assert!(!binary.log_text().contains("otel"), "{}", binary.log_text());
    assert!(binary.lines_of("decision.taken").is_empty(), "{}", binary.log_text());

    let resource = |name| attribute(&collector.resource, name);
    assert_eq!(resource("service.name").as_deref(), Some("jeton"));
    assert_eq!(resource("service.version").as_deref(), Some(env!("CARGO_PKG_VERSION")));
    assert_eq!(resource("deployment.environment.name").as_deref(), Some("test"));
    let heads = collector.heads.to_ascii_lowercase();
    assert!(heads.starts_with("post /v1/traces http/1.1\r\n"), "{heads}");
    assert!(heads.contains("\r\nx-key: of the collector\r\n"), "{heads}");
    let text = String::from_utf8_lossy(&collector.bytes);
    for hidden in ["demo-secret", "wrong-one", "query-secret", "Basic ", "Bearer ", "HIDE"] {
        assert!(!text.contains(hidden), "{hidden} in {text}");
    }
    for part in tokens.iter().flat_map(|token| token.split('.')) {
        assert!(!text.contains(part), "{part} in {text}");
    }
}

/// The issuer by the name that the policies have for it, and nothing that its token says.
#[actix_web::test]
async fn a_span_names_the_issuer_of_a_platforms_token() {
    let (mut collector, platform) = (Collector::start().await, Platform::start().await);
    let dir = TempDir::new().unwrap();
    install_policies(&dir.path().join("policies"));
    fs::write(dir.path().join("policies/ci.yaml"), platform.policies("")).unwrap();
    let endpoint = collector.url();
    let variables = [("OTEL_EXPORTER_OTLP_ENDPOINT", endpoint.as_str()), AT_THE_END];
    let mut binary = Binary::serve_in_with(dir, &variables).await;
    let token = platform.good(SystemClock.now().as_second());
    let form = as_assertion(JWT_BEARER, &token);
    let answer = http_client().post(url(&binary, "/oauth2/token")).form(&form).send().await.unwrap();
    assert_eq!(answer.status(), 200);
    binary.stop().await;
    let [span] = collector.spans(1).await else { panic!("one request is one span") };
    has(span, &[("jeton.client", "deployer"), ("jeton.issuer", "ci"), ("jeton.outcome", "issued")]);
    let exported = String::from_utf8_lossy(&collector.bytes);
    assert!(!exported.contains("octo-org") && !exported.contains("jti-"), "{exported}");
}

#[actix_web::test]
async fn behind_a_proxy_a_span_has_both_addresses() {
    let mut collector = Collector::start().await;
    let endpoint = collector.url();
    let mut binary = Binary::serve_with(&[
        ("OTEL_EXPORTER_OTLP_ENDPOINT", &endpoint),
        ("JETON__SERVER__TRUSTED_PROXIES", "127.0.0.1"),
        AT_THE_END,
    ])
    .await;
    let rows = [Some(("203.0.113.9, 198.51.100.1", "198.51.100.1")), Some(("unknown", "127.0.0.1")), None];
    for row in rows {
        let mut request = http_client().get(url(&binary, "/healthz"));
        if let Some((sent, _)) = row {
            request = request.header("x-forwarded-for", sent);
        }
        assert_eq!(request.send().await.unwrap().status(), 200);
    }
    binary.stop().await;
    let mut spans = collector.spans(rows.len()).await.to_vec();
    spans.sort_by_key(|span| span.start_time_unix_nano);
    for (span, row) in spans.iter().zip(rows) {
        let client = row.map_or("127.0.0.1", |(_, client)| client);
        has(
            span,
            &[("client.address", client), ("network.peer.address", "127.0.0.1"), ("client_address", "")],
        );
    }
}

#[actix_web::test]
async fn the_log_has_the_trace_of_a_caller_without_any_collector() {
    let mut binary = Binary::serve().await;
    let http = http_client();
    for (headers, trace) in [
        (vec![traceparent()], Some(TRACE)),
        (vec![format!("00-{TRACE}-{CALLER}-00")], Some(TRACE)),
        (vec![format!("cc-{TRACE}-{CALLER}-01-later")], Some(TRACE)),
        (vec![], None),
        (vec![traceparent(), traceparent()], None),
        (vec![format!("00-{}-{CALLER}-01", "0".repeat(32))], None),
        (vec![format!("00-{}-{CALLER}-01", TRACE.to_uppercase())], None),
        (vec![format!("ff-{TRACE}-{CALLER}-01")], None),
        (vec!["\"}, \"trace_id\":\"x".to_owned()], None),
    ] {
        let mut request = http.get(url(&binary, "/principal"));
        for header in &headers {
            request = request.header("traceparent", header);
        }
        assert_eq!(request.send().await.unwrap().status(), 401);
        for event in ["decision.denied", "request"] {
            let line = binary.logged(event).await;
            assert_eq!(line["trace_id"].as_str(), trace, "{headers:?}: {line}");
        }
    }
}

#[actix_web::test]
async fn a_trace_that_is_not_sampled_is_in_the_log_alone() {
    for (sampler, parent, is_exported) in [
        ("always_off", traceparent(), false),
        ("always_on", format!("00-{TRACE}-{CALLER}-00"), true),
        ("parentbased_always_off", traceparent(), true),
        ("parentbased_always_on", format!("00-{TRACE}-{CALLER}-00"), false),
    ] {
        let mut collector = Collector::start().await;
        let endpoint = format!("{}/spans", collector.url());
        let mut binary = Binary::serve_with(&[
            ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", &endpoint),
            ("OTEL_TRACES_SAMPLER", sampler),
            AT_THE_END,
        ])
        .await;
        let request = http_client().get(url(&binary, "/healthz")).header("traceparent", &parent);
        assert_eq!(request.send().await.unwrap().status(), 200);
        binary.stop().await;
        assert_eq!(binary.lines_of("request")[0]["trace_id"], TRACE, "{sampler}");
        assert_eq!(collector.is_empty(), !is_exported, "{sampler} {parent}");
        assert!(!is_exported || collector.heads.starts_with("POST /spans "), "{}", collector.heads);
    }
}

#[actix_web::test]
async fn traces_are_off_where_a_variable_says_so() {
    for variable in [("OTEL_SDK_DISABLED", "true"), ("OTEL_TRACES_EXPORTER", "none")] {
        let mut collector = Collector::start().await;
        let endpoint = collector.url();
        let mut binary =
            Binary::serve_with(&[("OTEL_EXPORTER_OTLP_ENDPOINT", &endpoint), AT_THE_END, variable]).await;
        http_client().get(url(&binary, "/healthz")).send().await.unwrap();
        binary.stop().await;
        assert!(collector.is_empty(), "{variable:?}");
        assert!(binary.lines_of("request")[0].get("trace_id").is_none(), "{}", binary.log_text());
    }
}

#[actix_web::test]
async fn a_collector_that_is_away_costs_no_request_anything() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let endpoint = format!("http://{address}");
    let mut binary = Binary::serve_with(&[
        ("OTEL_EXPORTER_OTLP_ENDPOINT", &endpoint),
        ("OTEL_BSP_SCHEDULE_DELAY", "50"),
        ("OTEL_BSP_MAX_QUEUE_SIZE", "4"),
        ("JETON__LOG__LEVEL", "debug"),
    ])
    .await;
    let http = http_client();
    let ask = async |binary: &Binary| {
        // more than the queue has room for
        for _ in 0..20 {
            assert_eq!(http.get(url(binary, "/healthz")).send().await.unwrap().status(), 200);
        }
    };
    for level in ["WARN", "DEBUG", "DEBUG"] {
        ask(&binary).await;
        let line = binary.logged("traces.not_exported").await;
        assert_eq!((&line["level"], &line["url"]), (&level.into(), &format!("{endpoint}/v1/traces").into()));
    }
    // once it is there, that is told once too
    let mut collector = Collector::on(TcpListener::bind(address).await.unwrap());
    ask(&binary).await;
    binary.logged("traces.exported").await;
    collector.spans(1).await;
    ask(&binary).await;
    binary.stop().await;
    assert_eq!(binary.lines_of("traces.exported").len(), 1, "{}", binary.log_text());
    let warned = binary.lines_of("traces.not_exported").into_iter().filter(|line| line["level"] == "WARN");
    assert_eq!(warned.count(), 1, "{}", binary.log_text());
}

#[actix_web::test]
async fn a_collector_that_never_answers_does_not_hold_up_the_end() {
    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let endpoint = format!("http://{}", silent.local_addr().unwrap());
    let mut binary = Binary::serve_with(&[
        ("OTEL_EXPORTER_OTLP_ENDPOINT", &endpoint),
        ("OTEL_EXPORTER_OTLP_TIMEOUT", "3600000"),
        ("OTEL_BSP_EXPORT_TIMEOUT", "3600000"),
        AT_THE_END,
    ])
    .await;
    assert_eq!(http_client().get(url(&binary, "/healthz")).send().await.unwrap().status(), 200);
    binary.stop().await;
    assert_eq!(binary.lines_of("stopped").len(), 1, "{}", binary.log_text());
}

#[test]
fn variables_that_make_no_sense_stop_the_start() {
    for (name, value, says) in [
        ("OTEL_EXPORTER_OTLP_ENDPOINT", "collector", "URL"),
        ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://u:hunter2@collector", "OTEL_EXPORTER_OTLP_HEADERS"),
        ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "grpc://collector:4317", "scheme"),
        ("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc", "`http/protobuf`"),
        ("OTEL_TRACES_EXPORTER", "zipkin", "`otlp`"),
        ("OTEL_TRACES_SAMPLER", "sometimes", "`traceidratio`"),
        ("OTEL_TRACES_SAMPLER_ARG", "2", "0 to 1"),
        ("OTEL_BSP_SCHEDULE_DELAY", "5s", "milliseconds"),
        ("OTEL_EXPORTER_OTLP_CERTIFICATE", "Cargo.toml", "Cargo.toml"),
        ("OTEL_SDK_DISABLED", "perhaps", "`true`"),
    ] {
        let mut workplace = Workplace::sample();
        workplace.set("JETON__SERVER__LISTEN", "127.0.0.1:0");
        workplace.set("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:4318").set(name, value);
        let run = workplace.run(&["serve"]).exits(1).says(&[name, says]);
        assert!(!run.stderr.contains("hunter2"), "{run:#?}");
    }
    let mut workplace = Workplace::sample();
    let no_certificate = workplace.write("ca.pem", "no certificate").path("ca.pem");
    workplace.set("JETON__SERVER__LISTEN", "127.0.0.1:0");
    workplace.set("OTEL_EXPORTER_OTLP_ENDPOINT", "https://127.0.0.1:4318");
    workplace.set("OTEL_EXPORTER_OTLP_CERTIFICATE", no_certificate.to_str().unwrap());
    workplace.run(&["serve"]).exits(1).says(&["OTEL_EXPORTER_OTLP_CERTIFICATE", "ca.pem", "PEM"]);
}
