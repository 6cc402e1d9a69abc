//! What is asked of which server.

use std::{
    fs,
    path::{Path, PathBuf},
};

use base64::{Engine, prelude::BASE64_STANDARD};

use crate::{
    Effort, assertion,
    client::{self, ID, SECRET},
    reference,
    servers::{Server, Servers},
};

/// The issuer of a jeton that nobody told another one, which is also the audience of its own API.
const ISSUER: &str = "http://127.0.0.1:8080";
const TOKEN_FORM: &str = "grant_type=client_credentials&resource=https%3A%2F%2Forders.example.com";
const OWN_TOKEN_FORM: &str = "grant_type=client_credentials&resource=http%3A%2F%2F127.0.0.1%3A8080";
const HTTPS_OWN_TOKEN_FORM: &str = "grant_type=client_credentials&resource=https%3A%2F%2F127.0.0.1%3A8080";
/// The peer grants no scope that is not asked for.
const PEER_FORM: &str = "grant_type=client_credentials&resource=https%3A%2F%2Forders.example.com&scope=orders%3Aread%20orders%3Awrite";
/// May who holds what acme-sync's token says read an order of acme?
const CERBOS_QUESTION: &str = r#"{"principal":{"id":"acme-sync","roles":["order-agent"],"attr":{"scopes":["orders:read","orders:write"],"tenant":"acme"}},"resources":[{"resource":{"kind":"orders","id":"42","attr":{"tenant":"acme"}},"actions":["read"]}]}"#;
const ASSERTION_FORM: &str = "grant_type=client_credentials&client_assertion_type=urn%3Aietf%3Aparams%3Aoauth%3Aclient-assertion-type%3Ajwt-bearer&client_assertion=";

#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Bare,
    Token,
    Reuse,
    Assertion,
    Cold,
    Warm,
    Authz,
    Healthz,
    TlsToken,
    TlsWarm,
    TlsHealthz,
    Peer,
    Cerbos,
}

impl Kind {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Bare => "bare actix server that only signs",
            Self::Token => "jeton: token, client secret",
            Self::Reuse => "jeton: token, client secret, reused",
            Self::Assertion => "jeton: token, private_key_jwt",
            Self::Cold => "jeton: /principal, each token once",
            Self::Warm => "jeton: /principal, one token",
            Self::Authz => "jeton: /authz, one token",
            Self::Healthz => "jeton: /healthz",
            Self::TlsToken => "jeton over TLS: token, client secret",
            Self::TlsWarm => "jeton over TLS: /principal, one token",
            Self::TlsHealthz => "jeton over TLS: /healthz",
            Self::Peer => "oidc-provider: token, client secret",
            Self::Cerbos => "Cerbos: one decision",
        }
    }
}

/// One kind of request to one server.
pub(crate) struct Scenario<'a> {
    pub(crate) kind: Kind,
    pub(crate) server: &'a Server,
    pub(crate) path: &'static str,
    /// Whether the client shows its secret, by HTTP Basic.
    with_secret: bool,
    /// Further headers, each `Name: value`.
    headers: Vec<String>,
    pub(crate) body: Body,
}

/// What differs between requests, if anything.
pub(crate) enum Body {
    Nothing,
    Form(&'static str),
    /// The same JSON each time.
    Json(&'static str),
    /// A form in each line of the file.
    Forms(PathBuf),
    /// A token in each line of the file.
    Bearers(PathBuf),
}

pub(crate) fn all<'a>(servers: &'a Servers, dir: &Path) -> Result<Vec<Scenario<'a>>, String> {
    use Kind::{
        Assertion, Authz, Bare, Cerbos, Cold, Healthz, Peer, Reuse, TlsHealthz, TlsToken, TlsWarm, Token,
        Warm,
    };
    let (jeton, tls) = (&servers.jeton, &servers.tls);
    let token = client::tokens(jeton, "/oauth2/token", TOKEN_FORM, 1)?.remove(0);
    let question = ["X-Original-Method: GET", "X-Original-URI: /tenants/acme/orders/42"].map(str::to_owned);
    let question = question.into_iter().chain([format!("Authorization: Bearer {token}")]);
    let scenario = |kind, server, path, body| {
        let with_secret = matches!(kind, Token | Reuse | Peer | TlsToken);
        let headers = if kind == Authz { question.clone().collect() } else { Vec::new() };
        Scenario { kind, server, path, with_secret, headers, body }
    };
    Ok(vec![
        scenario(Bare, &servers.bare, "/", Body::Nothing),
        scenario(Token, jeton, "/oauth2/token", Body::Form(TOKEN_FORM)),
        scenario(Reuse, &servers.reuse, "/oauth2/token", Body::Form(TOKEN_FORM)),
        scenario(Peer, &servers.peer, "/token", Body::Form(PEER_FORM)),
        scenario(Assertion, jeton, "/oauth2/token", Body::Forms(dir.join("assertions"))),
        scenario(Cold, jeton, "/principal", Body::Bearers(dir.join("tokens"))),
        scenario(Warm, jeton, "/principal", Body::Bearers(dir.join("token"))),
        scenario(Authz, jeton, "/authz/edge", Body::Nothing),
        scenario(Healthz, jeton, "/healthz", Body::Nothing),
        scenario(TlsToken, tls, "/oauth2/token", Body::Form(TOKEN_FORM)),
        scenario(TlsWarm, tls, "/principal", Body::Bearers(dir.join("tls-token"))),
        scenario(TlsHealthz, tls, "/healthz", Body::Nothing),
        scenario(Cerbos, &servers.cerbos, "/api/check/resources", Body::Json(CERBOS_QUESTION)),
    ])
}

impl Scenario<'_> {
    /// Checks what the server answers, and writes down what the generator is to send.
    pub(crate) fn prepare(&self, effort: &Effort) -> Result<(), String> {
        match &self.body {
            Body::Nothing if self.kind == Kind::Authz => {
                let answer = client::answer(&self.url(), &self.headers, None)?;
                if answer != (200, String::new()) {
                    return Err(format!("{}: {answer:?}", self.kind.name()));
                }
            }
            Body::Nothing => {}
            Body::Json(json) => {
                let (status, answer) = client::answer(&self.url(), &[], Some(json))?;
                if status != 200 || !answer.contains("\"read\":\"EFFECT_ALLOW\"") {
                    return Err(format!("{}: {status}: {answer}", self.kind.name()));
                }
            }
            Body::Form(form) => {
                let tokens = client::tokens(self.server, self.path, form, 2)?;
                let same = tokens[0] == tokens[1];
                if same != (self.kind == Kind::Reuse) {
                    return Err(format!("{}: the same token twice: {same}", self.kind.name()));
                }
            }
            Body::Forms(file) => write_lines(file, &assertions(self.seconds(effort))),
            Body::Bearers(file) => {
                let form = if self.kind == Kind::TlsWarm { HTTPS_OWN_TOKEN_FORM } else { OWN_TOKEN_FORM };
                let count = if self.kind == Kind::Cold { effort.cold_tokens } else { 1 };
                let tokens = client::tokens(self.server, "/oauth2/token", form, count)?;
                write_lines(file, &tokens);
            }
        }
        Ok(())
    }

    /// How long it is driven; what needs many tokens of its own is the shortest.
    pub(crate) fn seconds(&self, effort: &Effort) -> u64 {
        if self.kind == Kind::Cold { 1 } else { effort.seconds }
    }

    pub(crate) fn url(&self) -> String {
        self.server.url(self.path)
    }

    /// Each `Name: value`, as both generators take it.
    pub(crate) fn headers(&self) -> Vec<String> {
        let credentials = BASE64_STANDARD.encode(format!("{ID}:{SECRET}"));
        let secret = self.with_secret.then(|| format!("Authorization: Basic {credentials}"));
        self.headers.iter().cloned().chain(secret).collect()
    }
}

/// Forms with an assertion each, more than any server with one core can take in that time: it would have to
/// make as many signatures.
fn assertions(seconds: u64) -> Vec<String> {
    let client = reference::key(&reference::fixture("test-only-other.pem"));
    let signature = reference::measure_raw(100).signature;
    let count = (seconds as f64 * 1.3e9 / signature) as usize;
    (0..count)
        .map(|_| format!("{ASSERTION_FORM}{}", assertion::sign(&client, ISSUER, next_number())))
        .collect()
}

/// No assertion may have the name of another.
fn next_number() -> usize {
    use std::sync::atomic::{AtomicUsize, Ordering};
    static NEXT: AtomicUsize = AtomicUsize::new(0);
    NEXT.fetch_add(1, Ordering::Relaxed)
}

fn write_lines(file: &Path, lines: &[String]) {
    fs::write(file, lines.join("\n") + "\n").unwrap();
}
