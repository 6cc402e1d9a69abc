//! The payload of the `AuthZEN` interop scenario for API gateways gets the answers that it expects. Where it comes from
//! stands in `tests/fixtures/authzen/api-gateways/README.md`.
use std::fs;

use serde_json::{Value, json};

use crate::{
    authzen::{ask, pep},
    support::{Setup, root, spawn_app_with},
};

#[actix_web::test]
async fn every_question_of_the_gateways_gets_its_answer() {
    let folder = root().join("tests/fixtures/authzen/api-gateways");
    let policies = fs::read_to_string(folder.join("policies/todo.yaml")).unwrap();
    let setup = Setup { policies: vec![("todo.yaml", policies), ("pep.yaml", pep())], ..Setup::default() };
    let app = spawn_app_with(setup);
    let token = app.token_of("pep", "jeton").await;
    let decisions: Vec<(String, String, String, bool)> =
        serde_json::from_str(&fs::read_to_string(folder.join("decisions.json")).unwrap()).unwrap();
    assert_eq!(decisions.len(), 25);
    let question = |(user, method, route, _): &(String, String, String, bool)| {
        json!({
            "subject": { "type": "identity", "id": user },
            "action": { "name": method },
            "resource": { "type": "route", "id": route },
        })
    };
    for decision in &decisions {
        let (status, answer) = ask(&app, &token, "todo", "evaluation", &question(decision)).await;
        assert_eq!((status, &answer["decision"]), (200, &json!(decision.3)), "{decision:?}: {answer}");
    }
    let all = json!({ "evaluations": decisions.iter().map(question).collect::<Vec<_>>() });
    let (_, answer) = ask(&app, &token, "todo", "evaluations", &all).await;
    let answers: Vec<_> =
        answer["evaluations"].as_array().unwrap().iter().map(|one| &one["decision"]).collect();
    let expected: Vec<Value> = decisions.iter().map(|decision| decision.3.into()).collect();
    assert_eq!(answers, expected.iter().collect::<Vec<_>>());
}
