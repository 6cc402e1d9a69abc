//! `AuthZEN` 1.0 over HTTP: who may ask, what is answered, and what cannot be understood. The table of the working group's
//! certification scenario is followed where it says what must be answered.
use jeton_policy::{ChangeKind, ChangedFor, DiffEffort, DiffSummary};
use reqwest::{RequestBuilder, header};
use serde_json::{Value, json};

use crate::{
    policy_text::compile_good,
    support::{ISSUER, Setup, TestApp, scrape::with_admin, secrets, spawn_app_with},
};

const DESK: &str = "
version: 1
scopes: { desk:read: x, desk:write: x, desk:admin: x }
roles: { lead: [desk:read, desk:write] }
apis:
  desk:
    audience: https://desk.example.com
    pdp: true
    rules:
      health: { routes: [GET /healthz], public: true }
      tickets:
        routes: ['GET /tenants/{tenant}/tickets', 'ANY /tenants/{tenant}/tickets/{ticket}']
        require:
          - scope: desk:read
            claims: { tenant: { same_as_path: tenant } }
          - role: lead
      latest: { routes: ['GET /tenants/{tenant}/tickets/latest'], require: { scope: desk:admin } }
      purge:
        routes: ['POST /tenants/{tenant}/tickets/{ticket}:purge']
        require: { scope: desk:read, claims: { tenant: { same_as_path: tenant }, mine: { contains_path: ticket } } }
      files: { routes: ['GET /files/**'], require: { scope: desk:read } }
      own: { routes: ['GET /clients/{client}'], require: { claims: { sub: { same_as_path: client } } } }
  closed:
    audience: https://closed.example.com
    rules: { all: { routes: [GET /], require: { scope: desk:read } } }
clients:
  alice: { grants: { desk: { scopes: [desk:read] } }, claims: { tenant: acme, mine: ['7', '8'] } }
  bob: { grants: { desk: { roles: [lead] } } }
  carol: { enabled: false, grants: { desk: { roles: [lead] } } }
  dave: { grants: { closed: { scopes: [desk:read] } } }
  erin: { grants: { desk: { scopes: [desk:read] } }, claims: { tenant: 42 } }
  frank: { anonymous: true, grants: { desk: { scopes: [desk:read] } }, claims: { tenant: '' } }
";

/// A client that may ask, and one that may not.
pub(crate) fn pep() -> String {
    format!(
        "version: 1\nclients:\n  pep:\n    {}\n    grants: {{ jeton: {{ scopes: [jeton:pdp] }} }}\n  nosy:\n    {}\n    \
         grants: {{ jeton: {{ scopes: [jeton:principal, jeton:ops] }} }}\n",
        secrets("pep"),
        secrets("nosy")
    )
}

pub(crate) fn spawn() -> TestApp {
    let policies = vec![("desk.yaml", DESK.to_owned()), ("pep.yaml", pep())];
    spawn_app_with(Setup { policies, settings: with_admin, ..Setup::default() })
}

fn post(app: &TestApp, api: &str, endpoint: &str) -> RequestBuilder {
    app.http.post(app.url(&format!("/authzen/{api}/access/v1/{endpoint}")))
}

/// Asks, and what came.
pub(crate) async fn ask(
    app: &TestApp,
    token: &str,
    api: &str,
    endpoint: &str,
    question: &Value,
) -> (u16, Value) {
    let answer = post(app, api, endpoint).bearer_auth(token).json(question).send().await.unwrap();
    let status = answer.status().as_u16();
    let is_json = answer.headers()[header::CONTENT_TYPE].to_str().unwrap().to_owned();
    assert_eq!(is_json, if status == 200 { "application/json" } else { "application/problem+json" });
    (status, answer.json().await.unwrap())
}

pub(crate) fn question(subject: &Value, method: &str, resource: &Value) -> Value {
    json!({ "subject": subject, "action": { "name": method }, "resource": resource })
}

pub(crate) fn client(id: &str) -> Value {
    json!({ "type": "client", "id": id })
}

fn bearer(properties: &Value) -> Value {
    json!({ "type": "bearer", "id": "anybody", "properties": properties })
}

pub(crate) fn route(pattern: &str, properties: &Value) -> Value {
    json!({ "type": "route", "id": pattern, "properties": properties })
}

pub(crate) fn path(path: &str) -> Value {
    json!({ "type": "path", "id": path })
}

pub(crate) const TICKETS: &str = "/tenants/{tenant}/tickets";
pub(crate) const TICKET: &str = "/tenants/{tenant}/tickets/{ticket}";
const PURGE: &str = "/tenants/{tenant}/tickets/{ticket}:purge";

/// No token is seen: the decision is that of the rules, and the answer says which tokens the API takes.
#[actix_web::test]
async fn an_answer_says_that_the_api_takes_bound_tokens_only() {
    for bound in [false, true] {
        let text = if bound {
            DESK.replace("    pdp: true\n", "    pdp: true\n    bound_tokens: true\n")
        } else {
            DESK.to_owned()
        };
        let policies = vec![("desk.yaml", text), ("pep.yaml", pep())];
        let app = spawn_app_with(Setup { policies, settings: with_admin, ..Setup::default() });
        let token = app.token_of("pep", "jeton").await;
        let said = bound.then_some(&Value::Bool(true));
        let tickets = || path("/tenants/acme/tickets");
        for (name, question, decision, reason) in [
            ("met", question(&client("alice"), "GET", &tickets()), true, "met"),
            (
                "not met",
                question(&client("alice"), "GET", &path("/tenants/globex/tickets")),
                false,
                "not-met",
            ),
            ("public", question(&client("alice"), "GET", &path("/healthz")), true, "public"),
            ("a bearer", question(&bearer(&json!({ "roles": ["lead"] })), "GET", &tickets()), true, "met"),
            ("a route", question(&client("bob"), "GET", &route(TICKETS, &json!({}))), true, "met"),
            ("nobody", question(&client("carol"), "GET", &tickets()), false, "disabled-client"),
            ("nothing", question(&client("bob"), "GET", &path("/none")), false, "no-route"),
        ] {
            let (_, answer) = ask(&app, &token, "desk", "evaluation", &question).await;
            let context = &answer["context"];
            assert_eq!(
                (&answer["decision"], &context["reason"]),
                (&decision.into(), &reason.into()),
                "{name}: {answer}"
            );
            assert_eq!(
                (&context["basis"], context.get("bound_tokens")),
                (&"policy".into(), said),
                "{name}: {answer}"
            );
            let several = json!({ "evaluations": [question] });
            let (_, answers) = ask(&app, &token, "desk", "evaluations", &several).await;
            assert_eq!(answers["evaluations"][0], answer, "{name}");
        }
    }
}

#[actix_web::test]
async fn policies_answer_and_say_why() {
    let app = spawn();
    let token = app.token_of("pep", "jeton").await;
    let nothing = json!({});
    let acme = json!({ "tenant": "acme" });
    let all = json!({ "scopes": ["desk:read", "desk:write", "desk:admin"], "roles": ["lead"], "claims": { "tenant": "acme" } });
    let reader = json!({ "scopes": ["desk:read"], "claims": { "tenant": "acme", "sub": "zoe" } });
    for (subject, method, resource, expected) in [
        // a client with all that it is granted, on paths
        (client("alice"), "GET", path("/tenants/acme/tickets"), "true met tickets"),
        (client("alice"), "GET", path("/tenants/acme/tickets?page=2"), "true met tickets"),
        (client("alice"), "GET", path("/tenants/globex/tickets"), "false not-met tickets"),
        (client("alice"), "GET", path("/tenants/acme/tickets/latest"), "false not-met latest"),
        (client("alice"), "GET", path("/tenants/acme/../tickets"), "false bad-path -"),
        (client("alice"), "GET", path("tenants"), "false bad-path -"),
        (client("alice"), "GET", path("/none"), "false no-route -"),
        (client("alice"), "get", path("/tenants/acme/tickets"), "false bad-method -"),
        (client("alice"), "TRACE", path("/tenants/acme/tickets"), "false bad-method -"),
        (client("alice"), "GET", path("/healthz"), "true public health"),
        (client("bob"), "DELETE", path("/tenants/globex/tickets/1"), "true met tickets"),
        // its properties say nothing
        (
            json!({ "type": "client", "id": "alice", "properties": all }),
            "GET",
            path("/tenants/globex/tickets"),
            "false not-met tickets",
        ),
        (
            json!({ "type": "identity", "id": "alice" }),
            "GET",
            path("/tenants/acme/tickets"),
            "true met tickets",
        ),
        // whoever has nothing here, has nothing of what is public either
        (client("carol"), "GET", path("/healthz"), "false disabled-client -"),
        (client("dave"), "GET", path("/healthz"), "false no-grant -"),
        (client("zoe"), "GET", path("/healthz"), "false unknown-subject -"),
        (client(""), "GET", path("/healthz"), "false unknown-subject -"),
        (json!({ "type": "user", "id": "alice" }), "GET", path("/healthz"), "false unknown-subject -"),
        (json!({ "type": "CLIENT", "id": "alice" }), "GET", path("/healthz"), "false unknown-subject -"),
        // a bearer of just this
        (bearer(&reader), "GET", path("/tenants/acme/tickets"), "true met tickets"),
        (bearer(&reader), "GET", path("/tenants/globex/tickets"), "false not-met tickets"),
        (bearer(&reader), "GET", path("/clients/zoe"), "true met own"),
        (bearer(&reader), "GET", path("/clients/alice"), "false not-met own"),
        (bearer(&json!({ "roles": ["lead"] })), "GET", path("/files/a"), "false not-met files"),
        (
            json!({ "type": "bearer", "properties": { "scopes": ["desk:read"] } }),
            "GET",
            path("/files/a"),
            "true met files",
        ),
        (bearer(&json!({ "scopes": ["no:such"] })), "GET", path("/files/a"), "false not-met files"),
        (bearer(&nothing), "GET", path("/healthz"), "true public health"),
        (json!({ "type": "bearer", "id": "" }), "GET", path("/files/a"), "false not-met files"),
        // a pattern: its rule decides, also where another one would take the path
        (client("alice"), "GET", route(TICKETS, &acme), "true met tickets"),
        (client("alice"), "GET", route(TICKETS, &json!({ "tenant": "globex" })), "false not-met tickets"),
        (client("alice"), "GET", route(TICKETS, &nothing), "false not-met tickets"),
        (client("bob"), "GET", route(TICKETS, &nothing), "true met tickets"),
        (client("alice"), "GET", json!({ "type": "route", "id": TICKETS }), "false not-met tickets"),
        (
            client("alice"),
            "GET",
            route(TICKET, &json!({ "tenant": "acme", "ticket": "latest" })),
            "true met tickets",
        ),
        (client("alice"), "DELETE", route(TICKET, &acme), "true met tickets"),
        (client("alice"), "GET", route("/tenants/{tenant}/tickets/latest", &acme), "false not-met latest"),
        (client("alice"), "HEAD", route(TICKETS, &acme), "true met tickets"),
        (client("alice"), "POST", route(TICKETS, &acme), "false no-route -"),
        (client("alice"), "GET", route("/files/**", &nothing), "true met files"),
        (client("alice"), "GET", route("/healthz", &nothing), "true public health"),
        (client("alice"), "GET", route("/files/{file}", &nothing), "false no-route -"),
        (client("alice"), "GET", route("/tenants/acme/tickets", &nothing), "false no-route -"),
        (client("alice"), "GET", route("files/**", &nothing), "false no-route -"),
        (client("alice"), "GET", route("/files/{a", &nothing), "false no-route -"),
        (client("alice"), "GET", route("", &nothing), "false no-route -"),
        (client("alice"), "GET", route(&format!("GET {TICKETS}"), &acme), "false no-route -"),
        // the same pattern, whatever its parameters are called
        (client("alice"), "GET", route("/tenants/{t}/tickets", &json!({ "t": "acme" })), "true met tickets"),
        (client("alice"), "GET", route("/tenants/{t}/tickets", &acme), "false not-met tickets"),
        // with endings
        (
            client("alice"),
            "POST",
            route(PURGE, &json!({ "tenant": "acme", "ticket": "7" })),
            "true met purge",
        ),
        (client("alice"), "POST", route(PURGE, &json!({ "tenant": "acme", "ticket": 7 })), "true met purge"),
        (
            client("alice"),
            "POST",
            route(PURGE, &json!({ "tenant": "acme", "ticket": "9" })),
            "false not-met purge",
        ),
        (client("alice"), "POST", route(PURGE, &acme), "false not-met purge"),
        // values as paths have them, and nothing that no path can have
        (client("erin"), "GET", route(TICKETS, &json!({ "tenant": "42" })), "true met tickets"),
        (client("erin"), "GET", route(TICKETS, &json!({ "tenant": 42 })), "true met tickets"),
        (client("erin"), "GET", route(TICKETS, &json!({ "tenant": 42.0 })), "false not-met tickets"),
        (client("frank"), "GET", route(TICKETS, &json!({ "tenant": "" })), "false not-met tickets"),
        (client("frank"), "GET", route(TICKETS, &nothing), "false not-met tickets"),
        (client("frank"), "GET", route(TICKETS, &json!({ "tenant": "x" })), "false not-met tickets"),
        (
            bearer(&json!({ "scopes": ["desk:read"], "claims": { "tenant": "x" } })),
            "GET",
            route(TICKETS, &nothing),
            "false not-met tickets",
        ),
        (
            bearer(&json!({ "scopes": ["desk:read"], "claims": { "tenant": ".." } })),
            "GET",
            route(TICKETS, &json!({ "tenant": ".." })),
            "false bad-path -",
        ),
        (
            bearer(&json!({ "scopes": ["desk:read"], "claims": { "tenant": "a/b" } })),
            "GET",
            route(TICKETS, &json!({ "tenant": "a/b" })),
            "false bad-path -",
        ),
        (client("alice"), "GET", route(TICKETS, &json!({ "tenant": ["acme"] })), "false not-met tickets"),
        (client("alice"), "GET", route(TICKETS, &json!({ "tenant": null })), "false not-met tickets"),
        (client("alice"), "GET", json!({ "type": "document", "id": "/healthz" }), "false unknown-resource -"),
    ] {
        let question = question(&subject, method, &resource);
        let (status, answer) = ask(&app, &token, "desk", "evaluation", &question).await;
        assert_eq!(status, 200, "{question}: {answer}");
        let context = &answer["context"];
        let told = format!(
            "{} {} {}",
            answer["decision"],
            context["reason"].as_str().unwrap(),
            context["rule"].as_str().unwrap_or("-")
        );
        assert_eq!(told, expected, "{question}");
        assert_eq!(context["basis"], "policy", "{question}");
    }
}

#[actix_web::test]
async fn who_may_not_ask_is_not_answered() {
    let app = spawn();
    let (pep, nosy) = (app.token_of("pep", "jeton").await, app.token_of("nosy", "jeton").await);
    let other = app.token_of("acme-sync", "orders").await;
    let asked = question(&client("alice"), "GET", &path("/healthz"));
    for endpoint in ["evaluation", "evaluations", "search/subject", "search/resource", "search/action"] {
        for (token, api, status) in [
            (None, "desk", 401),
            (Some(""), "desk", 401),
            (Some("x.y.z"), "desk", 401),
            (Some(other.as_str()), "desk", 401),
            (Some(nosy.as_str()), "desk", 403),
            (Some(nosy.as_str()), "closed", 403),
            (Some(pep.as_str()), "closed", 404),
            (Some(pep.as_str()), "nothing", 404),
            (Some(pep.as_str()), "jeton", 404),
            (Some(pep.as_str()), "desk", 200),
            (Some(pep.as_str()), "d%65sk", 200),
        ] {
            let mut request = post(&app, api, endpoint).json(&asked).header("x-request-id", "id of \"mine\"");
            if let Some(token) = token {
                request = request.header(header::AUTHORIZATION, format!("Bearer {token}"));
            }
            let answer = request.send().await.unwrap();
            let expected = if status == 401 && token == Some("") { [400, 401] } else { [status, status] };
            assert!(expected.contains(&answer.status().as_u16()), "{endpoint} {api} {token:?} {answer:?}");
            assert_eq!(answer.headers()["x-request-id"], "id of \"mine\"", "{endpoint} {api} {status}");
            assert_eq!(
                answer.headers().contains_key(header::WWW_AUTHENTICATE),
                [401, 403].contains(&status) || token == Some("")
            );
        }
    }
    let answer = post(&app, "desk", "evaluation").bearer_auth(&pep).json(&asked).send().await.unwrap();
    assert!(!answer.headers().contains_key("x-request-id"));
}

#[actix_web::test]
async fn what_cannot_be_understood_is_named() {
    let app = spawn();
    let token = app.token_of("pep", "jeton").await;
    let whole = question(&client("alice"), "GET", &path("/healthz"));
    let with = |pointer: &str, value: Value| {
        let mut question = whole.clone();
        let (parent, name) = pointer.rsplit_once('/').unwrap();
        question.pointer_mut(parent).unwrap().as_object_mut().unwrap().insert(name.to_owned(), value);
        question
    };
    let bearer = |properties: Value| {
        with("/subject", json!({ "type": "bearer", "id": "x", "properties": properties }))
    };
    for (question, says) in [
        (json!([]), "the body must be a JSON object"),
        (json!("x"), "the body must be a JSON object"),
        (json!({}), "`subject` is missing"),
        (with("/subject", json!(null)), "`subject` is missing"),
        (with("/subject", json!("alice")), "`subject` must be an object"),
        (with("/subject", json!({ "id": "alice" })), "`subject.type` is missing"),
        (with("/subject", json!({ "type": "client" })), "`subject.id` is missing"),
        (with("/subject/id", json!(5)), "`subject.id` must be text"),
        (with("/subject/type", json!(["client"])), "`subject.type` must be text"),
        (with("/subject/properties", json!([])), "`subject.properties` must be an object"),
        (with("/resource", json!(null)), "`resource` is missing"),
        (with("/resource", json!({ "id": "/" })), "`resource.type` is missing"),
        (with("/resource", json!({ "type": "path" })), "`resource.id` is missing"),
        (with("/resource/properties", json!("x")), "`resource.properties` must be an object"),
        (with("/action", json!(null)), "`action` is missing"),
        (with("/action", json!({})), "`action.name` is missing"),
        (with("/action/name", json!(123)), "`action.name` must be text"),
        (with("/action/properties", json!(1)), "`action.properties` must be an object"),
        (with("/context", json!("now")), "`context` must be an object"),
        (bearer(json!({ "scopes": "desk:read" })), "`subject.properties.scopes` must be a list of texts"),
        (bearer(json!({ "scopes": [1] })), "`subject.properties.scopes` must be a list of texts"),
        (bearer(json!({ "scopes": ["a b"] })), "`subject.properties.scopes`: "),
        (bearer(json!({ "roles": {} })), "`subject.properties.roles` must be a list of texts"),
        (bearer(json!({ "claims": [] })), "`subject.properties.claims` must be an object"),
        (bearer(json!({ "claims": { "sub": 1 } })), "`subject.properties.claims`: "),
    ] {
        for endpoint in ["evaluation", "evaluations"] {
            let (status, problem) = ask(&app, &token, "desk", endpoint, &question).await;
            assert_eq!(status, 400, "{question}: {problem}");
            let detail = problem["detail"].as_str().unwrap();
            assert!(detail.starts_with(says), "{question}: {detail}");
        }
    }
    for (content_type, body, status) in [
        ("application/json", "", 400),
        ("application/json", "{", 400),
        (
            "application/json",
            r#"{"subject":{"type":"client","id":"alice"},"action":{"name":"GET","name":"PUT"},"resource":{"type":"path","id":"/"}}"#,
            400,
        ),
        ("text/plain", "{}", 400),
        ("application/x-www-form-urlencoded", "{}", 400),
        ("application/jsonp", "{}", 400),
        ("application/json", &format!("{{\"x\":\"{}\"}}", "x".repeat(17_000)), 413),
        ("application/json", &"[".repeat(10_000), 400),
    ] {
        let request =
            post(&app, "desk", "evaluation").bearer_auth(&token).header(header::CONTENT_TYPE, content_type);
        let answer = request.body(body.to_owned()).send().await.unwrap();
        assert_eq!(answer.status(), status, "{content_type} {body:.80}");
    }
    let (status, answer) = ask(&app, &token, "desk", "evaluation", &with("/context", json!(null))).await;
    assert_eq!((status, &answer["decision"]), (200, &json!(true)), "what may be left out may be null");
    let unknown = with("/later", json!({ "subject": 5 }));
    assert_eq!(ask(&app, &token, "desk", "evaluation", &unknown).await.1["decision"], true);
    let request = post(&app, "desk", "evaluation").bearer_auth(&token);
    let request = request.header(header::CONTENT_TYPE, "Application/JSON; charset=utf-8");
    assert_eq!(request.body(whole.to_string()).send().await.unwrap().status(), 200);
}

#[actix_web::test]
async fn several_questions_are_answered_in_their_order() {
    let app = spawn();
    let token = app.token_of("pep", "jeton").await;
    let decisions = async |question: Value| {
        let (status, answer) = ask(&app, &token, "desk", "evaluations", &question).await;
        assert_eq!(status, 200, "{question}: {answer}");
        assert!(answer.get("decision").is_none());
        let each = answer["evaluations"].as_array().unwrap().iter();
        each.map(|one| one["decision"].as_bool().unwrap()).collect::<Vec<_>>()
    };
    let (alice, acme, globex) =
        (client("alice"), path("/tenants/acme/tickets"), path("/tenants/globex/tickets"));
    let defaults = question(&alice, "GET", &acme);
    let with = |items: Value, options: Value| {
        let mut question = defaults.clone();
        question["evaluations"] = items;
        question["options"] = options;
        question
    };
    let mixed = json!([{}, { "resource": globex }, { "subject": client("bob"), "resource": globex }, { "action": { "name": "PUT" } }]);
    for (semantic, expected) in [
        (json!(null), vec![true, false, true, false]),
        (json!({}), vec![true, false, true, false]),
        (json!({ "evaluations_semantic": "execute_all", "other": 1 }), vec![true, false, true, false]),
        (json!({ "evaluations_semantic": "deny_on_first_deny" }), vec![true, false]),
        (json!({ "evaluations_semantic": "permit_on_first_permit" }), vec![true]),
    ] {
        assert_eq!(decisions(with(mixed.clone(), semantic.clone())).await, expected, "{semantic}");
    }
    let denied_first = json!([{ "resource": globex }, {}, { "resource": globex }]);
    let permit = json!({ "evaluations_semantic": "permit_on_first_permit" });
    assert_eq!(decisions(with(denied_first, permit)).await, [false, true]);

    // a whole entity takes the place of a whole default: nothing of both is put together
    let (_, answer) = ask(
        &app,
        &token,
        "desk",
        "evaluations",
        &with(json!([{ "resource": { "type": "path" } }, 5, {}]), json!({})),
    )
    .await;
    let [missing, no_object, good] = answer["evaluations"].as_array().unwrap().as_slice() else {
        panic!("{answer}")
    };
    assert_eq!(missing["decision"], false);
    assert_eq!(missing["context"]["error"]["status"], 400);
    assert!(
        missing["context"]["error"]["message"]
            .as_str()
            .unwrap()
            .starts_with("`evaluations[0].resource.id` is missing")
    );
    assert!(
        no_object["context"]["error"]["message"]
            .as_str()
            .unwrap()
            .starts_with("`evaluations[1]` must be an object")
    );
    assert_eq!(good["decision"], true);
    let first_bad =
        with(json!([{ "resource": 5 }, {}]), json!({ "evaluations_semantic": "deny_on_first_deny" }));
    assert_eq!(decisions(first_bad).await, [false], "what fails is a denial");
    let without_defaults =
        json!({ "evaluations": [defaults, { "subject": alice, "action": { "name": "GET" } }] });
    assert_eq!(decisions(without_defaults).await, [true, false]);

    // without any it is a single question
    for items in [json!([]), json!(null)] {
        let (status, answer) = ask(&app, &token, "desk", "evaluations", &with(items, json!({}))).await;
        assert_eq!((status, &answer["decision"]), (200, &json!(true)));
        assert!(answer.get("evaluations").is_none());
    }
    for (bad, says) in [
        (with(json!({}), json!({})), "`evaluations` must be a list of objects"),
        (with(json!([{}]), json!([])), "`options` must be an object"),
        (
            with(json!([{}]), json!({ "evaluations_semantic": "any" })),
            "`options.evaluations_semantic`: write",
        ),
        (
            with(json!([{}]), json!({ "evaluations_semantic": 1 })),
            "`options.evaluations_semantic` must be text",
        ),
        (with(json!(vec![json!({}); 1001]), json!({})), "`evaluations`: 1001 questions"),
        (
            json!({ "subject": { "type": "client" }, "evaluations": [{ "subject": alice }] }),
            "`subject.id` is missing",
        ),
    ] {
        let (status, problem) = ask(&app, &token, "desk", "evaluations", &bad).await;
        assert_eq!(status, 400);
        assert!(problem["detail"].as_str().unwrap().starts_with(says), "{problem}");
    }
    assert_eq!(decisions(with(json!(vec![json!({}); 1000]), json!({}))).await, [true; 1000]);
}

#[actix_web::test]
async fn metadata_say_where_to_ask() {
    for issuer in [ISSUER, "http://127.0.0.1:8080/tokens"] {
        let policies = vec![("desk.yaml", DESK.to_owned()), ("pep.yaml", pep())];
        let app = spawn_app_with(Setup { issuer: issuer.to_owned(), policies, ..Setup::default() });
        let prefix = if issuer == ISSUER { "" } else { "/tokens" };
        let answer = app.get(&format!("/.well-known/authzen-configuration{prefix}/authzen/desk")).await;
        assert_eq!(answer.status(), 200);
        assert_eq!(answer.headers()[header::CONTENT_TYPE], "application/json");
        let metadata: Value = answer.json().await.unwrap();
        let base = format!("{issuer}/authzen/desk");
        assert_eq!(
            metadata,
            json!({
                "policy_decision_point": base,
                "access_evaluation_endpoint": format!("{base}/access/v1/evaluation"),
                "access_evaluations_endpoint": format!("{base}/access/v1/evaluations"),
                "search_subject_endpoint": format!("{base}/access/v1/search/subject"),
                "search_resource_endpoint": format!("{base}/access/v1/search/resource"),
                "search_action_endpoint": format!("{base}/access/v1/search/action"),
            })
        );
        for api in ["closed", "jeton", "nothing", "desk/", "desk/more", ""] {
            let answer = app.get(&format!("/.well-known/authzen-configuration{prefix}/authzen/{api}")).await;
            assert_eq!(answer.status(), 404, "{api}");
        }
        // below the issuer's path too
        let answer =
            app.http.post(app.url(&format!("{prefix}/authzen/desk/access/v1/evaluation"))).send().await;
        assert_eq!(answer.unwrap().status(), 401);
    }
}

/// A question is no request: it is not counted or logged as one at the API that it is about, and adds no series.
#[actix_web::test]
async fn questions_are_counted_where_they_are_asked() {
    let app = spawn();
    let token = app.token_of("pep", "jeton").await;
    let round = async |ids: [&str; 3]| {
        for id in ids {
            for kind in ["client", "bearer", id] {
                let subject = json!({ "type": kind, "id": id });
                let question = question(&subject, &format!("METHOD-{id}"), &path(&format!("/{id}")));
                assert_eq!(ask(&app, &token, "desk", "evaluation", &question).await.0, 200);
                assert_eq!(ask(&app, &token, "desk", "search/resource", &question).await.0, 200);
                assert_eq!(ask(&app, &token, id, "evaluation", &question).await.0, 404);
            }
        }
        app.scrape().await
    };
    round(["alice", "nobody-1", "nobody-2"]).await;
    let first = app.scrape().await;
    let decisions = first.of("jeton_decisions_total").into_iter().filter(|(_, count)| *count > 0.0);
    assert_eq!(decisions.collect::<Vec<_>>(), [("api=\"jeton\",rule=\"pdp\",outcome=\"allowed\"", 27.0)]);
    let second = round(["bob", "nobody-3", "nobody-4"]).await;
    assert_eq!(first.labels(), second.labels());
}

/// Whoever reviews an edit sees that questions about an API are answered from now on.
#[test]
fn an_edit_that_lets_ask_widens() {
    let files = |pdp: &str| {
        compile_good(&format!(
            "version: 1\napis: {{ desk: {{ audience: https://desk.example.com{pdp} }} }}\n"
        ))
    };
    let (off, on, said_off) = (files(""), files(", pdp: true"), files(", pdp: false"));
    for (old, new, summary) in [
        (&off, &on, DiffSummary::Widens),
        (&said_off, &on, DiffSummary::Widens),
        (&on, &off, DiffSummary::Narrows),
        (&on, &on, DiffSummary::Neither),
        (&off, &said_off, DiffSummary::Neither),
    ] {
        let difference = old.difference(new, DiffEffort::Whole).unwrap();
        assert_eq!(difference.summary, summary, "{difference}");
        let of_desk: Vec<_> =
            difference.changes.iter().filter(|change| change.api.as_deref() == Some("desk")).collect();
        let who = ChangedFor::AnyTokenWith("scope: jeton:pdp".to_owned());
        assert!(of_desk.iter().all(|change| (change.kind, &change.who) == (ChangeKind::Pdp, &who)));
        assert_eq!(of_desk.len(), usize::from(summary != DiffSummary::Neither), "{difference}");
        // with the first such API, the rule about questions comes
        let others = difference.changes.iter().filter(|change| change.api.as_deref() == Some("jeton"));
        assert!(others.clone().all(|change| change.kind == ChangeKind::Route && change.who == who));
        assert_eq!(others.count(), of_desk.len() * 5, "{difference}");
    }
    // an API that is new is new to questions, too
    let none = compile_good("version: 1\n");
    assert_eq!(none.difference(&on, DiffEffort::Whole).unwrap().summary, DiffSummary::Widens);
}
