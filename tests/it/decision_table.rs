//! The table of decisions that everything which decides agrees on (`tests/fixtures/decisions`), as Rust decides it.

use std::{fs, path::PathBuf, sync::Arc, time::Duration};

use jeton_jose::PublicKeys;
use jeton_oauth::{ApiName, Issuer, clock::ManualClock};
use jeton_policy::{LivePolicies, Surroundings};
use jeton_verify::{Answer, Authorizer, Principal, Verifier};
use serde_json::{Value, json};

use crate::support::root;

/// The table.
pub(crate) struct DecisionTable(Value);

/// A request of the table.
pub(crate) struct TableCase<'t> {
    /// What it is about.
    pub(crate) name: &'t str,
    pub(crate) method: &'t str,
    pub(crate) target: String,
    /// The values of all `Authorization` headers.
    pub(crate) authorization: Vec<String>,
    /// What it must be answered.
    pub(crate) expected: &'t Value,
}

impl DecisionTable {
    pub(crate) fn read() -> Self {
        let text = fs::read(root().join("tests/fixtures/decisions/cases.json")).unwrap();
        Self(serde_json::from_slice(&text).unwrap())
    }

    pub(crate) fn cases(&self) -> impl Iterator<Item = TableCase<'_>> {
        self.0["cases"].as_array().unwrap().iter().map(|case| TableCase {
            name: case["name"].as_str().unwrap(),
            method: case["method"].as_str().unwrap(),
            target: self.filled_in(&case["target"]),
            authorization: case["authorization"]
                .as_array()
                .unwrap()
                .iter()
                .map(|it| self.filled_in(it))
                .collect(),
            expected: &case["expected"],
        })
    }

    pub(crate) fn issuer(&self) -> &str {
        self.0["issuer"].as_str().unwrap()
    }

    /// Of the key that signed the tokens.
    pub(crate) fn kid(&self) -> &str {
        self.0["jwks"]["keys"][0]["kid"].as_str().unwrap()
    }

    pub(crate) fn policies() -> PathBuf {
        root().join("tests/fixtures/decisions/policies")
    }

    /// The text, with tokens in the place of their names.
    fn filled_in(&self, text: &Value) -> String {
        let mut text = text.as_str().unwrap().to_owned();
        for (name, token) in self.0["tokens"].as_object().unwrap() {
            text = text.replace(&format!("{{{name}}}"), token.as_str().unwrap());
        }
        text
    }

    fn authorizer(&self) -> Authorizer {
        let text = |member: &str| self.0[member].as_str().unwrap();
        let clock = Arc::new(ManualClock::at("2026-12-01T12:00:00Z".parse().unwrap()));
        let (issuer, api) = (Issuer::parse(text("issuer")).unwrap(), ApiName::parse(text("api")).unwrap());
        let folder = Self::policies();
        let surroundings = Surroundings::of_service(&issuer, api.clone());
        let policies = LivePolicies::load(&folder, surroundings, clock.clone()).unwrap();
        let keys = Arc::new(PublicKeys::from_jwks(self.0["jwks"].to_string().as_bytes()).unwrap());
        let verifier = Verifier::new(issuer, keys, Duration::from_secs(30), clock);
        Authorizer::new(verifier.remembering(64), Arc::new(policies), api)
    }
}

fn shown(principal: &Principal) -> Value {
    json!({
        "client": principal.client(),
        "subject": principal.subject_client(),
        "scopes": principal.scopes().iter().map(jeton_oauth::Scope::as_str).collect::<Vec<_>>(),
        "roles": principal.roles(),
        "claims": principal.claims(),
        "token_id": principal.token_id().as_str(),
        "expires_at": principal.expires_at(),
    })
}

fn told(answer: &Answer) -> Value {
    let challenge =
        answer.headers.iter().find(|(name, _)| *name == "WWW-Authenticate").map(|(_, value)| value);
    json!({
        "allowed": answer.is_allowed(),
        "status": answer.status,
        "reason": answer.reason,
        "rule": answer.rule.as_deref(),
        "challenge": challenge,
        "principal": answer.principal.as_ref().map(shown),
    })
}

/// Twice: the second time by what is remembered of the token.
#[tokio::test]
async fn rust_decides_as_the_table_has_it() {
    let table = DecisionTable::read();
    let authorizer = table.authorizer();
    let mut differ = Vec::new();
    let mut count = 0;
    for case in table.cases() {
        count += 1;
        for _ in 0..2 {
            let authorization = case.authorization.iter().map(String::as_bytes);
            let answer = authorizer.answer(case.method, &case.target, authorization).await;
            if told(&answer) != *case.expected {
                differ.push(format!("{}:\n  {}\n  {}", case.name, told(&answer), case.expected));
            }
        }
    }
    assert!(differ.is_empty(), "{} of {count}, and what was expected:\n{}", differ.len(), differ.join("\n"));
    assert!(count > 150, "only {count} cases");
}
