//! Tokens that no platform would sign, or not for this: each is refused both ways alike, and the log says why.
use std::fs;

use jeton_oauth::clock::{Clock, SystemClock};
use jiff::Timestamp;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::support::{
    ORDERS,
    forge::{Forge, base64url, sign_hs256},
    http_client, install_policies,
    platform::{
        AUDIENCE, ID_TOKEN, JWT, JWT_BEARER, JWT_SPIFFE, Platform, as_assertion, as_subject, client, deployer,
    },
    program::Binary,
};

/// A token that is refused, and what the log says.
struct Hostile {
    name: &'static str,
    token: String,
    reason: &'static str,
    /// What else is sent.
    client_id: Option<&'static str>,
}

/// What hostile tokens are made of.
struct Workshop {
    ci: Platform,
    /// Trusted too, for other clients.
    other: Platform,
    /// `enabled: false`.
    off: Platform,
    /// Trusted by nobody.
    stranger: Platform,
    /// `single_use: true`.
    once: Platform,
    now: i64,
}

impl Workshop {
    async fn open() -> Self {
        Self {
            ci: Platform::start().await,
            other: Platform::with("test-only-signing.pem").await,
            off: Platform::start().await,
            stranger: Platform::start().await,
            once: Platform::start().await,
            now: SystemClock.now().as_second(),
        }
    }

    fn policies(&self) -> String {
        let issuer = |name: &str, platform: &Platform, more: &str| {
            platform.issuer_yaml(more).replace("  ci:\n", &format!("  {name}:\n"))
        };
        let issuers = [
            issuer("ci", &self.ci, ""),
            issuer("other", &self.other, ""),
            issuer("off", &self.off, "    enabled: false\n"),
            issuer("once", &self.once, "    single_use: true\n"),
        ];
        let of_repository = |number: u32| format!("{{ repository_id: {{ is: \"{number}\" }} }}");
        let second = |at: i64| Timestamp::from_second(at).unwrap();
        let revoked = format!("    revoked_before: {}\n", second(self.now - 5));
        let ahead = format!("    revoked_before: {}\n", second(self.now + 5000));
        let clients = [
            deployer("deployer", ""),
            client("off", &of_repository(1), "    enabled: false\n"),
            client("revoked", &of_repository(2), &revoked),
            client("ahead", &of_repository(3), &ahead),
            client("taker", &of_repository(4), "")
                .replace("\n        claims:", "\n        claims_from: { branch: branch }\n        claims:"),
            deployer("elsewhere", "").replace("issuer: ci", "issuer: other"),
            deployer("off-issuer", "").replace("issuer: ci", "issuer: off"),
            deployer("once", "").replace("issuer: ci", "issuer: once"),
        ];
        format!("version: 1\nissuers:\n{}clients:\n{}", issuers.concat(), clients.concat())
    }

    fn good(&self) -> Value {
        self.ci.claims(self.now)
    }

    fn with(&self, name: &str, value: impl Into<Value>) -> String {
        let mut claims = self.good();
        claims[name] = value.into();
        self.ci.sign(&claims)
    }

    fn without(&self, name: &str) -> String {
        let mut claims = self.good();
        claims.as_object_mut().unwrap().remove(name);
        self.ci.sign(&claims)
    }

    fn headed(&self, name: &str, value: impl Into<Value>) -> String {
        let mut header = self.ci.header();
        header[name] = value.into();
        self.ci.key.sign(header.to_string(), self.good().to_string())
    }

    /// The claims, with this raw member before the others.
    fn doubled(&self, member: &str) -> String {
        let claims = self.good().to_string();
        self.ci.key.sign(self.ci.header().to_string(), claims.replacen('{', &format!("{{{member},"), 1))
    }

    fn signatures(&self) -> Vec<Hostile> {
        let (ci, good) = (&self.ci, self.good());
        let token = ci.sign(&good);
        let (signed, signature) = token.rsplit_once('.').unwrap();
        let (header, payload) = signed.split_once('.').unwrap();
        let part = |json: Value| base64url(json.to_string());
        let kid = ci.key.kid();
        let by = |key: &Forge, header: Value| key.sign(header.to_string(), good.to_string());
        let foreign = &self.other.key;
        let mut changed = good.clone();
        changed["repository_id"] = "1".into();
        vec![
            row(
                "alg none",
                format!("{}.{payload}.", part(json!({ "alg": "none", "kid": kid }))),
                "none of the issuer's `algorithms`",
            ),
            row(
                "HMAC by the public key",
                sign_hs256(
                    ci.key.public_pem().as_bytes(),
                    &json!({ "alg": "HS256", "kid": kid }).to_string(),
                    &good.to_string(),
                ),
                "none of the issuer's `algorithms`",
            ),
            row(
                "an alg that the issuer does not have",
                self.headed("alg", "RS512"),
                "none of the issuer's `algorithms`",
            ),
            row("PSS", self.headed("alg", "PS256"), "none of the issuer's `algorithms`"),
            row("alg in lower case", self.headed("alg", "rs256"), "none of the issuer's `algorithms`"),
            row("alg is a number", self.headed("alg", 256), "`alg` is not the algorithm"),
            row("no alg", by(&ci.key, json!({ "kid": kid })), "`alg` is not the algorithm"),
            row("a kid of nobody", self.headed("kid", "nobody"), "no key has this `kid`"),
            row("a kid that is a path", self.headed("kid", "../../keys/k.pem"), "no key has this `kid`"),
            row("a kid that is a number", self.headed("kid", 1), "`kid` is a number, not text"),
            row("a kid that is null", self.headed("kid", Value::Null), "`kid` is null, not text"),
            row("a kid that is a list", self.headed("kid", json!([kid])), "`kid` is a list, not text"),
            row("a kid that is an object", self.headed("kid", json!({})), "`kid` is an object, not text"),
            row("a kid that is a boolean", self.headed("kid", true), "`kid` is a boolean, not text"),
            row(
                "another issuer's key by its name",
                by(foreign, json!({ "alg": "RS256", "kid": foreign.kid() })),
                "no key has this `kid`",
            ),
            row(
                "another issuer's key by our name",
                by(foreign, json!({ "alg": "RS256", "kid": kid })),
                "the signature is wrong",
            ),
            row(
                "another issuer's key, unnamed",
                by(foreign, json!({ "alg": "RS256" })),
                "the signature is wrong",
            ),
            row("no signature", format!("{signed}."), "the signature is wrong"),
            row(
                "a signature cut",
                format!("{signed}.{}", &signature[..signature.len() - 6]),
                "the signature is wrong",
            ),
            row(
                "claims changed",
                format!("{header}.{}.{signature}", part(changed)),
                "the signature is wrong",
            ),
            row("a signature with padding", format!("{token}=="), "not base64url"),
            row("the key in the header", self.headed("jwk", foreign.jwk()), "`jwk` is not supported"),
            row("the keys elsewhere", self.headed("jku", self.stranger.jwks_uri()), "`jku` is not supported"),
            row("a certificate elsewhere", self.headed("x5u", self.stranger.iss()), "`x5u` is not supported"),
            row("crit", self.headed("crit", json!(["exp"])), "`crit` is not supported"),
            row("b64", self.headed("b64", false), "`b64` is not supported"),
            row("zip", self.headed("zip", "DEF"), "`zip` is not supported"),
            row("enc", self.headed("enc", "A128GCM"), "`enc` is not supported"),
            row("an access token's typ", self.headed("typ", "at+jwt"), "`typ` is that of another kind"),
            row("in full", self.headed("typ", "application/AT+JWT"), "`typ` is that of another kind"),
            row("a refresh token's", self.headed("typ", "rt+jwt"), "`typ` is that of another kind"),
            row("a proof's", self.headed("typ", "dpop+jwt"), "`typ` is that of another kind"),
            row("a logout's", self.headed("typ", "logout+jwt"), "`typ` is that of another kind"),
            row("typ is a number", self.headed("typ", 1), "`typ` is not supported"),
        ]
    }

    fn forms(&self) -> Vec<Hostile> {
        let token = self.ci.sign(&self.good());
        vec![
            row("no token", "x".to_owned(), "three parts"),
            row("five parts", format!("{token}.AA.AA"), "three parts"),
            row("spaces around", format!(" {token}"), "not base64url"),
            row("over 8 KiB", self.with("pad", "x".repeat(8192)), "longer than 8 KiB"),
            row("a member twice", self.doubled(r#""repository_id":"1""#), "each name once"),
            row("in other spelling", self.doubled(r#""repository\u005fid":"1""#), "each name once"),
            row("a member within twice", self.doubled(r#""x":{"a":1,"a":2}"#), "each name once"),
            row(
                "a header member twice",
                self.ci.key.sign(r#"{"alg":"RS256","alg":"none"}"#, self.good().to_string()),
                "each name once",
            ),
            row(
                "a list of claims",
                self.ci.key.sign(self.ci.header().to_string(), json!([self.good()]).to_string()),
                "each name once",
            ),
            row("no iss", self.without("iss"), "`iss` is missing"),
            row("a list of iss", self.with("iss", json!([self.ci.iss()])), "`iss` has the wrong type"),
            row("iss with a slash", self.with("iss", format!("{}/", self.ci.iss())), "no issuer"),
            row("iss in capitals", self.with("iss", self.ci.iss().to_uppercase()), "no issuer"),
            row(
                "iss by another name",
                self.with("iss", self.ci.iss().replace("127.0.0.1", "localhost")),
                "no issuer",
            ),
            row("an issuer that nobody trusts", self.stranger.good(self.now), "no issuer"),
            row("an issuer that is disabled", self.off.good(self.now), "the issuer is disabled"),
            row("another issuer's iss", self.with("iss", self.other.iss()), "no key has this `kid`"),
        ]
    }

    fn claims(&self) -> Vec<Hostile> {
        let (now, lists) = (self.now, |list: &[&str]| json!(list));
        let mut short = self.good();
        (short["iat"], short["exp"]) = ((now + 20).into(), (now + 10).into());
        let bound = |cnf: Value| self.with("cnf", cnf);
        let hash = "0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I";
        vec![
            row(
                "bound to a key that nobody shows",
                bound(json!({ "jkt": hash })),
                "it is bound to a key (`cnf.jkt`), and the request has no DPoP proof by this key",
            ),
            row(
                "bound to a certificate that nobody shows",
                bound(json!({ "x5t#S256": hash })),
                "it is bound to a certificate (`cnf[\"x5t#S256\"]`), and the connection does not have it",
            ),
            row(
                "bound to what nobody knows",
                bound(json!({ "kid": "\u{202e}" })),
                "it is bound in a way that jeton cannot check: `cnf` is {\"kid\":\"\\u{202e}\"}",
            ),
            row("no binding, but a member for it", bound(Value::Null), "`cnf` is null"),
            row("no aud", self.without("aud"), "`aud` is missing"),
            row(
                "another aud",
                self.with("aud", "https://other.example.com"),
                "and not the issuer's `audience`",
            ),
            row(
                "aud with a slash",
                self.with("aud", format!("{AUDIENCE}/")),
                "and not the issuer's `audience`",
            ),
            row(
                "aud in capitals",
                self.with("aud", AUDIENCE.to_uppercase()),
                "and not the issuer's `audience`",
            ),
            row("aud begun", self.with("aud", "https://jeton.example"), "and not the issuer's `audience`"),
            row(
                "a list of two",
                self.with("aud", lists(&[AUDIENCE, "https://other.example.com"])),
                "and not the issuer's `audience`",
            ),
            row(
                "twice the same",
                self.with("aud", lists(&[AUDIENCE, AUDIENCE])),
                "and not the issuer's `audience`",
            ),
            row("a list of none", self.with("aud", lists(&[])), "and not the issuer's `audience`"),
            row("a list in a list", self.with("aud", json!([[AUDIENCE]])), "and not the issuer's `audience`"),
            row("aud is null", self.with("aud", Value::Null), "and not the issuer's `audience`"),
            row(
                "the issuer as aud",
                self.with("aud", "http://127.0.0.1:8080"),
                "and not the issuer's `audience`",
            ),
            row("no exp", self.without("exp"), "`exp` is missing"),
            row("exp is text", self.with("exp", (now + 300).to_string()), "`exp` has the wrong type"),
            row("exp is null", self.with("exp", Value::Null), "`exp` has the wrong type"),
            row("exp is negative", self.with("exp", -1), "`exp` has the wrong type"),
            row("expired", self.with("exp", now - 40), "it has expired"),
            row("no iat", self.without("iat"), "`iat` is missing"),
            row("iat is text", self.with("iat", "now"), "`iat` has the wrong type"),
            row("iat ahead", self.with("iat", now + 120), "it is not valid yet"),
            row("nbf ahead", self.with("nbf", now + 120), "it is not valid yet"),
            row("nbf is text", self.with("nbf", "now"), "`nbf` has the wrong type"),
            row("exp before iat", self.ci.sign(&short), "`exp` is not after `iat`"),
            row("a year", self.with("exp", now + 31_536_000), "`max_lifetime` is 90000 s"),
            row("a second too long", self.with("exp", now + 90_001), "it lives 90001 s"),
            row("for ever", self.with("exp", 1e300), "`max_lifetime`"),
            row("issued in 1970", self.with("iat", 0), "`max_lifetime`"),
            row("jti is a number", self.with("jti", 1), "`jti` has the wrong type"),
            row("jti is empty", self.with("jti", ""), "`jti` has the wrong type"),
        ]
    }

    fn clients(&self) -> Vec<Hostile> {
        let of = |id: &str| self.with("repository_id", id);
        let mut unnamed = self.once.claims(self.now);
        unnamed.as_object_mut().unwrap().remove("jti");
        let null = |value: Value| {
            let mut claims = self.good();
            (claims["repository_id"], claims["branch"]) = ("4".into(), value);
            self.ci.sign(&claims)
        };
        let good = || self.ci.good(self.now);
        vec![
            row("another repository", of("999"), "it stands for no client"),
            row(
                "a number in the place of text",
                self.with("repository_id", 456_789),
                "it stands for no client",
            ),
            row(
                "a list in the place of text",
                self.with("repository_id", json!(["456789"])),
                "it stands for no client",
            ),
            row("without what is asked for", self.without("ref"), "it stands for no client"),
            row("another branch", self.with("ref", "refs/heads/mainx"), "it stands for no client"),
            row("a disabled client", of("1"), "disabled client"),
            row(
                "issued before a revocation",
                self.with_iat_before("2"),
                "before the client's `revoked_before`",
            ),
            row("before a revocation to come", of("3"), "`revoked_before` is in the future"),
            row("without a claim to take over", of("4"), "it stands for no client"),
            row("with null for it", null(Value::Null), "it stands for no client"),
            row("with an object for it", null(json!({ "a": 1 })), "it stands for no client"),
            Hostile {
                client_id: Some("elsewhere"),
                ..row("as another client", good(), "`client_id` is not")
            },
            Hostile { client_id: Some("nobody"), ..row("as nobody", good(), "`client_id` is not") },
            Hostile { client_id: Some("DEPLOYER"), ..row("in capitals", good(), "`client_id` is not") },
            row("single use without jti", self.once.sign(&unnamed), "`jti` is missing"),
        ]
    }

    fn with_iat_before(&self, repository: &str) -> String {
        let mut claims = self.good();
        (claims["repository_id"], claims["iat"]) = (repository.into(), (self.now - 6).into());
        self.ci.sign(&claims)
    }
}

fn row(name: &'static str, token: String, reason: &'static str) -> Hostile {
    Hostile { name, token, reason, client_id: None }
}

async fn serve(workshop: &Workshop) -> Binary {
    let dir = TempDir::new().unwrap();
    install_policies(&dir.path().join("policies"));
    fs::write(dir.path().join("policies/federated.yaml"), workshop.policies()).unwrap();
    let mut server = Binary::serve_in(dir, "[limits]\nfailures = \"off\"\n").await;
    for _ in ["ci", "other", "once"] {
        server.logged("issuer_keys.fetched").await;
    }
    server
}

/// What is answered to a form.
async fn post(server: &Binary, form: &[(&str, &str)]) -> (u16, Value) {
    let answer = http_client().post(format!("http://{}/oauth2/token", server.address)).form(form);
    let answer = answer.send().await.unwrap();
    let status = answer.status().as_u16();
    (status, answer.json().await.unwrap())
}

#[actix_web::test]
async fn each_is_refused_both_ways_alike_and_the_log_says_why() {
    let workshop = Workshop::open().await;
    let mut server = serve(&workshop).await;
    let rows = [workshop.signatures(), workshop.forms(), workshop.claims(), workshop.clients()]
        .into_iter()
        .flatten();
    let (mut count, mut logged) = (0, 0);
    for Hostile { name, token, reason, client_id } in rows {
        let ways = [
            (as_assertion(JWT_SPIFFE, &token), 401, "invalid_client", "client authentication failed"),
            (as_subject(JWT, &token), 400, "invalid_request", "the subject token is not valid"),
            (as_subject(ID_TOKEN, &token), 400, "invalid_request", "the subject token is not valid"),
        ];
        for (mut form, status, error, description) in ways {
            form.extend(client_id.map(|id| ("client_id", id)));
            let answered = post(&server, &form).await;
            let expected = (status, json!({ "error": error, "error_description": description }));
            assert_eq!(answered, expected, "{name}");
            server.logged("token.refused").await;
            let lines = server.lines_of("federation.refused");
            assert_eq!(lines.len(), logged + 1, "{name}");
            logged += 1;
            let line = lines[logged - 1];
            assert!(line["reason"].as_str().unwrap().contains(reason), "{name}: {line}");
            assert_eq!(line["level"], "WARN", "{name}");
        }
        let mut form = as_assertion(JWT_BEARER, &token);
        form.extend(client_id.map(|id| ("client_id", id)));
        let (status, body) = post(&server, &form).await;
        assert_eq!((status, body["error"].as_str()), (401, Some("invalid_client")), "{name}: {body}");
        server.logged("token.refused").await;
        logged = server.lines_of("federation.refused").len();
        count += 1;
    }
    assert!(count >= 40, "{count}");
    assert!(workshop.stranger.server.requests().is_empty(), "nothing is fetched from whom nobody trusts");
    assert!(workshop.off.server.requests().is_empty(), "nothing is fetched from whom is disabled");
    // what all were made from
    let token = workshop.ci.good(workshop.now);
    assert_eq!(post(&server, &as_assertion(JWT_BEARER, &token)).await.0, 200);
    assert_eq!(post(&server, &as_subject(JWT, &token)).await.0, 200);
}

#[actix_web::test]
async fn the_log_names_the_nearest_client_and_each_condition_that_differs() {
    let workshop = Workshop::open().await;
    let mut server = serve(&workshop).await;
    let mut claims = workshop.good();
    claims["ref"] = "refs/heads/\u{202e}evil\n::set-output::".into();
    claims["repository_id"] = "456788".into();
    let token = workshop.ci.sign(&claims);
    assert_eq!(post(&server, &as_assertion(JWT_BEARER, &token)).await.0, 401);
    let line = server.logged("federation.refused").await;
    assert_eq!(line["issuer"], "ci");
    let differs = line["differs"].as_str().unwrap();
    let nearest = line["client"].as_str().unwrap();
    assert!(!nearest.is_empty() && differs.contains("456788"), "{line}");
    assert!(!differs.contains('\u{202e}') && !differs.contains('\n'), "{line}");
    let refused = server.logged("token.refused").await;
    assert_eq!(refused["reason"], "invalid_client");
    // `iss` is anybody's text
    let long = format!("https://{}.example/\u{202e}", "x".repeat(3000));
    let token = workshop.with("iss", long);
    assert_eq!(post(&server, &as_assertion(JWT_SPIFFE, &token)).await.0, 401);
    let line = server.logged("federation.refused").await;
    let shown = line["iss"].as_str().unwrap();
    assert!(shown.len() < 2100 && shown.ends_with('…') && line.get("issuer").is_none(), "{line}");
    // a long value is cut
    let token = workshop.with("repository_id", "y".repeat(4000));
    assert_eq!(post(&server, &as_assertion(JWT_BEARER, &token)).await.0, 401);
    let line = server.logged("federation.refused").await;
    assert!(line["differs"].as_str().unwrap().len() < 2100, "{line}");
    let refused = server.logged("token.refused").await;
    assert!(refused["detail"].as_str().unwrap().len() < 200, "{refused}");
}

#[actix_web::test]
async fn the_log_names_the_foreign_token_that_was_shown() {
    let workshop = Workshop::open().await;
    let mut server = serve(&workshop).await;
    let with = |sub: Value, jti: Value| {
        let mut claims = workshop.good();
        for (name, value) in [("sub", sub), ("jti", jti)] {
            match value {
                Value::Null => drop(claims.as_object_mut().unwrap().remove(name)),
                value => claims[name] = value,
            }
        }
        workshop.ci.sign(&claims)
    };
    let long = format!("{}{}", "s".repeat(500), "t".repeat(500));
    let cut = format!("{}…{} (1000 characters)", "s".repeat(99), "t".repeat(99));
    for (name, sub, jti, foreign_sub, foreign_jti) in [
        ("both", json!("repo:a/b"), json!("one"), json!("repo:a/b"), json!("one")),
        ("neither", Value::Null, Value::Null, Value::Null, Value::Null),
        (
            "hidden characters",
            json!("a\u{202e}b\nc"),
            json!("\u{1b}[2J"),
            json!("a\\u{202e}b\\nc"),
            json!("\\u{1b}[2J"),
        ),
        ("long", json!(long.clone()), json!(long.clone()), json!(cut.clone()), json!(cut.clone())),
        ("no text", json!(7), json!("one"), json!("7"), json!("one")),
    ] {
        let token = with(sub, jti);
        for form in
            [as_assertion(JWT_BEARER, &token), as_assertion(JWT_SPIFFE, &token), as_subject(JWT, &token)]
        {
            assert_eq!(post(&server, &form).await.0, 200, "{name}");
            let line = server.logged("token.issued").await;
            assert_eq!(
                (&line["issuer"], &line["client"]),
                (&json!("ci"), &json!("deployer")),
                "{name}: {line}"
            );
            assert_eq!(
                (&line["foreign_sub"], &line["foreign_jti"]),
                (&foreign_sub, &foreign_jti),
                "{name}: {line}"
            );
            assert_ne!(line["jti"], line["foreign_jti"], "{name}");
        }
    }
    // a client with a secret shows no such token
    let form = [
        ("grant_type", "client_credentials"),
        ("client_id", "acme-sync"),
        ("client_secret", "demo-secret-of-acme-sync"),
    ];
    let form: Vec<_> = form.into_iter().chain([("resource", ORDERS)]).collect();
    assert_eq!(post(&server, &form).await.0, 200);
    let line = server.logged("token.issued").await;
    assert!(["issuer", "foreign_sub", "foreign_jti"].iter().all(|name| line.get(name).is_none()), "{line}");
}

#[actix_web::test]
async fn a_token_for_single_use_is_taken_once_whichever_way_and_client() {
    let workshop = Workshop::open().await;
    let mut server = serve(&workshop).await;
    for (first, second) in [(JWT_BEARER, None), (JWT_SPIFFE, Some(JWT)), (JWT_BEARER, Some(ID_TOKEN))] {
        let mut claims = workshop.once.claims(workshop.now);
        claims["jti"] = format!("{first}{second:?}").into();
        let token = workshop.once.sign(&claims);
        // who names another client uses nothing up
        let mut as_another = as_assertion(first, &token);
        as_another.push(("client_id", "deployer"));
        assert_eq!(post(&server, &as_another).await.0, 401);
        server.logged("federation.refused").await;
        assert_eq!(post(&server, &as_assertion(first, &token)).await.0, 200);
        let form = second.map_or_else(|| as_assertion(first, &token), |kind| as_subject(kind, &token));
        let status = post(&server, &form).await.0;
        assert_eq!(status, if second.is_some() { 400 } else { 401 });
        let line = server.logged("federation.refused").await;
        assert!(line["reason"].as_str().unwrap().starts_with("it was used before"), "{line}");
    }
    // another issuer's `jti` is another one, and without `single_use` it is of no interest
    let mut claims = workshop.good();
    claims["jti"] = "the same".into();
    let token = workshop.ci.sign(&claims);
    for _ in 0..2 {
        assert_eq!(post(&server, &as_assertion(JWT_BEARER, &token)).await.0, 200);
    }
}
