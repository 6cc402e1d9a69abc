//! APIs that the settings name: a reload, the candidate and the commands refuse what a start refuses.
use jeton::{
    config::{GatewayApis, GatewaySettings, HostedApi, Settings},
    gateway::{GatewayKind, GatewayName, TrustedPeers},
};
use jeton_oauth::ApiName;
use jeton_verify::gateway::HostName;
use serde_json::Value;

use crate::{
    binary::Workplace,
    support::{Setup, TestApp, secrets, spawn_app_with},
};

/// Policies with these APIs, of which the clients may use the first. `introspect` names APIs too.
fn policies(apis: &[&str], introspect: &str) -> String {
    let rules = "rules: { r: { routes: [GET /x], require: { scope: s } } }";
    let each = apis.iter().map(|api| format!("  {api}: {{ audience: https://{api}.example.com, {rules} }}"));
    let text = format!("version: 1\nscopes: {{ s: x }}\napis:\n{}\n", each.collect::<Vec<_>>().join("\n"));
    text + &format!(
        "clients:\n  operator:\n    {}\n    introspect: {introspect}\n    grants: {{ {}: {{ scopes: [s] }}, jeton: {{ roles: [operator] }} }}\n",
        secrets("operator"),
        apis[0],
    )
}

fn gateway(name: &str, apis: GatewayApis) -> GatewaySettings {
    GatewaySettings {
        name: GatewayName::parse(name).unwrap(),
        kind: GatewayKind::parse("nginx").unwrap(),
        apis,
        trusted_peers: TrustedPeers::parse(&["127.0.0.1".to_owned()]).unwrap(),
        claims: Vec::new(),
    }
}

fn api(name: &str) -> ApiName {
    ApiName::parse(name).unwrap()
}

/// One gateway before `orders`, and one that asks for it and for `stock`, by the host.
fn gateways(settings: &mut Settings) {
    let hosts = ["orders", "stock"]
        .map(|name| HostedApi::at(HostName::parse(name).unwrap(), api(name)).unwrap())
        .into();
    let [edge, shop] = [
        ("edge", GatewayApis::One { api: api("orders"), origin: None }),
        ("shop", GatewayApis::ByHost(hosts)),
    ];
    settings.gateways = [edge, shop].map(|(name, apis)| gateway(name, apis)).to_vec();
}

fn spawn() -> TestApp {
    let empty = || "version: 1\n".to_owned();
    let all = policies(&["orders", "stock"], "true");
    spawn_app_with(Setup {
        policies: vec![("orders.yaml", all), ("clients.yaml", empty()), ("jeton.yaml", empty())],
        settings: gateways,
        ..Setup::default()
    })
}

/// The code and message of each error of a reload that was refused.
async fn refused(app: &TestApp) -> Vec<(String, String)> {
    let answer = app.post_reload().await;
    assert_eq!(answer.status(), 422);
    let body: Value = answer.json().await.unwrap();
    let text = |finding: &Value, name: &str| finding[name].as_str().unwrap().to_owned();
    let each = body["findings"].as_array().unwrap().iter().filter(|finding| finding["severity"] == "error");
    each.map(|finding| (text(finding, "code"), text(finding, "message"))).collect()
}

fn missing(by: &str, api: &str, has: &str) -> (String, String) {
    let message = format!("`gateways.{by}`: `{api}` is not an API of the policies: they have {has}");
    ("unknown-api".to_owned(), message)
}

#[actix_web::test]
async fn a_reload_without_the_api_of_a_gateway_is_refused() {
    let app = spawn();
    let form = [("grant_type", "client_credentials"), ("resource", "https://orders.example.com")];
    let answer = app.post_form("/oauth2/token", "operator", &form).await.1;
    let bearer = answer["access_token"].as_str().unwrap();
    let ask = async || {
        let request = app.http.get(app.url("/authz/edge")).bearer_auth(bearer);
        let request = request.header("X-Original-Method", "GET").header("X-Original-URI", "/x");
        request.send().await.unwrap().status().as_u16()
    };
    assert_eq!(ask().await, 200);

    app.write_policy("orders.yaml", &policies(&["stock"], "true"));
    let gone = [missing("edge", "orders", "`jeton`, `stock`"), missing("shop", "orders", "`jeton`, `stock`")];
    assert_eq!(refused(&app).await, gone);
    assert_eq!(ask().await, 200, "the last good ones stay in force");

    app.write_policy("orders.yaml", &policies(&["orders"], "true"));
    assert_eq!(refused(&app).await, [missing("shop", "stock", "`jeton`, `orders`")], "one of several hosts");

    app.write_policy("orders.yaml", &policies(&["orders", "stocks"], "true"));
    assert_eq!(refused(&app).await, [missing("shop", "stock", "`jeton`, `orders`, `stocks`")], "renamed");

    app.write_policy("orders.yaml", &policies(&["stock"], "[orders, stock]"));
    let answer = refused(&app).await;
    assert_eq!(answer, [("unknown-api".to_owned(), "API `orders` is not defined".to_owned())], "introspect");

    app.write_policy("orders.yaml", &policies(&["orders", "stock", "more"], "true"));
    assert_eq!(app.post_reload().await.status(), 200);
}

#[actix_web::test]
async fn a_candidate_without_the_api_of_a_gateway_is_not_compared_with() {
    let app = spawn_app_with(Setup {
        policies: vec![
            ("orders.yaml", policies(&["orders", "stock"], "true")),
            ("clients.yaml", "version: 1\n".to_owned()),
        ],
        settings: |settings| {
            gateways(settings);
            let candidate = settings.policies.dir.with_file_name("candidate");
            std::fs::create_dir(&candidate).unwrap();
            std::fs::write(candidate.join("a.yaml"), policies(&["stock"], "true")).unwrap();
            settings.policies.candidate = Some(candidate);
        },
        ..Setup::default()
    });
    let answer: Value = app.post_reload().await.json().await.unwrap();
    let findings = answer["candidate"]["findings"].as_array().unwrap();
    let messages: Vec<_> = findings.iter().map(|finding| finding["message"].as_str().unwrap()).collect();
    let says = |by, api| missing(by, api, "`jeton`, `stock`").1;
    assert_eq!(messages, [says("edge", "orders"), says("shop", "orders")]);
}

/// `serve` and each command that asks whether policies can be served say the same.
#[test]
fn commands_refuse_what_a_start_refuses() {
    let workplace = Workplace::new();
    let settings = "[gateways.edge]\nkind = \"nginx\"\napi = \"orders\"\ntrusted_peers = [\"127.0.0.1\"]\n\
                    [gateways.jeton]\nkind = \"nginx\"\napi = \"jeton\"\ntrusted_peers = [\"127.0.0.1\"]\n";
    workplace.write("jeton.toml", settings);
    workplace.write("policies/a.yaml", &policies(&["stock"], "true"));
    workplace.write("other/a.yaml", &policies(&["orders"], "true"));
    let (_, says) = missing("edge", "orders", "`jeton`, `stock`");
    let check = workplace.run(&["policies", "check"]).exits(1).shows(&[&says, "unknown-api"]);
    assert_eq!(check.stdout.matches("error").count(), 1, "{check:#?}");
    workplace.run(&["policies", "check", "policies"]).exits(1).shows(&[&says]);
    workplace.run(&["policies", "check", "other"]).exits(0);
    workplace.run(&["serve"]).exits(1).says(&[&says]);
    assert!(!workplace.path("keys").exists(), "nothing is written by a start that is refused");
    let add = ["clients", "add", "new", "--api", "stock", "--scope", "s"];
    workplace.run(&add).exits(1).says(&["nothing was written", &says]);
    // they can be looked at all the same
    let diff = workplace.run(&["policies", "diff", "other", "policies"]);
    assert!(diff.stdout.contains("stock"), "{diff:#?}");
    diff.says(&["a server would refuse these policies"]);
    workplace.run(&["policies", "matrix"]).exits(0).says(&["a server would refuse these policies"]);

    workplace.write("jeton.toml", "");
    workplace.run(&["policies", "check"]).exits(0);
}
