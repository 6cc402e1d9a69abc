//! The service and `clients match` judge a token of another issuer alike, with and without its signature.
use std::fs;

use jeton_oauth::clock::{Clock, SystemClock};
use jiff::Timestamp;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::{
    binary::Workplace,
    support::{
        forge::Forge,
        http_client, install_policies,
        platform::{AUDIENCE, JWT_BEARER, as_assertion, client, deployer},
        program::Binary,
    },
};

const CI: &str = "https://ci.example.com";
const ONCE: &str = "https://once.example.com";

/// Who takes a token.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Taken {
    Yes,
    No,
    /// By `--unverified` alone, which does not look at `exp` and the signature.
    Unverified,
}

/// A good token with some changes.
struct Row {
    name: &'static str,
    header: Value,
    claims: Value,
    taken: Taken,
    /// What `--unverified` says.
    said: &'static str,
}

/// Policies with two issuers of one key, of which the second has `single_use`.
fn policies(now: i64) -> String {
    let issuer = |name: &str, iss: &str, more: &str| {
        format!(
            "  {name}:\n    issuer: {iss}\n    audience: {AUDIENCE}\n    keys: {{ file: ci.jwks }}\n    max_lifetime: 10m\n{more}"
        )
    };
    let of_repository = |number: u32| format!("{{ repository_id: {{ is: \"{number}\" }} }}");
    let revoked = |at: i64| format!("    revoked_before: {}\n", Timestamp::from_second(at).unwrap());
    let clients = [
        deployer("deployer", ""),
        deployer("once", "").replace("issuer: ci", "issuer: once"),
        client("off", &of_repository(1), "    enabled: false\n"),
        client("revoked", &of_repository(2), &revoked(now - 60)),
        client("ahead", &of_repository(3), &revoked(now + 5000)),
    ];
    let issuers = [issuer("ci", CI, ""), issuer("once", ONCE, "    single_use: true\n")];
    format!("version: 1\nissuers:\n{}clients:\n{}", issuers.concat(), clients.concat())
}

fn claims(name: &'static str, changes: Value, taken: Taken, said: &'static str) -> Row {
    Row { name, header: json!({}), claims: changes, taken, said }
}

fn header(name: &'static str, changes: Value, taken: Taken, said: &'static str) -> Row {
    Row { name, header: changes, claims: json!({}), taken, said }
}

/// An object with these members instead.
fn with(mut object: Value, changes: Value) -> Value {
    let Value::Object(changes) = changes else { panic!("no object: {changes}") };
    for (name, value) in changes {
        object[name] = value;
    }
    object
}

fn seconds(whole: i64, fraction: &str) -> Value {
    serde_json::from_str(&format!("{whole}.{fraction}")).unwrap()
}

const DEPLOYED: &str = "client: deployer\n";

fn times(now: i64) -> Vec<Row> {
    vec![
        claims("a good one", json!({}), Taken::Yes, DEPLOYED),
        claims("for single use", json!({ "iss": ONCE }), Taken::Yes, "client: once\n"),
        claims(
            "fractions",
            json!({ "iat": seconds(now, "25"), "exp": seconds(now, "75") }),
            Taken::Yes,
            DEPLOYED,
        ),
        claims("the longest", json!({ "exp": now + 600 }), Taken::Yes, DEPLOYED),
        claims("a fraction longer", json!({ "exp": seconds(now + 600, "5") }), Taken::No, "it lives 600.5 s"),
        claims(
            "a fraction longer at its start",
            json!({ "iat": seconds(now - 1, "5"), "exp": now + 600 }),
            Taken::No,
            "it lives 600.5 s",
        ),
        claims(
            "the same fraction twice",
            json!({ "iat": seconds(now - 10, "5"), "exp": seconds(now + 590, "5") }),
            Taken::Yes,
            DEPLOYED,
        ),
        claims(
            "exp before iat",
            json!({ "iat": now + 20, "exp": now + 10 }),
            Taken::No,
            "`exp` is not after `iat`",
        ),
        claims("exp is iat", json!({ "exp": now }), Taken::No, "`exp` is not after `iat`"),
        claims(
            "exp before iat by a fraction",
            json!({ "iat": seconds(now, "5"), "exp": seconds(now, "25") }),
            Taken::No,
            "`exp` is not after `iat`",
        ),
        claims(
            "iat is text",
            json!({ "iat": now.to_string() }),
            Taken::No,
            "the claim `iat` has the wrong type",
        ),
        claims("exp is text", json!({ "exp": "never" }), Taken::No, "the claim `exp` has the wrong type"),
        claims("exp is null", json!({ "exp": null }), Taken::No, "the claim `exp` has the wrong type"),
        claims("iat is negative", json!({ "iat": -0.5 }), Taken::No, "the claim `iat` has the wrong type"),
        claims("nbf is text", json!({ "nbf": "now" }), Taken::No, "the claim `nbf` has the wrong type"),
        claims("nbf ahead", json!({ "nbf": now + 1000 }), Taken::No, "it is not valid yet: `nbf`"),
        claims(
            "iat ahead",
            json!({ "iat": now + 1000, "exp": now + 1300 }),
            Taken::No,
            "it is not valid yet: `iat`",
        ),
        claims("expired", json!({ "iat": now - 500, "exp": now - 100 }), Taken::Unverified, DEPLOYED),
    ]
}

fn forms() -> Vec<Row> {
    vec![
        claims("a numeric jti", json!({ "jti": 7 }), Taken::No, "the claim `jti` has the wrong type"),
        claims(
            "a numeric jti for single use",
            json!({ "iss": ONCE, "jti": 7 }),
            Taken::No,
            "the claim `jti` has the wrong type",
        ),
        claims(
            "an empty jti",
            json!({ "iss": ONCE, "jti": "" }),
            Taken::No,
            "the claim `jti` has the wrong type",
        ),
        claims(
            "two audiences",
            json!({ "aud": [AUDIENCE, "x"] }),
            Taken::No,
            "and not the issuer's `audience`",
        ),
        claims(
            "iss is a number",
            json!({ "iss": 1 }),
            Taken::No,
            "no client: the claim `iss` has the wrong type\n",
        ),
        header(
            "another algorithm",
            json!({ "alg": "RS512" }),
            Taken::No,
            "none of the issuer's `algorithms`",
        ),
        header("another kind", json!({ "typ": "at+jwt" }), Taken::No, "`typ` is that of another kind"),
        header(
            "an extension",
            json!({ "crit": ["exp"] }),
            Taken::No,
            "the header parameter `crit` is not supported",
        ),
        header("a key of nobody", json!({ "kid": "nobody" }), Taken::Unverified, DEPLOYED),
    ]
}

fn clients(now: i64) -> Vec<Row> {
    let revoked = |iat: Value| json!({ "repository_id": "2", "iat": iat });
    vec![
        claims(
            "a disabled client",
            json!({ "repository_id": "1" }),
            Taken::No,
            "client: off\nrefused: disabled client\n",
        ),
        claims(
            "revoked",
            revoked((now - 61).into()),
            Taken::No,
            "refused: it was issued before the client's",
        ),
        claims(
            "revoked by a fraction",
            revoked(seconds(now - 61, "75")),
            Taken::No,
            "refused: it was issued before the client's",
        ),
        claims("at the revocation", revoked((now - 60).into()), Taken::Yes, "client: revoked\n"),
        claims("a fraction after it", revoked(seconds(now - 60, "25")), Taken::Yes, "client: revoked\n"),
        claims(
            "before a revocation to come",
            json!({ "repository_id": "3" }),
            Taken::No,
            "refused: the client's `revoked_before` is in the future\n",
        ),
    ]
}

#[actix_web::test]
async fn the_service_and_the_command_say_the_same_of_each_token() {
    let forge = Forge::with("test-only-other.pem");
    let now = SystemClock.now().as_second();
    let keys = json!({ "keys": [forge.jwk()] }).to_string();
    let workplace = Workplace::sample();
    workplace.write("policies/federated.yaml", &policies(now)).write("policies/ci.jwks", &keys);
    let dir = TempDir::new().unwrap();
    install_policies(&dir.path().join("policies"));
    fs::write(dir.path().join("policies/federated.yaml"), policies(now)).unwrap();
    fs::write(dir.path().join("policies/ci.jwks"), &keys).unwrap();
    let server = Binary::serve_in(dir, "[limits]\nfailures = \"off\"\n").await;
    let good_header = json!({ "typ": "JWT", "alg": "RS256", "kid": forge.kid() });
    let good_claims = json!({
        "iss": CI, "aud": AUDIENCE, "iat": now, "exp": now + 300, "jti": "one", "repository_id": "456789",
        "ref": "refs/heads/main",
    });
    for Row { name, header, claims, taken, said } in [times(now), forms(), clients(now)].into_iter().flatten()
    {
        let (header, claims) = (with(good_header.clone(), header), with(good_claims.clone(), claims));
        let token = forge.sign(header.to_string(), claims.to_string());
        let code = |is_taken| Some(if is_taken { 0 } else { 3 });
        let unverified = workplace.run(&["clients", "match", "--unverified", &token]);
        assert_eq!(unverified.code, code(taken != Taken::No), "{name}: {unverified:?}");
        assert!(unverified.stdout.contains(said), "{name}: {unverified:?}");
        let verified = workplace.run(&["clients", "match", &token]);
        assert_eq!(verified.code, code(taken == Taken::Yes), "{name}: {verified:?}");
        let told = |text: &str| text.lines().filter(|line| line.starts_with("refused: ")).count();
        let more = usize::from(taken == Taken::Unverified);
        assert_eq!(
            told(&verified.stdout),
            told(&unverified.stdout) + more,
            "each fault is said once: {verified:?}"
        );
        let form = as_assertion(JWT_BEARER, &token);
        let answer = http_client().post(format!("http://{}/oauth2/token", server.address)).form(&form);
        let status = answer.send().await.unwrap().status().as_u16();
        assert_eq!(status, if taken == Taken::Yes { 200 } else { 401 }, "{name}");
    }
}

/// Policies with 40 clients, each with twelve conditions, and claims of which none of them has enough.
fn crowded() -> (String, Value) {
    let conditions = |number: usize| -> String {
        let each =
            (0..12).map(|at| format!("claim_{at}: {{ in: [wanted-{number}-{at}, {}] }}", "w".repeat(150)));
        each.collect::<Vec<_>>().join(", ")
    };
    let clients = (0..40).map(|number| {
        let claims = format!("{{ repository_id: {{ is: \"{number}\" }}, {} }}", conditions(number));
        client(&format!("client-{number}"), &claims, "")
    });
    let text = format!(
        "version: 1\nissuers:\n  ci:\n    issuer: {CI}\n    audience: {AUDIENCE}\n    keys: {{ discover: true }}\nclients:\n"
    );
    let mut claims = json!({ "iss": CI, "aud": AUDIENCE, "iat": 1_700_000_000, "exp": 1_700_000_300, "repository_id": "7" });
    for at in 0..12 {
        claims[format!("claim_{at}")] = "f".repeat(220).into();
    }
    (text + &clients.collect::<String>(), claims)
}

/// The rows that a text takes on a screen of 100 columns.
fn height(text: &str) -> usize {
    text.lines().map(|line| line.chars().count().div_ceil(100).max(1)).sum()
}

#[test]
fn a_refused_token_is_told_of_in_one_screen() {
    let (policies, crowd) = crowded();
    let workplace = Workplace::sample();
    workplace.write("policies/federated.yaml", &policies);
    let forge = Forge::with("test-only-other.pem");
    let run = |claims: &Value, more: &[&str]| {
        let token = forge.sign(json!({ "alg": "RS256" }).to_string(), claims.to_string());
        let arguments: Vec<_> =
            ["clients", "match", "--unverified", &token].iter().chain(more).copied().collect();
        workplace.run(&arguments).exits(3).stdout
    };
    let with = |name: &str, value: Value| {
        let mut claims = crowd.clone();
        claims[name] = value;
        claims
    };
    for (name, claims, said) in [
        ("many conditions", crowd.clone(), "\nclient-7\n  claim claim_0 in [wanted-7-0, "),
        ("how many of them are not shown", crowd.clone(), "\n  and 9 more\n"),
        (
            "how many clients are not shown",
            crowd.clone(),
            "\nand 39 more clients of this issuer: `--all` shows them\n",
        ),
        ("a long value", crowd.clone(), "ff…ff"),
        ("its length", crowd.clone(), "f` (222 characters)\n"),
        (
            "a long audience",
            with("aud", "a".repeat(2000).into()),
            "a\" (2002 characters), and not the issuer's",
        ),
        ("a long list of audiences", with("aud", json!(vec!["x"; 500])), "\"x\"] (2001 characters), and not"),
        (
            "a long iss",
            with("iss", format!("https://{}", "i".repeat(2000)).into()),
            "i` (2010 characters) is no issuer",
        ),
        ("nobody's values", with("repository_id", "no".into()), "more clients of this issuer"),
    ] {
        let shown = run(&claims, &[]);
        assert!(height(&shown) <= 24, "{name}: {} rows:\n{shown}", height(&shown));
        assert!(shown.contains(said), "{name}:\n{shown}");
    }
    let all = run(&crowd, &["--all"]);
    assert!(height(&all) > 24 && !all.contains(" more"), "{all}");
    assert_eq!(all.lines().filter(|line| line.starts_with("client-")).count(), 40);
    assert_eq!(all.lines().filter(|line| line.starts_with("  claim ")).count(), 40 * 13 - 1);
    // as many as there is room for
    let few = "version: 1\nissuers:\n  ci:\n    issuer: ISS\n    audience: AUD\n    keys: { discover: true }\nclients:\n";
    let few = few.replace("ISS", CI).replace("AUD", AUDIENCE);
    let clients = |count: usize| -> String {
        let one = |number| {
            client(&format!("client-{number}"), &format!("{{ repository_id: {{ is: \"{number}\" }} }}"), "")
        };
        (0..count).map(one).collect()
    };
    for (count, said) in
        [(10, None), (11, Some("and 1 more client of this issuer")), (5000, Some("and 4990 more clients"))]
    {
        workplace.write("policies/federated.yaml", &format!("{few}{}", clients(count)));
        let shown = run(&with("repository_id", "none".into()), &[]);
        assert!(height(&shown) <= 24, "{count}: {shown}");
        assert_eq!(shown.contains(" more client"), said.is_some(), "{count}: {shown}");
        assert!(shown.contains(said.unwrap_or_default()), "{count}: {shown}");
    }
    // many issuers
    let issuer = |number| {
        format!(
            "  i{number}:\n    issuer: https://i{number}.example.com\n    audience: {AUDIENCE}\n    keys: {{ discover: true }}\n"
        )
    };
    let issuers: String = (0..300).map(issuer).collect();
    workplace.write("policies/federated.yaml", &format!("version: 1\nissuers:\n{issuers}"));
    let shown = run(&with("iss", "https://else.where.test".into()), &[]);
    assert!(height(&shown) <= 24 && shown.contains("and 292 more\n"), "{shown}");
}
