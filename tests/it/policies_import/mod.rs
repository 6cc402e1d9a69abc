//! `jeton policies import` by the real binary.
mod documents;
mod examples;
mod routes;
mod scopes;

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use crate::binary::{Run, Workplace};

/// What a document became.
struct Imported {
    run: Run,
    policies: Value,
}

/// Imports a document with this name, and holds that a server takes what it becomes.
#[track_caller]
fn import_as(name: &str, document: &str, scope_from: &str) -> Imported {
    let workplace = Workplace::new();
    workplace.write(name, document);
    let run = refusal_or_result(&workplace, name, scope_from).exits(0);
    workplace.write("policies/api.yaml", &run.stdout);
    let check = workplace.run(&["policies", "check"]);
    assert_eq!(check.code, Some(0), "{check:#?}\n{}", run.stdout);
    let policies = serde_saphyr::from_str(&run.stdout).unwrap();
    Imported { run, policies }
}

#[track_caller]
fn import(document: &Value, scope_from: &str) -> Imported {
    import_as("api.json", &document.to_string(), scope_from)
}

fn refusal_or_result(workplace: &Workplace, name: &str, scope_from: &str) -> Run {
    let what = ["policies", "import", name, "--scope-from", scope_from];
    workplace.run(&[&what[..], &["--api", "api", "--audience", "https://api.example.com"]].concat())
}

/// A document of these paths.
fn paths(paths: &Value) -> Value {
    json!({ "openapi": "3.0.3", "info": { "title": "Test", "version": "1" }, "paths": paths })
}

impl Imported {
    fn rules(&self) -> Map<String, Value> {
        self.policies["apis"]["api"]["rules"].as_object().cloned().unwrap_or_default()
    }

    /// Every route, with the name of its rule.
    fn routes(&self) -> BTreeMap<String, String> {
        let mut routes = BTreeMap::new();
        for (name, rule) in self.rules() {
            for route in rule["routes"].as_array().unwrap() {
                let twice = routes.insert(route.as_str().unwrap().to_owned(), name.clone());
                assert_eq!(twice, None, "{route} stands twice");
            }
        }
        routes
    }

    /// What a route asks: `public`, or what stands under `require`.
    #[track_caller]
    fn asks(&self, route: &str) -> Value {
        let routes = self.routes();
        let name = routes.get(route).unwrap_or_else(|| panic!("{route} is not in {routes:?}"));
        let rule = &self.rules()[name];
        if rule["public"] == true { json!("public") } else { rule["require"].clone() }
    }

    /// Every scope, with its description.
    fn scopes(&self) -> BTreeMap<String, String> {
        serde_json::from_value(self.policies["scopes"].clone()).unwrap_or_default()
    }
}
