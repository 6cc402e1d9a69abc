//! A question by `AuthZEN`: evaluated alone, as one of several, and searched for.
//!
//! Input: the body, JSON.
#![no_main]

use std::{path::Path, sync::LazyLock};

use jeton::authzen::{BadQuestion, DecisionPoint, Searched};
use jeton_jose::strict_object;
use jeton_oauth::{Audience, Role, Scope};
use jeton_policy::{DemoSecrets, Permissions, PolicySet, PolicySources, Surroundings};
use jiff::Timestamp;
use libfuzzer_sys::fuzz_target;
use serde_json::{Map, Value, json};

const POLICIES: &str = "
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
clients:
  alice: { grants: { desk: { scopes: [desk:read] } }, claims: { tenant: acme, mine: ['7', '8'] } }
  bob: { grants: { desk: { roles: [lead] } } }
  carol: { enabled: false, grants: { desk: { roles: [lead] } } }
  dave: {}
  frank: { anonymous: true, grants: { desk: { scopes: [desk:read] } }, claims: { tenant: '' } }
";
const METHODS: [&str; 7] = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"];

static SET: LazyLock<PolicySet> = LazyLock::new(|| {
    let files = vec![("desk.yaml".into(), POLICIES.as_bytes().to_vec())];
    let sources = PolicySources::of_files(Path::new("policies"), files).expect("they can be read");
    let surroundings = Surroundings {
        issuer: Audience::parse("https://tokens.example.com").expect("an audience"),
        max_ttl: None,
        demo_secrets: DemoSecrets::Refused,
        needed_apis: Vec::new(),
    };
    PolicySet::compile(&sources, &surroundings, Timestamp::constant(1_795_000_000, 0))
        .expect("they are sound")
});

static POINT: LazyLock<DecisionPoint<'static>> =
    LazyLock::new(|| DecisionPoint::of(&SET, "desk").expect("it has a decision point"));

fuzz_target!(|data: &[u8]| {
    let question = strict_object(data).ok();
    match (POINT.evaluation(data), &question) {
        (Ok(answer), Some(question)) => an_answer_is_that_of_the_policies(answer.decision, question),
        (Ok(_), None) => panic!("answered, though it is no question"),
        (Err(error), _) => can_be_told(&error, data),
    }
    several_are_answered_as_each_alone(data, question.as_ref());
    if let Some(question) = question {
        for searched in [Searched::Subject, Searched::Resource, Searched::Action] {
            what_is_found_is_open(searched, &question, data);
        }
    }
});

/// What is told of a question is not longer than it is worth reading.
fn can_be_told(error: &BadQuestion, data: &[u8]) {
    let told = error.to_string();
    assert!(!told.is_empty() && told.len() <= data.len() + 400, "{told:?}");
}

/// By the engine itself, for a bearer and a path, which are asked in as many words.
fn an_answer_is_that_of_the_policies(decision: bool, question: &Map<String, Value>) {
    let text = |entity: &str, member: &str| question.get(entity)?.get(member)?.as_str();
    let (kind, of) = (text("subject", "type"), text("resource", "type"));
    let (Some(method), Some(path)) = (text("action", "name"), text("resource", "id")) else {
        panic!("answered, though something is missing")
    };
    let known =
        matches!(kind, Some("client" | "identity" | "bearer")) && matches!(of, Some("route" | "path"));
    assert!(known || !decision, "nobody knows what that is");
    if kind != Some("bearer") || of != Some("path") {
        return;
    }
    let has = &question["subject"]["properties"];
    let names = |list: &str| has[list].as_array().into_iter().flatten().filter_map(Value::as_str);
    let bearer = Permissions {
        scopes: names("scopes").filter_map(|name| Scope::parse(name).ok()).collect(),
        roles: names("roles").filter_map(|name| Role::parse(name).ok()).collect(),
        claims: has["claims"].as_object().cloned().unwrap_or_default(),
        client: None,
        sub: None,
    };
    let bearer = bearer.with_sub_of_claims().expect("it was answered");
    assert_eq!(POINT.api().decide(method, path, Some(&bearer.subject())).is_allowed(), decision);
    // less opens no more
    let less =
        Permissions { scopes: bearer.scopes.iter().skip(1).cloned().collect(), roles: Vec::new(), ..bearer };
    assert!(decision || !POINT.api().decide(method, path, Some(&less.subject())).is_allowed());
}

fn several_are_answered_as_each_alone(data: &[u8], question: Option<&Map<String, Value>>) {
    let answers = match POINT.evaluations(data) {
        Ok(answers) => answers,
        Err(error) => return can_be_told(&error, data),
    };
    let question = question.expect("it was answered");
    let answers = serde_json::to_value(&answers).expect("it is JSON");
    let Some(items) = question.get("evaluations").and_then(Value::as_array).filter(|items| !items.is_empty())
    else {
        let alone = POINT.evaluation(data).expect("it is one question");
        return assert_eq!(answers, serde_json::to_value(&alone).expect("it is JSON"));
    };
    let answers = answers["evaluations"].as_array().expect("there are several");
    let semantic = question.get("options").and_then(|options| options["evaluations_semantic"].as_str());
    let ends = |answer: &Value| match semantic {
        Some("deny_on_first_deny") => answer["decision"] == json!(false),
        Some("permit_on_first_permit") => answer["decision"] == json!(true),
        _ => false,
    };
    let (last, before) = answers.split_last().expect("one at least is answered");
    assert!(!before.iter().any(ends) && (ends(last) || answers.len() == items.len()));
    for (item, answer) in items.iter().zip(answers).take(8) {
        // the defaults, and above them what it says itself
        let own = item.as_object().cloned().unwrap_or_default();
        let mut whole: Map<String, Value> = question.clone();
        whole.extend(own.into_iter().filter(|(_, value)| !value.is_null()));
        let alone = POINT.evaluation(Value::Object(whole).to_string().as_bytes());
        let alone = item.is_object() && alone.is_ok_and(|answer| answer.decision);
        assert_eq!(answer["decision"], json!(alone), "{item} of {question:?}");
    }
}

/// Everything that is found is open, and nothing that is open is not found.
fn what_is_found_is_open(searched: Searched, question: &Map<String, Value>, data: &[u8]) {
    let search = |question: &Map<String, Value>| {
        let found = POINT.search(searched, Value::Object(question.clone()).to_string().as_bytes());
        found.map(|found| serde_json::to_value(&found).expect("it is JSON"))
    };
    let found = match search(question) {
        Ok(found) => found,
        Err(error) => return can_be_told(&error, data),
    };
    let mut all = question.clone();
    all.remove("page");
    let all = search(&all).expect("the first page is there too");
    let results = all["results"].as_array().expect("a list");
    let on_page = found["results"].as_array().expect("a list");
    assert!(on_page.iter().all(|result| results.contains(result)), "a page has another result");
    assert!(on_page.len() <= results.len() && found["page"]["total"] == all["page"]["total"]);
    let is_open = |entity: &str, member: &str, value: &str| {
        let mut asked = question.clone();
        let Some(Value::Object(it)) = asked.get_mut(entity) else {
            asked.insert(entity.to_owned(), json!({ member: value }));
            return POINT.evaluation(Value::Object(asked).to_string().as_bytes()).is_ok_and(|it| it.decision);
        };
        it.insert(member.to_owned(), value.into());
        POINT.evaluation(Value::Object(asked).to_string().as_bytes()).is_ok_and(|it| it.decision)
    };
    let has = |member: &str, value: &str| results.iter().any(|result| result[member] == json!(value));
    match searched {
        Searched::Action => {
            for method in METHODS {
                assert_eq!(has("name", method), is_open("action", "name", method), "{method} {question:?}");
            }
        }
        Searched::Subject if is_client(question) => {
            for client in ["alice", "bob", "carol", "dave", "frank"] {
                assert_eq!(has("id", client), is_open("subject", "id", client), "{client} {question:?}");
            }
        }
        Searched::Subject => assert!(results.is_empty(), "bearers have no names"),
        Searched::Resource => {
            for result in results {
                let id = result["id"].as_str().expect("a name");
                assert!(is_open("resource", "id", id), "{id} {question:?}");
            }
        }
    }
}

fn is_client(question: &Map<String, Value>) -> bool {
    matches!(question["subject"]["type"].as_str(), Some("client" | "identity"))
}
