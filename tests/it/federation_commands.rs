//! `clients match`, `clients add --issuer`, and what lists and matrices say of federated clients.
use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use jeton_oauth::clock::{Clock, SystemClock};
use serde_json::{Value, json};

use crate::{
    binary::{Run, Workplace},
    clients_commands::{hex, policies, refused},
    support::{
        forge::Forge,
        issuer::Answer,
        platform::{AUDIENCE, Platform, deployer},
    },
};

const GITHUB: &str = "https://token.actions.githubusercontent.com";

const POLICIES: &str = "version: 1

scopes:
  orders:read: Read orders

apis:
  orders:
    audience: https://orders.example.com
    rules:
      read: { routes: [GET /orders], require: { scope: orders:read } }

issuers:
  github:
    issuer: https://token.actions.githubusercontent.com
    audience: https://tokens.example.com
    keys: { discover: true }
    max_lifetime: 1h
  cluster:
    issuer: https://cluster.example.com
    audience: https://tokens.example.com
    keys: { discover: true }
    single_use: true
  old:
    issuer: https://old.example.com
    audience: https://tokens.example.com
    keys: { discover: true }
    enabled: false
  unused:
    issuer: https://unused.example.com
    audience: https://tokens.example.com
    keys: { discover: true }

clients:
  plain:
    secrets: [{ sha256: SECRET }]
    grants: { orders: { scopes: [orders:read] } }
  deployer:
    secrets: [{ sha256: SECRET }]
    federated:
      - issuer: github
        claims: { repository_id: { is: '456789' }, ref: { in: [refs/heads/main] } }
        claims_from: { repository: repository }
      - issuer: old
        claims: { sub: { is: a } }
    grants: { orders: { scopes: [orders:read] } }
  tester:
    federated:
      - issuer: github
        claims: { repository_id: { is: '456789' }, ref: { is: refs/heads/next }, environment: { is: test } }
    grants: { orders: { scopes: [orders:read] } }
  off:
    enabled: false
    federated:
      - issuer: cluster
        claims: { /kubernetes.io/namespace: { is: off } }
  ended:
    revoked_before: 2025-01-01T00:00:00Z
    federated:
      - issuer: cluster
        claims: { /kubernetes.io/namespace: { is: ended } }
";

fn workplace() -> Workplace {
    let workplace = Workplace::new();
    workplace.write("policies/all.yaml", &POLICIES.replace("SECRET", &hex("x")));
    workplace
}

/// A token that expired long ago, with a signature of nobody.
fn token(claims: &Value) -> String {
    let part = |json: &Value| BASE64_URL_SAFE_NO_PAD.encode(json.to_string());
    let header = json!({ "alg": "RS256", "typ": "JWT", "kid": "one" });
    format!("{}.{}.{}", part(&header), part(claims), BASE64_URL_SAFE_NO_PAD.encode("nobody's"))
}

/// A token of GitHub for the main branch, but for this.
fn github(change: Value) -> Value {
    let claims = json!({
        "iss": GITHUB, "aud": "https://tokens.example.com", "iat": 1_700_000_000, "exp": 1_700_000_300,
        "sub": "repo:acme/shop:ref:refs/heads/main", "repository": "acme/shop", "repository_id": "456789",
        "ref": "refs/heads/main", "jti": "one",
    });
    changed(claims, change)
}

fn changed(claims: Value, change: Value) -> Value {
    let (Value::Object(mut claims), Value::Object(change)) = (claims, change) else { panic!("no claims") };
    for (name, value) in change {
        match value {
            Value::Null => drop(claims.remove(&name)),
            value => drop(claims.insert(name, value)),
        }
    }
    claims.into()
}

fn matched(claims: &Value) -> Run {
    workplace().run(&["clients", "match", "--unverified", &token(claims)])
}

const UNVERIFIED: &str = "not verified: neither the signature nor `exp` was looked at\n";
const ISSUER: &str = "issuer: github (https://token.actions.githubusercontent.com)\n";

#[test]
fn a_token_is_said_to_stand_for_its_client() {
    let run = matched(&github(json!({}))).exits(0);
    let expected = format!("{UNVERIFIED}{ISSUER}client: deployer\ntakes over: repository = \"acme/shop\"\n");
    assert_eq!((run.stdout, run.stderr), (expected.clone(), String::new()));
    // as it is copied from a log, by standard input
    let token = format!("  Bearer {}\n", token(&github(json!({ "aud": ["https://tokens.example.com"] }))));
    let run = workplace().run_with_input(&["clients", "match", "--unverified"], &token).exits(0);
    assert_eq!(run.stdout, expected);
}

#[test]
fn what_differs_is_said_for_each_client_with_both_values() {
    let run = matched(&github(json!({ "ref": "refs/heads/dev" }))).exits(3);
    let expected = format!(
        "{UNVERIFIED}{ISSUER}no client: the nearest first, with what differs\ndeployer\n  claim ref in [refs/heads/main]: it \
         is `refs/heads/dev`\ntester\n  claim ref is `refs/heads/next`: it is `refs/heads/dev`\n  claim environment is \
         `test`: there is no such claim\n"
    );
    assert_eq!((run.stdout, run.stderr), (expected, String::new()));
    // somebody else registered the name
    let run = matched(&github(json!({ "repository_id": "999" }))).exits(3);
    assert!(run.stdout.contains("deployer\n  claim repository_id is `456789`: it is `999`\n"), "{run:?}");
    let run = matched(&github(json!({ "repository": null }))).exits(3);
    let said = "deployer\n  claim repository is taken over as `repository`: there is no such claim\n";
    assert!(run.stdout.contains(said), "{run:?}");
}

#[test]
fn what_keeps_every_token_out_is_said_first() {
    for (change, said) in [
        (
            json!({ "aud": "https://other.example.com" }),
            "`aud` is \"https://other.example.com\", and not the issuer's `audience` `https://tokens.example.com` alone",
        ),
        (
            json!({ "aud": ["https://tokens.example.com", "x"] }),
            "`aud` is [\"https://tokens.example.com\",\"x\"], and not the issuer's `audience`",
        ),
        (json!({ "aud": null }), "the claim `aud` is missing"),
        (
            json!({ "exp": 1_700_010_000 }),
            "from `iat` to `exp` it lives 10000 s, and the issuer's `max_lifetime` is 3600 s",
        ),
        (json!({ "iat": null }), "the claim `iat` is missing"),
    ] {
        let run = matched(&github(change)).exits(3);
        assert!(run.stdout.contains(&format!("refused: {said}")), "{run:?}");
        assert!(run.stdout.contains("client: deployer\n"), "{run:?}");
    }
    let of_cluster = |namespace: &str| {
        github(json!({ "iss": "https://cluster.example.com", "kubernetes.io": { "namespace": namespace } }))
    };
    let run = matched(&changed(of_cluster("off"), json!({ "jti": null }))).exits(3);
    assert!(run.stdout.contains("refused: the claim `jti` is missing\n"), "{run:?}");
    assert!(run.stdout.contains("client: off\nrefused: disabled client\n"), "{run:?}");
    let run = matched(&of_cluster("ended")).exits(3);
    assert!(run.stdout.contains("refused: it was issued before the client's `revoked_before`\n"), "{run:?}");
    let run = matched(&github(json!({ "iss": "https://old.example.com", "sub": "a" }))).exits(3);
    assert!(run.stdout.contains("refused: the issuer is disabled in the policies\n"), "{run:?}");
}

/// It is judged by itself, as whoever holds what it is bound to will show it.
#[test]
fn a_bound_token_is_said_to_count_only_with_what_it_is_bound_to() {
    let hash = "0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I";
    let key = format!("a DPoP proof by the key `{hash}`");
    let certificate = format!("the client certificate with the SHA-256 `{hash}`");
    for (cnf, said) in [
        (json!({ "jkt": hash }), key.clone()),
        (json!({ "x5t#S256": hash, "kid": 1 }), certificate.clone()),
        (json!({ "jkt": hash, "x5t#S256": hash }), format!("{key}, and {certificate}")),
    ] {
        let run = matched(&github(json!({ "cnf": cnf }))).exits(0);
        let said = format!("{ISSUER}bound: it counts only with {said}\nclient: deployer\n");
        assert!(run.stdout.contains(&said), "{run:?}");
    }
    for (cnf, said) in [
        (json!({ "kid": "\u{1b}" }), r#"{"kid":"\u001b"}"#),
        (json!([]), "[]"),
        (json!({ "jkt": "x", "x5t#S256": hash }), r#"{"jkt":"x","x5t#S256":"#),
    ] {
        let run = matched(&github(json!({ "cnf": cnf }))).exits(3);
        let said = format!("refused: it is bound in a way that jeton cannot check: `cnf` is {said}");
        assert!(run.stdout.contains(&said) && !run.stdout.contains("bound: "), "{run:?}");
    }
}

#[test]
fn an_issuer_that_is_not_trusted_is_named_with_those_that_are() {
    let run = matched(&github(json!({ "iss": format!("{GITHUB}/") }))).exits(3);
    let said = format!("no client: `{GITHUB}/` is no issuer of the policies: did you mean `{GITHUB}`?\n");
    assert_eq!(run.stdout, format!("{UNVERIFIED}{said}"));
    let run = matched(&github(json!({ "iss": "https://x.test" }))).exits(3);
    assert!(run.stdout.contains("the policies name `https://cluster.example.com`, "), "{run:?}");
    let run = matched(&github(json!({ "iss": null }))).exits(3);
    assert!(run.stdout.contains("no client: the claim `iss` is missing\n"), "{run:?}");
    let run = matched(&github(json!({ "iss": "https://unused.example.com" }))).exits(3);
    assert!(run.stdout.contains("no client: none has this issuer under `federated`\n"), "{run:?}");
}

#[test]
fn what_is_no_token_is_no_answer() {
    let workplace = workplace();
    let run = workplace.run(&["clients", "match", "--unverified", "x.y"]).exits(1);
    assert!(run.stderr.contains("this is no token"), "{run:?}");
    let run = workplace.run_with_input(&["clients", "match", "--unverified"], &"x".repeat(70_000)).exits(1);
    assert!(run.stderr.contains("standard input holds more than"), "{run:?}");
    let run = workplace.run_with_input(&["clients", "match"], "\n").exits(1);
    assert!(run.stderr.contains("there is no token: standard input is empty"), "{run:?}");
    // an escape sequence in a claim does not reach the terminal
    let run = matched(&github(json!({ "ref": "\u{1b}[2J" }))).exits(3);
    assert!(!run.stdout.contains('\u{1b}'), "{run:?}");
}

#[test]
fn a_client_is_added_for_an_issuer() {
    let workplace = workplace();
    let run = workplace.run(&[
        "clients",
        "add",
        "release",
        "--issuer",
        "github",
        "--match",
        "repository_id=7",
        "--match",
        "ref=refs/tags/v1=a",
        "--api",
        "orders",
        "--scope",
        "orders:read",
    ]);
    let run = run.exits(0);
    assert_eq!(run.stdout, "", "there is no secret");
    assert!(run.stderr.contains("added client `release`"), "{run:?}");
    let said = "tokens of github with repository_id is `7`, ref is `refs/tags/v1=a` stand for it\n";
    assert!(run.stderr.contains(said), "{run:?}");
    let text = workplace.read("policies/all.yaml");
    let entry = "  release:
    federated:
      - issuer: github
        claims:
          repository_id: { is: \"7\" }
          ref: { is: \"refs/tags/v1=a\" }
    grants:
      orders:
        scopes: [orders:read]
";
    assert!(text.ends_with(entry), "{text}");
    // text even where YAML has something else, and several values are alternatives
    let run = workplace.run(&[
        "clients",
        "add",
        "pod",
        "--issuer",
        "cluster",
        "--match",
        "/kubernetes.io/namespace=true",
        "trusted=true",
        "groups=a",
        "groups=b: c",
    ]);
    run.exits(0);
    let policies = policies(&workplace);
    let pod = &policies.clients().find("pod").unwrap().federated[0];
    let conditions: Vec<_> = pod.conditions().map(|(claim, wanted)| format!("{claim} {wanted}")).collect();
    assert_eq!(
        conditions,
        ["/kubernetes.io/namespace is `true`", "trusted is `true`", "groups in [a, b: c]"]
    );
    let run = workplace.run(&[
        "clients",
        "add",
        "both",
        "--issuer",
        "github",
        "--match",
        "repository_id=8",
        "--secret",
    ]);
    assert!(run.exits(0).stdout.starts_with("jeton_"));
}

#[test]
fn a_client_that_would_not_load_is_not_added() {
    let workplace = workplace();
    let add = |more: &[&str]| {
        let arguments: Vec<_> = ["clients", "add", "new"].iter().chain(more).copied().collect();
        arguments.iter().map(|text| (*text).to_owned()).collect::<Vec<_>>()
    };
    for (more, says) in [
        (&["--issuer", "githb", "--match", "repository_id=1"][..], "did you mean `github`?"),
        (&["--issuer", "github", "--match", "ref=main"], "open-federation"),
        (&["--issuer", "github", "--match", "repository_id=456789"], "ambiguous-federation"),
        (&["--issuer", "cluster", "--match", "aud=x"], "bad-claim"),
    ] {
        let arguments = add(more);
        let arguments: Vec<_> = arguments.iter().map(String::as_str).collect();
        refused(&workplace, &arguments, &[says, "nothing was written"]);
    }
    for wrong in [
        &["--issuer", "github"][..],
        &["--match", "repository_id=1"],
        &["--issuer", "github", "--match", "repository_id"],
        &["--issuer", "github", "--match", "=1"],
    ] {
        let arguments = add(wrong);
        let arguments: Vec<_> = arguments.iter().map(String::as_str).collect();
        workplace.run(&arguments).exits(2);
    }
}

#[test]
fn a_list_shows_whose_tokens_stand_for_a_client() {
    let workplace = workplace();
    let run = workplace.run(&["clients", "list"]).exits(0);
    let line = |id: &str| run.stdout.lines().find(|line| line.starts_with(id)).unwrap();
    assert!(line("deployer").contains("1 secret, tokens of github, tokens of old "), "{run:?}");
    assert!(line("tester").contains(" tokens of github "), "{run:?}");
    assert!(line("plain").contains(" 1 secret "), "{run:?}");
    let run = workplace.run(&["clients", "list", "--format", "json"]).exits(0);
    let list: Value = serde_json::from_str(&run.stdout).unwrap();
    let deployer = list.as_array().unwrap().iter().find(|client| client["id"] == "deployer").unwrap();
    assert_eq!(
        deployer["federated"][0],
        json!({
            "issuer": "github",
            "conditions": ["repository_id is `456789`", "ref in [refs/heads/main]"],
            "claims_from": { "repository": "repository" },
        })
    );
    let plain = list.as_array().unwrap().iter().find(|client| client["id"] == "plain").unwrap();
    assert_eq!(plain["federated"], json!([]));
}

#[test]
fn a_matrix_says_how_each_client_may_be_had() {
    let workplace = workplace();
    let run = workplace.run(&["policies", "matrix"]).exits(0);
    let squeezed = run.stdout.split_whitespace().collect::<Vec<_>>().join(" ");
    let said = "deployer may be had by a secret, or a token of github with repository_id is `456789`, ref in \
                [refs/heads/main], or a token of old with sub is `a` (the issuer is disabled) tester may be had by";
    assert!(squeezed.contains(said), "{run:?}");
    assert!(squeezed.contains("plain may be had by a secret"), "{run:?}");
    assert!(run.stdout.lines().all(|line| line.chars().count() <= 80), "{run:?}");
    let run = workplace.run(&["policies", "matrix", "--format", "json"]).exits(0);
    let matrices: Value = serde_json::from_str(&run.stdout).unwrap();
    let client = |id: &str| {
        let clients = matrices[0]["clients"].as_array().unwrap();
        clients.iter().find(|client| client["id"] == id).unwrap().clone()
    };
    let tester =
        "a token of github with repository_id is `456789`, ref is `refs/heads/next`, environment is `test`";
    assert_eq!(client("tester"), json!({ "id": "tester", "has_grant": true, "credentials": [tester] }));
    assert_eq!(client("plain"), json!({ "id": "plain", "has_grant": true, "credentials": ["a secret"] }));
    let run = workplace.run(&["policies", "matrix", "--format", "csv"]).exits(0);
    assert!(
        run.stdout.lines().any(|line| line.contains(",plain,") && line.ends_with(",a secret")),
        "{run:?}"
    );
}

#[test]
fn a_difference_says_who_can_newly_become_which_client() {
    let workplace = workplace();
    let new = workplace
        .read("policies/all.yaml")
        .replace("[refs/heads/main]", "[refs/heads/main, refs/heads/next]")
        .replace("ref: { is: refs/heads/next }", "ref: { is: refs/heads/test }");
    workplace.write("new/all.yaml", &new);
    let run = workplace.run(&["policies", "diff", "policies", "new"]).exits(3);
    let gained = "  + deployer gains tokens of github that stand for it: claim ref = `refs/heads/next`, claim repository_id = `456789`\n";
    assert!(run.stdout.contains(gained), "{run:?}");
    let run = workplace.run(&["policies", "diff", "new", "policies", "--format", "json"]);
    let difference: Value = serde_json::from_str(&run.exits(3).stdout).unwrap();
    let lost = difference["changes"]
        .as_array()
        .unwrap()
        .iter()
        .find(|change| change["effect"] == "loses" && change["who"] == json!({ "client": "deployer" }));
    let claims = json!({ "repository_id": "456789", "ref": "refs/heads/next" });
    assert_eq!(lost.unwrap()["foreign"]["claims"], claims);
}

/// Policies that trust a platform by its keys, and a workplace with them.
fn trusting(issuer: &str) -> Workplace {
    let workplace = Workplace::new();
    let text = format!("version: 1\nissuers:\n{issuer}clients:\n{}", deployer("deployer", ""));
    let orders = "version: 1\nscopes: { orders:read: x }\napis:\n  orders: { audience: https://orders.example.com, rules: { \
                  r: { routes: [GET /x], require: { scope: orders:read } } } }\n";
    workplace.write("policies/orders.yaml", orders).write("policies/all.yaml", &text);
    workplace
}

#[test]
fn a_token_is_verified_as_the_service_does() {
    let forge = Forge::with("test-only-other.pem");
    let iss = "https://ci.example.com";
    let issuer = format!(
        "  ci:\n    issuer: {iss}\n    audience: {AUDIENCE}\n    keys: {{ file: ci.jwks }}\n    single_use: true\n"
    );
    let workplace = trusting(&issuer);
    workplace.write("policies/ci.jwks", &json!({ "keys": [forge.jwk()] }).to_string());
    let now = SystemClock.now().as_second();
    let claims = json!({
        "iss": iss, "aud": AUDIENCE, "sub": "repo:octo-org/octo-repo:ref:refs/heads/main", "iat": now, "exp": now + 300,
        "jti": "one", "repository_id": "456789", "ref": "refs/heads/main",
    });
    let sign = |forge: &Forge, claims: &Value| {
        forge.sign(json!({ "alg": "RS256", "kid": forge.kid() }).to_string(), claims.to_string())
    };
    let matched = |token: &str| workplace.run(&["clients", "match", token]);
    let said = format!("issuer: ci ({iss})\nclient: deployer\n");
    // to look at it does not use it up
    for _ in 0..2 {
        let run = matched(&sign(&forge, &claims)).exits(0);
        assert_eq!((run.stdout, run.stderr), (said.clone(), String::new()));
    }
    let old = changed(claims.clone(), json!({ "iat": now - 900, "exp": now - 600 }));
    let run = matched(&sign(&forge, &old)).exits(3);
    let begin = format!("issuer: ci ({iss})\nrefused: it has expired: `exp` is {}, and now is ", now - 600);
    assert!(run.stdout.starts_with(&begin), "{run:?}");
    assert!(run.stdout.ends_with("; look at it with `--unverified`\nclient: deployer\n"), "{run:?}");
    workplace.run(&["clients", "match", "--unverified", &sign(&forge, &old)]).exits(0);
    // whoever holds what it is bound to can show it
    let bound =
        changed(claims.clone(), json!({ "cnf": { "jkt": "0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I" } }));
    let run = matched(&sign(&forge, &bound)).exits(0);
    assert!(run.stdout.contains("\nbound: it counts only with a DPoP proof by the key `0Zc"), "{run:?}");
    // by somebody else's key
    let stranger = Forge::with("test-only-signing.pem");
    let run = matched(&sign(&stranger, &claims)).exits(3);
    assert!(run.stdout.contains("refused: "), "{run:?}");
    // whatever else is wrong with it
    let elsewhere = changed(claims.clone(), json!({ "aud": "https://elsewhere.example" }));
    let both = matched(&sign(&stranger, &elsewhere)).exits(3);
    let told = |run: &str| run.lines().filter(|line| line.starts_with("refused: ")).count();
    assert_eq!((told(&run.stdout), told(&both.stdout)), (1, 2), "{both:?}");
    let run = matched(&sign(&forge, &changed(claims.clone(), json!({ "ref": "refs/heads/x" })))).exits(3);
    assert!(
        run.stdout.contains("deployer\n  claim ref in [refs/heads/main]: it is `refs/heads/x`\n"),
        "{run:?}"
    );
    assert!(!run.stdout.contains("refused"), "{run:?}");
    let run = matched(&sign(&forge, &changed(claims, json!({ "aud": "x" })))).exits(3);
    assert!(
        run.stdout.contains(&format!(
            "refused: `aud` is \"x\", and not the issuer's `audience` `{AUDIENCE}` alone"
        )),
        "{run:?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn the_keys_of_the_issuer_are_fetched() {
    let platform = Platform::start().await;
    let workplace = trusting(&platform.issuer_yaml(""));
    let now = SystemClock.now().as_second();
    let token = platform.good(now);
    workplace.run(&["clients", "match", &token]).exits(0).shows(&["client: deployer\n"]);
    assert_eq!(platform.key_fetches(), 1);
    platform.server.answers_at("/keys", Answer::Status(503, "", Vec::new()));
    let run = workplace.run(&["clients", "match", &token]).exits(3);
    assert!(run.stdout.contains("refused: the keys of the issuer cannot be had here: "), "{run:?}");
    assert!(
        run.stdout.contains("client: deployer\n"),
        "what it would stand for is told all the same: {run:?}"
    );
}
