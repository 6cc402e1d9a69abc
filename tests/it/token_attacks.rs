//! Tokens that jeton never wrote, most of them signed by its own key: none may open anything.

use base64::{
    Engine,
    alphabet::URL_SAFE,
    engine::{GeneralPurpose, general_purpose::NO_PAD},
};
use reqwest::header;
use serde_json::Value;

use crate::support::{
    ISSUER, NOW, ORDERS, TestApp,
    forge::{Draft, Forge, base64url, sign_hs256},
    spawn_app,
};

/// What a forger of these tests has at hand.
struct Bench {
    app: TestApp,
    /// The key of the server.
    own: Forge,
    /// A key that the server does not know.
    other: Forge,
    now: i64,
}

impl Bench {
    fn set_up() -> Self {
        Self {
            app: spawn_app(),
            own: Forge::with_the_servers_key(),
            other: Forge::with("test-only-other.pem"),
            now: NOW.parse::<jiff::Timestamp>().unwrap().as_second(),
        }
    }

    /// What a token of ours says.
    fn good(&self) -> Draft {
        Draft::good(&self.own.kid(), self.now)
    }

    /// A token by the server's key with this header parameter, in raw JSON.
    fn header(&self, name: &str, json: impl Into<String>) -> String {
        self.good().header(name, json).sign(&self.own)
    }

    /// A token by the server's key with this claim, in raw JSON.
    fn claim(&self, name: &str, json: impl Into<String>) -> String {
        self.good().claim(name, json).sign(&self.own)
    }

    /// A good token of this many bytes.
    fn of_length(&self, bytes: usize) -> String {
        let claims = self.good().claim("pad", "\"\"").claims_text();
        let payload = bytes - self.good().sign(&self.own).len() + base64url(self.good().claims_text()).len();
        let pad = "x".repeat(payload * 3 / 4 - claims.len());
        let token = self.claim("pad", format!("\"{pad}\""));
        assert_eq!(token.len(), bytes, "no multiple of three bytes takes just that");
        token
    }

    /// Every row must be accepted. Shows that what the forger writes is not refused for its own sake.
    async fn accepted(&self, rows: &[(&str, String)]) {
        for (name, token) in rows {
            let answer = self.app.get_principal(token).await;
            assert_eq!(answer.status(), 200, "{name}: {token}");
        }
    }

    /// Every row must be refused as RFC 6750 section 3.1 has it, and the bearer must not learn why.
    async fn refused(&self, rows: &[(&str, String)]) {
        self.accepted(&[("the control", self.good().sign(&self.own))]).await;
        for (name, token) in rows {
            let answer = self.app.get_principal(token).await;
            assert_eq!(answer.status(), 401, "{name}: {token}");
            let challenge = answer.headers().get(header::WWW_AUTHENTICATE).map(|it| it.to_str().unwrap());
            let expected =
                r#"Bearer error="invalid_token", error_description="the access token is not valid here""#;
            assert_eq!(challenge, Some(expected), "{name}");
            let body: Value = answer.json().await.unwrap();
            assert_eq!(body["detail"], "the access token is not valid here", "{name}");
        }
    }
}

/// As [`Bench::refused`], for what differs in one value.
fn each<'r>(values: &[&'r str], token: impl Fn(&str) -> String) -> Vec<(&'r str, String)> {
    values.iter().map(|&value| (value, token(value))).collect()
}

/// The same bytes, encoded with something in the bits that belong to none.
fn non_canonical(part: &str) -> String {
    let (front, last) = part.split_at(part.len() - 1);
    let position = URL_SAFE.as_str().find(last).unwrap();
    let other = format!("{front}{}", char::from(URL_SAFE.as_str().as_bytes()[position + 1]));
    let lenient = GeneralPurpose::new(&URL_SAFE, NO_PAD.with_decode_allow_trailing_bits(true));
    assert_eq!(lenient.decode(part).unwrap(), lenient.decode(&other).unwrap(), "{part} has unused bits");
    other
}

#[actix_web::test]
async fn good_forgeries_are_taken() {
    let bench = Bench::set_up();
    let now = bench.now;
    let anonymous = bench.good().header("typ", "\"JWT\"").no_claim("sub").no_claim("client_id");
    let longest = bench.of_length(8 * 1024);
    bench
        .accepted(&[
            ("as it should be", bench.good().sign(&bench.own)),
            ("typ as a media type", bench.header("typ", "\"application/at+jwt\"")),
            ("typ in capitals", bench.header("typ", "\"AT+JWT\"")),
            ("a header parameter that means nothing", bench.header("x", "1")),
            ("an anonymous token", anonymous.sign(&bench.own)),
            ("several audiences", bench.claim("aud", format!(r#"["{ORDERS}","{ISSUER}"]"#))),
            ("expired within the leeway", bench.claim("exp", (now - 29).to_string())),
            ("issued within the leeway", bench.claim("iat", (now + 30).to_string())),
            ("starting within the leeway", bench.claim("nbf", (now + 30).to_string())),
            ("roles", bench.claim("roles", r#"["a","b"]"#)),
            ("a claim that says nothing to jeton", bench.claim("x", r#"{"a":[{"a":1},{"a":2}]}"#)),
            ("8 KiB", longest),
        ])
        .await;
}

#[actix_web::test]
async fn rfc8725_3_1_algorithms() {
    let bench = Bench::set_up();
    let draft = bench.good();
    let unsigned = |algorithm: &str| {
        let header = draft.clone().header("alg", format!("\"{algorithm}\"")).header_text();
        format!("{}.{}", base64url(header), base64url(draft.claims_text()))
    };
    let spellings = ["none", "None", "NONE", "nOnE", "none ", "", "NoNe\\u0000"];
    bench.refused(&each(&spellings, |algorithm| format!("{}.", unsigned(algorithm)))).await;
    bench.refused(&each(&spellings, |algorithm| unsigned(algorithm))).await;
    bench.refused(&each(&spellings, |algorithm| bench.own.sign_encoded(&unsigned(algorithm)))).await;

    let hs256 = draft.clone().header("alg", "\"HS256\"").header_text();
    let pem = bench.own.public_pem();
    let (modulus, kid) = (bench.own.modulus(), bench.own.kid());
    let modulus_text = base64url(modulus);
    let secrets: [(&str, &[u8]); 7] = [
        ("rfc8725_2_1_hs256_with_the_public_pem", pem.as_bytes()),
        ("rfc8725_2_1_hs256_with_the_trimmed_pem", pem.trim_end().as_bytes()),
        ("rfc8725_2_1_hs256_with_the_modulus", modulus),
        ("rfc8725_2_1_hs256_with_the_der_modulus", &[&[0], modulus].concat()),
        ("rfc8725_2_1_hs256_with_the_modulus_as_text", modulus_text.as_bytes()),
        ("rfc8725_2_1_hs256_with_the_kid", kid.as_bytes()),
        ("rfc8725_2_1_hs256_with_nothing", b""),
    ];
    let claims = draft.claims_text();
    let by_hmac = secrets.map(|(name, secret)| (name, sign_hs256(secret, &hs256, &claims)));
    bench.refused(&by_hmac).await;
    let claims_rs256 =
        secrets.map(|(name, secret)| (name, sign_hs256(secret, &draft.header_text(), &claims)));
    bench.refused(&claims_rs256).await;

    let others =
        [r#""HS256""#, r#""RS384""#, r#""RS512""#, r#""PS256""#, r#""ES256""#, r#""EdDSA""#, r#""rs256""#];
    bench.refused(&each(&others, |algorithm| bench.header("alg", algorithm))).await;
    bench.refused(&each(&["null", "256", "true", r#"["RS256"]"#], |json| bench.header("alg", json))).await;
    bench.refused(&[("missing", draft.no_header("alg").sign(&bench.own))]).await;
}

#[actix_web::test]
async fn key_ids() {
    let bench = Bench::set_up();
    let kid = bench.own.kid();
    let rows = [
        "",
        "unknown",
        "../../../../dev/null",
        "/dev/null",
        "test-only-signing.pem",
        "' OR '1'='1",
        "x' UNION SELECT 'key' --",
        "http://127.0.0.1:9/jwks.json",
        "$(id)",
        "*",
        "\\u0000",
        &bench.other.kid(),
        &kid.to_lowercase(),
        &kid[..kid.len() - 1],
        &format!("{kid}\\u0000"),
        &format!("{kid} "),
        &format!("./{kid}"),
    ];
    bench.refused(&each(&rows, |kid| bench.header("kid", format!("\"{kid}\"")))).await;
    let raw = ["null", "0", "true", "{}", &format!(r#"["{kid}"]"#)];
    bench.refused(&each(&raw, |json| bench.header("kid", json))).await;
    bench.refused(&[("missing", bench.good().no_header("kid").sign(&bench.own))]).await;
}

#[actix_web::test]
async fn signatures() {
    let bench = Bench::set_up();
    let draft = bench.good();
    let good = draft.sign(&bench.own);
    let (signed, signature) = good.rsplit_once('.').unwrap();
    let another = draft.clone().claim("jti", "\"another\"").sign(&bench.own);
    let swapped = format!("{signed}.{}", another.rsplit_once('.').unwrap().1);
    let header = base64url(draft.header_text());
    let more = base64url(draft.clone().claim("scope", "\"jeton:ops jeton:principal\"").claims_text());
    let spaced = base64url(format!("{} ", draft.header_text()));
    let flipped = if signature.starts_with('A') { "B" } else { "A" };
    let of_the_other = draft.clone().header("kid", format!("\"{}\"", bench.other.kid()));
    let row = |name, signature: String| (name, format!("{signed}.{signature}"));
    bench
        .refused(&[
            row("stripped", String::new()),
            ("stripped with its dot", signed.to_owned()),
            ("of another token", swapped),
            ("by another key", draft.sign(&bench.other)),
            ("by another key under its own kid", of_the_other.sign(&bench.other)),
            ("by our key under another kid", of_the_other.sign(&bench.own)),
            ("claims exchanged", format!("{header}.{more}.{signature}")),
            ("header exchanged", format!("{spaced}.{}.{signature}", base64url(draft.claims_text()))),
            row("one bit", format!("{flipped}{}", &signature[1..])),
            row("cut", signature[..signature.len() - 4].to_owned()),
            row("longer", format!("{signature}AAAA")),
            row("zeros", base64url([0; 256])),
            row("ones", base64url([0xff; 256])),
            row("the claims", base64url(draft.claims_text())),
            row("rfc7515_2_padded", format!("{signature}==")),
            row("rfc7515_2_not_canonical", non_canonical(signature)),
            row("not base64url", format!("!{}", &signature[1..])),
        ])
        .await;
}

#[actix_web::test]
async fn rfc9068_2_1_and_rfc7515_4_1_headers() {
    let bench = Bench::set_up();
    let own = &bench.own;
    let types = [
        "rt+jwt",
        "application/rt+jwt",
        "statuslist+jwt",
        "client-authentication+jwt",
        "dpop+jwt",
        "id+jwt",
        "jwt-bearer",
        "JOSE",
        "at+jwt ",
        "at",
        "",
        "application/",
        "application/application/at+jwt",
        "text/at+jwt",
    ];
    bench.refused(&each(&types, |typ| bench.header("typ", format!("\"{typ}\"")))).await;
    bench.refused(&each(&["null", "1", r#"["at+jwt"]"#], |json| bench.header("typ", json))).await;
    bench.refused(&[("rfc9068_4_typ_missing", bench.good().no_header("typ").sign(own))]).await;

    let other = &bench.other;
    let jwk = format!(r#"{{"kty":"RSA","e":"AQAB","n":"{}","alg":"RS256"}}"#, base64url(other.modulus()));
    let url = r#""http://127.0.0.1:9/jwks.json""#;
    let parameters = [
        ("rfc7515_4_1_11_crit", "crit", r#"["exp"]"#),
        ("rfc7515_4_1_11_crit_empty", "crit", "[]"),
        ("rfc7515_4_1_11_crit_null", "crit", "null"),
        ("rfc7797_b64", "b64", "false"),
        ("rfc8725_3_10_jku", "jku", url),
        ("rfc8725_3_10_x5u", "x5u", url),
        ("rfc8725_3_10_jwk", "jwk", &jwk),
        ("rfc7797_b64_as_usual", "b64", "true"),
        ("rfc7515_4_1_11_crit_b64", "crit", r#"["b64"]"#),
        ("rfc7516_9_enc_makes_it_no_jws", "enc", r#""A256GCM""#),
        ("rfc7516_4_1_3_zip", "zip", r#""DEF""#),
    ];
    bench.refused(&parameters.map(|(name, parameter, json)| (name, bench.header(parameter, json)))).await;
    let of_the_other = parameters.map(|(name, parameter, json)| {
        (name, bench.good().no_header("kid").header(parameter, json).sign(other))
    });
    bench.refused(&of_the_other).await;

    // what says nothing of the key stays unread, and does not stand for a key
    let ignored = [
        ("rfc7515_4_1_6_x5c", "x5c", r#"["MIIB"]"#),
        ("x5c that is no list", "x5c", "1"),
        ("rfc7515_4_1_7_x5t", "x5t", r#""x""#),
        ("rfc7515_4_1_8_x5t#S256", "x5t#S256", r#""x""#),
        ("rfc7515_4_1_10_cty", "cty", r#""JWT""#),
        ("cty null", "cty", "null"),
        ("rfc7515_4_2_public", "https://example.com/h", r#"{"a":[1]}"#),
        ("rfc7515_4_3_private", "nonce", r#""x""#),
        ("a claim in the header", "iss", r#""https://elsewhere.example""#),
    ];
    bench.accepted(&ignored.map(|(name, parameter, json)| (name, bench.header(parameter, json)))).await;
    let of_the_other = ignored.map(|(name, parameter, json)| {
        (name, bench.good().no_header("kid").header(parameter, json).sign(other))
    });
    bench.refused(&of_the_other).await;
    let by_the_other =
        ignored.map(|(name, parameter, json)| (name, bench.good().header(parameter, json).sign(other)));
    bench.refused(&by_the_other).await;

    let inner = bench.good().sign(own);
    let nested = bench.good().header("cty", r#""JWT""#).header_text();
    bench
        .refused(&[
            ("alg twice", bench.good().also_header("alg", r#""RS256""#).sign(own)),
            ("alg twice, one none", bench.good().also_header("alg", r#""none""#).sign(own)),
            ("alg twice by escape", bench.good().also_header(r"\u0061lg", r#""RS256""#).sign(own)),
            ("kid twice", bench.good().also_header("kid", r#""x""#).sign(own)),
            ("unknown twice", bench.good().also_header("x", "1").also_header("x", "1").sign(own)),
            ("nested twice", bench.header("x", r#"{"a":1,"a":2}"#)),
            ("a token in a token", own.sign(nested, &inner)),
            ("a token in a token, undeclared", own.sign(bench.good().header_text(), inner)),
        ])
        .await;
}

#[actix_web::test]
async fn rfc9068_4_claims() {
    let bench = Bench::set_up();
    let now = bench.now;
    let without = |name: &str| bench.good().no_claim(name).sign(&bench.own);
    let required = ["iss", "aud", "exp", "iat", "jti", "sub", "client_id"];
    bench.refused(&each(&required, without)).await;
    let nothing = bench.good().no_claim("sub").no_claim("client_id").sign(&bench.own);
    let issuers = [
        r#""https://evil.example""#,
        r#""http://127.0.0.1:8080/""#,
        r#""HTTP://127.0.0.1:8080""#,
        r#""http://127.0.0.1:8080.evil.example""#,
        r#""http://127.0.0.1:808""#,
        r#"["http://127.0.0.1:8080"]"#,
        "1",
        "null",
    ];
    bench.refused(&each(&issuers, |json| bench.claim("iss", json))).await;
    let audiences = [
        r#""https://orders.example.com""#,
        r#"["https://orders.example.com"]"#,
        r#""http://127.0.0.1:8080/""#,
        r#""http://127.0.0.1:8080 x""#,
        r#""""#,
        "[]",
        "{}",
        "1",
        "null",
        r#"["http://127.0.0.1:8080",1]"#,
        r#"[["http://127.0.0.1:8080"]]"#,
        r#"{"http://127.0.0.1:8080":1}"#,
    ];
    bench.refused(&each(&audiences, |json| bench.claim("aud", json))).await;
    let late = (now + 300).to_string();
    let dates = [
        format!("\"{late}\""),
        format!("{late}.5"),
        format!("{late}.0"),
        format!("{late}e0"),
        format!("[{late}]"),
        "-1".to_owned(),
        "true".to_owned(),
        "null".to_owned(),
        "99999999999999999999".to_owned(),
        "18446744073709551615".to_owned(),
        "1e300".to_owned(),
        "1e999".to_owned(),
        "NaN".to_owned(),
    ];
    let dates: Vec<_> = dates.iter().map(String::as_str).collect();
    for name in ["exp", "iat", "nbf"] {
        bench.refused(&each(&dates, |json| bench.claim(name, json))).await;
    }
    let not_scopes = [
        "1",
        "null",
        "true",
        r#"["jeton:principal"]"#,
        r#""jeton:principal  jeton:ops""#,
        r#"" jeton:principal""#,
        r#""jeton:principal ""#,
        r#""jeton:principal\tjeton:ops""#,
        r#""jeton:principal\"""#,
        r#""jeton:principal\u0000""#,
    ];
    bench.refused(&each(&not_scopes, |json| bench.claim("scope", json))).await;
    let not_roles = [
        r#""operator""#,
        "1",
        "null",
        "{}",
        r#"{"operator":true}"#,
        "[1]",
        "[null]",
        r#"[""]"#,
        r#"["a b"]"#,
        r#"[["operator"]]"#,
    ];
    bench.refused(&each(&not_roles, |json| bench.claim("roles", json))).await;
    for name in ["jti", "sub", "client_id"] {
        bench.refused(&each(&["1", "null", "[]", "{}", "true"], |json| bench.claim(name, json))).await;
    }
    let anonymous = bench.good().header("typ", "\"JWT\"");
    bench
        .refused(&[
            ("empty jti", bench.claim("jti", "\"\"")),
            ("empty client_id", bench.claim("client_id", "\"\"")),
            ("issued in the future", bench.claim("iat", (now + 31).to_string())),
            ("rfc7519_4_1_5_nbf_in_the_future", bench.claim("nbf", (now + 31).to_string())),
            ("issued and ended in the future", bench.claim("iat", i64::MAX.to_string())),
            ("at+jwt that names nobody", nothing),
            ("JWT that names its client", anonymous.sign(&bench.own)),
            ("JWT with sub", anonymous.clone().no_claim("client_id").sign(&bench.own)),
            ("JWT with client_id", anonymous.no_claim("sub").sign(&bench.own)),
        ])
        .await;
}

#[actix_web::test]
async fn rfc8725_3_1_one_reading_of_the_json() {
    let bench = Bench::set_up();
    let (header, claims) = (bench.good().header_text(), bench.good().claims_text());
    let twice = |name: &str, json: &str| bench.good().also_claim(name, json).sign(&bench.own);
    let as_claims = |text: &str| bench.own.sign(&header, text);
    let as_header = |text: &str| bench.own.sign(text, &claims);
    let padded = |text: &str, to: usize| format!("{text}{}", " ".repeat((to + 3 - text.len() % 3) % 3));
    // one byte over a multiple of three leaves unused bits
    let (header_1, claims_1) = (base64url(padded(&header, 1)), base64url(padded(&claims, 1)));
    let (header_0, claims_0) = (base64url(padded(&header, 0)), base64url(padded(&claims, 0)));
    let encoded = |header: &str, claims: &str| bench.own.sign_encoded(&format!("{header}.{claims}"));
    bench.accepted(&[("padded with spaces", encoded(&header_1, &claims_1))]).await;
    let deep = |open: &str, close: &str, depth: usize| {
        bench.claim("x", format!("{}{}", open.repeat(depth), close.repeat(depth)))
    };
    let not_utf8 = claims.strip_suffix("\"}").unwrap().as_bytes();
    let not_utf8 = bench.own.sign(&header, [not_utf8, b"\xff\"}"].concat());
    bench
        .refused(&[
            ("scope twice", twice("scope", r#""jeton:ops""#)),
            ("exp twice", twice("exp", "4102444800")),
            ("the same claim twice", twice("iss", &format!("\"{ISSUER}\""))),
            ("twice by escape", twice(r"s\u0063ope", r#""jeton:ops""#)),
            ("twice in an own claim", twice("x", r#"{"a":1,"a":2}"#)),
            ("twice within a list", twice("x", r#"[{"a":1},{"a":1,"a":2}]"#)),
            ("text after the claims", as_claims(&format!("{claims}x"))),
            ("claims after the claims", as_claims(&format!("{claims}{claims}"))),
            ("NUL after the claims", as_claims(&format!("{claims}\0"))),
            ("text after the header", as_header(&format!("{header}x"))),
            ("header after the header", as_header(&format!("{header}{header}"))),
            ("byte order mark", as_claims(&format!("\u{feff}{claims}"))),
            ("a comment", as_claims(&claims.replacen('{', "{/**/", 1))),
            ("a comma too many", as_claims(&claims.replacen('}', ",}", 1))),
            ("single quotes", as_claims(&claims.replace('"', "'"))),
            ("not UTF-8", bench.own.sign(&header, [claims.as_bytes(), b"\xff"].concat())),
            ("not UTF-8 in a claim", not_utf8),
            ("half a surrogate pair", bench.claim("x", r#""\ud800""#)),
            ("a control character", bench.claim("x", "\"\u{1}\"")),
            ("claims in a list", as_claims(&format!("[{claims}]"))),
            ("claims as text", as_claims("\"claims\"")),
            ("no claims", as_claims("")),
            ("null for claims", as_claims("null")),
            ("null for the header", as_header("null")),
            ("empty header", as_header("{}")),
            ("empty claims", as_claims("{}")),
            ("lists 2000 deep", deep("[", "]", 2000)),
            ("maps 800 deep", deep(r#"{"a":"#, "}", 800).replace(":}", ":1}")),
            ("rfc7515_2_padded_header", encoded(&format!("{header_1}=="), &claims_0)),
            ("rfc7515_2_padded_claims", encoded(&header_0, &format!("{claims_1}=="))),
            ("rfc7515_2_header_not_canonical", encoded(&non_canonical(&header_1), &claims_0)),
            ("rfc7515_2_claims_not_canonical", encoded(&header_0, &non_canonical(&claims_1))),
            (
                "rfc7515_2_standard_alphabet",
                bench.claim("x", "\"\u{fbff}\u{fbff}???>>>\"").replace('-', "+").replace('_', "/"),
            ),
            ("rfc7515_2_spaces", bench.good().sign(&bench.own).replacen('.', " .", 1)),
            ("a byte over 8 KiB", bench.of_length(8 * 1024 + 1)),
            ("9 KiB", bench.of_length(9 * 1024)),
        ])
        .await;
}

#[actix_web::test]
async fn rfc7515_7_1_three_parts() {
    let bench = Bench::set_up();
    let good = bench.good().sign(&bench.own);
    let parts: Vec<_> = good.split('.').collect();
    let jwe = base64url(r#"{"alg":"RSA-OAEP-256","enc":"A256GCM","typ":"at+jwt"}"#);
    let general = format!(
        r#"{{"payload":"{}","signatures":[{{"protected":"{}","signature":"{}"}}]}}"#,
        parts[1], parts[0], parts[2]
    );
    bench
        .refused(&[
            ("one", "token".to_owned()),
            ("two", format!("{}.{}", parts[0], parts[1])),
            ("four", format!("{good}.")),
            ("four, the first empty", format!(".{good}")),
            ("five, by our key", format!("{good}.{}.{}", parts[1], parts[2])),
            ("rfc7516_7_1_jwe", format!("{jwe}.a2V5.aXY.Y2lwaGVy.dGFn")),
            ("dots", "..".to_owned()),
            ("more dots", "....".to_owned()),
            ("rfc7515_7_2_json", general),
            ("two tokens", format!("{good},{good}")),
            ("a token and a space", format!("{good} {good}")),
            ("quoted", format!("\"{good}\"")),
            ("escaped dots", good.replace('.', "%2E")),
        ])
        .await;
}

#[actix_web::test]
async fn rfc7519_4_1_4_an_end_is_an_end() {
    let bench = Bench::set_up();
    let issued = bench.app.token_of("operator", "jeton").await;
    let rows = [
        ("expired by the leeway", bench.claim("exp", (bench.now - 30).to_string())),
        ("expired long ago", bench.claim("exp", "1")),
        ("never alive", bench.claim("exp", "0")),
    ];
    bench.accepted(&[("an issued token", issued.clone())]).await;
    bench.app.clock.advance(300 + 29);
    bench.accepted(&[("an issued token, in its last second", issued.clone())]).await;
    bench.app.clock.advance(1);
    let expired = ("an issued token, after that", issued);
    for (name, token) in rows.iter().chain([&expired]) {
        let answer = bench.app.get_principal(token).await;
        assert_eq!(answer.status(), 401, "{name}");
        let challenge = answer.headers()[header::WWW_AUTHENTICATE].to_str().unwrap();
        assert!(challenge.starts_with(r#"Bearer error="invalid_token""#), "{name}: {challenge}");
    }
}

#[actix_web::test]
async fn rfc9068_4_a_token_for_another_api() {
    let bench = Bench::set_up();
    let orders = bench.app.token_of("acme-sync", "orders").await;
    bench.refused(&[("a token for the orders", orders)]).await;
}
