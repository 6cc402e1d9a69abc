//! An issuer with metadata, keys and a bundle, of which each answers what a test wants.

use std::{io::Write, sync::Arc};

use flate2::{Compression, write::GzEncoder};
use jeton_oauth::{ApiName, clock::Clock};
use jeton_verify::{Authorizer, BundleSource, PolicySource, ServiceOptions};
use serde_json::{Value, json};

use super::{
    ORDERS,
    forge::{Draft, Forge},
    issuer::{Answer, FakeIssuer, JWKS},
    now,
};

/// The key by which the issuer signs at first.
fn first() -> Forge {
    Forge::with_the_servers_key()
}

fn set(keys: &[Value]) -> Vec<u8> {
    json!({ "keys": keys }).to_string().into_bytes()
}

pub(crate) const METADATA: &str = "/.well-known/oauth-authorization-server";
pub(crate) const BUNDLE: &str = "/policies/orders";
pub(crate) const ORDERS_OF_ACME: &str = "/tenants/acme/orders";
pub(crate) const HOUR: i64 = 3600;
/// What a bundle says of itself on the way.
pub(crate) const HEADERS: &str =
    "Content-Type: application/policies+jwt\r\nETag: \"one\"\r\nCache-Control: max-age=60\r\n";

/// An issuer with metadata, keys and the bundle of the sample's orders API.
pub(crate) struct BundleIssuer {
    pub(crate) issuer: FakeIssuer,
}

impl BundleIssuer {
    pub(crate) async fn start() -> Self {
        let issuer = FakeIssuer::start().await;
        let this = Self { issuer };
        this.says(&this.metadata());
        this.has_keys(&[first().jwk()]);
        this.serves(&this.good());
        this
    }

    pub(crate) fn metadata(&self) -> Value {
        let issuer = self.issuer.issuer.as_str();
        json!({
            "issuer": issuer, "jwks_uri": format!("{issuer}{JWKS}"),
            "jeton_policies_endpoint": format!("{issuer}/policies"),
            "token_endpoint": format!("{issuer}/oauth2/token"),
        })
    }

    pub(crate) fn says(&self, metadata: &Value) {
        self.issuer.answers_at(METADATA, Answer::Status(200, "", metadata.to_string().into_bytes()));
    }

    pub(crate) fn has_keys(&self, keys: &[Value]) {
        self.issuer.answers_at(JWKS, Answer::Status(200, "", set(keys)));
    }

    /// The claims of a good bundle.
    pub(crate) fn good(&self) -> Value {
        let live = self.issuer.policies();
        let policies = live.current();
        let (issuer, now) = (self.issuer.issuer.as_str(), self.issuer.now());
        json!({
            "iss": issuer, "aud": format!("{issuer}{BUNDLE}"), "iat": now, "exp": now + 24 * HOUR,
            "hash": policies.policies.hash().to_string(),
            "policies": policies.policies.bundle(&ApiName::parse("orders").unwrap()).unwrap(),
        })
    }

    /// As [`Self::good`], but whoever reads orders needs another scope; with another hash.
    pub(crate) fn other(&self) -> Value {
        let mut claims = self.good();
        claims["policies"]["apis"]["orders"]["rules"]["read-orders"]["require"] =
            json!({ "scope": "orders:refund" });
        claims["hash"] = "0f".repeat(32).into();
        claims
    }

    pub(crate) fn serves(&self, claims: &Value) {
        self.answers(bundle(&first(), claims));
    }

    pub(crate) fn answers(&self, answer: Answer) {
        self.issuer.answers_at(BUNDLE, answer);
    }

    pub(crate) fn goes_away(&self) {
        for path in [METADATA, JWKS, BUNDLE] {
            self.issuer.answers_at(path, Answer::HangUp);
        }
    }

    pub(crate) fn comes_back(&self) {
        self.says(&self.metadata());
        self.has_keys(&[first().jwk()]);
        self.serves(&self.good());
    }

    pub(crate) fn options(&self) -> ServiceOptions {
        let mut options = ServiceOptions::new(self.issuer.issuer.as_str(), "orders").unwrap();
        options.clock = Arc::clone(&self.issuer.clock) as Arc<dyn Clock>;
        options
    }

    pub(crate) fn service(&self) -> Authorizer {
        self.options().start().unwrap()
    }

    /// How many requests there were to a path.
    pub(crate) fn asked(&self, path: &str) -> usize {
        let heads = self.issuer.requests();
        heads.iter().filter(|head| head.split(' ').nth(1) == Some(path)).count()
    }

    /// The header of a token that may read the orders of ACME.
    pub(crate) fn bearer(&self) -> Vec<u8> {
        header_of(&self.draft())
    }

    /// The same, with a claim `status`.
    pub(crate) fn bearer_with(&self, status: &Value) -> Vec<u8> {
        header_of(&self.draft().claim("status", status.to_string()))
    }

    fn draft(&self) -> Draft {
        let text = |text: &str| json!(text).to_string();
        Draft::good(&first().kid(), now())
            .claim("iss", text(self.issuer.issuer.as_str()))
            .claim("aud", text(ORDERS))
            .claim("iat", self.issuer.now().to_string())
            .claim("exp", (self.issuer.now() + HOUR).to_string())
            .claim("scope", text("orders:read"))
    }

    pub(crate) async fn check(&self, service: &Authorizer, expected: (u16, &str), name: &str) {
        let answer = service.answer("GET", ORDERS_OF_ACME, [&*self.bearer()]).await;
        assert_eq!((answer.status, answer.reason), expected, "{name}");
        let retry = answer.headers.iter().any(|(name, _)| *name == "Retry-After");
        assert_eq!(retry, expected.0 == 503, "{name}");
    }
}

pub(crate) fn bundle_of(service: &Authorizer) -> Arc<BundleSource> {
    let PolicySource::Bundle(bundle) = service.policies() else { panic!("a folder") };
    Arc::clone(bundle)
}

/// The bundle in which a good one is as long as most.
pub(crate) fn bundle(forge: &Forge, claims: &Value) -> Answer {
    Answer::Status(200, HEADERS, signed(forge, "policies+jwt", claims).into_bytes())
}

pub(crate) fn signed(forge: &Forge, typ: &str, claims: &Value) -> String {
    let header = json!({ "typ": typ, "alg": "RS256", "kid": forge.kid() });
    forge.sign(header.to_string(), claims.to_string())
}

pub(crate) fn with(claims: &Value, name: &str, value: impl Into<Value>) -> Value {
    let mut claims = claims.clone();
    claims[name] = value.into();
    claims
}

pub(crate) fn without(claims: &Value, name: &str) -> Value {
    let mut claims = claims.clone();
    claims.as_object_mut().unwrap().remove(name);
    claims
}

pub(crate) fn zipped(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

pub(crate) const ALLOWED: (u16, &str) = (200, "met");
pub(crate) const NO_POLICIES: (u16, &str) = (503, "no-policies");

fn header_of(draft: &Draft) -> Vec<u8> {
    format!("Bearer {}", draft.sign(&first())).into_bytes()
}
