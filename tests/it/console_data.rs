//! What the console says of keys, clients and names: as `/ops/*` and the commands do.
use serde_json::{Value, json};

use crate::{
    binary::Workplace,
    console_guard::{get, on_loopback, spawn},
    support::{NOW, Setup, TestApp, secret, secret_hash, spawn_app_with},
};

async fn data(app: &TestApp, target: &str) -> Value {
    let answer = get(app, target, &[]).await;
    assert_eq!(answer.status, 200, "{target}");
    answer.json()
}

async fn ops(app: &TestApp, target: &str) -> Value {
    let token = app.token_of("operator", "jeton").await;
    app.http.get(app.url(target)).bearer_auth(token).send().await.unwrap().json().await.unwrap()
}

#[actix_web::test]
async fn keys_are_those_of_ops_with_the_rules_and_advice() {
    let app = spawn(on_loopback);
    let mut keys = data(&app, "/console/api/keys").await;
    let kid = keys["keys"][0]["kid"].as_str().unwrap().to_owned();
    let members = keys.as_object_mut().unwrap();
    let taken = ["dir", "now", "publish_ahead", "rotate_every", "retention", "advice"]
        .map(|name| members.remove(name).unwrap_or_else(|| panic!("{name} is missing")));
    let [dir, now, publish_ahead, rotate_every, retention, advice] = taken;
    assert_eq!(dir, json!(app.dir.path().join("keys").to_str().unwrap()));
    assert_eq!((now, publish_ahead, rotate_every), (json!(NOW), json!(3_600), Value::Null));
    // as long as a refresh token lives, and clocks differ
    assert_eq!(retention, json!(30 * 24 * 60 * 60 + 30));
    let commands: Vec<_> = advice.as_array().unwrap().iter().map(|it| (&it["kid"], &it["command"])).collect();
    let kid = json!(kid);
    assert_eq!(commands, [(&kid, &json!("jeton keys rotate")), (&kid, &json!("jeton keys rotate --now"))]);
    assert_eq!(keys, ops(&app, "/ops/keys").await);
}

#[actix_web::test]
async fn clients_are_those_of_the_command_with_the_last_use_of_each_secret() {
    let app = spawn(on_loopback);
    let without_uses = |mut clients: Value| {
        for client in clients.as_array_mut().unwrap() {
            for secret in client["secrets"].as_array_mut().unwrap() {
                assert!(secret.as_object_mut().unwrap().remove("last_used").is_some(), "{secret}");
            }
        }
        clients
    };
    let used = |answer: &Value| -> Vec<(String, Value)> {
        let clients = answer["clients"].as_array().unwrap().clone();
        let of_client = |client: Value| {
            let secrets = client["secrets"].as_array().unwrap().clone();
            let id = client["id"].as_str().unwrap().to_owned();
            secrets.into_iter().map(move |secret| (id.clone(), secret["last_used"].clone()))
        };
        clients.into_iter().flat_map(of_client).filter(|(_, used)| !used.is_null()).collect()
    };
    let before = data(&app, "/console/api/clients").await;
    assert_eq!(used(&before), []);
    app.token_of("acme-sync", "orders").await;
    app.clock.advance(60);
    app.token_of("support-desk", "orders").await;
    let after = data(&app, "/console/api/clients").await;
    let expected =
        [("acme-sync".to_owned(), json!(NOW)), ("support-desk".to_owned(), json!("2026-11-23T12:01:00Z"))];
    assert_eq!(used(&after), expected);
    assert_eq!((&after["now"], &after["hash"]), (&json!("2026-11-23T12:01:00Z"), &before["hash"]));

    let listed = Workplace::sample().run(&["clients", "list", "--format", "json"]).exits(0);
    let listed: Value = serde_json::from_str(&listed.stdout).unwrap();
    assert_eq!(without_uses(after["clients"].clone()), listed);
}

/// Nobody can make a secret from what is shown, or a token.
#[actix_web::test]
async fn of_a_hash_eight_digits_are_shown() {
    let id = "\u{202e}<b>a</b>";
    let hash = secret_hash(&secret("x"));
    let policies = format!(
        "version: 1\nclients:\n  x:\n    secrets: [{{ sha256: {hash} }}]\n    certificates: [{{ sha256: {hash} }}]\n    \
         claims: {{ name: \"{id}\" }}\n"
    );
    let setup = Setup { settings: on_loopback, policies: vec![("x.yaml", policies)], ..Setup::default() };
    let app = spawn_app_with(setup);
    let answer = get(&app, "/console/api/clients", &[]).await;
    let text = String::from_utf8(answer.body.clone()).unwrap();
    assert!(text.contains(&hash[..8]), "{text}");
    assert!(!text.contains(&hash[..9]), "{text}");
}

#[actix_web::test]
async fn names_are_all_that_one_may_choose_among() {
    let policies = "version: 1
scopes: { 'notes:2': b, 'notes:10': a }
roles: { writer: ['notes:2'] }
apis:
  notes:
    audience: https://notes.example.com
    bundle: clients
    pdp: true
    bound_tokens: true
    rules:
      read: { routes: [GET /notes, 'GET /notes/{note}'], require: { scope: 'notes:2' } }
clients:
  client-10: { grants: { notes: { scopes: ['notes:2'] } } }
  client-2: { grants: { notes: { roles: [writer] } } }
";
    let setup = Setup {
        settings: on_loopback,
        policies: vec![("notes.yaml", policies.to_owned())],
        ..Setup::default()
    };
    let app = spawn_app_with(setup);
    let names = data(&app, "/console/api/names").await;
    assert_eq!(names["hash"], ops(&app, "/ops/policies").await["hash"]);
    let notes = names["apis"].as_array().unwrap().iter().find(|api| api["name"] == "notes").unwrap();
    let expected = json!({
        "name": "notes", "audience": "https://notes.example.com", "routes": 2, "clients": 2,
        "bound_tokens": true, "pdp": true, "bundle": "clients", "mentioned": true,
    });
    assert_eq!(notes, &expected);
    let apis: Vec<_> = names["apis"].as_array().unwrap().iter().map(|api| api["name"].clone()).collect();
    assert_eq!(apis, ["jeton", "notes", "orders"]);
    let clients = ["acme-sync", "client-2", "client-10", "globex-sync", "operator", "support-desk"];
    assert_eq!(names["clients"], json!(clients));
    let of = |name: &str, prefix: &str| {
        let all = names[name].as_array().unwrap().iter().map(|it| it.as_str().unwrap().to_owned());
        all.filter(|it| it.starts_with(prefix)).collect::<Vec<_>>()
    };
    assert_eq!(of("scopes", "notes:"), ["notes:2", "notes:10"]);
    assert_eq!(of("roles", "w"), ["writer"]);
    assert!(of("scopes", "jeton:").contains(&"jeton:ops".to_owned()));
}
