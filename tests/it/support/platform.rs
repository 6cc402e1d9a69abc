//! A platform that signs tokens for its machines: its key, its documents, and the policies that trust it.

use serde_json::{Value, json};

use super::{
    TestApp,
    forge::Forge,
    issuer::{Answer, FakeIssuer},
};

/// The `aud` of a platform's tokens.
pub(crate) const AUDIENCE: &str = "https://jeton.example.com";
/// How a token is shown as an assertion.
pub(crate) const JWT_BEARER: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";
pub(crate) const JWT_SPIFFE: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-spiffe";
/// How a token is shown as a subject token.
pub(crate) const EXCHANGE: &str = "urn:ietf:params:oauth:grant-type:token-exchange";
pub(crate) const JWT: &str = "urn:ietf:params:oauth:token-type:jwt";
pub(crate) const ID_TOKEN: &str = "urn:ietf:params:oauth:token-type:id_token";
pub(crate) const ACCESS_TOKEN: &str = "urn:ietf:params:oauth:token-type:access_token";

/// A platform with a key of the fixtures.
pub(crate) struct Platform {
    pub(crate) server: FakeIssuer,
    pub(crate) key: Forge,
}

impl Platform {
    /// One that publishes its key set, and where it is.
    pub(crate) async fn start() -> Self {
        Self::with("test-only-other.pem").await
    }

    /// The same with another key.
    pub(crate) async fn with(fixture: &str) -> Self {
        let platform = Self { server: FakeIssuer::start().await, key: Forge::with(fixture) };
        platform.publishes(&json!({ "keys": [platform.key.jwk()] }));
        platform.answers_metadata(&json!({ "issuer": platform.iss(), "jwks_uri": platform.jwks_uri() }));
        platform
    }

    /// Its `iss`.
    pub(crate) fn iss(&self) -> String {
        self.server.issuer.to_string()
    }

    pub(crate) fn jwks_uri(&self) -> String {
        format!("{}/keys", self.iss())
    }

    /// Publishes this key set.
    pub(crate) fn publishes(&self, set: &Value) {
        self.server.answers_at("/keys", json_answer(set));
    }

    pub(crate) fn answers_metadata(&self, metadata: &Value) {
        self.server.answers_at("/.well-known/openid-configuration", json_answer(metadata));
    }

    /// How often its key set was asked for.
    pub(crate) fn key_fetches(&self) -> usize {
        self.server.requests().iter().filter(|head| head.starts_with("GET /keys ")).count()
    }

    /// The claims of a good token of repository 456789.
    pub(crate) fn claims(&self, now: i64) -> Value {
        json!({
            "iss": self.iss(), "aud": AUDIENCE, "sub": "repo:octo-org/octo-repo:ref:refs/heads/main",
            "iat": now, "nbf": now, "exp": now + 300, "jti": format!("jti-{now}"), "repository_id": "456789",
            "ref": "refs/heads/main", "repository": "octo-org/octo-repo",
        })
    }

    pub(crate) fn header(&self) -> Value {
        json!({ "typ": "JWT", "alg": "RS256", "kid": self.key.kid() })
    }

    /// A token with these claims, signed by its key.
    pub(crate) fn sign(&self, claims: &Value) -> String {
        self.key.sign(self.header().to_string(), claims.to_string())
    }

    pub(crate) fn good(&self, now: i64) -> String {
        self.sign(&self.claims(now))
    }

    /// `issuers:` with this one, called `ci`, and what else is said of it.
    pub(crate) fn issuer_yaml(&self, more: &str) -> String {
        format!(
            "  ci:\n    issuer: {}\n    audience: {AUDIENCE}\n    keys: {{ discover: true }}\n{more}",
            self.iss()
        )
    }

    /// Policies with this issuer, and the client `deployer` for repository 456789.
    pub(crate) fn policies(&self, more: &str) -> String {
        format!("version: 1\nissuers:\n{}clients:\n{}", self.issuer_yaml(more), deployer("deployer", ""))
    }
}

/// A client for the main branch of repository 456789 at `ci`.
pub(crate) fn deployer(id: &str, more: &str) -> String {
    client(id, r#"{ repository_id: { is: "456789" }, ref: { in: [refs/heads/main] } }"#, more)
}

/// A client whose tokens of `ci` have these claims, and what else is said of it.
pub(crate) fn client(id: &str, claims: &str, more: &str) -> String {
    format!(
        "  {id}:\n    grants: {{ orders: {{ scopes: [orders:read] }}, jeton: {{ scopes: [jeton:principal] }} }}\n    federated:\n      - issuer: ci\n        claims: {claims}\n{more}"
    )
}

pub(crate) fn json_answer(document: &Value) -> Answer {
    Answer::Status(200, "Content-Type: application/json\r\n", document.to_string().into_bytes())
}

/// The form that shows a token as an assertion of this type.
pub(crate) fn as_assertion<'f>(assertion_type: &'f str, token: &'f str) -> Vec<(&'f str, &'f str)> {
    vec![
        ("grant_type", "client_credentials"),
        ("resource", super::ORDERS),
        ("client_assertion_type", assertion_type),
        ("client_assertion", token),
    ]
}

/// The form that shows a token as a subject token of this type.
pub(crate) fn as_subject<'f>(token_type: &'f str, token: &'f str) -> Vec<(&'f str, &'f str)> {
    vec![
        ("grant_type", EXCHANGE),
        ("resource", super::ORDERS),
        ("subject_token_type", token_type),
        ("subject_token", token),
    ]
}

impl TestApp {
    /// `POST /oauth2/token` of a form without any other authentication, and what came.
    pub(crate) async fn post_bare(&self, form: &[(&str, &str)]) -> (u16, Value) {
        let answer = self.http.post(self.url("/oauth2/token")).form(form).send().await.unwrap();
        let status = answer.status().as_u16();
        (status, answer.json().await.unwrap())
    }

    /// Whether a token of a platform gets one of ours.
    pub(crate) async fn takes(&self, token: &str) -> bool {
        let (status, body) = self.post_bare(&as_assertion(JWT_BEARER, token)).await;
        assert!(
            status == 200 || (status, body["error"].as_str()) == (401, Some("invalid_client")),
            "{status} {body}"
        );
        status == 200
    }
}
