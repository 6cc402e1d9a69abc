//! The other commands of the real binary, their exit codes, and what it refuses to serve.
use std::fs;

use aws_lc_rs::{
    rand::SystemRandom,
    rsa::KeyPair,
    signature::{KeyPair as _, RSA_PKCS1_SHA256},
};
use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use jeton_oauth::clock::{Clock, SystemClock};
use serde_json::{Value, json};

use crate::{
    binary::{Run, Workplace},
    support::{ISSUER, ORDERS, install_policies, key_fixture, root},
};

/// A token as jeton would sign it, with what differs, by a key of the fixtures.
fn token(fixture: &str, kid: &str, differs: &Value) -> String {
    let now = SystemClock.numeric_date();
    let mut claims = json!({
        "iss": ISSUER, "sub": "acme-sync", "client_id": "acme-sync", "aud": ORDERS, "iat": now, "exp": now + 600,
        "jti": "0123456789abcdef0123456789abcdef", "scope": "orders:read orders:write", "roles": ["order-agent"],
        "tenant": "acme",
    });
    let claims_of = claims.as_object_mut().unwrap();
    claims_of.extend(differs.as_object().unwrap().clone());
    claims_of.retain(|_, value| !value.is_null());
    let header = json!({ "typ": "at+jwt", "alg": "RS256", "kid": kid });
    let [header, claims] = [header, claims].map(|part| BASE64_URL_SAFE_NO_PAD.encode(part.to_string()));
    let pem = pem::parse(std::fs::read(key_fixture(fixture)).unwrap()).unwrap();
    let key = KeyPair::from_pkcs8(pem.contents()).unwrap();
    let mut signature = vec![0; key.public_modulus_len()];
    let signed = format!("{header}.{claims}");
    key.sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), signed.as_bytes(), &mut signature).unwrap();
    assert!(!key.public_key().as_ref().is_empty());
    format!("{signed}.{}", BASE64_URL_SAFE_NO_PAD.encode(signature))
}

/// The kid of the one key of a workplace.
fn kid(workplace: &Workplace) -> String {
    let set: Value = serde_json::from_str(&workplace.run(&["keys", "jwks"]).exits(0).stdout).unwrap();
    set["keys"][0]["kid"].as_str().unwrap().to_owned()
}

/// A good token of the sample's key.
pub(crate) fn good_token(workplace: &Workplace) -> String {
    token("test-only-signing.pem", &kid(workplace), &json!({}))
}

#[test]
fn wrong_usage_exits_2() {
    let workplace = Workplace::sample();
    for arguments in [
        &[][..],
        &["unknown"],
        &["--unknown"],
        &["keys"],
        &["keys", "unknown"],
        &["keys", "list", "extra"],
        &["keys", "list", "--config"],
        &["clients"],
        &["clients", "add"],
        &["clients", "add", "c", "--scope", "orders:read"],
        &["clients", "add", "c", "--role", "order-agent"],
        &["clients", "add", "c", "--claim", "tenant"],
        &["clients", "add", "c", "--claim", "=acme"],
        &["clients", "rotate"],
        &["clients", "rotate", "acme-sync", "--keep-old", "soon"],
        &["policies"],
        &["policies", "check", "--format", "xml"],
        &["policies", "check", "policies", "extra"],
        &["policies", "explain", "GET", "/"],
        &["policies", "explain", "--api", "orders", "GET"],
        &[
            "policies",
            "explain",
            "--api",
            "orders",
            "--as",
            "acme-sync",
            "--scope",
            "orders:read",
            "GET",
            "/",
        ],
        &["policies", "explain", "--api", "orders", "--as", "acme-sync", "--token", "x", "GET", "/"],
        &["policies", "explain", "--api", "orders", "--token", "x", "--claim", "a=b", "GET", "/"],
        &["token"],
        &["token", "inspect", "one", "two"],
        &["serve", "extra"],
    ] {
        let run = workplace.run(arguments);
        assert_eq!(run.code, Some(2), "jeton {}: {run:#?}", arguments.join(" "));
        assert_eq!(run.stdout, "", "jeton {}", arguments.join(" "));
        assert!(!run.stderr.is_empty(), "jeton {}", arguments.join(" "));
    }
    workplace.run(&["--help"]).exits(0).shows(&["serve", "keys", "clients", "policies", "token"]);
    workplace.run(&["--version"]).exits(0).shows(&["jeton "]);
}

/// As `clients add` has it.
#[test]
fn a_claim_that_explain_cannot_read_is_wrong_usage() {
    for claim in ["tenant", "=acme"] {
        let explain = ["policies", "explain", "--api", "orders", "--claim", claim, "GET", "/"];
        let run = Workplace::sample().run(&explain);
        assert_eq!(run.code, Some(2), "--claim {claim}: {run:#?}");
    }
}

#[test]
fn check_of_good_policies_prints_no_finding() {
    let workplace = Workplace::sample();
    let run = workplace.run(&["policies", "check"]).exits(0).says(&["3 files", "2 APIs", "4 clients"]);
    assert_eq!(run.stdout, "");
    workplace.run(&["policies", "check", "policies"]).exits(0);
    let run = workplace.run(&["policies", "check", "--format", "json"]).exits(0);
    assert_eq!(serde_json::from_str::<Value>(&run.stdout).unwrap(), json!([]));
}

/// Two files, three findings.
fn broken() -> Workplace {
    let workplace = Workplace::new();
    workplace.write(
        "broken/a.yaml",
        "version: 1\nscopes:\n  orders:read: Read orders\nroles:\n  agent: [orders:raed]\n",
    );
    workplace.write("broken/team/b.yaml", "version: 2\nscope: {}\n");
    workplace
}

#[test]
fn check_prints_every_finding_with_its_place_and_exits_1() {
    let run = broken().run(&["policies", "check", "broken"]).exits(1).says(&["3 findings"]);
    assert_eq!(
        run.stdout,
        "broken/a.yaml:5:11: error: scope `orders:raed` is not defined [unknown-scope]
   |
 5 |   agent: [orders:raed]
   |           ^^^^^^^^^^^
   = help: did you mean `orders:read`?

broken/team/b.yaml:1:10: error: version 2 is not known [bad-version]
   |
 1 | version: 2
   |          ^
   = help: write `version: 1`

broken/team/b.yaml:2:1: error: unknown key `scope` [unknown-key]
   |
 2 | scope: {}
   | ^^^^^
   = help: did you mean `scopes`?
"
    );
}

#[test]
fn check_prints_json_for_programs() {
    let run = broken().run(&["policies", "check", "broken", "--format", "json"]).exits(1);
    let findings: Value = serde_json::from_str(&run.stdout).unwrap();
    assert_eq!(findings.as_array().unwrap().len(), 3);
    assert_eq!(
        findings[0],
        json!({
            "severity": "error", "code": "unknown-scope", "message": "scope `orders:raed` is not defined",
            "file": "broken/a.yaml", "line": 5, "column": 11, "hint": "did you mean `orders:read`?",
        })
    );
}

#[test]
fn check_of_a_folder_that_is_not_there_exits_1() {
    let run = Workplace::new().run(&["policies", "check", "nowhere"]).exits(1);
    run.shows(&["nowhere: error: cannot be read", "[unreadable]"]);
}

/// `DIR` stands for `policies.dir`; a folder that is not asked for need not be there.
#[test]
fn a_folder_that_is_given_needs_no_other() {
    let workplace = Workplace::empty();
    install_policies(&workplace.path("mine"));
    workplace.run(&["policies", "check", "mine"]).exits(0);
    let explain = ["policies", "explain", "--api", "orders", "--dir", "mine", "GET", "/healthz"];
    workplace.run(&explain).exits(0);
}

#[track_caller]
fn explained(arguments: &[&str], code: i32, shows: &[&str]) -> Run {
    let workplace = Workplace::sample();
    workplace.run(&[&["policies", "explain", "--api", "orders"], arguments].concat()).exits(code).shows(shows)
}

#[test]
fn explain_says_which_rule_allows_and_exits_0() {
    let file = std::fs::read_to_string(root().join("policies/orders.yaml")).unwrap();
    let line = file.lines().position(|line| line.trim() == "read-orders:").unwrap() + 1;
    let rule = format!(
        "decided by GET /tenants/{{tenant}}/orders/{{order}} of rule `read-orders` (policies/orders.yaml:{line})"
    );
    let rule = rule.as_str();
    let orders = "/tenants/acme/orders/42";
    explained(&["GET", "/healthz"], 0, &["ALLOWED GET /healthz at orders", "rule `health`"]);
    explained(&["--as", "acme-sync", "GET", orders], 0, &["ALLOWED", rule, "held     scope: orders:read"]);
    explained(
        &["--as", "support-desk", "GET", orders],
        0,
        &["alternative 2 holds", "held     role: support-lead"],
    );
    explained(&["--scope", "orders:read", "--claim", "tenant=acme", "GET", orders], 0, &["ALLOWED", rule]);
    explained(&["--role", "support-lead", "HEAD", orders], 0, &["ALLOWED", rule]);
}

#[test]
fn explain_says_what_is_missing_and_exits_3() {
    let orders = "/tenants/acme/orders/42";
    let run = explained(
        &["--as", "globex-sync", "GET", orders],
        3,
        &[
            "DENIED",
            "held     scope: orders:read",
            "MISSING  claims.tenant same_as_path `tenant`",
            "MISSING  role: support-lead",
        ],
    );
    assert_eq!(run.stderr, "");
    explained(&["GET", orders], 3, &["DENIED", "needs a token"]);
    explained(&["--as", "acme-sync", "GET", "/unknown"], 3, &["DENIED", "no route"]);
    explained(&["--as", "acme-sync", "TRACE", orders], 3, &["DENIED", "method"]);
    explained(&["--as", "acme-sync", "GET", "/tenants/acme/../globex/orders"], 3, &["DENIED", "dots"]);
    explained(&["--claim", "tenant=acme", "GET", orders], 3, &["MISSING  scope: orders:read"]);
}

#[test]
fn explain_takes_a_token_that_verifies() {
    let workplace = Workplace::sample();
    let explain = |token: &str, path: &str| {
        workplace.run(&["policies", "explain", "--api", "orders", "--token", token, "GET", path])
    };
    let token_of = |differs: Value| token("test-only-signing.pem", &kid(&workplace), &differs);
    explain(&good_token(&workplace), "/tenants/acme/orders").exits(0).shows(&["ALLOWED"]);
    explain(&good_token(&workplace), "/tenants/globex/orders").exits(3).shows(&["DENIED", "MISSING"]);
    explain(&token_of(json!({ "exp": 1 })), "/tenants/acme/orders").exits(3).shows(&["DENIED", "expired"]);
    explain(&token_of(json!({ "aud": "https://x.example" })), "/tenants/acme/orders")
        .exits(3)
        .shows(&["audience"]);
    explain("x", "/tenants/acme/orders").exits(3).shows(&["DENIED", "is rejected"]);
    workplace
        .write("policies/revoked.yaml", "version: 1\nrevoked_tokens: [0123456789abcdef0123456789abcdef]\n");
    explain(&good_token(&workplace), "/tenants/acme/orders").exits(3).shows(&["the token was revoked"]);
}

#[test]
fn explain_fails_for_what_is_not_there() {
    let workplace = Workplace::sample();
    let explain = |arguments: &[&str]| workplace.run(&[&["policies", "explain"], arguments].concat());
    explain(&["--api", "orders", "--as", "nobody", "GET", "/"]).exits(1).says(&["nobody"]);
    explain(&["--api", "orders", "--as", "operator", "GET", "/"]).exits(1).says(&["operator", "orders"]);
    explain(&["--api", "orders", "--dir", "nowhere", "GET", "/"]).exits(1).says(&["nowhere"]);
    workplace.write("policies/broken.yaml", "version: 1\nscope: {}\n");
    explain(&["--api", "orders", "GET", "/healthz"]).exits(1).says(&["policies/broken.yaml:2:1"]);
}

#[test]
fn inspect_shows_a_token_and_that_it_verifies() {
    let workplace = Workplace::sample();
    let token = good_token(&workplace);
    let shows = ["\"kid\"", "\"at+jwt\"", "\"acme-sync\"", "\"orders:read orders:write\"", "\nverifies\n"];
    workplace.run(&["token", "inspect", &token]).exits(0).shows(&shows);
    workplace.run_with_input(&["token", "inspect"], &token).exits(0).shows(&shows);
    workplace.run_with_input(&["token", "inspect"], &format!("\n {token} \n")).exits(0).shows(&shows);
}

/// Whoever reads the output may stop before its end, as `head` does.
#[test]
fn output_that_nobody_reads_is_no_fault() {
    let workplace = Workplace::sample();
    let (good, bad) = (good_token(&workplace), "garbage");
    for (arguments, code) in [
        (&["keys", "list"][..], 0),
        (&["keys", "jwks"], 0),
        (&["keys", "rotate"], 0),
        (&["keys", "rotate", "--now"], 0),
        (&["keys", "prune"], 0),
        (&["token", "inspect", bad], 3),
        (&["token", "inspect", &good], 3),
        (&["policies", "check"], 0),
        (&["policies", "test"], 0),
        (&["policies", "matrix"], 0),
        (&["policies", "schema"], 0),
    ] {
        workplace.run_unread(arguments).exits(code);
    }
    // but a secret that nobody saw is lost
    let run = workplace.run_unread(&["clients", "add", "new", "--api", "orders", "--scope", "orders:read"]);
    run.exits(1).says(&["the secret could not be shown and is lost"]);
}

#[test]
fn inspect_checks_against_another_key_set() {
    let workplace = Workplace::sample();
    let token = good_token(&workplace);
    let set = workplace.run(&["keys", "jwks"]).exits(0).stdout;
    workplace.write("set.json", &set);
    // what is in the key folder does not count
    std::fs::remove_dir_all(workplace.path("keys")).unwrap();
    workplace.run(&["token", "inspect", &token, "--jwks", "set.json"]).exits(0).shows(&["\nverifies\n"]);
    workplace.write("other.json", &set.replace(&kid_in(&set), "another"));
    let run = workplace.run(&["token", "inspect", &token, "--jwks", "other.json"]).exits(3);
    run.shows(&["does not verify: no key has this `kid`"]);
    workplace.write("empty.json", "{\"keys\":[]}").write("bad.json", "{");
    workplace
        .run(&["token", "inspect", &token, "--jwks", "empty.json"])
        .exits(1)
        .says(&["empty.json", "it holds no key"]);
    workplace.run(&["token", "inspect", &token, "--jwks", "bad.json"]).exits(1).says(&["bad.json"]);
    workplace.run(&["token", "inspect", &token, "--jwks", "nowhere.json"]).exits(1).says(&["nowhere.json"]);
}

fn kid_in(set: &str) -> String {
    let set: Value = serde_json::from_str(set).unwrap();
    set["keys"][0]["kid"].as_str().unwrap().to_owned()
}

#[test]
fn inspect_says_why_a_token_does_not_verify_and_exits_3() {
    let workplace = Workplace::sample();
    let kid = kid(&workplace);
    let good = good_token(&workplace);
    let signed = |differs: Value| token("test-only-signing.pem", &kid, &differs);
    let now = SystemClock.numeric_date();
    let (unsigned, _) = good.rsplit_once('.').unwrap();
    for (name, token, says) in [
        ("expired", signed(json!({ "exp": now - 60 })), "the token has expired"),
        ("not yet valid", signed(json!({ "nbf": now + 600 })), "not valid yet"),
        ("another issuer", signed(json!({ "iss": "https://x.example" })), "`iss` is another issuer"),
        ("no expiry", signed(json!({ "exp": null })), "`exp` is missing"),
        ("an expiry as text", signed(json!({ "exp": "9999999999" })), "`exp` has the wrong type"),
        ("another key", token("test-only-other.pem", &kid, &json!({})), "the signature is wrong"),
        ("an unknown key", token("test-only-signing.pem", "another", &json!({})), "no key has this `kid`"),
        ("no signature", format!("{unsigned}."), "does not verify"),
        ("two parts", unsigned.to_owned(), "three parts"),
        ("no token", "hello".to_owned(), "three parts"),
        ("nothing", String::new(), "does not verify"),
    ] {
        let run = workplace.run(&["token", "inspect", &token]);
        assert_eq!(run.code, Some(3), "{name}: {run:#?}");
        assert!(run.stdout.contains("does not verify: ") && run.stdout.contains(says), "{name}: {run:#?}");
        let run = workplace.run_with_input(&["token", "inspect"], &token);
        assert_eq!(run.code, Some(3), "{name}: {run:#?}");
    }
}

/// A token that names no audience does not verify, which is an answer and no failure.
#[test]
fn inspect_of_a_token_without_audience_exits_3() {
    let workplace = Workplace::sample();
    let kid = kid(&workplace);
    for differs in [json!({ "aud": null }), json!({ "aud": [] }), json!({ "aud": 1 }), json!({ "aud": "" })] {
        let token = token("test-only-signing.pem", &kid, &differs);
        workplace.run(&["token", "inspect", &token]).exits(3).shows(&["does not verify"]);
    }
}

#[test]
fn inspect_without_keys_exits_1() {
    let workplace = Workplace::sample();
    let token = good_token(&workplace);
    std::fs::remove_dir_all(workplace.path("keys")).unwrap();
    workplace.run(&["token", "inspect", &token]).exits(1).says(&["keys"]);
}

/// A server that others can reach does not start with secrets that everybody knows.
#[test]
fn serve_refuses_the_demo_secrets_where_others_can_reach_it() {
    for (issuer, listen) in [
        ("https://tokens.example.com", "127.0.0.1:0"),
        ("http://127.0.0.1:8080", "0.0.0.0:0"),
        ("http://localhost:8080", "[::]:0"),
        ("http://10.0.0.1", "127.0.0.1:0"),
        ("https://tokens.example.com", "0.0.0.0:0"),
    ] {
        let mut workplace = Workplace::sample();
        workplace.set("JETON__ISSUER", issuer).set("JETON__SERVER__LISTEN", listen);
        let run = workplace.run(&["serve"]).exits(1).says(&[
            "policies/clients.yaml:",
            "client `acme-sync` has a secret that everybody can read",
            "client `globex-sync` has",
            "client `support-desk` has",
            "client `operator` has",
        ]);
        assert!(!run.stderr.contains("demo-secret-of"), "{run:?}");
    }
}

#[test]
fn serve_says_everything_that_is_wrong_and_exits_1() {
    let workplace = Workplace::sample();
    workplace.write("policies/broken.yaml", "version: 2\nscope: {}\n");
    let places = ["policies/broken.yaml:1:10: ", "policies/broken.yaml:2:1: "];
    workplace.run(&["serve"]).exits(1).says(&places);
    let workplace = Workplace::sample();
    workplace.write("keys/broken.pem", "garbage");
    workplace.run(&["serve"]).exits(1).says(&["keys/broken.pem"]);
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let mut workplace = Workplace::sample();
    workplace.set("JETON__SERVER__LISTEN", &address);
    workplace.run(&["serve"]).exits(1).says(&["`server.listen`", &address]);
    let mut workplace = Workplace::sample();
    std::fs::remove_dir_all(workplace.path("keys")).unwrap();
    workplace.set("JETON__KEYS__GENERATE_IF_MISSING", "false").write("keys/README", "");
    workplace.run(&["serve"]).exits(1).says(&["keys: there is no key", "jeton keys generate"]);
}

/// The exit code is told to scripts, which often throw the words away.
#[test]
fn the_exit_code_is_the_same_where_nobody_hears_what_is_wrong() {
    let workplace = Workplace::sample();
    workplace.write("policies/broken.yaml", "version: 2\n");
    let cases: [(&[&str], i32); 4] = [
        (&["policies", "check"], 1),
        (&["policies", "test"], 1),
        (&["policies", "explain", "--api", "orders", "GET", "/tenants/acme/orders"], 1),
        (&["policies", "chek"], 2),
    ];
    for (arguments, code) in cases {
        let full = fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
        assert_eq!(workplace.run_unheard(arguments, full), Some(code), "{arguments:?}, a full disk");
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        assert_eq!(workplace.run_unheard(arguments, writer), Some(code), "{arguments:?}, a closed pipe");
    }
}
