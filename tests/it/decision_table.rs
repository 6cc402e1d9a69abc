//! The table of decisions that everything which decides agrees on (`tests/fixtures/decisions`), as Rust decides it.

use std::{collections::HashMap, fs, path::PathBuf, sync::Arc, time::Duration};

use base64::{Engine, prelude::BASE64_STANDARD};
use jeton_jose::PublicKeys;
use jeton_oauth::{ApiName, Issuer, clock::ManualClock};
use jeton_policy::{LivePolicies, Surroundings};
use jeton_verify::{Answer, Authorizer, Origin, Principal, Shown, Verifier, certificate_thumbprint};
use jiff::Timestamp;
use serde_json::{Value, json};

use crate::support::root;

/// The table.
pub(crate) struct DecisionTable(Value);

/// A request of the table.
#[derive(Clone)]
pub(crate) struct TableCase<'t> {
    /// What it is about.
    pub(crate) name: &'t str,
    pub(crate) method: &'t str,
    pub(crate) target: String,
    /// The values of all `Authorization` headers.
    pub(crate) authorization: Vec<String>,
    /// Those of all `DPoP` headers.
    pub(crate) dpop: Vec<&'t str>,
    /// The client's certificate, in DER.
    pub(crate) certificate: Option<Vec<u8>>,
    /// Which service is asked.
    pub(crate) service: TableService<'t>,
    /// What it must be answered.
    pub(crate) expected: &'t Value,
    /// What it must be answered the second time.
    pub(crate) again: &'t Value,
}

/// A service that the table asks.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct TableService<'t> {
    pub(crate) api: &'t str,
    /// Where it is, if it knows that.
    pub(crate) origin: Option<&'t str>,
}

impl DecisionTable {
    pub(crate) fn read() -> Self {
        let text = fs::read(root().join("tests/fixtures/decisions/cases.json")).unwrap();
        Self(serde_json::from_slice(&text).unwrap())
    }

    pub(crate) fn cases(&self) -> impl Iterator<Item = TableCase<'_>> {
        let cases = ["cases", "possession"].into_iter().flat_map(|list| self.0[list].as_array().unwrap());
        cases.map(|case| {
            let member = |name: &str| case.get(name).unwrap_or(&self.0[name]);
            let certificate =
                case.get("certificate").map(|name| &self.0["certificates"][name.as_str().unwrap()]);
            TableCase {
                name: case["name"].as_str().unwrap(),
                method: case["method"].as_str().unwrap(),
                target: self.filled_in(&case["target"]),
                authorization: items(&case["authorization"]).map(|it| self.filled_in(it)).collect(),
                dpop: case.get("dpop").into_iter().flat_map(items).map(|it| it.as_str().unwrap()).collect(),
                certificate: certificate.map(|der| BASE64_STANDARD.decode(der.as_str().unwrap()).unwrap()),
                service: TableService {
                    api: member("api").as_str().unwrap(),
                    origin: member("origin").as_str(),
                },
                expected: &case["expected"],
                again: case.get("again").unwrap_or(&case["expected"]),
            }
        })
    }

    /// Those that its cases ask.
    pub(crate) fn services(&self) -> Vec<TableService<'_>> {
        let mut services = Vec::new();
        for case in self.cases() {
            if !services.contains(&case.service) {
                services.push(case.service);
            }
        }
        services
    }

    /// The time at which its proofs were made.
    pub(crate) fn now(&self) -> Timestamp {
        Timestamp::from_second(self.0["now"].as_i64().unwrap()).unwrap()
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

    fn authorizer(&self, service: TableService<'_>) -> Authorizer {
        let clock = Arc::new(ManualClock::at(self.now()));
        let (issuer, api) = (Issuer::parse(self.issuer()).unwrap(), ApiName::parse(service.api).unwrap());
        let folder = Self::policies();
        let surroundings = Surroundings::of_service(&issuer, api.clone());
        let policies = LivePolicies::load(&folder, surroundings, clock.clone()).unwrap();
        let keys = Arc::new(PublicKeys::from_jwks(self.0["jwks"].to_string().as_bytes()).unwrap());
        let verifier = Verifier::new(issuer, keys, Duration::from_secs(30), clock);
        let authorizer = Authorizer::new(verifier.remembering(64), Arc::new(policies), api);
        match service.origin {
            Some(origin) => authorizer.with_origin(Origin::parse(origin).unwrap()),
            None => authorizer,
        }
    }
}

fn items(list: &Value) -> impl Iterator<Item = &Value> {
    list.as_array().unwrap().iter()
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

/// Twice: the second time by what is remembered of tokens and proofs.
#[tokio::test]
async fn rust_decides_as_the_table_has_it() {
    let table = DecisionTable::read();
    let mut services = HashMap::new();
    let mut differ = Vec::new();
    let mut count = 0;
    for case in table.cases() {
        count += 1;
        let authorizer = services.entry(case.service).or_insert_with(|| table.authorizer(case.service));
        for expected in [case.expected, case.again] {
            let authorization = case.authorization.iter().map(String::as_bytes);
            let shown = Shown::of_headers(case.dpop.iter().map(|value| value.as_bytes()))
                .with_certificate(case.certificate.as_deref().map(certificate_thumbprint));
            let answer = authorizer.answer_showing(case.method, &case.target, authorization, shown).await;
            if told(&answer) != *expected {
                differ.push(format!("{}:\n  {}\n  {expected}", case.name, told(&answer)));
            }
        }
    }
    assert!(differ.is_empty(), "{} of {count}, and what was expected:\n{}", differ.len(), differ.join("\n"));
    assert!(count > 400, "only {count} cases");
}

/// A rule does not depend on who asks, and none decides where nothing is routed.
#[test]
fn the_rule_of_a_route_is_that_of_each_decision() {
    let table = DecisionTable::read();
    let mut services = HashMap::new();
    let mut ruled = 0;
    for case in table.cases() {
        let authorizer = services.entry(case.service).or_insert_with(|| table.authorizer(case.service));
        let rule = authorizer.rule_for(case.method, &case.target);
        let told = (case.expected["rule"].as_str(), case.expected["reason"].as_str().unwrap());
        match told {
            (Some(_), _) => assert_eq!(rule.as_deref(), told.0, "{}", case.name),
            (None, "no-route" | "bad-path" | "bad-method") => assert_eq!(rule, None, "{}", case.name),
            // refused before anybody looked for a rule
            (None, _) => continue,
        }
        ruled += 1;
    }
    assert!(ruled > 200, "only {ruled}");
}
