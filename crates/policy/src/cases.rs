//! Test cases in the policy files: who asks for what, and what must come out.

use std::collections::BTreeSet;

use jeton_oauth::{ApiName, ClientId};
use serde::Serialize;
use serde_json::{Map, Value};

use super::{
    explain::{self, Explanation},
    finding::Span,
    position::{FileIndex, RouteId, numbered},
    set::{PolicySet, ProtectedApi},
    space::WitnessToken,
    subject::Permissions,
};

/// One line of a test: a request and what must come out.
#[derive(Debug)]
pub(super) struct Case {
    pub(super) file: FileIndex,
    pub(super) at: Span,
    pub(super) api: ApiName,
    pub(super) asker: CaseAsker,
    pub(super) expected: ExpectedOutcome,
    pub(super) method: String,
    pub(super) path: String,
}

/// Who asks in a test case.
#[derive(Clone, Debug)]
pub(super) enum CaseAsker {
    /// A client, with all it is granted at the API, be it enabled or not: blocking a client must not fail
    /// its tests. And the values of claims that it takes over from another issuer's token.
    Client(ClientId, Map<String, Value>),
    /// A bearer of this, and of the scopes of its roles.
    Bearer(Permissions),
}

/// What must come out of a test case.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum ExpectedOutcome {
    /// The request passes.
    Allow,
    /// It does not.
    Deny,
}

/// What came out of a test case.
#[derive(Clone, Debug, Serialize)]
pub struct CaseOutcome {
    /// The file of the case.
    pub file: String,
    /// Its line, from 1.
    pub line: usize,
    /// Who asks.
    pub who: String,
    /// What must come out.
    pub expected: ExpectedOutcome,
    /// Whether it did.
    pub passed: bool,
    /// What would have to be different, where it did not.
    pub to_pass: Option<String>,
    /// The decision and its reasons.
    pub explanation: Explanation,
}

impl ExpectedOutcome {
    /// As the policy file has it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Allow => "allow",
            Self::Deny => "deny",
        }
    }
}

impl CaseAsker {
    fn name(&self) -> String {
        match self {
            Self::Client(client, claims) if claims.is_empty() => client.to_string(),
            Self::Client(client, claims) => {
                let claims = WitnessToken { claims: claims.clone(), ..WitnessToken::default() };
                format!("{client} with {claims}")
            }
            Self::Bearer(bearer) => match WitnessToken::from(bearer).to_string() {
                nothing if nothing.is_empty() => "a bearer of nothing".to_owned(),
                token => format!("a bearer of {token}"),
            },
        }
    }
}

impl Case {
    /// Asks the policies.
    pub(super) fn run(&self, policies: &PolicySet, line: usize) -> CaseOutcome {
        let (api, method, path) = (self.api.as_str(), self.method.as_str(), self.path.as_str());
        let explained = |subject| policies.explain(api, method, path, subject);
        let mut why_no_token = None;
        let mut is_possible = true;
        let explanation = match &self.asker {
            CaseAsker::Client(client, claims) => match policies.supposed_tokens(client.as_str(), api, claims)
            {
                Ok(Some(tokens)) => policies.explain_tokens(api, method, path, &tokens),
                Ok(None) => {
                    let why = format!("`{client}` would need a grant for API `{}`", self.api);
                    why_no_token = Some(why).filter(|_| self.expected == ExpectedOutcome::Allow);
                    explained(None)
                }
                Err(error) => {
                    is_possible = false;
                    why_no_token = Some(format!("other `claims` would need to stand beside `as`: {error}"));
                    explained(None)
                }
            },
            CaseAsker::Bearer(bearer) => explained(Some(&bearer.subject())),
        };
        let as_expected = explanation.allowed == (self.expected == ExpectedOutcome::Allow);
        // where it depends, neither is said
        let passed = as_expected && explanation.reason != explain::DEPENDS && is_possible;
        CaseOutcome {
            file: policies.files().get(self.file.position()).cloned().unwrap_or_default(),
            line,
            who: self.asker.name(),
            expected: self.expected,
            passed,
            to_pass: (!passed).then(|| why_no_token.unwrap_or_else(|| self.to_pass(&explanation))),
            explanation,
        }
    }

    /// What would have to be different for the case to pass.
    fn to_pass(&self, explanation: &Explanation) -> String {
        if explanation.reason == explain::DEPENDS {
            let hint =
                "the test would need `claims:` beside `as:`, with the values of the other issuer's token";
            return format!("{hint}: {}", explanation.detail);
        }
        let nearest = explanation.alternatives.first();
        let rule = explanation.decided_by.as_ref();
        match (self.expected, rule, nearest) {
            (ExpectedOutcome::Allow, Some(_), Some(nearest)) => {
                let who = match &self.asker {
                    CaseAsker::Client(client, _) => format!("`{client}`"),
                    CaseAsker::Bearer(_) => "the bearer".to_owned(),
                };
                format!("{who} would need {}", nearest.missing().join(", "))
            }
            (ExpectedOutcome::Allow, None, _) if explanation.reason == "no-route" => {
                format!("a rule of API `{}` would need a route for it", self.api)
            }
            (ExpectedOutcome::Allow, _, _) if explanation.reason == "bad-method" => {
                "the request would need another method".to_owned()
            }
            (ExpectedOutcome::Allow, _, _) => {
                format!("the request would need another path: {}", explanation.detail)
            }
            (ExpectedOutcome::Deny, Some(rule), Some(holding)) if explanation.alternatives.len() == 1 => {
                format!("rule `{}` ({}) would need to ask for more", rule.rule, holding.asked())
            }
            (ExpectedOutcome::Deny, Some(rule), Some(_)) => {
                // each of them lets the request through
                let holding = explanation.alternatives.iter().filter(|alternative| alternative.holds);
                let holding: Vec<_> = holding
                    .map(|alternative| format!("{} ({})", alternative.position, alternative.asked()))
                    .collect();
                let what = if holding.len() == 1 { "alternative" } else { "alternatives" };
                format!("{what} {} of rule `{}` would need to ask for more", holding.join(" and "), rule.rule)
            }
            (ExpectedOutcome::Deny, Some(rule), None) => {
                format!("rule `{}` would need to `require` something", rule.rule)
            }
            (ExpectedOutcome::Deny, None, _) => explanation.detail.clone(),
        }
    }
}

/// A part of the policies that no test touches.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct UntestedRule {
    /// The API.
    pub api: String,
    /// The rule.
    pub rule: String,
    /// The file of the rule.
    pub file: String,
    /// Its line, from 1.
    pub line: u32,
    /// The alternative that held in no test, from 1; `None` where no test was decided by the rule at all.
    pub alternative: Option<usize>,
}

/// The rules that decided no test, and the alternatives that held in none.
pub(super) fn untested(policies: &PolicySet, outcomes: &[CaseOutcome]) -> Vec<UntestedRule> {
    let mut rules = BTreeSet::new();
    let mut alternatives = BTreeSet::new();
    for Explanation { api, decided_by, alternatives: explained, .. } in
        outcomes.iter().map(|outcome| &outcome.explanation)
    {
        let Some(decided_by) = decided_by else { continue };
        let rule = (api.as_str(), decided_by.rule.as_str());
        rules.insert(rule);
        let holding = explained.iter().filter(|alternative| alternative.holds);
        alternatives.extend(holding.map(|alternative| (rule, alternative.position)));
    }
    let mut untested = Vec::new();
    for api in policies.apis().values() {
        for (rule, alternative) in parts(api).into_iter().filter(|(rule, _)| !policies.is_built_in(rule)) {
            let name = (api.name().as_str(), rule.name());
            let is_touched = match alternative {
                None => rules.contains(&name),
                // one line for a rule that nothing touches
                Some(position) => !rules.contains(&name) || alternatives.contains(&(name, position)),
            };
            if !is_touched {
                untested.push(UntestedRule {
                    api: api.name().to_string(),
                    rule: rule.name().to_owned(),
                    file: policies.file_of(rule).to_owned(),
                    line: rule.line,
                    alternative,
                });
            }
        }
    }
    untested
}

/// Each rule, and where it has several alternatives each of these.
fn parts(api: &ProtectedApi) -> Vec<(&super::rule::PolicyRule, Option<usize>)> {
    let mut parts = Vec::new();
    let mut seen = BTreeSet::new();
    for (route, _) in numbered(RouteId::at, &api.routes.written) {
        let Some((rule, access)) = api.access(route) else { continue };
        if !seen.insert(rule.name()) {
            continue;
        }
        parts.push((rule, None));
        let alternatives = api.routes.alternatives(access).count();
        if alternatives > 1 {
            parts.extend((1..=alternatives).map(|position| (rule, Some(position))));
        }
    }
    parts
}
