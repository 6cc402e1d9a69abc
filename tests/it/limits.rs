//! Limits: how often a client may ask, and how often an address may fail to authenticate, which keeps nobody out.

use reqwest::{RequestBuilder, Response};
use serde_json::Value;

use jeton::{config::Settings, gateway::TrustedPeers};
use jeton_oauth::RateLimit;

use crate::support::{
    ORDERS, Setup, TestApp, program::Binary, scrape::with_admin, secret, secrets, spawn_app_with,
};

const GRANT: [(&str, &str); 2] = [("grant_type", "client_credentials"), ("resource", ORDERS)];

/// What a client sent, and what came.
struct Answer {
    status: u16,
    retry_after: Option<String>,
    body: Value,
}

/// Clients without a limit of their own, and with one.
fn policies() -> String {
    let client = |id: &str, more: &str| {
        let grants = "grants: { orders: { scopes: [orders:read] } }";
        format!("  {id}:\n    {}\n    {grants}\n    introspect: true\n{more}", secrets(id))
    };
    format!(
        "version: 1\nclients:\n{}{}{}{}",
        client("plain", ""),
        client("other", ""),
        client("slow", "    limit: 2/m\n"),
        client("free", "    limit: off\n"),
    )
}

fn spawn(settings: fn(&mut Settings)) -> TestApp {
    spawn_app_with(Setup { policies: vec![("limits.yaml", policies())], settings, ..Setup::default() })
}

fn limit(text: &str) -> RateLimit {
    RateLimit::parse(text).unwrap()
}

fn proxies(ranges: &[&str]) -> TrustedPeers {
    TrustedPeers::parse(&ranges.iter().map(|&range| range.to_owned()).collect::<Vec<_>>()).unwrap()
}

impl Answer {
    /// Sends a request; whatever comes is as the contract has it.
    async fn to(request: RequestBuilder) -> Self {
        let answer = request.send().await.unwrap();
        let header = |answer: &Response, name: &str| {
            answer.headers().get(name).map(|value| value.to_str().unwrap().to_owned())
        };
        let (status, retry_after) = (answer.status().as_u16(), header(&answer, "retry-after"));
        let challenge = header(&answer, "www-authenticate");
        assert_eq!(challenge.is_some(), status == 401, "{status}: {challenge:?}");
        assert_eq!(retry_after.is_some(), status == 429, "{status}: {retry_after:?}");
        assert_eq!(header(&answer, "cache-control").as_deref(), Some("no-store"));
        let is_json =
            header(&answer, "content-type").is_some_and(|kind| kind.starts_with("application/json"));
        let body: Value = answer.json().await.unwrap_or_default();
        if status == 429 {
            assert!(is_json && body["error"] == "temporarily_unavailable", "{body}");
            assert!(body["error_description"].as_str().is_some_and(|text| !text.is_empty()), "{body}");
        }
        Self { status, retry_after, body }
    }

    /// The status; of a 429 with the seconds until the next.
    fn told(&self) -> String {
        match &self.retry_after {
            Some(seconds) => format!("{} in {seconds}", self.status),
            None => self.status.to_string(),
        }
    }
}

impl TestApp {
    /// A token request with the right secret.
    async fn asks(&self, client: &str) -> String {
        Answer::to(self.post_token(client, &GRANT)).await.told()
    }

    /// An introspection with the right secret.
    async fn introspects(&self, client: &str) -> String {
        let request = self.http.post(self.url("/oauth2/introspect")).basic_auth(client, Some(secret(client)));
        Answer::to(request.form(&[("token", "x")])).await.told()
    }

    /// A token request with a wrong secret, and these headers.
    async fn fails(&self, headers: &[(&str, &str)]) -> String {
        let mut request = self.http.post(self.url("/oauth2/token")).basic_auth("plain", Some("wrong"));
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        Answer::to(request.form(&GRANT)).await.told()
    }
}

#[actix_web::test]
async fn the_innocent_gets_its_token_whatever_fails_beside_it() {
    let app = spawn(|settings| settings.limits.failures = limit("30/m"));
    for number in 0..30 {
        assert_eq!(app.fails(&[]).await, "401", "{number}");
        assert_eq!(app.asks("plain").await, "200", "{number}");
    }
    for _ in 0..40 {
        assert_eq!(app.fails(&[]).await, "429 in 2");
        // of the client that somebody guesses at, too, and from the same address
        assert_eq!(app.asks("plain").await, "200");
        assert_eq!(app.introspects("other").await, "200");
    }
}

/// What failed is not told: whoever guesses learns nothing by the status.
#[actix_web::test]
async fn each_failure_counts_alike_at_each_endpoint() {
    let app = spawn(|settings| settings.limits.failures = limit("1/h"));
    assert_eq!(app.fails(&[]).await, "401");
    let mut told = Vec::new();
    for path in ["/oauth2/token", "/oauth2/introspect", "/oauth2/revoke"] {
        let post = || app.http.post(app.url(path));
        let form =
            |more: &[(&'static str, &'static str)]| [&[GRANT[0], GRANT[1], ("token", "x")], more].concat();
        for request in [
            post().basic_auth("plain", Some("wrong")).form(&form(&[])),
            post().basic_auth("plain", Some("with a space")).form(&form(&[])),
            post().basic_auth("nobody", Some("wrong")).form(&form(&[])),
            post().form(&form(&[("client_id", "plain"), ("client_secret", "wrong")])),
            post().form(&form(&[("client_id", "plain")])),
            post().form(&form(&[])),
            post().bearer_auth("x").form(&form(&[])),
            post().header("authorization", "Basic !").form(&form(&[])),
            post().form(&form(&[
                ("client_assertion_type", "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"),
                ("client_assertion", "a.b.c"),
            ])),
        ] {
            let answer = Answer::to(request).await;
            assert_eq!(answer.told(), "429 in 3600", "{path}: {}", answer.body);
            told.push(answer.body.to_string());
        }
    }
    assert!(told.iter().all(|text| *text == told[0]), "{told:#?}");
}

#[actix_web::test]
async fn what_is_no_failed_authentication_does_not_count() {
    let app = spawn(|settings| settings.limits.failures = limit("2/h"));
    let post = |path: &str| app.http.post(app.url(path)).basic_auth("plain", Some(secret("plain")));
    for (name, request, status) in [
        ("no grant type", post("/oauth2/token").form(&[("resource", ORDERS)]), 400),
        ("another grant type", post("/oauth2/token").form(&[("grant_type", "password")]), 400),
        ("too much scope", post("/oauth2/token").form(&[GRANT[0], GRANT[1], ("scope", "orders:write")]), 400),
        ("no token", post("/oauth2/introspect").form(&[("x", "y")]), 400),
        ("two ways", post("/oauth2/token").form(&[GRANT[0], ("client_secret", "wrong")]), 400),
        ("no store", post("/oauth2/revoke").form(&[("token", "x")]), 400),
        ("no form", post("/oauth2/token").body("x"), 400),
    ] {
        for _ in 0..3 {
            let answer = Answer::to(request.try_clone().unwrap()).await;
            assert_eq!(answer.status, status, "{name}: {}", answer.body);
        }
    }
    // nor what is not for clients
    for _ in 0..5 {
        assert_eq!(app.get_principal("x").await.status(), 401);
    }
    assert_eq!([app.fails(&[]).await, app.fails(&[]).await], ["401", "401"]);
    assert_eq!(app.fails(&[]).await, "429 in 1800");
    assert_eq!(app.get_principal("x").await.status(), 401);
}

#[actix_web::test]
async fn retry_after_counts_down_and_failures_refill_evenly() {
    let app = spawn(|settings| settings.limits.failures = limit("3/m"));
    for _ in 0..3 {
        assert_eq!(app.fails(&[]).await, "401");
    }
    for (passes, told) in [(0, "429 in 20"), (5, "429 in 15"), (14, "429 in 1"), (1, "401"), (0, "429 in 20")]
    {
        app.clock.advance(passes);
        assert_eq!(app.fails(&[]).await, told, "after {passes} s");
    }
    app.clock.advance(60);
    for told in ["401", "401", "401", "429 in 20"] {
        assert_eq!(app.fails(&[]).await, told);
    }
}

#[actix_web::test]
async fn a_client_gets_as_many_tokens_as_its_limit_says() {
    let app = spawn(|settings| settings.limits.tokens = limit("4/m"));
    for client in ["plain", "other"] {
        for _ in 0..4 {
            assert_eq!(app.asks(client).await, "200", "{client}");
        }
        assert_eq!(app.asks(client).await, "429 in 15", "{client}");
    }
    for told in ["200", "200", "429 in 30", "429 in 30"] {
        assert_eq!(app.asks("slow").await, told);
    }
    for _ in 0..20 {
        assert_eq!(app.asks("free").await, "200");
    }
    // what has failed was not asked by the client
    app.clock.advance(60);
    for _ in 0..10 {
        assert_eq!(app.fails(&[]).await, "401");
    }
    for told in ["200", "200", "200", "200", "429 in 15"] {
        assert_eq!(app.asks("plain").await, told);
    }
    app.clock.advance(14);
    assert_eq!(app.asks("plain").await, "429 in 1");
    app.clock.advance(1);
    assert_eq!([app.asks("plain").await, app.asks("plain").await], ["200", "429 in 15"]);
    // tokens alone
    for _ in 0..10 {
        assert_eq!(app.introspects("plain").await, "200");
    }
}

/// A request that the client may not make counts too: it costs as much.
#[actix_web::test]
async fn each_token_request_of_a_client_counts() {
    let app = spawn(|_| {});
    let form = [GRANT[0], GRANT[1], ("scope", "orders:refund")];
    for told in ["400", "400", "429 in 30"] {
        assert_eq!(Answer::to(app.post_token("slow", &form)).await.told(), told);
    }
    assert_eq!(app.asks("slow").await, "429 in 30");
}

#[actix_web::test]
async fn by_default_no_client_has_a_limit_and_an_address_has() {
    let app = spawn(|settings| {
        let defaults = Settings::load(Some(&crate::support::root().join("jeton.toml"))).unwrap();
        settings.limits = defaults.limits;
    });
    for _ in 0..100 {
        assert_eq!([app.asks("plain").await, app.introspects("plain").await], ["200", "200"]);
    }
    for _ in 0..30 {
        assert_eq!(app.fails(&[]).await, "401");
    }
    assert_eq!(app.fails(&[]).await, "429 in 2");
    let app = spawn(|settings| settings.limits.failures = limit("off"));
    for _ in 0..100 {
        assert_eq!(app.fails(&[]).await, "401");
    }
}

#[actix_web::test]
async fn introspections_have_a_limit_of_their_own() {
    let app = spawn(|settings| settings.limits.introspections = limit("3/h"));
    for client in ["plain", "slow", "free"] {
        for told in ["200", "200", "200", "429 in 1200"] {
            assert_eq!(app.introspects(client).await, told, "{client}");
        }
    }
    assert_eq!(app.asks("plain").await, "200");
    app.clock.advance(1200);
    assert_eq!([app.introspects("plain").await, app.introspects("plain").await], ["200", "429 in 1200"]);
}

#[actix_web::test]
async fn a_reload_changes_the_limits_that_it_changes_and_no_counts() {
    // enough for the operator, who reloads
    let app = spawn(|settings| settings.limits.tokens = limit("5/h"));
    for (client, times) in [("plain", 5), ("slow", 2)] {
        for _ in 0..times {
            assert_eq!(app.asks(client).await, "200", "{client}");
        }
    }
    let reload = async |text: &str| {
        app.write_policy("limits.yaml", text);
        assert_eq!(app.post_reload().await.status(), 200);
    };
    reload(&format!("{}# the same\n", policies())).await;
    assert_eq!([app.asks("plain").await, app.asks("slow").await], ["429 in 720", "429 in 30"]);
    reload(&policies().replace("limit: 2/m", "limit: 3/m")).await;
    assert_eq!(app.asks("plain").await, "429 in 720");
    for told in ["200", "200", "200", "429 in 20"] {
        assert_eq!(app.asks("slow").await, told);
    }
    reload(&policies().replace("limit: 2/m", "limit: off")).await;
    for _ in 0..5 {
        assert_eq!(app.asks("slow").await, "200");
    }
    reload(&policies().replace("    limit: 2/m\n", "")).await;
    for told in ["200", "200", "200", "200", "200", "429 in 720"] {
        assert_eq!(app.asks("slow").await, told);
    }
}

#[actix_web::test]
async fn a_forged_address_of_who_is_no_proxy_changes_nothing() {
    let nobody_is_trusted: fn(&mut Settings) = |settings| settings.limits.failures = limit("2/h");
    let others_are: fn(&mut Settings) = |settings| {
        settings.limits.failures = limit("2/h");
        settings.server.trusted_proxies = proxies(&["198.51.100.0/24", "127.0.0.2", "::1"]);
    };
    for (name, settings) in [("nobody is trusted", nobody_is_trusted), ("others are", others_are)] {
        let app = spawn(settings);
        let mut told = Vec::new();
        for last in 1..5 {
            let address = format!("203.0.113.{last}");
            told.push(
                app.fails(&[("x-forwarded-for", &address), ("forwarded", &format!("for={address}"))]).await,
            );
        }
        assert_eq!(told, ["401", "401", "429 in 1800", "429 in 1800"], "{name}");
    }
}

/// Each row: headers, and whether it is the first failure of the address that they name.
#[actix_web::test]
async fn behind_a_proxy_each_address_has_its_own_failures() {
    let app = spawn(|settings| {
        settings.limits.failures = limit("1/h");
        settings.server.trusted_proxies = proxies(&["127.0.0.1", "10.0.0.0/8"]);
    });
    let (xff, forwarded) = ("x-forwarded-for", "forwarded");
    for (headers, is_first) in [
        (&[(xff, "203.0.113.1")][..], true),
        (&[(xff, "203.0.113.1")], false),
        (&[(xff, "203.0.113.1:4711")], false),
        (&[(xff, "::ffff:203.0.113.1")], false),
        (&[(xff, "198.51.100.7, 203.0.113.1, 10.1.2.3")], false),
        (&[(xff, "198.51.100.7"), (xff, "203.0.113.1"), (xff, "10.1.2.3")], false),
        (&[(forwarded, "for=203.0.113.1;proto=https")], false),
        (&[(forwarded, "for=\"[::ffff:203.0.113.1]:80\"")], false),
        (&[(xff, "203.0.113.1"), (forwarded, "for=203.0.113.2")], false),
        (&[(xff, "203.0.113.1, 203.0.113.2")], true),
        (&[(forwarded, "for=203.0.113.1, for=203.0.113.2")], false),
        // a /64 is one
        (&[(xff, "2001:db8:0:1::1")], true),
        (&[(xff, "[2001:db8:0:1:ffff:ffff:ffff:ffff]:443")], false),
        (&[(forwarded, "for=\"[2001:db8:0:1:2::3]\"")], false),
        (&[(xff, "2001:db8:0:2::1")], true),
        // what is no address, and nothing, counts as the proxy's
        (&[(xff, "203.0.113.9, unknown")], true),
        (&[(forwarded, "for=203.0.113.9, for=_hidden")], false),
        (&[(xff, "10.9.9.9")], false),
        (&[], false),
        (&[(xff, "203.0.113.9")], true),
    ] {
        let expected = if is_first { "401" } else { "429 in 3600" };
        assert_eq!(app.fails(headers).await, expected, "{headers:?}");
        assert_eq!(app.asks("plain").await, "200", "{headers:?}");
    }
}

/// Whoever has no client is `unknown`, whatever id it sends.
#[actix_web::test]
async fn each_answer_429_is_counted_under_its_client_and_limit() {
    let app = spawn(|settings| {
        with_admin(settings);
        settings.limits.failures = limit("1/h");
        settings.limits.introspections = limit("1/h");
    });
    for told in ["401", "429 in 3600", "429 in 3600"] {
        assert_eq!(app.fails(&[]).await, told);
    }
    let post = || app.http.post(app.url("/oauth2/token"));
    for request in [
        post().basic_auth("nobody", Some("wrong")).form(&GRANT),
        post().form(&[GRANT[0], ("client_id", "slow")]),
        post().form(&GRANT),
    ] {
        assert_eq!(Answer::to(request).await.told(), "429 in 3600");
    }
    for told in ["200", "200", "429 in 30", "429 in 30"] {
        assert_eq!(app.asks("slow").await, told);
    }
    assert_eq!([app.introspects("plain").await, app.introspects("plain").await], ["200", "429 in 3600"]);
    let scrape = app.scrape().await;
    let expected = [
        (r#"client="plain",limit="failures""#, 2.0),
        (r#"client="plain",limit="introspections""#, 1.0),
        (r#"client="slow",limit="failures""#, 1.0),
        (r#"client="slow",limit="tokens""#, 2.0),
        (r#"client="unknown",limit="failures""#, 2.0),
    ];
    assert_eq!(scrape.of("jeton_rate_limited_total"), expected);
    let refused = scrape.of("jeton_token_requests_refused_total");
    let expected = [
        (r#"grant="client_credentials",error="invalid_client",client="plain""#, 1.0),
        (r#"grant="client_credentials",error="temporarily_unavailable",client="plain""#, 2.0),
        (r#"grant="client_credentials",error="temporarily_unavailable",client="slow""#, 3.0),
        (r#"grant="client_credentials",error="temporarily_unavailable",client="unknown""#, 2.0),
    ];
    assert_eq!(refused, expected);
}

/// The log of the real program, with settings from its file and the environment's names.
#[actix_web::test]
async fn the_log_says_whose_limit_it_was() {
    let dir = tempfile::tempdir().unwrap();
    crate::support::install_policies(&dir.path().join("policies"));
    std::fs::write(dir.path().join("policies/limits.yaml"), policies()).unwrap();
    let settings = "[limits]\nfailures = \"1/h\"\nintrospections = \"1/m\"\n";
    let mut binary = Binary::serve_in(dir, settings).await;
    let http = crate::support::http_client();
    let post = |path: &str, client: &str, secret: &str| {
        let request = http.post(format!("http://{}{path}", binary.address)).basic_auth(client, Some(secret));
        request.form(&[GRANT[0], GRANT[1], ("token", "x")])
    };
    let mut requests = Vec::new();
    for (path, client, secret) in [
        ("/oauth2/token", "plain", "wrong"),
        ("/oauth2/token", "plain", "wrong"),
        ("/oauth2/revoke", "nobody", "wrong"),
        ("/oauth2/token", "slow", &secret("slow")),
        ("/oauth2/token", "slow", &secret("slow")),
        ("/oauth2/token", "slow", &secret("slow")),
        ("/oauth2/introspect", "plain", &secret("plain")),
        ("/oauth2/introspect", "plain", &secret("plain")),
    ] {
        requests.push(post(path, client, secret));
    }
    let mut told = Vec::new();
    for request in requests {
        told.push(Answer::to(request).await.status);
    }
    assert_eq!(told, [401, 429, 429, 200, 200, 429, 200, 429]);
    binary.stop().await;
    let lines: Vec<_> = ["token.refused", "revocation.refused", "introspection.refused"]
        .into_iter()
        .flat_map(|event| binary.lines_of(event))
        .map(|line| {
            let text = |name: &str| line[name].as_str().unwrap_or_default().to_owned();
            assert_eq!(text("level"), "WARN", "{line}");
            [text("reason"), text("client"), text("attempted"), text("detail")]
        })
        .collect();
    assert_eq!(
        lines,
        [
            ["invalid_client", "plain", "", "wrong secret"],
            [
                "rate_limited",
                "plain",
                "",
                "wrong secret; more failed authentications than 1/h from 127.0.0.1"
            ],
            ["rate_limited", "slow", "", "more token requests than 2/m"],
            [
                "rate_limited",
                "",
                "nobody",
                "unknown client; more failed authentications than 1/h from 127.0.0.1"
            ],
            ["rate_limited", "plain", "", "more introspections than 1/m"],
        ]
    );
    for text in ["wrong\"", &secret("slow")] {
        assert!(!binary.log_text().contains(text));
    }
}
