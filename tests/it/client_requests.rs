//! How requests of clients are read, alike at each endpoint that takes their forms: content type, content coding,
//! query, names, and which fault is told first.

use reqwest::{
    Response,
    header::{self, HeaderName},
};
use serde_json::Value;

use crate::support::{Setup, TestApp, secret, secrets, spawn_app, spawn_app_with};

const FORM: &str = "application/x-www-form-urlencoded";
const CHALLENGE: &str = r#"Basic realm="jeton", charset="UTF-8""#;

/// An endpoint, a good form for it, and what it answers to that.
struct Endpoint {
    path: &'static str,
    form: &'static str,
    answers: (u16, Option<&'static str>),
}

const ENDPOINTS: [Endpoint; 3] = [
    Endpoint {
        path: "/oauth2/token",
        form: "grant_type=client_credentials&resource=https%3A%2F%2Forders.example.com",
        answers: (200, None),
    },
    Endpoint { path: "/oauth2/introspect", form: "token=x", answers: (200, None) },
    // without a shared store it says so, once it has understood the request
    Endpoint { path: "/oauth2/revoke", form: "token=x", answers: (400, Some("unsupported_token_type")) },
];

/// A server with a client that may ask each of them.
fn app() -> TestApp {
    let text = format!(
        "version: 1\nclients:\n  caller:\n    {}\n    introspect: true\n    grants: {{ orders: {{ scopes: [orders:read] }} }}\n",
        secrets("caller"),
    );
    spawn_app_with(Setup { policies: vec![("caller.yaml", text)], ..Setup::default() })
}

/// A request of the client, by Basic unless it says otherwise.
struct Ask {
    path: String,
    headers: Vec<(HeaderName, &'static str)>,
    is_authenticated: bool,
    body: Vec<u8>,
}

impl Ask {
    fn at(endpoint: &Endpoint) -> Self {
        Self {
            path: endpoint.path.to_owned(),
            headers: vec![(header::CONTENT_TYPE, FORM)],
            is_authenticated: true,
            body: endpoint.form.into(),
        }
    }

    /// With more parameters.
    fn and(mut self, parameters: impl AsRef<[u8]>) -> Self {
        self.body.push(b'&');
        self.body.extend_from_slice(parameters.as_ref());
        self
    }

    fn body(self, body: impl Into<Vec<u8>>) -> Self {
        Self { body: body.into(), ..self }
    }

    fn query(mut self, query: &str) -> Self {
        self.path.push_str(query);
        self
    }

    fn header(mut self, name: HeaderName, value: &'static str) -> Self {
        self.headers.retain(|(other, _)| *other != name);
        self.headers.push((name, value));
        self
    }

    fn unauthenticated(self) -> Self {
        Self { is_authenticated: false, ..self }
    }

    async fn send(self, app: &TestApp) -> Response {
        let mut request = app.http.post(app.url(&self.path)).body(self.body);
        for (name, value) in self.headers {
            request = request.header(name, value);
        }
        if self.is_authenticated {
            request = request.basic_auth("caller", Some(secret("caller")));
        }
        request.send().await.unwrap()
    }

    /// Status and error, and what people are told.
    async fn outcome(self, app: &TestApp) -> ((u16, Option<String>), String) {
        let answer = self.send(app).await;
        let status = answer.status().as_u16();
        let body: Value = answer.json().await.unwrap();
        let told = |member: &str| body[member].as_str().map(str::to_owned);
        ((status, told("error")), told("error_description").unwrap_or_default())
    }
}

/// Whether the request is understood.
async fn understood(app: &TestApp, name: &str, endpoint: &Endpoint, ask: Ask) {
    let (outcome, told) = ask.outcome(app).await;
    let expected = (endpoint.answers.0, endpoint.answers.1.map(str::to_owned));
    assert_eq!(outcome, expected, "{}, {name}: {told}", endpoint.path);
}

/// Whether the request is refused so, with all of this in the text for people.
async fn refused(app: &TestApp, name: &str, ask: Ask, status: u16, error: &str, says: &[&str]) {
    let path = ask.path.clone();
    let (outcome, told) = ask.outcome(app).await;
    assert_eq!(outcome, (status, Some(error.to_owned())), "{path}, {name}: {told}");
    assert!(says.iter().all(|word| told.contains(word)), "{path}, {name}: {told}");
    // RFC 6749 section 5.2
    let allowed = |c: char| matches!(c, ' '..='!' | '#'..='[' | ']'..='~');
    assert!(told.chars().all(allowed), "{path}, {name}: {told:?}");
}

/// The media type has no `charset`: what a client says there changes nothing, and the body is UTF-8.
#[actix_web::test]
async fn a_charset_of_the_content_type_says_nothing() {
    let app = app();
    for endpoint in &ENDPOINTS {
        for content_type in [
            "application/x-www-form-urlencoded; charset=ISO-8859-1",
            "application/x-www-form-urlencoded; charset=us-ascii",
            "application/x-www-form-urlencoded; charset=utf8",
            "application/x-www-form-urlencoded; charset=UTF-8",
            "application/x-www-form-urlencoded;charset=windows-1252",
            "application/x-www-form-urlencoded; charset=\"iso-8859-1\"",
            "application/x-www-form-urlencoded; charset=",
            "application/x-www-form-urlencoded; charset=utf-16; q=1",
            "application/x-www-form-urlencoded;",
            "application/x-www-form-urlencoded ; boundary",
            "Application/X-WWW-Form-URLEncoded; Charset=Latin1",
        ] {
            let ask = Ask::at(endpoint).header(header::CONTENT_TYPE, content_type);
            understood(&app, content_type, endpoint, ask).await;
        }
        let in_latin1 = || {
            Ask::at(endpoint)
                .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded; charset=ISO-8859-1")
        };
        for (name, ask) in [
            ("raw bytes of Latin-1", in_latin1().and(b"note=caf\xe9")),
            ("escaped bytes of Latin-1", in_latin1().and("note=caf%E9")),
            ("UTF-16", in_latin1().body(b"\xff\xfet\0o\0k\0e\0n\0".as_slice())),
        ] {
            refused(&app, name, ask, 400, "invalid_request", &["UTF-8"]).await;
        }
        understood(&app, "UTF-8 under another name", endpoint, in_latin1().and("note=caf\u{e9}")).await;
        for content_type in [
            "application/json; charset=UTF-8",
            "text/plain",
            "multipart/form-data; boundary=x",
            "application/x-www-form-urlencodedx",
            "application/x-www-form-urlencoded, text/plain",
            "text/plain, application/x-www-form-urlencoded",
            "x; application/x-www-form-urlencoded",
            "",
        ] {
            let ask = Ask::at(endpoint).header(header::CONTENT_TYPE, content_type);
            refused(&app, content_type, ask, 400, "invalid_request", &[FORM]).await;
        }
    }
}

/// RFC 9110 sections 8.4 and 15.5.16.
#[actix_web::test]
async fn a_content_coding_is_415() {
    let app = app();
    let gzip = b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\x03\x2b\xc9\xcf\x4e\xcd\xb3\xad\x00\x00".as_slice();
    for endpoint in &ENDPOINTS {
        for coding in
            ["gzip", "GZIP", "x-gzip", "deflate", "br", "zstd", "identity, gzip", "gzip,gzip", "new"]
        {
            let coded = || Ask::at(endpoint).header(header::CONTENT_ENCODING, coding).body(gzip);
            refused(&app, coding, coded(), 415, "invalid_request", &["Content-Encoding"]).await;
            let answer = coded().send(&app).await;
            assert_eq!(answer.headers()[header::ACCEPT_ENCODING], "identity", "{coding}");
            assert_eq!(answer.headers()[header::CACHE_CONTROL], "no-store", "{coding}");
        }
        for coding in ["identity", "Identity", "", " , identity"] {
            let ask = Ask::at(endpoint).header(header::CONTENT_ENCODING, coding);
            understood(&app, coding, endpoint, ask).await;
        }
    }
    let token = app.token_of("operator", "jeton").await;
    let request = app.http.post(app.url("/ops/explain")).bearer_auth(token);
    let answer = request.header(header::CONTENT_ENCODING, "gzip").body(gzip).send().await.unwrap();
    assert_eq!(answer.status(), 415);
    assert_eq!(answer.headers()[header::ACCEPT_ENCODING], "identity");
    assert_eq!(answer.headers()[header::CONTENT_TYPE], "application/problem+json");
}

/// What stands in the URL would be ignored, and more be issued than was asked for; and logs keep it.
#[actix_web::test]
async fn no_parameter_stands_in_the_url() {
    let app = app();
    for endpoint in &ENDPOINTS {
        for name in [
            "grant_type",
            "scope",
            "resource",
            "audience",
            "client_id",
            "client_secret",
            "client_assertion",
            "client_assertion_type",
            "refresh_token",
            "subject_token",
            "subject_token_type",
            "requested_token_type",
            "actor_token",
            "actor_token_type",
            "token",
            "token_type_hint",
            "access_token",
        ] {
            let value = Ask::at(endpoint).query(&format!("?{name}=orders%3Aread"));
            refused(&app, name, value, 400, "invalid_request", &[name, "URL"]).await;
            for query in [format!("?{name}"), format!("?x=1&{name}="), format!("?&&{name}=x&{name}=y")] {
                let ask = Ask::at(endpoint).query(&query);
                refused(&app, &query, ask, 400, "invalid_request", &[name]).await;
            }
        }
        let escaped = Ask::at(endpoint).query("?s%63ope=x");
        refused(&app, "escaped", escaped, 400, "invalid_request", &["scope"]).await;
        let both = Ask::at(endpoint).query("?scope=orders%3Aread").and("scope=orders%3Aread");
        refused(&app, "in both places", both, 400, "invalid_request", &["scope"]).await;
        for query in
            ["?", "?trace=1", "?x", "?scopes=x", "?x=scope", "?x=1;scope=2", "?=x", "?%zz=1", "?Scope=x"]
        {
            understood(&app, query, endpoint, Ask::at(endpoint).query(query)).await;
        }
    }
}

/// As frameworks of PHP, Ruby and Node write lists: such a name would be unknown here, and ignored.
#[actix_web::test]
async fn names_of_lists_are_refused() {
    let app = app();
    for endpoint in &ENDPOINTS {
        for parameter in [
            "scope[]=orders:read",
            "scope%5B%5D=orders%3Aread",
            "resource[]=x",
            "anything[]=x",
            "[]=x",
            "scope[]",
            "scope[0]=orders:read",
            "scope[a][b]=x",
            "audience%5B1%5D=x",
        ] {
            let name = parameter.replace("%5B", "[").replace("%5D", "]");
            let says = [name.split('=').next().unwrap()];
            let in_body = Ask::at(endpoint).and(parameter);
            refused(&app, parameter, in_body, 400, "invalid_request", &says).await;
            let in_query = Ask::at(endpoint).query(&format!("?{parameter}"));
            refused(&app, parameter, in_query, 400, "invalid_request", &says).await;
        }
        for parameter in ["x[0]=1", "[x]=1", "x[=1", "x]=1", "x=[]", "scopes[0]=1"] {
            understood(&app, parameter, endpoint, Ask::at(endpoint).and(parameter)).await;
            let in_query = Ask::at(endpoint).query(&format!("?{parameter}"));
            understood(&app, parameter, endpoint, in_query).await;
        }
    }
}

/// RFC 9110 section 15.5.2, whichever way was tried: several programs send credentials only once they were asked.
#[actix_web::test]
async fn every_401_has_a_challenge() {
    let app = app();
    let assertion = "client_assertion=e30.e30.x&client_assertion_type=\
                     urn%3Aietf%3Aparams%3Aoauth%3Aclient-assertion-type%3Ajwt-bearer";
    for endpoint in &ENDPOINTS {
        let bare = || Ask::at(endpoint).unauthenticated();
        for (name, ask) in [
            ("nothing", bare()),
            ("the id alone", bare().and("client_id=caller")),
            ("a wrong secret in the form", bare().and("client_id=caller&client_secret=wrong")),
            ("an unknown client in the form", bare().and("client_id=nobody&client_secret=wrong")),
            ("a bad assertion", bare().and(assertion)),
            ("another scheme", bare().header(header::AUTHORIZATION, "Bearer x")),
            ("no base64", bare().header(header::AUTHORIZATION, "Basic !")),
            ("a wrong secret by Basic", bare().header(header::AUTHORIZATION, "Basic Y2FsbGVyOndyb25n")),
        ] {
            let answer = ask.send(&app).await;
            assert_eq!(answer.status(), 401, "{}, {name}", endpoint.path);
            let challenges: Vec<_> = answer.headers().get_all(header::WWW_AUTHENTICATE).iter().collect();
            assert_eq!(challenges, [CHALLENGE], "{}, {name}", endpoint.path);
            let body: Value = answer.json().await.unwrap();
            assert_eq!(body["error"], "invalid_client", "{}, {name}", endpoint.path);
        }
        let other = Ask::at(endpoint).and("client_secret=x").send(&app).await;
        assert_eq!(other.status(), 400, "{}", endpoint.path);
        assert!(other.headers().get(header::WWW_AUTHENTICATE).is_none(), "{}: not a 401", endpoint.path);
    }
}

#[actix_web::test]
async fn an_unknown_grant_type_is_told_before_authentication() {
    let app = spawn_app();
    let token = &ENDPOINTS[0];
    let bare = |body: &str| Ask::at(token).unauthenticated().body(body);
    for (name, ask) in [
        ("nothing", bare("grant_type=password")),
        ("an id", bare("grant_type=authorization_code&client_id=acme-sync&code=x")),
        ("a wrong secret", bare("grant_type=password&client_id=acme-sync&client_secret=wrong")),
        ("two ways", bare("grant_type=password&client_secret=x&client_assertion=x")),
        ("a bad header", bare("grant_type=password").header(header::AUTHORIZATION, "Basic !")),
        ("another scheme", bare("grant_type=password").header(header::AUTHORIZATION, "Digest x")),
    ] {
        let says = ["client_credentials", "refresh_token", "token-exchange"];
        refused(&app, name, ask, 400, "unsupported_grant_type", &says).await;
    }
    refused(&app, "missing", bare("scope=x"), 400, "invalid_request", &["grant_type is missing"]).await;
    for known in ["client_credentials", "refresh_token"] {
        let ask = bare(&format!("grant_type={known}"));
        refused(&app, known, ask, 401, "invalid_client", &["client_secret_basic"]).await;
    }
}

/// As `curl --data @file` and shells send them: what was sent is shown, with the bytes that nobody sees.
#[actix_web::test]
async fn a_value_with_a_line_break_is_quoted() {
    let app = app();
    let token = &ENDPOINTS[0];
    let exchange = "grant_type=urn%3Aietf%3Aparams%3Aoauth%3Agrant-type%3Atoken-exchange&subject_token=x";
    for (body, error, says) in [
        ("grant_type=client_credentials\r\n", "unsupported_grant_type", "`client_credentials%0D%0A`"),
        ("grant_type=client_credentials\n", "unsupported_grant_type", "`client_credentials%0A`"),
        ("grant_type=client_credentials%0D%0A", "unsupported_grant_type", "`client_credentials%0D%0A`"),
        ("grant_type=client%22%5C", "unsupported_grant_type", "`client%22%5C`"),
        ("grant_type=%C3%A9", "unsupported_grant_type", "`%C3%A9`"),
        ("grant_type=client_credentials&scope=orders:read\r\n", "invalid_scope", "`orders:read%0D%0A`"),
        (
            "grant_type=client_credentials&resource=https://orders.example.com\r\n",
            "invalid_target",
            ".com%0D%0A`",
        ),
        ("grant_type=client_credentials&audience=https://orders.example.com\n", "invalid_target", ".com%0A`"),
        (
            &format!("{exchange}&subject_token_type=urn:ietf:params:oauth:token-type:jwt\r\n"),
            "invalid_request",
            "`urn:ietf:params:oauth:token-type:jwt%0D%0A`",
        ),
        (
            &format!(
                "{exchange}&subject_token_type=urn:ietf:params:oauth:token-type:jwt&requested_token_type=jwt\r\n"
            ),
            "invalid_request",
            "`jwt%0D%0A`",
        ),
    ] {
        refused(&app, body, Ask::at(token).body(body), 400, error, &[says]).await;
    }
    let assertion = "grant_type=client_credentials&client_assertion=x&client_assertion_type=jwt\r\n";
    let ask = Ask::at(token).unauthenticated().body(assertion);
    refused(&app, "client_assertion_type", ask, 400, "invalid_request", &["`jwt%0D%0A`"]).await;
    // what is secret is not
    let secret = "grant_type=client_credentials&client_id=caller&client_secret=hunter2\r\n";
    let (outcome, told) = Ask::at(token).unauthenticated().body(secret).outcome(&app).await;
    assert_eq!((outcome.0, told.as_str()), (401, "client authentication failed"));
    let token = "grant_type=refresh_token&refresh_token=hunter2\r\n";
    let (_, told) = Ask::at(&ENDPOINTS[0]).body(token).outcome(&app).await;
    assert!(!told.contains("hunter2"), "{told}");
    // however long it is, what would do is shown too
    let long = Ask::at(&ENDPOINTS[0]).body(format!("grant_type={}", "\r".repeat(2000)));
    refused(&app, "long", long, 400, "unsupported_grant_type", &["client_credentials", "token-exchange"])
        .await;
}

/// Each parameter is compared with those before it, so there must be few.
#[actix_web::test]
async fn many_parameters_are_refused() {
    let app = spawn_app();
    let body = (0..5_000).map(|n| format!("&p{n}")).collect::<Vec<_>>().concat();
    let request = app.http.post(app.url("/oauth2/token")).basic_auth("acme-sync", Some(secret("acme-sync")));
    let request = request.header("content-type", "application/x-www-form-urlencoded");
    let answer = request.body(body[..16_000].to_owned()).send().await.unwrap();
    assert_eq!(answer.status(), 400);
    let body: Value = answer.json().await.unwrap();
    assert_eq!(body["error"], "invalid_request");
}
