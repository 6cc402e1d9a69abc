//! jeton: method and path as they were sent, and what the token carries.

use std::{fmt::Write, fs};

use jeton_oauth::{
    Audience, ScopeSet,
    clock::{Clock, SystemClock},
};
use jeton_policy::{DemoSecrets, PolicySet, PolicySources, Subject, Surroundings};
use serde_json::json;

use super::Allows;
use crate::questions::{SCOPES, TENANT, Table, middle};

/// One file with a rule for each route.
pub(super) fn set_up(table: &Table) -> Allows {
    let mut text = String::from(
        "version: 1\nscopes:\n  a:read: x\napis:\n  big:\n    audience: https://big.example\n    rules:\n",
    );
    for rule in 0..table.rules {
        write!(
            text,
            "      r{rule}:\n        routes: [\"GET /tenants/{{tenant}}/{}/{{id}}\"]\n        require:\n          \
             scope: a:read\n          claims: {{ tenant: {{ same_as_path: tenant }} }}\n",
            middle(rule)
        )
        .unwrap();
    }
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("big.yaml"), text).unwrap();
    let surroundings = Surroundings {
        issuer: Audience::parse("http://127.0.0.1:8080").unwrap(),
        max_ttl: Some(86_400),
        demo_secrets: DemoSecrets::Allowed,
        needed_apis: Vec::new(),
    };
    let set = PolicySet::compile(&PolicySources::read(dir.path()).unwrap(), &surroundings, SystemClock.now())
        .unwrap();

    let scopes = ScopeSet::parse(&SCOPES.join(" ")).unwrap();
    let serde_json::Value::Object(claims) = json!({ "tenant": TENANT, "region": "eu" }) else {
        unreachable!()
    };
    let paths: Vec<String> = table.questions().map(|question| question.path).collect();
    Box::new(move |question| {
        let subject = Subject { client: None, sub: None, scopes: &scopes, roles: &[], claims: &claims };
        set.api("big").unwrap().decide("GET", &paths[question], Some(&subject)).is_allowed()
    })
}
