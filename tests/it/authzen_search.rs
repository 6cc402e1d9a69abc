//! The searches of `AuthZEN` 1.0: what they find, and how it comes in pages.
use serde_json::{Value, json};

use crate::{
    authzen::{TICKET, TICKETS, ask, client, path, pep, question, route, spawn},
    support::{Setup, spawn_app_with},
};

#[actix_web::test]
async fn a_search_lists_what_evaluates_to_true() {
    let app = spawn();
    let token = app.token_of("pep", "jeton").await;
    let found = async |searched: &str, question: Value| {
        let (status, answer) = ask(&app, &token, "desk", &format!("search/{searched}"), &question).await;
        assert_eq!(status, 200, "{question}: {answer}");
        let results = answer["results"].as_array().unwrap();
        assert_eq!(
            answer["page"],
            json!({ "next_token": "", "count": results.len(), "total": results.len() })
        );
        let text = |one: &Value| match one["name"].as_str() {
            Some(name) => name.to_owned(),
            None => format!("{} {}", one["type"].as_str().unwrap(), one["id"].as_str().unwrap()),
        };
        results.iter().map(text).collect::<Vec<_>>()
    };
    let typed = |kind: &str| json!({ "type": kind });
    let acme = json!({ "tenant": "acme" });
    let of = |kind: &str, resource: &Value| question(&typed(kind), "GET", resource);
    assert_eq!(found("subject", of("client", &route(TICKETS, &acme))).await, ["client alice", "client bob"]);
    assert_eq!(found("subject", of("client", &route(TICKETS, &json!({})))).await, ["client bob"]);
    assert_eq!(
        found("subject", of("identity", &path("/tenants/42/tickets"))).await,
        ["identity bob", "identity erin"]
    );
    assert_eq!(
        found("subject", of("client", &path("/healthz"))).await,
        ["client alice", "client bob", "client erin", "client frank"]
    );
    let mut named = of("client", &route(TICKETS, &acme));
    named["subject"]["id"] = json!(["ignored"]);
    assert_eq!(found("subject", named).await, ["client alice", "client bob"]);
    for kind in ["bearer", "spaceship"] {
        assert_eq!(found("subject", of(kind, &path("/healthz"))).await, [""; 0]);
    }
    assert_eq!(found("subject", of("client", &json!({ "type": "ship", "id": "x" }))).await, [""; 0]);

    let resources = |who: &str, method: &str, kind: &str, properties: &Value| {
        question(&client(who), method, &json!({ "type": kind, "properties": properties }))
    };
    assert_eq!(
        found("resource", resources("alice", "GET", "route", &acme)).await,
        ["/healthz", TICKETS, TICKET, "/files/**"].map(|id| format!("route {id}"))
    );
    assert_eq!(
        found("resource", resources("alice", "GET", "route", &json!({ "client": "alice" }))).await,
        ["/healthz", "/files/**", "/clients/{client}"].map(|id| format!("route {id}"))
    );
    assert_eq!(
        found("resource", resources("bob", "DELETE", "route", &json!({}))).await,
        [format!("route {TICKET}")]
    );
    assert_eq!(found("resource", resources("alice", "GET", "path", &json!({}))).await, ["path /healthz"]);
    assert_eq!(found("resource", resources("alice", "GET", "ship", &json!({}))).await, [""; 0]);
    assert_eq!(found("resource", resources("alice", "FLY", "route", &acme)).await, [""; 0]);
    assert_eq!(found("resource", resources("carol", "GET", "route", &acme)).await, [""; 0]);

    let actions = |who: &str, resource: Value| json!({ "subject": client(who), "resource": resource });
    assert_eq!(
        found("action", actions("alice", route(TICKET, &acme))).await,
        ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"]
    );
    assert_eq!(found("action", actions("alice", path("/healthz"))).await, ["GET", "HEAD"]);
    assert_eq!(found("action", actions("alice", route(TICKET, &json!({})))).await, [""; 0]);
    assert_eq!(found("action", actions("zoe", path("/healthz"))).await, [""; 0]);

    for (searched, question, says) in [
        ("subject", json!({ "subject": { "type": "client" }, "resource": path("/") }), "`action` is missing"),
        (
            "subject",
            json!({ "subject": {}, "resource": path("/"), "action": { "name": "GET" } }),
            "`subject.type` is missing",
        ),
        ("subject", question(&typed("client"), "GET", &typed("path")), "`resource.id` is missing"),
        ("resource", question(&typed("client"), "GET", &typed("path")), "`subject.id` is missing"),
        (
            "resource",
            json!({ "action": { "name": "GET" }, "resource": typed("path") }),
            "`subject` is missing",
        ),
        ("action", json!({ "subject": typed("client"), "resource": path("/") }), "`subject.id` is missing"),
        ("action", json!({ "subject": client("alice") }), "`resource` is missing"),
        (
            "action",
            json!({ "subject": client("alice"), "resource": path("/"), "page": 1 }),
            "`page` must be an object",
        ),
        (
            "action",
            json!({ "subject": client("alice"), "resource": path("/"), "page": { "limit": -1 } }),
            "`page.limit` must be a whole number",
        ),
        (
            "action",
            json!({ "subject": client("alice"), "resource": path("/"), "page": { "limit": 1.5 } }),
            "`page.limit` must be a whole number",
        ),
        (
            "action",
            json!({ "subject": client("alice"), "resource": path("/"), "page": { "token": 5 } }),
            "`page.token` must be text",
        ),
        (
            "action",
            json!({ "subject": client("alice"), "resource": path("/"), "page": { "token": "AAAA" } }),
            "`page.token`: it is not of this search",
        ),
        (
            "action",
            json!({ "subject": client("alice"), "resource": path("/"), "context": 1 }),
            "`context` must be an object",
        ),
    ] {
        let (status, problem) = ask(&app, &token, "desk", &format!("search/{searched}"), &question).await;
        assert_eq!(status, 400, "{question}: {problem}");
        assert!(problem["detail"].as_str().unwrap().starts_with(says), "{question}: {problem}");
    }
}

#[actix_web::test]
async fn pages_follow_each_other_and_belong_to_one_search() {
    let app = spawn();
    let token = app.token_of("pep", "jeton").await;
    let search = async |question: &Value| ask(&app, &token, "desk", "search/action", question).await;
    let mut question = json!({
        "subject": client("alice"), "resource": route(TICKET, &json!({ "tenant": "acme" })), "page": { "limit": 3 },
    });
    let (mut names, mut pages, mut tokens) = (Vec::new(), Vec::new(), Vec::new());
    loop {
        let (status, answer) = search(&question).await;
        assert_eq!(status, 200, "{answer}");
        let results = answer["results"].as_array().unwrap();
        names.extend(results.iter().map(|one| one["name"].as_str().unwrap().to_owned()));
        pages.push(results.len());
        assert_eq!((&answer["page"]["count"], &answer["page"]["total"]), (&json!(results.len()), &json!(7)));
        let next = answer["page"]["next_token"].as_str().unwrap().to_owned();
        if next.is_empty() {
            break;
        }
        // the limit may be repeated or left out
        question["page"] =
            if tokens.is_empty() { json!({ "token": next }) } else { json!({ "token": next, "limit": 3 }) };
        tokens.push(next);
    }
    assert_eq!(pages, [3, 3, 1]);
    assert_eq!(names, ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"]);

    let changed = |pointer: &str, value: Value| {
        let mut question = question.clone();
        *question.pointer_mut(pointer).unwrap() = value;
        question
    };
    for other in [
        changed("/subject/id", json!("bob")),
        changed("/resource/properties/tenant", json!("globex")),
        changed("/page/limit", json!(4)),
        changed("/page/token", json!(format!("{}A", tokens[0]))),
        changed("/page/token", json!("%")),
    ] {
        assert_eq!(search(&other).await.0, 400, "{other}");
    }
    let (status, _) = ask(&app, &token, "desk", "search/resource", &question).await;
    assert_eq!(status, 400, "of another kind, without an action");

    for (limit, count) in [(json!(0), 0), (json!(7), 7), (json!(u64::MAX), 7)] {
        question["page"] = json!({ "limit": limit });
        let (_, answer) = search(&question).await;
        assert_eq!((&answer["page"]["count"], &answer["page"]["total"]), (&json!(count), &json!(7)));
        assert_eq!(answer["page"]["next_token"].as_str().unwrap().is_empty(), count == 7);
    }
}

/// What a client takes over from another issuer's token counts as in the matrix: where all of its tokens have it.
#[actix_web::test]
async fn a_client_of_another_issuer_has_what_all_its_tokens_have() {
    let rules = [("main", "is: main"), ("either", "in: [main, next]"), ("next", "is: next")];
    let rules = rules.map(|(name, test)| {
        format!("      {name}: {{ routes: [GET /{name}], require: {{ claims: {{ t: {{ {test} }} }} }} }}\n")
    });
    let entry = |refs: &str| {
        format!(
            "    federated: [{{ issuer: ci, claims: {{ id: {{ is: '{}' }}, ref: {{ {refs} }} }}, claims_from: {{ t: ref }} }}]\n    \
             grants: {{ o: {{ scopes: [o:read] }} }}\n",
            refs.len()
        )
    };
    let policies = format!(
        "version: 1
scopes: {{ o:read: x }}
apis:
  o:
    audience: https://o.example.com
    pdp: true
    rules:
{}      segment: {{ routes: ['GET /x/{{t}}'], require: {{ claims: {{ t: {{ same_as_path: t }} }} }} }}
      both: {{ routes: ['GET /y/{{t}}'], require: {{ scope: o:read, claims: {{ t: {{ in: [main, next] }} }} }} }}
issuers:
  ci: {{ issuer: https://ci.example.com, audience: https://tokens.example.com, keys: {{ discover: true }} }}
clients:
  one:
{}  two:
{}",
        rules.concat(),
        entry("is: main"),
        entry("in: [main, next]")
    );
    let policies = vec![("o.yaml", policies), ("pep.yaml", pep())];
    let app = spawn_app_with(Setup { policies, ..Setup::default() });
    let token = app.token_of("pep", "jeton").await;
    let main = json!({ "t": "main" });
    for (who, resource, decision, reason) in [
        ("one", path("/main"), true, "met"),
        ("one", path("/either"), true, "met"),
        ("one", path("/next"), false, "not-met"),
        ("one", path("/x/main"), true, "met"),
        ("one", path("/x/next"), false, "not-met"),
        ("one", route("/x/{t}", &main), true, "met"),
        ("one", route("/x/{t}", &json!({})), false, "not-met"),
        ("one", route("/y/{t}", &json!({})), true, "met"),
        ("two", path("/main"), false, "depends"),
        ("two", path("/either"), true, "met"),
        ("two", path("/x/next"), false, "depends"),
        ("two", path("/x/other"), false, "not-met"),
        ("two", route("/x/{t}", &main), false, "depends"),
        ("two", route("/x/{t}", &json!({})), false, "not-met"),
    ] {
        let (status, answer) =
            ask(&app, &token, "o", "evaluation", &question(&client(who), "GET", &resource)).await;
        assert_eq!(status, 200, "{answer}");
        let told = (&answer["decision"], &answer["context"]["reason"]);
        assert_eq!(told, (&json!(decision), &json!(reason)), "{who} {resource}");
    }
    for (resource, found) in [("/main", vec!["one"]), ("/either", vec!["one", "two"]), ("/next", vec![])] {
        let question = question(&json!({ "type": "client" }), "GET", &path(resource));
        let (_, answer) = ask(&app, &token, "o", "search/subject", &question).await;
        let ids: Vec<_> =
            answer["results"].as_array().unwrap().iter().map(|one| one["id"].as_str().unwrap()).collect();
        assert_eq!(ids, found, "{resource}");
    }
}
