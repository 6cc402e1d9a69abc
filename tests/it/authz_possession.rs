//! `/authz/NAME` and tokens that only their holder can use: what each kind of gateway hands over, and who passes by it.
use jeton::{
    config::{GatewayApis, GatewaySettings, HostedApi, Settings},
    gateway::{GatewayKind, GatewayName, TrustedPeers},
};
use jeton_oauth::ApiName;
use jeton_verify::{Origin, gateway::HostName};
use rcgen::{CertificateParams, KeyPair};
use ring::digest::{SHA256, digest};
use serde_json::{Value, json};

use crate::support::{
    ORDERS, Setup, TestApp,
    dpop::{ProofDraft, thumbprint},
    forge::{Draft, Forge, base64url},
    now,
    signer::Signer,
    spawn_app_with,
};

const KINDS: [&str; 6] = ["nginx", "caddy", "traefik", "envoy", "haproxy", "service"];
const PATH: &str = "/tenants/acme/orders";
const URL: &str = "https://orders.example.com/tenants/acme/orders";

fn gateway(name: &str, kind: &str, apis: GatewayApis, peers: &str) -> GatewaySettings {
    GatewaySettings {
        name: GatewayName::parse(name).unwrap(),
        kind: GatewayKind::parse(kind).unwrap(),
        apis,
        trusted_peers: TrustedPeers::parse(&[peers.to_owned()]).unwrap(),
        claims: Vec::new(),
    }
}

/// Of each kind: one with an origin, one that knows it by the host, one with neither, and one that may not ask.
fn gateways(settings: &mut Settings) {
    let api = || ApiName::parse("orders").unwrap();
    let one = |origin: Option<&str>| {
        let origin = origin.map(|origin| Origin::parse(origin).unwrap());
        GatewayApis::One { api: api(), origin }
    };
    let hosts = ["orders.example.com", "second.example.com:8443"];
    let hosts = hosts.map(|host| HostedApi::at(HostName::parse(host).unwrap(), api()).unwrap());
    let of_kind = |kind: &str| {
        let origin = one(Some("https://orders.example.com"));
        [
            gateway(kind, kind, origin.clone(), "127.0.0.1"),
            gateway(&format!("hosts-{kind}"), kind, GatewayApis::ByHost(hosts.clone().into()), "127.0.0.1"),
            gateway(&format!("loose-{kind}"), kind, one(None), "127.0.0.1"),
            gateway(&format!("stranger-{kind}"), kind, origin, "192.0.2.1"),
        ]
    };
    settings.gateways = KINDS.into_iter().flat_map(of_kind).collect();
}

/// Where a gateway of a kind says the request that it got.
fn question(kind: &str, name: &str, method: &str, target: &str, host: &str) -> String {
    let names = match kind {
        "envoy" => return format!("{method} /authz/{name}{target} HTTP/1.1\r\nHost: {host}\r\n"),
        "caddy" | "traefik" => ["X-Forwarded-Method", "X-Forwarded-Uri", "X-Forwarded-Host"],
        _ => ["X-Original-Method", "X-Original-URI", "X-Original-Host"],
    };
    let said = names.iter().zip([method, target, host]);
    let said: String = said.flat_map(|(name, it)| [*name, ": ", it, "\r\n"]).collect();
    format!("GET /authz/{name} HTTP/1.1\r\nHost: jeton.internal\r\n{said}")
}

/// A token of `acme-sync` with this `cnf`.
fn token(cnf: Option<Value>) -> String {
    let forge = Forge::with_the_servers_key();
    let draft = Draft::good(&forge.kid(), now())
        .claim("aud", json!(ORDERS).to_string())
        .claim("scope", json!("orders:read").to_string());
    let draft = match cnf {
        Some(cnf) => draft.claim("cnf", cnf.to_string()),
        None => draft,
    };
    draft.sign(&forge)
}

struct Edge {
    app: TestApp,
    key: Signer,
    /// How many proofs were made.
    made: std::cell::Cell<usize>,
}

impl Edge {
    fn start() -> Self {
        let app = spawn_app_with(Setup { settings: gateways, ..Setup::default() });
        Self { app, key: Signer::p256(), made: std::cell::Cell::new(0) }
    }

    fn bound(&self) -> String {
        token(Some(json!({ "jkt": thumbprint(&self.key) })))
    }

    fn proof(&self, token: &str) -> ProofDraft {
        self.made.set(self.made.get() + 1);
        let jti = format!("proof-{}", self.made.get());
        ProofDraft::good(&self.key, "GET", URL, now()).with_token(token).claim("jti", jti)
    }

    /// Status and challenge.
    async fn asked(&self, question: &str, lines: &[String]) -> (u16, String) {
        let lines: String = lines.iter().flat_map(|line| [line, "\r\n"]).collect();
        let connection = if lines.contains("Connection:") { "" } else { "Connection: close\r\n" };
        let answer = self.app.send_raw(format!("{question}{lines}{connection}\r\n")).await;
        let challenge = answer.head.lines().find_map(|line| line.strip_prefix("www-authenticate: "));
        (answer.status, challenge.unwrap_or_default().to_owned())
    }

    /// The answer to a question of this gateway about the orders of acme.
    async fn of(&self, kind: &str, name: &str, lines: &[String]) -> (u16, String) {
        self.asked(&question(kind, name, "GET", PATH, "orders.example.com"), lines).await
    }
}

fn by_dpop(token: &str) -> String {
    format!("Authorization: DPoP {token}")
}

fn by_bearer(token: &str) -> String {
    format!("Authorization: Bearer {token}")
}

fn dpop(proof: impl AsRef<str>) -> String {
    format!("DPoP: {}", proof.as_ref())
}

#[actix_web::test]
async fn rfc_9449_7_1_a_bound_token_passes_each_gateway_with_its_proof() {
    let edge = Edge::start();
    let token = edge.bound();
    for kind in KINDS {
        for name in [kind.to_owned(), format!("hosts-{kind}")] {
            for target in [PATH, "/tenants/acme/orders?page=2"] {
                let question = question(kind, &name, "GET", target, "orders.example.com");
                let proof = edge.proof(&token).sign(&edge.key);
                let answer = edge.asked(&question, &[by_dpop(&token), dpop(&proof)]).await;
                assert_eq!(answer, (200, String::new()), "{name}: {target}");
            }
            // RFC 3986 6.2.2 and 6.2.3
            let other = "HTTPS://Orders.Example.com:443/tenants/%61cme/orders?a#b";
            let proof = edge.proof(&token).claim("htu", other).sign(&edge.key);
            assert_eq!(
                edge.of(kind, &name, &[by_dpop(&token), dpop(&proof)]).await.0,
                200,
                "{name}: {other}"
            );
        }
        let name = format!("hosts-{kind}");
        let at = |host| question(kind, &name, "GET", PATH, host);
        let second = "https://second.example.com:8443/tenants/acme/orders";
        let proof = edge.proof(&token).claim("htu", second).sign(&edge.key);
        let lines = [by_dpop(&token), dpop(&proof)];
        assert_eq!(edge.asked(&at("Second.example.com:8443"), &lines).await.0, 200, "{name}");
        let proof = edge.proof(&token).sign(&edge.key);
        let lines = [by_dpop(&token), dpop(&proof)];
        assert_eq!(
            edge.asked(&at("second.example.com:8443"), &lines).await.0,
            401,
            "{name}: of the other host"
        );
    }
}

#[actix_web::test]
async fn rfc_9449_7_1_a_stolen_token_passes_no_gateway() {
    let edge = Edge::start();
    let (token, loose) = (edge.bound(), token(None));
    let other = Signer::p256();
    for kind in KINDS {
        let good = || edge.proof(&token);
        let signed = |draft: ProofDraft| dpop(draft.sign(&edge.key));
        let elsewhere = "https://elsewhere.example.com/tenants/acme/orders";
        let rows: Vec<(&str, Vec<String>)> = vec![
            ("as Bearer", vec![by_bearer(&token)]),
            ("as Bearer with a proof", vec![by_bearer(&token), signed(good())]),
            ("without a proof", vec![by_dpop(&token)]),
            ("an empty proof", vec![by_dpop(&token), "DPoP:".to_owned()]),
            ("no proof", vec![by_dpop(&token), dpop("a.b.c")]),
            ("two proofs", vec![by_dpop(&token), signed(good()), signed(good())]),
            ("two proofs in one header", vec![by_dpop(&token), format!("{}, a", signed(good()))]),
            ("another key", vec![by_dpop(&token), dpop(good().header("jwk", other.jwk()).sign(&other))]),
            ("another method", vec![by_dpop(&token), signed(good().claim("htm", "POST"))]),
            (
                "another path",
                vec![by_dpop(&token), signed(good().claim("htu", URL.replace("acme", "globex")))],
            ),
            (
                "another scheme",
                vec![by_dpop(&token), signed(good().claim("htu", URL.replace("https", "http")))],
            ),
            ("another host", vec![by_dpop(&token), signed(good().claim("htu", elsewhere))]),
            (
                "a forwarded host",
                vec![
                    by_dpop(&token),
                    signed(good().claim("htu", elsewhere)),
                    "Forwarded: host=elsewhere.example.com;proto=https".to_owned(),
                    "X-Host: elsewhere.example.com".to_owned(),
                ],
            ),
            (
                "the address of the question",
                vec![
                    by_dpop(&token),
                    signed(good().claim("htu", format!("http://jeton.internal/authz/{kind}"))),
                ],
            ),
            ("without `ath`", vec![by_dpop(&token), signed(good().no_claim("ath"))]),
            ("of another token", vec![by_dpop(&token), signed(edge.proof(&loose))]),
            ("an old proof", vec![by_dpop(&token), signed(good().claim("iat", now() - 60))]),
            ("an early proof", vec![by_dpop(&token), signed(good().claim("iat", now() + 60))]),
            ("an unbound token as DPoP", vec![by_dpop(&loose), signed(edge.proof(&loose))]),
        ];
        for name in [kind.to_owned(), format!("hosts-{kind}")] {
            for (what, lines) in &rows {
                let (status, challenge) = edge.of(kind, &name, lines).await;
                assert_eq!(status, 401, "{name}: {what}");
                assert!(challenge.starts_with("DPoP algs=\"ES256 "), "{name}: {what}: {challenge}");
                assert!(challenge.contains("error=\"invalid_token\""), "{name}: {what}: {challenge}");
            }
        }
        // another host than the one that is configured, told by the client in its one header
        let proof = signed(good().claim("htu", elsewhere));
        let at_elsewhere = question(kind, kind, "GET", PATH, "elsewhere.example.com");
        assert_eq!(edge.asked(&at_elsewhere, &[by_dpop(&token), proof]).await.0, 401, "{kind}");
        let both = [by_dpop(&token), by_bearer(&token), signed(good())];
        assert_eq!(edge.of(kind, kind, &both).await.0, 403, "{kind}: two tokens");
        // without an origin nobody knows by which address the client asked
        let loose_gateway = format!("loose-{kind}");
        let (status, challenge) = edge.of(kind, &loose_gateway, &[by_dpop(&token), signed(good())]).await;
        assert_eq!(status, 401, "{loose_gateway}");
        assert!(challenge.starts_with("DPoP "), "{challenge}");
        assert_eq!(edge.of(kind, &loose_gateway, &[by_bearer(&loose)]).await.0, 200, "{loose_gateway}");
        for connection in ["close, DPoP", "close,dpop"] {
            let lines = [by_dpop(&token), signed(good()), format!("Connection: {connection}")];
            assert_eq!(edge.of(kind, kind, &lines).await.0, 403, "{kind}: Connection: {connection}");
        }
    }
}

#[actix_web::test]
async fn rfc_9449_11_1_a_proof_passes_each_gateway_once() {
    let edge = Edge::start();
    let token = edge.bound();
    let proof = edge.proof(&token).sign(&edge.key);
    let lines = [by_dpop(&token), dpop(&proof)];
    // each has a memory of its own, as the service behind it has
    for kind in KINDS {
        assert_eq!(edge.of(kind, kind, &lines).await.0, 200, "{kind}");
        assert_eq!(edge.of(kind, kind, &lines).await.0, 401, "{kind}: again");
        let query = question(kind, kind, "GET", "/tenants/acme/orders?page=2", "orders.example.com");
        assert_eq!(edge.asked(&query, &lines).await.0, 401, "{kind}: with a query");
    }
    // a proof that was refused is not used up
    let proof = edge.proof(&token).sign(&edge.key);
    let other = question("nginx", "nginx", "POST", PATH, "orders.example.com");
    let lines = [by_dpop(&token), dpop(&proof)];
    assert_eq!(edge.asked(&other, &lines).await.0, 401);
    assert_eq!(edge.of("nginx", "nginx", &lines).await.0, 200);
}

fn certificate() -> Vec<u8> {
    let params = CertificateParams::new(vec!["client.example.com".to_owned()]).unwrap();
    params.self_signed(&KeyPair::generate().unwrap()).unwrap().der().to_vec()
}

/// The header in which a gateway of this kind says that its client has shown this certificate.
fn shown(kind: &str, der: &[u8]) -> String {
    use base64::{Engine, prelude::BASE64_STANDARD};
    let base64 = BASE64_STANDARD.encode(der);
    match kind {
        "nginx" => {
            let lines: Vec<&str> =
                base64.as_bytes().chunks(64).map(|line| str::from_utf8(line).unwrap()).collect();
            let escaped = lines.join("%0A").replace('+', "%2B").replace('/', "%2F").replace('=', "%3D");
            format!(
                "X-SSL-Client-Cert: -----BEGIN%20CERTIFICATE-----%0A{escaped}%0A-----END%20CERTIFICATE-----%0A"
            )
        }
        "envoy" => {
            let hash = jeton_policy::clients::CertificateHash::new(
                digest(&SHA256, der).as_ref().try_into().unwrap(),
            );
            format!("X-Forwarded-Client-Cert: Hash={hash}")
        }
        "traefik" => format!("X-Forwarded-Tls-Client-Cert: {base64}"),
        _ => format!("Client-Cert: :{base64}:"),
    }
}

#[actix_web::test]
async fn rfc_8705_3_a_token_passes_each_gateway_with_its_certificate_alone() {
    let edge = Edge::start();
    let (own, other) = (certificate(), certificate());
    let token = token(Some(json!({ "x5t#S256": base64url(digest(&SHA256, &own)) })));
    for kind in KINDS {
        let token = by_bearer(&token);
        for name in [kind.to_owned(), format!("loose-{kind}"), format!("hosts-{kind}")] {
            let answer = edge.of(kind, &name, &[token.clone(), shown(kind, &own)]).await;
            assert_eq!(answer, (200, String::new()), "{name}");
        }
        let without = edge.of(kind, kind, std::slice::from_ref(&token)).await;
        assert_eq!(without.0, 401, "{kind}");
        assert!(without.1.contains("error=\"invalid_token\""), "{kind}: {}", without.1);
        assert_eq!(
            edge.of(kind, kind, &[token.clone(), shown(kind, &other)]).await.0,
            401,
            "{kind}: another"
        );
        // nobody else's header is read
        for foreign in KINDS.map(|foreign| shown(foreign, &own)) {
            if foreign != shown(kind, &own) {
                assert_eq!(
                    edge.of(kind, kind, &[token.clone(), foreign.clone()]).await.0,
                    401,
                    "{kind}: {foreign}"
                );
            }
        }
        let stranger = format!("stranger-{kind}");
        assert_eq!(edge.of(kind, &stranger, &[token.clone(), shown(kind, &own)]).await.0, 403, "{stranger}");
    }
}

#[actix_web::test]
async fn a_certificate_that_is_not_as_its_gateway_writes_it_is_403() {
    let edge = Edge::start();
    let loose = by_bearer(&token(None));
    let der = certificate();
    for kind in KINDS {
        let good = shown(kind, &der);
        assert_eq!(edge.of(kind, kind, &[loose.clone(), good.clone()]).await.0, 200, "{kind}");
        let name = good.split(':').next().unwrap();
        let other_form = shown(if kind == "traefik" { "nginx" } else { "traefik" }, &der);
        let other_form = other_form.split(": ").nth(1).unwrap();
        for (what, lines) in [
            ("twice", vec![good.clone(), good.clone()]),
            ("two that differ", vec![good.clone(), shown(kind, &certificate())]),
            ("empty", vec![format!("{name}:")]),
            ("no certificate", vec![format!("{name}: admin")]),
            ("no DER", vec![shown(kind, b"not a certificate")]),
            ("no text", vec![format!("{name}: \u{e9}")]),
            ("of another form", vec![format!("{name}: {other_form}")]),
            ("cut off", vec![good[..good.len() - 5].to_owned()]),
            ("dropped on the way", vec![good.clone(), format!("Connection: close, {name}")]),
        ] {
            // Envoy says no more of it than its hash
            let expected = if (kind, what) == ("envoy", "no DER") { 200 } else { 403 };
            let lines = [vec![loose.clone()], lines].concat();
            assert_eq!(edge.of(kind, kind, &lines).await.0, expected, "{kind}: {what}");
        }
        // a name that some servers take for it is the client's, and is not read
        let spelled = good.replacen('-', "_", 1);
        assert_eq!(edge.of(kind, kind, &[loose.clone(), spelled]).await.0, 200, "{kind}");
    }
}
