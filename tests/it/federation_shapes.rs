//! The tokens of platforms in their true shapes: each gets a token, both ways.
use std::fs;

use serde_json::{Value, json};

use crate::support::{
    Setup,
    forge::decoded,
    issuer::FakeIssuer,
    now,
    platform::{ID_TOKEN, JWT, JWT_BEARER, as_assertion, as_subject, json_answer},
    root,
    signer::Signer,
    spawn_app_with,
};

/// A platform as its fixture says, with an address and a key of its own.
struct Shape {
    name: String,
    fixture: Value,
    server: FakeIssuer,
    key: Signer,
    iss: String,
}

impl Shape {
    async fn of(name: &str, fixture: Value) -> Self {
        let server = FakeIssuer::start().await;
        let written = fixture["claims"]["iss"].as_str().unwrap();
        // `https://host/path/` with the slash at its end
        let path = written.splitn(4, '/').nth(3).map_or(String::new(), |path| format!("/{path}"));
        let iss = format!("{}{path}", server.issuer);
        let key = match fixture["header"]["alg"].as_str().unwrap() {
            "ES256" => Signer::p256(),
            "ES384" => Signer::p384(),
            "RS256" => Signer::rsa(),
            other => panic!("{name}: {other}"),
        };
        let mut jwk = key.jwk();
        jwk["kid"] = fixture["header"]["kid"].clone();
        let base = path.trim_end_matches('/');
        let metadata = json!({ "issuer": iss, "jwks_uri": format!("{}{base}/keys", server.issuer) });
        server.answers_at(&format!("{base}/.well-known/openid-configuration"), json_answer(&metadata));
        server.answers_at(&format!("{base}/keys"), json_answer(&json!({ "keys": [jwk] })));
        Self { name: name.to_owned(), fixture, server, key, iss }
    }

    fn audience(&self) -> &Value {
        let aud = &self.fixture["claims"]["aud"];
        aud.get(0).unwrap_or(aud)
    }

    fn issuer_yaml(&self) -> String {
        let algorithms = self.fixture.get("algorithms").cloned().unwrap_or_else(|| json!(["RS256"]));
        let (name, iss) = (&self.name, &self.iss);
        format!(
            "  {name}:\n    issuer: {iss}\n    audience: {}\n    keys: {{ discover: true }}\n    algorithms: {algorithms}\n",
            self.audience()
        )
    }

    fn client_yaml(&self) -> String {
        let name = &self.name;
        format!(
            "  of-{name}:\n    grants: {{ orders: {{ scopes: [orders:read] }} }}\n    federated: [{{ issuer: {name}, claims: {} }}]\n",
            self.fixture["match"]
        )
    }

    /// The token of the platform, with the claims of this fixture.
    fn token(&self, fixture: &Value) -> String {
        let mut claims = fixture["claims"].clone();
        claims["iss"] = self.iss.clone().into();
        claims["iat"] = now().into();
        for (name, offset) in fixture["offsets"].as_object().unwrap() {
            claims[name] = (now() + offset.as_i64().unwrap()).into();
        }
        self.key.sign(fixture["header"]["alg"].as_str().unwrap(), &fixture["header"], &claims)
    }
}

fn fixture(name: &str) -> Value {
    let path = root().join("tests/fixtures/federation").join(format!("{name}.json"));
    serde_json::from_slice(&fs::read(path).unwrap()).unwrap()
}

#[actix_web::test]
async fn each_platforms_token_gets_one_both_ways_and_the_recycled_name_does_not() {
    let mut names: Vec<_> = fs::read_dir(root().join("tests/fixtures/federation"))
        .unwrap()
        .filter_map(|entry| entry.unwrap().file_name().to_str()?.strip_suffix(".json").map(str::to_owned))
        .filter(|name| name != "shared-issuers")
        .collect();
    names.sort();
    assert!(names.len() >= 12, "{names:?}");
    let mut shapes = Vec::new();
    for name in &names {
        let fixture = fixture(name);
        if !fixture["match"].is_null() {
            shapes.push(Shape::of(name, fixture).await);
        }
    }
    let issuers: String = shapes.iter().map(Shape::issuer_yaml).collect();
    let clients: String = shapes.iter().map(Shape::client_yaml).collect();
    let text = format!("version: 1\nissuers:\n{issuers}clients:\n{clients}");
    let app = spawn_app_with(Setup { policies: vec![("platforms.yaml", text)], ..Setup::default() });
    for shape in &shapes {
        let name = &shape.name;
        let assertion_type = shape.fixture["client_assertion_type"].as_str().unwrap_or(JWT_BEARER);
        let token = shape.token(&shape.fixture);
        for form in [
            as_assertion(JWT_BEARER, &token),
            as_assertion(assertion_type, &token),
            as_subject(JWT, &token),
            as_subject(ID_TOKEN, &token),
        ] {
            let (status, body) = app.post_bare(&form).await;
            assert_eq!(status, 200, "{name}: {body}");
            let (_, claims) = decoded(body["access_token"].as_str().unwrap());
            let id = format!("of-{name}");
            assert_eq!((&claims["sub"], &claims["client_id"]), (&json!(id), &json!(id)), "{name}");
            assert!(body.get("refresh_token").is_none(), "{name}");
        }
        assert!(shape.server.requests().len() <= 3, "{name} was asked {:?}", shape.server.requests());
    }
    let github = shapes.iter().find(|shape| shape.name == "github").unwrap();
    let recycled = github.token(&fixture("github-recycled"));
    let (status, body) = app.post_bare(&as_assertion(JWT_BEARER, &recycled)).await;
    assert_eq!((status, body["error"].as_str()), (401, Some("invalid_client")));
    let (status, body) = app.post_bare(&as_subject(ID_TOKEN, &recycled)).await;
    assert_eq!((status, body["error"].as_str()), (400, Some("invalid_request")));
}
