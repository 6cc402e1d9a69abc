//! Which error a token request is answered with where several things are wrong with it at once: every combination of
//! client, token, scope and target, by snapshot.

use std::fmt::Write;

use serde_json::Value;

use crate::support::{
    ISSUER, ORDERS, Setup, TestApp,
    forge::{Draft, Forge, decoded},
    now, secret, secrets, spawn_app_with,
};

const EXCHANGE: &str = "urn:ietf:params:oauth:grant-type:token-exchange";
const ACCESS_TOKEN: &str = "urn:ietf:params:oauth:token-type:access_token";
const BILLS: &str = "https://bills.example.com";
const NOBODY: &str = "https://nobody.example.com";

type Parameters<'a> = &'a [(&'a str, &'a str)];

/// An answer, and to which targets it came, each with the scopes.
struct Answered<'a> {
    answer: String,
    asked: Vec<(&'a str, Vec<&'a str>)>,
}

/// `able` has every ability, and so has `other`; `plain` has none, and one API.
fn spawn() -> TestApp {
    let text = format!(
        "version: 1
scopes: {{ bills:read: x }}
apis:
  bills:
    audience: {BILLS}
    rules: {{ all: {{ routes: [GET /bills], require: {{ scope: bills:read }} }} }}
clients:
  able:
    {}
    refresh: true
    token_exchange: true
    grants:
      orders: {{ scopes: [orders:read, orders:write] }}
      bills: {{ scopes: [bills:read, orders:read] }}
  other:
    {}
    refresh: true
    token_exchange: true
    grants: {{ orders: {{ scopes: [orders:read] }} }}
  plain:
    {}
    grants: {{ orders: {{ scopes: [orders:read, orders:write] }} }}
  off:
    {}
    enabled: false
    grants: {{ orders: {{ scopes: [orders:read, orders:write] }} }}
",
        secrets("able"),
        secrets("other"),
        secrets("plain"),
        secrets("off"),
    );
    spawn_app_with(Setup { policies: vec![("errors.yaml", text)], ..Setup::default() })
}

/// A token of this name that a client gets for itself at an API.
async fn fetch(app: &TestApp, client: &str, resource: &str, name: &str) -> String {
    let form = [("grant_type", "client_credentials"), ("resource", resource)];
    let (status, body) = app.post_form("/oauth2/token", client, &form).await;
    assert_eq!(status, 200, "{body}");
    body[name].as_str().unwrap().to_owned()
}

/// What is answered, in a line.
fn told(status: u16, body: &Value) -> String {
    if status == 200 {
        let (_, claims) = decoded(body["access_token"].as_str().unwrap());
        return format!("200 {} at {}", claims["scope"], claims["aud"]);
    }
    format!("{status} {}: {}", body["error"].as_str().unwrap(), body["error_description"].as_str().unwrap())
}

/// Asks as this client (`ID`, or `ID:SECRET`) for every scope and target, and tells what was answered to which.
async fn ask_all(app: &TestApp, client: &str, form: Parameters<'_>) -> String {
    let (long_scope, long_target) = ("s".repeat(600), "t".repeat(600));
    let scopes = [
        ("none", None),
        ("held", Some("orders:read")),
        ("beyond", Some("orders:read orders:refund")),
        ("unknown", Some("nobody:read")),
        ("commas", Some("orders:read,orders:write")),
        ("malformed", Some("orders:read  orders:write")),
        ("long", Some(long_scope.as_str())),
    ];
    let targets: [(&str, Parameters<'_>); 10] = [
        ("none", &[]),
        ("orders", &[("resource", ORDERS)]),
        ("orders twice", &[("resource", ORDERS), ("audience", ORDERS)]),
        ("bills", &[("audience", BILLS)]),
        ("own", &[("resource", ISSUER)]),
        ("nobody", &[("resource", NOBODY)]),
        ("malformed", &[("resource", "https://orders.example.com/a b")]),
        ("long", &[("resource", &long_target)]),
        ("two", &[("resource", ORDERS), ("resource", NOBODY)]),
        (
            "three of which two are malformed",
            &[("audience", "a b"), ("resource", ORDERS), ("resource", &long_target)],
        ),
    ];
    let (id, password) = client
        .split_once(':')
        .map_or_else(|| (client, secret(client)), |(id, password)| (id, password.to_owned()));
    // in the order in which they were first answered
    let mut answers: Vec<Answered<'_>> = Vec::new();
    for (target, parameters) in targets {
        for (scope, list) in scopes {
            let scope_parameter = list.map(|list| ("scope", list));
            let form: Vec<_> = form.iter().chain(parameters).copied().chain(scope_parameter).collect();
            let request = app.http.post(app.url("/oauth2/token")).basic_auth(id, Some(&password));
            let answer = request.form(&form).send().await.unwrap();
            let status = answer.status().as_u16();
            let answer = told(status, &answer.json().await.unwrap());
            let known = answers.iter().position(|answered| answered.answer == answer);
            let at = known.unwrap_or(answers.len());
            if known.is_none() {
                answers.push(Answered { answer, asked: Vec::new() });
            }
            match answers[at].asked.last_mut() {
                Some((last, scopes)) if *last == target => scopes.push(scope),
                _ => answers[at].asked.push((target, vec![scope])),
            }
        }
    }
    let any = |names: &[&str], of: usize| if names.len() == of { "any".to_owned() } else { names.join(", ") };
    let mut text = String::new();
    for Answered { answer, asked } in answers {
        writeln!(text, "    {answer}").unwrap();
        for alike in asked.chunk_by(|(_, scopes), (_, others)| scopes == others) {
            let on: Vec<_> = alike.iter().map(|(target, _)| *target).collect();
            let (on, with) = (any(&on, targets.len()), any(&alike[0].1, scopes.len()));
            writeln!(text, "        target {on} / scope {with}").unwrap();
        }
    }
    text
}

/// Asks as each client with each form.
async fn ask_as_each(app: &TestApp, clients: &[&str], forms: &[(&str, Parameters<'_>)]) -> String {
    let mut text = String::new();
    for (name, form) in forms {
        for client in clients {
            write!(text, "{name}, as {client}\n{}", ask_all(app, client, form).await).unwrap();
        }
    }
    text
}

#[actix_web::test]
async fn client_credentials() {
    let app = spawn();
    let clients = ["able", "plain", "off", "nobody", "able:wrong"];
    let forms: [(&str, Parameters<'_>); 3] = [
        ("client_credentials", &[("grant_type", "client_credentials")]),
        ("no grant type", &[]),
        ("an unknown grant type", &[("grant_type", "password")]),
    ];
    insta::assert_snapshot!(ask_as_each(&app, &clients, &forms).await);
}

#[actix_web::test]
async fn refresh_token() {
    let app = spawn();
    let token = fetch(&app, "able", ORDERS, "refresh_token").await;
    let access = fetch(&app, "able", ORDERS, "access_token").await;
    let clients = ["able", "other", "plain", "off", "able:wrong"];
    let forms: [(&str, Parameters<'_>); 3] = [
        ("its refresh token", &[("grant_type", "refresh_token"), ("refresh_token", &token)]),
        ("an access token", &[("grant_type", "refresh_token"), ("refresh_token", &access)]),
        ("no refresh token", &[("grant_type", "refresh_token")]),
    ];
    insta::assert_snapshot!(ask_as_each(&app, &clients, &forms).await);
}

#[actix_web::test]
async fn token_exchange() {
    let app = spawn();
    let subject = fetch(&app, "plain", ORDERS, "access_token").await;
    let own = fetch(&app, "operator", ISSUER, "access_token").await;
    let forge = Forge::with_the_servers_key();
    let expired = Draft::good(&forge.kid(), now() - 7_200).sign(&forge);
    let clients = ["able", "other", "plain", "off", "able:wrong"];
    let grant_type = ("grant_type", EXCHANGE);
    let of_type = ("subject_token_type", ACCESS_TOKEN);
    let forms: [(&str, Parameters<'_>); 3] = [
        ("a token for orders", &[grant_type, ("subject_token", &subject), of_type]),
        ("a token for jeton", &[grant_type, ("subject_token", &own), of_type]),
        ("an expired token", &[grant_type, ("subject_token", &expired), of_type]),
    ];
    let text = ask_as_each(&app, &clients, &forms).await;
    let incomplete: [(&str, Parameters<'_>); 4] = [
        ("no token", &[grant_type, of_type]),
        ("no type", &[grant_type, ("subject_token", &subject)]),
        (
            "another type",
            &[grant_type, ("subject_token", &subject), of_type, ("requested_token_type", "urn:x")],
        ),
        ("an actor", &[grant_type, ("subject_token", &subject), of_type, ("actor_token", "x")]),
    ];
    insta::assert_snapshot!(text + &ask_as_each(&app, &["able", "able:wrong"], &incomplete).await);
}
