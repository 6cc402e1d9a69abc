//! What `policies explain` and `POST /ops/explain` say of a decision.

use jeton_policy::Permissions;
use serde_json::{Value, json};

use crate::{
    binary::Workplace,
    policy_text::{compile_good, with_claim, with_client, with_scopes},
    support::{
        ORDERS, Setup,
        forge::{Draft, Forge},
        now, secrets, spawn_app, spawn_app_with,
    },
};

const POLICIES: &str = "\
version: 1
scopes: { orders:read: x, orders:write: x }
roles: { support: [orders:read, orders:write] }
apis:
  orders:
    audience: https://orders.example.com
    rules:
      one:
        routes: [\"GET /tenants/{tenant}/orders/{order}\"]
        require:
          - scope: orders:read
            claims: { tenant: { same_as_path: tenant }, plan: { in: [gold, silver] } }
          - role: support
          - any_client: [alice, bob]
      latest:
        routes: [GET /tenants/acme/orders/latest, ANY /tenants/acme/orders/**]
        require: { all_scopes: [orders:read, orders:write] }
      rest:
        routes: [\"GET /tenants/{tenant}/**\", \"POST /tenants/{tenant}/orders/{order}\"]
        require: { claims: { tenants: { contains_path: tenant } } }
      slash:
        routes: [GET /orders/]
        require: { scope: orders:read }
clients: { alice: {}, bob: {} }
";

#[track_caller]
fn explained(name: &str, method: &str, path: &str, bearer: Option<&Permissions>) {
    let policies = compile_good(POLICIES);
    let subject = bearer.map(Permissions::subject);
    let explanation = policies.explain("orders", method, path, subject.as_ref()).to_string();
    // the folder is a temporary one
    let file = policies.files()[0].clone();
    insta::assert_snapshot!(name, explanation.replace(&file, "policies.yaml"));
}

#[test]
fn the_nearest_miss_comes_first_with_what_was_found() {
    let mut bearer = with_scopes(&["orders:read"]);
    bearer.claims = json!({ "tenant": "globex", "plan": "gold" }).as_object().unwrap().clone();
    bearer.client = with_client("carol").client;
    explained("explain-nearest-miss", "GET", "/tenants/acme/orders/7", Some(&bearer));
    explained("explain-elsewhere", "GET", "/tenants/globex/orders/7", Some(&bearer));
}

#[test]
fn a_claim_of_another_kind_is_shown() {
    explained(
        "explain-list-for-text",
        "GET",
        "/tenants/globex/orders/7",
        Some(&with_claim("tenant", json!(["globex"]))),
    );
    explained(
        "explain-text-for-list",
        "GET",
        "/tenants/globex/items",
        Some(&with_claim("tenants", json!("globex"))),
    );
}

#[test]
fn what_was_passed_over_is_told_with_the_reason() {
    let bearer = with_scopes(&["orders:read", "orders:write"]);
    explained("explain-passed-over", "GET", "/tenants/acme/orders/latest", Some(&bearer));
}

#[test]
fn other_methods_and_near_misses_are_told() {
    explained("explain-other-methods", "DELETE", "/tenants/globex/orders/7", Some(&with_scopes(&[])));
    explained("explain-slash", "GET", "/orders", Some(&with_scopes(&["orders:read"])));
    explained("explain-no-slash", "GET", "/tenants/globex/orders/7/", Some(&with_scopes(&["orders:read"])));
    explained("explain-case", "GET", "/ORDERS/", Some(&with_scopes(&["orders:read"])));
}

#[test]
fn without_a_token_everything_is_missing() {
    explained("explain-no-token", "GET", "/tenants/globex/orders/7", None);
}

/// The issue's word: the same answer from both.
#[actix_web::test]
async fn the_service_answers_as_the_command_does() {
    let app = spawn_app();
    let workplace = Workplace::sample();
    let token = app.token_of("operator", "jeton").await;
    for (arguments, question) in [
        (
            vec!["--as", "acme-sync", "GET", "/tenants/globex/orders"],
            json!({ "as": "acme-sync", "method": "GET", "path": "/tenants/globex/orders" }),
        ),
        (
            vec!["--role", "support-lead", "HEAD", "/tenants/globex/orders/7"],
            json!({ "as": { "roles": ["support-lead"] }, "method": "HEAD", "path": "/tenants/globex/orders/7" }),
        ),
        (vec!["GET", "/healthz/"], json!({ "method": "GET", "path": "/healthz/" })),
    ] {
        let command = [&["policies", "explain", "--api", "orders", "--format", "json"], &*arguments].concat();
        let mut told: Value = serde_json::from_str(&workplace.run(&command).stdout).unwrap();
        let mut question = question;
        question["api"] = json!("orders");
        let answer = app.http.post(app.url("/ops/explain")).bearer_auth(&token).json(&question).send().await;
        let mut answered: Value = answer.unwrap().json().await.unwrap();
        for explanation in [&mut told, &mut answered] {
            leave_out_folders(explanation);
        }
        assert_eq!(told, answered, "{question}");
    }
}

/// A client that takes a claim over from another issuer's token.
#[actix_web::test]
async fn claims_beside_a_client_are_supposed() {
    let deployer = "version: 1
issuers:
  github: { issuer: https://ci.example.com, audience: https://tokens.example.com, keys: { discover: true } }
clients:
  deployer:
    federated: [{ issuer: github, claims: { repository_id: { is: '1' } }, claims_from: { tenant: owner } }]
    grants: { orders: { scopes: [orders:read] } }
";
    let policies = vec![("deployer.yaml", deployer.to_owned())];
    let app = spawn_app_with(Setup { policies, ..Setup::default() });
    let token = app.token_of("operator", "jeton").await;
    let beside =
        "`claims` stand beside `as` with a client; those of a bearer stand within: `as: { claims: ... }`";
    for (asker, status, member, expected) in [
        (json!({ "as": "deployer" }), 200, "reason", "depends"),
        (json!({ "as": "deployer", "claims": {} }), 200, "reason", "depends"),
        (json!({ "as": "deployer", "claims": { "tenant": "acme" } }), 200, "reason", "met"),
        (json!({ "as": "deployer", "claims": { "tenant": "globex" } }), 200, "reason", "not-met"),
        (
            json!({ "as": { "scopes": ["orders:read"] }, "claims": { "tenant": "acme" } }),
            400,
            "detail",
            beside,
        ),
        (json!({ "claims": { "tenant": "acme" } }), 400, "detail", beside),
        (json!({ "token": token, "claims": { "tenant": "acme" } }), 400, "detail", beside),
    ] {
        let mut question = asker;
        for (name, value) in [("api", "orders"), ("method", "GET"), ("path", "/tenants/acme/orders")] {
            question[name] = json!(value);
        }
        let answer = app.http.post(app.url("/ops/explain")).bearer_auth(&token).json(&question).send().await;
        let answer = answer.unwrap();
        assert_eq!(answer.status(), status, "{question}");
        let told: Value = answer.json().await.unwrap();
        assert_eq!(told[member], expected, "{question}");
    }
    let question =
        json!({ "api": "orders", "method": "GET", "path": "/", "as": "deployer", "claims": { "x": 1 } });
    let answer = app.http.post(app.url("/ops/explain")).bearer_auth(&token).json(&question).send().await;
    assert_eq!(answer.unwrap().status(), 400, "a claim that it does not take over");
}

#[actix_web::test]
async fn a_question_is_an_object() {
    let app = spawn_app();
    let token = app.token_of("operator", "jeton").await;
    for body in [r#"["orders","GET","/healthz",null,null]"#, "[]", "\"x\"", "5", "null", ""] {
        let request = app.http.post(app.url("/ops/explain")).bearer_auth(&token).body(body);
        let answer = request.header("content-type", "application/json").send().await.unwrap();
        assert_eq!(answer.status(), 400, "{body}");
        let problem: Value = answer.json().await.unwrap();
        assert_eq!(
            problem["detail"], "the body must be a JSON object with `api`, `method` and `path`",
            "{body}"
        );
    }
}

/// Files are named by the folder that each was started with.
fn leave_out_folders(value: &mut Value) {
    match value {
        Value::Object(map) => {
            for (key, value) in map {
                match value {
                    Value::String(file) if key == "file" => {
                        *file = file.rsplit('/').next().unwrap_or_default().to_owned();
                    }
                    // ... of rule `health` (policies/orders.yaml:19) would decide
                    Value::String(hint) if key == "hint" => {
                        let (before, after) = hint.split_once('(').unwrap();
                        *hint = format!("{before}{}", after.rsplit('/').next().unwrap());
                    }
                    other => leave_out_folders(other),
                }
            }
        }
        Value::Array(items) => items.iter_mut().for_each(leave_out_folders),
        _ => {}
    }
}

/// A token that does not verify is good for nothing, on a public route neither.
#[test]
fn a_bad_token_is_told_first() {
    let workplace = Workplace::sample();
    let explain = ["policies", "explain", "--api", "orders", "--token", "eyJ.x.y", "GET", "/healthz"];
    workplace
        .run(&explain)
        .exits(3)
        .shows(&["DENIED GET /healthz at orders: the token is rejected", "rule `health`"]);
}

#[test]
fn what_is_not_in_the_policies_is_named() {
    let workplace = Workplace::sample();
    for (arguments, says) in [
        (["--as", "acme-synk"], "there is no client `acme-synk` in the policies: did you mean `acme-sync`?"),
        (
            ["--scope", "orders:reed"],
            "there is no scope `orders:reed` in the policies: did you mean `orders:read`?",
        ),
        (
            ["--role", "suport-lead"],
            "there is no role `suport-lead` in the policies: did you mean `support-lead`?",
        ),
        (["--as", "operator"], "client `operator` has no grant for API `orders`"),
        (["--as", "x\u{1b}[31m"], "there is no client `x\\u{1b}[31m` in the policies"),
    ] {
        let explain =
            [&["policies", "explain", "--api", "orders"], &arguments[..], &["GET", "/healthz"]].concat();
        workplace.run(&explain).exits(1).says(&[says]);
    }
    workplace
        .run(&["policies", "explain", "--api", "order", "GET", "/"])
        .exits(1)
        .says(&["did you mean `orders`?"]);
}

/// Whoever blocks a client must not read that it is allowed and think that the block failed.
#[test]
fn of_a_disabled_client_it_is_said() {
    let workplace = Workplace::sample();
    let clients = workplace.read("policies/clients.yaml");
    workplace.write(
        "policies/clients.yaml",
        &clients.replace("  acme-sync:\n", "  acme-sync:\n    enabled: false\n"),
    );
    let explain =
        ["policies", "explain", "--api", "orders", "--as", "acme-sync", "GET", "/tenants/acme/orders"];
    workplace.run(&explain).exits(0).shows(&[
        "ALLOWED",
        "client `acme-sync` is disabled: it gets no token, and this service rejects the tokens that it has",
    ]);
    for (entry, hint) in [
        (
            "revoked_before: 2026-01-01T00:00:00Z",
            "tokens of client `acme-sync` issued before 2026-01-01T00:00:00Z are rejected",
        ),
        (
            "{ enabled: false, anonymous: true }",
            "it gets no token; the tokens that it has do not name it, and are judged as shown here",
        ),
    ] {
        let lines = entry.trim_matches(['{', '}', ' ']).replace(", ", "\n    ");
        let new = clients.replace("  acme-sync:\n", &format!("  acme-sync:\n    {lines}\n"));
        workplace.write("policies/clients.yaml", &new);
        workplace.run(&explain).exits(0).shows(&["ALLOWED", hint]);
    }
}

/// What a token or a path holds is somebody else's text.
#[test]
fn nothing_writes_to_the_terminal() {
    let mut bearer = with_claim("tenant", "x\u{1b}[31m\u{202e}");
    bearer.scopes = with_scopes(&["orders:read"]).scopes;
    let policies = compile_good(POLICIES);
    let explained =
        policies.explain("orders", "GET", "/tenants/globex/orders/7", Some(&bearer.subject())).to_string();
    assert!(explained.contains("the claim is `x\\u{1b}[31m\\u{202e}`"), "{explained}");
    assert!(!explained.replace('\n', "").contains(char::is_control), "{explained:?}");
}

const BILLS: &str = "version: 1
scopes: { bills:read: x }
apis:
  bills:
    audience: https://bills.example.com
    bound_tokens: true
    rules:
      health: { routes: [GET /healthz], public: true }
      all: { routes: [GET /bills], require: { scope: bills:read } }
";
const TAKES: &str = "the API takes bound tokens only (`bound_tokens`): a token must be bound to a key or a certificate, \
                     and each request with it must prove that";
const FOR_BOUND: &str = "the API takes bound tokens only (`bound_tokens`): this is the answer for a token that is bound to a \
                         key or a certificate, in a request that proves it";

/// Permissions open nothing by themselves there: whoever reads ALLOWED must know for which token.
#[test]
fn the_command_says_that_an_api_takes_bound_tokens_only() {
    let client = "clients:\n  reader:\n    enabled: false\n    grants: { bills: { scopes: [bills:read] } }\n";
    let workplace = Workplace::new();
    let disabled =
        "client `reader` is disabled: it gets no token, and this service rejects the tokens that it has";
    for (arguments, path, exit, word, hint) in [
        (&["--as", "reader"][..], "/bills", 0, "ALLOWED", format!("{disabled}; {FOR_BOUND}")),
        (&["--scope", "bills:read"], "/bills", 0, "ALLOWED", FOR_BOUND.to_owned()),
        (&["--claim", "tenant=acme"], "/bills", 3, "DENIED", FOR_BOUND.to_owned()),
        (&[], "/bills", 3, "DENIED", TAKES.to_owned()),
        (&[], "/healthz", 0, "ALLOWED", TAKES.to_owned()),
        (&[], "/bills/", 3, "DENIED", TAKES.to_owned()),
    ] {
        let explain = ["policies", "explain", "--dir", "policies", "--api", "bills"];
        let text = [&explain[..], arguments, &["GET", path]].concat();
        let json = [&text[..], &["--format", "json"]].concat();
        workplace.write("policies/bills.yaml", &format!("{BILLS}{client}"));
        workplace.run(&text).exits(exit).shows(&[word, &format!("{hint}\n")]);
        let told: Value = serde_json::from_str(&workplace.run(&json).exits(exit).stdout).unwrap();
        assert!(told["hint"].as_str().unwrap().ends_with(&hint), "{arguments:?} {path}: {told}");

        let unbound = BILLS.replace("    bound_tokens: true\n", "");
        workplace.write("policies/bills.yaml", &format!("{unbound}{client}"));
        let told = workplace.run(&text).exits(exit).stdout;
        assert!(told.contains(word) && !told.contains("bound"), "{told}");
    }
}

/// What a token says is judged, and whether somebody holds it is not.
#[actix_web::test]
async fn of_a_bound_token_it_is_said_that_possession_is_not_checked() {
    let clients = format!(
        "clients:\n  reader:\n    {}\n    grants: {{ bills: {{ scopes: [bills:read] }}, orders: {{ scopes: [orders:read] }} }}\n",
        secrets("reader")
    );
    let policies = vec![("bills.yaml", format!("{BILLS}{clients}"))];
    let app = spawn_app_with(Setup { policies, ..Setup::default() });
    let operator = app.token_of("operator", "jeton").await;
    let forge = Forge::with_the_servers_key();
    let thumbprint = "A".repeat(43);
    let token = |aud: &str, scope: &str, cnf: Option<Value>| {
        let text = |text: &str| json!(text).to_string();
        let draft = Draft::good(&forge.kid(), now()).claim("aud", text(aud)).claim("scope", text(scope));
        let draft = draft.claim("sub", text("reader")).claim("client_id", text("reader"));
        cnf.into_iter().fold(draft, |draft, cnf| draft.claim("cnf", cnf.to_string())).sign(&forge)
    };
    let bills = |scope, cnf| token("https://bills.example.com", scope, cnf);
    let key = json!({ "jkt": thumbprint });
    let certificate = json!({ "x5t#S256": thumbprint });
    let both = json!({ "jkt": thumbprint, "x5t#S256": thumbprint });
    let must_show = |what: &str| {
        format!("the token is bound: a request must also show {what}, which cannot be checked here")
    };
    let by_key = must_show("a DPoP proof by its key");
    let rejected = "the token is rejected: the token is not bound";
    for (name, api, asker, reason, hint) in [
        ("nobody", "bills", json!({}), "no-token", Some(TAKES)),
        ("a client", "bills", json!({ "as": "reader" }), "met", Some(FOR_BOUND)),
        ("scopes", "bills", json!({ "as": { "scopes": ["bills:read"] } }), "met", Some(FOR_BOUND)),
        ("a client elsewhere", "orders", json!({ "as": "reader" }), "not-met", None),
        ("key", "bills", json!({ "token": bills("bills:read", Some(key.clone())) }), "met", Some(&*by_key)),
        ("less", "bills", json!({ "token": bills("x", Some(key.clone())) }), "not-met", Some(&*by_key)),
        (
            "certificate",
            "bills",
            json!({ "token": bills("bills:read", Some(certificate)) }),
            "met",
            Some(&*must_show("its certificate")),
        ),
        (
            "both",
            "bills",
            json!({ "token": bills("bills:read", Some(both)) }),
            "met",
            Some(&*must_show("a DPoP proof by its key and its certificate")),
        ),
        (
            "bound, elsewhere",
            "orders",
            json!({ "token": token(ORDERS, "x", Some(key)) }),
            "not-met",
            Some(&*by_key),
        ),
        ("unbound, elsewhere", "orders", json!({ "token": token(ORDERS, "x", None) }), "not-met", None),
        ("unbound", "bills", json!({ "token": bills("bills:read", None) }), "invalid-token", None),
        ("bad", "bills", json!({ "token": "x.y.z" }), "invalid-token", None),
    ] {
        let mut question = asker;
        let path = if api == "bills" { "/bills" } else { "/tenants/acme/orders" };
        for (name, value) in [("api", api), ("method", "GET"), ("path", path)] {
            question[name] = json!(value);
        }
        let answer =
            app.http.post(app.url("/ops/explain")).bearer_auth(&operator).json(&question).send().await;
        let told: Value = answer.unwrap().json().await.unwrap();
        assert_eq!((told["reason"].as_str(), told["hint"].as_str()), (Some(reason), hint), "{name}: {told}");
        assert_eq!(told["detail"] == rejected, name == "unbound", "{name}: {told}");
    }
}
